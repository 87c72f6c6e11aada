"""Languages: what each file in ``texts/`` says, and the language's own rules for plurals, lists, numbers and dates (CLDR).

One file is one language, whole: interface texts, words of the built-in purposes, words that push, plain names of the three buttons.
A file that lacks any of them is not offered (R24). CLDR comes through Babel, by the language when it is first needed: a locale takes
some milliseconds and a megabyte.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from babel import Locale

if TYPE_CHECKING:
    from datetime import date

FIRST = "fr"
"""The language the others are compared with: a text is there when French has it."""

_FORMS = frozenset({"zero", "one", "two", "few", "many", "other"})
"""The categories of CLDR."""

BUTTONS = ("accept", "refuse", "settings")
"""The three buttons of the first layer."""


@dataclass(frozen=True)
class Language:
    """One file. ``code`` is the primary subtag that a page's ``lang`` is matched with; ``locale`` the country whose manners of writing
    dates and lists it follows (``en-GB``)."""

    code: str
    locale: str
    name: str
    reviewed: bool
    """Whether a speaker of the language has read its texts."""
    texts: Mapping[str, str]
    purposes: Mapping[str, Mapping[str, str]]
    """Title and sentence of each built-in purpose, by its id."""
    pushes: Mapping[str, Sequence[str]]
    """Regular expressions of words that push, by kind."""
    buttons: Mapping[str, str]
    """Regular expressions of the names a button may have, and ``all``: the word for *all*."""

    @cached_property
    def cldr(self) -> Locale:
        return Locale.parse(self.locale, sep="-")

    @cached_property
    def direction(self) -> str:
        """``ltr`` or ``rtl``."""
        return str(self.cldr.text_direction)

    def plural(self, n: int) -> str:
        """The CLDR category of a whole number: ``one``, ``few`` …"""
        return str(self.cldr.plural_form(n))

    @cached_property
    def forms(self) -> frozenset[str]:
        """The categories that whole numbers below a thousand reach: those a file has to write."""
        return frozenset(map(self.plural, range(1000)))

    def number(self, n: int) -> str:
        """A whole number as the language groups it."""
        from babel.numbers import format_decimal

        return str(format_decimal(n, locale=self.cldr))

    def day(self, day: date) -> str:
        """A date in words."""
        from babel.dates import format_date

        return str(format_date(day, "long", locale=self.cldr))

    def month(self, day: date) -> str:
        """The month's name, standing by itself."""
        from babel.dates import format_date

        return str(format_date(day, "LLLL", locale=self.cldr))

    def listed(self, items: Sequence[str]) -> str:
        """*a, b and c*. In Spanish *y* before the sound *i* is *e*, which CLDR leaves to the program."""
        *most, last = items or [""]
        if not most:
            return last
        # Every pattern of CLDR is "{0}…{1}": what stands between.
        between: dict[str, str] = {name: pattern[3:-3] for name, pattern in self.cldr.list_patterns["standard"].items()}
        end = between["2" if len(most) == 1 else "end"]
        if self.code == "es" and re.match(r"(?:<[^>]*>|\W)*h?i(?![ae])", last, re.IGNORECASE):
            end = " e "
        first, *rest = most
        return first + "".join(between["middle" if at else "start"] + item for at, item in enumerate(rest)) + end + last


def names(language: Language, first: Language) -> frozenset[str]:
    """What a file has, by name. A text in plural forms counts once: their categories are the language's own (``forms``)."""
    plural = families(first)
    split = ((name, *name.rpartition(".")[::2]) for name in language.texts)
    texts = {base if base in plural and form in _FORMS else name for name, base, form in split}
    purposes = {f"purposes.{id}.{part}" for id, words in language.purposes.items() for part in words}
    return frozenset({*texts, *purposes, *(f"pushes.{x}" for x in language.pushes), *(f"buttons.{x}" for x in language.buttons)})


def families(first: Language) -> frozenset[str]:
    """The texts that come in plural forms: ``services`` for ``services.other``."""
    return frozenset(name.removesuffix(".other") for name in first.texts if name.endswith(".other"))


def read(value: Mapping[str, Any]) -> Language:
    """One file's content."""
    return Language(
        value["language"],
        value.get("locale", value["language"]),
        value["name"],
        value["reviewed"] is True,
        *(MappingProxyType(value.get(part, {})) for part in ("texts", "purposes", "pushes", "buttons")),
    )


@functools.cache
def files_read() -> Mapping[str, Language]:
    """Every packaged file by its code, French and English first."""
    found = [read(json.loads(file.read_bytes())) for file in files("volens").joinpath("texts").iterdir() if file.name.endswith(".json")]
    return {language.code: language for language in sorted(found, key=lambda x: (x.code not in (FIRST, "en"), x.code != FIRST, x.code))}


@functools.cache
def shipped() -> Mapping[str, Language]:
    """The languages that are complete, and can be offered."""
    every = files_read()
    whole = names(every[FIRST], every[FIRST])
    return MappingProxyType({code: language for code, language in every.items() if names(language, every[FIRST]) == whole})
