"""What can be seen of one visitor in one state, kind of data by kind: who received it, what the device keeps, what the band says.

A journey is made once and looked at by many tests: each answers on one layer of the notice, with or without JavaScript. Without
anything in front (``VOLENS_DEMO=raw``) there is nothing to answer; the journey goes on, and what is seen is what a site does then.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from table import TABLE
from visitor import ARTICLE, NOTICE, ON_SITE, PARTIES, PURPOSES, UNLISTED, Visitor

from tests.running import until

_numbers = itertools.count(1)
ADDRESS = "203.0.113.77"
"""Where the visitor is, as a front would say; cut, it ends in a nought."""
ENGINE = {"isso-author", "isso-#", "#"}
BUTTONS = ("Tout refuser", "Tout accepter", "Paramétrer vos choix")
LOOK = """button => { const s = getComputedStyle(button), r = button.getBoundingClientRect();
  return [button.tagName, Math.round(r.height), s.color, s.backgroundColor, s.fontSize, s.fontWeight, s.border].join(); }"""
TEXT = """() => [...document.querySelectorAll('article h1, article h2, article > p, article figcaption')]
  .map(e => e.textContent.replace(/\\s+/g, ' ').trim()).join('\\n')"""
LINKS = "() => [...document.querySelectorAll('.follow a')].map(a => [...a.attributes].map(x => x.name + '=' + x.value).join()).join()"
POSITION = """() => new Promise(done => {
  navigator.geolocation.getCurrentPosition(p => done(p.coords.latitude), () => done(null), {timeout: 3000}) })"""


@dataclass(frozen=True, slots=True)
class Layer:
    """Where an answer is given."""

    first: bool
    script: bool


LAYERS = {name: Layer(name.startswith("first"), not name.endswith("plain")) for name in TABLE.layers}


@dataclass(frozen=True, slots=True)
class Seen:
    """One visitor in one state."""

    answered: bool
    """Whether there was something to answer."""
    signs: Mapping[str, Mapping[str, bool]]
    """By kind of data: what shows that it is processed, and whether it was there."""
    kept: Mapping[str, frozenset[str]]
    """By kind of data: what lies on the device because of it."""
    device: frozenset[str]
    """Everything on the device under the newspaper's name."""
    third: frozenset[str]
    """Domains of third parties that keep something there."""
    parties: frozenset[str]
    comment: Mapping[str, bool]
    """By kind of data: what commenting took of it."""
    storage: Mapping[str, Any]
    profiles: Mapping[str, Any]
    """The band's two fields; empty without a band."""
    profiled: bool
    """Whether the newspaper's server has kept a profile."""
    granted: tuple[str, ...]
    text: str
    links: str
    recorded: frozenset[str] | None
    """Purposes in the record of a person; None without one."""

    def processed(self, kind: str) -> bool:
        return all(self.signs[kind].values())

    def untouched(self, kind: str) -> bool:
        return not any(self.signs[kind].values())

    def touched(self) -> set[str]:
        return {kind for kind in self.signs if not self.untouched(kind)}


def script(visitor: Visitor) -> bool:
    return bool(visitor.options.get("java_script_enabled", True))


def asked(visitor: Visitor) -> bool:
    return bool(visitor.page.locator(NOTICE).count())


def panel(visitor: Visitor) -> Any:
    """Opens the panel from where it is offered: a dialog, or without JavaScript a page."""
    if script(visitor):
        return visitor.panel()
    settings = visitor.button("Paramétrer vos choix")
    with visitor.page.expect_navigation():
        (settings if settings.count() else visitor.band()).click()
    return visitor.page.get_by_role("main")


def answer(visitor: Visitor, layer: Layer, name: str, *, reloads: bool = True) -> bool:
    """Presses a button of the first layer or of the panel; False where there is neither."""
    if not asked(visitor):
        return False
    button = visitor.button(name) if layer.first else panel(visitor).get_by_role("button", name=name, exact=True)
    _press(visitor, button, reloads)
    return True


