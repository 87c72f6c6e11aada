"""Two faces of one exchange: the same application as ASGI and as WSGI answers alike, over real sockets and called directly."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
import uvicorn

from tests.enforce.making import HOST, SITE
from tests.oracle import would_load
from tests.web.making import FORM, NAMED, SAME, Held, away, gateway
from tests.web.wsgi_server import serving
from volens.web.asgi import AsgiFace
from volens.web.gateway import Gateway
from volens.web.visit import MAX_BODY
from volens.web.wsgi import WsgiFace

GA = "https://www.google-analytics.com"
PAGE = f"<!DOCTYPE html><html lang=fr><head><title>é</title></head><body><p>Bonjour</p><script src={GA}/x></script></body></html>".encode()
BIG = PAGE.replace(b"<p>", b"<p>" + b"texte " * 300_000)


def answers(path: str, method: str) -> tuple[int, list[tuple[bytes, bytes]], list[bytes]]:
    """The one application: status, headers, body in pieces."""
    html = (b"content-type", b"text/html; charset=utf-8")
    table: dict[str, tuple[int, list[tuple[bytes, bytes]], list[bytes]]] = {
        "/page": (200, [html, (b"set-cookie", b"_ga=1"), (b"set-cookie", b"panier=1"), (b"etag", b'"a"')], [PAGE]),
        "/length": (200, [html, (b"content-length", str(len(PAGE)).encode())], [PAGE]),
        "/pieces": (200, [html], [PAGE[:30], b"", PAGE[30:90], PAGE[90:]]),
        "/big": (200, [html], [BIG[i : i + 65536] for i in range(0, len(BIG), 65536)]),
        "/gzip": (200, [html, (b"content-encoding", b"gzip")], [gzip.compress(PAGE, mtime=0)]),
        "/json": (200, [(b"content-type", b"application/json")], [b'{"a":1}']),
        "/empty": (204, [], []),
        "/moved": (302, [(b"location", b"/page")], [b""]),
        "/missing": (404, [html], [b"<h1>404</h1>"]),
        "/same": (304, [(b"etag", b'"a"')], []),
        "/binary": (200, [(b"content-type", b"image/png")], [bytes(range(256))]),
        "/odd": (299, [html], [b"<p>odd"]),
    }
    status, headers, body = table.get(path, (404, [html], [b"<p>?"]))
    if method == "HEAD":
        body = []
    return status, headers, body


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps([k.decode() for k, _ in scope["headers"]])})
        return
    if scope["path"] == "/echo":
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        seen = [
            scope["method"],
            {k.decode(): v.decode("latin-1") for k, v in scope["headers"]},
            body.decode("latin-1"),
            scope["consent"].key,
        ]
        pairs, pieces, status = [(b"content-type", b"application/json")], [json.dumps(seen).encode()], 200
    else:
        status, pairs, pieces = answers(scope["path"], scope["method"])
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    for piece in pieces[:-1]:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": pieces[-1] if pieces else b""})


def wsgi_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    if path == "/echo":
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = {k[5:].replace("_", "-").lower(): v for k, v in environ.items() if k.startswith("HTTP_")}
        pairs, pieces, status = [(b"content-type", b"application/json")], [], 200
        pieces = [json.dumps([method, headers, body.decode("latin-1"), environ["consent"].key]).encode()]
    else:
        status, pairs, pieces = answers(path, method)
    start_response(f"{status} Whatever", [(k.decode(), v.decode("latin-1")) for k, v in pairs])
    return pieces if path != "/pieces" else iter(pieces)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    built = gateway(tmp_path_factory.mktemp("faces"))
    yield built
    built.store.close()


@pytest.fixture(scope="module")
def ports(made: Gateway) -> Iterator[dict[str, int]]:
    """Both faces behind real servers, on free ports."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(AsgiFace(asgi_app, lambda: made), log_level="error", ws="none"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    with serving(WsgiFace(wsgi_app, lambda: made)) as port:
        yield {"wsgi": port, "asgi": listening.getsockname()[1]}
    running.should_exit = True
    thread.join(10)


