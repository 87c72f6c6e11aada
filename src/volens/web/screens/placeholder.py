"""The document that stands in a withheld embed, and the embed alone once allowed.

A placeholder stands in the page's own HTML (``srcdoc``), so it asks for nothing: it has a small style of its own, no script,
and one form whose answer leads to the embed's address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from volens.enforce.embeds import captcha, page_of, page_of_script
from volens.enforce.html import FRAME_ATTRIBUTES, Withheld
from volens.notice import Service
from volens.web.screens.looks import small_style
from volens.web.screens.page import Page
from volens.web.screens.words import Html, hidden, html

if TYPE_CHECKING:
    from volens.catalog import Entry

_STYLE = """body{margin:0;background-size:cover}
main{box-sizing:border-box;min-height:100vh;display:flex;flex-wrap:wrap;align-items:center;place-content:center;
gap:8px 24px;padding:12px 16px;background:var(--s);border:1px solid var(--l);font:1em/1.4 var(--f);color:var(--t);text-align:center}
div,form{width:100%}
form{display:flex;justify-content:center;gap:8px}
h1{margin:0;font-size:1.25em}
p{margin:4px auto;max-width:36em;color:var(--m);font-size:.875em}
button{min-height:44px;padding:4px 16px;border:1px solid var(--k);border-radius:var(--r);background:var(--k);color:var(--j);
font:inherit;font-weight:600;font-size:.875em;cursor:pointer}
a{color:var(--a);font-size:.875em}
:focus-visible{outline:3px solid var(--a);outline-offset:2px}
[background] main{position:fixed;inset:auto 0 0;min-height:0}
@media(max-height:15em){main{gap:4px 16px;padding:4px 8px;font-size:.875em}div,form{width:auto}p{margin:0}span{display:none}}
@media(max-height:6.5em)and (max-width:36em){div{position:absolute;clip-path:inset(50%)}}
@media(max-height:5em)and (max-width:26em){main{flex-wrap:nowrap;gap:8px;padding:0 8px}form{gap:4px}
button{padding:2px 6px}button,a{font-size:.8125em;line-height:1.2}}"""
_PLAYING = "html,body,main,iframe{display:block;width:100%;height:100%;margin:0;border:0}h1{position:absolute;clip-path:inset(50%)}"


class PlaceholderScreen(Page):
    """Placeholder and player."""

    play_style = _PLAYING

    @cached_property
    def place_style(self) -> str:
        """Text of a placeholder's style element."""
        return small_style(self.site.theme, _STYLE)

    def place(self, who: Entry | Service | str, withheld: Withheld, *, whole: bool = False, locked: frozenset[str] = frozenset()) -> str:
        """Who it is, what they would receive, and the ways to see it. Only a service that the notice names can be allowed.

        ``whole``: a document of its own, at its own address, which follows what is chosen elsewhere; else for ``srcdoc``.
        ``locked``: services that this visitor, a minor, cannot allow (R41).
        """
        say = self._say(withheld.language)
        target = withheld.target
        robots = captcha(target)
        script = withheld.address.startswith(f"{self.site.prefix}embed/script")
        page = withheld.page or (page_of_script(target, ()) if script else page_of(target))
        name = who if isinstance(who, str) else who.name
        # Where another tool asks, only that tool's choice allows for good.
        barred = isinstance(who, Service) and who.id in locked
        named = isinstance(who, Service) and who.id in self.notice.service and self.site.theirs is None and not barred
        form = html(
            '<form method="post" action="{home}{prefix}choice"{top}>{hidden}{allow}{once}</form>',
            home=withheld.home,
            prefix=self.site.prefix,
            top=Html(' target="_top"') if withheld.page_path else None,
            hidden=[
                hidden("notice", self.named),
                hidden("services", who.id) if isinstance(who, Service) and named else None,
                hidden("surface", "embed"),
                hidden("language", say.language),
                hidden("back", withheld.page_path or withheld.address),
            ],
            allow=html('<button name="answer" value="service">{x}</button>', x=say("frame.allow", name=name)) if named else None,
            once=None if withheld.page_path or barred else html('<button name="answer" value="once">{x}</button>', x=say("frame.once")),
        )
        body = html(
            "{poster}<main><div><h1>{title}</h1><p>{short} {robots}<span>{text} {profiles} {unnamed}</span></p></div>{form}{link}</main>",
            poster=html('<body background="{url}">', url=withheld.poster) if withheld.poster else None,
            title=say("frame.title", name=name),
            text=say("frame.text"),
            link=html(
                '<a href="{url}" target="_blank" rel="noopener">{text}</a>',
                url=page,
                text=say("frame.link", host=(urlsplit(page).hostname or "").removeprefix("www.")),
            )
            if target.scheme in ("http", "https") and not robots
            else None,
            # Its box is low: why there is no button is said before what a low one leaves out.
            robots=html("{x} {y} ", x=say("frame.captcha"), y=None if named else say("frame.unnamed")) if robots else None,
            profiles=say("frame.profiles") if not isinstance(who, str) and who.profiles else None,
            unnamed=say("minor.told") if barred else None if named or robots else say("frame.unnamed"),
            short=say("frame.short", name=name),
            form=form,
        )
        return self._framed(say.language, say("frame.title", name=name), self.place_style, body, whole=whole)

    def playing(self, url: str, attributes: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> str:
        """The embed once allowed: the third party's own frame, full size. ``attributes``: those of the original that say how it may
        behave; any other is dropped."""
        pairs = attributes.items() if isinstance(attributes, Mapping) else attributes
        kept = {n.lower(): v for n, v in pairs if n.lower() in FRAME_ATTRIBUTES}
        kept["title"] = urlsplit(url).hostname or url  # the original's title stands at the frame around
        frame = html(
            '<main><h1>{title}</h1><iframe src="{url}"{kept}></iframe></main>',
            title=kept["title"],
            url=url,
            kept=[html(' {n}="{v}"', n=Html(n), v=v) for n, v in kept.items()],
        )
        return self._framed(self._first, Html(escape(kept["title"])), self.play_style, frame, whole=True, kind="playing")

    def _framed(self, language: str, title: Html, style: str, body: Html, *, whole: bool, kind: str = "") -> str:
        script = self._static.get("embed-text")
        return html(
            "{doctype}<html {way}{kind}>{charset}<title>{title}</title><style>{style}</style>{script}{body}</html>",
            doctype=Html("<!DOCTYPE html>") if whole else None,
            way=self._say(language).way,
            kind=html(' class="{x}"', x=kind) if kind else None,
            charset=Html('<meta charset="utf-8"><meta name="robots" content="noindex">') if whole else None,
            title=title,
            style=Html(style),
            script=html("<script type='module'>{x}</script>", x=Html(script)) if whole and script else None,
            body=body,
        )
