"""A store written before there was a log: its records move into the log without loss, while it is in use, and through a kill.

``before.sql`` is such a store, written by the version that had no log: twelve records of two sites, two notices, refusals, grants that
are to end.
"""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conformance import NOTICE, SITE, counted, faults, record, signer, sound

from volens import custody
from volens.errors import StoreError
from volens.ledger import sqlite
from volens.ledger.record import Record, new_id
from volens.ledger.sqlite import SqliteStore

HERE = Path(__file__).parent
SHOP = "shop.example.org"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    made = sqlite3.connect(path)
    made.executescript((HERE / "before.sql").read_text())
    made.close()
    return path


def rows(path: Path) -> dict[str, bytes]:
    """The records of a store of before, by id."""
    with sqlite3.connect(path) as reader:
        return dict(reader.execute("SELECT id, json FROM records"))


def multiplied(path: Path, times: int) -> dict[str, bytes]:
    """The same store with many more records: what it holds by then."""
    with sqlite3.connect(path) as made:
        pattern = Record.parse(made.execute("SELECT json FROM records WHERE seq = 2").fetchone()[0])
        copies = [pattern.again(new_id(), pattern.time) for _ in range(times)]
        made.executemany("INSERT INTO records (id, json) VALUES (?, ?)", [(each.id, each.canonical()) for each in copies])
    return rows(path)


def test_everything_kept_before_is_in_the_log_and_said_to_be_moved(path: Path) -> None:
    before = rows(path)
    assert len(before) == 12
    store = SqliteStore(path, signer)
    counts = {site: store.totals(site, date.min, date.max) for site in (SITE, SHOP)}
    assert {id: store.record(id).canonical() for id in before} == before, "read before they are moved"  # type: ignore[union-attr]
    notices = store.notices(SITE)
    assert store.upgrade() == 1 and store.upgrade() == 0
    assert {id: store.record(id).canonical() for id in before} == before  # type: ignore[union-attr]
    assert sound(store, SITE) + sound(store, SHOP) == 12 + 4, "and each site's two notices"
    assert store.notices(SITE) == notices
    for id in before:
        receipt = store.receipt(id)
        assert faults(receipt) == []
        assert receipt is not None and receipt.entry["moved"] is True
    assert [json.loads(row.entry)["type"] for row in store.others(SITE)] == ["notice", "notice"]
    assert {site: store.totals(site, date.min, date.max) for site in (SITE, SHOP)} == counts, "counted once"
    extents = [e for site in (SITE, SHOP) for e in store.extents(site, date.min, date.max)]
    assert sum(e["all"] + e["some"] + e["none"] for e in extents) == 12
    assert sum(e["none"] for e in extents) == 1
    assert store.outbox.waiting(SITE) == 2
    store.close()
    with sqlite3.connect(path) as reader:
        assert reader.execute("SELECT count(*) FROM records_before").fetchone() == (0,)
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert reader.execute("SELECT count(*) FROM expiring").fetchone() == (2,)


def test_what_comes_next_follows_and_is_not_said_to_be_moved(path: Path) -> None:
    before = rows(path)
    store = SqliteStore(path, signer)
    old = next(Record.parse(data) for data in before.values() if b'"site":"www' in data)
    assert store.append(record(), NOTICE).result(10)
    store.upgrade()
    assert store.append(old, NOTICE if old.notice == NOTICE.digest else store.notices(SITE)[old.notice[:16]]).result(10).record == old
    changed = record(id=old.id, method="panel")
    with pytest.raises(StoreError, match="never edited"):
        store.append(changed, NOTICE).result(10)
    kept = store.append(record(), NOTICE).result(10)
    assert "moved" not in json.loads(kept.entry) and faults(kept.receipt()) == []
    assert sound(store) + sound(store, SHOP) == 16 + 2
    store.close()


def test_records_move_while_others_come_in(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "MOVED", 50)
    before = multiplied(path, 3000)
    store, other = SqliteStore(path, signer), SqliteStore(path, signer)
    futures = [one.append(record(), NOTICE) for _ in range(200) for one in (store, other)]
    assert all(future.result(60).index >= 0 for future in futures)
    store.upgrade()
    other.upgrade()
    assert sound(store) + sound(store, SHOP) == len(before) + 4 + 400
    assert all(store.record(id).canonical() == data for id, data in list(before.items())[::100])  # type: ignore[union-attr]
    for future in futures[::50]:
        assert faults(future.result().receipt()) == []
    assert counted(store)["given"] > 400
    store.close()
    other.close()


