"""The publisher: it takes the log's newest signed head to the witnesses, and publishes it with what they sign (C2SP tlog-witness).

A thread of its own in one process of all that serve a site. What it publishes is durable already, at most a second old where the
witnesses answer at once, and never carries a signature that it has not verified. A witness that refuses because it has signed another
tree says that somebody was shown something else, or that the ledger was changed: an error in the log, and in what ``standing`` reads.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import json
import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volens.errors import SignedNoteError, StoreError
from volens.ledger.cosign import MAX_NOTE, PublicKey, SignedNote, with_lines
from volens.ledger.note import LogKeys
from volens.ledger.store import Head, Store
from volens.site import Proof, Witness

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("volens.ledger")

FORMAT = "volens-witnesses/1"
POLL = 0.5
"""Seconds between two looks for new entries."""
TURN = 1.0
"""Seconds between two looks whether the process that publishes is gone."""
WAIT = 0.4
"""Seconds that a publication waits for witnesses that are being asked."""
HOLD = 2.0
"""Seconds for which a checkpoint that no witness has signed is held back, where no quorum is asked for."""
HOLD_QUORUM = 30.0
"""Seconds for which one that too few have signed is."""
TIMEOUT = 10.0
"""Seconds a witness has to answer."""
REFRESH = 3600.0
"""Seconds after which a witness is asked again for the same tree: its signature says until when this was the largest."""
LONGEST = 10.0
"""Longest pause, in seconds, before a witness that does not answer is asked again."""
REFUSED = 60.0
"""Pause before one that refuses is."""
AHEAD = 300
"""Seconds by which a witness's clock may be ahead of ours."""
QUIET = 600.0
"""Seconds between two lines in the log about what goes on failing."""
IN_FLIGHT = 64
"""Heads remembered while witnesses are asked about them."""

OUTCOMES = ("signed", "refused", "unknown", "down")
"""How a witness answered: with its signature; that it has signed another tree; that it does not know this log; not at all."""

_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\n")


def cosigners(note: str, witnesses: Iterable[Witness]) -> dict[Witness, int]:
    """Which of the witnesses have signed a checkpoint, and when, in seconds since 1970. A signature that does not hold is none."""
    found = {}
    with suppress(SignedNoteError):
        parsed = SignedNote.parse(note)
        for witness in witnesses:
            with suppress(SignedNoteError):
                at = parsed.cosigned_by(PublicKey.parse(witness.key))
                if at is not None:
                    found[witness] = at
    return found


