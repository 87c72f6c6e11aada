"""Placeholders over saved pages: what stands in each page stays where it was, and each placeholder says who it is.

    python benchmarks/placeholders.py PAGES…            files or folders of HTML

No browser: the elements and the text of every page, before and after the rewrite of a refusal without configuration, must be the same in
the same order but for the placeholders that were added.
"""

from __future__ import annotations

import sys
from collections import Counter
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

from volens.catalog import Catalog
from volens.choice import Choice, Signals
from volens.defaults import unconfigured
from volens.enforce.hosts import Hosts
from volens.enforce.html import _CLOSE_ALL, Frame, Rewriter
from volens.enforce.url import Target
from volens.policy import grant
from volens.web.screens import Screens

HOST = "www.journal.example"


class Order(HTMLParser):
    """Elements and text as they stand; the placeholders apart."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self.added: list[str] = []
        self.replaced: list[str] = []
        self._skip = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        ours = tag == "iframe" and "/_volens/embed/" in (values.get("src") or "")
        if ours:
            (self.replaced if "data-volens-src" in values else self.added).append(values.get("title") or "")
        # what stands in for a consent tool that the page sets up in its own text
        stands_in = tag == "script" and (values.get("src") or "").startswith("/_volens/")
        self._skip = tag if (ours or stands_in) and "data-volens-src" not in values else ""
        if not self._skip:
            self.found.append(f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        if self._skip == tag:
            self._skip = ""
        else:
            self.found.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if data.strip() and self.cdata_elem not in ("script", "style"):
            if self.found and self.found[-1][0] not in "<":
                self.found[-1] += data
            else:
                self.found.append(data)


def main(paths: list[str]) -> int:
    """The number of pages in which something moved or went."""
    site = unconfigured(HOST)
    screens, day = Screens(site, {}), date(2026, 11, 22)
    refused = grant(site.notice, Choice.refuse_all(site.notice, day), Signals(), day)
    hosts = Hosts(site, refused, Catalog.packaged(), HOST)
    files = sorted(f for p in map(Path, paths) for f in ([p] if p.is_file() else p.rglob("*.html")))
    wrong, pages, added, replaced = 0, 0, Counter[str](), Counter[str]()
    for file in files:
        text = file.read_bytes().decode("latin-1")
        rewriter = Rewriter(Frame(hosts, Target("https", HOST, "/a"), place=lambda w: screens.place(hosts.shown(w.target), w)))
        # What closes a noscript element that the page left open is no content.
        made = (rewriter.feed(text) + rewriter.finish()).replace(_CLOSE_ALL, "")
        before, after = Order(text), Order(made)
        added.update(after.added)
        replaced.update(after.replaced)
        pages += bool(after.added or after.replaced)
        if before.found != after.found:
            wrong += 1
            at = next((i for i, (a, b) in enumerate(zip(before.found, after.found, strict=False)) if a != b), -1)
            print(f"{file}: {before.found[at][:80]!r} became {after.found[at][:80]!r}")
    print(f"{len(files)} pages, {pages} with placeholders; moved or lost: {wrong}")
    print(f"frames replaced: {replaced.total()}, placed beside: {added.total()}")
    for title, counts in (("replaced", replaced), ("beside", added)):
        print(f"{title}: " + ", ".join(f"{name} {n}" for name, n in counts.most_common(25)))
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
