"""Nothing leaves the browser but to the site: no request, no connection without one, no STUN packet, nothing stored.

The pages carry guard and CSP, as the server writes them; each way out is shown to be one by the same page without.
"""

# ruff: noqa: E501 -- page scripts are kept on one line
from __future__ import annotations

import itertools
from datetime import date
from pathlib import Path

import pytest
from guarded_site import SITE, STATIC, Answer, Site

from tests.running import until
from volens.catalog import Catalog
from volens.choice import Signals
from volens.defaults import unconfigured
from volens.enforce.guard import refused_paths
from volens.enforce.hosts import Hosts
from volens.policy import grant

BATTERY = (Path(__file__).parent / "ways_out.js").read_text()
PAGE = "<h1>Text of the page</h1><p>stays</p>"


def battery(site: Site, who: str = "inline") -> str:
    return BATTERY.replace("__WHO__", who).replace("__UDP__", str(site.net.udp))


def test_the_battery_in_an_inline_script(site: Site) -> None:
    site.open(f"{PAGE}<script>{battery(site)}</script>")
    site.settle(1)
    site.page.goto("about:blank")  # what is sent on leaving
    site.settle()
    assert site.net.left() == []
    site.page.goto(f"https://{SITE}/favicon.ico")
    assert site.stored() == {}


def test_the_battery_in_a_first_party_file(site: Site) -> None:
    site.net.answers["/bundle.js"] = Answer(battery(site), "text/javascript")
    site.open(PAGE, head="<script src=/bundle.js></script>")
    site.settle(1)
    assert site.net.left() == []
    assert site.stored() == {}


@pytest.mark.parametrize("csp", [False, True], ids=["nothing", "CSP alone"])
def test_without_guard_the_battery_gets_out(site: Site, csp: bool) -> None:
    """Guards the guard: the stub internet sees what leaves, and the CSP alone does not hold it."""
    site.serve("/", f"{PAGE}<script>{battery(site)}</script>", None, **({} if csp else {"csp": ""}))
    site.page.goto(f"https://{SITE}/")
    site.settle(1)
    assert len(site.net.left()) > (2 if csp else 60)
    assert "stun" in site.net.left()
    assert set(site.stored()) == {"cookies", "localStorage", "sessionStorage", "databases", "caches"}
    site.page.goto("about:blank")
    site.settle()


