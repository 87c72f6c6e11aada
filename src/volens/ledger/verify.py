"""Checks a receipt, a bundle, checkpoints and proofs cold, from their bytes and a public key. Nothing else is believed.

This file stands alone: it imports nothing of Volens, so no mistake of the writing side is here too, and it may be read and used by
itself. It follows ``docs/reference/ledger.md``: RFC 8785 (JSON), RFC 6962 §2.1 (tree; the algorithms are those of RFC 9162 §2.1.3 and
§2.1.4), and C2SP signed-note, tlog-checkpoint and tlog-cosignature. ``verify_log.py``, ``verify_archive.py`` and ``verify_folder.py``
check whole logs with it.

What comes in may be anything: it is bounded before it is read, and nothing but ``Malformed`` leaves the readers. A verdict tells all that
is wrong, not the first thing, each by a code that the second implementation (``browser/verify.ts``) uses too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

RECEIPT = "volens-receipt/1"
BUNDLE = "volens-bundle/1"
RECORD = "volens-record/1"
NOTICE = "volens-notice/1"
MAX_DOCUMENT = 4 << 20
"""Bytes of a receipt or bundle; more is not read."""
MAX_NOTE = 1 << 20
MAX_SIGNATURES = 100
MAX_PATH = 64
"""Hashes of a proof: a tree of 2^63 leaves needs no more (twice that for consistency)."""
MAX_DEPTH = 64
MAX_VALUES = 1 << 18
"""Values of one JSON text, about: each takes many times the bytes that it is written in."""
MAX_ENTRY = 65_535
"""Bytes of a log entry (C2SP tlog-tiles)."""
MAX_SIZE = 1 << 63
LATE = 600
"""Seconds between a record's time and its entry's from which the difference is told."""
LOG, WITNESS = 1, 4
"""Signature types (C2SP signed-note)."""
EMPTY = hashlib.sha256(b"").digest()

_sha256 = hashlib.sha256
_HEX32 = re.compile(r"[0-9a-f]{64}")
_SALT = re.compile(r"[0-9a-f]{32}")
_ID = re.compile(r"[0-9a-v]{26}")
_MINUTE = re.compile(r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-[0-3][0-9]T(?:[01][0-9]|2[0-3]):[0-5][0-9]Z")
_TIME = re.compile(_MINUTE.pattern.removesuffix("Z") + ":[0-5][0-9]Z")
_SIZE = re.compile(rb"0|[1-9][0-9]{0,18}")
_NAME = re.compile(r"[^\s+\x00-\x20\x7f\ufeff]{1,300}")
_SAFE = (1 << 53) - 1  # RFC 8785 §3.2.2.3: beyond it an integer is not the same everywhere

MEANS: Mapping[str, str] = {
    "unreadable": "This is not the document it should be: nothing can be said of what it was.",
    "form": "A part is missing or has another form than the specification gives it. Ask for the document again.",
    "commit": "The record, or its salt, is not the one that was logged: it was changed, or belongs to another receipt.",
    "notice": "Record and log entry name different notices: one of them is of another receipt, or was changed.",
    "site": "Record, log entry and checkpoint name different sites: parts of different receipts were put together.",
    "time": "The record claims a time after it was logged: a time was shifted.",
    "event": "The record contradicts itself, so it is no record that Volens makes.",
    "unconfigured": "A demonstration without configuration made this record: it proves nothing about a site.",
    "path": "The entry is not in the tree that was signed: entry, place, path or checkpoint was changed, or is another receipt's.",
    "other-key": "Somebody else signed this, or the log changed its key. Get the key from whom you trust, not from this document.",
    "signature": "The text was changed after it was signed, or the signature was.",
    "no-key": "Without the log's public key nobody knows who signed. Give one: --key VKEY or --key FILE.",
    "unread": "It was not checked to its end, so nothing is known of it.",
    "cosignature": "What stands here as a witness's word was not given for this checkpoint.",
    "no-cosignature": "The witness you trust has not seen this tree. The operator may show you a tree that nobody else sees.",
    "bundle-notice": "The notice in the bundle is not the one that was answered: texts, services or layout were changed.",
    "fork": "The log shows different trees to different people. Whoever holds both checkpoints can prove it.",
    "rewritten": "What was logged earlier was changed, dropped or put elsewhere afterwards, although it had been signed.",
    "shorter": "Signed entries are gone: an older database was restored, or entries were cut off.",
    "proof": "These hashes do not lead from one tree to the other: the proof is another one's, or the tree was rewritten.",
    "no-witness": "This is evident to everybody but the operator: who keeps the log could have rewritten it and signed it anew.",
    "keys-claimed": "The keys come from the document itself, so anybody could have made all of it. Compare them with those that the site "
    "publishes or its witness knows, and give them: --key VKEY or --key FILE.",
    "witness-claimed": "The site itself names these witnesses. Ask them for their key, and give it with --witness.",
    "moved": "It was kept before this log began: the log proves that it was there at the entry's time, not at its own.",
    "late": "The log proves that it was there at the entry's time, not at its own.",
    "not-compared": "That one tree is the beginning of the other can be seen with the archive, the tiles or a consistency proof.",
    "order": "An entry is missing, stands twice or stands elsewhere: entries were dropped, inserted or put in another order.",
    "minute": "In a log time never goes back: entries were put in another order, or a time was shifted.",
    "entry": "The entry was changed after it was logged.",
    "root": "After the checkpoint was signed an entry was changed, dropped, inserted or put elsewhere.",
    "size": "After the checkpoint was signed entries were dropped or inserted.",
    "tile": "The stored tree is damaged: proofs made from it will not hold. The entries are another matter: see what is said of them.",
    "dropped": "A record was deleted without a word in the log.",
    "kept": "What the log says was erased has come back, as from an older database.",
    "cut": "The file is not whole: it was cut off or changed on its way. Get it again before you believe the rest.",
    "notice-missing": "Nobody can see any more what was asked: the notice was dropped.",
    "file": "What was shown cannot be seen any more as it was: a picture or page was changed or dropped.",
    "unasked": "The log does not show since when this notice was asked.",
    "unwitnessed": "What is newer is evident to everybody but the operator until a witness has seen it.",
    "demonstration": "A demonstration without configuration made these: they prove nothing about a site.",
    "unknown": "A newer Volens may know them; they are in the tree like the others.",
    "counts": "Counts are kept beside the log, and none is proved: one was changed, or they are not of all that the log has, as where one "
    "ledger was read into another.",
    "supersedes": "It changes or withdraws an earlier record; what held before stands in that one's receipt.",
}
"""What a code means for whoever reads the verdict."""


class Malformed(ValueError):
    """Bytes that are not what they should be; ``code`` as in MEANS."""

    def __init__(self, said: str, code: str = "form") -> None:
        super().__init__(said)
        self.code = code


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say: where, what was found, and by its code what that means."""

    code: str
    place: str
    said: str

    @property
    def means(self) -> str:
        """What follows from it for whoever relies on the document, in a sentence."""
        return MEANS[self.code]

    def to_json(self) -> dict[str, str]:
        """For machines."""
        return {"code": self.code, "place": self.place, "said": self.said, "means": self.means}


