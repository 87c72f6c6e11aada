"""The language files: each whole, with the plural forms of its own language, and buttons that pass their own word list."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from importlib.resources import files

import pytest

from volens.languages import FIRST, Language, families, files_read, names, shipped
from volens.web.screens import Words
from volens.wording import judge, judge_pair

FILES = files_read()
FRENCH = FILES[FIRST]
FORMS = ("zero", "one", "two", "few", "many", "other")
EVERY = pytest.mark.parametrize("language", FILES.values(), ids=FILES)

PUSHING = {
    "de": ("Schade, wirklich ablehnen?", "Alle akzeptieren (empfohlen)", "Nur noch 10 Sekunden", "Wenn Sie weitersurfen, stimmen Sie zu."),
    "es": ("Lástima, ¿está seguro?", "Aceptar (recomendado)", "¡Dese prisa!", "Al continuar, acepta."),
    "it": ("Peccato, preferisco non sostenere i giornali", "Accetta (consigliato)", "Ti restano 10 secondi", "Proseguendo accetti."),
    "pt": ("Que pena! Tem a certeza?", "A melhor experiência", "Última oportunidade", "Ao continuar, aceita."),
    "nl": ("Jammer, weet u het zeker?", "Alles accepteren (aanbevolen)", "Nog maar 10 seconden", "Door verder te surfen gaat u akkoord."),
    "pl": ("Szkoda, na pewno odrzucić?", "Zaakceptuj (zalecane)", "Ostatnia szansa", "Kontynuując przeglądanie, wyrażasz zgodę."),
    "ar": ("للأسف، هل أنت متأكد؟", "قبول (موصى به)", "الفرصة الأخيرة", "بمواصلتك التصفح فإنك توافق."),
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
    assert {code: language.day(day) for code, language in FILES.items()} == {
        "fr": "1 mars 2026",
        "en": "1 March 2026",
        "ar": "1 مارس 2026",
        "de": "1. März 2026",
        "es": "1 de marzo de 2026",
        "it": "1 marzo 2026",
        "nl": "1 maart 2026",
        "pl": "1 marca 2026",
        "pt": "1 de março de 2026",
    }
    assert {code: language.listed(["a", "b", "c"]) for code, language in FILES.items()} == {
        "fr": "a, b et c",
        "en": "a, b and c",
        "ar": "a وb وc",
        "de": "a, b und c",
        "es": "a, b y c",
        "it": "a, b e c",
        "nl": "a, b en c",
        "pl": "a, b i c",
        "pt": "a, b e c",
    }
    assert FRENCH.listed(["a", "b"]) == "a et b" and FRENCH.listed(["a"]) == "a" and FRENCH.listed([]) == ""
    assert (FRENCH.number(12345), FILES["en"].number(12345), FILES["de"].number(12345)) == ("12\u202f345", "12,345", "12.345")


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (["Facebook", "Instagram"], "Facebook e Instagram"),
        (["a", "<a href='/x'>Instagram</a>"], "a e <a href='/x'>Instagram</a>"),
        (["a", "b", "Hilo"], "a, b e Hilo"),
        (["a", "Hielo"], "a y Hielo"),
        (["a", "Youtube"], "a y Youtube"),
    ],
)
def test_spanish_and_changes_before_the_sound_i(items: list[str], said: str) -> None:
    assert FILES["es"].listed(items) == said


@pytest.mark.parametrize(
    ("code", "n", "said"),
    [
        ("fr", 0, "0 service"),
        ("en", 0, "0 services"),
        ("pl", 1, "1 usługa"),
        ("pl", 2, "2 usługi"),
        ("pl", 5, "5 usług"),
        ("pl", 12, "12 usług"),
        ("pl", 22, "22 usługi"),
        ("ar", 0, "لا خدمات"),
        ("ar", 1, "خدمة واحدة"),
        ("ar", 2, "خدمتان"),
        ("ar", 3, "3 خدمات"),
        ("ar", 11, "11 خدمة"),
        ("ar", 100, "100 خدمة"),
    ],
)
def test_a_number_is_said_in_the_form_it_takes(code: str, n: int, said: str) -> None:
    assert Words(code, FILES[code].texts).count("services", n) == said


def test_a_name_is_set_apart_where_the_text_runs_the_other_way() -> None:
    assert Words("ar", FILES["ar"].texts)("frame.allow", name="Piaf Corp.").endswith("\u2068Piaf Corp.\u2069")
    assert Words("fr", FRENCH.texts)("frame.allow", name="Piaf Corp.") == "Autoriser Piaf Corp."


def test_only_arabic_is_written_from_right_to_left() -> None:
    assert [code for code, language in FILES.items() if language.direction == "rtl"] == ["ar"]
