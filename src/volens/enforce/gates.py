"""Gates: a first-party path that needs a purpose, matched so that no other spelling of the path gets round it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from volens.policy import Decision, Grant
from volens.site import Gate

_PLAIN = re.compile(rb"/|(?:/[\w~-](?:[\w.~-]*[\w~-])?)+/?")
"""A path without escapes, parameters, empty segments, or dots at either end of one."""


def spellings(target: bytes) -> tuple[str, ...]:
    """The path as received and as an application might read it: decoded, dot-removed, slash-merged, without parameters."""
    raw = target.partition(b"?")[0].partition(b"#")[0]
    if not raw.startswith(b"/") and b"://" in raw[:12]:  # absolute form
        raw = b"/" + raw.split(b"://", 1)[1].partition(b"/")[2]
    if _PLAIN.fullmatch(raw):  # nearly all: there is but one reading
        path = raw.decode("ascii")
        bare = path.rstrip("/") or "/"
        return tuple(dict.fromkeys((path, bare, bare.rstrip("/") + "/")))
    decoded = raw
    for _ in range(3):
        again = unquote_to_bytes(decoded)
        if again == decoded:
            break
        decoded = again
    text = decoded.replace(b"\\", b"/").replace(b"\x00", b"").decode("utf-8", "replace")
    merged = re.sub(r"/+", "/", text)
    clean = posixpath.normpath(merged) if merged else "/"
    bare = posixpath.normpath(re.sub(r"/+", "/", re.sub(r";[^/]*", "", merged)) or "/")
    # ``$`` of a route's expression also stands before a line break at the end (Starlette; Django's re_path).
    found = (raw.decode("latin-1"), text, merged, clean, clean.rstrip(". \n"), bare, bare.rstrip(". \n"))
    # With and without a slash at the end: many an application takes both for the same.
    return tuple(dict.fromkeys([*found, *(path.rstrip("/") + "/" for path in found)]))


_OVERRIDES = (b"x-http-method-override", b"x-http-method", b"x-method-override")
"""Headers by which many frameworks let one method stand for another."""


def methods(method: str, target: bytes, pairs: Iterable[tuple[bytes, bytes]]) -> frozenset[str]:
    """The method, and every one an application might take it for."""
    found = {method.upper()} | ({"GET"} if method.upper() == "HEAD" else set())
    found |= {value.decode("latin-1").strip().upper() for key, value in pairs if key.lower() in _OVERRIDES}
    found |= {name.decode("latin-1").upper() for name in re.findall(rb"[?&]_method=([A-Za-z]{1,20})", target)}
    return frozenset(found)


def closed(
    gates: tuple[Gate, ...], method: str, target: bytes, grant: Grant, pairs: Iterable[tuple[bytes, bytes]] = ()
) -> tuple[Gate, Decision] | None:
    """The first gate on this path and method that the grant leaves closed, with why; None where the way is free."""
    if not gates:
        return None
    paths, used = spellings(target), methods(method, target, pairs)
    for gate in gates:
        if gate.methods and not used & gate.methods:
            continue
        if any(gate.pattern.fullmatch(path) for path in paths):
            decision = grant.decide(gate.purpose)
            if not decision.allowed:
                return gate, decision
    return None


def asking(gates: tuple[Gate, ...], path: str, grant: Grant) -> tuple[Gate, Decision] | None:
    """The first closed gate that a place of the page names by a path behind it, whatever its methods."""
    for gate in gates:
        if gate.pattern.fullmatch(path):
            decision = grant.decide(gate.purpose)
            if not decision.allowed:
                return gate, decision
    return None
