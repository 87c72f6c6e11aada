"""P8: the band shows whether the creation of profiles is authorised; red before any choice; and the server obeys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from test_P07 import hue
from visitor import Visitor

from tests.running import until


@pytest.fixture(autouse=True)
def no_profile(demo: Any) -> None:
    """Visitors of other tests have left theirs."""
    demo.ask(lambda: demo.demo.newspaper.profiles.kept.clear())


def kept(visitor: Visitor) -> list[dict[str, int]]:
    """Every reading profile on the newspaper's server."""
    return [dict(counts) for counts in visitor.demo.ask(lambda: list(visitor.demo.demo.newspaper.profiles.kept.values()))]


def test_profiles_are_red_before_any_choice_and_green_only_when_all_that_profile_are_granted(visitor: Visitor) -> None:
    field = visitor.open().field("profiles")
    assert "bloqués d’office" in field["text"] and hue(field["colour"]) == "red"
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
    assert kept(visitor) == [], "nor on the server"


def test_a_granted_profile_grows_and_is_gone_when_withdrawn(visitor: Visitor) -> None:
    visitor.open("/").choose("personnalisation")
    visitor.open("/article/rex").open("/article/rex").open("/article/truites").open("/")
    assert visitor.told()["profile"] == {"Culture": 2, "Rivière": 1}
    assert kept(visitor) == [{"Culture": 2, "Rivière": 1}]
    assert visitor.page.get_by_role("heading", name="Pour vous").is_visible()
    visitor.withdraw()
    assert visitor.page.get_by_role("heading", name="Pour vous").count() == 0
    assert visitor.told()["profile"] == {}
    assert until(lambda: kept(visitor) == []), "the data too, not only the way to it"
    visitor.open("/article/rex")
    assert "profil_lecture" not in visitor.cookies()
    assert kept(visitor) == [], "and it does not come back"


def test_the_data_goes_although_the_reader_never_comes_back(visitor: Visitor) -> None:
    """The choice is the last request the newspaper's front ever sees of them; the newspaper itself sees none."""
    visitor.open("/").choose("personnalisation", "video")
    visitor.open("/article/rex")
    assert kept(visitor) == [{"Culture": 1}]
    visitor.page.evaluate(
        """async () => { const panel = await (await fetch('/_volens/panel')).text();
        const notice = new DOMParser().parseFromString(panel, 'text/html').querySelector('[name=notice]').value;
        await fetch('/_volens/choice', {method: 'POST', headers: {'content-type': 'application/json'},
            body: JSON.stringify({notice, answer: 'switches', purposes: ['video'], surface: 'panel'})}) }"""
    )
    visitor.page.close()
    assert until(lambda: kept(visitor) == []), "videos are still allowed, profiles are not"


def test_the_profile_of_another_reader_stays(visitors: Callable[..., Visitor]) -> None:
    one, other = visitors(), visitors()
    for visitor, article in ((one, "/article/rex"), (other, "/article/truites")):
        visitor.open("/").choose("personnalisation")
        visitor.open(article).open("/")
    one.withdraw()
    assert until(lambda: kept(one) == [{"Rivière": 1}])
    assert other.told()["profile"] == {"Rivière": 1}
    other.withdraw()
    assert until(lambda: kept(other) == [])
