"""``volens witness``: the other side's server (C2SP tlog-witness). It signs what a publisher's log says of itself, once for each size.

A witness keeps, for each log it knows, the largest tree it has signed. It signs another only with a proof that the new tree continues
that one, and what it has signed is on the disk before anybody sees the signature: so no two people can be shown two trees that both
carry it. It reads no entry, and knows no visitor.

What it refuses it keeps, with both notes that the log has signed: ``volens witness report`` tells what they prove. Its keeper is
somebody else than the publisher: a data protection officer, another publisher.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from volens.errors import ConfigError, Mistake, SignedNoteError, StoreError
from volens.ledger.cosign import LOG, MAX_NOTE, Checkpoint, PublicKey, SignedNote, WitnessKey, base64_of, in_base64, with_lines
from volens.ledger.verify import consistent

if TYPE_CHECKING:
    from aiohttp import web

log = logging.getLogger("volens.witness")

CONFIG = "witness.toml"
LISTEN = "127.0.0.1:8460"
MAX_PROOF = 63
"""Lines of a proof (tlog-witness)."""
MAX_BODY = MAX_NOTE + 46 * (MAX_PROOF + 1)
"""Bytes of a request."""
PATIENCE = 10.0
"""Seconds a request may take to arrive, and its answer to be on the disk."""
IDLE = 30.0
"""Seconds after which a connection on which nothing whole arrives is closed."""
AT_ONCE = 64
"""Requests that are read or wait; more are told to come again."""
KEPT = 200
"""Refusals of one kind that are kept for each log; of more there is only a line in the log."""
QUIET = 60.0
"""Seconds between two notes of one refusal that comes again and again."""
APPLICATION = 0x564F4C57  # "VOLW"
VERSION = 1

TABLES = (
    """CREATE TABLE heads (
        origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL, line TEXT NOT NULL, time INTEGER NOT NULL)
        WITHOUT ROWID""",
    """CREATE TABLE signed (
        origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL, time INTEGER NOT NULL,
        PRIMARY KEY (origin, size)) WITHOUT ROWID""",
    """CREATE TABLE refused (
        origin TEXT NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL,
        signed_size INTEGER NOT NULL, signed_note TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, times INTEGER NOT NULL,
        PRIMARY KEY (origin, kind, size, root)) WITHOUT ROWID""",
)

MEANS = {
    "fork": "PROOF. The log has signed two trees of the same size with different roots: what it shows to some is not what it shows to "
    "others, or entries were changed after they were signed. Both signatures are below; anybody can check them.",
    "rewrite": "SUSPICION. The log has signed both trees, and whoever sent the second had no valid proof that it continues the first. "
    "The publisher must be able to give one: volens verify tells from both notes and the log's tiles. If there is none, signed entries "
    "were changed, dropped or moved.",
    "rollback": "SUSPICION. The log has signed a smaller tree than the one signed here, and not one seen here before. Anybody may send an "
    "old checkpoint again; if the publisher goes on with this one, an older copy of its ledger was put in place of the newer.",
}
"""What a refusal says, for who reads the report."""


# The configuration ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Config:
    """What ``witness.toml`` says."""

    name: str
    listen: str
    key: Path
    state: Path
    logs: Mapping[str, tuple[PublicKey, ...]]
    """The keys that may sign for each log, by the log's name."""


def load(path: Path) -> Config:
    """Read the file; raises ConfigError with every mistake."""
    import tomllib

    mistakes: list[Mistake] = []
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        remedy = "Make one: volens witness init --name NAME --log KEY, with the key that the publisher's /_volens/log/keys says."
        raise ConfigError(str(path), (Mistake("file", f"cannot be read ({error.strerror}).", remedy),)) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(str(path), (Mistake("file", f"{error}.", "The file must be TOML (https://toml.io), in UTF-8."),)) from error
    texts = {"name": "", "listen": LISTEN, "key": "witness.key", "state": "witness.db"}
    for name, value in told.items():
        if name not in (*texts, "logs"):
            mistakes.append(Mistake(name, "there is no such setting.", f"Use {', '.join(texts)} or logs."))
        elif name != "logs" and not isinstance(value, str):
            mistakes.append(Mistake(name, f"{value!r}.", "Write a text between quotes."))
        elif name != "logs":
            texts[name] = value.strip()
    if not re.fullmatch(r"[^\s+\x00-\x20\x7f]{1,255}", texts["name"]):
        remedy = 'Write how it is called, an address without https:// and spaces: name = "temoin.example.org".'
        mistakes.append(Mistake("name", f"{texts['name']!r}." if texts["name"] else "missing.", remedy))
    if not re.fullmatch(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):\d{1,5}", texts["listen"]):
        mistakes.append(Mistake("listen", f"{texts['listen']!r} is not an address with a port.", f'Write listen = "{LISTEN}".'))
    logs: dict[str, tuple[PublicKey, ...]] = {}
    given = told.get("logs", [])
    for number, one in enumerate(given if isinstance(given, list) else [given], 1):
        try:
            origin, key = _log(one)
        except SignedNoteError as error:
            mistakes.append(Mistake(f"logs {number}", str(error), "The publisher's /_volens/log/keys says its key."))
        else:
            logs[origin] = (*logs.get(origin, ()), key)
    if mistakes:
        raise ConfigError(str(path), tuple(mistakes))
    base = path.parent
    return Config(texts["name"], texts["listen"], base / texts["key"], base / texts["state"], logs)


