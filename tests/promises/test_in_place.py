"""A service allowed in its own frame opens there: the page around it stays, and its band tells the truth."""

from __future__ import annotations

from visitor import Visitor, until


def test_a_service_allowed_in_its_frame_opens_there_and_the_page_stays(visitor: Visitor) -> None:
    page = visitor.open("/article/pont-vieux").page
    page.evaluate("window.untouched = true")
    frame = page.frame_locator(".video iframe")
    frame.get_by_role("button", name="Autoriser VidéoTube").click()
    frame.frame_locator("iframe").get_by_role("button", name="Lire la vidéo").wait_for()
    assert until(lambda: page.locator("volens-notice").get_attribute("data-storage") == "part")
    assert page.evaluate("window.untouched") is True
    assert page.locator("#volens-band").inner_text().count("refus") < 2, "the band's words follow"
