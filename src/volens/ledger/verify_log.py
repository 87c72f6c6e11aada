"""Checks a whole log cold: an archive, a folder of tiles, or the rows of a store. By the rules of ``verify.py``, and as alone as that.

The entries are cut into blocks, which several processes check one by one and hash; who gathers keeps the leaves in a temporary file and
the hash over each 256 of them in memory, so that ten million entries take some fifteen megabytes and any earlier size has its root.
What one block cannot know is checked when all are in: the order, that a record is gone exactly where the log says that it was erased,
and that the tree has the root that was signed, at this size and at each size for which somebody holds a checkpoint.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import tempfile
import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any, Protocol

from volens.ledger.verify import (
    EMPTY,
    LATE,
    LOG,
    MAX_ENTRY,
    MAX_NOTE,
    Checkpoint,
    Finding,
    Findings,
    Malformed,
    Standing,
    Trust,
    Verdict,
    after,
    canonical,
    check_entry,
    check_record,
    commitment,
    contradiction,
    erased,
    leaf_hash,
    read_checkpoint,
    read_json,
    read_key,
    signed,
)

ARCHIVE = "volens-archive/1"
BLOCK = 1 << 20
"""Bytes of an archive that a process checks at once."""
ROWS = 8192
"""Rows of a store that a process checks at once; a multiple of WIDTH."""
MAX_LINE = 16 << 20
"""Bytes of the longest line: a picture of a notice in base64."""
MAX_WRONG = 1000
"""Lines that are none, and entries out of their place, after which an archive is not read on: a small file may unpack to any size."""
MAX_NAMED = 200_000
"""Notices, files and checkpoints of each kind: a checkpoint a second for a day, and one an hour for a dozen years."""
MAX_OTHERS = 1 << 22
"""Lines of counts, and of whatever is no entry."""
MAX_KINDS = 100
KINDS = frozenset(("record", "notice", "snapshot", "erasure"))
"""Types of entries that are known."""
WIDTH = 256
HASH = 32
TOLD = 40
"""Findings of one kind that are told; of more, how many."""

_sha256 = hashlib.sha256
Progress = Callable[[int, int], None]
"""Called with how many entries are checked, and how many there are."""


class Row(Protocol):
    """An entry as a store keeps it."""

    @property
    def index(self) -> int: ...
    @property
    def entry(self) -> bytes: ...
    @property
    def salt(self) -> bytes | None: ...
    @property
    def record(self) -> bytes | None: ...


def _fold(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes of subtrees that are all of one size but the last (RFC 6962 §2.1)."""
    row = list(hashes)
    while len(row) > 1:
        odd = row[-1:] if len(row) & 1 else []
        row = [_sha256(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row) - 1, 2)] + odd
    return row[0] if row else EMPTY


class Tree:
    """The hashes of a log that was read whole."""

    def __init__(self) -> None:
        self.size = 0
        self._leaves: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 — lives as long as the tree
        self._tiles: list[list[bytes]] = [[]]  # [level][i]: over 2^level times 256 leaves
        self._open = b""  # the leaves after the last whole tile

    def add(self, leaves: bytes, tiles: dict[int, bytes]) -> None:
        """The next leaves, with the hashes over the whole tiles among them as far as somebody has made them, by tile."""
        self._leaves.write(leaves)
        self.size += len(leaves) // HASH
        data = self._open + leaves
        for first in range(0, len(data) - WIDTH * HASH + 1, WIDTH * HASH):
            self._tile(tiles.get(len(self._tiles[0])) or _tile(data[first : first + WIDTH * HASH]))
        self._open = data[len(data) - len(data) % (WIDTH * HASH) :]

    def _tile(self, hash: bytes) -> None:
        level = 0
        self._tiles[0].append(hash)
        while len(self._tiles[level]) % 2 == 0:
            if level + 1 == len(self._tiles):
                self._tiles.append([])
            self._tiles[level + 1].append(_sha256(b"\x01" + self._tiles[level][-2] + self._tiles[level][-1]).digest())
            level += 1

    def leaves(self, first: int, count: int) -> list[bytes]:
        """The hashes of some entries."""
        self._leaves.seek(first * HASH)
        data = self._leaves.read(count * HASH)
        self._leaves.seek(0, os.SEEK_END)
        return [data[i : i + HASH] for i in range(0, len(data), HASH)]

    def root(self, size: int) -> bytes:
        """The root over the first entries."""
        whole, rest = divmod(size, WIDTH)
        found = _fold(self.leaves(whole * WIDTH, rest)) if rest else None
        for level, row in enumerate(self._tiles):  # the smallest subtree first
            if whole >> level & 1:
                left = row[(whole >> level) - 1]
                found = left if found is None else _sha256(b"\x01" + left + found).digest()
        return EMPTY if found is None else found

    def tile(self, level: int, index: int) -> bytes:
        """The hashes that a tile of the log has (C2SP tlog-tiles)."""
        if level == 0:
            return b"".join(self.leaves(index * WIDTH, WIDTH))
        height = 8 * (level - 1)
        row = self._tiles[height] if height < len(self._tiles) else []
        return b"".join(row[index * WIDTH : (index + 1) * WIDTH])

    def against(self, standings: Iterable[Standing], name: str, found: Findings) -> None:
        """Whether what others hold of this log is in it, as it was."""
        held, roots = 0, dict[int, bytes]()
        for one in sorted(standings, key=lambda standing: standing.checkpoint.size):
            there = one.checkpoint.size
            if there > self.size:
                found.fault("shorter", name, f"{one.place} was signed over {there} entries; here are {self.size}")
                continue
            if one.index is not None and self.leaves(one.index, 1) != [one.leaf]:
                found.fault("rewritten", f"entry {one.index}", f"it is not the entry that {one.place} proves")
            if there not in roots:
                roots = {there: self.root(there)}
            if roots[there] == one.checkpoint.root:
                held = there
            else:
                since = f"; the first {held} entries are as they were signed" if held else ""
                found.fault("rewritten", name, f"the first {there} entries are not those that {one.place} was signed over{since}")


