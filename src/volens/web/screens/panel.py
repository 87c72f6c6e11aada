"""*Paramétrer vos choix*: purposes, services, and the switches (R10, R12, R13).

A purpose is one line with its switch; its services, each with a switch of its own, its data and what is kept lie in ``details``
below. A purpose some of whose services differ says so in words (by style alone, so also without script): a switch knows no third
state (ARIA in HTML, role *switch*), and a half that says *on* would not be what *OK* records (P10).
"""

from __future__ import annotations

from collections.abc import Iterable

from volens.notice import Notice, Purpose, Service
from volens.policy import Grant
from volens.regimes import law_of
from volens.web.screens.lists import Lists
from volens.web.screens.mine import MyChoice
from volens.web.screens.objection import Objection
from volens.web.screens.words import Html, Words, flag, hidden, html, mark, tag, when

MANY = 12
"""Services from which on the panel offers a search (with script; the browser's own finds what lies in ``details`` too)."""


def switched(notice: Notice, purposes: Iterable[str], services: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """What the panel's switches mean, for ``Choice.from_switches``.

    Without script, switching a purpose on cannot move the switches of its services; the panel then says *with all of its
    services* as long as none of them is on, and this makes it so. With script that state does not occur.
    """
    on = frozenset(purposes).intersection(notice.askable)
    chosen = frozenset(services)
    added: set[str] = set()
    for purpose in on:
        ready = {
            s.id for s in notice.services_asked if purpose in s.purposes and on.issuperset(set(s.purposes).intersection(notice.askable))
        }
        if not ready & chosen:
            added |= ready
    return on, chosen | added


class PanelScreen(Lists, MyChoice, Objection):
    """The panel: a page of its own, and what the dialog shows."""

    def panel(
        self,
        grant: Grant,
        language: str,
        back: str,
        *,
        choice_text: str = "",
        token: str = "",
        message: str = "",
        objects: str = "",
    ) -> str:
        """*Paramétrer vos choix*: a page of its own. ``message``: kind of a problem. ``objects``: how the visitor objects to being
        counted (``view.objects``)."""
        say = self._say(language)
        main = self._switches(grant, say, back, choice_text=choice_text, token=token, message=message, objects=objects)
        return self._page(say, say("settings"), main, script="panel", kind="panel")

    def _switches(
        self, grant: Grant | None, say: Words, back: str, *, choice_text: str = "", token: str = "", message: str = "", objects: str = ""
    ) -> Html:
        """The panel's form. Without a grant it is everybody's: each part that goes by the visitor's choice stands there with what it
        goes by (``when``), for the dialog to fill in."""
        notice = self.notice
        askable = [notice.purpose[p] for p in notice.askable]
        return html(
            '<form method="post" action="{prefix}choice" data-volens-panel=""{find}>{hidden}'
            '<div class="top"><h1 id="volens-panel-title">{title}</h1><a class="x" href="{back}" aria-label="{close}">'
            '<span aria-hidden="true">✕</span></a></div>'
            '<div class="body">{message}<p class="lead">{intro}</p>{new}{gpc}'
            '<h2 id="services">{purposes_title}</h2><p class="kinds">{yes} {no}</p>{purposes}{exempt}{mine}'
            '<p class="kinds">{valid} <a href="{policy}">{policy_text}</a></p></div>'
            '<div class="bar" role="group" aria-label="{bar}">'
            '<button name="answer" value="refuse">{refuse}</button><button name="answer" value="accept">{accept}</button>'
            '<button name="answer" value="switches">{ok}</button></div></form>',
            prefix=self.site.prefix,
            find=html(' data-find="{a}" data-found="{b}"', a=say("panel.find"), b=say("panel.found", all=len(notice.services_asked)))
            if len(notice.services_asked) > MANY
            else None,
            hidden=[
                hidden("notice", self.named),
                hidden("back", back),
                hidden("language", say.language),
                hidden("surface", "panel"),
                hidden("token", token) if token else None,
            ],
            title=say("settings"),
            back=back,
            close=say.attribute("close"),
            message=html(
                '<p class="message" role="status"><b>{a}</b> {b}</p>', a=say(f"problem.{message}.title"), b=say(f"problem.{message}.text")
            )
            if message
            else None,
            intro=say("panel.intro"),
            new=self._changed(grant, say),
            yes=say("panel.yes"),
            no=say("panel.no"),
            valid=say("panel.valid", months=say.count("months", notice.months), scope=self._scope(say)),
            policy=self.policy_url,
            policy_text=say("policy"),
            gpc=[
                html('<p class="message">{x}</p>', x=say("minor.told")) if grant is not None and grant.locked else None,
                html('<p class="message">{x}</p>', x=say("account.ask")) if grant is not None and grant.account else None,
                html('<p class="message">{x}</p>', x=say("account.conflict"))
                if grant is not None and grant.account == "conflict"
                else None,
                html('<p class="message">{x}</p>', x=say("regime.panel", law=law_of(grant.regime)))
                if grant is not None and grant.presumed
                else None,
                *(
                    html('<p class="message" id="{id}"{when}>{x}</p>', id=id, when=when(id, grant), x=say(text))
                    for id, text, holds in (
                        ("gpc", "panel.gpc", grant is None or grant.gpc),
                        ("over", "panel.gpc.over", grant is None or grant.overrides_gpc),
                    )
                    if holds
                ),
            ],
            purposes_title=say("panel.purposes"),
            purposes=[self._purpose(p, grant, say) for p in askable],
            exempt=[self._exempt(say), self._objection(say, objects if grant is not None else None)],
            mine=self._mine(grant, say, choice_text, back),
            bar=say.attribute("panel.bar"),
            refuse=say("refuse"),
            accept=say("accept"),
            ok=say("ok"),
        )

    def _changed(self, grant: Grant | None, say: Words) -> Html | None:
        """What is asked anew since the visitor's answer, and that the rest still holds (R13)."""
        if grant is not None and (not grant.new or grant.day is None):
            return None
        names = say.listed(self._names(grant.new, say.language)) if grant is not None else None
        date = say.day(grant.day) if grant is not None and grant.day is not None else mark("date")
        return html(
            '<p class="message" id="new"{when}>{x}</p>',
            when=when("new", grant),
            x=say("panel.changed", date=date, new=html("<b>{x}</b>", x=names)),
        )

    def _purpose(self, purpose: Purpose, grant: Grant | None, say: Words) -> Html:
        notice, language = self.notice, say.language
        home = {s.id: next(p for p in s.purposes if p in notice.askable) for s in notice.services_asked}
        own = [s for s in notice.services_asked if home[s.id] == purpose.id]
        others = [s for s in notice.services_asked if purpose.id in s.purposes and home[s.id] != purpose.id]
        title = self._title(purpose, language)
        no: frozenset[str] = frozenset()
        purposes, services, new = (grant.purposes, grant.services, grant.new) if grant is not None else (no, no, no)
        on = purpose.id in purposes
        locked = grant is not None and purpose.id in grant.locked
        mixed = any((s.id in services) != on for s in own)
        return html(
            '<section class="purpose"><label class="row"><span><b>{title}</b>{new}{profiles}</span>'
            '<input type="checkbox" role="switch" name="purposes" value="{id}" aria-label="{switch}"{described}{profile}{on}{off}></label>'
            "<p>{sentence}</p>{state}<details{open}><summary>{summary}</summary>{kinds}{none}{keys}<ul>{own}{others}</ul></details></section>",
            title=title,
            new=tag(say("panel.new"), "new") if purpose.id in new else None,
            profiles=[tag(say("panel.profiles")) if purpose.profiles else None, tag(say("minor.locked")) if locked else None],
            profile=flag(purpose.profiles, "data-profiles"),
            id=purpose.id,
            switch=say.attribute("panel.switch", title=title),
            described=html(' aria-describedby="state-{id}"', id=purpose.id) if own else None,
            on=flag(on, "checked"),
            off=flag(locked, "disabled"),
            sentence=self._text(purpose.sentence, language),
            state=html(
                '<p class="state" id="state-{id}"><span class="all">{all}</span><span class="but">{but}</span>'
                '<span class="few">{few}</span></p>',
                id=purpose.id,
                all=say("panel.all"),
                but=say("panel.but"),
                few=say("panel.few"),
            )
            if own
            else None,
            open=flag(mixed or bool({s.id for s in own} & new), "open"),
            summary=self._summary([*own, *others], say),
            kinds=self._data(purpose, say),
            none=None if own or others else html('<p class="kinds">{x}</p>', x=say("panel.no.services", controller=notice.controller.name)),
            keys=self._keys(self._own_keys(purpose), say),
            own=[self._service(s, grant, say, purpose) for s in own],
            others=[
                html(
                    "<li>{name} <small>{x}</small></li>",
                    name=s.name,
                    x=say("panel.under", title=self._title(notice.purpose[home[s.id]], language)),
                )
                for s in others
            ],
        )

    def _summary(self, services: list[Service], say: Words) -> Html:
        """How many services, and the first of their names: what opening shows."""
        if not services:
            return say("panel.details")
        return html(
            '<span class="count">{n}</span><small>{names}</small>',
            n=say.count("services", len(services)),
            names=say.listed(s.name for s in services),
        )

    def _exempt(self, say: Words) -> Html | None:
        exempt = [p for p in self.notice.purposes if p.exempt]
        asked = frozenset(self.notice.services_asked)
        if not exempt:
            return None
        return html(
            '<h2>{title}</h2><p class="kinds">{text}</p>{all}',
            title=say("panel.always"),
            text=say("panel.always.text"),
            all=[
                html(
                    '<section class="purpose"><p class="row"><b>{title}</b></p><p>{sentence}</p><details><summary>{summary}</summary>'
                    '<p class="kinds">{reason}</p>{kinds}{keys}<ul>{services}</ul></details></section>',
                    title=self._title(p, say.language),
                    sentence=self._text(p.sentence, say.language),
                    summary=self._summary(services, say),
                    reason=say("panel.reason", reason=say(f"exempt.{p.exempt}")),
                    kinds=self._data(p, say),
                    services=[self._service(s, None, say, None) for s in services],
                    keys=self._keys(self._own_keys(p), say),
                )
                for p, services in ((p, [s for s in self.notice.services if s not in asked and s.purposes[0] == p.id]) for p in exempt)
            ],
        )
