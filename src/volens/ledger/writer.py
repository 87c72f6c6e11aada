"""What every store does alike, whatever database it keeps its rows in: one thread that commits all that waits at once, logs that grow
in the same transaction, heads that are signed before it is committed, withdrawals set aside, refusals counted.

A *backend* is a subclass of ``LedgerStore`` that brings native SQL: a ``Statements`` for reading, and the methods that raise
NotImplementedError under *A backend*. The rest it inherits. ``C`` is its connection; one is used by one thread at a time.

**One transaction** (``_transaction``) begins with what keeps other writers out of the logs it touches, reads each log's state
(``_log``), is filled, and ends in ``_Work.finish``: tree, checkpoint, rows. A checkpoint signed for a transaction that fails
never leaves the process. What a commit made of a log is kept in memory, and believed as long as the size in the database is the same.

**Rows.** An entry of a record is not kept as text but as what it is made of (minute, version of the notice, commitment), since its
canonical form can be made again; any other entry is kept as its bytes. A row's place ``at`` is ``log number << 40 | index``.

**The interpreter's lock.** Each statement lets go of it, and under load it takes up to 5 ms to get it back. So a transaction has few
statements, each for many rows, whatever the size of the batch.
"""

from __future__ import annotations

import atexit
import base64
import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from itertools import islice
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, NoReturn, Self, TypeVar

from volens.errors import NoticeError, ProofError, RecordError, SignedNoteError, StoreBusy, StoreError, StoreUnavailable
from volens.ledger.aside import Aside
from volens.ledger.cosign import SignedNote
from volens.ledger.entry import (
    COMMIT,
    RANGES,
    REASONS,
    SALT,
    RecordEntries,
    commitment,
    erasure_entry,
    notice_entry,
    parse,
    ranges,
    snapshot_entry,
)
from volens.ledger.entry import minute as minute_of
from volens.ledger.note import LogKey, checkpoint, origin
from volens.ledger.promise import Promise
from volens.ledger.receipt import Receipt
from volens.ledger.record import Count, Record
from volens.ledger.store import Answered, Event, Extent, Head, Kept, Outbox, Published, Row, Signer, Total
from volens.ledger.tree import Edge, Growth, ReadTile, Tiles, leaf_hash
from volens.notice import Notice, canonical

log = logging.getLogger("volens.ledger")

INDEX_BITS = 40
"""Bits of a row's place that are its index in the log; those above are the log's number."""
INDEXES = (1 << INDEX_BITS) - 1
FLUSH = 1.0
"""Seconds a refusal may wait in memory for company."""
RETRY = 10.0
"""Longest pause, in seconds, between two attempts to write counts."""
KEYS = 20_000
"""Different counters kept in memory while nothing can be written (some 10 MB); more are dropped, with a log line."""
STEP = 2_000
"""Entries that are erased, restored or read in one step."""
NODES = 50_000
"""Nodes of trees remembered, some 10 MB."""
ALONE = 1.0
"""Seconds after another process has appended in which this one looks before it writes."""
HALF = 16
"""Records that are committed together in any case, where so many wait."""
AHEAD = 5
"""Minutes by which a record's time may be ahead of this machine's clock, and the log follows it."""
DAY, HOUR = 86_400.0, 3_600.0

Key = tuple[str, str, str, str, str, str, bool]
"""site, day, event, notice, surface, language, gpc"""
Alike = tuple[str, str, str, str, str, str, bool, tuple[tuple[str, bool], ...], bool]
"""What is counted of a record: Key, the answers by purpose, whether every service was granted too."""
Leaf = tuple[int, int, int | None, bool, bytes | None, bytes | None, str | None, bytes | None, bytes | None]
"""A row: at, minute, version of the notice, moved, commitment, the bytes of an entry that is no record, record id, salt, record."""
CountRow = tuple[str, str, str, str, str, str, bool, int]
"""Key, and how many."""
Answer = tuple[str, str, str, str, str, str, int, int, int]
"""site, day, event, purpose, surface, language, yes, part, no. Purpose empty: whole records (all, some, none granted)."""

C = TypeVar("C")


class Repeated(Exception):
    """Raised by ``_insert``: a record of that id is there already, or twice in the rows."""


@dataclass(frozen=True, slots=True)
class LogState:
    """A log as of a commit: what is needed to append to it."""

    number: int
    minute: int
    edge: Edge
    note: str


@dataclass(frozen=True, slots=True)
class Statements:
    """A backend's SQL for reading, with the parameters and columns each has."""

    notices: str
    """site -> digest, json"""
    record: str
    """id -> json"""
    totals: str
    """site, since, until -> day, event, notice, surface, language, gpc, n; in the order of these"""
    answers: str
    """site, since, until -> day, event, purpose, surface, language, yes, part, no; in the order of these, without the empty purpose"""
    extents: str
    """site, since, until -> day, event, surface, language, yes, part, no; in the order of these, the empty purpose alone"""
    sites: str
    """-> site, in order"""
    head: str
    """site -> number, size, minute, edge, note"""
    kept: str
    """id -> site, at, minute, digest, moved, commit, other, salt, json"""
    rows: str
    """first at, last at, limit -> at, minute, digest, moved, commit, other, salt, json; in order"""
    held: str
    """As ``rows``, those with a record"""
    others: str
    """As ``rows``, those that are no record's: never a scan of the records"""
    minute: str
    """at -> minute"""
    hashes: str
    """number, level, tile -> the hashes of that tile by now"""
    published: str
    """site, size -> note of the newest with at least that size"""
    checkpoints: str
    """site, since -> size, at, note; the oldest first"""
    attached: str
    """site, digest -> data"""
    attachments: str
    """site -> digest, in order"""


class _Waiting:
    """A record in the queue."""

    __slots__ = ("data", "event", "future", "notice", "record")

    def __init__(self, record: Record, data: bytes, notice: Notice | None, event: Event | None = None) -> None:
        self.record, self.data, self.event = record, data, event
        self.notice = notice  # None where this process knows that it is kept
        self.future: Promise[Kept] = Promise()


def _key(of: Record | Count) -> Key:
    day = of.day if isinstance(of, Count) else of.time.date()
    return of.site, day.isoformat(), of.event, of.notice, of.surface, of.language, of.gpc


def _alike(of: Record) -> Alike:
    services = all(of.services.values()) if of.services else True
    day = of.time.date().isoformat()
    return of.site, day, of.event, of.notice, of.surface, of.language, of.gpc, tuple(of.purposes.items()), services


