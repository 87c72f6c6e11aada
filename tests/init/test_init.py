"""``volens init``: a real site on this machine is visited, and what is written for it is what holds before it."""

from __future__ import annotations

import io
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from internet import Internet, internet

from volens import survey
from volens.catalog import Catalog
from volens.check import ARGUMENTS, chromium
from volens.check import run as check
from volens.cli import main
from volens.config import load
from volens.errors import ConfigError
from volens.init import Progress, judge, write

ROOT = Path(__file__).parents[2]
Init = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def net() -> Iterator[Internet]:
    with internet() as net:
        yield net


@pytest.fixture
def init(net: Internet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Init:
    """``volens init`` in an empty folder: its status, its JSON, and what it said on standard error."""
    monkeypatch.chdir(tmp_path)

    def run(url: str = "http://www.example.org/", *more: str) -> tuple[int, dict[str, Any], str]:
        status = main(["init", url, "--json", "--resolve", net.resolve, *more])
        said = capsys.readouterr()
        return status, json.loads(said.out or "{}"), said.err

    return run


def judged(found: dict[str, Any]) -> dict[str, str]:
    return {one["host"]: one["is"] for one in found["hosts"]}


def commented(text: str) -> set[str]:
    """The proposals that stand as comments."""
    return set(re.findall(r'^  # "([^"]+)"', text, re.MULTILINE))


@pytest.mark.parametrize("browser", ["--browser", "--no-browser"])
def test_what_is_certain_is_written_and_what_is_doubtful_is_a_comment(browser: str, init: Init, tmp_path: Path) -> None:
    status, found, err = init("http://www.example.org/", "--pages", "3", browser, "--contact", "claire@example.org")
    assert status == 0 and found["how"] == ("chromium" if browser == "--browser" else "requests")
    assert len(re.findall(r"^[123]/\d+ http", err, re.MULTILINE)) == 3 == len(found["pages"])
    text = (tmp_path / "volens.toml").read_text("utf-8")
    values = tomllib.loads(text)
    assert values["names"] == ["www.example.org"]
    assert values["languages"] == ["fr", "en"]
    assert {"static.example.org", "img.example.org", "example-static.b-cdn.net"} <= set(values["hosts"])
    assert not {"stats.example.org", "widgets.nobody-knows.net", "static.chartbeat.com"} & set(values["hosts"])
    assert {"stats.example.org", "widgets.nobody-knows.net", "pics.elsewhere.net"} <= commented(text)
    judgements = judged(found)
    assert judgements["static.chartbeat.com"] == "service" and judgements["cdn.cookielaw.org"] == "tool"
    assert "chartbeat-com" in values["services"] or "chartbeat" in values["services"]
    assert values["services"]["matomo"]["hosts"][0].startswith("/matomo/matomo.")
    assert [tool["id"] for tool in found["tools"]] == ["onetrust"] and '# notice = "theirs"' in text
    assert values["controller"] == {
        "name": 'Dourelle "SAS" names = ["evil.example"]',
        "contact": "claire@example.org",
        "policy": "/vie-privee",
        "dpo": "dpo@example.org",
        "address": "4 quai des Tanneurs, 00000, Montvière",
        "country": "FR",
    }
    keys = {(key["name"], key.get("medium", "cookie")): key for key in values["storage"]}
    assert keys["dourelle_session", "cookie"]["days"] == 0 and ("theme", "local") in keys
    assert ("reading", "cookie") not in keys and '# name = "reading"' in text
    assert '# path = "/commentaires/poster"' in text and '# path = "/auth/facebook*"' in text
    assert "passive" not in values and "# passive = false" in text
    assert [frame["url"] for frame in found["frames"]] == ["http://player.twitch.tv/"]
    media = {(one["name"], one["medium"]) for one in found["storage"]}
    assert {("reading", "cookie"), ("theme", "local"), ("draft", "session")} <= media
    if browser == "--browser":
        assert ("offline-articles", "indexeddb") in media
        assert {(one["name"], one["server"], one["first"]) for one in found["storage"] if one["host"] == "static.chartbeat.com"} == {
            ("uid", True, False)
        }
    assert found["blanks"] == []
    assert check(tmp_path / "volens.toml", browser=False, out=io.StringIO()) == 0


def test_a_proposal_holds_once_its_sign_is_removed(init: Init, tmp_path: Path) -> None:
    """As an operator would: another consent tool may ask, hosts are ours, keys are technical."""
    assert init("http://www.example.org/", "--pages", "3", "--no-browser")[0] == 0
    text = (tmp_path / "volens.toml").read_text("utf-8")
    kept = text[text.index("# Kept too") : text.index("# Gates:")]
    text = text.replace(
        kept,
        kept.partition("\n")[2].replace("# [[", "[[").replace("# name", "name").replace("# medium", "medium").replace("# days", "days"),
    )
    for sign in ('# notice = "theirs"', "# theirs = {", '  # "', '# mode = "observe"', "# passive"):
        assert sign in text
        text = text.replace(sign, sign.replace("# ", "", 1))
    (tmp_path / "volens.toml").write_text(text, "utf-8")
    site = load(tmp_path / "volens.toml", Catalog.packaged()).site
    assert site.theirs is not None and site.theirs.tool.id == "onetrust" and site.mode == "observe" and not site.passive
    assert {"widgets.nobody-knows.net", "pics.elsewhere.net", "stats.example.org"} <= set(site.hosts)
    assert {("reading", "cookie"), ("draft", "session")} <= {(key.name, key.medium) for key in site.storage}


def test_blanks_are_named_by_file_line_and_what_to_write_and_check_says_the_same(init: Init, net: Internet, tmp_path: Path) -> None:
    status, found, _ = init(f"http://127.0.0.1:{net.port}/article/9", "--pages", "1", "--no-browser")
    assert status == 0
    assert [blank["place"].partition(" [")[2] for blank in found["blanks"]] == ["controller] name", "controller] contact"]
    lines = (tmp_path / "volens.toml").read_text("utf-8").splitlines()
    for blank in found["blanks"]:
        number = int(re.match(r"line (\d+)", blank["place"])[1])  # type: ignore[index]
        assert lines[number - 1].endswith(("(GDPR 13)", "exercised")) and "…" in lines[number - 1]
        assert blank["file"] == "volens.toml" and blank["remedy"].startswith("Write ")
    assert lines[1].startswith("# 2 blanks to fill")
    out = io.StringIO()
    assert check(tmp_path / "volens.toml", json=True, browser=False, out=out) == 1
    assert [m["place"] for m in json.loads(out.getvalue())["mistakes"]] == [blank["place"] for blank in found["blanks"]]
    filled = (
        (tmp_path / "volens.toml").read_text("utf-8").replace('name = "…"', 'name = "A"', 1).replace('contact = "…"', 'contact = "/a"', 1)
    )
    (tmp_path / "volens.toml").write_text(filled, "utf-8")
    loaded = load(tmp_path / "volens.toml", Catalog.packaged())
    assert loaded.upstream == f"http://127.0.0.1:{net.port}" and loaded.site.notice.scope == ("127.0.0.1", "localhost")


def test_robots_and_acting_links_are_obeyed_and_the_visit_ends_at_n(init: Init, net: Internet) -> None:
    _, found, _ = init("http://example.org/", "--pages", "4", "--no-browser")
    assert found["start"] == "http://www.example.org/" and len(found["pages"]) == 4
    asked = net.of("www.example.org")
    assert "/prive/x" not in asked and "/logout" not in asked and "/auth/facebook?next=/" not in asked
    assert net.of("other.example.net") == []
    assert tomllib.loads(Path("volens.toml").read_text("utf-8"))["names"] == ["www.example.org", "example.org"]
    net.robots = (503, "")
    net.asked.clear()
    _, found, _ = init("http://www.example.org/", "--no-browser", "--force")
    assert [page["url"] for page in found["pages"]] == ["http://www.example.org/"] and any("robots.txt" in said for said in found["left"])


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("static.dourelle.fr", "own"),
        ("dourelle-static.b-cdn.net", "own"),
        ("dourelle.b-cdn.net", "own"),
        ("img2.dourelle-medias.com", "own"),
        ("dourellecdn2.net", "own"),
        ("ladourelle.net", "own?"),
        ("dourelle.net", "own?"),
        ("evil.dourelle.net", "own?"),
        ("dourelle-poisson.b-cdn.net", "own?"),
        ("dourelle.ads-of-somebody.io", "own?"),
        ("dourelle.disqus.com", "service"),
        ("dourelle.matomo.cloud", "service"),
        ("stats.dourelle.fr", "own?"),
        ("poisson.b-cdn.net", "unknown"),
        ("dourelle.fr.evil.example", "own?"),
        ("cdn.jsdelivr.net", "delivery"),
        ("fonts.googleapis.com", "known"),
    ],
)
def test_whose_a_host_is(host: str, said: str) -> None:
    found = survey.Survey("https://www.dourelle.fr/", "www.dourelle.fr", "www.dourelle.fr")
    assert judge(survey.Met(host), found, Catalog.packaged()).is_ == said


