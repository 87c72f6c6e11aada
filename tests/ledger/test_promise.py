"""A promise answers as the library's future does, from any thread."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

import pytest

from volens.ledger.promise import Promise

BOTH = pytest.mark.parametrize("make", [Promise, Future])


@BOTH
def test_a_result_is_told_to_who_asked_before_and_after(make: type[Future[int]]) -> None:
    told, future = list[int](), make()
    future.add_done_callback(lambda f: told.append(f.result()))
    assert not future.done() and future.set_running_or_notify_cancel() and future.running()
    with pytest.raises(TimeoutError):
        future.result(0.01)
    future.set_result(7)
    future.add_done_callback(lambda f: told.append(f.result() + 1))
    assert told == [7, 8] and future.done() and not future.running() and not future.cancelled()
    assert future.result() == 7 and future.exception() is None and not future.cancel()


@BOTH
def test_a_failure_is_raised(make: type[Future[int]]) -> None:
    future = make()
    future.set_exception(OSError("the disk is gone"))
    assert isinstance(future.exception(), OSError)
    with pytest.raises(OSError, match="the disk is gone"):
        future.result(1)


@BOTH
def test_it_is_taken_back_only_while_it_waits(make: type[Future[int]]) -> None:
    told, future = list[bool](), make()
    future.add_done_callback(lambda f: told.append(f.cancelled()))
    assert future.cancel() and future.cancel() and told == [True] and future.done()
    assert not future.set_running_or_notify_cancel()
    with pytest.raises(CancelledError):
        future.result(1)
    with pytest.raises(CancelledError):
        future.exception(1)
    running = make()
    assert running.set_running_or_notify_cancel() and not running.cancel() and not running.cancelled()


@BOTH
def test_one_who_fails_keeps_nobody_from_being_told(make: type[Future[int]], caplog: pytest.LogCaptureFixture) -> None:
    told, future = list[int](), make()

    def fails(_: Any) -> None:
        raise ValueError("not I")

    for callback in (fails, lambda f: told.append(f.result())):
        future.add_done_callback(callback)
    future.set_result(1)
    future.add_done_callback(fails)
    assert told == [1] and len(caplog.records) == 2


@BOTH
def test_threads_that_ask_while_it_becomes_known_are_each_told_once(make: type[Future[int]]) -> None:
    for _ in range(200):
        told, future, ready = list[int](), make(), threading.Barrier(5)

        def ask(future: Future[int] = future, told: list[int] = told, ready: threading.Barrier = ready) -> None:
            ready.wait()
            for _ in range(20):
                future.add_done_callback(lambda f: told.append(f.result()))
            assert future.result(10) == 3

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        ready.wait()
        future.set_result(3)
        for thread in threads:
            thread.join()
        assert told == [3] * 80


@BOTH
def test_an_event_loop_awaits_it(make: type[Future[int]]) -> None:
    async def awaited() -> int:
        future = make()
        threading.Timer(0.02, future.set_result, (5,)).start()
        return await asyncio.wait_for(asyncio.wrap_future(future), 10)

    with ThreadPoolExecutor(1) as pool:  # in this thread another test's browser may have a loop
        assert pool.submit(asyncio.run, awaited()).result() == 5


def test_a_child_that_was_forked_while_another_thread_held_the_lock_goes_on() -> None:
    from volens.ledger import promise

    with promise._lock:
        pid = os.fork()
        if pid == 0:
            made: Promise[int] = Promise()
            made.set_result(1)
            os._exit(0 if made.result(1) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
