"""``notice = "volens"``: no page has two notices, whichever consent tool it carries, and its scripts that call the tool go on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.enforce.making import NOTICE, TODAY
from tests.foreign.conftest import Place
from tests.web.making import KEYS
from volens.choice import COOKIE, RECORD_COOKIE, Choice, RecordTag
from volens.foreign import Tools

TOOLS = Tools.packaged()

START = (
    "tarteaucitron.init({hashtag:'#t',cookieName:'tarteaucitron',orientation:'middle',showIcon:true,highPrivacy:true,AcceptAllCta:true,"
    "DenyAllCta:true});(tarteaucitron.job=tarteaucitron.job||[]).push('youtube')"
)
RUN = (
    "CookieConsent.run({hideFromBots:false,categories:{necessary:{readOnly:true},analytics:{}},language:{default:'en',translations:{en:"
    "{consentModal:{title:'T',acceptAllBtn:'A',acceptNecessaryBtn:'R'},preferencesModal:{title:'P',sections:[]}}}}})"
)
KLARO = (
    "var klaroConfig={acceptAll:true,services:[{name:'a',purposes:['b']}],translations:{zz:{privacyPolicyUrl:'/p'},en:{b:{title:'B'}}}};"
    "klaro.setup(klaroConfig)"
)
# Where its maker's file lies in the package, how a page starts it, what it draws, and what a page's own script may call.
BUILDS = {
    "tarteaucitron": (
        "tarteaucitronjs/tarteaucitron.js",
        START,
        "#tarteaucitronRoot",
        "tarteaucitron.user.gtagUa='x';(tarteaucitron.job=tarteaucitron.job||[]).push('gtag');tarteaucitron.userInterface.openPanel()",
    ),
    "orejime": (
        "orejime/dist/orejime-standard-fr.js",
        "window.orejimeConfig={purposes:[{id:'a',title:'A',description:'d',cookies:[]}],privacyPolicyUrl:'/p'}",
        ".orejime-Banner",
        "window.orejime.prompt()",
    ),
    "klaro": (
        "klaro/dist/klaro.js",
        KLARO,
        "#klaro .cookie-notice,#klaro .cookie-modal",
        "klaro.show();klaro.getManager().watch({})",
    ),
    "cookieconsent": (
        "vanilla-cookieconsent/dist/cookieconsent.umd.js",
        RUN,
        "#cc-main",
        "CookieConsent.showPreferences();if(CookieConsent.acceptedCategory('analytics'))throw 1",
    ),
    "osano": (
        "cookieconsent/build/cookieconsent.min.js",
        "cookieconsent.initialise({type:'opt-in'})",
        ".cc-window",
        "if(!cookieconsent.hasInitialised)throw 1",
    ),
}

HOSTED: dict[str, tuple[str, str, str]] = {
    "onetrust": ("https://cdn.cookielaw.org/scripttemplates/otSDKStub.js", "onetrust-consent-sdk", "OneTrust.ToggleInfoDisplay()"),
    "cookiebot": (
        "https://consent.cookiebot.com/uc.js",
        "CybotCookiebotDialog",
        "if(Cookiebot.consent.marketing)throw 1;Cookiebot.renew()",
    ),
    "didomi": ("https://sdk.privacy-center.org/x/loader.js", "didomi-host", "window.didomiOnReady.push(function(){})"),
    "axeptio": ("https://static.axept.io/sdk.js", "axeptio_overlay", "openAxeptioCookies();window._axcb.push(function(){})"),
    "usercentrics": ("https://app.usercentrics.eu/browser-ui/latest/loader.js", "usercentrics-root", "UC_UI.showSecondLayer()"),
    "sourcepoint": (
        "https://cdn.privacy-mgmt.com/unified/wrapperMessagingWithoutDetection.js",
        "sp_message_container_1",
        "_sp_.executeMessaging()",
    ),
    "consentmanager": ("https://cdn.consentmanager.net/delivery/autoblocking/x.js", "cmpbox", "__cmp('showScreen')"),
    "quantcast": ("https://cmp.quantcast.com/choice/x/site/choice.js", "qc-cmp2-container", "__uspapi('displayUspUi')"),
    "cookieyes": ("https://cdn-cookieyes.com/client_data/x/script.js", "cky-consent", "if(getCkyConsent().categories.analytics)throw 1"),
    "osano": ("https://cmp.osano.com/x/y/osano.js", "osano-cm-window", "Osano.cm.showDrawer()"),
    "complianz": (
        "/wp-content/plugins/complianz-gdpr/cookiebanner/js/complianz.min.js",
        "cmplz-cookiebanner-container",
        "if(cmplz_has_consent('marketing'))throw 1",
    ),
}
"""A hosted tool: its script, what it draws, and what a page's own script may call. The scripts are stood in for by ours."""


