"""What every store must do, whatever it keeps its rows in. A store's own test file subclasses ``StoreConformance``.

What a log proves is judged by ``volens.ledger.verify``, which shares no code with what writes it, and its root by the RFC's own
definition, spelled out here.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from volens.errors import RecordError, StoreError, StoreUnavailable
from volens.ledger import verify
from volens.ledger.cosign import WitnessKey, with_lines
from volens.ledger.note import LogKey, checkpoint, origin
from volens.ledger.receipt import Receipt
from volens.ledger.record import Count, Record, new_id
from volens.ledger.store import Kept, Row, Store
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


_keys: dict[str, LogKey] = {}


def signer(site: str) -> LogKey:
    """The key of a site's log, the same for all stores of these tests."""
    if site not in _keys:
        _keys[site] = LogKey(origin(site), hashlib.sha256(site.encode()).digest())
    return _keys[site]


WITNESS = WitnessKey("witness.example", bytes(range(32)))


def faults(receipt: Receipt | None, *, witness: bool = False) -> list[str]:
    """What a verifier that has the public keys says against a receipt."""
    assert receipt is not None
    keys = [verify.read_key(signer(receipt.record.site).vkey)]
    witnesses = [verify.read_key(WITNESS.public.text)] if witness else []
    data = json.dumps(receipt.to_json()).encode()
    assert len(data) <= 4096, "a receipt has at most 4 KB"
    verdict = verify.check_document(data, verify.Trust.of(keys, witnesses)).verdict
    return [finding.said for finding in verdict.faults + verdict.gaps]


def root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


def sound(store: Store, site: str = SITE) -> int:
    """The log of a site derived again from what it is made of; how many entries it has."""
    head = store.head(site)
    assert head is not None
    rows = list(store.rows(site))
    assert [row.index for row in rows] == list(range(head.size))
    assert root([row.entry for row in rows]) == head.root == store.tree(site).root()
    assert head.note.startswith(checkpoint(origin(site), head.size, head.root))
    minutes = [json.loads(row.entry)["time"] for row in rows]
    assert minutes == sorted(minutes)
    for row in rows:
        if row.record is not None:
            assert row.salt is not None
            commit = hashlib.sha256(b"volens/v1" + row.salt + row.record).hexdigest()
            assert json.loads(row.entry)["commit"] == commit
    return head.size


