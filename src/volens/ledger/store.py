"""What every store of records promises. The code above it knows these methods and nothing of a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Protocol, TypedDict

from volens.ledger.record import Count, Record
from volens.notice import Notice


class Total(TypedDict):
    """How often one event happened on one day, with everything that is told apart."""

    day: str
    """As ``2026-11-22``, UTC."""
    event: str
    """``given``, ``changed``, ``withdrawn``, or ``refused``."""
    notice: str
    surface: str
    language: str
    gpc: bool
    count: int


@dataclass(frozen=True, slots=True)
class Expiry:
    """What the site is to be told when a grant ends by itself; kept with its record until then, or until another takes its place."""

    id: str
    body: bytes
    at: float
    """When, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Event:
    """What the site is to be told of a record: kept with it or not at all, sent afterwards, then forgotten."""

    id: str
    """The same at every attempt: by it a receiver knows what it has had."""
    body: bytes
    """A JSON object, not empty."""
    subject: str = ""
    """Events of one subject are sent in the order of their records; empty: nobody's."""
    expiry: Expiry | None = None
    """What follows where nothing else does."""


@dataclass(frozen=True, slots=True)
class Due:
    """An event that may be sent now: everything it must follow has been taken."""

    number: int
    """Grows with every event of the store."""
    id: str
    body: bytes
    attempts: int
    """How often it was tried."""
    made: float
    """When it was kept, in seconds since 1970."""


class Outbox(Protocol):
    """Events on their way to the site, durable until they are taken. Several processes may share it; one sends.

    An event comes after every earlier one of its subject, and after that of the record its own record follows. At most LIMIT wait;
    beyond, records are kept without their events, with a line in the log.
    """

    def turn(self, site: str) -> AbstractContextManager[bool]:
        """Whether the caller is the one that sends for this site, for as long as the context lasts; False while another is. The
        turn of a process that dies is free."""
        ...

    def expire(self, site: str, now: float) -> int:
        """Make events of the grants that have ended by ``now``, at most a thousand at once; how many. Each is made once, and after
        all that was kept before. Raises StoreUnavailable."""
        ...

    def due(self, site: str, now: float, limit: int) -> list[Due]:
        """What may be sent, the oldest first, one of each subject; raises StoreUnavailable."""
        ...

    def settle(self, taken: Iterable[int], later: Mapping[int, float]) -> None:
        """Forget those taken, by number, and put off others to a time; raises StoreUnavailable, and then all may be sent again."""
        ...

    def waiting(self, site: str) -> int:
        """How many wait; raises StoreUnavailable."""
        ...

    def listen(self, arrived: Callable[[], None]) -> None:
        """Call ``arrived``, from any thread, when this process has kept an event."""
        ...


class Store(Protocol):
    """Keeps records and counts. Safe to call from any thread; several processes may write to one store.

    **Durable when it says so.** A future of ``append`` has its result only after the database has committed the
    record, its notice and its count to stable storage, in one transaction: a process killed, or a machine that
    loses power, after that loses nothing of it. What has no result yet may or may not be there.
    **Appended, never edited.** A record is kept as its canonical bytes. The same record appended twice is kept and
    counted once; other bytes under a known id are refused. Records of one submitter keep their order.
    **Never in the way.** ``append`` and ``count`` do no input or output in the caller's thread.
    """

    @property
    def outbox(self) -> Outbox:
        """The events kept with records."""
        ...

    def append(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Record]:
        """Keep a grant, change or withdrawal, with the notice it answers and what the site is to be told of it.

        Raises StoreBusy at once when too many wait already, and RecordError when ``notice`` is not the one the record
        names. The future raises StoreUnavailable when the record could not be made durable: it has no effect then,
        and may be appended again. Cancelling the future takes the record back only while it still waits.
        """
        ...

    def withdraw(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Record]:
        """Keep a withdrawal, which has taken effect whatever becomes of this.

        The future has its result once it survives a kill: in the ledger, or in a file beside it from which it follows, with its
        event, when the ledger is back, in whatever process; a later ``append`` comes after it. The future raises StoreUnavailable
        where neither could be written.
        """
        ...

    def count(self, refusal: Count) -> None:
        """Count a refusal. Never raises, never waits.

        Kept in memory until written, about a second; retried as long as the store is unavailable. The process's death
        loses what is not written: a refusal's effect does not hang on its count.
        """
        ...

    def keep_notice(self, site: str, notice: Notice) -> None:
        """Keep a version of a site's notice, durable on return. Call it when a site starts; raises StoreUnavailable."""
        ...

    def notices(self, site: str) -> Mapping[str, Notice]:
        """Every version of the site's notice ever kept, by short digest; raises StoreUnavailable."""
        ...

    def record(self, id: str) -> Record | None:
        """The record of that id, None where there is none; raises StoreUnavailable."""
        ...

    def totals(self, site: str, since: date, until: date) -> list[Total]:
        """Counts from ``since`` to ``until``, both included, in the order of their keys; raises StoreUnavailable.

        Tries first to write what this process has counted; other processes' refusals follow within about a second.
        """
        ...

    def check(self) -> None:
        """Return where a grant could be recorded now; raises StoreUnavailable. Does input and output, and may wait for another writer."""
        ...

    def close(self) -> None:
        """Write what waits, then stop. Later appends fail with StoreUnavailable. May be called twice."""
        ...
