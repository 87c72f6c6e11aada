"""Content-Security-Policy: ours, which carries the refusal, and the room our own bytes need in the site's.

Two headers: both must allow, so ours can only take away. Ours lists the hosts that may be contacted and says
nothing else: inline code, eval, data: and blob: pass, because that is not the point (CSP Level 3).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from volens.enforce.hosts import Hosts
from volens.enforce.html import Seen

MAX_BYTES = 4000
"""Our header stays under 4 KB: clients may refuse larger ones."""
MAX_HEADER = 4096
"""With the words that ask for reports, which it goes without where they do not fit."""
GROUP = "volens"
"""The name under which browsers are told where reports go."""
_PORT = re.compile(r":\d+\Z")
_MEMBER = re.compile(rb"(?:\A|,)\s*volens\s*=")
_ANY = "data: blob: 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval'"
_FALLBACK = {
    "script-src-elem": ("script-src-elem", "script-src", "default-src"),
    "style-src-elem": ("style-src-elem", "style-src", "default-src"),
    "frame-src": ("frame-src", "child-src", "default-src"),
    "form-action": ("form-action",),
}
_COPY = {"script-src-elem": "script-src", "style-src-elem": "style-src", "frame-src": "frame-src"}
"""The directive that is written where the effective one is default-src."""

Directives = list[tuple[str, list[str]]]


@lru_cache(64)
def hash_source(text: str) -> str:
    """The source expression that allows exactly this inline text (CSP3 §6.7.3.3)."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def parse(policy: str) -> Directives:
    """One serialized policy as (name, values), first of a name wins (CSP3 §2.2.1)."""
    found: Directives = []
    names = set()
    for part in policy.split(";"):
        words = part.split()
        if words and words[0].lower() not in names:
            names.add(words[0].lower())
            found.append((words[0].lower(), words[1:]))
    return found


def serialize(directives: Directives) -> str:
    """The inverse of ``parse``."""
    return "; ".join(" ".join([name, *values]) for name, values in directives)


def _effective(directives: Directives, name: str) -> tuple[str, list[str]] | None:
    table = dict(directives)
    for candidate in _FALLBACK[name]:
        if candidate in table:
            return candidate, table[candidate]
    return None


@dataclass(frozen=True, slots=True)
class Needs:
    """What of ours must run under the site's policy."""

    script: str = ""
    """Hash source of the inline guard."""
    style: str = ""
    """Hash source of the inline style of the notice."""
    frame: bool = False
    """Whether a placeholder, a frame of the site's own origin, stands in the page."""
    place: str = ""
    """Hash source of the placeholders' style: a document in an attribute is under the page's policies."""


def nonce_of(policies: Iterable[str]) -> str:
    """The nonce that every policy that restricts inline scripts accepts, or empty: then the hash serves."""
    common: set[str] | None = None
    for policy in policies:
        found = _effective(parse(policy), "script-src-elem")
        if found is None or _inline(found[1]):
            continue
        nonces = {v[7:-1] for v in found[1] if v.lower().startswith("'nonce-") and v.endswith("'")}
        common = nonces if common is None else common & nonces
    return min(common) if common else ""


def _inline(values: list[str]) -> bool:
    """Whether 'unsafe-inline' is in effect: nonces, hashes and 'strict-dynamic' switch it off."""
    lower = [value.lower() for value in values]
    return "'unsafe-inline'" in lower and not any(v.startswith(("'nonce-", "'sha")) or v == "'strict-dynamic'" for v in lower)


def widen(policy: str, needs: Needs, nonce: str, denied: Callable[[str], bool] = lambda url: False) -> str:
    """The site's policy with room for our own bytes and no more (DESIGN §3, *The CSP*); reports to denied hosts go.

    In this order: nothing where it already allows; nothing where 'unsafe-inline' is in effect (a hash would switch it
    off); nothing where the nonce is reused; else the hash, on a copy of default-src where there is no nearer directive.
    """
    directives = parse(policy)
    before = serialize(directives)

    def add(name: str, sources: list[str], allows: Callable[[list[str]], bool]) -> None:
        found = _effective(directives, name)
        if found is None or allows(found[1]):
            return
        chosen, values = found
        widened = [value for value in values if value.lower() != "'none'"] + sources
        if chosen == "default-src":
            directives.append((_COPY[name], widened))
        else:
            directives[[n for n, _ in directives].index(chosen)] = (chosen, widened)

    def inline_ok(source: str) -> Callable[[list[str]], bool]:
        return lambda values: _inline(values) or source in values or bool(nonce and f"'nonce-{nonce}'" in values)

    def self_ok(values: list[str]) -> bool:
        return "'self'" in [value.lower() for value in values] or "*" in values

    if needs.script:
        add("script-src-elem", [needs.script], inline_ok(needs.script))
    if needs.style:
        add("style-src-elem", [needs.style], inline_ok(needs.style))
    if needs.place:
        add("style-src-elem", [needs.place], inline_ok(needs.place))
    if needs.frame:
        add("frame-src", ["'self'"], self_ok)
    if needs.script or needs.style or needs.place:
        add("form-action", ["'self'"], self_ok)
    for index, (name, values) in enumerate(directives):
        if name == "trusted-types" and needs.script and "*" not in values and "volens" not in values:
            directives[index] = (name, [v for v in values if v != "'none'"] + ["volens"])
        elif name == "report-uri":
            directives[index] = (name, [url for url in values if not denied(url)])
    directives = [(name, values) for name, values in directives if name != "report-uri" or values]
    after = serialize(directives)
    return policy if after == before else after


