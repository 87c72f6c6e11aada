"""From a configuration to a running gateway: store opened, keys read or made."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from volens.accounts import Accounts
from volens.audience.counts import Counts
from volens.catalog import Catalog
from volens.config import Loaded
from volens.errors import ConfigError, Mistake
from volens.findings import Findings
from volens.ledger.keyring import Demonstration, Keyring
from volens.ledger.sqlite import SqliteStore
from volens.ledger.store import Store
from volens.site import Site
from volens.web.gateway import Gateway
from volens.web.hooks import read_secrets
from volens.web.keys import open_keys
from volens.web.metrics import Metrics

TOKEN = 20
"""Characters of the shortest token that is taken."""


def open_gateway(loaded: Loaded, *, bypass: Callable[[], bool] = lambda: False, before: Gateway | None = None) -> Gateway:
    """The gateway of a configured site. One made anew shares with the one ``before`` what is open: the ledger and the counts."""
    log_keys = before.log_keys if before is not None else Keyring.of(loaded.log_key)
    log_keys(loaded.site.name)  # what is wrong with them is told before anything runs
    return Gateway(
        loaded.site,
        before.catalog if before is not None else Catalog.packaged(),
        before.store if before is not None else open_store(loaded),
        open_keys(Path(loaded.keys)),
        bypass=bypass,
        names=Path(loaded.keys).with_suffix(".names"),
        audience=before.audience if before is not None else open_audience(loaded.site, Path(loaded.audience)),
        admin_token=read_token(Path(loaded.admin_token)) if loaded.admin_token else "",
        hook_secrets=read_secrets(Path(loaded.hook_secret)) if loaded.site.hook is not None else (),
        rate=before.endpoints.rate if before is not None else None,
        metrics=before.metrics if before is not None else Metrics(Path(loaded.keys).with_suffix(".metrics")),
        accounts=open_accounts(loaded, before),
        findings=before.findings if before is not None else Findings(Path(loaded.findings), lambda: datetime.now(UTC).date()),
        log_keys=log_keys,
        witnessed=loaded.witnessed,
        retained=Path(loaded.keys).with_suffix(".retention"),
    )


def open_store(loaded: Loaded) -> Store:
    """The ledger that a configuration names, signed with the key that it names."""
    return open_ledger(loaded.ledger, loaded.log_key, Path(loaded.keys).with_suffix(".withdrawals"))


def open_ledger(ledger: str, log_key: str, aside: Path | None = None) -> Store:
    """The ledger at a path or the URL of a database, signed with the keys of a file. ``aside``: where withdrawals wait for a database;
    beside the keys where it is not said. Raises StoreError, and ConfigError where what speaks to a database is not installed."""
    if "://" not in ledger:
        return SqliteStore(Path(ledger), Keyring.of(log_key))
    try:
        from volens.ledger.postgres import PostgresStore  # only who uses it has it
    except ImportError as error:
        remedy = "Install it: pip install 'volens[postgresql]'"
        raise ConfigError("volens.toml", (Mistake("ledger", f"PostgreSQL needs psycopg, which is not here: {error}.", remedy),)) from error
    return PostgresStore(ledger, aside or Path(log_key).with_suffix(".withdrawals"), Keyring.of(log_key))


def open_accounts(loaded: Loaded, before: Gateway | None) -> Accounts | None:
    """Where the choices of accounts are kept, if they are; the file of the one ``before`` stays open where it has one."""
    if not loaded.site.accounts:
        return None
    if before is not None and before.accounts is not None:
        return before.accounts
    return Accounts(Path(loaded.accounts), lambda: datetime.now(UTC).date())


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
    keys = open_keys(folder / "demonstration.keys")
    return Gateway(
        None,
        Catalog.packaged(),
        SqliteStore(folder / "demonstration.db", Demonstration(keys[0])),
        keys,
        names=folder / "demonstration.names",
    )
