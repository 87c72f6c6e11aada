"""What the three faces and the gateway hand each other: one request, one answer, or an answer that still waits for the ledger.

Header fields are pairs of bytes in the order they came, never a mapping: ``Set-Cookie`` repeats, and bytes that need no change
must come out unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

Pairs = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
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