def _tile(leaves: bytes) -> bytes:
    return _fold([leaves[i : i + HASH] for i in range(0, len(leaves), HASH)])


# ---------------------------------------------------------------- a block, in whatever process


@dataclass(slots=True)
class Block:
    """What is known of some consecutive lines or rows."""

    found: Findings = field(default_factory=Findings)
    first: int = -1
    """The index that the first entry claims; -1 where there is none."""
    next: int = -1
    """The index after the last."""
    leaves: bytes = b""
    tiles: dict[int, bytes] = field(default_factory=dict)
    early: str = ""
    """The minute of the first entry."""
    late: str = ""
    """Of the last."""
    there: list[list[int]] = field(default_factory=list)
    """Ranges of entries whose record is there."""
    gone: list[list[int]] = field(default_factory=list)
    """Ranges of entries of records that lack them."""
    erased: list[tuple[int, int, int]] = field(default_factory=list)
    """Index of an erasure, and a range it names."""
    answered: dict[str, int] = field(default_factory=dict)
    """Notices that records answer, with the first such entry."""
    asked: dict[str, int] = field(default_factory=dict)
    """Notices that the log says were put into use, with the entry."""
    kinds: dict[str, int] = field(default_factory=dict)
    """Entries of each type."""
    noted: dict[str, int] = field(default_factory=dict)
    """Records of which there is something to note, by its code."""
    checkpoints: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    snapshots: dict[str, int] = field(default_factory=dict)
    wrong: int = 0
    """Lines that are none, and entries out of their place."""
    others: int = 0
    """Lines that are no entries."""

    def note(self, code: str) -> None:
        """One more of these."""
        self.noted[code] = self.noted.get(code, 0) + 1


def _count(kinds: dict[str, int], kind: str, more: int) -> None:
    if kind not in kinds and len(kinds) > MAX_KINDS:
        kind = "…"
    kinds[kind] = kinds.get(kind, 0) + more


def _range(ranges: list[list[int]], index: int) -> None:
    if ranges and ranges[-1][1] == index - 1:
        ranges[-1][1] = index
    else:
        ranges.append([index, index])


