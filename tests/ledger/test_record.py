"""A record is one canonical byte string, cannot be built wrong, and cannot hold anything about a person."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from conformance import NOTICE, record, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from volens.errors import RecordError
from volens.ledger.record import EVENTS, METHODS, SURFACES, Count, Record, new_id

untimed = settings(deadline=None)  # a loaded machine is no failure
ids = st.from_regex(r"[0-9a-v]{26}", fullmatch=True)
names = st.from_regex(r"[a-z][a-z0-9-]{0,39}", fullmatch=True)
answers = st.dictionaries(names, st.booleans(), max_size=6)


@st.composite
def records(draw: st.DrawFn) -> Record:
    purposes, services = draw(answers), draw(answers)
    event = draw(st.sampled_from(("given", "changed"))) if any([*purposes.values(), *services.values()]) else "withdrawn"
    id = draw(ids)
    return Record(
        id=id,
        site=draw(st.from_regex(r"[a-zé0-9.:\[\]-]{1,60}", fullmatch=True)),
        time=draw(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.timezones())),
        event=event,
        method=draw(st.sampled_from(METHODS)),
        surface=draw(st.sampled_from(SURFACES)),
        language=draw(st.sampled_from(("fr", "en", "pt-BR", "zh-Hant-TW", "arc"))),
        notice=draw(st.from_regex(r"[0-9a-f]{64}", fullmatch=True)),
        purposes=purposes,
        services=services,
        supersedes=draw(ids.filter(lambda other: other != id)),
        tc=draw(st.one_of(st.just(""), st.from_regex(r"C[A-Za-z0-9_-]{1,80}(\.[A-Za-z0-9_-]{1,20}){0,3}", fullmatch=True))),
        unconfigured=draw(st.booleans()),
        gpc=draw(st.booleans()),
    )


@untimed
@given(records())
def test_a_record_comes_back_from_its_bytes_and_from_its_json(given: Record) -> None:
    assert Record.parse(given.canonical()) == given
    assert Record.from_json(json.loads(json.dumps(given.to_json()))) == given
    assert Record.parse(given.canonical()).canonical() == given.canonical()


def test_the_bytes_are_those_of_rfc_8785() -> None:
    """Written out by hand: sorted names, no spaces, UTF-8, nothing but strings and booleans."""
    given = record(id="0" * 25 + "v", site="journal-é.example", services={"tube": True, "a": False})
    expected = (
        '{"event":"given","format":"volens-record/1","gpc":false,"id":"0000000000000000000000000v","language":"fr","method":"accept-all",'
        f'"notice":"{NOTICE.digest}","purposes":{{"video":true}},"services":{{"a":false,"tube":true}},"site":"journal-é.example",'
        '"supersedes":"","surface":"notice","tc":"","time":"2026-11-22T10:23:05Z","unconfigured":false}'
    )
    assert given.canonical() == expected.encode()


def test_answers_in_another_order_give_the_same_bytes() -> None:
    one = record(purposes={"a": True, "b": False}, id="0" * 26)
    assert one.canonical() == record(purposes={"b": False, "a": True}, id="0" * 26).canonical()


def test_time_is_kept_in_utc_and_whole_seconds() -> None:
    local = datetime(2026, 11, 22, 11, 23, 5, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert record(time=local).time == datetime(2026, 11, 22, 10, 23, 5, tzinfo=UTC)


@untimed
@given(st.binary(max_size=400))
def test_bytes_that_are_no_record_are_a_record_error(data: bytes) -> None:
    with pytest.raises(RecordError):
        Record.parse(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@untimed
@given(json_values)
def test_json_that_is_no_record_is_a_record_error(value: object) -> None:
    with pytest.raises(RecordError):
        Record.from_json(value)


@untimed
@given(records(), st.data())
def test_a_record_with_one_value_replaced_is_refused_or_is_another_valid_record(given: Record, data: st.DataObject) -> None:
    value = given.to_json()
    name = data.draw(st.sampled_from(sorted(value)))
    value[name] = data.draw(json_values)
    try:
        other = Record.from_json(value)
    except RecordError:
        return
    assert other.to_json() == value, "what is accepted is accepted to the letter"


@untimed
@given(records(), st.data())
def test_any_damage_to_the_bytes_is_noticed_or_changes_the_record(given: Record, data: st.DataObject) -> None:
    whole = bytearray(given.canonical())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    try:
        other = Record.parse(bytes(whole))
    except RecordError:
        return
    assert other != given and other.canonical() == bytes(whole)


@pytest.mark.parametrize(
    "data",
    [
        lambda c: c.replace(b'"gpc":false', b'"gpc":false,"gpc":false'),  # twice
        lambda c: c.replace(b":", b": ", 1),  # spaces
        lambda c: b"\xef\xbb\xbf" + c,  # byte order mark
        lambda c: c + b"\n",
        lambda c: c.replace(b"accept-all", b"accept\\u002dall"),  # another spelling of the same text
        lambda c: c.replace(b'"gpc":false', b'"gpc":0'),
        lambda c: c.replace(b'"gpc":false', b'"gpc":null'),
        lambda c: c.replace(b"volens-record/1", b"volens-record/2"),
        lambda c: c.replace(b'"tc":""', b'"address":"192.0.2.7","tc":""'),  # a field that is not ours
        lambda c: c.replace(b'"tc":"",', b""),
        lambda c: c.replace(b"05Z", b"05+00:00"),
        lambda c: c.replace(b"2026-11-22T", b"2026-13-22T"),
        lambda c: b"[" * 100_000,
    ],
)
def test_other_spellings_are_refused(data: Any) -> None:
    canonical = record().canonical()
    damaged = data(canonical)
    assert damaged != canonical
    with pytest.raises(RecordError):
        Record.parse(damaged)


@pytest.mark.parametrize(
    "values",
    [
        {"id": "short"},
        {"id": new_id().upper() + "\n"},
        {"site": ""},
        {"site": "two words"},
        {"site": "a\ud800"},
        {"time": datetime(2026, 11, 22)},
        {"time": "2026-11-22T10:23:05Z"},
        {"event": "refused"},
        {"event": ["given"]},
        {"method": "click"},
        {"surface": "banner"},
        {"language": "Mozilla/5.0 (X11; Linux x86_64)"},
        {"notice": "0123456789abcdef"},
        {"purposes": [("video", True)]},
        {"purposes": {"video": 1}},
        {"purposes": {"Video": True}},
        {"services": {"192.0.2.7": True}},
        {"tc": "192.0.2.7"},
        {"tc": "2001:db8::7"},
        {"tc": "C" * 9000},
        {"gpc": "1"},
        {"unconfigured": None},
        {"supersedes": "none"},
        {"event": "changed"},  # of what?
        {"event": "withdrawn", "purposes": {"video": False}},  # of what?
        {"event": "withdrawn", "supersedes": "0" * 26},  # grants
        {"id": "1" * 26, "event": "changed", "supersedes": "1" * 26},
    ],
)
def test_a_wrong_record_cannot_be_built(values: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        record(**values)


def test_a_refusal_cannot_be_recorded() -> None:
    with pytest.raises(RecordError, match="a refusal is counted, not recorded"):
        record(purposes={"video": False}, services={"tube": False})


def test_no_field_can_hold_an_address_or_a_browser() -> None:
    """Every field but the site's own name, tried with what a request tells of a visitor."""
    personal = ("192.0.2.7", "2001:db8::7", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/156.0", "anna@example.org")
    for item in fields(Record):
        for value in personal:
            if item.name == "site":
                continue
            for wrong in (value, {value: True}):
                with pytest.raises(RecordError):
                    record(**{item.name: wrong})


def test_a_record_and_its_answers_are_frozen() -> None:
    given = record()
    with pytest.raises(FrozenInstanceError):
        given.site = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        given.purposes["video"] = False  # type: ignore[index]
    assert replace(given, gpc=True) != given


def test_a_count_has_no_id_and_no_time() -> None:
    assert {item.name for item in fields(Count)} == {"site", "day", "notice", "surface", "language", "gpc", "event"}
    with pytest.raises(RecordError, match="no time"):
        refusal(day=datetime.now(UTC))
    for wrong in ({"notice": "x"}, {"surface": "banner"}, {"language": "curl/8"}, {"gpc": 1}, {"site": ""}, {"day": "2026-11-22"}):
        with pytest.raises(RecordError):
            refusal(**wrong)
    assert refusal().event == "refused" not in EVENTS
    assert refusal().day == date(2026, 11, 22)


def test_ids_are_of_the_form_the_record_cookie_carries_and_do_not_repeat() -> None:
    from volens.choice import RecordTag

    begun = int(time.time())
    made = {new_id() for _ in range(20_000)}
    ended = int(time.time())
    assert len(made) == 20_000
    tag = RecordTag(made.pop(), "A" * 22)
    assert RecordTag.parse(tag.text()) == tag
    assert {id[place] for id in made for place in range(26)} == set("0123456789abcdefghijklmnopqrstuv")
    assert all(len({id[place] for id in made}) == 32 for place in range(7, 26)), "95 random bits, in every place"
    assert {int(id[:7], 32) for id in made} <= set(range(begun, ended + 1)), "the seconds come first: an index grows at its end"


def test_the_same_answer_given_again_is_the_record_that_would_have_been_made_anew() -> None:
    odd = record(site='x"id":"y"time":"z', tc="C" + "a" * 40, regime="us-ca", language="fr")
    for first in (record(), odd, record(event="changed", supersedes=new_id())):
        id, now = new_id(), datetime(2027, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
        again = first.again(id, now)
        anew = replace(first, id=id, time=now)
        assert (again, again.canonical(), again.to_json()) == (anew, anew.canonical(), anew.to_json())
        assert again.again(first.id, first.time).canonical() == first.canonical()
        assert Record.parse(again.canonical()) == again
        for wrong in ("x", id.upper(), first.supersedes or "y" * 27):
            with pytest.raises(RecordError):
                first.again(wrong, now)
        with pytest.raises(RecordError):
            first.again(new_id(), datetime(2027, 3, 4))


def test_a_forked_process_makes_other_ids() -> None:
    new_id()
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(there, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(here, 26).decode()[7:] != new_id()[7:]
    os.close(here)
    os.close(there)


def test_ids_made_by_many_threads_are_all_others() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [id for ids in pool.map(lambda _: [new_id() for _ in range(2000)], range(8)) for id in ids]
    assert len(set(made)) == 16_000
    assert len({id[7:10] for id in made}) > 10_000, "of 32,768 that chance can give"
