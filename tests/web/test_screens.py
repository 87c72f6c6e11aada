"""What a visitor sees: weight, equality of the buttons, accessibility, keyboard, zoom, and the ways that need no script.

The panel, the policy page and the page of rights have files of their own.
"""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit
from xml.etree import ElementTree

import brotli
import pytest
from looking import BUTTONS, FOCUSED, ask, box, button, each, faults, panel
from playwright.sync_api import Browser, Page
from screens_site import DAY, GRANTS, NOTICE, PART, SITE, TYPED, Desk

from volens.choice import Choice, Signals
from volens.enforce.html import Withheld
from volens.enforce.url import Target, resolve
from volens.errors import NoticeError
from volens.notice import DATA_KINDS, EXEMPT_REASONS, MEDIA, Controller, Notice, Purpose, Service
from volens.policy import grant
from volens.site import Gate, Site
from volens.theme import SITE_FONT, Theme
from volens.web.screens import Screens, packaged_texts

VIDEO = Target("https", "videos.test", "/embed/1?a=b&c=d")

SCREENS = Screens(SITE, {"panel": "/_volens/panel-0a1b2c3d.js"})
OWN_PAGES = (
    "/_volens/panel",
    "/_volens/panel?grant=part",
    "/_volens/panel?grant=gpc&message=stale",
    "/_volens/panel?grant=accepted&language=en",
    "/_volens/policy",
    "/_volens/policy?grant=accepted&language=en",
    "/_volens/rights?grant=part",
    "/_volens/rights?grant=refused",
    "/_volens/rights?grant=none&language=en",
    "/_volens/forget?grant=part",
    "/_volens/forget?grant=none",
    "/_volens/embed/frame",
    "/_volens/embed/frame?service=nobody",
    "/_volens/embed/frame?once=1",
    "/gate",
    "/gate?method=GET&language=en",
    *(f"/problem?kind={kind}" for kind in ("down", "slow", "broken", "record", "confirm", "stale")),
)


# --- Weight and form


@pytest.mark.parametrize(("state", "language"), each(("none", "gpc"), ("fr", "en")))
def test_notice_and_band_weigh_at_most_2_2_kib(state: str, language: str) -> None:
    body = SCREENS.dress(GRANTS[state], language).body
    assert SCREENS.style in body
    assert len(brotli.compress(body.encode(), quality=11)) <= 2252


@pytest.mark.parametrize("state", GRANTS)
def test_the_band_alone_weighs_little(state: str) -> None:
    if not GRANTS[state].asked:
        assert len(brotli.compress(SCREENS.dress(GRANTS[state], "fr").body.encode(), quality=11)) <= 1400


@pytest.mark.parametrize(("state", "language"), each(GRANTS, ("fr", "en")))
def test_what_is_put_into_pages_is_well_formed_xml(state: str, language: str) -> None:
    tree = ElementTree.fromstring(SCREENS.dress(GRANTS[state], language).body)
    assert tree.tag == "volens-notice"
    assert tree.find("template") is not None and tree.find("form") is not None, "a shadow root, and the same in plain markup"


def test_no_id_stands_in_the_page_itself() -> None:
    """The fallback's elements must not answer to ``getElementById`` of the page's own scripts."""
    body = SCREENS.dress(GRANTS["none"], "fr").body
    assert ' id="' in body and ' id="' not in body.partition("</template>")[2]


def test_dressing_again_is_a_look_up() -> None:
    assert SCREENS.dress(GRANTS["part"], "fr") is SCREENS.dress(grant(NOTICE, PART, Signals(), DAY), "fr")
    assert SCREENS.dress(GRANTS["part"], "fr") is not SCREENS.dress(GRANTS["part"], "en")
    assert SCREENS.dress(GRANTS["none"], "fr") is not SCREENS.dress(GRANTS["refused"], "fr")


class Attributes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str | None]] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [(tag, n, v) for n, v in attrs]


def attributes(markup: str) -> Attributes:
    parser = Attributes()
    parser.feed(markup)
    return parser


