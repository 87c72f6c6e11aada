"""The same walk with nothing left alone and nothing gated: the back office obeys too, and comments are open in every state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from serving import WordPress, proxied
from walk import EXAMPLE, MORE, PARTIES, STATES, prepared, walker

BARE = re.sub(
    r"^leave = .*$", "", re.sub(r"\[\[gates\]\].*?(?=^#|^\[(?!\[gates))", "", EXAMPLE, flags=re.DOTALL | re.MULTILINE), flags=re.MULTILINE
)


@pytest.fixture(scope="module")
def behind(site: WordPress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    assert "\nleave" not in BARE and "[gates" not in BARE and "services.youtube" in BARE
    article = prepared(site)
    with proxied(tmp_path_factory.mktemp("proxy") / "p", site.port, BARE + MORE) as url:
        yield url, article


@pytest.mark.parametrize("state", STATES)
def test_everything_works_where_all_is_enforced(chromium: Any, site: WordPress, behind: tuple[str, int], state: str) -> None:
    url, article = behind
    with walker(chromium, url, site, state, gated=False) as one:
        one.all(article)
        allowed = set().union(*(PARTIES[purpose] for purpose in one.granted))
        assert {".".join(host.split(".")[-2:]) for host, _ in one.foreign} <= allowed, "the back office included"