def _log(value: object) -> tuple[str, PublicKey]:
    """A log's name and one of its keys: a key whose name is the log's, or a table that says both."""
    origin, text = (value.get("origin"), value.get("key")) if isinstance(value, dict) else (None, value)
    if not isinstance(text, str) or not (origin is None or isinstance(origin, str)):
        raise SignedNoteError(f"{value!r} is no log: write its verifier key between quotes.")
    key = PublicKey.parse(text)
    if key.kind != LOG:
        raise SignedNoteError(f"the key of {key.name!r} is a witness's, and a log's is needed.")
    return origin or key.name, key


def init(path: Path, name: str, logs: Iterable[str], listen: str = LISTEN) -> WitnessKey:
    """Write the configuration, and make the key and the state beside it; raises ConfigError where there is one already."""
    if path.exists():
        raise ConfigError(str(path), (Mistake("file", "is there already.", "Add a log to it: volens witness add KEY."),))
    keys = [_log(text)[1].text for text in logs]
    lines = "".join(f"  {json.dumps(key)},\n" for key in keys)
    written = (
        f"# A witness: it signs what these logs say of themselves, each size once. Run it with: volens witness\n"
        f"name = {json.dumps(name)}\nlisten = {json.dumps(listen)}\nkey = {json.dumps(path.stem + '.key')}\n"
        f"state = {json.dumps(path.stem + '.db')}\nlogs = [\n{lines}]\n"
    )
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(written, "utf-8")
        config = load(draft)  # with every mistake, before anything else is made
        draft.rename(path)
    except OSError as error:
        raise ConfigError(str(path), (Mistake("file", f"cannot be written: {error}.", "Name another with --config."),)) from error
    finally:
        draft.unlink(missing_ok=True)
    return open_witness(config)[0]


def add(path: Path, text: str) -> str:
    """Write one more log into the configuration; its name. Raises ConfigError, SignedNoteError."""
    import tomlkit

    load(path)
    origin, key = _log(text)
    document = tomlkit.parse(path.read_text("utf-8"))
    listed: Any = document.get("logs")
    if not isinstance(listed, list):
        document["logs"] = tomlkit.array()
        listed = document["logs"]
    if key.text not in listed:
        listed.append(key.text)
        listed.multiline(True)
        draft = path.with_name(f".{path.name}.draft")
        draft.write_text(tomlkit.dumps(document), "utf-8")
        draft.replace(path)
    return origin


def open_witness(config: Config) -> tuple[WitnessKey, State]:
    """The key and the state, made on the first run. Raises StoreError where a key is there and what it has signed is not."""
    if config.key.exists() and not (config.state.exists() and config.state.stat().st_size):  # an empty file is taken for a new one
        raise StoreError(
            f"{config.state}: is gone, and {config.key} has signed. A witness that forgot what it signed could sign another tree. Give the "
            f"file back; or else retire the key: remove {config.key}, give the witness another name, and tell the publishers both."
        )
    state = State(config.state)
    return WitnessKey.open(config.key, config.name), state


# What was signed and what was refused -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """The largest tree of a log that was signed."""

    checkpoint: Checkpoint
    note: str
    """As the log has signed it."""
    line: str
    """This witness's signature, with its line break."""
    time: int


