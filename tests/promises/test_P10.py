"""P10: *OK* records just what the switches show (none on is a refusal); X or Escape records nothing."""

from __future__ import annotations

import itertools

import pytest
from visitor import PURPOSES, Visitor


@pytest.mark.parametrize("chosen", [(), ("video",), ("publicite", "geolocalisation"), tuple(PURPOSES)], ids=lambda c: "+".join(c) or "none")
def test_ok_records_what_the_switches_show(visitor: Visitor, chosen: tuple[str, ...]) -> None:
    visitor.open().choose(*chosen)
    assert set(visitor.told()["granted"]) == {"technique", "audience", *chosen}
    record = next((c["value"] for c in visitor.all_cookies() if c["name"] == "volens-record"), None)
    assert (record is None) == (not chosen), "none on is a refusal: no record of a person"
    if record:
        kept = visitor.demo.demo.store.record(record.split(".")[1])
        assert {p for p, yes in kept.purposes.items() if yes} == set(chosen) and kept.method == "panel"


def test_switches_are_off_at_first(visitor: Visitor) -> None:
    visitor.open().panel()
    assert not any(visitor.switch(purpose).is_checked() for purpose in PURPOSES)


@pytest.mark.parametrize(("way", "switched"), list(itertools.product(("x", "escape"), ("nothing", "video"))))
def test_closing_records_nothing(visitor: Visitor, way: str, switched: str) -> None:
    visitor.open()
    dialog = visitor.panel()
    if switched == "video":
        visitor.switch("video").click()
    if way == "escape":
        visitor.page.keyboard.press("Escape")
    else:
        dialog.get_by_role("link", name="Fermer").or_(dialog.get_by_role("button", name="Fermer")).first.click()
    visitor.page.wait_for_timeout(600)
    assert not {"volens", "volens-record"} & visitor.cookies()
    assert visitor.button("Tout refuser").is_visible(), "the question still stands"
    assert visitor.received() == {}


def test_escape_after_an_agreement_changes_nothing(visitor: Visitor) -> None:
    visitor.open().choose("video")
    visitor.panel()
    visitor.switch("reseaux-sociaux").click()
    visitor.page.keyboard.press("Escape")
    visitor.page.wait_for_timeout(600)
    visitor.open()
    assert visitor.told()["granted"] == ["audience", "technique", "video"]
