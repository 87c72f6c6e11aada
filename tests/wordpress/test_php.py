"""What PHP is told, read by PHP itself: the plugin's reader and hostile input, the WP Consent API's names, a plain page."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from serving import PACKAGES, ROOT, WordPress, fetched, missing, program, proxied, web

from volens.catalog import Catalog
from volens.cli import main
from volens.config import load
from volens.wordpress import PLUGIN, configuration, install, packaged

VECTORS = json.loads((ROOT / "tests/vectors/consent-header.json").read_text("utf-8"))
HOSTILE = {
    "video=?1": ["video"],
    "technique, video=?1, publicite=?0": ["technique", "video"],
    "a" * 9000: [],
    ",".join(["video"] * 2000): [],
    "video\n": [],
    "video\r\nX: y": [],
    "video\0": [],
    "vidéo": [],
    "video;q=1": [],
    "video=(a b)": [],
    'video="?1"': [],
    "video=:YQ==:": [],
    "video=?2": [],
    "video=? 1": [],
    "video,,publicite": [],
    ",video": [],
    "0": [],
    "video=?1;a": [],
    "__proto__": [],
    "<script>": [],
    "\u00a0video": [],
}


def by_php(code: str, cases: list[str]) -> list[list[str]]:
    """What a PHP expression of ``$h`` gives for each header."""
    sent = base64.b64encode(json.dumps(cases).encode()).decode()
    script = f"{code} echo json_encode(array_map('run', json_decode(base64_decode('{sent}'))));"
    done = subprocess.run([program("php", "php8*"), "-r", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return list(json.loads(done.stdout))


def test_the_plugin_reads_every_vector_and_refuses_what_is_hostile(site: WordPress) -> None:
    load_it = f"$_SERVER['HTTP_HOST'] = 'wordpress.localhost'; require '{site.folder}/wp-load.php';"
    code = load_it + "function run($h) { return array_keys(volens_granted($h)); }"
    cases = {vector["header"]: vector["granted"] for vector in VECTORS} | HOSTILE
    for (header, granted), read in zip(cases.items(), by_php(code, list(cases)), strict=True):
        assert set(read) == set(granted), header[:80]


def test_the_guide_s_reader_reads_every_vector() -> None:
    if not program("php", "php8*"):
        pytest.skip(missing())
    shown = re.search(
        r"^```php\n(function volens_allows.*?)^```", (ROOT / "docs/how-to/profiles.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    page = (ROOT / "docs/examples/php_page.php").read_text("utf-8")
    assert shown and shown[1] in page and page.strip() in (ROOT / "docs/how-to/php.md").read_text("utf-8")
    names = "array('technique', 'audience', 'video', 'publicite', 'youtube', 'reseaux-sociaux', 'Video', 'true')"
    code = (
        shown[1]
        + f"function run($h) {{ $_SERVER['HTTP_VOLENS_CONSENT'] = $h; return array_values(array_filter({names}, 'volens_allows')); }}"
    )
    for vector, read in zip(VECTORS, by_php(code, [v["header"] for v in VECTORS]), strict=True):
        assert set(read) == set(vector["granted"]), vector


def test_nobody_grants_themselves_anything(site: WordPress, tmp_path: Path) -> None:
    """The header a visitor sends is dropped, however it is spelled; and without one nothing is granted, not even what needs no choice."""
    ask = "echo json_encode(array_map('wp_has_consent', array('functional', 'marketing')));"
    (site.folder / "who.php").write_text(f"<?php require 'wp-load.php'; header('Content-Type: application/json'); {ask}")
    with proxied(tmp_path / "p", site.port, configuration("wordpress.localhost", "Le Carnet", "claire@carnet.example")) as url:
        for header in ("Volens-Consent", "VOLENS-CONSENT", "volens_consent", "Volens_Consent"):
            assert fetched(f"{url}/who.php", X="y")[2] == "[true,false]"
            assert json.loads(fetched(f"{url}/who.php", None, **{header: "publicite"})[2]) == [True, False], header
    assert json.loads(fetched(f"http://wordpress.localhost:{site.port}/who.php")[2]) == [False, False], "no Volens, no consent"


def test_the_wp_consent_api_s_own_plugin_may_be_there(site: WordPress) -> None:
    """It declares the functions without asking whether they are there; ours are filters then, and have the last word."""
    folder = site.folder / "wp-content/plugins/wp-consent-api"
    folder.mkdir()
    (folder / "wp-consent-api.php").write_text(
        "<?php /* Plugin Name: WP Consent API */ class WP_CONSENT_API {}\n"
        "function wp_get_consent_type() { return apply_filters('wp_get_consent_type', ''); }\n"
        "function wp_has_consent($category, $by = false) { return apply_filters('wp_has_consent', true, $category, $by); }\n"
        "add_filter('wp_has_consent', '__return_true', 1000);\n"
    )
    asked = (
        "$where = (new ReflectionFunction('wp_has_consent'))->getFileName();"
        "echo json_encode(array(wp_get_consent_type(), wp_has_consent('marketing'), $where));"
    )
    without = json.loads(site.wp(asked))
    assert without[:2] == ["optin", False] and without[2].endswith("volens.php")
    site.wp("update_option('active_plugins', array('wp-consent-api/wp-consent-api.php'));")
    try:
        with_it = json.loads(site.wp(asked))
    finally:
        site.wp("update_option('active_plugins', array());")
        shutil.rmtree(folder)
    assert with_it[:2] == ["optin", False] and with_it[2].endswith("wp-consent-api.php")


def test_the_panel_link_is_in_the_visitor_s_language_and_leads_back_here(site: WordPress) -> None:
    assert 'href="/_volens/panel?back=%2F"' in site.wp("echo do_shortcode('[volens_panel_link]');")
    said = site.wp("echo do_shortcode('[volens_panel_link]<b onclick=x>Choix</b>[/volens_panel_link]');")
    assert "<b>Choix</b></a>" in said
    away = site.wp("$_SERVER['REQUEST_URI'] = '//elsewhere.example/\"><script>'; echo do_shortcode('[volens_panel_link]');")
    assert "elsewhere" not in away and "<script" not in away
    for code in "ar de en es fr it nl pl pt".split():
        words = json.loads((ROOT / f"src/volens/texts/{code}.json").read_text("utf-8"))["texts"]["settings"]
        assert f"'{code}' => '{words}'" in packaged("volens.php"), code


def test_a_plain_page_asks_before_it_counts(chromium: Any, tmp_path: Path) -> None:
    if missing():
        pytest.skip(missing())
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(ROOT / "docs/examples/php_page.php", root / "index.php")
    (root / "favicon.ico").touch()
    config = (ROOT / "docs/examples/php_page.toml").read_text("utf-8")
    with web(tmp_path, root) as port, proxied(tmp_path / "p", port, config) as url:
        assert "comptons pas" in fetched(url + "/", Volens_Consent="personnalisation")[2]
        page = chromium.new_context(locale="fr-FR").new_page()
        page.goto(url)
        assert "comptons pas" in page.locator("#said").inner_text()
        page.evaluate("window.__before = true")
        page.get_by_role("button", name="Tout accepter", exact=True).click()
        page.wait_for_function("!window.__before && document.readyState === 'complete'")
        assert page.locator("#said").inner_text() == "Pages lues : 1."
        page.reload()
        assert page.locator("#said").inner_text() == "Pages lues : 2."
        page.get_by_role("link", name="Paramétrer vos choix").click()
        page.evaluate("window.__before = true")
        page.get_by_role("button", name="Tout refuser", exact=True).last.click()
        page.wait_for_function("!window.__before && document.querySelector('#said')")
        assert "comptons pas" in page.locator("#said").inner_text()
        assert {cookie["name"] for cookie in page.context.cookies()} == {"volens"}
        page.context.close()


def test_the_command_writes_the_plugin_and_a_configuration_that_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "wordpress",
        str(tmp_path / "site"),
        "--name",
        "www.carnet.example",
        "--controller",
        'Le « "Carnet" »',
        "--contact",
        "c@carnet.example",
    ]
    command += ["--config", str(tmp_path / "volens.toml")]
    assert main(command) == 1 and "there is no WordPress here" in capsys.readouterr().err
    (tmp_path / "site/wp-content").mkdir(parents=True)
    assert main(command) == 0
    assert (tmp_path / "site" / PLUGIN).read_text("utf-8") == packaged("volens.php")
    loaded = load(tmp_path / "volens.toml", Catalog.packaged())
    assert loaded.site.name == "www.carnet.example" and loaded.site.notice.controller.name == 'Le « "Carnet" »'
    (tmp_path / "volens.toml").write_text("# mine", "utf-8")
    assert main(command) == 0 and (tmp_path / "volens.toml").read_text("utf-8") == "# mine"


def test_the_how_to_shows_what_the_command_writes() -> None:
    guide = (ROOT / "docs/how-to/wordpress.md").read_text("utf-8")
    assert configuration("www.carnet.example", "Le Carnet", "claire@carnet.example") in guide
    assert "GPL-2.0-or-later OR Apache-2.0" in packaged("volens.php") and "License: GPL v2 or later" in packaged("volens.php")


def test_what_the_tests_need_is_what_ci_installs() -> None:
    assert f'"{PACKAGES}"' in (ROOT / ".ci/run").read_text("utf-8")


def test_a_link_in_the_plugin_s_place_leads_nowhere(tmp_path: Path) -> None:
    """WordPress may write there, and ``volens wordpress`` is run by somebody who may write elsewhere."""
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "wp" / "wp-content" / "mu-plugins").mkdir(parents=True)
    plugin = tmp_path / "wp" / "wp-content" / "mu-plugins" / "volens.php"
    plugin.symlink_to(tmp_path / "elsewhere")
    install(tmp_path / "wp", tmp_path / "volens.toml", "site.example", "Le Site", "a@site.example")
    assert (tmp_path / "elsewhere").read_text() == "mine" and plugin.read_text("utf-8").startswith("<?php") and not plugin.is_symlink()
    assert [plugin] == list(plugin.parent.iterdir()) and plugin.stat().st_mode & 0o777 == 0o644
