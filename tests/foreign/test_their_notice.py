"""``notice = "theirs"``: their tool asks, and only what the map names is granted, recorded as what that tool said."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route

from tests.enforce.making import NOW, SITE, TRACKERS
from tests.foreign.conftest import Place, reading
from tests.foreign.test_withheld import chosen, page, shown
from tests.running import until
from tests.web.making import SAME, Visitor, gateway
from volens.foreign import Theirs, Tools
from volens.web.gateway import Gateway

__all__ = ["page"]
TOOLS = Tools.packaged().all
MAPS = {"youtube": ("video",), "facebook": ("reseaux-sociaux",), "xandr": ("publicite",), "adform": ("publicite",)}
TAC = Theirs(TOOLS["tarteaucitron"], MAPS)


def theirs(id: str, **map: str) -> Theirs:
    return Theirs(TOOLS[id], {word: tuple(ids.split()) for word, ids in map.items()})


DIDOMI = "eyJwdXJwb3NlcyI6eyJlbmFibGVkIjpbImEiXSwiZGlzYWJsZWQiOlsiYiJdfSwidmVuZG9ycyI6eyJlbmFibGVkIjpbImMiXSwiZGlzYWJsZWQiOltdfX0="

UC = '{"services":[{"id":"a","status":true},{"id":"b","status":false}]}'


@pytest.mark.parametrize(
    ("id", "held", "granted"),
    [
        ("tarteaucitron", {"cookie tarteaucitron": "!a=true!b=false!c=true"}, {"a", "c"}),
        ("tarteaucitron", {"cookie tarteaucitron": "!a=wait!b=wait"}, None),
        ("tarteaucitron", {"cookie tarteaucitron": "!a=true!a=false"}, None),
        ("orejime", {"cookie orejime": '{"a":true,"b":false,"c":true}'}, {"a", "c"}),
        ("orejime", {"cookie eu-consent": "%7B%22a%22%3Atrue%7D"}, {"a"}),
        ("klaro", {"cookie klaro": "%7B%22a%22%3Atrue%2C%22b%22%3Afalse%7D"}, {"a"}),
        ("klaro", {"local klaro": '{"a":true,"a":false}'}, None),
        ("cookieconsent", {"cookie cc_cookie": '{"categories":["necessary","a"],"services":{"x":["c"]}}'}, {"a", "c"}),
        ("cookieconsent", {"cookie cc_cookie": '{"revision":0}'}, None),
        ("c15t", {"local c15t": '{"consents":{"a":true,"b":false},"consentInfo":{"time":1}}'}, {"a"}),
        ("complianz", {"cookie cmplz_a": "allow", "cookie cmplz_b": "deny", "cookie cmplz_banner-status": "dismissed"}, {"a"}),
        ("complianz", {"cookie cmplz_a": "allow"}, None),
        ("cookieyes", {"cookie cookieyes-consent": "consentid:x,consent:yes,action:yes,necessary:yes,a:yes,b:no"}, {"a"}),
        ("cookieyes", {"cookie cookieyes-consent": "consentid:x,consent:,action:,a:yes"}, None),
        ("axeptio", {"cookie axeptio_cookies": '{"$$token":"t","a":true,"b":false,"$$completed":true}'}, {"a"}),
        ("axeptio", {"cookie axeptio_cookies": '{"a":true,"$$completed":false}'}, None),
        ("didomi", {"cookie didomi_token": DIDOMI}, {"a", "c"}),
        ("onetrust", {"cookie OptanonConsent": "x=1&groups=a%3A1%2Cb%3A0", "cookie OptanonAlertBoxClosed": "2026-11-22"}, {"a"}),
        ("onetrust", {"cookie OptanonConsent": "x=1&groups=a%3A1%2Cb%3A0"}, None),
        ("cookiebot", {"cookie CookieConsent": "{stamp:%27x%27%2Ca:true%2Cb:false%2Cmethod:%27explicit%27%2Cver:1}"}, {"a"}),
        ("cookiebot", {"cookie CookieConsent": "{stamp:%27x%27%2Ca:true%2Cmethod:%27implied%27}"}, None),
        ("cookiebot", {"cookie CookieConsent": "-1"}, None),
        ("usercentrics", {"local uc_settings": UC, "local uc_user_interaction": "true"}, {"a"}),
        ("usercentrics", {"local uc_settings": '{"services":[{"id":"a","status":true}]}'}, None),
        ("consentmanager", {"asked": '{"a":true,"b":false,"c":"yes"}'}, {"a"}),
        ("klaro", {"cookie klaro": "not json"}, None),
        ("klaro", {"cookie klaro": '{"a":' * 3000}, None),
        ("klaro", {}, None),
    ],
)  # fmt: skip
def test_a_choice_is_read_as_the_tool_wrote_it_and_doubt_is_no_choice(id: str, held: dict[str, str], granted: set[str] | None) -> None:
    map = {word: (f"for-{word}",) for word in "abc"}
    found = Theirs(TOOLS[id], map).granted(held)
    assert found == (None if granted is None else {f"for-{word}" for word in granted})


def test_osano_s_one_word_stands_for_everything_and_dismissing_is_no_yes() -> None:
    osano = theirs("osano", all="video")
    assert osano.granted({"cookie cookieconsent_status": "allow"}) == {"video"}
    assert osano.granted({"cookie cookieconsent_status": "deny"}) == frozenset()
    assert osano.granted({"cookie cookieconsent_status": "dismiss"}) is None


def test_what_several_words_grant_needs_a_yes_to_each() -> None:
    assert TAC.granted({"cookie tarteaucitron": "!youtube=true!xandr=true!adform=false"}) == {"video"}
    assert TAC.granted({"cookie tarteaucitron": "!xandr=true!adform=true"}) == {"publicite"}
    joined = Theirs(TOOLS["sourcepoint"], {"purpose.1+2": ("publicite",)})
    assert joined.granted({"asked": '{"purpose.1":true,"purpose.2":true}'}) == {"publicite"}
    assert joined.granted({"asked": '{"purpose.1":true,"purpose.12":true}'}) == frozenset()


# The server.


@pytest.fixture
def made(tmp_path: Path) -> Gateway:
    return gateway(tmp_path, site=reading(SITE, TAC))


def tell(visitor: Visitor, kept: str, *, answer: str = "foreign", pairs: list[tuple[bytes, bytes]] = SAME, **more: str) -> int:
    """As ``browser/theirs.ts`` does, with the tool's cookie as the browser would send it."""
    visitor.jar.pop("tarteaucitron", None)
    if kept:
        visitor.jar["tarteaucitron"] = kept
    fields = {
        "answer": answer,
        "notice": visitor.gateway.named(visitor.gateway._site),
        "tool": "tarteaucitron",
        "version": "1.34.0",
        "held": "",
    } | more  # type: ignore[union-attr]
    body = json.dumps(fields).encode()
    return visitor.send("POST", "/_volens/choice", [(b"content-type", b"application/json"), *pairs], body).status


