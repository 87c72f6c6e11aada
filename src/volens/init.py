"""``volens init URL``: a commented ``volens.toml`` proposed from what a visit met.

What is certain is written; what is in doubt stands as a comment with its reason, so that leaving the file as it is withholds rather than
grants. Nothing that a page says is put anywhere but between quotes or behind ``#``, in one line.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from volens.catalog import Catalog, Entry
from volens.choice import MAX_TEXT
from volens.config import parse
from volens.defaults import PURPOSES
from volens.errors import ConfigError, Mistake, many
from volens.foreign import Tools
from volens.languages import shipped
from volens.notice import IDENTIFIER
from volens.settings import BLANK, EXEMPT_DAYS
from volens.survey import PAGES, Kept, Met, Survey, below, plain, survey

ACTIVE = frozenset({"script", "frame", "connection", "hint", "named"})
"""What is withheld from a host nobody knows; what is left passes where it stands in markup."""
_FILLERS = frozenset(
    "static statics cdn assets asset img imgs image images media medias files file content data s3 prod www web app fonts font js css "
    "video videos photo photos pics upload uploads public".split()
)
"""Words that a site's own delivery host may carry beside the site's name."""
_SESSION = re.compile(
    r"(?:^|[_.-])(?:sess(?:ion)?(?:_?id)?|sid|csrf(?:_?token)?|xsrf(?:-token)?|cart|panier|basket)(?:$|[_.-])|sessionid$", re.IGNORECASE
)
"""Names of what a server keeps for a visitor who does something: a log-in, a form, a basket."""
_KEY = re.compile(r"[^\s;,=\"\\*]+\*?")
"""Names that ``[[storage]]`` can hold."""
_GTAG = {"G": "google-analytics", "UA": "google-analytics", "AW": "google-doubleclick-ads"}


@dataclass(frozen=True)
class Verdict:
    """What is proposed for a host, and why."""

    host: str
    is_: str
    """``own``, ``own?``, ``service``, ``tool``, ``delivery``, ``known`` (for no purpose the catalog could name) or ``unknown``."""
    why: str
    service: str = ""


@dataclass
class Proposal:
    """What is made of a survey."""

    text: str = ""
    verdicts: list[Verdict] = field(default_factory=list)
    services: dict[str, Entry] = field(default_factory=dict)
    blanks: tuple[Mistake, ...] = ()
    """What must be written before the file can be used."""
    warnings: tuple[Mistake, ...] = ()


def quoted(text: str) -> str:
    """A TOML basic string: JSON's, but for the one control character that JSON lets stand."""
    return json.dumps(plain(text, 300), ensure_ascii=False).replace("\x7f", "")


def judge(met: Met, found: Survey, catalog: Catalog) -> Verdict:
    """Whose host this is, as far as can be told; in doubt it is not the site's."""
    host, site = met.host, catalog.site(found.host)
    entry, page, tool = catalog.host(host), catalog.host(found.host), Tools.packaged().host(host)
    cloak = catalog.path(host, "/", found.host)
    if host == found.host or host == found.asked:
        return Verdict(host, "own", "the site itself")
    if tool is not None:
        return Verdict(host, "tool", f"{tool.name} asks for consent; Volens asks in its place")
    if below(host, found.host, catalog):
        other = entry is not None and entry.kind == "tracker" and (page is None or page.id != entry.id)
        trade = entry if other else cloak
        if trade is not None:
            return Verdict(
                host, "own?", f"below your domain, but it looks like {trade.name} ({trade.category}): not your own for the visitor"
            )
        return Verdict(host, "own", "your own domain")
    if entry is not None and entry.shared:
        entry = None
    if catalog.same_party(host, found.host):
        tenant = page is not None and (page.shared or page.category in ("cdn", "hosting"))  # then *both* are the landlord's
        sure = entry is not None and entry.kind != "tracker" and not tenant
        return Verdict(host, "own" if sure else "own?", f"the catalog says that {catalog.entity(host)} runs both")
    if entry is not None and entry.kind == "tracker":
        id = _gtag(met, catalog) if entry.id == "google-tag-manager" else entry.id
        service = catalog.service(id) or entry
        return Verdict(host, "service", f"{service.name} ({service.category})", service.id)
    if entry is not None and entry.kind == "delivery":
        return Verdict(host, "delivery", f"{entry.name} hands out libraries and keeps nothing: it passes")
    name = site.partition(".")[0]
    if len(name) >= 4 and not _is_address(found.host) and name in host:
        if len(name) >= 5 and _carries(host, name, catalog):
            return Verdict(host, "own", f"it carries your name, {name}, and nothing else")
        return Verdict(host, "own?", f"it carries your name, {name}: yours?")
    if entry is not None:
        return Verdict(host, "known", f"{entry.name} ({entry.category}): the catalog does not say what you use it for", entry.id)
    return Verdict(host, "unknown", "nobody the catalog knows")


