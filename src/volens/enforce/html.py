"""The streaming rewrite: what is not granted is inert before the preload scanner sees it.

``turbohtml``'s tokenizer says where each tag begins and ends; a tag that needs no change passes as the very
characters that came, so a page without third parties comes out unchanged but for what we insert. Memory is
bounded by the longest single tag, not by the page.

Text comes in as *one character a byte* (latin-1) for every ASCII-compatible encoding: markup is ASCII, all else
is opaque and survives whatever the encoding is. So whatever is written here is ASCII, with character references.

Where the tokenizer and a browser may differ — raw text inside ``svg``, ``noscript`` with scripts off — the text
is rewritten as markup too; what this still misses, the Content-Security-Policy stops.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

from turbohtml import Token, Tokenizer, TokenType

from volens.enforce import css, embeds
from volens.enforce.hosts import Hosts
from volens.enforce.references import ANYWHERE, HINTS, LOADS, REFERENCES, TABLES, URL, candidates, urls
from volens.enforce.url import DOUBT, NETWORK, Target, plain, refresh_address, resolve, text_of
from volens.foreign import Tools
from volens.policy import Decision, Reason

TEXT, START, END, REFERENCE, COMMENT = (
    TokenType.TEXT,
    TokenType.START_TAG,
    TokenType.END_TAG,
    TokenType.CHARACTER_REFERENCE,
    TokenType.COMMENT,
)
WITHHELD = "data-volens-"
"""Prefix of the attributes that hold what was withheld."""
MAX_STYLE = 1 << 18
"""Characters of one style element looked at together; a longer one is looked at in pieces."""
MAX_DEPTH = 4
"""Documents inside attributes inside documents; deeper ones are withheld whole."""
MAX_LINKS, MAX_LINK = 100, 2000
"""Links of a post's quote that are remembered, and how much of each: a quote may never end."""
MAX_NEST = 40
"""Raw texts inside raw texts that may be markup; what lies deeper is dropped."""

_BY_HOST = frozenset({Reason.OWN, Reason.PASSIVE, Reason.DELIVERY})
"""Reasons that speak for a host and say nothing of its paths."""
IN_HEAD = frozenset(
    ["html", "head", "base", "basefont", "bgsound", "link", "meta", "title", "noscript", "noframes", "style", "script", "template"]
)
RAW = frozenset(["style", "script", "title", "textarea", "xmp", "noembed", "noframes", "iframe", "noscript", "plaintext"])
ENDS = frozenset(["svg", "math", "select", "template", "blockquote"])

FRAME_ATTRIBUTES = frozenset({"allow", "allowfullscreen", "credentialless", "csp", "referrerpolicy", "sandbox", "scrolling"})
"""What of a withheld frame is told to the document in its place, for when it plays."""
_NOT_OURS = ("sandbox", "csp", "credentialless", "scrolling")
"""What would keep that document itself from working."""
_FEATURE = re.compile(r"[a-z][a-z-]*")
_FILLED = re.compile(r"fb-(?:page|post|video|comments)|captcha|cf-turnstile")
_PICTURE = re.compile(r"<img\s(?:[^<>]*?\s)?src\s*=\s*[\"']?([^\s\"'>]+)", re.IGNORECASE)

_W = r"[ \t\n\f\r]"  # HTML's whitespace, not Python's: bytes of other letters must not divide attributes
_ATTRIBUTE = re.compile(rf"""(?P<name>=?[^ \t\n\f\r/>=]+)(?P<assign>{_W}*={_W}*(?P<value>"[^"]*"|'[^']*'|[^ \t\n\f\r>]*))?""")
_NAME = re.compile(r"</?[^ \t\n\f\r/>]+")
_RUNS = re.compile(r"(?:module|(?:[0-9a-f]{20,32}-)?(?:text|application)/(?:x-)?(?:java|ecma)script)?", re.IGNORECASE)
"""Types of script that run, or that a front has marked to run them later (Cloudflare's Rocket Loader)."""
_NONCE = re.compile(r"\snonce=[\"']?([\w+/=-]+)")
_HARMLESS = re.compile(r"javascript:\s*(?:void\s*\(?\s*0?\s*\)?|false|true|null|''|\"\")?\s*;?\s*", re.IGNORECASE)
_CAN_RUN = re.compile(r"script|[\s/\"']on\w+\s*=|&#|&(?:colon|tab|newline);", re.IGNORECASE)
_DATA_MARKUP = re.compile(r"data:\s*(?:text/html|image/svg|application/xhtml|[a-z/]*xml)", re.IGNORECASE)
_DATA_ACTS = re.compile(r"<(?:script|link|meta|iframe|form|base)|script%|%3c(?:script|link|meta|iframe|form|base)|;base64", re.IGNORECASE)
_NULL, _EMPTY, _EMPTY_HELD = "\ue000", "</>", "</\ue001>"
RENEWAL = 1 << 20
"""Characters after which a new tokenizer goes on: the old one keeps all it was ever given."""
_OPENING = re.compile(r"<[a-zA-Z/!?]")
_COMMENT = "<!--x"
"""Makes a new tokenizer go on inside a comment."""
_EXPANDED = re.compile(
    r"<(script|style|title|textarea|iframe|noscript|xmp|noembed|noframes|plaintext)((?:\s+[^\s=/>]+\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*)\s*/>",
    re.IGNORECASE,
)
_WHOLE_TAG = re.compile(r"<(?:\"[^\"]*\"|'[^']*'|[^<>\"'])*>")
_CLOSE_ALL = "\"'>--></title></textarea></style></script></xmp></iframe></noembed></noframes>"
"""Ends whatever a noscript element may have left open for a browser that runs no scripts."""


BACK, DEEP = "__volens_back__", "__volens_deep__"
"""Stand where the page's own path goes, so that one rewritten body serves every address: ``DEEP`` in a document inside an attribute."""
AMP = "https://cdn.ampproject.org/v0.js"
MAX_PLACES = 12
"""Placeholders that stand in the page itself; those after them are asked for when they come into view."""


