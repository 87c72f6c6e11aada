"""A refused write is read back for the life of the page and touches nothing; a permitted one is real."""

# ruff: noqa: E501 -- page scripts are kept on one line
from __future__ import annotations

from typing import Any

import pytest
from guarded_site import SITE, Answer, Site

from tests.running import until

EARLIER = f"https://{SITE}"


def lay_down(site: Site) -> None:
    """What lay on the device from before: written by a page without guard."""
    site.serve(
        "/before",
        "<script>document.cookie='_ga=old; path=/; max-age=9999'; document.cookie='session=s1; path=/; max-age=9999';"
        "localStorage._fbp='old'; localStorage.theme='dark'; sessionStorage.old='1'; window.name='old-name'</script>",
        None,
        csp="",
    )
    site.page.goto(f"{EARLIER}/before")


def test_cookies_refused_are_virtual_and_permitted_ones_are_real(site: Site) -> None:
    page = site.open("", {"C": ["session", "wp-settings-*"]})
    out = page.evaluate(
        """() => {
        document.cookie = '_ga=GA1.2; path=/; max-age=63072000; SameSite=Lax';
        document.cookie = 'session=abc'; document.cookie = 'wp-settings-7=x'; document.cookie = 'wp-settings=y';
        const all = document.cookie.split('; ').sort();
        document.cookie = '_ga=2'; const changed = document.cookie.includes('_ga=2') && !document.cookie.includes('GA1.2');
        document.cookie = '_ga=; expires=Thu, 01 Jan 1970 00:00:00 GMT'; document.cookie = 'wp-settings=; max-age=0';
        return [all, changed, document.cookie.split('; ').sort()];
        }"""
    )
    assert out == [["_ga=GA1.2", "session=abc", "wp-settings-7=x", "wp-settings=y"], True, ["session=abc", "wp-settings-7=x"]]
    assert site.stored() == {"cookies": ["session", "wp-settings-7"]}


def test_cookies_from_before_are_not_read(site: Site) -> None:
    lay_down(site)
    page = site.open("", {"C": ["session"], "S": ["theme"]})
    assert page.evaluate("document.cookie") == "session=s1"
    assert page.evaluate(
        "[localStorage.getItem('_fbp'), localStorage._fbp, localStorage.theme, localStorage.length, sessionStorage.length, name]"
    ) == [
        None,
        None,
        "dark",
        1,
        0,
        "",
    ]
    assert page.evaluate("cookieStore.getAll().then(all => all.map(c => c.name))") == ["session"]


def test_our_own_cookies_can_be_read_and_never_written(site: Site) -> None:
    site.page.context.add_cookies([{"name": "volens", "value": "1.0000000000000000.20261122.-", "url": EARLIER}])
    page = site.open("", {"C": ["*"]})
    page.evaluate("document.cookie = 'volens=1.0000000000000000.20261122.publicite; path=/'; document.cookie = 'volens-record=x'")
    assert page.evaluate("document.cookie") == "volens=1.0000000000000000.20261122.-"


def test_nor_by_the_store_that_promises_and_an_objection_stays(site: Site) -> None:
    ours = [
        {"name": "volens", "value": "1.0000000000000000.20261122.-", "url": EARLIER},
        {"name": "volens-audience", "value": "0", "url": EARLIER},
    ]
    site.page.context.add_cookies(ours)
    page = site.open("", {"C": ["*"]})
    page.evaluate(
        "async () => { await cookieStore.delete('volens-audience'); await cookieStore.delete({name: 'volens'});"
        "await cookieStore.set('volens', 'x'); await cookieStore.set({name: 'volens-record', value: 'x'}) }"
    )
    assert page.evaluate("document.cookie.split('; ').sort()") == ["volens-audience=0", "volens=1.0000000000000000.20261122.-"]


def test_the_prototype_s_own_setter_and_a_frame_s_are_the_same_door(site: Site) -> None:
    page = site.open("")
    page.evaluate(
        """() => {
        Object.getOwnPropertyDescriptor(Document.prototype, 'cookie').set.call(document, 'a=1');
        const frame = document.body.appendChild(document.createElement('iframe'));
        frame.contentDocument.cookie = 'b=2';
        Object.getOwnPropertyDescriptor(frame.contentWindow.Document.prototype, 'cookie').set.call(document, 'c=3');
        }"""
    )
    assert page.evaluate("document.cookie") == "a=1; b=2; c=3"
    assert site.stored() == {}


