"""What a visitor reads where there is no page: in their language, as a page like the others, or as a problem for a program (RFC 9457)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.audience.making import HTML
from tests.enforce.making import SITE
from tests.web.making import SAME, gateway, header, request, send
from volens.languages import shipped
from volens.notice import Notice
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply

LANGUAGES = sorted(shipped())
PAGE = (b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8")
PROBLEM = (b"accept", b"application/problem+json")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    notice: Notice = replace(SITE.notice, languages=tuple(LANGUAGES))
    opened = gateway(tmp_path_factory.mktemp("ledger"), site=replace(SITE, notice=notice))
    yield opened
    opened.close()


def unreadable(made: Gateway, *pairs: tuple[bytes, bytes], whole: bool = True) -> Reply:
    """What a visitor is served of a page in a coding that nobody offered."""
    visit = made.visit(request("GET", "/a?b=1", [(b"sec-fetch-dest", b"document"), *pairs]))
    coded: Pairs = [*HTML, (b"content-encoding", b"unheard-of")]
    if whole:
        return Reply(*visit.whole(200, coded, b"\x00\x01"))
    status, head = visit.head(200, coded)
    return Reply(status, head, visit.feed(b"\x00\x01") + visit.finish())


def trouble(made: Gateway, kind: str, *pairs: tuple[bytes, bytes]) -> Reply:
    if kind == "nothing":
        return send(made, "GET", "/_volens/rien", pairs)
    if kind == "method":
        return send(made, "DELETE", "/_volens/panel", pairs)
    if kind == "large":
        return send(made, "POST", "/_volens/choice", [*pairs, *SAME], b"x" * 70_000)
    if kind == "larger":
        return made.visit(request("POST", "/_volens/choice", pairs)).too_large()
    return unreadable(made, *pairs, whole=kind == "unreadable")


KINDS = {"nothing": 404, "method": 405, "large": 413, "larger": 413, "unreadable": 502, "streamed": 502}
SAID = {"larger": "large", "streamed": "unreadable"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_is_a_page_in_the_visitor_s_language(made: Gateway, kind: str, language: str) -> None:
    reply = trouble(made, kind, PAGE, (b"accept-language", f"{language}-XX,xx;q=0.5".encode()))
    text, texts = reply.body.decode(), shipped()[language].texts
    name = SAID.get(kind, kind)
    assert reply.status == KINDS[kind] and header(reply, "content-type") == ["text/html; charset=utf-8"]
    assert re.search(rf'<html lang="{language}"[^>]*>', text) and ("rtl" in text[:60]) == (language == "ar")
    assert texts[f"problem.{name}.title"] in text and texts[f"problem.{name}.text"] in text
    assert "default-src 'none'" in header(reply, "content-security-policy")[0] and header(reply, "cache-control") == ["no-store"]
    assert header(reply, "content-language") == [language] and "Accept-Language" in header(reply, "vary")[0]
    others = {shipped()[other].texts[f"problem.{name}.title"] for other in LANGUAGES if other != language}
    assert not any(title in text for title in others), "no other language's words, and no two languages' are the same"
    if kind == "method":
        assert header(reply, "allow") == ["GET, HEAD"]
    if KINDS[kind] == 502:
        assert 'href="/a?b=1"' in text, "it can be tried again"


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_a_problem_for_who_asks_for_one(made: Gateway, kind: str) -> None:
    reply = trouble(made, kind, PROBLEM, (b"accept-language", b"de"))
    told = json.loads(reply.body)
    assert header(reply, "content-type") == ["application/problem+json"] and told["status"] == reply.status == KINDS[kind]
    assert shipped()["de"].texts[f"problem.{SAID.get(kind, kind)}.text"] in told["detail"] and told["type"] == "about:blank"


def test_a_script_that_is_not_there_is_no_page(made: Gateway) -> None:
    reply = send(made, "GET", "/_volens/guard-00000000.js", [(b"accept", b"*/*"), (b"sec-fetch-mode", b"no-cors")])
    assert reply.status == 404 and header(reply, "content-type") == ["application/problem+json"]


def test_nothing_of_an_unreadable_page_is_passed_on(made: Gateway) -> None:
    for whole in (True, False):
        reply = unreadable(made, whole=whole)
        assert b"\x00\x01" not in reply.body and not header(reply, "content-encoding")
