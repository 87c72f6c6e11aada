"""P9: choices can be changed at any time under *Paramétrer vos choix*."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from visitor import ARTICLE, Visitor

from tests.running import until


@pytest.mark.parametrize("path", [ARTICLE, "/", "/boutique", "/confidentialite"])
def test_from_any_page_a_yes_becomes_a_no_and_a_no_a_yes(visitor: Visitor, path: str) -> None:
    visitor.open(path).refuse()
    assert visitor.told()["granted"] == ["audience", "technique"]
    visitor.choose("video")
    assert visitor.told()["granted"] == ["audience", "technique", "video"]
    visitor.choose("reseaux-sociaux")
    assert visitor.told()["granted"] == ["audience", "reseaux-sociaux", "technique"]
    visitor.withdraw()
    assert visitor.told()["granted"] == ["audience", "technique"]


def test_withdrawing_takes_no_more_presses_than_accepting(visitor: Visitor) -> None:
    """From the band, which stands on every page: panel, then one press, either way."""
    visitor.open().refuse()
    dialog = visitor.panel()
    visitor._and_reloaded(lambda: dialog.get_by_role("button", name="Tout accepter", exact=True).click())
    assert len(visitor.told()["granted"]) == 7
    visitor.withdraw()
    assert len(visitor.told()["granted"]) == 2


def test_the_panel_shows_what_was_chosen(visitor: Visitor) -> None:
    visitor.open().choose("video", "publicite")
    visitor.panel()
    assert [visitor.switch(p).is_checked() for p in ("reseaux-sociaux", "video", "publicite", "personnalisation")] == [
        False,
        True,
        True,
        False,
    ]


def test_without_javascript_too(visitors: Callable[..., Visitor]) -> None:
    visitor = visitors(java_script_enabled=False)
    visitor.open()
    with visitor.page.expect_navigation():
        visitor.button("Tout refuser").click()
    assert visitor.page.url.endswith(ARTICLE) and "volens" in visitor.cookies()
    visitor.page.get_by_role("link", name="Paramétrer vos choix", exact=True).click()
    visitor.page.get_by_role("switch", name="Vidéos").or_(visitor.page.get_by_role("checkbox", name="Vidéos")).first.check()
    with visitor.page.expect_navigation():
        visitor.page.get_by_role("button", name="OK", exact=True).click()
    visitor.open()
    assert until(lambda: visitor.received()["videotube"]), "the granted video is shown"
    assert set(visitor.received()) == {"videotube"}
