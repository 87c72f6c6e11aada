"""``volens ledger``: whoever answers for a site checks, counts, copies, hands out and erases what its ledger holds."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, TextIO

from volens.catalog import Catalog
from volens.choice import RecordTag
from volens.config import Loaded, load
from volens.errors import ChoiceError, ConfigError, Mistake, ProofError, RecordError, StoreError, many
from volens.ledger import archive, keyring, retention
from volens.ledger.cosign import SignedNote
from volens.ledger.publish import standing, words
from volens.ledger.reading import Reading
from volens.ledger.receipt import BUNDLE, Receipt, bundle
from volens.ledger.record import Record
from volens.ledger.store import Head, Store
from volens.ledger.verify import Findings, Malformed, Trust, Verdict, check
from volens.ledger.verify_log import Log, check_log
from volens.progress import Progress
from volens.verify import Outcome, say
from volens.verify import trust as trust_of
from volens.web.runtime import open_store

DONE, FOUND, CANNOT = 0, 1, 2
MOST = 20
"""Records that a dry run names one by one."""
TIMES = 3
"""How often a ledger is checked anew where records are erased meanwhile."""
TILES = 1000
"""Tiles of the tree that are read as of one moment: some 20 ms."""


@contextmanager
def opened(config: Path, *, new: bool = False) -> Iterator[tuple[Loaded, Store]]:
    """What a configuration says, and its ledger. Raises ConfigError, StoreError. ``new``: it may be made now."""
    loaded = load(config, Catalog.packaged())
    if not new and "://" not in loaded.ledger and not Path(loaded.ledger).exists():
        raise ConfigError(
            str(config), (Mistake("ledger", f"{loaded.ledger} is not there.", "It is made when the site first runs, or by an import."),)
        )
    store = open_store(loaded)
    try:
        yield loaded, store
    finally:
        store.close()


def now() -> datetime:
    """In UTC."""
    return datetime.now(UTC)


def own_keys(loaded: Loaded) -> list[str]:
    """The public keys of the site's log, the newest first, then those of its witnesses."""
    log = [key["key"] for key in keyring.describe(Path(loaded.log_key), loaded.site.name)]
    return [*log, *(witness.key for witness in loaded.site.proof.witnesses)]


def there(store: Store, site: str) -> Head:
    """The log as it stands; raises StoreError where nothing was ever kept."""
    head = store.head(site)
    if head is None:
        raise StoreError(f"{site}: the ledger holds nothing of this site yet.")
    return head


# ---------------------------------------------------------------- verify


