"""What the three faces and the gateway hand each other: one request, one answer, or an answer that still waits for the ledger.

Header fields are pairs of bytes in the order they came, never a mapping: ``Set-Cookie`` repeats, and bytes that need no change
must come out unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from volens.audience.view import objects
from volens.enforce.headers import Pairs as Pairs
from volens.enforce.headers import cookies_in


@dataclass(frozen=True)
class Request:
    """A request as the face received it, without its body."""

    method: str
    target: bytes
    """Path and query, raw: not decoded, not normalised."""
    pairs: Pairs
    scheme: str
    """``http`` or ``https``, as the visitor's browser sees the site."""
    host: str
    """Lower-case, with the port if one was named; as the visitor's browser sees the site."""
    client: str
    """The visitor's address, for rate limits only; it is never stored."""
    body: bytes = b""
    vouched: bool = True
    """Whether what the site's own front writes about the visitor may be believed: what the configuration names was not written by
    anybody else."""
    front: bool = False
    """Whether a trusted front asks for itself: it says nothing of any visitor."""
    through: bool = False
    """Whether a front handed it on whose word about the visitor is not believed, or that gave none: ``client`` may be the front."""

    @cached_property
    def _values(self) -> dict[bytes, list[bytes]]:
        """By name in lower case: a request is asked for some twenty fields."""
        found: dict[bytes, list[bytes]] = {}
        for name, value in self.pairs:
            name = name.lower()
            if name in found:
                found[name].append(value)
            else:
                found[name] = [value]
        return found

    def get(self, name: bytes) -> bytes | None:
        """The first value of a field, name in lower case."""
        found = self._values.get(name)
        return found[0] if found is not None else None

    def all(self, name: bytes) -> list[bytes]:
        """All values of a field; not to be changed."""
        return self._values.get(name, _NONE)

    @cached_property
    def cookies(self) -> list[tuple[str, str]]:
        """Names and values of all cookies, in order, repetitions kept."""
        return cookies_in(self.all(b"cookie"))

    @cached_property
    def objection(self) -> str:
        """Whether the visitor objects to being counted, and how."""
        return objects(self.all(b"cookie"), self.all(b"dnt"))

    def with_body(self, body: bytes) -> Request:
        """The same request, with what was read of it already."""
        made = object.__new__(Request)
        made.__dict__.update(self.__dict__, body=body)
        return made


_NONE: list[bytes] = []


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer of our own. The face adds what its protocol needs (``Content-Length``, ``Connection``)."""

    status: int
    pairs: Pairs
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An answer that depends on a durable row. The face waits in its own way, then calls ``then`` with the result or the exception."""

    future: Future[Any]
    then: Callable[[Any], Reply]
