"""``on_change``: signed, retried with back-off, in order, under one id, and durable with the record it tells of."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.enforce.making import CATALOG, HOST, NOTICE, NOW, SITE
from tests.running import until
from tests.web.making import KEYS, Clock, Down, Visitor, request
from tests.web.receiver import Receiver, WrongSignature, verified
from volens.errors import ConfigError, StoreBusy, StoreUnavailable
from volens.ledger import outbox
from volens.ledger.aside import Aside
from volens.ledger.record import Record, new_id
from volens.ledger.sqlite import SqliteStore
from volens.ledger.store import Event, Expiry
from volens.notice import Notice, StorageKey
from volens.site import Hook
from volens.web import hooks, recording
from volens.web.gateway import Gateway
from volens.web.hooks import Sender, read_secrets, signature

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
QUICK = {"back_off": (0.05, 0.1, 0.2), "timeout": 0.5, "pause": 0.2}
SOAK = os.environ.get("VOLENS_SOAK") == "1"


@contextmanager
def receiving(status: Callable[[dict[str, Any]], int] = lambda event: 204, port: int = 0) -> Iterator[Receiver]:
    made = Receiver(SECRET, status, port)
    yield made
    made.close()


@contextmanager
def told(folder: Path, url: str, hook: Hook | None = None, store: type[SqliteStore] = SqliteStore, **how: Any) -> Iterator[Visitor]:
    """A visitor of a gateway whose sender is quick."""
    storage = (*SITE.storage, StorageKey("session"), StorageKey("lecteur", purpose="personnalisation"))
    site = replace(SITE, storage=storage, hook=hook or Hook(url, "session"))
    made = Gateway(site, CATALOG, store(folder / "ledger.db"), KEYS, now=Clock())
    sender = Sender(made.store.outbox, HOST, url, [b"s" * 32], **{**QUICK, **how})
    sender.start()
    visitor = Visitor(made)
    visitor.jar["session"] = "abc"
    yield visitor
    sender.stop()
    made.close()


# ------------------------------------------------------------------------ what is sent


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example that the libraries of Standard Webhooks test themselves with."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature([key, b"o" * 32], "a", 1, b"{}").count("v1,") == 2


def test_the_receiver_can_refuse() -> None:
    headers = {"webhook-id": "a", "webhook-timestamp": "1000", "webhook-signature": signature([b"s" * 32], "a", 1000, b"{}")}
    assert verified(headers, b"{}", SECRET, 1000) == {}
    for wrong, body, now in (
        ({"webhook-id": "b"}, b"{}", 1000),
        ({}, b"{ }", 1000),
        ({}, b"{}", 2000),
        ({"webhook-timestamp": "1001"}, b"{}", 1000),
    ):
        with pytest.raises(WrongSignature):
            verified({**headers, **wrong}, body, SECRET, now)


def test_a_grant_a_change_and_a_withdrawal_are_told_in_order_and_a_refusal_is_not(tmp_path: Path) -> None:
    with receiving() as site, told(tmp_path, site.url) as visitor:
        visitor.choose("answer=switches&purposes=personnalisation&purposes=video")
        visitor.choose("answer=switches&purposes=video&services=videotube")
        visitor.choose("answer=refuse")
        visitor.choose("answer=refuse")  # a first refusal now: nothing of it is anybody's
        assert until(lambda: len(site.events) == 3)
        time.sleep(0.1)
    assert site.forged == 0
    events = [event for _, event in site.events]
    assert [event["type"] for event in events] == ["consent.given", "consent.changed", "consent.withdrawn"]
    assert [event["data"]["purposes"]["personnalisation"] for event in events] == [True, False, False]
    assert [event["data"]["services"]["videotube"] for event in events] == [True, True, False]
    assert [event["sequence"] for event in events] == [1, 2, 3]
    assert {event["data"]["visitor"] for event in events} == {hashlib.sha256(b"abc").hexdigest()}
    assert len({id for id, _ in site.events}) == 3


def test_no_address_no_user_agent_no_record_leaves(tmp_path: Path) -> None:
    with receiving() as site, told(tmp_path, site.url) as visitor:
        visitor.more = {"client": "203.0.113.77"}
        visitor.choose(
            "answer=accept", [(b"sec-fetch-site", b"same-origin"), (b"user-agent", b"Curious/1"), (b"x-forwarded-for", b"203.0.113.77")]
        )
        record = visitor.jar["__Host-volens-record"].split(".")[1]
        assert until(lambda: site.events)
        assert set(site.events[0][1]) == {"type", "timestamp", "sequence", "data"}
        assert set(site.events[0][1]["data"]) == {"site", "notice", "purposes", "services", "visitor"}
        sent = json.dumps([site.headers, site.tries])
        assert record not in sent and "203.0.113" not in sent and "Curious" not in sent and "abc" not in sent
        assert until(lambda: visitor.gateway.store.outbox.waiting(HOST) == 0), "what was taken is forgotten"


@pytest.mark.parametrize(
    ("hook", "cookies", "sent"),
    [
        (Hook("", "session"), {"session": "abc"}, hashlib.sha256(b"abc").hexdigest()),
        (Hook("", "session", plain=True), {"session": "abc"}, "abc"),
        (Hook("", "session"), {}, None),
        (Hook(""), {"session": "abc"}, None),
        (Hook("", "session"), {"session": "abc; session=other"}, None),
        (Hook("", "session"), {"session": "abc; session=abc"}, hashlib.sha256(b"abc").hexdigest()),
        (Hook("", "lecteur"), {"lecteur": "r1"}, hashlib.sha256(b"r1").hexdigest()),
        (Hook("", "rien"), {"rien": "1"}, None),
        (Hook("", "undeclared"), {"undeclared": "1"}, None),
    ],
)
def test_whose_choice_it_is_is_told_by_the_site_s_own_key_where_it_may_be_read(
    hook: Hook, cookies: dict[str, str], sent: str | None, tmp_path: Path
) -> None:
    """*lecteur* is granted with the choice; *rien* needs advertising, which is not."""
    with receiving() as site, told(tmp_path, site.url, replace(hook, url=site.url)) as visitor:
        visitor.jar = dict(cookies)
        visitor.choose("answer=switches&purposes=personnalisation")
        assert until(lambda: site.events)
        assert site.events[0][1]["data"]["visitor"] == sent


def test_a_withdrawal_names_a_visitor_known_by_a_cookie_that_goes_with_it(tmp_path: Path) -> None:
    with receiving() as site, told(tmp_path, site.url, Hook("", "lecteur")) as visitor:
        visitor.choose("answer=switches&purposes=personnalisation")
        visitor.jar["lecteur"] = "r1"
        visitor.choose("answer=refuse")
        assert until(lambda: len(site.events) == 2)
        assert site.events[1][1]["data"]["visitor"] == hashlib.sha256(b"r1").hexdigest()


# ------------------------------------------------------------------------ a site in trouble


def test_what_is_not_taken_is_sent_again_under_its_id_and_in_order(tmp_path: Path) -> None:
    """The second event of each visitor waits for the first, whatever becomes of other visitors'."""
    failures: Counter[str] = Counter()

    def status(event: dict[str, Any]) -> int:
        key = event["data"]["visitor"]
        if key == hashlib.sha256(b"unlucky").hexdigest() and failures[key] < 3:
            failures[key] += 1
            return (500, 503, 429)[failures[key] - 1]
        return 200

    with receiving(status) as site, told(tmp_path, site.url) as first:
        second = Visitor(first.gateway)
        first.jar["session"], second.jar["session"] = "unlucky", "lucky"
        for visitor in (first, second):
            visitor.choose("answer=accept")
            visitor.choose("answer=refuse")
        assert until(lambda: len(site.events) == 4)
        assert until(lambda: first.gateway.store.outbox.waiting(HOST) == 0)
    order = [(e["data"]["visitor"][:4], e["type"]) for _, e in site.events]
    names = {hashlib.sha256(n.encode()).hexdigest()[:4]: n for n in ("unlucky", "lucky")}
    assert [(names[v], t) for v, t in order] == [
        ("lucky", "consent.given"),
        ("lucky", "consent.withdrawn"),
        ("unlucky", "consent.given"),
        ("unlucky", "consent.withdrawn"),
    ]
    tries = Counter(id for id, _, _ in site.tries)
    assert sorted(tries.values()) == [1, 1, 1, 4], "the failing one under one id, nothing else twice"
    assert len({json.dumps(e) for id, _, e in site.tries if tries[id] == 4}) == 1, "the same bytes each time"