def choose(visitor: Visitor, purpose: str) -> tuple[bool, frozenset[str]]:
    """In the panel: first this switch on and closed again, then on and *OK*. With what the device held after closing."""
    if not asked(visitor):
        return False, frozenset()
    for close in (True, False):
        where = panel(visitor)
        where.get_by_role("switch", name=PURPOSES[purpose], exact=False).first.check()
        if close:
            close_link = where.get_by_role("link", name="Fermer").or_(where.get_by_role("button", name="Fermer")).first
            close_link.click()
            visitor.page.wait_for_url(f"**{ARTICLE}*")
            visitor.page.wait_for_timeout(300)  # what comes late, and should not
            closed = frozenset(visitor.cookies())
        else:
            _press(visitor, where.get_by_role("button", name="OK", exact=True), True)
    return True, closed


def _press(visitor: Visitor, button: Any, reloads: bool) -> None:
    if not script(visitor):
        with visitor.page.expect_navigation():
            button.click()
    elif reloads:
        visitor._and_reloaded(button.click)
    else:
        button.click()
    assert until(lambda: "volens" in visitor.cookies()), "no answer to the choice"


def look(visitor: Visitor, *, answered: bool = True, wanted: Iterable[str] = ()) -> Seen:
    """Reads two pages, asks for the weather, comments; then looks at all who may have received something. ``wanted``: third parties
    to wait for."""
    page, newspaper = visitor.page, visitor.demo.demo.newspaper
    scripted, wanted = script(visitor), set(wanted)
    visitor.forget()
    profiles = len(visitor.demo.ask(lambda: dict(newspaper.profiles.kept)))
    visitor.open()
    visitor.read_on(0.7)
    text, links = page.evaluate(TEXT), page.evaluate(LINKS)
    band = [visitor.field(which) if asked(visitor) else {} for which in ("storage", "profiles")]
    until(lambda: wanted <= set(visitor.received()))
    position = page.evaluate(POSITION) if scripted else None
    weather = page.goto(visitor.demo.url + "/meteo/ici?position=44,3").ok
    visitor.open()
    words = f"Vu par {visitor.agent.rpartition('/')[2]}, {next(_numbers)}"
    _comment(visitor, words)
    row = _published(visitor, words)
    crafted = f"De force, {words}"
    _craft(visitor, crafted)
    forced = _published(visitor, crafted)
    told = _told(visitor)
    received = visitor.demo.received(visitor.agent)[visitor._mark :]
    learnt = {word for r in received for word in r.learns}
    device, cookies = visitor.device(), visitor.third_cookies()
    profile = Counter(told["profile"])
    tracked = {domain.partition(".")[0] for domain in cookies}
    by_script = {
        "browsing": {"a third party was told which page": any(ARTICLE in r.page for r in received)},
        "usage": {"scrolling was told": any("defilement" in r.path for r in received)},
        "geolocation": {"the page knows where the visitor is": position is not None},
        "social": {"posts shown, and told": {"telepost", "xpost"} <= {r.party for r in received if "publications vues" in r.learns}},
    }
    by_server = {
        "ip": {"a third party was reached": bool(received), "the newspaper was told the whole address": told["address"] == ADDRESS},
        "browsing": {"the newspaper noted what is read": bool(profile)},
        "usage": {"the newspaper noted how often": sum(profile.values()) > 1},
        "geolocation": {"the newspaper answered for a place": weather},
        "social": {"the faces beside comments were asked for": "commentaires lus" in learnt},
        "comments": {"the comment was published": row is not None, "so was a crafted one": forced is not None},
    }
    record = next((c["value"] for c in visitor.all_cookies() if c["name"] == "volens-record"), None)
    kept = visitor.demo.demo.store.record(record.split(".")[1]) if record else None
    return Seen(
        answered=answered,
        signs={kind: {**by_server[kind], **(by_script.get(kind, {}) if scripted else {})} for kind in TABLE.kinds},
        kept={
            "ip": frozenset(cookies),
            "browsing": frozenset(device & ({"__regie_uid", "_ga", "_ga_COURRIER"} if scripted else {"profil_lecture"})),
            "usage": frozenset(device & ({"mesure_session", "profil_lecture"} if scripted else {"profil_lecture"})),
            "geolocation": frozenset(device & ON_SITE["geolocalisation"]),
            "social": frozenset(tracked & PARTIES["reseaux-sociaux"] | device & {"telepost-appareil"}),
            "comments": frozenset(device & ENGINE),
        },
        device=frozenset(device),
        third=frozenset(cookies),
        parties=frozenset(r.party for r in received),
        comment={
            "ip": any(kept and kept[0] for kept in (row, forced)),
            "browsing": any(kept and kept[1] == ARTICLE for kept in (row, forced)),
            "social": visitor.received()["trombine"] > 0,
            "comments": bool(row or forced),
        },
        storage=band[0],
        profiles=band[1],
        profiled=len(visitor.demo.ask(lambda: dict(newspaper.profiles.kept))) > profiles or bool(profile),
        granted=tuple(name for name in told["granted"] if name in PURPOSES),
        text=text,
        links=links,
        recorded=frozenset(purpose for purpose, yes in kept.purposes.items() if yes) if kept else None,
    )


