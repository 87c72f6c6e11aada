"""A site of odd pages and its third parties, with Volens in front of it or nothing.

Pages stand in ``pages/``, what each is to do in ``pages/table.toml``. The third parties answer under ``*.localhost`` names on a
port of their own and remember who asked them (by User-Agent) for what.
"""

# ruff: noqa: E501 -- page scripts are kept on one line
from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import tomllib
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from aiohttp import web

from volens.catalog import Catalog
from volens.config import parse
from volens.ledger.sqlite import SqliteStore
from volens.web import proxy
from volens.web.gateway import Gateway

HERE = Path(__file__).parent
PAGES = HERE / "pages"
TABLE: dict[str, dict[str, Any]] = tomllib.loads((PAGES / "table.toml").read_text("utf-8"))
NAME = "odd.localhost"
PARTIES = ("gauge", "bidder", "film", "key", "till", "robot", "finder", "badge", "libs")
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".xsl": "text/xsl",
    ".xml": "application/xml",
    ".json": "application/json",
}

TRACKER = """(function(){var me="@me@",o=typeof window=="object"?window:self;o["got_"+me]=1;
if(o.document){document.cookie="_"+me+"=1; max-age=9999; path=/";try{localStorage["_"+me]=1}catch(e){}}
fetch("http://"+me+".localhost:@port@/hit",{mode:"no-cors",credentials:"include"}).catch(function(){})})();"""
SCRIPTS = {
    "libs": "window.Lib={join:function(a){return a.join(' + ')}};",
    "finder": "document.querySelector('#found').textContent='Finder shows its results here';works('finder');fetch('http://finder.localhost:@port@/hit',{mode:'no-cors'});",
    "badge": "var b=document.createElement('button');b.textContent='Sign in with Badge';document.querySelector('#badge').append(b);works('badge');",
    "robot": "window.robot={render:function(el,done){var b=document.createElement('button');b.type='button';b.textContent='I am no robot';b.onclick=function(){fetch('http://robot.localhost:@port@/verify').then(function(r){return r.text()}).then(done)};el.appendChild(b)}};if(window.robotReady)robotReady();",
    "till": "window.Till=function(el){var f=document.createElement('iframe');f.src='http://till.localhost:@port@/element.html';f.title='Card';el.appendChild(f);return{ready:new Promise(function(y){addEventListener('message',function(e){if(e.origin=='http://till.localhost:@port@'&&e.data.ready)y()})}),token:function(){return new Promise(function(y){addEventListener('message',function(e){if(e.data.token)y(e.data.token)});f.contentWindow.postMessage({tokenize:1},'*')})}}};",
    "bidder": """window.pbjs=window.pbjs||{que:[]};(function(){var p=window.pbjs;p.requestBids=function(o){fetch("http://bidder.localhost:@port@/bid").then(function(r){return r.json()}).then(function(b){o.bidsBackHandler({top:b})})};
var q=p.que;p.que={push:function(f){f()}};q.forEach(function(f){f()})})();""",
}


class Parties:
    """The third parties; what each has received."""

    def __init__(self) -> None:
        self.port = 0
        self._received: list[tuple[str, str, str]] = []
        self.app = web.Application()
        self.app.router.add_route("*", "/{path:.*}", self.answer)

    def received(self, agent: str, since: int = 0) -> list[tuple[str, str]]:
        return [(party, path) for who, party, path in self._received if who == agent][since:]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        party = request.host.partition(".")[0]
        if party not in PARTIES:
            return web.Response(status=404)
        self._received.append((request.headers.get("User-Agent", ""), party, request.path))
        about = {
            "Access-Control-Allow-Origin": request.headers.get("Origin", "*"),
            "Access-Control-Allow-Credentials": "true",
            "Cache-Control": "no-store",
        }
        if party not in ("libs", "key", "till", "robot"):
            about["Set-Cookie"] = f"id_{party}={secrets.token_hex(4)}; Max-Age=99999; Secure; SameSite=None; Path=/"
        path = request.path

        def made(text: str, kind: str = "text/html") -> web.Response:
            return web.Response(text=self.filled(text.replace("@me@", party)), content_type=kind, headers=about)

        if path in ("/t.js", "/m.js"):
            return made(TRACKER + ("export const me='@me@'" if path == "/m.js" else ""), "text/javascript")
        if path == "/s.js":
            return made(SCRIPTS[party], "text/javascript")
        if path == "/own.js":
            return made("export const join=a=>a.join(' + ')", "text/javascript")
        if path == "/font.css":
            return made("@font-face{font-family:Own;src:url(http://libs.localhost:@port@/font.woff2)}", "text/css")
        if path.endswith((".gif", ".woff2")):
            return web.Response(body=PIXEL, content_type="image/gif", headers=about)
        if path == "/socket":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str("heard")
            await socket.close()
            return socket
        if path == "/events":
            return web.Response(text="data: heard\n\n", content_type="text/event-stream", headers=about)
        if path == "/bid":
            return made('{"cpm": 1, "ad": "shoes"}', "application/json")
        if path == "/verify":
            return made("person", "text/plain")
        if path == "/authorize":  # asks nobody: the visitor is signed in there
            raise web.HTTPFound(f"{request.query['back']}?code=42")
        if path == "/element.html":
            return made(
                "<!doctype html><title>Card</title><input aria-label=Card><script>onmessage=function(e){if(e.data.tokenize)parent.postMessage({token:'tok_1'},'*')};parent.postMessage({ready:1},'*')</script>"
            )
        if path == "/acs":  # the bank asks, the visitor has confirmed, and the frame goes back to the shop
            back = (await request.post())["back"]
            return made(
                f"<!doctype html><title>Bank</title><form method=post action='{back}'><input type=hidden name=cres value=yes></form><script>document.forms[0].submit()</script>"
            )
        if path == "/f.html":
            return made(
                "<!doctype html><title>@me@</title><p>@me@ plays</p><script>parent.postMessage('@me@ plays','*');fetch('/hit')</script>"
            )
        return made("ok", "text/plain")

    def filled(self, text: str) -> str:
        """Addresses in a text: ``@port@``, and ``@gauge@`` for http://gauge.localhost:port."""
        for party in PARTIES:
            text = text.replace(f"@{party}@", f"http://{party}.localhost:{self.port}")
        return text.replace("@port@", str(self.port))


