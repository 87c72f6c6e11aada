"""The gateway: one per process. Reads who asks, decides once, and hands each request's answer to an Exchange.

The story of a request (DESIGN §7) is ``visit``: site by host, choice by cookie, grant by policy, then either an
answer of our own (reserved path, closed gate) or the application's, through the Exchange. No I/O of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib import resources
from pathlib import Path

from volens.accounts import Accounts, Row, mark
from volens.audience.counts import Counts
from volens.catalog import Catalog
from volens.choice import (
    ACCOUNT,
    AGE,
    COOKIE,
    HOST_ONLY,
    RECORD_COOKIE,
    Choice,
    RecordTag,
    Signals,
    expires,
    host_only,
)
from volens.defaults import unconfigured
from volens.enforce.exchange import Learnt, Memo
from volens.enforce.headers import Pairs, cookies
from volens.enforce.hosts import Hosts
from volens.enforce.storage import Storage
from volens.errors import ChoiceError, StoreError
from volens.findings import Findings
from volens.ledger.keeping import Keeping
from volens.ledger.keyring import Demonstration
from volens.ledger.note import LogKeys
from volens.ledger.publish import Publisher
from volens.ledger.store import Store
from volens.policy import Grant, grant
from volens.regimes import regime_of
from volens.site import Site
from volens.web.asked import Account, account_names
from volens.web.choosing import foreign_choice
from volens.web.endpoints import Endpoints
from volens.web.hooks import Sender
from volens.web.messages import Request
from volens.web.metrics import Metrics
from volens.web.observe import Observer
from volens.web.pages import Pages
from volens.web.rate import Rate
from volens.web.recent import Recent
from volens.web.screens import Screens
from volens.web.shown import keep_shown, renderings
from volens.web.visit import Visit

log = logging.getLogger("volens")

WEEKS = 3
"""Weeks in which a page can still be answered: what a browser or a cache in front has kept for a fortnight."""
PROOF = 8
"""Digits that prove that the notice was served; an address may guess forty at once and two a second."""
CACHE_KEY = 16
"""Digits of the tag in ``volens-grant``."""
_ACCOUNT = re.compile(r"1\.([0-9a-f]{32})\.([0-9a-f]{8}|-)\.([0-9a-f]{32})")
_ACCOUNT_NO = re.compile(r"1\.(\d{4}-\d\d-\d\d)\.([0-9a-f]{32})")
PATIENCE = 1.0
"""Seconds in which a refusal that waited is to be written while a page is asked for."""
_HOST = re.compile(r"[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\]")


@dataclass(frozen=True)
class Assets:
    """The packaged browser files: text of the inline ones, bytes of the others by the name they are served under."""

    guard: str
    worker: str
    embed: str
    dialog: str
    files: Mapping[str, tuple[bytes, str]]
    names: Mapping[str, str]

    @classmethod
    def packaged(cls) -> Assets:
        """Read once from ``static/``. A file is served under its name with its hash, for ever."""
        folder = resources.files("volens") / "static"
        found: dict[str, tuple[bytes, str]] = {}
        names: dict[str, str] = {}
        texts: dict[str, str] = {}
        for item in folder.iterdir():
            if not item.name.endswith(".js"):
                continue
            data = item.read_bytes()
            texts[item.name] = data.decode()
            if item.name == "dialog.js":
                continue  # nothing without the panel that is written in front of it
            stem = item.name[:-3]
            served = f"{stem}-{hashlib.sha256(data).hexdigest()[:8]}.js"
            names[stem] = served
            found[served] = found[item.name] = (data, "text/javascript; charset=utf-8")
        code = texts.get("guard.js", "").strip()
        lowered = code.lower()
        if not code.isascii() or "</script" in lowered or "<!--" in lowered or "]]>" in code:
            raise ValueError("static/guard.js cannot stand inline: it holds '</script', '<!--', ']]>' or a character beyond ASCII.")
        return cls(code, texts.get("guard-worker.js", ""), texts.get("embed.js", "").strip(), texts.get("dialog.js", ""), found, names)


class Gateway:
    """Everything one process needs to answer for a site (or, without one, for any host it is asked for)."""

    def __init__(
        self,
        site: Site | None,
        catalog: Catalog,
        store: Store,
        keys: Sequence[bytes],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        bypass: Callable[[], bool] = lambda: False,
        names: Path | None = None,
        audience: Counts | None = None,
        admin_token: str = "",
        hook_secrets: Sequence[bytes] = (),
        rate: Rate | None = None,
        findings: Findings | None = None,
        metrics: Metrics | None = None,
        log_keys: Callable[[str], LogKeys] | None = None,
        witnessed: Path | None = None,
        retained: Path | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        """``site`` None: unconfigured, every host its own demonstration. ``keys``: newest first. ``now`` is handed in so that
        tests can move the clock. ``names``: file in which workers share the names of HttpOnly cookies. ``audience``: where page
        views are counted. ``admin_token``: what opens the operator's pages; empty: being on this machine. ``hook_secrets``: what signs
        the site's hook, newest first; without one nothing is sent, and what is to be told waits. ``rate``: how often each address has
        answered until now. ``findings``: where what pages use is noted. ``log_keys``: what signs a site's log; without it nothing is
        published. ``witnessed``: the file in which the publisher says what the witnesses answer. ``retained``: that in which
        processes tell each other when records whose time is over were erased. ``accounts``: where the choices of logged-in readers are
        kept."""
        self.catalog, self.store, self.keys, self.now, self._bypassed = catalog, store, tuple(keys), now, bypass
        self.audience, self.admin_token, self.findings = audience, admin_token, findings
        self.accounts, self._plain = accounts, False
        self.observer = Observer(self)
        self._served = itertools.count()
        self.assets = Assets.packaged()
        self.memo, self.learnt = Memo(), Learnt(names)
        self.configuration = "in force"
        """Whether the file says what is served: ``mistaken`` where it has changed since and cannot be used."""
        self._token_keys = tuple(hashlib.sha256(b"volens-token/1" + key).digest() for key in self.keys)
        self._sites: Recent[Site] = Recent(1000)
        self._screens: Recent[Screens] = Recent(1000)
        self._grants: Recent[Grant] = Recent(20000)
        self._proofs: Recent[tuple[bytes, ...]] = Recent(1000)
        self._judges: Recent[tuple[Hosts, Storage]] = Recent(5000)
        self._site = site
        if site is not None:
            try:
                store.keep_notice(site.name, site.notice)
                known = {short: notice for short, notice in store.notices(site.name).items() if short != site.notice.short}
                self._site = replace(site, earlier={**known, **site.earlier})
            except OSError as error:
                log.error("the ledger cannot be read: %s; earlier notices are not known, grants cannot be recorded", error)
            else:
                self._keep_shown(store, site)
        self._places = frozenset(name.encode() for name in site.address.places) if site is not None else frozenset()
        if site is not None and site.regions is not None:  # what tells the law tells the place: nobody else is told
            self._places |= {name.replace(b"_", b"-") for name in (site.regions.header, site.regions.subdivision) if name}
        self.metrics = metrics or Metrics()
        self.log_keys, self.witnessed = log_keys or Demonstration(self.keys[0]), witnessed
        self.pages = Pages(self)
        self.endpoints = Endpoints(self, rate)
        self._sender: Sender | None = None
        if site is not None and site.hook is not None and hook_secrets:
            self._sender = Sender(store.outbox, site.name, site.hook.url, hook_secrets)
            self._sender.start()
        self._keeping: Keeping | None = None
        if site is not None and site.retention.terms and retained is not None:
            self._keeping = Keeping(store, site.name, site.retention, retained, now)
            self._keeping.start()
        self._publisher: Publisher | None = None
        if site is not None and log_keys is not None:

            def counted(outcome: str) -> None:
                self.metrics.add(f'volens_witness_answers_total{{outcome="{outcome}"}}')

            self._publisher = Publisher(store, site.name, log_keys, site.proof, state=witnessed, counted=counted)
            self._publisher.start()

    @staticmethod
    def _keep_shown(store: Store, site: Site) -> None:
        """Keep how the notice looks, where visitors see it."""
        try:
            if site.mode == "enforce":
                keep_shown(store, site, renderings(site))
        except OSError as error:
            log.error("how the notice looks was not kept: %s; it is tried again at the next start", error)

    def site(self, host: str) -> Site:
        """The site that answers for a host (without port)."""
        return self._site or self._sites.get(host, lambda: unconfigured(host))

    def screens(self, site: Site) -> Screens:
        """The screens of a site."""

        def make() -> Screens:
            static = {stem: site.prefix + name for stem, name in self.assets.names.items()}
            return Screens(site, {**static, "embed-text": self.assets.embed, "dialog-text": self.assets.dialog}, self.named(site))

        return self._screens.get((site.name, site.notice.digest, self._week()), make)

    def named(self, site: Site) -> str:
        """What our pages call the notice in an answer: its short digest, and the proof that a page of ours held it this week."""
        return f"{site.notice.short}.{self.token(_served(site, self._week()))[:PROOF]}"

    def is_named(self, site: Site, given: str) -> bool:
        """Whether ``given`` is what a page of the last weeks called the site's present notice; a machine may be ahead of this one."""
        short, _, proof = given.partition(".")
        week = self._week()

        def made() -> tuple[bytes, ...]:
            messages = [_served(site, one) for one in range(week + 1, week - WEEKS, -1)]
            return tuple(self.token(message, key)[:PROOF].encode() for message in messages for key in self._token_keys)

        proofs = self._proofs.get((site.name, site.notice.digest, week), made)
        told = proof.encode("utf-8", "replace")
        return short == site.notice.short and any([hmac.compare_digest(told, one) for one in proofs])

    def _week(self) -> int:
        return int(self.now().timestamp() // 604800)

    def cache_key(self, site: Site, choice: Choice, granted: Grant) -> str:
        """What ``volens-grant`` says of an answer: a digit for each purpose that is asked, in the notice's order, and a tag that nobody
        makes up. Empty where the purposes do not say all that a page depends on, or the site shares no such pages."""
        signals = granted.gpc or granted.overrides_gpc or granted.objects or granted.locked or granted.regime
        whole = choice.notice == site.notice.short and not (choice.services or choice.without or granted.asked or signals)
        if not (site.shared_answers and granted.answered and whole):
            return ""
        digits = "".join("01"[purpose in granted.purposes] for purpose in site.notice.askable)
        return f"{digits}.{self.token(_cached(site, digits))[:CACHE_KEY]}"

    def is_cache_key(self, given: str, site: Site, choice: Choice, granted: Grant) -> bool:
        """Whether ``given`` is that, by any of the keys."""
        digits, dot, _ = self.cache_key(site, choice, granted).partition(".")
        return bool(dot) and given.startswith(digits + dot) and self.is_token(given[len(digits) + 1 :], [_cached(site, digits)], CACHE_KEY)

    def hours(self) -> tuple[int, int]:
        """This hour and the one before: how long a token of ours holds."""
        hour = int(self.now().timestamp() // 3600)
        return hour, hour - 1

    def token(self, message: str, key: bytes | None = None) -> str:
        """What proves that this site said ``message``."""
        return hmac.new(key or self._token_keys[0], message.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]

    def is_token(self, given: str, messages: Iterable[str], digits: int = 32) -> bool:
        """Whether ``given`` proves one of ``messages``, by any of the keys; ``digits`` of the token are written."""
        made = [self.token(message, key)[:digits].encode() for message in messages for key in self._token_keys]
        return any([hmac.compare_digest(given.encode("utf-8", "replace"), one) for one in made])

    def places(self, site: Site) -> frozenset[bytes]:
        """The site's own names of fields that tell where the visitor is."""
        return self._places if site is self._site else frozenset()

    def visiting(self, request: Request) -> Future[Visit] | None:
        """The visit, made off the event loop where a file has to be read for it; None where ``visit`` reads none."""
        if self.accounts is None or not any(name in (ACCOUNT, HOST_ONLY + ACCOUNT) for name, _ in request.cookies):
            return None
        return self.accounts.apart(self.visit, request)

    def visit(self, request: Request, *, unread: bool = False) -> Visit:
        """Who asks and what is permitted: decided here, once. Where that fails, nothing is granted, and pages are text.

        ``unread``: the file of accounts did not answer in time; as where it cannot be read."""
        host = _bare(request.host)
        site = self.site(host)
        try:
            made = self._visit(request, host, site, unread)
        except Exception:
            log.exception("who asks could not be told; pages are served as text with third parties withheld")
            made = Visit(self, site, request, host, grant(site.notice, None, Signals(), self.now().date()), None, None, failing=True)
        try:
            kind = made.kind
        except Exception:
            kind = "other"  # what is broken there is told where it is needed
        self.metrics.add(f'volens_requests_total{{kind="{kind}"}}')
        return made

    def sampled(self, site: Site) -> bool:
        """Whether this page asks browsers to report: one in so many, whoever asks."""
        if self.findings is None or site.report_sample <= 0:
            return False
        every = max(1, round(1 / site.report_sample))
        return next(self._served) % every == every - 1

    def _visit(self, request: Request, host: str, site: Site, unread: bool) -> Visit:
        choice, record = self._choice(site, request)
        account = self._account(site, request, choice, record, unread)
        path = request.target.partition(b"?")[0].decode("latin-1")
        ours = path.startswith(site.prefix) and not path.startswith(f"{site.prefix}embed/")
        if choice is not None and not ours and not _still_theirs(site, choice, request.pairs):
            choice = record = None  # taken back where it was given, and not told to us yet
        signals = Signals(
            gpc=site.honour_gpc and (request.get(b"sec-gpc") or b"").strip() == b"1",
            objects=bool(site.notice.objectable and request.objection),
            locked=site.locked if site.locked and _minor(site, request) else frozenset(),
        )
        today = self.now().date()
        if account is None and self._torn(request):
            choice = record = None
        if account is not None:
            return self._of_account(site, request, host, signals, account, today)
        signals, until = self._placed(site, request, signals, choice, today)
        granted = self.granted(site, choice, signals, until, proven=record is not None)
        if not granted.answered:
            record = None
        return Visit(self, site, request, host, granted, choice if granted.answered else None, record)

    def granted(self, site: Site, choice: Choice | None, signals: Signals, today: date, *, proven: bool = True) -> Grant:
        """What is permitted, remembered between requests."""
        return self._grants.get(
            (site.name, site.notice.digest, choice, proven, signals, today),
            lambda: grant(
                site.notice,
                choice,
                signals,
                today,
                proven=proven,
                earlier=site.earlier_notice(choice.notice) if choice is not None else None,
            ),
        )

    def _of_account(self, site: Site, request: Request, host: str, signals: Signals, account: Account, today: date) -> Visit:
        """What the account's choice permits here; where the device has another of its own that the account has not answered over, the
        stricter of both (R37–R39). Without a choice of the account the device's own goes on holding, and nobody is asked twice."""
        if account.down:
            granted = replace(self.granted(site, None, signals, today, proven=False), account="own")
            return Visit(self, site, request, host, granted, None, None, account)
        row = account.row
        device, by = account.device, account.device_record
        own = self.granted(site, device, signals, today, proven=by is not None) if device is not None else None
        record = self._proven(site, row.choice, row.record) if row is not None else None
        theirs = self.granted(site, row.choice, signals, today, proven=record is not None) if row is not None else None
        if theirs is None or row is None or not theirs.answered:
            account = replace(account, row=None)
            choice = account.device if own is not None and own.answered else None
            record = account.device_record if choice is not None else None
            signals, today = self._placed(site, request, signals, choice, today)
            granted = self.granted(site, choice, signals, today, proven=record is not None)
            return Visit(self, site, request, host, replace(granted, account="own"), choice, record, account)
        if account.device is None or own is None or not own.answered or own.key == theirs.key or mark(account.device) in row.settled:
            state = "own" if account.told == mark(row.choice) else "told"
            return Visit(self, site, request, host, replace(theirs, account=state), row.choice, record, account)
        state = "own" if account.told == mark(row.choice, account.device) else "conflict"
        day = min(row.choice.day, account.device.day)
        strict = Choice.from_switches(site.notice, day, theirs.purposes & own.purposes, theirs.services & own.services)
        proven = record is not None and account.device_record is not None
        granted = replace(self.granted(site, strict, signals, today, proven=proven), account=state)
        return Visit(self, site, request, host, granted, strict, record, account)

    def locked(self, site: Site, choice: Choice | None, record: str | None, request: Request) -> Grant:
        """What a minor is granted: no law of a place and no earlier answer opens what is locked."""
        signals = Signals(objects=bool(site.notice.objectable and request.objection), locked=site.locked)
        earlier = site.earlier_notice(choice.notice) if choice is not None else None
        return grant(site.notice, choice, signals, self.now().date(), proven=record is not None, earlier=earlier)

    def _placed(self, site: Site, request: Request, signals: Signals, choice: Choice | None, today: date) -> tuple[Signals, date]:
        """What the law of the visitor's place adds, and the day by which a choice is judged. Doubt adds nothing: a place nobody
        names for certain, an answer that is there and does not hold."""
        if site.regions is None or not request.vouched or signals.locked:  # a minor is asked everywhere
            return signals, today
        country, part = ([v.decode("latin-1") for v in request.all(name)] for name in (site.regions.header, site.regions.subdivision))
        regime = regime_of(country[0], part[0] if part else "") if len(country) == 1 and len(part) < 2 else None
        if regime is None or not (regime.opt_out or (regime.exempts and site.regions.uk_exempt)):
            return signals, today
        gpc = signals.gpc or (regime.opt_out and (request.get(b"sec-gpc") or b"").strip() == b"1")
        presumed: frozenset[str] = frozenset()
        if choice is None and not any(name == COOKIE for name, _ in request.cookies):
            wide = frozenset(site.notice.askable) - {site.address.place} - (site.locked if gpc else frozenset())
            presumed = wide if regime.opt_out else wide.intersection(site.regions.uk_exempt)
        if regime.opt_out and choice is not None and choice.refuses_all:
            # Who has said no is not asked again, and nothing is presumed, when the six months are over (Cal. Civ. Code 1798.135(c)).
            today = min(today, expires(choice.day, site.notice.months))
        return replace(signals, gpc=gpc, regime=regime.id, presumed=presumed, unasked=regime.opt_out), today

    def _choice(self, site: Site, request: Request) -> tuple[Choice | None, str | None]:
        """The visitor's choice and the id of the record that proves it. Anything doubtful is no choice."""
        proof = host_only(RECORD_COOKIE, request.scheme)
        held = request.cookies
        tags = [value for name, value in held if name == proof]
        choices: list[Choice] = []
        texts = 0
        for name, value in held:
            if name == COOKIE:
                texts += 1
                with suppress(ChoiceError):  # a damaged answer is no answer: the notice asks again
                    choices.append(Choice.parse(value))
        if texts > 1 or len(tags) > 1:  # another host of the domain planted one: nothing is granted, and a refusal among them holds
            refusals = [choice for choice in choices if choice.refuses_all]
            return max(refusals, key=lambda c: (c.notice == site.notice.short, c.day), default=None), None
        if not choices:
            return None, None
        return choices[0], self._proven(site, choices[0], tags[0]) if tags else None

    def _proven(self, site: Site, choice: Choice, text: str) -> str | None:
        """The record that ``text``, a tag, proves to stand behind ``choice``."""
        try:
            tag = RecordTag.parse(text)
        except ChoiceError:
            return None
        return tag.record if tag.verifies(self.keys, site.name, choice) else None

    def _account(self, site: Site, request: Request, choice: Choice | None, record: str | None, unread: bool) -> Account | None:
        """The account that our cookie names and proves, with what it has answered. Anything doubtful is no account."""
        if self.accounts is None or (names := account_names(request)) is None:
            return None
        held: dict[str, set[str]] = {}
        for name, value in request.cookies:
            held.setdefault(name, set()).add(value)
        values = held.get(names[0], set())
        found = _ACCOUNT.fullmatch(min(values)) if len(values) == 1 else None
        if found is None or not self.is_token(found[3], (_logged_in(site, found[1]),)):
            return None
        today = self.now().date()
        if sum(name == COOKIE for name, _ in request.cookies) > 1:  # somebody's doing, to have this device's own refusal forgotten
            choice = Choice.refuse_all(site.notice, today)
        made = Account(found[1], found[2], device=choice, device_record=record)
        aside = self._aside(site, found[1], held.get(names[1], set()))
        if unread:
            return self._refused(site, made, aside) if aside is not None else replace(made, down=True)
        try:
            row = self.accounts.get(site.name, found[1])
            if aside is None:
                return replace(made, row=row)
            if row is None or row.choice.day <= aside:  # a later answer, from another device, has taken its place
                refused = self._refused(site, made, aside)
                assert refused.row is not None
                self.accounts.put(site.name, found[1], refused.row).result(PATIENCE)
                row = refused.row
            return replace(made, row=row, written=True)
        except (StoreError, TimeoutError) as error:
            log.error("the choice of an account cannot be read, so nothing is granted by it: %s", error)
            return self._refused(site, made, aside) if aside is not None else replace(made, down=True)

    def _torn(self, request: Request) -> bool:
        """Whether two cookies name accounts, one of which somebody planted: nothing is granted by any answer."""
        names = account_names(request) if self.accounts is not None else None
        return names is not None and len({value for name, value in request.cookies if name == names[0]}) > 1

    def _refused(self, site: Site, account: Account, day: date) -> Account:
        settled = (mark(account.device),) if account.device is not None else ()
        return replace(account, row=Row(Choice.refuse_all(site.notice, day), "", settled), aside=day)

    def _aside(self, site: Site, hash: str, values: set[str]) -> date | None:
        """The day of a refusal of this account that waits to be written."""
        found = _ACCOUNT_NO.fullmatch(min(values)) if len(values) == 1 else None
        if found is None or not self.is_token(found[2], (_refused_on(site, hash, found[1]),)):
            return None
        return date.fromisoformat(found[1])

    def account_hashes(self, site: Site, id: bytes) -> list[str]:
        """What names the account ``id`` in our file, by each key, the one that signs first."""
        return [self.token(f"account\0{site.name}\0{id.hex()}", key) for key in self._token_keys]

    def account_cookie(self, site: Site, request: Request, hash: str, told: str) -> tuple[bytes, bytes]:
        """Remembers for this session whose choice applies; forgets it where ``hash`` is empty."""
        text = f"1.{hash}.{told or '-'}.{self.token(_logged_in(site, hash))}" if hash else ""
        return self._for_session(request, 0, text)

    def aside_cookie(self, site: Site, request: Request, hash: str, day: date | None) -> tuple[bytes, bytes]:
        """Remembers for this session that the account refused on ``day``; forgets it where there is none."""
        text = f"1.{day.isoformat()}.{self.token(_refused_on(site, hash, day.isoformat()))}" if day is not None else ""
        return self._for_session(request, 1, text)

    def _for_session(self, request: Request, which: int, text: str) -> tuple[bytes, bytes]:
        names = account_names(request)
        assert names is not None
        life = "" if text else "; Max-Age=0"
        secure = "; Secure" if names[which].startswith(HOST_ONLY) else ""
        return b"set-cookie", f"{names[which]}={text}; Path=/{life}; HttpOnly; SameSite=Lax{secure}".encode()

    def judges(self, site: Site, granted: Grant, host: str) -> tuple[Hosts, Storage]:
        """Decisions about hosts and storage names, remembered between requests."""
        shown = (
            granted.asked,
            granted.new,
            granted.gpc,
            granted.overrides_gpc,
            granted.objects,
            granted.locked,
            granted.regime,
            granted.presumed,
            granted.account,
        )  # what the page is told goes by this grant too
        key = (site.name, site.notice.digest, granted.key, granted.answered, *shown, host)
        return self._judges.get(key, lambda: (Hosts(site, granted, self.catalog, host), Storage(site, granted, self.catalog)))

    def plain(self, host: str) -> None:
        """The application named an account over plain http, where a sub-domain could plant its cookie: said once."""
        if not self._plain:
            self._plain = True
            log.error("http://%s names an account; the choice follows it over https alone. Behind a front, have its scheme trusted.", host)

    def retire(self) -> None:
        """Another has taken its place and shares its store: end what runs for this one alone."""
        self.observer.stop()
        for thread in (self._sender, self._publisher, self._keeping):
            if thread is not None:
                thread.stop()

    def close(self) -> None:
        """Write what is still in memory: a forked worker runs no exit functions."""
        self.retire()
        for tally in (self.audience, self.findings):
            if tally is not None:
                tally.close()
        self.metrics.close()
        if self.accounts is not None:
            self.accounts.close()
        self.store.close()

    @property
    def bypassed(self) -> bool:
        """Whether the operator has switched Volens off for now."""
        return self._bypassed()


@lru_cache(1000)
def _bare(host: str) -> str:
    """Without the port; ``invalid`` where it is no host."""
    bare = host.rpartition(":")[0] if re.search(r":\d*\Z", host) else host
    return bare if _HOST.fullmatch(bare) else "invalid"


def _minor(site: Site, request: Request) -> bool:
    """Whether the application, remembered by a cookie of this session, or the site's own front says so."""
    if any(name == AGE and value == "minor" for name, value in request.cookies):
        return True
    said = request.all(site.age_header) if site.age_header and request.vouched else []
    return any(value.strip().lower() == b"minor" for value in said)


def _logged_in(site: Site, hash: str) -> str:
    return f"logged in\0{site.name}\0{hash}"


def _refused_on(site: Site, hash: str, day: str) -> str:
    return f"refused\0{site.name}\0{hash}\0{day}"


def _served(site: Site, week: int) -> str:
    return f"{site.name} {site.notice.digest} {week}"


def _cached(site: Site, digits: str) -> str:
    return f"{site.name} {site.notice.digest} grant {digits}"


def _still_theirs(site: Site, choice: Choice, pairs: Pairs) -> bool:
    """Whether the tool that asks in our place still grants what ``choice`` does, as far as the request's cookies say."""
    if site.theirs is None or not site.theirs.by_cookie or choice.refuses_all:
        return True
    now = foreign_choice(site, site.theirs.held(cookies(pairs)), choice.day)
    return now is not None and choice.purposes <= now.purposes and choice.services <= now.services and now.without <= choice.without
