"""The reserved path: choice, panel, policy, embed, files. Plain request in, reply out (or one that waits for the ledger).

A grant's answer leaves only after its record is durable; a refusal needs nothing and nobody (DESIGN §8).
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import date
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from volens.accounts import Row, mark
from volens.audience.view import OBJECTION, OBJECTION_DAYS
from volens.choice import COOKIE, GRANT_COOKIE, HOST_ONLY, RECORD_COOKIE, Choice, RecordTag, Signals, expires, host_only
from volens.enforce.csp import hash_source
from volens.enforce.guard import keep
from volens.enforce.headers import expiries, get, tossed
from volens.enforce.storage import Storage, is_own
from volens.enforce.url import Target, resolve, text_of
from volens.errors import ChoiceError, StoreBusy, StoreError, StoreUnavailable
from volens.findings import REPORT
from volens.foreign import Tools, version_of
from volens.ledger.record import Count, Record, new_id
from volens.ledger.store import Event, Kept
from volens.notice import Notice
from volens.policy import Decision, Grant, Reason
from volens.regimes import opts_out
from volens.site import Gate, Site
from volens.web import hooks
from volens.web.admin import Admin
from volens.web.asked import Asked, Fields, local
from volens.web.embeds import Embeds
from volens.web.given import BLANK, Given, likeness, receipted
from volens.web.logfiles import LogFiles
from volens.web.messages import Pairs, Reply, Waiting
from volens.web.observe import reported
from volens.web.proofs import Proofs
from volens.web.rate import Rate, household
from volens.web.recent import Recent
from volens.web.replies import NO_STORE, SECURITY, changed, file_reply, json_reply, quoted, see, unread_by_opener, wants_json
from volens.web.rights import Rights, shown
from volens.web.screens import Screens, switched
from volens.web.verify_page import verify_page
from volens.web.watch import Watch

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

log = logging.getLogger("volens")

CHOICE_BODY = 1 << 16
"""Bytes of a choice; what was typed at a gate may be longer."""
REPORTS = (20.0, 200.0)
"""Browsers' reports that a process reads a second, and at once; further ones are answered and dropped."""
FOLLOW, FOLLOW_LAST, FOLLOWING = 1.0, 1024.0, 200
"""Seconds to the first and before the last further attempt at the record of a withdrawal, half an hour in all; how many may wait."""
LESSENED = 50_000
"""Records of which it is remembered that something was taken back, so that it is recorded once; some 10 MB."""
_SURFACES = ("notice", "panel", "embed", "gate", "band")
FORGOTTEN = (b"clear-site-data", b'"prefetchCache", "prerenderCache"')
"""Pages that the browser made ready by an earlier answer."""
_SILENT = Signals()
_DIALOG = re.compile(r"panel-([a-z]{2,3})-[0-9a-f]{8}\.js")
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


def _page_token(asked: Asked, hour: int) -> str:
    return f"{asked.request.scheme}://{asked.request.host} {hour}"


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


def _row(asked: Asked, choice: Choice, tag: RecordTag | None) -> Row:
    """What the account keeps of an answer given on this device, whose own answer it is given in place of."""
    account = asked.account
    assert account is not None
    settled = account.row.settled if account.row is not None else ()
    device = (mark(account.device),) if account.device is not None else ()
    return Row(choice, tag.text() if tag is not None else "", (*(m for m in settled if m not in device), *device))


def _outcome(future: Future[Any]) -> Any:
    return future.exception() or future.result()


def _both(made: Reply | Waiting, other: Future[Any]) -> Future[tuple[Any, Any]]:
    """What became of both, results or exceptions, once both are done."""
    joined: Future[tuple[Any, Any]] = Future()

    def second(first: Any) -> None:
        other.add_done_callback(lambda future: joined.set_result((first, _outcome(future))))

    if isinstance(made, Reply):
        second(None)
    else:
        made.future.add_done_callback(lambda future: second(_outcome(future)))
    return joined


def _made(made: Reply | Waiting, result: Any) -> Reply:
    return made if isinstance(made, Reply) else made.then(result)


def _after(reply: Reply | Waiting, other: Reply | Waiting) -> Reply | Waiting:
    """``reply``, once ``other`` is settled too, whose own answer nobody is given."""
    if isinstance(other, Reply):
        return reply

    def then(result: Any) -> Reply:
        made = _made(reply, result[0])
        other.then(result[1])
        return made

    return Waiting(_both(reply, other.future), then)