def _told(visitor: Visitor) -> Any:
    """What the newspaper is told of the visitor, asked in the address bar from behind a front."""
    visitor.page.set_extra_http_headers({"X-Forwarded-For": ADDRESS})
    try:
        return visitor.page.goto(visitor.demo.url + "/moi.json").json()
    finally:
        visitor.page.set_extra_http_headers({})


def _comment(visitor: Visitor, words: str) -> None:
    if script(visitor):
        visitor.comment(words)
        return
    visitor.page.get_by_label("Votre nom").fill("Odette")
    visitor.page.get_by_label("Votre commentaire").fill(words)
    with visitor.page.expect_navigation():
        visitor.page.get_by_role("button", name="Publier").click()


def _craft(visitor: Visitor, words: str) -> None:
    """Straight to the engine's end point with this visitor's cookies, past every page; the newspaper itself asks for nothing there."""
    address = urlsplit(visitor.demo.url)
    cookies = "; ".join(f"{c['name']}={c['value']}" for c in visitor.all_cookies() if "courrier" in c["domain"])
    headers = {"Host": address.netloc, "Cookie": cookies, "Content-Type": "application/json", "Origin": visitor.demo.url}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", address.port, timeout=30)) as connection:
        connection.request("POST", f"/isso/new?uri={ARTICLE}", json.dumps({"author": "x", "text": words, "title": "x"}), headers)
        connection.getresponse().read()


def _published(visitor: Visitor, words: str) -> tuple[str, str] | None:
    """Of a comment in the engine's database: the writer's address as it keeps it, and the page."""
    query = "SELECT remote_addr, uri FROM comments JOIN threads ON tid = threads.id WHERE instr(text, ?)"
    with contextlib.closing(sqlite3.connect(f"file:{visitor.demo.demo.newspaper.engine.database}?mode=ro", uri=True)) as database:
        return next(database.execute(query, (words,)), None)


def earlier(visitor: Visitor) -> None:
    """An earlier visit, long ago, left something of every kind on the device. Third parties' cookies are kept by site and by way:
    of a frame, of what stands in the page itself (CHIPS, ``hasCrossSiteAncestor``)."""
    end = visitor.context.new_cdp_session(visitor.page)
    mine = [{"name": name, "value": OLD, "url": visitor.demo.url} for names in LAY["application"].values() for name in names]
    theirs = [
        {"name": name, "value": OLD, "domain": f"{party}.localhost", "path": "/", "secure": True, "sameSite": "None"}
        | {"partitionKey": {"topLevelSite": "http://courrier.localhost", "hasCrossSiteAncestor": framed}}
        for held in LAY["third"].values()
        for party, name in held
        for framed in (False, True)
    ]
    where = {"securityOrigin": visitor.demo.url, "isLocalStorage": True}
    wanted = {cookie["name"] for cookie in mine + theirs} | {"mesure_session"}

    def lay() -> bool:
        """Again until all of it lies there: a late answer to the page that is open may let it expire."""
        end.send("Network.setCookies", {"cookies": mine + theirs})
        for names in LAY["script"].values():
            for name in names:
                end.send("DOMStorage.setDOMStorageItem", {"storageId": where, "key": name, "value": OLD})
        return {c["name"] for c in visitor.all_cookies()} | visitor.stored() >= wanted

    assert until(lay), "the device holds what it should"


