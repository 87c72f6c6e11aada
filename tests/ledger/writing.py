"""A process that writes to a ledger and says on its standard output what was acknowledged, for tests that kill it.

``python writing.py PATH THREADS``, or the URL of a database for PATH: each line is an id, written only after the future of its record
had a result.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from conformance import NOTICE, record, refusal, signer

from volens.ledger.sqlite import SqliteStore
from volens.ledger.store import Store


def opened(place: str, **more: Any) -> Store:
    """The ledger at that place."""
    if "://" in place:
        from volens.ledger.postgres import PostgresStore

        return PostgresStore(place, Path("withdrawals"), signer, **more)
    return SqliteStore(place, signer, **{"patience": 30} | more)


def main(path: str, threads: int) -> None:
    store = opened(path)

    def submit() -> None:
        while True:
            acknowledged = store.append(record(), NOTICE).result()
            store.count(refusal())
            os.write(1, acknowledged.record.id.encode() + b"\n")  # one write of less than PIPE_BUF: whole or not at all

    for _ in range(threads):
        threading.Thread(target=submit).start()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
