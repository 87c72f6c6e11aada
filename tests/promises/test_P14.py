"""P14: the page itself is whole in every state, and plain links stay plain."""

from __future__ import annotations

import pytest
from visitor import ARTICLE, Visitor

from tests.running import until

ORDER = (
    "h1",
    ".credit",
    ".follow",
    "figure",
    ".photographer",
    ".source",
    ".standfirst",
    "p:not([class])",
    ".follow:last-of-type, .follow ~ .follow",
    ".closing",
)
TEXT = """() => [...document.querySelectorAll('article h1, article h2, article > p, article figcaption')]
  .map(e => e.textContent.replace(/\\s+/g, ' ').trim()).join('\\n')"""
STATES = ("none", "refused", "video", "reseaux-sociaux", "accepted")


@pytest.mark.parametrize("state", STATES)
def test_everything_stands_there_in_order(visitor: Visitor, state: str) -> None:
    visitor.open().into(state)
    places = visitor.page.evaluate(
        """order => order.map(sel => { const all = [...document.querySelectorAll('article ' + sel.split(', ').join(', article '))];
           const e = all[all.length - 1] === undefined ? null : sel.includes('~') ? all[all.length - 1] : all[0];
           return e && e.checkVisibility()
             && e.textContent.trim().length + e.querySelectorAll('img').length > 0 ? e.getBoundingClientRect().top + scrollY : null; })""",
        list(ORDER),
    )
    assert None not in places, dict(zip(ORDER, places, strict=True))
    assert places == sorted(places), dict(zip(ORDER, places, strict=True))
    assert visitor.page.evaluate(
        "(i => i.complete && i.naturalWidth > 0 && i.alt.length > 20)(document.querySelector('article figure img'))"
    )
    words = visitor.page.locator("article").inner_text()
    for part in ("Agence des Vallées (ADV)", "Photo Hélène Marsac", "Fermé depuis la crue", "À 10 heures précises", "Ville · Montvière"):
        assert part in words, part


def test_the_words_are_the_same_in_every_state(visitors, demo) -> None:  # type: ignore[no-untyped-def]
    texts = {state: visitors().open().into(state).page.evaluate(TEXT) for state in STATES}
    assert len(set(texts.values())) == 1, texts
    assert len(texts["none"]) > 2500


@pytest.mark.parametrize("state", STATES)
def test_follow_us_links_are_plain_and_work(visitor: Visitor, state: str) -> None:
    """No ping, no decoration; nobody is told before the press, and the press leads there."""
    visitor.open().into(state)
    links = visitor.page.locator(".follow a")
    assert links.count() == 2
    for link in links.all():
        assert link.get_attribute("href").endswith(".localhost:" + str(visitor.demo.demo.parties_port) + "/courrier-dourelle")
        assert link.evaluate("a => [...a.attributes].map(x => x.name).join()") == "href"
    if state in ("none", "refused", "video"):
        links.first.hover()
        visitor.page.wait_for_timeout(300)
        assert visitor.received()["telepost"] == 0
    links.last.click()
    visitor.page.wait_for_url("**/courrier-dourelle")
    assert until(lambda: any(r.path == "/courrier-dourelle" for r in visitor.demo.received(visitor.agent)))


def test_nothing_moves_when_the_visitor_refuses(visitor: Visitor) -> None:
    """No reload, no shift, nothing typed lost."""
    visitor.open()
    visitor.page.get_by_label("Votre commentaire").fill("à moitié écr")
    visitor.page.evaluate(
        """window.__same = true; window.__shift = 0;
        new PerformanceObserver(l => l.getEntries().forEach(e => window.__shift += e.hadRecentInput ? 0 : e.value))
          .observe({type: 'layout-shift', buffered: true})"""
    )
    tops = visitor.page.evaluate(
        "[...document.querySelectorAll('article > *')].map(e => Math.round(e.getBoundingClientRect().top + scrollY))"
    )
    visitor.refuse()
    visitor.page.wait_for_timeout(500)
    assert visitor.page.evaluate("window.__same") is True
    assert visitor.page.evaluate("window.__shift") == 0
    assert (
        visitor.page.evaluate("[...document.querySelectorAll('article > *')].map(e => Math.round(e.getBoundingClientRect().top + scrollY))")
        == tops
    )
    assert visitor.page.get_by_label("Votre commentaire").input_value() == "à moitié écr"
    assert visitor.page.url.endswith(ARTICLE)