class Pages:
    """The site itself."""

    def __init__(self, parties: Parties) -> None:
        self.parties = parties
        self.app = web.Application()
        route = self.app.router
        route.add_get("/p/{name}", self.page)
        route.add_get("/parts/{name}", self.part)
        route.add_get("/sw.js", self.worker)
        route.add_get("/api/{name}", self.api)
        route.add_post("/paid", self.paid)
        route.add_get("/callback", self.part)
        route.add_get("/spa/{view}", self.view)

    async def page(self, request: web.Request) -> web.StreamResponse:
        return await self.send(request, request.match_info["name"])

    async def view(self, request: web.Request) -> web.StreamResponse:
        return await self.send(request, "single-page")

    async def send(self, request: web.Request, name: str) -> web.StreamResponse:
        row = TABLE.get(name)
        if row is None:
            return web.Response(status=404)
        nonce = secrets.token_urlsafe(9)
        file = next(PAGES.glob(f"{name}.*"))
        text = self.parties.filled(file.read_text("utf-8")).replace("@nonce@", nonce)
        body = text.encode(row.get("encoding", "utf-8"))
        headers = {"Content-Type": row.get("type", "text/html; charset=utf-8"), "Cache-Control": row.get("cache", "no-cache")}
        headers |= {key: self.parties.filled(value).replace("@nonce@", nonce) for key, value in row.get("headers", {}).items()}
        if "pieces" not in row:
            return web.Response(body=body, headers=headers)
        answer = web.StreamResponse(headers=headers)
        await answer.prepare(request)
        for piece in body.split(b"<!--cut-->"):
            await answer.write(piece)
            await asyncio.sleep(0.03)
        await answer.write_eof()
        return answer

    async def part(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("name", "callback.html")
        file = PAGES / "parts" / name
        if not file.is_file():
            return web.Response(status=404)
        text = self.parties.filled(file.read_text("utf-8"))
        return web.Response(text=text, content_type=TYPES[file.suffix], headers={"Cache-Control": "no-cache"})

    async def worker(self, request: web.Request) -> web.StreamResponse:
        """The service worker of before, at the address where browsers that have it look for a newer one."""
        text = self.parties.filled((PAGES / "parts" / "sw.js").read_text("utf-8"))
        return web.Response(text=text, content_type="text/javascript", headers={"Cache-Control": "no-cache"})

    async def api(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name == "more":  # a piece of a page, as htmx, Turbo or pjax ask for it
            number = request.query.get("n", "1")
            text = f'<article>Piece {number}<script src="@gauge@/t.js"></script><img src="@gauge@/t.gif?piece" alt=""></article>'
            return web.Response(text=self.parties.filled(text), content_type="text/html")
        if name == "whole":  # Turbo: a whole document, asked for by fetch
            return web.Response(
                text="<!doctype html><title>Second</title><body><main id=main>The second page, put in place of the first</main></body>",
                content_type="text/html",
            )
        if name == "json":
            return web.json_response({"html": self.parties.filled('<p>In JSON</p><iframe src="@film@/f.html" title="film"></iframe>')})
        if name == "ad":
            return web.Response(text="A place in our own columns")
        return web.json_response({"name": name})

    async def paid(self, request: web.Request) -> web.StreamResponse:
        said = (await request.post()).get("cres", "")
        return web.Response(
            text=f"<!doctype html><title>Paid</title><p>{said}</p><script>parent.postMessage('paid','*')</script>", content_type="text/html"
        )


class Odd:
    """Everything running, in a thread of its own: ``url`` with Volens in front, ``raw`` without."""

    def __init__(self, home: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="odd pages", daemon=True)
        self._thread.start()
        self._closing = contextlib.AsyncExitStack()
        self.parties = Parties()
        self.bypassed = False
        """Whether Volens is switched off: the site as it was before."""
        self._do(self._start(home))

    def _do(self, what: Awaitable[Any]) -> Any:
        async def done() -> Any:
            return await what

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(30)

    async def _listen(self, app: web.Application) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._closing.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    async def _start(self, home: Path) -> None:
        self.parties.port = await self._listen(self.parties.app)
        behind = await self._listen(Pages(self.parties).app)
        catalog = Catalog.packaged()
        loaded = parse((HERE / "volens.toml").read_text("utf-8"), str(HERE / "volens.toml"), catalog, base=home)
        gateway = Gateway(loaded.site, catalog, SqliteStore(home / "ledger.db"), [secrets.token_bytes(32)], bypass=lambda: self.bypassed)
        self._closing.callback(gateway.close)
        runner, port = await proxy.start(gateway, f"http://127.0.0.1:{behind}", "127.0.0.1", 0)
        self._closing.push_async_callback(runner.cleanup)
        self.url, self.raw = f"http://{NAME}:{port}", f"http://{NAME}:{behind}"

    def received(self, agent: str, since: int = 0) -> list[tuple[str, str]]:
        """What the third parties have received from this browser."""

        async def asked() -> list[tuple[str, str]]:
            return self.parties.received(agent, since)

        found: list[tuple[str, str]] = self._do(asked())
        return found

    def close(self) -> None:
        self._do(self._closing.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
