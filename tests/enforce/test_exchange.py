"""One request and its answer: validators, codings, encodings, sizes, and what is served when we fail."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.enforce.making import ACCEPTED, HOST, OPEN, OPEN_SITE, REFUSED, exchange, header, state
from tests.oracle import would_load
from volens.enforce import exchange as module
from volens.enforce.coding import zstd
from volens.enforce.exchange import LOOKED_AT, Exchange, Learnt, Memo, Page, text_only
from volens.enforce.headers import Pairs
from volens.enforce.html import Rewriter, Seen

ROOT = Path(__file__).parents[2]
GA = "https://www.google-analytics.com"
HTML: Pairs = [(b"content-type", b"text/html; charset=utf-8")]
PAGE = b"<!DOCTYPE html><html lang=fr><head><title>x</title></head><body><p>Bonjour</p><script src=https://www.google-analytics.com/a.js></script></body></html>"
MARKS = (b"<script data-volens=", b"<volens-notice")


def zstd_packed(data: bytes) -> bytes:
    return zstd.compress(data)


CODINGS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gzip": (gzip.compress, gzip.decompress),
    "x-gzip": (gzip.compress, gzip.decompress),
    "deflate": (zlib.compress, zlib.decompress),
    "br": (brotli.compress, brotli.decompress),
    "zstd": (zstd_packed, zstd.decompress),
}


def ours_out(body: bytes) -> bytes:
    """A body without what we put in."""
    import re

    body = re.sub(rb"<meta charset=\"[^\"]*\">(?=<script data-volens)", b"", body)
    body = re.sub(rb"<script data-volens='[^']*'[^>]*>.*?</script>", b"", body, flags=re.DOTALL)
    return re.sub(rb"<volens-notice.*?</volens-notice>", b"", body, flags=re.DOTALL)


def streamed(body: bytes, pairs: Pairs, size: int = 7, **more: object) -> tuple[Pairs, bytes]:
    made = exchange(**more)  # type: ignore[arg-type]
    _, out = made.head(200, pairs)
    parts = [made.feed(body[at : at + size]) for at in range(0, len(body), size)]
    return out, b"".join(parts) + made.finish()


# ---------------------------------------------------------------------------------------- validators, 304, ranges, HEAD


def test_validators_are_ours_only_in_this_very_state() -> None:
    _, pairs, _ = exchange().whole(200, [*HTML, (b"etag", b'"abc"'), (b"last-modified", b"x"), (b"accept-ranges", b"bytes")], PAGE)
    tag = header(pairs, b"etag")[0]
    assert tag.startswith(b'W/"s~abc~')
    assert header(pairs, b"last-modified") == header(pairs, b"accept-ranges") == []

    def forwarded(grant: object) -> list[bytes]:
        made = Exchange(state(grant), Memo(), Learnt())  # type: ignore[arg-type]
        sent: Pairs = [(b"if-none-match", tag), (b"if-modified-since", b"x"), (b"range", b"bytes=0-1"), (b"if-range", b"y")]
        asked = made.ask(sent, b"/a")
        assert not header(asked, b"if-modified-since") + header(asked, b"range") + header(asked, b"if-range")
        return header(asked, b"if-none-match")

    assert forwarded(REFUSED) == [b'"abc"']
    assert forwarded(ACCEPTED) == []


def test_ranges_of_what_is_no_document_pass() -> None:
    made = Exchange(state(destination="video"), Memo(), Learnt())
    assert header(made.ask([(b"range", b"bytes=0-1"), (b"if-range", b'"a"')], b"/v.mp4"), b"range") == [b"bytes=0-1"]
    status, pairs, body = made.whole(
        206, [(b"content-type", b"video/mp4"), (b"content-range", b"bytes 0-1/9"), (b"content-length", b"2")], b"ab"
    )
    assert (status, body) == (206, b"ab")
    assert header(pairs, b"content-range") == [b"bytes 0-1/9"]


def test_a_304_keeps_the_policy_of_the_page_it_stands_for_and_names_our_tag() -> None:
    status, pairs, body = exchange().whole(
        304, [(b"etag", b'"abc"'), (b"content-security-policy", b"script-src x"), (b"set-cookie", b"_ga=1")], b""
    )
    assert (status, body) == (304, b"")
    assert header(pairs, b"etag")[0].startswith(b'W/"s~abc~')
    assert header(pairs, b"content-security-policy") == header(pairs, b"set-cookie") == []
    assert b"Cookie" in header(pairs, b"vary")[0]


def test_head_tells_what_get_would_but_for_the_length() -> None:
    _, head, body = exchange(method="HEAD").whole(200, [*HTML, (b"content-length", b"999"), (b"etag", b'"a"')], b"")
    assert body == b""
    assert header(head, b"content-length") == []
    assert header(head, b"content-security-policy") and header(head, b"etag")[0].startswith(b'W/"s~a~')
    made = exchange(method="HEAD")
    assert made.head(200, list(HTML))[1] == exchange(method="HEAD").whole(200, list(HTML), b"")[1]
    assert not made.streams and made.finish() == b""


def test_early_hints_are_only_links_and_only_to_whom_may_be_contacted() -> None:
    links = f"</a.css>; rel=preload; as=style, <{GA}/>; rel=preconnect".encode()
    assert exchange().early([(b"link", links), (b"set-cookie", b"a=b")]) == [(b"link", b"</a.css>; rel=preload; as=style")]
    assert exchange().early([(b"link", f"<{GA}/>; rel=preconnect".encode())]) == []


def test_answers_say_what_they_depend_on() -> None:
    _, pairs, _ = exchange().whole(200, list(HTML), PAGE)
    assert all(name.encode() in header(pairs, b"vary")[0] for name in LOOKED_AT)


def test_a_page_fetched_by_a_script_is_not_shown_from_the_cache_as_a_document() -> None:
    """What a script fetches is not rewritten; a cache that knew only the address would show it raw."""
    _, pairs, body = exchange(destination="empty").whole(200, [*HTML, (b"cache-control", b"max-age=600")], PAGE)
    assert body == PAGE
    assert b"Sec-Fetch-Dest" in header(pairs, b"vary")[0]
    _, pairs, _ = exchange(destination="", xhr=True).whole(200, list(HTML), PAGE)
    assert b"X-Requested-With" in header(pairs, b"vary")[0] and b"Accept" in header(pairs, b"vary")[0]
    made = exchange(destination="empty")
    assert b"Sec-Fetch-Dest" in header(made.head(200, list(HTML))[1], b"vary")[0]


# ---------------------------------------------------------------------------------------- content codings


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("mode", ["whole", "streamed"])
def test_a_coded_page_is_rewritten_and_coded_again(coding: str, mode: str) -> None:
    pack, unpack = CODINGS[coding]
    pairs: Pairs = [*HTML, (b"content-encoding", coding.encode()), (b"content-length", b"7")]
    if mode == "whole":
        _, out, body = exchange().whole(200, pairs, pack(PAGE))
        assert header(out, b"content-length") == [str(len(body)).encode()]
    else:
        out, body = streamed(pack(PAGE), pairs)
        assert header(out, b"content-length") == []
    page = unpack(body)
    assert all(page.count(mark) == 1 for mark in MARKS)
    assert would_load(page.decode(), HOST) == []
    assert header(out, b"content-encoding") == [coding.encode()]


def test_deflate_without_its_wrapping_as_it_is_in_the_wild() -> None:
    packer = zlib.compressobj(wbits=-15)
    body = packer.compress(PAGE) + packer.flush()
    assert b"volens-notice" in zlib.decompress(exchange().whole(200, [*HTML, (b"content-encoding", b"deflate")], body)[2])


def test_several_gzip_members_and_what_follows_them() -> None:
    pairs: Pairs = [*HTML, (b"content-encoding", b"gzip")]
    for rest in (b"", b"\0\0\0", b"garbage"):
        body = gzip.compress(PAGE[:40]) + gzip.compress(PAGE[40:]) + rest
        assert ours_out(gzip.decompress(exchange().whole(200, pairs, body)[2])).startswith(PAGE[:60])
        assert b"Bonjour" in gzip.decompress(streamed(body, pairs)[1])


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "compress", "gzip, br", "dcb"])
@pytest.mark.parametrize("body", [PAGE, b"\x1f\x8b\x08\x00" + b"\xff" * 40, b"\xff" * 9, b""])
def test_a_broken_or_unknown_coding_never_lets_the_raw_page_through(coding: str, body: bytes) -> None:
    pairs: Pairs = [*HTML, (b"content-encoding", coding.encode())]
    status, out, sent = exchange().whole(200, pairs, body)
    assert b"google-analytics" not in sent or b"script-src 'none'" in b"".join(header(out, b"content-security-policy"))
    assert status in (200, 502)
    out, sent = streamed(body, pairs, 5)
    assert b"google-analytics" not in sent or b"script-src 'none'" in b"".join(header(out, b"content-security-policy"))


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate"])
def test_a_body_cut_off_ends_without_an_error(coding: str) -> None:
    body = CODINGS[coding][0](PAGE * 50)
    for cut in (1, len(body) // 2, len(body) - 1):
        exchange().whole(200, [*HTML, (b"content-encoding", coding.encode())], body[:cut])
        streamed(body[:cut], [*HTML, (b"content-encoding", coding.encode())], 11)


def test_a_streamed_page_flows() -> None:
    """What has been fed can be read before more comes, whatever the coding."""
    for coding, unpacker in (
        ("identity", None),
        ("gzip", zlib.decompressobj(31)),
        ("br", brotli.Decompressor()),
        ("zstd", zstd.ZstdDecompressor()),
    ):
        made = exchange()
        made.head(200, [*HTML, *([(b"content-encoding", coding.encode())] if unpacker else [])])
        pack = CODINGS[coding][0] if unpacker else bytes
        whole = pack(PAGE[: PAGE.index(b"<script")] + b"<p>" + b"x" * 3000 + b"</p>")
        out = made.feed(whole)
        seen = out if unpacker is None else unpacker.process(out) if coding == "br" else unpacker.decompress(out)
        assert b"<volens-notice" in seen and b"xxx" in seen


# ---------------------------------------------------------------------------------------- encodings

WORDS = "Où ça ? 日本語テスト ひらがな カタカナ 表示"
LEGACY = [
    ("utf-8", "é日本"),
    ("windows-1252", "Où ça — «été» €"),
    ("iso-8859-1", "Où ça"),
    ("windows-1251", "Привет"),
    ("shift_jis", "日本語ソ表示能十"),  # with bytes 0x5C and other ASCII inside characters
    ("euc-jp", "日本語"),
    ("gbk", "中文測試"),
    ("gb18030", "中文\U00020000"),
    ("big5", "中文許功蓋"),
    ("euc-kr", "한국어"),
    ("iso-2022-jp", "日本語<テスト>"),
    ("utf-16-le", "日本\U0001f600"),
    ("utf-16-be", "日本"),
]


NAMED = [(n, w, "header") for n, w in LEGACY]
NAMED += [(n, w, "meta") for n, w in LEGACY if not n.startswith("utf-16")] + [(n, w, "bom") for n, w in LEGACY if n.startswith("utf")]


@pytest.mark.parametrize(("name", "words", "where"), NAMED)
def test_bytes_outside_our_insertions_are_unchanged_in_every_encoding(name: str, words: str, where: str) -> None:
    meta = f'<meta charset="{name}">' if where == "meta" else ""
    head = f"<!DOCTYPE html><html><head>{meta}<title>{words}</title></head>"
    page = f"{head}<body title='{words}'><p>{words}</p><img src='{GA}/x'></body></html>"
    mark = {"utf-8": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(name, b"") if where == "bom" else b""
    body = mark + page.encode(name)
    pairs: Pairs = [
        (b"content-type", b"text/html" + (f"; charset={name.replace('utf-16-', 'utf-16')}".encode() if where == "header" else b""))
    ]
    _, out, made = exchange().whole(200, pairs, body)
    text = made.removeprefix(mark).decode(name)
    assert made.startswith(mark)
    assert would_load(text, HOST) == []
    assert "/a/page" in text, "the page's own path stands in the page's encoding"
    assert ours_out(made[len(mark) :].decode(name).encode()).decode().replace("data-volens-src", "src") == page
    if where == "meta":
        assert f"charset={name}" in header(out, b"content-type")[0].decode()
    _, flow = streamed(body, pairs, 5 if where != "meta" else 4096)
    assert ours_out(flow.removeprefix(mark).decode(name).encode()).decode().replace("data-volens-src", "src") == page
    if where == "meta":
        assert f'<meta charset="{name}"><script data-volens='.encode() in flow, "named where a browser looks for it"


JIS_BYTES = b"<p>\x1b$B<s>F|\x1b(J~\\\x1b(I123\x1b(B</p>\x1b$@%3%s\x1b(B<b>x</b>"


def test_iso_2022_jp_that_python_cannot_read_passes_byte_for_byte() -> None:
    """Half-width kana, JIS-Roman, the 1978 set, rows of the makers: one byte of doubt must not cost a word."""
    page = b"<html><head></head><body>" + JIS_BYTES + b'\x1b$B-!-"\x1b(B</body></html>'
    pairs: Pairs = [(b"content-type", b"text/html; charset=ISO-2022-JP")]
    assert ours_out(exchange().whole(200, pairs, page)[2]) == page
    for size in (1, 2, 3, 50):
        assert ours_out(streamed(page, pairs, size)[1]) == page


def test_markup_that_is_half_of_a_character_is_no_markup() -> None:
    page = b"<html><head></head><body>\x1b$B<img src=//www.google-analytics.com/x>\x1b(B</body></html>"
    assert ours_out(exchange().whole(200, [(b"content-type", b"text/html; charset=iso-2022-jp")], page)[2]) == page


def test_an_encoding_named_in_a_comment_or_a_description_is_not_the_page_s() -> None:
    for other in (
        b"<!-- <meta charset=iso-2022-jp> -->",
        b'<meta name=description content="charset=iso-2022-jp">',
        b"<title>charset=utf-16</title>",
    ):
        page = b"<html><head>" + other + b"</head><body>\x1b$B<img src=//www.google-analytics.com/x>\x1b(B</body></html>"
        _, out, made = exchange().whole(200, [(b"content-type", b"text/html")], page)
        assert b" src=//www.google" not in made
        assert header(out, b"content-type") == [b"text/html"]


def test_lone_surrogates_and_a_byte_too_many_do_not_break_a_wide_page() -> None:
    page = b"\xff\xfe" + "<html><head></head><body>a".encode("utf-16-le") + b"\x00\xd8x\x00" + "</body>".encode("utf-16-le")
    made = exchange().whole(200, [(b"content-type", b"text/html")], page + b"z")[2]
    assert b"\x00\xd8x\x00" in made and "<volens-notice".encode("utf-16-le") in made
    assert b"\x00\xd8x\x00" in streamed(page + b"z", [(b"content-type", b"text/html")], 3)[1]


# ---------------------------------------------------------------------------------------- kinds of pages


@pytest.mark.parametrize("body", [b"", b" ", b"x", b"<p>", b"<!-- c -->", b"</html>", b"<title>x", b"\0", b"<"])
def test_a_page_without_head_or_body(body: bytes) -> None:
    _, out, made = exchange().whole(200, list(HTML), body)
    if body:
        assert all(made.count(mark) == 1 for mark in MARKS)
        assert header(out, b"content-security-policy")


def test_what_is_no_page_passes_as_bytes() -> None:
    for kind in (b"text/plain", b"application/json", b"image/png", b"text/htmlx", b"application/octet-stream"):
        _, out, made = exchange().whole(200, [(b"content-type", kind), (b"set-cookie", b"_ga=1")], PAGE)
        assert made == PAGE
        assert header(out, b"set-cookie") == []


def test_a_page_without_a_type_is_a_page_where_a_browser_takes_it_for_one() -> None:
    _, out, made = exchange().whole(200, [], PAGE)
    assert b"<volens-notice" in made and header(out, b"content-type") == [b"text/html"]
    assert exchange().whole(200, [], b"just text <script>")[2] == b"just text <script>"
    assert exchange().whole(200, [(b"x-content-type-options", b"nosniff")], PAGE)[2] == PAGE


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_streamed_answer_without_a_type_is_judged_by_its_first_bytes(size: int) -> None:
    """A picture or a text that somebody uploaded must not become a page by our doing."""
    for body in (b"\x89PNG\r\n\x1a\n" + bytes(90) + b"<script>x</script>", b"plain text <script>x</script>", b"", b"x"):
        out, made = streamed(body, [], size)
        assert made == body and header(out, b"content-type") == []
    out, made = streamed(b" \n" + PAGE, [], size)
    assert all(made.count(mark) == 1 for mark in MARKS) and header(out, b"content-type") == []
    out, made = streamed(gzip.compress(PAGE), [(b"content-encoding", b"gzip")], size)
    assert b"volens-notice" in gzip.decompress(made)


def test_xhtml_is_rewritten_as_xml() -> None:
    page = (
        b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><script src="/a.js"/><script src="/b.js"/>'
        b'<title/><link rel="preconnect" href="https://www.google-analytics.com/"/></head><body><p>x</p><img src="https://www.google-analytics.com/x"/></body></html>'
    )
    made = exchange().whole(200, [(b"content-type", b"application/xhtml+xml")], page)[2]
    assert b' src="https://www.google' not in made and b' href="https://www.google' not in made
    assert b"<![CDATA[" in made
    import xml.etree.ElementTree as tree

    tree.fromstring(made)


def test_svg_and_feeds_shown_as_documents_get_the_policy_and_keep_their_bytes() -> None:
    for kind in (b"image/svg+xml", b"application/xml", b"application/rss+xml"):
        _, out, made = exchange().whole(200, [(b"content-type", kind)], b"<x/>")
        assert made == b"<x/>" and header(out, b"content-security-policy")


def test_wrong_lengths_are_put_right() -> None:
    _, out, made = exchange().whole(200, [*HTML, (b"content-length", b"3"), (b"Content-Length", b"99999")], PAGE)
    assert header(out, b"content-length") == [str(len(made)).encode()]


@pytest.mark.parametrize(
    "path", ["/</script><script>x", "/<!--", "/a?b=\"'><img src=x>", "/\xe9\xff", "//evil.example/", "/a#</volens-notice>"]
)
def test_what_stands_in_a_path_stays_in_its_attribute(path: str) -> None:
    for body in (
        exchange(target=path.encode("latin-1")).whole(200, list(HTML), PAGE)[2],
        streamed(PAGE, list(HTML), target=path.encode("latin-1"))[1],
    ):
        assert ours_out(body) == ours_out(exchange().whole(200, list(HTML), PAGE)[2])
        assert b"__volens_back__" not in body and b"<img src=x" not in body and b"</script><script>x" not in body
        assert b'href="//evil' not in body


def test_what_stands_in_a_choice_stays_in_its_attribute() -> None:
    body = exchange(answer="'></script><!--<script>&").whole(200, list(HTML), PAGE)[2]
    assert body.count(b"<script") == 2 and b"<!--" not in body
    told = body[body.index(b"data-volens='") + 13 :]
    assert b"&#39;&gt;&lt;/script&gt;&lt;!--&lt;script&gt;&amp;" in told[: told.index(b"'")]


def test_workers_begin_with_the_guard_whatever_their_coding() -> None:
    script = b"'use strict';postMessage(1)"
    for coding, (pack, unpack) in {"": (bytes, bytes), **CODINGS}.items():
        pairs: Pairs = [(b"content-type", b"text/javascript"), *([(b"content-encoding", coding.encode())] if coding else [])]
        _, out, made = exchange(destination="worker").whole(200, pairs, pack(script))
        assert unpack(made).startswith(b"self.__volens={") and unpack(made).endswith(script)
        assert header(out, b"content-length") == [str(len(made)).encode()]
        assert header(out, b"content-security-policy")
        flow = streamed(pack(script), pairs, 3, destination="sharedworker")[1]
        assert unpack(flow).startswith(b"self.__volens={") and unpack(flow).endswith(script)


# ---------------------------------------------------------------------------------------- memory and time


def measured(code: str, *arguments: str) -> float:
    """Megabytes that ``code`` adds to a fresh process (maximum resident size before and after)."""
    script = f"""