@dataclass(slots=True)
class Findings:
    """What is gathered while something is checked."""

    faults: list[Finding] = field(default_factory=list)
    gaps: list[Finding] = field(default_factory=list)
    caveats: list[Finding] = field(default_factory=list)

    def fault(self, code: str, place: str, said: str) -> None:
        """Note that something is wrong: the document does not hold."""
        self.faults.append(Finding(code, place, said))

    def gap(self, code: str, place: str, said: str) -> None:
        """Note that something could not be checked, so that nobody can say that the document holds."""
        self.gaps.append(Finding(code, place, said))

    def caveat(self, code: str, place: str, said: str) -> None:
        """Note what is not shown although everything holds."""
        self.caveats.append(Finding(code, place, said))

    def verdict(self, kind: str, name: str, facts: Mapping[str, Any]) -> Verdict:
        """What was found in all, each finding once."""
        return Verdict(kind, name, facts, *(tuple(dict.fromkeys(part)) for part in (self.faults, self.gaps, self.caveats)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was checked, and all that was found. ``facts`` are what the document says; they are proved only where ``holds``."""

    kind: str
    name: str
    facts: Mapping[str, Any]
    faults: tuple[Finding, ...]
    gaps: tuple[Finding, ...] = ()
    caveats: tuple[Finding, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether everything was checked and nothing is wrong."""
        return not self.faults and not self.gaps

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "kind": self.kind,
            "name": self.name,
            "holds": self.holds,
            **{part: [finding.to_json() for finding in getattr(self, part)] for part in ("faults", "gaps", "caveats")},
            "facts": dict(self.facts),
        }


# ---------------------------------------------------------------- JSON


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a field stands twice in one object", "unreadable")
    if not "".join(found).isascii():
        raise Malformed("a field's name is not ASCII", "unreadable")
    return found


def _integer(text: str) -> int:
    if len(text) > 17 or abs(value := int(text)) > _SAFE:
        raise Malformed(f"the number {text[:20]} is beyond 2^53", "unreadable")
    return value


def _no_number(text: str) -> Any:
    raise Malformed(f"{text[:20]} is no integer", "unreadable")


_decode = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_no_number, parse_constant=_no_number).decode
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False).encode


