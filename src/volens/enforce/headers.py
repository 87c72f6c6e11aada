"""Lists of pairs in, lists of pairs out: what of a request the application may read, what of an answer the browser may obey.

Names are compared without case; order and repetition are kept. Nothing here knows a server or a socket.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from volens.catalog import Catalog
from volens.choice import COOKIE, GRANT_COOKIE, RECORD_COOKIE, host_only
from volens.enforce.hosts import Hosts
from volens.enforce.references import HINTS, LOADS, candidates
from volens.enforce.storage import Storage, is_own
from volens.enforce.url import DOUBT, NETWORK, Target, refresh_address, resolve
from volens.notice import StorageKey
from volens.policy import Grant, Reason

Pairs = list[tuple[bytes, bytes]]

CODINGS = ("gzip", "br", "zstd", "deflate", "identity")
"""Content codings that can be undone (RFC 9110 §8.4; RFC 7932; RFC 8878)."""
MAX_EXPIRY = 2048
"""Bytes of Set-Cookie spent an answer on expiring what is refused."""
MAX_CONSENT = 4096
"""Bytes of ``Volens-Consent``."""
_CONSENT = b"volens-consent"
_ADVERTISING_FEATURES = ("browsing-topics",)
"""Advertising features of the browser itself that current engines know by this name (others only fill the console)."""
_MARK = re.compile(r'"([ws])~(.*)~([0-9a-f]{12})"\Z', re.DOTALL)
_TAG = re.compile(r'\s*((?:W/)?"[^"]*"|\*)\s*(?:,|\Z)')
_LINK = re.compile(r"\s*<([^>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s;,\"]*))?)*)\s*(?:,|\Z)")
_PARAMETER = re.compile(r";\s*([^\s=;,]+)(?:\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"]*)))?")


def get(pairs: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The first value of a header, name in lower case."""
    length = len(name)
    for key, value in pairs:
        if len(key) == length and key.lower() == name:
            return value
    return None


