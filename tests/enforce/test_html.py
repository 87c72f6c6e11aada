"""The rewrite: nothing the oracle finds gets through, what needs no change comes out unchanged, however it is cut."""

from __future__ import annotations

import base64
import os
import re
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.enforce.making import ACCEPTED, DRESS, GUARD, HOST, OPEN, OPEN_SITE, TRACKERS, granted, latin, rewritten, unlatin
from tests.enforce.test_oracle import HARMLESS
from tests.enforce.test_oracle import TRACKERS as EVERY_KIND
from tests.oracle import Load, texts, would_load
from volens.enforce import embeds
from volens.enforce import html as html_module
from volens.enforce.html import Seen
from volens.enforce.references import candidates

GA = "www.google-analytics.com"
OWN = (HOST, "*.site.example")
PASSIVE = {"image", "style", "font", "media"}


def leaks(markup: str, *allowed: str) -> list[Load]:
    """What a page loads from hosts that are not allowed: known trackers for anything, others for what can act."""
    found = would_load(markup, *OWN, *allowed)
    return [load for load in found if load.host in TRACKERS or load.kind not in PASSIVE | {"form", "refresh"}]


# ---------------------------------------------------------------------------------------- case by case


def _with_tracker(page: str) -> str:
    """The oracle's own cases, with a tracker that the catalog knows."""

    def one(found: re.Match[str]) -> str:
        return base64.b64encode(base64.b64decode(found[0]).replace(b"tracker.example", GA.encode())).decode()

    return re.sub(r"(?<=base64,)[A-Za-z0-9+=]{16,}", one, page).replace("tracker.example", GA)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_tracker_is_withheld(kind: str) -> None:
    page = latin(_with_tracker(EVERY_KIND[kind]).replace("tr%61cker.example", "www.google-%61nalytics.com"))
    page = page.replace("ｔracker.example".encode().decode("latin-1"), "ｗww.google-analytics.com".encode().decode("latin-1"))
    page = page.replace("track\\\ner.example", "www.google-\\\nanalytics.com")
    assert leaks(unlatin(page)) != []
    for size in (0, 1, 7):
        assert leaks(unlatin(rewritten(page, size=size, bare=True))) == []


