"""The demonstration by keyboard alone: Tab, Enter, Escape and space. What has the focus is always seen, and it is never lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from visitor import Visitor

from tests.running import until

FOCUSED = """() => {
  let at = document.activeElement, x = 0, y = 0;
  for (;;) {
    const inner = at?.shadowRoot?.activeElement ?? at?.contentDocument?.activeElement;
    if (!inner || inner == at?.contentDocument?.body) break;
    if (at.contentDocument) { const box = at.getBoundingClientRect(); x += box.x; y += box.y; }
    at = inner;
  }
  const numbers = (colour) => colour.match(/[\\d.]+/g)?.map(Number) ?? [];
  const light = (c) => [0, 1, 2].map(i => c[i] / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const style = getComputedStyle(at), box = at.getBoundingClientRect();
  let ground = [255, 255, 255];
  for (let node = at.parentElement ?? at.getRootNode().host; node; node = node.parentElement ?? node.getRootNode().host) {
    const colour = numbers(getComputedStyle(node).backgroundColor);
    if (colour.length && colour[3] !== 0) { ground = colour; break; }
  }
  const [a, b] = [light(numbers(style.outlineColor)), light(ground)].sort((p, q) => p - q);
  const none = style.outlineStyle == 'none' || parseFloat(style.outlineWidth) < 2;
  const ring = style.outlineStyle == 'auto' ? 21 : none ? 0 : (b + 0.05) / (a + 0.05);
  const said = (at.getAttribute('aria-label') || at.labels?.[0]?.innerText || at.innerText || at.value || at.title || '');
  return { name: said.trim().replace(/\\s+/g, ' '), what: at.localName, ring, lost: at == document.body || at == document.documentElement,
    seen: box.width > 0 && y + box.bottom > 0 && y + box.top < innerHeight && x + box.right > 0 && x + box.left < innerWidth } }"""


class Keys:
    """What the keyboard reaches; every stop is looked at."""

    def __init__(self, visitor: Visitor) -> None:
        self.page = visitor.page
        self.stops = 0

    def at(self) -> dict[str, Any]:
        return dict(self.page.evaluate(FOCUSED))

    def to(self, name: str, most: int = 80) -> dict[str, Any]:
        """Tab until what is called so has the focus."""
        passed = []
        for _ in range(most):
            self.page.keyboard.press("Tab")
            now = self.at()
            if now["lost"]:
                continue  # past the end: the browser's own bar
            self.stops += 1
            passed.append(now["name"][:40])
            seen = now["seen"] or until(lambda: self.at()["seen"])  # the page may scroll softly
            assert seen and (now["ring"] >= 3 or now["what"] == "iframe"), now
            if now["name"].startswith(name):
                return now
        raise AssertionError(f"{name}: not among {passed}")

    def press(self, name: str, key: str = "Enter") -> None:
        self.to(name)
        self.page.keyboard.press(key)

    def reloaded(self, act: Callable[[], None]) -> None:
        self.page.evaluate("window.__before = true")
        act()
        self.page.wait_for_function("!window.__before && document.readyState === 'complete'")

    def panel(self) -> None:
        self.page.keyboard.press("Enter")
        self.page.get_by_role("dialog").wait_for()
        assert not self.at()["lost"]


def test_everything_by_keyboard(visitor: Visitor, tmp_path: Path) -> None:
    keys, page = Keys(visitor), visitor.open().page

    keys.press("Tout refuser")
    assert until(lambda: "volens" in visitor.cookies()) and until(lambda: keys.at()["name"].startswith("Stockage refusé")), keys.at()

    keys.panel()
    page.keyboard.press("Escape")
    assert until(lambda: keys.at()["name"].startswith("Stockage")), "closing gives the focus back"
    keys.panel()
    keys.press("Autoriser\u00a0: Réseaux sociaux".replace("\u00a0", " "), "Space")
    keys.reloaded(lambda: keys.press("OK"))
    assert visitor.told()["granted"].count("reseaux-sociaux") == 1
    assert until(lambda: keys.at()["name"].startswith("Stockage")), "the page is made again, and the focus is where the answer is shown"

    keys.press("Autoriser VidéoTube")
    assert until(lambda: visitor.received()["videotube"]), "the video is there, in its place"
    assert not keys.at()["lost"] and keys.at()["what"] == "iframe"

    box = keys.to("Votre commentaire")
    page.keyboard.type("Écrit sans souris")
    keys.to("Nom")
    page.keyboard.type("Odette")
    with page.expect_response("**/isso/new*") as answer:
        keys.press("Soumettre")
    assert answer.value.status == 201 and until(lambda: visitor.published("Écrit sans souris")) and box["what"] in ("textarea", "div")

    keys.press("Stockage")
    page.get_by_role("dialog").wait_for()
    keys.reloaded(lambda: keys.press("Tout refuser"))
    assert until(lambda: keys.at()["name"].startswith("Stockage refusé")) and visitor.told()["granted"].count("reseaux-sociaux") == 0

    keys.panel()
    keys.press("Politique de confidentialité")
    page.wait_for_url(lambda url: "/_volens/policy" in url)
    page.keyboard.press("Tab")
    assert not keys.at()["lost"] and page.get_by_role("heading", level=1).is_visible()

    visitor.open()
    keys.to("Stockage")
    keys.panel()
    keys.press("Voir ce qui est enregistré")
    page.wait_for_url(lambda url: "/_volens/rights" in url)
    with page.expect_download() as download:
        keys.press("Télécharger ce choix")
    download.value.save_as(tmp_path / "choice.json")
    assert json.loads((tmp_path / "choice.json").read_text())["record"] is None, "a refusal: what the cookie says, and nothing else"
    assert keys.stops > 60


def test_a_ring_that_cannot_be_seen_is_found(visitor: Visitor) -> None:
    visitor.open()
    visitor.page.evaluate(
        "document.querySelector('volens-notice').shadowRoot.adoptedStyleSheets = [Object.assign(new CSSStyleSheet())];"
        "document.querySelector('volens-notice').shadowRoot.adoptedStyleSheets[0].replaceSync(':focus-visible{outline-color:#eee!important}')"
    )
    visitor.page.keyboard.press("Tab")
    assert Keys(visitor).at()["ring"] < 3
