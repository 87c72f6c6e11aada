"""A visitor of the demonstration: a browser of their own, fresh, and what can be seen of it from outside."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Error

from tests.running import until

ARTICLE = "/article/pont-vieux"
PURPOSES = {
    "reseaux-sociaux": "Réseaux sociaux",
    "video": "Vidéos",
    "publicite": "Publicité",
    "personnalisation": "Personnalisation",
    "geolocalisation": "Géolocalisation",
}
PARTIES = {
    "reseaux-sociaux": {"telepost", "xpost", "trombine"},
    "video": {"videotube"},
    "publicite": {"regie-pub", "enchere", "pixel"},
    "personnalisation": {"mesure"},
    "geolocalisation": set(),
}
"""The third parties that each purpose opens, and no other."""
UNLISTED = "velos-aubin"
"""The advertiser at the end of the chain: on a host nobody can list, reached only when everything is granted."""
ON_SITE = {
    "reseaux-sociaux": {"telepost-appareil", "isso-author", "isso-email", "isso-website", "isso-#", "#"},
    "video": set(),
    "publicite": {"__regie_uid"},
    "personnalisation": {"_ga", "_ga_COURRIER", "mesure_session", "profil_lecture"},
    "geolocalisation": {"meteo_lieu"},
}
"""What each purpose keeps on the device under the newspaper's own name."""
TECHNICAL = {"volens", "volens-record", "aud_visite", "courrier_session", "langue", "theme", "brouillon"}
NOTICE = "volens-notice"
_number = itertools.count(1)


