"""The public surface, tested: names, commands, and the built package in an environment that has nothing else of ours."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import volens
from tests.running import free_port
from volens.cli import main

ROOT = Path(__file__).parent.parent
COMMANDS = (
    "init",
    "demo",
    "proxy",
    "serve",
    "build",
    "wordpress",
    "check",
    "catalog",
    "bypass",
    "hosts",
    "witness",
    "notice",
    "evidence",
    "ledger",
    "keys",
    "verify",
)


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, check=False, **options)  # type: ignore[call-overload,no-any-return]


# ------------------------------------------------------------------------ names


@pytest.mark.parametrize("name", volens.__all__)
def test_each_public_name_is_there_and_says_what_it_is(name: str) -> None:
    thing = getattr(volens, name)
    assert (thing.__doc__ or "").strip()
    assert thing.__module__ == volens._WHERE[name]


def test_the_reference_names_what_is_public_and_nothing_else() -> None:
    text = (ROOT / "docs" / "reference" / "python.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| `([A-Za-z]+)` \|", text, re.MULTILINE)) == sorted(volens.__all__)
    assert sorted(volens._WHERE) == volens.__all__ == dir(volens)


def test_another_name_is_told_apart() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Consents'; it has Catalog"):
        _ = volens.Consents


def test_importing_the_package_loads_no_module_of_it() -> None:
    source = "import sys, volens; print([m for m in sys.modules if m.startswith('volens.')]); volens.Grant; print('aiohttp' in sys.modules)"
    shown = run(sys.executable, "-c", source, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
    assert shown.stdout.split("\n")[:2] == ["[]", "False"]


# ------------------------------------------------------------------------ commands


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_tells_its_options_and_the_reference_names_them(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")
    section = re.search(rf"^## `volens {command}.*?(?=^## |\Z)", reference, re.MULTILINE | re.DOTALL)
    assert section, f"docs/reference/cli.md has no section on volens {command}"
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--help"}
    assert options == set(re.findall(r"^\| `(--[a-z][a-z-]+)", section[0], re.MULTILINE))


def test_the_commands_are_these(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert tuple(re.findall(r"^    ([a-z]+)\b", capsys.readouterr().out, re.MULTILINE)) == COMMANDS
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")
    assert tuple(re.findall(r"^## `volens ([a-z]+)`", reference, re.MULTILINE)) == COMMANDS


def test_an_unknown_command_is_refused_and_the_known_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["prox"])
    assert left.value.code == 2
    assert "proxy" in capsys.readouterr().err


def test_a_proxy_without_configuration_listens_on_loopback_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["proxy", "--upstream", "http://127.0.0.1:9", "--listen", "0.0.0.0:0"]) == 2
    assert "--unconfigured" in capsys.readouterr().err


# ------------------------------------------------------------------------ package


def test_the_locks_pin_by_hash_and_hold_no_address() -> None:
    for name in ("run.lock", "demo.lock", "dev.lock"):
        text = (ROOT / "requirements" / name).read_text("utf-8")
        entries = re.split(r"\n(?=[a-z])", text)[1:]
        assert len(entries) > 20
        assert all(re.match(r"[a-z0-9._-]+==\S+", entry) and "--hash=sha256:" in entry for entry in entries)
        assert not re.search(r"https?:|://|index-url|find-links", text)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_product_and_the_demonstration_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "volens").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert source <= names
    assert {"volens_demo/volens.toml", "volens_demo/serve.py", "volens_demo/static/courrier.css"} <= names
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"volens", "volens_demo"}


def test_the_built_package_runs_alone(wheel: Path, tmp_path: Path) -> None:
    """The wheel in a new environment, with what it declares and no development tool."""
    venv.create(tmp_path / "alone", with_pip=True)
    python = tmp_path / "alone" / "bin" / "python"
    for options in (["--require-hashes", "-r", ROOT / "requirements" / "run.lock"], ["--no-deps", wheel]):
        done = run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *options)
        assert done.returncode == 0, done.stderr
    assert run(python, "-m", "pip", "check").returncode == 0
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = tmp_path / "alone" / "bin" / "volens"
    told = run(command, "catalog", "www.google-analytics.com", "--json", cwd=tmp_path, env=clean)
    assert told.returncode == 0, told.stderr
    assert "Google Analytics" in json.dumps(json.loads(told.stdout))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert run(command, "--version", cwd=tmp_path, env=clean).stdout.strip() == version
    checked = run(command, "check", ROOT / "docs" / "examples" / "volens.toml", "--no-browser", cwd=tmp_path, env=clean)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_demonstration_finds_its_configuration_in_the_wheel(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path)
    source = "import sys; sys.path.insert(0, '.'); import volens_demo.serve as s; print(s.CONFIG.resolve())"
    shown = run(sys.executable, "-P", "-c", source, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert Path(shown.stdout.strip()) == (tmp_path / "volens_demo" / "volens.toml").resolve()
    assert Path(shown.stdout.strip()).exists()


# ------------------------------------------------------------------------ the scripts in pages


def test_the_browser_files_match_their_sources_and_the_sources_their_types(tmp_path: Path) -> None:
    if not shutil.which("npm"):
        pytest.skip("Node is not installed; the built files are committed and nobody needs it to use Volens")
    for part in ("browser", "tools", "src/volens/static"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("node_modules"))
    for command in (["npm", "ci", "--no-audit", "--no-fund"], ["npm", "run", "types"], ["npm", "run", "check"]):
        done = run(*command, cwd=tmp_path / "browser")
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"


# ------------------------------------------------------------------------ documents


def test_the_figures_in_the_readme_are_those_that_were_measured(tmp_path: Path) -> None:
    shown = run(sys.executable, ROOT / "tools" / "figures.py", "--check")
    assert shown.returncode == 0, shown.stderr
    sys.path.insert(0, str(ROOT / "tools"))
    import figures

    told = {"format": "volens-benchmark-one/1", "cores": 2}
    (tmp_path / "one.json").write_text(json.dumps({**told, "figures": {"volens": {"kib_extra": 5.25, "leaks": ["a", "b"]}}}))
    assert "|  | kib extra |\n|---|---|\n| volens | 5.25 |" in figures.text(tmp_path)
    (tmp_path / "one.json").write_text(json.dumps({**told, "mb_s": {"first": 71.04}, "rounds": 5}))
    assert (
        "(2 cores, [raw](benchmarks/results/one.json))\n\n|  | measured |\n|---|---|\n| mb s: first | 71 |\n| rounds | 5 |"
        in figures.text(tmp_path)
    )
    assert figures.placed(f"a{figures.START}\nold\n{figures.END}b", "new") == f"a{figures.START}\nnew\n{figures.END}b"
    with pytest.raises(figures.FiguresError, match="marks"):
        figures.placed("nothing", "new")


@pytest.mark.parametrize("document", sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]))
def test_a_document_leads_nowhere_that_is_not_there(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8")):
        if not re.match(r"[a-z]+:", target) and not target.startswith("benchmarks/results"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "NOTICE"])
def test_no_document_names_a_machine(name: str) -> None:
    assert not re.search(r"/(?:home|root|opt|work)/", (ROOT / name).read_text("utf-8"))


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """Its commands, in their order, from the second step on (the first installs the package, which another test does)."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "tutorial" / "first-page.md").read_text("utf-8"), re.DOTALL)[1:]
    assert len(blocks) == 6
    site, first = free_port(), free_port()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    wait = "for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:8080/ && break; sleep 0.1; done\n"
    script = "trap 'kill $(jobs -p)' EXIT\n" + blocks[0] + blocks[1] + wait + "echo ==\n" + blocks[2] + "echo ==\n" + blocks[3]
    script += "echo ==\nkill $!; wait $! 2>/dev/null\n" + blocks[4] + wait
    script += "curl -s -H 'Accept: text/html' http://127.0.0.1:8080/\necho ==\n" + blocks[5]
    script = script.replace("3000", str(site)).replace("8080", str(first))
    shown = run("bash", "-c", script, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
    parts = shown.stdout.split("==\n")
    assert len(parts) == 5, shown.stdout + shown.stderr
    assert 'data-volens-src="https://www.googletagmanager.com' in parts[1], shown.stdout + shown.stderr
    assert 'src="/_volens/embed/frame?u=https://www.youtube.com' in parts[1]
    assert re.search(r"(?i)^content-security-policy: default-src 'self' (?!.*https?:)", parts[1], re.MULTILINE)
    assert "localhost asks for" in parts[2]
    assert "The Riverside" in parts[3]
    assert "record" in parts[4]