NOT_OURS = {"date", "server", "connection", "transfer-encoding", "content-length", "keep-alive"}


def ask(
    port: int, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, list[tuple[str, str]], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        sent = {"Host": HOST, "Sec-Fetch-Dest": "document", **(headers or {})}
        if body is not None:
            sent["Content-Length"] = str(len(body))
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        pairs = sorted((name.lower(), value) for name, value in answer.getheaders() if name.lower() not in NOT_OURS)
        return answer.status, pairs, answer.read()
    finally:
        connection.close()


TABLE: list[tuple[str, str, dict[str, str], bytes | None]] = [
    *(
        ("GET", path, {}, None)
        for path in "/page /length /pieces /big /gzip /json /empty /moved /missing /same /binary /odd /nowhere".split()
    ),
    *(("HEAD", path, {}, None) for path in ("/page", "/length", "/json", "/_volens/panel", "/_volens/health")),
    ("GET", "/page?a=%3Cscript%3E&b=1", {}, None),
    ("GET", "/page", {"Cookie": "_ga=1; panier=2"}, None),
    ("GET", "/page", {"Sec-Fetch-Dest": "empty"}, None),
    ("GET", "/page", {"Sec-GPC": "1", "Accept-Language": "en"}, None),
    ("GET", "/_volens/panel?back=/page", {}, None),
    ("GET", "/_volens/policy", {}, None),
    ("GET", "/_volens/none", {}, None),
    ("DELETE", "/_volens/choice", {}, None),
    (
        "POST",
        "/_volens/choice",
        {"Content-Type": FORM.decode(), "Sec-Fetch-Site": "same-origin"},
        f"notice={NAMED}&answer=refuse&back=/page".encode(),
    ),
    ("POST", "/_volens/choice", {"Content-Type": FORM.decode(), "Sec-Fetch-Site": "cross-site"}, b"answer=accept"),
    ("POST", "/_volens/choice", {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}, b"{}"),
    ("POST", "/_volens/choice", {"Content-Type": FORM.decode()}, b"x" * (MAX_BODY + 1)),
    ("POST", "/comments", {"Content-Type": FORM.decode()}, b"text=Bonjour"),
    ("GET", "/g/collect?v=2&tid=G-1", {"Sec-Fetch-Dest": "empty"}, None),
]


@pytest.mark.parametrize(("method", "path", "headers", "body"), TABLE, ids=[f"{m} {p} {' '.join(h.values())}"[:60] for m, p, h, _ in TABLE])
def test_both_faces_answer_alike(ports: dict[str, int], method: str, path: str, headers: dict[str, str], body: bytes | None) -> None:
    asgi, wsgi = (ask(ports[face], method, path, headers, body) for face in ("asgi", "wsgi"))
    assert asgi[0] == wsgi[0]
    assert asgi[1] == wsgi[1]
    assert asgi[2] == wsgi[2]
    if method == "HEAD":
        assert asgi[2] == b""
    assert (
        not any("google-analytics" in load.url for load in would_load(asgi[2].decode("latin-1"), HOST))
        or headers.get("Sec-Fetch-Dest") == "empty"
    )


@pytest.mark.parametrize("face", ["asgi", "wsgi"])
def test_the_application_reads_no_refused_cookie_and_is_told_what_is_granted(ports: dict[str, int], face: str) -> None:
    sent = {
        "Cookie": "_ga=1; panier=2; volens=x; volens-record=y",
        "Volens-Consent": "video",
        "volens_consent": "video",
        "Range": "bytes=0-1",
    }
    status, _, body = ask(ports[face], "POST", "/echo", {**sent, "Content-Type": "text/plain"}, b"\xffbody")
    method, headers, received, key = json.loads(body)
    assert (status, method, received, key) == (200, "POST", "\xffbody", "")
    assert headers["cookie"] == "panier=2" and "range" not in headers
    assert "video=?0" in headers["volens-consent"]


@pytest.mark.parametrize("face", ["asgi", "wsgi"])
@pytest.mark.parametrize("path", ["/comm%65nts", "//comments", "/x/..%2fcomments", "/comm%2565nts", "/comments;a", "/COMMENTS/"])
def test_a_gate_holds_over_a_real_socket(ports: dict[str, int], face: str, path: str) -> None:
    assert ask(ports[face], "POST", path, {"Content-Type": FORM.decode()}, b"text=Bonjour")[0] == 403


@pytest.mark.parametrize("face", ["asgi", "wsgi"])
def test_a_choice_waits_for_the_ledger_and_then_goes_on(ports: dict[str, int], face: str) -> None:
    body = f"notice={NAMED}&answer=accept&back=/page".encode()
    status, pairs, _ = ask(ports[face], "POST", "/_volens/choice", {"Content-Type": FORM.decode(), "Sec-Fetch-Site": "same-origin"}, body)
    assert status == 303 and ("location", "/page") in pairs
    cookie = "; ".join(value.partition(";")[0] for name, value in pairs if name == "set-cookie")
    assert json.loads(ask(ports[face], "GET", "/echo", {"Cookie": cookie})[2])[3] == "*"


def test_wsgi_is_wsgi(made: Gateway) -> None:
    """wsgiref's own judge finds nothing in what the server is given."""
    from wsgiref.util import setup_testing_defaults

    for path in ("/page", "/pieces", "/json", "/_volens/panel", "/big"):
        environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
        environ |= {"HTTP_HOST": HOST, "HTTP_SEC_FETCH_DEST": "document"}
        setup_testing_defaults(environ)
        made_answer = validator(WsgiFace(wsgi_app, lambda: made))(environ, lambda *a: lambda data: None)
        assert b"".join(made_answer)
        made_answer.close()


# ---------------------------------------------------------------------------------------- WSGI, called directly


class Server:
    """What a WSGI server keeps."""

    def __init__(self) -> None:
        self.heads: list[tuple[str, list[tuple[str, str]], Any]] = []

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        self.heads.append((status, headers, exc_info))
        return lambda data: None

    def run(self, made: Gateway, app: Any, path: str = "/page", **environ: Any) -> Iterable[bytes]:
        base = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "HTTP_HOST": HOST,
            "HTTP_SEC_FETCH_DEST": "document",
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(environ.pop("body", b"")),
        }
        return WsgiFace(app, lambda: made)({**base, **environ}, self.start)


