"""Our own pages: what every one of them is sent with, and those that say why there is none."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from volens.enforce.csp import hash_source
from volens.site import Site
from volens.web.asked import Asked
from volens.web.messages import Pairs, Reply
from volens.web.replies import NO_STORE, SECURITY, json_reply, wants_json

if TYPE_CHECKING:
    from volens.web.gateway import Gateway


class Pages:
    """Makes them, for one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def page(self, site: Site, status: int, text: str, *, style: str = "", frame: str = "") -> Reply:
        """One of our own pages: nothing runs in it but our file, nothing frames it but the site itself."""
        style = hash_source(style or self._gateway.screens(site).page_style)
        embed = hash_source(self._gateway.assets.embed)
        policy = (
            f"default-src 'none'; style-src {style}; script-src 'self' {embed}; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
        )
        if frame:
            policy += f"; frame-src {frame}"
        pairs = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", policy.encode("latin-1")),
            (b"vary", b"Cookie, Sec-GPC, Accept-Language"),
            NO_STORE,
            *(p for p in SECURITY if p[0] != b"referrer-policy"),
            (b"referrer-policy", b"same-origin"),  # under no-referrer its forms would come from ``null``
        ]
        return Reply(status, pairs, text.encode())

    def trouble(self, site: Site, pairs: Pairs, status: int, kind: str, language: str, back: str = "", *more: tuple[bytes, bytes]) -> Reply:
        """Why there is no page, as ``kind`` of the message screen, or as a problem for a program (RFC 9457)."""
        screens = self._gateway.screens(site)
        if wants_json(pairs):
            title = HTTPStatus(status).phrase
            value = {"type": "about:blank", "title": title, "status": status, "detail": " ".join(screens.problem_words(kind, language))}
            reply = json_reply(status, value, "application/problem+json")
        else:
            reply = self.page(site, status, screens.problem(kind, language, back=back))
        kept = [p for p in reply.pairs if p[0] != b"vary"]
        return replace(
            reply, pairs=[*kept, (b"vary", b"Accept, Accept-Language, Sec-Fetch-Mode"), (b"content-language", language.encode()), *more]
        )

    def refused(self, asked: Asked, status: int, kind: str, *more: tuple[bytes, bytes]) -> Reply:
        """The same, of one of our own pages."""
        return self.trouble(asked.site, asked.request.pairs, status, kind, asked.language, asked.came_from, *more)

    def nothing(self, asked: Asked) -> Reply:
        """404."""
        return self.refused(asked, 404, "nothing")

    def token(self, asked: Asked) -> str:
        """What a form of ours carries where the browser does not say whose page it stands on."""
        return self._gateway.token(_page_token(asked, self._gateway.hours()[0]))

    def token_holds(self, asked: Asked, token: str) -> bool:
        """Whether a form of ours carried it, in this hour or the one before."""
        return bool(token) and self._gateway.is_token(token, (_page_token(asked, hour) for hour in self._gateway.hours()))


def _page_token(asked: Asked, hour: int) -> str:
    return f"{asked.request.scheme}://{asked.request.host} {hour}"
