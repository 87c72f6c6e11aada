"""A site as a visitor meets it before any choice: ``survey(URL)`` walks a few of its pages and notes what they load and keep.

In Chromium, with a fresh profile, where Playwright and a browser are; else by plain requests, which see the markup and the site's own
scripts and not what those load. Own links only, as ``robots.txt`` allows, bounded in pages, time and bytes. Nothing is pressed, nothing
is sent. What a page says of itself is noted, never believed: see ``volens.init`` for what is made of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from socket import AF_INET, AF_INET6, AddressFamily, getaddrinfo
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit, urlunsplit
from urllib.robotparser import RobotFileParser

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from turbohtml import parse

from volens.catalog import Catalog
from volens.check import ARGUMENTS, NoBrowserError, chromium
from volens.enforce.charset import meta_charset
from volens.errors import ConfigError, Mistake
from volens.foreign import Tools

AGENT = "volens-init"
PAGES = 10
PAGE_SECONDS = 15.0
MAX_PAGE = 8 << 20
"""Bytes of one answer that are read."""
MAX_LOADED = 64 << 20
"""Bytes that a page may load in the browser before it is stopped."""
MAX_HOSTS = 1000
MAX_NOTED = 200
"""Addresses noted of a host, keys of a medium, forms: enough to judge by."""
HOPS = 10

_ABSENT = re.compile(
    r"log-?out|sign-?out|d[eé]connexion|abmelden|cerrar-sesion|delete|remove|supprimer|unsubscribe|desabonn|add[-_]?to[-_]?cart|/cart/add"
    r"|/wp-admin|/wp-json|/feed/?$|\.(?:pdf|zip|gz|jpe?g|png|webp|gif|svg|mp[34]|docx?|xlsx?|ics|xml|json|rss|atom|exe|dmg|apk)$",
    re.IGNORECASE,
)
"""Links that are not followed: they act, or are no pages."""
_POLICY = re.compile(
    r"confidentialit|vie[\s_-]?priv[ée]e|donn[ée]es[\s_-]personnelles|privacy|datenschutz|privacidad|privacidade|riservatezza|prywatno|rgpd|gdpr|الخصوصية",
    re.IGNORECASE,
)
_LEGAL = re.compile(
    r"mentions[\s_-]l[ée]gales|impressum|imprint|legal[\s_-]?notice|aviso[\s_-]legal|note[\s_-]legali|colofon|nota[\s_-]prawna|qui[\s_-]sommes|about",
    re.IGNORECASE,
)
_CONTACT = re.compile(r"contact|kontakt|contatt|اتصل", re.IGNORECASE)
_LOGIN_PATH = re.compile(r"log-?in|sign-?in|connexion|anmelden|iniciar-sesion|accedi|auth|sso", re.IGNORECASE)
_PROVIDER = re.compile(
    r"//(?:accounts\.google\.com/(?:o/oauth2|gsi)|(?:www\.|m\.)?facebook\.com/(?:v[\d.]+/)?dialog/oauth|appleid\.apple\.com/auth"
    r"|login\.microsoftonline\.com|github\.com/login/oauth|api\.twitter\.com/oauth|(?:www\.)?linkedin\.com/oauth)",
    re.IGNORECASE,
)
_OWN_PROVIDER = re.compile(
    r"/(?:auth|login|oauth2?|social|accounts|connect|sign-?in|sso)/(?:[\w-]+/){0,2}(?:google|facebook|apple|github|twitter|microsoft|linkedin)\b",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"comment|kommentar|coment[aá]rio|opini[oó]n|reactie|leave[-_ ]?a?[-_ ]?reply|discussion", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
_ADDRESS = re.compile(r"(?:https?:)?//((?:[a-z0-9-]{1,63}\.)+[a-z]{2,24})(/[^\s\"'`<>\\)]{0,300})?", re.IGNORECASE)
_SET_COOKIE = re.compile(r"document\.cookie\s*=\s*[\"'`]\s*([\w.!#$%&*+^|~-]{1,100})=")
_SET_ITEM = re.compile(r"\b(local|session)Storage\.setItem\(\s*[\"'`]([^\"'`\s]{1,100})[\"'`]")
_SET_NAME = re.compile(r"\b(local|session)Storage\.([A-Za-z_$][\w$]{0,99})\s*=[^=]")
_CSS = re.compile(r"""(@import\s+(?:url\()?|url\()\s*["']?([^"')\s;]{1,2000})""", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_RESOURCES = {"script": "script", "stylesheet": "style", "image": "image", "font": "font", "media": "media", "document": "frame"}
_RELS = {"stylesheet": "style", "icon": "image", "apple-touch-icon": "image", "modulepreload": "script", "preconnect": "hint"}
_RELS |= {"dns-prefetch": "hint", "prefetch": "hint", "prerender": "hint"}
_AS = {"script": "script", "style": "style", "image": "image", "font": "font", "audio": "media", "video": "media", "fetch": "connection"}

KEPT = """async () => {
  const found = { local: [], session: [], indexeddb: [], cache: [] };
  try { found.local = Object.keys(localStorage) } catch {}
  try { found.session = Object.keys(sessionStorage) } catch {}
  try { found.indexeddb = (await indexedDB.databases()).map((one) => one.name) } catch {}
  try { found.cache = await caches.keys() } catch {}
  for (const medium in found) found[medium] = found[medium].slice(0, 200).map((name) => String(name).slice(0, 200));
  return found;
}"""
SCROLL = """async () => {
  for (let y = 0; y < Math.min(document.documentElement.scrollHeight, 12000); y += 800) {
    scrollTo(0, y);
    await new Promise((done) => setTimeout(done, 60));
  }
}"""


@dataclass
class Met:
    """A host that pages of the site led the browser to."""

    host: str
    kinds: Counter[str] = field(default_factory=Counter)
    """script, frame, image, style, font, media, connection, hint; *named* where a script of the site only writes the address."""
    pages: set[str] = field(default_factory=set)
    targets: dict[str, None] = field(default_factory=dict)
    """Path and query of what was asked for."""


@dataclass
class Kept:
    """A name under which something is kept on the device."""

    name: str
    medium: str
    host: str
    first: bool
    """Whether it is kept under the site's own hosts."""
    days: int | None = None
    """0: for the session; None: until somebody removes it."""
    server: bool = False
    """A response set it; else a script did."""
    http_only: bool = False


@dataclass(frozen=True)
class Form:
    """A place where what a visitor does may need a purpose."""

    kind: str
    """``comment`` or ``login``."""
    path: str
    page: str
    party: str = ""
    """Whose log-in it is."""


@dataclass(frozen=True)
class Visited:
    """One page."""

    url: str
    status: int
    title: str
    seconds: float


@dataclass
class Survey:
    """All that was met."""

    start: str
    """The address of the first page, after redirects."""
    host: str
    asked: str
    """The host that was asked for."""
    how: str = "requests"
    """``chromium`` or ``requests``."""
    why: str = ""
    """Why it was not Chromium, or what should be known of it."""
    pages: list[Visited] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    """Pages that were left, and why."""
    hosts: dict[str, Met] = field(default_factory=dict)
    kept: dict[tuple[str, str, str], Kept] = field(default_factory=dict)
    frames: dict[str, set[str]] = field(default_factory=dict)
    """Address without query -> pages."""
    forms: dict[tuple[str, str], Form] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    """Consent tools -> what gave them away."""
    languages: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)
    """Who publishes it, by the place where it says so."""
    publisher: dict[str, str] = field(default_factory=dict)
    """email, address, country, as JSON-LD says."""
    links: dict[str, str] = field(default_factory=dict)
    """policy, legal, contact -> address."""
    mails: dict[str, str] = field(default_factory=dict)
    """Address -> the page that names it."""
    canonical: str = ""

    def met(self, url: str, kind: str, page: str) -> None:
        """Note an address that a page loads from or leads to; what is no address of the web is passed over."""
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            return
        if parts.scheme not in ("http", "https", "ws", "wss") or not host or len(host) > 253:
            return
        if host not in self.hosts and len(self.hosts) >= MAX_HOSTS:
            return
        found = self.hosts.setdefault(host, Met(host))
        found.pages.add(page)
        target = ((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))[:1024]
        if target not in found.targets or not found.kinds[kind]:
            found.kinds[kind] += 1
        if len(found.targets) < MAX_NOTED:
            found.targets[target] = None

    def keeps(self, kept: Kept) -> None:
        """Note a name under which something is kept on the device. Met again, the longest life counts."""
        before = self.kept.get((kept.name, kept.medium, kept.host))
        if before is None:
            if len(self.kept) < 10 * MAX_NOTED:
                self.kept[kept.name, kept.medium, kept.host] = kept
        else:
            before.days = max((days for days in (before.days, kept.days) if days is not None), default=None)
            before.server |= kept.server
            before.http_only |= kept.http_only


def joined(base: str, reference: str) -> str:
    """A reference as it is asked for; empty for what no browser could ask for."""
    try:
        url = urljoin(base, reference.strip())
        urlsplit(url)
    except ValueError:
        return ""
    return url


def below(host: str, site: str, catalog: Catalog) -> bool:
    """Whether a host is of the site's domain: the same registrable one, or a name below the site's where nobody registers."""
    return catalog.site(host) == catalog.site(site) or host.endswith("." + site.removeprefix("www."))


Told = Callable[[int, int, str], None]
"""Called with the number of pages done, how many there may be, and a word on the last."""


def wrong(url: str, found: str, remedy: str) -> ConfigError:
    """What cannot be visited, and what to do."""
    return ConfigError(plain(url, 200), (Mistake("URL", found, remedy),))


def plain(text: str, most: int = 120) -> str:
    """``text`` of a site, fit for a line of a file or a terminal: no control or direction characters, one line, not long."""
    said = "".join(c for c in _SPACE.sub(" ", text).strip() if c.isprintable())
    return said if len(said) <= most else said[: most - 1] + "…"


def address(url: str) -> str:
    """An address as it will be visited; raises ConfigError for what is none."""
    example = "Write the address of a page of the site: https://www.example.org/"
    said = url.strip()
    if not re.match(r"[a-z][a-z0-9+.-]*://", said, re.IGNORECASE):
        local = re.match(r"(?:localhost|127\.|\[::1\]|[\w.-]+\.localhost)", said, re.IGNORECASE)
        said = ("http://" if local else "https://") + said
    try:
        parts = urlsplit(said)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong(url, "is not an address.", example) from None
    if parts.scheme.lower() not in ("http", "https"):
        raise wrong(url, f"{parts.scheme}: is not how a site is visited.", example)
    if parts.username or parts.password:
        raise wrong(url, "carries a name or a password.", "Give an address that everybody may open.")
    if not re.fullmatch(r"[\w.-]+|[0-9a-f:.]+", host) or not (host == "localhost" or "." in host or ":" in host) or port == 0:
        raise wrong(url, "is not an address.", example)
    with suppress(UnicodeError):
        host = host if host.isascii() else host.encode("idna").decode()
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return urlunsplit((parts.scheme.lower(), place, parts.path or "/", parts.query, ""))


class _Resolver(AbstractResolver):
    """Names as ``--resolve`` says, ``*.localhost`` as this machine (RFC 6761 §6.3), the rest as the system does."""

    def __init__(self, places: dict[str, str]) -> None:
        self.places = places

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        name, put = host, port
        said = self.places.get(host) or self.places.get("*")
        if said:
            name, _, given = said.rpartition(":") if re.search(r":\d+$", said) else (said, "", "")
            put = int(given or port)
        elif host.endswith(".localhost"):
            name = "127.0.0.1"
        found = await asyncio.get_running_loop().run_in_executor(None, lambda: getaddrinfo(name.strip("[]"), put, 0, 1))
        kinds = (AF_INET, AF_INET6)
        return [ResolveResult(hostname=host, host=str(a[0]), port=put, family=f, proto=0, flags=0) for f, _, _, _, a in found if f in kinds]

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class _Answer:
    url: str
    status: int
    kind: str
    body: bytes
    whole: bool
    cookies: tuple[tuple[str, str], ...]
    """(host, Set-Cookie), of each hop."""
    link: str

    @property
    def text(self) -> str:
        declared = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", self.kind, re.IGNORECASE)
        try:
            return self.body.decode(declared[1] if declared else meta_charset(self.body) or "utf-8", "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")


class _Walk:
    """One survey."""

    def __init__(self, url: str, pages: int, told: Told, places: dict[str, str], catalog: Catalog) -> None:
        self.url, self.most, self.told, self.places, self.catalog = url, pages, told, places, catalog
        self.tools = Tools.packaged()
        self.seen: dict[str, None] = {}
        self.waiting: list[str] = []
        self.shapes: Counter[str] = Counter()
        self.robots = RobotFileParser()
        self.until = time.monotonic() + 30 + pages * (PAGE_SECONDS + 5)
        self.found: Survey

    async def run(self, browser: bool | None) -> Survey:
        connector = aiohttp.TCPConnector(resolver=_Resolver(self.places), limit=4, force_close=True)
        headers = {"User-Agent": AGENT, "Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        async with aiohttp.ClientSession(
            connector=connector, headers=headers, cookie_jar=aiohttp.CookieJar(unsafe=True), max_line_size=32768, max_field_size=32768
        ) as self.session:
            first = await self.first()
            await self.ask_robots()
            self.queue(self.own(first.url))
            why = "--no-browser"
            if browser is not False:
                try:
                    await self.in_browser()
                    why = ""
                    if not self.found.pages and browser is None:
                        why = f"no page could be opened in Chromium ({'; '.join(self.found.troubles[-1:])})"
                        self.found.how, self.found.why = "requests", ""
                        self.waiting.insert(0, self.own(first.url))
                except NoBrowserError as error:
                    if browser:
                        raise wrong(self.url, f"was not visited: {error}.", "Or visit it by plain requests: --no-browser.") from error
                    why = str(error)
            if why:
                self.found.why = self.found.why or why
                await self.each(lambda url: self.by_request(url, first if url == self.own(first.url) else None))
            if not self.found.pages:
                said = "; ".join(self.found.troubles[:3])
                raise wrong(self.url, f"could not be looked at: {said}.", "Try again, or with --no-browser.")
            await self.legal()
        return self.found

    # The way through the site.

    def own(self, url: str) -> str:
        """An address of this site without its fragment; empty for any other."""
        try:
            parts, start = urlsplit(url), urlsplit(self.found.start)
            same = parts.scheme in ("http", "https") and parts.hostname == start.hostname and parts.port == start.port
        except ValueError:
            return ""
        return urlunsplit((start.scheme, start.netloc, parts.path or "/", parts.query, "")) if same else ""

    def queue(self, url: str) -> None:
        if url and url not in self.seen and len(self.seen) < 5000:
            self.seen[url] = None
            self.waiting.append(url)

    def next(self) -> str | None:
        """The waiting page that looks least like those seen: pages of every kind come before more of one kind."""
        if not self.waiting:
            return None

        def shape(url: str) -> str:
            return "/".join(re.sub(r"\d+", "0", part) for part in urlsplit(url).path.split("/")[:2]) + str(urlsplit(url).path.count("/"))

        url = min(self.waiting, key=lambda url: self.shapes[shape(url)])
        self.waiting.remove(url)
        self.shapes[shape(url)] += 1
        return url

    async def each(self, look: Callable[[str], Awaitable[Visited | str]]) -> None:
        """Visit up to ``most`` pages; ``look`` returns what was visited, or why it was left."""
        tried = 0
        delay = min(float(self.robots.crawl_delay(AGENT) or 0), 10.0)
        while len(self.found.pages) < self.most and tried < 2 * self.most and time.monotonic() < self.until:
            url = self.next()
            if url is None:
                break
            if tried:
                await asyncio.sleep(delay)
            tried += 1
            try:
                page = await look(url)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                page = f"{type(error).__name__}: {error}".splitlines()[0]
            if isinstance(page, str):
                self.found.troubles.append(f"{plain(url)}: {plain(page)}")
                word = f"{url}: {page}"
            else:
                self.found.pages.append(page)
                word = f"{page.url} {page.status}, {len(self.found.hosts)} hosts, {len(self.found.kept)} kept, {page.seconds:.1f} s"
            self.told(len(self.found.pages), min(self.most, len(self.found.pages) + len(self.waiting)), plain(word, 200))
        if time.monotonic() >= self.until:
            self.found.troubles.append("the time for this visit was over")

    async def fetch(self, url: str, most: int = MAX_PAGE) -> _Answer:
        """One answer, redirects followed by hand so that each hop's cookies are seen."""
        cookies: list[tuple[str, str]] = []
        for _ in range(HOPS):
            ends = time.monotonic() + PAGE_SECONDS
            async with self.session.get(
                url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=PAGE_SECONDS)
            ) as answer:
                host = urlsplit(url).hostname or ""
                cookies += [(host, value) for value in answer.headers.getall("Set-Cookie", [])]
                where = answer.headers.get("Location")
                if answer.status in (301, 302, 303, 307, 308) and where:
                    url = joined(url, where)
                    if urlsplit(url).scheme not in ("http", "https"):
                        raise ValueError(f"redirects to {plain(url)}")
                    continue
                body, whole = bytearray(), True
                async for chunk in answer.content.iter_chunked(65536):
                    body += chunk
                    if len(body) > most or time.monotonic() > ends:
                        whole = False
                        break
                kind, link = answer.headers.get("Content-Type", ""), answer.headers.get("Link", "")
                return _Answer(url, answer.status, kind, bytes(body[:most]), whole, tuple(cookies), link)
        raise ValueError(f"redirects more than {HOPS} times")

    async def first(self) -> _Answer:
        """The page that was named, and every reason why there may be none."""
        url = self.url
        try:
            answer = await self.fetch(url)
        except aiohttp.ClientConnectorDNSError as error:
            raise wrong(
                url, "there is no host of that name.", "Look at the spelling; what is not in the DNS yet: --resolve HOST=ADDRESS."
            ) from error
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError) as error:
            reason = getattr(getattr(error, "certificate_error", error), "verify_message", "") or "it does not speak TLS, or not ours"
            remedy = "Mend the certificate, or name the address where the site itself listens: http://127.0.0.1:3000/"
            raise wrong(url, f"no secure connection ({plain(str(reason))}).", remedy) from error
        except aiohttp.ClientConnectorError as error:
            raise wrong(
                url, f"nobody answers there ({plain(error.strerror or 'no connection')}).", "Start the site, or look at the port."
            ) from error
        except TimeoutError as error:
            raise wrong(
                url, f"no answer within {PAGE_SECONDS:.0f} seconds.", "Look whether the site is up, and lets this machine in."
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            remedy = "Open it in a browser: it must answer by HTTP, and as http:// or https:// as you wrote."
            raise wrong(url, f"no answer that can be read ({plain(type(error).__name__)}).", remedy) from error
        except ValueError as error:
            raise wrong(url, f"{plain(str(error))}.", "Name the page where it should end, or mend the redirect.") from error
        parts, asked = urlsplit(answer.url), urlsplit(url).hostname or ""
        host = parts.hostname or ""
        if host != asked and self.catalog.site(host) != self.catalog.site(asked):
            raise wrong(url, f"leads elsewhere: {plain(answer.url)}", f"If that is the site: volens init {parts.scheme}://{parts.netloc}/")
        if answer.status in (401, 407):
            raise wrong(url, f"asks for a password ({answer.status}).", "Name a page that everybody sees, or a copy without log-in.")
        if answer.status >= 400:
            remedy = "Name a page that everybody sees; where a front refuses programs, the address where the site itself listens."
            raise wrong(url, f"answers {answer.status}.", remedy)
        if not re.match(r"\s*(?:text/html|application/xhtml\+xml)\b", answer.kind, re.IGNORECASE):
            raise wrong(url, f"is no page, but {plain(answer.kind) or 'of no stated type'}.", "Name a page that is sent as text/html.")
        if not answer.whole:
            remedy = "Name another page, or mend this one: a visitor's browser never finishes it either."
            raise wrong(url, f"does not end: {len(answer.body) >> 10} KiB had come when we left.", remedy)
        self.found = Survey(answer.url, host, asked)
        text = answer.text
        if "<" not in text or not text.strip():
            raise wrong(url, "is empty.", "Name a page with something on it.")
        nodes = list(parse(text).find_all(True))
        passwords = [n for n in nodes if n.tag == "input" and str(n.attrs.get("type", "")).lower() == "password"]
        own = {self.own(joined(answer.url, str(n.attrs.get("href") or ""))) for n in nodes if n.tag == "a"} - {"", self.own(answer.url)}
        if passwords and (len(own) <= 3 or (_LOGIN_PATH.search(parts.path) and answer.url != url)):
            raise wrong(url, "is a log-in page.", "Name a page that everybody sees, or a copy of the site without log-in.")
        return answer

    async def ask_robots(self) -> None:
        """RFC 9309: what is not there allows all, what is broken allows nothing but the page that was named."""
        try:
            answer = await self.fetch(joined(self.found.start, "/robots.txt"), 512 << 10)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            answer = None
        if answer is not None and answer.status == 200:
            self.robots.parse(answer.body.decode("utf-8", "replace").splitlines())
        elif answer is not None and answer.status < 500:
            self.robots.parse([])
        else:
            self.robots.parse(["User-agent: *", "Disallow: /"])
            self.found.troubles.append("robots.txt cannot be read: no link was followed")

    # By plain requests.

    async def by_request(self, url: str, answer: _Answer | None = None) -> Visited | str:
        began = time.monotonic()
        answer = answer or await self.fetch(url)
        if not self.own(answer.url):
            return f"leads to {answer.url}"
        if "html" not in answer.kind.lower() or not answer.whole:
            return "no page" if answer.whole else "does not end"
        self.served(answer.cookies)
        title = self.read(answer.text, url)
        for kind, limit in (("script", 15), ("style", 8)):
            await self.own_files(url, kind, limit)
        return Visited(url, answer.status, title, time.monotonic() - began)

    async def own_files(self, page: str, kind: str, limit: int) -> None:
        """What the site's own scripts and styles say of addresses and keys: all that can be seen without running them."""
        start = urlsplit(self.found.start)
        for target in list(self.found.hosts.get(self.found.host, Met("")).targets):
            ending = target.partition("?")[0].rpartition(".")[2].lower()
            if ending != ("js" if kind == "script" else "css") or (kind + target) in self.seen or limit <= 0:
                continue
            self.seen[kind + target] = None
            limit -= 1
            with suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
                answer = await self.fetch(f"{start.scheme}://{start.netloc}{target}", 2 << 20)
                self.served(answer.cookies)
                if answer.status == 200 and kind == "script":
                    self.script(answer.text, page, self.tools.itself(answer.text), target)
                elif answer.status == 200:
                    self.style(answer.text, answer.url, page)

    def served(self, cookies: Iterable[tuple[str, str]]) -> None:
        """Cookies as responses set them (RFC 6265 §5.2)."""
        for host, line in cookies:
            pair, *rest = line.split(";")
            name, sign, _ = pair.partition("=")
            attributes = {key.strip().lower(): value.strip() for key, _, value in (one.partition("=") for one in rest)}
            age, when = attributes.get("max-age", ""), attributes.get("expires", "")
            days = max(0, -(-int(age) // 86400)) if re.fullmatch(r"-?\d{1,12}", age) else _days(when) if when else 0
            if sign and name.strip() and len(name) < 200 and (days > 0 or not (age or when)):  # what ends at once is being removed
                host = attributes.get("domain", "").lstrip(".").lower() or host
                self.found.keeps(Kept(name.strip(), "cookie", host, self.ours(host), days, True, "httponly" in attributes))

    def ours(self, host: str) -> bool:
        return below(host.lstrip("."), self.found.host, self.catalog)

    # In a browser.

    async def in_browser(self) -> None:
        """Each page in one fresh profile. Raises NoBrowserError."""
        try:
            from playwright.async_api import Error, async_playwright
        except ImportError as error:
            raise NoBrowserError("Playwright for Python is not installed (pip install playwright)") from error
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        # The pages are anybody's: with the sandbox, but for root, under whom Chromium does not start with one.
        arguments = [a for a in ARGUMENTS if a != "--no-sandbox"]
        if self.places:
            rules = ", ".join(f"MAP {host} {place}" for host, place in self.places.items())
            arguments.append(f"--host-resolver-rules={rules}")
        async with async_playwright() as playwright:
            try:
                browser = await playwright.chromium.launch(executable_path=chromium(), args=arguments, chromium_sandbox=not root)
            except Error as error:
                reason = str(error).strip().splitlines()[0]
                raise NoBrowserError(
                    f"no Chromium could be started ({plain(reason)}); set VOLENS_CHROMIUM, or run 'playwright install chromium'"
                ) from error
            self.found.how = "chromium"
            if root:
                self.found.why = (
                    "Chromium ran as root, so without its sandbox: run this as another user where you trust the site's third parties less"
                )
            try:
                context = await browser.new_context(
                    user_agent=await self.agent(browser), accept_downloads=False, viewport={"width": 1280, "height": 900}
                )
                await self.each(lambda url: self.opened(context, url))
            finally:
                with suppress(Exception):
                    await asyncio.wait_for(browser.close(), 10)

    @staticmethod
    async def agent(browser: Any) -> str:
        """Chrome's own, said to be ours: many hand out nothing to what calls itself headless."""
        chrome = f"Chrome/{browser.version.split('.')[0]}.0.0.0 Safari/537.36"
        return f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) {chrome} {AGENT}"

    async def opened(self, context: Any, url: str) -> Visited | str:
        from playwright.async_api import Error

        began = time.monotonic()
        page = await context.new_page()
        tasks: set[asyncio.Task[None]] = set()
        loaded = 0

        def asked(request: Any) -> None:
            top = request.is_navigation_request() and request.frame.parent_frame is None
            if not top:
                self.found.met(request.url, _RESOURCES.get(request.resource_type, "connection"), url)

        def later(work: Any) -> None:
            task = asyncio.ensure_future(work)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        def received(event: dict[str, Any]) -> None:
            nonlocal loaded
            before, loaded = loaded, loaded + int(event.get("dataLength", 0))
            if before <= MAX_LOADED < loaded:
                self.found.troubles.append(f"{plain(url)}: stopped after {MAX_LOADED >> 20} MiB")
                later(self.quietly(wire.send("Page.stopLoading")))

        page.on("request", asked)
        page.on("response", lambda response: later(self.quietly(self.response(response, url))))
        page.on("websocket", lambda socket: self.found.met(socket.url, "connection", url))
        try:
            wire = await context.new_cdp_session(page)
            wire.on("Network.dataReceived", received)
            await wire.send("Network.enable")
            status = 200
            try:
                answer = await page.goto(url, wait_until="load", timeout=PAGE_SECONDS * 1000)
                status = answer.status if answer else 200
                if answer and "html" not in (await answer.header_value("content-type") or "").lower():
                    return "no page"
            except Error as error:
                if "Timeout" not in str(error):
                    return str(error).splitlines()[0]
                self.found.troubles.append(f"{plain(url)}: had not loaded after {PAGE_SECONDS:.0f} seconds")
            try:
                await asyncio.wait_for(page.evaluate(SCROLL), 5)
            except TimeoutError:
                return "its script keeps the browser busy for good"
            except Error:  # it moved on
                pass
            with suppress(Error):
                await page.wait_for_load_state("networkidle", timeout=2500)
            if not self.own(page.url):
                return f"leads to {page.url}"
            try:
                text = await asyncio.wait_for(page.content(), 10)
            except (Error, TimeoutError):
                return "its script keeps the browser busy for good"
            for frame in page.frames[:30]:
                if frame.url.startswith("http"):
                    await self.stored(frame)
            for cookie in await context.cookies():
                days = 0 if cookie["expires"] < 0 else max(0, round((cookie["expires"] - time.time()) / 86400))
                host = cookie["domain"].lstrip(".")
                self.found.keeps(Kept(cookie["name"], "cookie", host, self.ours(host), days, False, cookie["httpOnly"]))
            await asyncio.wait(tasks, timeout=3) if tasks else None
            return Visited(url, status, self.read(text, url), time.monotonic() - began)
        finally:
            for task in list(tasks):
                task.cancel()
            with suppress(Exception):
                await asyncio.wait_for(page.close(), 5)

    @staticmethod
    async def quietly(work: Awaitable[Any]) -> None:
        """Await what may fail because the page is gone, and then does not matter."""
        with suppress(Exception):
            await work

    async def response(self, response: Any, page: str) -> None:
        lines = [one["value"] for one in await response.headers_array() if one["name"].lower() == "set-cookie"]
        host = urlsplit(response.url).hostname or ""
        self.served((host, line) for line in lines)
        if (
            response.request.resource_type == "script"
            and self.ours(host)
            and int(await response.header_value("content-length") or 0) < 2 << 20
        ):
            text = await response.text()
            if len(text) < 2 << 20 and (tool := self.tools.itself(text)) is not None:
                self.found.tools.setdefault(tool.id, plain(response.url))
        elif response.request.resource_type == "document":
            await self.quietly(self.raw(response, page))

    async def raw(self, response: Any, page: str) -> None:
        """The page as it was sent: what its scripts have since taken out of it is met by who has no script."""
        if response.frame.parent_frame is None and self.own(response.url):
            self.read(await response.text(), page)

    async def stored(self, frame: Any) -> None:
        host = urlsplit(frame.url).hostname or ""
        with suppress(Exception):
            for medium, keys in (await asyncio.wait_for(frame.evaluate(KEPT), 3)).items():
                for name in keys:
                    self.found.keeps(Kept(name, medium, host, self.ours(host)))

    # What a page says.

    def read(self, text: str, page: str) -> str:
        """Note what stands in a page, queue its links, return its title."""
        title, found, base = "", self.found, page
        for node in parse(text).find_all(True):
            tag, attrs = node.tag, node.attrs

            def said(name: str) -> str:
                value = attrs.get(name)  # noqa: B023
                return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")

            if tag == "base" and said("href"):
                base = joined(page, said("href"))
            elif tag == "html" and said("lang"):
                found.languages[re.split(r"[-_]", said("lang").strip().lower())[0]] += 100
            elif tag == "title" and not title:
                title = plain(node.text)
            elif tag == "a" and said("href"):
                self.link(joined(base, said("href")), said("rel").lower(), node.text + " " + said("title"), page, "download" in attrs)
            elif tag == "meta":
                self.meta(said, base)
            elif tag == "link":
                self.linked(said, joined(base, said("href")), page)
            elif tag == "script":
                self.script_element(node, said, joined(base, said("src")) if said("src") else "", page)
            elif tag == "style":
                self.style(node.text, base, page)
            elif tag in ("iframe", "frame", "embed", "object"):
                source = said("data") if tag == "object" else said("src")
                if source:
                    url = joined(base, source)
                    found.met(url, "frame", page)
                    if url.startswith("http") and len(found.frames) < MAX_NOTED:
                        found.frames.setdefault(url.partition("?")[0].partition("#")[0], set()).add(page)
            elif tag in ("img", "source", "video", "audio", "track", "input"):
                kind = "image" if tag in ("img", "input") or said("srcset") else "media"
                for source in (said("src"), said("poster"), *(one.split()[0] for one in said("srcset").split(",") if one.strip())):
                    if source and (tag != "input" or said("type").lower() == "image"):
                        found.met(joined(base, source), "image" if source == said("poster") else kind, page)
            elif tag == "form":
                self.form(node, said, base, page)
            tool = self.tools.element(said("id"), said("class")) if attrs else None
            if tool is not None:
                found.tools.setdefault(tool.id, f"<{tag}> on {plain(page)}")
        return title

    def meta(self, said: Callable[[str], str], base: str) -> None:
        name, content = (said("property") or said("name")).lower(), said("content").strip()
        if name in ("og:site_name", "application-name") and content:
            self.found.names.setdefault(name, plain(content))
        elif name == "og:url" and content:
            self.found.canonical = self.found.canonical or joined(base, content)

    def linked(self, said: Callable[[str], str], url: str, page: str) -> None:
        rels = said("rel").lower().split()
        for rel in rels:
            kind = _RELS.get(rel) or (_AS.get(said("as").lower(), "hint") if rel == "preload" else "")
            if kind and said("href"):
                self.found.met(url, kind, page)
                self.tool(url)
        if "alternate" in rels and said("hreflang") and self.ours(urlsplit(url).hostname or ""):
            self.found.languages[re.split(r"[-_]", said("hreflang").strip().lower())[0]] += 1
        if "canonical" in rels and said("href"):
            self.found.canonical = self.found.canonical or url

    def script_element(self, node: Any, said: Callable[[str], str], url: str, page: str) -> None:
        if url:
            self.found.met(url, "script", page)
            self.tool(url)
        elif "ld+json" in said("type").lower():
            self.publisher(node.text)
        else:
            self.script(node.text, page, self.tools.inline(node.text), f"an inline script of {plain(page)}")

    def tool(self, url: str) -> None:
        """Note the consent tool whose address this is, if it is one’s."""
        with suppress(ValueError):
            parts = urlsplit(url)
            tool = self.tools.host(parts.hostname or "") or self.tools.path(parts.path)
            if tool is not None:
                self.found.tools.setdefault(tool.id, plain(url))

    def script(self, text: str, page: str, tool: Any, where: str) -> None:
        """Note what a script names without running it: trackers, cookies, items. ``tool``: the consent tool that its text is, or None."""
        if tool is not None:
            self.found.tools.setdefault(tool.id, plain(where))
        if self.found.how == "chromium":
            return  # it ran
        for found in _ADDRESS.finditer(text):
            entry = self.catalog.host(found[1])
            if entry is not None and entry.kind == "tracker":
                self.found.met(f"https://{found[1].lower()}{found[2] or '/'}", "named", page)
        for found in _SET_COOKIE.finditer(text):
            self.found.keeps(Kept(found[1], "cookie", self.found.host, True))
        for found in (*_SET_ITEM.finditer(text), *_SET_NAME.finditer(text)):
            if found[2] not in ("length", "prototype"):
                self.found.keeps(Kept(found[2], found[1], self.found.host, True))

    def style(self, text: str, base: str, page: str) -> None:
        for found in _CSS.finditer(text):
            url = joined(base, found[2])
            if url.startswith("http"):
                font = re.search(r"\.(?:woff2?|ttf|otf|eot)\b", url)
                self.found.met(url, "style" if found[1].startswith("@") else "font" if font else "image", page)

    def link(self, url: str, rel: str, text: str, page: str, download: bool) -> None:
        if url.lower().startswith("mailto:"):
            mail = _MAIL.search(url.partition(":")[2])
            if mail and len(self.found.mails) < MAX_NOTED:
                self.found.mails.setdefault(mail[0], page)
            return
        try:
            parts = urlsplit(url)
        except ValueError:
            return
        if _PROVIDER.search(url) or (self.own(url) and _OWN_PROVIDER.search(parts.path)):
            self.login(url, parts, page)
            return
        if not parts.scheme.startswith("http") or not self.ours(parts.hostname or ""):
            return
        what = f"{text} {parts.path}"
        for name, pattern in (("policy", _POLICY), ("legal", _LEGAL), ("contact", _CONTACT)):
            if pattern.search(what) and len(text) < 120:
                self.found.links.setdefault(name, url.partition("#")[0])
        own = self.own(url)
        if own and not download and "nofollow" not in rel and not _ABSENT.search(own) and self.robots.can_fetch(AGENT, own):
            self.queue(own)

    def login(self, url: str, parts: SplitResult, page: str) -> None:
        own = bool(self.own(url))
        back = dict(parse_qsl(parts.query)).get("redirect_uri", "")
        path = parts.path if own else urlsplit(back).path if self.own(back) else ""
        party = next((p for p in ("google", "facebook", "apple", "microsoft", "github", "twitter", "linkedin") if p in url.lower()), "")
        if len(self.found.forms) < MAX_NOTED:
            self.found.forms.setdefault(("login", path or party), Form("login", path, page, party))

    def form(self, node: Any, said: Callable[[str], str], base: str, page: str) -> None:
        """A form that sends a text to the site under a name that says *comment*."""
        action = joined(base, said("action")) if said("action") else page
        if _PROVIDER.search(action) or (self.own(action) and _OWN_PROVIDER.search(urlsplit(action).path)):
            self.login(action, urlsplit(action), page)
        fields = [n for n in node.find_all(True) if n.tag == "textarea"]
        names = " ".join(str(n.attrs.get("name") or "") for n in fields)
        if said("method").lower() != "post" or not fields or not self.own(action):
            return
        if _COMMENT.search(f"{said('id')} {said('class')} {names} {urlsplit(action).path}") and len(self.found.forms) < MAX_NOTED:
            path = urlsplit(action).path or "/"
            self.found.forms.setdefault(("comment", path), Form("comment", path, page))

    def publisher(self, text: str) -> None:
        """Note who publishes, as a script of type ``application/ld+json`` tells it."""
        if len(text) > 1 << 20:
            return
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return
        for organisation, where in _organisations(value):
            for key in ("legalName", "name"):
                if isinstance(organisation.get(key), str) and organisation[key].strip():
                    self.found.names.setdefault(f"JSON-LD {where}{key}", plain(organisation[key]))
            mails = [organisation.get("email")]
            points = organisation.get("contactPoint")
            mails += [p.get("email") for p in (points if isinstance(points, list) else [points])[:20] if isinstance(p, dict)]
            for mail in mails:
                if isinstance(mail, str) and _MAIL.fullmatch(mail.removeprefix("mailto:")):
                    self.found.publisher.setdefault("email", mail.removeprefix("mailto:"))
            place = organisation.get("address")
            if isinstance(place, dict):
                parts = [place.get(k) for k in ("streetAddress", "postalCode", "addressLocality")]
                if words := [p.strip() for p in parts if isinstance(p, str) and p.strip()]:
                    self.found.publisher.setdefault("address", plain(", ".join(words)))
                land = place.get("addressCountry")
                land = land.get("name") if isinstance(land, dict) else land
                if isinstance(land, str) and re.fullmatch(r"[A-Za-z]{2}", land.strip()):
                    self.found.publisher.setdefault("country", land.strip().upper())

    async def legal(self) -> None:
        """The pages that name who answers, where they were not among those visited: for an address to write to."""
        visited = {page.url for page in self.found.pages}
        for url in dict.fromkeys(self.own(link) for link in self.found.links.values()):
            if not url or url in visited or not self.robots.can_fetch(AGENT, url):
                continue
            with suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
                answer = await self.fetch(url)
                if answer.status == 200 and "html" in answer.kind.lower():
                    document = parse(answer.text)
                    hrefs = [str(n.attrs.get("href") or "") for n in document.find_all(True) if n.tag == "a"]
                    for mail in [m for h in hrefs if h.startswith("mailto:") for m in _MAIL.findall(h)] + _MAIL.findall(
                        " ".join(n.text for n in document.find_all(True) if n.tag == "body")[:200000]
                    ):
                        if len(self.found.mails) < MAX_NOTED:
                            self.found.mails.setdefault(mail.rstrip("."), url)


def _days(expires: str) -> int:
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(expires)
        return max(0, -(-int((when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()) // 86400))
    except (ValueError, TypeError, OverflowError):
        return 0


def _organisations(value: Any, depth: int = 0) -> Iterator[tuple[dict[str, Any], str]]:
    """The publishers first, then any organisation, not too deep."""
    if depth > 6:
        return
    if isinstance(value, list):
        for one in value[:200]:
            yield from _organisations(one, depth + 1)
    elif isinstance(value, dict):
        publisher = value.get("publisher")
        for one in publisher if isinstance(publisher, list) else [publisher]:
            if isinstance(one, dict) and one.get("@type") != "Person":
                yield one, "publisher "
        kind = value.get("@type")
        if any(
            isinstance(k, str) and re.search(r"Organi[sz]ation$|Corporation$|Business$", k)
            for k in (kind if isinstance(kind, list) else [kind])
        ):
            yield value, "organisation "
        for key, one in list(value.items())[:200]:
            if key != "publisher" and isinstance(one, list | dict):
                yield from _organisations(one, depth + 1)


def survey(
    url: str, catalog: Catalog, *, pages: int = PAGES, browser: bool | None = None, places: dict[str, str] | None = None, told: Told
) -> Survey:
    """Visit ``url`` and up to ``pages`` pages of its site. Raises ConfigError with what is in the way and the remedy.

    ``browser``: None uses Chromium where it can, True must, False doesn't. ``places``: host (or ``*``) -> ``ADDRESS`` or ``ADDRESS:PORT``
    where it is reached, for what the DNS does not know yet.
    """
    return asyncio.run(_Walk(address(url), pages, told, dict(places or {}), catalog).run(browser))
