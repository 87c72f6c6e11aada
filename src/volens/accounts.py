"""The choices of logged-in readers, by account: what one device answers holds on the others (R36–R39; CNIL 2025-131).

One row an account that has answered, under a keyed hash that the file alone cannot lead back to anybody: the choice's text,
the tag of its record (without which it grants nothing, as everywhere) and the device's answers it was given in place of.
One thread a process writes, each row by itself and synced before the answer; a read is one look at the file.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

from volens.choice import Choice, expires
from volens.errors import ChoiceError, StoreBusy, StoreError, StoreTooNew, StoreUnavailable

P = TypeVar("P")
T = TypeVar("T")

READERS = 4
"""Requests that may read the file at once, off the event loop."""
WAITING = 1000
"""Changes that may wait for the disk; further ones fail at once."""
ROWS = 1_000_000
"""Accounts kept; beyond that the oldest answers go first."""
SETTLED = 8
"""Answers of devices that a row remembers as answered over."""
_APPLICATION, _VERSION = 0x564F4C41, 1  # "VOLA"
_SCHEMA = """CREATE TABLE account (
    site TEXT NOT NULL, hash TEXT NOT NULL, choice TEXT NOT NULL, record TEXT NOT NULL, day TEXT NOT NULL,
    settled TEXT NOT NULL, moved TEXT NOT NULL, PRIMARY KEY (site, hash)) WITHOUT ROWID"""


def mark(*choices: Choice) -> str:
    """Eight digits that name an answer, the day included: what those who answered alike that day share."""
    return hashlib.sha256("\0".join(choice.text() for choice in choices).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Row:
    """What an account has answered."""

    choice: Choice
    record: str
    """The record's tag as the cookie would hold it; empty after a refusal."""
    settled: tuple[str, ...] = ()
    """Marks of devices' own answers that this account has since answered over."""


