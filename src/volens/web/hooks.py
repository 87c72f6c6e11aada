"""``on_change``: the site is told of a grant, a change, a withdrawal and a grant's end, so that what it keeps of a visitor can go.

Signed as Standard Webhooks 1.0 asks: ``webhook-id``, ``webhook-timestamp``, ``webhook-signature``, an HMAC-SHA256 over the three
joined by dots. An event is a row of the ledger's outbox, committed with its record; one thread of one process sends what is there,
until the site answers 2xx. It may be sent twice (a kill between the answer and the note of it), always under the same id.

What is sent holds no address, no User-Agent, no id of the ledger's, and a key of the visitor only where the site has named the
cookie that holds it. A first refusal is not sent: it leaves no trace of a person (DESIGN §4).
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import hashlib
import hmac
import json
import logging
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from volens.enforce.headers import Pairs, cookies
from volens.errors import ConfigError, Mistake, StoreError
from volens.ledger.record import Record
from volens.ledger.store import Due, Event, Expiry, Outbox
from volens.policy import Grant
from volens.site import Hook, Site

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("volens.hooks")

BACK_OFF = (2.0, 10.0, 60.0, 300.0, 1800.0, 3600.0)
"""Seconds between two attempts at one event; the last holds from then on. A little is added, so that they don't come together."""
LONGEST = 30 * 86400.0
"""Seconds after which an event that nobody takes is given up, with a line in the log: its visitor's key must not lie about for ever."""
PAUSE = 60.0
"""Longest pause, in seconds, while every attempt fails."""
POLL = 1.0
"""Seconds between two looks for what other processes have kept."""
AT_ONCE = 8
TIMEOUT = 10.0
"""Seconds an end point has to answer."""
QUIET = 60.0
"""Seconds between two lines in the log about what goes on failing."""


def event(hook: Hook, record: Record, key: str | None, last: date | None = None) -> Event:
    """What the site is told of ``record``. ``key``: the value of the cookie the hook names, where the visitor has one. ``last``: the
    last day on which what is granted holds, after which the site is told that it ended."""
    sent = None if key is None else key if hook.plain else hashlib.sha256(key.encode("latin-1")).hexdigest()
    data: dict[str, object] = {
        "site": record.site,
        "notice": record.notice,
        "purposes": dict(record.purposes),
        "services": dict(record.services),
        "visitor": sent,
    }
    subject = "" if key is None else hashlib.sha256(key.encode("latin-1")).hexdigest()
    expiry = None
    if last is not None and record.event != "withdrawn":
        end = datetime.combine(last + timedelta(days=1), clock_time(), UTC)
        nothing = {kind: dict.fromkeys(getattr(record, kind), False) for kind in ("purposes", "services")}
        expiry = Expiry(_name("volens-expiry/1", record), _body("expired", end, {**data, **nothing}), end.timestamp())
    return Event(_name("volens-event/1", record), _body(record.event, record.time, data), subject, expiry)


def _name(what: str, record: Record) -> str:
    """An event's id. Not the record's own: it would be an identifier that no cookie gives the application."""
    return "evt_" + hashlib.sha256(f"{what} {record.id}".encode()).hexdigest()[:32]


