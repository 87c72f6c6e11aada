"""Consent tools that a site has already: recognised, withheld, or read, all by data (``data/catalog/notices.toml``).

``notice = "volens"`` withholds them; ``notice = "theirs"`` lets one of them ask and reads what it keeps. What it keeps is
what a page's script wrote: it proves what that tool said and nothing more (docs/decisions, *What a foreign choice proves*).
So a grant is only ever what the operator's map names, and whatever cannot be read for certain is no choice.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, unquote

MAX_HELD = 16384
"""Characters of what a tool keeps that are read."""
MAX_DEPTH = 6
HEAD = 1500
"""Characters in which a file says what it is."""
MOST_NAMES = 4096
"""Names of storage of which it is remembered whose they are."""
MOST_SCRIPTS = 16384
"""Inline scripts of which that is remembered, some 3 MB."""
HELD = re.compile(r"(cookie|local) (\S{1,100})")
_PLAIN = re.compile(r"[\w.~*+-]{0,60}")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a tool's choice is read."""

    sources: tuple[str, ...] = ()
    """``cookie NAME`` or ``local NAME``, the first that is there; ``*`` at the end of a name: all of them."""
    form: str = "json"
    """``json`` · ``pairs`` (of words) · ``word`` (one, for everything) · ``names`` (a cookie for each) · ``asked`` (of the tool itself)."""
    between: str = ","
    sign: str = ":"
    query: str = ""
    """The field that holds the pairs, where the whole is a query string."""
    base64: bool = False
    at: tuple[str, ...] = ()
    """Where in JSON its yeses stand: mappings of true and false, or lists of what is granted."""
    not_at: tuple[str, ...] = ()
    """Lists of what is refused; what stands in both is refused."""
    key: str = ""
    value: str = ""
    """In a list of objects: what names one, and what says yes."""
    yes: tuple[str, ...] = ("true",)
    no: tuple[str, ...] = ("false",)
    needs: str = ""
    """``NAME=VALUE`` that must stand there for an answer to be the visitor's own; ``NAME``: a cookie or item that must exist."""
    ask: str = ""
    """The conversation ``browser/theirs.ts`` knows, for ``asked``."""
    events: tuple[str, ...] = ()
    """What to listen to; the cookie or item is looked at too."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One consent tool."""

    id: str
    name: str
    source: str
    hosts: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    exports: str = ""
    styles: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    inline: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    alone: bool = False
    ids: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    hide: str = ""
    unlock: tuple[str, ...] = ()
    """Classes that its window puts on the page to keep it from scrolling."""
    cookies: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    stub: str = ""
    reading: Reading = field(default_factory=Reading)
    map: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def hiding(self) -> str:
        """Script that keeps its windows out of sight, whenever they are made."""
        rule = self.hide + "{display:none!important}" if self.hide else ""
        rule += "".join(f"html.{name},body.{name}{{overflow:auto!important;position:static!important}}" for name in self.unlock)
        return (
            f"try{{var s=new CSSStyleSheet();s.replaceSync({json.dumps(rule)});"
            "document.adoptedStyleSheets=[...document.adoptedStyleSheets,s]}catch(e){}"
        )

    @property
    def stand_in(self) -> str:
        """What is served in place of its script: its words answer, do nothing, and say that nothing is granted."""
        return (
            f"/* {self.name} is withheld: this site's notice is asked by Volens. */\n(function(){{{self.hiding}"
            "function f(names,base){names.split(' ').forEach(function(n){if(n)base[n]=function(){}});return base}"
            f"var window=self;try{{{self.stub}}}catch(e){{}}}})();\n"
        )

    @property
    def stand_in_module(self) -> str:
        """The same for ``import``."""
        names = self.exports.split()
        falsy = " ".join(f"export const {name}=()=>false;" for name in names)
        said = f"/* {self.name} is withheld: this site's notice is asked by Volens. */"
        return f"{said}\n{self.hiding}\n{falsy}\nexport default{{{','.join(names)}}};\n"

    @property
    def file(self) -> str:
        """The name its stand-in is served under, for ever: another text has another name."""
        return f"instead-{self.id}-{hashlib.sha256(self.stand_in.encode()).hexdigest()[:8]}.js"


