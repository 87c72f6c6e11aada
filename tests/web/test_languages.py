"""Every screen in every language, on a narrow phone and a wide screen: nothing overflows, is cut, is missing or is in another language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from screens_site import ACCEPTED, DAY, GATE, NOTICE, PART, RECORD, SITE, TYPED

from volens.check import SHARE
from volens.choice import Choice, Signals
from volens.defaults import PURPOSES
from volens.enforce.html import Withheld
from volens.enforce.url import Target
from volens.languages import Language, shipped
from volens.policy import grant
from volens.site import Audience
from volens.web.screens import Screens

LANGUAGES = shipped()
PLAIN = replace(
    NOTICE,
    languages=tuple(LANGUAGES),
    purposes=tuple(replace(p, title=PURPOSES[p.id].title, sentence=PURPOSES[p.id].sentence) for p in NOTICE.purposes),
)
SITE_ = replace(SITE, notice=PLAIN, audience=Audience(), gates=(replace(GATE, title={}, withdrawn="/efface"),))
SCREENS = Screens(SITE_, {})
GRANTS = {
    "none": grant(PLAIN, None, Signals(), DAY),
    "gpc": grant(PLAIN, None, Signals(gpc=True), DAY),
    "refused": grant(PLAIN, Choice.refuse_all(PLAIN, DAY), Signals(), DAY),
    "part": grant(PLAIN, Choice.from_switches(PLAIN, DAY, ["reseaux-sociaux", "video"], ["canal", "mesvideos"]), Signals(), DAY),
    "accepted": grant(PLAIN, Choice.accept_all(PLAIN, DAY), Signals(gpc=True), DAY),
    "account": replace(grant(PLAIN, None, Signals(), DAY), account="own"),
    "account told": replace(grant(PLAIN, Choice.accept_all(PLAIN, DAY), Signals(), DAY), account="told"),
    "account conflict": replace(grant(PLAIN, Choice.refuse_all(PLAIN, DAY), Signals(), DAY), account="conflict"),
}
PROBLEMS = ("down", "slow", "broken", "record", "confirm", "stale", "often", "elsewhere")
WIDTHS = {320: 568, 1280: 800}
PLACES = ((320, 180), (640, 360), (300, 120))
EVERY = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)

LOOK = r"""() => {
  const found = { wide: [], cut: [], words: [], lang: "", dir: "", buttons: [], page: document.documentElement.scrollWidth };
  const seen = (node) => node.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const name = (node) => node.localName + (node.className ? "." + node.className : "") + ": " + node.textContent.trim().slice(0, 40);
  const walk = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) walk(node.shadowRoot);
      if (["STYLE", "SCRIPT", "TEMPLATE", "HEAD", "TITLE"].includes(node.nodeName) || !seen(node)) continue;
      for (const said of ["aria-label", "title", "data-find", "data-found"])
        if (node.hasAttribute(said) && node.localName != "iframe") found.words.push(node.getAttribute(said));
      const style = getComputedStyle(node);
      if (style.clipPath != "none" || node.closest("[class=sr], caption + thead")) continue;
      const clips = style.overflowX != "visible" && style.textOverflow != "ellipsis";
      const holds = node.matches("button, .button") || clips;
      if (holds && node.clientWidth && node.scrollWidth > node.clientWidth + 1) found.cut.push(name(node));
      if (clips && style.overflowY == "hidden" && node.scrollHeight > node.clientHeight + 1) found.cut.push(name(node));
      for (const child of node.childNodes) {
        if (child.nodeType != 3 || !child.data.trim()) continue;
        found.words.push(child.data.trim());
        const range = document.createRange();
        range.selectNodeContents(child);
        const box = range.getBoundingClientRect();
        const cut = node.closest("summary small");
        if (!cut && box.width && (box.left < -1 || box.right > innerWidth + 1)) found.wide.push(name(node));
      }
      if (node.matches("#y button, .bar button")) {
        const box = node.getBoundingClientRect();
        found.buttons.push({
          size: [Math.round(box.width), Math.round(box.height)], x: Math.round(box.x), y: Math.round(box.y),
          look: ["fontSize", "fontWeight", "fontFamily", "color", "backgroundColor", "borderTopColor"].map((n) => style[n]),
        });
      }
    }
  };
  walk(document);
  const top = document.querySelector("volens-notice, volens-gate > form, volens-gate") ?? document.documentElement;
  const main = top.shadowRoot?.querySelector("form") ?? document.querySelector("main");
  found.lang = main.closest("[lang]")?.lang ?? top.lang;
  found.dir = getComputedStyle(main).direction;
  return found;
}"""

UNFOLD = """() => {
  for (const root of [document, ...[...document.querySelectorAll("volens-notice")].map((host) => host.shadowRoot)])
    for (const details of root.querySelectorAll("details")) details.open = true;
}"""


def screens(code: str) -> dict[str, str]:
    """Markup of every screen a visitor can meet, whole pages."""

    def inside(body: str) -> str:
        head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>body{margin:0}</style>'
        return f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>"

    choice, record = PART.text(), RECORD.id
    decision = GRANTS["none"].decide("reseaux-sociaux")
    at = SITE_.gates[0]
    return {
        **{f"notice {state}": inside(SCREENS.dress(given, code).body) for state, given in GRANTS.items()},
        "notice framed": inside(SCREENS.dress(GRANTS["none"], code, framed=True).body),
        "panel": SCREENS.panel(GRANTS["gpc"], code, "/", message="stale"),
        "panel part": SCREENS.panel(GRANTS["part"], code, "/", choice_text=choice, objects="dnt"),
        "policy": SCREENS.policy(GRANTS["accepted"], code, "/", record_id=record),
        "rights": SCREENS.rights(GRANTS["part"], code, "/", choice_text=choice, record_id=record, recorded=RECORD),
        "rights nobody": SCREENS.rights(GRANTS["none"], code, "/"),
        "rights refused": SCREENS.rights(GRANTS["refused"], code, "/", choice_text=ACCEPTED.text()),
        "forget": SCREENS.forget(code, "/", token="t", anything=True, recorded=True),
        "forget refused": SCREENS.forget(code, "/", token="t", anything=True, recorded=False),
        "forgotten": SCREENS.forget(code, "/", anything=False, recorded=False, done="record"),
        "forgotten refused": SCREENS.forget(code, "/", anything=False, recorded=False, done="choice"),
        "nothing to forget": SCREENS.forget(code, "/", anything=False, recorded=False),
        "gate": SCREENS.gate(at, decision, code, "POST", "/commentaires", TYPED[:1], grant=GRANTS["none"], files_lost=True),
        "gate read": SCREENS.gate(at, decision, code, "GET", "/commentaires"),
        "area": inside(f"<volens-gate>{SCREENS.area(at, decision, GRANTS['refused'], code)}</volens-gate>"),
        "leaving": SCREENS.leaving("https://autre.test/x", code, "post", TYPED[:1], "/"),
        **{f"problem {kind}": SCREENS.problem(kind, code, back="/", token="t", fields=[("answer", "accept")]) for kind in PROBLEMS},
    }


def places(code: str) -> Iterator[str]:
    withheld = Withheld(Target("https", "videos.test", "/embed/1"), "/_volens/embed/frame?u=x", code)
    for who in (PLAIN.service["piaf"], "videos.test"):
        yield SCREENS.place(who, withheld, whole=True)


def others(language: Language) -> list[str]:
    """Passages of the French and English texts that this language doesn't have itself."""
    own = " ".join([*language.texts.values(), *(t for p in language.purposes.values() for t in p.values())])
    passages = (
        part.strip(" .:;,«»“”")
        for code in ("fr", "en")
        if code != language.code
        for source in (LANGUAGES[code].texts.values(), *(p.values() for p in LANGUAGES[code].purposes.values()))
        for text in source
        for part in re.split(r"\{\w+\}", text)
    )
    return sorted({part for part in passages if len(part) > 11 and part not in own})


