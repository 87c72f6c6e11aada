"""A site's whole ledger as one file (``volens-archive/1``, ``docs/reference/ledger.md``), and its records as tables.

An archive is JSON Lines, packed with gzip where its name ends in ``.gz``. The first line tells of which log, how many entries, and the
signed checkpoint over them; then notices, the files that the log names (pages and pictures of notices), the entries in order with
record and salt as long as they are not erased, counts, and the checkpoints that were published. The last line has the number of
lines and the SHA-256 of all bytes before it.

It is written from one moment of the store, so it is consistent while grants come in. It is read in twice: first all of it is checked, by
the verifier that shares nothing with this; only then anything is restored.
"""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from volens.errors import StoreError
from volens.ledger.note import origin
from volens.ledger.record import Record
from volens.ledger.store import Answered, Extent, Row, Store, Total
from volens.ledger.verify import Trust
from volens.ledger.verify_archive import check_archive
from volens.ledger.verify_log import Log
from volens.notice import Notice, canonical

FORMAT = "volens-archive/1"
EVER = date(1970, 1, 1), date(9999, 12, 31)

Told = Callable[[int], None]
"""Called with how many entries are done."""


def _untold(done: int) -> None:
    pass


class Unwritable(StoreError):
    """A file that cannot be written: the disk it lies on, not the ledger."""


class _Output:
    """A file beside its place, moved there when it is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._draft = path.with_name(f".{path.name}.{os.getpid()}")
        self._raw: IO[bytes] = os.fdopen(os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
        self._file: IO[bytes] = (
            gzip.GzipFile("", "wb", 6, self._raw, mtime=0) if path.name.endswith(".gz") else self._raw  # type: ignore[assignment]
        )
        self._sha = hashlib.sha256()
        self.lines = 0

    def line(self, data: bytes) -> None:
        """Add one line, without its line break."""
        self.many([data])

    def many(self, lines: Sequence[bytes]) -> None:
        """Add several lines at once."""
        data = b"\n".join(lines) + b"\n"
        self._sha.update(data)
        self._file.write(data)
        self.lines += len(lines)

    def end(self) -> str:
        """The last line, then the file takes its place, durable: the SHA-256 of what it closes."""
        digest = self._sha.hexdigest()
        self._file.write(canonical({"end": self.lines, "sha256": digest}) + b"\n")
        if self._file is not self._raw:
            self._file.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        os.replace(self._draft, self.path)
        return digest

    def drop(self) -> None:
        """Give up: close and delete what was written so far. The file that was there before stays."""
        with suppress(OSError):
            self._raw.close()
        self._draft.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written into an archive: entries of the log, records still kept, the checkpoint over all, the SHA-256 of the lines."""

    size: int
    records: int
    checkpoint: str
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {"entries": self.size, "records": self.records, "checkpoint": self.checkpoint, "sha256": self.sha256}


def write(store: Store, site: str, keys: Sequence[str], path: Path, now: datetime, told: Told = _untold) -> Written:
    """The whole ledger of a site into a file, as of one moment. Raises StoreError, Unwritable where it is the file that cannot be
    written; then nothing is left of it."""
    with store.moment() as held:
        head = held.head(site)
        if head is None:
            raise StoreError(f"{site}: there is nothing to write yet: no notice was kept, and no record.")
        try:
            out = _Output(path)
        except OSError as error:
            raise Unwritable(f"{path}: cannot be written: {error.strerror or error}.") from error
        try:
            out.line(
                canonical(
                    {
                        "format": FORMAT,
                        "site": site,
                        "origin": origin(site),
                        "size": head.size,
                        "checkpoint": head.note,
                        "keys": list(keys),
                        "made": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    }
                )
            )
            for notice in held.notices(site).values():
                out.line(canonical({"notice": notice.to_json()}))
            for digest in held.attachments(site):
                data = held.attached(site, digest)
                if data is not None:
                    out.line(canonical({"file": {"sha256": digest, "data": base64.b64encode(data).decode()}}))
            records, block = 0, list[bytes]()
            for row in held.rows(site, 0, head.size - 1):
                if row.record is not None and row.salt is not None:
                    records += 1
                    block.append(
                        b'{"entry":%b,"i":%d,"record":%b,"salt":"%b"}' % (row.entry, row.index, row.record, row.salt.hex().encode())
                    )
                else:
                    block.append(b'{"entry":%b,"i":%d}' % (row.entry, row.index))
                if len(block) == 1000:
                    out.many(block)
                    block.clear()
                    told(row.index + 1)
            if block:
                out.many(block)
            for kind, counts in (("total", held.totals), ("answers", held.answers), ("extent", held.extents)):
                for count in counts(site, *EVER):
                    out.line(canonical({"count": {"of": kind, **count}}))
            for published in held.checkpoints(site):
                out.line(canonical({"checkpoints": [{"size": published.size, "at": int(published.at), "note": published.note}]}))
            return Written(head.size, records, head.note, out.end())
        except BaseException as error:
            out.drop()
            if isinstance(error, OSError) and not isinstance(error, StoreError):
                raise Unwritable(f"{path}: cannot be written: {error.strerror or error}. Nothing was left of it.") from error
            raise


