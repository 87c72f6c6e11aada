"""Writes docs/reference/ledger-vectors.json: what a verifier must find, document by document. Made by the writing side; what should be
found is written here by hand. ``python tests/ledger/vectors.py`` writes it anew."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    ROOT = Path(__file__).parent.parent.parent
    sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

import logs
from logs import KEY, OTHER_KEY, SITE, START, WITNESS, Log, grown, record, spoilt

from volens.ledger.cosign import WitnessKey
from volens.ledger.entry import RecordEntries, commitment, minute, notice_entry
from volens.ledger.note import LogKey
from volens.ledger.tree import Edge, Growth, Tiles, leaf_hash, node_hash

FILE = Path(__file__).parent.parent.parent / "docs" / "reference" / "ledger-vectors.json"
STRANGER = WitnessKey("witness.example.net/w2", logs.seed("witness two"))


def b64(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()


def hashes() -> dict[str, Any]:
    """The smallest steps."""
    log = grown(3)
    row = log.rows[1]
    assert row.record is not None and row.salt is not None
    return {
        "leaf": [{"entry": entry, "hash": leaf_hash(entry.encode()).hex()} for entry in ("", "a", row.entry.decode())],
        "node": {"left": "00" * 32, "right": "ff" * 32, "hash": node_hash(bytes(32), b"\xff" * 32).hex()},
        "commit": {"salt": row.salt.hex(), "record": row.record.decode(), "commit": commitment(row.salt, row.record).hex()},
        "roots": [Edge().root.hex(), *(Growth(Edge(), [leaf_hash(b"%d" % n) for n in range(size)]).root.hex() for size in range(1, 9))],
        "roots_say": "of the trees over the entries '0', '1', … '7': of the first 0, 1, … 8 of them",
    }


def proofs() -> dict[str, Any]:
    """Proofs over small trees, and the same with one thing changed."""
    leaves = [leaf_hash(b"%d" % n) for n in range(13)]
    tree = Tiles(13, lambda level, index: b"".join(leaves) if (level, index) == (0, 0) else b"")
    inclusion, consistency = [], []
    for index, size in ((0, 1), (0, 2), (1, 2), (2, 3), (4, 5), (3, 7), (6, 7), (0, 8), (7, 8), (8, 9), (5, 13), (12, 13)):
        one = {"leaf": leaves[index].hex(), "index": index, "size": size, "proof": [h.hex() for h in tree.inclusion(index, size)]}
        one |= {"root": tree.root(size).hex(), "holds": True}
        inclusion.append(one)
        inclusion.append(one | {"index": index + 1, "holds": False})
        if one["proof"]:
            inclusion.append(one | {"proof": one["proof"][:-1], "holds": False})
        inclusion.append(one | {"proof": [*one["proof"], "00" * 32], "holds": False})
    eighth = {"leaf": leaves[0].hex(), "index": 0, "proof": [h.hex() for h in tree.inclusion(0, 8)], "root": tree.root(8).hex()}
    inclusion += [eighth | {"size": size, "holds": 5 <= size <= 8} for size in (1, 4, 5, 8, 9, 16, 1 << 40)]  # only the signature fixes it
    for old, size in ((0, 5), (1, 1), (1, 2), (2, 3), (3, 4), (3, 7), (4, 7), (4, 8), (6, 8), (7, 13), (8, 13), (12, 13)):
        one = {"old": old, "old_root": tree.root(old).hex(), "size": size, "root": tree.root(size).hex()}
        one |= {"proof": [h.hex() for h in tree.consistency(old, size)], "holds": True}
        consistency.append(one)
        consistency.append(one | {"old_root": "00" * 32, "holds": False})
        consistency.append(one | {"proof": [*one["proof"], "00" * 32], "holds": False})
        if one["proof"]:
            consistency.append(one | {"proof": one["proof"][1:], "holds": False})
    return {"inclusion": inclusion, "consistency": consistency}


class Cases:
    """Documents with what is to be found."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    def add(
        self,
        name: str,
        document: Any,
        *faults: str,
        keys: tuple[str, ...] = (KEY.vkey,),
        witnesses: tuple[str, ...] = (),
        gaps: tuple[str, ...] = (),
        caveats: tuple[str, ...] = ("no-witness",),
    ) -> None:
        """One; ``document`` as text or as a JSON value."""
        text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        case = {"name": name, "document": text, "keys": list(keys), "witnesses": list(witnesses), "holds": not faults and not gaps}
        self.found.append(case | {"faults": sorted(faults), "gaps": sorted(gaps), "caveats": sorted(caveats)})


