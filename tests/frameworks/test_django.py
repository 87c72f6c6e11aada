"""Django behind Volens: journeys under its servers, the system checks, the tags, the cache, and the test client."""

from __future__ import annotations

import asyncio
import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.frameworks.conftest import EXAMPLES
from tests.frameworks.journeys import PURPOSES, STATES, TRACKER, Visitor, allowed, walk
from volens.web.consent import Consent

SERVERS = {
    "runserver": ("django_site.py", "runserver", "--noreload", "--insecure", "127.0.0.1:{port}"),
    "gunicorn": ("-m", "gunicorn", "-b", "127.0.0.1:{port}", "-w", "2", "--threads", "4", "django_site:application"),
    "waitress": ("-m", "waitress", "--listen=127.0.0.1:{port}", "django_site:application"),
    "uvicorn": ("-m", "uvicorn", "--port", "{port}", "django_site:asgi"),
}
USER = """from django_site import *
from django.contrib.auth.models import User
User.objects.create_superuser('ada', 'a@b.example', 'lovelace')"""
BEFORE = (("django_site.py", "migrate"), ("-c", USER))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("server", SERVERS)
def test_every_way_through_the_site_works_in_every_state(served: Callable[..., int], server: str, state: str) -> None:
    assert walk(served("django_site", *SERVERS[server], before=BEFORE), state) == []


def test_static_files_pass_as_they_are(served: Callable[..., int]) -> None:
    import django

    answer = Visitor(served("django_site", *SERVERS["runserver"], before=BEFORE)).get("/static/admin/css/base.css", Sec_Fetch_Dest="style")
    assert answer.body == (Path(django.__file__).parent / "contrib/admin/static/admin/css/base.css").read_bytes()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The program, imported: Django is set up for this process, with a database of its own."""
    folder = tmp_path_factory.mktemp("django")
    for file in ("django_site.py", "site.toml"):
        shutil.copy(EXAMPLES / file, folder)
    sys.path.insert(0, str(folder))
    module = importlib.import_module("django_site")
    from django.core.management import call_command
    from django.test.utils import setup_test_environment, teardown_test_environment

    call_command("migrate", verbosity=0)
    exec(USER, {})
    setup_test_environment()
    yield module
    teardown_test_environment()
    sys.path.remove(str(folder))


@pytest.fixture
def client(site: Any) -> Any:
    from volens.django.test import Client

    return Client(raise_request_exception=False)


def answered(client: Any, state: str) -> Any:
    if state in PURPOSES:
        client.allow(state)
    elif state != "none":
        client.accept() if state == "accepted" else client.refuse()
    return client


@pytest.mark.parametrize("state", STATES)
def test_the_test_client_answers_as_a_visitor_and_leaves_the_ledger_alone(client: Any, site: Any, state: str) -> None:
    page = answered(client, state).get("/")
    assert ("The film:" in page.content.decode()) is allowed(state, "video")
    assert (TRACKER in page.content.decode()) is allowed(state, "personnalisation")
    assert page.wsgi_request.consent.decide("video").allowed is allowed(state, "video")
    client.refuse()
    assert TRACKER not in client.get("/").content.decode()
    assert not list(site.HERE.glob("volens.*"))


@pytest.mark.parametrize("answered_over", ["http", "https"])
def test_an_answer_holds_over_both_schemes(client: Any, answered_over: str) -> None:
    """A cookie's name over https is another, and a test goes from one to the other with ``secure=True``."""
    client.defaults["wsgi.url_scheme"] = answered_over
    shown = lambda: ["The film:" in client.get("/", secure=secure).content.decode() for secure in (False, True)]
    client.allow("video")
    assert shown() == [True, True]
    client.refuse()
    assert shown() == [False, False]
    client.accept()
    assert shown() == [True, True]


def test_the_test_client_knows_what_is_asked(client: Any) -> None:
    with pytest.raises(ValueError, match="does not ask for 'vidéo'; it asks for reseaux-sociaux, video, personnalisation"):
        client.allow("vidéo")


def test_the_asynchronous_client_too(site: Any) -> None:
    from volens.django.test import AsyncClient

    async def told(state: str) -> Any:
        client = AsyncClient()
        if state == "video":
            await client.allow("video")
        elif state != "none":
            await (client.accept() if state == "accepted" else client.refuse())
        return (await client.get("/consent.json")).json()

    for state in ("none", "refused", "video", "accepted"):
        assert asyncio.run(told(state))["video"] is allowed(state, "video")