def get_all(pairs: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """All values of a header."""
    length = len(name)
    return [value for key, value in pairs if len(key) == length and key.lower() == name]


def without(pairs: Iterable[tuple[bytes, bytes]], *names: bytes) -> Pairs:
    """The pairs but those of these names."""
    return [(key, value) for key, value in pairs if key.lower() not in names]


def cookies(pairs: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Names and values of every Cookie header, in order, repetitions kept (RFC 6265 §4.2; RFC 9113 §8.2.3)."""
    return cookies_in(get_all(pairs, b"cookie"))


def cookies_in(values: Iterable[bytes]) -> list[tuple[str, str]]:
    """The same of the values of those headers."""
    found = []
    for value in values:
        for part in value.decode("latin-1").split(";"):
            name, sign, content = part.strip(" \t").partition("=")
            if not sign:
                name, content = "", name
            found.append((name.strip(" \t"), content.strip(" \t")))
    return found


# -------------------------------------------------------------------------------- requests


def filter_cookies(pairs: Pairs, storage: Storage, http_only: Callable[[str], bool]) -> tuple[Pairs, list[str]]:
    """The request without refused cookies and ours, and the names of those refused by a choice (to be expired).

    ``http_only``: whether the server is known to set that name out of scripts' reach.
    """
    kept: list[str] = []
    refused: list[str] = []
    changed = False
    for name, value in cookies(pairs):
        if is_own(name):
            changed = True
            continue
        decision = storage.decide(name, http_only=http_only(name)) if name else None
        if decision is not None and decision.allowed:
            kept.append(f"{name}={value}")
            continue
        changed = True
        if decision is None:
            continue
        answered = decision.reason in (Reason.REFUSED, Reason.UNNAMED) and storage.grant.answered
        if answered or decision.reason is Reason.OBJECTED:  # an objection holds without any choice
            refused.append(name)
    if not changed:
        return pairs, refused
    out = without(pairs, b"cookie")
    if kept:
        out.append((b"cookie", "; ".join(kept).encode("latin-1")))
    return out, refused


def consent_value(grant: Grant) -> bytes:
    """The ``Volens-Consent`` header: an RFC 9651 dictionary, a Boolean for each purpose of the notice and each service that may act.

    No purpose and service share an id. What is absent is not granted: so are all services where they would make the header longer
    than MAX_CONSENT, which servers in front of an application may refuse.
    """
    purposes = [p.id if grant.allows(p.id) else f"{p.id}=?0" for p in grant.notice.purposes]
    whole = ", ".join([*purposes, *(s.id for s in grant.notice.services if s.id in grant.services)])
    return (whole if len(whole) <= MAX_CONSENT else ", ".join(purposes)).encode()


def with_consent(pairs: Pairs, grant: Grant) -> Pairs:
    """The request with ``Volens-Consent`` as we say it, whatever the client sent under that name."""
    return [*((k, v) for k, v in pairs if k.lower().replace(b"_", b"-") != _CONSENT), (_CONSENT, consent_value(grant))]


def to_application(pairs: Pairs, grant: Grant, *, document: bool) -> Pairs:
    """The request as the application sees it: codings we can undo, no ranges of documents, ``Volens-Consent`` set by us alone."""
    out: Pairs = []
    for key, value in pairs:
        name = key.lower()
        if name == b"accept-encoding":
            offered = [c for c in value.decode("latin-1").split(",") if c.split(";")[0].strip().lower() in CODINGS]
            value = ",".join(offered).strip().encode("latin-1") or b"identity"
        elif name in (b"available-dictionary", b"dictionary-id") or (
            document and name in (b"range", b"if-range", b"if-modified-since", b"if-unmodified-since")
        ):
            continue
        out.append((key, value))
    return with_consent(out, grant)


def unmark(pairs: Pairs, mark: str) -> Pairs:
    """Validators without our mark for this very state are withdrawn; of those with it the mark is taken off."""
    values = get_all(pairs, b"if-none-match")
    if not values:
        return pairs
    ours = []
    for tag in _TAG.findall(b", ".join(values).decode("latin-1")):
        found = _MARK.search(tag)
        if found and found[3] == mark:
            ours.append(("W/" if found[1] == "w" else "") + f'"{found[2]}"')
    out = without(pairs, b"if-none-match")
    if ours:
        out.append((b"if-none-match", ", ".join(ours).encode("latin-1")))
    return out


# -------------------------------------------------------------------------------- answers


def marked(tag: bytes, mark: str) -> bytes:
    """An entity tag with our mark, weak: the bytes depend on the state the mark names."""
    text = tag.decode("latin-1").strip()
    weak = text.startswith("W/")
    return f'W/"{"w" if weak else "s"}~{text.removeprefix("W/").strip(chr(34))}~{mark}"'.encode("latin-1")


def filter_set_cookies(pairs: Pairs, storage: Storage, learn: Callable[[str], None]) -> Pairs:
    """The answer without the cookies that are refused; names set out of scripts' reach are learnt."""
    out: Pairs = []
    for key, value in pairs:
        if key.lower() == b"set-cookie":
            text = value.decode("latin-1")
            first, _, attributes = text.partition(";")
            name = first.partition("=")[0].strip(" \t") if "=" in first else ""
            hidden = any(part.strip().lower() == "httponly" for part in attributes.split(";"))
            if not name or is_own(name) or not storage.decide(name, http_only=hidden).allowed:
                continue
            if hidden:
                learn(name)
        out.append((key, value))
    return out


def _domains(host: str, catalog: Catalog) -> list[str]:
    """What a cookie that is sent to ``host`` may have been set for with ``Domain``."""
    bare = host.partition(":")[0]
    site = catalog.site(bare)
    labels = bare.split(".")
    parents = [".".join(labels[i:]) for i in range(max(0, len(labels) - 1))]
    # Below a suffix nobody lists, a browser lets a cookie be set for any parent but the last label.
    return [d for d in parents if site == bare or d == site or d.endswith("." + site)]


def tossed(names: Sequence[str], scheme: str, host: str, catalog: Catalog, *, most: int = 1) -> Pairs:
    """Set-Cookie headers that expire what another host of the domain may have put under our names, and nothing that we set here:
    over https the plain names of cookies whose own begins with ``__Host-``; of others, where more than ``most`` came, those of a domain.
    ``names``: those of all cookies that were sent, repetitions kept."""
    places: list[tuple[str, list[str]]] = []
    for name in (COOKIE, RECORD_COOKIE, GRANT_COOKIE):
        if name in names and host_only(name, scheme) != name and name != COOKIE:
            places.append((name, ["", *_domains(host, catalog)]))
        elif names.count(name) > most:
            places.append((name, _domains(host, catalog)))
    return [
        (b"set-cookie", f"{name}=; Path=/; Max-Age=0{f'; Domain={domain}' if domain else ''}".encode())
        for name, domains in places
        for domain in domains
    ]


def expiries(
    names: Collection[str], host: str, path: str, storage: Storage, catalog: Catalog, declared: Iterable[StorageKey] = ()
) -> Pairs:
    """Set-Cookie headers that expire refused cookies wherever a browser may hold them, at most MAX_EXPIRY bytes.

    A request doesn't say where a cookie was set: the declared domain and path come first, then the site's domains
    and the paths above this one. ``declared``: keys to expire at their declared place although the request did not show them.
    """
    places = [(key.name, key.domain.lstrip("."), key.path) for key in declared]
    if not names and not places:
        return []
    domains = ["", *_domains(host, catalog)]
    steps = [step for step in path.split("?")[0].split("/")[1:-1] if step][:3]
    paths = ["/"] + ["/" + "/".join(steps[: i + 1]) for i in range(len(steps))]
    for name in dict.fromkeys(names):
        if re.search(r"[\x00-\x20;,\"=]", name) or not name.isascii():
            continue
        for key in storage.site.storage_declared:
            if key.medium == "cookie" and key.matches(name):
                places.append((name, key.domain.lstrip("."), key.path))
        places += [(name, domain, "/") for domain in domains]
        places += [(name, domain, at) for at in paths[1:] for domain in domains[:1]]
    out: Pairs = []
    spent = 0
    for name, domain, at in dict.fromkeys(places):
        if re.search(r"[^\x21-\x7e]|;", at):
            continue
        value = f"{name}=; Max-Age=0; Path={at}" + (f"; Domain={domain}" if domain else "")
        if name.startswith(("__Secure-", "__Host-")):
            value += "; Secure"
        spent += len(value) + 12
        if spent > MAX_EXPIRY:
            break
        out.append((b"set-cookie", value.encode()))
    return out


def links(value: bytes, hosts: Hosts, page: Target) -> bytes:
    """A Link header without the hints and sheets that lead to hosts not allowed (RFC 8288)."""
    text = value.decode("latin-1")
    kept: list[str] = []
    position = 0
    while position < len(text):
        found = _LINK.match(text, position)
        if not found or found.end() == position:
            break  # doubt: the rest is dropped
        position = found.end()
        parameters = [(name.lower(), re.sub(r"\\(.)", r"\1", a) or b) for name, a, b in _PARAMETER.findall(found[2])]
        relations = " ".join(value for name, value in parameters if name == "rel").lower().split()
        urls = [found[1], *(url for name, value in parameters if name == "imagesrcset" for url in candidates(value))]
        loads = [r for r in relations if r in HINTS or r in LOADS]
        if loads and not all(_may_contact(url, hosts, page, "hint") for url in urls):
            continue
        kept.append(found[0].strip().rstrip(",").rstrip())
    return ", ".join(kept).encode("latin-1")


def _may_contact(reference: str, hosts: Hosts, page: Target, kind: str) -> bool:
    target = resolve(reference, page)
    if not target.host or target.scheme not in NETWORK:
        return target is not DOUBT
    decision = hosts.decide(target.host, kind)
    return decision.allowed or (kind == "navigate" and decision.reason is Reason.UNKNOWN)


def from_application(pairs: Pairs, hosts: Hosts, page: Target) -> Pairs:
    """The answer's headers without what makes a browser contact or tell third parties that are not allowed."""
    if hosts.open:
        return pairs
    out: Pairs = []
    for key, value in pairs:
        name = key.lower()
        text = value.decode("latin-1")
        if name == b"link":
            value = links(value, hosts, page)
            if not value:
                continue
        elif name == b"refresh":
            if not _may_contact(refresh_address(text), hosts, page, "navigate"):
                continue
        elif name in (b"report-to", b"reporting-endpoints", b"content-security-policy-report-only"):
            # A backslash may hide an address (JSON's "\\/\\/"): in doubt the header goes.
            urls = re.findall(r"(?:[a-z]+:|/)/+[^\s\"',;<>)}]+|https?:[^\s\"',;<>)}]+", text, re.IGNORECASE)
            if "\\" in text or not all(_may_contact(url, hosts, page, "connect") for url in urls):
                continue
        elif name in (b"nel", b"speculation-rules"):
            continue  # rules are files we do not read
        elif name in (b"observe-browsing-topics", b"use-as-dictionary") or name.startswith(b"attribution-reporting-register"):
            continue
        out.append((key, value))
    features = [] if hosts.grant.allows("publicite") else [f"{feature}=()" for feature in _ADVERTISING_FEATURES]
    place = hosts.site.address.place
    if place in hosts.grant.notice.purpose and not hosts.grant.allows(place):
        features.append("geolocation=()")
    if features:
        out.append((b"permissions-policy", ", ".join(features).encode()))
    out.append((b"x-dns-prefetch-control", b"off"))
    return out


def vary(pairs: Pairs, *names: str) -> Pairs:
    """One Vary header with these names too: what was looked at, whether it was there or not (RFC 9110 §12.5.5)."""
    present = [n.strip() for value in get_all(pairs, b"vary") for n in value.decode("latin-1").split(",") if n.strip()]
    if "*" in present:
        return pairs
    have = {n.lower() for n in present}
    return [*without(pairs, b"vary"), (b"vary", ", ".join([*present, *(n for n in names if n.lower() not in have)]).encode("latin-1"))]


_TARGETED = re.compile(rb"(?:[\w-]+-)?cdn-cache-control|surrogate-control|edge-control|x-accel-expires", re.IGNORECASE)
"""Fields by which an application speaks to caches in front alone (RFC 9213), or over ``Cache-Control``'s head."""
_SHARES = re.compile(r"public|s-maxage\s*=.*|proxy-revalidate|private\s*=.*", re.IGNORECASE | re.DOTALL)


def private(pairs: Pairs) -> Pairs:
    """The answer of one visitor's state: no cache that others share may keep it, whatever the application said (RFC 9111 §5.2.2.7)."""
    said = ",".join(value.decode("latin-1") for value in get_all(pairs, b"cache-control"))
    kept = [part.strip() for part in re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+', said)]
    kept = [part for part in kept if part and not _SHARES.fullmatch(part)]
    if not {"private", "no-store"} & {part.lower() for part in kept}:
        kept.insert(0, "private")
    out = [(key, value) for key, value in pairs if key.lower() != b"cache-control" and not _TARGETED.fullmatch(key)]
    return [*out, (b"cache-control", ", ".join(kept).encode("latin-1"))]
