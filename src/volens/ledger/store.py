"""What every store of records promises. The code above it knows these methods and nothing of a database.

A site's records are the leaves of its *log*: entries numbered from 0, a Merkle tree over them, and a head that is signed at every
group commit. What an entry says is in ``entry.py``, how the tree is hashed in ``tree.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypedDict

from volens.ledger.receipt import Receipt
from volens.ledger.record import Count, Record
from volens.ledger.tree import Tiles
from volens.notice import Notice


class Signs(Protocol):
    """A key that signs the heads of one site's log: ``note.LogKey``, ``note.LogKeys``."""

    def sign(self, text: str) -> str:
        """The signed note of a text that ends in a line break."""
        ...


Signer = Callable[[str], Signs]
"""From a site's name to the key of its log. Called in the thread that writes, once a group commit."""


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


class Answered(TypedDict):
    """How one purpose was answered in the records of one day, with everything that is told apart. Refusals are in ``Total``."""

    day: str
    """As ``2026-11-22``, UTC."""
    event: str
    """``given``, ``changed`` or ``withdrawn``."""
    purpose: str
    surface: str
    language: str
    yes: int
    no: int


class Extent(TypedDict):
    """How much was granted by the records of one day: everything that was asked, some of it, or nothing (withdrawn)."""

    day: str
    event: str
    surface: str
    language: str
    all: int
    some: int
    none: int


@dataclass(slots=True)  # freezing would double what it costs to make one
class Kept:
    """A record that is durable, and all that its receipt is made of."""

    record: Record
    salt: bytes
    index: int
    """Of its entry in the site's log."""
    entry: bytes
    """The entry, in canonical JSON."""
    checkpoint: str
    """The signed head of the log right after the group commit that kept it."""
    path: Callable[[int], list[bytes]]
    """The inclusion proof of an index in that head."""

    def receipt(self) -> Receipt:
        """The receipt as of the group commit: complete, though no witness has seen its checkpoint yet. No input or output."""
        proof = tuple(self.path(self.index))
        return Receipt(self.record, self.salt, json.loads(self.entry), self.index, proof, self.checkpoint)

    def text(self) -> str:
        """The same as JSON."""
        return Receipt.text(self.record.canonical(), self.salt, self.entry, self.index, self.path(self.index), self.checkpoint)


@dataclass(frozen=True, slots=True)
class Head:
    """A log as it stands: every entry below ``size`` is durable."""

    site: str
    size: int
    root: bytes
    note: str
    """The signed checkpoint over them, without cosignatures; empty for a log without entries."""
    minute: int
    """Of the last entry, in minutes since 1970."""


