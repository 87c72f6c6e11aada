"""Programs that tests start: a port nobody listens on, and when a program listens there."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest


def free_port() -> int:
    """One on this machine that nobody listens on now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody does."""
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def until_listening(process: subprocess.Popen[bytes], port: int, log: Path | None = None, patience: float = 60.0) -> None:
    """Wait for that; the test fails with what stands in ``log`` where the process ends first, or takes more seconds than that."""
    end = time.monotonic() + patience
    while not listens(port):
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"{process.args} does not listen. {log.read_text('utf-8', 'replace')[-3000:] if log else ''}")
        time.sleep(0.05)
