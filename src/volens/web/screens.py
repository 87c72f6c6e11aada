"""What a visitor sees of Volens: notice, band, panel, policy page, placeholder, gate page, messages (DESIGN §2, §5).

Everything is text in, markup out: no request, no clock. Markup is written with ``html()``, which escapes whatever isn't
``Html`` already; a template engine would be one more dependency for eight short pages. What goes into a site's own pages
(``dress``) is made once per language and grant and then looked up. No markup here carries a style or an event attribute,
so two hashes (of ``style`` and ``page_style``) are all a Content-Security-Policy needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from volens.choice import expires
from volens.errors import NoticeError
from volens.notice import DATA_KINDS, Notice, Purpose, Service, StorageKey, Text
from volens.policy import Decision, Grant
from volens.site import Gate, Site, Theme

if TYPE_CHECKING:
    from datetime import date

    from volens.catalog import Entry

BACK = "__volens_back__"
"""Stands in ``Dress.body`` where the page's own path goes, escaped for a double-quoted attribute."""

RTL = frozenset({"ar", "fa", "he", "ur"})


class Html(str):
    """Markup. Every other string is escaped before it becomes part of one."""

    __slots__ = ()


def html(template: str, /, **values: object) -> Html:
    """``template`` with each ``{name}`` replaced: ``Html`` as it is, lists of it joined, None as nothing, the rest escaped."""
    return Html(template.format_map({name: _safe(value) for name, value in values.items()}))


def _safe(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Html):
        return value
    if isinstance(value, (list, tuple)):
        return "".join(_safe(item) for item in value)
    return escape(str(value))


def _flag(on: bool, name: str) -> Html:
    """A boolean attribute, in the long form that XML knows too."""
    return Html(f' {name}="{name}"' if on else "")


@lru_cache
def packaged_texts() -> Mapping[str, Mapping[str, str]]:
    """Interface texts by language, as packaged in ``texts/*.json``."""
    found = {}
    for file in files("volens").joinpath("texts").iterdir():
        if file.name.endswith(".json"):
            value = json.loads(file.read_text("utf-8"))
            found[value["language"]] = value["texts"]
    return found


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language, the site's own wording first."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, name: str, /, **values: object) -> Html:
        """The text ``name`` as markup: escaped, then each ``{placeholder}`` replaced, so that a text can hold a link."""
        return Html(re.sub(r"\{(\w+)\}", lambda m: _safe(values[m[1]]) if m[1] in values else m[0], escape(self.texts[name], quote=False)))

    def count(self, name: str, n: int, /, **values: object) -> Html:
        """The plural form of ``name`` for ``n``: 1 is one; in French 0 too."""
        one = n == 1 or (n == 0 and self.language == "fr")
        return self(f"{name}.{'one' if one else 'other'}", n=n, **values)

    def day(self, day: date) -> Html:
        """A date as this language writes it."""
        return self("date", day=day.day, month=self(f"month.{day.month}"), year=day.year)

    def attribute(self, name: str, /, **values: str) -> Html:
        """The text ``name`` for a double-quoted attribute."""
        return Html(self(name, **values).replace('"', "&quot;"))


@dataclass(frozen=True, slots=True)
class Dress:
    """What is put into a page: the host element with its shadow root, and the same in plain markup below it."""

    body: str