@dataclass(slots=True)  # read in millions
class Row:
    """One entry of a log, with the record where it has one that was not erased."""

    index: int
    entry: bytes
    salt: bytes | None
    record: bytes | None
    """In canonical JSON."""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that was published, with the cosignatures it had then."""

    size: int
    at: float
    """When, in seconds since 1970."""
    note: str


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

    def append(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Kept]:
        """Keep a grant, change or withdrawal, with the notice it answers and what the site is to be told of it.

        Raises StoreBusy at once when too many wait already, and RecordError when ``notice`` is not the one the record
        names. The future raises StoreUnavailable when the record could not be made durable: it has no effect then,
        and may be appended again. Cancelling the future takes the record back only while it still waits.
        """
        ...

    def withdraw(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Record]:
        """Keep a withdrawal, whole or in part, which has taken effect whatever becomes of this.

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
        """Keep a version of a site's notice, durable on return, and log the first time that it is asked. Call it when a site starts;
        raises StoreUnavailable."""
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

    def answers(self, site: str, since: date, until: date) -> list[Answered]:
        """What the records of those days, both included, answered, in the order of their keys: counted in the transaction that kept
        them, so never a scan. Raises StoreUnavailable."""
        ...

    def extents(self, site: str, since: date, until: date) -> list[Extent]:
        """How much the records of those days, both included, granted, in the order of their keys; raises StoreUnavailable."""
        ...

    # The log. All of these raise StoreUnavailable.

    def sites(self) -> list[str]:
        """The sites that have a log, in alphabetical order."""
        ...

    def head(self, site: str) -> Head | None:
        """The log as it stands, with the checkpoint signed at the last commit; None where nothing was ever kept."""
        ...

    def receipt(self, id: str) -> Receipt | None:
        """The receipt of a record: against the newest published checkpoint that covers it, with its cosignatures, else against the
        head. None where there is no such record, or none any more."""
        ...

    def waits(self, id: str) -> bool:
        """Whether the record of a withdrawal waits on this machine to be written: to be asked before whether it is in the ledger."""
        ...

    def find(self, id: str) -> tuple[str, int] | None:
        """The site and the index of a record; None where there is none in the log: not yet (``upgrade``), or not any more."""
        ...

    def entries(self, site: str, first: int, count: int) -> list[bytes]:
        """Entries in canonical JSON, from an index on; fewer than ``count`` at the end of the log."""
        ...

    def hashes(self, site: str, level: int, tile: int) -> bytes:
        """The hashes a tile of the tree has by now, up to 256 of 32 bytes (level 0: of entries; 1: of 256 entries each; …)."""
        ...

    def tree(self, site: str, size: int | None = None) -> Tiles:
        """The tree over the log, or over its first ``size`` entries: inclusion and consistency proofs, from storage."""
        ...

    def rows(self, site: str, first: int = 0, last: int | None = None, *, held: bool = False) -> Iterator[Row]:
        """Entries from ``first`` to ``last``, both included, or to the end there is when this begins; read bit by bit, in bounded
        memory. ``held``: only those whose record is there."""
        ...

    def others(self, site: str) -> Iterator[Row]:
        """The entries that are no record's, in order: of notices, snapshots and erasures. Never a scan of the records."""
        ...

    def size_before(self, site: str, time: datetime) -> int:
        """How many entries are older than the minute of ``time``: they are the first ones, since an entry's minute never decreases."""
        ...

    def moment(self) -> AbstractContextManager[Store]:
        """A store to read from, by one thread: all that it tells is as of one moment, while others go on writing (an archive, evidence).
        Counts that this process has not written yet are written first."""
        ...

    def publish(self, site: str, note: str, at: float | None = None) -> None:
        """Keep a checkpoint that is now published (or was, ``at`` seconds since 1970), with its cosignatures; durable on return. All of
        the last day are kept, and of those before the last of each hour. Refuses, with StoreError, one that is not of this log, or
        ahead of its durable rows."""
        ...

    def published(self, site: str, size: int = 0) -> str | None:
        """The newest published checkpoint, if it has at least ``size`` entries."""
        ...

    def checkpoints(self, site: str, since: float = 0) -> list[Published]:
        """The published checkpoints that are kept, the oldest first, from a time on (seconds since 1970)."""
        ...

    def add_snapshot(self, site: str, notice: str, snapshot: str) -> int:
        """Log that pictures of a notice were taken, durable on return: the entry's index. Both digests; ``attach`` the files first."""
        ...

    def erase(self, site: str, indexes: Iterable[int], reason: str) -> int:
        """Delete records and their salts, and log that it was done: how many were there. The entries stay, so that every other proof
        stays valid; without the salt nobody can test what an entry committed to. Many are erased in steps, each a transaction.
        ``reason``: one of ``entry.REASONS``."""
        ...

    def restore(self, site: str, notices: Iterable[Notice], rows: Iterable[Row]) -> int:
        """Append entries that another store held, as they are, with the notices they name: how many. Those that are here already must
        be the same (their records may have been erased here since). Raises StoreError, saying where, for one that is not or leaves a
        gap; what came before is kept then, in whole steps, and the same rows may be restored again."""
        ...

    def restore_counts(self, site: str, totals: Iterable[Total], answers: Iterable[Answered], extents: Iterable[Extent]) -> None:
        """Take over the counts of another store, in one transaction. Raises StoreError where this site has counts already."""
        ...

    def attach(self, site: str, digest: str, data: bytes) -> None:
        """Keep a file that an entry names by its SHA-256 (a snapshot of a notice), durable on return; once, however often."""
        ...

    def attached(self, site: str, digest: str) -> bytes | None:
        """The file of that SHA-256, None where there is none."""
        ...

    def attachments(self, site: str) -> list[str]:
        """The SHA-256 of every file kept for a site, in alphabetical order."""
        ...

    def upgrade(self) -> int:
        """Move what was kept before there was a log into it, to the end: in how many steps. A process that appends does so by itself, in
        between. A kill leaves each record either moved or not."""
        ...

    def check(self) -> None:
        """Return where a grant could be recorded now; raises StoreUnavailable. Does input and output, and may wait for another writer."""
        ...

    def close(self) -> None:
        """Write what waits, then stop. Later appends fail with StoreUnavailable. May be called twice."""
        ...
