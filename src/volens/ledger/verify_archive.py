"""Checks an archive cold (``volens-archive/1``): each line by itself, several processes at once, then the log that they make."""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from volens.ledger.verify import LOG, MAX_NOTE, Findings, Malformed, Trust, canonical, read_json, read_key
from volens.ledger.verify_log import MAX_WRONG, Block, How, Log, Reader, Whole, apart, workers

ARCHIVE = "volens-archive/1"
BLOCK = 1 << 20
"""Bytes that a process checks at once."""
MAX_LINE = 16 << 20
"""Bytes of the longest line: a picture of a notice in base64."""

SAYS = frozenset(("notice", "file", "checkpoints", "count"))
"""What a line may say that is no entry."""
_COUNTS = {
    "total": (("day", "event", "notice", "surface", "language"), ("count",)),
    "answers": (("day", "event", "purpose", "surface", "language"), ("yes", "no")),
    "extent": (("day", "event", "surface", "language"), ("all", "some", "none")),
}
"""Of each kind of count, its texts and its numbers."""
GRANTED = ("given", "changed", "withdrawn")
"""Events of which there is a record; of a refusal there is only the count."""

_sha256 = hashlib.sha256


def check_archive(path: Path, trust: Trust, **how: Unpack[How]) -> Log:
    """Everything in an archive, and whether what others hold of its log is in it. Raises OSError where the file cannot be read, or a
    process is ended."""
    name, source = how.get("name") or path.name, _Source(path)
    blocks = source.blocks()
    _, data = next(blocks, (0, b""))
    top, _, more = (data or source.last).partition(b"\n")
    try:
        if source.broken is not None:
            raise source.broken
        header = _header(top)
    except Malformed as error:
        return Log.unread("archive", name, error.code, str(error))
    site, size = header["site"], header["size"]

    def tasks() -> Iterator[Lines]:
        line = 2
        if more:
            yield Lines(site, data=more, line=line)
        line += more.count(b"\n")
        for place, data in blocks:
            yield Lines(site, data=data, line=line) if source.packed else Lines(site, str(path), place, len(data), line=line)
            line += data.count(b"\n")

    whole = Whole(site, name, how.get("progress"), size)
    processes = workers(how.get("processes"), path.stat().st_size * (8 if source.packed else 1))
    for block in apart(check_lines, tasks(), processes):
        whole.add(block)
        if said := whole.beyond():
            whole.found.gap("unread", name, f"{said}; of {size} entries it tells of, {whole.tree.size} were read")
            return Log(whole.verdict("archive", {}), whole.tree)
    _end(source, whole.found, name)
    if size != whole.tree.size:
        whole.found.fault("cut", name, f"its first line tells {size} entries; {whole.tree.size} are here")
    whole.finish(True, whole.notices, whole.files)
    trust = _with_claimed(trust, header["keys"], whole.found)
    return whole.judged("archive", header["checkpoint"], trust, how.get("standings", ()))


def _header(line: bytes) -> dict[str, Any]:
    value = read_json(line)
    if not isinstance(value, dict) or value.get("format") != ARCHIVE:
        raise Malformed(f"its first line is not that of a {ARCHIVE}", "unreadable")
    size, keys = value.get("size"), value.get("keys")
    texts = all(isinstance(value.get(part), str) for part in ("origin", "site", "checkpoint"))
    if not texts or type(size) is not int or size < 0 or not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Malformed("its first line lacks site, origin, size, checkpoint or keys", "unreadable")
    if value["origin"] != f"{value['site']}/volens":
        raise Malformed(f"its first line tells the log {value['origin']!r:.80} of the site {value['site']!r:.80}", "site")
    return value


def _with_claimed(trust: Trust, keys: Sequence[str], found: Findings) -> Trust:
    """The keys that were given; of those of the archive what is lacking."""
    try:
        claimed = tuple(read_key(key, given=False) for key in keys)
    except Malformed as error:
        found.fault("form", "keys", str(error))
        return trust
    return Trust(
        trust.log or tuple(key for key in claimed if key.kind == LOG),
        trust.witnesses or tuple(key for key in claimed if key.kind != LOG),
        trust.quorum,
    )


def _end(source: _Source, found: Findings, name: str) -> None:
    """Whether the last line closes the file, and over the same bytes."""
    if source.broken is not None:
        found.fault("cut", name, str(source.broken))
        return
    try:
        end = read_json(source.last) if source.last else {}
    except Malformed:
        end = {}
    if not isinstance(end, dict) or end.keys() != {"end", "sha256"}:
        found.fault("cut", name, "its last line does not close it")
    elif end["end"] != source.lines or end["sha256"] != source.before:
        found.fault("cut", name, f"{source.lines} lines of SHA-256 {source.before[:16]}…; its last line tells of others")


