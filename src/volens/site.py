"""One site: a notice with the hosts, gates, storage and looks that go with it. Frozen; built by ``config``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Protocol

from volens.foreign import Theirs
from volens.notice import Notice, StorageKey
from volens.policy import Grant
from volens.theme import Theme


class FilterList(Protocol):
    """``catalog.OperatorList``."""

    def blocks(self, url: str, page_url: str, kind: str) -> bool:
        """Whether the list blocks ``url``, asked for by ``page_url`` as ``kind``."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A first-party path that needs a purpose (P4–P6). ``path`` may hold ``*`` (any characters)."""

    path: str
    purpose: str
    methods: frozenset[str] = frozenset({"POST"})
    """Upper case; empty: every method."""
    services: tuple[str, ...] = ()
    """The services that justify asking (GDPR 7(4))."""
    title: Mapping[str, str] = field(default_factory=dict)
    """What is behind it, by language: «Commentaires»."""
    withdrawn: str = ""
    """Path or address where a visitor has erased what they left there; offered wherever the gate has been closed."""
    fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The fields in which a visitor writes, and what each is called by language; without any, all that is sent counts as written."""
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", MappingProxyType(dict(self.title)))
        object.__setattr__(self, "fields", MappingProxyType({n: MappingProxyType(dict(t)) for n, t in self.fields.items()}))
        first, *rest = (re.escape(part) for part in re.split(r"\*+", self.path))
        # Each part between stars is taken where it first occurs and not tried again: no path makes matching slow.
        source = first + "".join(f"(?>.*?{part})" for part in rest[:-1]) + "".join(f".*{part}" for part in rest[-1:])
        object.__setattr__(self, "pattern", re.compile(source, re.IGNORECASE | re.DOTALL))

    def shuts(self, path: str) -> bool:
        """Whether a visitor without the purpose can neither open this path nor send a form to it."""
        return bool(self.pattern.fullmatch(path)) and (not self.methods or bool({"GET", "POST"} & self.methods))


@dataclass(frozen=True, slots=True)
class Hook:
    """Where the site is told of a grant, a change and a withdrawal, and by which key of its own it knows the visitor."""

    url: str
    visitor: str = ""
    """A first-party cookie of the site; without one the site is not told whose choice it is."""
    plain: bool = False
    """Whether the cookie's value is sent as it is; else its SHA-256, in hexadecimal."""


FULL, TRUNCATED, NONE = "full", "truncated", "none"
ADDRESS_LEVELS = (NONE, TRUNCATED, FULL)
"""How much of the visitor's IP address the application is told, least first."""


@dataclass(frozen=True, slots=True)
class Address:
    """What the application is told of the visitor's IP address, by grant."""

    granted: str = FULL
    """Where one of ``purposes`` is granted."""
    refused: str = TRUNCATED
    """Otherwise, and in doubt."""
    purposes: tuple[str, ...] = ("geolocalisation",)
    security: Mapping[str, str] = field(default_factory=dict)
    """Why the site needs it whole whatever the choice, by language; the policy page tells the visitor. Empty: it doesn't."""
    place: str = "geolocalisation"
    """The purpose that lets the application know where the visitor is."""
    places: tuple[str, ...] = ()
    """Request headers, lower-case, in which the site's own front writes where the visitor is."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "security", MappingProxyType(dict(self.security)))

    def level(self, grant: Grant) -> str:
        """``full``, ``truncated`` or ``none``, under this grant."""
        if self.security:
            return FULL
        return self.granted if any(grant.allows(purpose) for purpose in self.purposes) else self.refused


@dataclass(frozen=True, slots=True)
class Audience:
    """How a site counts its page views (R25–R29)."""

    months: int = 25
    """How long counts are kept: 25 at most (R27)."""
    paths: int = 2000
    """Different paths kept a day."""
    merge: tuple[str, ...] = ()
    """Paths counted under one name, the pattern itself; ``*`` for any characters. For those that name a person."""
    patterns: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # What is matched is short (``view.LONGEST``), so several stars cost little.
        object.__setattr__(self, "patterns", tuple(re.compile(".*".join(map(re.escape, m.split("*"))), re.DOTALL) for m in self.merge))


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody else's server that signs the log's checkpoints (C2SP tlog-witness)."""

    url: str
    """Where ``add-checkpoint`` is below, without a slash at its end."""
    key: str
    """Its verifier key: ``name+id+base64``."""

    @property
    def name(self) -> str:
        """What its signatures are called."""
        return self.key.partition("+")[0]