HTML = [("Content-Type", "text/html; charset=utf-8")]


class Streaming:
    """An application's body that knows how far it has been read."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces, self.made, self.closed = iter(pieces), 0, False

    def __iter__(self) -> Streaming:
        return self

    def __next__(self) -> bytes:
        piece = next(self.pieces)
        self.made += 1
        return piece

    def close(self) -> None:
        self.closed = True


def test_wsgi_streams(made: Gateway) -> None:
    body = Streaming(b"<html><head></head><body><p>one</p>", b"<p>two</p>", b"<p>three</p>")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        return body

    server = Server()
    parts = iter(answer := server.run(made, app))
    assert server.heads, "the head is out before the first part is asked for"
    assert b"one" in next(parts) and body.made == 1
    assert b"two" in next(parts) and body.made == 2
    assert not body.closed
    answer.close()  # type: ignore[attr-defined]
    assert body.closed


def test_wsgi_close_is_called_whatever_happens(made: Gateway) -> None:
    class Breaks(Streaming):
        def __next__(self) -> bytes:
            raise RuntimeError("broken")

    body = Breaks()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        return body

    with pytest.raises(RuntimeError, match="broken"):
        b"".join(Server().run(made, app))
    assert body.closed


def test_wsgi_write_is_rewritten_too(made: Gateway) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", HTML)
        write(PAGE[:60])
        write(PAGE[60:])
        return []

    server = Server()
    made_body = b"".join(server.run(made, app))
    assert b"Bonjour" in made_body and would_load(made_body.decode(), HOST) == []


def test_wsgi_an_error_page_may_take_the_place_of_a_head_not_yet_sent(made: Gateway) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        try:
            raise ValueError("late")
        except ValueError:
            import sys

            start_response("500 Broken", HTML, sys.exc_info())
        return [b"<p>sorry"]

    server = Server()
    assert b"sorry" in b"".join(server.run(made, app))
    assert [head[0] for head in server.heads] == ["500 Broken"]


def test_wsgi_once_the_head_is_out_an_error_is_raised_again(made: Gateway) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HTML)
        yield b"<html><head></head><body><p>one</p>"
        try:
            raise ValueError("late")
        except ValueError:
            import sys

            start_response("500 Broken", HTML, sys.exc_info())
        yield b"two"

    with pytest.raises(ValueError, match="late"):
        b"".join(Server().run(made, app))


def test_wsgi_errors_of_the_application_are_its_server_s(made: Gateway) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise KeyError("theirs")

    with pytest.raises(KeyError):
        Server().run(made, app)


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/comments", "/comments"),
        ("/comments", "/comm%65nts"),
        ("/comments", ""),
        ("/comments", "/elsewhere"),
        ("/elsewhere", "/comments"),
        ("/comments/", "//comments/"),
    ],
)
def test_wsgi_a_gate_holds_for_what_the_application_reads(made: Gateway, path: str, raw: str) -> None:
    """A server that rewrites paths passes another one to the application than was asked for."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", HTML)
        return [b"posted"]

    server = Server()
    b"".join(server.run(made, app, path, REQUEST_METHOD="POST", **({"REQUEST_URI": raw} if raw else {})))
    assert server.heads[0][0][:3] == ("403" if path.startswith("/comments") else "200")