class _Source:
    """An archive's bytes in whole lines, each block with its place, and the SHA-256 of all before the last line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.packed = file.read(2) == b"\x1f\x8b"
        self.lines = 0
        self.before = ""
        self.last = b""
        """The last line, once all is read."""
        self.broken: Malformed | None = None
        """Why it ends before its end."""

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Blocks of whole lines but for the last line of all, which is kept apart."""
        sha, at, parts = _sha256(), 0, [b""]
        try:
            with gzip.open(self.path) if self.packed else self.path.open("rb") as file:
                while data := file.read(BLOCK):
                    parts.append(data)
                    if b"\n" not in data and len(parts) * BLOCK <= 2 * MAX_LINE:
                        continue  # a long line is put together once, not at each block
                    data = b"".join(parts)
                    # The last whole line may be the last of all, so it waits for the next block.
                    ended = data.rfind(b"\n") + 1
                    end = data.rfind(b"\n", 0, max(ended - 1, 0)) + 1
                    if len(data) - ended > MAX_LINE:
                        self.broken = Malformed(f"a line of more than {MAX_LINE} bytes", "cut")
                        return
                    if end:
                        sha.update(block := data[:end])
                        yield at, block
                        at += end
                        self.lines += block.count(b"\n")
                    parts = [data[end:]]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self.broken = Malformed(f"the compressed file ends or breaks off: {error}", "cut")
            return
        rest = b"".join(parts)
        if rest.count(b"\n") > 1:
            end = rest.rfind(b"\n", 0, len(rest) - 1) + 1
            sha.update(rest[:end])
            yield at, rest[:end]
            self.lines += rest[:end].count(b"\n")
            rest = rest[end:]
        self.last, self.before = rest, sha.hexdigest()


# ---------------------------------------------------------------- lines, in whatever process


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of an archive: a place in a file, or the bytes themselves."""

    site: str
    path: str = ""
    first: int = 0
    length: int = 0
    data: bytes = b""
    line: int = 0
    """The number of the first, from 1."""

    @property
    def heavy(self) -> bool:
        """Whether a long line is among them."""
        return len(self.data) > 4 * BLOCK


def check_lines(task: Lines) -> Block:
    """Check the lines of one block by themselves; runs in whatever process has the time."""
    data = task.data
    if task.path:
        with open(task.path, "rb", buffering=0) as file:
            file.seek(task.first)
            data = file.read(task.length)
    reader = Reader(task.site, records=True)
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else (), task.line):
        try:
            _line(line, reader)
        except (Malformed, UnicodeEncodeError) as error:
            reader.block.found.fault("form", f"line {number}", str(error) if isinstance(error, Malformed) else "a text that has no UTF-8")
            reader.block.wrong += 1
        if reader.block.wrong > MAX_WRONG:
            break
    return reader.done()


def _line(line: bytes, reader: Reader) -> None:
    block, value = reader.block, read_json(line)
    if not isinstance(value, dict):
        raise Malformed("it is no JSON object")
    if "i" in value:
        index, entry, salt, record = value["i"], value.get("entry"), value.get("salt"), value.get("record")
        if type(index) is not int or index < 0 or not isinstance(entry, dict) or value.keys() - {"i", "entry", "salt", "record"}:
            raise Malformed("no entry: it has an index, the entry, and the record with its salt while that is not erased")
        if salt is not None and not (isinstance(salt, str) and len(salt) == 32 and salt.isalnum() and salt == salt.lower()):
            raise Malformed("the salt is not 32 hexadecimal digits")
        try:
            bytes_of = None if salt is None else bytes.fromhex(salt)
        except ValueError as error:
            raise Malformed("the salt is not 32 hexadecimal digits") from error
        reader.entry(index, entry, canonical(entry), bytes_of, None if record is None else canonical(record), record)
        return
    block.others += 1
    if len(value) > 1 and not SAYS.isdisjoint(value):  # who reads it in would take up what was not checked here
        raise Malformed("a line that says several things")
    if "notice" in value:
        block.notices.append(_sha256(canonical(value["notice"])).hexdigest())
    elif "file" in value:
        block.files.append(_file(value["file"], block.found))
    elif "checkpoints" in value:
        notes = value["checkpoints"]
        if not isinstance(notes, list):
            raise Malformed("checkpoints that are no list")
        block.checkpoints += map(_note, notes)
    elif "count" in value:
        block.counted += _count(value["count"])


def _note(value: Any) -> str:
    """A checkpoint that was published, and when."""
    note, at = (value.get("note"), value.get("at")) if isinstance(value, dict) else (None, None)
    if not isinstance(note, str) or len(note) > MAX_NOTE or type(at) is not int:
        raise Malformed("a checkpoint without its text, or the second when it was published")
    return note


def _count(value: Any) -> int:
    """How many records a count is of."""
    kind = value.get("of") if isinstance(value, dict) else None
    texts, numbers = _COUNTS.get(kind, ((), ())) if isinstance(kind, str) else ((), ())
    written = all(isinstance(value[name], str) for name in texts if name in value)
    counted = all(type(value[name]) is int and value[name] >= 0 for name in numbers if name in value)
    gpc = kind != "total" or type(value.get("gpc")) is bool
    more = {"of", "gpc"} if kind == "total" else {"of"}
    if not texts or value.keys() != {*texts, *numbers, *more} or not (written and counted and gpc):
        raise Malformed("a count of another form")
    return int(value["count"]) if kind == "total" and value["event"] in GRANTED else 0


def _file(value: Any, found: Findings) -> str:
    """The digest of a file that the log names, which its bytes must have."""
    digest, data = (value.get("sha256"), value.get("data")) if isinstance(value, dict) else (None, None)
    if not isinstance(digest, str) or not isinstance(data, str):
        raise Malformed("a file without its digest or its bytes")
    try:
        if _sha256(base64.b64decode(data, validate=True)).hexdigest() != digest:
            found.fault("file", f"file {digest[:16]}", "its bytes have another digest")
    except ValueError as error:
        raise Malformed("a file that is not base64") from error
    return digest
