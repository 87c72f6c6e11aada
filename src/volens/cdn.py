"""``volens check --cdn URL``: from outside, whether anybody is given the page of somebody else.

One address is asked as visitors in six states, each through a query that no cache can have seen: that is their page. Then all
of them ask for the address itself, in turns, and what they get must be theirs. What they were shown is told apart by what a page
says to the guard and by the notice in it, not by header fields, which a cache may rewrite.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from json import dumps
from ssl import create_default_context
from typing import Any, TextIO
from urllib.parse import urlencode, urlsplit

ROUNDS = 4
"""How often each visitor asks, in as many orders."""
MOST = 8 << 20
"""Bytes of a page that are read."""
_CHECK = re.compile(r"(?:[?&]|&amp;|%3[Ff]|%26)volens-check(?:=|%3[Dd])[0-9a-f]+")
_GUARD = re.compile(r"data-volens='([^']*)'")
_NOTICE = re.compile(r"<volens-notice\b.*?</volens-notice>", re.DOTALL)
_NAMED = re.compile(r"""name=["']?notice["']?\s+value=["']?([0-9a-f.]+)""")
_FORM = re.compile(r"""action=["']?([^"'\s>]*/)(?:choice|panel)["'\s>]""")
_PURPOSE = re.compile(r"""<input\b(?=[^>]*\bname=["']?purposes\b)[^>]*\bvalue=["']?([a-z0-9-]+)""")
_HITS = re.compile(r"\bhit\b", re.IGNORECASE)


class NotTheirsError(Exception):
    """The address cannot be checked; the text says why."""


@dataclass
class Page:
    """An answer, as far as it matters."""

    status: int
    fields: Mapping[str, list[str]]
    text: str

    @property
    def mark(self) -> str:
        """Sixteen digits that name the state the page was made for; empty where it is no page of ours."""
        text = _CHECK.sub("", self.text)
        guard = _GUARD.search(text)
        if guard is None:
            return ""
        notice = _NOTICE.search(text)
        return sha256(f"{guard[1]}\0{notice[0] if notice else ''}".encode()).hexdigest()[:16]

    @property
    def kept(self) -> bool:
        """Whether a cache says that it had it (RFC 9111 §5.1; RFC 9211; what CDNs write)."""
        if any(value.strip().isdigit() and int(value) > 0 for value in self.fields.get("age", ())):
            return True
        if any(len(value.split()) == 2 for value in self.fields.get("x-varnish", ())):
            return True
        return any(_HITS.search(value) for name in ("cache-status", "x-cache", "cf-cache-status") for value in self.fields.get(name, ()))


@dataclass
class Visitor:
    """One who asks, with a jar of their own."""

    name: str
    address: str
    sent: Mapping[str, str] = field(default_factory=dict)
    jar: dict[str, str] = field(default_factory=dict)
    mark: str = ""
    kept: int = 0

    def ask(self, method: str, path: str, body: str | None = None, **more: str) -> Page:
        parts = urlsplit(self.address)
        connect: HTTPConnection = (
            HTTPSConnection(parts.netloc, timeout=20, context=create_default_context())
            if parts.scheme == "https"
            else HTTPConnection(parts.netloc, timeout=20)
        )
        fields = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}
        fields |= {"User-Agent": "volens-check", **self.sent, **{name.replace("_", "-"): value for name, value in more.items()}}
        if self.jar:
            fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        try:
            connect.request(method, path, body, fields)
            answer = connect.getresponse()
            found: dict[str, list[str]] = {}
            for name, value in answer.getheaders():
                found.setdefault(name.lower(), []).append(value)
            page = Page(answer.status, found, answer.read(MOST).decode("utf-8", "replace"))
        except (OSError, HTTPException, ValueError) as error:
            raise NotTheirsError(f"{parts.scheme}://{parts.netloc}{path} cannot be read: {error}") from error
        finally:
            connect.close()
        for line in found.get("set-cookie", ()):
            name, _, value = line.partition(";")[0].partition("=")
            if value and not re.search(r";\s*max-age=0", line, re.IGNORECASE):
                self.jar[name.strip()] = value
            else:
                self.jar.pop(name.strip(), None)
        return page

    def page(self, fresh: bool) -> Page:
        parts = urlsplit(self.address)
        query = f"{parts.query}&" * bool(parts.query) + f"volens-check={secrets.token_hex(8)}" if fresh else parts.query
        return self.ask("GET", (parts.path or "/") + (f"?{query}" if query else ""))

    def answer(self, prefix: str, notice: str, fields: Iterable[tuple[str, str]]) -> None:
        parts = urlsplit(self.address)
        form = urlencode([("notice", notice), ("surface", "panel"), ("back", "/"), *fields])
        own = {
            "Origin": f"{parts.scheme}://{parts.netloc}",
            "Sec_Fetch_Site": "same-origin",
            "Content_Type": "application/x-www-form-urlencoded",
        }
        told = self.ask("POST", f"{prefix}choice", form, **own)
        if told.status != 303 or "volens" not in self.jar:
            raise NotTheirsError(f"{prefix}choice answered {told.status} to {self.name}: is POST passed on, with its cookies?")


def look(address: str) -> dict[str, Any]:
    """What each visitor was given; raises NotTheirsError."""
    if not address.startswith(("http://", "https://")):
        raise NotTheirsError(f"{address!r} is no address: give one that visitors open, https://www.example.org/")
    plain = {"Accept-Language": "fr"}
    visitors = [
        Visitor("undecided", address, plain),
        Visitor("undecided, another language", address, {"Accept-Language": "en"}),
        Visitor("undecided, Global Privacy Control", address, plain | {"Sec-GPC": "1"}),
        Visitor("refused", address, plain),
        Visitor("accepted", address, plain),
        Visitor("accepted some", address, plain),
    ]
    first = visitors[0].page(True)
    notice, form = _NAMED.search(first.text), _FORM.search(first.text)
    if not first.mark or notice is None or form is None:
        raise NotTheirsError(f"{address} shows no page of Volens with its notice (status {first.status}).")
    prefix = urlsplit(form[1]).path
    purposes = _PURPOSE.findall(visitors[0].ask("GET", f"{prefix}panel").text)
    given = {"refused": [("answer", "refuse")], "accepted": [("answer", "accept")]}
    given["accepted some"] = [("answer", "switches"), *(("purposes", purpose) for purpose in purposes[:1])]
    wrong: list[dict[str, str]] = []
    asked = 0
    try:
        for visitor in visitors:
            if visitor.name in given:
                visitor.answer(prefix, notice[1], given[visitor.name])
            visitor.mark = visitor.page(True).mark
        owner = {visitor.mark: visitor.name for visitor in reversed(visitors)}
        for turn in range(ROUNDS):
            order = visitors[turn:] + visitors[:turn]
            for visitor in order if turn % 2 else order[::-1]:
                page = visitor.page(False)
                asked += 1
                visitor.kept += page.kept
                if page.mark != visitor.mark:
                    given_as = owner.get(page.mark, "a page of nobody asked here" if page.mark else "no page of Volens")
                    wrong.append({"asked_as": visitor.name, "given": given_as, "from": "a cache" if page.kept else "not said"})
    finally:
        for visitor in visitors:  # what was granted for the test is taken back
            if visitor.jar.keys() & {"volens-record", "__Host-volens-record"}:
                visitor.answer(prefix, notice[1], [("answer", "withdraw")])
    return {
        "format": "volens-cdn/1",
        "address": address,
        "status": 1 if wrong else 0,
        "asked": asked,
        "visitors": [{"name": v.name, "mark": v.mark, "from_cache": v.kept} for v in visitors],
        "shared": [v.name for v in visitors if v.kept],
        "wrong": wrong,
    }


def run(address: str, *, json: bool, out: TextIO) -> int:
    """Check ``address`` and write what was found to ``out``. 0: nobody gets another's page; 1: somebody does; 2: not checked."""
    try:
        found = look(address)
    except NotTheirsError as error:
        found = {"format": "volens-cdn/1", "address": address, "status": 2, "error": str(error)}
    if json:
        out.write(dumps(found, ensure_ascii=False, indent=2) + "\n")
        return int(found["status"])
    if found["status"] == 2:
        out.write(f"{found['error']}\nIt could not be checked.\n")
        return 2
    lines = [f"{address}: asked {found['asked']} times as {len(found['visitors'])} visitors in different states."]
    lines.append(f"From a cache: {', '.join(found['shared'])}." if found["shared"] else "No answer says that it came from a cache.")
    told: dict[str, int] = {}
    for one in found["wrong"]:
        line = f"  who asked as {one['asked_as']!r} was given: {one['given']} ({one['from']})"
        told[line] = told.get(line, 0) + 1
    lines += [f"{line}, {count} times" for line, count in told.items()]
    lines.append("Somebody gets another's page: see docs/how-to/behind-a-front.md." if told else "Nobody was given another's page.")
    out.write("\n".join(lines) + "\n")
    return int(found["status"])
