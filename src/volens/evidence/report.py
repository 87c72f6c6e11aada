"""The report to an authority, in French and in English: a page that opens in any browser, prints, and says how to check it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from volens import notices
from volens.evidence.material import SAID, Material
from volens.ledger.verify import Findings, Trust, read_keys, signed
from volens.notice import Notice
from volens.web.screens.words import Html, Words, html, packaged_texts

LANGUAGES = {"fr": "rapport.html", "en": "report.html"}
LONG = 62
"""Days from which on the tables go by month."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often what was answered."""

    all: int = 0
    some: int = 0
    no: int = 0
    withdrawn: int = 0

    @property
    def answers(self) -> int:
        """All but withdrawals."""
        return self.all + self.some + self.no

    def plus(self, **more: int) -> Tally:
        """With these added."""
        return Tally(**{name: getattr(self, name) + more.get(name, 0) for name in ("all", "some", "no", "withdrawn")})


def tallies(material: Material, key: str) -> dict[str, Tally]:
    """Answers by day, surface or language, in the order of their names."""
    found: dict[str, Tally] = {}
    for extent in material.extents:
        name = str(extent[key])  # type: ignore[literal-required]
        if extent["event"] != "withdrawn":
            found[name] = found.get(name, Tally()).plus(all=extent["all"], some=extent["some"])
    for total in material.totals:
        name = str(total[key])  # type: ignore[literal-required]
        what = {"refused": "no", "withdrawn": "withdrawn"}.get(total["event"])
        if what:
            found[name] = found.get(name, Tally()).plus(**{what: total["count"]})
    return dict(sorted(found.items()))


def whole(found: Iterable[Tally]) -> Tally:
    """All of them together."""
    one = Tally()
    for tally in found:
        one = one.plus(all=tally.all, some=tally.some, no=tally.no, withdrawn=tally.withdrawn)
    return one