def test_an_idle_process_that_has_written_goes_on_moving(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "MOVED", 50)
    multiplied(path, 500)
    store = SqliteStore(path, signer)
    store.append(record(), NOTICE).result(10)
    done = threading.Event()
    for _ in range(400):
        with sqlite3.connect(path) as reader:
            if reader.execute("SELECT count(*) FROM records_before").fetchone() == (0,):
                break
        done.wait(0.05)
    else:
        pytest.fail("they wait")
    store.close()


def test_a_row_that_is_damaged_is_put_aside_and_holds_up_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with sqlite3.connect(path) as by_hand:
        by_hand.execute("DROP TRIGGER records_appended")
        (id,) = by_hand.execute("SELECT id FROM records WHERE seq = 4").fetchone()
        by_hand.execute("UPDATE records SET json = 'text' WHERE seq = 4")
    store = SqliteStore(path, signer)
    with caplog.at_level(logging.ERROR, "volens.ledger"):
        store.upgrade()
    assert f"record {id} is damaged, and put aside" in caplog.text
    with pytest.raises(StoreError, match="damaged"):
        store.record(id)
    assert sound(store) + sound(store, SHOP) == 11 + 4
    store.close()


SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from conformance import signer
from volens.ledger import sqlite
from volens.ledger.sqlite import SqliteStore
sqlite.MOVED = 20
store = SqliteStore(sys.argv[2], signer, patience=30)
move = store._move
def told(connection):
    more = move(connection)
    os.write(1, b".")
    return more
store._move = told
store.upgrade()
"""


def test_a_kill_leaves_each_record_either_moved_or_not(path: Path) -> None:
    before = multiplied(path, 2000)
    environment: dict[str, Any] = os.environ | {"PYTHONPATH": str(HERE.parent.parent / "src")}
    for steps in (1, 7, 20):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(HERE), str(path)], stdout=subprocess.PIPE, env=environment)
        assert process.stdout and process.stdout.read(steps) == b"." * steps
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        with sqlite3.connect(path) as reader:
            there = reader.execute(
                "SELECT id, json FROM records_before UNION ALL SELECT id, json FROM entries WHERE id IS NOT NULL"
            ).fetchall()
            assert len(there) == len(before) and dict(there) == before
            assert 0 < reader.execute("SELECT count(*) FROM records_before").fetchone()[0] < len(before)
    store = SqliteStore(path, signer)
    store.upgrade()
    assert sound(store) + sound(store, SHOP) == len(before) + 4
    store.close()


def test_what_was_kept_before_is_erased_by_command_though_nothing_has_moved_it(path: Path) -> None:
    id, *others = rows(path)
    store = SqliteStore(path, signer)
    site = store.record(id).site  # type: ignore[union-attr]
    loaded: Any = SimpleNamespace(site=SimpleNamespace(name=site))
    how: Any = {"receipt": None, "days": None, "by_retention": False, "yes": True, "as_json": True}
    assert custody.run_erase(loaded, store, cookie=id, out=io.StringIO(), **how) == 0
    assert store.record(id) is None and store.record(others[-1]) is not None
    store.close()


def test_what_was_moved_and_then_erased_is_in_none_of_the_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether SQLite overwrites by itself hangs on how it was built; here it does not."""
    before = [Record.parse(data) for data in multiplied(path, 500).values()]
    connect = sqlite3.connect

    def careless(*place: Any, **how: Any) -> sqlite3.Connection:
        made = connect(*place, **how)
        made.execute("PRAGMA secure_delete = OFF")
        return made

    monkeypatch.setattr(sqlite3, "connect", careless)
    store = SqliteStore(path, signer)
    store.upgrade()
    gone = [each.id for each in before[12:]]  # of two before them events wait to be sent
    store.erase(before[12].site, [store.find(id)[1] for id in gone], "request")  # type: ignore[index]
    store.close()
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert [id for id in gone if id.encode() in content] == []
