"""One request and its answer, without I/O: ``ask``, then ``whole`` or ``head``, ``feed``, ``finish``.

A face hands in what it received and sends what it is given. Where the whole body is at hand (at most WHOLE bytes)
the page's own markup says which hosts its policy must name, and the result is remembered; else the page streams
through in bounded memory under a policy of what is already known of the site.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from volens.enforce import charset, csp, guard, headers
from volens.enforce.coding import PIECE, CodingError, Decoder, Encoder, decoded
from volens.enforce.headers import Pairs, get, get_all, without
from volens.enforce.hosts import PASSIVE, Hosts
from volens.enforce.html import BACK, DEEP, Frame, Rewriter, Seen, Withheld, escape
from volens.enforce.storage import Storage
from volens.enforce.url import Target, resolve
from volens.foreign import Tools

log = logging.getLogger("volens")

WHOLE = 1 << 20
"""Largest body that is looked at as a whole, in bytes."""
UNPACKED = 1 << 23
"""Largest decoded form of such a body; a larger one streams."""
LOOKED_AT = ("Cookie", "Sec-GPC", "Accept-Language", "Sec-Fetch-Dest", "Sec-Fetch-Site")
"""Request headers that a page of ours depends on, found or not; ``DNT`` too where it stops something (``State.looked_at``)."""
VERSION = "2"
"""Part of every mark: a change of what we do to pages makes browsers fetch them anew."""
_DOCUMENTS = frozenset({"document", "iframe", "frame", "embed", "object", "fencedframe"})
_FRAMED = frozenset({"iframe", "embed", "object", "fencedframe"})
_WORKERS = frozenset({"worker", "sharedworker"})
_HTML = re.compile(r"\s*(text/html|application/xhtml\+xml)\s*(;|\Z)", re.IGNORECASE)
_ACTIVE = re.compile(r"\s*(image/svg\+xml|text/xml|application/xml|application/[\w.-]+\+xml)\s*(;|\Z)", re.IGNORECASE)
_SNIFFED = re.compile(
    rb"[\t\n\f\r ]*(?:<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[\t\n\f\r >]|<!--)",
    re.IGNORECASE,
)
"""What a browser takes for HTML where no type is named (MIME Sniffing §7.1)."""


class Dressing(Protocol):
    """What the screens give an exchange (rank 4 makes it, this rank only places it)."""

    def __call__(self, language: str) -> str:
        """The host element for a page in ``language`` ('' where the page doesn't say)."""
        ...


class Placing(Protocol):
    """What the screens give to stand where an embed is withheld."""

    def __call__(self, withheld: Withheld) -> str:
        """The document to stand in its place."""
        ...


@dataclass(frozen=True)
class State:
    """All that an answer depends on besides the application's bytes."""

    hosts: Hosts
    storage: Storage
    page: Target
    code: str
    """The guard's text."""
    worker_code: str
    style: str
    """Text of the notice's style element, for its hash."""
    dress: Dressing
    answer: str
    """Notice and answers of the visitor's cookie; empty without a choice."""
    language: str
    """What the visitor's browser prefers: the notice's language where the page has none."""
    destination: str
    named: str = ""
    """What the page's forms call the notice: it changes with the week."""
    method: str = "GET"
    xhr: bool = False
    accepts_html: bool = True
    ports: str = ""
    place: Placing | None = None
    place_style: str = ""
    """Text of the placeholders' style element, for its hash."""
    area: Callable[[str, str, str], str] | None = None
    """What stands in a place of the page for a closed gate, by the gate's path, the place's id and the page's language; '' where
    the gate is open. None: the site has no gates."""
    unreadable: Callable[[], tuple[Pairs, bytes]] | None = None
    """Headers and body of what is served with 502 for a page in a coding that cannot be undone; None: a line of text."""
    posted: bool = False
    foreign: bool = False
    """Whether another site shows this page in a frame of its own."""
    reports: bool = False
    """Whether browsers are asked to report what our policy refuses on this page."""
    shared: bool = False
    """Whether a cache in front may give this page to others: they are in the same state, and the site says so (``[cache]``)."""

    @property
    def document(self) -> bool:
        """Whether the answer would be shown as a document: by Sec-Fetch-Dest, else by Accept."""
        if self.destination:
            return self.destination in _DOCUMENTS
        return self.accepts_html and not self.xhr

    @property
    def looked_at(self) -> tuple[str, ...]:
        """Request headers that the answer depends on."""
        site = self.hosts.site
        own = [site.age_header, *([site.regions.header, site.regions.subdivision] if site.regions else [])]
        more = ("DNT",) if site.notice.objectable else ()
        return (*LOOKED_AT, *more, *(name.decode() for name in own if name))

    @cached_property
    def key(self) -> str:
        """Twelve digits that name this state: the mark of entity tags, and part of the memo's key."""
        site, grant = self.hosts.site, self.hosts.grant
        parts = (
            VERSION,
            site.name,
            site.prefix,
            grant.notice.digest,
            grant.key,
            self.answer,
            str((grant.answered, grant.asked, sorted(grant.new), grant.gpc, grant.overrides_gpc, site.unconfigured, self.posted)),
            self.language,
            self.named,
            str((sorted(grant.locked), grant.regime, sorted(grant.presumed), grant.account)),
            str((self.destination in _FRAMED, self.foreign)),
            f"{self.page.scheme}://{self.page.host}:{self.page.port}",
            "\n".join((*site.hosts, "", *site.deny, "", *(f"{gate.path} {gate.purpose} {gate.withdrawn}" for gate in site.gates))),
            csp.hash_source(self.code),
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Page:
    """A rewritten body, cut where the page's own path goes in, with what the headers of the answer need to know of it."""

    parts: tuple[tuple[bytes, ...], ...]
    policy: str
    framed: bool
    charset: str
    seen: Seen
    changed: bool
    codec: str = "latin-1"

    def body(self, path: bytes) -> bytes:
        """The bytes to send for a page at ``path`` (ASCII)."""
        text = charset.Text(self.codec)
        plain = path.decode("ascii")
        return text.encode(escape(plain)).join([text.encode(plain).join(parts) for parts in self.parts])

    @property
    def size(self) -> int:
        """How many bytes of memory it takes."""
        return sum(len(part) for parts in self.parts for part in parts)


class Memo:
    """Pages already rewritten, by state and body, in at most ``limit`` bytes; the least recently used go first."""

    def __init__(self, limit: int = 64 << 20) -> None:
        self._limit, self._held = limit, 0
        self._pages: OrderedDict[tuple[str, bytes], Page] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, bytes]) -> Page | None:
        """The page made of this body in this state, if it is remembered."""
        with self._lock:
            page = self._pages.get(key)
            if page is not None:
                self._pages.move_to_end(key)
            return page

    def put(self, key: tuple[str, bytes], page: Page) -> None:
        """Remember it, if it isn't too large to share the room with others."""
        size = len(key[1]) + page.size
        if size > self._limit // 8:
            return
        with self._lock:
            if key not in self._pages:
                self._pages[key] = page
                self._held += size
            while self._held > self._limit:
                (_, body), old = self._pages.popitem(last=False)
                self._held -= len(body) + old.size


