"""How many grants a second the store keeps, and how long each waits to be durable.

Submitters each append a record and wait for its future, as a request does. *Group* is the store as it is; *single* is
the same store with one commit a record; *floor* is the disk: writes of a page's size, each followed by fdatasync.

    python benchmarks/ledger.py [--seconds 5] [--submitters 64] [--processes 1] [--directory DIR] [--out FILE]

Prints JSON. Compare ratios within one run: machines and disks differ.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from volens.ledger.record import Record, new_id
from volens.ledger.sqlite import SqliteStore
from volens.notice import Controller, Notice, Purpose, Service

ASKED = ("audience", "reseaux-sociaux", "video", "publicite", "personnalisation", "geolocalisation")
NOTICE = Notice(
    Controller("Le Journal", "contact@example.org", ""),
    tuple(Purpose(id, {"fr": id}, {"fr": id}) for id in ASKED),
    (Service("tube", "Tube", ("video",)),),
)


def record() -> Record:
    return Record(
        new_id(), "www.example.org", datetime.now(UTC), "given", "accept-all", "notice", "fr", NOTICE.digest, dict.fromkeys(ASKED, True), {}
    )


async def submit(store: SqliteStore, submitters: int, seconds: float) -> list[float]:
    """Milliseconds each append took, as an asynchronous server sees it."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        while (start := time.perf_counter()) < end:
            await asyncio.wrap_future(store.append(record(), NOTICE))
            taken.append((time.perf_counter() - start) * 1000)

    await asyncio.gather(*(one() for _ in range(submitters)))
    return taken


def work(path: str, batch: int, submitters: int, seconds: float, pipe: Any) -> None:
    store = SqliteStore(path, batch=batch, patience=60)
    pipe.send("ready")
    pipe.recv()
    pipe.send(asyncio.run(submit(store, submitters, seconds)))
    store.close()


def measure(directory: str, batch: int, submitters: int, processes: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        path = os.path.join(folder, "ledger.db")
        context = multiprocessing.get_context("spawn")
        pipes, workers = [], []
        for _ in range(processes):
            here, there = context.Pipe()
            worker = context.Process(target=work, args=(path, batch, submitters // processes, seconds, there))
            worker.start()
            pipes.append(here)
            workers.append(worker)
        for pipe in pipes:
            pipe.recv()
        for pipe in pipes:
            pipe.send("go")
        taken = sorted(value for pipe in pipes for value in pipe.recv())
        for worker in workers:
            worker.join()
        rows = sqlite3.connect(path).execute("SELECT count(*) FROM records").fetchone()[0]
        if rows != len(taken):
            sys.exit(f"{len(taken)} records were acknowledged, {rows} are there")
        return {
            "appends_per_second": round(len(taken) / seconds),
            "p50_ms": round(statistics.median(taken), 2),
            "p99_ms": round(taken[len(taken) * 99 // 100], 2),
            "max_ms": round(taken[-1], 2),
            "bytes_per_record": round(os.path.getsize(path) / rows),
        }


def floor(directory: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryFile(dir=directory) as file:
        done, end = 0, time.perf_counter() + seconds
        os.write(file.fileno(), bytes(4096))
        while time.perf_counter() < end:
            os.pwrite(file.fileno(), os.urandom(4096), 0)
            os.fdatasync(file.fileno())
            done += 1
    return {"syncs_per_second": round(done / seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--submitters", type=int, default=64)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--directory", default=".", help="where the file is written: a real disk")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    given = (options.submitters, options.processes, options.seconds)
    group, single = measure(options.directory, 512, *given), measure(options.directory, 1, *given)
    result = {
        "format": "volens-benchmark-ledger/1",
        "sqlite": sqlite3.sqlite_version,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "submitters": options.submitters,
        "processes": options.processes,
        "seconds": options.seconds,
        "floor": floor(options.directory, min(options.seconds, 2)),
        "group": group,
        "single": single,
        "group_over_single": round(group["appends_per_second"] / single["appends_per_second"], 2),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
