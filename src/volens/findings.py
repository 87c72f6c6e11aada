"""What the pages of a site were found to use, by host and by name: what an operator decides by before and after going live.

Facts alone: who was found, as what, on how many pages, how often, and when. What would be decided of it is asked of the
configuration when it is read, so that a list is never older than ``volens.toml``. Of a visitor nothing is kept: no address,
no user agent, no query; of a page its path, with what may name a person left out, and a few paths a name.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from volens.audience.view import path as plain_path
from volens.site import Audience
from volens.tally import Tally

DAYS = 90
"""How long findings are kept."""
EXAMPLES = 3
"""Paths kept for each name."""
PAGES = 500
"""Different pages counted for each name."""
NAMES = 500
"""Different names kept a day for each way of finding: what anybody may send cannot push out what was seen."""
PAGE, REPORT, SET, SENT, SCRIPT = "page", "report", "set", "sent", "script"
WAYS = (PAGE, REPORT, SET, SENT, SCRIPT)
"""In a page's markup; by a browser's report; in ``Set-Cookie``; with a request; in a script of the page."""
STORAGE = frozenset({"cookie", "local", "session"})
"""Kinds that are storage; the others say what a host is used for."""
MAX_NAME = 120
_MARK = re.compile(r"[0-9a-fA-F]{12,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\d{6,}")
_SPOKEN = re.compile(r"[\x21-\x7e]+")

Key = tuple[str, str, str, str, str, str]
"""site, day, way, kind, name, path ('' where none is known)"""


@dataclass(frozen=True, slots=True)
class Found:
    """One host or storage name, over the time asked for."""

    name: str
    kind: str
    ways: tuple[str, ...]
    pages: int
    """Different ones, PAGES at most."""
    count: int
    first: date
    last: date
    examples: tuple[str, ...]


def storage_name(name: str) -> str:
    """A cookie's name without what may tell one visitor from another; empty for one that is none."""
    return _MARK.sub("*", name)[:MAX_NAME] if _SPOKEN.fullmatch(name[: 4 * MAX_NAME]) else ""


_NOBODY = Audience()


class Findings(Tally[Key]):
    """What was found, in the file ``path``."""

    APPLICATION = 0x564F4C48  # "VOLH"
    SCHEMA = (
        """CREATE TABLE found (
    site TEXT NOT NULL, day TEXT NOT NULL, way TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (site, day, way, kind, name)) WITHOUT ROWID""",
        # Another page is another number; the paths of the first EXAMPLES are kept to be looked at.
        """CREATE TABLE pages (
    site TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, page INTEGER NOT NULL, path TEXT NOT NULL, day TEXT NOT NULL,
    PRIMARY KEY (site, kind, name, page)) WITHOUT ROWID""",
    )
    NAME = "volens.findings"
    WHAT = "findings"

    def __init__(self, path: str | os.PathLike[str], today: Callable[[], date]) -> None:
        super().__init__(path, today)

    def add(self, site: str, way: str, found: set[tuple[str, str]], target: bytes = b"", merge: Audience | None = None) -> None:
        """Note (kind, name) pairs, found on the page at ``target``. Never waits for a disk, never raises."""
        if not found:
            return
        day = self._today().isoformat()
        where = plain_path(target[:800].partition(b"?")[0], merge or _NOBODY) if target else ""
        where = _MARK.sub("*", where)
        self._put(tuple((site, day, way, kind, name[:MAX_NAME], where) for kind, name in sorted(found)))

    def _crowded(self, key: Key) -> Key | None:
        return (*key[:3], "", "", "")  # dropped when it is written

    def _add(self, connection: sqlite3.Connection, counts: dict[Key, int]) -> None:
        held: dict[tuple[str, str, str], int] = {}
        for (site, day, way, kind, name, path), n in counts.items():
            if not name:
                continue
            key = (site, day, way, kind, name)
            known = connection.execute(
                "UPDATE found SET n = n + ? WHERE (site, day, way, kind, name) = (?, ?, ?, ?, ?)", (n, *key)
            ).rowcount
            if not known:
                if key[:3] not in held:
                    row = connection.execute("SELECT count(*) FROM found WHERE (site, day, way) = (?, ?, ?)", key[:3]).fetchone()
                    held[key[:3]] = row[0]
                if held[key[:3]] >= NAMES:
                    continue
                held[key[:3]] += 1
                connection.execute("INSERT INTO found VALUES (?, ?, ?, ?, ?, ?)", (*key, n))
            if path:
                self._page(connection, site, kind, name, path, day)

    def _page(self, connection: sqlite3.Connection, site: str, kind: str, name: str, path: str, day: str) -> None:
        page = int.from_bytes(hashlib.blake2b(path.encode(), digest_size=7).digest(), "big")
        here = (site, kind, name, page)
        if connection.execute("UPDATE pages SET day = ? WHERE (site, kind, name, page) = (?, ?, ?, ?)", (day, *here)).rowcount:
            return
        pages, shown = connection.execute(
            "SELECT count(*), coalesce(sum(path <> ''), 0) FROM pages WHERE (site, kind, name) = (?, ?, ?)", here[:3]
        ).fetchone()
        if pages < PAGES:
            connection.execute("INSERT INTO pages VALUES (?, ?, ?, ?, ?, ?)", (*here, path if shown < EXAMPLES else "", day))

    def _prune(self, connection: sqlite3.Connection, today: date) -> None:
        oldest = (today - timedelta(days=DAYS)).isoformat()
        connection.execute("DELETE FROM found WHERE day < ?", (oldest,))
        connection.execute("DELETE FROM pages WHERE day < ?", (oldest,))

    def read(self, site: str, since: date) -> list[Found]:
        """What all processes have written since that day, the most frequent first. Raises StoreError."""
        self.flush()
        with self._open() as connection:
            rows = connection.execute(
                "SELECT kind, name, group_concat(DISTINCT way), sum(n), min(day), max(day) FROM found WHERE site = ? AND day >= ? "
                "GROUP BY kind, name ORDER BY 4 DESC, name, kind",
                (site, since.isoformat()),
            ).fetchall()
            pages: dict[tuple[str, str], list[str]] = {}
            for kind, name, path in connection.execute(
                "SELECT kind, name, path FROM pages WHERE site = ? AND day >= ? ORDER BY path", (site, since.isoformat())
            ):
                pages.setdefault((kind, name), []).append(path)
        return [
            Found(
                name,
                kind,
                tuple(way for way in WAYS if way in ways.split(",")),
                len(pages.get((kind, name), ())),
                n,
                date.fromisoformat(first),
                date.fromisoformat(last),
                tuple(path for path in pages.get((kind, name), ()) if path),
            )
            for kind, name, ways, n, first, last in rows
        ]
