"""What an authority is handed, besides the reports: gathered from the ledger as of one moment, and a sample that nobody chose."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from volens import notices
from volens import verify as verifier
from volens.config import Loaded
from volens.custody import own_keys
from volens.errors import StoreError
from volens.ledger.receipt import Receipt, bundle
from volens.ledger.record import Record
from volens.ledger.store import Answered, Extent, Head, Published, Row, Store, Total
from volens.ledger.tree import Tiles
from volens.ledger.verify import Checkpoint, read_checkpoint
from volens.notice import Notice, canonical

SAMPLE = 20
"""Records that are drawn."""
SAID = b"volens-sample/1"
"""Stands in what is hashed to draw an entry."""


@dataclass(slots=True)
class Material:
    """What the reports are made of, as of one moment."""

    loaded: Loaded
    since: date
    until: date
    made: datetime
    head: Head
    versions: list[notices.Version]
    """Those asked in these days, the oldest first; ``earlier`` has the one before each."""
    earlier: dict[str, Notice]
    totals: list[Total]
    answers: list[Answered]
    extents: list[Extent]
    first: int
    end: int
    """The entries of these days: from ``first`` up to, not with, ``end``."""
    before: Published | None
    after: str
    """The checkpoint that covers them, a signed note."""
    published: list[Published]
    drawn: list[Drawn]
    erased: dict[str, int]
    keys: list[str]
    files: dict[str, bytes] = field(default_factory=dict)
    """By their path in the ZIP."""

    @property
    def checkpoint(self) -> Checkpoint:
        """The one that covers the period, read."""
        return read_checkpoint(self.after.encode())


@dataclass(frozen=True, slots=True)
class Drawn:
    """One entry of the sample."""

    index: int
    kind: str
    """``record``, ``erased`` or ``other``."""
    record: Record | None = None
    path: str = ""


def places(root: bytes, first: int, end: int) -> Iterator[int]:
    """Entries from ``first`` up to, not with, ``end``, each once, in an order that the root of the tree gives and nobody chooses."""
    seen: set[int] = set()
    number = 0
    while len(seen) < end - first:
        found = first + int.from_bytes(hashlib.sha256(root + SAID + str(number).encode()).digest()) % (end - first)
        number += 1
        if found not in seen:
            seen.add(found)
            yield found


def gather(store: Store, loaded: Loaded, since: date, until: date, made: datetime, sample: int = SAMPLE) -> Material:
    """Everything, read as of one moment. Raises StoreError."""
    site = loaded.site.name
    with store.moment() as held:
        head = held.head(site)
        if head is None or not head.size:
            raise StoreError(f"{site}: the ledger holds nothing of this site yet.")
        first, end = (held.size_before(site, datetime(d.year, d.month, d.day, tzinfo=UTC)) for d in (since, until + timedelta(days=1)))
        totals, answers, extents = held.totals(site, since, until), held.answers(site, since, until), held.extents(site, since, until)
        published = held.checkpoints(site)
        begins, ends = (datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp() for d in (since, until + timedelta(days=1)))
        before = max((p for p in published if p.at < begins), key=lambda p: p.size, default=None)
        after, end = _covering(published, head, end, held.size_before(site, made - timedelta(hours=1)))
        checkpoint = read_checkpoint(after.encode())
        all_versions = notices.versions(held, site)
        erased = {"request": 0, "age": 0}
        for row in held.others(site):
            entry = json.loads(row.entry)
            for low, high in entry.get("erased", ()):
                erased[entry["reason"]] += high - low + 1
        material = Material(
            loaded,
            since,
            until,
            made,
            head,
            _in_force(all_versions, {t["notice"] for t in totals}, since, until),
            {v.notice.digest: before.notice for before, v in pairwise(all_versions)},
            totals,
            answers,
            extents,
            first,
            end,
            before,
            after,
            [p for p in published if begins <= p.at < ends],
            [],
            erased,
            own_keys(loaded),
        )
        tree = held.tree(site, checkpoint.size)
        _sample(held, material, checkpoint, tree, sample)
        _log(held, material, checkpoint, tree)
        for one in material.versions:
            _notice(held, material, one)
    _counts(material)
    with suppress(OSError):
        material.files["verify.html"] = verifier.page().encode()
    return material


def _covering(published: Sequence[Published], head: Head, end: int, settled: int) -> tuple[str, int]:
    """The checkpoint that covers the period, and up to where. One that was published, and so seen by the witnesses, goes before the head,
    which is ahead of it by a moment; but not where it is older than the last hour's entries (``settled``)."""
    for one in published:
        if one.size >= max(end, 1):
            return one.note, end
    if published and published[-1].size >= settled:
        return published[-1].note, published[-1].size
    return head.note, end


