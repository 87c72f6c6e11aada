"""Checks a whole log cold, from the rows of a store. By the rules of ``verify.py``, and as alone as that.

The entries are cut into blocks, which several processes check one by one and hash; who gathers keeps the leaves in a temporary file and
the hash over each 256 of them in memory, so that ten million entries take some fifteen megabytes and any earlier size has its root.
What one block cannot know is checked when all are in: the order, that a record is gone exactly where the log says that it was erased,
and that the tree has the root that was signed, at this size and at each size for which somebody holds a checkpoint.

The same stands behind an archive (``verify_archive.py``) and a copy of what is published (``verify_folder.py``).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, ClassVar, Protocol, TypedDict

from volens.ledger.verify import (
    LATE,
    MAX_ENTRY,
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
    signed,
)
from volens.ledger.verify_tree import HASH, WIDTH, Tree, each, fold

ROWS = 8192
"""Rows of a store that a process checks at once; a multiple of WIDTH."""
MAX_WRONG = 1000
"""Lines that are none, and entries out of their place, after which an archive is not read on: a small file may unpack to any size."""
MAX_NAMED = 200_000
"""Notices, files and checkpoints of each kind: a checkpoint a second for a day, and one an hour for a dozen years."""
MAX_OTHERS = 1 << 22
"""Lines of counts, and of whatever is no entry."""
MAX_KINDS = 100
KINDS = frozenset(("record", "notice", "snapshot", "erasure"))
"""Types of entries that are known."""
TOLD = 40
"""Findings of one kind that are told; of more, how many."""

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


class Task(Protocol):
    """Part of a log that one process checks in one go."""

    @property
    def heavy(self) -> bool:
        """Whether it takes so much memory that it is checked alone."""
        ...


class How(TypedDict, total=False):
    """What the check of any whole log may be told."""

    name: str
    standings: Iterable[Standing]
    processes: int | None
    progress: Progress | None


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
    counted: int = 0
    """Records by the counts among these lines."""

    def note(self, code: str) -> None:
        """Count one more record of which there is this to note."""
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


class Reader:
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
            block.tiles[(block.first + at) // WIDTH] = fold(leaves[at : at + WIDTH])
        for part in (block.found.faults, block.found.gaps, block.found.caveats):
            del part[TOLD * 8 :]  # a block of nothing but faults has told enough
        return block


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a store: how to read them, and which."""

    site: str
    read: Callable[[int, int], Iterable[Row]]
    first: int
    last: int
    records: bool = True
    heavy: ClassVar[bool] = False


def check_rows(task: Rows) -> Block:
    """A block of a store."""
    reader = Reader(task.site, task.records, task.first)
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

    @classmethod
    def unread(cls, kind: str, name: str, code: str, said: str, head: Checkpoint | None = None) -> Log:
        """A log of which nothing could be read, and why."""
        found = Findings()
        found.fault(code, name, said)
        return cls(found.verdict(kind, name, head.facts() if head else {}), Tree(), head)


