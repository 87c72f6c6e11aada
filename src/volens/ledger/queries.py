"""What is read from a ledger: notices, records, counts, entries, the tree over them, proofs, checkpoints. Nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Self

from volens.errors import NoticeError, RecordError, StoreError
from volens.ledger.backend import INDEX_BITS, INDEXES, Backend, C, LogState
from volens.ledger.entry import RecordEntries
from volens.ledger.entry import minute as minute_of
from volens.ledger.receipt import Receipt
from volens.ledger.record import Record
from volens.ledger.store import Answered, Extent, Head, Published, Row, Total
from volens.ledger.tree import Edge, ReadTile, Tiles
from volens.notice import Notice

STEP = 2_000
"""Entries that are read in one step."""
NODES = 50_000
"""Nodes of trees remembered, some 10 MB."""


class _Nodes(Tiles):
    """The tree of one log. Whole nodes never change: those that were worked out are remembered."""

    def __init__(self, size: int, read: ReadTile, number: int, known: dict[tuple[int, int, int], bytes], edge: Edge | None = None) -> None:
        super().__init__(size, read)
        self._number, self._known = number, known
        self._edge: dict[tuple[int, int], bytes] = {}
        if edge is not None and edge.size == size:  # what is right of the last whole subtree need not be read
            first = 0
            for level, part in zip((n for n in range(size.bit_length() - 1, -1, -1) if size >> n & 1), edge.hashes, strict=True):
                self._edge[level, first >> level] = part
                first += 1 << level

    def node(self, level: int, index: int) -> bytes:
        if (level, index) in self._edge:
            return self._edge[level, index]
        if level == 0:
            return super().node(level, index)
        key = (self._number, level, index)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= NODES:
                self._known.clear()
            found = self._known[key] = super().node(level, index)
        return found


class Queries(Backend[C]):
    """The reading half of ``store.Store``, of any database."""

    def _reset(self) -> None:
        """Forget what was worked out of logs."""
        self._of_a_moment: C | None = None
        self._made: dict[str, RecordEntries] = {}
        self._nodes: dict[tuple[int, int, int], bytes] = {}
        self._edges: dict[tuple[int, int], Edge] = {}

    def _flush(self) -> None:
        """Have the counts that wait in memory written first."""
        raise NotImplementedError

    def _rows(self, doing: str, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if self._of_a_moment is not None:
            with self._clear_errors(doing):
                return self._fetch(self._of_a_moment, statement, parameters)
        with self._reading(doing) as connection:
            return self._fetch(connection, statement, parameters)

    @contextmanager
    def moment(self) -> Iterator[Self]:
        """See ``Store.moment``."""
        self._flush()
        with self._held("read as of one moment") as connection:
            then = copy(self)
            then._of_a_moment = connection
            yield then

    @contextmanager
    def _clear_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except self.errors as error:
            raise error if isinstance(error, StoreError) else self._explain(doing, error) from error

    def _entries_of(self, site: str) -> RecordEntries:
        found = self._made.get(site)
        if found is None:
            if len(self._made) > 1000:
                self._made = {}
            found = self._made[site] = RecordEntries(site)
        return found

    # Notices and files --------------------------------------------------------------------------------------------

    def notices(self, site: str) -> Mapping[str, Notice]:
        """See ``Store.notices``."""
        found = {}
        for digest, data in self._rows("read notices", self.sql.notices, (site,)):
            try:
                notice = Notice.from_json(json.loads(data))
            except (NoticeError, ValueError) as error:
                raise StoreError(f"{self.path}: notice {digest[:16]} is damaged: {error}") from error
            if notice.digest != digest:
                raise StoreError(f"{self.path}: notice {digest[:16]} is damaged: its content has digest {notice.digest[:16]}.")
            found[notice.short] = notice
        return MappingProxyType(found)

    def attached(self, site: str, digest: str) -> bytes | None:
        """See ``Store.attached``."""
        rows = self._rows("read a file", self.sql.attached, (site, digest))
        return bytes(rows[0][0]) if rows else None

    def attachments(self, site: str) -> list[str]:
        """See ``Store.attachments``."""
        return [digest for (digest,) in self._rows("list files", self.sql.attachments, (site,))]

    # Records and counts -------------------------------------------------------------------------------------------

    def record(self, id: str) -> Record | None:
        """See ``Store.record``."""
        rows = self._rows("read a record", self.sql.record, (id,))
        try:
            return Record.parse(stored_bytes(rows[0][0])) if rows else None
        except RecordError as error:
            raise StoreError(f"{self.path}: record {id} is damaged: {error}") from error

    def totals(self, site: str, since: date, until: date) -> list[Total]:
        """See ``Store.totals``."""
        self._flush()
        return [
            Total(day=day, event=event, notice=notice, surface=surface, language=language, gpc=bool(gpc), count=n)
            for day, event, notice, surface, language, gpc, n in self._rows(
                "read counts", self.sql.totals, (site, since.isoformat(), until.isoformat())
            )
        ]

    def answers(self, site: str, since: date, until: date) -> list[Answered]:
        """See ``Store.answers``."""
        return [
            Answered(day=day, event=event, purpose=purpose, surface=surface, language=language, yes=yes, no=no)
            for day, event, purpose, surface, language, yes, _, no in self._rows(
                "read counts", self.sql.answers, (site, since.isoformat(), until.isoformat())
            )
        ]

    def extents(self, site: str, since: date, until: date) -> list[Extent]:
        """See ``Store.extents``."""
        return [
            Extent(day=day, event=event, surface=surface, language=language, all=every, some=some, none=none)
            for day, event, surface, language, every, some, none in self._rows(
                "read counts", self.sql.extents, (site, since.isoformat(), until.isoformat())
            )
        ]

    # The log ------------------------------------------------------------------------------------------------------

    def sites(self) -> list[str]:
        """See ``Store.sites``."""
        return [site for (site,) in self._rows("list logs", self.sql.sites)]

    def _state(self, site: str) -> LogState | None:
        rows = self._rows("read the log's head", self.sql.head, (site,))
        if not rows:
            return None
        number, size, minute, edge, note = rows[0]
        try:
            return LogState(number, minute, Edge.from_bytes(size, bytes(edge)), note)
        except ValueError as error:
            raise StoreError(f"{self.path}: the head of the log of {site} is damaged: {error}") from error

    def head(self, site: str) -> Head | None:
        """See ``Store.head``."""
        state = self._state(site)
        return None if state is None else Head(site, state.edge.size, state.edge.root, state.note, state.minute)

    def find(self, id: str) -> tuple[str, int] | None:
        """See ``Store.find``."""
        rows = self._rows("look for a record", self.sql.kept, (id,))
        return (rows[0][0], rows[0][1] & INDEXES) if rows else None

    def receipt(self, id: str) -> Receipt | None:
        """See ``Store.receipt``."""
        rows = self._rows("read a record", self.sql.kept, (id,))
        if not rows:
            return None
        site, at, *made = rows[0]
        row = self._row(site, at, *made)
        state = self._state(site)
        assert state is not None and row.salt is not None and row.record is not None  # noqa: S101 — it has a row
        note = self.published(site, row.index + 1) or state.note
        size = _size(note)
        proof = self._tree(state, size, self._edge(state, size)).inclusion(row.index)
        try:
            return Receipt(Record.parse(row.record), row.salt, json.loads(row.entry), row.index, tuple(proof), note)
        except RecordError as error:
            raise StoreError(f"{self.path}: record {id} is damaged: {error}") from error

    def _row(
        self,
        site: str,
        at: int,
        minute: int,
        digest: str | None,
        moved: bool,
        commit: bytes | None,
        other: bytes | None,
        salt: bytes | None,
        data: bytes | None,
    ) -> Row:
        if other is not None:
            return Row(at & INDEXES, bytes(other), None, None)
        if commit is None or digest is None:
            raise StoreError(f"{self.path}: entry {at & INDEXES} of the log of {site} is damaged: it is neither a record's nor another's.")
        entry = self._entries_of(site).entry(bytes(commit), digest, minute, moved=bool(moved))
        return Row(at & INDEXES, entry, None if salt is None else bytes(salt), None if data is None else stored_bytes(data))

    def rows(self, site: str, first: int = 0, last: int | None = None, *, held: bool = False) -> Iterator[Row]:
        """See ``Store.rows``."""
        return self._read(site, first, last, self.sql.held if held else self.sql.rows)

    def others(self, site: str) -> Iterator[Row]:
        """See ``Store.others``."""
        return self._read(site, 0, None, self.sql.others)

    def _read(self, site: str, first: int, last: int | None, statement: str) -> Iterator[Row]:
        state = self._state(site)
        if state is None:
            return
        base = state.number << INDEX_BITS
        end = base | min(state.edge.size - 1 if last is None else last, state.edge.size - 1)
        at = base | first
        while at <= end:
            found = self._rows("read the log", statement, (at, end, STEP))
            for row in found:
                yield self._row(site, *row)
            if len(found) < STEP:
                return
            at = found[-1][0] + 1

    def entries(self, site: str, first: int, count: int) -> list[bytes]:
        """See ``Store.entries``."""
        return [row.entry for row in self.rows(site, first, first + count - 1)] if count > 0 else []

    # The tree and its checkpoints ---------------------------------------------------------------------------------

    def hashes(self, site: str, level: int, tile: int) -> bytes:
        """See ``Store.hashes``."""
        state = self._state(site)
        return b"" if state is None else self._hashes(state.number, level, tile)

    def _hashes(self, number: int, level: int, tile: int) -> bytes:
        rows = self._rows("read the log's tree", self.sql.hashes, (number, level, tile))
        return bytes(rows[0][0]) if rows else b""

    def tree(self, site: str, size: int | None = None) -> Tiles:
        """See ``Store.tree``."""
        state = self._state(site)
        if state is None:
            return Tiles(0, lambda level, tile: b"")
        return self._tree(state, state.edge.size if size is None else min(size, state.edge.size))

    def _tree(self, state: LogState, size: int, edge: Edge | None = None) -> Tiles:
        return _Nodes(size, lambda level, tile: self._hashes(state.number, level, tile), state.number, self._nodes, edge)

    def _edge(self, state: LogState, size: int) -> Edge:
        """The edge of a log at a size: as it stands, or as a published checkpoint covers it."""
        if size == state.edge.size:
            return state.edge
        key = (state.number, size)
        found = self._edges.get(key)
        if found is None:
            if len(self._edges) >= 100:
                self._edges.clear()
            found = self._edges[key] = self._tree(state, size).edge()
        return found

    def size_before(self, site: str, time: datetime) -> int:
        """See ``Store.size_before``."""
        state, minute = self._state(site), minute_of(time)
        if state is None:
            return 0
        low, high = 0, state.edge.size
        while low < high:
            middle = (low + high) // 2
            ((found,),) = self._rows("read the log", self.sql.minute, (state.number << INDEX_BITS | middle,))
            low, high = (middle + 1, high) if found < minute else (low, middle)
        return low

    def published(self, site: str, size: int = 0) -> str | None:
        """See ``Store.published``."""
        rows = self._rows("read a checkpoint", self.sql.published, (site, size))
        return rows[0][0] if rows else None

    def checkpoints(self, site: str, since: float = 0) -> list[Published]:
        """See ``Store.checkpoints``."""
        return [Published(*row) for row in self._rows("read checkpoints", self.sql.checkpoints, (site, since))]


def stored_bytes(data: Any) -> bytes:
    """A column of bytes, which may have become text where the store was edited by hand."""
    return data.encode() if isinstance(data, str) else bytes(data)


def _size(note: str) -> int:
    """How many entries a checkpoint of ours covers: its second line."""
    return int(note.split("\n", 2)[1])
