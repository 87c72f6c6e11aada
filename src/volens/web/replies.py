"""Answers of our own that are no page: JSON, files, redirects, and which of them an asker is better served by."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, TypeVar
from urllib.parse import quote

import brotli

from volens.enforce.headers import get, get_all
from volens.errors import StoreError
from volens.web.messages import Pairs, Reply, Request, Waiting

T = TypeVar("T")

NO_STORE = (b"cache-control", b"no-store")
SECURITY: Pairs = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex"),
]
_BROTLI = re.compile(rb"(?:\A|,)\s*br\s*(?:,|\Z|;\s*q\s*=\s*(?!0(?:\.0*)?\s*(?:,|\Z)))")
_RANGE = re.compile(r"\s*([\w.+*-]+/[\w.+*-]+)\s*(?:;[^,]*?\bq=\s*([01](?:\.\d*)?))?[^,]*")


def wants_json(pairs: Pairs) -> bool:
    """Whether a problem as JSON (RFC 9457) serves the asker better than a page: by Accept (RFC 9110 12.5.1), which scripts often
    leave at ``*/*``; then by whether a page is being opened, then by what was sent."""
    told = ",".join(value.decode("latin-1") for value in get_all(pairs, b"accept")).lower() or "*/*"
    weight = {found[1]: float(found[2] or 1) for part in told[:2000].split(",") if (found := _RANGE.match(part))}

    def of(*types: str) -> float:
        named = [weight[kind] for kind in types if kind in weight]
        return max(named) if named else weight.get(types[0].partition("/")[0] + "/*", weight.get("*/*", 0.0))

    page, problem = of("text/html", "application/xhtml+xml"), of("application/problem+json", "application/json")
    if page != problem:
        return problem > page
    mode = get(pairs, b"sec-fetch-mode")
    if mode is not None:
        return mode.strip().lower() not in (b"navigate", b"nested-navigate")
    return (get(pairs, b"content-type") or b"").strip().lower().startswith(b"application/json")


def file_reply(request: Request, data: bytes, kind: str, *, kept: bool) -> Reply:
    """A file that holds nothing of anybody. ``kept``: its name says which bytes it is."""
    offered = b",".join(request.all(b"accept-encoding")).lower()
    pairs: Pairs = [
        (b"content-type", kind.encode()),
        (b"cache-control", b"public, max-age=31536000, immutable" if kept else b"no-cache"),
        (b"vary", b"Accept-Encoding"),
        *SECURITY[:1],
        (b"cross-origin-resource-policy", b"same-origin"),
    ]
    if _BROTLI.search(offered):
        return Reply(200, [*pairs, (b"content-encoding", b"br")], _brotli(data))
    return Reply(200, pairs, data)


_brotli = lru_cache(64)(partial(brotli.compress, quality=9))


def unread_by_opener(reply: Reply) -> Reply:
    """Of a page that may show the record's number: a window that a script of the site opened cannot be read by its opener."""
    return replace(reply, pairs=[*reply.pairs, (b"cross-origin-opener-policy", b"same-origin")])


def quoted(path: str) -> bytes:
    """A local path for a Location header."""
    return quote(path, safe="/?=&%:;,+@!$'()*~#[]-._").encode()


def changed(answer: Reply | Waiting, change: Callable[[Reply], Reply]) -> Reply | Waiting:
    """``answer``, changed once it is there."""
    if isinstance(answer, Reply):
        return change(answer)
    then = answer.then
    return Waiting(answer.future, lambda result: change(then(result)))


def read_apart(reader: Executor, read: Callable[[], T], made: Callable[[T], Reply], failed: Callable[[StoreError], Reply]) -> Waiting:
    """What a store is asked off the event loop, and the answer made of it, or of why it could not be read."""

    def then(result: Any) -> Reply:
        if isinstance(result, StoreError):
            return failed(result)
        if isinstance(result, BaseException):
            raise result
        return made(result)

    return Waiting(reader.submit(read), then)


def see(path: str) -> Reply:
    """The answer to a form lies there, and nothing was stored."""
    return Reply(303, [(b"location", quoted(path)), NO_STORE, *SECURITY])


def json_reply(status: int, value: Mapping[str, Any], kind: str = "application/json") -> Reply:
    """Told to a program; nobody keeps it."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(status, [(b"content-type", kind.encode()), NO_STORE, *SECURITY], body)