def test_what_a_page_says_of_itself_stays_between_its_quotes(init: Init, tmp_path: Path) -> None:
    for browser in ("--browser", "--no-browser"):
        status, found, err = init("http://www.example.org/hurt", "--pages", "1", browser, "--force")
        text = (tmp_path / "volens.toml").read_text("utf-8")
        values = tomllib.loads(text)
        assert status == 0 and values.get("hosts", []) == [] and "x" not in values, text
        assert "\x1b" not in text + err and "\u202e" not in text + err
        assert values["controller"]["name"].startswith('x"]\\nhosts')
        assert all(place["place"].endswith("contact") for place in found["blanks"])
        assert not {"*", 'a"b', "a]\n[x"} & {key["name"] for key in values.get("storage", [])}


@pytest.mark.parametrize(
    ("url", "said", "remedy"),
    [
        ("news paper", "is not an address", "https://www.example.org/"),
        ("ftp://www.example.org/", "ftp: is not how a site is visited", "https://www.example.org/"),
        ("http://a:b@www.example.org/", "carries a name or a password", "everybody"),
        ("http://www.example.org/away", "leads elsewhere: http://other.example.net/", "volens init http://other.example.net/"),
        ("http://www.example.org/round", "redirects more than 10 times", "redirect"),
        ("http://www.example.org/missing", "answers 404", "everybody"),
        ("http://www.example.org/password", "asks for a password (401)", "without log-in"),
        ("http://www.example.org/members", "is a log-in page", "without log-in"),
        ("http://www.example.org/data.json", "is no page, but application/json", "text/html"),
        ("http://www.example.org/empty", "is empty", "something"),
        ("http://www.example.org/endless", "does not end", "mend"),
    ],
)
def test_what_cannot_be_visited_is_said_with_a_remedy_and_nothing_is_written(
    url: str, said: str, remedy: str, init: Init, tmp_path: Path
) -> None:
    status, _, err = init(url, "--no-browser")
    assert status == 2 and said in err and remedy in err
    assert list(tmp_path.iterdir()) == []


