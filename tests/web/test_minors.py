"""A known minor: advertising and profiles are locked off, told as locked, and cannot be granted however it is asked (R41)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.enforce.making import HOST, NOTICE, SITE, TODAY, granted
from tests.web.making import FORM, SAME, Visitor, cookies_of, gateway, header, request
from volens.choice import Choice, Signals
from volens.enforce.html import Withheld
from volens.enforce.url import Target
from volens.policy import Reason, grant
from volens.site import Regions
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply

MINOR = (b"cookie", b"volens-age=minor")
HTML = (b"content-type", b"text/html; charset=utf-8")
AD = b"<!DOCTYPE html><html lang=fr><head></head><body><p>a</p><script src=https://regie.example/x.js></script></body></html>"
LOCKED = {"publicite", "personnalisation"}


@pytest.fixture
def made(tmp_path: Path) -> Gateway:
    return gateway(tmp_path, site=replace(SITE, minors=("publicite",), age_header=b"x-age", told_age=True))


def test_what_is_locked_is_what_creates_profiles_and_what_serves_it(made: Gateway) -> None:
    locked = made.site(HOST).locked
    assert locked == LOCKED | {"regie"}
    everything = Choice.accept_all(NOTICE, TODAY)
    found = grant(NOTICE, everything, Signals(locked=locked), TODAY)
    assert found.purposes == set(NOTICE.askable) - LOCKED and "regie" not in found.services and not found.everything
    assert found.decide("publicite").reason is found.decide("regie").reason is Reason.LOCKED and not found.asked


@pytest.mark.parametrize(
    "fields",
    [
        "answer=accept",
        "answer=switches&purposes=publicite&purposes=personnalisation&purposes=video&services=regie&services=videotube",
        "answer=service&services=regie&surface=embed",
    ],
)
def test_no_answer_grants_it_whatever_is_sent(made: Gateway, fields: str) -> None:
    visitor = Visitor(made)
    visitor.jar["volens-age"] = "minor"
    assert visitor.choose(fields).status == 303
    assert not LOCKED & visitor.granted()
    if "__Host-volens-record" in visitor.jar:
        record = made.store.record(visitor.jar["__Host-volens-record"].split(".")[1])
        assert record is not None and not any(record.purposes[p] for p in LOCKED) and not record.services["regie"]
        assert "minor" not in json.dumps(record.to_json()), "nothing of anybody's age"
    del visitor.jar["volens-age"]
    assert not LOCKED & visitor.granted(), "nor does it open when the session is over"


def test_an_earlier_yes_does_not_hold_for_a_minor(made: Gateway) -> None:
    visitor = Visitor(made)
    visitor.choose("answer=accept")
    assert LOCKED <= visitor.granted()
    visitor.jar["volens-age"] = "minor"
    assert not LOCKED & visitor.granted() and "video" in visitor.granted()


def answered(made: Gateway, pairs: Pairs, said: Pairs, *, whole: bool = True) -> Reply:
    visit = made.visit(request("GET", "/a", pairs))
    if whole:
        return Reply(*visit.whole(200, [HTML, (b"etag", b'"1"'), *said], AD))
    status, head = visit.head(200, [HTML, *said])
    return Reply(status, head, visit.feed(AD) + visit.finish())


@pytest.mark.parametrize("whole", [True, False])
def test_the_application_says_so_once_for_the_session_and_its_very_answer_is_locked(made: Gateway, whole: bool) -> None:
    visitor = Visitor(made)
    visitor.choose("answer=accept")
    open_ = answered(made, visitor.cookie(), [], whole=whole)
    assert b"<script src=https://regie.example" in open_.body
    reply = answered(made, visitor.cookie(), [(b"Volens-Age", b"minor")], whole=whole)
    assert b"<script src=https://regie.example" not in reply.body and header(reply, "volens-age") == []
    (line,) = [line for line in header(reply, "set-cookie") if line.startswith("volens-age")]
    assert line == "volens-age=minor; Path=/; HttpOnly; SameSite=Lax; Secure", "for the session: no Max-Age"
    again = answered(made, [(b"cookie", visitor.cookie()[0][1] + b"; volens-age=minor")], [(b"volens-age", b"minor")], whole=whole)
    assert "volens-age" not in cookies_of(again) and b"<script src=https://regie.example" not in again.body
    adult = answered(made, [MINOR], [(b"volens-age", b"adult")], whole=whole)
    assert cookies_of(adult)["volens-age"] == "" and header(adult, "volens-age") == []


def test_the_front_says_so_and_only_the_front(made: Gateway) -> None:
    asked = request("GET", "/a", [(b"x-age", b"minor")])
    assert made.visit(asked).grant.locked and not made.visit(replace(asked, vouched=False)).grant.locked
    assert "x-age" in made.visit(asked)._state.looked_at


def test_the_application_never_sees_the_cookie(made: Gateway) -> None:
    assert not any(b"volens-age" in value for _, value in made.visit(request("GET", "/a", [MINOR])).forward)


def test_no_law_of_a_place_opens_it(tmp_path: Path) -> None:
    made = gateway(tmp_path, site=replace(SITE, regions=Regions(b"country"), minors=("publicite",)))
    grant = made.visit(request("GET", "/a", [MINOR, (b"country", b"US-CA")])).grant
    assert grant.locked and not grant.purposes and grant.asked


def test_each_screen_says_that_it_is_locked_and_why(made: Gateway) -> None:
    grant = made.visit(request("GET", "/a", [MINOR])).grant
    site = made.site(HOST)
    screens, decision = made.screens(site), grant.decide("personnalisation")
    gate = site.gates[1]
    why = "mineur\u00a0: la publicité et les profils restent fermés"
    withheld = Withheld(Target("https", "regie.example", "/x"), "/_volens/embed/frame?u=x", "fr")
    place = screens.place(NOTICE.service["regie"], withheld, locked=grant.locked)
    page = screens.gate(gate, decision, "fr", "GET", "/profil/a", [], grant=grant)
    for text in (screens.dress(grant, "fr").body, screens.panel(grant, "fr", "/"), place, page):
        assert why in text
    panel = screens.panel(grant, "fr", "/")
    assert panel.count(" disabled") == 3 and "data-panel" not in screens.dress(grant, "fr").body
    assert 'value="service"' not in place and 'value="once"' not in place and "answer=accept" not in page
    assert "volens-age" in screens.policy(granted(), "fr")


def test_just_this_one_opens_nothing_locked(made: Gateway) -> None:
    own = "/_volens/embed/frame?u=https%3A%2F%2Fregie.example%2Fx"
    plays = {}
    for jar in ({}, {"volens-age": "minor"}):
        visitor = Visitor(made)
        visitor.jar |= jar
        body = f"notice={NOTICE.short}&answer=once&surface=embed&back={quote(own, safe='')}".encode()
        where = header(visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], body), "location")
        plays[len(jar)] = b'<iframe src="https://regie.example/x"' in visitor.send("GET", where[0], SAME).body
    assert plays == {0: True, 1: False}