def drawing(id: str) -> str:
    """What a hosted tool's script would do here: a cookie, and a window over the page."""
    return (
        f"document.cookie='{id}=1';document.body.insertAdjacentHTML('beforeend','<div id=\"{id}\" class=\"{id}\" style=\"position:fixed;"
        "inset:0;background:#fff;z-index:99\">Accept cookies?</div>')"
    )


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(locale="fr-FR")
    context.set_default_timeout(20000)
    page = context.new_page()
    page.errors = []  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.errors.append(str(error)))  # type: ignore[attr-defined]
    yield page
    context.close()


def shown(page: Page, selector: str) -> int:
    """How many of these can be seen."""
    return page.evaluate("s => [...document.querySelectorAll(s)].filter(x => x.getClientRects().length).length", selector)


def one_notice(page: Page, url: str, theirs: str, asks: bool = True) -> None:
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(400)
    assert shown(page, theirs) == 0
    assert page.evaluate("!!document.querySelector('volens-notice')?.shadowRoot.querySelector('#volens-ask')") is asks


CHOICES = {
    "none": None,
    "accepted": Choice.accept_all(NOTICE, TODAY),
    **{
        f"{p} alone": Choice.from_switches(NOTICE, TODAY, [p], [s.id for s in NOTICE.services if s.purposes == (p,)])
        for p in NOTICE.askable
    },
}


def chosen(page: Page, here: Place, state: str) -> None:
    """As a visitor comes who made that choice before."""
    choice = CHOICES[state]
    if choice is not None:
        held = {COOKIE: choice.text(), RECORD_COOKIE: RecordTag.sign(KEYS, "127.0.0.1", "0" * 26, choice).text()}
        page.context.add_cookies([{"name": name, "value": value, "url": here.url} for name, value in held.items()])


def build(packages: Path, id: str) -> str:
    return (packages / BUILDS[id][0]).read_text("utf-8")


@pytest.mark.parametrize("id", BUILDS)
def test_the_tool_s_own_build_shows_its_notice_where_nothing_withholds_it(id: str, packages: Path, page: Page) -> None:
    """What the tests below look for is there to be seen."""
    folder = (packages / BUILDS[id][0]).parent
    answers = {".js": "text/javascript; charset=utf-8", ".css": "text/css"}

    def answer(route: Any) -> None:
        path = route.request.url.partition("://")[2].partition("/")[2].partition("?")[0]
        if not path:
            starts = BUILDS[id][1]
            order = ("", starts) if id == "orejime" else (starts, "")
            tags = f"<script>{order[1]}</script><script src=/t/{Path(BUILDS[id][0]).name}></script><script>{order[0]}</script>"
            route.fulfill(content_type="text/html", body=f"<!DOCTYPE html><body><h1>x</h1>{tags}")
            return
        file = folder / path.removeprefix("t/")
        if not file.is_file():
            route.fulfill(status=404)
            return
        route.fulfill(content_type=answers.get(file.suffix, "text/plain"), body=file.read_bytes())

    page.route("**/*", answer)
    page.goto("http://bare.example/")
    page.wait_for_selector(BUILDS[id][2], state="attached")
    page.wait_for_function("s => [...document.querySelectorAll(s)].some(x => x.getClientRects().length)", arg=BUILDS[id][2])


@pytest.mark.parametrize("way", ["by path", "renamed", "inline", "by a script", "after everything is granted"])
@pytest.mark.parametrize("id", BUILDS)
def test_a_tool_s_own_build_is_withheld_and_what_calls_it_goes_on(
    id: str, way: str, packages: Path, page: Page, place: Callable[..., Place]
) -> None:
    here = place()
    file, starts, theirs, calls = BUILDS[id]
    here.shop.page("")
    at = f"/consent/{Path(file).name}" if way != "renamed" else "/assets/a1b2c3.js"
    here.shop.files[at] = build(packages, id).encode()
    before, after = (f"<script>{starts}</script>", "") if id == "orejime" else ("", f"<script>{starts}</script>")
    tag = f'<script src="{at}"></script>'
    if way == "inline":
        text = build(packages, id).replace("</script", "<\\/script")
        tag = f"<script>{text}</script>"
    elif way == "by a script":
        tag = f"<script>document.head.append(Object.assign(document.createElement('script'),{{src:'{at}'}}))</script>"
        calls = "0"
    here.shop.page(before + tag + after, f"<script>window.went=0;{calls};window.went=1</script>")
    one_notice(page, here.url, theirs)
    if way == "after everything is granted":
        with page.expect_navigation():
            page.locator("volens-notice").evaluate("e => e.shadowRoot.querySelector('button[value=accept]').click()")
        one_notice(page, here.url, theirs, asks=False)
    assert page.evaluate("window.went") == 1, page.errors  # type: ignore[attr-defined]
    tool = TOOLS.all[id]
    kept = [c["name"] for c in page.context.cookies()] + page.evaluate("Object.keys(localStorage)")
    assert not [name for name in kept if TOOLS.storage(name) is tool or TOOLS.storage(name, "local") is tool]


