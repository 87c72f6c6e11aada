"""What is served is what is counted: which answers are page views, what an objection does, and what is never kept."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.audience.making import COUNTED, GOOGLEBOT, HTML, OLD, counting, fields, serve
from tests.enforce.making import HOST, NOTICE
from tests.web.making import SAME, Clock, Visitor, cookies_of, header, request, send, settle
from volens.audience.counts import Figures
from volens.site import Audience
from volens.web.gateway import Gateway
from volens.web.messages import Pairs

TODAY = date(2026, 11, 22)


def figures(made: Gateway) -> Figures:
    assert made.audience is not None
    return made.audience.read(HOST, date(2026, 1, 1), date(2026, 12, 31))


def counted(made: Gateway) -> int:
    return figures(made).total


def test_a_page_served_is_counted_whole_from_memory_and_streamed(made: Gateway) -> None:
    for _ in range(3):  # the second and third from the memo
        serve(made, "/a?id=42")
    serve(made, "/long", streamed=True)
    serve(made, "/x", head=[(b"content-type", b"application/xhtml+xml")], body=b"<html xmlns='http://www.w3.org/1999/xhtml'/>")
    assert dict(figures(made).paths) == {"/a": 3, "/long": 1, "/x": 1}


def test_a_304_is_a_page_view_too(made: Gateway) -> None:
    _, pairs, _ = serve(made)
    mark = next(value for key, value in pairs if key == b"etag")
    visit = made.visit(request("GET", "/a", fields(if_none_match=mark)))
    assert dict(visit.forward)[b"if-none-match"] == b'"a"'
    assert visit.whole(304, [(b"etag", b'"a"')], b"")[0] == 304
    assert counted(made) == 2
    robot = fields(user_agent=GOOGLEBOT, accept=b"*/*", sec_fetch_dest=None, sec_fetch_mode=None)
    serve(made, "/a.pdf", robot, status=304, head=[], body=b"")
    assert counted(made) == 2 and figures(made).bots == {}


@pytest.mark.parametrize(
    ("why", "more"),
    [
        ("not found", {"status": 404}),
        ("an error", {"status": 500}),
        ("a redirect", {"status": 302, "head": [(b"location", b"/b"), (b"content-type", b"text/html")]}),
        ("HEAD", {"method": "HEAD"}),
        ("POST", {"method": "POST"}),
        ("an image", {"head": [(b"content-type", b"image/png")], "body": b"x"}),
        ("JSON", {"head": [(b"content-type", b"application/json")], "body": b"{}"}),
        ("a feed", {"head": [(b"content-type", b"application/rss+xml")], "body": b"<rss/>"}),
        ("a fragment", {"pairs": fields(sec_fetch_dest=b"empty", sec_fetch_mode=b"cors")}),
        ("a frame", {"pairs": fields(sec_fetch_dest=b"iframe")}),
        ("a prefetch", {"pairs": fields(sec_purpose=b"prefetch")}),
        ("a page that could not be read", {"head": [*HTML, (b"content-encoding", b"unheard-of")], "streamed": True}),
    ],
)
def test_what_is_not_counted(made: Gateway, why: str, more: dict[str, object]) -> None:
    serve(made, **more)  # type: ignore[arg-type]
    assert counted(made) == 0, why


def test_nothing_of_ours_and_nothing_left_alone_is_counted(tmp_path: Path) -> None:
    made = counting(tmp_path, replace(COUNTED, leave=("/raw/*",)))
    for path in ("/_volens/panel", "/_volens/policy", "/_volens/admin/audience"):
        send(made, "GET", path, fields())
    serve(made, "/raw/x")
    assert counted(made) == 0
    serve(made, "/")
    assert counted(made) == 1
    made.close()


def test_a_gate_s_answer_is_not_a_page(made: Gateway) -> None:
    assert send(made, "GET", "/profil/x", fields()).status == 403
    assert counted(made) == 0


def test_robots_stand_apart(made: Gateway) -> None:
    serve(made, "/a", fields(user_agent=GOOGLEBOT))
    serve(made, "/a", [(b"user-agent", b"curl/8"), (b"accept", b"*/*")])
    serve(made, "/a", fields(OLD))
    assert figures(made).bots == {TODAY: 2} and counted(made) == 1
    assert dict(figures(made).paths) == {"/a": 1}


def test_whoever_answers_whatever_is_counted_alike(made: Gateway) -> None:
    """The measure is exempt: it does not depend on the choice, and changes nothing on the device."""
    for answer in ("accept", "refuse", ""):
        visitor = Visitor(made)
        if answer:
            visitor.choose(f"answer={answer}")
        _, pairs, _ = serve(made, "/a", [*fields(), *visitor.cookie()])
        assert not [value for key, value in pairs if key == b"set-cookie"]
    assert counted(made) == 3


def test_nothing_of_the_person_is_kept(tmp_path: Path) -> None:
    made = counting(tmp_path)
    secrets = {
        "user_agent": b"Mozilla/5.0 Firefox/150.0 SECRETAGENT",
        "referer": b"https://news.example/SECRETPATH?q=SECRETQUERY",
        "cookie": b"session=SECRETCOOKIE",
        "accept_language": b"br-SECRETREGION,fr",
        "authorization": b"Basic SECRETPASSWORD",
    }
    serve(made, "/a?SECRETNAME=1#SECRETMARK", fields(**secrets))
    serve(made, "/compte/SECRETPERSON", fields(**secrets))
    made.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"news.example" in kept and b"/compte/*" in kept, "the oracle sees what is kept"
    assert b"SECRET" not in kept and b"192.0.2.1" not in kept and b"Firefox" not in kept


def test_days_are_apart(tmp_path: Path) -> None:
    clock = Clock()
    made = counting(tmp_path, now=clock)
    serve(made)
    clock.forward(days=1)
    serve(made)
    assert figures(made).views == {TODAY: 1, date(2026, 11, 23): 1}
    made.close()


def test_a_site_that_does_not_count_keeps_nothing(tmp_path: Path) -> None:
    made = counting(tmp_path, replace(COUNTED, audience=Audience()))
    made._site = replace(COUNTED, audience=None)
    serve(made)
    assert made.audience is not None and made.audience.read(HOST, TODAY, TODAY).total == 0
    assert 'name="object"' not in send(made, "GET", "/_volens/panel").body.decode()
    made.close()


# The objection (R28)


def switch(made: Gateway, visitor: Visitor, pairs: Pairs = ()) -> bool:  # type: ignore[assignment]
    """Whether the panel's switch is on."""
    body = visitor.send("GET", "/_volens/panel", list(pairs)).body.decode()
    tag = body[body.index('name="object" value="1"') :].partition(">")[0]
    return "checked" in tag


