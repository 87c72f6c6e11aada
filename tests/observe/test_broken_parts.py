"""Each part of Volens broken, one at a time, behind each face: the page's text arrives, and no tracker, cookie or gated request passes."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.enforce.making import HOST, SITE
from tests.oracle import would_load
from tests.web.making import Down, away, gateway
from volens.audience.counts import Counts
from volens.catalog import Catalog
from volens.enforce import charset, csp, exchange, gates, guard, headers
from volens.enforce.hosts import Hosts
from volens.enforce.html import Rewriter
from volens.enforce.storage import Storage
from volens.findings import Findings
from volens.site import Audience, Site
from volens.tally import Tally
from volens.web import proxy
from volens.web import visit as module
from volens.web.asgi import AsgiFace
from volens.web.gateway import Gateway
from volens.web.observe import Observer
from volens.web.screens import Screens
from volens.web.wsgi import WsgiFace

GA = "https://www.google-analytics.com"
PAGE = (
    f"<!DOCTYPE html><html lang=fr><head><meta charset=utf-8><title>é</title><link rel=preconnect href={GA}>"
    f"<script src={GA}/x></script></head>"
    f"<body><p>Bonjour</p><iframe src={GA}/f></iframe><img src={GA}/pixel><form action={GA}/t></form>"
    f"<script>fetch('{GA}/y')</script><p>Au revoir</p></body></html>"
).encode()
FIELDS = {"Host": HOST, "Accept": "text/html", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Cookie": "_ga=7; panier=1"}
CUT = 97
FULL: Site = replace(SITE, audience=Audience(), report_sample=1.0)


class Application:
    """The same pages behind each face; notes what reaches it."""

    def __init__(self) -> None:
        self.reached: list[tuple[str, str, str]] = []

    def answer(self, method: str, path: str, cookie: str) -> tuple[list[tuple[str, str]], list[bytes]]:
        self.reached.append((method, path, cookie))
        fields = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Set-Cookie", "_ga=1; Path=/"),
            ("Link", f"<{GA}/x>; rel=preload; as=script"),
        ]
        body = gzip.compress(PAGE) if path == "/packed" else PAGE
        if path == "/packed":
            fields.append(("Content-Encoding", "gzip"))
        if path == "/pieces":
            return fields, [body[at : at + CUT] for at in range(0, len(body), CUT)]
        return [*fields, ("Content-Length", str(len(body)))], [body]


class Got:
    """What a browser received."""

    def __init__(self, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.fields = status, [(name.lower(), value) for name, value in fields]
        self.body = gzip.decompress(body) if ("content-encoding", "gzip") in self.fields else body

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]


def by_asgi(made: Gateway, app: Application, method: str, path: str) -> Got:
    sent: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        cookie = ", ".join(v.decode() for k, v in scope["headers"] if k == b"cookie")
        fields, parts = app.answer(scope["method"], scope["path"], cookie)
        await send({"type": "http.response.start", "status": 200, "headers": [(k.lower().encode(), v.encode()) for k, v in fields]})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "https",
        "client": ("192.0.2.1", 1),
    }
    away(AsgiFace(inner, lambda: made)({**scope, "headers": [(k.lower().encode(), v.encode()) for k, v in FIELDS.items()]}, receive, send))
    start = next(message for message in sent if message["type"] == "http.response.start")
    body = b"".join(message.get("body", b"") for message in sent)
    return Got(start["status"], [(k.decode(), v.decode("latin-1")) for k, v in start["headers"]], body)


def by_wsgi(made: Gateway, app: Application, method: str, path: str) -> Got:
    said: list[Any] = []

    def inner(environ: Any, start_response: Any) -> Iterator[bytes]:
        fields, parts = app.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_COOKIE", ""))
        start_response("200 OK", fields)
        return iter(parts)

    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "wsgi.url_scheme": "https", "REMOTE_ADDR": "192.0.2.1"}
    environ |= {"HTTP_" + k.upper().replace("-", "_"): v for k, v in FIELDS.items()}

    def start(status: str, fields: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        said[:] = [status, fields]
        return lambda data: None

    body = b"".join(WsgiFace(inner, lambda: made)(environ, start))
    return Got(int(said[0][:3]), said[1], body)


def by_proxy(made: Gateway, app: Application, method: str, path: str) -> Got:
    async def run() -> Got:
        async def answer(request: web.Request) -> web.StreamResponse:
            fields, parts = app.answer(request.method, request.path, request.headers.get("Cookie", ""))
            response = web.StreamResponse(headers=fields)  # type: ignore[arg-type]
            await response.prepare(request)
            for part in parts:
                await response.write(part)
                if len(parts) > 1 and len(part) == CUT:
                    await asyncio.sleep(0.03)
            return response

        site = web.Application()
        site.router.add_route("*", "/{any:.*}", answer)
        behind = web.AppRunner(site)
        await behind.setup()
        await web.TCPSite(behind, "127.0.0.1", 0).start()
        front, port = await proxy.start(made, f"http://127.0.0.1:{behind.addresses[0][1]}")

        def ask() -> Got:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request(method, path, headers=FIELDS)
            reply = connection.getresponse()
            got = Got(reply.status, reply.getheaders(), reply.read())
            connection.close()
            return got

        try:
            return await asyncio.to_thread(ask)
        finally:
            await front.cleanup()
            await behind.cleanup()

    return away(run())


FACES: dict[str, Callable[[Gateway, Application, str, str], Got]] = {"asgi": by_asgi, "wsgi": by_wsgi, "proxy": by_proxy}


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("injected")


PARTS: dict[str, tuple[Any, str]] = {
    "catalog of hosts": (Catalog, "host"),
    "catalog of storage": (Catalog, "storage"),
    "catalog of parties": (Catalog, "same_party"),
    "hosts": (Hosts, "decide"),
    "collection paths": (Hosts, "collection"),
    "storage": (Storage, "decide"),
    "names for the guard": (Storage, "names"),
    "rewrite": (Rewriter, "feed"),
    "end of the rewrite": (Rewriter, "finish"),
    "request headers": (headers, "to_application"),
    "request cookies": (headers, "filter_cookies"),
    "answer headers": (headers, "from_application"),
    "answer cookies": (headers, "filter_set_cookies"),
    "expiries": (headers, "expiries"),
    "policy header": (csp, "ours"),
    "the site's own policy": (csp, "widen"),
    "reporting": (csp, "reporting"),
    "guard configuration": (guard, "config"),
    "guard markup": (guard, "markup"),
    "screens": (Screens, "dress"),
    "placeholders": (Screens, "place"),
    "languages of screens": (Screens, "language"),
    "encodings": (charset, "read"),
    "codings": (exchange, "decoded"),
    "memory": (exchange.Memo, "get"),
    "what was learnt": (exchange.Learnt, "page"),
    "names learnt": (exchange.Learnt, "knows"),
    "gates": (gates, "closed"),
    "choice": (Gateway, "_choice"),
    "judges": (Gateway, "judges"),
    "addresses": (module, "told"),
    "audience": (Counts, "add"),
    "reading of views": (module, "read"),
    "hosts file": (Findings, "add"),
    "tallies": (Tally, "_put"),
    "observer": (Observer, "look"),
    "sample": (Gateway, "sampled"),
}
HARMLESS = {"audience", "reading of views", "hosts file", "tallies", "observer"}
"""Parts without which a page is made all the same."""


def made_whole(folder: Path, site: Site = FULL) -> Gateway:
    today = lambda: __import__("datetime").date(2026, 11, 22)
    return gateway(folder, site=site, audience=Counts(folder / "audience.db", today), findings=Findings(folder / "hosts.db", today))


def fine(got: Got) -> None:
    """The text is there, and a browser that obeys the headers it got contacts nobody else and keeps nothing."""
    assert got.status == 200 and got.body.count(b"Bonjour") == got.body.count(b"Au revoir") == 1, got.status
    policies = got.all("content-security-policy")
    ours = any("default-src" in policy and "google-analytics" not in policy for policy in policies)
    loads = [load for load in would_load(got.body.decode(), HOST) if not (ours and load.kind == "image")]
    assert loads == [], loads
    assert ours or f"fetch('{GA}".encode() not in got.body, "no policy, and a script that runs"
    assert not [line for line in got.all("set-cookie") if line.startswith("_ga=1")] and not got.all("link")


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    threads = threading.active_count()
    yield
    assert threading.active_count() <= threads + 3


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("part", PARTS)
def test_the_text_arrives_and_no_tracker_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, face: str) -> None:
    made, app = made_whole(tmp_path), Application()
    monkeypatch.setattr(*PARTS[part], broken)
    try:
        for path in ("/page", "/packed", "/pieces"):
            got = FACES[face](made, app, "GET", path)
            fine(got)
            assert app.reached and all("_ga" not in cookie for _, _, cookie in app.reached), "nor is what is refused sent on"
            if part in HARMLESS:
                assert b"<volens-notice" in got.body, "the page is whole"
        app.reached.clear()
        got = FACES[face](made, app, "POST", "/comments")
        assert app.reached == [] and got.status in (303, 403, 409, 422, 451, 500, 503), "a gate stays closed whatever is broken"
        app.reached.clear()
        assert FACES[face](made, app, "GET", "/_volens/panel").status in (200, 500) and app.reached == [], "our own pages say so"
        assert FACES[face](made, app, "GET", "/_volens/health").status in (200, 500)
    finally:
        monkeypatch.undo()
        made.retire()
        made.close()


@pytest.mark.parametrize("face", FACES)
def test_without_the_guard_pages_are_text(tmp_path: Path, face: str) -> None:
    made, app = made_whole(tmp_path), Application()
    made.assets = replace(made.assets, guard="")
    for path in ("/page", "/packed", "/pieces"):
        got = FACES[face](made, app, "GET", path)
        fine(got)
        assert exchange.TEXT_ONLY in got.all("content-security-policy"), "what no guard watches does not run"
    made.retire()
    made.close()


@pytest.mark.parametrize("face", FACES)
def test_without_the_ledger_pages_go_on(tmp_path: Path, face: str) -> None:
    made, app = gateway(tmp_path, Down, site=FULL), Application()
    for path in ("/page", "/packed", "/pieces"):
        got = FACES[face](made, app, "GET", path)
        fine(got)
        assert b"<volens-notice" in got.body
    made.retire()
    made.close()


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("part", PARTS)
def test_while_observing_nothing_that_breaks_touches_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, face: str) -> None:
    made, app = made_whole(tmp_path, replace(FULL, mode="observe")), Application()
    monkeypatch.setattr(*PARTS[part], broken)
    try:
        for path in ("/page", "/pieces"):
            got = FACES[face](made, app, "GET", path)
            assert (got.status, got.body) == (200, PAGE) and got.all("set-cookie") == ["_ga=1; Path=/"], path
        assert FACES[face](made, app, "POST", "/comments").body == PAGE
        assert all("_ga=7; panier=1" in cookie for _, _, cookie in app.reached)
        assert made.observer.settle()
    finally:
        monkeypatch.undo()
        made.retire()
        made.close()


def test_a_bypass_is_the_way_out_of_whatever_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, app = gateway(tmp_path, site=FULL, bypass=lambda: True), Application()
    for part in PARTS:
        with monkeypatch.context() as patched:
            patched.setattr(*PARTS[part], broken)
            assert by_wsgi(made, app, "GET", "/page").body == PAGE, part
    made.retire()
    made.close()
