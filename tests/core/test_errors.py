"""How what was found is told."""

from __future__ import annotations

from volens.errors import many


def test_one_is_told_as_one() -> None:
    assert [many(n, "record") for n in (0, 1, 2000)] == ["0 records", "1 record", "2,000 records"]
    assert [many(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]
