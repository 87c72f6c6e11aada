"""The hosts page: what pages were found to use, what is decided of it now, and the command that decides otherwise. Read-only."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from volens.web.admin.frame import admin_words, days_asked, json_twin, number, period_links, shell
from volens.web.asked import Asked
from volens.web.found import DECISIONS, Row, rows
from volens.web.messages import Reply, Waiting
from volens.web.replies import read_apart
from volens.web.screens import Html, Words, html

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

PERIODS = (7, 30, 90)
"""Days that can be looked at; the longest is what is kept."""
ROWS = 100
"""Shown of each decision; the rest is in the JSON."""


class HostsPage:
    """``admin/hosts`` and ``admin/hosts.json``."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._reader = ThreadPoolExecutor(1, "volens-hosts-read")

    def page(self, asked: Asked) -> Reply | Waiting:
        """For people."""
        wanted = asked.query.get("language")
        say = admin_words(wanted if wanted in ("fr", "en") else asked.language)
        title, days = say("hosts.title"), days_asked(asked, PERIODS)

        def failed(reason: str) -> Reply:
            return shell(asked, say, title, say("hosts.broken", reason=reason), page="hosts", status=503)

        if self._gateway.findings is None:
            return shell(asked, say, title, say("hosts.off"), page="hosts")
        return self._read(asked, days, lambda found: shell(asked, say, title, picture(asked, say, found, days), page="hosts"), failed)

    def json(self, asked: Asked) -> Reply | Waiting:
        """For machines, as ``volens hosts --json`` tells it."""
        days = days_asked(asked, PERIODS)
        if self._gateway.findings is None:
            return json_twin(404, {"error": "nothing is looked at without a configuration"})

        def made(found: list[Row]) -> Reply:
            told = {"format": "volens-hosts/1", "site": asked.site.name, "days": days, "found": [row.to_json() for row in found]}
            return json_twin(200, told)

        return self._read(asked, days, made, lambda reason: json_twin(503, {"error": reason}))

    def _read(self, asked: Asked, days: int, made: Callable[[list[Row]], Reply], failed: Callable[[str], Reply]) -> Waiting:
        today, findings = self._gateway.now().date(), self._gateway.findings
        assert findings is not None

        def read() -> list[Row]:
            return rows(asked.site, self._gateway.catalog, findings.read(asked.site.name, today - timedelta(days=days - 1)), today)

        return read_apart(self._reader, read, made, lambda error: failed(str(error)))


def picture(asked: Asked, say: Words, found: list[Row], days: int) -> Html:
    """The page: the periods, how things stand, a table for each decision."""
    base = f"{asked.site.prefix}admin/hosts"
    language = say.language if asked.query.get("language") else ""
    sections = [_section(say, word, [row for row in found if row.decision == word]) for word in DECISIONS]
    return html(
        '<p class="when">{mode}</p><nav class="period" aria-label="{period}">{periods}</nav>{sections}'
        '<p class="note">{how} <a href="{json}">{data}</a></p>',
        mode=say(f"hosts.mode.{asked.site.mode}"),
        period=say.attribute("audience.period"),
        periods=period_links(say, base, PERIODS, days, language),
        sections=[section for section in sections if section is not None] or html('<p class="card">{x}</p>', x=say("hosts.nothing")),
        how=say("hosts.how"),
        json=f"{base}.json?days={days}",
        data=say("hosts.json"),
    )


def _section(say: Words, word: str, found: list[Row]) -> Html | None:
    if not found:
        return None
    return html(
        '<section class="card found"><h2>{title}</h2><p class="more">{text}</p><table><thead><tr><th scope="col">{name}</th>'
        '<th scope="col" class="n">{pages}</th><th scope="col" class="n">{count}</th></tr></thead><tbody>{rows}</tbody>'
        "</table>{more}</section>",
        title=f"{say(f'hosts.{word}')} ({number(len(found), say.language)})",
        text=say(f"hosts.{word}.text"),
        name=say("hosts.name"),
        pages=say("hosts.pages"),
        count=say("hosts.count"),
        rows=[_row(say, row) for row in found[:ROWS]],
        more=html('<p class="more">{x}</p>', x=say("audience.more", n=number(len(found) - ROWS, say.language)))
        if len(found) > ROWS
        else None,
    )


def _row(say: Words, row: Row) -> Html:
    kinds = ", ".join(say.texts.get(f"hosts.kind.{kind}", kind) for kind in row.kinds)
    told = [
        kinds,
        row.known or (say("hosts.unknown") if row.of == "host" and row.reason != "unknown" else ""),
        say(f"hosts.reason.{row.reason}"),
    ]
    return html(
        '<tr><th scope="row"><b>{name}</b><small>{told}</small>{forged}{more}</th>'
        '<td class="n">{pages}</td><td class="n">{count}</td></tr>',
        name=row.name,
        told=" · ".join(text for text in told if text),
        forged=html("<small>{x}</small>", x=say("hosts.forged")) if row.forged else None,
        more=_more(say, row),
        pages=number(row.pages, say.language) if row.pages else "–",
        count=number(row.count, say.language),
    )


def _more(say: Words, row: Row) -> Html:
    once = row.first == row.last
    dates = say("hosts.seen.once", day=say.day(row.first)) if once else say("hosts.seen", first=say.day(row.first), last=say.day(row.last))
    ways = ", ".join(say(f"hosts.way.{way}") for way in row.ways)
    return html(
        "<details><summary>{what}<span> {name}</span></summary><p>{dates} {ways}</p>{pages}{commands}</details>",
        what=say("hosts.more") if not row.commands() else say("hosts.more.decide"),
        name=row.name,
        dates=dates,
        ways=say("hosts.ways", ways=ways),
        pages=html("<p>{label}</p><ul>{x}</ul>", label=say("hosts.examples"), x=[html("<li>{x}</li>", x=path) for path in row.examples])
        if row.examples
        else None,
        commands=html(
            "<p>{label}</p><dl>{x}</dl>",
            label=say("hosts.decide"),
            x=[
                html("<div><dt>{what}</dt><dd><code>{command}</code></dd></div>", what=say(f"hosts.do.{action}"), command=command)
                for action, command in row.commands()
            ],
        )
        if row.commands()
        else None,
    )
