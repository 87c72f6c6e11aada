"""``Consent(app, "volens.toml")``: an ASGI or WSGI application behind Volens."""

from __future__ import annotations

import inspect
import os
from typing import Any

from volens.config import Loaded
from volens.web.asgi import AsgiFace
from volens.web.live import Opened as Opened
from volens.web.live import packaged
from volens.web.wsgi import WsgiFace


def _is_asgi(app: Any) -> bool:
    call = app if inspect.isroutine(app) else getattr(app, "__call__", app)  # noqa: B004
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call):
        return True
    try:
        required = [
            p
            for p in inspect.signature(call).parameters.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        return False
    return len(required) == 3


class Consent:
    """Wraps ``app``. The configuration is read at once (raises ConfigError with every mistake); the ledger is opened at the
    first request of each process, so that servers that fork are safe."""

    def __init__(self, app: Any, config: str | os.PathLike[str] | Loaded | Opened, *, interface: str = "") -> None:
        """``interface``: ``asgi`` or ``wsgi`` where it can't be told from the application's signature."""
        self.gateway = packaged(config)
        """This process's gateway."""
        kind = interface or ("asgi" if _is_asgi(app) else "wsgi")
        if kind not in ("asgi", "wsgi"):
            raise ValueError(f"interface {interface!r} is not 'asgi' or 'wsgi'.")
        self._face: Any = AsgiFace(app, self.gateway, self.gateway.close) if kind == "asgi" else WsgiFace(app, self.gateway)
        if kind == "asgi":
            # Servers look at the callable to choose their interface.
            self.__class__ = _AsgiConsent

    def __call__(self, *args: Any) -> Any:
        """The application's interface."""
        return self._face(*args)


class _AsgiConsent(Consent):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._face(scope, receive, send)
