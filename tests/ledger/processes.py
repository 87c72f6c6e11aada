"""Other processes on a test's ledger, a file or a database: they write until they are killed, begin at one word, or are forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parent.parent / "src")}
AT_ONE_WORD = """
import sys; sys.path.insert(0, sys.argv[1])
from conformance import NOTICE, record, refusal
from writing import opened
sys.stdin.readline()
store = opened(sys.argv[2], patience=30)
for _ in range(30):
    futures = [store.append(record(site=site), NOTICE) for site in sys.argv[4:] for _ in range(int(sys.argv[3]))]
    for future in futures: store.count(refusal()); print(future.result().record.id)
store.close()
"""


def writer(place: str | Path, folder: Path, threads: int = 16, stderr: int | None = None) -> subprocess.Popen[bytes]:
    """``writing.py`` on the ledger at that place, in ``folder``."""
    command = [sys.executable, str(HERE / "writing.py"), str(place), str(threads)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, cwd=folder, env=ENVIRONMENT)


def kill_under_load(processes: list[subprocess.Popen[bytes]], seconds: float) -> list[str]:
    """Let them write for a while after their first acknowledgement, kill -9, and return what was acknowledged."""
    ids: list[str] = []
    first: dict[int, bytes] = {}
    for process in processes:
        assert process.stdout
        first[process.pid] = process.stdout.readline()
    time.sleep(seconds)  # the pipe takes 64 KB meanwhile, then the writers stand still: short enough not to
    for process in processes:
        process.send_signal(signal.SIGKILL)
    for process in processes:
        assert process.stdout
        lines = (first[process.pid] + process.stdout.read()).split(b"\n")
        assert process.wait() == -signal.SIGKILL
        assert lines[-1] == b"", "lines are written whole"
        ids += [line.decode() for line in lines[:-1]]
    return ids


def append_together(place: str | Path, folder: Path, each: int, sites: Sequence[Sequence[str]]) -> list[str]:
    """One process for each list of sites, all at one word: 30 times ``each`` records to every site of its list; the ids."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONE_WORD, str(HERE), str(place), str(each), *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            env=ENVIRONMENT,
        )
        for names in sites
    ]
    time.sleep(1)
    for process in processes:
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.flush()
    ids: list[str] = []
    for process in processes:
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        ids += out.decode().split()
    return ids


def in_a_fork(task: Callable[[], object]) -> str:
    """What ``task`` returns in a forked child, or its error; limits and their signals stay there."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = str(task())
        except BaseException as error:  # noqa: BLE001 — reported to the parent
            traceback.print_exc()
            answer = f"{type(error).__name__}: {error}"
        os.write(write, answer.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return answer
