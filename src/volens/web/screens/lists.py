"""What a notice declares, as panel and policy page list it: services, storage keys, exempt purposes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from volens import countries
from volens.audience.view import OBJECTION, OBJECTION_DAYS
from volens.choice import ACCOUNT, ACCOUNT_NO, AGE, GRANT_COOKIE, HOST_ONLY, RECORD_COOKIE
from volens.notice import Purpose, Service, StorageKey
from volens.policy import Grant
from volens.web.screens.page import Page
from volens.web.screens.words import Html, Words, flag, html, lifetime, tag


class Lists(Page):
    """The parts that panel and policy page share."""

    @cached_property
    def own_storage(self) -> tuple[StorageKey, ...]:
        """What Volens itself keeps: the choice, its proof after a grant, what a shared cache goes by, where the visitor was while a page is
        made again, an objection, for one session that the site calls the visitor a minor, or whose account's choice applies."""
        days = round(self.notice.months * 30.44)
        named = {key.name for key in self.site.storage_declared}
        exempt = {p.exempt: p.id for p in reversed(self.notice.purposes) if p.exempt}
        purpose = exempt.get("choice") or next((p.id for p in self.notice.purposes if p.exempt), "technique")
        own = [("volens", "cookie", days), (HOST_ONLY + RECORD_COOKIE, "cookie", days), ("volens-keep", "session", 0)]
        if self.site.shared_answers:
            own.append((HOST_ONLY + GRANT_COOKIE, "cookie", days))
        if self.site.audience is not None or self.notice.objectable:
            own.append((OBJECTION, "cookie", OBJECTION_DAYS))
        if self.site.accounts:
            own += [(HOST_ONLY + ACCOUNT, "cookie", 0), (HOST_ONLY + ACCOUNT_NO, "cookie", 0)]
        if self.site.told_age:
            own.append((AGE, "cookie", 0))
        return tuple(StorageKey(name, medium, purpose, days=days_) for name, medium, days_ in own if name not in named)

    def _own_keys(self, purpose: Purpose) -> list[StorageKey]:
        """What the site itself keeps for a purpose, without a service."""
        return [key for key in (*self.site.storage, *self.own_storage) if key.purpose == purpose.id and not key.service]

    def _who(self, service: Service, say: Words) -> str:
        """Company and country, where they say more than the service's name."""
        parts = (service.controller, countries.name(service.country, say.language))
        return " · ".join(f"\u2068{x}\u2069" if say.own.direction == "rtl" else x for x in parts if x and x != service.name)

    def _theirs(self, service: Service, say: Words) -> Html | None:
        if not service.policy_url:
            return None
        return html(
            '<a href="{u}" target="_blank" rel="noopener">{x}<span class="sr"> ({n})</span></a>',
            u=service.policy_url,
            x=say("panel.theirs"),
            n=service.name,
        )

    def _service(self, service: Service, grant: Grant | None, say: Words, under: Purpose | None) -> Html:
        """One service, with a switch where it stands ``under`` a purpose that needs a choice."""
        also = [self._title(self.notice.purpose[p], say.language) for p in service.purposes if under and p != under.id]
        return html(
            '<li><{tag} class="row"><span><b>{name}</b>{new}{profiles}{who}</span>{switch}</{tag}>{also}{chain}<p>{policy}</p>{keys}</li>',
            tag="label" if under else "div",
            name=service.name,
            new=tag(say("panel.new"), "new") if grant and service.id in grant.new else None,
            profiles=[
                tag(say("panel.profiles")) if service.profiles else None,
                tag(say("minor.locked")) if grant and service.id in grant.locked else None,
            ],
            who=html(" <small>{x}</small>", x=self._who(service, say)),
            switch=html(
                '<input type="checkbox" role="switch" name="services" value="{id}" data-purposes="{purposes}"{profile} '
                'aria-label="{label}"{on}{off}>',
                id=service.id,
                purposes=" ".join(p for p in service.purposes if p in self.notice.askable),
                label=say.attribute("panel.switch", title=service.name),
                profile=flag(service.profiles, "data-profiles"),
                on=flag(grant is not None and service.id in grant.services, "checked"),
                off=flag(grant is not None and service.id in grant.locked, "disabled"),
            )
            if under
            else None,
            also=html('<p class="kinds">{x}</p>', x=say("panel.also", titles=say.listed(also))) if also else None,
            chain=html('<p class="kinds">{x}</p>', x=say("panel.chain")) if service.chain else None,
            policy=self._theirs(service, say),
            keys=self._keys(service.storage, say),
        )

    def _keys(self, keys: Sequence[StorageKey], say: Words) -> Html | None:
        if not keys:
            return None
        return html(
            '<details><summary>{title}</summary><table><thead><tr><th scope="col">{name}</th><th scope="col">{where}</th>'
            '<th scope="col">{days}</th></tr></thead><tbody>{rows}</tbody></table></details>',
            title=say("panel.keeps", n=len(keys)),
            name=say("panel.keep.name"),
            where=say("panel.keep.where"),
            days=say("panel.keep.days"),
            rows=[
                html(
                    "<tr><td><code>{n}</code></td><td>{w}</td><td>{d}</td></tr>",
                    n=k.name,
                    w=say(f"medium.{k.medium}"),
                    d=lifetime(k.days, say),
                )
                for k in keys
            ],
        )
