"""The visitor's IP address and place, as the application may know them: whole, truncated or not at all, by grant.

An address in a field that is known to carry one, or that stands as an item of any other, is shortened to its network: IPv4 to 24
bits, IPv6 to 48, its port left out (address and port name one line behind a shared address). Doubt never leaves it whole: an item
that is no address becomes the unspecified one, 0.0.0.0 (RFC 6890), and so does every address where none is to be told. It is never
left out, because many applications take a request without it for one from their own machine, and trust that. For the same reason
loopback stays as it is: it names no visitor.

It does not look for addresses inside cookies, query strings or bodies: what the page sends there the page has read or been given.
"""

from __future__ import annotations

import ipaddress
import re
from enum import Enum, auto
from functools import lru_cache

from volens.enforce.headers import Pairs
from volens.site import FULL, TRUNCATED

NOWHERE = "0.0.0.0"

_NAMES = frozenset(
    b"""x-forwarded-for x-forwarded x-original-forwarded-for x-vercel-forwarded-for x-vercel-proxied-for forwarded-for
    x-real-ip x-real-client-ip x-client-ip x-clientip client-ip x-cluster-client-ip x-remote-ip x-remote-addr remote-addr x-source-ip
    x-user-ip x-originating-ip x-envoy-external-address x-nf-client-connection-ip do-connecting-ip fly-client-ip fastly-client-ip
    true-client-ip cf-connecting-ip cf-connecting-ipv6 cf-pseudo-ipv4 cloudfront-viewer-address x-azure-clientip x-azure-socketip
    x-appengine-user-ip x-appengine-remote-addr x-sucuri-clientip incap-client-ip ali-cdn-real-ip cdn-src-ip x-cdn-src-ip
    proxy-client-ip wl-proxy-client-ip x-arr-clientip""".split()
)
"""Fields in which fronts and content networks write the visitor's address; ``_`` folded to ``-``."""
_GONE = frozenset(b"x-client-port x-remote-port x-real-port remote-port remote-host x-remote-host x-azure-clientport".split())
"""What names the visitor's line beside the address: its port, its name."""
_PLACES = frozenset(
    b"""cf-region cf-region-code cf-metro-code cf-postal-code cf-timezone x-appengine-region x-appengine-citylatlong
    cloudfront-viewer-asn cloudfront-viewer-time-zone cloudfront-viewer-metro-code x-vercel-ip-timezone x-vercel-ip-as-number
    cdn-requestcountrycode cdn-requeststatecode x-edgescape x-akamai-edgescape""".split()
)
_PLACE = re.compile(
    rb"(?:\A|-)(?:ip)?(?:geo|geoip2?|geolocation|city|citylatlong|country(?:-?(?:code|name|region))?|continent|latitude|longitude|latlong"
    rb"|postal-code|zip-?code)(?=-|\Z)"
)
"""Where content networks and GeoIP modules write what they made of the address."""
_NO_ADDRESS = frozenset(
    b"""host x-forwarded-host x-forwarded-server x-forwarded-proto x-forwarded-port content-length volens-consent cookie user-agent
    accept accept-language accept-encoding referer date if-modified-since""".split()
)
"""Fields whose items are no address of a visitor: the site's own, or of another grammar."""
_MAYBE = re.compile(rb"\d\.\d{1,3}\.\d{1,3}\.\d|:[0-9A-Fa-f]*:")
"""What every written address has."""
_ITEM = re.compile(r"\[(?P<six>[0-9A-Fa-f:.]+)\](?::\d{1,5})?|(?P<four>\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})?|(?P<bare>[0-9A-Fa-f:.]+)")
_PARAMETER = re.compile(r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s;,"]+)\s*(?:[;,]|\Z)""")
_SIXTOFOUR = ipaddress.IPv6Network("2002::/16")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    found = _ITEM.fullmatch(text.strip().strip('"'))
    try:
        return ipaddress.ip_address(found["six"] or found["four"] or found["bare"]) if found else None
    except ValueError:
        return None


def shown(text: str, level: str) -> str:
    """One address as it may be told at ``level``, without its port."""
    if level == FULL:
        return text
    address = _address(text)
    if address is None:
        return NOWHERE
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if (mapped or address).is_loopback:
        return str(address)
    if level != TRUNCATED:
        return NOWHERE
    if mapped is not None:
        return f"::ffff:{_network(mapped, 24)}"
    # 6to4 writes the whole IPv4 address into the first 48 bits (RFC 3056).
    bits = 24 if address.version == 4 else 40 if address in _SIXTOFOUR else 48
    return _network(address, bits)


def _network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, bits: int) -> str:
    rest = address.max_prefixlen - bits
    return str(type(address)(int(address) >> rest << rest))


def _forwarded(value: str, level: str) -> str:
    """``Forwarded`` (RFC 7239): ``for`` and ``by`` shortened, host and scheme kept, everything else dropped."""
    elements: list[list[str]] = [[]]
    at = 0
    while at < len(value):
        found = _PARAMETER.match(value, at)
        if not found:
            return f"for={NOWHERE}"  # doubt
        at = found.end()
        name = found[1].lower()
        if name in ("for", "by"):
            node = shown(found[2], level)
            elements[-1].append(f'{name}="[{node}]"' if ":" in node else f"{name}={node}")
        elif name in ("host", "proto"):
            elements[-1].append(f"{name}={found[2]}")
        if found[0].endswith(","):
            elements.append([])
    return ", ".join(";".join(element) for element in elements if element) or f"for={NOWHERE}"


def told(pairs: Pairs, level: str, *, placed: bool = False, places: frozenset[bytes] = frozenset()) -> Pairs:
    """The request's fields as the application may have them: addresses at ``level``, the visitor's place only where ``placed``.

    ``places``: further names, lower-case, of fields that tell where the visitor is.
    """
    if level == FULL and placed:
        return pairs
    out: Pairs = []
    for pair in pairs:
        kind = _kind(pair[0])
        if kind is _Kind.PLACE or (kind is _Kind.OTHER and places and _folded(pair[0]) in places):
            if not placed:
                continue
        elif level != FULL and kind is not _Kind.PLAIN:
            key, value = pair
            if kind is _Kind.LINE:
                continue
            if kind is _Kind.FORWARDED:
                pair = key, _forwarded(value.decode("latin-1"), level).encode("latin-1")
            elif kind is _Kind.ADDRESS:
                pair = key, ", ".join(shown(item, level) for item in value.decode("latin-1").split(",")).encode("latin-1")
            elif _MAYBE.search(value):
                items = value.decode("latin-1").split(",")
                if any(_address(item) for item in items):
                    pair = key, ", ".join(shown(i, level) if _address(i) else i.strip(" \t") for i in items).encode("latin-1")
        out.append(pair)
    return out


class _Kind(Enum):
    """What a field may say of the visitor, by its name."""

    ADDRESS = auto()
    FORWARDED = auto()
    LINE = auto()
    """Port or name beside the address."""
    PLACE = auto()
    PLAIN = auto()
    """Nothing of it."""
    OTHER = auto()


def _folded(name: bytes) -> bytes:
    return name.lower().replace(b"_", b"-")


@lru_cache(1024)
def _kind(key: bytes) -> _Kind:
    name = _folded(key)
    if name in _PLACES or _PLACE.search(name):
        return _Kind.PLACE
    if name in _NAMES:
        return _Kind.ADDRESS
    if name == b"forwarded":
        return _Kind.FORWARDED
    if name in _GONE:
        return _Kind.LINE
    return _Kind.PLAIN if name in _NO_ADDRESS or b"version" in name else _Kind.OTHER
