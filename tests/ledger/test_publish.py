"""The publisher: what it publishes is durable, at most a second old, and carries only signatures that hold. Real stores and witnesses."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from tests.ledger.conformance import NOTICE, SITE, record
from tests.ledger.pg import database, server  # noqa: F401
from tests.ledger.witnesses import ENVIRONMENT, Running
from volens.errors import ConfigError, KeyFileError, StoreError
from volens.ledger import keyring, verify
from volens.ledger.cosign import PublicKey, SignedNote, WitnessKey
from volens.ledger.keyring import Keyring
from volens.ledger.note import LogKey, LogKeys, origin
from volens.ledger.postgres import PostgresStore
from volens.ledger.publish import Publisher, cosigners, standing, words
from volens.ledger.sqlite import SqliteStore
from volens.site import Proof, Witness


def until(what: Callable[[], object], patience: float = 20.0) -> None:
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


class Log:
    """A store, its keys and its publisher."""

    def __init__(self, folder: Path, witnesses: tuple[Witness, ...] = (), quorum: int = 0, **more: object) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.outcomes = folder, list[str]()
        self.keys = Keyring(folder / "log-key")
        self.store = SqliteStore(folder / "volens.db", self.keys)
        self.store.keep_notice(SITE, NOTICE)
        self.state = folder / "volens.witnesses"
        self.publisher = Publisher(
            self.store,
            SITE,
            self.keys,
            Proof(witnesses, quorum),
            state=self.state,
            counted=self.outcomes.append,
            **more,  # type: ignore[arg-type]
        )
        self.witnesses = witnesses

    @property
    def vkey(self) -> str:
        return self.keys(SITE).vkeys[0]

    def grant(self, count: int = 1) -> int:
        """The size of the log afterwards."""
        for future in [self.store.append(record(), NOTICE) for _ in range(count)]:
            future.result(10)
        return self.size

    @property
    def size(self) -> int:
        head = self.store.head(SITE)
        return head.size if head else 0

    def published(self) -> tuple[int, int]:
        """Size, and how many witnesses signed it."""
        note = self.store.published(SITE)
        return (SignedNote.parse(note).checkpoint.size, len(cosigners(note, self.witnesses))) if note else (0, 0)

    def says(self, witness: Witness) -> dict[str, object]:
        told = standing(self.state)
        return next((one for one in told["witnesses"] if one["key"] == witness.key), {}) if told else {}

    def close(self) -> None:
        self.publisher.stop()
        self.store.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


@pytest.fixture
def make(tmp_path: Path, stack: ExitStack) -> Callable[..., Log]:
    """``make(names of witnesses, quorum)``: a log whose witnesses know its key, all running."""

    def made(names: str = "", quorum: int = 0, folder: str = "a", start: bool = True, **more: object) -> Log:
        key = Keyring(tmp_path / folder / "log-key")
        (tmp_path / folder).mkdir(exist_ok=True)
        running = []
        for name in names:
            one = Running.made(tmp_path / f"witness-{name}", [key(SITE).vkeys[0]], f"{name}.example")
            stack.callback(one.end)
            running.append(one)
        log = Log(tmp_path / folder, tuple(one.site for one in running), quorum, **more)
        log.running = running  # type: ignore[attr-defined]
        stack.callback(log.close)
        if start:
            log.publisher.start()
        return log

    return made


def test_what_is_durable_is_published_within_a_second(make: Callable[..., Log]) -> None:
    """Without a witness: the log's own signature, alone."""
    log = make()
    until(lambda: log.published()[0] == log.size)
    for _ in range(3):
        size, began = log.grant(5), time.monotonic()
        until(lambda size=size: log.published()[0] == size)  # type: ignore[misc]
        assert time.monotonic() - began < 1.5  # half a second by itself, and a loaded machine
    note = log.store.published(SITE)
    assert note is not None and SignedNote.parse(note).signed_by(PublicKey.parse(log.vkey))
    assert not log.state.exists()


