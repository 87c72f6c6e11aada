"""The keys of a site's log while its file changes: read again when it does, and replaced without a checkpoint that nobody can verify.

After ``volens keys rotate --log`` the new key signs, and the one before signs what is published too, so that whoever knows only that one
sees the new one vouched for, and a witness goes on. ``drop`` takes the secret of the old one away; its public half stays in the
file and is published, for the checkpoints that it has signed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from volens.errors import ConfigError, KeyFileError, Mistake
from volens.ledger.note import LogKey, LogKeys, open_log_keys, origin, read_log_keys, write_log_keys

log = logging.getLogger("volens.ledger")

ENVIRONMENT = "VOLENS_LOG_KEY"
"""Holds the lines of the key file, with commas between them; no file is read or made then."""


class Keyring:
    """A ``store.Signer``: from a site's name to the keys of its log. Safe to call from any thread; a file that changes is read again."""

    def __init__(self, path: Path, *, text: str | None = None) -> None:
        self._path, self._text = path, text
        self._lock = threading.Lock()
        self._held: dict[str, tuple[tuple[int, int, int], LogKeys]] = {}

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Keyring:
        """The keys that the environment gives, else those of the file."""
        return cls(Path(path), text=os.environ.get(ENVIRONMENT) or None)

    def __call__(self, site: str) -> LogKeys:
        """The keys of that site's log, made where there is no file; raises KeyFileError."""
        with self._lock:
            state, held = self._held.get(site, ((-1, -1, -1), None))
            now = self._state()
            if held is None:
                held = open_log_keys(self._path, origin(site), self._text)
                self._held[site] = (self._state() or (0, 0, 0), held)
            elif now != state and now is not None:  # a file that goes away is no reason to sign with another key
                try:
                    held = open_log_keys(self._path, origin(site), self._text)
                except KeyFileError as error:
                    log.error("the keys of the log changed and cannot be used; those before go on. %s", error)
                self._held[site] = (now, held)
            return held

    def _state(self) -> tuple[int, int, int] | None:
        if self._text is not None:
            return 0, 0, 0
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


class Demonstration:
    """Keys for every site without a configuration, made of one secret: its records are never valid as proof."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __call__(self, site: str) -> LogKeys:
        seed = hashlib.sha256(b"volens-demonstration-log/1" + self._secret + site.encode("utf-8", "replace")).digest()
        return LogKeys((LogKey(origin(site), seed),))


def change(path: Path, site: str, action: str) -> None:
    """``rotate`` or ``drop``. All or nothing: a process that reads meanwhile sees the file before or after. Raises ConfigError."""
    if os.environ.get(ENVIRONMENT):
        found = f"the key is in the environment ({ENVIRONMENT}), where no command can change it."
        raise _wrong(path, found, "Put another line before it there, a comma between, and restart.")
    keys = describe(path, site)
    if not keys:
        raise _wrong(path, "is not there.", "It is made when Volens first runs.")
    held = read_log_keys(path.read_text("utf-8"), origin(site), str(path))
    if action == "rotate":
        made = LogKeys((LogKey.new(origin(site)), held.keys[0]), (*(key.vkey for key in held.keys[1:]), *held.retired))
    elif action == "drop":
        if len(held.keys) < 2:
            raise _wrong(path, "has no key but the one that signs.", "Put another in its place first: volens keys rotate --log.")
        made = LogKeys(held.keys[:1], (*(key.vkey for key in held.keys[1:]), *held.retired))
    else:
        raise _wrong(path, f"'{action}' is not done with the keys of a log.", "Use list, rotate or drop: every machine gets the same file.")
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_log_keys(draft, made.keys, made.retired)
        mode = path.stat()
        os.chmod(draft, mode.st_mode & 0o777)
        with suppress(PermissionError):
            os.chown(draft, mode.st_uid, mode.st_gid)
        os.replace(draft, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _wrong(path, f"cannot be written: {error}.", "Nothing was changed; see that this user may write there.") from error
    finally:
        draft.unlink(missing_ok=True)


def describe(path: Path, site: str) -> list[dict[str, Any]]:
    """The keys without their secrets, for a person or a machine; none where none was ever made."""
    text = os.environ.get(ENVIRONMENT) or None
    try:
        held = read_log_keys(text.replace(",", "\n") if text else path.read_text("utf-8"), origin(site), ENVIRONMENT if text else str(path))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path}: cannot be read: {error}.") from error
    does = ["signs", "signs too", *["verifies"] * len(held.vkeys)]
    rows = [*zip((key.vkey for key in held.keys), does, strict=False), *((vkey, "verifies") for vkey in held.retired)]
    return [{"key": vkey, "id": vkey.split("+")[1], "does": done} for vkey, done in rows]


def _wrong(path: Path, found: str, remedy: str) -> ConfigError:
    return ConfigError(str(path), (Mistake("log key", found, remedy),))
