"""Inputs for the readers of the verifier: what is right, spoilt at random and always the same way by its number."""

from __future__ import annotations

import json
import random
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from logs import KEY, WITNESS, copied, grown, written

from volens.ledger.verify import (
    Malformed,
    Trust,
    check,
    check_document,
    read_checkpoint,
    read_consistency,
    read_json,
    read_key,
    read_keys,
    read_note,
)
from volens.ledger.verify_archive import Lines, check_archive, check_lines
from volens.ledger.verify_folder import check_folder

SLOW = 2.0
"""Seconds that no input may take."""
TRUST = Trust.of([read_key(KEY.vkey)], [read_key(WITNESS.public.text)])
TOKENS = [
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"\\u",
        b"\\ud800",
        b"\n",
        b"\n\n",
        b"\r",
        b"\0",
        b"\xff",
        b"\xc3",
        "— ".encode(),
        b"+",
        b"=",
        b" ",
    ),
    *(b"null", b"true", b"1e999", b"-0", b"9" * 30, b"0.5", b"NaN", b"[" * 400, b'{"a":' * 400, b"A" * 300, b"old ", b"volens-receipt/1"),
    *(
        b'"proof"',
        b'"index"',
        b'"i"',
        b'"entry"',
        b'"record"',
        b'"erased"',
        b'"checkpoints"',
        b'"notice"',
        b"\x1f\x8b",
        b"9007199254740993",
    ),
]


class Inputs:
    """Seeds of every kind, and a reader for each."""

    def __init__(self, folder: Path) -> None:
        log = grown(40)
        log.published = [log.head(10, WITNESS)]
        self.folder = folder
        archive = written(folder / "archive", log.lines()).read_bytes()
        packed = written(folder / "packed", log.lines(), packed=True).read_bytes()
        copied(folder / "copy", log)
        self._files = [path for path in sorted((folder / "copy").rglob("*")) if path.is_file()]
        self._whole = {path: path.read_bytes() for path in self._files}
        proof = f"old 20\n\n{log.head()}".encode()
        self.kinds: list[tuple[str, list[bytes], Callable[[bytes], object]]] = [
            ("receipt", [json.dumps(log.receipt(n, size, WITNESS)).encode() for n, size in ((5, 6), (30, 42))], lambda d: check(d, TRUST)),
            ("bundle", [json.dumps(log.bundle(6)).encode()], lambda d: check_document(d, TRUST)),
            ("note", [log.head(9).encode(), log.head(None, WITNESS).encode()], self._note),
            ("keys", [f"{KEY.vkey}\n\n{WITNESS.public.text}\n".encode()], lambda d: read_keys(d.decode("latin-1"))),
            ("proof", [proof], read_consistency),
            ("lines", [archive, b"\n".join(archive.split(b"\n")[1:4])], lambda d: check_lines(Lines("www.example.org", data=d))),
            ("json", [archive.split(b"\n")[0]], read_json),
            ("archive", [archive, packed], self._archive),
            ("copy", [path.read_bytes() for path in self._files], self._copy),
        ]
        self._weights = [30, 10, 25, 10, 8, 6, 8, 2, 1]

    def _note(self, data: bytes) -> None:
        read_note(data)
        read_checkpoint(data)
        check(data, TRUST)

    def _archive(self, data: bytes) -> None:
        path = self.folder / "spoilt"
        path.write_bytes(data)
        check_archive(path, TRUST, processes=1)

    def _copy(self, data: bytes) -> None:
        path = self._files[zlib.crc32(data) % len(self._files)]
        path.write_bytes(data)
        try:
            check_folder(self.folder / "copy", TRUST, processes=1)
        finally:
            path.write_bytes(self._whole[path])

    def run(self, number: int) -> tuple[str, float]:
        """The input of that number: its kind and the seconds it took. Only Malformed may leave a reader."""
        chance = random.Random(number)
        kind, seeds, read = chance.choices(self.kinds, self._weights)[0]
        data = spoil(chance.choice(seeds), chance)
        start = time.perf_counter()
        try:
            read(data)
        except Malformed:
            pass
        except Exception as error:
            raise AssertionError(f"input {number}, a {kind}, of {len(data)} bytes: {data[:2000]!r}") from error
        return kind, time.perf_counter() - start


def spoil(data: bytes, chance: random.Random) -> bytes:
    """One to six changes: bytes, pieces, numbers, what the formats are made of."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(found) + 1)
        end = min(len(found), at + chance.choice((1, 1, 2, 8, 64, len(found))))
        match chance.randrange(8):
            case 0 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                del found[at:end]
            case 2:
                found[at:at] = found[at:end][:4096]
            case 3:
                found[at:at] = chance.choice(TOKENS)
            case 4:
                found[at:end] = chance.choice(TOKENS)
            case 5:
                found[at:end] = chance.randbytes(min(end - at, 64))
            case 6:
                other = chance.randrange(len(found) + 1)
                found[at:at] = found[other : other + 200]
            case _:
                digits = [n for n, byte in enumerate(found) if 0x30 <= byte <= 0x39]
                if digits:
                    found[chance.choice(digits)] = chance.randrange(0x30, 0x3A)
    return bytes(found[: 1 << 20])


def main() -> None:
    """``python fuzzing.py FIRST COUNT FOLDER``: raises at the first that breaks, prints the slowest."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    folder = Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    inputs = Inputs(folder)
    print(max((inputs.run(number) for number in range(first, first + count)), key=lambda one: one[1]))


if __name__ == "__main__":
    main()
