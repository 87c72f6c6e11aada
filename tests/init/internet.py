"""A site and the third parties of its pages, on one port of 127.0.0.1, told apart by the Host header."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FRONT = """<!DOCTYPE html><html lang="fr-FR"><head><meta charset="utf-8"><title>La Dourelle</title>
<meta property="og:site_name" content="La Dourelle">
<link rel="canonical" href="http://www.example.org/"><link rel="alternate" hreflang="en" href="/en/">
<link rel="stylesheet" href="http://static.example.org/site.css">
<script type="application/ld+json">{"@context":"https://schema.org","@type":"WebSite","publisher":{"@type":"NewsMediaOrganization",
"legalName":"Dourelle \\"SAS\\"\\nnames = [\\"evil.example\\"]","address":{"@type":"PostalAddress","streetAddress":"4 quai des Tanneurs",
"postalCode":"00000","addressLocality":"Montvière","addressCountry":"fr"}}}</script>
<script src="http://example-static.b-cdn.net/app.js"></script>
<script src="http://static.chartbeat.com/js/chartbeat.js" async></script>
<script src="http://stats.example.org/own.js" async></script>
<script src="/matomo/matomo.js" async></script>
<script src="http://widgets.nobody-knows.net/w.js" async></script>
<script src="http://cdn.cookielaw.org/scripttemplates/otSDKStub.js" async></script>
<script>document.cookie = "reading=dark; max-age=31536000; path=/"; localStorage.setItem("theme", "dark");
sessionStorage.setItem("draft", "1"); indexedDB.open("offline-articles");</script></head>
<body><h1>La Dourelle</h1>
<a href="/article/1">Un</a> <a href="/article/2">Deux</a> <a href="/rubrique">Trois</a>
<a href="/prive/x">Non</a> <a href="/logout">Sortir</a>
<a href="/mentions">Mentions légales</a> <a href="/vie-privee">Politique de confidentialité</a> <a href="http://other.example.net/">Ailleurs</a>
<a href="/auth/facebook?next=/">Se connecter avec Facebook</a>
<img src="http://pics.elsewhere.net/a.gif"><img src="http://img.example.org/logo.gif"></body></html>"""

ARTICLE = """<!DOCTYPE html><html lang="fr"><head><title>Article</title></head><body><h1>Article</h1><p id="own">vide</p>
<script src="http://static.example.org/own.js"></script>
<iframe src="http://player.twitch.tv/?channel=x" width="300" height="200"></iframe>
<form id="commentform" method="post" action="/commentaires/poster"><textarea name="comment"></textarea><button>Envoyer</button></form>
<a href="/">Une</a></body></html>"""

LEGAL = """<!DOCTYPE html><html lang="fr"><head><title>Mentions</title></head><body><h1>Mentions légales</h1>
<p>Écrire à <a href="mailto:donnees@example.org">notre bureau</a>, au délégué <a href="mailto:dpo@example.org">dpo</a>.</p></body></html>"""

ROBOTS = "User-agent: *\nDisallow: /prive/\n"
OWN_JS = "document.getElementById('own').textContent = 'servi';"


class Internet:
    """What was asked of whom."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.port = 0
        self.robots: tuple[int, str] = (200, ROBOTS)

    def of(self, host: str) -> list[str]:
        """The paths that ``host`` was asked for."""
        return [path for name, path in self.asked if name == host]

    @property
    def hosts(self) -> set[str]:
        return {name for name, _ in self.asked}

    @property
    def resolve(self) -> str:
        return f"*=127.0.0.1:{self.port}"


@contextmanager
def internet() -> Iterator[Internet]:
    """Until the end of the block."""
    net = Internet()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def send(self, body: str, kind: str = "text/html; charset=utf-8", status: int = 200, **fields: str) -> None:
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            for name, value in fields.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            host = self.headers.get("Host", "").partition(":")[0]
            path = self.path.partition("?")[0]
            net.asked.append((host, self.path))
            if path == "/robots.txt":
                self.send(net.robots[1], "text/plain", net.robots[0])
            elif path == "/missing":
                self.send("<p>Non", status=404)
            elif path == "/away":
                self.send("", status=302, Location="http://other.example.net/")
            elif path == "/round":
                self.send("", status=302, Location="/round")
            elif path == "/password":
                self.send("", status=401, WWW_Authenticate="Basic")
            elif path == "/members":
                self.send("", status=302, Location="/login")
            elif path == "/login":
                self.send("<!DOCTYPE html><form method=post><input name=u><input type=password name=p></form><a href=/>x</a>")
            elif path == "/data.json":
                self.send("{}", "application/json")
            elif path == "/empty":
                self.send("")
            elif path in ("/endless", "/silent", "/drip"):
                self.forever(path)
            elif path == "/busy":
                self.send("<!DOCTYPE html><title>B</title><p>x</p><script>while (true) {}</script>")
            elif path == "/hurt":
                self.hurt()
            elif host == "example.org":
                self.send("", status=301, Location="http://www.example.org/")
            elif host in ("www.example.org", "localhost", "127.0.0.1"):
                self.site(path)
            elif path.endswith(".css"):
                self.send("body{background:url(/bg.gif)}", "text/css")
            elif path == "/own.js":
                self.send(OWN_JS, "text/javascript")
            elif path.endswith(".js"):
                self.send(
                    "new Image().src='http://" + host + "/beacon?x=1'",
                    "text/javascript",
                    Set_Cookie="uid=1; Max-Age=34128000; SameSite=None",
                )
            else:
                self.send("<!DOCTYPE html><title>T</title>", Set_Cookie="third=1; Max-Age=9999")

        def site(self, path: str) -> None:
            if path == "/":
                self.send(FRONT, Set_Cookie="dourelle_session=abc; Path=/; HttpOnly")
            elif path in ("/mentions", "/vie-privee"):
                self.send(LEGAL)
            elif path.endswith(".js"):
                self.send("navigator.sendBeacon('/matomo/matomo.php?idsite=1&rec=1')", "text/javascript")
            else:
                self.send(ARTICLE)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            net.asked.append((self.headers.get("Host", "").partition(":")[0], self.path))
            self.send("", "text/plain", 204)

        def hurt(self) -> None:
            """Names that would become lines, or move a terminal, if they were believed."""
            name = 'x"]\\nhosts = ["evil.example'
            self.send(
                f"<!DOCTYPE html><html lang='fr\"]'><title>\x1b[2J</title><meta property=og:site_name content='{name}\n# \u202e'>"
                "<a href='/vie\"privee\n'>Confidentialité \x1b[31m</a><iframe src='http://evil.example.net/\x1b[2J\n[x]'></iframe>"
                "<form class=comment method=post action='/a\"]\nb'><textarea name=comment></textarea></form>"
                "<script>localStorage.setItem('a]\\n[x', 1);localStorage.setItem('a\"b', 1);localStorage.setItem('*', 1);"
                "localStorage.setItem('\\u202eodd', 1)</script>"
            )

        def forever(self, path: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Connection", "close")
            if path != "/silent":
                self.end_headers()
            try:
                for _ in range(4000):
                    if path == "/endless":
                        self.wfile.write(b"<p>" + b"x" * 65536)
                    elif path == "/drip":
                        self.wfile.write(b"<p>x")
                    time.sleep(0 if path == "/endless" else 0.02)
            except OSError:
                pass
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    net.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield net
    finally:
        server.shutdown()
        server.server_close()
