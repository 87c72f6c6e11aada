"""Notice and band: what goes into the site's own pages (DESIGN §2), made once per language and grant and then looked up."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from volens.foreign import Theirs
from volens.policy import Grant
from volens.regimes import law_of
from volens.site import Site
from volens.web.screens.page import Page
from volens.web.screens.words import Html, Words, flag, hidden, html

BACK = "__volens_back__"
"""Stands in ``Dress.body`` where the page's own path goes, escaped for a double-quoted attribute."""


@dataclass(frozen=True, slots=True)
class Dress:
    """What is put into a page: the host element with its shadow root, and the same in plain markup below it."""

    body: str


class NoticeScreen(Page):
    """The first layer and the band."""

    def __init__(self, site: Site, static: Mapping[str, str], named: str = "") -> None:
        """As ``Page`` has it."""
        super().__init__(site, static, named)
        self._to_panel = html(' formaction="{prefix}panel" formmethod="get"', prefix=site.prefix)
        self._dresses: dict[tuple[object, ...], Dress] = {}

    def dress(self, grant: Grant, language: str, *, framed: bool = False) -> Dress:
        """Notice and band for a page under ``grant``. ``framed``: inside another site's frame, where nobody can know who asks:
        only a way to open the panel in a tab of its own (DESIGN §8)."""
        if self.site.theirs is not None:
            return self._go_between(self.site.theirs)
        told = (grant.gpc or grant.overrides_gpc, grant.answered, framed, grant.locked, grant.regime, grant.presumed, grant.account)
        key = (language, grant.key, grant.asked, grant.new, *told)
        found = self._dresses.get(key)
        if found is None:
            if len(self._dresses) >= 4096:
                self._dresses.clear()
            found = self._dresses[key] = self._dress(grant, self._say(language), framed)
        return found

    def _go_between(self, theirs: Theirs) -> Dress:
        """Nothing to see: what tells us the choice of the tool that asks in our place."""
        told = {
            "p": self.site.prefix,
            "n": self.named,
            "f": list(theirs.sources),
            "e": list(theirs.tool.reading.events),
            "t": theirs.tool.id,
        }
        told |= {"a": theirs.tool.reading.ask} if theirs.tool.reading.ask else {}
        return Dress(
            html('<script async="" src="{src}" data-volens-theirs="{told}"></script>', src=self._static["theirs"], told=json.dumps(told))
        )

    def _dress(self, grant: Grant, say: Words, framed: bool) -> Dress:
        body = html(
            '<volens-notice {way} data-storage="{storage}" data-profiles="{profiles}"{panel}{told}{ask}>'
            '<template shadowrootmode="open"><style>{style}</style>{shadow}</template>{plain}</volens-notice>',
            way=say.way,
            storage=state_of(grant.storage_share, grant),
            profiles=state_of(grant.profiles_share, grant),
            panel=self._opened(say.language) if not (framed or grant.locked or grant.presumed or grant.account) else None,
            told=[
                html(' data-new="{ids}"', ids=" ".join(self._ordered(grant.new))) if grant.new else None,
                html(' data-account=""') if grant.account else None,
                html(' data-gpc=""') if grant.gpc or grant.overrides_gpc else None,
            ],
            ask=flag(grant.asked and not framed, "data-ask"),
            style=Html(self.style),
            shadow=self._form(grant, say, framed, plain=False),
            plain=Html(re.sub(r' id="[^"]*"', "", self._form(grant, say, framed, plain=True))),
        )
        return Dress(body)

    def _opened(self, language: str) -> Html | None:
        """Says where the panel over the page comes from; None: it is a page of its own."""
        return None

    def _form(self, grant: Grant, say: Words, framed: bool, *, plain: bool) -> Html:
        """``plain``: for where there is no shadow root, so without what only a style makes sense of."""
        asked = (grant.asked or bool(grant.presumed) or grant.account in ("told", "conflict")) and not framed
        return html(
            '<form method="{method}" action="{prefix}{action}" aria-label="{label}"{target}>{hidden}'
            '<button id="volens-band" name="answer" value="settings" title="{title}"{form}>{storage}{profiles}</button>{ask}</form>',
            method="post" if asked else "get",
            prefix=self.site.prefix,
            action="choice" if asked else "panel",
            label=say.attribute("choices"),
            target=Html(' target="_blank"') if framed else None,
            hidden=[
                hidden("notice", self.named) if asked else None,
                hidden("back", Html(BACK)),
                hidden("language", say.language),
                hidden("surface", "notice" if asked else "band"),
            ],
            title=say.attribute("settings"),
            form=self._to_panel if asked else None,
            storage=field_of("s", "band.storage", "band", grant.storage_share, grant, say, plain),
            profiles=field_of("p", "band.profiles", "band.profiles", grant.profiles_share, grant, say, plain),
            ask=(self._ask if grant.asked else self._offer if grant.presumed else self._follows)(grant, say) if asked else None,
        )

    def _presumed(self, grant: Grant, say: Words) -> Html | None:
        """What the law of the place exempts, and that it can be objected to (R44)."""
        if not grant.presumed:
            return None
        titles = say.listed(self._title(self.notice.purpose[p], say.language) for p in self._ordered(grant.presumed))
        return html("{x} ", x=say("regime.exempt", purposes=titles, law=law_of(grant.regime)))

    def _offer(self, grant: Grant, say: Words) -> Html:
        """In place of the first layer, where the law asks for no yes: what is done, that nobody was asked, and how to stop it (R45)."""
        return html(
            '<div id="volens-ask" role="region" aria-label="{label}"><div id="x"><p>{told} {gpc}'
            '<a href="{policy}">{policy_text}</a></p></div>'
            '<div id="y"><button name="answer" value="refuse">{link}</button></div></div>',
            label=say.attribute("choices"),
            told=say("regime.told", law=law_of(grant.regime)),
            gpc=html("{x} ", x=say("ask.gpc")) if grant.gpc else None,
            policy=self.policy_url,
            policy_text=say("policy"),
            link=say("regime.link"),
        )

    def _follows(self, grant: Grant, say: Words) -> Html:
        """In place of the first layer, where the account's choice newly holds on this device, or differs from the device's (R38)."""
        return html(
            '<div id="volens-ask" role="region" aria-label="{label}"><div id="x"><p>{told} '
            '<a href="{policy}">{policy_text}</a></p></div><div id="y"><button name="answer" value="told">{close}</button>'
            '<button name="answer" value="settings"{form}>{settings}</button></div></div>',
            label=say.attribute("choices"),
            told=say("account.conflict" if grant.account == "conflict" else "account.told"),
            policy=self.policy_url,
            policy_text=say("policy"),
            close=say("ok"),
            form=self._to_panel,
            settings=say("settings"),
        )

    def _ask(self, grant: Grant, say: Words) -> Html:
        notice, language = self.notice, say.language
        panel = html("{prefix}panel?language={language}", prefix=self.site.prefix, language=language)
        services = html('<a href="{panel}#services">{text}</a>', panel=panel, text=say.count("services", len(notice.services_asked)))
        asked = [notice.purpose[p] for p in notice.askable]
        return html(
            '<div id="volens-ask" role="region" aria-label="{label}"><div id="x"><p><b>{title}</b> '
            '{text} <span>{yes} {no}</span> <span>{change} {gpc}{new}<a href="{policy}">{policy_text}</a></span></p>'
            "<details><summary>{why} {titles}</summary>{purposes}<p>{data}</p><p>{exempt}</p></details></div>"
            '<div id="y">{buttons}</div></div>',
            label=say.attribute("ask.label"),
            title=say("ask.title"),
            text=say("ask.text" if notice.services_asked else "ask.alone", controller=notice.controller.name, services=services),
            yes=say("ask.yes", yes=html("<b>{x}</b>", x=say("yes"))),
            no=say("ask.no", no=html("<b>{x}</b>", x=say("no"))),
            change=say("ask.change", months=say.count("months", notice.months), scope=self._scope(say)),
            gpc=[
                html("{x} ", x=say("ask.gpc")) if grant.gpc else None,
                html("{x} ", x=say("minor.told")) if grant.locked else None,
                html("{x} ", x=say("account.ask")) if grant.account else None,
                html("{x} ", x=say("account.conflict")) if grant.account == "conflict" else None,
                self._presumed(grant, say),
            ],
            new=html("{x} ", x=say("ask.new", new=say.listed(self._names(grant.new, language)))) if grant.new else None,
            policy=self.policy_url,
            policy_text=say("policy"),
            why=say("ask.why"),
            titles=" · ".join(self._title(p, language) for p in asked),
            purposes=[html("<p><b>{t}</b> {s}</p>", t=self._title(p, language), s=self._text(p.sentence, language)) for p in asked],
            data=say("ask.data", kinds=say.listed(self._kinds(asked, say))),
            exempt=say("ask.exempt", exempt=say.listed(self._title(p, language) for p in notice.purposes if p.exempt)),
            buttons=[
                html(
                    '<button name="answer" value="{value}"{form}>{text}</button>',
                    value=value,
                    form=self._to_panel if value == "settings" else None,
                    text=say(value),
                )
                for value in ("refuse", "accept", "settings")
            ],
        )


