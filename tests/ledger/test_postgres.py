"""The PostgreSQL store: the contract, and what is particular to a server that others use too."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from conformance import DAY, NOTICE, SITE, StoreConformance, counted, faults, notice, record, refusal, signer, sound
from pg import PASSWORD, USER, Server
from processes import append_together, in_a_fork, writer
from running import until

from volens.catalog import Catalog
from volens.config import outside, parse
from volens.errors import ConfigError, StoreError, StoreTooNew, StoreUnavailable
from volens.ledger import postgres
from volens.ledger.postgres import PostgresStore, place_of, read_url
from volens.ledger.record import new_id
from volens.ledger.store import Event, Expiry, Kept, Store
from volens.web.runtime import open_ledger


class TestPostgresStore(StoreConformance):
    @pytest.fixture
    def open_store(self, database: str, tmp_path: Path) -> Callable[..., Store]:
        return lambda **more: PostgresStore(database, tmp_path / "withdrawals", **{"signer": signer} | more)

    @pytest.fixture
    def open_other(self, server: Server, tmp_path: Path) -> Iterator[Callable[..., Store]]:
        name = server.database()
        yield lambda **more: PostgresStore(server.url(name), tmp_path / "others", **{"signer": signer} | more)
        server.drop(name)


@pytest.fixture
def store(database: str, tmp_path: Path) -> Iterator[PostgresStore]:
    store = PostgresStore(database, tmp_path / "withdrawals", signer, patience=1)
    yield store
    store.close()


def by_hand(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url, autocommit=True)


# Rows ---------------------------------------------------------------------------------------------------------------


def test_what_was_kept_cannot_be_edited_even_by_hand(database: str, store: PostgresStore) -> None:
    store.append(record(), NOTICE).result(10)
    with by_hand(database) as connection:
        for statement in (
            "UPDATE volens.entries SET json = '{}' WHERE id IS NOT NULL",
            "UPDATE volens.entries SET json = NULL WHERE id IS NULL",
            "UPDATE volens.entries SET minute = minute + 1, id = NULL, salt = NULL, json = NULL",
            "DELETE FROM volens.entries",
            "TRUNCATE volens.entries",
            "UPDATE volens.notices SET json = '{}'",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation, match="never edited"):
                connection.execute(statement)  # type: ignore[arg-type]
    sound(store)


def test_damage_is_reported_never_returned(database: str, store: PostgresStore) -> None:
    kept = store.append(record(), NOTICE).result(10).record
    with by_hand(database) as connection:
        connection.execute("ALTER TABLE volens.entries DISABLE TRIGGER USER; ALTER TABLE volens.notices DISABLE TRIGGER USER")
        connection.execute("UPDATE volens.entries SET json = replace(convert_from(json, 'UTF8'), 'accept-all', 'accept-any')::bytea")
        connection.execute("UPDATE volens.notices SET json = convert_to(replace(convert_from(json, 'UTF8'), 'Journal', 'Journa1'), 'UTF8')")
    with pytest.raises(StoreError, match="damaged: method 'accept-any' is not one of"):
        store.record(kept.id)
    with pytest.raises(StoreError, match="damaged: its content has digest"):
        store.notices(SITE)


def test_a_record_takes_few_bytes(database: str, store: PostgresStore) -> None:
    for future in [store.append(record(), NOTICE) for _ in range(5000)]:
        future.result(30)
    with by_hand(database) as connection:
        row = connection.execute("SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname IN ('entries', 'nodes')").fetchone()
    assert row and int(str(row[0])) / 5000 < 900


# Several who write --------------------------------------------------------------------------------------------------


def test_several_machines_append_to_one_new_log(database: str, tmp_path: Path) -> None:
    """All make the tables, all write to the same logs in different orders: every row is there, the trees are right, the counts too."""
    others = [f"{name}.example.org" for name in ("a", "shop", "zz", "b")]
    ids = append_together(database, tmp_path, 5, [(SITE, other, "shop.example.org") for other in others])
    assert len(set(ids)) == 4 * 30 * 15
    store = PostgresStore(database, tmp_path / "withdrawals", signer)
    assert sum(sound(store, site) - 1 for site in store.sites()) == 4 * 30 * 15
    assert counted(store) == {"given": 4 * 30 * 5, "refused": 4 * 30 * 15}
    for id in ids[::100]:
        assert faults(store.receipt(id)) == []
    store.close()


def test_a_log_held_by_another_fails_grants_and_keeps_refusals(
    database: str,
    store: PostgresStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.append(record(), NOTICE).result(10)
    given = record()
    with by_hand(database) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM volens.logs FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="another process has held the log for more than 1 s"):
            store.append(given, NOTICE).result(30)
        store.count(refusal())
        other.execute("ROLLBACK")
    assert store.append(given, NOTICE).result(30).record == given
    assert counted(store) == {"given": 2, "refused": 1}
    assert sound(store) == 3


def held(store: PostgresStore, other: psycopg.Connection[tuple[object, ...]], meanwhile: Callable[[], None]) -> None:
    """Do something while the writer waits for the log that it is to append one record to."""
    with other.transaction():
        other.execute("SELECT FROM volens.logs FOR UPDATE")
        store.append(record(), NOTICE)
        assert until(lambda: other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (0,), 5)
        meanwhile()


def test_what_is_queued_while_a_log_is_waited_for_goes_into_the_same_commit(database: str, store: PostgresStore) -> None:
    store.append(record(), NOTICE).result(10)
    futures: list[Future[Kept]] = []
    with by_hand(database) as other:
        held(store, other, lambda: futures.extend(store.append(record(), NOTICE) for _ in range(40)))
    kept = [future.result(10) for future in futures]
    assert len({one.checkpoint for one in kept}) == 1
    assert [one.index for one in kept] == list(range(3, 43))
    assert counted(store) == {"given": 42} and sound(store) == 43


def test_what_is_queued_while_a_log_is_waited_for_is_not_later_than_its_entry(database: str, store: PostgresStore) -> None:
    store.append(record(), NOTICE).result(10)
    later = record(time=datetime.now(UTC) + timedelta(minutes=2))
    futures: list[Future[Kept]] = []
    with by_hand(database) as other:
        held(store, other, lambda: futures.append(store.append(later, NOTICE)))
    assert faults(futures[0].result(10).receipt()) == []


def test_a_withdrawal_comes_before_what_is_appended_after_it_also_while_a_log_is_waited_for(database: str, store: PostgresStore) -> None:
    store.append(record(), NOTICE).result(10)
    withdrawn = record(event="withdrawn", method="refuse-all", purposes={"video": False}, services={}, supersedes=new_id())
    later = record()

    def meanwhile() -> None:
        store.withdraw(withdrawn, NOTICE).result(10)
        store.append(later, NOTICE)

    with by_hand(database) as other:
        held(store, other, meanwhile)
    assert until(lambda: store.find(later.id) is not None, 10)
    places = store.find(withdrawn.id), store.find(later.id)
    assert places == ((SITE, 3), (SITE, 4))


def test_workers_forked_before_the_first_record_write_and_one_forked_later_is_refused(store: PostgresStore) -> None:
    store.keep_notice(SITE, NOTICE)
    assert store.notices(SITE)  # a connection lies ready, which is not the child's

    def worker() -> str:
        id = store.append(record(), NOTICE).result(30).record.id
        store.count(refusal())
        assert store.record(id)
        store.close()
        return id

    ids = [in_a_fork(worker) for _ in range(3)]
    assert all(store.record(id) for id in ids), ids
    store.append(record(), NOTICE).result(30)
    assert "Fork workers before the first record" in in_a_fork(lambda: store.append(record(), NOTICE).result(30))
    assert "Fork workers before the first record" in in_a_fork(lambda: store.record(ids[0]))
    assert counted(store) == {"given": 4, "refused": 3}


# Schema -------------------------------------------------------------------------------------------------------------


def test_a_newer_schema_is_refused_and_left_as_it_was(database: str, store: PostgresStore, tmp_path: Path) -> None:
    store.append(record(), NOTICE).result(10)
    newer = len(postgres.STEPS) + 1
    with by_hand(database) as connection:
        connection.execute("UPDATE volens.version SET version = %s", (newer,))
        with pytest.raises(StoreTooNew, match=rf"schema version {newer}, but this Volens knows versions up to {newer - 1}"):
            PostgresStore(database, tmp_path / "aside", signer)
        with pytest.raises(StoreTooNew):  # the one that is at it stops, too
            store.append(record(), NOTICE).result(10)
        with pytest.raises(StoreTooNew):
            store.check()
        assert connection.execute("SELECT count(*) FROM volens.entries").fetchone() == (2,)
        assert connection.execute("SELECT version FROM volens.version").fetchone() == (newer,)


def test_a_step_of_the_schema_is_made_once_under_load_and_who_does_not_know_it_stops(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    PostgresStore(database, tmp_path / "aside", signer).close()
    (tmp_path / "w").mkdir()
    old = writer(database, tmp_path / "w", 8, subprocess.PIPE)
    assert old.stdout and old.stdout.readline()
    monkeypatch.setattr(postgres, "STEPS", (*postgres.STEPS, ("CREATE TABLE volens.more (one integer)", "SELECT pg_sleep(0.3)")))
    new: list[PostgresStore] = []
    openers = [threading.Thread(target=lambda: new.append(PostgresStore(database, tmp_path / "aside", signer))) for _ in range(3)]
    for thread in openers:
        thread.start()
    for thread in openers:
        thread.join(60)
    assert len(new) == 3, "one makes it, the others wait"
    out, said = old.communicate(timeout=60)  # its threads end one after the other, each with what it was told
    ids = out.decode().split()
    assert said.decode().count("StoreTooNew") >= 8
    with by_hand(database) as connection:
        assert connection.execute("SELECT version FROM volens.version").fetchone() == (len(postgres.STEPS),)
    kept = new[0].append(record(), NOTICE).result(30)
    assert faults(kept.receipt()) == []
    assert all(new[0].record(id) for id in ids[:50] + ids[-50:])
    assert counted(new[0])["given"] == sound(new[0]) - 1
    for one in new:
        one.close()


def test_a_schema_of_something_else_is_left_as_it_was(database: str, tmp_path: Path) -> None:
    with by_hand(database) as connection:
        connection.execute("CREATE SCHEMA volens; CREATE TABLE volens.orders (one integer)")
        with pytest.raises(StoreError, match="its schema 'volens' is something else's"):
            PostgresStore(database, tmp_path / "aside")
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'volens'").fetchone() == (1,)


def test_a_user_who_may_only_write_can_use_what_another_made(server: Server, database: str, store: PostgresStore, tmp_path: Path) -> None:
    name = database.rpartition("/")[2]
    role = f"r{os.urandom(4).hex()}"
    server.ask(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    mine = database.replace(f"{USER}:{PASSWORD}", f"{role}:x")
    empty = server.database()
    with pytest.raises(StoreUnavailable, match=r"permission denied.*Give the user that right"):
        PostgresStore(mine.replace(name, empty), tmp_path / "aside")
    with by_hand(database) as connection:
        connection.execute(
            f"GRANT USAGE ON SCHEMA volens TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA volens TO {role}"  # type: ignore[arg-type]
        )
    theirs = PostgresStore(mine, tmp_path / "aside", signer)
    assert theirs.append(record(), NOTICE).result(30)
    theirs.close()
    server.drop(empty)


# Errors that can be mended, said to who can mend them, and no password in them ----------------------------------------


def test_a_server_that_is_down_at_the_start_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = Server.new().start()
    url = own.url(own.database())
    own.stop()
    try:
        store = PostgresStore(url, tmp_path / "aside", signer, patience=0.5)
        assert "Until then the site runs, refusals work, and grants are not recorded." in caplog.text
        store.count(refusal())
        with pytest.raises(StoreUnavailable, match=r"no connection: .*Start the server"):
            store.append(record(), NOTICE).result(30)
        with pytest.raises(StoreUnavailable):
            store.check()
        own.start()
        assert store.append(record(), NOTICE).result(30)
        assert counted(store) == {"given": 1, "refused": 1}
        store.close()
        assert PASSWORD not in caplog.text
    finally:
        own.remove()


def test_no_password_is_in_any_message(server: Server, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = "s3cret-w0rd"
    good = f"{USER}:{PASSWORD}@"
    said = []
    for url, kind in (
        (database.replace(good, f"{USER}:{secret}@"), "it refuses the user"),
        (database.replace(good, f"{USER}:{secret}@") + "no", "it refuses the user"),
        (database + "no", r"does not exist\. Create it: createdb"),
        (database.replace(good, f"{USER}:{secret}@{secret}@"), "not an address"),
        (f"postgresql://u:{secret}/{secret}@h:5432/d", "not an address"),
        (f"postgresql://u:{secret}@127.0.0.1:99999999/d", "no connection"),
        (f"postgresql://u:{secret}@h/d?nonsense={secret}", "not an address"),
        (f"postgresql://u:{secret}@h", "no database is named"),
    ):
        with pytest.raises(StoreError, match=kind) as error:
            store = PostgresStore(url, tmp_path / "aside", patience=0.2)
            with suppress(BaseException):
                said.append(repr(store) + str(vars(store.outbox)))
            store.append(record(), NOTICE).result(20)
        said.append(str(error.value))
    said.append(caplog.text)
    assert not [text for text in said if secret in text or PASSWORD in text]


def test_a_standby_alone_is_named_as_such(server: Server, database: str, tmp_path: Path) -> None:
    name = database.rpartition("/")[2]
    server.ask(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    store = PostgresStore(database, tmp_path / "aside", patience=0.2)  # it may become the primary
    with pytest.raises(StoreUnavailable, match=r"takes no writes\. Name all servers"):
        store.append(record(), NOTICE).result(20)
    server.ask(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert store.append(record(), NOTICE).result(20)
    store.close()


def test_a_commit_waits_for_the_disk_whatever_the_database_says(server: Server, database: str, tmp_path: Path) -> None:
    name = database.rpartition("/")[2]
    for given, kept in (("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")):
        server.ask(f"ALTER DATABASE {name} SET synchronous_commit = {given}")
        link = PostgresStore(database, tmp_path / "aside")._open()
        assert link.ask("SHOW synchronous_commit") == [(kept,)]
        link.close()


def test_a_wait_for_a_standby_that_is_cancelled_is_not_taken_for_a_commit(tmp_path: Path) -> None:
    """The server then says that it has committed, with a warning: the record is there and on no standby."""
    own = Server.new().start()
    try:
        store = PostgresStore(own.url(own.database()), tmp_path / "aside", signer, patience=0.5)
        store.append(record(), NOTICE).result(30)
        own.settings(synchronous_standby_names="ANY 1 (nobody)")
        own.ask("SELECT pg_reload_conf()")
        time.sleep(0.3)
        waits = store.append(record(), NOTICE)
        cancelled = 0
        deadline = time.monotonic() + 30
        while not waits.done() and time.monotonic() < deadline:
            cancelled += len(own.ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))
            time.sleep(0.05)
        assert cancelled
        with pytest.raises(StoreUnavailable):
            waits.result(30)
        own.settings(synchronous_standby_names="")
        own.ask("SELECT pg_reload_conf()")
        own.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        time.sleep(1)
        assert store.append(record(), NOTICE).result(30)
        store.close()
    finally:
        own.remove()


# What else there is ----------------------------------------------------------------------------------------------------


def test_addresses_are_read_as_libpq_reads_them() -> None:
    assert place_of(read_url("postgresql://u:p@one,two:5433/ledger")) == "postgresql://one,two:5433/ledger"
    assert place_of(read_url("postgresql:///ledger")) == "postgresql://localhost/ledger"
    assert read_url("postgres://h/d")["target_session_attrs"] == "read-write"
    assert read_url("postgres://h/d?target_session_attrs=any")["target_session_attrs"] == "any"


MINIMAL = """
ledger = "{ledger}"
names = ["www.example.org"]
[controller]
name = "Le Journal"
contact = "contact@example.org"
policy = "https://www.example.org/p"
"""


def test_the_configuration_takes_the_address_as_it_is_and_no_other_scheme(tmp_path: Path) -> None:
    loaded = parse(MINIMAL.format(ledger="postgresql://u:w0rd@h/d"), "volens.toml", Catalog.packaged(), base=tmp_path)
    assert loaded.ledger == "postgresql://u:w0rd@h/d"
    outside(loaded, Path.cwd())  # an address lies in no folder
    with pytest.raises(ConfigError, match="mysql://… is the address of no database") as error:
        parse(MINIMAL.format(ledger="mysql://u:w0rd@h/d"), "volens.toml", Catalog.packaged(), base=tmp_path)
    assert "w0rd" not in str(error.value)


def test_what_speaks_to_the_database_is_asked_for_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "volens.ledger.postgres", None)
    with pytest.raises(ConfigError, match=r"PostgreSQL needs psycopg.*\n?.*pip install 'volens\[postgresql\]'") as error:
        open_ledger("postgresql://u:w0rd@h/d", str(tmp_path / "volens.log-key"))
    assert "w0rd" not in str(error.value)


def test_a_ledger_is_opened_by_its_address(database: str, tmp_path: Path) -> None:
    store = open_ledger(database, str(tmp_path / "volens.log-key"))
    kept = store.append(record(), NOTICE).result(30)
    assert kept.receipt().checkpoint.startswith(f"{SITE}/volens\n")
    waits = store.withdraw(record(event="withdrawn", method="refuse-all", purposes={"video": False}, supersedes=kept.record.id), NOTICE)
    waits.result(30)
    store.close()
    assert (tmp_path / "volens.withdrawals").is_dir()
    again = open_ledger(database, str(tmp_path / "volens.log-key"))
    assert counted(again) == {"given": 1, "withdrawn": 1}
    again.close()


# Events ---------------------------------------------------------------------------------------------------------------


def event(id: str, subject: str = "", at: float | None = None) -> Event:
    return Event(id, b'{"id":"%s"}' % id.encode(), subject, None if at is None else Expiry(f"{id}-end", b"{}", at))


def test_events_are_kept_with_their_records_and_sent_in_order(store: PostgresStore, database: str, tmp_path: Path) -> None:
    arrived: list[int] = []
    store.outbox.listen(lambda: arrived.append(1))
    first = record()
    second = record(event="changed", method="panel", supersedes=first.id)
    other = record()
    futures = [
        store.append(first, NOTICE, event("one", "reader")),
        store.append(second, NOTICE, event("two", "reader")),
        store.append(other, NOTICE, event("three")),
    ]
    for future in futures:
        future.result(30)
    assert arrived
    due = store.outbox.due(SITE, time.time(), 10)
    assert [one.id for one in due] == ["one", "three"], "one of each subject, and none before what it follows"
    assert due[0].body == b'{"id":"one"}' and due[0].attempts == 0
    store.outbox.settle([due[0].number], {due[1].number: time.time() + 60})
    assert [one.id for one in store.outbox.due(SITE, time.time(), 10)] == ["two"]
    assert [one.attempts for one in store.outbox.due(SITE, time.time() + 120, 10)] == [0, 1]
    assert store.outbox.waiting(SITE) == 2 and store.outbox.waiting("shop.example.org") == 0
    with pytest.raises(StoreError):
        store.append(record(id=first.id, method="panel"), NOTICE, event("lost")).result(30)
    assert store.outbox.waiting(SITE) == 2, "an event is kept with its record or not at all"


def test_a_grant_that_ends_is_told_once_and_gives_way_to_the_next(store: PostgresStore) -> None:
    first = record()
    second = record(event="changed", method="panel", supersedes=first.id)
    third = record()
    for one, told in ((first, event("a", "reader", 100.0)), (second, event("b", "reader", 200.0)), (third, event("c", "", 150.0))):
        store.append(one, NOTICE, told).result(30)
    assert store.outbox.expire(SITE, 120.0) == 0, "the end of the first gave way to that of the second"
    assert store.outbox.expire(SITE, 160.0) == 1
    assert store.outbox.expire(SITE, 160.0) == 0
    assert store.outbox.expire(SITE, 300.0) == 1
    assert store.outbox.waiting(SITE) == 5
    taken = [one.id for one in store.outbox.due(SITE, 1e12, 10)]
    assert taken == ["a", "c"]
    same = [record(), record()]
    futures = [store.append(one, NOTICE, event(f"s{n}", "again", 100.0 + n)) for n, one in enumerate(same)]
    for future in futures:
        future.result(30)
    assert store.outbox.expire(SITE, 300.0) == 1, "two grants of one visitor, in one transaction or two, end once"


def test_one_of_several_takes_its_turn_and_a_dead_one_leaves_it(store: PostgresStore, database: str, tmp_path: Path) -> None:
    two = PostgresStore(database, tmp_path / "other", signer)
    with store.outbox.turn(SITE) as mine:
        assert mine
        with two.outbox.turn(SITE) as theirs:
            assert not theirs
        with two.outbox.turn("shop.example.org") as theirs:
            assert theirs
    with two.outbox.turn(SITE) as theirs:
        assert theirs
    child = os.fork()
    if child == 0:
        with store.outbox.turn(SITE):
            os._exit(0)
    os.waitpid(child, 0)
    deadline, taken = time.monotonic() + 20, False
    while not taken and time.monotonic() < deadline:
        with two.outbox.turn(SITE) as theirs:
            taken = theirs
    assert taken
    two.close()


def test_too_many_events_are_not_kept_and_their_records_are(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("volens.ledger.postgres_outbox.LIMIT", 3)
    with caplog.at_level(logging.ERROR, "volens.ledger"):
        futures = [store.append(record(), NOTICE, event(f"e{n}")) for n in range(8)]
        for future in futures:
            assert future.result(30)
    assert store.outbox.waiting(SITE) == 3
    assert caplog.text.count("is not kept") == 5
    assert counted(store)["given"] == 8


def test_counts_of_a_day_are_read_whoever_wrote_them(store: PostgresStore, database: str, tmp_path: Path) -> None:
    two = PostgresStore(database, tmp_path / "other", signer)
    for one in (store, two):
        one.append(record(notice=notice("Other").digest), notice("Other")).result(30)
        one.count(refusal())
        one.totals(SITE, DAY, DAY)
    assert counted(store) == counted(two) == {"given": 2, "refused": 2}
    assert [entry.index for entry in store.others(SITE)] == [0]
    two.close()
