"""Notices, choices and days for the property tests of the core. Names come from small pools, so that they meet."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import strategies as st

from volens.choice import Choice
from volens.notice import DATA_KINDS, EXEMPT_REASONS, Controller, Notice, Purpose, Service, StorageKey

PURPOSES = ("technique", "audience", "video", "publicite", "reseaux-sociaux")
SERVICES = ("matomo", "youtube", "regie", "telegram", "x1", "carte")

words = st.text(min_size=1, max_size=12)
days = st.dates(date(2020, 1, 1), date(2040, 12, 31))


@st.composite
def purposes(draw: Any, id: str) -> Purpose:
    """One purpose, exempt in some cases."""
    exempt = draw(st.sampled_from(("", "", "", *EXEMPT_REASONS)))
    kinds = draw(st.lists(st.sampled_from(DATA_KINDS), unique=True, max_size=3))
    return Purpose(id, {"fr": draw(words)}, {"fr": draw(words)}, exempt, tuple(kinds), draw(st.booleans()))


@st.composite
def services(draw: Any, id: str, of: tuple[str, ...]) -> Service:
    """One service of one or more purposes."""
    chosen = tuple(draw(st.lists(st.sampled_from(of), min_size=1, max_size=3, unique=True)))
    keys = draw(st.lists(st.sampled_from(("_a", "_b*", "c")), unique=True, max_size=2))
    storage = tuple(StorageKey(name, purpose=chosen[0], service=id) for name in keys)
    return Service(id, id.title(), chosen, (f"{id}.example",), storage, profiles=draw(st.booleans()), chain=draw(st.booleans()))


@st.composite
def notices(draw: Any, controller: str = "Journal SAS") -> Notice:
    """A whole notice: one to five purposes, up to six services."""
    ids = draw(st.lists(st.sampled_from(PURPOSES), min_size=1, unique=True))
    acting = draw(st.lists(st.sampled_from(SERVICES), unique=True))
    return Notice(
        Controller(controller, "donnees@journal.example", ""),
        tuple(draw(purposes(id)) for id in ids),
        tuple(draw(services(id, tuple(ids))) for id in acting),
        scope=("www.journal.example",),
        months=draw(st.sampled_from((6, 6, 6, 1, 13))),
    )


@st.composite
def choices(draw: Any, notice: Notice | None = None, day: date | None = None) -> Choice:
    """Any answer that can be written, whether a visitor could give it or a forger made it up."""
    granted = draw(st.frozensets(st.sampled_from(PURPOSES)))
    alone = draw(st.frozensets(st.sampled_from(SERVICES)))
    without = draw(st.frozensets(st.sampled_from(SERVICES)))
    short = notice.short if notice else draw(st.text("0123456789abcdef", min_size=16, max_size=16))
    return Choice(short, day or draw(days), granted, alone, without - alone)