class Learnt:
    """What was seen of sites and holds for every visitor: hosts of images in markup, and cookies set out of scripts' reach.

    Cookie names are shared between workers through a file, where one is given: a session that one worker lets the
    application set must not be withdrawn by another.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.hosts: OrderedDict[str, set[str]] = OrderedDict()
        self._names: set[str] = set()
        self._path, self._read = path, (0, 0)

    def page(self, host: str, seen: Seen) -> None:
        """Note the hosts from which a page's markup takes images and styles."""
        known = self.hosts.setdefault(host, set())
        self.hosts.move_to_end(host)
        for kind in PASSIVE:
            if len(known) < 200:
                known |= seen.used.get(kind, set())
        while len(self.hosts) > 500:
            self.hosts.popitem(last=False)

    def passive(self, host: str) -> set[str]:
        """Hosts of images and styles that stood in the markup of this site's pages."""
        return self.hosts.get(host, set())

    def learn(self, host: str, name: str) -> None:
        """Note a cookie that a site's server sets with HttpOnly."""
        line = f"{host} {name}"
        if line in self._names or len(self._names) >= 5000 or len(line) > 400 or not re.fullmatch(r"[\x21-\x7e]+ [\x21-\x7e]+", line):
            return
        self._names.add(line)
        if self._path is not None:
            with contextlib.suppress(OSError), open(self._path, "a", encoding="ascii") as file:
                file.write(line + "\n")  # one short append: whole lines, whoever else writes

    def knows(self, host: str, name: str) -> bool:
        """Whether the server of ``host`` is known to set ``name`` with HttpOnly."""
        line = f"{host} {name}"
        if line in self._names:
            return True
        if self._path is None:
            return False
        try:
            state = os.stat(self._path)
            if (state.st_mtime_ns, state.st_size) == self._read:
                return False
            self._read = (state.st_mtime_ns, state.st_size)
            with open(self._path, encoding="ascii", errors="replace") as file:
                self._names.update(file.read(1 << 20).splitlines())
        except OSError:
            return False  # not there yet
        return line in self._names


