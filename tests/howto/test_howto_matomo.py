"""Matomo in its exempt configuration, as the how-to has it: set and read after a refusal, not prolonged, and off on objection."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.running import until

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "docs/examples/matomo.toml"


@contextmanager
def journal(folder: Path, written: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The example's site behind ``volens proxy``: its address, and what Matomo has been told."""
    spec = importlib.util.spec_from_file_location("matomo", ROOT / "docs/examples/matomo.py")
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    site = ThreadingHTTPServer(("127.0.0.1", 0), example.Journal)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    (folder / "volens.toml").write_text(written, "utf-8")
    command = [sys.executable, "-m", "volens.cli", "proxy", "--config", str(folder / "volens.toml")]
    command += ["--upstream", f"http://127.0.0.1:{site.server_port}", "--listen", "127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            port = int(re.search(r":(\d+) ->", process.stdout.readline())[1])  # type: ignore[index]
            yield f"http://journal.localhost:{port}", example.Journal.visits
        finally:
            process.send_signal(signal.SIGTERM)
            site.shutdown()
            site.server_close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context(locale="fr-FR")
    context.set_default_timeout(20000)
    yield context.new_page()
    context.close()


def cookie(page: Any, start: str) -> dict[str, Any] | None:
    return next((dict(c) for c in page.context.cookies() if c["name"].startswith(start)), None)


def refuse(page: Any) -> None:
    page.get_by_role("button", name="Tout refuser", exact=True).click()
    assert until(lambda: cookie(page, "volens") is not None)


def test_the_declared_exempt_tool_is_set_and_read_after_a_refusal_and_not_prolonged(page: Any, tmp_path: Path) -> None:
    with journal(tmp_path, CONFIG.read_text("utf-8")) as (url, visits):
        page.goto(url + "/")
        assert until(lambda: len(visits) == 1), "before any choice too"
        first = cookie(page, "_pk_id.1.")
        assert first is not None and 390 * 86400 < first["expires"] - time.time() <= 395 * 86400
        refuse(page)
        for number, path in enumerate(("/a", "/b?x=1", "/c"), 2):
            page.goto(url + path)
            assert until(lambda n=number: len(visits) == n)  # type: ignore[misc]
        assert [visit["page"] for visit in visits] == ["/", "/a", "/b", "/c"]
        ids = {visit["id"] for visit in visits}
        assert len(ids) == 1 and {visit["cookies"]["_pk_id.1.1fff"].split(".")[0] for visit in visits} == ids, "read by page and server"
        assert not any("volens" in name for visit in visits for name in visit["cookies"])
        again, session = cookie(page, "_pk_id.1."), cookie(page, "_pk_ses.1.")
        assert again is not None and abs(again["expires"] - first["expires"]) <= 2, "prolonged by a visit (R26)"
        assert session is not None and session["expires"] - time.time() <= 1805
        assert {c["name"].partition(".")[0] for c in page.context.cookies()} == {"_pk_id", "_pk_ses", "volens"}


def test_its_own_objection_holds(page: Any, tmp_path: Path) -> None:
    with journal(tmp_path, CONFIG.read_text("utf-8")) as (url, visits):
        page.goto(url + "/")
        refuse(page)
        assert until(lambda: len(visits) == 1)
        page.get_by_role("button", name="Ne pas mesurer mes visites").click()
        page.goto(url + "/a")
        page.wait_for_timeout(500)
        assert len(visits) == 1 and cookie(page, "_pk_id") is None and cookie(page, "mtm_consent_removed") is not None


def test_not_attested_it_is_a_tracker_like_any_other(page: Any, tmp_path: Path) -> None:
    """The oracle of the two tests above: without the declaration the same site sets nothing and tells nobody."""
    written = CONFIG.read_text("utf-8")
    written = re.sub(r"\[purposes\.audience\].*?\]\n", "", written, flags=re.DOTALL).replace("audience_exempt = true\n", "")
    assert "attest" not in written
    with journal(tmp_path, written) as (url, visits):
        page.goto(url + "/")
        refuse(page)
        page.goto(url + "/a")
        page.wait_for_timeout(500)
        assert visits == [] and cookie(page, "_pk_") is None
        page.get_by_role("button", name="Stockage").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Tout accepter", exact=True).click()
        assert until(lambda: len(visits) == 1), "and with the agreement it works"


def test_the_how_to_says_what_the_example_is() -> None:
    said = (ROOT / "docs/how-to/matomo.md").read_text("utf-8")
    (part,) = re.findall(r"```toml\n(.*?)```", said, re.DOTALL)
    assert part in CONFIG.read_text("utf-8")


def test_the_panel_s_switch_reaches_it(page: Any, tmp_path: Path) -> None:
    """What it kept is gone, its script is not loaded, its end point is told nothing, and nobody is known by having objected."""
    with journal(tmp_path, CONFIG.read_text("utf-8")) as (url, visits):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url + "/")
        assert until(lambda: len(visits) == 1) and cookie(page, "_pk_id") is not None
        page.get_by_role("button", name="Paramétrer vos choix").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("switch", name="Ne pas compter mes visites").click()
        with page.expect_navigation():  # a page that runs what is refused now is loaded anew
            dialog.get_by_role("button", name="Tout refuser", exact=True).click()
        assert until(lambda: cookie(page, "volens-audience") is not None and cookie(page, "_pk_") is None)
        asked.clear()
        for path in ("/a", "/b"):
            page.goto(url + path)
        page.evaluate("fetch('/matomo/matomo.php?rec=1').catch(() => 0)")
        page.wait_for_timeout(400)
        assert len(visits) == 1 and not any("/matomo/matomo.js" in address for address in asked)
        assert {c["name"]: c["value"] for c in page.context.cookies() if c["name"] != "volens"} == {"volens-audience": "0"}


def test_the_policy_page_s_button_reaches_it_without_script(chromium: Any, tmp_path: Path) -> None:
    """A tool that counts by an image for who has no script is stopped by the same button, and comes back by it."""
    context = chromium.new_context(locale="fr-FR", java_script_enabled=False)
    context.set_default_timeout(20000)
    page = context.new_page()
    with journal(tmp_path, CONFIG.read_text("utf-8")) as (url, visits):
        page.goto(url + "/")
        assert until(lambda: len(visits) == 1)
        context.add_cookies([{"name": "_pk_id.1.1fff", "value": "0123456789abcdef.1.", "url": url}])
        page.goto(url + "/_volens/policy#audience")
        page.locator("#audience").get_by_role("button", name="Ne pas compter mes visites").click()
        assert page.url.endswith("#audience") and "Vos visites ne sont pas comptées" in page.locator("#audience").inner_text()
        assert {c["name"] for c in context.cookies()} == {"volens-audience"}
        page.goto(url + "/a")
        page.wait_for_timeout(300)
        assert len(visits) == 1
        page.goto(url + "/_volens/policy#audience")
        page.locator("#audience").get_by_role("button", name="Compter de nouveau mes visites").click()
        page.goto(url + "/b")
        assert until(lambda: len(visits) == 2) and not context.cookies()
    context.close()
