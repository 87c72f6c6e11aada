"""Which Chromium the tests run in: an installed one, else Playwright's, else the distribution's package where we may.

``find_chromium.py FILE`` writes its path and where it came from to FILE, a line each; ``--say FILE`` says them.
A browser counts as found when it starts and shows a page: a file of that name may be a stub, or lack its libraries.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")


def starts(path: str) -> bool:
    """Whether the browser at ``path`` starts headless and shows a page."""
    command = [path, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "data:text/html,<title>volens</title>"]
    try:
        shown = subprocess.run(command, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"<title>volens</title>" in shown.stdout


def named() -> str | None:
    """The one that ``VOLENS_CHROMIUM`` names."""
    return os.environ.get("VOLENS_CHROMIUM") or None


def installed() -> str | None:
    """One on the path of this machine."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def playwright() -> str | None:
    """Playwright's own, fetched where it isn't there yet."""
    from playwright.sync_api import sync_playwright

    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    with sync_playwright() as driver:
        path = driver.chromium.executable_path
    if Path(path).exists() and not starts(path) and _root():
        subprocess.run([sys.executable, "-m", "playwright", "install-deps", "chromium"], check=False)
    return path


def packaged() -> str | None:
    """The distribution's package, where we may install it."""
    if not _root() or not shutil.which("apt-get"):
        return None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], env=environment, check=False)
    subprocess.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"], env=environment, check=False)
    return shutil.which("chromium")


def _root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


WAYS = (
    (named, "VOLENS_CHROMIUM"),
    (installed, "installed on this machine"),
    (playwright, "Playwright's"),
    (packaged, "the distribution's package"),
)


def say(path: str, origin: str) -> None:
    """One line: version, path, origin."""
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    print(f"Chromium: {version or 'version unknown'} at {path} ({origin})", flush=True)


def main() -> int:
    if sys.argv[1] == "--say":
        say(*Path(sys.argv[2]).read_text("utf-8").splitlines())
        return 0
    for way, origin in WAYS:
        path = way()
        if path and starts(path):
            Path(sys.argv[1]).write_text(f"{path}\n{origin}\n", "utf-8")
            return 0
        if path:
            print(f"Chromium: {path} ({origin}) does not start", flush=True)
    print(
        "Chromium: none found, and none could be fetched. Install the package chromium, or name one: VOLENS_CHROMIUM=/path", file=sys.stderr
    )
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
