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
    return html(
        '<figure class="card"><figcaption>{caption}<small>{small}</small></figcaption><div class="plot">'
        '<div class="y" aria-hidden="true"><span>{top}</span><span>{half}</span><span>0</span></div>'
        '<svg viewBox="0 0 {width} 100" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '<path class="grid" d="M0 0H{width}M0 50H{width}M0 100H{width}"/>{shown}</svg>'
        '<div class="x" aria-hidden="true">{labels}</div></div>'
        '<details><summary>{see}</summary><table><thead><tr><th scope="col">{when}</th><th scope="col" class="n">{count}</th></tr></thead>'
        "<tbody>{rows}</tbody></table></details></figure>",
        caption=caption,
        small=small,
        top=number(top, say.language),
        half=number(top // 2, say.language),
        width=10 * len(bars),
        label=f"{caption}. {small}",
        shown=shown,
        labels=[html("<span>{x}</span>", x=label) for label in labels],
        see=say("audience.table"),
        when=when,
        count=say("audience.count"),
        rows=[
            html('<tr><th scope="row">{name}</th><td class="n">{n}</td></tr>', name=bar.name, n=number(bar.n, say.language))
            for bar in reversed(bars)
        ],
    )


def ranking(title: str, head: str, rows: Sequence[tuple[str, int]], total: int, say: Words, below: str = "") -> Html:
    """A table of names, the largest first, each with its bar; ``total`` is what the shares are of."""
    most = max((n for _, n in rows), default=0) or 1
    return html(
        '<section class="card"><h2>{title}</h2>{table}{below}</section>',
        title=title,
        table=html(
            '<table><thead><tr><th scope="col">{head}</th><th scope="col" class="n">{count}</th>'
            '<th scope="col" class="n share">{share}</th></tr></thead><tbody>{rows}</tbody></table>',
            head=head,
            count=say("audience.count"),
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
        else html('<p class="more">{x}</p>', x=say("audience.nothing")),
        below=html('<p class="more">{x}</p>', x=below) if below else None,
    )


def percent(n: int, total: int, language: str) -> str:
    """A share, as the language writes it."""
    share = 100 * n / total if total else 0.0
    text = "<1" if 0 < share < 0.95 else f"{share:.0f}"
    return f"{text}\u202f%" if language == "fr" else f"{text}%"
