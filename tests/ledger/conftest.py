"""What every test of a ledger may ask for: a PostgreSQL server, a database of it."""

from pg import database, server

__all__ = ["database", "server"]
