"""Debian's WordPress as ``volens wordpress`` sets it up, in every state: comments gated, the back office left alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from serving import WordPress, proxied
from walk import EXAMPLE, MORE, PARTIES, STATES, prepared, walker


@pytest.fixture(scope="module")
def behind(site: WordPress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    article = prepared(site)
    with proxied(tmp_path_factory.mktemp("proxy") / "p", site.port, EXAMPLE + MORE) as url:
        yield url, article


@pytest.mark.parametrize("state", STATES)
def test_everything_works_in_every_state(chromium: Any, site: WordPress, behind: tuple[str, int], state: str) -> None:
    url, article = behind
    with walker(chromium, url, site, state, gated=True) as one:
        one.all(article)


def test_without_volens_the_article_reaches_everybody(chromium: Any, site: WordPress) -> None:
    """The oracle of the walk: it sees what would have left."""
    prepared(site)
    with walker(chromium, f"http://wordpress.localhost:{site.port}", site, "none", gated=False) as one:
        one.open("/pont-vieux/")
        one.page.mouse.wheel(0, 4000)
        everybody = set().union(*PARTIES.values())
        assert one.reached(everybody) >= everybody
