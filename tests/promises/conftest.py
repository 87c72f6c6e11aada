"""A fresh visitor for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from evidence import Journeys
from visitor import Visitor


@pytest.fixture
def visitors(chromium: Any, demo: Any) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors; options are those of a Playwright context."""
    made: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        made.append(Visitor(chromium, demo, **options))
        return made[-1]

    yield make
    for visitor in made:
        visitor.close()


@pytest.fixture
def visitor(visitors: Callable[..., Visitor]) -> Visitor:
    return visitors()


@pytest.fixture(scope="session")
def journeys(chromium: Any, demo: Any) -> Journeys:
    """Whole journeys, each made once."""
    return Journeys(lambda **options: Visitor(chromium, demo, **options), demo.url)
