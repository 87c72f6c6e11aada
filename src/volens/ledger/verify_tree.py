"""The tree of a log that was read whole: made of its entries' hashes, it gives the root of any earlier size and the hashes of any tile."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from typing import IO

from volens.ledger.verify import EMPTY, Findings, Standing

WIDTH = 256
"""Hashes of a tile (C2SP tlog-tiles)."""
HASH = 32

_sha256 = hashlib.sha256


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes of subtrees that are all of one size but the last (RFC 6962 §2.1)."""
    row = list(hashes)
    while len(row) > 1:
        odd = row[-1:] if len(row) & 1 else []
        row = [_sha256(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row) - 1, 2)] + odd
    return row[0] if row else EMPTY


class Tree:
    """The hashes of a log that was read whole."""

    def __init__(self) -> None:
        self.size = 0
        self._leaves: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 — lives as long as the tree
        self._tiles: list[list[bytes]] = [[]]  # [level][i]: over 2^level times 256 leaves
        self._open = b""  # the leaves after the last whole tile

    def add(self, leaves: bytes, tiles: dict[int, bytes]) -> None:
        """The next leaves, with the hashes over the whole tiles among them as far as somebody has made them, by tile."""
        self._leaves.write(leaves)
        self.size += len(leaves) // HASH
        data = self._open + leaves
        for first in range(0, len(data) - WIDTH * HASH + 1, WIDTH * HASH):
            self._tile(tiles.get(len(self._tiles[0])) or over(data[first : first + WIDTH * HASH]))
        self._open = data[len(data) - len(data) % (WIDTH * HASH) :]

    def _tile(self, hash: bytes) -> None:
        level = 0
        self._tiles[0].append(hash)
        while len(self._tiles[level]) % 2 == 0:
            if level + 1 == len(self._tiles):
                self._tiles.append([])
            self._tiles[level + 1].append(_sha256(b"\x01" + self._tiles[level][-2] + self._tiles[level][-1]).digest())
            level += 1

    def leaves(self, first: int, count: int) -> list[bytes]:
        """The hashes of some entries."""
        self._leaves.seek(first * HASH)
        data = self._leaves.read(count * HASH)
        self._leaves.seek(0, os.SEEK_END)
        return each(data)

    def root(self, size: int) -> bytes:
        """The root over the first entries."""
        whole, rest = divmod(size, WIDTH)
        found = fold(self.leaves(whole * WIDTH, rest)) if rest else None
        for level, row in enumerate(self._tiles):  # the smallest subtree first
            if whole >> level & 1:
                left = row[(whole >> level) - 1]
                found = left if found is None else _sha256(b"\x01" + left + found).digest()
        return EMPTY if found is None else found

    def tile(self, level: int, index: int) -> bytes:
        """The hashes that a tile of the log has (C2SP tlog-tiles)."""
        if level == 0:
            return b"".join(self.leaves(index * WIDTH, WIDTH))
        height = 8 * (level - 1)
        row = self._tiles[height] if height < len(self._tiles) else []
        return b"".join(row[index * WIDTH : (index + 1) * WIDTH])

    def against(self, standings: Iterable[Standing], name: str, found: Findings) -> None:
        """Whether what others hold of this log is in it, as it was."""
        held, roots = 0, dict[int, bytes]()
        for one in sorted(standings, key=lambda standing: standing.checkpoint.size):
            there = one.checkpoint.size
            if there > self.size:
                found.fault("shorter", name, f"{one.place} was signed over {there} entries; here are {self.size}")
                continue
            if one.index is not None and self.leaves(one.index, 1) != [one.leaf]:
                found.fault("rewritten", f"entry {one.index}", f"it is not the entry that {one.place} proves")
            if there not in roots:
                roots = {there: self.root(there)}
            if roots[there] == one.checkpoint.root:
                held = there
            else:
                since = f"; the first {held} entries are as they were signed" if held else ""
                found.fault("rewritten", name, f"the first {there} entries are not those that {one.place} was signed over{since}")


def over(leaves: bytes) -> bytes:
    """The hash over a whole tile's leaves."""
    return fold(each(leaves))


def each(data: bytes) -> list[bytes]:
    """The hashes that stand one after the other."""
    return [data[i : i + HASH] for i in range(0, len(data), HASH)]
