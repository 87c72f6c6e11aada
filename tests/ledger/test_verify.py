"""The verifier: alone, by the vectors of its specification, and on whole logs."""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import logs
import pytest
import vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import KEY, OTHER_KEY, SITE, WITNESS, copied, grown, written

from volens import verify as command
from volens.cli import main
from volens.ledger import tree as writing
from volens.ledger.verify import (
    MEANS,
    Malformed,
    Trust,
    canonical,
    check,
    consistent,
    included,
    leaf_hash,
    read_checkpoint,
    read_key,
    read_keys,
)
from volens.ledger.verify_archive import check_archive
from volens.ledger.verify_folder import check_folder, tile_path
from volens.ledger.verify_log import ROWS, Log, check_log
from volens.ledger.verify_tree import Tree

SOURCE = Path(__file__).parent.parent.parent / "src" / "volens" / "ledger"
VECTORS: dict[str, Any] = json.loads(vectors.FILE.read_text("utf-8"))
TRUST = Trust.of([read_key(KEY.vkey)])
WITNESSED = Trust.of([read_key(KEY.vkey)], [read_key(WITNESS.public.text)])


def codes(found: Any) -> list[str]:
    """Each code once, in order."""
    return sorted({finding.code for finding in found})


def trust_of(case: dict[str, Any]) -> Trust:
    """As a case says."""
    return Trust.of([read_key(key) for key in case["keys"]], [read_key(key) for key in case["witnesses"]])


COLD = ("verify.py", "verify_tree.py", "verify_log.py", "verify_archive.py", "verify_folder.py")


