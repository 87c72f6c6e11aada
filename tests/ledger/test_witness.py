"""``volens witness``: what it signs it has signed for good, and of what it refuses both notes are kept. By real servers."""

from __future__ import annotations

import base64
import http.client
import json
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.signed_trees import Log
from tests.ledger.witnesses import COMMAND, ENVIRONMENT, NAME, Running
from tests.running import free_port
from volens import witness
from volens.errors import ConfigError, KeyFileError, SignedNoteError, StoreError
from volens.ledger import verify
from volens.ledger.cosign import MAX_NOTE, PublicKey, SignedNote, WitnessKey, with_lines
from volens.ledger.note import LogKey, origin
from volens.witness import MAX_BODY, Asked, State, Witness


@pytest.fixture
def log() -> Log:
    return Log.of(600)


@pytest.fixture
def running(tmp_path: Path, log: Log) -> Iterator[Running]:
    made = Running.made(tmp_path, [log.key.vkey])
    yield made
    made.end()


def cosigned(line: str, note: str, key: PublicKey) -> int | None:
    """When the witness signed, read by the code that shares nothing with it."""
    seen = verify.check(with_lines(note, [line.rstrip("\n")]).encode(), verify.Trust.of([], verify.read_keys(key.text)))
    assert [fault.code for fault in seen.verdict.faults] in ([], ["no-key"]), seen.verdict.faults
    return SignedNote.parse(with_lines(note, [line.rstrip("\n")])).cosigned_by(key)


def test_a_log_is_signed_from_its_first_entry_on(running: Running, log: Log) -> None:
    before = int(time.time())
    for old, size in ((0, 1), (1, 2), (2, 2), (2, 255), (255, 256), (256, 600)):
        status, kind, line = running.ask(log.request(old, size))
        assert (status, kind) == (200, "text/plain; charset=utf-8"), line
        assert line.startswith(f"— {NAME} ") and line.endswith("\n") and line.count("\n") == 1
        when = cosigned(line, log.note(size), running.key)
        assert when is not None and before <= when <= time.time()
    assert running.report() == (0, [])


def test_a_wrong_old_size_is_told_the_right_one(running: Running, log: Log) -> None:
    assert running.ask(log.request(0, 300))[0] == 200
    assert running.ask(log.request(0, 400)) == (409, "text/x.tlog.size", "300\n")
    assert running.ask(log.request(200, 400)) == (409, "text/x.tlog.size", "300\n")
    assert running.ask(log.request(300, 400))[0] == 200
    assert running.report() == (0, [])


def test_a_fork_is_refused_and_both_notes_are_kept(running: Running, log: Log) -> None:
    """Two views shown to two visitors: whichever comes second has no signature, and stands in the report."""
    other = Log.of(600, log.key, "another entry")
    assert running.ask(log.request(0, 300))[0] == 200
    assert running.ask(other.request(300, 300, [])) == (409, "text/x.tlog.size", "300\n")
    status, found = running.report()
    assert status == 1
    assert [(one["kind"], one["note"], one["signed_note"]) for one in found] == [("fork", other.note(300), log.note(300))]
    key = PublicKey.parse(log.key.vkey)  # both are signed by the log, and anybody can see it
    for note in (found[0]["note"], found[0]["signed_note"]):
        assert SignedNote.parse(str(note)).signed_by(key)
    assert "fork at 300 entries" in running.said()
    assert running.ask(log.request(300, 301))[0] == 200  # the tree that was signed goes on


def test_a_fork_below_what_was_signed_last_is_seen_too(running: Running, log: Log) -> None:
    other = Log.of(600, log.key, "another entry")
    for old, size in ((0, 300), (300, 500)):
        assert running.ask(log.request(old, size))[0] == 200
    assert running.ask(other.request(0, 300))[0] == 409
    status, found = running.report()
    assert (status, [(one["kind"], one["signed_note"]) for one in found]) == (1, [("fork", log.note(300))])


def test_a_rewritten_tree_is_refused(running: Running, log: Log) -> None:
    """One old entry changed, all hashes made anew, every signature right: no proof leads from what was signed to it."""
    entries = [f"entry {n}".encode() for n in range(600)]
    entries[7] = b"entry 7, changed afterwards"
    changed = Log(log.key, entries)
    assert running.ask(log.request(0, 300))[0] == 200
    assert running.ask(changed.request(300, 600))[0] == 422
    assert running.ask(log.request(300, 600, []))[0] == 422
    status, found = running.report()
    assert status == 0  # without the publisher's word on it this alone is no proof: anybody can send a wrong proof
    assert [(one["kind"], one["note"]) for one in found] == [("rewrite", changed.note(600)), ("rewrite", log.note(600))]
    assert running.ask(log.request(300, 600))[0] == 200


