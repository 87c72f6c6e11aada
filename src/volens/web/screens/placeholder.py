"""The document that stands in a withheld frame, and the same frame once allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from volens.notice import Service
from volens.web.screens.page import Page
from volens.web.screens.words import Html, hidden, html

if TYPE_CHECKING:
    from volens.catalog import Entry

_FRAME_ATTRIBUTES = frozenset(
    {"allow", "allowfullscreen", "sandbox", "referrerpolicy", "title", "name", "scrolling", "loading", "credentialless", "csp"}
)


class PlaceholderScreen(Page):
    """Placeholder and player."""

    def frame(
        self,
        service: Entry | Service | None,
        url: str,
        language: str,
        back: str,
        *,
        once: str = "",
        token: str = "",
        whole_page: bool = False,
    ) -> str:
        """The document inside a withheld frame: who it is, what they would receive, and the ways to see it.

        ``back``: where the answer returns to, which is this frame's own address. ``once``: the address that shows it
        without storing anything (default: ``back`` with ``once=1``). ``whole_page``: allowing makes the page around it
        again, at ``back``. Only a service that the notice names can be allowed.
        """
        say = self._say(language)
        host = urlsplit(url).hostname or url
        name = service.name if service else host
        named = isinstance(service, Service) and service.id in self.notice.service
        allow = html(
            '<form method="post" action="{prefix}choice"{top}>{hidden}<button name="answer" value="service">{text}</button></form>',
            prefix=self.site.prefix,
            top=Html(' target="_top"') if whole_page else None,
            hidden=[
                hidden("notice", self.notice.short),
                hidden("services", service.id if service else ""),
                hidden("surface", "embed"),
                hidden("language", say.language),
                hidden("back", back),
                hidden("token", token) if token else None,
            ],
            text=say("frame.allow", name=name),
        )
        main = html(
            '<h1>{title}</h1><p class="why">{text} {profiles} {unnamed}</p><div class="ways">{allow}{just}'
            '<a href="{url}" target="_blank" rel="noopener">{link}</a></div>',
            title=say("frame.title", name=name),
            text=say("frame.text", name=name),
            profiles=say("frame.profiles") if service and service.profiles else None,
            unnamed=None if named else say("frame.unnamed"),
            allow=allow if named else None,
            just=None
            if whole_page
            else html(
                '<a class="button" href="{u}">{t}</a>', u=once or back + ("&" if "?" in back else "?") + "once=1", t=say("frame.once")
            ),
            url=url if url.startswith(("http://", "https://")) else "about:blank",
            link=say("frame.link", host=host),
        )
        return self._page(say, say("frame.title", name=name), main, kind="frame", script="embed")

    def playing(self, url: str, attributes: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> str:
        """The same frame once allowed: the third party's own, full size. ``attributes``: those of the original that say how it may
        behave (``allow``, ``sandbox``, ``referrerpolicy``, ``title``, ``name``, ``allowfullscreen``); any other is dropped."""
        pairs = attributes.items() if isinstance(attributes, Mapping) else attributes
        kept = {n.lower(): v for n, v in pairs if n.lower() in _FRAME_ATTRIBUTES}
        say = self._words[self._first]
        kept.setdefault("title", urlsplit(url).hostname or url)
        frame = html(
            '<h1 class="sr">{title}</h1><iframe src="{url}"{kept}></iframe>',
            title=kept["title"],
            url=url,
            kept=[html(' {n}="{v}"', n=Html(n), v=v) for n, v in kept.items()],
        )
        return self._page(say, Html(escape(kept["title"])), frame, kind="playing", script="embed")
