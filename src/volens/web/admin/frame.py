"""What the operator's pages share: their words, their looks, the document around a page, and how they are sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from volens.enforce.csp import hash_source
from volens.web.asked import Asked
from volens.web.messages import Pairs, Reply
from volens.web.screens import Html, Words, html, packaged_texts

PAGES = ("choices", "audience", "hosts")
"""The pages that the head of each leads to, the first one at ``admin/`` itself."""


@lru_cache
def admin_words(language: str) -> Words:
    """The operator's words, in French or English. They stand apart from the visitors', which come in more languages."""
    folder = files("volens").joinpath("texts", "admin")
    language = language if folder.joinpath(f"{language}.json").is_file() else "en"
    own = json.loads(folder.joinpath(f"{language}.json").read_text("utf-8"))["texts"]
    return Words(language, {**packaged_texts()[language], **own})


def number(n: int, language: str) -> str:
    """Thousands apart, as the language does."""
    return f"{n:,}".replace(",", "\u202f" if language == "fr" else ",")


def reply(status: int, body: bytes, kind: bytes, *more: tuple[bytes, bytes]) -> Reply:
    """What the operator reads is nobody else's to keep, to frame or to fetch."""
    pairs: Pairs = [
        (b"content-type", kind + b"; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"x-robots-tag", b"noindex"),
        *more,
    ]
    return Reply(status, pairs, body)


def json_twin(status: int, value: dict[str, Any]) -> Reply:
    """A page's twin for a machine."""
    return reply(status, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n", b"application/json")


def days_asked(asked: Asked, periods: Sequence[int]) -> int:
    """The period that the address names, in days; 30 where it names none of them."""
    asks = asked.query.get("days")
    return int(asks) if asks in map(str, periods) else 30


def period_links(say: Words, page: str, periods: Sequence[int], days: int, language: str) -> list[Html]:
    """A way to each period of ``page``, which is a path; ``days`` is the present one. An empty ``language`` is left to the browser."""
    return [
        html(
            '<a href="{to}"{here}>{text}</a>',
            to=f"{page}?days={one}" + (f"&language={language}" if language else ""),
            here=Html(' aria-current="page"') if one == days else None,
            text=say(f"audience.days.{one}"),
        )
        for one in periods
    ]


def shell(asked: Asked, say: Words, title: str, main: str, *more: tuple[bytes, bytes], status: int = 200, page: str = "") -> Reply:
    """The document around ``main``. No script, no request, one style."""
    places = [
        html(
            '<a href="{prefix}admin/{page}"{here}>{title}</a>',
            prefix=asked.site.prefix,
            page=name,
            here=Html(' aria-current="page"') if name == page else None,
            title=say(f"admin.{name}"),
        )
        for name in PAGES
        if page
    ]
    text = html(
        '<!DOCTYPE html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        "<title>{title} · {site}</title><style>{style}</style></head><body><header><p>{name}</p>{places}</header>"
        "<main><h1>{title}</h1>{main}</main></body></html>",
        language=say.language,
        title=title,
        site=asked.site.name,
        style=Html(STYLE),
        name=say("admin.title", site=asked.site.name),
        places=html('<nav aria-label="{label}">{x}</nav>', label=say.attribute("admin.rooms"), x=places) if places else None,
        main=main if isinstance(main, Html) else html("<p>{x}</p>", x=main),
    )
    policy = f"default-src 'none'; style-src {hash_source(STYLE)}; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    return reply(status, text.encode(), b"text/html", (b"content-security-policy", policy.encode()), *more)


STYLE = """
:root{color-scheme:light dark;--b:#f5f6f8;--c:#fff;--t:#161a22;--m:#59616f;--l:#dfe3e9;--k:#2c5bc4;--n:#a9bfec;--r:#848c9a}
@media(prefers-color-scheme:dark){:root{--b:#111419;--c:#191d25;--t:#eceff4;--m:#a4adbb;--l:#303743;--k:#7ea5fb;--n:#40588f;--r:#727b8a}}
*{box-sizing:border-box}
body{margin:0;background:var(--b);color:var(--t);font:1rem/1.5 -apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-variant-numeric:tabular-nums}
header,main{max-width:68rem;margin:0 auto;padding:0 1.25rem}
header{display:flex;flex-wrap:wrap;align-items:center;justify-content:space-between;
gap:0 1.5rem;padding-top:1rem;color:var(--m);font-size:.875rem}
header p,nav{margin:0}
nav a{display:inline-block;padding:.6rem .9rem;color:var(--m);text-decoration:none;border-radius:.5rem}
nav a:hover{color:var(--t);text-decoration:underline}
nav a[aria-current]{color:var(--t);font-weight:600}
header nav a{padding:.7rem 0;margin-inline-start:1.25rem}
header nav a:first-child{margin-inline-start:0}
a{color:var(--k)}
:focus-visible{outline:3px solid var(--k);outline-offset:2px}
h1{margin:.25rem 0 0;font-size:1.75rem;line-height:1.2;letter-spacing:-.02em}
h2{margin:0 0 .75rem;font-size:1rem;line-height:1.3}
.when{margin:.25rem 0 0;color:var(--m);font-size:.875rem}
.period{display:flex;flex-wrap:wrap;gap:.25rem;margin:1rem 0;font-size:.875rem}
.period a{min-height:44px}
.period a[aria-current]{background:var(--c);box-shadow:0 0 0 1px var(--l)}
.card,dl{padding:1.25rem;border:1px solid var(--l);border-radius:.75rem;background:var(--c)}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:1.25rem;margin:0 0 1rem}
dl div{display:flex;flex-direction:column-reverse;justify-content:flex-end}
dt{color:var(--m);font-size:.875rem;line-height:1.35}
dd{margin:0;font-size:2rem;font-weight:600;line-height:1.25;letter-spacing:-.02em}
dd.none{color:var(--m);font-weight:400}
figure{margin:0 0 1rem}
figcaption{margin-bottom:1rem;font-weight:600}
figcaption small{display:block;color:var(--m);font-size:.8125rem;font-weight:400}
.plot{display:grid;grid-template-columns:auto 1fr;gap:0 .75rem;color:var(--m);font-size:.75rem;line-height:1}
.plot svg{display:block;width:100%;height:14rem;overflow:visible}
.y{display:flex;flex-direction:column;justify-content:space-between;margin:-.4rem 0;text-align:end}
.x{grid-column:2;display:flex;justify-content:space-between;gap:.5rem;padding-top:.6rem;line-height:1.3}
.x span:nth-child(2){text-align:center}
.x span:last-child{text-align:end}
.grid{stroke:var(--l);stroke-width:1;vector-effect:non-scaling-stroke}
.bar{fill:var(--k)}
.part{fill:var(--n)}
.hit{fill:transparent}
.all{fill:var(--k)}
.some{fill:var(--n)}
.refused{fill:var(--r)}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:0 0 1rem;padding:0;list-style:none;color:var(--m);font-size:.8125rem}
.key svg,table .dot{display:inline-block;width:.7rem;height:.7rem;margin:0 .4rem 0 0;vertical-align:-.05rem}
table .mix{height:.5rem}
.of{width:3.6em}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table .dot{margin:0}
td.of{white-space:nowrap}
.facts .n{width:auto;padding-inline-start:1rem}
g:hover .bar,g:hover .part{fill:var(--t)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1rem}
.cards>*{margin:0}
table{width:100%;border-collapse:collapse;font-size:.875rem}
th{padding:0 0 .4rem;color:var(--m);font-weight:400;text-align:start}
td{padding:.3rem 0;border-top:1px solid var(--l);vertical-align:top}
tbody th{padding:.3rem 0;border-top:1px solid var(--l);color:inherit;overflow-wrap:anywhere}
.n{width:5.5em;text-align:end;white-space:nowrap}
.share{width:5.2em;color:var(--m)}
table svg{display:block;width:100%;height:.25rem;margin-top:.2rem}
details{margin-top:1rem}
summary{min-height:44px;padding-top:.7rem;color:var(--k);font-size:.875rem;cursor:pointer}
.found+.found{margin-top:1rem}
.found{margin:0 0 1rem}
.found .more{margin:0 0 1rem}
.found b{display:block;font-size:.9375rem}
.found small{display:block;color:var(--m);font-size:.8125rem}
.found details{margin:0}
.found summary{display:inline-block;list-style:none;text-decoration:underline}
.found summary span{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.found details p,.found details ul{margin:.25rem 0;color:var(--m);font-size:.8125rem}
.found details ul{padding-inline-start:1.1rem}
.found dl{display:block;margin:.25rem 0 1rem;padding:0;border:0;background:none}
.found dl div{display:block;margin:.5rem 0}
.found dt{font-size:.8125rem}
.found dd{font-size:.8125rem;font-weight:400;letter-spacing:0;line-height:1.5}
.found code{display:block;padding:.4rem .6rem;border:1px solid var(--l);border-radius:.35rem;background:var(--b);
overflow-wrap:anywhere;user-select:all}
.more,.note{color:var(--m);font-size:.875rem}
.more{margin:.75rem 0 0}
.note{max-width:46rem;padding:.5rem 0 2rem}
@media(max-width:30rem){.found .n{width:3.6em}header,main{padding-inline:.875rem}.period{gap:0}.period a{padding-inline:.6rem}
.card,dl{padding:1rem}dl{grid-template-columns:1fr 1fr;gap:1rem}
dd{font-size:1.5rem}.plot svg{height:10rem}
.mixed tr{display:flex;flex-wrap:wrap}.mixed th:first-child{flex:0 0 100%}.mixed .n{flex:1;width:auto;border:0}}
@media(forced-colors:active){.bar,.all{fill:CanvasText}.some{fill:GrayText}.refused{fill:Highlight}.part{fill:GrayText}.grid{stroke:GrayText}}
@media print{.period,details,header nav{display:none}.card,dl{break-inside:avoid}}
""".strip()
