"""Folders of pages: served with everything working, and built for web servers that know nothing of Volens."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.frameworks.conftest import EXAMPLES, ROOT
from tests.frameworks.journeys import STATES, TRACKER, VIDEO, Visitor, allowed
from tests.running import free_port, until_listening
from volens.web.folder import serving as serving_folder

PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The bridge</title></head><body><h1>Le pont d’été</h1>
{VIDEO}dQw4w9WgXcQ" width="560" height="315"></iframe>{TRACKER}></script><a href="/far/">Far</a>
<script>localStorage.setItem("kept", "x")</script></body></html>"""


def volens(*words: str) -> list[str]:
    return [sys.executable, "-m", "volens.cli", *words]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``pages`` and ``volens.toml``."""
    made = tmp_path_factory.mktemp("static")
    shutil.copy(EXAMPLES / "site.toml", made / "volens.toml")
    pages = made / "pages"
    (pages / "far").mkdir(parents=True)
    (pages / "index.html").write_text(PAGE)
    (pages / "far" / "index.html").write_text(PAGE.replace("bridge", "road"))
    (pages / "about.html").write_text(PAGE)
    (pages / "404.html").write_text(f"<!doctype html><title>Not here</title><h1>Not here</h1>{TRACKER}></script>")
    (pages / "data.bin").write_bytes(bytes(range(256)) * 5000)
    (pages / "style.css").write_text("body { color: red }")
    (pages / ".secret").write_text("secret")
    (pages / "way-out").symlink_to(made)
    return made


@pytest.fixture(scope="module")
def serving(folder: Path) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen(volens("serve", "pages", "--listen", f"127.0.0.1:{port}"), cwd=folder, env=ENVIRONMENT)
    until_listening(process, port)
    yield port
    process.terminate()
    assert process.wait(15) == 0


@pytest.mark.parametrize("state", STATES)
def test_a_folder_is_served_in_every_state(serving: int, state: str) -> None:
    visitor = Visitor(serving)
    visitor.choose(state)
    for path, status in (("/", 200), ("/far/", 200), ("/about", 200), ("/about.html", 200), ("/missing", 404)):
        page = visitor.get(path)
        assert page.status == status, path
        assert (TRACKER in page.text) is allowed(state, "personnalisation")
        assert (VIDEO in page.text) is (allowed(state, "video") and status == 200)
        assert ("Refuse all" in page.text) is (state == "none")
    moved = visitor.get("/far?x=1")
    assert (moved.status, moved.headers["Location"]) == (301, "/far/?x=1")
    assert visitor.get("/data.bin", Sec_Fetch_Dest="empty").body == bytes(range(256)) * 5000
    part = visitor.get("/data.bin", Sec_Fetch_Dest="video", Range="bytes=10-19")
    assert (part.status, part.body) == (206, bytes(range(10, 20)))
    assert visitor.send("POST", "/", b"x=1", "application/x-www-form-urlencoded").status == 405


def test_what_is_not_the_folders_is_not_served(serving: int) -> None:
    visitor = Visitor(serving)
    for path in (
        "/.secret",
        "/way-out/volens.toml",
        "/way-out/",
        "/%2e%2e/volens.toml",
        "/..%2fvolens.toml",
        "/%5c..%5cvolens.toml",
        "/a%00b",
    ):
        assert visitor.get(path).status in (400, 404), path


def test_the_page_of_what_is_not_there_is_the_folder_s_own(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "404.html").symlink_to(tmp_path / "secret")
    with serving_folder(tmp_path / "pages") as address, pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address + "/no", timeout=30)
    with refused.value as answer:
        assert (answer.status, answer.read()) == (404, b"Not found.\n")


def test_what_proves_and_records_is_not_published(tmp_path: Path) -> None:
    """``volens.toml`` in the folder itself would put keys, ledger and the hook's secret beside it, a click away."""
    shutil.copy(EXAMPLES / "site.toml", tmp_path / "volens.toml")
    (tmp_path / "index.html").write_text(PAGE)
    for words in (("serve", ".", "--listen", f"127.0.0.1:{free_port()}"), ("build", ".", str(tmp_path.parent / "made"))):
        done = subprocess.run(volens(*words), cwd=tmp_path, env=ENVIRONMENT, capture_output=True, timeout=60)
        assert done.returncode == 2 and b"volens.toml" in done.stderr, done.stderr
    assert not (tmp_path / "volens.keys").exists() and not (tmp_path.parent / "made").exists()


