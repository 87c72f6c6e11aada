"""The fronts of ``docs/examples/fronts``, started by hand on free ports with the very files of the docs, before ``volens proxy``."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import WSMsgType, web

from tests.running import free_port, listens, until

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docs" / "examples" / "fronts"
FRONT = "127.0.0.1/32"
HOST = "www.site.test"
TRACKER = "https://www.google-analytics.com/analytics.js"
VIDEO = "https://www.youtube.com/embed/"
CONFIG = f"""
names = ["{HOST}"]
languages = ["fr", "en"]
[controller]
name = "Le Site"
contact = "donnees@site.example"
policy = "/confidentialite"
country = "FR"
[services.google-analytics]
purposes = ["personnalisation"]
[services.youtube]
[[gates]]
path = "/comments"
purpose = "reseaux-sociaux"
title = {{ fr = "Commentaires", en = "Comments" }}
[proxy]
trusted = ["{FRONT}"]
"""
SHARED = '[cache]\nshared = "undecided"\n'
CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


# --- the site


@dataclass
class SiteBehind:
    """The application: a page that tracks, a video, a form, an upload, a stream, a WebSocket. ``asked`` counts its pages."""

    port: int = 0
    asked: int = 0
    go_on: threading.Event = field(default_factory=threading.Event)

    async def page(self, request: web.Request) -> web.Response:
        self.asked += 1
        said = "fr" if "fr" in request.headers.get("Accept-Language", "") else "en"
        lines = "".join(f"<p>{said} {line} {hashlib.sha256(f'{request.path}{line}'.encode()).hexdigest()}" for line in range(20))
        text = (
            f'<!DOCTYPE html><html><meta charset=utf-8><title>{request.path}</title><script src="{TRACKER}"></script>'
            f'<iframe width=560 height=315 src="{VIDEO}x{request.path.strip("/") or "0"}"></iframe>{lines}'
        )
        return web.Response(
            text=text, content_type="text/html", headers={"Cache-Control": "public, max-age=300", "Vary": "Accept-Language"}
        )

    async def echo(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"headers": {k.lower(): v for k, v in request.headers.items()}, "target": request.raw_path},
            headers={"Cache-Control": "no-store"},
        )

    async def upload(self, request: web.Request) -> web.Response:
        size, digest = 0, hashlib.sha256()
        async for chunk in request.content.iter_chunked(1 << 16):
            size += len(chunk)
            digest.update(chunk)
        return web.json_response({"size": size, "sha256": digest.hexdigest()})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": request.query.get("type", "text/html")})
        await answer.prepare(request)
        await answer.write(b"<!DOCTYPE html><p>first" + b" " * 2000)
        await asyncio.get_running_loop().run_in_executor(None, self.go_on.wait, 60)
        await answer.write(b"<p>last")
        return answer

    async def early(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        link = b"Link: </style.css>; rel=preload; as=style\r\nLink: <https://www.google-analytics.com>; rel=preconnect\r\n"
        request.transport.write(b"HTTP/1.1 103 Early Hints\r\n" + link + b"\r\n")
        await asyncio.sleep(0.05)
        return web.Response(text="<!DOCTYPE html><p>Bonjour", content_type="text/html")

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        async for message in answer:
            if message.type is WSMsgType.TEXT:
                await answer.send_str(message.data[::-1])
        return answer

    async def moved(self, request: web.Request) -> web.Response:
        scheme, host = request.headers["X-Forwarded-Proto"], request.headers["X-Forwarded-Host"]
        raise web.HTTPFound(f"{scheme}://{host}/there" if "whole" in request.query else "/there")

    async def comment(self, request: web.Request) -> web.Response:
        return web.Response(text="thank you")

    def app(self) -> web.Application:
        made = web.Application(client_max_size=1 << 30)
        made.router.add_get("/echo{rest:.*}", self.echo)
        made.router.add_post("/upload", self.upload)
        made.router.add_get("/stream", self.stream)
        made.router.add_get("/early", self.early)
        made.router.add_get("/ws", self.socket)
        made.router.add_get("/moved", self.moved)
        made.router.add_post("/comments", self.comment)
        made.router.add_get("/{path:.*}", self.page)
        return made


@contextmanager
def site() -> Iterator[SiteBehind]:
    made, loop, ready = SiteBehind(), asyncio.new_event_loop(), threading.Event()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(made.app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        made.port = runner.addresses[0][1]
        ready.set()
        return runner

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield made
    finally:
        made.go_on.set()
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


# --- processes


@contextmanager
def process(folder: Path, name: str, *command: str, port: int, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Runs until the context ends; fails with its own words where it does not listen."""
    log = folder / f"{name}.log"
    with open(log, "wb") as out:
        started = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, start_new_session=True, **more)
    try:
        if not until(lambda: started.poll() is not None or listens(port)) or started.poll() is not None:
            pytest.fail(f"{name} does not listen on {port}:\n{log.read_text(errors='replace')[-3000:]}")
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait(5)


