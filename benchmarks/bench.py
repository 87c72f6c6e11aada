"""What every benchmark shares: free ports, processes that are started and ended, CPU read from the system, facts, results."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CHROMIUM_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
_TICK = os.sysconf("SC_CLK_TCK")


def shared() -> Path:
    """The measuring material: ``VOLENS_SHARED``, else ``../shared`` beside the project. It is no part of it."""
    found = Path(os.environ.get("VOLENS_SHARED") or ROOT.parent / "shared")
    if not (found / "leaks" / "corpora.json").exists():
        sys.exit(f"{found}: no measuring material there. Name its folder with VOLENS_SHARED.")
    return found


def chromium() -> str:
    """``VOLENS_CHROMIUM``, else the system's."""
    found = (
        os.environ.get("VOLENS_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    )
    return found or sys.exit("no Chromium: name one with VOLENS_CHROMIUM.")


def entities() -> Path:
    """third-party-web's list of hosts: ``TPW_ENTITIES``, else what a package manager has put beside the material."""
    for found in (
        Path(os.environ.get("TPW_ENTITIES", "-")),
        shared() / "npm" / "node_modules" / "third-party-web" / "dist" / "entities.json",
    ):
        if found.is_file():
            return found
    return sys.exit("third-party-web's dist/entities.json is missing (npm i third-party-web@0.30.0). Name it with TPW_ENTITIES.")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """The environment of what is started: the product and the demonstration of this tree."""
    path = [str(ROOT / "src"), str(ROOT / "demo"), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONDONTWRITEBYTECODE": "1", **more}


@contextlib.contextmanager
def running(command: Sequence[str], port: int, log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, from the moment it listens on ``port`` until the block ends."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=log.parent, env=environment(**more), stdout=out, stderr=out)
    try:
        end = time.monotonic() + 60
        while True:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{Path(command[0]).name} did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def cpu(pid: int) -> float:
    """Seconds of CPU that a process and those below it have used."""
    used = 0.0
    for one in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            used += (int(fields[11]) + int(fields[12])) / _TICK
    return used


def facts(*, browser: bool = False) -> dict[str, Any]:
    """What a reader must know of the machine; neither its name nor where anything lies."""
    told: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
    }
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        told["processor"] = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    if browser:
        told["chromium"] = version(chromium(), "--version")
    return told


def version(*command: str) -> str:
    """The first line in which a program names its version."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return next((line.strip() for line in (done.stdout + done.stderr).splitlines() if any(c.isdigit() for c in line)), "")


def table(rows: Sequence[Sequence[Any]]) -> str:
    """Rows under a head, as Markdown."""
    texts = [["" if cell is None else f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in texts]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def parser(doc: str | None, name: str) -> argparse.ArgumentParser:
    """A parser with ``--out``."""
    made = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    made.add_argument("--out", type=Path, default=RESULTS / f"{name}.json", help="where the raw figures go (default benchmarks/results/)")
    return made


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Raw figures, one file a benchmark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"\nraw figures: {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}", file=sys.stderr)
