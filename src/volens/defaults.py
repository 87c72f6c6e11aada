"""The built-in purposes (DESIGN §5) with their words, and the site nobody has configured."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from volens.languages import shipped
from volens.notice import Controller, Notice, Purpose
from volens.site import Site


def _built_in(id: str, *data_kinds: str, exempt: str = "", profiles: bool = False) -> Purpose:
    words = {code: language.purposes[id] for code, language in shipped().items()}
    title, sentence = ({code: text[part] for code, text in words.items()} for part in ("title", "sentence"))
    return Purpose(id, title, sentence, exempt, data_kinds, profiles)


_BUILT_IN = (
    _built_in("technique", "ip", exempt="interface"),
    _built_in("audience", "ip", "browsing", "usage"),
    _built_in("reseaux-sociaux", "ip", "browsing", "social", "comments"),
    _built_in("video", "ip", "browsing", "usage"),
    _built_in("publicite", "ip", "browsing", "usage", profiles=True),
    _built_in("personnalisation", "browsing", "usage", profiles=True),
    _built_in("geolocalisation", "geolocation"),
)

PURPOSES: Mapping[str, Purpose] = MappingProxyType({purpose.id: purpose for purpose in _BUILT_IN})
"""The built-in purposes by id, in the order they are shown. *audience* asks until a site attests R25–R29."""

LANGUAGES = ("fr", "en")
"""Those a site offers that names none."""


def unconfigured(host: str) -> Site:
    """A site of which only the host is known: every built-in purpose asked, no service named, no valid proof. In French and English,
    as every site that says nothing else: what no speaker has reviewed is offered where an operator asks for it."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    return Site(
        name=name,
        notice=Notice(Controller(name, "", ""), _BUILT_IN, (), scope=(name,), languages=LANGUAGES),
        hosts=(name,),
        unconfigured=True,
    )
