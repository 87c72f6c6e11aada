"""Page views by day in one SQLite file of its own, added up in memory and written each half second (``volens.tally``).

What was counted is never dropped, at worst its name becomes OTHER. Days are deleted after 25 months.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from volens.audience.view import KINDS, OTHER, View
from volens.choice import expires
from volens.tally import Tally

NAMES = {"referrer": 500, "language": 100, "device": 10}
"""Different names kept a day for each kind; of paths as many as the site says."""

Key = tuple[str, str, str, str]
"""site, day, kind, name"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted from ``since`` to ``until``, both included. Bots stand in ``bots`` and nowhere else."""

    since: date
    until: date
    views: dict[date, int]
    bots: dict[date, int]
    paths: tuple[tuple[str, int], ...]
    referrers: tuple[tuple[str, int], ...]
    languages: tuple[tuple[str, int], ...]
    devices: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """Page views, bots apart."""
        return sum(self.views.values())


class Counts(Tally[Key]):
    """Counts of page views in the file ``path``. ``months``: how long they are kept. ``paths``: different ones a day."""

    APPLICATION = 0x564F4C41  # "VOLA"
    SCHEMA = (
        """CREATE TABLE views (
    site TEXT NOT NULL, day TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (site, day, kind, name)) WITHOUT ROWID""",
    )
    NAME = "volens.audience"
    WHAT = "page views"

    def __init__(self, path: str | os.PathLike[str], today: Callable[[], date], *, months: int = 25, paths: int = 2000) -> None:
        self._months = months
        self._limits = {**NAMES, "path": paths}
        super().__init__(path, today)

    def add(self, site: str, view: View) -> None:
        """Count one view of today. Never waits for a disk, never raises."""
        day = self._today().isoformat()
        if view.device == "bot":
            self._put(((site, day, "device", "bot"),))
            return
        self._put(
            (
                (site, day, "path", view.path),
                (site, day, "referrer", view.referrer),
                (site, day, "language", view.language),
                (site, day, "device", view.device),
            )
        )

    def _crowded(self, key: Key) -> Key | None:
        return None if key[2] == "device" else (*key[:3], OTHER)

    def _size(self, counts: dict[Key, int]) -> int:
        return sum(n for (_, _, kind, _), n in counts.items() if kind == "device")

    def _prune(self, connection: sqlite3.Connection, today: date) -> None:
        connection.execute("DELETE FROM views WHERE day < ?", (self.oldest(today).isoformat(),))

    def _add(self, connection: sqlite3.Connection, counts: dict[Key, int]) -> None:
        """Add to the rows there are. A new name gets a row while the day has room for it; one that was there the day
        before has room still, so that a flood of invented paths does not push out those that are read."""
        held: dict[tuple[str, str, str], int] = {}
        others: dict[Key, int] = {}
        for key, n in counts.items():
            if connection.execute("UPDATE views SET n = n + ? WHERE (site, day, kind, name) = (?, ?, ?, ?)", (n, *key)).rowcount:
                continue
            site, day, kind, name = key
            if (site, day, kind) not in held:
                row = connection.execute("SELECT count(*) FROM views WHERE (site, day, kind) = (?, ?, ?)", (site, day, kind)).fetchone()
                held[site, day, kind] = row[0]
            if held[site, day, kind] >= self._limits[kind] and name != OTHER:
                before = (site, (date.fromisoformat(day) - timedelta(days=1)).isoformat(), kind, name)
                known = connection.execute("SELECT 1 FROM views WHERE (site, day, kind, name) = (?, ?, ?, ?)", before).fetchone()
                if known is None or held[site, day, kind] >= 2 * self._limits[kind]:
                    other = (site, day, kind, OTHER)
                    others[other] = others.get(other, 0) + n
                    continue
            held[site, day, kind] += 1
            connection.execute("INSERT INTO views VALUES (?, ?, ?, ?, ?)", (*key, n))
        connection.executemany(
            "INSERT INTO views VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            [(*key, n) for key, n in others.items()],
        )

    # Reading ----------------------------------------------------------------------------------------------------

    def oldest(self, today: date) -> date:
        """The first day that may still be kept (R27)."""
        return expires(today, -self._months)

    def read(self, site: str, since: date, until: date) -> Figures:
        """What all processes have written, and this one counted, from ``since`` to ``until``. Raises StoreError."""
        self.flush()
        since = max(since, self.oldest(self._today()))
        where = (site, since.isoformat(), until.isoformat())
        with self._open() as connection:
            days = connection.execute(
                "SELECT day, name = 'bot', sum(n) FROM views WHERE site = ? AND day BETWEEN ? AND ? AND kind = 'device' GROUP BY 1, 2",
                where,
            ).fetchall()
            rows = connection.execute(
                "SELECT kind, name, sum(n) FROM views WHERE site = ? AND day BETWEEN ? AND ? GROUP BY 1, 2 ORDER BY 3 DESC, 2", where
            ).fetchall()
        by = {kind: tuple((name, n) for of, name, n in rows if of == kind and (kind, name) != ("device", "bot")) for kind in KINDS}
        views = {date.fromisoformat(day): n for day, bot, n in days if not bot}
        bots = {date.fromisoformat(day): n for day, bot, n in days if bot}
        return Figures(since, until, views, bots, by["path"], by["referrer"], by["language"], by["device"])
