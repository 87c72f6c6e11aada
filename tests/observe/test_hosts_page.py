"""``admin/hosts``: who may read it, what it says, and how it reads in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.enforce.making import HOST, NOW, SITE
from tests.web.admin_pages import all_unfolded, answered, fits, looked_at, small, unfolded_by_keyboard
from tests.web.looking import faults
from tests.web.making import Clock, gateway, header
from volens.findings import PAGE, REPORT, SCRIPT, SENT, SET, Findings
from volens.site import Site
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply

OBSERVED = replace(SITE, mode="observe")


def noting(folder: Path, site: Site = OBSERVED, **more: Any) -> Gateway:
    return gateway(folder, site=site, now=Clock(NOW), findings=Findings(folder / "hosts.db", NOW.date), **more)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Gateway]:
    made = noting(tmp_path)
    yield made
    made.close()


def fill(made: Gateway) -> None:
    found = made.findings
    assert found is not None
    for number in range(12):
        found.add(
            HOST,
            PAGE,
            {("script", "www.google-analytics.com"), ("connect", "www.google-analytics.com")},
            f"/{2020 + number % 4}/un-article-{number}".encode(),
        )
    found.add(
        HOST,
        PAGE,
        {("frame", "video.example"), ("script", "inconnu.example"), ("image", "inconnu.example")},
        b"/" + b"une-adresse-sans-fin-" * 9,
    )
    found.add(HOST, PAGE, {("script", "a-very-long-name-of-a-host." * 4 + "example"), ("font", "cdn.jsdelivr.net")}, b"/")
    found.add(HOST, REPORT, {("script", "rapporte.example")})
    found.add(HOST, SET, {("cookie", "_ga"), ("cookie", "mystere_" + "x" * 90)}, b"/")
    found.add(HOST, SENT, {("gate", "/comments"), ("collection", "/g/collect")})
    found.add(HOST, SCRIPT, {("local", "suivi_1")}, b"/<script>alert(1)</script>")


def get(made: Gateway, path: str = "hosts", pairs: Pairs = (), **more: Any) -> Reply:  # type: ignore[assignment]
    return answered(made, path, pairs, **more)


def test_only_the_operator_reads_it_and_nobody_writes(made: Gateway, tmp_path: Path) -> None:
    assert get(made).status == 200 and get(made, method="POST").status == 405
    for path in ("hosts", "hosts.json"):
        assert get(made, path, host=HOST, client="192.0.2.1").status == 403
    (tmp_path / "other").mkdir()
    locked = noting(tmp_path / "other", admin_token="c2VpemUtZXQtZGl4LWh1aXQ")
    assert get(locked).status == get(locked, "hosts.json").status == 401
    assert get(locked, pairs=[(b"authorization", b"Bearer c2VpemUtZXQtZGl4LWh1aXQ")], host=HOST, client="192.0.2.1").status == 200
    locked.close()


def test_it_says_what_was_found_what_is_decided_and_the_command(made: Gateway) -> None:
    assert "Rien n’a encore été trouvé" in get(made, pairs=[(b"accept-language", b"fr")]).body.decode()
    fill(made)
    reply = get(made, "hosts?language=en&days=7")
    text = reply.body.decode()
    assert "<script" not in text and "/&lt;script&gt;alert(1)" in text and header(reply, "cache-control") == ["no-store"]
    assert "script-src" not in header(reply, "content-security-policy")[0] and 'aria-current="page">7 days' in text
    parts = dict(zip(("head", "withheld", "asked", "passes"), re.split(r"<section", text), strict=True))
    assert (
        "<b>www.google-analytics.com</b>" in parts["withheld"]
        and "Google Analytics" in parts["withheld"]
        and "known, but not in the notice" in parts["withheld"]
    )
    assert "volens hosts service www.google-analytics.com</code>" in parts[
        "withheld"
    ] and 'volens hosts service inconnu.example --name "…"' in text.replace("&quot;", '"')
    assert "<b>video.example</b>" in parts["asked"] and "/comments" in parts["asked"] and "volens hosts" not in parts["asked"]
    assert "cdn.jsdelivr.net" in parts["passes"] and "browsers’ reports alone" in parts["withheld"]
    row = re.search(r"<b>www\.google-analytics\.com</b>.*?</tr>", text, re.DOTALL)
    assert row is not None and re.findall(r'class="n">([^<]*)<', row[0]) == ["12", "24"]
    assert "nothing is changed" in parts["head"] and 'lang="fr"' in get(made, "hosts?language=fr").body.decode()
    told = json.loads(get(made, "hosts.json").body)
    assert told["format"] == "volens-hosts/1" and {"name", "pages", "count", "decision", "reason", "catalog"} <= set(told["found"][0])


def test_a_live_site_says_so_and_the_pages_lead_to_each_other(tmp_path: Path) -> None:
    made = noting(tmp_path, SITE)
    text = get(made, pairs=[(b"accept-language", b"fr")]).body.decode()
    assert "Volens est en vigueur" in text and 'href="/_volens/admin/audience"' in text
    assert 'href="/_volens/admin/hosts"' in get(made, "audience").body.decode()
    made.close()


def test_what_cannot_be_read_is_a_clear_page(made: Gateway) -> None:
    assert made.findings is not None
    Path(made.findings.path).write_bytes(b"not a database at all, and longer than a header is " * 20)
    assert get(made).status == 503 and "n’a pas pu être lue" in get(made, pairs=[(b"accept-language", b"fr")]).body.decode()
    assert get(made, "hosts.json").status == 503


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_the_page_reads_well_in_a_browser(made: Gateway, chromium: Any, width: int, tmp_path: Path) -> None:
    """Nothing overflows, axe finds nothing, its own policy refuses nothing; light and dark, French and English; by keyboard alone."""
    fill(made)
    for scheme, language in (("light", "fr"), ("dark", "en")):
        with looked_at(chromium, made, width, scheme) as look:
            page = look(f"hosts?language={language}")
            unfolded_by_keyboard(page)
            assert page.locator("details[open] code").first.is_visible(), "reached and opened by keyboard"
            assert page.locator("details[open] code").first.inner_text() == "volens hosts service www.google-analytics.com"
            assert fits(all_unfolded(page)) and small(page) == 0
            assert faults(page) == [], (scheme, language)
            page.screenshot(path=tmp_path / f"hosts-{width}-{scheme}.png", full_page=True)