def test_a_visitor_who_comes_back_is_told_of_after_their_withdrawal(tmp_path: Path) -> None:
    """No record links the new grant with the withdrawal; the visitor's key does."""
    fails = [True]
    with (
        receiving(lambda event: 500 if event["type"] == "consent.withdrawn" and fails[0] else 204) as site,
        told(tmp_path, site.url) as visitor,
    ):
        for answer in ("accept", "refuse", "accept"):
            visitor.choose(f"answer={answer}")
        assert until(lambda: len(site.tries) >= 4)
        fails[0] = False
        assert until(lambda: len(site.events) == 3)
    assert [e["type"] for _, e in site.events] == ["consent.given", "consent.withdrawn", "consent.given"]


def test_without_a_key_a_record_s_events_follow_each_other(tmp_path: Path) -> None:
    fails = [True]
    with receiving(lambda event: 500 if fails[0] else 204) as site, told(tmp_path, site.url, Hook("", "")) as visitor:
        for answer in ("answer=accept", "answer=switches&purposes=video", "answer=refuse"):
            visitor.choose(answer)
        assert until(lambda: len(site.tries) >= 2)
        assert {e["type"] for _, _, e in site.tries} == {"consent.given"}
        fails[0] = False
        assert until(lambda: len(site.events) == 3)
    assert [e["type"] for _, e in site.events] == ["consent.given", "consent.changed", "consent.withdrawn"]


