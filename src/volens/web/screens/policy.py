"""*Politique de confidentialité*, for a site that has no page of its own (P13)."""

from __future__ import annotations

from urllib.parse import quote

from volens.notice import Purpose
from volens.policy import Grant
from volens.web.screens.address import address_told
from volens.web.screens.lists import Lists
from volens.web.screens.mine import MyChoice
from volens.web.screens.words import Html, Words, html


class PolicyScreen(Lists, MyChoice):
    """The policy page."""

    def policy(self, grant: Grant, language: str, back: str = "/", *, choice_text: str = "", record_id: str = "") -> str:
        """*Politique de confidentialité*, for a site that has no page of its own."""
        say = self._say(language)
        notice, c = self.notice, self.notice.controller
        link = html(
            '<a href="{u}">{t}</a>', u=f"mailto:{c.contact}" if "@" in c.contact and "/" not in c.contact else c.contact, t=c.contact
        )
        lines = [(say("policy.contact"), link), (say("policy.address"), c.address), (say("policy.dpo"), c.dpo)]
        main = html(
            '<div class="top"><h1>{title}</h1><a class="x" href="{back}" aria-label="{close}"><span aria-hidden="true">✕</span></a>'
            '</div><div class="body">'
            "<h2>{who}</h2><p>{who_text}</p><dl>{lines}</dl><h2>{why}</h2><p>{why_text}</p>{purposes}{exempt}"
            '<h2>{proof}</h2><p>{proof_text}</p>{mine}<p><a class="button" href="{prefix}panel?{query}">{change}</a></p>'
            "<h2>{ip}</h2><p>{ip_text}</p><h2>{rights}</h2><p>{rights_text}</p></div>",
            title=say("policy"),
            back=back,
            close=say.attribute("problem.back"),
            who=say("policy.who"),
            who_text=say("policy.who.text", controller=c.name, scope=self._scope(say)),
            lines=[html("<div><dt>{a}</dt><dd>{b}</dd></div>", a=a, b=b) for a, b in lines if b],
            why=say("policy.why"),
            why_text=say("policy.why.text"),
            purposes=[self._described(notice.purpose[p], say) for p in notice.askable],
            exempt=self._exempt(say),
            proof=say("policy.proof"),
            proof_text=say("policy.proof.text"),
            mine=self._mine(grant, say, choice_text, record_id),
            prefix=self.site.prefix,
            query=html("language={l}&amp;back={b}", l=say.language, b=quote(back, safe="/")),
            change=say("policy.change"),
            ip=say("policy.ip"),
            ip_text=Html(" ".join(address_told(self.site, say, self._title))),
            rights=say("policy.rights"),
            rights_text=say("policy.rights.text", contact=link),
        )
        return self._page(say, say("policy"), main, script="panel")

    def _described(self, purpose: Purpose, say: Words) -> Html:
        services = [s for s in self.notice.services_asked if purpose.id in s.purposes]
        return html(
            '<section class="purpose"><p><b>{title}</b></p><p>{sentence}</p>{kinds}{keys}<ul>{services}</ul></section>',
            title=self._title(purpose, say.language),
            sentence=self._text(purpose.sentence, say.language),
            kinds=self._data(purpose, say),
            services=[self._service(s, None, say, None) for s in services],
            keys=self._keys(self._own_keys(purpose), say),
        )