class _Reader:
    """Checks entries one after the other; ``records``: whether records belong to it at all."""

    def __init__(self, site: str, records: bool, first: int = -1) -> None:
        self.block = Block(next=first)
        self._site, self._records = site, records
        self._leaves: list[bytes] = []

    def entry(self, index: int, entry: dict[str, Any], data: bytes, salt: bytes | None, record: bytes | None, value: Any) -> None:
        """One entry by its value and its canonical bytes; ``value``: that of the record."""
        block = self.block
        if block.next < 0:
            block.next = index
        if block.first < 0:
            block.first = index
        block.wrong += index != block.next
        if index > block.next:
            block.found.fault("order", f"entry {block.next}", f"it is missing: the next one here is {index}")
        elif index < block.next:
            block.found.fault("order", f"entry {index}", f"it stands after entry {block.next - 1}")
        block.next = index + 1
        self._leaves.append(leaf_hash(data))
        place = f"entry {index}"
        try:
            kind = check_entry(entry)
        except Malformed as error:
            block.found.fault("form", place, str(error))
            return
        if len(data) > MAX_ENTRY:
            block.found.fault("form", place, f"{len(data)} bytes; {MAX_ENTRY} are possible")
        _count(block.kinds, kind[:80], 1)
        if entry["site"] != self._site:
            block.found.fault("site", place, f"of {entry['site']!r:.80}, in the log of {self._site!r}")
        if entry["time"] < block.late:
            block.found.fault("minute", place, f"{entry['time']}, after an entry of {block.late}")
        block.early = block.early or entry["time"]
        block.late = entry["time"]
        if kind == "record":
            block.answered.setdefault(entry["notice"], index)
            if record is not None and salt is not None:
                _range(block.there, index)
                self._record(entry, salt, record, value, place)
            elif record is not None or salt is not None:
                block.found.fault("form", place, "a record without its salt, or a salt without its record")
            elif self._records:
                _range(block.gone, index)
            return
        if record is not None or salt is not None:
            block.found.fault("form", place, f"a record beside an entry of type {kind!r:.40}")
        if kind == "notice":
            block.asked.setdefault(entry["notice"], index)
        elif kind == "erasure":
            ranges = erased(entry)
            if ranges[-1][1] >= index:
                block.found.fault("form", place, f"it names the later entry {ranges[-1][1]} as erased")
            block.erased += [(index, first, last) for first, last in ranges if last < index]
        elif kind == "snapshot":
            block.snapshots.setdefault(entry["snapshot"], index)

    def _record(self, entry: dict[str, Any], salt: bytes, data: bytes, value: Any, place: str) -> None:
        found = self.block.found
        if commitment(salt, data) != entry["commit"]:
            found.fault("commit", place, "record and salt do not give the entry's commitment")
        try:
            record = check_record(value)
            seconds = after(record["time"], entry["time"])
        except Malformed as error:
            found.fault("form", place, str(error))
            return
        if said := contradiction(record):
            found.fault("event", place, said)
        for name in ("notice", "site"):
            if record[name] != entry[name]:
                found.fault(name, place, f"the record says {record[name]!r:.80}, the entry {entry[name]!r:.80}")
        if seconds < 0:
            found.fault("time", place, f"the record's time is {record['time']}, and it was logged at {entry['time']}")
        elif entry.get("moved"):
            self.block.note("moved")
        elif seconds > LATE:
            self.block.note("late")
        if record["unconfigured"]:
            self.block.note("demonstration")

    def done(self) -> Block:
        """What was found, with the hashes over the whole tiles."""
        block, leaves = self.block, self._leaves
        block.leaves = b"".join(leaves)
        start = -block.first % WIDTH
        for at in range(start, len(leaves) - WIDTH + 1, WIDTH):
            block.tiles[(block.first + at) // WIDTH] = _fold(leaves[at : at + WIDTH])
        for part in (block.found.faults, block.found.gaps, block.found.caveats):
            del part[TOLD * 8 :]  # a block of nothing but faults has told enough
        return block


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of an archive: a place in a file, or the bytes themselves."""

    site: str
    path: str = ""
    first: int = 0
    length: int = 0
    data: bytes = b""
    line: int = 0
    """The number of the first, from 1."""


def check_lines(task: Lines) -> Block:
    """A block of an archive."""
    data = task.data
    if task.path:
        with open(task.path, "rb", buffering=0) as file:
            file.seek(task.first)
            data = file.read(task.length)
    reader = _Reader(task.site, records=True)
    for number, line in enumerate(data.splitlines(), task.line):
        try:
            _line(line, reader)
        except (Malformed, UnicodeEncodeError) as error:
            reader.block.found.fault("form", f"line {number}", str(error) if isinstance(error, Malformed) else "a text that has no UTF-8")
            reader.block.wrong += 1
        if reader.block.wrong > MAX_WRONG:
            break
    return reader.done()


def _line(line: bytes, reader: _Reader) -> None:
    block, value = reader.block, read_json(line)
    if not isinstance(value, dict):
        raise Malformed("it is no JSON object")
    if "i" in value:
        index, entry, salt, record = value["i"], value.get("entry"), value.get("salt"), value.get("record")
        if type(index) is not int or index < 0 or not isinstance(entry, dict) or value.keys() - {"i", "entry", "salt", "record"}:
            raise Malformed("no entry: it has an index, the entry, and the record with its salt while that is not erased")
        if salt is not None and not (isinstance(salt, str) and len(salt) == 32 and salt.isalnum() and salt == salt.lower()):
            raise Malformed("the salt is not 32 hexadecimal digits")
        try:
            bytes_of = None if salt is None else bytes.fromhex(salt)
        except ValueError as error:
            raise Malformed("the salt is not 32 hexadecimal digits") from error
        reader.entry(index, entry, canonical(entry), bytes_of, None if record is None else canonical(record), record)
        return
    block.others += 1
    if "notice" in value:
        block.notices.append(_sha256(canonical(value["notice"])).hexdigest())
    elif "file" in value:
        block.files.append(_file(value["file"], block.found))
    elif "checkpoints" in value:
        notes = value["checkpoints"]
        for note in notes if isinstance(notes, list) else [notes]:
            text = note.get("note") if isinstance(note, dict) else note
            if not isinstance(text, str) or len(text) > MAX_NOTE:
                raise Malformed("a checkpoint that is no text")
            block.checkpoints.append(text)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a store: how to read them, and which."""

    site: str
    read: Callable[[int, int], Iterable[Row]]
    first: int
    last: int
    records: bool = True


def _file(value: Any, found: Findings) -> str:
    """The digest of a file that the log names, which its bytes must have."""
    digest, data = (value.get("sha256"), value.get("data")) if isinstance(value, dict) else (None, None)
    if not isinstance(digest, str) or not isinstance(data, str):
        raise Malformed("a file without its digest or its bytes")
    try:
        if _sha256(base64.b64decode(data, validate=True)).hexdigest() != digest:
            found.fault("file", f"file {digest[:16]}", "its bytes have another digest")
    except ValueError as error:
        raise Malformed("a file that is not base64") from error
    return digest


def check_rows(task: Rows) -> Block:
    """A block of a store."""
    reader = _Reader(task.site, task.records, task.first)
    for row in task.read(task.first, task.last):
        place, found = f"entry {row.index}", reader.block.found
        try:
            entry = read_json(row.entry)
            if not isinstance(entry, dict) or canonical(entry) != row.entry:
                found.fault("form", place, "the entry is not in canonical form")
            value = None if row.record is None else read_json(row.record)
            if row.record is not None and canonical(value) != row.record:
                found.fault("form", place, "the record is not in canonical form")
            reader.entry(row.index, entry if isinstance(entry, dict) else {}, row.entry, row.salt, row.record, value)
        except Malformed as error:
            found.fault("form", place, str(error))
            reader.entry(row.index, {}, row.entry, None, None, None)
    if reader.block.next <= task.last:
        reader.block.found.fault("order", f"entry {reader.block.next}", f"it is missing, and so are all up to {task.last}")
    return reader.done()


# ---------------------------------------------------------------- the whole


@dataclass(slots=True)
class Log:
    """A log that was read whole: what was found, its tree, and the checkpoint it goes by."""

    verdict: Verdict
    tree: Tree
    checkpoint: Checkpoint | None = None


class _Bits:
    """A bit for each entry."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def set(self, first: int, last: int) -> None:
        """All from ``first`` to ``last``."""
        if len(self._bytes) <= last >> 3:
            self._bytes.extend(bytes((last >> 3) + 1 - len(self._bytes)))
        low, high = first >> 3, last >> 3
        if low == high:
            self._bytes[low] |= 0xFF << (first & 7) & 0xFF >> (7 - (last & 7))
            return
        self._bytes[low] |= 0xFF << (first & 7) & 0xFF
        self._bytes[high] |= 0xFF >> (7 - (last & 7))
        self._bytes[low + 1 : high] = b"\xff" * (high - low - 1)

    def without(self, other: _Bits) -> Iterator[int]:
        """The set bits that ``other`` lacks."""
        return self._pick(int.from_bytes(self._bytes, "little") & ~int.from_bytes(other._bytes, "little"))

    def both(self, other: _Bits) -> Iterator[int]:
        """The bits set in both."""
        return self._pick(int.from_bytes(self._bytes, "little") & int.from_bytes(other._bytes, "little"))

    @staticmethod
    def _pick(bits: int) -> Iterator[int]:
        if not bits:
            return
        for at, byte in enumerate(bits.to_bytes((bits.bit_length() + 7) // 8, "little")):
            if byte:
                yield from (at * 8 + n for n in range(8) if byte >> n & 1)


class _Whole:
    """Gathers the blocks of one log in their order."""

    def __init__(self, site: str, name: str, progress: Progress | None, total: int) -> None:
        self.tree, self.found = Tree(), Findings()
        self.site, self.name, self._progress, self._total = site, name, progress, total
        self._there, self._gone, self._erased = _Bits(), _Bits(), _Bits()
        self._answered: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self.notices: set[str] = set()
        self.files: set[str] = set()
        self._snapshots: dict[str, int] = {}
        self.checkpoints: dict[str, None] = {}
        self._kinds: dict[str, int] = {}
        self._noted: dict[str, int] = {}
        self.first_time = self.last_time = ""
        self._next = self._wrong = self._others = 0
        self._told: dict[str, int] = {}

    def beyond(self) -> str:
        """Why no more of it is read; empty while there is no reason."""
        if self._wrong > MAX_WRONG:
            return f"more than {MAX_WRONG} of its lines are none, or stand where they cannot"
        if self._others > MAX_OTHERS:
            return f"more than {MAX_OTHERS} of its lines are no entries"
        named = (self.notices, self.files, self.checkpoints, self._answered, self._asked, self._snapshots)
        return f"it names more than {MAX_NAMED} notices, files or checkpoints" if max(map(len, named)) > MAX_NAMED else ""

    def add(self, block: Block) -> None:
        """The next one."""
        found, size = self.found, self.tree.size
        for mine, theirs in ((found.faults, block.found.faults), (found.gaps, block.found.gaps), (found.caveats, block.found.caveats)):
            for one in theirs:
                self._told[one.code] = self._told.get(one.code, 0) + 1
                if self._told[one.code] <= TOLD * 25:
                    mine.append(one)
        self._wrong += block.wrong
        self._others += block.others
        self.notices.update(block.notices)
        self.files.update(block.files)
        self.checkpoints.update(dict.fromkeys(block.checkpoints))
        for kind, count in block.kinds.items():
            _count(self._kinds, kind, count)
        for code, count in block.noted.items():
            self._noted[code] = self._noted.get(code, 0) + count
        if block.first < 0:
            return
        if block.first > self._next:
            found.fault("order", f"entry {self._next}", f"it is missing: the next one here is {block.first}")
        elif block.first < self._next:
            found.fault("order", f"entry {block.first}", f"it stands after entry {self._next - 1}")
        self._next = block.next
        self.tree.add(block.leaves, block.tiles if block.first == size and block.next - size == len(block.leaves) // HASH else {})
        if block.early < self.last_time:
            found.fault("minute", f"entry {block.first}", f"{block.early}, after an entry of {self.last_time}")
        self.first_time = self.first_time or block.early
        self.last_time = block.late or self.last_time
        for bits, ranges in ((self._there, block.there), (self._gone, block.gone)):
            for first, last in ranges:
                if last < self.tree.size:  # another was told as out of order
                    bits.set(first, last)
        for at, first, last in block.erased:
            if at < self.tree.size:
                self._erased.set(first, last)
        named = ((self._answered, block.answered), (self._asked, block.asked), (self._snapshots, block.snapshots))
        for mine_, theirs_ in named:
            for digest, index in theirs_.items():
                mine_.setdefault(digest, index)
        if self._progress is not None:
            self._progress(self.tree.size, self._total)

    def finish(self, records: bool, notices: Collection[str] | None, files: Collection[str] | None = None) -> None:
        """What only the whole can tell. ``notices`` and ``files``: the digests of those that are kept, where that is known."""
        found = self.found
        for index in _some(self._gone.without(self._erased)):
            found.fault("dropped", f"entry {index}", "its record is gone, and no entry says that it was erased")
        for index in _some(self._there.both(self._erased)):
            found.fault("kept", f"entry {index}", "its record is here, and the log says that it was erased")
        if notices is not None:
            for digest in sorted(self._answered.keys() - set(notices)):
                found.fault("notice-missing", f"entry {self._answered[digest]}", f"it answers the notice {digest}, which is not here")
        for digest in sorted(self._snapshots.keys() - set(files)) if files is not None else ():
            found.fault("file", f"entry {self._snapshots[digest]}", f"it names the file {digest}, which is not here")
        for digest, index in sorted(self._answered.items()):
            if self._asked.get(digest, index) >= index and records:
                found.caveat("unasked", f"entry {index}", f"no earlier entry says that the notice {digest[:16]} was put into use")
        for code, count in sorted(self._noted.items()):
            found.caveat(code, self.name, f"{count} records")
        for kind in sorted(self._kinds.keys() - KINDS):
            found.caveat("unknown", self.name, f"{self._kinds[kind]} entries of the type {kind!r:.60}")

    def checkpoint(self, text: str, trust: Trust) -> tuple[Checkpoint | None, dict[str, Any]]:
        """The checkpoint that the log goes by, held against its tree, then those that were published before."""
        found, size = self.found, self.tree.size
        try:
            head = read_checkpoint(text.encode())
        except (Malformed, UnicodeEncodeError) as error:
            found.fault("form", "checkpoint", str(error) if isinstance(error, Malformed) else "the checkpoint is no UTF-8")
            return None, {}
        of_head = Findings()
        facts = signed(head, trust, "checkpoint", of_head)
        if head.site != self.site:
            found.fault("site", "checkpoint", f"a log of {head.origin!r}; these are entries of {self.site!r}")
        found.faults += [f for f in of_head.faults if f.code != "no-cosignature"]
        found.gaps += of_head.gaps
        found.caveats += [f for f in of_head.caveats if f.code not in ("no-witness", "witness-claimed")]
        earlier = self._earlier(head, trust)
        seen = max((size for size, _, times in earlier if times), default=0)
        if facts["witnesses"] and not any(f.code == "no-cosignature" for f in of_head.faults):
            seen = head.size
        held = 0
        for there, root, _ in sorted(earlier, key=lambda one: one[0]):
            if there > size:
                found.fault("shorter", self.name, f"a checkpoint of {there} entries was published; here are {size}")
            elif self.tree.root(there) != root:
                since = f"; the first {held} are" if held else ""
                found.fault("rewritten", self.name, f"the first {there} entries are not those that were published{since}")
                break
            else:
                held = there
        if head.size != size:
            few = f"{abs(size - head.size)} {'more' if size > head.size else 'fewer'}"
            found.fault("size", self.name, f"{size} entries; the checkpoint was signed over {head.size}, so there are {few}")
        elif self.tree.root(size) != head.root:
            since = f" The first {held} are as they were published." if held else ""
            found.fault("root", self.name, f"the {size} entries do not give the root that was signed.{since}")
        if not seen:
            codes = [f for f in of_head.faults if f.code == "no-cosignature"]
            found.faults += codes
            if not codes:
                found.caveat("no-witness", "checkpoint", "no witness has signed a checkpoint of this log")
        elif seen < head.size:
            found.caveat("unwitnessed", self.name, f"a witness has seen {seen} of {head.size} entries")
        if seen and not any(key.given for key in trust.witnesses):
            found.caveat("witness-claimed", "checkpoint", "signed by witnesses whom the site itself names")
        return head, head.facts() | facts | {"witnessed": seen}

    def _earlier(self, head: Checkpoint, trust: Trust) -> list[tuple[int, bytes, dict[str, int]]]:
        """Size, root and witnesses of every checkpoint that was published and is signed as it should be."""
        kept = []
        for number, text in enumerate(self.checkpoints):
            place, mine = f"checkpoint {number}", Findings()
            try:
                one = read_checkpoint(text.encode())
            except (Malformed, UnicodeEncodeError):
                self.found.fault("form", place, "a published checkpoint that is none")
                continue
            if one.origin != head.origin:
                self.found.fault("site", place, f"of {one.origin!r:.80}, in the log of {head.origin!r:.80}")
                continue
            facts = signed(one, trust, place, mine)
            self.found.faults += [f for f in mine.faults if f.code != "no-cosignature"]
            missing = any(f.code == "no-cosignature" for f in mine.faults)
            kept.append((one.size, one.root, {} if missing else facts["witnesses"]))
        return kept

    def verdict(self, kind: str, facts: dict[str, Any]) -> Verdict:
        """With no more findings of a kind than one reads."""
        few(self.found, self.name)
        known = {"site": self.site, "entries": self.tree.size, "from": self.first_time, "to": self.last_time}
        kinds = {kind: self._kinds[kind] for kind in sorted(self._kinds.keys() & KINDS)}
        return self.found.verdict(kind, self.name, {**known, **kinds, **facts})


def few(found: Findings, name: str) -> None:
    """No more of each code than one reads; of the rest, how many."""
    for part in (found.faults, found.gaps, found.caveats):
        by_code: dict[str, int] = {}
        told = []
        for one in dict.fromkeys(part):
            by_code[one.code] = by_code.get(one.code, 0) + 1
            if by_code[one.code] <= TOLD:
                told.append(one)
        part[:] = told + [Finding(code, name, f"{count - TOLD} more of these") for code, count in by_code.items() if count > TOLD]


def _some(found: Iterator[int]) -> Iterator[int]:
    """Of many, as many as show that there are many."""
    for number, index in enumerate(found):
        if number > TOLD * 25:
            return
        yield index


def _apart(work: Callable[[Any], Block], tasks: Iterable[Any], processes: int) -> Iterator[Block]:
    """Each task's block, in order; in other processes where there are many, and no more of them at once than keeps these busy."""
    if processes < 2:
        yield from map(work, tasks)
        return
    waiting: deque[Future[Block]] = deque()
    pool: Executor
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(work, task))
                most = 0 if isinstance(task, Lines) and len(task.data) > 4 * BLOCK else 2 * processes  # a long line goes alone
                while len(waiting) > most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise ChildProcessError("a process that checked entries was ended, as for want of memory") from error
        finally:
            for future in waiting:
                future.cancel()


