"""Plots as SVG and tables, without a script: the bars stretch with the page, the words stay text of the page's own size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from volens.web.admin.frame import number
from volens.web.screens import Html, Words, html


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it counts, how many, and whether its time is still running."""

    name: str
    n: int
    running: bool = False


def ceiling(n: int) -> int:
    """The round number, 1, 2, 4 or 5 times a power of ten, at or above ``n``, so that its half is round too."""
    if n <= 2:
        return 2
    power: int = 10 ** (len(str(n)) - 1)
    return next(m * power for m in (1, 2, 4, 5, 6, 8, 10) if m * power >= n)


def columns(bars: Sequence[Bar], caption: str, small: str, labels: Sequence[str], say: Words, when: str) -> Html:
    """Bars side by side, with their figures in a table below. ``labels``: first, middle and last of the axis."""
    top = ceiling(max(bar.n for bar in bars))
    shown = [
        html(
            '<g><title>{name} : {n}</title><rect class="hit" x="{at}" width="10" height="100"/>'
            '<rect class="{kind}" x="{left}" y="{y}" width="{width}" height="{height}"/></g>',
            name=bar.name,
            n=number(bar.n, say.language),
            at=10 * index,
            left=10 * index + (1.5 if len(bars) < 40 else 0.8),
            width=7 if len(bars) < 40 else 8.4,
            kind="part" if bar.running else "bar",
            y=f"{100 - 100 * bar.n / top:.2f}",
            height=f"{100 * bar.n / top:.2f}",
        )
        for index, bar in enumerate(bars)
    ]
    scale = number(top, say.language), number(top // 2, say.language)
    rows = [(bar.name, [number(bar.n, say.language)]) for bar in reversed(bars)]
    return _figure(shown, caption, small, scale, labels, [when, say("audience.count")], rows, say)


def _figure(
    shown: Sequence[Html],
    caption: str,
    small: str,
    scale: tuple[str, str],
    labels: Sequence[str],
    heads: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str]]],
    say: Words,
    key: Html | str = "",
) -> Html:
    """What is drawn, ten wide each, between its axes; ``rows`` of the table below, by name, under ``heads``. ``scale``: top and half."""
    first, *others = heads
    return html(
        '<figure class="card"><figcaption>{caption}<small>{small}</small></figcaption>{key}<div class="plot">'
        '<div class="y" aria-hidden="true"><span>{top}</span><span>{half}</span><span>0</span></div>'
        '<svg viewBox="0 0 {width} 100" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '<path class="grid" d="M0 0H{width}M0 50H{width}M0 100H{width}"/>{shown}</svg>'
        '<div class="x" aria-hidden="true">{labels}</div></div>'
        '<details><summary>{see}</summary><table><thead><tr><th scope="col">{first}</th>{others}</tr></thead>'
        "<tbody>{rows}</tbody></table></details></figure>",
        caption=caption,
        small=small,
        key=key,
        top=scale[0],
        half=scale[1],
        width=10 * len(shown),
        label=f"{caption}. {small}",
        shown=shown,
        labels=[html("<span>{x}</span>", x=label) for label in labels],
        see=say("audience.table"),
        first=first,
        others=[html('<th scope="col" class="n">{x}</th>', x=head) for head in others],
        rows=[
            html('<tr><th scope="row">{x}</th>{cells}</tr>', x=name, cells=[html('<td class="n">{n}</td>', n=cell) for cell in cells])
            for name, cells in rows
        ],
    )


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a whole: its colour's name (``all``, ``some`` or ``refused``), what it is called, and how many."""

    kind: str
    name: str
    n: int


@dataclass(frozen=True, slots=True)
class Stack:
    """One bar that is divided."""

    name: str
    parts: tuple[Part, ...]

    @property
    def total(self) -> int:
        """All of it."""
        return sum(part.n for part in self.parts)


def _told(parts: Sequence[Part], say: Words) -> str:
    """Every part in words: no colour is needed to read it."""
    total = sum(part.n for part in parts)
    return ", ".join(f"{part.name} {percent(part.n, total, say.language)}" for part in parts)


def key(parts: Sequence[Part]) -> Html:
    """Which colour is which."""
    return html(
        '<ul class="key">{x}</ul>',
        x=[html('<li><svg viewBox="0 0 1 1" aria-hidden="true"><rect class="{k}" width="1" height="1"/></svg>{n}</li>', k=p.kind, n=p.name)
           for p in parts],
    )  # fmt: skip


