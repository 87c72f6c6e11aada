"""What monitors and load balancers are told, and that visitors are not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.enforce.making import NOTICE
from tests.web.making import gateway, request, settle
from volens.errors import StoreUnavailable
from volens.ledger.sqlite import SqliteStore
from volens.web.gateway import Gateway
from volens.web.messages import Reply

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


@pytest.mark.parametrize("path", ["ready"])
def test_visitors_are_not_told(tmp_path: Path, path: str) -> None:
    made = gateway(tmp_path)
    assert asked(made, path, host="site.example", client="203.0.113.7").status == 403
    assert asked(made, path, [(b"x-forwarded-for", b"127.0.0.1")]).status == 403
    made.store.close()
    made = gateway(tmp_path, admin_token="t" * 24)
    assert asked(made, path, host="site.example").status == 401
    assert asked(made, path, [(b"authorization", b"Bearer " + b"t" * 24)], host="site.example").status == 200
    made.store.close()