def _processes(wanted: int | None, work: int) -> int:
    """As many as the machine has, unless there is little to do: starting one costs as much as checking ten thousand entries."""
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if work < 1 << 23 else wanted or free


class _Source:
    """An archive's bytes in whole lines, each block with its place, and the SHA-256 of all before the last line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.packed = file.read(2) == b"\x1f\x8b"
        self.lines = 0
        self.before = ""
        self.last = b""
        """The last line, once all is read."""

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Blocks of whole lines but for the last line of all, which is kept apart; raises Malformed where the file is cut off."""
        sha, at, parts = _sha256(), 0, [b""]
        try:
            with gzip.open(self.path) if self.packed else self.path.open("rb") as file:
                while data := file.read(BLOCK):
                    parts.append(data)
                    if b"\n" not in data and len(parts) * BLOCK <= 2 * MAX_LINE:
                        continue  # a long line is put together once, not at each block
                    data = b"".join(parts)
                    # The last whole line may be the last of all, so it waits for the next block.
                    ended = data.rfind(b"\n") + 1
                    end = data.rfind(b"\n", 0, max(ended - 1, 0)) + 1
                    if len(data) - ended > MAX_LINE:
                        raise Malformed(f"a line of more than {MAX_LINE} bytes", "cut")
                    if end:
                        sha.update(block := data[:end])
                        yield at, block
                        at += end
                        self.lines += block.count(b"\n")
                    parts = [data[end:]]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Malformed(f"the compressed file ends or breaks off: {error}", "cut") from error
        rest = b"".join(parts)
        if rest.count(b"\n") > 1:
            end = rest.rfind(b"\n", 0, len(rest) - 1) + 1
            sha.update(rest[:end])
            yield at, rest[:end]
            self.lines += rest[:end].count(b"\n")
            rest = rest[end:]
        self.last, self.before = rest, sha.hexdigest()


