"""References inside CSS: what is not allowed points nowhere, all else is the very text that came."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle import absolute, css_loads, host_of
from volens.enforce import css
from volens.enforce.url import Target, resolve

PAGE = Target("https", "www.site.example", "/")
TRACKER = "tracker.example"
T = f"https://{TRACKER}/x"


def allowed(reference: str, kind: str) -> bool:
    return resolve(reference, PAGE).host != TRACKER


def left(text: str) -> list[str]:
    """What the oracle still finds of the tracker."""
    return [url for _, url in css_loads(text) if host_of(absolute(url, "https://www.site.example/")) == TRACKER]


LOADING = [
    f"a{{background:url({T})}}",
    f"a{{background:URL( '{T}' )}}",
    f'a{{background:url("{T}"}}',
    f"a{{background:\\75\\72\\6c({T})}}",
    f"a{{background:\\000075\\000072 \\00006c ({T})}}",
    f"a{{background:ur\\l({T})}}",
    f'@import "{T}";',
    f"@IMPORT'{T}' screen;",
    f"@import/**/'{T}';",
    f"@import /* a */ /* b */ url({T}) layer(x);",
    f"@\\69mport '{T}';",
    f"@im\\port '{T}';",
    f'a{{background:image-set("{T}" 1x)}}',
    f'a{{background:-webkit-image-set(url(/a) 1x, "{T}" 2x)}}',
    f'a{{background:image-set("data:image/png;base64,A}}A" 1x, "{T}" 2x)}}',
    f'a{{background:image-set(linear-gradient(red,blue) 1x, "{T}" type("image/avif"))}}',
    f'a{{background:im\\61ge-set("{T}" 1x)}}',
    "a{background:url(https:\\2f\\2ftracker.example/x)}",
    "a{background:url(https://track\\65 r.example/x)}",
    'a{background:url("https://track\\\ner.example/x")}',
    '@import "https://track\\\r\ner.example/x";',
    f"@font-face{{font-family:x;src:local(a),url({T}) format('woff2')}}",
    f"a{{content:'}}';background:url({T})}}",
    f"a{{background:url(/own),url({T})}}",
    f"a{{--x:url({T})}}",
    f"a{{mask:src('{T}')}}",
    f"a{{background:url(//{TRACKER}/x",
    f"a{{background:url(\\\\\\\\{TRACKER}/x)}}",
]


@pytest.mark.parametrize("text", LOADING)
def test_a_reference_to_a_host_not_allowed_points_nowhere(text: str) -> None:
    assert left(text) != []
    assert left(css.withhold(text, allowed)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a{color:red}",
        "a{background:url(/x.png)}",
        "a{background:url('x.png');content:'\\201c'}",
        ".md\\:flex{display:flex} .a\\(b{c:d}",
        "@import 'own.css';",
        "@media (min-width:1px){a{b:c}}",
        "a{background:image-set('a.png' 1x,'b.png' 2x)}",
        "a{b:url(data:image/png;base64,AAAA)}",
        "a{b:url(",
        "\\",
        "@import",
        "a{width:calc(1px + (2px*3))}",
    ],
)
def test_what_needs_no_change_is_the_very_text(text: str) -> None:
    assert css.withhold(text, allowed) is text


def test_only_the_reference_changes() -> None:
    assert css.withhold(f"a{{b:url({T}) no-repeat}} c{{d:e}}", allowed) == 'a{b:url("about:invalid#volens") no-repeat} c{d:e}'


def test_each_reference_is_asked_about_by_kind() -> None:
    asked: list[tuple[str, str]] = []

    def note(reference: str, kind: str) -> bool:
        asked.append((reference, kind))
        return True

    css.withhold("@import 'a';@import url(b);@font-face{src:url(c)}d{e:url(f)}", note)
    assert asked == [("a", "style"), ("b", "style"), ("c", "font"), ("f", "image")]


piece = st.one_of(
    st.sampled_from(
        [
            "a{",
            "}",
            ";",
            "url(",
            "src(",
            ")",
            "'",
            '"',
            "/*",
            "*/",
            "@import ",
            "@import",
            "image-set(",
            "\\",
            "\n",
            "\r\n",
            "\f",
            "\\75 ",
            "\\000072",
            "l(",
            " ",
            "(",
            "@",
        ]
    ),
    st.sampled_from([T, f"'{T}'", f'"//{TRACKER}/"', f"url({T})", f"url('{T}')", "/own", "x:", "content:", "<", "data:a;b,c"]),
    st.text("url()'\"\\ /*;{}@import", max_size=4),
)


@given(st.lists(piece, max_size=14).map("".join))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_nothing_the_oracle_finds_gets_through(text: str) -> None:
    made = css.withhold(text, allowed)
    assert left(made) == [], made
    if made == text:
        assert made is text


@pytest.mark.parametrize(
    "unit", ["url(", "\\", "@import ", "'", "image-set(", "\\75 ", "/*", "image-set('", "@import/*", "url('a", "((((", "-\\-"]
)
def test_long_nonsense_takes_no_long_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    start = time.process_time()
    css.withhold(text, allowed)
    assert time.process_time() - start < 2