class Visitor:
    """One fresh profile. Its User-Agent is its own, so that the third parties' memories can be told apart."""

    def __init__(self, browser: Any, demo: Any, **options: Any) -> None:
        self.demo = demo
        self.agent = (
            f"Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Visiteur/{next(_number)}"
        )
        self.options = options = {"locale": "fr-FR", "viewport": {"width": 1280, "height": 800}, **options}
        self.context = browser.new_context(user_agent=self.agent, **options)
        self.context.set_default_timeout(4000 if os.environ.get("VOLENS_DEMO") == "raw" else 20000)
        self.page = self.context.new_page()
        self._mark = 0
        self.agreed = False

    def close(self) -> None:
        self.context.close()

    # Doing.

    def open(self, path: str = ARTICLE) -> Visitor:
        def loaded() -> bool:
            try:
                self.page.goto(self.demo.url + path, wait_until="load")
            except Error as error:
                if not any(said in str(error) for said in ("ERR_ABORTED", "interrupted by another navigation")):
                    raise
                return False  # a reload of ours was on its way
            return True

        assert until(loaded), f"{path} loads"
        return self

    def read_on(self, seconds: float = 1.2) -> None:
        """Scrolls through the page and gives everything in it time to act."""
        self.page.evaluate("document.scrollingElement.scrollTo({top: document.scrollingElement.scrollHeight / 2, behavior: 'instant'})")
        self.page.wait_for_timeout(seconds * 500)
        self.page.evaluate("document.scrollingElement.scrollTo({top: document.scrollingElement.scrollHeight, behavior: 'instant'})")
        self.page.wait_for_timeout(seconds * 500)

    def button(self, name: str) -> Any:
        """A button of the first layer, by its exact name."""
        return self.page.locator(NOTICE).get_by_role("button", name=name, exact=True)

    def accept(self) -> None:
        self._and_reloaded(lambda: self.button("Tout accepter").click())

    def refuse(self) -> None:
        """A first refusal: no reload."""
        self.button("Tout refuser").click()
        assert until(lambda: "volens" in self.cookies()), "no answer to the refusal"

    def panel(self) -> Any:
        """Opens the panel, from the first layer or else from the band; the dialog."""
        settings = self.button("Paramétrer vos choix")
        (settings if settings.count() and settings.is_visible() else self.band()).click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="OK", exact=True).wait_for()
        return dialog

    def unfolded(self) -> Any:
        """The panel with everything in it folded out, as a visitor does who wants to read it all."""
        dialog = self.panel()
        folded = dialog.locator("details:not([open])>summary:visible")
        while folded.count():
            folded.first.press("Enter")
        return dialog

    def switch(self, purpose: str) -> Any:
        return self.page.get_by_role("dialog").get_by_role("switch", name=PURPOSES[purpose], exact=False).first

    def choose(self, *purposes: str) -> None:
        """In the panel: just these purposes on, then *OK*."""
        dialog = self.panel()
        for purpose in PURPOSES:
            switch = self.switch(purpose)
            if switch.is_checked() != (purpose in purposes):
                switch.click()
        press = dialog.get_by_role("button", name="OK", exact=True)
        if purposes:
            self._and_reloaded(press.click)
        else:
            press.click()
            assert until(lambda: "volens" in self.cookies()), "no answer to the choice"

    def into(self, state: str) -> Visitor:
        """On an open page, the answer that leads to a state: none, refused, accepted, or one purpose's name."""
        if state == "refused":
            self.refuse()
        elif state == "accepted":
            self.accept()
        elif state != "none":
            self.choose(state)
        return self

    def withdraw(self) -> None:
        """*Tout refuser* in the panel, after an agreement: the page reloads."""
        dialog = self.panel()
        self._and_reloaded(lambda: dialog.get_by_role("button", name="Tout refuser", exact=True).click())

    def _and_reloaded(self, act: Callable[[], Any]) -> None:
        self.page.evaluate("window.__before = true")
        act()
        self.page.wait_for_function("!window.__before && document.readyState === 'complete'")

    # Seeing.

    def band(self) -> Any:
        """The band, named by its two fields."""
        return self.page.locator(NOTICE).get_by_role("button", name="Stockage")

    def field(self, which: str) -> dict[str, Any]:
        """One field of the band, ``storage`` or ``profiles``: its words, its sign, its colour, and the green share where it is divided."""
        script = """field => { const part = field.querySelector('svg path'), shown = part && part.checkVisibility();
            return {text: field.innerText.replace(/\\s+/g, ' ').trim(),
                    sign: getComputedStyle(field.querySelector('b'), '::before').content,
                    colour: getComputedStyle(field).backgroundColor, fill: shown ? getComputedStyle(part).fill : '',
                    share: shown ? part.getBoundingClientRect().width / field.getBoundingClientRect().width : null}; }"""
        return dict(self.band().locator("#s" if which == "storage" else "#p").evaluate(script))

    def received(self) -> Counter[str]:
        """Requests the third parties have received since ``forget``, by third party."""
        return Counter(receipt.party for receipt in self.demo.received(self.agent)[self._mark :])

    def forget(self) -> None:
        self._mark = len(self.demo.received(self.agent))

    def all_cookies(self) -> list[dict[str, Any]]:
        """The jar itself: what the device holds, whatever a script is told."""
        return [dict(cookie) for cookie in self.context.cookies()]

    def cookies(self) -> set[str]:
        """Names of cookies under the newspaper's own name."""
        return {c["name"] for c in self.all_cookies() if "courrier" in c["domain"]}

    def third_cookies(self) -> set[str]:
        return {c["domain"] for c in self.all_cookies() if "courrier" not in c["domain"]}

    def stored(self) -> set[str]:
        """Names really kept in local and session storage under the newspaper's own name, read past the page's scripts."""
        session = self.context.new_cdp_session(self.page)
        session.send("DOMStorage.enable")
        names: set[str] = set()
        for local in (True, False):
            where = {"securityOrigin": self.demo.url, "isLocalStorage": local}
            names.update(name for name, _ in session.send("DOMStorage.getDOMStorageItems", {"storageId": where})["entries"])
        return names

    def device(self) -> set[str]:
        """Everything named that the newspaper's pages keep on the device; a comment's number, which Isso puts into names, as ``#``."""
        return {re.sub(r"\A(isso-)?\d+\Z", r"\1#", name) for name in self.cookies() | self.stored()}

    def told(self) -> dict[str, Any]:
        """What the application receives from this visitor; of ``Volens-Consent``, which names services too, the purposes."""
        told = dict(self.page.evaluate("fetch('/moi.json').then(answer => answer.json())"))
        return told | {"granted": [name for name in told["granted"] if name in PURPOSES or name in ("audience", "technique")]}

    def comment(self, text: str) -> None:
        """Writes a comment and publishes it, by hand: in the engine's own box where writing is open, else in the plain form."""
        box = self.page.locator("#isso-thread > .isso-postbox")
        if self.page.locator("script[src*=commentaires]").count():
            box.get_by_label("Votre commentaire").fill(text)
            if box.get_by_label("Nom").is_visible():
                box.get_by_label("Nom").fill("Odette")
            with self.page.expect_response("**/isso/new*") as answer:
                box.get_by_role("button", name="Soumettre").click()
            assert answer.value.status == 201, answer.value.status
            self.page.locator("#isso-root").get_by_text(text).wait_for()
            return
        self.page.get_by_label("Votre nom").fill("Odette")
        self.page.get_by_label("Votre commentaire").fill(text)
        with self.page.expect_navigation():  # whoever answers, the page is another
            self.page.get_by_role("button", name="Publier").click()

    def published(self, text: str) -> bool:
        """Whether the engine's own database holds it."""
        return any(text in kept for _, _, kept in self.demo.demo.newspaper.engine.comments())

    def engine_received(self, *methods: str) -> list[tuple[str, str]]:
        """What the engine's own log says it was sent."""
        return [line for line in list(self.demo.demo.newspaper.engine.requests) if not methods or line[0] in methods]
