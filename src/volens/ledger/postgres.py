"""The store in a PostgreSQL database, for several machines that append to one log.

**A transaction** takes two round trips, however many records it keeps: one that locks the rows of its logs (``FOR UPDATE``, in the order
of their numbers) and reads them, one pipeline with all that it writes and COMMIT. Whoever else appends to these logs waits meanwhile, on
whatever machine. So what can be made beforehand is (``Made``), what was queued meanwhile goes along, and one statement (``APPEND``) writes
what nearly every commit is made of: records of one notice, and their counts.

**Durable before anybody hears of it, not before others append.** COMMIT itself does not wait: the rows are there for the next writer at
once, and the log is let go of. The same round trip ends in a message to the server's own log (``pg_logical_emit_message``), whose commit
does wait, for the disk and the standbys, and so for all that was written before it. A writer that goes on from rows which are not durable
yet waits for its own, which come after. Whoever reads a head to publish it waits in the same way.

What durable means is what the server says it is: at least ``synchronous_commit = on`` is set, so that with ``synchronous_standby_names`` an
acknowledged record is on a standby's disk too. A connection that is lost during COMMIT leaves open what became of it. Therefore each
transaction also notes its number in ``writers``, under this process's own name; a new connection writes there too, which waits for the old
transaction to end and for the standbys to have it, and reads which number came last. So nothing is acknowledged that may be lost, and
nothing that is kept is denied; only where no server answers for long does a grant fail whose record may be there afterwards.

**Never in the way of others.** Every wait ends: for a lock (``lock_timeout``), for a server that does not answer (``Connection.wait``),
and the server's for a client that is gone (``idle_in_transaction_session_timeout``).

**The tree.** The hash of each entry stands in its row, and a tile of level 0 is read from 256 of them; ``nodes`` keeps the hashes of the
levels 8, 16, …, one for each 256 entries.

Several sites may share a database, several ledgers may not: its tables are in the schema ``volens``.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict

from volens.errors import StoreError, StoreTooNew, StoreUnavailable
from volens.ledger.backend import INDEX_BITS, Leaf, LogState, Repeated, Statements
from volens.ledger.counting import Answer, Key, counted
from volens.ledger.entry import SALT, RecordEntries, commitment
from volens.ledger.entry import minute as minute_of
from volens.ledger.note import checkpoint, origin
from volens.ledger.postgres_link import AGAIN, PASSING, Connection, Link, Row, Silent, Undone, adapt
from volens.ledger.postgres_outbox import EVENTS, PostgresOutbox
from volens.ledger.record import Record
from volens.ledger.store import Event, Head, Kept, Signer
from volens.ledger.tree import HEIGHT, Edge, Growth, leaf_hash
from volens.ledger.writer import AHEAD, LedgerStore, _Waiting

log = logging.getLogger("volens.ledger")


STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE volens.logs (
            log integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, site text COLLATE "C" NOT NULL UNIQUE, size bigint NOT NULL,
            minute integer NOT NULL, edge bytea NOT NULL, note text NOT NULL) WITH (fillfactor = 25)""",
        'CREATE TABLE volens.notices (digest text COLLATE "C" PRIMARY KEY, json bytea NOT NULL)',
        """CREATE TABLE volens.versions (
            version integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, site text COLLATE "C" NOT NULL,
            digest text COLLATE "C" NOT NULL REFERENCES volens.notices, entry bigint, UNIQUE (site, digest))""",
        # Eight columns and no more: a ninth would make each row's header eight bytes longer. version: negative where the record was
        # kept before there was a log. commitment: none where json is the entry itself.
        """CREATE TABLE volens.entries (
            at bigint PRIMARY KEY, minute integer NOT NULL, version integer, commitment bytea, hash bytea NOT NULL,
            id text COLLATE "C", salt bytea, json bytea)""",
        "CREATE UNIQUE INDEX entries_id ON volens.entries (id) WHERE id IS NOT NULL",
        "CREATE INDEX entries_other ON volens.entries (at) WHERE commitment IS NULL",
        "ALTER TABLE volens.entries ALTER json SET STORAGE EXTERNAL, ALTER hash SET STORAGE PLAIN, ALTER commitment SET STORAGE PLAIN",
        """CREATE FUNCTION volens.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION '% are never edited or deleted, only what a record said is erased', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation'; END $$""",
        """CREATE TRIGGER entries_appended BEFORE UPDATE ON volens.entries FOR EACH ROW WHEN (
            NEW.id IS NOT NULL OR NEW.salt IS NOT NULL OR NEW.json IS NOT NULL OR OLD.commitment IS NULL OR NEW.at <> OLD.at
            OR NEW.minute <> OLD.minute OR NEW.version IS DISTINCT FROM OLD.version OR NEW.hash <> OLD.hash
            OR NEW.commitment IS DISTINCT FROM OLD.commitment) EXECUTE FUNCTION volens.refuse()""",
        "CREATE TRIGGER entries_stay BEFORE DELETE OR TRUNCATE ON volens.entries EXECUTE FUNCTION volens.refuse()",
        "CREATE TRIGGER notices_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON volens.notices EXECUTE FUNCTION volens.refuse()",
        """CREATE TABLE volens.nodes (
            log integer, tier smallint, index bigint, hash bytea NOT NULL, PRIMARY KEY (log, tier, index))""",
        """CREATE TABLE volens.counts (
            site text COLLATE "C", day text COLLATE "C", event text COLLATE "C", notice text COLLATE "C", surface text COLLATE "C",
            language text COLLATE "C", gpc boolean, n bigint NOT NULL,
            PRIMARY KEY (site, day, event, notice, surface, language, gpc)) WITH (fillfactor = 50)""",
        """CREATE TABLE volens.answers (
            site text COLLATE "C", day text COLLATE "C", event text COLLATE "C", purpose text COLLATE "C", surface text COLLATE "C",
            language text COLLATE "C", yes bigint NOT NULL, part bigint NOT NULL, no bigint NOT NULL,
            PRIMARY KEY (site, day, event, purpose, surface, language)) WITH (fillfactor = 50)""",
        """CREATE TABLE volens.published (
            log integer, at double precision, size bigint NOT NULL, note text NOT NULL, PRIMARY KEY (log, at))""",
        'CREATE TABLE volens.files (site text COLLATE "C", digest text COLLATE "C", data bytea NOT NULL, PRIMARY KEY (site, digest))',
        "CREATE TABLE volens.writers (writer uuid PRIMARY KEY, n bigint NOT NULL, seen timestamptz NOT NULL) WITH (fillfactor = 50)",
        *EVENTS,
    ),
)
"""Schema steps; step n makes version n and is noted in the same transaction."""
MIGRATION = int.from_bytes(hashlib.sha256(b"volens/schema").digest()[:8], "big", signed=True)
"""The advisory lock of whoever changes the schema."""

