"""The language files: each whole, with the plural forms of its own language, and buttons that pass their own word list."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from importlib.resources import files

import pytest

from volens.languages import FIRST, Language, families, files_read, names, shipped
from volens.wording import judge, judge_pair

FILES = files_read()
FRENCH = FILES[FIRST]
FORMS = ("zero", "one", "two", "few", "many", "other")
EVERY = pytest.mark.parametrize("language", FILES.values(), ids=FILES)

PUSHING = {
    "de": ("Schade, wirklich ablehnen?", "Alle akzeptieren (empfohlen)", "Nur noch 10 Sekunden", "Wenn Sie weitersurfen, stimmen Sie zu."),
}
"""In each language: shame, false hierarchy, pressure, doing nothing taken for a yes."""


def written(language: Language) -> dict[str, set[str]]:
    """The plural forms in the file, by text."""
    return {name: {form for form in FORMS if f"{name}.{form}" in language.texts} for name in families(FRENCH)}


def places(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


@EVERY
def test_a_file_has_what_the_french_one_has_and_nothing_else(language: Language) -> None:
    assert names(language, FRENCH) ^ names(FRENCH, FRENCH) == set()
    texts = [*language.texts.values(), *(text for words in language.purposes.values() for text in words.values())]
    assert [text for text in texts if not text.strip() or text != text.lstrip() or re.search(r"\.\.\.|''|[^\S\n]{2}", text)] == []


@EVERY
def test_plural_forms_are_those_that_cldr_gives_the_language(language: Language) -> None:
    assert {name: forms for name, forms in written(language).items() if forms != language.forms} == {}


@EVERY
def test_what_is_filled_in_is_the_same_in_every_language(language: Language) -> None:
    plural = families(FRENCH)
    for name, text in language.texts.items():
        base, _, form = name.rpartition(".")
        if base in plural and form in FORMS:
            assert places(text) in ([], ["{n}"]) and (form in ("zero", "one", "two") or places(text)), name
        else:
            assert places(text) == places(FRENCH.texts[name]), name


@EVERY
def test_a_language_s_own_texts_pass_its_word_list(language: Language) -> None:
    words = {**language.texts, **{f"{id}.{part}": text for id, both in language.purposes.items() for part, text in both.items()}}
    assert [(name, c.found) for name, text in words.items() for c in judge(text, language.code, name)] == []
    assert judge_pair(language.texts["accept"], language.texts["refuse"], language.code) == []
    assert judge(language.texts["accept"], language.code, "refuse") and judge(language.texts["refuse"], language.code, "accept")


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in PUSHING.items() for text in texts])
def test_words_that_push_are_found_in_every_language(code: str, text: str) -> None:
    assert judge(text, code), text


def test_each_language_has_its_examples_of_pushing() -> None:
    assert set(PUSHING) == set(FILES) - {"fr", "en"}, "those two are in test_config"


def test_nobody_is_said_to_have_reviewed_a_file_who_did_not() -> None:
    for code in FILES:
        file = json.loads(files("volens").joinpath("texts", f"{code}.json").read_bytes())
        assert file["reviewed"] is False and file["language"] == code and file["name"]


def test_a_file_that_lacks_something_is_not_offered() -> None:
    assert set(shipped()) == set(FILES) and list(shipped())[:2] == ["fr", "en"]
    one, *_ = FRENCH.texts
    for lacking in (
        replace(FRENCH, texts={name: text for name, text in FRENCH.texts.items() if name != one}),
        replace(FRENCH, texts={**FRENCH.texts, "more": "encore"}),
        replace(FRENCH, purposes={}),
        replace(FRENCH, pushes={}),
        replace(FRENCH, buttons={}),
    ):
        assert names(lacking, FRENCH) != names(FRENCH, FRENCH)


def test_dates_lists_and_numbers_follow_the_language() -> None:
    day = date(2026, 3, 1)
    assert FRENCH.day(day) == "1 mars 2026" and FILES["en"].day(day) == "1 March 2026" and FILES["de"].day(day) == "1. März 2026"
    assert FRENCH.listed(["a", "b", "c"]) == "a, b et c" and FRENCH.listed(["a"]) == "a" and FRENCH.listed([]) == ""
    assert FILES["en"].listed(["a", "b"]) == "a and b" and FILES["en"].listed(["a", "b", "c", "d"]) == "a, b, c and d"
    assert (FRENCH.number(12345), FILES["en"].number(12345), FILES["de"].number(12345)) == ("12\u202f345", "12,345", "12.345")
    assert [FRENCH.plural(n) for n in (0, 1, 2)] == ["one", "one", "other"] and FILES["en"].plural(0) == "other"
