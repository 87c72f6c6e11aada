"""The objection to being counted (RULES R28): a switch in the panel, off until the visitor turns it, saved by every answer there; and
a button on the policy page, for who wants nothing else."""

from __future__ import annotations

from volens.web.screens.page import Page
from volens.web.screens.words import Html, Words, flag, hidden, html, query_of, when


class Objection(Page):
    """What panel and policy page say of measurement that needs no choice: the site's own count, and tools declared exempt."""

    @property
    def _measured(self) -> bool:
        """Whether there is something to object to."""
        return self.site.audience is not None or bool(self.notice.objectable)

    def _counted(self, say: Words) -> Html | None:
        """What the policy page says of it, with the way to the switch."""
        if self.site.audience is None:
            return None
        panel = html('<a href="{p}panel#audience">{x}</a>', p=self.site.prefix, x=say("settings"))
        return html("<p>{x}</p>", x=say("object.policy", months=say.count("months", self.site.audience.months), panel=panel))

    def _objection(self, say: Words, said: str | None) -> Html | None:
        """The row; None where nothing is counted. ``said``: how the visitor objects (``view.objects``); None: not known yet.

        The hidden field tells an answer that shows the switch from one that does not: only the first can take an objection back.
        """
        if not self._measured:
            return None
        return html(
            '<section class="purpose" id="audience">{shown}<label class="row"><span><b>{title}</b></span>'
            '<input type="checkbox" role="switch" name="object" value="1" aria-label="{title}"{on}></label>{text}{signal}</section>',
            shown=hidden("object", "0"),
            title=say("object.title"),
            on=flag(said == "cookie", "checked"),
            text=self._stopped(say),
            signal=html('<p class="kinds"{w}>{x}</p>', w=when("dnt", said), x=say("object.dnt")) if said in ("dnt", None) else None,
        )

    def _stopped(self, say: Words) -> list[Html]:
        """What an objection stops."""
        texts = []
        if self.site.audience is not None:
            texts.append(say("object.text", months=say.count("months", self.site.audience.months)))
        if self.notice.measuring:
            texts.append(say("object.tools", services=say.listed(s.name for s in self.notice.measuring)))
        return [html("<p>{x}</p>", x=x) for x in texts or [say("object.site")]]

    def _switch(self, say: Words, said: str, back: str) -> Html | None:
        """The same as a form of its own, without script: it answers nothing else, and comes back to its section."""
        if not self._measured:
            return None
        if said == "dnt":
            return html('<p class="message">{x}</p>', x=say("object.dnt"))
        here = f"{self.site.prefix}policy?{query_of([('language', say.language), ('back', back)])}#audience"
        fields = [("notice", self.named), ("language", say.language), ("surface", "panel"), ("back", here), ("object", "0")]
        return html(
            '{done}<form method="post" action="{prefix}choice">{hidden}<p><button name="answer" value="object">{text}</button></p></form>',
            done=html('<p class="message" role="status">{x}</p>', x=say("object.done")) if said else None,
            prefix=self.site.prefix,
            hidden=[hidden(n, v) for n, v in (fields if said else [*fields, ("object", "1")])],
            text=say("object.undo" if said else "object.title"),
        )
