"""How long it takes to check a whole log cold, by several processes: the ledger in its SQLite file, and the archive that is written of it.

The ledger is filled by the store itself, every record another one, or is one that was filled before (``--ledger``: by ``ledger.py``'s
``fill``, with the key below; nothing in it is changed). Then ``volens ledger verify`` and ``volens verify`` run as an operator runs them,
the latter from nothing but the file and the key. *CPU* is the time of all processes together: what a busy machine does not change.
*Memory* is the most that all of them had at once, shared pages told apart (PSS); *resident* counts those once for each process (RSS).

    python benchmarks/verify.py [--records 10000000 | --ledger FILE] [--processes 4] [--directory DIR] [--out FILE]

Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bench
import ledger

from volens.ledger import archive
from volens.ledger.note import LogKey, origin, write_log_keys
from volens.ledger.sqlite import SqliteStore

SITE = "www.example.org"
KEY = LogKey(origin(SITE), bytes(range(32)))
TOML = """names = ["{site}"]
languages = ["fr"]
ledger = {ledger}
[controller]
name = "Le Journal"
contact = "contact@example.org"
policy = "volens"
country = "FR"
[proof]
key = {key}
"""


def below(pid: int) -> list[int]:
    """A process and all that it started."""
    pids = [pid]
    for one in pids:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
    return pids


def memory(pid: int, kind: str) -> int:
    """Kilobytes of a process and those below it."""
    found = 0
    for one in below(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            found += sum(int(line.split()[1]) for line in lines if line.startswith(kind))
    return found


def measure(file: Path, *command: str) -> dict[str, Any]:
    """One command of Volens, and what it says of the file."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    most = {"Pss:": 0, "Rss:": 0}
    with subprocess.Popen([sys.executable, "-m", "volens.cli", *command, "--json"], stdout=subprocess.PIPE, text=True) as running:
        while True:
            try:
                told, _ = running.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                most = {kind: max(value, memory(running.pid, kind)) for kind, value in most.items()}
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    value = json.loads(told)
    if not value["holds"]:
        sys.exit(told)
    return {
        "records": value["files"][0]["facts"]["record"],
        "bytes": file.stat().st_size,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "memory_mb": round(most["Pss:"] / 1e3),
        "resident_mb": round(most["Rss:"] / 1e3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--ledger", type=Path, help="one that was filled before, instead of filling one")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    about = bench.facts()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        folder = Path(name).resolve()
        file = arguments.ledger.resolve(strict=True) if arguments.ledger else folder / "ledger.db"
        packed, key, config = folder / "archive.jsonl", folder / "log-key", folder / "volens.toml"
        with closing(SqliteStore(file, lambda site: KEY)) as store:
            if not arguments.ledger:
                store.keep_notice(SITE, ledger.NOTICE)
                ledger.fill(store, arguments.records + 1)  # with the notice's entry
            archive.write(store, SITE, [KEY.vkey], packed, datetime.now(UTC))
        write_log_keys(key, [KEY])
        config.write_text(TOML.format(site=SITE, ledger=json.dumps(str(file)), key=json.dumps(str(key))), "utf-8")
        processes = ("--processes", str(arguments.processes))
        figures = {
            "the ledger in SQLite": measure(file, "ledger", "verify", "--config", str(config), *processes),
            "an archive of it": measure(packed, "verify", str(packed), "--key", KEY.vkey, *processes),
        }
    value = {"format": "volens-benchmark-verify/1", **about, "processes": arguments.processes, "figures": figures}
    text = json.dumps(value, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
