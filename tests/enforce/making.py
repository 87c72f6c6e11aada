"""A site, grants and pages for the tests of enforcement: the real catalog, the real guard, no mocks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from volens.catalog import Catalog
from volens.choice import Choice, Signals
from volens.defaults import PURPOSES, unconfigured
from volens.enforce.exchange import Exchange, Learnt, Memo, State
from volens.enforce.hosts import Hosts
from volens.enforce.html import Frame, Rewriter, Seen
from volens.enforce.storage import Storage
from volens.enforce.url import Target
from volens.notice import Controller, Notice, Service, StorageKey
from volens.policy import Grant, grant
from volens.site import Gate, Site

TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOST = "www.site.example"
PAGE = Target("https", HOST, "/a/page")
TRACKERS = ("www.google-analytics.com", "connect.facebook.net", "static.doubleclick.net")
CATALOG = Catalog.packaged()

NOTICE = Notice(
    Controller("Le Site", "donnees@site.example", ""),
    tuple(PURPOSES.values()),
    (
        Service(
            "videotube",
            "VidéoTube",
            ("video",),
            ("video.example", "*.video.example"),
            (StorageKey("vt_*", purpose="video", days=30),),
            embed="frame",
        ),
        Service(
            "reseau", "Réseau", ("reseaux-sociaux",), ("reseau.example",), (StorageKey("rz", purpose="reseaux-sociaux"),), embed="script"
        ),
        Service("regie", "Régie", ("publicite", "personnalisation"), ("regie.example",), profiles=True, chain=True),
        Service("mesure", "Mesure", ("audience",), ("/mesure/*",)),
    ),
    scope=(HOST,),
)
SITE = Site(
    name=HOST,
    notice=NOTICE,
    hosts=(HOST, "*.site.example"),
    storage=(StorageKey("panier"), StorageKey("rien", purpose="publicite"), StorageKey("t*", "local")),
    gates=(Gate("/comments", "reseaux-sociaux"), Gate("/profil/*", "personnalisation", frozenset())),
)


def granted(*purposes: str, notice: Notice = NOTICE, services: Iterable[str] = (), gpc: bool = False) -> Grant:
    """What a proven choice of these purposes permits; nothing named: refused."""
    choice = Choice(notice.short, TODAY, frozenset(purposes), frozenset(services))
    return grant(notice, choice, Signals(gpc), TODAY)


UNDECIDED = grant(NOTICE, None, Signals(), TODAY)
REFUSED = granted()
ACCEPTED = granted(*NOTICE.askable)
OPEN_SITE = unconfigured(HOST)
OPEN = granted(*OPEN_SITE.notice.askable, notice=OPEN_SITE.notice)
"""A demonstration accepted whole: everything passes."""

GUARD = "<script data-volens='{}'>guard()</script>"
DRESS = '<volens-notice data-x="1"></volens-notice>'


def hosts(grant: Grant = REFUSED, site: Site = SITE, page: str = HOST) -> Hosts:
    return Hosts(site, grant, CATALOG, page)


def rewritten(
    markup: str,
    grant: Grant = REFUSED,
    *,
    size: int = 0,
    site: Site = SITE,
    bare: bool = False,
    seen: Seen | None = None,
    page: Target = PAGE,
) -> str:
    """A page through the rewrite, whole or in chunks of ``size``; ``bare`` without our own insertions."""
    frame = Frame(hosts(grant, site, page.host), page, guard="" if bare else GUARD, dress=None if bare else lambda language: DRESS)
    rewriter = Rewriter(frame, seen=seen)
    pieces = [markup[at : at + size] for at in range(0, len(markup), size)] if size else [markup]
    return "".join(map(rewriter.feed, pieces)) + rewriter.finish()


def latin(markup: str) -> str:
    """A page as the rewrite sees it: one character a byte of its UTF-8."""
    return markup.encode("utf-8", "surrogatepass").decode("latin-1")


def unlatin(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "replace")


def state(grant: Grant = REFUSED, site: Site = SITE, page: str = HOST, **more: Any) -> State:
    """What an exchange is given for a document."""
    values: dict[str, Any] = {
        "hosts": Hosts(site, grant, CATALOG, page),
        "storage": Storage(site, grant, CATALOG),
        "page": Target("https", page, "/a/page"),
        "code": "guard()",
        "worker_code": "self.__volens=__CONFIG__;",
        "style": "p{color:red}",
        "dress": lambda language: (
            f'<volens-notice lang="{language}"><style>p{{color:red}}</style><a href="__volens_back__">é</a></volens-notice>'
        ),
        "answer": "",
        "language": "fr",
        "destination": "document",
    }
    return State(**{**values, **more})


def exchange(
    grant: Grant = REFUSED, *, memo: Memo | None = None, learnt: Learnt | None = None, target: bytes = b"/a/page", **more: Any
) -> Exchange:
    """An exchange that has been asked for ``target``."""
    made = Exchange(state(grant, **more), memo or Memo(), learnt or Learnt())
    made.ask([(b"host", HOST.encode())], target)
    return made


def header(pairs: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in pairs if key.lower() == name]