def other_site() -> Log:
    """A log of another site, well signed by its own key."""
    log = Log(LogKey("other.example.org/volens", logs.seed("other site")))
    log.entry(notice_entry("other.example.org", minute(START), logs.NOTICE.digest))
    return log


def documents() -> list[dict[str, Any]]:
    """All of them."""
    cases, log, put = Cases(), grown(12), spoilt
    add = cases.add
    log.keep(
        record(100, START + timedelta(minutes=2), event="changed", supersedes=record(3).id, purposes={"publicite": False, "video": True})
    )
    withdrawn = log.keep(
        record(
            101,
            START + timedelta(minutes=3),
            event="withdrawn",
            method="refuse-all",
            supersedes=record(100).id,
            purposes={"publicite": False, "video": False},
        )
    )
    moved = log.keep(record(102, START - timedelta(days=40)), START + timedelta(minutes=3), moved=True)
    late = log.keep(record(103, START - timedelta(minutes=20)), START + timedelta(minutes=3))
    future = log.keep(record(104, START + timedelta(hours=2)), START + timedelta(minutes=3))
    trial = log.keep(record(105, START + timedelta(minutes=3), unconfigured=True))
    odd = log.keep(record(106, START + timedelta(minutes=4), tool="didomi 2.0", method="foreign", surface="foreign", regime="eu"))
    size = len(log.rows)
    good = log.receipt(5)
    other = log.receipt(6)
    given = (WITNESS.public.text,)

    add("receipt", good)
    add("receipt at once: the checkpoint of its own group commit", log.receipt(5, 6))
    add("receipt as the only entry: a path of no hash", _first())
    add("receipt with a tool and a regime", log.receipt(odd))
    add("receipt of a withdrawal", log.receipt(withdrawn), caveats=("no-witness", "supersedes"))
    add("receipt of a record of before the log", log.receipt(moved), caveats=("moved", "no-witness"))
    add("receipt of a record that was logged late", log.receipt(late), caveats=("late", "no-witness"))
    add("receipt with a cosignature of the witness that is trusted", log.receipt(5, size, WITNESS), witnesses=given, caveats=())
    add("receipt with cosignatures of a stranger too", log.receipt(5, size, STRANGER, WITNESS), witnesses=given, caveats=())
    add("receipt with a cosignature of nobody that is known", log.receipt(5, size, STRANGER))
    add("receipt without the cosignature of the witness that is trusted", good, "no-cosignature", witnesses=given)
    add("receipt with only a stranger's cosignature", log.receipt(5, size, STRANGER), "no-cosignature", witnesses=given)
    add("receipt and no key", good, keys=(), gaps=("no-key",))
    add("receipt, spelt with spaces and escapes", json.dumps(good, indent=1, ensure_ascii=True))
    add("receipt, fields in another order", dict(reversed(good.items())))
    both = put(good, lambda v: v.update(checkpoint=good["checkpoint"] + OTHER_KEY.line(log.text().encode())))
    add("receipt signed by two keys, the second trusted", both, keys=(OTHER_KEY.vkey,))
    add("receipt signed by two keys, both trusted", both, keys=(KEY.vkey, OTHER_KEY.vkey))
    extended = log.text() + "an extension\n"
    add("receipt whose checkpoint has an extension line", put(good, lambda v: v.update(checkpoint=KEY.sign(extended))))

    add(
        "a record changed: another answer",
        put(good, lambda v: v["record"]["purposes"].update(publicite=not v["record"]["purposes"]["publicite"])),
        "commit",
    )
    add("a record changed: another language", put(good, lambda v: v["record"].update(language="de")), "commit")
    add("a record with one more field", put(good, lambda v: v["record"].update(note="x")), "commit")
    add("a time shifted in the record", put(good, lambda v: v["record"].update(time="2026-11-22T10:23:01Z")), "commit")
    add("a time shifted in the entry", put(good, lambda v: v["entry"].update(time="2026-11-22T10:24Z")), "path")
    add(
        "a time shifted in both",
        put(good, lambda v: (v["entry"].update(time="2026-11-20T10:24Z"), v["record"].update(time="2026-11-20T10:24:00Z"))),
        "commit",
        "path",
    )
    add("a record of after its entry", log.receipt(future), "time")
    add("a salt changed", put(good, lambda v: v.update(salt="0" * 32)), "commit")
    add("the record of another receipt", put(good, lambda v: v.update(record=other["record"])), "commit")
    add("record and salt of another receipt", put(good, lambda v: v.update(record=other["record"], salt=other["salt"])), "commit")
    add("the entry of another receipt", put(good, lambda v: v.update(entry=other["entry"])), "commit", "path")
    add("the index of another receipt", put(good, lambda v: v.update(index=6)), "path")
    add("an index beyond the checkpoint", put(good, lambda v: v.update(index=size)), "path")
    add("the path of another receipt", put(good, lambda v: v.update(proof=other["proof"])), "path")
    add("a path without its last hash", put(good, lambda v: v["proof"].pop()), "path")
    add("a path with its hashes in another order", put(good, lambda v: v["proof"].reverse()), "path")
    add("the checkpoint of another size", put(good, lambda v: v.update(checkpoint=log.head(size - 1))), "path")
    add("a checkpoint signed by another key", log.receipt(5, key=OTHER_KEY), "other-key")
    add(
        "a checkpoint whose signature is another's under the key's name and id",
        put(good, lambda v: v.update(checkpoint=_forged(log))),
        "signature",
    )
    add(
        "a checkpoint's size changed after it was signed",
        put(good, lambda v: v.update(checkpoint=v["checkpoint"].replace(f"\n{size}\n", f"\n{size + 1}\n"))),
        "signature",
    )
    add(
        "a checkpoint's root changed after it was signed",
        put(good, lambda v: v.update(checkpoint=v["checkpoint"].replace(v["checkpoint"].split("\n")[2], b64(bytes(32))))),
        "path",
        "signature",
    )
    alien = other_site()
    add(
        "a checkpoint of another site",
        put(good, lambda v: v.update(checkpoint=alien.key.sign(log.text().replace(SITE, "other.example.org")))),
        "site",
        keys=(alien.key.vkey,),
    )
    add("a key of another site", good, "other-key", keys=(alien.key.vkey,))
    add(
        "a cosignature with another time",
        put(good, lambda v: v.update(checkpoint=_cosigned(log, 1))),
        "cosignature",
        witnesses=given,
    )
    add(
        "a cosignature of another checkpoint",
        put(good, lambda v: v.update(checkpoint=good["checkpoint"] + WITNESS.cosign(log.text(size - 1), 1))),
        "cosignature",
        witnesses=given,
    )
    add("a cosignature cut short", put(good, lambda v: v.update(checkpoint=_cosigned(log, 2))), "cosignature", witnesses=given)
    add("another notice in record and salt's commitment", _other_notice(log), "notice")
    add("another site in the record", _other_site_record(log), "site")
    add("a demonstration's record", log.receipt(trial), "unconfigured")
    add("a record that contradicts itself: withdrawn, and something granted", _contradicting(log, {"event": "withdrawn"}), "event")
    add("a record that contradicts itself: given, and nothing granted", _contradicting(log, {"purposes": {"video": False}}), "event")
    add("a record that contradicts itself: changed, and nothing before", _contradicting(log, {"event": "changed"}), "event")
    add("an entry of a notice in place of a record's", put(good, lambda v: v.update(entry=json.loads(log.rows[0].entry))), "form", "path")

    add("nothing", "{}", "unreadable", caveats=())
    add("an empty text", "", "unreadable", caveats=())
    add("half a receipt", json.dumps(good)[:-40], "unreadable", caveats=())
    add("another format", put(good, lambda v: v.update(format="volens-receipt/2")), "unreadable", caveats=())
    add("a list", "[]", "unreadable", caveats=())
    add("a field twice", json.dumps(good).replace('"index": ', '"index": 0, "index": '), "unreadable", caveats=())
    add("a fraction", json.dumps(good).replace('"index": 5', '"index": 5.0'), "unreadable", caveats=())
    add("a number with an exponent", json.dumps(good).replace('"index": 5', '"index": 5e0'), "unreadable", caveats=())
    add("a number beyond 2^53", json.dumps(good).replace('"index": 5', '"index": 9007199254740993'), "unreadable", caveats=())
    add("no number", json.dumps(good).replace('"index": 5', '"index": NaN'), "unreadable", caveats=())
    add("half a surrogate pair", json.dumps(good).replace('"language": "fr"', '"language": "\\ud800"'), "unreadable", caveats=())
    add("a name that is not ASCII", json.dumps(good).replace('"language"', '"langüe"'), "unreadable", caveats=())
    add("something after the end", json.dumps(good) + "x", "unreadable", caveats=())
    add("a comma too many", json.dumps(good)[:-1] + ",}", "unreadable", caveats=())
    add("a raw line break in a text", json.dumps(good).replace('"language": "fr"', '"language": "f\nr"'), "unreadable", caveats=())
    add("nested too deep", json.dumps(put(good, lambda v: v["record"].update(x=_deep(70)))), "unreadable", caveats=())
    add("everything missing", {"format": "volens-receipt/1"}, "form", caveats=())
    add("no salt", put(good, lambda v: v.pop("salt")), "form")
    add("a field more", put(good, lambda v: v.update(valid=True)), "form")
    add("an index that is no number", put(good, lambda v: v.update(index="5")), "form")
    add("an index that is true", put(good, lambda v: v.update(index=True)), "form")
    add("an index below zero", put(good, lambda v: v.update(index=-1)), "form")
    add("a path of too many hashes", put(good, lambda v: v.update(proof=[v["proof"][0]] * 65)), "form")
    add("a hash too short", put(good, lambda v: v.update(proof=[b64(bytes(31))])), "form")
    add(
        "base64 with stray bits",
        put(good, lambda v: v["proof"].__setitem__(0, v["proof"][0][:-2] + _stray(v["proof"][0][-2]) + "=")),
        "form",
    )
    add("a salt in capitals", put(good, lambda v: v.update(salt=v["salt"].upper())), "form")
    add("an answer that is neither yes nor no", put(good, lambda v: v["record"]["purposes"].update(video=1)), "form")
    add("a day that there is not", put(good, lambda v: v["record"].update(time="2026-02-30T10:00:00Z")), "commit", "form")
    add(
        "a note without its empty line", put(good, lambda v: v.update(checkpoint=v["checkpoint"].replace("\n\n", "\n"))), "form", caveats=()
    )
    add(
        "a note with the line breaks of Windows",
        put(good, lambda v: v.update(checkpoint=v["checkpoint"].replace("\n", "\r\n"))),
        "form",
        caveats=(),
    )
    add("a note without a signature", put(good, lambda v: v.update(checkpoint=log.text() + "\n")), "form", caveats=())
    add(
        "a size with a zero before it",
        put(good, lambda v: v.update(checkpoint=KEY.sign(log.text().replace(f"\n{size}\n", f"\n0{size}\n")))),
        "form",
        caveats=(),
    )
    add("two mistakes at once", put(good, lambda v: (v.update(salt="x", index=-1), v["record"].update(time="now"))), "form")

    bundle = log.bundle(5, None, WITNESS)
    add("bundle", bundle, witnesses=given, caveats=())
    add("bundle, keys from itself", bundle, keys=(), gaps=("keys-claimed",), caveats=("witness-claimed",))
    add("bundle, log's key given", bundle, caveats=("witness-claimed",))
    add("bundle signed by another than the key given", bundle, "other-key", keys=(OTHER_KEY.vkey,), caveats=("witness-claimed",))
    add(
        "bundle with a notice changed",
        put(bundle, lambda v: v["notice"]["controller"].update(name="Le Journal du soir")),
        "bundle-notice",
        witnesses=given,
        caveats=(),
    )
    add("bundle without its notice", put(bundle, lambda v: v.pop("notice")), "form", witnesses=given, caveats=())
    add("bundle with a broken key", put(bundle, lambda v: v["keys"].__setitem__(0, "x")), "form", witnesses=given, caveats=())
    add(
        "bundle whose record was changed",
        put(bundle, lambda v: v["receipt"]["record"].update(language="de")),
        "commit",
        witnesses=given,
        caveats=(),
    )
    add("bundle with an empty receipt", put(bundle, lambda v: v.update(receipt={})), "form", witnesses=given, caveats=())

    add("checkpoint", log.head())
    add("checkpoint with its witness", log.head(None, WITNESS), witnesses=given, caveats=())
    add("checkpoint of an empty log", KEY.sign(f"{SITE}/volens\n0\n{b64(hashlib.sha256(b'').digest())}\n"))
    add("checkpoint of an empty log with another root", KEY.sign(f"{SITE}/volens\n0\n{b64(bytes(32))}\n"), "unreadable", caveats=())
    add("checkpoint by another key", log.head(key=OTHER_KEY), "other-key")
    add("checkpoint cut off", log.head()[:-1], "unreadable", caveats=())
    add("some text", "Bonjour.\n", "unreadable", caveats=())
    return cases.found


