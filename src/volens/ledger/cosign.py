"""Signatures under a checkpoint as those who did not make it read them: the log's, and those of its witnesses (C2SP signed-note,
tlog-checkpoint, tlog-cosignature). What the witness and the publisher share; ``verify.py`` reads the same formats on its own.

A witness's cosignature says: at this time, this was the largest tree of this log that I have seen, and it continues the one before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from volens.errors import KeyFileError, SignedNoteError

LOG, WITNESS = 0x01, 0x04
"""Signature types: Ed25519 over the note's text; a cosignature with its time."""
MAX_NOTE = 16_384
"""Bytes of a note that is read: far more than a checkpoint with 16 signatures, post-quantum ones left aside."""
MAX_SIZE = 1 << 62
"""Entries of the largest tree that is believed."""
SECRET = "PRIVATE+KEY"

_NAME = re.compile(r"[^\s+\x00-\x20\x7f]{1,255}")
_LINE = re.compile(r"— ([^ ]+) ([A-Za-z0-9+/]+={0,2})")
_COUNT = re.compile(r"0|[1-9][0-9]{0,18}")


def base64_of(text: str) -> bytes:
    """Standard base64 in its one spelling (RFC 4648 §4); raises ValueError."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise ValueError("base64 with stray bits")
    return data


def in_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 §4), as C2SP notes have it."""
    return base64.b64encode(data).decode()


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Four bytes that tell the keys of one name apart."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A verifier key: ``name+id+base64(kind, public)``."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """The key that ``text`` writes; raises SignedNoteError."""
        name, _, rest = text.strip().partition("+")
        short, _, encoded = rest.partition("+")
        remedy = "Copy the whole line: a name, '+', eight digits, '+', the key in base64."
        if not _NAME.fullmatch(name) or not re.fullmatch(r"[0-9a-f]{8}", short):
            raise SignedNoteError(f"{text[:300]!r} is no verifier key. {remedy}")
        try:
            data = base64_of(encoded)
        except ValueError as error:
            raise SignedNoteError(f"the key of {name!r} is {error}. {remedy}") from None
        if len(data) != 33 or data[0] not in (LOG, WITNESS):
            raise SignedNoteError(f"the key of {name!r} is of a kind not known here: Ed25519 of a log (1) or of a witness (4) is.")
        if key_id(name, data[0], data[1:]).hex() != short:
            raise SignedNoteError(f"the key of {name!r} has not the id {short}: a letter of it was changed. {remedy}")
        return cls(name, data[0], data[1:])

    @property
    def id(self) -> bytes:
        return key_id(self.name, self.kind, self.public)

    @property
    def text(self) -> str:
        """The verifier key as people hand it on: ``name+id+base64`` (C2SP signed-note)."""
        return f"{self.name}+{self.id.hex()}+{in_base64(bytes([self.kind]) + self.public)}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: so many entries, and the root over them."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A note taken apart. Nothing in it is true before a signature is verified."""

    text: str
    """What is signed, with its last line break."""
    signatures: tuple[tuple[str, bytes, bytes], ...]
    """Name, id of the key, and signature, of each line."""
    lines: tuple[str, ...]
    """The same lines as they stand, without line break."""

    @classmethod
    def parse(cls, note: str) -> SignedNote:
        """A note as it was received. Raises SignedNoteError where it is too long, or has not the form of C2SP signed-note."""
        if len(note) > MAX_NOTE or any(c < " " and c != "\n" for c in note):
            raise SignedNoteError(f"a note of {len(note)} characters: longer than {MAX_NOTE}, or with control characters.")
        text, empty, rest = note.rpartition("\n\n")
        if not empty or not rest.endswith("\n"):
            raise SignedNoteError("no signed note: an empty line, and after it lines that end, are missing.")
        found, lines = [], rest[:-1].split("\n")
        for line in lines:
            match = _LINE.fullmatch(line)
            try:
                data = base64_of(match[2]) if match else b""
            except ValueError:
                data = b""
            if match is None or not _NAME.fullmatch(match[1]) or len(data) < 5:
                raise SignedNoteError(f"{line[:100]!r} is no signature line: '— name base64'.")
            found.append((match[1], data[:4], data[4:]))
        return cls(text + "\n", tuple(found), tuple(lines))

    @property
    def checkpoint(self) -> Checkpoint:
        """The text read as a checkpoint; raises SignedNoteError."""
        lines = self.text[:-1].split("\n")
        if len(lines) < 3 or not all(lines) or not _COUNT.fullmatch(lines[1]) or int(lines[1]) > MAX_SIZE:
            raise SignedNoteError("no checkpoint: its lines are the log's name, the number of entries, and the root.")
        try:
            root = base64_of(lines[2])
        except ValueError as error:
            raise SignedNoteError(f"no checkpoint: the root is {error}.") from None
        if len(root) != 32:
            raise SignedNoteError(f"no checkpoint: a root has 32 bytes, not {len(root)}.")
        return Checkpoint(lines[0], int(lines[1]), root)

    def signed_by(self, key: PublicKey) -> bool:
        """Whether a signature of this key stands under it and holds. Raises SignedNoteError where one stands there and does not."""
        return self._found(key) is not None

    def cosigned_by(self, key: PublicKey) -> int | None:
        """When this witness signed it, in seconds since 1970; None: it did not. Raises as ``signed_by``."""
        found = self._found(key)
        return struct.unpack(">Q", found[1][:8])[0] if found is not None and key.kind == WITNESS else None

    def line_of(self, key: PublicKey) -> str | None:
        """The line with this key's signature, which holds; raises as ``signed_by``."""
        found = self._found(key)
        return None if found is None else found[0]

    def _found(self, key: PublicKey) -> tuple[str, bytes] | None:
        for line, (name, id, signature) in zip(self.lines, self.signatures, strict=True):
            if name == key.name and id == key.id:
                try:
                    if key.kind == WITNESS:
                        if len(signature) != 72 or signature[0] & 0x80:
                            raise InvalidSignature
                        signed = _dated(struct.unpack(">Q", signature[:8])[0], self.text)
                        Ed25519PublicKey.from_public_bytes(key.public).verify(signature[8:], signed)
                    else:
                        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, self.text.encode())
                except (InvalidSignature, ValueError):
                    raise SignedNoteError(f"the signature of {key.name!r} is not over this text.") from None
                return line, signature
        return None