NAMES = frozenset(name for language in LANGUAGES.values() for name in language.texts if "." in name)


def wrong(where: str, seen: dict[str, Any], language: Language, foreign: list[str], width: int) -> Iterator[str]:
    """What a look at a screen finds wrong."""
    if seen["page"] > width:
        yield f"{where}: {seen['page']} px wide"
    yield from (f"{where}: beyond the edge: {x}" for x in seen["wide"])
    yield from (f"{where}: cut: {x}" for x in seen["cut"])
    text = "\n".join(seen["words"])
    yield from (f"{where}: {found} was not filled in" for found in re.findall(r"\{\w+\}", text.replace("{n}", "")))
    yield from (f"{where}: the name {word!r}" for word in re.findall(r"[a-z]+(?:\.[a-z0-9-]+)+", text) if word in NAMES)
    yield from (f"{where}: another language: {passage!r}" for passage in foreign if passage in text)
    if (seen["lang"], seen["dir"]) != (language.code, language.direction):
        yield f"{where}: lang={seen['lang']} dir={seen['dir']}"
    buttons = seen["buttons"]
    if len({(*b["size"], b["y"], *b["look"]) for b in buttons}) > 1:
        yield f"{where}: unequal buttons: {buttons}"
    row = [b["x"] for b in buttons]
    if row != sorted(row, reverse=language.direction == "rtl"):
        yield f"{where}: buttons not in reading order"


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """One page for all: nothing of a screen stays when the next is set."""
    context = chromium.new_context(reduced_motion="reduce", java_script_enabled=True)
    yield context.new_page()
    context.close()


