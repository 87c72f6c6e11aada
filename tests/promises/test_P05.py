"""P5: *Tout accepter* activates the comment option."""

from __future__ import annotations

from visitor import Visitor

from tests.running import until


def test_a_comment_is_published_after_accepting_all(visitor: Visitor) -> None:
    visitor.open()
    refused = "Avant le choix, ceci ne paraît pas."
    visitor.comment(refused)
    assert not visitor.published(refused), "the comment area was open before the choice"
    visitor.open().accept()
    visitor.comment("Enfin rouvert, merci aux compagnons.")
    assert visitor.published("Enfin rouvert, merci aux compagnons.")
    assert visitor.page.get_by_text("Enfin rouvert, merci aux compagnons.").is_visible()


def test_the_gate_page_allows_and_sends_what_was_typed(visitor: Visitor) -> None:
    """Press *Publier* without a choice, allow on the page that answers: the very text is published, nothing typed twice."""
    visitor.open()
    visitor.comment("Écrit une seule fois.")
    assert not visitor.published("Écrit une seule fois.")
    visitor.page.get_by_role("button", name="Autoriser").first.click()
    assert until(lambda: visitor.published("Écrit une seule fois."))
    assert "reseaux-sociaux" in visitor.open().told()["granted"]
