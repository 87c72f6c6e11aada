"""One request and its answer, without I/O: ``ask``, then ``whole`` or ``head``, ``feed``, ``finish``.

A face hands in what it received and sends what it is given. Where the whole body is at hand (at most WHOLE bytes)
the page's own markup says which hosts its policy must name, and the result is remembered; else the page streams
through in bounded memory under a policy of what is already known of the site.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from volens.enforce import csp, guard, headers
from volens.enforce.coding import CodingError, Decoder, Encoder, decoded
from volens.enforce.headers import Pairs, get, get_all, without
from volens.enforce.hosts import PASSIVE, Hosts
from volens.enforce.html import BACK, Frame, Rewriter, Seen, escape
from volens.enforce.storage import Storage
from volens.enforce.url import Target, resolve

WHOLE = 1 << 20
"""Largest body that is looked at as a whole, in bytes."""
UNPACKED = 1 << 23
"""Largest decoded form of such a body; a larger one streams."""
LOOKED_AT = ("Cookie", "Sec-GPC", "Accept-Language", "Sec-Fetch-Dest", "Sec-Fetch-Site")
"""Request headers that a page of ours depends on, found or not."""
VERSION = "1"
"""Part of every mark: a change of what we do to pages makes browsers fetch them anew."""
_DOCUMENTS = frozenset({"document", "iframe", "frame", "embed", "object", "fencedframe"})
_FRAMED = frozenset({"iframe", "embed", "object", "fencedframe"})
_WORKERS = frozenset({"worker", "sharedworker"})
_HTML = re.compile(r"\s*(text/html|application/xhtml\+xml)\s*(;|\Z)", re.IGNORECASE)
_ACTIVE = re.compile(r"\s*(image/svg\+xml|text/xml|application/xml|application/[\w.-]+\+xml)\s*(;|\Z)", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_META_CHARSET = re.compile(rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_SNIFFED = re.compile(
    rb"[\t\n\f\r ]*(?:<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[\t\n\f\r >]|<!--)", re.IGNORECASE
)
"""What a browser takes for HTML where no type is named (MIME Sniffing §7.1)."""
_WIDE = {"utf-16": "utf-16-le", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be", "iso-2022-jp": "iso2022_jp"}
"""Encodings whose markup isn't ASCII bytes, and their codecs; every other one passes as one character a byte."""


