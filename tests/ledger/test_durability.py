"""What was acknowledged is there: after kill -9 under load, on a full disk, with several processes writing."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conformance import NOTICE, SITE, counted, faults, record, refusal, signer, sound
from processes import ENVIRONMENT, HERE, append_together, in_a_fork, kill_under_load, writer

from volens.errors import StoreUnavailable
from volens.ledger.sqlite import SqliteStore

SOAK = os.environ.get("VOLENS_SOAK") == "1"
KILLS = 60 if SOAK else 6


def missing(path: Path, ids: list[str]) -> set[str]:
    """The ids that a cold reader does not find; the file itself must be sound."""
    reader = sqlite3.connect(path)
    assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = {id for (id,) in reader.execute("SELECT id FROM entries WHERE id IS NOT NULL")}
    given = reader.execute("SELECT coalesce(sum(n), 0) FROM counts WHERE event = 'given'").fetchone()
    assert given == (len(found),), "each record is counted in its own transaction"
    reader.close()
    if found:
        store = SqliteStore(path, signer)
        assert sound(store) == len(found) + 1, "the notice's entry, and one for each record"
        for id in ids[:: len(ids) // 20 + 1]:
            if id in found:
                assert faults(store.receipt(id)) == []
        store.close()
    return set(ids) - found


@pytest.mark.parametrize("processes", [1, 2])
def test_a_process_killed_under_load_loses_no_acknowledged_record(tmp_path: Path, processes: int) -> None:
    path = tmp_path / "ledger.db"
    chance = random.Random(20261122)
    acknowledged: list[str] = []
    for _ in range(KILLS // processes):
        ids = kill_under_load([writer(path, tmp_path) for _ in range(processes)], chance.uniform(0.01, 0.15))
        assert ids
        acknowledged += ids
        assert missing(path, acknowledged) == set()
        store = SqliteStore(path, signer)
        assert store.record(ids[-1])
        store.append(record(), NOTICE).result(30)
        store.close()
    assert len(acknowledged) > 20 * KILLS, "under load"


def test_the_kill_test_can_fail(tmp_path: Path) -> None:
    """The same look at a file that lost its log, as one written without waiting for the disk could have."""
    path = tmp_path / "ledger.db"
    SqliteStore(path, signer).close()
    ids = kill_under_load([writer(path, tmp_path)], 0.05)
    for log in tmp_path.glob("ledger.db-wal"):
        log.write_bytes(b"")
    assert missing(path, ids)


def test_on_a_full_disk_grants_fail_and_refusals_are_counted_once_there_is_room(tmp_path: Path) -> None:
    """The system refuses to let the log grow (RLIMIT_FSIZE), as a full disk does."""
    path = tmp_path / "ledger.db"

    def task() -> str:
        store = SqliteStore(path, signer)
        kept = [store.append(record(), NOTICE).result(10).record for _ in range(5)]
        resource.setrlimit(resource.RLIMIT_FSIZE, (32_768, resource.RLIM_INFINITY))  # what the log's index needs, no more
        refused = []
        for _ in range(50):  # a log that starts anew has a little room: some may get in
            store.count(refusal())
            given = record()
            try:
                kept.append(store.append(given, NOTICE).result(10).record)
            except StoreUnavailable as error:
                assert str(path) in str(error)
                assert "could not write" in str(error)
                refused.append(given)
        assert len(refused) > 10
        assert all(store.record(each.id) == each for each in kept), "what was acknowledged is read all the while"
        assert not any(store.record(each.id) for each in refused)

        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert store.append(refused[0], NOTICE).result(30).record == refused[0], "it goes on by itself"
        assert counted(store) == {"given": len(kept) + 1, "refused": 50}
        store.close()
        return "done"

    assert in_a_fork(task) == "done"
    assert missing(path, []) == set()


def test_refusals_are_retried_without_a_grant_to_carry_them(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    def task() -> str:
        store = SqliteStore(path, signer)
        store.append(record(), NOTICE).result(10)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        for _ in range(1000):
            store.count(refusal())
        time.sleep(2.5)  # the writer has tried and failed
        assert sum(store._counts.values()) == 1000, "in memory, one counter for all of them"
        assert len(store._counts) == 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        reader = sqlite3.connect(path)
        deadline = time.monotonic() + 30
        while reader.execute("SELECT sum(n) FROM counts WHERE event = 'refused'").fetchone() != (1000,):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        reader.close()
        store.close()
        return "done"

    assert in_a_fork(task) == "done"


def test_several_processes_append_to_one_new_file(tmp_path: Path) -> None:
    """All create it, all write: every row is there and the counts are right."""
    path = tmp_path / "ledger.db"
    each, workers = 300, 4
    ids = append_together(path, tmp_path, each // 30, [[SITE]] * workers)
    assert len(set(ids)) == each * workers
    assert missing(path, ids) == set()
    store = SqliteStore(path, signer)
    assert counted(store) == {"given": each * workers, "refused": each * workers}
    assert store.notices(SITE) == {NOTICE.short: NOTICE}
    store.close()


def test_a_process_that_ends_without_closing_its_store_writes_its_counts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from conformance import refusal\n"
        "from volens.ledger.sqlite import SqliteStore\n"
        "SqliteStore(sys.argv[2]).count(refusal())\n"
    )
    subprocess.run([sys.executable, "-c", script, str(HERE), str(path)], check=True, env=ENVIRONMENT, timeout=60)
    assert counted(SqliteStore(path, signer)) == {"refused": 1}
