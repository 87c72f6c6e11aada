"""Each way of spoiling a log after the fact, as whoever keeps it could: found, and named for what it is."""

from __future__ import annotations

import copy
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import logs
import pytest
from logs import KEY, NOTICE, OTHER_KEY, SITE, START, WITNESS, Log, Row, copied, grown, record, written
from pg import Server

from volens.ledger.archive import EVER
from volens.ledger.cosign import WitnessKey
from volens.ledger.entry import RecordEntries, commitment, erasure_entry, minute, notice_entry
from volens.ledger.note import LogKey, checkpoint
from volens.ledger.postgres import PostgresStore
from volens.ledger.sqlite import SqliteStore
from volens.ledger.store import Store
from volens.ledger.verify import Standing, Trust, Verdict, check, compare, read_key
from volens.ledger.verify_archive import check_archive
from volens.ledger.verify_folder import check_folder
from volens.ledger.verify_log import check_log

TRUST = Trust.of([read_key(KEY.vkey)])
WITNESSED = Trust.of([read_key(KEY.vkey)], [read_key(WITNESS.public.text)])


def said(verdict: Verdict) -> list[str]:
    """Each fault as a reader sees it."""
    return [f"{fault.code}: {fault.place}: {fault.said}" for fault in verdict.faults]


def noted(verdict: Verdict) -> list[str]:
    """Each caveat, but that no witness has signed."""
    return [f"{one.code}: {one.place}: {one.said}" for one in verdict.caveats if one.code != "no-witness"]


def changed_record(log: Log) -> None:
    row = log.rows[20]
    assert row.record is not None
    row.record = row.record.replace(b'"publicite":true', b'"publicite":false')


def changed_entry(log: Log) -> None:
    log.rows[20].entry = log.rows[20].entry.replace(NOTICE.digest.encode(), b"a" * 64)


def shifted_time(log: Log) -> None:
    log.rows[20].entry = log.rows[20].entry.replace(b"T10:23Z", b"T10:22Z")


def shifted_record(log: Log) -> None:
    row = log.rows[20]
    assert row.record is not None
    row.record = row.record.replace(b"T10:23:", b"T10:22:")


def dropped_record(log: Log) -> None:
    log.rows[20].record = log.rows[20].salt = None


def dropped_entry(log: Log) -> None:
    del log.rows[20]


def dropped_and_renumbered(log: Log) -> None:
    del log.rows[20]
    log.renumber()


def inserted(log: Log) -> None:
    kept = log.rows[20]
    log.rows.insert(20, Row(20, kept.entry, kept.salt, kept.record))
    log.renumber()


def appended(log: Log) -> None:
    log.keep(record(900, START + timedelta(hours=1)))


def reordered(log: Log) -> None:
    log.rows[20], log.rows[30] = log.rows[30], log.rows[20]
    log.renumber()


def older(log: Log) -> None:
    del log.rows[250:]


def erased_came_back(log: Log) -> None:
    fresh = Log()
    fresh.rows = [Row(n, b"") for n in range(2)]
    fresh.keep(record(1, START + timedelta(seconds=1)))
    log.rows[2] = fresh.rows[2]


SPOILT: list[tuple[Callable[[Log], None], list[str]]] = [
    (changed_record, ["commit: entry 20: record and salt do not give the entry's commitment"]),
    (changed_entry, ["entry: entry 20: it is not the entry whose hash was kept"]),
    (shifted_time, ["minute: entry 20: 2026-11-22T10:22Z, after an entry of 2026-11-22T10:23Z", "entry: entry 20: it is not"]),
    (shifted_record, ["commit: entry 20"]),
    (dropped_record, ["dropped: entry 20: its record is gone, and no entry says that it was erased"]),
    (dropped_entry, ["order: entry 20: it is missing"]),
    (
        dropped_and_renumbered,
        [
            "size: the log: 302 entries; the checkpoint was signed over 303",
            "order: entry 20: here stands the entry that was logged after it: one was dropped",
        ],
    ),
    (
        inserted,
        [
            "order: entry 303: the log has 303 entries, and this one stands after them",
            "order: entry 21: the entry that was logged here stands one later: one was inserted",
        ],
    ),
    (appended, ["order: entry 303: the log has 303 entries, and this one stands after them"]),
    (reordered, ["order: entry 20: here stands the entry that was logged at place 30"]),
    (older, ["size: the log: 250 entries; the checkpoint was signed over 303"]),
    (erased_came_back, ["kept: entry 2: its record is here, and the log says that it was erased"]),
]


