"""Page views by day in one SQLite file of its own, added up in memory and written each half second.

A page never waits: ``add`` changes a dictionary. One thread a process writes it; several processes add to the same
rows. A process that is killed loses what it counted in the last second. Where the file cannot be written (disk full,
no right), counts stay in memory, bounded, and are written when it can be again: what was counted is never dropped,
at worst its name becomes OTHER.

Not a table of the ledger: that is appended to and never forgets, with a sync for each grant; counts are added up, and
deleted after 25 months. No write-ahead log here, so none of the care that the ledger's needs: a connection lives for
one write, and a process that is forked from this one inherits nothing.
"""

from __future__ import annotations

import atexit
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from volens.audience.view import KINDS, OTHER, View
from volens.choice import expires
from volens.errors import StoreError, StoreTooNew, StoreUnavailable

log = logging.getLogger("volens.audience")

APPLICATION = 0x564F4C41  # "VOLA"
VERSION = 1
SCHEMA = """CREATE TABLE views (
    site TEXT NOT NULL, day TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (site, day, kind, name)) WITHOUT ROWID"""

FLUSH = 0.5
"""Seconds a count waits in memory for company."""
RETRY = 5.0
"""Longest pause between two attempts to write."""
KEYS = 20_000
"""Different counts kept in memory at once (some 5 MB); beyond it new names become OTHER."""
NAMES = {"referrer": 500, "language": 100, "device": 10}
"""Different names kept a day for each kind; of paths as many as the site says."""

_starting = threading.Lock()

Key = tuple[str, str, str, str]
"""site, day, kind, name"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted from ``since`` to ``until``, both included. Bots stand in ``bots`` and nowhere else."""

    since: date
    until: date
    views: dict[date, int]
    bots: dict[date, int]
    paths: tuple[tuple[str, int], ...]
    referrers: tuple[tuple[str, int], ...]
    languages: tuple[tuple[str, int], ...]
    devices: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """Page views, bots apart."""
        return sum(self.views.values())


