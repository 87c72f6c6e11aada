"""What Volens has done, in numbers for Prometheus: how much, never who.

Each process adds to a file of its own below one folder, mapped into memory and held by a lock for as long as the process lives; who
asks gets the sum of all files. A file whose process has ended is taken up by the next one, so that no counter ever falls.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from volens.ledger.publish import OUTCOMES

log = logging.getLogger("volens")

KINDS = ("page", "other", "own", "gate", "withheld", "left")
LAYERS = ("markup", "cookie", "set-cookie", "header", "path", "gate")
ANSWERS = ("accept", "refuse", "switches", "service", "withdraw", "foreign", "other")
SURFACES = ("notice", "panel", "embed", "gate", "band", "foreign", "other")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_TOLD = {
    "volens_requests_total": "Requests, by who answered.",
    "volens_pages_rewritten_total": "Pages that passed through the rewrite.",
    "volens_withheld_total": "What was withheld, by the layer that did it.",
    "volens_choices_total": "Answers, by what was answered and where.",
    "volens_errors_total": "Error lines in the log.",
    "volens_upstream_errors_total": "Answers of the site that did not come, or not whole.",
    "volens_witness_answers_total": "Answers of the log's witnesses, by what came of them.",
    "volens_ledger_seconds": "From a grant's answer to its durable record.",
}
_SERIES = (
    *(f'volens_requests_total{{kind="{kind}"}}' for kind in KINDS),
    "volens_pages_rewritten_total",
    *(f'volens_withheld_total{{layer="{layer}"}}' for layer in LAYERS),
    *(f'volens_choices_total{{answer="{answer}",surface="{surface}"}}' for answer in ANSWERS for surface in SURFACES),
    "volens_errors_total",
    *(f'volens_upstream_errors_total{{kind="{kind}"}}' for kind in ("down", "slow", "broken")),
    *(f'volens_witness_answers_total{{outcome="{outcome}"}}' for outcome in OUTCOMES),
    *(f"ledger {index}" for index in range(len(BUCKETS) + 1)),
    "ledger microseconds",
    "ledger waiting",  # of living processes only
)
_INDEX = {name: index for index, name in enumerate(_SERIES)}
_SIZE = 8 * len(_SERIES)
_LAYOUT = sha256("\n".join(_SERIES).encode()).hexdigest()[:12]
_MOST = 512


class _Errors(logging.Handler):
    def __init__(self, metrics: Metrics) -> None:
        super().__init__(logging.ERROR)
        self._metrics = metrics

    def emit(self, record: logging.LogRecord) -> None:
        self._metrics.add("volens_errors_total")


class Metrics:
    """The counters of one process, and the sum of all."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder, self._lock, self._file = folder, threading.Lock(), -1
        memory = self._claimed() if folder is not None else None
        self._values = memoryview(memory if memory is not None else mmap.mmap(-1, _SIZE)).cast("q")
        self._values[_INDEX["ledger waiting"]] = 0
        self._errors = _Errors(self)
        if folder is not None:
            log.addHandler(self._errors)

    def _claimed(self) -> mmap.mmap | None:
        """A file that no living process holds; None where there can be none: then this process counts alone."""
        assert self._folder is not None
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            for number in range(_MOST):
                file = os.open(self._folder / f"{_LAYOUT}-{number}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(file)
                    continue
                if os.fstat(file).st_size != _SIZE:
                    os.ftruncate(file, _SIZE)
                self._file = file
                return mmap.mmap(file, _SIZE)
        except OSError as error:
            log.warning("%s: numbers of this process are not shared with others: %s", self._folder, error)
        return None

    def add(self, name: str, count: int = 1) -> None:
        """``name``: a series, with its labels."""
        index = _INDEX.get(name)
        if index is not None and count:
            with self._lock:
                self._values[index] += count

    def withheld(self, layers: Mapping[str, int]) -> None:
        for layer, count in layers.items():
            self.add(f'volens_withheld_total{{layer="{layer}"}}', count)

    def chosen(self, answer: str, surface: str) -> None:
        answer, surface = answer if answer in ANSWERS else "other", surface if surface in SURFACES else "other"
        self.add(f'volens_choices_total{{answer="{answer}",surface="{surface}"}}')

    def recorded(self, seconds: float) -> None:
        self.add(f"ledger {bisect_left(BUCKETS, seconds)}")
        self.add("ledger microseconds", int(seconds * 1e6))

    def close(self) -> None:
        """Give the file to whoever comes next."""
        log.removeHandler(self._errors)
        with self._lock, suppress(OSError):
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _sums(self) -> tuple[list[int], int]:
        total, living = list(self._values), 1
        if self._file < 0 or self._folder is None:
            return total, living
        own = os.fstat(self._file).st_ino
        for path in self._folder.glob(f"{_LAYOUT}-*"):
            with suppress(OSError, ValueError), open(path, "rb") as file:
                if os.fstat(file.fileno()).st_ino == own:
                    continue
                values = memoryview(file.read(_SIZE)).cast("q")
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    alive = 0
                except BlockingIOError:
                    alive = 1
                living += alive
                for index, value in enumerate(values):
                    total[index] += value if index != _INDEX["ledger waiting"] or alive else 0
        return total, living

    def layers(self) -> dict[str, int]:
        """What was withheld by each layer, by all processes, since these counters began."""
        values, _ = self._sums()
        return {layer: values[_INDEX[f'volens_withheld_total{{layer="{layer}"}}']] for layer in LAYERS}

    def waiting(self) -> int:
        """Grants that wait for the ledger now."""
        return self._sums()[0][_INDEX["ledger waiting"]]

    def text(self) -> str:
        """Prometheus's text format, version 0.0.4."""
        values, living = self._sums()
        lines: list[str] = []
        for family, told in _TOLD.items():
            lines += [f"# HELP {family} {told}", f"# TYPE {family} {'histogram' if family == 'volens_ledger_seconds' else 'counter'}"]
            if family != "volens_ledger_seconds":
                lines += [f"{name} {values[i]}" for name, i in _INDEX.items() if name.partition("{")[0] == family]
        lines += self._histogram([values[_INDEX[f"ledger {i}"]] for i in range(len(BUCKETS) + 1)], values[_INDEX["ledger microseconds"]])
        for name, told, value in (
            ("volens_ledger_waiting", "Grants that wait for the ledger now.", values[_INDEX["ledger waiting"]]),
            ("volens_processes", "Processes that serve now.", living),
        ):
            lines += [f"# HELP {name} {told}", f"# TYPE {name} gauge", f"{name} {value}"]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _histogram(counts: Iterable[int], microseconds: int) -> list[str]:
        lines, seen = [], 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
            seen += count
            lines.append(f'volens_ledger_seconds_bucket{{le="{bound}"}} {seen}')
        return [*lines, f"volens_ledger_seconds_sum {microseconds / 1e6}", f"volens_ledger_seconds_count {seen}"]
