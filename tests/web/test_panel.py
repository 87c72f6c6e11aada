"""The panel: one switch a purpose and a service, the same without script, and what *OK* records (P9, P10)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from itertools import combinations
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from looking import FOCUSED, ask, box, button, each, faults, opened, panel, unfolded
from playwright.sync_api import Locator, Page
from screens_site import ACCEPTED, DAY, MANY, NOTICE, PART, SITE, Desk

from volens.choice import Choice, Signals, expires
from volens.languages import shipped
from volens.notice import Service
from volens.policy import grant
from volens.site import Audience
from volens.web.screens import Screens, switched

LANGUAGES = shipped()


def test_a_purpose_switched_on_without_script_brings_its_services() -> None:
    assert switched(NOTICE, ["video"], []) == ({"video"}, {"mesvideos"})
    assert switched(NOTICE, ["reseaux-sociaux"], ["canal"]) == ({"reseaux-sociaux"}, {"canal"})
    assert switched(NOTICE, ["publicite"], []) == ({"publicite"}, {"mesure"}), "what also serves a purpose that is off stays off"
    assert switched(NOTICE, [], ["canal", "nobody"]) == (frozenset(), {"canal", "nobody"})
    assert switched(NOTICE, NOTICE.askable, [])[1] == {s.id for s in NOTICE.services_asked}


def test_switches_never_mean_more_than_they_show() -> None:
    """Over all purposes × some services: nothing is on whose own switch, or all of whose purposes, wasn't."""
    for n in range(len(NOTICE.askable) + 1):
        for purposes in combinations(NOTICE.askable, n):
            for services in ((), ("canal",), ("regie",), ("canal", "mesure")):
                got = grant(NOTICE, Choice.from_switches(NOTICE, DAY, *switched(NOTICE, purposes, services)), Signals(), DAY)
                assert got.purposes <= set(purposes)
                for s in NOTICE.services_asked:
                    if s.id in got.services:
                        assert s.id in services or set(s.purposes).intersection(NOTICE.askable) <= set(purposes)


def test_the_panel_page_records_what_its_switches_show(show: Any, desk: Desk) -> None:
    page = show("/_volens/panel?back=/article", 360, 740, java_script_enabled=False)
    switches = unfolded(page).get_by_role("switch")
    assert switches.count() == 11 and all(not s.is_checked() for s in switches.all()), "off at first (R04)"
    page.get_by_role("switch", name="Autoriser\u00a0: Vidéos").check()
    assert page.get_by_text("Avec tous ses services.").locator("visible=true").count() == 1, "what it means is said where it shows"
    page.get_by_role("button", name="OK").click()
    page.wait_for_selector("#sent")
    _, fields = desk.seen.posts.pop()
    assert fields == {
        "notice": [NOTICE.short],
        "back": ["/article"],
        "language": ["fr"],
        "surface": ["panel"],
        "token": ["t0k"],
        "object": ["0"],  # its switch was shown, and is off
        "purposes": ["video"],
        "answer": ["switches"],
    }


def test_the_panel_page_tells_everything_the_notice_holds(show: Any) -> None:
    page = show("/_volens/panel?grant=part", java_script_enabled=False)
    text = unfolded(page).locator("main").inner_text()
    for service in NOTICE.services:
        assert service.name in text and service.controller in text
        assert not service.policy_url or page.locator(f'a[href="{service.policy_url}"]').count() == 1
        assert all(key.name in text for key in service.storage)
    assert "395 jours (13 mois)" in text and "jusqu’à la fermeture du navigateur" in text and "durée non déclarée" in text
    assert "session" in text and "Fonctionnement du site" in text and "anonyme" in text
    assert PART.text() in text and "22 novembre 2026" in text and "22 mai 2027" in text
    assert page.locator("input:checked").evaluate_all("e => e.map(x => x.value)") == ["reseaux-sociaux", "canal", "video", "mesvideos"]
    for value in ("refuse", "accept", "switches"):
        assert page.locator(f"button[value={value}]").is_visible(), "one press each, always in reach"


