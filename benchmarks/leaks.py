"""What leaves a real browser: every saved page and every known way out behind ``volens proxy``, which nobody has configured.

    python benchmarks/leaks.py [--corpora readability,trafilatura,channels] [--limit N] [--jobs 3] [--part main|own|purposes|all]
                               [--work DIR] [--again] [--out FILE]

The harness is ``../shared/leaks``: it judges on the server side, by third-party-web's lists (``TPW_ENTITIES``); its second opinion is
EasyList and EasyPrivacy (``EASYLIST_DIR``). *main*: before a choice, beside a proxy that changes nothing (the noise), then refused and
accepted. *own*: the same once each site's neutral third parties (as RAW showed them, by the harness's own classes) are declared as its
own. *purposes*: every purpose alone on 40 pages. It takes long. What is done lies in ``--work`` and isn't done again, unless
``--again``; the results keep a short row a page.
"""

from __future__ import annotations

import ast
import collections
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bench

EASYLIST = "/usr/share/chromium/extensions/ublock-origin/assets/thirdparties/easylist"
PURPOSES = {
    "audience": {"analytics"},
    "reseaux-sociaux": {"social"},
    "video": {"video"},
    "publicite": {"ad", "marketing"},
    "personnalisation": {"analytics", "marketing", "tag-manager"},
    "geolocalisation": set(),
}
"""The classes of third-party-web that a purpose may open; what else leaks under it alone is a fault."""
BROWSER = {"translate.googleapis.com"}
"""Asked by Chromium itself, once a page and language: it comes or not, whatever stands in front."""
Rows = list[dict[str, Any]]


class Harness:
    """The harness, its classes and its oracle, with what it needs in the environment."""

    def __init__(self, work: Path, options: Any) -> None:
        self.work, self.options, self.folder = work, options, bench.shared() / "leaks"
        os.environ["TPW_ENTITIES"] = str(bench.entities())
        os.environ.setdefault("EASYLIST_DIR", EASYLIST)
        sys.path.insert(0, str(self.folder))
        import classify
        import leaks

        assert Path(leaks.__file__).parent == self.folder, "the harness, not this file"
        self.classify, self.leaks = classify, leaks

    def run(self, name: str, corpus: str, candidates: dict[str, list[str]], states: str, *more: str) -> Path:
        """One run: RAW and each candidate (name: arguments of launch.py, none for the command itself) in each state."""
        out = self.work / f"{name}-{corpus}{f'-{self.options.limit}' if self.options.limit else ''}.json"
        if out.exists() and not self.options.again:
            print(f"{out.name}: done before", file=sys.stderr)
            return out
        origin = bench.free_port()
        with contextlib.ExitStack() as open_ones:
            given: list[str] = []
            for candidate, arguments in candidates.items():
                port = open_ones.enter_context(self.proxy(candidate, arguments, origin))
                given += ["--candidate", f"{candidate}=http://127.0.0.1:{port}"]
            part = out.with_suffix(".part")
            command = [
                sys.executable,
                str(self.folder / "leaks.py"),
                "--corpus",
                corpus,
                *given,
                "--states",
                states,
                "--origin-port",
                str(origin),
            ]
            command += ["--chromium", bench.chromium(), "--jobs", str(self.options.jobs), "--out", str(part), *more]
            command += ["--limit", str(self.options.limit)] if self.options.limit and "--limit" not in more else []
            with (self.work / f"{out.stem}.log").open("wb") as log:
                done = subprocess.run(command, cwd=self.work, env=bench.environment(), stdout=log, stderr=log, check=False)
            if done.returncode:
                sys.exit(f"the harness failed: see {out.stem}.log in --work.")
            part.rename(out)
        print(f"{out.name}: done", file=sys.stderr)
        return out

    @contextlib.contextmanager
    def proxy(self, name: str, arguments: list[str], origin: int) -> Iterator[int]:
        port = bench.free_port()
        where = [f"http://127.0.0.1:{origin}", f"127.0.0.1:{port}"]
        if arguments:
            command = [sys.executable, str(Path(__file__).parent / "launch.py"), *arguments, *where]
        else:
            command = [sys.executable, "-m", "volens.cli", "proxy", "--upstream", where[0], "--listen", where[1]]
        with bench.running(command, port, self.work / f"proxy-{name}.log"):
            yield port

    def oracle(self, file: Path) -> dict[tuple[str, str, str], dict[str, int]]:
        """What the lists say of a run, by (corpus, candidate, state)."""
        done = subprocess.run(
            [sys.executable, str(self.folder / "oracle.py"), str(file)],
            env=bench.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"oracle.py: {done.stderr[-600:]}")
        found = {}
        for line in done.stdout.splitlines():
            key, _, value = line.partition(") ")
            found[ast.literal_eval(key + ")")] = ast.literal_eval(value)
        return found

    def flagged(self) -> Any:
        """Whether EasyList or EasyPrivacy would block a request of a page."""
        import adblock

        lists = adblock.FilterSet()
        for name in ("easyprivacy.txt", "easylist.txt"):
            lists.add_filter_list((Path(os.environ["EASYLIST_DIR"]) / name).read_text("utf-8"))
        engine = adblock.Engine(lists)
        kinds = {"style": "stylesheet", "frame": "sub_frame", "fetch": "xmlhttprequest", "document": "other"}
        return lambda page, q: (
            engine.check_network_urls(
                f"{q['scheme']}://{q['host']}{q['path']}",
                page["url"],
                kinds.get(q["kind"], q["kind"] if q["kind"] in ("script", "image", "font") else "other"),
            ).matched
        )

    def requests(self, page: dict[str, Any], first: bool) -> dict[tuple[str, str], dict[str, Any]]:
        """A page's requests by host and path; its own (``first``) or all. Icons come or not with the browser's cache."""
        icons = {(urlsplit(u).hostname, urlsplit(u).path[:160]) for u in page.get("icons", [])}
        found = {}
        for q in page["reqs"]:
            key = (q["host"], q["path"].split("?")[0])
            own = self.classify.relation(q["host"], page["host"]) in ("first", "same-site")
            if (
                q["host"] not in BROWSER
                and not self.leaks.OWN(q)
                and not self.leaks.stale(q, page["host"])
                and not self.leaks.ICON.search(q["path"])
                and key not in icons
                and (own or not first)
            ):
                found[key] = q
        return found

    def is_neutral(self, page: dict[str, Any], q: dict[str, Any]) -> bool:
        """Whether a request goes to a third party that no list calls a tracker."""
        host = q["host"]
        if host in BROWSER or self.leaks.OWN(q) or self.leaks.STUB.search(host) or self.classify.relation(host, page["host"]) != "third":
            return False
        return self.classify.lookup(host)[1] not in self.classify.TRACKING

    def neutral(self, pages: Rows) -> dict[str, list[str]]:
        """Host of a page → third parties that no list calls a tracker, as RAW showed them."""
        found: dict[str, set[str]] = collections.defaultdict(set)
        for page in pages:
            for q in page["reqs"] if page["candidate"] == "raw" else ():
                if self.is_neutral(page, q):
                    found[page["host"]].add(q["host"])
        return {host: sorted(hosts) for host, hosts in sorted(found.items())}


