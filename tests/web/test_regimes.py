"""The law of the visitor's place: followed where the operator says so and the place is certain, told as it is, strict in doubt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.enforce.making import HOST, NOTICE, SITE, TODAY
from tests.web.making import SAME, Visitor, gateway, header, request
from volens.policy import Reason
from volens.regimes import regime_of, regimes
from volens.site import Regions
from volens.web.gateway import Gateway
from volens.web.messages import Pairs

HERE = replace(SITE, regions=Regions(b"cf-ipcountry", b"cf-region-code", ("audience",)))
CALIFORNIA: Pairs = [(b"cf-ipcountry", b"US"), (b"cf-region-code", b"CA")]
GPC = (b"sec-gpc", b"1")
SOLD = {"publicite", "personnalisation"}
WIDE = set(NOTICE.askable) - {"geolocalisation"}


@pytest.fixture
def made(tmp_path: Path) -> Gateway:
    return gateway(tmp_path, site=HERE)


def test_every_fact_has_its_source() -> None:
    for place, regime in regimes().items():
        assert regime.source and regime.law and place in regime.places
    assert {r.id for r in regimes().values() if r.opt_out} == {"california", "colorado", "connecticut", "texas"}


@pytest.mark.parametrize(
    ("country", "part", "id"),
    [("FR", "", "eu"), ("fr", "75", "eu"), ("US", "CA", "california"), ("US-CA", "", "california"), ("us", "us-ca", "california"),
     ("CA", "QC", "quebec"), ("CA", "ON", None), ("US", "", None), ("US", "WY", None), ("GB", "", "uk"), ("BR", "", "brazil"),
     ("XX", "", None), ("T1", "", None), ("", "", None), ("USA", "CA", None), ("US, FR", "CA", None), ("US\0", "CA", None)],
)  # fmt: skip
def test_a_place_that_is_not_certain_has_no_law_of_its_own(country: str, part: str, id: str | None) -> None:
    found = regime_of(country, part)
    assert (found.id if found else None) == id


def grant_at(made: Gateway, *pairs: tuple[bytes, bytes], **more: bool):  # type: ignore[no-untyped-def]
    asked = request("GET", "/a", pairs)
    return made.visit(replace(asked, **more)).grant


def test_where_the_law_asks_for_no_yes_nobody_is_asked_and_it_is_no_consent(made: Gateway) -> None:
    grant = grant_at(made, *CALIFORNIA)
    assert grant.purposes == grant.presumed == WIDE and not grant.asked and not grant.answered and grant.regime == "california"
    assert grant.decide("video").reason is Reason.PRESUMED and not grant.allows("geolocalisation"), "where one is, is asked everywhere"
    body = made.screens(HERE).dress(grant, "en").body
    assert "Do Not Sell or Share My Personal Information" in body and "without asking you" in body and "California" in body
    assert 'name="answer" value="accept"' not in body and "data-ask" not in body.partition(">")[0]
    panel = made.screens(HERE).panel(grant, "en", "/")
    assert "none of it counts as consent" in panel


def test_the_signal_is_obeyed_even_where_the_site_elsewhere_does_not(tmp_path: Path) -> None:
    made = gateway(tmp_path, site=replace(HERE, honour_gpc=False))
    grant = grant_at(made, *CALIFORNIA, GPC)
    assert grant.gpc and grant.presumed == WIDE - SOLD and "regie" not in grant.services
    assert "GPC" in made.screens(HERE).dress(grant, "en").body


def test_one_press_ends_it_and_it_stays_ended(made: Gateway) -> None:
    visitor = Visitor(made)
    reply = visitor.choose("answer=refuse&surface=notice", [*SAME, *CALIFORNIA])
    assert reply.status == 303 and "Max-Age=34560000" in header(reply, "set-cookie")[0], "400 days: what a browser keeps at most"
    refused = grant_at(made, *visitor.cookie(), *CALIFORNIA)
    assert refused.answered and not refused.purposes and not refused.asked
    made.now.forward(days=300)  # type: ignore[attr-defined]
    later = grant_at(made, *visitor.cookie(), *CALIFORNIA)
    assert not later.purposes and not later.asked, "nobody who has said no is asked again within a year"
    assert grant_at(made, *visitor.cookie()).asked, "elsewhere six months are six months"


def test_a_script_is_told_to_make_the_page_again(made: Gateway) -> None:
    body = json.dumps({"notice": made.named(HERE), "answer": "refuse", "surface": "notice"})
    told = json.loads(Visitor(made).choose(body, [*SAME, *CALIFORNIA], kind=b"application/json").body)
    assert told["reload"] is True and told["grant"] == ""


DOUBTS: dict[str, Pairs] = {
    "nobody says": [],
    "a country without its part": CALIFORNIA[:1],
    "two countries": [*CALIFORNIA, (b"cf-ipcountry", b"FR")],
    "two parts": [*CALIFORNIA, (b"cf-region-code", b"TX")],
    "Tor": [(b"cf-ipcountry", b"T1"), (b"cf-region-code", b"CA")],
    "a place without an entry": [(b"cf-ipcountry", b"US"), (b"cf-region-code", b"WY")],
    "Europe": [(b"cf-ipcountry", b"FR"), (b"cf-region-code", b"CA")],
    "a broken answer": [*CALIFORNIA, (b"cookie", b"volens=broken")],
    "an answer nobody recorded": [*CALIFORNIA, (b"cookie", f"volens=1.{NOTICE.short}.20261122.video".encode())],
    "two answers": [*CALIFORNIA, (b"cookie", b"volens=a; volens=b")],
}


@pytest.mark.parametrize("pairs", DOUBTS.values(), ids=DOUBTS)
def test_in_doubt_nothing_without_a_yes(made: Gateway, pairs: Pairs) -> None:
    grant = grant_at(made, *pairs)
    assert not grant.purposes and grant.asked and not grant.presumed


def test_only_the_sites_own_front_is_believed_and_only_where_the_operator_follows(made: Gateway, tmp_path: Path) -> None:
    assert not grant_at(made, *CALIFORNIA, vouched=False).purposes
    (tmp_path / "b").mkdir()
    assert not grant_at(gateway(tmp_path / "b"), *CALIFORNIA).purposes


def test_the_united_kingdom_exempts_what_the_operator_vouches_for_and_asks_the_rest(made: Gateway) -> None:
    uk: Pairs = [(b"cf-ipcountry", b"GB")]
    grant = grant_at(made, *uk)
    assert grant.presumed == {"audience"} & set(NOTICE.askable) and grant.asked and grant.regime == "uk"
    if grant.presumed:
        assert "until you say no" in made.screens(HERE).dress(grant, "en").body
    visitor = Visitor(made)
    visitor.choose("answer=refuse", [*SAME, *uk])
    assert not grant_at(made, *visitor.cookie(), *uk).purposes
    (bare := replace(HERE, regions=Regions(b"cf-ipcountry")))
    made._site = bare
    assert not grant_at(made, *uk).regime, "nothing is exempt that nobody vouches for"


def test_the_record_says_which_law_was_followed(made: Gateway) -> None:
    visitor = Visitor(made)
    visitor.choose("answer=accept", [*SAME, *CALIFORNIA])
    record = made.store.record(visitor.jar["__Host-volens-record"].split(".")[1])
    assert record is not None and record.regime == "california" and record.parse(record.canonical()) == record
    other = Visitor(made)
    other.choose("answer=accept")
    plain = made.store.record(other.jar["__Host-volens-record"].split(".")[1])
    assert plain is not None and "regime" not in plain.to_json(), "as every record before"
    assert made.store.totals(HOST, TODAY, TODAY)[0]["event"] == "given"


def test_caches_tell_the_places_apart_and_nobody_else_is_told(made: Gateway) -> None:
    here, elsewhere = (made.visit(request("GET", "/a", pairs)) for pairs in (CALIFORNIA, []))
    assert here._state.key != elsewhere._state.key and not here._state.shared
    assert {"cf-ipcountry", "cf-region-code"} <= set(here._state.looked_at)
    assert not {b"cf-ipcountry", b"cf-region-code"} & {key for key, _ in here.forward}
