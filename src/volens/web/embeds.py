"""The documents that stand where an embed was: the placeholder, then the embed alone under a policy that allows its service only.

The first placeholders of a page stand in the page itself (``enforce/html.py``); their form answers here, and so do those
that a script inserts later.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from volens.enforce.embeds import Alone, page_of_script, stands_alone
from volens.enforce.html import Withheld
from volens.enforce.url import Target, resolve, text_of
from volens.notice import Service
from volens.policy import Decision, Reason
from volens.web.asked import Asked, Fields, local
from volens.web.messages import Reply

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

_DATA = re.compile(r"data-[a-z0-9-]{1,40}")
_LINK_TOO = re.compile(r"href|" + _DATA.pattern)
_ONCE = "&once="


class Embeds:
    """``embed/frame`` and ``embed/script``."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway, self._pages = gateway, gateway.pages

    def frame(self, asked: Asked) -> Reply:
        """In place of a withheld frame."""
        address = _own_address(asked)
        fields = asked.query
        target, service, decision = self._found(asked, fields)
        if target.scheme not in ("http", "https") or not target.host:
            return self._pages.nothing(asked)
        if decision.allowed or (decision.reason is not Reason.LOCKED and self._pressed(asked, address)):
            text = self._gateway.screens(asked.site).playing(text_of(target), fields.pairs)
            sources = " ".join(_sources(target, service))
            reply = self._pages.page(asked.site, 200, text, style=self._gateway.screens(asked.site).play_style, frame=sources)
            # players ask which site shows them, and refuse to play where nobody says
            pairs = [(k, b"strict-origin-when-cross-origin" if k == b"referrer-policy" else v) for k, v in reply.pairs]
            return Reply(200, pairs, reply.body)
        return self._placeholder(asked, Withheld(target, address, asked.language_in(fields)))

    def script(self, asked: Asked) -> Reply:
        """In place of what a withheld script would show."""
        # The page's path stands last and as it came: it may itself hold a query.
        address, _, page_path = _own_address(asked).partition("&back=")
        fields = asked.query
        target, service, decision = self._found(asked, fields)
        if target.scheme not in ("http", "https") or not target.host:
            return self._pages.nothing(asked)
        alone = stands_alone(target)
        kept = _LINK_TOO if alone else _DATA
        data = [(name, value) for name, value in fields.pairs if len(value) < 2000 and kept.fullmatch(name)]
        if (data or alone) and (decision.allowed or (decision.reason is not Reason.LOCKED and self._pressed(asked, address))):
            return _script_alone(target, service, alone, data)
        # without data it works on the page around it, which must be made again
        page_path = "" if data or alone else local(page_path)
        page = page_of_script(target, data) if alone else ""
        return self._placeholder(asked, Withheld(target, address, asked.language_in(fields), "", page_path, page))

    def once(self, asked: Asked, address: str) -> str | None:
        """Where *Just this one* leads: the embed's own address, with the proof that a placeholder's form was sent; None for any other."""
        if not address.startswith(asked.site.prefix + "embed/") or _ONCE in address:
            return None
        return address + _ONCE + self._gateway.token(_proof(asked, address, self._gateway.hours()[0]))

    def _placeholder(self, asked: Asked, withheld: Withheld) -> Reply:
        screens = self._gateway.screens(asked.site)
        hosts, _ = self._gateway.judges(asked.site, asked.grant, asked.host)
        text = screens.place(hosts.shown(withheld.target), withheld, whole=True, locked=asked.grant.locked)
        return self._pages.page(asked.site, 200, text, style=screens.place_style)

    def _found(self, asked: Asked, fields: Fields) -> tuple[Target, Service | None, Decision]:
        target = resolve(fields.get("u")[:8192], Target(asked.request.scheme, asked.host, "/"))
        hosts, _ = self._gateway.judges(asked.site, asked.grant, asked.host)
        decision = hosts.decide(target.host, "frame") if target.host else Decision(False, Reason.UNKNOWN)
        return target, asked.site.notice.service.get(decision.service), decision

    def _pressed(self, asked: Asked, address: str) -> bool:
        _, _, given = asked.request.target.decode("latin-1").partition(_ONCE)
        known = bool(given) and self._gateway.is_token(given, (_proof(asked, address, hour) for hour in self._gateway.hours()))
        return known and asked.same_origin() is not False


def _proof(asked: Asked, address: str, hour: int) -> str:
    """Bound to address and hour: markup that names the address by itself shows the placeholder."""
    return f"once {asked.request.scheme}://{asked.request.host} {hour} {address}"


def _own_address(asked: Asked) -> str:
    """Path and query of a placeholder, without the proof of a press."""
    return asked.request.target.decode("latin-1").partition(_ONCE)[0]


def _script_alone(target: Target, service: Service | None, alone: Alone | None, data: list[tuple[str, str]]) -> Reply:
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in data)
    sources = [*_sources(target, service), *(alone.hosts if alone else ())]
    policy = (
        f"default-src {' '.join(sources)} data: 'unsafe-inline'; frame-ancestors 'self'; form-action 'none'; "
        "base-uri 'none'; sandbox allow-scripts allow-popups"
    )
    source = f' src="{escape(text_of(target))}"'
    if alone is None:
        body = f"<script async{source}{attributes}></script>"
    elif alone.element:
        body = f"<{alone.element}{attributes}></{alone.element}><script async{source}></script>"
    else:
        body = f"<script{source}></script>"  # it writes where it stands
    text = f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{escape(target.host)}</title></head><body>{body}</body></html>'
    pairs = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", policy.encode("latin-1")),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-robots-tag", b"noindex"),
    ]
    return Reply(200, pairs, text.encode("ascii", "xmlcharrefreplace"))


def _sources(target: Target, service: Service | None) -> list[str]:
    """The hosts of the one service, or of the one frame, that a placeholder's own policy allows."""
    port = f":{target.port}" if target.port else ""
    sources = {f"{target.scheme}://{target.host}{port}"}
    for host in service.hosts if service else ():
        if not host.startswith("/"):
            sources.add(host + (":*" if port else ""))
    return sorted(sources)
