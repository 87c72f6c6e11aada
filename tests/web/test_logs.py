"""Nothing of a person is in a log line: no address, cookie, query, user agent, whatever is sent and whatever breaks."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from tests.running import free_port, until
from volens.web.logs import Json

ROOT = Path(__file__).parents[2]
CONFIG = """
names = ["site.localhost"]
[controller]
name = "Le Site"
contact = "donnees@site.example"
policy = "/confidentialite"
[services.youtube]
"""
MARKS = (
    "198.51.100.77",
    "mark-cookie",
    "mark-query",
    "mark-agent",
    "mark-referer",
    "mark-authorization",
    "mark-body",
    "mark-answer",
    "127.0.0.66",
)
FIELDS = (
    b"X-Forwarded-For: 198.51.100.77\r\nForwarded: for=198.51.100.77\r\n"
    b"Cookie: id=mark-cookie; volens=mark-cookie; volens-record=1.mark-cookie\r\n"
    b"Connection: close\r\nUser-Agent: mark-agent\r\n"
    b"Referer: http://x/?mark-referer\r\nAuthorization: Bearer mark-authorization\r\nAccept: text/html\r\n"
)
HOSTILE = [
    b"GET /a?mark-query=1 HTTP/1.1\r\nHost: site.localhost\r\n%s\r\n",
    b"GET http://[mark-query/ HTTP/1.1\r\nHost: site.localhost\r\n%s\r\n",
    b"GET /\xff\xfe?mark-query\xff HTTP/1.1\r\nHost: site.localhost\r\n%s\r\n",
    b"GET /a HTTP/1.1\r\nHost: mark-query@x\r\n%s\r\n",
    b"GET /a HTTP/1.1\r\nHost: site.localhost\r\nmark-cookie: a\x00b\r\n%s\r\n",
    b"GET /a HTTP/1.1\r\nHost: site.localhost\r\nmark-cookie\r\n%s\r\n",
    b"mark-query mark-query mark-query\r\n%s\r\n",
    b"POST /_volens/choice HTTP/1.1\r\nHost: site.localhost\r\nContent-Length: 9\r\nContent-Type: application/json\r\n%s\r\nmark-body",
    b"POST /a HTTP/1.1\r\nHost: site.localhost\r\nTransfer-Encoding: chunked\r\n%s\r\nmark-body\r\n",
    b"POST /_volens/choice?surface=gate&back=//mark-query HTTP/1.1\r\nHost: site.localhost\r\nContent-Length: 12\r\n%s\r\na=mark-body%%",
    b"GET /_volens/embed/frame?u=http://[mark-query HTTP/1.1\r\nHost: site.localhost\r\n%s\r\n",
    b"GET /_volens/admin/audience?mark-query HTTP/1.1\r\nHost: site.localhost\r\n%s\r\n",
    b"GET /broken?mark-query HTTP/1.1\r\nHost: site.localhost\r\n%s\r\n",
    b"GET /cut?mark-query HTTP/1.1\r\nHost: site.localhost\r\n%s\r\n",
    b"GET /gone?mark-query HTTP/1.1\r\nHost: site.localhost\r\n%s\r\n",
    b"GET /odd?mark-query HTTP/1.1\r\nHost: site.localhost\r\n%s\r\n",
]
ANSWERS = {
    b"/broken": b"HTTP/1.1 200 OK\r\nSet-Cookie\x00: mark-answer\r\nmark-answer\r\n\r\n",
    b"/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\nSet-Cookie: id=mark-answer\r\n\r\nmark-answer",
    b"/gone": b"",
    b"/odd": b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=mark-answer\r\nContent-Encoding: gzip\r\n"
    b"Content-Length: 11\r\n\r\nmark-answer",
}
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 14\r\nConnection: close\r\n\r\n<p>mark-answer"


def upstream(listener: socket.socket) -> None:
    while True:
        try:
            met, _ = listener.accept()
        except OSError:
            return
        with met:
            head = met.recv(65536)
            path = head.split(b" ")[1].partition(b"?")[0] if head.count(b" ") > 1 else b""
            met.sendall(ANSWERS.get(path, PLAIN))


def test_no_line_holds_anything_of_a_person(tmp_path: Path) -> None:
    (tmp_path / "volens.toml").write_text(CONFIG)
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=upstream, args=(listener,), daemon=True).start()
        command = [sys.executable, "-m", "volens.cli", "proxy", "--config", "volens.toml", "--listen", f"127.0.0.1:{port}"]
        command += [
            "--upstream",
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            "--access-log",
            "--log-format",
            "json",
            "--trust",
            "127.0.0.66",
        ]
        log = tmp_path / "log"
        with open(log, "wb") as out:
            process = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
        try:
            assert until(lambda: "volens proxy: http" in log.read_text())
            began = log.stat().st_size
            for whence in ("127.0.0.66", "127.0.0.67"):
                for request in HOSTILE:
                    with socket.create_connection(("127.0.0.1", port), 30, (whence, 0)) as sock:
                        sock.settimeout(0.7)  # of what never ends, enough
                        with suppress(OSError):
                            sock.sendall(request % FIELDS)
                            while sock.recv(65536):
                                pass
            (tmp_path / "volens.toml").write_text(CONFIG + "\nx = 1")

            def told() -> bool:
                with socket.create_connection(("127.0.0.1", port), 30) as sock:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: site.localhost\r\nConnection: close\r\n\r\n")
                    sock.recv(10)
                return '"warning"' in log.read_text()

            assert until(told), "a file with a mistake is told of"
        finally:
            process.terminate()
            process.wait(20)
    text = log.read_bytes()[began:].decode()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) >= 20 and all({"time", "level", "logger"} <= set(line) for line in lines)
    assert sum(line["logger"] == "volens.access" for line in lines) >= 15 and any(line["level"] == "warning" for line in lines)
    low = text.lower()
    assert [mark for mark in (*MARKS, "127.0.0.67") if mark in low] == []


def test_of_others_only_what_the_program_wrote_is_told() -> None:
    """A server's own line names who asked, and an error quotes what was sent."""
    try:
        raise ValueError("mark-cookie")
    except ValueError as error:
        found = (ValueError, error, error.__traceback__)
    told = Json().format(logging.LogRecord("aiohttp.server", logging.ERROR, "x.py", 1, "Error for %s", ("198.51.100.77",), found))
    line = json.loads(told)
    assert (line["message"], line["error"]) == ("Error for %s", "ValueError") and "test_of_others" in line["at"][0]
    assert [mark for mark in MARKS if mark in told] == []
