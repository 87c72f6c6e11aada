"""What a visitor feels on a slow phone: the demonstration in Chromium, 360×740, processor four times slower, slow network.

    python benchmarks/feel.py [--rounds 5] [--out FILE]

Refusing: one tap, from the tap to the first frame without the notice, no reload, what was typed is kept. An embed: one press to
a frame that plays, and how far the page moves. The room that notice and band take. The first visit: requests begun before the
first paint, the paint itself and the processor time of scripts, with Volens and without (the same article, its baseline).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import bench
from peers import ARTICLE

SLOW = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
WATCH = """() => { const far = window.__far = {cls: 0, pressed: 0, gone: 0, moved: 0};
  new PerformanceObserver(list => { for (const e of list.getEntries()) {
      far.cls += e.hadRecentInput ? 0 : e.value; far.moved += e.value } })
    .observe({type: 'layout-shift', buffered: true});
  window.__ask = () => document.querySelector('volens-notice')?.shadowRoot?.querySelector('#volens-ask');
  addEventListener('pointerdown', e => { far.pressed ||= e.timeStamp;
    const look = now => { const box = __ask()?.getBoundingClientRect();
      if (box && box.height) requestAnimationFrame(look); else far.gone = now };
    requestAnimationFrame(look) }, true) }"""
ROOM = """() => { const share = e => { if (!e) return 0; const r = e.getBoundingClientRect();
    return Math.max(0, Math.min(r.bottom, innerHeight) - Math.max(r.top, 0))
      * Math.max(0, Math.min(r.right, innerWidth) - Math.max(r.left, 0))
      / innerWidth / innerHeight * 100 };
  const root = document.querySelector('volens-notice').shadowRoot, head = document.querySelector('h1').getBoundingClientRect();
  const ask = root.querySelector('#volens-ask'), top = ask ? ask.getBoundingClientRect().top : innerHeight;
  const band = root.querySelector('#volens-band');
  const over = band.getBoundingClientRect();
  return {notice: share(ask), band: share(band),
    headline: head.top >= 0 && head.bottom <= Math.min(top, over.left < head.right ? over.top : innerHeight),
    sideways: document.documentElement.scrollWidth > innerWidth, buttons: [...(ask?.querySelectorAll('#y button') || [])].map(b =>
      [Math.round(b.getBoundingClientRect().width), Math.round(b.getBoundingClientRect().height)])} }"""
PAINT = """() => { const first = performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0;
  return {paint: first,
    before: performance.getEntriesByType('resource').filter(e => e.startTime < first).map(e => new URL(e.name).pathname)} }"""


class Visits:
    """Fresh visitors on the slow phone."""

    def __init__(self, browser: Any, base: str) -> None:
        self.browser, self.base = browser, base

    def open(self, path: str = ARTICLE, *, slow: bool = True) -> Any:
        context = self.browser.new_context(
            viewport={"width": 360, "height": 740}, device_scale_factor=2, has_touch=True, is_mobile=True, locale="fr-FR"
        )
        context.set_default_timeout(30000)
        context.add_init_script(f"({WATCH})()")
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.session = session
        if slow:
            session.send("Network.enable")
            session.send("Network.emulateNetworkConditions", SLOW)
            session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        page.goto(self.base + path, wait_until="load")
        page.wait_for_timeout(700)
        return page

    def first(self, path: str) -> dict[str, Any]:
        """A first visit. Processor time is the page's main thread's own, on this machine, not slowed."""
        page = self.open(path)
        told = dict(page.evaluate(PAINT))
        told["cls"] = page.evaluate("__far.cls")
        page.context.close()
        page = self.open(path, slow=False)
        metrics = {m["name"]: m["value"] * 1000 for m in page.session.send("Performance.getMetrics")["metrics"]}
        told |= {"script_ms": metrics["ScriptDuration"], "task_ms": metrics["TaskDuration"]}
        page.context.close()
        return told

    def refuse(self) -> dict[str, Any]:
        page = self.open()
        room = dict(page.evaluate(ROOM))
        text = "Un mot écrit avant de répondre."
        page.evaluate("text => { document.querySelector('#texte').value = text; window.__same = true; scrollTo(0, 0) }", text)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.partition(self.base)[2]))
        page.locator("#volens-ask button[value=refuse]").tap()
        page.wait_for_function("__far.gone > 0")
        far = dict(page.evaluate("__far"))
        page.wait_for_timeout(2500)
        told = {
            "ms": far["gone"] - far["pressed"],
            "kept": page.evaluate("document.querySelector('#texte').value") == text,
            "reloaded": not page.evaluate("window.__same === true"),
            "answered": any(cookie["name"] == "volens" for cookie in page.context.cookies()),
            "requests": [path for path in asked if "/_volens/" in path],
            "room": room,
            "band_after": page.evaluate(ROOM)["band"],
        }
        page.context.close()
        return told

    def embed(self) -> dict[str, Any]:
        """The video's placeholder, after a refusal: one press to a film that runs."""
        page = self.open()
        page.locator("#volens-ask button[value=refuse]").tap()
        page.wait_for_function("__far.gone > 0")
        page.wait_for_timeout(1500)
        frame = page.locator(".video iframe")
        frame.scroll_into_view_if_needed()
        page.wait_for_timeout(1200)
        before, moved = frame.bounding_box(), page.evaluate("__far.moved")
        reloads: list[str] = []
        page.on("framenavigated", lambda f: reloads.append(f.url) if f is page.main_frame else None)
        button = page.frame_locator(".video iframe").get_by_role("button").first
        name = button.inner_text()
        begun = page.evaluate("performance.timeOrigin + performance.now()")
        button.tap()
        player = page.frame_locator(".video iframe").frame_locator("iframe").locator("canvas")
        player.wait_for(state="visible")
        shown = page.evaluate("performance.timeOrigin + performance.now()")
        after = frame.bounding_box()
        told = {
            "pressed": name,
            "ms_to_frame": shown - begun,
            "shift_px": max(abs(after[key] - before[key]) for key in ("x", "y", "width", "height")) if before and after else None,
            "shift": page.evaluate("__far.moved") - moved,
            "page_reloaded": bool(reloads),
        }
        page.context.close()
        return told