@contextmanager
def volens(
    folder: Path, upstream: int, *options: str, config: str = CONFIG, port: int = 0
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """``volens proxy`` as one would run it; its port and its process."""
    port = port or free_port()
    (folder / "volens.toml").write_text(config, "utf-8")
    command = [sys.executable, "-m", "volens.cli", "proxy", "--config", "volens.toml", "--listen", f"127.0.0.1:{port}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    with process(folder, "volens", *command, "--upstream", f"http://127.0.0.1:{upstream}", *options, port=port, env=environment) as started:
        yield port, started


def program(*names: str) -> str:
    """Where it is; the test is skipped where it isn't installed."""
    for name in names:
        found = shutil.which(name) or next(
            (f"{at}/{name}" for at in ("/usr/sbin", "/usr/local/sbin") if os.path.exists(f"{at}/{name}")), None
        )
        if found:
            return found
    pytest.skip(f"{names[0]} is not installed")


def certificate(folder: Path) -> Path:
    """A self-signed certificate; ``whole.pem`` has its key too."""
    pem, key = folder / "site.pem", folder / "site.key"
    if not pem.exists():
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        subprocess.run([*words, "-keyout", key, "-out", pem, "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},IP:127.0.0.1"],
                       check=True, capture_output=True)  # fmt: skip
        (folder / "whole.pem").write_bytes(pem.read_bytes() + key.read_bytes())
    return pem


def recipe(name: str, **places: str) -> str:
    """A file of the docs with this test's places in place of a machine's; each must stand there."""
    text = (FILES / name).read_text("utf-8")
    for old, new in places.items():
        old = PLACES[old]
        assert old in text, f"{name} no longer says {old}"
        text = text.replace(old, new)
    return text


PLACES = {
    "volens": "127.0.0.1:8080",
    "host": "www.example.org",
    "pem": "/etc/ssl/certs/www.example.org.pem",
    "key": "/etc/ssl/private/www.example.org.key",
    "whole": "/etc/haproxy/www.example.org.pem",
    "nginx80": "listen 80;",
    "nginx443": "listen 443 ssl",
    "apache80": "<VirtualHost *:80>",
    "apache443": "<VirtualHost *:443>",
    "haproxy80": "bind :80",
    "haproxy443": "bind :443",
    "backend": '.host = "127.0.0.1";\n    .port = "8080";',
    "kept": "/var/cache/nginx/volens",
    "redirect": "https://www.example.org/",
}


def _nginx(folder: Path, behind: int, port: int, plain: int, name: str) -> tuple[str, ...]:
    if name == "nginx.conf":
        more = {"volens": f"127.0.0.1:{behind}", "nginx80": f"listen 127.0.0.1:{plain};"}
    else:
        more = {"volens": f"127.0.0.1:{behind}", "kept": str(folder / "kept")}
    pem, key = str(certificate(folder)), str(folder / "site.key")
    text = recipe(name, **more, pem=pem, key=key, host=HOST, nginx443=f"listen 127.0.0.1:{port} ssl")
    (folder / "recipe.conf").write_text(text)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"{'user root; ' if os.getuid() == 0 else ''}daemon off; worker_processes 2;\n"
        f"pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;\n"
        f"events {{ worker_connections 2048; }}\nhttp {{ access_log off; {temporary}\ninclude {folder}/recipe.conf; }}\n"
    )
    return program("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx-error.log")


def _apache(folder: Path, behind: int, port: int, plain: int) -> tuple[str, ...]:
    pem, key = str(certificate(folder)), str(folder / "site.key")
    text = recipe("apache.conf", volens=f"127.0.0.1:{behind}", redirect=f"https://{HOST}:{port}/", pem=pem, key=key, host=HOST,
                  apache80=f"<VirtualHost 127.0.0.1:{plain}>", apache443=f"<VirtualHost 127.0.0.1:{port}>")  # fmt: skip
    names = "mpm_event authz_core alias headers ssl http2 proxy proxy_http socache_shmcb".split()
    modules = Path("/usr/lib/apache2/modules")
    if not modules.is_dir():
        pytest.skip("apache2 is not installed")
    loads = "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in names)
    (folder / "apache-main.conf").write_text(
        f"ServerRoot {folder}\nServerName {HOST}\nPidFile {folder}/apache.pid\nDefaultRuntimeDir {folder}\n"
        f"ErrorLog {folder}/apache-error.log\n{loads}"
        f"{'User www-data' if os.getuid() == 0 else ''}\nListen 127.0.0.1:{port}\nListen 127.0.0.1:{plain}\n{text}"
    )
    return program("apache2", "httpd"), "-D", "FOREGROUND", "-f", str(folder / "apache-main.conf")


def _haproxy(folder: Path, behind: int, port: int, plain: int) -> tuple[str, ...]:
    certificate(folder)
    text = recipe("haproxy.cfg", whole=str(folder / "whole.pem"), volens=f"127.0.0.1:{behind}", host=HOST,
                  haproxy80=f"bind 127.0.0.1:{plain}", haproxy443=f"bind 127.0.0.1:{port}")  # fmt: skip
    (folder / "haproxy.cfg").write_text(text)
    return program("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")


def _caddy(folder: Path, behind: int, port: int, plain: int) -> tuple[str, ...]:
    pem, key = str(certificate(folder)), str(folder / "site.key")
    text = recipe("Caddyfile", pem=pem, key=key, volens=f"127.0.0.1:{behind}", host=HOST)
    ports = f"{{\n\tadmin off\n\thttp_port {plain}\n\thttps_port {port}\n\tdefault_bind 127.0.0.1\n\tskip_install_trust\n}}\n"
    (folder / "Caddyfile").write_text(ports + text)
    return program("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"


def _varnish(folder: Path, behind: int, port: int, plain: int) -> tuple[str, ...]:
    (folder / "volens.vcl").write_text(recipe("varnish.vcl", backend=f'.host = "127.0.0.1";\n    .port = "{behind}";'))
    return (program("varnishd"), "-F", "-a", f"127.0.0.1:{port}", "-n", str(folder / "varnish"), "-j", "none", "-s", "malloc,64m",
            "-f", str(folder / "volens.vcl"))  # fmt: skip


FRONTS: Mapping[str, Callable[[Path, int, int, int], tuple[str, ...]]] = {
    "nginx": lambda *at: _nginx(*at, "nginx.conf"),
    "nginx-cache": lambda *at: _nginx(*at, "nginx-cache.conf"),
    "apache": _apache,
    "haproxy": _haproxy,
    "caddy": _caddy,
    "varnish": _varnish,
}


@contextmanager
def front(kind: str, folder: Path, behind: int) -> Iterator[tuple[int, int]]:
    """A front before ``behind``; its ports, with TLS and without."""
    folder.mkdir(exist_ok=True)
    os.chmod(folder, 0o755)
    port, plain = free_port(), free_port()
    home = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with process(folder, kind, *FRONTS[kind](folder, behind, port, plain), port=port, env=home):
        yield port, plain


@dataclass
class Whole:
    """A front, Volens and the site, in that order."""

    kind: str
    port: int
    plain: int
    volens: int
    site: SiteBehind
    folder: Path
    tls: bool = True
    sharing: tuple[str, ...] = ()
    """States whose pages a cache may give to others of the same state."""


@contextmanager
def standing(kind: str, folder: Path, *options: str, config: str = CONFIG) -> Iterator[Whole]:
    """All of it. ``haproxy+varnish``: the first before the second."""
    with ExitStack() as held:
        behind = held.enter_context(site())
        ours, _ = held.enter_context(volens(folder, behind.port, *options, config=config))
        until(lambda: Visitor(ours, tls=False).get("/_volens/health").status == 200)
        last = port = plain = ours
        for part in reversed(kind.split("+")):
            port, plain = held.enter_context(front(part, folder / part, last))
            last = port
        tls = not kind.endswith("varnish") or "+" in kind
        until(lambda: _answers(port, tls))
        yield Whole(kind, port, plain, ours, behind, folder, tls)


def _answers(port: int, tls: bool) -> bool:
    try:
        return Visitor(port, tls=tls).get("/echo").status == 200
    except OSError:
        return False


# --- who visits


class _Tls(http.client.HTTPSConnection):
    """To the front on this machine, whatever the site is called."""

    def connect(self) -> None:
        raw = socket.create_connection(("127.0.0.1", self.port), self.timeout, self.source_address)  # type: ignore[attr-defined]
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = CONTEXT.wrap_socket(raw, server_hostname=HOST)


def connection(port: int, *, tls: bool = True, address: str = "127.0.0.1") -> http.client.HTTPConnection:
    if tls:
        return _Tls(HOST, port, timeout=30, source_address=(address, 0))
    return http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(address, 0))


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Visitor:
    """A browser reduced to its cookies, at an address of its own on this machine."""

    def __init__(self, port: int, *, tls: bool = True, address: str = "127.0.0.1", language: str = "fr", **more: str) -> None:
        self.port, self.tls, self.address = port, tls, address
        self.more = {"Accept-Language": language, **{name.replace("_", "-"): value for name, value in more.items()}}
        self.host, self.own = f"{HOST}:{port}", ""
        self.jar: dict[str, str] = {}
        self.set: list[str] = []
        self._connection: http.client.HTTPConnection | None = None

    @property
    def origin(self) -> str:
        return self.own or f"{'https' if self.tls else 'http'}://{self.host}"

    def connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = connection(self.port, tls=self.tls, address=self.address)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = {
            "Host": self.host,
            "Accept": "text/html,*/*;q=0.8",
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-Site": "none",
            **self.more,
        }
        if self.jar:
            sent["Cookie"] = "; ".join(f"{n}={v}" for n, v in self.jar.items())
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        for last in (False, True):
            try:
                connection = self.connect()
                connection.request(method, path, body, {k: v for k, v in sent.items() if v})
                answer = connection.getresponse()
                data = answer.read()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.close()
                if last or method != "GET":
                    raise
        found = Answer(answer.status, answer.headers, data)
        if answer.headers.get("Connection", "").lower() == "close":
            self.close()
        self.set = answer.headers.get_all("Set-Cookie") or []
        for line in self.set:
            name, _, value = line.partition(";")[0].partition("=")
            self.jar[name] = value
            if not value or "max-age=0" in line.lower():
                del self.jar[name]
        return found

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def choose(self, answer: str, **fields: str) -> Answer:
        """Presses a button of the notice that ``/`` shows."""
        page = self.get("/choose")
        found = re.search(r"name=.?notice.? value=.?([0-9a-f.]+)", page.text)
        assert found, page.text[:2000]
        self.notice = found[1]
        return self.choose_again(answer, **fields)

    def choose_again(self, answer: str, **fields: str) -> Answer:
        """The same from the panel, which is always there."""
        form = urlencode({"notice": self.notice, "answer": answer, "back": "/", "surface": "panel", **fields})
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        return self.ask("POST", "/_volens/choice", form, **kind)

    def seen(self) -> dict[str, Any]:
        """What the application is told of this visitor."""
        return dict(json.loads(self.get("/echo").body)["headers"])
