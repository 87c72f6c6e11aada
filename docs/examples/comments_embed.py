"""A page whose comments are a third party's script, as Disqus', behind Volens: `python comments_embed.py 8080`, then http://site.localhost:8080/.

So that it runs anywhere, the same process plays the third party, under threads.localhost.
"""

import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

from volens import Consent

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>The bridge</title>
<h1>The bridge is open</h1><h2>Comments</h2>
<div id="thread"></div>
<script src="http://threads.localhost:{port}/embed.js"></script>"""
EMBED = """var frame = document.createElement("iframe"); frame.title = "Comments"; frame.width = "100%";
frame.src = "http://threads.localhost:{port}/thread?page=" + encodeURIComponent(location.href);
document.getElementById("thread").append(frame);"""
RECEIVED: list[str] = []
"""What the third party has been asked for."""


def site(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [PAGE.format(port=environ["SERVER_PORT"]).encode()]


def third_party(environ, start_response):
    kind, text = "text/html", "<!doctype html><title>Thread</title><p>Ada: first!</p>"
    if environ["PATH_INFO"] == "/embed.js":
        kind, text = "text/javascript", EMBED.format(port=environ["SERVER_PORT"])
    elif environ["PATH_INFO"] == "/received":
        kind, text = "text/plain", "\n".join(RECEIVED)
    if environ["PATH_INFO"] != "/received":
        RECEIVED.append(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", kind)])
    return [text.encode()]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    behind = Consent(site, Path(__file__).with_suffix(".toml"))

    def by_name(environ, start_response):
        return (third_party if environ["HTTP_HOST"].startswith("threads.") else behind)(environ, start_response)

    with make_server("127.0.0.1", port, by_name, Server) as server:
        print(f"http://site.localhost:{server.server_port}/", flush=True)
        server.serve_forever()
