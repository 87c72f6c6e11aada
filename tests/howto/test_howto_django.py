"""The how-to on Django, done as it says, on a project as ``startproject`` makes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.running import free_port, listens, until

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "how-to" / "django.md").read_text("utf-8")


def block(language: str, holds: str) -> str:
    return next(text for text in re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL) if holds in text)


def test_two_commands_are_all() -> None:
    assert re.findall(r"^    ((?:pip|python|volens) .*)$", TEXT.partition("That is all:")[0], re.MULTILINE) == [
        'pip install "volens[django]"',
        "python manage.py runserver",
    ]


def test_a_new_project_stands_behind_volens(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}

    def run(*words: str) -> str:
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("-m", "django", "startproject", "mysite", ".")
    settings = tmp_path / "mysite" / "settings.py"
    text = settings.read_text()
    for name in ("INSTALLED_APPS", "MIDDLEWARE"):
        first = re.search(rf'^{name} = \[("[^"]+"), \.\.\.\]', block("python", "INSTALLED_APPS"), re.MULTILINE)
        assert first
        text = text.replace(f"{name} = [", f"{name} = [\n    {first[1]},")
    setting = re.search(r"^VOLENS = .*?}", block("python", "INSTALLED_APPS"), re.MULTILINE)
    assert setting
    settings.write_text(f"{text}\n{setting[0]}\n")
    (tmp_path / "volens.toml").write_text(block("toml", "[controller]"))
    assert "no issues" in run("manage.py", "check")
    port = free_port()
    command = [sys.executable, "manage.py", "runserver", "--noreload", f"localhost:{port}"]
    (tmp_path / "volens.toml").write_text(block("toml", "[controller]").replace("[services.youtube]", "[services.youtub]"))
    told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert told.returncode != 0 and "Did you mean 'youtube'" in told.stderr, "runserver tells what check tells"
    (tmp_path / "volens.toml").write_text(block("toml", "[controller]"))
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            assert until(lambda: listens(port), 60)
            asking = urllib.request.Request(f"http://localhost:{port}/", headers={"Accept": "text/html"})
            page = urllib.request.urlopen(asking, timeout=60).read().decode()
            assert "The install worked successfully" in page
            assert "Accept all" in page and "Refuse all" in page
        finally:
            server.terminate()


def test_its_tests_of_a_site_are_django_tests_that_pass(tmp_path: Path) -> None:
    """The example of a test, in a project with a page as the how-to shows it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, "-m", "django", "startproject", "mysite", "."], cwd=tmp_path, env=environment, check=True, timeout=60)
    settings = tmp_path / "mysite" / "settings.py"
    text = settings.read_text().replace("INSTALLED_APPS = [", 'INSTALLED_APPS = [\n    "volens.django",')
    settings.write_text(text.replace("MIDDLEWARE = [", 'MIDDLEWARE = [\n    "volens.django.Middleware",'))
    (tmp_path / "volens.toml").write_text(block("toml", "[controller]"))
    (tmp_path / "mysite" / "urls.py").write_text(
        "from django.http import HttpResponse\nfrom django.urls import path\n\n\ndef front(request):\n"
        '    film = "The film:" if request.consent.allows("video") else "A picture of the film."\n'
        '    return HttpResponse("<!doctype html><title>x</title>" + film)\n\n\nurlpatterns = [path("", front)]\n'
    )
    (tmp_path / "mysite" / "tests.py").write_text(block("python", "client_class"))
    done = subprocess.run(
        [sys.executable, "manage.py", "test", "mysite"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and "Ran 1 test" in done.stderr, done.stderr
    assert not list(tmp_path.glob("volens.db*"))
