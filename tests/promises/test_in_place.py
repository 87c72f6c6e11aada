"""A service allowed in its own frame opens there: the page around it stays, and its band tells the truth."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from visitor import Visitor

from tests.running import until


def test_a_service_allowed_in_its_frame_opens_there_and_the_page_stays(visitor: Visitor) -> None:
    page = visitor.open("/article/pont-vieux").page
    page.evaluate("window.untouched = true")
    frame = page.frame_locator(".video iframe")
    frame.get_by_role("button", name="Autoriser VidéoTube").click()
    frame.frame_locator("iframe").get_by_role("button", name="Lire la vidéo").wait_for()
    assert until(lambda: page.locator("volens-notice").get_attribute("data-storage") == "part")
    assert page.evaluate("window.untouched") is True
    assert until(lambda: page.locator("#volens-band").inner_text().count("refus") < 2), "the band's words follow"


def requests_of(page: Any) -> list[str]:
    """Addresses below the reserved path that the page asks for, from now on."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url) if "/_volens/" in request.url else None)
    return seen


def test_placeholders_ask_for_nothing(visitor: Visitor) -> None:
    seen = requests_of(visitor.page)
    page = visitor.open("/article/pont-vieux").page
    assert page.locator("iframe[srcdoc]").count() == 3
    for frame in page.locator("iframe[srcdoc]").all():
        assert frame.content_frame.get_by_role("heading").is_visible()
    assert seen == []


@pytest.mark.parametrize("script", (True, False))
def test_just_this_one_plays_at_one_press_and_stores_nothing(visitors: Callable[..., Visitor], script: bool) -> None:
    visitor = visitors(java_script_enabled=script)
    page = visitor.open("/article/pont-vieux").page
    place = "f => { const r = f.getBoundingClientRect(); return [r.x + scrollX, r.y + scrollY, r.width, r.height] }"
    before = page.locator(".video iframe").evaluate(place)
    page.frame_locator(".video iframe").get_by_role("button", name="Juste cette fois").click()
    playing = page.frame_locator(".video iframe").frame_locator("iframe")
    playing.locator("body").wait_for()
    assert page.locator(".video iframe").evaluate(place) == before, "nothing shifts"
    assert "volens" not in visitor.cookies() and until(lambda: visitor.received()["videotube"] > 0)
    page.evaluate("history.back()")
    page.frame_locator(".video iframe").get_by_role("button", name="Juste cette fois").wait_for()
    page.evaluate("history.forward()")
    playing.locator("body").wait_for()
    page.reload()
    page.frame_locator(".video iframe").get_by_role("button", name="Juste cette fois").wait_for()


def test_a_post_of_the_same_service_opens_too(visitor: Visitor) -> None:
    """Two embeds of one service: allowing it in one opens both, and the other services' stay closed."""
    page = visitor.open("/article/pont-vieux").page
    page.evaluate("""() => { const one = document.querySelector('.video iframe'), two = one.cloneNode();
        two.className = 'second'; one.parentNode.after(two); }""")
    page.frame_locator(".video iframe").get_by_role("button", name="Autoriser VidéoTube").click()
    for where in (".video iframe", "iframe.second"):
        page.frame_locator(where).frame_locator("iframe").locator("body").wait_for()
    assert page.frame_locator("iframe[title=XPost]").get_by_role("button", name="Autoriser XPost").is_visible()


@pytest.mark.parametrize("script", (True, False))
def test_a_script_that_works_on_its_page_makes_that_page_again(visitors: Callable[..., Visitor], script: bool) -> None:
    visitor = visitors(java_script_enabled=script)
    page = visitor.open("/article/pont-vieux?lu=oui&suite").page
    assert page.locator("blockquote.xpost").inner_text().startswith("Deux ans sans lui"), "its quote can be read"
    page.frame_locator("iframe[title=XPost]").get_by_role("button", name="Autoriser XPost").click()
    page.locator("iframe[title=XPost]").wait_for(state="detached")
    page.wait_for_url("**/article/pont-vieux?lu=oui&suite")
    assert until(lambda: visitor.received()["xpost"] > 0, 30 if script else 1) is script
    assert visitor.received()["videotube"] == 0


def test_a_strict_page_shows_its_placeholders(visitor: Visitor) -> None:
    said: list[str] = []
    visitor.page.on("console", lambda message: said.append(message.text))
    page = visitor.open("/csp").page
    button = page.frame_locator(".video iframe").get_by_role("button", name="Autoriser VidéoTube")
    assert button.evaluate("b => getComputedStyle(b).minHeight") == "44px", "its style is let through"
    assert not [text for text in said if "inline style" in text or "TrustedHTML" in text], said
    button.click()
    page.frame_locator(".video iframe").frame_locator("iframe").get_by_role("button", name="Lire la vidéo").wait_for()


LATE = """([address, allow]) => { const f = document.createElement('iframe'); f.className = 'late'; f.width = 560; f.height = 315;
    f.allow = allow; f.allowFullscreen = true; f.src = address; document.querySelector('main').prepend(f); }"""


def test_a_frame_that_a_script_inserts_plays_with_what_it_was_allowed(visitor: Visitor) -> None:
    page = visitor.open("/article/pont-vieux").page
    video = page.locator(".video iframe").get_attribute("data-volens-src")
    page.evaluate(LATE, [video, "autoplay; fullscreen"])
    late = page.frame_locator("iframe.late")
    button = late.get_by_role("button", name="Juste cette fois")
    button.wait_for()
    assert visitor.received()["videotube"] == 0
    button.click()
    inner = late.locator("iframe")
    inner.wait_for()
    assert inner.get_attribute("allow") == "autoplay; fullscreen" and inner.get_attribute("allowfullscreen") is not None
    late.frame_locator("iframe").get_by_role("button", name="Lire la vidéo").wait_for()


