"""The site's own text on a page of ours: paragraphs, headings, lists and links, and nothing else.

A blank line ends a paragraph, ``## `` begins a heading, ``- `` an item of a list; ``[words](address)`` is a link, and so is an
address that stands alone.
"""

from __future__ import annotations

import re
from itertools import groupby

from volens.web.screens.words import Html, html

_ADDRESS = r"(?:https?://|mailto:|/(?!/))[^\s()<>\"]+"
_LINK = re.compile(rf"\[([^\]\[]+)\]\(({_ADDRESS})\)|(https?://[^\s<>\"()\[\]]*[^\s<>\"()\[\].,;:!?»])")


def prose(text: str) -> tuple[Html, list[tuple[str, str]]]:
    """The markup, and (id, title) of each heading."""
    parts: list[Html] = []
    headings: list[tuple[str, str]] = []
    for kind, lines in groupby((line.strip() for line in text.split("\n")), key=_kind):
        match kind:
            case "heading":
                for line in lines:
                    title = line[3:].strip()
                    headings.append((_id(title, len(headings)), title))
                    parts.append(html('<h2 id="{id}">{title}</h2>', id=headings[-1][0], title=title))
            case "item":
                parts.append(html("<ul>{items}</ul>", items=[html("<li>{x}</li>", x=_linked(line[2:])) for line in lines]))
            case "text":
                parts.append(html("<p>{x}</p>", x=_linked(" ".join(lines))))
    return html("{parts}", parts=parts), headings


def _kind(line: str) -> str:
    return "" if not line else "heading" if line.startswith("## ") else "item" if line.startswith("- ") else "text"


def _linked(text: str) -> Html:
    parts: list[Html] = []
    at = 0
    for found in _LINK.finditer(text):
        words, address, alone = found.groups()
        parts += [html("{x}", x=text[at : found.start()]), html('<a href="{u}">{x}</a>', u=address or alone, x=words or alone)]
        at = found.end()
    return html("{parts}{rest}", parts=parts, rest=text[at:])


def _id(title: str, n: int) -> str:
    """An id that a link can name; its beginning keeps it apart from those of our sections."""
    return "site-" + (re.sub(r"[\W_]+", "-", title.casefold()).strip("-") or str(n + 1))