def test_a_rollback_is_refused_and_an_old_checkpoint_sent_again_is_no_rollback(running: Running, log: Log) -> None:
    for old, size in ((0, 300), (300, 500)):
        assert running.ask(log.request(old, size))[0] == 200
    assert running.ask(log.request(300, 300, []))[0] == 409
    assert running.report() == (0, [])
    assert running.ask(log.request(0, 299)) == (409, "text/x.tlog.size", "500\n")
    assert [(one["kind"], one["signed_size"]) for one in running.report()[1]] == [("rollback", 500)]


def test_unknown_logs_keys_and_broken_requests(running: Running, log: Log) -> None:
    elsewhere = Log(LogKey.new("other.example/volens"), [b"a"], "other.example")
    assert running.ask(elsewhere.request(0, 1))[0] == 404
    assert running.ask(Log.of(3).request(0, 3))[0] == 403  # the same log by another key
    good = log.request(0, 3)
    assert running.ask(good.replace(b"\n3\n", b"\n4\n"))[0] == 403  # the text was changed after it was signed
    assert running.ask(log.request(0, 3).replace(b"old 0", b"old 4"))[0] == 400
    head, note = b"old 2\n", good.partition(b"\n\n")[2]
    for body in (
        b"", b"\n", b"old 0", b"old 0\n", b"old 0\n\n", b"old\n\n" + note, b"old 00\n\n" + note, b"old -1\n\n" + note,
        b"old 1e3\n\n" + note,
        b"OLD 0\n\n" + note, b"old 0\r\n\r\n" + note, b"old " + b"9" * 30 + b"\n\n" + note, head + b"AAAA\n\n" + note,
        head + b"=\n\n" + note,
        head + b"".join([base64.b64encode(bytes(32)) + b"\n"] * 64) + b"\n" + note, b"old 0\n\n" + note[:-1], b"old 0\n\n" + note + b"x",
        b"old 0\n\n\xff" + note, b"old 0\n\n" + note.replace("—".encode(), b"-"), b"old 0\n\n" + b"a\n" * 8000, b"\0" * 100,
    ):  # fmt: skip
        assert running.ask(body)[0] == 400, body[:60]
    assert running.ask(b"old 0\n" * MAX_BODY)[0] == 413
    assert running.ask(b"", "GET")[0] == 405
    assert running.ask(b"", "POST", "/")[0] == 405
    assert running.ask(b"", "GET", "/etc/passwd")[0] == 404
    assert running.ask(good)[0] == 200
    assert "Traceback" not in running.said()


