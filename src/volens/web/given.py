"""The answer to a first grant but for what is one visitor's alone: most visitors of a page answer it alike, at the same moment."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import date

from volens.choice import Choice, RecordTag
from volens.ledger.record import Record
from volens.ledger.store import Kept
from volens.policy import Grant
from volens.web.asked import Asked
from volens.web.messages import Reply

LONGEST, MOST = 2048, 64
"""Bytes of a body, of a request's cookies and of its content type, and names of cookies, beyond which nothing is remembered of it: so
that a thousand answers take some megabytes, whoever gives them."""
BLANK = RecordTag("\0", "\0")
"""In the place of the visitor's own, where an answer is made for all; no header field can hold it."""


def likeness(asked: Asked, today: date) -> Hashable | None:
    """All that the answer to a first grant goes by; None where it may go by more.

    Of a cookie that is not ours it goes by the name alone; one of ours that says something makes it no first answer. Not to be asked
    where the visitor objects in the same form: that answer has one more cookie.
    """
    request = asked.request
    if asked.choice is not None or asked.record is not None or asked.account is not None or asked.site.theirs is not None:
        return None
    sent = request.all(b"cookie")
    if b"?" in request.target or len(request.body) + sum(map(len, sent)) + len(asked.content_type) > LONGEST or len(request.cookies) > MOST:
        return None
    who = (asked.site.name, asked.host, request.scheme, asked.language, request.objection, id(asked.grant))
    names = tuple([name for name, _ in request.cookies])
    return (*who, names, asked.content_type, request.body, request.get(b"sec-fetch-mode") is None, today)


@dataclass(frozen=True, slots=True)
class Said:
    """One answer to what a notice asks, and how the visitor is told what becomes of it."""

    answer: str
    surface: str
    language: str
    back: str
    """The path where the visitor goes on."""
    asks_json: bool = False
    keeps_body: bool = False
    """Whether what was typed at a gate goes on with the visitor."""
    tool: str = ""
    """The site's own consent tool, where that one asked, and its version."""


@dataclass(slots=True)  # freezing would double what it costs to make one
class Given:
    """What was answered, and what is answered to it."""

    said: Said
    before: Grant
    """What was permitted until then. Kept, for by its place in memory it is told from others."""
    granted: Grant
    choice: Choice
    record: Record
    """Like those of all who answered so, but for id and time."""
    reply: Reply
    """With a blank in the place of the record's tag."""
    with_receipt: bool
    _at: int = field(init=False)
    _around: tuple[bytes, bytes] = field(init=False)

    def __post_init__(self) -> None:
        blank = BLANK.text().encode()
        self._at = next(at for at, (_, value) in enumerate(self.reply.pairs) if blank in value)
        before, _, after = self.reply.pairs[self._at][1].partition(blank)
        self._around = before, after

    def replied(self, tag: RecordTag, kept: Kept | None) -> Reply:
        """To one visitor."""
        before, after = self._around
        pairs = self.reply.pairs.copy()
        pairs[self._at] = b"set-cookie", before + tag.text().encode() + after
        return receipted(Reply(self.reply.status, pairs, self.reply.body), kept if self.with_receipt else None)


def receipted(reply: Reply, kept: Kept | None) -> Reply:
    """``reply``, a JSON object, with the receipt in it."""
    if kept is None:
        return reply
    return Reply(reply.status, reply.pairs, b'%b,"receipt":%b}' % (reply.body[:-1], kept.text().encode()))
