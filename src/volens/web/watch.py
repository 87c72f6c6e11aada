"""For those who watch a machine: whether it can serve now (``ready``), and what it has done (``metrics``). Not for visitors."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from volens.errors import StoreError
from volens.web.admin import Admin, here
from volens.web.asked import Asked
from volens.web.messages import Reply, Waiting
from volens.web.replies import read_apart

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

_HEAD = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"), (b"x-robots-tag", b"noindex")]


class Watch:
    """Answers for monitors and load balancers."""

    def __init__(self, gateway: Gateway, admin: Admin) -> None:
        self._gateway, self._admin = gateway, admin
        self._pool: ThreadPoolExecutor | None = None
        self._reader: ThreadPoolExecutor | None = None
        self._asked: Future[None] | None = None

    def metrics(self, asked: Asked) -> Reply | Waiting:
        """For Prometheus, by the operator's door; how the log stands too, where the ledger can be read."""
        refused = self._admin.refused(asked, "metrics")
        if refused is not None:
            return refused

        def made(log: str) -> Reply:
            head = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
            return Reply(200, [head, *_HEAD], (self._gateway.metrics.text() + log).encode())

        self._reader = self._reader or ThreadPoolExecutor(1, "volens-metrics")
        return read_apart(self._reader, lambda: self._log(asked.site.name), made, lambda error: made(""))

    def _log(self, site: str) -> str:
        store = self._gateway.store
        head, newest = store.head(site), next(reversed(store.checkpoints(site, time.time() - 86400.0)), None)
        values: list[tuple[str, str, float]] = [("entries", "Entries of the site's log.", head.size if head is not None else 0)]
        if newest is not None:
            values.append(("published_entries", "Entries that the newest published checkpoint covers.", newest.size))
            values.append(("published_timestamp_seconds", "When it was published.", newest.at))
        return "".join(
            f"# HELP volens_log_{name} {told}\n# TYPE volens_log_{name} gauge\nvolens_log_{name} {value}\n" for name, told, value in values
        )

    def ready(self, asked: Asked) -> Reply | Waiting:
        """200 while grants can be recorded, else 503: for a front that speaks for itself, this machine, or the token."""
        if not (asked.request.front or here(asked.request)) and (refused := self._admin.refused(asked, "ready")) is not None:
            return refused
        if self._asked is None or self._asked.done():  # many who ask at once are one look at the disk
            self._pool = self._pool or ThreadPoolExecutor(1, "volens-ready")
            self._asked = self._pool.submit(self._gateway.store.check)

        def then(result: Any) -> Reply:
            if isinstance(result, BaseException) and not isinstance(result, StoreError):
                raise result
            ready = not isinstance(result, StoreError)
            value = {
                "ready": ready,
                "ledger": "writable" if ready else "not writable",
                "configuration": self._gateway.configuration,
                "notice": asked.site.notice.short,
                "bypass": self._gateway.bypassed,
            }
            return Reply(200 if ready else 503, [(b"content-type", b"application/json"), *_HEAD], json.dumps(value).encode())

        return Waiting(self._asked, then)
