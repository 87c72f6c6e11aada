"""``volens check --preview``: a picture of every screen in every state, and a page to look through them."""

from __future__ import annotations

import io
import json
import re
import struct
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from volens import check
from volens.catalog import Catalog
from volens.config import load
from volens.preview import WINDOWS, draw, scenes

ROOT = Path(__file__).parent.parent.parent
DAY = date(2026, 11, 22)
STATES = {"notice-undecided", "notice-gpc", "notice-refused", "notice-part", "notice-accepted", "panel-undecided", "panel-part"}
PAGES = {"policy", "rights", "forget", "problem", "placeholder-unknown"}


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_screen_of_the_demonstration_is_among_the_scenes(language: str) -> None:
    site = load(ROOT / "demo/volens.toml", Catalog.packaged()).site
    found = [scene.name for scene in scenes(site, language, DAY)]
    gates = {f"{kind}-{purpose}" for kind in ("gate", "area") for purpose in ("reseaux-sociaux", "geolocalisation")}
    assert set(found) == STATES | PAGES | gates | {"placeholder-videotube"} and len(found) == len(set(found))


def test_each_is_drawn_on_phone_and_desk_in_each_look(chromium: Any, tmp_path: Path) -> None:
    whole = 'names = ["www.journal.example"]\nlanguages = ["fr"]\n[controller]\nname = "J"\ncontact = "a@b.example"\npolicy = "volens"\n'
    text = whole + '[services.youtube]\n[theme]\nscheme = "dark"\n'
    (tmp_path / "volens.toml").write_text(text, encoding="utf-8")
    count = draw(chromium, load(tmp_path / "volens.toml", Catalog.packaged()).site, tmp_path / "out", DAY)
    shown = re.findall(r'src="([^"]+)"', (tmp_path / "out/index.html").read_text("utf-8"))
    assert len(shown) == len(set(shown)) == count and {p.name for p in (tmp_path / "out").glob("*.png")} == set(shown)
    for name in shown:
        width, height = struct.unpack(">II", (tmp_path / "out" / name).read_bytes()[16:24])  # PNG, IHDR
        window, look = re.fullmatch(r"fr-.+-(\w+)-(\w+)\.png", name).groups()  # type: ignore[union-attr]
        assert width == WINDOWS[window][0] and height >= WINDOWS[window][1] and look in ("dark", "contrast"), name


def test_where_nothing_can_be_drawn_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOLENS_CHROMIUM", "/nowhere/chromium")
    out = io.StringIO()
    assert check.run(ROOT / "demo/volens.toml", json=True, folder=tmp_path, out=out, browser=False) == 2
    assert json.loads(out.getvalue())["preview"] is None