class State:
    """What the witness has signed, in one SQLite file. What ``changing`` wrote is on the disk when it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.touch(0o600, exist_ok=True)
            with self._connected() as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
                if version > VERSION or (tables and connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION):
                    raise StoreError(f"{path}: is not the state of a witness, or one of a newer Volens. It was left as it is.")
                if not tables:
                    connection.execute("BEGIN IMMEDIATE")
                    if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                        for statement in TABLES:
                            connection.execute(statement)
                        connection.execute(f"PRAGMA application_id = {APPLICATION}")
                        connection.execute(f"PRAGMA user_version = {VERSION}")
                    connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{path}: cannot be used: {error}. The witness keeps there what it has signed.") from error

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path.resolve().as_uri() + "?mode=rw", uri=True, timeout=5.0, isolation_level=None)
        try:
            # EXTRA: without it a power cut can bring the rollback journal back, and with it the state of before a signature.
            connection.execute("PRAGMA synchronous = EXTRA")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other process's meets; kept at the end, or not at all."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def heads(self) -> list[Head]:
        """The largest tree signed of each log."""
        with self._connected() as connection:
            rows = connection.execute("SELECT origin, size, root, note, line, time FROM heads ORDER BY origin").fetchall()
        return [Head(Checkpoint(o, s, r), note, line, time) for o, s, r, note, line, time in rows]

    def refusals(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What was refused, with both notes, the newest last."""
        names = ("origin", "kind", "size", "note", "signed_size", "signed_note", "first", "last", "times")
        with self._connected() as connection:
            rows = connection.execute(f"SELECT {', '.join(names)} FROM refused WHERE ?1 IS NULL OR kind = ?1 ORDER BY first", (kind,))
            return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def head_in(connection: sqlite3.Connection, origin: str) -> Head | None:
    """The largest tree signed of one log."""
    row = connection.execute("SELECT size, root, note, line, time FROM heads WHERE origin = ?", (origin,)).fetchone()
    return None if row is None else Head(Checkpoint(origin, row[0], row[1]), *row[2:])


def _keep(connection: sqlite3.Connection, head: Head, before: int) -> None:
    """Note a signature; ``before``: the time of the one before. Of what was signed earlier some is remembered, so that a smaller tree
    sent later can be told from a fork: all of the last hour, one a minute of the last day, one an hour before."""
    checkpoint = head.checkpoint
    row = (checkpoint.origin, checkpoint.size, checkpoint.root, head.note)
    connection.execute("INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?, ?, ?)", (*row, head.line, head.time))
    connection.execute("INSERT OR IGNORE INTO signed VALUES (?, ?, ?, ?, ?)", (*row, head.time))
    for age, each in ((3600, 60), (86400, 3600)):
        if head.time // each != before // each:
            connection.execute(
                "DELETE FROM signed WHERE origin = ?1 AND time < ?2"
                " AND size NOT IN (SELECT min(size) FROM signed WHERE origin = ?1 GROUP BY time / ?3)",
                (checkpoint.origin, head.time - age, each),
            )


# Judging ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, type and body of an answer."""

    status: int
    body: str = ""
    kind: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Asked:
    """The body of ``add-checkpoint``, read."""

    old: int
    proof: tuple[bytes, ...]
    note: SignedNote
    checkpoint: Checkpoint
    text: str

    @classmethod
    def parse(cls, body: bytes) -> Asked:
        """Takes the body apart (C2SP tlog-witness). Raises SignedNoteError, which says what is wrong with it."""
        if len(body) > MAX_BODY:
            raise SignedNoteError(f"{len(body)} bytes; at most {MAX_BODY} are read.")
        try:
            head, empty, text = body.decode().partition("\n\n")
        except UnicodeDecodeError:
            raise SignedNoteError("not UTF-8.") from None
        first, *hashes = head.split("\n")
        found = re.fullmatch(r"old (0|[1-9][0-9]{0,18})", first)
        if found is None or not empty:
            raise SignedNoteError("write 'old N', the lines of the proof, an empty line, and the checkpoint.")
        if len(hashes) > MAX_PROOF:
            raise SignedNoteError(f"{len(hashes)} lines of proof; {MAX_PROOF} are the most.")
        proof = []
        for line in hashes:
            try:
                proof.append(base64_of(line))
            except ValueError as error:
                raise SignedNoteError(f"a line of the proof is {error}.") from None
            if len(proof[-1]) != 32:
                raise SignedNoteError(f"a line of the proof holds {len(proof[-1])} bytes, not 32.")
        note = SignedNote.parse(text)
        return cls(int(found[1]), tuple(proof), note, note.checkpoint, text)


