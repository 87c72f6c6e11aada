"""The inline guard as markup: the built script, and what this page's grant lets it allow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from volens.enforce.hosts import Hosts
from volens.enforce.storage import Storage
from volens.foreign import Tools


@lru_cache(512)
def pattern(names: tuple[str, ...], between: str = ".*") -> str:
    """``names``, ``*`` in them for any characters (``between``) and ``#`` for a number, as JavaScript's regular expression for a whole."""
    escaped = (re.sub(r"[.+?^$|\\/(){}\[\]]", r"\\\g<0>", name) for name in names)
    return "|".join(name.replace("*", between).replace("#", r"\d+") for name in escaped)


def passing(names: Iterable[str]) -> str:
    """The same for storage names; ours pass always."""
    return pattern(("volens*", *names))


@lru_cache(512)
def keep(storage: Storage) -> str:
    """What passes from now on, as the answer to a choice tells the guard of the page that stays: JSON."""
    return json.dumps(
        {"C": passing(storage.names("cookie")), "S": passing(storage.names("local", "session", "indexeddb", "cache"))},
        separators=(",", ":"),
    )


def refusing(denied: Iterable[str], paths: str) -> str:
    """Hosts and paths (``refused_paths``) together: what stands in front of a path is its host."""
    found = pattern(tuple(denied), "[^/]*")
    return "|".join(filter(None, [found and f"^({found})/", paths]))


def refused_paths(hosts: Hosts) -> str:
    """Collection end points of own hosts that scripts ask for, as JavaScript's regular expression for host, path and query.

    Those the page need not even ask for. The server refuses all the catalog knows (``Catalog.path``); to say them all here
    would cost every page a kilobyte. Paths of granted services pass.
    """
    demonstrated = hosts.site.unconfigured
    refused = [
        pattern
        for purposes, pattern in hosts.catalog.script_paths
        if not (demonstrated and purposes and all(hosts.grant.allows(purpose) for purpose in purposes))
    ]
    if not refused:
        return ""
    services = hosts.grant.notice.services
    granted = [path for s in services if hosts.grant.decide(s).allowed for path in s.hosts if path.startswith("/")]
    spared = pattern(tuple(granted))
    # As the catalog's, in fewer bytes: what it is asked has no fragment.
    return (f"^(?![^/]*(?:{spared})$)" if spared else "^") + f"[^?]*/({'|'.join(refused)})".replace("(?:", "(")


def refused_hosts(hosts: Hosts) -> list[str]:
    """Hosts below the page's own domain that are known for something else: the policy header lets the domain pass whole."""
    known = hosts.catalog.trackers_below(hosts.catalog.site(hosts.page))
    stopped = hosts.grant.notice.measuring if hosts.grant.objects else ()
    objected = [h for s in stopped for h in s.hosts if not h.startswith("/")]
    named = [*hosts.site.deny, *objected, *(host for host in known if not hosts.decide(host.removeprefix("*."), "connect").allowed)]
    return list(dict.fromkeys(form for host in named for form in ([host[2:], host] if host.startswith("*.") else [host])))


def tool_hosts(hosts: Hosts) -> list[str]:
    """Where another notice may come from; a ``*.`` says the names below it."""
    names = [host for tool in Tools.packaged().all.values() for host in tool.hosts if hosts.tool(host.removeprefix("*.")) is not None]
    below = [host[1:] for host in names if host.startswith("*.")]
    return [host for host in names if host.startswith("*.") or not any(host.endswith(end) for end in below)]


@lru_cache(512)
def tool_files(page: str, theirs: str = "") -> str:
    """Another notice's own files on any host that may be asked, as the deliverers of libraries: a script that loads one leaves nothing in
    the markup. The page's own host is left out: it answers with what stands in for them. ``theirs``: the tool that asks in our place."""
    files = [file for tool in Tools.packaged().all.values() if tool.id != theirs for file in tool.scripts]
    joined = "|".join(file.removesuffix("$") for file in files).replace("(?:", "(")
    return f"^(?!{re.escape(page)}/)[^?]*({joined})(\\?|$)"


def config(hosts: Hosts, storage: Storage, *, answer: str, own: list[str], posted: bool = False) -> dict[str, Any]:
    """What the guard is told (short keys: it stands in every page; ``browser/guard.ts`` says what each means)."""
    site, grant = hosts.site, hosts.grant
    told: dict[str, Any] = {"p": site.prefix, "n": grant.notice.short}
    told |= {name: value for name, value in (("k", grant.key), ("c", answer)) if value}
    if posted:
        told["m"] = 1
    if grant.account:
        told["u"] = answer
    if hosts.open and storage.open:
        told["a"] = 1
        return told
    told["C"] = passing(storage.names("cookie"))
    told["S"] = passing(storage.names("local", "session", "indexeddb", "cache", "opfs"))
    told["H"] = pattern(("*",) if hosts.chain else tuple(own))
    if hosts.chain:  # any host, but not another notice
        refused = refusing(tool_hosts(hosts), "")
    else:
        refused = refusing(refused_hosts(hosts), "" if grant.everything else refused_paths(hosts))
    files = tool_files(hosts.page, site.theirs.tool.id if site.theirs else "")
    told["P"] = f"{refused}|{files}" if refused else files
    place = hosts.site.address.place
    if grant.allows(place) or place not in grant.notice.purpose:
        told["g"] = 1
    if service_workers(hosts):
        told["w"] = 1
    return told


def service_workers(hosts: Hosts) -> bool:
    """Whether the site's service workers are declared, and granted: one answers for every page, before we are asked."""
    return any(key.medium == "serviceworker" and hosts.grant.decide(key).allowed for key in hosts.site.storage)


def farewell(storage: Storage) -> str:
    """What a browser gets that looks for a newer service worker where none may be: one that empties the caches, takes itself away and
    has the pages that the old one answered made anew (Service Workers, *Update* and *Activate*)."""
    kept = json.dumps(f"^({passing(storage.names('cache'))})$")
    return (
        'self.addEventListener("install",()=>self.skipWaiting());self.addEventListener("activate",e=>e.waitUntil((async()=>{'
        f"for(const k of await caches.keys())RegExp({kept}).test(k)||await caches.delete(k);"
        'await registration.unregister();for(const c of await clients.matchAll({type:"window"}))c.navigate(c.url).catch(()=>0)})()));\n'
    )


def markup(code: str, told: dict[str, Any], *, nonce: str = "", xml: bool = False) -> str:
    """The script element, ASCII. Its text is constant, so one hash allows it; what varies stands in an attribute."""
    value = json.dumps(told, separators=(",", ":"), ensure_ascii=True)
    for raw, reference in (("&", "&amp;"), ("'", "&#39;"), ("<", "&lt;"), (">", "&gt;")):
        value = value.replace(raw, reference)
    text = f"//<![CDATA[\n{code}\n//]]>" if xml else code
    allowed = f" nonce='{nonce}'" if nonce else ""
    return f"<script data-volens='{value}'{allowed}>{text}</script>"
