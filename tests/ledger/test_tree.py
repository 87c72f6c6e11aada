"""The writing side of the log: the tree against the RFC's own definitions, written here a second time as they stand there."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from volens.errors import KeyFileError, ProofError
from volens.ledger import entry as entries
from volens.ledger.note import LogKey, LogKeys, checkpoint, key_id, open_log_keys, origin, read_log_keys
from volens.ledger.tree import EMPTY, HASH, WIDTH, Edge, Growth, Tiles, leaf_hash
from volens.notice import canonical

LEAVES = [hashlib.sha256(b"%d" % n).digest() for n in range(1200)]


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962 §2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], known: bool) -> list[bytes]:
    """RFC 6962 §2.1.2."""
    if m == len(leaves):
        return [] if known else [mth(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*subproof(m, leaves[:k], known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def kept(leaves: list[bytes]) -> Tiles:
    """The tree of these leaves as tiles."""
    tiers = [leaves]
    while len(tiers[-1]) >= WIDTH:
        rows = tiers[-1]
        tiers.append([mth(rows[i : i + WIDTH]) for i in range(0, len(rows) - WIDTH + 1, WIDTH)])
    return Tiles(len(leaves), lambda tier, tile: b"".join(tiers[tier][tile * WIDTH : (tile + 1) * WIDTH]))


def test_the_hashes_are_those_of_the_rfc() -> None:
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert Edge().root == EMPTY


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=4))
def test_a_tree_grown_by_batches_is_the_tree_and_gives_each_new_leaf_its_path(batches: list[int]) -> None:
    edge, nodes = Edge(), {}
    for count in batches:
        before = edge.size
        growth = Growth(edge, LEAVES[before : before + count])
        edge = growth.edge
        leaves = LEAVES[: edge.size]
        assert growth.root == edge.root == mth(leaves)
        for index in {before, before + count // 2, edge.size - 1}:
            assert growth.path(index) == path(index, leaves)
        for level in range(12):
            start, whole = growth.whole(level)
            nodes.update({(level, start + n): value for n, value in enumerate(whole)})
        for index in (before - 1, edge.size):
            with pytest.raises(IndexError):
                growth.path(index)
        edge = Edge.from_bytes(edge.size, edge.to_bytes())
    assert nodes == {(level, i): mth(LEAVES[i << level : i + 1 << level]) for level in range(11) for i in range(edge.size >> level)}


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 1200), st.integers(0, 1199), st.integers(0, 1200))
def test_proofs_from_tiles_are_those_of_the_rfc(size: int, index: int, old: int) -> None:
    index, old, tiles = index % size, old % (size + 1), kept(LEAVES[:size])
    assert tiles.root() == mth(LEAVES[:size]) == tiles.edge().root
    assert tiles.inclusion(index) == path(index, LEAVES[:size])
    assert tiles.root(old) == mth(LEAVES[:old])
    assert tiles.consistency(old) == ([] if old == 0 else subproof(old, LEAVES[:size], True))
    if old:
        assert tiles.inclusion(index % old, old) == path(index % old, LEAVES[:old])


def test_a_tile_that_lacks_a_hash_is_an_error_and_no_proof() -> None:
    short = Tiles(300, lambda tier, tile: b"".join(LEAVES[tile * WIDTH : tile * WIDTH + 20]) if tier == 0 else LEAVES[0])
    with pytest.raises(LookupError):
        short.inclusion(299)
    for sizes in ((301, 300), (5, 301), (-1, 300)):
        with pytest.raises(IndexError):
            kept(LEAVES[:300]).consistency(*sizes)
    with pytest.raises(ValueError, match="cannot be the edge"):
        Edge(3, (b"x" * HASH,))


def test_a_checkpoint_is_a_signed_note(tmp_path: Path) -> None:
    """Read by hand, as C2SP signed-note says."""
    keys = open_log_keys(tmp_path / "key", origin("www.courrier.example"))
    text = checkpoint(origin("www.courrier.example"), 3, LEAVES[0])
    assert text == f"www.courrier.example/volens\n3\n{base64.b64encode(LEAVES[0]).decode()}\n"
    body, _, signature = keys.sign(text).rpartition("\n\n")
    name, kid, public = keys.vkeys[0].split("+", 2)
    key = base64.b64decode(public)
    assert signature.startswith(f"— {name} ") and signature.endswith("\n") and key[0] == 1
    data = base64.b64decode(signature.split(" ")[2])
    assert data[:4].hex() == kid == hashlib.sha256(f"{name}\n".encode() + key).hexdigest()[:8] == key_id(name, b"\1", key[1:]).hex()
    Ed25519PublicKey.from_public_bytes(key[1:]).verify(data[4:], (body + "\n").encode())


def test_a_key_file_is_made_once_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "volens.log-key"
    keys = open_log_keys(file, "a.example/volens")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert open_log_keys(file, "a.example/volens").vkeys == keys.vkeys
    assert os.listdir(tmp_path) == ["volens.log-key"]
    both = LogKeys((LogKey.new("a.example/volens"), *keys.keys))
    assert both.sign("x\n", both=True).count("\n— ") == 2 and both.sign("x\n").count("\n— ") == 1
    assert read_log_keys("".join(k.secret_text() + "\n" for k in both.keys), "a.example/volens", "x").vkeys == both.vkeys


@pytest.mark.parametrize("damage", ["", "x", "PRIVATE+KEY+b+00000000+AAAA", "{0}x", "{0}\n{1}"])
def test_a_damaged_key_file_is_told_without_its_secret(tmp_path: Path, damage: str) -> None:
    mine, other = LogKey.new("a.example/volens"), LogKey.new("b.example/volens")
    file = tmp_path / "key"
    file.write_text(damage.format(mine.secret_text(), other.secret_text()))
    with pytest.raises(KeyFileError) as error:
        open_log_keys(file, "a.example/volens")
    for key in (mine, other):
        assert key.secret_text().split("+", 4)[4] not in str(error.value)


def test_an_entry_of_a_record_is_canonical_and_parses() -> None:
    when = entries.minute(datetime(2026, 11, 22, 10, 23, 59, tzinfo=UTC))
    commit = entries.commitment(b"s" * entries.SALT, b"record")
    assert commit == hashlib.sha256(b"volens/v1" + b"s" * 16 + b"record").digest()
    for moved in (False, True):
        data = entries.RecordEntries("é.example").entry(commit, "ab" * 32, when, moved=moved)
        value = entries.parse(data)
        assert canonical(value) == data
        assert value["time"] == "2026-11-22T10:23Z" and value["commit"] == commit.hex() and value.get("moved", False) is moved
    for data in (
        entries.notice_entry("a", when, "ab" * 32),
        entries.snapshot_entry("a", when, "ab" * 32, "cd" * 32),
        entries.erasure_entry("a", when, entries.ranges([5, 3, 4, 9, 9]), "request"),
    ):
        assert canonical(entries.parse(data)) == data
    assert entries.ranges([5, 3, 4, 9, 9]) == [(3, 5), (9, 9)]


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"type": "grant"},
        {"commit": "AB" * 32},
        {"notice": None},
        {"time": "2026-13-22T10:23Z"},
        {"time": "2026-11-22T10:23:05Z"},
        {"site": ""},
        {"moved": False},
        {"more": 1},
        {"type": "erasure"},
    ],
)
def test_an_entry_of_another_form_is_none(change: dict[str, object]) -> None:
    good = json.loads(entries.RecordEntries("a").entry(b"c" * 32, "ab" * 32, 1))
    entries.parse(canonical(good))
    with pytest.raises(ProofError):
        entries.parse(canonical(good | change))


@pytest.mark.parametrize(
    "erased", [[], [[2, 1]], [[1, 1], [1, 2]], [[0, True]], [[-1, 0]], [[1]], "x", [[0, 1 << 53]], [[n, n] for n in range(501)]]
)
def test_an_erasure_names_ranges_in_order(erased: object) -> None:
    value = {"v": 1, "site": "a", "time": "2026-11-22T10:23Z", "type": "erasure", "erased": erased, "reason": "age"}
    with pytest.raises(ProofError):
        entries.parse(canonical(value))


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b"1", b" {}", b'{"v":1}', b"x" * 65_536])
def test_what_is_no_entry_at_all_is_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(ProofError):
        entries.parse(data)