def every_screen(desk: Desk) -> dict[str, str]:
    found = {path: desk.get(urlsplit(path).path, dict(parse_qsl(urlsplit(path).query)))[2] for path in OWN_PAGES}
    return found | {state: desk.screens.dress(at, "fr").body for state, at in GRANTS.items()}


def test_no_screen_carries_a_style_or_an_event_attribute(desk: Desk) -> None:
    for path, markup in every_screen(desk).items():
        parsed = attributes(markup)
        assert len(parsed.found) > 5, path
        assert [
            a for a in parsed.found if a[1] == "style" or a[1].startswith("on") or (a[2] or "").lower().startswith("javascript:")
        ] == [], path


def test_what_others_write_stays_text(desk: Desk) -> None:
    """Names, titles, typed text and addresses hold markup, quotes and braces; no element and no attribute comes of it."""
    evil = "\"'><script>x</script><img src=x onerror=y>{controller}{0.__class__}</style>--><!--"
    notice = Notice(
        Controller(evil, evil, "", evil, evil),
        (Purpose("a", {"fr": evil}, {"fr": evil}, data_kinds=("ip",)), Purpose("t", {"fr": evil}, {"fr": evil}, exempt="security")),
        (Service("s", evil, ("a",), controller=evil, policy_url=evil, country=evil),),
        (evil,),
        texts={"ask.title": {"fr": evil}},
    )
    own = {"fr": f'{evil}\n\n## {evil}\n- {evil}\n[{evil}](javascript:alert(1)) [x](/y"onclick=z) https://h/{evil}'}
    site = Site("x", notice, gates=(gate := Gate("/x", "a", title={"fr": evil}),), policy_before=own, policy_after=own)
    screens = Screens(site, {"panel": "/p.js"})
    at = grant(notice, None, Signals(), DAY)
    for markup in (
        screens.dress(at, "fr").body,
        screens.panel(at, "fr", evil, choice_text=evil, token=evil),
        screens.policy(at, "fr", evil, record_id=evil),
        screens.rights(at, "fr", evil, choice_text=evil, record_id=evil),
        screens.forget("fr", evil, token=evil, anything=True, recorded=True),
        screens.place(notice.service["s"], Withheld(resolve("https://h/" + evil, VIDEO), evil, "fr")),
        screens.place(evil, Withheld(resolve("https://h/", VIDEO), evil, evil, evil, evil), whole=True),
        screens.playing(evil, {"title": evil, "allow": evil}),
        screens.gate(gate, at.decide("a"), "fr", "POST", evil, [(evil, evil)], back=evil),
        screens.problem("confirm", "fr", back=evil, token=evil, fields=[(evil, evil)]),
    ):
        parsed = attributes(markup)
        assert "img" not in parsed.tags and not [a for a in parsed.found if a[1].startswith("on")]
        assert "<script>" not in markup and evil not in markup
    assert not [
        v
        for _, n, v in attributes(SCREENS.place("h", Withheld(Target("javascript", "h", "alert(1)"), "/x", "fr"))).found
        if n == "href" and "javascript" in (v or "")
    ]


def test_a_theme_cannot_leave_its_style() -> None:
    with pytest.raises(NoticeError, match="not a plain value"):
        Screens(replace(SITE, theme=Theme(accent="red;}</style><script>")), {})
    themed = Screens(replace(SITE, theme=Theme(accent="#ffdd00", position="top")), {})
    assert "--k:#fd0" in themed.style and "--j:#000" in themed.style and "light-dark(" in themed.style
    assert "light-dark(" not in Screens(replace(SITE, theme=Theme(scheme="light")), {}).style


# --- Texts


def test_every_kind_medium_and_reason_has_its_words() -> None:
    names = set(packaged_texts()["fr"])
    assert {f"kind.{k}" for k in DATA_KINDS} | {f"medium.{m}" for m in MEDIA} | {f"exempt.{e}" for e in EXEMPT_REASONS} <= names