def check_archive(
    path: Path,
    trust: Trust,
    *,
    name: str = "",
    standings: Sequence[Standing] = (),
    processes: int | None = None,
    progress: Progress | None = None,
) -> Log:
    """Everything in an archive, and whether what others hold of its log is in it. Raises OSError where the file
    cannot be read, or a process is ended."""
    name = name or path.name
    source = _Source(path)
    whole: _Whole | None = None
    header: dict[str, Any] = {}
    broken: Malformed | None = None

    def tasks(blocks: Iterator[tuple[int, bytes]], at: int, first: bytes, line: int) -> Iterator[Lines]:
        nonlocal broken
        if first:
            yield Lines(site, data=first, line=line)
        line += first.count(b"\n")
        try:
            for place, data in blocks:
                yield Lines(site, data=data, line=line) if source.packed else Lines(site, str(path), place, len(data), line=line)
                line += data.count(b"\n")
        except Malformed as error:
            broken = error

    blocks = source.blocks()
    try:
        at, data = next(blocks, (0, b""))
        top, _, more = (data or source.last).partition(b"\n")
        header = _header(top)
    except Malformed as error:
        found = Findings()
        found.fault(error.code, name, str(error))
        return Log(found.verdict("archive", name, {}), Tree())
    site = header["site"]
    whole = _Whole(site, name, progress, header["size"])
    for block in _apart(check_lines, tasks(blocks, at, more, 2), _processes(processes, path.stat().st_size * (8 if source.packed else 1))):
        whole.add(block)
        if said := whole.beyond():
            whole.found.gap("unread", name, f"{said}; of {header['size']} entries it tells of, {whole.tree.size} were read")
            return Log(whole.verdict("archive", {}), whole.tree)
    _end(source, broken, whole.found, name)
    whole.finish(True, whole.notices, whole.files)
    head, facts = whole.checkpoint(header["checkpoint"], _with_claimed(trust, header["keys"], whole.found))
    if header["size"] != whole.tree.size and (head is None or head.size == whole.tree.size):
        whole.found.fault("cut", name, f"its first line tells {header['size']} entries; {whole.tree.size} are here")
    if head is not None:
        whole.tree.against([one for one in standings if one.checkpoint.origin == head.origin], name, whole.found)
    return Log(whole.verdict("archive", facts), whole.tree, head)