def silent() -> tuple[socket.socket, str]:
    """A port that takes connections and says nothing."""
    listening = socket.create_server(("127.0.0.1", 0))
    return listening, f"http://127.0.0.1:{listening.getsockname()[1]}/volens"


def dripping() -> tuple[socket.socket, str]:
    """A port that answers a byte at a time, for ever."""
    listening = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        try:
            while True:
                connection, _ = listening.accept()
                connection.sendall(b"HTTP/1.1 204 ")
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.05)
        except OSError:
            pass

    threading.Thread(target=drip, daemon=True).start()
    return listening, f"http://127.0.0.1:{listening.getsockname()[1]}/volens"


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("down", "Cannot connect|refused"),
        ("silent", "no answer within 0.5 s"),
        ("dripping", "no answer within 0.5 s"),
        ("redirect", "HTTP 301, a redirect, which is not followed: write its target as on_change"),
        ("error", "HTTP 500"),
        ("gone", "HTTP 410"),
        ("no host", "Cannot connect|Name or service|not known|resolve"),
    ],
)
def test_a_site_in_trouble_holds_up_no_choice_and_is_said_once(
    trouble: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "volens.hooks")
    site: Receiver | None = None
    listening: socket.socket | None = None
    if trouble in ("redirect", "error", "gone"):
        site = Receiver(SECRET, lambda event: {"redirect": 301, "error": 500, "gone": 410}[trouble])
        url = site.url + "?key=hidden"
    elif trouble in ("silent", "dripping"):
        listening, url = silent() if trouble == "silent" else dripping()
    else:
        url = "http://127.0.0.1:9/volens" if trouble == "down" else "http://nobody.invalid/volens"
    with told(tmp_path, url) as visitor:
        began = time.monotonic()
        for _ in range(10):
            assert visitor.choose("answer=accept").status == 303
            assert visitor.choose("answer=refuse").status == 303
        assert time.monotonic() - began < 8, "nothing waits for the site"
        assert until(lambda: re.search(said, caplog.text)), caplog.text
        time.sleep(1)
        assert visitor.gateway.store.outbox.waiting(HOST) == 20, "nothing is lost"
    lines = [r for r in caplog.records if "does not take changes" in r.getMessage()]
    assert len(lines) == 1, "said once, not at every attempt"
    assert "hidden" not in caplog.text and hashlib.sha256(b"abc").hexdigest() not in caplog.text
    if site is not None:
        assert {h.get("host") for h in site.headers} == {f"127.0.0.1:{site.port}"}
        site.close()
    if listening is not None:
        listening.close()


def test_once_the_site_is_back_everything_arrives_in_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "volens.hooks")
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    taken.close()
    with told(tmp_path, f"http://127.0.0.1:{port}/volens") as visitor:
        for _ in range(5):
            visitor.choose("answer=accept")
            visitor.choose("answer=refuse")
        assert until(lambda: "does not take changes" in caplog.text)
        with receiving(port=port) as site:
            assert until(lambda: len(site.events) == 10, 20)
            assert [e["sequence"] for _, e in site.events] == list(range(1, 11))
            assert until(lambda: "takes changes again" in caplog.text)


