"""A site with a configuration, a ledger and a log of its own in a folder, for what is done with them by command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from volens.catalog import Catalog
from volens.cli import main
from volens.config import Loaded, load
from volens.ledger.record import Count, Record, new_id
from volens.ledger.store import Kept, Store
from volens.web.runtime import open_store
from volens.web.shown import keep_shown, renderings

SITE = "www.journal.example"
WHEN = datetime(2026, 11, 22, 10, 23, 5, tzinfo=UTC)
TOML = """names = ["www.journal.example"]
languages = ["fr", "en"]
[controller]
name = "Le Journal SAS"
contact = "donnees@journal.example"
policy = "volens"
country = "FR"
[services.youtube]
[services.google-analytics]
"""


class Custody:
    """One folder: its configuration, its ledger, and ``volens`` called for it."""

    def __init__(self, folder: Path, more: str = "", ledger: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.config = folder, folder / "volens.toml"
        self._read: tuple[str, Loaded] | None = None
        self.config.write_text((f"ledger = {json.dumps(ledger)}\n" if ledger else "") + TOML + more, "utf-8")

    @property
    def loaded(self) -> Loaded:
        text = self.config.read_text("utf-8")
        if self._read is None or self._read[0] != text:
            self._read = text, load(self.config, Catalog.packaged())
        return self._read[1]

    def open(self) -> Store:
        return open_store(self.loaded)

    def record(self, **values: Any) -> Record:
        notice = self.loaded.site.notice
        given: dict[str, Any] = {
            "id": new_id(),
            "site": SITE,
            "time": WHEN,
            "event": "given",
            "method": "panel",
            "surface": "panel",
            "language": "fr",
            "notice": notice.digest,
            "purposes": dict.fromkeys(notice.askable, True),
            "services": {service.id: True for service in notice.services_asked},
        }
        given |= values
        if given["event"] == "withdrawn":
            given["purposes"] = dict.fromkeys(given["purposes"], False)
            given["services"] = dict.fromkeys(given["services"], False)
        return Record(**given)

    def start(self) -> None:
        """What a site does when it starts."""
        store, site = self.open(), self.loaded.site
        store.keep_notice(site.name, site.notice)
        keep_shown(store, site, renderings(site))
        store.close()

    def keep(self, records: Sequence[Record], refusals: int = 0) -> list[Kept]:
        store, notice = self.open(), self.loaded.site.notice
        try:
            found = [store.append(record, notice) for record in records]
            for _ in range(refusals):
                store.count(Count(SITE, WHEN.date(), notice.digest, "notice", "fr"))
            return [one.result(30) for one in found]
        finally:
            store.close()

    def receipt(self, kept: Kept, name: str = "receipt.json") -> Path:
        path = self.folder / name
        path.write_text(json.dumps(kept.receipt().to_json()), "utf-8")
        return path

    def run(self, *arguments: object) -> int:
        first, second, *rest = map(str, arguments)
        return main([first, second, *rest, "--config", str(self.config)])

    def json(self, capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> Any:
        capsys.readouterr()
        assert self.run(*arguments, "--json") == status
        return json.loads(capsys.readouterr().out)


DAY = date(2026, 11, 22)
