"""Volens: consent that is asked plainly, obeyed in every layer, and provable.

The public surface: what ``__all__`` names, and nothing else, is promised. A name is loaded when it is first asked for,
so importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from volens.catalog import Catalog as Catalog
    from volens.choice import Choice as Choice
    from volens.choice import Signals as Signals
    from volens.config import load as load
    from volens.errors import CatalogError as CatalogError
    from volens.errors import ChoiceError as ChoiceError
    from volens.errors import ConfigError as ConfigError
    from volens.errors import NoticeError as NoticeError
    from volens.errors import RecordError as RecordError
    from volens.errors import StoreError as StoreError
    from volens.errors import VolensError as VolensError
    from volens.notice import Controller as Controller
    from volens.notice import Notice as Notice
    from volens.notice import Purpose as Purpose
    from volens.notice import Service as Service
    from volens.notice import StorageKey as StorageKey
    from volens.policy import Decision as Decision
    from volens.policy import Grant as Grant
    from volens.policy import Reason as Reason
    from volens.policy import grant as grant
    from volens.site import Gate as Gate
    from volens.site import Site as Site
    from volens.web.consent import Consent as Consent

_WHERE = {
    "Catalog": "volens.catalog",
    "CatalogError": "volens.errors",
    "Choice": "volens.choice",
    "ChoiceError": "volens.errors",
    "ConfigError": "volens.errors",
    "Consent": "volens.web.consent",
    "Controller": "volens.notice",
    "Decision": "volens.policy",
    "Gate": "volens.site",
    "Grant": "volens.policy",
    "Notice": "volens.notice",
    "NoticeError": "volens.errors",
    "Purpose": "volens.notice",
    "Reason": "volens.policy",
    "RecordError": "volens.errors",
    "Service": "volens.notice",
    "Signals": "volens.choice",
    "Site": "volens.site",
    "StorageKey": "volens.notice",
    "StoreError": "volens.errors",
    "VolensError": "volens.errors",
    "grant": "volens.policy",
    "load": "volens.config",
}

__all__ = [
    "Catalog",
    "CatalogError",
    "Choice",
    "ChoiceError",
    "ConfigError",
    "Consent",
    "Controller",
    "Decision",
    "Gate",
    "Grant",
    "Notice",
    "NoticeError",
    "Purpose",
    "Reason",
    "RecordError",
    "Service",
    "Signals",
    "Site",
    "StorageKey",
    "StoreError",
    "VolensError",
    "grant",
    "load",
]


def __getattr__(name: str) -> Any:
    """The name, loaded where it lives (PEP 562)."""
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module 'volens' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(where), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
