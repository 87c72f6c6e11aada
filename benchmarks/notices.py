"""Two notices on a page: never. Saved pages that carry another consent tool, in every state, and what of it would still act.

    python benchmarks/notices.py PAGES…            files or folders of HTML

No browser: each page is rewritten before a choice, after a refusal and with everything granted, under a configuration; what is left of a
known tool is what the catalog of tools still recognises in the result (a script that would load or run, a sheet, a container that shows).
The catalog is the same that withholds, so this finds what the rewrite lets through, not tools nobody knows.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from turbohtml import parse

from volens.catalog import Catalog
from volens.choice import Choice, Signals
from volens.defaults import unconfigured
from volens.enforce.hosts import Hosts
from volens.enforce.html import Frame, Rewriter
from volens.enforce.url import Target
from volens.foreign import Tools
from volens.policy import grant
from volens.web.screens import Screens

HOST = "www.journal.example"
TOOLS = Tools.packaged()
INERT = ("text/plain", "application/json", "application/ld+json", "text/template", "text/html")


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


def main(paths: list[str]) -> int:
    """The number of pages with two notices, over all states."""
    site = replace(unconfigured(HOST), unconfigured=False)
    screens, day = Screens(site, {}), date(2026, 11, 22)
    choices = {"none": None, "refused": Choice.refuse_all(site.notice, day), "accepted": Choice.accept_all(site.notice, day)}
    grants = {state: grant(site.notice, choice, Signals(), day) for state, choice in choices.items()}
    hosts = {state: Hosts(site, granted, Catalog.packaged(), HOST) for state, granted in grants.items()}
    files = sorted(f for p in map(Path, paths) for f in ([p] if p.is_file() else p.rglob("*.html")))
    carried: Counter[str] = Counter()
    carrying, wrong = 0, 0
    for file in files:
        text = file.read_bytes().decode("latin-1")
        before = {id for id, _ in acting(text)}
        carried.update(before)
        carrying += bool(before)
        for state, judge in hosts.items():
            dress = screens.dress(grants[state], "fr").body
            rewriter = Rewriter(Frame(judge, Target("https", HOST, "/a"), dress=lambda _, body=dress: body))
            left = sorted(set(acting(rewriter.feed(text) + rewriter.finish())))
            if left:
                wrong += 1
                print(f"{file} {state}: {left[:3]}")
    print(f"{len(files)} pages, {carrying} with a known consent tool; with two notices, over {len(hosts)} states: {wrong}")
    print("carried: " + ", ".join(f"{name} {n}" for name, n in carried.most_common()))
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
