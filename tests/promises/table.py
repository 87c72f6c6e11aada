"""The table of promises, read from promises.toml: what each test is run for, what is missing, and the page that tells it.

``python tests/promises/table.py --write`` writes docs/reference/promises.md.
"""

from __future__ import annotations

import itertools
import sys
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("promises.toml")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "promises.md"


@dataclass(frozen=True, slots=True)
class Row:
    """Some combinations of one promise. Either ``test`` (with what enforces it) or ``reason`` is told."""

    promise: str
    kinds: tuple[str, ...]
    layers: tuple[str, ...]
    enforced: str
    test: str
    reason: str

    def cells(self) -> Iterator[tuple[str, str]]:
        """Pairs of kind and layer."""
        return itertools.product(self.kinds, self.layers)

    def name(self, kind: str, layer: str) -> str:
        """The test of one combination, as pytest calls it."""
        return self.test.format(kind=kind, layer=layer)


@dataclass(frozen=True, slots=True)
class Table:
    """All of it."""

    promises: Mapping[str, str]
    kinds: Mapping[str, Mapping[str, Any]]
    layers: Mapping[str, str]
    rows: tuple[Row, ...]

    @classmethod
    def read(cls, text: str) -> Table:
        told = tomllib.loads(text)
        kinds, layers = tuple(told["kinds"]), tuple(told["layers"])
        rows = tuple(
            Row(
                row["promise"],
                tuple(row.get("kinds", kinds)),
                tuple(row.get("layers", layers)),
                row.get("enforced", ""),
                row.get("test", ""),
                row.get("reason", ""),
            )
            for row in told["rows"]
        )
        return cls(told["promises"], told["kinds"], told["layers"], rows)

    def cells(self, test: str) -> list[tuple[str, str]]:
        """What a test function is run for."""
        return [cell for row in self.rows if row.test.partition("::")[2].partition("[")[0] == test for cell in row.cells()]

    def tests(self) -> set[str]:
        return {row.name(*cell) for row in self.rows if row.test for cell in row.cells()}

    def mistakes(self, collected: Collection[str]) -> list[str]:
        """What the table leaves open, says twice, or names although it is not there."""
        wrong = [
            f"{row.promise}: a row tells both a test and a reason, or neither" for row in self.rows if bool(row.test) == bool(row.reason)
        ]
        wrong += [f"{row.promise}: {row.test} is named without what enforces it" for row in self.rows if row.test and not row.enforced]
        told = Counter((row.promise, *cell) for row in self.rows for cell in row.cells())
        every = set(itertools.product(self.promises, self.kinds, self.layers))
        wrong += [f"{' × '.join(cell)}: neither a test nor a reason" for cell in sorted(every - set(told))]
        wrong += [f"{' × '.join(cell)}: unknown" for cell in sorted(set(told) - every)]
        wrong += [f"{' × '.join(cell)}: told {n} times" for cell, n in sorted(told.items()) if n > 1]
        wrong += [f"no such test: {name}" for name in sorted(self.tests() - set(collected))]
        return wrong

    def page(self) -> str:
        """docs/reference/promises.md."""
        lines = []
        for row in self.rows:
            kinds = "all" if len(row.kinds) == len(self.kinds) else "; ".join(self.kinds[kind]["name"] for kind in row.kinds)
            layers = "all" if len(row.layers) == len(self.layers) else "; ".join(self.layers[layer] for layer in row.layers)
            file, _, test = row.test.partition("::")
            held = f"`{file}`: `{test.partition('[')[0]}`" if test else f"does not apply: {row.reason}"
            lines.append(f"| {row.promise} | {kinds} | {layers} | {row.enforced} | {held} |")
        return PAGE_TEXT.format(
            promises="\n".join(f"- **{name}**: {says}." for name, says in self.promises.items()),
            kinds="\n".join(f"| {kind['name']} | {', '.join(kind['purposes'])} |" for kind in self.kinds.values()),
            rows="\n".join(lines),
            cells=sum(len(list(row.cells())) for row in self.rows),
            tests=len(self.tests()),
        )


PAGE_TEXT = """<!-- Written by tests/promises/table.py from tests/promises/promises.toml; do not edit by hand. -->
# The fourteen promises, and the test of each

What a visitor is promised by the page with the notice on it, seen by a real Chromium on the demonstration, whose third parties run under
`*.localhost` and count what they receive. Each promise has a file of its own, `tests/promises/test_P01.py` to `test_P14.py`. This page
tells what is held beyond that: each promise for each kind of data on both layers of the notice, with and without JavaScript.

{promises}

The kinds of data, and the purposes of the demonstration that process them:

| kind of data | purposes |
|---|---|
{kinds}

*First layer*: the answer is given by a button of the notice. *Panel*: it is given under *Paramétrer vos choix*, which in a browser without
JavaScript is a page of its own.

| promise | kinds of data | layer | enforced by | test in `tests/promises/`, or why there is none |
|---|---|---|---|---|
{rows}

{cells} combinations, {tests} tests. A combination with neither a test nor a reason fails `tests/promises/test_table.py`, and so does a test
that is named and does not exist. `VOLENS_DEMO=raw` runs the same site with nothing in front; then every one of them must fail.
"""

TABLE = Table.read(SOURCE.read_text("utf-8"))
"""As it stands."""


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: table.py --write")
    PAGE.write_text(TABLE.page(), "utf-8")