def _with_ports(hosts: Iterable[str], port: str) -> list[str]:
    """Host sources without a port mean the default port only."""
    return [host if not port or ":" in host else host + ":*" for host in hosts]


def own_sources(hosts: Hosts, port: str, *, entity: bool = False) -> list[str]:
    """The page's own host and all that belongs to its domain; with ``entity``, the same entity's other domains too."""
    site = hosts.catalog.site(hosts.page)
    own = [pattern for pattern in hosts.site.hosts if not pattern.startswith("/")]
    if "." in site and not site.replace(".", "").isdigit():
        own = [site, "*." + site, *(o for o in own if o != site and not o.endswith("." + site))]
    entry = hosts.catalog.host(hosts.page)
    if entity and entry is not None and not entry.shared:  # the same entity's other domains, which a streamed page cannot be searched for
        own += [host for host in entry.hosts[:24] if not _covers(own, host.removeprefix("*."))]
    return ["'self'", *_with_ports(own, port)]


def ours(hosts: Hosts, seen: Seen, port: str = "", learnt: Iterable[str] = ()) -> str:
    """Our policy for a page: empty where everything may be contacted."""
    if hosts.chain:
        return ""
    own = own_sources(hosts, port, entity=True)
    framed = own_sources(hosts, port)
    granted = _with_ports(
        (p for s in hosts.grant.notice.services if s.hosts and hosts.grant.decide(s).allowed for p in s.hosts if not p.startswith("/")),
        port,
    )
    # Learnt from the pages of all: some of it may be refused to this one.
    learnt = (name for name in learnt if hosts.decide(_PORT.sub("", name), "image").allowed)
    active: set[str] = set()
    for kind in ("script", "frame", "connect", "hint", "manifest"):
        active |= seen.used.get(kind, set())
    frames = seen.used.get("frame", set())
    image, style, font, media = (set(seen.used.get(kind, ())) for kind in ("image", "style", "font", "media"))
    lists: list[tuple[str, set[str]]] = [
        ("img-src", image | style | set(learnt)),
        ("style-src", style),
        ("font-src", font | style),
        ("media-src", media),
    ]
    base = list(dict.fromkeys([*own, *granted]))
    covered = base[1:]

    # A host without a scheme is no socket's (CSP3 §6.7.2.9), but for 'self'.
    sockets = [f"ws://{host}" for host in covered]

    def policy(shorten: bool) -> str:
        def sources(extra: set[str]) -> str:
            names = sorted(extra)
            if shorten:
                names = sorted({"*." + hosts.catalog.site(n.partition(":")[0]) for n in names})
            return " ".join(dict.fromkeys([*base, *sorted(active), *(n for n in names if not _covers(covered, n))]))

        default = " ".join(dict.fromkeys([*base, *sorted(active), *sockets])) + " " + _ANY
        parts = [f"default-src {default}"]
        if len(framed) < len(own) or active - frames:
            parts.append(f"frame-src {' '.join(dict.fromkeys([*framed, *granted, *sorted(frames)]))} data: blob:")
        parts += [f"{name} {sources(extra)} {_ANY if name == 'style-src' else 'data: blob:'}" for name, extra in lists if extra - active]
        return "; ".join(parts)

    text = policy(False)
    if len(text) > MAX_BYTES:
        sockets = []
        text = policy(False)
    if len(text) > MAX_BYTES:
        text = policy(True)
    while len(text) > MAX_BYTES and any(extra for _, extra in lists):
        largest = max(lists, key=lambda item: len(item[1]))[1]
        for host in sorted(largest)[len(largest) // 2 :] or list(largest):
            largest.discard(host)
        text = policy(True)
    return text if len(text) <= MAX_BYTES else f"default-src 'self' {_ANY}"


def reporting(policy: str, prefix: str, pairs: Iterable[tuple[bytes, bytes]], *, secure: bool) -> tuple[str, list[tuple[bytes, bytes]]]:
    """A policy that asks browsers to report to us, and the header that tells where, beside what the site's own (``pairs``) tell.

    ``report-to`` is read over https alone, and then ``report-uri`` is not (CSP3 §6.5): so it is left out over http, and where a
    header of the site's would change its meaning: the older ``Report-To``, or a name like ours.
    """
    if not policy or not prefix.isascii():
        return policy, []
    told = {key.lower(): value for key, value in pairs if key.lower() in (b"report-to", b"reporting-endpoints")}
    named = f'{GROUP}="{prefix}report"'.encode()
    by_name = secure and b"report-to" not in told and not _MEMBER.search(told.get(b"reporting-endpoints", b"").lower())
    asking = f"{policy}; report-uri {prefix}report" + (f"; report-to {GROUP}" if by_name else "")
    if len(asking) > MAX_HEADER:
        return policy, []
    return asking, [(b"reporting-endpoints", named)] if by_name else []


def _covers(patterns: Iterable[str], host: str) -> bool:
    return any(p == host or (p.startswith("*.") and host.endswith(p[1:])) for p in patterns)
