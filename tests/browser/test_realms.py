"""Every realm a script can make has the guard before the script can use it: one test each (DESIGN §3, guard)."""

# ruff: noqa: E501 -- page scripts are kept on one line
from __future__ import annotations

import json
from typing import Any

import pytest
from guarded_site import CSP, SITE, STATIC, Answer, Site

from tests.running import until

PROBE = "document.cookie = 'probe=1; path=/; max-age=9999'; localStorage.setItem('probe', 1); localStorage.probe2 = 1; sessionStorage.probe = 1; indexedDB.open('probe')"
"""Leaves five traces in a realm without guard; run in every realm below."""
LATE = 200
"""Milliseconds given to what reaches the device after the probe has run, a database say."""


def gets(how: str) -> str:
    """A page script that runs the probe in the realm that ``how`` makes (an expression for its window)."""
    return f"<script>var probe = {json.dumps(PROBE)}; var run = w => w.Function(probe).call(w);\n{how}</script>"


REALMS = {
    "window": "run(window)",
    "blank frame, contentWindow": "run(document.body.appendChild(document.createElement('iframe')).contentWindow)",
    "blank frame, contentDocument": "run(document.body.appendChild(document.createElement('iframe')).contentDocument.defaultView)",
    "blank frame, window[0]": "document.body.appendChild(document.createElement('iframe')); run(window[0])",
    "blank frame, frames[0] after append": "document.body.append('x', document.createElement('iframe')); run(frames[0])",
    "blank frame, insertBefore": "document.body.insertBefore(document.createElement('iframe'), document.body.firstChild); run(self[0])",
    "blank frame, replaceWith": "var e = document.body.appendChild(document.createElement('p')); e.replaceWith(document.createElement('iframe')); run(self[0])",
    "blank frame in a fragment": "var f = document.createDocumentFragment(); f.append(document.createElement('iframe')); document.body.appendChild(f); run(self[0])",
    "blank frame, by range": "var r = document.createRange(); r.selectNode(document.body.appendChild(document.createElement('p'))); r.insertNode(document.createElement('iframe')); run(self[0])",
    "blank frame, by contextual fragment": "document.body.append(document.createRange().createContextualFragment('<iframe></iframe>')); run(self[0])",
    "blank frame, named": "document.body.insertAdjacentHTML('beforeend', '<iframe name=inner></iframe>'); run(window.inner)",
    "blank frame, innerHTML": "document.body.appendChild(document.createElement('div')).innerHTML = '<iframe src=\"about:blank\"></iframe>'; run(self[0])",
    "blank frame, outerHTML": "document.body.appendChild(document.createElement('div')).outerHTML = '<iframe></iframe>'; run(self[0])",
    "blank frame, document.write": "document.write('<iframe></iframe>'); run(self[0])",
    "blank frame in a shadow tree": "var h = document.body.appendChild(document.createElement('div')).attachShadow({mode: 'closed'}); h.innerHTML = '<iframe></iframe>'; run(h.firstChild.contentWindow)",
    "object": "var o = document.createElement('object'); o.data = 'about:blank'; o.type = 'text/html'; document.body.append(o); if (o.contentWindow) run(o.contentWindow)",
    "frame in a frame": "var a = document.body.appendChild(document.createElement('iframe')).contentDocument; a.body.appendChild(a.createElement('iframe')); run(self[0][0])",
    "frame written by its parent": "var d = document.body.appendChild(document.createElement('iframe')).contentDocument; d.open(); d.write('<script>' + probe + '<\\/script>'); d.close(); run(self[0])",
    "script in a written frame's frame": "var d = document.body.appendChild(document.createElement('iframe')).contentDocument; d.open(); d.write('<iframe></iframe><script>self[0].Function(' + JSON.stringify(probe) + ')()<\\/script>'); d.close()",
    "srcdoc property": "var i = document.createElement('iframe'); i.srcdoc = '<script>' + probe + '<\\/script>'; document.body.append(i)",
    "srcdoc attribute": "var i = document.createElement('iframe'); i.setAttribute('srcdoc', '<script>' + probe + '<\\/script>'); document.body.append(i)",
    "srcdoc by innerHTML": "document.body.appendChild(document.createElement('div')).innerHTML = '<iframe srcdoc=\"<script>' + probe + '</scr' + 'ipt>\"></iframe>'",
    "srcdoc set again": "var i = document.createElement('iframe'), n = 0; i.onload = () => { if (!n++) i.srcdoc = '<script>' + probe + '<\\/script>' }; i.srcdoc = 'one'; document.body.append(i)",
    "srcdoc nested": "var i = document.createElement('iframe'); i.srcdoc = '<iframe></iframe><script>self[0].Function(' + JSON.stringify(probe) + ')()<\\/script>'; document.body.append(i)",
    "javascript: frame": "var i = document.createElement('iframe'); i.src = 'javascript:' + probe; document.body.append(i)",
    "javascript: frame with a document": "var i = document.createElement('iframe'); i.src = \"javascript:'<script>\" + probe.replace(/'/g, '\\\\x27') + \"</scr\" + \"ipt>'\"; document.body.append(i)",
    "javascript: in a running frame": "var i = document.body.appendChild(document.createElement('iframe')); i.onload = null; setTimeout(() => i.src = 'javascript:' + probe, 50)",
    "javascript: by location": "var i = document.body.appendChild(document.createElement('iframe')); i.contentWindow.location = 'javascript:' + probe",
    "javascript: by innerHTML": "document.body.appendChild(document.createElement('div')).innerHTML = '<iframe src=\"javascript:' + probe + '\"></iframe>'",
    "blank frame left and entered again": "var i = document.createElement('iframe'); document.body.append(i); i.remove(); document.body.append(i); run(self[0])",
    "blank frame navigated to blank": "var i = document.createElement('iframe'), n = 0; i.onload = () => { if (!n++) i.removeAttribute('srcdoc'), i.src = 'about:blank?2'; else run(i.contentWindow) }; i.srcdoc = 'x'; document.body.append(i)",
}


