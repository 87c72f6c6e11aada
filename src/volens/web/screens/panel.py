"""*Paramétrer vos choix*: purposes, services, and the switches (R10, R12, R13)."""

from __future__ import annotations

from collections.abc import Iterable

from volens.notice import Notice, Purpose
from volens.policy import Grant
from volens.web.screens.lists import Lists
from volens.web.screens.mine import MyChoice
from volens.web.screens.objection import Objection
from volens.web.screens.words import Html, Words, commas, flag, hidden, html, tag

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
        record_id: str = "",
        token: str = "",
        message: str = "",
        part: bool = False,
        objects: str = "",
    ) -> str:
        """*Paramétrer vos choix*: a page of its own; its ``main`` is also what the dialog shows. ``message``: kind of a problem.
        ``objects``: how the visitor objects to being counted (``view.objects``).

        ``part``: asked for by the dialog. Its style then lies in a template, because a style that stands in a document which a
        script fetched counts as the page's own, and a page with a strict policy would report it.
        """
        say = self._say(language)
        notice = self.notice
        askable = [notice.purpose[p] for p in notice.askable]
        months = {"months": notice.months, "scope": self._scope(say)}
        main = html(
            '<form method="post" action="{prefix}choice" data-volens-panel="">{hidden}'
            '<div class="top"><h1 id="volens-panel-title">{title}</h1><a class="x" href="{back}" aria-label="{close}">'
            '<span aria-hidden="true">✕</span></a></div>'
            '<div class="body">{message}<p>{intro}</p>{gpc}<p>{yes} {no}</p>'
            '<h2 id="services">{purposes_title}</h2>{purposes}{exempt}{mine}<p>{valid} <a href="{policy}">{policy_text}</a></p></div>'
            '<div class="bar" role="group" aria-label="{bar}">'
            '<button name="answer" value="refuse">{refuse}</button><button name="answer" value="accept">{accept}</button>'
            '<button name="answer" value="switches">{ok}</button></div></form>',
            prefix=self.site.prefix,
            hidden=[
                hidden("notice", notice.short),
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
            yes=say("panel.yes"),
            no=say("panel.no"),
            valid=say("panel.valid", **months),
            policy=self.policy_url,
            policy_text=say("policy"),
            gpc=html('<p class="message">{x}</p>', x=say("panel.gpc" if grant.gpc else "panel.gpc.over"))
            if grant.gpc or grant.overrides_gpc
            else None,
            purposes_title=say("panel.purposes"),
            purposes=[self._purpose(p, grant, say) for p in askable],
            exempt=[self._exempt(say), self._objection(say, objects)],
            mine=self._mine(grant, say, choice_text, record_id),
            bar=say.attribute("panel.bar"),
            refuse=say("refuse"),
            accept=say("accept"),
            ok=say("ok"),
        )
        return self._page(say, say("settings"), main, script="panel", kind="panel", part=part)

    def _purpose(self, purpose: Purpose, grant: Grant, say: Words) -> Html:
        notice, language = self.notice, say.language
        home = {s.id: next(p for p in s.purposes if p in notice.askable) for s in notice.services_asked}
        own = [s for s in notice.services_asked if home[s.id] == purpose.id]
        others = [s for s in notice.services_asked if purpose.id in s.purposes and home[s.id] != purpose.id]
        title = self._title(purpose, language)
        return html(
            '<section class="purpose"><label class="row"><span><b>{title}</b>{new}{profiles}</span>'
            '<input type="checkbox" role="switch" name="purposes" value="{id}" aria-label="{switch}"{on}></label>'
            "<p>{sentence}</p>{kinds}{none}{keys}<ul>{own}{others}</ul>{all}</section>",
            title=title,
            new=tag(say("panel.new")) if purpose.id in grant.new else None,
            profiles=tag(say("panel.profiles")) if purpose.profiles else None,
            id=purpose.id,
            switch=say.attribute("panel.switch", title=title),
            on=flag(purpose.id in grant.purposes, "checked"),
            sentence=self._text(purpose.sentence, language),
            kinds=self._data(purpose, say),
            keys=self._keys(self._own_keys(purpose), say),
            none=None if own or others else html('<p class="kinds">{x}</p>', x=say("panel.no.services", controller=notice.controller.name)),
            own=[self._service(s, grant, say, purpose) for s in own],
            others=[
                html(
                    "<li>{name} <small>{x}</small></li>",
                    name=s.name,
                    x=say("panel.under", title=self._title(notice.purpose[home[s.id]], language)),
                )
                for s in others
            ],
            all=html('<p class="all">{x}</p>', x=say("panel.all")) if own else None,
        )