def test_the_names_of_the_buttons_are_exact() -> None:
    fr, en = packaged_texts()["fr"], packaged_texts()["en"]
    assert [fr[n] for n in ("accept", "refuse", "settings", "ok", "policy")] == [
        "Tout accepter",
        "Tout refuser",
        "Paramétrer vos choix",
        "OK",
        "Politique de confidentialité",
    ]
    assert [en[n] for n in ("accept", "refuse", "settings", "ok")] == ["Accept all", "Refuse all", "Set your choices", "OK"]


@pytest.mark.parametrize(
    ("page", "accept", "language"),
    [
        ("fr-CA", "en", "fr"),
        ("", "de, en;q=0.8, fr;q=0.3", "en"),
        ("", "fr;q=0.2,en;q=0.9", "en"),
        ("de", "EN-us", "en"),
        ("", "en;q=0, de", "fr"),
        ("", "en;q=zzz,;;,fr;q=0.1", "fr"),
        ("", "", "fr"),
    ],
)
def test_the_language_is_the_page_s_then_the_browser_s_then_the_notice_s(page: str, accept: str, language: str) -> None:
    assert SCREENS.language(page, accept) == language


def test_the_site_s_own_wording_comes_first() -> None:
    own = Screens(replace(SITE, notice=replace(NOTICE, texts={"ask.title": {"fr": "Chez nous, vous décidez."}})), {})
    assert "Chez nous, vous décidez." in own.dress(GRANTS["none"], "fr").body
    assert "You decide." in own.dress(GRANTS["none"], "en").body


def test_a_language_without_texts_is_not_offered() -> None:
    assert Screens(replace(SITE, notice=replace(NOTICE, languages=("tlh", "en"))), {}).language("tlh", "tlh") == "en"
    with pytest.raises(NoticeError, match="no interface texts"):
        Screens(replace(SITE, notice=replace(NOTICE, languages=("tlh",))), {})


# --- First layer


def test_the_first_layer_says_all_it_must(show: Any, desk: Desk) -> None:
    page = show("/article?grant=gpc")
    text = ask(page).inner_text()
    for needed in (
        "Le Quai",
        "5 services",
        "Oui",
        "Non",
        "6 mois",
        "lequai.test",
        "Stockage · Profils",
        "GPC",
        "Politique de confidentialité",
    ):
        assert needed in text.replace("\u202f", " "), needed
    titles = [NOTICE.purpose[p].title["fr"] for p in NOTICE.askable]
    assert all(title in text for title in titles)
    ask(page).locator("summary").click()
    text = ask(page).inner_text()
    assert all(NOTICE.purpose[p].sentence["fr"] in text for p in NOTICE.askable)
    assert all(packaged_texts()["fr"][f"kind.{kind}"] in text for kind in DATA_KINDS), "P1 (a) to (f)"
    assert "Mesure d’audience" in text and all(button(page, b).is_visible() for b in BUTTONS), "opened, the buttons stay in reach"
    links = ask(page).get_by_role("link")
    assert [urlsplit(x.get_attribute("href") or "").path for x in links.all()] == ["/_volens/panel", "/_volens/policy"]
    links.first.click()
    page.wait_for_url("**/_volens/panel?*#services")
    assert page.locator("input[name=services]").count() == len(NOTICE.services_asked), "as many as the number says (R12)"


