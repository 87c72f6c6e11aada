"""The built-in purposes (DESIGN §5) with their words, and the site nobody has configured."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from volens.notice import Controller, Notice, Purpose
from volens.site import Site

_BUILT_IN = (
    Purpose(
        "technique",
        {"fr": "Fonctionnement du site", "en": "Running the site"},
        {
            "fr": "Faire fonctionner le service, le sécuriser et l’améliorer, et retenir votre choix.",
            "en": "To run, secure and improve the service, and to remember your choice.",
        },
        exempt="interface",
        data_kinds=("ip",),
    ),
    Purpose(
        "audience",
        {"fr": "Mesure d’audience", "en": "Audience measurement"},
        {
            "fr": "Compter les visites et savoir quelles pages sont lues.",
            "en": "To count visits and know which pages are read.",
        },
        data_kinds=("ip", "browsing", "usage"),
    ),
    Purpose(
        "reseaux-sociaux",
        {"fr": "Réseaux sociaux", "en": "Social networks"},
        {
            "fr": "Afficher des publications de réseaux sociaux, partager des articles et commenter.",
            "en": "To show posts from social networks, share articles and comment.",
        },
        data_kinds=("ip", "browsing", "social", "comments"),
    ),
    Purpose(
        "video",
        {"fr": "Vidéos", "en": "Videos"},
        {
            "fr": "Lire dans la page des vidéos et des sons hébergés par d’autres sites.",
            "en": "To play in the page videos and sound hosted by other sites.",
        },
        data_kinds=("ip", "browsing", "usage"),
    ),
    Purpose(
        "publicite",
        {"fr": "Publicité", "en": "Advertising"},
        {
            "fr": "Afficher des publicités, y compris choisies d’après votre navigation, et mesurer leur effet.",
            "en": "To show advertisements, including ones chosen from your browsing, and measure their effect.",
        },
        data_kinds=("ip", "browsing", "usage"),
        profiles=True,
    ),
    Purpose(
        "personnalisation",
        {"fr": "Personnalisation", "en": "Personalisation"},
        {
            "fr": "Créer un profil à partir de votre navigation et de votre usage du site pour vous proposer d’autres contenus.",
            "en": "To create a profile from your browsing and your use of the site, and offer you other content.",
        },
        data_kinds=("browsing", "usage"),
        profiles=True,
    ),
    Purpose(
        "geolocalisation",
        {"fr": "Géolocalisation", "en": "Geolocation"},
        {
            "fr": "Savoir où vous êtes pour vous montrer ce qui est près de vous.",
            "en": "To know where you are and show you what is near.",
        },
        data_kinds=("geolocation",),
    ),
)

PURPOSES: Mapping[str, Purpose] = MappingProxyType({purpose.id: purpose for purpose in _BUILT_IN})
"""The built-in purposes by id, in the order they are shown. *audience* asks until a site attests R25–R29."""

LANGUAGES = ("fr", "en")
"""The languages the built-in purposes speak."""


def unconfigured(host: str) -> Site:
    """A site of which only the host is known: every built-in purpose asked, no service named, no valid proof."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    return Site(
        name=name,
        notice=Notice(Controller(name, "", ""), _BUILT_IN, (), scope=(name,), languages=LANGUAGES),
        hosts=(name,),
        unconfigured=True,
    )
