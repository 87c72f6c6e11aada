"""Numbers in one SQLite file of their own, added up in memory and written each half second.

A page never waits: adding changes a dictionary. One thread a process writes it; several processes add to the same
rows. A process that is killed loses what it added in the last second. Where the file cannot be written (disk full,
no right), numbers stay in memory, bounded, and are written when it can be again.

Not tables of the ledger: that is appended to and never forgets, with a sync for each grant; numbers are added up, and
deleted after a while. No write-ahead log here, so none of the care that the ledger's needs: a connection lives for
one write, and a process that is forked from this one inherits nothing.
"""

from __future__ import annotations

import atexit
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from volens.errors import StoreError, StoreTooNew, StoreUnavailable

FLUSH = 0.5
"""Seconds a number waits in memory for company."""
RETRY = 5.0
"""Longest pause between two attempts to write."""
KEYS = 20_000
"""Different numbers kept in memory at once (some 5 MB)."""

_starting = threading.Lock()

K = TypeVar("K", bound=Hashable)


class Tally(Generic[K]):
    """Numbers by key in the file ``path``, made (mode 0600) where there is none. Nothing that reads raises to a visitor: a site
    must run although its figures cannot be kept."""

    APPLICATION: ClassVar[int]
    VERSION: ClassVar[int] = 1
    SCHEMA: ClassVar[tuple[str, ...]]
    NAME: ClassVar[str]
    """Of the thread and of the logger."""
    WHAT: ClassVar[str]
    """What is added up, in the plural: page views."""

    def __init__(self, path: str | os.PathLike[str], today: Callable[[], date]) -> None:
        self.path = os.path.abspath(path)
        self._log = logging.getLogger(self.NAME)
        self._today = today
        self._reset()
        try:
            self._write({})
        except StoreError as error:
            self._ok = False
            self._log.error("%s %s are counted in memory until then.", error, self.WHAT.capitalize())

    def _reset(self) -> None:
        self._pid = 0  # of the process whose thread runs; 0: none does
        self._lock = threading.Condition()  # guards what follows; never held during input or output
        self._pending: dict[K, int] = {}
        self._due = 0.0
        self._writing = self._closed = False
        self._ok = True
        self._thread: threading.Thread | None = None
        self._pruned = date.min

    # What a kind of number says of itself -------------------------------------------------------------------------

    def _crowded(self, key: K) -> K | None:
        """What stands for a new key while KEYS others wait; None: the key itself, whatever the room."""
        raise NotImplementedError

    def _add(self, connection: sqlite3.Connection, counts: dict[K, int]) -> None:
        raise NotImplementedError

    def _prune(self, connection: sqlite3.Connection, today: date) -> None:
        raise NotImplementedError

    def _size(self, counts: dict[K, int]) -> int:
        """How many things these counts count."""
        return sum(counts.values())

    # Adding -------------------------------------------------------------------------------------------------------

    def _put(self, keys: tuple[K, ...]) -> None:
        """Add one to each. Never waits for a disk, never raises."""
        if self._pid != os.getpid() and not self._start():
            return
        with self._lock:
            if not self._pending:
                self._due = time.monotonic() + FLUSH
                self._lock.notify_all()
            for key in keys:
                self._keep(key, 1)

    def _keep(self, key: K, n: int) -> None:
        held = self._pending.get(key)
        if held is None and len(self._pending) >= KEYS and (other := self._crowded(key)) is not None:
            key = other
            held = self._pending.get(key)
        self._pending[key] = (held or 0) + n

    def _start(self) -> bool:
        """Run the thread, anew in a process that was forked: what its parent added the parent writes."""
        with _starting:
            if self._pid == os.getpid():
                return True
            if self._pid:
                self._reset()
            if self._closed:
                return False
            try:
                self._thread = threading.Thread(target=self._run, name=self.NAME.replace(".", "-"), daemon=True)
                self._thread.start()
            except RuntimeError as error:
                if self._ok:
                    self._log.error("%s: %s are not counted: %s. Raise the limit on threads.", self.path, self.WHAT, error)
                self._ok = False
                return False
            self._pid = os.getpid()
        atexit.register(self.close)
        return True

    def close(self) -> None:
        """Write what is in memory and stop. In a process forked from the one that adds there is nothing to write."""
        if self._pid not in (0, os.getpid()):
            return
        with _starting, self._lock:  # a thread that is being started is started first
            self._closed = True
            self._lock.notify_all()
        if self._thread is not None:
            self._thread.join()
        atexit.unregister(self.close)

    def flush(self, patience: float = 10.0) -> None:
        """Wait until what this process has added so far is written, or could not be."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self._due = 0.0
            self._lock.notify_all()
            self._lock.wait_for(lambda: not self._pending and not self._writing, patience if self._ok else 0)

    def _run(self) -> None:
        pause = FLUSH
        while True:
            with self._lock:
                while not self._closed and not (self._pending and self._due <= time.monotonic()):
                    self._lock.wait(max(0.0, self._due - time.monotonic()) if self._pending else None)
                counts, self._pending = self._pending, {}
                self._writing, last = True, self._closed
            failure: StoreError | None = None
            try:
                self._write(counts)
            except StoreError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 — whatever it is, the thread goes on
                failure = StoreUnavailable(f"{self.path}: {error!r}.")
            with self._lock:
                pause = FLUSH if failure is None else min(2 * pause, RETRY)
                if failure is not None:
                    for key, n in counts.items():
                        self._keep(key, n)
                    self._due = time.monotonic() + pause
                said, self._ok, self._writing = self._ok, failure is None, False
                self._lock.notify_all()
            if failure is not None and said:
                self._log.error("%s %s are counted in memory until then.", failure, self.WHAT.capitalize())
            elif failure is None and not said:
                self._log.warning("%s: %s are written again.", self.path, self.WHAT)
            if last:
                if failure is not None and counts:
                    self._log.error("%s: closed with %d %s not written.", self.path, self._size(counts), self.WHAT)
                return

    # The file -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            with closing(
                sqlite3.connect(Path(self.path).as_uri() + "?mode=rw", uri=True, timeout=2, isolation_level=None, check_same_thread=False)
            ) as connection:
                self._check(connection)
                yield connection
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, StoreError):
                raise
            full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
            remedy = "The disk is full: make room." if full else "See that the directory exists and this user may write to it."
            raise StoreUnavailable(f"{self.path}: {error}. {remedy}") from error

    def _check(self, connection: sqlite3.Connection) -> None:
        """Ours and of this version; made where the file is empty."""
        for attempt in (0, 1):
            version, application, tables = (
                connection.execute(statement).fetchone()[0]
                for statement in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_schema")
            )
            if tables and application != self.APPLICATION:
                raise StoreError(f"{self.path}: a database, but not of {self.WHAT}. Name another file; this one is left as it is.")
            if version > self.VERSION:
                raise StoreTooNew(f"{self.path}: version {version}; this Volens knows {self.VERSION}. Install the Volens that wrote it.")
            if version == self.VERSION or attempt:
                return
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in self.SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {self.APPLICATION}")
                connection.execute(f"PRAGMA user_version = {self.VERSION}")
            connection.execute("COMMIT")

    def _write(self, counts: dict[K, int]) -> None:
        today = self._today()
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._add(connection, counts)
                if self._pruned != today:
                    self._prune(connection, today)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise
        self._pruned = today
