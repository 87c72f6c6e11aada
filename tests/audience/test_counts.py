"""Counts in memory and in the file: exact over processes, bounded, forgotten in time, and never in the way of a page."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from volens import tally as module
from volens.audience.counts import Counts, Figures
from volens.audience.view import OTHER, View
from volens.errors import StoreError, StoreTooNew

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 22)
PROGRAM = [sys.executable, str(Path(__file__).with_name("counting.py"))]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}


def view(path: str = "/a", device: str = "phone", referrer: str = "(none)", language: str = "fr") -> View:
    return View(path, referrer, language, device)


@pytest.fixture
def counts(tmp_path: Path) -> Iterator[Counts]:
    made = Counts(tmp_path / "audience.db", lambda: TODAY)
    yield made
    made.close()


def today(counts: Counts, site: str = "site") -> Figures:
    return counts.read(site, TODAY, TODAY)


def test_what_is_counted_is_what_is_read_with_bots_apart(counts: Counts) -> None:
    for _ in range(3):
        counts.add("site", view("/a", "phone", "www.google.com", "fr"))
    counts.add("site", view("/b", "desktop", "(site)", "bot"))  # a language of three letters, not a robot
    counts.add("site", view("/b", "bot", "www.google.com", "en"))
    counts.add("other", view("/x"))
    found = today(counts)
    assert found.total == 4 and found.views == {TODAY: 4} and found.bots == {TODAY: 1}
    assert found.paths == (("/a", 3), ("/b", 1))
    assert found.referrers == (("www.google.com", 3), ("(site)", 1))
    assert found.languages == (("fr", 3), ("bot", 1))
    assert found.devices == (("phone", 3), ("desktop", 1))


def test_no_two_facts_of_a_view_lie_together(counts: Counts) -> None:
    counts.add("site", view("/a", "tablet", "www.google.com", "br"))
    counts.flush()
    with sqlite3.connect(counts.path) as file:
        rows = set(file.execute("SELECT kind, name, n FROM views"))
        columns = [row[1] for row in file.execute("PRAGMA table_info(views)")]
    assert rows == {("path", "/a", 1), ("referrer", "www.google.com", 1), ("language", "br", 1), ("device", "tablet", 1)}
    assert columns == ["site", "day", "kind", "name", "n"]


def test_the_file_is_the_owner_s_alone(counts: Counts) -> None:
    assert os.stat(counts.path).st_mode & 0o777 == 0o600


def test_a_count_is_written_within_a_second(counts: Counts) -> None:
    counts.add("site", view())
    time.sleep(1.0)
    with sqlite3.connect(counts.path) as file:
        assert file.execute("SELECT sum(n) FROM views WHERE kind = 'path'").fetchone() == (1,)


def test_a_kill_loses_at_most_the_last_second(tmp_path: Path) -> None:
    for killed in (0.9, 1.7, 2.3):
        file = tmp_path / f"{killed}.db"
        with subprocess.Popen([*PROGRAM, "for-ever", str(file)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(killed)
            at = time.monotonic()
            process.send_signal(signal.SIGKILL)
            said = [line.split() for line in process.stdout.read().splitlines() if line.count(" ") == 1]
        found = Counts(file, lambda: TODAY)
        kept = today(found).total
        found.close()
        a_second_before = max((int(n) for n, when in said if float(when) < at - 1), default=0)
        assert a_second_before <= kept <= int(said[-1][0]) + 50
        assert killed < 1.5 or kept > 0


def test_100_000_requests_over_four_processes_are_counted_exactly(tmp_path: Path) -> None:
    """Through the whole gateway. Of five visitors one is a robot and one objects."""
    running = [subprocess.Popen([*PROGRAM, "gateway", str(tmp_path), "25000"], env=ENVIRONMENT) for _ in range(4)]
    assert [process.wait(300) for process in running] == [0] * 4
    read = Counts(tmp_path / "audience.db", lambda: TODAY)
    found = read.read("www.site.example", TODAY, TODAY)
    read.close()
    assert (found.total, found.bots) == (60_000, {TODAY: 20_000})
    assert sum(n for _, n in found.paths) == sum(n for _, n in found.referrers) == sum(n for _, n in found.languages) == 60_000
    assert len(found.paths) == 24 and set(dict(found.paths).values()) == {2500}
    assert dict(found.languages) == {"fr": 40_000, "en": 20_000}
    assert dict(found.referrers) == {"(none)": 40_000, "www.google.com": 20_000}


def test_invented_paths_are_counted_together_and_do_not_push_out_those_that_are_read(tmp_path: Path) -> None:
    day = [TODAY - timedelta(days=1)]
    counts = Counts(tmp_path / "audience.db", lambda: day[0], paths=100)
    for number in range(50):
        counts.add("site", view(f"/read/{number}"))
    counts.flush()
    day[0] = TODAY
    for number in range(5000):
        counts.add("site", view(f"/invented/{number}"))
    counts.flush()
    for number in range(200):
        counts.add("site", view(f"/invented/again/{number}"))
    counts.flush()
    for number in range(50):
        counts.add("site", view(f"/read/{number}"))
    found = today(counts)
    counts.close()
    by = dict(found.paths)
    assert found.total == sum(by.values()) == 5250
    assert len(by) <= 201 and by[OTHER] == 5100
    assert all(by[f"/read/{number}"] == 1 for number in range(50))


def test_memory_is_bounded_and_no_count_is_lost_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "KEYS", 300)
    monkeypatch.setattr(module, "RETRY", 0.6)
    counts = Counts(tmp_path / "missing" / "audience.db", lambda: TODAY)
    assert "Page views are counted in memory until then" in caplog.text
    for number in range(3000):
        counts.add("site", view(f"/{number}"))
        if number == 1500:
            time.sleep(0.7)  # an attempt fails between
    assert len(counts._pending) <= 310
    (tmp_path / "missing").mkdir()
    time.sleep(1.4)
    found = today(counts)
    counts.close()
    assert found.total == 3000 and sum(n for _, n in found.paths) == 3000
    assert caplog.text.count("counted in memory until then") == 1, "said once"
    assert "page views are written again" in caplog.text


def test_a_full_disk_breaks_nothing_and_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "audience.db"
    done = subprocess.run([*PROGRAM, "small-disk", str(file), "40000"], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.5 and "counted in memory until then" in done.stderr
    read = Counts(file, lambda: TODAY)
    assert today(read).total == 20_000
    read.close()


def test_a_page_does_not_wait_for_another_process_that_writes(counts: Counts) -> None:
    counts.add("site", view())
    counts.flush()
    with sqlite3.connect(counts.path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        slowest = 0.0
        for _ in range(150):
            begun = time.perf_counter()
            counts.add("site", view())
            slowest = max(slowest, time.perf_counter() - begun)
            time.sleep(0.01)
        other.execute("ROLLBACK")
    assert slowest < 0.2
    assert today(counts).total == 151


def test_counts_are_forgotten_after_their_months(tmp_path: Path) -> None:
    day = [date(2024, 10, 21)]
    counts = Counts(tmp_path / "audience.db", lambda: day[0], months=25)
    for at in (date(2024, 10, 21), date(2024, 10, 22), date(2026, 11, 21)):
        day[0] = at
        counts.add("site", view())
        counts.flush()
    day[0] = TODAY
    assert set(counts.read("site", date(2020, 1, 1), TODAY).views) == {date(2024, 10, 22), date(2026, 11, 21)}, "not shown"
    counts.add("site", view())
    counts.flush()
    counts.close()
    with sqlite3.connect(counts.path) as file:
        assert file.execute("SELECT min(day) FROM views").fetchone() == ("2024-10-22",), "nor kept"
    day[0] = date(2030, 1, 1)
    Counts(tmp_path / "audience.db", lambda: day[0]).close()
    with sqlite3.connect(counts.path) as file:
        assert file.execute("SELECT count(*) FROM views").fetchone() == (0,), "nor by a site that nobody visits any more"


def test_a_file_that_is_not_ours_is_left_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE orders (n)")
    file.close()
    before = path.read_bytes()
    counts = Counts(path, lambda: TODAY)
    assert "not of page views" in caplog.text
    with pytest.raises(StoreError, match="Name another file"):
        today(counts)
    counts.close()
    assert path.read_bytes() == before
    (tmp_path / "text").write_text("not a database, but long enough to look at " * 20)
    with pytest.raises(StoreError, match="file is not a database"):
        today(Counts(tmp_path / "text", lambda: TODAY))


def test_a_file_of_a_later_version_is_left_as_it_is(counts: Counts) -> None:
    with sqlite3.connect(counts.path) as file:
        file.execute("PRAGMA user_version = 9")
    with pytest.raises(StoreTooNew, match="Install the Volens that wrote it"):
        today(counts)


def test_a_forked_process_counts_its_own(counts: Counts) -> None:
    counts.add("site", view("/parent"))
    pid = os.fork()
    if not pid:
        counts.add("site", view("/child"))
        counts.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert dict(today(counts).paths) == {"/parent": 1, "/child": 1}


def test_a_forked_process_that_counts_nothing_ends_in_order_whatever_its_parent_held(counts: Counts) -> None:
    counts.add("site", view("/parent"))
    with counts._lock:  # as the parent's thread may hold it at that moment
        pid = os.fork()
        if not pid:
            counts.close()
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert dict(today(counts).paths) == {"/parent": 1}


def test_threads_that_begin_together_lose_nothing(tmp_path: Path) -> None:
    for number in range(20):
        counts = Counts(tmp_path / f"{number}.db", lambda: TODAY)
        gate = threading.Barrier(8)

        def begin(counts: Counts = counts, gate: threading.Barrier = gate) -> None:
            gate.wait()
            for _ in range(50):
                counts.add("site", view())

        threads = [threading.Thread(target=begin) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts.close()
        with sqlite3.connect(counts.path) as file:
            assert file.execute("SELECT n FROM views WHERE kind = 'path'").fetchone() == (400,)


def test_closing_writes_what_is_in_memory(tmp_path: Path) -> None:
    counts = Counts(tmp_path / "audience.db", lambda: TODAY)
    counts.add("site", view())
    counts.close()
    counts.close()
    with sqlite3.connect(counts.path) as file:
        assert file.execute("SELECT n FROM views WHERE kind = 'path'").fetchone() == (1,)
