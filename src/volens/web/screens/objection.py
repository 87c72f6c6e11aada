"""The objection to being counted (RULES R28): a switch in the panel, off until the visitor turns it, saved by every answer there."""

from __future__ import annotations

from volens.web.screens.page import Page
from volens.web.screens.words import Html, Words, flag, hidden, html


class Objection(Page):
    """What the panel says of the site's own count of page views."""

    def _counted(self, say: Words) -> Html | None:
        """What the policy page says of it, with the way to the switch."""
        if self.site.audience is None:
            return None
        panel = html('<a href="{p}panel#audience">{x}</a>', p=self.site.prefix, x=say("settings"))
        return html("<p>{x}</p>", x=say("object.policy", months=say.count("months", self.site.audience.months), panel=panel))

    def _objection(self, say: Words, said: str) -> Html | None:
        """The row; None where nothing is counted. ``said``: how the visitor objects (``view.objects``).

        The hidden field tells an answer that shows the switch from one that does not: only the first can take an objection back.
        """
        if self.site.audience is None:
            return None
        return html(
            '<section class="purpose" id="audience">{shown}<label class="row"><span><b>{title}</b></span>'
            '<input type="checkbox" role="switch" name="object" value="1" aria-label="{title}"{on}></label><p>{text}</p>{signal}</section>',
            shown=hidden("object", "0"),
            title=say("object.title"),
            on=flag(said == "cookie", "checked"),
            text=say("object.text", months=say.count("months", self.site.audience.months)),
            signal=html('<p class="kinds">{x}</p>', x=say("object.dnt")) if said == "dnt" else None,
        )
