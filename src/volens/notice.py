"""What is asked: controller, purposes, services and their storage, as one immutable value with a digest.

A notice is content-addressed. Its ``digest`` names everything a visitor is shown; ``short`` (the first
16 hexadecimal digits) travels in the cookie. Each purpose and service also has a ``mark``, a digest of
what is *material* about it: when a notice changes, an earlier answer goes on holding for the items whose
mark is the same, and only the others are asked again (RULES R13).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from volens.errors import NoticeError

DATA_KINDS = ("ip", "browsing", "usage", "geolocation", "social", "comments")
"""The kinds of personal data of promise P1, (a) to (f), in that order."""

MEDIA = ("cookie", "local", "session", "indexeddb", "cache", "opfs", "serviceworker")
"""Where a storage key can lie on the device."""

EXEMPT_REASONS = ("choice", "authentication", "security", "cart", "interface", "balancing", "paywall", "audience")
"""Why an exempt purpose needs no choice (RULES R35; LIL art. 82, 2020-091)."""

IDENTIFIER = re.compile(r"[a-z][a-z0-9-]{0,39}")

Text = Mapping[str, str]
"""A text by language: ``{"fr": "…", "en": "…"}``."""


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(value: Any) -> bytes:
    """The one byte form of a JSON value: sorted keys, no spaces, UTF-8; strings, integers, booleans, null only."""
    return _canonical(value).encode()


def _identifier(what: str, value: str) -> None:
    if not IDENTIFIER.fullmatch(value):
        raise NoticeError(f"{what} {value!r}: use lower-case letters, digits and '-', starting with a letter, at most 40.")


def _frozen(text: Text) -> Text:
    return MappingProxyType(dict(text))


@dataclass(frozen=True, slots=True)
class Controller:
    """Who decides and answers for the processing (GDPR 4(7); RULES R17)."""

    name: str
    contact: str
    """An e-mail address or an URL at which rights are exercised."""
    policy_url: str
    """The site's own *Politique de confidentialité*; empty: ours, ``/_volens/policy``."""
    address: str = ""
    dpo: str = ""
    country: str = ""
    """Two letters (ISO 3166-1): whose authority supervises it; empty: not said."""


@dataclass(frozen=True, slots=True)
class StorageKey:
    """A named item on the visitor's device. ``name`` may end in ``*``, any characters, or in ``#``, one or more digits."""

    name: str
    medium: str = "cookie"
    purpose: str = "technique"
    party: str = "first"
    days: int | None = None
    """Lifetime in days; 0 for the session; None where it is not known."""
    domain: str = ""
    path: str = "/"
    service: str = ""

    def __post_init__(self) -> None:
        if self.medium not in MEDIA:
            raise NoticeError(f"storage key {self.name!r}: medium {self.medium!r} is not one of {', '.join(MEDIA)}.")
        if not self.name or "*" in self.name[:-1]:
            raise NoticeError(f"storage key {self.name!r}: '*' may only stand at the end, and the name cannot be empty.")

    def matches(self, name: str) -> bool:
        """Whether ``name`` is this key."""
        if self.name.endswith("#"):
            head, rest = name[: len(self.name) - 1], name[len(self.name) - 1 :]
            return head == self.name[:-1] and rest.isascii() and rest.isdigit()
        return name.startswith(self.name[:-1]) if self.name.endswith("*") else name == self.name

    @property
    def many(self) -> bool:
        """Whether it stands for more than one name."""
        return self.name.endswith(("*", "#"))