def read_json(data: bytes) -> Any:
    """A JSON value that can have one meaning only: UTF-8, no field twice, integers of 53 bits; raises Malformed."""
    try:
        if len(data) > MAX_VALUES and data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
            raise Malformed(f"it has more than {MAX_VALUES} values", "unreadable")
        value = _decode(data.decode())
        if data.count(b"{") + data.count(b"[") >= MAX_DEPTH and _depth(value) > MAX_DEPTH:
            raise Malformed("it is nested too deep", "unreadable")
        if b"\\u" in data:
            canonical(value)  # half a surrogate pair has no UTF-8
    except Malformed:
        raise
    except (ValueError, RecursionError, MemoryError) as error:
        raise Malformed(f"not JSON in UTF-8 ({type(error).__name__})", "unreadable") from error
    return value


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [inner for v in level if isinstance(v, dict | list) for inner in (v.values() if isinstance(v, dict) else v)]
    return depth


def canonical(value: Any) -> bytes:
    """The one byte form (RFC 8785; names are ASCII, so their order is that of UTF-16 too)."""
    return _encode(value).encode()


# ---------------------------------------------------------------- tree


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 §2.1."""
    return _sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 §2.1."""
    return _sha256(b"\x01" + left + right).digest()


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether ``proof`` leads from the leaf at ``index`` to the root over ``size`` leaves (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size or len(proof) > MAX_PATH:
        return False
    at, last, found = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(other, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, other)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def consistent(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether ``proof`` shows the old tree to be the beginning of the new one (RFC 9162 §2.1.4.2); the empty tree begins every tree."""
    if not 0 <= old_size <= size or len(proof) > 2 * MAX_PATH:
        return False
    if old_size in (0, size):
        return not proof and old_root == (root if old_size else EMPTY)
    path = [old_root, *proof] if old_size & old_size - 1 == 0 else list(proof)
    if not proof:
        return False
    at, last = old_size - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(other, old), node_hash(other, new)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, other)
        at, last = at >> 1, last >> 1
    return last == 0 and old == old_root and new == root


# ---------------------------------------------------------------- keys, notes, checkpoints


def _base64(text: str, length: int | None = None) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Malformed(f"{text[:60]!r} is not base64") from error
    if base64.b64encode(data).decode() != text or (length is not None and len(data) != length):
        raise Malformed(f"{text[:60]!r} is not the base64 of {length if length is not None else 'whole'} bytes")
    return data


@dataclass(frozen=True, slots=True)
class Key:
    """A public key as signed-note writes it: ``name+id+base64``. ``given``: by whoever checks, not by what is checked."""

    name: str
    id: bytes
    kind: int
    public: bytes
    given: bool = True

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made the signature."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def read_key(line: str, *, given: bool = True) -> Key:
    """A public key from its text, ``name+id+base64`` (C2SP signed-note). Raises Malformed."""
    parts = line.split("+", 2)
    if len(parts) != 3 or not _NAME.fullmatch(parts[0]):
        raise Malformed(f"{line[:80]!r} is no key: write name+id+base64, as the site gives it under log/keys")
    data = _base64(parts[2], 33)
    if data[0] not in (LOG, WITNESS):
        raise Malformed(f"{line[:80]!r} is a key of type {data[0]}; Ed25519 of a log (1) and of a witness (4) are known")
    id = _sha256(parts[0].encode() + b"\n" + data).digest()[:4]
    if id.hex() != parts[1]:
        raise Malformed(f"{line[:80]!r}: the id is not that of the key ({id.hex()}); it was not copied whole")
    return Key(parts[0], id, data[0], data[1:], given)


def read_keys(text: str, *, given: bool = True) -> tuple[Key, ...]:
    """Keys, one a line, as ``log/keys`` gives them; raises Malformed where one is none or there is none."""
    found = tuple(read_key(line.strip(), given=given) for line in text.splitlines() if line.strip() and not line.startswith("#"))
    if not found:
        raise Malformed("it holds no key")
    return found


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose word counts: the keys of logs and of witnesses. ``quorum``: how many of the given witnesses must have signed; None: each."""

    log: tuple[Key, ...] = ()
    witnesses: tuple[Key, ...] = ()
    quorum: int | None = None

    @classmethod
    def of(cls, keys: Iterable[Key], witnesses: Iterable[Key] = (), quorum: int | None = None) -> Trust:
        """Keys by their type. A witness that stands among ``keys``, as in a site's own list, is one that the site names."""
        keys, asked = tuple(keys), tuple(witnesses)
        named = tuple(replace(key, given=False) for key in keys if key.kind == WITNESS and str(key) not in {str(w) for w in asked})
        return cls(tuple(key for key in keys if key.kind == LOG), asked + named, quorum)


@dataclass(frozen=True, slots=True)
class Note:
    """A signed note: the text with its last line break, and (name, key id, signature) of each line below."""

    text: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]


def read_note(data: bytes) -> Note:
    """A note and its signatures (C2SP signed-note), nothing of it verified yet. Raises Malformed."""
    if len(data) > MAX_NOTE:
        raise Malformed(f"a note of {len(data)} bytes; {MAX_NOTE} are read")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a note that is not UTF-8") from error
    if any(byte < 0x20 and byte != 0x0A for byte in data):
        raise Malformed("a note with a control character")
    text, between, below = data.rpartition(b"\n\n")
    if not between or not text or not below.endswith(b"\n"):
        raise Malformed("no signed note: text, an empty line, and at least one signature, each line ended")
    lines = below[:-1].decode().split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise Malformed(f"{len(lines)} signatures; {MAX_SIGNATURES} are read")
    found = []
    for line in lines:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—" or not _NAME.fullmatch(parts[1]):
            raise Malformed(f"{line[:60]!r} is no signature line: '— name base64'")
        signature = _base64(parts[2])
        if len(signature) < 5:
            raise Malformed(f"{line[:60]!r} is too short for a signature")
        found.append((parts[1], signature[:4], signature[4:]))
    return Note(text + b"\n", tuple(found))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's signed head (C2SP tlog-checkpoint)."""

    origin: str
    size: int
    root: bytes
    note: Note

    @property
    def site(self) -> str:
        """The site whose log it is; empty where the origin is no log of Volens'."""
        return self.origin.removesuffix("/volens") if self.origin.endswith("/volens") else ""

    def facts(self) -> dict[str, Any]:
        """What the checkpoint says, as JSON values."""
        return {"origin": self.origin, "size": self.size, "root": base64.b64encode(self.root).decode()}


def read_checkpoint(data: bytes) -> Checkpoint:
    """The note and its text; extension lines are signed with it and say nothing here. Raises Malformed."""
    note = read_note(data)
    lines = note.text[:-1].split(b"\n")
    if len(lines) < 3 or not all(lines) or not _SIZE.fullmatch(lines[1]) or int(lines[1]) >= MAX_SIZE:
        raise Malformed("no checkpoint: its first lines are origin, size and root")
    root = _base64(lines[2].decode(), 32)
    if lines[1] == b"0" and root != EMPTY:
        raise Malformed("a checkpoint of an empty log with another root")
    return Checkpoint(lines[0].decode(), int(lines[1]), root, note)


def signed(checkpoint: Checkpoint, trust: Trust, place: str, found: Findings) -> dict[str, Any]:
    """Who signed it; adds what is wrong with that, and returns what holds: the keys and, by name, the witnesses' times."""
    note, by, times = checkpoint.note, [], {}
    own = [key for key in trust.log if key.name == checkpoint.origin]
    if not trust.log:
        found.gap("no-key", place, "no key of the log was given")
    broken = False
    for key in own:
        for _, _, signature in (line for line in note.signatures if line[:2] == (key.name, key.id)):
            if key.verifies(signature, note.text):
                by.append(key)
            else:
                broken = True
                found.fault("signature", place, f"the signature of {key.name} ({key.id.hex()}) does not fit the text")
    if trust.log and not by and not broken:
        signers = ", ".join(f"{name} ({id.hex()})" for name, id, _ in note.signatures[:3])
        wanted = ", ".join(f"{key.name} ({key.id.hex()})" for key in trust.log[:3])
        found.fault("other-key", place, f"a checkpoint of {checkpoint.origin!r} signed by {signers}; the key given is {wanted}")
    asked = [key for key in trust.witnesses if key.given]
    unseen: list[Key] = []
    for key in trust.witnesses:
        lines = [signature for name, id, signature in note.signatures if (name, id) == (key.name, key.id)]
        for signature in lines:
            time = int.from_bytes(signature[:8], "big")
            if len(signature) == 72 and time < MAX_SIZE and key.verifies(signature[8:], b"cosignature/v1\ntime %d\n" % time + note.text):
                times[key.name] = time
            else:
                found.fault("cosignature", place, f"the cosignature of {key.name} ({key.id.hex()}) does not fit the text")
        if key.given and not lines:
            unseen.append(key)
    needed = len(asked) if trust.quorum is None else min(trust.quorum, len(asked))
    if len(asked) - len(unseen) < needed:
        for key in unseen:
            found.fault("no-cosignature", place, f"{key.name} ({key.id.hex()}) has not signed it")
    if not times:
        found.caveat("no-witness", place, f"no witness{'' if trust.witnesses else ' that is known here'} has signed this checkpoint")
    elif not any(key.given for key in trust.witnesses if key.name in times):
        found.caveat("witness-claimed", place, f"signed by {', '.join(sorted(times))}, whom the site itself names")
    if by and not any(key.given for key in by):
        found.gap("keys-claimed", place, f"what fits together was checked with {by[0]}")
    return {"signed_by": [str(key) for key in by], "witnesses": dict(times)}


# ---------------------------------------------------------------- entries and records


_ENTRY_FIELDS = {
    "record": {"v", "site", "time", "type", "commit", "notice"},
    "notice": {"v", "site", "time", "type", "notice"},
    "snapshot": {"v", "site", "time", "type", "notice", "snapshot"},
    "erasure": {"v", "site", "time", "type", "erased", "reason"},
}
_RECORD_TEXTS = ("id", "site", "time", "event", "method", "surface", "language", "notice", "supersedes", "tc")
_EVENTS = ("given", "changed", "withdrawn")


def _text(value: object) -> str:
    """``value`` as it may be quoted in a message."""
    return repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:77]}…"


