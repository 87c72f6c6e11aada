"""What the public log of a site holds: its entries, one canonical JSON text each (``docs/reference/ledger.md``).

An entry names no person, address, browser, record or answer. Of a record it has the minute, the notice, and a commitment: a hash over
the record and 16 random bytes kept with it. Once these bytes are deleted nobody can tell any more which record an entry stood for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from volens.errors import ProofError
from volens.notice import canonical

COMMIT = b"volens/v1"
SALT = 16
"""Bytes by chance in each commitment."""
MAX = 65_535
"""Bytes of an entry: its length is told in two (tlog-tiles, *Log Entries*)."""
RANGES = 500
"""Most ranges of indexes in one erasure."""
REASONS = ("request", "age")

_HEX = re.compile(r"[0-9a-f]{64}")
_MINUTE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z")


def commitment(salt: bytes, record: bytes) -> bytes:
    """SHA-256 over a record's canonical bytes and its salt."""
    return sha256(COMMIT + salt + record).digest()


def minute(time: datetime) -> int:
    """Whole minutes since 1970: the finest time that the log tells."""
    return int(time.timestamp()) // 60


def minute_text(number: int) -> str:
    """A minute since 1970 as the log writes it (ISO 8601, UTC): ``2026-11-22T10:23Z``."""
    return datetime.fromtimestamp(number * 60, UTC).strftime("%Y-%m-%dT%H:%MZ")


class RecordEntries:
    """Writes the entries of one site's records; what is the same for all of a minute is made once."""

    __slots__ = ("_heads", "_tail")

    def __init__(self, site: str) -> None:
        self._tail = f',"site":{canonical(site).decode()},"time":"'.encode()
        self._heads: dict[tuple[str, int, bool], tuple[bytes, bytes]] = {}

    def entry(self, commit: bytes, notice: str, minute: int, *, moved: bool = False) -> bytes:
        """The entry of one record. ``moved``: it was kept before there was a log, and its time is the publisher's word alone."""
        parts = self._heads.get((notice, minute, moved))
        if parts is None:
            if len(self._heads) > 1000:
                self._heads.clear()
            before = f'","moved":true,"notice":"{notice}"' if moved else f'","notice":"{notice}"'
            parts = before.encode() + self._tail + f'{minute_text(minute)}","type":"record","v":1}}'.encode(), b'{"commit":"'
            self._heads[notice, minute, moved] = parts
        return parts[1] + commit.hex().encode() + parts[0]


def notice_entry(site: str, minute: int, notice: str) -> bytes:
    """A version of the notice was asked for the first time."""
    return _entry({"type": "notice", "notice": notice}, site, minute)


def snapshot_entry(site: str, minute: int, notice: str, snapshot: str) -> bytes:
    """Pictures of a notice were taken; ``snapshot`` is the digest of their list."""
    return _entry({"type": "snapshot", "notice": notice, "snapshot": snapshot}, site, minute)


def erasure_entry(site: str, minute: int, ranges: Sequence[tuple[int, int]], reason: str) -> bytes:
    """Records and salts of these indexes, first and last of each range, were deleted."""
    return _entry({"type": "erasure", "erased": [list(r) for r in ranges], "reason": reason}, site, minute)


def ranges(indexes: Iterable[int]) -> list[tuple[int, int]]:
    """Indexes as ranges, in order."""
    found: list[tuple[int, int]] = []
    for index in sorted(set(indexes)):
        if found and found[-1][1] == index - 1:
            found[-1] = found[-1][0], index
        else:
            found.append((index, index))
    return found


def parse(data: bytes) -> dict[str, Any]:
    """The fields of an entry in its canonical form; raises ProofError."""
    if len(data) > MAX:
        raise ProofError(f"an entry of {len(data)} bytes; the most is {MAX}.")
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ProofError(f"an entry that is not JSON in UTF-8: {error}.") from error
    check(value)
    if canonical(value) != data:
        raise ProofError("an entry that is not in canonical form (RFC 8785).")
    return value  # type: ignore[no-any-return]


def check(value: object) -> None:
    """Raises ProofError where the fields are not those of an entry."""
    if not isinstance(value, dict) or value.get("v") != 1 or type(value["v"]) is not int:
        raise ProofError("not an entry of version 1.")
    forms: dict[str, dict[str, Any]] = {
        "record": {"commit": _hex, "notice": _hex},
        "notice": {"notice": _hex},
        "snapshot": {"notice": _hex, "snapshot": _hex},
        "erasure": {"erased": _erased, "reason": lambda reason: reason in REASONS},
    }
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in forms:
        raise ProofError(f"an entry of the type {kind!r}; there are {', '.join(forms)}.")
    form = forms[kind] | {"v": bool, "type": bool, "site": _site, "time": _time}
    if kind == "record" and "moved" in value:
        form["moved"] = lambda moved: moved is True
    if value.keys() != form.keys():
        raise ProofError(f"an entry of the type {kind!r} with the fields {', '.join(sorted(map(str, value)))}.")
    for name, fits in form.items():
        if not fits(value[name]):
            raise ProofError(f"an entry of the type {kind!r}: {name} {value[name]!r} has another form.")


def _entry(fields: dict[str, Any], site: str, minute: int) -> bytes:
    value = fields | {"v": 1, "site": site, "time": minute_text(minute)}
    check(value)
    data = canonical(value)
    if len(data) > MAX:
        raise ProofError(f"an entry of {len(data)} bytes; the most is {MAX}.")
    return data


def _hex(value: object) -> bool:
    return isinstance(value, str) and _HEX.fullmatch(value) is not None


def _site(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 253


def _time(value: object) -> bool:
    if not isinstance(value, str) or not _MINUTE.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _erased(value: object) -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= RANGES:
        return False
    last = -1
    for pair in value:
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(n) is int for n in pair) and last < pair[0] <= pair[1] < 1 << 53):
            return False
        last = pair[1]
    return True
