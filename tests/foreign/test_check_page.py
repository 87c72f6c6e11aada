"""``volens check --page`` names the consent tools that a page carries."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from volens.check import carries, run

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "volens.toml"


@pytest.mark.parametrize(
    ("markup", "names"),
    [
        ('<script src="/tarteaucitron/tarteaucitron.min.js?v=1"></script>', ["tarteaucitron"]),
        ('<script src="https://cdn.jsdelivr.net/npm/orejime@3.2.1/dist/orejime-standard-fr.js"></script>', ["orejime"]),
        (
            '<script async src="//cdn.cookielaw.org/scripttemplates/otSDKStub.js"></script><div id="onetrust-banner-sdk"></div>',
            ["onetrust"],
        ),
        ("<script>window.didomiConfig={}</script>", ["didomi"]),
        ('<div class="a cmplz-cookiebanner"></div>', ["complianz"]),
        ("<p>tarteaucitron, klaro, cookieconsent</p><script src=/app.js></script>", []),
    ],
)
def test_a_page_s_tools_are_named(markup: str, names: list[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<!DOCTYPE html><html><body>{markup}</body></html>", "utf-8")
    assert [found["id"] for found in carries(str(page))] == names
    out = io.StringIO()
    run(EXAMPLE, json=True, browser=False, page=str(page), out=out)
    assert [found["id"] for found in json.loads(out.getvalue())["tools"]] == names


def test_a_page_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    out = io.StringIO()
    assert run(EXAMPLE, browser=False, page=str(tmp_path / "none.html"), out=out) == 2
    assert "1" in out.getvalue() and "the screens were not measured" in out.getvalue()
