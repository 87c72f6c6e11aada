"""``volens ledger``: checked, counted, shown to whom it is about, and erased."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from custody_site import SITE, WHEN, Custody

from volens import custody as commands
from volens.choice import Choice, RecordTag
from volens.ledger import keyring
from volens.ledger.cosign import SignedNote
from volens.ledger.verify import Trust, check, read_key
from volens.progress import Progress


@pytest.fixture
def custody(tmp_path: Path) -> Custody:
    made = Custody(tmp_path)
    made.start()
    return made


def three(custody: Custody) -> list[Any]:
    """What one browser answered, between the answers of others."""
    given = custody.record()
    changed = custody.record(event="changed", supersedes=given.id, time=WHEN + timedelta(hours=1), method="placeholder", surface="embed")
    ended = custody.record(event="withdrawn", supersedes=changed.id, time=WHEN + timedelta(hours=2))
    return custody.keep([custody.record(), given, custody.record(), changed, custody.record(), ended, custody.record()], refusals=3)


# ---------------------------------------------------------------- verify


def test_a_ledger_that_holds_and_one_that_somebody_has_touched(custody: Custody, capsys: pytest.CaptureFixture[str]) -> None:
    kept = three(custody)
    told = custody.json(capsys, "ledger", "verify")
    assert told["holds"] and told["files"][0]["facts"]["entries"] == 9 and told["files"][0]["facts"]["record"] == 7
    with sqlite3.connect(custody.folder / "volens.db") as database:
        database.execute("DROP TRIGGER entries_appended")
        database.execute("UPDATE entries SET json = replace(CAST(json AS TEXT), '\"fr\"', '\"en\"') WHERE id = ?", (kept[2].record.id,))
    told = custody.json(capsys, "ledger", "verify", status=1)
    (fault,) = told["files"][0]["faults"]
    assert fault["code"] == "commit" and fault["place"] == f"entry {kept[2].index}"


def test_an_older_database_that_was_put_back_is_found_by_a_receipt_that_somebody_holds(
    custody: Custody, capsys: pytest.CaptureFixture[str]
) -> None:
    custody.keep([custody.record()])
    for name in ("volens.db", "volens.db-wal"):
        if (custody.folder / name).exists():
            shutil.copy(custody.folder / name, custody.folder / f"{name}.old")
    receipt = custody.receipt(custody.keep([custody.record()])[0])
    assert custody.run("ledger", "verify", "--against", receipt) == 0
    (custody.folder / "volens.db-wal").unlink(missing_ok=True)
    for name in ("volens.db", "volens.db-wal"):
        if (custody.folder / f"{name}.old").exists():
            shutil.copy(custody.folder / f"{name}.old", custody.folder / name)
    assert custody.run("ledger", "verify") == 0, "by itself it holds: it is whole, only old"
    told = custody.json(capsys, "ledger", "verify", "--against", receipt, status=1)
    assert "shorter" in [fault["code"] for file in told["files"] for fault in file["faults"]]


def test_a_record_that_goes_while_the_ledger_is_checked_is_no_fault(custody: Custody, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = three(custody)
    store, loaded, did = custody.open(), custody.loaded, []
    whole = commands.check_log

    def meanwhile(*arguments: Any, **more: Any) -> Any:
        if not did:
            did.append(store.erase(SITE, [kept[0].index], "request"))
        return whole(*arguments, **more)

    monkeypatch.setattr(commands, "check_log", meanwhile)
    outcome = commands.checked(store, loaded, Trust.of([read_key(key) for key in commands.own_keys(loaded)]))
    assert did == [1] and outcome.status == 0
    store.close()


def test_a_page_of_a_notice_that_was_changed_or_dropped_is_found(custody: Custody, capsys: pytest.CaptureFixture[str]) -> None:
    store = custody.open()
    (listed,) = (json.loads(row.entry)["snapshot"] for row in store.others(SITE) if b'"snapshot":' in row.entry)
    first, second = (one["sha256"] for one in json.loads(store.attached(SITE, listed) or b"")["renderings"][:2])
    store.close()
    assert custody.json(capsys, "ledger", "verify")["files"][-1]["facts"] == {"files": 5, "named": 4}
    with sqlite3.connect(custody.folder / "volens.db") as database:
        database.execute("UPDATE files SET data = CAST(replace(CAST(data AS TEXT), 'button', 'b') AS BLOB) WHERE digest = ?", (first,))
        database.execute("DELETE FROM files WHERE digest = ?", (second,))
    faults = custody.json(capsys, "ledger", "verify", status=1)["files"][-1]["faults"]
    assert [(f["code"], f["place"]) for f in faults] == [("file", f"file {first[:16]}"), ("file", "entry 1"), ("file", "entry 1")]
    with sqlite3.connect(custody.folder / "volens.db") as database:
        database.execute("DELETE FROM files WHERE digest = ?", (listed,))
    assert any(listed in f["said"] for f in custody.json(capsys, "ledger", "verify", status=1)["files"][-1]["faults"])


def test_a_key_of_somebody_else_is_said(custody: Custody, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    three(custody)
    other = Custody(tmp_path / "other")
    other.start()
    key = keyring.describe(Path(other.loaded.log_key), SITE)[0]["key"]
    assert custody.run("ledger", "verify", "--key", key) == 1 and "other-key" in capsys.readouterr().out
    assert custody.run("ledger", "verify", "--key", "rubbish") == 2 and "is no key" in capsys.readouterr().err
    assert custody.run("ledger", "verify", "--against", tmp_path / "nowhere") == 2


# ---------------------------------------------------------------- stats, checkpoint


def test_stats_count_what_is_there_without_reading_it(
    custody: Custody, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = three(custody)
    store = custody.open()
    store.erase(SITE, [kept[0].index, kept[1].index], "request")
    whole = type(store).rows

    def little(self: Any, site: str, first: int = 0, last: int | None = None, **more: Any) -> Any:
        assert last == 0, "a scan"
        return whole(self, site, first, last, **more)

    monkeypatch.setattr(type(store), "rows", little)
    found = commands.stats(store, custody.loaded)
    store.close()
    expected = {"entries": 10, "records": 7, "erased": 2, "held": 5, "notices": 1, "files": 5, "snapshot_entries": 1, "erasure_entries": 1}
    assert {name: found[name] for name in expected} == expected
    assert found["counts"] == {"given": 5, "changed": 1, "withdrawn": 1, "refused": 3}
    monkeypatch.undo()
    assert custody.json(capsys, "ledger", "stats") == found | {"bytes": found["bytes"], "bytes_a_record": found["bytes_a_record"]}
    assert custody.run("ledger", "stats") == 0 and "7, of which 2 erased" in capsys.readouterr().out


def test_the_newest_checkpoint_is_the_published_one_and_anybody_can_check_it(custody: Custody, capsys: pytest.CaptureFixture[str]) -> None:
    three(custody)
    told = custody.json(capsys, "ledger", "checkpoint")
    assert told["size"] == told["entries_now"] == 9 and told["origin"] == f"{SITE}/volens"
    store = custody.open()
    store.publish(SITE, told["note"])
    store.close()
    custody.keep([custody.record()])
    told = custody.json(capsys, "ledger", "checkpoint")
    assert (told["size"], told["entries_now"]) == (9, 10)
    assert custody.run("ledger", "checkpoint") == 0
    text = capsys.readouterr().out
    assert SignedNote.parse(text).checkpoint.size == 9
    assert check(text.encode(), Trust.of([read_key(told["keys"][0])])).verdict.holds


# ---------------------------------------------------------------- the rights of one person


@pytest.mark.parametrize("which", [1, 3, 5])
def test_by_any_receipt_or_cookie_all_of_that_browser_is_found_and_nobody_elses(
    custody: Custody, capsys: pytest.CaptureFixture[str], which: int
) -> None:
    kept = three(custody)
    mine = [kept[n].record.id for n in (1, 3, 5)]
    cookie = RecordTag.sign([b"k" * 32], SITE, kept[which].record.id, Choice.accept_all(custody.loaded.site.notice, WHEN.date())).text()
    for how in (("--receipt", custody.receipt(kept[which])), ("--record", cookie), ("--record", kept[which].record.id)):
        told = custody.json(capsys, "ledger", "show", *how)
        assert [b["receipt"]["record"]["id"] for b in told["bundles"]] == mine
    trust = Trust.of([read_key(key) for key in commands.own_keys(custody.loaded)])
    assert all(check(json.dumps(b).encode(), trust).verdict.holds for b in told["bundles"])
    assert custody.run("ledger", "show", "--record", cookie, "--out", custody.folder / "mine.json") == 0
    assert json.loads((custody.folder / "mine.json").read_text("utf-8")) == told
    assert stat.S_IMODE((custody.folder / "mine.json").stat().st_mode) == 0o600
    assert "withdrawn (panel, fr)  nothing granted" in capsys.readouterr().out


def test_erasing_says_first_what_it_would_do_and_then_only_that(custody: Custody, capsys: pytest.CaptureFixture[str]) -> None:
    kept = three(custody)
    receipt, other = custody.receipt(kept[3]), custody.receipt(kept[4], "other.json")
    assert custody.run("ledger", "erase", "--receipt", receipt) == 0
    said = capsys.readouterr().out
    assert "3 records would be erased" in said and "Nothing was done; do it with --yes." in said
    assert custody.json(capsys, "ledger", "erase", "--receipt", receipt)["erased"] == 0
    told = custody.json(capsys, "ledger", "erase", "--receipt", receipt, "--yes")
    assert told["found"] == told["erased"] == 3 and told["ranges"] == [[kept[n].index] * 2 for n in (1, 3, 5)]
    store = custody.open()
    assert [store.record(one.record.id) is None for one in kept] == [False, True, False, True, False, True, False]
    store.close()
    assert custody.run("ledger", "erase", "--receipt", receipt) == 1 and "or erased already" in capsys.readouterr().err
    assert custody.run("ledger", "verify", "--against", receipt, "--against", other) == 0
    with sqlite3.connect(custody.folder / "volens.db") as database:
        assert database.execute("SELECT count(*) FROM entries WHERE json IS NOT NULL").fetchone() == (4,)


def test_old_records_go_by_age_and_by_retention(custody: Custody, capsys: pytest.CaptureFixture[str]) -> None:
    three(custody)
    assert custody.json(capsys, "ledger", "erase", "--older-than", 1)["found"] == 0
    assert custody.run("ledger", "erase", "--retention") == 2 and "no [retention] is configured" in capsys.readouterr().err
    assert custody.run("ledger", "erase", "--older-than", 1) == 0 and "Nothing to erase." in capsys.readouterr().out
    told = custody.json(capsys, "ledger", "erase", "--older-than", 0, "--yes")
    assert told["reason"] == "age" and told["erased"] == told["found"]
    custody.config.write_text(custody.config.read_text("utf-8") + "[retention]\ndays = 200\n", "utf-8")
    assert custody.json(capsys, "ledger", "erase", "--retention")["found"] == 0


def test_what_is_not_here_is_said(custody: Custody, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = three(custody)
    (tmp_path / "rubbish.json").write_text("{}", "utf-8")
    for how, said in (
        (("--receipt", tmp_path / "rubbish.json"), "no receipt"),
        (("--receipt", tmp_path / "nowhere.json"), "no receipt"),
        (("--record", "1.x.y"), "Give the value of the cookie volens-record"),
        (("--record", "0" * 26), "not in the ledger of"),
    ):
        assert custody.run("ledger", "show", *how) == 1 and said in capsys.readouterr().err
    value = kept[0].receipt().to_json()
    value["record"]["site"] = "www.autre.example"
    (tmp_path / "other.json").write_text(json.dumps(value), "utf-8")
    assert custody.run("ledger", "show", "--receipt", tmp_path / "other.json") == 1
    assert "of 'www.autre.example'; this is the ledger of" in capsys.readouterr().err
    value["record"] |= {"site": SITE, "language": "de"}
    (tmp_path / "other.json").write_text(json.dumps(value), "utf-8")
    assert custody.run("ledger", "erase", "--receipt", tmp_path / "other.json", "--yes") == 1
    assert "holds another record of that id" in capsys.readouterr().err


def test_where_there_is_no_ledger_none_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    custody = Custody(tmp_path)
    for action in (("verify",), ("stats",), ("checkpoint",), ("backup", tmp_path / "a.jsonl")):
        assert custody.run("ledger", *action) == 2
        assert "volens.db is not there" in capsys.readouterr().err
    assert not (tmp_path / "volens.db").exists()


# ---------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_how_far_it_has_come_is_shown_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet, shown = io.StringIO(), Terminal()
    for out in (quiet, shown):
        with Progress("records", 400, out) as progress:
            monkeypatch.setattr(progress, "_next", 0.0)
            progress.to(100)
            assert list(progress.through([200, 300])) == [200, 300] and progress.done == 301
    assert quiet.getvalue() == "" and " 25%  100 of 400" in shown.getvalue() and shown.getvalue().endswith("\r\x1b[K")
    assert Progress("records", 400).line(0.0).endswith("0%  0 of 400, 0/s")
    assert Progress("records").line(1.0) == "records: 0, 0/s"