def standing(path: Path) -> dict[str, Any] | None:
    """What the publisher of this machine wrote last: ``witnesses`` with ``state`` (one of OUTCOMES, or empty before the first answer),
    ``size``, ``time``, ``said``; ``size``, ``published``, ``short`` (fewer than the quorum have signed). None where it never ran."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and told.get("format") == FORMAT else None


@dataclass
class _Asked:
    """One witness, as this publisher knows it."""

    witness: Witness
    key: PublicKey
    size: int = 0
    """Entries of the tree that it has signed last, as far as is known."""
    root: bytes = b""
    """Its root, where it answered with a signature since this process began to ask."""
    signed_at: float = 0.0
    """When, by the monotonic clock."""
    state: str = ""
    said: str = ""
    time: int = 0
    failed: int = 0
    due: float = 0.0
    told: float = float("-inf")
    task: asyncio.Task[None] | None = None


@dataclass
class _Tree:
    """A head on its way."""

    text: str
    note: str
    seen: float
    lines: dict[Witness, str] = field(default_factory=dict)


class _Refused(Exception):
    """The witness has signed another tree."""


class _Unknown(Exception):
    """The witness does not know this log, or its key."""


class _Down(Exception):
    """No answer, or none that means anything."""


class Publisher:
    """Publishes a site's log from a thread of its own. ``start``, then ``stop``; who dies leaves its turn to another process."""

    def __init__(
        self,
        store: Store,
        site: str,
        keys: Callable[[str], LogKeys],
        proof: Proof,
        *,
        state: Path | None = None,
        counted: Callable[[str], None] = lambda outcome: None,
        timeout: float = TIMEOUT,
        refresh: float = REFRESH,
        hold: float | None = None,
    ) -> None:
        """``state``: the file in which it says how things stand. ``counted``: called with an outcome for each answer of a witness."""
        self._store, self._site, self._keys, self._state, self._counted = store, site, keys, state, counted
        self._quorum, self._timeout, self._refresh = proof.quorum, timeout, refresh
        self._wanted = proof.quorum or min(1, len(proof.witnesses))
        self._hold = hold if hold is not None else HOLD_QUORUM if proof.quorum else HOLD
        self._asked = [_Asked(witness, PublicKey.parse(witness.key)) for witness in proof.witnesses]
        self._trees: dict[tuple[int, bytes], _Tree] = {}
        self._published: tuple[int, int] = (-1, 0)  # size, and how many witnesses signed it
        self._lines: dict[Witness, str] = {}  # of it, those that this process has got
        self._behind = 0.0  # monotonic time since when something newer waits to be published; 0: nothing does
        self._short = False
        self._written = ""
        self._said = float("-inf")
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop, self._ready = asyncio.Event(), threading.Event()

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="volens-publisher", daemon=True)
        self._thread.start()
        self._ready.wait()
        atexit.register(self.stop)

    def stop(self) -> None:
        """End; a witness that is being asked may have signed for nobody, and is asked again by who comes next."""
        atexit.unregister(self.stop)
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(self._timeout)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        while not self._stop.is_set():
            try:
                # A name of its own: the turn of who sends events is another.
                with self._store.outbox.turn(f"{self._site}/log") as mine:
                    if mine:
                        await self._publishing()
            except Exception:
                log.exception("the log of %s is not published; it is tried again", self._site)
            await self._rest(TURN)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    async def _publishing(self) -> None:
        """While this process has the turn."""
        if not self._asked:
            while not self._stop.is_set() and await self._round(None):
                await self._rest(POLL)
            return
        import aiohttp  # a third of a second that a site without witnesses need not wait

        timeout = aiohttp.ClientTimeout(total=self._timeout)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=jar, headers={"User-Agent": "Volens"}) as session:
            try:
                while not self._stop.is_set() and await self._round(session):
                    await self._rest(POLL)
            finally:
                for one in self._asked:
                    if one.task is not None:
                        one.task.cancel()
                await asyncio.gather(*(one.task for one in self._asked if one.task is not None), return_exceptions=True)

    async def _round(self, session: aiohttp.ClientSession | None) -> bool:
        """Take what is new to the witnesses; publish what may be. False where the store fails: then the turn may be lost with it."""
        works = True
        try:
            head = self._store.head(self._site)
            if head is None or not head.note:
                return True
            if self._published[0] < 0:
                self._resume()
            self._consider(head)
            now = time.monotonic()
            for one in self._asked:
                fresh = (one.size, one.root) == (head.size, head.root) and now - one.signed_at < self._refresh
                if session is not None and not fresh and now >= one.due and (one.task is None or one.task.done()):
                    one.task = asyncio.create_task(self._ask(session, one, head))
            tasks = [one.task for one in self._asked if one.task is not None and not one.task.done()]
            if tasks:
                await asyncio.wait(tasks, timeout=WAIT)
            self._publish()
        except StoreError as error:
            works = False
            if time.monotonic() - self._said > QUIET:
                self._said = time.monotonic()
                log.error("%s The log is not published; it goes on by itself.", error)
        self._write()
        return works

    def _resume(self) -> None:
        """What an earlier process has published."""
        note = self._store.published(self._site)
        if note is None:
            self._published = (0, 0)
            return
        size, signed = SignedNote.parse(note).checkpoint.size, cosigners(note, [one.witness for one in self._asked])
        self._published = (size, len(signed))
        for one in self._asked:
            one.size = one.size or (size if one.witness in signed else 0)

    def _consider(self, head: Head) -> None:
        if (head.size, head.root) in self._trees:
            return
        text = head.note.rpartition("\n\n")[0] + "\n"
        note = self._keys(self._site).sign(text, both=True)  # after a change the key before vouches for the new one
        self._trees[head.size, head.root] = _Tree(text, note, time.monotonic())
        while len(self._trees) > IN_FLIGHT:
            del self._trees[next(iter(self._trees))]

    def _publish(self) -> None:
        """The newest head that enough have signed; after a while the newest."""
        size, signed = self._published
        newer = [
            (at, tree)
            for (at, _), tree in self._trees.items()
            if at > size or (at == size and len(tree.lines) >= signed and tree.lines != self._lines)
        ]
        if not newer:
            self._behind = 0.0
            return
        self._behind = self._behind or time.monotonic()
        enough = [(at, tree) for at, tree in newer if len(tree.lines) >= self._wanted]
        waited = time.monotonic() - self._behind >= self._hold
        if not enough and not waited:
            return
        at, tree = max(enough or newer, key=lambda found: found[0])
        self._store.publish(self._site, with_lines(tree.note, tree.lines.values()))
        if at > size:
            self._behind = 0.0 if at == max(self._trees)[0] else time.monotonic()
        self._published, self._lines = (at, len(tree.lines)), dict(tree.lines)
        short = len(tree.lines) < self._quorum
        if short and not self._short:
            log.error("%s: published with %d of %d signatures of witnesses wanted.", self._site, len(tree.lines), self._quorum)
        self._short = short
        self._trees = {name: tree for name, tree in self._trees.items() if name[0] >= at}

    # The witnesses ----------------------------------------------------------------------------------------------

    async def _ask(self, session: aiohttp.ClientSession, one: _Asked, head: Head) -> None:
        """Ask one witness to sign ``head``, and note what came of it."""
        try:
            head, line, at = await self._signed(session, one, head)
        except _Refused as error:
            self._failed(one, "refused", str(error), REFUSED)
        except _Unknown as error:
            self._failed(one, "unknown", str(error), REFUSED)
        except (_Down, StoreError, LookupError) as error:
            self._failed(one, "down", str(error), min(LONGEST, 2.0**one.failed))
        else:
            if one.state not in ("", "signed"):
                log.info("the witness %s signs again.", one.witness.name)
            one.size, one.root, one.signed_at = head.size, head.root, time.monotonic()
            one.state, one.said, one.time, one.failed, one.due = "signed", "", at, 0, 0.0
            self._counted("signed")
            tree = self._trees.get((head.size, head.root))
            if tree is not None:
                tree.lines[one.witness] = line

    def _failed(self, one: _Asked, state: str, said: str, pause: float) -> None:
        now = time.monotonic()
        if state != one.state or now - one.told > QUIET:
            one.told = now
            level = logging.ERROR if state == "refused" else logging.WARNING
            log.log(level, "%s: the witness %s %s", self._site, one.witness.name, said)
        one.state, one.said, one.failed = state, said, one.failed + 1
        one.due = now + pause * random.uniform(0.8, 1.2)
        self._counted(state)

    async def _signed(self, session: aiohttp.ClientSession, one: _Asked, head: Head) -> tuple[Head, str, int]:
        """The head that was signed at last, the signature's line, and its time."""
        old = one.size if one.size <= head.size else 0  # 0 where it must tell: the answer says its size
        for _ in range(4):
            self._consider(head)
            tree = self._trees[head.size, head.root]
            hashes = self._proof(old, head.size)
            lines = [f"old {old}", *(base64.b64encode(step).decode() for step in hashes), "", tree.note]
            status, kind, body = await self._post(session, one, "\n".join(lines).encode())
            if status == 200:
                line, at = _read(tree.note, body, one.key)
                return head, line, at
            if status == 409 and kind == "text/x.tlog.size" and _SIZE.fullmatch(body):
                told, one.size = int(body), int(body)
                if told == old:
                    raise _Refused(f"has signed another tree of {told} entries: somebody was shown another log, or entries were changed.")
                if told > head.size:  # another process may have been faster
                    newest = self._store.head(self._site)
                    head = newest or head
                    if told > head.size:
                        raise _Refused(
                            f"has signed a tree of {told} entries, and this ledger has {head.size}: an older copy of it was restored, or "
                            "another ledger is signed with the same key."
                        )
                old = told
                continue
            if status == 422:
                raise _Refused(f"has signed another tree of {old} entries: what is here does not continue it. Entries were changed.")
            if status in (403, 404):
                known = "does not know this log" if status == 404 else "knows none of the keys that sign this log"
                raise _Unknown(f"{known} (HTTP {status}). Tell its keeper the key: volens keys --log.")
            raise _Down(f"answers with HTTP {status}.")
        raise _Down("has told another size at each attempt.")

    def _proof(self, old: int, size: int) -> list[bytes]:
        return self._store.tree(self._site, size).consistency(old, size)

    async def _post(self, session: aiohttp.ClientSession, one: _Asked, body: bytes) -> tuple[int, str, str]:
        import aiohttp

        try:
            url = one.witness.url + "/add-checkpoint"
            async with session.post(url, data=body, headers={"Content-Type": "text/plain"}, allow_redirects=False) as answer:
                data = bytearray()
                async for part in answer.content.iter_any():
                    data += part
                    if len(data) > MAX_NOTE:
                        raise _Down("answers with more than can be its signatures.")
                return answer.status, answer.content_type, data.decode("utf-8", "replace")
        except TimeoutError:
            raise _Down(f"does not answer within {self._timeout:g} s.") from None
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            raise _Down(f"cannot be reached ({type(error).__name__}: {error}).") from None

    # How things stand -------------------------------------------------------------------------------------------

    def told(self) -> Mapping[str, Any]:
        """See ``standing``."""
        witnesses = [
            {
                "name": one.witness.name,
                "key": one.witness.key,
                "url": one.witness.url,
                "state": one.state,
                "size": one.size,
                "time": one.time,
                "said": one.said,
            }
            for one in self._asked
        ]
        size = max((at for at, _ in self._trees), default=self._published[0])
        return {
            "format": FORMAT, "site": self._site, "size": max(size, self._published[0], 0), "published": max(0, self._published[0]),
            "signed": self._published[1], "quorum": self._quorum, "short": self._short, "witnesses": witnesses,
        }  # fmt: skip

    def _write(self) -> None:
        """For other processes of this machine; a file that cannot be written harms nobody."""
        if self._state is None or not self._asked:
            return
        text = json.dumps(self.told(), ensure_ascii=False)
        if text == self._written:
            return
        draft = self._state.with_name(f".{self._state.name}.{os.getpid()}")
        try:
            draft.write_text(text + "\n", "utf-8")
            draft.replace(self._state)
            self._written = text
        except OSError as error:
            log.info("%s: %s", self._state, error)
            draft.unlink(missing_ok=True)


def _read(note: str, body: str, key: PublicKey) -> tuple[str, int]:
    """The witness's line in its answer, verified, and its time; raises _Down."""
    lines = body.removesuffix("\n").split("\n")
    try:
        found = SignedNote.parse(with_lines(note, lines))
        at, line = found.cosigned_by(key), found.line_of(key)
    except SignedNoteError as error:
        raise _Down(f"answers with what is no signature of it: {error}") from None
    if at is None or line is None:
        raise _Down("answers without a signature of the key that is configured for it.")
    if at > time.time() + AHEAD:
        raise _Down(f"signs for a time that is {at - int(time.time())} s ahead: its clock is wrong, or ours.")
    return line, at


def words(told: Mapping[str, Any] | None, witnesses: Sequence[Witness]) -> list[str]:
    """The same for a person who runs the site: a line for each witness."""
    by_key = {one["key"]: one for one in (told or {}).get("witnesses", ())}
    found = []
    for witness in witnesses:
        one = by_key.get(witness.key)
        if one is None or not one["state"]:
            found.append(f"{witness.name}: was not asked yet")
        elif one["state"] == "signed":
            found.append(f"{witness.name}: signs, {one['size']} entries")
        else:
            found.append(f"{witness.name}: {one['said']}")
    return found