class Accounts:
    """The file ``path``, made (mode 0600) where there is none. Errors are StoreErrors; a site runs without it, and grants nothing by it."""

    def __init__(self, path: str | os.PathLike[str], today: Callable[[], date]) -> None:
        self.path, self._today = os.path.abspath(path), today
        self._lock = threading.Lock()
        self._writer: tuple[int, ThreadPoolExecutor] | None = None
        self._reader = ThreadPoolExecutor(READERS, "volens-accounts-read")  # threads start at first use
        self._waiting = 0
        self._pruned = date.min

    def get(self, site: str, hash: str) -> Row | None:
        """What this account has answered, if it has. Raises StoreError."""
        with self._open(1) as connection:
            row = self._row(connection, site, hash)
        if row is None:
            return None
        try:
            return Row(Choice.parse(row[0]), row[1], tuple(filter(None, row[2].split(" "))))
        except ChoiceError as error:
            raise StoreUnavailable(f"{self.path}: a row holds no choice ({error}).") from error

    def apart(self, make: Callable[[P], T], of: P) -> Future[T]:
        """What ``make`` comes to, which reads the file, on a thread of ours: a slow disk holds up nobody else."""
        try:
            return self._reader.submit(make, of)
        except RuntimeError:  # closed in this moment
            made: Future[T] = Future()
            made.set_result(make(of))
            return made

    def put(self, site: str, hash: str, row: Row) -> Future[None]:
        """Keep it, in place of what was there: durable when the future is done."""

        def write(connection: sqlite3.Connection) -> None:
            settled = " ".join(dict.fromkeys(row.settled[-SETTLED:]))
            connection.execute(
                "INSERT OR REPLACE INTO account VALUES (?, ?, ?, ?, ?, ?, '')",
                (site, _target(connection, site, hash), row.choice.text(), row.record, row.choice.day.isoformat(), settled),
            )

        return self._submit(write)

    def forget(self, site: str, hash: str) -> Future[None]:
        """Delete it, and what led to it."""

        def write(connection: sqlite3.Connection) -> None:
            now = _target(connection, site, hash)
            connection.execute("DELETE FROM account WHERE site = ? AND (hash IN (?, ?) OR moved = ?)", (site, hash, now, now))

        return self._submit(write)

    def move(self, site: str, old: Sequence[str], new: str) -> Future[None]:
        """Keys have changed, and with them the hash: one of the ``old`` is ``new`` from now on, and leads there."""

        def write(connection: sqlite3.Connection) -> None:
            for hash in old:
                row = connection.execute("SELECT moved FROM account WHERE site = ? AND hash = ?", (site, hash)).fetchone()
                there = connection.execute("SELECT 1 FROM account WHERE site = ? AND hash = ?", (site, new)).fetchone()
                if row is None or row[0] == new:
                    continue
                if not row[0] and there is None:
                    connection.execute(
                        "INSERT INTO account SELECT site, ?, choice, record, day, settled, '' FROM account WHERE site = ? AND hash = ?",
                        (new, site, hash),
                    )
                connection.execute(
                    "UPDATE account SET choice = '', record = '', settled = '', moved = ? WHERE site = ? AND hash = ?", (new, site, hash)
                )

        return self._submit(write)

    def prune(self, site: str, months: int) -> Future[None] | None:
        """Once a day: what no longer holds is deleted."""
        today = self._today()
        if self._pruned == today:
            return None
        self._pruned = today

        def write(connection: sqlite3.Connection) -> None:
            for (day,) in connection.execute("SELECT DISTINCT day FROM account WHERE site = ?", (site,)).fetchall():
                if expires(date.fromisoformat(day), months) < today:
                    connection.execute("DELETE FROM account WHERE site = ? AND day = ?", (site, day))
            over = connection.execute("SELECT count(*) FROM account").fetchone()[0] - ROWS
            if over > 0:
                connection.execute(
                    "DELETE FROM account WHERE (site, hash) IN (SELECT site, hash FROM account ORDER BY day LIMIT ?)", (over,)
                )

        return self._submit(write)

    def close(self) -> None:
        """Write what waits."""
        with self._lock:
            writer, self._writer = self._writer, None
        self._reader.shutdown(wait=False)
        if writer is not None and writer[0] == os.getpid():
            writer[1].shutdown()

    # The file -----------------------------------------------------------------------------------------------------

    def _row(self, connection: sqlite3.Connection, site: str, hash: str) -> tuple[str, str, str] | None:
        found = connection.execute(
            "SELECT choice, record, settled FROM account WHERE site = ? AND hash = ?", (site, _target(connection, site, hash))
        ).fetchone()
        return found if found and found[0] else None

    def _submit(self, write: Callable[[sqlite3.Connection], None]) -> Future[None]:
        failed: Future[None] = Future()
        with self._lock:
            if self._waiting >= WAITING:
                failed.set_exception(StoreBusy(f"{self.path}: {WAITING} changes wait."))
                return failed
            if self._writer is None or self._writer[0] != os.getpid():
                self._writer, self._waiting = (os.getpid(), ThreadPoolExecutor(1, "volens-accounts")), 0
            self._waiting += 1
            writer = self._writer[1]

        def run() -> None:
            try:
                with self._open(5) as connection:
                    connection.execute("BEGIN IMMEDIATE")
                    write(connection)
                    connection.execute("COMMIT")
            finally:
                with self._lock:
                    self._waiting -= 1

        try:
            return writer.submit(run)
        except RuntimeError as error:  # closed in this moment
            with self._lock:
                self._waiting -= 1
            failed.set_exception(StoreUnavailable(f"{self.path}: {error}."))
            return failed

    @contextmanager
    def _open(self, patience: float) -> Iterator[sqlite3.Connection]:
        try:
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            with closing(
                sqlite3.connect(Path(self.path).as_uri() + "?mode=rw", uri=True, timeout=patience, isolation_level=None)
            ) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                self._check(connection)
                yield connection
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, StoreError):
                raise
            raise StoreUnavailable(f"{self.path}: {error}. See that the directory exists and this user may write to it.") from error

    def _check(self, connection: sqlite3.Connection) -> None:
        """Ours and of this version; made where the file is empty."""
        for attempt in (0, 1):
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            if application == _APPLICATION and version == _VERSION:
                return
            if version > _VERSION:
                raise StoreTooNew(f"{self.path}: version {version}; this Volens knows {_VERSION}. Install the Volens that wrote it.")
            if attempt or connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                raise StoreUnavailable(f"{self.path}: a database, but not of accounts. Name another file; this one is left as it is.")
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")


def _target(connection: sqlite3.Connection, site: str, hash: str) -> str:
    """The hash under which the account is kept now."""
    for _ in range(8):
        found = connection.execute("SELECT moved FROM account WHERE site = ? AND hash = ?", (site, hash)).fetchone()
        if found is None or not found[0]:
            return hash
        hash = found[0]
    return hash
