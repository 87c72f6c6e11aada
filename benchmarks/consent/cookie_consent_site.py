"""django-cookie-consent as its documentation has it, with its log switched on: what ``benchmarks/grants.py`` measures beside Volens."""

from __future__ import annotations

import os
import sys

from django.conf import settings

DATABASE = os.environ["BENCH_DATABASE"]
if DATABASE.startswith("postgresql://"):
    from urllib.parse import urlsplit

    url = urlsplit(DATABASE)
    database = {
        "ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "USER": url.username, "PASSWORD": url.password,
        "HOST": url.hostname, "PORT": url.port, "CONN_MAX_AGE": None,
    }  # fmt: skip
else:
    database = {
        "ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE, "CONN_MAX_AGE": None,
        "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"},
    }  # fmt: skip

settings.configure(
    SECRET_KEY="x" * 50,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="cookie_consent.urls",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "cookie_consent"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
    DATABASES={"default": database},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    COOKIE_CONSENT_LOG_ENABLED=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)

import django  # noqa: E402 — after the settings

django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()

if __name__ == "__main__" and "prepare" in sys.argv:
    from cookie_consent.models import Cookie, CookieGroup
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    for name in ("audience", "social", "video", "advertising", "profiles", "location"):
        group = CookieGroup.objects.create(varname=name, name=name)
        Cookie.objects.create(cookiegroup=group, name=f"c_{name}")