def _first() -> dict[str, Any]:
    log = Log()
    log.keep(record(0))
    return log.receipt(0)


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _stray(letter: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return alphabet[alphabet.index(letter) | 1]


def _forged(log: Log) -> str:
    text = log.text()
    line = OTHER_KEY.line(text.encode())
    raw = base64.b64decode(line.split(" ")[2])
    own = base64.b64decode(KEY.line(text.encode()).split(" ")[2])
    return f"{text}\n— {KEY.name} {b64(own[:4] + raw[4:])}\n"


def _cosigned(log: Log, how: int) -> str:
    text = log.text()
    raw = base64.b64decode(WITNESS.cosign(text, logs.WITNESS_TIME).split(" ")[2])
    raw = raw[:4] + (raw[4:12][:-1] + b"\x00" + raw[12:] if how == 1 else raw[4:-1])
    return f"{KEY.sign(text)}— {WITNESS.name} {b64(raw)}\n"


def _committed(log: Log, change: Callable[[dict[str, Any]], None], notice: str | None = None) -> dict[str, Any]:
    """A receipt whose record was changed before it was committed to: all hashes are right."""
    value = json.loads(log.rows[5].record or b"")
    change(value)
    data, salt = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(), bytes(16)
    entry = RecordEntries(SITE).entry(commitment(salt, data), notice or value["notice"], minute(START) + 3)
    mine = Log(rows=[*log.rows, logs.Row(len(log.rows), entry)])
    index = len(log.rows)
    return {
        "format": "volens-receipt/1",
        "record": value,
        "salt": salt.hex(),
        "entry": json.loads(entry),
        "index": index,
        "proof": [b64(step) for step in mine.tree().inclusion(index)],
        "checkpoint": mine.head(),
    }


def _other_notice(log: Log) -> dict[str, Any]:
    return _committed(log, lambda value: None, "a" * 64)


def _other_site_record(log: Log) -> dict[str, Any]:
    return _committed(log, lambda value: value.update(site="other.example.org"))


def _contradicting(log: Log, change: dict[str, Any]) -> dict[str, Any]:
    return _committed(log, lambda value: value.update(change))


def made() -> str:
    """The file's text."""
    value = {
        "format": "volens-vectors/1",
        "keys": {
            "log": {"vkey": KEY.vkey, "seed": logs.seed("log").hex()},
            "witness": {"vkey": WITNESS.public.text, "seed": logs.seed("witness").hex()},
        },
        "hashes": hashes(),
        **proofs(),
        "documents": documents(),
    }
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(made(), "utf-8")
    print(f"{FILE}: written")
