"""Every error Volens raises on purpose, in one tree.

    VolensError
    ├── ConfigError (ValueError)     volens.toml: all mistakes of the file, each with place and remedy
    ├── NoticeError (ValueError)     a notice that cannot be built: unknown purpose, empty text …
    ├── ChoiceError (ValueError)     a choice or record cookie that does not parse; callers treat it as *no choice*
    ├── RecordError (ValueError)     a record or count that cannot be one: nothing of it is kept
    ├── SignedNoteError (ValueError)  a signed note, checkpoint or verifier key that cannot be read, or whose signature does not hold
    ├── CatalogError (ValueError)    packaged or operator data that does not have the form it should
    ├── ProofError (ValueError)      a log entry, receipt or bundle that does not have its form
    ├── KeyFileError (ValueError)    a file that should hold a log's keys and does not; its text tells no secret
    └── StoreError                   the ledger could not do what was asked
        ├── StoreUnavailable (OSError)   disk full, read-only, locked, closed: nothing was recorded
        ├── StoreBusy                    the queue of grants is full: nothing was recorded, try again
        └── StoreTooNew                  written by a newer Volens: this one must not touch it

From outside (cookies, headers, pages) nothing raises to the visitor: doubt means *not granted*.
"""

from __future__ import annotations

from dataclasses import dataclass


class VolensError(Exception):
    """The root of the tree."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a configuration, said to the person who can mend it."""

    place: str
    """Where: ``[services.matomo] purpose``."""
    found: str
    """What stands there, quoted, or what is missing."""
    remedy: str
    """What to do, with the permitted values where they can be listed."""
    fatal: bool = True
    """False for a warning: the site runs, but somebody should look."""

    def __str__(self) -> str:
        return f"{self.place}: {self.found} {self.remedy}"


def many(count: int, one: str, more: str = "") -> str:
    """How many of what, as an operator is told: ``1 record``, ``2,000 records``. ``more``: the plural, where it is no mere ``s``."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


class ConfigError(VolensError, ValueError):
    """A configuration that cannot be used. ``mistakes`` holds all of them, not the first."""

    def __init__(self, source: str, mistakes: tuple[Mistake, ...]) -> None:
        self.source = source
        self.mistakes = mistakes
        lines = "\n".join(f"  {source} {mistake}" for mistake in mistakes)
        super().__init__(f"{source}: {many(len(mistakes), 'mistake')}\n{lines}")


class NoticeError(VolensError, ValueError):
    """A notice that cannot be built."""


class ChoiceError(VolensError, ValueError):
    """A choice that does not parse. Always handled: a damaged answer is no answer."""


class RecordError(VolensError, ValueError):
    """A record or count of refusals that cannot be one."""


class SignedNoteError(VolensError, ValueError):
    """A signed note, checkpoint or verifier key that cannot be read, or whose signature does not hold."""


class CatalogError(VolensError, ValueError):
    """Catalog data of the wrong form."""


class ProofError(VolensError, ValueError):
    """A log entry, receipt or bundle of the wrong form."""


class KeyFileError(VolensError, ValueError):
    """A file that should hold a log's keys and does not."""


class StoreError(VolensError):
    """The ledger could not do what was asked."""


class StoreUnavailable(StoreError, OSError):
    """Disk full, read-only, locked or closed. Nothing was recorded."""


class StoreBusy(StoreError):
    """The queue of grants waiting to be written is full. Nothing was recorded."""


class StoreTooNew(StoreError):
    """The store was written by a newer Volens."""