@pytest.mark.parametrize(
    ("size", "language"), each(((320, 568), (360, 740), (412, 915), (768, 1024), (1280, 800), (1920, 1080)), ("fr", "en"))
)
def test_the_three_buttons_are_equal_and_in_view(show: Any, size: tuple[int, int], language: str) -> None:
    page = show(f"/article?language={language}", *size)
    boxes = [box(button(page, b)) for b in BUTTONS]
    assert len({(round(b["width"]), round(b["height"]), round(b["y"])) for b in boxes}) == 1, "same size, side by side"
    assert all(b["height"] >= 44 and b["width"] >= 44 and b["y"] + b["height"] <= size[1] and b["x"] + b["width"] <= size[0] for b in boxes)
    look = """e => { const s = getComputedStyle(e);
        return [e.tagName, s.font, s.color, s.backgroundColor, s.border, s.borderRadius, s.textTransform, s.opacity].join() }"""
    assert len({button(page, b).evaluate(look) for b in BUTTONS}) == 1
    assert all(button(page, b).evaluate("e => e.scrollWidth <= e.clientWidth") for b in BUTTONS), "no label is cut"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    top = button(page, "accept").evaluate(
        """e => { const r = e.getBoundingClientRect(), at = [r.x + 9, r.y + 9];
            return document.elementFromPoint(...at).shadowRoot.elementFromPoint(...at) == e }"""
    )
    assert top


@pytest.mark.parametrize(("state", "language"), each(("none", "gpc"), ("fr", "en")))
def test_on_a_phone_it_leaves_the_page_to_be_read(show: Any, state: str, language: str) -> None:
    page = show(f"/article?grant={state}&language={language}", 360, 740, has_touch=True, is_mobile=True)
    notice, band, headline = box(ask(page)), box(page.locator("#volens-band")), box(page.locator("h1"))
    assert notice["height"] <= 259 and notice["y"] + notice["height"] <= 740, "35 % of 360×740"
    assert headline["y"] + headline["height"] <= band["y"]
    assert band["width"] * band["height"] <= 0.06 * 360 * 740 and band["height"] >= 44 and band["width"] >= 44
    assert ask(page).evaluate("e => { const x = e.querySelector('#x'); return x.scrollHeight <= x.clientHeight }"), "nothing to scroll for"


def test_refuse_is_reached_as_soon_as_accept(show: Any) -> None:
    page = show("/article")
    tree = page.locator("volens-notice").aria_snapshot()
    assert 0 < tree.index('button "Tout refuser"') < tree.index('button "Tout accepter"')
    assert page.evaluate("document.activeElement === document.body"), "focus is not taken"
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        name, ring = page.evaluate(FOCUSED)
        order.append(name)
        assert ring != "none", order
    assert order == [
        "volens-band",
        "5 services",
        "Politique de confidentialité",
        "SUMMARY",
        "refuse",
        "accept",
        "settings",
        "Lire la suite",
    ]


def test_escape_does_nothing_on_the_notice(show: Any, desk: Desk) -> None:
    page = show("/article")
    button(page, "accept").focus()
    page.keyboard.press("Escape")
    page.wait_for_timeout(100)
    assert ask(page).is_visible() and desk.seen.posts == []


def posted(page: Page, desk: Desk) -> list[Any]:
    """What was sent, once it has come: the first layer goes before that."""
    for _ in range(200):
        if desk.seen.posts:
            break
        page.wait_for_timeout(50)
    return desk.seen.posts


def test_refusing_hides_the_first_layer_and_leaves_the_band(show: Any, desk: Desk) -> None:
    page = show("/article", 360, 740)
    button(page, "refuse").click()
    ask(page).wait_for(state="hidden")
    assert page.locator("#volens-band").is_visible()
    (path, fields) = posted(page, desk)[0]
    assert path == "/_volens/choice" and fields["answer"] == ["refuse"] and fields["notice"] == [NOTICE.short]
    assert fields["back"] == ["/article?grant=none&x=1"] and fields["surface"] == ["notice"] and fields["language"] == ["fr"]
    assert page.complaints == [], "no violation of a strict policy with Trusted Types"


# --- Band


