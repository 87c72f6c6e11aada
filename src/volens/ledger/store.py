"""What every store of records promises. The code above it knows these methods and nothing of a database."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
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


class Store(Protocol):
    """Keeps records and counts. Safe to call from any thread; several processes may write to one store.

    **Durable when it says so.** A future of ``append`` has its result only after the database has committed the
    record, its notice and its count to stable storage, in one transaction: a process killed, or a machine that
    loses power, after that loses nothing of it. What has no result yet may or may not be there.
    **Appended, never edited.** A record is kept as its canonical bytes. The same record appended twice is kept and
    counted once; other bytes under a known id are refused. Records of one submitter keep their order.
    **Never in the way.** ``append`` and ``count`` do no input or output in the caller's thread.
    """

    def append(self, record: Record, notice: Notice) -> Future[Record]:
        """Keep a grant, change or withdrawal, with the notice it answers.

        Raises StoreBusy at once when too many wait already, and RecordError when ``notice`` is not the one the record
        names. The future raises StoreUnavailable when the record could not be made durable: it has no effect then,
        and may be appended again. Cancelling the future takes the record back only while it still waits.
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

    def close(self) -> None:
        """Write what waits, then stop. Later appends fail with StoreUnavailable. May be called twice."""
        ...
