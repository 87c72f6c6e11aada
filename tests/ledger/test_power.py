"""A power cut loses no acknowledged record.

A process writes to a ledger while ``power.c``, preloaded, writes down what reaches the files, and when they were synced. From that
journal the disk of any moment can be made as a cut would leave it: what was synced is there; of what was not, any part may be, sector by
sector, in any order. Each such disk is opened, and must hold every record whose answer had left by then, under the same tree.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conformance import NOTICE, SITE, record

from volens.ledger.note import LogKey, origin
from volens.ledger.sqlite import SqliteStore
from volens.ledger.tree import Edge, Growth, leaf_hash

HERE = Path(__file__).parent
SOAK = os.environ.get("VOLENS_SOAK") == "1"
CUTS = 2000 if SOAK else 60
SECONDS = 20 if SOAK else 1.5
SECTOR = 512
HEAD = struct.Struct("=6Q")
SEED = bytes(range(32))
FORGOTTEN = ("-shm", "-checkpoint")
"""What only running processes share: it is made anew after a start."""

WRITER = """
import json, os, sys, threading
sys.path.insert(0, {here!r})
from conformance import NOTICE, record
from test_power import opened
from pathlib import Path
folder = Path(sys.argv[1])
store = opened(folder)
acks = os.open(folder / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def submit():
    before = ""
    while True:
        kept = store.append(record(), NOTICE).result()
        os.write(acks, json.dumps({{"id": kept.record.id, "note": kept.checkpoint}}).encode() + b"\\n")
        gone = record(event="withdrawn", method="refuse-all", purposes={{"video": False}}, supersedes=kept.record.id)
        store.withdraw(gone, NOTICE).result()
        os.write(acks, json.dumps({{"id": gone.id}}).encode() + b"\\n")
for _ in range(8):
    threading.Thread(target=submit).start()
threading.Event().wait()
"""


def opened(folder: Path) -> SqliteStore:
    key = LogKey(origin(SITE), SEED)
    return SqliteStore(folder / "volens.db", signer=lambda site: key, patience=30)


@dataclass
class Line:
    """What happened."""

    number: int
    kind: str
    path: str
    other: str
    offset: int
    data: bytes
    began: int


def read(journal: Path) -> Iterator[Line]:
    """The last line may be cut off: the process was killed."""
    data, at, number = journal.read_bytes(), 0, 0
    while at + HEAD.size <= len(data):
        kind, path, other, offset, length, began = HEAD.unpack_from(data, at)
        at += HEAD.size
        if at + path + other + length > len(data):
            return
        name, second = data[at : at + path].decode(), data[at + path : at + path + other].decode()
        at += path + other
        yield Line(number, chr(kind), name, second, offset, data[at : at + length], began)
        at += length
        number += 1


@dataclass
class File:
    """What a disk has of a file for certain, and what it may have."""

    safe: bytearray = field(default_factory=bytearray)
    pending: list[Line] = field(default_factory=list)


def apply(content: bytearray, line: Line, data: bytes, offset: int) -> None:
    if line.kind == "T":
        del content[offset:]
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


class Disk:
    """Follows the journal; ``cut`` makes what a power cut might leave."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}  # by the name that a process sees
        self.names: dict[str, File] = {}  # by the name that is safe
        self.moves: list[tuple[str, str]] = []  # names changed since the folder was synced
        self.acks = b""

    def follow(self, line: Line) -> None:
        if line.path.endswith("/acks"):
            self.acks += line.data
        elif line.kind in "WT":
            self.files.setdefault(line.path, File()).pending.append(line)
        elif line.kind == "S" and line.path in self.files:
            file = self.files[line.path]
            for old in file.pending:
                if old.number < line.began:
                    apply(file.safe, old, old.data, old.offset)
            file.pending = [old for old in file.pending if old.number >= line.began]
            self.names[line.path] = file
        elif line.kind == "R" and line.path in self.files:
            self.files[line.other] = self.files.pop(line.path)
            self.moves.append((line.path, line.other))
        elif line.kind == "U":
            self.files.pop(line.path, None)
            self.moves.append((line.path, ""))
        elif line.kind == "D":
            self.moves = self._moved(self.names, len(self.moves))

    def _moved(self, names: dict[str, File], count: int) -> list[tuple[str, str]]:
        for path, other in self.moves[:count]:
            file = names.pop(path, None)
            if other and file is not None:
                names[other] = file
        return self.moves[count:]

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        names = dict(self.names)
        self._moved(names, chance.randint(0, len(self.moves)))
        for path, file in self.files.items():  # a file never synced may be there all the same
            if file not in names.values() and chance.random() < 0.5:
                names[path] = file
        left = {}
        for path, file in names.items():
            content = bytearray(file.safe)
            keeps = chance.random()  # from nothing to all of it
            for line in file.pending:
                if line.kind == "T":
                    if chance.random() < keeps:
                        apply(content, line, b"", line.offset)
                    continue
                for start in range(0, len(line.data), SECTOR):
                    if chance.random() < keeps:
                        apply(content, line, line.data[start : start + SECTOR], line.offset + start)
            left[path] = bytes(content)
        return left


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Line]]:
    """A writer under load, killed; all it did."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    place = tmp_path_factory.mktemp("power")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", place / "power.so", HERE / "power.c", "-ldl", "-lpthread"], check=True)
    folder = place / "disk"
    folder.mkdir()
    environment = os.environ | {
        "LD_PRELOAD": str(place / "power.so"),
        "POWER_FOLDER": str(folder),
        "POWER_JOURNAL": str(place / "journal"),
        "PYTHONPATH": str(HERE.parent.parent / "src"),
    }
    process = subprocess.Popen([sys.executable, "-c", WRITER.format(here=str(HERE)), str(folder)], env=environment)
    acks, end = folder / "acks", time.monotonic() + 60
    while not (acks.exists() and acks.stat().st_size):
        assert process.poll() is None and time.monotonic() < end, "it writes"
        time.sleep(0.02)
    time.sleep(SECONDS)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return folder, list(read(place / "journal"))


def remade(left: dict[str, bytes], folder: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    for path, content in left.items():
        if not path.endswith(FORGOTTEN):
            file = to / Path(path).relative_to(folder)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
    return to


def lost(place: Path, acks: bytes) -> list[str]:
    """What of the acknowledged is not in the ledger, or in another tree than its receipt says."""
    store = opened(place)
    try:
        store.append(record(), NOTICE).result(30)  # what was set aside is taken in before it
        head = store.head(SITE)
        assert head is not None
        edge = Edge()
        entries = [row.entry for row in store.rows(SITE, 0, head.size)]
        assert Growth(edge, [leaf_hash(entry) for entry in entries]).root == head.root, "the tree is that of the entries"
        tiles, found = store.tree(SITE), []
        for text in acks.split(b"\n")[:-1]:
            ack = json.loads(text)
            if store.record(ack["id"]) is None:
                found.append(f"record {ack['id']}")
            if "note" in ack:
                size, root = ack["note"].split("\n")[1:3]
                if int(size) > head.size or tiles.root(int(size)) != base64.b64decode(root):
                    found.append(f"checkpoint of {size}")
        return found
    finally:
        store.close()


def test_a_power_cut_loses_no_acknowledged_record(journal: tuple[Path, list[Line]], tmp_path: Path) -> None:
    folder, lines = journal
    chance = random.Random(20261122)
    cuts = sorted(chance.sample(range(len(lines) // 20, len(lines)), CUTS))
    disk, at, answered, unsure = Disk(), 0, 0, 0
    for cut in cuts:
        for line in lines[at:cut]:
            disk.follow(line)
        at = cut
        unsure += any(file.pending for file in disk.files.values())
        answered = disk.acks.count(b"\n")
        place = remade(disk.cut(chance), folder, tmp_path / "after")
        if answered:
            assert lost(place, disk.acks) == [], f"cut after line {cut} of {len(lines)}"
    assert answered > 100 and unsure > CUTS // 2, "under load, with much that was not synced"


def test_the_power_test_can_fail(journal: tuple[Path, list[Line]], tmp_path: Path) -> None:
    """The same under a disk that says *synced* and has not written the log's last quarter."""
    folder, lines = journal
    disk, end = Disk(), len(lines) * 3 // 4
    for line in lines[:end]:
        if not (line.kind == "S" and line.path.endswith("-wal") and line.number > end // 2):
            disk.follow(line)
    for file in disk.files.values():
        file.pending = []
    assert lost(remade(disk.cut(random.Random(1)), folder, tmp_path / "after"), disk.acks)
