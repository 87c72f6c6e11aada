"""Writes the figures of README.md from the raw results in benchmarks/results/: what is told is what was measured.

    python tools/figures.py            write them
    python tools/figures.py --check    say whether README.md holds them (exit status 1 where not)

A result is a JSON file of ``format`` ``volens-benchmark-…``. Its ``figures`` are rows by name (each a column), or single values by
name; without ``figures``, whatever values stand in it beside the facts about machine and time. Titles, and which columns are told,
stand in ``TOLD`` by the file's name. Lists are told by their length.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
START = "<!-- figures: written by tools/figures.py from benchmarks/results/*.json; do not edit by hand -->"
END = "<!-- /figures -->"

TOLD: dict[str, tuple[str, dict[str, str]]] = {
    "audience": (
        "Counting page views",
        {
            "us_added_a_page": "CPU time added to a page, µs",
            "page_views_served": "page views served by three workers",
            "page_views_counted": "page views counted",
        },
    ),
    "peers": (
        "The weight of asking, beside browser-side consent managers: over the same page without them",
        {
            "kib_extra": "KiB",
            "requests_extra": "requests",
            "shown_ms": "shown, ms",
            "script_ms_extra": "script ms",
            "cls": "CLS",
            "axe_notice": "axe, notice",
            "leaks_before": "leaks before",
            "leaks_refused": "leaks refused",
            "leaks_without_script": "leaks without JavaScript",
            "presses_to_withdraw": "presses to withdraw",
        },
    ),
    "leaks": (
        "What leaves a real browser: saved news pages and every known way out, behind a proxy that nobody configured",
        {
            "pages": "pages",
            "known_requests": "requests to known trackers",
            "listed_channels": "listed ways out",
            "unlisted_active": "unlisted, by script",
            "unlisted_passive": "unlisted, passive",
            "connection_only_pages": "pages, connection only",
            "cookie_pages": "pages with first-party cookies",
            "storage_pages": "pages with storage",
            "flagged": "flagged by EasyList, EasyPrivacy",
            "text_below_97_unexplained": "pages that lose text",
            "first_party_requests_lost_not_flagged": "own requests lost, not flagged",
            "failed": "failed",
        },
    ),
    "notices": (
        "A second notice, or anything not granted: saved pages behind a configured site; in a browser, pages with another consent tool",
        {
            "rewritten": "pages rewritten",
            "rewritten_two": "with a tool left",
            "pages": "pages opened",
            "second_notice": "with a second notice",
            "tool_requests": "requests to the tool",
            "tool_storage": "pages where it kept something",
            "leaks": "requests to trackers not granted",
            "failed": "failed",
        },
    ),
    "rewrite": (
        "The rewrite alone, on one core, over real saved pages",
        {
            "best_mb_s.again": "pages of a site seen before, best of the rounds, MB/s",
            "median_mb_s.again": "the same, median, MB/s",
            "median_mb_s.first": "pages of a site never seen, median, MB/s",
            "median_mb_s.tokenizer": "the tokenizer alone in the same rounds, median, MB/s",
            "page_of_100_mb_of_markup.memory_mb": "memory for a page of 100 MB of markup, MB",
            "page_of_100_mb_of_text.memory_mb": "memory for a page of 100 MB of text, MB",
            "page_of_100_mb_of_attribute.memory_mb": "memory for one attribute of 100 MB, MB",
        },
    ),
    "middleware": (
        "What the middleware adds to an application, articles of 200 KB",
        {
            "not_seen_cpu_ms_added": "a body not seen before: CPU time added, ms",
            "not_seen_p50_ms_added": "a body not seen before: time added at the median, ms",
            "first_byte_ms_added": "a streamed page: first byte later by, ms",
            "seen_share_of_requests": "a body seen before: share of the bare application's requests a second",
        },
    ),
    "proxy": ("What the proxy adds, with enforcement and without", {}),
    "grants": (
        "Durable grants over HTTP, 64 connections, one process where no number stands, beside what others offer",
        {"rps": "a second", "p50_ms": "p50, ms", "p99_ms": "p99, ms", "cpu_ms": "CPU each, ms"},
    ),
    "ledger": (
        "The ledger in SQLite, without HTTP",
        {
            "group.appends_per_second": "grants kept a second, 64 waiting",
            "group.p99_ms": "the same: p99, ms",
            "against_ceiling.ratio": "grants kept, 512 waiting, over rows that SQLite itself keeps, 200 a commit",
            "grown.10000.appends_per_second": "grants kept a second with 10,000 there",
            "grown.10000000.appends_per_second": "the same with 10,000,000",
            "grown.1000000.bytes_per_record": "bytes a record on disk, with 1,000,000 there",
            "grown.10000000.inclusion_p50_ms": "inclusion proof from storage with 10,000,000 there, ms",
            "grown.10000000.receipt_p50_ms": "a receipt, ms",
        },
    ),
    "ledger_postgres": (
        "The ledger in PostgreSQL, without HTTP",
        {
            "one.appends_per_second": "grants kept a second, 64 waiting, one process",
            "several.appends_per_second": "the same, three processes",
            "against_ceiling.ratio": "grants kept, 512 waiting, over rows that COPY keeps, 200 a commit",
            "bytes_per_record": "bytes a record on disk",
        },
    ),
    "verify": (
        "A whole log checked cold, by four processes",
        {"records": "records", "bytes": "bytes", "seconds": "seconds", "cpu_seconds": "seconds of CPU", "memory_mb": "memory of all, MB"},
    ),
    "feel": ("What a visitor feels on a slow phone", {}),
}
"""Title and columns of a result, by the name of its file; no columns: all there are. A dot goes one level down."""
FACTS = frozenset({"format", "when", "cores", "load", "machine", "system", "python", "processor", "chromium"})


class FiguresError(ValueError):
    """A result or a README that cannot be used; says which and what is missing."""


def cell(value: Any) -> str:
    """A value as it stands in a table."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return str(len(value))
    return str(value).replace("|", "\\|")


