"""The operator's pages under ``admin/``: who may enter, and which pages there are. Read-only.

A page is a module of this package with an answer for a request; it is entered in ``Admin`` and, where it shall be found,
in ``PAGES``.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import TYPE_CHECKING

from volens.web.admin.audience import AudiencePage
from volens.web.admin.choices import ChoicesPage
from volens.web.admin.frame import PAGES, admin_words, reply, shell
from volens.web.admin.hosts import HostsPage
from volens.web.asked import Asked
from volens.web.messages import Reply, Request, Waiting
from volens.web.rate import Rate

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

_FORWARDING = (b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip", b"fastly-client-ip")
"""Request headers by which a front shows that it stands between, besides ``X-Forwarded-*``."""


class Admin:
    """Answers below ``admin/``, for whoever may read them."""

    def __init__(self, gateway: Gateway, rate: Rate) -> None:
        self._gateway, self._rate = gateway, rate
        choices, audience, hosts = ChoicesPage(gateway), AudiencePage(gateway), HostsPage(gateway)
        self._routes: dict[str, Callable[[Asked], Reply | Waiting]] = {
            "choices": choices.page,
            "choices.json": choices.json,
            "audience": audience.page,
            "audience.json": audience.json,
            "hosts": hosts.page,
            "hosts.json": hosts.json,
        }

    def answer(self, asked: Asked, name: str) -> Reply | Waiting:
        """The reply for ``name``, the path below the reserved one, from ``admin`` on."""
        if asked.request.method not in ("GET", "HEAD"):
            return reply(405, b"Method not allowed.\n", b"text/plain", (b"allow", b"GET, HEAD"))
        refused = self.refused(asked, name)
        if refused is not None:
            return refused
        page = name.removeprefix("admin").removeprefix("/")
        if not page:
            return reply(303, b"", b"text/plain", (b"location", f"{asked.site.prefix}admin/{PAGES[0]}".encode()))
        route = self._routes.get(page)
        return route(asked) if route is not None else reply(404, b"Nothing here.\n", b"text/plain")

    def refused(self, asked: Asked, name: str) -> Reply | None:
        """Why not, or None for the operator: who has the token where there is one, else who sits at this machine."""
        token = self._gateway.admin_token
        if not token:
            if here(asked.request):
                return None
            say = admin_words(asked.language)
            text = say("door.local", path=asked.site.prefix + name)
            return shell(asked, say, say("door.title"), text, status=403)
        given = [_password(value) for value in asked.request.all(b"authorization")]
        if any([hmac.compare_digest(value, token.encode()) for value in given]):
            return None
        if given and (wait := self._rate.allows(asked.request.client, time.monotonic())):
            return reply(429, b"Too many attempts.\n", b"text/plain", (b"retry-after", b"%d" % (wait + 1)))
        say = admin_words(asked.language)
        asks = (b"www-authenticate", b'Basic realm="Volens", charset="UTF-8"')
        return shell(asked, say, say("door.title"), say("door.token"), asks, status=401)


def here(request: Request) -> bool:
    """Whether the request was made on this machine: from its loopback, to a loopback name, and nobody handed it on.

    The name counts because a page of elsewhere may make its own name lead here (DNS rebinding), and because a front on
    this machine makes every visitor's request come from the loopback.
    """
    if request.through or any((name := key.lower()) in _FORWARDING or name.startswith(b"x-forwarded") for key, _ in request.pairs):
        return False
    host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdigit() else request.host
    named = host == "localhost" or host.endswith(".localhost") or _loopback(host.strip("[]"))
    return named and _loopback(request.client)


def _loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def _password(value: bytes) -> bytes:
    """The token of an ``Authorization`` field: a bearer's (RFC 6750), or the password of Basic (RFC 7617), whatever the name."""
    scheme, _, rest = value.strip().partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() != b"basic":
        return b""
    try:
        return b64decode(rest.strip(), validate=True).partition(b":")[2]
    except (Base64Error, ValueError):
        return b""