def _glob(name: str) -> str:
    return ".*".join(map(re.escape, name.split("*")))


def _one(sources: Iterable[str], flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str] | None:
    patterns = list(sources)
    return re.compile("|".join(patterns), flags) if patterns else None


class Tools:
    """All that are known, by what gives them away."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self.all: Mapping[str, Tool] = MappingProxyType({tool.id: tool for tool in tools})
        self._hosts = {host: tool for tool in self.all.values() for host in tool.hosts}
        self._paths = [(found, t) for t in self.all.values() if (found := _one((*t.scripts, *t.styles), re.IGNORECASE))]
        self._any_path = _one((p for t in self.all.values() for p in (*t.scripts, *t.styles)), re.IGNORECASE)
        self._modules = _one((p for t in self.all.values() for p in t.modules), re.IGNORECASE)
        self._inline = [(re.compile("|".join(t.inline)), t) for t in self.all.values() if t.inline]
        self._hints = [word for t in self.all.values() for word in t.hints]
        self._names = {("id", name): t for t in self.all.values() for name in t.ids} | {
            ("class", name): t for t in self.all.values() for name in t.classes
        }
        self._content = [(text, t) for t in self.all.values() for text in t.content[:1]]
        self._storage = {
            medium: [(re.compile(_glob(name)), t) for t in self.all.values() for name in getattr(t, place)]
            for medium, place in (("cookie", "cookies"), ("local", "items"), ("session", "items"))
        }
        self._keeping: dict[tuple[str, str], tuple[Tool, ...]] = {}  # by name and medium
        self._seen: dict[tuple[int, int], tuple[Tool | None]] = {}  # by an inline script's length and hash
        self.files: Mapping[str, Tool] = {tool.file: tool for tool in self.all.values()}

    @staticmethod
    @functools.cache
    def packaged() -> Tools:
        """Read once."""
        values = tomllib.loads((resources.files("volens") / "data" / "catalog" / "notices.toml").read_text("utf-8"))
        return Tools(map(_tool, values["tool"]))

    def host(self, host: str) -> Tool | None:
        """The hosted tool that is delivered from ``host``."""
        found = self._hosts.get(host)
        name = host
        while found is None and name:
            found = self._hosts.get("*." + name)
            name = name.partition(".")[2]
        return found

    def path(self, path: str) -> Tool | None:
        """The tool whose file a path names, wherever it lies. Query and fragment say nothing."""
        path = path.partition("?")[0].partition("#")[0][:1024]
        if self._any_path is None or not self._any_path.search(path):
            return None
        return next((t for found, t in self._paths if found.search(path)), None)

    def module(self, path: str) -> bool:
        """Whether that file is an ES module."""
        return bool(self._modules and self._modules.search(path.partition("?")[0]))

    def inline(self, text: str) -> Tool | None:
        """The tool that an inline script sets up, loads, or is. Remembered by length and hash: a site's pages have the same scripts."""
        key = len(text), hash(text)
        seen = self._seen.get(key)
        if seen is None:
            seen = (self._of_inline(text),)
            if len(self._seen) >= MOST_SCRIPTS:
                self._seen.clear()
            self._seen[key] = seen
        return seen[0]

    def _of_inline(self, text: str) -> Tool | None:
        hinted = [word for word in self._hints if word in text]
        if not hinted:
            return None
        found = next((t for pattern, t in self._inline if not t.hints or not set(t.hints).isdisjoint(hinted) if pattern.search(text)), None)
        return self.content(text) if found is None and len(text) > 4096 else found

    def content(self, text: str) -> Tool | None:
        """The tool that a script's text holds."""
        return next((t for mark, t in self._content if mark in text and all(m in text for m in t.content)), None)

    def itself(self, text: str) -> Tool | None:
        """The tool whose own file a script's text is, under whatever name; not a bundle that holds it among other things."""
        tool = self.content(text)
        return tool if tool is not None and (tool.alone or tool.content[0] in text[:HEAD]) else None

    def element(self, id: str, classes: str) -> Tool | None:
        """The tool whose container an element is."""
        found = self._names.get(("id", id)) if id else None
        for name in classes.split() if found is None else ():
            found = found or self._names.get(("class", name))
        return found

    def storage(self, name: str, medium: str = "cookie", *, but: Tool | None = None) -> Tool | None:
        """The tool that keeps its choice under this name; None where ``but`` does too."""
        found = self._keeping.get((name, medium))
        if found is None:
            found = tuple(t for pattern, t in self._storage.get(medium, ()) if pattern.fullmatch(name))
            if len(self._keeping) < MOST_NAMES:
                self._keeping[name, medium] = found
        return found[0] if found and but not in found else None


