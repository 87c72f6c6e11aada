"""What another thread finishes, awaited in an event loop: all that a group commit makes durable wakes the loop once, not each by itself."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from volens.errors import StoreUnavailable

Waiter = asyncio.Future[None]


class _Arrivals:
    """Of one loop. ``_woken`` is set before the loop is called and cleared before it looks, so that nothing is left lying."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call = loop.call_soon_threadsafe
        self._there: deque[Waiter] = deque()
        self._woken = False

    def arrived(self, waiter: Waiter, _: Future[Any]) -> None:
        """Called in any thread."""
        self._there.append(waiter)
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._call(self._wake)

    def _wake(self) -> None:
        self._woken = False
        while self._there:
            waiter = self._there.popleft()
            if not waiter.done():
                waiter.set_result(None)


_arrivals: WeakKeyDictionary[asyncio.AbstractEventLoop, _Arrivals] = WeakKeyDictionary()


async def outcome(future: Future[Any]) -> Any:
    """The result, or the exception in its place. Who stops waiting, a visitor who leaves, does not take the row back."""
    if not future.done():
        loop = asyncio.get_running_loop()
        found = _arrivals.get(loop)
        if found is None:
            found = _arrivals[loop] = _Arrivals(loop)
        waiter = loop.create_future()
        future.add_done_callback(partial(found.arrived, waiter))
        await waiter
    try:
        return future.result()
    except CancelledError:
        return StoreUnavailable("the ledger was closed before the row was written")
    except Exception as error:  # noqa: BLE001 — whoever waits says what it means
        return error
