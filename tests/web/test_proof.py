"""A grant needs proof that the notice was served: what answers without one records nothing; what refuses needs none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import brotli
import pytest

from tests.enforce.making import HOST, NOTICE, SITE, TODAY
from tests.web.making import FORM, KEYS, SAME, Visitor, gateway, header, request
from volens.enforce.html import Withheld
from volens.enforce.url import Target
from volens.web.gateway import Gateway
from volens.web.screens import Screens


@pytest.fixture
def made(tmp_path: Path) -> Gateway:
    return gateway(tmp_path)


def answered(visitor: Visitor, notice: str, fields: str) -> int:
    body = f"notice={notice}&back=%2Fa&{fields}".encode()
    return visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], body).status


GRANTS = ["answer=accept", "answer=switches&purposes=video", "answer=service&services=videotube"]


@pytest.mark.parametrize("fields", GRANTS)
@pytest.mark.parametrize("proof", ["", ".", ".00000000", ".0", ".é", "." + "0" * 5000])
def test_a_blind_grant_records_nothing(made: Gateway, fields: str, proof: str) -> None:
    visitor = Visitor(made)
    assert answered(visitor, NOTICE.short + proof, fields) == 409 and visitor.jar == {}
    assert made.store.totals(HOST, TODAY, TODAY) == []
    assert answered(visitor, made.named(SITE), fields) == 303 and "__Host-volens-record" in visitor.jar


@pytest.mark.parametrize("fields", ["answer=refuse", "answer=withdraw", "answer=switches"])
def test_a_refusal_and_a_withdrawal_need_no_proof(made: Gateway, fields: str) -> None:
    assert answered(Visitor(made), NOTICE.short, fields) == 303
    visitor = Visitor(made)
    assert visitor.choose("answer=accept").status == 303 and "video" in visitor.granted()
    assert answered(visitor, NOTICE.short, fields) == 303 and visitor.granted() == set() and "__Host-volens-record" not in visitor.jar


def test_a_page_kept_for_a_fortnight_still_answers_and_an_older_one_is_asked_by_the_panel(made: Gateway) -> None:
    kept = made.named(SITE)
    made.now.forward(days=14)  # type: ignore[attr-defined]
    assert answered(Visitor(made), kept, "answer=accept") == 303
    made.now.forward(days=7)  # type: ignore[attr-defined]
    visitor = Visitor(made)
    body = f"notice={kept}&back=%2Farticle&answer=accept".encode()
    reply = visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], body)
    again = re.search(r'name="notice" value="([^"]+)"', reply.body.decode())
    assert reply.status == 409 and again and b'value="/article"' in reply.body
    assert answered(visitor, again[1], "answer=accept") == 303 and "video" in visitor.granted()


def test_a_script_is_told_that_its_notice_is_stale(made: Gateway) -> None:
    body = json.dumps({"notice": NOTICE.short, "answer": "accept", "surface": "panel"})
    reply = Visitor(made).choose(body, kind=b"application/json")
    assert reply.status == 409 and json.loads(reply.body) == {"error": "stale", "notice": NOTICE.short}, "no proof in the answer"


def test_a_proof_holds_for_one_site_one_notice_and_any_of_the_keys(made: Gateway, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    rotated = gateway(tmp_path / "new", keys=(b"n" * 32, KEYS[0]))
    assert rotated.named(SITE) != made.named(SITE) and answered(Visitor(rotated), made.named(SITE), "answer=accept") == 303
    other = made.named(SITE).partition(".")[2]
    assert not gateway(tmp_path / "new", keys=(b"x" * 32,)).is_named(SITE, f"{NOTICE.short}.{other}")
    demonstration = gateway(tmp_path / "new", site=None)
    one, two = demonstration.site("one.example"), demonstration.site("two.example")
    swapped = f"{two.notice.short}.{demonstration.named(one).partition('.')[2]}"
    assert demonstration.is_named(one, demonstration.named(one)) and not demonstration.is_named(two, swapped)


def test_every_form_that_can_grant_carries_it(made: Gateway) -> None:
    screens, none, named = made.screens(SITE), made.visit(request("GET", "/a")).grant, made.named(SITE)
    withheld = Withheld(Target("https", "www.videotube.example", "/embed"), "/_volens/embed/frame?u=x", "fr")
    (gate, *_) = SITE.gates
    decision = none.decide(gate.purpose)
    texts = [
        screens.dress(none, "fr").body,
        screens.panel(none, "fr", "/"),
        screens.dialog("fr")[1].decode(),
        screens.place(SITE.notice.services_asked[0], withheld),
        screens.gate(gate, decision, "fr", "POST", "/comments", [], grant=none),
        screens.area(gate, decision, none, "fr"),
    ]
    assert all(named in text for text in texts)
    for text in texts:
        assert not re.search(NOTICE.short + r"(?!\.)", text), "each mention has the proof"


def test_a_page_of_another_week_is_another_page_to_caches(made: Gateway) -> None:
    key = lambda: made.visit(request("GET", "/a"))._state.key
    first = key()
    made.now.forward(days=7)  # type: ignore[attr-defined]
    assert key() != first and header(Visitor(made).send("GET", "/_volens/panel"), "etag") == []


def test_it_costs_a_page_sixteen_bytes_at_most(made: Gateway) -> None:
    none = made.visit(request("GET", "/a")).grant
    with_it, without = (Screens(SITE, {}, named).dress(none, "fr").body.encode() for named in (made.named(SITE), ""))
    assert len(brotli.compress(with_it)) - len(brotli.compress(without)) <= 16
