"""``volens proxy`` over real sockets: what the site behind it receives, what the visitor gets, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from volens.errors import ConfigError
from volens.web.messages import Pairs, Reply, Request, Waiting
from volens.web.proxy import Limits, serve, start

QUICK = Limits(
    connect=0.5, first_byte=0.5, idle=0.5, client_header=0.5, client_idle=0.7, keepalive=5.0, grace=1.0, connections=40, header_bytes=32 * 1024
)


class Plain:
    """A visit that changes nothing, and notes by which way the answer came."""

    def __init__(self, gateway: Through, request: Request) -> None:
        self.gateway = gateway
        self.request = request
        self.own = request.target.startswith(b"/_volens/")
        self.body_limit = 1000
        self.forward = request.pairs
        self.streams = gateway.streams

    def answer(self, body: bytes) -> Reply | Waiting:
        if self.request.target == b"/_volens/later":
            return Waiting(self.gateway.future, lambda result: Reply(201, [], repr(result).encode()))
        return Reply(200, [(b"Content-Type", b"text/plain")], b"own:" + body)

    def early(self, pairs: Pairs) -> Pairs:
        return [pair for pair in pairs if b"tracker" not in pair[1]]

    def whole(self, status: int, pairs: Pairs, body: bytes) -> tuple[int, Pairs, bytes]:
        self.gateway.ways.append("whole")
        self.gateway.fault("whole")
        return status, pairs + self.gateway.more, body

    def head(self, status: int, pairs: Pairs) -> tuple[int, Pairs]:
        self.gateway.ways.append("head")
        self.gateway.fault("head")
        return status, pairs + self.gateway.more

    def feed(self, chunk: bytes) -> bytes:
        self.gateway.fault("feed")
        return chunk

    def finish(self) -> bytes:
        return b""

    def failed(self, kind: str) -> Reply:
        return Reply(504 if kind == "slow" else 502, [(b"Content-Type", b"text/html")], b"<p>" + kind.encode())


@dataclass
class Through:
    """A gateway of such visits."""

    streams: bool = True
    broken: str = ""
    more: Pairs = field(default_factory=list)
    ways: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    future: Future[Any] = field(default_factory=Future)

    def visit(self, request: Request) -> Plain:
        self.requests.append(request)
        self.fault("visit")
        return Plain(self, request)

    def fault(self, where: str) -> None:
        if self.broken == where:
            raise RuntimeError(f"a mistake in {where}")


Script = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


def says(answer: bytes) -> Script:
    async def script(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return script


OK = says(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello")


class Origin:
    """A site behind the proxy that notes every byte it gets."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.heads: list[bytes] = []
        self.rest = b""
        self.connections = 0
        self.open = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                if await self.script(head, reader, writer) == "close":
                    break
                await writer.drain()
        except asyncio.IncompleteReadError as short:
            self.rest += short.partial
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()