PLAIN = 30_000
"""Tags remembered, some 5 MB, that say nothing to any handler, whatever the page, the site and the grant: most of a page's."""
_plain: set[str] = set()


def _remember(source: str) -> str:
    """``source``, a tag that need not be looked at again."""
    if len(source) <= 256:
        if len(_plain) >= PLAIN:
            _plain.clear()
        _plain.add(source)
    return source


def escape(value: str) -> str:
    """An attribute value, ASCII."""
    text = value.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
    return text.encode("ascii", "xmlcharrefreplace").decode()


@dataclass
class Seen:
    """What a page uses and what was withheld from it: the source of its CSP and of the operator's report."""

    used: dict[str, set[str]] = field(default_factory=dict)
    """Hosts other than the page's own that its markup may use, by kind."""
    withheld: dict[tuple[str, str], Decision] = field(default_factory=dict)
    """(host, kind) of what was withheld, and why."""
    changed: bool = False
    language: str = ""


@dataclass(frozen=True, slots=True)
class Withheld:
    """What a placeholder stands for."""

    target: Target
    address: str
    """Path and query of the document that plays it once allowed."""
    language: str
    """The page's, '' where it doesn't say."""
    home: str = ""
    """The page's origin, where relative addresses lead elsewhere."""
    page_path: str = ""
    """Where the page comes back to that must be made again, because a script works on the page around it."""
    page: str = ""
    """What a reader may open instead, where ``target`` doesn't tell."""
    poster: str = ""
    """A picture of the site's own."""


@dataclass(frozen=True)
class Frame:
    """What a rewrite is given besides the text. ``guard`` and ``dress`` are ASCII markup."""

    hosts: Hosts
    page: Target
    prefix: str = "/_volens/"
    guard: str = ""
    dress: Callable[[str], str] | None = None
    """Markup to stand first in body, by the page's language."""
    widen: Callable[[str], str] | None = None
    """A meta CSP's content, with room for our own bytes."""
    xml: bool = False
    """Whether the browser reads it as XML, where nothing is raw text."""
    place: Callable[[Withheld], str] | None = None
    """The placeholder's document; None: it is asked for at its address."""
    area: Callable[[str, str, str], str] | None = None
    """Markup for a ``volens-gate`` element, by its path, its id and the page's language."""


def _quote(value: str, safe: str = "") -> str:
    """Percent-encoded octets: characters up to U+00FF are bytes of the page's encoding here, others were references."""
    return quote(b"".join(bytes((ord(c),)) if c <= "\xff" else c.encode("utf-8", "replace") for c in value), safe=safe)


def _query(pairs: Iterable[tuple[str, str]]) -> str:
    """As short as a query may be written: it stands in a page up to three times for each embed."""
    return "&".join(f"{_quote(name)}={_quote(value, '/:,;@ ').replace(' ', '+')}" for name, value in pairs)


def _nonce(tag: str) -> str:
    """The nonce of a script's tag, for one of ours beside it."""
    found = _NONCE.search(tag)
    return f' nonce="{found[1]}"' if found else ""


def edit(source: str, rename: dict[str, str], add: str = "", replace: dict[str, str] | None = None) -> str:
    """A start tag with attributes renamed (every occurrence, so that no later duplicate takes effect), some added in
    front and some given another (ASCII) value. All other characters stay."""
    head = _NAME.match(source)
    assert head is not None
    out = [head[0], " " + add if add else ""]
    position = head.end()
    for found in _ATTRIBUTE.finditer(source, position):
        name = found["name"].lower()
        if name in rename:
            out += [source[position : found.start("name")], rename[name], source[found.end("name") : found.end()]]
            position = found.end()
        elif replace and name in replace:
            out += [source[position : found.start("name")], found["name"], '="', escape(replace[name]), '"']
            position = found.end()
    out.append(source[position:])
    return "".join(out)


def _features(allow: str) -> list[str]:
    """The features that a frame's ``allow`` names, without the hosts."""
    return [found[0] for part in allow.split(";") if (found := _FEATURE.search(part))]


