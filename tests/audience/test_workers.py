"""Over real sockets: ``volens proxy`` with several workers counts exactly what they served, and is closed in order."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.audience.making import BROWSER, GOOGLEBOT
from tests.running import free_port

ROOT = Path(__file__).parents[2]
CONFIG = """
names = ["site.localhost"]
[controller]
name = "Le Site"
contact = "donnees@site.example"
policy = "/confidentialite"
country = "FR"
[audience]
[proxy]
trusted = ["10.0.0.0/8"]
"""


class Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"<!DOCTYPE html><html lang=fr><title>x</title><p>Bonjour</p>" if "page" in self.path else b"{}"
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Type", "text/html" if "page" in self.path else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Port and process of three workers before an origin."""
    origin = ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    (tmp_path / "volens.toml").write_text(CONFIG, "utf-8")
    command = [sys.executable, "-m", "volens.cli", "proxy", "--config", str(tmp_path / "volens.toml"), "--workers", "3"]
    command += ["--upstream", f"http://127.0.0.1:{origin.server_port}", "--listen", "127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as process:
        assert process.stdout is not None
        port = int(re.search(r"127\.0\.0\.1:(\d+) ->", process.stdout.readline())[1])  # type: ignore[index]
        yield port, process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    origin.shutdown()
    origin.server_close()


def ask(port: int, paths: list[str], **changed: str) -> list[int]:
    fields = {name.decode(): value.decode() for name, value in BROWSER.items()}
    fields |= {"Host": "site.localhost", **{name.replace("_", "-"): value for name, value in changed.items()}}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    found = []
    for path in paths:
        connection.request("GET", path, headers=fields)
        answer = connection.getresponse()
        answer.read()
        found.append(answer.status)
    connection.close()
    return found


def figures(port: int, **fields: str) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/_volens/admin/audience.json?days=7", headers={"Host": "localhost", **fields})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body) if answer.status == 200 else {}


def counted(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / "volens-audience.db") as file:
        return dict(file.execute("SELECT kind || ' ' || name, n FROM views WHERE kind IN ('path', 'device')"))


def test_workers_count_together_exactly_what_they_served(site: tuple[int, subprocess.Popen[str]], tmp_path: Path) -> None:
    port, process = site
    with ThreadPoolExecutor(12) as pool:
        jobs = [pool.submit(ask, port, [f"/page/{n % 5}" for n in range(100)]) for _ in range(30)]
        jobs += [pool.submit(ask, port, ["/page/robot"] * 20, user_agent=GOOGLEBOT.decode()) for _ in range(5)]
        jobs += [pool.submit(ask, port, ["/page/missing", "/api"] * 10) for _ in range(5)]
        jobs += [pool.submit(ask, port, ["/page/objector"] * 20, cookie="volens-audience=0") for _ in range(5)]
        answered = [status for job in jobs for status in job.result()]
    assert answered.count(200) == 3000 + 100 + 50 + 100 and answered.count(404) == 50
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert counted(tmp_path) == {**{f"path /page/{n}": 600 for n in range(5)}, "device desktop": 3000, "device bot": 100}


def test_the_proxy_s_own_machine_enters_and_a_front_it_does_not_trust_does_not(site: tuple[int, subprocess.Popen[str]]) -> None:
    port, _ = site
    ask(port, ["/page"])
    status, told = figures(port)
    assert status == 200 and told["format"] == "volens-audience/1"
    assert figures(port, **{"X-Forwarded-For": "127.0.0.1"})[0] == 403, "loopback is no trusted front here"
    assert figures(port, **{"X-Real-IP": "127.0.0.1"})[0] == 403
    assert figures(port, Host="site.example")[0] == 403


APPLICATION = """
from volens import Consent

async def page(scope, receive, send):
    if scope["type"] == "lifespan":
        for told in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{told}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"<!DOCTYPE html><title>x</title><p>Bonjour"})

app = Consent(page, "volens.toml")
"""


def test_an_asgi_server_that_ends_by_the_signal_it_was_sent_loses_no_view(tmp_path: Path) -> None:
    """uvicorn sends itself the signal again, so no exit functions run."""
    (tmp_path / "volens.toml").write_text(CONFIG, "utf-8")
    (tmp_path / "site_behind.py").write_text(APPLICATION, "utf-8")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "site_behind:app", "--port", str(port), "--log-level", "info"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        assert any("Uvicorn running" in line for line in process.stderr)
        assert ask(port, ["/page"] * 20) == [200] * 20
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    assert counted(tmp_path) == {"path /page": 20, "device desktop": 20}
