"""What is permitted now, and why: ``grant(notice, choice, signals, now) -> Grant``.

Pure: no clock, no header, no file. A grant never exceeds the choice, doubt never grants, and every answer
brings its reason, the same in logs, in the panel, in findings and in tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property

from volens.choice import Choice, Signals, expires
from volens.notice import Notice, Purpose, Service, StorageKey


class Reason(StrEnum):
    """Why a decision is what it is."""

    EXEMPT = "exempt"
    """The purpose needs no choice."""
    GRANTED = "granted"
    """The visitor said yes."""
    REFUSED = "refused"
    """The visitor said no."""
    OBJECTED = "objected"
    """The purpose needs no choice, and the visitor objects to it (R28; GDPR 21)."""
    PRESUMED = "presumed"
    """The law of the visitor's place asks for no yes, and the visitor has not said no (R44, R45)."""
    LOCKED = "locked"
    """The visitor is known to be a minor, who cannot be asked for it (R41)."""
    UNDECIDED = "undecided"
    """The visitor has not answered: doing nothing is refusing."""
    UNNAMED = "unnamed"
    """The notice does not name it, so nobody can have agreed to it."""
    OWN = "own"
    """The site's own host, by declaration or because it belongs to the same entity."""
    DELIVERY = "delivery"
    """A host that delivers program libraries and keeps nothing, passed by name (the catalog lists them)."""
    PASSIVE = "passive"
    """A host nobody knows, for an image or a style that stands in the page's own markup."""
    LISTED = "listed"
    """A filter list that the operator added blocks it."""
    UNKNOWN = "unknown"
    """A host nobody knows."""
    UNCONFIGURED = "unconfigured"
    """No configuration: a demonstration in which *accepted* equals the raw page."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One yes or no, with its reason, and the purpose and service it is about where there are any."""

    allowed: bool
    reason: Reason
    purpose: str = ""
    service: str = ""