@dataclass
class Witness:
    """Judges checkpoints. Calls of one process come one after the other; several processes may share the state."""

    key: WitnessKey
    logs: Mapping[str, tuple[PublicKey, ...]]
    state: State
    clock: Callable[[], float] = time.time
    _noted: dict[tuple[str, str, int, bytes], float] = field(default_factory=dict)

    def add_checkpoint(self, body: bytes) -> Answer:
        """The answer that tlog-witness says for this body."""
        try:
            asked = Asked.parse(body)
        except SignedNoteError as error:
            return Answer(400, f"{error}\n")
        checkpoint = asked.checkpoint
        keys = self.logs.get(checkpoint.origin)
        if keys is None:
            return Answer(404, "This witness does not know that log.\n")
        try:
            signed = any([asked.note.signed_by(key) for key in keys])
        except SignedNoteError as error:
            return Answer(403, f"{error}\n")
        if not signed:
            return Answer(403, "No signature of a key that is known for this log.\n")
        if asked.old > checkpoint.size:
            return Answer(400, f"old {asked.old} is more than the {checkpoint.size} entries of the checkpoint.\n")
        with self.state.changing() as connection:
            return self._judged(connection, asked)

    def _judged(self, connection: sqlite3.Connection, asked: Asked) -> Answer:
        checkpoint = asked.checkpoint
        last = head_in(connection, checkpoint.origin)
        size = last.checkpoint.size if last else 0
        if last is not None and checkpoint.size <= size:
            known = self._signed(connection, checkpoint) if checkpoint.size < size else last.note
            if known is None:
                self._refuse(connection, "rollback", asked, last.note, size)
            elif SignedNote.parse(known).checkpoint.root != checkpoint.root:
                self._refuse(connection, "fork", asked, known, checkpoint.size)
                return _conflict(size)
        if asked.old != size:
            return _conflict(size)
        root = last.checkpoint.root if last else hashlib.sha256(b"").digest()
        whole = checkpoint.size > 0 or checkpoint.root == root  # the tree without entries has one root
        if not (whole and consistent(size, root, checkpoint.size, checkpoint.root, asked.proof)):
            if last is not None and checkpoint.size > size:
                self._refuse(connection, "rewrite", asked, last.note, size)
            return Answer(422, f"The proof does not show that this tree continues the one of {size} entries signed here.\n")
        now = max(int(self.clock()), last.time if last else 0)  # a clock that went back does not unsay a signature
        line = self.key.cosign(asked.note.text, now)
        _keep(connection, Head(checkpoint, asked.text, line, now), last.time if last else 0)
        return Answer(200, line)

    @staticmethod
    def _signed(connection: sqlite3.Connection, checkpoint: Checkpoint) -> str | None:
        """The note of that size that was signed, where it is remembered."""
        row = connection.execute("SELECT note FROM signed WHERE origin = ? AND size = ?", (checkpoint.origin, checkpoint.size)).fetchone()
        return None if row is None else str(row[0])

    def _refuse(self, connection: sqlite3.Connection, kind: str, asked: Asked, signed: str, size: int) -> None:
        """Keep both notes, once; who sends the same again and again makes no work."""
        checkpoint, now = asked.checkpoint, int(self.clock())
        name = (checkpoint.origin, kind, checkpoint.size, checkpoint.root)
        if time.monotonic() - self._noted.get(name, float("-inf")) < QUIET:
            return
        if len(self._noted) > 10_000:
            self._noted.clear()
        self._noted[name] = time.monotonic()
        repeated = connection.execute(
            "UPDATE refused SET last = ?, times = times + 1 WHERE origin = ? AND kind = ? AND size = ? AND root = ?", (now, *name)
        ).rowcount
        if not repeated:
            kept = connection.execute("SELECT count(*) FROM refused WHERE origin = ? AND kind = ?", name[:2]).fetchone()[0]
            if kept < KEPT:
                connection.execute("INSERT INTO refused VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)", (*name, asked.text, size, signed, now, now))
            level = logging.ERROR if kind == "fork" else logging.WARNING
            log.log(level, "%s: %s at %d entries (signed here: %d). volens witness report", checkpoint.origin, kind, checkpoint.size, size)


def _conflict(size: int) -> Answer:
    return Answer(409, f"{size}\n", "text/x.tlog.size")


# For people -------------------------------------------------------------------------------------------------------