@pytest.mark.parametrize(("spoil", "names"), SPOILT, ids=lambda one: one.__name__ if callable(one) else "")
def test_a_database_that_was_changed_by_hand(spoil: Callable[[Log], None], names: list[str]) -> None:
    """Rows change; the head and the tree that were written with them stay."""
    log = grown(300)
    tree, head, size = log.tree(), log.head(), len(log.rows)
    spoil(log)
    size = len(log.rows) if len(log.rows) < size and "order: entry 20: it is missing" not in names else size
    found = check_log(SITE, size, log.read, head, TRUST, name="the log", hashes=tree._read, notices=[NOTICE.digest])
    told = said(found.verdict)
    for name in names:
        assert any(one.startswith(name) for one in told), told


ALONE = [
    (changed_record, "commit"),
    (changed_entry, "notice"),
    (shifted_time, "minute"),
    (shifted_record, "commit"),
    (dropped_record, "dropped"),
    (dropped_entry, "order"),
    (dropped_and_renumbered, "size"),
    (inserted, "size"),
    (appended, "size"),
    (reordered, "root"),
    (older, "size"),
    (erased_came_back, "kept"),
]


@pytest.mark.parametrize(("spoil", "code"), ALONE, ids=lambda one: one.__name__ if callable(one) else one)
def test_an_archive_that_was_changed_by_hand(spoil: Callable[[Log], None], code: str, tmp_path: Path) -> None:
    """Rewritten whole, its last line too, under the checkpoint that was signed before."""
    log = grown(300)
    head = log.head()
    spoil(log)
    found = check_archive(written(tmp_path / "a", log.lines(head)), TRUST).verdict
    assert code in {fault.code for fault in found.faults}, said(found)


