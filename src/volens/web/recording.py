"""How answers get into the ledger: grants within a quota, withdrawals whatever becomes of it, each once."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from volens.accounts import Row, mark
from volens.choice import Choice, RecordTag, expires
from volens.errors import StoreBusy, StoreError, StoreUnavailable
from volens.ledger.record import Record, new_id
from volens.ledger.store import Event
from volens.notice import Notice
from volens.policy import Grant
from volens.site import Site
from volens.web import hooks
from volens.web.asked import Asked
from volens.web.messages import Reply, Waiting
from volens.web.rate import Rate

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

log = logging.getLogger("volens")

FOLLOW, FOLLOW_LAST, FOLLOWING = 1.0, 1024.0, 200
"""Seconds to the first and before the last further attempt at the record of a withdrawal, half an hour in all; how many may wait."""
LESSENED = 50_000
"""Records of which it is remembered that something was taken back, so that it is recorded once; some 10 MB."""


def row_of(asked: Asked, choice: Choice, tag: RecordTag | None) -> Row:
    """What the account keeps of an answer given on this device, whose own answer it is given in place of."""
    account = asked.account
    assert account is not None
    settled = account.row.settled if account.row is not None else ()
    device = (mark(account.device),) if account.device is not None else ()
    return Row(choice, tag.text() if tag is not None else "", (*(m for m in settled if m not in device), *device))


def _outcome(future: Future[Any]) -> Any:
    return future.exception() or future.result()


def both(made: Reply | Waiting, other: Future[Any]) -> Future[tuple[Any, Any]]:
    """What became of both, results or exceptions, once both are done."""
    joined: Future[tuple[Any, Any]] = Future()

    def second(first: Any) -> None:
        other.add_done_callback(lambda future: joined.set_result((first, _outcome(future))))

    if isinstance(made, Reply):
        second(None)
    else:
        made.future.add_done_callback(lambda future: second(_outcome(future)))
    return joined


def made_of(made: Reply | Waiting, result: Any) -> Reply:
    return made if isinstance(made, Reply) else made.then(result)


def after(reply: Reply | Waiting, other: Reply | Waiting) -> Reply | Waiting:
    """``reply``, once ``other`` is settled too, whose own answer nobody is given."""
    if isinstance(other, Reply):
        return reply

    def then(result: Any) -> Reply:
        made = made_of(reply, result[0])
        other.then(result[1])
        return made

    return Waiting(both(reply, other.future), then)


class Recording:
    """Of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._grants: dict[str, Rate] = {}
        self._refused: dict[str, tuple[int, float]] = {}  # by site: grants held up by the quota and not told yet, and when some were told
        self._lessened: OrderedDict[str, None] = OrderedDict()  # records that a withdrawal, or a part of one, has followed
        self._lock = threading.Lock()
        self._following = 0  # withdrawals that wait for the ledger; a number that is off by one harms nobody

    def quota(self, site: Site) -> float:
        """Seconds until the site takes one more grant; 0 where it takes this one. What bounds the ledger's growth when many addresses
        flood it is a minute's worth at once."""
        if len(self._grants) > 1000:
            self._grants.clear()  # a demonstration answers for any host
            self._refused.clear()
        wait = self._grants.setdefault(site.name, Rate(site.grants_a_minute / 60, site.grants_a_minute)).allows("", time.monotonic())
        if wait:
            self._held_up(site)
        return wait

    def _held_up(self, site: Site) -> None:
        """Tell the operator of grants that the quota refuses: how many, at most once a minute."""
        with self._lock:
            count, told = self._refused.get(site.name, (0, -math.inf))
            now = time.monotonic()
            due = now - told >= 60
            self._refused[site.name] = (0, now) if due else (count + 1, told)
        if due:
            log.error("more than %d grants a minute: %d not recorded ([limits] grants_a_minute).", site.grants_a_minute, count + 1)

    def first(self, record: str) -> bool:
        """Whether this is the first answer here that takes from what ``record`` granted."""
        with self._lock:
            if record in self._lessened:
                return False
            self._lessened[record] = None
            while len(self._lessened) > LESSENED:
                self._lessened.popitem(last=False)
            return True

    def withdraw(self, record: Record, notice: Notice, told: Event | None, reply: Callable[[], Reply]) -> Waiting:
        """A withdrawal, whole or in part, takes effect whatever becomes of the ledger; answered once it survives a kill, or cannot."""

        def then(result: Any) -> Reply:
            if isinstance(result, (StoreUnavailable, StoreBusy)):
                self._follow(record, notice, told)
            elif isinstance(result, BaseException):
                log.error("the withdrawal of record %s took effect but could not be recorded: %s", record.supersedes, result)
            return reply()

        try:
            return Waiting(self._gateway.store.withdraw(record, notice, told), then)
        except StoreError as error:
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return Waiting(failed, then)

    def append(self, record: Record, notice: Notice, told: Event | None) -> Future[Any]:
        """Record it; what the store raises at once is what the future raises."""
        metrics, begin = self._gateway.metrics, time.perf_counter()
        try:
            kept = self._gateway.store.append(record, notice, told)
        except StoreError as error:
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

        def done(future: Future[Any]) -> None:
            metrics.add("ledger waiting", -1)
            if not future.cancelled() and future.exception() is None:
                metrics.recorded(time.perf_counter() - begin)

        metrics.add("ledger waiting")
        kept.add_done_callback(done)
        return kept

    def _follow(self, record: Record, notice: Notice, told: Event | None, wait: float | None = None) -> None:
        """Record a withdrawal that has taken effect, again and again while the ledger is down: what a site keeps hangs on being told."""
        wait = FOLLOW if wait is None else wait

        def done(future: Future[Any]) -> None:
            error = future.exception()
            if error is None:
                return
            if wait > FOLLOW_LAST or self._following >= FOLLOWING or not isinstance(error, (StoreUnavailable, StoreBusy)):
                log.error("the withdrawal of record %s took effect but could not be recorded: %s", record.supersedes, error)
                return
            log.warning("the withdrawal of record %s took effect and will be recorded later: %s", record.supersedes, error)
            self._following += 1
            timer = threading.Timer(wait, again)
            timer.daemon = True
            timer.start()

        def again() -> None:
            self._following -= 1
            self._follow(record, notice, told, wait * 2)

        self.append(record, notice, told).add_done_callback(done)

    def event(self, asked: Asked, record: Record, choice: Choice, granted: Grant) -> Event | None:
        """What the site's hook is told of it."""
        hook, site = asked.site.hook, asked.site
        if hook is None:
            return None
        key = hooks.visitor_key(hook, site, asked.request.pairs, asked.grant, granted)
        return hooks.event(hook, record, key, expires(choice.day, site.notice.months))

    def to_account(self, asked: Asked, choice: Choice, tag: RecordTag, record: Record, recorded: Future[Any]) -> Future[Any]:
        """A grant is the account's once it is recorded and then written; one that cannot be written is withdrawn again."""
        accounts, account, notice = self._gateway.accounts, asked.account, asked.site.notice
        assert accounts is not None and account is not None
        made: Future[Any] = Future()

        def written(future: Future[Any]) -> None:
            error = future.exception()
            if error is None:
                made.set_result(None)
                return
            undone = replace(
                record,
                id=new_id(),
                event="withdrawn",
                method="refuse-all",
                supersedes=record.id,
                tool="",
                purposes=dict.fromkeys(record.purposes, False),
                services=dict.fromkeys(record.services, False),
            )
            self._follow(undone, notice, None)
            made.set_exception(error)

        def done(future: Future[Any]) -> None:
            error = future.exception()
            if error is not None:
                made.set_exception(error)
                return
            accounts.put(asked.site.name, account.hash, row_of(asked, choice, tag)).add_done_callback(written)

        recorded.add_done_callback(done)
        return made