def _body(what: str, when: datetime, data: Mapping[str, object]) -> bytes:
    value = {"type": f"consent.{what}", "timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "data": data}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def visitor_key(hook: Hook, site: Site, pairs: Pairs, *grants: Grant) -> str | None:
    """The visitor's value of the cookie that the hook names: one value, and one that a grant lets the site read (P3)."""
    values = {value for name, value in cookies(pairs) if name == hook.visitor and value}
    keys = [key for key in site.storage_declared if key.medium == "cookie" and key.matches(hook.visitor)]
    if len(values) != 1 or not any(grant.decide(key).allowed for key in keys for grant in grants):
        return None
    return values.pop()


def signature(keys: Sequence[bytes], id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``: one signature for each key, so that keys can be changed without a pause."""
    signed = f"{id}.{timestamp}.".encode() + body
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)


def read_secrets(path: Path) -> tuple[bytes, ...]:
    """The secrets, ``whsec_`` and base64, one a line, newest first; a file with one is made where there is none.

    Raises ConfigError where the file is there and isn't that.
    """
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # another worker made it in this moment
                os.link(draft, path)
            os.unlink(draft)
        except OSError as error:
            raise ConfigError(
                str(path), (Mistake("hooks secret", f"cannot be made: {error}.", "Name another with secret = …."),)
            ) from error
    try:
        lines = path.read_text("ascii").split()
        keys = tuple(base64.b64decode(line.removeprefix("whsec_"), validate=True) for line in lines)
        if not keys or not all(line.startswith("whsec_") for line in lines) or not all(24 <= len(key) <= 64 for key in keys):
            raise ValueError("24 to 64 bytes each")
    except (OSError, ValueError) as error:
        remedy = "One secret a line, 'whsec_' and 24 to 64 bytes in base64, newest first."
        raise ConfigError(str(path), (Mistake("hooks secret", f"does not hold secrets ({error}).", remedy),)) from error
    return keys


class Sender:
    """Sends a site's events from a thread of its own. ``start``, then ``stop``; a process that dies loses none."""

    def __init__(
        self,
        outbox: Outbox,
        site: str,
        url: str,
        keys: Sequence[bytes],
        *,
        clock: Callable[[], float] = time.time,
        back_off: Sequence[float] = BACK_OFF,
        timeout: float = TIMEOUT,
        pause: float = PAUSE,
    ) -> None:
        parts = urlsplit(url)
        self._outbox, self._site, self._url, self._keys = outbox, site, url, tuple(keys)
        self._place = f"{parts.scheme}://{parts.netloc}{parts.path}"  # for logs: a query may hold a secret
        self._clock, self._back_off, self._timeout, self._longest_pause = clock, tuple(back_off), timeout, pause
        self._failed = 0  # rounds in which nothing was taken, one after the other
        self._said = 0.0  # monotonic time of the last line about a failure
        self._failing = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop, self._woken, self._ready = asyncio.Event(), asyncio.Event(), threading.Event()

    def start(self) -> None:
        """Begin; events kept by an earlier process are sent too."""
        self._outbox.listen(self._wake)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="volens-hooks", daemon=True)
        self._thread.start()
        self._ready.wait()
        atexit.register(self.stop)

    def stop(self) -> None:
        """End, in the middle of an attempt where there is one: it is made again by who comes next."""
        atexit.unregister(self.stop)
        self._call(self._stop.set)
        if self._thread is not None:
            self._thread.join(self._timeout)

    def _wake(self) -> None:
        self._call(self._woken.set)

    def _call(self, what: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(what)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        import aiohttp  # a third of a second that a site without hooks need not wait

        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout), cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "Volens"}
        ) as session:
            stopped = asyncio.create_task(self._stop.wait())
            while not stopped.done():
                try:
                    with self._outbox.turn(self._site) as mine:
                        while mine and not stopped.done():
                            sending = asyncio.create_task(self._round(session))
                            await asyncio.wait((sending, stopped), return_when=asyncio.FIRST_COMPLETED)
                            if not sending.done():
                                sending.cancel()
                                break
                            await self._rest(sending.result(), stopped)
                except Exception:
                    log.exception("changes are not sent to %s; it is tried again", self._place)
                await self._rest(POLL, stopped)

    async def _rest(self, seconds: float, stopped: asyncio.Task[bool]) -> None:
        if seconds <= 0 or stopped.done():
            return
        # While nothing is taken a new event is no reason to knock again.
        woken = [] if self._failed else [asyncio.create_task(self._woken.wait())]
        await asyncio.wait((*woken, stopped), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        self._woken.clear()
        for task in woken:
            task.cancel()

    async def _round(self, session: aiohttp.ClientSession) -> float:
        """Send what is due; how long to rest."""
        try:
            self._outbox.expire(self._site, self._clock())
            due = self._outbox.due(self._site, self._clock(), 1 if self._failed else AT_ONCE)
            if not due:
                return POLL
            results = await asyncio.gather(*(self._attempt(session, one) for one in due))
            taken = [one.number for one, wrong in zip(due, results, strict=True) if wrong is None]
            later: dict[int, float] = {}
            for one, wrong in zip(due, results, strict=True):
                if wrong is None:
                    continue
                if self._clock() - one.made > LONGEST:
                    log.error("%s never took change %s (%s); it is given up.", self._place, one.id, wrong[0])
                    taken.append(one.number)
                    continue
                wait = self._back_off[min(one.attempts, len(self._back_off) - 1)] * random.uniform(1, 1.25)
                later[one.number] = self._clock() + max(wait, wrong[1])
            self._outbox.settle(taken, later)
        except StoreError as error:
            self._say("%s", error)
            return POLL
        self._failed = 0 if taken else self._failed + 1
        if later:
            reason = next(wrong[0] for wrong in results if wrong is not None)
            self._say("%s does not take changes: %s. %d wait; it goes on by itself.", self._place, reason, self._outbox.waiting(self._site))
        elif self._failing:
            self._failing = False
            log.info("%s takes changes again; %d wait.", self._place, self._outbox.waiting(self._site))
        return min(self._longest_pause, 2.0**self._failed) if self._failed else 0.0

    async def _attempt(self, session: aiohttp.ClientSession, one: Due) -> tuple[str, float] | None:
        """None where the site took it; else why not, and for how many seconds it asks to be left alone."""
        import aiohttp

        body = b'{"sequence":%d,' % one.number + one.body[1:]
        now = int(self._clock())
        headers = {
            "content-type": "application/json",
            "webhook-id": one.id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(self._keys, one.id, now, body),
        }
        try:
            async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:
                    return None
                if 300 <= answer.status < 400:
                    return f"HTTP {answer.status}, a redirect, which is not followed: write its target as on_change", 0.0
                asked = answer.headers.get("retry-after", "")
                return f"HTTP {answer.status}", min(3600.0, float(asked)) if asked.isascii() and asked.isdigit() else 0.0
        except TimeoutError:
            return f"no answer within {self._timeout:g} s", 0.0
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}".rstrip(": ."), 0.0

    def _say(self, message: str, *values: object) -> None:
        """A line now and then: what goes on failing must not fill the log."""
        now = time.monotonic()
        if not self._failing or now - self._said >= QUIET:
            self._said = now
            log.warning(message, *values)
        self._failing = True