@pytest.mark.parametrize("name", COLD)
def test_the_verifier_imports_nothing_of_the_writing_side(name: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse((SOURCE / name).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    assert {module for module in imported if module.startswith("volens")} <= {f"volens.ledger.{name.removesuffix('.py')}" for name in COLD}
    assert {module.partition(".")[0] for module in imported} - {"volens", "cryptography"} <= set(sys.stdlib_module_names)


def test_the_file_works_by_itself(tmp_path: Path) -> None:
    """Copied to where there is no Volens, it says the same."""
    shutil.copy(SOURCE / "verify.py", tmp_path / "verify.py")
    case = VECTORS["documents"][0]
    (tmp_path / "receipt.json").write_text(case["document"], "utf-8")
    program = (
        "import sys, verify; assert not any(m.split('.')[0] == 'volens' for m in sys.modules);"
        "trust = verify.Trust.of([verify.read_key(sys.argv[1])]);"
        "v = verify.check(open('receipt.json', 'rb').read(), trust).verdict; print(v.holds, v.faults)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, case["keys"][0]], cwd=tmp_path, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )
    assert done.stdout == "True ()\n", done.stderr


def test_the_vectors_are_those_the_writing_side_makes() -> None:
    assert vectors.FILE.read_text("utf-8") == vectors.made(), "run python tests/ledger/vectors.py"


@pytest.mark.parametrize("case", VECTORS["documents"], ids=lambda case: case["name"])
def test_a_document_is_judged_as_its_vector_says(case: dict[str, Any]) -> None:
    verdict = check(case["document"].encode("utf-8", "surrogatepass"), trust_of(case)).verdict
    told = {"holds": verdict.holds} | {part: codes(getattr(verdict, part)) for part in ("faults", "gaps", "caveats")}
    assert told == {part: case[part] for part in ("holds", "faults", "gaps", "caveats")}, verdict


def test_the_proofs_of_the_vectors() -> None:
    for one in VECTORS["inclusion"]:
        proof = [bytes.fromhex(step) for step in one["proof"]]
        assert included(bytes.fromhex(one["leaf"]), one["index"], one["size"], proof, bytes.fromhex(one["root"])) is one["holds"], one
    for one in VECTORS["consistency"]:
        proof = [bytes.fromhex(step) for step in one["proof"]]
        old, new = bytes.fromhex(one["old_root"]), bytes.fromhex(one["root"])
        assert consistent(one["old"], old, one["size"], new, proof) is one["holds"], one


def test_every_code_says_what_it_means_and_every_finding_has_one() -> None:
    used = set()
    for name in COLD:
        for node in ast.walk(ast.parse((SOURCE / name).read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("fault", "gap", "caveat"):
                if isinstance(node.args[0], ast.Constant):
                    used.add(node.args[0].value)
    assert used <= MEANS.keys()
    # told by a name that is worked out, or by the command
    assert MEANS.keys() - used <= {"moved", "late", "demonstration", "unreadable", "cut", "site", "notice", "unread"}


def test_the_specification_tells_every_code_and_every_field() -> None:
    text = (vectors.FILE.parent / "ledger.md").read_text("utf-8")
    assert {code for code in MEANS if f"`{code}`" not in text} == set()
    good = grown(3).receipt(1)
    named = {*good, *good["record"], *good["entry"], *grown(3).lines()[0]}
    assert {name for name in named if f"`{name}`" not in text and f'"{name}"' not in text} == set()


def test_a_third_verifier_of_thirty_lines_and_openssl_says_the_same(tmp_path: Path) -> None:
    """By the specification alone: plain Python for the hashes, openssl for the signature, nothing of Volens."""

    def fits(document: str, vkey: str) -> bool:
        receipt = json.loads(document)
        record, entry = (
            json.dumps(receipt[part], sort_keys=True, separators=(",", ":"), ensure_ascii=False) for part in ("record", "entry")
        )
        found = sha256(b"volens/v1" + bytes.fromhex(receipt["salt"]) + record.encode()).hexdigest() == receipt["entry"]["commit"]
        found = found and all(receipt["record"][name] == receipt["entry"][name] for name in ("notice", "site"))
        found = found and receipt["record"]["time"][:16] <= receipt["entry"]["time"][:16]
        text, _, lines = receipt["checkpoint"].rpartition("\n\n")
        text += "\n"
        origin, size, root = text.split("\n")[:3]
        found = found and origin == receipt["entry"]["site"] + "/volens" and receipt["index"] < int(size)
        # RFC 6962 2.1.1, told from the root down: which way the leaf lies in each subtree.
        sides, first, count = [], receipt["index"], int(size)
        while count > 1:
            left = 1 << (count - 1).bit_length() - 1
            sides.append(first >= left)
            first, count = (first - left, count - left) if first >= left else (first, left)
        hash = sha256(b"\0" + entry.encode()).digest()
        found = found and len(sides) == len(receipt["proof"])
        for right, step in zip(reversed(sides), receipt["proof"], strict=False):
            other = b64decode(step)
            hash = sha256(b"\1" + (other + hash if right else hash + other)).digest()
        name, id, key = vkey.split("+", 2)
        line = next(
            (line for line in lines.split("\n") if line.startswith(f"— {name} ") and b64decode(line.split(" ")[2])[:4].hex() == id), None
        )
        if line is None:
            return False
        (tmp_path / "key").write_bytes(bytes.fromhex("302a300506032b6570032100") + b64decode(key)[1:])
        (tmp_path / "text").write_text(text, "utf-8")
        (tmp_path / "signature").write_bytes(b64decode(line.split(" ")[2])[4:])
        openssl = "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in text -sigfile signature".split()
        return found and hash == b64decode(root) and subprocess.run(openssl, cwd=tmp_path, capture_output=True).returncode == 0

    asked = {
        "event",
        "unconfigured",
        "form",
        "unreadable",
        "no-key",
        "no-cosignature",
        "cosignature",
        "keys-claimed",
    }  # beyond thirty lines
    cases = [
        case
        for case in VECTORS["documents"]
        if case["document"].startswith('{"format":"volens-receipt/1"') and not asked.intersection(case["faults"] + case["gaps"])
    ]
    assert {case["name"]: fits(case["document"], case["keys"][0]) for case in cases} == {case["name"]: case["holds"] for case in cases}
    assert len(cases) > 35 and {case["holds"] for case in cases} == {True, False}


@given(st.integers(1, 600), st.data())
@settings(max_examples=150, deadline=None)
def test_every_proof_of_the_writing_side_holds_and_none_for_another_leaf(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(b"%d" % n) for n in range(size)]
    upper = writing.Growth(writing.Edge(), leaves[:256]).root if size >= 256 else b""
    more = writing.Growth(writing.Edge(), leaves[256:512]).root if size >= 512 else b""
    kept = {0: leaves, 1: [part for part in (upper, more) if part]}
    tree = writing.Tiles(size, lambda level, index: b"".join(kept[level][index * 256 : index * 256 + 256]))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    proof, root = tree.inclusion(index), tree.root()
    assert included(leaves[index], index, size, proof, root)
    assert not included(leaf_hash(b"x"), index, size, proof, root)
    assert size == 1 or not included(leaves[index], (index + 1) % size, size, proof, root)
    between = tree.consistency(old, size)
    assert consistent(old, tree.root(old), size, root, between)
    assert old in (0, size) or not consistent(old, leaf_hash(b"x"), size, root, between)
    read = Tree()
    read.add(b"".join(leaves), {})
    assert (read.root(size), read.root(old)) == (root, tree.root(old))


# ---------------------------------------------------------------- whole logs


def told(log: Log) -> list[str]:
    """What is wrong with it."""
    return codes(log.verdict.faults)


def test_one_size_that_was_published_before_and_after_a_witness_signed_is_checked(tmp_path: Path) -> None:
    log = grown(20)
    log.published = [log.head(12), log.head(12, WITNESS), log.head(12, WITNESS)]
    found = check_archive(written(tmp_path / "a", log.lines()), WITNESSED)
    assert found.verdict.holds and found.verdict.facts["witnessed"] == 12


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_an_archive_holds_and_says_how_far_a_witness_has_seen_it(tmp_path: Path, packed: bool) -> None:
    log = grown(700)
    log.published = [log.head(size, WITNESS) for size in (3, 256, 512, 600)]
    done: list[tuple[int, int]] = []
    found = check_archive(written(tmp_path / "a", log.lines(), packed=packed), WITNESSED, progress=lambda n, of: done.append((n, of)))
    assert found.verdict.holds, found.verdict
    assert codes(found.verdict.caveats) == ["unwitnessed"]
    assert {name: found.verdict.facts[name] for name in ("entries", "record", "erasure", "notice", "snapshot", "witnessed")} == {
        "entries": 703,
        "record": 700,
        "erasure": 1,
        "notice": 1,
        "snapshot": 1,
        "witnessed": 600,
    }
    assert done[-1] == (703, 703)


def test_several_processes_say_what_one_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = grown(2500)
    whole = written(tmp_path / "good", log.lines())
    lines = log.lines()
    for at in (41, 901, 2201):
        lines[at]["record"]["language"] = "de"
    spoilt = written(tmp_path / "bad", lines)
    monkeypatch.setattr("volens.ledger.verify_archive.BLOCK", 70_000)
    alone = [check_archive(path, TRUST, name="a", processes=1).verdict for path in (whole, spoilt)]
    monkeypatch.setattr("volens.ledger.verify_archive.workers", lambda wanted, work: 3)
    assert [check_archive(path, TRUST, name="a").verdict for path in (whole, spoilt)] == alone
    assert [verdict.holds for verdict in alone] == [True, False]
    assert [fault.place for fault in alone[1].faults] == ["entry 38", "entry 898", "entry 2198"]


def test_what_goes_wrong_between_two_blocks_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volens.ledger.verify_log.ROWS", 10)
    log = grown(60)
    head = log.head()
    assert check_log(SITE, len(log.rows), log.read, head, TRUST).verdict.holds
    log.rows[20].entry = log.rows[20].entry.replace(b"T10:23Z", b"T10:22Z")
    assert told(check_log(SITE, len(log.rows), log.read, head, TRUST)) == ["minute", "root", "time"]
    log = grown(60)
    del log.rows[20]
    found = check_log(SITE, len(log.rows) + 1, log.read, head, TRUST)
    assert [fault.place for fault in found.verdict.faults if fault.code == "order"] == ["entry 20"]
    log = grown(60)
    del log.rows[-1]
    found = check_log(SITE, len(log.rows) + 1, log.read, head, TRUST)
    assert [fault.place for fault in found.verdict.faults if fault.code == "order"] == [f"entry {len(log.rows)}"]


def test_a_ledger_s_rows_are_checked_with_the_tree_that_is_kept() -> None:
    log = grown(600)
    tree = log.tree()
    found = check_log(SITE, len(log.rows), log.read, log.head(), TRUST, hashes=tree._read, notices=[log.notice.digest])
    assert found.verdict.holds and found.verdict.kind == "ledger", found.verdict
    assert told(check_log(SITE, len(log.rows), log.read, log.head(), TRUST, notices=[])) == ["notice-missing"]
    assert len(log.rows) < ROWS


def test_a_copy_of_the_published_log_holds(tmp_path: Path) -> None:
    log = grown(600)
    folder = copied(tmp_path / "log", log)
    assert check_folder(folder, TRUST).verdict.holds
    (folder / "tile" / "1" / "000.p" / "2").write_bytes(bytes(64))
    assert told(check_folder(folder, TRUST)) == ["tile"]


def test_tiles_lie_where_the_specification_says() -> None:
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067" and tile_path("entries", 0, 112) == "tile/entries/000.p/112"
    assert [tile_path(1, index) for index in (999, 1000, 1_000_000)] == ["tile/1/999", "tile/1/x001/000", "tile/1/x001/x000/000"]


def test_what_others_hold_is_held_against_the_archive(tmp_path: Path) -> None:
    log = grown(300)
    held = [check(json.dumps(log.receipt(at, size)).encode(), TRUST, f"r{at}").standing for at, size in ((5, 6), (5, 200), (280, 303))]
    held += [check(log.head(size).encode(), TRUST, f"c{size}").standing for size in (1, 255, 303)]
    path = written(tmp_path / "a", log.lines())
    assert check_archive(path, TRUST, standings=[one for one in held if one]).verdict.holds
    other = grown(300)
    other.rows[5] = logs.Row(5, log.rows[6].entry, log.rows[6].salt, log.rows[6].record)
    other.rows[6] = logs.Row(6, log.rows[5].entry, log.rows[5].salt, log.rows[5].record)
    found = check_archive(written(tmp_path / "b", other.lines()), TRUST, standings=[one for one in held if one])
    assert told(found) == ["rewritten"]
    assert "the first 1 entries are as they were signed" in str(found.verdict.faults)


# ---------------------------------------------------------------- keys and the command


def test_keys_as_a_site_publishes_them() -> None:
    text = f"{OTHER_KEY.vkey}\n{KEY.vkey}\n\n{WITNESS.public.text}\n"
    trust = Trust.of(read_keys(text))
    assert [str(key) for key in trust.log] == [OTHER_KEY.vkey, KEY.vkey]
    assert [(str(key), key.given) for key in trust.witnesses] == [(WITNESS.public.text, False)]
    for broken in ("", "x", KEY.vkey[:-1], KEY.vkey.replace("www", "ww"), KEY.vkey.replace("+A", "+Q"), f"{KEY.vkey}\nx"):
        with pytest.raises(Malformed):
            read_keys(broken)


def test_the_log_s_key_may_stand_in_a_file_and_a_witness_s_may_not_stand_for_it(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY.vkey}\n\n{WITNESS.public.text}\n", "utf-8")
    assert command.trust([str(tmp_path / "keys")], []).log[0].public == KEY.public
    with pytest.raises(Malformed, match="give it with --witness"):
        command.trust([WITNESS.public.text], [])
    with pytest.raises(Malformed, match="key of a log"):
        command.trust([], [KEY.vkey])


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """What somebody may hold of a log."""
    log = grown(300)
    (tmp_path / "receipt.json").write_text(json.dumps(log.receipt(20, 40)), "utf-8")
    (tmp_path / "bundle.json").write_text(json.dumps(log.bundle(20, None, WITNESS)), "utf-8")
    (tmp_path / "old").write_text(log.head(100), "utf-8")
    (tmp_path / "new").write_text(log.head(), "utf-8")
    proof = "".join(f"{vectors.b64(step)}\n" for step in log.tree().consistency(100))
    (tmp_path / "proof").write_text(f"old 100\n{proof}\n{log.head()}", "utf-8")
    log.published = [log.head(100, WITNESS)]
    written(tmp_path / "archive", log.lines(), packed=True)
    copied(tmp_path / "copy", log)
    (tmp_path / "keys").write_text(KEY.vkey + "\n", "utf-8")
    return tmp_path


def test_the_command_says_what_holds_and_what_that_means(
    papers: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(papers)
    assert main(["verify", "receipt.json", "bundle.json", "old", "new", "proof", "archive", "copy", "--key", "keys"]) == 0
    out = capsys.readouterr().out
    assert out.count(": HOLDS") == 7 and "WRONG" not in out and "not-compared" not in out
    assert "given on www.example.org at 2026-11-22T10:23:24Z: publicite, video; entry 20 of 40." in out
    assert "evident to everybody but the operator" in out.replace("\n    ", " ")


def test_the_command_s_status_tells_wrong_from_not_checked(
    papers: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(papers)
    assert main(["verify", "receipt.json"]) == 2  # no key
    assert main(["verify", "nowhere.json", "--key", "keys"]) == 2
    assert main(["verify", "receipt.json", "--key", "no-such-file"]) == 2
    assert main(["verify"]) == 2
    assert main(["verify", "receipt.json", "--key", OTHER_KEY.vkey]) == 1
    assert main(["verify", "old", "new", "--key", "keys"]) == 0
    assert "not-compared" in capsys.readouterr().out
    assert main(["verify", "receipt.json", "--key", "keys", "--witness", WITNESS.public.text]) == 1
    assert main(["verify", "receipt.json", "--key", "keys", "--witness", WITNESS.public.text, "--quorum", "0"]) == 0
    for twice in (["--witness", WITNESS.public.text] * 2, []):  # one that is named twice is one
        assert main(["verify", "receipt.json", "--key", "keys", *twice, "--quorum", "2"]) == 2
    assert main(["verify", "bundle.json"]) == 2  # anybody could have made all of it
    said = capsys.readouterr().out.replace("\n    ", " ")
    assert "The keys come from the document itself" in said and "The site itself names these witnesses" in said


def test_receipts_one_a_line_are_each_checked_and_held_against_the_archive(
    papers: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(papers)
    log = grown(300)
    good = [json.dumps(log.receipt(at, size)) for at, size in ((20, 40), (21, 40), (200, 303))]
    Path("receipts.jsonl").write_text("\n".join(good) + "\n", "utf-8")
    assert main(["verify", "receipts.jsonl", "archive", "--key", "keys"]) == 0
    assert "3 receipts, one a line" in (said := capsys.readouterr().out) and "3 of 3" in said
    Path("receipts.jsonl").write_text("\n".join([*good, good[0].replace('"fr"', '"de"'), "{}"]), "utf-8")
    assert main(["verify", "receipts.jsonl", "--key", "keys"]) == 1
    said = capsys.readouterr().out
    assert "WRONG, line 4, record: record and salt" in said and "[unreadable]" in said and "WRONG, line 1" not in said


def test_the_command_tells_machines_the_same(papers: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(papers)
    assert main(["verify", "receipt.json", "--archive", "archive", "--key", "keys", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["format"] == "volens-verify/1" and value["holds"] is True
    assert [one["kind"] for one in value["files"]] == ["receipt", "archive"]
    assert value["files"][0]["facts"]["purposes"] == {"publicite": True, "video": True}


def _ended(task: object) -> None:
    os._exit(9)


def test_a_process_that_is_ended_is_said_and_nothing_is_believed(
    papers: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.ledger.verify_archive.workers", lambda wanted, work: 2)
    monkeypatch.setattr("volens.ledger.verify_archive.check_lines", _ended)
    assert main(["verify", str(papers / "archive"), "--key", KEY.vkey]) == 2
    assert "a process that checked entries was ended" in capsys.readouterr().out.replace("\n    ", " ")


def test_nothing_in_a_file_moves_the_cursor() -> None:
    out = io.StringIO()
    document = json.dumps(logs.spoilt(grown(3).receipt(1), lambda v: v.update({"\x1b[2J\x07": 1})))
    verdict = check(document.encode(), TRUST, "r").verdict
    command.say(command.Outcome((verdict,), verdict), out)
    assert "\x1b" not in out.getvalue() and not verdict.holds


def test_an_archive_is_read_in_bounded_memory_whatever_it_claims(tmp_path: Path) -> None:
    lines = grown(10).lines()
    lines[0]["size"] = 2**53 - 1
    lines[5]["i"] = 2**53 - 1
    found = check_archive(written(tmp_path / "a", lines), TRUST)
    assert {"cut", "order"} <= set(told(found))
    text = KEY.sign(f"{SITE}/volens\n4611686018427387904\n{vectors.b64(bytes(32))}\n")
    assert read_checkpoint(text.encode()).size == 1 << 62
    assert told(check_folder(copied(tmp_path / "log", grown(10), text), TRUST)) == ["cut"]
    (tmp_path / "bomb").write_bytes(gzip.compress(bytes(70 << 20)))
    assert told(check_archive(tmp_path / "bomb", TRUST)) == ["cut"]


def test_an_entry_of_an_unknown_type_stands_for_nothing_that_the_check_says(tmp_path: Path) -> None:
    """Not for who signed, nor for what was counted, whatever it is called."""
    log = grown(10)
    for kind in ("witnesses", "signed_by", "entries", "moved", *(f"kind{n}" for n in range(300))):
        log.entry(canonical({"v": 1, "site": SITE, "time": "2026-11-22T11:00Z", "type": kind}))
    found = check_archive(written(tmp_path / "a", log.lines()), TRUST).verdict
    assert found.holds and found.facts["entries"] == len(log.rows) and found.facts["signed_by"] == [KEY.vkey]
    assert codes(found.caveats) == ["no-witness", "unknown"]
    spoilt = written(tmp_path / "b", log.lines(head="none"))
    found = check_archive(spoilt, TRUST).verdict
    command.say(command.Outcome((found,), found), io.StringIO())
    assert "witnesses" not in found.facts and codes(found.faults) == ["form"]
