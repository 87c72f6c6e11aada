"""The answer to one notice, as it travels: the text of the ``volens`` cookie, and the tag that makes it count.

The text is the same bytes for all who answered alike on the same day, so it cannot single anybody out::

    1.<notice, 16 hex>.<day, yyyymmdd>.<answers>
    answers = "-" | item *("~" item)       in the order of their bytes, each once
    item    = purpose                      granted, with all its services
            | "+" service                  this service granted, whatever its purposes
            | "!" service                  this service refused, whatever its purposes

What is not named is refused. Everything but the exact canonical form is a ChoiceError, which every caller
treats as *no choice*. The browser script parses the same form (``browser/choice.ts``, shared vectors).

A ``volens`` cookie alone can refuse but not grant: a grant also needs ``volens-record``, whose tag only the
server can make, over the very text of the choice, the site and the record's id (DESIGN §4). Over https it is
``__Host-volens-record``: another host of the domain cannot plant a pair that it was given (decision 0037).
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache

from volens.errors import ChoiceError
from volens.notice import IDENTIFIER, Notice

COOKIE = "volens"
RECORD_COOKIE = "volens-record"
GRANT_COOKIE = "volens-grant"
"""What a cache in front keeps pages apart by, where the site lets it (``[cache]``). It grants nothing. Over https ``__Host-``."""
AGE = "volens-age"
"""Says for one session that the application calls the visitor a minor. It can only lock, so nothing signs it."""
ACCOUNT = "volens-account"
"""Says for one session whose choice applies: the account's keyed hash, what was told of its choice, and a tag only the server makes."""
ACCOUNT_NO = "volens-account-no"
"""A refusal that the file of accounts could not take yet: holds here meanwhile. Signed, for it is written to the account later."""
HOST_ONLY = "__Host-"
"""Stands before a name over https, so that no other host of the domain can set it (RFC 6265bis 4.1.3.2)."""
MAX_TEXT = 2048
"""Longest choice text that is read, in characters."""

_FORM = re.compile(r"1\.([0-9a-f]{16})\.([0-9]{8})\.(-|[!+a-z0-9~-]+)")
_ITEM = re.compile(r"[!+]?" + IDENTIFIER.pattern)
_RECORD = re.compile(r"1\.([0-9a-v]{26})\.([A-Za-z0-9_-]{22})")


def host_only(name: str, scheme: str) -> str:
    """What a cookie is called that must be this host's own. Over plain http browsers take no such name."""
    return HOST_ONLY + name if scheme == "https" else name


@dataclass(frozen=True, slots=True)
class Signals:
    """What the browser says for the visitor."""

    gpc: bool = False
    """``Sec-GPC: 1``, and the site honours it."""
    objects: bool = False
    """An objection to audience measurement that needs no choice (R28; GDPR 21)."""
    locked: frozenset[str] = frozenset()
    """Purposes and services that this visitor, a minor, cannot be granted (R41)."""
    regime: str = ""
    """The law of the visitor's place, where it lets the site do more than the strictest (``regimes``)."""
    presumed: frozenset[str] = frozenset()
    """Purposes that need no yes under it, until the visitor says no."""
    unasked: bool = False
    """Whether the first layer is not shown under it."""


