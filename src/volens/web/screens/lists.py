"""What a notice declares, as panel and policy page list it: services, storage keys, exempt purposes."""

from __future__ import annotations

from collections.abc import Sequence

from volens.notice import Purpose, Service, StorageKey
from volens.policy import Grant
from volens.web.screens.page import Page
from volens.web.screens.words import Html, Words, commas, flag, html, lifetime, tag


class Lists(Page):
    """The parts that panel and policy page share."""

    def _service(self, service: Service, grant: Grant | None, say: Words, under: Purpose | None) -> Html:
        """One service, with a switch where it stands ``under`` a purpose that needs a choice."""
        also = [self._title(self.notice.purpose[p], say.language) for p in service.purposes if under and p != under.id]
        return html(
            '<li><{tag} class="row"><span><b>{name}</b>{new}{profiles}{who}</span>{switch}</{tag}>{also}{chain}<p>{policy}</p>{keys}</li>',
            tag="label" if under else "div",
            name=service.name,
            new=tag(say("panel.new")) if grant and service.id in grant.new else None,
            profiles=tag(say("panel.profiles")) if service.profiles else None,
            who=html(" <small>{x}</small>", x=", ".join(x for x in (service.controller, service.country) if x and x != service.name)),
            switch=html(
                '<input type="checkbox" role="switch" name="services" value="{id}" data-purposes="{purposes}" aria-label="{label}"{on}>',
                id=service.id,
                purposes=" ".join(p for p in service.purposes if p in self.notice.askable),
                label=say.attribute("panel.switch", title=service.name),
                on=flag(grant is not None and service.id in grant.services, "checked"),
            )
            if under
            else None,
            also=html('<p class="kinds">{x}</p>', x=say("panel.also", titles=commas(also))) if also else None,
            chain=html('<p class="kinds">{x}</p>', x=say("panel.chain")) if service.chain else None,
            policy=html(
                '<a href="{u}" target="_blank" rel="noopener">{x}<span class="sr"> ({n})</span></a>',
                u=service.policy_url,
                x=say("panel.theirs"),
                n=service.name,
            )
            if service.policy_url
            else None,
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

    def _exempt(self, say: Words) -> Html | None:
        exempt = [p for p in self.notice.purposes if p.exempt]
        asked = frozenset(self.notice.services_asked)
        if not exempt:
            return None
        return html(
            "<h2>{title}</h2><p>{text}</p>{all}",
            title=say("panel.always"),
            text=say("panel.always.text"),
            all=[
                html(
                    '<section class="purpose"><p><b>{title}</b></p><p>{sentence}</p><p class="kinds">{reason}</p>{kinds}'
                    "<ul>{services}</ul>{keys}</section>",
                    title=self._title(p, say.language),
                    sentence=self._text(p.sentence, say.language),
                    reason=say("panel.reason", reason=say(f"exempt.{p.exempt}")),
                    kinds=self._data(p, say),
                    services=[self._service(s, None, say, None) for s in self.notice.services if s not in asked and s.purposes[0] == p.id],
                    keys=self._keys([k for k in self.site.storage if k.purpose == p.id], say),
                )
                for p in exempt
            ],
        )

    def _own_keys(self, purpose: Purpose) -> list[StorageKey]:
        """What the site itself keeps for a purpose, without a service."""
        return [key for key in self.site.storage if key.purpose == purpose.id and not key.service]