@pytest.mark.parametrize(
    "answer", ["answer=switches", "answer=refuse", "answer=accept", "answer=switches&purposes=video&services=videotube"]
)
def test_who_objects_is_not_counted_until_they_take_it_back(made: Gateway, answer: str) -> None:
    visitor = Visitor(made)
    assert not switch(made, visitor), "no switch is on at first (R04)"
    reply = visitor.choose(f"{answer}&surface=panel&object=0&object=1")
    line = next(line for line in header(reply, "set-cookie") if line.startswith("volens-audience="))
    assert line == "volens-audience=0; Path=/; Max-Age=34128000; SameSite=Lax; Secure"
    assert switch(made, visitor)
    serve(made, "/a", [*fields(), *visitor.cookie()])
    assert counted(made) == 0 and figures(made).bots == {}
    assert not any(b"volens" in value for key, value in made.visit(request("GET", "/a", visitor.cookie())).forward if key == b"cookie")
    # An answer that does not show the switch leaves the objection as it is.
    visitor.choose("answer=refuse&surface=notice")
    visitor.choose("answer=service&services=videotube&surface=embed")
    assert visitor.jar["volens-audience"] == "0"
    visitor.choose(f"{answer}&surface=panel&object=0")
    assert "volens-audience" not in visitor.jar and not switch(made, visitor)
    serve(made, "/a", [*fields(), *visitor.cookie()])
    assert counted(made) == 1


def test_the_dialog_s_answer_objects_too(made: Gateway) -> None:
    visitor = Visitor(made)
    value = {"answer": "switches", "notice": NOTICE.short, "surface": "panel", "purposes": [], "services": [], "object": ["0", "1"]}
    assert visitor.choose(json.dumps(value), kind=b"application/json").status == 201
    assert visitor.jar["volens-audience"] == "0"
    assert visitor.choose(json.dumps({**value, "object": ["0"]}), kind=b"application/json").status == 201
    assert "volens-audience" not in visitor.jar


def test_an_objection_holds_although_the_notice_has_changed_or_nothing_can_be_recorded(made: Gateway) -> None:
    body = b"notice=0000000000000000&answer=switches&surface=panel&object=0&object=1"
    reply = send(made, "POST", "/_volens/choice", [(b"content-type", b"application/x-www-form-urlencoded"), *SAME], body)
    assert reply.status == 409 and cookies_of(reply)["volens-audience"] == "0"
    text = reply.body.decode()
    assert "checked" in text[text.index('name="object" value="1"') :].partition(">")[0]


def test_another_site_cannot_object_for_the_visitor(made: Gateway) -> None:
    body = f"notice={NOTICE.short}&answer=refuse&surface=panel&object=0&object=1".encode()
    reply = send(made, "POST", "/_volens/choice", [(b"sec-fetch-site", b"cross-site")], body)
    assert reply.status == 403 and "volens-audience" not in cookies_of(reply)


def test_do_not_track_objects_and_the_panel_says_so(made: Gateway) -> None:
    serve(made, "/a", fields(dnt=b"1"))
    assert counted(made) == 0
    reply = settle(made.visit(request("GET", "/_volens/panel", fields(dnt=b"1"))).answer(b""))
    assert "Do Not Track" in reply.body.decode()
    assert "Do Not Track" not in send(made, "GET", "/_volens/panel").body.decode()


def test_the_policy_page_tells_of_it_and_leads_to_the_switch(made: Gateway) -> None:
    text = send(made, "GET", "/_volens/policy").body.decode()
    assert "Ce site compte lui-même les pages lues" in text and 'href="/_volens/panel#audience"' in text


def test_a_choice_changes_no_page_of_who_objects(made: Gateway) -> None:
    """The objection is no part of the page's state: the same bytes, the same mark."""
    one = serve(made, "/a")
    other = serve(made, "/a", [*fields(), (b"cookie", b"volens-audience=0")])
    assert one == other
