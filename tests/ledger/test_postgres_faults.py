"""What was acknowledged is there: after PostgreSQL is restarted, cut off, hung, or its machine lost, and after kill -9 of who writes."""

from __future__ import annotations

import base64
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conformance import NOTICE, SITE, counted, faults, record, refusal, signer, sound
from pg import Group, Server
from processes import kill_under_load, writer

from volens.errors import StoreBusy, StoreError, StoreUnavailable
from volens.ledger.postgres import PostgresStore
from volens.ledger.store import Kept, Store

SOAK = os.environ.get("VOLENS_SOAK") == "1"
ROUNDS = 12 if SOAK else 2
KILLS = 50 if SOAK else 5


class Load:
    """Threads that append and count until they are told to stop, and what they were told."""

    def __init__(self, store: Store, threads: int = 16) -> None:
        self.kept: list[Kept] = []
        self.refused: list[StoreError] = []
        self.counted = 0
        self._store = store
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                kept = self._store.append(record(), NOTICE).result(120)
            except StoreError as error:
                with self._lock:
                    self.refused.append(error)
                time.sleep(0.02)
                continue
            self._store.count(refusal())
            with self._lock:
                self.kept.append(kept)
                self.counted += 1

    def more(self, number: int = 200, patience: float = 60) -> None:
        """Until that many more were acknowledged."""
        wanted, end = len(self.kept) + number, time.monotonic() + patience
        while len(self.kept) < wanted:
            assert time.monotonic() < end, f"{len(self.kept)} of {wanted}; {self.refused[-1:]}"
            time.sleep(0.01)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(150)
            assert not thread.is_alive()


@contextmanager
def load(store: Store, threads: int = 16) -> Iterator[Load]:
    running = Load(store, threads)
    try:
        yield running
    finally:
        running.stop()
        store.close()


def lost(store: Store, kept: list[Kept]) -> list[str]:
    """The acknowledged records that are not in the log where they were promised, or whose signed head the log does not continue."""
    rows = {row.index: row for row in store.rows(SITE)}
    missing = [k.record.id for k in kept if k.index not in rows or rows[k.index].record != k.record.canonical()]
    tree, roots = store.tree(SITE), dict[str, bool]()
    for k in kept:
        if k.checkpoint not in roots:
            _, size, _ = k.checkpoint.split("\n", 2)
            head = f"{SITE}/volens\n{size}\n"
            with suppress(LookupError):
                head += base64.b64encode(tree.root(int(size))).decode() + "\n"
            roots[k.checkpoint] = k.checkpoint.startswith(head) and head.count("\n") == 3
    return missing + [k.record.id for k in kept if not roots[k.checkpoint]]


def judge(url: str, folder: Path, load: Load) -> None:
    """Everything acknowledged is there, once, and its receipt holds; nothing is counted twice."""
    store = PostgresStore(url, folder / "judge", signer)
    size = sound(store)
    assert lost(store, load.kept) == []
    assert len({k.index for k in load.kept}) == len(load.kept)
    total = counted(store)
    assert total["given"] == size - 1, "each entry but the notice's is a record, counted with it"
    assert total["refused"] == load.counted, "a refusal is counted once"
    assert len(load.kept) <= total["given"] <= len(load.kept) + len(load.refused)
    for kept in random.Random(1).sample(load.kept, 20):
        assert faults(kept.receipt()) == [], "the receipt given at once"
        assert faults(store.receipt(kept.record.id)) == [], "and the one that is given later"
    store.close()


@pytest.fixture
def own() -> Iterator[Server]:
    """A server of this test's own."""
    started = Server.new().start()
    yield started
    started.remove()


