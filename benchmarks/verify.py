"""How long it takes to check a whole log cold: an archive of so many records, by several processes.

The archive is made first, with every record another one, its commitment and its place in the tree. Then it is checked as `volens verify`
does, from nothing but the file and the key. *CPU* is the time of all processes together: what a busy machine does not change. *Memory* is
the most that all of them had at once, shared pages told apart (PSS).

    python benchmarks/verify.py [--records 10000000] [--processes 4] [--directory DIR] [--out FILE]

Prints JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import tempfile
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bench

from volens.ledger.entry import RecordEntries, commitment, minute, notice_entry
from volens.ledger.note import LogKey, checkpoint
from volens.ledger.record import Record, new_id
from volens.ledger.tree import Edge, Growth, leaf_hash
from volens.ledger.verify import Trust, read_key
from volens.ledger.verify_log import check_archive
from volens.notice import Controller, Notice, Purpose, Service, canonical

SITE = "www.example.org"
KEY = LogKey.new(f"{SITE}/volens")
ASKED = ("audience", "reseaux-sociaux", "video", "publicite", "personnalisation", "geolocalisation")
NOTICE = Notice(
    Controller("Le Journal", "contact@example.org", ""),
    tuple(Purpose(id, {"fr": id}, {"fr": id}) for id in ASKED),
    (Service("tube", "Tube", ("video",)),),
)
START = datetime(2026, 11, 22, 10, 23, 5, tzinfo=UTC)


def make(path: Path, count: int) -> None:
    """An archive of that many entries, all but the first of records."""
    kept = Record(new_id(), SITE, START, "given", "accept-all", "notice", "fr", NOTICE.digest, dict.fromkeys(ASKED, True), {"tube": True})
    before, after = kept.canonical().split(kept.id.encode())
    entries, edge, leaves = RecordEntries(SITE), Edge(), list[bytes]()
    lines = path.with_suffix(".lines")
    with lines.open("wb") as file:
        for index in range(count):
            if index:
                record, salt = b"%b%026d%b" % (before, index, after), b"%016d" % index
                entry = entries.entry(commitment(salt, record), NOTICE.digest, minute(START) + index // 6000)
                file.write(b'{"entry":%b,"i":%d,"record":%b,"salt":"%b"}\n' % (entry, index, record, salt.hex().encode()))
            else:
                entry = notice_entry(SITE, minute(START), NOTICE.digest)
                file.write(b'{"entry":%b,"i":0}\n' % entry)
            leaves.append(leaf_hash(entry))
            if len(leaves) == 20_000:
                edge = Growth(edge, leaves).edge
                leaves.clear()
    edge = Growth(edge, leaves).edge if leaves else edge
    head = KEY.sign(checkpoint(KEY.name, count, edge.root))
    top: dict[str, Any] = {"format": "volens-archive/1", "origin": KEY.name, "site": SITE, "size": count, "checkpoint": head}
    sha = hashlib.sha256()
    with path.open("wb") as whole, lines.open("rb") as file:
        for line in (top | {"keys": [KEY.vkey], "made": "2026-11-23T00:00:00Z"}, {"notice": NOTICE.to_json()}):
            whole.write(data := canonical(line) + b"\n")
            sha.update(data)
        while data := file.read(1 << 22):
            whole.write(data)
            sha.update(data)
        whole.write(canonical({"end": count + 2, "sha256": sha.hexdigest()}) + b"\n")
    lines.unlink()


def memory() -> int:
    """Bytes of this process and those below it, each shared page once."""
    pids, found = [os.getpid()], 0
    for pid in pids:
        with suppress(OSError):
            found += sum(int(line.split()[1]) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line[:4] == "Pss:")
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
    return found * 1024


def measure(path: Path, processes: int) -> dict[str, Any]:
    """Check it once."""
    most, over, done = 0, threading.Event(), list[int]()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.5):
            most = max(most, memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    log = check_archive(path, Trust.of([read_key(KEY.vkey)]), processes=processes, progress=lambda at, of: done.append(at))
    seconds = time.perf_counter() - start
    over.set()
    watcher.join()
    assert log.verdict.holds, log.verdict
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "records": log.tree.size - 1,
        "bytes": path.stat().st_size,
        "processes": processes,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in used), 1),
        "memory_mb": round(most / 1e6),
        "progress_told": len(done),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    about = bench.facts()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as folder:
        path = Path(folder) / "archive.jsonl"
        pid = os.fork()  # so that making it counts neither as time nor as memory of the check
        if not pid:
            make(path, arguments.records + 1)
            os._exit(0)
        if os.waitpid(pid, 0)[1]:
            raise SystemExit("the archive could not be made")
        made = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = measure(path, arguments.processes)
        found["cpu_seconds"] = round(found["cpu_seconds"] - made.ru_utime - made.ru_stime, 1)
    value = {"format": "volens-benchmark-verify/1", **about, "verify": found}
    text = json.dumps(value, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