OUT = "https://out.unlisted.test/x"
WAYS = {
    "frame, src property": f"var i = document.createElement('iframe'); i.src = '{OUT}'; document.body.append(i)",
    "frame, src attribute": f"var i = document.createElement('iframe'); i.setAttribute('SRC', '{OUT}'); document.body.append(i)",
    "frame, attribute with namespace": f"var i = document.createElement('iframe'); i.setAttributeNS(null, 'src', '{OUT}'); document.body.append(i)",
    "frame, attribute node": f"var i = document.createElement('iframe'), a = document.createAttribute('src'); a.value = '{OUT}'; i.setAttributeNode(a); document.body.append(i)",
    "frame, src once inserted": f"var i = document.body.appendChild(document.createElement('iframe')); i.src = '{OUT}'",
    "frame, cloned from a parsed document": f"var d = new DOMParser().parseFromString('<iframe src={OUT}></iframe>', 'text/html'); document.body.append(document.importNode(d.body.firstChild, true))",
    "frame, adopted": f"var d = document.implementation.createHTMLDocument(); d.body.innerHTML = '<p><iframe src={OUT}></iframe></p>'; document.body.append(d.body.firstChild)",
    "frame, template": f"var t = document.createElement('template'); t.innerHTML = '<iframe src={OUT}></iframe>'; document.body.append(t.content.cloneNode(true))",
    "frame, innerHTML": f"document.body.appendChild(document.createElement('div')).innerHTML = '<b>x</b><iframe title=\">\" src=\"{OUT}\"></iframe>'",
    "frame, innerHTML in odd spelling": f"document.body.appendChild(document.createElement('div')).innerHTML = '<IFRAME\\nSRC = &#104;ttps:{OUT[6:]} ></IFRAME>'",
    "frame, outerHTML": f"document.body.appendChild(document.createElement('div')).outerHTML = '<iframe src=//{OUT[8:]}></iframe>'",
    "frame, insertAdjacentHTML": f"document.body.insertAdjacentHTML('afterbegin', '<iframe src={OUT}></iframe>')",
    "frame, document.write": f"document.write('<iframe src={OUT}></iframe>')",
    "frame, contextual fragment": f"document.body.append(document.createRange().createContextualFragment('<iframe src={OUT}></iframe>'))",
    "frame, setHTMLUnsafe": f"document.body.appendChild(document.createElement('div')).setHTMLUnsafe('<iframe src={OUT}></iframe>')",
    "frame, closed shadow tree": f"document.body.appendChild(document.createElement('div')).attachShadow({{mode: 'closed'}}).innerHTML = '<iframe src={OUT}></iframe>'",
    "frame in a blank frame": f"var d = document.body.appendChild(document.createElement('iframe')).contentDocument; d.body.innerHTML = '<iframe src={OUT}></iframe>'",
    "frame in a written frame": f"var d = document.body.appendChild(document.createElement('iframe')).contentDocument; d.open(); d.write('<iframe src={OUT}></iframe>'); d.close()",
    "embed": f"var e = document.createElement('embed'); e.src = '{OUT}'; document.body.append(e)",
    "object": f"var e = document.createElement('object'); e.data = '{OUT}'; document.body.append(e)",
    "object, innerHTML": f"document.body.appendChild(document.createElement('div')).innerHTML = '<object data={OUT}></object>'",
    "preconnect": f"var l = document.createElement('link'); l.rel = 'preconnect'; l.href = '{OUT}'; document.head.append(l)",
    "preconnect, the other way round": f"var l = document.createElement('link'); l.href = '{OUT}'; l.rel = 'preconnect'; document.head.append(l)",
    "preconnect once inserted": f"var l = document.head.appendChild(document.createElement('link')); l.setAttribute('href', '{OUT}'); l.setAttribute('rel', 'preconnect')",
    "preconnect, innerHTML": f"document.head.insertAdjacentHTML('beforeend', '<link rel=preconnect href={OUT}>')",
    "preconnect, cross-origin": f"var l = document.createElement('link'); l.crossOrigin = ''; l.rel = 'foo PreConnect'; l.href = '//{OUT[8:]}'; document.head.append(l)",
    "dns-prefetch and preconnect": f"document.head.insertAdjacentHTML('beforeend', '<link rel=\"dns-prefetch preconnect\" href={OUT}>')",
    "prefetch": f"var l = document.createElement('link'); l.rel = 'prefetch'; l.href = '{OUT}'; document.head.append(l)",
    "prerender": f"var l = document.createElement('link'); l.rel = 'prerender'; l.href = '{OUT}'; document.head.append(l)",
    "speculation rules": f"var s = document.createElement('script'); s.type = 'speculationrules'; s.textContent = JSON.stringify({{prefetch: [{{source: 'list', urls: ['{OUT}']}}]}}); document.head.append(s)",
    "speculation rules, text after": f"var s = document.createElement('script'); s.setAttribute('type', 'speculationrules'); document.head.append(s); s.textContent = JSON.stringify({{prefetch: [{{source: 'list', urls: ['{OUT}']}}]}})",
    "speculation rules, written": f"document.write('<script type=\"speculationrules\">' + JSON.stringify({{prefetch: [{{source: 'list', urls: ['{OUT}']}}]}}) + '</scr' + 'ipt>')",
    "form, submit": f"var f = document.createElement('form'), i = document.createElement('iframe'); i.name = 'in'; f.action = '{OUT}'; f.target = 'in'; document.body.append(i, f); f.submit()",
    "form, requestSubmit": f"var f = document.createElement('form'), i = document.createElement('iframe'); i.name = 'in'; f.action = '{OUT}'; f.target = 'in'; document.body.append(i, f); f.requestSubmit()",
    "form, click": f"document.body.insertAdjacentHTML('beforeend', '<iframe name=in></iframe><form action={OUT} target=in><button></button></form>'); document.querySelector('button').click()",
    "form, formaction": f"document.body.insertAdjacentHTML('beforeend', '<iframe name=in></iframe><form target=in><button formaction={OUT}></button></form>'); document.querySelector('button').click()",
    "form of the page's own window": f"var f = document.createElement('form'); f.action = '{OUT}'; document.body.append(f); f.submit()",
    "form in a blank frame": f"var d = document.body.appendChild(document.createElement('iframe')).contentDocument, f = d.createElement('form'); f.action = '{OUT}'; d.body.append(f); f.submit()",
    "ping": f"var a = document.createElement('a'); a.href = '#x'; a.ping = '{OUT}'; document.body.append(a); a.click()",
    "WebRTC": "var p = new RTCPeerConnection({iceServers: [{urls: ['stun:out.unlisted.test:__UDP__']}]}); p.createDataChannel('x'); p.createOffer().then(o => p.setLocalDescription(o))",
    "WebRTC, one string": "var p = new RTCPeerConnection({iceServers: [{urls: 'stun:out.unlisted.test:__UDP__'}]}); p.createDataChannel('x'); p.createOffer().then(o => p.setLocalDescription(o))",
    "WebRTC, TURN": "var p = new webkitRTCPeerConnection({iceServers: [{urls: 'turn:out.unlisted.test:__UDP__', username: 'u', credential: 'c'}]}); p.createDataChannel('x'); p.createOffer().then(o => p.setLocalDescription(o))",
    "WebRTC, later": "var p = new RTCPeerConnection(); p.setConfiguration({iceServers: [{urls: 'stun:out.unlisted.test:__UDP__'}]}); p.createDataChannel('x'); p.createOffer().then(o => p.setLocalDescription(o))",
    "WebRTC, of an instance": "var p = new (new RTCPeerConnection().constructor)({iceServers: [{urls: 'stun:out.unlisted.test:__UDP__'}]}); p.createDataChannel('x'); p.createOffer().then(o => p.setLocalDescription(o))",
    "WebRTC, of a frame": "var w = document.body.appendChild(document.createElement('iframe')).contentWindow, p = new w.RTCPeerConnection({iceServers: [{urls: 'stun:out.unlisted.test:__UDP__'}]}); p.createDataChannel('x'); p.createOffer().then(o => p.setLocalDescription(o))",
}
_turn = itertools.count()


