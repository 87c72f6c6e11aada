"""What is known without asking anybody: services by host, first-party collection paths, storage names.

``Catalog.packaged()`` reads what ``tools/build_catalog.py`` wrote from third-party-web, tarteaucitron's services, the
Open Cookie Database and our own additions; every answer names its sources. A host is found as third-party-web finds
it: exactly, else by the nearest ``*.`` parent, else by its registrable domain.

Nothing here decides. *tracker* says what a host does, not whether the visitor allowed it; an unknown host is None,
which the caller denies wherever doubt denies. Whatever text is asked about gives an answer, in bounded time.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from volens.errors import CatalogError

PURPOSES: Mapping[str, tuple[str, ...]] = {
    # third-party-web's words. What measures is filed under profiles: only an operator can say that a tool meets the
    # conditions of the exempt purpose *audience* (RULES R25 to R29).
    "ad": ("publicite",),
    "marketing": ("publicite",),
    "tag-manager": ("publicite", "personnalisation"),
    "analytics": ("personnalisation",),
    "customer-success": ("personnalisation",),
    "social": ("reseaux-sociaux",),
    "video": ("video",),
    "cdn": (),
    "consent-provider": (),
    "content": (),
    "hosting": (),
    "other": (),
    "utility": (),
    # tarteaucitron's
    "ads": ("publicite",),
    "analytic": ("personnalisation",),
    "support": ("personnalisation",),
    "comment": ("reseaux-sociaux",),
    "api": (),
    "google": (),
}
"""A source's category -> the built-in purposes that cover it; none: neutral. A category with a purpose is tracking."""

DELIVERY = "delivery"
"""Category and kind of the few hosts that hand out program libraries and keep nothing."""

PROFILING = frozenset({"publicite", "personnalisation"})

PATH_START = "^[^?#]*/"
"""Where the pattern of a path begins: after any slash before the query."""

_HOST = re.compile(r"(?:\*\.)?[^\s/?#@:\[\]]{1,253}")
_ADDRESS = re.compile(r"[0-9.]+|.*:.*")
_ARCHIVED = re.compile(r"/web/\d{4,14}[a-z_]*/https?:")
_TUNNEL = re.compile(r"/(?:https?:|_proxy_https?_)/{1,2}([^/?#\s]+)[^?#\s]*\.js(?![\w.-])")
"""A path that carries another host's script: an archive, or a tunnel around blockers. Images are left alone: a site's
own picture service is asked in the same form."""
_LONGEST_HOST = 300
_LONGEST_TARGET = 1024
_LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Entry:
    """A service known by host."""

    id: str
    name: str
    entity: str
    """Who runs it: equal for hosts that belong together."""
    category: str
    """The source's own word."""
    purposes: tuple[str, ...]
    """Built-in purposes that cover it; (): none of them does."""
    kind: str
    """``tracker``, ``neutral`` or ``delivery``."""
    hosts: tuple[str, ...]
    """Names, and ``*.name`` for it and all below it. A host found only by its registrable domain isn't among them."""
    sources: tuple[str, ...]
    policy_url: str = ""
    country: str = ""
    profiles: bool = False
    needs: tuple[str, ...] = ()
    """Hosts of other services that hand out its code: ``gtag/js`` for Google Analytics."""
    embed: str = ""
    """``frame`` or ``script``: it is shown in the page (video, post, map), by that element."""
    shared: bool = False
    """Anybody may keep anything there (``x.cloudfront.net``): the owner is known, the tenant isn't, and only the tenant
    could be trusted; treat it as a host nobody knows."""


@dataclass(frozen=True, slots=True)
class Known:
    """A storage name."""

    pattern: str
    """The name; a trailing ``*`` stands for any rest."""
    purpose: str
    """A built-in purpose, ``technique`` where exempt; "": known, but too common a name or too weak a word
    (*functional*) to judge by: treat it as a name nobody knows."""
    service: str
    platform: str
    days: int | None
    """0: for the session; None: not known. Shorter than a day counts as one."""
    sources: tuple[str, ...]
    exempt: bool
    description: str = ""


