"""Requests of browsers as they are sent, and a gateway that counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.enforce.making import NOW, SITE
from tests.web.making import Clock, gateway, request
from volens.audience.counts import Counts
from volens.audience.view import Pairs
from volens.site import Audience, Site
from volens.web.gateway import Gateway

CHROME = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
PHONE = b"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/18.6 Mobile/15E148 Safari/604.1"
GOOGLEBOT = b"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
BROWSER: dict[bytes, bytes] = {
    b"user-agent": CHROME,
    b"accept": b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    b"accept-language": b"fr-FR,fr;q=0.9,en;q=0.8",
    b"sec-fetch-dest": b"document",
    b"sec-fetch-mode": b"navigate",
    b"sec-fetch-site": b"none",
    b"sec-ch-ua-mobile": b"?0",
    b"sec-ch-ua-platform": b'"Windows"',
}
"""Chrome's request for a page, typed into the address bar."""
OLD = {name: value for name, value in BROWSER.items() if not name.startswith(b"sec-")}
"""A browser over plain http, or an older one: no Fetch Metadata, no client hints."""
HTML: Pairs = [(b"content-type", b"text/html; charset=utf-8"), (b"etag", b'"a"')]
PAGE = b"<!DOCTYPE html><html lang=fr><title>x</title><p>Bonjour</p>"
COUNTED: Site = replace(SITE, audience=Audience(merge=("/compte/*",)))


def fields(base: dict[bytes, bytes] = BROWSER, **changed: bytes | None) -> list[tuple[bytes, bytes]]:
    """``base`` with headers changed, or left out where None; ``_`` stands for ``-``."""
    given = {**base, **{name.replace("_", "-").encode(): value for name, value in changed.items()}}
    return [(name, value) for name, value in given.items() if value is not None]


def counting(folder: Path, site: Site = COUNTED, **more: Any) -> Gateway:
    """A gateway whose page views lie in ``folder``; ``now`` moves both clocks."""
    clock = more.setdefault("now", Clock(NOW))
    assert site.audience is not None
    counts = Counts(folder / "audience.db", lambda: clock().date(), months=site.audience.months, paths=site.audience.paths)
    return gateway(folder, site=site, audience=counts, **more)


def serve(
    made: Gateway,
    target: str = "/a",
    pairs: list[tuple[bytes, bytes]] | None = None,
    *,
    method: str = "GET",
    status: int = 200,
    head: Pairs = HTML,
    body: bytes = PAGE,
    streamed: bool = False,
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """One request to the site, answered by its application."""
    visit = made.visit(request(method, target, fields() if pairs is None else pairs))
    assert not visit.own, target
    if streamed:
        status, out = visit.head(status, list(head))
        return status, list(out), visit.feed(body[:30]) + visit.feed(body[30:]) + visit.finish()
    status, out, made_body = visit.whole(status, list(head), body)
    return status, list(out), made_body