ENTRY = """at, minute, digest, coalesce(entries.version < 0, false), commitment, CASE WHEN commitment IS NULL THEN entries.json END,
    salt, CASE WHEN commitment IS NOT NULL THEN entries.json END"""
FROM = "volens.entries LEFT JOIN volens.versions ON versions.version = abs(entries.version)"
SQL = Statements(
    notices="SELECT digest, json FROM volens.versions JOIN volens.notices USING (digest) WHERE site = $1",
    record="SELECT json FROM volens.entries WHERE id = $1",
    totals="SELECT day, event, notice, surface, language, gpc, n FROM volens.counts WHERE site = $1 AND day BETWEEN $2 AND $3"
    " ORDER BY day, event, notice, surface, language, gpc",
    answers="SELECT day, event, purpose, surface, language, yes, part, no FROM volens.answers WHERE site = $1 AND day BETWEEN $2 AND $3"
    " AND purpose <> '' ORDER BY day, event, purpose, surface, language",
    extents="SELECT day, event, surface, language, yes, part, no FROM volens.answers WHERE site = $1 AND day BETWEEN $2 AND $3"
    " AND purpose = '' ORDER BY day, event, surface, language",
    sites="SELECT site FROM volens.logs ORDER BY site",
    head="SELECT log, size, minute, edge, note FROM volens.logs WHERE site = $1",
    kept=f"SELECT logs.site, {ENTRY.replace('minute', 'entries.minute')} FROM {FROM} JOIN volens.logs ON log = at >> {INDEX_BITS}"
    " WHERE id = $1",
    rows=f"SELECT {ENTRY} FROM {FROM} WHERE at BETWEEN $1::bigint AND $2::bigint ORDER BY at LIMIT $3",
    held=f"SELECT {ENTRY} FROM {FROM} WHERE at BETWEEN $1::bigint AND $2::bigint AND id IS NOT NULL ORDER BY at LIMIT $3",
    others=f"SELECT {ENTRY} FROM {FROM} WHERE at BETWEEN $1::bigint AND $2::bigint AND commitment IS NULL ORDER BY at LIMIT $3",
    minute="SELECT minute FROM volens.entries WHERE at = $1::bigint",
    hashes=f"""SELECT string_agg(hash, ''::bytea ORDER BY at) FROM volens.entries WHERE $2::integer = 0
            AND at BETWEEN ($1::bigint << {INDEX_BITS}) + ($3::bigint << 8) AND ($1::bigint << {INDEX_BITS}) + ($3::bigint << 8) + 255
            HAVING count(*) > 0
        UNION ALL SELECT string_agg(hash, ''::bytea ORDER BY index) FROM volens.nodes WHERE log = $1::bigint AND tier = $2::integer
            AND index BETWEEN $3::bigint << 8 AND ($3::bigint << 8) + 255 HAVING count(*) > 0""",
    published="""SELECT note FROM (SELECT published.size, published.note FROM volens.published JOIN volens.logs USING (log)
        WHERE site = $1 ORDER BY at DESC LIMIT 1) AS newest WHERE size >= $2::bigint""",
    checkpoints="SELECT published.size, at, published.note FROM volens.published JOIN volens.logs USING (log)"
    " WHERE site = $1 AND at >= $2::float8 ORDER BY at",
    attached="SELECT data FROM volens.files WHERE site = $1 AND digest = $2",
    attachments="SELECT digest FROM volens.files WHERE site = $1 ORDER BY digest",
)

