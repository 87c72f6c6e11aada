"""P1–P5, P7–P10, P12 and P14 for each kind of data, answered on both layers with and without JavaScript (promises.toml says which)."""

from __future__ import annotations

import pytest
from evidence import LAYERS, Journeys
from table import TABLE
from test_P07 import hue
from visitor import TECHNICAL


def each(test: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("kind", "layer"), TABLE.cells(test))


@each("test_processed_after_an_agreement_and_only_then")
def test_processed_after_an_agreement_and_only_then(journeys: Journeys, kind: str, layer: str) -> None:
    undecided, (refused, _), (accepted, _) = journeys.undecided(LAYERS[layer].script), journeys.refused(layer), journeys.accepted(layer)
    assert undecided.untouched(kind), undecided.signs[kind]
    assert refused.untouched(kind), refused.signs[kind]
    assert accepted.processed(kind), accepted.signs[kind]
    assert accepted.answered and refused.answered


@each("test_nothing_of_it_is_set_after_a_refusal")
def test_nothing_of_it_is_set_after_a_refusal(journeys: Journeys, kind: str, layer: str) -> None:
    (refused, _), (accepted, _) = journeys.refused(layer), journeys.accepted(layer)
    assert accepted.kept[kind], "agreed to, something is kept"
    assert not refused.kept[kind], refused.kept[kind]
    assert refused.device <= TECHNICAL and not refused.third, (refused.device - TECHNICAL, refused.third)


@each("test_what_lay_there_of_it_is_not_read_after_a_refusal")
def test_what_lay_there_of_it_is_not_read_after_a_refusal(journeys: Journeys, kind: str, layer: str) -> None:
    read, lay = journeys.old(layer)
    assert kind in lay, "something of it lies there"
    assert kind not in read


@each("test_commenting_processes_nothing_of_it_after_a_refusal")
def test_commenting_processes_nothing_of_it_after_a_refusal(journeys: Journeys, kind: str, layer: str) -> None:
    refused, _ = journeys.refused(layer)
    assert refused.answered and not refused.comment[kind]


@each("test_commenting_has_what_it_needs_of_it_after_an_agreement")
def test_commenting_has_what_it_needs_of_it_after_an_agreement(journeys: Journeys, kind: str, layer: str) -> None:
    undecided, (accepted, _) = journeys.undecided(LAYERS[layer].script), journeys.accepted(layer)
    assert not undecided.comment[kind] and accepted.comment[kind]


@each("test_the_band_says_whether_it_may_be_stored")
def test_the_band_says_whether_it_may_be_stored(journeys: Journeys, kind: str, layer: str) -> None:
    (refused, later), (accepted, withdrawn) = journeys.refused(layer), journeys.accepted(layer)
    for seen in (refused, withdrawn):
        assert "refusé" in seen.storage["text"] and hue(seen.storage["colour"]) == "red"
        assert seen.untouched(kind)
    for seen in (accepted, later):
        assert "autorisé" in seen.storage["text"] and hue(seen.storage["colour"]) == "green"
        assert seen.processed(kind)
    assert accepted.storage["sign"] != refused.storage["sign"], "never by colour alone"


@each("test_the_band_says_whether_a_profile_may_be_made_of_it")
def test_the_band_says_whether_a_profile_may_be_made_of_it(journeys: Journeys, kind: str, layer: str) -> None:
    (refused, later), (accepted, withdrawn) = journeys.refused(layer), journeys.accepted(layer)
    for seen in (refused, withdrawn):
        assert "refusés" in seen.profiles["text"] and hue(seen.profiles["colour"]) == "red"
        assert not seen.profiled and seen.untouched(kind)
    for seen in (accepted, later):
        assert "autorisés" in seen.profiles["text"] and hue(seen.profiles["colour"]) == "green"
        assert seen.profiled and seen.processed(kind)


@each("test_a_yes_becomes_a_no_and_a_no_a_yes")
def test_a_yes_becomes_a_no_and_a_no_a_yes(journeys: Journeys, kind: str, layer: str) -> None:
    """Answered on this layer, changed in the panel. What third parties keep under their own names they no longer see."""
    (refused, later), (accepted, withdrawn) = journeys.refused(layer), journeys.accepted(layer)
    assert refused.untouched(kind) and later.processed(kind)
    assert accepted.processed(kind) and withdrawn.untouched(kind)
    assert withdrawn.device <= TECHNICAL, withdrawn.device - TECHNICAL
    assert not withdrawn.parties and later.granted == accepted.granted


@each("test_leaving_without_an_answer_opens_nothing_of_it")
def test_leaving_without_an_answer_opens_nothing_of_it(journeys: Journeys, kind: str, layer: str) -> None:
    undecided = journeys.undecided(LAYERS[layer].script)
    assert undecided.untouched(kind), undecided.signs[kind]
    assert not {"volens", "volens-record"} & undecided.device and undecided.recorded is None
    assert undecided.storage["text"].endswith("bloqué d’office"), "the question still stands"


@each("test_each_button_decides_on_it_and_all_are_alike")
def test_each_button_decides_on_it_and_all_are_alike(journeys: Journeys, kind: str, layer: str) -> None:
    """The third leads to a switch for it, or in the panel records them: test_one_purpose presses it."""
    assert len(journeys.buttons(layer)) == 1, journeys.buttons(layer)
    assert journeys.accepted(layer)[0].processed(kind) and journeys.refused(layer)[0].untouched(kind)


@each("test_the_page_is_whole_with_and_without_it")
def test_the_page_is_whole_with_and_without_it(journeys: Journeys, kind: str, layer: str) -> None:
    (refused, later), (accepted, withdrawn) = journeys.refused(layer), journeys.accepted(layer)
    assert refused.untouched(kind) and accepted.processed(kind)
    for seen in (journeys.undecided(LAYERS[layer].script), refused, later, accepted, withdrawn):
        assert (seen.text, seen.links) == journeys.plain_page()
        assert seen.answered