def test_cookies_stay_within_a_browser_s_bounds(site: Site) -> None:
    page = site.open("")
    out = page.evaluate(
        "() => { document.cookie = 'big=' + 'x'.repeat(5000); for (let i = 0; i < 500; i++) document.cookie = `n${i}=1`;"
        "return [document.cookie.includes('big'), document.cookie.split('; ').length] }"
    )
    assert out == [False, 180]


def test_cookie_store_writes_virtually_and_tells_its_listeners_nothing(site: Site) -> None:
    page = site.open("", {"C": ["ok"]})
    out = page.evaluate(
        """async () => {
        const changes = [];
        cookieStore.addEventListener('change', e => changes.push(...e.changed.map(c => c.name)));
        await cookieStore.set('_a', '1'); await cookieStore.set({name: '_b', value: '2', expires: Date.now() + 1e6}); await cookieStore.set('ok', '3');
        const all = (await cookieStore.getAll()).map(c => c.name + '=' + c.value).sort();
        const one = await cookieStore.get('_a'), none = await cookieStore.get('nope');
        await cookieStore.delete('_a'); await new Promise(r => setTimeout(r, 100));
        return [all, one.value, none, document.cookie.split('; ').sort(), changes];
        }"""
    )
    assert out == [["_a=1", "_b=2", "ok=3"], "1", None, ["_b=2", "ok=3"], ["ok"]]
    assert site.stored() == {"cookies": ["ok"]}


STORAGE = """(area) => {
  const s = window[area], out = {};
  s.setItem('a', 1); s.b = 'two'; s['c d'] = null; Storage.prototype.setItem.call(s, 'e', {});
  out.read = [s.getItem('a'), s.a, s.b, s['c d'], s.e, s.nope, s.getItem('nope')];
  out.length = s.length; out.keys = Object.keys(s).sort(); out.names = Object.getOwnPropertyNames(s).sort();
  out.key = [...Array(s.length).keys()].map(i => s.key(i)).sort(); out.beyond = s.key(99);
  out.in = ['a' in s, 'nope' in s, 'getItem' in s, Object.hasOwn(s, 'a'), s.hasOwnProperty('b')];
  out.json = Object.keys(JSON.parse(JSON.stringify(s))).sort(); out.spread = {...s}.b;
  out.each = []; for (const k in s) if (Object.hasOwn(s, k)) out.each.push(k); out.each.sort();
  delete s.a; s.removeItem('b'); out.after = Object.keys(s).sort();
  out.kind = [s instanceof Storage, String(s), Object.prototype.toString.call(s), s === window[area], typeof s.getItem];
  out.native = [Storage.prototype.getItem.name, Storage.prototype.setItem.length, /native code/.test(Storage.prototype.getItem)];
  out.illegal = []; for (const f of [() => Storage.prototype.getItem.call({}, 'a'), () => Storage.prototype.length, () => s.setItem('x'), () => s.getItem()]) try { f(); out.illegal.push('fine') } catch (e) { out.illegal.push(e.name) }
  s.clear(); out.clear = [s.length, Object.keys(s)];
  return out;
}"""


@pytest.mark.parametrize("area", ["localStorage", "sessionStorage"])
def test_storage_behaves_as_the_browser_s_own(site: Site, area: str) -> None:
    """The same script in a page without guard gives the same answers, and leaves something behind."""
    site.serve("/raw", "", None, csp="")
    site.page.goto(f"{EARLIER}/raw")
    raw = site.page.evaluate(STORAGE, area)
    page = site.open("")
    assert page.evaluate(STORAGE, area) == raw
    page.evaluate("area => window[area].setItem('x', 1)", area)
    assert site.stored() == {}


def test_permitted_items_are_real_and_listed_with_the_virtual_ones(site: Site) -> None:
    page = site.open("", {"S": ["theme", "cart*"]})
    page.evaluate(
        "() => { localStorage.theme = 'dark'; localStorage.setItem('cart-1', 'x'); localStorage.tracker = 'y'; sessionStorage.theme = 1 }"
    )
    assert page.evaluate("Object.keys(localStorage).sort()") == ["cart-1", "theme", "tracker"]
    assert site.stored() == {"localStorage": ["cart-1", "theme"], "sessionStorage": ["theme"]}
    page.reload()
    assert page.evaluate("Object.keys(localStorage).sort()") == ["cart-1", "theme"]
    page.evaluate("localStorage.clear()")
    assert site.stored() == {"sessionStorage": ["theme"]}


