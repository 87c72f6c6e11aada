"""What was found of a site, with what ``volens.toml`` says of it now: the list that an operator decides by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from volens.catalog import Catalog
from volens.choice import Signals
from volens.enforce.hosts import Hosts
from volens.enforce.storage import Storage
from volens.findings import EXAMPLES, REPORT, STORAGE, WAYS, Found
from volens.policy import Decision, Reason, grant
from volens.site import Site

WITHHELD, ASKED, PASSES = "withheld", "asked", "passes"
DECISIONS = (WITHHELD, ASKED, PASSES)
"""Withheld whatever the visitor answers; withheld until the visitor says yes; passes."""
OWN_PATHS = frozenset({"gate", "collection"})
"""Kinds that are paths of the site itself."""


@dataclass(frozen=True, slots=True)
class Row:
    """One host, storage name or path, as it is decided now for a visitor who has answered nothing."""

    name: str
    kinds: tuple[str, ...]
    ways: tuple[str, ...]
    pages: int
    count: int
    decision: str
    reason: str
    service: str
    """Id of the service of the notice, or of the catalog's, that it belongs to; '' where none is known."""
    known: str
    """What the catalog says: name, entity, what it is filed under; '' where it knows nothing."""
    first: date
    last: date
    examples: tuple[str, ...]

    @property
    def of(self) -> str:
        """``storage``, ``path`` or ``host``."""
        return "storage" if self.kinds[0] in STORAGE else "path" if self.kinds[0] in OWN_PATHS else "host"

    @property
    def forged(self) -> bool:
        """Whether reports alone tell of it: anybody may send one."""
        return self.ways == (REPORT,)

    def commands(self) -> tuple[tuple[str, str], ...]:
        """(what it says, command) that would decide of it; none where it is decided, or is no host."""
        if self.of != "host" or self.decision == ASKED or self.reason in ("own", "refused"):
            return ()
        name = "" if self.service else ' --name "…" --purpose …'
        service = ("service", f"volens hosts service {self.name}{name}")
        own = ("own", f"volens hosts own {self.name}")
        return (service, *([] if self.service else [own]), ("deny", f"volens hosts deny {self.name}"))

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "name": self.name,
            "of": self.of,
            "kinds": list(self.kinds),
            "ways": list(self.ways),
            "pages": self.pages,
            "count": self.count,
            "decision": self.decision,
            "reason": self.reason,
            "service": self.service,
            "catalog": self.known,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "examples": list(self.examples),
        }


def rows(site: Site, catalog: Catalog, found: Iterable[Found], today: date) -> list[Row]:
    """The list: what is withheld first, the most frequent first. Uses of a host that are decided alike stand together."""
    granted = grant(site.notice, None, Signals(), today)
    hosts, storage = Hosts(site, granted, catalog, site.name), Storage(site, granted, catalog)
    groups: dict[tuple[str, str, str, str], list[tuple[Found, Decision]]] = {}
    for one in found:
        made = _decide(site, hosts, storage, one)
        of = "storage " + one.kind if one.kind in STORAGE else one.kind if one.kind in OWN_PATHS else ""
        groups.setdefault((of, one.name, _word(made, one.kind), made.reason), []).append((one, made))
    out = []
    for (_, name, word, reason), members in groups.items():
        ways = {way for one, _ in members for way in one.ways}
        examples = tuple(dict.fromkeys(path for one, _ in members for path in one.examples))[:EXAMPLES]
        service, known = _known(catalog, site, members[0][0], members[0][1])
        out.append(
            Row(
                name,
                tuple(sorted({one.kind for one, _ in members})),
                tuple(way for way in WAYS if way in ways),
                max(one.pages for one, _ in members),
                sum(one.count for one, _ in members),
                word,
                reason,
                service,
                known,
                min(one.first for one, _ in members),
                max(one.last for one, _ in members),
                examples,
            )
        )
    return sorted(out, key=lambda row: (DECISIONS.index(row.decision), -row.count, row.name, row.kinds))


def _decide(site: Site, hosts: Hosts, storage: Storage, one: Found) -> Decision:
    if one.kind in STORAGE:
        return storage.decide(one.name, one.kind)
    if one.kind == "gate":
        gate = next((gate for gate in site.gates if gate.path == one.name), None)
        return Decision(False, Reason.UNDECIDED, gate.purpose) if gate else Decision(True, Reason.OWN)
    if one.kind == "collection":
        return Decision(True, Reason.EXEMPT) if hosts.named(one.name) else Decision(False, Reason.UNNAMED)
    return hosts.decide(one.name, one.kind)


def _word(decision: Decision, kind: str) -> str:
    if decision.allowed or (kind == "navigate" and decision.reason is Reason.UNKNOWN):
        return PASSES
    return ASKED if decision.reason is Reason.UNDECIDED else WITHHELD


def _known(catalog: Catalog, site: Site, one: Found, decision: Decision) -> tuple[str, str]:
    if one.kind in STORAGE:
        key = catalog.storage(one.name, one.kind)
        return (
            (decision.service, "") if key is None else (key.service, ", ".join(x for x in (key.service or key.platform, key.purpose) if x))
        )
    entry = catalog.path(site.name, one.name) if one.kind in OWN_PATHS else catalog.host(one.name)
    if entry is None or entry.shared:
        return decision.service, ""
    entity = f" ({entry.entity})" if entry.entity not in ("", entry.name) else ""
    return entry.id, f"{entry.name}{entity}, {entry.category}"
