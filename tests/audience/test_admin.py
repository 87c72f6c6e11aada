"""The operator's pages: who may enter, and that plots and JSON say what was counted."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.audience.making import COUNTED, GOOGLEBOT, counting, fields, serve
from tests.enforce.making import HOST
from tests.web.admin_pages import answered, asked, fits, looked_at
from tests.web.looking import faults
from tests.web.making import Clock, header
from volens.audience.view import View
from volens.config import ConfigError
from volens.web.admin import here
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply
from volens.web.runtime import read_token

TOKEN = "c2VpemUtZXQtZGl4LWh1aXQ"
TODAY = date(2026, 11, 22)


def get(made: Gateway, path: str = "audience", pairs: Pairs = (), **more: Any) -> Reply:  # type: ignore[assignment]
    return answered(made, path, pairs, **more)


@pytest.mark.parametrize(
    ("host", "client", "pairs", "open_"),
    [
        ("localhost:8080", "127.0.0.1", [], True),
        ("127.0.0.1:8080", "127.0.0.1", [], True),
        ("[::1]:8080", "::1", [], True),
        ("courrier.localhost", "::ffff:127.0.0.1", [], True),
        ("localhost", "192.0.2.1", [], False),
        ("localhost", "", [], False),
        ("localhost", "127.0.0.1.evil.example", [], False),
        ("www.site.example", "127.0.0.1", [], False),
        ("evil.example", "127.0.0.1", [], False),
        ("localhost.evil.example", "127.0.0.1", [], False),
        ("192.168.1.4", "127.0.0.1", [], False),
        ("localhost", "127.0.0.1", [(b"X-Forwarded-For", b"127.0.0.1")], False),
        ("localhost", "127.0.0.1", [(b"x-forwarded-proto", b"https")], False),
        ("localhost", "127.0.0.1", [(b"Forwarded", b"for=192.0.2.1")], False),
        ("localhost", "127.0.0.1", [(b"x-real-ip", b"127.0.0.1")], False),
        ("localhost", "127.0.0.1", [(b"via", b"1.1 front")], False),
    ],
)
def test_without_a_token_only_this_machine_enters(made: Gateway, host: str, client: str, pairs: Pairs, open_: bool) -> None:
    assert here(asked(pairs=pairs, host=host, client=client)) is open_
    reply = get(made, pairs=pairs, host=host, client=client)
    assert reply.status == (200 if open_ else 403)
    assert ("<svg" in reply.body.decode() or "Rien n’a été compté" in reply.body.decode()) is open_


def test_a_front_whose_word_is_not_believed_is_not_this_machine() -> None:
    assert not here(replace(asked(), through=True))


def basic(token: str) -> Pairs:
    return [(b"authorization", b"Basic " + b64encode(f"me:{token}".encode()))]


def test_with_a_token_everyone_is_asked_for_it(tmp_path: Path) -> None:
    made = counting(tmp_path, admin_token=TOKEN)
    for pairs in (basic(TOKEN), [(b"authorization", f"Bearer {TOKEN}".encode())], [(b"authorization", f"bearer  {TOKEN} ".encode())]):
        assert get(made, pairs=pairs, host="www.site.example", client="192.0.2.1").status == 200
    for number, pairs in enumerate(
        (
            [],
            basic(TOKEN[:-1]),
            basic(""),
            basic("é"),
            [(b"authorization", b"Basic %%%")],
            [(b"authorization", b"")],
            [(b"cookie", TOKEN.encode())],
        )
    ):
        reply = get(made, pairs=pairs, client=f"192.0.2.{number + 10}")
        assert reply.status == 401 and header(reply, "www-authenticate") == ['Basic realm="Volens", charset="UTF-8"']
        assert get(made, "audience.json", pairs).status == 401
    assert get(made).status == 401, "on this machine too"
    assert get(made, "audience?token=" + TOKEN).status == 401, "never in an address"
    made.close()


def test_who_guesses_is_slowed_down_and_the_operator_is_not(tmp_path: Path) -> None:
    made = counting(tmp_path, admin_token=TOKEN)
    found = [get(made, pairs=basic(f"guess-{n}"), client="192.0.2.9").status for n in range(60)]
    assert found[0] == 401 and found[-1] == 429
    assert get(made, pairs=basic(TOKEN), client="192.0.2.9").status == 200
    made.close()


def test_the_token_lies_in_a_file_and_cannot_be_guessed(tmp_path: Path) -> None:
    (tmp_path / "good").write_text(TOKEN + "\n")
    assert read_token(tmp_path / "good") == TOKEN
    (tmp_path / "short").write_text("secret")
    for name, said in (("short", "holds 6 characters"), ("missing", "cannot be read")):
        with pytest.raises(ConfigError, match=said):
            read_token(tmp_path / name)


def test_what_the_operator_reads_is_nobody_else_s(made: Gateway) -> None:
    serve(made)
    for path in ("audience", "audience.json", "nothing", ""):
        reply = get(made, path)
        assert header(reply, "cache-control") == ["no-store"] and header(reply, "cross-origin-resource-policy") == ["same-origin"]
    policy = header(get(made), "content-security-policy")[0]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "script-src" not in policy
    assert "<script" not in get(made).body.decode() and "http" not in re.sub(r"http://localhost:8080", "", get(made).body.decode())
    assert get(made, "nothing").status == 404
    assert get(made, method="POST").status == 405
    assert (get(made, "").status, header(get(made, ""), "location")) == (303, ["/_volens/admin/choices"])


def test_plots_and_json_say_what_was_counted(tmp_path: Path) -> None:
    clock = Clock()
    made = counting(tmp_path, now=clock)
    assert made.audience is not None
    clock.forward(days=-40)
    for _ in range(9):
        serve(made, "/ancien")
    clock.forward(days=38)
    for _ in range(1234):
        made.audience.add(HOST, View("/a", "www.google.com", "br", "tablet"))
    clock.forward(days=2)
    serve(made, "/<script>alert(1)</script>", fields(referer=b"https://news.example/"))
    serve(made, "/a", fields(user_agent=GOOGLEBOT))
    told = json.loads(get(made, "audience.json?days=7").body)
    assert (told["views"], told["bots"], told["since"], told["until"], told["site"]) == (1235, 1, "2026-11-16", "2026-11-22", HOST)
    assert told["paths"] == [{"name": "/a", "views": 1234}, {"name": "/<script>alert(1)</script>", "views": 1}]
    assert told["devices"] == [{"name": "tablet", "views": 1234}, {"name": "desktop", "views": 1}]
    assert [day["views"] for day in told["days"]] == [0, 0, 0, 0, 1234, 0, 1]
    assert json.loads(get(made, "audience.json?days=90").body)["views"] == 1244
    assert json.loads(get(made, "audience.json?days=9999").body)["since"] == "2026-10-24", "an unknown period is 30 days"
    page = get(made, "audience?days=7").body.decode()
    assert "<script>" not in page and "/&lt;script&gt;" in page
    assert "1\u202f235" in page and "breton" in page and "news.example" in page and "Tablette" in page
    assert page.count('class="hit"') == 7 and "20 novembre 2026 : 1\u202f234" in page and 'class="part"' in page
    english = get(made, "audience?days=7&language=en").body.decode()
    assert '<html lang="en">' in english and "1,235" in english and "Breton" in english
    for days in (30, 90, 365, 760):
        assert "1\u202f244" in (text := get(made, f"audience?days={days}").body.decode()) or days == 30, days
        assert 20 <= text.count('class="hit"') <= 90
    made.close()


def test_change_is_told_between_full_days_alone(tmp_path: Path) -> None:
    clock = Clock()
    made = counting(tmp_path, now=clock)
    assert made.audience is not None
    clock.forward(days=-12)
    for day in range(13):
        for _ in range(20 if day < 6 else 30):
            made.audience.add(HOST, View("/", "(none)", "fr", "phone"))
        clock.forward(days=1)
    clock.forward(days=-1)
    page = get(made, "audience?days=7").body.decode()
    assert "+50\u202f%" in page and "par rapport aux 6 jours d’avant" in page
    assert "rien à comparer" in get(made, "audience?days=30").body.decode()
    made.close()


def test_where_nothing_is_counted_the_page_says_how_to_begin(tmp_path: Path) -> None:
    made = counting(tmp_path)
    made._site = replace(COUNTED, audience=None)
    assert "[audience]" in get(made).body.decode()
    assert get(made, "audience.json").status == 404
    made.close()


def test_figures_that_cannot_be_read_are_a_clear_page(made: Gateway) -> None:
    assert made.audience is not None
    Path(made.audience.path).write_bytes(b"not a database at all, and longer than a header is " * 20)
    assert get(made).status == 503 and "n’ont pas pu être lus" in get(made).body.decode()
    assert get(made, "audience.json").status == 503


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_the_page_reads_well_in_a_browser(tmp_path: Path, chromium: Any, width: int) -> None:
    """Nothing overflows, axe finds nothing, nothing is refused by its own policy; light and dark, French and English, all periods."""
    clock = Clock()
    made = counting(tmp_path, now=clock)
    assert made.audience is not None
    clock.forward(days=-420)
    for day in range(421):
        for number in range(3 + day % 5):
            path = "/" + "une-adresse-sans-fin-" * 9 if number == 1 else f"/{number}"
            made.audience.add(HOST, View(path, "a-very-long-name-of-a-host." * 3 + "example", "fr", "phone"))
        clock.forward(days=1)
    clock.forward(days=-1)
    for scheme, language in (("light", "fr"), ("dark", "en")):
        with looked_at(chromium, made, width, scheme) as look:
            for days in (7, 30, 90, 365, 760):
                page = look(f"audience?days={days}&language={language}")
                assert fits(page)
                assert faults(page) == [], (days, scheme, language)
                heights = page.evaluate("[...document.querySelectorAll('.plot rect:not(.hit)')].map(r => r.getBoundingClientRect().height)")
                assert max(heights) > 60, "the plot is drawn"
    made.close()