EVASIONS = [
    # lists whose members hide behind each other
    f'<img srcset="/a.jpg, https://{GA}/x 2x">',
    f'<img srcset="/a.jpg (x) (y,z), https://{GA}/x 1x">',
    f'<img srcset="/a.jpg 1x,https://{GA}/x">',
    f'<a ping="/own https://{GA}/x">x</a>',
    f'<link rel=preload as=image href=/a.jpg imagesrcset="/b.jpg, https://{GA}/x">',
    # attributes read otherwise than a browser does
    f'<img alt=a\xa0x="b src=//{GA}/x c">',
    f'<img alt=a\x0bx="b src=//{GA}/x c">',
    f"<img alt=a\x85x='b src=//{GA}/x c'>",
    f"<img src=//{GA}/x src=/own.jpg>",
    f"<img/src=//{GA}/x/>",
    f'<img a="b"src=//{GA}/x>',
    f"<img =src=/a src=//{GA}/x>",
    f"<img\fsrc\r=\n//{GA}/x>",
    f'<svg><script src="/own.js" href="https://{GA}/x"></script></svg>',
    f'<svg><rect fill="URL(https://{GA}/x)"/></svg>',
    f'<svg><rect fill="&#117;rl(https://{GA}/x)"/></svg>',
    # text for one reader, markup for another
    f"<svg><script/><image href=//{GA}/x /></svg>",
    f"<svg><style/><image href=//{GA}/x /></svg>",
    f"<svg><title/><image href=//{GA}/x /></svg>",
    f"<svg><plaintext><image href=//{GA}/x />",
    f"<svg><iframe><image href=//{GA}/x /></iframe>",
    f"<math><annotation-xml><iframe/><style><img src=//{GA}/x></style></math>",
    f"<svg><![CDATA[ > <!-- ]]><image href=//{GA}/x />-->",
    f"<svg><![CDATA[><script>]]><image href=//{GA}/x /><a></script>",
    f"<frameset><style><frame src=//{GA}/x></style></frameset>",
    f"<frameset><script><frame src=//{GA}/x></script></frameset>",
    f"<frameset><textarea><frame src=//{GA}/x></frameset>",
    f"<template><col><style></template><img src=//{GA}/x></style>",
    f"<template><col><script></template><link rel=preconnect href=//{GA}/></script>",
    f"<noscript><title></noscript><style></title><img src=//{GA}/x></style>",
    f'<noscript><a x="</noscript><p title=" src><img src=//{GA}/x>">',
    f"<noscript><!-- </noscript><style>--><img src=//{GA}/x></style>",
    # the base that counts
    f'<body><template><base href="https://{HOST}/"></template><base href="https://{GA}/"><script src=x.js></script>',
    f'<svg><base href="https://{GA}/"/></svg><base href="https://{HOST}/"><link rel=prefetch href=x>',
    f'<noscript><base href="https://{GA}/"><link rel=prefetch href=x></noscript>',
    # hosts written oddly
    latin("<link rel=preconnect href=https://www。google-analytics。com/>"),
    latin("<link rel=preconnect href=https://ｗｗｗ.google-analytics.com/>"),
    f"<img src=\\\\{GA}/{'a' * 70000}>",
    f"<link rel=preconnect href=\\\\{GA}/{'a' * 70000}>",
    f"<img src='https://{GA}.'>",
    f"<img src='https://u:p@{GA}/x'>",
    f"<img src='https:\n//{GA}/x'>",
    f"<meta http-equiv=refresh content=\"0;url='https://{GA}'.{HOST}/\">",
    f"<meta http-equiv=refresh content='.0 https://{GA}/x'>",
    # sheets and documents inside addresses
    f'<iframe src="data:text/html,%3Cimg%20src=https://{GA}/x>"></iframe>',
    f'<iframe srcdoc="&lt;svg/onload=x&gt;&lt;img src=//{GA}/x&gt;"></iframe>',
    f'<link rel=stylesheet href="data:text/css,@import url(https://{GA}/x)">',
    '<link rel=stylesheet href="data:text/css;base64,QGltcG9ydCB1cmwoaHR0cHM6Ly93d3cuZ29vZ2xlLWFuYWx5dGljcy5jb20veCk=">',
    f'<p style="background:url&#40;https://{GA}/x)">',
    f"<style>a{{b:url(x)}}</style\n><img src=//{GA}/x>",
    f"<image src=//{GA}/x>",
    f"<svg><image><animate attributeName=href values='/a;//{GA}/x'/></image></svg>",
    f"<script src=//{GA}/x nonce=a></script>",
    f"<img src=/a attributionsrc=https://{GA}/x>",
    f"<link rel='search' href=https://{GA}/x>",
]


@pytest.mark.parametrize("page", EVASIONS, ids=range(len(EVASIONS)))
def test_no_way_round_the_rewrite(page: str) -> None:
    assert leaks(unlatin(page)) != [], "the oracle must see it, else this case says nothing"
    for size in (0, 1, 13):
        assert leaks(unlatin(rewritten(page, size=size, bare=True))) == []
        assert leaks(unlatin(rewritten(page, size=size))) == []


