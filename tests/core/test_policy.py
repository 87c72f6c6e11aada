"""The rule: a grant never exceeds the choice, doubt never grants, yes and no last alike, only what is new is asked again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import SERVICES, choices, days, notices

from volens.choice import Choice, Signals, expires
from volens.defaults import PURPOSES
from volens.notice import Controller, Notice, Service, StorageKey
from volens.policy import Decision, Grant, Reason, grant

NONE = Signals()
GPC = Signals(gpc=True)
signals = st.sampled_from((NONE, GPC))
TODAY = date(2026, 3, 1)


def permitted(notice: Notice, grant_: Grant) -> set[str]:
    """Askable purposes and services that a grant permits, by asking it one by one."""
    return {p for p in notice.askable if grant_.allows(p)} | {"+" + s.id for s in notice.services_asked if grant_.decide(s).allowed}


def never_exceeds(notice: Notice, choice: Choice, grant_: Grant) -> None:
    """What the visitor did not say yes to is not permitted."""
    for purpose in notice.askable:
        assert not grant_.allows(purpose) or purpose in choice.purposes
    for service in notice.services_asked:
        if grant_.decide(service).allowed:
            assert service.id not in choice.without
            needed = {p for p in service.purposes if p in notice.askable}
            assert service.id in choice.services or needed <= choice.purposes
        for key in service.storage:
            assert grant_.decide(key).allowed <= grant_.decide(service).allowed


@given(notices(), signals, days, st.data())
def test_a_grant_never_exceeds_the_choice(notice: Notice, signal: Signals, now: date, data: st.DataObject) -> None:
    choice = data.draw(choices(notice))
    never_exceeds(notice, choice, grant(notice, choice, signal, now))


@given(notices(), notices(), signals, st.data())
def test_a_grant_under_a_changed_notice_never_exceeds_the_choice(old: Notice, new: Notice, signal: Signals, data: st.DataObject) -> None:
    choice = data.draw(choices(old, TODAY))
    found = grant(new, choice, signal, TODAY, earlier=old)
    never_exceeds(new, choice, found)
    if old == new:
        return
    for purpose in new.askable:  # and only for what the visitor was shown as it is now
        if found.allows(purpose):
            assert old.purpose[purpose].mark == new.purpose[purpose].mark
    for service in new.services_asked:
        if found.decide(service).allowed:
            assert old.service[service.id].mark == service.mark


@given(notices(), signals, days)
def test_no_choice_grants_nothing_and_asks(notice: Notice, signal: Signals, now: date) -> None:
    found = grant(notice, None, signal, now)
    assert permitted(notice, found) == set()
    assert found.asked == bool(notice.askable)
    assert not found.answered
    assert all(found.decide(p).reason is Reason.UNDECIDED for p in notice.askable)


@given(notices(), signals, days, st.data())
def test_without_its_record_a_choice_can_refuse_but_not_grant(notice: Notice, signal: Signals, now: date, data: st.DataObject) -> None:
    choice = data.draw(choices(notice, now))
    found = grant(notice, choice, signal, now, proven=False)
    assert permitted(notice, found) == set()
    assert found.answered == choice.refuses_all
    assert found.asked == (bool(notice.askable) and not choice.refuses_all)


@given(notices(), signals, days, st.data())
def test_an_answer_to_another_notice_grants_nothing(notice: Notice, signal: Signals, now: date, data: st.DataObject) -> None:
    choice = data.draw(choices(day=now))
    assume(choice.notice != notice.short)
    assert grant(notice, choice, signal, now) == grant(notice, None, signal, now)
    assert grant(notice, choice, signal, now, earlier=replace(notice, months=3)) == grant(notice, None, signal, now)


@given(notices("Journal SAS"), notices("Somebody else"), st.data())
def test_an_answer_given_to_another_controller_grants_nothing(old: Notice, new: Notice, data: st.DataObject) -> None:
    choice = data.draw(choices(old, TODAY))
    assert permitted(new, grant(new, choice, NONE, TODAY, earlier=old)) == set()


@given(notices(), days, st.data())
def test_yes_and_no_hold_equally_long_and_no_longer(notice: Notice, day: date, data: st.DataObject) -> None:
    last = expires(day, notice.months)
    some = data.draw(choices(notice, day))
    for choice in (Choice.accept_all(notice, day), Choice.refuse_all(notice, day), some):
        for now in (day, last):
            found = grant(notice, choice, NONE, now)
            assert found.answered
            assert not found.asked
        after = grant(notice, choice, NONE, last + timedelta(days=1))
        assert after == grant(notice, None, NONE, last + timedelta(days=1))


@given(notices(), days, st.integers(2, 4000), st.data())
def test_an_answer_from_the_future_is_none(notice: Notice, now: date, ahead: int, data: st.DataObject) -> None:
    choice = data.draw(choices(notice, now + timedelta(days=ahead)))
    assert grant(notice, choice, NONE, now) == grant(notice, None, NONE, now)
    tomorrow = replace(choice, day=now + timedelta(days=1))  # clocks and time zones
    assert grant(notice, tomorrow, NONE, now).answered


@given(notices(), st.data())
def test_lengthening_the_life_of_answers_does_not_prolong_one_already_given(notice: Notice, data: st.DataObject) -> None:
    old, new = replace(notice, months=6), replace(notice, months=13)
    choice = data.draw(choices(old, TODAY))
    last = expires(TODAY, 6)
    assert grant(new, choice, NONE, last, earlier=old).answered
    assert not grant(new, choice, NONE, last + timedelta(days=1), earlier=old).answered


@given(notices(), notices(), st.data())
def test_a_changed_notice_asks_about_what_is_new_only(old: Notice, new: Notice, data: st.DataObject) -> None:
    choice = data.draw(st.sampled_from((Choice.accept_all(old, TODAY), Choice.refuse_all(old, TODAY))))
    found = grant(new, choice, NONE, TODAY, earlier=old)
    unlike = {p for p in new.askable if p not in old.purpose or old.purpose[p].mark != new.purpose[p].mark}
    unlike |= {s.id for s in new.services_asked if s.id not in old.service or old.service[s.id].mark != s.mark}
    if old == new:
        unlike = set()
    assert found.new == unlike
    assert found.asked == bool(unlike)
    assert found.answered
    if choice.refuses_all:
        assert permitted(new, found) == set()
    else:  # what the visitor accepted goes on, as far as it is the same
        assert found.purposes == {p for p in new.askable if p in old.askable and p not in unlike}


@given(notices(), st.data())
def test_rewording_asks_nobody_again(notice: Notice, data: st.DataObject) -> None:
    reworded = replace(notice, purposes=tuple(replace(p, sentence={"fr": "Autrement dit."}) for p in notice.purposes), layout="2")
    choice = data.draw(choices(notice, TODAY))
    found, before = grant(reworded, choice, NONE, TODAY, earlier=notice), grant(notice, choice, NONE, TODAY)
    assert not found.asked
    assert (found.purposes, found.services) == (before.purposes, before.services)


@given(notices(), signals, st.data())
def test_the_signal_grants_nothing_and_a_later_choice_counts(notice: Notice, signal: Signals, data: st.DataObject) -> None:
    choice = data.draw(st.none() | choices(notice, TODAY))
    with_, without = grant(notice, choice, GPC, TODAY), grant(notice, choice, NONE, TODAY)
    assert permitted(notice, with_) == permitted(notice, without)
    assert not (without.gpc or without.overrides_gpc)
    assert with_.gpc != with_.overrides_gpc
    profiled = any(notice.purpose[p].profiles for p in with_.purposes)
    profiled |= any(s.profiles and s.id in with_.services for s in notice.services_asked)
    assert with_.overrides_gpc == profiled


def test_allowing_videos_does_not_override_a_signal_about_advertising() -> None:
    notice = Notice(Controller("J", "c", ""), tuple(PURPOSES.values()), ())
    videos = grant(notice, Choice(notice.short, TODAY, frozenset({"video"})), GPC, TODAY)
    assert videos.gpc
    assert not videos.overrides_gpc
    everything = grant(notice, Choice.accept_all(notice, TODAY), GPC, TODAY)
    assert everything.overrides_gpc
    assert everything.allows("publicite")


@given(notices(), st.data())
def test_equal_keys_mean_equal_permissions_and_unequal_ones_unequal(notice: Notice, data: st.DataObject) -> None:
    one, other = (grant(notice, data.draw(choices(notice, TODAY)), NONE, TODAY) for _ in range(2))
    assert (one.key == other.key) == (permitted(notice, one) == permitted(notice, other))


@given(notices(), st.data())
def test_everything_is_every_purpose_and_service(notice: Notice, data: st.DataObject) -> None:
    found = grant(notice, data.draw(choices(notice, TODAY)), NONE, TODAY)
    every = set(notice.askable) | {"+" + s.id for s in notice.services_asked}
    assert found.everything == (permitted(notice, found) == every)
    assert grant(notice, Choice.accept_all(notice, TODAY), NONE, TODAY).everything


@given(notices(), st.data())
def test_a_chain_opens_only_when_everything_is_granted(notice: Notice, data: st.DataObject) -> None:
    found = grant(notice, data.draw(choices(notice, TODAY)), NONE, TODAY)
    if found.open_chain:
        assert found.everything and any(s.chain for s in notice.services)


@given(notices(), st.data())
def test_the_band_counts_what_is_permitted(notice: Notice, data: st.DataObject) -> None:
    found = grant(notice, data.draw(choices(notice, TODAY)), NONE, TODAY)
    for granted, all_ in (found.storage_share, found.profiles_share):
        assert 0 <= granted <= all_
    assert grant(notice, None, NONE, TODAY).storage_share[0] == 0
    accepted = grant(notice, Choice.accept_all(notice, TODAY), NONE, TODAY)
    assert accepted.storage_share[0] == accepted.storage_share[1]
    assert accepted.profiles_share[0] == accepted.profiles_share[1]


NOTICE = Notice(
    Controller("Journal SAS", "donnees@journal.example", ""),
    tuple(PURPOSES.values()),
    (
        Service("youtube", "YouTube", ("video",)),
        Service("session", "Session", ("technique",)),
        Service("regie", "Régie", ("publicite", "personnalisation"), profiles=True),
    ),
)


def test_every_decision_brings_its_reason() -> None:
    undecided = grant(NOTICE, None, NONE, TODAY)
    refused = grant(NOTICE, Choice.refuse_all(NOTICE, TODAY), NONE, TODAY)
    video = grant(NOTICE, Choice(NOTICE.short, TODAY, frozenset({"video"})), NONE, TODAY)
    assert undecided.decide("video") == Decision(False, Reason.UNDECIDED, "video")
    assert refused.decide("video") == Decision(False, Reason.REFUSED, "video")
    assert video.decide("video") == Decision(True, Reason.GRANTED, "video")
    assert refused.decide("technique") == Decision(True, Reason.EXEMPT, "technique")
    assert video.decide("unheard-of") == Decision(False, Reason.UNNAMED, "unheard-of")
    assert video.decide(NOTICE.service["youtube"]) == Decision(True, Reason.GRANTED, "video", "youtube")
    assert refused.decide(NOTICE.service["session"]) == Decision(True, Reason.EXEMPT, "technique", "session")
    assert video.decide(NOTICE.service["regie"]) == Decision(False, Reason.REFUSED, "publicite", "regie")


def test_a_service_the_notice_does_not_name_is_never_allowed() -> None:
    everything = grant(NOTICE, Choice.accept_all(NOTICE, TODAY), NONE, TODAY)
    stranger = Service("stranger", "Stranger", ("technique",))
    assert everything.decide(stranger) == Decision(False, Reason.UNNAMED, "technique", "stranger")
    assert everything.decide(StorageKey("s", service="stranger")) == Decision(False, Reason.UNNAMED, "technique", "stranger")


def test_a_copy_of_a_service_cannot_say_more_than_the_notice() -> None:
    refused = grant(NOTICE, Choice.refuse_all(NOTICE, TODAY), NONE, TODAY)
    assert refused.decide(Service("regie", "Régie", ("technique",))) == Decision(False, Reason.REFUSED, "publicite", "regie")


def test_a_storage_key_needs_its_service_and_its_purpose() -> None:
    video = grant(NOTICE, Choice(NOTICE.short, TODAY, frozenset({"video"})), NONE, TODAY)
    assert video.decide(StorageKey("a", purpose="video", service="youtube")).allowed
    assert video.decide(StorageKey("a", purpose="publicite", service="youtube")) == Decision(False, Reason.REFUSED, "publicite")
    assert video.decide(StorageKey("a", purpose="publicite", service="session")) == Decision(False, Reason.REFUSED, "publicite")
    assert video.decide(StorageKey("a", purpose="technique", service="regie")).allowed is False
    assert video.decide(StorageKey("a")) == Decision(True, Reason.EXEMPT, "technique")


def test_refusing_one_service_of_a_granted_purpose_keeps_the_others() -> None:
    both = replace(NOTICE, services=(*NOTICE.services, Service("vimeo", "Vimeo", ("video",))))
    found = grant(both, Choice(both.short, TODAY, frozenset({"video"}), without=frozenset({"youtube"})), NONE, TODAY)
    assert found.allows("video")
    assert found.decide(both.service["vimeo"]).allowed
    assert not found.decide(both.service["youtube"]).allowed
    assert found.key == "video~!youtube"


@given(st.sampled_from(SERVICES))
def test_a_granted_service_that_the_notice_lost_is_not_granted(name: str) -> None:
    found = grant(NOTICE, Choice(NOTICE.short, TODAY, services=frozenset({name})), NONE, TODAY)
    assert found.services <= set(NOTICE.service)
