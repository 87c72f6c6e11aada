"""The rows of a log for processes that check it: each opens the ledger itself, and loads nothing else of Volens."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from volens.ledger.store import Row, Store


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads the entries of a site's log below a size. It pickles."""

    ledger: str
    """A path, or the URL of a database."""
    log_key: str
    site: str
    size: int

    def __call__(self, first: int, last: int) -> Iterable[Row]:
        return _store(os.getpid(), self.ledger, self.log_key).rows(self.site, first, min(last, self.size - 1))


@lru_cache(1)
def _store(process: int, ledger: str, log_key: str) -> Store:
    if "://" in ledger:
        from volens.ledger.postgres import PostgresStore

        return PostgresStore(ledger, Path(log_key).with_suffix(".withdrawals"))
    from volens.ledger.sqlite import SqliteStore

    return SqliteStore(Path(ledger))
