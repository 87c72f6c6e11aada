"""The Merkle tree of a log, writing side: hashes, growing by a batch, proofs from stored tiles (RFC 6962 §2.1, C2SP tlog-tiles).

A *node* is named by level and index: level 0 are the leaves, node ``(level, i)`` is whole once ``(i + 1) << level`` leaves are there.
Who appends keeps only the *edge*: the hashes of the whole subtrees that the size is made of, one for each bit of it. Who proves
reads *tiles*: 256 hashes of one level, the levels 0, 8, 16, …

The verifying side is ``verify.py``, and shares nothing with this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HASH = 32
"""Bytes of a hash: SHA-256."""
HEIGHT = 8
"""Levels of a tile."""
WIDTH = 1 << HEIGHT
"""Hashes of a full tile."""
EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves (RFC 6962 §2.1)."""

_sha256 = hashlib.sha256


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one log entry."""
    return _sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return _sha256(b"\1" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Edge:
    """What is needed of a tree to make it grow: its size, and a hash for each bit set in it, that of the largest subtree first."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count() or any(len(h) != HASH for h in self.hashes):
            raise ValueError(f"{len(self.hashes)} hashes cannot be the edge of {self.size} leaves.")

    @property
    def root(self) -> bytes:
        """The root of the whole tree."""
        found = EMPTY
        for n, part in enumerate(reversed(self.hashes)):
            found = node_hash(part, found) if n else part
        return found

    def to_bytes(self) -> bytes:
        """The hashes, one after the other; the size is kept beside them."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Edge:
        """What ``to_bytes`` wrote; raises ValueError."""
        return cls(size, tuple(data[i : i + HASH] for i in range(0, len(data), HASH)))


class Growth:
    """A tree that has grown by a batch: its new edge and root, the new whole nodes, and a proof for each leaf of the batch.

    Nothing of the old tree is read but its edge: a new leaf's path meets old nodes only where the batch began, and those are the edge.
    """

    __slots__ = ("_first", "_levels", "before", "edge", "root")

    def __init__(self, before: Edge, leaves: Sequence[bytes]) -> None:
        self.before = before
        old, size = before.size, before.size + len(leaves)
        remaining = list(before.hashes)  # of the largest subtree first: the smallest is popped first
        first, row = old, list(leaves)
        firsts: list[int] = []
        levels: list[list[bytes]] = []
        parts: list[bytes] = []  # the new edge, the smallest subtree first
        level = 0
        while row or remaining:
            if old >> level & 1:
                row.insert(0, remaining.pop())
                first -= 1
            firsts.append(first)
            levels.append(row)
            if size >> level & 1:
                parts.append(row[-1])
            row = [_sha256(b"\1" + row[i] + row[i + 1]).digest() for i in range(0, len(row) - 1, 2)]
            first >>= 1
            level += 1
        self._first, self._levels = firsts, levels
        self.edge = Edge(size, tuple(reversed(parts)))
        self.root = self.edge.root

    def whole(self, level: int) -> tuple[int, list[bytes]]:
        """The nodes of a level that this batch made whole: the index of the first, and their hashes."""
        if level >= len(self._levels):
            return self.edge.size >> level, []
        start = self.before.size >> level
        return start, self._levels[level][start - self._first[level] :]

    def path(self, index: int) -> list[bytes]:
        """The inclusion proof of a leaf of this batch in the new tree, the lowest hash first (RFC 6962 §2.1.1)."""
        size = self.edge.size
        if not self.before.size <= index < size:
            raise IndexError(f"leaf {index} is not among {self.before.size} to {size - 1}.")
        found: list[bytes] = []
        rest: bytes | None = None  # the hash over what lies right of the last whole node of this level
        for level, row in enumerate(self._levels):
            beside = index >> level ^ 1
            if beside + 1 <= size >> level:
                found.append(row[beside - self._first[level]])
            elif beside << level < size and rest is not None:
                found.append(rest)
            if size >> level & 1:
                last = row[-1]
                rest = last if rest is None else node_hash(last, rest)
        return found


ReadTile = Callable[[int, int], bytes]
"""Reads the hashes a tile has by now, from its level (of tiles, not of nodes) and index: up to 256 of 32 bytes."""


class Tiles:
    """A tree of ``size`` leaves as its tiles are kept; reads each at most once. ``read`` may give more hashes than the size has."""

    def __init__(self, size: int, read: ReadTile) -> None:
        self.size = size
        self._read = read
        self._tiles: dict[tuple[int, int], bytes] = {}

    def node(self, level: int, index: int) -> bytes:
        """The hash of a whole node; raises LookupError where a tile lacks it."""
        tier, inside = divmod(level, HEIGHT)
        count = 1 << inside
        tile, place = divmod(index * count, WIDTH)
        if (tier, tile) not in self._tiles:
            self._tiles[tier, tile] = self._read(tier, tile)
        data = self._tiles[tier, tile][place * HASH : (place + count) * HASH]
        if len(data) != count * HASH or (index + 1) << level > self.size:
            raise LookupError(f"tile {tier}/{tile} has {len(self._tiles[tier, tile]) // HASH} hashes; node {level}/{index} needs more.")
        while len(data) > HASH:
            data = b"".join([_sha256(b"\1" + data[i : i + 2 * HASH]).digest() for i in range(0, len(data), 2 * HASH)])
        return data

    def span(self, first: int, end: int) -> bytes:
        """The hash over the leaves ``first`` to ``end`` (not included), as a subtree of the RFC's: MTH(D[first:end])."""
        count = end - first
        if count < 1:
            return EMPTY
        level = (count - 1).bit_length()
        if count == 1 << level:
            return self.node(level, first >> level)
        left = first + (1 << level - 1)
        return node_hash(self.span(first, left), self.span(left, end))

    def root(self, size: int | None = None) -> bytes:
        """The root, also of an earlier size."""
        return self.span(0, self.size if size is None else size)

    def edge(self) -> Edge:
        """What is needed to make the tree grow."""
        hashes, first = [], 0
        for level in range(self.size.bit_length() - 1, -1, -1):
            if self.size >> level & 1:
                hashes.append(self.node(level, first >> level))
                first += 1 << level
        return Edge(self.size, tuple(hashes))

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The proof that leaf ``index`` is in the tree of ``size`` leaves, the lowest hash first (RFC 6962 §2.1.1)."""
        size = self.size if size is None else size
        if not 0 <= index < size <= self.size:
            raise IndexError(f"leaf {index} in a tree of {size}, of which {self.size} are kept.")
        found: list[bytes] = []
        first, end = 0, size
        while end - first > 1:
            middle = first + (1 << (end - first - 1).bit_length() - 1)
            if index < middle:
                found.append(self.span(middle, end))
                end = middle
            else:
                found.append(self.span(first, middle))
                first = middle
        return found[::-1]

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """The proof that the tree of ``old`` leaves begins that of ``size`` (RFC 6962 §2.1.2); empty where old is 0 or size."""
        size = self.size if size is None else size
        if not 0 <= old <= size <= self.size:
            raise IndexError(f"from {old} to {size} leaves, of which {self.size} are kept.")
        if old in (0, size):
            return []
        found: list[bytes] = []
        first, end, known = 0, size, True  # known: the subtree of the old leaves is the old tree itself, which the reader has
        while old != end:
            middle = first + (1 << (end - first - 1).bit_length() - 1)
            if old <= middle:
                found.append(self.span(middle, end))
                end = middle
            else:
                found.append(self.span(first, middle))
                first, known = middle, False
        if not known:
            found.append(self.span(first, end))
        return found[::-1]
