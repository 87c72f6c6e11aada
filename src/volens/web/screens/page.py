"""What all screens of a site share: its languages, its style, the document around a screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from volens.errors import NoticeError
from volens.notice import DATA_KINDS, Purpose, Text
from volens.site import Site
from volens.web.screens.looks import styles
from volens.web.screens.words import Html, Words, html, packaged_texts, preferred


class Page:
    """One site's languages, style and shared sentences."""

    def __init__(self, site: Site, static: Mapping[str, str], named: str = "") -> None:
        """``static``: URL path of each script file by logical name. ``named``: what an answer calls the notice (``Gateway.named``)."""
        self.site = site
        self.notice = site.notice
        self.named = named or site.notice.short
        self._static = static
        packaged = packaged_texts()
        self._words = {
            language: Words(language, {**packaged[language], **{n: t[language] for n, t in self.notice.texts.items() if language in t}})
            for language in self.notice.languages
            if language in packaged
        }
        if not self._words:
            raise NoticeError(f"languages = {list(self.notice.languages)}: no interface texts. Use some of {', '.join(sorted(packaged))}.")
        self._first = next(iter(self._words))
        self._dialogs: dict[str, tuple[str, bytes]] = {}
        self.style, self.page_style = styles(site.theme, bool(site.gates))

    # Languages

    def language(self, page_lang: str, accept_language: str) -> str:
        """The page's language, else the first the browser prefers (RFC 9110 12.5.4), else the notice's first."""
        for tag in (page_lang, *preferred(accept_language)):
            primary = tag.strip().lower().partition("-")[0]
            if primary in self._words:
                return primary
        return self._first

    def _say(self, language: str) -> Words:
        return self._words.get(language) or self._words[self._first]

    def _text(self, text: Text, language: str) -> str:
        """A text of the notice: in this language, the notice's first, any."""
        return text.get(language) or text.get(self._first) or next(iter(text.values()), "")

    def _title(self, purpose: Purpose, language: str) -> str:
        return self._text(purpose.title, language) or purpose.id

    @property
    def policy_url(self) -> str:
        """The site's own policy page, else ours."""
        return self.notice.controller.policy_url or self.site.prefix + "policy"

    def _scope(self, say: Words) -> Html:
        return say.listed(self.notice.scope or (self.site.name,))

    def _ordered(self, ids: Iterable[str]) -> list[str]:
        """Purposes, then services, in the notice's order."""
        ids = frozenset(ids)
        return [x for x in (*self.notice.purpose, *self.notice.service) if x in ids]

    def _names(self, ids: Iterable[str], language: str) -> list[str]:
        """Titles of purposes and names of services, in the notice's order."""
        purposes, services = self.notice.purpose, self.notice.service
        return [self._title(purposes[x], language) if x in purposes else services[x].name for x in self._ordered(ids)]

    def _kinds(self, purposes: Iterable[Purpose], say: Words) -> list[Html]:
        named = {kind for purpose in purposes for kind in purpose.data_kinds}
        return [say(f"kind.{kind}") for kind in DATA_KINDS if kind in named]

    def _data(self, purpose: Purpose, say: Words) -> Html | None:
        if not purpose.data_kinds:
            return None
        return html('<p class="kinds"><b>{a}</b> {b}</p>', a=say("panel.data"), b=say.listed(self._kinds([purpose], say)))

    def _script(self, name: str) -> Html | None:
        """A file of ours, or its text where it is given as ``<name>-text``: a placeholder asks for nothing more than itself."""
        if f"{name}-text" in self._static:
            return Html(f'<script type="module">{self._static[f"{name}-text"]}</script>')
        return html('<script src="{u}" defer></script>', u=self._static[name]) if name in self._static else None

    def _page(self, say: Words, title: Html, main: Html, *, script: str = "", kind: str = "plain") -> str:
        return html(
            '<!DOCTYPE html><html {way} class="{kind}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
            '<title>{title}</title>{style}{script}</head><body><main class="v {kind}">{main}</main></body></html>',
            way=say.way,
            kind=kind,
            title=title,
            style=html("<style>{x}</style>", x=Html(self.page_style)),
            script=self._script(script),
            main=main,
        )