def _header(line: bytes) -> dict[str, Any]:
    value = read_json(line)
    if not isinstance(value, dict) or value.get("format") != ARCHIVE:
        raise Malformed(f"its first line is not that of a {ARCHIVE}", "unreadable")
    size, keys = value.get("size"), value.get("keys")
    texts = all(isinstance(value.get(part), str) for part in ("origin", "site", "checkpoint"))
    if not texts or type(size) is not int or size < 0 or not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Malformed("its first line lacks site, origin, size, checkpoint or keys", "unreadable")
    if value["origin"] != f"{value['site']}/volens":
        raise Malformed(f"its first line tells the log {value['origin']!r:.80} of the site {value['site']!r:.80}", "site")
    return value


def _with_claimed(trust: Trust, keys: Sequence[str], found: Findings) -> Trust:
    """The keys that were given; of those of the archive what is lacking."""
    try:
        claimed = tuple(read_key(key, given=False) for key in keys)
    except Malformed as error:
        found.fault("form", "keys", str(error))
        return trust
    return Trust(
        trust.log or tuple(key for key in claimed if key.kind == LOG),
        trust.witnesses or tuple(key for key in claimed if key.kind != LOG),
        trust.quorum,
    )


def _end(source: _Source, broken: Malformed | None, found: Findings, name: str) -> None:
    """Whether the last line closes the file, and over the same bytes."""
    if broken is not None:
        found.fault("cut", name, str(broken))
        return
    try:
        end = read_json(source.last) if source.last else {}
    except Malformed:
        end = {}
    if not isinstance(end, dict) or end.keys() != {"end", "sha256"}:
        found.fault("cut", name, "its last line does not close it")
    elif end["end"] != source.lines or end["sha256"] != source.before:
        found.fault("cut", name, f"{source.lines} lines of SHA-256 {source.before[:16]}…; its last line tells of others")


