"""The weight of asking: the demonstration beside seven browser-side consent managers, measured by the same harness in the same run.

    python benchmarks/peers.py [--only orejime,klaro] [--loads 10] [--skip-slow] [--work DIR] [--out FILE]

The harness (``../shared/peers``) is copied to ``--work``, where it installs its pinned packages. It runs four times. On its own
article, the one the peers stand in, with the vendors' snippets as their instructions give them, behind ``volens proxy`` and nothing
tagged (bytes, requests, script, look); its baseline is that article without any. On the demonstration's article, with embeds, comments
and everything else of ours on (the same, in a row of its own; keys, strict policy), whose baseline is the article without third parties,
with the demonstration's counter. Again for axe, which must be given the element that holds our shadow root. And on the demonstration's
article with the vendors' snippets (leaks, without JavaScript, withdrawal, signal); there the notice names the snippets' services too, so
that accepting really runs them and withdrawing has something to clear.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mimetypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bench
import brotli
from aiohttp import web

ARTICLE = "/article/pont-vieux"
SAME, SHOWN, AXE, ACTS = "perf,script,look,mobile", "perf,script,keys,look,mobile,csp", "axe", "nojs,leak,withdraw,gpc"
CONTROLLER = """
names = ["candidate.journal.test"]
leave = ["/bare", "/a/"]
[controller]
name = "Le Journal"
contact = "donnees@journal.test"
policy = "/confidentialite"
country = "FR"
"""
EXPORT = """
import https from 'node:https'; import fs from 'node:fs';
import { startSite, article, SITE } from './lib/site.mjs'; import { trackersRaw } from './lib/peers.mjs';
const out = process.argv[1], site = await startSite({ key: fs.readFileSync('build/key.pem'), cert: fs.readFileSync('build/cert.pem') });
const from = { host: '127.0.0.1', port: site.port, headers: { host: SITE }, rejectUnauthorized: false };
const get = (path) => new Promise((done) => https.get({ ...from, path }, (r) => {
  const all = []; r.on('data', (c) => all.push(c)).on('end', () => done(Buffer.concat(all))); }));
