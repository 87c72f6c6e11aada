"""Words that push, by language: what ``volens check`` refuses in a site's own texts (RULES R03, R05, R07, R32).

A word list finds the plain cases; the rendered notice is measured besides (``check``). It errs on the side of refusing
a text: the shipped ones are always there. The words themselves stand in each language's file.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass

from volens.languages import BUTTONS, shipped


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a text, and what to do."""

    found: str
    remedy: str


_WHY = {
    "shame": "shames or moves the one who refuses",
    "hierarchy": "makes one answer look better than the other",
    "pressure": "presses for time",
    "inaction": "takes doing nothing for a yes",
}


@functools.cache
def _patterns(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """What the language's file says pushes, matched as whole words in folded text."""
    pushes = shipped()[language].pushes if language in shipped() else {}
    return tuple((re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)"), _WHY[kind]) for kind, words in pushes.items())


def plain(text: str) -> str:
    """``text`` folded for comparing: one form of each letter, apostrophe and space."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).replace("’", "'").casefold()).strip()


def judge(text: str, language: str, role: str = "") -> list[Complaint]:
    """What is wrong with ``text``. ``role`` names the interface text; the three buttons are held to their names."""
    words = plain(text)
    complaints = [
        Complaint(f"{text!r}: {found[0]!r} {why} (R03, R32).", "Say plainly what happens.")
        for pattern, why in _patterns(language)
        if (found := pattern.search(words))
    ]
    if role in BUTTONS and language in shipped() and not re.fullmatch(shipped()[language].buttons[role], words):
        complaints.append(
            Complaint(f"{text!r} does not plainly name what the button does (R05, R07).", "Keep the shipped name, or one of its kind.")
        )
    if role in BUTTONS and (text.upper() == text != text.lower() or not re.fullmatch(r"[\w ,'’-]+", text)):
        complaints.append(Complaint(f"{text!r} stands out by capitals or signs (R06).", "Write words in ordinary letters."))
    return complaints


def judge_pair(accept: str, refuse: str, language: str) -> list[Complaint]:
    """Whether the two answers are worded alike (R05, R06): both or neither say *all*, neither is much longer."""
    every = shipped()[language].buttons["all"] if language in shipped() else ""
    one, other = plain(accept), plain(refuse)
    if every and (every in one.split()) != (every in other.split()):
        return [Complaint(f"{accept!r} and {refuse!r}: only one of them says {every!r} (R05).", "Word both alike.")]
    if len(other) > 1.6 * len(one) or len(one) > 1.6 * len(other):
        return [Complaint(f"{accept!r} and {refuse!r} differ much in length (R06).", "Word both alike.")]
    return []
