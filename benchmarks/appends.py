"""What the benchmarks of both stores share: the records, submitters that wait for each to be durable, and the rate beside a ceiling.

The stores are timed by the same hands, so that what is told of one can be set beside what is told of the other.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from volens.ledger.record import Record, new_id
from volens.ledger.store import Kept, Store
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


ROWS = 200
"""Rows a commit of a ceiling."""


async def submit(store: Store, submitters: int, seconds: float) -> list[float]:
    """Milliseconds each append took, as an asynchronous server sees it."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        while (start := time.perf_counter()) < end:
            await asyncio.wrap_future(store.append(record(), NOTICE))
            taken.append((time.perf_counter() - start) * 1000)

    await asyncio.gather(*(one() for _ in range(submitters)))
    return taken


def _work(opened: Callable[[], Store], submitters: int, seconds: float, pipe: Any) -> None:
    store = opened()
    pipe.send("ready")
    pipe.recv()
    pipe.send(asyncio.run(submit(store, submitters, seconds)))
    store.close()


def waits(opened: Callable[[], Store], submitters: int, processes: int, seconds: float) -> list[float]:
    """Milliseconds each append took, shortest first, in processes that each open the store and begin at one word."""
    context = multiprocessing.get_context("spawn")
    pipes, workers = [], []
    for _ in range(processes):
        here, there = context.Pipe()
        worker = context.Process(target=_work, args=(opened, submitters // processes, seconds, there))
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
    return taken


def figures(taken: list[float], seconds: float) -> dict[str, Any]:
    return {
        "appends_per_second": round(len(taken) / seconds),
        "p50_ms": round(statistics.median(taken), 2),
        "p99_ms": round(taken[len(taken) * 99 // 100], 2),
        "max_ms": round(taken[-1], 2),
    }


def queue(store: Store, waiting: int, seconds: float) -> float:
    """Appends a second with so many waiting. The records are made beforehand."""
    one, number, taken = record(), 0, 0.0
    while taken < seconds:
        made = [one.again(new_id(), one.time) for _ in range(20_000)]
        flying: deque[Future[Kept]] = deque()
        begin = time.perf_counter()
        for each in made:
            if len(flying) >= waiting:
                flying.popleft().result()
            flying.append(store.append(each, NOTICE))
        for future in flying:
            future.result()
        taken += time.perf_counter() - begin
        number += len(made)
    return number / taken


def against_ceiling(store: Store, ceiling: Callable[[float], float], seconds: float, turns: int = 5) -> dict[str, Any]:
    """The store and ``ceiling(seconds)``, rows a second, in turns."""
    raw, kept = [], []
    for _ in range(turns):
        raw.append(ceiling(seconds / turns))
        kept.append(queue(store, 512, seconds / turns))
    return {
        "ceiling_rows_per_second": [round(each) for each in raw],
        "queue_appends_per_second": [round(each) for each in kept],
        "ratio": round(statistics.median(kept) / statistics.median(raw), 2),
    }


def tell(result: dict[str, Any], out: Path | None) -> None:
    """As JSON: printed, and into the file that is asked for."""
    text = json.dumps(result, indent=1)
    print(text)
    if out:
        out.write_text(text + "\n")
