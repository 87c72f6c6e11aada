"""A real browser on an observed page: it loads as without Volens, and what its scripts lead to is reported and listed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.enforce.making import NOTICE, NOW
from tests.running import until
from tests.web.making import Clock, gateway
from volens.findings import REPORT, Findings, Found
from volens.site import Site
from volens.web.asgi import AsgiFace

PAGE = (
    "<!DOCTYPE html><html lang=fr><title>x</title><p id=p>Bonjour</p><script>"
    "document.cookie = 'suivi=1'; localStorage.setItem('suivi', 1);"
    "const s = document.createElement('script'); s.src = 'http://tiers.localhost:{port}/x.js'; document.head.append(s);</script></html>"
)


@contextmanager
def served(app: Any) -> Iterator[int]:
    link = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [link]}, daemon=True)
    thread.start()
    try:
        yield link.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        link.close()


@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_what_a_script_leads_to_is_reported_by_the_browser_and_listed(chromium: Any, tmp_path: Path, mode: str) -> None:
    site = Site(name="journal.localhost", notice=NOTICE, hosts=("journal.localhost",), mode=mode, report_sample=1.0)
    made = gateway(tmp_path, site=site, now=Clock(NOW), findings=Findings(tmp_path / "hosts.db", NOW.date))
    ports: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        text, kind = (
            (b"window.ran = true", b"text/javascript")
            if scope["path"] == "/x.js"
            else (PAGE.replace("{port}", str(ports[0])).encode(), b"text/html")
        )
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": text})

    async def third(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "path": "/x.js"}, receive, send)

    with served(third) as other, served(AsgiFace(app, lambda: made)) as port:
        ports.append(other)
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"http://journal.localhost:{port}/article?secret=1")
        assert made.findings is not None
        findings, since = made.findings, NOW.date() - timedelta(days=1)

        def noted() -> list[Found]:
            return [one for one in findings.read(site.name, since) if (one.kind, one.name) == ("script", "tiers.localhost")]

        assert [one.ways for one in until(noted)] == [(REPORT,)]
        if mode == "observe":
            assert page.evaluate("window.ran") is True and page.evaluate("document.cookie") == "suivi=1"
            assert page.evaluate("localStorage.getItem('suivi')") == "1" and page.locator("volens-notice").count() == 0
            assert made.observer.settle() and context.cookies()[0]["name"] == "suivi" and len(context.cookies()) == 1
        else:
            assert page.evaluate("window.ran") is None and page.locator("volens-notice").count() == 1
        context.close()
    made.retire()
    made.close()
