"""Words that push, by language: what ``volens check`` refuses in a site's own texts (RULES R03, R05, R07, R32).

A word list finds the plain cases; the rendered notice is measured besides (``check``). It errs on the side of refusing
a text: the shipped ones are always there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a text, and what to do."""

    found: str
    remedy: str


_SHAME = "shames or moves the one who refuses"
_HIERARCHY = "makes one answer look better than the other"
_PRESSURE = "presses for time"
_INACTION = "takes doing nothing for a yes"

_PUSH: Mapping[str, Mapping[str, str]] = {
    "fr": {
        _SHAME: r"""
            dommage  tant pis  malheureusement  hélas  égoïste  trist(?:e|es|esse)  vraiment refuser
            êtes-vous (?:vraiment )?(?:sûr|certain)\w*
            (?:je )?(?:m'en fiche|n'aime pas|ne veux pas|préfère ne pas|renonce)
            (?:rater|ratez|manquer|manquez|perdrez|perdez)
            souten(?:ez|ir|ons)  sans (?:toi|votre aide)  aidez-nous  pénalis\w*
        """,
        _HIERARCHY: r"""
            recommand\w*  conseillée?s?  meilleure? expérience  optimal\w*  profite[rz]  le plus simple  moins (?:bon|bien)\w*
            expérience (?:optimale|complète|dégradée|limitée|réduite)  mode dégradé  version (?:complète|limitée|dégradée)
        """,
        _PRESSURE: r"""
            \d+ ?(?:secondes?|s|minutes?|min)  dernière chance  dépêchez  vite  il (?:vous )?reste  compte à rebours
        """,
        _INACTION: r"""
            en (?:poursuivant|continuant|naviguant|restant|utilisant|fermant)  si vous (?:continuez|poursuivez)
            poursui\w+ (?:de )?(?:la |votre )?navigation
            sauf (?:refus|opposition|avis contraire)  sans (?:réponse|refus) de votre part
        """,
    },
    "en": {
        _SHAME: r"""
            shame  what a pity  unfortunately  sadly  sad  alas  selfish  really (?:want to )?refuse
            are you (?:really )?sure
            i (?:don't|do not) (?:care|like|want|mind)  i'd rather not  i hate
            miss out  you(?:'ll| will) miss  lose out
            support (?:us|our)  help us  without you(?:r help)?  penali[sz]\w*
        """,
        _HIERARCHY: r"""
            recommended  we recommend  suggested  (?:best|better) experience  enjoy  optimal\w*  easiest
            (?:full|limited|reduced|degraded|worse) (?:experience|version|mode)
        """,
        _PRESSURE: r"""
            \d+ ?(?:seconds?|s|minutes?|min)  last chance  hurry  countdown  time left
        """,
        _INACTION: r"""
            by (?:continuing|using|browsing|staying|scrolling|closing|navigating)  if you (?:continue|go on|keep)
            continued use  unless you (?:refuse|object|opt out)
        """,
    },
}
"""Regular expressions, two spaces or a line apart, matched as whole words in folded text."""


def _compiled(words: str) -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(?:" + "|".join(re.split(r"\s{2,}", words.strip())) + r")(?!\w)")


_PATTERNS = {language: tuple((_compiled(words), why) for why, words in rows.items()) for language, rows in _PUSH.items()}

_NAMES: Mapping[str, Mapping[str, str]] = {
    "fr": {
        "accept": r"(?:oui, )?(?:j'|je )?(?:tout )?(?:accepter?|autoriser?)(?: tout)?",
        "refuse": r"(?:non, )?(?:je )?(?:tout )?(?:refuser?|rejeter|rejette)(?: tout)?",
        "settings": r"(?:(?:paramétrer|choisir|régler|modifier) )?(?:vos|mes|les) (?:choix|finalités|réglages)|paramétrer|choisir",
    },
    "en": {
        "accept": r"(?:yes, )?(?:i )?(?:accept|allow|agree to)(?: all)?",
        "refuse": r"(?:no, )?(?:i )?(?:refuse|reject|decline|deny)(?: all)?",
        "settings": r"(?:(?:set|choose|make|change|manage) )?(?:your|my|the) (?:choices?|purposes|settings)|choose",
    },
}
"""Names of the three buttons that say plainly what they do."""

BUTTONS = ("accept", "refuse", "settings")


def plain(text: str) -> str:
    """``text`` folded for comparing: one form of each letter, apostrophe and space."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).replace("’", "'").casefold()).strip()


def judge(text: str, language: str, role: str = "") -> list[Complaint]:
    """What is wrong with ``text``. ``role`` names the interface text; the three buttons are held to their names."""
    words = plain(text)
    complaints = [
        Complaint(f"{text!r}: {found[0]!r} {why} (R03, R32).", "Say plainly what happens.")
        for pattern, why in _PATTERNS.get(language, ())
        if (found := pattern.search(words))
    ]
    if role in BUTTONS and language in _NAMES and not re.fullmatch(_NAMES[language][role], words):
        complaints.append(
            Complaint(f"{text!r} does not plainly name what the button does (R05, R07).", "Keep the shipped name, or one of its kind.")
        )
    if role in BUTTONS and (text.upper() == text or not re.fullmatch(r"[\w ,'’-]+", text)):
        complaints.append(Complaint(f"{text!r} stands out by capitals or signs (R06).", "Write words in ordinary letters."))
    return complaints


def judge_pair(accept: str, refuse: str, language: str) -> list[Complaint]:
    """Whether the two answers are worded alike (R05, R06): both or neither say *all*, neither is much longer."""
    every = {"fr": "tout", "en": "all"}.get(language)
    one, other = plain(accept), plain(refuse)
    if every and (every in one.split()) != (every in other.split()):
        return [Complaint(f"{accept!r} and {refuse!r}: only one of them says {every!r} (R05).", "Word both alike.")]
    if len(other) > 1.6 * len(one) or len(one) > 1.6 * len(other):
        return [Complaint(f"{accept!r} and {refuse!r} differ much in length (R06).", "Word both alike.")]
    return []
