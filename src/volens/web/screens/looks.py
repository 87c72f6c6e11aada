"""What the screens look like: a dozen custom properties, the style of the notice and the style of our own pages."""

from __future__ import annotations

import re
from collections.abc import Mapping

from volens.theme import SITE_FONT, Theme

_NAMES = {
    "background": "b",
    "text": "t",
    "quiet": "m",
    "lines": "l",
    "soft": "s",
    "buttons": "k",
    "on_buttons": "j",
    "accent": "a",
    "yes": "g",
    "no": "d",
}
"""Each colour's custom property; beside them ``--r``, the corners' radius, and ``--f``, the font."""
_SYSTEM = "-apple-system,Segoe UI,Roboto,Arial,sans-serif"
_FAMILY = re.compile(r"font:([^;{}]*) var\(--f\)")


def styles(theme: Theme, gated: bool = False) -> tuple[str, str]:
    """The style of what stands in the site's pages, and of our own pages. ``gated``: places of gates are among the former; one style
    for all of them, so that one hash allows it."""
    # Inside the shadow root, where no rule of the page's reaches; the panel stands there too.
    scheme = "inherit" if theme.scheme == "auto" else theme.scheme
    inside = _NOTICE.replace("inherit", scheme, 1) + _PLACES[theme.position] + (_GATE if gated else "")
    own = _PAGE
    if theme.font == SITE_FONT:
        inside += ":host{font-family:inherit!important}"
        own = _FAMILY.sub(r"font:\1 a;font-family:inherit", own).replace("body{margin:0;", "body{margin:0;font-family:var(--f);", 1)
        inside = _FAMILY.sub(r"font:\1 a;font-family:inherit", inside)
    return _ascii(_squeeze(_rules(theme, "form,dialog") + inside)), _squeeze(colours(theme) + own)


def colours(theme: Theme) -> str:
    """The dozen custom properties that make the looks, light and dark, for a document of our own."""
    return f":root{{color-scheme:{'light dark' if theme.scheme == 'auto' else theme.scheme}}}" + _rules(theme, ":root")


def small_style(theme: Theme, text: str) -> str:
    """A style for a document that stands in a page many times: the colours it uses, in the words of the notice's style, and no more.
    A browser older than ``light-dark()`` has its own colours."""
    light, dark = ({_NAMES[name]: value for name, value in c.items()} for c in (theme.light_colours, theme.dark_colours))
    auto = theme.scheme == "auto"
    colours = dark if theme.scheme == "dark" else light
    if auto:
        colours = {name: f"light-dark({value},{dark[name]})" if dark[name] != value else value for name, value in light.items()}
    text = text.replace("var(--r)", theme.radius or "10px")
    text = text.replace("var(--f)", _SYSTEM if theme.font in ("", SITE_FONT) else theme.font)
    used = {name: value for name, value in colours.items() if f"var(--{name})" in text}
    return _squeeze(f":root{{color-scheme:{'light dark' if auto else theme.scheme}}}" + _rule(":root", used) + text)


def _rules(theme: Theme, where: str) -> str:
    """The properties set at ``where``: dark or light by the colour scheme in use there, light in browsers older than ``light-dark()``."""
    light, dark = ({_NAMES[name]: value for name, value in c.items()} for c in (theme.light_colours, theme.dark_colours))
    first = dark if theme.scheme == "dark" else light
    more = {"r": theme.radius or "10px", "f": _SYSTEM if theme.font in ("", SITE_FONT) else theme.font}
    text = _rule(where, first | more)
    both = {name: f"light-dark({value},{dark[name]})" for name, value in light.items() if dark[name] != value}
    if both and theme.scheme == "auto":
        text += f"@supports(color:{next(iter(both.values()))}){{" + _rule(where, both) + "}"
    return text


def _rule(where: str, values: Mapping[str, str]) -> str:
    return _short(where + "{" + ";".join(f"--{n}:{v}" for n, v in values.items()) + "}")


def _short(css: str) -> str:
    """Three digits instead of six where they say the same."""
    return re.sub(r"#([0-9a-f])\1([0-9a-f])\2([0-9a-f])\3\b", r"#\1\2\3", css)


def _ascii(css: str) -> str:
    """CSS escapes for what isn't ASCII: the text goes into pages of any encoding, and its hash must not depend on it."""
    return "".join(c if c.isascii() else f"\\{ord(c):x} " for c in css)