@EVERY
def test_every_screen_fits_is_whole_and_speaks_one_language(page: Page, language: Language) -> None:
    found: list[str] = []
    foreign = others(language)
    for name, markup in screens(language.code).items():
        page.set_content(markup)
        page.evaluate(UNFOLD)
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            seen = page.evaluate(LOOK)
            if name.startswith("area"):  # three ways below each other on a phone
                seen["buttons"] = []
            assert len(seen["words"]) > 1, name
            found += wrong(f"{name} at {width}", seen, language, foreign, width)
    assert found == []


@EVERY
def test_placeholders_fit_at_three_sizes(page: Page, language: Language) -> None:
    found: list[str] = []
    foreign = others(language)
    for markup in places(language.code):
        page.set_content(markup)
        for width, height in PLACES:
            page.set_viewport_size({"width": width, "height": height})
            found += wrong(f"placeholder {width}×{height}", page.evaluate(LOOK), language, foreign, width)
            tall = page.evaluate("document.documentElement.scrollHeight")
            if (width, height) != (300, 120) and tall > height:
                found.append(f"placeholder {width}×{height}: {tall} px high")
    assert found == []


@EVERY
@pytest.mark.parametrize("state", ["none", "gpc"])
def test_the_first_layer_leaves_the_headline_in_view(page: Page, language: Language, state: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.set_content(
        f'<meta name="viewport" content="width=device-width"><body>{SCREENS.dress(GRANTS[state], language.code).body}<h1>La halle</h1>'
    )
    share, band = page.evaluate("""() => ["#volens-ask", "#volens-band"].map((id) => {
        const box = document.querySelector("volens-notice").shadowRoot.querySelector(id).getBoundingClientRect();
        return box.width * box.height / innerWidth / innerHeight; })""")
    assert share <= SHARE
    assert band <= 0.06


def test_the_look_finds_what_is_wrong(page: Page) -> None:
    """What the tests above look for is found where it is."""
    german = LANGUAGES["de"]
    page.set_viewport_size({"width": 320, "height": 568})
    page.set_content(
        '<html lang="fr"><body style="margin:0"><main><p>ask.title {services} Vous décidez.</p><p style="width:400px">x</p>'
        '<div id="y"><button style="width:40px">Zustimmungserklärung</button><button>b</button></div>'
        '<p style="position:absolute;left:300px">Wörter am Rand</p></main>'
    )
    found = "\n".join(wrong("here", page.evaluate(LOOK), german, others(german), 320))
    for said in ("px wide", "beyond the edge", "cut: button", "{services}", "'ask.title'", "Vous décidez", "lang=fr", "unequal buttons"):
        assert said in found, said


def test_dates_and_lists_on_the_screens_are_the_language_s(page: Page) -> None:
    texts = {code: SCREENS.rights(GRANTS["part"], code, "/", recorded=RECORD) for code in ("de", "ar", "pl")}
    assert "22. November 2026" in texts["de"] and "22 نوفمبر 2026" in texts["ar"] and "22 listopada 2026" in texts["pl"]
    assert LANGUAGES["pl"].day(date(2026, 11, 22)) == "22 listopada 2026"
