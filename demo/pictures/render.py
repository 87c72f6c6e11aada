"""Draws the three pictures of the edition: SVG of our own into the JPEG files that the demonstration serves. Needs Playwright."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("VOLENS_CHROMIUM"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        for source in sorted(HERE.glob("*.svg")):
            page.set_content(f"<style>*{{margin:0}}svg{{display:block;width:1280px;height:720px}}</style>{source.read_text()}")
            page.screenshot(path=HERE.parent / "volens_demo" / "static" / f"{source.stem}.jpg", type="jpeg", quality=76)
        browser.close()


if __name__ == "__main__":
    main()
