"""A request for one of our own pages: who asks, with which fields, and from whose page. Nothing in it raises on odd input."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from email.message import Message
from email.parser import HeaderParser
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

from volens.accounts import Row
from volens.choice import ACCOUNT, ACCOUNT_NO, HOST_ONLY, Choice
from volens.enforce.hosts import host_matches
from volens.policy import Grant
from volens.site import Site
from volens.web.messages import Request

MAX_FIELDS = 500
"""Fields of one form that are read."""
MAX_HEAD = 2000
"""Characters of the header of one part of a form."""
_ALONE = re.compile(r"(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])(?::\d*)?")


@dataclass(frozen=True, slots=True)
class Account:
    """Whose choice a request goes by (R36)."""

    hash: str
    """What names the account in our file, and only there."""
    told: str
    """Mark of what the visitor was told on this device in this session."""
    row: Row | None = None
    """What it has answered, where that still holds."""
    device: Choice | None = None
    """The device's own answer, which stays as it is (R39)."""
    device_record: str | None = None
    down: bool = False
    """The file cannot be read: nothing is granted meanwhile."""
    aside: date | None = None
    """Day of a refusal that waits to be written there."""
    written: bool = False
    """One that waited needs to no longer."""


class Fields:
    """What a form or a JSON body says: names with one or more values, bounded, never raising on odd input."""

    def __init__(self, pairs: list[tuple[str, str]], files: bool = False) -> None:
        self.pairs = pairs[:MAX_FIELDS]
        self.files = files
        self._first = dict(reversed(self.pairs))

    def get(self, name: str, default: str = "") -> str:
        """The first value."""
        return self._first.get(name, default)

    def all(self, name: str) -> list[str]:
        """All values."""
        return [value for key, value in self.pairs if key == name]

    @classmethod
    def read(cls, content_type: str, body: bytes) -> Fields:
        """By content type: urlencoded, multipart, JSON; anything else is empty."""
        kind = content_type.partition(";")[0].strip().lower()
        try:
            if kind == "application/json":
                value = json.loads(body)
                if not isinstance(value, dict):
                    return cls([])
                found: list[tuple[str, str]] = []
                for name, item in value.items():
                    found += [(name, str(one)) for one in (item if isinstance(item, list) else [item]) if isinstance(one, (str, int))]
                return cls(found)
            if kind == "multipart/form-data":
                return cls._multipart(content_type, body)
            if kind in ("application/x-www-form-urlencoded", ""):
                return cls(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except (ValueError, RecursionError, LookupError):
            pass  # doubt: nothing was said
        return cls([])

    @classmethod
    def _multipart(cls, content_type: str, body: bytes) -> Fields:
        """As browsers write it (RFC 7578): parts in a row. The mail parser would follow parts in parts, for minutes."""
        boundary = _head(f"Content-Type: {content_type}").get_boundary() or ""
        found: list[tuple[str, str]] = []
        files = False
        parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("utf-8", "replace"), MAX_FIELDS + 1)[1:]
        for part in parts[:MAX_FIELDS] if boundary else ():
            if part.startswith(b"--"):
                break
            lines, _, payload = part.partition(b"\r\n")[2].partition(b"\r\n\r\n")
            head = _head(lines.decode("utf-8", "replace"))
            name = head.get_param("name", header="content-disposition")
            if head.get_filename() is not None:
                files = files or bool(payload)
            elif isinstance(name, str):
                found.append((name, payload.decode("utf-8", "replace")))
        return cls(found, files)


def _head(lines: str) -> Message:
    """The header of a part; one that no browser writes says nothing."""
    return HeaderParser().parsestr(lines if len(lines) <= MAX_HEAD else "")


def local(path: str) -> str:
    """A path of this site and nothing else: no scheme, no host, no control character; ``/`` in doubt."""
    if (
        not path.startswith("/")
        or len(path) > 4096
        or re.match(r"/[/\\\t\n\r]", path)
        or re.search(r"[\x00-\x20\x7f\\\ud800-\udfff]", path)
    ):
        return "/"
    return path


@dataclass(frozen=True)
class Asked:
    """A request for one of our own pages, with what is known of who asks."""

    request: Request
    site: Site
    grant: Grant
    choice: Choice | None
    record: str | None
    host: str
    language: str
    account: Account | None = None
    """Of a logged-in reader: ``choice`` and ``record`` are then the account's, where it has answered."""

    @property
    def content_type(self) -> str:
        """Of what was sent; empty where it does not say."""
        return (self.request.get(b"content-type") or b"").decode("latin-1")

    @cached_property
    def query(self) -> Fields:
        """What stands in the address."""
        query = self.request.target.partition(b"?")[2].decode("latin-1")
        try:
            return Fields(parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError:
            return Fields([])

    @property
    def cookies(self) -> list[tuple[str, str]]:
        """Names and values of all that were sent."""
        return self.request.cookies

    def language_in(self, fields: Fields) -> str:
        """The one that ``fields`` name, where the notice has it; else the visitor's."""
        wanted = fields.get("language")
        return wanted if wanted in self.site.notice.languages else self.language

    @property
    def came_from(self) -> str:
        """The page the visitor came from, for a plain link back only: never for a redirect."""
        try:
            referrer = urlsplit((self.request.get(b"referer") or b"").decode("latin-1"))
        except ValueError:
            return "/"
        if referrer.netloc.lower() == self.request.host:
            return local(referrer.path + (f"?{referrer.query}" if referrer.query else ""))
        return "/"

    @property
    def tells_origin(self) -> bool:
        """Whether the browser says which page this comes from."""
        request = self.request
        return request.get(b"sec-fetch-site") is not None or (request.get(b"origin") or b"null") != b"null"

    def same_origin(self, proven: bool = False) -> bool | None:
        """True for the site's own pages, False for others', None where the browser does not say (DESIGN §8) and nothing of ours
        has ``proven`` it.

        Same origin, not same site: ``user.example.org`` must not answer for ``www``.
        """
        sites = self.request.all(b"sec-fetch-site")
        if sites:
            return all(value.strip().lower() == b"same-origin" for value in sites)
        origins = self.request.all(b"origin")
        if origins == [b"null"]:
            # Any page can send it, from a sandboxed frame, with a token that its server asked for. Ours name themselves (``page``).
            return None
        if origins:
            own = f"{self.request.scheme}://{self.request.host}".encode("latin-1")
            return all(value.strip().lower() == own for value in origins)
        return True if proven else None

    @property
    def written_elsewhere(self) -> bool:
        """Whether the browser says that a page of none of the site's hosts made it ask."""
        if b"cross-site" not in [value.strip().lower() for value in self.request.all(b"sec-fetch-site")]:
            return False
        host = (self.request.get(b"origin") or b"").decode("latin-1").lower().partition("://")[2].partition(":")[0]
        return not any(host_matches(own, host) for own in self.site.hosts)


def account_names(request: Request) -> tuple[str, str] | None:
    """What the cookies of an account are called here: over https so that no other host of the domain can set them. None over plain
    http, where whoever answers for a sub-domain could, but for a host that has none: an address, or this machine."""
    if request.scheme == "https":
        return HOST_ONLY + ACCOUNT, HOST_ONLY + ACCOUNT_NO
    return (ACCOUNT, ACCOUNT_NO) if _ALONE.fullmatch(request.host) else None