def _in_force(found: Sequence[notices.Version], answered: set[str], since: date, until: date) -> list[notices.Version]:
    """Those asked in these days (begun before their end, not followed by another before their beginning), and those answered then."""
    kept = []
    for number, one in enumerate(found):
        begun = not one.asked or one.asked[:10] <= until.isoformat()
        replaced = number + 1 < len(found) and found[number + 1].asked[:10] < since.isoformat()
        if (begun and not replaced) or one.notice.digest in answered:
            kept.append(one)
    return kept


def _sample(store: Store, material: Material, checkpoint: Checkpoint, tree: Tiles, wanted: int) -> None:
    site, records, tried = material.loaded.site.name, 0, 0
    by_digest = {notice.digest: notice for notice in store.notices(site).values()}
    for index in places(checkpoint.root, material.first, material.end):
        if records >= wanted or tried >= wanted * 20:
            break
        tried += 1
        (row,) = store.rows(site, index, index)
        drawn = _drawn(row, material, checkpoint, tree, by_digest)
        records += drawn.record is not None
        if drawn.kind != "other":
            material.drawn.append(drawn)
    material.drawn.sort(key=lambda one: one.index)


def _drawn(row: Row, material: Material, checkpoint: Checkpoint, tree: Tiles, by_digest: Mapping[str, Notice]) -> Drawn:
    if b'"type":"record"' not in row.entry:
        return Drawn(row.index, "other")
    if row.record is None or row.salt is None:
        return Drawn(row.index, "erased")
    record = Record.parse(row.record)
    receipt = Receipt.of(record, row.salt, row.entry, row.index, tree.inclusion(row.index, checkpoint.size), material.after)
    path = f"samples/{row.index}.json"
    material.files[path] = _json(bundle(receipt, by_digest[record.notice], material.keys))
    return Drawn(row.index, "record", record, path)


def _log(store: Store, material: Material, checkpoint: Checkpoint, tree: Tiles) -> None:
    files, site = material.files, material.loaded.site.name
    files["log/checkpoint-to.txt"] = material.after.encode()
    files["log/keys.txt"] = "".join(f"{key}\n" for key in material.keys).encode()
    if material.before is not None:
        files["log/checkpoint-from.txt"] = material.before.note.encode()
        if material.before.size < checkpoint.size:
            steps = tree.consistency(material.before.size, checkpoint.size)
            lines = "".join(f"{base64.b64encode(step).decode()}\n" for step in steps)
            files["log/consistency.txt"] = f"old {material.before.size}\n{lines}\n{material.after}".encode()
    files["log/checkpoints.jsonl"] = _lines({"size": p.size, "at": int(p.at), "note": p.note} for p in material.published)
    files["log/other-entries.jsonl"] = _lines({"i": row.index, "entry": json.loads(row.entry)} for row in store.others(site))


def _notice(store: Store, material: Material, one: notices.Version) -> None:
    files, site, folder = material.files, material.loaded.site.name, f"notices/{one.notice.short}"
    files[f"{folder}/notice.json"] = canonical(one.notice.to_json())
    for number, (_, snapshot) in enumerate(notices.snapshots(store, one, site)):
        below = folder if not number else f"{folder}/{number + 1}"
        files[f"{below}/snapshot.json"] = snapshot.to_bytes()
        for (language, layer), digest in snapshot.renderings.items():
            files[f"{below}/{language}-{layer}.html"] = notices.attached(store, site, digest)
        for (language, layer, width, scheme), digest in snapshot.pictures.items():
            files[f"{below}/{language}-{layer}-{width}-{scheme}.png"] = notices.attached(store, site, digest)


def _counts(material: Material) -> None:
    for name, rows in (("answers-and-refusals", material.totals), ("by-purpose", material.answers), ("by-extent", material.extents)):
        out = io.StringIO()
        table: Sequence[Mapping[str, Any]] = rows
        if table:
            writer = csv.DictWriter(out, list(table[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)
        material.files[f"counts/{name}.csv"] = out.getvalue().encode()


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _lines(values: Iterable[object]) -> bytes:
    return b"".join(canonical(value) + b"\n" for value in values)