class Rewriter:
    """One document. ``feed`` text as it comes, ``finish`` at its end; what they return is the page to send."""

    def __init__(
        self,
        frame: Frame,
        *,
        fragment: bool = False,
        depth: int = 0,
        seen: Seen | None = None,
        base: Target | None = None,
        outer: Rewriter | None = None,
    ) -> None:
        """``outer``: the rewriter whose raw text this one reads as markup."""
        self.seen = seen if seen is not None else Seen()
        self._frame, self._depth, self._fragment = frame, depth, fragment
        self._base = base or frame.page
        self._bases: list[Target] = outer._bases if outer else []  # others that may be the base for some browser
        self._based = outer is not None
        self._nest: int = outer._nest + 1 if outer else 0
        self._tokenizer = Tokenizer(resolve_references=False, capture_source=True)
        self._raw = ""  # the raw-text element we are in
        self._kept: list[str] | None = None  # text of a style element, until it ends
        self._kept_size = 0
        self._inner: Rewriter | None = None  # rewrites raw text that a browser may read as markup
        self._tag: str | None = None  # of an inline script that is looked at whole before any of it goes out
        self._script_text: list[str] = []
        self._script_size = 0
        self._instead: set[str] = set()  # consent tools whose stand-in the page has
        self._after = ""  # markup to follow the script element that is open
        self._placed: set[str] = set()  # scripts that have their placeholder already
        self._places = 0
        self._tests: dict[str, str] = {}  # the scripts of robot tests that stand in head, by name
        self._drawn = False  # the quote to come belongs to an element that has its placeholder
        self._quote: tuple[dict[str, str | None], list[str]] | None = None  # a post's quote that is open: its attributes, its links
        self._foreign: int = outer._foreign if outer else 0
        self._select = self._frameset = False
        self._cdata = False  # in foreign text that the tokenizer takes for markup
        self._unclosed = False
        self._returns = self._nulls = self._empties = False
        self._held = ""  # the beginning of what may be one thing
        self._recent: list[str] = []  # what this tokenizer was given, and how much of it came out as tokens
        self._fed = self._taken = self._drop = 0
        self._room = RENEWAL
        self._templates: list[str] = []  # what each open template holds: "", "table", or "column"
        self._guarded = fragment or not frame.guard
        self._opened = fragment or frame.dress is None

    # ---------------------------------------------------------------- the walk

    def feed(self, text: str) -> str:
        """Take the next characters, give back what can be sent."""
        if "\r" in text and self._nest == 0:
            # The tokenizer would make one newline of CR LF; a form feed is white space too, and no page has both.
            self._returns = True
            text = text.replace("\r", "\f")
        if "\0" in text and self._nest == 0:
            self._nulls = True  # the tokenizer would write U+FFFD, which the page's encoding may not have
            text = text.replace("\0", _NULL)
        text = self._held + text
        cut = len(text) - 2 if text.endswith("</") else len(text) - text.endswith("<")
        if self._frame.xml and self._nest == 0:
            last = text.rfind("<")
            cut = last if last >= 0 and not _WHOLE_TAG.match(text, last) and len(text) - last < RENEWAL else cut
        self._held, text = text[cut:], text[:cut]
        if self._frame.xml and self._nest == 0 and "/>" in text:
            text = _EXPANDED.sub(r"<\1\2></\1>", text)  # an HTML tokenizer would take all that follows for its text
        return self._as_it_came(self._tokens(text))

    def _tokens(self, text: str) -> str:
        if self._nest == 0 and text.rfind(_EMPTY) >= 0:  # from the end: twice as fast in markup
            self._empties = True  # the tokenizer, as a browser, makes nothing of it; here it must be seen to pass
            text = text.replace(_EMPTY, _EMPTY_HELD)
        self._recent.append(text)
        self._fed += len(text)
        made = self._walk(self._tokenizer.feed(text))
        return made + self._renew() if self._fed > self._room else made

    def _renew(self) -> str:
        """Go on with a new tokenizer in the same state, and let out what is text for certain: memory stays bounded by the longest
        tag, not by what has passed or what has no tags at all."""
        pending = self._fed - self._taken
        tail = "".join(self._recent)[-pending:] if pending else ""
        before, settled = "", len(tail)
        if self._raw:
            before = f"<{self._raw}>"
            settled = 0 if self._raw == "script" and "<!--" in tail else tail.rfind("<") if "<" in tail else settled
        elif self._drop or (tail.startswith("<!--") and len(tail) > 64):
            before, settled = _COMMENT, settled - 3
        elif opening := _OPENING.search(tail):
            settled = opening.start()
        reference = tail.rfind("&", max(0, settled - 40), settled)
        settled = max(0, reference if reference >= 0 else settled)
        if not (self._opened and self._guarded) or self._cdata:
            settled = 0
        if before == _COMMENT:
            if settled or self._drop:
                self._drop = len(_COMMENT)
            else:
                before = ""
        made, rest = tail[:settled], tail[settled:]
        self._tokenizer = Tokenizer(resolve_references=False, capture_source=True)
        for _ in self._tokenizer.feed(before):
            pass
        self._recent, self._fed, self._taken, self._room = [rest], len(rest), 0, max(RENEWAL, 2 * len(rest))
        if made and self._raw:
            made = self._in_raw(made)
        return made + self._walk(self._tokenizer.feed(rest))

    def _as_it_came(self, made: str) -> str:
        if self._empties:
            made = made.replace(_EMPTY_HELD, _EMPTY)
        if self._returns:
            made = made.replace("\f", "\r")
        return made.replace(_NULL, "\0") if self._nulls else made

    def finish(self) -> str:
        """The rest, and the notice where no token opened a body."""
        early = ""
        if self._held:
            self._held, text = "", self._held
            early = self._tokens(text)
        rest = list(self._tokenizer.close())
        self._unclosed = bool(self._raw) or any(t.type is COMMENT and not (t.source or "").endswith(">") for t in rest)
        out = early + self._walk(iter(rest))
        self._unclosed = self._unclosed or bool(self._raw)
        out += self._leave_raw()
        if not self._guarded and not self._frame.xml:
            out += self._guard()
        if not self._opened and not self._frame.xml:
            out += self._dress()
        return self._as_it_came(out)

    def _walk(self, tokens: Iterator[Token]) -> str:
        out: list[str] = []
        append = out.append
        if not (self._opened and self._guarded):
            self._prologue(tokens, append)
        if self._cdata:
            append(self._through_cdata(tokens))
        is_open = self._frame.hosts.open  # everything may be contacted: only raw text and the page's language matter
        look_up = (_OPEN_HANDLERS if is_open else _HANDLERS).get
        more = sum(map(len, out))  # by how much what is given back is longer than what was taken here
        for token in tokens:
            source = token.source
            if source is None:  # text
                text: str = token.data  # type: ignore[assignment]
                if self._raw:
                    append(made := self._in_raw(text))
                    more += len(made) - len(text)
                else:
                    append(text)
            elif (tag := token.tag) is None:  # a character reference, a comment, a doctype
                if self._drop:
                    source, self._drop = source[self._drop :], 0
                append(made := self._in_raw(source) if self._raw else source)
                more += len(made) - len(source)
                if self._foreign and source.startswith("<![CDATA[") and not source.endswith("]]>"):
                    self._cdata = True
                    append(made := self._through_cdata(tokens))
                    more += len(made)
            elif source[1] != "/":
                if source in _plain and not self._foreign and self._quote is None:
                    append(source)
                    continue
                handler = look_up(tag)
                if handler is not None:
                    made = handler(self, token, source)
                    append(made)
                    if made is not source:
                        more += len(made) - len(source)
                elif (
                    not is_open
                    and "=" in source
                    and (
                        "style" in (lower := source.lower())
                        or "attributionsrc" in lower
                        or (self._foreign and ("url(" in lower or "&" in lower or "\\" in lower))
                    )
                ):
                    append(made := self._references(token, source))
                    more += len(made) - len(source)
                else:
                    append(source if is_open else _remember(source))
            elif self._raw or tag in ENDS:
                append(made := self._end(token))
                more += len(made) - len(source)
            else:
                append(source)
        made = "".join(out)
        self._taken += len(made) - more
        return made

    def _prologue(self, tokens: Iterator[Token], append: Callable[[str], None]) -> None:
        """Until body is open: where the guard and the notice go in. Leaves ``tokens`` where the walk goes on."""
        for token in tokens:
            source, tag = token.source, token.tag
            self._taken += len(token.data or "" if source is None else source)
            if source is None or tag is None:
                if source is not None and token.type is not REFERENCE:  # a comment, a doctype
                    append(source)
                    continue
                text: str = token.data if source is None else source  # type: ignore[assignment]
                if self._raw:
                    append(self._in_raw(text))
                elif self._templates or not text.strip(" \t\n\r\f"):
                    append(text)
                else:
                    append(self._guard() + self._dress() + text)
                    return
            elif source[1] != "/":
                if tag in ("html", "head") and not self._templates:
                    append(self._html(token, source) if tag == "html" else source)
                    if tag == "head":
                        append(self._guard())
                    continue
                if not self._guarded:
                    append(self._guard())
                if tag == "body" and not self._templates:
                    append(self._any_reference(token, source) + self._dress())
                    return
                if tag == "frameset":
                    self._opened = True
                elif tag not in IN_HEAD and not self._templates:
                    append(self._dress())
                handler = (_OPEN_HANDLERS if self._frame.hosts.open else _HANDLERS).get(tag)
                append(handler(self, token, source) if handler else self._any_reference(token, source))
                if self._opened:
                    return
            elif self._raw or self._templates or tag in ("head", "title", "style", "script", "noscript", "noframes"):
                append(self._end(token))
            elif tag in ("body", "html", "br", "p"):
                append(self._guard() + self._dress() + source)
                return
            else:
                append(source)

    def _guard(self) -> str:
        if self._guarded:
            return ""
        self._guarded = self.seen.changed = True
        return self._frame.guard

    def _dress(self) -> str:
        if self._opened:
            return ""
        self._opened = True
        assert self._frame.dress is not None
        markup = self._frame.dress(self.seen.language)
        if self._home:  # a <base> of another origin must not lead our own addresses there
            markup = markup.replace(f'"{self._frame.prefix}', f'"{self._home}{self._frame.prefix}')
        self.seen.changed = self.seen.changed or bool(markup)
        return markup

    @property
    def _home(self) -> str:
        """The page's own origin, where a <base> makes relative addresses lead elsewhere; else empty."""
        page = self._frame.page
        if (self._base.scheme, self._base.host, self._base.port) == (page.scheme, page.host, page.port):
            return ""
        return escape(f"{page.scheme}://{page.host}{':' + page.port if page.port else ''}")

    # ---------------------------------------------------------------- raw text

    @property
    def _markup_too(self) -> bool:
        """Whether a browser's tree may have no raw text where the tokenizer has: foreign elements, XML, and places where a
        browser ignores a start tag (HTML Standard §13.2.6.4.15, .19, and *in select* before 2025)."""
        return bool(self._foreign) or self._frameset or self._frame.xml or (bool(self._templates) and self._templates[-1] == "column")

    def _enter_raw(self, token: Token, source: str) -> str:
        tag = token.tag or ""
        if tag == "textarea":
            self._select = False
        self._raw = tag
        if tag == "style":
            self._kept, self._kept_size = [], 0
            if token.attr("amp-boilerplate") is not None and not self._allowed(AMP, "script"):
                source = self._edit(source, {"media": WITHHELD + "media"}, 'media="not all"')  # hides the page until AMP's script has come
        if tag == "noscript" or self._select or self._markup_too:
            self._nested()
            if tag == "noscript":
                self._kept = None
        return self._any_reference(token, source)

    def _enter_plain(self, token: Token, source: str) -> str:
        self._raw = token.tag or ""
        return source

    def _nested(self) -> None:
        """Raw text from here on is read as markup too."""
        self._inner = Rewriter(self._frame, fragment=True, depth=self._depth, seen=self.seen, base=self._base, outer=self)

    def _through_cdata(self, tokens: Iterator[Token]) -> str:
        """A CDATA section with ``>`` in it, which the tokenizer ended there: what follows ``]]>`` is markup for a browser, even
        where it is a comment or an attribute here."""
        out = []
        for token in tokens:
            source: str = token.data if token.source is None else token.source  # type: ignore[assignment]
            cut = source.find("]]>") + 3
            self._cdata = False
            if cut < 3 or token.source is None or self._raw:
                out.append(self._walk(iter((token,))))
            else:
                inner = Rewriter(self._frame, fragment=True, depth=self._depth, seen=self.seen, base=self._base, outer=self)
                out += [source[:cut], inner.feed(source[cut:]), inner.finish()]
            if cut >= 3:
                break
            self._cdata = True
        return "".join(out)

    def _in_raw(self, text: str) -> str:
        if self._tag is not None:
            self._script_text.append(text)
            self._script_size += len(text)
            return self._looked_at() if self._script_size > MAX_STYLE else ""
        if self._kept is not None:
            self._kept.append(text)
            self._kept_size += len(text)
            if self._kept_size < MAX_STYLE:
                return ""
            whole = "".join(self._kept)
            cut = whole.rfind("}") + 1 or len(whole)
            self._kept, self._kept_size = [whole[cut:]], len(whole) - cut
            return self._style_text(whole[:cut])
        if self._inner is not None:
            return self._inner.feed(text) if self._nest < MAX_NEST else ""
        return text

    def _leave_raw(self) -> str:
        out = self._looked_at() if self._tag is not None else ""
        if self._kept is not None:
            out = self._style_text("".join(self._kept))
            self._kept = None
        if self._inner is not None:
            out += self._inner.finish()
            if self._inner._unclosed and self._raw == "noscript":
                self.seen.changed = True
                out += _CLOSE_ALL
            self._inner = None
        self._raw = ""
        return out

    def _style_text(self, text: str) -> str:
        text = self._css(text)
        if self._inner is not None:
            text = self._inner.feed(text) if self._nest < MAX_NEST else ""
        return text

    def _end(self, token: Token) -> str:
        tag, out = token.tag, ""
        if self._raw == tag:
            out = self._leave_raw()
            source = (token.source or "") + (self._after if tag == "script" else "")
            if tag == "script":
                self._after = ""
            return out + source
        if self._foreign and tag in ("svg", "math"):
            self._foreign -= 1
        elif tag == "select":
            self._select = False
        elif tag == "blockquote" and self._quote is not None:
            quote, self._quote = self._quote, None
            return (token.source or "") + self._post(embeds.quoted(*quote))
        elif tag == "template" and self._templates:
            self._templates.pop()
        return token.source or ""

    def _template(self, token: Token, source: str) -> str:
        self._templates.append("")
        return self._any_reference(token, source)

    def _column(self, token: Token, source: str) -> str:
        if self._templates and not self._templates[-1]:
            self._templates[-1] = "column"
        return self._any_reference(token, source)

    def _enter_select(self, token: Token, source: str) -> str:
        self._select = not self._select
        return self._any_reference(token, source)

    def _enter_frameset(self, token: Token, source: str) -> str:
        self._frameset = True
        return self._any_reference(token, source)

    def _enter_foreign(self, token: Token, source: str) -> str:
        if not token.self_closing:
            self._foreign += 1
        return self._any_reference(token, source)

    # ---------------------------------------------------------------- decisions

    def _allowed(self, reference: str, kind: str) -> bool:
        """Whether a reference may be followed for ``kind``; notes the host as used or withheld."""
        base = self._base
        if (found := plain(reference)) is not None and base.host and base.scheme in NETWORK:
            if not (self._judge(found[0], found[1], "", kind) if found[0] else self._judge(base.host, found[1], base.port, kind)):
                return False
        elif not self._may(resolve(reference, base), kind):
            return False
        return not self._bases or all(self._may(resolve(reference, base), kind) for base in self._bases)

    def _may(self, target: Target, kind: str) -> bool:
        host = target.host
        if not host or target.scheme not in NETWORK:
            inert = target.scheme != "data" or kind not in ("frame", "script", "style")
            return target is not DOUBT and (inert or not self._acts(target.path, kind))
        return self._judge(host, target.path, target.port, kind)

    def _judge(self, host: str, path: str, port: str, kind: str) -> bool:
        decision = self._frame.hosts.decide(host, kind)
        if kind == "navigate":
            if decision.reason is Reason.UNKNOWN:
                return True
        elif decision.reason in _BY_HOST and self._frame.hosts.collection(host, path, kind):
            self.seen.withheld.setdefault((host, kind), Decision(False, Reason.UNDECIDED))
            return False
        if host == self._frame.page.host:
            return decision.allowed
        if decision.allowed:
            if kind != "navigate":
                self.seen.used.setdefault(kind, set()).add(f"{host}:{port}" if port else host)
            return True
        self.seen.withheld.setdefault((host, kind), decision)
        return False

    def _acts(self, data: str, kind: str) -> bool:
        """Whether a document or sheet inside an address would itself load something that is not allowed, or run."""
        head, _, payload = data.partition(",")
        content = unquote_to_bytes(payload.encode("latin-1", "replace"))
        if head.lower().rstrip().endswith("base64"):
            try:
                content = base64.b64decode(content + b"===")
            except ValueError:
                return True
        text = content.decode("latin-1")
        if kind == "style":
            return self._depth >= MAX_DEPTH or css.withhold(text, self._sheet) != text
        if not _DATA_MARKUP.match(data):
            return False
        if self._depth >= MAX_DEPTH or _DATA_ACTS.search(data):
            return True
        inner = Rewriter(self._frame, fragment=True, depth=self._depth + 1, seen=Seen(), base=self._base)
        inner.feed(text)
        inner.finish()
        return inner.seen.changed

    def _sheet(self, reference: str, kind: str) -> bool:
        self._depth += 1  # a sheet in a sheet in an address
        try:
            return self._allowed(reference, kind)
        finally:
            self._depth -= 1

    def _css(self, text: str) -> str:
        return css.withhold(text, self._allowed)

    def _edit(self, source: str, rename: dict[str, str], add: str = "", replace: dict[str, str] | None = None) -> str:
        self.seen.changed = True
        return edit(source, rename, add, replace)

    # ---------------------------------------------------------------- elements

    def _any_reference(self, token: Token, source: str) -> str:
        return self._references(token, source) if "=" in source and not self._frame.hosts.open else source

    def _seldom(self, token: Token, source: str) -> str:
        """Frequent elements that rarely carry a reference: looked at only where their text hints at one."""
        if "=" in source:
            lower = source.lower()
            if self._quote is not None and token.tag == "a":
                self._quote[1].append((token.attr("href") or "")[:MAX_LINK])
                del self._quote[1][:-MAX_LINKS]
            if "data-pin-do" in lower or "twitter-timeline" in lower:
                return self._post(embeds.linked(dict(token.attrs or ()))) + self._references(token, source)
            if (
                "style" in lower
                or "ping" in lower
                or "background" in lower
                or "formaction" in lower
                or "url(" in lower
                or "attributionsrc" in lower
            ):
                return self._references(token, source)
            if self._quote is None and token.tag != "blockquote":
                _remember(source)
        return source

    def _references(self, token: Token, source: str) -> str:
        """Every element but those below: the table of references, style attributes, url() in presentation attributes."""
        table = TABLES.get(token.tag or "", ANYWHERE)
        rename: dict[str, str] = {}
        replace: dict[str, str] = {}
        add = ""
        for name, value in token.attrs or ():
            reference = table.get(name)
            if reference is not None:
                kind, form = reference
                if not (self._allowed(value, kind) if form is URL else all([self._allowed(url, kind) for url in urls(value, form)])):
                    rename[name] = WITHHELD + name.rpartition(":")[2]
                    if kind == "navigate":
                        add = f'formaction="{escape(self._out(value))}"'
            elif "(" in value and (name == "style" or self._foreign or "url(" in value):
                changed = self._css(value)
                if changed != value:
                    replace[name] = changed
        if rename or replace:
            return self._edit(source, rename, add, replace)
        return source

    def _out(self, reference: str) -> str:
        return f"{self._home}{self._frame.prefix}out?u={_quote(text_of(resolve(reference, self._base)))}"

    def _html(self, token: Token, source: str) -> str:
        if not self.seen.language:
            self.seen.language = (token.attr("lang") or token.attr("xml:lang") or "")[:35]
        return self._any_reference(token, source)

    def _base_tag(self, token: Token, source: str) -> str:
        href = token.attr("href")
        if href is not None:
            target = resolve(href, self._frame.page)
            counts = not self._based and not self._templates and not self._markup_too
            if target.host and target.scheme in NETWORK:
                if not counts:
                    self._bases.append(target)
                else:
                    self._base = target
            self._based = self._based or counts
            del self._bases[8:]
        return source

    def _looked_at(self) -> str:
        """An inline script: what sets up or is a consent tool does not run, and its stand-in follows."""
        text, tag = "".join(self._script_text), self._tag or ""
        self._tag, self._script_text, self._script_size = None, [], 0
        tool = Tools.packaged().inline(text)
        if tool is None or self._frame.hosts.is_theirs(tool):
            return tag + text
        if tool.id not in self._instead and not self._fragment:  # once a page
            self._instead.add(tool.id)
            self._after += f'<script src="{self._home}{self._frame.prefix}{tool.file}"{_nonce(tag)}></script>'
        return self._edit(tag, {"type": WITHHELD + "type"}, 'type="text/plain"') + text

    def _no_tool(self, source: str, references: list[str]) -> str:
        """A consent tool's own script gives way to what stands in for it, in its place, at its time, with the page's nonce; empty for
        any other script."""
        base = self._base
        for reference in references:
            if (found := plain(reference)) is not None and base.host and base.scheme in NETWORK:
                host, path = found[0] or base.host, found[1]
            elif (target := resolve(reference, base)).scheme in NETWORK:
                host, path = target.host, target.path
            else:
                continue
            tool = self._frame.hosts.tool(host, path)
            if tool is None:
                continue
            gone = {name: WITHHELD + name.rpartition(":")[2] for name in ("src", "href", "xlink:href", "integrity", "crossorigin")}
            self._instead.add(tool.id)
            self.seen.withheld.setdefault((host, "script"), Decision(False, Reason.UNNAMED, "technique", tool.id))
            return self._edit(source, gone, f'src="{self._home}{self._frame.prefix}{tool.file}"')
        return ""

    def _block(self, token: Token, source: str) -> str:
        """An element that may be a consent tool's container: without its names and styles no rule of theirs shows it."""
        if "=" in source:
            tool = Tools.packaged().element(token.attr("id") or "", token.attr("class") or "")
            if tool is not None:
                if not self._frame.hosts.is_theirs(tool):
                    return self._edit(source, {n: WITHHELD + n for n in ("id", "class", "style", "role", "open")}, 'hidden="" inert=""')
                return self._division(token, source, theirs=True)
        return self._division(token, source)

    def _script(self, token: Token, source: str) -> str:
        self._raw = "script"
        if self._markup_too:
            self._nested()
        elif not self._nest and _RUNS.fullmatch((token.attr("type") or "").strip()) and token.attr("src") is None:
            self._tag = self._script_tag(token, source)
            return ""
        return self._script_tag(token, source)

    def _script_tag(self, token: Token, source: str) -> str:
        if "=" not in source:
            return source
        references: list[str] = []
        kind = reporting = None
        for name, value in token.attrs or ():
            if name in ("src", "href", "xlink:href"):
                if value:
                    references.append(value)
            elif name == "type":
                kind = value if kind is None else kind
            elif name == "attributionsrc":
                reporting = value if reporting is None else reporting
        if reporting and [url for url in reporting.split() if not self._allowed(url, "connect")]:
            source = self._edit(source, {"attributionsrc": WITHHELD + "attributionsrc"})
        if kind and kind.strip().lower() == "speculationrules":
            return self._edit(source, {"type": WITHHELD + "type"}, 'type="text/plain"')
        if references and (stands_in := self._no_tool(source, references)):
            return stands_in
        reference = next((url for url in references if not self._allowed(url, "script")), None)
        if reference is None:
            return source
        self._after = self._script_place(token, reference)
        renames = {name: WITHHELD + name.rpartition(":")[2] for name in ("src", "href", "xlink:href", "type")}
        return self._edit(source, renames, 'type="text/plain"')

    def _blockquote(self, token: Token, source: str) -> str:
        if self._quote is None and "class" in source and not embeds.QUOTES.keys().isdisjoint((token.attr("class") or "").split()):
            if not self._drawn:
                self._quote = (dict(token.attrs or ()), [])
            self._drawn = False
        return self._seldom(token, source)

    def _division(self, token: Token, source: str, theirs: bool = False) -> str:
        """The most frequent element: a box that a script would fill shows in its text. ``theirs``: it is a consent tool's container."""
        if "=" not in source:
            return source
        lower = source.lower()
        place = self._box(token) if (filled := _FILLED.search(lower)) and "class" in lower else ""
        seldom = "style" in lower or "attributionsrc" in lower or bool(self._foreign)
        if not (filled or seldom or theirs):
            return _remember(source)
        return (self._references(token, source) if seldom else source) + place

    def _box(self, token: Token) -> str:
        """The placeholder inside a box that a script would fill: before the quote in it, which stays."""
        attributes = dict(token.attrs or ())
        for name in (attributes.get("class") or "").split():
            if name in embeds.FILLED:
                place = self._post(embeds.FILLED[name](attributes))
                self._drawn = bool(place)
                return place
            if name in embeds.BOXES and attributes.get("data-size") != "invisible":
                whose, url = embeds.BOXES[name]
                return "" if f"script {whose}" in self._placed else self._robots(whose, self._tests.get(whose, url))
        return ""

    def _robots(self, whose: str, url: str) -> str:
        """In a robot test's place: its script works on the form around it."""
        if self._fragment or not self._opened or self._foreign or self._templates or self._allowed(url, "script"):
            return ""
        self.seen.changed = True
        self._placed.add(whose)
        target = resolve(url, self._frame.page)
        return self._place_frame(
            target, f"{self._frame.prefix}embed/script?{_query([('u', text_of(target))])}", 150, DEEP, f"&amp;back={BACK}"
        )

    def _post(self, drawn: embeds.Drawn) -> str:
        """The placeholder of what a script would draw: played as the service's own frame, or as that script in a document of its own."""
        url, kind = drawn.url, "frame" if drawn.data is None else "script"
        if not url or self._fragment or not self._opened or self._foreign or self._templates or self._allowed(url, kind):
            return ""
        target = resolve(url, self._frame.page)
        self.seen.changed = True
        query = _query([("u", text_of(target)), *(drawn.data or ())])
        page = "" if drawn.data is None else embeds.page_of_script(target, drawn.data)
        return self._place_frame(target, f"{self._frame.prefix}embed/{kind}?{query}", drawn.height, page=page)

    def _place_frame(self, target: Target, address: str, height: int, page_path: str = "", back: str = "", page: str = "") -> str:
        place = self._place(Withheld(target, address, self.seen.language, self._home, page_path, page))
        return (
            f'<iframe src="{self._home}{escape(address)}{back}"{place} width="100%" height="{height}" loading="lazy" '
            f'title="{escape(self._whose(target))}"></iframe>'
        )

    def _whose(self, target: Target) -> str:
        """The name of the service an embed belongs to, as its placeholder says it."""
        who = self._frame.hosts.shown(target)
        return who if isinstance(who, str) else who.name

    def _script_place(self, token: Token, reference: str) -> str:
        """The placeholder of a script that shows something: where it stands, if its own data say what; else once a page.

        The page's own path stands last in the address and unescaped, as it came (``Exchange`` puts it in).
        """
        target = resolve(reference, self._base)
        robots = embeds.captcha(target)
        if robots and not self._opened and not self._fragment:
            self._tests.setdefault(robots, text_of(target))
        drawn = embeds.scripted(target, dict(token.attrs or ()))
        if drawn.url:
            return self._post(drawn)
        service = self._frame.hosts.embed(target.host, "script") or robots
        if not service or self._fragment or not self._opened:
            return ""
        if robots:
            shown = robots in self._placed
            self._placed.add(f"script {robots}")
            return "" if shown else self._robots(robots, text_of(target))
        data = [(name, value) for name, value in token.attrs or () if name.startswith("data-") and len(value) < 2000][:20]
        url = text_of(target)
        if embeds.DRAWN.fullmatch(target.host):
            return ""  # what it draws has its placeholder already, where it stands
        if not data:
            if url in self._placed:
                return ""
            self._placed.add(url)
        address = f"{self._frame.prefix}embed/script?{_query([('u', url), *data])}"
        height = 240 if data else 200
        return self._place_frame(target, address, height, "" if data else DEEP, f"&amp;back={BACK}")

    def _own_picture(self, reference: str) -> str:
        """A picture to stand in a placeholder: the site's own, or none."""
        target = resolve(reference, self._base)
        if not reference or target.scheme not in ("http", "https"):
            return ""
        hosts = self._frame.hosts
        if hosts.decide(target.host, "image").reason is not Reason.OWN or hosts.collection(target.host, target.path):
            return ""
        page = self._frame.page
        same = (target.scheme, target.host, target.port) == (page.scheme, page.host, page.port)
        return f"{self._home}{target.path}" if same and not target.path.startswith("//") else text_of(target)

    def _place(self, withheld: Withheld) -> str:
        """The attribute that holds the placeholder itself, so that it asks for nothing; ``src`` takes over once it is removed."""
        self._places += 1
        if self._frame.place is None or self._places > MAX_PLACES:
            return ""
        document = self._frame.place(withheld)
        if self._frame.xml:
            return f' srcdoc="{escape(document)}"'
        # As few characters escaped as an attribute needs: so it compresses with the notice, which is written alike.
        text = document.replace("&", "&amp;").replace("'", "&#39;")
        return f" srcdoc='{text.encode('ascii', 'xmlcharrefreplace').decode()}'"

    def _iframe(self, token: Token, source: str) -> str:
        if token.tag == "iframe":
            self._raw = "iframe"
            if self._markup_too or self._select:
                self._nested()
        rename: dict[str, str] = {}
        replace: dict[str, str] = {}
        add = ""
        srcdoc, src = token.attr("srcdoc"), token.attr("src")
        if srcdoc is not None:
            srcdoc = srcdoc.replace(_EMPTY_HELD, _EMPTY)
            if self._depth >= MAX_DEPTH:
                rename["srcdoc"] = WITHHELD + "srcdoc"
            else:
                guard = self._frame.guard if _CAN_RUN.search(srcdoc) else ""
                inner = Rewriter(self._frame, fragment=True, depth=self._depth + 1, seen=self.seen, base=self._base)
                changed = guard + inner.feed(srcdoc) + inner.finish()
                if changed != srcdoc:
                    replace["srcdoc"] = changed
        if src:
            target = resolve(src, self._base)
            if target.scheme == "javascript" and not _HARMLESS.fullmatch(src.strip()):
                rename["src"] = WITHHELD + "src"
            elif not self._allowed(src, "frame"):
                rename["src"] = WITHHELD + "src"
                if target.host and not self._unseen(token) and self._frame.hosts.tool(target.host) is None:
                    told = [(n, v) for n, v in token.attrs or () if n in FRAME_ATTRIBUTES]
                    address = f"{self._frame.prefix}embed/frame?{_query([('u', text_of(target)), *told])}"
                    add = f'src="{self._home}{escape(address)}"'
                    if token.tag == "iframe":
                        facade = srcdoc is not None and target.host in srcdoc  # a picture with a link to the very frame
                        if facade:
                            rename["srcdoc"] = WITHHELD + "srcdoc"
                            replace.pop("srcdoc", None)
                        pictures = [token.attr("data-volens-poster") or token.attr("poster") or ""]
                        pictures += _PICTURE.findall(srcdoc) if facade and srcdoc else ()
                        poster = next((found for picture in pictures if (found := self._own_picture(picture))), "")
                        withheld = Withheld(target, address, self.seen.language, self._home, poster=poster)
                        add += self._place(withheld) if srcdoc is None or facade else ""
                        add += "" if token.attr("loading") else ' loading="lazy"'
                        add += "" if token.attr("title") else f' title="{escape(self._whose(target))}"'
                    rename |= {name: WITHHELD + name for name in _NOT_OURS}
                    allow = token.attr("allow")
                    if allow and allow != (features := "; ".join(_features(allow.lower()))):
                        replace["allow"] = features  # a host named there would leave out ours, and so the frame inside it
        style = token.attr("style")
        if style is not None and (changed := self._css(style)) != style:
            replace["style"] = changed
        return self._edit(source, rename, add, replace) if rename or replace else source

    @staticmethod
    def _unseen(token: Token) -> bool:
        """A frame that shows nothing: no placeholder for it."""
        if token.attr("hidden") is not None or any(
            (token.attr(name) or "").strip().removesuffix("px") in ("0", "1") for name in ("width", "height")
        ):
            return True
        style = re.sub(r"\s", "", token.attr("style") or "").lower()
        return "display:none" in style or "visibility:hidden" in style

    def _link(self, token: Token, source: str) -> str:
        relations = (token.attr("rel") or "").lower().split()
        rename: dict[str, str] = {}
        href, imageset = token.attr("href"), token.attr("imagesrcset")
        if href and Tools.packaged().path(href) and self._frame.hosts.tool("", resolve(href, self._base).path):
            return self._edit(source, {"href": WITHHELD + "href"})
        for relation in relations:
            kind = "hint" if relation in HINTS else LOADS.get(relation)
            if kind is None:
                continue
            if href and not self._allowed(href, kind):
                rename["href"] = WITHHELD + "href"
            if imageset and not all(self._allowed(url, kind) for url in candidates(imageset)):
                rename["imagesrcset"] = WITHHELD + "imagesrcset"
        return self._edit(source, rename) if rename else source

    def _meta(self, token: Token, source: str) -> str:
        name = token.attr("http-equiv")
        if not name:
            return source
        name, content = name.strip().lower(), token.attr("content") or ""
        if name == "refresh":
            address = refresh_address(content)
            if address and not self._allowed(address, "navigate"):
                return self._edit(source, {"http-equiv": WITHHELD + "http-equiv"})
        elif name == "content-security-policy" and self._frame.widen is not None:
            widened = self._frame.widen(content)
            if widened != content:
                return self._edit(source, {}, "", {"content": widened})
        return source

    def _form(self, token: Token, source: str) -> str:
        action = token.attr("action")
        if action and not self._allowed(action, "navigate"):
            return self._edit(source, {"action": WITHHELD + "action"}, f'action="{escape(self._out(action))}"')
        return self._any_reference(token, source)

    def _gate(self, token: Token, source: str) -> str:
        """A place of the site's own for what a closed gate has to say: it stands before whatever the element holds."""
        path = token.attr("path") or ""
        if self._frame.area is None or not path or self._fragment or self._foreign or self._templates:
            return self._any_reference(token, source)
        markup = self._frame.area(path, token.attr("id") or "", self.seen.language)
        if self._home:
            markup = markup.replace(f'"{self._frame.prefix}', f'"{self._home}{self._frame.prefix}')
        self.seen.changed = self.seen.changed or bool(markup)
        return source + markup