fs.mkdirSync(out + '/a');
for (const name of ['site.css', 'halle.png']) fs.writeFileSync(out + '/a/' + name, await get('/a/' + name));
const bare = { video: '<p>Vidéo</p>', comments: '<div id="disqus_thread"></div>' };
fs.writeFileSync(out + '/bare.html', article(bare)); fs.writeFileSync(out + '/article.html', article(trackersRaw()));
process.exit();
"""
SELECTORS = {
    "banner": "#volens-ask",
    "accept": "#volens-ask button[value=accept]",
    "refuse": "#volens-ask button[value=refuse]",
    "settings": "#volens-ask button[value=settings]",
    "panel": "#volens-panel",
    "panelRefuse": "#volens-panel button[value=refuse]",
}
CANDIDATE = {"label": "Volens", "reopenClick": "#volens-band", "consentCookie": "volens"}
SERVICES = """
[services.google-analytics]
name = "Google Analytics"
purposes = ["personnalisation"]
hosts = ["*.google-analytics.com"]
controller = "Google Ireland Ltd"
policy = "https://policies.google.com/privacy"
profiles = true
storage = [
  { name = "_gid", days = 2, domain = ".journal.test" },
  { name = "_pk_id.*", days = 395 },
  { name = "_pk_path", days = 395, path = "/p" },
  { name = "srv_id", days = 395 },
  { name = "_ls_track", medium = "local" },
]
[services.facebook]
name = "Facebook"
purposes = ["reseaux-sociaux"]
hosts = ["connect.facebook.net", "*.facebook.com"]
controller = "Meta Platforms Ireland Ltd"
policy = "https://www.facebook.com/privacy/policy"
profiles = true
storage = [{ name = "_fbp", days = 90, domain = ".journal.test" }]
[services.youtube]
name = "YouTube"
purposes = ["video"]
hosts = ["*.youtube.com", "*.youtube-nocookie.com"]
controller = "Google Ireland Ltd"
policy = "https://policies.google.com/privacy"
[services.disqus]
name = "Disqus"
purposes = ["reseaux-sociaux"]
hosts = ["*.disqus.com"]
controller = "Disqus Inc."
policy = "https://help.disqus.com/privacy"
storage = [{ name = "disqus_unique", days = 395 }]
[services.stats]
name = "Stats"
purposes = ["publicite"]
hosts = ["stats.tracker-demo.test"]
controller = "Stats Ltd"
policy = "https://stats.tracker-demo.test/privacy"
[services.fonts]
name = "Google Fonts"
purposes = ["personnalisation"]
hosts = ["fonts.googleapis.com", "fonts.gstatic.com"]
controller = "Google Ireland Ltd"
policy = "https://policies.google.com/privacy"
"""


def serve(port: int, config: Path) -> None:
    """The demonstration on ``port`` under a configuration of ours; until ended."""
    from volens_demo import pages
    from volens_demo import serve as demo

    bare = pages.article

    def article(view: Any, slug: str, *args: Any, **options: Any) -> str:
        text = bare(view, slug, *args, **options)
        return text.replace('<div class="story">', '<div class="story">' + pages.witness(view), 1) if "data-witness" not in text else text

    pages.article = article

    async def main() -> None:
        demo.CONFIG = config
        running = await demo.start(port, parties_port=0, home=config.parent)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()
        await running.close()

    asyncio.run(main())


def serve_folder(port: int, folder: Path) -> None:
    """The files of ``folder`` on ``port``, text in brotli of the best quality, made once; until ended."""
    files = {f"/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*.*")}
    packed = {name: brotli.compress(data) for name, data in files.items() if not name.endswith(".png")}

    async def answer(request: web.Request) -> web.Response:
        if request.path not in files:
            raise web.HTTPNotFound
        headers = {"Content-Type": mimetypes.guess_type(request.path)[0] or "", "Cache-Control": "no-cache"}
        if request.path in packed and "br" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=packed[request.path], headers={**headers, "Content-Encoding": "br"})
        return web.Response(body=files[request.path], headers=headers)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    web.run_app(application, host="127.0.0.1", port=port, print=None)


def measure(work: Path, candidate: dict[str, Any], phases: str, folder: Path, out: Path, options: Any, only: str) -> None:
    """One run of the harness over ``phases``; its figures are merged into ``out``."""
    file = folder / "candidate.json"
    file.write_text(json.dumps(candidate, ensure_ascii=False))
    command = ["sh", "run.sh", "--candidate", str(file), "--loads", str(options.loads), "--phases", phases, "--out", str(out), "--merge"]
    command += ["--only", only] if only else []
    command += ["--skip-slow"] if options.skip_slow else []
    done = subprocess.run(command, cwd=work, env={**os.environ, "CHROMIUM": bench.chromium()}, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"the harness ended with {done.returncode}.")


@contextlib.contextmanager
def same(work: Path, folder: Path, options: Any) -> Iterator[dict[str, Any]]:
    """The harness's own article behind ``volens proxy``: what to tell the harness of it, while it runs."""
    site = folder / "site"
    site.mkdir()
    subprocess.run(
        ["sh", "run.sh", "--only", "none", "--phases", "none", "--out", str(folder)], cwd=work, check=True, stdout=subprocess.DEVNULL
    )
    subprocess.run(["node", "--input-type=module", "-e", EXPORT, str(site)], cwd=work, check=True)
    (folder / "same.toml").write_text(CONTROLLER + SERVICES, "utf-8")
    behind, port = bench.free_port(), bench.free_port()
    serving = [sys.executable, __file__, "--folder", str(behind), str(site)]
    proxy = [sys.executable, "-m", "volens.cli", "proxy", "--config", str(folder / "same.toml")]
    proxy += ["--upstream", f"http://127.0.0.1:{behind}", "--listen", f"127.0.0.1:{port}"]
    with bench.running(serving, behind, folder / "site.log"), bench.running(proxy, port, folder / "proxy.log"):
        base = f"http://127.0.0.1:{port}"
        yield {**CANDIDATE, "url": f"{base}/article.html", "baselineUrl": f"{base}/bare.html", "sel": SELECTORS}