@dataclass(frozen=True, slots=True)
class Purpose:
    """What for. ``exempt`` names a reason of EXEMPT_REASONS, or is empty where a choice is needed."""

    id: str
    title: Text
    sentence: Text
    exempt: str = ""
    data_kinds: tuple[str, ...] = ()
    profiles: bool = False
    """Whether this purpose itself is the creation of profiles (P8)."""

    def __post_init__(self) -> None:
        _identifier("purpose", self.id)
        object.__setattr__(self, "title", _frozen(self.title))
        object.__setattr__(self, "sentence", _frozen(self.sentence))
        if self.exempt and self.exempt not in EXEMPT_REASONS:
            raise NoticeError(f"purpose {self.id!r}: exempt {self.exempt!r} is not one of {', '.join(EXEMPT_REASONS)}.")
        for kind in self.data_kinds:
            if kind not in DATA_KINDS:
                raise NoticeError(f"purpose {self.id!r}: data kind {kind!r} is not one of {', '.join(DATA_KINDS)}.")

    @property
    def mark(self) -> str:
        """Digest of what is material: another one means the visitor is asked again."""
        return _mark([self.id, self.exempt, sorted(self.data_kinds), self.profiles])


@dataclass(frozen=True, slots=True)
class Service:
    """Who acts. ``hosts`` are names, ``*.name`` for all below it (and the name itself)."""

    id: str
    name: str
    purposes: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    storage: tuple[StorageKey, ...] = ()
    controller: str = ""
    policy_url: str = ""
    country: str = ""
    profiles: bool = False
    chain: bool = False
    """Loads from hosts that cannot be listed: opens the page to any host, and only when everything is granted,
    since such a host may serve any purpose (DESIGN §3, *A partial grant*)."""
    embed: str = ""
    """How it stands in a page: ``frame``, ``script``, or empty where it shows nothing."""

    def __post_init__(self) -> None:
        _identifier("service", self.id)
        if not self.purposes:
            raise NoticeError(f"service {self.id!r}: no purpose. A service without a purpose cannot be asked about.")

    @property
    def mark(self) -> str:
        """Digest of what is material: another one means the visitor is asked again."""
        return _mark([self.id, self.name, self.controller, sorted(self.purposes), self.profiles, self.chain])