def test_who_does_not_answer_in_time_is_told_apart_from_a_page_that_does_not_end(
    init: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "PAGE_SECONDS", 1.0)
    assert "no answer within 1 seconds" in init("http://www.example.org/silent")[2]
    assert "does not end" in init("http://www.example.org/drip")[2]
    assert list(tmp_path.iterdir()) == []


def test_no_host_no_listener_and_no_tls_are_three_errors(
    init: Init, net: Internet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    assert main(["init", f"http://127.0.0.1:{closed}/"]) == 2
    assert "nobody answers there" in capsys.readouterr().err
    assert main(["init", "https://no-such-host.invalid/"]) == 2
    assert "no host of that name" in capsys.readouterr().err
    assert init("https://www.example.org/")[0] == 2  # a port that speaks plain HTTP
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3 -subj /CN=www.example.org".split()
    subprocess.run([*made, "-keyout", tmp_path / "k.pem", "-out", tmp_path / "c.pem"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with listening.accept()[0] as connection, pytest.raises(OSError):
                context.wrap_socket(connection, server_side=True).recv(1)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        status = main(["init", f"https://localhost:{listening.getsockname()[1]}/"])
        thread.join(5)
    err = capsys.readouterr().err
    assert status == 2 and "no secure connection (self" in err and "certificate" in err
    assert not (tmp_path / "volens.toml").exists()


def test_a_page_that_never_gives_the_browser_back_is_left(
    init: Init, net: Internet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "PAGE_SECONDS", 3.0)
    status, _, err = init("http://www.example.org/busy", "--browser", "--pages", "1")
    assert status == 2 and "keeps the browser busy" in err and not (tmp_path / "volens.toml").exists()
    status, found, _ = init("http://www.example.org/busy", "--pages", "1")
    assert status == 0 and found["how"] == "requests" and "keeps the browser busy" in found["note"]


def test_a_file_that_is_there_stays(init: Init, net: Internet, tmp_path: Path) -> None:
    (tmp_path / "volens.toml").write_text("mine")
    status, _, err = init()
    assert status == 2 and "is there already" in err and "--force" in err and net.asked == []
    with pytest.raises(ConfigError, match="is there already"):  # it came while we visited
        write(tmp_path / "volens.toml", "ours", False)
    assert (tmp_path / "volens.toml").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    assert init("http://www.example.org/", "--no-browser", "--pages", "1", "--out", "no/where.toml")[0] == 2
    assert init("http://www.example.org/", "--no-browser", "--pages", "1", "--force")[0] == 0
    assert (tmp_path / "volens.toml").read_text("utf-8").startswith("# Proposed by volens init")


def test_arguments_that_mean_nothing_are_refused(init: Init) -> None:
    for more in (("--pages", "0"), ("--resolve", "nowhere"), ("--resolve", "a=b,MAP * evil")):
        status, _, err = init("http://www.example.org/", *more)
        assert status == 2 and more[0] in err and "Write " in err


def test_progress_is_a_line_a_page_and_a_bar_where_a_terminal_is() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for out, shown in ((Terminal(), "\r\x1b[K[##########..........] 1/2 page\n"), (io.StringIO(), "1/2 page\n")):
        progress = Progress(out)
        progress(1, 2, "page")
        progress.end()
        assert out.getvalue() == shown


def test_for_people_it_tells_hosts_storage_frames_and_what_is_next(net: Internet, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "volens.cli", "init", "http://www.example.org/", "--no-browser", "--resolve", net.resolve]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(ROOT / "src")})
    assert done.returncode == 0, done.stderr
    for words in (
        "own      static.example.org",
        "unknown  widgets.nobody-knows.net",
        "cookie    dourelle_session",
        "http://player.twitch.tv/",
        "OneTrust",
        "Then: volens check volens.toml, and volens proxy",
    ):
        assert words in done.stdout, words


def test_the_tutorial_does_what_it_says(net: Internet, tmp_path: Path) -> None:
    """Its commands from the second step on, for a site on this machine, with the two blanks of the file filled by hand."""
    text = (ROOT / "docs" / "tutorial" / "your-own-site.md").read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[1:]
    assert [block.split()[:2] for block in blocks] == [[".venv/bin/volens", word] for word in ("init", "check", "proxy")]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "volens").write_text(f'#!/bin/sh\nexec {sys.executable} -m volens.cli "$@"\n')
    (tmp_path / "volens").chmod(0o755)

    def run(block: str) -> subprocess.CompletedProcess[str]:
        said = block.replace(".venv/bin/volens", "./volens").replace("127.0.0.1:3000/", f"127.0.0.1:{net.port}/mentions")
        return subprocess.run(["sh", "-c", said], cwd=tmp_path, capture_output=True, text=True, timeout=90, env=environment)

    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"}
    looked = run(blocks[0])
    file = tmp_path / "volens.toml"
    shown = re.search(r"```text\n(.*?)```", text, re.DOTALL)
    assert looked.returncode == 0 and shown is not None, looked.stderr
    name_line, contact_line = (re.sub(r"line \d+", "line N", line) for line in shown[1].splitlines()[1:3])
    assert name_line in re.sub(r"line \d+", "line N", looked.stdout)
    filled = file.read_text("utf-8").replace('name = "…"', 'name = "La Dourelle"', 1)
    assert contact_line.startswith("  volens.toml line N [controller] contact: ") and "mailto" not in filled
    assert run(blocks[1]).returncode == 1
    file.write_text(filled.replace('listen = "127.0.0.1:8080"', f'listen = "127.0.0.1:{port}"'), "utf-8")
    checked = run(blocks[1])
    assert checked.returncode == 0 and "It can be used." in checked.stdout, checked.stdout
    proxy = subprocess.Popen(["./volens", "proxy"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert proxy.stdout is not None and f"127.0.0.1:{port}" in proxy.stdout.readline()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Accept": "text/html"})
        page = urllib.request.urlopen(request, timeout=20).read().decode()
    finally:
        proxy.terminate()
        proxy.wait(10)
    assert "La Dourelle" in page and "<volens-notice" in page and 'data-volens-src="http://static.chartbeat.com' in page


@pytest.mark.parametrize("looked", ["--browser", "--no-browser"])
def test_behind_the_file_as_it_was_written_nothing_leaks_and_own_hosts_work(looked: str, init: Init, net: Internet, tmp_path: Path) -> None:
    """The site in a browser, first without Volens, then behind ``volens proxy`` with the generated file, before any choice."""
    status, found, _ = init("http://www.example.org/", looked, "--pages", "6")
    assert status == 0 and found["blanks"] == []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "volens.cli", "proxy", "--upstream", f"http://127.0.0.1:{net.port}", "--listen", f"127.0.0.1:{port}"]
    proxy = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={"PYTHONPATH": str(ROOT / "src")}
    )
    try:
        assert proxy.stdout is not None and any("configuration volens.toml" in line for line in proxy.stdout)
        raw, _ = visited(net, net.port)
        assert {"static.chartbeat.com", "widgets.nobody-knows.net", "player.twitch.tv", "stats.example.org"} <= raw
        met, words = visited(net, port)
    finally:
        proxy.terminate()
        proxy.wait(10)
    own = {"www.example.org", "static.example.org", "img.example.org", "example-static.b-cdn.net"}
    assert met - own == {"pics.elsewhere.net"}, "pictures of hosts nobody knows pass from markup, until passive = false"
    assert own <= met and words == "servi"


def visited(net: Internet, port: int) -> tuple[set[str], str]:
    """The hosts that were asked for anything, and what a script of an own host wrote into an article."""

    def look() -> str:
        """*.googleapis.com is what Chromium asks for itself; no page of this site does."""
        from playwright.sync_api import sync_playwright

        rules = f"--host-resolver-rules=MAP www.example.org 127.0.0.1:{port}, MAP *.googleapis.com ~NOTFOUND, MAP * 127.0.0.1:{net.port}"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS, rules])
            page = browser.new_page()
            for path in ("/", "/article/1"):
                page.goto(f"http://www.example.org{path}", wait_until="networkidle")
            words = page.inner_text("#own")
            browser.close()
            return str(words)

    net.asked.clear()
    with ThreadPoolExecutor(1) as thread:
        words = thread.submit(look).result()
    return net.hosts, words
