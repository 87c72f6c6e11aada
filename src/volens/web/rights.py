"""What a visitor is shown of the own choice, and the file to take along (GDPR 15, 20; R20, R23).

A record is read from the ledger by the number that the visitor's own cookie proves, and told only to a page that the visitor
opens: a script that fetched it would have an identifier that no cookie gives it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from volens.choice import COOKIE, RECORD_COOKIE, expires, host_only
from volens.errors import StoreError
from volens.ledger.record import Record
from volens.web.asked import Asked
from volens.web.messages import Reply, Waiting
from volens.web.replies import read_apart

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

log = logging.getLogger("volens")

Make = Callable[["Record | None", bool], Reply]
"""Makes the answer of the record, and of whether the ledger could not be read."""


def shown(asked: Asked) -> str:
    """The record's id, for a page the visitor opens, not for a fetch or a frame of the page's scripts."""
    mode, destination = (asked.request.get(name) for name in (b"sec-fetch-mode", b"sec-fetch-dest"))
    return (asked.record or "") if mode in (None, b"navigate") and destination in (None, b"document") else ""


class Rights:
    """``rights`` and ``choice.json``, without the words of HTTP."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.reader = ThreadPoolExecutor(2, "volens-rights")
        """Reads the ledger off the event loop; its threads start at first use."""

    def recorded(self, asked: Asked, make: Make) -> Reply | Waiting:
        """The answer, once the visitor's record is read."""
        id = shown(asked)
        if not id:
            return make(None, False)

        def failed(error: StoreError) -> Reply:
            log.error("a visitor could not be shown the own record: %s", error)
            return make(None, True)

        return read_apart(self.reader, lambda: self._gateway.store.record(id), lambda recorded: make(recorded, False), failed)

    def taken(self, asked: Asked, language: str, recorded: Record | None, unavailable: bool) -> dict[str, Any]:
        """Everything that is kept of the choice: what the cookies hold, what it means now, and the record with what its fields mean."""
        notice, choice, grant = asked.site.notice, asked.choice, asked.grant
        id = shown(asked)
        cookies: dict[str, Any] = {}
        followed: dict[str, Any] = {}
        if choice is not None:
            kept = followed if asked.account is not None and asked.account.row is not None else cookies
            kept[COOKIE] = {
                "text": choice.text(),
                "notice": choice.notice,
                "day": choice.day.isoformat(),
                "until": expires(choice.day, notice.months).isoformat(),
                "purposes": sorted(choice.purposes),
                "services": sorted(choice.services),
                "without": sorted(choice.without),
            }
        if id and not followed:
            cookies[host_only(RECORD_COOKIE, asked.request.scheme)] = {"record": id}
        value: dict[str, Any] = {
            "format": "volens-choice/1",
            "site": asked.site.name,
            "notice": notice.digest,
            "choice": choice.text() if choice else None,
            "purposes": {p: grant.allows(p) for p in notice.askable},
            "services": {s.id: s.id in grant.services for s in notice.services_asked},
            "cookies": cookies,
            "record": id or None,
            "recorded": recorded.to_json() if recorded else None,
            "receipt": f"{asked.site.prefix}receipt/{id}" if recorded else None,
        }
        if followed:  # the account's, in our file
            value["account"] = followed[COOKIE]
        if unavailable:
            value["unavailable"] = True
        if recorded:
            meanings = self._gateway.screens(asked.site).meanings(language)
            value["meaning"] = {name: meaning for name, meaning in meanings.items() if name in value["recorded"]}
        return value
