"""P2: after *Tout refuser* only technical storage is set: strictly for running the site or measuring its audience."""

from __future__ import annotations

from visitor import TECHNICAL, Visitor

from tests.running import until

PAGES = ("/", "/article/pont-vieux", "/article/truites", "/article/rex", "/boutique", "/membres", "/confidentialite", "/temoin", "/visite")


def test_reading_on_after_a_refusal_sets_only_technical_storage_and_reaches_nobody(visitor: Visitor) -> None:
    visitor.open().refuse()
    visitor.read_on()
    for path in PAGES:
        visitor.open(path).read_on(0.5)
        assert visitor.device() <= TECHNICAL, f"{path}: {visitor.device() - TECHNICAL}"
    assert visitor.third_cookies() == set()
    assert visitor.received() == {}
    assert "volens-record" not in visitor.cookies(), "a refusal leaves no record of a person"


def test_before_any_choice_nothing_is_set_but_the_technical_and_doing_nothing_is_refusing(visitor: Visitor) -> None:
    for path in PAGES:
        visitor.open(path).read_on(0.3)
    assert visitor.device() <= TECHNICAL - {"volens", "volens-record"}
    assert visitor.received() == {}


def test_the_exempt_measure_of_audience_goes_on_after_a_refusal(visitor: Visitor) -> None:
    visitor.open().refuse()
    counted = visitor.demo.demo.newspaper.audience
    before = visitor.demo.ask(lambda: counted["/article/rex"])
    visitor.open("/article/rex")
    assert until(lambda: visitor.demo.ask(lambda: counted["/article/rex"]) == before + 1)
    kept = next(c for c in visitor.all_cookies() if c["name"] == "aud_visite")
    visitor.open("/article/truites")
    again = next(c for c in visitor.all_cookies() if c["name"] == "aud_visite")
    assert again["expires"] == kept["expires"], "prolonged by a visit (R26)"


def test_a_script_that_is_refused_storage_goes_on_working_for_the_life_of_the_page(visitor: Visitor) -> None:
    """What it wrote it reads back; nothing reaches the device."""
    visitor.open().refuse()
    read = visitor.page.evaluate(
        "() => { localStorage.setItem('espion', '1'); document.cookie = '_ga=GA1.1.5.5'; return localStorage.getItem('espion'); }"
    )
    assert read == "1"
    assert visitor.device() <= TECHNICAL


def test_withdrawing_leaves_nothing_behind(visitor: Visitor) -> None:
    """After an agreement and its withdrawal, first-party storage of every refused purpose is gone."""
    visitor.open().accept()
    visitor.read_on()
    assert until(lambda: {"_ga", "__regie_uid", "profil_lecture", "mesure_session"} <= visitor.device()), visitor.device()
    visitor.withdraw()
    visitor.forget()
    visitor.open("/").open("/article/rex").read_on()
    assert visitor.device() <= TECHNICAL, visitor.device() - TECHNICAL
    assert visitor.received() == {}