def checked(
    store: Store,
    loaded: Loaded,
    trust: Trust,
    *,
    against: Sequence[Path] = (),
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """The whole ledger of the site, cold, and whether what others hold of it is in it."""
    site = loaded.site.name
    verdicts: list[Verdict] = []
    standings = []
    for path in against:
        with path.open("rb") as file:
            one = check(file.read(1 << 23), trust, str(path))
        verdicts.append(one.verdict)
        if one.standing is not None:
            standings.append(one.standing)
    for _ in range(TIMES):
        with store.moment() as then:
            head = there(then, site)
            counted = sum(total["count"] for total in then.totals(site, *archive.EVER) if total["event"] != "refused")
        with kept_tree(store, site) as hashes:
            log: Log = check_log(
                site,
                head.size,
                Reading(loaded.ledger, loaded.log_key, site, head.size),
                head.note,
                trust,
                name=loaded.ledger if "://" not in loaded.ledger else "ledger",
                published=[one.note for one in store.checkpoints(site) if one.size <= head.size],
                hashes=hashes,
                notices={notice.digest for notice in store.notices(site).values()},
                counted=counted,
                standings=standings,
                processes=processes,
                progress=progress,
            )
        if not (any(f.code == "dropped" for f in log.verdict.faults) and _erased_since(store, site, head.size)):
            break  # else records were erased, and logged, while the rest was read
    between = Verdict("between", "together", {}, ())
    return Outcome((*verdicts, log.verdict, files_kept(store, site)), between)


@contextmanager
def kept_tree(store: Store, site: str) -> Iterator[Callable[[int, int], bytes]]:
    """The hashes of a tile, by level and number. Many are read over one connection, which is not held so long that it hinders a writer."""
    with ExitStack() as held:
        now, left = store, 0

        def hashes(level: int, tile: int) -> bytes:
            nonlocal now, left
            if not left:
                held.close()
                now, left = held.enter_context(store.moment()), TILES
            left -= 1
            return now.hashes(site, level, tile)

        yield hashes


def files_kept(store: Store, site: str) -> Verdict:
    """Whether every page and picture that the log names is there as it was."""
    found, kept, named = Findings(), set(store.attachments(site)), 0
    for digest in sorted(kept):
        data = store.attached(site, digest)
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            found.fault("file", f"file {digest[:16]}", "its bytes have another digest")
            kept.discard(digest)
    for row in store.others(site):
        digest = json.loads(row.entry).get("snapshot")
        if digest is None:
            continue
        place = f"entry {row.index}"
        if digest not in kept:
            found.fault("file", place, f"it names the file {digest}, which is not here")
            continue
        try:
            value = json.loads(store.attached(site, digest) or b"")
            listed = [one["sha256"] for part in ("renderings", "pictures") for one in value[part]]
        except (ValueError, KeyError, TypeError):
            found.fault("file", place, f"the file {digest} that it names is no list of pages and pictures")
            continue
        named += len(listed)
        for missing in sorted(set(listed) - kept):
            found.fault("file", place, f"its list names the file {missing}, which is not here")
    return found.verdict("files", f"pages and pictures of {site}", {"files": len(kept), "named": named})


def _erased_since(store: Store, site: str, size: int) -> bool:
    return any(row.index >= size and json.loads(row.entry)["type"] == "erasure" for row in store.others(site))


def run_verify(
    loaded: Loaded,
    store: Store,
    *,
    keys: Sequence[str],
    witnesses: Sequence[str],
    against: Sequence[Path],
    processes: int | None,
    as_json: bool,
    out: TextIO,
) -> int:
    """``volens ledger verify``."""
    try:
        given = trust_of(keys or own_keys(loaded), witnesses)
        if not keys and witnesses:
            given = Trust(given.log, tuple(key for key in given.witnesses if key.given), given.quorum)
    except Malformed as error:
        print(f"volens ledger verify: {error}", file=sys.stderr)
        return CANNOT
    with Progress("entries checked", there(store, loaded.site.name).size) as progress:
        try:
            outcome = checked(store, loaded, given, against=against, processes=processes, progress=lambda done, of: progress.to(done))
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            print(f"volens ledger verify: {error}", file=sys.stderr)
            return CANNOT
    if as_json:
        print(json.dumps(outcome.to_json(), ensure_ascii=False, indent=2), file=out)
    else:
        say(outcome, out)
    return outcome.status


# ---------------------------------------------------------------- stats, checkpoint


def stats(store: Store, loaded: Loaded) -> dict[str, Any]:
    """What the ledger holds, by counts that are kept: never a scan of records."""
    site = loaded.site.name
    head = there(store, site)
    others: dict[str, int] = {"notice": 0, "snapshot": 0, "erasure": 0}
    erased = 0
    for row in store.others(site):
        entry = json.loads(row.entry)
        others[entry["type"]] += 1
        erased += sum(last - first + 1 for first, last in entry.get("erased", ()))
    events = dict.fromkeys(("given", "changed", "withdrawn", "refused"), 0)
    for total in store.totals(site, *archive.EVER):
        events[total["event"]] += total["count"]
    published = store.checkpoints(site)
    records = head.size - sum(others.values())
    size = _on_disk(loaded.ledger)
    first = store.entries(site, 0, 1)
    return {
        "format": "volens-ledger-stats/1",
        "site": site,
        "entries": head.size,
        "records": records,
        "erased": erased,
        "held": records - erased,
        **{f"{kind}_entries": count for kind, count in others.items()},
        "notices": len(store.notices(site)),
        "files": len(store.attachments(site)),
        "counts": events,
        "first": json.loads(first[0])["time"] if first else None,
        "last": datetime.fromtimestamp(head.minute * 60, UTC).strftime("%Y-%m-%dT%H:%MZ") if head.size else None,
        "published_checkpoints": len(published),
        "witnesses": len(loaded.site.proof.witnesses),
        "witnessed_entries": max((p.size for p in published if _witnesses(p.note)), default=0),
        "witness_standing": words(standing(loaded.witnessed), loaded.site.proof.witnesses),
        "events_waiting": store.outbox.waiting(site),
        "bytes": size,
        "bytes_a_record": round(size / records) if size and records else None,
    }


def _on_disk(ledger: str) -> int | None:
    if "://" in ledger:
        return None
    return sum(Path(ledger + tail).stat().st_size for tail in ("", "-wal") if Path(ledger + tail).exists())


def _witnesses(note: str) -> list[str]:
    """Who signed a checkpoint beside the log."""
    found = SignedNote.parse(note)
    own = found.checkpoint.origin
    return sorted({name for name, _, _ in found.signatures} - {own})


def run_stats(loaded: Loaded, store: Store, *, as_json: bool, out: TextIO) -> int:
    """``volens ledger stats``."""
    found = stats(store, loaded)
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2), file=out)
        return DONE
    n = {name: f"{value:,}" for name, value in found.items() if isinstance(value, int)}
    counts = found["counts"]
    print(f"{found['site']}: {many(found['entries'], 'entry', 'entries')}, {found['first']} to {found['last']}", file=out)
    print(f"  records     {n['records']}, of which {n['erased']} erased", file=out)
    print(f"  answers     {', '.join(f'{event} {count:,}' for event, count in counts.items())}", file=out)
    lists, files = many(found["snapshot_entries"], "list"), many(found["files"], "file")
    print(f"  notices     {n['notices']}; {lists} of pages and pictures, {files}", file=out)
    seen = (
        f"a witness has seen {many(found['witnessed_entries'], 'entry', 'entries')}"
        if found["witnesses"]
        else "no witness: evident to everybody but you"
    )
    print(f"  checkpoints {n['published_checkpoints']} published and kept; {seen}", file=out)
    for line in found["witness_standing"]:
        print(f"  witness     {line}", file=out)
    if found["events_waiting"]:
        print(f"  waiting     {n['events_waiting']} events for the site ([hooks])", file=out)
    if found["bytes"] is not None:
        each = f", {n['bytes_a_record']} a record" if found["bytes_a_record"] else ""
        print(f"  on disk     {n['bytes']} bytes{each}", file=out)
    return DONE