def _dated(time: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def with_lines(note: str, lines: Iterable[str]) -> str:
    """``note`` with further signature lines, those it has left out."""
    there = note.rpartition("\n\n")[2].split("\n")
    return note + "".join(f"{line}\n" for line in dict.fromkeys(lines) if line not in there)


class WitnessKey:
    """The key of a witness. Its secret is in no text it gives but ``secret_text``."""

    __slots__ = ("_key", "_seed", "name", "public")

    def __init__(self, name: str, seed: bytes) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:300]!r} cannot name a key: it is empty, too long, or has a space or '+'.")
        self.name, self._seed = name, seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PublicKey(name, WITNESS, self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def __repr__(self) -> str:
        return f"WitnessKey({self.public.text!r})"

    def cosign(self, text: str, time: int) -> str:
        """The signature line, with its line break, for a checkpoint's text."""
        signature = struct.pack(">Q", time) + self._key.sign(_dated(time, text))
        return f"— {self.name} {in_base64(self.public.id + signature)}\n"

    def secret_text(self) -> str:
        """The secret key as the one line of its file: ``PRIVATE+KEY+name+id+base64``, the form of Go’s sumdb/note."""
        return f"{SECRET}+{self.name}+{self.public.id.hex()}+{in_base64(bytes([WITNESS]) + self._seed)}"

    @classmethod
    def open(cls, path: Path, name: str) -> WitnessKey:
        """The key in the file; a file that is missing is made, mode 0600. Raises KeyFileError where it holds something else."""
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            try:
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
                    file.write(cls(name, secrets.token_bytes(32)).secret_text() + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                with suppress(FileExistsError):  # another process made it in this moment
                    os.link(draft, path)
                text = path.read_text("utf-8")
            except OSError as error:
                raise KeyFileError(f"{path}: could not be made: {error}. A witness signs with a key that it keeps there.") from error
            finally:
                draft.unlink(missing_ok=True)
        except (OSError, UnicodeDecodeError) as error:
            raise KeyFileError(f"{path}: cannot be read: {error}. Give the file back, or name another with key = ….") from error
        return cls._of(text, path, name)

    @classmethod
    def _of(cls, text: str, path: Path, name: str) -> WitnessKey:
        remedy = "Give the file back as it was; a new key would be another witness, whom nobody has been told of."
        parts = text.strip().split("+", 4)
        try:
            data = base64_of(parts[4]) if len(parts) == 5 else b""
        except ValueError:
            data = b""
        if "+".join(parts[:2]) != SECRET or len(data) != 33 or data[0] != WITNESS:
            raise KeyFileError(f"{path}: holds no key of a witness. {remedy}")
        if parts[2] != name:
            raise KeyFileError(
                f"{path}: is the key of {parts[2]!r}, and the witness is called {name!r}. Write that name, or another key file."
            )
        key = cls(name, data[1:])
        if key.public.id.hex() != parts[3]:
            raise KeyFileError(f"{path}: the key is damaged: it has not the id {parts[3]}. {remedy}")
        return key
