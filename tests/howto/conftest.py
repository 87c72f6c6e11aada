"""The programs of ``docs/examples``, started as their own first lines say."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def _free() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts one of the examples in a folder of its own; its address, without the last slash."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *more: str) -> str:
        for kind in ("py", "toml"):
            shutil.copy(ROOT / "docs" / "examples" / f"{name}.{kind}", tmp_path)
        port = _free()
        command = [sys.executable, str(tmp_path / f"{name}.py"), str(port), *more]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        with open(tmp_path / "log", "wb") as log:
            started.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log))
        end = time.monotonic() + 30
        while time.monotonic() < end and started[-1].poll() is None:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://site.localhost:{port}"
            time.sleep(0.05)
        pytest.fail((tmp_path / "log").read_text())

    yield start
    for process in started:
        process.terminate()
        process.wait(10)