def recorded(visitor: Visitor) -> str:
    return visitor.jar["__Host-volens-record"].split(".")[1]


def test_their_choice_is_a_record_that_says_whose_it_is(made: Gateway) -> None:
    visitor = Visitor(made)
    assert tell(visitor, "!youtube=true!facebook=false") == 201
    assert visitor.granted() == {"video"}
    record = made.store.record(recorded(visitor))
    assert record is not None
    assert (record.method, record.surface, record.tool, record.event) == ("foreign", "foreign", "tarteaucitron 1.34.0", "given")
    assert dict(record.purposes) == {p: p == "video" for p in made._site.notice.askable}  # type: ignore[union-attr]


def test_a_cookie_of_theirs_alone_grants_nothing_and_neither_does_one_of_ours(made: Gateway) -> None:
    visitor = Visitor(made)
    visitor.jar["tarteaucitron"] = "!youtube=true"
    assert visitor.granted() == set(), "no record stands behind it"
    assert tell(visitor, "!youtube=true") == 201
    del visitor.jar["__Host-volens-record"]
    assert visitor.granted() == set()


def test_what_they_take_back_is_refused_before_anybody_tells_us(made: Gateway) -> None:
    visitor = Visitor(made)
    tell(visitor, "!youtube=true!facebook=true")
    assert visitor.granted() == {"video", "reseaux-sociaux"}
    for kept in ("!youtube=true!facebook=false", "", "!youtube=wait", "rubbish"):
        visitor.jar["tarteaucitron"] = kept
        assert visitor.granted() == set(), kept


