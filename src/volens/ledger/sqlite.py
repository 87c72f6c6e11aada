"""The store in one SQLite file (WAL, ``synchronous=FULL``), on a local disk.

One thread writes: it takes all that waits and commits it at once, so a disk that syncs 3,000 times a second keeps
many more records than that. Another thread moves the write-ahead log into the file, on its own connection, so that
no grant waits for it.

Nothing is open until the first record or count: a server may build the store, keep notices and read, and then fork
its workers. SQLite's locks do not survive a fork, so a process that inherits a store *in use* is refused.

**The tree.** A full tile is a row of 256 hashes, at ``log << 40 | level << 36 | tile``. The hashes of level 0 that fill no tile yet are
the log's ``tail``: adding to them rewrites 8 KB at most in the row that a commit rewrites anyway. A tile of a level above gets a hash
every 256 entries.

**Before the log.** Records of a store without one wait in ``records_before``; whoever appends moves some after each commit, each step
in one transaction, and readers look there too. A row that is no record any more is put aside in ``records_damaged``, as it is.

**Checkpoints.** SQLite 3.7.0 to 3.51.2 can corrupt a file when a checkpoint of a log that is already copied whole
meets a commit that restarts the log (sqlite.org/wal.html, "The WAL-reset bug"). Here a checkpoint never meets that
state: checkpoints of all processes are serialised by a lock file, and each first commits a row of its own, so that
something is left to copy and no commit can restart the log. Do not run other checkpointers (Litestream, a cron job
with ``PRAGMA wal_checkpoint``) against the file with those versions.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from volens.errors import RecordError, StoreError, StoreTooNew, StoreUnavailable
from volens.ledger import outbox
from volens.ledger.backend import Grown, Leaf, LogState, Repeated, Statements
from volens.ledger.counting import Alike, Answer, CountRow, alike_of, answers_of
from volens.ledger.entry import SALT, commitment, notice_entry
from volens.ledger.outbox import SqliteOutbox, values
from volens.ledger.queries import stored_bytes
from volens.ledger.record import Record
from volens.ledger.store import Event, Signer
from volens.ledger.tree import HASH, HEIGHT, WIDTH, Edge, Growth
from volens.ledger.writer import LedgerStore

log = logging.getLogger("volens.ledger")

APPLICATION = 0x564F4C4E  # "VOLN", so that a file of something else is never taken for ours
STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE records (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, json BLOB NOT NULL)",
        "CREATE TRIGGER records_appended BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'records are never edited'); END",
        "CREATE TABLE notices (digest TEXT PRIMARY KEY, json BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TRIGGER notices_appended BEFORE UPDATE ON notices BEGIN SELECT RAISE(ABORT, 'notices are never edited'); END",
        "CREATE TABLE shown (site TEXT NOT NULL, digest TEXT NOT NULL REFERENCES notices, PRIMARY KEY (site, digest)) WITHOUT ROWID",
        """CREATE TABLE counts (
            site TEXT NOT NULL, day TEXT NOT NULL, event TEXT NOT NULL, notice TEXT NOT NULL, surface TEXT NOT NULL,
            language TEXT NOT NULL, gpc INTEGER NOT NULL, n INTEGER NOT NULL,
            PRIMARY KEY (site, day, event, notice, surface, language, gpc)) WITHOUT ROWID""",
        "CREATE TABLE tick (one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL)",
        "INSERT INTO tick VALUES (1, 0)",
    ),
    outbox.TABLES,
    outbox.EXPIRING,
    (
        "ALTER TABLE records RENAME TO records_before",
        "CREATE TABLE records_damaged (id TEXT NOT NULL, json BLOB NOT NULL)",
        """CREATE TABLE logs (
            log INTEGER PRIMARY KEY, site TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, minute INTEGER NOT NULL,
            edge BLOB NOT NULL, note TEXT NOT NULL, tail BLOB NOT NULL)""",
        """CREATE TABLE versions (
            version INTEGER PRIMARY KEY, site TEXT NOT NULL, digest TEXT NOT NULL REFERENCES notices, entry INTEGER,
            UNIQUE (site, digest))""",
        "INSERT INTO versions (site, digest) SELECT site, digest FROM shown",
        "DROP TABLE shown",
        """CREATE TABLE entries (
            at INTEGER PRIMARY KEY, minute INTEGER NOT NULL, version INTEGER, moved INTEGER NOT NULL,
            hash BLOB, other BLOB, id TEXT, salt BLOB, json BLOB)""",
        "CREATE UNIQUE INDEX entries_id ON entries (id) WHERE id IS NOT NULL",
        "CREATE INDEX entries_other ON entries (at) WHERE other IS NOT NULL",
        """CREATE TRIGGER entries_appended BEFORE UPDATE ON entries WHEN
            NEW.id IS NOT NULL OR NEW.salt IS NOT NULL OR NEW.json IS NOT NULL OR NEW.at <> OLD.at OR NEW.minute <> OLD.minute
            OR NEW.version IS NOT OLD.version OR NEW.moved <> OLD.moved OR NEW.hash IS NOT OLD.hash OR NEW.other IS NOT OLD.other
            BEGIN SELECT RAISE(ABORT, 'entries are never edited, only what a record said is erased'); END""",
        "CREATE TRIGGER entries_stay BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END",
        "CREATE TABLE tiles (at INTEGER PRIMARY KEY, hashes BLOB NOT NULL)",
        """CREATE TABLE answers (
            site TEXT NOT NULL, day TEXT NOT NULL, event TEXT NOT NULL, purpose TEXT NOT NULL, surface TEXT NOT NULL,
            language TEXT NOT NULL, yes INTEGER NOT NULL, part INTEGER NOT NULL, no INTEGER NOT NULL,
            PRIMARY KEY (site, day, event, purpose, surface, language)) WITHOUT ROWID""",
        "CREATE TABLE published (log INTEGER NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL, note TEXT NOT NULL, PRIMARY KEY (log, at))",
        "CREATE TABLE files (site TEXT NOT NULL, digest TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (site, digest))",
    ),
)
"""Schema steps; step n makes version n (``user_version``) and is noted in the same transaction."""

ENTRY = "at, minute, digest, moved, hash, other, salt, json"
BATCH = (
    "CREATE TEMP VIEW batch AS SELECT 0 AS kind, 0 AS a, 0 AS b, 0 AS c, 0 AS d, 0 AS e, 0 AS f, 0 AS g, 0 AS h, 0 AS i",
    *(
        f"CREATE TEMP TRIGGER batch_{kind} INSTEAD OF INSERT ON batch WHEN NEW.kind = {kind} BEGIN {action}; END"
        for kind, action in enumerate(
            (
                "INSERT INTO entries VALUES (NEW.a, NEW.b, NEW.c, NEW.d, NEW.e, NEW.f, NEW.g, NEW.h, NEW.i)",
                "SELECT RAISE(ABORT, 'the log has grown') FROM logs WHERE log = NEW.a AND (size, minute) <> (NEW.b, NEW.c)",
                "INSERT INTO tiles SELECT NEW.a, CAST(tail || NEW.c AS BLOB) FROM logs WHERE log = NEW.b",
                "INSERT INTO tiles VALUES (NEW.a, NEW.b) ON CONFLICT (at) DO UPDATE SET hashes = CAST(hashes || excluded.hashes AS BLOB)",
                (
                    "UPDATE logs SET size = NEW.b, minute = NEW.c, edge = NEW.d, note = NEW.e,"
                    " tail = CASE WHEN NEW.f THEN CAST(tail || NEW.g AS BLOB) ELSE NEW.g END WHERE log = NEW.a"
                ),
                (
                    "INSERT INTO counts VALUES (NEW.a, NEW.b, NEW.c, NEW.d, NEW.e, NEW.f, NEW.g, NEW.h)"
                    " ON CONFLICT (site, day, event, notice, surface, language, gpc) DO UPDATE SET n = n + excluded.n"
                ),
                (
                    "INSERT INTO answers VALUES (NEW.a, NEW.b, NEW.c, NEW.d, NEW.e, NEW.f, NEW.g, NEW.h, NEW.i)"
                    " ON CONFLICT (site, day, event, purpose, surface, language) DO UPDATE"
                    " SET yes = yes + excluded.yes, part = part + excluded.part, no = no + excluded.no"
                ),
            )
        )
    ),
)
"""A whole group commit as one statement: an INSERT into this view, each row told apart by its kind. Seven statements less to wait for."""
ENTRY_, CHECK, FILL, TILE, LOG, COUNT, ANSWER, NOTHING = range(8)
SQL = Statements(
    notices="SELECT digest, json FROM versions JOIN notices USING (digest) WHERE site = ?",
    record="SELECT json FROM entries WHERE id = ?1 UNION ALL SELECT json FROM records_before WHERE id = ?1"
    " UNION ALL SELECT json FROM records_damaged WHERE id = ?1",
    totals="SELECT day, event, notice, surface, language, gpc, n FROM counts WHERE site = ? AND day BETWEEN ? AND ?"
    " ORDER BY day, event, notice, surface, language, gpc",
    answers="SELECT day, event, purpose, surface, language, yes, part, no FROM answers WHERE site = ? AND day BETWEEN ? AND ?"
    " AND purpose <> '' ORDER BY day, event, purpose, surface, language",
    extents="SELECT day, event, surface, language, yes, part, no FROM answers WHERE site = ? AND day BETWEEN ? AND ?"
    " AND purpose = '' ORDER BY day, event, surface, language",
    sites="SELECT site FROM logs ORDER BY site",
    head="SELECT log, size, minute, edge, note FROM logs WHERE site = ?",
    kept=f"SELECT logs.site, {ENTRY.replace('minute', 'entries.minute')} FROM entries JOIN logs ON log = at >> 40"
    " LEFT JOIN versions USING (version) WHERE id = ?",
    rows=f"SELECT {ENTRY} FROM entries LEFT JOIN versions USING (version) WHERE at BETWEEN ? AND ? ORDER BY at LIMIT ?",
    held=f"SELECT {ENTRY} FROM entries LEFT JOIN versions USING (version) WHERE at BETWEEN ? AND ? AND id IS NOT NULL ORDER BY at LIMIT ?",
    others=f"SELECT {ENTRY} FROM entries INDEXED BY entries_other LEFT JOIN versions USING (version)"
    " WHERE other IS NOT NULL AND at BETWEEN ? AND ? ORDER BY at LIMIT ?",
    minute="SELECT minute FROM entries WHERE at = ?",
    hashes="SELECT hashes FROM tiles WHERE at = ((?1 << 40) | (?2 << 36) | ?3)"
    " UNION ALL SELECT tail FROM logs WHERE log = ?1 AND ?2 = 0 AND size >> 8 = ?3",
    published="SELECT published.note FROM published JOIN logs USING (log) WHERE site = ? AND published.size >= ?"
    " AND at = (SELECT max(at) FROM published AS one WHERE one.log = published.log)",
    checkpoints="SELECT published.size, at, published.note FROM published JOIN logs USING (log) WHERE site = ? AND at >= ? ORDER BY at",
    attached="SELECT data FROM files WHERE site = ? AND digest = ?",
    attachments="SELECT digest FROM files WHERE site = ? ORDER BY digest",
)

ROOM = 1 << 20
"""Bytes of a disk below which it counts as full."""
CHECKPOINT = 1.0
"""Seconds between two checkpoints while there is something to copy."""
LOG_FRAMES = 8_192
"""Pages (32 MB) of log above which a checkpoint makes writers wait the moment it takes to start the log anew."""
MOVED = 500
"""Records of before the log that one transaction moves: some 30 ms."""
STATEMENT = 512
"""Most rows in one statement."""
READERS = 8
"""Connections kept open for reading."""


def _portions(number: int, most: int) -> Iterator[int]:
    """How many rows each statement has: few statements, and few different ones, since each is compiled once."""
    portion = most
    while number:
        while portion > 128 and portion > number:
            portion //= 2
        yield min(portion, number)
        number -= min(portion, number)


def _tiles(number: int, tier: int, start: int, hashes: bytes) -> Iterator[tuple[int, bytes]]:
    """The rows of tiles that hashes go into, from an index of their level on."""
    while hashes:
        tile, inside = divmod(start, WIDTH)
        part = hashes[: (WIDTH - inside) * HASH]
        yield number << 40 | tier << 36 | tile, part
        hashes, start = hashes[len(part) :], start + len(part) // HASH


_REST = [(None,) * (10 - length) for length in range(11)]


class _Connection(sqlite3.Connection):
    """One that knows how long it waits for others."""

    waits = -1.0
    batches = False
    """It has the view ``batch``."""


def _wait(connection: sqlite3.Connection, seconds: float) -> None:
    if not isinstance(connection, _Connection) or connection.waits != seconds:
        connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    if isinstance(connection, _Connection):
        connection.waits = seconds


_in_use: list[SqliteStore] = []
"""The stores of this process whose threads run, and, in a forked process, those of the one it came from."""


class SqliteStore(LedgerStore[sqlite3.Connection]):
    """A ``Store`` in the file ``path``, created (mode 0600) where there is none; its directory must exist.

    For the rest see ``LedgerStore``. Raises StoreUnavailable, StoreTooNew or StoreError when the file can't be used.
    """

    sql = SQL
    at_once = 128
    errors = (sqlite3.Error, OSError)

    def __init__(
        self,
        path: str | os.PathLike[str],
        signer: Signer | None = None,
        *,
        queue: int = 10_000,
        batch: int = 512,
        patience: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        path = os.path.abspath(path)
        super().__init__(path, Path(path + "-withdrawals"), signer, queue=queue, batch=batch, patience=patience, clock=clock)
        self.outbox: SqliteOutbox = SqliteOutbox(self)
        self._dirty = threading.Event()  # something was committed since the last checkpoint
        self._readers: list[sqlite3.Connection] = []
        self._check_process()
        with self._clear_errors("open"):
            self._create()
            connection = self._connect()
            try:
                self._migrate(connection)
                waiting = "SELECT EXISTS (SELECT 1 FROM records_before) OR EXISTS (SELECT 1 FROM versions WHERE entry IS NULL)"
                self._unmoved = bool(connection.execute(waiting).fetchone()[0])
            finally:
                connection.close()
            place = os.stat(self.path)
            self._place = (place.st_dev, place.st_ino)

    # The file ---------------------------------------------------------------------------------------------------

    def _create(self) -> None:
        # Never open a file that exists: closing it again would drop the locks this process has on it (POSIX).
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            Path(self.path).as_uri() + "?mode=rw",
            uri=True,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            factory=_Connection,
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")  # whatever moves leaves no copy behind: it may be erased later
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute(f"PRAGMA journal_size_limit = {16 * LOG_FRAMES * 1024}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _shut(self, connection: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):
            connection.close()

    def _migrate(self, connection: sqlite3.Connection) -> None:
        def pragma(name: str) -> int:
            return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

        version = pragma("user_version")
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if tables and pragma("application_id") != APPLICATION:
            raise StoreError(f"{self.path}: a SQLite database, but not a Volens ledger. Name another file; this one was left as it is.")
        if version > len(STEPS):
            raise StoreTooNew(
                f"{self.path}: schema version {version}, but this Volens knows versions up to {len(STEPS)}. "
                "Install the Volens that wrote it, or a later one; the file was left as it is."
            )
        deadline = time.monotonic() + self._patience
        while True:  # SQLite does not wait by itself where two processes switch a new file to WAL at once
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        try:
            if mode != "wal":
                raise StoreError(f"{self.path}: no write-ahead log is possible on this file system. Name a file on a local disk.")
            for number in range(pragma("user_version"), len(STEPS)):
                for statement in STEPS[number]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number + 1}")
            if version < len(STEPS):
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute("UPDATE tick SET n = n WHERE one = 0")  # changes nothing, but tells now whether writing is permitted
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _explain(self, doing: str, error: Exception) -> StoreError:
        """The error said to the person who runs the site: where, what was found, what to do."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        folder = os.path.dirname(self.path)
        may = partial(os.access, effective_ids=os.access in os.supports_effective_ids)
        remedy = f"{error}."
        if not os.path.isdir(folder):
            remedy = f"the directory {folder!r} does not exist. Create it, or name another file."
        elif os.path.isdir(self.path):
            remedy = "it is a directory. Name a file in it."
        elif code == sqlite3.SQLITE_NOTADB:
            return StoreError(f"{self.path}: not a SQLite database. Name another file; this one was left as it is.")
        elif code == sqlite3.SQLITE_CORRUPT:
            remedy = f"the file is damaged ({error}). Restore it from a copy, or save what 'sqlite3 FILE .recover' still reads."
        elif code == sqlite3.SQLITE_BUSY:
            remedy = f"another process has been writing to it for more than {self._patience:g} s ({error}). Stop what holds it."
        elif code == sqlite3.SQLITE_FULL:
            remedy = "the disk is full. Make room; writing goes on by itself."
        elif not may(folder, os.W_OK | os.X_OK):
            remedy = f"user {os.geteuid()} may not write to the directory {folder!r}, where SQLite also keeps its log. Give it that right."
        elif code == sqlite3.SQLITE_READONLY or not may(self.path, os.R_OK | os.W_OK):
            remedy = f"user {os.geteuid()} may not write to it, or the disk is mounted read-only. Give it that right."
        elif code == sqlite3.SQLITE_IOERR:
            name = getattr(error, "sqlite_errorname", "SQLITE_IOERR")
            remedy = f"the system could not write ({name}): a full or failing disk, or a limit on file size. Writing goes on by itself."
        return StoreUnavailable(f"{self.path}: could not {doing}: {remedy}")

    @contextmanager
    def reading(self, doing: str) -> Iterator[sqlite3.Connection]:
        """A connection to read with: one of those kept once the store is in use; before, nothing stays open, for a process that only
        reads or is yet to fork."""
        self._check_process()
        with self._clear_errors(doing):
            keep = self._pid == os.getpid() and not self._closed and self._there()
            try:
                connection = self._readers.pop() if keep else self._connect()
            except IndexError:
                connection = self._connect()
            try:
                yield connection
            except BaseException:
                self._shut(connection)
                raise
            if keep and not self._closed and len(self._readers) < READERS:
                self._readers.append(connection)
            else:
                self._shut(connection)

    _reading = reading

    @contextmanager
    def _held(self, doing: str) -> Iterator[sqlite3.Connection]:
        self._check_process()
        with self._clear_errors(doing):
            connection = self._connect()
            try:
                connection.execute("BEGIN")
                connection.execute("SELECT n FROM tick").fetchone()  # the moment is that of the first reading
                yield connection
            finally:
                self._shut(connection)

    def _fetch(self, connection: sqlite3.Connection, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        return connection.execute(statement, parameters).fetchall()

    @contextmanager
    def writing(self, doing: str) -> Iterator[sqlite3.Connection]:
        """For the outbox: a transaction of its own, committed at the end."""
        self._check_process()
        with self._write, self._clear_errors(doing):
            connection = self._connect()
            try:
                self._begin(connection)
                yield connection
                connection.execute("COMMIT")
            finally:
                self._shut(connection)

    def _begin(self, connection: sqlite3.Connection) -> None:
        self._patiently(connection, "BEGIN IMMEDIATE")

    def _patiently(self, connection: sqlite3.Connection, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Wait for other processes that write, in short steps: SQLite's own grow to 100 ms, and one starves."""
        deadline = time.monotonic() + self._patience
        _wait(connection, 0)
        while True:
            try:
                connection.execute(statement, parameters)
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.0005)

    def _end(self, connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")

    def _undo(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")

    def _committed(self) -> None:
        self._dirty.set()
        self._in_place()

    def _there(self) -> bool:
        place = os.stat(self.path)
        return (place.st_dev, place.st_ino) == self._place

    def _in_place(self) -> None:
        """Rows committed to a file that was moved away or replaced are not in the ledger: fail rather than acknowledge."""
        if not self._there():
            raise StoreUnavailable(f"{self.path}: the file was replaced while it was in use. Restart Volens to write to the new one.")

    def check(self) -> None:
        """See ``Store.check``."""
        self._check_process()
        with self._clear_errors("write"):
            connection = self._connect()
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE tick SET n = n WHERE one = 0")
                connection.execute("ROLLBACK")
            finally:
                self._shut(connection)
            self._in_place()
            room = os.statvfs(self.path)
            if room.f_bavail * room.f_frsize < ROOM:
                raise StoreUnavailable(f"{self.path}: less than {ROOM >> 20} MiB of the disk are free. Make room.")

    def close(self) -> None:
        """See ``Store.close``."""
        super().close()
        if self._pid != os.getpid():
            return
        while self._readers:
            self._shut(self._readers.pop())
        with suppress(ValueError):
            _in_use.remove(self)

    # Writing ----------------------------------------------------------------------------------------------------

    def _log(self, connection: sqlite3.Connection, site: str, known: LogState | None) -> LogState:
        row = connection.execute("SELECT log, size, minute FROM logs WHERE site = ?", (site,)).fetchone()
        if row is None:
            connection.execute("INSERT INTO logs (site, size, minute, edge, note, tail) VALUES (?, 0, 0, x'', '', x'')", (site,))
            return self._log(connection, site, None)
        number, size, minute = row
        if known is not None and (known.number, known.edge.size, known.minute) == row:
            return known
        edge, note = connection.execute("SELECT edge, note FROM logs WHERE log = ?", (number,)).fetchone()
        try:
            return LogState(number, minute, Edge.from_bytes(size, edge), note)
        except ValueError as error:
            raise StoreError(f"{self.path}: the head of the log of {site} is damaged: {error} Restore the file from a copy.") from error

    def _version(self, connection: sqlite3.Connection, site: str, digest: str, notice: bytes | None) -> tuple[int, bool]:
        if notice is not None:
            connection.execute("INSERT OR IGNORE INTO notices VALUES (?, ?)", (digest, notice))
        connection.execute("INSERT OR IGNORE INTO versions (site, digest) VALUES (?, ?)", (site, digest))
        number, entry = connection.execute("SELECT version, entry FROM versions WHERE (site, digest) = (?, ?)", (site, digest)).fetchone()
        return number, entry is not None

    def _logged(self, connection: sqlite3.Connection, version: int, index: int) -> None:
        connection.execute("UPDATE versions SET entry = ? WHERE version = ?", (index, version))

    def _known(self, connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, bytes]:
        these = "id IN (SELECT value FROM json_each(?1))"
        return {
            id: stored_bytes(data)
            for id, data in connection.execute(
                f"SELECT id, json FROM entries WHERE {these} UNION ALL SELECT id, json FROM records_before WHERE {these}",
                (json.dumps(ids),),
            )
        }

    def _insert(self, connection: sqlite3.Connection, rows: Sequence[Leaf]) -> None:
        most = min(STATEMENT, connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // 9)
        start = 0
        try:
            for portion in _portions(len(rows), most):
                connection.execute(values("entries", 9, portion), [*chain.from_iterable(rows[start : start + portion])])
                start += portion
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                raise Repeated from error
            raise

    def _grow(self, connection: sqlite3.Connection, growth: Growth, state: LogState) -> None:
        old, size = growth.before.size, growth.edge.size
        fresh = b"".join(growth.whole(0)[1])
        if old // WIDTH == size // WIDTH:
            tail = "CAST(tail || ? AS BLOB)"  # || makes a text of two blobs
        else:  # a tile is full
            (before,) = connection.execute("SELECT tail FROM logs WHERE log = ?", (state.number,)).fetchone()
            hashes, full = before + fresh, size // WIDTH - old // WIDTH
            tail, fresh = "?", hashes[full * WIDTH * HASH :]
            self._add_hashes(connection, state.number, 0, old // WIDTH * WIDTH, hashes[: full * WIDTH * HASH])
            for tier in range(1, 5):
                start, whole = growth.whole(tier * HEIGHT)
                if whole:
                    self._add_hashes(connection, state.number, tier, start, b"".join(whole))
        connection.execute(
            f"UPDATE logs SET size = ?, minute = ?, edge = ?, note = ?, tail = {tail} WHERE log = ?",
            (size, state.minute, growth.edge.to_bytes(), state.note, fresh, state.number),
        )

    def _add_hashes(self, connection: sqlite3.Connection, number: int, tier: int, start: int, hashes: bytes) -> None:
        """Add hashes of a level of tiles, from an index of that level on."""
        rows = list(_tiles(number, tier, start, hashes))
        more = " ON CONFLICT (at) DO UPDATE SET hashes = CAST(hashes || excluded.hashes AS BLOB)"
        connection.execute(values("tiles", 2, len(rows), more), [*chain.from_iterable(rows)])

    def _write_at_once(
        self, connection: sqlite3.Connection, grown: Sequence[Grown], counts: Sequence[CountRow], answers: Sequence[Answer]
    ) -> None:
        if isinstance(connection, _Connection) and not connection.batches:
            connection.execute("PRAGMA temp_store = MEMORY")
            for statement in BATCH:
                connection.execute(statement)
            connection.batches = True
        found: list[tuple[Any, ...]] = []
        for each in grown:
            growth, state = each.growth, each.state
            number, old, size = state.number, growth.before.size, growth.edge.size
            found.append((CHECK, number, old, each.minute))
            found += [(ENTRY_, *row) for row in each.rows]
            fresh, full = b"".join(growth.whole(0)[1]), size // WIDTH - old // WIDTH
            if full:
                room = (WIDTH - old % WIDTH) * HASH
                found.append((FILL, number << 40 | old // WIDTH, number, fresh[:room]))
                whole = [(0, old // WIDTH * WIDTH + WIDTH, fresh[room : room + (full - 1) * WIDTH * HASH])]
                whole += [(tier, start, b"".join(hashes)) for tier in range(1, 5) for start, hashes in (growth.whole(tier * HEIGHT),)]
                found += [(TILE, *tile) for tier, start, hashes in whole for tile in _tiles(number, tier, start, hashes)]
                fresh = fresh[room + (full - 1) * WIDTH * HASH :]
            found.append((LOG, number, size, state.minute, growth.edge.to_bytes(), state.note, not full, fresh))
        found += [(COUNT, *row) for row in counts]
        found += [(ANSWER, *row) for row in answers]
        if len(found) * 10 > connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER):
            raise Repeated  # not at once, then
        step = 4 if len(found) <= 32 else 16  # few different statements, since each is compiled once
        found += [(NOTHING,)] * (-len(found) % step)
        try:
            self._patiently(connection, values("batch", 10, len(found)), [*chain.from_iterable(row + _REST[len(row)] for row in found)])
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_TRIGGER):
                raise Repeated from error
            raise

    def _add_counts(self, connection: sqlite3.Connection, counts: Sequence[tuple[str, str, str, str, str, str, bool, int]]) -> None:
        more = " ON CONFLICT (site, day, event, notice, surface, language, gpc) DO UPDATE SET n = n + excluded.n"
        self._add(connection, "counts", 8, counts, more)

    def _add_answers(self, connection: sqlite3.Connection, answers: Sequence[Answer]) -> None:
        more = " ON CONFLICT (site, day, event, purpose, surface, language) DO UPDATE"
        more += " SET yes = yes + excluded.yes, part = part + excluded.part, no = no + excluded.no"
        self._add(connection, "answers", 9, answers, more)

    @staticmethod
    def _add(connection: sqlite3.Connection, table: str, columns: int, rows: Sequence[tuple[Any, ...]], more: str) -> None:
        start = 0
        for portion in _portions(len(rows), 64):
            connection.execute(values(table, columns, portion, more), [*chain.from_iterable(rows[start : start + portion])])
            start += portion

    def _tell_all(self, connection: sqlite3.Connection, told: Sequence[tuple[Record, Event]]) -> bool:
        return self.outbox.insert(connection, told)

    def _arrived(self) -> None:
        self.outbox.arrived()

    def _erase(self, connection: sqlite3.Connection, ats: Sequence[int]) -> list[int]:
        these = "at IN (SELECT value FROM json_each(?)) AND id IS NOT NULL"
        listed = (json.dumps(ats),)
        found = [at for (at,) in connection.execute(f"SELECT at FROM entries WHERE {these} ORDER BY at", listed)]
        connection.execute(f"UPDATE entries SET id = NULL, salt = NULL, json = NULL WHERE {these}", listed)
        return found

    def _publish(self, connection: sqlite3.Connection, number: int, size: int, at: float, note: str, now: float) -> None:
        connection.execute("INSERT OR REPLACE INTO published VALUES (?, ?, ?, ?)", (number, at, size, note))
        connection.execute(
            "DELETE FROM published WHERE log = ?1 AND at BETWEEN ?2 - 259200 AND ?2 - 86400 AND EXISTS (SELECT 1 FROM published AS later"
            " WHERE later.log = ?1 AND later.at > published.at AND later.at / 3600 | 0 = published.at / 3600 | 0)",
            (number, now),
        )

    def _attach(self, connection: sqlite3.Connection, site: str, digest: str, data: bytes) -> None:
        connection.execute("INSERT OR IGNORE INTO files VALUES (?, ?, ?)", (site, digest, data))

    def _move(self, connection: sqlite3.Connection) -> bool:
        alike: dict[Alike, int] = {}
        with self._transaction(connection) as work:
            for version, site, digest in connection.execute("SELECT version, site, digest FROM versions WHERE entry IS NULL").fetchall():
                growing = work.log(site)
                self._logged(connection, version, growing.other(notice_entry(site, growing.minute, digest)))
            rows = connection.execute("SELECT seq, id, json FROM records_before ORDER BY seq LIMIT ?", (MOVED,)).fetchall()
            for _, id, data in rows:
                try:
                    record = Record.parse(stored_bytes(data))
                    if record.id != id:
                        raise RecordError(f"it is kept as {id}, and says that it is {record.id}.")
                except RecordError as error:
                    log.error("%s: record %s is damaged, and put aside in the table records_damaged: %s", self.path, id, error)
                    connection.execute("INSERT INTO records_damaged VALUES (?, ?)", (id, data))
                    continue
                version, _ = self._version(connection, record.site, record.notice, None)
                salt = os.urandom(SALT)
                work.log(record.site).record(commitment(salt, data), record.notice, version, id, salt, data, moved=True)
                key = alike_of(record)
                alike[key] = alike.get(key, 0) + 1
            if rows:
                connection.execute("DELETE FROM records_before WHERE seq <= ?", (rows[-1][0],))
            self._add_answers(connection, answers_of(alike))
        return len(rows) == MOVED

    def erase(self, site: str, indexes: Iterable[int], reason: str) -> int:
        """See ``Store.erase``. What is erased leaves the write-ahead log too, unless a long reader still needs it there."""
        erased = super().erase(site, indexes, reason)
        if erased:
            with self._clear_errors("cut off the log"):
                turn, connection = self._turn(), self._connect()
                try:
                    fcntl.flock(turn, fcntl.LOCK_EX)
                    self._tick(connection)
                    _wait(connection, self._patience)
                    with self._write:
                        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                finally:
                    self._shut(connection)
                    os.close(turn)
            if busy:
                log.warning("%s-wal: still holds what was erased, since somebody reads from it. It goes when that ends.", self.path)
        return erased

    # Threads ----------------------------------------------------------------------------------------------------

    def _started(self) -> Iterable[Callable[[], None]]:
        _in_use.append(self)
        return (self._checkpointer,)

    def _wake(self) -> None:
        self._dirty.set()

    def _check_process(self) -> None:
        """Refuse a process forked from one that uses the file: SQLite's idea of its locks is wrong there."""
        for store in _in_use:
            if store.path == self.path and store._pid != os.getpid():
                raise StoreUnavailable(
                    f"{self.path}: in use in process {store._pid} when process {os.getpid()} was forked from it; the locks did not follow. "
                    "Fork workers before the first record, or start them as programs of their own."
                )

    def _checkpointer(self) -> None:
        connection: sqlite3.Connection | None = None
        turn = -1
        while self._dirty.wait() and not self._closed:
            self._dirty.clear()
            pause = CHECKPOINT
            try:
                if turn < 0:
                    turn = self._turn()
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                connection = connection or self._connect()
                if self._checkpoint(connection):
                    pause = 0.0
            except BlockingIOError:
                pass  # another process is at it
            except (sqlite3.Error, OSError) as error:
                log.info("%s", self._explain("move the log into the file", error))
                if connection is not None:
                    connection.close()
                    connection = None
                self._dirty.set()
            finally:
                if turn >= 0:
                    fcntl.flock(turn, fcntl.LOCK_UN)
            self._stopping.wait(pause)
        if connection is not None:
            connection.close()
        if turn >= 0:
            os.close(turn)

    def _turn(self) -> int:
        """The file whose lock says who may move the log into the file."""
        return os.open(self.path + "-checkpoint", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def _checkpoint(self, connection: sqlite3.Connection) -> bool:
        """Copy the log into the file beside the writers; whether it is so long that the next time should be soon."""
        self._tick(connection)
        _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if frames <= LOG_FRAMES:
            return False
        self._tick(connection)
        with self._write:  # what came in meanwhile is little: copy it with writers waiting, so that the log starts anew
            _wait(connection, 0.1)  # a long reader must not hold up the writers
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        return not busy

    def _tick(self, connection: sqlite3.Connection) -> None:
        """A commit without which a checkpoint is not safe: see *Checkpoints* above."""
        with self._write:
            self._begin(connection)
            connection.execute("UPDATE tick SET n = n + 1")
            connection.execute("COMMIT")
