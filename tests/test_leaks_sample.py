"""What leaves a real browser: a sample of real saved pages, and every known way out, with `volens proxy` in front, unconfigured.

The measuring material lies beside the project (``VOLENS_SHARED``, else ``../shared``) and is no part of it. Where it is named and
incomplete, that is an error; where there is none, the tests are skipped. The lists it judges by are third-party-web's, taken from
its package and not from our catalog: a host lost on the way into the catalog would otherwise be lost here too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import free_port, until_listening

ROOT = Path(__file__).parent.parent
PACKAGE = "third-party-web@0.30.0"
DIGEST = "1ca06273a900b4bc206310d26d281459b89e367609505f8f69b1ce6e32bf7245"  # of its dist/entities.json
PAGES = 20  # of each corpus, evenly spread
# The harness's own session cookie, ours, and the language a visitor picked (Polylang), which the catalog exempts.
EXEMPT = "fp_session,volens,pll_language"

pytestmark = pytest.mark.alone

# Passive content that stands in the page's own markup, from a host that no list knows: a picture, a style, a font, a medium.
# A page that arrives whole gets just these hosts (docs/explanation/limits.md); counted apart.
PASSIVE = frozenset(
    f"U:s-{name}"
    for name in (
        "altcss audio css dsd dsd2 image-tag img input-image picture poster source srcdoc srcset style-bg style-content style-escaped "
        "style-font style-imageset style-import svg-feimage svg-image svg-xlink video"
    ).split()
)


@pytest.fixture(scope="module")
def shared() -> Path:
    """The measuring material; complete where it is named."""
    named = os.environ.get("VOLENS_SHARED")
    shared = Path(named) if named else ROOT.parent / "shared"
    if not named and not (shared / "leaks").is_dir():
        pytest.skip("no measuring material beside the project (VOLENS_SHARED)")
    for part in ("leaks/leaks.py", "leaks/corpora.json", "leaks/channels/static.html", "pages/readability", "pages/trafilatura"):
        assert (shared / part).exists(), f"{shared}: {part} is missing. Give it back, or unset VOLENS_SHARED."
    return shared


@pytest.fixture(scope="module")
def entities(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """third-party-web's list of hosts: ``TPW_ENTITIES``, else from its package."""
    if named := os.environ.get("TPW_ENTITIES"):
        return Path(named)
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("npm is not installed, and TPW_ENTITIES names no file")
    folder = tmp_path_factory.mktemp("lists")
    subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, timeout=120)
    packed = next(folder.glob("*.tgz"))
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    found = folder / "package" / "dist" / "entities.json"
    assert hashlib.sha256(found.read_bytes()).hexdigest() == DIGEST
    return found


@pytest.fixture(scope="module")
def run(shared: Path, entities: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("leaks")
    origin, port = free_port(), free_port()
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "TPW_ENTITIES": str(entities), "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "volens.cli", "proxy", "--upstream", f"http://127.0.0.1:{origin}", "--listen", f"127.0.0.1:{port}"]
    with (folder / "proxy.log").open("wb") as log:
        proxy = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    until_listening(proxy, port, folder / "proxy.log")

    def measure(name: str, corpus: str, *options: str) -> list[dict[str, Any]]:
        out = folder / f"{name}.json"
        chromium = os.environ.get("VOLENS_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
        harness = [sys.executable, str(shared / "leaks" / "leaks.py"), "--corpus", corpus, "--candidate", f"volens=http://127.0.0.1:{port}"]
        harness += ["--states", "none,refused", "--origin-port", str(origin), "--chromium", chromium]
        harness += ["--exempt", EXEMPT, "--out", str(out), *options]
        done = subprocess.run(harness, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        print(done.stdout)
        return list(json.loads(out.read_text("utf-8")))

    yield measure
    proxy.terminate()
    assert proxy.wait(20) == 0


def failed(page: dict[str, Any]) -> bool:
    """As the harness counts it: no measure, or the candidate answered 400 or above."""
    status = (page.get("doc") or {}).get("status") or 0
    return bool(page.get("fatal") or page.get("error") or "img_ok" not in page or status >= 400)


def sums(pages: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """What must be empty, each with the pages that are in it."""
    told: dict[str, list[Any]] = {"leaking": [], "connection only": [], "first-party cookies": [], "storage": [], "failed": []}
    for page in pages:
        name, score = f"{page['corpus']}/{page['id']} {page['state']}", page["score"]
        if score["leaking"]:
            told["leaking"].append((name, score["leak_hosts"], score["channels"]))
        if score["connect_only"]:
            told["connection only"].append((name, score["connect_hosts"]))
        if score["cookies_first"]:
            told["first-party cookies"].append((name, score["cookies_first"]))
        if score["storage"]:
            told["storage"].append((name, score["storage"]))
        if failed(page):
            told["failed"].append((name, page.get("fatal") or page.get("error") or page.get("doc")))
    return told


NOTHING: dict[str, list[Any]] = {"leaking": [], "connection only": [], "first-party cookies": [], "storage": [], "failed": []}


def test_nothing_leaks_from_real_pages_before_a_choice_and_after_a_refusal(run: Any) -> None:
    pages = run("sample", "readability,trafilatura", "--no-raw", "--limit", str(PAGES))
    assert len(pages) == 4 * PAGES
    again = {page["id"] for page in pages if failed(page)}
    assert len(again) <= PAGES // 4, again
    # Some saved pages fail by themselves, and a late navigation may be taken for the next page's: asked once more, one by one.
    if again:
        only = "|".join(f"^{re.escape(name)} " for name in sorted(again))
        pages = [page for page in pages if page["id"] not in again]
        once_more = run("again", "readability,trafilatura", "--only", only, "--jobs", "1")
        dead = {page["id"] for page in once_more if page["candidate"] == "raw" and failed(page)}
        pages += [page for page in once_more if page["candidate"] == "volens" and page["id"] not in dead]
        assert len(pages) == 4 * PAGES - 2 * len(dead)
    assert sums(pages) == NOTHING


def test_no_way_out_is_open_but_passive_content_of_the_pages_own_markup(run: Any) -> None:
    pages = run("channels", "channels")
    raw = {channel for page in pages if page["candidate"] == "raw" for channel in page["score"]["channels"]}
    ours = [page for page in pages if page["candidate"] == "volens"]
    assert len(raw) > 100, "the ways out are open without Volens, else this shows nothing"
    open_ways = {channel for page in ours for channel in page["score"]["channels"]}
    told = sums(ours)
    assert open_ways <= PASSIVE
    assert [row for row in told.pop("leaking") if row[1]] == []
    assert told == {name: [] for name in NOTHING if name != "leaking"}