@pytest.mark.parametrize("how", REALMS.values(), ids=REALMS.keys())
def test_a_realm_of_the_page_leaves_no_trace(site: Site, how: str) -> None:
    page = site.open(gets(how))
    page.wait_for_function(
        "document.cookie + localStorage.probe + localStorage.probe2 == 'probe=111'"
    )  # it ran, and reads back what it wrote
    page.wait_for_timeout(LATE)
    assert site.stored() == {}


@pytest.mark.parametrize("how", ["window", "srcdoc property", "javascript: frame", "blank frame, window[0]"])
def test_the_probe_leaves_traces_without_guard(site: Site, how: str) -> None:
    site.serve("/", gets(REALMS[how]), None)
    site.page.goto(f"https://{SITE}/")
    traces = {"cookies": ["probe"], "localStorage": ["probe", "probe2"], "sessionStorage": ["probe"], "databases": ["probe"]}
    assert until(lambda: site.stored() == traces), site.stored()


def test_frames_in_the_page_s_own_markup_are_met_before_its_scripts(site: Site) -> None:
    page = site.open("<iframe name=inner></iframe>" + gets("run(window.inner)") + "<p>" + gets("run(self[0])"))
    page.wait_for_function("document.cookie == 'probe=1'")
    page.wait_for_timeout(LATE)
    assert site.stored() == {}


PLACEHOLDER = (
    '<iframe src="/_volens/embed/frame?u=https%3A%2F%2Fout.test%2F" srcdoc="<p>withheld</p>" data-volens-src="https://out.test/"></iframe>'
)
LOOKS = {
    "frames[i]": "run(frames[0])",
    "a walk through all frames": "for (let i = 0; i < window.length; i++) run(window[i])",
    "window.frames from a frame": "run(document.body.appendChild(document.createElement('iframe')).contentWindow.parent.frames[0])",
    "contentWindow": "run(document.querySelector('iframe').contentWindow)",
    "contentDocument": "run(document.querySelector('iframe').contentDocument.defaultView)",
    "window[i] at once": "run(window[0])",
}
BY_NUMBER = pytest.mark.xfail(
    strict=True, reason="a window's numbers can't be watched; to patch every placeholder makes a realm each (decision 0015)"
)


