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
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from volens.accounts import Accounts, Row, mark
from volens.audience.counts import Counts
from volens.audience.view import read
from volens.catalog import Catalog
from volens.choice import (
    ACCOUNT,
    ACCOUNT_NO,
    AGE,
    COOKIE,
    GRANT_COOKIE,
    HOST_ONLY,
    RECORD_COOKIE,
    Choice,
    RecordTag,
    Signals,
    expires,
    host_only,
)
from volens.defaults import unconfigured
from volens.enforce import csp, gates, guard
from volens.enforce.address import shown, told
from volens.enforce.exchange import WHOLE, Exchange, Learnt, Memo, State, TextOnly
from volens.enforce.headers import Pairs, cookies, get, get_all, private, with_consent, without
from volens.enforce.hosts import Hosts
from volens.enforce.storage import Storage, is_own
from volens.enforce.url import Target
from volens.errors import ChoiceError, StoreError
from volens.findings import Findings
from volens.foreign import Tools
from volens.ledger.keeping import Keeping
from volens.ledger.keyring import Demonstration
from volens.ledger.note import LogKeys
from volens.ledger.publish import Publisher
from volens.ledger.store import Store
from volens.policy import Decision, Grant, grant
from volens.regimes import regime_of
from volens.site import FULL, Audience, Gate, Site
from volens.web.asked import Account, Asked
from volens.web.endpoints import Endpoints, foreign_choice
from volens.web.hooks import Sender
from volens.web.messages import Reply, Request, Waiting
from volens.web.metrics import Metrics
from volens.web.observe import Observer
from volens.web.rate import Rate
from volens.web.recent import Recent
from volens.web.screens import Screens
from volens.web.shown import keep_shown, renderings

log = logging.getLogger("volens")

MAX_BODY = 1 << 18
"""Bytes of a request's body that our own end points and gates read."""
WEEKS = 3
"""Weeks in which a page can still be answered: what a browser or a cache in front has kept for a fortnight."""
PROOF = 8
"""Digits that prove that the notice was served; an address may guess forty at once and two a second."""
CACHE_KEY = 16
"""Digits of the tag in ``volens-grant``."""
_PAGE = re.compile(rb"\s*(?:text/html|application/xhtml\+xml)\s*(?:;|\Z)", re.IGNORECASE)
_ACCOUNT = re.compile(r"1\.([0-9a-f]{32})\.([0-9a-f]{8}|-)\.([0-9a-f]{32})")
_ACCOUNT_NO = re.compile(r"1\.(\d{4}-\d\d-\d\d)\.([0-9a-f]{32})")
PATIENCE = 1.0
"""Seconds in which a refusal that waited is to be written while a page is asked for."""
_ALONE = re.compile(r"(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])(?::\d*)?")
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
        if self.accounts is None or (names := _account_names(request)) is None:
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
        names = _account_names(request) if self.accounts is not None else None
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
        names = _account_names(request)
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


def _account_names(request: Request) -> tuple[str, str] | None:
    """What the cookies of an account are called here: over https so that no other host of the domain can set them. None over plain
    http, where whoever answers for a sub-domain could, but for a host that has none: an address, or this machine."""
    if request.scheme == "https":
        return HOST_ONLY + ACCOUNT, HOST_ONLY + ACCOUNT_NO
    return (ACCOUNT, ACCOUNT_NO) if _ALONE.fullmatch(request.host) else None


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


def answer_text(choice: Choice | None) -> str:
    """What of a choice changes a page: notice and answers, not the day."""
    if choice is None:
        return ""
    version, notice, _, answers = choice.text().split(".", 3)
    return f"{version}.{notice}..{answers}"


