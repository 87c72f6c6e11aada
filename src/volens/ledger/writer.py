"""What every store does alike, whatever database it keeps its rows in: one thread that commits all that waits at once, logs that grow
in the same transaction, heads that are signed before it is committed, withdrawals set aside, refusals counted.

What a database brings is in ``backend``, what is read of it in ``queries``.

**One transaction** (``_transaction``) begins with what keeps other writers out of the logs it touches, reads each log's state
(``_log``), is filled, and ends in ``_Work.finish``: tree, checkpoint, rows. A checkpoint signed for a transaction that fails
never leaves the process. What a commit made of a log is kept in memory, and believed as long as the size in the database is the same.

**The interpreter's lock.** Each statement lets go of it, and under load it takes up to 5 ms to get it back. So a transaction has few
statements, each for many rows, whatever the size of the batch.
"""

from __future__ import annotations

import atexit
import base64
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime
from hashlib import sha256
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Generic, NoReturn

from volens.errors import ProofError, RecordError, SignedNoteError, StoreBusy, StoreError, StoreUnavailable
from volens.ledger.aside import Aside
from volens.ledger.backend import INDEX_BITS, INDEXES, C, Grown, Leaf, LogState, Repeated
from volens.ledger.cosign import SignedNote
from volens.ledger.counting import Key, counted, key_of
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
from volens.ledger.queries import STEP, Queries
from volens.ledger.record import Count, Record
from volens.ledger.store import Answered, Event, Extent, Kept, Row, Signer, Total
from volens.ledger.tree import Growth, leaf_hash
from volens.notice import Notice, canonical

log = logging.getLogger("volens.ledger")

FLUSH = 1.0
"""Seconds a refusal may wait in memory for company."""
RETRY = 10.0
"""Longest pause, in seconds, between two attempts to write counts."""
KEYS = 20_000
"""Different counters kept in memory while nothing can be written (some 10 MB); more are dropped, with a log line."""
ALONE = 1.0
"""Seconds after another process has appended in which this one looks before it writes."""
HALF = 16
"""Records that are committed together in any case, where so many wait."""
AHEAD = 5
"""Minutes by which a record's time may be ahead of this machine's clock, and the log follows it."""


class _Waiting:
    """A record in the queue."""

    __slots__ = ("data", "event", "future", "notice", "record")

    def __init__(self, record: Record, data: bytes, notice: Notice | None, event: Event | None = None) -> None:
        self.record, self.data, self.event = record, data, event
        self.notice = notice  # None where this process knows that it is kept
        self.future: Promise[Kept] = Promise()


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


class LedgerStore(Queries[C]):
    """See ``store.Store``. ``path`` names the store in messages; ``aside`` is the folder of withdrawals that wait.

    ``signer`` gives the key of a site's log; without one each process makes its own, which is enough for a demonstration and proves
    nothing afterwards. ``queue``: grants that may wait before StoreBusy. ``batch``: most records in a commit. ``patience``: seconds to
    wait for another process that writes. ``clock``: seconds since 1970.
    """

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
        super()._reset()
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
        self._threads: tuple[threading.Thread, ...] = ()
        self._stopping = threading.Event()

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
        key = key_of(refusal)
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

    def _next(self, before: int, ok: bool) -> tuple[list[_Waiting], dict[Key, int], int, bool]:
        """Wait for something to write: records, counts, how many counts were dropped, whether the store was closed and this is all.
        ``before``: how many records were written last; ``ok``: whether that went well."""
        with self._lock:
            while not (self._waiting or self._closed or (self._unmoved and ok)):
                left = self._flush_at - time.monotonic() if self._counts or self._set_aside or self._unmoved else None
                if left is not None and left <= 0:
                    break
                self._idle = True
                self._lock.wait(left)
                self._idle = False
            # Half of those in flight: while they are committed, the others are worked on.
            most = min(self._batch_limit, max(HALF, (len(self._waiting) + before + 1) // 2))
            batch: list[_Waiting] = []
            while self._waiting and len(batch) < most:
                waiting = self._waiting.popleft()
                if waiting.future.set_running_or_notify_cancel():
                    batch.append(waiting)
            self._set_aside = False
            return batch, dict(self._counts), self._dropped, self._closed and not self._waiting

    def _writer(self) -> None:
        connection: C | None = None
        pause, ok = FLUSH, True
        batch: list[_Waiting] = []
        while True:
            batch, counts, dropped, last = self._next(len(batch), ok)
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
                    self._subtract(counts, dropped)
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

    def _subtract(self, counts: Mapping[Key, int], dropped: int) -> None:
        """Forget what was written; more may have come since."""
        for key, n in counts.items():
            if self._counts[key] == n:
                del self._counts[key]
            else:
                self._counts[key] -= n
        self._dropped -= dropped

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

    # Notices and files --------------------------------------------------------------------------------------------

    def keep_notice(self, site: str, notice: Notice) -> None:
        """See ``Store.keep_notice``."""
        if any(digest == notice.digest for digest, _ in self._rows("keep a notice", self.sql.notices, (site,))):
            return  # a site must start although the disk is full; one kept before there was a log is logged when its records move
        with self._apart("keep a notice") as work:
            work.version(site, notice)

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

    # Records and counts -------------------------------------------------------------------------------------------

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


def _signatures(note: str) -> list[bytes]:
    """Key id and signature of each line below a checkpoint of ours; none of one that was edited by hand."""
    try:
        return [base64.b64decode(line.rpartition(" ")[2]) for line in note.rpartition("\n\n")[2].splitlines()]
    except ValueError:
        return []


_time = attrgetter("record.time")


def _other_notice(record: Record, notice: Notice) -> NoReturn:
    raise RecordError(f"record {record.id}: it names notice {record.notice[:16]}, but came with {notice.short}.")