def test_too_many_that_wait_are_bounded_and_the_choice_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "LIMIT", 4)
    with told(tmp_path, "http://127.0.0.1:9/volens") as visitor:
        for _ in range(4):
            assert visitor.choose("answer=accept").status == 303
            assert visitor.choose("answer=refuse").status == 303
        assert until(lambda: visitor.gateway.store.outbox.waiting(HOST) == 4)
        assert until(lambda: caplog.text.count("changes wait for the site to be told") == 4)


def test_what_nobody_takes_for_a_month_is_given_up_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    later = [0.0]
    with receiving(lambda event: 500) as site, told(tmp_path, site.url, clock=lambda: time.time() + later[0]) as visitor:
        visitor.choose("answer=accept")
        assert until(lambda: len(site.headers) >= 2)
        later[0] = 31 * 86400
        assert until(lambda: "it is given up" in caplog.text)
        assert until(lambda: visitor.gateway.store.outbox.waiting(HOST) == 0)


def test_a_ledger_that_is_down_sends_nothing_and_the_withdrawal_stands(tmp_path: Path) -> None:
    with receiving() as site, told(tmp_path, site.url, store=Down) as visitor:
        assert visitor.choose("answer=accept").status == 503
        time.sleep(0.2)
        assert site.tries == [], "no record, no event"


class Stumbling(SqliteStore):
    """A ledger that is down for a while when a withdrawal comes."""

    stumbles = 3

    def append(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Record]:
        if record.event == "withdrawn" and self.stumbles:
            self.stumbles -= 1
            if self.stumbles == 1:
                raise StoreBusy("the queue is full")
            future: Future[Record] = Future()
            future.set_exception(StoreUnavailable("the disk is full"))
            return future
        return super().append(record, notice, event)


def test_a_withdrawal_is_recorded_and_told_once_the_ledger_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From memory, where not even a file can be written beside it."""

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Aside, "keep", full)
    monkeypatch.setattr(recording, "FOLLOW", 0.05)
    with receiving() as site, told(tmp_path, site.url, store=Stumbling) as visitor:
        visitor.choose("answer=accept")
        assert visitor.choose("answer=refuse").status == 303
        assert visitor.granted() == set(), "it takes effect at once"
        assert until(lambda: len(site.events) == 2)
    assert [e["type"] for _, e in site.events] == ["consent.given", "consent.withdrawn"]


# ------------------------------------------------------------------------ durable


def events_of(path: Path) -> int:
    return int(sqlite3.connect(path).execute("SELECT count(*) FROM outbox").fetchone()[0])


def test_without_a_sender_events_wait_and_another_process_sends_them(tmp_path: Path) -> None:
    site_ = replace(SITE, storage=(*SITE.storage, StorageKey("session")), hook=Hook("http://127.0.0.1:9/", "session"))
    made = Gateway(site_, CATALOG, SqliteStore(tmp_path / "ledger.db"), KEYS, now=Clock())
    Visitor(made).choose("answer=accept")
    assert made.store.outbox.waiting(HOST) == 1
    made.close()
    with receiving() as site, told(tmp_path, site.url):
        assert until(lambda: len(site.events) == 1)


def test_a_record_refused_keeps_no_event_and_one_kept_twice_is_told_once(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    when = Clock().now
    given = Record(new_id(), HOST, when, "given", "accept-all", "notice", "fr", NOTICE.digest, {"video": True}, {})
    told_ = Event("evt_1", b'{"a":1}')
    for _ in range(3):
        store.append(given, NOTICE, told_).result(10)
    assert events_of(tmp_path / "ledger.db") == 1
    with pytest.raises(Exception, match="never edited"):
        store.append(replace(given, method="panel"), NOTICE, Event("evt_2", b'{"a":1}')).result(10)
    assert events_of(tmp_path / "ledger.db") == 1
    store.close()


WRITER = """
import os, sys, threading, time
from tests.enforce.making import NOTICE, HOST, NOW
from volens.ledger.record import Record, new_id
from volens.ledger.sqlite import SqliteStore
from volens.site import Hook
from volens.web import hooks, recording
store = SqliteStore(sys.argv[1], patience=30)
sender = hooks.Sender(store.outbox, HOST, sys.argv[2], [b"s" * 32], back_off=(0.05,), timeout=5, pause=0.1)
sender.start()
hook = Hook(sys.argv[2], "session")
def submit(number):
    key, last = f"{os.getpid()}-{number}", ""
    while True:
        granted = not last
        record = Record(new_id(), HOST, NOW, "given" if granted else "withdrawn", "panel", "panel", "fr", NOTICE.digest,
            {"video": granted}, {}, supersedes=last)
        event = hooks.event(hook, record, key)
        store.append(record, NOTICE, event).result()
        os.write(1, f"{event.id} {event.subject} {record.event}\\n".encode())
        last = record.id if granted else ""
        time.sleep(0.01)
