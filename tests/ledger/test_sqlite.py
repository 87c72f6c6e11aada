"""The SQLite store: the contract, and what is particular to a file on a disk."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sqlite3
import stat
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from conformance import (
    DAY,
    NOTICE,
    SITE,
    StoreConformance,
    counted,
    faults,
    notice,
    record,
    refusal,
    signer,
    sound,
)
from processes import in_a_fork

from volens.errors import StoreBusy, StoreError, StoreTooNew, StoreUnavailable
from volens.ledger import sqlite, writer
from volens.ledger.keyring import Keyring
from volens.ledger.record import new_id
from volens.ledger.sqlite import SqliteStore
from volens.ledger.store import Event, Expiry, Kept, Store


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[..., Store]:
        return lambda **more: SqliteStore(tmp_path / "ledger.db", **{"signer": signer} | more)

    @pytest.fixture
    def open_other(self, tmp_path: Path) -> Callable[..., Store]:
        return lambda **more: SqliteStore(tmp_path / "other.db", **{"signer": signer} | more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path, signer, patience=1)
    yield store
    store.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process's long transaction, as the file sees it."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


# The file -------------------------------------------------------------------------------------------------------


def test_every_file_is_for_its_owner_alone(path: Path, store: SqliteStore) -> None:
    before = os.umask(0)
    try:
        SqliteStore(path.with_name("other.db")).append(record(), NOTICE).result(10)
        store.append(record(), NOTICE).result(10)
        deadline = time.monotonic() + 10
        while not path.with_name("ledger.db-checkpoint").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert {"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-checkpoint", "other.db"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_a_commit_is_synced_to_the_disk(path: Path, store: SqliteStore) -> None:
    connection = store._connect()
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    connection.close()


def test_records_and_notices_cannot_be_edited_even_by_hand(path: Path, store: SqliteStore) -> None:
    store.append(record(), NOTICE).result(10)
    by_hand = sqlite3.connect(path)
    for table in ("entries", "notices"):
        with pytest.raises(sqlite3.IntegrityError, match="never edited"):
            by_hand.execute(f"UPDATE {table} SET json = '{{}}'")
    by_hand.close()


def test_rows_stand_in_the_order_of_submission(path: Path, store: SqliteStore) -> None:
    given = [record() for _ in range(1200)]  # more than two batches
    for future in [store.append(each, NOTICE) for each in given]:
        future.result(10)
    by_hand = sqlite3.connect(path)
    assert [id for (id,) in by_hand.execute("SELECT id FROM entries WHERE id IS NOT NULL ORDER BY at")] == [each.id for each in given]
    assert by_hand.execute("SELECT json FROM entries WHERE at = 1 << 40 | 1").fetchone() == (given[0].canonical(),)
    by_hand.close()


def test_damage_is_reported_never_returned(path: Path, store: SqliteStore) -> None:
    kept = store.append(record(), NOTICE).result(10).record
    by_hand = sqlite3.connect(path, isolation_level=None)
    for table in ("entries", "notices"):
        by_hand.execute(f"DROP TRIGGER {table}_appended")
        damage = "CAST(replace(replace(CAST(json AS TEXT), 'Le Journal', 'Le Journa1'), 'accept-all', 'accept-any') AS BLOB)"
        by_hand.execute(f"UPDATE {table} SET json = {damage}")
    with pytest.raises(StoreError, match="damaged: method 'accept-any' is not one of"):
        store.record(kept.id)
    by_hand.execute("UPDATE entries SET json = 'text'")
    with pytest.raises(StoreError, match="damaged"):
        store.record(kept.id)
    by_hand.close()
    with pytest.raises(StoreError, match=r"damaged: its content has digest"):
        store.notices(SITE)


# Errors that can be mended, said to who can mend them --------------------------------------------------------------


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"the directory '.*/nowhere' does not exist\. Create it, or name another file"):
        SqliteStore(tmp_path / "nowhere" / "ledger.db")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="it is a directory"):
        SqliteStore(tmp_path)


def test_a_file_of_something_else_is_left_as_it_was(tmp_path: Path) -> None:
    text = tmp_path / "letters.txt"
    text.write_text("Dear Sir, " * 500)
    with pytest.raises(StoreError, match=r"letters\.txt: not a SQLite database"):
        SqliteStore(text)
    assert text.read_text() == "Dear Sir, " * 500

    shop = tmp_path / "shop.db"
    connection = sqlite3.connect(shop)
    connection.execute("CREATE TABLE orders (id)")
    connection.commit()
    connection.close()
    before = shop.read_bytes()
    with pytest.raises(StoreError, match="not a Volens ledger"):
        SqliteStore(shop)
    assert shop.read_bytes() == before


def test_a_newer_schema_is_refused_and_left_as_it_was(path: Path) -> None:
    SqliteStore(path).close()
    by_hand = sqlite3.connect(path)
    by_hand.execute(f"PRAGMA user_version = {len(sqlite.STEPS) + 1}")
    by_hand.close()
    before = path.read_bytes()
    with pytest.raises(
        StoreTooNew, match=rf"schema version {len(sqlite.STEPS) + 1}, but this Volens knows versions up to {len(sqlite.STEPS)}"
    ):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_damaged_file_is_named_as_such(path: Path) -> None:
    store = SqliteStore(path)
    for future in [store.append(record(), NOTICE) for _ in range(500)]:
        future.result(10)
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_000)
    with pytest.raises(StoreError, match=r"damaged .*Restore it from a copy"):
        SqliteStore(path).append(record(), NOTICE).result(10)


@contextmanager
def as_an_ordinary_user(*owned: Path) -> Iterator[None]:
    """Permissions mean nothing to root, so a root that tests becomes *nobody* meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    for each in owned:
        os.chown(each, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that another user may reach (pytest's own are private)."""
    directory = Path(tempfile.mkdtemp(prefix="volens-test-"))
    directory.chmod(0o755)
    yield directory
    directory.chmod(0o755)
    shutil.rmtree(directory)


@pytest.mark.parametrize("existing", [False, True])
def test_a_read_only_directory_is_named(open_directory: Path, existing: bool) -> None:
    file = open_directory / "ledger.db"
    files = [open_directory]
    if existing:
        SqliteStore(file).close()
        files.append(file)
    open_directory.chmod(0o555)
    with as_an_ordinary_user(*files), pytest.raises(StoreUnavailable, match="may not write to the directory"):
        SqliteStore(file)


def test_a_read_only_file_is_named_when_it_is_opened_not_at_the_first_grant(open_directory: Path) -> None:
    file = open_directory / "ledger.db"
    SqliteStore(file).close()
    with as_an_ordinary_user(open_directory, file):
        file.chmod(0o444)
        with pytest.raises(StoreUnavailable, match=r"user \d+ may not write to it"):
            SqliteStore(file)


# Under way --------------------------------------------------------------------------------------------------------


def test_a_file_locked_by_another_process_fails_grants_and_keeps_refusals(
    path: Path, store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.append(record(), NOTICE).result(10)
    lost = record()
    with caplog.at_level(logging.WARNING, "volens.ledger"):
        with locked(path):
            store.count(refusal())
            with pytest.raises(StoreUnavailable, match=r"another process has been writing to it for more than 1 s"):
                store.append(lost, NOTICE).result(10)
            with pytest.raises(StoreUnavailable):
                store.append(record(), NOTICE).result(10)
        assert store.append(lost, NOTICE).result(10).record == lost
    assert counted(store) == {"given": 2, "refused": 1}
    assert [entry.levelname for entry in caplog.records] == ["ERROR", "WARNING"], "said once when it fails, once when it works again"


def test_a_full_queue_is_busy_at_once_and_nothing_queued_is_lost(path: Path) -> None:
    store = SqliteStore(path, queue=5, batch=3, patience=30)
    with locked(path):
        futures = [store.append(record(), NOTICE)]
        while store._waiting:  # until the writer holds it and waits for the file
            time.sleep(0.001)
        futures += [store.append(record(), NOTICE) for _ in range(5)]
        started = time.monotonic()
        with pytest.raises(StoreBusy, match="5 records wait"):
            store.append(record(), NOTICE)
        store.count(refusal())
        assert time.monotonic() - started < 5, "the writer's patience is 30 s: nobody waited for it"
    assert len({future.result(60).record.id for future in futures}) == 6
    assert counted(store) == {"given": 6, "refused": 1}
    store.close()


def test_a_grant_cancelled_while_it_waits_is_not_recorded(path: Path) -> None:
    store = SqliteStore(path, patience=30)
    with locked(path):
        first = store.append(record(), NOTICE)
        while store._waiting:
            time.sleep(0.001)
        second, third = store.append(record(), NOTICE), store.append(record(), NOTICE)
        assert not first.cancel(), "it is being written"
        assert second.cancel()
    assert first.result(60) and third.result(60)
    assert counted(store) == {"given": 2}
    store.close()


def test_rows_are_not_acknowledged_when_the_file_was_replaced(path: Path, store: SqliteStore) -> None:
    store.append(record(), NOTICE).result(10)
    for file in path.parent.glob("ledger.db*"):
        file.unlink()
    SqliteStore(path).close()
    # SQLite itself notices when it sees the old file with the new one's log.
    with pytest.raises(StoreUnavailable, match=r"replaced while it was in use\. Restart Volens|damaged"):
        store.append(record(), NOTICE).result(10)


def test_counters_in_memory_are_bounded_and_those_dropped_are_logged(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "KEYS", 3)
    store.append(record(), NOTICE).result(10)
    with locked(path):
        for name in "abcde":
            for _ in range(2):
                store.count(refusal(site=name))
        assert len(store._counts) == 3
    with caplog.at_level(logging.ERROR, "volens.ledger"):
        assert counted(store, "a") == {"refused": 2}
        assert counted(store, "d") == {}
        store.close()
    assert "4 refusals were not counted" in caplog.text


def test_refusals_are_written_by_themselves_within_seconds(path: Path, store: SqliteStore) -> None:
    store.count(refusal())
    reader = SqliteStore(path)
    deadline = time.monotonic() + 20
    while counted(reader) != {"refused": 1}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_site_starts_with_a_known_notice_although_nothing_can_be_written(path: Path, store: SqliteStore) -> None:
    store.keep_notice(SITE, NOTICE)
    with locked(path):
        store.keep_notice(SITE, NOTICE)
        assert store.notices(SITE) == {NOTICE.short: NOTICE}
        with pytest.raises(StoreUnavailable, match="could not keep a notice"):
            store.keep_notice(SITE, notice("New"))


def test_the_log_is_moved_into_the_file_and_does_not_grow_without_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LOG_FRAMES", 200)
    monkeypatch.setattr(sqlite, "CHECKPOINT", 0.01)
    store = SqliteStore(path)
    waiting: deque[Future[Kept]] = deque()
    written = 9000
    for _ in range(written):  # without a pause in which the log could start anew by itself
        waiting.append(store.append(record(), NOTICE))
        if len(waiting) > 8:
            waiting.popleft().result(30)
    for future in waiting:
        future.result(30)
    log, file = (path.parent / "ledger.db-wal").stat().st_size, path.stat().st_size
    assert file > written * 400, "the rows are in the file itself"
    assert log < 10 * 200 * 4096, "a frame for each page changed in each commit would be several times that"
    store.close()
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert check.execute("SELECT count(id) FROM entries").fetchone() == (written,)
    check.close()


def test_a_long_reader_holds_up_no_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LOG_FRAMES", 10)
    monkeypatch.setattr(sqlite, "CHECKPOINT", 0.01)
    store = SqliteStore(path, patience=60)
    store.append(record(), NOTICE).result(10)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(id) FROM entries").fetchone() == (1,)
    for _ in range(40):
        store.append(record(), NOTICE).result(30)
    assert reader.execute("SELECT count(id) FROM entries").fetchone() == (1,)
    reader.close()
    assert counted(store) == {"given": 41}
    store.close()


def test_two_stores_on_one_file_in_one_process_share_it(path: Path) -> None:
    one, two = SqliteStore(path), SqliteStore(path)
    futures = [store.append(record(), NOTICE) for _ in range(200) for store in (one, two)]
    ids = [future.result(30).record.id for future in futures]
    one.close()
    assert all(two.record(id) for id in ids[:20])
    assert two.append(record(), NOTICE).result(10)
    assert counted(two) == {"given": 401}
    two.close()


def test_events_of_one_batch_follow_each_other_as_if_they_had_come_alone(path: Path) -> None:
    """A grant, its change, the same visitor's next grant, another's: who ends is the last of each, and all are told, in order."""
    store = SqliteStore(path, patience=30)
    store.append(record(), NOTICE).result(10)

    def event(name: str, subject: str = "", *, ends: bool = True) -> Event:
        return Event(name, b"{}", subject, Expiry(f"end-{name}", b"{}", 1.0) if ends else None)

    first, alone = record(), record()
    second = record(event="changed", supersedes=first.id, method="panel")
    third = record()
    gone = record(event="withdrawn", supersedes=alone.id, method="refuse-all", purposes={"video": False})
    others = [(record(), event(f"o{n}", f"other-{n}")) for n in range(300)]
    with locked(path):
        futures = [store.append(record(), NOTICE)]
        while store._waiting:
            time.sleep(0.001)
        for each, told in (
            (first, event("a", "ann")),
            (alone, event("b")),
            (second, event("c", "ann")),
            (third, event("d", "ann")),
            (gone, event("e", ends=False)),
            *others,
        ):
            futures.append(store.append(each, NOTICE, told))
    for future in futures:
        future.result(60)
    with store.reading("look") as connection:
        assert [id for (id,) in connection.execute("SELECT id FROM outbox ORDER BY number")] == [*"abcde", *(e.id for _, e in others)]
        ends = {id for (id,) in connection.execute("SELECT id FROM expiring")}
    assert ends == {"end-d", *(f"end-o{n}" for n in range(300))}
    assert [due.id for due in store.outbox.due(SITE, 2.0, 3)] == ["a", "b", "o0"], "what follows waits"
    store.close()


def test_few_statements_keep_any_number_of_rows() -> None:
    for number in (0, 1, 127, 128, 129, 200, 300, 511, 512, 513, 1500):
        for most in (111, 128, 512):
            portions = list(sqlite._portions(number, most))
            assert sum(portions) == number and all(0 < portion <= most for portion in portions)
    assert list(sqlite._portions(200, 512)) == [128, 72] and list(sqlite._portions(512, 512)) == [512]
    assert len({portion for number in range(2000) for portion in sqlite._portions(number, 512)}) <= 130, "each is compiled once"


def test_a_small_batch_is_one_statement_and_keeps_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of every size over the ends of tiles, of two sites, with duplicates: as if they had been written one by one."""
    chance = random.Random(5)
    store, plain = SqliteStore(path, signer), SqliteStore(path.with_name("plain.db"), signer)
    plain.at_once = 0
    sites = (SITE, "shop.example.org")
    for each in (store, plain):
        for site in sites:
            each.keep_notice(site, NOTICE)
            each.append(record(site=site), NOTICE).result(10)
        assert each.append(record(), NOTICE).result(10)
    one, other = store._connect(), plain._connect()
    monkeypatch.setattr(store, "_begin", lambda connection: pytest.fail("a transaction of several statements"))
    written, sizes = [], [1, 2, 3, 127, 128, 128, 128, 5, 60, *(chance.randint(1, 128) for _ in range(20))]
    for size in sizes:
        made = [record(site=sites[0] if chance.random() < 0.8 else sites[1], language=chance.choice(("fr", "en"))) for _ in range(size)]
        written += made
        for each, connection in ((store, one), (plain, other)):
            with each._write:
                done = each._commit(connection, [writer._Waiting(r, r.canonical(), NOTICE) for r in made], {})
            assert [result.record for result in done if isinstance(result, Kept)] == made
            assert faults(done[-1].receipt()) == []  # type: ignore[union-attr]
    monkeypatch.undo()
    with store._write:
        again = store._commit(one, [writer._Waiting(r, r.canonical(), NOTICE) for r in (written[3], record())], {})
    assert next(result.record for result in again if isinstance(result, Kept)) == written[3], "found by its id, and not kept twice"
    for site in sites:
        whole = sum(r.site == site for r in written)
        assert sound(plain, site) == whole + (3 if site == SITE else 2)
        assert sound(store, site) == whole + (4 if site == SITE else 2)
        assert plain.answers(site, DAY, DAY)[0]["yes"] <= store.answers(site, DAY, DAY)[0]["yes"] + 1
    assert counted(store)["given"] == counted(plain)["given"] + 1
    store._shut(one)
    plain._shut(other)
    store.close()
    plain.close()


def test_a_log_that_another_process_has_grown_is_looked_at_first(path: Path) -> None:
    one, two = SqliteStore(path, signer), SqliteStore(path, signer)
    for _ in range(5):
        for store in (one, two):
            assert faults(store.append(record(), NOTICE).result(10).receipt()) == []
    assert one._alone_at > 0 or two._alone_at > 0
    assert sound(one) == 11
    one.close()
    two.close()


def test_what_is_erased_is_in_none_of_the_files(path: Path, store: SqliteStore) -> None:
    kept = [future.result(30) for future in [store.append(record(tc=f"Csecret{n}x.YAAA"), NOTICE) for n in range(400)]]
    gone = kept[100:300]

    def found() -> set[int]:
        content = b"".join(file.read_bytes() for file in path.parent.iterdir())
        return {each.index for each in gone if each.salt in content or each.record.tc.encode() in content}

    assert found() == {each.index for each in gone}
    assert store.erase(SITE, [each.index for each in gone], "request") == 200
    assert found() == set()
    assert faults(store.receipt(kept[50].record.id)) == []
    assert store.append(record(), NOTICE).result(10)


def test_two_processes_with_different_keys_of_one_log_are_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = SqliteStore(path, Keyring(path.with_name("one.log-key"))), SqliteStore(path, Keyring(path.with_name("two.log-key")))
    assert one.append(record(), NOTICE).result(10)
    same = SqliteStore(path, Keyring(path.with_name("one.log-key")))
    assert same.append(record(), NOTICE).result(10) and one.append(record(), NOTICE).result(10)
    assert "is not here" not in caplog.text
    for _ in range(3):
        assert two.append(record(), NOTICE).result(10)
    assert caplog.text.count(f"the log of {SITE} was signed with a key that is not here") == 1
    for store in (one, two, same):
        store.close()


# Fork -------------------------------------------------------------------------------------------------------------


def test_workers_forked_before_the_first_record_write_each_on_their_own(path: Path) -> None:
    store = SqliteStore(path)
    store.keep_notice(SITE, NOTICE)
    assert store.notices(SITE)

    def worker() -> str:
        id = store.append(record(), NOTICE).result(10).record.id
        store.count(refusal())
        store.close()
        return id

    ids = [in_a_fork(worker) for _ in range(3)]
    assert all(store.record(id) for id in ids)
    store.append(record(), NOTICE).result(10)
    assert counted(store) == {"given": 4, "refused": 3}
    store.close()


def test_a_worker_forked_from_a_store_in_use_is_refused_and_harms_nothing(path: Path, store: SqliteStore) -> None:
    store.append(record(), NOTICE).result(10)

    def worker() -> str:
        with pytest.raises(StoreUnavailable, match="Fork workers before the first record"):
            store.append(record(), NOTICE).result(10)
        for refused in (lambda: store.record(new_id()), lambda: store.totals(SITE, DAY, DAY), lambda: SqliteStore(path)):
            with pytest.raises(StoreUnavailable, match="the locks did not follow"):
                refused()
        store.count(refusal())
        store.close()
        return "refused"

    assert in_a_fork(worker) == "refused"
    store.append(record(), NOTICE).result(10)
    assert counted(store) == {"given": 2}


def test_closing_while_others_submit_leaves_no_future_undone(path: Path) -> None:
    store = SqliteStore(path)
    futures = []
    stop = threading.Event()

    def submit() -> None:
        while not stop.is_set():
            futures.append(store.append(record(), NOTICE))
            if futures[-1].done() and futures[-1].exception():
                return

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    store.close()
    stop.set()
    for thread in threads:
        thread.join()
    assert all(future.done() for future in futures)
    kept = [future for future in futures if future.exception() is None]
    assert counted(SqliteStore(path)) == {"given": len(kept)}
