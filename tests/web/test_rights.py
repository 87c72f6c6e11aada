"""A visitor's rights over the choice: see it, take it along, have it forgotten; and nobody else's (R14, R15, R20, R23)."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from looking import faults
from screens_site import PART, RECORD, Desk

from tests.enforce.making import HOST, NOTICE, TODAY
from tests.running import until
from tests.web.making import FORM, ORIGIN, SAME, Clock, Visitor, cookies_of, forged, gateway, header, request, settle
from volens.choice import Choice
from volens.errors import StoreUnavailable
from volens.ledger.record import EVENTS, METHODS, SURFACES, Record
from volens.ledger.sqlite import SqliteStore
from volens.web.gateway import Gateway
from volens.web.messages import Pairs
from volens.web.screens import packaged_texts
from volens.web.screens.mine import RECORD_FIELDS

OPENED: Pairs = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]


def totals(made: Gateway) -> dict[str, int]:
    return {row["event"]: row["count"] for row in made.store.totals(HOST, TODAY, TODAY)}


def forget(visitor: Visitor, pairs: Pairs = SAME, fields: str = "answer=forget&back=%2Fa&language=fr") -> Any:
    return visitor.send("POST", "/_volens/forget", [(b"content-type", FORM), *pairs], fields.encode())


# --- See it, take it along


def test_every_field_of_a_record_is_told_and_explained() -> None:
    assert set(RECORD_FIELDS) == {field.name for field in dataclasses.fields(Record)} | {"format"}
    for texts in packaged_texts().values():
        assert {f"record.{name}" for name in RECORD_FIELDS} <= texts.keys()
        assert {f"event.{x}" for x in EVENTS} | {f"method.{x}" for x in METHODS} | {f"surface.{x}" for x in SURFACES} <= texts.keys()


def test_who_granted_is_shown_and_given_the_record_as_the_ledger_holds_it(made: Gateway, visitor: Visitor) -> None:
    visitor.choose("answer=switches&purposes=video&services=videotube&surface=panel&language=fr")
    id = visitor.jar["__Host-volens-record"].split(".")[1]
    kept = made.store.record(id)
    assert kept is not None
    reply = visitor.send("GET", "/_volens/choice.json?language=fr", OPENED)
    told = json.loads(reply.body)
    assert told["recorded"] == kept.to_json() and told["record"] == id and told["choice"] == visitor.jar["volens"]
    assert told["meaning"].keys() == told["recorded"].keys() and all(told["meaning"].values())
    assert told["cookies"]["volens"]["purposes"] == ["video"] and told["cookies"]["__Host-volens-record"] == {"record": id}
    assert header(reply, "content-disposition") == [f'attachment; filename="choice-{HOST}.json"']
    assert header(reply, "cache-control") == ["no-store"]
    page = visitor.send("GET", "/_volens/rights?language=fr", OPENED).body.decode()
    for value in (
        id,
        kept.notice,
        "10:00:00 UTC" if kept.time.hour == 10 else f"{kept.time:%H:%M:%S} UTC",
        "interrupteurs, puis",
        visitor.jar["volens"],
    ):
        assert value in page, value


def test_who_refused_is_shown_and_given_the_cookie_because_there_is_nothing_else(made: Gateway, visitor: Visitor) -> None:
    visitor.choose("answer=refuse")
    told = json.loads(visitor.send("GET", "/_volens/choice.json", OPENED).body)
    assert told["recorded"] is None and told["record"] is None and told["cookies"].keys() == {"volens"}
    assert told["cookies"]["volens"]["text"] == visitor.jar["volens"] and not any(told["purposes"].values())
    page = visitor.send("GET", "/_volens/rights?language=fr", OPENED).body.decode()
    assert visitor.jar["volens"] in page and "Un refus n’est enregistré nulle part ailleurs" in page and "__Host-volens-record" not in page


def test_who_has_not_answered_is_told_that_there_is_nothing(visitor: Visitor) -> None:
    told = json.loads(visitor.send("GET", "/_volens/choice.json", OPENED).body)
    assert (told["choice"], told["cookies"], told["recorded"]) == (None, {}, None)
    page = visitor.send("GET", "/_volens/rights?language=fr", OPENED).body.decode()
    assert "<p>Rien.</p>" in page and "Rien qui se rattache à ce navigateur." in page
    assert 'id="take"' not in page and 'id="forget"' not in page, "there is nothing to take along or to forget"


@pytest.mark.parametrize(
    "pairs",
    [
        [(b"sec-fetch-mode", b"cors"), (b"sec-fetch-dest", b"empty")],
        [(b"sec-fetch-mode", b"same-origin"), (b"sec-fetch-dest", b"empty")],
        [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"iframe")],
        [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"object")],
    ],
)
@pytest.mark.parametrize("page", ["rights", "choice.json", "policy", "policy.json"])
def test_a_script_is_told_no_record_by_fetch_nor_by_frame(made: Gateway, visitor: Visitor, page: str, pairs: Pairs) -> None:
    visitor.choose("answer=accept")
    id = visitor.jar["__Host-volens-record"].split(".")[1].encode()
    assert id in visitor.send("GET", f"/_volens/{page}", OPENED).body, "what is looked for is there"
    body = visitor.send("GET", f"/_volens/{page}", pairs).body
    assert id not in body and b'"time"' not in body and b"<time" not in body


def test_the_panel_is_the_same_with_and_without_script_so_it_tells_no_record(visitor: Visitor) -> None:
    visitor.choose("answer=accept")
    assert visitor.jar["__Host-volens-record"].split(".")[1].encode() not in visitor.send("GET", "/_volens/panel", OPENED).body


@pytest.mark.parametrize("page", ["rights", "choice.json", "policy"])
def test_a_window_that_a_script_opened_is_out_of_its_reach(visitor: Visitor, page: str) -> None:
    assert header(visitor.send("GET", f"/_volens/{page}", OPENED), "cross-origin-opener-policy") == ["same-origin"]


def test_another_s_record_is_shown_to_nobody(made: Gateway, visitor: Visitor) -> None:
    """A number alone opens nothing: the cookie's tag ties it to the very answer."""
    visitor.choose("answer=accept")
    id = visitor.jar["__Host-volens-record"].split(".")[1]
    choice = Choice.accept_all(NOTICE, TODAY)
    stranger = forged(choice, keys=(b"x" * 32,), record=id)
    for page in ("rights", "choice.json"):
        visit = made.visit(request("GET", f"/_volens/{page}", [*stranger, *OPENED]))
        assert id.encode() not in settle(visit.answer(b"")).body