HOLD = "SELECT site, log, size, minute, edge, note FROM volens.logs WHERE site = ANY($1::text[]) ORDER BY log FOR UPDATE"
INSERT = """INSERT INTO volens.entries SELECT $1::bigint + place - 1, minute, version, commitment, hash, id, salt, json
    FROM unnest($2::integer[], $3::integer[], $4::bytea[], $5::bytea[], $6::text[], $7::bytea[], $8::bytea[])
    WITH ORDINALITY AS given (minute, version, commitment, hash, id, salt, json, place)"""
NODES = """INSERT INTO volens.nodes SELECT $1, $2, $3::bigint + place - 1, hash
    FROM unnest($4::bytea[]) WITH ORDINALITY AS given (hash, place)"""
GROW = "UPDATE volens.logs SET size = $2::bigint, minute = $3::integer, edge = $4, note = $5 WHERE log = $1::integer"
COUNT = """INSERT INTO volens.counts AS known
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::bigint[])
    ON CONFLICT (site, day, event, notice, surface, language, gpc) DO UPDATE SET n = known.n + excluded.n"""
ANSWER = """INSERT INTO volens.answers AS known
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[])
    ON CONFLICT (site, day, event, purpose, surface, language)
    DO UPDATE SET yes = known.yes + excluded.yes, part = known.part + excluded.part, no = known.no + excluded.no"""
APPEND = f"""WITH grown AS (UPDATE volens.logs SET size = $2::bigint, minute = $3::integer, edge = $4, note = $5 WHERE log = $1::integer),
    kept AS (INSERT INTO volens.entries SELECT ($1::bigint << {INDEX_BITS}) + $6::bigint + place - 1, $3::integer, $7::integer,
        substr($8::bytea, 32 * place::integer - 31, 32), substr($9::bytea, 32 * place::integer - 31, 32), id,
        substr($10::bytea, 16 * place::integer - 15, 16), json
        FROM unnest($11::text[], $12::bytea[]) WITH ORDINALITY AS given (id, json, place)),
    counted AS (INSERT INTO volens.counts AS known
        SELECT * FROM unnest($13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::boolean[], $20::bigint[])
        ON CONFLICT (site, day, event, notice, surface, language, gpc) DO UPDATE SET n = known.n + excluded.n),
    answered AS (INSERT INTO volens.answers AS known
        SELECT * FROM unnest($21::text[], $22::text[], $23::text[], $24::text[], $25::text[], $26::text[], $27::bigint[], $28::bigint[],
            $29::bigint[])
        ON CONFLICT (site, day, event, purpose, surface, language)
        DO UPDATE SET yes = known.yes + excluded.yes, part = known.part + excluded.part, no = known.no + excluded.no)
    INSERT INTO volens.writers VALUES ($30, $31::bigint, now()) ON CONFLICT (writer) DO UPDATE SET n = excluded.n, seen = excluded.seen"""
"""All that a commit of records of one notice writes, but for ``NODES``."""
NOTE = """INSERT INTO volens.writers VALUES ($1, $2::bigint, now())
    ON CONFLICT (writer) DO UPDATE SET n = excluded.n, seen = excluded.seen"""
LAST = """INSERT INTO volens.writers AS known VALUES ($1, 0, now())
    ON CONFLICT (writer) DO UPDATE SET seen = excluded.seen RETURNING known.n"""
VERSION = "SELECT version FROM volens.version"
START = "SELECT version, set_config('synchronous_commit', 'off', true) FROM volens.version"
WAIT = "SELECT pg_logical_emit_message(true, 'volens', '')"
"""Returns once all that was committed before it is durable."""

KEEPALIVE = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000"}
"""What tells that a server's machine is gone: without, a connection waits for it for hours."""
READERS = 8
"""Connections kept open for reading."""
UNSURE = 3.0
"""How many times the patience is spent on learning what became of a COMMIT."""


class Made:
    """Records of one notice, as far as they can be made ready before it is known where in the log they go."""

    __slots__ = ("_counts", "_entries", "_version", "commits", "entries", "leaves", "minute", "salts", "waiting")

    def __init__(self, entries: RecordEntries, version: int, minute: int, counts: Mapping[Key, int]) -> None:
        self._entries, self._version, self._counts, self.minute = entries, version, counts, minute
        self.waiting: list[_Waiting] = []
        self.salts: list[bytes] = []
        self.commits: list[bytes] = []
        self.entries: list[bytes] = []
        self.leaves: list[bytes] = []

    def add(self, batch: Sequence[_Waiting]) -> None:
        """Draw salts for these records, and make their commitments, entries and leaf hashes."""
        salts = os.urandom(SALT * len(batch))
        for place, waiting in enumerate(batch):
            salt = salts[place * SALT : (place + 1) * SALT]
            commit = commitment(salt, waiting.data)
            entry = self._entries.entry(commit, waiting.record.notice, self.minute)
            self.salts.append(salt)
            self.commits.append(commit)
            self.entries.append(entry)
            self.leaves.append(leaf_hash(entry))
        self.waiting += batch

    def rows(self) -> tuple[Any, ...]:
        """Their values in the order in which the statement ``APPEND`` takes them."""
        lists = [waiting.record.id for waiting in self.waiting], [waiting.data for waiting in self.waiting]
        return self._version, b"".join(self.commits), b"".join(self.leaves), b"".join(self.salts), *lists

    def totals(self) -> Iterator[list[Any]]:
        """The counts they add to, as lists of columns; sorted, so that two writers never wait for each other."""
        patterns: dict[tuple[object, int], list[Record]] = {}  # as in ``LedgerStore._done``
        for waiting in self.waiting:
            patterns.setdefault((waiting.record._around, waiting.record.time.toordinal()), []).append(waiting.record)
        for rows in counted(self._counts, patterns.values()):
            yield from map(list, zip(*sorted(rows), strict=True))


