"""What counting a page costs, and whether what is counted is what was served: 100,000 requests over several workers of the proxy.

    python benchmarks/audience.py [--pages 20000] [--rounds 5] [--requests 100000] [--workers 3] [--out FILE]

*Cost*: one process answers the same page through two gateways, one that counts and one that does not, in turns of 500; the difference
is the cost, in CPU time of the whole process, the thread that writes included. Beside it the two steps alone: reading a request,
adding to the counts.
*Exact*: clients ask ``volens proxy`` over sockets; a fifth are robots, a fifth object, a fifth ask for what is no page. The file is
compared with what the clients received.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bench

BROWSER = {
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "fr-FR,fr;q=0.9,en;q=0.8",
    "Accept-Encoding": "identity",
    "Referer": "https://www.google.com/",
    "Sec-CH-UA-Mobile": "?0",
    "Sec-CH-UA-Platform": '"Windows"',
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "cross-site",
}
ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
KINDS: tuple[tuple[str, dict[str, str], bool], ...] = (
    ("/page/{n}", {}, True),
    ("/page/{n}", {"Accept-Language": "en"}, True),
    ("/page/{n}", {"User-Agent": ROBOT}, False),
    ("/page/{n}", {"Cookie": "volens-audience=0"}, False),
    ("/data/{n}", {}, False),
)
"""Path, headers that differ, and whether it is a person's page view."""
PAGE = b"<!DOCTYPE html><html lang=fr><head><title>Article</title></head><body>" + b"<p>Du texte.</p>" * 120 + b"</body></html>"
CONFIG = """
names = ["site.localhost"]
[controller]
name = "Le Site"
contact = "donnees@site.example"
policy = "/confidentialite"
country = "FR"
[audience]
"""


def cost(pages: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Microseconds a page, with and without, and of the two steps."""
    from volens.audience.counts import Counts
    from volens.audience.view import read
    from volens.catalog import Catalog
    from volens.config import parse
    from volens.ledger.sqlite import SqliteStore
    from volens.web.gateway import Gateway
    from volens.web.messages import Request

    catalog = Catalog.packaged()
    site = parse(CONFIG, "volens.toml", catalog, base=folder).site
    assert site.audience is not None
    today = lambda: datetime.now(UTC).date()
    counts = Counts(folder / "cost.db", today)
    gateways = {
        name: Gateway(site, catalog, SqliteStore(folder / f"{name}.db"), [b"k" * 32], audience=counts if name == "with" else None)
        for name in ("without", "with")
    }
    pairs = [(b"host", b"site.localhost"), *((k.lower().encode(), v.encode()) for k, v in BROWSER.items())]
    head = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(PAGE))]

    def answer(gateway: Gateway, number: int) -> None:
        visit = gateway.visit(Request("GET", b"/page/%d?x=%d" % (number % 50, number), pairs, "https", "site.localhost", "192.0.2.1"))
        visit.whole(200, list(head), PAGE)

    taken: dict[str, list[float]] = {"without": [], "with": []}
    slowest: dict[str, float] = {"without": 0.0, "with": 0.0}
    for name in gateways:
        for number in range(200):
            answer(gateways[name], number)
    for _ in range(rounds):
        sums = {"without": 0.0, "with": 0.0}
        done = 0
        while done < pages:
            for name, gateway in gateways.items():
                begun = time.process_time()
                for number in range(500):
                    answer(gateway, number)
                sums[name] += time.process_time() - begun
            done += 500
        for name, seconds in sums.items():
            taken[name].append(seconds / pages * 1e6)
    for name, gateway in gateways.items():
        for number in range(5000):
            begun = time.perf_counter()
            answer(gateway, number)
            slowest[name] = max(slowest[name], (time.perf_counter() - begun) * 1e3)
    steps: dict[str, list[float]] = {"read": [], "add": []}
    for _ in range(rounds):
        begun = time.process_time()
        for number in range(pages):
            view = read("GET", b"/page/%d?x=1" % (number % 50), pairs, "site.localhost", site.hosts, site.audience)
        steps["read"].append((time.process_time() - begun) / pages * 1e6)
        assert view is not None
        begun = time.process_time()
        for _ in range(pages):
            counts.add("steps", view)
        steps["add"].append((time.process_time() - begun) / pages * 1e6)
    expected = 200 + rounds * pages + 5000
    counted = counts.read(site.name, today(), today()).total
    for gateway in gateways.values():
        gateway.close()
    middle = {name: round(statistics.median(values), 2) for name, values in (*taken.items(), *steps.items())}
    added = [w - wo for w, wo in zip(taken["with"], taken["without"], strict=True)]
    return {
        "us_a_page": middle,
        "us_added": round(statistics.median(added), 2),
        "us_added_each_round": [round(value, 2) for value in added],
        "slowest_page_ms": {name: round(value, 2) for name, value in slowest.items()},
        "counted": counted,
        "expected": expected,
    }


class Origin(asyncio.Protocol):
    """The site: pages below /page, data elsewhere."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.held = transport, b""

    def data_received(self, data: bytes) -> None:
        self.held += data
        while b"\r\n\r\n" in self.held:
            request, _, self.held = self.held.partition(b"\r\n\r\n")
            page = request.startswith(b"GET /page")
            kind, body = (b"text/html; charset=utf-8", PAGE) if page else (b"application/json", b"{}")
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (kind, len(body), body))