def _answers(counted: Mapping[Alike, int]) -> list[Answer]:
    """What is added to the counts of answers."""
    found: dict[tuple[str, str, str, str, str, str], list[int]] = {}
    for (site, day, event, _, surface, language, _, purposes, services), n in counted.items():
        whole = 2 if event == "withdrawn" else 0 if services and all(yes for _, yes in purposes) else 1
        for purpose, place in (("", whole), *((purpose, 0 if yes else 2) for purpose, yes in purposes)):
            found.setdefault((site, day, event, purpose, surface, language), [0, 0, 0])[place] += n
    return [(*key, yes, part, no) for key, (yes, part, no) in sorted(found.items())]


def counted(counts: Mapping[Key, int], alike: Iterable[Sequence[Record]]) -> tuple[list[CountRow], list[Answer]]:
    """What is added to the counts, of records and of answers: ``counts`` and these records, those in a row counted alike."""
    totals, found = dict(counts), dict[Alike, int]()
    for records in alike:
        key = _alike(records[0])
        found[key] = found.get(key, 0) + len(records)
        totals[key[:7]] = totals.get(key[:7], 0) + len(records)
    return [(*key, n) for key, n in totals.items()], _answers(found)


@dataclass(frozen=True, slots=True)
class Grown:
    """What a transaction adds to one log."""

    rows: Sequence[Leaf]
    growth: Growth
    state: LogState
    """Of the log afterwards."""
    minute: int
    """Of the log before."""


class _Growing:
    """One log in one transaction."""

    __slots__ = ("base", "entries", "leaves", "minute", "rows", "size", "state")

    def __init__(self, state: LogState, entries: RecordEntries, minute: int) -> None:
        self.state, self.entries = state, entries
        self.minute = max(minute, state.minute)
        self.base, self.size = state.number << INDEX_BITS, state.edge.size
        self.leaves: list[bytes] = []
        self.rows: list[Leaf] = []

    def record(self, commit: bytes, notice: str, version: int, id: str, salt: bytes, data: bytes, moved: bool = False) -> tuple[int, bytes]:
        """Append the entry of a record: its index and bytes."""
        entry = self.entries.entry(commit, notice, self.minute, moved=moved)
        index = self.size + len(self.leaves)
        self.leaves.append(sha256(b"\0" + entry).digest())
        self.rows.append((self.base | index, self.minute, version, moved, commit, None, id, salt, data))
        return index, entry

    def other(self, entry: bytes) -> int:
        """Append an entry that is no record: its index."""
        index = self.size + len(self.leaves)
        self.leaves.append(leaf_hash(entry))
        self.rows.append((self.base | index, self.minute, None, False, None, entry, None, None, None))
        return index


class _Work(Generic[C]):
    """One transaction, as far as logs grow in it."""

    def __init__(self, store: LedgerStore[C], connection: C, minute: int, at_once: bool) -> None:
        self._store, self.connection, self.minute, self._at_once = store, connection, minute, at_once
        self._logs: dict[str, _Growing] = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.grown: dict[str, Grown] = {}
        """By site, after ``grow``."""

    def log(self, site: str) -> _Growing:
        """The log of a site, held until the transaction ends."""
        growing = self._logs.get(site)
        if growing is None:
            store = self._store
            state = store._states[site] if self._at_once else store._log(self.connection, site, store._states.get(site))
            if state.minute > self.minute + 1 and not store._told_of_clock:
                store._told_of_clock = True
                log.warning(
                    "%s: this machine's clock is %d minutes behind the log's last entry. New entries take that one's minute until the"
                    " clock has caught up. Set the clock, and look at what set it back.",
                    store.path,
                    state.minute - self.minute,
                )
            if state.note and state is not store._states.get(site):
                store._look_at_key(site, state.note)
            growing = self._logs[site] = _Growing(state, store._entries_of(site), self.minute)
        return growing

    def version(self, site: str, notice: Notice) -> int:
        """The number of a site's notice, kept and logged where this is the first time."""
        key = (site, notice.digest)
        found = self.versions.get(key)
        if found is None:
            growing = self.log(site)
            found, logged = self._store._version(self.connection, site, notice.digest, canonical(notice.to_json()))
            if not logged:
                self._store._logged(self.connection, found, growing.other(notice_entry(site, growing.minute, notice.digest)))
            self.versions[key] = found
        return found

    def grow(self) -> list[Grown]:
        """The trees with what was appended, and their signed heads."""
        store, found = self._store, []
        for site, growing in self._logs.items():
            if growing.leaves:
                growth = Growth(growing.state.edge, growing.leaves)
                note = store._sign(site, checkpoint(origin(site), growth.edge.size, growth.root))
                state = LogState(growing.state.number, growing.rows[-1][1], growth.edge, note)
                self.grown[site] = Grown(growing.rows, growth, state, growing.state.minute)
                found.append(self.grown[site])
        self._logs.clear()
        return found

    def finish(self) -> None:
        """Write what was appended; the transaction commits it."""
        for grown in self.grow():
            self._store._insert(self.connection, grown.rows)
            self._store._grow(self.connection, grown.growth, grown.state)


class _Nodes(Tiles):
    """The tree of one log. Whole nodes never change: those that were worked out are remembered."""

    def __init__(self, size: int, read: ReadTile, number: int, known: dict[tuple[int, int, int], bytes], edge: Edge | None = None) -> None:
        super().__init__(size, read)
        self._number, self._known = number, known
        self._edge: dict[tuple[int, int], bytes] = {}
        if edge is not None and edge.size == size:  # what is right of the last whole subtree need not be read
            first = 0
            for level, part in zip((n for n in range(size.bit_length() - 1, -1, -1) if size >> n & 1), edge.hashes, strict=True):
                self._edge[level, first >> level] = part
                first += 1 << level

    def node(self, level: int, index: int) -> bytes:
        if (level, index) in self._edge:
            return self._edge[level, index]
        if level == 0:
            return super().node(level, index)
        key = (self._number, level, index)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= NODES:
                self._known.clear()
            found = self._known[key] = super().node(level, index)
        return found