class Unread(SqliteStore):
    def record(self, id: str) -> Record | None:
        raise StoreUnavailable("the disk is gone")


def test_a_ledger_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    made = gateway(tmp_path, Unread)
    visitor = Visitor(made)
    visitor.choose("answer=accept")
    reply = visitor.send("GET", "/_volens/rights?language=fr", OPENED)
    assert reply.status == 200 and "Le registre ne répond pas en ce moment" in reply.body.decode()
    assert json.loads(visitor.send("GET", "/_volens/choice.json", OPENED).body)["unavailable"] is True
    made.store.close()


# --- Forget me


def test_forgetting_withdraws_expires_and_drops_the_number(made: Gateway, visitor: Visitor) -> None:
    visitor.choose("answer=accept")
    id = visitor.jar["__Host-volens-record"].split(".")[1]
    visitor.jar["vt_a"] = visitor.jar["rien"] = "1"
    asked = visitor.send("GET", "/_volens/forget?back=%2Fa", OPENED)
    assert asked.status == 200 and header(asked, "set-cookie") == [] and visitor.granted() == set(NOTICE.askable), "asking does nothing"
    reply = forget(visitor)
    assert reply.status == 303 and header(reply, "location") == ["/_volens/forget?done=record&language=fr&back=/a"]
    assert {"volens", "__Host-volens-record", "vt_a", "rien"} <= cookies_of(reply).keys() and not any(cookies_of(reply).values())
    assert len([line for line in header(reply, "set-cookie") if line.startswith("volens=")]) == 1
    assert visitor.jar == {} and visitor.granted() == set()
    told = visitor.send("GET", header(reply, "location")[0], OPENED).body.decode()
    assert "ne garde plus rien de votre choix" in told and "retiré et effacé de notre registre" in told
    assert until(lambda: totals(made) == {"given": 1, "withdrawn": 1}), "a withdrawal waits for no record"
    assert made.store.record(id) is None, "what is forgotten is erased; that it was withdrawn stays proved"
    assert made.visit(request("GET", "/a", visitor.cookie())).grant.asked, "and the site asks anew"


def test_a_refuser_is_forgotten_and_not_counted_again(made: Gateway, visitor: Visitor) -> None:
    visitor.choose("answer=refuse")
    asked = visitor.send("GET", "/_volens/forget?language=fr", OPENED).body.decode()
    assert "Le cookie de votre choix est effacé." in asked and "registre" not in asked, "no record is promised to be erased"
    done = visitor.send("GET", header(forget(visitor), "location")[0], OPENED).body.decode()
    assert "ne garde plus rien de votre choix" in done and "retiré et effacé" not in done
    assert visitor.jar == {} and totals(made) == {"refused": 1}
    forget(visitor)
    assert totals(made) == {"refused": 1}


def test_who_never_chose_is_not_told_that_something_was_forgotten(visitor: Visitor) -> None:
    page = visitor.send("GET", "/_volens/forget?language=fr", OPENED).body.decode()
    assert "il n’y a rien à oublier ici" in page and "<form" not in page
    assert "ne garde plus rien" not in page and "retiré et effacé" not in page


def test_what_the_site_needs_to_run_is_not_forgotten(visitor: Visitor) -> None:
    visitor.choose("answer=accept")
    visitor.jar["session"] = "1"
    forget(visitor)
    assert visitor.jar == {"session": "1"}


