"""Witnesses as their keepers run them: real processes on this machine, that tests start, stop and kill."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.running import free_port, until_listening
from volens import witness
from volens.ledger.cosign import PublicKey, WitnessKey
from volens.site import Witness

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "src")}
COMMAND = [sys.executable, "-m", "volens.cli", "witness"]
NAME = "temoin.example.org"


@dataclass
class Running:
    """One of them, with all of its files in ``folder``."""

    folder: Path
    port: int
    name: str = NAME
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def made(cls, folder: Path, logs: list[str], name: str = NAME) -> Running:
        """Configured for these logs, and started."""
        folder.mkdir(exist_ok=True)
        one = cls(folder, free_port(), name)
        witness.init(one.config, name, logs, f"127.0.0.1:{one.port}")
        one.start()
        return one

    @property
    def config(self) -> Path:
        return self.folder / "witness.toml"

    @property
    def key(self) -> PublicKey:
        return WitnessKey.open(self.folder / "witness.key", self.name).public

    @property
    def site(self) -> Witness:
        """As a publisher's configuration names it."""
        return Witness(f"http://127.0.0.1:{self.port}", self.key.text)

    def start(self, program: list[str] | None = None) -> None:
        with (self.folder / "log").open("ab") as out:
            command = [*(program or COMMAND), "--config", str(self.config)]
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=ENVIRONMENT)
        until_listening(self.process, self.port, self.folder / "log")

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def end(self) -> None:
        """Whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def ask(self, body: bytes, method: str = "POST", path: str = "/add-checkpoint", **headers: str) -> tuple[int, str, str]:
        """Status, type and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers["content-type"] or "", answer.read().decode()
        finally:
            connection.close()

    def said(self) -> str:
        return (self.folder / "log").read_text("utf-8")

    def report(self) -> tuple[int, list[dict[str, object]]]:
        command = [*COMMAND, "report", "--json", "--config", str(self.config)]
        done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, check=False)
        return done.returncode, json.loads(done.stdout)["refused"]
