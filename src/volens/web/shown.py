"""What a version of the notice looks like: first layer and panel in every language, each a page that needs nothing else.

The ledger keeps these pages by their SHA-256, and in a list (``volens-snapshot/1``) whose own SHA-256 goes into the log: code that
draws the notice another way tomorrow cannot change what was shown today, nor when. Pictures of the same pages, where they were taken,
stand in the list too (``volens notice snapshot``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from volens.choice import Signals
from volens.errors import ProofError
from volens.ledger.store import Store
from volens.notice import canonical
from volens.policy import grant
from volens.site import Site
from volens.web.screens import BACK, Screens, html

FORMAT = "volens-snapshot/1"
FIRST, PANEL = "first", "panel"
LAYERS = (FIRST, PANEL)

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'"
_ALONE = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
"""Whoever opens a page that was kept asks nobody for anything, and no button of it does anything."""
_LINES = (
    ":root{color-scheme:light dark;background:Canvas;color:CanvasText}body{max-width:46rem;margin:0 auto;padding:1rem;font:1rem serif}"
    "i{display:block;height:.7rem;margin:.7rem 0;background:light-dark(#e6e6e6,#333)}i:nth-of-type(5n){width:60%}"
)
_DAY = date(2000, 1, 1)  # before any choice: nothing that is shown goes by the day


@dataclass(frozen=True, slots=True)
class Rendering:
    """One layer in one language, as a page."""

    language: str
    layer: str
    page: bytes

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal."""
        return hashlib.sha256(self.page).hexdigest()


@dataclass(frozen=True, slots=True)
class Picture:
    """One layer in one language, in a window of a width, light or dark, as PNG."""

    language: str
    layer: str
    width: int
    scheme: str
    image: bytes

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal."""
        return hashlib.sha256(self.image).hexdigest()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A list of what was kept of one notice: digests by what they are of."""

    site: str
    notice: str
    renderings: Mapping[tuple[str, str], str]
    """By language and layer."""
    pictures: Mapping[tuple[str, str, int, str], str]
    """By language, layer, width and colour scheme."""

    @classmethod
    def of(cls, site: Site, renderings: Iterable[Rendering], pictures: Iterable[Picture] = ()) -> Snapshot:
        """The list of these."""
        return cls(
            site.name,
            site.notice.digest,
            {(r.language, r.layer): r.digest for r in renderings},
            {(p.language, p.layer, p.width, p.scheme): p.digest for p in pictures},
        )

    def to_bytes(self) -> bytes:
        """Canonical JSON: what the log names."""
        return canonical(
            {
                "format": FORMAT,
                "site": self.site,
                "notice": self.notice,
                "renderings": [{"language": x[0], "layer": x[1], "sha256": self.renderings[x]} for x in sorted(self.renderings)],
                "pictures": [
                    {"language": x[0], "layer": x[1], "width": x[2], "scheme": x[3], "sha256": self.pictures[x]}
                    for x in sorted(self.pictures)
                ],
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Snapshot:
        """What ``to_bytes`` wrote; raises ProofError."""
        try:
            value: Any = json.loads(data)
            found = cls(
                str(value["site"]),
                str(value["notice"]),
                {(r["language"], r["layer"]): r["sha256"] for r in value["renderings"]},
                {(p["language"], p["layer"], p["width"], p["scheme"]): p["sha256"] for p in value["pictures"]},
            )
            same = found.to_bytes() == data
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ProofError(f"not a {FORMAT} document: {error!r}.") from error
        if not same:
            raise ProofError(f"not a {FORMAT} document in its canonical form.")
        return found

    @property
    def digest(self) -> str:
        """What the log names it by."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def renderings(site: Site) -> list[Rendering]:
    """First layer and panel in each language, as somebody sees them who has not chosen yet. None where another tool asks."""
    if site.theirs is not None:
        return []
    screens = Screens(site, {})
    undecided = grant(site.notice, None, Signals(), _DAY)
    found = []
    for language in site.notice.languages:
        first = html(
            '<!DOCTYPE html><html lang="{lang}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><title>{name}</title><style>',
            lang=language,
            name=site.name,
        )
        body = screens.dress(undecided, language).body.replace(BACK, "/")
        page = f"{first}{_LINES}</style></head><body>{body}{'<i></i>' * 40}</body></html>"
        for layer, markup in ((FIRST, page), (PANEL, screens.panel(undecided, language, "/"))):
            found.append(
                Rendering(language, layer, markup.replace('<meta charset="utf-8">', f'<meta charset="utf-8">{_ALONE}', 1).encode())
            )
    return found


def keep_shown(store: Store, site: Site, made: Iterable[Rendering], pictures: Iterable[Picture] = ()) -> tuple[Snapshot, int | None]:
    """Keep pages and pictures of the site's notice, and log their list; its place in the log, None where it was there already.

    Raises StoreUnavailable; what was kept until then stays, and the same may be kept again."""
    made, pictures = list(made), list(pictures)
    snapshot = Snapshot.of(site, made, pictures)
    if not made or any(json.loads(row.entry).get("snapshot") == snapshot.digest for row in store.others(site.name)):
        return snapshot, None
    for rendering in made:
        store.attach(site.name, rendering.digest, rendering.page)
    for picture in pictures:
        store.attach(site.name, picture.digest, picture.image)
    store.attach(site.name, snapshot.digest, snapshot.to_bytes())
    return snapshot, store.add_snapshot(site.name, site.notice.digest, snapshot.digest)
