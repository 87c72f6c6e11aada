"""``volens hosts``: the list, and the decision written into ``volens.toml`` with its comments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.enforce.making import CATALOG
from tests.running import until
from tests.web.making import request
from volens.cli import main
from volens.config import load
from volens.errors import ConfigError
from volens.findings import PAGE, REPORT, SET, Findings
from volens.hosts import decide
from volens.web.live import Opened

FILE = """\
# The evening paper. Ask Claire before you change anything.
names = ["www.site.example"]   # the only one
mode = "observe"
leave = [
    "/wp-admin/*",     # the editors' desk
    "!/wp-admin/admin-ajax.php*",
]
deny = ["old.example", "widget.example"]

[controller]  # as registered
name = "Le Site"
contact = "donnees@site.example"
policy = "https://www.site.example/vie-privee"

# What readers asked for.
[services.youtube]
purposes = ["video"]   # not advertising
# [services.vimeo] was here until May

[[storage]]
name = "panier"
purpose = "technique"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "volens.toml"
    path.write_text(FILE)
    return path


def comments(text: str) -> list[str]:
    return [line.partition("#")[2].strip() for line in text.splitlines() if "#" in line]


def values(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8-sig"))


def test_own_service_and_deny_are_written_and_every_comment_stays(file: Path) -> None:
    decide(file, "own", "static.cdn.example")
    decide(file, "own", "*.img.example")
    decide(file, "deny", "Ads.Example.")
    decide(file, "service", "www.dailymotion.com")
    decide(file, "service", "widget.example", name="Le Widget é", purposes=("reseaux-sociaux",))
    now = values(file)
    assert now["hosts"] == ["static.cdn.example", "*.img.example"] and now["deny"] == ["old.example", "ads.example"]
    assert now["services"]["le-widget-e"] == {"name": "Le Widget é", "purposes": ["reseaux-sociaux"], "hosts": ["widget.example"]}
    assert [id for id in now["services"] if id not in ("youtube", "le-widget-e")] == [CATALOG.host("www.dailymotion.com").id]  # type: ignore[union-attr]
    assert comments(file.read_text()) == comments(FILE)
    assert {key: now[key] for key in ("names", "mode", "leave", "controller", "storage")} == {
        key: tomllib.loads(FILE)[key] for key in ("names", "mode", "leave", "controller", "storage")
    }
    assert load(file, CATALOG).site.hosts == ("www.site.example", "static.cdn.example", "*.img.example")


def test_a_decision_replaces_the_one_before(file: Path) -> None:
    for action, hosts, denied in (("deny", None, True), ("own", ["x.example"], False), ("deny", None, True), ("own", ["x.example"], False)):
        decide(file, action, "x.example")
        assert values(file).get("hosts") == hosts and ("x.example" in values(file).get("deny", [])) is denied
    before = file.read_bytes()
    assert "says so already" in decide(file, "own", "x.example").said and file.read_bytes() == before


def test_a_host_joins_the_service_that_is_there(file: Path) -> None:
    decide(file, "service", "videos.site-of-us.example", name="youtube")
    youtube = values(file)["services"]["youtube"]
    assert youtube["hosts"][-1] == "videos.site-of-us.example" and youtube["purposes"] == ["video"]
    assert any("youtube.com" in host for host in youtube["hosts"]), "the catalog's own hosts are not lost by it"
    before = file.read_bytes()
    decide(file, "service", "www.youtube.com")
    assert file.read_bytes() == before, "the service has it already"


@pytest.mark.parametrize(
    ("action", "host", "more", "said"),
    [
        ("own", "a/b", {}, "not a host name"),
        ("own", "", {}, "no host"),
        ("deny", "*.com", {}, "covers other people's sites"),
        ("deny", "www.site.example", {}, "a name of the site itself"),
        ("service", "nobody.example", {}, "the catalog does not know it"),
        ("service", "nobody.example", {"name": "N"}, "has no purpose"),
        ("service", "nobody.example", {"name": "N", "purposes": ("vidoe",)}, "vidoe"),
        ("service", "nobody.example", {"name": "video", "purposes": ("video",)}, "name of a purpose"),
    ],
)
def test_what_would_be_a_mistake_is_not_written(file: Path, action: str, host: str, more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        decide(file, action, host, **more)
    assert file.read_text() == FILE and os.listdir(file.parent) == ["volens.toml"]


def test_a_file_with_mistakes_is_left_to_its_author(file: Path) -> None:
    file.write_text(FILE.replace('mode = "observe"', 'mode = "loud"'))
    with pytest.raises(ConfigError, match="loud"):
        decide(file, "own", "a.example")
    assert "loud" in file.read_text() and not file.with_name("volens.toml.bak").exists()


def test_the_file_keeps_its_mode_its_ends_of_line_its_mark_and_its_link(tmp_path: Path, file: Path) -> None:
    raw = b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode()
    file.write_bytes(raw)
    file.chmod(0o640)
    link = tmp_path / "sub" / "volens.toml"
    link.parent.mkdir()
    link.symlink_to(file)
    decide(link, "own", "a.example")
    now = file.read_bytes()
    assert link.is_symlink() and now.startswith(b"\xef\xbb\xbf# The") and b"a.example" in now
    assert now.count(b"\n") == now.count(b"\r\n") and file.stat().st_mode & 0o777 == 0o640
    assert file.with_name("volens.toml.bak").read_bytes() == raw
    assert sorted(os.listdir(tmp_path)) == ["sub", "volens.toml", "volens.toml.bak"]


def test_nothing_changes_where_the_file_cannot_be_replaced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        decide(file, "own", "a.example")
    assert file.read_text() == FILE and os.listdir(file.parent) == ["volens.toml"]


def test_a_running_process_takes_it_up_by_itself(file: Path) -> None:
    file.write_text(FILE.replace('mode = "observe"', 'mode = "enforce"'))
    opened = Opened(load(file, CATALOG))
    page = b"<!DOCTYPE html><p>Bonjour</p><script src=https://widget-of-us.example/x.js></script>"

    def served() -> bytes:
        return opened.visit(request("GET", "/a")).whole(200, [(b"content-type", b"text/html")], page)[2]

    assert b"data-volens-src" in served()
    decide(file, "own", "widget-of-us.example")
    assert until(lambda: b"data-volens-src" not in served())
    assert b"<script src=https://widget-of-us.example/x.js>" in served()
    opened().retire()
    opened.close()


def test_the_list_tells_what_was_found_and_what_is_decided_now(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["hosts", "--config", str(file)]
    assert main(command) == 0 and "nothing was found" in capsys.readouterr().out
    today = datetime.now(UTC).date()
    found = Findings(load(file, CATALOG).findings, lambda: today)
    found.add(
        "www.site.example",
        PAGE,
        {("script", "www.google-analytics.com"), ("frame", "www.youtube.com"), ("script", "mystery.example")},
        b"/a",
    )
    found.add("www.site.example", PAGE, {("image", "mystery.example"), ("script", "cdn.jsdelivr.net"), ("script", "old.example")}, b"/b")
    found.add("www.site.example", REPORT, {("connect", "said.example")})
    found.add("www.site.example", SET, {("cookie", "_ga"), ("cookie", "panier")}, b"/a")
    found.close()
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["format"], told["site"], told["days"]) == ("volens-hosts/1", "www.site.example", 30)
    by = {(row["name"], row["decision"]): row for row in told["found"]}
    decided = {key: (row["reason"], row["kinds"]) for key, row in by.items()}
    assert decided["www.google-analytics.com", "withheld"] == ("unnamed", ["script"])
    assert decided["www.youtube.com", "asked"] == ("undecided", ["frame"]) and by["www.youtube.com", "asked"]["service"] == "youtube"
    assert decided["mystery.example", "withheld"] == ("unknown", ["script"]) and decided["mystery.example", "passes"] == (
        "passive",
        ["image"],
    )
    assert decided["old.example", "withheld"][0] == "refused" and decided["cdn.jsdelivr.net", "passes"][0] == "delivery"
    assert by["_ga", "withheld"]["of"] == "storage" and by["panier", "passes"]["reason"] == "exempt"
    assert "Google" in by["www.google-analytics.com", "withheld"]["catalog"] and by["mystery.example", "withheld"]["examples"] == ["/a"]
    assert [row["decision"] for row in told["found"]] == sorted(
        (row["decision"] for row in told["found"]), key=["withheld", "asked", "passes"].index
    )
    assert main(command) == 0
    text = capsys.readouterr().out
    assert (
        text.startswith("HOST OR NAME")
        and "mystery.example" in text
        and "(by reports alone)" in text
        and "volens hosts own|service|deny" in text
    )
    assert main(["hosts", "own", "mystery.example", "--config", str(file)]) == 0
    assert "the site's own" in capsys.readouterr().out
    assert main([*command, "--json", "--since", "1"]) == 0
    own = [row for row in json.loads(capsys.readouterr().out)["found"] if row["name"] == "mystery.example"]
    assert [(row["decision"], row["reason"], row["kinds"]) for row in own] == [("passes", "own", ["image", "script"])]


def test_the_command_says_what_is_missing(file: Path) -> None:
    run = [sys.executable, "-m", "volens.cli", "hosts"]
    done = subprocess.run(
        [*run, "own"],
        capture_output=True,
        text=True,
        cwd=file.parent,
        env={**os.environ, "PYTHONPATH": "src"} | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )
    assert done.returncode == 2 and "HOST is missing" in done.stderr
    done = subprocess.run(
        [*run, "service", "x.example"],
        capture_output=True,
        text=True,
        cwd=file.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )
    assert done.returncode == 2 and "--name" in done.stderr and "Traceback" not in done.stderr


def test_a_check_says_that_nothing_is_withheld_yet(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(file), "--no-browser"]) == 0
    assert "nothing is withheld" in capsys.readouterr().out
    file.write_text(FILE.replace('mode = "observe"', ""))
    assert main(["check", str(file), "--no-browser"]) == 0
    assert "nothing is withheld" not in capsys.readouterr().out
