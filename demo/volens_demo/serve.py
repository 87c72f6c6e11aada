"""Starts everything: the newspaper with its comment engine, the third parties on a second port and, in front, Volens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aiohttp import web

from volens_demo import engine as isso
from volens_demo.parties import BEFORE, RAW, Memory, ThirdParties
from volens_demo.site import Newspaper

NAME = "courrier.localhost"
CONFIG = next(path for folder in (0, 1) if (path := Path(__file__).parents[folder] / "volens.toml").exists())


@dataclass
class Demo:
    """A running demonstration. ``close`` stops it."""

    host: str
    port: int
    parties_port: int
    newspaper: Newspaper
    memory: Memory
    store: Any = None
    ledger: Path | None = None
    _closing: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def url(self) -> str:
        return f"http://{NAME}:{self.port}"

    async def close(self) -> None:
        await self._closing.aclose()


async def _listen(app: web.Application, host: str, port: int, closing: contextlib.AsyncExitStack) -> int:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    closing.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host, port).start()
    return int(runner.addresses[0][1])


def _home() -> Path:
    """Where the demonstration keeps its ledger: the XDG data directory."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    home = Path(base) / "volens" / "demo"
    home.mkdir(parents=True, exist_ok=True)
    return home


async def start(
    port: int = 8000, *, volens: bool = True, host: str = "127.0.0.1", parties_port: int | None = None, home: Path | None = None
) -> Demo:
    """Starts the demonstration in the running loop. Port 0 takes free ones; the third parties are on the next port by default."""
    memory = Memory(BEFORE if volens else RAW)
    closing = contextlib.AsyncExitStack()
    try:
        parties = ThirdParties(memory)
        parties.port = await _listen(parties.app, host, port + 1 if parties_port is None and port else parties_port or 0, closing)
        home = home or _home()
        engine = isso.start(home, f"http://{NAME}:{port}", parties.url("trombine", "/avatar/{}"))
        closing.callback(engine.close)
        newspaper = Newspaper(memory, parties, engine, obeys=volens)
        store, ledger = None, None
        if volens:
            behind = await _listen(newspaper.app, "127.0.0.1", 0, closing)
            store, ledger, port = await _volens(newspaper, behind, host, port, parties.port, home, closing)
        else:
            port = await _listen(newspaper.app, host, port, closing)
    except BaseException:
        await closing.aclose()
        raise
    return Demo(host, port, parties.port, newspaper, memory, store, ledger, closing)


async def _volens(
    newspaper: Newspaper, behind: int, host: str, port: int, parties_port: int, home: Path, closing: contextlib.AsyncExitStack
) -> tuple[Any, Path, int]:
    """Volens in front: configuration, ledger, gateway, proxy; just what ``volens proxy`` does."""
    from volens.catalog import Catalog
    from volens.config import parse
    from volens.web import proxy
    from volens.web.hooks import read_secrets
    from volens.web.runtime import open_gateway

    written = CONFIG.read_text("utf-8").replace(".localhost:8001/", f".localhost:{parties_port}/")  # where their policies are read
    loaded = parse(written.replace("127.0.0.1:8600/", f"127.0.0.1:{behind}/"), str(CONFIG), Catalog.packaged(), base=home)
    newspaper.profiles.keys = read_secrets(Path(loaded.hook_secret))
    gateway = open_gateway(loaded)
    closing.callback(gateway.close)
    runner, port = await proxy.start(gateway, f"http://127.0.0.1:{behind}", host, port)
    closing.push_async_callback(runner.cleanup)
    return gateway.store, Path(loaded.ledger), port


def run(port: int = 8000, volens: bool = True, tour: bool = False, host: str = "127.0.0.1") -> None:
    """Starts the demonstration, prints its address and stays up until interrupted."""
    if find_spec("isso") is None:
        sys.exit("The demonstration's comments need Isso: pip install 'volens[demo]'")

    async def main() -> None:
        demo = await start(port, volens=volens, host=host)
        stop = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        print(f"Le Courrier de la Dourelle  {demo.url}/{'visite' if tour else ''}")
        print(f"  {'with' if volens else 'WITHOUT'} Volens in front; third parties under *.localhost:{demo.parties_port}")
        print(f"  what they have received   {demo.url}/temoin")
        print(f"  comments                  {demo.newspaper.engine.database}  (Isso)")
        print(f"  the fourteen promises     {demo.url}/visite")
        if demo.ledger:
            print(f"  audience, on this machine {demo.url}/_volens/admin/")
            print(f"  ledger                    {demo.ledger}")
        print("Ctrl-C stops it.", flush=True)
        await stop.wait()
        await demo.close()

    asyncio.run(main())
