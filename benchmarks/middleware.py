"""What Consent adds to an application: CPU and latency of pages not seen before, throughput of one repeated, first byte of a streamed one.

    python benchmarks/middleware.py [--seconds 4] [--rounds 3] [--kilobytes 200] [--server uvicorn|granian]
                                    [--mode enforce|observe] [--out FILE]

One worker serves real saved articles near 200 KB, with and without ``Consent`` (the demonstration's configuration); wrk loads it. The two
take turns, so that what else the machine does falls on both; compare them within a run. *Not seen*: every answer differs by a comment,
and has an address of its own, so nothing can be remembered. *Seen*: one article again and again. CPU is the server process's own, read
from the system.
With ``--mode observe`` pages pass as they are and are looked at beside the requests; that no byte of them changes is seen first.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bench

FIELDS = {
    "Accept": "text/html",
    "Accept-Language": "fr",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "User-Agent": "Mozilla/5.0",
}


def articles(size: int) -> list[bytes]:
    """The saved pages nearest to ``size`` bytes, eight of them."""
    import rewrite

    return sorted((data for *_, data in rewrite.pages("readability,trafilatura")), key=lambda data: abs(len(data) - size))[:8]


def application(folder: Path, consent: bool) -> Any:
    """/one: an article; /new: another one each time; /stream: head at once, the rest in pieces."""
    pages = [(folder / f"{number}.html").read_bytes() for number in range(8)]
    number = itertools.count()
    head = [(b"content-type", b"text/html; charset=utf-8")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        import asyncio

        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": head})
            for at in range(0, len(pages[0]), 16384):
                await send({"type": "http.response.body", "body": pages[0][at : at + 16384], "more_body": True})
                await asyncio.sleep(0.02)
            await send({"type": "http.response.body", "body": b""})
            return
        body = pages[int(path[1])] if path[1:].isdigit() and len(path) == 2 else pages[0]
        if path.startswith("/new"):
            count = next(number)
            body = pages[count % 8] + b"<!-- %d %d -->" % (os.getpid(), count)
        await send({"type": "http.response.start", "status": 200, "headers": [*head, (b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    if not consent:
        return app
    from volens import Consent

    return Consent(app, folder / "volens.toml")


def __getattr__(name: str) -> Any:
    """``bare`` and ``wrapped``: what the server imports."""
    if name in ("bare", "wrapped"):
        return application(Path(os.environ["BENCH_FOLDER"]), name == "wrapped")
    raise AttributeError(name)


def wrk(port: int, path: str, seconds: float, connections: int, script: Path) -> dict[str, float]:
    """One load; requests a second and milliseconds."""
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--latency",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}{path}",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    p50, at = re.search(r"50%\s+([\d.]+)(us|ms|s)", said).groups()  # type: ignore[union-attr]
    done, failed = int(re.search(r"(\d+) requests in", said)[1]), re.search(r"(Socket errors|Non-2xx).*", said)  # type: ignore[index]
    if failed:
        sys.exit(f"wrk {path}: {failed[0]}")
    return {"requests": done, "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), "p50_ms": float(p50) * unit[at]}  # type: ignore[index]


def request_script(folder: Path) -> Path:
    """What wrk sends: the fields of a browser that opens a page."""
    file = folder / "fields.lua"
    said = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in FIELDS.items())
    file.write_text(
        f'{said}n = 0\nrequest = function()\n n = n + 1\n return wrk.format(nil, wrk.path == "/new" and "/new/" .. n or nil)\nend\n'
    )
    return file


def load(pid: int, port: int, path: str, seconds: float, connections: int, script: Path) -> dict[str, float]:
    """One load with the CPU it cost the server."""
    before = bench.cpu(pid)
    told = wrk(port, path, seconds, connections, script)
    return {**told, "cpu_ms": (bench.cpu(pid) - before) * 1000 / told["requests"]}


def page(port: int, path: str) -> bytes:
    """The body of one page."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=FIELDS)
    with urllib.request.urlopen(asked, timeout=10) as reply:
        return bytes(reply.read())