def test_the_panel_keeps_its_buttons_in_view_while_it_scrolls(show: Any) -> None:
    for size in ((320, 568), (320, 200), (360, 740), (1280, 800)):
        page = show("/_volens/panel", *size)
        for y in (0, 700, 99999):
            page.evaluate(f"scrollTo(0, {y})")
            at = [box(page.locator(f"button[value={v}]")) for v in ("refuse", "accept", "switches")]
            assert (
                all(b["y"] >= 0 and b["y"] + b["height"] <= size[1] for b in at)
                and len({(round(b["width"]), round(b["height"])) for b in at}) == 1
            )


@pytest.mark.parametrize("size", ((360, 740), (1280, 800)))
def test_the_panel_is_a_native_modal_dialog(show: Any, desk: Desk, size: tuple[int, int]) -> None:
    page = opened(show("/article", *size))
    assert panel(page).evaluate("e => e.matches(':modal')") and panel(page).get_attribute("aria-labelledby") == "volens-panel-title"
    assert urlsplit(page.url).path == "/article" and page.complaints == []
    assert faults(page) == []
    assert not panel(page).locator("input:checked").count()
    outside = 0
    for _ in range(60):
        page.keyboard.press("Tab")
        outside += page.evaluate(
            """(() => { const a = document.querySelector('volens-notice').shadowRoot.activeElement;
                return !(document.activeElement == document.body || a?.closest('dialog')) })()"""
        )
    assert outside == 0, "focus stays inside"
    assert all(panel(page).locator(f"button[value={v}]").is_visible() for v in ("refuse", "accept", "switches"))
    box_ = box(panel(page).locator("button[value=refuse]"))
    assert box_["y"] + box_["height"] <= size[1]


@pytest.mark.parametrize("way", ("Escape", "x"))
def test_closing_records_nothing_and_gives_focus_back(show: Any, desk: Desk, way: str) -> None:
    page = opened(show("/article"))
    panel(page).locator("input[name=purposes]").first.check()
    if way == "x":
        panel(page).locator(".x").click()
    else:
        page.keyboard.press("Escape")
    panel(page).wait_for(state="detached")
    assert desk.seen.posts == [] and ask(page).is_visible()
    assert page.evaluate("document.querySelector('volens-notice').shadowRoot.activeElement.value") == "settings"
    opened(page)
    assert not panel(page).locator("input:checked").count(), "and forgets what was switched"


def test_ok_records_just_what_the_switches_show(show: Any, desk: Desk) -> None:
    page = unfolded(opened(show("/article")))

    def on() -> list[str]:
        return list(panel(page).locator("input:checked").evaluate_all("e => e.map(x => x.value)"))

    def check(name: str) -> Locator:
        return panel(page).locator(f"input[value={name}]")

    check("reseaux-sociaux").check()
    assert on() == ["reseaux-sociaux", "canal", "piaf"]
    check("piaf").uncheck()
    assert on() == ["reseaux-sociaux", "canal"]
    check("publicite").check()
    assert on() == ["reseaux-sociaux", "canal", "publicite", "mesure"], "a service that also serves another purpose waits for it"
    check("personnalisation").check()
    assert "regie" in on()
    check("personnalisation").uncheck()
    assert "regie" not in on()
    check("mesure").uncheck()
    assert on() == ["reseaux-sociaux", "canal"], "the last service takes its purpose along"
    panel(page).locator("button[value=switches]").click()
    panel(page).wait_for(state="detached")
    ((path, fields),) = desk.seen.posts
    assert path == "/_volens/choice" and fields["answer"] == ["switches"]
    assert fields["purposes"] == ["reseaux-sociaux"] and fields["services"] == ["canal"] and fields["surface"] == ["panel"]
    assert fields["notice"] == [NOTICE.short] and not ask(page).is_visible()
    assert page.evaluate("document.querySelector('volens-notice').shadowRoot.activeElement.id") == "volens-band", (
        "focus goes to what is left"
    )


@pytest.mark.parametrize("value", ("refuse", "accept"))
def test_all_or_nothing_is_one_press_in_the_panel_too(show: Any, desk: Desk, value: str) -> None:
    page = show("/article?grant=part")
    page.locator("#volens-band").click()
    panel(page).locator(f"button[value={value}]").click()
    panel(page).wait_for(state="detached")
    assert desk.seen.posts[0][1]["answer"] == [value]


