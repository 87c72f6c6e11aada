"""A visitor's answer: read, proven to come from a page of ours, settled, and told. And *forget me*, which takes all of it back.

A grant's answer leaves only after its record is durable; a refusal needs nothing and nobody (DESIGN §8).
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Hashable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from volens.accounts import mark
from volens.audience.view import OBJECTION, OBJECTION_DAYS
from volens.choice import COOKIE, GRANT_COOKIE, HOST_ONLY, RECORD_COOKIE, Choice, RecordTag, Signals, expires, host_only
from volens.enforce.guard import keep
from volens.enforce.headers import expiries, tossed
from volens.enforce.storage import Storage, is_own
from volens.errors import ChoiceError, StoreBusy, StoreError
from volens.foreign import version_of
from volens.ledger.record import Count, Record, new_id
from volens.ledger.store import Kept
from volens.policy import Grant, Reason
from volens.regimes import opts_out
from volens.site import Site
from volens.web.asked import Asked, Fields, local
from volens.web.embeds import Embeds
from volens.web.given import BLANK, Given, Said, likeness, receipted
from volens.web.messages import Pairs, Reply, Waiting
from volens.web.proofs import Proofs
from volens.web.rate import Rate, household
from volens.web.recent import Recent
from volens.web.recording import Recording, after, both, made_of, row_of
from volens.web.replies import NO_STORE, SECURITY, changed, json_reply, quoted, see
from volens.web.screens import switched

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

log = logging.getLogger("volens")

CHOICE_BODY = 1 << 16
"""Bytes of a choice; what was typed at a gate may be longer."""
_SURFACES = ("notice", "panel", "embed", "gate", "band")
FORGOTTEN = (b"clear-site-data", b'"prefetchCache", "prerenderCache"')
"""Pages that the browser made ready by an earlier answer."""
_SILENT = Signals()
_METHODS = {
    "accept": "accept-all",
    "refuse": "refuse-all",
    "withdraw": "refuse-all",
    "switches": "panel",
    "service": "placeholder",
    "foreign": "foreign",
}


def foreign_choice(site: Site, held: Mapping[str, str], day: date) -> Choice | None:
    """The choice that the site's own consent tool keeps, in the notice's terms; None where nothing can be read for certain."""
    granted = site.theirs.granted(held) if site.theirs is not None else None
    if granted is None:
        return None
    assert site.theirs is not None
    mapped = {id for ids in site.theirs.map.values() for id in ids}
    purposes = granted.intersection(site.notice.askable)
    asked = site.notice.services_asked
    services = {
        s.id
        for s in asked
        if s.id in granted or (s.id not in mapped and purposes.issuperset(set(s.purposes).intersection(site.notice.askable)))
    }
    try:
        return Choice.from_switches(site.notice, day, purposes, services)
    except ChoiceError:
        return None


def _unlocked(choice: Choice, granted: Grant) -> Choice:
    """``choice`` without what a minor cannot be granted, whatever was sent (R41)."""
    if not granted.locked:
        return choice
    purposes = choice.purposes - granted.locked
    without = {
        s.id
        for s in granted.notice.services_asked
        if s.id in granted.locked and purposes.issuperset(set(s.purposes).intersection(granted.notice.askable))
    }
    return replace(choice, purposes=purposes, services=choice.services - granted.locked, without=choice.without | without)


class Choosing:
    """``choice`` and ``forget``."""

    def __init__(self, gateway: Gateway, rate: Rate, embeds: Embeds, proofs: Proofs) -> None:
        """``rate``: how often each address may answer."""
        self._gateway, self._pages, self._rate, self._embeds, self._proofs = gateway, gateway.pages, rate, embeds, proofs
        self._recording = Recording(gateway)
        self._choices: Recent[Choice] = Recent(2000)
        self._alike: Recent[Record] = Recent(2000)
        self._firsts: Recent[Given] = Recent(1000)

    def choice(self, asked: Asked) -> Reply | Waiting:
        """What becomes of an answer, of every kind that the notice, the panel, a placeholder, a gate or the site's own tool sends."""
        request = asked.request
        like = likeness(asked, self._gateway.now().date())
        given = self._firsts.found(like) if like is not None else None
        if given is not None and asked.same_origin() and not self._rate.allows(household(request.client), time.monotonic()):
            return self._first_given(asked, given)
        asks_json = asked.content_type.partition(";")[0].strip().lower() == "application/json"
        query = asked.query
        at_gate = query.get("surface") == "gate"
        if len(request.body) > CHOICE_BODY and not at_gate:
            return self._pages.refused(asked, 413, "large")
        fields = query if at_gate else Fields.read(asked.content_type, request.body)
        surface = fields.get("surface") if fields.get("surface") in _SURFACES else "panel"
        keeps_body = at_gate and query.get("sends") == "1"
        said = Said(fields.get("answer"), surface, asked.language_in(fields), local(fields.get("back")), asks_json, keeps_body)
        wait = self._rate.allows(household(request.client), time.monotonic())
        if wait:
            return self._too_often(asked, said, wait)
        own = asked.same_origin(self._pages.token_holds(asked, fields.get("token")))
        if own is False:
            return self._from_elsewhere(asked, said)
        if own is None:
            if asks_json:
                return self._wrong(said, 403, "The browser does not say which page this comes from. Send the form instead.")
            typed = fields.pairs if not at_gate else []
            kept = [(n, v) for n, v in typed if n in ("notice", "answer", "purposes", "services", "object", "surface", "language", "back")]
            text = self._gateway.screens(asked.site).problem(
                "confirm", said.language, back=said.back, token=self._pages.token(asked), fields=kept
            )
            return self._pages.page(asked.site, 200, text)
        if said.answer == "object":
            return self._objected(asked, fields, self._moved(asked, fields, said))
        if said.answer == "told" and asked.account is not None:
            return self._told(asked, said)
        if said.answer == "once":
            where = self._embeds.once(asked, said.back)
            return see(where) if where else self._wrong(said, 400, "back must be the address of a placeholder.")
        if fields.get("notice").partition(".")[0] != asked.site.notice.short:
            return self._stale(asked, fields, said)
        if asked.site.theirs is not None and said.answer not in ("foreign", "refuse", "withdraw"):
            if asks_json:
                return self._wrong(said, 400, "Another consent tool asks on this site: change the choice there.")
            return self._pages.page(asked.site, 403, self._gateway.screens(asked.site).problem("theirs", said.language, back=said.back))
        if said.answer == "foreign":
            return self._foreign(asked, fields, said, own)
        choice = self._read(asked, fields)
        if choice is not None:
            choice = _unlocked(choice, asked.grant)
        if choice is None:
            return self._wrong(said, 400, "answer must be accept, refuse, switches, service, once or withdraw, with known services.")
        if not choice.refuses_all and not self._gateway.is_named(asked.site, fields.get("notice")):
            return self._stale(asked, fields, said)
        return self._objected(asked, fields, self._settle(asked, choice, said, fields))

    def _stale(self, asked: Asked, fields: Fields, said: Said) -> Reply | Waiting:
        """The notice again: another stands now, or nothing proves that a page of ours held the one that is answered."""
        if said.asks_json:
            return json_reply(409, {"error": "stale", "notice": asked.site.notice.short})
        if said.surface == "embed":
            return see(said.back)  # a frame has no room for the panel: its placeholder again, of the present notice
        text = self._gateway.screens(asked.site).panel(
            asked.grant,
            said.language,
            said.back,
            choice_text=asked.choice.text() if asked.choice else "",
            message="stale",
            objects="cookie" if "1" in fields.all("object") else asked.request.objection,
        )
        return self._objected(asked, fields, self._pages.page(asked.site, 409, text))

    def _foreign(self, asked: Asked, fields: Fields, said: Said, own: bool | None) -> Reply | Waiting:
        """What the site's own consent tool keeps, told by ``browser/theirs.ts``; a cookie is read from the request itself. Doubt
        refuses: what cannot be read takes back what there was, and is otherwise no choice."""
        theirs = asked.site.theirs
        if theirs is None or not said.asks_json or own is not True or fields.get("tool") != theirs.tool.id:
            return self._wrong(said, 400, "No other consent tool asks on this site, or this does not come from its page.")
        held = theirs.held(asked.request.cookies)
        try:
            told = json.loads(fields.get("held") or "{}")
        except (ValueError, RecursionError):
            told = {}
        allowed = {source for source in theirs.sources if source.startswith("local ")}
        allowed |= {"asked"} if theirs.tool.reading.form == "asked" else set()
        held |= {n: v for n, v in told.items() if n in allowed and isinstance(v, str)} if isinstance(told, dict) else {}
        choice = foreign_choice(asked.site, held, self._gateway.now().date())
        choice = choice and _unlocked(choice, asked.grant)
        if choice is None:
            if asked.choice is None or asked.choice.refuses_all:
                return json_reply(422, {"error": "Nothing that can be read for certain."})
            choice = Choice.refuse_all(asked.site.notice, self._gateway.now().date())
        if not choice.refuses_all and not self._gateway.is_named(asked.site, fields.get("notice")):
            return self._stale(asked, fields, said)
        tool = f"{theirs.tool.id} {version_of(fields.get('version'))}".strip()
        return self._settle(asked, choice, replace(said, surface="foreign", back="/", tool=tool))

    def _objected(self, asked: Asked, fields: Fields, answer: Reply | Waiting) -> Reply | Waiting:
        """``answer`` with what the panel's switch says of being counted (R28); it holds whatever becomes of the choice."""
        said = fields.all("object")
        if (asked.site.audience is None and not asked.site.notice.objectable) or "0" not in said:
            return answer  # the switch was not shown
        if "1" in said:
            value = f"{OBJECTION}=0; Path=/; Max-Age={OBJECTION_DAYS * 86400}; SameSite=Lax"
        elif asked.request.objection == "cookie":
            value = f"{OBJECTION}=; Path=/; Max-Age=0; SameSite=Lax"
        else:
            return answer
        pair = (b"set-cookie", (value + ("; Secure" if asked.request.scheme == "https" else "")).encode())
        return changed(answer, lambda made: replace(made, pairs=[*made.pairs, pair]))

    def _signals(self, asked: Asked, fields: Fields | None) -> Signals:
        """What holds after an answer besides the choice: an explicit one yields to no GPC, and ``fields`` may object or take it back."""
        said = fields.all("object") if fields is not None else []
        if not (said or asked.request.objection or asked.grant.locked):
            return _SILENT
        dnt = (asked.request.get(b"dnt") or b"").strip() == b"1"
        objecting = "1" in said or dnt if "0" in said else bool(asked.request.objection)
        return Signals(objects=objecting, locked=asked.grant.locked)

    def _moved(self, asked: Asked, fields: Fields, said: Said) -> Reply:
        """The objection alone, from the policy page: it needs no choice, makes none, and nothing of it is recorded or counted."""
        before = asked.grant
        after = replace(before, objects=self._signals(asked, fields).objects and bool(asked.site.notice.objectable))
        stopped = {s.id for s in asked.site.notice.measuring}
        after = replace(after, services=before.services - stopped if after.objects else before.services | stopped)
        _, storage = self._gateway.judges(asked.site, after, asked.host)
        pairs = [
            *self._expired(asked, after, storage, said.back),
            FORGOTTEN,
            NO_STORE,
            *SECURITY,
        ]
        if said.asks_json:
            made = json_reply(200, {"objects": after.objects, "grant": after.key, "reload": after.key != before.key})
            return Reply(200, [*[p for p in made.pairs if p not in pairs], *pairs], made.body)
        return Reply(303, [(b"location", quoted(said.back)), *pairs])

    def _read(self, asked: Asked, fields: Fields) -> Choice | None:
        notice, day, answer = asked.site.notice, self._gateway.now().date(), fields.get("answer")
        try:
            if answer == "accept":
                return self._choices.get((notice.digest, day), lambda: Choice.accept_all(notice, day))
            if answer in ("refuse", "withdraw"):
                return Choice.refuse_all(notice, day)
            if answer == "switches":
                on = frozenset(fields.all("purposes")).intersection(notice.askable)
                chosen = frozenset(fields.all("services")).intersection(notice.service)
                return self._choices.get(
                    (notice.digest, day, on, chosen), lambda: Choice.from_switches(notice, day, *switched(notice, on, chosen))
                )
            if answer == "service":
                wanted = fields.get("services")
                if wanted not in notice.service:
                    return None
                granted = asked.grant
                purposes = granted.purposes
                services = {s for s in granted.services if s in {x.id for x in notice.services_asked}} | {wanted}
                return Choice.from_switches(notice, day, purposes, services)
        except ChoiceError:
            return None
        return None

    def _told(self, asked: Asked, said: Said) -> Reply:
        """The line about the account's choice was closed: not shown again in this session."""
        account = asked.account
        assert account is not None
        marks = [account.row.choice] if account.row is not None else []
        if account.device is not None and asked.grant.account == "conflict":
            marks.append(account.device)
        cookie = self._gateway.account_cookie(asked.site, asked.request, account.hash, mark(*marks) if marks else account.told)
        if not said.asks_json:
            return Reply(303, [(b"location", quoted(said.back)), cookie, NO_STORE, *SECURITY])
        value = {"choice": asked.choice.text() if asked.choice else "", "grant": asked.grant.key, "reload": False}
        made = json_reply(200, value)
        return replace(made, pairs=[*made.pairs, cookie])

    def _settle(self, asked: Asked, choice: Choice, said: Said, fields: Fields | None = None) -> Reply | Waiting:
        """The answer to a choice, once it is recorded and, of a logged-in reader, written to the account."""
        made = self._record_of(asked, choice, said, fields)
        accounts = self._gateway.accounts
        if asked.account is None or accounts is None or not choice.refuses_all:
            return made
        return self._kept(asked, made, accounts.put(asked.site.name, asked.account.hash, row_of(asked, choice, None)))

    def _kept(self, asked: Asked, made: Reply | Waiting, row: Future[None]) -> Waiting:
        """``made``, once the account's row is written or cannot be: a refusal holds on this device whatever became of it (R37)."""

        def then(result: Any) -> Reply:
            reply, kept = made_of(made, result[0]), result[1]
            if not isinstance(kept, BaseException):
                return reply
            log.error("a refusal took effect on this device and could not be written to the account yet: %s", kept)
            account, gateway = asked.account, self._gateway
            assert account is not None
            cookie = gateway.aside_cookie(asked.site, asked.request, account.hash, gateway.now().date())
            name = cookie[1].partition(b"=")[0]
            return replace(reply, pairs=[*(p for p in reply.pairs if p[1].partition(b"=")[0] != name), cookie])

        return Waiting(both(made, row), then)

    def _record_of(self, asked: Asked, choice: Choice, said: Said, fields: Fields | None = None) -> Reply | Waiting:
        """Count a refusal and answer; record a grant, change or withdrawal and answer when that is durable."""
        site, notice, now = asked.site, asked.site.notice, self._gateway.now()
        held = asked.record is not None and asked.choice is not None and not asked.choice.refuses_all
        if asked.account is not None and asked.account.row is None:
            held = False  # the device's own answer, and its record, stay as they are
        # To a browser's page it would hand the record's id, which no cookie gives a script: the visitor opens ``receipt/``.
        with_receipt = said.asks_json and asked.request.get(b"sec-fetch-mode") is None

        def reply(tag: RecordTag | None) -> Reply:
            return self._answered(asked, choice, tag, said, fields)

        if choice.refuses_all and not held:
            self._gateway.metrics.chosen(said.answer, said.surface)
            try:
                self._gateway.store.count(Count(site.name, now.date(), notice.digest, said.surface, said.language, asked.grant.gpc))
            except StoreError as error:  # a refusal takes effect whatever becomes of its count
                log.error("a refusal took effect but could not be counted: %s", error)
            return reply(None)
        granted = self._gateway.granted(site, choice, Signals(locked=asked.grant.locked) if asked.grant.locked else _SILENT, now.date())
        method = "gate" if said.surface == "gate" else _METHODS[said.answer]
        gpc, regime = asked.grant.gpc or asked.grant.overrides_gpc, asked.grant.regime

        def made() -> Record:
            return Record(
                id=new_id(),
                site=site.name,
                time=now,
                event="withdrawn" if choice.refuses_all else "changed" if held else "given",
                method=method,
                surface=said.surface,
                language=said.language,
                notice=notice.digest,
                purposes={p: p in granted.purposes for p in notice.askable},
                services={s.id: s.id in granted.services for s in notice.services_asked},
                supersedes=asked.record or "" if held else "",
                unconfigured=site.unconfigured,
                gpc=gpc,
                tool=said.tool,
                regime=regime,
            )

        if not held and asked.account is None:
            like = (site.name, notice.digest, choice, asked.grant.locked, method, said.surface, said.language, gpc, said.tool, regime)
            alike = self._alike.get(like, made)
            given = Given(said, asked.grant, granted, choice, alike, reply(BLANK), with_receipt)
            plain = fields is not None and not fields.all("object")
            return self._first_given(asked, given, likeness(asked, choice.day) if plain else None)
        self._gateway.metrics.chosen(said.answer, said.surface)
        record = made()
        told = self._recording.event(asked, record, choice, granted)
        first = False
        if held:  # cookies that were kept aside can be sent again and again: a grant is withdrawn, or made less, once
            opens = granted.purposes - asked.grant.purposes or {id for id, on in record.services.items() if on} - asked.grant.services
            first = not opens and self._recording.first(record.supersedes)
        if choice.refuses_all:
            return self._recording.withdraw(record, notice, told, lambda: reply(None)) if first else reply(None)
        tag = RecordTag.sign(self._gateway.keys, site.name, record.id, choice)
        if first:  # what is taken away is so at once, and what is left was recorded when it was given
            less, accounts = self._recording.withdraw(record, notice, told, lambda: reply(tag)), self._gateway.accounts
            if asked.account is None or accounts is None:
                return less
            return self._kept(asked, less, accounts.put(site.name, asked.account.hash, row_of(asked, choice, tag)))
        if wait := self._recording.quota(site):
            return self._too_often(asked, said, wait, status=503)
        future = self._recording.append(record, notice, told)
        if asked.account is not None:
            future = self._recording.to_account(asked, choice, tag, record, future)

        def then(result: Any) -> Reply:
            if isinstance(result, BaseException):
                return self._unrecorded(asked, said, result)
            return receipted(reply(tag), result if with_receipt and isinstance(result, Kept) else None)

        return Waiting(future, then)

    def _first_given(self, asked: Asked, given: Given, new: Hashable | None = None) -> Reply | Waiting:
        """Record a first grant, and answer once that is durable; ``new``: as what it is remembered from then on."""
        site, gateway = asked.site, self._gateway
        gateway.metrics.chosen(given.said.answer, given.said.surface)
        if wait := self._recording.quota(site):
            return self._too_often(asked, given.said, wait, status=503)
        record = given.record.again(new_id(), gateway.now())
        tag = RecordTag.sign(gateway.keys, site.name, record.id, given.choice)

        def then(result: Any) -> Reply:
            if isinstance(result, BaseException):
                return self._unrecorded(asked, given.said, result)
            if new is not None:
                self._firsts.keep(new, given)
            return given.replied(tag, result)

        return Waiting(self._recording.append(record, site.notice, self._recording.event(asked, record, given.choice, given.granted)), then)

    def _unrecorded(self, asked: Asked, said: Said, error: BaseException) -> Reply:
        """503: what is not in the ledger is not granted."""
        if not isinstance(error, StoreError):
            raise error
        log.error("a grant could not be recorded, so it takes no effect: %s", error)
        if said.asks_json:
            failed = json_reply(503, {"error": "not recorded", "detail": "Your answer could not be recorded, so nothing was allowed."})
        else:
            failed = self._pages.page(asked.site, 503, self._gateway.screens(asked.site).problem("record", said.language, back=said.back))
        return replace(failed, pairs=[*failed.pairs, (b"retry-after", b"1" if isinstance(error, StoreBusy) else b"10")])

    def _answered(self, asked: Asked, choice: Choice, tag: RecordTag | None, said: Said, fields: Fields | None = None) -> Reply:
        """The cookies, what is expired, and the way on."""
        gateway, site, request = self._gateway, asked.site, asked.request
        secure = "; Secure" if request.scheme == "https" else ""
        proof, short = host_only(RECORD_COOKIE, request.scheme), host_only(GRANT_COOKIE, request.scheme)
        sent = [name for name, _ in asked.cookies]
        # Where a site need not ask, an answer of no is what stands between: kept as long as browsers keep a cookie (RFC 6265bis 5.5).
        life = (
            400 if opts_out(asked.grant.regime) and choice.refuses_all else (expires(choice.day, site.notice.months) - choice.day).days + 1
        ) * 86400
        pairs: Pairs = [
            *tossed(sent, request.scheme, asked.host, gateway.catalog, most=0 if asked.choice is None else 1),
            (b"set-cookie", f"{COOKIE}={choice.text()}; Path=/; Max-Age={life}; SameSite=Lax{secure}".encode()),
        ]
        if asked.account is not None:  # the device's own answer stays as it is (R39)
            pairs = [gateway.account_cookie(site, request, asked.account.hash, mark(choice))]
            if asked.account.aside or asked.account.written:
                pairs.append(gateway.aside_cookie(site, request, asked.account.hash, None))
        elif tag is not None:
            pairs.append((b"set-cookie", f"{proof}={tag.text()}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}".encode()))
        elif asked.record is not None or proof in sent:
            pairs.append((b"set-cookie", f"{proof}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}".encode()))
        granted = gateway.granted(site, choice, self._signals(asked, fields), gateway.now().date())
        key = gateway.cache_key(site, choice, granted)
        if asked.account is None and (key or short in sent):
            kept = f"{life if key else 0}; HttpOnly; SameSite=Lax{secure}"
            pairs.append((b"set-cookie", f"{short}={key}; Path=/; Max-Age={kept}".encode()))
        _, storage = gateway.judges(site, granted, asked.host)
        pairs += self._expired(asked, granted, storage, said.back)
        pairs += [FORGOTTEN, NO_STORE, *SECURITY]
        if said.asks_json:
            first_refusal = (
                choice.refuses_all and not asked.grant.answered and not asked.grant.presumed and granted.objects == asked.grant.objects
            )
            reload = "true" if not first_refusal and granted.key != asked.grant.key else "false"
            # Neither text holds a character that JSON writes in another way.
            body = f'{{"choice":"{choice.text()}","grant":"{granted.key}","reload":{reload},"keep":{keep(storage)}}}'
            return Reply(201, [(b"content-type", b"application/json"), *pairs], body.encode())
        return Reply(307 if said.keeps_body else 303, [(b"location", quoted(said.back)), *pairs])

    def _expired(self, asked: Asked, granted: Grant, storage: Storage, back: str) -> Pairs:
        """Of what this request shows, and of what was granted until now, the cookies that ``granted`` does not permit."""
        refused = [
            name
            for name, _ in asked.cookies
            if name and not is_own(name) and storage.decide(name).reason in (Reason.REFUSED, Reason.UNNAMED, Reason.OBJECTED)
        ]
        # What was granted until now may lie at paths that this request does not show.
        before = asked.grant
        less = before.purposes - granted.purposes or before.services - granted.services or before.objects != granted.objects
        taken_back = [
            key
            for key in (asked.site.storage_declared if less else ())
            if key.medium == "cookie"
            and key.party == "first"
            and not key.many
            and not granted.decide(key).allowed
            and before.decide(key).allowed
        ]
        return expiries(refused, asked.host, back, storage, self._gateway.catalog, taken_back)

    def forget(self, asked: Asked) -> Reply | Waiting:
        """Asks once; pressed on our own page, it withdraws, expires what lived by the choice and drops the record's number (R14, R15).

        What asks and what was done are one page, which goes by what the request still holds.
        """
        request = asked.request
        posted = request.method == "POST"
        if posted and len(request.body) > CHOICE_BODY:
            return self._pages.refused(asked, 413, "large")
        fields = Fields.read(asked.content_type, request.body) if posted else asked.query
        said = Said("withdraw", "panel", asked.language_in(fields), local(fields.get("back")))
        if posted:
            wait = self._rate.allows(household(request.client), time.monotonic())
            if wait:
                return self._too_often(asked, said, wait)
            own = asked.same_origin(self._pages.token_holds(asked, fields.get("token")))
            if own is False:
                return self._from_elsewhere(asked, said)
            if own and fields.get("answer") == "forget":
                return self._forgotten(asked, said)
        held = {name for name, _ in request.cookies}
        text = self._gateway.screens(asked.site).forget(
            said.language,
            said.back,
            token=self._pages.token(asked),
            anything=bool(held & {COOKIE, RECORD_COOKIE, HOST_ONLY + RECORD_COOKIE})
            or (asked.account is not None and asked.account.row is not None),
            recorded=asked.record is not None,
            done=asked.query.get("done"),
        )
        return self._pages.page(asked.site, 200, text)

    def _forgotten(self, asked: Asked, said: Said) -> Reply | Waiting:
        choice, whole = Choice.refuse_all(asked.site.notice, self._gateway.now().date()), asked
        took = "record" if asked.record is not None and asked.choice is not None and not asked.choice.refuses_all else "choice"
        done = replace(said, back=f"{asked.site.prefix}forget?done={took}&language={said.language}&back={quote(said.back, safe='/')}")
        account = asked.account
        if account is not None:  # what this device keeps of its own, first
            asked = replace(asked, choice=account.device, record=account.device_record, account=None)
        record = asked.record
        if record is not None and asked.choice is not None and not asked.choice.refuses_all:
            settled = self._settle(asked, choice, done)
            settled = self._proofs.forgotten(record, settled)
        else:  # nothing was recorded, and what forgets is no refusal to be counted
            settled = self._answered(asked, choice, None, done)
        if account is not None:
            settled = self._dropped(whole, choice, done, settled)
        secure = "; Secure" if asked.request.scheme == "https" else ""
        short = host_only(GRANT_COOKIE, asked.request.scheme)
        held = (COOKIE, short) if short in dict(asked.request.cookies) else (COOKIE,)
        gone = [(b"set-cookie", f"{name}=; Path=/; Max-Age=0; SameSite=Lax{secure}".encode()) for name in held]
        mine = tuple(f"{name}=".encode() for name in (COOKIE, short))

        def kept(pair: tuple[bytes, bytes]) -> bool:
            return not pair[1].startswith(mine) or b"; Domain=" in pair[1]  # what another host planted goes too

        return changed(settled, lambda made: replace(made, pairs=[*gone, *filter(kept, made.pairs)]))

    def _dropped(self, asked: Asked, choice: Choice, said: Said, device: Reply | Waiting) -> Waiting:
        """``device``'s answer, once the account's record is withdrawn and its row deleted; a row that cannot be is a refusal meanwhile."""
        account = asked.account
        assert account is not None and self._gateway.accounts is not None
        made = device
        if account.row is not None and asked.record is not None and not account.row.choice.refuses_all:
            withdrawn = self._record_of(asked, choice, said)
            made = after(device, self._proofs.forgotten(asked.record, withdrawn))
        gone = self._gateway.accounts.forget(asked.site.name, account.hash)
        return self._kept(asked, made, gone)

    def _too_often(self, asked: Asked, said: Said, wait: float, status: int = 429) -> Reply:
        """429: more answers from one address than a person gives; 503: more grants than the site takes."""
        if said.asks_json:
            whose = "from your address" if status == 429 else "on this site"
            reply = self._wrong(said, status, f"Too many choices at once {whose}. Wait a moment.")
        else:
            reply = self._pages.page(asked.site, status, self._gateway.screens(asked.site).problem("often", said.language, back=said.back))
        return replace(reply, pairs=[*reply.pairs, (b"retry-after", b"%d" % math.ceil(wait))])

    def _from_elsewhere(self, asked: Asked, said: Said) -> Reply:
        """403: an answer that another site's page sent. Its ``back`` is that page's, and not offered."""
        if said.asks_json:
            return self._wrong(said, 403, "A choice is taken only from the site's own pages.")
        return self._pages.page(asked.site, 403, self._gateway.screens(asked.site).problem("elsewhere", said.language))

    def _wrong(self, said: Said, status: int, text: str) -> Reply:
        if said.asks_json:
            return json_reply(status, {"error": text})
        return Reply(status, [(b"content-type", b"text/plain; charset=utf-8"), NO_STORE, *SECURITY], text.encode() + b"\n")