@pytest.mark.parametrize(
    "how", [pytest.param(how, marks=[BY_NUMBER] * (name == "window[i] at once"), id=name) for name, how in LOOKS.items()]
)
@pytest.mark.parametrize("when", ["at once", "when it has loaded"])
def test_a_placeholder_is_no_way_around_the_guard(site: Site, how: str, when: str) -> None:
    """Its document is of the page's origin, and the guard leaves it alone until a script looks for it."""
    later = how if when == "at once" else f"addEventListener('load', () => {{ {how} }})"
    page = site.open(PLACEHOLDER + gets(later))
    page.wait_for_function("document.cookie == 'probe=1'")  # the probe ran
    page.wait_for_timeout(LATE)
    assert site.stored() == {}


@pytest.mark.parametrize("url", ["''", "'about:blank'", "'javascript:' + probe", "'', 'name'"])
def test_an_opened_window_of_this_origin_is_met(site: Site, url: str) -> None:
    page = site.open(f'<button onclick="var w = window.open({url}); w.Function(probe).call(w)">open</button>' + gets(""))
    page.click("button")
    page.wait_for_function("document.cookie == 'probe=1'")
    page.wait_for_timeout(LATE)
    assert site.stored() == {}


def test_a_same_origin_document_carries_its_own_guard_and_is_patched_once(site: Site) -> None:
    site.serve("/inner", gets("run(window)"), {})
    page = site.open(
        "<script>var i = document.createElement('iframe'); i.src = '/inner'; document.body.append(i); var early = i.contentWindow.fetch;"
        "i.onload = () => { window.later = [i.contentWindow.localStorage.probe, i.contentDocument.cookie, i.contentWindow.location.pathname] }</script>"
    )
    page.wait_for_function("window.later")
    page.wait_for_timeout(LATE)
    assert site.stored() == {}
    assert page.evaluate("later") == ["1", "probe=1", "/inner"]
    once = "w => { const get = Object.getOwnPropertyDescriptor(w.Document.prototype, 'cookie').get; let n = 0; const c = w.document.cookie; return c }"
    assert page.evaluate(f"({once})(document.querySelector('iframe').contentWindow)") == "probe=1", (
        "patched twice, its cookie would stand twice"
    )


WORKER = """
const log = [];
const r = indexedDB.open('probe'); r.onsuccess = () => { log.push('db'); caches.open('probe').then(c => c.put('https://site.test/x', new Response('y'))).then(() => { log.push('cache'); tell(log) }) };
"""


def worker(kind: str, source: str) -> str:
    """A page script that starts a worker from ``source`` (an expression for its address) and notes what it says."""
    if kind == "SharedWorker":
        return f"<script>var said; var w = new SharedWorker({source}); w.port.onmessage = e => said = e.data</script>"
    return f"<script>var said; var w = new Worker({source}); w.onmessage = e => said = e.data</script>"


DEDICATED = WORKER + "function tell(x) { postMessage(x) }"
SHARED = (
    WORKER
    + "let to = [], done; onconnect = e => { to.push(e.ports[0]); if (done) e.ports[0].postMessage(done) }; function tell(x) { done = x; to.forEach(p => p.postMessage(x)) }"
)


def blob(text: str, type_: str = "text/javascript") -> str:
    return f"URL.createObjectURL(new Blob([{json.dumps(text)}], {{type: '{type_}'}}))"


