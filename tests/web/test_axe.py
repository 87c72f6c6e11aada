"""axe finds nothing on any screen a visitor can see, in any language: one browser, one page, everything unfolded."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page
from screens_site import PART, STATIC
from test_languages import EVERY, GRANTS, LANGUAGES, SITE_, UNFOLD, places, screens

from volens.languages import Language
from volens.web.screens import Screens

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
RUN = """async () => (await axe.run(document, {resultTypes: ['violations'], preload: false})).violations
    .map(v => v.id + ': ' + v.nodes[0].target + ' ' + v.nodes[0].failureSummary)"""
OPEN = """async ([file, choice]) => {
    document.cookie = 'volens=' + choice;
    const host = document.querySelector('volens-notice');
    await (await import('data:text/javascript;base64,' + file)).open({host, config: {p: '/_volens/'}}) }"""
SCREENS = Screens(SITE_, {"dialog-text": (STATIC / "dialog.js").read_text()})


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """With axe in it: setting its content leaves its scripts."""
    context = chromium.new_context(reduced_motion="reduce", viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<!DOCTYPE html><title>x</title>", content_type="text/html"))
    page.goto("http://lequai.test/")  # a place with cookies
    page.evaluate(AXE)
    yield page
    context.close()


def around(markup: str, code: str) -> str:
    """In a page of the site that has no fault of its own."""
    head = f'<html lang="{code}"><head><title>x</title>'
    start, end = ("<main><h1>x</h1>", "</main>") if "<body><volens-gate" in markup else ("", "<main><h1>x</h1></main>")
    return markup.replace("<html><head>", head).replace("<body>", "<body>" + start).replace("</body>", end + "</body>")


def look(page: Page, markup: str) -> list[str]:
    page.set_content(markup)
    page.evaluate(UNFOLD)
    return list(page.evaluate(RUN))


@EVERY
def test_axe_finds_nothing_on_any_screen(page: Page, language: Language) -> None:
    code = language.code
    found: dict[str, Any] = {
        name: look(page, around(markup, code) if "<html><head>" in markup else markup) for name, markup in screens(code).items()
    }
    for number, markup in enumerate(places(code)):
        found[f"placeholder {number}"] = look(page, markup)
    found["embed frame"] = look(page, SCREENS.playing("about:blank#film", {"title": "Film"}))
    for state, choice in (("none", ""), ("part", PART.text())):
        dress = SCREENS.dress(GRANTS[state], code).body
        page.set_content(f'<!DOCTYPE html><html lang="{code}"><title>x</title><body>{dress}<main><h1>x</h1></main>')
        page.evaluate(OPEN, [b64encode(SCREENS.dialog(code)[1]).decode(), choice])
        page.evaluate(UNFOLD)
        assert page.locator("dialog[open] [role=switch]").count() > 9
        assert bool(page.locator("dialog [name=services]:checked").count()) == bool(choice)
        found[f"dialog {state}"] = page.evaluate(RUN)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_axe_sees_a_fault_set_into_such_a_screen(page: Page) -> None:
    text = screens("ar")["panel"]
    assert any(
        "label" in fault or "name" in fault for fault in look(page, text.replace("aria-label", "data-label").replace("<b>", "<i hidden>"))
    )
    assert any("contrast" in fault for fault in look(page, text.replace("--t:", "--t:#ddd;--u:")))
    assert len(LANGUAGES) == 9