class Catalog:
    """Packaged or built data with its look-ups. Immutable; answers are cached in bounded memory."""

    def __init__(self, services: Mapping[str, Any], storage: Mapping[str, Any]) -> None:
        try:
            self.sources: Mapping[str, Mapping[str, str]] = services.get("sources", {})
            """Version, file, SHA-256 and licence of each source an entry may name."""
            self._rows: dict[str, Mapping[str, Any]] = {row["id"]: row for row in services["services"]}
            # As third-party-web's own table: exact names and ``*.`` patterns apart, pattern -> row id.
            self._exact: dict[str, str] = {}
            self._parents: dict[str, str] = {}
            for row in services["services"]:
                for host in row["hosts"]:
                    if host.startswith("*."):
                        self._parents[host[2:]] = row["id"]
                    else:
                        self._exact[host] = row["id"]
            self._paths = [(row, re.compile(_joined((row["pattern"],)), re.ASCII)) for row in services.get("paths", ())]
            self._labels = [(row, re.compile(row["pattern"], re.ASCII)) for row in services.get("labels", ())]
            self._names: dict[str, Mapping[str, Any]] = {row["pattern"]: row for row in storage["storage"]}
        except (KeyError, TypeError, AttributeError, re.error) as error:
            raise CatalogError(f"not a volens-catalog/1 document: {error!r}; run tools/build_catalog.py.") from error
        self._lengths = sorted({len(name) for name in self._names if name.endswith("*")}, reverse=True)

        self._path = re.compile(_joined(row["pattern"] for row, _ in self._paths), re.ASCII)
        self._hints = tuple(re.compile(hint, re.ASCII) for _, hint in sorted(services.get("hints", {"begins": ""}).items()))
        self.script_paths: tuple[tuple[tuple[str, ...], str], ...] = tuple(
            (_service(row)["purposes"], row["script"]) for row, _ in self._paths if "script" in row
        )
        """(purposes, pattern) of the own paths that scripts of a page ask for by themselves, for the guard: some of what
        ``path`` knows. A pattern begins as ``PATH_START`` says."""
        self._cloak = re.compile("^(?:" + "|".join(row["pattern"] for row, _ in self._labels) + r")\.", re.ASCII)
        self.exempt_storage: tuple[str, ...] = self.exempt_in("")
        """Exempt names of well-known software that scripts read or write, any medium, for the guard. What only the
        server uses (HttpOnly session cookies) isn't among them; ``storage()`` knows those too."""

        # Each instance has its own caches, so that they go with it. Keys are clipped before they are kept.
        self._host = functools.lru_cache(8192)(self._find_host)
        self._site = functools.lru_cache(8192)(self._find_site)
        self._target = functools.lru_cache(8192)(self._find_path)
        self._collects = functools.lru_cache(1 << 15)(self._may_collect)
        self._storage = functools.lru_cache(8192)(self._find_storage)
        self._same = functools.lru_cache(8192)(self._find_same_party)
        self._below = functools.lru_cache(2048)(self._find_below)
        self._entry = functools.lru_cache(4096)(self._make_entry)

    @staticmethod
    def packaged() -> Catalog:
        """The catalog of this version of Volens; read once."""
        return _packaged()

    @classmethod
    def of_rows(cls, services: Iterable[Mapping[str, Any]], storage: Iterable[Mapping[str, Any]], **more: Any) -> Catalog:
        """A catalog of rows of the packaged form, for the build tool and for tests."""
        return cls({"services": list(services), **more}, {"storage": list(storage)})

    def host(self, host: str) -> Entry | None:
        """The service at ``host``; a port, a final dot and the case don't matter."""
        return self._host(host) if len(host) <= _LONGEST_HOST else None

    def service(self, id: str) -> Entry | None:
        """The service of that id, as ``[services.<id>]`` names it."""
        return self._entry(id) if id in self._rows else None

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of every service."""
        return tuple(self._rows)

    def entity(self, host: str) -> str:
        """Who runs ``host``, "" if unknown."""
        found = self.host(host)
        return found.entity if found else ""

    def site(self, host: str) -> str:
        """The registrable domain by the public suffix list's ICANN section; an address, a single label, a suffix or a
        name under no known suffix is its own."""
        return self._site(host) if len(host) <= _LONGEST_HOST else host

    def same_party(self, host: str, page: str) -> bool:
        """Whether both belong together: the same registrable domain, or the same known entity."""
        return len(host) + len(page) <= 2 * _LONGEST_HOST and self._same(host, page)

    def trackers_below(self, site: str) -> tuple[str, ...]:
        """Patterns of the trackers at names below a registrable domain (``stats.bbc.co.uk``), none where anybody may be."""
        return self._below(site) if len(site) <= _LONGEST_HOST else ()

    def path(self, host: str, target: str, page: str = "") -> Entry | None:
        """The measuring or advertising end point at ``target`` (path and query) of an own or unknown host.

        Also a host whose first label says so (``smetrics.example.org``), unless it is ``page``'s own host: a reader of
        ``stats.example.org`` came there on purpose. Also a path that carries the address of a known
        tracker's script (``/proxy/https://stats.wp.com/e.js``). Only the first 1024 characters of a target are looked at.
        """
        if len(host) > _LONGEST_HOST or len(page) > _LONGEST_HOST:
            host = page = ""
        return self._target(host, target[:_LONGEST_TARGET], page)

    def may_collect(self, target: str) -> bool:
        """Whether ``path`` may know this path of an own host: a quick no for nearly all."""
        return self._collects(target) if len(target) <= _LONGEST_NAME else self._may_collect(target)

    def storage(self, name: str, medium: str = "cookie") -> Known | None:
        """What ``name`` is: its own row, else that of the longest pattern it begins with."""
        return self._storage(name, medium) if name and len(name) <= _LONGEST_NAME else None

    def _find_host(self, host: str) -> Entry | None:
        host = _name(host)
        if not host:
            return None
        found = self._exact.get(host)
        rest = host
        while found is None and "." in rest:
            found = self._parents.get(rest)
            rest = rest.partition(".")[2]
        if found is None:
            found = self._exact.get(self._site(host))
        return None if found is None else self._entry(found)

    def _make_entry(self, id: str) -> Entry:
        row = self._rows[id]
        return Entry(**_service(row), hosts=tuple(row["hosts"]))

    def _find_site(self, host: str) -> str:
        host = _name(host)
        if "." not in host or _ADDRESS.fullmatch(host):
            return host
        try:
            found = _suffixes().privatesuffix(host)
        except (UnicodeError, ValueError):  # not a name that DNS could hold
            found = None
        return cast(str, found or host)

    def _find_same_party(self, host: str, page: str) -> bool:
        if not _name(host) or not _name(page):
            return False
        if self._site(host) == self._site(page):
            return True
        entity = self.entity(host)
        return bool(entity) and entity == self.entity(page)

    def _find_below(self, site: str) -> tuple[str, ...]:
        end = "." + _name(site)
        ground = self.host("x" + end)
        if ground is not None and ground.shared:
            return ()
        tables = (("", self._exact), ("*.", self._parents))
        found = [(start + name, id) for start, table in tables for name, id in table.items() if name.endswith(end)]
        return tuple(sorted(pattern for pattern, id in found if self._make_entry(id).kind == "tracker"))

    def _find_path(self, host: str, target: str, page: str) -> Entry | None:
        # A web archive's copy of an advertisement or a widget is a page of the past; measuring code still measures.
        archived = bool(_ARCHIVED.match(target))
        if self._path.search(target):
            for row, pattern in self._paths:
                if pattern.search(target) and not (archived and row["category"] != "analytics"):
                    return Entry(**_service(row), hosts=())
        tunnel = _TUNNEL.search(target)
        if tunnel:
            behind = self.host(tunnel[1])
            if behind and behind.kind == "tracker" and not (archived and behind.category != "analytics"):
                return behind
        name = _name(host)
        if name.count(".") > 1 and name != _name(page) and self._cloak.match(name):
            label = name.partition(".")[0]
            for row, pattern in self._labels:
                if pattern.fullmatch(label):
                    return Entry(**_service(row), hosts=(name,))
        return None

    def _may_collect(self, target: str) -> bool:
        if any(hint.search(target, 0, _LONGEST_TARGET) for hint in self._hints) and self._path.search(target, 0, _LONGEST_TARGET):
            return True
        return "http" in target and _TUNNEL.search(target, 0, _LONGEST_TARGET) is not None

    def _find_storage(self, name: str, medium: str) -> Known | None:
        for candidate in (name, *(name[: n - 1] + "*" for n in self._lengths if n <= len(name) + 1)):
            row = self._names.get(candidate)
            if row is not None and medium in row.get("media", (medium,)):
                return _known(row)
        return None

    def stored_by(self, entry: Entry) -> tuple[tuple[str, Known], ...]:
        """(medium, name) of what a service is known to keep on the device, where its purpose is known; nothing exempt."""
        called = {entry.name.casefold(), entry.id.casefold()}
        rows = (row for row in self._names.values() if called.intersection(row.get(k, "").casefold() for k in ("platform", "service")))
        return tuple(
            (medium, _known(row)) for row in rows if row.get("purpose") and "exempt" not in row for medium in row.get("media", ("cookie",))
        )

    def exempt_in(self, medium: str) -> tuple[str, ...]:
        """``exempt_storage`` of one medium (``cookie``, ``local``, ``session`` …); "" for all."""
        return tuple(
            name for name, row in self._names.items() if row.get("script") and (not medium or medium in row.get("media", (medium,)))
        )


def _known(row: Mapping[str, Any]) -> Known:
    return Known(
        pattern=row["pattern"],
        purpose=row.get("purpose", ""),
        service=row.get("service", ""),
        platform=row.get("platform", ""),
        days=row.get("days"),
        sources=tuple(row["sources"]),
        exempt="exempt" in row,
        description=row.get("description", ""),
    )


def _service(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an Entry that follow from a row, its hosts aside."""
    purposes = tuple(row["purposes"]) if "purposes" in row else PURPOSES.get(row["category"], ())
    return {
        "id": row["id"],
        "name": row["name"],
        "entity": row.get("entity", row["name"]),
        "category": row["category"],
        "purposes": purposes,
        "kind": DELIVERY if row["category"] == DELIVERY else "tracker" if purposes else "neutral",
        "sources": tuple(row.get("sources", ("volens",))),
        "policy_url": row.get("policy", ""),
        "country": row.get("country", ""),
        "profiles": bool(PROFILING.intersection(purposes)),
        "needs": tuple(row.get("needs", ())),
        "embed": row.get("embed", ""),
        "shared": bool(row.get("shared", False)),
    }


