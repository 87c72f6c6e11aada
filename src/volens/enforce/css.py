"""References inside CSS text: the same text, with those that are not allowed pointing nowhere.

Not a parser: url(), src(), image-set() and @import are found by their names, with CSS escapes in those names
undone. Comments are not told apart: what is withheld inside one was not seen anyway. What this misses the
Content-Security-Policy still stops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_STRING = r""""(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?"""
_FUNCTION = re.compile(rf"(?:url|src)\(\s*({_STRING}|(?:[^)\"'\s(\\]|\\.)*)\s*\)?", re.IGNORECASE | re.DOTALL)
_IMPORT = re.compile(rf"@import\s*({_STRING})", re.IGNORECASE | re.DOTALL)
_SET_STRING = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})[ \t\n\f]?|([^\n]))")
_ESCAPED_NAME = re.compile(r"(?:\\[0-9a-fA-F]{1,6}[ \t\n\f]?|\\?[a-zA-Z]){3}\(")
_ESCAPE_NEAR_NAME = re.compile(r"\\[^(){};:\"']{0,22}\(")
_NEEDLES = ("url(", "src(", "@import", "image-set(")
WITHHELD = "about:invalid#volens"
"""What a withheld reference becomes."""
_LOOK_BACK = 300


def unescape(text: str) -> str:
    """CSS escapes undone (CSS Syntax 3 §4.3.7)."""

    def one(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[2]
        code = int(found[1], 16)
        return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"

    return _ESCAPE.sub(one, text) if "\\" in text else text


def _plain_name(found: re.Match[str]) -> str:
    name = unescape(found[0])
    return name if name.lower() in ("url(", "src(") else found[0]


def _places(lowered: str) -> Iterator[tuple[int, str]]:
    """Where the needles stand, in order."""
    nearest = {needle: lowered.find(needle) for needle in _NEEDLES if needle in lowered}
    while nearest:
        needle = min(nearest, key=nearest.__getitem__)
        at = nearest[needle]
        yield at, needle
        following = lowered.find(needle, at + 1)
        if following < 0:
            del nearest[needle]
        else:
            nearest[needle] = following


def withhold(text: str, allowed: Callable[[str, str], bool]) -> str:
    """``text`` with every reference for which ``allowed(reference, kind)`` is false pointing nowhere.

    ``kind`` is ``style`` for imports, ``font`` inside @font-face, else ``image``. Where nothing is withheld the very
    text that came is returned.
    """
    source = _ESCAPED_NAME.sub(_plain_name, text) if "\\" in text and _ESCAPE_NEAR_NAME.search(text) else text
    lowered = source.lower()
    if "(" not in lowered and "@" not in lowered:
        return text
    out: list[str] = []
    position = 0
    for at, needle in _places(lowered):
        if at < position:
            continue
        if needle == "image-set(":
            stop = min((i for i in (source.find(";", at), source.find("}", at)) if i >= 0), default=len(source))
            strings, pattern, kind = list(_SET_STRING.finditer(source, at, stop)), None, "image"
        else:
            pattern = _IMPORT if needle == "@import" else _FUNCTION
            found = pattern.match(source, at)
            strings = [found] if found else []
            kind = "style" if needle == "@import" else _kind(lowered, at)
        for found in strings:
            group = 0 if pattern is None else 1
            value = found[group]
            if value[:1] in ("'", '"'):
                value = value[1:-1] if len(value) > 1 and value[-1] == value[0] else value[1:]
            if value and not allowed(unescape(value), kind):
                out += [source[position : found.start(group)], f'"{WITHHELD}"']
                position = found.end(group)
    if not out:
        return text
    out.append(source[position:])
    return "".join(out)


def _kind(lowered: str, at: int) -> str:
    before = lowered[max(0, at - _LOOK_BACK) : at]
    if before.rstrip().endswith("@import"):
        return "style"
    return "font" if "@font-face" in before[before.rfind("}") + 1 :] else "image"
