"""A line of an archive says one thing, in one form: what is read in is what was checked."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from custody_site import SITE, WHEN, Custody

from volens.ledger.archive import EVER
from volens.notice import canonical

Change = Callable[[list[bytes], str], list[bytes]]


def _also(more: Callable[[str], object]) -> Change:
    """Something beside a notice that is there already."""

    def changed(lines: list[bytes], note: str) -> list[bytes]:
        notice = next(line for line in lines if line.startswith(b'{"notice"'))
        return [*lines, canonical({**json.loads(notice), **more(note)})]  # type: ignore[dict-item]

    return changed


def _more(more: Callable[[str], object]) -> Change:
    return lambda lines, note: [*lines, canonical(more(note))]


def _unsigned(note: str) -> str:
    text, _, _ = note.partition("\n\n")
    return f"{text}\n\n— {SITE}/volens {base64.b64encode(bytes(68)).decode()}\n"


TOTAL = {"of": "total", "day": "2026-11-22", "event": "given", "notice": "0" * 64, "surface": "notice", "language": "fr", "gpc": False}
ODD: dict[str, Change] = {
    "a checkpoint that nobody signed, beside a notice": _also(
        lambda note: {"checkpoints": [{"size": 1, "at": 1, "note": _unsigned(note)}]}
    ),
    "a text that is no checkpoint, beside a notice": _also(lambda note: {"checkpoints": [{"size": 1, "at": 1, "note": "x"}]}),
    "a file of another digest, beside a notice": _also(lambda note: {"file": {"sha256": "0" * 64, "data": "WA=="}}),
    "a count beside a notice": _also(lambda note: {"count": {**TOTAL, "count": 999}}),
    "a count that is a number": _more(lambda note: {"count": 5}),
    "a count of an unknown kind": _more(lambda note: {"count": {"of": "x"}}),
    "a count without its fields": _more(lambda note: {"count": {"of": "total"}}),
    "a count that is no number": _more(lambda note: {"count": {**TOTAL, "count": "many"}}),
    "a count of a list": _more(lambda note: {"count": {"of": []}}),
    "checkpoints that are a text": _more(lambda note: {"checkpoints": note}),
    "a checkpoint without its second": _more(lambda note: {"checkpoints": [{"note": note}]}),
    "a checkpoint of no second": _more(lambda note: {"checkpoints": [{"size": 1, "at": "never", "note": note}]}),
    "two objects in one line": lambda lines, note: [lines[0], b'{"x":1}\r{"y":2}', *lines[1:]],
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_read_in_is_what_was_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str], odd: str) -> None:
    first, second = Custody(tmp_path / "first"), Custody(tmp_path / "second")
    first.start()
    first.keep([first.record() for _ in range(3)])
    store = first.open()
    head = store.head(SITE)
    assert head is not None
    store.publish(SITE, head.note, WHEN.timestamp())
    store.close()
    path = first.folder / "all.jsonl"
    assert first.run("ledger", "backup", path) == 0
    lines = path.read_bytes().splitlines()[:-1]
    assert lines
    data = b"".join(line + b"\n" for line in ODD[odd](lines, head.note))
    path.write_bytes(data + canonical({"end": data.count(b"\n"), "sha256": hashlib.sha256(data).hexdigest()}) + b"\n")
    shutil.copy(first.folder / "volens.log-key", second.folder)
    capsys.readouterr()
    assert second.run("ledger", "import", path) == 1
    assert "nothing was written" in capsys.readouterr().err.lower()
    store = second.open()
    try:
        assert store.head(SITE) is None and store.published(SITE) is None and not store.totals(SITE, *EVER)
    finally:
        store.close()
