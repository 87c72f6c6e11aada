"""What markup refers to: which attributes and link types load by themselves, from which elements, and as what."""

from __future__ import annotations

import re

HINTS = frozenset(["preconnect", "dns-prefetch", "prefetch", "prerender", "preload", "modulepreload", "compression-dictionary"])
LOADS = {"stylesheet": "style", "icon": "image", "apple-touch-icon": "image", "apple-touch-icon-precomposed": "image"} | {
    "mask-icon": "image",
    "apple-touch-startup-image": "image",
    "fluid-icon": "image",
    "manifest": "manifest",
    "search": "hint",
    "import": "script",
}
"""Link types that load by themselves, and as what."""

URL, SET, LIST, STEPS = "url", "set", "list", "steps"
"""One address; those of a srcset; words; the values of an animation."""
REFERENCES: dict[str, dict[str, tuple[str, str]]] = {
    "img": {
        "src": ("image", URL),
        "srcset": ("image", SET),
        "href": ("image", URL),
        "xlink:href": ("image", URL),
        "lowsrc": ("image", URL),
    },
    "image": {"src": ("image", URL), "srcset": ("image", SET), "href": ("image", URL), "xlink:href": ("image", URL)},
    "source": {"src": ("media", URL), "srcset": ("image", SET)},
    "input": {"src": ("image", URL), "formaction": ("navigate", URL)},
    "button": {"formaction": ("navigate", URL)},
    "video": {"src": ("media", URL), "poster": ("image", URL)},
    "audio": {"src": ("media", URL)},
    "track": {"src": ("media", URL)},
    "embed": {"src": ("frame", URL)},
    "object": {"data": ("frame", URL)},
    "use": {"href": ("image", URL), "xlink:href": ("image", URL)},
    "feimage": {"href": ("image", URL), "xlink:href": ("image", URL)},
    "set": {"to": ("image", URL)},
    "animate": {"to": ("image", URL), "from": ("image", URL), "values": ("image", STEPS)},
    "a": {"ping": ("connect", LIST)},
    "area": {"ping": ("connect", LIST)},
    "portal": {"src": ("frame", URL)},
    "fencedframe": {"src": ("frame", URL)},
} | {tag: {"background": ("image", URL)} for tag in ("body", "table", "thead", "tbody", "tfoot", "tr", "td", "th")}
"""Which attributes load, from which elements, and as what (HTML Standard; SVG 2 §16)."""

ANYWHERE = {"attributionsrc": ("connect", LIST)}
"""Those of every element (Attribution Reporting)."""
TABLES = {tag: table | ANYWHERE for tag, table in REFERENCES.items()}
"""Both together, by element."""

_SET_URL = re.compile(r"[\s,]*(\S+)")
_SET_REST = re.compile(r"(?:[^,(]|\([^)]*(?:\)|\Z))*")


def candidates(srcset: str) -> list[str]:
    """The URLs of a srcset (HTML Standard, *parse a srcset attribute*)."""
    found, position = [], 0
    while word := _SET_URL.match(srcset, position):
        url = word[1].rstrip(",")
        found.append(url)
        rest = None if url != word[1] else _SET_REST.match(srcset, word.end())
        position = rest.end() if rest else word.end()
    return found


def urls(value: str, form: str) -> list[str]:
    """The addresses in an attribute of that form."""
    if form == SET:
        return candidates(value)
    return value.split() if form == LIST else value.split(";")
