"""How many grants a second the store keeps, how long each waits to be durable, and what a store that has grown still does.

Submitters each append a record and wait for its future, as a request does. *Group* is the store as it is; *single* is
the same store with one commit a record; *floor* is the disk: writes of a page's size, each followed by fdatasync.

*Ceiling* is SQLite itself: the same rows, made beforehand, 200 a commit, the same durability, no tree. *Queue* is the store with that
many records waiting, submitted by one thread without an event loop. Both take turns, and the ratio is of the medians.

*Grown* fills a store in steps to ``--grow`` entries and tells at each: bytes a record, appends a second by *queue*, and how long an
inclusion proof and a whole receipt take from storage, of entries taken at random.

    python benchmarks/ledger.py [--seconds 5] [--submitters 64] [--processes 1] [--grow 1000000] [--directory DIR] [--out FILE]

Prints JSON. Compare ratios within one run: machines and disks differ.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import bench
from appends import NOTICE, ROWS, against_ceiling, figures, queue, record, tell, waits

from volens.ledger.record import Count, new_id
from volens.ledger.sqlite import SqliteStore
from volens.ledger.writer import _Waiting


def measure(directory: str, batch: int, submitters: int, processes: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        path = os.path.join(folder, "ledger.db")
        taken = waits(partial(SqliteStore, path, batch=batch, patience=60), submitters, processes, seconds)
        rows = sqlite3.connect(path).execute("SELECT count(id) FROM entries").fetchone()[0]
        if rows != len(taken):
            sys.exit(f"{len(taken)} records were acknowledged, {rows} are there")
        return figures(taken, seconds) | {"bytes_per_record": round(os.path.getsize(path) / rows)}


def ceiling(directory: str, seconds: float) -> float:
    """Rows a second that SQLite keeps: one table like the store's, its index, nothing else."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        connection = sqlite3.connect(os.path.join(folder, "raw.db"), isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "CREATE TABLE entries (at INTEGER PRIMARY KEY, minute INTEGER, version INTEGER, moved INTEGER, hash BLOB, other BLOB,"
            " id TEXT, salt BLOB, json BLOB)"
        )
        connection.execute("CREATE UNIQUE INDEX entries_id ON entries (id) WHERE id IS NOT NULL")
        one, done, taken = record(), 0, 0.0
        while taken < seconds:
            made = [one.again(new_id(), one.time) for _ in range(ROWS)]
            rows = [(done + n, 1, 1, 0, os.urandom(32), None, r.id, os.urandom(16), r.canonical()) for n, r in enumerate(made)]
            begin = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
            taken += time.perf_counter() - begin
            done += ROWS
        connection.close()
        return done / taken


def against(directory: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        store = SqliteStore(os.path.join(folder, "ledger.db"), patience=60)
        found = against_ceiling(store, partial(ceiling, directory), seconds)
        store.close()
    return found


def fill(store: SqliteStore, number: int) -> None:
    """Make the store hold so many records, by the writer's own transactions in batches of its usual size, without queue and threads."""
    one = record()
    connection = store._connect()
    head = store.head(one.site)
    missing = number - (head.size if head else 0)
    while missing > 0:
        batch = [one.again(new_id(), one.time) for _ in range(min(512, missing))]
        with store._write:
            store._commit(connection, [_Waiting(each, each.canonical(), NOTICE) for each in batch], {})
        missing -= len(batch)
        if missing // 512 % 64 == 0:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    store._shut(connection)


def proofs(store: SqliteStore, number: int = 300) -> dict[str, float]:
    """Milliseconds for an inclusion proof, and for a receipt."""
    head = store.head(record().site)
    assert head is not None
    taken: dict[str, list[float]] = {"inclusion": [], "receipt": []}
    ids = []
    for index in random.Random(1).sample(range(1, head.size), number):
        begin = time.perf_counter()
        store.tree(head.site).inclusion(index)
        taken["inclusion"].append((time.perf_counter() - begin) * 1000)
        (row,) = store.rows(head.site, index, index)
        ids.append(json.loads(row.record or b"{}")["id"])
    for id in ids:
        begin = time.perf_counter()
        store.receipt(id)
        taken["receipt"].append((time.perf_counter() - begin) * 1000)
    found = {}
    for name, values in taken.items():
        found[f"{name}_p50_ms"] = round(statistics.median(values), 3)
        found[f"{name}_p99_ms"] = round(sorted(values)[number * 99 // 100], 3)
    return found


def grown(directory: str, most: int, seconds: float) -> dict[str, Any]:
    """By the number of entries, and how fast the largest takes more beside the smallest."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        path = os.path.join(folder, "ledger.db")
        for size in (10**power for power in range(4, 9) if 10**power <= most):
            store = SqliteStore(path, patience=60)
            begin = time.perf_counter()
            fill(store, size)
            filled = time.perf_counter() - begin
            head = store.head(record().site)
            entries = head.size if head else 0  # a step may find more than it asks for, kept by the measure before
            store.close()
            whole = sqlite3.connect(path, isolation_level=None)
            whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            whole.close()
            length = os.path.getsize(path)
            store = SqliteStore(path, patience=60)
            store.count(Count("nobody.example", date(2026, 11, 22), NOTICE.digest, "notice", "fr"))
            told = proofs(store)
            rates = [queue(store, 512, seconds / 3) for _ in range(3)]
            store.close()
            rate = {"bytes_per_record": round(length / entries), "appends_per_second": round(statistics.median(rates))}
            found[str(size)] = rate | told | {"fill_seconds": round(filled, 1)}
            print(size, found[str(size)], file=sys.stderr)
    first, *_, last = found.values()
    return found | {"last_over_first": round(last["appends_per_second"] / first["appends_per_second"], 2)}


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
    parser.add_argument("--grow", type=int, default=0, help="entries to which a store is filled; 10000000 takes some 8 GB")
    parser.add_argument("--only", choices=("ceiling", "grown"), help="this part alone")
    parser.add_argument("--directory", default=".", help="where the file is written: a real disk")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    given = (options.submitters, options.processes, options.seconds)
    result: dict[str, Any] = {
        "format": "volens-benchmark-ledger/1",
        **bench.facts(),
        "sqlite": sqlite3.sqlite_version,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "submitters": options.submitters,
        "processes": options.processes,
        "seconds": options.seconds,
    }
    if options.only is None:
        group, single = measure(options.directory, 512, *given), measure(options.directory, 1, *given)
        result |= {
            "floor": floor(options.directory, min(options.seconds, 2)),
            "group": group,
            "single": single,
            "group_over_single": round(group["appends_per_second"] / single["appends_per_second"], 2),
        }
    if options.only != "grown":
        result["against_ceiling"] = against(options.directory, options.seconds)
    if options.grow:
        result["grown"] = grown(options.directory, options.grow, options.seconds)
    tell(result, options.out)


if __name__ == "__main__":
    main()