def test_a_full_storage_says_so_as_a_browser_does(site: Site) -> None:
    out = site.open("").evaluate(
        """() => {
        const big = 'x'.repeat(1e6); let error, n = 0;
        try { for (;; n++) localStorage.setItem('k' + n, big) } catch (e) { error = [e.name, e instanceof DOMException, e.code] }
        localStorage.removeItem('k0'); localStorage.setItem('again', big); const back = localStorage.getItem('again').length;
        localStorage.clear(); for (let i = 0; i < 20; i++) localStorage.same = big;
        return [n, error, back, localStorage.length];
        }"""
    )
    assert out == [4, ["QuotaExceededError", True, 22], 1000000, 1]


def test_what_frames_of_the_page_write_is_the_page_s_too(site: Site) -> None:
    out = site.open("").evaluate(
        """() => {
        const w = document.body.appendChild(document.createElement('iframe')).contentWindow;
        w.localStorage.setItem('x', '1'); w.localStorage.y = '2';
        return [localStorage.x, localStorage.getItem('y'), w.localStorage.length];
        }"""
    )
    assert out == ["1", "2", 2]
    assert site.stored() == {}


DATABASE = """async (name) => {
  const done = r => new Promise((ok, no) => { r.onsuccess = () => ok(r.result); r.onerror = () => no(r.error) });
  const log = [];
  const r = indexedDB.open(name, 3);
  log.push(r instanceof IDBOpenDBRequest, r instanceof IDBRequest);
  r.addEventListener('upgradeneeded', e => {
    log.push(e.type, e.oldVersion, e.newVersion, e.target === r, r.transaction instanceof IDBTransaction, r.result instanceof IDBDatabase);
    const store = r.result.createObjectStore('s', {keyPath: 'id'}); store.createIndex('by', 'n');
  });
  const db = await done(r);
  log.push(r.readyState, db.name, db.version, [...db.objectStoreNames]);
  const t = db.transaction('s', 'readwrite'), s = t.objectStore('s');
  for (let i = 0; i < 10; i++) s.put({id: i, n: i % 3, when: new Date(i), blob: new Uint8Array(i)});
  await new Promise(ok => t.oncomplete = ok);
  const get = db.transaction('s').objectStore('s');
  log.push((await done(get.get(4))).n, await done(get.count(IDBKeyRange.bound(2, 5))), (await done(get.index('by').getAllKeys(IDBKeyRange.only(1)))));
  const cursor = db.transaction('s').objectStore('s').openCursor(null, 'prev');
  log.push((await done(cursor)).key);
  db.close();
  const again = await done(indexedDB.open(name)); log.push(again.version); again.close();
  let wrong; try { await done(indexedDB.open(name, 1)) } catch (e) { wrong = e.name } log.push(wrong);
  await done(indexedDB.deleteDatabase(name));
  const last = await done(Object.assign(indexedDB.open(name), {onupgradeneeded: e => log.push(e.oldVersion)}));
  log.push(last.version, indexedDB.cmp(1, 2)); last.close();
  return log;
}"""


def test_a_refused_database_works_and_is_not_there(site: Site) -> None:
    """The same script in a page without guard gives the same answers, and leaves a database behind."""
    site.serve("/raw", "", None, csp="")
    site.page.goto(f"{EARLIER}/raw")
    raw = site.page.evaluate(DATABASE, "tracker")
    assert site.stored() == {"databases": ["tracker"]}
    site.page.evaluate(
        "indexedDB.databases().then(all => Promise.all(all.map(d => new Promise(ok => indexedDB.deleteDatabase(d.name).onsuccess = ok))))"
    )
    site.page.goto("about:blank")
    page = site.open("", {"S": ["app*"]})
    assert page.evaluate(DATABASE, "tracker") == raw
    assert page.evaluate(DATABASE, "app-data") == [item if item != "tracker" else "app-data" for item in raw]
    assert site.stored() == {"databases": ["app-data"]}