class Visit:
    """One request of one visitor, as a face sees it."""

    body_limit = MAX_BODY

    def __init__(
        self,
        gateway: Gateway,
        site: Site,
        request: Request,
        host: str,
        granted: Grant,
        choice: Choice | None,
        record: str | None,
        account: Account | None = None,
        *,
        failing: bool = False,
    ) -> None:
        """``account``: of a logged-in reader, whose choice applies.

        ``failing``: something of ours is broken already, so that pages are served as text."""
        self._gateway, self.site, self._request = gateway, site, request
        self.grant, self._choice, self._record, self._host = granted, choice, record, host
        self._account = account
        self.account_of: Callable[[], object] = lambda: None
        """What the application says beside its answer, where it runs in this process: the account's id, or '' for logged out."""
        path = request.target.partition(b"?")[0]
        self.own = path.startswith(site.prefix.encode()) or path == site.prefix.rstrip("/").encode()
        self._gate: tuple[Gate, Decision] | None = None
        self._refused_path = False
        self._instead: Reply | None = None
        self._text: TextOnly | None = None
        self._copy: list[bytes] | None = None  # of a page that is looked at beside
        self._copied, self._copy_kind = 0, ""
        self._copy_pairs: Pairs = []
        self.forward: Pairs = []
        self.observed = site.mode == "observe" and not gateway.bypassed
        self.left = gateway.bypassed or self.observed
        if self.observed:
            self._observe()
            return
        if not failing:
            try:
                self._begin(gateway, site, request)
                return
            except Exception:
                log.exception("a request could not be judged; its page is served as text with third parties withheld")
        self._give_up(path.decode("latin-1"))

    def _begin(self, gateway: Gateway, site: Site, request: Request) -> None:
        self.left = self.left or (not self.own and _left_alone(site, request.target))
        if not self.own and not gateway.bypassed:
            self._gate = gates.closed(site.gates, request.method, request.target, self.grant, request.pairs)
            self.own = self._gate is not None
            self._refused_path = not self.own and not self.left and self._collects()
            self.own = self.own or self._refused_path
            if not self.own and not self.left:
                self._instead = self._tool_file() or self._farewell()
                self.own = self._instead is not None
        if not self.own:
            if self.left:
                self.forward = with_consent(_without_own(request.pairs), self.grant)
            else:
                self.forward = self._told(self._exchange.ask(request.pairs, request.target))

    def _observe(self) -> None:
        """The request goes on as it came, but for what is ours alone: our cookies, and the word that only we may say."""
        self._pass()
        if not self.own:
            self._gateway.observer.asked(self.site, self._request, self._host)

    def _pass(self) -> None:
        try:
            pairs = _without_own(self._request.pairs)
        except Exception:
            log.exception("a request could not be read; it goes on as it came")
            pairs = self._request.pairs
        self.forward = [pair for pair in pairs if pair[0].lower().replace(b"_", b"-") != b"volens-consent"]

    def _give_up(self, path: str) -> None:
        """Something of ours is broken: nothing is granted, no cookie passes, pages are text, and what is gated stays closed."""
        request, self.left, self._text = self._request, False, TextOnly()
        self.grant, self._choice, self._record, self._gate, self._refused_path = (
            grant(self.site.notice, None, Signals(), self._gateway.now().date()),
            None,
            None,
            None,
            False,
        )
        prefix = self.site.prefix
        self.own = path.startswith(prefix) or path == prefix.rstrip("/")
        if self.own:
            return
        if self._gateway.bypassed:  # the way out of whatever is broken here
            self.left, self._text = True, None
            self._pass()
            return
        gated = self.site.gates and (request.method not in ("GET", "HEAD") or any(g.pattern.fullmatch(path) for g in self.site.gates))
        works = (request.get(b"sec-fetch-dest") or b"").strip().lower() in (b"worker", b"sharedworker", b"serviceworker")
        if gated or works:
            self._instead, self.own = _broken(503), True
            return
        kept = [p for p in request.pairs if (name := p[0].lower()) in _PLAIN_FIELDS or name.startswith(b"sec-fetch-")]
        self.forward = with_consent([*kept, (b"accept-encoding", b"identity")], self.grant)

    @cached_property
    def _state(self) -> State:
        gateway, request = self._gateway, self._request
        if not gateway.assets.guard:
            raise RuntimeError("static/guard.js is missing from the package; install Volens again")
        hosts, storage = gateway.judges(self.site, self.grant, self._host)
        screens = gateway.screens(self.site)
        accept = (request.get(b"accept-language") or b"").decode("latin-1")
        fallback = screens.language("", accept)
        port = request.host.rpartition(":")[2] if re.search(r":\d+\Z", request.host) else ""
        path = request.target.decode("latin-1")
        destination = (request.get(b"sec-fetch-dest") or b"").decode("latin-1").strip().lower()
        # Where another site frames the page no choice is taken: a frame can be dressed up and pressed through.
        came_from = (request.get(b"sec-fetch-site") or b"").strip().lower()
        foreign = destination == "iframe" and came_from in (b"cross-site", b"same-site")

        def area(path: str, id: str, language: str) -> str:
            found = gates.asking(self.site.gates, path, self.grant)
            return screens.area(*found, self.grant, screens.language(language, accept), id, framed=foreign) if found else ""

        return State(
            hosts=hosts,
            storage=storage,
            page=Target(request.scheme, self._host.strip("[]"), path if path.startswith("/") else "/", port),
            code=gateway.assets.guard,
            worker_code=gateway.assets.worker,
            style=screens.style,
            dress=lambda language: screens.dress(self.grant, screens.language(language, accept), framed=foreign).body,
            place=lambda withheld: screens.place(
                hosts.shown(withheld.target),
                replace(withheld, language=screens.language(withheld.language, accept)),
                locked=self.grant.locked,
            ),
            place_style=screens.place_style,
            area=area if self.site.gates and self.site.theirs is None else None,
            answer=answer_text(self._choice),
            language=fallback,
            named=gateway.named(self.site),
            destination=destination,
            method=request.method,
            xhr=(request.get(b"x-requested-with") or b"").strip().lower() == b"xmlhttprequest",
            accepts_html=b"text/html" in (request.get(b"accept") or b"text/html"),
            ports=port,
            posted=request.method not in ("GET", "HEAD"),
            foreign=foreign,
            shared=self._shared and destination in ("", "document") and request.method in ("GET", "HEAD"),
            reports=gateway.sampled(self.site),
            unreadable=lambda: ((made := self._trouble(502, "unreadable")).pairs, made.body),
        )

    @property
    def kind(self) -> str:
        """Who answers, for the numbers."""
        if self._gate is not None:
            self._gateway.metrics.withheld({"gate": 1})
            return "gate"
        if self._refused_path or self._instead is not None:
            self._gateway.metrics.withheld({"path": 1})
            return "withheld"
        if self.own:
            return "own"
        if self.left:
            return "left"
        return "page" if self._text is not None or self._state.document else "other"

    def upstream_failed(self, kind: str) -> None:
        """Count that the site's answer did not come, or not whole."""
        self._gateway.metrics.add(f'volens_upstream_errors_total{{kind="{kind}"}}')

    @cached_property
    def _shared(self) -> bool:
        """Whether this visitor is in the state of everybody who has said nothing, or of all who say by their ``volens-grant`` that they
        answered so and did, and the site lets caches in front keep that page."""
        grant, own = self.grant, [pair for pair in self._request.cookies if is_own(pair[0])]
        if grant.answered and self._choice is not None:
            short, proof = (host_only(name, self._request.scheme) for name in (GRANT_COOKIE, RECORD_COOKIE))
            keys = [value for name, value in own if name == short]
            known = {COOKIE, proof, short}.issuperset(name for name, _ in own)
            return len(keys) == 1 and known and self._gateway.is_cache_key(keys[0], self.site, self._choice, grant)
        said = grant.answered or grant.gpc or grant.overrides_gpc or grant.objects or grant.locked or grant.regime
        return self.site.shared and not said and not own

    @cached_property
    def _exchange(self) -> Exchange:
        return Exchange(self._state, self._gateway.memo, self._gateway.learnt)

    def _tool_file(self) -> Reply | None:
        """What stands in for a consent tool's file on the site's own host, asked for by a page or by its scripts."""
        path = self._request.target.partition(b"?")[0].decode("latin-1")
        destination = (self._request.get(b"sec-fetch-dest") or b"").lower()
        tools = Tools.packaged()
        if destination in (b"document", b"image") or self._request.method not in ("GET", "HEAD") or not tools.path(path):
            return None
        hosts, _ = self._gateway.judges(self.site, self.grant, self._host)
        tool = hosts.tool("", path)
        if tool is None:
            return None
        styled = path.lower().endswith(".css")
        text = "" if styled else tool.stand_in_module if tools.module(path) else tool.stand_in
        kind = b"text/css" if styled else b"text/javascript; charset=utf-8"
        pairs = [(b"content-type", kind), (b"cache-control", b"no-cache"), (b"vary", b"Cookie, Sec-GPC, Sec-Fetch-Dest")]
        return Reply(200, pairs, text.encode())

    def _farewell(self) -> Reply | None:
        """What replaces a service worker that was there before us, where none may be."""
        if (self._request.get(b"sec-fetch-dest") or b"").strip().lower() != b"serviceworker" or self._request.method != "GET":
            return None
        hosts, storage = self._gateway.judges(self.site, self.grant, self._host)
        if hosts.open or guard.service_workers(hosts):
            return None
        pairs = [(b"content-type", b"text/javascript; charset=utf-8"), (b"cache-control", b"no-store")]
        return Reply(200, pairs, guard.farewell(storage).encode())

    def _collects(self) -> bool:
        """Whether the request itself is for a first-party collection end point that is not granted."""
        destination = (self._request.get(b"sec-fetch-dest") or b"").strip().lower()
        if destination == b"document":
            return False
        hosts, _ = self._gateway.judges(self.site, self.grant, self._host)
        target = self._request.target.decode("latin-1")
        if destination:
            return hosts.collection(self._host, target)
        # A browser that does not say what it asks for: a page names HTML (Fetch 4.1), what stands in a page does not.
        return hosts.objected(target) and b"text/html" not in (self._request.get(b"accept") or b"").lower()

    # Our own answers

    def answer(self, body: bytes) -> Reply | Waiting:
        """The reserved path's answer, or a closed gate's. Where that fails, a plain word."""
        try:
            made = self._answer(body)
        except Exception:
            log.exception("a page of ours could not be made")
            return _broken(500)
        if isinstance(made, Reply):
            return made
        waited = made.then

        def then(result: Any) -> Reply:
            try:
                return waited(result)
            except Exception:
                log.exception("a page of ours could not be made")
                return _broken(500)

        return Waiting(made.future, then)

    def _answer(self, body: bytes) -> Reply | Waiting:
        if self._instead is not None:
            return self._instead
        if self._refused_path:
            return Reply(204, [(b"cache-control", b"no-store"), (b"vary", b"Cookie, Sec-GPC, Sec-Fetch-Dest")])
        request = self._request.with_body(body)
        accept = (request.get(b"accept-language") or b"").decode("latin-1")
        asked = Asked(
            request,
            self.site,
            self.grant,
            self._account.row.choice if self._account is not None and self._account.row is not None else self._choice,
            self._record,
            self._host,
            self._gateway.screens(self.site).language("", accept),
            self._account,
        )
        if self._gate is not None:
            return self._gateway.endpoints.gate(asked, *self._gate)
        return self._gateway.endpoints.answer(asked)

    def failed(self, kind: str) -> Reply:
        """A clear page where the application gave none: ``down``, ``slow`` or ``broken``."""
        accept = (self._request.get(b"accept-language") or b"").decode("latin-1")
        screens = self._gateway.screens(self.site)
        target = self._request.target.decode("latin-1")
        back = target if target.startswith("/") and not target.startswith("//") else "/"
        text = screens.problem(kind, screens.language("", accept), back=back)
        return self._gateway.endpoints.page(self.site, 504 if kind == "slow" else 502, text)

    def too_large(self) -> Reply:
        """413: more than ``body_limit`` was sent to a page of ours."""
        return self._trouble(413, "large")

    def _trouble(self, status: int, kind: str) -> Reply:
        request, screens = self._request, self._gateway.screens(self.site)
        accept = (request.get(b"accept-language") or b"").decode("latin-1")
        target = request.target.decode("latin-1")
        back = target if status == 502 and target.startswith("/") and not target.startswith("//") else ""
        return self._gateway.endpoints.trouble(self.site, request.pairs, status, kind, screens.language("", accept), back)

    # Who the visitor is

    def forwarded(self, pairs: Pairs) -> Pairs:
        """Request fields as the application may have them: the visitor's address and place by grant. A face that adds fields asks too."""
        try:
            return self._told(pairs)
        except Exception:
            log.exception("whose address may be told could not be judged")
            return pairs if self.left else []

    def _told(self, pairs: Pairs) -> Pairs:
        return told(pairs, self._level, placed=self.placed, places=self._gateway.places(self.site))

    def client(self, address: str) -> str:
        """The visitor's address as the application may have it; it comes without its port unless it comes whole."""
        return shown(address, self._level) if address else ""

    @cached_property
    def whole_address(self) -> bool:
        """Whether the address, and with it the port, reaches the application as it came."""
        return self._level == FULL

    @cached_property
    def placed(self) -> bool:
        """Whether the application may know where the visitor is."""
        return self.left or self.grant.allows(self.site.address.place)

    @cached_property
    def _level(self) -> str:
        return FULL if self.left else self.site.address.level(self.grant)

    # The application's answers

    def early(self, pairs: Pairs) -> Pairs:
        """The fields of a 103 that may be sent."""
        if self.left:
            return pairs
        try:
            return [] if self._text is not None else self._exchange.early(pairs)
        except Exception:
            log.exception("hints could not be judged; none are sent")
            return []

    def _aged(self, pairs: Pairs) -> tuple[Pairs, Pairs]:
        """The head without what the application says of the visitor's age, which is for us alone, and the cookie that remembers it for
        this session. A minor's page is judged again before anything of it is sent (R41)."""
        said = [value.strip().lower() for value in get_all(pairs, b"volens-age")]
        if not said:
            return pairs, []
        pairs = without(pairs, b"volens-age")
        if self.observed:
            return pairs, []
        minor, known = b"minor" in said, any(name == AGE for name, _ in self._request.cookies)
        secure = "; Secure" if self._request.scheme == "https" else ""
        if minor and not self.grant.locked and not self.left and not self.observed and self._text is None:
            try:
                locked = self._gateway.locked(self.site, self._choice, self._record, self._request)
                self.grant = replace(locked, account=self.grant.account)
                for made in ("_state", "_exchange", "_shared"):
                    self.__dict__.pop(made, None)
                self._exchange.ask(self._request.pairs, self._request.target)
            except Exception:
                log.exception("a minor's page could not be judged again; its text is served with third parties withheld")
                self._text = TextOnly()
        if minor == known:
            return pairs, []
        life = "" if minor else "; Max-Age=0"
        return pairs, [(b"set-cookie", f"{AGE}={'minor' if minor else ''}; Path=/{life}; HttpOnly; SameSite=Lax{secure}".encode())]

    def _logged(self, status: int, pairs: Pairs) -> tuple[Pairs, Pairs]:
        """The head without what the application says of who is logged in, which is for us alone, and the cookies that remember it."""
        said = {value.strip() for value in get_all(pairs, b"volens-account")}
        kept = get(pairs, b"age")
        pairs = without(pairs, b"volens-account") if said else pairs
        gateway, site, request, now = self._gateway, self.site, self._request, self._account
        if gateway.accounts is None or self.observed or gateway.bypassed:
            return pairs, []
        if said and kept is not None and kept.strip(b" 0"):  # RFC 9111 5.1
            log.error("a cache has kept an answer that says who is logged in; nothing is remembered by it")
            said = set()
        beside = self.account_of()
        if isinstance(beside, (str, bytes)):
            said.add((beside.encode("utf-8", "surrogatepass") if isinstance(beside, str) else beside).strip())
        names = _account_names(request)
        if names is None:
            if said - {b""}:
                gateway.plain(self._host)
            return pairs, []
        if said and (len(said) > 1 or said == {b""}):  # logged out, or two names at once: nobody's
            held = {name for name, _ in request.cookies}
            gone = [gateway.account_cookie(site, request, "", ""), gateway.aside_cookie(site, request, "", None)]
            return pairs, [line for name, line in zip(names, gone, strict=True) if name in held]
        if said:
            hash, *older = gateway.account_hashes(site, min(said))
            if now is None or now.hash != hash:
                if older:
                    gateway.accounts.move(site.name, older, hash)
                gateway.accounts.prune(site.name, site.notice.months)
                same = now is not None and now.hash in older
                out = [gateway.account_cookie(site, request, hash, now.told if same and now else "")]
                if now is not None and (now.aside or now.written):
                    out.append(gateway.aside_cookie(site, request, hash, now.aside if same else None))
                return pairs, out
        return pairs, self._told_account(now, status, pairs) if now is not None and not self.left else []

    def _told_account(self, now: Account, status: int, pairs: Pairs) -> Pairs:
        """What is remembered once this page has said that the account's choice holds here."""
        gateway, site, request = self._gateway, self.site, self._request
        out: Pairs = [gateway.aside_cookie(site, request, now.hash, None)] if now.written else []
        types = get_all(pairs, b"content-type")
        purpose = request.get(b"sec-purpose")
        shown = status == 200 and types and _PAGE.match(types[-1]) and purpose is None and request.method == "GET"
        framed = (request.get(b"sec-fetch-dest") or b"document").strip().lower() != b"document"
        if shown and not framed and self.grant.account == "told" and now.row is not None and self._text is None:
            out.append(gateway.account_cookie(site, request, now.hash, mark(now.row.choice)))
        return out

    def _said(self, status: int, pairs: Pairs) -> tuple[Pairs, Pairs]:
        """The head without what the application says for us alone, and our cookies of it."""
        pairs, age = self._aged(pairs)
        try:
            pairs, account = self._logged(status, pairs)
        except Exception:
            log.exception("who is logged in could not be told; nothing is remembered of it")
            return without(pairs, b"volens-account"), age
        return pairs, age + account

    def whole(self, status: int, pairs: Pairs, body: bytes) -> tuple[int, Pairs, bytes]:
        """An answer that is all at hand. An error of ours serves the text with third parties withheld, never the raw page."""
        pairs, said = self._said(status, pairs)
        status, pairs, body = self._whole(status, pairs, body)
        return status, self._mine(pairs, said), body

    def _mine(self, pairs: Pairs, said: Pairs) -> Pairs:
        """With our cookies of what the application said. A page under an account is kept by nobody: *Back* after a log-out, or after a
        withdrawal on another device, would show it as it was, and nothing that a script can read tells."""
        types = get_all(pairs, b"content-type")
        if self._account is not None and not self.left and types and _PAGE.match(types[-1]):
            pairs = [*without(pairs, b"cache-control", b"expires"), (b"cache-control", b"private, no-store")]
        return private(pairs + said) if said else pairs

    def _whole(self, status: int, pairs: Pairs, body: bytes) -> tuple[int, Pairs, bytes]:
        if self.observed:
            status, out = self._noted(status, pairs)
            if self._copy is not None:
                self._copy.append(body)
            self._looked()
            return status, out, body
        if self.left:
            return status, pairs, body
        try:
            if self._text is None:
                status, pairs, body = self._exchange.whole(status, pairs, body)
                self._count(status, pairs)
                return status, pairs, body
        except Exception:
            log.exception("a page could not be rewritten; its text is served with third parties withheld")
        self._text = TextOnly()
        if self._request.method == "HEAD":
            status, pairs = self._text.head(status, pairs)
            return status, pairs, body
        return self._text.whole(status, pairs, body)

    def head(self, status: int, pairs: Pairs) -> tuple[int, Pairs]:
        """Status and headers before the body."""
        pairs, said = self._said(status, pairs)
        status, pairs = self._head(status, pairs)
        return status, self._mine(pairs, said)

    def _head(self, status: int, pairs: Pairs) -> tuple[int, Pairs]:
        if self.observed:
            return self._noted(status, pairs)
        if self.left:
            return status, pairs
        try:
            if self._text is None:
                status, pairs = self._exchange.head(status, pairs)
                self._count(status, pairs)
                return status, pairs
        except Exception:
            log.exception("a page could not be rewritten; its text is served with third parties withheld")
        self._text = TextOnly()
        return self._text.head(status, pairs)

    def _noted(self, status: int, pairs: Pairs) -> tuple[int, Pairs]:
        """The head as it came; of a page, with the wish that browsers report what a policy of ours would refuse."""
        try:
            gateway, site, request = self._gateway, self.site, self._request
            if gateway.findings is None:
                return status, pairs
            self._copy_pairs, self._copy_kind = pairs, gateway.observer.wants(request, status, pairs)
            if self._copy_kind:
                self._copy = []
            types = get_all(pairs, b"content-type")
            if status < 200 or status in (204, 205, 304) or not types or not _PAGE.match(types[-1]) or not gateway.sampled(site):
                return status, pairs
            policy = gateway.observer.policy(site, self._host, self._port)
            asking, where = csp.reporting(policy, site.prefix, pairs, secure=request.scheme == "https")
            if asking == policy:
                return status, pairs
            return status, [*pairs, *where, (b"content-security-policy-report-only", asking.encode("latin-1"))]
        except Exception:
            log.exception("a page could not be noted; it goes out as it came")
            return status, pairs

    def _looked(self) -> None:
        if self._gateway.findings is None:
            return
        body, self._copy = b"".join(self._copy or ()), None
        path = self._request.target.decode("latin-1")
        page = Target(self._request.scheme, self._host.strip("[]"), path if path.startswith("/") else "/", self._port)
        try:
            self._gateway.observer.look(self.site, self._request, page, self._copy_pairs, self._copy_kind, body)
        except Exception:
            log.exception("a page could not be looked at; it went out as it came")

    @property
    def _port(self) -> str:
        return self._request.host.rpartition(":")[2] if re.search(r":\d+\Z", self._request.host) else ""

    def _count(self, status: int, pairs: Pairs) -> None:
        """Count a page view, where this answer is one: HTML with 200, or 304 for a page the browser has and shows.

        What Volens leaves alone it doesn't count: no page there tells the visitor of it, or lets them object.
        """
        counts, site = self._gateway.audience, self.site
        if self._exchange.rewrites:
            self._gateway.metrics.add("volens_pages_rewritten_total")
        self._gateway.metrics.withheld(self._exchange.taken())
        if counts is None or site.audience is None or status not in (200, 304):
            return
        try:
            self._view(counts, site.audience, status, pairs)
        except Exception:
            log.exception("a page view could not be counted")

    def _view(self, counts: Counts, audience: Audience, status: int, pairs: Pairs) -> None:
        site = self.site
        if status == 200:
            types = get_all(pairs, b"content-type")
            if not types or not _PAGE.match(types[-1]):
                return
        elif not self._state.document:  # for a document only a page's own validator, marked by us, has reached the application
            return
        view = read(self._request.method, self._request.target, self._request.pairs, self._host, site.hosts, audience)
        if view is not None:
            counts.add(site.name, view)

    @property
    def streams(self) -> bool:
        """Whether ``feed`` changes anything."""
        if self._text is not None:
            return self._text.streams
        return not self.left and self._exchange.streams

    @property
    def watches(self) -> bool:
        """Whether ``feed`` is to be given the body all the same."""
        return self._copy is not None

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes of a body."""
        if self._copy is not None:
            self._copy.append(chunk)
            self._copied += len(chunk)
            if self._copied > WHOLE:
                self._copy = None
        if self._text is not None:
            return self._text.feed(chunk)
        return chunk if self.left else self._exchange.feed(chunk)

    def finish(self) -> bytes:
        """Its end."""
        if self.observed:
            self._looked()
        if self._text is not None:
            return self._text.finish()
        if self.left:
            return b""
        tail = self._exchange.finish()
        self._gateway.metrics.withheld(self._exchange.taken())
        return tail


def _left_alone(site: Site, target: bytes) -> bool:
    """Whether the operator leaves this path alone, however an application may spell it: in doubt it is enforced."""
    patterns, kept = _leaves(site.leave)

    def named(path: str, patterns: list[re.Pattern[str]]) -> bool:
        return any(p.fullmatch(path) or p.fullmatch(path.rstrip("/")) or p.fullmatch(path.rstrip("/") + "/") for p in patterns)

    paths = gates.spellings(target) if patterns else ()
    return bool(patterns) and all(named(path, patterns) for path in paths) and not any(named(path, kept) for path in paths)


@lru_cache(64)
def _leaves(leave: tuple[str, ...]) -> tuple[list[re.Pattern[str]], list[re.Pattern[str]]]:
    """The paths left alone, and those of them that are not."""
    kept = [re.compile(_glob(pattern[1:]), re.IGNORECASE) for pattern in leave if pattern.startswith("!")]
    return [re.compile(_glob(pattern)) for pattern in leave if not pattern.startswith("!")], kept


def _glob(pattern: str) -> str:
    return ".*".join(map(re.escape, pattern.split("*")))


def _without_own(pairs: Pairs) -> Pairs:
    """The request without our cookies: they must not become the identifier the visitor refused."""
    if not any(b"volens" in value for value in get_all(pairs, b"cookie")):
        return pairs
    kept = [f"{n}={v}" if n else v for n, v in cookies(pairs) if not is_own(n)]
    out = without(pairs, b"cookie")
    return [*out, (b"cookie", "; ".join(kept).encode("latin-1"))] if kept else out


_PLAIN_FIELDS = frozenset(
    [b"host", b"accept", b"accept-language", b"content-type", b"content-length", b"user-agent", b"authorization", b"origin", b"referer"]
    + [b"x-requested-with", b"upgrade", b"connection", b"transfer-encoding", b"expect", b"date", b"priority"]
    + [b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-protocol", b"sec-websocket-extensions"]
)
"""Fields of a request that reach the application while we cannot judge: none that names or places the visitor."""


def _broken(status: int) -> Reply:
    return Reply(status, [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")], _APOLOGY)


_APOLOGY = "Cette page n’a pas pu être faite. Réessayez.\nThis page could not be made. Try again.\n".encode()
