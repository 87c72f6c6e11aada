"""What the ledger keeps: a record of each grant, change and withdrawal, and a count of refusals.

A record holds the answers and what they answered (the notice, by digest), never who or from where: every
field has a closed form, and none can hold an IP address, a User-Agent or free text about the visitor. What is
the same for all visitors lives in the notice. A refusal is no record: it would be a trace of someone who
refused to be traced (DESIGN §4), so a Record that grants nothing and withdraws nothing cannot be built.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

from volens.errors import RecordError
from volens.notice import IDENTIFIER, canonical

FORMAT = "volens-record/1"
EVENTS = ("given", "changed", "withdrawn")
METHODS = ("accept-all", "panel", "placeholder", "gate", "refuse-all", "foreign")
SURFACES = ("notice", "panel", "embed", "gate", "band", "foreign")
MAX_TC = 8192
"""Longest TC string kept, in characters."""

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_ID = re.compile(r"[0-9a-v]{26}")
_SITE = re.compile(r"[^\s\x00-\x20\x7f\ud800-\udfff]{1,253}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TC = re.compile(r"C[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,4}")
_TOOL = re.compile(r"[a-z][a-z0-9-]{0,39}(?: [\w.~*+-]{1,60})?", re.ASCII)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


_BY_CHANCE = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))
"""From a byte to the character of its last five bits."""


def new_id() -> str:
    """A record's id, 130 bits as 26 characters of base 32 (RFC 4648 §7, lower case): 35 of the seconds since 1970, so that an index of
    them grows at its end, then 95 by chance."""
    return _seconds(int(time.time())) + _chance.take(19).translate(_BY_CHANCE).decode("ascii")


class _Chance:
    """Bytes by chance, asked of the system by the page: each such call lets go of the interpreter, and a thread that answers a visitor
    then waits for the one that writes. None is given twice, nor to a child that was forked."""

    def __init__(self) -> None:
        self._anew()
        os.register_at_fork(after_in_child=self._anew)

    def _anew(self) -> None:
        self._lock = threading.Lock()  # one that another thread held would stay so in a child
        self._left = b""

    def take(self, count: int) -> bytes:
        with self._lock:
            if len(self._left) < count:
                self._left = os.urandom(4096)
            taken, self._left = self._left[:count], self._left[count:]
            return taken


_chance = _Chance()


@lru_cache(1)
def _seconds(now: int) -> str:
    return "".join(_ALPHABET[now >> shift & 31] for shift in range(30, -1, -5))


def _form(name: str, value: object, pattern: re.Pattern[str], form: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RecordError(f"{name} {value!r}: write {form}.")


def _one_of(name: str, value: object, permitted: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in permitted:
        raise RecordError(f"{name} {value!r} is not one of {', '.join(permitted)}.")


def _answers(name: str, value: object) -> Mapping[str, bool]:
    if not isinstance(value, Mapping):
        raise RecordError(f"{name} {value!r}: write a mapping of ids to true or false.")
    for key, answer in value.items():
        _form(f"{name}: id", key, IDENTIFIER, "lower-case letters, digits and '-', starting with a letter, at most 40")
        if type(answer) is not bool:
            raise RecordError(f"{name}: {key!r} is {answer!r}; an answer is true or false.")
    return MappingProxyType(dict(value))


def _flag(name: str, value: object) -> None:
    if type(value) is not bool:
        raise RecordError(f"{name} {value!r} is neither true nor false.")


_WHERE_THERE = frozenset({"tool", "regime"})
"""Fields that are written only where there is something to say: rows of before they were known stay as they are."""


@dataclass(frozen=True)
class Record:
    """One grant, change or withdrawal. ``time`` is the server's, in UTC and whole seconds (finer is cut off)."""

    id: str
    site: str
    time: datetime
    event: str
    method: str
    surface: str
    language: str
    notice: str
    """The full digest of the notice that was answered."""
    purposes: Mapping[str, bool]
    services: Mapping[str, bool]
    supersedes: str = ""
    """The record this one changes or withdraws; empty for a first grant."""
    tc: str = ""
    """The IAB TC string, where one was issued."""
    unconfigured: bool = False
    """Made by a demonstration without configuration: never valid as proof."""
    gpc: bool = False
    """The browser sent Sec-GPC: 1, and this explicit choice was made all the same."""
    tool: str = ""
    """The consent tool that asked in Volens' place, and the version it told; written only where there was one."""

    regime: str = ""
    """The law of the visitor's place that the site followed, where it was not the strictest; written only then."""

    def __post_init__(self) -> None:
        _form("id", self.id, _ID, "26 characters of 0-9a-v, as new_id() makes them")
        _form("site", self.site, _SITE, "the site's name, at most 253 characters and without spaces")
        if not isinstance(self.time, datetime) or self.time.tzinfo is None:
            raise RecordError(f"time {self.time!r}: write a datetime with a time zone.")
        object.__setattr__(self, "time", self.time.astimezone(UTC).replace(microsecond=0))
        _one_of("event", self.event, EVENTS)
        _one_of("method", self.method, METHODS)
        _one_of("surface", self.surface, SURFACES)
        _form("language", self.language, _LANGUAGE, "a language tag such as 'fr' or 'pt-BR'")
        _form("notice", self.notice, _DIGEST, "the notice's full digest, 64 hexadecimal digits")
        object.__setattr__(self, "purposes", _answers("purposes", self.purposes))
        object.__setattr__(self, "services", _answers("services", self.services))
        if self.supersedes != "":
            _form("supersedes", self.supersedes, _ID, "a record's id, or nothing")
        if self.tc != "":
            _form("tc", self.tc, _TC, "a TC string of version 2, or nothing")
            if len(self.tc) > MAX_TC:
                raise RecordError(f"tc: {len(self.tc)} characters; at most {MAX_TC} are kept.")
        _flag("unconfigured", self.unconfigured)
        _flag("gpc", self.gpc)
        if self.tool != "":
            _form("tool", self.tool, _TOOL, "the tool's id and, after a space, the version it told")
            _one_of("method", self.method, ("foreign",))
        if self.regime != "":
            _form("regime", self.regime, IDENTIFIER, "the id of a regime")
        grants = any(self.purposes.values()) or any(self.services.values())
        if grants == (self.event == "withdrawn"):
            remedy = "a refusal is counted, not recorded" if self.event == "given" else "it is 'withdrawn' exactly when nothing is granted"
            raise RecordError(f"event {self.event!r} with {'a' if grants else 'no'} grant in it: {remedy}.")
        if self.event != "given" and not self.supersedes:
            raise RecordError(f"event {self.event!r} without 'supersedes': name the record it follows, or count a refusal.")
        if self.supersedes == self.id:
            raise RecordError(f"supersedes {self.id!r} is the record itself.")

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values; ``time`` as ``2026-11-22T10:23:05Z``."""
        values = {name: getattr(self, name) for name in _NAMES if name not in _WHERE_THERE or getattr(self, name)}
        return values | {
            "format": FORMAT,
            "time": _told(self.time),
            "purposes": dict(self.purposes),
            "services": dict(self.services),
        }

    @classmethod
    def from_json(cls, value: object) -> Record:
        """The record that ``to_json`` wrote, all of its fields and no others; raises RecordError."""
        names = {"format", *_NAMES}
        if not isinstance(value, Mapping) or value.get("format") != FORMAT:
            raise RecordError(f"not a {FORMAT} document.")
        if value.keys() | _WHERE_THERE != names or any(value.get(name) == "" for name in _WHERE_THERE):
            missing, extra = sorted(names - value.keys()), sorted(map(str, value.keys() - names))
            raise RecordError(f"a {FORMAT} document has other fields: missing {missing}, not known {extra}.")
        _form("time", value["time"], _TIME, "UTC as 2026-11-22T10:23:05Z")
        try:
            time = datetime.fromisoformat(value["time"])
        except ValueError as error:
            raise RecordError(f"time {value['time']!r} is no time.") from error
        given: dict[str, Any] = {name: value[name] for name in value.keys() - {"format"}}
        return cls(**given | {"time": time})

    def canonical(self) -> bytes:
        """The one byte form, RFC 8785: field names and ids are ASCII, so their order is that of UTF-16 too."""
        before, between, after = self._around
        return b"".join((before, self.id.encode(), between, _told(self.time).encode(), after))

    def again(self, id: str, time: datetime) -> Record:
        """The same answer given at another time: what was checked and written for this one is not checked and written again."""
        if id == self.supersedes or not _ID.fullmatch(id):
            raise RecordError(f"id {id!r}: write 26 characters of 0-9a-v, as new_id() makes them, and not those of the record it follows.")
        if time.tzinfo is None:
            raise RecordError(f"time {time!r}: write a datetime with a time zone.")
        made = object.__new__(Record)
        made.__dict__.update(self.__dict__, _around=self._around, id=id, time=time.astimezone(UTC).replace(microsecond=0))
        return made

    @cached_property
    def _around(self) -> tuple[bytes, bytes, bytes]:
        """The canonical bytes before, between and after ``id`` and ``time``. Beside them stand closed forms; a quotation mark that another
        field holds is escaped."""
        head, id, rest = canonical(self.to_json()).partition(b'"id":"')
        middle, time, tail = rest.rpartition(b'"time":"')
        return head + id, middle[26:] + time, tail[20:]

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """Read the canonical bytes, and no other spelling of them; raises RecordError."""
        try:
            value = json.loads(data.decode())
        except (ValueError, RecursionError, AttributeError) as error:
            raise RecordError(f"not JSON in UTF-8: {error}") from error
        record = cls.from_json(value)
        if record.canonical() != data:
            raise RecordError("JSON that is not in canonical form (RFC 8785).")
        return record


_NAMES = tuple(item.name for item in fields(Record))
"""What a record says, in the order it is declared."""


def _told(time: datetime) -> str:
    """A record's time as it is written."""
    return time.isoformat()[:19] + "Z"


@dataclass(frozen=True, slots=True)
class Count:
    """One refusal: no id and no time, only what it has in common with all refusals of that day."""

    site: str
    day: date
    notice: str
    """The full digest of the notice that was refused."""
    surface: str
    language: str
    gpc: bool = False
    event: str = field(default="refused", init=False)

    def __post_init__(self) -> None:
        _form("site", self.site, _SITE, "the site's name, at most 253 characters and without spaces")
        if type(self.day) is not date:
            raise RecordError(f"day {self.day!r}: write a date; a refusal has no time.")
        _form("notice", self.notice, _DIGEST, "the notice's full digest, 64 hexadecimal digits")
        _one_of("surface", self.surface, SURFACES)
        _form("language", self.language, _LANGUAGE, "a language tag such as 'fr' or 'pt-BR'")
        _flag("gpc", self.gpc)