def _squeeze(css: str) -> str:
    """Without the spaces that only readers need."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    css = re.sub(r"\s+", " ", css)
    return re.sub(r";\}", "}", re.sub(r" ?([{};,>]) ?", r"\1", css)).strip()


_NOTICE = """
:host{all:initial!important;position:fixed!important;inset:auto 0 0!important;z-index:2147483647!important;display:block!important;
pointer-events:none!important;color-scheme:inherit!important}
form{display:flex;flex-direction:column;max-height:85vh;font:1em/1.4 var(--f);color:var(--t)}
form>*,dialog{pointer-events:auto}
:focus-visible{outline:3px solid var(--a);outline-offset:2px}
[hidden]{display:none!important}
#volens-band{align-self:start;display:flex;margin:8px;padding:0;min-height:44px;border:2px solid var(--b);border-radius:var(--r);
overflow:hidden;
color:#fff;font:.75em/1.25 var(--f);text-align:start;cursor:pointer}
#s,#p{position:relative;isolation:isolate;padding:6px 12px;background:var(--d)}
#p{border-inline-start:2px solid var(--b)}
#volens-band b{display:block}
#volens-band b:before{content:"✕ "}
#volens-band .n{display:none}
#volens-band svg{position:absolute;inset:0;z-index:-1;width:100%;height:100%;fill:var(--g)}
:host([data-storage=yes]) #s,:host([data-profiles=yes]) #p{background:var(--g)}
:host([data-storage=yes]) #s b:before,:host([data-profiles=yes]) #p b:before{content:"✓ "}
:host([data-storage=part]) #s b:before,:host([data-profiles=part]) #p b:before{content:"◐ "}
:host([data-storage=no]) #s>:not(:only-child,.n),:host([data-profiles=no]) #p>:not(:only-child,.n){display:none}
:host([data-storage=no]) #s>.n,:host([data-profiles=no]) #p>.n{display:block}
#volens-ask{box-sizing:border-box;width:100%;max-width:46em;margin:0 auto;min-height:0;display:flex;flex-direction:column;gap:8px;
padding:12px 16px;
background:var(--b);border:1px solid var(--l);border-radius:var(--r) var(--r) 0 0;box-shadow:0 0 40px #0003}
#x{overflow:auto;margin:-8px;padding:8px;font-size:.8125em;line-height:1.35}
p{margin:0}
a{color:var(--a)}
summary{padding:.5em 0;cursor:pointer}
details p{padding:.5em 0}
#y{display:grid;grid-template-columns:repeat(auto-fit,minmax(5.6em,1fr));gap:8px}
#y button{min-height:44px;padding:4px;border:1px solid var(--k);border-radius:var(--r);background:var(--k);color:var(--j);
font:600 .875em/1.25 var(--f);text-wrap:balance;cursor:pointer}
@media(max-width:22em){#volens-ask{padding:12px 8px}#y{gap:4px}#y button{padding:4px 2px}}
@media(min-width:48em){#volens-ask{margin-bottom:16px;padding:20px 24px;border-radius:var(--r)}
#x,#y button{font-size:1em}#x>p>b,#x span{display:block;padding-top:.4em}#x>p>b{font-size:1.2em}
:host([data-ask]:not([data-answered])) form{max-width:46em;margin:auto}}
@media(max-width:30em)and (max-height:30em){:host([data-ask]){position:static!important}form{max-height:none}}
@media(forced-colors:active){svg{display:none}}
@media print{:host{display:none!important}}
"""
_TOP = """:host{inset:0 0 auto!important}
form{flex-direction:column-reverse}
#volens-ask{border-radius:0 0 var(--r) var(--r)}
@media(min-width:48em){#volens-ask{margin:16px auto 0;border-radius:var(--r)}}
"""
_CORNER = """
@media(min-width:48em){:host([data-ask]:not([data-answered])) form{max-width:27em;margin:0 %s}#volens-ask{padding:16px 20px}
#x,#y button{font-size:.9375em}}
"""
_PLACES = {
    "bottom": "",
    "top": _TOP,
    "bottom-left": _CORNER % "auto 0 16px",
    "bottom-right": _CORNER % "16px 0 auto" + "#volens-band{align-self:end}",
}
_GATE = """
:host(volens-gate){position:static!important;z-index:auto!important;pointer-events:auto!important}
.g{flex-direction:column;gap:14px;max-height:none;padding:16px 20px;border:1px solid var(--l);border-radius:var(--r);background:var(--b)}
.g p+p{margin-top:.4em}
.g #y{grid-template-columns:repeat(auto-fit,minmax(min(100%,12em),1fr))}
"""
_PAGE = """
  :root{scroll-padding:5.5em 0 6.5em}
body{margin:0;background:var(--s)}
.v,.v *{box-sizing:border-box}
.v [hidden]{display:none!important}
.v{max-width:44em;margin:0 auto;background:var(--b);color:var(--t);font:1em/1.55 var(--f);overflow-wrap:break-word}
.v h1{margin:0;hyphens:auto;font-size:1.375em;line-height:1.25;letter-spacing:-.01em;text-wrap:balance}
.v h2{margin:2em 0 .5em;font-size:1.125em;line-height:1.3}
.v h3{margin:0;font-size:1em;line-height:1.4}
.v:dir(rtl) :is(h1,h2){letter-spacing:0}
.v p{margin:.6em 0}
.v .lead{font-size:1.0625em}
.v a{color:var(--a);text-underline-offset:.15em}
.v small,.v .kinds,.v dt,.v .state{color:var(--m);font-size:.875em}
.v .kinds b{font-weight:600}
.v code{direction:ltr;unicode-bidi:isolate;font:.875em/1.4 ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.v em{display:inline-block;padding:0 .6em;border:1px solid var(--l);border-radius:1em;color:var(--m);font:.75em/1.7 var(--f);
vertical-align:.1em}
.v em.new{border-color:var(--a);background:var(--a);color:var(--b)}
.v :focus-visible{outline:3px solid var(--a);outline-offset:2px}
.v .sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.v .line{display:block}
.v .top{position:sticky;top:0;z-index:2;display:flex;align-items:center;justify-content:space-between;gap:1em;padding:.75em 1.25em;
border-bottom:1px solid var(--l);background:var(--b)}
.v .x{flex:none;display:grid;place-items:center;width:44px;height:44px;margin-inline-end:-.5em;border-radius:var(--r);color:var(--t);
font-size:1.125em;text-decoration:none}
.v .x:hover{background:var(--s)}
.v .body{padding:.5em 1.25em 2em}
.v .message{padding:.75em 1em;border-inline-start:4px solid var(--a);border-radius:4px;background:var(--s)}
.v .purpose{padding:.75em 0 .25em;border-top:1px solid var(--l)}
.v .row{display:flex;align-items:center;justify-content:space-between;gap:1em;min-height:44px;margin:0}
.v .row>span{min-width:0;overflow-wrap:anywhere}
.v label.row{cursor:pointer}
.v .purpose>.row b{font-size:1.0625em}
.v .purpose>p{margin:.2em 0 .35em}
.v .row small{display:block}
.v ul{margin:.5em 0;padding:0;list-style:none}
.v li{padding:.35em 0;border-top:1px solid var(--l)}
.v li p{margin:.1em 0}
.v li a,.v summary{font-size:.875em}
.v summary{display:flex;align-items:center;gap:.7em;min-height:44px;list-style:none;color:var(--a);cursor:pointer}
.v summary::-webkit-details-marker{display:none}
.v summary:before{content:"";flex:none;width:.45em;height:.45em;border:solid;border-width:0 2px 2px 0;transform:rotate(-45deg)}
.v summary:dir(rtl):before{transform:rotate(135deg)}
.v [open]>summary:before{transform:rotate(45deg)}
.v .count{white-space:nowrap}
.v summary small{min-width:0;overflow:hidden;font-size:1em;text-overflow:ellipsis;white-space:nowrap}
.v .purpose>details>:not(summary){margin-inline-start:1.15em}
.v table{width:100%;border-collapse:collapse;font-size:.875em;text-align:start}
.v th,.v td{padding:.4em 0;padding-inline-end:.75em;border-top:1px solid var(--l);text-align:start;vertical-align:top;
overflow-wrap:anywhere}
.v th{font-weight:600;color:var(--m)}
.v .state{font-weight:600}
.v .state>*{display:none}
.v .purpose:has([name=purposes]:checked):not(:has([name=services]:checked)) .all,
.v .purpose:has([name=purposes]:checked):has([name=services]:checked):has([name=services]:not(:checked)) .but,
.v .purpose:has([name=purposes]:not(:checked)):has([name=services]:checked) .few{display:inline}
.v [role=switch]{appearance:none;flex:none;position:relative;width:52px;height:32px;margin:0;border:2px solid var(--m);border-radius:16px;
background:var(--b);cursor:pointer;transition:background .15s}
.v [role=switch]:before{content:"✕";position:absolute;inset-block:3px;inset-inline-start:3px;width:22px;border-radius:50%;
background:var(--m);
color:var(--b);font:700 12px/22px var(--f);text-align:center}
.v [role=switch]:checked{border-color:var(--a);background:var(--a)}
.v [role=switch]:checked:before{content:"✓";inset-inline:auto 3px;background:var(--b);color:var(--a)}
.v .purpose:has([name=purposes]:checked):has([name=services]:checked):has([name=services]:not(:checked)) [name=purposes],
.v .purpose:has([name=purposes]:not(:checked)):has([name=services]:checked) [name=purposes]{border-color:var(--a);
background:linear-gradient(var(--w,90deg),var(--a) 50%,var(--b) 50%)}
.v .purpose:has([name=purposes]:checked):has([name=services]:checked):has([name=services]:not(:checked)) [name=purposes]:before,
.v .purpose:has([name=purposes]:not(:checked)):has([name=services]:checked) [name=purposes]:before{content:"–";inset-inline:13px auto;
background:var(--b);color:var(--a);box-shadow:0 0 0 2px var(--a)}
.v :dir(rtl){--w:-90deg}
.v .find{margin:1em 0}
.v .find label{display:block;font-weight:600}
.v .find input{width:100%;min-height:44px;margin:.35em 0;padding:.4em .75em;border:1px solid var(--m);border-radius:var(--r);
background:var(--b);color:var(--t);font:1em/1.4 var(--f)}
.v .bar,.v .ways{display:grid;grid-template-columns:repeat(auto-fit,minmax(5.2em,1fr));gap:8px}
.v .bar{position:sticky;bottom:0;z-index:2;padding:.75em 1.25em max(.75em,env(safe-area-inset-bottom));border-top:1px solid var(--l);
background:var(--b)}
.v button,.v .button{display:grid;place-items:center;min-height:48px;padding:.4em .5em;border:1px solid var(--k);
border-radius:var(--r);background:var(--k);
color:var(--j);font:600 1em/1.25 var(--f);text-align:center;text-wrap:balance;text-decoration:none;cursor:pointer}
.v .bar button{padding-inline:.2em;font-size:.9375em}
@media(max-width:26em){.v .bar{gap:6px;padding-inline:.5em}.v .bar button{font-size:.875em}}
.v .ways{grid-template-columns:repeat(auto-fit,minmax(min(100%,13em),1fr));margin:1.25em 0}
.v form+.ways{margin-top:-.75em}
.v p>.button{display:inline-grid;padding-inline:1em;max-width:100%;margin:.25em .5em .25em 0;border-color:var(--m);background:none;
color:var(--a)}
.v p:has(+blockquote){margin:1em 0 .35em}
.v blockquote{margin:.35em 0 1em;padding:.75em 1em;border:1px solid var(--l);border-radius:var(--r);background:var(--s);
white-space:pre-wrap}
.v dl{margin:.5em 0}
.v dl div{margin:.5em 0}
.v dd{margin:0;min-width:0;overflow-wrap:anywhere}
.v .record div{padding-bottom:.5em;border-bottom:1px solid var(--l)}
.v .dots{padding-inline-start:1.2em;list-style:disc}
.v .dots li{border:0}
.v .dots li a,.v .now li{font-size:1em}
.v .links{display:flex;flex-wrap:wrap;align-items:center;gap:0 1.5em}
.v .links a:not(.button){padding:.7em 0}
.v .band{display:flex;width:fit-content;max-width:100%;border-radius:var(--r);overflow:hidden;color:#fff;font-size:.875em;line-height:1.35}
.v .band>span{position:relative;isolation:isolate;padding:.5em 1em;background:var(--d)}
.v .band>span+span{border-inline-start:2px solid var(--b)}
.v .band b{display:block}
.v .band .n{display:none}
.v .band b:before,.v .now b:before{content:"✕ "}
.v .band[data-storage=yes] #s,.v .band[data-profiles=yes] #p{background:var(--g)}
.v .band[data-storage=yes] #s b:before,.v .band[data-profiles=yes] #p b:before,.v .now [data-is=yes] b:before{content:"✓ "}
.v .band[data-storage=part] #s b:before,.v .band[data-profiles=part] #p b:before,.v .now [data-is=part] b:before{content:"◐ "}
.v .band svg{position:absolute;inset:0;z-index:-1;width:100%;height:100%;fill:var(--g)}
.v .now{max-width:28em;margin-top:1em}
.v .now li{display:flex;justify-content:space-between;gap:1em}
.v .now b{font-weight:600;white-space:nowrap}
html.policy body{background:var(--b)}
.policy.v{max-width:none}
.policy .top{padding-inline:max(1.25em,50% - 31.75em)!important}
.policy .top p{margin:0;font-weight:600}
.policy .page{display:grid;grid-template-columns:minmax(0,1fr);gap:0 4em;max-width:66em;margin:0 auto;padding:2.5em 1.25em 5em}
.policy h1{font-size:clamp(1.75em,1.3em + 2vw,2.5em);line-height:1.15;letter-spacing:-.02em}
.policy .lead{max-width:38em;margin:.75em 0 0;color:var(--m);font-size:1.125em}
.policy nav{margin:2em 0 0;padding:1em 0;border-block:1px solid var(--l);font-size:.9375em}
.policy nav p{margin:0 0 .25em;font-weight:600}
.policy nav ol{margin:0;padding:0;list-style:none}
.policy nav li{border:0;padding:0}
.policy nav a{display:block;padding:.45em 0;color:var(--t);font-size:1em;text-decoration:none}
.policy nav a:hover{text-decoration:underline}
.policy article>section,.policy .own{padding:2em 0;border-bottom:1px solid var(--l)}
.policy h2{margin:0 0 .6em;font-size:1.375em;letter-spacing:-.01em}
.policy .own h2:not(:first-child){margin-top:1.5em}
.policy .item{margin:1.5em 0}
.policy .item p{margin:.25em 0}
.policy .item h3,.policy caption{font-size:1.0625em;font-weight:600;text-align:start}
.policy .keys{margin:1.5em 0}
.policy .keys caption{padding-bottom:.4em}
.policy .keys th,.policy .keys td{width:23%}
.policy .keys th:first-child{width:31%}
.policy footer{padding:2em 0;color:var(--m);font-size:.875em}
:target{outline:2px solid var(--l);outline-offset:.5em}
@media(min-width:34em){.v .purpose>.row~p{padding-inline-end:68px}
.v :is(.lines,.record) div{display:grid;grid-template-columns:10em minmax(0,1fr);gap:1em}
.v .record div{grid-template-columns:15em minmax(0,1fr)}
.v :is(.lines,.record) dt{padding-top:.1em}}
@media(max-width:33.99em){.policy .keys thead{position:absolute;clip-path:inset(50%)}
.policy .keys tr{display:block;padding:.5em 0;border-top:1px solid var(--l)}
.policy .keys :is(th,td){display:block;width:auto!important;padding:.05em 0;border:0}}
@media(min-width:62em){.policy .page{grid-template-columns:14em minmax(0,1fr);padding-top:4em}.policy header{grid-column:1/-1}
.policy nav{position:sticky;top:5.5em;align-self:start;max-height:calc(100vh - 7em);overflow:auto;margin-top:2.75em;padding:0;border:0}
.policy article{padding-top:.75em}}
#volens-panel{width:44em;max-width:100%;max-height:90vh;padding:0;border:1px solid var(--l);border-radius:16px;overflow:auto;
overscroll-behavior:contain;scroll-padding:5.5em 0 6.5em;
background:var(--b);color:var(--t);font:1em/1.5 var(--f)}
#volens-panel::backdrop{background:#0009}
@media(max-width:46em){#volens-panel{width:100%;height:100%;max-height:none;border:0;border-radius:0}}
#volens-panel .v{border:0}#volens-panel form{max-width:none!important;margin:0!important}
@media(min-width:46em){html.panel body,html.plain body{padding:2em 0}.panel.v,.plain.v{border:1px solid var(--l);border-radius:16px}
.v .top{border-radius:16px 16px 0 0}.v .bar{border-radius:0 0 16px 16px}.v .top,.v .body,.v .bar{padding-inline:2em}}
@media(max-height:24em){:root,#volens-panel{scroll-padding:1em 0 5em}.v .top{position:static}
.v .bar{padding:.4em .75em}.v .bar button{min-height:44px;padding:.2em;font-size:.875em}}
@media(max-height:18em)and (max-width:17em){.v .bar{position:static}}
@media(prefers-reduced-motion:reduce){.v [role=switch]{transition:none}}
@media(forced-colors:active){.v [role=switch]{appearance:auto;width:24px;height:24px}.v [role=switch]:before{content:none!important}
.v .button{border-color:ButtonText;color:ButtonText}
.v .band{border:1px solid}.v .band svg{display:none}}
@media print{.v{--t:#000;--m:#333;--a:#000;--b:#fff;--l:#999;--s:#fff;max-width:none;border:0!important;font-size:10.5pt}
.v .bar,.v .x,.policy .top,.policy nav,.v .button,.v p>.button{display:none}.v .top{position:static;border:0}
.v .top,.v .body{padding:0}
.policy .page{display:block;padding:0}
.v tr,.v .item,.v h2{break-inside:avoid}
.v h2,.v h3{break-after:avoid}.policy .item a[target]:after{content:" (" attr(href) ")";overflow-wrap:anywhere}}
"""
