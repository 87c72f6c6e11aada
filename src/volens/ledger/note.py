"""Checkpoints, and the signatures under them (C2SP signed-note, tlog-checkpoint): the log's own key, writing side.

A note is a text that ends in a line break, an empty line, then a line for each signature: ``— <name> <base64 of key id and
signature>``. A checkpoint is a note whose text says: the log's origin, how many entries, the root over them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from volens.errors import KeyFileError, SignedNoteError
from volens.ledger.cosign import PublicKey

ED25519 = b"\x01"
"""The signature type of a log (signed-note)."""
PRIVATE = "PRIVATE+KEY"


def origin(site: str) -> str:
    """The name of a site's log, and of the key that signs it."""
    return f"{site}/volens"


def key_id(name: str, kind: bytes, public: bytes) -> bytes:
    """Four bytes that tell keys of one name apart (signed-note, *Key ID*)."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:4]


class LogKey:
    """An Ed25519 key that signs as ``name``. Its secret is in no text it gives but ``secret_text``."""

    __slots__ = ("_key", "_prefix", "_seed", "name", "public")

    def __init__(self, name: str, seed: bytes) -> None:
        if not name or "+" in name or any(c.isspace() for c in name):
            raise ValueError(f"{name!r} cannot name a key: it is empty, or has a space or '+'.")
        self.name = name
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._prefix = key_id(name, ED25519, self.public)

    def __repr__(self) -> str:
        return f"LogKey({self.vkey!r})"

    @classmethod
    def new(cls, name: str) -> LogKey:
        """A key made by chance."""
        return cls(name, secrets.token_bytes(32))

    @property
    def vkey(self) -> str:
        """The public key as verifiers take it: ``name+id+key``."""
        return f"{self.name}+{self._prefix.hex()}+{_b64(ED25519 + self.public)}"

    def line(self, text: bytes) -> str:
        """The signature line for a note's text, with its line break."""
        return f"— {self.name} {_b64(self._prefix + self._key.sign(text))}\n"

    def sign(self, text: str) -> str:
        """The signed note of a text that ends in a line break."""
        return f"{text}\n{self.line(text.encode())}"

    def secret_text(self) -> str:
        """The one line that a key file holds: ``PRIVATE+KEY+name+id+key``."""
        return f"{PRIVATE}+{self.name}+{self._prefix.hex()}+{_b64(ED25519 + self._seed)}"

    @classmethod
    def from_secret(cls, line: str) -> LogKey:
        """Read what ``secret_text`` wrote; raises ValueError, whose text does not repeat the secret."""
        parts = line.strip().split("+", 4)
        if len(parts) != 5 or "+".join(parts[:2]) != PRIVATE:
            raise ValueError("not of the form PRIVATE+KEY+name+id+key")
        name, short, secret = parts[2:]
        try:
            data = base64.b64decode(secret, validate=True)
        except ValueError:
            raise ValueError("the key is not base64") from None
        if data[:1] != ED25519 or len(data) != 33:
            raise ValueError("not an Ed25519 key")
        key = cls(name, data[1:])
        if key._prefix.hex() != short:
            raise ValueError(f"the id {short!r} is not that of the key")
        return key


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The keys of one log, the one that signs first; the others once did. After a change the new and the one before sign for a while."""

    keys: tuple[LogKey, ...]
    retired: tuple[str, ...] = ()
    """Verifier keys that have signed and whose secret is gone, the newest first."""

    @property
    def vkeys(self) -> tuple[str, ...]:
        """For verifiers, the newest first."""
        return (*(key.vkey for key in self.keys), *self.retired)

    def sign(self, text: str, *, both: bool = False) -> str:
        """The signed note; ``both``: by the key before, too, which so vouches for the new one."""
        return f"{text}\n" + "".join(key.line(text.encode()) for key in self.keys[: 2 if both else 1])


def checkpoint(name: str, size: int, root: bytes) -> str:
    """A checkpoint's text, without signatures (tlog-checkpoint)."""
    return f"{name}\n{size}\n{_b64(root)}\n"


def open_log_keys(path: Path, name: str, text: str | None = None) -> LogKeys:
    """The keys in ``text`` (what an environment gave), else those of the file; a file that is missing is made, with mode 0600.

    Raises KeyFileError where it holds something else: a new key instead would make a second log of the same name.
    """
    if text is not None:
        return read_log_keys(text.replace(",", "\n"), name, "VOLENS_LOG_KEY")
    with suppress(FileNotFoundError):
        return read_log_keys(_read(path), name, str(path))
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # whole before others see it
    try:
        write_log_keys(draft, [LogKey.new(name)])
        with suppress(FileExistsError):  # another worker made it in this moment
            os.link(draft, path)
    except OSError as error:
        raise KeyFileError(f"{path}: could not be made: {error}. Volens signs its log with a key that it keeps there.") from error
    finally:
        draft.unlink(missing_ok=True)
    return read_log_keys(_read(path), name, str(path))


def read_log_keys(text: str, name: str, where: str) -> LogKeys:
    """The keys in a text, one a line, the one that signs first; raises KeyFileError."""
    found, retired = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        if line.startswith(f"{name}+"):
            try:
                retired.append(PublicKey.parse(line).text)
            except SignedNoteError as error:
                raise KeyFileError(f"{where}: line {number}: {error}") from None
            continue
        try:
            key = LogKey.from_secret(line)
        except ValueError as error:
            raise KeyFileError(f"{where}: line {number} holds no key of a log: {error}. Give the file back as it was.") from None
        if key.name != name:
            raise KeyFileError(f"{where}: line {number} is the key of {key.name!r}, not of {name!r}. Each site's log has its own.")
        found.append(key)
    if not found:
        raise KeyFileError(f"{where}: holds no key. Give the file back as it was, or remove it where no log was ever signed.")
    return LogKeys(tuple(found), tuple(retired))


def write_log_keys(path: Path, keys: Iterable[LogKey], retired: Iterable[str] = ()) -> None:
    """A new file, mode 0600, durable on return; raises OSError where there is one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in (*(key.secret_text() for key in keys), *retired)))
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path}: cannot be read: {error}. Give the file back, or name another with [proof] key = ….") from error


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