def figures(found: dict[str, Any], baseline: dict[str, Any]) -> dict[str, Any]:
    """What the table of the work item asks of one consent manager. Differences are to its own page without it."""
    own = (found.get("fast") or {}).get("own") or (baseline.get("fast") or {})
    own_cpu = (found.get("cpu") or {}).get("own") or (baseline.get("cpu") or {})
    fast, cpu, leak, nojs = (found.get(key) or {} for key in ("fast", "cpu", "leak", "nojs"))
    axe, look, csp, gpc, gone, mobile = (found.get(key) or {} for key in ("axe", "look", "csp", "gpc", "withdraw", "mobile"))
    bad = lambda rows: None if rows is None else [f"{row['id']} ({row['n']})" for row in rows]
    less = lambda a, b: None if a is None or b is None else a - b
    left = sorted(set(gone.get("reloadCookies") or gone.get("afterWithdraw") or ()) - set(gone.get("beforeCookies") or ()))
    return {
        "kib_extra": None if fast.get("bytes") is None else round((fast["bytes"] - own.get("bytes", 0)) / 1024, 2),
        "requests_extra": less(fast.get("reqs"), own.get("reqs")),
        "shown_ms": fast.get("first") and round(fast["first"]),
        "complete_ms": fast.get("full") and round(fast["full"]),
        "script_ms_extra": None if not cpu else round(cpu["script"] - own_cpu["script"], 1),
        "task_ms_extra": None if not cpu else round(cpu["task"] - own_cpu["task"], 1),
        "cls": fast.get("cls"),
        "axe_notice": bad(axe.get("banner")),
        "axe_panel": bad(axe.get("panel")),
        "equal_buttons": look.get("equal"),
        "phone_percent": mobile.get("cover"),
        "leaks_before": leak.get("before"),
        "leaks_late": leak.get("late"),
        "leaks_refused": sorted({*(leak.get("atRefuse") or ()), *(leak.get("reload") or ())}) if "before" in leak else None,
        "cookies_refused": leak.get("reloadCookies"),
        "leaks_without_script": nojs.get("untagged"),
        "notice_without_script": nojs.get("banner"),
        "fired_on_accept": gone.get("onAccept"),
        "after_withdrawal": {"cookies": left, "local": gone.get("lsReload"), "fired": gone.get("onReload")} if gone else None,
        "presses_to_withdraw": gone.get("clicksToWithdraw"),
        "signal": gpc or None,
        "strict_policy": csp.get("csp") or csp or None,
        "errors": {key: found[key]["error"] for key in found if isinstance(found[key], dict) and "error" in found[key]},
    }


def rows(all_figures: dict[str, dict[str, Any]]) -> list[list[Any]]:
    count = lambda channels: None if channels is None else f"{len(channels)}/8"
    broken = lambda c: sum((c.get("violations") or {}).values())
    policy = lambda c: f"{'shown' if c.get('shown') else 'not shown'}, {broken(c)} violations" if c else None
    head = [
        "",
        "KiB",
        "requests",
        "shown ms",
        "script ms",
        "CLS",
        "axe",
        "leaks before",
        "late",
        "refused",
        "without JS",
        "after withdrawal",
        "strict CSP",
    ]
    out = [head]
    for name, f in all_figures.items():
        gone, csp = f["after_withdrawal"] or {}, f["strict_policy"] or {}
        remains = (
            ", ".join([*gone.get("cookies", ()), *(["_ls_track"] if gone.get("local") else ()), *(gone.get("fired") or ())]) or "nothing"
        )
        out.append(
            [
                name, f["kib_extra"], f["requests_extra"], f["shown_ms"], f["script_ms_extra"], f["cls"] and round(f["cls"], 3),
                "/".join(str(len(f[key])) if f[key] is not None else "-" for key in ("axe_notice", "axe_panel")),
                count(f["leaks_before"]), count(f["leaks_late"]), count(f["leaks_refused"]), count(f["leaks_without_script"]),
                remains if gone else None,
                policy(csp),
            ]
        )  # fmt: skip
    return out