def _joined(patterns: Iterable[str]) -> str:
    """Each pattern begins after a slash of the path, and may reach into the query."""
    return PATH_START + "(?:" + "|".join(patterns) + ")"


def _name(host: str) -> str:
    """A host name without port and final dot, lower-case; "" for what cannot be one. ``[::1]`` stays as it is."""
    host = host.strip().lower()
    if not host.startswith("["):
        host = host.partition(":")[0].rstrip(".")
        return host if _HOST.fullmatch(host) else ""
    return host[: host.find("]") + 1]


@functools.cache
def _packaged() -> Catalog:
    folder = Path(__file__).parent / "data" / "catalog"
    try:
        services, storage = (json.loads((folder / name).read_bytes()) for name in ("services.json", "storage.json"))
    except (OSError, ValueError) as error:
        raise CatalogError(f"{folder}: the packaged catalog cannot be read ({error}); install Volens again.") from error
    return Catalog(services, storage)


@functools.cache
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # 30 ms to import and load: not before the first registrable domain

    return PublicSuffixList(only_icann=True, accept_unknown=False)


class OperatorList:
    """A filter list that the operator fetched (EasyPrivacy, EasyList …), matched by ``adblock``; needs ``volens[lists]``.

    It only ever denies more. Volens ships no such list.
    """

    KINDS: Mapping[str, str] = {
        "script": "script",
        "worker": "script",
        "sharedworker": "script",
        "serviceworker": "script",
        "image": "image",
        "style": "stylesheet",
        "font": "font",
        "audio": "media",
        "video": "media",
        "track": "media",
        "media": "media",
        "frame": "sub_frame",
        "iframe": "sub_frame",
        "object": "object",
        "embed": "object",
        "fetch": "xmlhttprequest",
        "empty": "xmlhttprequest",
        "websocket": "websocket",
        "ping": "ping",
    }
    """Our words and those of ``Sec-Fetch-Dest`` -> the lists' words; any other is ``other``."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            import adblock
        except ImportError as error:
            raise CatalogError(f"{path}: a filter list needs the package 'adblock': pip install 'volens[lists]'.") from error
        try:
            text = self.path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeError) as error:
            raise CatalogError(f"{path}: the filter list cannot be read: {error}.") from error
        rules = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith(("!", "[Adblock"))]
        if not rules or "\0" in text or text.lstrip()[:1] in ("<", "{"):
            raise CatalogError(f"{path}: not a filter list; expected one rule a line, as in easyprivacy.txt.")
        filters = adblock.FilterSet()
        filters.add_filters(rules)
        self._engine = adblock.Engine(filters)

    def blocks(self, url: str, page_url: str, kind: str) -> bool:
        """Whether the list blocks ``url``, asked for by ``page_url`` as ``kind``. What isn't an URL is not blocked."""
        try:
            return bool(self._engine.check_network_urls(url, page_url, self.KINDS.get(kind, "other")).matched)
        except Exception as error:  # adblock's own tree (URL that does not parse) has no common stable base
            if type(error).__module__.partition(".")[0] != "adblock":
                raise
            return False


