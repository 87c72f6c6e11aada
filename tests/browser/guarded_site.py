"""A real Chromium before a small internet of this machine: one site with the guard in its pages, every other name a stub.

Whatever leaves the browser is recorded on the server's side: requests, TLS connections without one (SNI), STUN
packets. What lies on the device is read over CDP, never through the page's own names. The profile is a regular one:
in an off-the-record profile Chromium drops preconnect, and a test of it could not fail.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from volens.enforce import guard

STATIC = Path(__file__).parents[2] / "src" / "volens" / "static"
SITE = "site.test"
CSP = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "img-src 'self' data: blob: https://images.test; style-src 'self' 'unsafe-inline' https://images.test"
)
STRICT = "script-src 'nonce-abc' 'strict-dynamic'; require-trusted-types-for 'script'; trusted-types site; default-src 'self'"
GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
CHROMIUM = os.environ.get("VOLENS_CHROMIUM") or next(
    (path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome") if os.path.exists(path)), None
)
"""None: Playwright's own."""


@dataclass(frozen=True)
class Seen:
    """One request that arrived."""

    host: str
    path: str
    method: str
    dest: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Answer:
    """What the site answers on a path."""

    body: str | bytes
    type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass
class Internet:
    """Every name of the network, as the browser sees it."""

    https: int = 0
    http: int = 0
    udp: int = 0
    requests: list[Seen] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    packets: int = 0
    answers: dict[str, Answer | Callable[[Seen], Answer]] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget what was seen and what the site answers."""
        self.requests.clear()
        self.names.clear()
        self.packets = 0
        self.answers.clear()

    def left(self) -> list[str]:
        """What reached another name than the site's: requests, ``~`` connections alone, STUN packets."""
        asked = {seen.host for seen in self.requests} - {SITE}
        alone = {name for name in self.names if not OWN.search(name)} - asked - {SITE}
        return sorted(asked) + sorted("~" + name for name in alone) + ["stun"] * bool(self.packets)

    def answer(self, seen: Seen) -> Answer:
        """The site's page, our own files, or the stub."""
        if seen.host == SITE:
            found = self.answers.get(seen.path.split("?")[0])
            if found:
                return found(seen) if callable(found) else found
            own = re.fullmatch(r"/_volens/([a-z]+)-[0-9a-f]{8}\.js", seen.path)
            if own:
                return Answer((STATIC / f"{own[1]}.js").read_bytes(), "text/javascript")
            if seen.path.startswith("/_volens/embed/frame"):
                return Answer("<!doctype html><title>placeholder</title><p>withheld")
        if seen.dest == "image" or seen.path.endswith(".gif"):
            return Answer(GIF, "image/gif")
        if seen.dest in ("iframe", "document", "frame", "object", "embed"):
            return Answer("<!doctype html><p>a frame")
        return Answer("/* stub */", "text/css" if seen.dest == "style" else "text/javascript")


OWN = re.compile(r"(^|\.)(google|googleapis|gstatic|gvt1|chromium)\.(com|org)$")
"""Chromium's own traffic."""


def serve(net: Internet, tls: ssl.SSLContext | None) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            host = (self.headers.get("Host") or "").split(":")[0].lower()
            seen = Seen(host, self.path, self.command, self.headers.get("Sec-Fetch-Dest", ""), body, dict(self.headers.items()))
            if not OWN.search(host):
                net.requests.append(seen)
            out = net.answer(seen)
            data = out.body.encode() if isinstance(out.body, str) else out.body
            self.send_response(out.status)
            headers = {
                "Content-Type": out.type,
                "Content-Length": str(len(data)),
                "Cache-Control": "no-store",
                "Access-Control-Allow-Origin": "*",
                "Service-Worker-Allowed": "/",
                **out.headers,
            }
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_HEAD = do_OPTIONS = do_PUT = handle_any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:  # a browser that goes away
            pass

        def finish_request(self, request: Any, client_address: Any) -> None:
            if tls is not None:
                request.settimeout(20)
                request = tls.wrap_socket(request, server_side=True)
            Handler(request, client_address, self)

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def script(config: dict[str, Any], nonce: str = "") -> str:
    """The guard as the server writes it into a page; ``C``, ``S``, ``H`` and ``D`` (denied hosts) are lists of names here."""
    told: dict[str, Any] = {"p": "/_volens/", **config}
    if denied := told.pop("D", ()):
        told["P"] = guard.refusing(denied, told.get("P", ""))
    told |= {name: guard.passing(told.get(name, ())) for name in "CS"}
    if "H" in told:
        told["H"] = guard.pattern(tuple(told["H"]))
    text = html.escape(json.dumps(told), quote=True)
    return f"<script{f' nonce={nonce}' if nonce else ''} data-volens='{text}'>{(STATIC / 'guard.js').read_text()}</script>"


def static_name(name: str) -> str:
    """The immutable address of one of our files."""
    return f"{name}-{hashlib.sha256((STATIC / (name + '.js')).read_bytes()).hexdigest()[:8]}.js"


class Site:
    """Pages of the site, opened in the browser."""

    def __init__(self, net: Internet, page: Page) -> None:
        self.net, self.page = net, page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def serve(self, path: str, body: str, config: dict[str, Any] | None = None, csp: str = CSP, head: str = "", **headers: str) -> None:
        """Put a page behind ``path``; ``config=None`` leaves it without guard."""
        nonce = "abc" if "nonce-abc" in csp else ""
        guard = "" if config is None else script(config, nonce)
        text = f"<!doctype html><html lang=fr><head>{guard}<meta charset=utf-8><title>t</title>{head}</head><body>{body}</body></html>"
        self.net.answers[path] = Answer(text, headers={**({"Content-Security-Policy": csp} if csp else {}), **headers})

    def open(self, body: str, config: dict[str, Any] | None = None, path: str = "/", **more: Any) -> Page:
        """Serve and visit a page."""
        self.serve(path, body, {} if config is None else config, **more)
        self.page.goto(f"https://{SITE}{path}")
        return self.page

    def settle(self, seconds: float = 0.6) -> None:
        """Wait until nothing has arrived for a while."""
        end = time.monotonic() + 30
        count = -1
        while time.monotonic() < end and count != len(self.net.requests) + len(self.net.names):
            count = len(self.net.requests) + len(self.net.names)
            self.page.wait_for_timeout(seconds * 1000)

    def stored(self) -> dict[str, list[str]]:
        """What lies on the device, read over CDP; names that begin with ``volens`` are ours."""
        cdp = self.page.context.new_cdp_session(self.page)
        origin = f"https://{SITE}"
        cdp.send("DOMStorage.enable")
        cdp.send("IndexedDB.enable")
        out: dict[str, list[str]] = {"cookies": [c["name"] for c in self.page.context.cookies()]}
        for name, local in (("localStorage", True), ("sessionStorage", False)):
            found = cdp.send("DOMStorage.getDOMStorageItems", {"storageId": {"securityOrigin": origin, "isLocalStorage": local}})
            out[name] = [entry[0] for entry in found["entries"]]
        out["databases"] = cdp.send("IndexedDB.requestDatabaseNames", {"securityOrigin": origin})["databaseNames"]
        out["caches"] = [c["cacheName"] for c in cdp.send("CacheStorage.requestCacheNames", {"securityOrigin": origin})["caches"]]
        cdp.detach()
        theirs = {medium: sorted(name for name in names if not name.startswith("volens")) for medium, names in out.items()}
        return {medium: names for medium, names in theirs.items() if names}
