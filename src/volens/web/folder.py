"""A folder of files as a site on this machine, for the proxy to stand before: ``python -m volens.web.folder DIR``.

A process of its own, which ends when its standard input does: with the one that started it, however that dies.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web


def found(root: Path, path: str) -> Path | None:
    """The file or folder for a decoded path; None where there is none. Names that begin with a dot, but for ``.well-known``, and what
    a link leads to outside of ``root`` are not served."""
    parts = [part for part in path.split("/") if part]
    if any((part.startswith(".") and part != ".well-known") or "\0" in part or "\\" in part for part in parts):
        return None
    root = root.resolve()
    for place in (root.joinpath(*parts), root.joinpath(*parts[:-1], parts[-1] + ".html") if parts else root):
        try:
            there = place.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            continue
        if there == root or root in there.parents:
            return there
    return None


def application(root: Path) -> web.Application:
    """Serves ``index.html`` for a folder, ``name.html`` for ``/name``, and ``404.html`` for what is not there."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"}, text="Only GET and HEAD.\n")
        there = found(root, request.path)
        if there is not None and there.is_dir():
            if not request.path.endswith("/"):
                query = f"?{request.query_string}" if request.query_string else ""
                return web.Response(status=301, headers={"Location": "/" + request.rel_url.raw_path.lstrip("/") + "/" + query})
            there = found(root, request.path + "index.html")
        if there is not None and there.is_file():
            return web.FileResponse(there)
        page = found(root, "/404.html")
        if page is not None and page.is_file():
            return web.Response(status=404, body=page.read_bytes(), content_type="text/html")
        return web.Response(status=404, text="Not found.\n")

    made = web.Application()
    made.router.add_route("*", "/{path:.*}", answer)
    return made


async def run(root: Path) -> None:
    """Print the address, and serve until standard input ends."""
    runner = web.AppRunner(application(root), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    await runner.cleanup()


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """The folder, served by another process; its address. Raises OSError where it cannot be."""
    command = [sys.executable, "-P", "-m", "volens.web.folder", str(root)]  # -P: what lies where it is started is not run
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdin is not None and process.stdout is not None
        address = process.stdout.readline().decode().strip()
        if not address:
            raise OSError(f"{root} could not be served: the process ended with {process.wait(5)}")
        try:
            yield address
        finally:
            process.stdin.close()


if __name__ == "__main__":
    try:
        asyncio.run(run(Path(sys.argv[1])))
    except KeyboardInterrupt:
        pass
