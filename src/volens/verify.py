"""``volens verify``: receipts (one, or one a line), bundles, checkpoints, archives and copies of a log, checked offline and told in words.

What is given together is also held against each other: two checkpoints of one log must be heads of one tree, and a receipt must be in
the archive.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

from volens.errors import many
from volens.ledger.verify import (
    BUNDLE,
    LOG,
    MAX_DOCUMENT,
    RECEIPT,
    WITNESS,
    Checked,
    Consistency,
    Finding,
    Findings,
    Key,
    Malformed,
    Standing,
    Trust,
    Verdict,
    check,
    check_checkpoint,
    check_document,
    compare,
    read_consistency,
    read_json,
    read_key,
    read_keys,
)
from volens.ledger.verify_archive import ARCHIVE, check_archive
from volens.ledger.verify_folder import check_folder
from volens.ledger.verify_log import Log, few

FORMAT = "volens-verify/1"
HOLDS, WRONG, UNCHECKED = 0, 1, 2
"""Exit statuses: all holds; something is wrong; something could not be checked."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All verdicts, and what was found between the files."""

    verdicts: tuple[Verdict, ...]
    between: Verdict

    @property
    def status(self) -> int:
        """As the command exits."""
        every = (*self.verdicts, self.between)
        if any(verdict.faults for verdict in every):
            return WRONG
        return HOLDS if all(verdict.holds for verdict in every) else UNCHECKED

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "format": FORMAT,
            "holds": self.status == HOLDS,
            "files": [verdict.to_json() for verdict in self.verdicts],
            "between": self.between.to_json(),
        }


def trust(keys: Iterable[str], witnesses: Iterable[str], quorum: int | None = None) -> Trust:
    """From what ``--key`` and ``--witness`` were given: keys, or files that hold them. Raises Malformed, saying which."""
    log: list[Key] = []
    seen: list[Key] = []
    for given in keys:
        log += _keys(given, "--key")
    for given in witnesses:
        found = _keys(given, "--witness")
        if wrong := [key for key in found if key.kind != WITNESS]:
            raise Malformed(f"--witness {given}: {wrong[0]} is the key of a log; a witness's begins with B after the second '+'.")
        seen += [key for key in found if key not in seen]  # one that is named twice counts once
    if quorum is not None and not 0 <= quorum <= len(seen):
        raise Malformed(f"--quorum {quorum}: {len(seen)} different witnesses are given with --witness.")
    if log and not any(key.kind == LOG for key in log):
        raise Malformed(f"--key: {log[0]} is a witness's; give it with --witness, and the log's own with --key.")
    return Trust.of(log, seen, quorum)


def _keys(given: str, option: str) -> Sequence[Key]:
    path = Path(given)
    try:
        if not path.is_file():
            return [read_key(given)]
        with path.open("rb") as file:
            return read_keys(file.read(1 << 16).decode())
    except UnicodeDecodeError:
        raise Malformed(
            f"{option} {given}: no text. Name a file with a key on each line, as the site gives it at /_volens/log/keys."
        ) from None
    except Malformed as error:
        raise Malformed(f"{option} {given}: {error}") from None


def verify(
    paths: Iterable[Path], given: Trust, *, processes: int | None = None, progress: Callable[[str, int, int], None] | None = None
) -> Outcome:
    """Each file by what it is, then all against each other: whole logs come last, so that everything else is held against them."""
    verdicts: dict[int, Verdict] = {}
    standings: list[Standing] = []
    proofs: list[tuple[str, Consistency]] = []
    whole: list[tuple[int, Path]] = []
    for number, path in enumerate(paths):
        try:
            if path.is_dir() or _is_archive(path):
                whole.append((number, path))
                continue
            with path.open("rb") as file:
                data = file.read(MAX_DOCUMENT + 1)
        except OSError as error:
            verdicts[number] = _unread(path, error)
            continue
        if _many(data):
            verdicts[number], held = _each(path, given)
            standings += held
            continue
        if data.startswith(b"old "):
            checked = _proof(data, given, str(path), proofs)
        else:
            checked = check(data, given, str(path))
        verdicts[number] = checked.verdict
        if checked.standing is not None:
            standings.append(checked.standing)
    read: set[str] = set()
    for number, path in whole:
        told = None if progress is None else lambda done, of, name=str(path): progress(name, done, of)
        read_whole = check_folder if path.is_dir() else check_archive
        try:
            log: Log = read_whole(path, given, name=str(path), standings=standings, processes=processes, progress=told)
        except OSError as error:
            verdicts[number] = _unread(path, error)
            continue
        verdicts[number] = log.verdict
        if log.checkpoint is not None:
            read.add(log.checkpoint.origin)
            standings.append(Standing(str(path), log.checkpoint))
    between = compare(standings, proofs, read)
    few(between, "together")
    return Outcome(tuple(verdicts[number] for number in sorted(verdicts)), between.verdict("between", "together", {}))


def _unread(path: Path, error: OSError) -> Verdict:
    found = Findings()
    found.gap("unread", str(path), f"it could not be read: {error.strerror or error}")
    return found.verdict("file", str(path), {})


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(1 << 16)
    try:
        top = read_json(head.partition(b"\n")[0]) if b"\n" in head else None
    except Malformed:
        top = None
    return head.startswith(b"\x1f\x8b") or (isinstance(top, dict) and top.get("format") == ARCHIVE)