def origin(port: int) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(run())


def client(port: int, first: int, requests: int, found: Any) -> None:
    """Asks one after the other on connections of 500 requests, and tells what was answered."""
    seen: Counter[str] = Counter()
    heads = [
        "".join(f"{name}: {value}\r\n" for name, value in {"Host": "site.localhost", **BROWSER, **changed}.items())
        for _, changed, _ in KINDS
    ]
    link, reader = None, None
    for number in range(first, first + requests):
        if link is None or number % 500 == 0:
            if link is not None:
                link.close()
            link = socket.create_connection(("127.0.0.1", port), 30)
            reader = link.makefile("rb")
        assert reader is not None
        kind = number % len(KINDS)
        path = KINDS[kind][0].format(n=number % 40)
        link.sendall(f"GET {path} HTTP/1.1\r\n{heads[kind]}\r\n".encode())
        status, length = reader.readline(), 0
        while (line := reader.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = reader.read(length)
        assert status.startswith(b"HTTP/1.1 200") and len(body) == length, (status, length)
        seen[f"{kind} {path}"] += 1
    found.put(seen)


def exact(requests: int, workers: int, folder: Path) -> dict[str, Any]:
    """What the file holds against what the clients were given."""
    site, port = bench.free_port(), bench.free_port()
    (folder / "volens.toml").write_text(CONFIG, "utf-8")
    upstream = multiprocessing.Process(target=origin, args=(site,), daemon=True)
    upstream.start()
    command = [sys.executable, "-m", "volens.cli", "proxy", "--config", str(folder / "volens.toml"), "--workers", str(workers)]
    command += ["--upstream", f"http://127.0.0.1:{site}", "--listen", f"127.0.0.1:{port}"]
    clients = 4
    with bench.running(command, port, folder / "proxy.log") as process:
        found: Any = multiprocessing.Queue()
        begun = time.monotonic()
        each = requests // clients
        running = [multiprocessing.Process(target=client, args=(port, index * each, each, found)) for index in range(clients)]
        for one in running:
            one.start()
        seen: Counter[str] = sum((found.get(timeout=900) for _ in running), Counter())
        seconds = time.monotonic() - begun
        shares = len({pid for pid in bench.family(process.pid) if pid != process.pid})
        process.terminate()
        process.wait(60)
    upstream.terminate()
    expected: Counter[str] = Counter()
    for key, n in seen.items():
        kind, path = key.split(" ", 1)
        if KINDS[int(kind)][2]:
            expected[path] += n
    robots = sum(n for key, n in seen.items() if key.startswith("2 "))
    with sqlite3.connect(folder / "volens-audience.db") as file:
        rows = {(kind, name): n for kind, name, n in file.execute("SELECT kind, name, sum(n) FROM views GROUP BY 1, 2")}
    paths = {name: n for (kind, name), n in rows.items() if kind == "path"}
    return {
        "requests": seen.total(),
        "workers": shares,
        "seconds": round(seconds, 1),
        "page_views": {"served": expected.total(), "counted": sum(paths.values())},
        "robots": {"served": robots, "counted": rows.get(("device", "bot"), 0)},
        "languages_counted": sum(n for (kind, _), n in rows.items() if kind == "language"),
        "referrers_counted": sum(n for (kind, _), n in rows.items() if kind == "referrer"),
        "paths_equal": paths == dict(expected),
        "failed": bool(re.search("ERROR|Traceback", (folder / "proxy.log").read_text("utf-8", "replace"))),
    }


def main() -> None:
    parser = bench.parser(__doc__, "audience")
    parser.add_argument("--pages", type=int, default=20_000, help="of each round and gateway")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=100_000, help="over sockets")
    parser.add_argument("--workers", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        price = cost(options.pages, options.rounds, folder)
        told = exact(options.requests, options.workers, folder)
    rows: list[list[Any]] = [["figure", "value"], ["µs added a page", price["us_added"]]]
    rows += [[f"µs: {name}", value] for name, value in price["us_a_page"].items()]
    rows += [["page views served", told["page_views"]["served"]], ["page views counted", told["page_views"]["counted"]]]
    rows += [
        ["robots served", told["robots"]["served"]],
        ["robots counted", told["robots"]["counted"]],
        ["every path equal", told["paths_equal"]],
    ]
    print(bench.table(rows))
    about = {"pages": options.pages, "rounds": options.rounds}
    figures = {
        "us_added_a_page": price["us_added"],
        "requests": told["requests"],
        "workers": told["workers"],
        "page_views_served": told["page_views"]["served"],
        "page_views_counted": told["page_views"]["counted"],
        "robots_served": told["robots"]["served"],
        "robots_counted": told["robots"]["counted"],
    }
    told_all = {"format": "volens-benchmark-audience/1", **bench.facts(), **about, "figures": figures, "cost": price, "exact": told}
    bench.write(options.out, told_all)
    if not told["paths_equal"] or told["page_views"]["served"] != told["page_views"]["counted"] or price["counted"] != price["expected"]:
        sys.exit("what is counted is not what was served.")


if __name__ == "__main__":
    main()