def failed(page: dict[str, Any]) -> bool:
    """As the harness counts it."""
    measured = "img_ok" in page and not page.get("fatal") and not page.get("error")
    return not measured or ((page.get("doc") or {}).get("status") or 0) >= 400


def short(page: dict[str, Any]) -> dict[str, Any]:
    """A page's row: what isn't nothing."""
    score, broken = page["score"], page.get("break") or {}
    open_ = page["candidate"] in ("raw", "passing") or page["state"] == "accepted"  # how much, not what
    row = {
        "known": score["leak_requests"],
        "hop": score["hop_requests"],
        "connect": score["connect_only"],
        **{
            name: len(score[key]) if open_ else score[key]
            for name, key in (("cookies", "cookies_first"), ("storage", "storage"), ("channels", "channels"))
        },
        "text": broken.get("text_kept") if broken.get("text_kept", 1) < 0.97 else None,
        "images_lost": max(0, broken.get("img_first_lost", 0)),
        "requests_lost": broken.get("fp_requests_lost"),
        "neutral_lost": broken.get("neutral_requests_lost"),
        "failed": failed(page),
    }
    return {"id": page["id"], **{key: value for key, value in row.items() if value}}


def count(harness: Harness, pages: Rows, flagged: Any) -> dict[str, dict[str, Any]]:
    """The figures of each (candidate, state) over all corpora."""
    raws = {(page["corpus"], page["id"]): page for page in pages if page["candidate"] == "raw"}
    groups: dict[str, Rows] = collections.defaultdict(list)
    for page in [*raws.values(), *(page for page in pages if page["candidate"] != "raw")]:
        groups["raw" if page["candidate"] == "raw" else f"{page['candidate']} {page['state']}"].append(page)
    told = {}
    for name, group in groups.items():
        scores = [page["score"] for page in group]
        breaks = [page.get("break") or {} for page in group]
        unlisted = [
            q
            for page in group
            for q in page["reqs"]
            if q["host"].endswith(".hop.unlisted-stub.test") and not harness.leaks.stale(q, page["host"])
        ]
        passive = [q["kind"] in ("image", "style", "font", "audio", "video", "track") for q in unlisted]
        found: dict[str, Any] = {
            "pages": len(group),
            "leaking_known": sum(
                bool(s["leak_requests"] or any(c.startswith("L:") and c[-1] != "~" for c in s["channels"])) for s in scores
            ),
            "known_requests": sum(s["leak_requests"] for s in scores),
            "listed_channels": sorted({c for s in scores for c in s["channels"] if c[0] in "L*" and c[-1] != "~"}),
            "unlisted_active": len(passive) - sum(passive),
            "unlisted_passive": sum(passive),
            "unlisted_channels": sorted({c for s in scores for c in s["channels"] if c[0] == "U" and c[-1] != "~"}),
            "connection_only_pages": sum(s["connect_only"] > 0 for s in scores),
            "cookie_pages": sum(bool(s["cookies_first"]) for s in scores),
            "third_party_cookie_pages": sum(s["cookies_third"] > 0 for s in scores),
            "storage_pages": sum(bool(s["storage"]) for s in scores),
            "failed": sum(map(failed, group)),
        }
        if name == "raw":  # how open the ways are, not which
            found |= {key: len(found[key]) for key in ("listed_channels", "unlisted_channels")}
        else:
            less = [page for page, b in zip(group, breaks, strict=True) if b.get("text_kept", 1) < 0.97]
            moved = lambda page: (
                urlsplit(raws[page["corpus"], page["id"]].get("final_url") or page["url"])[1:3] != urlsplit(page["url"])[1:3]
            )
            lost: collections.Counter[str] = collections.Counter()
            for page in group:
                raw = raws.get((page["corpus"], page["id"]))
                if raw is None or failed(raw) or failed(page):
                    continue
                for which, first in (("own", True), ("all", False)):
                    before, now = harness.requests(raw, first), harness.requests(page, first)
                    gone = [q for key, q in before.items() if key not in now]
                    lost[which] += len(gone)
                    lost[which + " raw"] += len(before)
                    if first:
                        lost["own unflagged"] += sum(not flagged(page, q) for q in gone)
                    else:
                        neutral = [q for q in before.values() if harness.is_neutral(page, q)]
                        lost["neutral raw"] += len(neutral)
                        lost["neutral"] += sum(q in gone for q in neutral)
                        lost["neutral unflagged"] += sum(q in gone and not flagged(page, q) for q in neutral)
                jar = lambda p: {(c["name"], c["domain"]) for c in p.get("cookies", []) if not c["name"].startswith("volens")}
                lost["cookies"] += len(jar(raw) - jar(page))
            found |= {
                "text_below_97": [f"{p['corpus']}/{p['id']}{' (redirects in RAW)' if moved(p) else ''}" for p in less],
                "text_below_97_unexplained": sum(not moved(p) for p in less),
                "first_party_images_lost": sum(max(0, b.get("img_first_lost", 0)) for b in breaks),
                "first_party_requests_lost": lost["own"],
                "first_party_requests_lost_not_flagged": lost["own unflagged"],
                "requests_lost": [lost["all"], lost["all raw"]],
                "cookies_lost": lost["cookies"],
                "neutral_lost": [lost["neutral"], lost["neutral raw"]],
                "neutral_lost_not_flagged": lost["neutral unflagged"],
            }
        told[name] = found
    return told


