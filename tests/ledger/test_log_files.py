"""The public files of the log: whoever fetches them over HTTP can build the tree again, and finds nothing of anybody in it."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.enforce.making import CATALOG, HOST, NOTICE, NOW, SITE
from tests.ledger.conformance import record
from tests.ledger.witnesses import ENVIRONMENT, Running
from tests.running import free_port, until, until_listening
from tests.web.making import KEYS, Clock, gateway, request, send
from volens.errors import StoreUnavailable
from volens.ledger import verify
from volens.ledger.cosign import PublicKey, SignedNote
from volens.ledger.keyring import Keyring
from volens.ledger.note import origin
from volens.ledger.sqlite import SqliteStore
from volens.ledger.store import Store
from volens.notice import Notice
from volens.site import Retention
from volens.web import logfiles
from volens.web.gateway import Gateway
from volens.web.logfiles import tile, tile_path
from volens.web.messages import Reply, Waiting

LOG = "/_volens/log/"


def fill(store: Store, site: str, notice: Notice, count: int) -> None:
    """That many records more."""
    for future in [store.append(record(site=site, notice=notice.digest), notice) for _ in range(count)]:
        future.result(30)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Gateway]:
    """A site whose log has 300 entries."""
    one = gateway(tmp_path, log_keys=Keyring(tmp_path / "log-key"))
    head = one.store.head(HOST)  # the notice's own entries
    fill(one.store, HOST, NOTICE, 300 - (head.size if head else 0))
    assert one._publisher is not None
    one._publisher.stop()  # each test publishes when it means to
    head = one.store.head(HOST)
    assert head is not None and head.size == 300
    one.store.publish(HOST, head.note)
    yield one
    one.close()


def header(reply: Reply, name: bytes) -> bytes:
    return dict(reply.pairs).get(name, b"")


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("tile/0/000", (0, 0, 256)),
        ("tile/0/000.p/1", (0, 0, 1)),
        ("tile/0/255.p/255", (0, 255, 255)),
        ("tile/63/x001/x234/067", (63, 1234067, 256)),
        ("tile/entries/x001/000.p/44", (None, 1000, 44)),
        ("tile/entries/999", (None, 999, 256)),
        ("tile/1/x999/x999/x999/x999/999", (1, 999999999999999, 256)),
    ],
)
def test_a_path_has_one_spelling(path: str, meant: tuple[int | None, int, int]) -> None:
    assert tile(path) == meant
    assert tile_path(*meant) == path


WRONG = [
    "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/64/000", "tile/-1/000",
    "tile/+0/000",
    "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000.p/256", "tile/0/000.p/999", "tile/0/x000/000",
    "tile/0/001/000", "tile/0/x001/x000", "tile/0/x1/000", "tile/0/000/", "tile//000", "tile/0//000", "tile/0/000.p/1/", "tile/0/000 ",
    "tile/0/%30%30%30", "tile/0/٠٠٠", "tile/entry/000", "tile/entries/000.p/1.p/1", "tile/0/../0/000", "Tile/0/000", "checkpoint/",
    "checkpoint.txt", "keys/", "../keys", "", "x" * 5000, "tile/0/" + "x001/" * 1000 + "000",
]  # fmt: skip


def test_anything_else_is_nothing(made: Gateway) -> None:
    for path in WRONG:
        assert tile(path) is None
        assert send(made, "GET", LOG.encode() + path.encode("utf-8")).status == 404, path


@given(st.text(alphabet="tile/entriesx0123456789.p", max_size=60).map("tile/".__add__))
def test_whatever_names_a_tile_is_what_its_path_would_be(path: str) -> None:
    found = tile(path)
    assert found is None or tile_path(*found) == path


def test_types_caching_and_who_may_read(made: Gateway) -> None:
    checkpoint = send(made, "GET", LOG + "checkpoint")
    assert (checkpoint.status, header(checkpoint, b"content-type")) == (200, b"text/plain; charset=utf-8")
    assert header(checkpoint, b"cache-control") == b"public, max-age=1"
    keys = send(made, "GET", LOG + "keys")
    assert (keys.status, keys.body.decode()) == (200, made.log_keys(HOST).vkeys[0] + "\n")
    for path, size in (("tile/0/000", 8192), ("tile/0/001.p/44", 44 * 32), ("tile/1/000.p/1", 32), ("tile/0/000.p/7", 7 * 32)):
        found = send(made, "GET", LOG + path)
        assert (found.status, len(found.body), header(found, b"content-type")) == (200, size, b"application/octet-stream")
        assert header(found, b"cache-control") == b"public, max-age=31536000, immutable"
        assert header(found, b"access-control-allow-origin") == b"*" and not header(found, b"set-cookie")
    for path in ("tile/0/001", "tile/0/001.p/45", "tile/0/002.p/1", "tile/1/000", "tile/2/000.p/1", "tile/entries/001", "tile/63/000.p/1"):
        found = send(made, "GET", LOG + path)
        assert (found.status, header(found, b"cache-control")) == (404, b"no-store"), path
    assert send(made, "GET", LOG + "tile/63/x999/x999/x999/x999/999").status == 404
    assert send(made, "POST", LOG + "checkpoint").status == 405
    assert send(made, "GET", LOG + "checkpoint?x=1").status == 200


def test_tiles_go_as_far_as_the_checkpoint_that_is_published(made: Gateway) -> None:
    """Who asks for one hash more, again and again, does not learn of an entry before it is published."""
    fill(made.store, HOST, NOTICE, 230)
    assert SignedNote.parse(send(made, "GET", LOG + "checkpoint").body.decode()).checkpoint.size == 300
    within = ("tile/0/000", "tile/0/001.p/44", "tile/entries/001.p/44", "tile/entries/000", "tile/1/000.p/1")
    beyond = ("tile/0/001.p/45", "tile/entries/001.p/45", "tile/0/001", "tile/entries/001", "tile/1/000.p/2", "tile/0/002.p/1")
    assert [send(made, "GET", LOG + path).status for path in within] == [200] * 5
    for path in beyond:
        found = send(made, "GET", LOG + path)
        assert (found.status, header(found, b"cache-control")) == (404, b"no-store"), path
    head = made.store.head(HOST)
    assert head is not None and head.size == 530
    made.store.publish(HOST, head.note)
    assert [send(made, "GET", LOG + path).status for path in (*within, *beyond)] == [200] * 11


def test_entries_are_compressed_for_those_who_can(made: Gateway) -> None:
    plain = send(made, "GET", LOG + "tile/entries/000")
    zipped = send(made, "GET", LOG + "tile/entries/000", [(b"accept-encoding", b"br, gzip;q=0.5")])
    assert (header(plain, b"content-encoding"), header(zipped, b"content-encoding")) == (b"", b"gzip")
    assert gzip.decompress(zipped.body) == plain.body and len(zipped.body) < len(plain.body)
    assert header(send(made, "GET", LOG + "tile/entries/000", [(b"accept-encoding", b"gzip;q=0")]), b"content-encoding") == b""
    assert {header(one, b"vary") for one in (plain, zipped)} == {b"Accept-Encoding"}


def test_what_is_older_than_any_record_is_no_longer_served(tmp_path: Path) -> None:
    """Pruning by minimum index (tlog-tiles): after the records are erased by age, whole tiles of them are gone; later ones are not."""
    now = [NOW.timestamp() - 500 * 86400]
    store = SqliteStore(tmp_path / "ledger.db", Keyring(tmp_path / "log-key"), clock=lambda: now[0])
    fill(store, HOST, NOTICE, 600)
    now[0] = NOW.timestamp()
    fill(store, HOST, NOTICE, 10)
    size = 600 + 10 + 1
    one = Gateway(replace(SITE, retention=Retention(400)), CATALOG, store, KEYS, now=Clock(), log_keys=Keyring(tmp_path / "log-key"))
    assert send(one, "GET", LOG + "tile/entries/000").status == 200, "old, and its records are there"
    assert store.erase(HOST, range(size), "age") == 610
    one.close()
    store = SqliteStore(tmp_path / "ledger.db", Keyring(tmp_path / "log-key"), clock=lambda: now[0])
    one = Gateway(replace(SITE, retention=Retention(400)), CATALOG, store, KEYS, now=Clock(), log_keys=Keyring(tmp_path / "log-key"))
    for path in ("tile/entries/000", "tile/0/001", "tile/entries/001", "tile/0/000.p/9"):
        gone = send(one, "GET", LOG + path)
        assert (gone.status, header(gone, b"cache-control")) == (410, b"no-store"), path
    for path in ("tile/entries/002.p/88", "tile/0/002.p/88", "tile/1/000.p/2", "checkpoint"):
        assert send(one, "GET", LOG + path).status == 200, path
    one.close()


def test_a_ledger_that_cannot_be_read_is_a_503(tmp_path: Path) -> None:
    class Gone(SqliteStore):
        def published(self, site: str, size: int = 0) -> str | None:
            raise StoreUnavailable("/secret/path: the disk is gone")

    one = gateway(tmp_path, store=Gone)
    found = send(one, "GET", LOG + "checkpoint")
    assert (found.status, header(found, b"cache-control")) == (503, b"no-store") and b"secret" not in found.body
    one.close()


def test_a_flood_waits_for_nobody_and_is_bounded(tmp_path: Path, made: Gateway) -> None:
    held, free = threading.Event(), threading.Event()
    original = made.store.hashes

    def slow(site: str, level: int, index: int) -> bytes:
        held.set()
        free.wait(20)
        return original(site, level, index)

    made.store.hashes = slow  # type: ignore[method-assign]
    answers = [made.visit(request("GET", LOG + "tile/0/000")).answer(b"") for _ in range(logfiles.WAITING + 20)]
    assert held.wait(10)
    assert sum(isinstance(one, Waiting) for one in answers) == logfiles.WAITING
    assert {one.status for one in answers if isinstance(one, Reply)} == {503}
    began = time.monotonic()
    assert send(made, "GET", "/_volens/health").status == 200
    assert time.monotonic() - began < 1
    free.set()
    for one in answers:
        if isinstance(one, Waiting):
            assert one.then(one.future.result(20)).status == 200
    assert send(made, "GET", LOG + "tile/0/000").status == 200


# Over HTTP, from outside ------------------------------------------------------------------------------------------


class Site(BaseHTTPRequestHandler):
    """What stands behind the proxy."""

    def do_GET(self) -> None:
        body = b"<!DOCTYPE html><title>a</title><p>a"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *given: object) -> None:
        pass


CONFIG = """names = ["localhost"]
ledger = "volens.db"
[controller]
name = "Journal SAS"
contact = "donnees@journal.example"
policy = "/confidentialite"
[services.youtube]
catalog = "youtube"
[limits]
grants_a_minute = 100000
[proof]
key = "log-key"
quorum = 1
witnesses = [{{ url = "{url}", key = "{key}" }}]
"""


class Proxied:
    """``volens proxy`` with two workers before a site, and a witness."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.vkey = Keyring(folder / "log-key")("localhost").vkeys[0]
        self.witness = Running.made(folder / "witness", [self.vkey])
        (folder / "volens.toml").write_text(CONFIG.format(url=self.witness.site.url, key=self.witness.site.key), "utf-8")
        self.site = ThreadingHTTPServer(("127.0.0.1", 0), Site)
        threading.Thread(target=self.site.serve_forever, daemon=True).start()
        command = [sys.executable, "-m", "volens.cli", "proxy", "--upstream", f"http://127.0.0.1:{self.site.server_address[1]}"]
        command += ["--listen", f"127.0.0.1:{self.port}", "--config", str(folder / "volens.toml"), "--workers", "2"]
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=ENVIRONMENT)
        try:
            until_listening(self.process, self.port, folder / "log")
        except BaseException:
            self.close()
            raise

    def get(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method, path, body, {"Host": f"localhost:{self.port}"} | {k.replace("_", "-"): v for k, v in headers.items()}
            )
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def grant(self) -> None:
        """A visitor accepts everything."""
        page = self.get("/", Accept="text/html")[1].decode()
        named = page.partition('name="notice" value="')[2].partition('"')[0]
        value = json.dumps({"notice": named, "answer": "accept", "surface": "notice", "language": "fr", "back": "/"})
        status, said = self.get("/_volens/choice", "POST", value.encode(), Content_Type="application/json", Sec_Fetch_Site="same-origin")
        assert status == 201, said

    def checkpoint(self) -> SignedNote:
        status, body = self.get(LOG + "checkpoint")
        assert status == 200, body
        return SignedNote.parse(body.decode())

    def until_size(self, size: int) -> SignedNote:
        end = time.monotonic() + 30
        while (note := self.checkpoint()).checkpoint.size < size:
            assert time.monotonic() < end, (self.folder / "log").read_text("utf-8")
            time.sleep(0.1)
        return note

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.close()
        self.witness.end()
        self.site.shutdown()
        self.site.server_close()


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Proxied]:
    one = Proxied(tmp_path)
    yield one
    one.close()