def test_no_file_of_the_folder_is_run_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may put a page there must not run a program as whoever serves it."""
    planted = folder / "pages" / "asyncio.py"
    planted.write_text("print('http://127.0.0.1:9', flush=True)")
    monkeypatch.chdir(folder / "pages")
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
    try:
        with serving_folder(Path()) as address, urllib.request.urlopen(address + "/style.css", timeout=30) as answer:
            assert answer.read() == b"body { color: red }"
    finally:
        planted.unlink()


@pytest.fixture(scope="module")
def built(folder: Path) -> Path:
    """What ``volens build`` makes: told by its own words."""
    done = subprocess.run(volens("build", "pages", "out", "--json"), cwd=folder, env=ENVIRONMENT, capture_output=True, check=True)
    told = json.loads(done.stdout)
    assert (told["pages"], told["files"], told["asks"]) == (4, 6, False)
    return folder / "out"


def test_a_built_page_is_that_of_a_visitor_who_refused_and_asks_nothing(built: Path) -> None:
    for name in ("index.html", "far/index.html", "about.html", "404.html"):
        page = (built / name).read_text()
        assert TRACKER not in page and VIDEO not in page and "<volens-notice" not in page and "<form" not in page
        assert page.index("http-equiv") < page.index("<script") and "default-src" in page
    assert (built / "data.bin").read_bytes() == bytes(range(256)) * 5000
    assert not (built / ".secret").exists() and not (built / "way-out").exists()


def test_a_page_s_name_is_no_line_of_a_server_s_configuration(tmp_path: Path) -> None:
    """Who may name a page must not so configure the server, nor set the policy of other pages."""
    shutil.copy(EXAMPLES / "site.toml", tmp_path / "volens.toml")
    (tmp_path / "pages").mkdir()
    names = ('a">\nSetHandler x\n<.html', "b\n  X-Set: 1\n.html", 'c" "$host', "*.html")
    for name in (*names, "plain (1).html"):
        (tmp_path / "pages" / name).write_text(PAGE)
    done = subprocess.run(volens("build", "pages", "out"), cwd=tmp_path, env=ENVIRONMENT, capture_output=True)
    assert done.returncode == 0, done.stderr
    for file in (tmp_path / "out" / "_headers", tmp_path / "out" / ".htaccess", tmp_path / "out.nginx-http.conf"):
        said = file.read_text()
        assert "plain (1).html" in said and not any(word in said for word in ("SetHandler", "X-Set", "$host", "*.html")), file
    assert all("http-equiv" in (tmp_path / "out" / name).read_text() for name in names if name.endswith(".html"))


def test_a_folder_of_others_is_left_alone(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "letter.txt").write_text("dear")
    for out in ("mine", "pages", "pages/out", "."):
        done = subprocess.run(volens("build", "pages", out), cwd=folder, env=ENVIRONMENT, capture_output=True)
        assert done.returncode == 2 and b"OUT" in done.stderr, out
    assert (folder / "mine" / "letter.txt").read_text() == "dear"


def nginx(folder: Path, out: Path, port: int) -> subprocess.Popen[bytes]:
    if not shutil.which("nginx") and not Path("/usr/sbin/nginx").exists():
        pytest.skip("nginx is not installed")
    configuration = folder / f"nginx-{port}.conf"
    configuration.write_text(
        f"{'user root; ' if os.getuid() == 0 else ''}daemon off; pid {folder}/nginx-{port}.pid; error_log {folder}/nginx.log; events {{}}\n"
        f"http {{ types {{ text/html html; text/css css; text/javascript js; }} access_log off;\n"
        f"include {out}.nginx-http.conf;\n"
        f"server {{ listen 127.0.0.1:{port}; root {out}; error_page 404 /404.html; include {out}.nginx-server.conf;\n"
        "location / { try_files $uri $uri/ $uri.html =404; } } }\n"
    )
    process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(configuration), "-e", str(folder / "nginx.log")])
    until_listening(process, port)
    return process


def test_what_stands_in_for_a_consent_tool_is_there(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "site.toml", tmp_path / "volens.toml")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text(
        '<!doctype html><title>x</title><script src="https://cdn.kiprotect.com/klaro/v0.7/klaro.js"></script>'
    )
    subprocess.run(volens("build", "pages", "out"), cwd=tmp_path, env=ENVIRONMENT, check=True)
    found = re.search(r'<script src="/(_volens/instead-klaro-\w+\.js)"', (tmp_path / "out" / "index.html").read_text())
    assert found and "is withheld" in (tmp_path / "out" / found[1]).read_text()


def test_nginx_sends_the_headers_that_the_build_wrote(folder: Path, built: Path) -> None:
    port = free_port()
    process = nginx(folder, built, port)
    try:
        for path in ("/", "/far/", "/about"):
            page = Visitor(port).get(path)
            assert page.status == 200 and "default-src 'self'" in page.headers["Content-Security-Policy"], path
        assert "Content-Security-Policy" not in Visitor(port).get("/style.css").headers
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("state", STATES)
def test_in_front_of_volens_serve_nginx_serves_who_has_not_answered(folder: Path, serving: int, state: str) -> None:
    out = folder / f"asking-{state}"
    server = f"http://127.0.0.1:{serving}"
    subprocess.run(volens("build", "pages", str(out), "--server", server), cwd=folder, env=ENVIRONMENT, check=True)
    port = free_port()
    process = nginx(folder, out, port)
    try:
        visitor = Visitor(port)
        first = visitor.get("/")
        assert "Refuse all" in first.text and TRACKER not in first.text
        visitor.choose(state)
        for path in ("/", "/far/"):
            page = visitor.get(path)
            assert page.status == 200 and (TRACKER in page.text) is allowed(state, "personnalisation"), path
            assert (VIDEO in page.text) is allowed(state, "video")
            assert ("Refuse all" in page.text) is (state == "none")
        assert TRACKER not in Visitor(port).get("/").text, "nobody has another's page"
    finally:
        process.terminate()
        process.wait(10)


def test_in_a_browser_a_built_page_loads_and_keeps_nothing(chromium: Any, folder: Path, built: Path) -> None:
    """Served by a web server that knows of none of it: the policy and the guard are in the page."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(built))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        context = chromium.new_context()
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/", wait_until="load")
        assert page.locator("h1").first.inner_text() == "Le pont d’été", "the encoding is still found"
        page.frame_locator("iframe").get_by_role("link", name="Open on youtube.com").wait_for()
        assert page.frame_locator("iframe").get_by_role("button").count() == 0
        refused = page.evaluate("fetch('https://www.google-analytics.com/g/collect').then(() => 'sent', () => 'refused')")
        assert refused == "refused" and page.evaluate("localStorage.getItem('kept')") == "x"
        page.reload()
        session = context.new_cdp_session(page)
        session.send("DOMStorage.enable")
        where = {"securityOrigin": f"http://127.0.0.1:{server.server_port}", "isLocalStorage": True}
        assert session.send("DOMStorage.getDOMStorageItems", {"storageId": where})["entries"] == []
        assert not [url for url in asked if "127.0.0.1" not in url], "nothing of others was asked for"
        context.close()
        server.shutdown()