def _tool(values: dict[str, Any]) -> Tool:
    choice: dict[str, Any] = values.pop("choice", {})
    names = {to: tuple(ids) for to, ids in choice.pop("map", {}).items()}
    told: dict[str, Any] = {("sources" if k == "from" else k): tuple(v) if isinstance(v, list) else v for k, v in choice.items()}
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Tool(**plain, reading=Reading(**told), map=MappingProxyType(names))


@dataclass(frozen=True)
class Theirs:
    """The tool that asks in Volens' place, and what its words mean here."""

    tool: Tool
    map: Mapping[str, tuple[str, ...]]
    """A category, service or vendor of theirs (several joined by ``+``: all of them) -> purposes and services of the notice."""
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "map", MappingProxyType(dict(self.map)))
        object.__setattr__(self, "sources", tuple(self.sources) or self.tool.reading.sources)

    @property
    def by_cookie(self) -> bool:
        """Whether each request says what the tool holds now."""
        return bool(self.sources) and all(source.startswith("cookie ") for source in self.sources)

    def held(self, cookies: Iterable[tuple[str, str]]) -> dict[str, str]:
        """What of a request's cookies is the tool's choice, by ``cookie NAME``. A name that is there twice says nothing."""
        found: dict[str, set[str]] = {}
        patterns = [re.compile(_glob(source[7:])) for source in self.sources if source.startswith("cookie ")]
        for name, value in cookies:
            if any(pattern.fullmatch(name) for pattern in patterns):
                found.setdefault(f"cookie {name}", set()).add(value)
        return {name: min(values) for name, values in found.items() if len(values) == 1}

    def granted(self, held: Mapping[str, str]) -> frozenset[str] | None:
        """Ids of purposes and services that the tool's choice grants; None: no choice that can be read for certain.

        An id that several of its words map to needs all of them.
        """
        said = read(self.tool.reading, held, self.sources)
        if said is None:
            return None
        needed: dict[str, list[bool]] = {}
        for word, ids in self.map.items():
            yes = all(said.get(part) is True for part in _words(word))
            for id in ids:
                needed.setdefault(id, []).append(yes)
        return frozenset(id for id, answers in needed.items() if all(answers))


def _words(word: str) -> list[str]:
    """``a+b`` is both; ``purpose.1+2`` is ``purpose.1`` and ``purpose.2``."""
    first, *rest = word.split("+")
    stem = first.rpartition(".")[0]
    return [first, *(f"{stem}.{part}" if stem and part.isdigit() else part for part in rest)]


def read(reading: Reading, held: Mapping[str, str], sources: Iterable[str] = ()) -> Mapping[str, bool] | None:
    """What the tool's words say, yes or no; None: nothing that can be read for certain."""
    sources = tuple(sources) or reading.sources
    if sum(map(len, held.values())) > MAX_HELD:
        return None
    try:
        if reading.form == "asked":
            return _asked(held.get("asked", ""))
        if reading.form == "names":
            return _names(reading, held, sources)
        text = next((held[source] for source in sources if held.get(source)), None)
        if text is None:
            return None
        said, flat = _said(reading, text)
    except (ValueError, TypeError, RecursionError, AttributeError):
        return None  # doubt: nothing was said
    if said is None or not _answered(reading, held, flat):
        return None
    return said