for number in range(4):
    threading.Thread(target=submit, args=(number,), daemon=True).start()
threading.Event().wait()
"""


def writing(path: Path, url: str) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), url], stdout=subprocess.PIPE, env=environment)


def killed_after(processes: list[subprocess.Popen[bytes]], seconds: float) -> list[list[str]]:
    """Acknowledged events, a list of (id, subject, kind) in order, of processes that were killed while they wrote and sent."""
    first = [p.stdout.readline() for p in processes if p.stdout]
    time.sleep(seconds)
    for process in processes:
        process.send_signal(signal.SIGKILL)
    lines: list[list[str]] = []
    for begun, process in zip(first, processes, strict=True):
        assert process.stdout
        lines += [line.decode().split() for line in (begun + process.stdout.read()).splitlines(keepends=True) if line.endswith(b"\n")]
        process.wait()
    return lines


@pytest.mark.parametrize("processes", [1, 3])
def test_kill_9_loses_no_event_and_each_visitor_s_arrive_in_their_order(tmp_path: Path, processes: int) -> None:
    """Writers that send and are killed in the middle of it, again and again; then a sender that drains what is left."""
    path = tmp_path / "ledger.db"
    chance = random.Random(20261122)
    acknowledged: list[list[str]] = []
    with receiving() as site:
        for _ in range(20 if SOAK else 3):
            acknowledged += killed_after([writing(path, site.url) for _ in range(processes)], chance.uniform(0.2, 0.5))
        store = SqliteStore(path)
        sender = Sender(store.outbox, HOST, site.url, [b"s" * 32], **QUICK)
        sender.start()
        assert until(lambda: store.outbox.waiting(HOST) == 0, 120)
        sender.stop()
        store.close()
    assert len(acknowledged) > 30 * processes, "under load"
    assert site.forged == 0
    first_time: dict[str, dict[str, Any]] = {}
    for id, event in site.events:
        assert first_time.setdefault(id, event) == event, "the same event under the same id"
    assert {id for id, _, _ in acknowledged} <= set(first_time), "nothing that was acknowledged is lost"
    orders: dict[str, list[int]] = {}
    for event in first_time.values():
        orders.setdefault(event["data"]["visitor"], []).append(event["sequence"])
    assert all(order == sorted(order) for order in orders.values())
    for subject in orders:
        kinds = [e["type"] for e in first_time.values() if e["data"]["visitor"] == subject]
        assert kinds == ["consent.given", "consent.withdrawn"] * (len(kinds) // 2) + ["consent.given"] * (len(kinds) % 2)
    again = len(site.events) - len(first_time)
    assert again <= (20 if SOAK else 3) * hooks.AT_ONCE, "twice only what was under way when its sender was killed"


def test_only_one_process_sends(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    SqliteStore(path).close()
    with receiving() as site:
        processes = [writing(path, site.url) for _ in range(3)]
        assert until(lambda: len(site.events) > 50, 60)
        assert len(killed_after(processes, 0)) > 50
        assert site.most <= hooks.AT_ONCE
        assert len({id for id, _ in site.events}) >= len(site.events) - hooks.AT_ONCE, "no two send the same"


def test_the_kill_test_can_fail(tmp_path: Path) -> None:
    """An outbox that is emptied is seen to have lost what was acknowledged."""
    path = tmp_path / "ledger.db"
    acknowledged = killed_after([writing(path, "http://127.0.0.1:9/")], 0.2)
    connection = sqlite3.connect(path)
    assert {id for (id,) in connection.execute("SELECT id FROM outbox")} >= {id for id, _, _ in acknowledged}
    connection.execute("DELETE FROM outbox")
    connection.commit()
    assert not {id for (id,) in connection.execute("SELECT id FROM outbox")} >= {id for id, _, _ in acknowledged}


def test_a_ledger_of_the_version_before_gets_its_outbox(tmp_path: Path) -> None:
    from volens.ledger import sqlite

    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in sqlite.STEPS[0]:
        connection.execute(statement)
    connection.execute("PRAGMA user_version = 1")
    connection.execute(f"PRAGMA application_id = {sqlite.APPLICATION}")
    connection.close()
    store = SqliteStore(path)
    assert store.outbox.waiting(HOST) == 0
    store.close()


WITHDRAWING = """
import sys, time
from pathlib import Path
from dataclasses import replace
from datetime import UTC, date, datetime
from tests.enforce.making import SITE, CATALOG
from tests.web.making import Clock, KEYS, Visitor
from volens.ledger.sqlite import SqliteStore
from volens.notice import StorageKey
from volens.site import Hook
from volens.web.gateway import Gateway
site = replace(SITE, storage=(*SITE.storage, StorageKey("session")), hook=Hook("http://127.0.0.1:9/", "session"))
made = Gateway(site, CATALOG, SqliteStore(Path(sys.argv[1]), patience=float(sys.argv[2])), KEYS, now=Clock())
visitors = [Visitor(made) for _ in range(5)]
for number, visitor in enumerate(visitors):
    visitor.jar["session"] = f"v{number}"
    assert visitor.choose("answer=accept").status == 303
