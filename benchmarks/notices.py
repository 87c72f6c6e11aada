"""Two notices on a page: never; and nothing of what was not granted. Saved pages that carry another consent tool, in every state.

    python benchmarks/notices.py [--sample N] [--browser N] [--out FILE] [PAGES…]      PAGES: files or folders of HTML

States: before a choice, refused, accepted, accepted where a service is a chain (scripts may then contact any host), and each purpose
alone. By the rewrite: all pages in all states, and what is left of a known tool in the result (a script that would load or run, a sheet,
a container that shows); the catalog that withholds is the catalog that looks, so this finds what the rewrite lets through. In a browser:
the pages that carry a tool (``--browser`` of them at most) and ``--sample`` of the rest. Each third party is stood in for; a tool's script
draws its window and keeps its cookie. Counted are windows that can be seen, requests to a tool, what a tool keeps, and requests to
trackers (third-party-web's classes, not our catalog's) whose service nobody granted, errors of a page's scripts beside them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import urljoin, urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import bench
from playwright.sync_api import Browser, Route, sync_playwright
from turbohtml import parse

from volens.catalog import Catalog
from volens.choice import COOKIE, RECORD_COOKIE, Choice, RecordTag, Signals
from volens.defaults import unconfigured
from volens.enforce.hosts import Hosts, Patterns
from volens.enforce.html import Frame, Rewriter
from volens.enforce.url import Target
from volens.foreign import Tools
from volens.ledger.sqlite import SqliteStore
from volens.notice import Service
from volens.policy import grant
from volens.site import Site
from volens.web.gateway import Gateway
from volens.web.screens import Screens
from volens.web.wsgi import WsgiFace

HOST = "www.journal.example"
HERE = "127.0.0.1"
TOOLS = Tools.packaged()
INERT = ("text/plain", "application/json", "application/ld+json", "text/template", "text/html")
KEYS = (b"k" * 32,)
SERVICES = {
    "audience": ("*.google-analytics.com", "*.chartbeat.com", "*.scorecardresearch.com"),
    "reseaux-sociaux": ("*.facebook.net", "*.facebook.com", "*.twitter.com"),
    "video": ("*.youtube.com", "*.youtube-nocookie.com", "*.vimeo.com"),
    "publicite": ("*.doubleclick.net", "*.googlesyndication.com", "*.amazon-adsystem.com"),
    "personnalisation": ("*.outbrain.com", "*.taboola.com", "*.googletagmanager.com"),
}
"""A service for each purpose, with hosts that saved pages ask for."""
HIDES = ",".join(tool.hide for tool in TOOLS.all.values() if tool.hide)
WINDOWS = "s => [...document.querySelectorAll(s)].filter(x => x.getClientRects().length).map(x => x.id || x.className)"


def named(host: str, *, chain: bool = False) -> Site:
    """A configured site that names those services; with ``chain`` its advertising loads from hosts that cannot be listed."""
    services = tuple(Service(f"{p}-1", p, (p,), hosts, chain=chain and p == "publicite") for p, hosts in SERVICES.items())
    site = unconfigured(host)
    return replace(site, unconfigured=False, notice=replace(site.notice, services=services))


def states(host: str, day: Any) -> dict[str, tuple[Site, Choice | None]]:
    """Site and choice by the name of the state."""
    plain, chained = named(host), named(host, chain=True)
    found: dict[str, tuple[Site, Choice | None]] = {
        "none": (plain, None),
        "refused": (plain, Choice.refuse_all(plain.notice, day)),
        "accepted": (plain, Choice.accept_all(plain.notice, day)),
        "accepted, chain": (chained, Choice.accept_all(chained.notice, day)),
    }
    for purpose in plain.notice.askable:
        services = [f"{purpose}-1"] if purpose in SERVICES else []
        found[f"{purpose} alone"] = (plain, Choice.from_switches(plain.notice, day, [purpose], services))
    return found


def acting(text: str) -> Iterator[tuple[str, str]]:
    """The tools that a page's markup would show or run, and by what."""
    for node in parse(text).find_all(True):
        attributes: dict[str, Any] = dict(node.attrs)
        kind = str(attributes.get("type") or "").lower()
        if node.tag == "script" and kind in INERT:
            continue
        source = str(attributes.get("src") or attributes.get("href") or "")
        if source and (node.tag in ("script", "iframe") or (node.tag == "link" and "stylesheet" in str(attributes.get("rel")))):
            try:
                target = urlsplit(urljoin(f"https://{HOST}/", source))
            except ValueError:
                continue
            tool = TOOLS.host(target.hostname or "") or TOOLS.path(target.path)
            if tool is not None:
                yield tool.id, f"<{node.tag}> {source[:80]}"
        elif node.tag == "script" and (tool := TOOLS.inline(node.text)):
            yield tool.id, "inline script"
        if "hidden" not in attributes:
            value = attributes.get("class") or ""
            tool = TOOLS.element(str(attributes.get("id") or ""), " ".join(value) if isinstance(value, list) else str(value))
            if tool is not None and node.tag in ("div", "section", "aside", "dialog"):
                yield tool.id, f"<{node.tag} id={attributes.get('id')}>"


