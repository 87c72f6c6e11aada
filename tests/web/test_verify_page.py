"""The page that checks a receipt in the browser: judges like the command, sends nothing, and is for everybody."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page

from tests.web.making import gateway, send
from volens.cli import main
from volens.ledger.verify import MEANS, Trust, check, read_key
from volens.verify import page as written

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "ledger-vectors.json").read_text("utf-8"))
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
RUN = """async () => (await axe.run(document, {resultTypes: ['violations'], preload: false})).violations
    .map(v => v.id + ': ' + v.nodes[0].target + ' ' + v.nodes[0].failureSummary)"""
LANGUAGES = ["fr", "en", "de", "es", "it", "pt", "nl", "pl", "ar"]
TOLD = """() => {
    const box = document.querySelector('[data-state]');
    const codes = part => [...new Set([...box.querySelectorAll(`[data-part=${part}] [data-code]`)].map(one => one.dataset.code))].sort();
    return {state: box.dataset.state, faults: codes('faults'), gaps: codes('gaps'), caveats: codes('caveats')} }"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as `volens verify --page` gives it."""
    path = tmp_path_factory.mktemp("page") / "verify.html"
    path.write_text(written(), "utf-8")
    return path


@pytest.fixture
def page(chromium: Browser, file: Path) -> Iterator[Page]:
    """Opened from a file, on a phone; nothing may be asked of anybody, nor go wrong."""
    context = chromium.new_context(viewport={"width": 360, "height": 740}, locale="en-GB", reduced_motion="reduce")
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.on("console", lambda message: asked.append(message.text))
    page.goto(file.as_uri())
    yield page
    assert asked == [file.as_uri()]
    context.close()


def give(page: Page, document: str, keys: list[str], witnesses: list[str]) -> dict[str, Any]:
    """Put a file and keys in, and read what is told."""
    page.locator("#keys").fill("\n".join(keys))
    page.locator("#witnesses").fill("\n".join(witnesses))
    page.evaluate("document.querySelector('[role=status]').replaceChildren()")
    page.locator("#file").set_input_files({"name": "document", "mimeType": "application/json", "buffer": document.encode()})
    page.locator("[data-state]").wait_for()
    return dict(page.evaluate(TOLD))


def test_every_vector_is_judged_as_by_the_command(page: Page) -> None:
    different = {}
    for case in VECTORS["documents"]:
        told = give(page, case["document"], case["keys"], case["witnesses"])
        state = "wrong" if case["faults"] else "unchecked" if case["gaps"] else "holds"
        if told != {"state": state, **{part: case[part] for part in ("faults", "gaps", "caveats")}}:
            different[case["name"]] = (told, case["faults"], case["gaps"], case["caveats"])
    assert not different
    assert len(VECTORS["documents"]) >= 100


def test_every_spoilt_receipt_is_judged_as_by_the_command(page: Page) -> None:
    """Each field of a receipt replaced by each of some values: both say the same codes."""
    case = VECTORS["documents"][0]
    good, trust = json.loads(case["document"]), Trust.of([read_key(key) for key in case["keys"]])
    values: list[Any] = [
        None,
        True,
        0,
        -1,
        "",
        "x",
        [],
        {},
        [[]],
        "2026-11-22T24:00Z",
        "2026-02-30T10:00Z",
        2**53,
        "A" * 43 + "=",
        "\ufeff",
        "\u2028",
    ]
    spoilt = []
    for part in (good, good["record"], good["entry"]):
        for name in list(part):
            kept = part[name]
            for value in values:
                part[name] = value
                spoilt.append(json.dumps(good, ensure_ascii=False))
            del part[name]
            spoilt.append(json.dumps(good))
            part[name] = kept
    different = []
    for document in spoilt:
        verdict = check(document.encode(), trust).verdict
        told = give(page, document, case["keys"], [])
        mine = {part: sorted({one.code for one in getattr(verdict, part)}) for part in ("faults", "gaps", "caveats")}
        if {part: told[part] for part in mine} != mine:
            different.append((document, told, mine))
    assert not different, different[0]
    assert len(spoilt) > 400


def test_what_holds_is_told_with_what_it_says(page: Page) -> None:
    case = next(case for case in VECTORS["documents"] if case["name"] == "bundle")
    give(page, case["document"], case["keys"], case["witnesses"])
    text = page.locator(".result").inner_text()
    for part in ("Everything fits", "www.example.org", "2026-11-22T10:23:09Z", "given", "video", "witness.example.net/w1", "5 / 21"):
        assert part in text, text


