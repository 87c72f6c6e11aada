"""Volens around a Flask application: ``protect(app, "volens.toml")``.

``g.consent`` is the visitor's Grant; templates have ``consent``, ``volens_panel()`` and ``volens_gate(path)``.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from flask import Flask, g, request
from flask.testing import FlaskClient

from volens import testing
from volens.config import Loaded
from volens.links import gate_markup, panel_url
from volens.web.consent import Consent
from volens.web.live import Opened


def protect(app: Flask, config: str | os.PathLike[str] | Loaded = "volens.toml") -> Consent:
    """Put Volens around ``app``, also for its test client. Call it last: what is wrapped around ``app.wsgi_app`` later stands outside.

    A path that isn't absolute is looked for beside the application (``app.root_path``). Raises ConfigError with every mistake.
    """
    around = Consent(app.wsgi_app, config if isinstance(config, Loaded) else Path(app.root_path) / config, interface="wsgi")
    app.wsgi_app = around  # type: ignore[method-assign, assignment]
    app.extensions["volens"] = around
    prefix = around.gateway.loaded.site.prefix

    def panel() -> str:
        return panel_url(prefix, request.full_path.removesuffix("?"))

    def told() -> None:
        g.consent = request.environ["consent"]

    app.before_request_funcs.setdefault(None, []).insert(0, told)
    app.context_processor(lambda: {"consent": request.environ["consent"]})
    app.jinja_env.globals.update(volens_panel=panel, volens_gate=gate_markup)
    return around


def set_aside(app: Flask) -> None:
    """Keep what a test records in a temporary folder; the site's own ledger and keys see nothing of it."""
    around: Consent = app.extensions["volens"]
    around.gateway.move(testing.aside(around.gateway.loaded, Path(tempfile.mkdtemp(prefix="volens-test-"))))


def accept(client: FlaskClient) -> None:
    """*Accept all*, by the visitor of ``app.test_client()``."""
    _send(client, testing.accepted(_opened(client)))


def refuse(client: FlaskClient) -> None:
    """*Refuse all*; after a grant, its withdrawal."""
    _send(client, testing.refused(_opened(client)))


def allow(client: FlaskClient, *purposes: str) -> None:
    """These purposes with all their services, and no others; raises ValueError for one the notice doesn't ask for."""
    _send(client, testing.allowed(_opened(client), *purposes))


def _opened(client: FlaskClient) -> Opened:
    around: Consent = client.application.extensions["volens"]
    return around.gateway


def _send(client: FlaskClient, answer: testing.Answer) -> None:
    headers = {**answer.headers, "Content-Type": answer.content_type}
    got = client.post(answer.path, data=answer.body, headers=headers)
    testing.taken(got.status_code, got.data)
    for name, value in testing.twins(got.headers.getlist("Set-Cookie")):
        client.set_cookie(name, value) if value else client.delete_cookie(name)