_WORDS = {
    "en": {
        "title": "A witness of consent ledgers",
        "what": "This server is a witness. Sites that run Volens send it the signed summary of their ledger of consents. It signs each "
        "summary only with a proof that nothing signed before was changed. It sees no consent and no visitor: only a number of entries and "
        "a fingerprint over them.",
        "why": "A receipt that carries its signature cannot be contradicted later, not even by the site that gave it.",
        "key": "Its key, to check its signatures with:",
        "seen": "What it has signed last",
        "log": "Log",
        "size": "Entries",
        "root": "Fingerprint",
        "time": "Signed",
        "none": "Nothing yet.",
        "refused": "Forks refused, with proof: {0}.",
        "quiet": "No fork was ever shown to it.",
    },
    "fr": {
        "title": "Un témoin de registres de consentement",
        "what": "Ce serveur est un témoin. Les sites qui utilisent Volens lui envoient le résumé signé de leur registre de consentements. "
        "Il ne contresigne un résumé que contre la preuve que rien de ce qui était déjà signé n’a changé. Il ne voit ni consentement ni "
        "visiteur : seulement un nombre d’entrées et leur empreinte.",
        "why": "Un reçu qui porte sa signature ne peut plus être démenti, pas même par le site qui l’a donné.",
        "key": "Sa clé, pour vérifier ses signatures :",
        "seen": "Ce qu’il a signé en dernier",
        "log": "Registre",
        "size": "Entrées",
        "root": "Empreinte",
        "time": "Signé",
        "none": "Rien pour l’instant.",
        "refused": "Divergences refusées, preuves à l’appui : {0}.",
        "quiet": "Aucune divergence ne lui a jamais été présentée.",
    },
}
_STYLE = (
    "body{font:1.05rem/1.5 system-ui,sans-serif;max-width:52rem;margin:3rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}"
    "code{overflow-wrap:anywhere;background:#f2f2f2;padding:.1em .3em}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:start;padding:.4em .8em .4em 0;border-bottom:1px solid #ccc;vertical-align:top;overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}code{background:#2a2a2a}th,td{border-color:#444}}"
)


def page(key: WitnessKey, heads: Iterable[Head], forks: int, language: str) -> str:
    """What a person sees who opens the witness's address."""
    say = {name: escape(text) for name, text in _WORDS[language].items()}
    rows = "".join(
        f"<tr><td>{escape(head.checkpoint.origin)}<td>{head.checkpoint.size}<td><code>{in_base64(head.checkpoint.root)}</code>"
        f"<td>{_when(head.time)}"
        for head in heads
    )
    table = f"<table><tr><th>{say['log']}<th>{say['size']}<th>{say['root']}<th>{say['time']}{rows}</table>" if rows else f"<p>{say['none']}"
    return (
        f'<!DOCTYPE html><html lang="{language}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{say['title']}</title><style>{_STYLE}</style><h1>{say['title']}</h1><p>{say['what']}<p>{say['why']}"
        f"<p>{say['key']}<br><code>{escape(key.public.text)}</code><h2>{say['seen']}</h2>{table}"
        f"<p>{say['refused'].format(forks) if forks else say['quiet']}\n"
    )


def told(key: WitnessKey, heads: Iterable[Head], forks: int) -> dict[str, Any]:
    """The same for a program, with the notes and this witness's signature under each."""
    logs = [
        {"origin": h.checkpoint.origin, "size": h.checkpoint.size, "root": in_base64(h.checkpoint.root), "time": _when(h.time),
         "checkpoint": with_lines(h.note, [h.line.rstrip("\n")])}
        for h in heads
    ]  # fmt: skip
    return {"format": "volens-witness/1", "key": key.public.text, "logs": logs, "forks": forks}


def report(config: Config, out: TextIO, *, as_json: bool = False) -> int:
    """What was refused; 1 where that proves something against a log."""
    found = State(config.state).refusals() if config.state.exists() else []
    if as_json:
        logs = [{**one, "first": _when(one["first"]), "last": _when(one["last"]), "means": MEANS[one["kind"]]} for one in found]
        print(json.dumps({"format": "volens-witness-report/1", "witness": config.name, "refused": logs}, ensure_ascii=False), file=out)
    else:
        for one in found:
            print(f"{one['origin']}: {one['kind']} at {one['size']} entries, {_when(one['first'])}, {one['times']} times.", file=out)
            print(f"{MEANS[one['kind']]}\n\nSigned by this witness before:\n\n{one['signed_note']}\nRefused:\n\n{one['note']}", file=out)
        if not found:
            print("Nothing was refused: no log has shown this witness two trees.", file=out)
    return int(any(one["kind"] == "fork" for one in found))


