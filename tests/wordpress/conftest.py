"""One WordPress for all tests of a process; skipped, with what is missing, where Debian's is not installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serving import WordPress, missing, wordpress


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WordPress]:
    lacking = missing()
    if lacking:
        pytest.skip(lacking)
    with wordpress(tmp_path_factory.mktemp("wp")) as made:
        yield made
