"""What a database must bring to be a ledger: a ``Statements`` for reading, and the methods of ``Backend`` in native SQL.

**Rows.** An entry of a record is not kept as text but as what it is made of (minute, version of the notice, commitment), since its
canonical form can be made again; any other entry is kept as its bytes. A row's place ``at`` is ``log number << 40 | index``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from volens.errors import StoreError
from volens.ledger.counting import Answer, CountRow
from volens.ledger.record import Record
from volens.ledger.store import Event, Outbox
from volens.ledger.tree import Edge, Growth

INDEX_BITS = 40
"""Bits of a row's place that are its index in the log; those above are the log's number."""
INDEXES = (1 << INDEX_BITS) - 1
Leaf = tuple[int, int, int | None, bool, bytes | None, bytes | None, str | None, bytes | None, bytes | None]
"""A row: at, minute, version of the notice, moved, commitment, the bytes of an entry that is no record, record id, salt, record."""

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


@dataclass(frozen=True, slots=True)
class Grown:
    """What a transaction adds to one log."""

    rows: Sequence[Leaf]
    growth: Growth
    state: LogState
    """Of the log afterwards."""
    minute: int
    """Of the log before."""


class Backend(Generic[C]):
    """``C`` is the database's connection; one is used by one thread at a time. ``path`` names the store in messages."""

    path: str
    sql: Statements
    outbox: Outbox
    at_once = 0
    """Most records that ``_write_at_once`` takes; 0 where a backend has no such thing."""
    errors: tuple[type[Exception], ...]
    """What the database's driver raises, and OSError."""

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
