"""What every store must do, whatever it keeps its rows in. A store's own test file subclasses ``StoreConformance``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from volens.errors import RecordError, StoreError, StoreUnavailable
from volens.ledger.record import Count, Record, new_id
from volens.ledger.store import Kept, Store
from volens.notice import Controller, Notice, Purpose, Service

SITE = "www.example.org"
TIME = datetime(2026, 11, 22, 10, 23, 5, tzinfo=UTC)
DAY = TIME.date()


def notice(name: str = "Le Journal") -> Notice:
    return Notice(
        Controller(name, "contact@example.org", "https://www.example.org/confidentialité"),
        (
            Purpose("technique", {"fr": "Fonctionnement"}, {"fr": "Faire marcher le site."}, exempt="interface"),
            Purpose("video", {"fr": "Vidéos"}, {"fr": "Lire les vidéos."}, data_kinds=("ip", "browsing")),
        ),
        (Service("tube", "Tube", ("video",), ("*.tube.example",)),),
    )


NOTICE = notice()


def record(**values: Any) -> Record:
    given: dict[str, Any] = {
        "id": new_id(),
        "site": SITE,
        "time": TIME,
        "event": "given",
        "method": "accept-all",
        "surface": "notice",
        "language": "fr",
        "notice": NOTICE.digest,
        "purposes": {"video": True},
        "services": {},
    }
    return Record(**given | values)


def refusal(**values: Any) -> Count:
    given: dict[str, Any] = {"site": SITE, "day": DAY, "notice": NOTICE.digest, "surface": "notice", "language": "fr"}
    return Count(**given | values)


def counted(store: Store, site: str = SITE) -> Counter[str]:
    """How often each event was counted."""
    found: Counter[str] = Counter()
    for total in store.totals(site, date.min, date.max):
        found[total["event"]] += total["count"]
    return found


class StoreConformance:
    """``open_store()`` opens the same store each time within one test."""

    @pytest.fixture
    def open_store(self) -> Callable[[], Store]:
        raise NotImplementedError("the store's own test file says how it is opened")

    @pytest.fixture
    def store(self, open_store: Callable[[], Store]) -> Any:
        store = open_store()
        yield store
        store.close()

    def test_an_acknowledged_record_is_read_back_as_it_was(self, store: Store) -> None:
        given = record(services={"tube": True}, tc="CQdemoAA.YAAA", gpc=True)
        assert store.append(given, NOTICE).result(10).record == given
        assert store.record(given.id) == given

    def test_an_unknown_id_is_no_record(self, store: Store) -> None:
        assert store.record(new_id()) is None

    def test_records_counts_and_notices_outlive_the_store_that_wrote_them(self, store: Store, open_store: Callable[[], Store]) -> None:
        given = record()
        store.append(given, NOTICE).result(10)
        store.count(refusal())
        store.close()
        again = open_store()
        try:
            assert again.record(given.id) == given
            assert counted(again) == {"given": 1, "refused": 1}
            assert again.notices(SITE) == {NOTICE.short: NOTICE}
        finally:
            again.close()

    def test_a_record_comes_with_the_notice_it_answers_or_not_at_all(self, store: Store) -> None:
        with pytest.raises(RecordError, match="came with"):
            store.append(record(), notice("Another controller"))
        assert counted(store) == {}

    def test_the_same_record_appended_twice_is_kept_and_counted_once(self, store: Store) -> None:
        given = record()
        assert [store.append(given, NOTICE).result(10).record for _ in range(3)] == [given] * 3
        assert counted(store) == {"given": 1}

    def test_other_content_under_a_known_id_is_refused_and_harms_no_neighbour(self, store: Store) -> None:
        given = record()
        store.append(given, NOTICE).result(10)
        futures = [
            store.append(record(), NOTICE),
            store.append(record(id=given.id, method="panel"), NOTICE),
            store.append(record(), NOTICE),
        ]
        with pytest.raises(StoreError, match="never edited"):
            futures[1].result(10)
        assert futures[0].result(10) and futures[2].result(10)
        assert store.record(given.id) == given
        assert counted(store) == {"given": 3}

    def test_a_chain_of_grant_change_and_withdrawal_is_three_records_in_that_order(self, store: Store) -> None:
        finished: list[str] = []
        first = record()
        second = record(event="changed", method="panel", surface="panel", services={"tube": False}, supersedes=first.id)
        third = record(event="withdrawn", method="refuse-all", purposes={"video": False}, supersedes=second.id)
        futures = [store.append(each, NOTICE) for each in (first, second, third)]
        for future in futures:
            future.add_done_callback(lambda done: finished.append(done.result().record.id))
        assert [future.result(10).record.id for future in futures] == [first.id, second.id, third.id]
        assert sorted(finished) == sorted(future.result().record.id for future in futures)
        assert counted(store) == {"given": 1, "changed": 1, "withdrawn": 1}

    def test_records_of_one_submitter_are_acknowledged_in_their_order(self, store: Store) -> None:
        finished: list[str] = []
        futures: list[Future[Kept]] = []
        given = [record() for _ in range(2000)]
        for each in given:
            future = store.append(each, NOTICE)
            future.add_done_callback(lambda done: finished.append(done.result().record.id))
            futures.append(future)
        for future in futures:
            future.result(30)
        store.close()  # callbacks run before the writer ends
        assert finished == [each.id for each in given]

    def test_counts_tell_apart_day_event_notice_surface_language_and_signal(self, store: Store) -> None:
        other = notice("Another controller")
        for each in (
            *[refusal()] * 3,
            refusal(gpc=True),
            refusal(surface="panel"),
            refusal(language="en"),
            refusal(notice=other.digest),
            refusal(day=DAY + timedelta(1)),
            refusal(site="shop.example.org"),
        ):
            store.count(each)
        store.append(record(gpc=True), NOTICE).result(10)
        day, tomorrow = DAY.isoformat(), (DAY + timedelta(1)).isoformat()
        found = {
            (t["day"], t["event"], t["notice"], t["surface"], t["language"], t["gpc"]): t["count"]
            for t in store.totals(SITE, DAY, DAY + timedelta(1))
        }
        assert found == {
            (day, "refused", NOTICE.digest, "notice", "fr", False): 3,
            (day, "refused", NOTICE.digest, "notice", "fr", True): 1,
            (day, "refused", NOTICE.digest, "panel", "fr", False): 1,
            (day, "refused", NOTICE.digest, "notice", "en", False): 1,
            (day, "refused", other.digest, "notice", "fr", False): 1,
            (tomorrow, "refused", NOTICE.digest, "notice", "fr", False): 1,
            (day, "given", NOTICE.digest, "notice", "fr", True): 1,
        }
        assert {t["day"] for t in store.totals(SITE, DAY, DAY)} == {day}, "both ends are included, no more"
        assert store.totals(SITE, DAY + timedelta(1), DAY) == []

    def test_every_version_of_a_notice_is_kept_for_its_site(self, store: Store) -> None:
        second, third = notice("Second"), notice("Third")
        store.keep_notice(SITE, NOTICE)
        store.keep_notice(SITE, NOTICE)
        store.keep_notice("shop.example.org", second)
        store.append(record(notice=third.digest), third).result(10)
        assert store.notices(SITE) == {NOTICE.short: NOTICE, third.short: third}
        assert store.notices("shop.example.org") == {second.short: second}
        assert store.notices("nobody.example.org") == {}

    def test_many_threads_lose_nothing(self, store: Store) -> None:
        each, threads = 50, 16
        futures: list[Future[Kept]] = []

        def submit() -> None:
            for _ in range(each):
                futures.append(store.append(record(), NOTICE))
                store.count(refusal())

        running = [threading.Thread(target=submit) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        ids = {future.result(30).record.id for future in futures}
        assert len(ids) == each * threads
        assert all(store.record(id) for id in list(ids)[:50])
        assert counted(store) == {"given": each * threads, "refused": each * threads}

    def test_a_closed_store_says_so_through_the_future_and_never_to_a_refusal(self, store: Store) -> None:
        store.close()
        store.close()
        store.count(refusal())
        with pytest.raises(StoreUnavailable, match="closed"):
            store.append(record(), NOTICE).result(10)

    def test_closing_writes_what_waits(self, store: Store, open_store: Callable[[], Store]) -> None:
        futures = [store.append(record(), NOTICE) for _ in range(1500)]
        for _ in range(7):
            store.count(refusal())
        store.close()
        assert all(future.done() and future.result() for future in futures)
        again = open_store()
        try:
            assert counted(again) == {"given": 1500, "refused": 7}
        finally:
            again.close()
