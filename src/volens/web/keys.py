"""The file of keys that prove a grant: the first signs, all verify. Shared by the workers and machines of one site.

One key a line: 64 hexadecimal digits, then words that a person reads and ``volens keys`` writes: ``made=DAY``,
``until=DAY`` (when another took its place) or ``waiting`` (it verifies and does not sign yet). Several machines change
keys in two steps, so that none meets a tag it cannot verify: ``add``, copy the file, ``use``, copy it again.
Running processes read the file again by themselves.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from volens.choice import expires
from volens.errors import ConfigError, Mistake


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the file."""

    secret: bytes
    made: str = ""
    """The day, ISO 8601; empty where the file does not say."""
    until: str = ""
    """The day on which it stopped signing."""
    waiting: bool = False

    @property
    def id(self) -> str:
        """What names it without telling it: eight digits of its SHA-256."""
        return hashlib.sha256(b"volens-key-id/1" + self.secret).hexdigest()[:8]

    def line(self) -> str:
        """As the file holds it."""
        words = [self.secret.hex(), *([f"made={self.made}"] if self.made else []), *([f"until={self.until}"] if self.until else [])]
        return " ".join([*words, *(["waiting"] if self.waiting else [])])


def new_key() -> bytes:
    """A key for record tags: 32 random bytes."""
    return secrets.token_bytes(32)


def read(path: Path) -> tuple[Key, ...]:
    """The keys of the file, the one that signs first. Raises ConfigError where it is there and isn't that: a new key instead
    would void every grant; FileNotFoundError where there is none."""
    try:
        lines = [line.split() for line in path.read_text("ascii").splitlines() if line.strip()]
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, f"cannot be read: {error}.", "Give the file back, or name another with keys = ….") from error
    remedy = "One key a line, 64 hexadecimal digits, the one that signs first."
    found = []
    for number, words in enumerate(lines, 1):
        try:
            secret = bytes.fromhex(words[0])
        except ValueError as error:
            raise _wrong(path, f"line {number} does not hold a record key ({error}).", remedy) from error
        told = dict(word.partition("=")[::2] for word in words[1:])
        if len(secret) != 32 or not told.keys() <= {"made", "until", "waiting"}:
            raise _wrong(path, f"line {number} does not hold a record key (32 bytes, then made=, until= or waiting).", remedy)
        found.append(Key(secret, told.get("made", ""), told.get("until", ""), "waiting" in told))
    if all(key.waiting for key in found):
        raise _wrong(path, "holds no key that signs.", remedy)
    return tuple(sorted(found, key=lambda key: key.waiting))


def open_keys(path: Path) -> tuple[bytes, ...]:
    """The secrets, the one that signs first; made with one where the file is missing. Raises ConfigError."""
    try:
        return tuple(key.secret for key in read(path))
    except FileNotFoundError:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # whole before others see it
        try:
            _fill(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), [Key(new_key())])
            with suppress(FileExistsError):  # another worker made it in this moment
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        return tuple(key.secret for key in read(path))


def change(path: Path, action: str, today: date, months: int, *, force: bool = False) -> None:
    """``add``, ``use``, ``rotate`` or ``drop``. Raises ConfigError where that would void grants, unless told to with ``force``."""
    try:
        keys = list(read(path))
    except FileNotFoundError:
        raise _wrong(path, "is not there.", "It is made when Volens first runs.") from None
    day = today.isoformat()
    if action in ("add", "rotate"):
        keys.append(Key(new_key(), made=day, waiting=True))
    if action in ("use", "rotate"):
        if not keys[-1].waiting:
            raise _wrong(path, "has no key that waits.", "Make one: volens keys add.")
        keys = [replace(keys[-1], waiting=False), replace(keys[0], until=day), *keys[1:-1]]
    if action == "drop":
        signing = [key for key in keys if not key.waiting]
        if len(signing) < 2:
            raise _wrong(path, "has no key but the one that signs.", "Put another in its place first: volens keys rotate.")
        oldest = signing[-1]
        if not force and (not oldest.until or expires(date.fromisoformat(oldest.until), months) >= today):
            raise _wrong(
                path,
                f"key {oldest.id} signed until {oldest.until or 'a day the file does not say'}: there are choices younger than {months} "
                "months that only it proves. Without it their visitors are asked again.",
                "Wait until they have expired, or say --force.",
            )
        keys.remove(oldest)
    _write(path, keys)


def describe(path: Path) -> list[dict[str, Any]]:
    """The keys without their secrets, for a person or a machine."""
    try:
        found = read(path)
    except FileNotFoundError:
        return []
    does = ["waits" if key.waiting else "verifies" if index else "signs" for index, key in enumerate(found)]
    return [{"id": key.id, "does": does, "made": key.made, "until": key.until} for key, does in zip(found, does, strict=True)]


def _write(path: Path, keys: Iterable[Key]) -> None:
    """All or nothing: a process that reads meanwhile sees the file before or after."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        _fill(handle, keys)
        if path.exists():
            mode = path.stat()
            os.chmod(beside, mode.st_mode & 0o777)
            with suppress(PermissionError):
                os.chown(beside, mode.st_uid, mode.st_gid)
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise _wrong(path, f"cannot be written: {error}.", "Nothing was changed; see that this user may write there.") from error


def _fill(handle: int, keys: Iterable[Key]) -> None:
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write("".join(key.line() + "\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())


def _wrong(path: Path, found: str, remedy: str) -> ConfigError:
    return ConfigError(str(path), (Mistake("keys", found, remedy),))
