"""A million spoilt receipts, proofs, notes, tiles and archives: no crash, and none takes long."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

LEDGER = Path(__file__).parent.parent / "ledger"
INPUTS = int(os.environ.get("VOLENS_FUZZ", "1000000"))
PROCESSES = max(1, (os.cpu_count() or 1) - 1)


@pytest.mark.soak
def test_a_million_spoilt_inputs(tmp_path: Path) -> None:
    share = -(-INPUTS // PROCESSES)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(LEDGER.parent.parent / "src"), str(LEDGER)])}
    running = [
        subprocess.Popen(
            [sys.executable, str(LEDGER / "fuzzing.py"), str(1_000_000 + number * share), str(share), str(tmp_path / str(number))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for number in range(PROCESSES)
    ]
    for process in running:
        out, error = process.communicate()
        assert process.returncode == 0, error[-3000:]
        kind, seconds = ast.literal_eval(out)
        assert seconds < 10, f"a {kind} took {seconds} s"
