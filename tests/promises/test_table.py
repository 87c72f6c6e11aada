"""The table of promises leaves nothing open: each combination has a test that exists, or a reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from table import PAGE, SOURCE, TABLE, Table

from volens.notice import DATA_KINDS

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """Every test that pytest finds in the files the table names."""
    files = sorted({name.partition("::")[0] for name in TABLE.tests()})
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files], cwd=HERE, capture_output=True, text=True
    )
    names = {line.rpartition("/")[2] for line in found.stdout.splitlines() if "::" in line}
    assert names, found.stdout + found.stderr
    return names


def test_every_combination_has_a_test_that_exists_or_a_reason(collected: set[str]) -> None:
    assert TABLE.mistakes(collected) == []


def test_the_kinds_are_the_products_own_and_the_promises_fourteen() -> None:
    assert tuple(TABLE.kinds) == DATA_KINDS
    assert list(TABLE.promises) == [f"P{n}" for n in range(1, 15)]
    assert len(TABLE.layers) == 4


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text("utf-8") == TABLE.page(), "python tests/promises/table.py --write"


GONE = 'kinds = ["usage", "geolocation"]\nreason = "commenting processes none of it, agreed'
FILE, OTHER = "test_one_purpose.py::test_the_page_is", "test_each_kind.py::test_the_page_is"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (GONE, 'kinds = ["usage"]\nreason = "', "P4 × geolocation × first: neither"),
        ("::test_nothing_of_it_is_set_after_a_refusal[", "::test_gone[", "no such test: test_each_kind.py::test_gone[ip-first]"),
        (FILE, OTHER, f"no such test: {OTHER}_whole_with_it_alone"),
        ('reason = "the plain form keeps', 'reason = "" #', "P2: a row tells both a test and a reason, or neither"),
        ('enforced = "no answer is no grant"', "", "P10: test_each_kind.py::test_leaving_without"),
        ('kinds = ["ip"]\nenforced', 'kinds = ["ip", "usage"]\nenforced', "P1 × usage × first: told 2 times"),
        ('P14 = "', 'P15 = "one more"\nP14 = "', "P15 × ip × first: neither"),
    ],
)
def test_what_is_missing_is_said(collected: set[str], old: str, new: str, said: str) -> None:
    text = SOURCE.read_text("utf-8")
    assert old in text
    assert any(said in mistake for mistake in Table.read(text.replace(old, new)).mistakes(collected))