import resource, sys
sys.path[:0] = [{str(ROOT / "src")!r}, {str(ROOT)!r}]
from tests.enforce.making import *
HTML = [(b"content-type", b"text/html; charset=utf-8")]
made = exchange(); made.head(200, HTML); made.feed(b"<p><img src=https://www.google-analytics.com/x>" * 3000); made.finish()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{code}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    return float(subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, timeout=120).stdout)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        ("<p>", "texte "),
        ("<!--", "mots "),
        ("<script>", "f();\n"),
        ("<style>", "a{b:c}\n"),
        ("<textarea>", "é&amp; < b "),
        ("<p>", "a < b & c "),
    ],
)
def test_what_has_no_tags_is_bounded_too(start: str, piece: str) -> None:
    code = f"""
made = exchange(); made.head(200, HTML); size = len(made.feed({"<html><head></head><body>" + start!r}.encode()))
piece = ({piece!r} * 20000).encode()[:65536]
for _ in range(500): size += len(made.feed(piece))
size += len(made.finish()); assert size > 500 * 65536
"""
    assert measured(code) < 20


def test_a_page_of_a_hundred_megabytes_costs_less_than_twenty() -> None:
    code = """
made = exchange(); made.head(200, HTML); size = 0
piece = (b"<p class=a>" + b"texte " * 2000 + b"<img src=/a.jpg></p>") * 5
for _ in range(100 * 1024 * 1024 // len(piece)): size += len(made.feed(piece))
size += len(made.finish()); assert size > 99 * 1024 * 1024
"""
    assert measured(code) < 20


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_bomb_is_let_out_in_small_pieces(coding: str) -> None:
    pack = {
        "gzip": "import gzip; bomb = gzip.compress(b'<p>' + bytes(120 << 20))",
        "br": "import brotli; bomb = brotli.compress(b'<p>' + bytes(64 << 20), quality=3)",
        "zstd": "from volens.enforce.coding import zstd; bomb = zstd.compress(b'<p>' + b' ' * (64 << 20))",
    }[coding]
    made = subprocess.run(
        [sys.executable, "-c", f"{pack}; import sys; sys.stdout.buffer.write(bomb)"],
        capture_output=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "src")},
    ).stdout
    path = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path("/tmp")
    file = path / f"volens-test-{coding}-{len(made)}"
    file.write_bytes(made)
    try:
        code = f"""
bomb = open({str(file)!r}, "rb").read()
made = exchange(); out = made.whole(200, [*HTML, (b"content-encoding", b"{coding}")], bomb)[2]
made = exchange(); made.head(200, [*HTML, (b"content-encoding", b"{coding}")])
sum(len(made.feed(bomb[i:i+1000])) for i in range(0, len(bomb), 1000)); made.finish()
"""
        assert measured(code) < 60
    finally:
        file.unlink()


