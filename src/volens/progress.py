"""How far long work has come: one line on standard error, and only where a person looks at it.

Thirty lines of our own: what the libraries for this add (threads, colours, nested bars) would be one more thing to keep in step in a
program that stands before other people's sites.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TextIO

EVERY = 0.2
"""Seconds between two looks."""
BAR = 24


class Progress:
    """``with Progress("records", 1000) as p: … p.step()``. ``total`` 0: nobody knows how much it is."""

    def __init__(self, what: str, total: int = 0, out: TextIO | None = None) -> None:
        self.what, self.total, self.done = what, total, 0
        self._out = sys.stderr if out is None else out
        self._shows = self._out.isatty()
        self._begun = self._next = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._shows:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def step(self, count: int = 1) -> None:
        """That many more are done."""
        self.to(self.done + count)

    def to(self, done: int) -> None:
        """That many are done in all; drawn again if the last time is long enough ago."""
        self.done = done
        if not self._shows:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + EVERY
            self._out.write("\r\x1b[K" + self.line(now - self._begun))
            self._out.flush()

    def through(self, places: Iterable[int]) -> Iterator[int]:
        """Passes on rising indexes, the first from 0, and shows how far they have come."""
        for place in places:
            self.to(place + 1)
            yield place

    def line(self, seconds: float) -> str:
        """The line that is drawn when the work has taken so many seconds."""
        rate = self.done / seconds if seconds > 0 else 0.0
        if not self.total:
            return f"{self.what}: {self.done:,}, {rate:,.0f}/s"
        share = min(1.0, self.done / self.total)
        left = (self.total - self.done) / rate if rate else 0.0
        bar = "█" * int(share * BAR) + "·" * (BAR - int(share * BAR))
        ends = f", {int(left) // 60}:{int(left) % 60:02} left" if rate else ""
        return f"{self.what} {bar} {share:4.0%}  {self.done:,} of {self.total:,}, {rate:,.0f}/s{ends}"
