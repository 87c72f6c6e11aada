"""The comment area of the demonstration, with its real engine: what a visitor sees and does in each state (P4–P6)."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from visitor import Visitor

from tests.running import until

WAYS = ["Autoriser « Réseaux sociaux »", "Tout accepter", "Paramétrer vos choix"]
PLAIN, JSON = "application/x-www-form-urlencoded", "application/json"


def area(visitor: Visitor):  # type: ignore[no-untyped-def]
    return visitor.page.locator("volens-gate")


def typed(visitor: Visitor) -> str:
    return str(visitor.page.locator("#isso-thread > .isso-postbox textarea").input_value())


def crafted(visitor: Visitor, path: str, body: str, method: str = "POST", **headers: str) -> tuple[int, str]:
    """Sent past the browser with the visitor's cookies: status and content type."""
    request = urllib.request.Request(re.sub("//[^:]*", "//127.0.0.1", visitor.demo.url) + path, body.encode(), method=method)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    request.add_header("Host", visitor.demo.url.partition("//")[2])
    request.add_header("Cookie", "; ".join(f"{c['name']}={c['value']}" for c in visitor.all_cookies() if "courrier" in c["domain"]))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers["Content-Type"]
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers["Content-Type"]


@pytest.mark.parametrize("state", ["none", "refused"])
def test_a_crafted_request_is_refused_as_asked_and_nothing_reaches_the_engine(visitor: Visitor, state: str) -> None:
    visitor.open()
    if state == "refused":
        visitor.refuse()
    before = visitor.demo.demo.newspaper.engine.comments()
    writing = len(visitor.engine_received("POST", "PUT"))
    form, comment = "article=rex&nom=x&texte=de+force", json.dumps({"author": "x", "text": "de force", "title": "x"})
    page, problem = "text/html; charset=utf-8", "application/problem+json"
    assert crafted(visitor, "/commentaires", form, Content_Type=PLAIN, Accept="text/html,*/*;q=0.8") == (403, page)
    assert crafted(visitor, "/commentaires", form, Content_Type=PLAIN, Accept="application/json") == (403, problem)
    assert crafted(visitor, "/commentaires", form, Content_Type=PLAIN, Accept="text/html;q=0.5, application/problem+json") == (403, problem)
    for path, method in (
        ("/isso/new?uri=/article/rex", "POST"),
        ("/isso/id/1", "PUT"),
        ("/isso/id/1/like", "POST"),
        ("/isso/preview", "POST"),
    ):
        for spelt in (path, path.replace("/isso", "//isso", 1), path.replace("isso", "iss%6f", 1), path.replace("/isso", "/x/../isso", 1)):
            assert crafted(visitor, spelt, comment, method, Content_Type=JSON, Accept="*/*") == (403, problem), spelt
    assert crafted(visitor, "/isso/new?uri=/article/rex", comment, Content_Type=JSON, Accept="text/html") == (403, page)
    assert len(visitor.engine_received("POST", "PUT")) == writing
    assert visitor.demo.demo.newspaper.engine.comments() == before


def test_the_area_says_what_is_withheld_why_and_three_ways_on(visitor: Visitor) -> None:
    visitor.open()
    assert [text.replace("\xa0", " ") for text in area(visitor).get_by_role("button").all_inner_texts()] == WAYS
    text = area(visitor).locator("form:visible").inner_text()
    assert "Tout le monde peut lire" in text and "Trombine et Isso" in text and "adresse IP" in text
    boxes = [button.bounding_box() for button in area(visitor).get_by_role("button").all()]
    assert len({(round(box["width"]), round(box["height"])) for box in boxes}) == 1, "three of one size"
    visitor.refuse()
    area(visitor).get_by_role("button", name=WAYS[2]).click()
    visitor.page.get_by_role("dialog").get_by_role("button", name="OK", exact=True).wait_for()
    visitor.page.keyboard.press("Escape")
    assert visitor.received()["trombine"] == 0


@pytest.mark.parametrize("way", [0, 1])
def test_what_was_typed_comes_back_where_writing_is_allowed(visitor: Visitor, way: int) -> None:
    visitor.open().refuse()
    visitor.page.get_by_label("Votre nom").fill("Odette")
    visitor.page.get_by_label("Votre commentaire").fill(f"Gardé pendant le choix {way}.")
    visitor._and_reloaded(lambda: area(visitor).get_by_role("button").nth(way).click())
    assert until(lambda: typed(visitor) == f"Gardé pendant le choix {way}.")
    assert area(visitor).get_by_role("button").count() == 0
    assert visitor.told()["granted"].count("publicite") == way, "the one button grants what it says and no more"
    box = visitor.page.locator("#isso-thread > .isso-postbox")
    assert until(lambda: box.get_by_label("Nom").input_value() == "Odette"), "the name comes back too: the engine asks for one"
    box.get_by_role("button", name="Soumettre").click()
    visitor.page.locator("#isso-root").get_by_text(f"Gardé pendant le choix {way}.").wait_for()
    visitor.open()
    visitor.page.locator("#isso-root").get_by_text(f"Gardé pendant le choix {way}.").wait_for()
    assert visitor.published(f"Gardé pendant le choix {way}.")


