"""What is counted of refusals and records: events by day, notice, surface and language, and the answers to each purpose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from volens.ledger.record import Count, Record

Key = tuple[str, str, str, str, str, str, bool]
"""site, day, event, notice, surface, language, gpc"""
Alike = tuple[str, str, str, str, str, str, bool, tuple[tuple[str, bool], ...], bool]
"""What is counted of a record: Key, the answers by purpose, whether every service was granted too."""
CountRow = tuple[str, str, str, str, str, str, bool, int]
"""Key, and how many."""
Answer = tuple[str, str, str, str, str, str, int, int, int]
"""site, day, event, purpose, surface, language, yes, part, no. Purpose empty: whole records (all, some, none granted)."""


def key_of(of: Record | Count) -> Key:
    """What it is counted under."""
    day = of.day if isinstance(of, Count) else of.time.date()
    return of.site, day.isoformat(), of.event, of.notice, of.surface, of.language, of.gpc


def alike_of(of: Record) -> Alike:
    """What is counted of it."""
    services = all(of.services.values()) if of.services else True
    day = of.time.date().isoformat()
    return of.site, day, of.event, of.notice, of.surface, of.language, of.gpc, tuple(of.purposes.items()), services


def answers_of(counted: Mapping[Alike, int]) -> list[Answer]:
    """What is added to the counts of answers."""
    found: dict[tuple[str, str, str, str, str, str], list[int]] = {}
    for (site, day, event, _, surface, language, _, purposes, services), n in counted.items():
        whole = 2 if event == "withdrawn" else 0 if services and all(yes for _, yes in purposes) else 1
        for purpose, place in (("", whole), *((purpose, 0 if yes else 2) for purpose, yes in purposes)):
            found.setdefault((site, day, event, purpose, surface, language), [0, 0, 0])[place] += n
    return [(*key, yes, part, no) for key, (yes, part, no) in sorted(found.items())]


def counted(counts: Mapping[Key, int], alike: Iterable[Sequence[Record]]) -> tuple[list[CountRow], list[Answer]]:
    """What is added to the counts, of records and of answers: ``counts`` and these records, those in a row counted alike."""
    totals, found = dict(counts), dict[Alike, int]()
    for records in alike:
        key = alike_of(records[0])
        found[key] = found.get(key, 0) + len(records)
        totals[key[:7]] = totals.get(key[:7], 0) + len(records)
    return [(*key, n) for key, n in totals.items()], answers_of(found)
