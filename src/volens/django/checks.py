"""``manage.py check``: every mistake of ``volens.toml``, and of where the middleware stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from volens.catalog import Catalog
from volens.choice import Signals
from volens.config import Loaded, load
from volens.django.configuration import config_path
from volens.enforce.storage import Storage
from volens.errors import ConfigError, Mistake
from volens.policy import grant

MIDDLEWARE = "volens.django.Middleware"
_HARMLESS = (
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
)
"""May stand above: they set no cookie and make no page."""
_KEEPS = ("django.middleware.cache.UpdateCacheMiddleware", "django.middleware.cache.FetchFromCacheMiddleware")
_PACKS = ("django.middleware.gzip.GZipMiddleware",)


def check(app_configs: Sequence[Any] | None = None, **options: Any) -> list[CheckMessage]:
    """All that is wrong, each with its remedy."""
    found = [*_order(list(settings.MIDDLEWARE)), *_templates()]
    try:
        path = config_path()
    except ImproperlyConfigured as error:
        return [*found, Error(str(error), id="volens.E001")]
    try:
        loaded = load(path, Catalog.packaged())
    except ConfigError as error:
        return [*found, *(_told(path, mistake) for mistake in error.mistakes)]
    return [*found, *(_told(path, mistake) for mistake in loaded.warnings), *_cookies(path, loaded)]


def _told(path: Path, mistake: Mistake) -> CheckMessage:
    kind, id = (Error, "volens.E002") if mistake.fatal else (Warning, "volens.W001")
    return kind(f"{path} {mistake.place}: {mistake.found}", hint=mistake.remedy, id=id)


def _order(middleware: list[str]) -> Iterable[CheckMessage]:
    if MIDDLEWARE not in middleware:
        yield Error(
            f"{MIDDLEWARE} is not in MIDDLEWARE, so nothing is asked and nothing obeyed.", hint="Make it the first.", id="volens.E003"
        )
        return
    if middleware.count(MIDDLEWARE) > 1:
        yield Error(f"{MIDDLEWARE} stands in MIDDLEWARE more than once.", hint="Leave the first.", id="volens.E004")
    for name in middleware[: middleware.index(MIDDLEWARE)]:
        hint = f"Move {MIDDLEWARE} above it."
        if name in _KEEPS:
            yield Error(f"{name} stands above {MIDDLEWARE}: it would hand one visitor's page to others.", hint=hint, id="volens.E005")
        elif name in _PACKS:
            yield Warning(
                f"{name} stands above {MIDDLEWARE}: it cannot tell what may be packed (BREACH) from what was rewritten.",
                hint=hint + " Volens packs again what came packed.",
                id="volens.W002",
            )
        elif name not in _HARMLESS:
            yield Error(
                f"{name} stands above {MIDDLEWARE}: it reads refused cookies, and what it sets or answers is not judged.",
                hint=hint,
                id="volens.E006",
            )


def _templates() -> Iterable[CheckMessage]:
    processor = "django.template.context_processors.request"
    for engine in settings.TEMPLATES:
        if engine.get("BACKEND") == "django.template.backends.django.DjangoTemplates":
            if processor not in engine.get("OPTIONS", {}).get("context_processors", ()):
                yield Warning(
                    "templates are not given the request, so {% consent %} shows what stands under {% else %} to everyone.",
                    hint=f"Add {processor!r} to context_processors in TEMPLATES.",
                    id="volens.W003",
                )


def _cookies(path: Path, loaded: Loaded) -> Iterable[CheckMessage]:
    """Django's own cookies under names of the site's own: refused unless declared."""
    from datetime import UTC, datetime

    nothing = grant(loaded.site.notice, None, Signals(), datetime.now(UTC).date())
    storage = Storage(loaded.site, nothing, Catalog.packaged())
    for setting, http_only in (
        ("SESSION_COOKIE_NAME", settings.SESSION_COOKIE_HTTPONLY),
        ("CSRF_COOKIE_NAME", settings.CSRF_COOKIE_HTTPONLY),
        ("LANGUAGE_COOKIE_NAME", settings.LANGUAGE_COOKIE_HTTPONLY),
    ):
        name = getattr(settings, setting)
        if not storage.decide(name, http_only=http_only).allowed:
            yield Error(
                f"{setting} is {name!r}, which {path} does not declare: refused, nobody could log in or send a form.",
                hint=f'Add to {path.name}: [[storage]] with name = "{name}".',
                id="volens.E007",
            )
