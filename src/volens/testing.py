"""A visitor's answer in the tests of an application: sent to the reserved path as a browser sends it, so nothing is decided here.

Every test client sends it in its own way (``volens.django.test``, ``accept``, ``refuse`` and ``allow`` of the others) and keeps the
cookies that come back, as a browser does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from volens.choice import GRANT_COOKIE, HOST_ONLY, RECORD_COOKIE
from volens.config import Loaded
from volens.web.live import Opened


@dataclass(frozen=True, slots=True)
class Answer:
    """A visitor's answer as a POST."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    content_type: str = "application/json"


def accepted(opened: Opened) -> Answer:
    """*Accept all*."""
    return _answer(opened, answer="accept")


def refused(opened: Opened) -> Answer:
    """*Refuse all*; after a grant, its withdrawal."""
    return _answer(opened, answer="refuse")


def allowed(opened: Opened, *purposes: str) -> Answer:
    """These purposes with all their services, and no others; raises ValueError for one that the notice doesn't ask for."""
    asked = opened.loaded.site.notice.askable
    if unknown := sorted(set(purposes).difference(asked)):
        raise ValueError(f"the notice does not ask for {', '.join(map(repr, unknown))}; it asks for {', '.join(asked) or 'nothing'}.")
    return _answer(opened, answer="switches", purposes=list(purposes))


def _answer(opened: Opened, **fields: object) -> Answer:
    site = opened.loaded.site
    body = json.dumps({"notice": opened().named(site), "surface": "panel", "back": "/", **fields}).encode()
    return Answer(site.prefix + "choice", body, {"Sec-Fetch-Site": "same-origin"})


def taken(status: int, body: bytes) -> None:
    """Raises AssertionError where the answer was not taken."""
    if status != 201:
        raise AssertionError(f"the answer was not taken: {status} {body[:300]!r}")


def twins(set_cookies: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Of an answer's ``Set-Cookie`` lines, what is proof of it under the name that it has over the other of http and https, since a test
    goes from one to the other; empty where it is taken away."""
    for line in set_cookies:
        name, _, value = line.partition(";")[0].strip().partition("=")
        if name.removeprefix(HOST_ONLY) in (RECORD_COOKIE, GRANT_COOKIE):
            yield (name.removeprefix(HOST_ONLY) if name.startswith(HOST_ONLY) else HOST_ONLY + name), value.strip('"')


def aside(loaded: Loaded, folder: Path) -> Loaded:
    """The same site with ledger, keys, counts and accounts in ``folder``: a test leaves no row among the visitors' own."""
    return replace(
        loaded,
        site=replace(loaded.site, hook=None),
        source=None,  # the file the site runs by is not looked at again
        ledger=str(folder / "volens.db"),
        keys=str(folder / "volens.keys"),
        log_key=str(folder / "volens.log-key"),
        audience=str(folder / "volens-audience.db"),
        accounts=str(folder / "volens-accounts.db"),
        bypass=str(folder / "volens.bypass"),
    )