def rewritten(files: Sequence[Path]) -> tuple[dict[str, Any], list[Path], Counter[str]]:
    """Two notices by state, after the rewrite alone; the pages that carry a tool; which tools."""
    day = datetime.now(UTC).date()
    judges: list[tuple[str, Hosts, str]] = []
    for state, (site, choice) in states(HOST, day).items():
        granted = grant(site.notice, choice, Signals(), day)
        judges.append((state, Hosts(site, granted, Catalog.packaged(), HOST), Screens(site, {}).dress(granted, "fr").body))
    carried: Counter[str] = Counter()
    carrying: list[Path] = []
    wrong: Counter[str] = Counter()
    for file in files:
        text = file.read_bytes().decode("latin-1")
        before = {id for id, _ in acting(text)}
        carried.update(before)
        carrying += [file] if before else []
        for state, judge, dress in judges:
            rewriter = Rewriter(Frame(judge, Target("https", HOST, "/a"), dress=lambda _, body=dress: body))
            left = sorted(set(acting(rewriter.feed(text) + rewriter.finish())))
            if left:
                wrong[state] += 1
                print(f"{file.parent.name}/{file.name} {state}: {left[:3]}")
    return {state: {"pages": len(files), "two_notices": wrong[state]} for state, _, _ in judges}, carrying, carried


class Server(ThreadingMixIn, WSGIServer):
    """A browser keeps spare connections open."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    """Says nothing of each request."""

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(app: Callable[..., Any]) -> Iterator[int]:
    """The port on which ``app`` answers until the block ends."""
    with make_server(HERE, 0, app, server_class=Server, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def drawing(id: str) -> str:
    """What a tool's script would do: a cookie, an item, and a window over the page."""
    tool = TOOLS.all[id]
    name = next(iter(tool.cookies), id).replace("*", "x")
    at = (tool.ids or ("",))[0] or id
    style = "position:fixed;inset:0"
    made = f'<div id="{at}" class="{" ".join(tool.classes)}" data-testid="consent-banner-root" style="{style}">Accept?</div>'
    kept = f"document.cookie={json.dumps(name + '=1')};localStorage[{json.dumps(name)}]=1"
    return f"{kept};document.body.insertAdjacentHTML('beforeend',{json.dumps(made)})"


class Look:
    """One page, one state, one browser context: what is seen, kept and asked for."""

    def __init__(self, browser: Browser, classify: Any, pages: Sequence[Path]) -> None:
        self.browser, self.classify = browser, classify
        self.pages = {f"/page/{n}": file.read_bytes() for n, file in enumerate(pages)}

    def app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = self.pages.get(environ["PATH_INFO"])
        start_response("200 OK" if body else "404 Not Found", [("Content-Type", "text/html" if body else "text/plain")])
        return [body or b""]

    def at(self, url: str, held: dict[str, str], granted: Patterns) -> dict[str, Any]:
        """The faults of one page."""
        asked: list[str] = []
        tools: list[str] = []
        errors: list[str] = []

        def answer(route: Route) -> None:
            target = urlsplit(route.request.url)
            host = target.hostname or ""
            tool = TOOLS.host(host) or TOOLS.path(target.path)
            if tool is not None:
                tools.append(f"{tool.id} {host}{target.path}"[:100])
            elif self.classify.lookup(host)[1] in self.classify.TRACKING and granted.find(host) is None:
                asked.append(f"{host}{target.path}"[:100])
            script = route.request.resource_type == "script"
            body = drawing(tool.id) if script and tool is not None else ""
            route.fulfill(content_type="text/javascript" if script else "text/html", body=body)

        context = self.browser.new_context(locale="fr-FR")
        try:
            context.add_cookies([{"name": name, "value": value, "url": url} for name, value in held.items()])
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)[:100]))
            page.route(lambda to: urlsplit(to).hostname != HERE and to.startswith("http"), answer)
            page.goto(url, wait_until="load", timeout=20000)
            page.wait_for_timeout(300)
            windows = page.evaluate(WINDOWS, HIDES)
            kept = [c["name"] for c in context.cookies(url) if TOOLS.storage(c["name"])]
            kept += [
                item["name"]
                for o in context.storage_state()["origins"]
                for item in o["localStorage"]
                if TOOLS.storage(item["name"], "local")
            ]
            ours = page.evaluate("!!document.querySelector('volens-notice')")
        except Exception as error:  # one page that cannot be measured is told and not counted as clean
            return {"failed": str(error)[:120]}
        finally:
            context.close()
        found = {"windows": windows, "tool_requests": tools, "tool_storage": kept, "leaks": asked, "errors": errors}
        told = {key: value for key, value in found.items() if value}
        return told if ours or not held else {**told, "band_missing": True}


