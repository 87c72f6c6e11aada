"""The text of an answer: one form, nothing else; and the tag that only the server can make."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import choices, notices

from volens.choice import MAX_TEXT, Choice, RecordTag, expires
from volens.errors import ChoiceError
from volens.notice import Notice

KEYS = (b"newest key of 32 bytes..........", b"older key of 32 bytes...........")
RECORD = "0123456789abcdefghijklmnop"
GIVEN = Choice("0123456789abcdef", date(2026, 3, 1), frozenset({"video"}), frozenset({"telegram"}), frozenset({"youtube"}))


@given(choices())
def test_what_is_written_is_read_back(choice: Choice) -> None:
    assert Choice.parse(choice.text()) == choice


def test_the_text_is_the_one_the_browser_reads_too() -> None:
    assert GIVEN.text() == "1.0123456789abcdef.20260301.!youtube~+telegram~video"
    assert Choice("0123456789abcdef", date(2026, 3, 1)).text() == "1.0123456789abcdef.20260301.-"


@given(st.text())
def test_any_text_is_a_choice_in_its_one_form_or_a_choice_error(text: str) -> None:
    try:
        assert Choice.parse(text).text() == text
    except ChoiceError:
        pass


@given(choices(), st.data())
def test_a_damaged_text_is_never_the_same_choice(choice: Choice, data: st.DataObject) -> None:
    text = choice.text()
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 3))
    damaged = text[:at] + data.draw(st.text("1.~+!-az09\x00é ", max_size=3)) + text[at + cut :]
    if damaged == text:
        return
    try:
        read = Choice.parse(damaged)
    except ChoiceError:
        return
    assert read != choice
    assert not RecordTag.sign(KEYS, "journal.example", RECORD, choice).verifies(KEYS, "journal.example", read)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "2.0123456789abcdef.20260301.-",  # another version
        "1.0123456789ABCDEF.20260301.-",
        "1.0123456789abcdef.20260230.-",  # not a day
        "1.0123456789abcdef.00000101.-",
        "1.0123456789abcdef.20260301.",
        "1.0123456789abcdef.20260301.video~audience",  # not in order
        "1.0123456789abcdef.20260301.video~video",
        "1.0123456789abcdef.20260301.-~video",
        "1.0123456789abcdef.20260301.+",
        "1.0123456789abcdef.20260301.!x~+x",  # refused and granted
        "1.0123456789abcdef.20260301.video\n",
        "1.0123456789abcdef.２０２６0301.-",  # digits, but not ours
        " 1.0123456789abcdef.20260301.-",
        '"1.0123456789abcdef.20260301.-"',
        "1.0123456789abcdef.20260301." + "a" * MAX_TEXT,
    ],
)
def test_everything_but_the_canonical_form_is_refused(text: str) -> None:
    with pytest.raises(ChoiceError):
        Choice.parse(text)


@given(choices(), st.sampled_from(("journal.example", "x")))
def test_the_tag_verifies_with_any_of_the_keys(choice: Choice, site: str) -> None:
    assert RecordTag.sign(KEYS, site, RECORD, choice).verifies(KEYS, site, choice)
    assert RecordTag.sign(KEYS[1:], site, RECORD, choice).verifies(KEYS, site, choice)


@given(choices(), choices())
def test_a_tag_vouches_for_no_other_choice_site_record_or_key(choice: Choice, other: Choice) -> None:
    tag = RecordTag.sign(KEYS[:1], "journal.example", RECORD, choice)
    assert tag.verifies(KEYS, "journal.example", other) == (other == choice)
    assert not tag.verifies(KEYS, "evil.example", choice)
    assert not tag.verifies(KEYS[1:], "journal.example", choice)
    assert not tag.verifies((), "journal.example", choice)
    assert not RecordTag("1" * 26, tag.tag).verifies(KEYS, "journal.example", choice)


def test_the_parts_under_the_tag_cannot_be_shifted() -> None:
    one = RecordTag.sign(KEYS, "journal.exampl", "e" + RECORD[1:], GIVEN)
    assert not RecordTag(RECORD, one.tag).verifies(KEYS, "journal.example", GIVEN)


@given(st.text())
def test_any_record_cookie_parses_in_its_one_form_or_is_a_choice_error(text: str) -> None:
    try:
        assert RecordTag.parse(text).text() == text
    except ChoiceError:
        pass


def test_a_record_cookie_is_read_back() -> None:
    tag = RecordTag.sign(KEYS, "journal.example", RECORD, GIVEN)
    assert RecordTag.parse(tag.text()) == tag


@pytest.mark.parametrize(
    ("day", "months", "last"),
    [
        (date(2026, 1, 15), 6, date(2026, 7, 15)),
        (date(2026, 8, 31), 6, date(2027, 2, 28)),
        (date(2027, 8, 31), 6, date(2028, 2, 29)),
        (date(2026, 6, 30), 6, date(2026, 12, 30)),
        (date(2026, 12, 31), 6, date(2027, 6, 30)),
        (date(2026, 7, 1), 6, date(2027, 1, 1)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 11, 30), 13, date(2027, 12, 30)),
    ],
)
def test_an_answer_expires_months_later(day: date, months: int, last: date) -> None:
    assert expires(day, months) == last


@given(st.dates(date(2020, 1, 1), date(2040, 1, 1)), st.integers(1, 13))
def test_expiry_grows_with_day_and_months(day: date, months: int) -> None:
    assert day + timedelta(days=28 * months) <= expires(day, months) <= day + timedelta(days=31 * months)
    assert expires(day, months) <= expires(day + timedelta(days=1), months)
    assert expires(day, months) < expires(day, months + 1)


@given(notices(), st.data())
def test_ok_grants_what_the_switches_show(notice: Notice, data: st.DataObject) -> None:
    from volens.choice import Signals
    from volens.policy import grant

    on = data.draw(st.frozensets(st.sampled_from([*notice.askable, "unknown"])))
    chosen = data.draw(st.frozensets(st.sampled_from([*(s.id for s in notice.services), "nobody"])))
    choice = Choice.from_switches(notice, date(2026, 3, 1), on, chosen)
    permitted = grant(notice, choice, Signals(), date(2026, 3, 1))
    assert permitted.purposes == on & set(notice.askable)
    assert {s.id for s in notice.services_asked if s.id in permitted.services} == {s.id for s in notice.services_asked if s.id in chosen}


@given(notices())
def test_ok_with_nothing_on_is_a_refusal(notice: Notice) -> None:
    assert Choice.from_switches(notice, date(2026, 3, 1), (), ()) == Choice.refuse_all(notice, date(2026, 3, 1))


@given(notices())
def test_accept_all_names_no_more_than_the_notice(notice: Notice) -> None:
    choice = Choice.accept_all(notice, date(2026, 3, 1))
    assert choice.purposes == set(notice.askable)
    assert not choice.services and not choice.without