def check_log(
    site: str,
    size: int,
    read: Callable[[int, int], Iterable[Row]],
    checkpoint: str,
    trust: Trust,
    *,
    name: str = "",
    kind: str = "ledger",
    published: Iterable[str] = (),
    hashes: Callable[[int, int], bytes] | None = None,
    notices: Collection[str] | None = None,
    records: bool = True,
    standings: Sequence[Standing] = (),
    processes: int | None = None,
    progress: Progress | None = None,
) -> Log:
    """The rows of a store, ``read(first, last)``, both included: in other processes, so it must pickle, where there are many.

    ``hashes(level, tile)`` gives the tree as it was stored: with it an entry that was changed is named. ``notices``: the digests of those
    that are kept. ``records`` False: the entries alone, as the log is published.
    """
    whole = _Whole(site, name or site, progress, size)
    tasks = (Rows(site, read, first, min(first + ROWS, size) - 1, records) for first in range(0, size, ROWS))
    for block in _apart(check_rows, tasks, _processes(processes, size * 900)):
        whole.add(block)
        if block.first < 0:
            break  # a whole block is missing, which was told; the size may be anything
    for row in read(size, size + 9):
        whole.found.fault("order", f"entry {row.index}", f"the log has {size} entries, and this one stands after them")
    whole.finish(records, notices)
    whole.checkpoints.update(dict.fromkeys(published))
    head, facts = whole.checkpoint(checkpoint, trust)
    if hashes is not None:
        _stored(whole, hashes)
    if head is not None:
        whole.tree.against([one for one in standings if one.checkpoint.origin == head.origin], whole.name, whole.found)
    return Log(whole.verdict(kind, facts), whole.tree, head)


