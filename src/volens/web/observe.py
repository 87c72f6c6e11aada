"""What a site's pages use, found without touching them: a dry run of the rewrite beside the requests, and browsers' own reports.

In ``mode = "observe"`` an answer goes out as it came; a copy of a page is looked at by one thread a process, from a short queue
that drops what it cannot hold, each page once a minute at most, in small pieces with long pauses, so that requests hardly feel it.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import queue
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from volens.choice import Signals
from volens.enforce import charset, csp, gates
from volens.enforce.coding import CodingError, decoded
from volens.enforce.exchange import UNPACKED, WHOLE
from volens.enforce.headers import CODINGS, Pairs, get, get_all
from volens.enforce.html import Frame, Rewriter, Seen
from volens.enforce.storage import is_own
from volens.enforce.url import Target
from volens.findings import PAGE, SCRIPT, SENT, SET, storage_name
from volens.notice import MEDIA
from volens.policy import Grant, grant
from volens.site import Site

if TYPE_CHECKING:
    from volens.web.gateway import Gateway
    from volens.web.messages import Request

log = logging.getLogger("volens")

WAITING = 16
"""Answers that wait to be looked at; further ones are not."""
AGAIN = 60.0
"""Seconds until the same path, or the same cookie, is looked at again."""
REMEMBERED = 4000
"""Paths and cookies remembered as looked at."""
PIECE, PAUSE = 1 << 14, 24.0
"""Characters looked at in a row, and how many times as long the pause after them is: at most four percent of one core."""
REPORTS = 100
"""Reports read of one body."""
REPORT_BODY = 1 << 16
"""Bytes of reports that are read; a larger body is dropped."""
_HTML = re.compile(rb"\s*(?:text/html|application/xhtml\+xml)\s*(?:;|\Z)", re.IGNORECASE)
_SCRIPT = re.compile(rb"\s*(?:text|application)/(?:x-)?(?:java|ecma)script\s*(?:;|\Z)", re.IGNORECASE)
_STORED = (
    ("local", re.compile(r"localStorage\s*(?:\.setItem\(\s*|\[\s*)[\"'`]([\x21-\x7e]{1,100}?)[\"'`]\s*[,\]]")),
    ("session", re.compile(r"sessionStorage\s*(?:\.setItem\(\s*|\[\s*)[\"'`]([\x21-\x7e]{1,100}?)[\"'`]\s*[,\]]")),
    ("cookie", re.compile(r"document\.cookie\s*=\s*[\"'`]([A-Za-z0-9_.\-]{1,100})=")),
)
"""Names that a script's text tells plainly."""
_BLOCKED = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")
_KINDS = {
    "script-src": "script",
    "script-src-elem": "script",
    "worker-src": "script",
    "style-src": "style",
    "style-src-elem": "style",
    "img-src": "image",
    "font-src": "font",
    "media-src": "media",
    "frame-src": "frame",
    "child-src": "frame",
    "object-src": "frame",
    "connect-src": "connect",
    "manifest-src": "manifest",
    "prefetch-src": "hint",
    "default-src": "connect",
}
"""Directives (CSP3 §6), as the uses that a decision is asked for."""


def nobody(site: Site, gateway: Gateway) -> Grant:
    """What a visitor who has answered nothing may be sent."""
    return grant(site.notice, None, Signals(), gateway.now().date())


@dataclass(frozen=True, slots=True)
class _Job:
    site: Site
    page: Target
    target: bytes
    kind: str
    """``page``, ``script`` or empty, where only cookies are looked at."""
    declared: str
    coding: str
    body: bytes
    sent: tuple[str, ...]
    set: tuple[tuple[str, bool], ...]
    """Names of ``Set-Cookie``, and whether out of scripts' reach."""


