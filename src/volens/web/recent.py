"""A bounded memory of what is costly to make again and does not depend on the visitor alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """What was made last, ``size`` of it; safe between threads. What is there is found without a lock, so the oldest goes first,
    however often it is asked for: it is only made again."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: dict[Hashable, T] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is remembered under ``key``, made where it isn't."""
        found = self._held.get(key)
        if found is None:
            found = make()
            self.keep(key, found)
        return found

    def found(self, key: Hashable) -> T | None:
        """What is remembered under ``key``."""
        return self._held.get(key)

    def keep(self, key: Hashable, made: T) -> None:
        """Remember it."""
        with self._lock:
            self._held[key] = made
            while len(self._held) > self._size:
                del self._held[next(iter(self._held))]
