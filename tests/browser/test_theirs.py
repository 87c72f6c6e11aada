"""The go-between of another consent tool tells each answer once, and knocks ever less often where it is not taken."""

from __future__ import annotations

import html
import json
import time
from typing import Any

import pytest
from guarded_site import SITE, Answer, Site, static_name

from tests.running import until

TOLD = {"p": "/_volens/", "n": "0123456789abcdef", "f": ["cookie answer"], "e": [], "t": "tool"}
TAKEN: dict[str, Any] = {"choice": "1.x.20261122.-", "grant": "", "reload": False}


def knocks(site: Site, status: int, before: str = "", least: int = 1) -> int:
    """How many in the four seconds from the first; later ones only up to ``least``."""

    def heard() -> int:
        return sum(seen.path == "/_volens/choice" for seen in site.net.requests)

    site.net.answers["/_volens/choice"] = Answer(json.dumps(TAKEN), "application/json", status=status)
    go_between = f"<script src='/_volens/{static_name('theirs')}' data-volens-theirs='{html.escape(json.dumps(TOLD))}'></script>"
    site.serve("/", f"<script>{before};document.cookie = 'answer=yes'</script>{go_between}")
    site.page.goto(f"https://{SITE}/")
    assert until(heard)
    time.sleep(4)
    until(lambda: heard() >= least)
    return heard()


@pytest.mark.parametrize("status", [409, 429, 503])
def test_what_is_not_taken_is_told_again_but_no_flood(site: Site, status: int) -> None:
    """Else an open page with an old notice would use up what everybody behind the same address may answer."""
    assert 2 <= knocks(site, status, least=2) <= 3


def test_where_nothing_can_be_kept_an_answer_is_told_once_all_the_same(site: Site) -> None:
    """Each time would be a record in the ledger."""
    assert knocks(site, 201, "Storage.prototype.setItem = () => { throw new DOMException('Full', 'QuotaExceededError') }") == 1