def run_checkpoint(loaded: Loaded, store: Store, *, as_json: bool, out: TextIO) -> int:
    """``volens ledger checkpoint``: the newest that was published; where none was, the signed head."""
    head = there(store, loaded.site.name)
    note = store.published(loaded.site.name) or head.note
    if as_json:
        told = SignedNote.parse(note).checkpoint
        value = {
            "format": "volens-checkpoint/1",
            "origin": told.origin,
            "size": told.size,
            "root": told.root.hex(),
            "witnesses": _witnesses(note),
            "entries_now": head.size,
            "note": note,
            "keys": own_keys(loaded),
        }
        print(json.dumps(value, ensure_ascii=False, indent=2), file=out)
    else:
        print(note, end="", file=out)
    return DONE


# ---------------------------------------------------------------- export, backup, import


def run_backup(loaded: Loaded, store: Store, path: Path, *, as_json: bool, out: TextIO) -> int:
    """``volens ledger backup``, and ``export`` without a format."""
    with Progress("entries written", there(store, loaded.site.name).size) as progress:
        try:
            written = archive.write(store, loaded.site.name, own_keys(loaded), path, now(), progress.to)
        except archive.Unwritable as error:
            print(f"volens ledger: {error}", file=sys.stderr)
            return CANNOT
    if as_json:
        print(json.dumps({"format": "volens-ledger-written/1", "file": str(path), **written.to_json()}), file=out)
    else:
        print(
            f"{path}: {many(written.size, 'entry', 'entries')}, {many(written.records, 'record')}. Check it anywhere: volens verify {path}",
            file=out,
        )
    return DONE