def test_what_they_take_back_plays_in_no_frame_of_ours(made: Gateway) -> None:
    visitor = Visitor(made)
    tell(visitor, "!youtube=true")
    frame = "/_volens/embed/frame?u=https%3A%2F%2Fvideo.example%2Fembed%2F1"
    played = b'<iframe src="https://video.example/embed/1"'
    assert played in visitor.send("GET", frame).body
    visitor.jar["tarteaucitron"] = "!youtube=false"
    assert played not in visitor.send("GET", frame).body


def test_withdrawing_there_withdraws_here_and_expires_what_lived_by_it(made: Gateway) -> None:
    visitor = Visitor(made)
    tell(visitor, "!youtube=true")
    first = recorded(visitor)
    visitor.jar["vt_id"] = "1"
    assert tell(visitor, "!youtube=false") == 201
    assert "__Host-volens-record" not in visitor.jar and "vt_id" not in visitor.jar and visitor.granted() == set()
    for _ in range(100):  # the record of a withdrawal follows what it says
        totals = made.store.totals(made._site.name, NOW.date(), NOW.date())  # type: ignore[union-attr]
        if {total["event"] for total in totals} >= {"given", "withdrawn"}:
            break
        time.sleep(0.05)
    else:
        pytest.fail(f"{first} was not followed by a withdrawal")


@pytest.mark.parametrize(
    ("pairs", "more", "status"),
    [
        ([(b"sec-fetch-site", b"same-site")], {}, 403),
        ([(b"sec-fetch-site", b"cross-site")], {}, 403),
        ([], {}, 403),
        (SAME, {"tool": "klaro"}, 400),
        (SAME, {"answer": "accept"}, 400),
        (SAME, {"answer": "switches"}, 400),
        (SAME, {"notice": "0" * 16}, 409),
        (SAME, {"version": "<script>"}, 201),
    ],
)
def test_only_the_site_s_own_page_tells_and_only_what_the_tool_said(
    made: Gateway, pairs: list[tuple[bytes, bytes]], more: dict[str, str], status: int
) -> None:
    visitor = Visitor(made)
    assert tell(visitor, "!youtube=true", pairs=pairs, **more) == status
    assert visitor.granted() == ({"video"} if status == 201 else set())


def test_what_the_body_says_of_a_cookie_counts_for_nothing(made: Gateway) -> None:
    visitor = Visitor(made)
    assert tell(visitor, "", held=json.dumps({"cookie tarteaucitron": "!youtube=true", "asked": '{"youtube":true}'})) == 422
    assert visitor.granted() == set()


def test_where_volens_asks_a_foreign_answer_is_none(tmp_path: Path) -> None:
    visitor = Visitor(gateway(tmp_path))
    assert tell(visitor, "!youtube=true") == 400


def test_the_panel_leads_to_the_policy_and_a_gate_to_their_tool(made: Gateway) -> None:
    visitor = Visitor(made)
    panel = visitor.send("GET", "/_volens/panel")
    assert panel.status == 303 and b"/_volens/policy" in dict(panel.pairs)[b"location"]
    text = visitor.send("GET", "/_volens/policy?language=fr").body.decode()
    assert 'id="theirs"' in text and "tarteaucitron.js" in text and "<code>youtube</code>" in text
    refused = visitor.send("POST", "/comments")
    assert refused.status == 403 and b"tarteaucitron.js" in refused.body and b'value="accept"' not in refused.body


# In a browser, with the tool's own build.


