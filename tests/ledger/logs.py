"""Logs for tests, made by the writing side: entries, records, receipts, archives and copies, and ways to spoil them."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from volens.ledger.cosign import WitnessKey
from volens.ledger.entry import RecordEntries, commitment, erasure_entry, minute, notice_entry, snapshot_entry
from volens.ledger.note import LogKey, checkpoint
from volens.ledger.receipt import Receipt, bundle
from volens.ledger.record import Record
from volens.ledger.tree import HASH, WIDTH, Edge, Growth, Tiles, leaf_hash
from volens.ledger.verify_folder import tile_path
from volens.notice import Controller, Notice, Purpose, canonical

SITE = "www.example.org"
START = datetime(2026, 11, 22, 10, 23, 5, tzinfo=UTC)
NOTICE = Notice(
    controller=Controller("Le Journal", "vie-privee@example.org", ""),
    purposes=(
        Purpose("technique", {"fr": "Technique", "en": "Technical"}, {"fr": "Faire marcher le site.", "en": "Run the site."}, "security"),
        Purpose("publicite", {"fr": "Publicité", "en": "Advertising"}, {"fr": "Des annonces.", "en": "Adverts."}),
        Purpose("video", {"fr": "Vidéo — 🎬", "en": "Video"}, {"fr": "Des films.", "en": "Films."}),
    ),
    services=(),
    languages=("fr", "en"),
)


def seed(text: str) -> bytes:
    """Thirty-two bytes that are the same at every run."""
    return hashlib.sha256(text.encode()).digest()


KEY = LogKey(f"{SITE}/volens", seed("log"))
OTHER_KEY = LogKey(f"{SITE}/volens", seed("another"))
WITNESS = WitnessKey("witness.example.net/w1", seed("witness"))
PICTURES = hashlib.sha256(b"Pictures").hexdigest()
"""Stands for the list of a notice's pictures."""
WITNESS_TIME = 1_795_343_000


def record(number: int, at: datetime = START, notice: Notice = NOTICE, **more: Any) -> Record:
    """The record of that number."""
    id = hashlib.sha256(b"id%d" % number).hexdigest()[:26]
    fields: dict[str, Any] = {
        "event": "given",
        "method": "panel",
        "surface": "panel",
        "language": "fr",
        "purposes": {"publicite": number % 3 != 0, "video": True},
        "services": {},
    }
    return Record(id, SITE, at, notice=notice.digest, **fields | more)


@dataclass(slots=True)
class Row:
    """As a store keeps it."""

    index: int
    entry: bytes
    salt: bytes | None = None
    record: bytes | None = None