def test_an_attribute_of_ten_megabytes_and_a_million_tags() -> None:
    big = b"<html><body><img alt='" + b"x" * 10_000_000 + b"' src=https://www.google-analytics.com/x>"
    out = streamed(big, list(HTML), 1 << 20)[1]
    assert b" src=https" not in out and len(out) > 10_000_000
    many = b"<html><body>" + b"<b>" * 1_000_000
    assert ours_out(streamed(many, list(HTML), 1 << 18)[1]) == many


def test_deep_nesting_is_no_recursion() -> None:
    for unit in (
        b"<template shadowrootmode=open>",
        b"<svg><style>",
        b"<noscript>",
        b"<div>",
        b"<svg><script/>",
        b"<select>",
        b"<frameset>",
        b"<![CDATA[>",
    ):
        page = b"<body>" + unit * 3000 + b"<img src=https://www.google-analytics.com/x>"
        made = exchange().whole(200, list(HTML), page)[2]
        assert would_load(made.decode(), HOST) == []
    page = "<iframe srcdoc='" * 8 + f"<img src={GA}/x>"
    for _ in range(8):
        page = page.replace("&", "&amp;")
    assert would_load(exchange().whole(200, list(HTML), page.encode())[2].decode(), HOST) == []


def test_the_memo_is_bounded_and_forgets_the_oldest() -> None:
    memo = Memo(limit=1000)
    for index in range(50):
        memo.put((str(index), b"b" * 50), Page(((b"x" * 50,),), "", False, "", Seen(), True))
    held = [index for index in range(50) if memo.get((str(index), b"b" * 50))]
    assert held == list(range(40, 50))
    memo.put(("big", b"b" * 900), Page(((b"",),), "", False, "", Seen(), True))
    assert memo.get(("big", b"b" * 900)) is None


