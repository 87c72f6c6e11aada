"""The outbox of the PostgreSQL store: events are rows beside the records, so that one commit keeps both or neither."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from volens.ledger.outbox import AT_ONCE, LIMIT, Listened
from volens.ledger.record import Record
from volens.ledger.store import Due, Event

log = logging.getLogger("volens.ledger")

EVENTS = (
    """CREATE TABLE volens.outbox (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE, site text COLLATE "C" NOT NULL,
        subject text COLLATE "C" NOT NULL, record text COLLATE "C" NOT NULL UNIQUE, follows text COLLATE "C" NOT NULL, body bytea NOT NULL,
        made double precision NOT NULL, attempts integer NOT NULL DEFAULT 0, due double precision NOT NULL DEFAULT 0)""",
    "CREATE INDEX outbox_subject ON volens.outbox (subject, number)",
    """CREATE TABLE volens.expiring (
        record text COLLATE "C" PRIMARY KEY, site text COLLATE "C" NOT NULL, subject text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL, body bytea NOT NULL, at double precision NOT NULL)""",
    "CREATE INDEX expiring_at ON volens.expiring (site, at)",
    "CREATE INDEX expiring_subject ON volens.expiring (subject) WHERE subject <> ''",
)
"""The tables, for the store's first schema step."""

WAITING = """SELECT CASE WHEN coalesce(max(number) - min(number) + 1, 0) < $1::bigint
    THEN coalesce(max(number) - min(number) + 1, 0) ELSE (SELECT count(*) FROM volens.outbox) END FROM volens.outbox"""
"""How many wait; far from the limit, how many at most."""
GONE = "DELETE FROM volens.expiring WHERE record = ANY($1::text[])"
OTHERS = """DELETE FROM volens.expiring USING unnest($1::text[], $2::text[]) AS given (site, subject)
    WHERE expiring.subject = given.subject AND expiring.subject <> '' AND expiring.site = given.site"""
EXPIRE = """INSERT INTO volens.expiring SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::float8[])"""
KEEP = """INSERT INTO volens.outbox (id, site, subject, record, follows, body, made)
    SELECT id, site, subject, record, follows, body, $7::float8
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[]) WITH ORDINALITY
    AS given (id, site, subject, record, follows, body, place) ORDER BY place"""
ENDED = """WITH ended AS (DELETE FROM volens.expiring WHERE record IN
        (SELECT record FROM volens.expiring WHERE site = $1 AND at <= $2::float8 ORDER BY at, record LIMIT $3 FOR UPDATE SKIP LOCKED)
        RETURNING id, site, subject, record, body, at),
    told AS (INSERT INTO volens.outbox (id, site, subject, record, follows, body, made)
        SELECT id, site, subject, record || '/expired', record, body, $2::float8 FROM ended ORDER BY at, record ON CONFLICT DO NOTHING)
    SELECT count(*) FROM ended"""
DUE = """SELECT number, id, body, attempts, made FROM volens.outbox AS one WHERE site = $1 AND due <= $2::float8
    AND NOT EXISTS (SELECT 1 FROM volens.outbox AS before
        WHERE before.subject = one.subject AND before.number < one.number AND one.subject <> '')
    AND NOT EXISTS (SELECT 1 FROM volens.outbox AS before WHERE before.record = one.follows)
    ORDER BY number LIMIT $3"""
SETTLE = """WITH gone AS (DELETE FROM volens.outbox WHERE number = ANY($1::bigint[]))
    UPDATE volens.outbox SET attempts = attempts + 1, due = given.due FROM unnest($2::bigint[], $3::float8[]) AS given (number, due)
    WHERE outbox.number = given.number AND outbox.number <> ALL($1::bigint[])"""


class Arrivals:
    """The events of one transaction, in their order."""

    __slots__ = ("events", "expiring", "gone", "others", "room")

    def __init__(self) -> None:
        self.room: int | None = None
        """How many more may be kept; None: nobody has asked."""
        self.events: list[tuple[str, str, str, str, str, bytes]] = []
        self.expiring: dict[str, tuple[str, str, str, str, bytes, float]] = {}
        """By record: what will follow the events of this transaction."""
        self.gone: set[str] = set()
        """Records whose end is none of these any more."""
        self.others: set[tuple[str, str]] = set()
        """Sites and subjects whose earlier grants do not end by themselves any more."""


