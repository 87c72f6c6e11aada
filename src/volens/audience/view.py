"""One page view, from what a browser sends anyway: path, referrer's host, language, class of device (RULES R25–R29).

Nothing is put on the device for it, nothing read from it but the visitor's own objection, and no address, no
User-Agent, no query and no time of day leaves this module. What is counted is a *navigation*, in a window of its own,
that a person made or a robot that says so: not a frame, a script's fetch, a prefetch or a prerender. One that is shown
later makes no request then, so it stays uncounted rather than cost a request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from volens.site import Audience

OBJECTION = "volens-audience"
"""The cookie of a visitor who objects (R28): one bit, the same for all who do. Whatever its value, nothing is counted."""
OBJECTION_DAYS = 395
"""How long an objection is remembered; longer than a choice, for nobody should have to say it twice a year."""

KINDS = ("path", "referrer", "language", "device")
DEVICES = ("phone", "tablet", "desktop", "bot")
OTHER, NONE, HERE = "(other)", "(none)", "(site)"
"""Names that stand for others: too many or unreadable; not sent; this site itself."""
LONGEST = 200
"""Characters kept of a path."""

Pairs = Iterable[tuple[bytes, bytes]]

_READ = frozenset(
    (b"cookie", b"dnt", b"sec-fetch-mode", b"sec-fetch-dest", b"sec-purpose", b"purpose", b"x-purpose", b"x-moz", b"x-requested-with")
    + (b"accept", b"accept-language", b"referer", b"user-agent", b"sec-ch-ua-mobile", b"sec-ch-ua-platform")
)
_EARLY = frozenset((b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"))
_AHEAD = re.compile(rb"prefetch|prerender|preview", re.IGNORECASE)
_OBJECTS = re.compile(rb"(?:\A|;)[ \t]*" + OBJECTION.encode() + rb"=")
_BOT = re.compile(
    r"(?<!cu)bot\b|bot[/;_-]|crawl|spider|slurp|scrap|headless|lighthouse|preview|monitor|uptime|validator|archiv|externalhit|mediapartners"
    r"|\b(?:curl|wget|libwww|httpie|okhttp|axios|aiohttp|httpx|python|java|perl|ruby|php|go-http-client|node|undici|guzzlehttp)\b",
    re.IGNORECASE,
)
_TABLET = re.compile(r"ipad|tablet|playbook|kindle|silk(?!.*mobile)|android(?!.*mobi)", re.IGNORECASE)
_PHONE = re.compile(r"mobi|iphone|ipod|windows phone|opera mini", re.IGNORECASE)
_HOST = re.compile(rb"https?://(?:[^/?#@]*@)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::\d*)?(?:[/?#]|\Z)", re.IGNORECASE)
_LANGUAGE = re.compile(rb"\s*([a-z]{2,3})(?=[-,;\s]|\Z)", re.IGNORECASE)
_PERSON = re.compile(
    r"(?<=/)(?:[^/]*(?:@|%40)[^/]*"  # an address of mail
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{20,}"  # an UUID, a digest
    r"|(?=[^/]*[A-Z])(?=[^/]*[a-z])(?=[^/]*[0-9])[\w.=~-]{24,})(?=/|\Z)"  # a token
)


@dataclass(frozen=True, slots=True)
class View:
    """One page view. Each field is counted by itself: no two of them are ever kept together."""

    path: str
    referrer: str
    language: str
    device: str


def objects(cookies: Iterable[bytes], dnt: Iterable[bytes]) -> str:
    """Whether the visitor objects to being counted, and how: ``cookie``, ``dnt`` (GDPR 21(5)), or not: empty. By those fields' values.

    ``Sec-GPC`` is not it: it speaks of selling, sharing and advertising, none of which happens here.
    """
    for value in cookies:
        if _OBJECTS.search(value):
            return "cookie"
    for value in dnt:
        if value.strip() == b"1":
            return "dnt"
    return ""


def read(method: str, target: bytes, pairs: Pairs, host: str, own: Iterable[str], audience: Audience) -> View | None:
    """The view that a request asks for; None where it asks for none, or the visitor objects.

    ``host``: the one asked, without port. ``own``: the site's others, ``*.`` for all below.
    """
    if method != "GET":
        return None
    said: dict[bytes, bytes] = {}
    for key, value in pairs:
        name = key.lower()
        if name in _READ:
            if name == b"cookie":
                if _OBJECTS.search(value):
                    return None
            elif name in _EARLY:
                if _AHEAD.search(value):
                    return None
            else:
                said[name] = value
    get = said.get
    if get(b"dnt", b"").strip() == b"1":
        return None
    kind = device(get(b"user-agent", b"")[:400], get(b"sec-ch-ua-mobile", b"")[:20], get(b"sec-ch-ua-platform", b"")[:20])
    if b"sec-fetch-dest" in said or b"sec-fetch-mode" in said:
        if get(b"sec-fetch-dest", b"document") != b"document" or get(b"sec-fetch-mode", b"navigate") != b"navigate":
            return None
    elif b"x-requested-with" in said or (kind != "bot" and b"text/html" not in get(b"accept", b"")):
        return None
    where = path(target[: 4 * LONGEST].partition(b"?")[0], audience)
    return View(where, referrer(get(b"referer"), host, own), language(get(b"accept-language")), kind)


@lru_cache(4096)  # in memory, and of nobody: what is remembered is a path, not who asked for it
def path(target: bytes, audience: Audience) -> str:
    """The path of a target without query, as it is counted: no ``;`` parameters, nothing like a person's mark, 200 characters."""
    text = target.partition(b"#")[0].decode("utf-8", "replace")
    if "%" in text:
        text = unquote(text)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "\ufffd" for c in text)
    if ";" in text:
        text = re.sub(r";[^/]*", "", text)
    if not text.startswith("/"):
        return OTHER
    text = _PERSON.sub("*", text)
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    for name, pattern in zip(audience.merge, audience.patterns, strict=True):
        if pattern.fullmatch(text):
            return name
    return text


def referrer(said: bytes | None, host: str, own: Iterable[str]) -> str:
    """The host that led here, and no more of its address."""
    if not said:
        return NONE
    found = _HOST.match(said)
    if found is None:
        return OTHER
    name = found[1].decode().lower()
    if name == host or any(name == h or (h[:2] == "*." and (name == h[2:] or name.endswith(h[1:]))) for h in own):
        return HERE
    # An address of the network, or a name that only a private one knows, may be a person's own.
    return name if "." in name and not name.rpartition(".")[2].isdigit() and len(name) <= 100 else OTHER


def language(said: bytes | None) -> str:
    """The first language the browser asks for, without its region."""
    if not said:
        return NONE
    found = _LANGUAGE.match(said)
    return found[1].decode().lower() if found else OTHER


@lru_cache(2048)
def device(user_agent: bytes, mobile: bytes, platform: bytes) -> str:
    """By client hints where the browser sends them, else by User-Agent; one of DEVICES. A tablet that passes itself off
    as a computer is taken for one."""
    agent = user_agent.decode("latin-1")
    if not agent.strip() or _BOT.search(agent):
        return "bot"
    if mobile.strip() == b"?1":
        return "phone"
    if _TABLET.search(agent) or (mobile.strip() == b"?0" and platform == b'"Android"'):
        return "tablet"
    return "phone" if _PHONE.search(agent) else "desktop"
