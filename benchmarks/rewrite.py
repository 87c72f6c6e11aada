"""The rewrite alone: megabytes a second over the saved pages on one core, all decisions on, and the memory of a 100 MB page.

    python benchmarks/rewrite.py [--rounds 5] [--corpora readability,trafilatura] [--out FILE]

Each page is rewritten as the exchange does it for a visitor who has not answered: the real catalog, the page's own host, the guard and
the notice put in. *Tokenizer* is turbohtml's alone, each token's source read, on the same text in the same rounds: the limit of any such
rewrite; compare the ratio.
Everything that is remembered between pages is forgotten before a *first* round.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import bench

BIG = 100_000_000


def pages(corpora: str) -> list[tuple[str, str, bytes]]:
    """(host, path, bytes) of every saved page."""
    root, found = bench.shared() / "pages", []
    for page in json.loads((bench.shared() / "leaks" / "corpora.json").read_text("utf-8")):
        if page["corpus"] in corpora.split(","):
            data = (root / page["file"]).read_bytes()
            url = urlsplit(page["url"])
            found.append((url.netloc.lower(), url.path or "/", gzip.decompress(data) if page["gz"] else data))
    return found


def exchange(gateway: Any, host: str, path: str) -> Any:
    """The exchange of a first visit."""
    from volens.web.messages import Request

    fields = [(b"host", host.encode()), (b"accept", b"text/html"), (b"accept-language", b"fr"), (b"sec-fetch-dest", b"document")]
    return gateway.visit(Request("GET", path.encode("utf-8", "replace"), fields, "https", host, "127.0.0.1"))._exchange


def speed(found: list[tuple[str, str, bytes]], rounds: int) -> dict[str, Any]:
    from turbohtml import Tokenizer

    from volens.web.runtime import open_unconfigured

    size = sum(len(data) for _, _, data in found)
    texts = [data.decode("latin-1") for _, _, data in found]

    def tokenize() -> None:
        for text in texts:
            tokenizer = Tokenizer(capture_source=True, resolve_references=False)
            sources = [token.source for token in tokenizer.feed(text)]
            sources += [token.source for token in tokenizer.close()]

    def rewrite(gateway: Any) -> None:
        for host, path, data in found:
            made = exchange(gateway, host, path)
            made._declared = "text/html"
            made._rewrite(data, "identity", "")

    def timed(act: Any, *arguments: Any) -> float:
        start = time.process_time()
        act(*arguments)
        return size / 1e6 / (time.process_time() - start)

    first, again, alone = [], [], []
    for _ in range(rounds):  # interleaved, so that what else the machine does falls on all alike
        alone.append(timed(tokenize))
        gateway = open_unconfigured()
        first.append(timed(rewrite, gateway))
        again.append(timed(rewrite, gateway))
        gateway.store.close()
    best = {"tokenizer": max(alone), "first": max(first), "again": max(again)}
    return {
        "pages": len(found),
        "megabytes": round(size / 1e6, 1),
        "median_mb_s": {
            "tokenizer": round(statistics.median(alone), 1),
            "first": round(statistics.median(first), 1),
            "again": round(statistics.median(again), 1),
        },
        "best_mb_s": {name: round(value, 1) for name, value in best.items()},
        "rewrite_over_tokenizer": round(best["again"] / best["tokenizer"], 2),
    }


def big(kind: str) -> None:
    """In a process of its own: a page of 100 MB streams through; what that adds to the process's largest size."""
    from volens.web.runtime import open_unconfigured

    article = b'<p class="a">Une phrase, <a href="/b">un lien</a>, <img src="https://cdn.example/p.jpg" alt=""> et la suite.</p>\n'
    part = {"markup": article * 600, "text": b"une ligne sans balise\n" * 3000, "attribute": b"x" * 65536}[kind]
    start = {
        "markup": b"<!doctype html><title>x</title><body>",
        "text": b"<!doctype html><body><p>",
        "attribute": b'<!doctype html><body><p title="',
    }[kind]
    gateway = open_unconfigured()
    warm = exchange(gateway, "grand.example", "/")
    warm.head(200, [(b"content-type", b"text/html")])
    warm.feed(start + part[:60000])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = exchange(gateway, "grand.example", "/")
    made.head(200, [(b"content-type", b"text/html")])
    sent = len(made.feed(start))
    begun, given = time.process_time(), 0
    while given < BIG:
        sent += len(made.feed(part))
        given += len(part)
    sent += len(made.finish())
    spent = time.process_time() - begun
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    gateway.store.close()
    print(
        json.dumps(
            {
                "megabytes": round(given / 1e6),
                "sent_megabytes": round(sent / 1e6),
                "memory_mb": round(grown, 1),
                "mb_s": round(given / 1e6 / spent, 1),
            }
        )
    )
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    parser = bench.parser(__doc__, "rewrite")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--corpora", default="readability,trafilatura")
    parser.add_argument("--big", choices=("markup", "text", "attribute"), help="only the memory of a page of 100 MB of that kind")
    options = parser.parse_args()
    if options.big:
        big(options.big)
        return
    found = speed(pages(options.corpora), options.rounds)
    for kind in ("markup", "text", "attribute"):
        done = subprocess.run(
            [sys.executable, __file__, "--big", kind], env=bench.environment(), capture_output=True, text=True, timeout=600, check=False
        )
        found[f"page_of_100_mb_of_{kind}"] = json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr[-400:]}
    print(
        bench.table(
            [["MB/s of CPU", "tokenizer", "first", "again"], *[[which, *found[f"{which}_mb_s"].values()] for which in ("best", "median")]]
        )
    )
    print(
        bench.table(
            [
                ["page of 100 MB", "memory MB", "MB/s"],
                *[[k.rpartition("_")[2], v.get("memory_mb"), v.get("mb_s")] for k, v in found.items() if k.startswith("page_of")],
            ]
        )
    )
    bench.write(options.out, {"format": "volens-benchmark-rewrite/1", **bench.facts(), **found})


if __name__ == "__main__":
    sys.path[:0] = [str(bench.ROOT / "src")]
    main()
