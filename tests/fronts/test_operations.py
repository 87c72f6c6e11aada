"""What is done to a running Volens under load costs no visitor a request."""

from __future__ import annotations

import http.client
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fronts.serving import CONFIG, HOST, connection, site, volens
from tests.running import until

SECONDS = 10.0


class Load:
    """Visitors who ask all the time, on kept connections; what went wrong."""

    def __init__(self, port: int, count: int) -> None:
        self.port, self.wrong, self.done, self.slowest = port, list[str](), 0, 0.0
        self.going = True
        self.threads = [threading.Thread(target=self.visit, args=(number,), daemon=True) for number in range(count)]

    def visit(self, number: int) -> None:
        kept: http.client.HTTPConnection | None = None
        while self.going:
            begin = time.monotonic()
            try:
                kept = kept or connection(self.port, tls=False)
                kept.request("GET", f"/page-{number}", headers={"Host": HOST, "Accept": "text/html", "Sec-Fetch-Dest": "document"})
                answer = kept.getresponse()
                body = answer.read()
                if answer.status != 200 or (b"Tout refuser" not in body and b"Refuse all" not in body):
                    self.wrong.append(f"{answer.status} {body[:80]!r}")
                if answer.will_close:
                    kept.close()
                    kept = None
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
                kept = None
            self.done += 1
            self.slowest = max(self.slowest, time.monotonic() - begin)
            time.sleep(0.005)


@contextmanager
def load(port: int, count: int = 8) -> Iterator[Load]:
    made = Load(port, count)
    for thread in made.threads:
        thread.start()
    try:
        yield made
    finally:
        made.going = False
        for thread in made.threads:
            thread.join(30)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_restart_under_load_fails_no_request(tmp_path: Path, workers: int) -> None:
    with site() as behind, volens(tmp_path, behind.port, "--workers", str(workers)) as (port, process), load(port) as visits:
        end, says = time.monotonic() + SECONDS, lambda: (tmp_path / "volens.log").read_text().count("volens proxy: http")
        until(lambda: visits.done > 50)
        restarts = 0
        while time.monotonic() < end or restarts < 2:
            restarts += 1
            process.send_signal(signal.SIGHUP)
            assert until(lambda count=restarts: says() > count, 40), (tmp_path / "volens.log").read_text()
            time.sleep(2)
            assert process.poll() is None, "it is the same process"
        visits.going = False
        for thread in visits.threads:
            thread.join(30)
        assert visits.wrong == [] and visits.done > 200
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert until(
            lambda: len(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()) == (workers if workers > 1 else 0)
        ), children


@pytest.mark.parametrize("workers", [1, 2])
def test_a_restart_that_could_not_serve_is_none(tmp_path: Path, workers: int) -> None:
    with site() as behind, volens(tmp_path, behind.port, "--workers", str(workers)) as (port, process), load(port, 2) as visits:
        until(lambda: visits.done > 10)
        (tmp_path / "volens.toml").write_text(CONFIG + "\nnonsense = 3\n")
        process.send_signal(signal.SIGHUP)
        assert until(lambda: "no restart" in (tmp_path / "volens.log").read_text(), 40)
        before = visits.done
        assert until(lambda: visits.done > before + 20) and process.poll() is None
        assert visits.wrong == [] and (tmp_path / "volens.log").read_text().count("volens proxy: http") == 1


def test_a_configuration_read_again_under_load_fails_no_request(tmp_path: Path) -> None:
    with site() as behind, volens(tmp_path, behind.port, "--workers", "2") as (port, _), load(port) as visits:
        until(lambda: visits.done > 50)
        says = lambda: Counter(re.findall("was read again|the one before goes on", (tmp_path / "volens.log").read_text()))
        end, turn = time.monotonic() + SECONDS, 0
        while time.monotonic() < end or turn < 6:
            turn += 1
            before, word = says(), "was read again" if turn % 3 else "the one before goes on"
            (tmp_path / "next.toml").write_text(
                CONFIG.replace("names = [", f'hosts = ["cdn{turn}.example"]\nnames = [') if turn % 3 else CONFIG + "x = 1\n"
            )
            os.replace(tmp_path / "next.toml", tmp_path / "volens.toml")
            assert until(lambda before=before, word=word: says()[word] > before[word], 40), says()
        log = (tmp_path / "volens.log").read_text()
        assert log.count("was read again") >= 4 and "the one before goes on" in log, log[-2000:]
        assert visits.wrong == [] and visits.done > 200
