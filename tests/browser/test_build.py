"""What the built scripts are made of (that they match their sources: tests/test_package.py)."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((ROOT / "browser" / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
