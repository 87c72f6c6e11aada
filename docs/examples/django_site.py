"""A whole Django site behind Volens in one file: `python django_site.py migrate`, then `python django_site.py runserver 8080`,
or `gunicorn django_site:application`, or `uvicorn django_site:asgi`. http://site.localhost:8080/"""

import asyncio
import io
import os
import sys
import time
from pathlib import Path

import django
from django.conf import settings

HERE = Path(__file__).resolve().parent

PAGE = """{% load volens %}<!doctype html><html lang="en"><meta charset="utf-8"><title>The bridge</title>
<h1>The bridge is open</h1>
{% consent "video" %}<p>The film:</p>{% else %}<p>A picture of the film.</p>{% endconsent %}
<iframe src="https://www.youtube.com/embed/dQw4w9WgXcQ" width="560" height="315"></iframe>
<script src="https://www.google-analytics.com/analytics.js"></script>
{% consent_gate "/comments" id="write" %}
<form method="post" action="/comments">{% csrf_token %}<textarea name="text"></textarea><button>Publish</button></form>
<form method="post" action="/notes">{% csrf_token %}<input name="text"><button>Note it</button></form>
<form method="post" action="/upload" enctype="multipart/form-data">{% csrf_token %}
<input type="file" name="file"><button>Send</button></form>
<p><a href="{% consent_panel %}">Your choices</a></p>"""
SIGN_IN = """<!doctype html><html lang="en"><title>Sign in</title><h1>Sign in</h1>
<form method="post">{% csrf_token %}{{ form }}<button>Sign in</button></form>"""

settings.configure(
    DEBUG=False,
    BASE_DIR=HERE,
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("SECRET_KEY", "only-for-this-example"),
    ALLOWED_HOSTS=["site.localhost", "127.0.0.1", "testserver"],
    CSRF_TRUSTED_ORIGINS=[],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": HERE / "site.db"}},
    INSTALLED_APPS=[
        "volens.django",  # the system checks, and {% load volens %}
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
    ],
    MIDDLEWARE=[
        "volens.django.Middleware",  # first
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ],
    VOLENS={"CONFIG": HERE / "site.toml"},
    CACHE_MIDDLEWARE_SECONDS=60,
    STATIC_URL="static/",
    LOGIN_URL="/sign-in",
    LOGIN_REDIRECT_URL="/account",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    ("django.template.loaders.locmem.Loader", {"page": PAGE, "sign-in": SIGN_IN}),
                    "django.template.loaders.app_directories.Loader",
                ],
                "context_processors": [
                    "django.template.context_processors.request",  # {% consent %} reads the request
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ],
            },
        }
    ],
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.decorators import login_required  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import FileResponse, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.shortcuts import render  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils.html import escape  # noqa: E402

PARTS = [
    "<!doctype html><html lang=en><title>Live</title><h1>Live</h1>",
    "<script src=https://www.google-analytics.com/analytics.js></script>",
]


def front(request):
    response = render(request, "page")
    response.set_cookie("_ga", "GA1.1.1", max_age=3600)  # personnalisation: withheld until it is allowed
    return response


def consent(request):
    asked = ("technique", "reseaux-sociaux", "video", "personnalisation")
    return JsonResponse({purpose: request.consent.allows(purpose) for purpose in asked} | {"cookies": sorted(request.COOKIES)})


@login_required
def account(request):
    return HttpResponse(f"<!doctype html><title>Account</title><h1>{escape(request.user.username)}</h1>")


def said(request):
    return HttpResponse(f"<!doctype html><title>Said</title><p>{escape(request.POST['text'])}</p>")


def upload(request):
    data = request.FILES["file"].read()
    return JsonResponse({"bytes": len(data), "name": request.FILES["file"].name})


def live(request):
    if hasattr(request, "scope"):

        async def parts():
            for part in [*PARTS, "<p>still open</p>" * 100, "<p>the end"]:
                yield part
                await asyncio.sleep(0.05)
    else:

        def parts():
            for part in [*PARTS, "<p>still open</p>" * 100, "<p>the end"]:
                yield part
                time.sleep(0.05)

    return StreamingHttpResponse(parts(), content_type="text/html; charset=utf-8")


def file(request):
    return FileResponse(io.BytesIO(bytes(range(256)) * 1000), as_attachment=True, filename="data.bin")


def boom(request):
    raise RuntimeError("on purpose")


def shown(status, text):
    tracker = '<script src="https://www.google-analytics.com/analytics.js"></script>'
    return HttpResponse(f"<!doctype html><title>{text}</title><h1>{text}</h1>{tracker}", status=status)


handler404 = lambda request, exception: shown(404, "Not here")  # noqa: E731
handler500 = lambda request: shown(500, "Our mistake")  # noqa: E731

urlpatterns = [
    path("", front),
    path("consent.json", consent),
    path("sign-in", LoginView.as_view(template_name="sign-in"), name="login"),
    path("account", account),
    path("comments", said),
    path("notes", said),
    path("upload", upload),
    path("old", lambda request: HttpResponseRedirect("/")),
    path("live", live),
    path("file", file),
    path("boom", boom),
    path("admin/", admin.site.urls),
]

application = get_wsgi_application()
asgi = get_asgi_application()

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