def one(site: Site, how: str) -> str:
    """The way as a page script, to a name of its own: a connection kept open from an earlier test would hide one."""
    here = how.replace("__UDP__", str(site.net.udp)).replace("out.unlisted.test", f"out{next(_turn)}.unlisted.test")
    return f"{PAGE}<script>{here}</script>"


@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS.keys())
def test_a_way_out_is_closed(site: Site, how: str) -> None:
    site.open(one(site, how))
    site.settle()
    assert site.net.left() == []
    assert "Text of the page" in site.page.inner_text("h1")
    assert site.errors == []


@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS.keys())
def test_it_is_a_way_out(site: Site, how: str) -> None:
    """The same page without guard and CSP."""
    site.serve("/", one(site, how), None, csp="")
    site.page.goto(f"https://{SITE}/")
    assert until(site.net.left)


@pytest.mark.parametrize("name", ["frame, src property", "frame, innerHTML", "preconnect", "speculation rules", "form, submit", "WebRTC"])
def test_it_is_one_under_the_csp_alone(site: Site, name: str) -> None:
    """Each family once: why the CSP does not make the guard superfluous."""
    site.serve("/", one(site, WAYS[name]), None)
    site.page.goto(f"https://{SITE}/")
    assert until(site.net.left)


def test_a_late_frame_becomes_the_placeholder(site: Site) -> None:
    page = site.open(
        "<div id=d></div><script>d.innerHTML = '<iframe class=v width=300 src=\"https://video.test/embed/1?a=b&amp;c\"></iframe>'</script>"
    )
    frame = page.locator("iframe.v")
    frame.content_frame.locator("p").wait_for()
    assert frame.get_attribute("src") == f"https://{SITE}/_volens/embed/frame?u=https%3A%2F%2Fvideo.test%2Fembed%2F1%3Fa%3Db%26c"
    assert frame.get_attribute("width") == "300"
    assert page.frames[1].inner_text("p") == "withheld"


def test_allowed_hosts_and_the_site_s_own_load(site: Site) -> None:
    page = site.open(
        "<script>for (const u of ['https://ok.test/f', '/own']) { const i = document.createElement('iframe'); i.src = u; document.body.append(i) }"
        "const l = document.createElement('link'); l.rel = 'preconnect'; l.href = 'https://pre.ok.test/'; document.head.append(l)</script>",
        {"H": ["ok.test", "*.ok.test"]},
        csp="",
    )
    assert until(lambda: site.net.left() == ["ok.test", "~pre.ok.test"])
    site.settle()
    assert [frame.url for frame in page.frames[1:]] == ["https://ok.test/f", f"https://{SITE}/own"]
    assert site.net.left() == ["ok.test", "~pre.ok.test"]


def test_denied_hosts_are_refused_under_an_allowed_wildcard(site: Site) -> None:
    site.open(
        "<script>fetch('https://t.denied.test/x').catch(() => 0); var i = document.createElement('iframe'); i.src = 'https://denied.test/f'; document.body.append(i)</script>",
        {"H": ["*"], "D": ["denied.test", "*.denied.test"]},
        csp="",
    )
    site.settle()
    assert site.net.left() == []


