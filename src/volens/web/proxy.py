"""``volens proxy``: the face for a site in any language, a reverse proxy that hands every request and answer to the gateway.

Built on aiohttp's HTTP/1.1 parser and flow control, below its request and response classes, because those decode header fields, drop
1xx answers and would change bytes that need no change. Every message is framed anew from what was parsed (RFC 9112 §6, §7): no
``Content-Length`` or ``Transfer-Encoding`` of one side ever reaches the other, so the two sides cannot disagree where a message ends.

What it does not do: HTTP/2, TLS towards the visitor (a front does that), trailers (dropped both ways, RFC 9110 §6.5.1 allows it), ``Via``
(it switches compression off in common upstreams; RFC 9110 §7.6.3 asks for it), caching.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import json
import logging
import os
import re
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from aiohttp import ClientError, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.client_exceptions import ServerTimeoutError
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import _EXC_SENTINEL
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.http_parser import RawRequestMessage, RawResponseMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from volens.errors import ConfigError, Mistake
from volens.web.arrivals import outcome
from volens.web.asgi import visited
from volens.web.logs import Json
from volens.web.messages import Pairs, Reply, Request, Waiting
from volens.web.workers import Handed, address, become, listening, on_trial, supervise, tried

log = logging.getLogger("volens.proxy")
access = logging.getLogger("volens.access")


class Visit(Protocol):
    """What a face needs of ``gateway.Visit``: one request and its answer."""

    @property
    def own(self) -> bool: ...
    @property
    def body_limit(self) -> int: ...
    @property
    def forward(self) -> Pairs: ...
    @property
    def streams(self) -> bool: ...
    def forwarded(self, pairs: Pairs) -> Pairs: ...
    def answer(self, body: bytes) -> Reply | Waiting: ...
    def too_large(self) -> Reply: ...
    def early(self, pairs: Pairs) -> Pairs: ...
    def whole(self, status: int, pairs: Pairs, body: bytes) -> tuple[int, Pairs, bytes]: ...
    def head(self, status: int, pairs: Pairs) -> tuple[int, Pairs]: ...
    def feed(self, chunk: bytes) -> bytes: ...
    def finish(self) -> bytes: ...
    def failed(self, kind: str) -> Reply: ...


class Gateway(Protocol):
    """What the proxy is a face of."""

    def visit(self, request: Request, *, unread: bool = ...) -> Visit: ...
    def visiting(self, request: Request) -> Future[Any] | None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker spends on one visitor. Times in seconds, sizes in bytes."""

    connections: int = 2048
    request_line: int = 16 * 1024
    header_bytes: int = 64 * 1024
    header_count: int = 256
    client_header: float = 15.0
    """From the first byte of a request to the end of its header section."""
    client_idle: float = 30.0
    """A visitor who neither sends the next byte of a body nor takes one of the answer."""
    keepalive: float = 75.0
    connect: float = 5.0
    first_byte: float = 60.0
    """From the end of the request to the head of the upstream's answer."""
    idle: float = 60.0
    """Between two reads of the upstream's answer."""
    stream_idle: float = 3600.0
    """The same for event streams and WebSockets, which are quiet by nature."""
    upstream_keepalive: float = 15.0
    whole_bytes: int = 1024 * 1024
    whole_declared: float = 0.05
    """How long a page whose length is declared is waited for: its upstream has it whole already."""
    whole_undeclared: float = 0.0009
    """The same without a length: it may be a stream, whose first byte must not wait for more than 2 ms. epoll rounds up to whole ones."""
    grace: float = 10.0
    """What requests in flight get when the proxy is stopped."""


# RFC 9110 §7.6.1; http2-settings goes with h2c, which is never passed (an upgraded connection would go round every rule).
_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings")
)
_FRAMING = _HOP | {b"content-length"}
# The front's word for where the visitor is; only a trusted front's counts. The last two name another path than the one gates judge.
_FORWARDED = frozenset(
    (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-prefix",
     b"x-forwarded-server", b"x-forwarded-scheme", b"x-forwarded-ssl", b"x-real-ip", b"x-original-url", b"x-rewrite-url")
)  # fmt: skip
_OTHER_PATH = frozenset((b"x-original-url", b"x-rewrite-url"))
_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
"""RFC 9110 §9.2.2: repeated by the proxy when a kept connection turns out dead."""
_BODILESS = frozenset((204, 304))
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::[0-9]{1,5})?")
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_RESET = struct.pack("ii", 1, 0)


class _Refused(Exception):
    """A request that is answered without being understood: status, and what the sender should know."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class _Failed(Exception):
    """The upstream's part went wrong: the kind that ``Visit.failed`` takes, and what the log says."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


# --- towards the visitor --------------------------------------------------------------------------------------------------------


class _Sent:
    """What aiohttp's connection loop gets for a response: the bytes are on the wire, only the connection's fate is left."""

    __slots__ = ("keep_alive",)

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, request: object) -> None: ...

    async def write_eof(self) -> None: ...


_KEEP, _CLOSE = _Sent(True), _Sent(False)


class _Arrival:
    """A parsed request on its connection; takes the place of aiohttp's request class, which would decode what must stay raw."""

    __slots__ = ("_task", "front", "message", "payload", "protocol", "sent", "started", "status", "writer")

    def __init__(self, message: RawRequestMessage, payload: StreamReader, protocol: web.RequestHandler, writer: Any, task: Any) -> None:
        self.message = message
        self.payload = payload
        self.protocol = cast(_Connection, protocol)
        self.writer = writer
        self._task = task
        self.started = False
        """True once a byte of the final answer was written: from there on a failure can only abort."""
        self.status = 0
        self.sent = 0
        self.front: Pairs = []
        """What the upstream is told about the visitor: X-Forwarded-For and the like."""

    def _cancel(self, exc: BaseException) -> None:
        """aiohttp calls this when the visitor has gone and when the grace period is over."""
        self.payload.set_exception(exc)
        if self._task is not None:
            self._task.cancel()

    def _finish(self) -> None: ...

    def write(self, *chunks: bytes) -> None:
        transport = self.protocol.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the visitor has gone")
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self.sent += len(data)
        transport.write(data)

    def abort(self) -> None:
        """Ends the connection so that nobody takes what was sent for whole: a reset, since an HTTP/1.0 answer ends with the connection."""
        transport = self.protocol.transport
        if transport is None:
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as same:  # uvloop's own object has no setsockopt
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()


