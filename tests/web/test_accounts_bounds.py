"""Where an account's choice ends: cookies that another host of the domain planted, sockets, caches, a slow disk, and the pages that
tell a visitor what is kept (R36–R39)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.enforce.making import HOST, NOTICE, SITE, TODAY
from tests.web.making import Clock, Visitor, away, header, request, settle
from tests.web.test_accounts import (
    ACCOUNT,
    ACCOUNT_NO,
    EVERYTHING,
    HTML,
    PAGE,
    Device,
    break_file,
    events,
    members,
    mend,
    opened,
    rows,
    text,
)
from tests.web.wsgi_server import domain
from volens.accounts import Row
from volens.choice import Choice
from volens.ledger.sqlite import SqliteStore
from volens.web.asgi import AsgiFace, visited
from volens.web.gateway import Gateway
from volens.web.visit import Visit

PLAIN = "volens-account"
OPENED = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def made(tmp_path: Path, clock: Clock) -> Gateway:
    return opened(tmp_path, clock)


def row(made: Gateway, device: Device) -> Row | None:
    assert made.accounts is not None
    return made.accounts.get(HOST, device.jar[ACCOUNT].split(".")[1])


# --- Planted cookies


def test_a_cookie_that_a_sub_domain_can_set_names_nobody(made: Gateway) -> None:
    thief = Device(made).login("thief")
    thief.choose("answer=accept")
    before = row(made, thief)
    victim = Device(made)
    victim.jar[PLAIN] = thief.jar[ACCOUNT]
    assert victim.granted() == set()
    assert "volens-consent" not in text(victim.see()) and made.visit(request("GET", "/a", victim.cookie())).grant.account == ""
    victim.choose("answer=refuse")
    assert row(made, thief) == before and thief.granted() == EVERYTHING, "the victim's answer is the victim's"
    assert victim.jar["volens"].endswith(".-")
    assert PLAIN not in str(dict(made.visit(request("GET", "/a", victim.cookie())).forward)), "and the application never sees it"


def test_beside_the_true_one_it_changes_nothing(made: Gateway) -> None:
    thief, victim = Device(made).login("thief"), Device(made).login("marie")
    thief.choose("answer=accept")
    victim.choose("answer=refuse")
    for planted in (thief.jar[ACCOUNT], "x", ""):
        victim.jar[PLAIN] = planted
        assert victim.granted() == set() and row(made, victim) is not None
    victim.choose("answer=switches&purposes=video&services=videotube")
    assert victim.granted() == {"video"} and thief.granted() == EVERYTHING


def twice(device: Device, other: str) -> list[tuple[bytes, bytes]]:
    """The device's cookies, and a second one of the same name."""
    (pair,) = device.cookie()
    return [(b"cookie", pair[1] + f"; {ACCOUNT}={other}".encode())]


def test_where_two_names_arrive_all_the_same_nothing_is_granted_linked_or_changed(made: Gateway) -> None:
    thief, victim = Device(made).login("thief"), Device(made)
    thief.choose("answer=accept")
    victim.choose("answer=accept")
    victim.login("marie").choose("answer=accept")
    kept = row(made, thief), row(made, victim)
    both = twice(victim, thief.jar[ACCOUNT])
    grant = made.visit(request("GET", "/a", both)).grant
    assert grant.purposes == frozenset() and grant.account == "", "an old browser that knows no prefix"
    notice = made.named(made.site(HOST))
    for answer in ("refuse", "accept"):
        body = json.dumps({"notice": notice, "answer": answer}).encode()
        sent = [*both, (b"content-type", b"application/json"), (b"sec-fetch-site", b"same-origin")]
        assert settle(made.visit(request("POST", "/_volens/choice", sent)).answer(body)).status == 201
    assert (row(made, thief), row(made, victim)) == kept


@pytest.mark.parametrize("name", [ACCOUNT_NO, "volens-account-no"])
def test_no_planted_refusal_reaches_the_account(made: Gateway, name: str) -> None:
    thief, device = Device(made).login("thief"), Device(made).login("marie")
    device.choose("answer=accept")
    signed = made.aside_cookie(SITE, request("GET", "/a"), thief.jar[ACCOUNT].split(".")[1], TODAY)[1].decode().partition("=")[2]
    for planted in ("1", "", signed.partition(";")[0], f"1.{TODAY}.{'0' * 32}"):
        device.jar[name] = planted
        assert device.granted() == EVERYTHING
        device.see()
    kept = row(made, device)
    assert kept is not None and not kept.choice.refuses_all


