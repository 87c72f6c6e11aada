"""An objection reaches the tools that are declared exempt: nothing of them is set, read, loaded or told (R28; GDPR 21)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.audience.making import COUNTED, HTML, counting
from tests.enforce.making import CATALOG, HOST, NOTICE, SITE, TODAY
from tests.web.making import SAME, Visitor, gateway, header, request, send
from volens.choice import Choice, Signals
from volens.enforce.guard import refused_hosts
from volens.enforce.hosts import Hosts
from volens.enforce.storage import Storage
from volens.notice import Purpose, Service, StorageKey
from volens.policy import Decision, Grant, Reason, grant
from volens.site import Site
from volens.web.gateway import Gateway

AUDIENCE = Purpose("audience", {"fr": "Audience"}, {"fr": "Compter."}, exempt="audience")
MESURE = Service("mesure", "Mesure", ("audience",), ("/mesure/*",), (StorageKey("_m*", purpose="audience", days=390, service="mesure"),))
APART = Service("apart", "Apart", ("audience",), ("stats.site.example",), (StorageKey("_a", "local", purpose="audience", service="apart"),))
BOTH = Service("both", "Both", ("audience", "video"), ("both.example",), (StorageKey("_b", purpose="audience", service="both"),))
EXEMPT = replace(
    NOTICE,
    purposes=tuple(AUDIENCE if p.id == "audience" else p for p in NOTICE.purposes),
    services=(*(s for s in NOTICE.services if s.id != "mesure"), MESURE, APART, BOTH),
)
TOOLS: Site = replace(SITE, notice=EXEMPT, storage=(*SITE.storage, StorageKey("own_m", purpose="audience")))
OBJECTS = (b"cookie", b"volens-audience=0")
PAGE = b"""<!doctype html><title>a</title><script src=/mesure/m.js></script><script src=https://stats.site.example/s.js></script>
<img src="/mesure/hit?x=1"><img src=/photo.jpg>"""


def at(objects: bool, *purposes: str) -> Grant:
    return grant(EXEMPT, Choice(EXEMPT.short, TODAY, frozenset(purposes)), Signals(objects=objects), TODAY)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Gateway]:
    opened = gateway(tmp_path, site=TOOLS)
    yield opened
    opened.close()


def told(made: Gateway, *pairs: tuple[bytes, bytes]) -> dict[bytes, bytes]:
    return dict(made.visit(request("GET", "/a", list(pairs))).forward)


def test_it_stops_measurement_and_nothing_else() -> None:
    before, after = at(False, "video"), at(True, "video")
    assert before.allows("audience") and before.allows("mesure") and before.allows("apart")
    assert after.decide("audience") == Decision(False, Reason.OBJECTED, "audience")
    assert after.decide("mesure").reason is after.decide("apart").reason is Reason.OBJECTED
    assert after.decide(MESURE.storage[0]).reason is Reason.OBJECTED
    assert after.decide("both").reason is Reason.GRANTED, "what a purpose that asks was granted for goes on"
    assert after.decide(BOTH.storage[0]).reason is Reason.OBJECTED, "without what it keeps to measure"
    assert {p for p in EXEMPT.purpose if before.allows(p)} - {p for p in EXEMPT.purpose if after.allows(p)} == {"audience"}
    assert before.key != after.key and before.storage_share == after.storage_share


def test_where_nothing_is_exempt_it_changes_nothing() -> None:
    same = grant(NOTICE, None, Signals(objects=True), TODAY)
    assert same == grant(NOTICE, None, Signals(), TODAY)


def test_an_open_chain_stays_open_only_where_the_server_itself_withholds_the_tool() -> None:
    everything = tuple(EXEMPT.askable)
    assert at(False, *everything).open_chain and not at(True, *everything).open_chain, "stats.site.example could be reached"
    own = replace(EXEMPT, services=tuple(s for s in EXEMPT.services if s.id != "apart"))
    for objects in (False, True):
        assert grant(own, Choice.accept_all(own, TODAY), Signals(objects=objects), TODAY).open_chain


def test_hosts_paths_and_names_are_withheld() -> None:
    hosts, storage = Hosts(TOOLS, at(True), CATALOG, HOST), Storage(TOOLS, at(True), CATALOG)
    assert hosts.decide("stats.site.example", "script").reason is Reason.OBJECTED
    assert "stats.site.example" in refused_hosts(hosts), "the site's own names pass the policy header"
    assert hosts.collection(HOST, "/mesure/anything?x=1") and not hosts.collection(HOST, "/autre")
    for name in ("_m1", "own_m"):
        assert storage.decide(name).reason is Reason.OBJECTED and name not in storage.names("cookie")
    assert "_a" not in storage.names("local") and "_a" in Storage(TOOLS, at(False), CATALOG).names("local")


@pytest.mark.parametrize("how", [OBJECTS, (b"dnt", b"1")])
def test_the_page_and_the_request_are_without_it(made: Gateway, how: tuple[bytes, bytes]) -> None:
    for pairs, objects in (([], False), ([how], True)):
        visit = made.visit(request("GET", "/a", [*pairs, (b"cookie", b"_m1=x; own_m=y; panier=1"), (b"sec-fetch-dest", b"document")]))
        sent = dict(visit.forward)
        assert (b"audience=?0" in sent[b"volens-consent"]) == objects
        assert (b"mesure" in sent[b"volens-consent"]) != objects
        assert (b"_m1=x" in sent[b"cookie"]) == (b"own_m" in sent[b"cookie"]) == (not objects) and b"panier=1" in sent[b"cookie"]
        _, answered, body = visit.whole(200, [*HTML, (b"set-cookie", b"own_m=z; Path=/")], PAGE)
        lines = [value for key, value in answered if key == b"set-cookie"]
        assert (b"own_m=z; Path=/" in lines) != objects
        assert any(line.startswith(b"_m1=; Max-Age=0") for line in lines) == objects, "expired on sight, without any choice"
        for address in (b"src=/mesure/m.js", b"src=https://stats.site.example/s.js", b'src="/mesure/hit?x=1"'):
            assert (b" " + address in body) != objects, address
        assert b"<img src=/photo.jpg>" in body
        assert "DNT" in dict(answered)[b"vary"].decode()


def test_its_requests_are_withheld_by_the_server_too(made: Gateway) -> None:
    def own(dest: bytes | None, accept: bytes, path: str = "/mesure/m.js", *more: tuple[bytes, bytes]) -> bool:
        pairs = [(b"accept", accept), *more] + ([(b"sec-fetch-dest", dest)] if dest else [])
        return made.visit(request("GET", path, pairs)).own

    page, other = b"text/html,*/*;q=0.8", b"*/*"
    for dest in (b"script", b"image", b"empty"):
        assert own(dest, other, "/mesure/m.js", OBJECTS) and not own(dest, other)
    assert own(None, other, "/mesure/hit?x", OBJECTS), "a browser that says nothing of itself, without script"
    assert not own(None, other) and not own(None, other, "/autre", OBJECTS)
    assert not own(b"document", page, "/mesure/", OBJECTS) and not own(None, page, "/mesure/", OBJECTS), "a page of it can be opened"
    assert send(made, "GET", "/mesure/m.js", [OBJECTS, (b"sec-fetch-dest", b"script")]).status == 204


def test_the_policy_page_holds_the_switch_and_it_needs_no_choice(made: Gateway) -> None:
    visitor = Visitor(made)
    visitor.jar = {"_m1": "x", "panier": "1"}
    text = visitor.send("GET", "/_volens/policy?language=fr&back=%2Fa").body.decode()
    part = text.split('<section id="audience">')[1].split("</section>")[0]
    assert "Mesure, Apart" in part.replace(" et ", ", ") and 'value="object">Ne pas compter mes visites' in part
    form = "answer=object&surface=panel&object=0"
    back = "&back=%2F_volens%2Fpolicy%3Flanguage%3Dfr%23audience"
    typed = [(b"content-type", b"application/x-www-form-urlencoded"), *SAME]
    reply = visitor.send("POST", "/_volens/choice", typed, f"{form}&object=1{back}".encode())
    assert reply.status == 303 and header(reply, "location") == ["/_volens/policy?language=fr#audience"]
    assert visitor.jar == {"volens-audience": "0", "panier": "1"}, "what the tool kept is gone, no choice is made"
    assert told(made, *visitor.cookie())[b"volens-consent"].startswith(b"technique, audience=?0")
    page = visitor.send("GET", "/_volens/policy?language=fr").body.decode()
    assert "Vos visites ne sont pas comptées" in page and "Compter de nouveau mes visites" in page
    assert json.loads(visitor.send("GET", "/_volens/policy.json").body)["audience"]["objects"] is True
    assert 'name="object" value="1"' in (panel := visitor.send("GET", "/_volens/panel").body.decode()) and "Mesure" in panel
    visitor.send("POST", "/_volens/choice", typed, form.encode())
    assert "volens-audience" not in visitor.jar and b"audience=?0" not in told(made, *visitor.cookie())[b"volens-consent"]


def test_an_objection_leaves_no_identifier_and_no_row(made: Gateway) -> None:
    """Two visitors who object are told the same bytes; the ledger knows of neither."""
    replies = []
    for _ in range(2):
        visitor = Visitor(made)
        visitor.jar = {"_m1": "x"}
        replies.append(visitor.choose("answer=object&surface=panel&object=0&object=1"))
        assert visitor.jar == {"volens-audience": "0"}
    assert replies[0] == replies[1]
    assert made.store.totals(HOST, TODAY, TODAY) == []
    other = send(made, "POST", "/_volens/choice", [(b"sec-fetch-site", b"cross-site")], b"answer=object&object=0&object=1")
    assert other.status == 403 and not header(other, "set-cookie"), "another site cannot object for the visitor"


@pytest.mark.parametrize("answer", ["refuse", "accept"])
def test_the_panel_s_answer_stops_it_in_the_same_breath(made: Gateway, answer: str) -> None:
    visitor = Visitor(made)
    visitor.jar = {"_m1": "x"}
    value = {"notice": made.named(made.site(HOST)), "answer": answer, "surface": "panel", "back": "/a", "object": ["0", "1"]}
    made_ = visitor.choose(json.dumps(value), kind=b"application/json")
    body = json.loads(made_.body)
    assert made_.status == 201 and body["reload"] is True and "!audience" in body["grant"] and "_m1" not in visitor.jar
    assert "|_m" not in body["keep"]["C"]
    again = json.loads(visitor.choose(json.dumps({**value, "object": []}), kind=b"application/json").body)
    assert again["reload"] is False and again["grant"] == body["grant"], "an answer that shows no switch leaves it as it is"


def test_the_own_count_alone_is_stopped_from_the_policy_page_too(tmp_path: Path) -> None:
    made = counting(tmp_path, site=COUNTED)
    visitor = Visitor(made)
    assert "Ne pas compter mes visites" in visitor.send("GET", "/_volens/policy?language=fr").body.decode()
    visitor.choose("answer=object&surface=panel&object=0&object=1")
    assert visitor.jar == {"volens-audience": "0"}
    made.close()
