"""Flask, FastAPI (and so Starlette) and Litestar behind Volens: journeys under their servers, web sockets, mounts, test clients."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.frameworks.conftest import EXAMPLES
from tests.frameworks.journeys import STATES, Visitor, allowed, walk

SERVERS = {
    "flask run": ("flask_site", "-m", "flask", "--app", "flask_site", "run", "--port", "{port}"),
    "flask, waitress": ("flask_site", "-m", "waitress", "--listen=127.0.0.1:{port}", "flask_site:app"),
    "flask, gunicorn": ("flask_site", "-m", "gunicorn", "-b", "127.0.0.1:{port}", "-w", "2", "flask_site:app"),
    "fastapi": ("fastapi_site", "-m", "uvicorn", "--port", "{port}", "fastapi_site:app"),
    "litestar": ("litestar_site", "-m", "uvicorn", "--port", "{port}", "litestar_site:app"),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("server", SERVERS)
def test_every_way_through_the_site_works_in_every_state(served: Callable[..., int], server: str, state: str) -> None:
    assert walk(served(*SERVERS[server]), state) == []


@pytest.mark.parametrize("server", ["fastapi", "litestar"])
@pytest.mark.parametrize("state", ["none", "refused", "video"])
def test_a_web_socket_knows_the_choice(served: Callable[..., int], server: str, state: str) -> None:
    from websockets.sync.client import connect

    visitor = Visitor(served(*SERVERS[server]))
    visitor.choose(state)
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in visitor.jar.items())} if visitor.jar else {}
    with connect(f"ws://127.0.0.1:{visitor.port}/ws", additional_headers=cookie) as socket:
        said = json.loads(socket.recv())
    assert said["video"] is allowed(state, "video") and said.get("started", True) is True


def test_a_mounted_application_knows_the_choice(served: Callable[..., int]) -> None:
    visitor = Visitor(served(*SERVERS["fastapi"]))
    assert visitor.get("/inner/consent.json").json() == {"video": False}
    visitor.choose("video")
    assert visitor.get("/inner/consent.json").json() == {"video": True}
    assert visitor.get("/inner/_volens/panel").status == 404, "the reserved path is the whole site's"


@pytest.fixture(params=["flask", "fastapi", "litestar"])
def program(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, Any]]:
    """(the program, what Volens gives for it, a test client)."""
    folder = tmp_path_factory.mktemp(request.param)
    name = f"{request.param}_site"
    for file in (f"{name}.py", "site.toml"):
        shutil.copy(EXAMPLES / file, folder)
    sys.path.insert(0, str(folder))
    sys.modules.pop(name, None)
    module, face = importlib.import_module(name), importlib.import_module(f"volens.{request.param}")
    face.set_aside(module.app)
    if request.param == "flask":
        client = module.app.test_client()
    elif request.param == "fastapi":
        from starlette.testclient import TestClient

        client = TestClient(module.app)
    else:
        from litestar.testing import TestClient as LitestarClient

        client = LitestarClient(module.app)
    yield module, face, client
    sys.path.remove(str(folder))
    assert not list(folder.glob("volens.*")), "a test leaves no row among the visitors' own"


def test_the_test_client_answers_as_a_visitor(program: tuple[Any, Any, Any]) -> None:
    _, face, client = program
    video = lambda: json.loads(client.get("/consent.json").text)["video"]
    assert video() is False
    face.allow(client, "video")
    assert video() is True
    face.refuse(client)
    assert video() is False
    face.accept(client)
    assert video() is True
    with pytest.raises(ValueError, match="does not ask for 'vidéo'"):
        face.allow(client, "vidéo")


def test_an_answer_holds_over_both_schemes(program: tuple[Any, Any, Any]) -> None:
    _, face, client = program
    host = {"flask": "localhost", "litestar": "testserver.local"}.get(face.__name__.removeprefix("volens."), "testserver")
    video = lambda: [json.loads(client.get(f"{scheme}://{host}/consent.json").text)["video"] for scheme in ("http", "https")]
    face.allow(client, "video")
    assert video() == [True, True]
    face.refuse(client)
    assert video() == [False, False]
    face.accept(client)
    assert video() == [True, True]


def test_a_mistake_of_the_file_is_told_when_the_program_starts(tmp_path: Any) -> None:
    from fastapi import FastAPI
    from flask import Flask
    from litestar import Litestar

    from volens import ConfigError

    (tmp_path / "volens.toml").write_text('names = ["x.example"]\nlangages = ["en"]\n')
    for face, app in (("flask", Flask("x")), ("fastapi", FastAPI()), ("litestar", Litestar([]))):
        with pytest.raises(ConfigError, match="langages"):
            importlib.import_module(f"volens.{face}").protect(app, tmp_path / "volens.toml")


def test_templates_of_starlette_have_the_choice(tmp_path: Any) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route
    from starlette.templating import Jinja2Templates
    from starlette.testclient import TestClient

    from volens.starlette import accept, context, protect, set_aside

    (tmp_path / "page.html").write_text(
        "<!doctype html><title>x</title>{{ consent.allows('video') }} {{ volens_panel }} {{ volens_gate('/a\"b') }}"
    )
    templates = Jinja2Templates(tmp_path, context_processors=[context])
    shown = Route("/", lambda request: templates.TemplateResponse(request, "page.html"))
    app = Starlette(routes=[shown, Mount("/routes", routes=[shown]), Mount("/inner", Starlette(routes=[shown]))])
    protect(app, EXAMPLES / "site.toml")
    set_aside(app)
    client = TestClient(app)
    assert "False /_volens/panel?back=/%3Fa%3D1" in client.get("/?a=1").text
    accept(client)
    page = client.get("/").text
    assert "True /_volens/panel?back=/" in page and "&lt;volens-gate" not in page
    for path in ("/routes/", "/inner/"):  # what is mounted may be an application of its own
        assert f"True /_volens/panel?back={path}" in client.get(path).text