def test_what_the_server_would_not_record_is_said_by_its_own_page(show: Any, desk: Desk) -> None:
    page = opened(show("/article"))
    desk.fails = True
    panel(page).locator("input[value=video]").check()
    panel(page).locator("button[value=switches]").click()
    page.wait_for_selector("#sent")
    assert desk.seen.posts[1][1]["answer"] == ["switches"] and desk.seen.posts[1][1]["services"] == ["mesvideos"]


def test_a_panel_that_cannot_load_gives_way_to_its_page(show: Any) -> None:
    page = show("/problem?kind=down")
    page.route("**/panel-*.js", lambda route: route.abort())
    page.goto(page.url.split("/problem")[0] + "/article")
    button(page, "settings").click()
    page.wait_for_url("**/_volens/panel?*")


def test_the_panel_page_comes_back_to_where_the_visitor_was(show: Any) -> None:
    page = show("/article?grant=none")
    ask(page).get_by_role("link", name="5 services").click()
    page.wait_for_url("**#services")
    assert page.locator("input[name=back]").input_value() == "/article?grant=none"
    page.keyboard.press("Escape")
    page.wait_for_url("**/article?grant=none")


def test_what_is_new_since_the_answer_is_named() -> None:
    more = replace(NOTICE, services=(*NOTICE.services, Service("neuf", "Tout Neuf", ("video",), ("neuf.test",))))
    at = grant(more, ACCEPTED, Signals(), DAY, earlier=NOTICE)
    screens = Screens(replace(SITE, notice=more), {})
    assert at.asked and "Tout Neuf" in screens.dress(at, "fr").body
    text = screens.panel(at, "fr", "/")
    assert "Nouveau depuis votre choix du 22 novembre 2026\u00a0: <b>Tout Neuf</b>" in text
    assert re.findall(r"<b>([^<]*)</b> <em class=\"new\">nouveau", text) == ["Tout Neuf"], "marked where it stands, and nothing else is"
    assert '<details open="open"><summary><span class="count">2 services</span><small>MesVidéos et Tout Neuf' in text, "and not folded away"
    assert "nouveau" not in screens.panel(grant(more, None, Signals(), DAY), "fr", "/"), "to who has not answered all is new"


# --- What a purpose says of its services

MIXED: dict[str, list[str]] = {
    "": [],
    "all": ["Avec tous ses services."],
    "but": ["Oui, sauf les services éteints ci-dessous."],
    "few": ["Non, sauf les services allumés ci-dessous."],
}


@pytest.mark.parametrize("script", (True, False))
def test_a_purpose_says_when_its_services_differ_from_it(show: Any, script: bool) -> None:
    """By words, and by a switch half filled; the switch itself stays what *OK* records."""
    page = unfolded(show("/_volens/panel", java_script_enabled=script))
    purpose = page.locator(".purpose", has=page.locator("[value=reseaux-sociaux]"))
    switch = purpose.locator("[value=reseaux-sociaux]")

    def says(state: str) -> bool:
        half = switch.evaluate("e => getComputedStyle(e).backgroundImage") != "none"
        return purpose.locator(".state > :visible").all_inner_texts() == MIXED[state] and half == (state in ("but", "few"))

    assert says("")
    switch.check()
    assert says("" if script else "all")
    purpose.locator("[value=canal]").check()
    if script:
        purpose.locator("[value=piaf]").uncheck()
    assert says("but") and switch.is_checked()
    described = page.locator(f"#{switch.get_attribute('aria-describedby')}").inner_text()
    assert described == MIXED["but"][0], "and to who does not see it"
    if not script:
        switch.uncheck()
        assert says("few")
    else:
        purpose.locator("[value=canal]").uncheck()
        assert says("") and not switch.is_checked()
        purpose.locator("[value=canal]").check()
        assert says("few")


def test_a_purpose_that_differs_from_its_services_is_open_at_once(show: Any) -> None:
    at = grant(NOTICE, Choice.from_switches(NOTICE, DAY, ["reseaux-sociaux"], ["canal"]), Signals(), DAY)
    text = Screens(SITE, {}).panel(at, "fr", "/")
    assert re.findall(r"<details( open=\"open\")?><summary><span", text) == [' open="open"', "", "", "", ""]


