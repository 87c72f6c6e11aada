"""Tags that say nothing to any handler are remembered over pages, sites and grants: nothing of what follows goes by what came before."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.enforce.making import ACCEPTED, OPEN, OPEN_SITE, REFUSED, SITE, UNDECIDED, granted, rewritten
from volens.enforce import html
from volens.foreign import Theirs, Tools

THEIRS = replace(SITE, theirs=Theirs(Tools.packaged().all["tarteaucitron"], {"youtube": ("video",)}))
STATES = [(SITE, REFUSED), (SITE, UNDECIDED), (SITE, ACCEPTED), (SITE, granted("reseaux-sociaux")), (THEIRS, REFUSED), (OPEN_SITE, OPEN)]
PIECES = [
    '<div id="tarteaucitronRoot">x</div>',
    '<section class="orejime-Banner">x</section>',
    '<div class="fb-post" data-href="https://www.facebook.com/a/posts/1"></div>',
    '<div class="g-recaptcha" data-sitekey="k"></div>',
    '<blockquote class="twitter-tweet"><p class="t">x</p><a href="https://x.com/a/status/1">y</a></blockquote>',
    '<blockquote class="q">x</blockquote>',
    '<a href="https://x.com/a/status/1">y</a>',
    '<a class="x" data-pin-do="embedPin" href="https://www.pinterest.com/pin/1/">y</a>',
    '<a class="x" ping="https://regie.example/p" href="/a">y</a>',
    '<p class="t" style="background:url(https://regie.example/1.gif)">x</p>',
    '<p class="t">x</p>',
    '<td background="https://regie.example/1.gif">x</td>',
    '<svg><g class="t" fill="url(https://regie.example/1.svg#a)"></g><a class="x" href="/a">y</a></svg>',
    '<svg><p class="t"></p></svg>',
    '<g class="t" fill="url(https://regie.example/1.svg#a)"></g>',
    '<span attributionsrc="https://regie.example/a">x</span>',
    '<dialog class="t" open>x</dialog>',
    '<img class="t" src="https://regie.example/1.gif">',
    '<button formaction="https://regie.example/f">x</button>',
]


@pytest.mark.parametrize("seed", range(8))
def test_what_was_rewritten_before_changes_nothing(seed: int) -> None:
    chance = random.Random(seed)
    pages = ["<body>" + "".join(chance.choices(PIECES, k=12)) for _ in range(40)]
    asked = [(page, *chance.choice(STATES)) for page in pages for _ in range(3)]
    html._plain.clear()
    after = [rewritten(page, grant, site=site) for page, site, grant in asked]
    assert html._plain, "some are remembered"
    for (page, site, grant), told in zip(asked, after, strict=True):
        html._plain.clear()
        assert rewritten(page, grant, site=site) == told


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "PLAIN", 50)
    rewritten("<body>" + "".join(f'<p class="n{n}">' for n in range(500)) + f'<p class="{"x" * 10_000}">')
    assert len(html._plain) <= 50 and max(map(len, html._plain)) <= 256
