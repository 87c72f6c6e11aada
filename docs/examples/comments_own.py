"""A page with a comment form of its own, behind Volens: `python comments_own.py 8080`, then http://site.localhost:8080/."""

import sys
from html import escape
from pathlib import Path
from socketserver import ThreadingMixIn
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIServer, make_server

from volens import Consent

COMMENTS = ["Ada: first!"]

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>The bridge</title>
<h1>The bridge is open</h1><h2>Comments</h2><ul>{comments}</ul>
<volens-gate path="/comments" id="write"></volens-gate>
<form method="post" action="/comments"><label>Your comment<br><textarea name="text" required></textarea></label><br>
<button>Publish</button></form>
{login}"""
LOGIN = '<script src="http://faces.localhost:{port}/sign-in.js"></script>'


def site(environ, start_response):
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    if path == "/comments" and method == "POST":  # the gate has let it through: the visitor has allowed it
        sent = parse_qs(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode())
        COMMENTS.append(sent["text"][0])
        start_response("303 See Other", [("Location", "/#write")])
        return [b""]
    if path == "/my-comments":  # where a visitor who withdrew is sent: a real site shows theirs, and erases them
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [b"<!doctype html><title>Erase</title><h1>Erase my comments</h1>"]
    allowed = environ["consent"].allows("reseaux-sociaux")
    login = LOGIN.format(port=environ["SERVER_PORT"]) if allowed else ""
    page = PAGE.format(comments="".join(f"<li>{escape(text)}</li>" for text in COMMENTS), login=login)
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [page.encode()]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    app = Consent(site, Path(__file__).with_suffix(".toml"))
    with make_server("127.0.0.1", port, app, Server) as server:
        print(f"http://site.localhost:{server.server_port}/", flush=True)
        server.serve_forever()
