"""Volens around a Starlette application, and so around FastAPI: ``protect(app, "volens.toml")``.

``request.scope["consent"]`` is the visitor's Grant, in mounted applications and web sockets too.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from volens import testing
from volens.config import Loaded
from volens.links import gate_markup, panel_url
from volens.policy import Grant
from volens.web.consent import Consent
from volens.web.live import Opened, packaged

if TYPE_CHECKING:
    from starlette.testclient import TestClient


def protect(app: Starlette, config: str | os.PathLike[str] | Loaded = "volens.toml") -> Opened:
    """Put Volens around ``app``: outside of all its middleware, wherever in the program that is added, and of its page of a 500.

    Reads the configuration at once: raises ConfigError with every mistake.
    """
    opened = packaged(config)
    build = app.build_middleware_stack

    def built() -> Any:
        stack = build()

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            scope["volens"] = opened  # ``app`` is another in what is mounted, and so its state
            await stack(scope, receive, send)

        return Consent(told, opened, interface="asgi")

    app.build_middleware_stack = built  # type: ignore[method-assign]
    app.state.volens = opened
    return opened


def consent(connection: HTTPConnection) -> Grant:
    """The visitor's Grant. A dependency of FastAPI: ``Annotated[Grant, Depends(consent)]``, which is ``volens.fastapi.Granted``."""
    granted: Grant = connection.scope["consent"]
    return granted


def context(request: HTTPConnection) -> dict[str, Any]:
    """For ``Jinja2Templates(…, context_processors=[context])``: ``consent``, ``volens_panel``, ``volens_gate(path)``."""
    prefix = request.scope["volens"].loaded.site.prefix
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return {
        "consent": consent(request),
        "volens_panel": panel_url(prefix, back),
        "volens_gate": gate_markup,
    }


def set_aside(app: Starlette) -> None:
    """Keep what a test records in a temporary folder; the site's own ledger and keys see nothing of it."""
    opened: Opened = app.state.volens
    opened.move(testing.aside(opened.loaded, Path(tempfile.mkdtemp(prefix="volens-test-"))))


def accept(client: TestClient) -> None:
    """*Accept all*, by the visitor of ``TestClient(app)``."""
    _send(client, testing.accepted(client.app.state.volens))  # type: ignore[attr-defined]


def refuse(client: TestClient) -> None:
    """*Refuse all*; after a grant, its withdrawal."""
    _send(client, testing.refused(client.app.state.volens))  # type: ignore[attr-defined]


def allow(client: TestClient, *purposes: str) -> None:
    """These purposes with all their services, and no others; raises ValueError for one the notice doesn't ask for."""
    _send(client, testing.allowed(client.app.state.volens, *purposes))  # type: ignore[attr-defined]


def _send(client: TestClient, answer: testing.Answer) -> None:
    got = client.post(answer.path, content=answer.body, headers={**answer.headers, "Content-Type": answer.content_type})
    testing.taken(got.status_code, got.content)
    for name, value in testing.twins(got.headers.get_list("set-cookie")):
        client.cookies.set(name, value) if value else client.cookies.delete(name)