def first_byte(port: int, path: str, times: int) -> list[float]:
    """Milliseconds from the request to the first byte of the body."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in FIELDS.items())
    taken = []
    for _ in range(times):
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.settimeout(10)
            begun = time.perf_counter()
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{fields}\r\n".encode())
            got = b""
            while not got.partition(b"\r\n\r\n")[2]:
                got += link.recv(65536)
            taken.append((time.perf_counter() - begun) * 1000)
    return taken


def compare(servers: dict[str, tuple[int, int]], seconds: float, rounds: int, script: Path) -> dict[str, Any]:
    """Each server (process, port) under the same loads, in turns."""
    plans: dict[str, tuple[str, int]] = {"not_seen": ("/new", 1), "not_seen_busy": ("/new", 8), "seen": ("/one", 8)}
    found: dict[str, dict[str, list[dict[str, float]]]] = {plan: {name: [] for name in servers} for plan in plans}
    first: dict[str, list[float]] = {name: [] for name in servers}
    for pid, port in servers.values():
        load(pid, port, "/one", 1, 4, script)
        load(pid, port, "/new", 1, 4, script)
    for _ in range(rounds):
        for plan, (path, connections) in plans.items():
            for name, (pid, port) in servers.items():
                found[plan][name].append(load(pid, port, path, seconds, connections, script))
        for name, (_, port) in servers.items():
            first[name] += first_byte(port, "/stream", 20)
    middle: Callable[[list[dict[str, float]]], dict[str, float]] = lambda rows: {
        key: round(statistics.median(row[key] for row in rows), 3) for key in ("rps", "p50_ms", "cpu_ms")
    }
    told: dict[str, Any] = {plan: {name: middle(rows) for name, rows in by.items()} for plan, by in found.items()}
    told["first_byte_ms"] = {name: round(statistics.median(values), 3) for name, values in first.items()}
    return told


def against(told: dict[str, Any], bare: str, ours: str) -> dict[str, float]:
    """The figures that the table of the work item asks for."""
    quiet, seen, first = told["not_seen"], told["seen"], told["first_byte_ms"]
    return {
        "not_seen_cpu_ms_added": round(quiet[ours]["cpu_ms"] - quiet[bare]["cpu_ms"], 2),
        "not_seen_p50_ms_added": round(quiet[ours]["p50_ms"] - quiet[bare]["p50_ms"], 2),
        "seen_share_of_requests": round(seen[ours]["rps"] / seen[bare]["rps"], 3),
        "seen_cpu_ms_added": round(seen[ours]["cpu_ms"] - seen[bare]["cpu_ms"], 3),
        "first_byte_ms_added": round(first[ours] - first[bare], 2),
    }


def show(told: dict[str, Any]) -> None:
    rows: list[list[Any]] = [["", "server", "requests/s", "p50 ms", "CPU ms"]]
    for plan in ("not_seen", "not_seen_busy", "seen"):
        rows += [[plan, name, *by.values()] for name, by in told[plan].items()]
    rows += [["first byte", name, None, value, None] for name, value in told["first_byte_ms"].items()]
    print(bench.table(rows))


@contextlib.contextmanager
def served(name: str, server: str, folder: Path) -> Iterator[tuple[int, int]]:
    """(process, port) of one worker that serves ``bare`` or ``wrapped``."""
    port = bench.free_port()
    target = f"middleware:{name}"
    command = {
        "uvicorn": [sys.executable, "-m", "uvicorn", target, "--port", str(port), "--no-access-log", "--log-level", "warning"],
        "granian": [
            sys.executable,
            "-m",
            "granian",
            target,
            "--interface",
            "asgi",
            "--port",
            str(port),
            "--workers",
            "1",
            "--no-access-log",
        ],
    }[server]
    with bench.running(command, port, folder / f"{name}.log", BENCH_FOLDER=str(folder)) as process:
        yield process.pid, port


def main() -> None:
    parser = bench.parser(__doc__, "middleware")
    parser.add_argument("--seconds", type=float, default=4, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kilobytes", type=int, default=200, help="size of the articles")
    parser.add_argument("--mode", choices=("enforce", "observe"), default="enforce", help="of the configuration")
    parser.add_argument("--server", choices=("uvicorn", "granian"), default="uvicorn")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        written = (bench.ROOT / "demo" / "volens.toml").read_text("utf-8")
        (folder / "volens.toml").write_text(f'mode = "{options.mode}"\n{written}', "utf-8")
        sizes = []
        for number, body in enumerate(articles(options.kilobytes * 1000)):
            (folder / f"{number}.html").write_bytes(body)
            sizes.append(len(body))
        with served("bare", options.server, folder) as bare, served("wrapped", options.server, folder) as wrapped:
            if options.mode == "observe" and (changed := [n for n in range(8) if page(wrapped[1], f"/{n}") != page(bare[1], f"/{n}")]):
                sys.exit(f"observing changed pages: {changed}")
            told = compare({"bare": bare, "wrapped": wrapped}, options.seconds, options.rounds, request_script(folder))
    show(told)
    figures = against(told, "bare", "wrapped")
    print(bench.table([["figure", "value"], *map(list, figures.items())]))
    about = {
        "mode": options.mode,
        "server": bench.version(sys.executable, "-m", options.server, "--version"),
        "bytes": sizes,
        "seconds": options.seconds,
        "rounds": options.rounds,
    }
    bench.write(options.out, {"format": "volens-benchmark-middleware/1", **bench.facts(), **about, "figures": figures, **told})


if __name__ == "__main__":
    main()