def switched(notice: Notice, purposes: Iterable[str], services: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """What the panel's switches mean, for ``Choice.from_switches``.

    Without script, switching a purpose on cannot move the switches of its services; the panel then says *with all of its
    services* as long as none of them is on, and this makes it so. With script that state does not occur.
    """
    on = frozenset(purposes).intersection(notice.askable)
    chosen = frozenset(services)
    added: set[str] = set()
    for purpose in on:
        ready = {
            s.id for s in notice.services_asked if purpose in s.purposes and on.issuperset(set(s.purposes).intersection(notice.askable))
        }
        if not ready & chosen:
            added |= ready
    return on, chosen | added


class Screens:
    """Every screen of one site."""

    BACK = BACK

    def __init__(self, site: Site, static: Mapping[str, str]) -> None:
        """``static``: URL path of each script file by logical name."""
        self.site = site
        self.notice = site.notice
        self._static = static
        packaged = packaged_texts()
        self._words = {
            language: Words(language, {**packaged[language], **{n: t[language] for n, t in self.notice.texts.items() if language in t}})
            for language in self.notice.languages
            if language in packaged
        }
        if not self._words:
            raise NoticeError(f"languages = {list(self.notice.languages)}: no interface texts. Use some of {', '.join(sorted(packaged))}.")
        self._first = next(iter(self._words))
        colours = _colours(site.theme)
        self.style = _ascii(_squeeze(colours.replace(":root", ":host") + _NOTICE + (_TOP if site.theme.position == "top" else "")))
        self.page_style = _squeeze(colours + (_PAGE if "prefers-color-scheme" in colours else _PAGE.replace("light dark", "light")))
        self._to_panel = html(' formaction="{prefix}panel" formmethod="get"', prefix=site.prefix)
        self._dresses: dict[tuple[object, ...], Dress] = {}

    # Languages

    def language(self, page_lang: str, accept_language: str) -> str:
        """The page's language, else the first the browser prefers (RFC 9110 12.5.4), else the notice's first."""
        for tag in (page_lang, *_preferred(accept_language)):
            primary = tag.strip().lower().partition("-")[0]
            if primary in self._words:
                return primary
        return self._first

    def _say(self, language: str) -> Words:
        return self._words.get(language) or self._words[self._first]

    def _text(self, text: Text, language: str) -> str:
        """A text of the notice: in this language, the notice's first, any."""
        return text.get(language) or text.get(self._first) or next(iter(text.values()), "")

    def _title(self, purpose: Purpose, language: str) -> str:
        return self._text(purpose.title, language) or purpose.id

    # Notice and band

    def dress(self, grant: Grant, language: str, *, framed: bool = False) -> Dress:
        """Notice and band for a page under ``grant``. ``framed``: inside another site's frame, where nobody can know who asks:
        only a way to open the panel in a tab of its own (DESIGN §8)."""
        key = (language, grant.key, grant.asked, grant.new, grant.gpc, grant.answered, framed)
        found = self._dresses.get(key)
        if found is None:
            if len(self._dresses) >= 4096:
                self._dresses.clear()
            found = self._dresses[key] = self._dress(grant, self._say(language), framed)
        return found

    def _dress(self, grant: Grant, say: Words, framed: bool) -> Dress:
        body = html(
            '<volens-notice lang="{language}" dir="{dir}" data-storage="{storage}" data-profiles="{profiles}"{panel}{ask}>'
            '<template shadowrootmode="open"><style>{style}</style>{shadow}</template>{plain}</volens-notice>',
            language=say.language,
            dir="rtl" if say.language in RTL else "ltr",
            storage=_state(grant.storage_share),
            profiles=_state(grant.profiles_share),
            panel=html(' data-panel="{u}"', u=self._static["panel"]) if "panel" in self._static and not framed else None,
            ask=_flag(grant.asked and not framed, "data-ask"),
            style=Html(self.style),
            shadow=self._form(grant, say, framed, plain=False),
            plain=Html(re.sub(r' id="[^"]*"', "", self._form(grant, say, framed, plain=True))),
        )
        return Dress(body)

    def _form(self, grant: Grant, say: Words, framed: bool, *, plain: bool) -> Html:
        """``plain``: for where there is no shadow root, so without what only a style makes sense of."""
        asked = grant.asked and not framed
        return html(
            '<form method="{method}" action="{prefix}{action}" aria-label="{label}"{target}>{hidden}'
            '<button id="volens-band" name="answer" value="settings" title="{title}"{form}>{storage}{profiles}</button>{ask}</form>',
            method="post" if asked else "get",
            prefix=self.site.prefix,
            action="choice" if asked else "panel",
            label=say.attribute("choices"),
            target=Html(' target="_blank"') if framed else None,
            hidden=[
                _hidden("notice", self.notice.short) if asked else None,
                _hidden("back", Html(BACK)),
                _hidden("language", say.language),
                _hidden("surface", "notice" if asked else "band"),
            ],
            title=say.attribute("settings"),
            form=self._to_panel if asked else None,
            storage=_field("s", "band.storage", "band", grant.storage_share, say, plain),
            profiles=_field("p", "band.profiles", "band.profiles", grant.profiles_share, say, plain),
            ask=self._ask(grant, say) if asked else None,
        )

    def _ask(self, grant: Grant, say: Words) -> Html:
        notice, language = self.notice, say.language
        panel = html("{prefix}panel?language={language}", prefix=self.site.prefix, language=language)
        services = html('<a href="{panel}#services">{text}</a>', panel=panel, text=say.count("services", len(notice.services_asked)))
        asked = [notice.purpose[p] for p in notice.askable]
        return html(
            '<div id="volens-ask" role="region" aria-label="{label}"><div id="x"><p><b>{title}</b> '
            '{text} {yes} {no} {change} {gpc}{new}<a href="{policy}">{policy_text}</a></p>'
            "<details><summary>{why} {titles}</summary>{purposes}<p>{data}</p><p>{exempt}</p></details></div>"
            '<div id="y">{buttons}</div></div>',
            label=say.attribute("ask.label"),
            title=say("ask.title"),
            text=say("ask.text" if notice.services_asked else "ask.alone", controller=notice.controller.name, services=services),
            yes=say("ask.yes", yes=html("<b>{x}</b>", x=say("yes"))),
            no=say("ask.no", no=html("<b>{x}</b>", x=say("no"))),
            change=say("ask.change", months=notice.months, scope=self._scope(say)),
            gpc=html("{x} ", x=say("ask.gpc")) if grant.gpc else None,
            new=html("{x} ", x=say("ask.new", new=_commas(self._names(grant.new, language)))) if grant.new else None,
            policy=self.policy_url,
            policy_text=say("policy"),
            why=say("ask.why"),
            titles=" · ".join(self._title(p, language) for p in asked),
            purposes=[html("<p><b>{t}</b> {s}</p>", t=self._title(p, language), s=self._text(p.sentence, language)) for p in asked],
            data=say("ask.data", kinds=_commas(self._kinds(asked, say))),
            exempt=say("ask.exempt", exempt=_commas([self._title(p, language) for p in notice.purposes if p.exempt])),
            buttons=[
                html(
                    '<button name="answer" value="{value}"{form}>{text}</button>',
                    value=value,
                    form=self._to_panel if value == "settings" else None,
                    text=say(value),
                )
                for value in ("refuse", "accept", "settings")
            ],
        )

    @property
    def policy_url(self) -> str:
        """The site's own policy page, else ours."""
        return self.notice.controller.policy_url or self.site.prefix + "policy"

    def _scope(self, say: Words) -> Html:
        return _commas(self.notice.scope or (self.site.name,), say("list.and"))

    def _names(self, ids: Iterable[str], language: str) -> list[str]:
        """Titles of purposes and names of services, in the notice's order."""
        ids = frozenset(ids)
        return [self._title(p, language) for p in self.notice.purposes if p.id in ids] + [
            s.name for s in self.notice.services if s.id in ids
        ]

    def _kinds(self, purposes: Iterable[Purpose], say: Words) -> list[Html]:
        named = {kind for purpose in purposes for kind in purpose.data_kinds}
        return [say(f"kind.{kind}") for kind in DATA_KINDS if kind in named]

    def _data(self, purpose: Purpose, say: Words) -> Html | None:
        if not purpose.data_kinds:
            return None
        return html('<p class="kinds"><b>{a}</b> {b}</p>', a=say("panel.data"), b=_commas(self._kinds([purpose], say)))

    # Panel

    def panel(
        self,
        grant: Grant,
        language: str,
        back: str,
        *,
        choice_text: str = "",
        record_id: str = "",
        token: str = "",
        message: str = "",
        part: bool = False,
    ) -> str:
        """*Paramétrer vos choix*: a page of its own; its ``main`` is also what the dialog shows. ``message``: kind of a problem.

        ``part``: asked for by the dialog. Its style then lies in a template, because a style that stands in a document which a
        script fetched counts as the page's own, and a page with a strict policy would report it.
        """
        say = self._say(language)
        notice = self.notice
        askable = [notice.purpose[p] for p in notice.askable]
        months = {"months": notice.months, "scope": self._scope(say)}
        main = html(
            '<form method="post" action="{prefix}choice" data-volens-panel="">{hidden}'
            '<div class="top"><h1 id="volens-panel-title">{title}</h1><a class="x" href="{back}" aria-label="{close}">'
            '<span aria-hidden="true">✕</span></a></div>'
            '<div class="body">{message}<p>{intro}</p>{gpc}<p>{yes} {no}</p>'
            '<h2 id="services">{purposes_title}</h2>{purposes}{exempt}{mine}<p>{valid} <a href="{policy}">{policy_text}</a></p></div>'
            '<div class="bar" role="group" aria-label="{bar}">'
            '<button name="answer" value="refuse">{refuse}</button><button name="answer" value="accept">{accept}</button>'
            '<button name="answer" value="switches">{ok}</button></div></form>',
            prefix=self.site.prefix,
            hidden=[
                _hidden("notice", notice.short),
                _hidden("back", back),
                _hidden("language", say.language),
                _hidden("surface", "panel"),
                _hidden("token", token) if token else None,
            ],
            title=say("settings"),
            back=back,
            close=say.attribute("close"),
            message=html(
                '<p class="message" role="status"><b>{a}</b> {b}</p>', a=say(f"problem.{message}.title"), b=say(f"problem.{message}.text")
            )
            if message
            else None,
            intro=say("panel.intro"),
            yes=say("panel.yes"),
            no=say("panel.no"),
            valid=say("panel.valid", **months),
            policy=self.policy_url,
            policy_text=say("policy"),
            gpc=html('<p class="message">{x}</p>', x=say("panel.gpc" if grant.gpc else "panel.gpc.over"))
            if grant.gpc or grant.overrides_gpc
            else None,
            purposes_title=say("panel.purposes"),
            purposes=[self._purpose(p, grant, say) for p in askable],
            exempt=self._exempt(say),
            mine=self._mine(grant, say, choice_text, record_id),
            bar=say.attribute("panel.bar"),
            refuse=say("refuse"),
            accept=say("accept"),
            ok=say("ok"),
        )
        return self._page(say, say("settings"), main, script="panel", kind="panel", part=part)

    def _purpose(self, purpose: Purpose, grant: Grant, say: Words) -> Html:
        notice, language = self.notice, say.language
        home = {s.id: next(p for p in s.purposes if p in notice.askable) for s in notice.services_asked}
        own = [s for s in notice.services_asked if home[s.id] == purpose.id]
        others = [s for s in notice.services_asked if purpose.id in s.purposes and home[s.id] != purpose.id]
        title = self._title(purpose, language)
        return html(
            '<section class="purpose"><label class="row"><span><b>{title}</b>{new}{profiles}</span>'
            '<input type="checkbox" role="switch" name="purposes" value="{id}" aria-label="{switch}"{on}></label>'
            "<p>{sentence}</p>{kinds}{none}{keys}<ul>{own}{others}</ul>{all}</section>",
            title=title,
            new=_tag(say("panel.new")) if purpose.id in grant.new else None,
            profiles=_tag(say("panel.profiles")) if purpose.profiles else None,
            id=purpose.id,
            switch=say.attribute("panel.switch", title=title),
            on=_flag(purpose.id in grant.purposes, "checked"),
            sentence=self._text(purpose.sentence, language),
            kinds=self._data(purpose, say),
            keys=self._keys(self._own_keys(purpose), say),
            none=None if own or others else html('<p class="kinds">{x}</p>', x=say("panel.no.services", controller=notice.controller.name)),
            own=[self._service(s, grant, say, purpose) for s in own],
            others=[
                html(
                    "<li>{name} <small>{x}</small></li>",
                    name=s.name,
                    x=say("panel.under", title=self._title(notice.purpose[home[s.id]], language)),
                )
                for s in others
            ],
            all=html('<p class="all">{x}</p>', x=say("panel.all")) if own else None,
        )

    def _service(self, service: Service, grant: Grant | None, say: Words, under: Purpose | None) -> Html:
        """One service, with a switch where it stands ``under`` a purpose that needs a choice."""
        also = [self._title(self.notice.purpose[p], say.language) for p in service.purposes if under and p != under.id]
        return html(
            '<li><{tag} class="row"><span><b>{name}</b>{new}{profiles}{who}</span>{switch}</{tag}>{also}{chain}<p>{policy}</p>{keys}</li>',
            tag="label" if under else "div",
            name=service.name,
            new=_tag(say("panel.new")) if grant and service.id in grant.new else None,
            profiles=_tag(say("panel.profiles")) if service.profiles else None,
            who=html(" <small>{x}</small>", x=", ".join(x for x in (service.controller, service.country) if x and x != service.name)),
            switch=html(
                '<input type="checkbox" role="switch" name="services" value="{id}" data-purposes="{purposes}" aria-label="{label}"{on}>',
                id=service.id,
                purposes=" ".join(p for p in service.purposes if p in self.notice.askable),
                label=say.attribute("panel.switch", title=service.name),
                on=_flag(grant is not None and service.id in grant.services, "checked"),
            )
            if under
            else None,
            also=html('<p class="kinds">{x}</p>', x=say("panel.also", titles=_commas(also))) if also else None,
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
                    d=_lifetime(k.days, say),
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

    def _mine(self, grant: Grant, say: Words, choice_text: str, record_id: str) -> Html:
        """The visitor's own choice: what it says, where it lies, how to take it along."""
        allowed = self._names(grant.purposes | {s.id for s in self.notice.services_asked if s.id in grant.services}, say.language)
        if not grant.answered or grant.day is None:
            facts = html("<p>{x}</p>", x=say("choice.none"))
        else:
            facts = html(
                "<p>{given} {allowed}</p>{text}{record}",
                given=say("choice.given", date=say.day(grant.day), until=say.day(expires(grant.day, self.notice.months))),
                allowed=say("choice.allowed", titles=_commas(allowed)) if allowed else say("choice.nothing"),
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

    # Policy

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
            "<h2>{rights}</h2><p>{rights_text}</p></div>",
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

    def _own_keys(self, purpose: Purpose) -> list[StorageKey]:
        """What the site itself keeps for a purpose, without a service."""
        return [key for key in self.site.storage if key.purpose == purpose.id and not key.service]

    # Placeholder

    def frame(
        self,
        service: Entry | Service | None,
        url: str,
        language: str,
        back: str,
        *,
        once: str = "",
        token: str = "",
        whole_page: bool = False,
    ) -> str:
        """The document inside a withheld frame: who it is, what they would receive, and the ways to see it.

        ``back``: where the answer returns to, which is this frame's own address. ``once``: the address that shows it
        without storing anything (default: ``back`` with ``once=1``). ``whole_page``: allowing makes the page around it
        again, at ``back``. Only a service that the notice names can be allowed.
        """
        say = self._say(language)
        host = urlsplit(url).hostname or url
        name = service.name if service else host
        named = isinstance(service, Service) and service.id in self.notice.service
        allow = html(
            '<form method="post" action="{prefix}choice"{top}>{hidden}<button name="answer" value="service">{text}</button></form>',
            prefix=self.site.prefix,
            top=Html(' target="_top"') if whole_page else None,
            hidden=[
                _hidden("notice", self.notice.short),
                _hidden("services", service.id if service else ""),
                _hidden("surface", "embed"),
                _hidden("language", say.language),
                _hidden("back", back),
                _hidden("token", token) if token else None,
            ],
            text=say("frame.allow", name=name),
        )
        main = html(
            '<h1>{title}</h1><p class="why">{text} {profiles} {unnamed}</p><div class="ways">{allow}{just}'
            '<a href="{url}" target="_blank" rel="noopener">{link}</a></div>',
            title=say("frame.title", name=name),
            text=say("frame.text", name=name),
            profiles=say("frame.profiles") if service and service.profiles else None,
            unnamed=None if named else say("frame.unnamed"),
            allow=allow if named else None,
            just=None
            if whole_page
            else html(
                '<a class="button" href="{u}">{t}</a>', u=once or back + ("&" if "?" in back else "?") + "once=1", t=say("frame.once")
            ),
            url=url if url.startswith(("http://", "https://")) else "about:blank",
            link=say("frame.link", host=host),
        )
        return self._page(say, say("frame.title", name=name), main, kind="frame", script="embed")

    def playing(self, url: str, attributes: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> str:
        """The same frame once allowed: the third party's own, full size. ``attributes``: those of the original that say how it may
        behave (``allow``, ``sandbox``, ``referrerpolicy``, ``title``, ``name``, ``allowfullscreen``); any other is dropped."""
        pairs = attributes.items() if isinstance(attributes, Mapping) else attributes
        kept = {n.lower(): v for n, v in pairs if n.lower() in _FRAME_ATTRIBUTES}
        say = self._words[self._first]
        kept.setdefault("title", urlsplit(url).hostname or url)
        frame = html(
            '<h1 class="sr">{title}</h1><iframe src="{url}"{kept}></iframe>',
            title=kept["title"],
            url=url,
            kept=[html(' {n}="{v}"', n=Html(n), v=v) for n, v in kept.items()],
        )
        return self._page(say, Html(escape(kept["title"])), frame, kind="playing", script="embed")

    # Gate

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
        A GET has no body: its buttons are ordinary answers that come back to ``target``.
        """
        say = self._say(language)
        purpose = self.notice.purpose.get(decision.purpose) or self.notice.purpose[gate.purpose]
        title = self._title(purpose, say.language)
        sends = method not in ("GET", "HEAD")
        services = [s for s in self.notice.services_asked if s.id in gate.services] or [
            s for s in self.notice.services_asked if purpose.id in s.purposes
        ]
        purposes = (grant.purposes if grant else frozenset()) | {purpose.id}
        allowed = {
            s.id
            for s in self.notice.services_asked
            if (grant and s.id in grant.services) or purposes.issuperset(set(s.purposes).intersection(self.notice.askable))
        }
        common = [("notice", self.notice.short), ("surface", "gate"), ("language", say.language), ("back", target)] + (
            [("token", token)] if token else []
        )
        just = [("answer", "switches"), *(("purposes", p) for p in sorted(purposes)), *(("services", s) for s in sorted(allowed))]
        buttons = [
            html(
                '<button formaction="{prefix}choice?{query}">{text}</button>',
                prefix=self.site.prefix,
                query=_query(common + pairs),
                text=text,
            )
            for pairs, text in (
                (just, say("gate.allow.send" if sends else "gate.allow", purpose=title)),
                ([("answer", "accept")], say("gate.accept.send" if sends else "accept")),
            )
        ]
        named = self._text(gate.title, say.language)
        main = html(
            '<div class="top"><h1>{title}</h1></div><div class="body"><p>{text}</p><p>{sentence}</p>{services}'
            '<form method="post" action="{prefix}choice?{query}">{kept}<div class="ways">{buttons}'
            '<a class="button" href="{prefix}panel?{panel}">{settings}</a><a class="button" href="{back}">{back_text}</a></div>'
            "</form></div>",
            title=say("gate.title"),
            text=say("gate.named", title=named, purpose=title) if named else say("gate.text", purpose=title),
            sentence=self._text(purpose.sentence, say.language),
            services=html("<p>{x}</p>", x=say("gate.services", services=_commas([s.name for s in services]))) if services else None,
            prefix=self.site.prefix,
            query=_query(common + just),
            kept=self._kept(fields, say, files_lost) if sends else None,
            buttons=buttons,
            panel=_query([("language", say.language), ("back", back if sends else target)]),
            settings=say("settings"),
            back=back,
            back_text=say("gate.back"),
        )
        return self._page(say, say("gate.title"), main)

    def _kept(self, fields: Sequence[tuple[str, str]], say: Words, files_lost: bool) -> Html:
        """What was typed, to be read and to be sent. Long or short, it is shown; names that look like secrets are not."""
        shown = [(n, v) for n, v in fields if v.strip() and not _SECRET.search(n)]
        return html(
            "<p>{text}</p>{shown}{files}{hidden}",
            text=say("gate.kept") if fields else None,
            shown=[html("<blockquote>{v}</blockquote>", v=v) for _, v in shown],
            files=html('<p class="message">{x}</p>', x=say("gate.files")) if files_lost else None,
            hidden=[_hidden(n, v) for n, v in fields],
        )

    # A form that leads away

    def leaving(self, url: str, language: str, method: str, fields: Sequence[tuple[str, str]], back: str) -> str:
        """A form of the site's page that would send to a host not allowed: whom it reaches, and sent by the visitor's press only."""
        say = self._say(language)
        host = urlsplit(url).hostname or url
        main = html(
            '<div class="top"><h1>{title}</h1></div><div class="body"><p>{text}</p>{kept}'
            '<form method="{method}" action="{url}">{hidden}<div class="ways"><button>{send}</button></div></form><p>'
            '<a href="{back}">{back_text}</a></p></div>',
            title=say("leaving.title", host=host),
            text=say("leaving.text", host=host),
            kept=[html("<blockquote>{v}</blockquote>", v=v) for n, v in fields if v.strip() and not _SECRET.search(n)],
            method=method,
            url=url,
            hidden=[_hidden(n, v) for n, v in fields],
            send=say("leaving.send", host=host),
            back=back,
            back_text=say("problem.back"),
        )
        return self._page(say, say("leaving.title", host=host), main)

    # Messages

    def problem(
        self,
        kind: str,
        language: str,
        *,
        back: str = "",
        token: str = "",
        fields: Sequence[tuple[str, str]] = (),
    ) -> str:
        """``down``, ``slow``, ``broken`` (upstream), ``record`` (not durable, so not granted), ``confirm`` (``fields`` again, with
        a ``token``), ``stale``."""
        say = self._say(language)
        form = html(
            '<form method="post" action="{prefix}choice">{hidden}<div class="ways"><button>{text}</button></div></form>',
            prefix=self.site.prefix,
            hidden=[_hidden(n, v) for n, v in [*fields, *([("token", token)] if token else [])]],
            text=say("problem.confirm.button"),
        )
        main = html(
            '<div class="top"><h1>{title}</h1></div><div class="body"><p>{text}</p>{form}{back}</div>',
            title=say(f"problem.{kind}.title"),
            text=say(f"problem.{kind}.text"),
            form=form if kind == "confirm" else None,
            back=html(
                '<p><a href="{u}">{x}</a></p>', u=back, x=say("problem.again" if kind in ("down", "slow", "broken") else "problem.back")
            )
            if back
            else None,
        )
        return self._page(say, say(f"problem.{kind}.title"), main)

    def _script(self, name: str) -> Html | None:
        """A file of ours, or its text where it is given as ``<name>-text``: a placeholder asks for nothing more than itself."""
        if f"{name}-text" in self._static:
            return Html(f"<script type=\"module\">{self._static[f'{name}-text']}</script>")
        return html('<script src="{u}" defer></script>', u=self._static[name]) if name in self._static else None

    def _page(self, say: Words, title: Html, main: Html, *, script: str = "", kind: str = "plain", part: bool = False) -> str:
        return html(
            '<!DOCTYPE html><html lang="{language}" dir="{dir}" class="{kind}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
            '<title>{title}</title>{style}{script}</head><body><main class="v {kind}">{main}</main></body></html>',
            language=say.language,
            dir="rtl" if say.language in RTL else "ltr",
            kind=kind,
            title=title,
            style=html("<template><style>{x}</style></template>" if part else "<style>{x}</style>", x=Html(self.page_style)),
            script=self._script(script),
            main=main,
        )


# Small parts


def _hidden(name: str, value: str) -> Html:
    return html('<input type="hidden" name="{name}" value="{value}"/>', name=name, value=value)


def _tag(text: Html) -> Html:
    return html(" <em>{x}</em>", x=text)


def _query(pairs: Iterable[tuple[str, str]]) -> str:
    return urlencode(list(pairs), quote_via=quote)


def _commas(items: Iterable[str], last: str = ", ") -> Html:
    """A list in a sentence."""
    *most, end = [_safe(item) for item in items] or [""]
    return Html(f"{', '.join(most)}{last}{end}" if most else end)


def _preferred(accept_language: str) -> list[str]:
    """Language tags by weight; those with weight 0 left out."""
    weighted = []
    for part in accept_language[:400].split(","):
        tag, _, weight = part.partition(";")
        found = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", weight) if weight else None
        value = float(found[1]) if found else (0.0 if weight else 1.0)
        if value > 0:
            weighted.append((-value, tag))
    return [tag for _, tag in sorted(weighted, key=lambda pair: pair[0])]


def _state(share: tuple[int, int]) -> str:
    granted, total = share
    return "no" if not granted else "yes" if granted == total else "part"


def _field(id: str, label: str, state: str, share: tuple[int, int], say: Words, plain: bool) -> Html:
    """One of the band's two fields: its colour, sign and words follow the host's attribute, so that the guard can turn it to *no*."""
    now = _state(share)
    no = None if now == "no" else html('<b class="n">{x}</b>', x=say(f"{state}.no"))
    words = say("band.part", n=share[0], all=share[1]) if now == "part" else say(f"{state}.{now}")
    bar = None
    if now == "part":
        bar = html(
            '<svg viewBox="0 0 {all} 1" preserveAspectRatio="none" aria-hidden="true"><path d="M0 0h{n}v1H0z"/></svg>',
            n=share[0],
            all=share[1],
        )
    return html(
        '<span id="{id}">{bar}{label} <b>{words}</b>{no}</span> ',
        id=id,
        bar=None if plain else bar,
        label=say(label),
        words=words,
        no=None if plain else no,
    )


def _lifetime(days: int | None, say: Words) -> Html:
    if days is None:
        return say("days.unknown")
    if days == 0:
        return say("days.session")
    text = say.count("days", days)
    return html("{a} ({b})", a=text, b=say("days.months", n=round(days / 30.4))) if days >= 60 else text


_FRAME_ATTRIBUTES = frozenset(
    {"allow", "allowfullscreen", "sandbox", "referrerpolicy", "title", "name", "scrolling", "loading", "credentialless", "csp"}
)
_SECRET = re.compile(r"pass|pwd|secret|token|csrf|nonce|card|cvc|iban|^_", re.IGNORECASE)


# Looks

_VALUE = re.compile(r"[\w\s#%(),.'\"/-]+")


def _colours(theme: Theme) -> str:
    """The dozen custom properties that make the looks, light and dark. A theme that sets colours is the same in both."""
    light = {
        "b": "#fff",  # background
        "t": "#1b2030",  # text
        "m": "#545c6e",  # quiet text
        "l": "#d8dce5",  # lines
        "s": "#f4f5f8",  # soft background
        "k": "#27365c",  # buttons
        "j": "#fff",  # on buttons
        "a": "#2a4fa8",  # links, focus, switches
        "g": "#17663f",  # yes
        "d": "#a5272d",  # no
        "r": "10px",
        "f": '-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif',
    }
    dark = {"b": "#171a21", "t": "#eef0f5", "m": "#a9b0c0", "l": "#3a404e", "s": "#20242d", "k": "#d9e2fb", "j": "#171a21", "a": "#9dbaff"}
    set_ = {"b": theme.background, "t": theme.text, "k": theme.accent, "a": theme.accent, "r": theme.radius, "f": theme.font}
    set_ = {name: value for name, value in set_.items() if value}
    for value in set_.values():
        if not _VALUE.fullmatch(value):
            raise NoticeError(f"[theme] {value!r}: not a plain CSS value. Use a colour, a length or font names.")
    if theme.accent:
        set_["j"] = _on(theme.accent)
    if theme.text:
        set_["m"] = theme.text
    coloured = bool(theme.background or theme.text or theme.accent)
    text = _rule(light | set_)
    return text if coloured else text + "@media(prefers-color-scheme:dark){" + _rule(dark) + "}"


def _rule(values: Mapping[str, str]) -> str:
    return ":root{" + ";".join(f"--{n}:{v}" for n, v in values.items()) + "}"


def _on(colour: str) -> str:
    """Black or white, whichever reads better on a hexadecimal colour (WCAG 2.2, relative luminance)."""
    digits = colour.lstrip("#")
    if len(digits) == 3:
        digits = "".join(d * 2 for d in digits)
    if not re.fullmatch(r"[0-9a-fA-F]{6}", digits):
        return "#fff"
    r, g, b = ((v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4) for v in (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)))
    light = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return "#fff" if 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 else "#000"


def _ascii(css: str) -> str:
    """CSS escapes for what isn't ASCII: the text goes into pages of any encoding, and its hash must not depend on it."""
    return "".join(c if c.isascii() else f"\\{ord(c):x} " for c in css)


def _squeeze(css: str) -> str:
    """Without the spaces that only readers need."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    css = re.sub(r"\s+", " ", css)
    return re.sub(r";\}", "}", re.sub(r" ?([{};,>]) ?", r"\1", css)).strip()


_NOTICE = """
:host{all:initial!important;position:fixed!important;inset:auto 0 0!important;z-index:2147483647!important;display:block!important;
pointer-events:none!important}
form{display:flex;flex-direction:column;max-height:85vh;font:1em/1.4 var(--f);color:var(--t)}
form>*,dialog{pointer-events:auto}
:focus-visible{outline:3px solid var(--a);outline-offset:2px}
[hidden]{display:none!important}
#volens-band{align-self:start;display:flex;margin:8px;padding:0;min-height:44px;border:2px solid var(--b);border-radius:var(--r);
overflow:hidden;
background:none;color:#fff;font:.75em/1.25 var(--f);text-align:start;cursor:pointer}
#s,#p{position:relative;isolation:isolate;padding:.5em .9em;background:var(--d)}
#p{border-inline-start:2px solid var(--b)}
#volens-band b{display:block}
#volens-band b:before{content:"✕ "}
#volens-band .n{display:none}
#volens-band svg{position:absolute;inset:0;z-index:-1;width:100%;height:100%;fill:var(--g)}
:host([data-storage=yes]) #s,:host([data-profiles=yes]) #p{background:var(--g)}
:host([data-storage=yes]) #s b:before,:host([data-profiles=yes]) #p b:before{content:"✓ "}
:host([data-storage=part]) #s b:before,:host([data-profiles=part]) #p b:before{content:"◐ "}
:host([data-storage=no]) #s>:not(:only-child,.n),:host([data-profiles=no]) #p>:not(:only-child,.n){display:none}
:host([data-storage=no]) #s>.n,:host([data-profiles=no]) #p>.n{display:block}
#volens-ask{box-sizing:border-box;width:100%;max-width:46em;margin:0 auto;min-height:0;display:flex;flex-direction:column;gap:8px;
padding:12px 16px;
background:var(--b);border:1px solid var(--l);border-radius:var(--r) var(--r) 0 0;box-shadow:0 0 40px #0003}
#x{overflow:auto;font-size:.8125em;line-height:1.35}
p{margin:0}
a{color:var(--a)}
summary{min-height:2em;padding-top:.6em;cursor:pointer}
details p{padding:.4em 0}
#y{display:grid;grid-template-columns:repeat(auto-fit,minmax(5.6em,1fr));gap:8px}
#y button{min-height:44px;padding:4px;border:1px solid var(--k);border-radius:var(--r);background:var(--k);color:var(--j);
font:600 .875em/1.25 var(--f);cursor:pointer}
@media(min-width:48em){#volens-ask{margin-bottom:16px;padding:20px 24px;border-radius:var(--r)}
#x,#y button{font-size:1em}:host([data-ask]:not([data-answered])) form{max-width:46em;margin:auto}}
@media(max-width:30em)and (max-height:30em){:host([data-ask]){position:static!important}form{max-height:none}}
@media(forced-colors:active){svg{display:none}}
@media print{:host{display:none!important}}
"""
_TOP = """
:host{inset:0 0 auto!important}
form{flex-direction:column-reverse}
#volens-ask{border-radius:0 0 var(--r) var(--r)}
@media(min-width:48em){#volens-ask{margin:16px auto 0;border-radius:var(--r)}}
"""
_PAGE = """
:root{color-scheme:light dark}
body{margin:0;background:var(--s)}
.v,.v *{box-sizing:border-box}
.v{max-width:44em;margin:0 auto;background:var(--b);color:var(--t);font:1em/1.55 var(--f);overflow-wrap:break-word}
.v h1{margin:0;font-size:1.375em;line-height:1.25;letter-spacing:-.01em;text-wrap:balance}
.v h2{margin:2em 0 .5em;font-size:1.125em;line-height:1.3;scroll-margin-top:5em}
.v p{margin:.6em 0}
.v a{color:var(--a);text-underline-offset:.15em}
.v small,.v .kinds,.v dt{color:var(--m);font-size:.875em}
.v .kinds b{font-weight:600}
.v code{font:.875em/1.4 ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.v em{display:inline-block;padding:0 .5em;border:1px solid var(--l);border-radius:1em;color:var(--m);font:.75em/1.6 var(--f)}
.v :focus-visible{outline:3px solid var(--a);outline-offset:2px}
.v .sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.v .top{position:sticky;top:0;z-index:2;display:flex;align-items:center;justify-content:space-between;gap:1em;padding:.75em 1.25em;
border-bottom:1px solid var(--l);background:var(--b)}
.v .x{flex:none;display:grid;place-items:center;width:44px;height:44px;margin-inline-end:-.5em;border-radius:var(--r);color:var(--t);
font-size:1.125em;text-decoration:none}
.v .x:hover{background:var(--s)}
.v .body{padding:.5em 1.25em 2em}
.v .message{padding:.75em 1em;border-inline-start:4px solid var(--a);border-radius:4px;background:var(--s)}
.v .purpose{margin:.75em 0;padding:.75em 1em;border:1px solid var(--l);border-radius:var(--r)}
.v .row{display:flex;align-items:center;justify-content:space-between;gap:1em;min-height:44px}
.v .row>span{min-width:0;overflow-wrap:anywhere}
.v label.row{cursor:pointer}
.v .purpose>.row b{font-size:1.0625em}
.v .row small{display:block}
.v ul{margin:.75em 0 0;padding:0;list-style:none}
.v li{padding:.35em 0;border-top:1px solid var(--l)}
.v li p{margin:.1em 0}
.v li a,.v summary{font-size:.875em}
.v summary{min-height:44px;padding:.7em 0;cursor:pointer;color:var(--a)}
.v table{width:100%;border-collapse:collapse;font-size:.875em;text-align:start}
.v th,.v td{padding:.4em .75em .4em 0;border-top:1px solid var(--l);text-align:start;vertical-align:top;overflow-wrap:anywhere}
.v th{font-weight:600;color:var(--m)}
.v .all{display:none;color:var(--m);font-size:.875em}
.v .purpose:has(.row>[name=purposes]:checked):not(:has([name=services]:checked)) .all{display:block}
.v [role=switch]{appearance:none;flex:none;position:relative;width:52px;height:32px;margin:0;border:2px solid var(--m);border-radius:16px;
background:var(--b);cursor:pointer;transition:background .15s}
.v [role=switch]:before{content:"✕";position:absolute;inset-block:3px;inset-inline-start:3px;width:22px;border-radius:50%;
background:var(--m);
color:var(--b);font:700 12px/22px var(--f);text-align:center}
.v [role=switch]:checked{border-color:var(--a);background:var(--a)}
.v [role=switch]:checked:before{content:"✓";inset-inline:auto 3px;background:var(--b);color:var(--a)}
.v .bar,.v .ways{display:grid;grid-template-columns:repeat(auto-fit,minmax(5.8em,1fr));gap:8px}
.v .bar{position:sticky;bottom:0;z-index:2;padding:.75em 1.25em max(.75em,env(safe-area-inset-bottom));border-top:1px solid var(--l);
background:var(--b)}
.v button,.v .button{display:grid;place-items:center;min-height:48px;padding:.4em .75em;border:1px solid var(--k);
border-radius:var(--r);background:var(--k);
color:var(--j);font:600 1em/1.25 var(--f);text-align:center;text-decoration:none;cursor:pointer}
.v .ways{grid-template-columns:repeat(auto-fit,minmax(min(100%,13em),1fr));margin:1.25em 0}
.v blockquote{margin:.75em 0;padding:.75em 1em;border:1px solid var(--l);border-radius:var(--r);background:var(--s);white-space:pre-wrap}
.v dl div{margin:.5em 0}
.v dd{margin:0}
html.frame,html.frame body,.frame.v,html.playing,html.playing body,.playing.v{height:100%}
.frame.v{display:flex;flex-direction:column;justify-content:safe center;max-width:none;padding:.75em 1em;overflow:auto;
border:1px solid var(--l);background:var(--s);
font-size:.9375em;text-align:center}
.frame.v h1{font-size:1.125em}
.frame.v .why{max-width:34em;margin:.5em auto;color:var(--m);font-size:.9375em}
.frame.v .ways{display:flex;flex-wrap:wrap;align-items:center;justify-content:center;gap:.5em 1em;margin:.5em 0}
.frame.v button,.frame.v .button{min-height:44px;padding:.3em 1em;font-size:.9375em}
.frame.v .ways>a:last-child{padding:.7em 0}
#volens-panel{width:44em;max-width:100%;max-height:90vh;padding:0;border:1px solid var(--l);border-radius:16px;overflow:auto;
overscroll-behavior:contain;
background:var(--b);color:var(--t);font:1em/1.5 var(--f)}
#volens-panel::backdrop{background:#0009}
@media(max-width:46em){#volens-panel{width:100%;height:100%;max-height:none;border:0;border-radius:0}}
#volens-panel .v{border:0}
.playing.v{max-width:none;overflow:hidden}
.playing iframe{display:block;width:100%;height:100%;border:0}
@media(max-height:16em),(max-width:20em){.frame.v{padding:.25em .5em;font-size:.875em}.frame.v .why{font-size:.875em}
.frame.v .ways{gap:.25em .6em;margin:.25em 0}.frame.v button,.frame.v .button{padding:.2em .7em;font-size:.9375em}}
@media(max-height:14em){.frame.v .why{display:none}}
@media(max-height:7em){.frame.v h1{position:absolute;clip-path:inset(50%)}}
@media(min-width:46em){html.panel body,html.plain body{padding:2em 0}.panel.v,.plain.v{border:1px solid var(--l);border-radius:16px}
.v .top{border-radius:16px 16px 0 0}.v .bar{border-radius:0 0 16px 16px}.v .top,.v .body,.v .bar{padding-inline:2em}}
@media(max-height:24em){.v .top,.v .bar{position:static}}
@media(prefers-reduced-motion:reduce){.v [role=switch]{transition:none}}
@media(forced-colors:active){.v [role=switch]{appearance:auto;width:24px;height:24px}.v [role=switch]:before{content:none!important}}
@media print{.v .bar,.v .x{display:none}}
"""