OLD = "ancien"
LAY: Mapping[str, Mapping[str, Any]] = {
    "application": {
        "browsing": ["_ga"],
        "usage": ["profil_lecture"],
        "geolocation": ["meteo_lieu"],
        "comments": ["isso-7"],
    },
    "script": {
        "usage": ["mesure_session"],
        "social": ["telepost-appareil"],
        "comments": ["isso-author"],
    },
    "third": {
        "ip": [("videotube", "vt_visiteur")],
        "social": [("trombine", "tb_compte"), ("telepost", "tp_appareil")],
    },
}
"""By who would read it, and by kind of data."""


def reads(visitor: Visitor) -> set[str]:
    """Kinds of data of which something that lay there is read: by the newspaper, a script or a third party. It lies there each time
    anew, for after a refusal the first answer to a request that shows it lets it expire."""
    earlier(visitor)
    told = _told(visitor)["cookies"]
    found = {kind for kind, held in LAY["application"].items() if set(told) & set(held)}
    visitor.open()
    visitor.read_on(0.7)
    if script(visitor):
        earlier(visitor)
        seen = "[...document.cookie.split('; ').map(c => c.split('=')[0]), ...Object.keys(localStorage)]"
        names = set(visitor.page.evaluate(seen))
        found |= {kind for who in ("application", "script") for kind, held in LAY[who].items() if names & set(held)}
    earlier(visitor)
    visitor.open("/").open()
    visitor.read_on(0.7)
    received = visitor.demo.received(visitor.agent)
    known = {r.party for r in received if r.known == OLD}
    return found | {kind for kind, held in LAY["third"].items() if known & {party for party, _ in held}}


