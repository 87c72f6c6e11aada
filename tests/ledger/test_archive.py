"""A ledger as one file: whole, consistent while grants come in, and read in again as the same log or not at all."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from custody_site import DAY, SITE, WHEN, Custody
from pg import Server, server  # noqa: F401

from volens.errors import StoreUnavailable
from volens.ledger import archive
from volens.ledger.note import LogKey, origin
from volens.ledger.sqlite import SqliteStore
from volens.ledger.verify import Trust, read_key
from volens.ledger.verify import check as check_file
from volens.ledger.verify_archive import check_archive

Make = Callable[[str], Custody]
KINDS = ("sqlite", "postgresql")


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str, str], Custody]]:
    """A site of that name over a ledger of that kind."""
    made: list[str] = []

    def one(name: str, kind: str) -> Custody:
        if kind == "sqlite":
            return Custody(tmp_path / name)
        running: Server = request.getfixturevalue("server")
        made.append(running.database())
        return Custody(tmp_path / name, ledger=running.url(made[-1]))

    yield one
    for name in made:
        request.getfixturevalue("server").drop(name)


def filled(custody: Custody, number: int = 25) -> Custody:
    custody.start()
    given = [custody.record() for _ in range(number)]
    ended = [custody.record(event="withdrawn", supersedes=given[n].id, time=WHEN + timedelta(hours=1)) for n in range(0, number, 5)]
    custody.keep([*given, *ended], refusals=7)
    store = custody.open()
    head = store.head(SITE)
    assert head is not None
    store.publish(SITE, head.note)
    assert store.erase(SITE, [4, 5, 9], "request") == 3
    store.close()
    return custody


@pytest.mark.parametrize(("one", "other"), [("sqlite", "sqlite"), ("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_what_is_written_is_read_in_and_goes_on_as_the_same_log(
    make: Callable[[str, str], Custody], capsys: pytest.CaptureFixture[str], one: str, other: str
) -> None:
    first, second = filled(make("first", one)), make("second", other)
    file = first.folder / "all.jsonl.gz"
    assert first.run("ledger", "backup", file) == 0
    shutil.copy(first.folder / "volens.log-key", second.folder)
    assert second.run("ledger", "import", file) == 0
    a, b = first.open(), second.open()
    try:
        head, here = a.head(SITE), b.head(SITE)
        assert head is not None and here is not None and (head.size, head.root) == (here.size, here.root)
        assert list(a.rows(SITE)) == list(b.rows(SITE)) and sum(row.record is not None for row in b.rows(SITE)) == 27
        for name in ("totals", "answers", "extents"):
            assert getattr(a, name)(SITE, *archive.EVER) == getattr(b, name)(SITE, *archive.EVER) != []
        assert a.notices(SITE) == b.notices(SITE) and a.checkpoints(SITE)[0].note == b.checkpoints(SITE)[0].note
        assert abs(a.checkpoints(SITE)[0].at - b.checkpoints(SITE)[0].at) <= 1
        assert a.attachments(SITE) == b.attachments(SITE) != []
        assert all(a.attached(SITE, digest) == b.attached(SITE, digest) for digest in a.attachments(SITE))
    finally:
        a.close()
        b.close()
    capsys.readouterr()
    assert second.run("ledger", "import", file) == 0  # once more: nothing to add
    assert "0 entries read in" in capsys.readouterr().out
    (more,) = second.keep([second.record()])
    assert more.index == head.size
    key = LogKey.from_secret((first.folder / "volens.log-key").read_text("utf-8"))
    found = check_file(json.dumps(more.receipt().to_json()).encode(), Trust.of([read_key(key.vkey)]))
    assert found.verdict.holds, found.verdict
    capsys.readouterr()
    assert second.run("ledger", "verify") == 0
    assert second.run("ledger", "import", file) == 1  # it has gone on, and the archive has nothing for it


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_is_of_one_moment_while_grants_come_in_and_records_are_erased(make: Callable[[str, str], Custody], kind: str) -> None:
    custody = filled(make("site", kind), 200)
    store, writer, done = custody.open(), custody.open(), threading.Event()
    notice, counted = custody.loaded.site.notice, [0]

    def write() -> None:
        while not done.is_set():
            for future in [writer.append(custody.record(), notice) for _ in range(20)]:
                future.result(30)
            counted[0] += 20
            writer.erase(SITE, [20 + counted[0] // 20], "request")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(6):
            before = counted[0]
            path = custody.folder / f"{number}.jsonl"
            written = archive.write(store, SITE, [], path, WHEN)
            log = check_archive(path, Trust(), processes=1)
            assert not log.verdict.faults, log.verdict.faults
            counts = [value["count"] for value in archive.lines(path) if "count" in value and value["count"]["of"] == "total"]
            erased = sum(
                last - first + 1
                for value in archive.lines(path)
                if value.get("entry", {}).get("type") == "erasure"
                for first, last in value["entry"]["erased"]
            )
            assert sum(c["count"] for c in counts if c["event"] != "refused") == written.records + erased  # counts are of the same moment
            while counted[0] == before and thread.is_alive():
                done.wait(0.01)
    finally:
        done.set()
        thread.join()
        store.close()
        writer.close()
    assert counted[0] > 100


def test_the_first_line_tells_what_it_is_and_the_last_closes_it(tmp_path: Path) -> None:
    custody = filled(Custody(tmp_path))
    path = tmp_path / "all.jsonl"
    assert custody.run("ledger", "export", "--out", path) == 0
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert lines[0]["format"] == "volens-archive/1" and lines[0]["origin"] == origin(SITE) and lines[0]["site"] == SITE
    assert lines[-1]["end"] == len(lines) - 1 and [line["i"] for line in lines if "i" in line] == list(range(lines[0]["size"]))
    secret = (tmp_path / "volens.log-key").read_text("utf-8").split("+", 4)[-1].strip()
    assert secret not in path.read_text("utf-8") and path.stat().st_mode & 0o777 == 0o600


def refused(custody: Custody, path: Path, capsys: pytest.CaptureFixture[str], *more: str, status: int = 1) -> str:
    capsys.readouterr()
    assert custody.run("ledger", "import", path, *more) == status
    said = capsys.readouterr().err
    store = custody.open()
    head = store.head(SITE)
    store.close()
    assert head is None, "something was written"
    return said


def spoiled(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> Path:
    """The archive with its lines changed, and closed anew so that only what was changed is wrong."""
    lines = change(path.read_bytes().splitlines()[:-1])
    body = b"".join(line + b"\n" for line in lines)
    end = json.dumps({"end": len(lines), "sha256": hashlib.sha256(body).hexdigest()}, separators=(",", ":"))
    new = path.with_name("spoiled.jsonl")
    new.write_bytes(body + end.encode() + b"\n")
    return new


def test_what_does_not_hold_is_refused_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, empty = filled(Custody(tmp_path / "first")), Custody(tmp_path / "empty")
    path = tmp_path / "all.jsonl"
    assert first.run("ledger", "backup", path) == 0
    shutil.copy(first.folder / "volens.log-key", empty.folder)
    entry = next(n for n, line in enumerate(path.read_bytes().splitlines()) if b'"record":{' in line)
    changed = spoiled(path, lambda x: [*x[:entry], x[entry].replace(b'"language":"fr"', b'"language":"en"'), *x[entry + 1 :]])
    assert "does not hold, so nothing was written" in refused(empty, changed, capsys)
    dropped = spoiled(path, lambda x: [*x[:entry], *x[entry + 1 :]])
    assert "does not hold" in refused(empty, dropped, capsys)
    swapped = spoiled(path, lambda x: [*x[:entry], x[entry + 1], x[entry], *x[entry + 2 :]])
    assert "does not hold" in refused(empty, swapped, capsys)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(path.read_bytes()[:-200])
    assert "does not hold" in refused(empty, cut, capsys)
    cut.write_bytes(b"")
    assert "is no archive" in refused(empty, cut, capsys, status=2)
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes())[:-40])
    assert "does not hold" in refused(empty, packed, capsys)
    other = Custody(tmp_path / "other")
    other.config.write_text(other.config.read_text("utf-8").replace("www.journal.example", "www.autre.example"), "utf-8")
    assert other.run("ledger", "import", path) == 2 and "is of 'www.journal.example'" in capsys.readouterr().err


def test_another_key_is_refused_until_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = filled(Custody(tmp_path / "first")), Custody(tmp_path / "second")
    path = tmp_path / "all.jsonl"
    assert first.run("ledger", "backup", path) == 0
    assert "Bring the key file along" in refused(second, path, capsys)
    assert second.run("ledger", "import", path, "--other-key") == 0


def test_an_archive_that_names_our_key_and_is_signed_by_another_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever holds a backup and not the key signs it anew: what it says of its keys is a claim."""
    first, second = filled(Custody(tmp_path / "first")), Custody(tmp_path / "second")
    file = first.folder / "all.jsonl"
    assert first.run("ledger", "backup", file) == 0
    shutil.copy(first.folder / "volens.log-key", second.folder)
    top, *rest = file.read_bytes().splitlines(keepends=True)[:-1]
    told = json.loads(top)
    forger = LogKey.new(origin(SITE))
    told["checkpoint"] = forger.sign(told["checkpoint"].rpartition("\n\n")[0] + "\n")
    told["keys"].append(forger.vkey)
    lines = [json.dumps(told).encode() + b"\n", *(line for line in rest if not line.startswith(b'{"checkpoints"'))]
    end = {"end": len(lines), "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}
    file.write_bytes(b"".join(lines) + json.dumps(end).encode() + b"\n")
    assert check_archive(file, Trust()).verdict.faults == (), "it fits together"
    assert second.run("ledger", "import", file) != 0
    assert "the key here is another" in capsys.readouterr().err


def test_a_ledger_with_another_beginning_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = filled(Custody(tmp_path / "first")), Custody(tmp_path / "second")
    path = tmp_path / "all.jsonl"
    assert first.run("ledger", "backup", path) == 0
    shutil.copy(first.folder / "volens.log-key", second.folder)
    second.keep([second.record()])
    assert second.run("ledger", "import", path) == 1
    assert "are not the beginning of this archive" in capsys.readouterr().err
    store = second.open()
    head = store.head(SITE)
    assert head is not None and head.size == 2
    store.close()


def test_a_reading_in_that_broke_off_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = filled(Custody(tmp_path / "first"), 5000), Custody(tmp_path / "second")
    path = tmp_path / "all.jsonl"
    assert first.run("ledger", "backup", path) == 0
    shutil.copy(first.folder / "volens.log-key", second.folder)
    steps, whole = [0], SqliteStore._restore

    def breaks(self: SqliteStore, *arguments: object) -> None:
        steps[0] += 1
        if steps[0] == 2:
            raise StoreUnavailable("the disk is full.")
        whole(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteStore, "_restore", breaks)
    assert second.run("ledger", "import", path) == 1 and "the disk is full" in capsys.readouterr().err
    monkeypatch.undo()
    store = second.open()
    head = store.head(SITE)
    assert head is not None and 0 < head.size < 5000
    store.close()
    assert second.run("ledger", "import", path) == 0 and second.run("ledger", "verify") == 0
    store = second.open()
    assert store.totals(SITE, *archive.EVER) != []
    store.close()


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    custody = filled(Custody(tmp_path / "site"))
    assert custody.run("ledger", "backup", tmp_path / "nowhere" / "a.jsonl") == 2
    assert "cannot be written" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    fresh = Custody(tmp_path / "fresh")
    fresh.open().close()
    assert fresh.run("ledger", "backup", tmp_path / "empty" / "a.jsonl") == 1
    assert "holds nothing of this site yet" in capsys.readouterr().err and list((tmp_path / "empty").iterdir()) == []


# ---------------------------------------------------------------- tables


def test_records_of_a_span_of_days_are_found_whatever_their_minute_was(tmp_path: Path) -> None:
    custody = Custody(tmp_path)
    times = [WHEN + timedelta(days=n) for n in range(-3, 1)] + [WHEN.replace(hour=23, minute=59, second=59)]
    custody.keep([custody.record(time=time) for time in times])
    store = custody.open()
    for since, until in ((None, None), (DAY, DAY), (DAY - timedelta(days=2), DAY - timedelta(days=1)), (None, date(2020, 1, 1))):
        found = [record.time for _, record in archive.between(store, SITE, since, until)]
        assert found == [t for t in times if (since is None or t.date() >= since) and (until is None or t.date() <= until)]
    store.close()


def test_a_table_has_a_line_for_each_record_and_nothing_of_the_erased(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    custody = filled(Custody(tmp_path))
    capsys.readouterr()
    assert custody.run("ledger", "export", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 27 and not {"4", "5", "9"} & {row["index"] for row in rows}
    assert set(rows[0]["granted"].split()) == set(custody.loaded.site.notice.askable) and rows[-1]["event"] == "withdrawn"
    assert custody.run("ledger", "export", "--format", "jsonl", "--from", "2026-11-23") == 0
    assert capsys.readouterr().out == ""
    assert custody.run("ledger", "export", "--format", "receipts", "--out", tmp_path / "r.jsonl") == 0
    for line in (tmp_path / "r.jsonl").read_text("utf-8").splitlines():
        found = check_file(line.encode(), Trust())
        assert not found.verdict.faults and [gap.code for gap in found.verdict.gaps] == ["no-key"]


def test_a_service_is_told_who_allows_it_since_when_and_until_when_without_an_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    custody = Custody(tmp_path)
    first, second = custody.record(), custody.record(services={"youtube": False, "google-analytics": True})
    change = custody.record(
        event="changed", supersedes=first.id, time=WHEN + timedelta(hours=2), services={"youtube": False, "google-analytics": True}
    )
    custody.keep([first, second, change])
    capsys.readouterr()
    assert custody.run("ledger", "export", "--service", "youtube") == 0
    out = capsys.readouterr().out
    (line,) = (json.loads(row) for row in out.splitlines())
    assert (line["index"], line["since"], line["until"]) == (1, "2026-11-22T10:23:05Z", "2026-11-22T12:23:05Z")
    assert first.id not in out and line["purposes"] == "video"
    assert custody.run("ledger", "export", "--service", "google-analytics") == 0
    assert [json.loads(row)["until"] for row in capsys.readouterr().out.splitlines()] == ["2026-11-22T12:23:05Z", "", ""]
    assert custody.run("ledger", "export", "--service", "tiktok") == 2
    assert "no notice ever named the service 'tiktok'. Use one of google-analytics, youtube." in capsys.readouterr().err