class _Connection(web.RequestHandler):
    """aiohttp's server connection with a bound on header sections still on their way, and quiet answers to what cannot be parsed."""

    __slots__ = ("_head_limit", "_newest", "head_bytes", "head_since")

    def __init__(self, manager: _Server, *, head_limit: int, **options: Any) -> None:
        super().__init__(manager, **options)
        self._head_limit = head_limit
        self._newest: StreamReader = EMPTY_PAYLOAD
        self.head_bytes = 0
        self.head_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        manager = cast(_Server, self._manager)
        if len(manager.connections) >= manager.most:
            cast(asyncio.Transport, transport).write(_plain(503, "too many connections, try again", b"Retry-After: 1\r\n"))
            transport.close()
            self._manager = None  # connection_lost then has nothing to undo
            return
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._manager is None:
            return
        seen, between = self._request_count, self._newest.is_eof()  # the end of a body is none of the next header section
        super().data_received(data)
        if self._request_count != seen:
            message, payload = self._messages[-1] if self._messages else (None, EMPTY_PAYLOAD)
            if not isinstance(message, RawRequestMessage) and not self._newest.is_eof():
                # a body that stopped making sense: the parser tells the next request, not who reads this one
                self._newest.set_exception(web.RequestPayloadError("malformed request body"))
            self._newest = payload
            self.head_bytes, self.head_since = 0, 0.0
        elif data and not self._upgraded and between:
            if not self.head_bytes:
                self.head_since = self._loop.time()
            self.head_bytes += len(data)
            if self.head_bytes > self._head_limit:
                self.refuse(431, "header section too large")

    def refuse(self, status: int, reason: str) -> None:
        """Ends a connection on which no whole request has come."""
        if self.transport is not None and self._waiter is not None:
            self.transport.write(_plain(status, reason))
        self.head_since = 0.0
        self.force_close()

    def handle_error(self, request: Any, status: int = 500, exc: BaseException | None = None, message: str | None = None) -> Any:
        """What cannot be parsed is answered in a word; nothing is logged, least of all who sent it."""
        if request.started:
            request.abort()
        elif self.transport is not None:
            if isinstance(exc, LineTooLong):
                self.transport.write(_plain(431, "header section or request line too large"))
            else:
                self.transport.write(_plain(status, "the request could not be read" if status < 500 else "internal error"))
        return _CLOSE


class _Server(web.Server):
    """Makes our connections; counts them."""

    def __init__(self, handler: Any, limits: Limits) -> None:
        super().__init__(handler, request_factory=_Arrival, handler_cancellation=True)  # type: ignore[arg-type]
        self.most = limits.connections
        self._options = {
            "keepalive_timeout": limits.keepalive,
            "access_log": None,
            "logger": log,
            "max_line_size": limits.request_line,
            "max_headers": limits.header_count,
            "max_field_size": limits.header_bytes,
            "lingering_time": 2.0,
            "read_bufsize": 64 * 1024,
            "auto_decompress": False,
        }
        self._head_limit = limits.header_bytes + limits.request_line

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, head_limit=self._head_limit, loop=self._loop, **self._options)


def _plain(status: int, reason: str, more: bytes = b"") -> bytes:
    body = reason.encode() + b"\n"
    return b"%sContent-Type: text/plain; charset=utf-8\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
        _STATUS_LINES[status], more, len(body), body)  # fmt: skip