def opinion(harness: Harness, files: Sequence[Path]) -> dict[str, Any]:
    """Requests the lists flag, of each candidate and state, and their share of RAW's in the same files."""
    sums: collections.Counter[str] = collections.Counter()
    raw: collections.Counter[str] = collections.Counter()
    for file in files:
        found = harness.oracle(file)
        for (corpus, candidate, state), value in found.items():
            if candidate != "raw":
                sums[f"{candidate} {state}"] += value.get("list req", 0)
                raw[f"{candidate} {state}"] += found[corpus, "raw", "none"].get("list req", 0)
    return {name: {"flagged": sums[name], "of_raw": raw[name], "share": round(sums[name] / max(1, raw[name]), 4)} for name in raw}


def load(files: Sequence[Path]) -> Rows:
    return [page for file in files for page in json.loads(file.read_text("utf-8"))]


def show(told: dict[str, dict[str, Any]], lists: dict[str, Any]) -> None:
    names = ["raw", *[name for name in told if name != "raw"]]
    value = lambda x: (
        f"{x[0]}/{x[1]}" if isinstance(x, list) and len(x) == 2 and isinstance(x[0], int) else len(x) if isinstance(x, list) else x
    )
    keys = list(dict.fromkeys(key for name in names for key in told[name]))
    rows = [["", *names], *[[key, *[value(told[name].get(key)) for name in names]] for key in keys]]
    rows.append(
        ["flagged by EasyList, EasyPrivacy", "", *[f"{lists[n]['flagged']}/{lists[n]['of_raw']}" if n in lists else "" for n in names[1:]]]
    )
    print(bench.table(rows))