# --- Many services


def found(page: Page) -> list[str]:
    return [str(text) for text in page.locator(".purpose li:visible .row b").all_inner_texts()]


def test_where_services_are_many_a_field_finds_them(show: Any) -> None:
    desk = Desk(MANY)
    page = show(desk.url + "/_volens/panel", 360, 740)
    assert found(page) == [], "folded at first"
    field = page.get_by_role("searchbox", name="Chercher un service")
    field.fill("ile")
    assert found(page) == ["Régie Île"] and page.get_by_role("status").inner_text() == "Services trouvés\u00a0: 1 sur 21"
    assert page.locator(".purpose:visible [name=purposes]").evaluate_all("e => e.map(x => x.value)") == ["publicite"]
    field.press("Enter")
    field.fill("REGIE")
    assert len(found(page)) == 17, "without case and accents, by what stands there"
    field.fill("gmbh")
    assert found(page) == ["Mesure Plus"], "a company finds its service"
    field.fill("rien de tel")
    assert found(page) == [] and "0 sur 21" in page.get_by_role("status").inner_text()
    field.press("Escape")
    assert field.input_value() == "" and urlsplit(page.url).path == "/_volens/panel"
    assert page.locator("[name=purposes]:visible").count() == len(NOTICE.askable) and found(page) == [], "as it was"
    assert desk.seen.posts == [] and faults(page) == [] and page.complaints == []
    page.locator("summary").first.click()
    assert found(page), "and the services are still there to be opened"
    desk.server.shutdown()


def test_without_script_many_services_are_opened_and_found_by_the_browser(show: Any) -> None:
    desk = Desk(MANY)
    page = show(desk.url + "/_volens/panel", java_script_enabled=False)
    assert page.get_by_role("searchbox").count() == 0
    page.locator(".purpose", has=page.locator("[value=publicite]")).locator("summary").first.click()
    page.get_by_role("switch", name="Autoriser\u00a0: Régie Île").check()
    page.get_by_role("button", name="OK").click()
    page.wait_for_selector("#sent")
    assert desk.seen.posts[0][1]["services"] == ["s8"]
    desk.server.shutdown()


def test_few_services_need_no_field(show: Any) -> None:
    assert show("/_volens/panel").get_by_role("searchbox").count() == 0


def test_in_the_dialog_escape_empties_the_field_before_it_closes(show: Any) -> None:
    desk = Desk(MANY)
    page = opened(show(desk.url + "/article"))
    field = page.get_by_role("searchbox")
    field.fill("ile")
    assert found(page) == ["Régie Île"]
    field.press("Escape")
    assert panel(page).is_visible() and field.input_value() == ""
    field.press("Escape")
    panel(page).wait_for(state="detached")
    assert page.complaints == [] and desk.seen.posts == []
    desk.server.shutdown()


# --- In reach, and nothing over what has the focus

OBSCURED = """() => {
    let at = document.activeElement; while (at.shadowRoot) at = at.shadowRoot.activeElement;
    if (at == document.body || at.localName == 'dialog') return null;
    const r = at.getBoundingClientRect(), root = at.getRootNode(), bars = [...root.querySelectorAll('.bar, .top')];
    const over = bars.filter(b => !b.contains(at) && getComputedStyle(b).position == 'sticky').map(b => b.getBoundingClientRect());
    const hidden = over.some(b => r.bottom > b.top + 1 && r.top < b.bottom - 1) || r.bottom > innerHeight + 1 || r.top < -1;
    return [hidden, at.name || at.className || at.tagName, at.value || at.textContent.slice(0, 20), r.top, r.bottom] }"""


@pytest.mark.parametrize(("size", "where"), each(((320, 568), (320, 200), (1280, 800)), ("page", "dialog")))
def test_nothing_covers_what_has_the_focus(show: Any, size: tuple[int, int], where: str) -> None:
    """WCAG 2.4.11, forwards and backwards, everything unfolded."""
    page = show("/_volens/panel?grant=part", *size) if where == "page" else show("/article?grant=part", *size)
    if where == "dialog":
        page.locator("#volens-band").click()
        panel(page).wait_for()
    unfolded(page)
    for key in ("Tab", "Shift+Tab"):
        seen = set()
        for _ in range(45):
            page.keyboard.press(key)
            at = page.evaluate(OBSCURED)
            if at:
                assert not at[0], (key, at)
                seen.add((at[1], at[2]))
        assert len(seen) >= 25, "the walk comes by everything"


