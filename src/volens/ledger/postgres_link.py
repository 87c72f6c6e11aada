"""One connection to a PostgreSQL server: lists in the server's own form, waits that end, statements through libpq's pipeline.

It knows the server and nothing of a ledger's tables; of a transaction it keeps what the store tells it (``Link``).
"""

from __future__ import annotations

import itertools
import select
import struct
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg import errors, pq
from psycopg.abc import PQGen
from psycopg.adapt import Dumper, Transformer
from psycopg.pq.abc import PGresult

from volens.ledger.backend import Leaf
from volens.ledger.postgres_outbox import Arrivals

RV = TypeVar("RV")
Row = tuple[Any, ...]


class Array(bytes):
    """A list in the form in which PostgreSQL takes it (``array_recv``); psycopg's own way there takes several times as long."""

    oid = 0


class Texts(Array):
    oid, of = 1009, 25


class Blobs(Array):
    oid, of = 1001, 17


class Numbers(Array):
    oid, of = 1016, 20


class Reals(Array):
    oid, of = 1022, 701


class Flags(Array):
    oid, of = 1000, 16


class _AsItIs(Dumper):
    format = pq.Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


KINDS: dict[type, tuple[type[Texts | Blobs | Numbers | Reals | Flags], Callable[[Any], bytes] | None]] = {
    str: (Texts, str.encode),
    bytes: (Blobs, None),
    int: (Numbers, struct.Struct(">q").pack),
    float: (Reals, struct.Struct(">d").pack),
    bool: (Flags, struct.Struct(">?").pack),
}


SINGLE: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    str: (25, str.encode),
    bytes: (17, bytes),
    int: (20, struct.Struct(">q").pack),
    float: (701, struct.Struct(">d").pack),
    bool: (16, struct.Struct(">?").pack),
    uuid.UUID: (2950, lambda value: bytes(value.bytes)),
}
"""How a single value goes there."""


def array(items: Sequence[Any]) -> Array:
    """Texts, bytes, numbers or flags, or nothing in their place."""
    kind, form = KINDS[next((type(item) for item in items if item is not None), str)]
    parts = [struct.pack(">iiIii", 1, 1, kind.of, len(items), 1) if items else struct.pack(">iiI", 0, 0, kind.of)]
    for item in items:
        if item is None:
            parts.append(b"\xff\xff\xff\xff")
        else:
            data = form(item) if form is not None else item
            parts += (len(data).to_bytes(4, "big"), data)
    return kind(b"".join(parts))


def adapt(raw: Connection) -> None:
    """Let a connection take such a list as a parameter."""
    for kind, _ in KINDS.values():
        raw.adapters.register_dumper(kind, type(kind.__name__, (_AsItIs,), {"oid": kind.oid}))


class Connection(psycopg.Connection[Row]):
    """A connection on which no wait for the server is longer than ``limit``."""

    limit = 10.0
    """Seconds."""
    warned = False
    """The server has warned. Of a COMMIT it says so where the wait for a standby was cancelled: kept here, and perhaps nowhere else."""

    def notice(self, told: errors.Diagnostic) -> None:
        """What the server says beside its answers."""
        self.warned = self.warned or told.sqlstate == "01000"

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """See psycopg. A connection that was given up is of no more use."""
        try:
            return super().wait(gen, interval, self.limit if timeout is None else timeout)
        except errors._WaitTimeout as error:
            self.pgconn.finish()
            raise Silent(f"no answer for {self.limit:g} s") from error


class Silent(psycopg.OperationalError):
    """The server did not answer in time; nobody knows whether what was asked is done."""


class Undone(psycopg.OperationalError):
    """The connection was lost during a commit, and nothing of it is there; another connection is."""


AGAIN = (errors.SerializationFailure, errors.DeadlockDetected, Undone)
"""After these the same may work at once."""
PASSING = (
    *AGAIN,
    errors.ReadOnlySqlTransaction,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
)
"""After these, on a new connection."""


class Sent:
    """A statement of a transaction that was sent, and its answer once it is here."""

    __slots__ = ("result",)

    def __init__(self) -> None:
        self.result: PGresult | None = None