_Handler = Callable[[Rewriter, Token, str], str]
_HANDLERS: Mapping[str, _Handler] = (
    dict.fromkeys(REFERENCES, Rewriter._references)
    | dict.fromkeys(("a", "area", "button", "td", "tr", "th", "table", "tbody", "thead", "tfoot", "colgroup"), Rewriter._seldom)
    | {"blockquote": Rewriter._blockquote, **dict.fromkeys(("div", "section", "aside", "dialog"), Rewriter._block)}
    | dict.fromkeys(RAW, Rewriter._enter_raw)
    | {
        "script": Rewriter._script,
        "iframe": Rewriter._iframe,
        "frame": Rewriter._iframe,
        "link": Rewriter._link,
        "meta": Rewriter._meta,
        "base": Rewriter._base_tag,
        "form": Rewriter._form,
        "volens-gate": Rewriter._gate,
        "html": Rewriter._html,
        "template": Rewriter._template,
        "col": Rewriter._column,
        "select": Rewriter._enter_select,
        "frameset": Rewriter._enter_frameset,
        "svg": Rewriter._enter_foreign,
        "math": Rewriter._enter_foreign,
    }
)
"""What a start tag needs; any other is looked at only for style and the few attributes that load from everywhere."""
_OPEN_HANDLERS: Mapping[str, _Handler] = dict.fromkeys(RAW, Rewriter._enter_plain) | {
    "html": Rewriter._html,
    "meta": Rewriter._meta,
    "template": Rewriter._template,
}
"""The same where everything may be contacted."""