def test_two_witnesses_sign_what_is_published_and_receipts_carry_it(make: Callable[..., Log]) -> None:
    log = make("ab", quorum=2)
    kept = log.store.append(record(), NOTICE).result(10)
    until(lambda: log.published() == (log.size, 2))
    receipt = log.store.receipt(kept.record.id)
    assert receipt is not None
    trust = verify.Trust.of(verify.read_keys(log.vkey), verify.read_keys("\n".join(w.key for w in log.witnesses)), 2)
    seen = verify.check(json.dumps(receipt.to_json()).encode(), trust)
    assert seen.verdict.holds, seen.verdict.to_json()
    assert not [caveat for caveat in seen.verdict.caveats if caveat.code == "no-witness"]
    assert [one["state"] for one in standing(log.state)["witnesses"]] == ["signed", "signed"]  # type: ignore[index]
    assert words(standing(log.state), log.witnesses) == [f"{n}.example: signs, {log.size} entries" for n in "ab"]
    assert set(log.outcomes) == {"signed"}


def test_each_checkpoint_follows_from_the_one_before(make: Callable[..., Log]) -> None:
    log = make("a", quorum=1)
    for count in (1, 300, 7):
        size = log.grant(count)
        until(lambda size=size: log.published() == (size, 1))  # type: ignore[misc]
    notes = [SignedNote.parse(one.note).checkpoint for one in log.store.checkpoints(SITE)]
    assert [n.size for n in notes] == sorted({n.size for n in notes})
    for old, new in pairwise(notes):
        proof = log.store.tree(SITE, new.size).consistency(old.size)
        assert verify.consistent(old.size, old.root, new.size, new.root, proof)


def test_one_of_two_that_is_down_holds_nothing_up_and_catches_up(make: Callable[..., Log], caplog: pytest.LogCaptureFixture) -> None:
    log = make("ab")
    until(lambda: log.published() == (log.size, 2))
    log.running[1].stop()  # type: ignore[attr-defined]
    size, began = log.grant(3), time.monotonic()
    until(lambda: log.published() == (size, 1))
    assert time.monotonic() - began < 2
    until(lambda: log.says(log.witnesses[1])["state"] == "down")
    assert "the witness b.example cannot be reached" in caplog.text
    log.running[1].start()  # type: ignore[attr-defined]
    until(lambda: log.published() == (size, 2), 40)


def test_a_slow_witness_holds_up_neither_grants_nor_the_other(make: Callable[..., Log]) -> None:
    log = make("ab", timeout=3.0)
    until(lambda: log.published() == (log.size, 2))
    log.running[1].process.send_signal(signal.SIGSTOP)  # type: ignore[attr-defined]
    for _ in range(3):
        began = time.monotonic()
        size = log.grant(2)
        assert time.monotonic() - began < 1
        until(lambda size=size: log.published() == (size, 1))  # type: ignore[misc]
        assert time.monotonic() - began < 3
    until(lambda: log.says(log.witnesses[1])["state"] == "down")
    assert "does not answer within 3 s" in str(log.says(log.witnesses[1])["said"])
    log.running[1].process.send_signal(signal.SIGCONT)  # type: ignore[attr-defined]
    until(lambda: log.published() == (size, 2), 40)


def test_too_few_signatures_are_waited_for_and_then_said(make: Callable[..., Log], caplog: pytest.LogCaptureFixture) -> None:
    log = make("ab", quorum=2, hold=2.0)
    until(lambda: log.published() == (log.size, 2))
    before = log.published()
    log.running[1].stop()  # type: ignore[attr-defined]
    size, began = log.grant(), time.monotonic()
    time.sleep(1.2)
    assert log.published() == before
    until(lambda: log.published() == (size, 1))
    assert time.monotonic() - began < 6
    until(lambda: "published with 1 of 2 signatures of witnesses wanted" in caplog.text)  # told after it is published
    until(lambda: standing(log.state)["short"] is True)  # type: ignore[index]


def test_a_witness_that_has_seen_more_than_the_publisher_remembers(make: Callable[..., Log]) -> None:
    """Its answer was lost (a kill between its state and its answer, a time-out): 409, and on from its size."""
    log = make("a", start=False)
    log.grant(5)
    head = log.store.head(SITE)
    assert head is not None
    for size, old in ((3, 0), (5, 3)):
        tree = log.store.tree(SITE, size)
        proof = [verify.base64.b64encode(step).decode() for step in tree.consistency(old)]
        text = f"{origin(SITE)}\n{size}\n{verify.base64.b64encode(tree.root()).decode()}\n"
        body = "\n".join([f"old {old}", *proof, "", log.keys(SITE).sign(text)]).encode()
        assert log.running[0].ask(body)[0] == 200  # type: ignore[attr-defined]
    size = log.grant(4)
    log.publisher.start()
    until(lambda: log.published() == (size, 1))


