"""A page behind a gate: allowing it in its place leads there, by a press and without JavaScript (P1 d, P6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from visitor import Visitor


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("button", ["Autoriser « Géolocalisation »", "Tout accepter"])
def test_a_link_to_a_gated_page_leads_there_once_allowed(visitors: Callable[..., Visitor], script: bool, button: str) -> None:
    visitor = visitors(java_script_enabled=script).open("/")
    page = visitor.page
    visitor.button("Tout refuser").click()
    visitor.open("/")
    page.get_by_role("link", name="Le temps près de moi").click()
    page.wait_for_url("**/meteo/ici")
    page.get_by_role("heading", name="Il faut votre accord pour continuer").wait_for()
    with page.expect_navigation():
        page.get_by_role("button", name=button, exact=True).click()
    assert page.url == visitor.demo.url + "/meteo/ici"
    assert page.get_by_role("heading", level=1, name="Le temps près de vous").is_visible()


def test_what_was_typed_comes_back_under_its_names_and_nothing_else(visitor: Visitor) -> None:
    visitor.open().refuse()
    visitor.comment("Un texte à garder.")
    shown = visitor.page.locator("blockquote").all_inner_texts()
    assert shown == ["Odette", "Un texte à garder."], "not the name of the article, which the page sent along"
    assert visitor.page.get_by_text("Votre commentaire", exact=True).is_visible()