@dataclass
class World:
    gateway: Through
    origin: Origin
    runner: Any
    port: int

    async def ask(self, *raw: bytes, wait: float = 0.0, within: float = 5.0) -> bytes:
        """Everything that comes back until the connection ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in raw:
                writer.write(piece)
                await asyncio.sleep(wait)
            async with asyncio.timeout(within):
                return await reader.read(-1)
        finally:
            writer.close()

    @property
    def lines(self) -> list[bytes]:
        """The last head the origin got, as lines."""
        return self.origin.heads[-1].removesuffix(b"\r\n\r\n").split(b"\r\n")


@asynccontextmanager
async def world(script: Script = OK, limits: Limits = QUICK, gateway: Through | None = None, **options: Any) -> AsyncIterator[World]:
    """Starts both, and afterwards looks for what was left behind: tasks, connections, links."""
    before = asyncio.all_tasks()
    origin = Origin(script)
    server = await asyncio.start_server(origin.connected, "127.0.0.1", 0, limit=1 << 20)
    gateway = gateway or Through()
    runner, port = await start(gateway, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", limits=limits, **options)
    try:
        yield World(gateway, origin, runner, port)
        await eventually(lambda: not runner.proxy.upstream.links, "a link to the upstream is still in use")
        await eventually(lambda: not runner.proxy.server.connections, "a visitor's connection is still open")
    finally:
        await runner.cleanup()
        server.close()
        await server.wait_closed()
    await eventually(lambda: origin.open == 0, "the upstream still has a connection")
    await eventually(lambda: asyncio.all_tasks() <= before, "tasks are left")


async def eventually(true: Callable[[], bool], complaint: str, within: float = 3.0) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, f"{complaint}: {asyncio.all_tasks()}"
        await asyncio.sleep(0.01)


def get(path: bytes = b"/", *lines: bytes, close: bool = True, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    head = [b"%s %s HTTP/%s" % (method, path, version), b"Host: site.example", *lines, *([b"Connection: close"] if close else [])]
    return b"\r\n".join(head) + b"\r\n\r\n"


def split(answer: bytes) -> tuple[int, list[bytes], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    return int(first.split()[1]), lines, body


def unchunk(body: bytes) -> bytes:
    """Strict: raises on anything but complete chunks and an empty trailer section."""
    out = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            assert body == b"\r\n"
            return out
        assert body[count : count + 2] == b"\r\n"
        out, body = out + body[:count], body[count + 2 :]


pytestmark = pytest.mark.asyncio

# --- bytes ---------------------------------------------------------------------------------------------------------------------------


async def test_what_needs_no_change_arrives_as_it_was_sent_both_ways() -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-latin: caf\xe9\r\nSet-Cookie: a=1\r\nset-COOKIE: b=2\r\nContent-Length: 3\r\n\r\n\x00\xff\n"
    async with world(says(answer)) as w:
        reply = await w.ask(get(b"/a%2Fb//../%zz?q=%e9&x=a+b;c", b"X-One: \xe9\xff", b"x-one:  two  words ", b"Cookie: a=1; b=2"))
        assert w.lines[0] == b"GET /a%2Fb//../%zz?q=%e9&x=a+b;c HTTP/1.1"
        assert w.lines[1:5] == [b"Host: site.example", b"X-One: \xe9\xff", b"x-one: two  words", b"Cookie: a=1; b=2"]
        status, lines, body = split(reply)
        assert (status, body) == (200, b"\x00\xff\n")
        assert lines[:3] == [b"X-latin: caf\xe9", b"Set-Cookie: a=1", b"set-COOKIE: b=2"]
        assert w.gateway.requests[0].target == b"/a%2Fb//../%zz?q=%e9&x=a+b;c"
        assert w.gateway.requests[0].host == "site.example"


async def test_connections_are_kept_both_ways() -> None:
    async with world() as w:
        reply = await w.ask(get(close=False), get(close=False), get(), wait=0.05)
        assert reply.count(b"hello") == 3
        assert w.origin.connections == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def echo(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        path = head.split()[1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))

    async with world(echo) as w:
        reply = await w.ask(b"".join(get(b"/%d." % n, close=n == 9) for n in range(10)))
        assert [part.split(b".")[0] for part in reply.split(b"\r\n\r\n/")[1:]] == [b"%d" % n for n in range(10)]


async def test_http_1_0_is_answered_without_chunks_and_kept_only_when_asked() -> None:
    page = b"x" * 50_000

    async def stream(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):
            writer.write(b"%x\r\n%s\r\n" % (len(page), page))
            await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")

    async with world(stream) as w:
        status, lines, body = split(await w.ask(b"GET / HTTP/1.0\r\n\r\n"))
        assert (status, body) == (200, page * 4)
        assert not any(line.lower().startswith(b"transfer-encoding") for line in lines)
        assert w.lines[1].startswith(b"Host: 127.0.0.1:")
    async with world() as w:
        reply = await w.ask(get(b"/", b"Connection: keep-alive", close=False, version=b"1.0"), get(version=b"1.0"), wait=0.05)
        assert reply.count(b"hello") == 2
        assert reply.count(b"Connection: keep-alive") == 1


# --- one request can mean one thing only -------------------------------------------------------------------------------------------------

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: site.example\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"Content-Length: 5\r\nContent-Length: 0\r\n\r\n", id="two lengths"),
        pytest.param(b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n", id="two equal lengths"),
        pytest.param(b"Content-Length: 0, 0\r\n\r\n", id="list of lengths"),
        pytest.param(b"Content-Length: +0\r\n\r\n", id="signed length"),
        pytest.param(b"Content-Length: 0x0\r\n\r\n", id="hex length"),
        pytest.param(b"Content-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"Content-Length: 99999999999999999999999999\r\n\r\n", id="huge length"),
        pytest.param(b"Content-Length:\r\n\r\n", id="empty length"),
        pytest.param(b"Content_Length: 0\r\n\r\n", id="underscore length"),
        pytest.param(b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="CL.TE"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", id="TE.CL"),
        pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="TE.TE"),
        pytest.param(b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", id="chunked not last"),
        pytest.param(b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", id="identity"),
        pytest.param(b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="coded"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="xchunked"),
        pytest.param(b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", id="vertical tab"),
        pytest.param(b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", id="space before colon"),
        pytest.param(b"Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n", id="underscore coding"),
        pytest.param(b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="folded line"),
        pytest.param(b" X: y\r\n\r\n", id="folded first line"),
        pytest.param(b"X: y\nContent-Length: 0\r\n\r\n", id="bare LF in the header section"),
        pytest.param(b"X: y\n\n", id="bare LF ends the header section"),
        pytest.param(b"X: y\rContent-Length: 0\r\n\r\n", id="bare CR"),
        pytest.param(b"X: a\x00b\r\n\r\n", id="NUL"),
        pytest.param(b"X y\r\n\r\n", id="no colon"),
        pytest.param(b": y\r\n\r\n", id="no name"),
        pytest.param(b"X\xe9: y\r\n\r\n", id="name not ASCII"),
        pytest.param(b"Host: other.example\r\n\r\n", id="two hosts"),
    ],
)
async def test_a_request_that_could_be_read_in_two_ways_reaches_nobody(raw: bytes) -> None:
    async with world() as w:
        reply = await w.ask(b"POST / HTTP/1.1\r\nHost: site.example\r\n" + raw + SMUGGLED)
        assert split(reply)[0] in (400, 431, 501)
        assert reply.count(b"HTTP/1.1") == 1, "what follows a request that is not understood must not be read as a request"
        assert w.origin.heads == []
        assert w.origin.rest == b""


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (b"GET /\r\n", 400),
        (b"GET / HTTP/0.9\r\n", 400),
        (b"GET / HTTP/2.0\r\n", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET  / HTTP/1.1\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n", 400),
        (b"GET /a#b HTTP/1.1\r\n", 400),
        (b"GET a HTTP/1.1\r\n", 400),
        (b"GET * HTTP/1.1\r\n", 400),
        (b"GET http://other.example/ HTTP/1.1\r\n", 400),
        (b"CONNECT site.example:443 HTTP/1.1\r\n", 405),
        (b"TRACE / HTTP/1.1\r\n", 405),
        (b"N\xc3\xa9 / HTTP/1.1\r\n", 400),
    ],
)
async def test_a_request_line_that_is_not_one_is_refused(first: bytes, status: int) -> None:
    async with world() as w:
        assert split(await w.ask(first + b"Host: site.example\r\nConnection: close\r\n\r\n"))[0] in (status, 505)
        assert w.origin.heads == []


async def test_absolute_form_that_agrees_with_host_is_sent_on_in_origin_form() -> None:
    async with world() as w:
        assert split(await w.ask(get(b"http://Site.Example/x?y")))[0] == 200
        assert w.lines[0] == b"GET /x?y HTTP/1.1"


@pytest.mark.parametrize("host", [b"", b"a b", b"a/b", b"a@b", b"a,b", b"a:99999999", b"caf\xe9"])
async def test_a_host_that_is_no_name_is_refused(host: bytes) -> None:
    async with world() as w:
        assert split(await w.ask(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"))[0] == 400
        assert w.origin.heads == []


async def test_chunk_extensions_and_trailers_end_at_the_proxy() -> None:
    async def slurp(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        got.append(await reader.readexactly(size))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    got: list[bytes] = []
    body = b'3;a="\\";x=y"\r\nabc\r\n0;z\r\nX-Trailer: t\r\nCookie: stolen=1\r\n\r\n'
    async with world(slurp) as w:
        reply = await w.ask(get(method=b"POST", close=False).replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n") + body + SMUGGLED)
        assert split(reply)[0] == 200
        assert got == [b"abc"]
        # aiohttp's parser would put this trailer before the next request's fields: there is no next request
        assert len(w.origin.heads) == 1
        assert b"Connection: close" in reply
        assert b"X-Trailer" not in w.origin.heads[0]


@pytest.mark.parametrize("chunks", [b"zz\r\nabc\r\n", b"3\nabc\r\n0\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"-3\r\nabc\r\n", b"3 \r\nabc\r\n0\r\n\r\n"])
async def test_a_malformed_chunked_body_never_ends_well_at_the_upstream(chunks: bytes) -> None:
    async def never(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        got.append(await reader.read(-1))
        return "close"

    got: list[bytes] = []
    async with world(never) as w:
        head = get(method=b"POST", close=False).replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        reply = await w.ask(head, chunks, SMUGGLED, wait=0.05)
        assert split(reply)[0] == 400
        await eventually(lambda: len(got) == len(w.origin.heads), "the upload did not end")
        assert not any(b"0\r\n\r\n" in body or b"GET" in body for body in got)


# --- fields of one connection ------------------------------------------------------------------------------------------------------------


async def test_fields_of_one_connection_stay_on_it_both_ways() -> None:
    answer = says(
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\nTrailer: y\r\nUpgrade: h2c\r\n"
        b"X-Stays: 1\r\nContent-Length: 2\r\n\r\nok"
    )
    hop = [b"Keep-Alive: 1", b"Proxy-Connection: 1", b"TE: trailers", b"Trailer: X", b"Upgrade: h2c", b"HTTP2-Settings: AA", b"X-Mine: 1"]
    async with world(answer) as w:
        _, lines, body = split(await w.ask(get(b"/", *hop, b"Connection: close, X-Mine, Host, Upgrade, HTTP2-Settings", close=False)))
        assert [line.split(b":")[0] for line in w.lines[1:]] == [b"Host", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host"]
        assert lines == [b"X-Stays: 1", b"Content-Length: 2", b"Connection: close"]
        assert body == b"ok"


SPOOF = [b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: Front.example", b"Forwarded: for=1.2.3.4", b"X-Real-IP: 1.2.3.4"]


async def test_only_a_trusted_front_says_who_the_visitor_is() -> None:
    spoof = [*SPOOF, b"X_Forwarded_For: 6.6.6.6", b"X-Original-URL: /admin", b"X-Rewrite-URL: /admin"]
    async with world(trusted=()) as w:
        await w.ask(get(b"/", *spoof))
        assert w.lines[2:] == [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-Proto: http", b"X-Forwarded-Host: site.example"]
        seen = w.gateway.requests[0]
        assert (seen.scheme, seen.host, seen.client) == ("http", "site.example", "127.0.0.1")
        assert seen.pairs == [(b"Host", b"site.example")]
    async with world() as w:  # listening on loopback: loopback is trusted
        await w.ask(get(b"/", *spoof))
        assert w.lines[2:] == [
            b"X-Forwarded-For: 1.2.3.4, 127.0.0.1",
            b"X-Forwarded-Proto: https",
            b"X-Forwarded-Host: Front.example",
            b'Forwarded: for=1.2.3.4, for=127.0.0.1;host="Front.example";proto=https',
            b"X-Real-Ip: 1.2.3.4",
        ]
        seen = w.gateway.requests[0]
        assert (seen.scheme, seen.host, seen.client) == ("https", "front.example", "1.2.3.4")


async def test_the_visitor_is_the_last_address_no_trusted_front_vouches_for() -> None:
    async with world(trusted=("127.0.0.1", "10.0.0.0/8")) as w:
        await w.ask(get(b"/", b"X-Forwarded-For: 9.9.9.9, 8.8.8.8", b"X-Forwarded-For: 10.1.2.3"))
        await w.ask(get(b"/", b"X-Forwarded-For: unknown, 10.1.2.3"))
        assert [request.client for request in w.gateway.requests] == ["8.8.8.8", "10.1.2.3"]


# --- whole or streamed ---------------------------------------------------------------------------------------------------------------------


async def test_a_page_at_hand_is_judged_whole_and_a_long_one_streamed() -> None:
    sizes = {b"/short": 200_000, b"/long": 3_000_000}

    async def page(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        body = b"p" * sizes[head.split()[1]]
        if b"X-Chunked" in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with world(page) as w:
        for path, way in ((b"/short", "whole"), (b"/long", "head")):
            for more in ((), (b"X-Chunked: 1",)):
                status, lines, body = split(await w.ask(get(path, *more)))
                chunked = b"Transfer-Encoding: chunked" in lines
                assert chunked == (way == "head")
                assert (status, unchunk(body) if chunked else body) == (200, b"p" * sizes[path])
                assert w.gateway.ways.pop() == way


async def test_the_first_byte_of_a_streamed_page_does_not_wait() -> None:
    async def slow(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await writer.drain()
        sent.append(time.perf_counter())
        await asyncio.sleep(0.05)
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")

    sent: list[float] = []
    delays = []
    async with world(slow) as w:
        for _ in range(15):
            reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
            writer.write(get())
            await reader.readuntil(b"first")
            delays.append(time.perf_counter() - sent[-1])
            assert (await reader.read(-1)).endswith(b"last\r\n0\r\n\r\n")
            writer.close()
        assert w.gateway.ways == ["head"] * 15
    assert sorted(delays)[5] < 0.004, delays  # 2 ms and what two event loops in one process need


async def test_server_sent_events_flow_at_once() -> None:
    async def events(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> object:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for number in range(3):
            writer.write(b"data: %d\n\n" % number)
            await writer.drain()
            await heard[number].wait()
        await asyncio.sleep(0.8)  # longer than the idle limit of pages
        writer.write(b"data: end\n\n")
        return "close"

    heard = [asyncio.Event() for _ in range(3)]
    async with world(events) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(get())
        for number in range(3):
            async with asyncio.timeout(1):
                await reader.readuntil(b"data: %d\n\n" % number)
            heard[number].set()
        assert b"data: end\n\n" in await reader.read(-1)
        writer.close()


@pytest.mark.parametrize("streams", [True, False])
async def test_a_length_is_kept_only_where_the_body_passes_unchanged(streams: bool) -> None:
    body = b"j" * 2_000_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with world(says(answer), gateway=Through(streams=streams)) as w:
        _, lines, got = split(await w.ask(get()))
        assert (b"Content-Length: 2000000" in lines) is not streams
        assert (unchunk(got) if streams else got) == body


# --- backpressure ---------------------------------------------------------------------------------------------------------------------------


async def test_an_answer_waits_for_a_visitor_who_does_not_read() -> None:
    async def endless(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
        for _ in range(64):
            writer.write(b"m" * (1 << 20))
            await writer.drain()
            written.append(1)

    written: list[int] = []
    async with world(endless, limits=Limits()) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port, limit=1 << 16)
        writer.write(get())
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.5)
        assert len(written) < 24, "the proxy reads ahead of its visitor"
        total = 0
        while chunk := await reader.read(1 << 20):
            total += len(chunk)
        writer.close()
        assert sum(written) == 64
        assert total > 64 << 20


@pytest.mark.parametrize("chunked", [True, False])
async def test_an_upload_streams_and_waits_for_the_upstream(chunked: bool) -> None:
    async def later(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        if chunked:
            raw = await reader.readuntil(b"\r\n0\r\n\r\n")
            total = len(unchunk(raw))
        else:
            total = len(await reader.readexactly(32 << 20))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%8d" % total)

    go = asyncio.Event()
    async with world(later, limits=Limits()) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        line = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (32 << 20)
        writer.write(get(b"/", line, method=b"POST"))
        piece = b"u" * (1 << 20)
        sent = 0

        async def send() -> None:
            nonlocal sent
            for _ in range(32):
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                await writer.drain()
                sent += 1
            if chunked:
                writer.write(b"0\r\n\r\n")

        sending = asyncio.create_task(send())
        await asyncio.sleep(0.5)
        assert 0 < sent < 24, "the proxy buffers the upload"
        assert len(w.origin.heads) == 1, "the upload did not begin before it had ended"
        go.set()
        await sending
        assert split(await reader.read(-1))[2] == b"%8d" % (32 << 20)
        writer.close()