class Report:
    """One language's report."""

    def __init__(self, material: Material, language: str) -> None:
        self.material = material
        own = json.loads(_packaged(f"{language}.json"))
        self.say = Words(language, {**packaged_texts()[language], **{f"evidence.{name}": text for name, text in own.items()}})

    def t(self, name: str, /, **values: object) -> Html:
        """A text of the report."""
        return self.say(f"evidence.{name}", **values)

    def n(self, number: int) -> Html:
        """A number as the language writes it."""
        return Html(self.say.own.number(number))

    def page(self) -> str:
        """The whole of it."""
        m, t = self.material, self.t
        heading = html("{x}", x=t("of", site=m.loaded.site.name, since=self.say.day(m.since), until=self.say.day(m.until)))
        made = m.made.astimezone(UTC)
        parts = [
            ("short", self._short()),
            ("asked", self._asked()),
            ("answers", self._answers()),
            ("proof", self._proof()),
            ("samples", self._samples()),
            ("erased", self._erased()),
            ("shows", self._shows()),
            ("verify", self._verify()),
        ]
        return html(
            '<!DOCTYPE html><html {way}><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            "<title>{title} — {of}</title><style>{style}</style></head><body><header><h1>{title}</h1><p>{of}</p>"
            '<p class="soft">{made}</p></header>'
            '<nav aria-label="{contents}"><ul>{links}</ul></nav><main>{parts}</main></body></html>',
            way=self.say.way,
            title=t("title"),
            of=heading,
            style=Html(_packaged("report.css")),
            made=t(
                "made",
                day=self.say.day(made.date()),
                time=made.strftime("%H:%M"),
                version=_version(),
                controller=m.loaded.site.notice.controller.name,
            ),
            contents=t("contents"),
            links=[html('<li><a href="#{id}">{title}</a></li>', id=name, title=t(name)) for name, _ in parts],
            parts=[html('<section id="{id}"><h2>{title}</h2>{body}</section>', id=name, title=t(name), body=body) for name, body in parts],
        )

    def _p(self, name: str, /, **values: object) -> Html:
        return html("<p>{x}</p>", x=self.t(name, **values))

    def _witnesses(self) -> list[tuple[str, int]]:
        keys = read_keys("\n".join(self.material.keys)) if self.material.keys else ()
        return sorted(signed(self.material.checkpoint, Trust.of(keys), "", Findings())["witnesses"].items())

    def _short(self) -> Html:
        m, sum_ = self.material, whole(tallies(self.material, "day").values())
        seen = self._witnesses()
        return html(
            "{asked}{answers}{proof}{seen}",
            asked=self._p("short.asked.one") if len(m.versions) == 1 else self._p("short.asked", n=self.n(len(m.versions))),
            answers=self._p(
                "short.answers",
                all=self.n(sum_.answers),
                yes=self.n(sum_.all),
                some=self.n(sum_.some),
                no=self.n(sum_.no),
                withdrawn=self.n(sum_.withdrawn),
            )
            if sum_.answers or sum_.withdrawn
            else self._p("short.none"),
            proof=self._p(
                "short.proof", size=self.n(m.checkpoint.size), root=html('<span class="hash">{x}</span>', x=m.checkpoint.root.hex())
            ),
            seen=self._p("short.witnessed", names=self.say.listed(name for name, _ in seen)) if seen else self._p("short.alone"),
        )

    # What was asked

    def _asked(self) -> Html:
        return html("{intro}{all}", intro=self._p("asked.intro"), all=[self._version(one) for one in self.material.versions])

    def _version(self, one: notices.Version) -> Html:
        notice, t = one.notice, self.t
        earlier = self.material.earlier.get(notice.digest)
        return html(
            '<article><h3>{title}</h3>{since}<p class="hash">{digest}</p>{holds}{purposes}<h4>{services_title}</h4>{services}'
            "{changed}{shown}</article>",
            title=t("version", short=notice.short),
            since=self._p("version.since", since=self._minute(one.asked)) if one.asked else self._p("version.before"),
            digest=t("version.digest", digest=notice.digest),
            holds=self._p("version.holds", months=self.n(notice.months), languages=", ".join(notice.languages)),
            purposes=self._table(
                (t("purpose"), t("sentence"), t("data"), t("consent")),
                [
                    (
                        self._text(p.title) or p.id,
                        self._text(p.sentence),
                        self.say.listed(self.say(f"kind.{kind}") for kind in p.data_kinds) if p.data_kinds else Html("–"),
                        t("exempt") if p.exempt else t("asks"),
                    )
                    for p in notice.purposes
                ],
            ),
            services_title=t("services"),
            services=self._table(
                (t("service"), t("serves"), t("responsible")),
                [
                    (s.name, self.say.listed(self._name(notice, p) for p in s.purposes), s.controller or s.country or "–")
                    for s in notice.services
                ],
            )
            if notice.services
            else html("<p>–</p>"),
            changed=self._changed(earlier, notice) if earlier is not None else None,
            shown=self._shown(one),
        )

    def _changed(self, earlier: Notice, notice: Notice) -> Html:
        again = notices.asked_again(earlier, notice)
        return html(
            "<h4>{title}</h4><ul>{all}</ul>{again}",
            title=self.t("version.changed", short=earlier.short),
            all=[html("<li>{x}</li>", x=self._change(change)) for change in notices.diff(earlier, notice)],
            again=self._p("version.again", names=self.say.listed(sorted(again))) if again else self._p("version.not.again"),
        )

    def _change(self, change: notices.Change) -> Html:
        what = " ".join(filter(None, (change.item, change.id, change.field)))
        if change.before is None:
            return self.t("change.new", what=what)
        if change.after is None:
            return self.t("change.gone", what=what)
        return self.t("change.other", what=what, before=_plain(change.before), after=_plain(change.after))

    def _shown(self, one: notices.Version) -> Html:
        """Pictures where they were taken, else the pages themselves, in this report's language or the notice's first."""
        folder, files = f"notices/{one.notice.short}", self.material.files
        language = self.say.language if self.say.language in one.notice.languages else one.notice.languages[0]
        kept = [folder, *(f"{folder}/{number}" for number in range(2, len(one.snapshots) + 1))]
        at = next((below for below in reversed(kept) if f"{below}/snapshot.json" in files), None)
        if at is None:
            return html("<h4>{x}</h4>{y}", x=self.t("as.shown"), y=self._p("not.kept"))
        figures: list[Html] = []
        for layer in ("first", "panel"):
            name = self.t(f"layer.{layer}")
            pictures = [(w, f"{at}/{language}-{layer}-{w}-{s}.png") for s in ("light", "dark") for w in notices.WIDTHS]
            taken = [(w, path) for w, path in pictures if path in files][: len(notices.WIDTHS)]
            for width, path in taken:
                figures.append(
                    html(
                        '<figure><figcaption>{told}</figcaption><img alt="{told}" src="data:image/png;base64,{data}"></figure>',
                        told=self.t("picture", layer=name, width=str(width)),
                        data=base64.b64encode(files[path]).decode(),
                    )
                )
            page = files.get(f"{at}/{language}-{layer}.html")
            if page is not None and not taken:
                figures.append(
                    html(
                        '<figure class="page"><figcaption>{told}</figcaption>'
                        '<iframe sandbox="" title="{told}" srcdoc="{page}"></iframe></figure>',
                        told=name,
                        page=page.decode(),
                    )
                )
        return html(
            '<h4>{title}</h4><div class="shots">{figures}</div>{more}',
            title=self.t("as.shown"),
            figures=figures,
            more=self._p("as.shown.files", folder=html("<code>{x}</code>", x=folder)),
        )

    def _text(self, text: Mapping[str, str]) -> str:
        return text.get(self.say.language) or next(iter(text.values()), "")

    def _name(self, notice: Notice, purpose: str) -> str:
        return self._text(notice.purpose[purpose].title) or purpose

    def _minute(self, text: str) -> Html:
        then = datetime.fromisoformat(text)
        return html("{day}, {time} UTC", day=self.say.day(then.date()), time=then.strftime("%H:%M"))

    # What was answered

    def _answers(self) -> Html:
        m, t = self.material, self.t
        days = tallies(m, "day")
        by_month = (m.until - m.since).days >= LONG
        periods: dict[str, Tally] = {}
        for day, tally in days.items():
            name = day[:7] if by_month else day
            periods[name] = whole([periods.get(name, Tally()), tally])
        purposes: dict[str, list[int]] = {}
        for answer in m.answers:
            if answer["event"] != "withdrawn":
                found = purposes.setdefault(answer["purpose"], [0, 0])
                found[0] += answer["yes"]
                found[1] += answer["no"]
        titles = {p.id: self._text(p.title) for one in m.versions for p in one.notice.purposes}
        surfaces = {name: t(f"surface.{name}") for name in ("notice", "panel", "embed", "gate", "band", "foreign")}
        return html(
            "{intro}{chart}{table}{surface}{language}{purpose}",
            intro=self._p("answers.intro"),
            chart=self._chart(periods) if periods else None,
            table=self._tallied(t("month") if by_month else t("day"), periods, {}),
            surface=[html("<h3>{x}</h3>", x=t("by.surface")), self._tallied(t("where"), tallies(m, "surface"), surfaces)] if days else None,
            language=[html("<h3>{x}</h3>", x=t("by.language")), self._tallied(t("language"), tallies(m, "language"), {})] if days else None,
            purpose=[
                html("<h3>{x}</h3>", x=t("by.purpose")),
                self._table(
                    (t("purpose"), t("yes.n"), t("no.n"), t("share")),
                    [
                        (titles.get(id) or id, self.n(yes), self.n(no), self._share(yes, yes + no))
                        for id, (yes, no) in sorted(purposes.items())
                    ],
                    numbers=(1, 2, 3),
                ),
            ]
            if purposes
            else None,
        )

    def _share(self, part: int, all: int) -> Html:
        return Html(f"{part / all:.0%}".replace("%", " %" if self.say.language == "fr" else "%")) if all else Html("–")

    def _tallied(self, first: Html, rows: Mapping[str, Tally], names: Mapping[str, Html]) -> Html:
        t = self.t
        head = (first, t("all"), t("some"), t("no"), t("sum"), t("withdrawn"))

        def line(name: object, one: Tally) -> tuple[object, ...]:
            cells = [
                html('{n} <span class="soft">{p}</span>', n=self.n(v), p=self._share(v, one.answers)) for v in (one.all, one.some, one.no)
            ]
            return (name, *cells, self.n(one.answers), self.n(one.withdrawn))

        body = [line(names.get(name, name), one) for name, one in rows.items()]
        return self._table(head, body, numbers=(1, 2, 3, 4, 5), foot=line(t("sum"), whole(rows.values())))

    def _chart(self, periods: Mapping[str, Tally]) -> Html:
        """A bar for each day or month, its parts one upon the other."""
        height, room, top = 180, 900, max(max(one.answers for one in periods.values()), 1)
        step = min(room / len(periods), 90)
        bars, every = [], -(-len(periods) // 9)
        for number, (name, one) in enumerate(periods.items()):
            x, y = 44 + number * step, float(height)
            for kind in ("all", "some", "no"):
                size = getattr(one, kind) / top * (height - 20)
                y -= size
                if size:
                    bars.append(
                        html(
                            '<rect class="{k}" x="{x}" y="{y}" width="{w}" height="{h}"/>',
                            k=kind,
                            x=_f(x),
                            y=_f(y),
                            w=_f(step * 0.8),
                            h=_f(size),
                        )
                    )
            if number % every == 0:
                bars.append(
                    html(
                        '<text class="axis" x="{x}" y="{y}">{name}</text>', x=_f(x), y=height + 16, name=name[5:] if len(name) > 7 else name
                    )
                )
        swatch = '<li><svg viewBox="0 0 1 1" aria-hidden="true"><rect class="{k}" width="1" height="1"/></svg>{x}</li>'
        return html(
            '<ul class="key">{key}</ul><svg viewBox="0 0 {w} {h}" role="img" aria-label="{told}">'
            '<text class="axis" x="0" y="24">{top}</text><text class="axis" x="0" y="{zero}">0</text>{bars}</svg>',
            key=[html(swatch, k=kind, x=self.t(kind)) for kind in ("all", "some", "no")],
            w=room + 50,
            h=height + 24,
            told=self.t("chart"),
            top=self.n(top),
            zero=height,
            bars=bars,
        )

    def _table(
        self, head: Sequence[object], rows: Sequence[Sequence[object]], *, numbers: Sequence[int] = (), foot: Sequence[object] | None = None
    ) -> Html:
        def cells(values: Sequence[object], tag: str = "td") -> list[Html]:
            kinds = [Html(' class="n"') if n in numbers else None for n in range(len(values))]
            return [
                html("<{tag}{k}>{x}</{tag}>", tag=Html(tag), k=k, x=x) if x != "" or tag == "td" else html("<td></td>")
                for k, x in zip(kinds, values, strict=True)
            ]

        return html(
            '<div class="wide" tabindex="0" role="group" aria-label="{name}"><table><thead><tr>{head}</tr></thead>'
            "<tbody>{rows}</tbody>{foot}</table></div>",
            name=", ".join(str(x) for x in head if x),
            head=cells(head, "th"),
            rows=[html("<tr>{x}</tr>", x=cells(row)) for row in rows],
            foot=html("<tfoot><tr>{x}</tr></tfoot>", x=cells(foot)) if foot is not None else None,
        )

    # What proves it

    def _proof(self) -> Html:
        m, t = self.material, self.t
        url = f"https://{m.loaded.site.name}{m.loaded.site.prefix}log/keys"
        return html(
            '{intro}{before}{after}{joined}{seen}{published}<h3>{keys_title}</h3><pre class="box"><code>{keys}</code></pre>'
            '<pre class="box"><code>{note}</code></pre>',
            intro=self._p("proof.intro"),
            before=self._p("proof.before", size=self.n(m.before.size)) if m.before else self._p("proof.before.none"),
            after=self._p("proof.after", size=self.n(m.checkpoint.size), first=self.n(m.first), last=self.n(m.end - 1))
            if m.end > m.first
            else self._p("proof.nothing"),
            joined=self._p("proof.joined", file=_code("log/consistency.txt")) if "log/consistency.txt" in m.files else None,
            seen=[
                self._p("proof.witness", name=name, time=datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S"))
                for name, time in self._witnesses()
            ]
            or self._p("short.alone"),
            published=self._p("proof.checkpoints", n=self.n(len(m.published)), file=_code("log/checkpoints.jsonl"))
            if m.published
            else None,
            keys_title=t("proof.keys", url=_code(url)),
            keys="\n".join(m.keys),
            note=m.after,
        )

    def _samples(self) -> Html:
        t, rows = self.t, []
        for one in self.material.drawn:
            if one.record is None:
                rows.append((str(one.index), "–", t("samples.erased"), "–", "–"))
                continue
            notice = next(v.notice for v in self.material.versions if v.notice.digest == one.record.notice)
            yes = [self._name(notice, id) for id in notice.askable if one.record.purposes.get(id)]
            link = html('<a href="{p}">{p}</a>', p=one.path)
            when = one.record.to_json()["time"].replace("T", " ").rstrip("Z")
            rows.append((str(one.index), when, t(f"event.{one.record.event}"), ", ".join(yes) or "–", link))
        if not rows:
            return self._p("samples.none")
        head = (t("line"), t("time"), t("what"), t("granted"), t("file"))
        return html("{intro}{table}", intro=self._p("samples.intro"), table=self._table(head, rows))

    def _erased(self) -> Html:
        m, rule = self.material, self.material.loaded.site.retention
        titles = {p.id: self._text(p.title) for p in m.loaded.site.notice.purposes}
        told = [self.t("erased.days", n=self.n(rule.days))] if rule.days is not None else []
        told += [self.t("erased.purpose", purpose=titles.get(id) or id, n=self.n(days)) for id, days in sorted(rule.purposes.items())]
        return html(
            "{rule}{count}",
            rule=self._p("erased.rule", rule=Html(" ; ".join(told))) if told else self._p("erased.rule.none"),
            count=self._p("erased.count", request=self.n(m.erased["request"]), age=self.n(m.erased["age"])),
        )

    def _shows(self) -> Html:
        held = ["shows.1", "shows.2", "shows.3", "shows.not.1", "shows.not.2", "shows.not.3", "shows.not.4"]
        if self._witnesses():
            held.remove("shows.not.4")
        return html("<ul>{all}</ul>", all=[html("<li>{x}</li>", x=self.t(name)) for name in held])

    def _verify(self) -> Html:
        m = self.material
        url = f"https://{m.loaded.site.name}{m.loaded.site.prefix}log/keys"
        files = " ".join(filter(lambda name: name in m.files, ("log/checkpoint-from.txt", "log/checkpoint-to.txt", "log/consistency.txt")))
        samples = " samples/*.json" if any(one.path for one in m.drawn) else ""
        steps = [
            self.t("verify.1", command=_code("sha256sum -c SHA256SUMS")),
            self.t("verify.2", url=_code(url)),
            self.t("verify.3", command=_code(f"volens verify --key KEY {files}{samples}")),
            self.t("verify.4", file=_code("verify.html"), folder=_code("samples/")) if "verify.html" in m.files else None,
            self.t(
                "verify.5",
                formula=_code(f'{m.first} + SHA-256(root ‖ "{SAID.decode()}" ‖ n) mod {max(m.end - m.first, 1)}'),
                first=str(m.first),
                last=str(max(m.end - 1, 0)),
            ),
            self.t("verify.6"),
            self.t("verify.7", file=_code("notices/…/notice.json"), log=_code("log/other-entries.jsonl")),
            self.t("verify.spec"),
        ]
        return html('<ol class="steps">{all}</ol>', all=[html("<li>{x}</li>", x=step) for step in steps if step is not None])


def _packaged(name: str) -> str:
    return (resources.files("volens") / "texts" / "evidence" / name).read_text("utf-8")


def _code(text: str) -> Html:
    return html("<code>{x}</code>", x=text)


def _f(number: float) -> str:
    return f"{number:.1f}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _version() -> str:
    try:
        return version("volens")
    except PackageNotFoundError:  # from the source tree
        return ""


def reports(material: Material) -> dict[str, bytes]:
    """Every report, by its name."""
    return {name: Report(material, language).page().encode() for language, name in LANGUAGES.items()}
