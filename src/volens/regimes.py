"""The law of the place a visitor is in, as data: what a site may do there before an answer. Doubt is the strictest (R44–R47)."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files

_PLACE = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Regime:
    """One law."""

    id: str
    opt_out: bool
    """Whether what the visitor has not refused may be done."""
    places: tuple[str, ...]
    law: str
    """Its name, as visitors are told it."""
    source: str
    read: date | None = None
    """The day on which this was compared with a public text; None: never."""
    exempts: tuple[str, ...] = ()
    """Kinds of purpose that need no consent, under conditions that only the operator can know to be met."""


@functools.cache
def regimes() -> Mapping[str, Regime]:
    """All, by place."""
    found = {}
    for row in tomllib.loads((files("volens") / "data" / "regimes.toml").read_text("utf-8"))["regime"]:
        assert row["kind"] in ("opt-in", "opt-out"), row["id"]
        regime = Regime(
            row["id"],
            row["kind"] == "opt-out",
            tuple(row["places"]),
            row["law"],
            row["source"],
            row.get("read"),
            tuple(row.get("exempts", ())),
        )
        for place in regime.places:
            assert _PLACE.fullmatch(place) and place not in found, place
            found[place] = regime
    return found


def regime_of(country: str, subdivision: str = "") -> Regime | None:
    """The law of a place as a front names it (``FR``; ``US`` and ``CA``; ``US-CA``); None where it is not known for certain."""
    country, subdivision = country.strip().upper(), subdivision.strip().upper()
    place = country if "-" in country else f"{country}-{subdivision.removeprefix(country + '-')}" if subdivision else country
    if not _PLACE.fullmatch(place):
        return None
    return regimes().get(place) or regimes().get(place.partition("-")[0])


@functools.lru_cache(64)
def opts_out(id: str) -> bool:
    """Whether the regime of that id lets a site do what has not been refused."""
    return any(regime.id == id and regime.opt_out for regime in regimes().values())


def law_of(id: str) -> str:
    """The name of the regime of that id; empty where there is none."""
    return next((regime.law for regime in regimes().values() if regime.id == id), "")