UNCHANGED = [
    *(page for page in HARMLESS if "text/plain" not in page),  # such scripts are started by other consent tools
    "<!DOCTYPE html>\r\n<html>\r\n<body class='a'\r\n id=b>\r\nx\r\n</body>",
    '<img src="/a.jpg"><img src=b.jpg srcset="a.jpg 1x, b.jpg 2x">',
    '<script src="/x.js"></script><script>if (a<b && c>d) document.write("<img src=//x.example/y>")</script>',
    "<p>\x00 a\x0bb &amp; &lt; &#0; &notit; \xff</p>",
    "<a href='https://www.google-analytics.com/' title=x>plain links stay</a>",
    "<style>a{background:url(/x.png)} b{c:d} @media x{}</style>",
    "<style>a\0b</style><script>'\0'</script><title>\0</title><a b=\0 \0c>",
    "a</>b<p title='</>'></></p><script>'</>'</script><!-- </> -->",
    "<textarea>\\n<script></textarea><xmp><b></xmp>",
    "<form action=/a><input formaction=/b></form><form action='https://unknown.example/pay'></form>",
    "<iframe src=/a></iframe><iframe src='about:blank'></iframe><iframe src='javascript:void(0)'></iframe>",
    "<svg><title>a&lt;b</title><style>a{b:c}</style><rect fill='url(#a)'/></svg>",
    "<div style=\"color:red;background:url('/a.png')\" onclick='x()'></div>",
    "<noscript><img src=/a></noscript><noscript>a < b</noscript>",
    "<!-- a --!><!--><!---><![CDATA[x]]><?xml a?></ a><!x>",
    '<meta http-equiv=refresh content="5"><meta http-equiv=refresh content="0;url=/b">',
    "<video poster=/a.jpg><source src=/b.mp4><track src=/c.vtt></video>",
    "<template><tr><td>a</td></tr></template>",
    "<table><colgroup><col><col></colgroup><tr><td background=/a>x</table><script>'<b>'</script>",
    "<template><table><colgroup><col></colgroup></table></template><script>'<img src=//www.google-analytics.com/x>'</script>",
    "<select><option>a<option>b</select><script>'<img src=//www.google-analytics.com/x>'</script>",
]


@pytest.mark.parametrize("page", UNCHANGED, ids=range(len(UNCHANGED)))
def test_what_needs_no_change_passes_as_the_very_bytes_that_came(page: str) -> None:
    page = latin(page) if not page.isascii() and max(map(ord, page)) > 255 else page
    seen = Seen()
    assert rewritten(page, bare=True, seen=seen) == page
    assert not seen.changed
    for size in (1, 2, 5):
        assert rewritten(page, bare=True, size=size) == page


def test_a_tag_that_never_ends_is_dropped_as_browsers_do() -> None:
    assert rewritten("text <a href='x", bare=True) == "text "


def test_only_our_two_insertions_make_a_page_differ() -> None:
    for page in UNCHANGED:
        made = rewritten(page)
        assert made.count(GUARD) == 1
        assert made.count(DRESS) == 1
        assert made.index(GUARD) < made.index(DRESS)
        assert made.replace(GUARD, "").replace(DRESS, "") == page.replace("\r\n", "\r\n")


def test_the_guard_stands_before_anything_that_could_run() -> None:
    for page in (
        "<script>a()</script>",
        "<!doctype html><html><head><script>a()</script></head><body>",
        "<html onload=a()><head></head>",
        "<title>x</title><script>a()</script>",
        "<template><script>a()</script></template><script>b()</script>",
        "<body onload=a()>",
        "text<script>a()</script>",
        "<noscript><p></noscript><script>a()</script>",
        "</head><script>a()</script>",
        "</p><script>a()</script>",
        "<frameset onload=a()><frame src=/x></frameset>",
        "<svg onload=a()>",
    ):
        made = rewritten(page)
        first = min(
            (at for at in (made.find("<script>a"), made.find("onload=a") if "<html" not in made else -1) if at >= 0), default=len(made)
        )
        opening = made.rfind("<", 0, first + 1)
        assert 0 <= made.index(GUARD) <= opening or "<body" in page or "<frameset" in page or "<svg" in page, made
        assert made.index(GUARD) < (made.find("<body") if "<body" in made else len(made))


def test_the_notice_never_comes_before_a_frameset() -> None:
    made = rewritten("<html><head><title>x</title></head><frameset><frame src=/a></frameset></html>")
    assert DRESS not in made
    assert GUARD in made


@pytest.mark.parametrize(
    "page", ["", " ", "<!-- -->", "<html>", "<head>", "<title>never closed", "<script>never closed", "<style>a{", "<template>"]
)
def test_a_page_without_head_or_body_is_given_both_insertions(page: str) -> None:
    made = rewritten(page)
    assert made.count(GUARD) == made.count(DRESS) == 1