@dataclass(slots=True)
class Log:
    """A log whose rows may be spoiled: ``head`` then signs whatever is there, as an operator could."""

    key: LogKey = KEY
    rows: list[Row] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    notice: Notice = NOTICE

    def entry(self, data: bytes) -> int:
        """One more entry without a record."""
        self.rows.append(Row(len(self.rows), data))
        return len(self.rows) - 1

    def keep(self, kept: Record, at: datetime | None = None, *, moved: bool = False) -> int:
        """One more record."""
        data, index = kept.canonical(), len(self.rows)
        salt = hashlib.sha256(b"salt%d" % index).digest()[:16]
        entry = RecordEntries(SITE).entry(commitment(salt, data), kept.notice, minute(at or kept.time), moved=moved)
        self.rows.append(Row(index, entry, salt, data))
        return index

    def erase(self, first: int, last: int, at: datetime) -> int:
        """Records and salts go, and an entry says so."""
        for row in self.rows[first : last + 1]:
            row.salt = row.record = None
        return self.entry(erasure_entry(SITE, minute(at), [(first, last)], "request"))

    def leaves(self) -> list[bytes]:
        """The hashes of the entries."""
        return [leaf_hash(row.entry) for row in self.rows]

    def tree(self) -> Tiles:
        """The tree over the rows."""
        leaves = self.leaves()
        rows = [leaves]
        while len(rows[-1]) >= WIDTH:
            below = rows[-1]
            rows.append([Growth(Edge(), below[n : n + WIDTH]).root for n in range(0, len(below) - WIDTH + 1, WIDTH)])

        def read(level: int, index: int) -> bytes:
            return b"".join(rows[level][index * WIDTH : (index + 1) * WIDTH]) if level < len(rows) else b""

        return Tiles(len(leaves), read)

    def text(self, size: int | None = None) -> str:
        """A checkpoint's text."""
        size = len(self.rows) if size is None else size
        return checkpoint(f"{SITE}/volens", size, self.tree().root(size))

    def head(self, size: int | None = None, *witnesses: WitnessKey, key: LogKey | None = None) -> str:
        """A signed checkpoint."""
        text = self.text(size)
        return (key or self.key).sign(text) + "".join(witness.cosign(text, WITNESS_TIME) for witness in witnesses)

    def receipt(self, index: int, size: int | None = None, *witnesses: WitnessKey, key: LogKey | None = None) -> dict[str, Any]:
        """The receipt of a record."""
        row, size = self.rows[index], len(self.rows) if size is None else size
        assert row.salt is not None and row.record is not None
        proof = self.tree().inclusion(index, size)
        return Receipt.of(Record.parse(row.record), row.salt, row.entry, index, proof, self.head(size, *witnesses, key=key)).to_json()

    def bundle(self, index: int, size: int | None = None, *witnesses: WitnessKey) -> dict[str, Any]:
        """The same with notice and keys."""
        keys = [self.key.vkey, *(witness.public.text for witness in witnesses)]
        return bundle(Receipt.from_json(self.receipt(index, size, *witnesses)), self.notice, keys)

    def read(self, first: int, last: int) -> Iterator[Row]:
        """As a store gives its rows."""
        return (row for row in self.rows if first <= row.index <= last)

    def renumber(self) -> None:
        """What an operator would do after dropping or inserting one."""
        for index, row in enumerate(self.rows):
            row.index = index

    def lines(self, head: str | None = None) -> list[dict[str, Any]]:
        """The lines of an archive but the last."""
        top = {
            "format": "volens-archive/1",
            "origin": f"{SITE}/volens",
            "site": SITE,
            "size": len(self.rows),
            "checkpoint": head or self.head(),
            "keys": [self.key.vkey],
            "made": "2026-11-22T12:00:00Z",
        }
        found: list[dict[str, Any]] = [top, {"notice": self.notice.to_json()}, {"file": {"sha256": PICTURES, "data": "UGljdHVyZXM="}}]
        for row in self.rows:
            line: dict[str, Any] = {"i": row.index, "entry": json.loads(row.entry)}
            if row.record is not None and row.salt is not None:
                line |= {"salt": row.salt.hex(), "record": json.loads(row.record)}
            found.append(line)
        return [*found, {"checkpoints": [{"at": WITNESS_TIME, "note": note, "size": 0} for note in self.published]}]


def grown(records: int = 300, key: LogKey = KEY) -> Log:
    """A notice, records a second apart, and an erasure in the middle."""
    log = Log(key)
    log.entry(notice_entry(SITE, minute(START), NOTICE.digest))
    for number in range(records):
        if number == records // 2 and number > 8:
            log.erase(2, 4, START + timedelta(seconds=number))
        log.keep(record(number, START + timedelta(seconds=number)))
    log.entry(snapshot_entry(SITE, minute(START + timedelta(seconds=records)), NOTICE.digest, PICTURES))
    return log


def written(path: Path, lines: Iterable[dict[str, Any]], *, packed: bool = False) -> Path:
    """An archive of those lines, closed by its last."""
    every = [canonical(line) + b"\n" for line in lines]
    data = b"".join(every)
    data += canonical({"end": len(every), "sha256": hashlib.sha256(data).hexdigest()}) + b"\n"
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def copied(path: Path, log: Log, head: str | None = None) -> Path:
    """The log as it is published, in a folder."""
    path.mkdir(exist_ok=True)
    (path / "checkpoint").write_text(head or log.head(), "utf-8")
    size, tree = len(log.rows), log.tree()
    level, width = 0, size
    while width:
        for index in range(-(-width // WIDTH)):
            data = tree._read(level, index)
            target = path / tile_path(level, index, len(data) // HASH)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        level, width = level + 1, width // WIDTH
    for first in range(0, size, WIDTH):
        part: Sequence[Row] = log.rows[first : first + WIDTH]
        target = path / tile_path("entries", first // WIDTH, len(part))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"".join(len(row.entry).to_bytes(2, "big") + row.entry for row in part))
    return path


def spoilt(value: Any, change: Callable[[Any], None]) -> Any:
    """A copy of a JSON value after a change."""
    copy = json.loads(json.dumps(value))
    change(copy)
    return copy
