"""How many durable grants a second a server takes over HTTP, and how long each visitor waits: Volens, and what others offer.

    python benchmarks/grants.py [--seconds 8] [--rounds 3] [--connections 64] [--only NAME …] [--out FILE]

wrk posts answers to a notice, each from another address (a front says so), as a program does (JSON, answered with the receipt) and as
a form does; every server answers only once its row is durable, and what it acknowledged is counted in its database afterwards. The
servers take turns, so that what else the machine does falls on all of them; compare them within a run.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench

LOAD = """
local path, kind, bodies, sent = "{path}", "{kind}", {{ {bodies} }}, 0
local fields = {{ {fields} }}
fields["Content-Type"] = kind
local thread = 0
function setup(made) thread = thread + 1; made:set("number", thread) end
function init() math.randomseed(os.time() * 100 + number) end
function request()
  sent = sent + 1
  fields["X-Forwarded-For"] = string.format("10.%d.%d.%d", math.random(0, 255), math.random(0, 255), math.random(1, 254))
  local body = bodies[sent % #bodies + 1]
  if body:find("sub_ID", 1, true) then
    local id = string.format("sub_%08x%08x", math.random(0, 2^31), math.random(0, 2^31)):gsub("0", "z")
    body = body:gsub("sub_ID", id)
  end
  return wrk.format("POST", path, fields, body)
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nTOLD {{"requests":%d,"seconds":%.3f,"p50_ms":%.2f,"p99_ms":%.2f,"max_ms":%.2f,"failed":%d}}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """What is posted."""

    path: str
    kind: str
    bodies: tuple[str, ...]
    fields: dict[str, str]

    def script(self, file: Path) -> Path:
        def lua(text: str) -> str:
            return json.dumps(text, ensure_ascii=True)

        fields = ", ".join(f"[{lua(name)}] = {lua(value)}" for name, value in self.fields.items())
        file.write_text(LOAD.format(path=self.path, kind=self.kind, bodies=", ".join(map(lua, self.bodies)), fields=fields))
        return file


@dataclass(frozen=True)
class Server:
    """One that runs: its process, its port, what is posted to it, and how many rows it has."""

    pid: int
    port: int
    loads: dict[str, Load]
    rows: Callable[[], int]


def load(server: Server, script: Path, seconds: float, connections: int) -> dict[str, float]:
    """What wrk says of one load."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(script)]
    said = subprocess.run([*command, f"http://127.0.0.1:{server.port}/"], capture_output=True, text=True, check=True).stdout
    told: dict[str, float] = json.loads(re.search(r"TOLD (.*)", said)[1])  # type: ignore[index]
    return told


def warm(server: Server, script: Path, connections: int) -> None:
    """Until it answers: many a server listens before it can."""
    for _ in range(20):
        told = load(server, script, 2, connections)
        if told["requests"] > 2 * connections and not told["failed"]:
            return
    sys.exit(f"it does not answer: {told}")


def measured(server: Server, script: Path, seconds: float, connections: int) -> dict[str, float]:
    """One load, and what it cost the server; every answer must be a row."""
    time.sleep(0.5)  # what an earlier load left on its way is written
    before, rows = bench.cpu(server.pid), server.rows()
    told = load(server, script, seconds, connections)
    time.sleep(0.5)  # what was on its way when the load ended is written, though not acknowledged
    kept = server.rows() - rows
    if told["failed"] or not told["requests"] <= kept <= told["requests"] + connections:
        sys.exit(f"{told['requests']:.0f} answers, {told['failed']:.0f} of them failures, and {kept} rows")
    return {
        "rps": told["requests"] / told["seconds"],
        **{name: told[name] for name in ("p50_ms", "p99_ms", "max_ms")},
        "cpu_ms": (bench.cpu(server.pid) - before) * 1000 / told["requests"],
    }


# ---------------------------------------------------------------- Volens


async def application(scope: Any, receive: Any, send: Any) -> None:
    """What Volens stands before: nothing that answers a choice."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"-"})


def __getattr__(name: str) -> Any:
    """``consent``, and ``behind``, which believes a front: what the server imports."""
    if name == "consent":
        from volens import Consent

        made = Consent(application, Path(os.environ["BENCH_FOLDER"]) / "volens.toml")
        made.gateway()
        gc.collect()
        gc.freeze()  # as docs/how-to/asgi.md advises
        return made
    if name == "behind":
        from granian.utils.proxies import wrap_asgi_with_proxy_headers

        return wrap_asgi_with_proxy_headers(__getattr__("consent"), trusted_hosts=["127.0.0.1"])
    raise AttributeError(name)


def configuration(folder: Path, ledger: str) -> Path:
    """The demonstration's, without its bound on grants and without a hook: nobody is there to be told."""
    file = folder / "volens.toml"
    written = re.sub(r"(?ms)^\[hooks\].*?(?=^\[|\Z)", "", (bench.ROOT / "demo" / "volens.toml").read_text("utf-8"))
    file.write_text(f"ledger = {json.dumps(ledger)}\n{written}\n[limits]\ngrants_a_minute = 100000000\n", "utf-8")
    return file


def answers(port: int) -> dict[str, Load]:
    """What a page of ours posts, with the proof that it held the notice."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_volens/panel", timeout=30) as reply:
        page = reply.read().decode()
    named = re.search(r'name="notice" value="([^"]+)"', page)[1]  # type: ignore[index]
    purposes = list(dict.fromkeys(re.findall(r'name="purposes" value="([^"]+)"', page)))
    common = {"notice": named, "surface": "notice", "language": "fr", "back": "/un/article?page=2"}
    said: list[dict[str, Any]] = [{**common, "answer": "accept"}]
    said += [{**common, "surface": "panel", "answer": "switches", "purposes": purposes[: n + 1]} for n in range(len(purposes) - 1)]
    # A visitor's request, as a browser sends it, with what else the site keeps there.
    fields = {
        "Host": f"127.0.0.1:{port}",
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        "Accept": "*/*",
        "Accept-Language": "fr-FR,fr;q=0.9,en;q=0.8",
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Origin": f"http://127.0.0.1:{port}",
        "Referer": f"http://127.0.0.1:{port}/un/article?page=2",
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Dest": "empty",
        "Cookie": "session=0f3b3c6a9d; aud_visite=8841",
    }
    from urllib.parse import urlencode

    program = {name: value for name, value in fields.items() if not name.startswith("Sec-Fetch-")}  # it is given the receipt at once
    return {
        "json": Load("/_volens/choice", "application/json", tuple(json.dumps(one) for one in said), program),
        "form": Load("/_volens/choice", "application/x-www-form-urlencoded", tuple(urlencode(one, doseq=True) for one in said), fields),
    }


def sqlite_rows(file: Path, query: str) -> Callable[[], int]:
    def count() -> int:
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)
        with contextlib.closing(connection):
            return int(connection.execute(query).fetchone()[0])

    return count


def postgres_rows(url: str, query: str) -> Callable[[], int]:
    def count() -> int:
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            row = connection.execute(query).fetchone()
            return int(row[0]) if row else 0

    return count


RECORDS = "SELECT count(*) FROM {}entries WHERE id IS NOT NULL"


@contextlib.contextmanager
def volens(kind: str, folder: Path, ledger: str = "ledger.db", workers: int = 1) -> Iterator[Server]:
    """The middleware under uvicorn or granian, or the proxy."""
    port = bench.free_port()
    config = configuration(folder, ledger)
    listen = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    command = {
        "uvicorn": ["-m", "uvicorn", "grants:consent", *listen, "--no-access-log", "--log-level", "warning"],
        "granian": ["-m", "granian", "grants:behind", "--interface", "asgi", *listen, "--no-access-log", "--log-level", "warning"],
        "proxy": ["-m", "volens.cli", "proxy", "--upstream", "http://127.0.0.1:9", "--listen", f"127.0.0.1:{port}", "--config", str(config)]
        + (["--workers", str(workers)] if workers > 1 else []),
    }[kind]
    if ledger == "ledger.db":
        rows = sqlite_rows(folder / ledger, RECORDS.format(""))
    else:
        rows = postgres_rows(ledger, RECORDS.format("volens."))
    with bench.running([sys.executable, *command], port, folder / f"{kind}.log", BENCH_FOLDER=str(folder)) as process:
        yield Server(process.pid, port, answers(port), rows)


# ---------------------------------------------------------------- what others offer

CONSENT = Path(__file__).parent / "consent"


@contextlib.contextmanager
def cookie_consent(folder: Path, python: str, database: str, workers: int) -> Iterator[Server]:
    """django-cookie-consent under gunicorn. Every answer of one visitor is a row for each group."""
    port = bench.free_port()
    more = {"BENCH_DATABASE": database}
    shutil.copy(CONSENT / "cookie_consent_site.py", folder)
    subprocess.run([python, "cookie_consent_site.py", "prepare"], cwd=folder, env={**os.environ, **more}, check=True)
    command = [python, "-m", "gunicorn", "cookie_consent_site:application", "-b", f"127.0.0.1:{port}", "-w", str(workers)]
    command += ["-k", "gthread", "--threads", "8", "--log-level", "warning"]
    query = "SELECT count(*) FROM cookie_consent_logitem"
    rows = postgres_rows(database, query) if "://" in database else sqlite_rows(Path(database), query)
    token = "a" * 32
    fields = {"Host": f"127.0.0.1:{port}", "Cookie": f"csrftoken={token}", "X-CSRFToken": token, "X-Cookie-Consent-Fetch": "1"}
    posted = Load("/accept/", "application/x-www-form-urlencoded", ("cookie_groups=audience",), fields)
    with bench.running(command, port, folder / "django.log", **more) as process:
        yield Server(process.pid, port, {"form": posted}, rows)


@contextlib.contextmanager
def c15t(folder: Path, packages: str, database: str, workers: int) -> Iterator[Server]:
    """c15t's own server on PostgreSQL. Its subjects are new each time, as visitors are."""
    port = bench.free_port()
    more = {"BENCH_DATABASE": database, "BENCH_PACKAGES": packages, "BENCH_PORT": str(port), "BENCH_WORKERS": str(workers)}
    command = ["node", str(CONSENT / "c15t_server.mjs")]
    subprocess.run([*command, "prepare"], env={**os.environ, **more}, check=True)
    preferences = {"necessary": True, "measurement": True, "marketing": False, "functionality": True, "experience": False}
    body: dict[str, Any] = {"type": "cookie_banner", "subjectId": "sub_ID", "domain": "example.com", "preferences": preferences}
    body |= {"metadata": {}, "givenAt": int(time.time() * 1000)}
    posted = Load("/subjects", "application/json", (json.dumps(body),), {"Host": f"127.0.0.1:{port}", "Origin": "http://127.0.0.1"})
    with bench.running(command, port, folder / "c15t.log", **more) as process:
        yield Server(process.pid, port, {"json": posted}, postgres_rows(database, 'SELECT count(*) FROM "consent"'))


Maker = Callable[[Path], contextlib.AbstractContextManager[Server]]


def servers(python: str, packages: str, database: Callable[[], str] | None) -> dict[str, Maker]:
    """All that can be measured here."""
    made: dict[str, Maker] = {
        "volens, SQLite, granian": lambda folder: volens("granian", folder),
        "volens, SQLite, uvicorn": lambda folder: volens("uvicorn", folder),
        "volens, SQLite, proxy": lambda folder: volens("proxy", folder),
    }
    if python:
        for workers in (1, 4):
            made[f"django-cookie-consent, SQLite, {workers}"] = lambda folder, n=workers: cookie_consent(  # type: ignore[misc]
                folder, python, str(folder / "django.db"), n
            )
    if database is not None:
        for workers in (1, 3):
            made[f"volens, PostgreSQL, uvicorn, {workers}"] = lambda folder, n=workers: volens("uvicorn", folder, database(), n)  # type: ignore[misc]
        if python:
            for workers in (1, 3):
                made[f"django-cookie-consent, PostgreSQL, {workers}"] = lambda folder, n=workers: cookie_consent(  # type: ignore[misc]
                    folder, python, database(), n
                )
        if packages:
            for workers in (1, 3):
                made[f"c15t, PostgreSQL, {workers}"] = lambda folder, n=workers: c15t(folder, packages, database(), n)  # type: ignore[misc]
    return made


@contextlib.contextmanager
def postgresql() -> Iterator[Callable[[], str]]:
    """A server of its own, as the tests start it, with room for the load; each call gives the address of a new database."""
    sys.path[:0] = [str(bench.ROOT / "tests" / "ledger"), str(bench.ROOT / "tests")]
    import pg  # type: ignore[import-not-found]  # the tests' own

    server = pg.Server.new("grants")
    server.settings(max_connections="200")
    pg.SETTINGS |= {"max_connections": "200", "shared_buffers": "256MB", "max_wal_size": "2GB"}
    server.start()
    try:
        yield lambda: server.url(server.database())
    finally:
        server.remove()


def ratios(middle: dict[str, dict[str, float]]) -> dict[str, float]:
    """Volens over the others, the same store and as many processes."""
    pairs = {
        "SQLite, over django-cookie-consent, 1 process each": ("volens, SQLite, uvicorn, json", "django-cookie-consent, SQLite, 1, form"),
        "SQLite, 1 process over django-cookie-consent with 4": ("volens, SQLite, uvicorn, json", "django-cookie-consent, SQLite, 4, form"),
    }
    for n in (1, 3):
        ours = f"volens, PostgreSQL, uvicorn, {n}, json"
        pairs[f"PostgreSQL, over django-cookie-consent, {n} each"] = ours, f"django-cookie-consent, PostgreSQL, {n}, form"
        pairs[f"PostgreSQL, over c15t, {n} each"] = ours, f"c15t, PostgreSQL, {n}, json"
    return {name: round(middle[a]["rps"] / middle[b]["rps"], 1) for name, (a, b) in pairs.items() if a in middle and b in middle}


def main() -> None:
    parser = bench.parser(__doc__, "grants")
    parser.add_argument("--seconds", type=float, default=8, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--directory", default=".", help="where the databases are written: a real disk")
    parser.add_argument("--only", nargs="*", help="servers whose name begins so")
    parser.add_argument("--python", default="", help="an interpreter with django-cookie-consent 1.0, gunicorn and psycopg")
    parser.add_argument("--packages", default="", help="a folder where npm has installed @c15t/backend, kysely, pg and @hono/node-server")
    parser.add_argument("--sqlite", action="store_true", help="no PostgreSQL")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed.")
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(dir=options.directory) as temporary, contextlib.ExitStack() as open_ones:
        database = None if options.sqlite else open_ones.enter_context(postgresql())
        made = servers(options.python, options.packages, database)
        chosen = {name: make for name, make in made.items() if not options.only or any(name.startswith(one) for one in options.only)}
        running: dict[str, tuple[Server, dict[str, Path]]] = {}
        for number, (name, make) in enumerate(chosen.items()):
            folder = Path(temporary).resolve() / str(number)
            folder.mkdir()
            server = open_ones.enter_context(make(folder))
            running[name] = server, {kind: one.script(folder / f"{kind}.lua") for kind, one in server.loads.items()}
        for server, scripts in running.values():
            for script in scripts.values():
                warm(server, script, options.connections)
        for _ in range(options.rounds):
            for name, (server, scripts) in running.items():
                for kind, script in scripts.items():
                    told = measured(server, script, options.seconds, options.connections)
                    found.setdefault(f"{name}, {kind}", []).append(told)
                    print(f"{name}, {kind}: {told['rps']:.0f}/s, p50 {told['p50_ms']} p99 {told['p99_ms']} ms", file=sys.stderr)
    middle = {name: {key: round(statistics.median(row[key] for row in rows), 3) for key in rows[0]} for name, rows in found.items()}
    print(
        bench.table(
            [["server", "grants/s", "p50 ms", "p99 ms", "longest ms", "CPU ms"], *([name, *row.values()] for name, row in middle.items())]
        )
    )
    if told := ratios(middle):
        print(bench.table([["times as many", ""], *map(list, told.items())]))
    about = {"seconds": options.seconds, "rounds": options.rounds, "connections": options.connections, "sqlite": sqlite3.sqlite_version}
    bench.write(
        options.out,
        {"format": "volens-benchmark-grants/1", **bench.facts(), **about, "figures": middle, "ratios": ratios(middle), "each": found},
    )


if __name__ == "__main__":
    main()
