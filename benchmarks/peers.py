"""The weight of asking: the demonstration beside seven browser-side consent managers, measured by the same harness in the same run.

    python benchmarks/peers.py [--only orejime,klaro] [--loads 10] [--skip-slow] [--work DIR] [--out FILE]

The harness (``../shared/peers``) is copied to ``--work``, where it installs its pinned packages. It runs three times: on the
demonstration's article (bytes, requests, script, look, keys, strict policy); again for axe, which must be given the element that holds
our shadow root; and on the same article with the vendors' snippets as their instructions give them, nothing tagged (leaks, without
JavaScript, withdrawal, signal). For the last, the demonstration's notice names the snippets' services too, so that accepting really
runs them and withdrawing has something to clear. The baseline is the article without third parties, with the demonstration's counter.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import bench

ARTICLE = "/article/pont-vieux"
SHOWN, AXE, ACTS = "perf,script,keys,look,mobile,csp", "axe", "nojs,leak,withdraw,gpc"
SELECTORS = {
    "banner": "#volens-ask",
    "accept": "#volens-ask button[value=accept]",
    "refuse": "#volens-ask button[value=refuse]",
    "settings": "#volens-ask button[value=settings]",
    "panel": "#volens-panel",
    "panelRefuse": "#volens-panel button[value=refuse]",
}
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


def measure(work: Path, candidate: dict[str, Any], phases: str, folder: Path, out: Path, options: Any) -> None:
    """One run of the harness over ``phases``; its figures are merged into ``out``."""
    file = folder / "candidate.json"
    file.write_text(json.dumps(candidate, ensure_ascii=False))
    command = ["sh", "run.sh", "--candidate", str(file), "--loads", str(options.loads), "--phases", phases, "--out", str(out), "--merge"]
    command += ["--only", options.only] if options.only else []
    command += ["--skip-slow"] if options.skip_slow else []
    done = subprocess.run(command, cwd=work, env={**os.environ, "CHROMIUM": bench.chromium()}, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"the harness ended with {done.returncode}.")


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
    parser.add_argument("--phases", choices=("all", "shown", "axe", "acts"), default="all")
    parser.add_argument("--work", type=Path, default=bench.ROOT / ".venv" / "peers", help="writable copy of the harness")
    parser.add_argument("--serve", nargs=2, metavar=("PORT", "CONFIG"), help="only serve the demonstration")
    options = parser.parse_args()
    if options.serve:
        serve(int(options.serve[0]), Path(options.serve[1]))
        return
    if not (options.work / "run.sh").exists():
        shutil.copytree(bench.shared() / "peers", options.work)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        out = folder / "results"
        whole = dict.fromkeys(("banner", "panel"), "volens-notice")
        runs = {"shown": (SHOWN, ARTICLE, "", {}), "axe": (AXE, ARTICLE, "", whole), "acts": (ACTS, "/untagged", SERVICES, {})}
        for name, (phases, url, more, selectors) in runs.items():
            if options.phases not in ("all", name):
                continue
            config = folder / "volens.toml"
            config.write_text(
                (bench.ROOT / "demo" / "volens.toml").read_text("utf-8").replace("\n[[storage]]", more + "\n[[storage]]", 1), "utf-8"
            )
            port = bench.free_port()
            base = f"http://127.0.0.1:{port}"
            candidate = {
                "label": "Volens",
                "url": base + url,
                "baselineUrl": f"{base}/baseline{ARTICLE}",
                "leakUrl": f"{base}/untagged",
                "cspUrl": f"{base}/csp",
                "sel": SELECTORS | selectors,
                "reopenClick": "#volens-band",
                "consentCookie": "volens",
            }
            log = folder / "demo.log"
            with bench.running([sys.executable, __file__, "--serve", str(port), str(config)], port, log):
                measure(options.work, candidate, phases, folder, out, options)
            if errors := [line for line in log.read_text("utf-8", "replace").splitlines() if "ERROR" in line or "Traceback" in line]:
                print("the demonstration's log has errors:", *errors[:5], sep="\n  ", file=sys.stderr)
        raw = json.loads((out / "results.json").read_text("utf-8"))
        (out / "shots").mkdir(exist_ok=True)  # some phases take none
        shutil.copytree(out / "shots", options.work / "results" / "shots", dirs_exist_ok=True)
        shutil.copy(out / "results.json", options.work / "results")
    found = raw["results"]
    baseline = found.get("baseline", {})
    told = {("volens" if name == "candidate" else name): figures(value, baseline) for name, value in found.items() if name != "baseline"}
    print(bench.table(rows(told)))
    loads = {"loads": options.loads, "slow": not options.skip_slow}
    bench.write(options.out, {"format": "volens-benchmark-peers/1", **bench.facts(browser=True), **loads, "figures": told})


if __name__ == "__main__":
    main()
