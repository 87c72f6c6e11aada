"""``<volens-gate>``: what stands in the page while a gate is closed, and how a gate answers whoever asks for no page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.enforce.making import SITE
from tests.web.making import FORM, SAME, Visitor, gateway, header, request

PAGE = b"""<!doctype html><html lang="en"><body><p>Read.</p>
<volens-gate id="a&quot;b" path="/comments"><i>Shown when open.</i></volens-gate>
<volens-gate path="/elsewhere"></volens-gate><template><volens-gate path="/comments"></volens-gate></template></body></html>"""
GATE = replace(SITE.gates[0], withdrawn="/mine?a=1&b=2", title={"en": "Comments", "fr": "Commentaires"})
HTML = [(b"content-type", b"text/html; charset=utf-8")]


@pytest.fixture
def visitor(tmp_path: Path) -> Visitor:
    return Visitor(gateway(tmp_path, site=replace(SITE, gates=(GATE, *SITE.gates[1:]))))


def page(
    visitor: Visitor, target: str = "/article?x=1", pairs: list[tuple[bytes, bytes]] = HTML, *asks: tuple[bytes, bytes]
) -> tuple[str, list[tuple[bytes, str]]]:
    visit = visitor.gateway.visit(request("GET", target, [*visitor.cookie(), (b"accept", b"text/html"), *asks]))
    status, sent, body = visit.whole(200, pairs, PAGE)
    assert status == 200
    return body.decode(), [(name, value.decode()) for name, value in sent]


def places(text: str) -> list[str]:
    return re.findall(r'<template shadowrootmode="open"><style[^>]*>[^<]*</style>(<form class="g".*?</form>)', text, re.DOTALL)


def test_a_closed_gate_fills_its_place_and_no_other(visitor: Visitor) -> None:
    text, _ = page(visitor)
    (form,) = places(text)
    assert re.findall(r"<button[^>]*>([^<]*)</button>", form) == ["Allow &#8220;Social networks&#8221;", "Accept all", "Set your choices"]
    assert 'name="back" value="/article?x=1#a&quot;b"' in form
    assert "<i>Shown when open.</i></volens-gate>" in text and '<volens-gate path="/elsewhere"></volens-gate>' in text
    assert "/mine" not in form, "nobody has answered yet"


def test_its_form_grants_just_that_and_leaves_the_rest_as_it_was(visitor: Visitor) -> None:
    visitor.choose("answer=switches&purposes=video&services=youtube")
    before = visitor.granted()
    (form,) = places(page(visitor)[0])
    fields = [(n, v) for n, v in re.findall(r'name="(\w+)" value="([^"]*)"', form) if n != "answer"]
    reply = visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], urlencode([*fields, ("answer", "switches")]).encode())
    assert reply.status == 303 and header(reply, "location")[0].startswith("/article?x=1#")
    assert visitor.granted() == before | {"reseaux-sociaux"} and "video" in before
    assert places(page(visitor)[0]) == []


def test_who_refused_is_offered_to_have_erased_what_they_left(visitor: Visitor) -> None:
    visitor.choose("answer=refuse")
    (form,) = places(page(visitor)[0])
    assert '<a href="/mine?a=1&amp;b=2">' in form


def test_the_places_style_is_the_notices_so_the_sites_policy_needs_one_hash(visitor: Visitor) -> None:
    text, sent = page(visitor, pairs=[*HTML, (b"content-security-policy", b"default-src 'self'")])
    style = visitor.gateway.screens(visitor.gateway.site("x")).style
    assert text.count(style) == 2
    assert any(re.search(r"style-src[^;]*'sha256-", value) for name, value in sent if name == b"content-security-policy")
    nonced, _ = page(visitor, pairs=[*HTML, (b"content-security-policy", b"style-src 'nonce-abc'; script-src 'nonce-abc'")])
    assert nonced.count("<style nonce='abc'>") == 2


def test_in_another_sites_frame_it_takes_no_answer(visitor: Visitor) -> None:
    text, _ = page(visitor, "/article", HTML, (b"sec-fetch-dest", b"iframe"), (b"sec-fetch-site", b"cross-site"))
    (form,) = places(text)
    assert 'value="accept"' not in form and 'value="switches"' not in form and 'target="_blank"' in form


def test_a_page_says_when_its_gates_have_changed(tmp_path: Path) -> None:
    marks = set()
    for index, gates in enumerate(((GATE,), (replace(GATE, withdrawn=""),), ())):
        (folder := tmp_path / str(index)).mkdir()
        made = Visitor(gateway(folder, site=replace(SITE, gates=gates)))
        marks.update(value for name, value in page(made, pairs=[*HTML, (b"etag", b'"1"')])[1] if name == b"etag")
    assert len(marks) == 3


@pytest.mark.parametrize(
    ("asks", "problem"),
    [
        ([(b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8")], False),
        ([(b"accept", b"application/json")], True),
        ([(b"accept", b"application/problem+json, text/html;q=0.5")], True),
        ([(b"accept", b"application/json;q=0.5, text/html")], False),
        ([(b"accept", b"*/*")], False),
        ([(b"accept", b"*/*"), (b"sec-fetch-mode", b"cors")], True),
        ([(b"accept", b"*/*"), (b"sec-fetch-mode", b"navigate")], False),
        ([(b"accept", b"*/*"), (b"content-type", b"application/json; charset=utf-8")], True),
        ([(b"accept", b"text/html"), (b"content-type", b"application/json")], False),
        ([], False),
        ([(b"accept", b";;q=,/,*")], False),
        ([(b"accept", b"application/*, text/*;q=0.1")], True),
    ],
)
def test_a_closed_gate_answers_as_it_is_asked(visitor: Visitor, asks: list[tuple[bytes, bytes]], problem: bool) -> None:
    reply = visitor.send("POST", "/comments", asks, b"{}")
    assert reply.status == 403
    assert header(reply, "content-type") == ["application/problem+json" if problem else "text/html; charset=utf-8"]