def describe(query: str, catalog: Catalog) -> dict[str, Any]:
    """All that is known of a host, an URL, a service's id or a storage name, and from where; JSON values only."""
    text = query.strip()
    where = re.fullmatch(r"(?:[a-z][a-z0-9+.-]*:)?//([^/?#]*)(.*)", text, re.IGNORECASE)
    host, target = (where[1].rpartition("@")[2], where[2]) if where else (text, "")
    answer: dict[str, Any] = {"query": query, "host": None, "path": None, "service": None, "storage": None, "sources": {}}
    entry = catalog.host(host) if "." in host else None
    if entry:
        answer["host"] = {**asdict(entry), "name_asked": _name(host), "site": catalog.site(host)}
    named = catalog.service(text)
    if named:
        answer["service"] = asdict(named)
    path = catalog.path(host, target) if where or (not entry and host.count(".") > 1) else None
    if path:
        answer["path"] = asdict(replace(path, hosts=()))
    known = None if where else catalog.storage(text)
    if known:
        answer["storage"] = asdict(known)
    used = {source for part in (entry, path, named, known) if part for source in part.sources}
    answer["sources"] = {name: dict(catalog.sources.get(name, {})) for name in sorted(used)}
    return cast(dict[str, Any], json.loads(json.dumps(answer)))


