"""A notice is one value with one digest: what is shown, and what of it is material."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import notices

from volens.defaults import PURPOSES
from volens.errors import NoticeError
from volens.notice import Controller, Notice, Purpose, Service, StorageKey

JOURNAL = Controller("Journal SAS", "donnees@journal.example", "")
VIDEO = PURPOSES["video"]
YOUTUBE = Service("youtube", "YouTube", ("video",), ("*.youtube.com",), controller="Google")


@given(notices())
def test_a_notice_survives_its_json_with_the_same_digest(notice: Notice) -> None:
    again = Notice.from_json(json.loads(json.dumps(notice.to_json())))
    assert again == notice
    assert again.digest == notice.digest


@given(notices(), notices())
def test_different_notices_have_different_digests_and_equal_ones_the_same(one: Notice, other: Notice) -> None:
    assert (one == other) == (one.digest == other.digest)


def test_the_digest_does_not_depend_on_the_order_of_languages() -> None:
    one = Purpose("video", {"fr": "a", "en": "b"}, {"fr": "c", "en": "d"})
    other = Purpose("video", {"en": "b", "fr": "a"}, {"en": "d", "fr": "c"})
    assert Notice(JOURNAL, (one,), ()).digest == Notice(JOURNAL, (other,), ()).digest


def test_the_same_inputs_give_the_same_bytes_in_every_process() -> None:
    program = """
from datetime import date
from volens.choice import Choice, Signals
from volens.defaults import unconfigured
from volens.policy import grant
notice = unconfigured("journal.example").notice
granted, alone, without = (frozenset(x.split()) for x in ("video publicite audience", "a b c", "d e"))
choice = Choice(notice.short, date(2026, 3, 1), granted, alone, without)
print(notice.digest, choice.text(), grant(notice, choice, Signals(), date(2026, 3, 2)).key)
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
    assert "audience~publicite~video" in outputs.pop()


@pytest.mark.parametrize(
    "change",
    [
        {"id": "videos"},
        {"exempt": "interface"},
        {"data_kinds": ("ip",)},
        {"profiles": True},
    ],
)
def test_what_is_material_of_a_purpose_changes_its_mark(change: dict[str, Any]) -> None:
    assert replace(VIDEO, **change).mark != VIDEO.mark


def test_wording_is_not_material() -> None:
    assert replace(VIDEO, title={"fr": "Films"}, sentence={"fr": "Voir des films."}).mark == VIDEO.mark


@pytest.mark.parametrize(
    "change",
    [
        {"name": "YT"},
        {"controller": "Another company"},
        {"purposes": ("video", "publicite")},
        {"profiles": True},
        {"chain": True},
    ],
)
def test_what_is_material_of_a_service_changes_its_mark(change: dict[str, Any]) -> None:
    assert replace(YOUTUBE, **change).mark != YOUTUBE.mark


def test_a_new_host_or_link_is_not_material() -> None:
    assert replace(YOUTUBE, hosts=("youtu.be",), policy_url="https://example.org/").mark == YOUTUBE.mark


@given(notices())
def test_asked_is_all_that_is_not_exempt(notice: Notice) -> None:
    assert [p.id for p in notice.purposes if not p.exempt] == list(notice.askable)
    for service in notice.services:
        exempt = all(notice.purpose[p].exempt for p in service.purposes)
        assert (service in notice.services_asked) == (not exempt)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: Notice(JOURNAL, (VIDEO, VIDEO), ()), "purpose declared twice: video"),
        (lambda: Notice(JOURNAL, (VIDEO,), (YOUTUBE, YOUTUBE)), "service declared twice: youtube"),
        (lambda: Notice(JOURNAL, (VIDEO,), (replace(YOUTUBE, id="video"),)), "both a purpose and a service: video"),
        (lambda: Notice(JOURNAL, (VIDEO,), (replace(YOUTUBE, purposes=("x",)),)), "'x' is not declared"),
        (lambda: Notice(JOURNAL, (VIDEO,), (), months=14), "1 to 13 months"),
        (lambda: Notice(JOURNAL, (VIDEO,), (), months=0), "1 to 13 months"),
        (lambda: replace(YOUTUBE, purposes=()), "no purpose"),
        (lambda: replace(YOUTUBE, id="You Tube"), "lower-case"),
        (lambda: replace(VIDEO, exempt="legitimate-interest"), "is not one of"),
        (lambda: replace(VIDEO, data_kinds=("email",)), "is not one of"),
        (lambda: StorageKey("a*b"), "only stand at the end"),
        (lambda: StorageKey(""), "cannot be empty"),
        (lambda: StorageKey("a", medium="paper"), "is not one of"),
    ],
)
def test_a_wrong_notice_cannot_be_built(build: Any, says: str) -> None:
    with pytest.raises(NoticeError, match=says):
        build()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(notices(), st.sampled_from(["controller", "purposes", "services", "scope", "texts", "months", "languages", "format"]), json_values)
def test_damaged_json_raises_nothing_but_notice_error(notice: Notice, name: str, value: Any) -> None:
    damaged = {**notice.to_json(), name: value}
    try:
        Notice.from_json(damaged)
    except NoticeError:
        pass


def test_texts_that_are_no_mapping_are_a_notice_error() -> None:
    damaged = Notice(JOURNAL, (VIDEO,), ()).to_json()
    damaged["purposes"][0]["title"] = "ab"
    with pytest.raises(NoticeError, match="not a volens-notice/1 document"):
        Notice.from_json(damaged)


def test_a_notice_does_not_change() -> None:
    notice = Notice(JOURNAL, (VIDEO,), (), texts={"accept": {"fr": "Tout accepter"}})
    with pytest.raises(FrozenInstanceError):
        notice.months = 12  # type: ignore[misc]
    with pytest.raises(TypeError):
        notice.texts["accept"] = {}  # type: ignore[index]
    with pytest.raises(TypeError):
        notice.purposes[0].title["fr"] = "x"  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "found", "matches"),
    [("a*", "a", True), ("a*", "ab", True), ("a*", "b", False), ("a", "ab", False), ("a", "a", True)],
)
def test_a_storage_key_matches_its_name_or_prefix(name: str, found: str, matches: bool) -> None:
    assert StorageKey(name).matches(found) is matches


@pytest.mark.parametrize(
    ("pattern", "name", "one"),
    [
        ("isso-#", "isso-42", True),
        ("#", "7", True),
        ("isso-#", "isso-", False),
        ("isso-#", "isso-4x", False),
        ("isso-#", "issx-4", False),
        ("#", "", False),
        ("#", "1P_JAR", False),
        ("#", "\u0664", False),
        ("_ga_*", "_ga_4", True),
    ],
)
def test_a_number_at_the_end_of_a_name_is_digits_and_nothing_else(pattern: str, name: str, one: bool) -> None:
    assert StorageKey(pattern).matches(name) is one
    assert StorageKey(pattern).many