class Endpoints:
    """Answers below the reserved path."""

    def __init__(self, gateway: Gateway, rate: Rate | None = None) -> None:
        self._gateway = gateway
        self.rate = rate or Rate()
        """How often each address may answer."""
        self._reports = Rate(*REPORTS)
        self._grants: dict[str, Rate] = {}
        self._refused: dict[str, tuple[int, float]] = {}  # by site: grants held up by the quota and not told yet, and when some were told
        self._lessened: OrderedDict[str, None] = OrderedDict()  # records that a withdrawal, or a part of one, has followed
        self._choices: Recent[Choice] = Recent(2000)
        self._given: Recent[Record] = Recent(2000)
        self._firsts: Recent[Given] = Recent(1000)
        self._lock = threading.Lock()
        self._following = 0  # withdrawals that wait for the ledger; a number that is off by one harms nobody
        self._admin = Admin(gateway, self.rate)
        self._watch = Watch(gateway, self._admin)
        self._rights = Rights(gateway)
        self._proofs = Proofs(gateway, self._rights.reader)
        self._log = LogFiles(gateway)
        self._embeds = Embeds(gateway, self.page, self._nothing)
        self._routes: dict[str, Callable[[Asked], Reply | Waiting]] = {
            "choice": self._choice,
            "choice.json": self._choice_json,
            "panel": self._panel,
            "band": self._band,
            "policy": self._policy,
            "policy.json": self._policy,
            "rights": self._shown_rights,
            "forget": self._forget,
            "embed/frame": self._embeds.frame,
            "embed/script": self._embeds.script,
            "out": self._out,
            "report": self._report,
            "health": self._health,
            "ready": self._watch.ready,
            "metrics": self._watch.metrics,
            "verify": verify_page,
        }

    def answer(self, asked: Asked) -> Reply | Waiting:
        """The reply for a path below the prefix; 404 where there is nothing."""
        path = asked.request.target.partition(b"?")[0].decode("latin-1")
        name = path[len(asked.site.prefix) :]
        route = self._routes.get(name)
        if route is not None:
            allowed = (
                ("POST",) if name in ("choice", "report") else ("GET", "HEAD", "POST") if name in ("out", "forget") else ("GET", "HEAD")
            )
            if asked.request.method not in allowed:
                return self._trouble(asked, 405, "method", (b"allow", ", ".join(allowed).encode()))
            return route(asked)
        if name == "admin" or name.startswith("admin/"):
            return self._admin.answer(asked, name)
        logged = self._log.answer(asked, name[4:]) if name.startswith("log/") else None
        if logged is not None:
            return logged
        if name.startswith("receipt/"):
            return self._proofs.answer(asked, name[8:]) or self._nothing(asked)
        if asked.request.method not in ("GET", "HEAD"):
            return self._nothing(asked)
        found = self._gateway.assets.files.get(name)
        if found is not None:
            return file_reply(asked.request, *found, kept=name not in [f"{stem}.js" for stem in self._gateway.assets.names])
        tool = Tools.packaged().files.get(name)
        if tool is not None:
            return file_reply(asked.request, tool.stand_in.encode(), "text/javascript; charset=utf-8", kept=True)
        panel = _DIALOG.fullmatch(name)
        if panel and panel[1] in asked.site.notice.languages:
            now, data = self._screens(asked).dialog(panel[1])
            return file_reply(asked.request, data, "text/javascript; charset=utf-8", kept=name == now)
        return self._nothing(asked)

    def trouble(self, site: Site, pairs: Pairs, status: int, kind: str, language: str, back: str = "", *more: tuple[bytes, bytes]) -> Reply:
        """Why there is no page, as ``kind`` of the message screen, or as a problem for a program (RFC 9457)."""
        screens = self._gateway.screens(site)
        if wants_json(pairs):
            title = HTTPStatus(status).phrase
            value = {"type": "about:blank", "title": title, "status": status, "detail": " ".join(screens.problem_words(kind, language))}
            reply = json_reply(status, value, "application/problem+json")
        else:
            reply = self.page(site, status, screens.problem(kind, language, back=back))
        kept = [p for p in reply.pairs if p[0] != b"vary"]
        return replace(
            reply, pairs=[*kept, (b"vary", b"Accept, Accept-Language, Sec-Fetch-Mode"), (b"content-language", language.encode()), *more]
        )

    def _trouble(self, asked: Asked, status: int, kind: str, *more: tuple[bytes, bytes]) -> Reply:
        return self.trouble(asked.site, asked.request.pairs, status, kind, asked.language, asked.came_from, *more)

    def _nothing(self, asked: Asked) -> Reply:
        return self._trouble(asked, 404, "nothing")

    # ---------------------------------------------------------------- pages

    def _screens(self, asked: Asked) -> Screens:
        return self._gateway.screens(asked.site)

    def page(self, site: Site, status: int, text: str, *, style: str = "", frame: str = "") -> Reply:
        """One of our own pages: nothing runs in it but our file, nothing frames it but the site itself."""
        style = hash_source(style or self._gateway.screens(site).page_style)
        embed = hash_source(self._gateway.assets.embed)
        policy = (
            f"default-src 'none'; style-src {style}; script-src 'self' {embed}; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
        )
        if frame:
            policy += f"; frame-src {frame}"
        pairs = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", policy.encode("latin-1")),
            (b"vary", b"Cookie, Sec-GPC, Accept-Language"),
            NO_STORE,
            *(p for p in SECURITY if p[0] != b"referrer-policy"),
            (b"referrer-policy", b"same-origin"),  # under no-referrer its forms would come from ``null``
        ]
        return Reply(status, pairs, text.encode())

    def _panel(self, asked: Asked) -> Reply:
        fields = asked.query
        if asked.site.theirs is not None:  # one notice: theirs
            back = quote(local(fields.get("back")), safe="/")
            return see(f"{asked.site.prefix}policy?language={asked.language_in(fields)}&back={back}#theirs")
        text = self._screens(asked).panel(
            asked.grant,
            asked.language_in(fields),
            local(fields.get("back")),
            choice_text=asked.choice.text() if asked.choice else "",
            objects=asked.request.objection,
        )
        return self.page(asked.site, 200, text)

    def _band(self, asked: Asked) -> Reply:
        """What stands in every page, for one that stays while the choice changes."""
        fields = asked.query
        body = self._screens(asked).dress(asked.grant, asked.language_in(fields)).body
        return self.page(asked.site, 200, "<!DOCTYPE html>" + body.replace(Screens.BACK, escape(local(fields.get("back")))))

    def _policy(self, asked: Asked) -> Reply:
        """The page, or its JSON twin: by its own address or by Accept."""
        fields = asked.query
        language, screens = asked.language_in(fields), self._screens(asked)
        if asked.request.target.partition(b"?")[0].endswith(b".json") or wants_json(asked.request.pairs):
            told = screens.policy_json(asked.grant, language, record_id=shown(asked), objects=bool(asked.request.objection))
            reply = json_reply(200, told)
        else:
            text = screens.policy(
                asked.grant,
                language,
                local(fields.get("back")),
                choice_text=asked.choice.text() if asked.choice else "",
                record_id=shown(asked),
                objects=asked.request.objection,
            )
            reply = self.page(asked.site, 200, text)
        vary = (b"vary", b"Accept, Cookie, Sec-GPC, DNT, Accept-Language")
        return unread_by_opener(replace(reply, pairs=[*(p for p in reply.pairs if p[0] != b"vary"), vary]))

    def _report(self, asked: Asked) -> Reply:
        """What a browser says our policy refused. Whatever is sent, the answer is the same, and says nothing."""
        findings, pairs = self._gateway.findings, asked.request.pairs
        from_here = (get(pairs, b"sec-fetch-site") or b"same-origin").strip().lower() == b"same-origin"
        if findings is not None and from_here and not self._reports.allows("", time.monotonic()):
            try:
                findings.add(asked.site.name, REPORT, reported(asked.content_type, asked.request.body, asked.host))
            except Exception:
                log.exception("a report could not be read")
        return Reply(204, [NO_STORE])

    # ---------------------------------------------------------------- a visitor's rights

    def _shown_rights(self, asked: Asked) -> Reply | Waiting:
        """What is kept of the choice, shown to whom it is about (GDPR 15; R20)."""
        fields = asked.query

        def make(recorded: Record | None, unavailable: bool) -> Reply:
            text = self._screens(asked).rights(
                asked.grant,
                asked.language_in(fields),
                local(fields.get("back")),
                choice_text=asked.choice.text() if asked.choice else "",
                record_id=shown(asked),
                record_name=host_only(RECORD_COOKIE, asked.request.scheme),
                recorded=recorded,
                unavailable=unavailable,
            )
            return unread_by_opener(self.page(asked.site, 200, text))

        return self._rights.recorded(asked, make)

    def _choice_json(self, asked: Asked) -> Reply | Waiting:
        """The same as a file (GDPR 20)."""
        language = asked.language_in(asked.query)

        def make(recorded: Record | None, unavailable: bool) -> Reply:
            reply = unread_by_opener(json_reply(200, self._rights.taken(asked, language, recorded, unavailable)))
            name = re.sub(r"[^\w.-]", "-", asked.site.name, flags=re.ASCII)
            return replace(reply, pairs=[*reply.pairs, (b"content-disposition", f'attachment; filename="choice-{name}.json"'.encode())])

        return self._rights.recorded(asked, make)

    def _forget(self, asked: Asked) -> Reply | Waiting:
        """Asks once; pressed on our own page, it withdraws, expires what lived by the choice and drops the record's number (R14, R15).

        What asks and what was done are one page, which goes by what the request still holds.
        """
        request = asked.request
        posted = request.method == "POST"
        if posted and len(request.body) > CHOICE_BODY:
            return self._trouble(asked, 413, "large")
        fields = Fields.read(asked.content_type, request.body) if posted else asked.query
        language, back = asked.language_in(fields), local(fields.get("back"))
        if posted:
            wait = self.rate.allows(household(request.client), time.monotonic())
            if wait:
                return self._too_often(asked, False, wait, language, back)
            own = asked.same_origin(self._token_holds(asked, fields.get("token")))
            if own is False:
                return self._from_elsewhere(asked, False, language)
            if own and fields.get("answer") == "forget":
                return self._forgotten(asked, language, back)
        held = {name for name, _ in request.cookies}
        text = self._screens(asked).forget(
            language,
            back,
            token=self._token(asked),
            anything=bool(held & {COOKIE, RECORD_COOKIE, HOST_ONLY + RECORD_COOKIE})
            or (asked.account is not None and asked.account.row is not None),
            recorded=asked.record is not None,
        )
        return self.page(asked.site, 200, text)

    def _forgotten(self, asked: Asked, language: str, back: str) -> Reply | Waiting:
        choice, whole = Choice.refuse_all(asked.site.notice, self._gateway.now().date()), asked
        done = f"{asked.site.prefix}forget?language={language}&back={quote(back, safe='/')}"
        account = asked.account
        if account is not None:  # what this device keeps of its own, first
            asked = replace(asked, choice=account.device, record=account.device_record, account=None)
        record = asked.record
        if record is not None and asked.choice is not None and not asked.choice.refuses_all:
            settled = self._settle(asked, choice, "withdraw", "panel", language, done, False, keeps_body=False)
            settled = self._proofs.forgotten(record, settled)
        else:  # nothing was recorded, and what forgets is no refusal to be counted
            settled = self._answered(asked, choice, None, done, False, keeps_body=False)
        if account is not None:
            settled = self._dropped(whole, choice, language, done, settled)
        secure = "; Secure" if asked.request.scheme == "https" else ""
        short = host_only(GRANT_COOKIE, asked.request.scheme)
        held = (COOKIE, short) if short in dict(asked.request.cookies) else (COOKIE,)
        gone = [(b"set-cookie", f"{name}=; Path=/; Max-Age=0; SameSite=Lax{secure}".encode()) for name in held]
        mine = tuple(f"{name}=".encode() for name in (COOKIE, short))

        def kept(pair: tuple[bytes, bytes]) -> bool:
            return not pair[1].startswith(mine) or b"; Domain=" in pair[1]  # what another host planted goes too

        return changed(settled, lambda made: replace(made, pairs=[*gone, *filter(kept, made.pairs)]))

    def _dropped(self, asked: Asked, choice: Choice, language: str, done: str, device: Reply | Waiting) -> Waiting:
        """``device``'s answer, once the account's record is withdrawn and its row deleted; a row that cannot be is a refusal meanwhile."""
        account = asked.account
        assert account is not None and self._gateway.accounts is not None
        made = device
        if account.row is not None and asked.record is not None and not account.row.choice.refuses_all:
            withdrawn = self._record_of(asked, choice, "withdraw", "panel", language, done, False, keeps_body=False)
            made = _after(device, self._proofs.forgotten(asked.record, withdrawn))
        gone = self._gateway.accounts.forget(asked.site.name, account.hash)
        return self._kept(asked, made, gone)

    def _told(self, asked: Asked, back: str, asks_json: bool) -> Reply:
        """The line about the account's choice was closed: not shown again in this session."""
        account = asked.account
        assert account is not None
        marks = [account.row.choice] if account.row is not None else []
        if account.device is not None and asked.grant.account == "conflict":
            marks.append(account.device)
        cookie = self._gateway.account_cookie(asked.site, asked.request, account.hash, mark(*marks) if marks else account.told)
        if not asks_json:
            return Reply(303, [(b"location", quoted(back)), cookie, NO_STORE, *SECURITY])
        value = {"choice": asked.choice.text() if asked.choice else "", "grant": asked.grant.key, "reload": False}
        made = json_reply(200, value)
        return replace(made, pairs=[*made.pairs, cookie])

    def _health(self, asked: Asked) -> Reply:
        return json_reply(200, {"ok": True})

    def _out(self, asked: Asked) -> Reply:
        """A form of the site's page that leads to a host not allowed: said plainly, and sent only by the visitor's own press."""
        query = asked.query
        target = resolve(query.get("u")[:8192], Target(asked.request.scheme, asked.host, "/"))
        if target.scheme not in ("http", "https") or not target.host:
            return self._nothing(asked)
        method = asked.request.method
        fields = (
            Fields.read(asked.content_type, asked.request.body) if method == "POST" else Fields([p for p in query.pairs if p[0] != "u"])
        )
        text = self._screens(asked).leaving(
            text_of(target), asked.language_in(query), "post" if method == "POST" else "get", fields.pairs, local(query.get("back"))
        )
        reply = self.page(asked.site, 200, text)
        source = f"{target.scheme}://{target.host}" + (f":{target.port}" if target.port else "")
        pairs = [(k, v.replace(b"form-action 'self'", b"form-action 'self' " + source.encode("latin-1"))) for k, v in reply.pairs]
        return Reply(200, pairs, reply.body)

    # ---------------------------------------------------------------- gates

    def gate(self, asked: Asked, gate: Gate, decision: Decision) -> Reply:
        """403: what to allow and why, with what was typed (P4)."""
        request = asked.request
        if wants_json(request.pairs):
            value = {
                "type": "about:blank",
                "title": "Forbidden",
                "status": 403,
                "detail": f"This needs the purpose {gate.purpose!r}, which the visitor has not granted.",
                "purpose": gate.purpose,
                "reason": decision.reason.value,
                "panel": asked.site.prefix + "panel",
            }
            return json_reply(403, value, "application/problem+json")
        if asked.site.theirs is not None:
            return self.page(asked.site, 403, self._screens(asked).problem("theirs", asked.language, back=asked.came_from))
        # What another site's page wrote the visitor did not type: our button must not send it as if they had.
        method = "GET" if asked.written_elsewhere else request.method
        fields = Fields.read(asked.content_type, request.body) if method not in ("GET", "HEAD") else Fields([])
        back = asked.came_from
        text = self._screens(asked).gate(
            gate,
            decision,
            asked.language,
            method,
            local(request.target.decode("latin-1")),
            fields.pairs,
            grant=asked.grant,
            back=back,
            token=self._token(asked) if not asked.tells_origin else "",
            files_lost=fields.files,
        )
        return self.page(asked.site, 403, text)

    # ---------------------------------------------------------------- same origin

    def _token(self, asked: Asked) -> str:
        return self._gateway.token(_page_token(asked, self._gateway.hours()[0]))

    def _token_holds(self, asked: Asked, token: str) -> bool:
        return bool(token) and self._gateway.is_token(token, (_page_token(asked, hour) for hour in self._gateway.hours()))

    # ---------------------------------------------------------------- the choice

    def _choice(self, asked: Asked) -> Reply | Waiting:
        request = asked.request
        like = likeness(asked, self._gateway.now().date())
        given = self._firsts.found(like) if like is not None else None
        if given is not None and asked.same_origin() and not self.rate.allows(household(request.client), time.monotonic()):
            return self._first_given(asked, given)
        asks_json = asked.content_type.partition(";")[0].strip().lower() == "application/json"
        query = asked.query
        at_gate = query.get("surface") == "gate"
        if len(request.body) > CHOICE_BODY and not at_gate:
            return self._trouble(asked, 413, "large")
        fields = query if at_gate else Fields.read(asked.content_type, request.body)
        language = asked.language_in(fields)
        wait = self.rate.allows(household(request.client), time.monotonic())
        if wait:
            return self._too_often(asked, asks_json, wait, language, local(fields.get("back")))
        own = asked.same_origin(self._token_holds(asked, fields.get("token")))
        if own is False:
            return self._from_elsewhere(asked, asks_json, language)
        if own is None:
            if asks_json:
                return self._wrong(True, 403, "The browser does not say which page this comes from. Send the form instead.")
            typed = fields.pairs if not at_gate else []
            kept = [(n, v) for n, v in typed if n in ("notice", "answer", "purposes", "services", "object", "surface", "language", "back")]
            text = self._screens(asked).problem("confirm", language, back=local(fields.get("back")), token=self._token(asked), fields=kept)
            return self.page(asked.site, 200, text)
        notice = asked.site.notice
        back = local(fields.get("back"))
        if fields.get("answer") == "object":
            return self._objected(asked, fields, self._moved(asked, fields, back, asks_json))
        if fields.get("answer") == "told" and asked.account is not None:
            return self._told(asked, back, asks_json)
        if fields.get("answer") == "once":
            where = self._embeds.once(asked, back)
            return see(where) if where else self._wrong(asks_json, 400, "back must be the address of a placeholder.")
        if fields.get("notice").partition(".")[0] != notice.short:
            return self._stale(asked, fields, language, back, asks_json)
        if asked.site.theirs is not None and fields.get("answer") not in ("foreign", "refuse", "withdraw"):
            if asks_json:
                return self._wrong(True, 400, "Another consent tool asks on this site: change the choice there.")
            return self.page(asked.site, 403, self._screens(asked).problem("theirs", language, back=back))
        if fields.get("answer") == "foreign":
            return self._foreign(asked, fields, language, own, asks_json)
        choice = self._read(asked, fields)
        if choice is not None:
            choice = _unlocked(choice, asked.grant)
        if choice is None:
            return self._wrong(asks_json, 400, "answer must be accept, refuse, switches, service, once or withdraw, with known services.")
        if not choice.refuses_all and not self._gateway.is_named(asked.site, fields.get("notice")):
            return self._stale(asked, fields, language, back, asks_json)
        surface = fields.get("surface") if fields.get("surface") in _SURFACES else "panel"
        answer = fields.get("answer")
        settled = self._settle(
            asked, choice, answer, surface, language, back, asks_json, keeps_body=at_gate and query.get("sends") == "1", fields=fields
        )
        return self._objected(asked, fields, settled)

    def _stale(self, asked: Asked, fields: Fields, language: str, back: str, asks_json: bool) -> Reply | Waiting:
        """The notice again: another stands now, or nothing proves that a page of ours held the one that is answered."""
        if asks_json:
            return json_reply(409, {"error": "stale", "notice": asked.site.notice.short})
        if fields.get("surface") == "embed":
            return see(back)  # a frame has no room for the panel: its placeholder again, of the present notice
        text = self._screens(asked).panel(
            asked.grant,
            language,
            back,
            choice_text=asked.choice.text() if asked.choice else "",
            message="stale",
            objects="cookie" if "1" in fields.all("object") else asked.request.objection,
        )
        return self._objected(asked, fields, self.page(asked.site, 409, text))

    def _foreign(self, asked: Asked, fields: Fields, language: str, own: bool | None, asks_json: bool) -> Reply | Waiting:
        """What the site's own consent tool keeps, told by ``browser/theirs.ts``; a cookie is read from the request itself. Doubt
        refuses: what cannot be read takes back what there was, and is otherwise no choice."""
        theirs = asked.site.theirs
        if theirs is None or not asks_json or own is not True or fields.get("tool") != theirs.tool.id:
            return self._wrong(asks_json, 400, "No other consent tool asks on this site, or this does not come from its page.")
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
            return self._stale(asked, fields, language, "/", True)
        tool = f"{theirs.tool.id} {version_of(fields.get('version'))}".strip()
        return self._settle(asked, choice, "foreign", "foreign", language, "/", True, keeps_body=False, tool=tool)

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

    def _moved(self, asked: Asked, fields: Fields, back: str, asks_json: bool) -> Reply:
        """The objection alone, from the policy page: it needs no choice, makes none, and nothing of it is recorded or counted."""
        before = asked.grant
        after = replace(before, objects=self._signals(asked, fields).objects and bool(asked.site.notice.objectable))
        stopped = {s.id for s in asked.site.notice.measuring}
        after = replace(after, services=before.services - stopped if after.objects else before.services | stopped)
        _, storage = self._gateway.judges(asked.site, after, asked.host)
        pairs = [
            *self._expired(asked, after, storage, back),
            FORGOTTEN,
            NO_STORE,
            *SECURITY,
        ]
        if asks_json:
            made = json_reply(200, {"objects": after.objects, "grant": after.key, "reload": after.key != before.key})
            return Reply(200, [*[p for p in made.pairs if p not in pairs], *pairs], made.body)
        return Reply(303, [(b"location", quoted(back)), *pairs])

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

    def _settle(self, asked: Asked, choice: Choice, *more: Any, **named: Any) -> Reply | Waiting:
        """The answer to a choice, once it is recorded and, of a logged-in reader, written to the account."""
        made = self._record_of(asked, choice, *more, **named)
        accounts = self._gateway.accounts
        if asked.account is None or accounts is None or not choice.refuses_all:
            return made
        return self._kept(asked, made, accounts.put(asked.site.name, asked.account.hash, _row(asked, choice, None)))

    def _kept(self, asked: Asked, made: Reply | Waiting, row: Future[None]) -> Waiting:
        """``made``, once the account's row is written or cannot be: a refusal holds on this device whatever became of it (R37)."""

        def then(result: Any) -> Reply:
            reply, kept = _made(made, result[0]), result[1]
            if not isinstance(kept, BaseException):
                return reply
            log.error("a refusal took effect on this device and could not be written to the account yet: %s", kept)
            account, gateway = asked.account, self._gateway
            assert account is not None
            cookie = gateway.aside_cookie(asked.site, asked.request, account.hash, gateway.now().date())
            name = cookie[1].partition(b"=")[0]
            return replace(reply, pairs=[*(p for p in reply.pairs if p[1].partition(b"=")[0] != name), cookie])

        return Waiting(_both(made, row), then)

    def _record_of(
        self,
        asked: Asked,
        choice: Choice,
        answer: str,
        surface: str,
        language: str,
        back: str,
        asks_json: bool,
        *,
        keeps_body: bool,
        fields: Fields | None = None,
        tool: str = "",
    ) -> Reply | Waiting:
        """Count a refusal and answer; record a grant, change or withdrawal and answer when that is durable."""
        site, notice, now = asked.site, asked.site.notice, self._gateway.now()
        held = asked.record is not None and asked.choice is not None and not asked.choice.refuses_all
        if asked.account is not None and asked.account.row is None:
            held = False  # the device's own answer, and its record, stay as they are
        # To a browser's page it would hand the record's id, which no cookie gives a script: the visitor opens ``receipt/``.
        with_receipt = asks_json and asked.request.get(b"sec-fetch-mode") is None

        def reply(tag: RecordTag | None) -> Reply:
            return self._answered(asked, choice, tag, back, asks_json, keeps_body=keeps_body, fields=fields)

        if choice.refuses_all and not held:
            self._gateway.metrics.chosen(answer, surface)
            try:
                self._gateway.store.count(Count(site.name, now.date(), notice.digest, surface, language, asked.grant.gpc))
            except StoreError as error:  # a refusal takes effect whatever becomes of its count
                log.error("a refusal took effect but could not be counted: %s", error)
            return reply(None)
        granted = self._gateway.granted(site, choice, Signals(locked=asked.grant.locked) if asked.grant.locked else _SILENT, now.date())
        method = "gate" if surface == "gate" else _METHODS[answer]
        gpc, regime = asked.grant.gpc or asked.grant.overrides_gpc, asked.grant.regime

        def made() -> Record:
            return Record(
                id=new_id(),
                site=site.name,
                time=now,
                event="withdrawn" if choice.refuses_all else "changed" if held else "given",
                method=method,
                surface=surface,
                language=language,
                notice=notice.digest,
                purposes={p: p in granted.purposes for p in notice.askable},
                services={s.id: s.id in granted.services for s in notice.services_asked},
                supersedes=asked.record or "" if held else "",
                unconfigured=site.unconfigured,
                gpc=gpc,
                tool=tool,
                regime=regime,
            )

        if not held and asked.account is None:
            like = (site.name, notice.digest, choice, asked.grant.locked, method, surface, language, gpc, tool, regime)
            alike = self._given.get(like, made)
            given = Given(asked.grant, granted, choice, alike, answer, surface, language, back, asks_json, reply(BLANK), with_receipt)
            plain = fields is not None and not fields.all("object")
            return self._first_given(asked, given, likeness(asked, choice.day) if plain else None)
        self._gateway.metrics.chosen(answer, surface)
        record = made()
        told = self._event(asked, record, choice, granted)
        first = False
        if held:  # cookies that were kept aside can be sent again and again: a grant is withdrawn, or made less, once
            opens = granted.purposes - asked.grant.purposes or {id for id, on in record.services.items() if on} - asked.grant.services
            first = not opens and self._first(record.supersedes)
        if choice.refuses_all:
            return self._withdrawn(record, notice, told, lambda: reply(None)) if first else reply(None)
        tag = RecordTag.sign(self._gateway.keys, site.name, record.id, choice)
        if first:  # what is taken away is so at once, and what is left was recorded when it was given
            less, accounts = self._withdrawn(record, notice, told, lambda: reply(tag)), self._gateway.accounts
            if asked.account is None or accounts is None:
                return less
            return self._kept(asked, less, accounts.put(site.name, asked.account.hash, _row(asked, choice, tag)))
        if wait := self._quota(site).allows("", time.monotonic()):
            self._held_up(site)
            return self._too_often(asked, asks_json, wait, language, back, status=503)
        future = self._append(record, notice, told)
        if asked.account is not None:
            future = self._to_account(asked, choice, tag, record, future)

        def then(result: Any) -> Reply:
            if isinstance(result, BaseException):
                return self._unrecorded(asked, result, language, back, asks_json)
            return receipted(reply(tag), result if with_receipt and isinstance(result, Kept) else None)

        return Waiting(future, then)

    def _first_given(self, asked: Asked, given: Given, new: Hashable | None = None) -> Reply | Waiting:
        """Record a first grant, and answer once that is durable; ``new``: as what it is remembered from then on."""
        site, gateway = asked.site, self._gateway
        gateway.metrics.chosen(given.answer, given.surface)
        if wait := self._quota(site).allows("", time.monotonic()):
            self._held_up(site)
            return self._too_often(asked, given.asks_json, wait, given.language, given.back, status=503)
        record = given.record.again(new_id(), gateway.now())
        tag = RecordTag.sign(gateway.keys, site.name, record.id, given.choice)

        def then(result: Any) -> Reply:
            if isinstance(result, BaseException):
                return self._unrecorded(asked, result, given.language, given.back, given.asks_json)
            if new is not None:
                self._firsts.keep(new, given)
            return given.replied(tag, result)

        return Waiting(self._append(record, site.notice, self._event(asked, record, given.choice, given.granted)), then)

    def _event(self, asked: Asked, record: Record, choice: Choice, granted: Grant) -> Event | None:
        """What the site's hook is told of it."""
        hook, site = asked.site.hook, asked.site
        if hook is None:
            return None
        key = hooks.visitor_key(hook, site, asked.request.pairs, asked.grant, granted)
        return hooks.event(hook, record, key, expires(choice.day, site.notice.months))

    def _unrecorded(self, asked: Asked, error: BaseException, language: str, back: str, asks_json: bool) -> Reply:
        """503: what is not in the ledger is not granted."""
        if not isinstance(error, StoreError):
            raise error
        log.error("a grant could not be recorded, so it takes no effect: %s", error)
        if asks_json:
            failed = json_reply(503, {"error": "not recorded", "detail": "Your answer could not be recorded, so nothing was allowed."})
        else:
            failed = self.page(asked.site, 503, self._screens(asked).problem("record", language, back=back))
        return replace(failed, pairs=[*failed.pairs, (b"retry-after", b"1" if isinstance(error, StoreBusy) else b"10")])

    def _to_account(self, asked: Asked, choice: Choice, tag: RecordTag, record: Record, recorded: Future[Any]) -> Future[Any]:
        """A grant is the account's once it is recorded and then written; one that cannot be written is withdrawn again."""
        accounts, account, notice = self._gateway.accounts, asked.account, asked.site.notice
        assert accounts is not None and account is not None
        made: Future[Any] = Future()

        def written(future: Future[Any]) -> None:
            error = future.exception()
            if error is None:
                made.set_result(None)
                return
            undone = replace(
                record,
                id=new_id(),
                event="withdrawn",
                method="refuse-all",
                supersedes=record.id,
                tool="",
                purposes=dict.fromkeys(record.purposes, False),
                services=dict.fromkeys(record.services, False),
            )
            self._follow(undone, notice, None)
            made.set_exception(error)

        def done(future: Future[Any]) -> None:
            error = future.exception()
            if error is not None:
                made.set_exception(error)
                return
            accounts.put(asked.site.name, account.hash, _row(asked, choice, tag)).add_done_callback(written)

        recorded.add_done_callback(done)
        return made

    def _first(self, record: str) -> bool:
        """Whether this is the first answer here that takes from what ``record`` granted."""
        with self._lock:
            if record in self._lessened:
                return False
            self._lessened[record] = None
            while len(self._lessened) > LESSENED:
                self._lessened.popitem(last=False)
            return True

    def _quota(self, site: Site) -> Rate:
        """What bounds the ledger's growth when many addresses flood it: a minute's worth at once."""
        if len(self._grants) > 1000:
            self._grants.clear()  # a demonstration answers for any host
            self._refused.clear()
        return self._grants.setdefault(site.name, Rate(site.grants_a_minute / 60, site.grants_a_minute))

    def _held_up(self, site: Site) -> None:
        """Tell the operator of grants that the quota refuses: how many, at most once a minute."""
        with self._lock:
            count, told = self._refused.get(site.name, (0, -math.inf))
            now = time.monotonic()
            due = now - told >= 60
            self._refused[site.name] = (0, now) if due else (count + 1, told)
        if due:
            log.error("more than %d grants a minute: %d not recorded ([limits] grants_a_minute).", site.grants_a_minute, count + 1)

    def _withdrawn(self, record: Record, notice: Notice, told: Event | None, reply: Callable[[], Reply]) -> Waiting:
        """A withdrawal, whole or in part, takes effect whatever becomes of the ledger; answered once it survives a kill, or cannot."""

        def then(result: Any) -> Reply:
            if isinstance(result, (StoreUnavailable, StoreBusy)):
                self._follow(record, notice, told)
            elif isinstance(result, BaseException):
                log.error("the withdrawal of record %s took effect but could not be recorded: %s", record.supersedes, result)
            return reply()

        try:
            return Waiting(self._gateway.store.withdraw(record, notice, told), then)
        except StoreError as error:
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return Waiting(failed, then)

    def _append(self, record: Record, notice: Notice, told: Event | None) -> Future[Any]:
        metrics, begin = self._gateway.metrics, time.perf_counter()
        try:
            kept = self._gateway.store.append(record, notice, told)
        except StoreError as error:
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

        def done(future: Future[Any]) -> None:
            metrics.add("ledger waiting", -1)
            if not future.cancelled() and future.exception() is None:
                metrics.recorded(time.perf_counter() - begin)

        metrics.add("ledger waiting")
        kept.add_done_callback(done)
        return kept

    def _follow(self, record: Record, notice: Notice, told: Event | None, wait: float | None = None) -> None:
        """Record a withdrawal that has taken effect, again and again while the ledger is down: what a site keeps hangs on being told."""
        wait = FOLLOW if wait is None else wait

        def done(future: Future[Any]) -> None:
            error = future.exception()
            if error is None:
                return
            if wait > FOLLOW_LAST or self._following >= FOLLOWING or not isinstance(error, (StoreUnavailable, StoreBusy)):
                log.error("the withdrawal of record %s took effect but could not be recorded: %s", record.supersedes, error)
                return
            log.warning("the withdrawal of record %s took effect and will be recorded later: %s", record.supersedes, error)
            self._following += 1
            timer = threading.Timer(wait, again)
            timer.daemon = True
            timer.start()

        def again() -> None:
            self._following -= 1
            self._follow(record, notice, told, wait * 2)

        self._append(record, notice, told).add_done_callback(done)

    def _answered(
        self,
        asked: Asked,
        choice: Choice,
        tag: RecordTag | None,
        back: str,
        asks_json: bool,
        *,
        keeps_body: bool,
        fields: Fields | None = None,
    ) -> Reply:
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
        pairs += self._expired(asked, granted, storage, back)
        pairs += [FORGOTTEN, NO_STORE, *SECURITY]
        if asks_json:
            first_refusal = (
                choice.refuses_all and not asked.grant.answered and not asked.grant.presumed and granted.objects == asked.grant.objects
            )
            reload = "true" if not first_refusal and granted.key != asked.grant.key else "false"
            # Neither text holds a character that JSON writes in another way.
            body = f'{{"choice":"{choice.text()}","grant":"{granted.key}","reload":{reload},"keep":{keep(storage)}}}'
            return Reply(201, [(b"content-type", b"application/json"), *pairs], body.encode())
        return Reply(307 if keeps_body else 303, [(b"location", quoted(back)), *pairs])

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

    def _too_often(self, asked: Asked, asks_json: bool, wait: float, language: str, back: str, status: int = 429) -> Reply:
        """429: more answers from one address than a person gives; 503: more grants than the site takes."""
        if asks_json:
            whose = "from your address" if status == 429 else "on this site"
            reply = self._wrong(True, status, f"Too many choices at once {whose}. Wait a moment.")
        else:
            reply = self.page(asked.site, status, self._screens(asked).problem("often", language, back=back))
        return replace(reply, pairs=[*reply.pairs, (b"retry-after", b"%d" % math.ceil(wait))])

    def _from_elsewhere(self, asked: Asked, asks_json: bool, language: str) -> Reply:
        """403: an answer that another site's page sent. Its ``back`` is that page's, and not offered."""
        if asks_json:
            return self._wrong(True, 403, "A choice is taken only from the site's own pages.")
        return self.page(asked.site, 403, self._screens(asked).problem("elsewhere", language))

    def _wrong(self, asks_json: bool, status: int, text: str) -> Reply:
        if asks_json:
            return json_reply(status, {"error": text})
        return Reply(status, [(b"content-type", b"text/plain; charset=utf-8"), NO_STORE, *SECURITY], text.encode() + b"\n")
