"""The visitor's own choice: what it says, where it lies, how to take it along (GDPR art. 7(1), 7(3), 15)."""

from __future__ import annotations

from volens.choice import expires
from volens.policy import Grant
from volens.web.screens.page import Page
from volens.web.screens.words import Html, Words, commas, html


class MyChoice(Page):
    """What panel and policy page say about the choice of who reads them."""

    def _mine(self, grant: Grant, say: Words, choice_text: str, record_id: str) -> Html:
        """The visitor's own choice: what it says, where it lies, how to take it along."""
        allowed = self._names(grant.purposes | {s.id for s in self.notice.services_asked if s.id in grant.services}, say.language)
        if not grant.answered or grant.day is None:
            facts = html("<p>{x}</p>", x=say("choice.none"))
        else:
            facts = html(
                "<p>{given} {allowed}</p>{text}{record}",
                given=say("choice.given", date=say.day(grant.day), until=say.day(expires(grant.day, self.notice.months))),
                allowed=say("choice.allowed", titles=commas(allowed)) if allowed else say("choice.nothing"),
                text=html(
                    '<p>{a} <code>{b}</code></p><p><a href="{p}choice.json" download="choice.json">{c}</a></p>',
                    a=say("choice.text"),
                    b=choice_text,
                    p=self.site.prefix,
                    c=say("choice.download"),
                )
                if choice_text
                else None,
                record=html("<p>{a} <code>{b}</code></p>", a=say("choice.record"), b=record_id)
                if record_id
                else (html("<p>{x}</p>", x=say("choice.trace")) if not allowed else None),
            )
        return html('<h2 id="mine">{title}</h2>{facts}', title=say("choice.title"), facts=facts)
