"""The visitor's receipt: at once and later, checked by the verifier that shares no code with the writer; given to its visitor and to
nobody else; and what is forgotten with the choice (GDPR 15, 17, 20; R14, R15, R20, R23)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.enforce.making import CATALOG, HOST, NOTICE, SITE, TODAY
from tests.running import until
from tests.web.making import FORM, KEYS, SAME, Clock, Held, Visitor, forged, gateway, header, request, settle
from volens.choice import Choice
from volens.errors import StoreBusy, StoreUnavailable
from volens.ledger import verify
from volens.ledger.keyring import Keyring
from volens.ledger.receipt import Receipt
from volens.ledger.record import Record
from volens.ledger.sqlite import SqliteStore
from volens.ledger.store import Event, Kept
from volens.notice import Notice
from volens.web import proofs
from volens.web.gateway import Gateway
from volens.web.messages import Pairs

OPENED: Pairs = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]
JSON = b"application/json"


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "volens.log-key")


@pytest.fixture
def made(tmp_path: Path, keys: Keyring) -> Iterator[Gateway]:
    """A site whose log is signed with a key that is published."""
    gateway = Gateway(SITE, CATALOG, SqliteStore(tmp_path / "ledger.db", keys), KEYS, now=Clock(), log_keys=keys)
    yield gateway
    gateway.close()


@pytest.fixture
def visitor(made: Gateway) -> Visitor:
    return Visitor(made)


def accept(visitor: Visitor, **more: Any) -> dict[str, Any]:
    """As a program does: the answer to an acceptance."""
    body = {"notice": visitor.gateway.named(SITE), "answer": "accept", "surface": "notice", "language": "fr", "back": "/a", **more}
    reply = visitor.choose(json.dumps(body), kind=JSON)
    assert reply.status == 201, reply.body
    return json.loads(reply.body)  # type: ignore[no-any-return]


def id_of(visitor: Visitor) -> str:
    return visitor.jar["__Host-volens-record"].split(".")[1]


def trust(made: Gateway) -> verify.Trust:
    """What is published under ``log/keys``."""
    reply = settle(made.visit(request("GET", "/_volens/log/keys")).answer(b""))
    return verify.Trust.of(verify.read_keys(reply.body.decode()))


def verdict(value: Any, made: Gateway) -> verify.Verdict:
    return verify.check(json.dumps(value).encode(), trust(made)).verdict


def forget(visitor: Visitor) -> Any:
    return visitor.send("POST", "/_volens/forget", [(b"content-type", FORM), *SAME], b"answer=forget&back=%2Fa&language=fr")


def test_a_page_s_script_is_not_told_the_record_by_the_answer(made: Gateway, visitor: Visitor) -> None:
    """The cookie that names it is HttpOnly: an identifier of the visitor, were it in the answer."""
    body = {"notice": made.named(SITE), "answer": "accept", "surface": "notice", "language": "fr", "back": "/a"}
    fields = [(b"content-type", JSON), *SAME, (b"sec-fetch-mode", b"cors"), (b"sec-fetch-dest", b"empty")]
    reply = visitor.send("POST", "/_volens/choice", fields, json.dumps(body).encode())
    assert reply.status == 201 and json.loads(reply.body)["choice"]
    assert "receipt" not in json.loads(reply.body) and id_of(visitor).encode() not in reply.body


def test_the_answer_to_a_grant_carries_a_receipt_that_holds_by_itself(made: Gateway, visitor: Visitor) -> None:
    told = accept(visitor)["receipt"]
    found = verdict(told, made)
    assert found.holds, found
    assert told["record"]["id"] == id_of(visitor) and told["record"]["notice"] == NOTICE.digest
    assert told["record"] == made.store.record(id_of(visitor)).to_json()  # type: ignore[union-attr]
    assert len(json.dumps(told)) < 4096
    told["record"]["purposes"]["video"] = False
    assert not verdict(told, made).holds, "the verifier sees a change"


def test_many_at_once_have_a_receipt_each(made: Gateway) -> None:
    def one(n: int) -> dict[str, Any]:
        told: dict[str, Any] = accept(Visitor(made, client=f"192.0.2.{n}"))["receipt"]
        return told

    with ThreadPoolExecutor(16) as pool:
        receipts = list(pool.map(one, range(64)))
    assert all(verdict(receipt, made).holds for receipt in receipts)
    assert len({receipt["index"] for receipt in receipts}) == len({receipt["salt"] for receipt in receipts}) == 64


def test_a_form_gets_no_receipt_in_its_answer_and_the_page_of_rights_offers_it(made: Gateway, visitor: Visitor) -> None:
    assert visitor.choose("answer=accept").status == 303
    page = visitor.send("GET", "/_volens/rights?language=fr", OPENED).body.decode()
    where = f"/_volens/receipt/{id_of(visitor)}"
    assert f'href="{where}"' in page and f'href="{where}/bundle"' in page and 'href="/_volens/verify' in page
    assert " download" not in page, "a browser asks for those links as for a script's fetch, which gets no receipt"
    assert "Ce registre n’a pas de témoin" in page
    reply = visitor.send("GET", where, OPENED)
    assert (reply.status, header(reply, "content-type"), header(reply, "cache-control")) == (200, ["application/json"], ["no-store"])
    assert header(reply, "content-disposition") == [f'attachment; filename="receipt-{HOST}.json"']
    assert header(reply, "cross-origin-opener-policy") == ["same-origin"]
    assert verdict(json.loads(reply.body), made).holds


def test_later_receipts_are_held_against_the_published_checkpoint_and_agree_with_the_first(made: Gateway, visitor: Visitor) -> None:
    first = accept(visitor)["receipt"]
    for n in range(5):
        accept(Visitor(made, client=f"192.0.2.{n}"))
    head = made.store.head(HOST)
    assert head is not None and until(lambda: made.store.published(HOST, head.size))
    later = json.loads(visitor.send("GET", f"/_volens/receipt/{id_of(visitor)}", OPENED).body)
    assert verdict(later, made).holds and later["checkpoint"] == made.store.published(HOST)
    assert {k: v for k, v in later.items() if k not in ("proof", "checkpoint")} == {
        k: v for k, v in first.items() if k not in ("proof", "checkpoint")
    }
    assert Receipt.from_json(later).to_json() == later


@pytest.mark.parametrize("how", ["/bundle", "?bundle=1"])
def test_the_bundle_adds_the_notice_in_full_and_the_keys(made: Gateway, visitor: Visitor, how: str) -> None:
    accept(visitor)
    reply = visitor.send("GET", f"/_volens/receipt/{id_of(visitor)}{how}", OPENED)
    told = json.loads(reply.body)
    assert header(reply, "content-disposition") == [f'attachment; filename="bundle-{HOST}.json"']
    assert told["notice"] == NOTICE.to_json() and Notice.from_json(told["notice"]).digest == told["receipt"]["record"]["notice"]
    assert verdict(told, made).holds
    told["notice"]["controller"]["name"] = "Somebody else"
    assert not verdict(told, made).holds


def test_who_refused_has_no_receipt_and_is_told_why(visitor: Visitor) -> None:
    body = {"notice": visitor.gateway.named(SITE), "answer": "refuse", "surface": "notice", "language": "fr", "back": "/a"}
    assert "receipt" not in json.loads(visitor.choose(json.dumps(body), kind=JSON).body)
    page = visitor.send("GET", "/_volens/rights?language=fr", OPENED).body.decode()
    assert "cet accord et son retrait restent inscrits" in page, "a withdrawal looks like a refusal, and was recorded"
    assert "Pas de reçu pour un refus" in page and "/_volens/receipt/" not in page


def test_nobody_else_gets_it(made: Gateway, visitor: Visitor) -> None:
    accept(visitor)
    where = f"/_volens/receipt/{id_of(visitor)}"
    other = Visitor(made, client="192.0.2.9")
    accept(other)
    choice = Choice.accept_all(NOTICE, TODAY)
    for jar in (other.cookie(), [], forged(choice, keys=(b"x" * 32,), record=id_of(visitor))):
        for path in (where, where + "/bundle"):
            reply = settle(made.visit(request("GET", path, [*jar, *OPENED])).answer(b""))
            assert reply.status == 404 and b"salt" not in reply.body
    for pairs in (
        [(b"sec-fetch-mode", b"cors"), (b"sec-fetch-dest", b"empty")],
        [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"iframe")],
    ):
        assert visitor.send("GET", where, pairs).status == 404, "a script that fetched it would have an identifier"
    for wrong in ("/_volens/receipt/", where[:-1], where + "/", where + "/x", "/_volens/receipt/" + "0" * 26):
        assert visitor.send("GET", wrong, OPENED).status == 404
    assert visitor.send("POST", where, [*OPENED, *SAME]).status == 404


def test_forgetting_erases_record_and_salt_and_every_other_proof_stays(made: Gateway, visitor: Visitor) -> None:
    first = accept(visitor)["receipt"]
    other = Visitor(made, client="192.0.2.9")
    theirs = accept(other)["receipt"]
    changed = accept(visitor, answer="switches", purposes=["video"])
    assert "receipt" not in changed, "taken away at once, and recorded after"
    assert until(lambda: made.store.totals(HOST, TODAY, TODAY) and _events(made) == {"given": 2, "changed": 1})
    accept(visitor)
    last = id_of(visitor)
    reply = forget(visitor)
    assert reply.status == 303 and visitor.jar == {}
    for id in (first["record"]["id"], last):
        assert made.store.record(id) is None and made.store.receipt(id) is None
    assert until(lambda: _events(made).get("withdrawn") == 1), "the withdrawal itself is proved"
    head = made.store.head(HOST)
    assert head is not None
    rows = list(made.store.rows(HOST))
    assert rows[first["index"]].salt is None and rows[first["index"]].record is None
    assert json.loads(rows[first["index"]].entry) == first["entry"], "the leaf stays"
    erased = [json.loads(row.entry) for row in rows if b'"erasure"' in row.entry]
    assert [entry["reason"] for entry in erased] == ["request"] * len(erased) and erased
    held = {json.loads(row.record)["event"] for row in rows if row.record is not None}
    assert first["record"]["id"] not in {json.loads(row.record)["id"] for row in rows if row.record is not None}
    assert held == {"given", "withdrawn"}
    assert verdict(first, made).holds, "what the visitor has kept still proves it"
    again = json.loads(other.send("GET", f"/_volens/receipt/{id_of(other)}", OPENED).body)
    assert verdict(again, made).holds and again["record"] == theirs["record"]


def test_a_receipt_of_an_erased_record_is_told_to_be_gone(made: Gateway, visitor: Visitor) -> None:
    accept(visitor)
    made.store.erase(HOST, [made.store.find(id_of(visitor))[1]], "age")  # type: ignore[index]
    reply = visitor.send("GET", f"/_volens/receipt/{id_of(visitor)}", [*OPENED, (b"accept", b"text/html"), (b"accept-language", b"fr")])
    assert reply.status == 404 and "n’est plus au registre" in reply.body.decode()


def _events(made: Gateway) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in made.store.totals(HOST, TODAY, TODAY):
        found[row["event"]] = found.get(row["event"], 0) + row["count"]
    return found


class Unerasing(SqliteStore):
    """Cannot be written for a while."""

    failures = 1

    def erase(self, site: str, indexes: Any, reason: str) -> int:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("the disk is full")
        return super().erase(site, indexes, reason)


def test_what_could_not_be_erased_at_once_is_erased_when_the_ledger_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(proofs, "AGAIN", 0.05)
    made = gateway(tmp_path, Unerasing)
    visitor = Visitor(made)
    accept(visitor)
    id = id_of(visitor)
    assert forget(visitor).status == 303 and visitor.jar == {}, "the withdrawal has taken effect"
    assert until(lambda: made.store.record(id) is None)
    assert "will be erased later" in caplog.text
    made.close()


def test_a_ledger_that_cannot_be_read_gives_no_receipt_and_says_when_to_come_again(tmp_path: Path) -> None:
    class Unread(SqliteStore):
        def receipt(self, id: str) -> Receipt | None:
            raise StoreUnavailable("the disk is gone")

    made = gateway(tmp_path, Unread)
    visitor = Visitor(made)
    accept(visitor)
    reply = visitor.send("GET", f"/_volens/receipt/{id_of(visitor)}", OPENED)
    assert reply.status == 503 and header(reply, "retry-after") == ["10"]
    made.close()


def test_a_full_queue_refuses_a_grant_clearly_and_leaves_nothing_behind(tmp_path: Path) -> None:
    class Full(SqliteStore):
        def append(self, record: Record, notice: Notice, event: Event | None = None) -> Any:
            raise StoreBusy("10000 records wait")

    made = gateway(tmp_path, Full)
    for kind in (JSON, FORM):
        visitor = Visitor(made)
        fields = {"notice": made.named(SITE), "answer": "accept", "surface": "notice", "language": "fr", "back": "/a"}
        reply = visitor.choose(json.dumps(fields) if kind == JSON else "answer=accept&language=fr", kind=kind)
        assert (reply.status, header(reply, "retry-after"), header(reply, "set-cookie")) == (503, ["1"], [])
        assert visitor.granted() == set()
        assert visitor.choose("answer=refuse").status == 303 and "volens" in visitor.jar, "a refusal needs nobody"
    made.close()


def test_no_receipt_leaves_before_its_row_is_durable(tmp_path: Path) -> None:
    made = gateway(tmp_path, Held)
    visit = made.visit(request("POST", "/_volens/choice", [(b"content-type", JSON), *SAME]))
    body = {"notice": made.named(SITE), "answer": "accept", "surface": "notice", "language": "fr", "back": "/a"}
    answer = visit.answer(json.dumps(body).encode())
    assert not hasattr(answer, "status")
    ((future, record, _),) = made.store.waiting  # type: ignore[attr-defined]
    assert not future.done()
    future.set_result(Kept(record, b"s" * 16, 0, b"{}", "a/volens\n1\nx\n\n", lambda index: []))
    assert json.loads(settle(answer).body)["receipt"]["record"] == record.to_json()
    made.close()


def test_what_waits_beside_the_ledger_is_forgotten_once_it_is_written_with_all_that_it_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full: a withdrawal in part waits aside, and its visitor asks to be forgotten before the ledger knows of it."""
    monkeypatch.setattr(proofs, "AGAIN", 0.05)
    made = gateway(tmp_path)
    visitor = Visitor(made)
    first = accept(visitor)["receipt"]["record"]["id"]
    with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")  # readable, and not to be written
        accept(visitor, answer="switches", purposes=["video"])
        less = id_of(visitor)
        assert less != first and made.store.record(less) is None
        assert forget(visitor).status == 303 and visitor.jar == {}
        other.execute("ROLLBACK")
    assert until(lambda: _events(made).get("withdrawn") == 1)
    assert until(lambda: made.store.record(first) is None and made.store.record(less) is None), "neither is left behind"
    made.close()
    other.close()


def test_a_record_that_is_not_moved_into_the_log_yet_is_forgotten_too(tmp_path: Path) -> None:
    made = gateway(tmp_path, Unmoved)
    visitor = Visitor(made)
    accept(visitor)
    id = id_of(visitor)
    assert forget(visitor).status == 303
    assert until(lambda: made.store.record(id) is None)
    made.close()


class Unmoved(SqliteStore):
    """Its records have no place in the log until they are moved."""

    moved = False

    def find(self, id: str) -> tuple[str, int] | None:
        return super().find(id) if self.moved else None

    def upgrade(self) -> int:
        self.moved = True
        return super().upgrade()
