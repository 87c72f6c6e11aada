"""``{% load volens %}``: what stands in a page by the visitor's choice, a link to the panel, the place of a gate."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.base import FilterExpression, NodeList, Parser, Token
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from volens.django.configuration import opened
from volens.links import gate_markup, panel_url

register = template.Library()


class _ConsentNode(template.Node):
    """Shows ``given`` where all of the ids are allowed, else ``withheld``."""

    child_nodelists = ("given", "withheld")

    def __init__(self, ids: list[FilterExpression], given: NodeList, withheld: NodeList) -> None:
        self.ids, self.given, self.withheld = ids, given, withheld

    def render(self, context: Any) -> SafeString:
        """Without a request, or behind no middleware: nothing is granted."""
        consent = getattr(context.get("request"), "consent", None)
        shown = consent is not None and all([consent.allows(str(id.resolve(context))) for id in self.ids])
        return (self.given if shown else self.withheld).render(context)


@register.tag("consent")
def consent(parser: Parser, token: Token) -> _ConsentNode:
    """``{% consent "video" %}…{% else %}…{% endconsent %}``: purposes or services; of several, all."""
    name, *ids = token.split_contents()
    if not ids:
        raise template.TemplateSyntaxError(f'{{% {name} %}} names no purpose. Write {{% {name} "video" %}}.')
    given = parser.parse(("else", "endconsent"))
    withheld = NodeList()
    if parser.next_token().contents == "else":
        withheld = parser.parse(("endconsent",))
        parser.delete_first_token()
    return _ConsentNode([parser.compile_filter(id) for id in ids], given, withheld)


@register.simple_tag(takes_context=True)
def consent_panel(context: Any) -> str:
    """The panel's address, with the way back to this page: ``<a href="{% consent_panel %}">Your choices</a>``."""
    request = context.get("request")
    prefix: str = opened().loaded.site.prefix
    return format_html("{}", panel_url(prefix, request.get_full_path() if request is not None else ""))


@register.simple_tag
def consent_gate(path: str, id: str = "") -> str:
    """The place of a gate: ``{% consent_gate "/comments" id="write" %}``."""
    return mark_safe(gate_markup(path, id))