def test_databases_lists_only_what_may_be_known(site: Site) -> None:
    site.serve("/raw", "", None, csp="")
    site.page.goto(f"{EARLIER}/raw")
    open_ = "names => Promise.all(names.map(n => new Promise(ok => indexedDB.open(n).onsuccess = e => ok(e.target.result.close()))))"
    site.page.evaluate(open_, ["old", "app"])
    page = site.open("", {"S": ["app"]})
    assert page.evaluate("indexedDB.databases().then(all => all.map(d => d.name))") == ["app"]


def test_a_database_whose_stand_in_cannot_be_fetched_fails_as_a_request_fails(site: Site) -> None:
    page = site.open("", csp="script-src 'unsafe-inline'")
    out = page.evaluate(
        "new Promise(ok => { const r = indexedDB.open('x'); r.onsuccess = () => ok('open'); r.onerror = e => ok(e.type + (e.target === r)) })"
    )
    assert out == "errortrue"


def test_caches_refused_are_virtual(site: Site) -> None:
    page = site.open("", {"S": ["shell*"]})
    out = page.evaluate(
        """async () => {
        const c = await caches.open('tracker'); await c.put('/a', new Response('one', {headers: {x: '1'}})); await c.put('/a', new Response('two'));
        await (await caches.open('shell-1')).put('/b', new Response('real'));
        return [c instanceof Cache, await (await c.match('/a')).text(), (await c.keys()).map(r => new URL(r.url).pathname), await caches.has('tracker'),
          (await caches.keys()).sort(), await (await caches.match('/a')).text(), await (await caches.match('/b')).text(), await caches.match('/c') ?? null,
          await c.delete('/a'), await caches.delete('tracker'), await caches.has('tracker')];
        }"""
    )
    assert out == [True, "two", ["/a"], True, ["shell-1", "tracker"], "two", "real", None, True, True, False]
    assert site.stored() == {"caches": ["shell-1"]}


def test_files_buckets_and_service_workers_are_refused(site: Site) -> None:
    page = site.open("")
    out: list[Any] = page.evaluate(
        """() => Promise.all([() => navigator.storage.getDirectory(), () => navigator.storageBuckets?.open('b') ?? Promise.reject({name: 'SecurityError'}),
          () => navigator.serviceWorker.register('/sw.js')].map(f => f().then(() => 'done', e => e.name)))"""
    )
    assert out == ["SecurityError"] * 3
    assert not any(seen.path == "/sw.js" for seen in site.net.requests)


def test_an_earlier_service_worker_is_unregistered_unless_allowed(site: Site) -> None:
    site.net.answers["/sw.js"] = Answer("self.addEventListener('fetch', () => {})", "text/javascript")
    site.serve("/raw", "", None, csp="")
    site.page.goto(f"{EARLIER}/raw")
    site.page.evaluate("navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready).then(() => 1)")
    count = "navigator.serviceWorker.getRegistrations().then(all => all.length)"
    page = site.open("", {"w": 1})
    page.wait_for_timeout(300)
    assert page.evaluate(count) == 1
    page = site.open("")
    assert until(lambda: page.evaluate(count) == 0)


def test_the_window_s_name_stays_in_the_page(site: Site) -> None:
    page = site.open("")
    assert page.evaluate("(name = 'tracker', [name, window.name])") == ["tracker", "tracker"]
    site.serve("/raw", "", None, csp="")
    page.goto(f"{EARLIER}/raw")
    assert page.evaluate("name") == ""


def test_geolocation_is_refused_as_by_the_visitor(site: Site) -> None:
    site.page.context.grant_permissions(["geolocation"], origin=EARLIER)
    ask = "new Promise(ok => navigator.geolocation.getCurrentPosition(() => ok('here'), e => ok([e.code, e.PERMISSION_DENIED])))"
    assert site.open("").evaluate(ask) == [1, 1]
    assert site.open("").evaluate("new Promise(ok => navigator.geolocation.watchPosition(() => ok('here'), e => ok(e.code)))") == 1
    site.page.context.clear_permissions()


def test_everything_open_is_the_browser_s_own(site: Site) -> None:
    page = site.open("", {"a": 1})
    page.evaluate("() => { document.cookie = 'a=1'; localStorage.b = 1; caches.open('c'); indexedDB.open('d') }")
    stored = {"cookies": ["a"], "localStorage": ["b"], "databases": ["d"], "caches": ["c"]}
    assert until(lambda: site.stored() == stored), site.stored()