@dataclass(frozen=True)
class Grant:
    """What is permitted under one notice, now. ``granted`` and ``refused`` are service and purpose ids."""

    notice: Notice
    purposes: frozenset[str]
    """Askable purposes granted whole."""
    services: frozenset[str]
    """Every service that may act, exempt ones included but for those the visitor objects to."""
    answered: bool
    """Whether a valid choice stands behind this grant."""
    asked: bool
    """Whether the notice must be shown."""
    new: frozenset[str] = frozenset()
    """Ids of purposes and services that are new since the visitor's answer; empty without an earlier answer."""
    gpc: bool = False
    """A signal asks for advertising and profiles to be off, and no explicit choice allows what creates profiles."""
    overrides_gpc: bool = False
    """An explicit choice on this site allows what creates profiles although the browser sends the signal."""
    day: date | None = None
    """The day of the answer."""
    objects: bool = False
    """The visitor objects to audience measurement, and the notice holds some that needs no choice."""
    locked: frozenset[str] = frozenset()
    """Ids of purposes and services that cannot be granted: the visitor is known to be a minor (R41)."""
    regime: str = ""
    """The law of the visitor's place, where it is not the strictest; empty otherwise."""
    presumed: frozenset[str] = frozenset()
    """Of ``purposes``, those that stand by that law alone: nobody was asked, and it is no consent."""
    account: str = ""
    """Whether an answer is the account's (R36): ``own`` where the visitor is logged in, ``told`` where the account's choice newly holds
    on this device, ``conflict`` where the device has another of its own and the stricter of both holds."""

    def _reason(self) -> Reason:
        return Reason.REFUSED if self.answered else Reason.UNDECIDED

    def allows(self, id: str) -> bool:
        """Whether the purpose, or else the service, of that id is exempt or granted; False for one the notice doesn't know."""
        return id in self._allowed

    @cached_property
    def _allowed(self) -> frozenset[str]:
        return frozenset(id for id in (*self.notice.purpose, *self.notice.service) if self.decide(id).allowed)

    def decide(self, x: str | Service | StorageKey) -> Decision:
        """The decision about a purpose or a service (by id: no two share one), a service, or a storage key."""
        if isinstance(x, StorageKey):
            if not x.service:
                return self.decide(x.purpose)
            service = self.notice.service.get(x.service)
            if service is None:
                return Decision(False, Reason.UNNAMED, x.purpose, x.service)
            decision = self.decide(service)
            # A key may serve a purpose its service was not declared for: then that one is needed too.
            apart = x.purpose not in service.purposes or (self.objects and x.purpose in self.notice.objectable)
            return self.decide(x.purpose) if decision.allowed and apart else decision
        if isinstance(x, Service):
            service = self.notice.service.get(x.id)
            if service is None:
                return Decision(False, Reason.UNNAMED, x.purposes[0], x.id)
            # What the notice says of the service counts, not what the caller's copy says.
            first = next((p for p in service.purposes if p in self.notice.askable), None)
            if first is None and self.objects and service in self.notice.measuring:
                return Decision(False, Reason.OBJECTED, service.purposes[0], x.id)
            if first is None:
                return Decision(True, Reason.EXEMPT, service.purposes[0], x.id)
            if x.id in self.services:
                return Decision(True, Reason.PRESUMED if self.presumed else Reason.GRANTED, first, x.id)
            return Decision(False, Reason.LOCKED if x.id in self.locked else self._reason(), first, x.id)
        purpose = self.notice.purpose.get(x)
        if purpose is None:
            service = self.notice.service.get(x)
            return self.decide(service) if service is not None else Decision(False, Reason.UNNAMED, x)
        if self.objects and x in self.notice.objectable:
            return Decision(False, Reason.OBJECTED, x)
        if purpose.exempt:
            return Decision(True, Reason.EXEMPT, x)
        if x in self.purposes:
            return Decision(True, Reason.PRESUMED if self.presumed else Reason.GRANTED, x)
        return Decision(False, Reason.LOCKED if x in self.locked else self._reason(), x)

    @cached_property
    def everything(self) -> bool:
        """Whether every askable purpose and every service is granted."""
        return self.purposes == frozenset(self.notice.askable) and all(s.id in self.services for s in self.notice.services)

    @cached_property
    def open_chain(self) -> bool:
        """Whether a service loads from hosts that cannot be listed, and every purpose that such a host might serve is granted:
        a page open to any host is open to those of every other purpose too, so that is all of them (DESIGN §3)."""
        stopped = self.notice.measuring if self.objects else ()
        # What stands below own paths the server itself withholds, however open the page is.
        reach = all(s.id in self.services or (s in stopped and all(h.startswith("/") for h in s.hosts)) for s in self.notice.services)
        return reach and self.purposes == frozenset(self.notice.askable) and any(s.chain for s in self.notice.services)

    @cached_property
    def storage_share(self) -> tuple[int, int]:
        """(granted, all) of what may keep or read storage, for the band (P7): services, and purposes without one."""
        return self._share(lambda x: True)

    @cached_property
    def profiles_share(self) -> tuple[int, int]:
        """(granted, all) of what creates profiles (P8): services declared so, and the purposes that are it."""
        return self._share(lambda x: x.profiles)

    def _share(self, counts: Callable[[Purpose | Service], bool]) -> tuple[int, int]:
        asked = self.notice.services_asked
        served = {p for s in asked for p in s.purposes}
        flags = [s.id in self.services for s in asked if counts(s)]
        flags += [p in self.purposes for p in self.notice.askable if p not in served and counts(self.notice.purpose[p])]
        return sum(flags), len(flags)

    @cached_property
    def key(self) -> str:
        """What is granted, as short text: equal keys mean equal pages."""
        objected = [f"!{purpose}" for purpose in sorted(self.notice.objectable)] if self.objects else []
        if self.everything and not objected:
            return "*"
        alone: list[str] = []
        without: list[str] = []
        for service in self.notice.services_asked:
            covered = set(service.purposes).intersection(self.notice.askable) <= self.purposes
            if covered != (service.id in self.services):
                (without if covered else alone).append(service.id)
        return "~".join([*sorted(self.purposes), *("+" + s for s in sorted(alone)), *("!" + s for s in sorted(without)), *objected])