def main() -> None:
    parser = bench.parser(__doc__, "leaks")
    parser.add_argument("--corpora", default="readability,trafilatura,channels")
    parser.add_argument("--limit", type=int, default=0, help="pages of each corpus, evenly spread; 0 for all")
    parser.add_argument("--jobs", type=int, default=3, help="browsers at once")
    parser.add_argument("--part", choices=("all", "main", "own", "purposes"), default="all")
    parser.add_argument(
        "--work", type=Path, default=bench.ROOT / ".venv" / "leaks", help="where whole runs lie; what is there is not done again"
    )
    parser.add_argument("--again", action="store_true", help="do again what was done before")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    harness = Harness(options.work.resolve(), options)
    corpora = options.corpora.split(",")
    pages_only = [corpus for corpus in corpora if corpus != "channels"]
    flagged = harness.flagged()
    result: dict[str, Any] = {"format": "volens-benchmark-leaks/1", **bench.facts(browser=True), "limit": options.limit, "corpora": corpora}
    if options.out.exists():  # the parts that are not done now stay as they were
        done = json.loads(options.out.read_text("utf-8"))
        result = {**{k: v for k, v in done.items() if k in ("main", "own", "purposes", "figures")}, **result}

    before = [(corpus, harness.run("none", corpus, {"volens": [], "passing": ["passing"]}, "none")) for corpus in corpora]
    if options.part in ("all", "main"):
        files = [file for _, file in before]
        files += [harness.run("chosen", corpus, {"volens": []}, "refused,accepted") for corpus in corpora]
        rows = load(files)
        told, lists = count(harness, rows, flagged), opinion(harness, files)
        print("\nunconfigured")
        show(told, lists)
        per_page: dict[str, dict[str, Rows]] = {}
        for page in rows:
            per_page.setdefault(page["corpus"], {}).setdefault(f"{page['candidate']} {page['state']}", []).append(short(page))
        result["main"] = {"figures": told, "lists": lists, "pages": per_page}
        result["figures"] = {label: {**row, **lists.get(label, {})} for label, row in told.items()}
    if options.part in ("all", "own"):
        declared = harness.neutral(load([file for corpus, file in before if corpus in pages_only]))
        hosts = options.work / "own-hosts.json"
        hosts.write_text(json.dumps(declared))
        files = [harness.run("own", corpus, {"volens": ["own-hosts", str(hosts.resolve())]}, "none,refused") for corpus in pages_only]
        told, lists = count(harness, load(files), flagged), opinion(harness, files)
        print("\nown hosts declared")
        show(told, lists)
        result["own"] = {"figures": told, "lists": lists, "hosts_declared": sum(map(len, declared.values()))}
    if options.part in ("all", "purposes"):
        candidates = {purpose: ["purpose", purpose] for purpose in PURPOSES}
        size = str(min(options.limit or 20, 20))
        files = [harness.run("purposes", corpus, candidates, "none", "--limit", size) for corpus in pages_only]
        rows = load(files)
        told = count(harness, rows, flagged)
        for purpose, allowed in PURPOSES.items():
            classes: collections.Counter[str] = collections.Counter()
            for page in rows:
                if page["candidate"] == purpose:
                    classes.update({harness.classify.lookup(host)[1]: 1 for host in page["score"]["leak_hosts"]})
            told[f"{purpose} none"] |= {
                "classes_opened": dict(classes),
                "classes_of_other_purposes": sum(n for c, n in classes.items() if c not in allowed),
            }
        print("\neach purpose alone")
        show(told, {})
        result["purposes"] = {"figures": told}
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":")).replace('{"id"', '\n{"id"').replace('],"', '],\n"')
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text + "\n", "utf-8")
    print(f"\nraw figures: {options.out.name}, {len(text) // 1024} KiB", file=sys.stderr)


if __name__ == "__main__":
    main()
