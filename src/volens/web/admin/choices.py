"""The choices page: how many accept, refuse, or accept in part, where and in what; and how the ledger and its witnesses stand.

From counts that were kept in the transactions of the records, and counts of refusals by day: never a scan, never a person. What is
a rate here is of *first answers*: a change or a withdrawal follows one that was counted already, and is told apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from volens.ledger.publish import standing
from volens.site import Site
from volens.web.admin.frame import admin_words, days_asked, json_twin, number, period_links, shell
from volens.web.admin.plots import Bar, Part, Stack, columns, mixed, percent, ranking, stacked
from volens.web.asked import Asked
from volens.web.messages import Reply, Waiting
from volens.web.replies import read_apart
from volens.web.screens import Html, Words, html

if TYPE_CHECKING:
    from volens.web.gateway import Gateway

PERIODS = (7, 30, 90, 365)
"""Days that can be looked at."""
PARTS = ("all", "some", "refused")
"""How a first answer may come out, in the order in which it is drawn."""


@dataclass
class Mix:
    """First answers, by how they came out."""

    all: int = 0
    some: int = 0
    refused: int = 0

    @property
    def total(self) -> int:
        return self.all + self.some + self.refused

    def to_json(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in PARTS}


@dataclass
class Log:
    """How a site's log stands."""

    size: int = 0
    published: int = 0
    at: float = 0.0
    """When the newest checkpoint was published; 0: none was."""
    erased: int = 0
    waiting: int = 0


@dataclass
class Reading:
    """What one answer is made of."""

    site: Site
    since: date
    until: date
    whole: Mix = field(default_factory=Mix)
    days: dict[date, Mix] = field(default_factory=dict)
    surfaces: dict[str, Mix] = field(default_factory=dict)
    languages: dict[str, Mix] = field(default_factory=dict)
    purposes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Yes and no, a refusal being a no to each."""
    changed: int = 0
    withdrawn: int = 0
    log: Log = field(default_factory=Log)
    witnesses: Mapping[str, Any] | None = None
    withheld: Mapping[str, int] = field(default_factory=dict)
    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def add(self, day: str, surface: str, language: str, part: str, n: int) -> None:
        """Count ``n`` first answers wherever they belong."""
        at = date.fromisoformat(day)
        for mix in (
            self.whole,
            self.days.setdefault(at, Mix()),
            self.surfaces.setdefault(surface, Mix()),
            self.languages.setdefault(language, Mix()),
        ):
            setattr(mix, part, getattr(mix, part) + n)


class ChoicesPage:
    """``admin/choices`` and ``admin/choices.json``."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._reader = ThreadPoolExecutor(1, "volens-choices-read")

    def page(self, asked: Asked) -> Waiting:
        """The plots."""
        wanted = asked.query.get("language")
        say = admin_words(wanted if wanted in ("fr", "en") else asked.language)
        title, days = say("choices.title"), days_asked(asked, PERIODS)
        return self._read(
            asked,
            lambda reading: shell(asked, say, title, picture(asked, say, reading, days), page="choices"),
            lambda reason: shell(asked, say, title, say("audience.broken", reason=reason), page="choices", status=503),
        )

    def json(self, asked: Asked) -> Waiting:
        """The figures."""
        return self._read(asked, lambda reading: json_twin(200, figures(reading)), lambda reason: json_twin(503, {"error": reason}))

    def _read(self, asked: Asked, made: Callable[[Reading], Reply], failed: Callable[[str], Reply]) -> Waiting:
        now = self._gateway.now()
        until = now.date()
        since = until - timedelta(days=days_asked(asked, PERIODS) - 1)
        return read_apart(self._reader, lambda: self.read(asked.site, since, until, now), made, lambda error: failed(str(error)))

    def read(self, site: Site, since: date, until: date, now: datetime) -> Reading:
        """All of it; raises StoreUnavailable."""
        store = self._gateway.store
        found = Reading(site, since, until, now=now)
        refused = 0
        for row in store.totals(site.name, since, until):
            if row["event"] == "refused":
                found.add(row["day"], row["surface"], row["language"], "refused", row["count"])
                refused += row["count"]
            elif row["event"] == "given":
                found.add(row["day"], row["surface"], row["language"], "all", row["count"])
            elif row["event"] == "changed":
                found.changed += row["count"]
            else:
                found.withdrawn += row["count"]
        for extent in store.extents(site.name, since, until):  # what was granted in part is counted among the given
            if extent["event"] == "given":
                found.add(extent["day"], extent["surface"], extent["language"], "all", -extent["some"])
                found.add(extent["day"], extent["surface"], extent["language"], "some", extent["some"])
        given: dict[str, list[int]] = {}
        for answer in store.answers(site.name, since, until):
            if answer["event"] == "given":
                yes_no = given.setdefault(answer["purpose"], [0, 0])
                yes_no[0] += answer["yes"]
                yes_no[1] += answer["no"]
        order = [p for p in site.notice.askable if p in given or refused] + sorted(given.keys() - set(site.notice.askable))
        found.purposes = {p: (given.get(p, [0, 0])[0], given.get(p, [0, 0])[1] + refused) for p in order}
        found.log = self._log(site)
        witnessed = self._gateway.witnessed
        found.witnesses = standing(witnessed) if witnessed is not None and site.proof.witnesses else None
        found.withheld = self._gateway.metrics.layers()
        return found

    def _log(self, site: Site) -> Log:
        store, waiting = self._gateway.store, self._gateway.metrics.waiting()
        head = store.head(site.name)
        if head is None:
            return Log(waiting=waiting)
        newest = next(reversed(store.checkpoints(site.name)), None)
        erased = 0
        for row in store.others(site.name):
            entry = json.loads(row.entry)
            erased += sum(last - first + 1 for first, last in entry.get("erased", ()))
        return Log(head.size, newest.size if newest else 0, newest.at if newest else 0.0, erased, waiting)


