"""``volens.toml`` -> ``Site``: every mistake of the file at once, each with its line, what was found and the remedy.

Two passes. The first reads the tables against ``volens.settings``, which lists every setting there is: unknown names, wrong kinds.
The second builds the values of the core and says what the law needs of them (RULES.md, by number). Nothing is guessed
where guessing would ask less or grant more: a setting that cannot be read is a mistake, never a default.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from volens.catalog import Catalog, Entry, OperatorList
from volens.choice import MAX_TEXT
from volens.countries import known as known_country
from volens.defaults import LANGUAGES, PURPOSES
from volens.errors import CatalogError, ConfigError, Mistake, NoticeError, SignedNoteError
from volens.foreign import HELD, Theirs, Tools
from volens.languages import BUTTONS, shipped
from volens.notice import DATA_KINDS, EXEMPT_REASONS, IDENTIFIER, MEDIA, Controller, Notice, Purpose, Service, StorageKey
from volens.settings import (
    ATTESTATIONS,
    AUDIENCE_MONTHS,
    BLANK,
    EXEMPT_DAYS,
    SAMPLE,
    SETTINGS,
    Kind,
    Path_,
    lines_of,
    text,
    texts,
)
from volens.site import ADDRESS_LEVELS, FULL, Address, Audience, Gate, Hook, Proof, Regions, Retention, Site, Witness
from volens.theme import COLOUR, COLOURS, FONT, POSITIONS, RADIUS, SCHEMES, Theme
from volens.wording import judge, judge_pair


@dataclass(frozen=True)
class Loaded:
    """What a configuration says: the site, and what the one who runs it needs besides."""

    site: Site
    ledger: str = "volens.db"
    """A path, or the URL of a database."""
    keys: str = "volens.keys"
    """Path of the file of record keys."""
    listen: str = "127.0.0.1:8080"
    upstream: str = ""
    trusted: tuple[str, ...] = ()
    """Networks whose ``X-Forwarded-*`` are believed."""
    warnings: tuple[Mistake, ...] = ()
    hook_secret: str = "volens.hook"
    """Path of the file of secrets that sign what ``site.hook`` is sent."""
    audience: str = "volens-audience.db"
    """Path of the file of page views, where ``site.audience`` is set."""
    admin_token: str = ""
    """Path of the file that holds the token of the operator's pages; empty: they open on this machine only."""
    unreviewed: tuple[str, ...] = ()
    """Languages offered whose texts no speaker has read, neither ours (``reviewed`` in the file) nor the operator's (``reviewed`` here)."""
    source: str | None = None
    """Path of the file that was read; None where there was none."""
    bypass: str = "volens.bypass"
    """Path of the file in which ``volens bypass`` writes."""
    findings: str = "volens-hosts.db"
    """Path of the file of what pages were found to use."""
    log_key: str = "volens.log-key"
    """Path of the file of the keys that sign the log; ``VOLENS_LOG_KEY`` in the environment goes before it."""
    accounts: str = "volens-accounts.db"
    """Path of the file of accounts' choices, where ``site.accounts`` is set."""

    @property
    def witnessed(self) -> Path:
        """The file in which the publisher says what the witnesses answer."""
        return Path(self.keys).with_suffix(".witnesses")


def outside(loaded: Loaded, folder: Path) -> None:
    """Raises ConfigError where what configures, proves or records lies in ``folder``, whose files are published."""
    root = folder.resolve()
    files = (loaded.source, loaded.keys, loaded.ledger, loaded.audience, loaded.bypass, loaded.hook_secret, loaded.admin_token)
    for name in (*files, loaded.findings, loaded.log_key, loaded.accounts):
        if name is not None and "://" in name:
            continue  # a database
        place = Path(name).resolve() if name else root
        if root in place.parents and not any(part.startswith(".") and part != ".well-known" for part in place.relative_to(root).parts):
            found = f"{place} lies in {root}, so that anybody could read it."
            remedy = f"Put {loaded.source}, and what lies beside it, somewhere else, and name it: --config FILE"
            raise ConfigError(str(loaded.source), (Mistake("DIR", found, remedy),))


