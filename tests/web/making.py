"""A gateway over a real ledger, and a visitor's browser reduced to what it sends."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from tests.enforce.making import CATALOG, HOST, NOTICE, NOW, SITE
from volens.choice import COOKIE, HOST_ONLY, RECORD_COOKIE, Choice, RecordTag
from volens.errors import StoreUnavailable
from volens.ledger.record import Count, Record
from volens.ledger.sqlite import SqliteStore
from volens.ledger.store import Event, Kept
from volens.notice import Notice
from volens.site import Site
from volens.web.asgi import AsgiFace
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply, Request, Waiting
from volens.web.wsgi import WsgiFace

T = TypeVar("T")
KEYS = (b"k" * 32, b"o" * 32)
ORIGIN = f"https://{HOST}"
SAME = [(b"sec-fetch-site", b"same-origin")]
FORM = b"application/x-www-form-urlencoded"
_SERVED = f"{HOST} {NOTICE.digest} {int(NOW.timestamp() // 604800)}".encode()
NAMED = f"{NOTICE.short}.{hmac.new(hashlib.sha256(b'volens-token/1' + KEYS[0]).digest(), _SERVED, hashlib.sha256).hexdigest()[:8]}"
"""What the pages of ``SITE`` call the notice at ``NOW``."""


def away(coroutine: Coroutine[Any, Any, T]) -> T:
    """What it comes to, run in a thread of its own: where a browser is open, this one holds a loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


class Clock:
    """The time, moved by hand."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


class Down(SqliteStore):
    """A ledger whose disk is gone: every call that needs it fails, at once or through its future."""

    at_once = False

    def append(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Kept]:
        if self.at_once:
            raise StoreUnavailable("the disk is gone")
        future: Future[Kept] = Future()
        future.set_exception(StoreUnavailable("the disk is gone"))
        return future

    def count(self, refusal: Count) -> None:
        raise StoreUnavailable("the disk is gone")


class Held(SqliteStore):
    """A ledger that makes nothing durable until it is told to."""

    waiting: list[tuple[Future[Kept], Record, Notice]]

    def append(self, record: Record, notice: Notice, event: Event | None = None) -> Future[Kept]:
        future: Future[Kept] = Future()
        self.__dict__.setdefault("waiting", []).append((future, record, notice))
        return future


def gateway(
    folder: Path, store: type[SqliteStore] = SqliteStore, site: Site | None = SITE, keys: tuple[bytes, ...] = KEYS, **more: Any
) -> Gateway:
    clock = more.pop("now", Clock())
    return Gateway(site, CATALOG, store(folder / "ledger.db"), keys, now=clock, **more)


def request(
    method: str,
    target: str | bytes,
    pairs: Sequence[tuple[bytes, bytes]] = (),
    *,
    host: str = HOST,
    scheme: str = "https",
    client: str = "192.0.2.1",
) -> Request:
    raw = target.encode("latin-1") if isinstance(target, str) else target
    return Request(method, raw, [(b"host", host.encode()), *pairs], scheme, host, client)


def settle(answer: Reply | Waiting) -> Reply:
    """As a face does."""
    if isinstance(answer, Reply):
        return answer
    try:
        result: Any = answer.future.result(10)
    except Exception as error:
        result = error
    return answer.then(result)


def send(
    made: Gateway, method: str, target: str | bytes, pairs: Sequence[tuple[bytes, bytes]] = (), body: bytes = b"", **more: Any
) -> Reply:
    """One of our own pages."""
    visit = made.visit(request(method, target, pairs, **more))
    assert visit.own, target
    return settle(visit.answer(body))


def scope_behind_asgi(made: Gateway, pairs: Pairs, client: tuple[str, int] | None = None) -> dict[str, Any]:
    """The scope an ASGI application behind Volens receives of ``GET /a``."""
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def send(message: Any) -> None:
        pass

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/a", "raw_path": b"/a", "query_string": b"", "scheme": "https"}
    scope |= {"headers": [(b"host", HOST.encode()), *pairs], "client": client}
    away(AsgiFace(app, lambda: made)(scope, None, send))  # type: ignore[arg-type]
    return seen


def environ_behind_wsgi(made: Gateway, environ: dict[str, Any]) -> dict[str, Any]:
    """The environ a WSGI application behind Volens receives of ``GET /a``, sent with ``environ``."""
    seen: dict[str, Any] = {}

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("204 No Content", [])
        return []

    sent = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "SCRIPT_NAME": "", "HTTP_HOST": HOST, "wsgi.url_scheme": "https", **environ}
    b"".join(WsgiFace(app, lambda: made)(sent, lambda *a: lambda data: None))
    return seen


def header(reply: Reply, name: str) -> list[str]:
    return [value.decode("latin-1") for key, value in reply.pairs if key.lower() == name.encode()]


def cookies_of(reply: Reply) -> dict[str, str]:
    """What a browser would hold after it; expired ones are ''."""
    found = {}
    for line in header(reply, "set-cookie"):
        name, _, value = line.partition(";")[0].partition("=")
        found[name] = value
    return found


class Visitor:
    """Holds cookies, answers notices."""

    def __init__(self, made: Gateway, **more: Any) -> None:
        self.gateway, self.more = made, more
        self.jar: dict[str, str] = {}

    def cookie(self) -> Pairs:
        return [(b"cookie", "; ".join(f"{n}={v}" for n, v in self.jar.items()).encode())] if self.jar else []

    def send(self, method: str, target: str | bytes, pairs: Sequence[tuple[bytes, bytes]] = (), body: bytes = b"") -> Reply:
        reply = send(self.gateway, method, target, [*self.cookie(), *pairs], body, **self.more)
        for name, value in cookies_of(reply).items():
            if value:
                self.jar[name] = value
            else:
                self.jar.pop(name, None)
        return reply

    def choose(self, fields: str, pairs: Pairs = SAME, *, target: str = "/_volens/choice", kind: bytes = FORM) -> Reply:
        notice = self.gateway.named(self.gateway.site(self.more.get("host", HOST)))
        body = fields if kind != FORM else f"notice={notice}&back=%2Fa&{fields}"
        return self.send("POST", target, [(b"content-type", kind), *pairs], body.encode())

    def granted(self) -> set[str]:
        """What is permitted now, by what the application is told."""
        visit = self.gateway.visit(request("GET", "/a", self.cookie(), **self.more))
        told = dict(visit.forward)[b"volens-consent"].decode()
        return {word for word in re.split(r",\s*", told) if "=?0" not in word}.intersection(NOTICE.askable)


def forged(choice: Choice, keys: tuple[bytes, ...] = KEYS, site: str = HOST, record: str = "0" * 26) -> Pairs:
    """Cookies for any choice, made with any key."""
    tag = RecordTag.sign(keys, site, record, choice)
    return [(b"cookie", f"{COOKIE}={choice.text()}; {HOST_ONLY}{RECORD_COOKIE}={tag.text()}".encode())]


Make = Callable[..., Gateway]