def _like(waiting: _Waiting, record: Record) -> bool:
    """Whether it goes into the same log, under the same notice, and nobody is told."""
    return waiting.event is None and waiting.record.notice == record.notice and waiting.record.site == record.site


class PostgresStore(LedgerStore[Link]):
    """A ``Store`` in the database at ``url``, whose schema ``volens`` is made where there is none.

    ``aside``: the folder of withdrawals that wait, on this machine's own disk. The password is in ``url``, or wherever libpq finds it, and
    in no message. Raises StoreUnavailable, StoreTooNew or StoreError when the database can't be used.
    """

    sql = SQL
    errors = (psycopg.Error, OSError)

    def __init__(
        self,
        url: str,
        aside: Path,
        signer: Signer | None = None,
        *,
        queue: int = 10_000,
        batch: int = 512,
        patience: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._target = read_url(url)
        super().__init__(place_of(self._target), aside, signer, queue=queue, batch=batch, patience=patience, clock=clock)
        self.outbox: PostgresOutbox = PostgresOutbox(self)
        self._readers: list[Link] = []
        self._readers_of = os.getpid()
        self._names = (uuid.uuid4(), uuid.uuid4())
        self._names_of = os.getpid()
        self._number = 0
        self._durable: dict[str, str] = {}  # heads that were waited for, by site
        self._well = True
        self._ready = False  # the tables are there, of our version
        self._pooling = threading.Lock()
        with self._clear_errors("open"):
            try:
                self._open().close()
            except psycopg.Error as error:
                if not _may_pass(error):
                    raise
                log.error("%s Until then the site runs, refusals work, and grants are not recorded.", self._explain("open", error))

    # Connections ------------------------------------------------------------------------------------------------

    def _open(self, *, writes: bool = False) -> Link:
        raw = Connection.connect(**self._target, autocommit=True, cursor_factory=psycopg.RawCursor)
        raw.limit = 2 * self._patience
        raw.add_notice_handler(raw.notice)
        adapt(raw)
        milliseconds = str(round(self._patience * 1000))
        settings = {
            "lock_timeout": milliseconds,
            "statement_timeout": "0",
            "idle_in_transaction_session_timeout": str(round(self._patience * 2000)) if writes else "0",
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
            "bytea_output": "hex",
        }
        try:
            raw.execute(
                "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS given (name, value) UNION ALL"
                " SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') <> 'remote_apply'",
                (list(settings), list(settings.values())),
            )
            link = Link(raw, writes)
            if not self._ready:
                self._migrate(link)
                self._warn(link)
                self._ready = True
        except BaseException:
            raw.close()
            raise
        return link

    def _connect(self) -> Link:
        """With back-off as long as all was well before; afterwards each attempt fails at once, so that those who wait hear of it."""
        deadline, pause = time.monotonic() + (self._patience if self._well else 0.0), 0.05
        while True:
            try:
                link = self._open(writes=True)
                try:
                    link.settle(WAIT)  # where nothing becomes durable, nothing is begun
                except BaseException:
                    link.close()
                    raise
                self._well = True
                return link
            except psycopg.Error as error:
                if not _may_pass(error) or time.monotonic() + pause > deadline or self._closed:
                    self._well = False
                    raise
                self._stopping.wait(pause)
                pause = min(pause * 2, 1.0)

    def _renew(self, link: Link) -> None:
        link.close()
        link.use(self._connect().raw)

    def _shut(self, connection: Link) -> None:
        connection.close()

    def _check_process(self) -> None:
        if self._pid not in (0, os.getpid()):
            raise StoreUnavailable(
                f"{self.path}: in use in process {self._pid} when process {os.getpid()} was forked from it. "
                "Fork workers before the first record, or start them as programs of their own."
            )

    @contextmanager
    def _reading(self, doing: str) -> Iterator[Link]:
        self._check_process()
        with self._clear_errors(doing):
            with self._pooling:
                if self._readers_of != os.getpid():  # the other process's; closing them would end its sessions
                    self._readers, self._readers_of = [], os.getpid()
                link = self._readers.pop() if self._readers else None
            link = link or self._open()
            try:
                yield link
            except BaseException:
                if link.lost or link.raw.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                    link.close()
                raise
            finally:
                if not link.lost:
                    with self._pooling:
                        keep = len(self._readers) < READERS and not self._closed
                        if keep:
                            self._readers.append(link)
                    if not keep:
                        link.close()

    @contextmanager
    def _held(self, doing: str) -> Iterator[Link]:
        self._check_process()
        with self._clear_errors(doing):
            link = self._open()
            try:
                link.put("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                link.ask(VERSION)  # the moment is now
                self._settle(doing)
                link.fresh = False
                yield link
            finally:
                link.close()

    def _settle(self, doing: str) -> None:
        """Wait until all that was committed is durable."""
        with self._reading(doing) as link:
            self._fetch(link, VERSION, ())  # a connection that was lost while it lay there is made anew
            link.settle(WAIT)

    def _fetch(self, connection: Link, statement: str, parameters: Sequence[Any]) -> list[Row]:
        idle = connection.raw.pgconn.transaction_status == pq.TransactionStatus.IDLE
        try:
            rows = connection.ask(statement, *parameters)
        except psycopg.Error as error:
            if not idle or isinstance(error, Silent) or not (connection.lost or isinstance(error, PASSING)) or connection.fresh:
                raise
            connection.close()  # it was lost while it lay there
            connection.raw = self._open().raw
            rows = connection.ask(statement, *parameters)
        connection.fresh = False
        return rows

    def reading(self, doing: str) -> AbstractContextManager[Link]:
        """For the outbox: a connection to read with."""
        return self._reading(doing)

    @contextmanager
    def apart(self, doing: str) -> Iterator[Link]:
        """For the outbox: a connection of its own, each statement of which is a transaction."""
        self._check_process()
        with self._clear_errors(doing):
            link = self._open()
            try:
                yield link
            finally:
                link.close()

    # Schema -----------------------------------------------------------------------------------------------------

    def _migrate(self, link: Link) -> None:
        """Make the tables, or bring them up to date. Several may come at once, and others write meanwhile: they wait, and a Volens that is
        too old for what it then finds stops writing."""
        ((encoding,),) = link.ask("SELECT current_setting('server_encoding')")
        if encoding != "UTF8":
            raise StoreError(f"{self.path}: a database in {encoding}. Make one in UTF8: createdb -E UTF8 -T template0 NAME.")
        if "version" in self._tables(link) and self._version_of(link) == len(STEPS):
            return  # no right to change anything is needed
        link.raw.limit, limit = 600.0, link.raw.limit
        with link.raw.transaction():
            link.put("SELECT set_config('lock_timeout', '60s', true)")
            link.put("SELECT pg_advisory_xact_lock($1)", MIGRATION)
            tables = self._tables(link)
            if "version" not in tables:
                if tables:
                    raise StoreError(f"{self.path}: its schema 'volens' is something else's. Name another database; it was left as it was.")
                link.put("CREATE SCHEMA IF NOT EXISTS volens")
                link.put("CREATE TABLE volens.version (version integer NOT NULL)")
                link.put("INSERT INTO volens.version VALUES (0)")
            link.put("LOCK TABLE volens.version IN ACCESS EXCLUSIVE MODE")  # every transaction that writes reads it
            for number in range(self._version_of(link), len(STEPS)):
                for statement in STEPS[number]:
                    link.put(statement)
                link.put("UPDATE volens.version SET version = $1", number + 1)
        link.raw.limit = limit

    @staticmethod
    def _tables(link: Link) -> set[str]:
        """By the catalog itself: ``to_regclass`` may still remember that there was none."""
        statement = "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = 'volens'"
        return {name for (name,) in link.ask(statement)}

    def _version_of(self, link: Link) -> int:
        ((version,),) = link.ask(VERSION)
        return self._known_version(version)

    def _known_version(self, version: int) -> int:
        if version > len(STEPS):
            raise StoreTooNew(
                f"{self.path}: schema version {version}, but this Volens knows versions up to {len(STEPS)}. "
                "Install the Volens that wrote it, or a later one; the database was left as it is."
            )
        return version

    def _warn(self, link: Link) -> None:
        for name in ("fsync", "full_page_writes"):
            if link.raw.info.parameter_status("in_hot_standby") != "on" and link.ask("SELECT current_setting($1)", name) == [("off",)]:
                log.warning("%s: %s = off: a server that loses power may lose acknowledged records. Set it on.", self.path, name)
        with suppress(psycopg.Error):  # processes that are no more
            link.put(
                "DELETE FROM volens.writers WHERE writer IN"
                " (SELECT writer FROM volens.writers WHERE seen < now() - interval '7 days' FOR UPDATE SKIP LOCKED)"
            )

    # Errors -----------------------------------------------------------------------------------------------------

    def _explain(self, doing: str, error: Exception) -> StoreError:
        state = getattr(error, "sqlstate", None) or ""
        said = self._told(error)
        if isinstance(error, Silent):
            remedy = f"{said}. Its machine hangs, or no standby confirms what it writes. Grants are recorded again once it answers."
        elif state in ("28P01", "28000") or "password" in said:
            remedy = f"it refuses the user: {said}. Correct the user or password, or what pg_hba.conf permits."
        elif state == "3D000" or ("does not exist" in said and "database" in said):
            remedy = f"{said}. Create it: createdb --encoding=UTF8 NAME."
        elif state == "42501":
            remedy = f"{said}. Give the user that right: CREATE on the database for the first start, all on the schema volens afterwards."
        elif state == "55P03":
            remedy = f"another process has held the log for more than {self._patience:g} s. Stop what holds it."
        elif state == "53100":
            remedy = "the server's disk is full. Make room; writing goes on by itself."
        elif state == "53300":
            remedy = f"{said}. Raise max_connections: each process needs some {READERS + 2}."
        elif state == "25006" or "read-only" in said:
            remedy = "the server is a standby that takes no writes. Name all servers: postgresql://user@one,two,three/name."
        elif state.startswith("23") or state == "42P01":
            remedy = f"the tables in the schema 'volens' are not as Volens left them: {said}. Restore them from a copy."
            return StoreError(f"{self.path}: could not {doing}: {remedy}")
        elif isinstance(error, psycopg.OperationalError):
            remedy = f"no connection: {said}. Start the server, or correct its address; writing goes on by itself."
        else:
            remedy = f"{said}."
        return StoreUnavailable(f"{self.path}: could not {doing}: {remedy}")

    def _told(self, error: Exception) -> str:
        """The driver's words, on one line and without a password."""
        words = " ".join(str(error).split()).rstrip(".")
        for secret in {str(self._target.get("password") or ""), os.environ.get("PGPASSWORD", "")} - {""}:
            words = words.replace(secret, "…")
        return words

    # Transactions -----------------------------------------------------------------------------------------------

    def _commit(self, connection: Link, batch: Sequence[_Waiting], counts: Mapping[Key, int]) -> list[Kept | StoreError]:
        """As in ``LedgerStore``; again where it was undone by something that has passed."""
        connection.sites = sorted({waiting.record.site for waiting in batch})
        deadline = time.monotonic() + self._patience
        try:
            while True:
                try:
                    return super()._commit(connection, batch, counts)
                except psycopg.Error as error:
                    if isinstance(error, Silent) or not (connection.lost or isinstance(error, PASSING)) or time.monotonic() > deadline:
                        raise
                    log.info("%s: %s; once more.", self.path, self._told(error))
                    if connection.lost or not isinstance(error, AGAIN):
                        self._renew(connection)
        finally:
            connection.sites = []

    def _written(self, connection: Link, batch: Sequence[_Waiting], counts: Mapping[Key, int], *, careful: bool) -> list[Kept | StoreError]:
        try:
            return super()._written(connection, batch, counts, careful=careful)
        except errors.UniqueViolation as error:  # told at any statement after the one that it is about
            if error.diag.constraint_name == "entries_id":
                raise Repeated from error
            raise

    def _done(
        self, connection: Link, batch: Sequence[_Waiting], counts: Mapping[Key, int], *, careful: bool = False, at_once: bool = False
    ) -> list[Kept | StoreError]:
        """As in ``LedgerStore``. Records of one notice that is known, without events, which are nearly all, are made ready before the log
        is held, and more come along that were queued while it was waited for."""
        record = batch[0].record if batch else None
        state = self._states.get(record.site) if record is not None else None
        version = self._versions.get((record.site, record.notice)) if record is not None else None
        if record is None or state is None or version is None or careful or not all(_like(waiting, record) for waiting in batch):
            return super()._done(connection, batch, counts, careful=careful)
        minute = int(self._clock() // 60)
        latest = minute_of(max(waiting.record.time for waiting in batch))
        made = Made(self._entries_of(record.site), version, latest if minute < latest <= minute + AHEAD else minute, counts)
        made.add(batch)
        try:
            self._begin(connection)
            found = self._log(connection, record.site, state)
            if found.number == state.number and found.minute <= made.minute:
                if found is not state:
                    self._look_at_key(record.site, found.note)
                made.add(self._more(batch, made.minute))
                return self._append(connection, record.site, found, made)
        except BaseException:
            self._undo(connection)
            self._states.clear()  # it may have been committed all the same
            raise
        self._undo(connection)  # this machine's clock is behind, or the database is another
        return super()._done(connection, batch, counts)

    def _append(self, connection: Link, site: str, state: LogState, made: Made) -> list[Kept | StoreError]:
        """Append to a log that is held, and commit."""
        growth = Growth(state.edge, made.leaves)
        size, start = growth.edge.size, state.edge.size
        note = self._sign(site, checkpoint(origin(site), size, growth.root))
        head = state.number, size, made.minute, growth.edge.to_bytes(), note, start
        connection.put(APPEND, *head, *made.rows(), *made.totals(), self._name(0), self._number)
        self._put_nodes(connection, state.number, growth)
        connection.noted = True
        self._end(connection)
        self._states[site] = LogState(state.number, made.minute, growth.edge, note)
        return [
            Kept(waiting.record, salt, start + place, entry, note, growth.path)
            for place, (waiting, salt, entry) in enumerate(zip(made.waiting, made.salts, made.entries, strict=True))
        ]

    def _more(self, batch: Sequence[_Waiting], minute: int) -> list[_Waiting]:
        """Take what has been queued since, of the same kind and no later minute, into the writer's batch: so that where many write to one
        log, who waited for it writes more at once."""
        more: list[_Waiting] = []
        if not isinstance(batch, list) or not batch[0].future.running():
            return more  # withdrawals that were set aside
        with self._mutex:
            most = min(len(self._waiting), self._batch_limit - len(batch))
        if most < 1 or self._aside.names():
            return more  # a withdrawal comes before what is appended after it
        with self._mutex:
            while self._waiting and len(more) < most and _like(self._waiting[0], batch[0].record):
                if minute_of(self._waiting[0].record.time) > minute:
                    break
                waiting = self._waiting.popleft()
                if waiting.future.set_running_or_notify_cancel():
                    more.append(waiting)
                    batch.append(waiting)
        return more

    def _name(self, which: int) -> uuid.UUID:
        if self._names_of != os.getpid():
            self._names, self._names_of = (uuid.uuid4(), uuid.uuid4()), os.getpid()
        return self._names[which]

    def _begin(self, connection: Link) -> None:
        self._number += 1
        connection.begin()
        connection.put("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        version = connection.send(START)
        held = connection.send(HOLD, connection.sites) if connection.sites else None
        try:
            connection.receive()
            ((found, _),) = connection.rows_of(version)
            self._known_version(found)
            connection.held = {row[0]: row[1:] for row in connection.rows_of(held)} if held is not None else {}
        except BaseException:
            self._undo(connection)
            raise

    def _undo(self, connection: Link) -> None:
        try:
            if connection.piped:
                with suppress(psycopg.Error):
                    connection.end()
            if not connection.lost and connection.raw.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                connection.put("ROLLBACK")
        except psycopg.Error:
            connection.close()

    def _end(self, connection: Link) -> None:
        if not connection.noted:
            self.outbox.keep(connection, connection.arrivals)
            connection.put(NOTE, self._name(0), self._number)
        connection.raw.warned = False
        try:
            connection.put("COMMIT")  # up to here a failure leaves nothing; from here on the server may have it all
            connection.put(WAIT)
            connection.end()
        except psycopg.Error as error:
            if error.sqlstate is not None and not isinstance(error, PASSING) and not connection.lost:
                raise  # the server has said no
            if not self._ended(connection, error):
                raise Undone(str(error)) from error
        else:
            if connection.raw.warned and not self._ended(connection, None):
                raise StoreUnavailable(f"{self.path}: a commit is not to be found again. Look at what the server logs.")

    def _ended(self, link: Link, error: Exception | None) -> bool:
        """Whether the transaction of this number was committed, and is now where every commit is to be. Raises StoreUnavailable where
        nobody says so for long."""
        link.close()
        deadline, pause = time.monotonic() + UNSURE * self._patience, 0.05
        while True:
            try:
                link.use(self._open(writes=True).raw)
                ((last,),) = link.settle(LAST, self._name(0))
                if last == self._number:
                    log.warning("%s: the connection was lost during a commit; all of it is there.", self.path)
                return bool(last == self._number)
            except psycopg.Error as again:
                link.close()
                if time.monotonic() + pause > deadline:
                    raise StoreUnavailable(
                        f"{self.path}: the connection was lost during a commit ({self._told(error or again)}), and what became of it could "
                        f"not be learnt: {self._told(again)}. Nothing is acknowledged; the same record may be appended again."
                    ) from again
                self._stopping.wait(pause)
                pause = min(pause * 2, 1.0)

    # Writing ----------------------------------------------------------------------------------------------------

    def _log(self, connection: Link, site: str, known: LogState | None) -> LogState:
        row = connection.held.get(site)
        if row is None:
            hold = (HOLD, [site])
            found = connection.ask(*hold)
            if not found:
                connection.put(
                    "INSERT INTO volens.logs (site, size, minute, edge, note) VALUES ($1, 0, 0, '', '') ON CONFLICT (site) DO NOTHING", site
                )
                found = connection.ask(*hold)
            row = found[0][1:]
        number, size, minute, edge, note = row
        if known is not None and (known.number, known.edge.size, known.minute, known.note) == (number, size, minute, note):
            return known
        try:
            return LogState(number, minute, Edge.from_bytes(size, edge), note)
        except ValueError as error:
            raise StoreError(f"{self.path}: the head of the log of {site} is damaged: {error} Restore the database from a copy.") from error

    def _version(self, connection: Link, site: str, digest: str, notice: bytes | None) -> tuple[int, bool]:
        if notice is not None:
            connection.put("INSERT INTO volens.notices VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING", digest, notice)
        connection.put("INSERT INTO volens.versions (site, digest) VALUES ($1, $2) ON CONFLICT (site, digest) DO NOTHING", site, digest)
        ((number, entry),) = connection.ask("SELECT version, entry FROM volens.versions WHERE site = $1 AND digest = $2", site, digest)
        return number, entry is not None

    def _logged(self, connection: Link, version: int, index: int) -> None:
        connection.put("UPDATE volens.versions SET entry = $2::bigint WHERE version = $1::integer", version, index)

    def _known(self, connection: Link, ids: Sequence[str]) -> dict[str, bytes]:
        return dict(connection.ask("SELECT id, json FROM volens.entries WHERE id = ANY($1::text[])", list(ids)))

    def _insert(self, connection: Link, rows: Sequence[Leaf]) -> None:
        connection.rows = rows  # they wait for their hashes

    def _grow(self, connection: Link, growth: Growth, state: LogState) -> None:
        rows, connection.rows = connection.rows, ()
        ats, minutes, versions, moved, commits, others, ids, salts, records = map(list, zip(*rows, strict=True))
        if any(moved):
            versions = [-version if before else version for version, before in zip(versions, moved, strict=True)]
        jsons = [record if other is None else other for record, other in zip(records, others, strict=True)]
        connection.put(INSERT, ats[0], minutes, versions, commits, growth.whole(0)[1], ids, salts, jsons)
        self._put_nodes(connection, state.number, growth)
        connection.put(GROW, state.number, growth.edge.size, state.minute, growth.edge.to_bytes(), state.note)

    @staticmethod
    def _put_nodes(connection: Link, number: int, growth: Growth) -> None:
        for tier in range(1, 5):
            start, whole = growth.whole(tier * HEIGHT)
            if whole:
                connection.put(NODES, number, tier, start, whole)

    def _add_counts(self, connection: Link, counts: Sequence[tuple[str, str, str, str, str, str, bool, int]]) -> None:
        if counts:
            connection.put(COUNT, *map(list, zip(*sorted(counts), strict=True)))  # in order, so that none waits for another in a ring

    def _add_answers(self, connection: Link, answers: Sequence[Answer]) -> None:
        if answers:
            connection.put(ANSWER, *map(list, zip(*sorted(answers), strict=True)))

    def _tell(self, connection: Link, record: Record, event: Event) -> bool:
        return self.outbox.note(connection, connection.arrivals, record, event)

    def _arrived(self) -> None:
        self.outbox.arrived()

    def _erase(self, connection: Link, ats: Sequence[int]) -> list[int]:
        rows = connection.ask(
            "UPDATE volens.entries SET id = NULL, salt = NULL, json = NULL WHERE at = ANY($1::bigint[]) AND id IS NOT NULL RETURNING at",
            list(ats),
        )
        return sorted(at for (at,) in rows)

    def _publish(self, connection: Link, number: int, size: int, at: float, note: str, now: float) -> None:
        connection.put(
            "INSERT INTO volens.published VALUES ($1, $2::float8, $3, $4)"
            " ON CONFLICT (log, at) DO UPDATE SET size = excluded.size, note = excluded.note",
            number,
            at,
            size,
            note,
        )
        connection.put(
            "DELETE FROM volens.published AS one WHERE log = $1::integer AND at BETWEEN $2::float8 - 259200 AND $2::float8 - 86400"
            " AND EXISTS (SELECT 1 FROM volens.published AS later WHERE later.log = one.log AND later.at > one.at"
            " AND later.at < (floor(one.at / 3600) + 1) * 3600)",
            number,
            now,
        )

    def _attach(self, connection: Link, site: str, digest: str, data: bytes) -> None:
        connection.put("INSERT INTO volens.files VALUES ($1, $2, $3) ON CONFLICT (site, digest) DO NOTHING", site, digest, data)

    # The contract, where it is not the same for all ---------------------------------------------------------------

    def head(self, site: str) -> Head | None:
        """See ``Store.head``: what is read is durable on return."""
        found = super().head(site)
        if found is not None and self._of_a_moment is None and self._durable.get(site) != found.note:
            self._settle("read the log's head")
            self._durable[site] = found.note
        return found

    def check(self) -> None:
        """See ``Store.check``. A commit that waits for the disk and the standbys, as a grant's does."""
        with self._reading("write") as link:
            self._known_version(self._fetch(link, VERSION, ())[0][0])
            link.settle(LAST, self._name(1))

    def close(self) -> None:
        """See ``Store.close``."""
        super().close()
        with self._pooling:
            if self._readers_of == os.getpid():
                while self._readers:
                    self._readers.pop().close()


def read_url(url: str) -> dict[str, Any]:
    """What libpq makes of an address, with what Volens wants beside it; raises StoreError, which does not repeat the address: it may hold
    a password."""
    remedy = "Write postgresql://user:password@host/name, and in user and password %40 for '@', %2F for '/', %3A for ':', %25 for '%'."
    try:
        found = conninfo_to_dict(url)
    except psycopg.Error:
        raise StoreError(f"ledger = 'postgresql://…': not an address of a PostgreSQL database. {remedy}") from None
    told = str(found.get("host") or ""), str(found.get("port") or ""), str(found.get("dbname") or "")
    if any(c in text for text in told for c in "@%?#") or not all(port.isdecimal() or not port for port in told[1].split(",")):
        raise StoreError(f"ledger = 'postgresql://…': not an address of a PostgreSQL database. {remedy}")
    if not found.get("dbname") and not found.get("service"):
        raise StoreError(f"ledger = 'postgresql://…': no database is named. {remedy}")
    given: dict[str, Any] = {"connect_timeout": 5, "application_name": "volens", "target_session_attrs": "read-write"}
    return given | KEEPALIVE | found


def place_of(target: Mapping[str, Any]) -> str:
    """The address without user and password, for messages."""
    hosts = str(target.get("host") or target.get("hostaddr") or "localhost").split(",")
    ports = str(target.get("port") or "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    where = ",".join(f"{host}:{port}" if port and port != "5432" else host for host, port in zip(hosts, ports, strict=False))
    return f"postgresql://{where}/{target.get('dbname') or ''}"


def _may_pass(error: psycopg.Error) -> bool:
    """Whether waiting helps a connection that was refused."""
    if not isinstance(error, psycopg.OperationalError) or isinstance(
        error, errors.InvalidPassword | errors.InvalidAuthorizationSpecification | errors.InvalidCatalogName
    ):
        return False
    words = ("authentication failed", "no pg_hba.conf entry", "no password supplied", 'database "', 'role "')
    return not any(word in str(error) for word in words)
