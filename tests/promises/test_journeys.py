"""Journeys over two pages or more, in every state: none, refused, each purpose alone, accepted. All must end well."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from visitor import PURPOSES, Visitor


def logs_in(visitor: Visitor) -> None:
    page = visitor.open("/membres").page
    page.get_by_label("Nom").fill("Odette")
    page.get_by_label("Mot de passe").fill("dourelle")
    page.get_by_role("button", name="Entrer").click()
    page.get_by_role("heading", name="Bonjour, Odette").wait_for()
    visitor.open("/article/rex").open("/membres")
    assert page.get_by_role("heading", name="Bonjour, Odette").is_visible()
    page.get_by_role("button", name="Sortir").click()
    page.get_by_role("button", name="Entrer").wait_for()


def fills_a_basket(visitor: Visitor) -> None:
    page = visitor.open("/boutique").page
    page.get_by_role("button", name="Ajouter : Affiche du pont Vieux").click()
    visitor.open("/boutique")
    page.get_by_role("button", name="Ajouter : Carnet de pêche").click()
    visitor.open("/").open("/boutique/panier")
    assert page.locator("[data-total]").text_content() == "38,50\u00a0€"
    page.get_by_role("button", name="Retirer : Carnet de pêche").click()
    page.get_by_role("button", name="Commander").click()
    page.get_by_text("votre commande est notée").wait_for()


def changes_the_language(visitor: Visitor) -> None:
    page = visitor.open("/boutique").page
    page.get_by_role("button", name="Shop in English").click()
    page.get_by_role("heading", name="Shop", exact=True).wait_for()
    visitor.open("/article/rex").open("/boutique")
    assert page.evaluate("document.documentElement.lang") == "en"


def changes_the_theme(visitor: Visitor) -> None:
    page = visitor.open("/").page
    for _ in range(2):
        page.get_by_role("button", name="Thème").click()
    visitor.open("/article/rex")
    assert page.evaluate("document.documentElement.dataset.theme") == "sombre"
    assert "theme" in visitor.stored()


def searches(visitor: Visitor) -> None:
    page = visitor.open("/recherche").page
    page.get_by_label("Mots cherchés").fill("truite barrage")
    page.get_by_role("button", name="Chercher").click()
    page.get_by_text("1 article pour").wait_for()
    page.get_by_role("link", name="les truites remontent").click()
    page.get_by_role("heading", level=1, name="les truites remontent").wait_for()


def writes_a_letter_over_two_pages(visitor: Visitor) -> None:
    page = visitor.open("/membres").page
    page.get_by_label("Nom").fill("Marcel")
    page.get_by_label("Mot de passe").fill("dourelle")
    page.get_by_role("button", name="Entrer").click()
    page.get_by_role("link", name="Écrire une lettre").click()
    page.get_by_label("Titre").wait_for()
    page.wait_for_load_state()  # the page's own script keeps what is written from then on
    page.get_by_label("Titre").fill("La navette")
    page.get_by_label("Texte").fill("Elle est promise pour mars.")
    page.reload()
    assert page.get_by_label("Texte").input_value() == "Elle est promise pour mars."
    page.get_by_role("link", name="Continuer").click()
    page.get_by_text("Elle est promise pour mars.").wait_for()
    page.get_by_label("Rubrique", exact=True).select_option("Rivière")
    page.get_by_role("button", name="Envoyer").click()
    page.get_by_text("La navette").wait_for()
    assert "rubrique Rivière" in page.locator(".letters").inner_text()


JOURNEYS = (logs_in, fills_a_basket, changes_the_language, changes_the_theme, searches, writes_a_letter_over_two_pages)


@pytest.mark.parametrize("state", ["none", "refused", *PURPOSES, "accepted"])
@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda j: j.__name__)
def test_the_journey_ends_well(visitor: Visitor, journey: Callable[[Visitor], None], state: str) -> None:
    visitor.open("/confidentialite").into(state)
    errors: list[str] = []
    visitor.page.on("pageerror", lambda error: errors.append(str(error)))
    journey(visitor)
    assert errors == []
