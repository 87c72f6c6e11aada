"""What becomes of a record, told by the thread that writes to those who wait: a Future that costs a quarter of the library's.

``concurrent.futures.Future`` makes a lock and a condition of its own for each, and takes them for each question. Here one lock serves
all, held for a few instructions; who waits in a thread makes what it waits on.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

log = logging.getLogger("volens.ledger")

T = TypeVar("T")

_WAITING, _RUNNING, _CANCELLED, _KNOWN = range(4)
_lock = threading.Lock()


def _anew() -> None:
    """In a child that was forked: another thread may have held it."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_anew)


class Promise(Future[T]):
    """See ``concurrent.futures.Future``, whose methods these are."""

    def __init__(self) -> None:
        self._at = _WAITING
        self._value: Any = None
        self._error: BaseException | None = None
        self._calls: list[Callable[[Future[T]], object]] = []

    def cancel(self) -> bool:
        """Take it back while it only waits."""
        with _lock:
            if self._at in (_RUNNING, _KNOWN):
                return False
            self._at = _CANCELLED
        self._call()
        return True

    def cancelled(self) -> bool:
        """Whether it was taken back."""
        return self._at == _CANCELLED

    def running(self) -> bool:
        """Whether it can be taken back no more, and is not known yet."""
        return self._at == _RUNNING

    def done(self) -> bool:
        """Whether it is known, or was taken back."""
        return self._at >= _CANCELLED

    def set_running_or_notify_cancel(self) -> bool:
        """Begin: False where it was taken back."""
        with _lock:
            if self._at == _CANCELLED:
                return False
            self._at = _RUNNING
            return True

    def set_result(self, result: T) -> None:
        """It is this."""
        self._value = result
        self._known()

    def set_exception(self, exception: BaseException | None) -> None:
        """It failed."""
        self._error = exception
        self._known()

    def _known(self) -> None:
        with _lock:
            self._at = _KNOWN
        self._call()

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """Call ``fn`` once it is known, now if it is."""
        with _lock:
            if self._at < _CANCELLED:
                self._calls.append(fn)
                return
        self._tell(fn)

    def _call(self) -> None:
        calls, self._calls = self._calls, []
        for fn in calls:
            self._tell(fn)

    def _tell(self, fn: Callable[[Future[T]], object]) -> None:
        try:
            fn(self)
        except Exception:  # one who is told must not keep the others from it, nor the writer from its work
            log.exception("what a record became was told to somebody who failed")

    def _wait(self, timeout: float | None) -> None:
        if self._at < _CANCELLED:
            known = threading.Event()
            self.add_done_callback(lambda _: known.set())
            if not known.wait(timeout):
                raise TimeoutError
        if self._at == _CANCELLED:
            raise CancelledError

    def result(self, timeout: float | None = None) -> T:
        """What it is, waited for; raises what it failed with, CancelledError, or TimeoutError after so many seconds."""
        self._wait(timeout)
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What it failed with, waited for."""
        self._wait(timeout)
        return self._error