def test_full_screen_and_autoplay_reach_the_player_through_our_frame(visitor: Visitor) -> None:
    page = visitor.open("/article/pont-vieux").page
    page.frame_locator(".video iframe").get_by_role("button", name="Juste cette fois").click()
    player = page.frame_locator(".video iframe").frame_locator("iframe").locator("body")
    player.wait_for()
    assert player.evaluate("() => document.featurePolicy.allowsFeature('autoplay') && document.featurePolicy.allowsFeature('fullscreen')")
    assert not player.evaluate("() => document.featurePolicy.allowsFeature('camera')")


def test_a_placeholder_is_worked_by_keyboard(visitor: Visitor) -> None:
    page = visitor.open("/article/pont-vieux").page
    page.locator(".video iframe").content_frame.get_by_role("button", name="Autoriser VidéoTube").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.frame_locator(".video iframe").frame_locator("iframe").get_by_role("button", name="Lire la vidéo").wait_for()
    assert "volens" not in visitor.cookies(), "Tab leads from Allow to Just this one"


def test_a_script_that_sets_the_frame_s_address_is_heard(visitor: Visitor) -> None:
    """A placeholder in the page must not hold on to a frame that the page uses for something else."""
    page = visitor.open("/article/pont-vieux").page
    frame = page.locator(".video iframe")
    video = frame.get_attribute("data-volens-src")
    frame.evaluate("(f, next) => { f.src = next }", f"{video}?suite=1")
    page.frame_locator(".video iframe").get_by_role("button", name="Juste cette fois").wait_for()
    assert until(lambda: "suite" in page.frames[1].url) and visitor.received()["videotube"] == 0
    frame.evaluate("f => { f.setAttribute('src', '/static/courrier.svg') }")
    page.frames[1].wait_for_url("**/static/courrier.svg")


def played_late(visitor: Visitor, box: str | None = None) -> tuple[Any, Any]:
    """A frame that a script inserts, perhaps in a sandbox, after *Just this one*: its element and the player inside."""
    page = visitor.open("/article/pont-vieux").page
    video = page.locator(".video iframe").get_attribute("data-volens-src")
    if box is not None:
        page.evaluate(
            "box => { const make = document.createElement; document.createElement = function (n) {"
            " const e = make.call(document, n); if (n == 'iframe') e.setAttribute('sandbox', box); return e; } }",
            box,
        )
    page.evaluate(LATE, [video, "autoplay; fullscreen"])
    page.frame_locator("iframe.late").get_by_role("button", name="Juste cette fois").click()
    page.frame_locator("iframe.late").frame_locator("iframe").get_by_role("button", name="Lire la vidéo").wait_for()
    return page.locator("iframe.late"), next(f for f in page.frames if f.parent_frame and f.parent_frame.parent_frame)


SAID = {
    "Instagram": "JSON.stringify({ type: 'MEASURE', details: { height: 480 } })",
    "X": "({ 'twttr.embed': { method: 'twttr.private.resize', params: [{ height: 480, width: 500 }] } })",
    "Reddit": "JSON.stringify({ type: 'resize.embed', data: 480 })",
    "Telegram": "JSON.stringify({ event: 'resize', height: 480 })",
    "Bluesky, Mastodon": "({ id: '1', height: 480 })",
    "Datawrapper": "({ 'datawrapper-height': { abc12: 480 } })",
    "iframe-resizer": "'[iFrameSizer]id0:480:560:init'",
}


def test_a_frame_grows_with_what_plays_in_it_and_no_further(visitor: Visitor) -> None:
    element, player = played_late(visitor)
    high = lambda: element.evaluate("f => f.clientHeight")  # noqa: E731
    for service, said in SAID.items():
        element.evaluate("f => f.setAttribute('height', 315)")
        player.evaluate(f"parent.postMessage({said}, '*')")
        assert until(lambda: high() == 480), service
    for nothing in ("{ height: 200 }", "{ height: 1e6 }", "{ height: 'x' }", "null", "'[iFrameSizer]'", "{ details: 3, type: 'MEASURE' }"):
        player.evaluate(f"parent.postMessage({nothing}, '*')")
    element.evaluate("f => f.contentWindow.postMessage({ height: 900 }, '*')")
    player.evaluate("parent.postMessage({ height: 500 }, '*')")
    assert until(lambda: high() == 500), "what came before changed nothing"


@pytest.mark.parametrize("box", ["allow-scripts allow-same-origin", "allow-scripts allow-same-origin allow-popups"])
def test_a_sandbox_that_a_script_set_is_the_player_s(visitor: Visitor, box: str) -> None:
    element, player = played_late(visitor, box)
    assert player.frame_element().get_attribute("sandbox") == box
    assert until(lambda: element.get_attribute("sandbox") == box), "what the page shows there next is in it too"


def test_a_sandbox_is_opened_no_further_than_our_form_and_link_need(visitor: Visitor) -> None:
    page = visitor.open("/article/pont-vieux").page
    page.evaluate(
        "() => { const make = document.createElement; document.createElement = function (n) { const e = make.call(document, n);"
        " if (n == 'iframe') e.setAttribute('sandbox', 'allow-scripts allow-same-origin'); return e; } }"
    )
    page.evaluate(LATE, [page.locator(".video iframe").get_attribute("data-volens-src"), ""])
    page.frame_locator("iframe.late").get_by_role("button", name="Juste cette fois").wait_for()
    late = page.locator("iframe.late")
    assert until(lambda: "forms" in (late.get_attribute("sandbox") or ""))
    assert not re.search("top-navigation|modals|downloads", late.get_attribute("sandbox"))
