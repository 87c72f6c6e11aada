"""Whatever is given to the verifier, it answers: no crash, in bounded time and memory. A million inputs stand in tests/soak."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path

import logs
from fuzzing import SLOW, TRUST, Inputs
from logs import grown

from volens.ledger.verify import MAX_DOCUMENT, check


def test_some_thousand_spoilt_inputs(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path)
    met: dict[str, int] = {}
    for number in range(4000):
        kind, seconds = inputs.run(number)
        met[kind] = met.get(kind, 0) + 1
        assert seconds < 20 * SLOW, f"input {number} took {seconds:.1f} s"  # the machine may be busy
    assert len(met) == 9 and min(met.values()) > 10, met


def test_no_spoilt_receipt_holds_unless_it_says_the_same() -> None:
    """Every byte of a receipt, each changed by one bit: what still holds differs in nothing that it says."""
    good = json.dumps(grown(12).receipt(5)).encode()
    facts = check(good, TRUST).verdict.facts
    trust = type(TRUST)(TRUST.log)
    assert check(good, trust).verdict.holds
    for at in range(len(good)):
        for bit in (1, 2, 16):
            verdict = check(good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :], trust).verdict
            assert not verdict.holds or {**verdict.facts, "witnesses": {}} == {**facts, "witnesses": {}}, (at, bit)


def test_hostile_inputs_are_answered_at_once_and_in_little_memory() -> None:
    receipt = json.dumps(grown(3).receipt(1))
    hostile = {
        "deep list": "[" * 2_000_000,
        "deep object": '{"a":' * 500_000,
        "long": receipt + " " * (MAX_DOCUMENT + 1),
        "long number": receipt.replace('"index": 1', '"index": ' + "9" * 1_000_000),
        "many fields": "{" + ",".join(f'"k{n}":1' for n in range(300_000)) + "}",
        "many signatures": logs.KEY.sign("a\n1\n" + "A" * 43 + "=\n") + "— a AAAAAAAA\n" * 70_000,
        "many lines": "a\n" * 400_000 + "\n— a AAAAAAAA\n",
        "long name": "a\n1\nA\n\n— " + "a" * 900_000 + " AAAAAAAA\n",
    }
    for name, text in hostile.items():
        tracemalloc.start()
        start = time.perf_counter()
        assert not check(text.encode(), TRUST, name).verdict.holds
        seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seconds < 20 * SLOW and peak < 160 << 20, (name, seconds, peak)
