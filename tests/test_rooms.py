"""Who may import whom: every module has a rank and a room, and imports lower ranks or its own room only."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"

# The longest name that fits counts: (rank, room).
ROOMS = {
    "volens.errors": (0, "core"),
    "volens.notice": (1, "core"),
    "volens.choice": (1, "core"),
    "volens.policy": (1, "core"),
    "volens.theme": (1, "core"),
    "volens.site": (2, "core"),
    "volens.languages": (2, "languages"),
    "volens.foreign": (2, "core"),
    "volens.catalog": (2, "catalog"),
    "volens.countries": (2, "countries"),
    "volens.regimes": (2, "regimes"),
    "volens.tally": (2, "tally"),
    "volens.findings": (3, "audience"),
    "volens.ledger.record": (2, "ledger"),
    "volens.ledger.cosign": (2, "ledger"),
    "volens.ledger": (3, "ledger"),
    "volens.accounts": (2, "accounts"),
    "volens.audience": (3, "audience"),
    "volens.settings": (3, "config"),
    "volens.config": (3, "config"),
    "volens.defaults": (3, "config"),
    "volens.wording": (3, "config"),
    "volens.enforce": (3, "enforce"),
    "volens.web": (4, "web"),
    "volens.links": (5, "frameworks"),
    "volens.testing": (5, "frameworks"),
    "volens.django": (5, "frameworks"),
    "volens.fastapi": (5, "frameworks"),
    "volens.flask": (5, "frameworks"),
    "volens.litestar": (5, "frameworks"),
    "volens.starlette": (5, "frameworks"),
    "volens.build": (5, "command"),
    "volens.cdn": (5, "command"),
    "volens.check": (5, "command"),
    "volens.init": (5, "command"),
    "volens.hosts": (5, "command"),
    "volens.custody": (5, "command"),
    "volens.evidence": (5, "command"),
    "volens.notices": (5, "command"),
    "volens.progress": (5, "command"),
    "volens.survey": (5, "command"),
    "volens.verify": (5, "command"),
    "volens.preview": (5, "command"),
    "volens.wordpress": (5, "command"),
    "volens.witness": (5, "command"),
    "volens.cli": (5, "command"),
    "volens": (6, "surface"),
}
PURE = {"volens.errors", "volens.notice", "volens.choice", "volens.policy", "volens.theme"}  # ranks 0 and 1
TOLD_APART = {"backports": "backports.zstd"}  # an import name that isn't its project's


def place(module: str) -> tuple[int, str]:
    """Rank and room; KeyError for a module nobody has given a room."""
    if module == "volens":
        return ROOMS[module]
    name = module
    while name != "volens":
        if name in ROOMS:
            return ROOMS[name]
        name = name.rpartition(".")[0]
    raise KeyError(f"{module} has no room: give it one in {Path(__file__).name}")


def modules() -> dict[str, Path]:
    """Every module of the product."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: str, known: set[str]) -> Iterator[str]:
    """The modules that a source imports, anywhere in it; ``from a import b`` is a.b where that is a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a thing comes from"
            module = node.module or ""
            for alias in node.names:
                yield f"{module}.{alias.name}" if f"{module}.{alias.name}" in known else module


def faults(module: str, source: str, known: set[str]) -> list[str]:
    """What is wrong with the imports of one module."""
    rank, room = place(module)
    wrong = []
    for target in sorted(set(imports(source, known))):
        top = target.partition(".")[0]
        if top == "volens":
            if target == "volens":
                wrong.append(f"{module} imports the public surface; name the module instead")
                continue
            other, of = place(target)
            if other > rank or (other == rank and of != room):
                wrong.append(f"{module} (rank {rank}, {room}) imports {target} (rank {other}, {of})")
        elif module in PURE and top not in sys.stdlib_module_names:
            wrong.append(f"{module} is rank {rank}, standard library only, and imports {target}")
    return wrong


@pytest.mark.parametrize("module", [name for name in modules() if name != "volens"])
def test_a_module_imports_lower_ranks_or_its_own_room(module: str) -> None:
    found = modules()
    assert faults(module, found[module].read_text("utf-8"), set(found)) == []


def test_the_pure_ranks_know_no_clock_environment_or_network() -> None:
    found = modules()
    for module in PURE:
        used = {name.partition(".")[0] for name in imports(found[module].read_text("utf-8"), set(found))}
        assert not used & {"os", "time", "socket", "http", "urllib", "pathlib", "logging", "sqlite3", "asyncio"}, module


def test_importing_the_package_loads_nothing_of_it() -> None:
    tree = ast.parse((SOURCE / "volens" / "__init__.py").read_text("utf-8"))
    for node in tree.body:  # what stands under TYPE_CHECKING is no statement of this level
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert all(name.partition(".")[0] in sys.stdlib_module_names for name in names), names


def test_every_third_party_import_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name != "demo"}  # the demonstration's own
    written = project["dependencies"] + [line for lines in extras.values() for line in lines]
    declared = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in written}
    used = set()
    for module, path in modules().items():
        for target in imports(path.read_text("utf-8"), set(modules())):
            top = target.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in ("volens", "compression"):  # compression: 3.14's standard library
                if module == "volens.cli" and top == "volens_demo":
                    continue  # the demonstration is started by the command, and may be absent
                used.add(TOLD_APART.get(top, top.replace("_", "-")))
    assert used - declared - {"playwright"} == set()  # `volens check` measures the notice where Playwright is
    assert declared - used == set(), "declared, and never imported"


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("volens.policy", "from volens.enforce.html import Rewriter", "imports volens.enforce.html (rank 3, enforce)"),
        ("volens.catalog", "from volens import wording", "imports volens.wording (rank 3, config)"),
        ("volens.enforce.made_up", "def f():\n    import volens.web.proxy", "imports volens.web.proxy (rank 4, web)"),
        ("volens.config", "if True:\n    from volens.ledger.sqlite import SqliteStore", "imports volens.ledger.sqlite (rank 3, ledger)"),
        ("volens.choice", "import aiohttp", "is rank 1, standard library only, and imports aiohttp"),
        ("volens.web.made_up", "from volens import Consent", "imports the public surface; name the module instead"),
    ],
)
def test_a_wrong_import_is_seen(module: str, source: str, said: str) -> None:
    assert [fault.endswith(said) for fault in faults(module, source, set(modules()))] == [True]


def test_a_module_without_a_room_is_seen() -> None:
    with pytest.raises(KeyError, match=r"volens\.helpers has no room"):
        place("volens.helpers")
