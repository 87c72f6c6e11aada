"""Cookies under our names that another host of the domain planted (``Domain=``) with a valid pair of its own: they grant nothing to
anybody, take back no refusal, and go (DESIGN §4 and §8, decision 0037)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.enforce.making import HOST, NOTICE, SITE, TODAY
from tests.web.making import SAME, Clock, Visitor, environ_behind_wsgi, gateway, header, request, scope_behind_asgi
from tests.web.test_accounts import PAGE
from tests.web.test_address_faces import by_proxy
from tests.web.wsgi_server import domain
from volens.choice import Choice
from volens.web.gateway import Gateway
from volens.web.messages import Pairs

RECORD, PLAIN = "__Host-volens-record", "volens-record"
GRANT = "__Host-volens-grant"
PARENT = HOST.partition(".")[2]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Gateway]:
    made = gateway(tmp_path, now=Clock())
    yield made
    made.close()


@pytest.fixture
def thief(made: Gateway) -> Visitor:
    """Has accepted on the site, and holds what the site gave for it."""
    thief = Visitor(made)
    thief.choose("answer=accept")
    assert thief.granted() == set(NOTICE.askable)
    return thief


def sent(*cookies: tuple[str, str]) -> Pairs:
    return [(b"cookie", "; ".join(f"{name}={value}" for name, value in cookies).encode())]


def planted(thief: Visitor) -> list[tuple[str, str]]:
    """What a browser takes of a thief's pair with ``Domain``: every name without the prefix."""
    return [("volens", thief.jar["volens"]), (PLAIN, (thief.jar.get(RECORD) or thief.jar[PLAIN]))]


def asked(made: Gateway, pairs: Pairs, **more: Any) -> frozenset[str]:
    return made.visit(request("GET", "/a", pairs, **more)).grant.purposes & frozenset(NOTICE.askable)


def gone(lines: list[str]) -> set[tuple[str, str]]:
    """(name, domain) of each cookie that is expired."""
    found = set()
    for line in lines:
        if "Max-Age=0" in line:
            parts = [part.strip() for part in line.split(";")]
            found.add((parts[0].partition("=")[0], next((p[7:] for p in parts if p.startswith("Domain=")), "")))
    return found


def on_page(made: Gateway, pairs: Pairs, **more: Any) -> list[str]:
    """The Set-Cookie lines of a page."""
    said = [(b"content-type", b"text/html"), (b"cache-control", b"public, max-age=60")]
    _, head, _ = made.visit(request("GET", "/a", [*pairs, (b"sec-fetch-dest", b"document")], **more)).whole(200, said, b"<p>Le pont")
    lines = [value.decode() for key, value in head if key == b"set-cookie"]
    assert not lines or b"private" in dict(head)[b"cache-control"]
    return lines


# --- Over https


def test_a_grant_s_proof_has_a_name_that_no_other_host_can_set(made: Gateway) -> None:
    visitor = Visitor(made)
    reply = visitor.choose("answer=accept")
    (line,) = [line for line in header(reply, "set-cookie") if "-record=" in line]
    assert line.startswith(f"{RECORD}=1.")
    parts = {part.strip() for part in line.split(";")[1:]}
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= parts and not any(part.startswith("Domain") for part in parts)
    assert visitor.send("POST", "/_volens/choice", [(b"content-type", b"application/x-www-form-urlencoded"), *SAME],
                        f"notice={made.named(SITE)}&answer=withdraw".encode()).status == 303  # fmt: skip
    assert RECORD not in visitor.jar and visitor.granted() == set()


def test_a_planted_pair_grants_nothing_to_who_never_answered(made: Gateway, thief: Visitor) -> None:
    assert asked(made, sent(*planted(thief))) == frozenset()
    assert not made.visit(request("GET", "/a", sent(*planted(thief)))).grant.answered, "and the site asks"


@pytest.mark.parametrize("first", [True, False])
def test_a_refusal_holds_beside_a_planted_pair(made: Gateway, thief: Visitor, first: bool) -> None:
    own = [("volens", Choice.refuse_all(NOTICE, TODAY).text())]
    both = [*own, *planted(thief)] if first else [*planted(thief), *own]
    grant = made.visit(request("GET", "/a", sent(*both))).grant
    assert grant.purposes.isdisjoint(NOTICE.askable) and grant.answered, "nobody is asked again"


