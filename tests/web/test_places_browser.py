"""In a browser: one press under an opt-out law, a minor's panel, and for which addresses a choice holds (R41, R42, R45)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.enforce.making import NOTICE, SITE, granted
from tests.web.making import Clock, gateway
from tests.web.wsgi_server import serving
from volens.site import Regions
from volens.web.screens import Screens
from volens.web.wsgi import WsgiFace

PAGE = b"<!DOCTYPE html><html lang=en><head><title>a</title></head><body><h1>News</h1><p>Text</p></body></html>"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A site that follows the place in ``X-Place``, and calls the reader of ``/enfant`` a minor."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        age = [("Volens-Age", "minor")] if environ["PATH_INFO"] == "/enfant" else []
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), *age])
        return [PAGE]

    site = replace(SITE, regions=Regions(b"x-place"), minors=("publicite",), told_age=True)
    made = gateway(tmp_path, site=site, now=Clock())
    with serving(WsgiFace(app, lambda: made)) as port:
        yield f"http://127.0.0.1:{port}"
    made.close()


@pytest.mark.parametrize("script", [True, False])
def test_one_press_stops_what_nobody_was_asked_about(show: Any, url: str, script: bool) -> None:
    page = show(f"{url}/", extra_http_headers={"X-Place": "US-CA"}, java_script_enabled=script)
    host, button = page.locator("volens-notice"), page.get_by_role("button", name="Do Not Sell or Share My Personal Information")
    assert host.get_attribute("data-storage") == "part" and page.get_by_role("button", name="Accept all").count() == 0
    assert page.get_by_role("region", name="Your choices").get_by_text("without asking you").is_visible()
    button.click()
    expect(page.locator("#volens-ask")).to_have_count(0)  # the page was made again
    page.goto(f"{url}/autre")
    assert host.get_attribute("data-storage") == "no" and button.count() == 0 and page.get_by_text("without asking you").count() == 0


def test_the_band_opens_a_panel_that_says_so(show: Any, url: str) -> None:
    page = show(f"{url}/", extra_http_headers={"X-Place": "US-CA"})
    page.locator("#volens-band").click()
    page.wait_for_url(re.compile("/_volens/panel"))
    assert (
        page.get_by_text("none of it counts as consent").is_visible()
        and page.locator("[name=purposes]:checked").count() == len(NOTICE.askable) - 1
    )
    page.get_by_role("button", name="Refuse all").click()
    page.wait_for_url(f"{url}/")
    assert page.locator("volens-notice").get_attribute("data-profiles") == "no"


def test_a_minor_meets_closed_switches(show: Any, url: str) -> None:
    page = show(f"{url}/enfant")
    assert page.get_by_text("you are a minor").first.is_visible()
    page.get_by_role("button", name="Set your choices").click()
    page.wait_for_url(re.compile("/_volens/panel"))
    assert page.locator("[name=purposes]:disabled").count() == 2 and page.get_by_text("locked for minors").count() >= 2
    page.get_by_role("button", name="Accept all").click()
    page.wait_for_url(f"{url}/enfant")
    assert page.locator("volens-notice").get_attribute("data-profiles") == "no"
    assert {c["name"] for c in page.context.cookies() if c["expires"] == -1} == {"volens-age"}


def test_each_address_the_choice_holds_for_stands_on_every_layer() -> None:
    names = ("site.example", "www.site.example", "m.site.example")
    screens = Screens(replace(SITE, notice=replace(NOTICE, scope=names)), {})
    none = replace(granted(), answered=False, asked=True)
    for text in (screens.dress(none, "en").body, screens.panel(none, "en", "/"), screens.policy(none, "en")):
        assert re.search(r"on (?:\W|<[^>]+>)*site\.example, www\.site\.example,? and m\.site\.example", text), text[:3000]