def test_the_notice_follows_the_language_of_the_page() -> None:
    seen = Seen()
    rewritten("<html lang='fr-CA'><body>", seen=seen)
    assert seen.language == "fr-CA"


@pytest.mark.parametrize(
    "markup",
    [
        "<script" + " " * 60_000 + ">tarteaucitron.init(</script>",
        "<script src=https://www.google-analytics.com/a.js" + "/" * 60_000 + "></script>",
        "<script type='" + " " * 60_000 + "x'>a</script>",
        "<iframe src='https://www.youtube.com/embed/x' srcdoc='www.youtube.com " + "<img " * 12_000 + "'></iframe>",
        "<iframe src='https://www.youtube.com/embed/x' srcdoc='www.youtube.com " + "<img src " * 8_000 + "'></iframe>",
    ],
    ids=["spaces", "slashes", "type", "pictures", "sources"],
)
def test_no_tag_takes_more_time_than_its_length(markup: str) -> None:
    start = time.process_time()
    rewritten("<body>" + markup)
    assert time.process_time() - start < 2


def test_the_words_of_allow_are_found_in_little_time() -> None:
    start = time.process_time()
    rewritten(f'<body><iframe src="https://video.example/v" allow="{"1 " * 50_000}; autoplay *;; 2x-y"></iframe>')
    assert time.process_time() - start < 1


def test_a_post_s_quote_that_never_ends_is_not_remembered_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []

    def quoted(attributes: embeds.Attributes, links: list[str]) -> embeds.Drawn:
        told.append(links)
        return embeds.Drawn()

    monkeypatch.setattr(embeds, "quoted", quoted)
    links = "".join(f"<a href=https://x.com/a/status/{n}{'0' * 5000}>" for n in range(300))
    rewritten(f"<body><blockquote class=twitter-tweet>{links}</blockquote>")
    assert len(told[0]) == 100 and told[0][-1].startswith("https://x.com/a/status/299") and max(map(len, told[0])) == 2000


def test_a_withheld_frame_becomes_a_placeholder_of_its_size() -> None:
    made = rewritten(
        '<iframe id=a width="560" height="315" src="https://video.example/v?a=1&amp;b=2" sandbox="allow-scripts"></iframe>', bare=True
    )
    assert 'src="/_volens/embed/frame?u=https://video.example/v%3Fa%3D1%26b%3D2&amp;sandbox=allow-scripts"' in made
    assert "srcdoc" not in made, "without screens it is asked for"
    assert 'id=a width="560" height="315"' in made
    assert "data-volens-src=" in made and "data-volens-sandbox" in made


def test_an_address_of_a_placeholder_keeps_letters_beyond_ascii() -> None:
    made = rewritten(latin('<iframe width=5 height=5 src="https://video.example/é"></iframe>'), bare=True)
    assert "u=https://video.example/%C3%A9" in made


def test_a_frame_that_shows_nothing_has_no_placeholder() -> None:
    for hidden in ("hidden", "width=0", "height=1", "style='display: none'", "style=visibility:hidden"):
        assert "/_volens/" not in rewritten(f"<iframe {hidden} src=//{GA}/x></iframe>", bare=True)


def test_granted_services_come_through_and_others_do_not() -> None:
    page = (
        f'<iframe src="https://video.example/v"></iframe><script src="https://reseau.example/s.js"></script><script src=//{GA}/x></script>'
    )
    assert [load.host for load in would_load(rewritten(page, granted("video"), bare=True), *OWN)] == ["video.example"]
    assert [load.host for load in would_load(rewritten(page, granted("reseaux-sociaux"), bare=True), *OWN)] == ["reseau.example"]
    assert [load.host for load in would_load(rewritten(page, ACCEPTED, bare=True), *OWN)] == ["video.example", "reseau.example"]
    assert rewritten(page, OPEN, site=OPEN_SITE, bare=True) == page


