"""The visitor's own choice: what it says, where it lies, what of it was recorded, and how to have it forgotten.

A visitor sees and takes along what is kept of the choice (GDPR 15, 20; R20, R23), and can have it forgotten (GDPR 7(3), 17; R14, R15).
After a refusal that is the cookie's content and nothing else, because nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from volens.choice import expires
from volens.countries import MEMBERS, authorities
from volens.languages import shipped
from volens.ledger.record import Record
from volens.policy import Grant
from volens.web.screens.notice import field_of, state_of
from volens.web.screens.page import Page
from volens.web.screens.words import Html, Words, hidden, html, mark, when

RECORD_FIELDS = (
    "id", "site", "time", "event", "method", "surface", "language", "notice", "purposes", "services", "supersedes", "tc", "tool", "gpc",
    "regime",    "unconfigured", "format",
)  # fmt: skip
"""Every field of a record, in the order in which it is told (a test compares it with ``Record``)."""


class MyChoice(Page):
    """What panel, policy page and the page of rights say about the choice of who reads them."""

    def _link(self, name: str, say: Words, back: str) -> Html:
        """The address of a page of ours that comes back to ``back``."""
        return html("{p}{n}?language={l}&amp;back={b}", p=self.site.prefix, n=name, l=say.language, b=quote(back, safe="/"))

    def _contact(self) -> Html:
        contact = self.notice.controller.contact
        address = f"mailto:{contact}" if "@" in contact and "/" not in contact and not contact.startswith("mailto:") else contact
        return html('<a href="{u}">{t}</a>', u=address, t=contact.removeprefix("mailto:"))

    def _authority(self) -> Html:
        """Whose supervision the controller is under; the list of all where its country is not said."""
        known = authorities().get(self.notice.controller.country)
        return html('<a href="{u}" rel="noopener">{t}</a>', u=known.url if known else MEMBERS, t=known.name if known else "EDPB")

    def _complaint(self, say: Words) -> Html:
        known = self.notice.controller.country in authorities()
        return say("rights.complain" if known else "rights.complain.any", authority=self._authority())

    # What applies now

    def _share(self, purpose: str, grant: Grant) -> str:
        """``yes``, ``no`` or ``part``: the purpose and all its services, none of them, or some."""
        flags = [purpose in grant.purposes, *(s.id in grant.services for s in self.notice.services_asked if purpose in s.purposes)]
        return "yes" if all(flags) else "part" if any(flags) else "no"

    def _now(self, grant: Grant, say: Words) -> Html:
        """The band, and each purpose with what it may do now."""
        return html(
            '<p class="band" data-storage="{s}" data-profiles="{p}">{storage}{profiles}</p><ul class="now">{purposes}</ul>',
            s=state_of(grant.storage_share, grant),
            p=state_of(grant.profiles_share, grant),
            storage=field_of("s", "band.storage", "band", grant.storage_share, grant, say, plain=False),
            profiles=field_of("p", "band.profiles", "band.profiles", grant.profiles_share, grant, say, plain=False),
            purposes=[
                html(
                    '<li data-is="{state}"><span>{title}</span> <b>{words}</b></li>',
                    state=(state := self._share(p, grant)),
                    title=self._title(self.notice.purpose[p], say.language),
                    words=say(f"state.{state}"),
                )
                for p in self.notice.askable
            ],
        )

    def _when(self, grant: Grant, say: Words) -> Html:
        if not grant.answered or grant.day is None:
            return say("choice.none")
        return say("choice.given", date=say.day(grant.day), until=say.day(expires(grant.day, self.notice.months)))

    def _mine(self, grant: Grant | None, say: Words, choice_text: str, back: str = "/") -> Html:
        """In the panel: the choice, where it lies, and the ways to see, take along and forget it. What it allows the switches show."""
        answered = grant is not None and grant.answered and grant.day is not None
        asked = {s.id for s in self.notice.services_asked}
        refused = grant is not None and answered and not grant.purposes and not grant.services & asked
        given, until = mark("date"), mark("until")
        if grant is not None and grant.day is not None:
            given, until = say.day(grant.day), say.day(expires(grant.day, self.notice.months))
        facts = (
            ("none", not answered, say("choice.none")),
            ("given", answered, say("choice.given", date=given, until=until)),
            ("refused", refused, say("choice.nothing")),
            ("given", answered and bool(choice_text), html("{a} <code>{b}</code>", a=say("choice.text"), b=choice_text or mark("text"))),
            ("refused", refused, say("choice.trace")),
        )
        return html(
            '<h2 id="mine">{title}</h2>{facts}<p class="links"><a href="{rights}">{see}</a> {forget}</p>',
            title=say("choice.title"),
            facts=[html("<p{w}>{x}</p>", w=when(n, grant), x=x) for n, holds, x in facts if holds or grant is None],
            rights=self._link("rights", say, back),
            see=say("rights.see"),
            forget=html('<a href="{u}"{w}>{x}</a>', u=self._link("forget", say, back), w=when("given", grant), x=say("forget.title"))
            if answered or grant is None
            else None,
        )

    # The page of rights

    def rights(
        self,
        grant: Grant,
        language: str,
        back: str = "/",
        *,
        choice_text: str = "",
        record_id: str = "",
        record_name: str = "",
        recorded: Record | None = None,
        unavailable: bool = False,
    ) -> str:
        """Everything that is kept of this visitor's choice. ``record_name``: what the record's cookie is
        called here. ``unavailable``: the ledger could not be read just now."""
        say = self._say(language)
        granted = grant.answered and bool(self._names(grant.purposes | (grant.services & {s.id for s in self.notice.services_asked}), ""))
        refused = grant.answered and not granted
        kept = grant.answered or bool(choice_text or record_id) or recorded is not None or unavailable
        if recorded is not None:
            ledger = html("<p>{a}</p>{b}", a=say("rights.ledger.yes"), b=self._record(recorded, say))
        elif unavailable:
            ledger = html('<p class="message" role="status">{x}</p>', x=say("rights.ledger.down"))
        elif granted:
            ledger = html("<p>{x}</p>", x=say("rights.ledger.lost"))
        else:
            ledger = html("<p>{x}</p>", x=say("choice.trace" if grant.answered else "rights.ledger.none"))
        main = html(
            '<div class="top"><h1>{title}</h1><a class="x" href="{back}" aria-label="{close}"><span aria-hidden="true">✕</span></a></div>'
            '<div class="body"><p class="lead">{lead}</p>'
            '<section id="now"><h2>{now_title}</h2><p>{when}</p>{now}<p><a class="button" href="{panel}">{change}</a></p></section>'
            '<section id="browser"><h2>{browser_title}</h2>{browser}</section>'
            '<section id="ledger"><h2>{ledger_title}</h2>{ledger}</section>{receipt}{ways}'
            '<section id="others"><h2>{others_title}</h2><p>{others}</p><p>{complaint}</p></section></div>',
            title=say("rights.title"),
            back=back,
            close=say.attribute("problem.back"),
            lead=say("rights.lead" if kept else "rights.lead.none"),
            now_title=say("policy.you"),
            when=self._when(grant, say),
            now=self._now(grant, say),
            panel=self._link("panel", say, back),
            change=say("policy.change"),
            browser_title=say("rights.browser"),
            browser=html(
                "<p>{a}</p><p><code>{b}</code></p><p>{c}</p>",
                a=say("choice.text"),
                b=choice_text,
                c=say("rights.browser.record", name=record_name, id=html("<code>{x}</code>", x=record_id))
                if record_id
                else say("rights.browser.only"),
            )
            if choice_text
            else html("<p>{x}</p>", x=say("rights.browser.none")),
            ledger_title=say("rights.ledger"),
            ledger=ledger,
            receipt=self._receipt(say, recorded.id) if recorded is not None else self._no_receipt(say) if refused else None,
            ways=self._ways(say, back) if kept else None,
            others_title=say("rights.others"),
            others=say("rights.others.text", contact=self._contact()),
            complaint=self._complaint(say),
        )
        return self._page(say, say("rights.title"), main, script="panel")

    def _ways(self, say: Words, back: str) -> Html:
        """To take along what is kept, and to have it forgotten."""
        return html(
            '<section id="take"><h2>{take_title}</h2><p>{take}</p>'
            '<p><a class="button" href="{prefix}choice.json?language={language}">{download}</a></p></section>'
            '<section id="forget"><h2>{forget_title}</h2><p>{forget}</p>'
            '<p><a class="button" href="{forget_url}">{forget_title}</a></p></section>',
            take_title=say("rights.take"),
            take=say("rights.take.text"),
            prefix=self.site.prefix,
            language=say.language,
            download=say("choice.download"),
            forget_title=say("forget.title"),
            forget=say("rights.forget"),
            forget_url=self._link("forget", say, back),
        )

    def _receipt(self, say: Words, id: str) -> Html:
        """What a receipt is, what it shows without a witness, the file, and where it is checked."""
        names = [witness.name for witness in self.site.proof.witnesses]
        return html(
            '<section id="receipt"><h2>{title}</h2><p>{text}</p><p>{seen}</p><p class="links">'
            '<a class="button" href="{p}receipt/{id}">{get}</a> <a href="{p}receipt/{id}/bundle">{bundle}</a> '
            '<a href="{p}verify?language={language}">{check}</a></p></section>',
            title=say("rights.receipt"),
            text=say("rights.receipt.text"),
            seen=say("rights.receipt.witnessed", names=say.listed(names)) if names else say("rights.receipt.alone"),
            p=self.site.prefix,
            id=id,
            language=say.language,
            get=say("rights.receipt.get"),
            bundle=say("rights.receipt.bundle"),
            check=say("rights.receipt.check"),
        )

    @staticmethod
    def _no_receipt(say: Words) -> Html:
        return html('<section id="receipt"><h2>{a}</h2><p>{b}</p></section>', a=say("rights.receipt"), b=say("rights.receipt.none"))

    def _record(self, record: Record, say: Words) -> Html:
        """The fields that say something, each with what it means."""
        values = {name: getattr(record, name, None) for name in RECORD_FIELDS}
        shown: dict[str, Any] = values | {
            "time": html(
                '<time datetime="{iso}">{day}, {clock} UTC</time>',
                iso=record.to_json()["time"],
                day=say.day(record.time),
                clock=f"{record.time:%H:%M:%S}",
            ),
            "language": html('<bdi lang="{code}">{name}</bdi>', code=record.language, name=known.name)
            if (known := shipped().get(record.language))
            else record.language,
            "event": say(f"event.{record.event}"),
            "method": say(f"method.{record.method}"),
            "surface": say(f"surface.{record.surface}"),
            "purposes": self._answers(record.purposes, say),
            "services": self._answers(record.services, say),
            "gpc": say("yes") if record.gpc else None,
            "unconfigured": say("yes") if record.unconfigured else None,
            "format": record.to_json()["format"],
        }
        code = ("id", "notice", "supersedes", "tc", "format")
        return html(
            '<dl class="record">{rows}</dl>',
            rows=[
                html(
                    "<div><dt>{meaning}</dt><dd>{value}</dd></div>",
                    meaning=say(f"record.{name}"),
                    value=html("<code>{x}</code>", x=shown[name]) if name in code else shown[name],
                )
                for name in RECORD_FIELDS
                if shown[name]
            ],
        )

    def _answers(self, answers: Mapping[str, bool], say: Words) -> Html | None:
        """Purposes or services of a record, which may be of an earlier notice: by their title where it is known."""

        def named(ids: Iterable[str]) -> Html:
            purposes, services = self.notice.purpose, self.notice.service
            return say.listed(
                self._title(purposes[i], say.language) if i in purposes else services[i].name if i in services else i for i in ids
            )

        yes, no = [i for i, on in answers.items() if on], [i for i, on in answers.items() if not on]
        parts = [html("{a}{b}", a=say(f"answers.{k}"), b=named(ids)) for k, ids in (("yes", yes), ("no", no)) if ids]
        return html("{a}", a=[html('<span class="line">{x}</span>', x=x) for x in parts]) if parts else None

    def meanings(self, language: str) -> dict[str, str]:
        """What each field of a record means, for the file that is taken along."""
        say = self._say(language)
        return {name: say.texts[f"record.{name}"] for name in RECORD_FIELDS}

    # Forget me

    def forget(self, language: str, back: str = "/", *, token: str = "", anything: bool, recorded: bool, done: str = "") -> str:
        """What forgetting does, and the one press that does it. ``anything``: something is there to forget; ``recorded``: a record too;
        ``done``: it has just been pressed, and what it took away: the ``choice``, or its ``record`` too."""
        say = self._say(language)
        gone = html(
            '<p class="lead" role="status">{a}</p><p>{b}</p><div class="ways"><a class="button" href="{back}">{back_text}</a></div>',
            a=say("forget.done" if done else "forget.nothing"),
            b=say("forget.erased") if done == "record" else say("forget.earlier", contact=self._contact()),
            back=back,
            back_text=say("problem.back"),
        )
        title = say("forget.forgotten" if done and not anything else "forget.title")
        ask = html(
            '<p class="lead">{lead}</p><ul class="dots">{items}</ul><form method="post" action="{prefix}forget">{fields}<div class="ways">'
            '<button name="answer" value="forget">{yes}</button><a class="button" href="{back}">{no}</a></div></form>',
            lead=say("forget.text"),
            items=[
                html("<li>{x}</li>", x=say(f"forget.{name}"))
                for name, holds in (
                    ("withdraw", recorded),
                    ("cookies", recorded),
                    ("cookie", not recorded),
                    ("link", recorded),
                    ("again", True),
                )
                if holds
            ],
            prefix=self.site.prefix,
            fields=[
                hidden("back", back),
                hidden("language", say.language),
                hidden("token", token) if token else None,
            ],
            yes=say("forget.title"),
            back=back,
            no=say("forget.not"),
        )
        main = html(
            '<div class="top"><h1>{title}</h1></div><div class="body">{body}</div>',
            title=title,
            body=ask if anything else gone,
        )
        return self._page(say, title, main)
