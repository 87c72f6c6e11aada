"""What the policy page says of the visitor's IP address: what the site is given of it, and by which purpose or for what reason."""

from __future__ import annotations

from collections.abc import Callable

from volens.notice import Purpose
from volens.site import Site
from volens.web.screens.words import Html, Words


def address_told(site: Site, say: Words, title: Callable[[Purpose, str], str]) -> list[Html]:
    """The sentences, under the heading ``policy.ip``. ``title``: a purpose's title in a language."""
    rule, asked = site.address, site.notice.askable
    if rule.security:
        return [say("policy.ip.security", reason=rule.security.get(say.language) or next(iter(rule.security.values())))]
    sentences = [say(f"policy.ip.{rule.refused}")]
    purposes = [title(site.notice.purpose[p], say.language) for p in rule.purposes if p in asked]
    if purposes and rule.granted != rule.refused:
        named = say.listed(say("quote", text=t) for t in purposes)
        sentences.append(say(f"policy.ip.granted.{rule.granted}", purposes=named))
    return sentences
