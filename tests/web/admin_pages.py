"""The operator's pages: asked for from this machine, and looked at in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, Route

from tests.web.making import settle
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply, Request

HERE = "localhost:8080"
PLACE = "/_volens/admin/"
FRENCH: Pairs = [(b"accept-language", b"fr")]


def asked(path: str = "", pairs: Pairs = (), host: str = HERE, client: str = "127.0.0.1", method: str = "GET") -> Request:  # type: ignore[assignment]
    return Request(method, f"{PLACE}{path}".encode(), [(b"host", host.encode()), *pairs], "http", host, client)


def answered(made: Gateway, path: str, pairs: Pairs = (), **more: Any) -> Reply:  # type: ignore[assignment]
    visit = made.visit(asked(path, pairs, **more))
    assert visit.own
    return settle(visit.answer(b""))


@contextmanager
def looked_at(chromium: Browser, made: Gateway, width: int, scheme: Any) -> Iterator[Callable[[str], Page]]:
    """Opens the page at a path below ``PLACE`` in such a window; whatever its console says, but of what is not there, is an error."""
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    try:
        page = context.new_page()
        said: list[str] = []

        def answer(route: Route) -> None:
            reply = answered(made, route.request.url.partition(f"{HERE}{PLACE}")[2], FRENCH)
            route.fulfill(status=reply.status, headers={k.decode(): v.decode() for k, v in reply.pairs}, body=reply.body)

        def look(path: str) -> Page:
            page.goto(f"http://{HERE}{PLACE}{path}")
            return page

        page.on("console", lambda message: said.append(message.text) if "favicon" not in message.text else None)
        page.route("**/*", answer)
        yield look
        assert [text for text in said if "404" not in text] == []
    finally:
        context.close()


def fits(page: Page) -> bool:
    """Whether the page is no wider than its window."""
    assert page.viewport_size is not None
    return bool(page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"])


def unfolded_by_keyboard(page: Page) -> None:
    """The first ``summary`` reached by Tab and opened by Enter."""
    summary = page.locator("summary").first
    for _ in range(30):
        page.keyboard.press("Tab")
        if summary.evaluate("x => x === document.activeElement"):
            break
    page.keyboard.press("Enter")


def all_unfolded(page: Page) -> Page:
    page.evaluate("document.querySelectorAll('details').forEach(x => x.open = true)")
    return page


def small(page: Page) -> int:
    """How many targets are lower than 24 pixels (WCAG 2.5.8)."""
    return int(page.evaluate("[...document.querySelectorAll('summary, nav a')].filter(x => x.getBoundingClientRect().height < 24).length"))
