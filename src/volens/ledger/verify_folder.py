"""Checks a copy of what a log publishes, cold: its checkpoint, its entries and its tiles in a folder (C2SP tlog-tiles)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from volens.ledger.verify import MAX_ENTRY, MAX_NOTE, Malformed, Trust, read_checkpoint
from volens.ledger.verify_log import How, Log, check_log
from volens.ledger.verify_tree import WIDTH


def tile_path(level: int | str, index: int, width: int = WIDTH) -> str:
    """Where a tile lies below a log's address (C2SP tlog-tiles); level ``entries``: a bundle of entries."""
    text = f"{index % 1000:03}"
    while index := index // 1000:
        text = f"x{index % 1000:03}/{text}"
    return f"tile/{level}/{text}" + (f".p/{width}" if width < WIDTH else "")


@dataclass(frozen=True, slots=True)
class _Entry:
    index: int
    entry: bytes
    salt: bytes | None = None
    record: bytes | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """A log as it is published, in a folder: what a copy of its address below ``log/`` gives."""

    path: str
    size: int

    def _read(self, level: int | str, index: int, per: int) -> bytes:
        width = min(self.size // per - index * WIDTH, WIDTH)
        for wide in (WIDTH, width):
            path = Path(self.path, tile_path(level, index, wide))
            if path.is_file():
                with path.open("rb") as file:
                    return file.read(WIDTH * (MAX_ENTRY + 2))
        raise LookupError(f"{tile_path(level, index, width)} is missing")

    def hashes(self, level: int, index: int) -> bytes:
        """A tile's hashes; raises LookupError."""
        return self._read(level, index, WIDTH**level)

    def bundle(self, index: int) -> bytes:
        """Entries, each after its length; raises LookupError."""
        return self._read("entries", index, 1)

    def rows(self, first: int, last: int) -> Iterator[_Entry]:
        """Entries, from their bundles."""
        for tile in range(first // WIDTH, min(last, self.size - 1) // WIDTH + 1):
            try:
                data = self.bundle(tile)
            except LookupError:
                continue  # the gap is told by whoever counts
            at, index = 0, tile * WIDTH
            while at + 2 <= len(data) and index <= last:
                length = int.from_bytes(data[at : at + 2], "big")
                if len(data) < at + 2 + length:
                    break
                if index >= first:
                    yield _Entry(index, data[at + 2 : at + 2 + length])
                at, index = at + 2 + length, index + 1


def check_folder(path: Path, trust: Trust, **how: Unpack[How]) -> Log:
    """A log as it is published: its checkpoint, entries and tiles in a folder. Raises OSError where it cannot be read."""
    how["name"] = name = how.get("name") or path.name
    with (path / "checkpoint").open("rb") as file:
        text = file.read(MAX_NOTE + 1)
    try:
        head = read_checkpoint(text)
    except Malformed as error:
        return Log.unread("log", name, error.code, f"its checkpoint: {error}")
    folder = Folder(str(path), head.size)
    try:
        folder.bundle(max(head.size - 1, 0) // WIDTH)
    except LookupError as error:
        if head.size:
            return Log.unread("log", name, "cut", str(error), head)
    return check_log(head.site, head.size, folder.rows, text.decode(), trust, kind="log", hashes=folder.hashes, records=False, **how)