def test_a_form_to_a_tracker_leads_to_our_page_and_one_to_a_bank_is_left() -> None:
    made = rewritten(f'<form action="https://{GA}/c?a=1&b" method=post>', bare=True)
    assert f'action="/_volens/out?u=https%3A%2F%2F{GA}%2Fc%3Fa%3D1%26b"' in made
    assert rewritten('<form action="https://bank.example/pay">', bare=True) == '<form action="https://bank.example/pay">'


def test_hosts_that_would_mean_something_in_a_policy_are_not_noted() -> None:
    for host in ("*", "*.google-analytics.com", "a;script-src", "a,b", "'self'", "x'y"):
        seen = Seen()
        rewritten(f"<img src='https://{host.replace(chr(39), '&#39;')}/x'>", bare=True, seen=seen)
        assert all(host.replace(".", "").isalnum() for names in seen.used.values() for host in names), seen.used


def test_srcset_is_read_as_the_standard_says() -> None:
    assert candidates("a.jpg, b.jpg 2x") == ["a.jpg", "b.jpg"]
    assert candidates(" , a.jpg 1x,b.jpg 2x") == ["a.jpg", "b.jpg"]
    assert candidates("a,b.jpg 1x") == ["a,b.jpg"]
    assert candidates("a.jpg (x,y) 1x, b") == ["a.jpg", "b"]
    assert candidates("data:image/png;base64,AAAA 1x, b") == ["data:image/png;base64,AAAA", "b"]
    assert candidates("") == []


# ---------------------------------------------------------------------------------------- anything

gap = st.sampled_from([" ", "\n", "\t", "\f", "\r\n", "/", " / ", "  "])
names = st.sampled_from(
    "src href xlink:href srcset data poster background style ping action formaction srcdoc content http-equiv rel type alt title class id "
    "imagesrcset as media fill to values attributeName width hidden attributionsrc sandbox lowsrc".split()
)
tags = st.sampled_from(
    "img image script iframe frame link meta base form button input video audio source track embed object svg math use feImage style title "
    "textarea noscript template plaintext xmp noembed noframes a area div p td table tr select option frameset body head html set animate "
    "rect foreignObject "
    "mtext annotation-xml desc picture portal br b col colgroup li unknown-tag".split()
)
hosts = st.sampled_from([*TRACKERS, "www.site.example", "cdn.site.example", "unknown.example", "video.example"])


@st.composite
def urls(draw: st.DrawFn) -> str:
    host = draw(hosts)
    form = draw(
        st.sampled_from(
            [
                "https://{}/x",
                "//{}/x",
                "HTTPS://{}/x?a=1&b=2",
                "\\\\{}\\x",
                "ht\ttps:/\n/{}/x",
                "http:{}/x",
                "https://u:p@{}/x",
                " https://{}/x ",
                "///{}/x",
            ]
            + [
                "/own/path",
                "x.jpg",
                "",
                "#a",
                "javascript:void(0)",
                "about:blank",
                "data:image/png;base64,AAAA",
                "data:text/html,<img src=//{}/x>",
            ]
            + ["data:text/css,a{{b:url(//{}/x)}}", "wss://{}/x", "https://{}./x", "https:\\{}/x"]
        )
    )
    url = form.format(host)
    if draw(st.integers(0, 5)) == 0:
        url = url.upper()
    if draw(st.integers(0, 5)) == 0 and url:
        at = draw(st.integers(0, len(url) - 1))
        url = url[:at] + f"&#{ord(url[at])};" + url[at + 1 :]
    return url


@st.composite
def values(draw: st.DrawFn) -> str:
    url = draw(urls())
    return draw(
        st.sampled_from(
            [
                url,
                url,
                url,
                f"/a.jpg, {url} 2x",
                f"{url}, /b 1x",
                f"/own {url}",
                f"0;url={url}",
                f"0; URL='{url}'x",
                f"color:red;background:url({url})",
            ]
            + [f"a:url( '{url}' )", "stylesheet", "preconnect", "dns-prefetch stylesheet", "refresh", "text/plain", "module", "icon"]
            + [f"&lt;img src={url}&gt;", "image", "1", "href", f"/a;{url}", "a'b", "x>y", "é\xa0"]
        )
    )