def test_a_page_seen_before_is_the_same_for_equal_states_only() -> None:
    memo = Memo()
    first = exchange(memo=memo).whole(200, list(HTML), PAGE)
    assert exchange(memo=memo).whole(200, list(HTML), PAGE) == first
    other = exchange(OPEN, memo=memo, site=OPEN_SITE).whole(200, list(HTML), PAGE)[2]
    assert b" src=https://www.google" in other and b" src=https://www.google" not in first[2]
    assert b"/other" in exchange(memo=memo, target=b"/other").whole(200, list(HTML), PAGE)[2]


# ---------------------------------------------------------------------------------------- when we fail


def test_an_error_of_ours_serves_the_text_with_third_parties_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Rewriter, text: str) -> str:
        raise RuntimeError("injected")

    monkeypatch.setattr(module.Rewriter, "feed", broken)
    for size in (1, 9, 4096):
        out, made = streamed(PAGE + b"<LINK rel=preconnect href=https://www.google-analytics.com/>", list(HTML), size)
        assert b"Bonjour" in made
        assert [load for load in would_load(made.decode(), HOST) if load.kind in ("script", "hint", "frame")] == []
        assert header(out, b"content-security-policy")


@pytest.mark.parametrize(
    "page",
    [
        f"<script src={GA}/x></script>",
        f"<SCRIPT\nsrc={GA}/x></SCRIPT>",
        f"<link rel=preconnect href={GA}>",
        f'<meta content="a>b" http-equiv=refresh content="0;{GA}">',
        f"<meta http-equiv=refresh content='0;url={GA}'>",
        f"<meta charset=utf-8 http-equiv=refresh content='0;url={GA}'>",
        f"<iframe src={GA}></iframe><frame src={GA}><object data={GA}><embed src={GA}>",
        f"<form action={GA}><base href={GA}>",
        f"<svg><script href={GA}/></svg>",
    ],
)
def test_nothing_that_acts_is_left_in_text_only(page: str) -> None:
    assert [load for load in would_load(text_only(page.encode()).decode(), HOST) if load.kind != "image"] == []


