"""P12: the three buttons stand on the first layer, alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from visitor import NOTICE, Visitor

from tests.running import until

NAMES = ("Tout accepter", "Tout refuser", "Paramétrer vos choix")
LOOK = """button => { const s = getComputedStyle(button), r = button.getBoundingClientRect();
  return {tag: button.tagName, w: Math.round(r.width), h: Math.round(r.height), colour: s.color, back: s.backgroundColor,
  size: s.fontSize, weight: s.fontWeight, border: s.border}; }"""


@pytest.mark.parametrize("size", [(360, 740), (1280, 800), (320, 640), (1920, 1080)], ids=str)
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_three_equal_buttons_in_view_at_once(visitors: Callable[..., Visitor], size: tuple[int, int], script: bool) -> None:
    visitor = visitors(viewport={"width": size[0], "height": size[1]}, java_script_enabled=script).open()
    buttons = [visitor.button(name) for name in NAMES]
    for name, button in zip(NAMES, buttons, strict=True):
        box = button.bounding_box()
        assert (
            button.is_visible() and box and box["y"] >= 0 and box["y"] + box["height"] <= size[1] and box["x"] + box["width"] <= size[0]
        ), (name, box)
        assert box["height"] >= 44 and box["width"] >= 44, (name, box)
    if script:
        looks = [button.evaluate(LOOK) for button in buttons]
        for key in ("tag", "h", "colour", "back", "size", "weight", "border"):
            assert len({look[key] for look in looks}) == 1, (key, looks)
        assert max(look["w"] for look in looks[:2]) <= 1.05 * min(look["w"] for look in looks[:2]), looks


def test_the_headline_stays_in_view_on_a_phone(visitors: Callable[..., Visitor]) -> None:
    visitor = visitors(viewport={"width": 360, "height": 740}).open()
    notice = visitor.page.locator(NOTICE).locator("#volens-ask").bounding_box()
    title = visitor.page.get_by_role("heading", level=1).bounding_box()
    assert notice and title
    assert notice["height"] <= 0.35 * 740, notice
    assert title["y"] + title["height"] <= notice["y"], (title, notice)


@pytest.mark.parametrize("name", ["Tout accepter", "Tout refuser"])
def test_one_press_is_enough(visitor: Visitor, name: str) -> None:
    visitor.open()
    visitor.button(name).click()
    assert until(lambda: "volens" in visitor.cookies())
    visitor.open("/article/rex")
    assert not visitor.button("Tout refuser").is_visible(), "asked again after an answer"
