"""Finding one's way on a screen in a browser, and what is wrong with it."""

from __future__ import annotations

from itertools import product
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

BUTTONS = ("refuse", "accept", "settings")
FOCUSED = """(() => { let a = document.activeElement; while (a.shadowRoot) a = a.shadowRoot.activeElement;
    return [a.id || a.value || (a.tagName == 'SUMMARY' ? a.tagName : a.innerText), getComputedStyle(a).outlineStyle] })()"""


def each(*parts: Any) -> list[Any]:
    return list(product(*parts))


def ask(page: Page) -> Locator:
    return page.locator("#volens-ask")


def button(page: Page, value: str) -> Locator:
    return page.locator(f"#volens-ask button[value={value}]")


def panel(page: Page) -> Locator:
    return page.locator("#volens-panel")


def opened(page: Page) -> Page:
    """With the dialog."""
    button(page, "settings").click()
    panel(page).wait_for()
    return page


def unfolded(page: Page) -> Page:
    """With every ``details`` open, also those that lie in others, as the keyboard opens them."""
    closed = page.locator(".v details:not([open])>summary:visible")
    while closed.count():
        closed.first.press("Enter")
    return page


def box(locator: Locator) -> dict[str, float]:
    found = locator.bounding_box()
    assert found
    return found  # type: ignore[return-value]


def faults(page: Page) -> list[str]:
    return [f"{v['id']}: {v['nodes'][0]['target']} {v['nodes'][0]['failureSummary']}" for v in Axe().run(page).response["violations"]]