class Journeys:
    """Made when first asked for, kept for the tests of this process."""

    def __init__(self, make: Callable[..., Visitor], url: str) -> None:
        self._make = make
        self._url = url
        self._made: dict[tuple[Any, ...], Any] = {}
        self._open: list[Visitor] = []

    def _once(self, *key: Any) -> Any:
        """A journey that failed fails again at once."""
        if key not in self._made:
            try:
                self._made[key] = getattr(self, f"_{key[0]}")(*key[1:])
            except Exception as error:
                self._made[key] = error
            finally:
                while self._open:
                    self._open.pop().close()
        found = self._made[key]
        if isinstance(found, Exception):
            raise AssertionError(f"the journey {key} did not end well: {found}") from found
        return found

    def _visitor(self, script: bool, **options: Any) -> Visitor:
        place = {"permissions": ["geolocation"], "geolocation": {"latitude": 44.1, "longitude": 3.1}}
        self._open.append(self._make(java_script_enabled=script, **place, **options))
        return self._open[-1]

    @staticmethod
    def _all(script: bool) -> set[str]:
        return {UNLISTED}.union(*PARTIES.values()) if script else {"videotube", "trombine"}

    def undecided(self, script: bool) -> Seen:
        """No answer; where there is a notice, Escape is pressed on it."""
        return self._once("undecided", script)

    def _undecided(self, script: bool) -> Seen:
        visitor = self._visitor(script).open()
        asks = asked(visitor)
        visitor.page.keyboard.press("Escape")
        return look(visitor, answered=asks)

    def refused(self, layer: str) -> tuple[Seen, Seen]:
        """*Tout refuser* on this layer, and *Tout accepter* in the panel later."""
        return self._once("refused", LAYERS[layer])

    def _refused(self, layer: Layer) -> tuple[Seen, Seen]:
        visitor = self._visitor(layer.script).open()
        no = look(visitor, answered=answer(visitor, layer, "Tout refuser", reloads=False))
        yes = answer(visitor.open(), Layer(False, layer.script), "Tout accepter")
        return no, look(visitor, answered=yes, wanted=self._all(layer.script))

    def accepted(self, layer: str) -> tuple[Seen, Seen]:
        """*Tout accepter* on this layer, and *Tout refuser* in the panel later."""
        return self._once("accepted", LAYERS[layer])

    def _accepted(self, layer: Layer) -> tuple[Seen, Seen]:
        visitor = self._visitor(layer.script).open()
        yes = look(visitor, answered=answer(visitor, layer, "Tout accepter"), wanted=self._all(layer.script))
        no = answer(visitor.open(), Layer(False, layer.script), "Tout refuser")
        return yes, look(visitor, answered=no)

    def alone(self, purpose: str, layer: str) -> tuple[Seen, frozenset[str]]:
        """One switch of the panel, and *OK*. With what the device held when the panel was closed before."""
        return self._once("alone", purpose, LAYERS[layer].script)

    def _alone(self, purpose: str, script: bool) -> tuple[Seen, frozenset[str]]:
        visitor = self._visitor(script).open()
        answered, closed = choose(visitor, purpose)
        return look(visitor, answered=answered, wanted=PARTIES[purpose] & self._all(script)), closed

    def old(self, layer: str) -> tuple[set[str], set[str]]:
        """Kinds that are read on a device on which much lay, before any choice or after *Tout refuser* here; and what lay there."""
        return self._once("old", LAYERS[layer])

    def _old(self, layer: Layer) -> tuple[set[str], set[str]]:
        visitor = self._visitor(layer.script).open()
        read = reads(visitor)
        answer(visitor.open(), layer, "Tout refuser", reloads=False)
        return read | reads(visitor), {kind for held in LAY.values() for kind in held}

    def buttons(self, layer: str) -> list[str]:
        """The three buttons of this layer, as they look; one string where they are alike."""
        return self._once("buttons", LAYERS[layer])

    def _buttons(self, layer: Layer) -> list[str]:
        visitor = self._visitor(layer.script).open()
        if not asked(visitor):
            return []
        names = BUTTONS if layer.first else (*BUTTONS[:2], "OK")
        where = visitor.page.locator(NOTICE) if layer.first else panel(visitor)
        found = [where.get_by_role("button", name=name, exact=True) for name in names]
        assert all(button.is_visible() for button in found), "in view at once"
        return sorted({button.evaluate(LOOK) for button in found})

    def told(self, layer: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """What this layer says, and then the policy behind its link: by purpose; the first layer's kinds of data under ``""``."""
        return self._once("told", LAYERS[layer])

    def _told(self, layer: Layer) -> tuple[Mapping[str, str], Mapping[str, str]]:
        visitor = self._visitor(layer.script).open()
        page = visitor.page
        if layer.first:
            where = page.locator(NOTICE).locator("#volens-ask")
            where.locator("summary:visible").first.click()
            paragraphs = where.locator("details > p").all_inner_texts()
            named = {p: next((t for t in paragraphs if t.startswith(title)), "") for p, title in PURPOSES.items()}
            named[""] = next((text for text in paragraphs if text.startswith("Données")), "")
        else:
            where = panel(visitor)
            folded = where.locator("section.purpose > details:not([open]) > summary")
            while folded.count():
                folded.first.press("Enter")
            sections = {p: where.locator("section.purpose", has=page.locator(f"input[value='{p}']")) for p in PURPOSES}
            named = {p: " ".join(s.locator("> p, > details > p.kinds:has(b)").all_inner_texts()) for p, s in sections.items()}
        with page.expect_navigation():
            where.get_by_role("link", name="Politique de confidentialité", exact=True).click()
        assert page.url.endswith("/_volens/policy"), page.url
        policy = {purpose: page.locator(f"#purpose-{purpose}").inner_text() for purpose in PURPOSES}
        return _flat(named), _flat(policy)

    def plain_page(self) -> tuple[str, str]:
        """Text and follow-us links of the article as the newspaper sends it past Volens."""
        return self._once("plain_page_")

    def _plain_page_(self) -> tuple[str, str]:
        visitor = self._visitor(True).open(f"/baseline{ARTICLE}")
        return visitor.page.evaluate(TEXT), visitor.page.evaluate(LINKS)


def _flat(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: " ".join(text.split()) for name, text in texts.items()}
