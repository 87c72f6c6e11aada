"""Every setting of ``volens.toml``, by table and kind; on which line of a file each stands; and the numbers that the law sets to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from volens.theme import COLOURS

EXEMPT_DAYS = 395
"""Longest life of exempt storage: 13 months (R26)."""
BLANK = "…"
"""What ``volens init`` writes where only the operator can say: as good as nothing."""
AUDIENCE_MONTHS = 25
"""Longest that exempt audience figures are kept (R27)."""
SAMPLE = 0.01
"""Of the pages of a site that obeys, the part that asks browsers to report what they refused."""

ATTESTATIONS: Mapping[str, str] = {
    "own-measure": "the tool measures this publisher's own sites, for this publisher only (R25)",
    "anonymous-statistics": "it makes anonymous statistics and nothing else (R25)",
    "no-cross-site": "no identifier follows a person from one site to another (R25)",
    "thirteen-months": "its storage lives 13 months at most and is not prolonged by visits (R26)",
    "twenty-five-months": "what it gathers is kept 25 months at most (R27)",
    "visitors-informed": "visitors are told of it, and can object (R28)",
    "no-recombination": "it is not joined with customer files or other sites' figures (R29)",
}
"""What a controller states so that audience measurement needs no choice."""


# Kinds of setting: each reads a TOML value or raises with the remedy.


def text(value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise TypeError('Write a text between quotes: "…".')
    return value.strip()


def texts(value: Any) -> dict[str, str]:
    """A text by language; a plain text stands for the site's only language, under the key ''."""
    if isinstance(value, str):
        return {"": value.strip()}
    if isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
        return {language: v.strip() for language, v in value.items()}
    raise TypeError('Write one text for each language: { fr = "…", en = "…" }.')


def names(value: Any) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise TypeError('Write a list of texts: ["…", "…"].')
    return tuple(v.strip() for v in value)


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise TypeError("Write true or false, without quotes.")
    return value


def number(value: Any) -> int:
    """A whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("Write a whole number, 0 or more, without quotes.")
    return value


def share(value: Any) -> float:
    """A part of all: from 0 to 1."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        raise TypeError("Write a number from 0 (none) to 1 (all), without quotes.")
    return float(value)


def table(value: Any) -> dict[str, Any]:
    """A table."""
    if not isinstance(value, dict):
        raise TypeError("Write a table: a line [name], with its settings below.")
    return value


def tables(value: Any) -> list[dict[str, Any]]:
    """Any number of tables."""
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
        raise TypeError("Write tables: a line [[name]] before each, with its settings below.")
    return value


Kind = Callable[[Any], Any]

SETTINGS: Mapping[str, Mapping[str, Kind]] = {
    "": {
        "names": names,
        "hosts": names,
        "languages": names,
        "reviewed": names,
        "mode": text,
        "notice": text,
        "theirs": table,
        "prefix": text,
        "leave": names,
        "deny": names,
        "lists": names,
        "gpc": flag,
        "passive": flag,
        "catalog_storage": flag,
        "ledger": text,
        "keys": text,
        "controller": table,
        "lifetimes": table,
        "purposes": table,
        "services": table,
        "storage": tables,
        "gates": tables,
        "theme": table,
        "policy": table,
        "texts": table,
        "proxy": table,
        "address": table,
        "hooks": table,
        "audience": table,
        "admin": table,
        "limits": table,
        "cache": table,
        "regions": table,
        "minors": table,
        "accounts": table,
        "report": table,
        "proof": table,
        "retention": table,
    },
    "controller": {"name": text, "contact": text, "policy": text, "address": text, "dpo": text, "country": text},
    "lifetimes": {"accepted": number, "refused": number},
    "purposes.*": {
        "title": texts,
        "sentence": texts,
        "data": names,
        "profiles": flag,
        "exempt": text,
        "attest": names,
        "replaces": text,
    },
    "services.*": {
        "catalog": text,
        "name": text,
        "purposes": names,
        "hosts": names,
        "storage": tables,
        "controller": text,
        "policy": text,
        "country": text,
        "profiles": flag,
        "chain": flag,
        "embed": text,
        "audience_exempt": flag,
    },
    "storage": {"name": text, "medium": text, "purpose": text, "days": number, "domain": text, "path": text, "party": text},
    "gates": {"path": text, "purpose": text, "methods": names, "services": names, "title": texts, "withdrawn": text, "fields": table},
    "theme": {**dict.fromkeys(COLOURS, text), "radius": text, "font": text, "position": text, "scheme": text, "dark": table},
    "policy": {"before": texts, "after": texts},
    "proxy": {"listen": text, "upstream": text, "trusted": names},
    "address": {"granted": text, "refused": text, "purposes": names, "security": texts, "places": names},
    "hooks": {"on_change": text, "secret": text, "visitor": text, "visitor_sent": text},
    "audience": {"count": flag, "file": text, "months": number, "paths": number, "merge": names},
    "admin": {"token_file": text},
    "limits": {"grants_a_minute": number},
    "cache": {"shared": text},
    "regions": {"follow": flag, "header": text, "subdivision": text, "uk_exempt": names},
    "minors": {"header": text, "lock": names},
    "accounts": {"enabled": flag, "file": text},
    "report": {"sample": share, "file": text},
    "proof": {"key": text, "witnesses": tables, "quorum": number},
    "proof.witnesses": {"url": text, "key": text},
    "retention": {"days": number, "purposes": table},
    "theirs": {"tool": text, "map": table, "from": names},
}
"""Every setting, by table. ``purposes.*`` is any table under [purposes]; [texts] holds one text by language for each name."""


# Places in a file.

Path_ = tuple[str | int, ...]
"""Where in the file: ("services", "matomo", "storage", 0, "name")."""

_KEY = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*({_DOTTED})\s*=")


def lines_of(content: str) -> dict[Path_, int]:
    """The line of each table and key. Good enough to point at, used for nothing else."""
    lines: dict[Path_, int] = {}
    counts: dict[Path_, int] = {}
    prefix: Path_ = ()
    inside = ""
    for number_, line in enumerate(content.split("\n"), 1):
        if inside:
            inside = "" if inside in line else inside
            continue
        header, assignment = _HEADER.match(line), _ASSIGNMENT.match(line)
        if header:
            prefix = ()
            keys = [key.strip("\"'") for key in re.findall(_KEY, header[2])]
            for index, key in enumerate(keys, 1):
                prefix += (key,)
                if header[1] == "[[" and index == len(keys):
                    counts[prefix] = counts.get(prefix, -1) + 1
                if prefix in counts:
                    prefix += (counts[prefix],)
            lines.setdefault(prefix, number_)
        elif assignment:
            path = prefix
            for key in re.findall(_KEY, assignment[1]):
                path += (key.strip("\"'"),)
                lines.setdefault(path, number_)
        for quotes in ('"""', "'''"):
            if line.count(quotes) % 2:
                inside = quotes
    return lines