def test_an_archive_that_was_changed_on_its_way(tmp_path: Path) -> None:
    path = written(tmp_path / "a", grown(300).lines())
    data = path.read_bytes()
    for spoilt in (
        data[: len(data) // 2],
        data[: data.rindex(b"\n", 0, -1) + 1],
        data.replace(b"10:23:24Z", b"10:23:25Z"),
        data + data[-100:],
    ):
        path.write_bytes(spoilt)
        assert "cut" in {fault.code for fault in check_archive(path, TRUST).verdict.faults}


def test_an_older_database_is_found_by_what_somebody_kept(tmp_path: Path) -> None:
    """The log was restored from last week and goes on, signed: whoever has a receipt or checkpoint of since can tell."""
    log = grown(300)
    receipt, head = json.dumps(log.receipt(280)).encode(), log.head()
    older(log)
    path = written(tmp_path / "short", log.lines())
    assert check_archive(path, TRUST).verdict.holds  # by itself nothing is wrong with it
    held = [one for data in (receipt, head.encode()) if (one := check(data, TRUST, "mine").standing)]
    told = said(check_archive(path, TRUST, standings=held, name="log").verdict)
    assert told == ["shorter: log: mine was signed over 303 entries; here are 250"]
    for number in range(80):
        log.keep(record(2000 + number, START + timedelta(hours=2)))
    told = said(check_archive(written(tmp_path / "on", log.lines()), TRUST, standings=held, name="log").verdict)
    assert told == [
        "rewritten: entry 280: it is not the entry that mine proves",
        "rewritten: log: the first 303 entries are not those that mine was signed over",
    ]


def rewritten(log: Log) -> Log:
    """One leaf is another, and every hash and signature is made anew, as only the operator can."""
    fresh = Log(rows=[copy.copy(row) for row in log.rows])
    data, salt = record(7777, START + timedelta(seconds=19)).canonical(), bytes(16)
    entry = RecordEntries(SITE).entry(commitment(salt, data), NOTICE.digest, minute(START))
    fresh.rows[20] = Row(20, entry, salt, data)
    fresh.published = [fresh.head(size) for size in (10, 100)]
    return fresh


def test_a_leaf_rewritten_with_all_hashes_is_found_by_a_witness_and_by_nobody_else(tmp_path: Path) -> None:
    log = grown(300)
    log.published = [log.head(10, WITNESS), log.head(100, WITNESS)]
    fresh = rewritten(log)
    path = written(tmp_path / "a", fresh.lines())
    alone = check_archive(path, TRUST).verdict
    assert alone.holds and [c.code for c in alone.caveats] == ["no-witness"]  # and so it says
    assert [f.code for f in check_archive(path, WITNESSED).verdict.faults] == ["no-cosignature"]  # the witness never saw this one
    fresh.published = log.published
    told = said(check_archive(written(tmp_path / "b", fresh.lines()), WITNESSED, name="log").verdict)
    assert told == ["rewritten: log: the first 100 entries are not those that were published; the first 10 are"]
    told = said(
        check_folder(copied(tmp_path / "copy", fresh), WITNESSED, standings=[_standing(log.head(100, WITNESS), "the witness's")]).verdict
    )
    assert "rewritten: copy: the first 100 entries are not those that the witness's was signed over" in told


def _standing(document: str, name: str) -> Standing:
    found = check(document.encode(), TRUST, name)
    assert found.verdict.holds and found.standing
    return found.standing


def test_a_checkpoint_signed_by_another_key() -> None:
    log = grown(300)
    told = said(check(json.dumps(log.receipt(20, key=OTHER_KEY)).encode(), TRUST).verdict)
    assert len(told) == 1 and told[0].startswith("other-key: checkpoint: a checkpoint of 'www.example.org/volens' signed by")
    told = said(check_log(SITE, len(log.rows), log.read, log.head(key=OTHER_KEY), TRUST).verdict)
    assert len(told) == 1 and told[0].startswith("other-key: checkpoint")


def test_fields_of_two_receipts_swapped() -> None:
    log = grown(300)
    one, two = log.receipt(20, 100), log.receipt(180, 200)
    allowed = {"record": "commit", "salt": "commit", "entry": "path", "index": "path", "proof": "path", "checkpoint": "path"}
    for name, code in allowed.items():
        for mine, other in ((one, two), (two, one)):
            faults = check(json.dumps(mine | {name: other[name]}).encode(), TRUST).verdict.faults
            assert code in {fault.code for fault in faults}, (name, faults)
    for first in allowed:
        for second in allowed:
            mixed = json.dumps(one | {first: two[first], second: two[second]}).encode()
            assert not check(mixed, TRUST).verdict.holds, (first, second)


def test_two_views_shown_to_two_visitors(tmp_path: Path) -> None:
    log = grown(300)
    other = rewritten(log)
    here, there = (_standing(json.dumps(which.receipt(20)), name) for which, name in ((log, "hers"), (other, "his")))
    told = said(compare([here, there]).verdict("between", "", {}))
    assert told == [
        "fork: hers and his: two roots for the same 303 entries of 'www.example.org/volens'",
        "fork: hers and his: two entries at place 20 of 'www.example.org/volens'",
    ]
    early = _standing(json.dumps(log.receipt(20, 50)), "hers")
    assert [f.code for f in compare([early, there]).faults] == ["fork"]  # of other sizes, and still the same place
    apart = _standing(log.head(100), "hers")
    between = compare([apart, there])
    assert not between.faults and [c.code for c in between.caveats] == ["not-compared"]
    told = said(check_archive(written(tmp_path / "a", other.lines()), TRUST, standings=[apart], name="log").verdict)
    assert told == ["rewritten: log: the first 100 entries are not those that hers was signed over"]


def test_a_notice_changed_after_it_was_answered(tmp_path: Path) -> None:
    log = grown(300)
    lines = log.lines()
    lines[1] = logs.spoilt(lines[1], lambda v: v["notice"]["texts"].update(title={"fr": "Autre chose"}))
    found = check_archive(written(tmp_path / "a", lines), TRUST).verdict
    assert [f.code for f in found.faults] == ["notice-missing"]


_SHOWN = {"surface": "notice", "language": "fr", "gpc": False}


def test_counts_changed_beside_the_log(tmp_path: Path) -> None:
    log = grown(30)
    for refused, counted, told in ((500, 30, []), (500, 31, ["counts: log: 31 records by the counts, 30 in the log"])):
        counts = [
            {"count": {"of": "total", "day": "2026-11-22", "event": event, "notice": "0" * 64, **_SHOWN, "count": n}}
            for event, n in (("given", counted - 2), ("changed", 2), ("refused", refused))
        ]
        verdict = check_archive(written(tmp_path / "a", log.lines() + counts), TRUST, name="log").verdict
        assert verdict.holds and noted(verdict) == told


def test_pictures_changed_or_dropped_after_they_were_logged(tmp_path: Path) -> None:
    log = grown(30)
    lines = log.lines()
    lines[2] = logs.spoilt(lines[2], lambda v: v["file"].update(data="QXV0cmVz"))
    assert [f.code for f in check_archive(written(tmp_path / "a", lines), TRUST).verdict.faults] == ["file"]
    del lines[2]
    assert [f.code for f in check_archive(written(tmp_path / "a", lines), TRUST).verdict.faults] == ["file"]


def test_a_log_whose_own_rules_are_broken_is_found_although_it_is_signed(tmp_path: Path) -> None:
    """Every hash and signature is right, for the operator made them so."""

    def told(log: Log, **more: Any) -> list[str]:
        return said(check_log(SITE, len(log.rows), log.read, log.head(), TRUST, notices=[NOTICE.digest], **more).verdict)

    log = grown(30)
    log.entry(notice_entry("other.example.org", minute(START) + 9, NOTICE.digest))
    assert told(log) == ["site: entry 33: of 'other.example.org', in the log of 'www.example.org'"]
    log = grown(30)
    log.entry(erasure_entry(SITE, minute(START) + 9, [(40, 50)], "age"))
    assert told(log) == ["form: entry 33: it names the later entry 50 as erased"]
    log = grown(30)
    log.entry(log.rows[0].entry.replace(b'"notice":', b'"notice": ', 1))
    assert told(log) == ["form: entry 33: the entry is not in canonical form"]
    log = grown(30)
    row = log.rows[20]
    assert row.record is not None and row.salt is not None
    row.record = row.record.replace(b'"event":', b'"event": ', 1)
    row.entry = RecordEntries(SITE).entry(commitment(row.salt, row.record), NOTICE.digest, minute(START))
    assert told(log) == ["form: entry 20: the record is not in canonical form"]
    log = grown(30)
    log.rows[0].record = log.rows[20].record
    assert told(log) == ["form: entry 0: a record beside an entry of type 'notice'"]
    log = grown(30)
    log.rows[20].salt = None
    assert told(log) == ["form: entry 20: a record without its salt, or a salt without its record"]
    log = grown(30)
    alien = Log(LogKey("other.example.org/volens", logs.seed("other")), rows=log.rows)
    found = check_log(
        SITE, 33, log.read, alien.key.sign(log.text().replace(SITE, "other.example.org")), Trust.of([read_key(alien.key.vkey)])
    )
    assert "site: checkpoint: a log of 'other.example.org/volens'; these are entries of 'www.example.org'" in said(found.verdict)
    assert told(log, published=[alien.head()[:-1], alien.key.sign(log.text().replace(SITE, "other.example.org"))]) == [
        "form: checkpoint 0: a published checkpoint that is none",
        "site: checkpoint 1: of 'other.example.org/volens', in the log of 'www.example.org/volens'",
    ]
    lines = log.lines()
    lines.insert(24, lines[23])
    assert "order: entry 20: it stands after entry 20" in said(check_archive(written(tmp_path / "a", lines), TRUST).verdict)


def test_a_witness_s_word_counts_only_for_what_it_saw(tmp_path: Path) -> None:
    """Published checkpoints with a stranger's signature, or one that does not fit, are no witness's."""
    log = grown(60)
    log.published = [log.head(20), log.head(30, WitnessKey("witness.example.net/w2", logs.seed("stranger")))]
    found = check_archive(written(tmp_path / "a", log.lines()), WITNESSED).verdict
    assert said(found) == [
        "no-cosignature: checkpoint: witness.example.net/w1 (" + read_key(WITNESS.public.text).id.hex() + ") has not signed it"
    ]
    log.published = [log.head(20) + WITNESS.cosign(log.text(30), 1)]
    assert {fault.code for fault in check_archive(written(tmp_path / "a", log.lines()), WITNESSED).verdict.faults} == {
        "cosignature",
        "no-cosignature",
    }
    second = WitnessKey("witness.example.net/w2", logs.seed("stranger"))
    both = [read_key(WITNESS.public.text), read_key(second.public.text)]
    log.published = [log.head(20, WITNESS, second), log.head(30, WITNESS)]
    archive = written(tmp_path / "a", log.lines(log.head(None, second)))
    for quorum, seen in ((None, 20), (2, 20), (1, 63)):
        found = check_archive(archive, Trust((read_key(KEY.vkey),), tuple(both), quorum)).verdict
        assert (found.holds, found.facts["witnessed"]) == (True, seen)


# ---------------------------------------------------------------- a real database, and SQL

WHOLE = 601  # the notice's entry, then records
TWENTY = "WHERE at & 16777215 = 20"
SWAP = f"""UPDATE entries SET at = -at {TWENTY}; UPDATE entries SET at = at - 1 WHERE at & 16777215 = 21;
    UPDATE entries SET at = 1 - at WHERE at < 0"""
OTHER_HEAD = OTHER_KEY.sign(checkpoint(f"{SITE}/volens", WHOLE, bytes(32)))
FALSE_HEAD = KEY.sign(checkpoint(f"{SITE}/volens", 300, bytes(32)))
SQL = {
    "answer": (
        f"UPDATE entries SET json = replace(CAST(json AS TEXT), 'accept-all', 'panel') {TWENTY}",
        "commit: entry 20: record and salt",
    ),
    "salt": (f"UPDATE entries SET salt = randomblob(16) {TWENTY}", "commit: entry 20: record and salt"),
    "record": (f"UPDATE entries SET json = NULL, salt = NULL, id = NULL {TWENTY}", "dropped: entry 20: its record is gone"),
    "row": (f"DELETE FROM entries {TWENTY}", "order: entry 20: it is missing"),
    "commitment": (f"UPDATE entries SET hash = randomblob(32) {TWENTY}", "entry: entry 20: it is not the entry whose hash was kept"),
    "minute": (f"UPDATE entries SET minute = minute - 1 {TWENTY}", "minute: entry 20"),
    "swap": (SWAP, "order: entry 20: here stands the entry that was logged at place 21"),
    "tile": ("UPDATE tiles SET hashes = randomblob(8192)", "entry: entry 0: it is not the entry whose hash was kept"),
    "size": (f"UPDATE logs SET size = {WHOLE - 3}", "size: the ledger: 598 entries; the checkpoint was signed over 601"),
    "head": (f"UPDATE logs SET note = '{OTHER_HEAD}'", "other-key: checkpoint: a checkpoint of 'www.example.org/volens' signed by"),
    "published": (f"UPDATE published SET note = '{OTHER_HEAD}'", "other-key: checkpoint 0: a checkpoint of"),
    "count": ("UPDATE counts SET n = n + 7 WHERE event = 'given'", "counts: the ledger: 607 records by the counts, 600 in the log"),
    "another published": (f"UPDATE published SET note = '{FALSE_HEAD}'", "rewritten: the ledger: the first 300 entries are not those"),
}


def opened(path: Path) -> SqliteStore:
    """A minute after the first record."""
    return SqliteStore(path, lambda site: KEY, clock=lambda: START.timestamp() + 60)


@pytest.fixture(scope="module")
def sqlite_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger as a site keeps it."""
    path = tmp_path_factory.mktemp("ledger") / "volens.db"
    fill(opened(path))
    return path


def judged(store: Store, standings: Sequence[Standing] = ()) -> Verdict:
    """As ``volens ledger verify`` does."""
    with closing(store):
        head = store.head(SITE)
        assert head is not None
        return check_log(
            SITE,
            head.size,
            lambda first, last: store.rows(SITE, first, last),
            head.note,
            TRUST,
            name="the ledger",
            published=[one.note for one in store.checkpoints(SITE)],
            hashes=lambda level, tile: store.hashes(SITE, level, tile),
            notices=[notice.digest for notice in store.notices(SITE).values()],
            counted=sum(total["count"] for total in store.totals(SITE, *EVER) if total["event"] != "refused"),
            standings=standings,
        ).verdict


def fill(store: Store) -> None:
    """Six hundred records in a new ledger, a checkpoint published half way."""
    with closing(store):
        for number in range(WHOLE - 1):
            waiting = store.append(record(number, START, method="accept-all"), NOTICE)
            if number == WHOLE // 2:
                waiting.result(30)
                head = store.head(SITE)
                assert head is not None
                store.publish(SITE, head.note)
        waiting.result(30)


def copied_database(ledger: Path, folder: Path) -> Path:
    """A copy whose triggers are gone: whoever has the file has them gone."""
    path = Path(shutil.copy(ledger, folder / "volens.db"))
    base = sqlite3.connect(path)
    for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        base.execute(f"DROP TRIGGER {name}")
    base.commit()
    base.close()
    return path


def test_a_real_ledger_holds(sqlite_ledger: Path) -> None:
    verdict = judged(opened(sqlite_ledger))
    assert not noted(verdict)
    assert verdict.holds and verdict.facts["record"] == WHOLE - 1, verdict


@pytest.mark.parametrize("what", SQL)
def test_a_real_ledger_that_was_changed_by_sql(what: str, sqlite_ledger: Path, tmp_path: Path) -> None:
    sql, found = SQL[what]
    path = copied_database(sqlite_ledger, tmp_path)
    base = sqlite3.connect(path, isolation_level=None)
    base.executescript(sql)
    assert base.execute("SELECT total_changes()").fetchone()[0] > 0
    base.close()
    verdict = judged(opened(path))
    told = said(verdict) + noted(verdict)
    assert any(one.startswith(found) for one in told), told


def test_a_real_ledger_of_which_an_older_copy_was_put_back(sqlite_ledger: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(sqlite_ledger, tmp_path / "volens.db"))
    store = opened(path)
    latest = store.append(record(5000, START), NOTICE).result(30)
    store.close()
    mine = check(json.dumps(latest.receipt().to_json()).encode(), TRUST, "my receipt")
    assert mine.verdict.holds and mine.standing is not None
    assert judged(opened(path), [mine.standing]).holds
    assert said(judged(opened(sqlite_ledger), [mine.standing])) == [
        "shorter: the ledger: my receipt was signed over 602 entries; here are 601"
    ]


MOVE = f"""UPDATE volens.entries SET at = -at {TWENTY}; UPDATE volens.entries SET at = at - 1 WHERE at & 16777215 BETWEEN 21 AND 30;
    UPDATE volens.entries SET at = 10 - at WHERE at < 0"""
POSTGRES = {
    "answer": (
        f"UPDATE volens.entries SET json = replace(convert_from(json, 'UTF8'), 'accept-all', 'panel')::bytea {TWENTY}",
        "commit: entry 20: record and salt",
    ),
    "salt": (f"UPDATE volens.entries SET salt = decode(md5('another'), 'hex') {TWENTY}", "commit: entry 20: record and salt"),
    "record": (f"UPDATE volens.entries SET json = NULL, salt = NULL, id = NULL {TWENTY}", "dropped: entry 20: its record is gone"),
    "row": (f"DELETE FROM volens.entries {TWENTY}", "order: entry 20: it is missing"),
    "commitment": (
        f"UPDATE volens.entries SET commitment = sha256('another') {TWENTY}",
        "entry: entry 20: it is not the entry whose hash was kept",
    ),
    "hash": (f"UPDATE volens.entries SET hash = sha256('another') {TWENTY}", "entry: entry 20: it is not the entry whose hash was kept"),
    "minute": (f"UPDATE volens.entries SET minute = minute - 1 {TWENTY}", "minute: entry 20"),
    "move": (MOVE, "tile: tile 1/0: the hash that was kept over the entries 0 to 255 is not theirs"),
    "node": (
        "UPDATE volens.nodes SET hash = sha256('another')",
        "tile: tile 1/0: the hash that was kept over the entries 0 to 255 is not theirs",
    ),
    "size": (f"UPDATE volens.logs SET size = {WHOLE - 3}", "size: the ledger: 598 entries; the checkpoint was signed over 601"),
    "head": (f"UPDATE volens.logs SET note = '{OTHER_HEAD}'", "other-key: checkpoint: a checkpoint of 'www.example.org/volens' signed by"),
    "published": (f"UPDATE volens.published SET note = '{OTHER_HEAD}'", "other-key: checkpoint 0: a checkpoint of"),
    "count": ("UPDATE volens.counts SET n = n + 7 WHERE event = 'given'", "counts: the ledger: 607 records by the counts, 600 in the log"),
    "another published": (
        f"UPDATE volens.published SET note = '{FALSE_HEAD}'",
        "rewritten: the ledger: the first 300 entries are not those",
    ),
    "notice": (
        "UPDATE volens.versions SET site = 'other.example.org'",
        f"notice-missing: entry 1: it answers the notice {NOTICE.digest}, which is not here",
    ),
}
"""The same by SQL in PostgreSQL, which keeps an entry's hash beside it."""


@pytest.fixture(scope="module")
def postgres_ledger(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a database that holds a ledger; nobody is connected to it."""
    name = server.database()
    fill(postgres(server, name, tmp_path_factory.mktemp("ledger")))
    yield name
    server.drop(name)


def postgres(server: Server, name: str, folder: Path) -> PostgresStore:
    """A minute after the first record."""
    return PostgresStore(server.url(name), folder / "withdrawals", lambda site: KEY, clock=lambda: START.timestamp() + 60)


@pytest.mark.parametrize("what", ["nothing", *POSTGRES])
def test_a_ledger_in_postgresql_that_was_changed_by_sql(what: str, server: Server, postgres_ledger: str, tmp_path: Path) -> None:
    sql, found = POSTGRES.get(what, ("", ""))
    name = f"{postgres_ledger}_spoilt"
    server.ask(f"CREATE DATABASE {name} TEMPLATE {postgres_ledger}")
    try:
        with server.connect(name) as connection:
            connection.execute("SET session_replication_role = replica")  # no trigger runs: whoever has the server has them gone
            for statement in filter(None, sql.split(";")):
                assert connection.execute(statement).rowcount > 0
        verdict = judged(postgres(server, name, tmp_path))
        told = said(verdict) + noted(verdict)
        assert any(one.startswith(found) for one in told) if sql else not told, told
    finally:
        server.drop(name)