class _Link(Protocol):
    """What the outbox needs of a connection."""

    def put(self, statement: str, *values: Any) -> Any: ...
    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]: ...


class _Base(Protocol):
    """What the outbox needs of the store beside whose records it is."""

    path: str

    def reading(self, doing: str) -> AbstractContextManager[_Link]: ...
    def apart(self, doing: str) -> AbstractContextManager[_Link]: ...
    def resume(self) -> None: ...


class PostgresOutbox(Listened):
    """See ``store.Outbox``."""

    def __init__(self, store: _Base) -> None:
        super().__init__(store.resume)
        self._store = store

    def note(self, link: _Link, arrivals: Arrivals, record: Record, event: Event) -> bool:
        """Take the event up for the record's own transaction; False where too many wait."""
        self._replace(arrivals, record, event)
        if arrivals.room is None:
            ((waiting,),) = link.ask(WAITING, LIMIT - 1024)
            arrivals.room = LIMIT - waiting
        if len(arrivals.events) >= arrivals.room:
            log.error("%s: %d changes wait for the site to be told; the one of record %s is not kept.", self._store.path, LIMIT, record.id)
            return False
        arrivals.events.append((event.id, record.site, event.subject, record.id, record.supersedes, event.body))
        return True

    @staticmethod
    def _replace(arrivals: Arrivals, record: Record, event: Event) -> None:
        """The end of one grant gives way to that of another: of the record that follows it, and of the same visitor's."""
        arrivals.gone.add(record.supersedes)
        arrivals.expiring.pop(record.supersedes, None)
        if event.expiry is None:
            return
        if event.subject:
            arrivals.others.add((record.site, event.subject))
            for other, (_, site, subject, *_) in list(arrivals.expiring.items()):
                if (site, subject) == (record.site, event.subject):
                    del arrivals.expiring[other]
        arrivals.expiring[record.id] = (
            record.id,
            record.site,
            event.subject,
            event.expiry.id,
            event.expiry.body,
            event.expiry.at,
        )

    def keep(self, link: _Link, arrivals: Arrivals) -> None:
        """Write what was taken up."""
        if arrivals.gone:
            link.put(GONE, sorted(arrivals.gone))
        if arrivals.others:
            link.put(OTHERS, *map(list, zip(*sorted(arrivals.others), strict=True)))
        if arrivals.expiring:
            link.put(EXPIRE, *map(list, zip(*arrivals.expiring.values(), strict=True)))
        if arrivals.events:
            link.put(KEEP, *map(list, zip(*arrivals.events, strict=True)), time.time())

    def expire(self, site: str, now: float) -> int:
        """See ``Outbox.expire``. One statement takes the row from the one table into the other; whoever comes second finds none."""
        which = "SELECT EXISTS (SELECT 1 FROM volens.expiring WHERE site = $1 AND at <= $2::float8)"
        with self._store.reading("look for grants that have ended") as link:
            if not link.ask(which, site, now)[0][0]:
                return 0
            ((waiting,),) = link.ask("SELECT count(*) FROM volens.outbox")
        with self._store.apart("note grants that have ended") as link:
            return int(link.ask(ENDED, site, now, max(0, min(AT_ONCE, LIMIT - waiting)))[0][0])

    @contextmanager
    def turn(self, site: str) -> Iterator[bool]:
        """See ``Outbox.turn``. A lock of the session: it ends with the connection, so that of a machine that dies is free."""
        key = int.from_bytes(hashlib.sha256(b"volens/turn/" + site.encode()).digest()[:8], "big", signed=True)
        with self._store.apart("take turns in telling the site") as link:
            ((mine,),) = link.ask("SELECT pg_try_advisory_lock($1::bigint)", key)
            yield bool(mine)

    def due(self, site: str, now: float, limit: int) -> list[Due]:
        """See ``Outbox.due``."""
        with self._store.reading("read what the site is to be told") as link:
            return [Due(*row) for row in link.ask(DUE, site, now, limit)]

    def settle(self, taken: Iterable[int], later: Mapping[int, float]) -> None:
        """See ``Outbox.settle``."""
        with self._store.apart("note what the site was told") as link:
            link.put(SETTLE, list(taken), list(later), list(later.values()))

    def waiting(self, site: str) -> int:
        """See ``Outbox.waiting``."""
        with self._store.reading("count what the site is to be told") as link:
            return int(link.ask("SELECT count(*) FROM volens.outbox WHERE site = $1", site)[0][0])
