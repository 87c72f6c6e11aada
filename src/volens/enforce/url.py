"""Where a reference in a page leads, as a browser would resolve it (WHATWG URL).

Clean references (nearly all) are read by one regular expression; anything unusual — backslashes, tabs in the
scheme, escapes in the host, other alphabets — goes to ``ada_url``, the parser of a browser-grade library.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import ada_url

_CLEAN = re.compile(r"(?:(https?|wss?):)?//([a-z0-9][a-z0-9.-]*)(:[0-9]{1,5})?(?=[/?#]|\Z)([^\\\t\n\r\f]*)", re.IGNORECASE | re.ASCII)
_RELATIVE = re.compile(r"[a-z0-9_.~%?#/-][^:\\\t\n\r\f]*\Z", re.IGNORECASE | re.ASCII)
_PLAIN = re.compile(
    r"(?:https?:)?//([a-z0-9][a-z0-9.-]{0,252})(/[^\\\0-\x20]*)?|(?!//)[a-zA-Z0-9_.~%?#/-][^:\\\0-\x20]*",
    re.ASCII,
)
"""The commonest of what the two above and below read: nothing to strip, no port."""
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_-][a-z0-9._-]*|[0-9a-f:.]+")
"""Hosts that may stand in a policy. The URL Standard allows more: ``*``, ``;``, ``,`` and ``'`` mean something there."""
_REFRESH = re.compile(r"\s*[^;,\s]*(?=[;,\s])\s*[;,]?\s*(?:url\s*=\s*)?([\"']?)(.*)", re.IGNORECASE | re.DOTALL)
_CONTROLS = "".join(map(chr, range(0x21)))
"""What a browser cuts off both ends of an address: C0 controls and the space."""
NETWORK = frozenset({"http", "https", "ws", "wss", "ftp"})
MAX_LENGTH = 1 << 16
"""References longer than this lead nowhere we would let them."""


class Target(NamedTuple):
    """A resolved reference: ``host`` is lower-case without port; empty where no host is contacted."""

    scheme: str
    host: str
    path: str
    """Path and query of the resolved reference; of a relative reference, the text itself."""
    port: str = ""


NOWHERE = Target("", "", "")
"""An empty reference."""
BROKEN = Target("invalid", "", "")
"""What a browser would not load either."""
DOUBT = Target("doubt", "", "")
"""What a browser may read otherwise than we can: never allowed."""


def resolve(reference: str, base: Target) -> Target:
    """Where ``reference`` leads from a document (or ``<base>``) at ``base``. Never raises.

    ``scheme`` is in NETWORK for what contacts ``host``; ``javascript``, ``data``, ``blob``, ``about`` … otherwise.
    """
    clean = _clean(reference)
    if clean is not None:
        if clean.scheme or clean is NOWHERE:
            return clean
        if clean.host:
            return Target(base.scheme, clean.host, clean.path, clean.port)
        return Target(base.scheme, base.host, clean.path, base.port)
    text = reference.strip(_CONTROLS)
    if text[:5].lower() == "data:":
        return Target("data", "", text)
    if len(text) > MAX_LENGTH:
        return DOUBT
    failed = BROKEN
    text = text.replace("\f", "")  # stands for a carriage return in a page (html.Rewriter)
    if not text.isascii():
        try:
            text = text.encode("latin-1").decode()
        except UnicodeEncodeError:
            pass  # a page in UTF-16: characters as they are
        except UnicodeDecodeError:
            failed, text = DOUBT, re.sub(r"[^\x00-\x7f]", "%FF", text)  # harmless in a path; a host we cannot read
    try:
        url = ada_url.URL(text, base=f"{base.scheme}://{base.host}{':' + base.port if base.port else ''}{_path(base.path)}")
    except ValueError:
        return failed
    scheme = url.protocol.rstrip(":")
    if scheme not in NETWORK:
        return Target(scheme, "", re.sub(r"[\t\n\r]", "", text))
    host = url.hostname.rstrip(".").strip("[]")
    return Target(scheme, host, url.pathname + url.search, url.port) if _HOST.fullmatch(host) else DOUBT


def _clean(reference: str) -> Target | None:
    """What a clean reference says by itself: without scheme, and without host, where it takes those of its base."""
    text = reference.strip(_CONTROLS)
    if not text:
        return NOWHERE
    found = _CLEAN.match(text)
    if found:
        scheme, host, port, path = found.groups()
        host = host.lower()
        if ".." not in host and "xn--" not in host and not _NUMERIC.fullmatch(host):
            return Target(scheme.lower() if scheme else "", host.rstrip("."), path, (port or "")[1:])
    elif _RELATIVE.match(text) and not text.startswith("//"):
        return Target("", "", text)
    return None


def plain(reference: str) -> tuple[str, str] | None:
    """Host ('' of a relative reference, whose base has it) and path that ``resolve`` gives, where that is quickly said."""
    found = _PLAIN.fullmatch(reference)
    if found is None:
        return None
    host, path = found.groups("")
    if not host:
        return host, reference
    return (host, path) if _is_name(host) else None


@lru_cache(1 << 12)
def _is_name(host: str) -> bool:
    return not (".." in host or "xn--" in host or host.endswith(".") or _NUMERIC.fullmatch(host))


def refresh_address(content: str) -> str:
    """The address in a refresh, empty where it names none (HTML Standard, *shared declarative refresh steps*)."""
    found = _REFRESH.match(content)
    if not found:
        return ""
    return found[2].partition(found[1])[0] if found[1] else found[2]


def _path(path: str) -> str:
    return path if path.startswith("/") else "/"


def text_of(target: Target) -> str:
    """The absolute URL of a network target."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    path = target.path if target.path.startswith("/") else "/" + target.path.lstrip("./")
    return f"{target.scheme}://{host}{':' + target.port if target.port else ''}{path}"