def test_two_of_one_name_grant_nothing(made: Gateway, thief: Visitor) -> None:
    own = [("volens", thief.jar["volens"]), (RECORD, thief.jar[RECORD])]
    assert asked(made, sent(*own)) == frozenset(NOTICE.askable)
    less = Choice(NOTICE.short, TODAY, frozenset({"video"})).text()
    for more in (
        ("volens", less),
        ("volens", thief.jar["volens"]),
        ("volens", ""),
        ("volens", "x"),
        (RECORD, thief.jar[RECORD]),
        (RECORD, "x"),
    ):
        for both in ([*own, more], [more, *own]):
            visit = made.visit(request("GET", "/a", sent(*both)))
            assert visit.grant.purposes.isdisjoint(NOTICE.askable) and not visit.grant.answered, both


def test_what_was_planted_goes_on_sight_and_what_is_the_visitor_s_own_stays(made: Gateway, thief: Visitor) -> None:
    own = [("volens", thief.jar["volens"]), (RECORD, thief.jar[RECORD])]
    assert on_page(made, sent(*own)) == []
    assert gone(on_page(made, sent(*own, (PLAIN, "x")))) == {(PLAIN, ""), (PLAIN, HOST), (PLAIN, PARENT)}
    assert gone(on_page(made, sent(*own, ("volens-grant", "1")))) == {("volens-grant", d) for d in ("", HOST, PARENT)}
    assert gone(on_page(made, sent(*own, ("volens", "x")))) == {("volens", HOST), ("volens", PARENT)}, "not the visitor's own"
    reply = Visitor(made)
    reply.jar = dict(planted(thief))
    lines = header(reply.choose("answer=refuse"), "set-cookie")
    assert {("volens", PARENT), (PLAIN, PARENT)} <= gone(lines) and ("volens", "") not in gone(lines)
    assert reply.jar["volens"].endswith(".-")


def test_a_planted_pair_leads_to_no_receipt_and_forgets_no_record(made: Gateway, thief: Visitor) -> None:
    id = thief.jar[RECORD].split(".")[1]
    victim = Visitor(made)
    victim.jar = dict(planted(thief))
    opened = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]
    assert thief.send("GET", f"/_volens/receipt/{id}", opened).status == 200
    assert victim.send("GET", f"/_volens/receipt/{id}", opened).status == 404
    assert id.encode() not in victim.send("GET", "/_volens/choice", opened).body
    reply = victim.send("POST", "/_volens/forget", [(b"content-type", b"application/x-www-form-urlencoded"), *SAME], b"answer=forget")
    assert reply.status == 303 and made.store.record(id) is not None, "the thief's record is not the victim's to forget"
    assert {("volens", ""), ("volens", PARENT), (PLAIN, PARENT)} <= gone(header(reply, "set-cookie"))
    assert thief.granted() == set(NOTICE.askable)


def test_asgi_and_wsgi_tell_the_application_of_no_grant(made: Gateway, thief: Visitor) -> None:
    pairs = sent(*planted(thief), ("panier", "1"))
    scope = scope_behind_asgi(made, pairs)
    environ = environ_behind_wsgi(made, {"HTTP_COOKIE": pairs[0][1].decode()})
    true = sent(("volens", thief.jar["volens"]), (RECORD, thief.jar[RECORD]), ("panier", "1"))
    for told, least in ((dict(scope["headers"])[b"volens-consent"].decode(), scope), (environ["HTTP_VOLENS_CONSENT"], environ)):
        assert least and all(f"{purpose}=?0" in told for purpose in NOTICE.askable)
    told = dict(scope_behind_asgi(made, true)["headers"])
    assert b"publicite=?0" not in told[b"volens-consent"] and told[b"cookie"] == b"panier=1", "the name with the prefix is ours too"
    after = environ_behind_wsgi(made, {"HTTP_COOKIE": true[0][1].decode()})
    assert "publicite=?0" not in after["HTTP_VOLENS_CONSENT"] and after["HTTP_COOKIE"] == "panier=1"


def test_the_proxy_tells_the_site_of_no_grant_and_goes_by_its_front_s_word_for_https(made: Gateway, thief: Visitor) -> None:
    """Over real sockets: the proxy believes loopback, so the test is a front."""

    def told(scheme: str, *cookies: tuple[str, str]) -> str:
        words = {"X-Forwarded-Proto": scheme} if scheme else {}
        return by_proxy(made, {"Cookie": sent(*cookies)[0][1].decode(), **words})["volens-consent"]

    own = [("volens", thief.jar["volens"]), (RECORD, thief.jar[RECORD])]
    assert "publicite=?0" not in told("https", *own)
    assert "publicite=?0" in told("https", *planted(thief)) and "publicite=?0" in told("https", *own, ("volens", "x"))
    assert "publicite=?0" in told("http", *own) and "publicite=?0" not in told("http", *planted(thief)), "each name by its scheme"