def check_entry(entry: object) -> str:
    """The type of a log entry of the right form; raises Malformed. A type this does not know has only its time and site checked."""
    if not isinstance(entry, dict):
        raise Malformed("the log entry is no object")
    time, kind, site = entry.get("time"), entry.get("type"), entry.get("site")
    if entry.get("v") != 1 or type(entry["v"]) is not int:
        raise Malformed(f"a log entry of version {_text(entry.get('v'))}; 1 is known")
    if not isinstance(time, str) or not _MINUTE.fullmatch(time) or not isinstance(kind, str) or not isinstance(site, str) or not site:
        raise Malformed("the log entry lacks its site, its type, or a time as 2026-11-22T10:23Z")
    fields = _ENTRY_FIELDS.get(kind)
    if fields is None:
        return kind
    names = entry.keys() - {"moved"} if kind == "record" and entry.get("moved") is True else entry.keys()
    if names != fields:
        raise Malformed(f"a log entry of type {kind} with other fields: {', '.join(sorted(names ^ fields))}")
    for name in ("commit", "notice", "snapshot"):
        if name in fields and not (isinstance(entry[name], str) and _HEX32.fullmatch(entry[name])):
            raise Malformed(f"the log entry's {name} is not 64 hexadecimal digits")
    if kind == "erasure" and (not erased(entry) or entry["reason"] not in ("request", "age")):
        raise Malformed("an erasure that names no ranges of earlier entries, or another reason than request and age")
    return kind