def middle(values: list[float]) -> float:
    return round(statistics.median(values), 1)


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = bench.parser(__doc__, "feel")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder, port = Path(temporary), bench.free_port()
        config = folder / "volens.toml"
        config.write_bytes((bench.ROOT / "demo" / "volens.toml").read_bytes())
        command = [sys.executable, str(Path(__file__).parent / "peers.py"), "--serve", str(port), str(config)]
        with bench.running(command, port, folder / "demo.log"):
            browser = playwright.chromium.launch(executable_path=bench.chromium(), args=list(bench.CHROMIUM_ARGUMENTS))
            visits = Visits(browser, f"http://courrier.localhost:{port}")
            refusals, embeds, firsts, bares = [], [], [], []
            for _ in range(options.rounds):
                firsts.append(visits.first(ARTICLE))
                bares.append(visits.first("/baseline" + ARTICLE))
                refusals.append(visits.refuse())
                embeds.append(visits.embed())
            browser.close()
    room = refusals[-1]["room"]
    figures = {
        "refuse_ms": middle([r["ms"] for r in refusals]),
        "refuse_ms_worst": round(max(r["ms"] for r in refusals), 1),
        "refuse_reloads": any(r["reloaded"] for r in refusals),
        "typed_text_kept": all(r["kept"] for r in refusals),
        "refusal_answered": all(r["answered"] for r in refusals),
        "embed_presses": 1,
        "embed_pressed": embeds[-1]["pressed"],
        "embed_ms": middle([e["ms_to_frame"] for e in embeds]),
        "embed_shift_px": max(e["shift_px"] for e in embeds),
        "embed_layout_shift": round(max(e["shift"] for e in embeds), 4),
        "embed_page_reloaded": any(e["page_reloaded"] for e in embeds),
        "notice_percent": round(room["notice"], 1),
        "band_percent": round(room["band"], 1),
        "headline_visible": room["headline"],
        "sideways_scroll": room["sideways"],
        "button_sizes": room["buttons"],
        "first_paint_ms": middle([f["paint"] for f in firsts]),
        "first_paint_ms_without": middle([f["paint"] for f in bares]),
        "requests_before_paint": sorted({p for f in firsts for p in f["before"] if p.startswith("/_volens/")}),
        "cls": max(f["cls"] for f in firsts),
        "cls_without": max(f["cls"] for f in bares),
        "script_ms": middle([f["script_ms"] for f in firsts]),
        "script_ms_without": middle([f["script_ms"] for f in bares]),
        "task_ms": middle([f["task_ms"] for f in firsts]),
        "task_ms_without": middle([f["task_ms"] for f in bares]),
    }
    print(bench.table([["figure", "value"], *map(list, figures.items())]))
    raw = {"refuse": refusals, "embed": embeds, "first": firsts, "without": bares}
    bench.write(
        options.out, {"format": "volens-benchmark-feel/1", **bench.facts(browser=True), "rounds": options.rounds, "figures": figures, **raw}
    )


if __name__ == "__main__":
    main()
