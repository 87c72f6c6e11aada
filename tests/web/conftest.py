"""A browser, the screens behind a server and a gateway with a visitor, for the tests of what a visitor sees and does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from screens_site import Desk

from tests.web.making import Clock, Visitor, gateway
from volens.web.gateway import Gateway


@pytest.fixture(scope="module")
def _desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.server.shutdown()


@pytest.fixture
def desk(_desk: Desk) -> Desk:
    """Has seen nothing yet."""
    _desk.seen.posts.clear()
    _desk.seen.gets.clear()
    _desk.fails = False
    return _desk


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """Chromium."""
    return chromium


@pytest.fixture
def show(browser: Browser, desk: Desk) -> Iterator[Any]:
    """``show(path, width, height, **options of the context)`` opens a page; ``page.complaints`` are the console's errors."""
    contexts = []

    def show(path: str, width: int = 1280, height: int = 800, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, locale="fr-FR", **options)
        context.set_default_timeout(30000)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []  # type: ignore[attr-defined]
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" and "favicon" not in m.location["url"] else None)  # type: ignore[attr-defined]
        page.on("pageerror", lambda e: page.complaints.append(str(e)))  # type: ignore[attr-defined]
        page.goto(path if "://" in path else desk.url + path)
        return page

    yield show
    for context in contexts:
        context.close()


@pytest.fixture
def clock() -> Clock:
    """The gateway's time."""
    return Clock()


@pytest.fixture
def made(tmp_path: Path, clock: Clock) -> Iterator[Gateway]:
    """A gateway over a ledger of its own."""
    built = gateway(tmp_path, now=clock)
    yield built
    built.store.close()


@pytest.fixture
def visitor(made: Gateway) -> Visitor:
    """Holds no cookie yet."""
    return Visitor(made)
