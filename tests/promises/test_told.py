"""P11 and P13 for each kind of data: both layers, and the policy they link to, say what it is processed for."""

from __future__ import annotations

import pytest
from evidence import LAYERS, Journeys
from table import TABLE
from visitor import PURPOSES

WORDS = {
    "ip": "adresse IP",
    "browsing": "données de navigation",
    "usage": "données d’utilisation",
    "geolocation": "géolocalisation",
    "social": "interactions avec les réseaux sociaux",
    "comments": "ce que demande l’espace de commentaires",
}
AIMS = {
    "reseaux-sociaux": "Afficher des publications de réseaux sociaux, partager des articles et commenter.",
    "video": "Lire dans la page des vidéos et des sons hébergés par d’autres sites.",
    "publicite": "Afficher des publicités, y compris choisies d’après votre navigation, et mesurer leur effet.",
    "personnalisation": "Créer un profil à partir de votre navigation et de votre usage du site pour vous proposer d’autres contenus.",
    "geolocalisation": "Savoir où vous êtes pour vous montrer ce qui est près de vous.",
}


def each(test: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("kind", "layer"), TABLE.cells(test))


@each("test_it_is_named_with_the_aims_it_serves")
def test_it_is_named_with_the_aims_it_serves(journeys: Journeys, kind: str, layer: str) -> None:
    """The first layer names the kinds of all purposes together, the panel those of each."""
    told, _ = journeys.told(layer)
    for purpose in PURPOSES:
        serves = purpose in TABLE.kinds[kind]["purposes"]
        if serves:
            assert AIMS[purpose] in told[purpose]
        if not LAYERS[layer].first:
            data = told[purpose].partition("Données concernées")[2]
            assert (WORDS[kind] in data) == serves, (purpose, data)
    if LAYERS[layer].first:
        assert WORDS[kind] in told[""]


@each("test_the_policy_behind_the_link_names_it_with_its_purposes")
def test_the_policy_behind_the_link_names_it_with_its_purposes(journeys: Journeys, kind: str, layer: str) -> None:
    _, policy = journeys.told(layer)
    for purpose in PURPOSES:
        assert AIMS[purpose] in policy[purpose]
        data = policy[purpose].partition("Données concernées")[2].partition("Services")[0]
        assert (WORDS[kind] in data) == (purpose in TABLE.kinds[kind]["purposes"]), (purpose, data)