def state_of(share: tuple[int, int], grant: Grant) -> str:
    """``none`` before any choice: as closed as ``no``, and not said to be the visitor's refusal."""
    granted, total = share
    if not granted:
        return "no" if grant.answered else "none"
    return "yes" if granted == total else "part"


def field_of(id: str, label: str, state: str, share: tuple[int, int], grant: Grant, say: Words, plain: bool) -> Html:
    """One of the band's two fields: its colour, sign and words follow the host's attribute, so that the guard can turn it to *no*."""
    now = state_of(share, grant)
    no = None if now == "no" else html('<b class="n">{x}</b>', x=say(f"{state}.no"))
    words = say("band.part", n=share[0], all=share[1]) if now == "part" else say(f"{state}.{now}")
    bar = None
    if now == "part":
        bar = html(
            '<svg viewBox="0 0 {all} 1" preserveAspectRatio="none" aria-hidden="true"><path d="M{start} 0h{n}v1H{start}z"/></svg>',
            start=share[1] - share[0] if say.own.direction == "rtl" else 0,
            n=share[0],
            all=share[1],
        )
    return html(
        '<span id="{id}">{bar}{label} <b>{words}</b>{no}</span> ',
        id=id,
        bar=None if plain else bar,
        label=say(label),
        words=words,
        no=None if plain else no,
    )
