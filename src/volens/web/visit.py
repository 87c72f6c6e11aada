"""One request of one visitor, as a face sees it: what goes on to the application, and what becomes of its answer."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from volens.accounts import mark
from volens.audience.counts import Counts
from volens.audience.view import read
from volens.choice import (
    AGE,
    COOKIE,
    GRANT_COOKIE,
    RECORD_COOKIE,
    Choice,
    Signals,
    host_only,
)
from volens.enforce import csp, gates, guard
from volens.enforce.address import shown, told
from volens.enforce.exchange import WHOLE, Exchange, State, TextOnly
from volens.enforce.headers import Pairs, cookies, get, get_all, private, with_consent, without
from volens.enforce.storage import is_own
from volens.enforce.url import Target
from volens.foreign import Tools
from volens.policy import Decision, Grant, grant
from volens.site import FULL, Audience, Gate, Site
from volens.web.asked import Account, Asked, account_names
from volens.web.messages import Reply, Request, Waiting

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

log = logging.getLogger("volens")

MAX_BODY = 1 << 18
"""Bytes of a request's body that our own end points and gates read."""
_PAGE = re.compile(rb"\s*(?:text/html|application/xhtml\+xml)\s*(?:;|\Z)", re.IGNORECASE)


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
            return hosts.collection(self._host, target, destination.decode("latin-1"))
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
        return self._gateway.pages.page(self.site, 504 if kind == "slow" else 502, text)

    def too_large(self) -> Reply:
        """413: more than ``body_limit`` was sent to a page of ours."""
        return self._trouble(413, "large")

    def _trouble(self, status: int, kind: str) -> Reply:
        request, screens = self._request, self._gateway.screens(self.site)
        accept = (request.get(b"accept-language") or b"").decode("latin-1")
        target = request.target.decode("latin-1")
        back = target if status == 502 and target.startswith("/") and not target.startswith("//") else ""
        return self._gateway.pages.trouble(self.site, request.pairs, status, kind, screens.language("", accept), back)

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
        """Of the header fields of a 103 (Early Hints) those that may be sent on."""
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
        names = account_names(request)
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
        """Status and headers as they go out, before the body."""
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
        """What goes out for the next bytes of the body."""
        if self._copy is not None:
            self._copy.append(chunk)
            self._copied += len(chunk)
            if self._copied > WHOLE:
                self._copy = None
        if self._text is not None:
            return self._text.feed(chunk)
        return chunk if self.left else self._exchange.feed(chunk)

    def finish(self) -> bytes:
        """What is still to go out when the body has ended."""
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
