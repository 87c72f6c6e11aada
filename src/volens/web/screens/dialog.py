"""The panel over the page: one script, the same for every visitor, that is asked for at the first opening and kept for good.

It holds the panel as a tree (a page with Trusted Types may not parse text), its style, and the code that builds and fills it
(``browser/dialog.ts``). Its name says which bytes it is; one that stands in an older page gets today's, not kept.
"""

from __future__ import annotations

import hashlib
import json
from html.parser import HTMLParser
from typing import Any

from volens.web.screens.panel import PanelScreen
from volens.web.screens.words import Html, html, mark

_ALONE = frozenset({"br", "col", "hr", "img", "input", "wbr"})
"""Elements without an end."""


class _Tree(HTMLParser):
    """Our own markup as nested lists: name, attributes, then children; a string is text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[list[Any]] = [["", {}]]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node: list[Any] = [tag, {name: value or "" for name, value in attrs}]
        self.open[-1].append(node)
        if tag not in _ALONE:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].append(data)


def tree(markup: Html) -> list[Any]:
    """The one element that ``markup`` is."""
    parser = _Tree()
    parser.feed(markup)
    parser.close()
    (root,) = parser.open[0][2:]
    return list(root)


class DialogScreen(PanelScreen):
    """The panel for a page that shows it without being left."""

    def dialog(self, language: str) -> tuple[str, bytes]:
        """Name and content of the file for a language."""
        say = self._say(language)
        found = self._dialogs.get(say.language)
        if found is None:
            value = {
                "css": self.page_style,
                "form": tree(self._switches(None, say, mark("back"))),
                "fresh": say("panel.new"),
                "locale": say.own.locale,
                "months": self.notice.months,
            }
            text = f"const PANEL={json.dumps(value, ensure_ascii=False, separators=(',', ':'))};{self._static['dialog-text']}".encode()
            name = f"panel-{say.language}-{hashlib.sha256(text).hexdigest()[:8]}.js"
            found = self._dialogs[say.language] = (name, text)
        return found

    def _opened(self, language: str) -> Html | None:
        return html(' data-panel="{u}"', u=self.dialog(language)[0]) if "dialog-text" in self._static else None
