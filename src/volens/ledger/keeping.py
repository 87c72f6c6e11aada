"""Erases, once a day, what ``[retention]`` says is over: a thread in each process, of which one finds the day's work undone."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from volens.errors import StoreError
from volens.ledger.retention import expired
from volens.ledger.store import Store
from volens.site import Retention

log = logging.getLogger("volens.ledger")

FORMAT = "volens-retention/1"
EVERY = timedelta(days=1)
LOOK = 3600.0
"""Seconds between two looks whether it is time."""
FIRST = 60.0
"""Seconds from the start to the first look, at least: a site that starts has other work."""


class Keeping:
    """``start``, then ``stop``. ``state``: the file in which processes of one machine tell each other when it was done, and by which rule.
    Several machines on one database may each do it: what is erased is erased once."""

    def __init__(self, store: Store, site: str, rule: Retention, state: Path, now: Callable[[], datetime], *, first: float = FIRST) -> None:
        self._store, self._site, self._rule, self._state, self._now, self._first = store, site, rule, state, now, first
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="volens-retention", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, in the middle of the work too: each step of it is whole."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)

    def _run(self) -> None:
        pause = self._first * (1 + random.random())  # noqa: S311 — processes that start together look one after the other
        while not self._stop.wait(pause):
            pause = LOOK
            try:
                erased = self.turn()
            except (StoreError, OSError) as error:
                log.error("records whose time is over were not erased: %s It is tried again in an hour.", error)
            else:
                if erased:
                    log.info("%s: %d records whose time is over were erased ([retention]).", self._site, erased)

    def turn(self) -> int:
        """Do the day's work, unless it is done, or another process is at it: how many records were erased. Raises StoreError, OSError."""
        file = os.open(self._state, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0
            now = self._now()
            rule = {"days": self._rule.days, "purposes": dict(self._rule.purposes)}
            looked = _looked(os.read(file, 1 << 16), rule)
            if looked is not None and now - looked < EVERY:
                return 0
            found = expired(self._store, self._site, self._rule, now, looked)
            erased = self._store.erase(self._site, (index for index in found if not self._stop.is_set()), "age")
            if not self._stop.is_set():
                text = json.dumps({"format": FORMAT, "looked": now.isoformat(), "rule": rule, "erased": erased}).encode()
                os.ftruncate(file, 0)
                os.pwrite(file, text, 0)
            return erased
        finally:
            os.close(file)


def _looked(data: bytes, rule: object) -> datetime | None:
    """When it was done by the same rule; None where it was not, or nobody can tell: then everything is looked at."""
    try:
        told = json.loads(data)
        return datetime.fromisoformat(told["looked"]) if told["rule"] == rule else None
    except (ValueError, KeyError, TypeError):
        return None