def _when(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# The server -------------------------------------------------------------------------------------------------------


def application(witness: Witness) -> web.Application:
    """The witness as an aiohttp application. One thread judges, so that the event loop never waits for the disk."""
    from aiohttp import web

    judge = ThreadPoolExecutor(1, "volens-witness")
    at_once = 0

    async def add_checkpoint(request: web.Request) -> web.StreamResponse:
        nonlocal at_once
        if at_once >= AT_ONCE:
            return web.Response(status=503, headers={"Retry-After": "1"}, text="Too many at once.\n")
        at_once += 1
        try:
            async with asyncio.timeout(PATIENCE):
                body = await request.read()
                answer = await asyncio.get_running_loop().run_in_executor(judge, witness.add_checkpoint, body)
        except TimeoutError:
            return web.Response(status=408, headers={"Connection": "close"}, text="The request did not arrive, or the disk is slow.\n")
        except (sqlite3.Error, OSError, StoreError) as error:
            log.error("%s: nothing is signed: %s", witness.state.path, error)
            return web.Response(status=503, headers={"Retry-After": "5"}, text="This witness cannot keep what it signs now.\n")
        finally:
            at_once -= 1
        return web.Response(
            status=answer.status, body=answer.body.encode(), headers={"Content-Type": answer.kind, "Cache-Control": "no-store"}
        )

    async def look(request: web.Request) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        heads = await loop.run_in_executor(judge, witness.state.heads)
        forks = len(await loop.run_in_executor(judge, witness.state.refusals, "fork"))
        head = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Language", "X-Content-Type-Options": "nosniff"}
        if "application/json" in request.headers.get("Accept", "")[:500]:
            return web.json_response(told(witness.key, heads, forks), headers={**head, "Access-Control-Allow-Origin": "*"})
        style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
        head["Content-Security-Policy"] = f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'"
        text = page(witness.key, heads, forks, _language(request.headers.get("Accept-Language", "")))
        return web.Response(text=text, content_type="text/html", headers=head)

    made = web.Application(client_max_size=MAX_BODY)
    made.add_routes([web.post("/add-checkpoint", add_checkpoint), web.get("/", look)])

    async def close(_: web.Application) -> None:
        judge.shutdown(wait=True)

    made.on_cleanup.append(close)
    return made


def _language(accepted: str) -> str:
    """French or English, whichever is named first."""
    for part in accepted[:500].lower().split(","):
        if part.strip()[:2] in _WORDS:
            return part.strip()[:2]
    return "en"


def serve(config: Config, ready: Callable[[str, WitnessKey], None]) -> None:
    """Answer until SIGTERM or SIGINT."""
    from aiohttp import web

    key, state = open_witness(config)
    for origin in config.logs:
        log.info("signs for %s", origin)
    if not config.logs:
        log.warning("%s names no log: every checkpoint is refused (404). Add one: volens witness add KEY", config.name)

    async def run() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        runner = web.AppRunner(application(Witness(key, config.logs, state)), access_log=None, handle_signals=False, keepalive_timeout=IDLE)
        await runner.setup()
        host, _, port = config.listen.rpartition(":")
        try:
            site = web.TCPSite(runner, host.strip("[]"), int(port), shutdown_timeout=PATIENCE)
            try:
                await site.start()
            except (OSError, OverflowError) as error:
                remedy = "Choose an address and port of this machine that is free."
                raise ConfigError("volens witness", (Mistake("listen", f"{config.listen}: {error}.", remedy),)) from None
            for name in runner.addresses:
                ready(f"http://{name[0]}:{name[1]}", key)
            await stopped.wait()
        finally:
            await runner.cleanup()

    asyncio.run(run())


def run(action: str, path: Path, *, name: str, logs: list[str], listen: str, key: str, as_json: bool) -> int:
    """The command."""
    if action == "init":
        if not name:
            print("volens witness init: --name is missing: how the witness is called, as temoin.example.org", file=sys.stderr)
            return 2
        print(f"written: {path}. Its key, for the publisher's volens.toml:\n{init(path, name, logs, listen).public.text}")
        return 0
    if action == "add":
        print(f"{path} now names {add(path, key)}. Start the witness again.")
        return 0
    config = load(path)
    if action == "key":
        print(open_witness(config)[0].public.text)
        return 0
    if action == "report":
        return report(config, sys.stdout, as_json=as_json)
    serve(config, lambda address, key: print(f"volens witness: {address} as {key.public.text}", flush=True))
    return 0
