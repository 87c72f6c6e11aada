"""The PostgreSQL store: the contract, and what is particular to a server that others use too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conformance import StoreConformance
from pg import Server, database, server  # noqa: F401

from volens.ledger.postgres import PostgresStore
from volens.ledger.store import Store


class TestPostgresStore(StoreConformance):
    @pytest.fixture
    def open_store(self, database: str, tmp_path: Path) -> Callable[[], Store]:  # noqa: F811
        return lambda: PostgresStore(database, tmp_path / "withdrawals")