@pytest.mark.parametrize(
    ("state", "storage", "profiles"),
    [
        ("none", "✕ bloqué d’office", "✕ bloqués d’office"),
        ("refused", "✕ refusé", "✕ refusés"),
        ("part", "◐ 2 sur 6", "✕ refusés"),
        ("accepted", "✓ autorisé", "✓ autorisés"),
    ],
)
def test_the_band_says_by_sign_word_and_colour_what_is_granted(show: Any, state: str, storage: str, profiles: str) -> None:
    page = show(f"/article?grant={state}&bare=1", 360, 740)
    for field, expected in (("#s", storage), ("#p", profiles)):
        shown = page.locator(f"{field} b:visible")
        sign = shown.evaluate("e => getComputedStyle(e, '::before').content")
        assert sign.strip('"') + shown.inner_text() == expected
    share = GRANTS[state].storage_share
    red, green = "rgb(165, 39, 45)", "rgb(23, 102, 63)"
    colours = [page.locator(f).evaluate("e => getComputedStyle(e).backgroundColor") for f in ("#s", "#p")]
    assert colours == ([green, green] if state == "accepted" else [red, red])
    if state == "part":
        whole, part = box(page.locator("#s")), box(page.locator("#s path"))
        assert page.locator("#s svg").evaluate("e => getComputedStyle(e).fill") == green
        assert part["width"] / whole["width"] == pytest.approx(share[0] / share[1], abs=0.03), "divided in proportion"


def test_the_band_turns_to_refused_by_attribute_alone(show: Any) -> None:
    for state in ("none", "part", "accepted"):
        page = show(f"/article?grant={state}&bare=1")
        red = show("/article?grant=refused&bare=1").locator("#s").evaluate("e => getComputedStyle(e).backgroundColor")
        page.evaluate("document.querySelector('volens-notice').dataset.storage = 'no'")
        assert page.locator("#s b:visible").inner_text() == "refusé" and not page.locator("#s svg:visible").count()
        assert page.locator("#s").evaluate("e => getComputedStyle(e).backgroundColor") == red


# --- Accessibility


@pytest.mark.parametrize(("path", "scheme"), each((*OWN_PAGES, *(f"/article?grant={s}" for s in GRANTS)), ("light", "dark")))
def test_axe_finds_nothing(show: Any, path: str, scheme: str) -> None:
    page = show(path, 360, 740, color_scheme=scheme)
    assert faults(page) == []
    assert page.complaints == [], "and the page's own policy is kept"


def test_axe_would_find_something(show: Any) -> None:
    page = show("/article")
    page.evaluate("document.querySelector('volens-notice').shadowRoot.querySelector('#volens-ask button').textContent = ''")
    assert faults(page)


@pytest.mark.parametrize(
    "path",
    (
        "/article",
        "/_volens/panel",
        "/_volens/policy",
        "/_volens/rights?grant=part",
        "/_volens/forget?grant=part",
        "/gate",
        "/problem?kind=confirm",
    ),
)
def test_at_400_percent_everything_is_reached_in_one_column(show: Any, path: str) -> None:
    page = show(path, 320, 200)
    assert page.evaluate("document.documentElement.scrollWidth <= 320")
    for part in page.locator("button:visible").all():
        part.scroll_into_view_if_needed()
        at = box(part)
        assert at["y"] >= 0 and at["y"] + at["height"] <= 200.5 and at["x"] + at["width"] <= 320
        part.click(trial=True)


@pytest.mark.parametrize("path", ("/article", "/_volens/panel", "/gate"))
def test_text_twice_as_large_is_not_cut(show: Any, path: str) -> None:
    page = show("/problem?kind=down", 360, 740)
    page.context.new_cdp_session(page).send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
    page.goto(page.url.split("/problem")[0] + path)
    assert page.locator("button:visible").last.evaluate("e => parseFloat(getComputedStyle(e).fontSize)") >= 24
    assert page.evaluate("document.documentElement.scrollWidth <= 360")
    for part in page.locator("button:visible").all():
        assert part.evaluate("e => e.scrollWidth <= e.clientWidth + 1 && e.scrollHeight <= e.clientHeight + 1")
        part.click(trial=True)


