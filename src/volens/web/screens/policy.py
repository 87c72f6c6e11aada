"""*Politique de confidentialité*, made from what the site declares (P11, P13; GDPR 13; R11, R17, R28, R42).

A list of sections, each a method that says the same to a reader (``body``) and to a program (``data``). Another one is another
method, named in ``_SECTIONS``; one that has nothing to say for this site gives None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from volens import countries
from volens.choice import expires
from volens.notice import Purpose, Service, StorageKey
from volens.policy import Grant
from volens.web.screens.address import address_told
from volens.web.screens.lists import Lists
from volens.web.screens.mine import MyChoice
from volens.web.screens.objection import Objection
from volens.web.screens.prose import prose
from volens.web.screens.words import Html, Words, html, lifetime, tag


@dataclass(frozen=True, slots=True)
class Section:
    """One part that can be linked to: ``policy#id``, and ``id`` in the JSON twin."""

    id: str
    title: Html
    body: Html
    data: Any


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: what is granted, in which words, and where the page was opened from."""

    grant: Grant
    say: Words
    back: str = "/"
    record_id: str = field(default="", repr=False)
    objects: str = ""
    """How the reader objects to being counted (``view.objects``)."""


class PolicyScreen(Lists, MyChoice, Objection):
    """The policy page and its JSON twin."""

    _SECTIONS: ClassVar[tuple[str, ...]] = (
        "you",
        "controller",
        "purposes",
        "exempt",
        "services",
        "storage",
        "audience",
        "ip",
        "proof",
        "theirs",
        "rights",
    )

    def policy(self, grant: Grant, language: str, back: str = "/", *, choice_text: str = "", record_id: str = "", objects: str = "") -> str:
        """The page. ``choice_text`` is for callers that hand both screens the same: it is shown on the page of rights."""
        reader = Reader(grant, self._say(language), back, record_id, objects)
        say = reader.say
        sections = self._sections(reader)
        around = [prose(self._text(text, say.language)) if text else None for text in (self.site.policy_before, self.site.policy_after)]
        before, after = (html('<div class="own">{x}</div>', x=x[0]) if x else None for x in around)
        links = [
            *(around[0][1] if around[0] else ()),
            *((s.id, s.title) for s in sections),
            *(around[1][1] if around[1] else ()),
        ]
        main = html(
            '<div class="top"><p>{site}</p><a class="x" href="{back}" aria-label="{close}"><span aria-hidden="true">✕</span></a></div>'
            '<div class="page"><header><h1>{title}</h1><p class="lead">{lead}</p></header>'
            '<nav aria-labelledby="contents"><p id="contents">{contents}</p><ol>{links}</ol></nav>'
            "<article>{before}{sections}{after}<footer>{version}</footer></article></div>",
            site=self.notice.controller.name,
            back=back,
            close=say.attribute("problem.back"),
            title=say("policy"),
            lead=say("policy.lead", controller=self.notice.controller.name, scope=self._scope(say)),
            contents=say("policy.contents"),
            links=[html('<li><a href="#{id}">{title}</a></li>', id=id, title=title) for id, title in links],
            before=before,
            sections=[html('<section id="{id}"><h2>{title}</h2>{body}</section>', id=s.id, title=s.title, body=s.body) for s in sections],
            after=after,
            version=html(
                '{a} <code>{d}</code> · <a href="{p}policy.json?language={l}">{json}</a>',
                a=say("policy.version"),
                d=self.notice.short,
                p=self.site.prefix,
                l=say.language,
                json=say("policy.json"),
            ),
        )
        return self._page(say, say("policy"), main, script="panel", kind="policy")

    def policy_json(self, grant: Grant, language: str, *, record_id: str = "", objects: bool = False) -> dict[str, Any]:
        """The same for a program, section by section."""
        reader = Reader(grant, self._say(language), "/", record_id, "cookie" if objects else "")
        own = {"before": self.site.policy_before, "after": self.site.policy_after}
        return {
            "format": "volens-policy/1",
            "site": self.site.name,
            "notice": self.notice.digest,
            "language": reader.say.language,
            "languages": list(self._words),
            "policy": self.policy_url,
            **{name: self._text(text, reader.say.language) for name, text in own.items() if text},
            **{section.id: section.data for section in self._sections(reader)},
        }

    def _sections(self, reader: Reader) -> list[Section]:
        made = (getattr(self, f"_section_{name}")(reader) for name in self._SECTIONS)
        return [section for section in made if section is not None]

    # What applies to who reads

    def _section_you(self, reader: Reader) -> Section:
        grant, say = reader.grant, reader.say
        signal = "panel.gpc" if grant.gpc else "panel.gpc.over" if grant.overrides_gpc else ""
        answered = grant.answered and grant.day is not None
        body = html(
            "<p>{when}</p>{now}{gpc}{record}"
            '<p><a class="button" href="{panel}">{change}</a><a class="button" href="{rights}">{see}</a></p>',
            when=self._when(grant, say),
            now=self._now(grant, say),
            gpc=html('<p class="message">{x}</p>', x=say(signal)) if signal else None,
            record=html("<p>{a} <code>{b}</code></p>", a=say("choice.record"), b=reader.record_id) if reader.record_id else None,
            panel=self._link("panel", say, reader.back),
            change=say("policy.change"),
            rights=self._link("rights", say, reader.back),
            see=say("rights.see"),
        )
        data = {
            "answered": grant.answered,
            "day": grant.day.isoformat() if answered and grant.day else None,
            "until": expires(grant.day, self.notice.months).isoformat() if answered and grant.day else None,
            "storage": dict(zip(("allowed", "of"), grant.storage_share, strict=True)),
            "profiles": dict(zip(("allowed", "of"), grant.profiles_share, strict=True)),
            "purposes": {p: self._share(p, grant) for p in self.notice.askable},
            "services": {s.id: s.id in grant.services for s in self.notice.services_asked},
            "gpc": grant.gpc or grant.overrides_gpc,
            "record": reader.record_id or None,
        }
        return Section("you", say("policy.you"), body, data)

    # Who decides, why, with whom, what is kept

    def _section_controller(self, reader: Reader) -> Section:
        say, c = reader.say, self.notice.controller
        country = countries.name(c.country, say.language) if c.country else ""
        lines = [
            (say("policy.contact"), self._contact()),
            (say("policy.address"), ", ".join(x for x in (c.address, country) if x)),
            (say("policy.dpo"), c.dpo),
        ]
        body = html(
            '<p>{text}</p><dl class="lines">{lines}</dl>',
            text=say("policy.who.text", controller=c.name, scope=self._scope(say)),
            lines=[html("<div><dt>{a}</dt><dd>{b}</dd></div>", a=a, b=b) for a, b in lines if b],
        )
        data = {
            "name": c.name,
            "contact": c.contact,
            "address": c.address,
            "dpo": c.dpo,
            "country": c.country,
            "sites": list(self.notice.scope or (self.site.name,)),
        }
        return Section("controller", say("policy.who"), body, data)

    def _section_purposes(self, reader: Reader) -> Section | None:
        say = reader.say
        asked = [self.notice.purpose[p] for p in self.notice.askable]
        if not asked:
            return None
        body = html("<p>{x}</p>{all}", x=say("policy.why.text"), all=[self._described(p, say) for p in asked])
        return Section("purposes", say("policy.why"), body, [self._purpose_data(p, say) for p in asked])

    def _section_exempt(self, reader: Reader) -> Section | None:
        say = reader.say
        exempt = [p for p in self.notice.purposes if p.exempt]
        if not exempt:
            return None
        body = html("<p>{x}</p>{all}", x=say("panel.always.text"), all=[self._described(p, say) for p in exempt])
        return Section("exempt", say("panel.always"), body, [self._purpose_data(p, say) for p in exempt])

    def _described(self, purpose: Purpose, say: Words) -> Html:
        services = [s for s in self.notice.services if purpose.id in s.purposes]
        kinds = [say(f"kind.{kind}") for kind in purpose.data_kinds]
        return html(
            '<section class="item" id="purpose-{id}"><h3>{title}{profiles}</h3><p>{sentence}</p>{reason}'
            '<dl class="lines">{lines}</dl></section>',
            id=purpose.id,
            title=self._title(purpose, say.language),
            profiles=tag(say("panel.profiles")) if purpose.profiles else None,
            sentence=self._text(purpose.sentence, say.language),
            reason=html("<p>{x}</p>", x=say("panel.reason", reason=say(f"exempt.{purpose.exempt}"))) if purpose.exempt else None,
            lines=[
                html("<div><dt>{a}</dt><dd>{b}</dd></div>", a=a, b=b)
                for a, b in (
                    (say("panel.data"), html("{x}", x=[html('<span class="line">{k}</span>', k=k) for k in kinds])),
                    (
                        say("panel.services"),
                        say.listed(html('<a href="#service-{id}">{n}</a>', id=s.id, n=s.name) for s in services)
                        or say("panel.no.services", controller=self.notice.controller.name),
                    ),
                )
                if b
            ],
        )

    def _purpose_data(self, purpose: Purpose, say: Words) -> dict[str, Any]:
        return {
            "id": purpose.id,
            "title": self._title(purpose, say.language),
            "sentence": self._text(purpose.sentence, say.language),
            "exempt": purpose.exempt or None,
            "data_kinds": list(purpose.data_kinds),
            "profiles": purpose.profiles,
            "services": [s.id for s in self.notice.services if purpose.id in s.purposes],
        }

    def _section_services(self, reader: Reader) -> Section | None:
        say = reader.say
        if not self.notice.services:
            return None
        body = html("<p>{x}</p>{all}", x=say("policy.services.text"), all=[self._named(s, say) for s in self.notice.services])
        data = [
            {
                "id": s.id,
                "name": s.name,
                "controller": s.controller,
                "country": s.country,
                "outside_eea": bool(s.country) and not countries.in_eea(s.country),
                "policy": s.policy_url,
                "purposes": list(s.purposes),
                "profiles": s.profiles,
                "chain": s.chain,
                "hosts": list(s.hosts),
            }
            for s in self.notice.services
        ]
        return Section("services", say("panel.services"), body, data)

    def _named(self, service: Service, say: Words) -> Html:
        outside = bool(service.country) and not countries.in_eea(service.country)
        lines = [
            (say("policy.company"), service.controller),
            (
                say("policy.country"),
                html(
                    "{a}{b}",
                    a=countries.name(service.country, say.language),
                    b=html(" ({x})", x=say("policy.outside")) if outside else None,
                )
                if service.country
                else None,
            ),
            (
                say("policy.for"),
                say.listed(
                    html('<a href="#purpose-{id}">{t}</a>', id=p, t=self._title(self.notice.purpose[p], say.language))
                    for p in service.purposes
                ),
            ),
            (say("policy.hosts"), html("{x}", x=[html("<code>{h}</code> ", h=h) for h in service.hosts]) if service.hosts else None),
        ]
        return html(
            '<section class="item" id="service-{id}"><h3>{name}{profiles}</h3>{chain}<dl class="lines">{lines}</dl>{link}</section>',
            id=service.id,
            name=service.name,
            profiles=tag(say("panel.profiles")) if service.profiles else None,
            chain=html("<p>{x}</p>", x=say("panel.chain")) if service.chain else None,
            lines=[html("<div><dt>{a}</dt><dd>{b}</dd></div>", a=a, b=b) for a, b in lines if b],
            link=html("<p>{x}</p>", x=link) if (link := self._theirs(service, say)) else None,
        )

    def _section_storage(self, reader: Reader) -> Section:
        say = reader.say
        site = self.notice.controller.name
        groups: list[tuple[str, tuple[StorageKey, ...]]] = [(site, (*self.site.storage, *self.own_storage))]
        groups += [(s.name, s.storage) for s in self.notice.services]
        body = html(
            "<p>{x}</p>{groups}<p>{more}</p>",
            x=say("policy.storage.text"),
            groups=[self._kept_by(who, keys, say) for who, keys in groups if keys],
            more=say("policy.storage.catalog" if self.site.catalog_storage else "policy.storage.server"),
        )
        data = [
            {
                "name": k.name,
                "medium": k.medium,
                "party": k.party,
                "by": who,
                "days": k.days,
                "purpose": k.purpose,
            }
            for who, keys in groups
            for k in keys
        ]
        return Section("storage", say("policy.storage"), body, data)

    def _kept_by(self, who: str, keys: tuple[StorageKey, ...], say: Words) -> Html:
        heads = ("panel.keep.name", "panel.keep.where", "panel.keep.days", "policy.for")
        return html(
            '<table class="keys"><caption>{who}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>',
            who=who,
            heads=[html('<th scope="col">{x}</th>', x=say(h)) for h in heads],
            rows=[
                html(
                    "<tr><td><code>{n}</code></td><td>{w}, {p}</td><td>{d}</td><td>{f}</td></tr>",
                    n=k.name,
                    w=say(f"medium.{k.medium}"),
                    p=say(f"party.{'first' if k.party == 'first' else 'third'}"),
                    d=lifetime(k.days, say),
                    f=self._title(self.notice.purpose[k.purpose], say.language) if k.purpose in self.notice.purpose else k.purpose,
                )
                for k in keys
            ],
        )

    def _section_audience(self, reader: Reader) -> Section | None:
        """What exempt measurement does, and how to object (R25-R29)."""
        say = reader.say
        exempt = [p for p in self.notice.purposes if p.exempt == "audience"]
        if not exempt and self.site.audience is None:
            return None
        ids = {p.id for p in exempt}
        tools = [s for s in self.notice.services if ids.intersection(s.purposes)]
        body = html(
            "<p>{text}</p>{tools}{own}{stopped}{switch}<p>{object}</p>",
            text=say("policy.audience.text"),
            own=self._counted(say),
            tools=html("<p>{x}</p>", x=say("policy.audience.tools", services=say.listed(s.name for s in tools))) if tools else None,
            # Of the own count ``own`` has said it.
            stopped=self._stopped(say) if self.site.audience is None else self._stopped(say)[1:],
            switch=self._switch(say, reader.objects, reader.back),
            object=say("policy.audience.object", contact=self._contact()),
        )
        data = {
            "purposes": sorted(ids),
            "services": [s.id for s in tools],
            "object": self.notice.controller.contact,
            "objects": bool(reader.objects),
        }
        return Section("audience", say("policy.audience"), body, data)

    def _section_ip(self, reader: Reader) -> Section:
        rule = self.site.address
        body = html("<p>{x}</p>", x=Html(" ".join(address_told(self.site, reader.say, self._title))))
        data = {"granted": rule.granted, "refused": rule.refused, "purposes": list(rule.purposes), "now": rule.level(reader.grant)}
        return Section("ip", reader.say("policy.ip"), body, data)

    # Proof and rights

    def _section_proof(self, reader: Reader) -> Section:
        say = reader.say
        body = html(
            "<p>{a}</p>{account}<p>{b} {each}{only}</p>",
            a=say("policy.proof.text"),
            account=html("<p>{x}</p>", x=say("policy.account")) if self.site.accounts else None,
            # Our cookies name no domain: they are of one host, whatever else the notice speaks for (R42).
            each=html("{x} ", x=say("policy.scope.each")) if len(self.notice.scope) > 1 else None,
            only=say("policy.scope"),
            b=say("panel.valid", months=say.count("months", self.notice.months), scope=self._scope(say)),
        )
        return Section(
            "proof",
            say("policy.proof"),
            body,
            {"months": self.notice.months, "refusals": "counted", "grants": "recorded", "accounts": self.site.accounts},
        )

    def _section_theirs(self, reader: Reader) -> Section | None:
        """Who asks in our place, what its words mean here, and what our record then proves."""
        say, theirs = reader.say, self.site.theirs
        if theirs is None:
            return None
        named = {**{p.id: self._title(p, say.language) for p in self.notice.purposes}, **{s.id: s.name for s in self.notice.services}}
        body = html(
            '<p>{a}</p><ul class="dots">{map}</ul><p>{b}</p>',
            a=say("policy.theirs.text", tool=theirs.tool.name),
            map=[
                html("<li><code>{word}</code> → {ids}</li>", word=word, ids=say.listed(named[id] for id in ids))
                for word, ids in theirs.map.items()
            ],
            b=say("policy.theirs.proof", tool=theirs.tool.name),
        )
        data = {"tool": theirs.tool.id, "name": theirs.tool.name, "map": {word: list(ids) for word, ids in theirs.map.items()}}
        return Section("theirs", say("policy.theirs"), body, data)

    def _section_rights(self, reader: Reader) -> Section:
        say, back = reader.say, reader.back
        country = self.notice.controller.country
        known = countries.authorities().get(country)
        ways = [
            ("panel", "policy.change", "rights.way.change"),
            ("rights", "rights.see", "rights.way.see"),
            ("forget", "forget.title", "rights.way.forget"),
        ]
        body = html(
            '<ul class="dots">{ways}<li>{others}</li><li>{complaint}</li></ul>',
            ways=[html('<li><a href="{u}">{t}</a> {x}</li>', u=self._link(n, say, back), t=say(t), x=say(x)) for n, t, x in ways],
            others=say("rights.others.text", contact=self._contact()),
            complaint=self._complaint(say),
        )
        data = {
            "change": self.site.prefix + "panel",
            "see": self.site.prefix + "rights",
            "download": self.site.prefix + "choice.json",
            "forget": self.site.prefix + "forget",
            "contact": self.notice.controller.contact,
            "authority": {
                "country": country or None,
                "name": known.name if known else None,
                "url": known.url if known else countries.MEMBERS,
                "home": known.home if known else countries.MEMBERS,
            },
        }
        return Section("rights", say("policy.rights"), body, data)