def test_a_fork_is_an_error_everywhere_and_no_signature(make: Callable[..., Log], caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Two views shown to two visitors: a second ledger signed with the same key. The witness has signed the first one's tree."""
    first = make("a", folder="a")
    kept = first.store.append(record(), NOTICE).result(10)
    until(lambda: first.published() == (first.size, 1))
    first.close()
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a" / "log-key", tmp_path / "b" / "log-key")
    second = Log(tmp_path / "b", first.witnesses)
    try:
        other = second.store.append(record(), NOTICE).result(10)
        assert second.size == first.size
        second.publisher.start()
        until(lambda: second.says(second.witnesses[0]).get("state") == "refused")
        assert "has signed another tree of" in str(second.says(second.witnesses[0])["said"])
        assert "refused" in second.outcomes
        assert any(line.levelno == logging.ERROR and "a.example" in line.getMessage() for line in caplog.records)
        until(lambda: second.published() == (second.size, 0))
        # Each visitor's receipt holds by itself; only one carries the witness's signature, and both together show the fork.
        trust = verify.Trust.of(verify.read_keys(first.vkey), verify.read_keys(first.witnesses[0].key), 1)
        documents = []
        for store, of in ((first.store, kept), (second.store, other)):
            receipt = store.receipt(of.record.id)
            assert receipt is not None
            documents.append(verify.check(json.dumps(receipt.to_json()).encode(), trust))
        assert documents[0].verdict.holds
        assert [fault.code for fault in documents[1].verdict.faults] == ["no-cosignature"]
    finally:
        second.close()
    status, found = first.running[0].report()  # type: ignore[attr-defined]
    assert (status, [one["kind"] for one in found]) == (1, ["fork"])
    key = PublicKey.parse(first.vkey)
    assert all(SignedNote.parse(str(found[0][name])).signed_by(key) for name in ("note", "signed_note"))


def test_an_older_copy_of_the_ledger_is_noticed_before_anybody_grants(make: Callable[..., Log], tmp_path: Path) -> None:
    log = make("a")
    until(lambda: log.published() == (log.size, 1))
    (tmp_path / "older").mkdir()
    shutil.copy(tmp_path / "a" / "log-key", tmp_path / "older" / "log-key")
    with closing(sqlite3.connect(tmp_path / "a" / "volens.db")) as live, closing(sqlite3.connect(tmp_path / "older" / "volens.db")) as copy:
        live.backup(copy)
    size = log.grant(4)
    until(lambda: log.published() == (size, 1))
    log.close()
    restored = Log(tmp_path / "older", log.witnesses)
    try:
        restored.publisher.start()
        until(lambda: restored.says(log.witnesses[0]).get("state") == "refused")
        assert "an older copy of it was restored" in str(restored.says(log.witnesses[0])["said"])
        while restored.size < size + 1:  # and where it grows past what was signed, no proof leads there
            restored.grant()
        until(lambda: restored.published() == (restored.size, 0))
    finally:
        restored.close()


def test_a_witness_that_does_not_know_the_key_is_named(make: Callable[..., Log], stack: ExitStack, tmp_path: Path) -> None:
    stranger = Running.made(tmp_path / "stranger", [LogKey.new(origin(SITE)).vkey])
    stack.callback(stranger.end)
    log = Log(tmp_path / "a", (stranger.site,))
    stack.callback(log.close)
    log.publisher.start()
    until(lambda: log.says(stranger.site).get("state") == "unknown")
    assert "knows none of the keys that sign this log" in str(log.says(stranger.site)["said"])
    until(lambda: log.published() == (log.size, 0))


@contextmanager
def answering(status: int, body: bytes, kind: str = "text/plain") -> Iterator[int]:
    """A witness that lies; its port."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Lies(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("location", "http://127.0.0.1:9/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *given: object) -> None:
            pass

    lying = ThreadingHTTPServer(("127.0.0.1", 0), Lies)
    Thread(target=lying.serve_forever, daemon=True).start()
    yield lying.server_address[1]
    lying.shutdown()
    lying.server_close()


LIAR = WitnessKey("liar.example", b"l" * 32)


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (200, b"", "text/plain", "without a signature of the key"),
        (200, "— liar.example AAAA\n".encode(), "text/plain", "no signature of it"),
        (200, LIAR.cosign("another text\n", 5).encode(), "text/plain", "is not over this text"),
        (200, WitnessKey("liar.example", b"m" * 32).cosign("x\n", 5).encode(), "text/plain", "without a signature of the key"),
        (200, b"\xff\xfe" * 50, "text/plain", "no signature of it"),
        (200, b"x" * 100_000, "text/plain", "more than can be"),
        (302, b"", "text/plain", "HTTP 302"),
        (500, b"", "text/plain", "HTTP 500"),
        (409, b"abc\n", "text/x.tlog.size", "HTTP 409"),
        (409, b"1\n", "text/plain", "HTTP 409"),
        (409, b"99999999999999\n", "text/x.tlog.size", "an older copy"),
        (409, b"1\n", "text/x.tlog.size", "has signed another tree of 1"),
        (422, b"", "text/plain", "does not continue it"),
        (404, b"", "text/plain", "does not know this log"),
    ],
)
def test_a_witness_that_answers_anything_else_adds_nothing(
    tmp_path: Path, stack: ExitStack, status: int, body: bytes, kind: str, said: str
) -> None:
    witness = Witness(f"http://127.0.0.1:{stack.enter_context(answering(status, body, kind))}", LIAR.public.text)
    log = Log(tmp_path / "a", (witness,), hold=0.0)
    stack.callback(log.close)
    log.grant()
    log.publisher.start()
    until(lambda: said in str(log.says(witness).get("said")))
    until(lambda: log.published() == (log.size, 0))
    assert len(SignedNote.parse(log.store.published(SITE) or "").signatures) == 1


PUBLISHING = """
import sys
from pathlib import Path
from tests.ledger.conformance import NOTICE, SITE, record
from tests.ledger.pg import database, server  # noqa: F401
from tests.ledger.test_publish import Log
log = Log(Path(sys.argv[1]))
log.publisher.start()
print("up", flush=True)
sys.stdin.read()
"""


def test_one_process_publishes_and_another_takes_its_turn_when_it_is_killed(tmp_path: Path, make: Callable[..., Log]) -> None:
    environment = ENVIRONMENT | {"PYTHONPATH": os.pathsep.join([ENVIRONMENT["PYTHONPATH"], str(Path(__file__).parent.parent.parent)])}
    command = [sys.executable, "-c", PUBLISHING, str(tmp_path / "a")]
    other = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None and other.stdout.readline() == b"up\n"
        until(lambda: (tmp_path / "a" / "volens.db").exists())
        log = make(folder="a")
        until(lambda: log.published()[0] == log.size)
        assert log.publisher._published == (-1, 0)  # it had no turn
        other.kill()
        other.wait()
        size = log.grant()
        until(lambda: log.published()[0] == size)
        assert log.publisher._published[0] == size
    finally:
        other.kill()
        other.wait()


def test_two_machines_on_one_server_publish_one_log(tmp_path: Path, database: str, stack: ExitStack) -> None:  # noqa: F811
    """PostgreSQL: whoever has the turn publishes what either has written; when that one goes, the other does."""
    key = Keyring(tmp_path / "log-key")
    witness = Running.made(tmp_path / "witness", [key(SITE).vkeys[0]])
    stack.callback(witness.end)
    proof, machines = Proof((witness.site,), 1), []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        store = PostgresStore(database, tmp_path / name / "withdrawals", Keyring(tmp_path / "log-key"))
        stack.callback(store.close)
        publisher = Publisher(store, SITE, Keyring(tmp_path / "log-key"), proof, state=tmp_path / name / "witnesses")
        stack.callback(publisher.stop)
        machines.append((store, publisher))
        store.keep_notice(SITE, NOTICE)
        publisher.start()

    def published(size: int) -> bool:
        note = machines[1][0].published(SITE, size)
        return note is not None and len(cosigners(note, proof.witnesses)) == 1

    def grant() -> int:
        for store, _ in machines:
            store.append(record(), NOTICE).result(10)
        head = machines[1][0].head(SITE)
        assert head is not None
        return head.size

    size = grant()
    until(lambda: published(size))
    with psycopg.connect(database, autocommit=True) as link:  # every connection is cut, and with them the turn
        link.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    until(lambda: granted(grant), 40)
    size = grant()
    until(lambda: published(size), 40)
    machines[0][1].stop()
    size = grant()
    until(lambda: published(size))
    assert witness.report() == (0, [])


def granted(grant: Callable[[], int]) -> bool:
    with suppress(StoreError):
        return bool(grant())
    return False


# The keys ---------------------------------------------------------------------------------------------------------


def test_after_a_change_of_keys_both_sign_and_the_witness_goes_on(make: Callable[..., Log]) -> None:
    log = make("a", quorum=1)
    until(lambda: log.published() == (log.size, 1))
    before, first = log.store.published(SITE), PublicKey.parse(log.vkey)
    keyring.change(log.folder / "log-key", SITE, "rotate")
    size = log.grant()
    until(lambda: log.published() == (size, 1))  # by the key that it knows
    new = PublicKey.parse(log.vkey)
    assert new != first
    note = SignedNote.parse(log.store.published(SITE) or "")
    assert note.signed_by(new) and note.signed_by(first)
    head = log.store.head(SITE)
    assert head is not None and SignedNote.parse(head.note).signed_by(new)
    assert before is not None and SignedNote.parse(before).signed_by(first)  # what was signed verifies as before
    keyring.change(log.folder / "log-key", SITE, "drop")
    assert log.keys(SITE).vkeys == (new.text, first.text)  # still told to who verifies
    log.running[0].stop()  # type: ignore[attr-defined]
    witness_config = log.running[0].config  # type: ignore[attr-defined]
    from volens import witness

    assert witness.add(witness_config, new.text) == origin(SITE)
    log.running[0].start()  # type: ignore[attr-defined]
    size = log.grant()
    until(lambda: log.published() == (size, 1), 60)
    assert not SignedNote.parse(log.store.published(SITE) or "").signed_by(first)


def test_key_files_hold_what_they_say_and_are_changed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log-key"
    ring = Keyring(path)
    first = ring("a.example")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyFileError, match=r"is the key of 'a.example/volens', not of 'b.example/volens'"):
        ring("b.example")
    with pytest.raises(ConfigError, match="no key but the one that signs"):
        keyring.change(path, "a.example", "drop")
    for _ in range(3):
        keyring.change(path, "a.example", "rotate")
    assert path.stat().st_mode & 0o777 == 0o600
    changed = ring("a.example")
    assert (len(changed.keys), len(changed.retired)) == (2, 2)
    assert changed.vkeys[-1] == first.vkeys[0]
    assert [key["does"] for key in keyring.describe(path, "a.example")] == ["signs", "signs too", "verifies", "verifies"]
    with pytest.raises(ConfigError, match="'use' is not done"):
        keyring.change(path, "a.example", "use")
    with pytest.raises(ConfigError, match="is not there"):
        keyring.change(tmp_path / "none", "a.example", "rotate")
    assert sorted(name.name for name in tmp_path.iterdir()) == ["log-key"]
    monkeypatch.setenv(keyring.ENVIRONMENT, ",".join(key.secret_text() for key in changed.keys))
    assert Keyring.of(tmp_path / "nowhere")("a.example").keys[0].vkey == changed.vkeys[0]
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(ConfigError, match="is in the environment"):
        keyring.change(path, "a.example", "rotate")


def test_a_key_file_that_is_spoilt_while_running_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "log-key"
    ring = Keyring(path)
    held = ring(SITE)
    seed = held.keys[0].secret_text().split("+", 4)[-1]
    path.write_text(held.keys[0].secret_text()[:-9] + "\n")
    assert ring(SITE) is held
    assert "those before go on" in caplog.text and seed[:-9] not in caplog.text
    path.unlink()
    assert ring(SITE) is held and not path.exists()


def test_no_secret_is_in_what_is_printed_kept_or_told(make: Callable[..., Log], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log = make("a")
    log.grant(3)
    until(lambda: log.published() == (log.size, 1))
    keyring.change(log.folder / "log-key", SITE, "rotate")
    log.grant(3)
    until(lambda: log.published() == (log.size, 1))
    held: LogKeys = log.keys(SITE)
    log.close()
    secrets = [key.secret_text().split("+", 4)[4] for key in held.keys]
    told = [repr(held), caplog.text, str(keyring.describe(log.folder / "log-key", SITE)), log.state.read_text()]
    told += [path.read_bytes().decode("latin-1") for path in log.folder.iterdir() if path.name != "log-key" and path.is_file()]
    assert not [text for text in told for secret in secrets if secret in text]
