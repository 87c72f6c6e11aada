"""The public files of the log below ``log/``: checkpoint, tiles, entries (C2SP tlog-tiles), and the keys that sign them.

They hold nothing of anybody: of a record a minute, a notice and a commitment. What is whole never changes, so caches may keep it
for ever; a path that is not written in its one spelling is nothing.
"""

from __future__ import annotations

import gzip
import re
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING

from volens.errors import StoreError
from volens.ledger.cosign import SignedNote
from volens.ledger.retention import minimum
from volens.ledger.tree import HASH, HEIGHT, WIDTH
from volens.site import Site
from volens.web.asked import Asked
from volens.web.messages import Pairs, Reply, Waiting
from volens.web.replies import read_apart

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

WAITING = 64
"""Requests that may wait for the store; more are told to come again."""
PRUNED = 3600.0
"""Seconds between two looks for what is too old to be served (tlog-tiles, *Pruning*)."""
LEVELS = 63
"""The highest level of a tile (tlog-tiles)."""

_TILE = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)
_PLAIN = re.compile(rb"(?:\A|,)\s*(?:gzip|\*)\s*(?:,|\Z|;\s*q\s*=\s*(?!0(?:\.0*)?\s*(?:,|\Z)))")
_FOR_ALL: Pairs = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-robots-tag", b"noindex"),
    (b"access-control-allow-origin", b"*"),  # whoever checks, from wherever
    (b"cross-origin-resource-policy", b"cross-origin"),
]
_KEPT = (b"cache-control", b"public, max-age=31536000, immutable")
_SHORT = (b"cache-control", b"public, max-age=1")
_NEVER = (b"cache-control", b"no-store")


def tile(path: str) -> tuple[int | None, int, int] | None:
    """Level (None: entries), index and width that a path below ``log/`` names; None where it names no tile."""
    found = _TILE.fullmatch(path)
    if found is None:
        return None
    kind, number, width = found.groups()
    level = None if kind == "entries" else int(kind)
    *groups, last = number.replace("x", "").split("/")
    if (level or 0) > LEVELS or len(groups) > 5 or (groups and groups[0] == "000") or int(width or 1) >= WIDTH:
        return None
    return level, int("".join(groups) + last), int(width or WIDTH)


def tile_path(level: int | None, index: int, width: int = WIDTH) -> str:
    """The path of a tile below ``log/``."""
    digits = f"{index:03d}"
    digits = digits.rjust(-(-len(digits) // 3) * 3, "0")
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"tile/{'entries' if level is None else level}/{number}" + (f".p/{width}" if width < WIDTH else "")


class LogFiles:
    """Answers below ``log/``. Two threads read for all who ask, so that no flood of requests is one of readers of the store."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: set[int] = set()
        self._numbers = count()
        self._first: tuple[float, int] = (0.0, 0)  # when to look again, and the first entry that is still served
        self._looking = Lock()
        self._covered: dict[str, int] = {}  # entries under a checkpoint that was served or may be, by site

    def answer(self, asked: Asked, name: str) -> Reply | Waiting | None:
        """The reply for ``name``, the path below ``log/``; None where there is no such file."""
        found = tile(name)
        if name not in ("checkpoint", "keys") and found is None:
            return None
        if asked.request.method not in ("GET", "HEAD"):
            return _plain(405, "Method not allowed.\n", (b"allow", b"GET, HEAD"), _NEVER)
        if name == "keys":
            return self._keys(asked)
        if len(self._waiting) >= WAITING:
            return _plain(503, "Too many at once.\n", (b"retry-after", b"1"), _NEVER)
        number = next(self._numbers)
        self._waiting.add(number)
        zipped = bool(_PLAIN.search(b",".join(asked.request.all(b"accept-encoding")).lower()))
        site = asked.site.name

        def read() -> tuple[bytes, bool] | int:
            try:
                if found is None:
                    return self._checkpoint(site) or 404
                if not self._published(site, *found):
                    return 404
                if self._pruned(asked.site, found[0], found[1]):
                    return 410
                return self._tile(site, *found, zipped=zipped) or 404
            finally:
                self._waiting.discard(number)

        def made(data: tuple[bytes, bool] | int) -> Reply:
            if isinstance(data, int):
                return _plain(data, "Nothing here yet.\n" if data == 404 else "Too old: its records were erased by age.\n", _NEVER)
            if found is None:
                return Reply(200, [(b"content-type", b"text/plain; charset=utf-8"), _SHORT, *_FOR_ALL], data[0])
            pairs = [(b"content-type", b"application/octet-stream"), _KEPT, *_FOR_ALL]
            if found[0] is None:
                pairs += [(b"vary", b"Accept-Encoding"), *([(b"content-encoding", b"gzip")] if data[1] else [])]
            return Reply(200, pairs, data[0])

        def failed(error: StoreError) -> Reply:
            return _plain(503, "The ledger cannot be read now.\n", (b"retry-after", b"5"), _NEVER)

        self._pool = self._pool or ThreadPoolExecutor(2, "volens-log")
        return read_apart(self._pool, read, made, failed)

    def _keys(self, asked: Asked) -> Reply:
        """The log's verifier keys, the newest first, then, after an empty line, its witnesses'."""
        lines = [*self._gateway.log_keys(asked.site.name).vkeys, "", *(witness.key for witness in asked.site.proof.witnesses)]
        text = "\n".join(lines).rstrip("\n") + "\n"
        return _plain(200, text, (b"cache-control", b"public, max-age=60"))

    def _checkpoint(self, site: str) -> tuple[bytes, bool] | None:
        store = self._gateway.store
        note = store.published(site)
        if note is None:  # nothing was published yet, though something may be there
            head = store.head(site)
            note = head.note if head is not None else None
        return (note.encode(), False) if note else None

    def _published(self, site: str, level: int | None, index: int, width: int) -> bool:
        """Whether the checkpoint covers all of a tile: whoever asks for one entry more, again and again, learns of none before it is
        published."""
        wanted = (index * WIDTH + width) << HEIGHT * (level or 0)
        if wanted > self._covered.get(site, 0) and (found := self._checkpoint(site)) is not None:
            self._covered[site] = SignedNote.parse(found[0].decode()).checkpoint.size
        return wanted <= self._covered.get(site, 0)

    def _pruned(self, site: Site, level: int | None, index: int) -> bool:
        """Whether all that a tile covers is older than any record is kept."""
        if site.retention.days is None:
            return False
        with self._looking:
            due, first = self._first
            if time.monotonic() >= due:
                first = minimum(self._gateway.store, site.name, site.retention, self._gateway.now(), first)
                self._first = (time.monotonic() + PRUNED, first)
        return (index + 1) << HEIGHT * ((level or 0) + 1) <= first

    def _tile(self, site: str, level: int | None, index: int, width: int, *, zipped: bool) -> tuple[bytes, bool] | None:
        """What a tile's first ``width`` hashes or entries are, and whether it is compressed; None where it has fewer."""
        store = self._gateway.store
        if index >= 1 << 48:
            return None  # beyond what a store can number
        if level is not None:
            data = store.hashes(site, level, index)[: width * HASH]
            return (data, False) if len(data) == width * HASH else None
        entries = store.entries(site, index * WIDTH, width)
        if len(entries) < width:
            return None
        data = b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
        return (gzip.compress(data, 5, mtime=0), True) if zipped else (data, False)


def _plain(status: int, text: str, *more: tuple[bytes, bytes]) -> Reply:
    return Reply(status, [(b"content-type", b"text/plain; charset=utf-8"), *more, *_FOR_ALL], text.encode())
