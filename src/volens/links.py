"""What an application's own pages say to Volens: a link to the panel, the place of a gate."""

from __future__ import annotations

from html import escape
from urllib.parse import quote


class Markup(str):
    """Markup that a template puts in as it is: Jinja and Django ask for ``__html__``."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def panel_url(prefix: str, back: str = "") -> str:
    """Where the visitor sees and changes the choice; ``back``: the local path they come back to."""
    return f"{prefix}panel?back={quote(back, safe='/')}" if back else f"{prefix}panel"


def gate_markup(path: str, id: str = "") -> Markup:
    """The place in the page where a closed gate on ``path`` says what it needs; empty once it is open."""
    return Markup(f'<volens-gate path="{escape(path)}"{f" id={chr(34)}{escape(id)}{chr(34)}" if id else ""}></volens-gate>')