def _stored(whole: _Whole, hashes: Callable[[int, int], bytes]) -> None:
    """The stored tree against the one that the entries give."""
    tree, found = whole.tree, whole.found
    width, level = tree.size, 0
    while width:
        for index in range(-(-width // WIDTH)):
            wanted = tree.tile(level, index)
            try:
                stored = hashes(level, index)[: len(wanted)]
            except (LookupError, OSError) as error:
                found.fault("tile", f"tile {level}/{index}", f"it cannot be read: {error}")
                continue
            if stored == wanted:
                continue
            if level:
                place, under = f"tile {level}/{index}", WIDTH**level
                at = next((n for n, (kept, now) in enumerate(zip(_hashes(stored), _hashes(wanted), strict=False)) if kept != now), -1)
                if at < 0:
                    found.fault("tile", place, "hashes of it are missing")
                else:
                    first = (index * WIDTH + at) * under
                    found.fault("tile", place, f"the hash that was kept over the entries {first} to {first + under - 1} is not theirs")
            else:
                _differs(index * WIDTH, _hashes(stored), _hashes(wanted), found)
                return  # what follows differs because this does
        width, level = width // WIDTH, level + 1


def _hashes(data: bytes) -> list[bytes]:
    return [data[i : i + HASH] for i in range(0, len(data), HASH)]


def _differs(first: int, stored: list[bytes], now: list[bytes], found: Findings) -> None:
    """What became of a tile's entries since they were hashed."""
    at = next((n for n, (old, new) in enumerate(zip(stored, now, strict=False)) if old != new), min(len(stored), len(now)))
    place = f"entry {first + at}"
    old, new = stored[at:], now[at:]
    if sorted(old) == sorted(new):
        other = first + at + old.index(new[0])
        found.fault("order", place, f"here stands the entry that was logged at place {other}: they were put in another order")
    elif old[1:2] == new[:1] and new:
        found.fault("order", place, "here stands the entry that was logged after it: one was dropped")
    elif new[1:2] == old[:1] and old:
        found.fault("order", place, "the entry that was logged here stands one later: one was inserted")
    else:
        found.fault("entry", place, "it is not the entry whose hash was kept")


def tile_path(level: int | str, index: int, width: int = WIDTH) -> str:
    """Where a tile lies below a log's address (C2SP tlog-tiles); level ``entries``: a bundle of entries."""
    text = f"{index % 1000:03}"
    while index := index // 1000:
        text = f"x{index % 1000:03}/{text}"
    return f"tile/{level}/{text}" + (f".p/{width}" if width < WIDTH else "")


@dataclass(frozen=True, slots=True)
class _Entry:
    index: int
    entry: bytes
    salt: bytes | None = None
    record: bytes | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """A log as it is published, in a folder: what a copy of its address below ``log/`` gives."""

    path: str
    size: int

    def _read(self, level: int | str, index: int, per: int) -> bytes:
        width = min(self.size // per - index * WIDTH, WIDTH)
        for wide in (WIDTH, width):
            path = Path(self.path, tile_path(level, index, wide))
            if path.is_file():
                with path.open("rb") as file:
                    return file.read(WIDTH * (MAX_ENTRY + 2))
        raise LookupError(f"{tile_path(level, index, width)} is missing")

    def hashes(self, level: int, index: int) -> bytes:
        """A tile's hashes; raises LookupError."""
        return self._read(level, index, WIDTH**level)

    def bundle(self, index: int) -> bytes:
        """Entries, each after its length; raises LookupError."""
        return self._read("entries", index, 1)

    def rows(self, first: int, last: int) -> Iterator[_Entry]:
        """Entries, from their bundles."""
        for tile in range(first // WIDTH, min(last, self.size - 1) // WIDTH + 1):
            try:
                data = self.bundle(tile)
            except LookupError:
                continue  # the gap is told by whoever counts
            at, index = 0, tile * WIDTH
            while at + 2 <= len(data) and index <= last:
                length = int.from_bytes(data[at : at + 2], "big")
                if len(data) < at + 2 + length:
                    break
                if index >= first:
                    yield _Entry(index, data[at + 2 : at + 2 + length])
                at, index = at + 2 + length, index + 1


def check_folder(
    path: Path,
    trust: Trust,
    *,
    name: str = "",
    standings: Sequence[Standing] = (),
    processes: int | None = None,
    progress: Progress | None = None,
) -> Log:
    """A log as it is published: its checkpoint, entries and tiles in a folder. Raises OSError where it cannot be read."""
    name = name or path.name
    with (path / "checkpoint").open("rb") as file:
        text = file.read(MAX_NOTE + 1)
    try:
        head = read_checkpoint(text)
    except Malformed as error:
        found = Findings()
        found.fault(error.code, "checkpoint", str(error))
        return Log(found.verdict("log", name, {}), Tree())
    folder = Folder(str(path), head.size)
    try:
        folder.bundle(max(head.size - 1, 0) // WIDTH)
    except LookupError as error:
        if head.size:
            found = Findings()
            found.fault("cut", name, str(error))
            return Log(found.verdict("log", name, head.facts()), Tree(), head)
    return check_log(
        head.site,
        head.size,
        folder.rows,
        text.decode(),
        trust,
        name=name,
        kind="log",
        hashes=folder.hashes,
        records=False,
        standings=standings,
        processes=processes,
        progress=progress,
    )
