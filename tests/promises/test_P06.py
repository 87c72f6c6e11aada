"""P6: *réseaux sociaux* alone, under *Paramétrer vos choix*, activates the comment option too."""

from __future__ import annotations

import pytest
from visitor import PARTIES, Visitor


def test_social_networks_alone_open_the_comments_and_nothing_else(visitor: Visitor) -> None:
    visitor.open().choose("reseaux-sociaux")
    visitor.comment("Avec un seul interrupteur.")
    assert visitor.published("Avec un seul interrupteur.")
    visitor.read_on()
    assert set(visitor.received()) <= PARTIES["reseaux-sociaux"]


@pytest.mark.parametrize("purpose", ["video", "publicite", "personnalisation", "geolocalisation"])
def test_no_other_purpose_alone_opens_them(visitor: Visitor, purpose: str) -> None:
    visitor.open().choose(purpose)
    visitor.comment(f"Avec {purpose} seul.")
    assert not visitor.published(f"Avec {purpose} seul.")
