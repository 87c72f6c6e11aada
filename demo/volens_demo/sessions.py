"""Sessions of the shop and the members' page: a random name in a technical cookie, everything else kept here."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

from aiohttp import web

COOKIE = "courrier_session"


@dataclass
class Session:
    form: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    """What each form of this session must bring along."""
    member: str = ""
    basket: dict[str, int] = field(default_factory=dict)
    comments: list[int] = field(default_factory=list)
    """Ids of the comments written in this session: who withdrew an agreement can still have them erased."""
    letters: list[dict[str, str]] = field(default_factory=list)


class Sessions:
    """At most a thousand, the oldest forgotten first."""

    def __init__(self) -> None:
        self._all: OrderedDict[str, Session] = OrderedDict()

    def find(self, request: web.Request) -> Session | None:
        return self._all.get(request.cookies.get(COOKIE, ""))

    def open(self, request: web.Request, answer: web.StreamResponse) -> Session:
        """The visitor's session, a new one if there is none; ``answer`` sets its cookie."""
        found = self.find(request)
        if found is None:
            name, found = secrets.token_urlsafe(16), Session()
            self._all[name] = found
            if len(self._all) > 1000:
                self._all.popitem(last=False)
            answer.set_cookie(COOKIE, name, httponly=True, samesite="Lax", path="/")
        return found


def signed(session: Session | None, value: object) -> bool:
    """Whether a form was made for this session."""
    return session is not None and hmac.compare_digest(session.form, str(value))
