"""What tests wait for, and the programs they start: a port nobody listens on, and when a program listens there."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest


def until(what: Callable[[], Any], patience: float = 30.0) -> Any:
    """What ``what`` says once it is true, or last, when that many seconds are over: only a failing test takes them."""
    end = time.monotonic() + patience
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def free_port() -> int:
    """One on this machine that nobody listens on now. Below those that systems give to whoever asks for any (32768 on Linux, 49152 by
    RFC 6335), so that no connection takes it before the program that is told of it."""
    while True:
        port = 15000 + secrets.randbelow(17000)
        with socket.socket() as asked, suppress(OSError):
            asked.bind(("127.0.0.1", port))
            return port


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
