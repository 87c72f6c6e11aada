"""A witness killed again and again under load never unsays what it signed, and the log catches up each time."""

from __future__ import annotations

import random
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.ledger.test_publish import SITE, Log, until
from tests.ledger.witnesses import Running
from volens.ledger import verify
from volens.ledger.cosign import SignedNote
from volens.ledger.keyring import Keyring

pytestmark = pytest.mark.soak
KILLS = 50


def test_a_witness_killed_fifty_times_under_load(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    witness = Running.made(tmp_path / "witness", [Keyring(tmp_path / "a" / "log-key")(SITE).vkeys[0]])
    log = Log(tmp_path / "a", (witness.site,), quorum=1, hold=5.0)
    stopped = threading.Event()

    def load() -> None:
        while not stopped.wait(0.05):
            log.grant(random.randrange(1, 20))

    loading = threading.Thread(target=load)
    loading.start()
    log.publisher.start()
    try:
        for _ in range(KILLS):
            size = log.size
            until(lambda size=size: log.published()[0] >= size and log.published()[1] == 1, 60)  # type: ignore[misc]
            time.sleep(random.uniform(0, 0.5))
            assert witness.stop(signal.SIGKILL) == -signal.SIGKILL
            witness.start()
        stopped.set()
        loading.join()
        until(lambda: log.published() == (log.size, 1), 90)
        notes = [SignedNote.parse(one.note) for one in log.store.checkpoints(SITE)]
        assert sum(note.cosigned_by(witness.key) is not None for note in notes) > KILLS / 2
        sizes = [note.checkpoint for note in notes if note.cosigned_by(witness.key) is not None]
        for old, new in pairwise(sizes):
            proof = log.store.tree(SITE, new.size).consistency(old.size)
            assert verify.consistent(old.size, old.root, new.size, new.root, proof)
        assert witness.report() == (0, [])
    finally:
        stopped.set()
        loading.join()
        log.close()
        witness.end()