@pytest.mark.parametrize("mode", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_server_restarted_under_load_loses_nothing_and_nobody_waits_for_long(own: Server, tmp_path: Path, mode: signal.Signals) -> None:
    url = own.url(own.database())
    with load(PostgresStore(url, tmp_path / "aside", signer)) as running:
        for _ in range(ROUNDS):
            running.more()
            own.restart(mode)
            running.more()
    judge(url, tmp_path, running)
    assert len(running.refused) <= 16 * ROUNDS, "a restart within the patience is waited for"


def test_connections_cut_under_load_lose_nothing_and_double_nothing(server: Server, database: str, tmp_path: Path) -> None:
    name = database.rpartition("/")[2]
    cut = 0
    with load(PostgresStore(database, tmp_path / "aside", signer)) as running:
        running.more()
        for _ in range(20 * ROUNDS):
            running.more(5)
            cut += len(
                server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", name)
            )
            time.sleep(0.01)
        running.more()
    assert cut >= 10 * ROUNDS
    judge(database, tmp_path, running)
    assert running.refused == []


class Cutting:
    """A line between the store and the server that is cut at the next COMMIT: before it gets there, or before its answer comes back."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.cut = ""
        self.done = 0
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._server))
                except OSError:
                    near.close()
                    continue
                state: dict[str, bool] = {"deaf": False}
                threading.Thread(target=self._there, args=(near, far, state), daemon=True).start()
                threading.Thread(target=self._back, args=(near, far, state), daemon=True).start()

    def _there(self, near: socket.socket, far: socket.socket, state: dict[str, bool]) -> None:
        with suppress(OSError):
            while data := near.recv(1 << 20):
                if self.cut and b"COMMIT\0" in data:
                    how, self.cut = self.cut, ""
                    self.done += 1
                    if how == "before":
                        self._end(near, far)
                        return
                    state["deaf"] = True
                far.sendall(data)
        self._end(near, far)

    def _back(self, near: socket.socket, far: socket.socket, state: dict[str, bool]) -> None:
        with suppress(OSError):
            while data := far.recv(1 << 20):
                if state["deaf"]:
                    break
                near.sendall(data)
        self._end(near, far)

    @staticmethod
    def _end(*ends: socket.socket) -> None:
        for one in ends:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        self._door.close()


@pytest.mark.parametrize("how", ["before", "after"])
def test_a_commit_whose_answer_is_lost_is_acknowledged_if_it_was_made_and_made_once(
    server: Server,
    database: str,
    tmp_path: Path,
    how: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = Cutting(server.port)
    store = PostgresStore(database.replace(f":{server.port}/", f":{line.port}/"), tmp_path / "aside", signer)
    store.append(record(), NOTICE).result(30)
    for _ in range(5):
        store.count(refusal())
        line.cut = how
        given = record()
        kept = store.append(given, NOTICE).result(60)
        assert kept.record == given
        assert faults(kept.receipt()) == []
    assert line.done == 5
    assert counted(store) == {"given": 6, "refused": 5}
    assert sound(store) == 7
    store.close()
    line.close()
    assert ("all of it is there" in caplog.text) == (how == "after")


def test_a_commit_that_nobody_can_tell_of_fails_clearly_and_may_be_appended_again(own: Server, tmp_path: Path) -> None:
    url = own.url(own.database())
    line = Cutting(own.port)
    store = PostgresStore(url.replace(f":{own.port}/", f":{line.port}/"), tmp_path / "aside", signer, patience=0.5)
    store.append(record(), NOTICE).result(30)
    line.cut = "after"
    given = record()
    waits = store.append(given, NOTICE)
    while not line.done:
        time.sleep(0.001)
    own.stop()
    with pytest.raises(StoreUnavailable, match="what became of it could not be learnt"):
        waits.result(30)
    own.start()
    assert store.append(given, NOTICE).result(30).record == given
    assert counted(store)["given"] == 2
    assert sound(store) == 3
    store.close()
    line.close()


def test_a_server_that_hangs_fails_grants_in_time_and_keeps_refusals(own: Server, tmp_path: Path) -> None:
    store = PostgresStore(own.url(own.database()), tmp_path / "aside", signer, patience=0.5, queue=50)
    store.append(record(), NOTICE).result(30)
    own.send(signal.SIGSTOP)
    started = time.monotonic()
    store.count(refusal())
    with pytest.raises(StoreUnavailable, match=r"no answer for 1 s|timeout"):
        store.append(record(), NOTICE).result(30)
    assert time.monotonic() - started < 20
    with pytest.raises(StoreError):
        store.check()
    with pytest.raises(StoreBusy):
        for _ in range(1000):
            store.append(record(), NOTICE)
    own.send(signal.SIGCONT)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(StoreError):
            store.append(record(), NOTICE).result(30)
            break
    store.check()
    assert counted(store)["refused"] == 1
    sound(store)
    store.close()


def test_writers_killed_under_load_lose_no_acknowledged_record(database: str, tmp_path: Path) -> None:
    """Two at a time, as on two machines; one dies in the midst of a transaction, the other goes on."""
    chance = random.Random(20261122)
    acknowledged: list[str] = []
    for _ in range(KILLS):
        acknowledged += kill_under_load([writer(database, tmp_path) for _ in range(2)], chance.uniform(0.01, 0.15))
        store = PostgresStore(database, tmp_path / "aside", signer)
        size = sound(store)
        assert counted(store)["given"] == size - 1
        kept = {row.record for row in store.rows(SITE, held=True)}
        there = {data.partition(b'"id":"')[2][:26].decode() for data in kept if data}
        assert set(acknowledged) <= there
        assert faults(store.receipt(acknowledged[-1])) == []
        store.append(record(), NOTICE).result(30)
        store.close()
    assert len(acknowledged) > 20 * KILLS, "under load"


def fail_over(group: Group, folder: Path, before: Callable[[Group, Load], None], patience: float = 3) -> tuple[Load, Store]:
    """Load on a group whose primary is killed, and the best standby promoted; what was acknowledged, and the store that went on."""
    url = group.url(group.primary.database())
    store = PostgresStore(url, folder / "aside", signer, patience=patience)
    running = Load(store)
    try:
        running.more(500)
        before(group, running)
        group.primary.kill()
        acknowledged = len(running.kept)
        group.fail_over()
        running.more(200, 120)
    finally:
        running.stop()
    assert acknowledged >= 500
    return running, store


def while_all_is_well(group: Group, running: Load) -> None:
    """Nothing happens before the kill."""


def while_standbys_freeze(group: Group, running: Load) -> None:
    """Both standbys stop in the midst of the load, so that what the primary commits alone must not be acknowledged."""
    for standby in group.standbys:
        standby.send(signal.SIGSTOP)
    time.sleep(1.5)
    at = len(running.kept)
    time.sleep(1)
    running.frozen = len(running.kept) - at  # type: ignore[attr-defined]
    group.primary.kill()
    for standby in group.standbys:
        standby.cut_off()
        standby.send(signal.SIGCONT)


@pytest.mark.parametrize("before", [while_all_is_well, while_standbys_freeze])
def test_a_primary_lost_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path, before: Callable[[Group, Load], None]) -> None:
    for _ in range(6 if SOAK else 1):
        group = Group()
        try:
            running, store = fail_over(group, tmp_path, before)
            assert lost(store, running.kept) == []
            sound(store)
            for kept in random.Random(1).sample(running.kept, 20):
                assert faults(kept.receipt()) == []
                assert faults(store.receipt(kept.record.id)) == []
            if before is while_standbys_freeze:
                assert running.frozen == 0, "without a standby nothing is acknowledged"  # type: ignore[attr-defined]
            store.close()
        finally:
            group.remove()


def test_the_control_without_a_quorum_loses_acknowledged_records(tmp_path: Path) -> None:
    """The same, with standbys that follow when they can: the test above can fail. Not each time: one that is stopped in the midst of
    receiving takes all that was on its way when it goes on."""
    for _ in range(4):
        group = Group(synchronous=False)
        try:
            running, store = fail_over(group, tmp_path, while_standbys_freeze)
            assert running.frozen > 0  # type: ignore[attr-defined]
            gone = lost(store, running.kept)
            store.close()
        finally:
            group.remove()
        if gone:
            return
    pytest.fail("nothing was lost, four times")


def test_no_head_is_told_that_is_not_durable(tmp_path: Path) -> None:
    """Rows are there for the next writer before the standbys have them; whoever publishes must wait for these."""
    group = Group()
    try:
        url = group.url(group.primary.database())
        store = PostgresStore(url, tmp_path / "aside", signer, patience=1)
        reader = PostgresStore(url, tmp_path / "other", signer, patience=1)
        store.append(record(), NOTICE).result(30)
        head = reader.head(SITE)
        assert head is not None and head.size == 2
        for standby in group.standbys:
            standby.send(signal.SIGSTOP)
        waits = store.append(record(), NOTICE)
        name = url.partition("?")[0].rpartition("/")[2]
        deadline = time.monotonic() + 20
        while group.primary.ask("SELECT size FROM volens.logs", database=name) == [(2,)]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not waits.done(), "it is there, and nobody has been told"
        with pytest.raises(StoreUnavailable, match="no answer for 2 s"):
            reader.head(SITE)
        with pytest.raises(StoreUnavailable), reader.moment():
            pass
        with pytest.raises(StoreUnavailable):
            reader.check()
        for standby in group.standbys:
            standby.send(signal.SIGCONT)
        with suppress(StoreUnavailable):
            waits.result(60)
        head = reader.head(SITE)
        assert head is not None and head.size == 3
        store.close()
        reader.close()
    finally:
        group.remove()
