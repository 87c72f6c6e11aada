"""The store in one SQLite file (WAL, ``synchronous=FULL``), on a local disk.

One thread writes: it takes all that waits and commits it at once, so a disk that syncs 3,000 times a second keeps
many more records than that. Another thread moves the write-ahead log into the file, on its own connection, so that
no grant waits for it.

Nothing is open until the first record or count: a server may build the store, keep notices and read, and then fork
its workers. SQLite's locks do not survive a fork, so a process that inherits a store *in use* is refused.

**Checkpoints.** SQLite 3.7.0 to 3.51.2 can corrupt a file when a checkpoint of a log that is already copied whole
meets a commit that restarts the log (sqlite.org/wal.html, "The WAL-reset bug"). Here a checkpoint never meets that
state: checkpoints of all processes are serialised by a lock file, and each first commits a row of its own, so that
something is left to copy and no commit can restart the log. Do not run other checkpointers (Litestream, a cron job
with ``PRAGMA wal_checkpoint``) against the file with those versions.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from types import MappingProxyType

from volens.errors import NoticeError, RecordError, StoreBusy, StoreError, StoreTooNew, StoreUnavailable
from volens.ledger import outbox
from volens.ledger.aside import Aside
from volens.ledger.outbox import SqliteOutbox
from volens.ledger.record import Count, Record
from volens.ledger.store import Event, Total
from volens.notice import Notice, canonical

log = logging.getLogger("volens.ledger")

APPLICATION = 0x564F4C4E  # "VOLN", so that a file of something else is never taken for ours
STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE records (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, json BLOB NOT NULL)",
        "CREATE TRIGGER records_appended BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'records are never edited'); END",
        "CREATE TABLE notices (digest TEXT PRIMARY KEY, json BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TRIGGER notices_appended BEFORE UPDATE ON notices BEGIN SELECT RAISE(ABORT, 'notices are never edited'); END",
        "CREATE TABLE shown (site TEXT NOT NULL, digest TEXT NOT NULL REFERENCES notices, PRIMARY KEY (site, digest)) WITHOUT ROWID",
        """CREATE TABLE counts (
            site TEXT NOT NULL, day TEXT NOT NULL, event TEXT NOT NULL, notice TEXT NOT NULL, surface TEXT NOT NULL,
            language TEXT NOT NULL, gpc INTEGER NOT NULL, n INTEGER NOT NULL,
            PRIMARY KEY (site, day, event, notice, surface, language, gpc)) WITHOUT ROWID""",
        "CREATE TABLE tick (one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL)",
        "INSERT INTO tick VALUES (1, 0)",
    ),
    outbox.TABLES,
    outbox.EXPIRING,
)
"""Schema steps; step n makes version n (``user_version``) and is noted in the same transaction."""

COUNT = """INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (site, day, event, notice, surface, language, gpc) DO UPDATE SET n = n + excluded.n"""

Key = tuple[str, str, str, str, str, str, bool]
"""site, day, event, notice, surface, language, gpc"""

FLUSH = 1.0
"""Seconds a refusal may wait in memory for company."""
RETRY = 10.0
"""Longest pause, in seconds, between two attempts to write counts."""
ROOM = 1 << 20
"""Bytes of a disk below which it counts as full."""
KEYS = 20_000
"""Different counters kept in memory while the file cannot be written (some 10 MB); more are dropped, with a log line."""
CHECKPOINT = 1.0
"""Seconds between two checkpoints while there is something to copy."""
LOG_FRAMES = 8_192
"""Pages (32 MB) of log above which a checkpoint makes writers wait the moment it takes to start the log anew."""


@dataclass(slots=True)
class _Waiting:
    record: Record
    data: bytes
    notice: Notice | None  # None where this process knows that it is kept
    event: Event | None = None
    future: Future[Record] = field(default_factory=Future)


def _key(of: Record | Count) -> Key:
    day = of.day if isinstance(of, Count) else of.time.date()
    return of.site, day.isoformat(), of.event, of.notice, of.surface, of.language, of.gpc


_in_use: list[SqliteStore] = []
"""The stores of this process whose threads run, and, in a forked process, those of the one it came from."""


class SqliteStore:
    """A ``Store`` in the file ``path``, created (mode 0600) where there is none; its directory must exist.

    ``queue``: grants that may wait before StoreBusy. ``batch``: most records in a commit. ``patience``: seconds to
    wait for another process that writes. Raises StoreUnavailable, StoreTooNew or StoreError when the file can't be used.
    """

    def __init__(self, path: str | os.PathLike[str], *, queue: int = 10_000, batch: int = 512, patience: float = 5.0) -> None:
        self.path = os.path.abspath(path)
        self._queue_limit = queue
        self._batch_limit = batch
        self._patience = patience
        self.outbox = SqliteOutbox(self)
        self._aside = Aside(Path(self.path + "-withdrawals"))
        self._reset()
        self._check_process()
        with self._clear_errors("open"):
            self._create()
            connection = self._connect()
            try:
                self._migrate(connection)
            finally:
                connection.close()
            place = os.stat(self.path)
            self._place = (place.st_dev, place.st_ino)

    def _reset(self) -> None:
        """The state of a store that has not been written to."""
        self._pid = 0  # of the process whose threads run; 0: none do
        self._lock = threading.Condition()  # guards all below; never held during input or output
        self._waiting: deque[_Waiting] = deque()
        self._counts: dict[Key, int] = {}
        self._dropped = 0
        self._flush_at = 0.0  # monotonic time at which counts are due
        self._flushes = 0  # attempts finished, for those who wait for one
        self._closed = False
        self._set_aside = False  # withdrawals may wait beside the file
        self._pool: ThreadPoolExecutor | None = None  # the one thread that sets them aside
        self._kept: set[tuple[str, str]] = set()  # (site, notice digest) known to be durable
        self._write = threading.Lock()  # held by whichever thread of this process commits
        self._written = threading.Event()  # something was committed since the last checkpoint
        self._stopping = threading.Event()
        self._threads: tuple[threading.Thread, ...] = ()

    # The file ---------------------------------------------------------------------------------------------------

    def _create(self) -> None:
        # Never open a file that exists: closing it again would drop the locks this process has on it (POSIX).
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            Path(self.path).as_uri() + "?mode=rw", uri=True, timeout=self._patience, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute(f"PRAGMA journal_size_limit = {16 * LOG_FRAMES * 1024}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        def pragma(name: str) -> int:
            return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

        version = pragma("user_version")
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if tables and pragma("application_id") != APPLICATION:
            raise StoreError(f"{self.path}: a SQLite database, but not a Volens ledger. Name another file; this one was left as it is.")
        if version > len(STEPS):
            raise StoreTooNew(
                f"{self.path}: schema version {version}, but this Volens knows versions up to {len(STEPS)}. "
                "Install the Volens that wrote it, or a later one; the file was left as it is."
            )
        deadline = time.monotonic() + self._patience
        while True:  # SQLite does not wait by itself where two processes switch a new file to WAL at once
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        try:
            if mode != "wal":
                raise StoreError(f"{self.path}: no write-ahead log is possible on this file system. Name a file on a local disk.")
            for number in range(pragma("user_version"), len(STEPS)):
                for statement in STEPS[number]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number + 1}")
            if version < len(STEPS):
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute("UPDATE tick SET n = n WHERE one = 0")  # changes nothing, but tells now whether writing is permitted
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _clear_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise error if isinstance(error, StoreError) else self._explain(doing, error) from error

    def _explain(self, doing: str, error: Exception) -> StoreError:
        """The error said to the person who runs the site: where, what was found, what to do."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        folder = os.path.dirname(self.path)
        may = partial(os.access, effective_ids=os.access in os.supports_effective_ids)
        remedy = f"{error}."
        if not os.path.isdir(folder):
            remedy = f"the directory {folder!r} does not exist. Create it, or name another file."
        elif os.path.isdir(self.path):
            remedy = "it is a directory. Name a file in it."
        elif code == sqlite3.SQLITE_NOTADB:
            return StoreError(f"{self.path}: not a SQLite database. Name another file; this one was left as it is.")
        elif code == sqlite3.SQLITE_CORRUPT:
            remedy = f"the file is damaged ({error}). Restore it from a copy, or save what 'sqlite3 FILE .recover' still reads."
        elif code == sqlite3.SQLITE_BUSY:
            remedy = f"another process has been writing to it for more than {self._patience:g} s ({error}). Stop what holds it."
        elif code == sqlite3.SQLITE_FULL:
            remedy = "the disk is full. Make room; writing goes on by itself."
        elif not may(folder, os.W_OK | os.X_OK):
            remedy = f"user {os.geteuid()} may not write to the directory {folder!r}, where SQLite also keeps its log. Give it that right."
        elif code == sqlite3.SQLITE_READONLY or not may(self.path, os.R_OK | os.W_OK):
            remedy = f"user {os.geteuid()} may not write to it, or the disk is mounted read-only. Give it that right."
        elif code == sqlite3.SQLITE_IOERR:
            name = getattr(error, "sqlite_errorname", "SQLITE_IOERR")
            remedy = f"the system could not write ({name}): a full or failing disk, or a limit on file size. Writing goes on by itself."
        return StoreUnavailable(f"{self.path}: could not {doing}: {remedy}")

    @contextmanager
    def _briefly(self, doing: str) -> Iterator[sqlite3.Connection]:
        """A connection for one task, so that nothing stays open in a process that only reads or is yet to fork."""
        self._check_process()
        with self._clear_errors(doing):
            connection = self._connect()
            try:
                yield connection
            finally:
                connection.close()

    def reading(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """For the outbox: a connection to read with."""
        return self._briefly(doing)

    @contextmanager
    def writing(self, doing: str) -> Iterator[sqlite3.Connection]:
        """For the outbox: a transaction of its own, committed at the end."""
        with self._write, self._briefly(doing) as connection:
            self._begin(connection)
            yield connection
            connection.execute("COMMIT")

    # The contract -----------------------------------------------------------------------------------------------

    def append(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Record]:
        """See ``Store.append``."""
        if record.notice != notice.digest:
            raise RecordError(f"record {record.id}: it names notice {record.notice[:16]}, but came with {notice.short}.")
        waiting = _Waiting(record, record.canonical(), notice, event)
        refused = self._start()
        if refused is not None:
            waiting.future.set_exception(refused)
            return waiting.future
        with self._lock:
            if self._closed:
                waiting.future.set_exception(StoreUnavailable(f"{self.path}: the store was closed."))
                return waiting.future
            if len(self._waiting) >= self._queue_limit:
                raise StoreBusy(f"{self.path}: {len(self._waiting)} records wait to be written, the most permitted. Try again.")
            if (record.site, record.notice) in self._kept:
                waiting.notice = None
            self._waiting.append(waiting)
            self._lock.notify_all()
        return waiting.future

    def withdraw(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Record]:
        """See ``Store.withdraw``. Beside the file first, always: the way back from a failure is the way in."""
        if record.notice != notice.digest:
            raise RecordError(f"record {record.id}: it names notice {record.notice[:16]}, but came with {notice.short}.")
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
            return self.append(record, notice, event).result()
        self.resume()
        return record

    def resume(self) -> None:
        """Record the withdrawals that wait beside the file, those of an earlier process too."""
        if self._aside.names() and self._start() is None:
            with self._lock:
                self._set_aside, self._flush_at = True, 0.0
                self._lock.notify_all()

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

    def keep_notice(self, site: str, notice: Notice) -> None:
        """See ``Store.keep_notice``."""
        with self._write, self._briefly("keep a notice") as connection:
            if connection.execute("SELECT 1 FROM shown WHERE (site, digest) = (?, ?)", (site, notice.digest)).fetchone():
                return  # a site must start although the disk is full
            connection.execute("BEGIN IMMEDIATE")
            self._insert_notice(connection, site, notice)
            connection.execute("COMMIT")

    def notices(self, site: str) -> Mapping[str, Notice]:
        """See ``Store.notices``."""
        with self._briefly("read notices") as connection:
            rows = connection.execute("SELECT digest, json FROM shown JOIN notices USING (digest) WHERE site = ?", (site,)).fetchall()
        found = {}
        for digest, data in rows:
            try:
                notice = Notice.from_json(json.loads(data))
            except (NoticeError, ValueError) as error:
                raise StoreError(f"{self.path}: notice {digest[:16]} is damaged: {error}") from error
            if notice.digest != digest:
                raise StoreError(f"{self.path}: notice {digest[:16]} is damaged: its content has digest {notice.digest[:16]}.")
            found[notice.short] = notice
        return MappingProxyType(found)

    def record(self, id: str) -> Record | None:
        """See ``Store.record``."""
        with self._briefly("read a record") as connection:
            row = connection.execute("SELECT json FROM records WHERE id = ?", (id,)).fetchone()
        try:
            return Record.parse(row[0]) if row else None
        except RecordError as error:
            raise StoreError(f"{self.path}: record {id} is damaged: {error}") from error

    def totals(self, site: str, since: date, until: date) -> list[Total]:
        """See ``Store.totals``."""
        self._flush()
        with self._briefly("read counts") as connection:
            rows = connection.execute(
                "SELECT day, event, notice, surface, language, gpc, n FROM counts WHERE site = ? AND day BETWEEN ? AND ?"
                " ORDER BY day, event, notice, surface, language, gpc",
                (site, since.isoformat(), until.isoformat()),
            ).fetchall()
        return [
            Total(day=day, event=event, notice=notice, surface=surface, language=language, gpc=bool(gpc), count=n)
            for day, event, notice, surface, language, gpc, n in rows
        ]

    def check(self) -> None:
        """See ``Store.check``."""
        with self._briefly("write") as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE tick SET n = n WHERE one = 0")
            connection.execute("ROLLBACK")
            self._in_place()
            room = os.statvfs(self.path)
            if room.f_bavail * room.f_frsize < ROOM:
                raise StoreUnavailable(f"{self.path}: less than {ROOM >> 20} MiB of the disk are free. Make room.")

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
        self._written.set()
        for thread in self._threads:
            thread.join()
        with suppress(ValueError):
            _in_use.remove(self)
        atexit.unregister(self.close)

    # Threads ----------------------------------------------------------------------------------------------------

    def _start(self) -> StoreUnavailable | None:
        """Run the threads on first use; the reason where that cannot be."""
        if self._pid == os.getpid():
            return None
        try:
            self._check_process()
            with self._lock:
                if self._pid or self._closed:
                    return None
                self._threads = tuple(
                    threading.Thread(target=run, name=f"volens-ledger-{run.__name__.strip('_')}", daemon=True)
                    for run in (self._checkpointer, self._writer)
                )
                for thread in self._threads:
                    thread.start()
                self._pid = os.getpid()
                _in_use.append(self)
                atexit.register(self.close)
            return None
        except StoreUnavailable as refused:
            return refused
        except RuntimeError as error:  # no thread to be had
            return StoreUnavailable(f"{self.path}: {error}. Raise the limit on threads, or stop what uses them.")

    def _check_process(self) -> None:
        """Refuse a process forked from one that uses the file: SQLite's idea of its locks is wrong there."""
        for store in _in_use:
            if store.path == self.path and store._pid != os.getpid():
                raise StoreUnavailable(
                    f"{self.path}: in use in process {store._pid} when process {os.getpid()} was forked from it; the locks did not follow. "
                    "Fork workers before the first record, or start them as programs of their own."
                )

    def _flush(self) -> None:
        """Ask the writer for an attempt to write this process's counts now, and wait for its end."""
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._counts and not self._closed:
                self._flush_at = 0.0
                self._lock.notify_all()
            before = self._flushes
            self._lock.wait_for(lambda: not self._counts or self._flushes > before + 1 or self._closed, self._patience)

    def _writer(self) -> None:
        connection: sqlite3.Connection | None = None
        pause, ok = FLUSH, True
        while True:
            with self._lock:
                while not (self._waiting or self._closed):
                    left = self._flush_at - time.monotonic() if self._counts or self._set_aside else None
                    if left is not None and left <= 0:
                        break
                    self._lock.wait(left)
                batch: list[_Waiting] = []
                while self._waiting and len(batch) < self._batch_limit:
                    waiting = self._waiting.popleft()
                    if waiting.future.set_running_or_notify_cancel():
                        batch.append(waiting)
                counts, dropped, last = dict(self._counts), self._dropped, self._closed and not self._waiting
            failure: StoreError | None = None
            wrong: dict[int, StoreError] = {}
            try:
                with self._write, self._clear_errors("write"):
                    connection = connection or self._connect()
                    self._take_in(connection)
                    wrong = self._commit(connection, batch, counts)
            except Exception as error:  # noqa: BLE001 — whatever it is, those who wait must hear of it
                failure = error if isinstance(error, StoreError) else StoreUnavailable(f"{self.path}: could not write: {error!r}.")
                if connection is not None:  # a new one each time: the way back from an error is the way in
                    with suppress(sqlite3.Error):
                        connection.close()
                    connection = None
            with self._lock:
                if failure is None:
                    for key, n in counts.items():
                        if self._counts[key] == n:
                            del self._counts[key]
                        else:
                            self._counts[key] -= n
                    self._kept.update((w.record.site, w.record.notice) for w in batch)
                    self._dropped -= dropped
                self._set_aside = bool(self._aside.names())
                pause = FLUSH if failure is None else min(pause * 2, RETRY)
                self._flush_at = time.monotonic() + pause
                self._flushes += 1
                self._lock.notify_all()
            if failure is not None and ok:
                log.error("%s", failure)
            elif failure is None and not ok:
                log.warning("%s: writing works again.", self.path)
            if failure is None and dropped:
                log.error("%s: %d refusals were not counted: more kinds of them than memory is kept for.", self.path, dropped)
            for number, waiting in enumerate(batch):
                refused = failure or wrong.get(number)
                if refused is None:
                    waiting.future.set_result(waiting.record)
                else:
                    waiting.future.set_exception(refused)
            ok = failure is None
            self._written.set()
            if last:
                if failure is not None and counts:
                    log.error("%s: closed with %d refusals not counted.", self.path, sum(counts.values()))
                if connection is not None:
                    connection.close()
                return

    def _take_in(self, connection: sqlite3.Connection) -> None:
        """Write the withdrawals that wait beside the file, before anything that came after them."""
        while entries := list(self._aside.take(self._batch_limit)):
            wrong = self._commit(connection, [_Waiting(r, r.canonical(), notice, event) for _, r, notice, event in entries], {})
            for number, (name, *_) in enumerate(entries):
                if number in wrong:
                    self._aside.refuse(name, wrong[number])
                else:
                    self._aside.drop(name)

    def _commit(self, connection: sqlite3.Connection, batch: list[_Waiting], counts: dict[Key, int]) -> dict[int, StoreError]:
        """Write all of it in one transaction; what is wrong with single records, by their place in the batch."""
        wrong: dict[int, StoreError] = {}
        if not batch and not counts:
            return wrong
        counts, told = dict(counts), False
        self._begin(connection)
        try:
            for number, waiting in enumerate(batch):
                record = waiting.record
                if waiting.notice is not None:
                    self._insert_notice(connection, record.site, waiting.notice)
                row = (record.id, waiting.data)
                if connection.execute("INSERT INTO records (id, json) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", row).rowcount:
                    key = _key(record)
                    counts[key] = counts.get(key, 0) + 1
                    told = (waiting.event is not None and self.outbox.insert(connection, record, waiting.event)) or told
                elif connection.execute("SELECT json FROM records WHERE id = ?", row[:1]).fetchone()[0] != waiting.data:
                    wrong[number] = StoreError(f"{self.path}: another record has the id {record.id}. Records are appended, never edited.")
            connection.executemany(COUNT, [(*key, n) for key, n in counts.items()])
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        self._in_place()
        if told:
            self.outbox.arrived()
        return wrong

    def _begin(self, connection: sqlite3.Connection) -> None:
        """BEGIN IMMEDIATE, waiting for other processes in short steps: SQLite's own grow to 100 ms, and one starves."""
        deadline = time.monotonic() + self._patience
        connection.execute("PRAGMA busy_timeout = 0")
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.0005)

    @staticmethod
    def _insert_notice(connection: sqlite3.Connection, site: str, notice: Notice) -> None:
        connection.execute("INSERT OR IGNORE INTO notices VALUES (?, ?)", (notice.digest, canonical(notice.to_json())))
        connection.execute("INSERT OR IGNORE INTO shown VALUES (?, ?)", (site, notice.digest))

    def _in_place(self) -> None:
        """Rows committed to a file that was moved away or replaced are not in the ledger: fail rather than acknowledge."""
        place = os.stat(self.path)
        if (place.st_dev, place.st_ino) != self._place:
            raise StoreUnavailable(f"{self.path}: the file was replaced while it was in use. Restart Volens to write to the new one.")

    def _checkpointer(self) -> None:
        connection: sqlite3.Connection | None = None
        turn = -1
        while self._written.wait() and not self._closed:
            self._written.clear()
            pause = CHECKPOINT
            try:
                if turn < 0:
                    turn = os.open(self.path + "-checkpoint", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                connection = connection or self._connect()
                if self._checkpoint(connection):
                    pause = 0.0
            except BlockingIOError:
                pass  # another process is at it
            except (sqlite3.Error, OSError) as error:
                log.info("%s", self._explain("move the log into the file", error))
                if connection is not None:
                    connection.close()
                    connection = None
                self._written.set()
            finally:
                if turn >= 0:
                    fcntl.flock(turn, fcntl.LOCK_UN)
            self._stopping.wait(pause)
        if connection is not None:
            connection.close()
        if turn >= 0:
            os.close(turn)

    def _checkpoint(self, connection: sqlite3.Connection) -> bool:
        """Copy the log into the file beside the writers; whether it is so long that the next time should be soon."""
        self._tick(connection)
        _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if frames <= LOG_FRAMES:
            return False
        self._tick(connection)
        with self._write:  # what came in meanwhile is little: copy it with writers waiting, so that the log starts anew
            connection.execute("PRAGMA busy_timeout = 100")  # a long reader must not hold up the writers
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        return not busy

    def _tick(self, connection: sqlite3.Connection) -> None:
        """A commit without which a checkpoint is not safe: see *Checkpoints* above."""
        with self._write:
            self._begin(connection)
            connection.execute("UPDATE tick SET n = n + 1")
            connection.execute("COMMIT")