class Observer:
    """Looks at answers in a thread of its own."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._pid = 0
        self._lock = threading.Lock()
        self._stopped = False
        self._reset()

    def _reset(self) -> None:
        self._queue: queue.Queue[_Job | None] = queue.Queue(WAITING)
        self._seen: OrderedDict[object, float] = OrderedDict()

    # In the request's path ------------------------------------------------------------------------------------------

    def wants(self, request: Request, status: int, pairs: Pairs) -> str:
        """Whether the body of this answer shall be looked at: as ``page`` or ``script``; empty: no."""
        if self._queue.full() or request.method != "GET" or status in (204, 205, 304) or status < 200 or status >= 400:
            return ""
        types = get_all(pairs, b"content-type")
        kind = "" if not types else "page" if _HTML.match(types[-1]) else "script" if _SCRIPT.match(types[-1]) else ""
        return kind if kind and self._due(request.target.partition(b"?")[0][:500]) else ""

    def _due(self, what: object) -> bool:
        now = time.monotonic()
        with self._lock:
            if now - self._seen.get(what, -AGAIN) < AGAIN:
                return False
            self._seen[what] = now
            self._seen.move_to_end(what)
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            return True

    def look(self, site: Site, request: Request, page: Target, pairs: Pairs, kind: str, body: bytes) -> None:
        """Hand over a copy of an answer; dropped where too many wait. Never raises."""
        try:
            given = []
            for value in get_all(pairs, b"set-cookie"):
                first, _, attributes = value.decode("latin-1").partition(";")
                name = first.partition("=")[0].strip(" \t") if "=" in first else ""
                if name and not is_own(name) and self._due((SET, name)):
                    given.append((name, "httponly" in attributes.lower()))
            if not kind and not given:
                return
            sent = tuple(name for name, _ in request.cookies[:100] if name and not is_own(name)) if kind == "page" else ()
            names = [c.strip().lower() for v in get_all(pairs, b"content-encoding") for c in v.decode("latin-1").split(",")]
            names = ["gzip" if c == "x-gzip" else c for c in names if c and c != "identity"]
            coding = "identity" if not names else names[0] if len(names) == 1 and names[0] in CODINGS else "unknown"
            declared = (get(pairs, b"content-type") or b"").decode("latin-1")
            if len(body) > WHOLE:
                body = b""
            if self._pid != os.getpid() and not self._start():
                return
            self._queue.put_nowait(_Job(site, page, request.target[:800], kind, declared, coding, body, sent, tuple(given)))
        except queue.Full:
            pass  # too busy to look at everything
        except Exception:
            log.exception("an answer could not be noted; it went out as it came")

    def asked(self, site: Site, request: Request, host: str) -> None:
        """Note a request that would not have reached the application: a closed gate, or a collection end point."""
        findings = self._gateway.findings
        if findings is None:
            return
        try:
            granted = nobody(site, self._gateway)
            closed = gates.closed(site.gates, request.method, request.target, granted, request.pairs) if site.gates else None
            if closed is not None:
                findings.add(site.name, SENT, {("gate", closed[0].path)})
                return
            if (request.get(b"sec-fetch-dest") or b"document").strip().lower() != b"document":
                hosts, _ = self._gateway.judges(site, granted, host)
                if hosts.collection(host, request.target.decode("latin-1")):
                    path = request.target.partition(b"?")[0].decode("latin-1")
                    findings.add(site.name, SENT, {("collection", storage_name(path))})
        except Exception:
            log.exception("a request could not be noted; it went on as it came")

    def policy(self, site: Site, host: str, port: str) -> str:
        """What would be our policy for a page, of a visitor who has answered nothing."""
        hosts, _ = self._gateway.judges(site, nobody(site, self._gateway), host)
        return csp.ours(hosts, Seen(), port, self._gateway.learnt.passive(host))

    # Beside it ------------------------------------------------------------------------------------------------------

    def _start(self) -> bool:
        with self._lock:
            if self._pid == os.getpid():
                return True
            if self._stopped:
                return False
            if self._pid:
                self._reset()  # of a process this one was forked from nothing is taken over
            try:
                threading.Thread(target=self._run, args=(self._queue,), name="volens-observe", daemon=True).start()
            except RuntimeError as error:
                log.error("pages are not looked at: %s", error)
                return False
            self._pid = os.getpid()
            return True

    def stop(self) -> None:
        """End the thread; what still waits is dropped."""
        self._stopped = True
        if self._pid == os.getpid():
            while True:
                try:
                    self._queue.put_nowait(None)
                    return
                except queue.Full:
                    try:
                        self._queue.get_nowait()
                    except queue.Empty:
                        continue

    def settle(self, patience: float = 10.0) -> bool:
        """Wait until nothing is left to look at: for tests and the last moment of a tool."""
        until = time.monotonic() + patience
        while self._queue.unfinished_tasks:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def _run(self, jobs: queue.Queue[_Job | None]) -> None:
        while True:
            job = jobs.get()
            try:
                if job is None:
                    return
                self._note(job)
            except Exception:
                log.exception("a page could not be looked at; it went out as it came")
            finally:
                jobs.task_done()

    def _note(self, job: _Job) -> None:
        gateway, findings, site = self._gateway, self._gateway.findings, job.site
        if findings is None:
            return
        hosts, storage = gateway.judges(site, nobody(site, gateway), job.page.host)
        learnt = gateway.learnt

        def refused(name: str, medium: str, http_only: bool = False) -> bool:
            assert medium in MEDIA
            return not storage.decide(name, medium, http_only=http_only).allowed

        for name, hidden in job.set:
            if hidden:
                learnt.learn(job.page.host, name)
        set_ = {("cookie", storage_name(name)) for name, hidden in job.set if refused(name, "cookie", hidden)}
        sent = {("cookie", storage_name(n)) for n in job.sent if refused(n, "cookie", learnt.knows(job.page.host, n))}
        findings.add(site.name, SET, _named(set_), job.target, site.audience)
        findings.add(site.name, SENT, _named(sent), job.target, site.audience)
        if not job.kind or not job.body or job.coding == "unknown":
            return
        try:
            data = decoded(job.body, job.coding, UNPACKED)
        except CodingError:
            return
        if data is None:
            return
        written: set[tuple[str, str]] = set()
        if job.kind == "script":
            for piece in _paced(data.decode("latin-1")):
                written |= _stored(piece)
        else:
            codec, mark, _ = charset.read(data, job.declared)
            rewriter = Rewriter(Frame(hosts, job.page, site.prefix, xml="xhtml" in job.declared.lower()))
            for piece in _paced(charset.Text(codec).decode(data[mark:], True)):
                rewriter.feed(piece)
                written |= _stored(piece)
            rewriter.finish()
            seen = rewriter.seen
            learnt.page(job.page.host, seen)
            used = {(kind, host.partition(":")[0]) for kind, names in seen.used.items() for host in names}
            used |= {
                ("collection" if hosts.decide(host, kind).allowed and kind != "navigate" else kind, host) for host, kind in seen.withheld
            }
            findings.add(site.name, PAGE, _named(used), job.target, site.audience)
        written = {(medium, storage_name(name)) for medium, name in written if refused(name, medium)}
        findings.add(site.name, SCRIPT, _named(written), job.target, site.audience)


def _named(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(kind, name) for kind, name in found if name}


def _stored(text: str) -> set[tuple[str, str]]:
    return {(medium, name) for medium, pattern in _STORED for name in itertools.islice(pattern.findall(text), 50) if not is_own(name)}


def _paced(text: str) -> Iterable[str]:
    """The text in pieces, with a pause after each that grows with what it took."""
    for at in range(0, len(text), PIECE):
        begun = time.perf_counter()
        yield text[at : at + PIECE]
        time.sleep(min(1.0, PAUSE * (time.perf_counter() - begun)))


def reported(content_type: str, body: bytes, host: str) -> set[tuple[str, str]]:
    """(use, host) of what a browser says our policy refused on a page of ``host`` (CSP3 §5.3; Reporting API §3); nothing else of it."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in ("application/csp-report", "application/reports+json") or len(body) > REPORT_BODY:
        return set()
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return set()
    reports: list[Any] = []
    directive: tuple[str, ...]
    if kind == "application/csp-report":
        reports = [said.get("csp-report")] if isinstance(said, dict) else []
        page, blocked, directive = "document-uri", "blocked-uri", ("effective-directive", "violated-directive")
    else:
        whole = said if isinstance(said, list) else []
        reports = [one.get("body") for one in whole[:REPORTS] if isinstance(one, dict) and one.get("type") == "csp-violation"]
        page, blocked, directive = "documentURL", "blockedURL", ("effectiveDirective",)
    found: set[tuple[str, str]] = set()
    for report in reports:
        if not isinstance(report, dict) or _host_of(report.get(page)) != host:
            continue
        named = next((report[name] for name in directive if isinstance(report.get(name), str) and report[name]), "")
        use = _KINDS.get(named[:40].partition(" ")[0].lower())
        other = _host_of(report.get(blocked))
        if use and other and other != host:
            found.add((use, other))
    return found


def _host_of(address: object) -> str:
    """The host of an address of the web; empty for anything else."""
    if not isinstance(address, str) or not address[:8].lower().startswith(("http://", "https://", "ws://", "wss://")):
        return ""
    try:
        name = (urlsplit(address[:2000]).hostname or "").rstrip(".")
    except ValueError:
        return ""
    return name if len(name) <= 253 and _BLOCKED.fullmatch(name) else ""
