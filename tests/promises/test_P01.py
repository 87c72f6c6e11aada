"""P1: *Tout accepter*: the newspaper may process personal data kept on the device, kind by kind, (a) to (f).

Which purpose each kind needs, and which layer holds it: promises.toml. Here each is looked at for itself, on the first layer.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from visitor import ARTICLE, PARTIES, UNLISTED, Visitor

from tests.running import until


def reached(visitor: Visitor) -> bool:
    wanted = {UNLISTED}.union(*PARTIES.values())
    return bool(visitor.received()) if not visitor.agreed else bool(until(lambda: wanted <= set(visitor.received())))


def browsing(visitor: Visitor) -> bool:
    return bool(until(lambda: any(ARTICLE in r.page for r in visitor.demo.received(visitor.agent)), 30 if visitor.agreed else 0))


def usage(visitor: Visitor) -> bool:
    visitor.read_on()
    return bool(until(lambda: any("defilement" in r.path for r in visitor.demo.received(visitor.agent)), 30 if visitor.agreed else 0))


def geolocation(visitor: Visitor) -> bool:
    script = """() => new Promise(done => navigator.geolocation.getCurrentPosition(
        p => done(p.coords.latitude), () => done(null), {timeout: 20000}))"""
    position = visitor.page.evaluate(script)
    status = visitor.page.evaluate("fetch('/meteo/ici?position=44,3', {headers: {accept: 'application/json'}}).then(a => a.status)")
    assert (position is not None) == (status == 200), f"browser and server disagree: position {position}, status {status}"
    return position is not None


def social(visitor: Visitor) -> bool:
    visitor.read_on()
    return bool(
        until(
            lambda: {"telepost", "xpost"} <= {r.party for r in visitor.demo.received(visitor.agent) if "publications vues" in r.learns},
            30 if visitor.agreed else 0,
        )
    )


def comments(visitor: Visitor) -> bool:
    text = f"Commentaire de {visitor.agent[-6:]}, {visitor.agreed}"
    visitor.comment(text)
    return visitor.published(text)


KINDS = {"a": reached, "b": browsing, "c": usage, "d": geolocation, "e": social, "f": comments}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_data_is_processed_after_an_agreement_and_only_then(visitors: Callable[..., Visitor], kind: str) -> None:
    """Not before a choice, not after a refusal, but after *Tout accepter*."""
    for answer, agreed in (("none", False), ("refuse", False), ("accept", True)):
        visitor = visitors(permissions=["geolocation"], geolocation={"latitude": 44.1, "longitude": 3.1})
        visitor.open()
        if answer != "none":
            getattr(visitor, answer)()
        visitor.agreed = agreed
        visitor.read_on(0.6)
        assert KINDS[kind](visitor) == agreed, f"kind ({kind}) with answer {answer}"


def test_an_agreement_is_recorded_and_its_record_cookie_is_hidden_from_scripts(visitor: Visitor) -> None:
    visitor.open().accept()
    record = next(c for c in visitor.all_cookies() if c["name"] == "volens-record")
    assert record["httpOnly"] and record["path"] == "/"
    assert visitor.demo.demo.store.record(record["value"].split(".")[1]) is not None


def test_accepted_means_what_the_notice_named(visitor: Visitor) -> None:
    """Polices stands in the page and in no notice: it receives nothing even after *Tout accepter*."""
    visitor.open().accept()
    visitor.read_on()
    assert until(lambda: visitor.received()["videotube"])
    assert visitor.received()["polices"] == 0


def test_the_newspaper_itself_is_told_the_whole_address_after_an_agreement_and_only_then(visitors: Callable[..., Visitor]) -> None:
    """The demonstration is reached on loopback, so the page plays the front that says where the visitor is."""
    script = "fetch('/moi.json', {headers: {'x-forwarded-for': '203.0.113.77'}}).then(a => a.json()).then(a => a.address)"
    for answer, told in (("none", "203.0.113.0"), ("refuse", "203.0.113.0"), ("accept", "203.0.113.77")):
        visitor = visitors().open()
        if answer != "none":
            getattr(visitor, answer)()
        assert visitor.page.evaluate(script) == told, f"with answer {answer}"
    visitor.withdraw()
    assert visitor.page.evaluate(script) == "203.0.113.0", "and no longer after a withdrawal"
