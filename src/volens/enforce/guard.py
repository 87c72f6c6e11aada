"""The inline guard as markup: the built script, and what this page's grant lets it allow."""

from __future__ import annotations

import json
from typing import Any

from volens.enforce.hosts import Hosts
from volens.enforce.storage import Storage

COLLECTION = r"/(collect\?|piwik|matomo|b/ss/|ivw|pixel\.)"
"""The commonest first-party collection paths: those the page need not even ask for. The server refuses all the catalog
knows (``Catalog.path``); to say them all here would cost every page a kilobyte."""


def config(hosts: Hosts, storage: Storage, *, answer: str, own: list[str], posted: bool = False) -> dict[str, Any]:
    """What the guard is told (short keys: it stands in every page; ``browser/guard.ts`` says what each means)."""
    site, grant = hosts.site, hosts.grant
    told: dict[str, Any] = {"p": site.prefix, "n": grant.notice.short}
    told |= {name: value for name, value in (("k", grant.key), ("c", answer)) if value}
    if posted:
        told["m"] = 1
    if hosts.open and storage.open:
        told["a"] = 1
        return told
    told["C"] = storage.names("cookie")
    told["S"] = storage.names("local", "session", "indexeddb", "cache", "opfs")
    told["H"] = ["*"] if hosts.chain else own
    if not hosts.chain and not grant.everything:
        told["P"] = COLLECTION
    if site.deny:
        told["D"] = list(site.deny)
    if grant.allows("geolocalisation") or "geolocalisation" not in grant.notice.purpose:
        told["g"] = 1
    if any(key.medium == "serviceworker" and grant.decide(key).allowed for key in site.storage):
        told["w"] = 1
    return told


def markup(code: str, told: dict[str, Any], *, nonce: str = "", xml: bool = False) -> str:
    """The script element, ASCII. Its text is constant, so one hash allows it; what varies stands in an attribute."""
    value = json.dumps(told, separators=(",", ":"), ensure_ascii=True)
    for raw, reference in (("&", "&amp;"), ("'", "&#39;"), ("<", "&lt;"), (">", "&gt;")):
        value = value.replace(raw, reference)
    text = f"//<![CDATA[\n{code}\n//]]>" if xml else code
    allowed = f" nonce='{nonce}'" if nonce else ""
    return f"<script data-volens='{value}'{allowed}>{text}</script>"