def test_forced_colours_keep_borders_words_and_states(show: Any) -> None:
    page = show("/article?grant=none", 360, 740, forced_colors="active")
    for part in (*(button(page, b) for b in BUTTONS), page.locator("#volens-band"), ask(page)):
        assert part.evaluate("e => getComputedStyle(e).borderTopStyle + getComputedStyle(e).borderTopWidth") not in ("none0px", "solid0px")
    assert page.locator("#s b:visible").inner_text() == "bloqué d’office"
    page = show("/_volens/panel?grant=part", 360, 740, forced_colors="active")
    assert page.locator("input[name=purposes]").first.evaluate("e => getComputedStyle(e).appearance") == "auto", "the system draws its own"


def test_nothing_moves_for_who_asked_for_less_motion(show: Any) -> None:
    moves = """[...document.querySelectorAll('*')].map(e => getComputedStyle(e))
        .some(s => s.transitionDuration != '0s' || s.animationName != 'none')"""
    assert show("/_volens/panel").evaluate(moves), "there is something to switch off"
    assert not show("/_volens/panel", reduced_motion="reduce").evaluate(moves)


def test_nothing_of_it_is_printed(show: Any) -> None:
    page = show("/article")
    page.emulate_media(media="print")
    assert not ask(page).is_visible() and not page.locator("#volens-band").is_visible()


def test_the_page_and_the_screens_do_not_touch_each_other_s_looks(show: Any) -> None:
    page = show("/article?bare=1")
    before = ask(page).evaluate("e => [e.offsetHeight, getComputedStyle(e).color, getComputedStyle(e.querySelector('p')).margin].join()")
    outside = page.locator("h1").evaluate("e => e.getBoundingClientRect().y")
    page.evaluate("""() => { const s = new CSSStyleSheet();
        s.replaceSync('*{color:red;margin:40px;font-size:40px;display:block} volens-notice{display:none;opacity:0;position:static}');
        document.adoptedStyleSheets = [s] }""")
    assert (
        ask(page).evaluate("e => [e.offsetHeight, getComputedStyle(e).color, getComputedStyle(e.querySelector('p')).margin].join()")
        == before
    )
    assert ask(page).is_visible() and outside < 100


def test_a_notice_may_stand_in_a_corner_in_the_letters_of_the_page(browser: Browser) -> None:
    desk = Desk(replace(SITE, theme=Theme(font=SITE_FONT, position="bottom-right")))
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(desk.url + "/article")
    page.evaluate("""() => { const s = new CSSStyleSheet(); s.replaceSync('html{font-family:"Liberation Mono",monospace}');
        document.adoptedStyleSheets.push(s) }""")
    notice, band = box(ask(page)), box(page.locator("#volens-band"))
    assert 640 < notice["x"] and 1240 < notice["x"] + notice["width"] <= 1280 and band["x"] + band["width"] > 1240
    for part in (ask(page), button(page, "refuse"), page.locator("#volens-band")):
        assert "Mono" in part.evaluate("e => getComputedStyle(e).fontFamily")
    button(page, "settings").click()
    assert box(panel(page).locator("form").first)["width"] >= box(panel(page))["width"] - 2, "the panel is no corner's: it fills its dialog"
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 360, "height": 740})
    assert box(ask(page))["width"] == 360, "on a phone it is the bottom"


@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_the_notice_is_dark_where_the_page_is(show: Any, scheme: str) -> None:
    """Whatever the visitor's system says: a page that is always light has no dark notice."""
    ground = "e => getComputedStyle(e).backgroundColor"
    for page_scheme, dark in (("normal", False), ("light", False), ("dark", True), ("light dark", scheme == "dark")):
        page = show("/article", color_scheme=scheme)
        page.evaluate("value => { document.documentElement.style.colorScheme = value }", page_scheme)
        assert (ask(page).evaluate(ground) != "rgb(255, 255, 255)") is dark, page_scheme
        button(page, "settings").click()
        assert (panel(page).evaluate(ground) != "rgb(255, 255, 255)") is dark, page_scheme
        page.context.close()


