"""Where the visitor is stopped before something leaves: a gate, and a form that leads to a host not allowed (P4–P6)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from urllib.parse import urlsplit

from volens.notice import Purpose, Service
from volens.policy import Decision, Grant, Reason
from volens.site import Gate
from volens.web.screens.notice import BACK
from volens.web.screens.page import Page
from volens.web.screens.words import Html, Words, hidden, html, query_of

SECRET = re.compile(r"pass|pwd|secret|token|csrf|nonce|card|cvc|iban|^_", re.IGNORECASE)


class GateScreen(Page):
    """What was typed is shown, kept, and sent by the visitor's press only."""

    def gate(
        self,
        gate: Gate,
        decision: Decision,
        language: str,
        method: str,
        target: str,
        fields: Sequence[tuple[str, str]] = (),
        *,
        grant: Grant | None = None,
        back: str = "/",
        token: str = "",
        files_lost: bool = False,
    ) -> str:
        """403: what to allow and why, and what was typed, to be sent once allowed (P4–P6).

        What was typed is the form's body, nothing else; the answer stands in the query of each button's address. So a
        307 from ``choice`` to ``target`` makes the browser send the very same body again, now with the grant's cookies.
        A GET has no body to keep: its buttons are ordinary answers that come back to ``target`` by 303.
        """
        say = self._say(language)
        purpose = self.notice.purpose.get(decision.purpose) or self.notice.purpose[gate.purpose]
        title = self._title(purpose, say.language)
        sends = method not in ("GET", "HEAD")
        services = self._acting(gate, purpose)
        common = [("notice", self.named), ("surface", "gate"), ("language", say.language), ("back", target)]
        common += ([("sends", "1")] if sends else []) + ([("token", token)] if token else [])
        just = [("answer", "switches"), *self._just(purpose, grant)]
        buttons = [
            html(
                '<button formaction="{prefix}choice?{query}">{text}</button>',
                prefix=self.site.prefix,
                query=query_of(common + pairs),
                text=text,
            )
            for pairs, text in (
                (just, say("gate.allow.send" if sends else "gate.allow", purpose=title)),
                ([("answer", "accept")], say("gate.accept.send" if sends else "accept")),
            )
            if decision.reason is not Reason.LOCKED
        ]
        named = self._text(gate.title, say.language)
        main = html(
            '<div class="top"><h1>{title}</h1></div><div class="body">{safe}<p>{text}</p>{minor}<p>{sentence}</p>{services}'
            '<form method="post" action="{prefix}choice?{query}">{kept}<div class="ways">{buttons}'
            '<a class="button" href="{prefix}panel?{panel}">{settings}</a><a class="button" href="{back}">{back_text}</a></div>'
            "</form></div>",
            title=say("gate.title"),
            safe=html('<p class="lead">{x}</p>', x=say("gate.kept")) if sends and fields else None,
            text=say("gate.named", title=named, purpose=title) if named else say("gate.text", purpose=title),
            sentence=self._text(purpose.sentence, say.language),
            minor=html('<p class="message">{x}</p>', x=say("minor.told")) if decision.reason is Reason.LOCKED else None,
            services=html("<p>{x}</p>", x=say("gate.services", services=say.listed(s.name for s in services))) if services else None,
            prefix=self.site.prefix,
            query=query_of(common + just),
            kept=self._kept(gate, fields, say, files_lost) if sends else None,
            buttons=buttons,
            panel=query_of([("language", say.language), ("back", back if sends else target)]),
            settings=say("settings"),
            back=back,
            back_text=say("gate.back"),
        )
        return self._page(say, say("gate.title"), main)

    def area(self, gate: Gate, decision: Decision, grant: Grant, language: str, fragment: str = "", *, framed: bool = False) -> str:
        """What stands in the site's page where a closed gate's form would be of no use: what is withheld, why, and three ways to
        change it. A form as the notice's: without script its buttons answer and come back to ``fragment`` of the page.

        ``framed``: as in ``dress``, no answer is taken inside another site's frame."""
        say = self._say(language)
        purpose = self.notice.purpose.get(decision.purpose) or self.notice.purpose[gate.purpose]
        title = self._title(purpose, say.language)
        fields = [("notice", self.named), ("surface", "gate"), ("language", say.language), *self._just(purpose, grant)]
        ways = (("switches", say("gate.allow", purpose=title)), ("accept", say("accept")), ("settings", say("settings")))
        to_panel = html(' formaction="{prefix}panel" formmethod="get"', prefix=self.site.prefix)
        back = Html(BACK + (escape("#" + fragment) if fragment else ""))
        offered = bool(gate.withdrawn) and grant.answered
        form = html(
            '<form class="g" {way} method="post" action="{prefix}choice"{target} aria-labelledby="volens-gate">{hidden}'
            '<div><p id="volens-gate"><b>{title}</b></p><p>{text}</p><p>{data}</p>{offer}</div><div id="y">{buttons}</div></form>',
            way=say.way,
            prefix=self.site.prefix,
            target=Html(' target="_blank"') if framed else None,
            hidden=[*(hidden(n, v) for n, v in fields), hidden("back", back)],
            title=say("area.title" if not gate.methods or "GET" in gate.methods else "area.write"),
            text=say("area.text", purpose=title, services=say.listed(s.name for s in self._acting(gate, purpose))),
            data=html("<b>{t}.</b> {a} {b}", t=title, a=self._text(purpose.sentence, say.language), b=self._reached(purpose, say)),
            offer=html('<p><a href="{u}">{x}</a></p>', x=say("area.erase"), u=gate.withdrawn) if offered else None,
            buttons=[
                html(
                    '<button name="answer" value="{value}"{form}>{text}</button>',
                    value=value,
                    form=to_panel if value == "settings" else None,
                    text=text,
                )
                for value, text in ways
                if value == "settings" or not (framed or decision.reason is Reason.LOCKED)
            ],
        )
        return html(
            '<template shadowrootmode="open"><style>{style}</style>{form}</template>{plain}',
            style=Html(self.style),
            form=form,
            plain=Html(re.sub(r' (?:id|aria-labelledby)="[^"]*"', "", form)),
        )

    def _reached(self, purpose: Purpose, say: Words) -> Html | None:
        return say("ask.data", kinds=say.listed(self._kinds([purpose], say))) if purpose.data_kinds else None

    def _acting(self, gate: Gate, purpose: Purpose) -> list[Service]:
        """The services that justify a gate, else all of its purpose."""
        asked = self.notice.services_asked
        return [s for s in asked if s.id in gate.services] or [s for s in asked if purpose.id in s.purposes]

    def _just(self, purpose: Purpose, grant: Grant | None) -> list[tuple[str, str]]:
        """The switches that open a gate and leave everything else as it is."""
        purposes = (grant.purposes if grant else frozenset()) | {purpose.id}
        services = {
            s.id
            for s in self.notice.services_asked
            if (grant and s.id in grant.services) or purposes.issuperset(set(s.purposes).intersection(self.notice.askable))
        }
        return [*(("purposes", p) for p in sorted(purposes)), *(("services", s) for s in sorted(services))]

    def _kept(self, gate: Gate, fields: Sequence[tuple[str, str]], say: Words, files_lost: bool) -> Html:
        """What was typed, to be read and to be sent. Of a gate that names its fields those are shown, under these names; else all
        but what looks like a secret: a request doesn't say which of its fields were hidden."""
        shown = [(n, v) for n, v in fields if v.strip() and (n in gate.fields if gate.fields else not SECRET.search(n))]
        return html(
            "{shown}{files}{hidden}",
            shown=[
                html("<p><b>{n}</b></p><blockquote>{v}</blockquote>", n=self._text(gate.fields.get(n, {}), say.language) or n, v=v)
                for n, v in shown
            ],
            files=html('<p class="message">{x}</p>', x=say("gate.files")) if files_lost else None,
            hidden=[hidden(n, v) for n, v in fields],
        )

    def leaving(self, url: str, language: str, method: str, fields: Sequence[tuple[str, str]], back: str) -> str:
        """A form of the site's page that would send to a host not allowed: whom it reaches, and sent by the visitor's press only."""
        say = self._say(language)
        host = urlsplit(url).hostname or url
        main = html(
            '<div class="top"><h1>{title}</h1></div><div class="body"><p>{text}</p>{kept}<form method="{method}" action="{url}">{hidden}'
            '<div class="ways"><button>{send}</button><a class="button" href="{back}">{back_text}</a></div></form></div>',
            title=say("leaving.title", host=host),
            text=say("leaving.text", host=host),
            kept=[html("<blockquote>{v}</blockquote>", v=v) for n, v in fields if v.strip() and not SECRET.search(n)],
            method=method,
            url=url,
            hidden=[hidden(n, v) for n, v in fields],
            send=say("leaving.send", host=host),
            back=back,
            back_text=say("problem.back"),
        )
        return self._page(say, say("leaving.title", host=host), main)
