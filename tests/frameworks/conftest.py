"""The programs of ``docs/examples`` under the servers that serve such programs."""

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
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """Starts ``python -m …`` (``{port}`` stands for one that is free) beside a copy of the program ``name``; its port."""
    started: list[subprocess.Popen[bytes]] = []
    ran: dict[tuple[str, ...], int] = {}

    def start(name: str, *command: str, before: tuple[tuple[str, ...], ...] = ()) -> int:
        if (name, *command) in ran:
            return ran[name, *command]
        folder = tmp_path_factory.mktemp(name)
        for file in (f"{name}.py", "site.toml"):
            shutil.copy(EXAMPLES / file, folder)
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{folder}", "PYTHONUNBUFFERED": "1"}
        for words in before:
            subprocess.run([sys.executable, *words], cwd=folder, env=environment, check=True, capture_output=True, timeout=120)
        port = free_port()
        words = [sys.executable, *(word.format(port=port) for word in command)]
        with open(folder / "log", "wb") as log:
            started.append(subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log))
        until_listening(started[-1], port, folder / "log")
        ran[name, *command] = port
        return port

    yield start
    for process in started:
        process.terminate()
        process.wait(15)
