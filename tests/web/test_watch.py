"""What monitors and load balancers are told, and that visitors are not."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from tests.enforce.making import NOTICE
from tests.web.making import Visitor, gateway, request, settle
from volens.errors import StoreUnavailable
from volens.ledger.sqlite import SqliteStore
from volens.web.gateway import Gateway
from volens.web.messages import Reply
from volens.web.metrics import Metrics

AT_HOME: dict[str, Any] = {"host": "localhost:8080", "client": "127.0.0.1", "scheme": "http"}


class Unwritable(SqliteStore):
    def check(self) -> None:
        raise StoreUnavailable("the disk is gone")


def asked(made: Gateway, path: str, pairs: Any = (), **more: Any) -> Reply:
    visit = made.visit(request("GET", f"/_volens/{path}", pairs, **(AT_HOME | more)))
    return settle(visit.answer(b""))


def test_ready_is_whether_a_grant_could_be_recorded(tmp_path: Path) -> None:
    made = gateway(tmp_path)
    told = asked(made, "ready")
    assert told.status == 200
    assert json.loads(told.body) == {
        "ready": True, "ledger": "writable", "configuration": "in force", "notice": NOTICE.short, "bypass": False}  # fmt: skip
    os.rename(tmp_path / "ledger.db", tmp_path / "gone.db")
    assert asked(made, "ready").status == 503, "records would go to a file that nobody finds"
    os.rename(tmp_path / "gone.db", tmp_path / "ledger.db")
    assert asked(made, "ready").status == 200
    made.store.close()


def test_not_ready_says_why_in_a_word(tmp_path: Path) -> None:
    made = gateway(tmp_path, store=Unwritable)
    told = asked(made, "ready")
    assert told.status == 503 and json.loads(told.body)["ledger"] == "not writable" and b"disk" not in told.body
    assert settle(made.visit(request("GET", "/_volens/health")).answer(b"")).status == 200, "alive all the same"
    made.store.close()


@pytest.mark.parametrize("path", ["ready", "metrics"])
def test_visitors_are_not_told(tmp_path: Path, path: str) -> None:
    made = gateway(tmp_path)
    assert asked(made, path, host="site.example", client="203.0.113.7").status == 403
    assert asked(made, path, [(b"x-forwarded-for", b"127.0.0.1")]).status == 403
    made.store.close()
    made = gateway(tmp_path, admin_token="t" * 24)
    assert asked(made, path, host="site.example").status == 401
    assert asked(made, path, [(b"authorization", b"Bearer " + b"t" * 24)], host="site.example").status == 200
    made.store.close()


def numbers(text: str) -> dict[str, float]:
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))}


def test_numbers_say_how_much_and_never_who(tmp_path: Path) -> None:
    made = gateway(tmp_path, metrics=Metrics(tmp_path / "numbers"))
    page = b"<html><script src=https://www.google-analytics.com/x></script><p>x"
    for _ in range(3):
        visit = made.visit(request("GET", "/a?q=mrk7", [(b"accept", b"text/html"), (b"cookie", b"_ga=mrk7"), (b"user-agent", b"mrk7")]))
        visit.whole(200, [(b"content-type", b"text/html"), (b"set-cookie", b"_ga=1")], page)
    made.visit(request("POST", "/comments"))
    visitor = Visitor(made)
    assert visitor.choose("answer=accept&surface=notice").status == 303
    made.visit(request("GET", "/a", [(b"accept", b"text/html")])).upstream_failed("slow")
    logging.getLogger("volens").error("x")
    told = asked(made, "metrics")
    found = numbers(told.body.decode())
    assert told.status == 200 and b"mrk7" not in told.body and b"192.0.2" not in told.body
    assert found['volens_requests_total{kind="page"}'] >= 3 and found['volens_requests_total{kind="gate"}'] == 1
    assert found["volens_pages_rewritten_total"] == 3 and found["volens_errors_total"] == 1
    layers = {layer: found[f'volens_withheld_total{{layer="{layer}"}}'] for layer in ("markup", "cookie", "set-cookie", "gate")}
    assert layers == {"markup": 3, "cookie": 3, "set-cookie": 3, "gate": 1}
    assert found['volens_choices_total{answer="accept",surface="notice"}'] == 1
    assert found['volens_upstream_errors_total{kind="slow"}'] == 1
    assert (
        found["volens_ledger_seconds_count"] == found['volens_ledger_seconds_bucket{le="+Inf"}'] == 1
        and found["volens_ledger_waiting"] == 0
    )
    made.close()


def test_the_numbers_of_all_processes_are_summed_and_none_falls(tmp_path: Path) -> None:
    first, second = Metrics(tmp_path / "numbers"), Metrics(tmp_path / "numbers")
    first.add("volens_pages_rewritten_total", 2)
    second.add("volens_pages_rewritten_total", 3)
    first.add("ledger waiting", 7)
    pid = os.fork()
    if not pid:
        third = Metrics(tmp_path / "numbers")
        third.add("volens_pages_rewritten_total", 5)
        third.add("ledger waiting", 4)
        os._exit(0)  # killed in the middle of its work
    os.waitpid(pid, 0)
    found = numbers(second.text())
    assert found["volens_pages_rewritten_total"] == 10 and found["volens_ledger_waiting"] == 7 and found["volens_processes"] == 2
    first.close()
    again = Metrics(tmp_path / "numbers")
    again.add("volens_pages_rewritten_total")
    assert numbers(second.text())["volens_pages_rewritten_total"] == 11
    for one in (second, again):
        one.close()