def erased(entry: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    """The ranges, both ends included, that an erasure entry names; empty where they are no ranges."""
    ranges = entry.get("erased")
    if not isinstance(ranges, list) or not 1 <= len(ranges) <= 500:
        return ()
    end = -1
    for pair in ranges:
        if not isinstance(pair, list) or [type(n) for n in pair] != [int, int] or not end < pair[0] <= pair[1]:
            return ()
        end = pair[1]
    return tuple((first, last) for first, last in ranges)


def check_record(record: object) -> dict[str, Any]:
    """A record of the right form; raises Malformed. Fields it does not know are covered by the commitment like any other."""
    if not isinstance(record, dict) or record.get("format") != RECORD:
        raise Malformed(f"the record is no {RECORD}")
    for name in _RECORD_TEXTS:
        if not isinstance(record.get(name), str):
            raise Malformed(f"the record's {name} is missing or no text")
    if not _ID.fullmatch(record["id"]) or (record["supersedes"] and not _ID.fullmatch(record["supersedes"])):
        raise Malformed("the record's id, or the id it supersedes, has another form")
    if not _TIME.fullmatch(record["time"]) or not _HEX32.fullmatch(record["notice"]):
        raise Malformed("the record's time is not written as 2026-11-22T10:23:05Z, or its notice is no digest")
    for name in ("purposes", "services"):
        answers = record.get(name)
        if not isinstance(answers, dict) or not all(answer is True or answer is False for answer in answers.values()):
            raise Malformed(f"the record's {name} are not answers of true or false")
    for name in ("unconfigured", "gpc"):
        if record.get(name) is not True and record.get(name) is not False:
            raise Malformed(f"the record's {name} is neither true nor false")
    return record


def commitment(salt: bytes, record: bytes) -> str:
    """What a log entry says of a record: SHA-256("volens/v1" ‖ salt ‖ record)."""
    return _sha256(b"volens/v1" + salt + record).hexdigest()


def contradiction(record: Mapping[str, Any]) -> str:
    """What is at odds within a record; empty where nothing is."""
    granted = True in record["purposes"].values() or True in record["services"].values()
    if record["event"] not in _EVENTS:
        return f"the event {_text(record['event'])} is not known"
    if granted == (record["event"] == "withdrawn"):
        return f"the event is {record['event']!r}, and {'something' if granted else 'nothing'} is granted"
    if (record["event"] != "given") and not record["supersedes"]:
        return f"the event is {record['event']!r}, and no earlier record is named"
    return ""


def after(record_time: str, entry_time: str) -> int:
    """Seconds from a record's time to the end of its entry's minute; negative where the record claims to be later. Raises Malformed."""
    try:
        made, logged = datetime.fromisoformat(record_time), datetime.fromisoformat(entry_time)
    except ValueError as error:
        raise Malformed(f"{record_time} or {entry_time} is no time") from error
    return int((logged - made).total_seconds()) + 59


# ---------------------------------------------------------------- documents


@dataclass(frozen=True, slots=True)
class Standing:
    """A place in a log that a receipt has proved: what another document's proof may be held against."""

    place: str
    checkpoint: Checkpoint
    index: int | None = None
    leaf: bytes = b""


@dataclass(frozen=True, slots=True)
class Checked:
    """A verdict, and what it stands on where the checkpoint could be read."""

    verdict: Verdict
    standing: Standing | None = None


def _fields(value: object, names: Iterable[str], what: str, found: Findings, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        found.fault("form", place, f"{what} is no JSON object")
        return {}
    missing, more = sorted(set(names) - value.keys()), sorted(value.keys() - set(names))
    if missing:
        found.fault("form", place, f"{what} lacks {', '.join(missing)}")
    if more:
        found.fault("form", place, f"{what} has fields that it cannot have: {_text(', '.join(more))}")
    return value


def check(data: bytes, trust: Trust, name: str = "") -> Checked:
    """A receipt, a bundle or a checkpoint, by what it is."""
    if data.lstrip()[:1] == b"{":
        return check_document(data, trust, name)
    return check_checkpoint(data, trust, name)


def check_checkpoint(data: bytes, trust: Trust, name: str = "") -> Checked:
    """A checkpoint by itself: who signed it."""
    found = Findings()
    try:
        checkpoint = read_checkpoint(data)
    except Malformed as error:
        found.fault("unreadable", name, str(error))
        return Checked(found.verdict("checkpoint", name, {}))
    facts = checkpoint.facts() | signed(checkpoint, trust, "checkpoint", found)
    return Checked(found.verdict("checkpoint", name, facts), Standing(name, checkpoint))


def check_document(data: bytes, trust: Trust, name: str = "") -> Checked:
    """Check a receipt or a bundle from its bytes. What cannot be read is a finding too, never an error."""
    found = Findings()
    kind = "document"
    try:
        if len(data) > MAX_DOCUMENT:
            raise Malformed(f"{len(data)} bytes; a receipt or bundle has at most {MAX_DOCUMENT}", "unreadable")
        value = read_json(data)
        form = value.get("format") if isinstance(value, dict) else None
        if form not in (RECEIPT, BUNDLE):
            raise Malformed(f"the format {_text(form)} is neither {RECEIPT} nor {BUNDLE}", "unreadable")
    except Malformed as error:
        found.fault(error.code, name, str(error))
        return Checked(found.verdict(kind, name, {}))
    if form == RECEIPT:
        facts, standing = _receipt(value, trust, name, found)
        return Checked(found.verdict("receipt", name, facts), standing)
    facts, standing = _bundle(value, trust, name, found)
    return Checked(found.verdict("bundle", name, facts), standing)


def _bundle(value: dict[str, Any], trust: Trust, name: str, found: Findings) -> tuple[dict[str, Any], Standing | None]:
    bundle = _fields(value, ("format", "receipt", "notice", "keys"), "the bundle", found, "bundle")
    claimed: tuple[Key, ...] = ()
    keys = bundle.get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_SIGNATURES or not all(isinstance(key, str) for key in keys):
        found.fault("form", "keys", "the bundle's keys are no list of texts")
    else:
        try:
            claimed = tuple(read_key(key, given=False) for key in keys)
        except Malformed as error:
            found.fault("form", "keys", str(error))
    if not trust.log:
        trust = replace(trust, log=tuple(key for key in claimed if key.kind == LOG))
    if not trust.witnesses:
        trust = replace(trust, witnesses=tuple(key for key in claimed if key.kind == WITNESS))
    receipt = bundle.get("receipt")
    if isinstance(receipt, dict) and receipt.get("format") != RECEIPT:
        found.fault("form", "receipt", f"the bundle's receipt is no {RECEIPT}")
    facts, standing = _receipt(receipt, trust, name, found)
    notice = bundle.get("notice")
    if not isinstance(notice, dict) or notice.get("format") != NOTICE:
        found.fault("form", "notice", f"the bundle's notice is no {NOTICE}")
    else:
        digest = _sha256(canonical(notice)).hexdigest()
        if isinstance(facts.get("notice"), str) and digest != facts["notice"]:
            found.fault("bundle-notice", "notice", f"its digest is {digest}; what was answered is {facts['notice']}")
    return facts, standing


def _receipt(value: object, trust: Trust, name: str, found: Findings) -> tuple[dict[str, Any], Standing | None]:
    receipt = _fields(value, ("format", "record", "salt", "entry", "index", "proof", "checkpoint"), "the receipt", found, "receipt")
    record = entry = checkpoint = None
    kind = ""
    facts: dict[str, Any] = {}
    try:
        record = check_record(receipt.get("record"))
        facts |= {n: record[n] for n in ("site", "id", "time", "event", "purposes", "services", "notice", "language")}
    except Malformed as error:
        found.fault("form", "record", str(error))
    try:
        kind = check_entry(receipt.get("entry"))
        entry = receipt["entry"]
        facts |= {"logged": entry["time"]}
        if kind != "record":
            found.fault("form", "entry", f"the log entry is of type {_text(kind)}, not of a record")
    except Malformed as error:
        found.fault("form", "entry", str(error))
    if record is not None:
        _alone(record, found)
    salt = receipt.get("salt")
    if not isinstance(salt, str) or not _SALT.fullmatch(salt):
        found.fault("form", "salt", "the salt is not 32 hexadecimal digits")
    elif record is not None and entry is not None and kind == "record":
        if commitment(bytes.fromhex(salt), canonical(record)) != entry["commit"]:
            found.fault("commit", "record", "record and salt do not give the log entry's commitment")
    if record is not None and entry is not None and kind == "record":
        _together(record, entry, "record", found)
    try:
        text = receipt.get("checkpoint")
        if not isinstance(text, str):
            raise Malformed("the checkpoint is no text")
        checkpoint = read_checkpoint(text.encode())
        facts |= {"log": checkpoint.facts()} | signed(checkpoint, trust, "checkpoint", found)
    except ValueError as error:  # Malformed; or half a surrogate pair, which has no UTF-8
        found.fault("form", "checkpoint", str(error) if isinstance(error, Malformed) else "the checkpoint is no UTF-8")
    if checkpoint is not None and entry is not None and checkpoint.site != entry["site"]:
        found.fault("site", "checkpoint", f"a log of {checkpoint.origin!r}; the entry is of {_text(entry['site'])}")
    index, path = receipt.get("index"), receipt.get("proof")
    proof: list[bytes] | None = None
    if type(index) is not int or index < 0:
        found.fault("form", "index", f"the index {_text(index)} is no place in a log")
        index = None
    else:
        facts["index"] = index
    if not isinstance(path, list) or len(path) > MAX_PATH or not all(isinstance(part, str) for part in path):
        found.fault("form", "proof", f"the proof is no list of at most {MAX_PATH} hashes")
    else:
        try:
            proof = [_base64(part, 32) for part in path]
        except Malformed as error:
            found.fault("form", "proof", str(error))
    if checkpoint is None:
        return facts, None
    if entry is None or index is None or proof is None:
        return facts, Standing(name, checkpoint)
    data = canonical(entry)
    leaf = leaf_hash(data)
    if len(data) > MAX_ENTRY:
        found.fault("form", "entry", f"a log entry of {len(data)} bytes; {MAX_ENTRY} are possible")
    elif index >= checkpoint.size:
        found.fault("path", "index", f"the receipt's place is {index}, and the checkpoint covers {checkpoint.size} entries")
    elif not included(leaf, index, checkpoint.size, proof, checkpoint.root):
        found.fault("path", "proof", f"the path of entry {index} does not lead to the root of {checkpoint.size} entries")
    else:
        return facts, Standing(name, checkpoint, index, leaf)
    return facts, Standing(name, checkpoint)


def _alone(record: dict[str, Any], found: Findings) -> None:
    """What can be wrong with a record whatever the log says."""
    if said := contradiction(record):
        found.fault("event", "record", said)
    if record["unconfigured"]:
        found.fault("unconfigured", "record", "the record is marked as made without configuration")
    if record["supersedes"]:
        found.caveat("supersedes", "record", f"it follows the record {record['supersedes']}")


def _together(record: dict[str, Any], entry: dict[str, Any], place: str, found: Findings) -> None:
    """What a record and its log entry say of the same."""
    for name in ("notice", "site"):
        if record[name] != entry[name]:
            found.fault(name, place, f"the record says {_text(record[name])}, its log entry {_text(entry[name])}")
    try:
        seconds = after(record["time"], entry["time"])
    except Malformed as error:
        found.fault("form", place, str(error))
        return
    if seconds < 0:
        found.fault("time", place, f"the record's time is {record['time']}, and it was logged at {entry['time']}")
    elif entry.get("moved"):
        found.caveat("moved", place, f"the record says {record['time']}, and was logged at {entry['time']}")
    elif seconds > LATE:
        found.caveat("late", place, f"the record says {record['time']}, and was logged at {entry['time']}")


@dataclass(frozen=True, slots=True)
class Consistency:
    """An old size, hashes, and the newer checkpoint: the form of C2SP tlog-witness's add-checkpoint request."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: bytes


def read_consistency(data: bytes) -> Consistency:
    """``old N``, a hash a line, an empty line, the checkpoint; raises Malformed."""
    head, between, checkpoint = data[:MAX_NOTE].partition(b"\n\n")
    first, *rest = head.split(b"\n")
    number = first.removeprefix(b"old ")
    if not between or number == first or not _SIZE.fullmatch(number) or int(number) >= MAX_SIZE or len(rest) > 63:
        raise Malformed("no consistency proof: 'old N', at most 63 hashes, an empty line, a checkpoint")
    try:
        return Consistency(int(number), tuple(_base64(line.decode(), 32) for line in rest), checkpoint)
    except UnicodeDecodeError as error:
        raise Malformed("a hash of the consistency proof is not base64") from error


def compare(standings: Sequence[Standing], proofs: Sequence[tuple[str, Consistency]] = (), whole: Container[str] = ()) -> Findings:
    """Whether checkpoints of one log, from wherever they came, can be heads of one tree. ``whole``: logs that were read and held against
    them already."""
    found = Findings()
    logs: dict[str, dict[int, Standing]] = {}
    leaves: dict[tuple[str, int], Standing] = {}
    for one in standings:
        origin, size = one.checkpoint.origin, one.checkpoint.size
        other = logs.setdefault(origin, {}).setdefault(size, one)
        if other.checkpoint.root != one.checkpoint.root:
            found.fault("fork", f"{other.place} and {one.place}", f"two roots for the same {size} entries of {origin!r}")
        if one.index is not None and (known := leaves.setdefault((origin, one.index), one)).leaf != one.leaf:
            found.fault("fork", f"{known.place} and {one.place}", f"two entries at place {one.index} of {origin!r}")
    told: set[tuple[str, int, int]] = set()
    for place, proof in proofs:
        try:
            newer = read_checkpoint(proof.checkpoint)
        except Malformed:
            continue  # told where the file itself was checked
        older = logs.get(newer.origin, {}).get(proof.old_size)
        if older is None:
            said = f"it begins at {proof.old_size} entries of {newer.origin!r}"
            found.caveat("not-compared", place, f"{said}, for which no checkpoint was given")
            continue
        told.add((newer.origin, proof.old_size, newer.size))
        if not consistent(proof.old_size, older.checkpoint.root, newer.size, newer.root, proof.proof):
            found.fault("proof", place, f"it does not lead from the {proof.old_size} entries of {older.place} to {newer.size}")
    for origin, sizes in logs.items():
        for old, new in pairwise(sorted(sizes)):
            if old and origin not in whole and (origin, old, new) not in told:
                place = f"{sizes[old].place} and {sizes[new].place}"
                found.caveat("not-compared", place, f"checkpoints of {old} and {new} entries of {origin!r}")
    return found