def root(hashes: list[bytes]) -> bytes:
    """RFC 6962 §2.1, as it stands there."""
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return verify.node_hash(root(hashes[:half]), root(hashes[half:]))


def test_a_monitor_builds_the_log_again_from_its_files(proxied: Proxied) -> None:
    """Checkpoint, tiles and entries fetched over HTTP, hashed by code that shares nothing with the writer: the root that was signed."""
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(proxied.grant) for _ in range(30)]:
            done.result(60)
    store = SqliteStore(proxied.folder / "volens.db", Keyring(proxied.folder / "log-key"))  # a third process that writes to the same log
    fill(store, "localhost", next(iter(store.notices("localhost").values())), 270)
    store.close()
    note = proxied.until_size(301)
    size = note.checkpoint.size
    keys = proxied.get(LOG + "keys")[1].decode()
    assert keys == f"{proxied.vkey}\n\n{proxied.witness.site.key}\n"
    assert note.signed_by(PublicKey.parse(proxied.vkey)) and note.cosigned_by(proxied.witness.key)
    assert note.checkpoint.origin == origin("localhost")
    leaves: list[bytes] = []
    for index in range(-(-size // 256)):
        width = min(256, size - 256 * index)
        status, bundle = proxied.get(LOG + tile_path(None, index, width))
        assert status == 200
        entries = []
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            entries.append(bundle[2 : 2 + length])
            bundle = bundle[2 + length :]
        hashes = [verify.leaf_hash(entry) for entry in entries]
        assert proxied.get(LOG + tile_path(0, index, width)) == (200, b"".join(hashes))
        leaves += hashes
        for entry in entries:
            told = json.loads(entry)
            assert told.keys() <= {"v", "site", "time", "type", "commit", "notice", "snapshot"} and len(told["time"]) == len(
                "2026-11-22T10:23Z"
            )
    assert len(leaves) == size and root(leaves) == note.checkpoint.root
    assert proxied.get(LOG + tile_path(1, 0, 1)) == (200, root(leaves[:256]))


def test_the_keys_are_changed_while_it_runs_and_the_operator_is_told_of_the_witness(proxied: Proxied) -> None:
    proxied.grant()
    proxied.until_size(2)

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "volens.cli", *words]
        return subprocess.run(line, cwd=proxied.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)

    assert proxied.vkey in command("keys", "--log").stdout
    changed = command("keys", "rotate", "--log", "--json")
    new = json.loads(changed.stdout)[0]["key"]
    assert new != proxied.vkey
    proxied.grant()
    assert until(lambda: proxied.checkpoint().signed_by(PublicKey.parse(new)))
    assert until(lambda: proxied.checkpoint().cosigned_by(proxied.witness.key))
    after = proxied.checkpoint()
    assert after.signed_by(PublicKey.parse(new)) and after.signed_by(PublicKey.parse(proxied.vkey))
    assert after.cosigned_by(proxied.witness.key), "the witness knows the key before"
    assert proxied.get(LOG + "keys")[1].decode().split("\n")[:2] == [new, proxied.vkey]
    checked = command("check", "--no-browser")
    standing = re.compile(re.escape(f"{proxied.witness.name}: signs, ") + r"(\d+) entries")
    told = standing.search(checked.stdout)
    assert told and int(told[1]) >= after.checkpoint.size, checked.stdout  # the notice's pages may be logged meanwhile
    (stands,) = json.loads(command("ledger", "stats", "--json").stdout)["witness_standing"]
    told = standing.fullmatch(stands)
    assert told and int(told[1]) >= after.checkpoint.size, stands
    status, metrics = proxied.get("/_volens/metrics")
    counted = [line for line in metrics.decode().splitlines() if line.startswith('volens_witness_answers_total{outcome="signed"}')]
    assert status == 200 and int(counted[0].split()[1]) >= 2
    secrets = [
        line.strip().split("+", 4)[4] for line in (proxied.folder / "log-key").read_text().splitlines() if line.startswith("PRIVATE")
    ]
    written = [command("ledger", "export", "--format", form, "--out", f"out.{form}") for form in ("archive", "csv", "jsonl", "receipts")]
    assert [one.returncode for one in written] == [0] * 4, [one.stderr for one in written]
    exported = [path.read_text("utf-8") for path in proxied.folder.glob("out.*")]
    assert len(exported) == 4
    said = [*exported, changed.stdout, changed.stderr, checked.stdout, (proxied.folder / "log").read_text("utf-8"), metrics.decode()]
    assert len(secrets) == 2 and not [text for text in said for secret in secrets if secret in text]


def test_a_witness_named_while_it_runs_signs_from_then_on(proxied: Proxied) -> None:
    """No restart: the configuration is read again, and the publisher of before hands over."""
    proxied.grant()
    assert until(lambda: proxied.checkpoint().cosigned_by(proxied.witness.key))
    second = Running.made(proxied.folder / "second", [proxied.vkey], "second.example")
    try:
        text = (proxied.folder / "volens.toml").read_text("utf-8")
        added = f'key = "{proxied.witness.site.key}" }}, {{ url = "{second.site.url}", key = "{second.site.key}" }}]'
        (proxied.folder / "volens.toml").write_text(text.replace(f'key = "{proxied.witness.site.key}" }}]', added), "utf-8")

        def both() -> bool:
            proxied.get("/")  # each process looks at its files when it is asked for something
            note = proxied.checkpoint()
            return bool(note.cosigned_by(proxied.witness.key) and note.cosigned_by(second.key))

        assert until(both)
        assert second.key.text in proxied.get(LOG + "keys")[1].decode()
    finally:
        second.end()
    assert "Traceback" not in (proxied.folder / "log").read_text("utf-8")


def test_without_a_witness_check_says_what_that_means(tmp_path: Path) -> None:
    (tmp_path / "volens.toml").write_text(CONFIG.partition("[proof]")[0], "utf-8")
    line = [sys.executable, "-m", "volens.cli", "check", "--no-browser"]
    done = subprocess.run(line, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "evident to everybody but you" in done.stdout
    assert not (tmp_path / "volens.log-key").exists()
    Keyring(tmp_path / "volens.log-key")("localhost")
    os.chmod(tmp_path / "volens.log-key", 0o644)
    done = subprocess.run(line, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert "can be read by other users" in done.stdout
    (tmp_path / "volens.log-key").write_text("nonsense\n")
    done = subprocess.run(line, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "holds no key of a log" in done.stdout
    done = subprocess.run(
        [*line[:3], "proxy", "--upstream", "http://127.0.0.1:9"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 1 and "holds no key of a log" in done.stderr and "Traceback" not in done.stderr


def test_connections_of_a_flood_get_an_answer_each(proxied: Proxied) -> None:
    """A thousand requests for one tile at once, over real sockets: 200 or 503, and pages are served meanwhile."""
    proxied.grant()
    proxied.until_size(2)

    def ask(_: int) -> int:
        return proxied.get(LOG + "tile/0/000.p/2")[0]

    with ThreadPoolExecutor(64) as pool:
        asked = pool.map(ask, range(1000))
        assert proxied.get("/")[0] == 200
        assert set(asked) <= {200, 503}
    with socket.create_connection(("127.0.0.1", proxied.port)) as raw:
        raw.sendall(b"GET /_volens/log/tile/0/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n")
        raw.settimeout(10)
        assert raw.recv(12) in (b"HTTP/1.1 404", b"HTTP/1.1 400")