def _answered(reading: Reading, held: Mapping[str, str], flat: Mapping[str, str]) -> bool:
    if not reading.needs:
        return True
    name, sign, value = reading.needs.partition("=")
    beside = next((text for source, text in held.items() if source.partition(" ")[2] == name), "")
    return flat.get(name) == value or beside == value if sign else bool(beside)


def _word(reading: Reading, value: object) -> bool | None:
    text = {True: "true", False: "false"}.get(value, "") if isinstance(value, bool) else str(value).strip().strip("'\"")
    return True if text in reading.yes else False if text in reading.no else None


def _said(reading: Reading, text: str) -> tuple[dict[str, bool] | None, dict[str, str]]:
    if reading.form == "word":
        answer = _word(reading, unquote(text))
        return (None if answer is None else {"all": answer}), {}
    if reading.form == "pairs":
        return _pairs(reading, text)
    return _json(reading, text)


def _pairs(reading: Reading, text: str) -> tuple[dict[str, bool] | None, dict[str, str]]:
    if reading.query:
        text = dict(parse_qsl(text)).get(reading.query, "")
    text = unquote(text).strip().removeprefix("{").removesuffix("}")
    said: dict[str, bool] = {}
    flat: dict[str, str] = {}
    for pair in text.split(reading.between):
        name, sign, value = pair.strip().partition(reading.sign)
        name, value = name.strip().strip("'\""), value.strip().strip("'\"")
        if not sign or not name:
            continue
        if name in flat and flat[name] != value:
            return None, {}  # two answers to one question
        flat[name] = value
        answer = _word(reading, value)
        if answer is not None:
            said[name] = answer
    return said or None, flat


def _json(reading: Reading, text: str) -> tuple[dict[str, bool] | None, dict[str, str]]:
    text = unquote(text)
    if reading.base64:
        text = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    value = json.loads(text, object_pairs_hook=_once)
    if reading.at and not isinstance(value, dict):
        value = {reading.at[0]: value}
    if not isinstance(value, dict):
        return None, {}
    flat = {k: {True: "true", False: "false"}[v] if isinstance(v, bool) else v for k, v in value.items() if isinstance(v, bool | str)}
    said: dict[str, bool] = {}
    for path in reading.at or ("",):
        _collect(reading, _at(value, path), said, True)
    for path in reading.not_at:
        _collect(reading, _at(value, path), said, False)
    found = any(_at(value, path) is not None for path in reading.at or ("",))
    return said if found else None, flat


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


def _at(value: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _collect(reading: Reading, value: Any, said: dict[str, bool], yes: bool, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, dict):
        for name, answer in value.items():
            word = _word(reading, answer) if isinstance(answer, bool | str | int) else None
            if word is not None:
                said[name] = said.get(name, True) and word and yes
            else:
                _collect(reading, answer, said, yes, depth + 1)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, str):
                said[item] = said.get(item, True) and yes
            elif reading.key and isinstance(item, dict) and isinstance(item.get(reading.key), str):
                name = item[reading.key]
                said[name] = said.get(name, True) and item.get(reading.value) is True


def _names(reading: Reading, held: Mapping[str, str], sources: Iterable[str]) -> Mapping[str, bool] | None:
    prefixes = [source[7:].rstrip("*") for source in sources if source.startswith("cookie ")]
    said: dict[str, bool] = {}
    for source, value in held.items():
        name = source.partition(" ")[2]
        prefix = next((p for p in prefixes if name.startswith(p)), None)
        answer = _word(reading, unquote(value))
        if prefix is not None and answer is not None:
            said[name[len(prefix) :]] = answer
    return said if said and _answered(reading, held, {}) else None


def _asked(text: str) -> Mapping[str, bool] | None:
    value = json.loads(text, object_pairs_hook=_once)
    if not isinstance(value, dict) or not value:
        return None
    return {name: answer for name, answer in value.items() if isinstance(answer, bool)}


def version_of(text: str) -> str:
    """A version as a tool tells it, or empty: it is the page's word, so only plain characters of it are kept."""
    return text if _PLAIN.fullmatch(text) else ""
