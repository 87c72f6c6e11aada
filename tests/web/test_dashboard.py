"""``admin/choices``: what it counts, from counts alone; who may read it; and how it reads in a browser."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.enforce.making import CATALOG, HOST, NOTICE, NOW, SITE, TODAY
from tests.running import until
from tests.web.admin_pages import all_unfolded, answered, fits, looked_at, small, unfolded_by_keyboard
from tests.web.looking import faults
from tests.web.making import KEYS, Clock, Visitor, gateway, header, settle
from volens.errors import StoreUnavailable
from volens.ledger import publish
from volens.ledger.cosign import WitnessKey
from volens.ledger.keyring import Keyring
from volens.ledger.record import Count, Record, new_id
from volens.ledger.sqlite import SqliteStore
from volens.site import Proof, Witness
from volens.web.gateway import Gateway
from volens.web.messages import Pairs, Reply, Request


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Gateway]:
    keys = Keyring(tmp_path / "volens.log-key")
    made = Gateway(SITE, CATALOG, SqliteStore(tmp_path / "ledger.db", keys), KEYS, now=Clock(), log_keys=keys)
    yield made
    made.close()


def get(made: Gateway, path: str = "choices", pairs: Pairs = (), **more: Any) -> Reply:  # type: ignore[assignment]
    return answered(made, path, pairs, **more)


def figures(made: Gateway, days: int = 30) -> dict[str, Any]:
    reply = get(made, f"choices.json?days={days}")
    assert reply.status == 200, reply.body
    return json.loads(reply.body)  # type: ignore[no-any-return]


def parts(all: int, some: int, refused: int) -> dict[str, int]:
    return {"all": all, "some": some, "refused": refused}


def answer(made: Gateway, fields: str, n: int = 1) -> None:
    for number in range(n):
        reply = Visitor(made, client=f"198.51.{number}.{random.randrange(250)}").choose(fields)
        assert reply.status == 303


def fill(made: Gateway, days: int = 90) -> None:
    """A site's answers over a time, set into its ledger as they would have come."""
    chance, futures = random.Random(5), []
    everything, services = dict.fromkeys(NOTICE.askable, True), {s.id: True for s in NOTICE.services_asked}
    for back in range(days):
        at = NOW - timedelta(days=back)
        for _ in range(chance.randrange(2, 9)):
            surface, language = chance.choice(("notice", "notice", "panel", "embed", "gate")), chance.choice(("fr", "fr", "en"))
            for _ in range(chance.randrange(1, 5)):
                made.store.count(Count(HOST, at.date(), NOTICE.digest, surface, language))
            whole = chance.random() < 0.6
            purposes = everything if whole else {p: p == chance.choice(NOTICE.askable) or p == "video" for p in NOTICE.askable}
            made_services = services if whole else dict.fromkeys(services, False)
            futures.append(
                made.store.append(
                    Record(new_id(), HOST, at, "given", "accept-all" if whole else "panel", surface, language, NOTICE.digest,
                           purposes, made_services),
                    NOTICE,
                )
            )  # fmt: skip
    for future in futures:
        future.result(30)


def test_first_answers_are_told_by_how_they_came_out_where_and_in_what(made: Gateway) -> None:
    answer(made, "answer=accept&surface=notice&language=fr", 3)
    answer(made, "answer=refuse&surface=notice&language=fr", 4)
    answer(made, "answer=refuse&surface=panel&language=en", 1)
    answer(made, "answer=switches&purposes=video&surface=panel&language=en", 2)
    told = figures(made)
    assert told["answers"] == parts(3, 2, 5)
    assert told["surfaces"] == [{"name": "notice", **parts(3, 0, 4)}, {"name": "panel", **parts(0, 2, 1)}]
    assert told["languages"] == [{"name": "fr", **parts(3, 0, 4)}, {"name": "en", **parts(0, 2, 1)}]
    asked = {p["id"]: (p["yes"], p["no"]) for p in told["purposes"]}
    assert asked["video"] == (5, 5) and asked["publicite"] == (3, 7) and list(asked) == list(NOTICE.askable)
    assert told["days"][-1] == {"day": TODAY.isoformat(), **parts(3, 2, 5)} and len(told["days"]) == 30
    page = get(made, pairs=[(b"accept-language", b"fr")]).body.decode()
    assert ">10</dd>" in page and ">30\u202f%</dd>" in page and ">20\u202f%</dd>" in page and ">50\u202f%</dd>" in page
    assert "premier écran" in page and "Où l’on refuse" in page


def test_what_follows_a_first_answer_is_told_apart(made: Gateway) -> None:
    visitor = Visitor(made)
    visitor.choose("answer=switches&purposes=video&surface=panel&language=fr")
    visitor.choose("answer=accept&surface=panel&language=fr")
    visitor.choose("answer=withdraw&surface=band&language=fr")
    assert until(lambda: figures(made)["withdrawn"] == 1)
    told = figures(made)
    assert told["answers"] == parts(0, 1, 0) and (told["changed"], told["withdrawn"]) == (1, 1)