def _many(data: bytes) -> bool:
    """Whether these are receipts or bundles, one a line, as ``volens ledger export --format receipts`` writes them."""
    first, _, more = data.partition(b"\n")
    try:
        top = read_json(first) if more.strip() else None
    except Malformed:
        return False
    return isinstance(top, dict) and top.get("format") in (RECEIPT, BUNDLE)


def _each(path: Path, given: Trust) -> tuple[Verdict, list[Standing]]:
    """Every line of such a file, in bounded memory but for what is to be held against the others."""
    found, standings, count, caveats = Findings(), list[Standing](), 0, dict[str, int]()
    with path.open("rb") as file:
        while line := file.readline(MAX_DOCUMENT + 1):
            count += 1
            checked = check_document(line, given, f"{path}, line {count}")
            for mine, theirs in ((found.faults, checked.verdict.faults), (found.gaps, checked.verdict.gaps)):
                mine += [replace(one, place=f"line {count}, {one.place}") for one in theirs if len(mine) < 100_000]
            for code in {one.code for one in checked.verdict.caveats}:
                caveats[code] = caveats.get(code, 0) + 1
            if checked.standing is not None:
                standings.append(checked.standing)
    for code, times in sorted(caveats.items()):
        found.caveat(code, str(path), f"{times} of {count}")
    few(found, str(path))
    return found.verdict("receipts", str(path), {"receipts": count}), standings


def _proof(data: bytes, given: Trust, name: str, proofs: list[tuple[str, Consistency]]) -> Checked:
    try:
        proof = read_consistency(data)
    except Malformed as error:
        found = Findings()
        found.fault("unreadable", name, str(error))
        return Checked(found.verdict("proof", name, {}))
    proofs.append((name, proof))
    return check_checkpoint(proof.checkpoint, given, name)


# ---------------------------------------------------------------- in words


def say(outcome: Outcome, out: TextIO) -> None:
    """All of it, the worst first within each file."""
    for verdict in outcome.verdicts:
        word = "HOLDS" if verdict.holds else "DOES NOT HOLD" if verdict.faults else "NOT CHECKED"
        print(f"{verdict.name}: {word}{_about(verdict)}", file=out)
        _findings(verdict, out)
    if outcome.between.faults or outcome.between.caveats:
        print("These files together:", file=out)
        _findings(outcome.between, out)


def _about(verdict: Verdict) -> str:
    facts = verdict.facts
    if verdict.kind in ("receipt", "bundle") and "time" in facts:
        granted = [name for part in ("purposes", "services") for name, answer in facts[part].items() if answer]
        what = f"{facts['event']} on {facts['site']} at {facts['time']}"
        what += f": {', '.join(granted)}" if granted else ": nothing granted"
        log = facts.get("log")
        where = f"; entry {facts['index']} of {log['size']}" if log and "index" in facts else ""
        return f"\n  A {verdict.kind}. {what}{where}." + _signers(facts)
    if verdict.kind == "checkpoint" and "size" in facts:
        return f"\n  A checkpoint of {facts['origin']}: {many(facts['size'], 'entry', 'entries')}, root {facts['root']}." + _signers(facts)
    if "receipts" in facts:
        return f"\n  {many(facts['receipts'], 'receipt')}, one a line."
    if "entries" in facts:
        span = f", {facts['from']} to {facts['to']}" if facts["from"] else ""
        held = f"{many(facts['entries'], 'entry', 'entries')}, {facts.get('record', 0):,} of records{span}"
        return f"\n  The {verdict.kind} of {facts['site']}: {held}." + _signers(facts)
    return ""


def _signers(facts: Any) -> str:
    text = "".join(f"\n  Signed by {key}." for key in facts.get("signed_by", ()))
    for name, time in sorted(facts.get("witnesses", {}).items()):
        try:
            when = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        except (ValueError, OverflowError, OSError):
            when = f"second {time}"
        text += f"\n  Seen by the witness {name} at {when}."
    return text


def _findings(verdict: Verdict, out: TextIO) -> None:
    for word, part in (("WRONG", verdict.faults), ("NOT CHECKED", verdict.gaps), ("Note", verdict.caveats)):
        for finding in part:
            print(_told(word, finding), file=out)


def _told(word: str, finding: Finding) -> str:
    text = f"{word}, {finding.place}: {finding.said}. {finding.means} [{finding.code}]"
    return textwrap.fill(_shown(text), 118, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _shown(text: str) -> str:
    """Nothing in a file may move the cursor of whoever reads of it."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def page() -> str:
    """The same check as one page that works from a file, without a network."""
    return (files("volens") / "static" / "verify.html").read_text("utf-8")


class _Bar:
    """How far a whole log is read, on a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._last = out, -1

    def __call__(self, name: str, done: int, of: int) -> None:
        percent = min(100 * done // of, 100) if of else 100
        if percent != self._last:
            self._last = percent
            print(f"\r{name}: {done} of {of} entries, {percent} % ", end="\n" if percent == 100 else "", file=self._out, flush=True)


def run(
    paths: Sequence[Path],
    keys: Sequence[str],
    witnesses: Sequence[str],
    quorum: int | None,
    processes: int | None,
    *,
    as_json: bool,
    out: TextIO,
) -> int:
    """The command; its exit status."""
    try:
        given = trust(keys, witnesses, quorum)
    except Malformed as error:
        print(f"volens verify: {error}", file=sys.stderr)
        return UNCHECKED
    outcome = verify(paths, given, processes=processes, progress=_Bar(sys.stderr) if sys.stderr.isatty() else None)
    if as_json:
        print(json.dumps(outcome.to_json(), ensure_ascii=False, indent=2), file=out)
    else:
        say(outcome, out)
    return outcome.status
