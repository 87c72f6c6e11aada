"""The ASGI face: an application behind Volens. Only translates between ASGI 3 messages and a Visit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from volens.enforce.exchange import WHOLE
from volens.web.arrivals import outcome
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply, Request, Waiting
from volens.web.visit import Visit

V = TypeVar("V", covariant=True)
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Asking(Protocol[V]):
    """What is asked for a visit."""

    def visit(self, request: Request, *, unread: bool = ...) -> V: ...
    def visiting(self, request: Request) -> Future[Any] | None: ...


_UNSEEN = ("http.response.pathsend", "http.response.zerocopysend")
"""Ways to send a body that we would not see."""


def request_of(scope: Scope) -> Request:
    """The request of an ``http`` or ``websocket`` scope."""
    pairs: Pairs = [(bytes(key), bytes(value)) for key, value in scope["headers"]]
    host = next((value for key, value in pairs if key == b"host"), b"").decode("latin-1").lower()
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    query = scope.get("query_string", b"")
    client = scope.get("client")
    return Request(
        method=scope.get("method", "GET"),
        target=raw + (b"?" + query if query else b""),
        pairs=pairs,
        scheme="https" if scope.get("scheme") in ("https", "wss") else "http",
        host=host,
        client=client[0] if client else "",
    )


class AsgiFace:
    """``app`` behind ``gateway``; ``consent`` in the scope is the visitor's Grant."""

    def __init__(self, app: Application, gateway: Callable[[], Gateway], close: Callable[[], None] = lambda: None) -> None:
        """``close``: called when the server has the application shut down (ASGI lifespan)."""
        self._app, self._gateway, self._close = app, gateway, close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._ending(send))
            return
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        visit = await visited(self._gateway(), request_of(scope))
        if scope["type"] == "websocket":
            if visit.own:
                await send({"type": "websocket.close", "code": 1008})
                return
            inner = inner_of(scope, visit)
            visit.account_of = lambda: inner.get("volens.account")
            await self._app(inner, receive, _Accepting(visit, send))
            return
        if visit.own:
            await self._own(visit, receive, send, scope.get("method", "GET") == "HEAD")
            return
        extensions = {name: value for name, value in (scope.get("extensions") or {}).items() if name not in _UNSEEN}
        inner = {**inner_of(scope, visit), "extensions": extensions}
        visit.account_of = lambda: inner.get("volens.account")
        await self._app(inner, receive, _Answer(visit, send, scope.get("method", "GET")))

    def _ending(self, send: Send) -> Send:
        """uvicorn and granian end by a signal, which runs no exit functions: what is in memory is written before they are told."""

        async def sent(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await asyncio.to_thread(self._close)
            await send(message)

        return sent

    async def _own(self, visit: Visit, receive: Receive, send: Send, bodyless: bool) -> None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            if len(body) > visit.body_limit:
                reply = visit.too_large()
                await _reply(send, replace(reply, pairs=[*reply.pairs, (b"connection", b"close")]))
                return
            if not message.get("more_body"):
                break
        await _reply(send, await settled(visit.answer(bytes(body))), bodyless)


def inner_of(scope: Scope, visit: Visit) -> Scope:
    """The scope as the application has it: the visitor's choice, and of their address what that permits."""
    inner = {**scope, "headers": visit.forward, "consent": visit.grant}
    client = scope.get("client")
    if client and not visit.whole_address:
        inner["client"] = (visit.client(client[0]), 0)
    return inner


LOOK = 2.0
"""Seconds in which the file of accounts is to answer; beyond that it is as one that cannot be read."""


async def visited(gateway: Asking[V], request: Request) -> V:
    """The visit, once what it goes by is read."""
    future = gateway.visiting(request)
    if future is None:
        return gateway.visit(request)
    try:
        made: V = await asyncio.wait_for(asyncio.wrap_future(future), LOOK)
        return made
    except TimeoutError:
        return gateway.visit(request, unread=True)


async def settled(answer: Reply | Waiting) -> Reply:
    """An answer of ours, awaited."""
    if isinstance(answer, Reply):
        return answer
    return answer.then(await outcome(answer.future))


async def _reply(send: Send, reply: Reply, bodyless: bool = False) -> None:
    pairs = [*reply.pairs, (b"content-length", b"%d" % len(reply.body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
    await send({"type": "http.response.body", "body": b"" if bodyless else reply.body})


class _Answer:
    """Takes the application's messages: holds the head until it is known whether the whole body is there."""

    protocol = "http"

    def __init__(self, visit: Visit, send: Send, method: str) -> None:
        self._visit, self._send, self._bodyless = visit, send, method == "HEAD"
        self._start: Message | None = None
        self._begun = self._done = False

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == f"{self.protocol}.response.early_hint":
            pairs = self._visit.early([(b"link", link) for link in message["links"]])
            if pairs:
                await self._send({**message, "links": [value for _, value in pairs]})
        elif kind == f"{self.protocol}.response.start":
            self._start = message
        elif kind == f"{self.protocol}.response.body":
            await self._body(message.get("body", b""), bool(message.get("more_body")))
        else:
            await self._send(message)

    async def _body(self, body: bytes, more: bool) -> None:
        if self._done:
            return
        if not self._begun:
            assert self._start is not None
            self._begun = True
            status, pairs = self._start["status"], [(bytes(k), bytes(v)) for k, v in self._start.get("headers", [])]
            length = next((value for key, value in pairs if key.lower() == b"content-length"), None)
            if (not more or length == b"%d" % len(body)) and len(body) <= WHOLE:
                self._done = True
                status, pairs, body = self._visit.whole(status, pairs, body)
                await self._send({**self._start, "status": status, "headers": pairs})
                await self._send({"type": f"{self.protocol}.response.body", "body": body})
                return
            status, pairs = self._visit.head(status, pairs)
            await self._send({**self._start, "status": status, "headers": pairs})
        made = self._visit.feed(body)
        if not more:
            self._done = True
            made += self._visit.finish()
        if made or not more:
            await self._send({"type": f"{self.protocol}.response.body", "body": made, "more_body": more})


class _Accepting(_Answer):
    """The same of a WebSocket: what accepts it is an answer 101, what refuses it one of HTTP (ASGI's Websocket Denial Response)."""

    protocol = "websocket.http"

    def __init__(self, visit: Visit, send: Send) -> None:
        super().__init__(visit, send, "GET")

    async def __call__(self, message: Message) -> None:
        if message["type"] != "websocket.accept":
            await super().__call__(message)
            return
        status, pairs, _ = self._visit.whole(101, [(bytes(k), bytes(v)) for k, v in message.get("headers") or ()], b"")
        if status != 101:
            raise RuntimeError(f"the answer 101 was turned into {status}")
        await self._send({**message, "headers": [(key.lower(), value) for key, value in pairs if key.lower() != b"content-length"]})
