"""P7: a band shows whether storage on the device is authorised (green) or refused (red), by colour, sign and words."""

from __future__ import annotations

import re

import pytest
from visitor import ARTICLE, Visitor

from tests.running import until


def hue(colour: str) -> str:
    """``green`` or ``red``: whichever part of an rgb() colour leads."""
    red, green, _ = (float(part) for part in re.findall(r"[\d.]+", colour)[:3])
    return "green" if green > red else "red"


def test_storage_is_red_before_a_choice_and_after_a_refusal_green_after_an_agreement(visitor: Visitor) -> None:
    before = visitor.open().field("storage")
    assert "bloqué d’office" in before["text"] and hue(before["colour"]) == "red", "closed, and not said to be the visitor's refusal"
    visitor.refuse()
    refused = until(lambda: (now := visitor.field("storage"))["text"] != before["text"] and now)
    assert "refusé" in refused["text"] and hue(refused["colour"]) == "red"
    visitor.choose(*("reseaux-sociaux", "video", "publicite", "personnalisation", "geolocalisation"))
    agreed = visitor.field("storage")
    assert "autorisé" in agreed["text"] and hue(agreed["colour"]) == "green"
    assert agreed["sign"] != refused["sign"], "never by colour alone"


def test_a_partial_agreement_divides_the_field_in_proportion(visitor: Visitor) -> None:
    visitor.open().choose("video")
    one = visitor.field("storage")
    assert hue(one["colour"]) == "red" and hue(one["fill"]) == "green" and one["share"] == pytest.approx(1 / 8, abs=0.02), one
    assert "1 sur 8" in one["text"]
    visitor.choose("video", "reseaux-sociaux")
    assert visitor.field("storage")["share"] == pytest.approx(5 / 8, abs=0.02), "five of eight services"


def test_the_sign_is_a_sign_and_not_its_code(visitor: Visitor) -> None:
    sign = visitor.open().field("storage")["sign"]
    assert sign.strip('" ') and "&#" not in sign, sign


def test_the_band_stands_on_every_page_and_is_small(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    for path in (ARTICLE, "/", "/boutique", "/membres", "/recherche", "/confidentialite", "/visite"):
        visitor.open(path)
        box = visitor.band().bounding_box()
        assert box and box["width"] * box["height"] <= 0.06 * 360 * 740, (path, box)
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["y"] + box["height"] <= 740, (path, box)
