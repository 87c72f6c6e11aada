"""A visitor's ways through a site, in every state, over HTTP: the same for every framework, whose programs serve the same pages.

Speaks HTTP with the standard library and keeps cookies as a browser does; shares nothing with the product but the words of its forms.
"""

from __future__ import annotations

import html
import http.client
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

PURPOSES = ("reseaux-sociaux", "video", "personnalisation")
STATES = ("none", "refused", *PURPOSES, "accepted")
TRACKER = '<script src="https://www.google-analytics.com/analytics.js"'
VIDEO = '<iframe src="https://www.youtube.com/embed/'


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> dict[str, object]:
        return json.loads(self.body)  # type: ignore[no-any-return]


@dataclass
class Visitor:
    """Someone with a browser at ``port``."""

    port: int
    jar: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, path: str, body: bytes = b"", kind: str = "", **headers: str) -> Answer:
        sent = {
            "Host": f"site.localhost:{self.port}",
            "Accept": "text/html,*/*;q=0.8",
            "Accept-Language": "en",
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Site": "same-origin",
            **({"Origin": f"http://site.localhost:{self.port}"} if method == "POST" else {}),
            **({"Content-Type": kind} if kind else {}),
            **({"Cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())} if self.jar else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        link.request(method, path, body or None, sent)
        got = link.getresponse()
        answer = Answer(got.status, got.headers, got.read())
        link.close()
        for line in got.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            if re.search(r"max-age=0(?!\d)|expires=thu, 01[ -]jan[ -]1970", line.lower()):
                self.jar.pop(name.strip(), None)
            else:
                self.jar[name.strip()] = value
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, **headers)

    def post(self, path: str, fields: dict[str, str] | list[tuple[str, str]]) -> Answer:
        return self.send("POST", path, urlencode(fields).encode(), "application/x-www-form-urlencoded")

    def choose(self, state: str) -> None:
        """As its buttons say."""
        if state == "none":
            return
        page = self.get("/_volens/panel").text
        notice = re.search(r'name="notice" value="([^"]+)"', page)
        assert notice, page[:500]
        answer = {"refused": "refuse", "accepted": "accept"}.get(state, "switches")
        fields = [("notice", notice[1]), ("answer", answer), ("surface", "panel"), ("back", "/")]
        done = self.post("/_volens/choice", [*fields, *([("purposes", state)] if answer == "switches" else [])])
        assert (done.status, done.headers["Location"]) == (303, "/"), done.text

    def token(self, path: str, action: str = "") -> dict[str, str]:
        """The hidden fields of the form of ``path`` that leads to ``action``."""
        text = self.get(path).text
        mark = f'action="{action}"' if action else "password"
        form = next(form for form in re.findall(r"<form[^>]*>.*?</form>", text, re.DOTALL) if mark in form)
        return {name: html.unescape(value) for name, value in re.findall(r'<input type="?hidden"? name="([^"]+)" value="([^"]*)"', form)}


def allowed(state: str, purpose: str) -> bool:
    return state in (purpose, "accepted")


# The ways. Each opens nothing but what its state allows, and works in all of them.


def own_page(visitor: Visitor, state: str) -> None:
    page = visitor.get("/")
    assert page.status == 200 and "<h1>The bridge is open</h1>" in page.text
    assert (TRACKER in page.text) is allowed(state, "personnalisation")
    assert (VIDEO in page.text) is allowed(state, "video")
    assert ("The film:" in page.text, "A picture of the film." in page.text) == (allowed(state, "video"), not allowed(state, "video"))
    assert ("_ga" in visitor.jar) is allowed(state, "personnalisation")
    assert ("Refuse all" in page.text) is (state == "none"), "asked once"
    assert "default-src" in page.headers["Content-Security-Policy"] and "Cookie" in page.headers["Vary"]
    again = visitor.get("/", If_None_Match=page.headers.get("ETag", '"none"'))
    assert again.status in (200, 304)


def told(visitor: Visitor, state: str) -> None:
    jar = dict(visitor.jar)
    visitor.jar |= {"_ga": "GA1.1.2", "unknown": "x"}
    answer = visitor.get("/consent.json", Accept="application/json", Sec_Fetch_Dest="empty", Volens_Consent="video, personnalisation")
    said = answer.json()
    seen = said.pop("cookies")
    assert said == {"technique": True, **{purpose: allowed(state, purpose) for purpose in PURPOSES}}
    assert isinstance(seen, list) and ("_ga" in seen) is allowed(state, "personnalisation")
    assert not [name for name in seen if name.startswith("volens")], "our own cookies are never the application's"
    visitor.jar = jar


def sign_in(visitor: Visitor, state: str) -> None:
    assert visitor.get("/account").status in (302, 303, 307), "nobody is signed in yet"
    fields = visitor.token("/sign-in")
    wrong = visitor.post("/sign-in", {**fields, "username": "ada", "password": "wrong"})
    assert wrong.status in (200, 401)
    done = visitor.post("/sign-in", {**visitor.token("/sign-in"), "username": "ada", "password": "lovelace"})
    assert (done.status, done.headers["Location"]) in ((302, "/account"), (303, "/account")), done.text
    account = visitor.get("/account")
    assert account.status == 200 and "<h1>ada</h1>" in account.text


def form(visitor: Visitor, state: str) -> None:
    fields = visitor.token("/", "/notes")
    done = visitor.post("/notes", {**fields, "text": "<Noté>"})
    assert done.status == 200 and "<p>&lt;Noté&gt;</p>" in done.text
    assert visitor.post("/notes", {"text": "forged"}).status == 403, "without its token it is refused, by the application"


def gated(visitor: Visitor, state: str) -> None:
    fields = {**visitor.token("/", "/comments"), "text": "A comment"}
    done = visitor.post("/comments", fields)
    if not allowed(state, "reseaux-sociaux"):
        assert done.status == 403 and "<blockquote>A comment</blockquote>" in done.text, "given back, with what it needs"
        other = Visitor(visitor.port, dict(visitor.jar))
        button = re.search(r'<button formaction="([^"]+)">Allow', done.text)
        assert button, done.text
        sent = other.post(html.unescape(button[1]), fields)
        assert sent.status == 307 and sent.headers["Location"] == "/comments", "and sent again by the browser"
        done = other.post("/comments", fields)
    assert done.status == 200 and "<p>A comment</p>" in done.text


def upload(visitor: Visitor, state: str) -> None:
    data = bytes(range(256)) * 4096  # 1 MB: more than our own end points would read
    parts = b""
    for name, value in visitor.token("/", "/upload").items():
        parts += f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    parts += b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n'
    done = visitor.send("POST", "/upload", parts + data + b"\r\n--edge--\r\n", "multipart/form-data; boundary=edge")
    assert done.status in (200, 201) and done.json() == {"bytes": len(data), "name": "a.bin"}, done.body[:300]


def redirect(visitor: Visitor, state: str) -> None:
    done = visitor.get("/old")
    assert (done.status, done.headers["Location"]) in ((302, "/"), (303, "/"), (307, "/"))


def missing(visitor: Visitor, state: str) -> None:
    page = visitor.get("/missing")
    assert page.status == 404 and "<h1>Not here</h1>" in page.text
    assert (TRACKER in page.text) is allowed(state, "personnalisation")


def broken(visitor: Visitor, state: str) -> None:
    page = visitor.get("/boom")
    assert page.status == 500 and "<h1>Our mistake</h1>" in page.text
    assert (TRACKER in page.text) is allowed(state, "personnalisation")


def streamed(visitor: Visitor, state: str) -> None:
    page = visitor.get("/live")
    assert page.status == 200 and "<h1>Live</h1>" in page.text and page.text.count("<p>still open</p>") == 100
    assert page.text.rstrip().endswith("<p>the end") and "Content-Length" not in page.headers
    assert bool(re.search(r"<script src=.?https://www.google-analytics", page.text)) is allowed(state, "personnalisation")


def download(visitor: Visitor, state: str) -> None:
    file = visitor.get("/file")
    assert file.status == 200 and file.body == bytes(range(256)) * 1000
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert visitor.send("HEAD", "/file").body == b""


def changed_mind(visitor: Visitor, state: str) -> None:
    """Last: withdrawn, signed in as before."""
    visitor.choose("refused")
    assert "<h1>ada</h1>" in visitor.get("/account").text, "a withdrawal logs nobody out"
    assert TRACKER not in visitor.get("/").text and "_ga" not in visitor.jar


WAYS: tuple[Callable[[Visitor, str], None], ...] = (
    own_page, told, sign_in, form, gated, upload, redirect, missing, broken, streamed, download, changed_mind,
)  # fmt: skip


def walk(port: int, state: str) -> list[str]:
    """All ways in one state, by one visitor; what failed."""
    visitor = Visitor(port)
    visitor.choose(state)
    failed = []
    for way in WAYS:
        try:
            way(visitor, state)
        except (AssertionError, KeyError, StopIteration, ValueError, OSError, TypeError) as error:
            failed.append(f"{way.__name__}, {state}: {type(error).__name__} {str(error)[:600]}")
    return failed
