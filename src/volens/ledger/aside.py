"""Withdrawals on their way into the ledger: a file each, beside it, so that none is lost while the ledger cannot be written.

A withdrawal, whole or in part, takes effect at once; what the site keeps of the visitor hangs on its being told. So it is written here
first, and the ledger takes it from here, in normal work and after a kill alike.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from volens.errors import NoticeError, RecordError
from volens.ledger.record import Record
from volens.ledger.store import Event, Expiry
from volens.notice import Notice

log = logging.getLogger("volens.ledger")

FORMAT = "volens-withdrawal/1"
Entry = tuple[str, Record, Notice, Event | None]
"""A file's name, and what ``append`` wants."""


class Aside:
    """A folder of withdrawals, in the order of their names. Several processes share it: what two of them take is one record."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, record: Record, notice: Notice, event: Event | None) -> None:
        """Write a withdrawal into a file of its own; it is on the disk when this returns. Raises OSError where it could not be written."""
        told: dict[str, Any] | None = None
        if event is not None:
            told = {"id": event.id, "body": event.body.decode(), "subject": event.subject}
            if event.expiry is not None:  # of what a withdrawal in part leaves
                told["expiry"] = [event.expiry.id, event.expiry.body.decode(), event.expiry.at]
        value = {"format": FORMAT, "record": record.to_json(), "notice": notice.to_json(), "event": told}
        self.folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{time.time_ns():020d}-{record.id}.json"
        draft = self.folder / f"{name}.{os.getpid()}"
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self.folder / name)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        for folder in (self.folder, self.folder.parent):  # the second for a folder just made
            handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def names(self) -> list[str]:
        """The files of withdrawals that wait, the oldest first."""
        try:
            return sorted(name for name in os.listdir(self.folder) if name.endswith(".json"))
        except OSError:  # none was ever kept
            return []

    def take(self, limit: int) -> Iterator[Entry]:
        """The oldest; a file that holds no withdrawal is put out of the way under another name."""
        for name in self.names()[:limit]:
            try:
                value = json.loads((self.folder / name).read_bytes())
                if value["format"] != FORMAT:
                    raise ValueError(f"format {value['format']!r}")
                told = value["event"]
                event = None if told is None else Event(told["id"], told["body"].encode(), told["subject"], _expiry(told.get("expiry")))
                yield name, Record.from_json(value["record"]), Notice.from_json(value["notice"]), event
            except FileNotFoundError:
                continue  # another process has taken it
            except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecordError, NoticeError) as error:
                self.refuse(name, error)

    def drop(self, name: str) -> None:
        """Delete the file of a withdrawal that is in the ledger now."""
        (self.folder / name).unlink(missing_ok=True)

    def refuse(self, name: str, error: Exception) -> None:
        """Put out of the way, under another name, a file that never can be recorded; the log says why."""
        log.error("%s: not a withdrawal that can be recorded (%s); kept as %s.damaged.", self.folder / name, error, name)
        (self.folder / name).replace(self.folder / f"{name}.damaged")


def _expiry(told: Any) -> Expiry | None:
    return None if told is None else Expiry(told[0], told[1].encode(), float(told[2]))
