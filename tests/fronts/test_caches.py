"""A cache in front: 1,000 visitors in mixed states, and nobody is given a page of another state."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fronts.serving import CONFIG, HOST, SHARED, TRACKER, Visitor, Whole, standing

VISITORS, PAGES, EACH = 1000, 8, 4
STATES = ("undecided", "undecided", "undecided", "gpc", "refuse", "accept", "some")


@pytest.fixture(scope="module", params=["varnish", "nginx-cache"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with standing(request.param, tmp_path_factory.mktemp(request.param), config=CONFIG + SHARED) as made:
        yield made


def visitor(whole: Whole, state: str, language: str, address: str = "127.0.0.1", *, around: bool = False) -> Visitor:
    """One who has chosen already. ``around``: straight to Volens, as the front would ask."""
    more = {"Sec_GPC": "1"} if state == "gpc" else {}
    if around:
        more |= {
            "X_Forwarded_Proto": "https" if whole.tls else "http",
            "X_Forwarded_Host": f"{HOST}:{whole.port}",
            "X_Forwarded_For": address,
        }
    made = Visitor(whole.volens if around else whole.port, tls=whole.tls and not around, address="127.0.0.1" if around else address,
                   language=language, **more)  # fmt: skip
    if around:
        made.host = f"{HOST}:{whole.port}"
        made.own = f"{'https' if whole.tls else 'http'}://{HOST}:{whole.port}"
    if state in ("refuse", "accept"):
        assert made.choose(state).status == 303
    elif state == "some":
        assert made.choose("switches", surface="panel", purposes="video").status == 303
    return made


def shown(text: str) -> tuple[str, ...]:
    """What of a page depends on who asks; of the guard's words all but the day."""
    guard = re.search(r"data-volens='([^']*)'", text)
    return (
        guard[1] if guard else "",
        str(f' src="{TRACKER}"' in text),
        *re.findall(r"Tout refuser|Refuse all", text)[:1],
        re.sub(r"\s+", " ", text),
    )


def test_a_thousand_visitors_in_mixed_states_get_no_page_of_another_state(whole: Whole) -> None:
    expected: dict[tuple[str, str, int], tuple[str, ...]] = {}
    for number, (state, language) in enumerate({(state, language) for state in STATES for language in ("fr", "en")}):
        one = visitor(whole, state, language, f"203.0.113.{number + 1}", around=True)
        for page in range(PAGES):
            expected[state, language, page] = shown(one.get(f"/page-{page}").text)
        one.close()
    states = {(state, language): expected[state, language, 0] for state in STATES for language in ("fr", "en")}
    assert len(set(states.values())) == len(states), "the states differ, or nothing could be told apart"
    before = whole.site.asked

    def visits(number: int) -> tuple[int, int, int]:
        chance = random.Random(number)
        state, language = chance.choice(STATES), chance.choice(("fr", "en"))
        one = visitor(
            whole, state, {"fr": "fr-FR,fr;q=0.9,en;q=0.5", "en": "de, en;q=0.8"}[language], f"127.1.{number >> 7}.{1 + (number & 127)}"
        )
        wrong = hits = 0
        for page in chance.choices(range(PAGES), k=EACH):
            answer = one.get(f"/page-{page}")
            wrong += shown(answer.text) != expected[state, language, page]
            hit = answer.headers["X-Cache"].lower() == "hit"
            hits += hit
            wrong += hit and state != "undecided"
        one.close()
        return wrong, hits, state == "undecided"

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(visits, range(VISITORS)))
    assert sum(wrong for wrong, _, _ in found) == 0
    undecided = EACH * sum(alone for _, _, alone in found)
    assert sum(hits for _, hits, _ in found) > 0.9 * undecided, "who has said nothing shares"
    assert whole.site.asked - before < EACH * VISITORS


def test_who_answers_no_longer_gets_the_shared_page_and_back(whole: Whole) -> None:
    one = Visitor(whole.port, tls=whole.tls, address="127.0.3.3")
    one.get("/turn")
    assert one.get("/turn").headers["X-Cache"].lower() == "hit"
    one.choose("accept")
    for _ in range(2):
        page = one.get("/turn")
        assert page.headers["X-Cache"].lower() != "hit" and f' src="{TRACKER}"' in page.text and "private" in page.headers["Cache-Control"]
    one.choose_again("refuse")
    assert f' src="{TRACKER}"' not in one.get("/turn").text
    one.jar.clear()
    page = one.get("/turn")
    assert page.headers["X-Cache"].lower() == "hit" and "Tout refuser" in page.text
    for more in ({"Sec_GPC": "1"}, {"Sec_Fetch_Dest": "iframe"}, {"Sec_Fetch_Dest": "empty"}, {"Cookie": "session=1"}, {"DNT": "1"}):
        assert one.get("/turn", **more).headers["X-Cache"].lower() != "hit", more


def test_what_the_site_calls_private_is_kept_for_nobody(whole: Whole) -> None:
    one = Visitor(whole.port, tls=whole.tls)
    for _ in range(2):
        assert one.get("/echo").headers["X-Cache"].lower() != "hit"