class Link:
    """One connection, made anew where it was lost, and what one transaction has so far.

    From ``begin`` to ``end`` statements go through libpq's pipeline as they are: psycopg's own takes several times as long for each.
    """

    __slots__ = ("arrivals", "fresh", "held", "names", "noted", "piped", "prepared", "raw", "rows", "sent", "sites", "writes")

    def __init__(self, raw: Connection, writes: bool) -> None:
        self.writes = writes
        self.sites: list[str] = []
        """Whose logs the next transaction will need."""
        self.use(raw)

    def use(self, raw: Connection) -> None:
        """Go on with a new connection: nothing is prepared there, and no log held."""
        self.raw = raw
        self.fresh = True
        """Nothing was asked of it yet."""
        self.piped = False
        self.prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}
        self.names = itertools.count()
        self.sent: list[Sent] = []
        self._clear()

    def _clear(self) -> None:
        self.held: dict[str, Row] = {}
        self.rows: Sequence[Leaf] = ()
        self.arrivals = Arrivals()
        self.noted = False
        """The transaction has said its number."""

    @property
    def lost(self) -> bool:
        """Whether the connection is of no more use."""
        return self.raw.closed or self.raw.pgconn.status != pq.ConnStatus.OK

    def begin(self) -> None:
        """Statements are sent together from here to ``end``."""
        self._clear()
        self.raw.pgconn.enter_pipeline_mode()
        self.piped, self.sent = True, []

    def send(self, statement: str, *values: Any) -> Sent:
        """Send a statement, in its turn; errors come later."""
        pgconn = self.raw.pgconn
        one = Sent()
        if not values:
            pgconn.send_query_params(statement.encode(), [], result_format=1)
            self.sent.append(one)
            return one
        types, data = [], []
        for value in values:
            made = array(value) if type(value) is list else value
            if isinstance(made, Array):
                types.append(made.oid)
                data.append(bytes(made))
            else:
                oid, form = SINGLE[type(made)]
                types.append(oid)
                data.append(form(made))
        key = (statement, tuple(types))
        name = self.prepared.get(key)
        if name is None:
            name = self.prepared[key] = b"volens-%d" % next(self.names)
            pgconn.send_prepare(name, statement.encode(), types)
            self.sent.append(Sent())
        pgconn.send_query_prepared(name, data, [1] * len(data), 1)
        self.sent.append(one)
        return one

    def _result(self, end: float) -> PGresult | None:
        """The next answer; None between two statements. Raises Silent where it does not come in time."""
        pgconn = self.raw.pgconn
        poll = select.poll()
        while True:
            more = pgconn.flush()
            if not more and not pgconn.is_busy():
                return pgconn.get_result()
            poll.register(pgconn.socket, select.POLLIN | (select.POLLOUT if more else 0))
            ready = poll.poll(max(0, round((end - time.monotonic()) * 1000)))
            if not ready:
                pgconn.finish()
                raise Silent(f"no answer for {self.raw.limit:g} s")
            if ready[0][1] & ~select.POLLOUT:
                pgconn.consume_input()

    def receive(self) -> None:
        """Take the answers to all that was sent; raises the first error among them."""
        if self.sent:
            self.raw.pgconn.send_flush_request()
        self._receive()

    def _receive(self) -> None:
        end = time.monotonic() + self.raw.limit
        wrong: psycopg.Error | None = None
        for one in self.sent:
            one.result = result = self._result(end)
            if result is None:
                raise psycopg.OperationalError("the server answered out of turn")
            self.raw.pgconn.get_result()  # None, which ends the statement: never waits
            if result.status == pq.ExecStatus.FATAL_ERROR and wrong is None:
                wrong = errors.error_from_result(result)
        self.sent = []
        if wrong is not None:
            self.prepared = {}  # who knows which of them are
            self.raw.pgconn.pipeline_sync()
            while (told := self._result(end)) is None or told.status != pq.ExecStatus.PIPELINE_SYNC:
                pass
            raise wrong

    def end(self) -> None:
        """Take the answers to all that was sent, and leave the pipeline."""
        self.piped = False
        pgconn = self.raw.pgconn
        pgconn.pipeline_sync()
        try:
            self._receive()
        finally:
            if not self.lost:
                end = time.monotonic() + self.raw.limit
                while (told := self._result(end)) is None or told.status != pq.ExecStatus.PIPELINE_SYNC:
                    pass
                pgconn.exit_pipeline_mode()

    def put(self, statement: str, *values: Any) -> None:
        """Send a statement; within a transaction errors come later."""
        if self.piped:
            self.send(statement, *values)
        else:
            self._execute(statement, values)

    def _execute(self, statement: str, values: Sequence[Any]) -> psycopg.Cursor[Row]:
        return self.raw.execute(statement, [array(value) if type(value) is list else value for value in values], binary=True)

    def ask(self, statement: str, *values: Any) -> list[Row]:
        """Send a statement, wait for its answer, and give its rows."""
        if not self.piped:
            return self._execute(statement, values).fetchall()
        one = self.send(statement, *values)
        self.receive()
        return self.rows_of(one)

    def rows_of(self, one: Sent) -> list[Row]:
        """The rows of a statement that was sent before and whose answer is here."""
        assert one.result is not None  # noqa: S101
        if not one.result.ntuples:
            return []
        reads = Transformer(self.raw)
        reads.set_pgresult(one.result)
        return reads.load_rows(0, one.result.ntuples, tuple)

    def settle(self, statement: str, *values: Any) -> list[Row]:
        """The rows of a statement that returns once it is durable, with all that was committed before it."""
        self.raw.warned = False
        rows = self.ask(statement, *values)
        if self.raw.warned:
            raise Silent("somebody cancelled the wait for a standby")
        self.fresh = False
        return rows

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self.piped = False
        with suppress(psycopg.Error):
            self.raw.close()
