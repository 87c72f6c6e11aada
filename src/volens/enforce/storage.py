"""What may lie on the device, by name: cookies going out and coming in, and the names the guard lets through."""

from __future__ import annotations

from functools import cached_property

from volens.catalog import Catalog
from volens.choice import COOKIE, HOST_ONLY
from volens.foreign import Tools
from volens.policy import Decision, Grant, Reason
from volens.site import Site

OWN_PREFIX = "volens"
"""Names of our own: never the application's to read or write."""


def is_own(name: str) -> bool:
    """Whether a cookie is ours."""
    return name == COOKIE or name.removeprefix(HOST_ONLY).startswith(OWN_PREFIX + "-")


class Storage:
    """Decisions about storage names under one grant."""

    def __init__(self, site: Site, grant: Grant, catalog: Catalog) -> None:
        self.site, self.grant, self.catalog = site, grant, catalog
        self._memory: dict[tuple[str, str], Decision] = {}
        self._named: dict[tuple[str, ...], list[str]] = {}

    @cached_property
    def open(self) -> bool:
        """A demonstration accepted whole: everything passes."""
        return self.site.unconfigured and self.grant.everything

    def decide(self, name: str, medium: str = "cookie", *, http_only: bool = False) -> Decision:
        """Whether ``name`` may be set or read. ``http_only``: the server set it so that no script can read it, which makes
        an unknown name technical (to be declared); an unknown name that scripts can read is refused."""
        key = (name, medium)
        found = self._memory.get(key)
        if found is None:
            found = self._decide(name, medium)
            if len(self._memory) < 4096:
                self._memory[key] = found
        if http_only and found.reason is Reason.UNKNOWN:
            return Decision(True, Reason.EXEMPT, "technique")
        return found

    def _decide(self, name: str, medium: str) -> Decision:
        if self.open:
            return Decision(True, Reason.UNCONFIGURED)
        for key in self.site.storage_declared:
            if key.medium == medium and key.matches(name):
                return self.grant.decide(key)
        tool = self._withheld(name, medium)
        if tool:  # an answer to another notice: nobody must act on it
            return Decision(False, Reason.UNNAMED, "technique", tool)
        known = self.catalog.storage(name, medium) if self.site.catalog_storage else None
        if known is None or not known.purpose:
            return Decision(False, Reason.UNKNOWN)
        if known.exempt:
            return Decision(True, Reason.EXEMPT, "technique", known.service)
        if not self.site.unconfigured:
            return Decision(False, Reason.UNNAMED, known.purpose, known.service)
        if self.grant.allows(known.purpose):
            return Decision(True, Reason.UNCONFIGURED, known.purpose, known.service)
        return Decision(False, Reason.REFUSED if self.grant.answered else Reason.UNDECIDED, known.purpose, known.service)

    def _withheld(self, name: str, medium: str) -> str:
        """The consent tool that keeps its choice under ``name``, where it is not the one that asks here."""
        tool = Tools.packaged().storage(name, medium, but=self.site.theirs.tool if self.site.theirs else None)
        return tool.id if tool else ""

    def names(self, *media: str) -> list[str]:
        """Patterns of the names that pass for ``media``, for the guard; ``*`` where everything does."""
        if self.open:
            return ["*"]
        found = self._named.get(media)
        if found is None:
            found = self._named[media] = self._names(media)
        return found

    def _names(self, media: tuple[str, ...]) -> list[str]:
        declared = [k.name for k in self.site.storage_declared if k.medium in media and self.grant.decide(k).allowed]
        refused = {k.name for k in self.site.storage_declared if k.medium in media} - set(declared)
        catalog = [n for n in self.catalog.exempt_storage if n not in refused] if self.site.catalog_storage else []
        return sorted({*declared, *(n for n in catalog if not any(self._withheld(n, medium) for medium in media))})
