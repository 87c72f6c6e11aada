"""What every test in a browser shares: the browser, and the demonstration running with Volens in front, on free ports.

``VOLENS_DEMO=raw`` runs the same site with nothing in front: every promise must then be seen to fail.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "demo"))

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium_path() -> str | None:
    """``VOLENS_CHROMIUM``, else the system's, else None: Playwright's own."""
    named = os.environ.get("VOLENS_CHROMIUM")
    if named:
        return named
    return next(
        (path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome") if os.path.exists(path)), None
    )


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running Chromium (Playwright ``Browser``)."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(ARGUMENTS))
        except Error as error:
            pytest.fail(f"no Chromium: set VOLENS_CHROMIUM, install the package chromium, or run 'playwright install chromium'. {error}")
        yield browser
        browser.close()


class Running:
    """A demonstration in a thread of its own."""

    def __init__(self, demo: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.demo = demo
        self.url: str = demo.url
        self._loop = loop

    def ask(self, question: Callable[[], Any]) -> Any:
        """The answer of ``question``, asked in the demonstration's own thread."""

        async def answer() -> Any:
            return question()

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result(10)

    def received(self, browser: str) -> Any:
        """What the third parties have received from this User-Agent."""
        return self.ask(lambda: self.demo.memory.received(browser))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demonstration, as ``volens demo`` runs it."""
    from volens_demo import start

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="demo", daemon=True)
    thread.start()
    volens = os.environ.get("VOLENS_DEMO") != "raw"
    started = asyncio.run_coroutine_threadsafe(start(0, volens=volens, home=tmp_path_factory.mktemp("demo")), loop).result(30)
    yield Running(started, loop)
    asyncio.run_coroutine_threadsafe(started.close(), loop).result(15)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
