"""What an HTML document would load, connect to or send by itself, told by means that share nothing with the product.

The tree is Lexbor's (a browser-grade HTML5 tree builder), addresses are read by a small reader of our own after the URL Standard, CSS by
another after CSS Syntax 3. Where a browser's reading depends on a setting — scripts on or off — both are listed. It lists too much
rather than too little: what never loads in one browser may in another.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser


class Load(NamedTuple):
    """One address and what for."""

    kind: str
    url: str

    @property
    def host(self) -> str:
        """Its host; empty where none is contacted."""
        return host_of(self.url)


# ---------------------------------------------------------------------------------------- addresses

_SPECIAL = {"http", "https", "ws", "wss", "ftp"}
_EDGES = "".join(map(chr, range(0x21)))


def absolute(reference: str, base: str) -> str:
    """``reference`` as a browser on ``base`` would read it; '' where it leads nowhere. Paths are not cleaned, only hosts matter."""
    text = reference.strip(_EDGES).translate({9: None, 10: None, 13: None})
    base_scheme, _, rest = base.partition("://")
    base_host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    found = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*):", text)
    scheme = found[1].lower() if found else base_scheme
    if found:
        text = text[found.end() :]
        if scheme not in _SPECIAL:
            return f"{scheme}:{text}"
    flat = text.replace("\\", "/")
    if found and scheme != base_scheme:
        flat, text = "//" + flat.lstrip("/"), text
    if not flat.startswith("//"):
        return f"{base_scheme}://{base_host}/{flat.lstrip('/')}" if text or found else ""
    authority = re.split(r"[/?#]", flat.lstrip("/"), maxsplit=1)[0]
    host = unquote(authority.rpartition("@")[2])
    host, _, port = host.partition(":") if not host.startswith("[") else (host, "", "")
    host = unicodedata.normalize("NFKC", host).casefold().replace("。", ".").replace("\u00ad", "")
    if not host or (re.search(r"[\x00-\x20#/<>?@\[\\\]^|%\x7f]", host) and not host.startswith("[")):
        return ""
    return f"{scheme}://{host}{':' + port if port else ''}/{flat[2 + len(authority) :].lstrip('/')}"


def host_of(url: str) -> str:
    """The host of an absolute address."""
    scheme, sign, rest = url.partition("://")
    if not sign or scheme not in _SPECIAL:
        return ""
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return (host if host.startswith("[") else host.partition(":")[0]).rstrip(".")


# ---------------------------------------------------------------------------------------- CSS

_CSS_TOKEN = re.compile(
    r"""/\*.*?(?:\*/|\Z)
      | "(?P<dq>(?:[^"\\\n\r\f]|\\(?:\r\n|.))*)"? | '(?P<sq>(?:[^'\\\n\r\f]|\\(?:\r\n|.))*)'?
      | (?P<url>(?:u|\\0{0,4}[57]5\s?)(?:r|\\0{0,4}[57]2\s?|\\r)(?:l|\\0{0,4}[46]c\s?|\\l)\()\s*
        (?!["'\s])(?P<raw>(?:[^)"'\s(\\]|\\[0-9a-fA-F]{1,6}\s?|\\.)*)\s*\)?
      | (?P<name>[@-]?(?:[a-zA-Z_\u0080-\U0010ffff]|\\[^\n])(?:[\w\u0080-\U0010ffff-]|\\[0-9a-fA-F]{1,6}\s?|\\[^\n])*)(?P<call>\()?
      | (?P<one>.)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def _plain(text: str) -> str:
    text = re.sub(r"\\(?:\r\n|[\n\r\f])", "", text)

    def one(found: re.Match[str]) -> str:
        if found[2]:
            return found[2]
        code = int(found[1], 16)
        return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"

    return re.sub(r"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[ \t\n\r\f])?|(.))", one, text, flags=re.DOTALL)


def css_loads(text: str) -> list[tuple[str, str]]:
    """(kind, reference) of everything a sheet or a declaration list would fetch."""
    found: list[tuple[str, str]] = []
    calls: list[str] = []
    imports = False
    for token in _CSS_TOKEN.finditer(text):
        if token["raw"] is not None and token["url"]:
            found.append(("style" if imports else "image", _plain(token["raw"])))
            imports = False
        elif token["name"]:
            if calls and calls[-1] in ("url", "src"):
                calls[-1] = ""  # the string of url("…") stands first or nowhere
            name = _plain(token["name"]).lower()
            if token["call"]:
                calls.append(name)
            imports = name == "@import" or (imports and name in ("url", "src") and bool(token["call"]))
        elif token["dq"] is not None or token["sq"] is not None:
            value = _plain(token["dq"] if token["dq"] is not None else token["sq"])
            inner = calls[-1] if calls else ""
            if imports:
                found.append(("style", value))
                imports = False
            elif inner in ("url", "src", "image", "image-set", "-webkit-image-set"):
                found.append(("image", value))
                calls[-1] = "" if inner in ("url", "src") else inner
        elif token["one"]:
            if calls and calls[-1] in ("url", "src") and token["one"] not in " \t\n\r\f()":
                calls[-1] = ""
            imports = imports and token["one"] in " \t\n\r\f"
            if token["one"] == "(":
                calls.append("")
            elif token["one"] == ")" and calls:
                calls.pop()
            elif token["one"] in ";{}":
                if token["one"] in "{}":
                    calls.clear()
    return [(kind, url) for kind, url in found if url.strip()]


# ---------------------------------------------------------------------------------------- markup

_SCRIPTS = re.compile(r"(?:(?:text|application)/(?:x-)?(?:java|ecma|live|j)script[\d.]*|module|)\s*\Z", re.IGNORECASE)
_PLAIN: dict[str, tuple[tuple[str, str], ...]] = {
    "img": (("src", "image"), ("lowsrc", "image"), ("dynsrc", "image")),
    "image": (("src", "image"), ("href", "image"), ("xlink:href", "image")),
    "feimage": (("href", "image"), ("xlink:href", "image")),
    "use": (("href", "image"), ("xlink:href", "image")),
    "source": (("src", "media"),),
    "input": (("src", "image"),),
    "video": (("src", "media"), ("poster", "image")),
    "audio": (("src", "media"),),
    "track": (("src", "media"),),
    "embed": (("src", "frame"),),
    "object": (("data", "frame"),),
    "portal": (("src", "frame"),),
    "fencedframe": (("src", "frame"),),
    "form": (("action", "form"),),
    "button": (("formaction", "form"),),
    "set": (("to", "image"),),
    "animate": (("to", "image"), ("from", "image")),
}
_HINTS = {
    "preconnect",
    "dns-prefetch",
    "prefetch",
    "prerender",
    "preload",
    "modulepreload",
    "compression-dictionary",
    "manifest",
    "search",
    "import",
}
_ICONS = {"icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon", "apple-touch-startup-image", "fluid-icon"}
_SVG_PAINT = ("fill", "stroke", "filter", "mask", "clip-path", "marker", "marker-start", "marker-mid", "marker-end", "cursor")


def srcset(text: str) -> list[str]:
    """The URLs of a srcset (HTML Standard, *parse a srcset attribute*)."""
    found, at = [], 0
    while True:
        skipped = re.compile(r"[\s,]*").match(text, at)
        assert skipped is not None
        at = skipped.end()
        if at >= len(text):
            return found
        word = re.compile(r"\S+").match(text, at)
        assert word is not None
        at = word.end()
        found.append(word[0].rstrip(","))
        if word[0].endswith(","):
            continue
        depth = 0
        while at < len(text) and (depth or text[at] != ","):
            depth += {"(": 1, ")": -1 if depth else 0}.get(text[at], 0)
            at += 1


def refresh(content: str) -> str:
    """The address of a meta refresh (HTML Standard, *shared declarative refresh steps*), '' without one."""
    found = re.match(r"\s*(?:[0-9]+|(?=\.))[0-9.]*(?=[;,\s])\s*[;,]?\s*(.+)", content, re.DOTALL)
    if not found:
        return ""
    rest = found[1]
    named = re.match(r"url\s*=\s*", rest, re.IGNORECASE)
    if named:
        rest = rest[named.end() :]
    if rest[:1] in ("'", '"'):
        return rest[1:].partition(rest[0])[0]
    return rest


def _data(url: str) -> tuple[str, str]:
    kind, _, payload = url[5:].partition(",")
    text = unquote(payload)
    if re.search(r";\s*base64\s*\Z", kind, re.IGNORECASE):
        try:
            text = base64.b64decode(re.sub(r"\s", "", text) + "===").decode("utf-8", "replace")
        except ValueError:
            text = ""
    return kind.lower(), text


class _Reading:
    def __init__(self, base: str, depth: int) -> None:
        self.page, self.base, self.depth = base, base, depth
        self.found: list[Load] = []

    def note(self, kind: str, reference: str | None) -> None:
        if not reference:
            return
        url = absolute(reference, self.base)
        if url.lower().startswith("data:"):
            if kind in ("frame", "style", "import") and self.depth < 6:
                media, text = _data(url)
                if "css" in media or kind == "style":
                    self.css(text)
                elif "html" in media or "xml" in media or "svg" in media:
                    self.found += _loads(text, self.page, self.depth + 1)
            return
        if url and host_of(url):
            self.found.append(Load(kind, url))

    def css(self, text: str) -> None:
        for kind, reference in css_loads(text):
            self.note(kind, reference)

    def tree(self, markup: str) -> None:
        parser = LexborHTMLParser(markup)
        root = parser.root
        if root is None:
            return
        nodes = list(root.traverse(include_text=False))
        for node in nodes:
            if node.tag == "base" and (node.attributes.get("href") or "").strip():
                base = absolute(node.attributes["href"] or "", self.page)
                if host_of(base):
                    self.base = base
                break
        for node in nodes:
            self.element(node)

    def element(self, node: Any) -> None:
        tag = (node.tag or "").lower()
        attributes = {name.lower(): value or "" for name, value in node.attributes.items()}
        get = attributes.get
        for name, kind in _PLAIN.get(tag, ()):
            self.note(kind, get(name))
        if tag in ("img", "source", "image"):
            for url in srcset(get("srcset", "")):
                self.note("image", url)
        if tag == "animate":
            for url in get("values", "").split(";"):
                self.note("image", url)
        if tag in ("a", "area"):
            for url in get("ping", "").split():
                self.note("ping", url)
        for url in get("attributionsrc", "").split():
            self.note("ping", url)
        if tag in ("input", "button"):
            self.note("form", get("formaction"))
        self.note("image", get("background"))
        if get("style"):
            self.css(get("style", ""))
        for name in _SVG_PAINT:
            if get(name):
                self.css(get(name, ""))
        if tag == "script":
            kind = get("type", "")
            if "type" in attributes and kind.strip().lower() == "speculationrules":
                self.rules(node.text(deep=True))
            elif "type" in attributes and kind.strip().lower() == "importmap":
                pass  # names only; what is imported is a script's own doing
            elif _SCRIPTS.match(kind.strip()):
                for name in ("src", "href", "xlink:href"):
                    self.note("script", get(name))
        elif tag == "style":
            self.css(node.text(deep=True))
        elif tag in ("iframe", "frame"):
            self.note("frame", get("src"))
            if get("src", "").strip().lower().startswith("javascript:"):
                self.found += _loads(unquote(get("src", "")), self.page, self.depth + 1)
            if get("srcdoc") and self.depth < 6:
                self.found += _loads(get("srcdoc", ""), self.base, self.depth + 1)
        elif tag == "link":
            for relation in get("rel", "").lower().split():
                kind = "hint" if relation in _HINTS else "style" if relation == "stylesheet" else "image" if relation in _ICONS else ""
                if kind:
                    self.note(kind, get("href"))
                    for url in srcset(get("imagesrcset", "")):
                        self.note(kind, url)
        elif tag == "meta" and get("http-equiv", "").strip().lower() == "refresh":
            self.note("refresh", refresh(get("content", "")))
        elif tag == "template" and self.depth < 6:
            inner = re.sub(r"\A<template[^>]*>|</template>\Z", "", node.html or "")
            reading = _Reading(self.base, self.depth + 1)
            reading.tree(f"<table>{inner}" if re.match(r"\s*<(?:t[rdhbf]|col|caption)", inner, re.IGNORECASE) else f"<body>{inner}")
            self.found += reading.found

    def rules(self, text: str) -> None:
        try:
            rules = json.loads(text)
        except ValueError:
            return
        for action in ("prefetch", "prerender"):
            for rule in rules.get(action, []) if isinstance(rules, dict) else []:
                for url in rule.get("urls", []) if isinstance(rule, dict) else []:
                    self.note("hint", str(url))
                if isinstance(rule, dict) and "where" in rule:
                    self.found.append(Load("hint", absolute("/*", self.base)))


def _loads(markup: str, base: str, depth: int) -> list[Load]:
    found: list[Load] = []
    readings = [markup]
    if "noscript" in markup.lower():  # scripts on: noscript holds text, as noembed always does
        readings.append(re.sub("noscript", "noembed", markup, flags=re.IGNORECASE))
    for text in readings:
        reading = _Reading(base, depth)
        reading.tree(text)
        found += reading.found
    return found


def loads(markup: str, page: str = "https://www.site.example/a/page") -> list[Load]:
    """Everything ``markup`` at ``page`` would load, connect to or send, own hosts included; each once, in order."""
    return list(dict.fromkeys(_loads(markup, page, 0)))


def would_load(markup: str, *own: str, page: str = "https://www.site.example/a/page") -> list[Load]:
    """What goes to hosts other than ``own`` (``*.name`` for all below)."""

    def is_own(host: str) -> bool:
        return any(host == name.removeprefix("*.") or (name.startswith("*.") and host.endswith(name[1:])) for name in own)

    return [load for load in loads(markup, page) if not is_own(load.host)]


def texts(markup: str) -> Iterator[str]:
    """The words of a document that a reader would see, without scripts and styles."""
    tree = LexborHTMLParser(markup)
    for node in tree.css("script, style, noscript, template, title"):
        node.decompose()
    body = tree.body
    yield from (body.text(separator=" ") if body is not None else "").split()
