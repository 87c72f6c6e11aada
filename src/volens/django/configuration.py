"""The setting ``VOLENS``, and the gateway of this process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from volens.web.live import Opened, packaged

KEYS = ("CONFIG",)
_lock = threading.Lock()
_opened: Opened | None = None


def config_path() -> Path:
    """``VOLENS["CONFIG"]``, else ``volens.toml`` in BASE_DIR; raises ImproperlyConfigured."""
    value = getattr(settings, "VOLENS", {})
    if not isinstance(value, Mapping) or set(value) - set(KEYS):
        raise ImproperlyConfigured(f'VOLENS is {value!r}. Write VOLENS = {{"CONFIG": BASE_DIR / "volens.toml"}}, and nothing else in it.')
    if "CONFIG" in value:
        return Path(value["CONFIG"])
    base = getattr(settings, "BASE_DIR", None)
    if base is None:
        raise ImproperlyConfigured(
            'there is no BASE_DIR, so Volens does not know its file. Write VOLENS = {"CONFIG": "/path/of/volens.toml"}.'
        )
    return Path(base) / "volens.toml"


def opened() -> Opened:
    """What is shared by all that handle requests in this process. Raises ConfigError with every mistake, ImproperlyConfigured."""
    global _opened
    made = _opened
    if made is None:
        with _lock:
            made = _opened = _opened or packaged(config_path())
    return made