print("granted", flush=True)
sys.stdin.readline()
for visitor in visitors:
    begun = time.monotonic()
    assert visitor.choose("answer=refuse").status == 303 and visitor.granted() == set()
    print("withdrawn", time.monotonic() - begun, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("patience", [0.2, 30])
def test_a_withdrawal_while_the_ledger_is_unreachable_survives_a_kill(tmp_path: Path, patience: float) -> None:
    """Another process holds the file; five visitors withdraw and are answered at once; kill -9; whoever comes next tells the site."""
    root = Path(__file__).parents[2]
    path = tmp_path / "ledger.db"
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    command = [sys.executable, "-c", WITHDRAWING, str(path), str(patience)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "granted\n"
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        process.stdin.write("go\n")
        process.stdin.flush()
        took = [float(process.stdout.readline().split()[1]) for _ in range(5)]
        process.send_signal(signal.SIGKILL)
    assert max(took) < 5, "none waits for the ledger"
    assert events_of(path) == 5, "the grants'"
    lock.execute("ROLLBACK")
    lock.close()
    with receiving() as site, told(tmp_path, site.url) as visitor:
        visitor.jar["session"] = "v0"
        visitor.choose("answer=accept")  # the first of them comes back: after the withdrawal
        assert until(lambda: len(site.events) == 11, 30)
    kinds: dict[str, list[str]] = {}
    for _, event in site.events:
        kinds.setdefault(event["data"]["visitor"], []).append(event["type"])
    first = hashlib.sha256(b"v0").hexdigest()
    assert kinds.pop(first) == ["consent.given", "consent.withdrawn", "consent.given"]
    assert list(kinds.values()) == [["consent.given", "consent.withdrawn"]] * 4
    assert list((tmp_path / "ledger.db-withdrawals").iterdir()) == [], "and nothing of it is left lying about"
    counted = sqlite3.connect(path).execute("SELECT sum(n) FROM counts WHERE event = 'withdrawn'").fetchone()[0]
    assert counted == 5, "each is recorded once"


def test_a_withdrawal_set_aside_twice_is_one_record_and_a_damaged_file_stops_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    when = Clock().now
    given = Record(new_id(), HOST, when, "given", "accept-all", "notice", "fr", NOTICE.digest, {"video": True}, {})
    gone = Record(new_id(), HOST, when, "withdrawn", "refuse-all", "panel", "fr", NOTICE.digest, {"video": False}, {}, supersedes=given.id)
    store.append(given, NOTICE, Event("evt_1", b'{"a":1}')).result(10)
    for _ in range(2):
        store.withdraw(gone, NOTICE, Event("evt_2", b'{"a":2}', "who")).result(10)
    folder = tmp_path / "ledger.db-withdrawals"
    (folder / "0.json").write_text("{")
    store.withdraw(gone, NOTICE, Event("evt_2", b'{"a":2}', "who")).result(10)
    assert until(lambda: [p.name for p in folder.iterdir()] == ["0.json.damaged"])
    assert folder.stat().st_mode & 0o777 == 0o700
    rows = sqlite3.connect(tmp_path / "ledger.db").execute("SELECT id, subject FROM outbox ORDER BY number").fetchall()
    assert rows == [("evt_1", ""), ("evt_2", "who")]
    store.close()
    with pytest.raises(StoreUnavailable):
        store.withdraw(gone, NOTICE)


# ------------------------------------------------------------------------ the end of a grant


def grants_end(path: Path) -> list[tuple[str, float]]:
    return sqlite3.connect(path).execute("SELECT record, at FROM expiring ORDER BY at").fetchall()


def test_a_grant_that_ends_by_itself_is_told_once_and_after_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six months after the last answer: of a change only the last, of a withdrawal nothing, of a refusal nothing."""
    now = [0.0]
    expire = outbox.SqliteOutbox.expire
    monkeypatch.setattr(outbox.SqliteOutbox, "expire", lambda self, site, _: expire(self, site, now[0]))  # the receiver's clock is real
    with receiving() as site, told(tmp_path, site.url) as kept:
        refuses, withdraws = Visitor(kept.gateway), Visitor(kept.gateway)
        refuses.jar["session"], withdraws.jar["session"] = "refuses", "withdraws"
        refuses.choose("answer=refuse")
        withdraws.choose("answer=accept")
        withdraws.choose("answer=refuse")
        kept.choose("answer=accept")
        kept.choose("answer=switches&purposes=video")
        assert until(lambda: len(site.events) == 4)
        assert until(lambda: len(grants_end(tmp_path / "ledger.db")) == 1)
        ((_, at),) = grants_end(tmp_path / "ledger.db")
        now[0] = at - 1
        time.sleep(1.2)
        assert len(site.events) == 4, "not a second early"
        now[0] = at + 1
        assert until(lambda: len(site.events) == 5)
        time.sleep(1.2)
        assert len(site.events) == 5 and grants_end(tmp_path / "ledger.db") == []
        _, event = site.events[-1]
    assert event["type"] == "consent.expired" and event["timestamp"] == "2027-05-23T00:00:00Z", "22 May is the last day"
    assert event["data"]["visitor"] == hashlib.sha256(b"abc").hexdigest() and event["sequence"] == 5
    assert not any(event["data"]["purposes"].values()) and not any(event["data"]["services"].values())


def test_a_visitor_who_grants_anew_is_not_told_of_by_the_grant_before(tmp_path: Path) -> None:
    """Without our cookies, with the site's own key: the later grant alone has an end."""
    with told(tmp_path, "http://127.0.0.1:9/") as visitor:
        for _ in range(3):
            visitor.choose("answer=accept")
            visitor.jar = {"session": "abc"}
        assert len(grants_end(tmp_path / "ledger.db")) == 1
        visitor.jar = {"session": "def"}
        visitor.choose("answer=accept")
        assert len(grants_end(tmp_path / "ledger.db")) == 2


ENDING = """
import os, sys, threading, time
from tests.enforce.making import NOTICE, HOST, NOW
from volens.ledger.record import Record, new_id
from volens.ledger.sqlite import SqliteStore
from volens.site import Hook
from volens.web import hooks
store = SqliteStore(sys.argv[1], patience=30)
sender = hooks.Sender(store.outbox, HOST, sys.argv[2], [b"s" * 32], back_off=(0.05,), timeout=5, pause=0.1)
sender.start()
number = 0
while True:
    number += 1
    record = Record(new_id(), HOST, NOW, "given", "panel", "panel", "fr", NOTICE.digest, {"video": True}, {})
    event = hooks.event(Hook(sys.argv[2], "session"), record, f"{os.getpid()}-{number}", NOW.date().replace(year=2020))
    store.append(record, NOTICE, event).result()
    os.write(1, f"{event.id} {event.expiry.id} x\\n".encode())
    time.sleep(0.005)
"""


def test_kill_9_loses_no_end_of_a_grant_and_tells_it_after_the_grant(tmp_path: Path) -> None:
    path, chance = tmp_path / "ledger.db", random.Random(20261122)
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    acknowledged: list[list[str]] = []
    with receiving() as site:
        for _ in range(20 if SOAK else 3):
            command = [sys.executable, "-c", ENDING, str(path), site.url]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
            acknowledged += killed_after([process], chance.uniform(0.3, 1.5))
        store = SqliteStore(path)
        sender = Sender(store.outbox, HOST, site.url, [b"s" * 32], **QUICK)
        sender.start()
        assert until(lambda: not grants_end(path) and store.outbox.waiting(HOST) == 0, 120)
        sender.stop()
        store.close()
    times: dict[str, int] = {}
    for id, event in site.events:
        assert times.setdefault(id, event["sequence"]) == event["sequence"], "the same event under the same id"
    assert len(acknowledged) > 30
    for given, expired, _ in acknowledged:
        assert times[given] < times[expired]
    kinds = Counter(event["type"] for event in dict(site.events).values())
    assert kinds["consent.given"] == kinds["consent.expired"] >= len(acknowledged)


def test_an_expiry_waits_where_too_many_events_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path / "ledger.db")
    for number in range(3):
        record = Record(new_id(), HOST, Clock().now, "given", "panel", "panel", "fr", NOTICE.digest, {"video": True}, {})
        store.append(record, NOTICE, Event(f"evt_{number}", b"{}", "", Expiry(f"evt_e{number}", b"{}", float(number)))).result(10)
    monkeypatch.setattr(outbox, "LIMIT", 4)
    assert store.outbox.expire(HOST, 10.0) == 1 and len(grants_end(tmp_path / "ledger.db")) == 2
    store.outbox.settle([1, 2], {})
    assert store.outbox.expire(HOST, 1.5) == 1 and store.outbox.expire("other.example", 10.0) == 0
    assert store.outbox.expire(HOST, 10.0) == 1 and grants_end(tmp_path / "ledger.db") == []
    store.close()


# ------------------------------------------------------------------------ secrets


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "volens.hook"
    made = read_secrets(path)
    assert len(made) == 1 and len(made[0]) == 32 and read_secrets(path) == made
    assert path.stat().st_mode & 0o777 == 0o600 and [p.name for p in tmp_path.iterdir()] == ["volens.hook"]
    path.write_text(f"{SECRET}\n{path.read_text()}")
    assert read_secrets(path) == (b"s" * 32, *made), "newest first, any number"


@pytest.mark.parametrize("content", ["", "secret", "whsec_", "whsec_????", "whsec_c2hvcnQ=", "AAAA" * 10])
def test_a_file_that_holds_no_secrets_stops_the_start(content: str, tmp_path: Path) -> None:
    path = tmp_path / "volens.hook"
    path.write_text(content)
    with pytest.raises(ConfigError, match="whsec_"):
        read_secrets(path)


def test_a_page_costs_nothing_more(tmp_path: Path) -> None:
    """No thread, no file, nothing imported for a site without a hook."""
    before = threading.active_count()
    made = Gateway(SITE, CATALOG, SqliteStore(tmp_path / "ledger.db"), KEYS, now=Clock())
    made.visit(request("GET", "/a"))
    assert threading.active_count() == before
    made.close()


def test_what_a_part_leaves_ends_by_itself_though_it_was_set_aside(tmp_path: Path) -> None:
    """A withdrawal in part waits beside the ledger with the day on which the rest ends."""
    store = SqliteStore(tmp_path / "ledger.db")
    given = Record(new_id(), HOST, NOW, "given", "accept-all", "notice", "fr", NOTICE.digest, {"video": True, "publicite": True}, {})
    less = replace(given, id=new_id(), event="changed", method="panel", purposes={"video": True, "publicite": False}, supersedes=given.id)
    hook = Hook("http://127.0.0.1:9/", "session")
    store.append(given, NOTICE, hooks.event(hook, given, "who", date(2026, 12, 1))).result(10)
    store.withdraw(less, NOTICE, hooks.event(hook, less, "who", date(2026, 12, 3))).result(10)
    assert until(lambda: events_of(tmp_path / "ledger.db") == 2)
    assert store.outbox.expire(HOST, datetime(2026, 12, 3, tzinfo=UTC).timestamp()) == 0, "the first was followed by another"
    assert store.outbox.expire(HOST, datetime(2026, 12, 4, tzinfo=UTC).timestamp()) == 1
    store.close()