def run_export(
    loaded: Loaded, store: Store, form: str, path: Path | None, *, service: str, since: date | None, until: date | None, out: TextIO
) -> int:
    """``volens ledger export --format csv|jsonl|receipts``."""
    site = loaded.site.name
    total = there(store, site).size
    if service and not any(service in notice.service for notice in store.notices(site).values()):
        known = sorted({id for notice in store.notices(site).values() for id in notice.service})
        print(f"volens ledger export: no notice ever named the service {service!r}. Use one of {', '.join(known)}.", file=sys.stderr)
        return CANNOT
    with Progress("records", total) as progress:

        def seen(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
            for row in rows:
                progress.to(int(row.get("index", progress.done)) + 1)
                yield row

        columns: Sequence[str] = archive.COLUMNS
        rows: Iterable[dict[str, Any]]
        if form == "receipts":
            rows = (_receipt(store, record.id) for _, record in archive.between(store, site, since, until) if _allows(record, service))
        elif service:
            rows, columns = archive.of_service(store, site, service, since, until), archive.SERVICE_COLUMNS
        elif form == "csv":
            rows = (archive.flat(row) for row in archive.held(store, site, since, until))
        else:
            rows = (
                {
                    "index": row.index,
                    "entry": json.loads(row.entry),
                    "salt": (row.salt or b"").hex(),
                    "record": json.loads(row.record or b""),
                }
                for row in archive.held(store, site, since, until)
            )
        with _written(path, out) as file:
            count = archive.table(seen(rows), columns, file, "csv" if form == "csv" else "jsonl")
    print(f"{many(count, 'record')}{f' that allow {service}' if service else ''}.", file=sys.stderr)
    return DONE


def _allows(record: Record, service: str) -> bool:
    return not service or record.services.get(service, False)


def _receipt(store: Store, id: str) -> dict[str, Any]:
    receipt = store.receipt(id)
    if receipt is None:
        raise StoreError(f"record {id}: it was erased while it was read. Run it again.")
    return receipt.to_json()


@contextmanager
def _written(path: Path | None, out: IO[str]) -> Iterator[IO[str]]:
    """A file of the owner's alone, in its place only once it is whole; standard output where none is named."""
    if path is None:
        yield out
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w", encoding="utf-8", newline=""
        ) as file:
            yield file
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def run_import(loaded: Loaded, store: Store, path: Path, *, other_key: bool, as_json: bool, out: TextIO) -> int:
    """``volens ledger import``."""
    site = loaded.site.name
    try:
        told = next(archive.lines(path))["site"]
        total = int(next(archive.lines(path))["size"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        print(f"volens ledger import: {path} is no archive: {error}. Nothing was written.", file=sys.stderr)
        return CANNOT
    if told != site:
        print(
            f"volens ledger import: {path} is of {told!r}, and this is {site!r}. Name the configuration of that site: --config FILE",
            file=sys.stderr,
        )
        return CANNOT
    keyring.Keyring.of(loaded.log_key)(site)  # made now where there is none, so that the question below has an answer
    try:
        with Progress("entries checked", total) as checking, Progress("entries read in", total) as reading:
            taken = archive.read(store, path, {site: own_keys(loaded)}, other_key=other_key, checked=checking.to, told=reading.to)
    except archive.Refused as error:
        if as_json:
            told_ = error.log.verdict.to_json() if error.log is not None else None
            print(json.dumps({"format": "volens-ledger-import/1", "refused": str(error), "check": told_}, ensure_ascii=False), file=out)
        print(f"volens ledger import: {error}", file=sys.stderr)
        return FOUND
    if as_json:
        print(json.dumps({"format": "volens-ledger-import/1", "refused": None, **taken.to_json()}), file=out)
    else:
        print(f"{site}: {many(taken.added, 'entry', 'entries')} read in; the log has {taken.size:,} and goes on from there.", file=out)
    return DONE


# ---------------------------------------------------------------- the rights of one person, and age


def record_of(store: Store, site: str, receipt: Path | None, cookie: str) -> tuple[Record, Receipt | None]:
    """The record that a receipt or a cookie names; raises StoreError where it is not, or not any more, in this ledger."""
    given: Receipt | None = None
    if receipt is not None:
        try:
            value = json.loads(receipt.read_bytes())
            given = Receipt.from_json(value.get("receipt") if isinstance(value, dict) and value.get("format") == BUNDLE else value)
        except (OSError, ValueError, ProofError, RecordError) as error:
            raise StoreError(f"{receipt}: no receipt: {error}") from error
        if given.record.site != site:
            raise StoreError(f"{receipt}: of {given.record.site!r}; this is the ledger of {site!r}.")
        id = given.record.id
    else:
        try:
            id = RecordTag.parse(cookie).record if "." in cookie else cookie
        except ChoiceError as error:
            raise StoreError(f"--record {cookie!r}: {error} Give the value of the cookie volens-record, or the record's id.") from error
    found = store.record(id)
    if found is None or found.site != site:
        raise StoreError(f"record {id}: not in the ledger of {site}, or erased already.")
    if given is not None and found != given.record:
        raise StoreError(f"{receipt}: the ledger holds another record of that id. Check both: volens verify, volens ledger verify.")
    return found, given


def chain(store: Store, site: str, record: Record, progress: Progress | None = None) -> list[Record]:
    """All that one browser answered, the oldest first: what a record follows, and what follows it."""
    found = [record]
    while found[0].supersedes and (before := store.record(found[0].supersedes)) is not None:
        found.insert(0, before)
    place = store.find(record.id)
    if place is None:
        return found
    wanted = b'"supersedes":"%b"' % record.id.encode()
    for row in store.rows(site, place[1] + 1, held=True):
        if progress is not None:
            progress.to(row.index + 1)
        if row.record is not None and wanted in row.record:
            found.append(Record.parse(row.record))
            wanted = b'"supersedes":"%b"' % found[-1].id.encode()
    return found


def run_show(loaded: Loaded, store: Store, receipt: Path | None, cookie: str, *, path: Path | None, as_json: bool, out: TextIO) -> int:
    """``volens ledger show``: what is kept of one browser (GDPR 15)."""
    site = loaded.site.name
    record, _ = record_of(store, site, receipt, cookie)
    with Progress("entries looked through", there(store, site).size) as progress:
        records = chain(store, site, record, progress)
    notices = {notice.digest: notice for notice in store.notices(site).values()}
    bundles = []
    for one in records:
        made = store.receipt(one.id)
        if made is not None:
            bundles.append(bundle(made, notices[one.notice], own_keys(loaded)))
    value = {"format": "volens-access/1", "site": site, "bundles": bundles}
    if path is not None:
        with _written(path, out) as file:
            json.dump(value, file, ensure_ascii=False, indent=2)
    if as_json:
        print(json.dumps(value, ensure_ascii=False, indent=2), file=out)
        return DONE
    for one in records:
        print(_told(store, one), file=out)
    print("This is all that the ledger holds of that browser: no address, no name, no page.", file=out)
    if path is not None:
        print(f"{path}: the same with notices and proofs, for the person.", file=out)
    return DONE


def _told(store: Store, record: Record) -> str:
    place = store.find(record.id)
    yes = [id for answers in (record.purposes, record.services) for id, answer in answers.items() if answer]
    where = f"entry {place[1]}" if place else "not in the log yet"
    what = ", ".join(yes) or "nothing granted"
    head = f"{record.to_json()['time']}  {record.event} ({record.method}, {record.language})  {what}"
    return f"{head}\n  {where}, record {record.id}, notice {record.notice[:16]}"


def run_erase(
    loaded: Loaded,
    store: Store,
    *,
    receipt: Path | None,
    cookie: str,
    days: int | None,
    by_retention: bool,
    yes: bool,
    as_json: bool,
    out: TextIO,
) -> int:
    """``volens ledger erase``: says what it would do; with ``yes`` does it."""
    site, reason = loaded.site.name, "request"
    store.upgrade()  # what was kept before there was a log has no place in it yet
    total = there(store, site).size
    named: list[Record] = []
    if receipt is not None or cookie:
        record, _ = record_of(store, site, receipt, cookie)
        with Progress("entries looked through", total) as progress:
            named = chain(store, site, record, progress)
        spans = spans_of(sorted(place[1] for one in named if (place := store.find(one.id)) is not None))
    else:
        reason = "age"
        rule = loaded.site.retention
        if by_retention and not rule.terms:
            print("volens ledger erase --retention: no [retention] is configured, so everything is kept for good.", file=sys.stderr)
            return CANNOT
        found = retention.expired(store, site, rule, now()) if by_retention else retention.older(store, site, days or 0, now())
        with Progress("entries looked through", total) as progress:
            spans = spans_of(progress.through(found))
    count, erased = sum(last - first + 1 for first, last in spans), 0
    if yes and spans:
        with Progress("records erased", count) as progress:
            wanted = (index for first, last in spans for index in range(first, last + 1))
            while step := list(islice(wanted, 2000)):
                erased += store.erase(site, step, reason)
                progress.step(len(step))
    if as_json:
        told = {"format": "volens-ledger-erase/1", "site": site, "reason": reason, "found": count, "erased": erased}
        print(json.dumps({**told, "ranges": spans}), file=out)
        return DONE
    for one in named:
        print(_told(store, one) if not yes else f"record {one.id}", file=out)
    if not spans:
        print("Nothing to erase.", file=out)
    elif yes:
        gone = f"{many(erased, 'record')} and {'its salt is' if erased == 1 else 'their salts are'} gone"
        print(f"{gone}; {many(total, 'entry', 'entries')} stay, and so does every other proof.", file=out)
    else:
        some = ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in spans[:MOST])
        more = " …" if len(spans) > MOST else ""
        where = f"{'entry' if count == 1 else 'entries'} {some}{more}"
        print(f"{many(count, 'record')} would be erased: {where}. Nothing was done; do it with --yes.", file=out)
    return DONE


def spans_of(indexes: Iterable[int]) -> list[list[int]]:
    """Rising indexes as ranges, first and last of each."""
    found: list[list[int]] = []
    for index in indexes:
        if found and found[-1][1] == index - 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return found