# ---------------------------------------------------------------- reading one in


def opened(path: Path) -> IO[bytes]:
    """An archive's bytes, packed or not."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")  # type: ignore[return-value]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """An archive's lines, each read as JSON. Raises OSError, and ValueError where a line is none."""
    with opened(path) as file:
        for line in file:
            yield json.loads(line)


@dataclass(frozen=True, slots=True)
class Taken:
    """What was read from an archive into a ledger."""

    site: str
    size: int
    """Entries of the log now."""
    added: int
    """Of these, that were not here before."""

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {"site": self.site, "entries": self.size, "added": self.added}


class Refused(StoreError):
    """An archive that is not read in. ``log``: what its check found, where that is why."""

    def __init__(self, said: str, log: Log | None = None) -> None:
        super().__init__(said)
        self.log = log


def read(
    store: Store,
    path: Path,
    vkeys: Mapping[str, Sequence[str]] | None = None,
    *,
    other_key: bool = False,
    checked: Told = _untold,
    told: Told = _untold,
) -> Taken:
    """An archive into a ledger that has nothing of that site yet, or the beginning of the same log: it goes on as that log.

    ``vkeys``: by site, the keys that sign here. All of the archive is checked first: each record against its entry, the tree against the
    signed checkpoint. Raises Refused before anything is written; where the store fails in between, what came before is kept in whole
    steps, and the same archive may be read in again.
    """
    try:
        log = check_archive(path, Trust(), name=path.name, progress=lambda done, of: checked(done))
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror or error}. Nothing was written.") from error
    if log.checkpoint is None or log.verdict.faults:
        first = next(iter((*log.verdict.faults, *log.verdict.gaps)), None)
        what = f"{first.place}: {first.said}. {first.means}" if first else "it has no checkpoint."
        raise Refused(f"{path}: does not hold, so nothing was written. {what}", log)
    site, head = log.checkpoint.site, store.head(log.checkpoint.site)
    here = 0 if head is None else head.size
    if head is not None and (here > log.tree.size or log.tree.root(here) != head.root):
        raise Refused(
            f"{path}: the ledger has {here} entries of {site} that are not the beginning of this archive's {log.tree.size}. "
            "Nothing was written: name an empty ledger; one log cannot go on from two ends."
        )
    signers = log.verdict.facts["signed_by"]  # what the archive says of its keys is a claim
    if vkeys is not None and not other_key and not {*vkeys.get(site, ())}.intersection(signers):
        raise Refused(
            f"{path}: this log was signed by {', '.join(signers) or 'nobody named'}, and the key here is another. Nothing was written. "
            "Bring the key file along ([proof] key), or say --other-key: verifiers must then be told the new one."
        )
    added = store.restore(site, _notices(path), _rows(path, told))
    head = store.head(site)
    if head is None or head.size < log.tree.size or store.tree(site).root(log.tree.size) != log.tree.root(log.tree.size):
        raise StoreError(f"{site}: after reading in {path} the tree is not that of the archive. Do not use this ledger; tell us.")
    counts = _Counts()
    for value in lines(path):
        if "file" in value:
            store.attach(site, value["file"]["sha256"], base64.b64decode(value["file"]["data"], validate=True))
        elif "count" in value:
            counts.add(value["count"])
        elif "checkpoints" in value:
            for one in value["checkpoints"]:
                store.publish(site, one["note"], one["at"])
    if not store.totals(site, *EVER):
        store.restore_counts(site, counts.totals, counts.answers, counts.extents)
    return Taken(site, head.size, added)


class _Counts:
    def __init__(self) -> None:
        self.totals: list[Total] = []
        self.answers: list[Answered] = []
        self.extents: list[Extent] = []

    def add(self, value: dict[str, Any]) -> None:
        of = {"total": self.totals, "answers": self.answers, "extent": self.extents}[value.pop("of")]
        of.append(value)  # type: ignore[attr-defined]


def _notices(path: Path) -> Iterator[Notice]:
    for value in lines(path):
        if "i" in value:
            return
        if "notice" in value:
            yield Notice.from_json(value["notice"])


def _rows(path: Path, told: Told) -> Iterator[Row]:
    for value in lines(path):
        if "i" not in value:
            continue
        salt, record = value.get("salt"), value.get("record")
        yield Row(
            value["i"],
            canonical(value["entry"]),
            None if salt is None else bytes.fromhex(salt),
            None if record is None else canonical(record),
        )
        if value["i"] % 1000 == 999:
            told(value["i"] + 1)


# ---------------------------------------------------------------- records as tables


