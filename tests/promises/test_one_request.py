"""The panel and its texts come when it is opened, in one request that is kept for good."""

from __future__ import annotations

import re
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import brotli
from visitor import Visitor

LARGEST = 13_000
"""Bytes of brotli: code, style and every text of the demonstration's panel."""
ASKED = """performance.getEntriesByType('resource').filter(x => new URL(x.name).pathname.startsWith('/_volens/'))
    .map(x => [new URL(x.name).pathname, x.transferSize, x.encodedBodySize])"""


def asked(visitor: Visitor) -> list[Any]:
    return list(visitor.page.evaluate(ASKED))


def test_opening_the_panel_is_one_request_and_none_on_the_next_page(visitor: Visitor) -> None:
    visitor.open()
    assert asked(visitor) == []
    visitor.panel()
    ((path, sent, body),) = asked(visitor)
    assert re.fullmatch(r"/_volens/panel-fr-[0-9a-f]{8}\.js", path) and 0 < body < LARGEST and body < sent < body + 1000
    visitor.page.keyboard.press("Escape")
    visitor.panel()
    assert len(asked(visitor)) == 1, "nor when it is opened again"
    visitor.page.keyboard.press("Escape")
    visitor.open("/article/rex")
    visitor.panel()
    assert [(path, 0)] == [(name, size) for name, size, _ in asked(visitor)], "the browser has it already"


def test_what_was_chosen_is_shown_though_the_file_is_the_same(visitor: Visitor) -> None:
    visitor.open().choose("video")
    visitor.panel()
    assert [p for p in ("reseaux-sociaux", "video", "publicite") if visitor.switch(p).is_checked()] == ["video"]
    assert [size for name, size, _ in asked(visitor) if "/panel-" in name] == [0], "and nothing was asked for again"


def test_the_file_is_everybodys_and_kept_under_its_own_name_only(demo: Any, visitor: Visitor) -> None:
    visitor.open().accept()
    visitor.panel()
    (path,) = [name for name, _, _ in asked(visitor) if "/panel-" in name]

    def get(path: str, **headers: str) -> Any:
        name = urlsplit(demo.url)
        address = f"http://127.0.0.1:{name.port}{path}"  # the system need not know names under localhost
        return urllib.request.urlopen(urllib.request.Request(address, headers={"Host": name.netloc, **headers}))

    plain, packed = get(path), get(path, **{"Accept-Encoding": "gzip, br", "Cookie": "volens=x; a=b"})
    assert plain.headers["Cache-Control"] == packed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (plain.headers["Content-Encoding"], packed.headers["Content-Encoding"]) == (None, "br")
    text = plain.read()
    assert brotli.decompress(packed.read()) == text and "Accept-Encoding" in packed.headers["Vary"]
    assert get(path, **{"Accept-Encoding": "br;q=0"}).headers["Content-Encoding"] is None
    older = get(re.sub(r"-[0-9a-f]{8}", "-00000000", path))
    assert older.headers["Cache-Control"] == "no-cache" and older.read() == text, "a page made before an update gets today's panel"