class Counts:
    """Counts of page views in the file ``path``, made (mode 0600) where there is none.

    ``months``: how long they are kept. ``paths``: different ones a day. Nothing but ``read`` raises: a site must run
    although its figures cannot be kept.
    """

    def __init__(self, path: str | os.PathLike[str], today: Callable[[], date], *, months: int = 25, paths: int = 2000) -> None:
        self.path = os.path.abspath(path)
        self._today, self._months = today, months
        self._limits = {**NAMES, "path": paths}
        self._reset()
        try:
            self._write({})
        except StoreError as error:
            self._ok = False
            log.error("%s Page views are counted in memory until then.", error)

    def _reset(self) -> None:
        self._pid = 0  # of the process whose thread runs; 0: none does
        self._lock = threading.Condition()  # guards what follows; never held during input or output
        self._pending: dict[Key, int] = {}
        self._due = 0.0
        self._writing = self._closed = False
        self._ok = True
        self._thread: threading.Thread | None = None
        self._pruned = date.min

    # Counting ---------------------------------------------------------------------------------------------------

    def add(self, site: str, view: View) -> None:
        """Count one view of today. Never waits for a disk, never raises."""
        if self._pid != os.getpid() and not self._start():
            return
        day = self._today().isoformat()
        if view.device == "bot":
            keys: tuple[Key, ...] = ((site, day, "device", "bot"),)
        else:
            keys = (
                (site, day, "path", view.path),
                (site, day, "referrer", view.referrer),
                (site, day, "language", view.language),
                (site, day, "device", view.device),
            )
        with self._lock:
            pending = self._pending
            if not pending:
                self._due = time.monotonic() + FLUSH
                self._lock.notify_all()
            for key in keys:
                held = pending.get(key)
                if held is None and len(pending) >= KEYS and key[2] != "device":
                    key = (*key[:3], OTHER)
                    held = pending.get(key)
                pending[key] = (held or 0) + 1

    def _start(self) -> bool:
        """Run the thread, anew in a process that was forked: what its parent counted the parent writes."""
        with _starting:
            if self._pid == os.getpid():
                return True
            if self._pid:
                self._reset()
            if self._closed:
                return False
            try:
                self._thread = threading.Thread(target=self._run, name="volens-audience", daemon=True)
                self._thread.start()
            except RuntimeError as error:
                if self._ok:
                    log.error("%s: page views are not counted: %s. Raise the limit on threads.", self.path, error)
                self._ok = False
                return False
            self._pid = os.getpid()
        atexit.register(self.close)
        return True

    def close(self) -> None:
        """Write what is in memory and stop. In a process forked from the one that counts there is nothing to write."""
        if self._pid not in (0, os.getpid()):
            return
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        if self._thread is not None:
            self._thread.join()
        atexit.unregister(self.close)

    def flush(self, patience: float = 10.0) -> None:
        """Wait until what this process has counted so far is written, or could not be."""
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
                        full = len(self._pending) >= KEYS and key not in self._pending and key[2] != "device"
                        key = (*key[:3], OTHER) if full else key
                        self._pending[key] = self._pending.get(key, 0) + n
                    self._due = time.monotonic() + pause
                said, self._ok, self._writing = self._ok, failure is None, False
                self._lock.notify_all()
            if failure is not None and said:
                log.error("%s Page views are counted in memory until then.", failure)
            elif failure is None and not said:
                log.warning("%s: page views are written again.", self.path)
            if last:
                if failure is not None and counts:
                    log.error("%s: closed with %d page views not written.", self.path, _views(counts))
                return

    # The file ---------------------------------------------------------------------------------------------------

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
            if tables and application != APPLICATION:
                raise StoreError(f"{self.path}: a database, but not of page views. Name another file; this one is left as it is.")
            if version > VERSION:
                raise StoreTooNew(f"{self.path}: version {version}; this Volens knows {VERSION}. Install the Volens that wrote it.")
            if version == VERSION or attempt:
                return
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                connection.execute(SCHEMA)
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")

    def _write(self, counts: dict[Key, int]) -> None:
        today = self._today()
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._add(connection, counts)
                if self._pruned != today:
                    connection.execute("DELETE FROM views WHERE day < ?", (self.oldest(today).isoformat(),))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise
        self._pruned = today

    def _add(self, connection: sqlite3.Connection, counts: dict[Key, int]) -> None:
        """Add to the rows there are. A new name gets a row while the day has room for it; one that was there the day
        before has room still, so that a flood of invented paths does not push out those that are read."""
        held: dict[tuple[str, str, str], int] = {}
        others: dict[Key, int] = {}
        for key, n in counts.items():
            if connection.execute("UPDATE views SET n = n + ? WHERE (site, day, kind, name) = (?, ?, ?, ?)", (n, *key)).rowcount:
                continue
            site, day, kind, name = key
            if (site, day, kind) not in held:
                row = connection.execute("SELECT count(*) FROM views WHERE (site, day, kind) = (?, ?, ?)", (site, day, kind)).fetchone()
                held[site, day, kind] = row[0]
            if held[site, day, kind] >= self._limits[kind] and name != OTHER:
                before = (site, (date.fromisoformat(day) - timedelta(days=1)).isoformat(), kind, name)
                known = connection.execute("SELECT 1 FROM views WHERE (site, day, kind, name) = (?, ?, ?, ?)", before).fetchone()
                if known is None or held[site, day, kind] >= 2 * self._limits[kind]:
                    other = (site, day, kind, OTHER)
                    others[other] = others.get(other, 0) + n
                    continue
            held[site, day, kind] += 1
            connection.execute("INSERT INTO views VALUES (?, ?, ?, ?, ?)", (*key, n))
        connection.executemany(
            "INSERT INTO views VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            [(*key, n) for key, n in others.items()],
        )

    # Reading ----------------------------------------------------------------------------------------------------

    def oldest(self, today: date) -> date:
        """The first day that may still be kept (R27)."""
        return expires(today, -self._months)

    def read(self, site: str, since: date, until: date) -> Figures:
        """What all processes have written, and this one counted, from ``since`` to ``until``. Raises StoreError."""
        self.flush()
        since = max(since, self.oldest(self._today()))
        where = (site, since.isoformat(), until.isoformat())
        with self._open() as connection:
            days = connection.execute(
                "SELECT day, name = 'bot', sum(n) FROM views WHERE site = ? AND day BETWEEN ? AND ? AND kind = 'device' GROUP BY 1, 2",
                where,
            ).fetchall()
            rows = connection.execute(
                "SELECT kind, name, sum(n) FROM views WHERE site = ? AND day BETWEEN ? AND ? GROUP BY 1, 2 ORDER BY 3 DESC, 2", where
            ).fetchall()
        by = {kind: tuple((name, n) for of, name, n in rows if of == kind and (kind, name) != ("device", "bot")) for kind in KINDS}
        views = {date.fromisoformat(day): n for day, bot, n in days if not bot}
        bots = {date.fromisoformat(day): n for day, bot, n in days if bot}
        return Figures(since, until, views, bots, by["path"], by["referrer"], by["language"], by["device"])


def _views(counts: dict[Key, int]) -> int:
    return sum(n for (_, _, kind, _), n in counts.items() if kind == "device")
