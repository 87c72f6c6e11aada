"""What changes without a restart: the configuration, the keys, the bypass."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, Thread

import pytest

from tests.enforce.making import NOW
from tests.running import until
from tests.web.making import FORM, SAME, Visitor, request
from volens.cli import main
from volens.errors import ConfigError
from volens.web import keys, live
from volens.web.live import Opened, bypass_state, packaged

ROOT = Path(__file__).parents[2]
CONFIG = """
names = ["site.localhost"]
[controller]
name = "Le Site"
contact = "donnees@site.example"
policy = "/confidentialite"
country = "FR"
[services.videotube]
name = "VideoTube"
purposes = ["video"]
hosts = ["videotube.example"]
controller = "VideoTube SA"
policy = "https://videotube.example/p"
"""
PAGE = b'<!DOCTYPE html><html lang=fr><title>x</title><p>Bonjour<script src="https://cdn.example/a.js"></script>'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "volens.toml"
    path.write_text(CONFIG, "utf-8")
    return path


@pytest.fixture
def opened(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    monkeypatch.setattr(live, "LOOK", 0.0)
    made = packaged(file)
    yield made
    made.close()


def page(opened: Opened) -> bytes:
    visit = opened.visit(request("GET", "/a", [(b"accept", b"text/html"), (b"sec-fetch-dest", b"document")], host="site.localhost"))
    return visit.whole(200, [(b"content-type", b"text/html; charset=utf-8")], PAGE)[2]


def written(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")


def test_a_host_declared_own_is_let_in_without_a_restart(file: Path, opened: Opened) -> None:
    assert b' src="https://cdn.example/a.js"' not in page(opened)
    written(file, 'names = ["site.localhost"]', 'names = ["site.localhost"]\nhosts = ["cdn.example"]')
    assert until(lambda: b' src="https://cdn.example/a.js"' in page(opened))


def test_a_mistake_changes_nothing_and_is_told(file: Path, opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    before = opened()
    written(file, 'names = ["site.localhost"]', 'names = ["site.localhost"]\nhosst = ["cdn.example"]')
    assert until(lambda: (opened(), "hosst" in caplog.text)[1]) and opened() is before
    written(file, "hosst", "hosts")
    assert until(lambda: opened() is not before) and b' src="https://cdn.example/a.js"' in page(opened)


def test_grants_outlive_what_is_read_again_and_the_ledger_is_the_same(file: Path, opened: Opened) -> None:
    before = opened()
    visitor = Visitor(before, host="site.localhost")
    notice = before.named(before.site("site.localhost"))
    body = f"notice={notice}&answer=accept&back=%2Fa".encode()
    assert visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], body).status == 303
    written(file, 'names = ["site.localhost"]', 'names = ["site.localhost"]\nhosts = ["cdn.example"]')
    assert until(lambda: opened() is not before)
    again = opened()
    assert again.store is before.store and again.endpoints.rate is before.endpoints.rate
    assert again.visit(request("GET", "/a", visitor.cookie(), host="site.localhost")).grant.allows("video")


def test_a_file_half_written_is_not_read(file: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened()
    states = iter([((1, 1, 1),), ((2, 2, 2),), ((3, 3, 3),)])
    monkeypatch.setattr(opened, "_stat", lambda: next(states, ((3, 3, 3),)))
    for _ in range(3):
        assert opened() is before
    assert until(lambda: opened() is not before)


def test_a_key_is_replaced_and_no_grant_is_lost(file: Path, opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    before = opened()
    visitor = Visitor(before, host="site.localhost")
    notice = before.named(before.site("site.localhost"))
    body = f"notice={notice}&answer=accept&back=%2Fa".encode()
    visitor.send("POST", "/_volens/choice", [(b"content-type", FORM), *SAME], body)
    allows = lambda: opened().visit(request("GET", "/a", visitor.cookie(), host="site.localhost")).grant.allows("video")
    assert allows()
    path = file.with_name("volens.keys")
    first = keys.describe(path)[0]["id"]
    assert main(["keys", "add", "--config", str(file)]) == 0
    assert [key["does"] for key in keys.describe(path)] == ["signs", "waits"]
    assert until(lambda: len(opened().keys) == 2) and opened().keys[0] == before.keys[0] and allows()
    assert main(["keys", "use", "--config", str(file)]) == 0
    assert until(lambda: opened().keys[1] == before.keys[0]) and allows()
    assert keys.describe(path)[1]["id"] == first and keys.describe(path)[1]["until"] == f"{datetime.now(UTC):%Y-%m-%d}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    capsys.readouterr()
    assert main(["keys", "drop", "--config", str(file)]) == 2 and "asked again" in capsys.readouterr().err and len(keys.describe(path)) == 2
    assert main(["keys", "drop", "--force", "--config", str(file), "--json"]) == 0
    assert [key["does"] for key in json.loads(capsys.readouterr().out)] == ["signs"] and allows() is not None
    assert until(lambda: not allows()), "its key is gone: doubt means not granted"


def test_a_key_is_dropped_once_all_it_proved_has_expired(tmp_path: Path) -> None:
    path = tmp_path / "volens.keys"
    keys.open_keys(path)
    keys.change(path, "rotate", date(2026, 1, 31), 6)
    with pytest.raises(ConfigError, match="asked again"):
        keys.change(path, "drop", date(2026, 7, 31), 6)
    keys.change(path, "drop", date(2026, 8, 1), 6)
    assert [key["does"] for key in keys.describe(path)] == ["signs"]
    for action, why in (("drop", "no key but"), ("use", "no key that waits")):
        with pytest.raises(ConfigError, match=why):
            keys.change(path, action, date(2026, 8, 1), 6)


@pytest.mark.parametrize("content", ["", "zz", "00" * 31, "00" * 32 + " waiting", "00" * 32 + " other", "é"])
def test_a_file_that_is_no_keys_is_refused_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "volens.keys"
    path.write_text(content, "utf-8")
    for call in (lambda: keys.open_keys(path), lambda: keys.change(path, "rotate", NOW.date(), 6)):
        with pytest.raises(ConfigError):
            call()
    assert path.read_text("utf-8") == content and list(tmp_path.iterdir()) == [path]


def test_many_that_begin_at_once_hold_one_key(tmp_path: Path) -> None:
    for name in map(str, range(20)):
        found: list[tuple[bytes, ...]] = []
        together = Barrier(16)

        def begin(path: Path = tmp_path / name, found: list[tuple[bytes, ...]] = found, together: Barrier = together) -> None:
            together.wait()
            found.append(keys.open_keys(path))

        threads = [Thread(target=begin) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 16 and len(set(found)) == 1
    assert len(list(tmp_path.iterdir())) == 20


@pytest.mark.parametrize("content", [b"", b"on", b"[]", b"\xff\xff", b'{"bypass": "maybe"}', b'{"bypass": "on"}\n{"byp', b"[" * 5000])
def test_a_bypass_file_that_says_nothing_says_off(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "volens.bypass"
    path.write_bytes(content)
    assert bypass_state(path)["bypass"] == "off" == bypass_state(tmp_path / "none")["bypass"]


class Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        pass


def test_every_worker_is_bypassed_by_one_command_and_reads_a_new_configuration_under_load(file: Path) -> None:
    origin = ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    Thread(target=origin.serve_forever, daemon=True).start()
    command = [sys.executable, "-m", "volens.cli", "proxy", "--config", str(file), "--workers", "3"]
    command += ["--upstream", f"http://127.0.0.1:{origin.server_port}", "--listen", "127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    log = file.with_name("log").open("w+")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            port = int(re.search(r"127\.0\.0\.1:(\d+) ->", process.stdout.readline())[1])  # type: ignore[index]

            def get() -> bytes:
                asked = urllib.request.Request(f"http://127.0.0.1:{port}/a", headers={"Host": "site.localhost", "Accept": "text/html"})
                with urllib.request.urlopen(asked, timeout=30) as answer:
                    return bytes(answer.read())

            def all_say(true: Callable[[bytes], bool]) -> bool:
                return all(true(get()) for _ in range(12))

            assert all_say(lambda text: b"volens" in text)
            assert main(["bypass", "on", "--reason", "panne", "--config", str(file)]) == 0
            assert until(lambda: all_say(lambda text: text == PAGE), 30)
            assert main(["bypass", "off", "--config", str(file)]) == 0
            assert until(lambda: all_say(lambda text: b"volens" in text and b' src="https://cdn' not in text), 30)
            written(file, 'names = ["site.localhost"]', 'names = ["site.localhost"]\nhosts = ["cdn.example"]')
            assert until(lambda: all_say(lambda text: b' src="https://cdn' in text), 30)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            origin.shutdown()
            origin.server_close()
    log.seek(0)
    told = log.read()
    assert told.count("Volens is bypassed") >= 1 and "no longer bypassed" in told and "was read again" in told
    said = [json.loads(line) for line in file.with_name("volens.bypass").read_text("utf-8").splitlines()]
    assert [line["bypass"] for line in said] == ["on", "off"] and said[0]["reason"] == "panne" and all(line["by"] for line in said)


def test_what_changed_between_reading_and_the_first_request_is_seen(file: Path, opened: Opened) -> None:
    """As in a worker that a server forks long after it read the configuration: it must not go on with the old one for ever."""
    keys.open_keys(Path(opened.loaded.keys))
    written(file, '"video"', '"publicite"')
    page(opened)
    assert until(lambda: page(opened) and opened.loaded.site.notice.service["videotube"].purposes == ("publicite",))
