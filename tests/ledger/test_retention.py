"""How long records are kept: by what they granted, erased once a day by one process, and every other proof goes on holding."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from custody_site import SITE, Custody

from volens.errors import StoreUnavailable
from volens.ledger import archive, keyring, retention
from volens.ledger.keeping import Keeping
from volens.ledger.record import Record
from volens.ledger.sqlite import SqliteStore
from volens.ledger.verify import Standing, Trust, check, compare, read_key
from volens.site import Retention

NOW = datetime.now(UTC).replace(microsecond=0)
RULE = "[retention]\ndays = 200\npurposes = { video = 400, personnalisation = 300 }\n"
SHORT = Retention(200, {"video": 400, "personnalisation": 300})


def test_the_longest_of_what_was_granted_counts_and_a_withdrawal_stays_as_long_as_what_it_took(tmp_path: Path) -> None:
    custody = Custody(tmp_path)
    notice = custody.loaded.site.notice

    def days(rule: Retention, **values: Any) -> int | None:
        return retention.days_kept(custody.record(**values).to_json(), notice, rule)

    one = {"purposes": {"video": False, "personnalisation": True}, "services": {"youtube": False, "google-analytics": True}}
    alone = {"purposes": {"video": False, "personnalisation": False}, "services": {"youtube": True, "google-analytics": False}}
    assert days(SHORT) == 400 and days(SHORT, **one) == 300 and days(SHORT, **alone) == 400
    assert days(SHORT, event="withdrawn", supersedes="0" * 26) == 400
    assert days(Retention(None, {"video": 400})) is None and days(Retention(None, {"video": 400}), **alone) == 400
    assert days(Retention()) is None and days(Retention(250)) == 250
    unknown = custody.record(services={"youtube": False, "google-analytics": False, "gone": True})
    assert retention.days_kept(unknown.to_json(), notice, Retention(None, {"video": 9, "personnalisation": 9})) is None


def aged(custody: Custody, *days: int, **values: Any) -> list[Any]:
    """Records of so many days ago, in a ledger whose clock was there then."""
    kept = []
    notice = custody.loaded.site.notice
    for back in sorted(days, reverse=True):
        then = NOW - timedelta(days=back)
        store = SqliteStore(custody.loaded.ledger, keyring.Keyring.of(custody.loaded.log_key), clock=then.timestamp)
        kept.append(store.append(custody.record(time=then - timedelta(seconds=5), **values), notice).result(30))
        store.close()
    return kept


VIDEO = {"purposes": {"video": True, "personnalisation": False}, "services": {"youtube": True, "google-analytics": False}}
PROFILE = {"purposes": {"video": False, "personnalisation": True}, "services": {"youtube": False, "google-analytics": True}}


def test_what_is_over_is_found_and_nothing_else(tmp_path: Path) -> None:
    custody = Custody(tmp_path)
    aged(custody, 450, 399, **VIDEO)
    aged(custody, 350, 299, **PROFILE)
    store = custody.open()
    indexes = {row.index: record for row, record in archive.between(store, SITE)}
    found = [(NOW - indexes[i].time).days for i in retention.expired(store, SITE, SHORT, NOW)]
    assert found == [450, 350]
    assert [(NOW - indexes[i].time).days for i in retention.older(store, SITE, 340, NOW)] == [450, 399, 350]
    assert list(retention.expired(store, SITE, Retention(), NOW)) == []
    # What stayed when everything was last looked at is not read again, and what has become old since is found all the same.
    later = NOW + timedelta(days=2)
    assert store.erase(SITE, retention.expired(store, SITE, SHORT, NOW), "age") == 2
    assert [(NOW - indexes[i].time).days for i in retention.expired(store, SITE, SHORT, later, NOW)] == [399, 299]
    store.close()


def test_it_is_done_once_a_day_by_one_process_and_all_is_looked_at_again_by_another_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    custody = Custody(tmp_path)
    aged(custody, 450, 399, **VIDEO)
    store, state, clock = custody.open(), tmp_path / "volens.retention", [NOW]
    keeping = Keeping(store, SITE, SHORT, state, lambda: clock[0])
    assert keeping.turn() == 1 and keeping.turn() == 0
    told = json.loads(state.read_text("utf-8"))
    assert told["erased"] == 1 and state.stat().st_mode & 0o777 == 0o600
    clock[0] += timedelta(hours=23)
    monkeypatch.setattr("volens.ledger.keeping.expired", lambda *a: pytest.fail("looked again"))
    assert keeping.turn() == 0
    monkeypatch.undo()
    assert Keeping(store, SITE, Retention(390), state, lambda: clock[0]).turn() == 1
    state.write_text("rubbish", "utf-8")
    assert keeping.turn() == 0 and json.loads(state.read_text("utf-8"))["format"] == "volens-retention/1"
    store.close()


def test_two_at_once_do_not_do_it_twice(tmp_path: Path) -> None:
    custody = Custody(tmp_path)
    aged(custody, *range(450, 500, 5), **VIDEO)
    stores = [custody.open() for _ in range(3)]
    done: list[int] = []
    threads = [
        threading.Thread(target=lambda s=store: done.append(Keeping(s, SITE, SHORT, tmp_path / "state", lambda: NOW).turn()))
        for store in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 10
    entries = [json.loads(row.entry) for row in stores[0].others(SITE)]
    assert sum(high - low + 1 for entry in entries for low, high in entry.get("erased", ())) == 10
    for store in stores:
        store.close()


def test_a_site_that_runs_does_it_by_itself(tmp_path: Path) -> None:
    from volens.web.runtime import open_gateway

    custody = Custody(tmp_path, more=RULE)
    aged(custody, 450, **VIDEO)
    gateway = open_gateway(custody.loaded)
    try:
        assert gateway._keeping is not None
        gateway._keeping.stop()
        keeping = Keeping(gateway.store, SITE, custody.loaded.site.retention, tmp_path / "volens.retention", lambda: NOW, first=0.01)
        keeping.start()
        end = time.monotonic() + 20
        while not (tmp_path / "volens.retention").exists() or not (tmp_path / "volens.retention").read_bytes():
            assert time.monotonic() < end
            time.sleep(0.02)
        keeping.stop()
        assert [record for _, record in archive.between(gateway.store, SITE)] == []
    finally:
        gateway.close()
    without = Custody(tmp_path / "without")
    gateway = open_gateway(without.loaded)
    assert gateway._keeping is None
    gateway.close()


def test_a_ledger_that_cannot_be_written_is_told_and_the_work_is_not_held_for_done(tmp_path: Path) -> None:
    custody = Custody(tmp_path)
    aged(custody, 450, **VIDEO)

    class Full(SqliteStore):
        def erase(self, *arguments: Any) -> int:
            raise StoreUnavailable("the disk is full.")

    store = Full(custody.loaded.ledger)
    with pytest.raises(StoreUnavailable):
        Keeping(store, SITE, SHORT, tmp_path / "state", lambda: NOW).turn()
    store.close()
    store = custody.open()
    assert Keeping(store, SITE, SHORT, tmp_path / "state", lambda: NOW).turn() == 1
    store.close()


def test_receipts_of_others_hold_against_later_checkpoints_after_an_erasure(tmp_path: Path) -> None:
    custody = Custody(tmp_path)
    kept = [*aged(custody, 450, 449, **VIDEO), *aged(custody, 10, 5, **VIDEO)]
    receipts = [json.dumps(one.receipt().to_json()).encode() for one in kept]
    store = custody.open()
    assert store.erase(SITE, retention.expired(store, SITE, SHORT, NOW), "age") == 2
    new = store.append(custody.record(time=NOW), custody.loaded.site.notice).result(30)
    trust = Trust.of([read_key(keyring.describe(Path(custody.loaded.log_key), SITE)[0]["key"])])
    standings: list[Standing] = []
    for data in receipts:  # the erased ones too, for whoever has kept the receipt
        found = check(data, trust)
        assert found.verdict.holds and found.standing is not None
        standings.append(found.standing)
    fresh = [store.receipt(one.record.id) for one in kept]
    assert fresh[:2] == [None, None]
    for one in (*fresh[2:], store.receipt(new.record.id)):
        assert one is not None
        found = check(json.dumps(one.to_json()).encode(), trust)
        assert found.verdict.holds and found.standing is not None
        standings.append(found.standing)
    assert not compare(standings).faults
    for row in store.rows(SITE):
        if row.index in (kept[0].index, kept[1].index):
            assert row.record is None and row.salt is None
    store.close()
    assert custody.run("ledger", "verify") == 0


def test_the_first_entry_that_is_served_moves_only_where_nothing_is_kept_for_good(tmp_path: Path) -> None:
    custody = Custody(tmp_path)
    kept = [*aged(custody, 450, 449, 448, **VIDEO), *aged(custody, 3, **VIDEO)]
    store = custody.open()
    assert retention.minimum(store, SITE, SHORT, NOW) == kept[0].index, "not erased yet: still served"
    store.erase(SITE, [kept[0].index, kept[2].index], "request")
    assert retention.minimum(store, SITE, SHORT, NOW) == kept[1].index
    store.erase(SITE, retention.expired(store, SITE, SHORT, NOW), "age")
    assert retention.minimum(store, SITE, SHORT, NOW) == kept[2].index + 1 < kept[3].index + 1
    assert retention.minimum(store, SITE, Retention(None, {"video": 200}), NOW) == 0
    assert retention.minimum(store, SITE, SHORT, NOW, known=kept[2].index + 1) == kept[2].index + 1
    store.close()


def test_records_of_before_the_log_are_old_by_their_own_time(tmp_path: Path) -> None:
    custody = Custody(tmp_path)
    store = custody.open()
    moved = custody.record(time=NOW - timedelta(days=500))
    late = custody.record(time=NOW - timedelta(days=500), event="withdrawn", supersedes=moved.id)
    store.append(late, custody.loaded.site.notice).result(30)  # it waited beside the ledger
    assert isinstance(late, Record)
    assert list(retention.older(store, SITE, 450, NOW)) == [1]
    assert list(retention.expired(store, SITE, SHORT, NOW)) == [], "by its entry it is of today: it waits until that is old"
    store.close()