@pytest.mark.parametrize("state", STATES)
def test_the_admin_works(site: Any, state: str) -> None:
    from django.contrib.auth.models import Group

    from volens.django.test import Client

    client = answered(Client(enforce_csrf_checks=True), state)

    def post(path: str, **fields: str) -> Any:
        client.get(path)
        return client.post(path, {**fields, "csrfmiddlewaretoken": client.cookies["csrftoken"].value})

    assert post("/admin/login/", username="ada", password="lovelace", next="/admin/").status_code == 302
    assert "Site administration" in client.get("/admin/").content.decode()
    assert post("/admin/auth/group/add/", name=state).status_code == 302
    listed = client.get("/admin/auth/group/").content.decode()
    assert f">{state}</a>" in listed and "was added successfully" in listed
    assert Group.objects.filter(name=state).delete()[0] == 1


@pytest.mark.parametrize("per_view", [False, True])
def test_djangos_cache_keeps_no_page_that_read_the_choice(site: Any, per_view: bool) -> None:
    from django.core.cache import cache
    from django.http import HttpResponse
    from django.shortcuts import render
    from django.test import override_settings
    from django.urls import path
    from django.views.decorators.cache import cache_page

    from volens.django.test import Client

    made: list[str] = []

    def asks(request: Any) -> Any:
        made.append("asks")
        return render(request, "asks")

    def plain(request: Any) -> Any:
        made.append("plain")
        return HttpResponse("<!doctype html><title>x</title>" + TRACKER + "></script>")

    keep = cache_page(60) if per_view else lambda view: view
    urls = type("urls", (), {"urlpatterns": [path("asks", keep(asks)), path("plain", keep(plain))]})
    templates = [{**site.settings.TEMPLATES[0]}]
    text = "{% load volens %}<!doctype html><title>x</title>{% consent 'video' %}A film{% else %}No film{% endconsent %}"
    templates[0]["OPTIONS"] = {**templates[0]["OPTIONS"], "loaders": [("django.template.loaders.locmem.Loader", {"asks": text})]}
    cache.clear()
    with override_settings(ROOT_URLCONF=urls, TEMPLATES=templates, **({"MIDDLEWARE": ["volens.django.Middleware"]} if per_view else {})):
        for state in ("accepted", "refused", "none", "video"):
            client = answered(Client(), state)
            assert ("A film" in client.get("/asks").content.decode()) is allowed(state, "video")
            page = client.get("/plain")
            assert (TRACKER in page.content.decode()) is allowed(state, "personnalisation")
    assert made.count("asks") == 4 and made.count("plain") == 1, "what does not read the choice is kept, and judged for each visitor"


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({}, []),
        ({"MIDDLEWARE": ["django.middleware.common.CommonMiddleware"]}, ["volens.E003"]),
        ({"MIDDLEWARE": ["volens.django.Middleware"] * 2}, ["volens.E004"]),
        ({"MIDDLEWARE": ["django.middleware.cache.UpdateCacheMiddleware", "volens.django.Middleware"]}, ["volens.E005"]),
        ({"MIDDLEWARE": ["django.middleware.gzip.GZipMiddleware", "volens.django.Middleware"]}, ["volens.W002"]),
        ({"MIDDLEWARE": ["django.contrib.sessions.middleware.SessionMiddleware", "volens.django.Middleware"]}, ["volens.E006"]),
        ({"MIDDLEWARE": ["django.middleware.security.SecurityMiddleware", "volens.django.Middleware"]}, []),
        ({"VOLENS": {"CONFIGURATION": "x"}}, ["volens.E001"]),
        ({"VOLENS": {"CONFIG": "/nowhere/volens.toml"}}, ["volens.E002"]),
        ({"TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]}, ["volens.W003"]),
        ({"CSRF_COOKIE_NAME": "ourtoken"}, ["volens.E007"]),
        ({"SESSION_COOKIE_NAME": "oursession"}, []),
    ],
)
def test_the_system_checks_tell_each_mistake(site: Any, settings: dict[str, Any], ids: list[str]) -> None:
    from django.core.checks import run_checks
    from django.test import override_settings

    with override_settings(**settings):
        found = [message for message in run_checks() if (message.id or "").startswith("volens.")]
    assert [message.id for message in found] == ids
    assert all(message.hint or "Write VOLENS" in message.msg for message in found)


