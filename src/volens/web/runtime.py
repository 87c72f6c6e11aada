"""From a configuration to a running gateway: store opened, keys read or made."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from volens.audience.counts import Counts
from volens.catalog import Catalog
from volens.config import Loaded
from volens.errors import ConfigError, Mistake
from volens.ledger.sqlite import SqliteStore
from volens.site import Site
from volens.web.gateway import Gateway, new_key
from volens.web.hooks import read_secrets

TOKEN = 20
"""Characters of the shortest token that is taken."""


def read_keys(path: Path) -> tuple[bytes, ...]:
    """The keys of record tags, newest first, one of 64 hexadecimal digits a line; made with one key where the file is missing.

    Raises ConfigError where the file is there and isn't that: a new key instead would void every grant.
    """
    try:
        lines = path.read_text("ascii").split()
    except FileNotFoundError:
        key = new_key()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        return (key,)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            str(path), (Mistake("keys", f"cannot be read: {error}.", "Give the file back, or name another with keys = …."),)
        ) from error
    try:
        keys = tuple(bytes.fromhex(line) for line in lines)
        if not keys or any(len(key) != 32 for key in keys):
            raise ValueError("not 32 bytes each")
    except ValueError as error:
        remedy = "One key a line, 64 hexadecimal digits, newest first."
        raise ConfigError(str(path), (Mistake("keys", f"does not hold record keys ({error}).", remedy),)) from error
    return keys


def open_gateway(loaded: Loaded) -> Gateway:
    """The gateway of a configured site."""
    try:
        keys = read_keys(Path(loaded.keys))
    except FileExistsError:  # another worker made it in this moment
        keys = read_keys(Path(loaded.keys))
    return Gateway(
        loaded.site,
        Catalog.packaged(),
        SqliteStore(Path(loaded.ledger)),
        keys,
        names=Path(loaded.keys).with_suffix(".names"),
        audience=open_audience(loaded.site, Path(loaded.audience)),
        admin_token=read_token(Path(loaded.admin_token)) if loaded.admin_token else "",
        hook_secrets=read_secrets(Path(loaded.hook_secret)) if loaded.site.hook is not None else (),
    )


def open_audience(site: Site, path: Path) -> Counts | None:
    """Where the page views of a site are counted, if they are."""
    measure = site.audience
    return Counts(path, lambda: datetime.now(UTC).date(), months=measure.months, paths=measure.paths) if measure else None


def read_token(path: Path) -> str:
    """The token that opens the operator's pages; raises ConfigError where there is none, or one that can be guessed."""
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        remedy = "Name a file that holds it: head -c 24 /dev/urandom | base64 > volens.token"
        raise ConfigError(str(path), (Mistake("[admin] token_file", f"cannot be read: {error}.", remedy),)) from error
    if len(token) < TOKEN or not token.isprintable():
        remedy = f"Write {TOKEN} characters or more, made by chance, on one line."
        raise ConfigError(str(path), (Mistake("[admin] token_file", f"holds {len(token)} characters.", remedy),))
    return token


def open_unconfigured(folder: Path | None = None) -> Gateway:
    """A demonstration: every host is its own site, grants are marked as such and never valid as proof."""
    folder = folder or Path(tempfile.mkdtemp(prefix="volens-"))
    return Gateway(
        None,
        Catalog.packaged(),
        SqliteStore(folder / "demonstration.db"),
        read_keys(folder / "demonstration.keys"),
        names=folder / "demonstration.names",
    )