def browsed(pages: Sequence[Path]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Figures by state, and a row for each page that is not clean."""
    os.environ["TPW_ENTITIES"] = str(bench.entities())
    sys.path.insert(0, str(bench.shared() / "leaks"))
    import classify

    figures: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    day = datetime.now(UTC).date()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=bench.chromium(), args=list(bench.CHROMIUM_ARGUMENTS))
        look = Look(browser, classify, pages)
        with serving(look.app) as port:
            before = {path: look.at(f"http://{HERE}:{port}{path}", {}, Patterns([])) for path in look.pages}
        figures["raw"] = total([note(rows, "raw", pages, path, found) for path, found in before.items()])
        usual = {path: set(found.get("errors", ())) for path, found in before.items()}
        for number, (state, (site, choice)) in enumerate(states(HERE, day).items()):
            made = Gateway(site, Catalog.packaged(), SqliteStore(Path(folder) / f"{number}.db"), KEYS)
            held = {}
            if choice is not None:
                held = {COOKIE: choice.text()}
                if not choice.refuses_all:
                    held[RECORD_COOKIE] = RecordTag.sign(KEYS, site.name, "0" * 26, choice).text()
            granted = grant(site.notice, choice, Signals(), day)
            allowed = [(h, True) for s in site.notice.services if granted.decide(s).allowed for h in s.hosts]
            allowed += [("*", True)] if granted.open_chain else []
            try:
                with serving(WsgiFace(look.app, lambda made=made: made)) as port:
                    found = []
                    for path in look.pages:
                        one = look.at(f"http://{HERE}:{port}{path}", held, Patterns(allowed))
                        if new := sorted(set(one.pop("errors", ())) - usual[path]):
                            one["errors"] = new  # the stand-ins alone make some, without us too
                        found.append(note(rows, state, pages, path, one))
            finally:
                made.close()
            figures[state] = total(found)
            print(state, figures[state], file=sys.stderr)
        browser.close()
    return figures, rows


def note(rows: list[dict[str, Any]], state: str, pages: Sequence[Path], path: str, found: dict[str, Any]) -> dict[str, Any]:
    """``found``, kept if there is anything."""
    if found:
        file = pages[int(path.rpartition("/")[2])]
        rows.append({"page": f"{file.parent.name}/{file.name}", "state": state, **found})
    return found


def total(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over pages."""
    return {
        "pages": len(found),
        "second_notice": sum(bool(f.get("windows")) for f in found),
        "tool_requests": sum(len(f.get("tool_requests", ())) for f in found),
        "tool_storage": sum(bool(f.get("tool_storage")) for f in found),
        "leaks": sum(len(f.get("leaks", ())) for f in found),
        "pages_with_errors": sum(bool(f.get("errors")) for f in found),
        "failed": sum("failed" in f for f in found),
    }


def spread(files: Sequence[Path], most: int) -> list[Path]:
    """So many of them at most, evenly."""
    return [files[n * len(files) // most] for n in range(most)] if len(files) > most else list(files)


def main() -> int:
    """How many pages have two notices or leak, over all states."""
    parser = bench.parser(__doc__, "notices")
    parser.add_argument("--sample", type=int, default=10, help="pages without a tool that a browser opens too")
    parser.add_argument("--browser", type=int, default=1000, help="pages with a tool that a browser opens, at most; 0: no browser")
    parser.add_argument("pages", nargs="*", type=Path)
    options = parser.parse_args()
    where = options.pages or [bench.shared() / "pages"]
    files = sorted(f for p in where for f in ([p] if p.is_file() else p.rglob("*.html")))
    told, carrying, carried = rewritten(files)
    wrong = sum(row["two_notices"] for row in told.values())
    print(f"{len(files)} pages, {len(carrying)} with a known consent tool; with two notices, over {len(told)} states: {wrong}")
    print("carried: " + ", ".join(f"{name} {n}" for name, n in carried.most_common()))
    if not options.browser:
        return wrong
    rest = [file for file in files if file not in set(carrying)]
    opened = spread(carrying, options.browser) + spread(rest, options.sample)
    figures, rows = browsed(opened)
    for state, row in told.items():
        figures[state] = {"rewritten": row["pages"], "rewritten_two": row["two_notices"], **figures[state]}
    bench.write(
        options.out,
        {
            "format": "volens-benchmark-notices/1",
            **bench.facts(browser=True),
            "pages": len(files),
            "carrying": len(carrying),
            "opened": len(opened),
            "carried": dict(carried.most_common()),
            "figures": figures,
            "rows": rows,
        },
    )
    counted = ("second_notice", "tool_requests", "tool_storage", "leaks", "failed")
    return wrong + sum(row[key] for state, row in figures.items() if state != "raw" for key in counted)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