def test_the_ledger_s_state_is_told(made: Gateway) -> None:
    visitor = Visitor(made)
    visitor.choose("answer=accept&language=fr")
    index = made.store.find(visitor.jar["__Host-volens-record"].split(".")[1])
    assert index is not None
    made.store.erase(HOST, [index[1]], "age")
    head = made.store.head(HOST)
    assert head is not None and until(lambda: made.store.published(HOST, head.size))
    told = figures(made)["ledger"]
    assert (told["entries"], told["published"], told["erased"], told["waiting"]) == (head.size, head.size, 1, 0)
    assert told["checkpoint"].startswith(time.strftime("%Y-", time.gmtime())) and told["witnesses"] == []
    page = get(made, pairs=[(b"accept-language", b"en")]).body.decode()
    assert "No witness: you alone sign this log" in page and "Records erased" in page


def test_a_witness_is_told_with_what_it_answered(tmp_path: Path) -> None:
    key = WitnessKey("witness.example", bytes(32)).public.text
    site = replace(SITE, proof=Proof((Witness("https://witness.example", key),), 1))
    state = tmp_path / "witnessed"
    made = gateway(tmp_path, site=site, witnessed=state)
    assert figures(made)["ledger"]["witnesses"] == [{"name": "witness.example", "state": "", "size": 0}]
    for said, words in (("signed", "has signed 1,234 entries"), ("refused", "it has signed another tree"), ("down", "does not answer")):
        one = {"name": "witness.example", "key": key, "url": "", "state": said, "size": 1234, "time": 0, "said": ""}
        state.write_text(json.dumps({"format": publish.FORMAT, "witnesses": [one]}))
        assert figures(made)["ledger"]["witnesses"] == [{"name": "witness.example", "state": said, "size": 1234}]
        assert words in get(made, pairs=[(b"accept-language", b"en")]).body.decode()
    made.close()


def test_nothing_is_scanned(made: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(made, "answer=accept&language=fr", 2)

    def scanned(*_: object, **__: object) -> Any:
        raise AssertionError("records are read")

    for name in ("rows", "entries", "record", "receipt"):
        monkeypatch.setattr(made.store, name, scanned)
    assert figures(made)["answers"] == parts(2, 0, 0)


def test_the_operator_s_door_leads_here_and_is_shut_for_others(made: Gateway) -> None:
    assert header(get(made, ""), "location") == ["/_volens/admin/choices"]
    for path in ("choices", "choices.json"):
        assert get(made, path, client="192.0.2.7").status == 403
    reply = get(made)
    assert header(reply, "cache-control") == ["no-store"] and b"<script" not in reply.body and b"style=" not in reply.body


def test_where_nobody_answered_the_page_says_so(made: Gateway) -> None:
    page = get(made, pairs=[(b"accept-language", b"en")])
    assert page.status == 200 and b"Nothing was counted in this period." in page.body and b"<figure" not in page.body


def test_figures_that_cannot_be_read_are_a_clear_page(tmp_path: Path) -> None:
    class Unread(SqliteStore):
        def totals(self, *_: Any) -> Any:
            raise StoreUnavailable("the disk is gone")

    made = gateway(tmp_path, Unread)
    assert get(made).status == 503 and b"the disk is gone" in get(made).body and get(made, "choices.json").status == 503
    made.close()


def test_prometheus_is_told_how_the_log_stands(made: Gateway) -> None:
    answer(made, "answer=accept&language=fr")
    head = made.store.head(HOST)
    assert head is not None and until(lambda: made.store.published(HOST, head.size))
    host = "localhost:8080"
    text = settle(
        made.visit(Request("GET", b"/_volens/metrics", [(b"host", host.encode())], "http", host, "127.0.0.1")).answer(b"")
    ).body.decode()
    found = dict(re.findall(r"^(volens_log_\w+) (\S+)$", text, re.M))
    assert int(found["volens_log_entries"]) == int(found["volens_log_published_entries"]) == head.size
    assert "volens_log_published_timestamp_seconds" in found and float(found["volens_log_published_timestamp_seconds"]) > 1e9


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_reads_well_in_a_browser(made: Gateway, chromium: Any, width: int, tmp_path: Path) -> None:
    """Nothing overflows, axe finds nothing, its own policy refuses nothing; light and dark, French and English; by keyboard alone."""
    fill(made)
    for scheme, language in (("light", "fr"), ("dark", "en")):
        with looked_at(chromium, made, width, scheme) as look:
            for days in (30, 365):
                page = look(f"choices?days={days}&language={language}")
                assert fits(page)
                drawn = page.evaluate("[...document.querySelectorAll('.plot rect.refused')].map(r => r.getBoundingClientRect().height)")
                assert len(drawn) > 10 and max(drawn) > 40, "the plot is drawn"
                assert faults(page) == [], (days, scheme, language)
                page.screenshot(path=tmp_path / f"choices-{width}-{days}-{scheme}.png", full_page=True)
            unfolded_by_keyboard(page)
            assert page.locator("details[open] td").first.is_visible(), "reached and opened by keyboard"
            assert fits(all_unfolded(page)) and small(page) == 0