def grant(
    notice: Notice,
    choice: Choice | None,
    signals: Signals,
    now: date,
    *,
    proven: bool = True,
    earlier: Notice | None = None,
) -> Grant:
    """What ``choice`` permits under ``notice`` on the day ``now`` (UTC).

    ``proven``: whether a matching record stands behind the choice; an unproven choice can refuse, not grant.
    ``earlier``: the notice the choice answered, where that isn't this one and is still known; answers hold for
    what hasn't changed since, and the rest is asked. Unknown, expired, future: no choice.
    """
    objects = signals.objects and bool(notice.objectable)
    stopped = {s.id for s in notice.measuring} if objects else set()
    exempt = frozenset(s.id for s in notice.services if not _needed(s, notice)) - stopped
    answered = None if choice is None else _answered(notice, earlier, choice, now)
    if choice is None or answered is None or not (proven or choice.refuses_all):
        return _unanswered(notice, signals, exempt, objects)
    new_purposes = {p for p in notice.askable if answered.marks.get(p) != notice.marks[p]} - signals.locked
    new_services = {s.id for s in notice.services_asked if answered.marks.get("+" + s.id) != notice.marks["+" + s.id]} - signals.locked
    purposes = choice.purposes.intersection(notice.askable) - new_purposes - signals.locked
    services = set(exempt)
    for service in notice.services_asked:
        if service.id in new_services or service.id in choice.without or service.id in signals.locked:
            continue
        needed = _needed(service, notice)
        if needed <= purposes or (service.id in choice.services and not needed & new_purposes):
            services.add(service.id)
    new = frozenset(new_purposes | new_services)
    gives = any(notice.purpose[p].profiles for p in purposes) or any(notice.service[s].profiles for s in services - exempt)
    return Grant(
        notice,
        purposes,
        frozenset(services),
        answered=True,
        asked=bool(new),
        new=new,
        gpc=signals.gpc and not gives,
        overrides_gpc=signals.gpc and gives,
        day=choice.day,
        objects=objects,
        locked=signals.locked,
        regime=signals.regime,
    )


def _needed(service: Service, notice: Notice) -> set[str]:
    """The purposes that must be granted for a service to act; none: it is exempt."""
    return set(service.purposes).intersection(notice.askable)


def _answered(notice: Notice, earlier: Notice | None, choice: Choice, now: date) -> Notice | None:
    """Which of the two notices the choice answers; None where it holds no more, or was given to another controller."""
    answered = notice if choice.notice == notice.short else earlier
    if answered is None or choice.notice != answered.short or answered.controller.name != notice.controller.name:
        return None
    # An answer holds as long as the visitor was told, even where the site has lengthened it since (R18).
    until = expires(choice.day, min(notice.months, answered.months))
    return answered if choice.day <= now + timedelta(days=1) and now <= until else None


def _unanswered(notice: Notice, signals: Signals, exempt: frozenset[str], objects: bool) -> Grant:
    """Without an answer that holds: what needs none, and what the law of the visitor's place presumes."""
    presumed = signals.presumed.intersection(notice.askable) - signals.locked
    left = set(notice.askable) - presumed - signals.locked
    services = exempt.union(
        s.id
        for s in notice.services_asked
        if _needed(s, notice) <= presumed and s.id not in signals.locked and not (signals.gpc and s.profiles)
    )
    return Grant(
        notice,
        presumed,
        services,
        answered=False,
        asked=bool(left) and not (signals.unasked and presumed),
        gpc=signals.gpc,
        objects=objects,
        locked=signals.locked,
        regime=signals.regime,
        presumed=presumed,
    )
