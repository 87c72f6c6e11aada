"""Every rule of law has its line in the reference, and what is not covered says so."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
RULES = [f"R{number:02}" for number in range(1, 48)]


def lines() -> dict[str, str]:
    """The line of each rule: ``R05, R06`` and ``R25–R29`` name several."""
    found: dict[str, str] = {}
    for line in (ROOT / "docs/reference/rules.md").read_text("utf-8").splitlines():
        if match := re.match(r"\| (R[\dR,– ]+) \|", line):
            for first, last in re.findall(r"R(\d\d)(?:–R(\d\d))?", match[1]):
                found |= {f"R{number:02}": line for number in range(int(first), int(last or first) + 1)}
    return found


def test_every_rule_is_listed_once_and_says_where_it_holds_or_that_it_does_not() -> None:
    assert sorted(lines()) == RULES
    assert all(len(line.strip("| ").split(" | ")) == 3 for line in lines().values())


def test_every_test_that_a_rule_names_is_there() -> None:
    names = {name for line in lines().values() for name in re.findall(r"\btest_\w+\.py", line)}
    assert names and not [name for name in names if not list((ROOT / "tests").rglob(name))]


def test_what_nobody_tests_is_said_not_to_be_covered() -> None:
    for rule in ("R21", "R22", "R33", "R40", "R41", "R44", "R45", "R46", "R47"):
        assert "not covered" in lines()[rule], rule
