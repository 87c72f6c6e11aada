"""The gateway of a configuration while its files change: read again without a restart, and switched off by one command.

Each process looks at the files once a second, when it is asked for something. A configuration with a mistake changes
nothing: the one before goes on, and the log says what is wrong. What is under way ends as it began.
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from volens.catalog import Catalog
from volens.config import Loaded, load
from volens.errors import ConfigError, Mistake, VolensError
from volens.web.gateway import Gateway
from volens.web.messages import Request
from volens.web.runtime import open_gateway
from volens.web.visit import Visit

log = logging.getLogger("volens")

LOOK = 1.0
"""Seconds between two looks at the files. A file that changed is read at the next look, if it then stands as it did."""
MAX_LINE = 4096
"""Bytes of the bypass file that are read, from its end."""

_State = tuple[tuple[int, int, int], ...]


def bypass_state(path: Path) -> dict[str, str]:
    """The last line that ``volens bypass`` wrote: ``bypass`` (on or off), ``time``, ``by``, ``reason``. A file that cannot be read,
    or says nothing, says *off*."""
    try:
        with path.open("rb") as file:
            with suppress(OSError):
                file.seek(-MAX_LINE, os.SEEK_END)
            said = json.loads(file.read(MAX_LINE).splitlines()[-1])
    except (OSError, ValueError, IndexError, RecursionError):
        said = None
    if not isinstance(said, dict) or said.get("bypass") not in ("on", "off"):
        return {"bypass": "off", "time": "", "by": "", "reason": ""}
    return {name: str(said.get(name, "")) for name in ("bypass", "time", "by", "reason")}


def set_bypass(path: Path, state: str, reason: str, now: datetime) -> None:
    """Say so to every running process, in a line that stays: the file is the log of it. Raises ConfigError."""
    try:
        by = getpass.getuser()
    except (OSError, KeyError, ImportError):
        by = str(os.getuid())
    line = json.dumps({"bypass": state, "time": now.isoformat(timespec="seconds"), "by": by, "reason": reason[:500]}, ensure_ascii=False)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(
            str(path), (Mistake("bypass", f"cannot be written: {error}.", "Nothing was changed; see that this user may write there."),)
        ) from error


class Opened:
    """The gateway of ``loaded`` in each process: opened when it is first asked for, so that servers that fork are safe, and
    made anew when the configuration, the keys or a secret it names change."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self._lock = threading.Lock()
        self._made: tuple[int, Gateway] | None = None
        self._due = 0.0
        # The files as they were read, and at the last look: here, for a server may fork a worker long after it read them.
        self._read = self._seen = self._stat()
        self._reading = False
        self._bypassed = False

    def __call__(self) -> Gateway:
        """This process's gateway."""
        made = self._made
        if made is None or made[0] != os.getpid():
            with self._lock:
                if self._made is None or self._made[0] != os.getpid():
                    self._bypassed = bypass_state(Path(self.loaded.bypass))["bypass"] == "on"
                    if self._bypassed:
                        log.warning("Volens is bypassed: pages pass as they are. Ends with: volens bypass off")
                    if self._reading:  # in the process that this one was forked from
                        self._reading, self._read = False, ()
                    self._due = time.monotonic() + LOOK
                    self._made = (os.getpid(), open_gateway(self.loaded, bypass=lambda: self._bypassed))
                made = self._made
        elif time.monotonic() >= self._due:
            self._look()
        return made[1]

    def move(self, loaded: Loaded) -> None:
        """Answer for ``loaded`` from the next request on: for tests, whose ledger is another."""
        with self._lock:
            self.loaded, self._made = loaded, None
            self._read = self._seen = self._stat()

    def visit(self, request: Request, *, unread: bool = False) -> Visit:
        """See ``Gateway.visit``."""
        return self().visit(request, unread=unread)

    def visiting(self, request: Request) -> Future[Visit] | None:
        """See ``Gateway.visiting``."""
        return self().visiting(request)

    def close(self) -> None:
        """See ``Gateway.close``. What asks again gets another."""
        with self._lock:
            if self._made is not None and self._made[0] == os.getpid():
                self._made[1].close()
                self._made = None

    # The files --------------------------------------------------------------------------------------------------

    def _files(self) -> list[str]:
        loaded = self.loaded
        return [name for name in (loaded.source, loaded.keys, loaded.site.hook and loaded.hook_secret, loaded.admin_token) if name]

    def _stat(self) -> _State:
        found = []
        for name in self._files():
            try:
                state = os.stat(name)
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((state.st_mtime_ns, state.st_size, state.st_ino))
        return tuple(found)

    def _look(self) -> None:
        if not self._lock.acquire(blocking=False):
            return  # somebody looks, or reads
        try:
            if time.monotonic() < self._due:
                return
            self._due = time.monotonic() + LOOK
            off = bypass_state(Path(self.loaded.bypass))["bypass"] == "on"
            if off != self._bypassed:
                self._bypassed = off
                log.warning("Volens is bypassed: pages pass as they are." if off else "Volens is no longer bypassed.")
            if self.loaded.source is None:
                return
            state = self._stat()
            changed, settled = state != self._read, state == self._seen
            self._seen = state
            if not changed or not settled:
                return
            if self._reading:
                return
            self._read, self._reading = state, True
        finally:
            self._lock.release()
        try:  # requests go on meanwhile with the gateway there is
            threading.Thread(target=self._renew, name="volens-configuration", daemon=True).start()
        except RuntimeError as error:
            self._reading, self._read = False, ()
            log.error("the configuration changed and cannot be read now: %s", error)

    def _renew(self) -> None:
        # Without the lock: a process forked in this moment must find it free.
        before = self._made
        if before is None or self.loaded.source is None:  # closed meanwhile
            self._reading = False
            return
        try:
            loaded = load(Path(self.loaded.source), before[1].catalog)
            gateway = open_gateway(loaded, bypass=lambda: self._bypassed, before=before[1])
        except Exception as error:
            before[1].configuration = "mistaken"
            ours = isinstance(error, VolensError)
            log.error("the configuration changed and cannot be used; the one before goes on. %s", error, exc_info=not ours)
        else:
            for name in ("ledger", "log_key", "audience", "listen", "upstream", "trusted"):
                if getattr(loaded, name) != getattr(self.loaded, name):
                    log.warning("%s changed in %s: that takes a restart.", name, loaded.source)
            self.loaded = loaded
            self._made = (before[0], gateway)
            before[1].retire()
            log.info("the configuration %s was read again: notice %s.", loaded.source, loaded.site.notice.short)
        finally:
            self._reading = False


def packaged(config: str | os.PathLike[str] | Loaded | Opened) -> Opened:
    """``config`` opened: a path, or what was read of one. Raises ConfigError with every mistake."""
    if isinstance(config, Opened):
        return config
    return Opened(config if isinstance(config, Loaded) else load(Path(config), Catalog.packaged()))