class _Bits:
    """A set of indexes of entries, as one bit each."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def set(self, first: int, last: int) -> None:
        """Put in all indexes from ``first`` to ``last``, both included."""
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
        """The indexes that are in this set and not in ``other``, rising."""
        return self._pick(int.from_bytes(self._bytes, "little") & ~int.from_bytes(other._bytes, "little"))

    def both(self, other: _Bits) -> Iterator[int]:
        """The indexes that are in both sets, rising."""
        return self._pick(int.from_bytes(self._bytes, "little") & int.from_bytes(other._bytes, "little"))

    @staticmethod
    def _pick(bits: int) -> Iterator[int]:
        if not bits:
            return
        for at, byte in enumerate(bits.to_bytes((bits.bit_length() + 7) // 8, "little")):
            if byte:
                yield from (at * 8 + n for n in range(8) if byte >> n & 1)


class Whole:
    """Gathers the blocks of one log in their order."""

    def __init__(self, site: str, name: str, progress: Progress | None, total: int) -> None:
        self.tree, self.found = Tree(), Findings()
        self.site, self.name, self._progress, self._total = site, name, progress, total
        self._there, self._gone, self._erased = _Bits(), _Bits(), _Bits()
        self._answered: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self.counted = 0
        """Records, by counts that nobody signed; 0 where these are not known."""
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
        """Take up the block that follows those already taken."""
        found, size = self.found, self.tree.size
        for mine, theirs in ((found.faults, block.found.faults), (found.gaps, block.found.gaps), (found.caveats, block.found.caveats)):
            for one in theirs:
                self._told[one.code] = self._told.get(one.code, 0) + 1
                if self._told[one.code] <= TOLD * 25:
                    mine.append(one)
        self._wrong += block.wrong
        self._others += block.others
        self.counted += block.counted
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
        if self.counted and self.counted != self._kinds.get("record", 0):
            found.caveat("counts", self.name, f"{self.counted} records by the counts, {self._kinds.get('record', 0)} in the log")
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

    def judged(
        self, kind: str, checkpoint: str, trust: Trust, standings: Iterable[Standing], hashes: Callable[[int, int], bytes] | None = None
    ) -> Log:
        """All of it, held against the checkpoint it goes by, the tree as it was stored, and what others hold."""
        head, facts = self.checkpoint(checkpoint, trust)
        if hashes is not None:
            _stored(self, hashes)
        if head is not None:
            self.tree.against([one for one in standings if one.checkpoint.origin == head.origin], self.name, self.found)
        return Log(self.verdict(kind, facts), self.tree, head)

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


def apart(work: Callable[[Any], Block], tasks: Iterable[Task], processes: int) -> Iterator[Block]:
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
                most = 0 if task.heavy else 2 * processes
                while len(waiting) > most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise ChildProcessError("a process that checked entries was ended, as for want of memory") from error
        finally:
            for future in waiting:
                future.cancel()


def workers(wanted: int | None, work: int) -> int:
    """As many as the machine has, unless there is little to do: starting one costs as much as checking ten thousand entries."""
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if work < 1 << 23 else wanted or free


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
    counted: int = 0,
    records: bool = True,
    standings: Iterable[Standing] = (),
    processes: int | None = None,
    progress: Progress | None = None,
) -> Log:
    """The rows of a store, ``read(first, last)``, both included: in other processes, so it must pickle, where there are many.

    ``hashes(level, tile)`` gives the tree as it was stored: with it an entry that was changed is named. ``notices``: the digests of those
    that are kept. ``counted``: records, by what is counted beside the log. ``records`` False: the entries alone, as the log is published.
    """
    whole = Whole(site, name or site, progress, size)
    tasks = (Rows(site, read, first, min(first + ROWS, size) - 1, records) for first in range(0, size, ROWS))
    for block in apart(check_rows, tasks, workers(processes, size * 900)):
        whole.add(block)
        if block.first < 0:
            break  # a whole block is missing, which was told; the size may be anything
    for row in read(size, size + 9):
        whole.found.fault("order", f"entry {row.index}", f"the log has {size} entries, and this one stands after them")
    whole.counted = counted
    whole.finish(records, notices)
    whole.checkpoints.update(dict.fromkeys(published))
    return whole.judged(kind, checkpoint, trust, standings, hashes)


def _stored(whole: Whole, hashes: Callable[[int, int], bytes]) -> None:
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
                at = next((n for n, (kept, now) in enumerate(zip(each(stored), each(wanted), strict=False)) if kept != now), -1)
                if at < 0:
                    found.fault("tile", place, "hashes of it are missing")
                else:
                    first = (index * WIDTH + at) * under
                    found.fault("tile", place, f"the hash that was kept over the entries {first} to {first + under - 1} is not theirs")
            else:
                _differs(index * WIDTH, each(stored), each(wanted), found)
                return  # what follows differs because this does
        width, level = width // WIDTH, level + 1


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
