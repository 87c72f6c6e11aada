"""The exempt count of pages: it goes on after a refusal, sets nothing, and stops for a reader who objects (R25–R28)."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from visitor import TECHNICAL, Visitor

from tests.running import until


def read(visitor: Visitor, path: str) -> int:
    """Views of one page, as the operator's page on this machine has them."""
    address = f"{visitor.demo.url}/_volens/admin/audience.json?days=7".replace("courrier.localhost", "127.0.0.1")
    with urllib.request.urlopen(address) as answer:
        return next((row["views"] for row in json.load(answer)["paths"] if row["name"] == path), 0)


def test_a_page_read_is_counted_whatever_the_choice_and_nothing_is_set_for_it(visitor: Visitor) -> None:
    visitor.open("/membres")
    before = read(visitor, "/article/rex")
    visitor.refuse()
    visitor.open("/article/rex")
    visitor.open("/article/rex?a=1#b")
    assert read(visitor, "/article/rex") == before + 2
    visitor.page.evaluate("fetch('/article/rex')")
    visitor.read_on()
    assert read(visitor, "/article/rex") == before + 2, "a script's request is no page read"
    assert visitor.device() <= TECHNICAL and "volens-audience" not in visitor.cookies()


def objection(visitor: Visitor) -> Any:
    return visitor.page.get_by_role("switch", name="Ne pas compter mes visites")


def test_the_switch_in_the_dialog_objects_and_takes_it_back(visitor: Visitor) -> None:
    visitor.open("/membres").refuse()
    dialog = visitor.panel()
    assert not objection(visitor).is_checked(), "no switch is on at first (R04)"
    objection(visitor).click()
    visitor._and_reloaded(lambda: dialog.get_by_role("button", name="OK", exact=True).click())
    assert "volens-audience" in visitor.cookies()
    before = read(visitor, "/article/rex")
    visitor.open("/article/rex")
    assert read(visitor, "/article/rex") == before
    visitor.panel()
    assert objection(visitor).is_checked()
    objection(visitor).click()
    dialog = visitor.page.get_by_role("dialog")
    visitor._and_reloaded(lambda: dialog.get_by_role("button", name="Tout refuser", exact=True).click())
    assert "volens-audience" not in visitor.cookies()
    again = read(visitor, "/article/rex")
    assert again in (before, before + 1)
    visitor.open("/article/rex")
    assert read(visitor, "/article/rex") == again + 1


def test_the_switch_works_without_javascript(visitors: Callable[..., Visitor]) -> None:
    visitor = visitors(java_script_enabled=False)
    visitor.page.goto(visitor.demo.url + "/_volens/panel?back=/article/rex")
    objection(visitor).check()
    visitor.page.get_by_role("button", name="OK", exact=True).click()
    visitor.page.wait_for_url("**/article/rex")
    assert until(lambda: {"volens", "volens-audience"} <= visitor.cookies())
    before = read(visitor, "/article/rex")
    visitor.page.goto(visitor.demo.url + "/article/rex")
    assert read(visitor, "/article/rex") == before
    visitor.page.goto(visitor.demo.url + "/_volens/panel")
    assert objection(visitor).is_checked()


@pytest.mark.parametrize("header", ["DNT"])
def test_do_not_track_objects(visitors: Callable[..., Visitor], header: str) -> None:
    visitor = visitors(extra_http_headers={header: "1"})
    before = read(visitor, "/article/rex")
    visitor.open("/article/rex")
    assert read(visitor, "/article/rex") == before
    visitor.open("/_volens/panel")
    assert "Do Not Track" in visitor.page.inner_text("main")
