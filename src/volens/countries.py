"""Countries: their names in every language (CLDR), and who supervises data protection there (GDPR 51, 77)."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files

from babel import Locale, UnknownLocaleError

MEMBERS = "https://www.edpb.europa.eu/about-edpb/about-edpb/members_en"
"""The European Data Protection Board's list, for a controller whose country isn't said."""

_NO_COUNTRY = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})


@dataclass(frozen=True, slots=True)
class Authority:
    """A supervisory authority, as it calls itself."""

    name: str
    home: str
    """Its own site."""
    complaint: str = ""
    """Its page on how to complain; empty where that is not certain."""
    verified: date | None = None
    """The day on which these addresses were compared with public pages; None: never."""
    eea: bool = True

    @property
    def url(self) -> str:
        """Where a visitor is led."""
        return self.complaint or self.home


@functools.cache
def authorities() -> Mapping[str, Authority]:
    """By country code (ISO 3166-1, two letters)."""
    rows = tomllib.loads(files("volens").joinpath("data", "authorities.toml").read_text("utf-8"))
    return {country: Authority(**row) for country, row in rows.items()}


def in_eea(country: str) -> bool:
    """Whether the GDPR applies there as law, so that no transfer takes place (GDPR 44)."""
    authority = authorities().get(country)
    return authority is not None and authority.eea


@functools.cache
def name(country: str, language: str) -> str:
    """The country's name in a language; the code itself where nobody knows it."""
    try:
        return str(Locale.parse(language, sep="-").territories.get(country, country))
    except (UnknownLocaleError, ValueError):
        return country


def known(country: str) -> bool:
    """Whether CLDR names a country (not a continent, a union or a placeholder) by these two letters."""
    return len(country) == 2 and country.isalpha() and country in Locale("en").territories and country not in _NO_COUNTRY
