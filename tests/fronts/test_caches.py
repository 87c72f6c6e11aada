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

from tests.fronts.serving import CONFIG, HOST, ROOT, SHARED, TRACKER, Visitor, Whole, free, process, program, site, standing, until, volens

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
    assert found["shared"] == ["undecided", "undecided, another language"]
    assert len({one["mark"] for one in found["visitors"]}) == 6
    assert check(f"http://127.0.0.1:{whole.volens}/cdn")[1].endswith("Nobody was given another's page.\n")


CARELESS = """vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "%d"; }
sub vcl_recv { if (req.method == "GET") { set req.http.kept = req.http.Cookie; unset req.http.Cookie; return (hash); } }
sub vcl_backend_fetch { set bereq.http.Cookie = bereq.http.kept; }
sub vcl_backend_response { unset beresp.http.Vary; set beresp.ttl = 60s; return (deliver); }
"""


def test_check_cdn_sees_a_cache_that_mixes_visitors_up(tmp_path: Path) -> None:
    port = free()
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
