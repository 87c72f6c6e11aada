"""A cache in front: 1,000 visitors in mixed states, and nobody is given a page of another state."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fronts.serving import CONFIG, HOST, ROOT, SHARED, TRACKER, Visitor, Whole, process, program, site, standing, volens
from tests.running import free_port, until

VISITORS, PAGES, EACH = 1000, 8, 4
STATES = ("undecided", "undecided", "undecided", "gpc", "refuse", "accept", "some")


SHARING = {"varnish": ("undecided",), "nginx-cache": ("undecided",), "varnish, answers": ("undecided", "refuse", "accept", "some")}
"""Who shares pages with others of the same state, by cache."""


ANSWERS = pytest.mark.parametrize("whole", ["varnish, answers"], indirect=True)


@pytest.fixture(scope="module", params=SHARING)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    kind, _, answers = request.param.partition(", ")
    config = CONFIG + (SHARED.replace("undecided", answers) if answers else SHARED)
    with standing(kind, tmp_path_factory.mktemp(kind), config=config) as made:
        made.sharing = SHARING[request.param]
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
            wrong += hit and state not in whole.sharing
        one.close()
        return wrong, hits, state in whole.sharing

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(visits, range(VISITORS)))
    assert sum(wrong for wrong, _, _ in found) == 0
    sharing = EACH * sum(shares for _, _, shares in found)
    assert sum(hits for _, hits, _ in found) > 0.9 * sharing, "who is in one state shares"
    assert whole.site.asked - before < EACH * VISITORS


def test_who_answers_no_longer_gets_the_shared_page_and_back(whole: Whole) -> None:
    one = Visitor(whole.port, tls=whole.tls, address="127.0.3.3")
    one.get("/turn")
    assert one.get("/turn").headers["X-Cache"].lower() == "hit"
    one.choose("accept")
    alone = "accept" not in whole.sharing
    for turn in range(2):
        page = one.get("/turn")
        assert (page.headers["X-Cache"].lower() == "hit") is (turn == 1 and not alone) and f' src="{TRACKER}"' in page.text
        assert ("private" in page.headers["Cache-Control"]) is alone and "Cookie" in page.headers["Vary"], "the browser keeps it apart"
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


def check(address: str, *options: str, **environment: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "volens.cli", "check", "--cdn", address, *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment}
    )
    return done.returncode, done.stdout + done.stderr


def test_check_cdn_finds_nothing_behind_the_recipes(whole: Whole) -> None:
    address, trust = f"http://127.0.0.1:{whole.port}/cdn", {}
    if whole.tls:
        address, trust = f"https://127.0.0.1:{whole.port}/cdn", {"SSL_CERT_FILE": str(whole.folder / whole.kind / "site.pem")}
    status, told = check(address, "--json", **trust)
    found = json.loads(told)
    assert status == 0 and found["wrong"] == [] and found["asked"] == 24, told
    more = ["refused", "accepted", "accepted some"] if "accept" in whole.sharing else []
    assert found["shared"] == ["undecided", "undecided, another language", *more]
    assert len({one["mark"] for one in found["visitors"]}) == 6
    assert check(f"http://127.0.0.1:{whole.volens}/cdn")[1].endswith("Nobody was given another's page.\n")


@ANSWERS
def test_the_short_cookie_grants_nothing_and_spoils_nobody_s_page(whole: Whole) -> None:
    """Volens goes by the choice and its record alone; where the cookie says otherwise its page is kept for nobody."""
    accepted, refused = (visitor(whole, state, "fr", f"127.0.5.{n + 1}") for n, state in enumerate(("accept", "refuse")))
    digits, _, tag = accepted.jar["volens-grant"].partition(".")
    assert set(digits) == {"1"} and set(refused.jar["volens-grant"].partition(".")[0]) == {"0"}
    assert refused.jar["volens-grant"].partition(".")[2] != tag, "a tag is of its digits"
    forged = Visitor(whole.port, tls=whole.tls, address="127.0.5.9", language="fr")
    for page in ("/forged-1", "/forged-2"):
        for cookies in (
            {"volens-grant": f"{digits}.{'0' * 16}"},
            {"volens-grant": f"{digits}.{refused.jar['volens-grant'].partition('.')[2]}"},
            {**refused.jar, "volens-grant": f"{digits}.{'a' * 16}"},
            {**refused.jar, "volens-grant": accepted.jar["volens-grant"]},  # whoever has it by hand spoils nothing for others
            {**refused.jar, "volens-grant": "1"},
            {"volens": accepted.jar["volens"], "volens-grant": f"{digits}.{'b' * 16}"},
        ):
            forged.jar = dict(cookies)
            for _ in range(2):
                answer = forged.get(page)
                assert f' src="{TRACKER}"' not in answer.text and answer.headers["X-Cache"].lower() != "hit", cookies
    for page in ("/forged-1", "/forged-2"):
        assert f' src="{TRACKER}"' in accepted.get(page).text and f' src="{TRACKER}"' not in refused.get(page).text
    answered = {**accepted.jar, "volens-grant": refused.jar["volens-grant"]}
    forged.jar = answered
    assert f' src="{TRACKER}"' in forged.get("/forged-3").text, "an answer that holds, whatever stands beside it"
    assert f' src="{TRACKER}"' not in refused.get("/forged-3").text


@ANSWERS
def test_over_https_another_host_of_the_domain_plants_no_page(whole: Whole) -> None:
    """What ends TLS stands before Varnish and says so; the names that ``Domain=`` can be given to take nobody to another's page."""

    def one(address: str) -> Visitor:
        made = Visitor(whole.port, tls=False, address=address, language="fr", X_Forwarded_Proto="https")
        made.own = f"https://{made.host}"
        return made

    thief, victim = one("127.0.7.1"), one("127.0.7.2")
    assert thief.choose("accept").status == 303
    assert {"volens", "__Host-volens-record", "__Host-volens-grant"} == thief.jar.keys()
    for _ in range(2):
        answer = thief.get("/planted")
        assert f' src="{TRACKER}"' in answer.text
    assert answer.headers["X-Cache"] == "hit"
    planted = {name.removeprefix("__Host-"): value for name, value in thief.jar.items()}
    victim.jar = dict(planted)
    answer = victim.get("/planted")
    assert f' src="{TRACKER}"' not in answer.text and answer.headers["X-Cache"] == "miss"
    refused = one("127.0.7.3")
    assert refused.choose("refuse").status == 303
    refused.jar |= {name: value for name, value in planted.items() if name != "volens"}
    assert f' src="{TRACKER}"' not in refused.get("/planted").text
    for visitor_ in (thief, victim, refused):
        visitor_.close()