def _words(key: str) -> str:
    return key.replace("_", " ")


def _single(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values one level down under the names of both levels; facts and lists left out."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{_words(key)}: {_words(inner)}": one for inner, one in value.items() if not isinstance(one, (Mapping, list))}
        elif key not in FACTS and isinstance(value, (int, float)):
            found[_words(key)] = value
    return found


def _at(values: Mapping[str, Any], key: str) -> Any:
    """What stands under ``a.b``; None where nothing does."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None  # type: ignore[assignment]
    return values


def table(name: str, result: Mapping[str, Any]) -> str:
    """One result as a line of facts and a Markdown table."""
    title, columns = TOLD.get(name, (name, {}))
    figures = result.get("figures")
    if isinstance(figures, Mapping) and figures and all(isinstance(row, Mapping) for row in figures.values()):
        plain = [key for row in figures.values() for key, value in row.items() if isinstance(value, (str, int, float))]
        columns = columns or {key: _words(key) for key in dict.fromkeys(plain)}
        head: Sequence[str] = ["", *columns.values()]
        rows = [[label, *(cell(row.get(key)) for key in columns)] for label, row in figures.items()]
    else:
        head = ["", "measured"]
        values = result if figures is None else figures
        single = {label: _at(values, key) for key, label in columns.items()} if columns else _single(values)
        rows = [[_words(label), cell(value)] for label, value in single.items()]
    facts = [str(result[key]) for key in ("when", "processor", "chromium") if result.get(key)]
    facts[1:1] = [
        f"{result[key]} cores" if key == "cores" else f"load {result[key]}" for key in ("cores", "load") if result.get(key) is not None
    ]
    lines = [f"**{title}** ({', '.join([*facts, f'[raw](benchmarks/results/{name}.json)'])})", ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def text(results: Path = RESULTS) -> str:
    """What stands between the marks."""
    tables = []
    for path in sorted(results.glob("*.json")):
        result = json.loads(path.read_text("utf-8"))
        if isinstance(result, dict) and str(result.get("format", "")).startswith("volens-benchmark-"):
            tables.append(table(path.stem, result))
    return "\n\n".join(tables) or "No figures yet."


def placed(readme: str, figures: str) -> str:
    """README with the figures in their place."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise FiguresError(f"README.md: the marks {START!r} and {END!r} are missing. Put them back where the figures belong.")
    return f"{before}{START}\n{figures}\n{END}{after}"


def main() -> int:
    found = README.read_text("utf-8")
    made = placed(found, text())
    if "--check" in sys.argv:
        if made != found:
            print("README.md does not hold the figures of benchmarks/results/. Run: python tools/figures.py", file=sys.stderr)
        return int(made != found)
    README.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