def test_wsgi_bodies_of_our_own_are_limited(made: Gateway) -> None:
    for length in (str(MAX_BODY + 1), "-1", "99999999999999999999"):
        server = Server()
        b"".join(server.run(made, wsgi_app, "/_volens/choice", REQUEST_METHOD="POST", CONTENT_LENGTH=length))
        assert server.heads[0][0].startswith("413")
    server = Server()
    b"".join(server.run(made, wsgi_app, "/_volens/choice", REQUEST_METHOD="POST", CONTENT_LENGTH="x"))
    assert server.heads[0][0][:1] in "24"


# ---------------------------------------------------------------------------------------- ASGI, called directly


def scope(path: str = "/page", kind: str = "http", **more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "type": kind,
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "https" if kind == "http" else "wss",
        "headers": [(b"host", HOST.encode()), (b"sec-fetch-dest", b"document")],
        "client": ("192.0.2.9", 1),
    }
    if kind == "websocket":
        del base["method"]
    return {**base, **more}


def run(
    made: Gateway,
    app: Any,
    asked: dict[str, Any],
    *messages: dict[str, Any],
    on_send: Callable[[dict[str, Any]], None] = lambda message: None,
) -> list[dict[str, Any]]:
    """One connection; what was sent."""
    sent: list[dict[str, Any]] = []

    async def main() -> None:
        waiting = list(messages) or [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            on_send(message)

        await AsgiFace(app, lambda: made)(asked, receive, send)

    away(main())
    return sent


def body_of(sent: list[dict[str, Any]]) -> bytes:
    return b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")


def test_asgi_streams(made: Gateway) -> None:
    order: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        for word in ("one", "two", "three"):
            order.append(f"made {word}")
            await send({"type": "http.response.body", "body": f"<p>{word}</p>".encode(), "more_body": True})
        await send({"type": "http.response.body"})

    def note(message: dict[str, Any]) -> None:
        order.extend(f"sent {word}" for word in ("one", "two", "three") if word.encode() in message.get("body", b""))

    sent = run(made, app, scope(), on_send=note)
    assert order == ["made one", "sent one", "made two", "sent two", "made three", "sent three"]
    assert [message["type"] for message in sent].count("http.response.start") == 1 and not sent[-1].get("more_body")


def test_asgi_lifespan_and_what_is_unknown_pass(made: Gateway) -> None:
    sent = run(made, asgi_app, {"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_asgi_a_websocket_passes_without_refused_cookies(made: Gateway) -> None:
    asked = scope("/live", "websocket", headers=[(b"host", HOST.encode()), (b"cookie", b"_ga=1"), (b"x-a", b"b")])
    sent = run(made, asgi_app, asked, {"type": "websocket.connect"})
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send"]
    names = json.loads(sent[1]["text"])
    assert "x-a" in names and "cookie" not in names and "volens-consent" in names


def test_asgi_a_websocket_behind_a_gate_is_closed(made: Gateway) -> None:
    sent = run(made, asgi_app, scope("/profil/live", "websocket"), {"type": "websocket.connect"})
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_asgi_ways_to_send_a_body_unseen_are_not_offered(made: Gateway) -> None:
    offered: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        offered.update(scope["extensions"])
        await asgi_app(scope, receive, send)

    extensions = {
        "http.response.pathsend": {},
        "http.response.zerocopysend": {},
        "http.response.early_hint": {},
        "http.response.trailers": {},
    }
    run(made, app, scope(extensions=extensions))
    assert set(offered) == {"http.response.early_hint", "http.response.trailers"}


def test_asgi_early_hints_are_filtered(made: Gateway) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", f"<{GA}/>; rel=preconnect".encode()]})
        await send({"type": "http.response.early_hint", "links": [f"<{GA}/>; rel=preconnect".encode()]})
        await asgi_app(scope, receive, send)

    sent = run(made, app, scope())
    assert [message["links"] for message in sent if message["type"] == "http.response.early_hint"] == [[b"</a.css>; rel=preload"]]


def test_asgi_bodies_of_our_own_are_limited(made: Gateway) -> None:
    pieces = [{"type": "http.request", "body": b"x" * 100_000, "more_body": True} for _ in range(5)]
    sent = run(made, asgi_app, scope("/_volens/choice", method="POST"), *pieces)
    assert sent[0]["status"] == 413


def test_asgi_a_visitor_who_leaves_while_typing_gets_no_answer(made: Gateway) -> None:
    sent = run(made, asgi_app, scope("/_volens/choice", method="POST"), {"type": "http.request", "body": b"x", "more_body": True})
    assert sent == []


def test_asgi_waits_without_holding_the_loop(tmp_path: Path) -> None:
    """While one grant waits for the ledger, another visitor's page is served by the same loop."""
    made = gateway(tmp_path, Held)
    face = AsgiFace(asgi_app, lambda: made)

    async def one(asked: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        messages = [{"type": "http.request", "body": body}]

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        await face(asked, receive, send)
        return sent

    async def main() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        headers = [(b"host", HOST.encode()), (b"content-type", FORM), *SAME]
        choosing = asyncio.create_task(
            one(scope("/_volens/choice", method="POST", headers=headers), f"notice={NAMED}&answer=accept".encode())
        )
        page = await one(scope(), b"")
        await asyncio.sleep(0)
        assert not choosing.done()
        future, record, _ = made.store.waiting[0]  # type: ignore[attr-defined]
        assert isinstance(future, Future)
        future.set_result(record)
        return page, await choosing

    page, choice = away(main())
    assert page[0]["status"] == 200 and choice[0]["status"] == 303
    made.store.close()


def test_asgi_what_follows_a_whole_body_is_not_sent(made: Gateway) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html"), (b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"<p>x", "more_body": True})
        await send({"type": "http.response.body", "body": b"<script src=//evil.example>", "more_body": False})

    sent = run(made, app, scope())
    assert b"evil" not in body_of(sent) and b"<p>x" in body_of(sent)


def test_a_wrong_length_that_the_application_names_does_not_come_out(made: Gateway) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html"), (b"content-length", b"999999")]}
        )
        await send({"type": "http.response.body", "body": PAGE, "more_body": False})

    sent = run(made, app, scope())
    assert dict(sent[0]["headers"])[b"content-length"] == str(len(body_of(sent))).encode()


def test_the_site_is_the_one_under_test() -> None:
    assert SITE.name == HOST
