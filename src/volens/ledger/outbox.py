"""The outbox of the SQLite store: events are rows of the file that holds the records, so that one commit keeps both or neither."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from itertools import chain
from typing import Protocol

from volens.ledger.record import Record
from volens.ledger.store import Due, Event, Expiry

log = logging.getLogger("volens.ledger")

TABLES = (
    """CREATE TABLE outbox (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, site TEXT NOT NULL, subject TEXT NOT NULL,
        record TEXT NOT NULL UNIQUE, follows TEXT NOT NULL, body BLOB NOT NULL, made REAL NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0)""",
    "CREATE INDEX outbox_subject ON outbox (subject, number)",
)
EXPIRING = (
    """CREATE TABLE expiring (
        record TEXT PRIMARY KEY, site TEXT NOT NULL, subject TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, at REAL NOT NULL)
        WITHOUT ROWID""",
    "CREATE INDEX expiring_at ON expiring (site, at)",
    "CREATE INDEX expiring_subject ON expiring (subject) WHERE subject <> ''",
)
LIMIT = 100_000
"""Events that may wait, some 60 MB: days of a large site's changes while its end point is down."""

DUE = """SELECT number, id, body, attempts, made FROM outbox AS one WHERE site = ? AND due <= ?
    AND NOT EXISTS (SELECT 1 FROM outbox AS before WHERE before.subject = one.subject AND before.number < one.number AND one.subject <> '')
    AND NOT EXISTS (SELECT 1 FROM outbox AS before WHERE before.record = one.follows)
    ORDER BY number LIMIT ?"""
PORTION = 128
"""Rows in one statement."""
AT_ONCE = 1000
"""Grants whose end is noted in one transaction."""


@lru_cache(512)
def values(into: str, columns: int, rows: int, more: str = "") -> str:
    """An INSERT of many rows: one statement, so that the interpreter's lock is let go of once."""
    row = f"({','.join('?' * columns)})"
    return f"INSERT INTO {into} VALUES {','.join([row] * rows)}{more}"


class _File(Protocol):
    """What the outbox needs of the store whose file it is in."""

    path: str

    def reading(self, doing: str) -> AbstractContextManager[sqlite3.Connection]: ...
    def writing(self, doing: str) -> AbstractContextManager[sqlite3.Connection]: ...
    def resume(self) -> None: ...


class Listened:
    """What both outboxes tell of a commit. ``resume`` records the withdrawals that wait beside the store."""

    def __init__(self, resume: Callable[[], None]) -> None:
        self._resume = resume
        self._arrived: Callable[[], None] | None = None

    def arrived(self) -> None:
        """Something was committed."""
        if self._arrived is not None:
            self._arrived()

    def listen(self, arrived: Callable[[], None]) -> None:
        """See ``Outbox.listen``."""
        self._arrived = arrived
        self._resume()


class SqliteOutbox(Listened):
    """See ``store.Outbox``."""

    def __init__(self, file: _File) -> None:
        super().__init__(file.resume)
        self._file = file

    def insert(self, connection: sqlite3.Connection, told: Sequence[tuple[Record, Event]]) -> bool:
        """Keep the events in their records' own transaction, in few statements; whether any was kept: not where too many wait."""
        ending: dict[str, tuple[Record, Event, Expiry]] = {}  # the end of one grant gives way to that of another:
        replaced, subjects = set(), set()
        for record, event in told:
            replaced.add(record.supersedes)  # of the record that follows it,
            ending.pop(record.supersedes, None)
            if event.expiry is None:
                continue
            if event.subject:  # and of the same visitor's
                subjects.add((event.subject, record.site))
                for id in [id for id, (of, one, _) in ending.items() if (one.subject, of.site) == (event.subject, record.site)]:
                    del ending[id]
            ending[record.id] = record, event, event.expiry
        connection.execute("DELETE FROM expiring WHERE record IN (SELECT value FROM json_each(?))", (json.dumps(sorted(replaced)),))
        if subjects:
            pairs = json.dumps([{"subject": subject, "site": site} for subject, site in sorted(subjects)])
            connection.execute(
                "DELETE FROM expiring WHERE subject <> '' AND (subject, site) IN"
                " (SELECT json_extract(value, '$.subject'), json_extract(value, '$.site') FROM json_each(?))",
                (pairs,),
            )
        ends = [(r.id, r.site, e.subject, end.id, end.body, end.at) for r, e, end in ending.values()]
        for start in range(0, len(ends), PORTION):
            part = ends[start : start + PORTION]
            connection.execute(values("expiring", 6, len(part)), [*chain.from_iterable(part)])
        first, last = connection.execute("SELECT coalesce(min(number), 0), coalesce(max(number), 0) FROM outbox").fetchone()
        room = len(told)
        if last - first + 1 + len(told) > LIMIT:
            room = max(0, LIMIT - int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0]))
        for record, _ in told[room:]:
            log.error("%s: %d changes wait for the site to be told; the one of record %s is not kept.", self._file.path, LIMIT, record.id)
        now = time.time()
        events = [(event.id, record.site, event.subject, record.id, record.supersedes, event.body, now) for record, event in told[:room]]
        for start in range(0, len(events), PORTION):
            rows = events[start : start + PORTION]
            into = "outbox (id, site, subject, record, follows, body, made)"
            connection.execute(values(into, 7, len(rows)), [*chain.from_iterable(rows)])
        return bool(events)

    def expire(self, site: str, now: float) -> int:
        """See ``Outbox.expire``. One transaction takes the row from the one table into the other: a kill leaves it in either."""
        which = "SELECT record FROM expiring WHERE site = ? AND at <= ? ORDER BY at, record LIMIT ?"
        with self._file.reading("look for grants that have ended") as connection:
            if connection.execute(which, (site, now, 1)).fetchone() is None:
                return 0
        with self._file.writing("note grants that have ended") as connection:
            room = LIMIT - int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])
            ended = connection.execute(which, (site, now, max(0, min(AT_ONCE, room)))).fetchall()
            connection.executemany(
                "INSERT OR IGNORE INTO outbox (id, site, subject, record, follows, body, made)"
                " SELECT id, site, subject, record || '/expired', record, body, ? FROM expiring WHERE record = ?",
                [(now, record) for (record,) in ended],
            )
            connection.executemany("DELETE FROM expiring WHERE record = ?", ended)
        return len(ended)

    @contextmanager
    def turn(self, site: str) -> Iterator[bool]:
        """See ``Outbox.turn``. A lock on a file of its own: SQLite's are held for a transaction, and a sender waits for the network."""
        name = f"{self._file.path}-hooks-{hashlib.sha256(site.encode()).hexdigest()[:8]}"
        handle = os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)

    def due(self, site: str, now: float, limit: int) -> list[Due]:
        """See ``Outbox.due``."""
        with self._file.reading("read what the site is to be told") as connection:
            return [Due(*row) for row in connection.execute(DUE, (site, now, limit))]

    def settle(self, taken: Iterable[int], later: Mapping[int, float]) -> None:
        """See ``Outbox.settle``."""
        with self._file.writing("note what the site was told") as connection:
            connection.executemany("DELETE FROM outbox WHERE number = ?", [(number,) for number in taken])
            connection.executemany(
                "UPDATE outbox SET attempts = attempts + 1, due = ? WHERE number = ?", [(due, number) for number, due in later.items()]
            )

    def waiting(self, site: str) -> int:
        """See ``Outbox.waiting``."""
        with self._file.reading("count what the site is to be told") as connection:
            return int(connection.execute("SELECT count(*) FROM outbox WHERE site = ?", (site,)).fetchone()[0])