@dataclass(frozen=True, slots=True)
class Proof:
    """Who signs the log beside the publisher. Without a witness its records are evident to everybody but the publisher."""

    witnesses: tuple[Witness, ...] = ()
    quorum: int = 0
    """How many of them a published checkpoint should carry."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long records are kept, in days from their time."""

    days: int | None = None
    """Where nothing is said for a purpose; None: for good."""
    purposes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "purposes", MappingProxyType(dict(self.purposes)))

    @property
    def terms(self) -> frozenset[int]:
        """Every term that is set; empty: everything is kept for good."""
        return frozenset(self.purposes.values()) | (frozenset() if self.days is None else {self.days})


@dataclass(frozen=True, slots=True)
class Regions:
    """Where a site follows the law of the visitor's place (R44–R47)."""

    header: bytes = b""
    """Request header, lower-case, in which the site's own front writes the country: ``FR``, or ``US-CA``."""
    subdivision: bytes = b""
    """And the one in which it writes the part of the country, where it is apart: ``CA``."""
    uk_exempt: tuple[str, ...] = ()
    """Purposes that, by the operator's word, meet the conditions of the United Kingdom's exemptions."""


@dataclass(frozen=True)
class Site:
    """What Volens needs to know of a site."""

    name: str
    """Names the site in records and tags; usually its main host."""
    notice: Notice
    hosts: tuple[str, ...] = ()
    """The site's own names, ``*.`` for all below: scripts, frames and connections to them are first-party."""
    storage: tuple[StorageKey, ...] = ()
    """First-party storage keys declared by the site, exempt or not."""
    gates: tuple[Gate, ...] = ()
    theme: Theme = field(default_factory=Theme)
    address: Address = field(default_factory=Address)
    hook: Hook | None = None
    mode: str = "enforce"
    """``enforce``, or ``observe``: pages pass as they are, and what would be withheld is noted."""
    report_sample: float = 0.0
    """Of the pages served, the part that asks browsers to report what a policy of ours refuses."""
    prefix: str = "/_volens/"
    leave: tuple[str, ...] = ()
    """Paths left alone; ``*`` for any characters, ``!`` before those that are not."""
    grants_a_minute: int = 6000
    """More than these, each process refuses: a flood must not fill the ledger."""
    honour_gpc: bool = True
    catalog_storage: bool = True
    """Whether exempt keys of well-known software pass by catalog."""
    shared: bool = False
    """Whether caches in front may give the page of those who have not answered to others who have not."""
    shared_answers: bool = False
    """Whether they may give the page of those who answered, too, to others who answered alike."""
    passive: bool = True
    """Whether images and styles of unknown hosts pass when they stand in the page's own markup."""
    deny: tuple[str, ...] = ()
    """Hosts never allowed, whatever the choice."""
    lists: tuple[FilterList, ...] = ()
    """Filter lists that the operator fetched: they deny more, and allow nothing."""
    audience: Audience | None = None
    """How page views are counted; None: they aren't."""
    policy_before: Mapping[str, str] = field(default_factory=dict)
    """The site's own text before ours on the policy page, by language; headings, lists and links as ``prose`` reads them."""
    policy_after: Mapping[str, str] = field(default_factory=dict)
    """And after it."""
    theirs: Theirs | None = None
    """The consent tool that asks in our place (``notice = "theirs"``); None: Volens asks, and every such tool is withheld."""
    regions: Regions | None = None
    """None: the strictest everywhere."""
    proof: Proof = field(default_factory=Proof)
    retention: Retention = field(default_factory=Retention)
    minors: tuple[str, ...] = ()
    """Purposes that a minor cannot be granted, beside those that create profiles (R41)."""
    told_age: bool = False
    """Whether the site's application or front may say that a visitor is a minor, so that the cookie of it is listed."""
    age_header: bytes = b""
    """Request header, lower-case, in which the site's own front says that the visitor is a minor."""
    accounts: bool = False
    """Whether the choice of a logged-in reader is kept with the account (R36)."""
    unconfigured: bool = False
    earlier: Mapping[str, Notice] = field(default_factory=dict)
    """Earlier notices of this site by short digest, as kept by the store."""

    def __post_init__(self) -> None:
        for name in ("earlier", "policy_before", "policy_after"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @cached_property
    def storage_declared(self) -> tuple[StorageKey, ...]:
        """Every declared key, the services' too."""
        return self.storage + tuple(key for service in self.notice.services for key in service.storage)

    @cached_property
    def locked(self) -> frozenset[str]:
        """Purposes and services that a minor cannot be granted: what creates profiles, advertising, and what serves it (R41)."""
        purposes = {p for p in self.notice.askable if self.notice.purpose[p].profiles or p in self.minors}
        return frozenset(purposes).union(s.id for s in self.notice.services_asked if s.profiles or purposes.intersection(s.purposes))

    def earlier_notice(self, short: str) -> Notice | None:
        """The earlier notice a choice answered, where it is still known."""
        return self.earlier.get(short)