def load(path: Path, catalog: Catalog) -> Loaded:
    """Read ``path``; raises ConfigError with every mistake."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        remedy = "Name another file, or write one: docs/examples/volens.toml is a whole example, docs/reference/configuration.md says all."
        raise ConfigError(str(path), (Mistake("file", f"cannot be read ({error.strerror}).", remedy),)) from error
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            str(path), (Mistake(f"line {line}", f"byte {raw[error.start]:#04x} is not UTF-8.", "Save the file as UTF-8."),)
        ) from error
    return replace(parse(content, str(path), catalog, base=path.parent), source=str(path))


def parse(content: str, source: str, catalog: Catalog, *, base: Path | None = None) -> Loaded:
    """The configuration written in ``content``. Relative paths are taken from ``base``. Raises ConfigError."""
    try:
        values = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*?)(?: \(at (.*)\))?", str(error), re.DOTALL)
        message, place = found.groups() if found else (str(error), None)
        remedy = "The file must be TOML (https://toml.io): texts between quotes, no name twice."
        raise ConfigError(source, (Mistake(place or "file", message.rstrip(".") + ".", remedy),)) from error
    reading = _Reading(lines_of(content), catalog)
    loaded = reading.site(values, base)
    fatal = tuple(mistake for mistake in reading.mistakes if mistake.fatal)
    if fatal or loaded is None:
        raise ConfigError(source, tuple(sorted(reading.mistakes, key=lambda mistake: not mistake.fatal)))
    return loaded


def shipped_texts() -> Mapping[str, Mapping[str, str]]:
    """The interface texts by language, of the languages that have all of them."""
    return {code: language.texts for code, language in shipped().items()}


def _near(word: str, known: Iterable[str]) -> str:
    """Did you mean …? Else what there is."""
    options = list(known)
    near = difflib.get_close_matches(word, options, 1, 0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Use one of: {', '.join(options)}." if options else "Remove it."


_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_PREFIX = re.compile(r"/(?:[A-Za-z0-9_~-][A-Za-z0-9_.~-]*/)+")
_MAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


@dataclass
class _Reading:
    """One pass over one file. Each method notes its mistakes and goes on with what is sound."""

    lines: Mapping[Path_, int]
    catalog: Catalog
    mistakes: list[Mistake] = field(default_factory=list)
    languages: tuple[str, ...] = LANGUAGES
    replaced: dict[str, str] = field(default_factory=dict)
    """Built-in purpose -> the purpose of this site that stands for it."""
    used: dict[str, None] = field(default_factory=dict)
    """Purposes that something of this site serves, in order."""

    # Noting.

    def wrong(self, path: Path_, found: str, remedy: str, *, fatal: bool = True) -> None:
        """Note a mistake at ``path``."""
        known = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in self.lines), ())
        tables_, key = path[:-1], path[-1]
        if isinstance(key, int) or (len(path) == 2 and path[0] in ("purposes", "services")):
            tables_, key = path, ""  # the table itself
        header = ""
        for part in tables_:
            header += f" {part + 1}" if isinstance(part, int) else ("." if header else "") + part
        place = f"[{header}] {key}".strip() if header else str(key)
        self.mistakes.append(Mistake(f"line {self.lines[known]} {place}" if known else place, found, remedy, fatal))

    def warn(self, path: Path_, found: str, remedy: str) -> None:
        """Note what runs, but should be looked at."""
        self.wrong(path, found, remedy, fatal=False)

    # First pass: names and kinds.

    def section(self, path: Path_, value: Any, settings: Mapping[str, Kind]) -> dict[str, Any]:
        """The settings of one table that are known and of the right kind."""
        sound: dict[str, Any] = {}
        if not isinstance(value, dict):
            self.wrong(path, f"{value!r} is not a table.", "Write a line [name], with the settings below.")
            return sound
        for key, item in value.items():
            if key not in settings:
                if path and key in SETTINGS[""]:
                    remedy = f"{key!r} belongs at the top of the file, before the first [table]."
                else:
                    remedy = _near(key, settings)
                self.wrong((*path, key), f"there is no setting {key!r} here.", remedy)
                continue
            try:
                sound[key] = settings[key](item)
            except (TypeError, ValueError) as error:
                self.wrong((*path, key), f"{item!r} stands here.", str(error))
        return sound

    # Second pass: meanings.

    def site(self, values: dict[str, Any], base: Path | None) -> Loaded | None:
        """The whole file, in the order in which things depend on each other; None after a mistake."""
        top = self.section((), values, SETTINGS[""])
        self.languages = self.read_languages(top)
        site_names = self.hosts(("names",), top.get("names", ()), wildcard=False)
        if "names" not in top or not top["names"]:
            self.wrong(("names",), "missing.", 'Name the site by its host, the main one first: names = ["www.example.org"].')
        own = tuple(dict.fromkeys(site_names + self.hosts(("hosts",), top.get("hosts", ()))))
        self.own_trackers(own, site_names)
        controller = self.controller(top.get("controller"))
        months = self.months(top.get("lifetimes", {}))
        declared = self.purposes(top.get("purposes", {}))
        services = self.services(top.get("services", {}), declared)
        storage = self.storage(("storage",), top.get("storage", []), declared)
        gates = self.gates(top.get("gates", []), declared, services)
        address = self.address(self.part(top, "address"), declared)
        minors, age_header = self.minors(self.part(top, "minors"), declared)
        regions = self.regions(self.part(top, "regions"), declared)
        purposes = self.asked(declared)
        self.exemptions(purposes, services, storage)
        self.justified(top.get("purposes", {}), declared)
        self.withheld(services, gates, {purpose.id for purpose in purposes if not purpose.exempt})
        site_texts = self.texts(top.get("texts", {}))
        around = self.policy(top.get("policy", {}))
        theme = self.theme(top.get("theme", {}))
        mode = self.mode(top)
        theirs = self.theirs(top, purposes, services)
        if theirs is not None:
            services += tuple(self.their_service(theirs, services))
        accounts = self.accounts(self.part(top, "accounts"), theirs)
        prefix, leave = self.paths(top, gates)
        deny = self.hosts(("deny",), top.get("deny", ()))
        hook = self.hook(self.part(top, "hooks"), storage, services) if "hooks" in top else None
        self.proxy(self.part(top, "proxy"))
        audience = self.audience(self.part(top, "audience")) if "audience" in top else None
        if audience is not None and self.replaced.get("audience", "audience") not in {purpose.id for purpose in purposes}:
            # Visitors are told of it as of any other exempt purpose (R28). A purpose that asks, for another tool, stays as it is.
            purposes += (replace(self.built_in("audience"), exempt="audience", data_kinds=("browsing",)),)
        report = self.part(top, "report")
        self.part(top, "admin")
        proof = self.proof(self.part(top, "proof"))
        grants_a_minute = self.limit(self.part(top, "limits"))
        more = {"[regions]": regions is not None, "header of [minors]": bool(age_header), 'notice = "theirs"': theirs is not None}
        shared = self.shared(self.part(top, "cache"), [what for what, there in more.items() if there])
        if controller is None or any(mistake.fatal for mistake in self.mistakes):
            return None
        try:
            notice = Notice(controller, purposes, services, site_names, self.languages, site_texts, months)
        except NoticeError as error:
            self.wrong(("purposes",), str(error), "Mend it; the notice cannot be built.")
            return None
        self.fits_a_cookie(notice)
        site = Site(
            name=site_names[0],
            notice=notice,
            hosts=own,
            storage=storage,
            gates=gates,
            theme=theme,
            address=address,
            hook=hook,
            mode=mode,
            prefix=prefix,
            leave=leave,
            honour_gpc=top.get("gpc", True),
            catalog_storage=top.get("catalog_storage", True),
            shared=shared != "nothing",
            shared_answers=shared == "answers",
            passive=top.get("passive", True),
            deny=deny,
            lists=self.lists(top.get("lists", ()), base),
            grants_a_minute=grants_a_minute,
            report_sample=report.get("sample", 1.0 if mode == "observe" else SAMPLE),
            policy_before=around.get("before", {}),
            policy_after=around.get("after", {}),
            audience=audience,
            theirs=theirs,
            regions=regions,
            proof=proof,
            retention=self.retention(top, notice),
            minors=minors,
            told_age="minors" in top,
            age_header=age_header,
            accounts=accounts,
        )
        return self.loaded(site, top, base)

    def loaded(self, site: Site, top: Mapping[str, Any], base: Path | None) -> Loaded:
        """The site with where its files lie, beside ``base`` (none: as they are written), and what ``volens proxy`` is told."""
        scheme, url, _ = top.get("ledger", "").partition("://")
        if url and scheme not in ("postgresql", "postgres"):  # what follows may hold a password
            self.wrong(("ledger",), f"{scheme}://… is the address of no database that is known.", "Write postgresql://user@host/name.")

        def beside(name: str) -> str:
            return name if base is None or "://" in name else str(base / name)

        def file(table: str, setting: str, default: str) -> str:
            name = top.get(table, {}).get(setting, default)
            return beside(name) if name else ""

        proxy = top.get("proxy", {})
        keys = beside(top.get("keys", "volens.keys"))
        return Loaded(
            site,
            ledger=beside(top.get("ledger", "volens.db")),
            keys=keys,
            bypass=str(Path(keys).with_name("volens.bypass")),
            listen=proxy.get("listen", "127.0.0.1:8080"),
            upstream=proxy.get("upstream", ""),
            trusted=proxy.get("trusted", ()),
            warnings=tuple(self.mistakes),
            audience=file("audience", "file", "volens-audience.db"),
            findings=file("report", "file", "volens-hosts.db"),
            log_key=file("proof", "key", "volens.log-key"),
            accounts=file("accounts", "file", "volens-accounts.db"),
            admin_token=file("admin", "token_file", ""),
            hook_secret=file("hooks", "secret", "volens.hook"),
            unreviewed=tuple(x for x in self.languages if not shipped()[x].reviewed and x not in top.get("reviewed", ())),
        )

    def part(self, top: dict[str, Any], name: str) -> dict[str, Any]:
        """The sound settings of the table [name]; they take its place in ``top``. None where it is not there."""
        if name not in top:
            return {}
        top[name] = self.section((name,), top[name], SETTINGS[name])
        return dict(top[name])

    def mode(self, top: Mapping[str, Any]) -> str:
        """Whether pages obey, or are only looked at."""
        mode = self.one_of(("mode",), top.get("mode", "enforce"), ("enforce", "observe"))
        if mode == "observe":
            remedy = 'Write mode = "enforce" when you have decided what volens hosts lists.'
            self.warn(("mode",), "pages pass as they are: nothing is withheld.", remedy)
        return mode

    def minors(self, here: Mapping[str, Any], declared: Mapping[str, Purpose]) -> tuple[tuple[str, ...], bytes]:
        """The purposes that a minor cannot be granted (R41), and the request header that tells of one."""
        lock = tuple(self.known_purpose(("minors", "lock"), name, declared) for name in here.get("lock", ()))
        return lock or (self.replaced.get("publicite", "publicite"),), self.header(("minors", "header"), here.get("header", ""))

    def accounts(self, here: Mapping[str, Any], theirs: Theirs | None) -> bool:
        """Whether a logged-in reader's choice is kept with the account (R36–R39)."""
        if theirs is not None and here.get("enabled"):
            remedy = 'Remove [accounts], or let Volens ask: notice = "volens".'
            self.wrong(("accounts", "enabled"), f"{theirs.tool.id} asks on this site, and keeps the choice where it will.", remedy)
        return bool(here.get("enabled", False))

    def paths(self, top: Mapping[str, Any], gates: tuple[Gate, ...]) -> tuple[str, tuple[str, ...]]:
        """The reserved path, under which nothing is gated, and the paths that are left alone."""
        prefix, leave = top.get("prefix", "/_volens/"), top.get("leave", ())
        if not _PREFIX.fullmatch(prefix):
            self.wrong(("prefix",), f"{prefix!r} cannot be a reserved path.", 'Write a path that begins and ends with "/": "/_volens/".')
        for path in leave:
            if not path.startswith(("/", "*", "!/", "!*")):
                self.wrong(("leave",), f"{path!r} is not a path.", f"Begin it with '/': {'/' + path!r}.")
        for path in (gate.path for gate in gates):
            if path.startswith(prefix):
                self.wrong(("gates",), f"{path!r} is under the reserved path {prefix!r}.", "Gate a path of the site.")
        return prefix, leave

    def limit(self, here: Mapping[str, Any]) -> int:
        """How many grants each process records in a minute."""
        grants: int = here.get("grants_a_minute", 6000)
        if grants < 1:
            self.wrong(("limits", "grants_a_minute"), f"{grants} grants nothing.", "Give 1 or more; 6000 where it is left out.")
        return grants

    def shared(self, here: Mapping[str, Any], more: Iterable[str]) -> str:
        """What a cache in front may share. ``more``: settings by which a page depends on more than the answers."""
        shared = self.one_of(("cache", "shared"), here.get("shared", "nothing"), ("nothing", "undecided", "answers"))
        for what in more if shared == "answers" else ():
            found = f'"answers" keeps pages apart by answers, and with {what} they depend on more.'
            self.wrong(("cache", "shared"), found, 'Write "undecided", or "nothing".')
        return shared

    def one_of(self, path: Path_, value: str, options: tuple[str, ...]) -> str:
        """``value`` if it is one of ``options``."""
        if value not in options:
            self.wrong(path, f"{value!r} is not known.", _near(value, options))
        return value

    def read_languages(self, top: Mapping[str, Any]) -> tuple[str, ...]:
        """The languages offered: those whose screens are complete (R24)."""
        offered = tuple(shipped())
        chosen = tuple(dict.fromkeys(top.get("languages", LANGUAGES)))
        for language in chosen:
            if language not in offered:
                self.wrong(("languages",), f"{language!r} has no complete texts.", f"Use one of: {', '.join(offered)}.")
        if not chosen:
            self.wrong(("languages",), "the list is empty.", f"Name at least one of: {', '.join(offered)}.")
        for language in top.get("reviewed", ()):
            if language not in chosen:
                self.wrong(("reviewed",), f"the site does not offer {language!r}.", _near(language, chosen))
        return tuple(language for language in chosen if language in offered)

    def hosts(self, path: Path_, values: Iterable[str], *, wildcard: bool = True) -> tuple[str, ...]:
        """Host names, lower-case and in ASCII; '*.' for all below."""
        sound: dict[str, None] = {}
        for value in values:
            host = value.lower().rstrip(".")
            try:
                host = str(ipaddress.ip_address(host.strip("[]")))
            except ValueError:
                host = self.host(path, value, host, wildcard)
            if host:
                sound[host] = None
        return tuple(sound)

    def host(self, path: Path_, value: str, host: str, wildcard: bool) -> str:
        """One name that is not an address; empty after noting what is wrong with it."""
        if not host.isascii():
            try:
                host = host.encode("idna").decode()
            except UnicodeError:
                self.wrong(path, f"{value!r} is not a host name.", "Write the name alone, as in 'www.example.org'.")
                return ""
        if not _HOST.fullmatch(host):
            try:
                name = urlsplit(host if "//" in host else "//" + host).hostname or "www.example.org"
            except ValueError:
                name = "www.example.org"
            self.wrong(path, f"{value!r} is not a host name.", f"Write the name alone, without scheme, port or path: {name!r}.")
        elif host.startswith("*.") and not wildcard:
            self.wrong(path, f"{value!r} is a pattern.", f"Name each site: {host[2:]!r}; patterns go under 'hosts'.")
        elif host.startswith("*.") and "." not in host[2:] and host != "*.localhost":
            self.wrong(path, f"{value!r} covers other people's sites.", f"Name your own domain: '*.example{host[1:]}'.")
        else:
            return host
        return ""

    def lists(self, names: Sequence[str], base: Path | None) -> tuple[OperatorList, ...]:
        """The filter lists the operator fetched, read."""
        found = []
        for number, name in enumerate(names):
            try:
                found.append(OperatorList(name if base is None else base / name))
            except CatalogError as error:
                self.wrong(("lists", number), str(error), "Fetch the list again, or take it out of lists.")
        return tuple(found)

    def own_trackers(self, own: tuple[str, ...], site_names: tuple[str, ...]) -> None:
        """Warn of hosts listed as own that the catalog knows as trackers."""
        for host in own:
            name = host.removeprefix("*.")
            entry = self.catalog.host(name)
            if entry and entry.kind == "tracker" and not any(self.catalog.same_party(name, site) for site in site_names):
                found = f"{host!r} is listed as your own, and the catalog knows it as {entry.name} ({entry.category})."
                self.warn(("hosts",), found, "If it is not your own, remove it and declare the service under [services].")

    def controller(self, value: Any) -> Controller | None:
        """Who answers (R17)."""
        if value is None:
            self.wrong(("controller",), "missing.", "Write [controller] with name, contact and policy (GDPR 13; R17).")
            return None
        here = {key: "" if said == BLANK else said for key, said in self.section(("controller",), value, SETTINGS["controller"]).items()}
        examples = {
            "name": 'the company or person that decides: name = "Journal SAS"',
            "contact": 'where rights are exercised: contact = "donnees@example.org", or an address of a page',
            "policy": 'the site\'s privacy policy: policy = "https://www.example.org/privacy", or "volens" for the page Volens makes',
        }
        for key, example in examples.items():
            if not here.get(key) and (key not in value or key in here):
                self.wrong(("controller", key), "missing.", f"Write {example}.")
        contact, policy = here.get("contact", ""), here.get("policy", "")
        if contact and not (_MAIL.fullmatch(contact.removeprefix("mailto:")) or self.is_link(contact)):
            self.wrong(("controller", "contact"), f"{contact!r} is neither an e-mail address nor a page.", "Write one of these.")
        if policy and policy != "volens" and not self.is_link(policy):
            self.wrong(
                ("controller", "policy"), f"{policy!r} is not a link.", 'Write an https:// address, a path beginning with "/", or "volens".'
            )
        country = here.get("country", "").upper()
        if not country and policy == "volens":
            remedy = 'Write that of its main establishment, country = "FR": the policy page names its authority (GDPR 13(2)(d)).'
            self.warn(("controller", "country"), "missing.", remedy)
        elif country and not known_country(country):
            self.wrong(("controller", "country"), f"{country!r} is no country.", 'Write its two letters (ISO 3166-1): "FR", "DE", "US".')
        if not (here.get("name") and contact and policy):
            return None
        own = "" if policy == "volens" else policy
        return Controller(here["name"], contact, own, here.get("address", ""), here.get("dpo", ""), country)

    @staticmethod
    def is_link(value: str) -> bool:
        """Whether ``value`` is an http(s) address or a local path."""
        if re.search(r"[\s\"'<>\\]", value):
            return False
        try:
            parts = urlsplit(value)
        except ValueError:
            return False
        return bool(parts.scheme in ("http", "https") and parts.hostname) or (value.startswith("/") and not value.startswith("//"))

    def policy(self, value: Any) -> dict[str, dict[str, str]]:
        """The site's own text around the policy page that Volens makes."""
        here = self.section(("policy",), value, SETTINGS["policy"])
        return {key: self.by_language(("policy", key), words) for key, words in here.items()}

    def months(self, value: Any) -> int:
        """How long an answer holds: the same for yes and no (R18, R19)."""
        here = self.section(("lifetimes",), value, SETTINGS["lifetimes"])
        accepted, refused = here.get("accepted", 6), here.get("refused", 6)
        if accepted != refused:
            remedy = "Write the same number of months for both, or neither: 6 is the good practice."
            self.wrong(
                ("lifetimes", "refused" if "refused" in here else "accepted"), f"yes holds {accepted} months, no {refused} (R19).", remedy
            )
        elif not 1 <= accepted <= 13:
            self.wrong(("lifetimes", "accepted"), f"{accepted} months.", "Write 1 to 13 months; 6 is the good practice (R18).")
        elif accepted > 6:
            self.warn(("lifetimes", "accepted"), f"{accepted} months.", "The good practice is to ask again after 6 (R18).")
        return int(accepted)

    # Texts.

    def by_language(
        self, path: Path_, value: Mapping[str, str], inherited: Mapping[str, str] | None = None, languages: Iterable[str] | None = None
    ) -> dict[str, str]:
        """``value`` in every language offered (or of ``languages``); what is missing comes from ``inherited``, else is a mistake (R24)."""
        given = dict(value)
        plain = given.pop("", None)
        if plain is not None:
            if len(self.languages) > 1 or given:
                example = ", ".join(f'{language} = "…"' for language in self.languages)
                self.wrong(
                    path, f"{plain!r} is in one language, and the site offers {', '.join(self.languages)}.", f"Write {{ {example} }}."
                )
                return {}
            given = {self.languages[0]: plain} if self.languages else {}
        for language in given:
            if language not in self.languages:
                self.wrong(
                    (*path, language),
                    f"the site does not offer {language!r}.",
                    f"Add it to 'languages', or {_near(language, self.languages)[0].lower()}{_near(language, self.languages)[1:]}",
                )
        whole = {}
        for language in self.languages if languages is None else languages:
            word = given.get(language) or (inherited or {}).get(language, "")
            if not word:
                self.wrong(path, f"no text in {language!r}.", f"Write {language} = \"…\", or remove {language!r} from 'languages'.")
            whole[language] = word
        return whole

    def lint(self, path: Path_, value: Mapping[str, str], role: str = "") -> None:
        """Words that push (R32)."""
        for language, word in value.items():
            for complaint in judge(word, language, role):
                self.wrong((*path, language) if (*path, language) in self.lines else path, complaint.found, complaint.remedy)

    def texts(self, value: dict[str, Any]) -> dict[str, dict[str, str]]:
        """The site's own wording of interface texts. ``[texts.ask] title.fr`` and ``[texts."ask.title"] fr`` are the same."""
        here: dict[str, dict[str, str]] = {}
        offered = {language: shipped_texts()[language] for language in self.languages}
        known = dict.fromkeys(name for texts in offered.values() for name in texts)

        def walk(path: Path_, name: str, item: Any) -> None:
            if not isinstance(item, dict):
                self.wrong(path, f"{item!r} stands here.", 'Write one text for each language: { fr = "…", en = "…" }.')
                return
            given = {language: word for language, word in item.items() if isinstance(word, str)}
            for key, deeper in item.items():
                if key not in given:
                    walk((*path, key), f"{name}.{key}" if name else key, deeper)
            if given and name not in known:
                self.wrong(path, f"there is no text {name!r}.", _near(name, known))
            elif unknown := [language for language in given if language in offered and name not in offered[language]]:
                self.wrong((*path, unknown[0]), f"{unknown[0]!r} has no plural form {name!r}.", "Remove it.")
            elif given:
                here[name] = self.by_language(
                    path,
                    given,
                    {language: texts[name] for language, texts in offered.items() if name in texts},
                    [language for language, texts in offered.items() if name in texts],
                )
                self.reworded(path, name, here[name])

        walk(("texts",), "", value)
        self.alike(here)
        return here

    def reworded(self, path: Path_, name: str, words: Mapping[str, str]) -> None:
        """A text keeps what it must say: the controller, the number of services … (R12, R16, R17, R42)."""
        self.lint(path, {language: word for language, word in words.items() if word}, name)
        for language, word in words.items():
            ours = shipped_texts().get(language, {}).get(name, "")
            wanted, given = (sorted(set(re.findall(r"\{\w+\}", t))) for t in (ours, word))
            if word and wanted != given:
                remedy = f"Keep {', '.join(wanted)}." if wanted else "Nothing is filled in there: remove the braces."
                self.wrong((*path, language), f"{word!r} has {', '.join(given) or 'nothing'} to fill in.", remedy)

    def alike(self, here: Mapping[str, Mapping[str, str]]) -> None:
        """The answers as they will read, side by side."""
        if not any(name in here for name in BUTTONS):
            return
        for language in self.languages:
            ours = shipped_texts().get(language, {})
            accept, refuse = (here.get(name, ours).get(language if name in here else name, "") for name in ("accept", "refuse"))
            for complaint in judge_pair(accept, refuse, language):
                self.wrong(("texts", "refuse" if "refuse" in here else "accept"), complaint.found, complaint.remedy)

    # Purposes, services, storage, gates.

    def purposes(self, value: dict[str, Any]) -> dict[str, Purpose]:
        """The purposes the file declares, in its order, built-in ones completed."""
        declared: dict[str, Purpose] = {}
        for name, item in value.items():
            path: Path_ = ("purposes", name)
            here = self.section(path, item, SETTINGS["purposes.*"])
            if not self.named(path, name, "purpose"):
                continue
            replaces = here.get("replaces", "")
            if replaces:
                if replaces not in PURPOSES or replaces in self.replaced or replaces in value:
                    free = [p for p in PURPOSES if p not in self.replaced and p not in value]
                    self.wrong((*path, "replaces"), f"{replaces!r} is not a built-in purpose that is free.", _near(replaces, free))
                else:
                    self.replaced[replaces] = name
            model = PURPOSES.get(replaces or name)
            title = self.by_language((*path, "title"), here.get("title", {}), model.title if model else None)
            sentence = self.by_language((*path, "sentence"), here.get("sentence", {}), model.sentence if model else None)
            for key, words in (("title", title), ("sentence", sentence)):
                if key in here:
                    self.lint((*path, key), words)
            data = here.get("data", model.data_kinds if model else ())
            for kind in data:
                if kind not in DATA_KINDS:
                    self.wrong((*path, "data"), f"{kind!r} is not a kind of data.", _near(kind, DATA_KINDS))
            exempt = here.get("exempt", model.exempt if model else "")
            if exempt and exempt not in EXEMPT_REASONS:
                self.wrong(
                    (*path, "exempt"),
                    f"{exempt!r} is no reason for needing no choice (R35).",
                    f"Use one of: {', '.join(EXEMPT_REASONS)}; or remove it: the visitor is then asked.",
                )
                exempt = ""
            self.attested(path, exempt, here)
            profiles = here.get("profiles", model.profiles if model else False)
            if exempt and profiles:
                self.wrong(
                    (*path, "profiles"), "a purpose that creates profiles needs a choice.", "Remove 'exempt' or write profiles = false."
                )
            declared[name] = Purpose(name, title, sentence, exempt, tuple(kind for kind in data if kind in DATA_KINDS), profiles)
        return declared

    def attested(self, path: Path_, exempt: str, here: Mapping[str, Any]) -> None:
        """Audience measurement needs no choice only while R25–R29 hold, and the controller says so."""
        given = here.get("attest", ())
        for name in given:
            if name not in ATTESTATIONS:
                self.wrong((*path, "attest"), f"{name!r} is not an attestation.", _near(name, ATTESTATIONS))
        if exempt == "audience":
            missing = [name for name in ATTESTATIONS if name not in given]
            if missing:
                told = "; ".join(f"{name!r}: {ATTESTATIONS[name]}" for name in missing)
                self.wrong(
                    (*path, "attest"),
                    "audience measurement is declared exempt without: " + ", ".join(missing) + ".",
                    f"Write those that are true; unless all are, remove 'exempt'. {told}.",
                )
        elif given:
            self.warn((*path, "attest"), 'attestations without exempt = "audience" change nothing.', "Add it, or remove them.")

    def known_purpose(self, path: Path_, name: str, declared: Mapping[str, Purpose]) -> str:
        """``name`` under the name this site gives it; empty after noting that nobody knows it."""
        name = self.replaced.get(name, name)
        if name in declared or name in PURPOSES:
            self.used[name] = None
            return name
        options = [*declared, *(p for p in PURPOSES if p not in declared and p not in self.replaced)]
        self.wrong(path, f"purpose {name!r} is not declared.", f"{_near(name, options)} Or declare it under [purposes.{name}].")
        return ""

    def asked(self, declared: Mapping[str, Purpose]) -> tuple[Purpose, ...]:
        """What the notice names: *technique*, what the file declares in its order, then built-in ones something uses."""
        technique = self.replaced.get("technique", "technique")
        order = dict.fromkeys([*([] if technique in declared else [technique]), *declared, *(p for p in PURPOSES if p in self.used)])
        return tuple(declared.get(name) or self.built_in(name) for name in order)

    def built_in(self, name: str) -> Purpose:
        """A built-in purpose in the languages of this site: another language in Volens changes nobody's notice."""
        purpose = PURPOSES[name]
        title, sentence = ({language: words[language] for language in self.languages} for words in (purpose.title, purpose.sentence))
        return replace(purpose, title=title, sentence=sentence)

    def named(self, path: Path_, name: str, what: str) -> bool:
        """Whether ``name`` can be that of a purpose or a service."""
        if not IDENTIFIER.fullmatch(name):
            remedy = "Use lower-case letters, digits and '-', a letter first, at most 40."
            self.wrong(path, f"{name!r} cannot be the name of a {what}.", remedy)
            return False
        return True

    def purpose_of(self, name: str, declared: Mapping[str, Purpose]) -> Purpose | None:
        return declared.get(name) or PURPOSES.get(name)

    def services(self, value: dict[str, Any], declared: Mapping[str, Purpose]) -> tuple[Service, ...]:
        """Who acts. What the file does not say of a service, the catalog says."""
        services = []
        for name, item in value.items():
            path: Path_ = ("services", name)
            here = self.section(path, item, SETTINGS["services.*"])
            if not self.named(path, name, "service"):
                continue
            if self.purpose_of(name, declared):
                self.wrong(
                    path,
                    f"{name!r} is the name of a purpose.",
                    f"Give the service another name, and say catalog = {name!r} if you meant the catalog's.",
                )
                continue
            entry = self.catalog.service(here.get("catalog", name))
            if entry is None and ("catalog" in here or not ("name" in here and "purposes" in here)):
                word = here.get("catalog", name)
                near = difflib.get_close_matches(word, self.catalog.ids, 3, 0.6)
                meant = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
                self.wrong(
                    (*path, "catalog") if "catalog" in here else path,
                    f"the catalog has no service {word!r}.",
                    f"{meant}If it is your own, write its name and purposes.",
                )
                continue
            service = self.service(path, name, here, entry, declared)
            if service:
                services.append(service)
        return tuple(services)

    def service(
        self, path: Path_, name: str, here: Mapping[str, Any], entry: Entry | None, declared: Mapping[str, Purpose]
    ) -> Service | None:
        """One service."""
        given = here.get("purposes", entry.purposes if entry else ())
        purposes = tuple(dict.fromkeys(p for p in (self.known_purpose((*path, "purposes"), p, declared) for p in given) if p))
        if not given:
            why = f" (the catalog files it under {entry.category!r}, which says nothing of what you use it for)" if entry else ""
            self.wrong(
                (*path, "purposes"),
                f"no purpose{why}.",
                f"Say what it is for: one of {', '.join([*declared, *(p for p in PURPOSES if p not in declared)])}.",
            )
        if not purposes:
            return None
        hosts = (*entry.hosts, *entry.needs) if entry else ()
        if "hosts" in here:  # a path is where the service is reached on the site's own host
            paths = tuple(host for host in here["hosts"] if re.fullmatch(r"/[^\s?#]+", host))
            hosts = self.hosts((*path, "hosts"), [host for host in here["hosts"] if host not in paths]) + paths
        policy = here.get("policy", entry.policy_url if entry else "")
        if policy and not self.is_link(policy):
            self.wrong((*path, "policy"), f"{policy!r} is not a link.", "Write an https:// address.")
        kinds = [p for p in (self.purpose_of(purpose, declared) for purpose in purposes) if p]
        askable = any(not p.exempt for p in kinds)
        if askable and not policy:
            self.warn((*path, "policy"), "no policy link.", "Visitors are to be told who acts, with a link to each one's policy (R11).")
        if "storage" in here:
            storage = self.storage((*path, "storage"), here["storage"], declared, name, purposes)
        else:
            storage = self.catalog_storage(name, entry, purposes) if entry else ()
        if not self.may_be_exempt(path, here, entry, kinds):
            return None
        # The catalog's word follows from its purposes: where the operator states others, theirs decide (P8).
        profiles = here.get("profiles", any(p.profiles for p in kinds) or bool(entry and entry.profiles and "purposes" not in here))
        return Service(
            id=name,
            name=here.get("name") or (entry.name if entry else name),
            purposes=purposes,
            hosts=hosts,
            storage=storage,
            controller=here.get("controller", entry.entity if entry else ""),
            policy_url=policy,
            country=here.get("country", entry.country if entry else ""),
            profiles=profiles,
            chain=here.get("chain", False),
            embed=self.one_of((*path, "embed"), here["embed"], ("frame", "script")) if "embed" in here else entry.embed if entry else "",
        )

    def may_be_exempt(self, path: Path_, here: Mapping[str, Any], entry: Entry | None, kinds: list[Purpose]) -> bool:
        """Whether a service that would act without a choice may (R25, R35)."""
        if any(not p.exempt for p in kinds):
            if here.get("audience_exempt"):
                self.warn(
                    (*path, "audience_exempt"),
                    "the visitor is asked about this service.",
                    "Remove it, or use it for an exempt purpose only.",
                )
            return True
        if here.get("profiles") or here.get("chain"):
            self.wrong(
                (*path, "purposes"),
                "a service that creates profiles, or loads from anywhere, under exempt purposes only (R25, R35).",
                "Give it a purpose the visitor is asked about.",
            )
            return False
        if entry and entry.kind == "tracker" and not here.get("audience_exempt"):
            remedy = (
                "Give it a purpose the visitor is asked about; or, if R25–R29 hold for it as it is set up, write audience_exempt = true."
            )
            self.wrong((*path, "purposes"), f"{entry.name} is known as a tracker ({entry.category}), under exempt purposes only.", remedy)
            return False
        return True

    def catalog_storage(self, name: str, entry: Entry, purposes: tuple[str, ...]) -> tuple[StorageKey, ...]:
        """What the catalog says the service keeps on the device, for purposes it has here. What it keeps for another one
        (a social network's advertising key) stays undeclared, and so refused."""
        keys = []
        for medium, known in self.catalog.stored_by(entry):
            purpose = self.replaced.get(known.purpose, known.purpose)
            if purpose not in purposes and known.purpose in entry.purposes:
                purpose = purposes[0]  # the operator files the whole service elsewhere than the catalog does
            if purpose in purposes:
                keys.append(StorageKey(known.pattern, medium, purpose, days=known.days, service=name))
        return tuple(keys)

    def storage(
        self,
        path: Path_,
        values: list[dict[str, Any]],
        declared: Mapping[str, Purpose],
        service: str = "",
        purposes: tuple[str, ...] = (),
    ) -> tuple[StorageKey, ...]:
        """Named items on the device: the site's own, or one service's."""
        keys: list[StorageKey] = []
        for index, item in enumerate(values):
            at = (*path, index)
            here = self.section(at, item, SETTINGS["storage"])
            name = here.get("name", "")
            if not name or "*" in name[:-1] or re.search(r"[\s;,=]", name):
                self.wrong(
                    (*at, "name"),
                    f"{name!r} cannot be the name of a storage key." if name else "missing.",
                    "Write its name; '*' may stand at the end, for all that begin so, or '#' for a number.",
                )
                continue
            if name == "*":
                self.wrong((*at, "name"), "'*' is every key there is.", "Name the keys.")
                continue
            medium = here.get("medium", "cookie")
            party = here.get("party", "first")
            before = len(self.mistakes)
            self.one_of((*at, "medium"), medium, MEDIA)
            self.one_of((*at, "party"), party, ("first", "third"))
            purpose = self.known_purpose((*at, "purpose"), here.get("purpose", purposes[0] if purposes else "technique"), declared)
            if purpose and service and purpose not in purposes:
                self.wrong((*at, "purpose"), f"{purpose!r} is not a purpose of this service.", f"Use one of: {', '.join(purposes)}.")
            if len(self.mistakes) > before or not purpose:
                continue
            key = StorageKey(name, medium, purpose, party, here.get("days"), here.get("domain", ""), here.get("path", "/"), service)
            if (key.name, key.medium, key.domain, key.path) in [(k.name, k.medium, k.domain, k.path) for k in keys]:
                self.wrong((*at, "name"), f"{name!r} is declared twice.", "Keep one.")
                continue
            keys.append(key)
        return tuple(keys)

    def exemptions(self, purposes: tuple[Purpose, ...], services: tuple[Service, ...], storage: tuple[StorageKey, ...]) -> None:
        """Exempt storage lives 13 months at most (R26) and is not a tracker's (R35)."""
        exempt = {purpose.id: purpose.exempt for purpose in purposes if purpose.exempt}
        held: list[tuple[Path_, StorageKey]] = [(("storage", index), key) for index, key in enumerate(storage)]
        held += [(("services", s.id, "storage", index), key) for s in services for index, key in enumerate(s.storage)]
        for path, key in held:
            if key.purpose not in exempt:
                continue
            if key.days is not None and key.days > EXEMPT_DAYS:
                self.wrong(
                    (*path, "days"),
                    f"{key.name!r} is exempt and lives {key.days} days.",
                    f"Write {EXEMPT_DAYS} (13 months) or less, and make it so (R26).",
                )
            elif key.days is None and exempt[key.purpose] == "audience":
                self.wrong(
                    (*path, "days"),
                    f"{key.name!r} is exempt, and nothing says how long it lives.",
                    f"Write days = …, at most {EXEMPT_DAYS} (R26).",
                )
            known = self.catalog.storage(key.name.rstrip("*"), key.medium)
            if known and not known.exempt and not key.service:
                found = (
                    f"{key.name!r} is declared exempt, and the catalog knows it from {known.service or known.platform} ({known.purpose})."
                )
                self.warn((*path, "purpose"), found, f"If it is that one, write purpose = {known.purpose!r} (R35).")

    def justified(self, written: Mapping[str, Any], declared: Mapping[str, Purpose]) -> None:
        """Warn of asking for nothing: a purpose nothing serves, and of which the file says no kind of data."""
        for name, purpose in declared.items():
            if (
                not purpose.exempt
                and name not in self.used
                and not purpose.profiles
                and not (isinstance(written[name], dict) and "data" in written[name])
            ):
                self.warn(
                    ("purposes", name),
                    "the visitor is asked, and no service, gate or storage key serves it.",
                    'Remove it, declare what serves it, or write which data the site itself processes for it: data = ["…"].',
                )

    def withheld(self, services: tuple[Service, ...], gates: tuple[Gate, ...], asked: set[str]) -> None:
        """Warn of services that nothing of Volens can hold back."""
        for service in services:
            gated = any(service.id in gate.services for gate in gates)
            if asked.intersection(service.purposes) and not (service.hosts or service.storage or gated):
                remedy = "Volens can only tell of it, not withhold it: list its hosts and storage, or the gate it acts behind."
                self.warn(("services", service.id), "neither hosts nor storage nor gate.", remedy)

    def gates(self, values: list[dict[str, Any]], declared: Mapping[str, Purpose], services: tuple[Service, ...]) -> tuple[Gate, ...]:
        """First-party paths that need a purpose (P4–P6)."""
        known = {service.id: service for service in services}
        gates = []
        for index, item in enumerate(values):
            path: Path_ = ("gates", index)
            here = self.section(path, item, SETTINGS["gates"])
            where = here.get("path", "")
            if not where.startswith(("/", "*")):
                self.wrong(
                    (*path, "path"), f"{where!r} is not a path." if where else "missing.", "Write a path of the site, as in '/comments*'."
                )
            methods = frozenset(method.upper() for method in here.get("methods", ("POST",)))
            for method in sorted(methods):
                if not re.fullmatch(r"[A-Z]+", method):
                    self.wrong(
                        (*path, "methods"), f"{method!r} is not a method.", 'Write methods = ["POST"]; an empty list is every method.'
                    )
            if "purpose" not in here:
                self.wrong((*path, "purpose"), "missing.", "Say which purpose opens this path.")
                continue
            purpose = self.known_purpose((*path, "purpose"), here["purpose"], declared)
            if (found := self.purpose_of(purpose, declared)) and found.exempt:
                self.wrong(
                    (*path, "purpose"),
                    f"{purpose!r} is exempt: the gate would always be open.",
                    "Use a purpose the visitor is asked about, or remove the gate.",
                )
            for service in here.get("services", ()):
                if service not in known:
                    self.wrong((*path, "services"), f"service {service!r} is not declared.", _near(service, known))
                elif purpose and purpose not in known[service].purposes:
                    self.wrong(
                        (*path, "services"), f"{service!r} does not serve {purpose!r}.", f"It serves {', '.join(known[service].purposes)}."
                    )
            if not here.get("services"):
                self.warn(
                    (*path, "services"),
                    "nothing says why this path needs a choice.",
                    "Name the services that act there: what isn't needed for them must not be made a condition (GDPR 7(4)).",
                )
            title = self.by_language((*path, "title"), here["title"]) if "title" in here else {}
            self.lint((*path, "title"), title)
            fields = {}
            for name, said in here.get("fields", {}).items():
                try:
                    fields[name] = self.by_language((*path, "fields", name), texts(said))
                except TypeError as error:
                    self.wrong((*path, "fields", name), f"{said!r}.", str(error))
            withdrawn = here.get("withdrawn", "")
            if withdrawn and not self.is_link(withdrawn):
                self.wrong((*path, "withdrawn"), f"{withdrawn!r} is not an address.", "Write a path of the site, or https://…")
            gate = Gate(where, purpose, methods, here.get("services", ()), title, withdrawn, fields)
            if gate.withdrawn and gate.shuts(gate.withdrawn):
                self.wrong(
                    (*path, "withdrawn"),
                    f"{withdrawn!r} is behind this gate: whoever withdrew could not go there.",
                    "Name a path that is open without the purpose.",
                )
            gates.append(gate)
        return tuple(gates)

    # Looks, running.

    def theme(self, value: Any) -> Theme:
        """The looks, as far as they can be judged without a browser: every colour on the ground it stands on."""
        here = self.section(("theme",), value, SETTINGS["theme"])
        here["dark"] = self.section(("theme", "dark"), here.get("dark", {}), dict.fromkeys(COLOURS, text))
        for path, colours in ((("theme",), here), (("theme", "dark"), here["dark"])):
            for key in COLOURS:
                if colours.get(key) and not COLOUR.fullmatch(colours[key]):
                    self.wrong((*path, key), f"{colours[key]!r} is not a colour.", "Write it as '#rrggbb'.")
                    colours[key] = ""
        if here.get("radius") and not RADIUS.fullmatch(here["radius"]):
            self.wrong(("theme", "radius"), f"{here['radius']!r} is not a length.", "Write it as '4px' or '0.5rem'.")
            here["radius"] = ""
        if here.get("font") and (not FONT.fullmatch(here["font"]) or here["font"].count("'") % 2 or here["font"].count('"') % 2):
            self.wrong(("theme", "font"), f"{here['font']!r} is not a list of fonts.", 'Write names separated by commas: "Georgia, serif".')
            here["font"] = ""
        self.one_of(("theme", "position"), here.get("position", "bottom"), POSITIONS)
        self.one_of(("theme", "scheme"), here.get("scheme", "auto"), SCHEMES)
        theme = Theme(**here)
        for scheme, words, colour, ground, under, ratio, least in theme.unreadable():
            given = here["dark"] if scheme == "dark" else here
            name = words if words in given or ground not in given else ground
            where = ("theme", "dark", name) if scheme == "dark" else ("theme", name)
            found = f"{colour} ({words}) on {under} ({ground}) has a contrast of {ratio:.1f} in the {scheme} looks."
            self.wrong(where, found, f"Choose colours with at least {least:g} (R06; WCAG 1.4.3).")
        return theme

    def audience(self, here: Mapping[str, Any]) -> Audience | None:
        """Volens' own count of page views; None where it is switched off."""
        months, paths = here.get("months", AUDIENCE_MONTHS), here.get("paths", 2000)
        if not 1 <= months <= AUDIENCE_MONTHS:
            self.wrong(("audience", "months"), f"{months} months.", f"Write 1 to {AUDIENCE_MONTHS}: longer is not exempt (R27).")
        if not 50 <= paths <= 20000:
            self.wrong(("audience", "paths"), f"{paths} paths a day.", "Write 50 to 20000; what is beyond is counted together.")
        for path in here.get("merge", ()):
            if not path.startswith("/") or "?" in path:
                remedy = "Write a path of the site, '*' for any characters: '/compte/*'."
                self.wrong(("audience", "merge"), f"{path!r} is not a path.", remedy)
        return Audience(months, paths, here.get("merge", ())) if here.get("count", True) else None

    def proxy(self, here: Mapping[str, Any]) -> None:
        """Where ``volens proxy`` listens, and whom it fronts."""
        if "listen" in here and not re.fullmatch(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]*):\d{1,5}", here["listen"]):
            self.wrong(("proxy", "listen"), f"{here['listen']!r} is not an address with a port.", "Write '127.0.0.1:8080'.")
        if here.get("upstream") and not (here["upstream"].startswith("http") and self.is_link(here["upstream"])):
            self.wrong(("proxy", "upstream"), f"{here['upstream']!r} is not an address.", "Write 'http://127.0.0.1:3000'.")
        for network in here.get("trusted", ()):
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                self.wrong(("proxy", "trusted"), f"{network!r} is not a network ({error}).", "Write addresses, as in '10.0.0.0/8'.")

    def header(self, path: Path_, name: str) -> bytes:
        """A request header's name, lower-case; empty where there is none."""
        folded = name.lower()
        if folded and not re.fullmatch(r"[a-z0-9!#$%&'*+.^`|~-]+", folded):
            self.wrong(path, f"{name!r} is no header name.", "Write the name alone: 'CF-IPCountry'.")
            return b""
        return folded.encode()

    def regions(self, here: Mapping[str, Any], declared: Mapping[str, Purpose]) -> Regions | None:
        """Whether the law of the visitor's place is followed, and who says where that is."""
        header, part = (self.header(("regions", name), here.get(name, "")) for name in ("header", "subdivision"))
        exempt = tuple(self.known_purpose(("regions", "uk_exempt"), name, declared) for name in here.get("uk_exempt", ()))
        if not here.get("follow", False):
            return None
        if not header:
            found = "nobody says where a visitor is, so everybody would be under the strictest law."
            self.wrong(("regions", "follow"), found, 'Name the header in which your own front writes the country: header = "CF-IPCountry".')
            return None
        return Regions(header, part, exempt)

    def address(self, here: Mapping[str, Any], declared: Mapping[str, Purpose]) -> Address:
        """What the application is told of the visitor's address: no more after a refusal than after a grant."""
        place = self.replaced.get("geolocalisation", "geolocalisation")
        levels = {}
        for name, otherwise in (("granted", FULL), ("refused", "truncated")):
            levels[name] = self.one_of(("address", name), here.get(name, otherwise), ADDRESS_LEVELS)
        security = self.by_language(("address", "security"), here["security"]) if "security" in here else {}
        self.lint(("address", "security"), security)
        known = all(level in ADDRESS_LEVELS for level in levels.values())
        if known and ADDRESS_LEVELS.index(levels["refused"]) > ADDRESS_LEVELS.index(levels["granted"]):
            found = f"a refusal tells more ({levels['refused']}) than an agreement ({levels['granted']})."
            self.wrong(("address", "refused"), found, "Tell as much after both, or less after a refusal.")
        elif levels["refused"] == FULL and not security:
            remedy = 'Write refused = "truncated" or "none"; where security needs the whole address, say why: security.fr = "…".'
            self.wrong(("address", "refused"), "the whole address is told whatever the visitor answers.", remedy)
        purposes = []
        for name in here.get("purposes", (place,)):
            purpose = self.known_purpose(("address", "purposes"), name, declared) if "purposes" in here else name
            if (found_ := self.purpose_of(purpose, declared)) and found_.exempt:
                remedy = 'Name a purpose the visitor is asked about; where security needs the whole address, say why: security.fr = "…".'
                self.wrong(("address", "purposes"), f"{purpose!r} is exempt: the address would always be told.", remedy)
            purposes.append(purpose)
        places = tuple(name.lower().replace("_", "-") for name in here.get("places", ()))
        for header in places:
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", header):
                self.wrong(("address", "places"), f"{header!r} is no header name.", "Write the name alone: 'X-City'.")
        return Address(levels["granted"], levels["refused"], tuple(purposes), security, place, places)

    def hook(self, here: Mapping[str, Any], storage: tuple[StorageKey, ...], services: tuple[Service, ...]) -> Hook | None:
        """Where the site is told of changes, and of whom."""
        url, visitor = here.get("on_change", ""), here.get("visitor", "")
        if not url:
            self.wrong(("hooks", "on_change"), "missing.", 'Write the address that is told: on_change = "https://www.example.org/volens".')
            return None
        parts = urlsplit(url) if self.is_link(url) and not url.startswith("/") else None
        if parts is None or parts.fragment or "@" in parts.netloc:
            remedy = "Write https://… without name, password or '#'."
            self.wrong(("hooks", "on_change"), f"{url!r} is not the address of an end point.", remedy)
        elif parts.scheme == "http" and not _near_by(parts.hostname or ""):
            found = f"{url!r} goes over the net in the clear, and names visitors by the site's key."
            self.warn(("hooks", "on_change"), found, "Write an https:// address, or one of this machine.")
        declared = [*storage, *(key for service in services for key in service.storage)]
        if not visitor:
            found = "no key says whose choice has changed: the site is told that somebody withdrew, and can erase nothing."
            self.warn(("hooks",), found, 'Name the first-party cookie by which the site knows its visitors: visitor = "session".')
        elif not any(key.medium == "cookie" and key.party == "first" and key.matches(visitor) for key in declared):
            remedy = f"Declare it: [[storage]] name = {visitor!r}, with its purpose."
            self.wrong(("hooks", "visitor"), f"no first-party cookie {visitor!r} is declared.", remedy)
        sent = self.one_of(("hooks", "visitor_sent"), here.get("visitor_sent", "hashed"), ("hashed", "plain"))
        return Hook(url, visitor, sent == "plain")

    def proof(self, here: Mapping[str, Any]) -> Proof:
        """The witnesses, and how many of them are wanted under each checkpoint."""
        found: list[Witness] = []
        if here.get("witnesses"):
            from volens.ledger import cosign  # a tenth of a second that a site without witnesses need not wait
        for number_, table_ in enumerate(here.get("witnesses", ())):
            path = ("proof", "witnesses", number_)
            one = self.section(path, table_, SETTINGS["proof.witnesses"])
            url, key = one.get("url", "").rstrip("/"), one.get("key", "")
            parts = urlsplit(url) if self.is_link(url) and not url.startswith("/") else None
            if parts is None or parts.query or parts.fragment or "@" in parts.netloc:
                remedy = "Write the address its keeper has told: https://… without name, password, '?' or '#'."
                self.wrong((*path, "url"), f"{url!r} is not the address of a witness." if url else "missing.", remedy)
            elif parts.scheme == "http" and not _near_by(parts.hostname or ""):
                found_ = f"{url!r} goes over the net in the clear: what it says is checked all the same, but anybody can hold it up."
                self.warn((*path, "url"), found_, "Write an https:// address where there is one.")
            try:
                public = cosign.PublicKey.parse(key)
            except SignedNoteError as error:
                self.wrong((*path, "key"), str(error) if key else "missing.", "Its keeper tells it: volens witness key, or its address.")
                continue
            if public.kind != cosign.WITNESS:
                self.wrong((*path, "key"), f"{key!r} is the key of a log.", "Write that of the witness: volens witness key.")
            if any(cosign.PublicKey.parse(other.key).public == public.public for other in found):
                self.wrong((*path, "key"), f"{key!r} stands twice.", "A witness counts once: remove one.")
            found.append(Witness(url, key))
        quorum = here.get("quorum", 0)
        if quorum > len(here.get("witnesses", ())):
            remedy = "Name as many under [proof] witnesses, or ask for fewer."
            self.wrong(("proof", "quorum"), f"{quorum} witnesses are wanted, and {len(found)} named.", remedy)
        return Proof(tuple(found), quorum)

    def retention(self, top: Mapping[str, Any], notice: Notice) -> Retention:
        """How long records are kept; never less than the choice that they prove (GDPR 7(1))."""
        here = self.section(("retention",), top.get("retention", {}), SETTINGS["retention"])
        purposes = here.get("purposes", {})
        terms: dict[Path_, Any] = {("retention", "days"): here["days"]} if "days" in here else {}
        for id, days in purposes.items():
            path: Path_ = ("retention", "purposes", id)
            if id not in notice.askable:
                self.warn(path, "no such purpose is asked about.", f"Right if it once was; else use one of {', '.join(notice.askable)}.")
            terms[path] = days
        least = 31 * notice.months
        for path, days in terms.items():
            if type(days) is not int or days < 1:
                self.wrong(path, f"{days!r}.", "Write a number of days.")
            elif days < least:
                found = f"{days} days, and a choice holds for {notice.months} months: it would go on without its proof."
                self.wrong(path, found, f"Write {least} or more.")
        sound = {id: days for id, days in purposes.items() if type(days) is int}
        return Retention(here.get("days"), sound)

    def theirs(self, top: Mapping[str, Any], purposes: tuple[Purpose, ...], services: tuple[Service, ...]) -> Theirs | None:
        """The consent tool that asks in Volens' place, and what its words mean (docs/how-to/another-notice.md)."""
        who = self.one_of(("notice",), top.get("notice", "volens"), ("volens", "theirs"))
        here = self.section(("theirs",), top.get("theirs", {}), SETTINGS["theirs"])
        if who != "theirs":
            if "theirs" in top:
                self.warn(("theirs",), 'notice is "volens": nobody reads this table.', 'Write notice = "theirs", or remove the table.')
            return None
        tools = Tools.packaged().all
        if "tool" not in here:
            self.wrong(("theirs", "tool"), "missing.", f"Name the consent tool that asks: one of {', '.join(sorted(tools))}.")
            return None
        name = self.one_of(("theirs", "tool"), here["tool"], tuple(sorted(tools)))
        tool = tools.get(name)
        if tool is None:
            return None
        known = {p.id for p in purposes if not p.exempt} | {s.id for s in services}
        read: dict[str, tuple[str, ...]] = {}
        for word, value in here.get("map", {}).items():
            ids: tuple[str, ...] = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
            if not ids or not all(isinstance(id, str) for id in ids):
                self.wrong(("theirs", "map", word), f"{value!r}.", 'Write what it grants: ["audience"].')
            for id in ids:
                if id not in known:
                    self.wrong(
                        ("theirs", "map", word),
                        f"{id!r} is no purpose or service that is asked about.",
                        f"One of {', '.join(sorted(known))}.",
                    )
            read[word] = ids
        if "map" not in here:  # what the tool's own words commonly mean, where this notice knows it
            read = {word: found for word, ids in tool.map.items() if (found := tuple(id for id in ids if id in known))}
            guessed = ", ".join(f"{word} -> {' '.join(ids)}" for word, ids in read.items()) or "nothing"
            self.warn(
                ("theirs", "map"),
                f"missing: by the catalog {guessed}.",
                "Write [theirs.map] yourself: only you know what your tool's words say.",
            )
        unmapped = sorted({p.id for p in purposes if not p.exempt} - {id for ids in read.values() for id in ids})
        if unmapped:
            self.warn(
                ("theirs", "map"),
                f"nothing of {tool.name} grants {', '.join(unmapped)}.",
                "Map a word of theirs to it, or it stays refused.",
            )
        sources = here.get("from", ())
        for source in sources:
            if not HELD.fullmatch(source):
                self.wrong(("theirs", "from"), f"{source!r}.", 'Write where the tool keeps its choice: "cookie NAME" or "local NAME".')
        return Theirs(tool, read, sources)

    def their_service(self, theirs: Theirs, services: tuple[Service, ...]) -> Iterable[Service]:
        """The tool as the notice names it: exempt, for it keeps a choice, and listed with what it keeps."""
        tool = theirs.tool
        if tool.id in {service.id for service in services}:
            return
        cookies = [*tool.cookies, *(source[7:] for source in theirs.sources if source.startswith("cookie "))]
        items = [*tool.items, *(source[6:] for source in theirs.sources if source.startswith("local "))]
        keys = [StorageKey(name, service=tool.id) for name in dict.fromkeys(cookies)]
        keys += [StorageKey(name, "local", service=tool.id) for name in dict.fromkeys(items)]
        yield Service(tool.id, tool.name, ("technique",), tool.hosts, tuple(keys))

    def fits_a_cookie(self, notice: Notice) -> None:
        """The longest answer must fit what is read back: a choice that is forgotten is asked again on every page (R19)."""
        ids = [*notice.askable, *("+" + service.id for service in notice.services_asked)]
        longest = len("1.") + 16 + 1 + 8 + 1 + sum(len(name) + 1 for name in ids)
        if longest > MAX_TEXT:
            found = f"{len(notice.services_asked)} services with long names: an answer may take {longest} characters, {MAX_TEXT} are kept."
            self.wrong(("services",), found, 'Give the services shorter names ([services.x] catalog = "…"), or declare fewer.')


def _near_by(host: str) -> bool:
    """Whether a host is this machine or an address of a private network."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".internal")) or "." not in host
