"""The oracle is doubted first: it must see a tracker of every kind, and must not see what isn't there."""

from __future__ import annotations

import base64

import pytest

from tests.oracle import absolute, css_loads, host_of, would_load

T = "https://tracker.example/x"

TRACKERS = {
    "script": f'<script src="{T}"></script>',
    "script unquoted": f"<SCRIPT SRC={T}></SCRIPT>",
    "entity": '<script src="https&colon;//tracker.example/x"></script>',
    "protocol-relative": '<img src="//tracker.example/x">',
    "backslash": '<img src="\\\\tracker.example\\x">',
    "tab in scheme": '<img src="ht\ttps://tracker.example/x">',
    "one slash": '<img src="http:/tracker.example/x">',
    "no slash": '<img src="http:tracker.example/x">',
    "credentials": '<img src="https://www.site.example@tracker.example/x">',
    "escaped host": '<img src="https://tr%61cker.example/x">',
    "full width": '<img src="https://ｔracker.example/x">',
    "image": f'<img src="{T}">',
    "srcset": f'<img srcset="/a.jpg, {T} 2x">',
    "picture": f'<picture><source srcset="/a.jpg 1x, {T} 2x"></picture>',
    "input image": f'<input type=image src="{T}">',
    "video": f'<video src="{T}"></video>',
    "poster": f'<video poster="{T}"></video>',
    "audio source": f'<audio><source src="{T}"></audio>',
    "track": f'<video><track src="{T}"></video>',
    "embed": f'<embed src="{T}">',
    "object": f'<object data="{T}"></object>',
    "iframe": f'<iframe src="{T}"></iframe>',
    "srcdoc": f'<iframe srcdoc="<img src={T}>"></iframe>',
    "srcdoc twice": '<iframe srcdoc="<iframe srcdoc=&quot;<img src=//tracker.example/x>&quot;>"></iframe>',
    "data frame": f'<iframe src="data:text/html,<img src={T}>"></iframe>',
    "data frame base64": f'<iframe src="data:text/html;base64,{base64.b64encode(f"<img src={T}>".encode()).decode()}"></iframe>',
    "frame": f'<frameset><frame src="{T}"></frameset>',
    "svg image": f'<svg><image href="{T}"/></svg>',
    "svg xlink": f'<svg><image xlink:href="{T}"/></svg>',
    "svg feImage": f'<svg><filter><feImage href="{T}"/></filter></svg>',
    "svg script": f'<svg><script href="{T}"/></svg>',
    "svg paint": f'<svg><rect fill="url({T})"/></svg>',
    "svg set": f'<svg><image><set attributeName=href to="{T}"/></image></svg>',
    "svg style": f"<svg><style>a{{background:url({T})}}</style></svg>",
    "svg after self-closing script": f'<svg><script/><image href="{T}"/></svg>',
    "cdata": f'<svg><![CDATA[ > <!-- ]]><image href="{T}"/>-->',
    "math": f'<math><mtext><img src="{T}"></mtext></math>',
    "stylesheet": f'<link rel=stylesheet href="{T}">',
    "alternate": f'<link rel="alternate STYLESHEET" href="{T}">',
    "icon": f'<link rel="shortcut icon" href="{T}">',
    "manifest": f'<link rel=manifest href="{T}">',
    "preconnect": f'<link rel=preconnect href="{T}">',
    "dns-prefetch": f'<link rel=dns-prefetch href="{T}">',
    "prefetch": f'<link rel=prefetch href="{T}">',
    "preload": f'<link rel=preload as=image imagesrcset="{T} 1x">',
    "modulepreload": f'<link rel=modulepreload href="{T}">',
    "style element": f"<style>a{{background:url('{T}')}}</style>",
    "import": f'<style>@import "{T}";</style>',
    "import comment": f'<style>@import/**/"{T}";</style>',
    "font": f"<style>@font-face{{src:url({T})}}</style>",
    "image-set": f'<style>a{{background:image-set("data:image/png;base64,AA" 1x,"{T}" 2x)}}</style>',
    "css escape": "<style>a{background:\\75 rl(https://tracker.example/x)}</style>",
    "css escaped newline": '<style>@import "https://track\\\ner.example/x"</style>',
    "style attribute": f'<p style="background:url({T})">',
    "data sheet": f'<link rel=stylesheet href="data:text/css,@import url({T})">',
    "background": f'<body background="{T}">',
    "td background": f'<table><tr><td background="{T}"></table>',
    "refresh": f'<meta http-equiv=refresh content="0;url={T}">',
    "refresh quoted": f"<meta http-equiv=REFRESH content=\"0; URL='{T}'x\">",
    "refresh space": f'<meta http-equiv=refresh content="0 {T}">',
    "refresh in noscript": f'<noscript><meta http-equiv=refresh content="0;{T}"></noscript>',
    "noscript": f'<noscript><img src="{T}"></noscript>',
    "noscript in scripts": f"<noscript><!--</noscript><img src={T}>-->",
    "base": '<base href="https://tracker.example/"><script src="x.js"></script>',
    "ping": f'<a href="/" ping="/own {T}">x</a>',
    "form": f'<form action="{T}"></form>',
    "formaction": f'<form><button formaction="{T}"></button></form>',
    "speculation": f'<script type=speculationrules>{{"prefetch":[{{"urls":["{T}"]}}]}}</script>',
    "shadow root": f'<div><template shadowrootmode=open><img src="{T}"></template></div>',
    "nested shadow": f"<div><template shadowrootmode=open><template shadowrootmode=open><style>@import '{T}'</style></template></template>",
    "table template": f'<template><tr><td background="{T}"></template>',
    "frameset swallows style": f"<frameset><style><frame src={T}></frameset>",
    "template column": f"<template><col><style></template><img src={T}></style>",
    "attributionsrc": f'<img attributionsrc="{T}" src="/a">',
}


