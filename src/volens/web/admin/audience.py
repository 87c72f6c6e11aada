"""The audience page: what was read, when, on what, from where; and the same figures as JSON."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from volens.audience.counts import Counts, Figures
from volens.audience.view import DEVICES, HERE, NONE, OTHER
from volens.web.admin.frame import admin_words, days_asked, json_twin, number, period_links, shell
from volens.web.admin.plots import Bar, columns, ranking
from volens.web.asked import Asked
from volens.web.messages import Reply, Waiting
from volens.web.replies import read_apart
from volens.web.screens import Html, Words, html

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

PERIODS = (7, 30, 90, 365, 760)
"""Days that can be looked at; the longest is what is kept."""
ROWS = 12
"""Names shown in a table."""
NAMED = 1000
"""Names of one kind in the JSON; the rest is counted together."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one answer is made of: the period, its figures, and the views of the full days before it that compare."""

    days: int
    today: date
    figures: Figures
    before: int | None


class AudiencePage:
    """``admin/audience`` and ``admin/audience.json``."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._reader = ThreadPoolExecutor(1, "volens-audience-read")  # makes its thread when first asked; 25 months take a moment

    def page(self, asked: Asked) -> Reply | Waiting:
        """The plots."""
        wanted = asked.query.get("language")
        say = admin_words(wanted if wanted in ("fr", "en") else asked.language)
        measure = asked.site.audience
        if measure is None or self._gateway.audience is None:
            return shell(asked, say, say("audience.title"), say("audience.off"), page="audience")
        months = measure.months
        return self._read(
            asked,
            self._gateway.audience,
            lambda reading: shell(asked, say, say("audience.title"), picture(asked, say, reading, months), page="audience"),
            lambda reason: shell(asked, say, say("audience.title"), say("audience.broken", reason=reason), page="audience", status=503),
        )

    def json(self, asked: Asked) -> Reply | Waiting:
        """The figures."""
        if asked.site.audience is None or self._gateway.audience is None:
            return json_twin(404, {"error": "page views are not counted"})
        return self._read(
            asked,
            self._gateway.audience,
            lambda reading: json_twin(200, figures(asked.site.name, reading)),
            lambda reason: json_twin(503, {"error": reason}),
        )

    def _read(self, asked: Asked, counts: Counts, made: Callable[[Reading], Reply], failed: Callable[[str], Reply]) -> Waiting:
        days = days_asked(asked, PERIODS)
        today = self._gateway.now().date()

        def read() -> Reading:
            since = today - timedelta(days=days - 1)
            found = counts.read(asked.site.name, since, today)
            earlier = counts.read(asked.site.name, since - timedelta(days=days - 1), since - timedelta(days=1)) if days < 365 else None
            return Reading(days, today, found, earlier.total if earlier is not None and earlier.views else None)

        return read_apart(self._reader, read, made, lambda error: failed(str(error)))


def figures(site: str, reading: Reading) -> dict[str, Any]:
    """The JSON twin. Names in parentheses stand for others: ``(other)``, ``(none)`` where nothing was sent, ``(site)`` itself."""
    found = reading.figures
    days = [found.since + timedelta(days=n) for n in range((found.until - found.since).days + 1)]

    def named(rows: tuple[tuple[str, int], ...]) -> list[dict[str, Any]]:
        rest = sum(n for _, n in rows[NAMED:])
        return [{"name": name, "views": n} for name, n in (*rows[:NAMED], *([(OTHER, rest)] if rest else []))]

    return {
        "format": "volens-audience/1",
        "site": site,
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "zone": "UTC",
        "views": found.total,
        "bots": sum(found.bots.values()),
        "before": reading.before,
        "days": [{"day": day.isoformat(), "views": found.views.get(day, 0), "bots": found.bots.get(day, 0)} for day in days],
        "paths": named(found.paths),
        "referrers": named(found.referrers),
        "languages": named(found.languages),
        "devices": named(found.devices),
    }


def picture(asked: Asked, say: Words, reading: Reading, months: int) -> Html:
    """The page below its title."""
    found, language = reading.figures, say.language
    here = f"{asked.site.prefix}admin/audience"
    by = dict(found.referrers)
    elsewhere = [(name, n) for name, n in found.referrers if name not in (HERE, NONE)]
    devices = dict(found.devices)
    return html(
        '<p class="when">{between}</p><nav class="period" aria-label="{period}">{periods}</nav>{tiles}{chart}'
        '<div class="cards">{paths}{referrers}{devices}{languages}</div>'
        '<div class="note"><p>{how}</p><p><a href="{here}.json?days={days}">{json}</a> · {other}</p></div>',
        between=say("audience.between", since=say.day(found.since), until=say.day(found.until)),
        period=say.attribute("audience.period"),
        periods=period_links(say, here, PERIODS, reading.days, language),
        tiles=_tiles(say, reading),
        chart=_chart(say, reading) if found.total else None,
        paths=ranking(
            say("audience.paths"), say("audience.path"), _named(found.paths[:ROWS], say), found.total, say, _rest(len(found.paths), say)
        ),
        referrers=ranking(
            say("audience.referrers"),
            say("audience.referrer"),
            _named(elsewhere[:ROWS], say),
            found.total,
            say,
            say("audience.referrers.rest", here=number(by.get(HERE, 0), language), none=number(by.get(NONE, 0), language)),
            nothing="audience.referrers.none",
        ),
        devices=ranking(
            say("audience.devices"),
            say("audience.device"),
            [(say(f"device.{name}"), devices[name]) for name in DEVICES if name in devices],
            found.total,
            say,
        ),
        languages=ranking(
            say("audience.languages"),
            say("audience.language"),
            [(say.texts.get(f"language.{name}", text), n) for (name, n), (text, _) in _pairs(found.languages[:ROWS], say)],
            found.total,
            say,
            _rest(len(found.languages), say),
        ),
        how=say("audience.how", months=months),
        here=here,
        days=reading.days,
        json=say("audience.json"),
        other=html(
            '<a href="{here}?days={days}&amp;language={code}" lang="{code}" hreflang="{code}">{name}</a>',
            here=here,
            days=reading.days,
            code="en" if language == "fr" else "fr",
            name="English" if language == "fr" else "Français",
        ),
    )


def _named(rows: tuple[tuple[str, int], ...] | list[tuple[str, int]], say: Words) -> list[tuple[str, int]]:
    return [(say.texts.get(f"name.{name}", name) if name in (OTHER, NONE, HERE) else name, n) for name, n in rows]


def _pairs(rows: tuple[tuple[str, int], ...], say: Words) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    return list(zip(rows, _named(rows, say), strict=True))


def _rest(length: int, say: Words) -> str:
    return say("audience.more", n=number(length - ROWS, say.language)) if length > ROWS else ""


def _tiles(say: Words, reading: Reading) -> Html:
    """The figures to be read first."""
    found, language = reading.figures, say.language
    counted = [day for day in found.views if day < reading.today]
    full = (reading.today - min(counted)).days if counted else 0
    over = sum(n for day, n in found.views.items() if day < reading.today)
    tiles = [(number(found.total, language), say("audience.views"), "")]
    if full:
        tiles.append((number(round(over / full), language), say("audience.average"), ""))
    if reading.days < 365:
        if reading.before and full == reading.days - 1:
            change = 100 * (over - reading.before) / reading.before
            sign = "+" if change > 0 else "−" if round(change) < 0 else ""
            text = f"{sign}{number(abs(round(change)), language)}" + ("\u202f%" if language == "fr" else "%")
            tiles.append((text, say("audience.change", days=reading.days - 1), ""))
        else:
            tiles.append(("–", say("audience.change.none"), "none"))
    tiles.append((number(sum(found.bots.values()), language), say("audience.bots"), "none"))
    return html(
        "<dl>{x}</dl>",
        x=[html('<div><dt>{t}</dt><dd class="{k}">{n}</dd></div>', n=n, t=t, k=k) for n, t, k in tiles],
    )


def _chart(say: Words, reading: Reading) -> Html:
    """Views by day; by week over a year, by month beyond."""
    found, language = reading.figures, say.language
    unit = "day" if reading.days <= 90 else "week" if reading.days <= 365 else "month"

    def start(at: date) -> date:
        return {"day": at, "week": at - timedelta(days=at.weekday()), "month": at.replace(day=1)}[unit]

    def short(at: date) -> str:
        month = say.own.month(at)
        return f"{at.day} {month}" if unit == "day" else f"{month} {at.year}"

    def full(at: date) -> str:
        day = say.day(at)
        return {"day": day, "week": say("audience.week", date=day), "month": short(at)}[unit]

    groups: dict[date, int] = {}
    for offset in range((found.until - found.since).days + 1):
        at = found.since + timedelta(days=offset)
        groups[start(at)] = groups.get(start(at), 0) + found.views.get(at, 0)
    running = start(reading.today)
    bars = [Bar(full(at), n, at == running) for at, n in groups.items()]
    best = max(bars, key=lambda bar: bar.n)
    starts = list(groups)
    labels = [short(starts[0]), *([short(starts[len(starts) // 2])] if len(starts) > 4 else []), short(starts[-1])]
    small = f"{say('audience.chart.best', n=number(best.n, language), when=best.name)} {say('audience.chart.today')}"
    return columns(bars, say(f"audience.chart.{unit}"), Html(small), labels, say, say("audience.when"))