class Exchange:
    """One request and its answer under one state: ``ask`` first; then ``whole``, or ``head``, ``feed`` for each piece, and ``finish``."""

    def __init__(self, state: State, memo: Memo, learnt: Learnt) -> None:
        self.state, self._memo, self._learnt = state, memo, learnt
        self._refused: list[str] = []
        self._tossed: Pairs = []
        self._path = b"/"
        self._rewriter: Rewriter | None = None
        self._decoder: Decoder | None = None
        self._encoder: Encoder | None = None
        self._text: charset.Text | None = None
        self._first = b""  # of a streamed page, until its byte order mark can be told
        self._nonced = ""
        self._failed = self._worker = self._wide = self._passes = False
        self._unreadable: bytes | None = None  # what is served instead
        self._declared = ""
        self._started = False
        self._scripts: list[bytes] | None = None  # of a streamed script, until it can be told whether it is a consent tool
        self._script_size, self._script_coding, self._script_over = 0, "identity", False
        self._taken: dict[str, int] = {}
        self.rewrites = False
        """Whether the answer is a page that passes through the rewrite."""
        self.streams = False

    def taken(self) -> dict[str, int]:
        """How much was withheld since this was last asked, by layer."""
        taken, self._taken = self._taken, {}
        return taken

    def _took(self, layer: str, count: int) -> None:
        if count > 0:
            self._taken[layer] = self._taken.get(layer, 0) + count

    # ---------------------------------------------------------------- the request

    def ask(self, pairs: Pairs, target: bytes) -> Pairs:
        """The request's headers as the application may see them."""
        state = self.state
        path = target.partition(b"#")[0].decode("latin-1")
        own = path if path.startswith("/") and not path.startswith("//") else "/"
        # An apostrophe ends the attribute that holds a placeholder, a backslash may end a string of a script that says BACK.
        self._path = escape(own).replace("'", "&#39;").replace("\\", "%5C").encode()
        self._target = path
        sent = sum(value.count(b"=") for value in get_all(pairs, b"cookie"))
        self._tossed = (
            headers.tossed([name for name, _ in headers.cookies(pairs)], state.page.scheme, state.page.host, state.hosts.catalog)
            if sent
            else []
        )
        pairs, self._refused = headers.filter_cookies(pairs, state.storage, lambda name: self._learnt.knows(state.page.host, name))
        if sent:
            self._took("cookie", sent - sum(value.count(b"=") for value in get_all(pairs, b"cookie")))
        pairs = headers.to_application(pairs, state.hosts.grant, document=state.document)
        if state.document:
            pairs = headers.unmark(pairs, state.key)
        return pairs

    def early(self, pairs: Pairs) -> Pairs:
        """The fields of a 103 (RFC 8297): its links, without those that lead to hosts not allowed."""
        kept = []
        for key, value in pairs:
            if key.lower() == b"link" and (value := headers.links(value, self.state.hosts, self.state.page)):
                kept.append((key, value))
        return kept

    # ---------------------------------------------------------------- the answer's head

    def _common(self, pairs: Pairs) -> Pairs:
        state = self.state
        before = len(pairs)
        pairs = headers.filter_set_cookies(pairs, state.storage, lambda name: self._learnt.learn(state.page.host, name))
        self._took("set-cookie", before - len(pairs))
        before = len(pairs)
        pairs = headers.from_application(pairs, state.hosts, state.page)
        ours = (b"permissions-policy", b"x-dns-prefetch-control")
        self._took("header", before - sum(key not in ours for key, _ in pairs))
        expired = headers.expiries(self._refused, state.page.host, self._target, state.storage, state.hosts.catalog)
        expired += self._tossed
        return headers.private(pairs + expired) if expired else pairs

    def _kept(self, pairs: Pairs) -> Pairs:
        return pairs if self.state.shared else headers.private(pairs)

    def _kind(self, status: int, pairs: Pairs, start: bytes | None) -> str:
        """``page`` to be rewritten, ``active`` to be given the policy, ``worker`` to be given the guard, or empty."""
        state = self.state
        types = get_all(pairs, b"content-type")
        content_type = types[-1].decode("latin-1") if types else ""
        if state.destination in _WORKERS and not state.hosts.open:
            return "worker" if "javascript" in content_type.lower() or not content_type else ""
        if not state.document:
            return ""
        if _HTML.match(content_type):
            return "page"
        if _ACTIVE.match(content_type):
            return "active"
        if not content_type.strip() and (get(pairs, b"x-content-type-options") or b"").strip().lower() != b"nosniff":
            return "page" if start is None or _SNIFFED.match(start) else ""
        return ""

    def _page_head(self, pairs: Pairs, page: Page | None, nonce: str) -> Pairs:
        """Headers of a page that was changed: validators marked, the site's policy widened, ours added."""
        state = self.state
        out: Pairs = []
        framed = page.framed if page is not None else not state.hosts.open
        needs = csp.Needs(
            csp.hash_source(self._guard_text(self._xml)) if state.code else "",
            csp.hash_source(state.style) if self._dressed or state.area else "",
            framed,
            csp.hash_source(state.place_style) if framed and state.place else "",
        )
        for key, value in pairs:
            name = key.lower()
            if name in (
                b"content-length",
                b"last-modified",
                b"accept-ranges",
                b"content-md5",
                b"digest",
                b"repr-digest",
                b"content-digest",
                b"etag",
            ):
                if name == b"etag":
                    out.append((key, headers.marked(value, state.key)))
                continue
            if name == b"content-security-policy":
                policies = [csp.widen(p.strip(), needs, nonce, self._denied) for p in value.decode("latin-1").split(",") if p.strip()]
                value = ", ".join(p for p in policies if p).encode("latin-1")
                if not value:
                    continue
            elif name == b"content-type" and page is not None and page.charset and b"charset" not in value.lower():
                value = value.strip().rstrip(b";") + b"; charset=" + page.charset.encode()
            out.append((key, value))
        if page is not None and not get(out, b"content-type"):
            out.append((b"content-type", b"text/html"))
        policy = page.policy if page is not None else csp.ours(state.hosts, Seen(), state.ports, self._learnt.passive(state.page.host))
        if policy and state.reports:
            policy, where = csp.reporting(policy, state.hosts.site.prefix, out, secure=state.page.scheme == "https")
            out += where
        if policy:
            out.append((b"content-security-policy", policy.encode("latin-1")))
        return headers.vary(self._kept(out), *self.state.looked_at)

    def _denied(self, reference: str) -> bool:
        target = resolve(reference, self.state.page)
        return bool(target.host) and not self.state.hosts.decide(target.host, "connect").allowed

    @property
    def _dressed(self) -> bool:
        return self.state.destination not in _FRAMED or self.state.foreign

    def _guard_text(self, xml: bool) -> str:
        return f"//<![CDATA[\n{self.state.code}\n//]]>" if xml else self.state.code

    def _frame(self, nonce: str, named: str = "") -> Frame:
        """``named``: the encoding that must be named in front of our script, for a browser looks for it in 1024 bytes."""
        state = self.state
        own = csp.own_sources(state.hosts, "")[1:]
        granted = [
            h for s in state.hosts.grant.notice.services if state.hosts.grant.decide(s).allowed for h in s.hosts if not h.startswith("/")
        ]
        told = guard.config(
            state.hosts, state.storage, answer=state.answer, own=[*own, *(g for g in granted if g not in own)], posted=state.posted
        )
        script = guard.markup(state.code, told, nonce=nonce, xml=self._xml) if state.code else ""
        if script and named and not self._xml:
            script = f'<meta charset="{escape(named)}">{script}'

        def dress(language: str) -> str:
            markup = state.dress(language).encode("ascii", "xmlcharrefreplace").decode()
            for tag in ("<style", "<script") if nonce else ():
                markup = markup.replace(tag, f"{tag} nonce='{nonce}'", 1)
            return markup

        def place(withheld: Withheld) -> str:
            assert state.place is not None
            markup = state.place(withheld)
            return markup.replace("<style", f"<style nonce='{nonce}'", 1) if nonce else markup

        def area(path: str, id: str, language: str) -> str:
            assert state.area is not None
            markup = state.area(path, id, language).encode("ascii", "xmlcharrefreplace").decode()
            return markup.replace("<style", f"<style nonce='{nonce}'", 1) if nonce else markup

        widen = None
        if state.code:
            framed = not state.hosts.open
            needs = csp.Needs(
                csp.hash_source(self._guard_text(self._xml)),
                csp.hash_source(state.style),
                framed,
                csp.hash_source(state.place_style) if framed and state.place else "",
            )
            widen = lambda content: csp.widen(content, needs, "", self._denied)
        return Frame(
            state.hosts,
            state.page,
            state.hosts.site.prefix,
            script,
            dress if self._dressed else None,
            widen,
            self._xml,
            place if state.place else None,
            area if state.area else None,
        )

    def _nonce(self, pairs: Pairs) -> str:
        policies = [p for value in get_all(pairs, b"content-security-policy") for p in value.decode("latin-1").split(",") if p.strip()]
        nonce = csp.nonce_of(policies)
        return nonce if re.fullmatch(r"[A-Za-z0-9+/_=-]*", nonce) else ""

    @property
    def _xml(self) -> bool:
        return "xhtml" in self._declared.lower()

    # ---------------------------------------------------------------- a whole body

    def whole(self, status: int, pairs: Pairs, body: bytes) -> tuple[int, Pairs, bytes]:
        """Status, headers and body to send, for an answer that is all at hand."""
        common = self._common(pairs)
        if self.state.method == "HEAD" or status in (204, 205, 304) or status < 200:
            return status, self._bodyless(status, common), body
        coding = self._coding(pairs)
        start = body[:1024] if coding == "identity" else None
        kind = self._kind(status, pairs, start)
        self._declared = (get(pairs, b"content-type") or b"").decode("latin-1")
        if self._may_be_tool(pairs):
            common, body = self._without_tool(common, body, coding)
        if kind != "page" or not body:
            return self._other(kind, status, common, body)
        nonce = self._nonce(pairs)
        key = (f"{self.state.key} {coding} {self._declared}", body)
        page = None if nonce else self._memo.get(key)
        if page is None:
            try:
                text = decoded(body, coding, UNPACKED)
            except CodingError:
                return self.withheld(status, common, body)
            if text is None:
                status, pairs = self.head(status, pairs)
                return status, pairs, self.feed(body) + self.finish()
            page = self._rewrite(text, coding, nonce)
            if not nonce:
                self._memo.put(key, page)
        self._learnt.page(self.state.page.host, page.seen)
        self.rewrites = True
        self._took("markup", len(page.seen.withheld))
        if not page.changed:
            return status, self._page_head(common, page, nonce) + [(b"content-length", b"%d" % len(body))], body
        if coding != "identity":
            encoder = Encoder(coding)
            sent = encoder.add(page.body(self._path)) + encoder.end()
        else:
            sent = page.body(self._path)
        return status, self._page_head(common, page, nonce) + [(b"content-length", b"%d" % len(sent))], sent

    def _bodyless(self, status: int, pairs: Pairs) -> Pairs:
        """HEAD, 204, 304: no body to look at. What a 304 says of policies would replace those of the page it stands for."""
        if not self.state.document:
            return pairs
        if status == 304:
            out = without(pairs, b"content-security-policy", b"last-modified", b"content-type", b"content-length")
            return headers.vary(
                self._kept([(k, headers.marked(v, self.state.key) if k.lower() == b"etag" else v) for k, v in out]), *self.state.looked_at
            )
        if self.state.method == "HEAD" and self._kind(status, pairs, b"") == "page":
            self._declared = (get(pairs, b"content-type") or b"").decode("latin-1")
            return self._page_head(pairs, None, self._nonce(pairs))
        return pairs

    def _coding(self, pairs: Pairs) -> str:
        names = [c.strip().lower() for value in get_all(pairs, b"content-encoding") for c in value.decode("latin-1").split(",")]
        names = ["gzip" if c == "x-gzip" else c for c in names if c and c != "identity"]
        if not names:
            return "identity"
        return names[0] if len(names) == 1 and names[0] in headers.CODINGS else "unknown"

    def _other(self, kind: str, status: int, pairs: Pairs, body: bytes) -> tuple[int, Pairs, bytes]:
        if kind in ("active", "worker"):
            pairs = self._with_policy(pairs)
        coding = self._coding(pairs)
        if kind == "worker" and coding != "unknown":
            with contextlib.suppress(CodingError):  # what cannot be read does not run either
                encoder = Encoder(coding)
                parts = [encoder.add(self._prelude()), *map(encoder.add, Decoder(coding).pieces(body)), encoder.end()]
                body = b"".join(parts)
                pairs = [*without(pairs, b"content-length", b"etag", b"last-modified"), (b"content-length", b"%d" % len(body))]
        return status, self._seen_otherwise(status, pairs), body

    def _may_be_tool(self, pairs: Pairs) -> bool:
        """Whether the answer is a script that a page runs: it may be a consent tool under a name of its own."""
        types = get_all(pairs, b"content-type")
        return self.state.destination == "script" and not self.state.hosts.open and bool(types) and b"javascript" in types[-1].lower()

    def _without_tool(self, pairs: Pairs, body: bytes, coding: str) -> tuple[Pairs, bytes]:
        """A consent tool's own file gives way to its stand-in; a bundle that holds one goes on, and the tool's windows stay hidden."""
        try:
            raw = decoded(body, coding, UNPACKED) or b""
        except CodingError:
            return pairs, body
        text, tools = raw.decode("latin-1"), Tools.packaged()
        tool = tools.content(text) or tools.inline(text)
        if tool is None or self.state.hosts.is_theirs(tool):
            return pairs, body
        made = tool.stand_in.encode() if tools.itself(text) else f"(function(){{{tool.hiding}}})();".encode() + raw
        if coding != "identity":
            encoder = Encoder(coding)
            made = encoder.add(made) + encoder.end()
        kept = without(pairs, b"content-length", b"etag", b"last-modified", b"cache-control", b"expires")
        return [*kept, (b"content-length", b"%d" % len(made)), (b"cache-control", b"no-cache")], made

    def _seen_otherwise(self, status: int, pairs: Pairs) -> Pairs:
        """HTML that is not asked for as a document passes as it is; a cache must not show it as one."""
        types = get_all(pairs, b"content-type")
        if self.state.document or not types or not (_HTML.match(types[-1].decode("latin-1")) or _ACTIVE.match(types[-1].decode("latin-1"))):
            return pairs
        more = () if self.state.destination else ("Accept", "X-Requested-With")
        return headers.vary(headers.private(pairs), *self.state.looked_at, *more)

    def _with_policy(self, pairs: Pairs) -> Pairs:
        policy = csp.ours(self.state.hosts, Seen(), self.state.ports, self._learnt.passive(self.state.page.host))
        pairs = self._kept(pairs)
        return [*pairs, (b"content-security-policy", policy.encode("latin-1"))] if policy else pairs

    def _prelude(self) -> bytes:
        state = self.state
        told = guard.config(state.hosts, state.storage, answer=state.answer, own=csp.own_sources(state.hosts, "")[1:])
        return state.worker_code.replace("__CONFIG__", json.dumps(told, separators=(",", ":"))).encode() + b"\n"

    def _rewrite(self, data: bytes, coding: str, nonce: str) -> Page:
        codec, mark, named = charset.read(data, self._declared)
        text = charset.Text(codec)
        rewriter = Rewriter(self._frame(nonce))
        made = rewriter.feed(text.decode(data[mark:], True)) + rewriter.finish()
        seen = rewriter.seen
        framed = f"{self.state.hosts.site.prefix}embed/" in made if not self.state.hosts.open else False
        policy = csp.ours(self.state.hosts, seen, self.state.ports)
        if not seen.changed:
            return Page(((data,),), policy, False, named, seen, False)
        encoded = data[:mark] + text.encode(made)
        parts = tuple(tuple(piece.split(text.encode(BACK))) for piece in encoded.split(text.encode(DEEP)))
        return Page(parts, policy, framed, named, seen, True, codec)

    # ---------------------------------------------------------------- a streamed body

    def head(self, status: int, pairs: Pairs) -> tuple[int, Pairs]:
        """Status and headers to send before the body is known; then ``feed`` and ``finish``."""
        common = self._common(pairs)
        if self.state.method == "HEAD" or status in (204, 205, 304) or status < 200:
            return status, self._bodyless(status, common)
        kind = self._kind(status, pairs, None)
        self._declared = (get(pairs, b"content-type") or b"").decode("latin-1")
        if kind == "worker":
            coding = self._coding(pairs)
            if coding == "unknown":
                return status, self._with_policy(common)
            self.streams = self._worker = True
            self._decoder, self._encoder = Decoder(coding), Encoder(coding)
            return status, self._with_policy(without(common, b"content-length", b"etag", b"last-modified"))
        if self._may_be_tool(pairs) and self._coding(pairs) != "unknown":
            self.streams, self._scripts, self._script_coding = True, [], self._coding(pairs)
            return status, without(common, b"content-length", b"etag", b"last-modified")
        if kind != "page":
            return status, self._with_policy(common) if kind == "active" else self._seen_otherwise(status, common)
        coding = self._coding(pairs)
        nonce = self._nonce(pairs)
        if coding == "unknown":  # not asked for, and nobody could read it: nothing of it is sent
            self.streams = True
            pairs, self._unreadable = self._not_read()
            return 502, pairs
        self.streams = self.rewrites = True
        self._decoder, self._encoder = Decoder(coding), Encoder(coding)
        self._nonced = nonce
        return status, self._page_head(common, None, nonce)

    def feed(self, chunk: bytes) -> bytes:
        """What goes out for the next bytes of the body: fewer or none while more is needed to judge them."""
        if not self.streams:
            return chunk
        if self._unreadable is not None:
            return b""
        if self._scripts is not None:  # it runs when all of it is there, so it may wait for its end
            self._scripts.append(chunk)
            self._script_size += len(chunk)
            if self._script_size <= WHOLE:
                return b""
            held, self._scripts, self._script_over = b"".join(self._scripts), None, True
            return held
        if self._script_over:
            return chunk
        assert self._decoder is not None and self._encoder is not None
        out = []
        try:
            for piece in self._decoder.pieces(chunk):
                out.append(self._encoder.add(self._pass(piece, False)))
        except CodingError:
            pass  # what cannot be read is not sent
        out.append(self._encoder.flush())
        return b"".join(out)

    def _pass(self, piece: bytes, last: bool) -> bytes:
        if self._worker:
            before, self._started = (b"" if self._started else self._prelude()), True
            return before + piece
        if self._passes:
            return piece
        before = b""
        if self._text is None and not self._failed:
            piece, self._first = self._first + piece, b""
            untyped = not self._declared.strip()
            if not last and (len(piece) < 3 or (untyped and len(piece.lstrip()) < 20)):
                self._first = piece
                return b""
            if untyped and not _SNIFFED.match(piece):
                self._passes = True  # a browser takes it for no page either
                return piece
            try:
                codec, mark, named = charset.read(piece, self._declared)
                before, piece = piece[:mark], piece[mark:]
                self._wide = codec in (charset.WIDE_LITTLE, charset.WIDE_BIG)
                self._rewriter = Rewriter(self._frame(self._nonced, named))
                self._text = charset.Text(codec)
            except Exception:
                log.exception("a page could not be rewritten; its text is served with third parties withheld")
                self._failed, self._wide = True, self._wide or b"\0" in piece[:1024]
        if not self._failed:
            assert self._rewriter is not None and self._text is not None
            try:
                made = self._rewriter.feed(self._text.decode(piece, last))
                if last:
                    made += self._rewriter.finish()
                path = self._path.decode()
                return before + self._text.encode(made.replace(BACK, path).replace(DEEP, escape(path)))
            except Exception:
                log.exception("a page could not be rewritten; the rest of its text is served with third parties withheld")
                self._failed = True
        # A tag may lie across two pieces: what follows the last "<" waits for the next one.
        piece, self._first = self._first + (b"" if self._wide else piece), b""
        cut = piece.rfind(b"<")
        if not last and cut >= max(0, len(piece) - PIECE):
            piece, self._first = piece[:cut], piece[cut:]
        return before + text_only(piece)

    def finish(self) -> bytes:
        """What is still to go out when the body has ended."""
        if not self.streams:
            return b""
        if self._unreadable is not None:
            return self._unreadable
        if self._scripts is not None:
            return self._without_tool([], b"".join(self._scripts), self._script_coding)[1]
        if self._script_over:
            return b""
        assert self._encoder is not None
        tail = self._encoder.add(self._pass(b"", True)) + self._encoder.end()
        if self._rewriter is not None:
            self._took("markup", len(self._rewriter.seen.withheld))
        return tail

    # ---------------------------------------------------------------- when we fail

    def _text_only(self, pairs: Pairs) -> Pairs:
        return [*without(pairs, b"link", b"refresh"), (b"content-security-policy", TEXT_ONLY.encode())]

    def _not_read(self) -> tuple[Pairs, bytes]:
        if self.state.unreadable is not None:
            return self.state.unreadable()
        return [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")], UNREADABLE

    def withheld(self, status: int, pairs: Pairs, body: bytes) -> tuple[int, Pairs, bytes]:
        """The text with everything third-party withheld: what is served where we cannot do better, never the raw page."""
        content_type = (get(pairs, b"content-type") or b"").decode("latin-1")
        if content_type.strip() and not _HTML.match(content_type) and not _ACTIVE.match(content_type):
            return status, pairs, body
        if self._coding(pairs) != "identity":
            pairs, made = self._not_read()
            return 502, pairs, made
        codec, mark, _ = charset.read(body, content_type)
        text = charset.Text(codec)
        made = body[:mark] + text.encode(
            text_only(text.decode(body[mark:], True).encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
        )
        kept = without(self._text_only(pairs), b"content-length", b"etag", b"last-modified")
        return status, [*kept, (b"cache-control", b"no-store"), (b"content-length", b"%d" % len(made))], made


class TextOnly:
    """An answer while Volens itself fails: the text of pages with everything third-party withheld, from nothing but its bytes.

    Leans on no state of ours, so that it stands whatever broke. No cookie passes, and of the head what a page needs to arrive.
    """

    def __init__(self) -> None:
        self._decoder: Decoder | None = None
        self._encoder: Encoder | None = None
        self._carry = ""
        self._read: charset.Text | None = None
        self._declared = ""
        self.streams = False
        self._nothing = False

    def head(self, status: int, pairs: Pairs) -> tuple[int, Pairs]:
        """Status and headers; then ``feed`` and ``finish``."""
        types = get_all(pairs, b"content-type")
        content_type = types[-1].decode("latin-1") if types else ""
        kept = [pair for pair in pairs if pair[0].lower() in _BARE]
        if status < 200 or status in (204, 205, 304):
            return status, kept
        if content_type.strip() and not _HTML.match(content_type) and not _ACTIVE.match(content_type):
            return status, [*kept, *(pair for pair in pairs if pair[0].lower() in (b"content-length", b"etag", b"last-modified"))]
        codings = [c.strip().lower() for value in get_all(pairs, b"content-encoding") for c in value.decode("latin-1").split(",")]
        codings = [c for c in codings if c and c != "identity"]
        self.streams = True
        policy = (b"content-security-policy", TEXT_ONLY.encode())
        if len(codings) > 1 or (codings and codings[0] not in headers.CODINGS):
            self._nothing = True
            return 502, [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"), policy]
        self._declared = content_type
        self._decoder, self._encoder = Decoder(codings[0] if codings else "identity"), Encoder(codings[0] if codings else "identity")
        return status, [*without(kept, b"cache-control", b"expires"), policy, (b"cache-control", b"no-store")]

    def feed(self, chunk: bytes) -> bytes:
        """What goes out for the next bytes of the body."""
        if self._nothing:
            return b""
        if self._decoder is None or self._encoder is None:
            return chunk
        try:
            made = b"".join(self._encoder.add(self._text(piece, False)) for piece in self._decoder.pieces(chunk))
        except CodingError:
            return b""
        return made + self._encoder.flush()

    def finish(self) -> bytes:
        """What is still to go out when the body has ended."""
        if self._nothing:
            return UNREADABLE
        if self._decoder is None or self._encoder is None:
            return b""
        return self._encoder.add(self._text(b"", True)) + self._encoder.end()

    def _text(self, piece: bytes, last: bool) -> bytes:
        before = b""
        if self._read is None:
            try:
                codec, mark, _ = charset.read(piece, self._declared)
            except Exception:
                if b"\0" in piece:  # of two bytes a letter, or none
                    return b""
                codec, mark = charset.LATIN, 0
            before, piece = piece[:mark], piece[mark:]
            self._read = charset.Text(codec)
        text, self._carry = self._carry + self._read.decode(piece, last), ""
        cut = text.rfind("<")
        if not last and cut >= max(0, len(text) - PIECE):
            text, self._carry = text[:cut], text[cut:]
        return before + self._read.encode(text_only(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass"))

    def whole(self, status: int, pairs: Pairs, body: bytes) -> tuple[int, Pairs, bytes]:
        """Status, headers and body for an answer that is all at hand."""
        status, pairs = self.head(status, pairs)
        if not self.streams:
            return status, pairs, body
        made = self.feed(body) + self.finish()
        return status, [*pairs, (b"content-length", b"%d" % len(made))], made


_BARE = frozenset(
    [b"content-type", b"content-encoding", b"content-language", b"content-disposition", b"content-security-policy", b"cache-control"]
    + [b"location", b"allow", b"retry-after", b"vary", b"www-authenticate", b"expires", b"upgrade", b"sec-websocket-accept"]
    + [b"sec-websocket-protocol", b"sec-websocket-extensions", b"content-range", b"accept-ranges"]
)
"""Fields that a page needs to arrive, and that tell nobody anything."""
UNREADABLE = b"The page could not be read.\n"
TEXT_ONLY = "default-src 'self' data:; script-src 'none'; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-src 'none'"
_ACTS = re.compile(rb"<(/?)(script|link|meta|iframe|frame|object|embed|form|base|portal|fencedframe)(?=[\s/>]|\Z)", re.IGNORECASE)
_NAMES_CHARSET = re.compile(
    rb"(?:\s+http-equiv=[\"']?content-type[\"']?\s+content=[\"'][\w/;= .:-]*[\"']|\s+charset=[\"']?[\w.:-]+[\"']?)\s*/?>", re.IGNORECASE
)


def text_only(body: bytes) -> bytes:
    """Markup with every element that could act renamed; crude on purpose, for when the rewrite itself has failed."""

    def one(found: re.Match[bytes]) -> bytes:
        name = found[2].lower()
        if name == b"script":
            return found[0] if found[1] else b'<script type="text/plain"'
        if name == b"meta" and _NAMES_CHARSET.match(body, found.end()):
            return found[0]
        return b"<" + found[1] + b"volens-" + name

    return _ACTS.sub(one, body)
