"""Around an application, ASGI or WSGI, the same pages are counted as by the proxy; the file is named by ``volens.toml``."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from tests.audience.making import BROWSER
from volens import Consent

CONFIG = """
names = ["site.example"]
[controller]
name = "Le Site"
contact = "donnees@site.example"
policy = "/confidentialite"
[audience]
file = "compte.db"
"""
PAGES = {"/whole": [b"<!DOCTYPE html><p>x"], "/pieces": [b"<!DOCTYPE html>", b"<p>", b"x"], "/missing": [b"<p>404"], "/json": [b"{}"]}


def head(path: str) -> tuple[int, list[tuple[str, str]]]:
    return 404 if path == "/missing" else 200, [("content-type", "application/json" if path == "/json" else "text/html")]


def wsgi(environ: Any, start_response: Any) -> Any:
    status, pairs = head(environ["PATH_INFO"])
    start_response(f"{status} X", pairs)
    return iter(PAGES[environ["PATH_INFO"]])


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    status, pairs = head(scope["path"])
    await send({"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode()) for k, v in pairs]})
    for piece in PAGES[scope["path"]]:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def ask_wsgi(consent: Any, path: str, method: str) -> None:
    environ: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method, "HTTP_HOST": "site.example"}
    environ |= {"HTTP_" + name.decode().upper().replace("-", "_"): value.decode() for name, value in BROWSER.items()}
    setup_testing_defaults(environ)
    answer = consent(environ, lambda *_: lambda _: None)
    list(answer)
    answer.close()


def ask_asgi(consent: Any, path: str, method: str) -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        pass

    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "https",
    }
    scope |= {"headers": [(b"host", b"site.example"), *BROWSER.items()], "client": ("192.0.2.1", 1)}
    with ThreadPoolExecutor(1) as pool:  # Playwright's loop may be running in this thread
        pool.submit(lambda: asyncio.run(consent(scope, receive, send))).result()


@pytest.mark.parametrize(("app", "ask"), [(wsgi, ask_wsgi), (asgi, ask_asgi)])
def test_a_wrapped_application_counts_its_pages(app: Any, ask: Any, tmp_path: Path) -> None:
    (tmp_path / "volens.toml").write_text(CONFIG, "utf-8")
    consent = Consent(app, tmp_path / "volens.toml")
    for path in PAGES:
        for method in ("GET", "GET", "HEAD", "POST"):
            ask(consent, path, method)
    gateway = consent.gateway()
    assert gateway.audience is not None and gateway.audience.path == str(tmp_path / "compte.db")
    today = datetime.now(UTC).date()
    found = gateway.audience.read("site.example", today, today)
    gateway.close()
    assert dict(found.paths) == {"/whole": 2, "/pieces": 2} and found.total == 4