def test_the_keyboard_alone_allows_one_service(show: Any, desk: Desk) -> None:
    page = show("/_volens/panel?back=/article", 360, 740)
    for wanted, key in (("SUMMARY", "Enter"), ("canal", "Space"), ("switches", "Enter")):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(FOCUSED)[0] == wanted:
                break
        page.keyboard.press(key)
    page.wait_for_selector("#sent")
    fields = desk.seen.posts[0][1]
    assert fields["services"] == ["canal"] and fields["answer"] == ["switches"] and "purposes" not in fields


# --- The dialog and the page

SHOWN = """root => {
  const told = (node) => node.nodeType == 3 ? node.data : node.nodeType != 1 || node.name == 'token' ? '' : [node.localName,
    [...node.attributes].filter(a => !['href', 'action', 'value'].includes(a.name))
      .map(a => a.name + '=' + (['checked', 'open'].includes(a.name) || a.value)).sort(),
    node.href ?? node.getAttribute('action')?.replace(origin, '') ?? node.value ?? '', node.checked ?? '',
    ...[...node.childNodes].map(told).filter(x => x !== '')];
  return JSON.stringify(told(root.querySelector('form')), null, 1) }"""
NEW = replace(NOTICE, services=(*NOTICE.services, Service("neuf", "Tout Neuf", ("video",), ("neuf.test",), profiles=True)))
STATES = ("none", "gpc", "refused", "part", "mixed", "accepted", "new")


@pytest.mark.parametrize(
    ("language", "states"), [("fr", STATES), ("ar", STATES), *((code, ("part",)) for code in LANGUAGES if code not in ("fr", "ar"))]
)
def test_the_dialog_shows_what_the_page_shows(show: Any, language: str, states: tuple[str, ...]) -> None:
    """One file for everybody, filled in by the browser: node by node, attribute by attribute, what the server writes for this visitor."""
    later = {"new": grant(NEW, ACCEPTED, Signals(gpc=True), DAY, earlier=NOTICE)}
    sites = [replace(SITE, notice=replace(notice, languages=tuple(LANGUAGES)), audience=Audience()) for notice in (NOTICE, NEW)]
    desks = [Desk(sites[0]), Desk(sites[1], later)]
    for state in states:
        desk = desks[state in later]
        page = show(f"{desk.url}/article?grant={state}&language={language}")
        page.evaluate("volens.open()")
        panel(page).wait_for()
        shown = panel(page).evaluate(SHOWN)
        back = quote(f"/article?grant={state}&language={language}", safe="")
        page.goto(f"{desk.url}/_volens/panel?grant={state}&language={language}&back={back}")
        assert shown == page.locator("main").evaluate(SHOWN), state
        assert page.complaints == []
    for desk in desks:
        desk.server.shutdown()


def test_the_days_are_those_the_server_reckons(show: Any) -> None:
    """Also where a month is shorter than the day of the choice."""
    for day in (date(2026, 8, 31), date(2027, 8, 31), date(2026, 12, 1)):
        choice = Choice.accept_all(NOTICE, day)
        page = show("/article?grant=accepted")
        page.context.add_cookies([{"name": "volens", "value": choice.text(), "url": page.url}])
        page.evaluate("volens.open()")
        said = LANGUAGES["fr"]
        expected = said.texts["choice.given"].format(date=said.day(day), until=said.day(expires(day, NOTICE.months)))
        assert panel(page).get_by_text(expected).is_visible()


def test_the_panel_and_its_texts_come_when_it_is_opened(show: Any, desk: Desk) -> None:
    """A page that shows the notice has asked for nothing of it; the panel is one file, whatever the visitor chose."""
    page = show("/article")
    assert [path for path in desk.seen.gets if path.startswith("/_volens/")] == []
    opened(page)
    asked = [path for path in desk.seen.gets if path.startswith("/_volens/")]
    assert len(asked) == 1 and re.fullmatch(r"/_volens/panel-fr-[0-9a-f]{8}\.js", asked[0])