def between(
    store: Store, site: str, since: date | None = None, until: date | None = None, *, late: bool = True
) -> Iterator[tuple[Row, Record]]:
    """The records that ``held`` finds, read."""
    for row in held(store, site, since, until, late=late):
        yield row, Record.parse(row.record or b"")


def held(store: Store, site: str, since: date | None = None, until: date | None = None, *, late: bool = True) -> Iterator[Row]:
    """The records of those days, both included (UTC), that are not erased, in the order of the log. ``late`` False: not those that were
    logged on a later day (a withdrawal that waited beside the ledger), so that nothing newer is read."""
    first_day, last_day = (since or EVER[0]).isoformat().encode(), (until or EVER[1]).isoformat().encode()
    done = 0
    for row in store.rows(site, held=True):  # those from before there was a log come first, logged later than they were made
        if b'"moved":true' not in row.entry:
            break
        done = row.index + 1
        if first_day <= time_of(row)[:10] <= last_day:
            yield row
    first = done if since is None else max(done, store.size_before(site, _midnight(since) - timedelta(hours=1)))
    last = None if until is None or late else store.size_before(site, _midnight(until) + timedelta(days=1)) - 1
    for row in store.rows(site, first, last, held=True):
        if first_day <= time_of(row)[:10] <= last_day:
            yield row


def time_of(row: Row) -> bytes:
    """When a record was made, as it says: ``2026-11-22T10:23:05Z``. Looked up in its bytes, for that takes a twentieth of reading it: in
    canonical JSON the name stands but once, since a quote within a value is escaped."""
    data = row.record or b""
    start = data.find(_TIME) + len(_TIME)
    return data[start : start + 20]


_TIME = b'"time":"'


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


COLUMNS = (
    "index", "logged", "time", "event", "method", "surface", "language", "notice", "granted", "refused", "services_granted",
    "services_refused", "supersedes", "gpc", "tc", "tool", "regime", "id", "commit", "salt",
)  # fmt: skip


def flat(row: Row) -> dict[str, Any]:
    """One record as a line of a table; ids of one cell are parted by a space."""
    entry, record = json.loads(row.entry), json.loads(row.record or b"{}")
    return {
        "index": row.index,
        "logged": entry["time"],
        **{name: record.get(name, "") for name in ("time", "event", "method", "surface", "language", "notice")},
        "granted": _ids(record["purposes"], True),
        "refused": _ids(record["purposes"], False),
        "services_granted": _ids(record["services"], True),
        "services_refused": _ids(record["services"], False),
        "supersedes": record["supersedes"],
        "gpc": int(record["gpc"]),
        **{name: record.get(name, "") for name in ("tc", "tool", "regime", "id")},
        "commit": entry["commit"],
        "salt": (row.salt or b"").hex(),
    }


def _ids(answers: Mapping[str, bool], answer: bool) -> str:
    return " ".join(id for id, given in answers.items() if given is answer)


SERVICE_COLUMNS = ("index", "service", "since", "until", "purposes", "notice", "surface", "method", "commit")


def of_service(store: Store, site: str, service: str, since: date | None = None, until: date | None = None) -> Iterator[dict[str, Any]]:
    """Who has allowed a service what, since when and until when (RULES R22): a line for each record that allows it, without the
    visitor's id, so that it can be handed to whoever acts as that service. ``until`` empty: nothing later ends it, other than time.

    Each ends where a later record takes its place. Those are gathered first, on disk, so that memory does not grow with the ledger.
    """
    served = {notice.digest: notice.service[service].purposes for notice in store.notices(site).values() if service in notice.service}
    follows = sqlite3.connect("")  # a file of the moment, gone when closed
    try:
        follows.execute("CREATE TABLE ended (id TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID")
        later = (json.loads(row.record or b"") for row in held(store, site, since) if b'"supersedes":""' not in (row.record or b""))
        follows.executemany("INSERT OR IGNORE INTO ended VALUES (?, ?)", ((record["supersedes"], record["time"]) for record in later))
        for row in held(store, site, since, until):
            record = json.loads(row.record or b"")
            if not record["services"].get(service):
                continue
            ended = follows.execute("SELECT at FROM ended WHERE id = ?", (record["id"],)).fetchone()
            yield {
                "index": row.index,
                "service": service,
                "since": record["time"],
                "until": ended[0] if ended else "",
                "purposes": " ".join(p for p in served.get(record["notice"], ()) if record["purposes"].get(p)),
                "notice": record["notice"],
                "surface": record["surface"],
                "method": record["method"],
                "commit": json.loads(row.entry)["commit"],
            }
    finally:
        follows.close()


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], out: IO[str], form: str) -> int:
    """Write rows as ``csv`` or ``jsonl``; how many."""
    count = 0
    if form == "csv":
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            count += 1
        return count
    for row in rows:
        out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
        count += 1
    return count
