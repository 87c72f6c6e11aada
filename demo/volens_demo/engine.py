"""The comment engine: Isso as its makers publish it, on a port of its own, knowing nothing of consent.

What it received and what it keeps can be seen here, so that a test need not believe anyone else: ``requests`` is its log,
``comments`` reads its database.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

SEEDS = {
    "/article/pont-vieux": (
        ("Odile", "Ma grand-mère l’a traversé le jour de son mariage. Elle a 94 ans et voulait être là samedi. Elle y était."),
        ("Marc T.", "Très beau travail. Et la navette du Pré-Long, c’est pour quand exactement ?"),
    ),
}
"""What readers wrote before the demonstration starts, by page."""


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment as the engine's own interface gives it. ``text`` is markup that the engine has cleaned."""

    id: int
    name: str
    text: str
    when: float
    avatar: str


@dataclass
class Engine:
    """A running Isso. ``close`` stops it."""

    port: int
    database: Path
    requests: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=5000))
    """Method and path of each request it has received, oldest first."""
    _isso: Any = None
    _server: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def comments(self) -> list[tuple[int, str, str]]:
        """Id, author and text of every comment in the database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return list(database.execute("SELECT id, author, text FROM comments WHERE mode = 1 ORDER BY id"))

    async def thread(self, session: ClientSession, page: str) -> list[Comment]:
        """The comments of a page, oldest first, answers among them."""
        async with session.get(self.url + "/", params={"uri": page}) as answer:
            if answer.status != 200:  # Isso says 404 where nobody has written yet
                return []
            told = await answer.json()
        found = [one for top in told["replies"] for one in (top, *top.get("replies", ()))]
        return [Comment(one["id"], one["author"] or "Anonyme", one["text"], one["created"], one.get("gravatar_image", "")) for one in found]

    async def publish(self, session: ClientSession, page: str, title: str, name: str, text: str) -> int | None:
        """A comment from a plain form; its id, None where the engine refuses it."""
        body = {"author": name, "text": text, "title": title}
        async with session.post(self.url + "/new", params={"uri": page}, json=body) as answer:
            return int((await answer.json())["id"]) if answer.status in (201, 202) else None

    async def erase(self, session: ClientSession, comment: int) -> bool:
        """By the address that Isso gives its moderators."""
        async with session.post(f"{self.url}/id/{comment}/delete/{self._isso.sign(comment)}") as answer:
            return answer.status == 200


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Isso sets up logging for the whole process when it is imported, and tells it of each of its parts."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def start(home: Path, site: str, avatars: str) -> Engine:
    """Isso in a thread of its own. ``site``: the address its pages have; ``avatars``: where avatars are asked for, ``{}`` for the hash."""
    with _quiet():
        import isso
        from isso import config
        from werkzeug.serving import WSGIRequestHandler, make_server
    logging.getLogger("isso").setLevel(logging.ERROR)
    database = home / "comments.db"
    settings = config.load(config.default_file())
    for section, name, value in (
        ("general", "dbpath", str(database)),
        ("general", "host", site),
        ("general", "gravatar", "true"),
        ("general", "gravatar-url", avatars),
        ("general", "notify", ""),
        ("guard", "enabled", "false"),  # it counts by address, and here every visitor comes from this machine
        ("guard", "require-author", "true"),
    ):
        settings.set(section, name, value)

    class App(isso.Isso, isso.ThreadedMixin):  # type: ignore[misc, name-defined]
        pass

    with _quiet():
        engine = App(settings)
    application = isso.SharedDataMiddleware(engine, {"/js": str(Path(isso.__file__).parent / "js")})
    running = Engine(0, database, _isso=engine)

    def noted(environ: dict[str, Any], start_response: Any) -> Any:
        running.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        return application(environ, start_response)

    class Quiet(WSGIRequestHandler):
        def log(self, *args: Any) -> None:
            pass

    running._server = make_server("127.0.0.1", 0, noted, threaded=True, request_handler=Quiet)
    running.port = running._server.server_port
    threading.Thread(target=running._server.serve_forever, kwargs={"poll_interval": 0.1}, name="isso", daemon=True).start()
    return running