class Dressing(Protocol):
    """What the screens give an exchange (rank 4 makes it, this rank only places it)."""

    def __call__(self, language: str) -> str:
        """The host element for a page in ``language`` ('' where the page doesn't say)."""
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
    method: str = "GET"
    xhr: bool = False
    accepts_html: bool = True
    ports: str = ""
    posted: bool = False
    foreign: bool = False
    """Whether another site shows this page in a frame of its own."""

    @property
    def document(self) -> bool:
        """Whether the answer would be shown as a document: by Sec-Fetch-Dest, else by Accept."""
        if self.destination:
            return self.destination in _DOCUMENTS
        return self.accepts_html and not self.xhr

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
            str((self.destination in _FRAMED, self.foreign)),
            f"{self.page.scheme}://{self.page.host}:{self.page.port}",
            "\n".join((*site.hosts, "", *site.deny)),
            csp.hash_source(self.code),
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Page:
    """A rewritten body, cut where the page's own path goes in."""

    parts: tuple[bytes, ...]
    policy: str
    framed: bool
    charset: str
    seen: Seen
    changed: bool

    def body(self, path: bytes) -> bytes:
        """The bytes to send for a page at ``path``."""
        return path.join(self.parts)

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(map(len, self.parts))


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
        """Note a page's passive hosts."""
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
    """One request and its answer under one state."""

    def __init__(self, state: State, memo: Memo, learnt: Learnt) -> None:
        self.state, self._memo, self._learnt = state, memo, learnt
        self._refused: list[str] = []
        self._path = b"/"
        self._rewriter: Rewriter | None = None
        self._decoder: Decoder | None = None
        self._encoder: Encoder | None = None
        self._text: codecs.IncrementalDecoder | None = None
        self._codec = "latin-1"
        self._declared = ""
        self._started = False
        self._broken = False
        self._headers: Pairs = []
        self.streams = False

    # ---------------------------------------------------------------- the request

    def ask(self, pairs: Pairs, target: bytes) -> Pairs:
        """The request as the application may see it."""
        state = self.state
        path = target.partition(b"#")[0].decode("latin-1")
        self._path = escape(path if path.startswith("/") and not path.startswith("//") else "/").encode()
        self._target = path
        pairs, self._refused = headers.filter_cookies(pairs, state.storage, lambda name: self._learnt.knows(state.page.host, name))
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
        pairs = headers.filter_set_cookies(pairs, state.storage, lambda name: self._learnt.learn(state.page.host, name))
        pairs = headers.from_application(pairs, state.hosts, state.page)
        return pairs + headers.expiries(self._refused, state.page.host, self._target, state.storage, state.hosts.catalog)

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
        needs = csp.Needs(
            csp.hash_source(self._guard_text(self._xml)) if state.code else "",
            csp.hash_source(state.style) if self._dressed else "",
            page.framed if page is not None else not state.hosts.open,
        )
        for key, value in pairs:
            name = key.lower()
            if name in (b"content-length", b"last-modified", b"accept-ranges", b"content-md5", b"digest", b"repr-digest", b"content-digest", b"etag"):
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
        if not get(out, b"content-type"):
            out.append((b"content-type", b"text/html"))
        policy = page.policy if page is not None else csp.ours(state.hosts, Seen(), state.ports, self._learnt.passive(state.page.host))
        if policy:
            out.append((b"content-security-policy", policy.encode("latin-1")))
        return headers.vary(out, *LOOKED_AT)

    def _denied(self, reference: str) -> bool:
        target = resolve(reference, self.state.page)
        return bool(target.host) and not self.state.hosts.decide(target.host, "connect").allowed

    @property
    def _dressed(self) -> bool:
        return self.state.destination not in _FRAMED or self.state.foreign

    def _guard_text(self, xml: bool) -> str:
        return f"//<![CDATA[\n{self.state.code}\n//]]>" if xml else self.state.code

    def _frame(self, nonce: str) -> Frame:
        state = self.state
        own = csp.own_sources(state.hosts, "")[1:]
        granted = [h for s in state.hosts.grant.notice.services if state.hosts.grant.decide(s).allowed for h in s.hosts if not h.startswith("/")]
        told = guard.config(
            state.hosts, state.storage, answer=state.answer, own=[*own, *(g for g in granted if g not in own)], posted=state.posted
        )
        script = guard.markup(state.code, told, nonce=nonce, xml=self._xml) if state.code else ""

        def dress(language: str) -> str:
            markup = state.dress(language).encode("ascii", "xmlcharrefreplace").decode()
            return markup.replace("<style", f"<style nonce='{nonce}'", 1) if nonce else markup

        widen = None
        if state.code:
            needs = csp.Needs(csp.hash_source(self._guard_text(self._xml)), csp.hash_source(state.style), not state.hosts.open)
            widen = lambda content: csp.widen(content, needs, "", self._denied)
        return Frame(state.hosts, state.page, state.hosts.site.prefix, script, dress if self._dressed else None, widen)

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
        if kind != "page" or not body:
            return self._other(kind, status, common, body)
        nonce = self._nonce(pairs)
        key = (f"{self.state.key} {coding} {self._declared}", body)
        page = None if nonce else self._memo.get(key)
        if page is None:
            try:
                text = decoded(body, coding, UNPACKED)
            except CodingError:
                return self.withheld(common, body)
            if text is None:
                status, pairs = self.head(status, pairs)
                return status, pairs, self.feed(body) + self.finish()
            page = self._rewrite(text, coding, nonce)
            if not nonce:
                self._memo.put(key, page)
        self._learnt.page(self.state.page.host, page.seen)
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
                [(k, headers.marked(v, self.state.key) if k.lower() == b"etag" else v) for k, v in out], *LOOKED_AT
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
        if kind == "worker" and self._coding(pairs) == "identity":
            body = self._prelude() + body
            pairs = [*without(pairs, b"content-length", b"etag", b"last-modified"), (b"content-length", b"%d" % len(body))]
        return status, pairs, body

    def _with_policy(self, pairs: Pairs) -> Pairs:
        policy = csp.ours(self.state.hosts, Seen(), self.state.ports, self._learnt.passive(self.state.page.host))
        return [*pairs, (b"content-security-policy", policy.encode("latin-1"))] if policy else pairs

    def _prelude(self) -> bytes:
        state = self.state
        told = guard.config(state.hosts, state.storage, answer=state.answer, own=csp.own_sources(state.hosts, "")[1:])
        return state.worker_code.replace("__CONFIG__", json.dumps(told, separators=(",", ":"))).encode() + b"\n"

    def _rewrite(self, data: bytes, coding: str, nonce: str) -> Page:
        codec, mark, charset = self._read_charset(data)
        text = data[mark:].decode(codec, "replace" if codec != "latin-1" else "strict")
        rewriter = Rewriter(self._frame(nonce))
        made = rewriter.feed(text) + rewriter.finish()
        seen = rewriter.seen
        framed = f"{self.state.hosts.site.prefix}embed/" in made if not self.state.hosts.open else False
        policy = csp.ours(self.state.hosts, seen, self.state.ports)
        if not seen.changed:
            return Page((data,), policy, False, charset, seen, False)
        encoded = data[:mark] + made.encode(codec, "xmlcharrefreplace")
        parts = tuple(encoded.split(BACK.encode(codec)))
        return Page(parts, policy, framed, charset, seen, True)

    def _read_charset(self, data: bytes) -> tuple[str, int, str]:
        """(codec, length of the byte order mark, charset to name in the header or empty): HTML Standard §13.2.3.2."""
        for sign, codec in ((b"\xef\xbb\xbf", "latin-1"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
            if data.startswith(sign):
                return codec, len(sign), ""
        declared = _CHARSET.search(self._declared)
        if declared:
            return _WIDE.get(declared[1].lower(), "latin-1"), 0, ""
        named = _META_CHARSET.search(data[:1024])
        if named:
            name = named[1].decode("ascii").lower()
            if name.startswith("utf-16"):  # a meta that can be read is not UTF-16 (§13.2.3.3)
                name = "utf-8"
            return _WIDE.get(name, "latin-1"), 0, name if re.fullmatch(r"[\w.:-]{2,40}", name) else ""
        return "latin-1", 0, ""

    # ---------------------------------------------------------------- a streamed body

    def head(self, status: int, pairs: Pairs) -> tuple[int, Pairs]:
        """Status and headers to send before the body is known; then ``feed`` and ``finish``."""
        common = self._common(pairs)
        if self.state.method == "HEAD" or status in (204, 205, 304) or status < 200:
            return status, self._bodyless(status, common)
        kind = self._kind(status, pairs, None)
        self._declared = (get(pairs, b"content-type") or b"").decode("latin-1")
        if kind == "worker":
            self._headers = self._with_policy(without(common, b"content-length", b"etag"))
            self.streams, self._encoder = True, None
            return status, self._headers
        if kind != "page":
            return status, self._with_policy(common) if kind == "active" else common
        coding = self._coding(pairs)
        nonce = self._nonce(pairs)
        if coding == "unknown":
            return status, self._page_head(self._text_only(common), None, nonce)
        self.streams = True
        self._decoder, self._encoder = Decoder(coding), Encoder(coding)
        self._rewriter = Rewriter(self._frame(nonce))
        return status, self._page_head(common, None, nonce)

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes of the body, rewritten."""
        if not self.streams:
            return chunk
        if self._rewriter is None:  # a worker's script
            if self._started:
                return chunk
            self._started = True
            return self._prelude() + chunk
        assert self._decoder is not None and self._encoder is not None
        out = []
        try:
            for piece in self._decoder.pieces(chunk):
                out.append(self._encoder.add(self._pass(piece, False)))
        except CodingError:
            self._broken = True  # what cannot be read is not sent
        out.append(self._encoder.flush())
        return b"".join(out)

    def _pass(self, piece: bytes, last: bool) -> bytes:
        assert self._rewriter is not None
        before = b""
        if self._text is None:
            codec, mark, _ = self._read_charset(piece)
            before, piece = piece[:mark], piece[mark:]
            self._codec = codec
            self._text = codecs.getincrementaldecoder(codec)("replace")
        made = self._rewriter.feed(self._text.decode(piece, last))
        if last:
            made += self._rewriter.finish()
        return before + made.replace(BACK, self._path.decode()).encode(self._codec, "xmlcharrefreplace")

    def finish(self) -> bytes:
        """The rest of the body."""
        if not self.streams or self._rewriter is None:
            return b""
        assert self._encoder is not None
        return self._encoder.add(self._pass(b"", True)) + self._encoder.end()

    # ---------------------------------------------------------------- when we fail

    def _text_only(self, pairs: Pairs) -> Pairs:
        return [*without(pairs, b"link", b"refresh"), (b"content-security-policy", TEXT_ONLY.encode())]

    def withheld(self, pairs: Pairs, body: bytes) -> tuple[int, Pairs, bytes]:
        """The text with everything third-party withheld: what is served where we cannot do better, never the raw page."""
        for key, value in pairs:
            if key.lower() == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                return 502, [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")], b"The page could not be read.\n"
        made = text_only(body)
        kept = without(self._text_only(pairs), b"content-length", b"etag", b"last-modified")
        return 200, [*kept, (b"cache-control", b"no-store"), (b"content-length", b"%d" % len(made))], made


TEXT_ONLY = "default-src 'self' data:; script-src 'none'; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-src 'none'"
_ACTS = re.compile(rb"<(/?)(script|link|meta|iframe|frame|object|embed|form|base)(?=[\s/>])", re.IGNORECASE)


def text_only(body: bytes) -> bytes:
    """Markup with every element that could act renamed; crude on purpose, for when the rewrite itself has failed."""

    def one(found: re.Match[bytes]) -> bytes:
        name = found[2].lower()
        if name == b"script":
            return found[0] if found[1] else b'<script type="text/plain"'
        if name == b"meta":
            return found[0] if not re.match(rb"[^>]*http-equiv", body[found.end() : found.end() + 2000], re.IGNORECASE) else b"<volens-meta"
        return b"<" + found[1] + b"volens-" + name

    return _ACTS.sub(one, body)


def iterate(exchange: Exchange, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Chunks through ``feed`` and ``finish``, empty ones left out."""
    for chunk in chunks:
        if made := exchange.feed(chunk):
            yield made
    if rest := exchange.finish():
        yield rest