CROSS: dict[str, Pairs] = {
    "another site": [(b"sec-fetch-site", b"cross-site")],
    "a sister site": [(b"sec-fetch-site", b"same-site")],
    "typed by hand": [(b"sec-fetch-site", b"none")],
    "two claims": [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site")],
    "another origin": [(b"origin", b"https://evil.example")],
    "another scheme": [(b"origin", ORIGIN.replace("https", "http").encode())],
    "another port": [(b"origin", f"{ORIGIN}:8443".encode())],
}


@pytest.mark.parametrize("who", CROSS)
def test_nobody_else_makes_a_visitor_be_forgotten(made: Gateway, visitor: Visitor, who: str) -> None:
    visitor.choose("answer=accept")
    token = re.search(r'name="token" value="(\w+)"', visitor.send("GET", "/_volens/forget").body.decode())
    assert token, "even with a token of the hour"
    reply = forget(visitor, CROSS[who], f"answer=forget&token={token[1]}")
    assert reply.status == 403 and header(reply, "set-cookie") == [] and visitor.granted() == set(NOTICE.askable)


def test_a_page_without_a_name_makes_nobody_forgotten(visitor: Visitor) -> None:
    visitor.choose("answer=accept")
    asked = visitor.send("GET", "/_volens/forget")
    token = re.search(r'name="token" value="(\w+)"', asked.body.decode())
    assert token and header(asked, "referrer-policy") == ["same-origin"]
    assert header(forget(visitor, [(b"origin", b"null")], f"answer=forget&token={token[1]}"), "set-cookie") == []


def test_where_the_browser_does_not_say_it_is_asked_with_a_token(visitor: Visitor, clock: Clock) -> None:
    pairs: Pairs = []
    visitor.choose("answer=accept")
    for wrong in ("", "&token=0123456789abcdef0123456789abcdef", "&token=%ff"):
        reply = forget(visitor, pairs, "answer=forget" + wrong)
        assert reply.status == 200 and header(reply, "set-cookie") == []
    token = re.search(r'name="token" value="(\w+)"', reply.body.decode())
    assert token
    clock.forward(hours=3)
    assert header(forget(visitor, pairs, f"answer=forget&token={token[1]}"), "set-cookie") == [], "a token lives an hour or two"
    clock.forward(hours=-3)
    assert forget(visitor, pairs, f"answer=forget&token={token[1]}").status == 303 and visitor.jar == {}


def test_a_get_a_prefetch_and_a_form_that_says_nothing_forget_nothing(visitor: Visitor) -> None:
    visitor.choose("answer=accept")
    for method, target, body in (
        ("GET", "/_volens/forget?answer=forget&back=/a", b""),
        ("HEAD", "/_volens/forget?answer=forget", b""),
        ("POST", "/_volens/forget?answer=forget", b""),
        ("POST", "/_volens/forget", b"answer=accept"),
        ("POST", "/_volens/forget", b"x" * 70000),
    ):
        reply = visitor.send(method, target, [(b"content-type", FORM), *SAME], body)
        assert header(reply, "set-cookie") == [], (method, target)
    assert visitor.send("DELETE", "/_volens/forget", SAME).status == 405
    assert visitor.granted() == set(NOTICE.askable)


def test_the_way_back_is_local(visitor: Visitor) -> None:
    for hostile in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        page = visitor.send("GET", f"/_volens/forget?back={hostile}").body
        assert b"evil.example" not in page and b"javascript:" not in page
        reply = forget(visitor, SAME, f"answer=forget&back={hostile}")
        assert header(reply, "location") == ["/_volens/forget?done=choice&language=fr&back=/"]


# --- In a browser


@pytest.mark.parametrize("script", (True, False))
@pytest.mark.parametrize(("width", "scheme"), ((320, "light"), (1280, "dark")))
def test_from_the_panel_to_what_is_kept_and_to_forgetting(show: Any, desk: Desk, script: bool, width: int, scheme: str) -> None:
    page = show("/_volens/panel?grant=part", width, 640, java_script_enabled=script, color_scheme=scheme)
    page.get_by_role("link", name="Voir ce qui est enregistré de votre choix").click()
    page.goto(page.url + "&grant=part")
    text = page.locator("main").inner_text()
    for needed in (RECORD.id, PART.text(), RECORD.notice, "22 novembre 2026, 10:23:05 UTC", "accord donné", "CNIL", "Canal", "Régie Océan"):
        assert needed in text, needed
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth") and (not script or faults(page) == [])
    page.get_by_role("link", name="Oublier mon choix").click()
    page.goto(page.url + "&grant=part")
    assert "L’enregistrement est effacé de notre registre" in page.locator("main").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth") and (not script or faults(page) == [])
    page.get_by_role("button", name="Oublier mon choix").click()
    page.wait_for_selector("#sent")
    path, fields = desk.seen.posts.pop()
    assert path == "/_volens/forget" and fields["answer"] == ["forget"] and fields["back"] == ["/article"]


def test_staying_and_forgetting_weigh_the_same(show: Any) -> None:
    page = show("/_volens/forget?grant=part")
    ways = page.locator(".ways > *")
    look = "e => [e.offsetWidth, e.offsetHeight, getComputedStyle(e).backgroundColor, getComputedStyle(e).color].join()"
    assert ways.count() == 2 and ways.nth(0).evaluate(look) == ways.nth(1).evaluate(look)