def test_two_answers_of_a_device_hide_no_refusal_of_its_own(made: Gateway) -> None:
    Device(made).login("marie").choose("answer=accept")
    device = Device(made)
    device.choose("answer=refuse")
    device.login("marie")
    assert device.granted() == set()
    (pair,) = device.cookie()
    planted = [(b"cookie", pair[1] + b"; volens=" + Choice.accept_all(NOTICE, TODAY).text().encode())]
    assert made.visit(request("GET", "/a", planted)).grant.purposes == frozenset()


@pytest.mark.parametrize(
    ("scheme", "host", "name"),
    [
        ("https", HOST, ACCOUNT),
        ("http", HOST, None),
        ("http", "www.localhost:8080", None),
        ("http", "localhost:8080", PLAIN),
        ("http", "127.0.0.1:8080", PLAIN),
        ("http", "[::1]", PLAIN),
    ],
)
def test_over_plain_http_only_a_host_without_sub_domains_remembers_an_account(
    made: Gateway, scheme: str, host: str, name: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    device = Device(made, scheme=scheme, host=host).login("marie")
    assert list(device.jar) == ([name] if name else [])
    assert ("over https alone" in caplog.text) is (name is None)


@pytest.fixture
def hosts(tmp_path: Path, clock: Clock) -> Iterator[tuple[Gateway, str, list[tuple[str, str]]]]:
    """``www.site.localhost`` behind Volens, ``evil.site.localhost`` beside it, over TLS; what evil's page sets is the list."""
    made = opened(tmp_path, clock)
    with domain(tmp_path, made, members(PAGE)) as (at, tosses):
        yield made, at, tosses
    made.close()


def test_in_a_browser_a_sub_domain_can_plant_no_account(chromium: Browser, hosts: tuple[Gateway, str, list[tuple[str, str]]]) -> None:
    made, at, tosses = hosts
    hash = made.account_hashes(SITE, b"thief")[0]
    line = made.account_cookie(SITE, request("GET", "/a"), hash, "")[1].decode().partition(";")[0]
    value = line.partition("=")[2]
    assert made.accounts is not None
    made.accounts.put(HOST, hash, Row(Choice.accept_all(NOTICE, TODAY), "")).result(10)
    domains = ("; Domain=site.localhost", f"; Domain=www.{at.partition(':')[0]}", "")
    for name in (ACCOUNT, PLAIN, ACCOUNT_NO, "volens-account-no"):
        tosses.extend(("Set-Cookie", f"{name}={value}; Path=/{domain}; Secure") for domain in domains)
    context = chromium.new_context(ignore_https_errors=True, locale="fr-FR")
    page = context.new_page()
    try:
        page.goto(f"https://evil.{at}/")
        there = {c["name"] for c in context.cookies(f"https://www.{at}/")}
        assert PLAIN in there and ACCOUNT not in there, "the oracle: what has no prefix can be planted"
        page.goto(f"https://www.{at}/a")
        expect(page.locator("volens-notice")).to_have_attribute("data-storage", "none")
        expect(page.get_by_text("vaut pour votre compte")).to_have_count(0)
        page.goto(f"https://www.{at}/in")
        expect(page.get_by_text("vaut pour votre compte")).to_have_count(1)
        assert {c["name"]: c for c in context.cookies(f"https://www.{at}/")}[ACCOUNT]["secure"]
        page.get_by_role("button", name="Tout refuser").click()
        expect(page.locator("volens-notice")).to_have_attribute("data-storage", "no")
        kept = made.accounts.get(HOST, hash)
        assert kept is not None and not kept.choice.refuses_all and rows(made) == 2
        page.goto(f"https://evil.{at}/")
        page.goto(f"https://www.{at}/b")
        expect(page.locator("volens-notice")).to_have_attribute("data-storage", "no")
        page.goto(f"https://www.{at}/out")
        page.go_back()
        page.wait_for_load_state()
        expect(page.locator("volens-notice")).to_have_attribute("data-storage", "none")  # not as it was under the account
    finally:
        context.close()


# --- Sockets


def run_socket(made: Gateway, *said: dict[str, Any], cookie: str = "", scheme: str = "wss") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in said:
            await send(message)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    headers = [(b"host", HOST.encode()), *([(b"cookie", cookie.encode())] if cookie else [])]
    scope = {"type": "websocket", "path": "/live", "raw_path": b"/live", "scheme": scheme, "headers": headers, "client": None}
    away(AsgiFace(app, lambda: made)(scope, None, send))  # type: ignore[arg-type]
    return sent


WORDS = [(b"Volens-Account", b"marie"), (b"Volens-Age", b"minor"), (b"x-a", b"b"), (b"Set-Cookie", b"_ga=1; Path=/")]


def test_what_accepts_a_websocket_is_judged_as_an_answer(made: Gateway) -> None:
    (sent,) = run_socket(made, {"type": "websocket.accept", "subprotocol": "chat", "headers": WORDS})
    names = [name for name, _ in sent["headers"]]
    cookies = [value.partition(b"=")[0] for name, value in sent["headers"] if name == b"set-cookie"]
    assert sent["subprotocol"] == "chat" and (b"x-a", b"b") in sent["headers"]
    assert not {b"volens-account", b"volens-age"} & set(names)
    assert sorted(cookies) == [ACCOUNT.encode(), b"volens-age"], "who is logged in is remembered, and the refused cookie is not set"
    assert run_socket(made, {"type": "websocket.accept"})[0]["type"] == "websocket.accept"


def test_what_refuses_a_websocket_is_an_answer_too(made: Gateway) -> None:
    start = {"type": "websocket.http.response.start", "status": 403, "headers": [*WORDS, HTML]}
    parts = [{"type": "websocket.http.response.body", "body": b"<p>no", "more_body": True}, {"type": "websocket.http.response.body"}]
    sent = run_socket(made, start, *parts)
    assert [m["type"] for m in sent][:1] == ["websocket.http.response.start"] and sent[0]["status"] == 403
    assert not {b"volens-account", b"volens-age"} & {name.lower() for name, _ in sent[0]["headers"]}
    assert b"<p>no" in b"".join(m.get("body", b"") for m in sent[1:]) and not sent[-1].get("more_body")


# --- A slow disk, and caches


def test_the_file_is_read_off_the_event_loop(made: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(made).login("marie")
    device.choose("answer=accept")
    assert made.accounts is not None
    read, threads = made.accounts.get, []

    def slow(site: str, hash: str) -> Row | None:
        threads.append(threading.current_thread().name)
        time.sleep(0.4)
        return read(site, hash)

    monkeypatch.setattr(made.accounts, "get", slow)

    async def both() -> tuple[Visit, float, float]:
        begin = time.perf_counter()
        asking = asyncio.create_task(visited(made, request("GET", "/a", device.cookie())))
        await asyncio.sleep(0)
        await visited(made, request("GET", "/a"))
        other = time.perf_counter() - begin
        return await asking, other, time.perf_counter() - begin

    visit, other, whole = away(both())
    assert visit.grant.purposes >= EVERYTHING and other < 0.3 < whole
    assert all(name.startswith("volens-accounts") for name in threads)


def test_a_file_that_does_not_answer_grants_nothing(made: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(made)
    device.choose("answer=accept")
    device.login("marie").choose("answer=accept")
    held = threading.Event()
    monkeypatch.setattr(made.accounts, "get", lambda site, hash: held.wait(10) and None)
    monkeypatch.setattr("volens.web.asgi.LOOK", 0.1)
    try:
        assert away(visited(made, request("GET", "/a", device.cookie()))).grant.purposes == frozenset()
    finally:
        held.set()


def test_an_answer_that_a_cache_has_kept_names_nobody(made: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    device = Device(made)
    device.account = "marie"
    reply = device.see((b"age", b"12"))
    assert device.jar == {} and header(reply, "volens-account") == [] and "a cache has kept" in caplog.text
    device.see((b"age", b"0"))
    assert list(device.jar) == [ACCOUNT]


def test_a_page_under_an_account_is_kept_by_nobody(made: Gateway) -> None:
    device = Device(made).login("marie")
    assert header(device.see((b"cache-control", b"max-age=60")), "cache-control") == ["private, no-store"]
    assert header(Device(made).see((b"cache-control", b"max-age=60")), "cache-control") != ["private, no-store"]


def test_the_short_cookie_for_caches_stays_the_device_s(tmp_path: Path, clock: Clock) -> None:
    made = opened(tmp_path, clock, shared=True, shared_answers=True)
    device = Device(made)
    device.choose("answer=refuse")
    mine = device.jar["__Host-volens-grant"]
    device.login("marie").choose("answer=accept")
    assert device.jar["__Host-volens-grant"] == mine
    assert header(device.see((b"cache-control", b"public")), "cache-control") == ["private, no-store"]


# --- Taking a part back; what is kept


def test_taking_a_part_back_reaches_the_other_devices_and_says_where_it_cannot(made: Gateway) -> None:
    first, second = Device(made).login("marie"), Device(made).login("marie")
    first.choose("answer=accept")
    second.choose("answer=switches&purposes=video&services=videotube")
    assert first.granted() == second.granted() == {"video"} and events(made) == ["given", "changed"]
    first.choose("answer=accept")
    aside = break_file(made)
    assert first.choose("answer=switches&purposes=video&services=videotube").status == 503 and first.granted() == set()
    mend(made, aside)
    assert first.granted() == EVERYTHING, "told that it was not kept; only a refusal waits"


def test_the_rights_page_and_the_file_tell_the_account_s_choice_and_its_record(made: Gateway) -> None:
    device, other = Device(made), Device(made).login("marie")
    device.choose("answer=refuse")
    own = device.jar["volens"]
    device.login("marie")
    other.choose("answer=switches&purposes=video&services=videotube")
    device.choose("answer=switches&purposes=video&services=videotube")
    kept = row(made, device)
    assert kept is not None
    id = kept.record.split(".")[1]
    record = made.store.record(id)
    assert record is not None
    told = json.loads(device.send("GET", "/_volens/choice.json?language=fr", OPENED).body)
    assert told["record"] == id and told["recorded"] == record.to_json()
    assert told["account"]["purposes"] == ["video"] and told["choice"] == kept.choice.text()
    assert told["cookies"] == {}, "the answer is in our file, not in a cookie"
    page = device.send("GET", "/_volens/rights?language=fr", OPENED).body.decode()
    assert id in page and kept.choice.text() in page
    assert "marie" not in json.dumps(told) + page and device.jar[ACCOUNT].split(".")[1] not in json.dumps(told) + page
    device.account = ""
    device.see()
    told = json.loads(device.send("GET", "/_volens/choice.json?language=fr", OPENED).body)
    assert "account" not in told and told["choice"] == own and told["record"] is None


def test_after_a_refusal_they_tell_that_the_account_keeps_it_and_no_record(made: Gateway) -> None:
    device = Device(made).login("marie")
    device.choose("answer=refuse")
    told = json.loads(device.send("GET", "/_volens/choice.json?language=fr", OPENED).body)
    assert told["account"]["purposes"] == [] and told["record"] is None and told["recorded"] is None and told["cookies"] == {}
    assert device.send("GET", "/_volens/rights?language=fr", OPENED).status == 200
    assert events(made) == [] and rows(made) == 1


def test_a_refusal_keeps_the_day_the_answer_and_a_hash_and_no_time(made: Gateway) -> None:
    device = Device(made).login("marie@example.org")
    device.choose("answer=refuse")
    assert made.accounts is not None
    with sqlite3.connect(made.accounts.path) as connection:
        (found,) = connection.execute("SELECT * FROM account").fetchall()
    choice = Choice.refuse_all(NOTICE, TODAY)
    assert found == (HOST, device.jar[ACCOUNT].split(".")[1], choice.text(), "", TODAY.isoformat(), "", "")
    assert isinstance(made.store, SqliteStore)
    assert {r["event"]: r["count"] for r in made.store.totals(HOST, TODAY, TODAY)} == {"refused": 1}, "the ledger has its count alone"


def test_somebody_else_s_visitor_is_told_nothing_of_it(made: Gateway) -> None:
    Device(made).login("marie").choose("answer=accept")
    told = json.loads(Visitor(made).send("GET", "/_volens/choice.json?language=fr", OPENED).body)
    assert "account" not in told and told["choice"] is None


def test_who_comes_back_while_observing_is_left_alone(made: Gateway, tmp_path: Path, clock: Clock) -> None:
    device = Device(made).login("marie")
    device.choose("answer=accept")
    device.gateway = opened(tmp_path, clock, mode="observe")
    assert header(device.see(), "set-cookie") == [] and header(device.see(), "volens-account") == []