def _fields(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header lines. Refuses what would end a line inside a field, whoever wrote it."""
    lines = [name + b": " + value for name, value in pairs]
    text = b"\r\n".join(lines)
    breaks = max(len(lines) - 1, 0)
    if text.count(b"\n") != breaks or text.count(b"\r") != breaks or b"\0" in text:
        raise ValueError("a header field with a line break or NUL in it was not sent")
    return text + b"\r\n" if lines else b""


def _status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


# --- who asks -------------------------------------------------------------------------------------------------------------------


class _Fronts:
    """Which peers may say who the visitor is."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(item, strict=False) for item in trusted]
        self.trusts = lru_cache(4096)(self._trusts)

    def _trusts(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(ip, "ipv4_mapped", None) or ip
        return any(mapped in network for network in self._networks)

    def client(self, forwarded_for: bytes, peer: str) -> str:
        """The last address that no trusted front vouches for."""
        found = peer
        for item in reversed(forwarded_for.decode("latin-1").split(",")):
            address = item.strip()
            try:
                ipaddress.ip_address(address)
            except ValueError:
                break
            found = address
            if not self.trusts(address):
                break
        return found


# --- towards the upstream -------------------------------------------------------------------------------------------------------


class _Link(ResponseHandler):
    """One connection to the upstream. Remembers a reset, which an answer that ends with its connection would otherwise hide."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.reset: BaseException | None = None
        self.used = False
        self.since = 0.0

    def connection_lost(self, exc: BaseException | None) -> None:
        self.reset = exc
        super().connection_lost(exc)

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _EXC_SENTINEL) -> None:
        """Tells who reads a body too: the native parser drops it when a chunk makes no sense, and its reader would wait for ever."""
        super().set_exception(exc, exc_cause)
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(exc)


class _Upstream:
    """The one upstream and its idle connections, the latest used first."""

    def __init__(self, address: str, limits: Limits) -> None:
        parts = urlsplit(address)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.path not in ("", "/") or parts.query:
            remedy = "Give scheme, host and port, without a path: http://127.0.0.1:8000."
            raise ConfigError("volens proxy", (Mistake("--upstream", repr(address), remedy),))
        self.host = parts.hostname
        self.port = port or (443 if parts.scheme == "https" else 80)
        self.authority = parts.netloc.rpartition("@")[2].encode()
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._limits = limits
        self._idle: deque[_Link] = deque()
        self.links: set[_Link] = set()
        """Every link in use; tests count them."""

    async def take(self, safe: bool) -> _Link:
        """A connection. A request that must not be repeated gets a kept one only if that was used within the last second."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - (self._limits.upstream_keepalive if safe else 1.0)
        while self._idle:
            link = self._idle.pop()
            if link.is_connected() and not link.should_close and link.since >= oldest:
                link.used = True
                self.links.add(link)
                return link
            link.close()
        try:
            async with asyncio.timeout(self._limits.connect):
                _, made = await loop.create_connection(lambda: _Link(loop), self.host, self.port, ssl=self._tls)
        except TimeoutError:
            raise _Failed("slow", f"no connection to {self.name} within {self._limits.connect:g} s") from None
        except OSError as error:
            raise _Failed("down", f"no connection to {self.name}: {error}") from None
        self.links.add(made)
        return made

    def give(self, link: _Link, reusable: bool) -> None:
        self.links.discard(link)
        if reusable and link.is_connected() and not link.should_close:
            link.since = link._loop.time()
            self._idle.append(link)
        else:
            link.close()

    def sweep(self, now: float) -> None:
        while self._idle and (self._idle[0].since < now - self._limits.upstream_keepalive or not self._idle[0].is_connected()):
            self._idle.popleft().close()

    def close(self) -> None:
        for link in (*self._idle, *self.links):
            link.abort()
        self._idle.clear()
        self.links.clear()


async def _drained(protocol: BaseProtocol, seconds: float) -> None:
    """Waits until the peer has taken what was written; gives up when it took nothing at all for that long."""
    while protocol.writing_paused:
        transport = protocol.transport
        before = transport.get_write_buffer_size() if transport else 0
        try:
            async with asyncio.timeout(seconds):
                await protocol._drain_helper()
        except TimeoutError:
            if transport is None or transport.get_write_buffer_size() >= before:
                raise


class _Bytes:
    """Puts what comes after a 101 into a stream, so that a tunnel has the flow control of a body."""

    __slots__ = ("stream",)

    def __init__(self, stream: StreamReader) -> None:
        self.stream = stream

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.stream.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self.stream.feed_eof()


# --- the proxy ------------------------------------------------------------------------------------------------------------------


class Proxy:
    """Moves one request to the gateway and the upstream and its answer back; holds no rule of its own but HTTP's."""

    def __init__(
        self, gateway: Gateway, upstream: str, *, limits: Limits | None = None, trusted: Sequence[str] = (), access_log: bool = False
    ) -> None:
        self.limits = limits or Limits()
        self.upstream = _Upstream(upstream, self.limits)
        self.server = _Server(self.handle, self.limits)
        self._gateway = gateway
        self._fronts = _Fronts(trusted)
        self._access = access_log
        self.draining = False
        """Whether each connection ends with the answer it waits for: another process takes the next."""
        self._tunnels: set[asyncio.Task[Any]] = set()
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="volens proxy sweep")

    async def _sweep(self) -> None:
        """Once a second: header sections that came too slowly, upstream connections idle for too long."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1)
            now = loop.time()
            self.upstream.sweep(now)
            for connection in cast("list[_Connection]", self.server.connections):
                if connection.head_since and now - connection.head_since > self.limits.client_header:
                    connection.refuse(408, "the request did not arrive in time")

    def end_tunnels(self) -> None:
        """A WebSocket is not waited for: its page connects again."""
        for task in self._tunnels:
            task.cancel()

    async def close(self) -> None:
        self._sweeper.cancel()
        await asyncio.gather(self._sweeper, return_exceptions=True)
        self.upstream.close()

    # -- one request

    async def handle(self, arrival: _Arrival) -> _Sent:
        begin = time.perf_counter()
        own = False
        try:
            request = self._read(arrival)
            visit = await visited(self._gateway, request)
            own = visit.own
            if own:
                return await self._answer(arrival, request, visit)
            return await self._pass(arrival, request, visit)
        except _Refused as refused:
            arrival.status = refused.status
            arrival.write(_plain(refused.status, refused.reason))
            return _CLOSE
        except (ConnectionError, TimeoutError):  # the visitor's side: gone, or takes nothing
            arrival.abort()
            return _CLOSE
        except Exception:
            log.exception("%s %s: answered with an error", arrival.message.method, _path(arrival.message.path))
            if arrival.started:
                arrival.abort()
            else:
                arrival.status = 500
                arrival.write(_plain(500, "internal error"))
            return _CLOSE
        finally:
            if self._access:
                line = {
                    "method": arrival.message.method,
                    "path": _path(arrival.message.path),
                    "status": arrival.status,
                    "bytes": arrival.sent,
                    "ms": round((time.perf_counter() - begin) * 1000, 1),
                    "own": own,
                }
                access.info("%s", json.dumps(line, ensure_ascii=True))

    def _read(self, arrival: _Arrival) -> Request:
        """The request as the gateway takes it; whatever could be read in two ways is refused (RFC 9112 §3.2, §6.3, §11.2)."""
        message = arrival.message
        if message.version not in ((1, 0), (1, 1)):
            raise _Refused(505, "HTTP/1.0 and HTTP/1.1 are spoken here")
        if message.method in ("CONNECT", "TRACE"):
            raise _Refused(405, f"{message.method} is not passed on")
        peer = _peer(arrival)
        trusted = self._fronts.trusts(peer)
        pairs: Pairs = []
        front: dict[bytes, list[bytes]] = {}
        named: set[bytes] = set()
        hosts: list[bytes] = []
        lengths = codings = size = 0
        through = False
        for name, value in message.raw_headers:
            size += len(name) + len(value) + 4
            low = name.lower()
            if low in _HOP:
                if low == b"connection":
                    named.update(token.strip() for token in value.lower().split(b","))
                elif low == b"transfer-encoding":
                    codings += 1
                    if value.lower() != b"chunked" or message.version == (1, 0):
                        raise _Refused(501, "this Transfer-Encoding is not spoken here")
                continue
            # "_" and "-" are the same to CGI, WSGI and PHP: a name that only looks different must not slip through
            folded = low.replace(b"_", b"-")
            if folded in _FORWARDED:
                through = True
                if trusted and folded == low and low not in _OTHER_PATH:
                    front.setdefault(low, []).append(value)
                continue
            if low == b"host":
                hosts.append(value)
            elif folded == b"content-length":
                lengths += 1
                if folded != low or not value.isdigit():
                    raise _Refused(400, "Content-Length is not a number")
            elif folded == b"transfer-encoding":
                raise _Refused(400, "Transfer-Encoding is not spelt so")
            pairs.append((name, value))
        if size > self.limits.header_bytes:
            raise _Refused(431, "header section too large")
        if lengths > 1 or codings > 1 or (lengths and codings):
            raise _Refused(400, "the length of the body is given in two ways")
        if len(hosts) > 1 or (hosts and not _HOST.fullmatch(hosts[0])):
            raise _Refused(400, "Host is not one valid name")
        if not hosts:  # HTTP/1.0 only; the parser refuses HTTP/1.1 without
            hosts = [self.upstream.authority]
            pairs.append((b"Host", self.upstream.authority))
        target = _target(message, hosts[0])
        if named and not named <= {b"keep-alive", b"close", b"upgrade", b""}:
            pairs = [pair for pair in pairs if pair[0].lower() not in named or pair[0].lower() in (b"host", b"content-length")]

        client, scheme_seen, host = peer, "http", hosts[0]
        if front:
            client = self._fronts.client(b",".join(front.get(b"x-forwarded-for", [])), peer)
            through = b"x-forwarded-for" not in front
            if _last(front, b"x-forwarded-proto").lower() == b"https":
                scheme_seen = "https"
            if _HOST.fullmatch(named_host := _last(front, b"x-forwarded-host")):
                host = named_host
        arrival.front = _front_fields(front, peer, scheme_seen, host)
        seen_as = host.decode("ascii").lower()
        alone = trusted and not front
        return Request(message.method, target, pairs, scheme_seen, seen_as, client, vouched=trusted, front=alone, through=through)

    # -- our own answer

    async def _answer(self, arrival: _Arrival, request: Request, visit: Visit) -> _Sent:
        body = await self._own_body(arrival, request, visit)
        if body is None:
            return self._reply(arrival, visit.too_large(), keep=False)
        reply = visit.answer(body)
        if isinstance(reply, Waiting):
            reply = reply.then(await outcome(reply.future))
        return self._reply(arrival, reply)

    async def _own_body(self, arrival: _Arrival, request: Request, visit: Visit) -> bytes | None:
        """None when it is longer than the endpoint takes."""
        payload = arrival.payload
        declared = _length(request.pairs)
        if declared is not None and declared > visit.body_limit:
            return None
        if payload.is_eof():
            body = payload.read_nowait()
            return body if len(body) <= visit.body_limit else None
        if _expects(request.pairs) and arrival.message.version == (1, 1):
            arrival.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.limits.client_idle):  # for the whole: it is small
                while chunk := await payload.readany():
                    size += len(chunk)
                    if size > visit.body_limit:
                        return None
                    parts.append(chunk)
        except TimeoutError:
            raise _Refused(408, "the request did not arrive in time") from None
        except web.RequestPayloadError:
            raise _Refused(400, "the request body could not be read") from None
        return b"".join(parts)

    def _reply(self, arrival: _Arrival, reply: Reply, keep: bool = True) -> _Sent:
        """Writes a whole answer of ours."""
        pairs = [pair for pair in reply.pairs if pair[0].lower() not in _FRAMING]
        if not any(name.lower() == b"date" for name, _ in pairs):
            pairs.append((b"Date", _now(int(time.time()))))
        return self._whole(arrival, reply.status, _fields(pairs), reply.body, keep)

    def _whole(self, arrival: _Arrival, status: int, fields: bytes, body: bytes, keep: bool = True) -> _Sent:
        kept, connection = self._fate(arrival, keep)
        length = b"" if status in _BODILESS else b"Content-Length: %d\r\n" % len(body)
        head = b"%s%s%s%s\r\n" % (_status_line(status), fields, length, connection)
        arrival.status = status
        arrival.started = True
        if status in _BODILESS or arrival.message.method == "HEAD" or not body:
            arrival.write(head)
        else:
            arrival.write(head, body)
        return kept

    def _fate(self, arrival: _Arrival, keep: bool) -> tuple[_Sent, bytes]:
        """Whether the visitor's connection goes on, and the line that says so.

        After a chunked request it does not: aiohttp 3.14's native parser keeps the last trailer field of one request and puts it before
        the fields of the next, which may be another visitor's where a front shares its connections.
        """
        if (
            not keep
            or self.draining
            or not arrival.payload.is_eof()
            or arrival.message.should_close
            or arrival.message.chunked
            or arrival.protocol._close
            or arrival.protocol._force_close
        ):
            return _CLOSE, b"Connection: close\r\n"
        return _KEEP, b"Connection: keep-alive\r\n" if arrival.message.version == (1, 0) else b""

    # -- the upstream's answer

    async def _pass(self, arrival: _Arrival, request: Request, visit: Visit) -> _Sent:
        try:
            link, upload, message, payload = await self._ask(arrival, request, visit)
        except _Failed as failed:
            return await self._failed(arrival, visit, failed)
        whole = False
        try:
            if message.code == 101:
                return await self._tunnel(arrival, visit, link, message)
            sent = await self._relay(arrival, visit, link, message, payload)
            whole = True
            if upload is not None and not _done(upload):
                whole = False  # answered before the request had ended: neither connection can be trusted to be in step
                return _CLOSE
            await _drained(arrival.protocol, self.limits.client_idle)
            return sent
        except _Failed as failed:
            return await self._failed(arrival, visit, failed)
        finally:
            if upload is not None:
                upload.cancel()
            self.upstream.give(link, whole)

    async def _failed(self, arrival: _Arrival, visit: Visit, failed: _Failed) -> _Sent:
        """One line in the log; a clear page if nothing was sent yet, else a connection that ends visibly."""
        log.warning("%s %s: %s", arrival.message.method, _path(arrival.message.path), failed.reason)
        if (note := getattr(visit, "upstream_failed", None)) is not None:
            note(failed.kind)
        if arrival.started:
            arrival.abort()
            return _CLOSE
        return self._reply(arrival, visit.failed(failed.kind))

    async def _ask(
        self, arrival: _Arrival, request: Request, visit: Visit
    ) -> tuple[_Link, asyncio.Task[bool] | None, RawResponseMessage, StreamReader]:
        """Sends the request and waits for the head of the final answer (or 101)."""
        payload = arrival.payload
        upgrade = _upgrade(arrival.message)
        head = [f"{request.method} ".encode() + request.target + b" HTTP/1.1\r\n"]
        expects = arrival.message.version == (1, 1) and _expects(request.pairs)
        head.append(
            _fields(pair for pair in visit.forward if pair[0].lower() not in _FRAMING and (expects or pair[0].lower() != b"expect"))
        )
        head.append(_fields(visit.forwarded(arrival.front)))
        streamed = payload if not payload.is_eof() or expects else None
        chunked = arrival.message.chunked
        body = b""
        if streamed is None and chunked:
            body = payload.read_nowait()
            head.append(b"Content-Length: %d\r\n" % len(body))
        elif chunked:
            head.append(b"Transfer-Encoding: chunked\r\n")
        elif (length := _length(request.pairs)) is not None:
            head.append(b"Content-Length: %d\r\n" % length)
            if streamed is None and length:
                body = payload.read_nowait()
        if upgrade:
            head.append(b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
        head.append(b"\r\n")
        data = b"".join((*head, body))

        safe = request.method in _SAFE and streamed is None
        for last in (False, True):
            link = await self.upstream.take(safe)
            upload: asyncio.Task[bool] | None = None
            try:
                link.set_response_params(
                    skip_payload=request.method == "HEAD",
                    read_until_eof=True,
                    auto_decompress=False,
                    read_timeout=None if streamed else self.limits.first_byte,
                    read_bufsize=128 * 1024,
                    max_line_size=16 * 1024,
                    max_field_size=64 * 1024,
                    max_headers=512,
                )
                assert link.transport is not None
                link.transport.write(data)
                if streamed is None:
                    link.start_timeout()
                else:
                    upload = asyncio.get_running_loop().create_task(self._upload(streamed, link, chunked))
                message, answer = await self._head(arrival, visit, link, expects, upgrade)
                return link, upload, message, answer
            except (ClientError, HttpProcessingError, OSError, _Failed) as error:
                lost = upload.exception() if upload is not None and upload.done() and not upload.cancelled() else None
                if upload is not None:
                    upload.cancel()
                again = link.used and safe and not last and isinstance(error, ClientError) and not isinstance(error, ServerTimeoutError)
                self.upstream.give(link, False)
                if again:
                    continue
                if isinstance(lost, web.RequestPayloadError):
                    raise _Refused(400, "the request body could not be read") from None
                if lost is not None:
                    raise _Refused(408, "the request did not arrive in time") from None
                if isinstance(error, _Failed):
                    raise
                if isinstance(error, ServerTimeoutError):
                    raise _Failed("slow", f"{self.upstream.name} did not answer within {self.limits.first_byte:g} s") from None
                raise _Failed("broken", f"{self.upstream.name} gave no answer that can be read: {_words(error)}") from None
            except BaseException:
                if upload is not None:
                    upload.cancel()
                self.upstream.give(link, False)
                raise
        raise AssertionError("unreachable")

    async def _head(
        self, arrival: _Arrival, visit: Visit, link: _Link, expects: bool, upgrade: bool
    ) -> tuple[RawResponseMessage, StreamReader]:
        for _ in range(32):
            message, payload = await link.read()
            if message.code == 101:
                if not upgrade or not link.upgraded:
                    raise _Failed("broken", f"{self.upstream.name} switched protocols without being asked")
                return message, payload
            if message.code >= 200:
                return message, payload
            if arrival.message.version != (1, 1):
                continue
            if message.code == 100 and expects:
                expects = False
                arrival.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            elif message.code == 103 and (pairs := visit.early(_end_to_end(message.raw_headers))):
                arrival.write(_STATUS_LINES[103], _fields(pairs), b"\r\n")
        raise _Failed("broken", f"{self.upstream.name} sent more than 32 interim answers")

    async def _upload(self, payload: StreamReader, link: _Link, chunked: bool) -> bool:
        """Streams the body up; True when all of it went. Raises for the visitor's part only: the upstream's shows in its answer."""
        try:
            while True:
                async with asyncio.timeout(self.limits.client_idle):
                    chunk = await payload.readany()
                transport = link.transport
                if transport is None or transport.is_closing():
                    return False
                if not chunk:
                    if chunked:
                        transport.write(b"0\r\n\r\n")
                    link.read_timeout = self.limits.first_byte
                    link.start_timeout()
                    return True
                transport.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunked else chunk)
                try:
                    await _drained(link, self.limits.idle)
                except (TimeoutError, OSError):
                    return False
        except Exception:
            link.abort()
            raise

    async def _relay(self, arrival: _Arrival, visit: Visit, link: _Link, message: RawResponseMessage, payload: StreamReader) -> _Sent:
        pairs = _end_to_end(message.raw_headers)
        kind = next((value.lower() for name, value in pairs if name.lower() == b"content-type"), b"")
        link.read_timeout = self.limits.stream_idle if kind.startswith(b"text/event-stream") else self.limits.idle
        if arrival.message.method == "HEAD" or message.code in _BODILESS:
            return self._headless(arrival, visit, message.code, pairs)
        declared = None if message.chunked else _length(pairs)
        parts, ended = await self._at_hand(link, payload, declared, kind)
        if ended:
            try:
                status, out, body = visit.whole(message.code, pairs, parts[0] if len(parts) == 1 else b"".join(parts))
                fields = _fields(pair for pair in out if pair[0].lower() not in _FRAMING)
            except Exception as error:
                raise self._ours(arrival, error) from error
            return self._whole(arrival, status, fields, body)
        return await self._stream(arrival, visit, link, message, pairs, parts, payload, declared)

    async def _at_hand(self, link: _Link, payload: StreamReader, declared: int | None, kind: bytes) -> tuple[list[bytes], bool]:
        """The beginning of the body, and whether it is all of it. Only what may be a page is waited for."""
        most = self.limits.whole_bytes
        if declared is not None and declared > most:
            return [], False
        parts: list[bytes] = []
        size = 0
        try:
            if payload.is_eof():
                while not payload.at_eof() and size <= most:
                    parts.append(payload.read_nowait())
                    size += len(parts[-1])
                return parts, payload.at_eof() and link.reset is None and size <= most
            if kind and b"html" not in kind and b"xml" not in kind:
                return [], False
            with suppress(TimeoutError):
                async with asyncio.timeout(self.limits.whole_undeclared if declared is None else self.limits.whole_declared):
                    while size <= most:
                        chunk = await payload.readany()
                        if not chunk:
                            self._cut(link)
                            return parts, True
                        parts.append(chunk)
                        size += len(chunk)
        except (ClientError, HttpProcessingError, OSError) as error:
            raise self._broke(error) from None
        return parts, False

    def _headless(self, arrival: _Arrival, visit: Visit, code: int, pairs: Pairs) -> _Sent:
        """HEAD, 204, 304: a head alone. For HEAD the length stays if the visit leaves it: it is that of the answer to GET."""
        try:
            status, out, _ = visit.whole(code, pairs, b"")
            length = _length(out) if arrival.message.method == "HEAD" and status not in _BODILESS else None
            fields = _fields(pair for pair in out if pair[0].lower() not in _FRAMING)
        except Exception as error:
            raise self._ours(arrival, error) from error
        sent, connection = self._fate(arrival, True)
        arrival.status = status
        arrival.started = True
        arrival.write(_status_line(status), fields, b"" if length is None else b"Content-Length: %d\r\n" % length, connection, b"\r\n")
        return sent

    async def _stream(
        self,
        arrival: _Arrival,
        visit: Visit,
        link: _Link,
        message: RawResponseMessage,
        pairs: Pairs,
        parts: list[bytes],
        payload: StreamReader,
        declared: int | None,
    ) -> _Sent:
        try:
            status, out = visit.head(message.code, pairs)
            changes = visit.streams
            fields = _fields(pair for pair in out if pair[0].lower() not in _FRAMING)
        except Exception as error:
            raise self._ours(arrival, error) from error
        length = None if changes else declared
        chunked = length is None and arrival.message.version == (1, 1)
        sent, connection = self._fate(arrival, chunked or length is not None)
        framing = b"Transfer-Encoding: chunked\r\n" if chunked else b"" if length is None else b"Content-Length: %d\r\n" % length
        pending = b"%s%s%s%s\r\n" % (_status_line(status), fields, framing, connection)
        arrival.status = status
        arrival.started = True
        chunk: bytes | None = b"".join(parts)
        while chunk is not None:
            try:
                data = visit.feed(chunk) if chunk else chunk
            except Exception as error:
                raise self._ours(arrival, error) from error
            if chunked and data:
                data = b"%x\r\n%s\r\n" % (len(data), data)
            if pending or data:
                arrival.write(pending, data)
                pending = b""
                await _drained(arrival.protocol, self.limits.client_idle)
            try:
                chunk = await payload.readany() or None
            except (ClientError, HttpProcessingError, OSError) as error:
                raise self._broke(error) from None
        self._cut(link)
        try:
            tail = visit.finish()
        except Exception as error:
            raise self._ours(arrival, error) from error
        data = tail if changes else b""
        if chunked:
            data = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        if data:
            arrival.write(data)
        return sent

    def _cut(self, link: _Link) -> None:
        """An answer that ends with its connection ends well only if the connection did (RFC 9112 §8)."""
        if link.reset is not None:
            raise _Failed("broken", f"{self.upstream.name} broke off its answer: {_words(link.reset)}")

    def _broke(self, error: BaseException) -> _Failed:
        if isinstance(error, ServerTimeoutError):
            return _Failed("slow", f"{self.upstream.name} paused for too long in the middle of its answer")
        return _Failed("broken", f"{self.upstream.name} broke off its answer: {_words(error)}")

    def _ours(self, arrival: _Arrival, error: Exception) -> _Failed:
        """A mistake of Volens: the page is never sent raw instead."""
        log.error("%s %s: the answer could not be judged", arrival.message.method, _path(arrival.message.path), exc_info=error)
        return _Failed("broken", "answered with an error instead of an unjudged page")

    # -- WebSocket

    async def _tunnel(self, arrival: _Arrival, visit: Visit, link: _Link, message: RawResponseMessage) -> _Sent:
        """Bytes both ways: subprotocols, extensions and close codes are agreed between the two ends."""
        try:
            status, out, _ = visit.whole(101, _end_to_end(message.raw_headers), b"")
            fields = _fields(pair for pair in out if pair[0].lower() not in _FRAMING)
            if status != 101:
                raise ValueError(f"the answer 101 was turned into {status}")
        except Exception as error:
            raise self._ours(arrival, error) from error
        loop = asyncio.get_running_loop()
        down, up = StreamReader(link, 64 * 1024, loop=loop), StreamReader(arrival.protocol, 64 * 1024, loop=loop)
        link.read_timeout = None
        arrival.status = 101
        arrival.started = True
        arrival.write(_STATUS_LINES[101], fields, b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        link.set_parser(_Bytes(down), down)
        arrival.protocol.set_parser(_Bytes(up))  # type: ignore[arg-type]
        clock = [loop.time()]
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._tunnels.add(task)
        ways = [
            loop.create_task(self._copy(down, arrival.protocol, clock, arrival)),
            loop.create_task(self._copy(up, link, clock)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._tunnels.discard(task)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        return _CLOSE

    async def _copy(self, source: StreamReader, target: BaseProtocol, clock: list[float], arrival: _Arrival | None = None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout_at(clock[0] + self.limits.stream_idle):
                    chunk = await source.readany()
            except TimeoutError:
                if loop.time() - clock[0] < self.limits.stream_idle:
                    continue  # the other way was busy
                return
            transport = target.transport
            if not chunk or transport is None or transport.is_closing():
                return
            clock[0] = loop.time()
            if arrival is not None:
                arrival.sent += len(chunk)
            transport.write(chunk)
            await _drained(target, self.limits.client_idle)


def _done(upload: asyncio.Task[bool]) -> bool:
    return upload.done() and not upload.cancelled() and upload.exception() is None and upload.result()


def _target(message: RawRequestMessage, host: bytes) -> bytes:
    """The request target as a path with its query, or ``*``; raises _Refused where it is none, or of another host (RFC 9112 §3.2)."""
    target = message.path.encode("utf-8", "surrogateescape")
    if not target.startswith(b"/") and not (target == b"*" and message.method == "OPTIONS"):
        scheme, _, rest = target.partition(b"://")
        authority, slash, path = rest.partition(b"/")
        if scheme.lower() not in (b"http", b"https") or authority.lower() != host.lower():
            raise _Refused(400, "the request target does not agree with Host")
        target = slash + path or b"/"
    if b"#" in target or any(byte <= 0x20 or byte == 0x7F for byte in target):
        raise _Refused(400, "the request target is not valid")
    return target


def _peer(arrival: _Arrival) -> str:
    name = arrival.protocol.peername
    return str(name[0]) if isinstance(name, tuple) else ""


def _last(front: dict[bytes, list[bytes]], name: bytes) -> bytes:
    """What the nearest front says: the last item of the last field."""
    values = front.get(name)
    return values[-1].rpartition(b",")[2].strip() if values else b""


def _front_fields(front: dict[bytes, list[bytes]], peer: str, scheme: str, host: bytes) -> Pairs:
    """Appended to a trusted front's word (X-Forwarded-For, RFC 7239 where the front uses it), set anew otherwise."""
    address = peer.encode()
    pairs: Pairs = [
        (b"X-Forwarded-For", b", ".join((*front.get(b"x-forwarded-for", ()), address))),
        (b"X-Forwarded-Proto", scheme.encode()),
        (b"X-Forwarded-Host", host),
    ]
    for name, values in front.items():
        if name == b"forwarded":
            node = b'"[%s]"' % address if b":" in address else address
            pairs.append((b"Forwarded", b", ".join((*values, b'for=%s;host="%s";proto=%s' % (node, host, scheme.encode())))))
        elif name not in (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"):
            pairs.extend((name.title(), value) for value in values)
    return pairs


def _end_to_end(raw: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """The fields that are meant for more than this connection (RFC 9110 §7.6.1)."""
    pairs: Pairs = []
    named: set[bytes] = set()
    for pair in raw:
        low = pair[0].lower()
        if low not in _HOP:
            pairs.append(pair)
        elif low == b"connection":
            named.update(token.strip() for token in pair[1].lower().split(b","))
    if named and not named <= {b"keep-alive", b"close", b"upgrade", b""}:
        pairs = [pair for pair in pairs if pair[0].lower() not in named]
    return pairs


def _length(pairs: Pairs) -> int | None:
    for name, value in pairs:
        if len(name) == 14 and name.lower() == b"content-length":
            return int(value) if value.isdigit() else None
    return None


def _expects(pairs: Pairs) -> bool:
    return any(len(name) == 6 and name.lower() == b"expect" and value.lower() == b"100-continue" for name, value in pairs)


def _upgrade(message: RawRequestMessage) -> bool:
    """A WebSocket handshake (RFC 6455 §4.1) and nothing else: an h2c tunnel would pass unjudged."""
    return bool(message.upgrade) and message.method == "GET" and message.headers.get("Upgrade", "").strip().lower() == "websocket"


def _path(target: str) -> str:
    """For logs: without the query, which may name people."""
    return target.partition("?")[0].encode("ascii", "backslashreplace").decode()


def _words(error: BaseException) -> str:
    """What an error says; of what could not be parsed its kind alone, for its words quote what was sent."""
    if isinstance(error, (HttpProcessingError, ValueError)) or isinstance(error.__cause__, HttpProcessingError):
        return type(error).__name__
    return " ".join(f"{type(error).__name__}: {error}".split())


@lru_cache(2)
def _now(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


# --- running it -----------------------------------------------------------------------------------------------------------------


class _Runner(web.ServerRunner):
    """aiohttp's orderly stop, and then ours: tunnels end at once, the links to the upstream last."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(proxy.server, shutdown_timeout=proxy.limits.grace)
        self.proxy = proxy

    async def shutdown(self) -> None:
        self.proxy.end_tunnels()

    async def cleanup(self) -> None:
        await super().cleanup()
        await self.proxy.close()


async def start(
    gateway: Gateway,
    upstream: str,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    sock: socket.socket | None = None,
    limits: Limits | None = None,
    trusted: Sequence[str] | None = None,
    access_log: bool = False,
) -> tuple[_Runner, int]:
    """Starts a proxy in the running loop. ``await runner.cleanup()`` stops it; requests in flight get the grace period."""
    fronts = _default_fronts(host) if trusted is None else trusted
    proxy = Proxy(gateway, upstream, limits=limits, trusted=fronts, access_log=access_log)
    runner = _Runner(proxy)
    try:
        await runner.setup()
        site = web.TCPSite(runner, host, port, backlog=1024) if sock is None else web.SockSite(runner, sock, backlog=1024)
        await site.start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner, int(runner.addresses[0][1])


def _default_fronts(host: str) -> tuple[str, ...]:
    """Loopback is trusted when only loopback can reach us."""
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return ("127.0.0.0/8", "::1/128")
    return ("127.0.0.0/8", "::1/128") if host == "localhost" else ()


def serve(
    gateway_factory: Callable[[], Gateway],
    *,
    upstream: str,
    listen: str,
    workers: int = 1,
    limits: Limits | None = None,
    trusted: Sequence[str] | None = None,
    access_log: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Runs until SIGTERM or SIGINT. ``gateway_factory`` is called once in each worker, after the fork; ``ready`` gets the address.

    Raises ConfigError for addresses that cannot be used; ends with status 78 where a worker's factory raised one.
    """
    limits = limits or Limits()
    host, port = address(listen)
    _Upstream(upstream, limits)  # its mistakes are told before anything is bound
    if on_trial():
        _close(gateway_factory())
        return
    fronts = _default_fronts(host) if trusted is None else trusted
    before = Handed.taken()
    sockets = listening(host, port, workers, before.sockets)
    restarts = threading.current_thread() is threading.main_thread() and not (sys.stdin and sys.stdin.isatty())
    bound = sockets[0].getsockname()[1]
    if access_log and not access.handlers:
        handler = logging.StreamHandler(sys.stdout)
        if logs := logging.getLogger().handlers:
            handler.setFormatter(logs[0].formatter if isinstance(logs[0].formatter, Json) else None)
        access.addHandler(handler)
        access.setLevel(logging.INFO)
        access.propagate = False
    if ready is not None:
        ready(f"http://{f'[{host}]' if ':' in host else host}:{bound}")

    again = False

    def work(sock: socket.socket, parent: int | None, started: Callable[[], None]) -> None:
        nonlocal again
        gateway = gateway_factory()

        def begin() -> Coroutine[Any, Any, tuple[_Runner, int]]:
            return start(gateway, upstream, sock=sock.dup(), limits=limits, trusted=fronts, access_log=access_log)

        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                again = runner.run(_worker(begin, parent, started, restarts))
        finally:
            _close(gateway)

    try:
        if workers > 1 or before.workers:
            supervise(work, sockets, workers, limits.grace, before, restarts=restarts)
        else:
            work(sockets[0], None, lambda: None)
            if again:
                become(sockets)
    finally:
        for sock in sockets:
            sock.close()


def _close(gateway: Gateway) -> None:
    close = getattr(gateway, "close", None)
    if close is not None:
        close()  # counts still in memory are written: a forked worker runs no exit functions


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    return cast("Callable[[], asyncio.AbstractEventLoop]", uvloop.new_event_loop)


LINGER = 1.0
"""Seconds in which a process that is alone, and is about to become the new program, waits for kept connections to be used once more."""


async def _worker(
    begin: Callable[[], Coroutine[Any, Any, tuple[_Runner, int]]], parent: int | None, started: Callable[[], None], restarts: bool
) -> bool:
    """Serves until it is told to stop; whether the new program is to take over.

    ``begin`` starts the proxy, and ``started`` is called once it takes connections. ``parent``: a pipe that ends with the process that
    keeps the workers; None where this process is alone. ``restarts``: whether, alone, it becomes the new program at SIGHUP.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    drains = again = False

    def drain() -> None:  # others take the next connections
        nonlocal drains
        drains = True
        stop.set()

    async def restart() -> None:
        nonlocal again
        if await asyncio.to_thread(tried):
            again = True
            drain()

    restarting: list[asyncio.Task[None]] = []
    if parent is not None:
        loop.add_signal_handler(signal.SIGUSR1, drain)
    elif restarts:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        loop.add_signal_handler(signal.SIGHUP, lambda: restarting.append(loop.create_task(restart())))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if parent is not None:
        loop.add_reader(parent, stop.set)  # the parent's end of the pipe closes with the parent, however it dies
    runner, _ = await begin()
    started()
    gc.collect()
    gc.freeze()  # what is there now stays as long as the process: no collection walks over it again
    await stop.wait()
    if parent is not None:
        loop.remove_reader(parent)
    if drains:
        runner.proxy.draining = True
        for site in list(runner.sites):
            await site.stop()
        end = loop.time() + (LINGER if again else runner.proxy.limits.grace)
        while runner.proxy.server.connections and loop.time() < end:
            await asyncio.sleep(0.02)
    await runner.cleanup()
    return again
