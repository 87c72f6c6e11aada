"""Volens around a Litestar application: ``protect(app, "volens.toml")``, and the dependency ``consent``.

app = Litestar([front], dependencies={"consent": Provide(consent, sync_to_thread=False)})
protect(app, "volens.toml")
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.types import Scope

from volens import testing
from volens.config import Loaded
from volens.policy import Grant
from volens.web.consent import Consent
from volens.web.live import Opened, packaged

if TYPE_CHECKING:
    from litestar.testing import TestClient


def protect(app: Litestar, config: str | os.PathLike[str] | Loaded = "volens.toml") -> Opened:
    """Put Volens around ``app``: a ``middleware`` of Litestar's would not see what no route answers, nor every error.

    Reads the configuration at once: raises ConfigError with every mistake.
    """
    opened = packaged(config)
    app.asgi_handler = Consent(app.asgi_handler, opened, interface="asgi")
    app.state.volens = opened
    return opened


def consent(scope: Scope) -> Grant:
    """The visitor's Grant, as a dependency of Litestar's."""
    granted: Grant = scope["consent"]  # type: ignore[typeddict-item]
    return granted


def granted(connection: ASGIConnection[Any, Any, Any, Any]) -> Grant:
    """The visitor's Grant where there is no injection: in guards and middleware."""
    found: Grant = connection.scope["consent"]  # type: ignore[typeddict-item]
    return found


def set_aside(app: Litestar) -> None:
    """Keep what a test records in a temporary folder; the site's own ledger and keys see nothing of it."""
    opened: Opened = app.state.volens
    opened.move(testing.aside(opened.loaded, Path(tempfile.mkdtemp(prefix="volens-test-"))))


def accept(client: TestClient[Litestar]) -> None:
    """*Accept all*, by the visitor of ``TestClient(app)``."""
    _send(client, testing.accepted(client.app.state.volens))


def refuse(client: TestClient[Litestar]) -> None:
    """*Refuse all*; after a grant, its withdrawal."""
    _send(client, testing.refused(client.app.state.volens))


def allow(client: TestClient[Litestar], *purposes: str) -> None:
    """These purposes with all their services, and no others; raises ValueError for one the notice doesn't ask for."""
    _send(client, testing.allowed(client.app.state.volens, *purposes))


def _send(client: TestClient[Litestar], answer: testing.Answer) -> None:
    got = client.post(answer.path, content=answer.body, headers={**answer.headers, "Content-Type": answer.content_type})
    testing.taken(got.status_code, got.content)
    for name, value in testing.twins(got.headers.get_list("set-cookie")):
        client.cookies.set(name, value) if value else client.cookies.delete(name)