def figures(found: Reading) -> dict[str, Any]:
    """The JSON twin."""
    days = [found.since + timedelta(days=n) for n in range((found.until - found.since).days + 1)]

    def named(of: Mapping[str, Mix]) -> list[dict[str, Any]]:
        return [{"name": name, **mix.to_json()} for name, mix in _largest(of)]

    told = (found.witnesses or {}).get("witnesses", ())
    return {
        "format": "volens-choices/1",
        "site": found.site.name,
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "zone": "UTC",
        "answers": found.whole.to_json(),
        "changed": found.changed,
        "withdrawn": found.withdrawn,
        "days": [{"day": day.isoformat(), **found.days.get(day, Mix()).to_json()} for day in days],
        "surfaces": named(found.surfaces),
        "languages": named(found.languages),
        "purposes": [{"id": id, "yes": yes, "no": no} for id, (yes, no) in found.purposes.items()],
        "withheld": dict(found.withheld),
        "ledger": {
            "entries": found.log.size,
            "published": found.log.published,
            "checkpoint": datetime.fromtimestamp(found.log.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if found.log.at else None,
            "erased": found.log.erased,
            "waiting": found.log.waiting,
            "quorum": found.site.proof.quorum,
            "witnesses": [
                {"name": witness.name, "state": _state_of(told, witness.key)[0], "size": _state_of(told, witness.key)[1]}
                for witness in found.site.proof.witnesses
            ],
        },
    }


def _state_of(told: Iterable[Mapping[str, Any]], key: str) -> tuple[str, int]:
    """What a witness answered last, and the size it has signed."""
    return next(((str(one.get("state") or ""), int(one.get("size") or 0)) for one in told if one.get("key") == key), ("", 0))


def _largest(of: Mapping[str, Mix]) -> list[tuple[str, Mix]]:
    return sorted(((name, mix) for name, mix in of.items() if mix.total), key=lambda item: (-item[1].total, item[0]))


# ---------------------------------------------------------------- the page


def picture(asked: Asked, say: Words, found: Reading, days: int) -> Html:
    """The page below its title."""
    language = say.language
    here = f"{asked.site.prefix}admin/choices"
    return html(
        '<p class="when">{between}</p><nav class="period" aria-label="{period}">{periods}</nav>{tiles}{charts}'
        '<div class="cards">{purposes}{surfaces}{languages}{refusals}{withheld}{ledger}</div>'
        '<div class="note"><p>{how}</p><p><a href="{here}.json?days={days}">{json}</a> · {other}</p></div>',
        between=say("audience.between", since=say.day(found.since), until=say.day(found.until)),
        period=say.attribute("audience.period"),
        periods=period_links(say, here, PERIODS, days, language),
        tiles=_tiles(say, found),
        charts=_charts(say, found, days) if found.whole.total else None,
        purposes=_purposes(say, found),
        surfaces=_mixes(say, "surfaces", [(say.texts.get(f"choices.at.{name}", name), mix) for name, mix in _largest(found.surfaces)]),
        languages=_mixes(say, "languages", [(say.texts.get(f"language.{name}", name), mix) for name, mix in _largest(found.languages)]),
        refusals=ranking(
            say("choices.refusals"),
            say("choices.where"),
            [
                (say.texts.get(f"choices.at.{name}", name), mix.refused)
                for name, mix in sorted(found.surfaces.items(), key=lambda item: -item[1].refused)
                if mix.refused
            ],
            found.whole.refused,
            say,
            count="choices.refusals.count",
        ),
        withheld=ranking(
            say("choices.withheld"),
            say("choices.layer"),
            [(say(f"choices.layer.{name}"), n) for name, n in sorted(found.withheld.items(), key=lambda item: -item[1]) if n],
            sum(found.withheld.values()),
            say,
            say("choices.withheld.since"),
            count="choices.withheld.count",
        ),
        ledger=_ledger(say, found),
        how=say("choices.how"),
        here=here,
        days=days,
        json=say("audience.json"),
        other=html(
            '<a href="{here}?days={days}&amp;language={code}" lang="{code}" hreflang="{code}">{name}</a>',
            here=here,
            days=days,
            code="en" if language == "fr" else "fr",
            name="English" if language == "fr" else "Français",
        ),
    )


def _tiles(say: Words, found: Reading) -> Html:
    """The figures to be read first."""
    whole, language = found.whole, say.language
    tiles = [(number(whole.total, language), say("choices.answers"), "")]
    if whole.total:
        tiles += [(percent(getattr(whole, part), whole.total, language), say(f"choices.{part}"), part) for part in PARTS]
    tiles.append((number(found.changed, language), say("choices.changed"), "none"))
    tiles.append((number(found.withdrawn, language), say("choices.withdrawn"), "none"))
    return html(
        "<dl>{x}</dl>",
        x=[html('<div class="of-{k}"><dt>{t}</dt><dd class="{k}">{n}</dd></div>', n=n, t=t, k=k) for n, t, k in tiles],
    )


def _parts(say: Words, mix: Mix) -> tuple[Part, ...]:
    return tuple(Part(part, say(f"choices.{part}"), getattr(mix, part)) for part in PARTS)


def _charts(say: Words, found: Reading, days: int) -> Html:
    """How first answers came out, and how many there were: by day, by week over a year."""
    unit = "day" if days <= 90 else "week"

    def start(at: date) -> date:
        return at if unit == "day" else at - timedelta(days=at.weekday())

    groups: dict[date, Mix] = {}
    for offset in range((found.until - found.since).days + 1):
        at = found.since + timedelta(days=offset)
        mix, day = groups.setdefault(start(at), Mix()), found.days.get(at, Mix())
        for part in PARTS:
            setattr(mix, part, getattr(mix, part) + getattr(day, part))
    starts = list(groups)
    shown = [starts[0], *([starts[len(starts) // 2]] if len(starts) > 4 else []), starts[-1]]
    labels = [f"{at.day} {say.own.month(at)}" if unit == "day" else f"{say.own.month(at)} {at.year}" for at in shown]

    def name(at: date) -> str:
        return say.day(at) if unit == "day" else say("audience.week", date=say.day(at))

    running = start(found.until)
    stacks = [Stack(name(at), _parts(say, mix)) for at, mix in groups.items()]
    bars = [Bar(name(at), mix.total, at == running) for at, mix in groups.items()]
    return html(
        "{a}{b}",
        a=stacked(stacks, say(f"choices.rates.{unit}"), say("choices.rates.text"), labels, say, say("audience.when")),
        b=columns(bars, say(f"choices.count.{unit}"), say("audience.chart.today"), labels, say, say("audience.when")),
    )


def _mixes(say: Words, name: str, rows: list[tuple[str, Mix]]) -> Html:
    return mixed(say(f"choices.{name}"), say(f"choices.{name}.one"), [(title, _parts(say, mix)) for title, mix in rows], say)


def _purposes(say: Words, found: Reading) -> Html:
    notice = found.site.notice

    def title(id: str) -> str:
        named = notice.purpose[id].title if id in notice.purpose else {}
        return named.get(say.language) or next(iter(named.values()), id)

    rows = [
        (title(id), (Part("all", say("choices.yes"), yes), Part("refused", say("choices.no"), no)))
        for id, (yes, no) in found.purposes.items()
        if yes + no
    ]
    return mixed(say("choices.purposes"), say("choices.purpose"), rows, say)


def _ledger(say: Words, found: Reading) -> Html:
    """How the log stands, and who else has signed it."""
    log, language = found.log, say.language
    age = found.now.timestamp() - log.at
    facts = [
        (say("choices.ledger.entries"), number(log.size, language)),
        (say("choices.ledger.checkpoint"), _ago(say, age) if log.at else say("choices.ledger.never")),
        (say("choices.ledger.unpublished"), number(max(0, log.size - log.published), language)),
        (say("choices.ledger.waiting"), number(log.waiting, language)),
        (say("choices.ledger.erased"), number(log.erased, language)),
    ]
    told = (found.witnesses or {}).get("witnesses", ())
    for witness in found.site.proof.witnesses:
        state, size = _state_of(told, witness.key)
        facts.append(
            (
                say("choices.witness", name=witness.name),
                say(f"choices.witness.{state or 'none'}", n=number(size, language)),
            )
        )
    return html(
        '<section class="card"><h2>{title}</h2><table class="facts"><tbody>{rows}</tbody></table><p class="more">{text}</p></section>',
        title=say("choices.ledger"),
        rows=[html('<tr><th scope="row">{a}</th><td class="n">{b}</td></tr>', a=a, b=b) for a, b in facts],
        text=say("choices.ledger.witnessed", quorum=found.site.proof.quorum) if found.site.proof.witnesses else say("choices.ledger.alone"),
    )


def _ago(say: Words, seconds: float) -> str:
    """Since when, in the unit that reads best."""
    for name, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return say(f"choices.ago.{name}", n=number(int(seconds // length), say.language))
    return say("choices.ago.seconds", n=number(max(0, int(seconds)), say.language))
