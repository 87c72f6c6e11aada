"""The PostgreSQL store: the contract, and what is particular to a server that others use too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conformance import StoreConformance, signer
from pg import Server, database, server  # noqa: F401

from volens.ledger.postgres import PostgresStore
from volens.ledger.store import Store


class TestPostgresStore(StoreConformance):
    @pytest.fixture
    def open_store(self, database: str, tmp_path: Path) -> Callable[..., Store]:  # noqa: F811
        return lambda **more: PostgresStore(database, tmp_path / "withdrawals", **{"signer": signer} | more)

    @pytest.fixture
    def open_other(self, server: Server, tmp_path: Path) -> Iterator[Callable[..., Store]]:  # noqa: F811
        name = server.database()
        yield lambda **more: PostgresStore(server.url(name), tmp_path / "others", **{"signer": signer} | more)
        server.drop(name)
