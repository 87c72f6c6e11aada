"""Colours that follow from those a site sets: every pair can be read, light and dark, or is told to be too pale."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volens.catalog import Catalog
from volens.config import parse
from volens.errors import ConfigError, NoticeError
from volens.theme import COLOURS, Theme, contrast, luminance, readable, rgb

colour = st.builds("#{:06x}".format, st.integers(0, 0xFFFFFF))


def pair(colours: object, one: str, other: str) -> float:
    return contrast(rgb(colours[one]), rgb(colours[other]))  # type: ignore[index]


def test_the_default_looks_can_be_read() -> None:
    assert list(Theme().unreadable()) == []


@given(accent=colour)
def test_any_accent_alone_can_be_read_light_and_dark(accent: str) -> None:
    theme = Theme(accent=accent)
    for colours in (theme.light_colours, theme.dark_colours):
        assert pair(colours, "accent", "background") >= 4.5 and pair(colours, "accent", "soft") >= 4.5
    assert theme.light_colours["buttons"] == accent, "the site's own colour"


@given(background=colour, text=colour)
def test_dark_looks_derived_from_readable_light_ones_can_be_read_but_for_what_was_said_pale(background: str, text: str) -> None:
    theme = Theme(background=background, text=text)
    if pair(theme.light_colours, "text", "background") >= 7 and luminance(background) > 0.18:
        assert {scheme for scheme, *_ in theme.unreadable()} <= {"light"}
        assert luminance(theme.dark_colours["background"]) < 0.18 < luminance(theme.dark_colours["text"])


def test_a_dark_site_is_dark_in_both() -> None:
    theme = Theme(background="#101418", text="#f2f2f2")
    assert theme.dark_colours == theme.light_colours


def test_what_the_dark_table_says_counts() -> None:
    theme = Theme(background="#fffdf8", text="#1c1a17", accent="#8f2a1b", dark={"background": "#191b1f", "accent": "#f0a692"})
    dark = theme.dark_colours
    assert (dark["background"], dark["accent"], dark["buttons"], dark["on_buttons"]) == ("#191b1f", "#f0a692", "#f0a692", "#000000")


@pytest.mark.parametrize(
    ("name", "value"), [("accent", "red;}</style>"), ("radius", "4px;x"), ("font", "a;b"), ("dark", {"text": "url(x)"})]
)
def test_what_could_leave_its_property_is_no_theme(name: str, value: object) -> None:
    with pytest.raises(NoticeError):
        Theme(**{name: value})


WHOLE = 'names = ["www.journal.example"]\n[controller]\nname = "J"\ncontact = "a@b.example"\npolicy = "/p"\n[services.youtube]\n'


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("[theme.dark]\ntext = '#444444'", "[theme.dark] text: '#444444"),
        ("[theme]\nquiet = '#bbbbbb'", "[theme] quiet"),
        ("[theme]\nbuttons = '#ffffff'\non_buttons = '#eeeeee'", "[theme] on_buttons"),
        ("[theme]\nno = '#ff9999'", "[theme] no"),
        ("[theme.dark]\nfont = 'serif'", "there is no setting 'font'"),
        ("[theme]\nscheme = 'night'", "'night' is not known"),
    ],
)
def test_every_pale_pair_is_told_where_it_stands(table: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(WHOLE + table, "volens.toml", Catalog.packaged())
    assert told.replace("'#444444", "").rstrip(": ") in str(raised.value), str(raised.value)


def test_pale_dark_looks_are_nothing_to_who_has_none() -> None:
    parse(WHOLE + "[theme]\nscheme = 'light'\n[theme.dark]\ntext = '#444444'", "volens.toml", Catalog.packaged())


def test_readable_goes_no_further_than_it_must() -> None:
    assert readable("#000000", "#ffffff") == "#000000"
    assert contrast(rgb(readable("#ffe08a", "#ffffff")), (255, 255, 255)) == pytest.approx(4.9, abs=0.5)
    assert set(Theme().light_colours) == set(COLOURS)
