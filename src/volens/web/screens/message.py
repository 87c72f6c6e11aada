"""Messages: why a page or an answer could not be given, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from html import unescape

from volens.web.screens.page import Page
from volens.web.screens.words import hidden, html


class MessageScreen(Page):
    """One page for every problem."""

    def problem(
        self,
        kind: str,
        language: str,
        *,
        back: str = "",
        token: str = "",
        fields: Sequence[tuple[str, str]] = (),
    ) -> str:
        """``down``, ``slow``, ``broken`` (upstream), ``record`` (not durable, so not granted), ``confirm`` (``fields`` again, with
        a ``token``), ``stale``, ``often`` (more answers than a person gives), ``elsewhere`` (another site's page sent it),
        ``nothing``, ``method``, ``large`` (404, 405, 413 of our own), ``unreadable`` (a coding nobody offered)."""
        say = self._say(language)
        form = html(
            '<form method="post" action="{prefix}choice">{hidden}<div class="ways"><button>{text}</button></div></form>',
            prefix=self.site.prefix,
            hidden=[hidden(n, v) for n, v in [*fields, *([("token", token)] if token else [])]],
            text=say("problem.confirm.button"),
        )
        main = html(
            '<div class="top"><h1>{title}</h1></div><div class="body"><p>{text}</p>{form}{back}</div>',
            title=say(f"problem.{kind}.title"),
            text=say(f"problem.{kind}.text", **({"tool": self.site.theirs.tool.name} if kind == "theirs" and self.site.theirs else {})),
            form=form if kind == "confirm" else None,
            back=html(
                '<div class="ways"><a class="button" href="{u}">{x}</a></div>',
                u=back,
                x=say("problem.again" if kind in ("down", "slow", "broken", "unreadable") else "problem.back"),
            )
            if back
            else None,
        )
        return self._page(say, say(f"problem.{kind}.title"), main)

    def problem_words(self, kind: str, language: str) -> tuple[str, str]:
        """The same without markup: title and text."""
        say = self._say(language)
        title, text = (unescape(say(f"problem.{kind}.{part}")) for part in ("title", "text"))
        return title + ".", text
