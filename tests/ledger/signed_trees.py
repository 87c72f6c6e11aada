"""Logs without a store, for those who read checkpoints and proofs from outside: entries in memory, signed heads of any size."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from volens.ledger.note import LogKey, checkpoint, origin
from volens.ledger.tree import WIDTH, Tiles, leaf_hash, node_hash

SITE = "www.journal.example"


class Log:
    """A tree over entries, whoever signs it."""

    def __init__(self, key: LogKey, entries: Sequence[bytes], site: str = SITE) -> None:
        self.key, self.origin = key, origin(site)
        self.levels = [[leaf_hash(entry) for entry in entries]]
        while len(self.levels[-1]) > 1:
            row = self.levels[-1]
            self.levels.append([node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)])

    @classmethod
    def of(cls, size: int, key: LogKey | None = None, entry: str = "entry") -> Log:
        """Of so many entries, each with ``entry`` and its number."""
        return cls(key or LogKey.new(origin(SITE)), [f"{entry} {n}".encode() for n in range(size)])

    def tree(self, size: int) -> Tiles:
        def read(level: int, tile: int) -> bytes:
            row = self.levels[level * 8] if level * 8 < len(self.levels) else []
            return b"".join(row[tile * WIDTH : (tile + 1) * WIDTH])

        return Tiles(size, read)

    def note(self, size: int) -> str:
        """The signed checkpoint of the first ``size`` entries."""
        return self.key.sign(checkpoint(self.origin, size, self.tree(size).root()))

    def proof(self, old: int, size: int) -> list[bytes]:
        return self.tree(size).consistency(old)

    def request(self, old: int, size: int, proof: Sequence[bytes] | None = None) -> bytes:
        """The body of ``add-checkpoint``."""
        hashes = self.proof(old, size) if proof is None else proof
        return "".join([f"old {old}\n", *(base64.b64encode(h).decode() + "\n" for h in hashes), "\n", self.note(size)]).encode()