@pytest.mark.parametrize("size", ((360, 740), (1280, 800)))
def test_a_themed_notice_may_stand_at_the_top(browser: Browser, size: tuple[int, int]) -> None:
    desk = Desk(
        replace(SITE, theme=Theme(position="top", background="#fffbe8", text="#222", accent="#7a1f5c", radius="0", font="Georgia, serif"))
    )
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(desk.url + "/article")
    notice, band = box(ask(page)), box(page.locator("#volens-band"))
    assert 0 <= notice["y"] <= 16 and band["y"] >= notice["y"] + notice["height"]
    assert (
        button(page, "refuse").evaluate("e => getComputedStyle(e).backgroundColor + getComputedStyle(e).color")
        == "rgb(122, 31, 92)rgb(255, 255, 255)"
    )
    assert faults(page) == []
    page.close()
    desk.server.shutdown()


# --- Without JavaScript, without declarative shadow roots


@pytest.mark.parametrize("stripped", (False, True))
def test_without_script_the_buttons_are_a_form(show: Any, desk: Desk, stripped: bool) -> None:
    """Also where ``shadowrootmode`` isn't supported: the same words and buttons stand in the page."""
    for value, name in (("refuse", "Tout refuser"), ("accept", "Tout accepter")):
        page = show("/article" + ("?stripped=1" if stripped else ""), java_script_enabled=False)
        page.get_by_role("button", name=name).click()
        page.wait_for_selector("#sent")
        path, fields = desk.seen.posts.pop()
        assert path == "/_volens/choice"
        assert fields == {
            "notice": [NOTICE.short],
            "back": ["/article?grant=none&x=1"],
            "language": ["fr"],
            "surface": ["notice"],
            "answer": [value],
        }
    page = show("/article" + ("?stripped=1" if stripped else ""), java_script_enabled=False)
    assert page.get_by_text("Vous décidez.").locator("visible=true").count() == 1
    page.get_by_role("button", name="Paramétrer vos choix", exact=True).last.click()
    page.wait_for_url("**/_volens/panel?*")
    assert parse_qs(urlsplit(page.url).query)["back"] == ["/article?grant=none&x=1"]


@pytest.mark.parametrize("state", ("none", "refused", "accepted"))
def test_the_band_opens_the_panel_without_script(show: Any, state: str) -> None:
    page = show(f"/article?grant={state}", java_script_enabled=False)
    page.locator("#volens-band").click()
    page.wait_for_url("**/_volens/panel?*")
    assert page.locator("h1").inner_text() == "Paramétrer vos choix"
    assert page.locator("a.x").get_attribute("href") == "/article?grant=none&x=1"


# --- Placeholder, gate, messages


@pytest.mark.parametrize("size", ((560, 315), (300, 250), (320, 180), (300, 150), (500, 80), (1200, 90)))
def test_a_placeholder_fits_its_frame(show: Any, size: tuple[int, int]) -> None:
    page = show(f"/framing?sizes={json.dumps([size])}")
    frame = page.frames[1]
    assert frame.evaluate(
        "document.querySelector('main').scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth"
    )
    ways = frame.locator("button, a")
    assert ways.count() == 3 and all(box(w)["height"] >= 44 for w in ways.all()[:2])


def test_a_placeholder_names_what_would_happen_and_three_ways_on(show: Any, desk: Desk) -> None:
    page = show("/_volens/embed/frame", 560, 315, java_script_enabled=False)
    text = page.locator("main").inner_text()
    assert "MesVidéos" in text and "adresse IP" in text
    link = page.get_by_role("link", name="Ouvrir sur videos.test")
    assert [link.get_attribute(n) for n in ("href", "target", "rel")] == ["https://videos.test/embed/1?a=b&c=d", "_blank", "noopener"]
    page.get_by_role("button", name="Autoriser MesVidéos").click()
    page.wait_for_selector("#sent")
    _, fields = desk.seen.posts.pop()
    assert fields["answer"] == ["service"] and fields["services"] == ["mesvideos"] and fields["surface"] == ["embed"]
    page = show("/_volens/embed/frame", 560, 315)
    page.get_by_role("button", name="Juste cette fois").click()
    page.wait_for_selector("#sent")
    _, fields = desk.seen.posts.pop()
    assert fields["answer"] == ["once"] and fields["back"] == ["/_volens/embed/frame?u=x"]
    page = show("/_volens/embed/frame?once=1", 560, 315)
    inner = page.locator("iframe")
    assert box(inner)["width"] == 560 and box(inner)["height"] == 315 and inner.get_attribute("allow") == "fullscreen"
    assert page.frames[1].locator("p").inner_text() == "film"