def test_without_script_the_same(visitors: Callable[..., Visitor]) -> None:
    visitor = visitors(java_script_enabled=False)
    page = visitor.open().page
    page.get_by_label("Votre nom").fill("Odette")
    page.get_by_label("Votre commentaire").fill("Sans une ligne de script.")
    with page.expect_navigation():
        page.get_by_role("button", name="Publier").click()
    assert page.get_by_text("Sans une ligne de script.").is_visible() and not visitor.published("Sans une ligne de script.")
    page.get_by_role("button", name="et envoyer").first.click()
    page.get_by_text("votre commentaire est en ligne").wait_for()
    assert visitor.published("Sans une ligne de script.")

    other = visitors(java_script_enabled=False)
    other.open()
    assert area(other).get_by_role("button").count() == 3
    area(other).get_by_role("button").first.click()
    other.page.wait_for_url("**/article/pont-vieux#ecrire")
    assert area(other).get_by_role("button").count() == 0
    other.page.get_by_label("Votre nom").fill("Odette")
    other.page.get_by_label("Votre commentaire").fill("Le bouton d’abord.")
    with other.page.expect_navigation():
        other.page.get_by_role("button", name="Publier").click()
    assert other.published("Le bouton d’abord.")


def test_the_account_of_a_third_party_signs_a_comment(visitor: Visitor) -> None:
    """The social log-in works whole: a name in its frame, the comment under that name, its face beside it."""
    visitor.open().choose("reseaux-sociaux")
    frame = visitor.page.frame_locator("iframe.trombine")
    frame.get_by_label("Votre nom chez Trombine").fill("Léontine")
    frame.get_by_role("button", name="Continuer avec Trombine").click()
    frame.get_by_text("Léontine").wait_for()
    visitor.page.locator(".isso-postbox.signed").wait_for()
    assert visitor.page.evaluate("document.querySelector('iframe.trombine').contentWindow.postMessage(0, '*')") is None
    visitor.comment("Signé par un compte d’ailleurs.")
    line = visitor.page.locator(".isso-comment", has_text="Signé par un compte d’ailleurs.")
    assert line.locator(".isso-author").inner_text() == "Léontine"
    assert until(lambda: line.locator("img").evaluate("face => face.naturalWidth") > 0), "the face is there"
    assert visitor.received()["trombine"] >= 3


def test_withdrawing_takes_the_engines_storage_away_and_offers_to_erase(visitor: Visitor) -> None:
    visitor.open().choose("reseaux-sociaux")
    visitor.comment("Je le reprends.")
    assert {"isso-author", "isso-#", "#"} <= visitor.device()
    visitor.withdraw()
    assert not {"isso-author", "isso-email", "isso-website", "isso-#", "#"} & visitor.device()
    assert visitor.page.get_by_text("Je le reprends.").count() == 1, "reading stays open, and what was written stays until it is erased"
    area(visitor).get_by_role("link", name="Faire effacer").click()
    visitor.page.get_by_text("Je le reprends.").wait_for()
    visitor.page.get_by_role("button", name="Effacer ces commentaires").click()
    visitor.page.get_by_text("1 commentaire effacé").wait_for()
    assert not visitor.published("Je le reprends.")


@pytest.mark.parametrize("width", [390, 1280])
def test_in_each_state_nothing_is_in_anybodys_way(visitors: Callable[..., Visitor], width: int) -> None:
    visitor = visitors(viewport={"width": width, "height": 800})

    def look(state: str) -> None:
        visitor.read_on()
        broken = {found["id"] for found in Axe().run(visitor.page).response["violations"]}
        assert not broken, f"{state}: {broken}"
        assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state

    visitor.open()
    look("none")
    visitor.refuse()
    visitor.open()
    look("refused")
    visitor.choose("reseaux-sociaux")
    look("social networks alone")
    visitor.comment(f"Vu de près, {width} px.")
    visitor.page.get_by_text("Répondre").first.click()
    look("answering")


def test_by_keyboard_alone(visitor: Visitor) -> None:
    visitor.open().refuse()
    keys = visitor.page.keyboard
    visitor.page.get_by_label("Votre commentaire").focus()
    keys.type("Du bout des doigts.")
    for _ in range(2):
        keys.press("Shift+Tab")
    focused = "(() => { let at = document.activeElement; while (at.shadowRoot) at = at.shadowRoot.activeElement; return at.innerText; })()"
    for way in reversed(WAYS):
        assert visitor.page.evaluate(focused).replace("\xa0", " ") == way
        if way != WAYS[0]:
            keys.press("Shift+Tab")
    visitor._and_reloaded(lambda: keys.press("Enter"))
    assert until(lambda: typed(visitor) == "Du bout des doigts.")