def main() -> None:
    parser = bench.parser(__doc__, "peers")
    parser.add_argument("--only", default="", help="some of the peers: orejime,klaro")
    parser.add_argument("--loads", type=int, default=10)
    parser.add_argument("--skip-slow", action="store_true", help="without the slow network profile")
    parser.add_argument("--phases", choices=("all", "same", "shown", "axe", "acts"), default="all")
    parser.add_argument("--work", type=Path, default=bench.ROOT / ".venv" / "peers", help="writable copy of the harness")
    parser.add_argument("--serve", nargs=2, metavar=("PORT", "CONFIG"), help="only serve the demonstration")
    parser.add_argument("--folder", nargs=2, metavar=("PORT", "DIR"), help="only serve a folder, compressed as the harness does")
    options = parser.parse_args()
    if options.folder:
        serve_folder(int(options.folder[0]), Path(options.folder[1]))
        return
    if options.serve:
        serve(int(options.serve[0]), Path(options.serve[1]))
        return
    if not (options.work / "run.sh").exists():
        shutil.copytree(bench.shared() / "peers", options.work)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        together, alone = folder / "together", folder / "alone"  # results beside the peers; of the demonstration's article
        whole = dict.fromkeys(("banner", "panel"), "volens-notice")
        if options.phases in ("all", "same"):
            with same(options.work, folder, options) as candidate:
                measure(options.work, candidate, SAME, folder, together, options, options.only)
        runs = {
            "shown": (SHOWN, ARTICLE, "", {}, alone),
            "axe": (AXE, ARTICLE, "", whole, together),
            "acts": (ACTS, "/untagged", SERVICES, {}, together),
        }
        for name, (phases, url, more, selectors, out) in runs.items():
            if options.phases not in ("all", name):
                continue
            config = folder / "volens.toml"
            config.write_text(
                (bench.ROOT / "demo" / "volens.toml").read_text("utf-8").replace("\n[[storage]]", more + "\n[[storage]]", 1), "utf-8"
            )
            port = bench.free_port()
            base = f"http://127.0.0.1:{port}"
            candidate = {
                **CANDIDATE,
                "url": base + url,
                "baselineUrl": f"{base}/baseline{ARTICLE}",
                "leakUrl": f"{base}/untagged",
                "cspUrl": f"{base}/csp",
                "sel": SELECTORS | selectors,
            }
            log = folder / "demo.log"
            with bench.running([sys.executable, __file__, "--serve", str(port), str(config)], port, log):
                measure(options.work, candidate, phases, folder, out, options, options.only if out is together else "baseline")
            if errors := [line for line in log.read_text("utf-8", "replace").splitlines() if "ERROR" in line or "Traceback" in line]:
                print("the demonstration's log has errors:", *errors[:5], sep="\n  ", file=sys.stderr)
        found: dict[str, Any] = {}
        for out in (together, alone):
            if not (out / "results.json").exists():
                continue
            results = json.loads((out / "results.json").read_text("utf-8"))["results"]
            if out is alone:
                found["volens-demonstration"] = results["candidate"]
            else:
                found |= {("volens" if name == "candidate" else name): value for name, value in results.items() if name != "baseline"}
                baseline = results.get("baseline", {})
            if (out / "shots").exists():
                shutil.copytree(out / "shots", options.work / "results" / "shots" / out.name, dirs_exist_ok=True)
        told = {name: figures(value, baseline) for name, value in found.items()}
    print(bench.table(rows(told)))
    loads = {"loads": options.loads, "slow": not options.skip_slow}
    bench.write(options.out, {"format": "volens-benchmark-peers/1", **bench.facts(browser=True), **loads, "figures": told})


if __name__ == "__main__":
    main()