def test_a_cache_s_key_cannot_be_planted(tmp_path: Path) -> None:
    made = gateway(tmp_path, now=Clock(), site=replace(SITE, shared=True, shared_answers=True))
    thief = Visitor(made)
    thief.choose("answer=accept")
    assert GRANT in thief.jar and "volens-grant" not in thief.jar

    def shared(*cookies: tuple[str, str]) -> bool:
        said = [(b"content-type", b"text/html"), (b"cache-control", b"public, max-age=60")]
        visit = made.visit(request("GET", "/a", [*sent(*cookies), (b"sec-fetch-dest", b"document")]))
        return b"private" not in dict(visit.whole(200, said, b"<p>Le pont")[1])[b"cache-control"]

    own = list(thief.jar.items())
    assert shared(*own)
    assert not shared(*own, (PLAIN, "x")) and not shared(*own, ("volens-grant", thief.jar[GRANT]))
    assert not shared(*[(name.removeprefix("__Host-"), value) for name, value in own])
    made.close()


# --- Over plain http


def test_over_plain_http_the_name_is_plain_and_two_still_grant_nothing(made: Gateway) -> None:
    visitor = Visitor(made, scheme="http")
    visitor.choose("answer=accept")
    assert PLAIN in visitor.jar and RECORD not in visitor.jar and visitor.granted() == set(NOTICE.askable)
    own = list(visitor.jar.items())
    assert on_page(made, sent(*own), scheme="http") == []
    assert asked(made, sent(*own, (PLAIN, "x")), scheme="http") == frozenset()
    assert gone(on_page(made, sent(*own, (PLAIN, "x")), scheme="http")) == {(PLAIN, HOST), (PLAIN, PARENT)}
    refusal = ("volens", Choice.refuse_all(NOTICE, TODAY).text())
    grant = made.visit(request("GET", "/a", sent(*own, refusal), scheme="http")).grant
    assert grant.answered and grant.purposes.isdisjoint(NOTICE.askable)
    assert asked(made, sent(own[0], (RECORD, visitor.jar[PLAIN])), scheme="http") == frozenset(), "no browser sends it there"


# --- In a browser


@pytest.fixture
def hosts(made: Gateway, tmp_path: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """``www.site.localhost`` behind Volens, ``user.site.localhost`` beside it, over TLS; what user's page sets is the list."""

    def site(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [PAGE]

    with domain(tmp_path, made, site) as found:
        yield found


def state(page: Page) -> str | None:
    return page.locator("volens-notice").get_attribute("data-storage")


def test_in_a_browser_a_sub_domain_grants_nothing(chromium: Browser, hosts: tuple[str, list[tuple[str, str]]]) -> None:
    at, tosses = hosts
    www, user = f"https://www.{at}", f"https://user.{at}"
    thieves = chromium.new_context(ignore_https_errors=True, locale="fr-FR")
    context = chromium.new_context(ignore_https_errors=True, locale="fr-FR")
    try:
        page = thieves.new_page()
        page.goto(f"{www}/a")
        page.get_by_role("button", name="Tout accepter").click()
        expect(page.locator("volens-notice")).to_have_attribute("data-storage", "yes")
        pair = {str(c["name"]): str(c["value"]) for c in thieves.cookies(www)}
        (proof,) = (value for name, value in pair.items() if name.endswith("volens-record"))
        for name, value in (("volens", pair["volens"]), (PLAIN, proof), (RECORD, proof)):
            tosses.append(("Set-Cookie", f"{name}={value}; Domain=site.localhost; Path=/; Secure; HttpOnly"))
        page = context.new_page()
        page.goto(f"{user}/")
        there = {str(c["name"]): c for c in context.cookies(f"{www}/")}
        assert PLAIN in there and "volens" in there, "the oracle: what has no prefix can be planted"
        page.goto(f"{www}/a")
        assert state(page) == "none", "who never answered"
        expect(page.get_by_role("button", name="Tout refuser")).to_be_visible()
        page.get_by_role("button", name="Tout refuser").click()
        expect(page.locator("volens-notice")).to_have_attribute("data-storage", "no")
        page.goto(f"{www}/b")
        assert state(page) == "no"
        page.goto(f"{user}/")
        page.goto(f"{www}/c")
        assert state(page) == "no", "who refused, and is a sub-domain's guest again"
        page.goto(f"{www}/d")
        held = [(c["name"], c["domain"]) for c in context.cookies(f"{www}/") if str(c["name"]).endswith(("volens", "volens-record"))]
        assert held == [("volens", f"www.{at.partition(':')[0]}")], "what was planted is gone, the refusal is not"
    finally:
        thieves.close()
        context.close()
