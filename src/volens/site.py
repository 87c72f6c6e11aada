"""One site: a notice with the hosts, gates, storage and looks that go with it. Frozen; built by ``config``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from volens.notice import Notice, StorageKey


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
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", MappingProxyType(dict(self.title)))
        first, *rest = (re.escape(part) for part in re.split(r"\*+", self.path))
        # Each part between stars is taken where it first occurs and not tried again: no path makes matching slow.
        source = first + "".join(f"(?>.*?{part})" for part in rest[:-1]) + "".join(f".*{part}" for part in rest[-1:])
        object.__setattr__(self, "pattern", re.compile(source, re.IGNORECASE | re.DOTALL))


@dataclass(frozen=True, slots=True)
class Theme:
    """The looks that can be set without making refusing harder than accepting (checked by ``volens check``)."""

    background: str = ""
    text: str = ""
    accent: str = ""
    radius: str = ""
    font: str = ""
    position: str = "bottom"
    """``bottom`` or ``top``."""


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
    theme: Theme = Theme()
    mode: str = "enforce"
    """``enforce``; another mode is a later version's."""
    prefix: str = "/_volens/"
    leave: tuple[str, ...] = ()
    """Paths left alone; ``*`` for any characters."""
    honour_gpc: bool = True
    catalog_storage: bool = True
    """Whether exempt keys of well-known software pass by catalog."""
    passive: bool = True
    """Whether images and styles of unknown hosts pass when they stand in the page's own markup."""
    deny: tuple[str, ...] = ()
    """Hosts never allowed, whatever the choice."""
    unconfigured: bool = False
    earlier: Mapping[str, Notice] = field(default_factory=dict)
    """Earlier notices of this site by short digest, as kept by the store."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "earlier", MappingProxyType(dict(self.earlier)))

    @cached_property
    def storage_declared(self) -> tuple[StorageKey, ...]:
        """Every declared key, the services' too."""
        return self.storage + tuple(key for service in self.notice.services for key in service.storage)

    def earlier_notice(self, short: str) -> Notice | None:
        """The earlier notice a choice answered, where it is still known."""
        return self.earlier.get(short)