@pytest.mark.parametrize("id", HOSTED)
def test_a_hosted_tool_is_asked_for_nothing(id: str, page: Page, place: Callable[..., Place]) -> None:
    here = place()
    src, container, calls = HOSTED[id]
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(content_type="text/javascript", body=drawing(container))

    page.route(lambda url: "127.0.0.1" not in url, answer)
    if src.startswith("/"):
        here.shop.files[src] = drawing(container).encode()
    loader = f"<script>var s=document.createElement('script');s.src='{src}';document.head.append(s)</script>" if "://" in src else ""
    here.shop.page(
        f'<link rel=preload as=script href="{src}"><script src="{src}" async></script>{loader}',
        f'<div id="{container}" class="{container}" style="position:fixed">x</div>'
        f"<script>window.went=0;setTimeout(()=>{{{calls};window.went=1}},1000)</script>",
    )
    one_notice(page, here.url, f'[id="{container}"],[class="{container}"]')
    page.wait_for_function("window.went")
    assert asked == [] and page.errors == []  # type: ignore[attr-defined]


def test_a_bundle_that_holds_a_tool_runs_and_the_tool_stays_unseen(packages: Path, page: Page, place: Callable[..., Place]) -> None:
    """c15t comes as a library: a site bundles it with its own code, which must go on."""
    here = place()
    entry = (
        "import {getOrCreateConsentRuntime} from 'c15t';try{getOrCreateConsentRuntime({mode:'offline'})}catch(e){};"
        "const d=document.createElement('div');d.dataset.testid='consent-banner-root';d.textContent='Accept cookies?';"
        "addEventListener('load',()=>document.body.append(d));globalThis.went=1;"
    )
    done = subprocess.run(
        [str(packages / ".bin" / "esbuild"), "--bundle", "--format=iife", "--minify", "--log-level=error"],
        input=entry, capture_output=True, text=True, check=False, cwd=packages.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    here.shop.files["/app.js"] = done.stdout.encode()
    here.shop.page('<script src="/app.js"></script>')
    one_notice(page, here.url, "[data-testid=consent-banner-root]")
    assert page.evaluate("window.went") == 1
    assert page.evaluate("document.querySelectorAll('[data-testid=consent-banner-root]').length") == 1, "it was made, and is not seen"


@pytest.mark.parametrize("state", ["none", "accepted", "video alone"])
@pytest.mark.parametrize(
    "src",
    [
        "https://cdn.jsdelivr.net/npm/vanilla-cookieconsent@3.1.0/dist/cookieconsent.umd.js",
        "https://unpkg.com/klaro@0.7/dist/klaro.js",
        "https://cdnjs.cloudflare.com/ajax/libs/tarteaucitronjs/1.9.9/tarteaucitron.min.js?x=1",
        "https://cdn.jsdelivr.net/npm/orejime",
        "https://acme.delivery.consentmanager.net/delivery/customdata/x.js",
        "https://web.eu1.cookiebot.eu/uc.js",
    ],
)
def test_a_script_that_loads_a_tool_from_elsewhere_loads_nothing(src: str, state: str, page: Page, place: Callable[..., Place]) -> None:
    """As a tag manager does: no tag in the markup names it. SITE's advertising is a chain, so accepted is open to any host."""
    here = place()
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(content_type="text/javascript", body="" if route.request.url == library else drawing("cc-main"))

    page.route(lambda url: "127.0.0.1" not in url, answer)
    apart = src.replace(".", "'+'.")
    made = f"document.createElement('script'),{{src:'{apart}',onload:()=>window.went=1,onerror:()=>window.went=1}}"
    library = f"https://{src.split('/')[2]}/library.js"
    here.shop.page(f"<script src='{library}'></script><script>document.head.append(Object.assign({made}))</script>")
    chosen(page, here, state)
    one_notice(page, here.url, "#cc-main", asks=state == "none")
    page.wait_for_function("window.went")
    assert [url for url in asked if url != library] == []
