"""``volens init`` looks at a real WordPress, and the WordPress works behind the file as it was written."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from serving import WordPress, proxied
from walk import sign_in

from volens.check import run as check
from volens.cli import main


def test_a_wordpress_is_looked_at_and_works_behind_what_was_proposed(
    site: WordPress, chromium: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    article = site.wp(
        "wp_set_current_user(1); kses_remove_filters(); echo wp_insert_post(array('post_title' => 'Le pont', 'post_status' => 'publish', "
        "'post_author' => 1, 'comment_status' => 'open', "
        "'post_content' => '<p>Ouvert.</p><script src=\"https://www.google-analytics.com/analytics.js\"></script>'));"
    )
    out = tmp_path / "volens.toml"
    said = ["--controller", "Le Carnet", "--contact", "claire@carnet.example", "--out", str(out), "--json", "--pages", "6"]
    assert main(["init", f"http://wordpress.localhost:{site.port}/?p={article}", *said]) == 0
    found = json.loads(capsys.readouterr().out)
    text = out.read_text("utf-8")
    assert found["blanks"] == [] and found["how"] == "chromium" and check(out, browser=False, out=io.StringIO()) == 0
    assert 'names = ["wordpress.localhost"]' in text and 'languages = ["fr"]' in text
    assert "[services.google-analytics]" in text and '# path = "/wp-comments-post.php"' in text
    with proxied(tmp_path / "behind", site.port, text) as address:
        context = chromium.new_context(locale="fr-FR")
        try:
            page = context.new_page()
            elsewhere = set[str]()
            page.on("request", lambda request: elsewhere.add(urlsplit(request.url).hostname or ""))
            page.goto(f"{address}/?p={article}", wait_until="load")
            assert page.locator("volens-notice").count() == 1
            page.fill("#comment", "Bravo.")
            page.fill("#author", "Jeanne")
            page.fill("#email", "jeanne@lecteurs.example")
            with page.expect_navigation(wait_until="load"):
                page.click("#submit")
            assert site.wp("echo count(get_comments(array('search' => 'Bravo.', 'status' => 'any')));") == "1", page.inner_text("body")
            page.goto(f"{address}/wp-login.php")
            sign_in(page)
            assert {host for host in elsewhere if "google" in host} == set()
        finally:
            context.close()
