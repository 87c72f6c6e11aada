"""Words and markup: the texts of one language, and ``html()``, through which every text becomes part of a screen.

A template engine would be one more dependency for a handful of short pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from volens.languages import Language, shipped

if TYPE_CHECKING:
    from datetime import date


class Html(str):
    """Markup. Every other string is escaped before it becomes part of one."""

    __slots__ = ()


def html(template: str, /, **values: object) -> Html:
    """``template`` with each ``{name}`` replaced: ``Html`` as it is, lists of it joined, None as nothing, the rest escaped."""
    return Html(template.format_map({name: safe(value) for name, value in values.items()}))


def safe(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Html):
        return value
    if isinstance(value, (list, tuple)):
        return "".join(safe(item) for item in value)
    return escape(str(value))


def flag(on: bool, name: str) -> Html:
    """A boolean attribute, in the long form that XML knows too."""
    return Html(f' {name}="{name}"' if on else "")


def packaged_texts() -> Mapping[str, Mapping[str, str]]:
    """Interface texts by language, of those that are complete."""
    return {code: language.texts for code, language in shipped().items()}


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language, the site's own wording first."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, name: str, /, **values: object) -> Html:
        """The text ``name`` as markup: escaped, then each ``{placeholder}`` replaced, so that a text can hold a link.

        Where the language is written from right to left, a name is set apart (UAX #9, isolates): its own signs stay beside it.
        """

        def filled(place: re.Match[str]) -> str:
            if place[1] not in values:
                return place[0]
            value = values[place[1]]
            return safe(value) if isinstance(value, Html) or self.own.direction == "ltr" else f"\u2068{safe(value)}\u2069"

        return Html(re.sub(r"\{(\w+)\}", filled, escape(self.texts[name], quote=False)))

    @property
    def own(self) -> Language:
        """The language's rules (CLDR)."""
        return shipped()[self.language]

    @property
    def way(self) -> Html:
        """The attributes that say the language and which way it is written."""
        return html('lang="{language}" dir="{direction}"', language=self.language, direction=self.own.direction)

    def count(self, name: str, n: int, /, **values: object) -> Html:
        """The plural form of ``name`` for ``n``."""
        return self(f"{name}.{self.own.plural(n)}", n=Html(self.own.number(n)), **values)

    def day(self, day: date) -> Html:
        """A date as this language writes it."""
        return html("{x}", x=self.own.day(day))

    def listed(self, items: Iterable[str]) -> Html:
        """A list in a sentence: *a, b and c*."""
        return Html(self.own.listed([safe(item) for item in items]))

    def attribute(self, name: str, /, **values: str) -> Html:
        """The text ``name`` for a double-quoted attribute."""
        return Html(self(name, **values).replace('"', "&quot;"))


def hidden(name: str, value: str) -> Html:
    return html('<input type="hidden" name="{name}" value="{value}"/>', name=name, value=value)


def tag(text: Html, kind: str = "") -> Html:
    return html(" <em{kind}>{x}</em>", kind=html(' class="{k}"', k=kind) if kind else None, x=text)


def when(name: str, known: object) -> Html | None:
    """For an element of the dialog's tree, made before anything is ``known`` of who opens it: what it goes by."""
    return html(' data-if="{name}"', name=name) if known is None else None


def mark(name: str) -> Html:
    """Stands in the dialog's tree for what the browser fills in."""
    return Html(f"__volens_{name}__")


def query_of(pairs: Iterable[tuple[str, str]]) -> str:
    return urlencode(list(pairs), quote_via=quote)


@lru_cache(1024)
def preferred(accept_language: str) -> tuple[str, ...]:
    """Language tags by weight; those with weight 0 left out."""
    weighted = []
    for part in accept_language[:400].split(","):
        tag, _, weight = part.partition(";")
        found = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", weight) if weight else None
        value = float(found[1]) if found else (0.0 if weight else 1.0)
        if value > 0:
            weighted.append((-value, tag))
    return tuple(tag for _, tag in sorted(weighted, key=lambda pair: pair[0]))


def lifetime(days: int | None, say: Words) -> Html:
    if days is None:
        return say("days.unknown")
    if days == 0:
        return say("days.session")
    text = say.count("days", days)
    return html("{a} ({b})", a=text, b=say.count("months", round(days / 30.4))) if days >= 60 else text