class LedgerStore(Generic[C]):
    """See ``store.Store``. ``path`` names the store in messages; ``aside`` is the folder of withdrawals that wait.

    ``signer`` gives the key of a site's log; without one each process makes its own, which is enough for a demonstration and proves
    nothing afterwards. ``queue``: grants that may wait before StoreBusy. ``batch``: most records in a commit. ``patience``: seconds to
    wait for another process that writes. ``clock``: seconds since 1970.
    """

    sql: Statements
    outbox: Outbox
    at_once = 0
    """Most records that ``_write_at_once`` takes; 0 where a backend has no such thing."""
    errors: tuple[type[Exception], ...]
    """What the database's driver raises, and OSError."""

    def __init__(
        self,
        path: str,
        aside: Path,
        signer: Signer | None = None,
        *,
        queue: int = 10_000,
        batch: int = 512,
        patience: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._signer = signer
        self._own_keys: dict[str, LogKey] = {}
        self._queue_limit = queue
        self._batch_limit = batch
        self._patience = patience
        self._clock = clock
        self._aside = Aside(aside)
        self._reset()

    def _reset(self) -> None:
        """The state of a store that has not been written to."""
        self._pid = 0  # of the process whose threads run; 0: none do
        self._mutex = threading.Lock()  # guards the queue and the counts; never held during input or output
        self._lock = threading.Condition(self._mutex)  # the same, for those who wait
        self._waiting: deque[_Waiting] = deque()
        self._idle = False  # the writer sleeps: it must be woken
        self._counts: dict[Key, int] = {}
        self._dropped = 0
        self._flush_at = 0.0  # monotonic time at which counts are due
        self._flushes = 0  # attempts finished, for those who wait for one
        self._closed = False
        self._set_aside = False  # withdrawals may wait beside the store
        self._pool: ThreadPoolExecutor | None = None  # the one thread that sets them aside
        self._write = threading.Lock()  # held by whichever thread of this process commits; guards the three below
        self._states: dict[str, LogState] = {}
        self._versions: dict[tuple[str, str], int] = {}  # (site, notice digest) known to be durable; read without the lock
        self._alone_at = 0.0  # monotonic time before which another process is believed to append too
        self._unmoved = False  # rows of before there was a log may wait to be moved into it
        self._told_of_clock = False
        self._told_of_key: set[str] = set()
        self._of_a_moment: C | None = None
        self._made: dict[str, RecordEntries] = {}
        self._nodes: dict[tuple[int, int, int], bytes] = {}
        self._edges: dict[tuple[int, int], Edge] = {}
        self._threads: tuple[threading.Thread, ...] = ()
        self._stopping = threading.Event()

    # A backend ----------------------------------------------------------------------------------------------------

    def _connect(self) -> C:
        """A connection that may write; raises one of ``errors``."""
        raise NotImplementedError

    def _shut(self, connection: C) -> None:
        """Close it, whatever state it is in; raises nothing."""
        raise NotImplementedError

    def _explain(self, doing: str, error: Exception) -> StoreError:
        """The driver's error said to the person who runs the site: where, what was found, what to do."""
        raise NotImplementedError

    def _begin(self, connection: C) -> None:
        """Begin a transaction that writes. Not much longer than ``patience``."""
        raise NotImplementedError

    def _end(self, connection: C) -> None:
        """Commit: durable on return. Raises where it may not be."""
        raise NotImplementedError

    def _undo(self, connection: C) -> None:
        """Roll back, whatever state it is in; raises nothing."""
        raise NotImplementedError

    def _reading(self, doing: str) -> AbstractContextManager[C]:
        """A connection to read with, one statement at a time; raises StoreUnavailable."""
        raise NotImplementedError

    def _held(self, doing: str) -> AbstractContextManager[C]:
        """A connection in a transaction of its own: every statement reads as of the same moment."""
        raise NotImplementedError

    def _fetch(self, connection: C, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows of a reading statement."""
        raise NotImplementedError

    def _log(self, connection: C, site: str, known: LogState | None) -> LogState:
        """Keep other writers out of a site's log until the transaction ends, and say how it stands; make it where there is none.
        ``known``, what this process last saw, is returned as it is where the size is still the same."""
        raise NotImplementedError

    def _version(self, connection: C, site: str, digest: str, notice: bytes | None) -> tuple[int, bool]:
        """Keep a notice (None: it is kept) and that this site shows it: the version's number, and whether it has been logged."""
        raise NotImplementedError

    def _logged(self, connection: C, version: int, index: int) -> None:
        """A version's entry is at this index."""
        raise NotImplementedError

    def _known(self, connection: C, ids: Sequence[str]) -> dict[str, bytes]:
        """The records of these ids that are kept."""
        raise NotImplementedError

    def _insert(self, connection: C, rows: Sequence[Leaf]) -> None:
        """Insert rows; raises Repeated where the id of one is there already."""
        raise NotImplementedError

    def _grow(self, connection: C, growth: Growth, state: LogState) -> None:
        """Keep the new hashes of a log's tree (``growth.whole`` of the levels 0, 8, 16, …), and its new state."""
        raise NotImplementedError

    def _add_counts(self, connection: C, counts: Sequence[CountRow]) -> None:
        """Add to the counts of events: Key and how many. May be empty."""
        raise NotImplementedError

    def _add_answers(self, connection: C, answers: Sequence[Answer]) -> None:
        """Add to the counts of answers. May be empty."""
        raise NotImplementedError

    def _write_at_once(self, connection: C, grown: Sequence[Grown], counts: Sequence[CountRow], answers: Sequence[Answer]) -> None:
        """The same as ``_begin``, ``_insert``, ``_grow``, ``_add_counts``, ``_add_answers``, ``_end``, in one statement. Raises Repeated,
        and leaves everything as it was, where a record is there already or a log is not as this process last saw it."""
        raise NotImplementedError

    def _tell(self, connection: C, record: Record, event: Event) -> bool:
        """Keep an event in the outbox; whether it was."""
        raise NotImplementedError

    def _tell_all(self, connection: C, told: Sequence[tuple[Record, Event]]) -> bool:
        """Keep events in the outbox, in their order; whether any was."""
        return any([self._tell(connection, record, event) for record, event in told])

    def _erase(self, connection: C, ats: Sequence[int]) -> list[int]:
        """Delete id, salt and record of these rows: the places of those that had one."""
        raise NotImplementedError

    def _publish(self, connection: C, number: int, size: int, at: float, note: str, now: float) -> None:
        """Keep a published checkpoint, and thin those of this log: of those older than a day, the last of each hour is kept."""
        raise NotImplementedError

    def _attach(self, connection: C, site: str, digest: str, data: bytes) -> None:
        """Keep a file; does nothing where it is kept."""
        raise NotImplementedError

    def _move(self, connection: C) -> bool:
        """Move some rows of before there was a log into it, in a transaction of its own; whether there may be more."""
        return False

    def _started(self) -> Iterable[Callable[[], None]]:
        """Other threads that run beside the writer until ``_stopping`` is set. Called before they start."""
        return ()

    def _wake(self) -> None:
        """Called once ``_stopping`` is set."""

    def _committed(self) -> None:
        """Called after each commit; raises StoreUnavailable where the rows are not in the ledger after all."""

    def _check_process(self) -> None:
        """Raises StoreUnavailable in a process forked from one that uses the store."""

    # Appending ----------------------------------------------------------------------------------------------------

    def append(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Kept]:
        """See ``Store.append``."""
        if record.notice != notice.digest:
            _other_notice(record, notice)
        known = (record.site, record.notice) in self._versions
        waiting = _Waiting(record, record.canonical(), None if known else notice, event)
        if self._pid != os.getpid():
            refused = self._start()
            if refused is not None:
                waiting.future.set_exception(refused)
                return waiting.future
        with self._mutex:
            if self._closed:
                waiting.future.set_exception(StoreUnavailable(f"{self.path}: the store was closed."))
                return waiting.future
            if len(self._waiting) >= self._queue_limit:
                raise StoreBusy(f"{self.path}: {len(self._waiting)} records wait to be written, the most permitted. Try again.")
            self._waiting.append(waiting)
            if self._idle:
                self._lock.notify_all()
        return waiting.future

    def withdraw(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Record]:
        """See ``Store.withdraw``. Beside the store first, always: the way back from a failure is the way in."""
        if record.notice != notice.digest:
            _other_notice(record, notice)
        with self._lock:
            if self._closed:
                raise StoreUnavailable(f"{self.path}: the store was closed.")
            self._pool = self._pool or ThreadPoolExecutor(1, "volens-ledger-withdrawals")
            return self._pool.submit(self._withdraw, record, notice, event)

    def _withdraw(self, record: Record, notice: Notice, event: Event | None) -> Record:
        try:
            self._aside.keep(record, notice, event)
        except OSError as error:
            log.error("%s: a withdrawal could not be set aside (%s); it is in memory until it is recorded.", self._aside.folder, error)
            return self.append(record, notice, event).result().record
        self.resume()
        return record

    def resume(self) -> None:
        """Record the withdrawals that wait beside the store, those of an earlier process too."""
        if self._aside.names() and self._start() is None:
            with self._lock:
                self._set_aside, self._flush_at = True, 0.0
                self._lock.notify_all()

    def waits(self, id: str) -> bool:
        """See ``Store.waits``."""
        return any(name.endswith(f"-{id}.json") for name in self._aside.names())

    def count(self, refusal: Count) -> None:
        """See ``Store.count``."""
        refused = self._start()
        if refused is not None:
            if not self._dropped:
                log.error("refusals are not counted: %s", refused)
            self._dropped += 1
            return
        key = _key(refusal)
        with self._lock:
            if self._closed or (key not in self._counts and len(self._counts) >= KEYS):
                self._dropped += 1
                return
            if not self._counts:
                self._flush_at = time.monotonic() + FLUSH
                self._lock.notify_all()
            self._counts[key] = self._counts.get(key, 0) + 1

    def close(self) -> None:
        """See ``Store.close``."""
        if self._pid not in (0, os.getpid()):
            return
        if self._pool is not None:
            self._pool.shutdown()
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        self._stopping.set()
        self._wake()
        for thread in self._threads:
            thread.join()
        atexit.unregister(self.close)

    # The writer ---------------------------------------------------------------------------------------------------

    def _start(self) -> StoreUnavailable | None:
        """Run the threads on first use; the reason where that cannot be."""
        if self._pid == os.getpid():
            return None
        try:
            self._check_process()
            with self._lock:
                if self._pid or self._closed:
                    return None
                self._pid = os.getpid()
                self._threads = tuple(
                    threading.Thread(target=run, name=f"volens-ledger-{run.__name__.strip('_')}", daemon=True)
                    for run in (*self._started(), self._writer)
                )
                for thread in self._threads:
                    thread.start()
                atexit.register(self.close)
            return None
        except StoreUnavailable as refused:
            return refused
        except RuntimeError as error:  # no thread to be had
            self._pid = 0
            return StoreUnavailable(f"{self.path}: {error}. Raise the limit on threads, or stop what uses them.")

    def _flush(self) -> None:
        """Ask the writer for an attempt to write this process's counts now, and wait for its end."""
        if self._pid != os.getpid() or self._of_a_moment is not None:
            return
        with self._lock:
            if self._counts and not self._closed:
                self._flush_at = 0.0
                self._lock.notify_all()
            before = self._flushes
            self._lock.wait_for(lambda: not self._counts or self._flushes > before + 1 or self._closed, self._patience)

    def _writer(self) -> None:
        connection: C | None = None
        pause, ok = FLUSH, True
        batch: list[_Waiting] = []
        while True:
            with self._lock:
                while not (self._waiting or self._closed or (self._unmoved and ok)):
                    left = self._flush_at - time.monotonic() if self._counts or self._set_aside or self._unmoved else None
                    if left is not None and left <= 0:
                        break
                    self._idle = True
                    self._lock.wait(left)
                    self._idle = False
                # Half of those in flight: while they are committed, the others are worked on.
                most = min(self._batch_limit, max(HALF, (len(self._waiting) + len(batch) + 1) // 2))
                batch = []
                while self._waiting and len(batch) < most:
                    waiting = self._waiting.popleft()
                    if waiting.future.set_running_or_notify_cancel():
                        batch.append(waiting)
                self._set_aside = False
                counts, dropped, last = dict(self._counts), self._dropped, self._closed and not self._waiting
            failure: StoreError | None = None
            done: list[Kept | StoreError] = []
            written = False
            try:
                with self._write, self._clear_errors("write"):
                    connection = connection or self._connect()
                    self._take_in(connection)
                    done = self._commit(connection, batch, counts)
                    written = True  # what fails below is not what was committed
                    if self._unmoved and not last:
                        self._unmoved = self._move(connection)
            except Exception as error:  # noqa: BLE001 — whatever it is, those who wait must hear of it
                failure = error if isinstance(error, StoreError) else StoreUnavailable(f"{self.path}: could not write: {error!r}.")
                if connection is not None:  # a new one each time: the way back from an error is the way in
                    self._shut(connection)
                    connection = None
            with self._lock:
                if written:
                    for key, n in counts.items():
                        if self._counts[key] == n:
                            del self._counts[key]
                        else:
                            self._counts[key] -= n
                    self._dropped -= dropped
                self._set_aside = self._set_aside or (failure is not None and bool(self._aside.names()))
                pause = FLUSH if failure is None else min(pause * 2, RETRY)
                self._flush_at = time.monotonic() + pause
                self._flushes += 1
                self._lock.notify_all()
            if failure is not None and ok:
                log.error("%s", failure)
            elif failure is None and not ok:
                log.warning("%s: writing works again.", self.path)
            if written and dropped:
                log.error("%s: %d refusals were not counted: more kinds of them than memory is kept for.", self.path, dropped)
            if written:
                for waiting, result in zip(batch, done, strict=True):
                    if isinstance(result, Kept):
                        waiting.future.set_result(result)
                    else:
                        waiting.future.set_exception(result)
            else:
                for waiting in batch:
                    waiting.future.set_exception(failure)
            ok = failure is None
            if last:
                if failure is not None and counts:
                    log.error("%s: closed with %d refusals not counted.", self.path, sum(counts.values()))
                if connection is not None:
                    self._shut(connection)
                return

    def _take_in(self, connection: C) -> None:
        """Write the withdrawals that wait beside the store, before anything that came after them."""
        while entries := list(self._aside.take(self._batch_limit)):
            done = self._commit(connection, [_Waiting(r, r.canonical(), notice, event) for _, r, notice, event in entries], {})
            for (name, *_), result in zip(entries, done, strict=True):
                if isinstance(result, Kept):
                    self._aside.drop(name)
                else:
                    self._aside.refuse(name, result)

    def _commit(self, connection: C, batch: Sequence[_Waiting], counts: Mapping[Key, int]) -> list[Kept | StoreError]:
        """Write all of it in one transaction: what became of each."""
        if not batch and not counts:
            return []
        try:
            if 0 < len(batch) <= self.at_once and not self._unmoved and time.monotonic() > self._alone_at:
                states, versions = self._states, self._versions
                if all(w.event is None and w.record.site in states and (w.record.site, w.record.notice) in versions for w in batch):
                    try:
                        return self._done(connection, batch, counts, at_once=True)
                    except Repeated:
                        self._alone_at = time.monotonic() + ALONE
            return self._written(connection, batch, counts, careful=self._unmoved)
        except Repeated:
            return self._written(connection, batch, counts, careful=True)

    def _written(self, connection: C, batch: Sequence[_Waiting], counts: Mapping[Key, int], *, careful: bool) -> list[Kept | StoreError]:
        return self._done(connection, batch, counts, careful=careful)

    def _done(
        self, connection: C, batch: Sequence[_Waiting], counts: Mapping[Key, int], *, careful: bool = False, at_once: bool = False
    ) -> list[Kept | StoreError]:
        kept: list[tuple[int, _Waiting, int, bytes, bytes]] = []
        done: list[Kept | StoreError | None] = [None] * len(batch)
        again: list[int] = []
        patterns: dict[tuple[object, int], list[Record]] = {}  # what is counted alike: the same bytes but for id and time, the same day
        salts = os.urandom(SALT * len(batch))
        latest = max(map(_time, batch), default=None)
        with self._transaction(connection, latest, at_once=at_once) as work:
            seen = self._known(connection, [w.record.id for w in batch]) if careful and batch else {}
            versions, log_of = self._versions, work.log
            for place, waiting in enumerate(batch):
                record, data = waiting.record, waiting.data
                if careful:
                    if record.id in seen:
                        if seen[record.id] == data:
                            again.append(place)
                        else:
                            done[place] = StoreError(
                                f"{self.path}: another record has the id {record.id}. Records are appended, never edited."
                            )
                        continue
                    seen[record.id] = data
                site, digest = record.site, record.notice
                version = versions.get((site, digest))
                if version is None:
                    if waiting.notice is None:  # known when it was submitted, and forgotten since: the store was replaced
                        raise StoreUnavailable(f"{self.path}: notice {digest[:16]} is not kept any more.")
                    version = work.version(site, waiting.notice)
                salt = salts[place * SALT : (place + 1) * SALT]
                commit = sha256(COMMIT + salt + data).digest()
                index, entry = log_of(site).record(commit, digest, version, record.id, salt, data)
                kept.append((place, waiting, index, entry, salt))
                patterns.setdefault((record._around, record.time.toordinal()), []).append(record)
            count_rows, answers = counted(counts, patterns.values())
            told = False
            if at_once:
                self._write_at_once(connection, work.grow(), count_rows, answers)
            else:
                work.finish()  # from here on it is known that none of them was there
                events = [(waiting.record, waiting.event) for _, waiting, *_ in kept if waiting.event is not None]
                told = bool(events) and self._tell_all(connection, events)
                self._add_counts(connection, count_rows)
                self._add_answers(connection, answers)
        if told:
            self._arrived()
        for place, waiting, index, entry, salt in kept:
            grown = work.grown[waiting.record.site]
            done[place] = Kept(waiting.record, salt, index, entry, grown.state.note, grown.growth.path)
        for place in again:
            done[place] = self._kept_before(batch[place].record)
        return done  # type: ignore[return-value]  # none is None any more

    def _arrived(self) -> None:
        """An event was committed."""

    def _kept_before(self, record: Record) -> Kept | StoreError:
        """What is durable of a record that was appended again."""
        receipt = self.receipt(record.id)
        if receipt is None:  # erased in this moment, or not moved yet: appending it once more is harmless
            return StoreUnavailable(f"{self.path}: record {record.id} is kept, but has no entry in the log yet. Try again.")
        proof = list(receipt.proof)
        return Kept(record, receipt.salt, receipt.index, canonical(receipt.entry), receipt.checkpoint, lambda _: proof)

    @contextmanager
    def _transaction(self, connection: C, latest: datetime | None = None, *, at_once: bool = False) -> Iterator[_Work[C]]:
        """Grow logs in one transaction, committed at the end. ``latest``: the time of the latest record; ``at_once``: what is in the
        context commits by itself, to logs that are as this process last saw them. Hold ``_write``."""
        minute = int(self._clock() // 60)
        if latest is not None and minute < (of := minute_of(latest)) <= minute + AHEAD:
            minute = of
        if not at_once:
            self._begin(connection)
        try:
            work = _Work(self, connection, minute, at_once)
            yield work
            if not at_once:
                work.finish()
                self._end(connection)
        except BaseException:
            self._undo(connection)
            self._states.clear()  # it may have been committed all the same
            raise
        self._committed()
        self._versions.update(work.versions)
        for site, grown in work.grown.items():
            self._states[site] = grown.state
        if len(self._states) > 1000:
            self._states.clear()  # a demonstration answers for any host

    def _sign(self, site: str, text: str) -> str:
        if self._signer is not None:
            return self._signer(site).sign(text)
        if site not in self._own_keys:
            self._own_keys[site] = LogKey.new(origin(site))
        return self._own_keys[site].sign(text)

    def _look_at_key(self, site: str, note: str) -> None:
        """Tell, once, that a head which another process signed is signed with a key that this one does not have."""
        vkeys = getattr(self._signer(site), "vkeys", ()) if self._signer is not None and site not in self._told_of_key else ()
        if not vkeys or any(signed[:4].hex() in {vkey.split("+")[1] for vkey in vkeys} for signed in _signatures(note)):
            return
        self._told_of_key.add(site)
        log.error(
            "%s: the log of %s was signed with a key that is not here. Its receipts do not verify with the keys that this process"
            " publishes. Every machine gets the same key file (volens keys --log); give back one that was lost.",
            self.path,
            site,
        )

    def _entries_of(self, site: str) -> RecordEntries:
        found = self._made.get(site)
        if found is None:
            if len(self._made) > 1000:
                self._made = {}
            found = self._made[site] = RecordEntries(site)
        return found

    @contextmanager
    def _clear_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except self.errors as error:
            raise error if isinstance(error, StoreError) else self._explain(doing, error) from error

    @contextmanager
    def _apart(self, doing: str) -> Iterator[_Work[C]]:
        """A transaction beside those of the writer, on a connection of its own."""
        self._check_process()
        with self._write, self._clear_errors(doing):
            connection = self._connect()
            try:
                with self._transaction(connection) as work:
                    yield work
            finally:
                self._shut(connection)

    def upgrade(self) -> int:
        """See ``Store.upgrade``."""
        steps = 0
        while self._unmoved:
            self._check_process()
            with self._write, self._clear_errors("move records into the log"):
                connection = self._connect()
                try:
                    self._unmoved = self._move(connection)
                finally:
                    self._shut(connection)
            steps += 1
        return steps

    # Reading ------------------------------------------------------------------------------------------------------

    def _rows(self, doing: str, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if self._of_a_moment is not None:
            with self._clear_errors(doing):
                return self._fetch(self._of_a_moment, statement, parameters)
        with self._reading(doing) as connection:
            return self._fetch(connection, statement, parameters)

    @contextmanager
    def moment(self) -> Iterator[Self]:
        """See ``Store.moment``."""
        self._flush()
        with self._held("read as of one moment") as connection:
            then = copy(self)
            then._of_a_moment = connection
            yield then

    # Notices and files --------------------------------------------------------------------------------------------

    def keep_notice(self, site: str, notice: Notice) -> None:
        """See ``Store.keep_notice``."""
        if any(digest == notice.digest for digest, _ in self._rows("keep a notice", self.sql.notices, (site,))):
            return  # a site must start although the disk is full; one kept before there was a log is logged when its records move
        with self._apart("keep a notice") as work:
            work.version(site, notice)

    def notices(self, site: str) -> Mapping[str, Notice]:
        """See ``Store.notices``."""
        found = {}
        for digest, data in self._rows("read notices", self.sql.notices, (site,)):
            try:
                notice = Notice.from_json(json.loads(data))
            except (NoticeError, ValueError) as error:
                raise StoreError(f"{self.path}: notice {digest[:16]} is damaged: {error}") from error
            if notice.digest != digest:
                raise StoreError(f"{self.path}: notice {digest[:16]} is damaged: its content has digest {notice.digest[:16]}.")
            found[notice.short] = notice
        return MappingProxyType(found)

    def add_snapshot(self, site: str, notice: str, snapshot: str) -> int:
        """See ``Store.add_snapshot``."""
        with self._apart("log a snapshot") as work:
            growing = work.log(site)
            return growing.other(snapshot_entry(site, growing.minute, notice, snapshot))

    def attach(self, site: str, digest: str, data: bytes) -> None:
        """See ``Store.attach``."""
        if sha256(data).hexdigest() != digest:
            raise StoreError(f"{self.path}: a file of {len(data)} bytes has not the digest {digest[:16]}.")
        with self._apart("keep a file") as work:
            self._attach(work.connection, site, digest, data)

    def attached(self, site: str, digest: str) -> bytes | None:
        """See ``Store.attached``."""
        rows = self._rows("read a file", self.sql.attached, (site, digest))
        return bytes(rows[0][0]) if rows else None

    def attachments(self, site: str) -> list[str]:
        """See ``Store.attachments``."""
        return [digest for (digest,) in self._rows("list files", self.sql.attachments, (site,))]

    # Records and counts -------------------------------------------------------------------------------------------

    def record(self, id: str) -> Record | None:
        """See ``Store.record``."""
        rows = self._rows("read a record", self.sql.record, (id,))
        try:
            return Record.parse(bytes(rows[0][0]) if not isinstance(rows[0][0], str) else rows[0][0].encode()) if rows else None
        except RecordError as error:
            raise StoreError(f"{self.path}: record {id} is damaged: {error}") from error

    def totals(self, site: str, since: date, until: date) -> list[Total]:
        """See ``Store.totals``."""
        self._flush()
        return [
            Total(day=day, event=event, notice=notice, surface=surface, language=language, gpc=bool(gpc), count=n)
            for day, event, notice, surface, language, gpc, n in self._rows(
                "read counts", self.sql.totals, (site, since.isoformat(), until.isoformat())
            )
        ]

    def answers(self, site: str, since: date, until: date) -> list[Answered]:
        """See ``Store.answers``."""
        return [
            Answered(day=day, event=event, purpose=purpose, surface=surface, language=language, yes=yes, no=no)
            for day, event, purpose, surface, language, yes, _, no in self._rows(
                "read counts", self.sql.answers, (site, since.isoformat(), until.isoformat())
            )
        ]

    def extents(self, site: str, since: date, until: date) -> list[Extent]:
        """See ``Store.extents``."""
        return [
            Extent(day=day, event=event, surface=surface, language=language, all=every, some=some, none=none)
            for day, event, surface, language, every, some, none in self._rows(
                "read counts", self.sql.extents, (site, since.isoformat(), until.isoformat())
            )
        ]

    def restore_counts(self, site: str, totals: Iterable[Total], answers: Iterable[Answered], extents: Iterable[Extent]) -> None:
        """See ``Store.restore_counts``."""
        if self.totals(site, date.min, date.max) or self.extents(site, date.min, date.max):
            raise StoreError(f"{self.path}: {site} has counts already. Counts are taken over into a store without any.")
        counted = [(site, t["day"], t["event"], t["notice"], t["surface"], t["language"], t["gpc"], t["count"]) for t in totals]
        answered = [(site, a["day"], a["event"], a["purpose"], a["surface"], a["language"], a["yes"], 0, a["no"]) for a in answers]
        extent = [(site, e["day"], e["event"], "", e["surface"], e["language"], e["all"], e["some"], e["none"]) for e in extents]
        with self._apart("take over counts") as work:
            self._add_counts(work.connection, counted)
            self._add_answers(work.connection, answered + extent)

    # The log ------------------------------------------------------------------------------------------------------

    def sites(self) -> list[str]:
        """See ``Store.sites``."""
        return [site for (site,) in self._rows("list logs", self.sql.sites)]

    def _state(self, site: str) -> LogState | None:
        rows = self._rows("read the log's head", self.sql.head, (site,))
        if not rows:
            return None
        number, size, minute, edge, note = rows[0]
        try:
            return LogState(number, minute, Edge.from_bytes(size, bytes(edge)), note)
        except ValueError as error:
            raise StoreError(f"{self.path}: the head of the log of {site} is damaged: {error}") from error

    def head(self, site: str) -> Head | None:
        """See ``Store.head``."""
        state = self._state(site)
        return None if state is None else Head(site, state.edge.size, state.edge.root, state.note, state.minute)

    def find(self, id: str) -> tuple[str, int] | None:
        """See ``Store.find``."""
        rows = self._rows("look for a record", self.sql.kept, (id,))
        return (rows[0][0], rows[0][1] & INDEXES) if rows else None

    def receipt(self, id: str) -> Receipt | None:
        """See ``Store.receipt``."""
        rows = self._rows("read a record", self.sql.kept, (id,))
        if not rows:
            return None
        site, at, *made = rows[0]
        row = self._row(site, at, *made)
        state = self._state(site)
        assert state is not None and row.salt is not None and row.record is not None  # noqa: S101 — it has a row
        note = self.published(site, row.index + 1) or state.note
        size = _size(note)
        proof = self._tree(state, size, self._edge(state, size)).inclusion(row.index)
        try:
            return Receipt(Record.parse(row.record), row.salt, json.loads(row.entry), row.index, tuple(proof), note)
        except RecordError as error:
            raise StoreError(f"{self.path}: record {id} is damaged: {error}") from error

    def _row(
        self,
        site: str,
        at: int,
        minute: int,
        digest: str | None,
        moved: bool,
        commit: bytes | None,
        other: bytes | None,
        salt: bytes | None,
        data: bytes | None,
    ) -> Row:
        if other is not None:
            return Row(at & INDEXES, bytes(other), None, None)
        if commit is None or digest is None:
            raise StoreError(f"{self.path}: entry {at & INDEXES} of the log of {site} is damaged: it is neither a record's nor another's.")
        entry = self._entries_of(site).entry(bytes(commit), digest, minute, moved=bool(moved))
        return Row(at & INDEXES, entry, None if salt is None else bytes(salt), None if data is None else _bytes(data))

    def rows(self, site: str, first: int = 0, last: int | None = None, *, held: bool = False) -> Iterator[Row]:
        """See ``Store.rows``."""
        return self._read(site, first, last, self.sql.held if held else self.sql.rows)

    def others(self, site: str) -> Iterator[Row]:
        """See ``Store.others``."""
        return self._read(site, 0, None, self.sql.others)

    def _read(self, site: str, first: int, last: int | None, statement: str) -> Iterator[Row]:
        state = self._state(site)
        if state is None:
            return
        base = state.number << INDEX_BITS
        end = base | min(state.edge.size - 1 if last is None else last, state.edge.size - 1)
        at = base | first
        while at <= end:
            found = self._rows("read the log", statement, (at, end, STEP))
            for row in found:
                yield self._row(site, *row)
            if len(found) < STEP:
                return
            at = found[-1][0] + 1

    def entries(self, site: str, first: int, count: int) -> list[bytes]:
        """See ``Store.entries``."""
        return [row.entry for row in self.rows(site, first, first + count - 1)] if count > 0 else []

    def hashes(self, site: str, level: int, tile: int) -> bytes:
        """See ``Store.hashes``."""
        state = self._state(site)
        return b"" if state is None else self._hashes(state.number, level, tile)

    def _hashes(self, number: int, level: int, tile: int) -> bytes:
        rows = self._rows("read the log's tree", self.sql.hashes, (number, level, tile))
        return bytes(rows[0][0]) if rows else b""

    def tree(self, site: str, size: int | None = None) -> Tiles:
        """See ``Store.tree``."""
        state = self._state(site)
        if state is None:
            return Tiles(0, lambda level, tile: b"")
        return self._tree(state, state.edge.size if size is None else min(size, state.edge.size))

    def _tree(self, state: LogState, size: int, edge: Edge | None = None) -> Tiles:
        return _Nodes(size, lambda level, tile: self._hashes(state.number, level, tile), state.number, self._nodes, edge)

    def _edge(self, state: LogState, size: int) -> Edge:
        """The edge of a log at a size: as it stands, or as a published checkpoint covers it."""
        if size == state.edge.size:
            return state.edge
        key = (state.number, size)
        found = self._edges.get(key)
        if found is None:
            if len(self._edges) >= 100:
                self._edges.clear()
            found = self._edges[key] = self._tree(state, size).edge()
        return found

    def size_before(self, site: str, time: datetime) -> int:
        """See ``Store.size_before``."""
        state, minute = self._state(site), minute_of(time)
        if state is None:
            return 0
        low, high = 0, state.edge.size
        while low < high:
            middle = (low + high) // 2
            ((found,),) = self._rows("read the log", self.sql.minute, (state.number << INDEX_BITS | middle,))
            low, high = (middle + 1, high) if found < minute else (low, middle)
        return low

    def publish(self, site: str, note: str, at: float | None = None) -> None:
        """See ``Store.publish``."""
        try:
            told = SignedNote.parse(note).checkpoint
        except SignedNoteError as error:
            raise StoreError(f"{self.path}: not a checkpoint to publish: {error}") from error
        state = self._state(site)
        if told.origin != origin(site) or state is None:
            raise StoreError(f"{self.path}: a checkpoint of {told.origin!r} is not of the log of {site}.")
        if told.size > state.edge.size:
            raise StoreError(f"{self.path}: a checkpoint over {told.size} entries, and {state.edge.size} are durable: not to be published.")
        root = state.edge.root if told.size == state.edge.size else self._tree(state, state.edge.size).root(told.size)
        if root != told.root:
            raise StoreError(f"{self.path}: a checkpoint over {told.size} entries with another root than the log of {site} has.")
        with self._apart("keep a checkpoint") as work:
            now = self._clock()
            self._publish(work.connection, state.number, told.size, now if at is None else at, note, now)

    def published(self, site: str, size: int = 0) -> str | None:
        """See ``Store.published``."""
        rows = self._rows("read a checkpoint", self.sql.published, (site, size))
        return rows[0][0] if rows else None

    def checkpoints(self, site: str, since: float = 0) -> list[Published]:
        """See ``Store.checkpoints``."""
        return [Published(*row) for row in self._rows("read checkpoints", self.sql.checkpoints, (site, since))]

    def erase(self, site: str, indexes: Iterable[int], reason: str) -> int:
        """See ``Store.erase``."""
        if reason not in REASONS:
            raise StoreError(f"erased for {reason!r}: write {' or '.join(REASONS)}.")
        self.upgrade()
        state = self._state(site)
        if state is None:
            return 0
        base, erased = state.number << INDEX_BITS, 0
        wanted = iter(indexes)
        while step := list(islice(wanted, STEP)):
            ats = sorted({base | index for index in step if 0 <= index < state.edge.size})
            with self._apart("erase records") as work:
                growing = work.log(site)
                gone = ranges(at & INDEXES for at in self._erase(work.connection, ats))
                for start in range(0, len(gone), RANGES):
                    growing.other(erasure_entry(site, growing.minute, gone[start : start + RANGES], reason))
            erased += sum(last - first + 1 for first, last in gone)
        return erased

    def restore(self, site: str, notices: Iterable[Notice], rows: Iterable[Row]) -> int:
        """See ``Store.restore``."""
        self.upgrade()
        known = {notice.digest: canonical(notice.to_json()) for notice in notices}
        todo, added = iter(rows), 0
        while step := list(islice(todo, STEP)):
            state = self._state(site)
            size = 0 if state is None else state.edge.size
            here = [row for row in step if row.index < size]
            for row, entry in zip(here, self._entries_at(site, [row.index for row in here]), strict=True):
                if row.entry != entry:
                    raise StoreError(f"{self.path}: entry {row.index} of the log of {site} is another one here. It was left as it was.")
            rest = step[len(here) :]
            if rest:
                with self._apart("restore entries") as work:
                    self._restore(work, site, known, rest)
                added += len(rest)
        return added

    def _entries_at(self, site: str, indexes: Sequence[int]) -> list[bytes]:
        if not indexes:
            return []
        found = {row.index: row.entry for row in self.rows(site, min(indexes), max(indexes))}
        return [found[index] for index in indexes]

    def _restore(self, work: _Work[C], site: str, notices: Mapping[str, bytes], rows: Sequence[Row]) -> None:
        growing, versions = work.log(site), dict[str, tuple[int, bool]]()
        for row in rows:
            place = f"{self.path}: entry {row.index} for the log of {site}"
            if row.index != growing.size + len(growing.leaves):
                raise StoreError(f"{place}: {growing.size + len(growing.leaves)} should come next. Restore them all, in order.")
            try:
                value = parse(row.entry)
            except ProofError as error:
                raise StoreError(f"{place} cannot be restored: {error}") from error
            if value["site"] != site:
                raise StoreError(f"{place} is of the log of {value['site']!r}.")
            growing.minute = minute_of(datetime.fromisoformat(value["time"]))
            digest = value.get("notice", "")
            if digest and digest not in versions:
                if digest not in notices:
                    raise StoreError(f"{place} names notice {digest[:16]}, which is not among those given.")
                versions[digest] = self._version(work.connection, site, digest, notices[digest])
            if value["type"] != "record":
                index = growing.other(row.entry)
                if value["type"] == "notice" and not versions[digest][1]:
                    self._logged(work.connection, versions[digest][0], index)
                    versions[digest] = versions[digest][0], True
                continue
            commit, moved = bytes.fromhex(value["commit"]), "moved" in value
            if row.record is None or row.salt is None:
                growing.record(commit, digest, versions[digest][0], None, None, None, moved)  # type: ignore[arg-type]  # erased
                continue
            try:
                record = Record.parse(row.record)
            except RecordError as error:
                raise StoreError(f"{place} cannot be restored: {error}") from error
            if commitment(row.salt, row.record) != commit or record.notice != digest or record.site != site:
                raise StoreError(f"{place} comes with a record that it does not commit to.")
            _, entry = growing.record(commit, digest, versions[digest][0], record.id, row.salt, row.record, moved)
            if entry != row.entry:
                raise StoreError(f"{place} cannot be restored: it is written in another way than an entry of a record is.")


def _bytes(data: Any) -> bytes:
    return data.encode() if isinstance(data, str) else bytes(data)  # edited by hand


def _signatures(note: str) -> list[bytes]:
    """Key id and signature of each line below a checkpoint of ours; none of one that was edited by hand."""
    try:
        return [base64.b64decode(line.rpartition(" ")[2]) for line in note.rpartition("\n\n")[2].splitlines()]
    except ValueError:
        return []


def _size(note: str) -> int:
    """How many entries a checkpoint of ours covers: its second line."""
    return int(note.split("\n", 2)[1])


_time = attrgetter("record.time")


def _other_notice(record: Record, notice: Notice) -> NoReturn:
    raise RecordError(f"record {record.id}: it names notice {record.notice[:16]}, but came with {notice.short}.")
