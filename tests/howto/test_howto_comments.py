"""The three how-tos about comments: each program, in a browser, before and after the visitor's agreement."""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., str]


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context(locale="en-GB")
    context.set_default_timeout(20000)
    yield context.new_page()
    context.close()


def sent(address: str, body: bytes, **headers: str) -> tuple[int, str, str]:
    """A crafted POST: status, content type, text."""
    request = urllib.request.Request(
        address.replace("site.localhost", "127.0.0.1"), body, {k.replace("_", "-"): v for k, v in headers.items()}
    )
    request.add_header("Host", address.split("/")[2])
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers["Content-Type"], answer.read().decode()


def reloaded(page: Any, press: Any) -> None:
    page.evaluate("window.__before = true")
    press.click()
    page.wait_for_function("!window.__before && document.readyState === 'complete'")


def on_device(page: Any, site: str) -> set[str]:
    """Names really kept in localStorage, read past the page's scripts."""
    session = page.context.new_cdp_session(page)
    session.send("DOMStorage.enable")
    where = {"securityOrigin": site, "isLocalStorage": True}
    return {name for name, _ in session.send("DOMStorage.getDOMStorageItems", {"storageId": where})["entries"]}


def test_an_end_point_of_ones_own(program: Start, page: Any) -> None:
    site = program("comments_own")
    assert sent(site + "/comments", b"text=crafted", Content_Type="application/x-www-form-urlencoded", Accept="text/html")[0] == 403
    page.goto(site)
    assert page.get_by_text("crafted").count() == 0, "it never arrived"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    area = page.locator("volens-gate")
    assert area.get_by_role("button").all_inner_texts() == ["Allow “Social networks”", "Accept all", "Set your choices"]
    page.get_by_label("Your comment").fill("Kept while I decide")
    reloaded(page, area.get_by_role("button", name="Allow"))
    assert page.get_by_label("Your comment").input_value() == "Kept while I decide"
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("listitem").get_by_text("Kept while I decide").wait_for()
    assert any("faces.localhost" in url for url in asked), "the account is loaded where the visitor allowed it, and only there"
    page.evaluate("volens.open()")
    reloaded(page, page.get_by_role("dialog").get_by_role("button", name="Refuse all", exact=True))
    page.locator("volens-gate").get_by_role("link", name="erased").click()
    assert page.get_by_role("heading").inner_text() == "Erase my comments"


def test_isso(program: Start, page: Any, tmp_path: Path) -> None:
    """Its own client runs in every state: it reads before the choice, writes after it, and what it kept goes on withdrawal."""
    site = program("comments_isso", str(tmp_path))

    def kept() -> list[str]:
        with sqlite3.connect(f"file:{tmp_path / 'comments.db'}?mode=ro", uri=True) as database:
            return [text for (text,) in database.execute("SELECT text FROM comments WHERE mode = 1")]

    crafted = json.dumps({"text": "crafted", "author": "x", "title": "x"}).encode()
    for path in ("/isso/new?uri=/", "/isso/x/../new?uri=/", "/isso/%6eew?uri=/", "/isso/preview", "/isso/id/1/like"):
        assert sent(site + path, crafted, Content_Type="application/json")[:2] == (403, "application/problem+json"), path
    assert kept() == []
    assert sent(site + "/isso/count", b'["/"]', Content_Type="application/json")[::2] == (200, "[0]"), "counting is reading"

    page.goto(site)
    box = page.locator(".isso-postbox")
    assert page.evaluate("localStorage.x = 'y', localStorage.x") == "y", "the client finds a storage that works"
    box.locator("textarea").fill("Kept while I decide")
    box.locator("[name=author]").fill("Ada")
    with page.expect_response("**/isso/new*") as answer:
        box.locator("[type=submit]").click()
    assert answer.value.status == 403 and kept() == []
    reloaded(page, page.locator("volens-gate").get_by_role("button", name="Allow"))
    page.wait_for_function("document.querySelector('.isso-postbox textarea')?.value == 'Kept while I decide'")
    page.wait_for_function("document.querySelector('.isso-postbox [name=author]').value == 'Ada'")
    box.locator("[type=submit]").click()
    page.locator("#isso-root").get_by_text("Kept while I decide").wait_for()
    page.reload()
    page.locator("#isso-root").get_by_text("Kept while I decide").wait_for()
    assert kept() == ["Kept while I decide"]
    assert {"isso-1", "1"} <= {cookie["name"] for cookie in page.context.cookies()} and "isso-author" in on_device(page, site)
    page.evaluate("volens.open()")
    reloaded(page, page.get_by_role("dialog").get_by_role("button", name="Refuse all", exact=True))
    page.locator("#isso-root").get_by_text("Kept while I decide").wait_for()
    assert {cookie["name"] for cookie in page.context.cookies()} | on_device(page, site) == {"volens"}


def test_a_third_partys_comments(program: Start, page: Any) -> None:
    site = program("comments_embed")

    def received() -> str:
        asked = urllib.request.Request(site.replace("site.localhost", "127.0.0.1") + "/received")
        asked.add_header("Host", site.replace("http://site.", "threads."))
        return urllib.request.urlopen(asked, timeout=10).read().decode()

    page.goto(site, wait_until="load")
    place = page.frame_locator("iframe")
    place.get_by_text("Threads & Co").first.wait_for()
    assert received() == ""
    place.get_by_role("button", name="Allow").click()
    page.frame_locator("#thread iframe").get_by_text("Ada: first!").wait_for()
    assert received().split() == ["/embed.js", "/thread"]