def _mark(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()[:16]


@dataclass(frozen=True)
class Notice:
    """One version of what is asked. Build it once, share it everywhere."""

    controller: Controller
    purposes: tuple[Purpose, ...]
    services: tuple[Service, ...]
    scope: tuple[str, ...] = ()
    """The site names this notice speaks for (RULES R42)."""
    languages: tuple[str, ...] = ("fr", "en")
    texts: Mapping[str, Text] = field(default_factory=dict)
    """The site's own wording of interface texts, by text name, then language."""
    months: int = 6
    """How long an answer holds, yes and no alike (RULES R18, R19)."""
    layout: str = "1"
    """Version of the screens it is shown with; part of the digest."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", MappingProxyType({k: _frozen(v) for k, v in self.texts.items()}))
        ids = [purpose.id for purpose in self.purposes]
        for kind, names in (("purpose", ids), ("service", [service.id for service in self.services])):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise NoticeError(f"{kind} declared twice: {', '.join(twice)}.")
        both = sorted(set(ids).intersection(service.id for service in self.services))
        if both:  # ``Grant.new`` and the panel name either by its id alone
            raise NoticeError(f"both a purpose and a service: {', '.join(both)}.")
        for service in self.services:
            for purpose in service.purposes:
                if purpose not in ids:
                    raise NoticeError(f"service {service.id!r}: purpose {purpose!r} is not declared; use one of {', '.join(ids)}.")
        if not 1 <= self.months <= 13:
            raise NoticeError(f"months = {self.months}: an answer holds from 1 to 13 months; 6 is the good practice (R18).")

    # What a visitor can answer, worked out once.
    @cached_property
    def purpose(self) -> Mapping[str, Purpose]:
        """Purposes by id."""
        return MappingProxyType({purpose.id: purpose for purpose in self.purposes})

    @cached_property
    def service(self) -> Mapping[str, Service]:
        """Services by id."""
        return MappingProxyType({service.id: service for service in self.services})

    @cached_property
    def askable(self) -> tuple[str, ...]:
        """Ids of the purposes that need a choice, in the notice's order."""
        return tuple(purpose.id for purpose in self.purposes if not purpose.exempt)

    @cached_property
    def objectable(self) -> frozenset[str]:
        """Ids of the exempt purposes that a visitor can object to: audience measurement (R28; GDPR 21)."""
        return frozenset(purpose.id for purpose in self.purposes if purpose.exempt == "audience")

    @cached_property
    def measuring(self) -> tuple[Service, ...]:
        """The exempt services that measure the audience and do nothing else: an objection stops them."""
        return tuple(service for service in self.services if self.objectable.issuperset(service.purposes))

    @cached_property
    def services_asked(self) -> tuple[Service, ...]:
        """The services that at least one askable purpose governs: those the first layer counts (R12)."""
        askable = set(self.askable)
        return tuple(service for service in self.services if askable.intersection(service.purposes))

    @cached_property
    def marks(self) -> Mapping[str, str]:
        """The marks of all purposes by id, and of all services by ``+`` and id."""
        return MappingProxyType({p.id: p.mark for p in self.purposes} | {"+" + s.id: s.mark for s in self.services})

    def to_json(self) -> dict[str, Any]:
        """Everything that is shown, as JSON values."""
        return {
            "format": "volens-notice/1",
            "controller": {
                name: getattr(self.controller, name)
                for name in ("name", "contact", "policy_url", "address", "dpo", "country")
                if name != "country" or self.controller.country  # notices kept before it was a setting keep their digest
            },
            "scope": list(self.scope),
            "languages": list(self.languages),
            "months": self.months,
            "layout": self.layout,
            "texts": {name: dict(text) for name, text in self.texts.items()},
            "purposes": [
                {
                    "id": p.id,
                    "title": dict(p.title),
                    "sentence": dict(p.sentence),
                    "exempt": p.exempt,
                    "data_kinds": list(p.data_kinds),
                    "profiles": p.profiles,
                }
                for p in self.purposes
            ],
            "services": [
                {
                    "id": s.id,
                    "name": s.name,
                    "purposes": list(s.purposes),
                    "hosts": list(s.hosts),
                    "controller": s.controller,
                    "policy_url": s.policy_url,
                    "country": s.country,
                    "profiles": s.profiles,
                    "chain": s.chain,
                    "embed": s.embed,
                    "storage": [
                        {
                            "name": k.name,
                            "medium": k.medium,
                            "purpose": k.purpose,
                            "party": k.party,
                            "days": k.days,
                            "domain": k.domain,
                            "path": k.path,
                            "service": k.service,
                        }
                        for k in s.storage
                    ],
                }
                for s in self.services
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Notice:
        """The notice that ``to_json`` wrote; raises NoticeError where it cannot be one."""
        try:
            if value["format"] != "volens-notice/1":
                raise NoticeError(f"format {value['format']!r} is not 'volens-notice/1'.")
            return cls(
                controller=Controller(**value["controller"]),
                purposes=tuple(Purpose(**{**p, "data_kinds": tuple(p["data_kinds"])}) for p in value["purposes"]),
                services=tuple(
                    Service(
                        **{
                            **s,
                            "purposes": tuple(s["purposes"]),
                            "hosts": tuple(s["hosts"]),
                            "storage": tuple(StorageKey(**k) for k in s["storage"]),
                        }
                    )
                    for s in value["services"]
                ),
                scope=tuple(value["scope"]),
                languages=tuple(value["languages"]),
                texts=value["texts"],
                months=value["months"],
                layout=value["layout"],
            )
        except NoticeError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise NoticeError(f"not a volens-notice/1 document: {error!r}") from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, hexadecimal."""
        return hashlib.sha256(canonical(self.to_json())).hexdigest()

    @cached_property
    def short(self) -> str:
        """The first 16 digits of the digest: what a cookie carries."""
        return self.digest[:16]
