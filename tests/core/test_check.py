"""``volens check``: hand-made notices, good and bad, are drawn in a browser and judged; the shipped ones pass."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from volens import check
from volens.catalog import Catalog
from volens.check import judge, measure, run
from volens.config import load
from volens.languages import BUTTONS
from volens.theme import contrast, rgb

ROOT = Path(__file__).parent.parent.parent
LABELS = {"accept": "Tout accepter", "refuse": "Tout refuser", "settings": "Paramétrer vos choix"}
WHOLE = 'names = ["www.journal.example"]\n[controller]\nname = "J"\ncontact = "a@b.example"\npolicy = "/p"\n[services.youtube]\n'

STYLE = """
* { box-sizing: border-box }
#ask { position: fixed; inset: auto 0 0; padding: 12px; background: #fff; color: #222; border-top: 1px solid #ccc; font: 16px sans-serif }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 8px }
.row > * { min-height: 44px; padding: 4px; background: #234; color: #fff; border: 1px solid #234; font: 600 15px sans-serif }
"""
ROW = '<button id="r">Tout refuser</button><button id="a">Tout accepter</button><button id="s">Paramétrer vos choix</button>'


def notice(style: str = "", row: str = ROW, more: str = "", shadow: bool = True) -> str:
    """A page under a notice of our own making, with one thing changed."""
    inside = f'<style>{STYLE}{style}</style><div id="ask" role="region"><p>Nous demandons.</p><div class="row">{row}</div>{more}</div>'
    host = f'<x-ask><template shadowrootmode="open">{inside}</template></x-ask>' if shadow else inside
    head = '<!DOCTYPE html><html lang="fr"><meta name="viewport" content="width=device-width">'
    return f"{head}<body>{host}<h1>Titre</h1>{'<p>Texte.</p>' * 50}</body>"


@pytest.fixture
def browser(chromium: Any) -> Any:
    """The browser every test shares."""
    return chromium


@pytest.mark.parametrize("shadow", [True, False])
def test_a_fair_notice_passes(browser: Any, shadow: bool) -> None:
    assert measure(browser, notice(shadow=shadow), LABELS) == ()


def test_a_fair_notice_in_both_colour_schemes_passes(browser: Any) -> None:
    dark = (
        "@media (prefers-color-scheme: dark) { #ask { background: #111 } .row > * { background: #def; color: #111; border-color: #def } }"
    )
    assert measure(browser, notice(dark), LABELS) == ()


UNFAIR = {
    "a pale refusal": (notice("#r { color: #9ab }"), "R06", "does not look like 'Tout accepter': colour"),
    "an outline instead of a ground": (notice("#r { background: none; color: #234 }"), "R06", "background"),
    "words too pale on every button": (notice(".row > * { background: #89a; border-color: #89a }"), "R06", "have a contrast of"),
    "small letters": (notice("#r { font-size: 12px }"), "R06", "letters of 12px against 15px"),
    "thin letters": (notice("#r { font-weight: 400 }"), "R06", "weight 400 against 600"),
    "a narrow refusal": (notice("#r { width: 60% }"), "R06", "of the width of"),
    "a low refusal": (notice("#r { height: 30px; min-height: 0; align-self: start }"), "R06", "of the height of"),
    "a faded refusal": (notice("#r { opacity: .6 }"), "R06", "opacity 0.60 against 1.00"),
    "capitals for yes": (notice("#a { text-transform: uppercase }"), "R05", "there is no button 'Tout accepter'"),
    "a glow around yes": (notice("#a { box-shadow: 0 0 12px gold }"), "R06", "shadow"),
    "a picture behind no": (notice("#r { background: linear-gradient(#fff, #eee); color: #222 }"), "R06", "is not a plain colour"),
    "no refusal": (notice(row=ROW.replace("Tout refuser", "En savoir plus")), "R05", "there is no button 'Tout refuser'"),
    "a hidden refusal": (notice("#r { visibility: hidden }"), "R05", "there is no button 'Tout refuser'"),
    "a refusal without size": (notice("#r { display: none }"), "R05", "there is no button 'Tout refuser'"),
    "refusing by a link": (
        notice(row=ROW.replace('<button id="r">Tout refuser</button>', '<a id="r" href="/x">Tout refuser</a>')),
        "R07",
        "is a a, 'Tout accepter' a button",
    ),
    "refusing in a sentence": (
        notice(row=ROW.replace('<button id="r">Tout refuser</button>', ""), more="<p>Vous pouvez <button>Tout refuser</button> aussi.</p>"),
        "R07",
        "stands inside running text",
    ),
    "a refusal below the window": (
        notice("#r { position: fixed; top: 120vh; left: 0; width: 130px }"),
        "R06",
        "is not wholly in the window",
    ),
    "something over the refusal": (
        notice(
            row=ROW.replace('<button id="r">', '<div style="position:relative;display:grid;all:unset"><button id="r">').replace(
                "refuser</button>", "refuser</button></div>"
            ),
            more='<i style="position:fixed;inset:auto 0 0;height:200px;opacity:0"></i>',
        ),
        "R32",
        "is covered by i",
    ),
    "a refusal that cannot be pressed": (notice(row=ROW.replace('id="r"', 'id="r" disabled')), "R05", "cannot be reached or pressed"),
    "a refusal out of the tab order": (notice(row=ROW.replace('id="r"', 'id="r" tabindex="-1"')), "R05", "cannot be reached or pressed"),
    "a refusal after everything else": (
        notice(
            row=ROW.replace('<button id="r">Tout refuser</button>', ""),
            more='<a href="/1">un</a> <a href="/2">deux</a><div class="row"><button>Tout refuser</button></div>',
        ),
        "R05",
        "stops after 'Tout accepter'",
    ),
    "a switch on": (notice(more='<label><input type="checkbox" checked>Publicité</label>'), "R04", "'Publicité' is on at first"),
    "a switch of another make on": (
        notice(more='<span role="switch" aria-checked="true" aria-label="Pub" tabindex="0">x</span>'),
        "R04",
        "'Pub' is on at first",
    ),
    "unfair on phones only": (notice("@media (max-width: 400px) { #r { font-size: 11px } }"), "R06", "letters of 11px"),
    "unfair in the dark only": (
        notice("@media (prefers-color-scheme: dark) { #r { background: #fff; color: #ddd } }"),
        "R06",
        "have a contrast of",
    ),
}


@pytest.mark.parametrize("name", UNFAIR)
def test_an_unfair_notice_is_caught(browser: Any, name: str) -> None:
    page, rule, says = UNFAIR[name]
    found = [str(mistake) for mistake in measure(browser, page, LABELS) if mistake.fatal]
    assert any(f"({rule})" in line and says in line for line in found), found


def test_a_mistake_says_where_it_was_seen(browser: Any) -> None:
    (small, *_) = measure(browser, UNFAIR["unfair on phones only"][0], LABELS)
    assert small.place == "320 px light, 360 px light, 320 px dark, 360 px dark"
    assert measure(browser, notice("#r { font-weight: 400 }"), LABELS)[0].place == "every width"


def test_a_notice_that_hides_the_headline_is_a_warning(browser: Any) -> None:
    found = measure(browser, notice("#ask { height: 60vh }"), LABELS)
    assert [(m.fatal, "covers 60% of a 360 by 740 phone" in m.found) for m in found] == [(False, True)]


def test_a_switch_that_is_off_or_always_on_is_no_mistake(browser: Any) -> None:
    fair = notice(more='<input type="checkbox" aria-label="Vidéos"><input type="checkbox" checked disabled aria-label="Technique">')
    assert measure(browser, fair, LABELS) == ()


def test_a_longer_third_name_may_be_wider_but_not_smaller() -> None:
    def button(**change: Any) -> dict[str, Any]:
        same = dict.fromkeys(check.SAME, "x")
        place = {"tag": "button", "role": "", "width": 100.0, "height": 44.0, "inside": True, "covered": "", "paragraph": False, "stop": 1}
        return {
            **same,
            **place,
            "disabled": False,
            "hidden": False,
            "picture": "",
            "colourRgb": [0, 0, 0],
            "groundRgb": [255, 255, 255],
            **change,
        }

    def seen(**settings: Any) -> dict[str, Any]:
        buttons = {"accept": button(), "refuse": button(stop=0), "settings": button(**settings)}
        return {"buttons": buttons, "on": [], "layer": 0.2, "wider": False}

    assert list(judge(seen(width=240.0), LABELS)) == []
    assert [f.rule for f in judge(seen(width=70.0), LABELS)] == ["R06"]


def test_contrast_is_wcags() -> None:
    assert contrast(rgb("#000"), rgb("#ffffff")) == pytest.approx(21)
    assert contrast(rgb("#777777"), rgb("#fff")) == pytest.approx(4.48, abs=0.01)


def checked(path: Path, **how: Any) -> tuple[int, str]:
    out = io.StringIO()
    return run(path, out=out, **how), out.getvalue()


@pytest.mark.parametrize("name", ["docs/examples/volens.toml", "demo/volens.toml"])
def test_our_own_sites_pass_in_every_language(name: str) -> None:
    status, said = checked(ROOT / name, browser=True)
    assert status == 0, said
    assert "refusing is as easy as accepting" in said


@pytest.mark.parametrize(
    "theme", ['accent = "#ffe08a"', 'position = "top"', 'background = "#101418"\ntext = "#f2f2f2"\naccent = "#9dd0ff"\nradius = "0"']
)
def test_a_fair_theme_passes(tmp_path: Path, theme: str) -> None:
    (tmp_path / "volens.toml").write_text(WHOLE + "[theme]\n" + theme, encoding="utf-8")
    status, said = checked(tmp_path / "volens.toml", browser=True)
    assert status == 0, said


def test_the_screens_judged_are_those_of_the_site() -> None:
    loaded = load(ROOT / "docs/examples/volens.toml", Catalog.packaged())
    drawn = list(check.drawn(loaded))
    assert [(language, layer) for language, layer, _, _ in drawn] == [
        ("fr", "first layer"),
        ("fr", "panel"),
        ("en", "first layer"),
        ("en", "panel"),
    ]
    for _, layer, page, labels in drawn:
        assert set(labels) == set(BUTTONS)
        assert labels["refuse"] in page
        assert "Journal SAS" in page
        assert (layer == "panel") == ('role="switch"' in page)


def test_a_file_with_mistakes_ends_with_1_and_says_them(tmp_path: Path) -> None:
    (tmp_path / "volens.toml").write_text(WHOLE + "[services.youtub]\n", encoding="utf-8")
    status, said = checked(tmp_path / "volens.toml")
    assert status == 1
    assert "1 mistake:\n  line 7 [services.youtub]: the catalog has no service 'youtub'." in said
    assert "Not measured: the screens were not measured: mend the file first." in said


def test_json_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "volens.toml").write_text("mode = 3\n" + WHOLE, encoding="utf-8")
    status, said = checked(tmp_path / "volens.toml", json=True)
    report = json.loads(said)
    assert (status, report["status"], report["format"]) == (1, 1, "volens-check/1")
    assert report["mistakes"] == [{"place": "line 1 mode", "found": "3 stands here.", "remedy": 'Write a text between quotes: "…".'}]
    assert report["measured"] is None


def test_a_missing_file_ends_with_2(tmp_path: Path) -> None:
    status, said = checked(tmp_path / "absent.toml")
    assert status == 2
    assert "cannot be read" in said


def test_without_a_browser_the_file_is_checked_and_the_rest_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "volens.toml").write_text(WHOLE, encoding="utf-8")
    status, said = checked(tmp_path / "volens.toml", browser=False)
    assert status == 0
    assert "Not measured: the screens were not measured: --no-browser." in said
    monkeypatch.setenv("VOLENS_CHROMIUM", str(tmp_path / "no-chromium"))
    status, said = checked(tmp_path / "volens.toml")
    assert status == 0
    assert (
        "Not measured: the screens were not measured (size, weight, contrast and place of the buttons): no Chromium could be started"
        in said
    )
    assert checked(tmp_path / "volens.toml", browser=True)[0] == 2
