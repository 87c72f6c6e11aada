"""P4: after a refusal the comment option can't be activated. Reading stays open."""

from __future__ import annotations

import http.client
from urllib.parse import urlencode, urlsplit

import pytest
from visitor import Visitor


def test_a_comment_is_not_published_after_a_refusal_and_nothing_typed_is_lost(visitor: Visitor) -> None:
    visitor.open().refuse()
    text = "Ce texte ne doit pas paraître."
    visitor.comment(text)
    assert not visitor.published(text)
    assert visitor.page.get_by_text(text).or_(visitor.page.locator(f"[value='{text}']")).count(), "what was typed is given back"
    assert visitor.page.get_by_text("Réseaux sociaux").count(), "the page says what to allow"


def test_a_script_cannot_publish_either(visitor: Visitor) -> None:
    visitor.open().refuse()
    script = """() => fetch('/commentaires', {method: 'POST',
        body: new URLSearchParams({article: 'rex', nom: 'x', texte: 'par un script'})}).then(a => a.status)"""
    assert visitor.page.evaluate(script) == 403
    assert not visitor.published("par un script")


@pytest.mark.parametrize(
    "path",
    [
        "/commentaires",
        "/comm%65ntaires",
        "//commentaires",
        "/x/../commentaires",
        "/./commentaires",
        "/COMMENTAIRES",
        "/commentaires/",
        "/commentaires?a=b",
    ],
)
def test_no_way_of_writing_the_path_gets_round_the_gate(visitor: Visitor, path: str) -> None:
    """Sent as raw bytes with a refusing visitor's cookies: a browser would tidy the path."""
    visitor.open().refuse()
    address = urlsplit(visitor.demo.url)
    cookies = "; ".join(f"{c['name']}={c['value']}" for c in visitor.all_cookies())
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=30)
    body = urlencode({"article": "rex", "nom": "x", "texte": f"par {path}"})
    headers = {
        "Host": address.netloc,
        "Cookie": cookies,
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": visitor.demo.url,
        "Sec-Fetch-Site": "same-origin",
    }
    connection.request("POST", path, body, headers)
    status = connection.getresponse().status
    connection.close()
    assert status == 403 and not visitor.published(f"par {path}")


def test_reading_comments_is_open_to_all(visitor: Visitor) -> None:
    visitor.open().refuse()
    visitor.open()
    assert visitor.page.get_by_text("Ma grand-mère l’a traversé").is_visible()
