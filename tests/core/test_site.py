"""Gates match as their pattern says, in bounded time; the unconfigured site asks for every built-in purpose."""

from __future__ import annotations

import re
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volens.choice import Signals
from volens.defaults import PURPOSES, unconfigured
from volens.notice import Notice, Service, StorageKey
from volens.policy import grant
from volens.site import Gate, Site

paths = st.text("ab/*c", max_size=8)


@given(paths, st.text("ab/cAB", max_size=12))
def test_a_star_in_a_gate_stands_for_any_characters(pattern: str, path: str) -> None:
    plain = re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.IGNORECASE | re.DOTALL)
    assert bool(Gate(pattern, "video").pattern.fullmatch(path)) == bool(plain.fullmatch(path))


def test_no_path_makes_matching_slow() -> None:
    gate = Gate("/" + "*a" * 12 + "*b", "video")
    started = time.process_time()
    assert not gate.pattern.fullmatch("/" + "a" * 8000)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("path", ["/comments", "/COMMENTS", "/comments/1?x", "/comments\n"])
def test_a_gate_takes_every_spelling_of_its_path(path: str) -> None:
    assert Gate("/comments*", "reseaux-sociaux").pattern.fullmatch(path)


def test_the_unconfigured_site_asks_for_every_built_in_purpose_and_names_no_service() -> None:
    site = unconfigured("journal.example:8443")
    assert site.unconfigured
    assert site.name == "journal.example"
    assert site.hosts == ("journal.example",)
    assert site.notice.controller.name == "journal.example"
    assert site.notice.services == ()
    assert site.notice.askable == tuple(p for p in PURPOSES if p != "technique")
    found = grant(site.notice, None, Signals(), date(2026, 3, 1))
    assert [p for p in PURPOSES if found.allows(p)] == ["technique"]


@pytest.mark.parametrize(("host", "name"), [("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("a.example", "a.example")])
def test_a_host_is_named_without_its_port(host: str, name: str) -> None:
    assert unconfigured(host).name == name


def test_the_built_in_purposes_speak_every_language_offered_and_cover_every_kind_of_data() -> None:
    from volens.notice import DATA_KINDS

    offered = {path.stem for path in (Path(__file__).parents[2] / "src" / "volens" / "texts").glob("*.json")}
    assert offered >= {"fr", "en"}
    for purpose in PURPOSES.values():
        assert set(purpose.title) == set(purpose.sentence) == offered
        assert all(purpose.title.values())
        assert all(purpose.sentence.values())
    assert {kind for p in PURPOSES.values() if not p.exempt for kind in p.data_kinds} == set(DATA_KINDS)


def test_declared_storage_is_the_sites_and_its_services() -> None:
    notice = Notice(
        unconfigured("a.example").notice.controller,
        tuple(PURPOSES.values()),
        (Service("youtube", "YouTube", ("video",), storage=(StorageKey("v", purpose="video", service="youtube"),)),),
    )
    site = Site("a.example", notice, storage=(StorageKey("session"),))
    assert [key.name for key in site.storage_declared] == ["session", "v"]


def test_earlier_notices_are_found_by_their_short_digest_only() -> None:
    old = unconfigured("old.example").notice
    site = Site("a.example", unconfigured("a.example").notice, earlier={old.short: old})
    assert site.earlier_notice(old.short) is old
    assert site.earlier_notice("0" * 16) is None
    with pytest.raises(TypeError):
        site.earlier["x"] = old  # type: ignore[index]