def stacked(stacks: Sequence[Stack], caption: str, small: str, labels: Sequence[str], say: Words, when: str) -> Html:
    """Bars of one height, each divided by share; where nothing was counted there is none. The figures are in a table below."""
    shown = []
    for index, stack in enumerate(stacks):
        at, rects = 0.0, []
        for part in stack.parts if stack.total else ():
            height = 100 * part.n / stack.total
            rects.append(
                html(
                    '<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}"/>',
                    kind=part.kind,
                    x=10 * index + (1.5 if len(stacks) < 40 else 0.8),
                    y=f"{100 - at - height:.2f}",
                    width=7 if len(stacks) < 40 else 8.4,
                    height=f"{height:.2f}",
                )
            )
            at += height
        told = f"{stack.name} : {_told(stack.parts, say)} ({number(stack.total, say.language)})" if stack.total else stack.name
        shown.append(html("<g><title>{told}</title>{rects}</g>", told=told, rects=rects))
    parts = stacks[0].parts
    half, whole = (percent(n, 2, say.language) for n in (1, 2))
    rows = [(stack.name, [number(part.n, say.language) for part in stack.parts]) for stack in reversed(stacks)]
    return _figure(shown, caption, small, (whole, half), labels, [when, *(part.name for part in parts)], rows, say, key(parts))


def mixed(title: str, head: str, rows: Sequence[tuple[str, tuple[Part, ...]]], say: Words) -> Html:
    """A table of names, each with its bar divided by share, and the shares in figures."""
    if not rows:
        return html('<section class="card"><h2>{a}</h2><p class="more">{b}</p></section>', a=title, b=say("audience.nothing"))
    made = []
    for name, parts in rows:
        total, at, rects = sum(part.n for part in parts), 0.0, []
        for part in parts:
            width = 100 * part.n / total if total else 0.0
            rects.append(html('<rect class="{k}" x="{x}" width="{w}" height="1"/>', k=part.kind, x=f"{at:.2f}", w=f"{width:.2f}"))
            at += width
        made.append(
            html(
                '<tr><th scope="row">{name}<svg class="mix" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{rects}</svg>'
                '</th>{cells}<td class="n share">{total}</td></tr>',
                name=name,
                rects=rects,
                cells=[html('<td class="n of">{x}</td>', x=percent(part.n, total, say.language)) for part in parts],
                total=number(total, say.language),
            )
        )
    return html(
        '<section class="card"><h2>{title}</h2>{key}<table class="mixed"><thead><tr><th scope="col">{head}</th>{heads}'
        '<th scope="col" class="n share">{count}</th></tr></thead><tbody>{rows}</tbody></table></section>',
        title=title,
        key=key(rows[0][1]),
        head=head,
        heads=[
            html(
                '<th scope="col" class="n of"><svg class="dot" viewBox="0 0 1 1" aria-hidden="true">'
                '<rect class="{k}" width="1" height="1"/></svg><span class="unseen">{x}</span></th>',
                k=part.kind,
                x=part.name,
            )
            for part in rows[0][1]
        ],
        count=say("choices.count"),
        rows=made,
    )


def ranking(
    title: str,
    head: str,
    rows: Sequence[tuple[str, int]],
    total: int,
    say: Words,
    below: str = "",
    *,
    count: str = "audience.count",
    nothing: str = "audience.nothing",
) -> Html:
    """A table of names, the largest first, each with its bar; ``total`` is what the shares are of, ``nothing`` the words where there is
    none."""
    most = max((n for _, n in rows), default=0) or 1
    return html(
        '<section class="card"><h2>{title}</h2>{table}{below}</section>',
        title=title,
        table=html(
            '<table><thead><tr><th scope="col">{head}</th><th scope="col" class="n">{count}</th>'
            '<th scope="col" class="n share">{share}</th></tr></thead><tbody>{rows}</tbody></table>',
            head=head,
            count=say(count),
            share=say("audience.share"),
            rows=[
                html(
                    '<tr><th scope="row">{name}<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
                    '<rect class="bar" width="{width}" height="1"/></svg></th><td class="n">{n}</td><td class="n share">{share}</td></tr>',
                    name=name,
                    width=f"{100 * n / most:.2f}",
                    n=number(n, say.language),
                    share=percent(n, total, say.language),
                )
                for name, n in rows
            ],
        )
        if rows
        else html('<p class="more">{x}</p>', x=say(nothing)),
        below=html('<p class="more">{x}</p>', x=below) if below else None,
    )


def percent(n: int, total: int, language: str) -> str:
    """A share, as the language writes it."""
    share = 100 * n / total if total else 0.0
    text = "<1" if 0 < share < 0.95 else f"{share:.0f}"
    return f"{text}\u202f%" if language == "fr" else f"{text}%"
