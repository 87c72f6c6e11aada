"""Whatever is given to the verifier, it answers: no crash, in bounded time and memory. A million inputs stand in tests/soak."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import time
import tracemalloc
from contextlib import closing, suppress
from pathlib import Path

import logs
import pytest
from fuzzing import SLOW, TRUST, Inputs
from logs import KEY, grown

from volens.ledger import archive
from volens.ledger.sqlite import SqliteStore
from volens.ledger.verify import MAX_DOCUMENT, canonical, check


def test_some_thousand_spoilt_inputs(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    met: dict[str, int] = {}
    for number in range(4000):
        kind, seconds = inputs.run(number)
        met[kind] = met.get(kind, 0) + 1
        assert seconds < 20 * SLOW, f"input {number} took {seconds:.1f} s"  # the machine may be busy
    assert len(met) == 9 and min(met.values()) > 10, met


def test_no_spoilt_receipt_holds_unless_it_says_the_same() -> None:
    """Every byte of a receipt, each changed by one bit: what still holds differs in nothing that it says."""
    good = json.dumps(grown(12).receipt(5)).encode()
    facts = check(good, TRUST).verdict.facts
    trust = type(TRUST)(TRUST.log)
    assert check(good, trust).verdict.holds
    for at in range(len(good)):
        for bit in (1, 2, 16):
            verdict = check(good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :], trust).verdict
            assert not verdict.holds or {**verdict.facts, "witnesses": {}} == {**facts, "witnesses": {}}, (at, bit)


def test_hostile_inputs_are_answered_at_once_and_in_little_memory() -> None:
    receipt = json.dumps(grown(3).receipt(1))
    hostile = {
        "deep list": "[" * 2_000_000,
        "deep object": '{"a":' * 500_000,
        "long": receipt + " " * (MAX_DOCUMENT + 1),
        "long number": receipt.replace('"index": 1', '"index": ' + "9" * 1_000_000),
        "many fields": "{" + ",".join(f'"k{n}":1' for n in range(300_000)) + "}",
        "many signatures": logs.KEY.sign("a\n1\n" + "A" * 43 + "=\n") + "— a AAAAAAAA\n" * 70_000,
        "many lines": "a\n" * 400_000 + "\n— a AAAAAAAA\n",
        "long name": "a\n1\nA\n\n— " + "a" * 900_000 + " AAAAAAAA\n",
    }
    for name, text in hostile.items():
        tracemalloc.start()
        start = time.perf_counter()
        assert not check(text.encode(), TRUST, name).verdict.holds
        seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seconds < 20 * SLOW and peak < 160 << 20, (name, seconds, peak)


def _bomb(path: Path, begin: bytes, piece: bytes, size: int) -> Path:
    """A file of a few megabytes that unpacks to that many bytes."""
    many = 1 << 26
    member = gzip.compress(piece * (many // len(piece)), 9)
    path.write_bytes(gzip.compress(begin) + member * (size // many))
    assert path.stat().st_size < size // 200
    return path


LINES = grown(10).lines()
ENTRY = json.dumps(LINES[5]).encode() + b"\n"
BOMBS = {
    "a line without end": (b"", b"\0", "cut"),
    "a header without end": (b"", b"[", "cut"),
    "a line without end after the header": (canonical(LINES[0]) + b"\n", b" ", "cut"),
    "empty lines": (canonical(LINES[0]) + b"\n", b"\n", "unread"),
    "one entry": (canonical(LINES[0]) + b"\n", ENTRY, "unread"),
    "one checkpoint": (
        canonical(LINES[0]) + b"\n",
        canonical({"checkpoints": [{"at": 0, "note": grown(3).head(), "size": 4}]}) + b"\n",
        "unread",
    ),
    "long lines": (canonical(LINES[0]) + b"\n", b"[" + b"[]," * (5 << 20) + b"[]]\n", "form"),
    "one long text": (
        canonical(LINES[0]) + b"\n",
        b'{"file":{"sha256":"\xf0\x9f\x8e\xac","data":"' + b"AAAA" * (15 << 18) + b'"}}\n',
        "file",
    ),
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_small_file_that_unpacks_to_gigabytes_ends_in_a_clear_error_and_little_memory(what: str, tmp_path: Path) -> None:
    begin, piece, code = BOMBS[what]
    bomb = _bomb(tmp_path / "bundle.json.gz", begin, piece, 1 << 29 if len(piece) > 1 << 20 else 4 << 30)
    command = [sys.executable, "-m", "volens.cli", "verify", str(bomb), "--key", KEY.vkey, "--json", "--processes", "2"]
    start, most = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        while True:
            try:
                said, _ = running.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                most = max(most, memory(running.pid))
    (found,) = json.loads(said)["files"]
    assert running.returncode in (1, 2) and not found["holds"]
    assert code in {one["code"] for part in ("faults", "gaps") for one in found[part]}, found
    assert 0 < most < 300 << 20 and time.monotonic() - start < 60 * SLOW, (most >> 20, time.monotonic() - start)


def test_an_import_says_why_a_file_was_not_read_to_its_end(tmp_path: Path) -> None:
    bomb = _bomb(tmp_path / "a.gz", canonical(LINES[0]) + b"\n", b"{}\n", 1 << 26)
    store = SqliteStore(tmp_path / "ledger.db", lambda site: KEY)
    with closing(store), pytest.MonkeyPatch.context() as fewer:
        fewer.setattr("volens.ledger.verify_log.MAX_OTHERS", 1000)
        with pytest.raises(archive.Refused, match=r"nothing was written\. .*more than 1000 of its lines are no entries"):
            archive.read(store, bomb)
        assert store.head(logs.SITE) is None


def memory(pid: int) -> int:
    """Bytes of a process and of those that it started, each shared page once."""
    found, pids = 0, [pid]
    for one in pids:
        with suppress(OSError):
            pids += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
            found += int(re.findall(r"(?m)^Pss: +([0-9]+)", Path(f"/proc/{one}/smaps_rollup").read_text())[0])
    return found << 10