@dataclass(frozen=True)
class Choice:
    """One answer. ``purposes`` granted whole; ``services`` granted alone; ``without`` refused alone."""

    notice: str
    day: date
    purposes: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{16}", self.notice):
            raise ChoiceError(f"notice {self.notice!r} is not 16 hexadecimal digits.")
        for name in (*self.purposes, *self.services, *self.without):
            if not IDENTIFIER.fullmatch(name):
                raise ChoiceError(f"{name!r} is not an identifier.")
        if self.services & self.without:
            raise ChoiceError(f"both granted and refused: {', '.join(sorted(self.services & self.without))}.")

    @property
    def refuses_all(self) -> bool:
        """Whether nothing is granted."""
        return not (self.purposes or self.services)

    def text(self) -> str:
        """The cookie's value."""
        return self._text

    @cached_property
    def _text(self) -> str:
        items = sorted([*self.purposes, *("+" + s for s in self.services), *("!" + s for s in self.without)])
        return f"1.{self.notice}.{self.day:%Y%m%d}.{'~'.join(items) or '-'}"

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read a cookie's value; raises ChoiceError on anything but the canonical form."""
        if len(text) > MAX_TEXT:
            raise ChoiceError(f"{len(text)} characters; a choice has at most {MAX_TEXT}.")
        found = _FORM.fullmatch(text)
        if not found:
            raise ChoiceError("not of the form 1.<notice>.<day>.<answers>.")
        notice, day, answers = found.groups()
        try:
            when = date(int(day[:4]), int(day[4:6]), int(day[6:]))
        except ValueError as error:
            raise ChoiceError(f"{day} is not a day.") from error
        items = [] if answers == "-" else answers.split("~")
        for item in items:
            if not _ITEM.fullmatch(item):
                raise ChoiceError(f"{item!r} is not an answer.")
        choice = cls(
            notice,
            when,
            frozenset(item for item in items if item[0] not in "+!"),
            frozenset(item[1:] for item in items if item[0] == "+"),
            frozenset(item[1:] for item in items if item[0] == "!"),
        )
        if choice.text() != text:
            raise ChoiceError("not in canonical order, or an answer stands twice.")
        return choice

    @classmethod
    def refuse_all(cls, notice: Notice, day: date) -> Choice:
        """*Tout refuser*."""
        return cls(notice.short, day)

    @classmethod
    def accept_all(cls, notice: Notice, day: date) -> Choice:
        """*Tout accepter*: what the notice named, no more."""
        return cls(notice.short, day, frozenset(notice.askable))

    @classmethod
    def from_switches(cls, notice: Notice, day: date, purposes: Iterable[str], services: Iterable[str]) -> Choice:
        """*OK*: just what the switches show. ``purposes`` and ``services`` are those switched on.

        A purpose counts as granted when it is on; a service of a granted purpose that is off is refused alone; a
        service that is on while not all of its purposes are is granted alone. Unknown names are dropped.
        """
        on = frozenset(purposes).intersection(notice.askable)
        chosen = frozenset(services)
        alone, without = set(), set()
        for service in notice.services_asked:
            needed = frozenset(service.purposes).intersection(notice.askable)
            if needed <= on:
                if service.id not in chosen:
                    without.add(service.id)
            elif service.id in chosen:
                alone.add(service.id)
        return cls(notice.short, day, on, frozenset(alone), frozenset(without))


@lru_cache(512)
def expires(day: date, months: int) -> date:
    """The last day on which an answer of ``day`` holds: the same day of the month, or that month's last."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    first_of_next = date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    last = (first_of_next - timedelta(days=1)).day
    return date(year, month + 1, min(day.day, last))


def _tag(key: bytes, site: str, record: str, text: str) -> str:
    made = _tagging(key, site).copy()
    made.update(_sized(record) + _sized(text))
    return base64.urlsafe_b64encode(made.digest()[:16]).rstrip(b"=").decode()


@lru_cache(1000)
def _tagging(key: bytes, site: str) -> hmac.HMAC:
    """What all tags of a site begin with. (hmac.digest lets go of the interpreter: dearer, while another thread works.)"""
    return hmac.new(key, _sized("volens-record/1") + _sized(site), "sha256")


def _sized(part: str) -> bytes:
    data = part.encode()
    return len(data).to_bytes(4, "big") + data


@dataclass(frozen=True, slots=True)
class RecordTag:
    """The ``volens-record`` cookie, by either name: which record, and proof that the server made it for this choice."""

    record: str
    """Record id: 26 characters of base 32 (extended hex), 130 bits."""
    tag: str

    def text(self) -> str:
        """The cookie's value."""
        return f"1.{self.record}.{self.tag}"

    @classmethod
    def parse(cls, text: str) -> RecordTag:
        """Read a cookie's value; raises ChoiceError."""
        found = _RECORD.fullmatch(text)
        if not found:
            raise ChoiceError("not of the form 1.<record>.<tag>.")
        return cls(*found.groups())

    @classmethod
    def sign(cls, keys: Sequence[bytes], site: str, record: str, choice: Choice) -> RecordTag:
        """Made with the newest key, ``keys[0]``."""
        return cls(record, _tag(keys[0], site, record, choice.text()))

    def verifies(self, keys: Sequence[bytes], site: str, choice: Choice) -> bool:
        """Whether any of ``keys`` made this tag for this choice on this site."""
        text = choice.text()
        return any([hmac.compare_digest(_tag(key, site, self.record, text), self.tag) for key in keys])