def _carries(host: str, name: str, catalog: Catalog) -> bool:
    """Whether a host is named by the site's name and words of delivery alone: on the ground of a delivery network that the catalog
    knows (``name-static.b-cdn.net``), or under a domain of its own (``static.name-media.com``). The name alone under another ending
    (``name.net``) is anybody's."""
    ground = catalog.site(host)
    landlord = catalog.host("x." + ground)
    rented = ground != host and landlord is not None and (landlord.shared or landlord.category in ("cdn", "hosting"))
    words = re.split(r"[.-]", host.removesuffix("." + ground) if rented else f"{host.removesuffix(ground)}{ground.partition('.')[0]}")
    rest = {part.strip("0123456789") for word in words for part in word.split(name, 1)}
    return any(name in word for word in words) and rest - {""} <= _FILLERS and (rented or name != ground.partition(".")[0])


def _gtag(met: Met, catalog: Catalog) -> str:
    """The service whose code was asked of googletagmanager.com: it hands out more than one's."""
    kinds = {m[1] for t in met.targets if (m := re.match(r"/gtag/js\?(?:.*&)?id=([A-Z]+)-", t))}
    if any(not t.startswith("/gtag/") and t != "/" for t in met.targets) or len(kinds) != 1:
        return "google-tag-manager"
    id = _GTAG.get(kinds.pop(), "")
    return id if catalog.service(id) else "google-tag-manager"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _local(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _met(met: Met, found: Survey) -> str:
    """What a host was asked for, and where."""
    kinds = ", ".join(kind for kind, _ in met.kinds.most_common())
    return f"{kinds} on {len(met.pages)} of {many(len(found.pages), 'page')}"


def propose(found: Survey, catalog: Catalog, source: str, *, controller: str = "", contact: str = "") -> Proposal:
    """The file's text, and what is still to be written in it."""
    made = Proposal()
    hosts = sorted(found.hosts.values(), key=lambda met: (-len(met.pages), met.host))
    made.verdicts = [judge(met, found, catalog) for met in hosts]
    writing = _Writing(found, catalog, made, controller, contact)
    made.text = writing.file()
    try:
        made.warnings = parse(made.text, source, catalog).warnings
    except ConfigError as error:
        made.blanks = tuple(m for m in error.mistakes if m.fatal)
        made.warnings = tuple(m for m in error.mistakes if not m.fatal)
    made.text = writing.head(len(made.blanks)) + made.text.partition("\n\n")[2]  # as many lines as before
    return made


class _Writing:
    """The parts of the file, in its order."""

    def __init__(self, found: Survey, catalog: Catalog, made: Proposal, controller: str, contact: str) -> None:
        self.found, self.catalog, self.made = found, catalog, made
        self.named, self.contact = controller, contact
        self.room = MAX_TEXT - 80 - sum(len(name) + 1 for name in PURPOSES)
        self.declared: dict[str, Entry] = {}
        self.asked: set[str] = set()
        """Purposes that the file makes visitors decide on."""

    def head(self, blanks: int) -> str:
        try:
            ours = version("volens")
        except PackageNotFoundError:
            ours = ""
        how = "in Chromium" if self.found.how == "chromium" else "by plain requests, so without what scripts load"
        count = f"{many(len(self.found.pages), 'page')} of {plain(self.found.start)}"
        when = f"{ours} on {datetime.now(UTC).date()}".strip()
        to_do = f'{many(blanks, "blank")} to fill, marked "{BLANK}"; then' if blanks else "Nothing is left blank. Look with"
        return (
            f"# Proposed by volens init {when}: {count} {how}, before any choice.\n"
            f"# {to_do} volens check. A proposal in doubt is a comment with its reason: remove its '#', or the line.\n"
            "# What is neither written here nor known to the catalog is withheld. Every setting: docs/reference/configuration.md\n\n"
        )

    def file(self) -> str:
        named = [*self.services(), *self.paths(), *self.unnamed(), *self.storage()]  # before the top, which says what of it is asked
        parts = [self.top(), self.controller(), *named, *self.gates(), self.proxy()]
        return self.head(0) + "\n".join(part for part in parts if part)

    # The top of the file.

    def top(self) -> str:
        found = self.found
        if _is_address(found.host):
            names = ["127.0.0.1", "localhost"] if _local(found.host) else [found.host]
            names = list(dict.fromkeys([found.host, *names]))
        else:
            names = list(dict.fromkeys([found.host, found.asked]))
        listed = ", ".join(quoted(name) for name in names)
        lines = [f"names = [{listed}]    # what the notice speaks for; the first names the site in records"]
        shown = urlsplit(found.canonical).hostname if found.canonical else ""
        if shown and shown not in names:
            lines.append(f"# names = [{quoted(shown)}, {listed}]    # the pages say that this is their public name")
        lines += self.hosts()
        offered = [code for code, _ in found.languages.most_common() if code in shipped()]
        others = [code for code, _ in found.languages.most_common() if code not in shipped() and re.fullmatch("[a-z]{2,3}", code)]
        said = "the pages' own" if offered else "the pages name none that Volens has"
        lines.append(f"languages = {json.dumps(offered or ['en'])}    # {said}; there are {', '.join(shipped())}")
        if others:
            lines.append(f"# not yet in Volens: {', '.join(others)}; see docs/how-to/add-a-language.md")
        passive = [v for v in self.made.verdicts if v.is_ in ("unknown", "known", "own?") and self.passive(v.host)]
        if passive:
            count = many(len(passive), "host")
            lines.append(f"# passive = false    # withholds pictures, styles and fonts of {count} that nobody has named: {_some(passive)}")
        elif found.how == "chromium":
            lines.append("passive = false    # pictures and styles of hosts nobody has named are withheld too: the visit met none")
        else:
            lines.append("# passive = false    # withholds pictures and styles of hosts nobody has named too")
        lines.append('# mode = "observe"    # at first: changes no page, and tells what would be withheld (docs/how-to/observe.md)')
        lines += self.tools()
        return "\n".join(lines) + "\n"

    def active(self, host: str) -> bool:
        return bool(ACTIVE.intersection(self.found.hosts[host].kinds))

    def passive(self, host: str) -> bool:
        return bool(set(self.found.hosts[host].kinds) - ACTIVE)

    def hosts(self) -> list[str]:
        own = [v for v in self.made.verdicts if v.is_ == "own" and v.host not in (self.found.host, self.found.asked)]
        doubtful = [v for v in self.made.verdicts if v.is_ == "own?"]
        unknown = [v for v in self.made.verdicts if v.is_ == "unknown"]
        if not own and not doubtful and not unknown:
            return []
        lines = ["hosts = [    # also yours: what they deliver is first-party"]
        lines += [f"  {quoted(v.host)},    # {plain(v.why)}: {_met(self.found.hosts[v.host], self.found)}" for v in own]
        lines += [f"  # {quoted(v.host)},    # {plain(v.why)}; {_met(self.found.hosts[v.host], self.found)}" for v in doubtful]
        for v in unknown:
            fates = ["withheld"] * self.active(v.host) + ["passing from markup"] * self.passive(v.host)
            met = _met(self.found.hosts[v.host], self.found)
            lines.append(f"  # {quoted(v.host)},    # unknown, {' and '.join(fates)}; {met}. Yours? Else a service")
        return [*lines, "]"]

    def tools(self) -> list[str]:
        known = Tools.packaged().all
        there = self.asked.union(self.declared, *(entry.purposes for entry in self.declared.values()))
        lines = []
        for id, where in sorted(self.found.tools.items()):
            words = {word: said for word, ids in known[id].map.items() if (said := [one for one in ids if one in there])}
            table = ", ".join(f"{quoted(word)} = {json.dumps(ids)}" for word, ids in list(words.items())[:12])
            lines.append(f"# {known[id].name} asks here already ({plain(where)}). Volens withholds it and asks in its place;")
            lines.append("# to let it ask instead, and obey its answer (docs/how-to/another-notice.md):")
            lines.append('# notice = "theirs"')
            lines.append(f"# theirs = {{ tool = {quoted(id)}, map = {{ {table} }} }}")
        return lines

    def controller(self) -> str:
        found = self.found
        lines = ["[controller]"]
        where, name = next(((w, n) for w, n in found.names.items() if "legalName" in w), ("", ""))
        if not name:
            where, name = next(((w, n) for w, n in found.names.items() if w.startswith("JSON-LD publisher")), ("", ""))
        if not name:
            where, name = next(iter(found.names.items()), ("", ""))
        if self.named:
            lines.append(f"name = {quoted(self.named)}")
        elif name:
            lines.append(f"name = {quoted(name)}    # from {plain(where)}: it must be the person or company that decides")
        else:
            lines.append(f'name = "{BLANK}"    # the person or company that decides (GDPR 13)')
        lines += self.reached()
        policy = found.links.get("policy", "")
        if policy and not urlsplit(policy).path.startswith("/_volens/"):
            parts = urlsplit(policy)
            own = parts.hostname in (found.host, found.asked)
            link = (parts.path or "/") + (f"?{parts.query}" if parts.query else "") if own else policy
            policy = "" if re.search(r"[\s\"'<>\\]", link) else link
            if policy:
                lines.append(f'policy = {quoted(link)}    # as the pages link it; "volens" for the page that Volens makes of this file')
        if not policy or urlsplit(policy).path.startswith("/_volens/"):
            lines.append('policy = "volens"    # the pages link none that we could tell: Volens makes one of this file')
        if address := found.publisher.get("address"):
            lines.append(f"address = {quoted(address)}    # from JSON-LD")
        country = found.publisher.get("country", "")
        ending = found.host.rpartition(".")[2].upper()
        if country:
            lines.append(f"country = {quoted(country)}    # from JSON-LD: whose authority the policy page names")
        elif len(ending) == 2 and ending.isalpha() and not _is_address(found.host):
            ending = {"UK": "GB"}.get(ending, ending)
            lines.append(f"# country = {quoted(ending)}    # by the ending of the domain: where the main establishment is")
        return "\n".join(lines) + "\n"

    def reached(self) -> list[str]:
        """Where rights are exercised: an address that the pages name for it, else a page."""
        found = self.found
        special = set(found.links.values())

        def rank(item: tuple[str, str]) -> int:
            mail, page = item
            word = re.search(r"dpo|dpd|privacy|donnees|rgpd|gdpr|datenschutz|privacidad|personal", mail.partition("@")[0], re.IGNORECASE)
            own = mail.rpartition("@")[2].endswith(self.catalog.site(found.host))
            return -(4 * bool(word) + 2 * (page == found.links.get("policy")) + (page in special) + own)

        mails = sorted(found.mails.items(), key=rank)
        lines = []
        if self.contact:
            lines.append(f"contact = {quoted(self.contact)}")
        elif mails:
            lines.append(f"contact = {quoted(mails[0][0])}    # from {plain(mails[0][1])}: where rights are exercised")
        elif email := found.publisher.get("email"):
            lines.append(f"contact = {quoted(email)}    # from JSON-LD: where rights are exercised")
        elif (page := found.links.get("contact", "")) and urlsplit(page).hostname in (found.host, found.asked) and urlsplit(page).path:
            lines.append(f"contact = {quoted(urlsplit(page).path)}    # a page the site links; it must be where rights are exercised")
        else:
            lines.append(f'contact = "{BLANK}"    # an e-mail address, or a page, where rights are exercised')
        dpo = next((mail for mail, _ in mails if re.match(r"(?:dpo|dpd|dsb|iod)\b", mail, re.IGNORECASE)), "")
        if dpo:
            lines.append(f"dpo = {quoted(dpo)}")
        return lines

    # Services.

    def services(self) -> list[str]:
        by: dict[str, list[Verdict]] = {}
        for v in self.made.verdicts:
            if v.is_ == "service":
                by.setdefault(v.service, []).append(v)
        parts, left = [], []
        if by:
            parts.append("# Services that the visit met and the catalog knows: hosts, purposes, storage and policy come from there.\n")
        for id, verdicts in by.items():
            entry = self.catalog.service(id)
            if entry is None:
                continue
            name = id if IDENTIFIER.fullmatch(id) and id not in PURPOSES else _identifier(id)
            self.room -= len(name) + 2
            pages = set().union(*(self.found.hosts[v.host].pages for v in verdicts))
            kinds = dict.fromkeys(kind for v in verdicts for kind, _ in self.found.hosts[v.host].kinds.most_common())
            if self.room < 0 or name in self.declared:
                left.append(entry)
                continue
            self.declared[name] = entry
            where = f"{', '.join(kinds)} on {len(pages)} of {many(len(self.found.pages), 'page')}"
            lines = [f"[services.{name}]    # {plain(entry.name)} ({entry.category}): {where}, {_some(verdicts)}"]
            if name != id:
                lines.append(f"catalog = {quoted(id)}")
            lines.append(f"# asked as: {', '.join(entry.purposes)}")
            if not entry.policy_url:
                lines.append('# policy = "https://…"    # visitors are to be told its policy (R11)')
            if entry.category in ("ad", "ads", "tag-manager"):
                lines.append("# chain = true    # where its tags load from hosts that nobody can list: opens when all it serves is granted")
            parts.append("\n".join(lines) + "\n")
        if left:
            parts.append(
                "# Withheld for good unless you name them: one answer cannot hold more services.\n" + _comments(e.id for e in left)
            )
        self.made.services = dict(self.declared)
        return parts

    def paths(self) -> list[str]:
        """Collection end points on the site's own hosts."""
        by: dict[str, tuple[Entry, dict[str, None]]] = {}
        for v in self.made.verdicts:
            if v.is_ != "own":
                continue
            for target in self.found.hosts[v.host].targets:
                entry = self.catalog.path(v.host, target, v.host)
                path = target.partition("?")[0]
                if entry is not None and entry.purposes and re.fullmatch(r"/[\w./~%@:+-]*", path):
                    by.setdefault(entry.id, (entry, {}))[1][path + "*"] = None
        parts = []
        for id, (entry, paths) in by.items():
            name = _identifier(id.removesuffix("-own-path"))
            name = name if name not in self.declared and name not in PURPOSES else _identifier(id)
            if name in self.declared:
                continue
            self.declared[name] = entry
            listed = ", ".join(quoted(path) for path in list(paths)[:12])
            parts.append(
                f"[services.{name}]    # on your own host, under a path the catalog knows\nname = {quoted(entry.name)}\n"
                f"purposes = {json.dumps(list(entry.purposes))}\nhosts = [{listed}]\n"
                '# policy = "https://…"    # visitors are to be told its policy (R11)\n'
                + (
                    "# Audience measurement may need no choice under conditions: docs/how-to/matomo.md\n"
                    if entry.category == "analytics"
                    else ""
                )
            )
        return parts

    def unnamed(self) -> list[str]:
        """Hosts whose use only the operator knows, and what passes without being named."""
        parts = []
        known = [v for v in self.made.verdicts if v.is_ == "known" and self.active(v.host)]
        unknown = [v for v in self.made.verdicts if v.is_ == "unknown" and self.active(v.host)]
        if known or unknown:
            lines = ["# Withheld until you say what for; one such table for each service."]
            for id in dict.fromkeys(v.service for v in known):
                hosts = [v for v in known if v.service == id]
                lines.append(f"# [services.{_identifier(id)}]    # {plain(hosts[0].why)}; {_some(hosts)}")
                lines += [f"# catalog = {quoted(id)}"] * (_identifier(id) != id)
                lines.append(f'# purposes = ["{BLANK}"]    # one of {", ".join(PURPOSES)}')
            if unknown:
                lines.append(f"# [services.{_identifier(unknown[0].host)}]    # so for each unknown host above that is not yours")
                lines.append(f'# name = "{BLANK}"')
                lines.append(f"# hosts = [{quoted(unknown[0].host)}]")
                lines.append(f'# purposes = ["{BLANK}"]    # one of {", ".join(PURPOSES)}')
                lines.append('# policy = "https://…"')
            parts.append("\n".join(lines) + "\n")
        free = [v for v in self.made.verdicts if v.is_ == "delivery"]
        if free:
            parts.append(
                "# Nothing to write for these, they pass: they hand out libraries and keep nothing.\n" + _comments(v.host for v in free)
            )
        return parts

    # Storage, gates.

    def storage(self) -> list[str]:
        """What the visit found kept under the site's own hosts."""
        tools, active, doubtful, passing = Tools.packaged(), dict[str, str](), dict[str, str](), list[str]()
        for kept in sorted((k for k in self.found.kept.values() if k.first), key=lambda k: (k.medium, k.name)):
            if not _KEY.fullmatch(kept.name) or not kept.name.isprintable():
                continue
            tool = tools.storage(kept.name, kept.medium)
            known = self.catalog.storage(kept.name, kept.medium)
            if tool is not None:
                continue
            if known is not None and known.purpose and not known.exempt:
                of = {entry.name.casefold() for entry in self.declared.values()} | {id.casefold() for id in self.declared}
                if {known.service.casefold(), known.platform.casefold()} & of:
                    passing.append(f"{kept.medium} {kept.name} belongs to {known.platform or known.service}, declared above")
                    continue
                name = known.pattern
                why = f"{plain(known.platform or known.service)}, by the catalog"
                active.setdefault(f"{kept.medium} {name}", self.key(kept, name, known.purpose, why, known.days))
            elif known is not None and known.exempt:
                active.setdefault(
                    f"{kept.medium} {known.pattern}", self.key(kept, known.pattern, "", f"{plain(known.platform)}: needs no choice")
                )
            elif kept.server and kept.medium == "cookie" and _SESSION.search(kept.name):
                active.setdefault(
                    f"cookie {kept.name}", self.key(kept, kept.name, "", "your server set it, for a session or a form by its name")
                )
            else:
                who = (
                    "your server set it" + (", out of scripts' sight: it passes" if kept.http_only else "")
                    if kept.server
                    else "a script set it: it is withheld"
                )
                text = self.key(kept, kept.name, "", f"{who}. Technical? Then no choice is needed; else write its purpose")
                doubtful.setdefault(f"{kept.medium} {kept.name}", "".join(f"# {line}\n" for line in text.splitlines()))
        parts = []
        if active:
            parts.append(
                "# What is kept on the visitor's device. Without a purpose it is technique, which needs no choice.\n"
                + "\n".join(active.values())
            )
        if doubtful:
            parts.append("# Kept too, and only you know what for.\n" + "".join(list(doubtful.values())[:60]))
        if passing:
            parts.append(_comments(passing[:60]))
        return parts

    def key(self, kept: Kept, name: str, purpose: str, why: str, known_days: int | None = None) -> str:
        lines = [f"[[storage]]    # {why}", f"name = {quoted(name)}"]
        if kept.medium != "cookie":
            lines.append(f"medium = {quoted(kept.medium)}")
        if purpose:
            self.asked.add(purpose)
            lines.append(f"purpose = {quoted(purpose)}")
        days = kept.days if kept.days is not None else known_days
        if days is not None and kept.medium == "cookie":
            if not purpose and days > EXEMPT_DAYS:
                lines.append(f"days = {EXEMPT_DAYS}    # your site sets {days}: 13 months is the most without a choice (R26)")
            else:
                lines.append(f"days = {days}" + ("    # as long as the browser is open" if days == 0 else ""))
        return "\n".join(lines) + "\n"

    def gates(self) -> list[str]:
        if not self.found.forms:
            return []
        lines = ["# Gates: what a visitor does there may tell a third party. Only you know whether one acts; docs/how-to/gates.md"]
        for form in list(self.found.forms.values())[:20]:
            party = f" with {form.party.capitalize()}" if form.party else ""
            what = "comments are sent here" if form.kind == "comment" else f"people log in{party}"
            lines.append(f"# [[gates]]    # {what}: {plain(form.page)}")
            path = form.path if re.fullmatch(r"/[\w./~%@:+-]*", form.path) else "/" + BLANK
            lines.append(f"# path = {quoted(path + ('*' if form.kind == 'login' else ''))}")
            lines.append('# purpose = "reseaux-sociaux"')
            lines.append('# methods = ["POST"]' if form.kind == "comment" else "# methods = []    # every method: a log-in is a link")
            lines.append(f'# services = ["{BLANK}"]    # who acts there: avatars, a spam filter, a log-in')
        return ["\n".join(lines) + "\n"]

    def proxy(self) -> str:
        start = urlsplit(self.found.start)
        if _local(self.found.host):
            upstream, sign, why = f"{start.scheme}://{start.netloc}", "", "where volens proxy listens, and where the site does"
        else:
            upstream, sign, why = "http://127.0.0.1:3000", "# ", "where volens proxy listens, and where the site itself does"
        return f'{sign}[proxy]    # {why}\n{sign}listen = "127.0.0.1:8080"\n{sign}upstream = {quoted(upstream)}\n'


def _identifier(text: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].rstrip("-")
    return name if name[:1].isalpha() else f"s-{name}"[:40].rstrip("-")


def _comments(lines: Iterable[str]) -> str:
    return "".join(f"#   {plain(line)}\n" for line in lines)


def _some(verdicts: Iterable[Verdict]) -> str:
    names = [v.host for v in verdicts]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# The command.


class Progress:
    """A line for each page; where a terminal is, one line that grows."""

    def __init__(self, out: TextIO) -> None:
        self.out, self.bar = out, out.isatty()

    def __call__(self, done: int, of: int, word: str) -> None:
        if self.bar:
            full = 20 * done // max(of, 1)
            self.out.write(f"\r\x1b[K[{'#' * full}{'.' * (20 - full)}] {done}/{of} {word[:90]}")
        else:
            self.out.write(f"{done}/{of} {word}\n")
        self.out.flush()

    def end(self) -> None:
        """Leaves the line."""
        if self.bar:
            self.out.write("\n")


def writable(out: Path, force: bool) -> None:
    """Raises ConfigError where the file may not be written."""
    if out.exists() and (not force or not out.is_file()):
        remedy = "Name another with --out, or write over it with --force." if out.is_file() else "Name a file with --out."
        raise ConfigError(str(out), (Mistake("--out", "is there already." if out.is_file() else "is no file.", remedy),))
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise ConfigError(
            str(out), (Mistake("--out", f"nothing can be written in {out.parent}.", "Name a folder that is there and yours."),)
        )


def write(out: Path, text: str, force: bool) -> None:
    """The whole file or none of it; a file that came meanwhile stays."""
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        if force:
            os.replace(name, out)
        else:
            os.link(name, out)
    except FileExistsError:
        writable(out, force)
    except OSError as error:
        raise ConfigError(
            str(out), (Mistake("--out", f"cannot be written ({error.strerror}).", "Name another place with --out."),)
        ) from error
    finally:
        if os.path.exists(name):
            os.unlink(name)


def places(given: Iterable[str]) -> dict[str, str]:
    """``HOST=ADDRESS[:PORT]``, for what the DNS does not know yet."""
    found = {}
    for one in given:
        host, sign, place = one.partition("=")
        address = re.fullmatch(r"(\[[0-9a-f:.]+\]|[\d.]+|localhost)(?::(\d{1,5}))?", place)
        if not sign or address is None or not re.fullmatch(r"\*|[\w.-]+", host):
            raise ConfigError(one, (Mistake("--resolve", "is not understood.", "Write HOST=ADDRESS: www.example.org=127.0.0.1:8600"),))
        found[host.lower()] = place
    return found


def run(
    url: str,
    out: Path,
    *,
    pages: int = PAGES,
    browser: bool | None = None,
    force: bool = False,
    json_: bool = False,
    controller: str = "",
    contact: str = "",
    resolve: Iterable[str] = (),
    shown: TextIO,
    told: TextIO = sys.stderr,
) -> int:
    """Visit, propose, write; 0 when the file is written. Raises ConfigError where that cannot be done; then nothing is written."""
    where = places(resolve)
    if pages < 1:
        raise ConfigError(str(pages), (Mistake("--pages", "is no number of pages.", "Write 1 or more."),))
    writable(out, force)
    catalog = Catalog.packaged()
    progress = Progress(told)
    try:
        with ThreadPoolExecutor(1) as thread:  # an event loop of its own, wherever this is called
            found = thread.submit(lambda: survey(url, catalog, pages=pages, browser=browser, places=where, told=progress)).result()
    finally:
        progress.end()
    made = propose(found, catalog, str(out), controller=controller, contact=contact)
    write(out, made.text, force)
    shown.write(
        json.dumps(described(found, made, catalog, out), ensure_ascii=False, indent=2) + "\n" if json_ else told_(found, made, catalog, out)
    )
    return 0


def described(found: Survey, made: Proposal, catalog: Catalog, out: Path) -> dict[str, Any]:
    """All of it for machines."""
    verdicts = {v.host: v for v in made.verdicts}

    def mistakes(given: Iterable[Mistake]) -> list[dict[str, str]]:
        return [{"file": str(out), "place": m.place, "found": m.found, "remedy": m.remedy} for m in given]

    return {
        "format": "volens-init/1",
        "file": str(out),
        "start": found.start,
        "how": found.how,
        "note": found.why,
        "pages": [asdict(page) for page in found.pages],
        "left": found.troubles,
        "hosts": [
            {
                "host": met.host,
                "is": verdicts[met.host].is_,
                "why": verdicts[met.host].why,
                "service": verdicts[met.host].service,
                "entity": catalog.entity(met.host),
                "kinds": dict(met.kinds),
                "pages": len(met.pages),
            }
            for met in (found.hosts[v.host] for v in made.verdicts)
        ],
        "storage": [{**asdict(kept), "known": _known(kept, catalog)} for kept in found.kept.values()],
        "frames": [{"url": url, "pages": len(pages)} for url, pages in sorted(found.frames.items())],
        "forms": [asdict(form) for form in found.forms.values()],
        "tools": [{"id": id, "by": by} for id, by in sorted(found.tools.items())],
        "services": list(made.services),
        "blanks": mistakes(made.blanks),
        "warnings": mistakes(made.warnings),
    }


def _known(kept: Kept, catalog: Catalog) -> Mapping[str, Any] | None:
    known = catalog.storage(kept.name, kept.medium)
    return None if known is None else {"purpose": known.purpose, "service": known.platform or known.service, "exempt": known.exempt}


def told_(found: Survey, made: Proposal, catalog: Catalog, out: Path) -> str:
    """The same for people."""
    how = "in Chromium" if found.how == "chromium" else "by plain requests"
    lines = [f"{many(len(found.pages), 'page')} of {plain(found.start)}, {how}."]
    if found.why:
        lines.append(
            f"  {plain(found.why, 300)}."
            if found.how == "chromium"
            else f"  No browser: {plain(found.why, 300)}. What scripts load was not seen."
        )
    lines += [f"  left: {trouble}" for trouble in found.troubles[:10]]
    lines.append(f"Hosts ({len(made.verdicts)}):")
    for v in made.verdicts:
        met = found.hosts[v.host]
        kinds = ", ".join(f"{kind} {count}" for kind, count in met.kinds.most_common())
        lines.append(f"  {v.is_:9}{plain(v.host):40} {many(len(met.pages), 'page')}, {kinds}: {plain(v.why, 200)}")
    kept = sorted(found.kept.values(), key=lambda k: (not k.first, k.host, k.medium, k.name))
    lines.append(f"Kept on the device ({len(kept)}):" if kept else "Nothing is kept on the device.")
    for one in kept[:60]:
        known = catalog.storage(one.name, one.medium)
        word = (
            (f"{known.platform or known.service}, {'needs no choice' if known.exempt else known.purpose or 'purpose not told'}")
            if known
            else "not known"
        )
        life = "" if one.days is None else ", session" if one.days == 0 else f", {one.days} days"
        by = "a response" if one.server else "a script"
        lines.append(f"  {one.medium:9} {plain(one.name, 40):40} {plain(one.host)}{life}, by {by}: {plain(word)}")
    if found.frames:
        lines.append(f"Frames ({len(found.frames)}):")
        lines += [f"  {plain(url)}, {many(len(pages), 'page')}" for url, pages in sorted(found.frames.items())[:40]]
    known_tools = Tools.packaged().all
    lines += [f"Asks for consent already: {known_tools[id].name} ({plain(by)})." for id, by in sorted(found.tools.items())]
    lines.append(f"Written: {out}")
    if made.blanks:
        lines.append("To write before it can be used:")
        lines += [f"  {out} {m.place}: {m.remedy}" for m in made.blanks]
    if made.warnings:
        lines.append("To look at:")
        lines += [f"  {out} {m.place}: {m.found} {m.remedy}" for m in made.warnings]
    lines.append(f"Then: volens check {out}" + ("" if made.blanks else f", and volens proxy --config {out}"))
    return "\n".join(lines) + "\n"
