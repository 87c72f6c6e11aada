"""The programs of ``docs/examples``, started as their own first lines say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import free_port, until_listening

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts one of the examples in a folder of its own; its address, without the last slash."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *more: str) -> str:
        for kind in ("py", "toml"):
            shutil.copy(ROOT / "docs" / "examples" / f"{name}.{kind}", tmp_path)
        port = free_port()
        command = [sys.executable, str(tmp_path / f"{name}.py"), str(port), *more]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        with open(tmp_path / "log", "wb") as log:
            started.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log))
        until_listening(started[-1], port, tmp_path / "log")
        return f"http://site.localhost:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait(10)