@st.composite
def attributes(draw: st.DrawFn) -> str:
    name, value = draw(names), draw(values())
    if draw(st.booleans()):
        name = name.upper()
    quote = draw(st.sampled_from(['"', "'", ""]))
    if quote == '"':
        value = value.replace('"', "&quot;")
    elif quote == "'":
        value = value.replace("'", "&#39;")
    elif any(c in value for c in " \t\n\f\r>\"'`"):
        quote, value = '"', value.replace('"', "&quot;")
    return draw(st.sampled_from([f"{name}={quote}{value}{quote}", f"{name} = {quote}{value}{quote}", name]))


@st.composite
def opening(draw: st.DrawFn) -> str:
    tag = draw(tags)
    if draw(st.integers(0, 3)) == 0:
        tag = tag.upper()
    parts = draw(st.lists(st.tuples(gap, attributes()), max_size=4))
    return f"<{tag}{''.join(a + b for a, b in parts)}{draw(st.sampled_from(['', ' ', '/', ' /']))}>"


piece = st.one_of(
    opening(),
    opening(),
    opening(),
    tags.map(lambda tag: f"</{tag}>"),
    tags.map(lambda tag: f"</{tag} x>"),
    st.sampled_from(
        [
            "text",
            "<!-- c -->",
            "<!-- ",
            "-->",
            "<![CDATA[",
            "]]>",
            "<!>",
            "<?x>",
            "&amp;",
            "\x00",
            "\r\n",
            "<",
            "</",
            "<!--<script",
            "--!>",
            "a{b:c}",
            "'",
            '"',
            "é",
            "\xa0",
        ]
    ),
    urls().map(lambda url: f"a{{b:url({url})}}"),
    urls().map(lambda url: f"@import '{url}';"),
)
# A page with both carriage returns and form feeds comes out with returns for feeds: white space all the same.
documents = st.lists(piece, max_size=14).map("".join).map(lambda page: page.replace("\f", " ") if "\r" in page else page)
nasty = settings(
    max_examples=int(os.environ.get("VOLENS_EXAMPLES", "60")),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@given(documents)
@nasty
@example("<svg><title><!--</title><img src=//www.google-analytics.com/x>")
def test_nothing_the_oracle_finds_gets_through(page: str) -> None:
    made = unlatin(rewritten(latin(page), bare=True))
    assert leaks(made) == [], made


@given(documents, st.integers(1, 9))
@nasty
def test_any_chunking_gives_the_same_page(page: str, size: int) -> None:
    assert rewritten(latin(page), size=size) == rewritten(latin(page))


@given(documents, st.integers(1, 40), st.integers(1, 9))
@nasty
@example("<!-- a -- b --x> c --><p>" + "<!--" * 5, 3, 2)
@example("<script>a<!--<script>b</script>c--></script><img src=//www.google-analytics.com/x>", 4, 3)
def test_a_tokenizer_renewed_at_any_moment_gives_the_same_page(page: str, room: int, size: int) -> None:
    whole = rewritten(latin(page))
    before = html_module.RENEWAL
    html_module.RENEWAL = room
    try:
        assert rewritten(latin(page), size=size) == whole
    finally:
        html_module.RENEWAL = before


@given(documents)
@nasty
def test_with_everything_open_the_page_is_the_very_same(page: str) -> None:
    text = latin(page) + "'\">-->"  # a tag that never ends would be dropped
    made = rewritten(text, OPEN, site=OPEN_SITE, bare=True)
    if "javascript:" not in page:
        assert made == text


@given(documents)
@nasty
def test_no_word_a_reader_would_see_is_lost(page: str) -> None:
    assert list(texts(unlatin(rewritten(latin(page), bare=True)))) == list(texts(page.encode("utf-8", "replace").decode()))


@given(st.text(st.characters(max_codepoint=255), max_size=200))
@nasty
def test_any_characters_at_all_pass_without_an_error(page: str) -> None:
    made = rewritten(page)
    assert made.count(GUARD) == 1
    assert rewritten(page, size=3) == made
