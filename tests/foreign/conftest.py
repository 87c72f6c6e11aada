"""A site with another consent tool on it, behind Volens, in a real browser. The tools are their makers' own npm packages."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.enforce.making import SITE
from tests.web.making import gateway
from tests.web.wsgi_server import serving
from volens.foreign import Theirs
from volens.notice import Service, StorageKey
from volens.site import Site
from volens.web.gateway import Gateway
from volens.web.wsgi import WsgiFace

HERE = Path(__file__).parent
KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css", ".html": "text/html; charset=utf-8"}


@pytest.fixture(scope="session")
def packages() -> Path:
    """node_modules with the tools, pinned by package-lock.json; fetched once, by one of the processes that run these tests: the others
    wait, for a tool of which some files have come shows nothing."""
    with (HERE / "package-lock.json").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (HERE / "node_modules" / ".package-lock.json").is_file():  # npm writes it last
            npm = shutil.which("npm")
            if npm is None:
                pytest.skip("npm is not installed: the consent tools' own packages cannot be fetched")
            done = subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=HERE, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip("npm cannot fetch the consent tools' packages")
    return HERE / "node_modules"


@dataclass
class Shop:
    """Pages and files by path; what was asked for is noted."""

    files: dict[str, bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.seen.append(path)
        body = self.files.get(path)
        start_response("200 OK" if body is not None else "404 Not Found", [("Content-Type", KINDS.get(Path(path).suffix, KINDS[".html"]))])
        return [body or b""]

    def page(self, head: str, body: str = "") -> None:
        self.files["/"] = (
            f"<!DOCTYPE html><html lang=fr><head><title>Une</title>{head}</head><body><h1>Une</h1>{body}</body></html>".encode()
        )


@dataclass
class Place:
    """The running site."""

    url: str
    shop: Shop
    gateway: Gateway


def reading(site: Site, theirs: Theirs) -> Site:
    """``site`` with a tool that asks in our place, named in the notice as the configuration does it."""
    tool = theirs.tool
    keys = [StorageKey(n, service=tool.id) for n in tool.cookies] + [StorageKey(n, "local", service=tool.id) for n in tool.items]
    service = Service(tool.id, tool.name, ("technique",), tool.hosts, tuple(keys))
    return replace(site, notice=replace(site.notice, services=(*site.notice.services, service)), theirs=theirs)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """``place(theirs)``: a site of its own behind Volens."""
    running = ExitStack()

    def start(theirs: Theirs | None = None) -> Place:
        shop = Shop()
        site = replace(SITE, name="127.0.0.1", hosts=("127.0.0.1",))
        made = gateway(tmp_path, site=reading(site, theirs) if theirs else site)
        running.callback(made.close)
        port = running.enter_context(serving(WsgiFace(shop, lambda: made)))
        return Place(f"http://127.0.0.1:{port}", shop, made)

    with running:
        yield start