@pytest.mark.parametrize(
    ("kept", "state", "reached"),
    [
        ("!youtube=true!facebook=false", "video alone", {"video.example"}),
        ("!youtube=false!facebook=true", "reseaux-sociaux alone", {"reseau.example"}),
        ("!xandr=true!adform=true", "publicite alone", set()),
        ("!youtube=true!facebook=false", "accepted", {"video.example"}),
    ],
)
def test_their_grant_for_one_purpose_lets_nothing_else_out(
    kept: str, state: str, reached: set[str], page: Page, place: Callable[..., Place]
) -> None:
    """Advertising may load from anywhere only with every purpose it may serve; a choice of ours that they do not hold is none."""
    here = place(TAC)
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(urlsplit(route.request.url).hostname or "")
        route.fulfill(content_type="text/javascript", body="")

    page.route(lambda url: "127.0.0.1" not in url, answer)
    elsewhere = ("video.example/a.js", "reseau.example/a.js", "regie.example/a.js", *(f"{host}/a.js" for host in TRACKERS))
    tools = ("consent.cookiebot.com/uc.js", "unpkg.com/klaro@0.7/dist/klaro.js")
    tags = "".join(f"<script src='https://{at}'></script>" for at in (*elsewhere, *tools))
    made = "".join(f"document.head.append(Object.assign(document.createElement('script'),{{src:'https://{at}?2'}}));" for at in elsewhere)
    here.shop.page(f"{tags}<script>{made}</script>")
    chosen(page, here, state)
    page.context.add_cookies([{"name": "tarteaucitron", "value": kept, "url": here.url}])
    page.goto(here.url, wait_until="networkidle")
    assert set(asked) == reached and page.locator("volens-notice").count() == 0


def test_their_notice_is_the_only_one_and_its_answers_hold_here(packages: Path, page: Page, place: Callable[..., Place]) -> None:
    here = place(replace(TAC, map={"youtube": ("video",)}))
    folder = packages / "tarteaucitronjs"
    for file in folder.rglob("*"):
        if file.suffix in (".js", ".css"):
            here.shop.files[f"/tac/{file.relative_to(folder)}"] = file.read_bytes()
    start = (
        "tarteaucitron.init({hashtag:'#t',cookieName:'tarteaucitron',orientation:'middle',showIcon:true,highPrivacy:true,AcceptAllCta:true,"
        "DenyAllCta:true,useExternalCss:false,serviceDefaultState:'wait'});(tarteaucitron.job=tarteaucitron.job||[]).push('youtube')"
    )
    frame = '<div class="youtube_player" videoID="x" width="320" height="180"></div>'
    here.shop.page(f'<script src="/tac/tarteaucitron.js"></script><script>{start}</script>', frame)
    loads: list[str] = []
    page.on("load", lambda: loads.append(page.url))

    def answers(all: bool, times: int) -> dict[str, str]:
        """What its button calls, after this answer is given; the cookies once the page was loaded so often, and no more than that."""
        page.evaluate(f"setTimeout(() => tarteaucitron.userInterface.respondAll({str(all).lower()}))")
        assert until(lambda: page.wait_for_timeout(100) or len(loads) >= times), loads
        page.wait_for_timeout(1500)
        assert len(loads) == times, "the page is made again once"
        return {c["name"]: c["value"] for c in page.context.cookies()}

    page.goto(here.url)
    page.wait_for_selector("#tarteaucitronPersonalize2")
    page.wait_for_timeout(500)
    assert shown(page, "#tarteaucitronAlertBig") == 1 and page.locator("volens-notice").count() == 0

    held = answers(True, 2)
    assert "video" in page.evaluate("document.cookie")
    record = here.gateway.store.record(held["volens-record"].split(".")[1])
    assert record is not None and record.tool.startswith("tarteaucitron") and record.purposes["video"]

    page.context.add_cookies([{"name": "vt_id", "value": "1", "url": here.url}])
    held = answers(False, 3)
    assert "volens-record" not in held and "vt_id" not in held and "tarteaucitron" in held
