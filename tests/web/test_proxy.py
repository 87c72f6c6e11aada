"""``volens proxy`` over real sockets: what the site behind it receives, what the visitor gets, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from volens.errors import ConfigError
from volens.web.messages import Pairs, Reply, Request, Waiting
from volens.web.proxy import Limits, serve, start
from volens.web.runtime import open_unconfigured

QUICK = Limits(
    connect=1.5,
    first_byte=1.5,
    idle=1.5,
    client_header=1.5,
    client_idle=1.7,
    keepalive=5.0,
    grace=1.0,
    connections=40,
    header_bytes=32 * 1024,
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

    def too_large(self) -> Reply:
        return Reply(413, [(b"content-type", b"text/plain")], b"too much was sent\n")

    def answer(self, body: bytes) -> Reply | Waiting:
        if self.request.target == b"/_volens/later":
            return Waiting(self.gateway.future, lambda result: Reply(201, [], repr(result).encode()))
        return Reply(200, [(b"Content-Type", b"text/plain")], b"own:" + body)

    def forwarded(self, pairs: Pairs) -> Pairs:
        return pairs

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

    def visiting(self, request: Request) -> None:
        return None

    def visit(self, request: Request, *, unread: bool = False) -> Plain:
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

    async def ask(self, *raw: bytes, wait: float = 0.0, within: float = 30.0) -> bytes:
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


async def eventually(true: Callable[[], bool], complaint: str, within: float = 30.0) -> None:
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

# --- bytes ----------------------------------------------------------------------------------------------------------------------


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


# --- one request can mean one thing only ----------------------------------------------------------------------------------------

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
        reply = await w.ask(
            get(method=b"POST", close=False).replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n") + body + SMUGGLED
        )
        assert split(reply)[0] == 200
        assert got == [b"abc"]
        # aiohttp's parser would put this trailer before the next request's fields: there is no next request
        assert len(w.origin.heads) == 1
        assert b"Connection: close" in reply
        assert b"X-Trailer" not in w.origin.heads[0]


@pytest.mark.parametrize(
    "chunks", [b"zz\r\nabc\r\n", b"3\nabc\r\n0\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"-3\r\nabc\r\n", b"3 \r\nabc\r\n0\r\n\r\n"]
)
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


async def test_whatever_is_sent_the_upstream_gets_one_well_formed_message_after_another() -> None:
    """Requests with seeded damage; the origin reads as strictly as RFC 9112 allows and must stay in step."""
    line = re.compile(rb"(?:GET|HEAD|POST|PUT|OPTIONS|DELETE) /[!-~]* HTTP/1\.1")
    fields = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*")
    wrong: list[bytes] = []

    async def strict(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *rest = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        names = [field.split(b":")[0].lower() for field in rest]
        lengths = [field.split(b": ")[1] for field in rest if field.lower().startswith(b"content-length:")]
        codings = [field for field in rest if field.lower().startswith(b"transfer-encoding:")]
        sound = (
            line.fullmatch(first) and all(map(fields.fullmatch, rest)) and len(lengths) + len(codings) <= 1 and names.count(b"host") == 1
        )
        if not sound or not all(length.isdigit() for length in lengths) or codings not in ([], [b"Transfer-Encoding: chunked"]):
            wrong.append(head)
        if b"Expect: 100-continue" in head:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if lengths:
            await reader.readexactly(int(lengths[0]))
        while codings:
            size = (await reader.readuntil(b"\r\n")).removesuffix(b"\r\n")
            data = await reader.readexactly(int(size, 16) + 2)
            if not re.fullmatch(rb"[0-9a-f]+", size) or not data.endswith(b"\r\n"):
                wrong.append(size + data)
            if size == b"0":
                break
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    seeds = [
        b"POST /a HTTP/1.1\r\nHost: site.example\r\nContent-Length: 12\r\nX: y\r\n\r\nGET / HTTP/1",
        b"POST /a HTTP/1.1\r\nHost: site.example\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\nc;a=b\r\nGET / HTTP/1\r\n0\r\nT: u\r\n\r\n",
        b"GET /a?b=c HTTP/1.1\r\nHost: site.example\r\nConnection: keep-alive, X\r\nX: y\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
        b"PUT /a HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
    ]
    bits = b"\r|\n|\r\n| |\t|\0|:|,|;|0|1|\x0b|\xff|_|-|\r\n |chunked".split(b"|")
    bits += [b"%s\r\n" % field for field in (b"Transfer-Encoding: chunked", b"Content-Length: 3", b"Host: b", b"Expect: 100-continue")]
    bits += [b"Upgrade: websocket\r\nConnection: Upgrade\r\n"]
    dice = random.Random(2)
    async with world(strict, limits=replace(QUICK, client_idle=0.15, client_header=0.15)) as w:

        async def one() -> tuple[bytes, bytes]:
            raw = dice.choice(seeds)
            for _ in range(dice.choice((0, 1, 1, 2))):
                at = dice.randrange(len(raw))
                raw = raw[:at] + dice.choice(bits) + raw[at + dice.choice((0, 0, 1, 2)) :]
            reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
            reply = b""
            with suppress(ConnectionError, TimeoutError):
                writer.write(raw + SMUGGLED)
                async with asyncio.timeout(0.4):
                    while chunk := await reader.read(65536):
                        reply += chunk
            writer.close()
            return raw, reply

        for _ in range(12):
            for raw, reply in await asyncio.gather(*(one() for _ in range(32))):
                assert b" 500 " not in reply, raw
                assert b" 502 " not in reply, raw
        assert wrong == []
        assert len(w.origin.heads) > 100, "too few got through for the test to mean anything"


# --- fields of one connection ---------------------------------------------------------------------------------------------------


async def test_fields_of_one_connection_stay_on_it_both_ways() -> None:
    answer = says(
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\n"
        b"Trailer: y\r\nUpgrade: h2c\r\n"
        b"X-Stays: 1\r\nContent-Length: 2\r\n\r\nok"
    )
    hop = [b"Keep-Alive: 1", b"Proxy-Connection: 1", b"TE: trailers", b"Trailer: X", b"Upgrade: h2c", b"HTTP2-Settings: AA", b"X-Mine: 1"]
    async with world(answer) as w:
        _, lines, body = split(await w.ask(get(b"/", *hop, b"Connection: close, X-Mine, Host, Upgrade, HTTP2-Settings", close=False)))
        assert [line.split(b":")[0] for line in w.lines[1:]] == [b"Host", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host"]
        assert lines == [b"X-Stays: 1", b"Content-Length: 2", b"Connection: close"]
        assert body == b"ok"


SPOOF = [
    b"X-Forwarded-For: 1.2.3.4",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: Front.example",
    b"Forwarded: for=1.2.3.4",
    b"X-Real-IP: 1.2.3.4",
]


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


# --- whole or streamed ----------------------------------------------------------------------------------------------------------


async def test_a_page_at_hand_is_judged_whole_and_a_long_one_streamed() -> None:
    sizes = {b"/short": 200_000, b"/long": 3_000_000}

    async def page(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        body = b"p" * sizes[head.split()[1]]
        if b"X-Chunked" in head:
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            )
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
    """The rest is sent only once the first has arrived. How soon that is stands in the benchmarks."""

    async def slow(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await writer.drain()
        await arrived.wait()
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")

    arrived = asyncio.Event()
    async with world(slow) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(get())
        await asyncio.wait_for(reader.readuntil(b"first"), 30)
        arrived.set()
        assert (await reader.read(-1)).endswith(b"last\r\n0\r\n\r\n")
        writer.close()
        assert w.gateway.ways == ["head"]


async def test_server_sent_events_flow_at_once() -> None:
    async def events(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> object:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for number in range(3):
            writer.write(b"data: %d\n\n" % number)
            await writer.drain()
            await heard[number].wait()
        await asyncio.sleep(2)  # longer than the idle limit of pages
        writer.write(b"data: end\n\n")
        return "close"

    heard = [asyncio.Event() for _ in range(3)]
    async with world(events) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(get())
        for number in range(3):
            async with asyncio.timeout(30):
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


# --- backpressure ---------------------------------------------------------------------------------------------------------------


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
            raw = bytearray()
            while not raw.endswith(b"\r\n0\r\n\r\n"):
                raw += await reader.read(1 << 20)
            total = raw.count(b"u")
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
        await eventually(lambda: sent > 0, "nothing of the upload is taken")
        await asyncio.sleep(0.5)
        assert 0 < sent < 24, "the proxy buffers the upload"
        assert len(w.origin.heads) == 1, "the upload did not begin before it had ended"
        go.set()
        await sending
        assert split(await reader.read(-1))[2] == b"%8d" % (32 << 20)
        writer.close()


async def test_the_end_of_an_upload_is_not_taken_for_a_header_section() -> None:
    """A fast visitor's last piece is larger than any header section may be."""

    async def counts(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%8d" % len(await reader.readexactly(120_000)))

    async with world(counts, limits=Limits()) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(get(b"/", b"Content-Length: 120000", method=b"POST") + b"u" * 20_000)
        await asyncio.sleep(0.2)
        writer.write(b"u" * 100_000)
        assert split(await reader.read(-1))[2] == b"  120000"
        writer.close()


# --- answers without a body, ranges, interim answers ----------------------------------------------------------------------------


async def test_head_and_304_and_204_have_no_body_and_the_connection_goes_on() -> None:
    async def script(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        path = head.split()[1]
        if head.startswith(b"HEAD"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1234\r\n\r\n")
        elif path == b"/304":
            writer.write(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 1234\r\n\r\n')
        elif path == b"/204":
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3\r\n\r\nabc")

    async with world(script) as w:
        reply = await w.ask(
            get(method=b"HEAD", close=False),
            get(b"/304", close=False),
            get(b"/204", close=False),
            get(b"/206", b"Range: bytes=0-2"),
            wait=0.05,
        )
        heads = reply.split(b"\r\n\r\n")
        assert b"Content-Length: 1234" in heads[0]
        assert heads[1].startswith(b"HTTP/1.1 304")
        assert b"Content-Length" not in heads[1] + heads[2]
        assert heads[2].startswith(b"HTTP/1.1 204")
        assert heads[3].startswith(b"HTTP/1.1 206")
        assert heads[4] == b"abc"
        assert b"Range: bytes=0-2" in w.lines
        assert w.origin.connections == 1


async def test_expect_100_continue_is_asked_of_the_upstream() -> None:
    async def careful(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        if b"/no" in head:
            writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
            return "close"
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(4)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)
        return None

    async with world(careful) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(get(b"/", b"Expect: 100-continue", b"Content-Length: 4", method=b"POST"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert split(await reader.read(-1))[2] == b"body"
        writer.close()
        refused = await w.ask(get(b"/no", b"Expect: 100-continue", b"Content-Length: 4", method=b"POST"))
        assert split(refused)[0] == 413
        assert b"100 Continue" not in refused
        own = await w.ask(get(b"/_volens/x", b"Expect: 100-continue", b"Content-Length: 4", method=b"POST"), b"body", wait=0.05)
        assert own.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
        assert own.endswith(b"own:body")


async def test_early_hints_are_judged_and_sent_on() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\nLink: <//tracker.example>; rel=preconnect\r\n\r\n"
    only = b"HTTP/1.1 103 Early Hints\r\nLink: <//tracker.example>; rel=preconnect\r\n\r\n"
    end = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with world(says(b"HTTP/1.1 102 Processing\r\n\r\n" + hints + only + end)) as w:
        reply = await w.ask(get())
        assert reply.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n")
        assert (await w.ask(get(version=b"1.0"))).startswith(b"HTTP/1.1 200 OK\r\n")


# --- WebSocket ------------------------------------------------------------------------------------------------------------------


async def test_a_websocket_passes_with_subprotocol_large_messages_and_close_code() -> None:
    async def chat(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(protocols=("chat.v2",), max_msg_size=0)
        await ws.prepare(request)
        async for message in ws:
            if message.data == "bye":
                await ws.close(code=4001, message=b"so long")
            elif message.type is aiohttp.WSMsgType.BINARY:
                await ws.send_bytes(message.data[::-1])
            else:
                await ws.send_str(message.data.upper())
        codes.append(ws.close_code)
        return ws

    codes: list[int | None] = []
    app = web.Application()
    app.router.add_get("/ws", chat)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gateway = Through(more=[(b"X-Judged", b"1")])
    proxy, port = await start(gateway, f"http://127.0.0.1:{runner.addresses[0][1]}", limits=QUICK)
    big = os.urandom(1 << 20) * 5
    try:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(f"http://127.0.0.1:{port}/ws", protocols=("chat.v2",), max_msg_size=0, compress=15) as ws:
                assert ws.protocol == "chat.v2"
                assert ws._response.headers["X-Judged"] == "1"
                await ws.send_str("hello")
                assert await ws.receive_str() == "HELLO"
                await ws.send_bytes(big)
                assert await ws.receive_bytes() == big[::-1]
                await asyncio.sleep(2)  # longer than a page may be idle
                await ws.send_str("bye")
                end = await ws.receive()
                assert (end.type, end.data, end.extra) == (aiohttp.WSMsgType.CLOSE, 4001, "so long")
            async with session.ws_connect(f"http://127.0.0.1:{port}/ws") as ws:
                await ws.close(code=4002)
            await eventually(lambda: codes[-1:] == [4002], "the visitor's close code did not arrive")
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"http://127.0.0.1:{port}/none")
            assert refused.value.status == 404
            gone = await session.ws_connect(f"http://127.0.0.1:{port}/ws")
            transport = gone._response.connection.transport
            transport.abort()
            await eventually(lambda: len(codes) == 3, "the upstream was not told that the visitor left")
        await eventually(lambda: not proxy.proxy.upstream.links, "a tunnel is left")
        assert gateway.requests[0].method == "GET"
    finally:
        await proxy.cleanup()
        await runner.cleanup()


async def test_an_upstream_that_switches_protocols_unasked_is_broken() -> None:
    switch = says(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw")
    async with world(switch) as w:
        assert split(await w.ask(get()))[0] == 502
        assert split(await w.ask(get(b"/", b"Upgrade: h2c", b"Connection: Upgrade, close", close=False)))[0] == 502
        assert not any(line.startswith((b"Upgrade", b"Connection")) for line in w.lines)


# --- when things go wrong -------------------------------------------------------------------------------------------------------


def hangs(*parts: bytes) -> Script:
    async def script(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.05)
        with suppress(ConnectionError):
            await reader.read(-1)  # until the proxy gives up
        return "close"

    return script


def cuts(*parts: bytes, reset: bool = False) -> Script:
    async def script(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05)
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        return "close"

    return script


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


@pytest.mark.parametrize(
    ("script", "status", "page"),
    [
        pytest.param(hangs(), 504, b"<p>slow", id="says nothing"),
        pytest.param(hangs(b"HTTP/1.1 200 OK\r\nX: "), 504, b"<p>slow", id="stops in the head"),
        pytest.param(cuts(), 502, b"<p>broken", id="hangs up"),
        pytest.param(cuts(b"HTTP/1.1 200 OK\r\n"), 502, b"<p>broken", id="hangs up in the head"),
        pytest.param(cuts(b"nonsense\r\n\r\n"), 502, b"<p>broken", id="does not speak HTTP"),
        pytest.param(cuts(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), 502, b"<p>broken", id="two lengths"),
        pytest.param(cuts(HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n"), 502, b"<p>broken", id="a head without end"),
        pytest.param(cuts(b"HTTP/1.1 102 Processing\r\n\r\n" * 40), 502, b"<p>broken", id="interim without end"),
    ],
)
async def test_a_failing_upstream_gives_a_clear_page_and_one_line_in_the_log(
    script: Script, status: int, page: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(script) as w:
        got, _, body = split(await w.ask(get(b"/page?token=secret")))
        assert (got, body) == (status, page)
    lines = [record.getMessage() for record in caplog.records if record.name == "volens.proxy"]
    assert len(lines) == 1
    assert lines[0].startswith("GET /page: http://127.0.0.1:")
    assert "secret" not in lines[0]


async def test_an_upstream_that_is_down_is_said_to_be_down() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        runner, port = await start(Through(), f"http://127.0.0.1:{taken.getsockname()[1]}", limits=QUICK)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(get(close=False) + get())
            reply = await reader.read(-1)
            assert reply.count(b"HTTP/1.1 502") == 2
            assert reply.count(b"<p>down") == 2
            writer.close()
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(cuts(HEAD + b"Content-Length: 2000000\r\n\r\n" + b"x" * 500_000), id="short of its length"),
        pytest.param(cuts(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), id="without last chunk"),
        pytest.param(cuts(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"zz\r\n"), id="malformed chunk"),
        pytest.param(cuts(HEAD + b"\r\nabc", b"def", reset=True), id="reset where the end of the connection is the end"),
        pytest.param(hangs(HEAD + b"Content-Length: 2000000\r\n\r\n" + b"x" * 1000), id="stops in its length"),
        pytest.param(hangs(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), id="stops between chunks"),
    ],
)
@pytest.mark.parametrize("streams", [True, False])
async def test_a_truncated_answer_never_ends_cleanly(script: Script, version: bytes, streams: bool) -> None:
    async with world(script, gateway=Through(streams=streams)) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(get(version=version))
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(-1), 30)
        writer.close()


async def test_an_answer_that_ends_with_its_connection_ends_well() -> None:
    async with world(cuts(HEAD + b"\r\nabc", b"def")) as w:
        assert unchunk(split(await w.ask(get()))[2]) == b"abcdef"
        assert split(await w.ask(get(version=b"1.0")))[2] == b"abcdef"


@pytest.mark.parametrize("where", ["visit", "whole", "head", "feed"])
async def test_our_own_mistake_never_shows_the_raw_page(where: str, caplog: pytest.LogCaptureFixture) -> None:
    async def page(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        size = 10 if where == "whole" else 2_000_000
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"RAW page " * (size // 9) + b"R" * (size % 9))

    async with world(page, gateway=Through(broken=where)) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(get())
        reply = b""
        with suppress(ConnectionResetError):
            reply = await reader.read(-1)
        writer.close()
        assert b"RAW" not in reply
        if where != "feed":
            assert split(reply)[0] == (500 if where == "visit" else 502)
    assert f"a mistake in {where}" in caplog.text


@pytest.mark.parametrize("bad", [(b"X", b"a\r\nSet-Cookie: x=1"), (b"X", b"a\nb"), (b"X\r\nY", b"a"), (b"X", b"\0"), (b"X", b"a\rb")])
async def test_nothing_is_injected_through_a_field(bad: tuple[bytes, bytes]) -> None:
    async with world(gateway=Through(more=[bad])) as w:
        reply = await w.ask(get())
        assert split(reply)[0] == 502
        assert b"Set-Cookie" not in reply


async def test_a_kept_connection_that_died_is_replaced_for_what_may_be_repeated() -> None:
    async def once(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        if len(w.origin.heads) in (2, 5):
            return "close"  # the second request on a kept connection: nobody answers
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return None

    async with world(once) as w:
        assert split(await w.ask(get(b"/1")))[0] == 200
        assert split(await w.ask(get(b"/2")))[0] == 200
        assert [head.split()[1] for head in w.origin.heads] == [b"/1", b"/2", b"/2"]
        assert split(await w.ask(get(b"/3", b"Content-Length: 0", method=b"POST")))[0] == 200
        assert split(await w.ask(get(b"/4", b"Content-Length: 0", method=b"POST")))[0] == 502, "a POST must not be sent twice"
        assert [head.split()[1] for head in w.origin.heads].count(b"/4") == 1


async def test_a_visitor_who_leaves_frees_the_upstream() -> None:
    async with world(hangs(HEAD + b"Content-Length: 9000000\r\n\r\nabc"), limits=Limits()) as w:
        for path in (b"/", b"/x"):
            reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
            writer.write(get(path))
            await reader.readuntil(b"abc")
            assert w.origin.open == 1
            writer.transport.abort()
            await eventually(lambda: w.origin.open == 0, "the upstream goes on working for nobody")


async def test_an_upstream_may_answer_before_the_upload_has_ended() -> None:
    async with world(cuts(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nmuch"), limits=Limits()) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(get(b"/", b"Content-Length: 90000000", method=b"POST", close=False) + b"x" * 100_000)
        head = await reader.readuntil(b"much")
        assert split(head)[0] == 413
        assert b"Connection: close" in head
        writer.close()


# --- limits ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(get(b"/" + b"a" * 20_000), id="request line"),
        pytest.param(get(b"/", b"X: " + b"y" * 40_000), id="one field"),
        pytest.param(get(b"/", *[b"X: " + b"y" * 4000] * 12), id="all fields"),
        pytest.param(get(b"/", *[b"X: y"] * 300), id="number of fields"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 1200, id="without end"),
    ],
)
async def test_a_request_that_is_too_large_is_refused(raw: bytes) -> None:
    async with world() as w:
        assert split(await w.ask(raw))[0] in (400, 431)
        assert w.origin.heads == []


async def test_cookies_of_8_kb_and_two_hundred_of_them_pass() -> None:
    async with world() as w:
        assert split(await w.ask(get(b"/", b"Cookie: big=" + b"v" * 8192)))[0] == 200
        assert split(await w.ask(get(b"/", b"Cookie: " + b"; ".join(b"c%d=%s" % (n, b"v" * 60) for n in range(200)))))[0] == 200


async def test_slow_requests_are_cut_off() -> None:
    async with world(hangs()) as w:
        begin = time.monotonic()
        assert split(await w.ask(b"GET / HTTP/1.1\r\nHost: a"))[0] == 408
        reply = await w.ask(get(b"/", b"Content-Length: 10", method=b"POST") + b"abc")
        assert split(reply)[0] == 408
        reply = await w.ask(get(b"/_volens/x", b"Content-Length: 10", method=b"POST") + b"abc")
        assert split(reply)[0] == 408
        assert time.monotonic() - begin < 60


async def test_a_visitor_who_reads_nothing_is_let_go() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000_000
    async with world(cuts(answer)) as w:
        _, writer = await asyncio.open_connection("127.0.0.1", w.port, limit=1024)
        writer.write(get())
        await eventually(lambda: w.runner.proxy.server.requests_count == 1, "never came")
        await eventually(lambda: not w.runner.proxy.server.connections, "still held")
        writer.transport.abort()


async def test_more_connections_than_the_limit_are_told_so() -> None:
    async with world() as w:
        held = [await asyncio.open_connection("127.0.0.1", w.port) for _ in range(QUICK.connections)]
        await eventually(lambda: len(w.runner.proxy.server.connections) == QUICK.connections, "some never came")
        assert split(await w.ask(b""))[0] == 503
        for _, writer in held:
            writer.close()
        await eventually(lambda: not w.runner.proxy.server.connections, "still held")
        assert split(await w.ask(get()))[0] == 200


async def test_own_endpoints_take_a_small_body_only() -> None:
    async with world() as w:
        assert (await w.ask(get(b"/_volens/x", b"Content-Length: 3", method=b"POST") + b"abc")).endswith(b"own:abc")
        assert split(await w.ask(get(b"/_volens/x", b"Content-Length: 1001", method=b"POST") + b"x" * 1001))[0] == 413
        chunked = get(b"/_volens/x", b"Transfer-Encoding: chunked", method=b"POST")
        assert (await w.ask(chunked + b"3\r\nabc\r\n0\r\n\r\n")).endswith(b"own:abc")
        assert split(await w.ask(chunked + b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n"))[0] == 413
        assert w.origin.heads == []


async def test_an_answer_waits_for_its_row_and_a_visitor_who_leaves_does_not_undo_it() -> None:
    async with world() as w:
        _, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(get(b"/_volens/later"))
        await eventually(lambda: len(w.gateway.requests) == 1, "never came")
        writer.transport.abort()
        await asyncio.sleep(0.05)
        assert not w.gateway.future.cancelled()
        asking = asyncio.create_task(w.ask(get(b"/_volens/later")))
        await asyncio.sleep(0.05)
        assert not asking.done()
        w.gateway.future.set_exception(OSError("disk full"))
        status, _, body = split(await asking)
        assert (status, body) == (201, b"OSError('disk full')")
        w.gateway.future = Future()
        w.gateway.future.cancel()
        assert b"StoreUnavailable" in await w.ask(get(b"/_volens/later"))


async def test_the_access_log_names_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "volens.access")
    async with world(access_log=True) as w:
        await w.ask(get(b"/page?email=someone@site.example", b"X-Forwarded-For: 1.2.3.4"))
    (record,) = [record for record in caplog.records if record.name == "volens.access"]
    line = json.loads(record.getMessage())
    assert {**line, "ms": 0} == {"method": "GET", "path": "/page", "status": 200, "bytes": line["bytes"], "ms": 0, "own": False}


# --- starting and stopping ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("upstream", "listen"),
    [("127.0.0.1:80", "127.0.0.1:0"), ("http://a/path", "127.0.0.1:0"), ("ftp://a", "127.0.0.1:0"), ("http://a:99999", "127.0.0.1:0"),
     ("http://a", "8080"), ("http://a", "127.0.0.1:99999"), ("http://a", "192.0.2.1:80")],
)  # fmt: skip
async def test_an_address_that_cannot_be_used_is_said_with_a_remedy(upstream: str, listen: str) -> None:
    with pytest.raises(ConfigError) as error:
        serve(Through, upstream=upstream, listen=listen)
    assert error.value.mistakes[0].remedy


async def test_stopping_lets_requests_in_flight_finish() -> None:
    async def slow(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with world(slow, limits=Limits(grace=60)) as w:
        idle = await asyncio.open_connection("127.0.0.1", w.port)
        asking = asyncio.create_task(w.ask(get(close=False)))
        await eventually(lambda: len(w.origin.heads) == 1, "never came")
        begin = time.monotonic()
        await w.runner.cleanup()
        assert time.monotonic() - begin < 20, "it does not wait for who is idle"
        assert split(await asking)[2] == b"ok"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", w.port)
        assert await idle[0].read() == b""
        idle[1].close()


async def test_what_does_not_finish_in_time_is_cut_off() -> None:
    async with world(hangs(HEAD + b"Content-Length: 9000000\r\n\r\nabc"), limits=Limits(grace=0.3)) as w:
        reader, writer = await asyncio.open_connection("127.0.0.1", w.port)
        writer.write(get())
        await reader.readuntil(b"abc")
        begin = time.monotonic()
        await w.runner.cleanup()
        assert time.monotonic() - begin < 20
        writer.close()


SERVE = """
import os, sys
sys.path[:0] = {paths!r}
from tests.web.test_proxy import Through
from volens.web.proxy import Limits, serve
from volens.web.messages import Reply
class Me(Through):
    def visit(self, request):
        visit = super().visit(request)
        visit.answer = lambda body: Reply(200, [], str(os.getpid()).encode())
        return visit
serve(Me, upstream={upstream!r}, listen="127.0.0.1:0", workers={workers}, limits=Limits(grace=3), ready=lambda url: print(url, flush=True))
"""
ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def served(workers: int, script: Script = OK) -> AsyncIterator[tuple[subprocess.Popen[str], int, Origin]]:
    origin = Origin(script)
    server = await asyncio.start_server(origin.connected, "127.0.0.1", 0)
    code = SERVE.format(
        paths=[str(ROOT), str(ROOT / "src")], upstream=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", workers=workers
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
        yield process, int(line.rsplit(":", 1)[1]), origin
    finally:
        process.kill()
        process.wait()
        server.close()
        await server.wait_closed()


async def pid_of(port: int) -> int:
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get(b"/_volens/pid"))
        reply = await reader.read(-1)
        writer.close()
        return int(split(reply)[2])


async def test_a_dead_worker_is_replaced_and_sigterm_ends_all() -> None:
    async with served(workers=2) as (process, port, _):
        seen = {await pid_of(port) for _ in range(40)}
        assert len(seen) == 2
        victim = seen.pop()
        os.kill(victim, signal.SIGKILL)
        after = {await pid_of(port) for _ in range(40)}  # those that went to the dead worker's socket waited for the new one
        assert victim not in after
        assert len(after | seen) == 2
        process.terminate()
        assert await asyncio.to_thread(process.wait, 30) == 0
        with pytest.raises(ConnectionRefusedError):
            await pid_of(port)


async def test_workers_end_with_their_parent() -> None:
    async with served(workers=2) as (process, port, _):
        workers = {await pid_of(port) for _ in range(40)}
        process.kill()
        process.wait()

        def gone() -> bool:
            return not any(Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2] for pid in workers)

        await eventually(gone, "workers are left")


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_lets_a_request_finish(workers: int) -> None:
    async def slow(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with served(workers, slow) as (process, port, origin):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get())
        await eventually(lambda: len(origin.heads) == 1, "never came")
        process.send_signal(signal.SIGTERM)
        assert split(await reader.read(-1))[2] == b"ok"
        writer.close()
        assert await asyncio.to_thread(process.wait, 30) == 0


async def test_a_worker_that_cannot_start_ends_the_command() -> None:
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'src')!r}]\n"
        "from volens.errors import ConfigError, Mistake\nfrom volens.web.proxy import serve\n"
        "def bad(): raise ConfigError('volens.toml', (Mistake('[site]', 'nothing', 'Write it.'),))\n"
        "serve(bad, upstream='http://127.0.0.1:9', listen='127.0.0.1:0', workers=2)\n"
    )
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78
    assert "Write it." in done.stderr


# --- with the gateway itself ----------------------------------------------------------------------------------------------------

PAGE = (
    b"<!doctype html><html lang=en><head><title>News</title><script src='https://www.google-analytics.com/analytics.js'></script></head>"
    b"<body><h1>Headline</h1>%s</body></html>"
)


@asynccontextmanager
async def behind_volens(script: Script, folder: Path) -> AsyncIterator[World]:
    gateway = open_unconfigured(folder)
    try:
        async with world(script, limits=Limits(), gateway=gateway) as w:  # type: ignore[arg-type]
            yield w
    finally:
        gateway.store.close()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_page_obeys_whole_or_streamed(streamed: bool, tmp_path: Path) -> None:
    async def page(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        body = PAGE % (b"<p>text</p>" * (200_000 if streamed else 10))
        writer.write(HEAD + b"Set-Cookie: _ga=1\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(b"" if head.startswith(b"HEAD") else body)

    async with behind_volens(page, tmp_path) as w:
        status, lines, body = split(await w.ask(get(b"/", b"Accept: text/html", b"Cookie: _ga=old; volens=x; session=1")))
        body = unchunk(body) if streamed else body
        assert status == 200
        assert b"<volens-notice" in body
        assert b" src='https://www.google-analytics.com" not in body
        assert body.count(b"<p>text</p>") == (200_000 if streamed else 10)
        assert any(line.lower().startswith(b"content-security-policy:") for line in lines)
        assert not any(line.lower().startswith(b"set-cookie: _ga=1") for line in lines)
        cookie = next(line for line in w.lines if line.lower().startswith(b"cookie:"))
        assert cookie.split(b": ")[1] == b"session=1"
        _, lines, body = split(await w.ask(get(b"/", b"Accept: text/html", method=b"HEAD")))
        assert body == b""
        assert not any(line.lower().startswith(b"content-length") for line in lines), "the length of the page before it was rewritten"


async def test_a_choice_is_recorded_and_obeyed(tmp_path: Path) -> None:
    async def page(head: bytes, reader: Any, writer: asyncio.StreamWriter) -> None:
        body = PAGE % b""
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async with behind_volens(page, tmp_path) as w:
        notice = split(await w.ask(get(b"/", b"Accept: text/html")))[2].split(b'name="notice" value="')[1].split(b'"')[0].decode()
        form = f"notice={notice}&answer=accept&surface=notice&language=en&back=/".encode()
        fields = [b"Content-Type: application/x-www-form-urlencoded", b"Origin: http://site.example", b"Sec-Fetch-Site: same-origin"]
        status, lines, _ = split(await w.ask(get(b"/_volens/choice", *fields, b"Content-Length: %d" % len(form), method=b"POST") + form))
        assert status == 303
        cookies = [line.split(b": ", 1)[1].split(b";")[0] for line in lines if line.lower().startswith(b"set-cookie: volens")]
        assert len(cookies) == 2
        accepted = split(await w.ask(get(b"/", b"Accept: text/html", b"Cookie: " + b"; ".join(cookies))))[2]
        assert b" src='https://www.google-analytics.com" in accepted
        assert not any(b"volens" in line.lower() and line.lower().startswith(b"cookie") for line in w.lines)


async def test_a_failing_site_is_said_to_fail_on_a_page_of_ours(tmp_path: Path) -> None:
    async with behind_volens(cuts(), tmp_path) as w:
        status, lines, body = split(await w.ask(get(b"/article", b"Accept: text/html")))
        assert status == 502
        assert b"<html" in body
        assert b"cache-control: no-store" in [line.lower() for line in lines]


async def test_a_websocket_passes_through_the_gateway(tmp_path: Path) -> None:
    async def upgraded(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n")
        writer.write(b"Volens-Account: marie\r\nVolens-Age: minor\r\nSet-Cookie: _ga=1\r\n\r\n")
        writer.write(b"first" + await reader.readexactly(4))
        return "close"

    async with behind_volens(upgraded, tmp_path) as w:
        fields = [
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Key: k",
            b"Sec-WebSocket-Version: 13",
            b"Cookie: _ga=1; session=1",
        ]
        status, lines, body = split(await w.ask(get(b"/ws", *fields, close=False) + b"\x00\xff\r\n"))
        assert (status, body) == (101, b"first\x00\xff\r\n")
        assert lines[:1] == [b"Sec-WebSocket-Accept: x"]
        assert not any(word in b"\n".join(lines).lower() for word in (b"volens-account", b"volens-age:", b"_ga")), "words for us alone"
        assert b"Sec-WebSocket-Key: k" in w.lines
        assert not any(b"_ga" in line for line in w.lines)