def test_a_request_that_never_ends_holds_up_nobody(running: Running, log: Log) -> None:
    slow = []
    for _ in range(witness.AT_ONCE // 2):
        one = socket.create_connection(("127.0.0.1", running.port))
        one.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nold 0\n")
        slow.append(one)
    began = time.monotonic()
    assert running.ask(log.request(0, 3))[0] == 200
    assert time.monotonic() - began < 5
    slow[0].settimeout(witness.PATIENCE + 10)
    assert slow[0].recv(100).startswith(b"HTTP/1.1 408")
    for one in slow:
        one.close()


def test_headers_that_never_end_are_not_waited_for(running: Running, log: Log) -> None:
    running.stop()
    running.start(
        [sys.executable, "-c", "import sys; from volens import cli, witness; witness.IDLE = 1.0; cli.main(['witness', *sys.argv[1:]])"]
    )
    with socket.create_connection(("127.0.0.1", running.port)) as slow, socket.create_connection(("127.0.0.1", running.port)) as silent:
        slow.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        for one in (slow, silent):
            one.settimeout(15)
            assert one.recv(100) == b""
    assert running.ask(log.request(0, 3))[0] == 200


KILLED = """
import os, signal, sys
from volens import cli, witness
judged = witness.Witness._judged if {when!r} == "before" else witness.Witness.add_checkpoint
def die(self, *given):
    answer = judged(self, *given)
    os.kill(os.getpid(), signal.SIGKILL)
    return answer
setattr(witness.Witness, judged.__name__, die)
cli.main(["witness", *sys.argv[1:]])
"""


@pytest.mark.parametrize(("when", "size"), [("before", 0), ("after", 300)])
def test_a_witness_killed_in_the_middle_has_signed_or_has_not(running: Running, log: Log, when: str, size: int) -> None:
    """Killed before its state is written, it has signed nothing; between state and answer, it remembers what nobody saw."""
    running.stop()
    running.start([sys.executable, "-c", KILLED.format(when=when)])
    with pytest.raises((http.client.HTTPException, OSError)):
        running.ask(log.request(0, 300))
    assert running.process is not None and running.process.wait(10) == -signal.SIGKILL
    running.start()
    other = Log.of(600, log.key, "another entry")
    if size:
        assert running.ask(other.request(0, 300)) == (409, "text/x.tlog.size", "300\n")
        assert running.report()[0] == 1
        assert running.ask(log.request(0, 400)) == (409, "text/x.tlog.size", "300\n")
    assert running.ask(log.request(size, 400))[0] == 200


def test_of_many_at_once_one_tree_is_signed(running: Running, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checking the old size and keeping the new are one step, also between processes."""
    running.stop()

    def slowly(*given: Any) -> bool:
        time.sleep(0.1)  # between the two
        return verify.consistent(*given)

    monkeypatch.setattr(witness, "consistent", slowly)
    config = witness.load(running.config)
    views = [Log.of(10, log.key, f"view {n}") for n in range(8)]
    answers: list[int] = []

    def ask(view: Log) -> None:
        key, state = witness.open_witness(config)
        answers.append(Witness(key, config.logs, state).add_checkpoint(view.request(0, 10)).status)

    threads = [threading.Thread(target=ask, args=(view,)) for view in views]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, *[409] * 7]
    assert running.report()[0] == 1


def test_a_clock_that_went_back_unsays_nothing(tmp_path: Path, log: Log) -> None:
    now = [2_000_000_000.0]
    key = WitnessKey(NAME, bytes(32))
    made = Witness(key, {log.origin: (PublicKey.parse(log.key.vkey),)}, State(tmp_path / "db"), lambda: now[0])
    times = []
    for old, size, at in ((0, 1, 2e9), (1, 2, 1e9), (2, 3, 2e9 + 5)):
        now[0] = at
        times.append(cosigned(made.add_checkpoint(log.request(old, size)).body, log.note(size), key.public))
    assert times == [2_000_000_000, 2_000_000_000, 2_000_000_005]


def test_a_disk_that_is_full_signs_nothing(running: Running, log: Log) -> None:
    assert running.ask(log.request(0, 3))[0] == 200
    connection = sqlite3.connect(running.folder / "witness.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")  # as good as: it cannot be written
    status, _, said = running.ask(log.request(3, 4))
    connection.execute("ROLLBACK")
    connection.close()
    assert (status, "cannot keep" in said) == (503, True)
    assert running.ask(log.request(3, 4))[0] == 200


def test_what_was_signed_is_remembered_thinly(tmp_path: Path) -> None:
    log = Log.of(400)
    now = [1_000_000.0]
    made = Witness(WitnessKey(NAME, bytes(32)), {log.origin: (PublicKey.parse(log.key.vkey),)}, State(tmp_path / "db"), lambda: now[0])
    for size in range(1, 400):
        now[0] += 20
        assert made.add_checkpoint(log.request(size - 1, size)).status == 200
    with sqlite3.connect(tmp_path / "db") as connection:
        times = [time for (time,) in connection.execute("SELECT time FROM signed ORDER BY size")]
    recent = [at for at in times if at > now[0] - 3600]
    assert len(recent) >= 179
    assert len(times) - len(recent) <= (399 * 20 - 3600) / 60 + 8


def test_the_same_refusal_again_makes_no_work(tmp_path: Path) -> None:
    log = Log.of(10)
    made = Witness(WitnessKey(NAME, bytes(32)), {log.origin: (PublicKey.parse(log.key.vkey),)}, State(tmp_path / "db"))
    assert made.add_checkpoint(log.request(0, 10)).status == 200
    other = Log.of(10, log.key, "other").request(10, 10, [])
    for _ in range(50):
        assert made.add_checkpoint(other).status == 409
    assert [one["times"] for one in made.state.refusals()] == [1]


def test_a_person_who_opens_the_address_is_told_what_this_is(running: Running, log: Log) -> None:
    assert running.ask(log.request(0, 3))[0] == 200
    status, kind, page = running.ask(b"", "GET", "/", **{"Accept-Language": "fr-FR,fr;q=0.9,en;q=0.5"})
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert '<html lang="fr">' in page and "Un témoin" in page and running.key.text in page and log.origin in page
    assert '<html lang="en">' in running.ask(b"", "GET", "/")[2]
    told = json.loads(running.ask(b"", "GET", "/", Accept="application/json")[2])
    assert (told["key"], told["logs"][0]["size"], told["forks"]) == (running.key.text, 3, 0)
    note = SignedNote.parse(told["logs"][0]["checkpoint"])
    assert note.cosigned_by(running.key) and note.signed_by(PublicKey.parse(log.key.vkey))
    assert running.ask(Log.of(3, log.key, "other").request(3, 3))[0] == 409
    assert "Divergences refusées, preuves à l’appui : 1" in running.ask(b"", "GET", "/", **{"Accept-Language": "fr"})[2]


def test_the_three_commands(tmp_path: Path, log: Log) -> None:
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, *words], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)

    made = command("init", "--name", NAME, "--log", log.key.vkey, "--listen", f"127.0.0.1:{free_port()}")
    assert made.returncode == 0, made.stderr
    key = made.stdout.split()[-1]
    assert PublicKey.parse(key).name == NAME
    assert command("key").stdout.strip() == key
    for name in ("witness.key", "witness.db"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert "is there already" in command("init", "--name", NAME).stderr
    other = LogKey.new(origin("b.example"))
    assert "b.example/volens" in command("add", other.vkey).stdout
    assert witness.load(tmp_path / "witness.toml").logs.keys() == {log.origin, "b.example/volens"}
    assert "no verifier key" in command("add", "nonsense").stderr
    secret = (tmp_path / "witness.key").read_text().split("+", 4)[-1].strip()
    assert all(secret not in done.stdout + done.stderr for done in (made, command("key"), command("report"), command("add", "x")))
    (tmp_path / "witness.db").unlink()
    assert "is gone" in command().stderr  # who has forgotten what it signed signs no more
    (tmp_path / "witness.db").touch()  # as a full disk leaves a copy that is put back
    assert "is gone" in command("key").stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "name: missing"),
        ('name = "a b"', "'a b'"),
        ('name = "a"\nlisten = "x"', "not an address with a port"),
        ('name = "a"\nlogs = ["x"]', "no verifier key"),
        ('name = "a"\nlogs = [{origin = 3}]', "is no log"),
        (f'name = "a"\nlogs = ["{WitnessKey(NAME, bytes(32)).public.text}"]', "a witness's, and a log's is needed"),
        ('name = "a"\nport = 3', "there is no such setting"),
        ("name = ", "must be TOML"),
    ],
)
def test_a_mistake_of_the_configuration_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "witness.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        witness.load(path)


def test_a_key_file_that_holds_something_else_is_refused_without_its_secret(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = WitnessKey.open(path, NAME)
    assert repr(key) == f"WitnessKey({key.public.text!r})"
    line = path.read_text()
    seed = line.strip().split("+", 4)[4]
    for wrong in ("", "x", line.replace("PRIVATE", "PUBLIC"), line[:-5], line.replace(key.public.id.hex(), "00000000")):
        path.write_text(wrong)
        with pytest.raises(KeyFileError) as caught:
            WitnessKey.open(path, NAME)
        assert seed not in str(caught.value)
    path.write_text(line)
    with pytest.raises(KeyFileError, match="the key of"):
        WitnessKey.open(path, "another")
    with pytest.raises(StoreError, match="is not the state of a witness"):
        with sqlite3.connect(tmp_path / "other.db") as connection:
            connection.execute("CREATE TABLE x (y)")
        State(tmp_path / "other.db")


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    for text in (body, b"old 0\n\n" + body, b"old 3\n" + body):
        try:
            Asked.parse(text)
        except SignedNoteError:
            pass


def test_cosignatures_are_those_of_the_specification() -> None:
    """Time and signature as tlog-cosignature writes them, checked byte for byte with nothing of ours."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    log, key = Log.of(5), WitnessKey(NAME, bytes(range(32)))
    text = log.note(5).partition("\n\n")[0] + "\n"
    name, encoded = key.cosign(text, 1679315147)[2:].rstrip("\n").split(" ")
    data = base64.b64decode(encoded)
    public = base64.b64decode(key.public.text.split("+", 2)[2])[1:]
    assert name == NAME and data[:4].hex() == key.public.text.split("+")[1] and len(data) == 4 + 8 + 64
    assert struct.unpack(">Q", data[4:12]) == (1679315147,)
    Ed25519PublicKey.from_public_bytes(public).verify(data[12:], b"cosignature/v1\ntime 1679315147\n" + text.encode())


def test_the_limits_leave_room_for_every_note_that_must_be_taken() -> None:
    """Sixteen signatures (signed-note), and a proof of 63 hashes."""
    log = Log.of(3)
    lines = [WitnessKey(f"w{n}.{'x' * 200}", bytes([n]) * 32).cosign("x\n", 1).rstrip("\n") for n in range(16)]
    note = with_lines(log.note(3), lines)
    assert len(note.encode()) < MAX_NOTE
    assert len(SignedNote.parse(note).signatures) == 17