def describe_text(found: Mapping[str, Any]) -> str:
    """``describe`` for people."""
    lines: list[str] = []

    def service(title: str, entry: Mapping[str, Any]) -> None:
        lines.append(f"{title}: {entry['name']}" + (f" ({entry['entity']})" if entry["entity"] not in ("", entry["name"]) else ""))
        lines.append(
            f"  is        {entry['kind']}, filed under {entry['category']}"
            + (f", shown in the page as {entry['embed']}" if entry["embed"] else "")
        )
        if entry["shared"]:
            lines.append("  but       anybody may keep anything there: treated as unknown")
        lines.append(
            f"  purposes  {', '.join(entry['purposes']) or 'none of the built-in ones covers it'}"
            + (", creates profiles" if entry["profiles"] else "")
        )
        if entry["hosts"]:
            more = len(entry["hosts"]) - 6
            lines.append(f"  hosts     {', '.join(entry['hosts'][:6])}" + (f" and {more} more" if more > 0 else ""))
        if entry["needs"]:
            lines.append(f"  needs     {', '.join(entry['needs'])}")
        lines.append(f"  written   [services.{entry['id']}]")
        if entry["policy_url"]:
            lines.append(f"  policy    {entry['policy_url']}")
        lines.append(f"  from      {', '.join(entry['sources'])}")

    if found["host"]:
        service(f"host {found['host']['name_asked']}", found["host"])
    if found["path"]:
        service("collection by the site's own host", found["path"])
    if found["service"]:
        service("service", found["service"])
    if found["storage"]:
        known = found["storage"]
        lasts = {None: "not known", 0: "the session", 1: "a day or less"}.get(known["days"], f"{known['days']} days")
        lines.append(
            f"storage {known['pattern']}: {known['platform'] or known['service']}"
            + (f", {known['service']}" if known["service"] not in ("", known["platform"]) else "")
        )
        lines.append(
            f"  purpose   {known['purpose'] or 'not told by its name: treated as unknown'}" + (", exempt" if known["exempt"] else "")
        )
        lines.append(f"  lasts     {lasts}")
        if known["description"]:
            lines.append(f"  said      {known['description']}")
        lines.append(f"  from      {', '.join(known['sources'])}")
    if not lines:
        denied = "An unknown host is denied for scripts, frames and connections; an unknown key, when a script writes it."
        return f"{found['query']}: not in the catalog. {denied}"
    for name, source in found["sources"].items():
        lines.append(f"{name}: {source.get('file', '')}, {source.get('version', '')}, {source.get('licence', '')}")
    return "\n".join(lines)