def test_who_the_notice_does_not_name_cannot_be_allowed(show: Any) -> None:
    page = show("/_volens/embed/frame?service=nobody", 560, 315)
    assert [b.inner_text() for b in page.get_by_role("button").all()] == ["Juste cette fois"] and page.get_by_role("link").count() == 1
    assert "ne le nomme pas" in page.locator("main").inner_text()


def test_a_gate_gives_back_what_was_typed_and_would_send_just_that(show: Any, desk: Desk) -> None:
    page = show("/gate?grant=part", 360, 740, java_script_enabled=False)
    text = page.locator("main").inner_text()
    assert "Commentaires" in text and "Réseaux sociaux" in text and "Canal" in text and "On y va" in text and "s3cret" not in text
    page.get_by_role("button", name="Autoriser «\u00a0Réseaux sociaux\u00a0» et envoyer").click()
    page.wait_for_selector("#sent")
    path, body = desk.seen.posts.pop()
    query = parse_qs(urlsplit(path).query)
    assert {n: v[0].replace("\r", "") for n, v in body.items()} == dict(TYPED), "the body is what the page behind the gate was sent"
    assert query["answer"] == ["switches"] and query["back"] == ["/commentaires?x=1"] and query["surface"] == ["gate"]
    asked = Choice.from_switches(NOTICE, DAY, query["purposes"], query["services"])
    assert asked == Choice.from_switches(NOTICE, DAY, ["reseaux-sociaux", "video"], ["canal", "piaf", "mesvideos"]), (
        "what was granted stays, this is added"
    )
    page = show("/gate?grant=none", 360, 740, java_script_enabled=False)
    page.get_by_role("button", name="Tout accepter et envoyer").click()
    page.wait_for_selector("#sent")
    assert parse_qs(urlsplit(desk.seen.posts.pop()[0]).query)["answer"] == ["accept"]


def test_a_gate_on_reading_asks_without_a_body(show: Any, desk: Desk) -> None:
    page = show("/gate?method=GET", java_script_enabled=False)
    page.get_by_role("button", name="Autoriser «\u00a0Réseaux sociaux\u00a0»").click()
    page.wait_for_selector("#sent")
    path, body = desk.seen.posts.pop()
    assert body == {} and parse_qs(urlsplit(path).query)["purposes"] == ["reseaux-sociaux"]


def test_every_way_out_of_a_gate_is_equal(show: Any) -> None:
    page = show("/gate", 360, 740)
    ways = page.locator(".ways > *")
    assert ways.count() == 4
    assert (
        len(
            {
                ways.nth(i).evaluate("e => [e.offsetWidth, getComputedStyle(e).backgroundColor, getComputedStyle(e).font].join()")
                for i in range(4)
            }
        )
        == 1
    )


def test_a_doubtful_request_is_confirmed_with_a_token(show: Any, desk: Desk) -> None:
    page = show("/problem?kind=confirm", java_script_enabled=False)
    page.get_by_role("button").click()
    page.wait_for_selector("#sent")
    assert desk.seen.posts.pop()[1] == {"answer": ["accept"], "token": ["t0k"]}


def test_inside_another_site_s_frame_there_is_nothing_to_grant() -> None:
    body = SCREENS.dress(GRANTS["none"], "fr", framed=True).body
    assert 'value="accept"' not in body and 'value="refuse"' not in body and 'target="_blank"' in body and " data-ask=" not in body
