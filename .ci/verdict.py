"""Reads pytest's JUnit files: every skip must be named in .ci/allowed-skips, and no folder may run fewer tests than .ci/floor says.

``verdict.py FOLDER`` judges; ``verdict.py FOLDER --write`` writes the present counts as the new floor. A test that is skipped
by an allowed reason counts as run: the floor guards against tests that are silently not collected.
"""

from __future__ import annotations

import fnmatch
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent


def allowed() -> list[tuple[str, str]]:
    """Pairs of name pattern and reason."""
    rows = [
        line.split("|", 1) for line in (HERE / "allowed-skips").read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")
    ]
    for row in rows:
        if len(row) != 2 or not row[1].strip():
            raise SystemExit(f".ci/allowed-skips: {row[0].strip()!r} has no reason. Write: NAME | REASON")
    return [(name.strip(), reason.strip()) for name, reason in rows]


def main() -> int:
    folder = Path(sys.argv[1])
    ran: Counter[str] = Counter()
    wrong: list[str] = []
    names = allowed()
    files = sorted(folder.glob("*.xml"))
    if not files:
        print(f"verdict: no results in {folder}")
        return 1
    for file in files:
        for case in ElementTree.parse(file).iter("testcase"):
            module = case.get("classname", "")
            name = f"{module}::{case.get('name')}"
            parts = module.split(".")
            ran[parts[1] if len(parts) > 2 else parts[-1]] += 1
            if case.find("failure") is not None or case.find("error") is not None:
                wrong.append(f"failed: {name}")
            skipped = case.find("skipped")
            if skipped is None:
                continue
            said = skipped.get("message", "")
            if skipped.get("type") == "pytest.xfail":
                print(f"known gap: {name}: {said}")
            elif reason := next((reason for pattern, reason in names if fnmatch.fnmatchcase(name, pattern)), None):
                print(f"skipped, as allowed: {name}: {said} ({reason})")
            else:
                wrong.append(f"skipped, and not named in .ci/allowed-skips: {name}: {said}")
    floor = HERE / "floor"
    if "--write" in sys.argv:
        floor.write_text(
            "# Tests to be run at least, by folder or file of tests/. Written by: .ci/verdict.py FOLDER --write\n"
            + "".join(f"{name} {ran[name]}\n" for name in sorted(ran)),
            "utf-8",
        )
    for line in floor.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, count = line.split()
            if ran[name] < int(count):
                wrong.append(f"{name}: {ran[name]} tests ran, {count} are expected")
    print(f"{sum(ran.values())} tests: " + ", ".join(f"{name} {ran[name]}" for name in sorted(ran)))
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
