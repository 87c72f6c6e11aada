"""P13: a link to the *Politique de confidentialité*."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from visitor import NOTICE, Visitor


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_the_first_layer_links_to_the_policy_which_can_be_read_before_choosing(visitors: Callable[..., Visitor], script: bool) -> None:
    visitor = visitors(java_script_enabled=script).open()
    visitor.page.locator(NOTICE).get_by_role("link", name="Politique de confidentialité").click()
    visitor.page.wait_for_load_state("load")
    assert visitor.page.url.endswith("/_volens/policy")
    assert visitor.page.get_by_role("heading", level=1, name="Politique de confidentialité").is_visible()
    assert "volens" not in visitor.cookies() and visitor.received() == {}


def test_the_panel_links_to_it_and_to_each_services_own(visitor: Visitor) -> None:
    dialog = visitor.open().unfolded()
    assert dialog.get_by_role("link", name="Politique de confidentialité", exact=True).get_attribute("href").endswith("/_volens/policy")
    for name in ("Télépost", "XPost", "VidéoTube", "RégiePub", "Mesure+"):
        assert dialog.get_by_role("link", name=f"({name})").or_(dialog.get_by_role("link", name=name)).count(), name


def test_our_own_policy_page_lists_what_is_kept(visitor: Visitor) -> None:
    visitor.open("/_volens/policy")
    words = visitor.page.locator("body").text_content()
    for name in ("aud_visite", "courrier_session", "profil_lecture", "Le Courrier de la Dourelle", "donnees@courrier.example"):
        assert name in words, name
