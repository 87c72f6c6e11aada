"""How many grants a second the PostgreSQL store keeps, against what the server itself keeps of the same rows.

*Ceiling* is COPY of the same rows, made beforehand, 200 a commit, the same durability, no tree. *Queue* is the store with that many
records waiting, submitted by one thread without an event loop. Both take turns, and the ratio is of the medians. *One* and *several*
are processes with so many submitters, each of which appends a record and waits for its future, as a request does; all to one log.

    python benchmarks/ledger_postgres.py [--seconds 5] [--submitters 64] [--processes 3] [--url postgresql://…] [--out FILE]

Without an address it starts a server of its own, as the tests do. Prints JSON. Compare ratios within one run: machines and disks differ.
"""

from __future__ import annotations

import argparse
import os
import platform
import struct
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

sys.path += [str(Path(__file__).parent.parent / "tests" / "ledger"), str(Path(__file__).parent)]

import bench
from appends import NOTICE, ROWS, against_ceiling, figures, record, tell, waits

from volens.ledger.note import LogKey, origin
from volens.ledger.postgres import PostgresStore
from volens.ledger.record import new_id

TABLES = (
    """CREATE TABLE raw (at bigint PRIMARY KEY, minute integer, version integer, commitment bytea, hash bytea, id text COLLATE "C",
        salt bytea, json bytea)""",
    "CREATE UNIQUE INDEX raw_id ON raw (id) WHERE id IS NOT NULL",
)


def key(site: str) -> LogKey:
    """The same in every process."""
    return LogKey(origin(site), bytes(32))


def store(url: str, **more: Any) -> PostgresStore:
    return PostgresStore(url, Path(tempfile.gettempdir()) / f"volens-benchmark-{os.getpid()}", key, patience=60, **more)


def ceiling(url: str, seconds: float) -> float:
    """Rows a second by COPY, in binary."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS raw")
        for statement in TABLES:
            connection.execute(statement)
        one, done, taken = record(), 0, 0.0
        head = struct.Struct(">hiqiiiii").pack
        while taken < seconds:
            rows = []
            for n in range(ROWS):
                made = one.again(new_id(), one.time)
                fields = (os.urandom(32), os.urandom(32), made.id.encode(), os.urandom(16), made.canonical())
                start = head(8, 8, done + n, 4, 1, 4, 1, 32) + fields[0]
                rows.append(start + b"".join(struct.pack(">i", len(each)) + each for each in fields[1:]))
            data = b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"".join(rows) + b"\xff\xff"
            begin = time.perf_counter()
            with connection.cursor().copy("COPY raw FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(data)
            taken += time.perf_counter() - begin
            done += ROWS
        return done / taken


def begun(url: str) -> PostgresStore:
    """With its log, that the first append makes."""
    kept = store(url)
    kept.append(record(), NOTICE).result()
    return kept


def measure(url: str, submitters: int, processes: int, seconds: float) -> dict[str, Any]:
    return {"processes": processes} | figures(waits(partial(begun, url), submitters, processes, seconds), seconds)


def against(url: str, seconds: float) -> dict[str, Any]:
    kept = store(url)
    found = against_ceiling(kept, partial(ceiling, url), seconds)
    kept.close()
    return found


def measured(url: str, options: argparse.Namespace) -> dict[str, Any]:
    with psycopg.connect(url) as connection:
        version = connection.info.server_version
    result = {
        "format": "volens-benchmark-ledger-postgres/1",
        **bench.facts(),
        "postgresql": version,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "submitters": options.submitters,
        "seconds": options.seconds,
        "against_ceiling": against(url, options.seconds),
        "one": measure(url, options.submitters, 1, options.seconds),
        "several": measure(url, options.submitters, options.processes, options.seconds),
    }
    with psycopg.connect(url) as connection:
        size = "SELECT (pg_total_relation_size('volens.entries') + pg_total_relation_size('volens.nodes')) / count(*) FROM volens.entries"
        ((bytes_,),) = connection.execute(size).fetchall()
    return result | {"bytes_per_record": int(bytes_)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--submitters", type=int, default=64)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--url", default="", help="an empty database of a server; without, one is started")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.url:
        result = measured(options.url, options)
    else:
        import pg

        server = pg.Server.new()
        pg.SETTINGS |= {"shared_buffers": "256MB", "max_wal_size": "4GB"}
        try:
            result = measured(server.start().url(server.database()), options)
        finally:
            server.remove()
    tell(result, options.out)


if __name__ == "__main__":
    main()
