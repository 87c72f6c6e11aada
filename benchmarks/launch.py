"""Starts ``volens proxy`` with another gateway than the command's own, for comparison.

python benchmarks/launch.py passing UPSTREAM HOST:PORT             enforcement off: every request and answer as it came
python benchmarks/launch.py own-hosts FILE UPSTREAM HOST:PORT      unconfigured, with the own hosts of each page's host declared
python benchmarks/launch.py configured FILE UPSTREAM HOST:PORT     one configuration for every host
python benchmarks/launch.py purpose ID UPSTREAM HOST:PORT          unconfigured, and every visitor has allowed that one purpose
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from volens.catalog import Catalog
from volens.choice import Choice
from volens.defaults import unconfigured
from volens.ledger.sqlite import SqliteStore
from volens.site import Site
from volens.web import proxy, runtime
from volens.web.gateway import Gateway
from volens.web.keys import new_key
from volens.web.messages import Pairs, Reply, Request
from volens.web.visit import Visit


class Passing:
    """A gateway, and every visit to it, that changes nothing."""

    own, streams, body_limit = False, False, 0

    def __init__(self, request: Request | None = None) -> None:
        self.forward: Pairs = request.pairs if request is not None else []

    def visiting(self, request: Request) -> None:
        return None

    def visit(self, request: Request, *, unread: bool = False) -> Passing:
        return Passing(request)

    def answer(self, body: bytes) -> Reply:
        raise AssertionError("nothing is its own")

    def forwarded(self, pairs: Pairs) -> Pairs:
        return pairs

    def early(self, pairs: Pairs) -> Pairs:
        return pairs

    def whole(self, status: int, pairs: Pairs, body: bytes) -> tuple[int, Pairs, bytes]:
        return status, pairs, body

    def head(self, status: int, pairs: Pairs) -> tuple[int, Pairs]:
        return status, pairs

    def feed(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> bytes:
        return b""

    def failed(self, kind: str) -> Reply:
        return Reply(502, [(b"content-type", b"text/plain")], kind.encode())


class OwnHosts(Gateway):
    """Unconfigured, but each host declares what its own hosts are: what an operator's answers to ``volens hosts`` come to."""

    declared: dict[str, list[str]]

    def site(self, host: str) -> Site:
        def make() -> Site:
            site = unconfigured(host)
            return replace(site, hosts=(*site.hosts, *self.declared.get(host, ())))

        return self._sites.get(host, make)


class OnePurpose(Gateway):
    """Unconfigured, and every visitor has already allowed one purpose and nothing else."""

    purpose: str

    def _choice(self, site: Site, pairs: Pairs) -> tuple[Choice | None, str | None]:
        return Choice(site.notice.short, self.now().date(), frozenset({self.purpose})), "0" * 26

    def visit(self, request: Request, *, unread: bool = False) -> Visit:
        """The browser holds the choice as well: a page that finds another would be made again."""
        visit = super().visit(request, unread=unread)
        choice, _ = self._choice(visit.site, [])
        assert choice is not None
        held = (b"set-cookie", f"volens={choice.text()}; Path=/; Max-Age=86400; SameSite=Lax".encode())
        whole, head = visit.whole, visit.head

        def with_cookie(status: int, pairs: Pairs, body: bytes) -> tuple[int, Pairs, bytes]:
            status, pairs, body = whole(status, pairs, body)
            return status, [*pairs, held], body

        def head_with_cookie(status: int, pairs: Pairs) -> tuple[int, Pairs]:
            status, pairs = head(status, pairs)
            return status, [*pairs, held]

        visit.whole, visit.head = with_cookie, head_with_cookie  # type: ignore[method-assign]
        return visit


def gateway(kind: type[Gateway], **attributes: Any) -> Gateway:
    folder = Path(tempfile.mkdtemp(prefix="volens-bench-"))
    made = kind(None, Catalog.packaged(), SqliteStore(folder / "ledger.db"), (new_key(),), names=folder / "names")
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def main() -> None:
    kind, *given, upstream, listen = sys.argv[1:]
    makers: dict[str, Any] = {
        "passing": lambda: Passing(),
        "own-hosts": lambda: gateway(OwnHosts, declared=json.loads(Path(given[0]).read_text("utf-8"))),
        "purpose": lambda: gateway(OnePurpose, purpose=given[0]),
        "configured": lambda: runtime.open_configured(Path(given[0])),
    }
    proxy.serve(makers[kind], upstream=upstream, listen=listen)


if __name__ == "__main__":
    main()
