"""A visitor's receipt, below ``receipt/``, and what is forgotten with the choice: record and salt, while the log's entry stays.

A receipt is given to who opens its address with the cookie of that very record, and to nobody else: it holds what was answered, and
the number that nobody else shall have (GDPR 15, 17, 20; R15, R20, R23).
"""

from __future__ import annotations

import logging
import re
import threading
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from volens.errors import ProofError, StoreError, StoreUnavailable
from volens.ledger.receipt import Receipt, bundle
from volens.notice import Notice
from volens.site import Site
from volens.web.asked import Asked
from volens.web.messages import Reply, Waiting
from volens.web.replies import json_reply, read_apart, unread_by_opener
from volens.web.rights import shown

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

log = logging.getLogger("volens")

CHAIN = 100
"""Records of one visitor, each following the one before, that are forgotten together."""
AGAIN, AGAIN_LAST, FORGETTING = 5.0, 1280.0, 200
"""Seconds to the first and before the last further attempt to erase, 40 minutes in all; how many may wait."""
_NAME = re.compile(r"([0-9a-v]{26})(/bundle)?")


class Proofs:
    """``receipt/…``, and erasing."""

    def __init__(self, gateway: Gateway, reader: Executor) -> None:
        self._gateway, self._reader = gateway, reader
        self._forgetting = 0  # erasures that wait for the ledger; a number that is off by one harms nobody

    def answer(self, asked: Asked, name: str) -> Waiting | None:
        """The reply for ``name``, the path below ``receipt/``; None where this visitor has no such receipt."""
        found = _NAME.fullmatch(name)
        if found is None or asked.request.method not in ("GET", "HEAD") or found[1] != shown(asked):
            return None
        id, whole = found[1], bool(found[2]) or asked.query.get("bundle") == "1"
        site, pages = asked.site, self._gateway.pages

        def read() -> dict[str, Any] | None:
            receipt = self._gateway.store.receipt(id)
            if receipt is None:
                return None
            return self._bundle(site, receipt) if whole else receipt.to_json()

        def made(value: dict[str, Any] | None) -> Reply:
            if value is None:
                return pages.trouble(site, asked.request.pairs, 404, "erased", asked.language, f"{site.prefix}rights")
            where = re.sub(r"[^\w.-]", "-", site.name, flags=re.ASCII)
            file = f'attachment; filename="{"bundle" if whole else "receipt"}-{where}.json"'
            reply = json_reply(200, value)
            return unread_by_opener(replace(reply, pairs=[*reply.pairs, (b"content-disposition", file.encode()), (b"vary", b"Cookie")]))

        def failed(error: StoreError) -> Reply:
            log.error("a visitor could not be given the own receipt: %s", error)
            reply = pages.trouble(site, asked.request.pairs, 503, "ledger", asked.language, f"{site.prefix}rights")
            return replace(reply, pairs=[*reply.pairs, (b"retry-after", b"10")])

        return read_apart(self._reader, read, made, failed)

    def _bundle(self, site: Site, receipt: Receipt) -> dict[str, Any]:
        """The receipt, the notice that was answered, in full, and the keys."""
        digest = receipt.record.notice
        notice: Notice | None = site.notice if site.notice.digest == digest else site.earlier_notice(digest[:16])
        if notice is None or notice.digest != digest:
            raise StoreError(f"record {receipt.record.id}: its notice {digest[:16]} is not in the ledger.")
        keys = (*self._gateway.log_keys(site.name).vkeys, *(witness.key for witness in site.proof.witnesses))
        try:
            return bundle(receipt, notice, keys)
        except ProofError as error:
            raise StoreError(f"record {receipt.record.id}: {error}") from error

    # ---------------------------------------------------------------- forgetting

    def forgotten(self, id: str, settled: Reply | Waiting) -> Waiting:
        """``settled``, a withdrawal, once the record and those that it followed are erased too: what a visitor asks to be forgotten is
        (GDPR 17). Where the ledger cannot be written it is tried again, and the operator told what to do where that does not help."""
        done: Future[Any] = Future()

        def erase(withdrawn: Future[Any] | None) -> None:
            self._reader.submit(self._forget, id).add_done_callback(lambda _: finish(withdrawn))

        def finish(withdrawn: Future[Any] | None) -> None:
            error = withdrawn.exception() if withdrawn is not None else None
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(withdrawn.result() if withdrawn is not None else None)

        if isinstance(settled, Reply):
            erase(None)
            return Waiting(done, lambda _: settled)
        settled.future.add_done_callback(erase)
        return Waiting(done, settled.then)

    def _forget(self, id: str, wait: float = AGAIN) -> None:
        try:
            self._erase(id)
        except StoreError as error:
            if wait > AGAIN_LAST or self._forgetting >= FORGETTING:
                log.error("record %s is to be forgotten and could not be erased (volens ledger erase --record %s): %s", id, id, error)
                return
            log.warning("record %s is to be forgotten and will be erased later: %s", id, error)
            self._forgetting += 1
            timer = threading.Timer(wait, self._again, (id, wait * 2))
            timer.daemon = True
            timer.start()

    def _again(self, id: str, wait: float) -> None:
        self._forgetting -= 1
        self._forget(id, wait)

    def _erase(self, id: str) -> None:
        store, places = self._gateway.store, dict[str, list[int]]()
        for _ in range(CHAIN):
            if store.waits(id):
                raise StoreUnavailable(f"record {id} waits to be written.")
            record = store.record(id)
            if record is None:
                break
            place = store.find(id)
            if place is None:  # kept before there was a log, and not moved into it yet
                store.upgrade()
                place = store.find(id)
            if place is None:
                break
            places.setdefault(place[0], []).append(place[1])
            if not record.supersedes:
                break
            id = record.supersedes
        for site, indexes in places.items():
            store.erase(site, indexes, "request")