@pytest.mark.parametrize("markup", TRACKERS.values(), ids=TRACKERS.keys())
def test_a_tracker_is_seen(markup: str) -> None:
    assert [load.host for load in would_load(markup, "*.site.example")] == ["tracker.example"] * len(would_load(markup, "*.site.example"))
    assert would_load(markup, "*.site.example")


HARMLESS = [
    "<p>https://tracker.example/x</p>",
    '<a href="https://tracker.example/">x</a>',
    "<!-- <img src=https://tracker.example/x> -->",
    '<textarea><img src="https://tracker.example/x"></textarea>',
    '<title><img src="https://tracker.example/x"></title>',
    '<script>"<img src=https://tracker.example/x>"</script>',
    '<script type="text/plain" src="https://tracker.example/x"></script>',
    '<img src="/a/b.jpg" data-src="https://tracker.example/x" alt="//tracker.example">',
    '<img data-volens-src="https://tracker.example/x">',
    '<style>/* url(https://tracker.example/x) */ a{content:"url(https://tracker.example/x)"}</style>',
    '<link rel="canonical" href="https://tracker.example/x">',
    '<meta name="refresh" content="0;https://tracker.example/x">',
    '<img src="data:image/png;base64,AAAA">',
]


@pytest.mark.parametrize("markup", HARMLESS)
def test_what_is_only_text_or_a_plain_link_is_not_a_load(markup: str) -> None:
    assert would_load(markup, "*.site.example") == []


def test_addresses_are_read_as_a_browser_does() -> None:
    base = "https://www.site.example/a/b"
    assert host_of(absolute("x/y", base)) == "www.site.example"
    assert host_of(absolute("///tracker.example/x", base)) == "tracker.example"
    assert host_of(absolute("/\\tracker.example/x", base)) == "tracker.example"
    assert host_of(absolute("https:x", base)) == "www.site.example"
    assert host_of(absolute("http:tracker.example", base)) == "tracker.example"
    assert host_of(absolute("  HTTPS://Tracker.Example:8443/x", base)) == "tracker.example"
    assert absolute("javascript:alert(1)", base) == "javascript:alert(1)"
    assert css_loads('a{content:"x"}') == []
