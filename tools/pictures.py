"""The pictures in ``docs/images``, taken of the running demonstration: ``python tools/pictures.py`` (Chromium, ``volens[demo]``)."""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "demo")]
IMAGES = ROOT / "docs" / "images"
LARGEST = 60_000
ARTICLE = "/article/pont-vieux"
DESK, PHONE = (1280, 800), (390, 844)


class Walk:
    """One visitor, and what they see kept as WebP."""

    def __init__(self, browser: Any, url: str, size: tuple[int, int], scheme: str, name: str) -> None:
        width, height = size
        self.url = url
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            locale="fr-FR",
            reduced_motion="reduce",
            user_agent=f"Mozilla/5.0 {name}",
        )
        self.page = self.context.new_page()

    def open(self, path: str) -> Walk:
        self.page.goto(self.url + path, wait_until="load")
        self.page.wait_for_timeout(900)
        return self

    def press(self, name: str) -> Walk:
        self.page.get_by_role("button", name=name, exact=True).locator("visible=true").first.click()
        self.page.wait_for_timeout(1500)
        return self

    def at(self, selector: str) -> Walk:
        self.page.locator(selector).first.evaluate("e => e.scrollIntoView({block: 'center'})")
        self.page.wait_for_timeout(900)
        return self

    def keep(self, name: str) -> None:
        session = self.context.new_cdp_session(self.page)
        for quality in (82, 70, 55, 40):
            data = base64.b64decode(session.send("Page.captureScreenshot", {"format": "webp", "quality": quality})["data"])
            if len(data) < LARGEST:
                break
        (IMAGES / f"{name}.webp").write_bytes(data)
        print(f"{name}.webp {len(data)}")


def take(browser: Any, url: str) -> None:
    """Every picture."""

    def walk(size: tuple[int, int], scheme: str = "light") -> Walk:
        walk.number += 1  # type: ignore[attr-defined]
        return Walk(browser, url, size, scheme, f"Visite/{walk.number}")  # type: ignore[attr-defined]

    walk.number = 0  # type: ignore[attr-defined]
    walk(DESK).open(ARTICLE).keep("notice")
    walk(PHONE, "dark").open(ARTICLE).keep("notice-dark")
    panel = walk(DESK).open(ARTICLE).press("Paramétrer vos choix")
    panel.page.get_by_role("switch", name="Vidéos").first.click()
    panel.keep("panel")
    walk(PHONE, "dark").open("/_volens/panel").keep("panel-dark")
    refused = walk(DESK).open(ARTICLE).press("Tout refuser")
    refused.at(".video").keep("placeholders")
    refused.at("volens-gate").keep("comments")
    refused.page.get_by_label("Votre nom").fill("Odile")
    refused.page.get_by_label("Votre commentaire").fill("Je l’ai traversé ce matin, sans me presser.")
    refused.press("Publier").keep("gate")
    agreed = walk(DESK).open(ARTICLE).press("Tout accepter")
    agreed.at(".video").keep("accepted")
    agreed.page.locator("#volens-band").click()
    agreed.page.wait_for_timeout(900)
    agreed.press("Tout refuser").open("/temoin").keep("withdrawn")
    agreed.open("/_volens/policy").keep("policy")
    agreed.open("/_volens/rights").keep("rights")
    agreed.open("/_volens/admin/").keep("audience")
    walk(PHONE).open(ARTICLE).press("Tout accepter").open("/temoin").at("[data-party=enchere]").keep("counters-phone")


def main() -> None:
    from playwright.sync_api import sync_playwright
    from volens_demo import start

    from volens.check import ARGUMENTS, chromium

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    def run(work: Callable[[], Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work(), loop).result(60)

    with tempfile.TemporaryDirectory() as home:
        demo = run(lambda: start(0, home=Path(home)))
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
                take(browser, demo.url)
                browser.close()
        finally:
            run(demo.close)


if __name__ == "__main__":
    main()
