"""``volens check --preview``: every screen of a site in every state, as pictures to look through.

Drawn in Chromium with nothing configured but the site's own file: a phone and a desk, light and dark and the system's own high
contrast, each language. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path
from typing import Any

from volens.choice import Choice, Signals
from volens.enforce.html import Withheld
from volens.enforce.url import Target
from volens.notice import Service
from volens.policy import Grant, grant
from volens.site import Site
from volens.web.screens import BACK, Screens

WINDOWS = {"phone": (390, 844), "desk": (1280, 800)}
LOOKS = {"light": ("light", "none"), "dark": ("dark", "none"), "contrast": ("dark", "active")}
"""Colour scheme and forced colours of each look."""
TALLEST = 2600
"""Pixels of a long page that are drawn."""
_ORIGIN = "http://preview.localhost/"


@dataclass(frozen=True, slots=True)
class Scene:
    """One screen in one state."""

    name: str
    title: str
    page: str
    whole: bool = False
    """Whether it is a page of ours, drawn to its end, else a window onto a page of the site."""


def scenes(site: Site, language: str, day: date) -> Iterator[Scene]:
    """What a visitor of ``site`` may come to see."""
    screens, notice = Screens(site, {}), site.notice
    some = notice.askable[:1]
    few = [s.id for s in notice.services_asked if set(s.purposes).intersection(notice.askable) <= set(some)]
    answer = Choice.from_switches(notice, day, some, few)
    states: dict[str, Grant] = {
        name: grant(notice, choice, Signals(gpc), day)
        for name, choice, gpc in (
            ("undecided", None, False),
            ("gpc", None, True),
            ("refused", Choice.refuse_all(notice, day), False),
            ("part", answer, False),
            ("accepted", Choice.accept_all(notice, day), False),
        )
    }
    none, part = states["undecided"], states["part"]
    for name, title in (
        ("undecided", "The notice"),
        ("gpc", "The notice, where the browser asks to refuse (GPC)"),
        ("refused", "The band: refused"),
        ("part", "The band: in part"),
        ("accepted", "The band: accepted"),
    ):
        yield Scene(f"notice-{name}", title, _article(site, language, screens.dress(states[name], language).body))
    yield Scene("panel-undecided", "The panel, before any choice", screens.panel(none, language, "/"), whole=True)
    yield Scene("panel-part", "The panel, in part", screens.panel(part, language, "/"), whole=True)
    for who in _embeds(site):
        host = next((h.removeprefix("*.") for h in who.hosts), "example.org") if isinstance(who, Service) else who
        withheld = Withheld(Target("https", host, "/embed"), f"{site.prefix}embed/frame?u=x", language)
        frame = escape(screens.place(who, withheld), quote=True)
        sizes = "".join(
            f'<iframe title="{w} × {h}" width="{w}" height="{h}" srcdoc="{frame}"></iframe>' for w, h in ((640, 360), (640, 170))
        )
        name, title = (
            (who.id, f"What stands for {who.name}") if isinstance(who, Service) else ("unknown", "What stands for a frame nobody named")
        )
        yield Scene(f"placeholder-{name}", title, _article(site, language, screens.dress(states["refused"], language).body, sizes))
    for number, gate in enumerate(site.gates):
        closed = states["refused"]
        if number and gate.purpose in {g.purpose for g in site.gates[:number]}:
            continue
        method = "GET" if not gate.methods or "GET" in gate.methods else "POST"
        typed = [(name, "…") for name in gate.fields] or [("text", "…")]
        decision = closed.decide(gate.purpose)
        text = screens.gate(gate, decision, language, method, gate.path.rstrip("*"), typed, grant=closed)
        yield Scene(f"gate-{gate.purpose}", f"A closed gate: {gate.path}", text, whole=True)
        area = f'<volens-gate lang="{language}">{screens.area(gate, decision, closed, language)}</volens-gate>'
        body = screens.dress(closed, language).body
        yield Scene(f"area-{gate.purpose}", f"In the page: {gate.path}", _article(site, language, body, area.replace(BACK, "/")))
    yield Scene("policy", "The policy page", screens.policy(part, language), whole=True)
    yield Scene("rights", "What is kept of my choice", screens.rights(part, language, choice_text=answer.text()), whole=True)
    yield Scene("forget", "Forgetting it", screens.forget(language, anything=True, recorded=True), whole=True)
    yield Scene("problem", "A grant that could not be recorded", screens.problem("record", language, back="/"), whole=True)


def _embeds(site: Site) -> Iterator[Service | str]:
    """The first service that a page may show, and a host that nobody named."""
    yield from [s for s in site.notice.services_asked if s.hosts][:1]
    yield "inconnu.example"


def _article(site: Site, language: str, body: str, inside: str = "") -> str:
    """A page of the site, light or dark as the visitor wishes, that is nothing but lines."""
    line = '<p class="line"></p>'
    style = (
        ":root{color-scheme:light dark;background:Canvas;color:CanvasText}body{max-width:46rem;margin:0 auto;padding:1rem;"
        "font:1rem serif}.line{height:.7rem;margin:.7rem 0;background:light-dark(#e6e6e6,#333)}"
        ".line:nth-of-type(5n){width:60%}iframe{max-width:100%;border:0}"
    )
    return (
        f'<!DOCTYPE html><html lang="{escape(language)}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(site.name)}</title><style>{style}</style></head><body>{body.replace(BACK, '/')}<h1>{escape(site.name)}</h1>"
        f"{line * 3}{inside}{line * 40}</body></html>"
    )


def draw(browser: Any, site: Site, folder: Path, day: date) -> int:
    """Write the pictures and ``index.html`` into ``folder``; how many pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    looks = [name for name in LOOKS if site.theme.scheme in ("auto", name) or name == "contrast"]
    shown = [(language, scene) for language in site.notice.languages for scene in scenes(site, language, day)]
    for look in looks:
        scheme, forced = LOOKS[look]
        context = browser.new_context(color_scheme=scheme, forced_colors=forced, reduced_motion="reduce")
        try:
            page = context.new_page()
            for window, (width, height) in WINDOWS.items():
                for language, scene in shown:
                    _picture(page, scene, folder / f"{language}-{scene.name}-{window}-{look}.png", width, height)
        finally:
            context.close()
    parts: list[str] = []
    for number, (language, scene) in enumerate(shown):
        if not number or language != shown[number - 1][0]:
            parts.append(f'<h2 id="{language}">{language}</h2>')
        parts.append(f"<section><h3>{escape(scene.title)}</h3><div>")
        for window in WINDOWS:
            for look in looks:
                name = f"{language}-{scene.name}-{window}-{look}.png"
                parts.append(f'<a href="{name}"><img src="{name}" alt="" loading="lazy"><span>{window}, {look}</span></a>')
        parts.append("</div></section>")
    count = len(shown) * len(looks) * len(WINDOWS)
    links = " · ".join(f'<a href="#{language}">{language}</a>' for language in site.notice.languages)
    style = (
        ":root{color-scheme:light dark}body{margin:2rem;font:1rem/1.4 system-ui,sans-serif}section>div{display:flex;flex-wrap:wrap;"
        "gap:1rem;align-items:end}img{display:block;height:18rem;max-width:100%;object-fit:contain;"
        "object-position:top;border:1px solid #8886}"
        "span{font-size:.875rem}h3{margin:2rem 0 .5rem}"
    )
    index = f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{escape(site.name)}: the screens</title><style>{style}</style>'
    index += f"<h1>{escape(site.name)}: {count} pictures</h1><p>{links}</p>{''.join(parts)}</html>\n"
    (folder / "index.html").write_text(index, "utf-8")
    return count


def _picture(page: Any, scene: Scene, path: Path, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.unroute_all()
    answer = {"body": scene.page, "content_type": "text/html; charset=utf-8"}
    page.route("**/*", lambda route: route.fulfill(**answer) if route.request.url == _ORIGIN else route.abort())
    page.goto(_ORIGIN, wait_until="load")
    if scene.whole:
        long = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": max(height, min(TALLEST, long))})
    page.screenshot(path=str(path))