def test_the_system_checks_tell_every_mistake_of_the_file(site: Any, tmp_path: Path) -> None:
    from django.core.checks import run_checks
    from django.test import override_settings

    (tmp_path / "volens.toml").write_text('names = ["x.example"]\nlangages = ["en"]\n[purposes.video]\nprofiles = 3\n')
    with override_settings(BASE_DIR=tmp_path, VOLENS={}):
        found = [str(message) for message in run_checks() if message.id == "volens.E002"]
    assert len(found) >= 3 and any("langages" in text and "HINT" in text for text in found), found


def test_a_host_that_django_refuses_is_refused_by_django(client: Any) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_behind_another_face_of_volens_it_only_tells_the_choice(site: Any) -> None:
    from volens import testing
    from volens.django.configuration import opened

    seen: list[Any] = []
    loaded = testing.aside(opened().loaded, site.HERE / "aside")
    (site.HERE / "aside").mkdir()
    around = Consent(site.application, loaded)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "testserver", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    import io

    body = b"".join(around({**environ, "wsgi.input": io.BytesIO()}, lambda *head: seen.append(head))).decode()
    assert "A picture of the film." in body and body.count("<volens-notice") == 1


@pytest.fixture
def accounts(site: Any, tmp_path: Path) -> Iterator[Any]:
    """The same site with ``[accounts]`` enabled; ``said`` is what its pages say of who is logged in."""
    from dataclasses import replace

    from django.http import HttpResponse
    from django.test import override_settings
    from django.urls import path

    from volens.django import configuration
    from volens.django.test import set_aside

    class Said:
        header: Any = None
        meta: Any = None

    def page(request: Any) -> Any:
        response = HttpResponse("<!doctype html><title>x</title>" + TRACKER + "></script>")
        if Said.header is not None:
            response["Volens-Account"] = Said.header
        if Said.meta is not None:
            request.META["volens.account"] = Said.meta
        return response

    async def later(request: Any) -> Any:
        return page(request)

    set_aside()
    urls = type("urls", (), {"urlpatterns": [path("plain", page), path("later", later)]})
    front = ("HTTP_X_FORWARDED_PROTO", "https")
    with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=["volens.django.Middleware"], SECURE_PROXY_SSL_HEADER=front):
        opened = configuration.opened()
        before = opened.loaded
        opened.move(replace(before, site=replace(before.site, accounts=True), accounts=str(tmp_path / "accounts.db")))
        yield Said
        opened.close()
        opened.move(before)


@pytest.mark.parametrize("way", ["header", "meta"])
def test_the_choice_follows_the_account_over_two_devices(accounts: Any, way: str) -> None:
    from volens.django.test import Client

    first, second, nobody = (Client(HTTP_X_FORWARDED_PROTO="https") for _ in range(3))
    setattr(accounts, way, "184467")
    for client in (first, second):
        answer = client.get("/plain")
        assert "Volens-Account" not in answer and "HttpOnly; SameSite=Lax; Secure" in client.cookies["__Host-volens-account"].OutputString()
    setattr(accounts, way, None)
    first.accept()
    assert "volens" not in first.cookies and "volens-record" not in first.cookies
    assert TRACKER in second.get("/plain").content.decode() and TRACKER not in nobody.get("/plain").content.decode()
    second.refuse()
    assert TRACKER not in first.get("/plain").content.decode()
    setattr(accounts, way, "")
    first.get("/plain")
    assert first.cookies["__Host-volens-account"].value == ""


def test_and_asynchronously_reading_the_file_off_the_loop(accounts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from volens import testing
    from volens.accounts import Accounts
    from volens.django.configuration import opened
    from volens.django.test import AsyncClient, _arguments

    read, threads = Accounts.get, set()

    def noted(self: Any, *named: str) -> Any:
        threads.add(threading.current_thread().name)
        return read(self, *named)

    monkeypatch.setattr(Accounts, "get", noted)

    async def walk() -> str:
        client = AsyncClient()
        accounts.header = "184467"
        await client.get("/later", secure=True)
        assert (await client.post(**_arguments(testing.accepted(opened())), secure=True)).status_code == 201
        return str((await client.get("/later", secure=True)).content.decode())

    assert TRACKER in asyncio.run(walk())
    assert threads and all(name.startswith("volens-accounts-read") for name in threads)