def test_images_of_unlisted_hosts_load_from_markup_and_lazily_but_not_as_beacons(site: Site) -> None:
    page = site.open(
        "<img id=a src=https://images.test/a.gif><img id=b data-src=https://images.test/b.gif><img id=c data-srcset='https://images.test/c.gif 1x, https://images.test/c2.gif 2x'>"
        "<script>b.src = b.dataset.src; c.srcset = c.dataset.srcset;"
        "new Image().src = 'https://images.test/beacon1.gif?x=1'; document.body.appendChild(document.createElement('img')).setAttribute('src', 'https://images.test/beacon2.gif');"
        "document.body.insertAdjacentHTML('beforeend', '<img src=https://images.test/beacon3.gif>'); document.body.appendChild(document.createElement('img')).srcset = 'https://images.test/beacon4.gif 1x';"
        "new Image().src = '/own.gif'; new Image().src = 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA='</script>",
        {"I": ["images.test"]},
    )
    page.wait_for_function("[...document.images].slice(0, 3).every(i => i.naturalWidth == 1)")
    site.settle()
    assert sorted(seen.path for seen in site.net.requests if seen.host == "images.test") == ["/a.gif", "/b.gif", "/c.gif"]
    assert any(seen.path == "/own.gif" for seen in site.net.requests)


def test_first_party_collection_paths_are_refused_quietly(site: Site) -> None:
    """By the very expression that every page is told."""
    demonstration = unconfigured(SITE)
    hosts = Hosts(demonstration, grant(demonstration.notice, None, Signals(), date(2026, 11, 22)), Catalog.packaged(), SITE)
    page = site.open("", {"P": refused_paths(hosts)})
    out = page.evaluate(
        """async () => {
        const out = [(await fetch('/g/collect?v=2')).ok, navigator.sendBeacon('/collect?v=1', 'x'), (await fetch(new Request('/piwik.php?a'))).status];
        const x = new XMLHttpRequest(); x.open('POST', '/collect?v=1&y'); x.send('b'); await new Promise(ok => x.onloadend = ok);
        new Image().src = '/piwik.php?img'; document.body.appendChild(document.createElement('img')).src = 'https://site.test/g/collect?v=2&img';
        const s = document.createElement('script'); s.src = '/mint/?js&collect'; document.head.append(s); await new Promise(ok => s.onload = s.onerror = ok);
        return [...out, (await fetch('/collected-works')).ok, (await fetch('/login?next=/collect?v=1')).ok];
        }"""
    )
    site.settle()
    assert out == [True, True, 200, True, True]
    assert [seen.path for seen in site.net.requests if "collect" in seen.path or "piwik" in seen.path] == [
        "/collected-works",
        "/login?next=/collect?v=1",
    ]


def test_a_visitor_s_own_form_goes_where_it_says(site: Site) -> None:
    page = site.open("<form action=https://newsletter.test/subscribe><input name=mail><button>go</button></form>")
    page.fill("input", "a@b.test")
    page.click("button")
    page.wait_for_url("https://newsletter.test/**")


def test_nothing_of_ours_breaks_trusted_types_and_a_strict_policy(site: Site) -> None:
    strict = "script-src 'nonce-abc' 'strict-dynamic'; require-trusted-types-for 'script'; trusted-types site; default-src 'self'"
    script = (
        "const p = trustedTypes.createPolicy('site', {createHTML: x => x, createScriptURL: x => x, createScript: x => x});"
        "const d = document.body.appendChild(document.createElement('div')); d.innerHTML = p.createHTML('<b>bold</b>');"
        "const s = document.createElement('script'); s.src = p.createScriptURL('/own.js'); document.head.append(s);"
        "const i = document.createElement('iframe'); i.srcdoc = p.createHTML('<p>inner'); document.body.append(i); i.contentWindow.localStorage.x = 1;"
        "localStorage.y = 2; indexedDB.open('z').onsuccess = () => document.querySelector('h1').textContent = 'open';"
    )
    page = site.open(f"<h1></h1><script nonce=abc>{script}</script>", {}, csp=strict)
    page.get_by_role("heading", name="open").wait_for()
    assert site.errors == []
    assert page.inner_text("b") == "bold"
    assert until(lambda: any(seen.path == "/own.js" for seen in site.net.requests))
    assert site.stored() == {}


def test_the_inline_script_can_stand_in_html_and_is_ascii() -> None:
    text = (STATIC / "guard.js").read_text()
    assert text.isascii()
    assert not [x for x in ("</script", "<!--", "]]>") if x in text.lower()]


@pytest.mark.alone
def test_it_costs_little_time(site: Site) -> None:
    """The guard's own run, several loads, by the browser's clock; the limit is generous because machines are shared."""
    times = []
    for _ in range(7):
        site.serve("/", "", {"C": ["session*"] * 50, "S": ["theme"] * 50, "H": ["*.a.test"] * 20, "P": "^/collect"})
        answer = site.net.answers["/"]
        assert isinstance(answer, Answer) and isinstance(answer.body, str)
        answer.body = answer.body.replace("<head>", "<head><script>t0 = performance.now()</script>").replace(
            "<meta", "<script>t1 = performance.now()</script><meta"
        )
        site.page.goto(f"https://{SITE}/")
        times.append(site.page.evaluate("t1 - t0"))
    assert sorted(times)[2] < 12, times
