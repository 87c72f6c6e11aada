"""Who is allowed on a page, with a reason for each (DESIGN §3, *Who is allowed*).

Known services by catalog or declaration, the site's own hosts by declaration or entity; hosts nobody knows
are denied for scripts, frames, connections and hints, and pass for images and styles only where they stand in
the page's own markup.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property

from volens.catalog import Catalog, Entry
from volens.enforce.embeds import name_of
from volens.enforce.url import Target
from volens.foreign import Tool, Tools
from volens.notice import Service
from volens.policy import Decision, Grant, Reason
from volens.site import Site

PASSIVE = frozenset({"image", "style", "font", "media"})
"""Kinds of use that cannot run code: what an unknown host may be used for from markup."""
MAX_HOSTS = 4096
"""Hosts remembered a page and grant; beyond it decisions are made anew."""
MAX_NAME = 253
"""Characters of the longest host remembered: DNS has no longer one."""


def host_matches(pattern: str, host: str) -> bool:
    """``example.org`` is itself; ``*.example.org`` is itself and all below; ``*`` is any host."""
    if pattern.startswith("*."):
        return host == pattern[2:] or host.endswith(pattern[1:])
    return pattern == "*" or host == pattern


class Patterns:
    """Host patterns, looked up by a host and its parents: the time does not grow with their number."""

    def __init__(self, patterns: Iterable[tuple[str, object]]) -> None:
        self._exact: dict[str, object] = {}
        self._below: dict[str, object] = {}
        for pattern, value in patterns:
            if pattern.startswith("*."):
                self._below.setdefault(pattern[2:], value)
            else:
                self._exact.setdefault(pattern, value)

    def find(self, host: str) -> object | None:
        """The value of the nearest pattern that ``host`` matches, or None."""
        if not (self._exact or self._below):
            return None
        value = self._exact.get(host)
        if value is not None:
            return value
        while host:
            value = self._below.get(host)
            if value is not None:
                return value
            _, _, host = host.partition(".")
        return self._exact.get("*")


class Hosts:
    """Decisions for one page host under one grant. Immutable but for its memory of what it decided."""

    def __init__(self, site: Site, grant: Grant, catalog: Catalog, page: str) -> None:
        self.site, self.grant, self.catalog, self.page = site, grant, catalog, page
        self._memory: dict[str, dict[str, Decision]] = {"passive": {}, "frame": {}, "active": {}}
        self._labels: dict[str, bool] = {page: False}
        self._embeds: dict[tuple[str, str], str] = {}

    @cached_property
    def open(self) -> bool:
        """Whether everything passes as it came: a demonstration accepted whole."""
        return not self.site.deny and self.site.unconfigured and self.grant.everything

    @cached_property
    def chain(self) -> bool:
        """Whether scripts may contact any host: all passes, or a granted service loads from hosts that cannot be listed. What
        stands in the page's own markup is judged all the same: what the notice did not name stays withheld."""
        return self.open or (not self.site.deny and self.grant.open_chain)

    def decide(self, host: str, kind: str) -> Decision:
        """Whether ``host`` may be contacted for ``kind`` (script, style, image, font, media, frame, connect, hint …)."""
        use = "passive" if kind in PASSIVE else "frame" if kind == "frame" else "active"
        memory = self._memory[use]
        found = memory.get(host)
        if found is None:
            found = self._decide(host, use)
            if len(memory) < MAX_HOSTS and len(host) <= MAX_NAME:
                memory[host] = found
        return found

    @cached_property
    def _declared(self) -> Patterns:
        services = self.grant.notice.services
        return Patterns(
            [
                *((pattern, Decision(False, Reason.REFUSED)) for pattern in self.site.deny),
                *((pattern, Decision(True, Reason.OWN)) for pattern in self.site.hosts),
                *((pattern, self.grant.decide(service)) for service in services for pattern in service.hosts),
            ]
        )

    def tool(self, host: str, path: str = "") -> Tool | None:
        """The consent tool that is delivered from ``host``, or whose file ``path`` names on any host; None where it is the one that
        asks here. A page of the tool's own site is no page that carries it."""
        if self.open:
            return None
        tools = Tools.packaged()
        found = tools.host(host) if host != self.page and self.catalog.site(host) != self.catalog.site(self.page) else None
        found = found or (tools.path(path) if path else None)
        return None if found is None or self.is_theirs(found) else found

    def is_theirs(self, tool: Tool) -> bool:
        """Whether this tool asks in our place."""
        return self.site.theirs is not None and self.site.theirs.tool.id == tool.id

    def _decide(self, host: str, use: str) -> Decision:
        tool = self.tool(host)
        if tool is not None:  # before what is declared: no page has two notices
            return Decision(False, Reason.UNNAMED, "technique", tool.id)
        declared = self._declared.find(host)
        if isinstance(declared, Decision):
            return declared
        if host == self.page:
            return Decision(True, Reason.OWN)
        if self.open:
            return Decision(True, Reason.UNCONFIGURED)
        # What a frame of another domain loads no policy of ours reaches: the same entity is not enough for it.
        if self.catalog.same_party(host, self.page) and (use != "frame" or self.catalog.site(host) == self.catalog.site(self.page)):
            cloak = self.catalog.path(host, "/", self.page) or self._other_trade(host)
            if cloak is None:
                return Decision(True, Reason.OWN)
            return self._purposes(cloak.purposes, cloak.id)
        entry = self.catalog.host(host)
        if entry is not None and entry.shared:
            entry = None  # rented ground: the landlord says nothing of the tenant
        if entry is not None and entry.kind == "tracker":
            return self._purposes(entry.purposes, entry.id)
        if entry is not None and entry.kind == "delivery":
            return self._unless_listed(host, "script", Decision(True, Reason.DELIVERY, "technique", entry.id))
        if use == "passive" and self.site.passive:
            return self._unless_listed(host, "image", Decision(True, Reason.PASSIVE))
        return Decision(False, Reason.UNKNOWN)

    def _unless_listed(self, host: str, kind: str, decision: Decision) -> Decision:
        return Decision(False, Reason.LISTED) if self._listed(host, "/", kind) else decision

    def _listed(self, host: str, target: str, kind: str) -> bool:
        """Whether one of the operator's filter lists blocks a path and query of a host on this page."""
        return any(found.blocks(f"https://{host}{target}", f"https://{self.page}/", kind) for found in self.site.lists)

    def _other_trade(self, host: str) -> Entry | None:
        """The tracking service filed under a host of the page's own domain, where the page's own host isn't that service."""
        if self.catalog.site(host) != self.catalog.site(self.page):
            return None
        entry, page = self.catalog.host(host), self.catalog.host(self.page)
        return entry if entry is not None and entry.kind == "tracker" and (page is None or page.id != entry.id) else None

    def _purposes(self, purposes: tuple[str, ...], service: str) -> Decision:
        """A service the notice does not name: only a demonstration may let it through, when all it serves is granted."""
        first = purposes[0] if purposes else ""
        if not self.site.unconfigured:
            return Decision(False, Reason.UNNAMED, first, service)
        if purposes and all(self.grant.allows(purpose) for purpose in purposes):
            return Decision(True, Reason.UNCONFIGURED, first, service)
        return Decision(False, Reason.REFUSED if self.grant.answered else Reason.UNDECIDED, first, service)

    def embed(self, host: str, form: str) -> str:
        """The name of the service that shows something where its ``form`` (frame or script) stands, or empty."""
        found = self._embeds.get((host, form))
        if found is None:
            found = self._embed(host, form)
            if len(self._embeds) < MAX_HOSTS and len(host) <= MAX_NAME:
                self._embeds[host, form] = found
        return found

    def _embed(self, host: str, form: str) -> str:
        for service in self.grant.notice.services:
            if service.embed == form and any(host_matches(pattern, host) for pattern in service.hosts):
                return service.name
        entry = self.catalog.host(host)
        return entry.name if entry is not None and entry.embed == form else ""

    def shown(self, target: Target) -> Service | Entry | str:
        """Who a withheld embed belongs to: a service of the notice, one that the catalog knows, or a name, at worst the host's."""
        service = self.grant.notice.service.get(self.decide(target.host, "frame").service)
        if service is not None:
            return service
        entry = self.catalog.host(target.host)
        name = name_of(target)
        return name or (entry if entry is not None and not entry.shared and (entry.embed or entry.purposes) else target.host)

    def collection(self, host: str, target: str, kind: str = "") -> bool:
        """Whether a path and query of an own host is a collection end point that is not granted. ``kind``: what it is asked for as,
        by which filter lists go."""
        if self.objected(target):
            return True
        if self.site.lists and not self.named(target) and self._listed(host, target, kind):
            return True
        if self.open or not (self.catalog.may_collect(target) or self._tells(host)):
            return False
        entry = self.catalog.path(host, target, self.page)
        if entry is None or any(pattern.fullmatch(target) for pattern in self._granted_paths):
            return False
        return not self._purposes(entry.purposes, entry.id).allowed

    def named(self, target: str) -> bool:
        """Whether a path and query of an own host belongs to a service that may act."""
        return any(pattern.fullmatch(target) for pattern in self._granted_paths)

    def objected(self, target: str) -> bool:
        """Whether a path and query of an own host belongs to a tool that the visitor objects to."""
        return any(pattern.fullmatch(target) for pattern in self._objected_paths)

    def _tells(self, host: str) -> bool:
        """Whether the host alone says that it collects, whatever the path."""
        found = self._labels.get(host)
        if found is None:
            found = self.catalog.path(host, "/", self.page) is not None
            if len(self._labels) < MAX_HOSTS and len(host) <= MAX_NAME:
                self._labels[host] = found
        return found

    @cached_property
    def _granted_paths(self) -> tuple[re.Pattern[str], ...]:
        """Own paths of granted services, written among their hosts with a leading ``/``; ``*`` for any characters."""
        return self._paths(lambda decision: decision.allowed)

    @cached_property
    def _objected_paths(self) -> tuple[re.Pattern[str], ...]:
        return self._paths(lambda decision: decision.reason is Reason.OBJECTED) if self.grant.objects else ()

    def _paths(self, which: Callable[[Decision], bool]) -> tuple[re.Pattern[str], ...]:
        paths = (p for s in self.grant.notice.services if which(self.grant.decide(s)) for p in s.hosts if p.startswith("/"))
        return tuple(re.compile(".*".join(map(re.escape, path.split("*"))), re.DOTALL) for path in paths)