@ANSWERS
def test_who_objects_is_in_a_state_of_their_own(whole: Whole) -> None:
    one = visitor(whole, "some", "fr", "127.0.6.1")
    one.get("/kept")
    assert one.get("/kept").headers["X-Cache"].lower() == "hit"
    one.jar["volens-audience"] = "0"
    assert one.get("/kept").headers["X-Cache"].lower() != "hit"


CARELESS = """vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "%d"; }
sub vcl_recv { if (req.method == "GET") { set req.http.kept = req.http.Cookie; unset req.http.Cookie; return (hash); } }
sub vcl_backend_fetch { set bereq.http.Cookie = bereq.http.kept; }
sub vcl_backend_response { unset beresp.http.Vary; set beresp.ttl = 60s; return (deliver); }
"""


def test_check_cdn_sees_a_cache_that_mixes_visitors_up(tmp_path: Path) -> None:
    port = free_port()
    with site() as behind, volens(tmp_path, behind.port) as (ours, _):
        (tmp_path / "careless.vcl").write_text(CARELESS % ours)
        words = [
            program("varnishd"),
            "-F",
            "-a",
            f"127.0.0.1:{port}",
            "-n",
            str(tmp_path / "varnish"),
            "-j",
            "none",
            "-f",
            str(tmp_path / "careless.vcl"),
        ]
        with process(tmp_path, "varnish", *words, port=port):
            until(lambda: Visitor(port, tls=False).get("/echo").status == 200)
            status, told = check(f"http://127.0.0.1:{port}/cdn")
            assert status == 1 and "who asked as 'refused' was given" in told and "Somebody gets another's page" in told, told
        assert check(f"http://127.0.0.1:{behind.port}/")[0] == 2, "no Volens there"
        assert check("http://127.0.0.1:9/")[0] == 2 and check("www.example.org")[0] == 2
