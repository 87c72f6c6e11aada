"""Each purpose alone: what it opens works, and requests, cookies and storage of every other purpose are none."""

from __future__ import annotations

import pytest
from visitor import ON_SITE, PARTIES, PURPOSES, TECHNICAL, Visitor

from tests.running import until


def _works(visitor: Visitor, purpose: str) -> None:
    page = visitor.page
    if purpose == "video":
        player = page.frame_locator(".video iframe")
        inner = player.frame_locator("iframe") if not player.get_by_role("button", name="Lire").count() else player
        inner.get_by_role("button", name="Lire la vidéo").click()
        assert until(lambda: any("lecture" in r.path for r in visitor.demo.received(visitor.agent))), "the video plays"
    elif purpose == "reseaux-sociaux":
        assert until(lambda: visitor.received()["telepost"] >= 2 and visitor.received()["xpost"] >= 2)
        assert page.locator("iframe.telepost, iframe.xpost").count() == 2, "both posts are shown"
        visitor.comment(f"Seul but : {purpose}")
        assert visitor.published(f"Seul but : {purpose}")
    elif purpose == "publicite":
        visitor.open("/")
        page.locator("[data-filled]").scroll_into_view_if_needed()
        page.frame_locator("[data-filled] iframe").get_by_text("Le vélo d’appoint").wait_for()
        assert until(lambda: PARTIES["publicite"] <= set(visitor.received())), visitor.received()
    elif purpose == "personnalisation":
        assert until(lambda: visitor.received()["mesure"] >= 2)
        visitor.open("/article/truites").open("/")
        assert page.get_by_role("heading", name="Pour vous").is_visible()
    else:
        visitor.open("/")
        page.get_by_role("link", name="Le temps près de moi").click()
        page.get_by_text("44° N, 3° E").wait_for()


@pytest.mark.parametrize("purpose", PURPOSES)
def test_one_purpose_alone(visitors, purpose: str) -> None:  # type: ignore[no-untyped-def]
    visitor = visitors(permissions=["geolocation"], geolocation={"latitude": 44.1, "longitude": 3.1})
    visitor.open("/").choose(purpose)
    visitor.open().read_on()
    _works(visitor, purpose)
    visitor.open("/article/rex").read_on()
    assert set(visitor.received()) <= PARTIES[purpose], visitor.received()
    assert visitor.device() <= TECHNICAL | ON_SITE[purpose], visitor.device() - TECHNICAL - ON_SITE[purpose]
    assert {domain.partition(".")[0] for domain in visitor.third_cookies()} <= PARTIES[purpose]
