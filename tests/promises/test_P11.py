"""P11: the aims are stated: running and improving the service, and each purpose's own."""

from __future__ import annotations

from pathlib import Path

from visitor import NOTICE, PURPOSES, Visitor

from volens.catalog import Catalog
from volens.config import load

SITE = load(Path(__file__).parents[2] / "demo" / "volens.toml", Catalog.packaged()).site


def flat(text: str | None) -> str:
    return " ".join((text or "").split())


def test_the_first_layer_names_each_purpose_and_its_sentence(visitor: Visitor) -> None:
    notice = visitor.open().page.locator(NOTICE)
    shown = flat(notice.locator("#volens-ask").inner_text())
    for name in PURPOSES.values():
        assert name in shown, name
    notice.locator("summary:visible").first.click()
    words = flat(notice.locator("#volens-ask").inner_text())
    for purpose in SITE.notice.askable:
        assert flat(SITE.notice.purpose[purpose].sentence["fr"]) in words, purpose


def test_the_panel_states_every_aim_the_exempt_ones_too(visitor: Visitor) -> None:
    words = flat(visitor.open().panel().inner_text())
    for purpose in SITE.notice.purposes:
        assert flat(purpose.sentence["fr"]) in words, purpose.id
    assert "améliorer" in words and "Faire fonctionner le service" in words


def test_controller_services_and_consequences_are_named_at_the_time_of_choice(visitor: Visitor) -> None:
    words = flat(visitor.open().page.locator(NOTICE).locator("#volens-ask").inner_text())
    assert "Le Courrier de la Dourelle" in words
    assert f"{len(SITE.notice.services_asked)} services" in words
    listed = flat(visitor.unfolded().inner_text())
    for service in SITE.notice.services_asked:
        assert service.name in listed and service.controller in listed, service.id
