"""Every odd page in every state: its text and its own functions are as without Volens, and only who is allowed hears of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from odd_site import TABLE, Odd

from tests.running import until

PURPOSE = {"gauge": "personnalisation", "badge": "reseaux-sociaux", "finder": "personnalisation", "bidder": "publicite", "film": "video"}
"""Who needs an agreement to what; the others of the site need none."""
PURPOSES = ("personnalisation", "publicite", "video", "reseaux-sociaux")
STATES = ("none", "refused", *PURPOSES, "accepted")
ANSWER = """async ([answer, purposes]) => {
  const form = document.querySelector("volens-notice").shadowRoot.querySelector("form"), fields = new FormData(form);
  const body = JSON.stringify({...Object.fromEntries([...fields.keys()].map(name => [name, fields.getAll(name)])), answer, purposes});
  const reply = await fetch("/_volens/choice", {method: "POST", headers: {"Content-Type": "application/json"}, body});
  return reply.status; }"""
SEEN = """() => ({works: (document.documentElement.getAttribute("data-works") || "").split(" ").filter(Boolean).sort(),
  notices: document.querySelectorAll("volens-notice").length,
  text: [...document.querySelectorAll("main")].map(main => main.innerText).join("\\n").replace(/\\s+/g, " ").trim()})"""
_number = itertools.count(1)


class Visitor:
    """A browser profile in one state; ``state`` raw: of the site without Volens."""

    def __init__(self, browser: Any, odd: Odd, state: str) -> None:
        self.odd, self.state = odd, state
        self.agent = (
            f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Odd/{next(_number)}"
        )
        self.context = browser.new_context(user_agent=self.agent, locale="en-GB", viewport={"width": 1280, "height": 900})
        self.context.set_default_timeout(30000)
        self.url = odd.raw if state == "raw" else odd.url
        if state == "raw":  # the only ones that would leave this machine
            self.context.route(re.compile(r"https://www\.googletagmanager\.com/"), lambda route: route.abort())
            shows = "document.querySelector('style[amp-boilerplate]')?.remove()"  # all that a reader sees AMP's own script do here
            self.context.route(
                re.compile(r"https://cdn\.ampproject\.org/"), lambda route: route.fulfill(body=shows, content_type="text/javascript")
            )
        self.page = self.context.new_page()
        self.said: list[str] = []
        """What the console says of the page that is looked at."""
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        if state not in ("raw", "none"):
            self.page.goto(f"{self.url}/p/print")
            self.answer(self.page, state)

    @staticmethod
    def answer(page: Any, state: str) -> None:
        word = {"refused": "refuse", "accepted": "accept"}.get(state, "switches")
        assert page.evaluate(ANSWER, [word, [state] if state in PURPOSES else []]) in (200, 201)

    def allowed(self, party: str) -> bool:
        """Whether this party may hear of this visitor."""
        return self.state in ("raw", "accepted") or PURPOSE.get(party) in (None, self.state)

    def heard(self, since: int = 0) -> set[tuple[str, str]]:
        """Third parties and the paths they were asked for."""
        return set(self.odd.received(self.agent, since))


class Look:
    """One page in one state, as it was seen. It is opened when this is made, ``come`` waits for what it is to do, ``see`` looks."""

    def __init__(self, visitor: Visitor, name: str) -> None:
        self.visitor, self.row = visitor, TABLE[name]
        self.said: list[str] = []
        self._since = len(visitor.odd.received(visitor.agent))
        visitor.said = self.said
        visitor.page.goto(f"{visitor.url}/p/{name}", wait_until="commit")
        self.wanted = {*self.row["works"], *(work for work, party in self.row.get("with", {}).items() if visitor.allowed(party))}
        self.expected: set[tuple[str, str]] = set()
        """Of third parties, with the paths they are asked for without Volens."""

    def come(self, raw: Look | None = None) -> None:
        visitor, page, never = self.visitor, self.visitor.page, self.row.get("never", ())
        page.wait_for_load_state("load")
        for button in self.row.get("press", ()):
            page.get_by_role("button", name=button, exact=True).first.click()
        heard = raw.visitor.heard(raw._since) if raw else ()
        self.expected = {(party, path) for party, path in heard if visitor.allowed(party) and not {party, party + path} & {*never}}

        def told() -> bool:
            heard = visitor.heard(self._since)
            parties = heard >= self.expected if raw else {party for party, _ in heard} >= set(self.row["parties"])
            return parties and self.wanted <= set(page.evaluate(SEEN)["works"])

        until(told)

    def see(self) -> None:
        visitor, page = self.visitor, self.visitor.page
        seen = page.evaluate(SEEN)
        self.works, self.text, self.notices = set(seen["works"]), seen["text"], seen["notices"]
        self.places = page.locator("iframe[src*='/_volens/embed/']").count()
        self.frames = [f.evaluate("document.body.innerText") for f in page.frames[1:] if f.url.startswith(visitor.url + "/parts/")]
        self.heard = visitor.heard(self._since)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Odd]:
    running = Odd(tmp_path_factory.mktemp("odd"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def visitors(chromium: Any, odd: Odd) -> Iterator[dict[str, Visitor]]:
    made = {state: Visitor(chromium, odd, state) for state in ("raw", *STATES)}
    yield made
    for visitor in made.values():
        visitor.context.close()


def states(row: dict[str, Any]) -> list[str]:
    """Those that make a difference to this page."""
    used = {PURPOSE.get(party) for party in row["parties"]}
    return [state for state in STATES if state not in PURPOSES or state in used]


# Pages that no notice can stand in.
WITHOUT = {"frameset": 0, "feed": 0}


@pytest.mark.parametrize("name", [name for name in TABLE if name != "installed"])
def test_a_page_is_as_it_was_but_for_who_hears_of_it(name: str, visitors: dict[str, Visitor]) -> None:
    raw, *looks = [Look(visitors[state], name) for state in ("raw", *states(TABLE[name]))]
    raw.come()
    raw.visitor.page.wait_for_timeout(100)
    for look in looks:
        look.come(raw)
    raw.visitor.page.wait_for_timeout(250)  # what comes late, and should not
    for look in (raw, *looks):
        look.see()
    assert raw.wanted == raw.works, f"without Volens: {raw.said}"
    assert {party for party, _ in raw.heard} == {*TABLE[name]["parties"], *(who.partition("/")[0] for who in TABLE[name].get("never", ()))}
    wrong: list[str] = []
    for look in looks:
        state = look.visitor.state
        for what, found, wanted in (
            ("works", look.works, look.wanted),
            ("hear", look.heard, look.expected),
            ("text", look.text, raw.text),
            ("frames", look.frames, raw.frames),
            ("notices", look.notices, WITHOUT.get(name, 1)),
        ):
            if found != wanted:
                wrong.append(f"{state}: {what}: {found!r}, wanted {wanted!r}")
        if TABLE[name].get("placeholder") and (look.places > 0) is not (state in ("none", "refused")):
            wrong.append(f"{state}: {look.places} placeholders")
        allowed = [*TABLE[name].get("says", ())]
        if state != "accepted":
            allowed.append("Content Security Policy")  # of what is refused a browser says so
        said = [text for text in look.said if text not in raw.said and not any(re.search(pattern, text) for pattern in allowed)]
        if said:
            wrong.append(f"{state}: says {said}")
    assert not wrong, "\n".join(wrong)


def test_a_service_worker_of_before_takes_itself_away(chromium: Any, odd: Odd) -> None:
    """It answers with an old page that tells Gauge, before anybody asks us; a browser looks for a newer one at each visit."""
    visitor = Visitor(chromium, odd, "none")
    page = visitor.page
    odd.bypassed = True
    try:
        page.goto(f"{odd.url}/p/installed")
        page.evaluate("navigator.serviceWorker.ready.then(() => caches.has('app-1'))")
        page.reload()
        assert until(lambda: ("gauge", "/hit") in visitor.heard() and page.evaluate("!!navigator.serviceWorker.controller"))
    finally:
        odd.bypassed = False
    page.goto(f"{odd.url}/p/installed")
    page.wait_for_selector("volens-notice", state="attached")  # made anew, by us, with nothing pressed
    assert until(lambda: page.evaluate("navigator.serviceWorker.getRegistrations().then(all => all.length)") == 0)
    cdp = visitor.context.new_cdp_session(page)
    assert cdp.send("CacheStorage.requestCacheNames", {"securityOrigin": odd.url})["caches"] == []
    page.wait_for_timeout(300)
    for state in ("refused", "accepted"):
        since = len(odd.received(visitor.agent))
        visitor.context.clear_cookies()
        page.goto(f"{odd.url}/p/print")
        Visitor.answer(page, state)
        page.goto(f"{odd.url}/p/installed")
        assert until(lambda: page.evaluate(SEEN)["works"] == ["refused"])
        assert page.evaluate(SEEN)["text"] == "An app"
        assert until(lambda since=since: bool(visitor.heard(since)), 30 if state == "accepted" else 1) is (state == "accepted")
    visitor.context.close()


def test_a_page_that_routes_without_loading_follows_a_refusal(chromium: Any, odd: Odd) -> None:
    """Nothing is heard before, after, or on any later view; the notice is answered once and its band stays."""
    visitor = Visitor(chromium, odd, "none")
    page = visitor.page
    page.goto(f"{odd.url}/p/single-page")
    assert until(lambda: "back" in page.evaluate(SEEN)["works"])
    page.locator("volens-notice").get_by_role("button", name="Refuse all", exact=True).click()
    assert until(lambda: any(cookie["name"] == "volens" for cookie in visitor.context.cookies()))
    for view in ("third", "fourth"):
        page.evaluate("view => go(view)", view)
    assert until(lambda: "fourth" in page.evaluate(SEEN)["works"])
    page.wait_for_timeout(200)
    assert {party for party, _ in visitor.heard()} == {"libs"}
    assert page.evaluate("[location.pathname, document.querySelectorAll('volens-notice').length]") == ["/spa/fourth", 1]
    assert page.evaluate("document.querySelector('volens-notice').shadowRoot.querySelector('#volens-band').checkVisibility()")
    page.goto(f"{odd.url}/spa/fourth")
    assert (
        page.evaluate("document.querySelector('volens-notice').shadowRoot.querySelector('#volens-ask')?.checkVisibility() ?? false")
        is False
    )
    visitor.context.close()


def test_every_page_has_its_row_and_every_row_its_line() -> None:
    folder = Path(__file__).parent / "pages"
    assert {file.stem for file in folder.iterdir() if file.stem not in ("table", "parts")} == set(TABLE)
    told = (Path(__file__).parent.parent.parent / "docs" / "explanation" / "odd-pages.md").read_text("utf-8")
    missing = [name for name, row in TABLE.items() if row["shape"] not in told]
    assert not missing, missing


def test_one_answer_is_enough_for_a_page_of_frames(chromium: Any, odd: Odd) -> None:
    """Each frame that is the site's own page asks; what is answered in one is answered in all."""
    visitor = Visitor(chromium, odd, "none")
    page = visitor.page
    page.goto(f"{odd.url}/p/frameset")
    asks = "document.querySelector('volens-notice').shadowRoot.querySelector('#volens-ask').checkVisibility()"
    assert until(lambda: all((frame := page.frame(name)) and frame.locator("volens-notice").count() for name in ("menu", "text")))
    menu, text = (page.frame(name) for name in ("menu", "text"))
    assert menu.evaluate(asks) and text.evaluate(asks)
    text.locator("volens-notice").get_by_role("button", name="Refuse all", exact=True).click()
    assert until(lambda: not menu.evaluate(asks) and not text.evaluate(asks))
    visitor.context.close()