def test_text_only_keeps_the_encoding_and_the_words() -> None:
    for meta in (
        b'<meta charset="utf-8">',
        b"<meta charset=shift_jis />",
        b'<META http-equiv="Content-Type" content="text/html; charset=utf-8">',
    ):
        assert text_only(meta + b"<p>Bonjour</p>") == meta + b"<p>Bonjour</p>"


def test_a_failed_page_keeps_its_status_and_what_is_no_page_its_bytes() -> None:
    status, pairs, body = exchange().withheld(404, [(b"content-type", b"text/html"), (b"etag", b"x")], PAGE)
    assert status == 404 and b"<script src" not in body
    assert header(pairs, b"etag") == [] and header(pairs, b"cache-control") == [b"no-store"]
    assert exchange().withheld(200, [(b"content-type", b"image/png")], b"<script")[2] == b"<script"
    wide = exchange().withheld(200, [(b"content-type", b"text/html; charset=utf-16le")], "<script src=x>".encode("utf-16-le"))[2]
    assert wide.decode("utf-16-le") == '<script type="text/plain" src=x>'


# ---------------------------------------------------------------------------------------- anything


@given(
    st.binary(max_size=300),
    st.sampled_from([b"text/html", b"text/html; charset=utf-16le", b"text/html;charset=iso-2022-jp", b"application/xhtml+xml", b"", b";"]),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_bytes_pass_both_ways_without_an_error(body: bytes, kind: bytes) -> None:
    pairs: Pairs = [(b"content-type", kind)] if kind else []
    exchange().whole(200, pairs, body)
    streamed(body, pairs, 5)


@given(
    st.lists(
        st.sampled_from(
            [
                PAGE,
                b"<p>",
                b"<img src=https://www.google-analytics.com/x>",
                b"\r\n",
                b"\0",
                b"\xff",
                b"text",
                b"<style>a{b:url(/x)}</style>",
            ]
        ),
        max_size=9,
    )
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_whole_and_streamed_in_any_chunks_are_the_same_body(parts: list[bytes]) -> None:
    body = b"".join(parts)
    if body:
        assert len({exchange().whole(200, list(HTML), body)[2], *(streamed(body, list(HTML), size)[1] for size in (1, 3, 64))}) == 1


def test_a_script_in_many_pieces_takes_time_in_proportion() -> None:
    made = exchange(destination="script")
    assert made.head(200, [(b"content-type", b"text/javascript")])[0] == 200 and made.streams
    start = time.process_time()
    out = b"".join([*(made.feed(b"a=1;") for _ in range(40_000)), made.finish()])
    assert out == b"a=1;" * 40_000 and time.process_time() - start < 2