WORKERS = {
    "dedicated, blob": worker("Worker", blob(DEDICATED)),
    "dedicated, blob, module": worker("Worker", blob(DEDICATED) + ", {type: 'module'}"),
    "dedicated, blob without type": worker("Worker", blob(DEDICATED, "")),
    "dedicated, blob revoked at once": f"<script>var said, u = {blob(DEDICATED)}; var w = new Worker(u); URL.revokeObjectURL(u); w.onmessage = e => said = e.data</script>",
    "dedicated, from a frame": f"<script>var said; var f = document.body.appendChild(document.createElement('iframe')).contentWindow; var w = new f.Worker(f.{blob(DEDICATED)}); w.onmessage = e => said = e.data</script>",
    "nested": worker("Worker", blob(f"const w = new Worker({blob(DEDICATED)}); w.onmessage = e => postMessage(e.data)")),
    "by the instance's constructor": f"<script>var said; var W = new Worker('data:,').constructor; var w = new W({blob(DEDICATED)}); w.onmessage = e => said = e.data</script>",
    "shared, blob": worker("SharedWorker", blob(SHARED)),
}


@pytest.mark.parametrize("body", WORKERS.values(), ids=WORKERS.keys())
def test_a_worker_from_a_blob_leaves_no_trace(site: Site, body: str) -> None:
    page = site.open(body)
    page.wait_for_function("said")
    assert page.evaluate("said") == ["db", "cache"]
    assert site.stored() == {}


@pytest.mark.parametrize("kind", ["Worker", "SharedWorker"])
def test_a_worker_script_with_the_server_s_prelude_leaves_no_trace(site: Site, kind: str) -> None:
    prelude = (STATIC / "guard-worker.js").read_text().replace("__CONFIG__", json.dumps({"p": "/_volens/"}))
    site.net.answers["/w.js"] = Answer(
        prelude + (SHARED if kind == "SharedWorker" else DEDICATED), "text/javascript", {"Content-Security-Policy": CSP}
    )
    page = site.open(worker(kind, "'/w.js'"))
    page.wait_for_function("said")
    assert page.evaluate("said") == ["db", "cache"]
    assert site.stored() == {}


def test_a_worker_without_prelude_would_leave_traces(site: Site) -> None:
    site.net.answers["/w.js"] = Answer(DEDICATED, "text/javascript")
    page = site.open(worker("Worker", "'/w.js'"))
    page.wait_for_function("said")
    assert until(lambda: site.stored() == {"databases": ["probe"], "caches": ["probe"]})


def test_a_worker_in_a_blob_reaches_no_refused_host(site: Site) -> None:
    source = "try { importScripts('https://imported.test/x.js') } catch {}; fetch('https://fetched.test/x').catch(() => 0); new WebSocket('wss://socket.test/'); postMessage(1)"
    page = site.open(worker("Worker", blob(source)))
    page.wait_for_function("said")
    site.settle()
    assert site.net.left() == []


@pytest.mark.parametrize(
    "code",
    [
        "var volens = {mine: 1}",
        "'use strict'; var volens = {mine: 1}",
        "let volens = {mine: 1}; window.mine = volens",
        "const volens = {mine: 1}; window.mine = volens",
        "class volens {}; volens.mine = 1; window.mine = volens",
        "function volens() {} volens.mine = 1",
        "window.volens = {mine: 1}",
        "'use strict'; window.volens = {mine: 1}",
        "Object.defineProperty(window, 'volens', {value: {mine: 1}})",
    ],
)
def test_a_site_s_own_volens_survives(site: Site, code: str) -> None:
    page = site.open(f"<script>{code}</script>")
    assert page.evaluate("(window.mine || window.volens).mine") == 1
    assert site.errors == []


def test_the_page_s_own_volens_is_read_only(site: Site) -> None:
    out: Any = site.open("", {"k": "g1"}).evaluate(
        "() => { volens.grant = 'x'; volens.more = 1; return [volens.grant, volens.more ?? null, volens.choice, typeof volens.on, typeof volens.open] }"
    )
    assert out == ["g1", None, "", "function", "function"]
