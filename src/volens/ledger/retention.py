"""How long records are kept: by age, and by what they granted. What is erased leaves its entry, so that every other proof goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from volens.ledger.archive import held, time_of
from volens.ledger.store import Store
from volens.notice import Notice
from volens.site import Retention


def days_kept(record: Mapping[str, Any], notice: Notice | None, rule: Retention) -> int | None:
    """How many days a record, by its JSON, is kept; None: for good. The longest of what it granted; a withdrawal as long as what it took
    away."""
    wanted = record["event"] != "withdrawn"
    purposes = {id for id, answer in record["purposes"].items() if answer is wanted}
    for id, answer in record["services"].items():
        if answer is wanted:
            service = notice.service.get(id) if notice is not None else None
            purposes.update((p for p in service.purposes if p in notice.askable) if service and notice else (f"service {id}",))
    found = 0
    for purpose in purposes or {""}:
        days = rule.purposes.get(purpose, rule.days)
        if days is None:
            return None
        found = max(found, days)
    return found


def expired(store: Store, site: str, rule: Retention, now: datetime, looked: datetime | None = None) -> Iterator[int]:
    """The indexes of records whose time is over. ``looked``: when everything was last looked at by the same rule; what was old enough for
    every term then and stayed, stays for good, and is not read again."""
    if not rule.terms:
        return
    notices: Mapping[str, Notice] = {notice.digest: notice for notice in store.notices(site).values()}
    since = None if looked is None else (looked - timedelta(days=max(rule.terms) + 1)).astimezone(UTC).date()
    until = (now - timedelta(days=min(rule.terms))).astimezone(UTC).date()
    for row in held(store, site, since, until, late=False):
        record = json.loads(row.record or b"")
        days = days_kept(record, notices.get(record["notice"]), rule)
        if days is not None and datetime.fromisoformat(record["time"]) + timedelta(days=days) <= now:
            yield row.index


def older(store: Store, site: str, days: int, now: datetime) -> Iterator[int]:
    """The indexes of records of more than so many days."""
    limit = (now - timedelta(days=days)).astimezone(UTC)
    text = limit.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    for row in held(store, site, None, limit.date()):
        if time_of(row) <= text:
            yield row.index


def minimum(store: Store, site: str, rule: Retention, now: datetime, known: int = 0) -> int:
    """The first entry that the public log still serves (tlog-tiles, *Pruning*): nothing before it has a record, and all before it is
    older than every term. 0 where some records are kept for good. ``known``: what it was before, so that little is read again."""
    if rule.days is None:
        return 0
    limit = store.size_before(site, now - timedelta(days=max(rule.terms)))
    if limit <= known:
        return known
    return next((row.index for row in store.rows(site, known, limit - 1, held=True)), limit)
