"""P8: the band shows whether the creation of profiles is authorised; red before any choice; and the server obeys."""

from __future__ import annotations

import pytest
from test_P07 import hue
from visitor import Visitor


def test_profiles_are_red_before_any_choice_and_green_only_when_all_that_profile_are_granted(visitor: Visitor) -> None:
    field = visitor.open().field("profiles")
    assert "refusé" in field["text"] and hue(field["colour"]) == "red"
    visitor.choose("video", "reseaux-sociaux")
    field = visitor.field("profiles")
    assert "refusé" in field["text"] and hue(field["colour"]) == "red", "videos and social posts create no profile here"
    visitor.choose("personnalisation")
    assert visitor.field("profiles")["share"] == pytest.approx(1 / 2, abs=0.02), "one of two services that profile"
    visitor.choose("personnalisation", "publicite")
    field = visitor.field("profiles")
    assert "autorisé" in field["text"] and hue(field["colour"]) == "green"
    assert 0 < visitor.field("storage")["share"] < 1, "storage is still partly refused"


def test_no_profile_is_created_until_personalisation_is_granted(visitor: Visitor) -> None:
    for answer in (lambda: None, visitor.refuse, lambda: visitor.choose("publicite", "video")):
        visitor.open()
        answer()
        visitor.open("/article/rex").open("/article/truites").open("/")
        assert visitor.page.get_by_role("heading", name="Pour vous").count() == 0
        assert visitor.told()["profile"] == {}
        assert "profil_lecture" not in visitor.cookies()


def test_a_granted_profile_grows_and_is_gone_when_withdrawn(visitor: Visitor) -> None:
    visitor.open("/").choose("personnalisation")
    visitor.open("/article/rex").open("/article/rex").open("/article/truites").open("/")
    assert visitor.told()["profile"] == {"Culture": 2, "Rivière": 1}
    assert visitor.page.get_by_role("heading", name="Pour vous").is_visible()
    visitor.withdraw()
    assert visitor.page.get_by_role("heading", name="Pour vous").count() == 0
    assert visitor.told()["profile"] == {}
    visitor.open("/article/rex")
    assert "profil_lecture" not in visitor.cookies(), "the profile is the cookie: it must be gone"
