"""P6–P8, P10 and P14 for each kind of data, in the panel, with the one purpose that opens it; with and without JavaScript."""

from __future__ import annotations

import pytest
from evidence import Journeys, Seen
from table import TABLE
from test_P07 import hue
from visitor import ON_SITE, PARTIES, TECHNICAL

SERVICES = {"video": 1, "publicite": 1, "personnalisation": 1, "geolocalisation": 1, "reseaux-sociaux": 4}
PROFILES = {"publicite": 1, "personnalisation": 1}


def each(test: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("kind", "layer"), TABLE.cells(test))


def alone(journeys: Journeys, kind: str, layer: str) -> tuple[str, Seen, frozenset[str]]:
    purpose = TABLE.kinds[kind]["alone"]
    return purpose, *journeys.alone(purpose, layer)


@each("test_social_networks_alone_open_what_comments_need_of_it_and_no_more")
def test_social_networks_alone_open_what_comments_need_of_it_and_no_more(journeys: Journeys, kind: str, layer: str) -> None:
    seen, _ = journeys.alone("reseaux-sociaux", layer)
    assert seen.parties <= PARTIES["reseaux-sociaux"], seen.parties
    if "reseaux-sociaux" in TABLE.kinds[kind]["purposes"]:
        assert seen.comment[kind], "commenting works"
    else:
        assert seen.untouched(kind), seen.signs[kind]
    assert not seen.signs["ip"]["the newspaper was told the whole address"], "Isso keeps the beginning of an address"
    assert seen.device <= TECHNICAL | ON_SITE["reseaux-sociaux"], seen.device


@each("test_the_band_is_divided_as_storage_is")
def test_the_band_is_divided_as_storage_is(journeys: Journeys, kind: str, layer: str) -> None:
    purpose, seen, _ = alone(journeys, kind, layer)
    every = sum(SERVICES.values())
    assert f"{SERVICES[purpose]} sur {every}" in seen.storage["text"]
    assert seen.storage["share"] == pytest.approx(SERVICES[purpose] / every, abs=0.02)
    assert hue(seen.storage["colour"]) == "red" and hue(seen.storage["fill"]) == "green"
    assert seen.device <= TECHNICAL | ON_SITE[purpose], "no more is stored than the green part says"
    assert {domain.partition(".")[0] for domain in seen.third} <= PARTIES[purpose]


@each("test_a_profile_is_made_only_where_the_band_says_so")
def test_a_profile_is_made_only_where_the_band_says_so(journeys: Journeys, kind: str, layer: str) -> None:
    purpose, seen, _ = alone(journeys, kind, layer)
    part = PROFILES.get(purpose, 0)
    if part:
        assert seen.profiles["share"] == pytest.approx(part / sum(PROFILES.values()), abs=0.02)
    else:
        assert "refusés" in seen.profiles["text"] and hue(seen.profiles["colour"]) == "red"
    assert seen.profiled == (purpose == "personnalisation"), "the newspaper's own profile"


@each("test_ok_allows_just_the_switch_that_is_on_and_closing_none")
def test_ok_allows_just_the_switch_that_is_on_and_closing_none(journeys: Journeys, kind: str, layer: str) -> None:
    purpose, seen, closed = alone(journeys, kind, layer)
    assert not {"volens", "volens-record"} & closed, "the switch was on, and the panel closed"
    assert seen.recorded == {purpose} and seen.granted == (purpose,)
    named = {kind for kind, told in TABLE.kinds.items() if purpose in told["purposes"]}
    assert seen.touched() <= named, "what the notice names under this purpose, and no other kind"
    if not (layer.endswith("plain") and purpose == "publicite"):  # its tag is a script: without one nothing is asked for
        assert not seen.untouched(kind)


@each("test_the_page_is_whole_with_it_alone")
def test_the_page_is_whole_with_it_alone(journeys: Journeys, kind: str, layer: str) -> None:
    _, seen, _ = alone(journeys, kind, layer)
    assert seen.answered
    assert (seen.text, seen.links) == journeys.plain_page()