class StoreConformance:
    """``open_store()`` opens the same store each time within one test, ``open_other()`` another one that is empty at first. Both
    pass on what they are given; without a ``signer`` they take the one above."""

    @pytest.fixture
    def open_store(self) -> Callable[..., Store]:
        raise NotImplementedError("the store's own test file says how it is opened")

    @pytest.fixture
    def open_other(self) -> Callable[..., Store]:
        raise NotImplementedError("the store's own test file says how another one is opened")

    @pytest.fixture
    def store(self, open_store: Callable[..., Store]) -> Any:
        store = open_store()
        yield store
        store.close()

    def test_an_acknowledged_record_is_read_back_as_it_was(self, store: Store) -> None:
        given = record(services={"tube": True}, tc="CQdemoAA.YAAA", gpc=True)
        assert store.append(given, NOTICE).result(10).record == given
        assert store.record(given.id) == given

    def test_an_unknown_id_is_no_record(self, store: Store) -> None:
        assert store.record(new_id()) is None

    def test_records_counts_and_notices_outlive_the_store_that_wrote_them(self, store: Store, open_store: Callable[..., Store]) -> None:
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

    def test_closing_writes_what_waits(self, store: Store, open_store: Callable[..., Store]) -> None:
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

    # The log ------------------------------------------------------------------------------------------------------

    def test_a_receipt_is_there_at_once_and_verifies_with_the_public_key_alone(self, store: Store) -> None:
        kept = [future.result(30) for future in [store.append(record(), NOTICE) for _ in range(700)]]
        assert [each.index for each in kept] == list(range(1, 701)), "the notice's own entry is the first"
        for each in kept[::50]:
            receipt = each.receipt()
            assert receipt.record == each.record
            assert faults(receipt) == []
        assert sound(store) == 701

    def test_a_verifier_finds_a_receipt_of_this_store_wrong_where_it_is(self, store: Store) -> None:
        one, two = (store.append(record(), NOTICE).result(10).receipt() for _ in range(2))
        wrong = Receipt(two.record, two.salt, one.entry, one.index, one.proof, one.checkpoint)
        assert faults(wrong) != []

    @pytest.mark.parametrize("sizes", [(1,), (1, 1, 1), (255, 1), (256, 1), (3, 700, 2, 600), (1023,)])
    def test_the_tree_is_the_one_of_the_rfc_however_the_entries_came(self, store: Store, sizes: tuple[int, ...]) -> None:
        seen = [store.head(SITE)]
        ids = []
        for size in sizes:
            ids += [future.result(30).record.id for future in [store.append(record(), NOTICE) for _ in range(size)]]
            seen.append(store.head(SITE))
        assert sound(store) == sum(sizes) + 1
        tree = store.tree(SITE)
        leaves = [hashlib.sha256(b"\0" + entry).digest() for entry in store.entries(SITE, 0, 10_000)]
        assert b"".join(store.hashes(SITE, 0, n) for n in range(len(leaves) // 256 + 1)) == b"".join(leaves)
        assert len(store.hashes(SITE, 1, 0)) == len(leaves) // 256 * 32
        assert store.hashes(SITE, 0, 99) == store.hashes(SITE, 5, 0) == b""
        for one in seen[1:]:
            assert one is not None
            assert tree.root(one.size) == one.root, "every head there was is of this tree"
            proof = tree.consistency(one.size)
            assert one.size == tree.size or verify.consistent(one.size, one.root, tree.size, tree.root(), proof)
        for id in ids[:: max(1, len(ids) // 20)]:
            assert faults(store.receipt(id)) == []

    def test_a_receipt_asked_for_later_is_as_good(self, store: Store, open_store: Callable[..., Store]) -> None:
        first = store.append(record(), NOTICE).result(10)
        for _ in range(3):
            store.append(record(), NOTICE).result(10)
        later = store.receipt(first.record.id)
        assert later is not None and (later.record, later.salt, later.index) == (first.record, first.salt, first.index)
        assert later.checkpoint != first.checkpoint
        assert faults(later) == faults(first.receipt()) == []
        assert store.find(first.record.id) == (SITE, first.index)
        store.close()
        again = open_store()
        assert faults(again.receipt(first.record.id)) == []
        assert again.receipt(new_id()) is None and again.find(new_id()) is None
        again.close()

    def test_a_record_appended_again_has_the_receipt_of_the_first_time(self, store: Store) -> None:
        given = record()
        first, again = store.append(given, NOTICE).result(10), store.append(given, NOTICE).result(10)
        assert (again.index, again.salt, again.entry) == (first.index, first.salt, first.entry)
        assert faults(again.receipt()) == []
        assert sound(store) == 2

    def test_an_entry_tells_no_person_answer_or_id(self, store: Store) -> None:
        given = store.append(record(tc="CQdemoAA.YAAA", services={"tube": True}), NOTICE).result(10)
        value = json.loads(given.entry)
        assert value.keys() == {"v", "type", "site", "time", "commit", "notice"}
        assert given.record.id.encode() not in given.entry and len(value["time"]) == len("2026-11-22T10:23Z")

    def test_the_first_time_that_a_notice_is_asked_is_logged_and_no_other(self, store: Store, open_store: Callable[..., Store]) -> None:
        second = notice("Second")
        store.keep_notice(SITE, NOTICE)
        store.keep_notice(SITE, NOTICE)
        store.append(record(), NOTICE).result(10)
        store.append(record(notice=second.digest), second).result(10)
        other = open_store()
        other.keep_notice(SITE, second)
        other.append(record(notice=second.digest), second).result(10)
        other.close()
        told = [(row.index, json.loads(row.entry)["type"], json.loads(row.entry)["notice"]) for row in store.others(SITE)]
        assert told == [(0, "notice", NOTICE.digest), (2, "notice", second.digest)]
        assert sound(store) == 5

    def test_pictures_of_a_notice_are_logged_and_kept(self, store: Store) -> None:
        data = b'{"pictures":[]}'
        digest = hashlib.sha256(data).hexdigest()
        store.keep_notice(SITE, NOTICE)
        store.attach(SITE, digest, data)
        store.attach(SITE, digest, data)
        assert store.add_snapshot(SITE, NOTICE.digest, digest) == 1
        assert store.attached(SITE, digest) == data and store.attachments(SITE) == [digest]
        assert store.attached(SITE, "0" * 64) is None and store.attachments("shop.example.org") == []
        with pytest.raises(StoreError, match="has not the digest"):
            store.attach(SITE, "0" * 64, data)
        assert [json.loads(row.entry)["type"] for row in store.others(SITE)] == ["notice", "snapshot"]

    def test_each_site_has_a_log_of_its_own(self, store: Store) -> None:
        futures = [store.append(record(site=f"{n % 3}.example"), NOTICE) for n in range(300)]
        assert [future.result(30).index for future in futures] == [1 + n // 3 for n in range(300)]
        assert store.sites() == ["0.example", "1.example", "2.example"]
        assert {sound(store, site) for site in store.sites()} == {101}
        assert len({store.append(record(site=site), NOTICE).result(10).checkpoint for site in store.sites()}) == 3
        assert store.head("nobody.example") is None and list(store.rows("nobody.example")) == []

    def test_two_stores_on_one_log_append_to_one_tree(self, store: Store, open_store: Callable[..., Store]) -> None:
        other = open_store()
        futures = [one.append(record(), NOTICE) for _ in range(400) for one in (store, other)]
        kept = [future.result(60) for future in futures]
        assert sorted(each.index for each in kept) == list(range(1, 801))
        assert sound(store) == 801
        for each in kept[::40]:
            assert faults(each.receipt()) == faults(store.receipt(each.record.id)) == []
        assert len({future.result().checkpoint.split("\n")[1] for future in futures}) > 2
        other.close()

    def test_what_was_not_committed_was_not_promised(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """The transaction fails after its head was signed: the log stands as before, and what comes next takes the same place."""
        first = store.append(record(), NOTICE).result(10)
        before = store.head(SITE)
        lost = record()

        def fail(*_: object) -> None:
            raise OSError("No space left on device")

        monkeypatch.setattr(store, "_end", fail)
        monkeypatch.setattr(store, "_write_at_once", fail)
        with pytest.raises(StoreUnavailable):
            store.append(lost, NOTICE).result(10)
        assert store.head(SITE) == before and store.record(lost.id) is None
        monkeypatch.undo()
        kept = store.append(lost, NOTICE).result(30)
        assert kept.index == first.index + 1
        assert faults(kept.receipt()) == []
        assert counted(store) == {"given": 2}
        assert sound(store) == 3

    def test_an_answer_comes_after_its_row(self, store: Store, open_store: Callable[..., Store]) -> None:
        """Whoever hears of a record finds it with a cold reader, and a head that covers it."""
        reader, missing = open_store(), []

        def look(done: Future[Kept]) -> None:
            kept, head = done.result(), reader.head(SITE)
            if reader.record(kept.record.id) is None or head is None or head.size <= kept.index:
                missing.append(kept.index)

        futures = [store.append(record(), NOTICE) for _ in range(50)]
        for future in futures:
            future.add_done_callback(look)
        for future in futures:
            future.result(10)
        store.close()
        reader.close()
        assert missing == []

    def test_a_clock_that_went_back_stops_the_log_s_minute_and_is_told_once(
        self, open_store: Callable[..., Store], caplog: pytest.LogCaptureFixture
    ) -> None:
        now = [TIME.timestamp()]
        store = open_store(clock=lambda: now[0])
        times = []
        with caplog.at_level(logging.WARNING, "volens.ledger"):
            for step in (0, 60, -7200, 30, 7200):
                now[0] += step
                times.append(json.loads(store.append(record(time=TIME - timedelta(days=1)), NOTICE).result(10).entry)["time"][11:])
        assert times == ["10:23Z", "10:24Z", "10:24Z", "10:24Z", "10:24Z"]
        now[0] += 60
        assert json.loads(store.append(record(), NOTICE).result(10).entry)["time"] == "2026-11-22T10:25Z"
        assert caplog.text.count("clock is 120 minutes behind") == 1 and caplog.text.count("behind") == 1
        sound(store)
        store.close()

    def test_a_record_made_on_a_machine_a_little_ahead_is_not_later_than_its_entry(self, open_store: Callable[..., Store]) -> None:
        store = open_store(clock=lambda: TIME.timestamp() - 120)
        assert faults(store.append(record(), NOTICE).result(10).receipt()) == []
        store.close()

    def test_entries_before_a_minute_are_the_first_ones(self, open_store: Callable[..., Store]) -> None:
        now = [TIME.timestamp()]
        store = open_store(clock=lambda: now[0])
        for _ in range(3):
            for _ in range(4):
                store.append(record(), NOTICE).result(10)
            now[0] += 3600
        assert [store.size_before(SITE, TIME + timedelta(minutes=m)) for m in (-1, 0, 1, 60, 61, 500)] == [0, 0, 5, 5, 9, 13]
        store.close()

    # Erasure ------------------------------------------------------------------------------------------------------

    def test_what_is_erased_is_gone_and_every_other_proof_stays_valid(self, store: Store) -> None:
        kept = [future.result(30) for future in [store.append(record(), NOTICE) for _ in range(300)]]
        entries, gone = store.entries(SITE, 0, 1000), [kept[n] for n in (3, 4, 5, 9, 299)]
        assert store.erase(SITE, [each.index for each in gone] + [0, 7000], "request") == 5, "an entry without a record has none to erase"
        for each in gone:
            assert store.record(each.record.id) is store.receipt(each.record.id) is store.find(each.record.id) is None
            assert faults(each.receipt()) == [], "who has the receipt still has the proof"
        assert store.entries(SITE, 0, 301) == entries
        last = list(store.others(SITE))[-1]
        assert json.loads(last.entry) == {
            "v": 1, "type": "erasure", "site": SITE, "time": json.loads(last.entry)["time"],
            "erased": [[4, 6], [10, 10], [300, 300]], "reason": "request",
        }  # fmt: skip
        for each in kept[::30]:
            if each not in gone:
                assert faults(store.receipt(each.record.id)) == faults(each.receipt()) == []
        assert sound(store) == 302
        held = list(store.rows(SITE, held=True))
        assert len(held) == 295 and not {row.index for row in held} & {each.index for each in gone}
        assert store.erase(SITE, [each.index for each in gone], "age") == 0
        assert store.head(SITE).size == 302, "nothing was erased, nothing is logged"  # type: ignore[union-attr]
        with pytest.raises(StoreError, match="write request or age"):
            store.erase(SITE, [1], "whim")

    def test_erasing_more_ranges_than_an_entry_holds_takes_several(self, store: Store) -> None:
        for future in [store.append(record(), NOTICE) for _ in range(1300)]:
            future.result(30)
        assert store.erase(SITE, range(1, 1300, 2), "age") == 650
        erased = [pair for row in list(store.others(SITE))[1:] for pair in json.loads(row.entry)["erased"]]
        assert erased == [[n, n] for n in range(1, 1300, 2)]
        assert len(list(store.others(SITE))) == 3
        sound(store)

    # Checkpoints that were published ------------------------------------------------------------------------------

    def test_a_receipt_carries_the_published_checkpoint_with_its_cosignatures(self, store: Store) -> None:
        first = store.append(record(), NOTICE).result(10)
        head = store.head(SITE)
        assert head is not None
        cosigned = with_lines(head.note, [WITNESS.cosign(checkpoint(origin(SITE), head.size, head.root), int(time.time())).strip()])
        store.publish(SITE, cosigned)
        later = store.append(record(), NOTICE).result(10)
        assert store.published(SITE) == cosigned and store.published(SITE, head.size + 1) is None
        receipt = store.receipt(first.record.id)
        assert receipt is not None and receipt.checkpoint == cosigned
        assert faults(receipt, witness=True) == []
        assert faults(store.receipt(later.record.id)) == []
        assert faults(store.receipt(later.record.id), witness=True) != [], "not seen by the witness yet"

    def test_a_checkpoint_of_another_log_or_ahead_of_the_rows_is_not_published(self, store: Store) -> None:
        store.append(record(), NOTICE).result(10)
        head, key = store.head(SITE), signer(SITE)
        assert head is not None
        for text, said in (
            (checkpoint(origin(SITE), head.size + 1, head.root), "are durable"),
            (checkpoint(origin(SITE), head.size, bytes(32)), "another root"),
            (checkpoint(origin(SITE), head.size - 1, head.root), "another root"),
            (checkpoint(origin("shop.example"), head.size, head.root), "is not of the log"),
        ):
            with pytest.raises(StoreError, match=said):
                store.publish(SITE, key.sign(text))
        with pytest.raises(StoreError, match="not a checkpoint"):
            store.publish(SITE, "hello\n")
        assert store.published(SITE) is None and store.checkpoints(SITE) == []

    def test_published_checkpoints_are_thinned_after_a_day_to_one_an_hour(self, open_store: Callable[..., Store]) -> None:
        now = [TIME.timestamp() // 3600 * 3600]
        start = now[0]
        store = open_store(clock=lambda: now[0])
        for _ in range(30):
            store.append(record(), NOTICE).result(10)
            for _ in range(3):
                head = store.head(SITE)
                assert head is not None
                store.publish(SITE, head.note)
                now[0] += 1200
        times = [each.at - start for each in store.checkpoints(SITE)]
        last = now[0] - 1200 - start
        assert [at for at in times if at < last - 86400] == [3600 * hour + 2400 for hour in range(5)]
        assert [at for at in times if at >= last - 86400] == [1200.0 * n for n in range(90) if 1200 * n >= last - 86400]
        assert store.checkpoints(SITE, now[0] - 2400)[0].note == store.published(SITE)
        store.close()

    # Another store ------------------------------------------------------------------------------------------------

    def test_a_log_is_restored_as_it_was_and_goes_on(self, store: Store, open_other: Callable[..., Store]) -> None:
        kept = [future.result(30) for future in [store.append(record(), NOTICE) for _ in range(600)]]
        store.erase(SITE, [5, 6], "request")
        store.add_snapshot(SITE, NOTICE.digest, "0" * 64)
        rows, notices = list(store.rows(SITE)), list(store.notices(SITE).values())
        other = open_other()
        assert other.restore(SITE, notices, rows[:100]) == 100
        assert other.restore(SITE, notices, rows) == len(rows) - 100
        assert list(other.rows(SITE)) == rows and other.head(SITE) == store.head(SITE)
        assert other.notices(SITE) == store.notices(SITE)
        assert faults(other.receipt(kept[50].record.id)) == []
        assert other.record(kept[4].record.id) is None
        more = other.append(record(), NOTICE).result(10)
        assert more.index == len(rows), "the notice is known: it is not logged again"
        assert faults(more.receipt()) == []
        assert sound(other) == len(rows) + 1
        assert other.restore(SITE, notices, rows) == 0
        other.close()

    def test_what_does_not_continue_a_log_is_not_restored(self, store: Store, open_other: Callable[..., Store]) -> None:
        for _ in range(3):
            store.append(record(), NOTICE).result(10)
        rows, notices = list(store.rows(SITE)), list(store.notices(SITE).values())
        other = open_other()
        swapped = Row(2, rows[2].entry, rows[2].salt, rows[3].record)
        for wrong, said in (
            (rows[1:], r"entry 1 .* 0 should come next"),
            ([rows[0], rows[2]], "1 should come next"),
            ([*rows[:2], swapped], "does not commit to"),
            ([Row(0, b"{}", None, None)], "cannot be restored"),
            ([Row(0, rows[0].entry.replace(b"www.", b"wwv."), None, None)], "is of the log of 'wwv.example.org'"),
        ):
            with pytest.raises(StoreError, match=said):
                other.restore(SITE, notices, wrong)
        with pytest.raises(StoreError, match="not among those given"):
            other.restore(SITE, [], rows)
        assert other.head(SITE) is None or other.head(SITE).size == 0  # type: ignore[union-attr]
        other.append(record(), NOTICE).result(10)
        with pytest.raises(StoreError, match=r"entry [01] .* is another one here"):
            other.restore(SITE, notices, rows)
        assert sound(other) == 2
        other.close()

    def test_counts_are_taken_over_once(self, store: Store, open_other: Callable[..., Store]) -> None:
        store.append(record(), NOTICE).result(10)
        store.count(refusal())
        args = (SITE, date.min, date.max)
        told = store.totals(*args), store.answers(*args), store.extents(*args)
        other = open_other()
        other.restore_counts(SITE, *told)
        assert (other.totals(*args), other.answers(*args), other.extents(*args)) == told
        with pytest.raises(StoreError, match="has counts already"):
            other.restore_counts(SITE, *told)
        other.close()

    def test_one_moment_stands_still_while_others_write(self, store: Store) -> None:
        first = store.append(record(), NOTICE).result(10)
        store.count(refusal())
        with store.moment() as then:
            before = then.head(SITE), list(then.rows(SITE)), counted(then)
            later = store.append(record(), NOTICE).result(10)
            assert (then.head(SITE), list(then.rows(SITE)), counted(then)) == before
            assert then.record(later.record.id) is None and then.record(first.record.id) == first.record
            assert then.tree(SITE).root() == before[0].root  # type: ignore[union-attr]
        assert before[2] == {"given": 1, "refused": 1}
        assert store.head(SITE).size == 3  # type: ignore[union-attr]

    # Counts of answers --------------------------------------------------------------------------------------------

    def test_answers_are_counted_by_purpose_and_extent_with_the_records(self, store: Store) -> None:
        first = record(purposes={"video": True, "audience": True})
        for each in (
            first,
            record(purposes={"video": True, "audience": False}),
            record(purposes={"video": True, "audience": True}, services={"tube": False}),
            record(purposes={"video": True, "audience": True}, language="en", surface="panel", method="panel"),
            record(event="withdrawn", method="refuse-all", purposes={"video": False, "audience": False}, supersedes=first.id),
            record(time=TIME + timedelta(1)),
            record(site="shop.example.org"),
        ):
            store.append(each, NOTICE).result(10)
        store.append(first, NOTICE).result(10)
        store.count(refusal())
        found = {(a["event"], a["purpose"], a["surface"], a["language"]): (a["yes"], a["no"]) for a in store.answers(SITE, DAY, DAY)}
        assert found == {
            ("given", "audience", "notice", "fr"): (2, 1),
            ("given", "audience", "panel", "en"): (1, 0),
            ("given", "video", "notice", "fr"): (3, 0),
            ("given", "video", "panel", "en"): (1, 0),
            ("withdrawn", "audience", "notice", "fr"): (0, 1),
            ("withdrawn", "video", "notice", "fr"): (0, 1),
        }
        extents = {(e["event"], e["surface"], e["language"]): (e["all"], e["some"], e["none"]) for e in store.extents(SITE, DAY, DAY)}
        assert extents == {
            ("given", "notice", "fr"): (1, 2, 0),
            ("given", "panel", "en"): (1, 0, 0),
            ("withdrawn", "notice", "fr"): (0, 0, 1),
        }
        assert [a["day"] for a in store.answers(SITE, DAY, DAY + timedelta(1)) if a["day"] != DAY.isoformat()] == ["2026-11-23"]
