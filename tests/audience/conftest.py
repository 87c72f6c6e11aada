"""A gateway that counts page views, for the tests of what is counted and of who sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audience.making import counting
from volens.web.gateway import Gateway


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Gateway]:
    """Counts into a file of its own."""
    gateway = counting(tmp_path)
    yield gateway
    gateway.close()