def test_it_speaks_the_language_it_is_asked_for_else_the_browser_s(page: Page, chromium: Browser, file: Path) -> None:
    assert page.locator("h1").inner_text() == "Check a receipt"
    context = chromium.new_context(locale="pt-BR")
    other = context.new_page()
    for address, code in ((file.as_uri(), "pt"), (f"{file.as_uri()}?language=fr", "fr"), (f"{file.as_uri()}?language=xx", "pt")):
        other.goto(address)
        assert other.evaluate("document.documentElement.lang") == code == other.locator("#language").input_value()
    context.close()


def test_a_key_that_is_none_is_said_and_a_file_may_be_dropped(page: Page) -> None:
    case = VECTORS["documents"][0]
    page.locator("#keys").fill(case["keys"][0][:-3])
    page.locator("[data-state=badKeys]").wait_for()
    page.locator("#keys").fill(case["keys"][0])
    page.evaluate(
        """text => { const data = new DataTransfer(); data.items.add(new File([text], 'dropped.json'));
            document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})) }""",
        case["document"],
    )
    page.locator("[data-state=holds]").wait_for()
    assert "dropped.json" in page.locator(".result").inner_text()


def test_it_works_by_keyboard_alone(page: Page) -> None:
    stops = []
    for _ in range(4):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.id"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert stops == ["language", "file", "keys", "witnesses"]
    page.locator("#file").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files({"name": "r.json", "mimeType": "application/json", "buffer": VECTORS["documents"][0]["document"].encode()})
    page.locator("#keys").focus()
    page.keyboard.insert_text(VECTORS["documents"][0]["keys"][0])
    page.locator("[data-state=holds]").wait_for()


@pytest.mark.parametrize("width", [320, 1280])
def test_it_is_accessible_in_every_language_and_fits(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    cdp = page.context.new_cdp_session(page)
    cdp.send("Runtime.evaluate", {"expression": AXE})  # the page's own policy lets no other script in
    cases = {case["name"]: case for case in VECTORS["documents"]}
    seen = set()
    for code in LANGUAGES:
        page.locator("#language").select_option(code)
        for name in (
            "bundle",
            "everything missing",
            "receipt and no key",
        ):
            case = cases[name]
            give(page, case["document"], case["keys"], case["witnesses"])
            assert page.evaluate(RUN) == [], (code, name)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (code, name)
        seen.add(page.title())
        assert page.evaluate("document.documentElement.dir") == ("rtl" if code == "ar" else "ltr")
    assert len(seen) == len(LANGUAGES)


def test_every_code_that_it_may_find_has_words_in_every_language() -> None:
    source = Path(__file__).parents[2] / "browser" / "verify"
    proof, texts = (source / "proof.ts").read_text("utf-8"), (source / "texts.ts").read_text("utf-8")
    named = re.search(r"const CODES = \[(.*?)\]", texts, re.S)
    assert named
    codes = re.findall(r'"([\w-]+)"', named[1])
    used = set(re.findall(r'(?:fault|gap|caveat)\("([\w-]+)"', proof)) | {"notice", "site"}
    assert used == set(codes) and used <= MEANS.keys()
    assert re.findall(r'^  language\("(\w+)"', texts, re.M) == LANGUAGES


def test_the_page_forbids_every_connection_and_allows_its_own_script_by_hash() -> None:
    text = written()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy and "default-src 'none'" in policy[1] and "connect-src 'none'" in policy[1] and "unsafe" not in policy[1]
    assert not re.search(r"(?:src|href)=|https?://|fetch\(|XMLHttpRequest|sendBeacon|WebSocket|import\(", text)
    assert base64.b64decode(re.findall(r"'sha256-([^']+)'", policy[1])[0])


def test_a_site_serves_the_same_page_under_a_policy_that_lets_it_ask_nobody(tmp_path: Path) -> None:
    made = gateway(tmp_path)
    reply = send(made, "GET", "/_volens/verify")
    pairs = dict(reply.pairs)
    assert reply.status == 200 and reply.body.decode() == written()
    assert pairs[b"content-type"] == b"text/html; charset=utf-8" and b"set-cookie" not in pairs
    policy = pairs[b"content-security-policy"].decode()
    assert (
        policy.startswith("default-src 'none'; script-src 'sha256-")
        and "connect-src 'none'" in policy
        and "frame-ancestors 'none'" in policy
    )
    assert send(made, "POST", "/_volens/verify").status == 405
    made.store.close()


def test_the_command_writes_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--page"]) == 0
    assert capsys.readouterr().out == written()
