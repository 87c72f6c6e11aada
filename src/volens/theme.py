"""The looks a site may set, and the colours that follow from them, light and dark: which colour stands on which is known here,
so that a contrast can be judged before anything is drawn (WCAG 2.2, 1.4.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from volens.errors import NoticeError

COLOURS = ("background", "text", "quiet", "lines", "soft", "accent", "buttons", "on_buttons", "yes", "no")
"""The colours of a screen. ``quiet``: lesser text; ``soft``: a second background; ``accent``: links, focus and switches;
``yes`` and ``no``: the band's two colours, under white words."""
POSITIONS = ("bottom", "top", "bottom-left", "bottom-right")
SCHEMES = ("auto", "light", "dark")
SITE_FONT = "inherit"
"""As ``font``: the letters of the page the notice stands in."""

COLOUR = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
RADIUS = re.compile(r"0|\d{1,2}(?:\.\d{1,2})?(?:px|rem|em)")
FONT = re.compile(r"[\w ,'\"-]{1,200}")

_LIGHT = {
    "background": "#ffffff",
    "text": "#1b2030",
    "quiet": "#545c6e",
    "lines": "#d8dce5",
    "soft": "#f4f5f8",
    "accent": "#2a4fa8",
    "buttons": "#27365c",
    "on_buttons": "#ffffff",
    "yes": "#17663f",
    "no": "#a5272d",
}
_DARK = _LIGHT | {
    "background": "#171a21",
    "text": "#eef0f5",
    "quiet": "#a9b0c0",
    "lines": "#3a404e",
    "soft": "#20242d",
    "accent": "#9dbaff",
    "buttons": "#eef0f5",
    "on_buttons": "#171a21",
}
PAIRS = (
    ("text", "background", 5.0),
    ("text", "soft", 5.0),
    ("quiet", "background", 4.5),
    ("quiet", "soft", 4.5),
    ("accent", "background", 4.5),
    ("accent", "soft", 4.5),
    ("on_buttons", "buttons", 5.0),
)
"""(words, ground, least contrast) of everything that is read on a screen. R06 asks for 5 where a choice is made, WCAG for 4.5."""


@dataclass(frozen=True)
class Theme:
    """The looks that can be set without making refusing harder than accepting (checked by ``volens check``)."""

    background: str = ""
    text: str = ""
    quiet: str = ""
    lines: str = ""
    soft: str = ""
    accent: str = ""
    buttons: str = ""
    on_buttons: str = ""
    yes: str = ""
    no: str = ""
    radius: str = ""
    font: str = ""
    """Names, or ``inherit`` for the letters of the page itself."""
    position: str = "bottom"
    scheme: str = "auto"
    """``auto``: as the page around it, and by the visitor's wish on our own pages; ``light`` or ``dark``: always that."""
    dark: Mapping[str, str] = field(default_factory=dict)
    """Colours of the dark looks by name; what is missing is derived from the light ones."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dark", MappingProxyType(dict(self.dark)))
        values = [(COLOUR, getattr(self, name)) for name in COLOURS] + [(COLOUR, value) for value in self.dark.values()]
        for pattern, value in (*values, (RADIUS, self.radius), (FONT, self.font)):
            if value and not pattern.fullmatch(value):
                raise NoticeError(f"[theme] {value!r}: not a plain value. Use #rrggbb, a length or font names.")

    @cached_property
    def light_colours(self) -> Mapping[str, str]:
        """Every colour of the light looks."""
        return _whole({name: getattr(self, name) for name in COLOURS if getattr(self, name)}, _LIGHT)

    @cached_property
    def dark_colours(self) -> Mapping[str, str]:
        """Every colour of the dark looks: paper and ink change places, and what must be read is lifted until it can be."""
        light, given = self.light_colours, {name: value for name, value in self.dark.items() if value}
        if luminance(light["background"]) < 0.18:  # the site is dark already
            return _whole({**light, **given}, _DARK)
        derived = {}
        if self.text:
            derived["background"] = next(c for c in _towards(light["text"], "#000000") if luminance(c) < 0.016)
        if self.background:
            derived["text"] = mix(light["background"], derived.get("background", _DARK["background"]), 0.92)
        for name in ("accent", "buttons", "yes", "no"):
            if getattr(self, name):
                derived[name] = getattr(self, name)
        if ("buttons" in derived or "accent" in derived) and "accent" not in given:
            ground = derived.get("background", _DARK["background"])
            derived["buttons"] = readable(derived.get("buttons") or derived["accent"], ground, 7)
        return _whole({**derived, **given}, _DARK)

    def unreadable(self) -> Iterator[tuple[str, str, str, str, str, float, float]]:
        """(scheme, name and value of the words' colour, of their ground's, contrast, least) of each pair that is too pale."""
        schemes = {"light": self.light_colours, "dark": self.dark_colours}
        for scheme, colours in schemes.items():
            if self.scheme in ("auto", scheme):
                white = dict(colours, white="#ffffff")
                for words, ground, least in (*PAIRS, ("white", "yes", 4.5), ("white", "no", 4.5)):
                    ratio = contrast(rgb(white[words]), rgb(white[ground]))
                    if ratio < least:
                        yield scheme, words, white[words], ground, white[ground], ratio, least


def _whole(given: Mapping[str, str], base: Mapping[str, str]) -> dict[str, str]:
    """``given`` with every other colour: from ``base``, or made of those given."""
    found = {**base, **given}
    paper, ink = found["background"], found["text"]
    if "background" in given or "text" in given:
        found.update({"soft": mix(ink, paper, 0.05), "lines": mix(ink, paper, 0.2)})
        found["quiet"] = readable(mix(ink, paper, 0.7), found["soft"])
    if "accent" in given:
        found["buttons"] = given["accent"]
    found.update(given)
    found["accent"] = readable(readable(found["accent"], found["soft"]), paper)
    if "on_buttons" not in given and found["buttons"] != base["buttons"]:
        found["on_buttons"] = max(("#ffffff", "#000000"), key=lambda c: contrast(rgb(c), rgb(found["buttons"])))
    return found


def readable(colour: str, ground: str, least: float = 4.6) -> str:
    """``colour``, as much darker or lighter as it takes to be read on ``ground``."""
    end = "#000000" if luminance(ground) > 0.18 else "#ffffff"
    return next((c for c in _towards(colour, end) if contrast(rgb(c), rgb(ground)) >= least), end)


def _towards(colour: str, end: str) -> Iterator[str]:
    return (mix(end, colour, step / 20) for step in range(21))


def mix(one: str, other: str, share: float) -> str:
    """``share`` of ``one`` in ``other``."""
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in zip(rgb(one), rgb(other), strict=True))


def rgb(colour: str) -> tuple[int, int, int]:
    """'#rgb' or '#rrggbb' as 0–255."""
    digits = colour.lstrip("#")
    red, green, blue = (digits[i] * 2 for i in range(3)) if len(digits) == 3 else (digits[i : i + 2] for i in (0, 2, 4))
    return int(red, 16), int(green, 16), int(blue, 16)


def luminance(colour: str | Iterable[float]) -> float:
    """Relative luminance of a colour, hexadecimal or given as 0–255 (WCAG 2.2)."""
    values = rgb(colour) if isinstance(colour, str) else colour
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in values))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Iterable[float], other: Iterable[float]) -> float:
    """Contrast ratio, 1 to 21, of two colours given as 0–255 (WCAG 2.2, 1.4.3)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
