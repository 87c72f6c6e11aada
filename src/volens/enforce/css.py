"""References inside CSS text: the same text, with those that are not allowed pointing nowhere.

Not a parser: url(), src(), image-set() and @import are found by their names, with CSS escapes in names
undone where the undone name is one of these. Comments are not told apart: what is withheld inside one was not
seen anyway. What this misses the Content-Security-Policy still stops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_STRING = r""""(?:[^"\\\n]|\\(?:[\r\f]\n|.))*"?|'(?:[^'\\\n]|\\(?:[\r\f]\n|.))*'?"""
_FUNCTION = re.compile(rf"(?:url|src)\(\s*({_STRING}|(?:[^)\"'\s(\\]|\\[0-9a-f]{{1,6}}\s?|\\.)*)\s*\)?", re.IGNORECASE | re.DOTALL)
_IMPORTED = re.compile(rf"({_STRING})", re.DOTALL)
_IMAGE_SET = re.compile(rf"{_STRING}|/\*.*?\*/|[()]", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})(?:[\r\f]\n|[ \t\n\r\f])?|([\r\f]\n|[\n\r\f])|(.))", re.DOTALL)
_ESCAPED_NAME = re.compile(r"@?(?:\\[0-9a-fA-F]{1,6}[ \t\n\r\f]?|\\?[a-zA-Z-]){3,20}(?=\(|[\"'\s/])")
_LETTER_ESCAPE = re.compile(r"\\0{0,4}(?:[4-7][0-9a-f]|2d)|\\[g-z-]", re.IGNORECASE)
"""An escape that may stand for a letter of these names; those of class names and icons hardly ever do."""
_NAMES = frozenset(["url", "src", "@import", "image-set", "-webkit-image-set"])
_NEEDLES = ("url(", "src(", "@import", "image-set(")
WITHHELD = "about:invalid#volens"
"""What a withheld reference becomes."""
_LOOK_BACK = 300
_NAME_REACH = 140
"""Characters that the longest of these names can take when every letter is escaped at its longest."""


def unescape(text: str) -> str:
    """CSS escapes undone (CSS Syntax 3 §4.3.7)."""

    def one(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[3] or ""  # an escaped newline is no character at all
        code = int(found[1], 16)
        return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"

    return _ESCAPE.sub(one, text) if "\\" in text else text


def _plain_name(found: re.Match[str]) -> str:
    name = unescape(found[0]) if "\\" in found[0] else ""
    return name if name.lower() in _NAMES else found[0]


def _plain_names(text: str) -> str:
    """The text with escaped letters of these names made plain; looked for only around the few escapes that may be one."""
    out: list[str] = []
    done = 0
    for found in _LETTER_ESCAPE.finditer(text):
        if found.start() < done:
            continue
        start, stop = max(done, found.start() - _NAME_REACH), found.end() + _NAME_REACH
        # A window ends where no name can go on, so that none is cut in two.
        while stop < len(text) and text[stop] not in "({;}":
            stop += 1
        out += [text[done:start], _ESCAPED_NAME.sub(_plain_name, text[start : stop + 1])]
        done = stop + 1
    if not out:
        return text
    out.append(text[done:])
    return "".join(out)


def _strings(source: str, at: int) -> tuple[list[re.Match[str]], int]:
    """The strings inside the parentheses that open after ``at``, and where these end."""
    depth = 0
    strings: list[re.Match[str]] = []
    for found in _IMAGE_SET.finditer(source, at):
        if found[0] == "(":
            depth += 1
        elif found[0] == ")":
            depth -= 1
            if depth <= 0:
                return strings, found.end()
        elif found[0][:1] in ("'", '"'):
            strings.append(found)
    return strings, len(source)


def _imported(source: str, at: int) -> re.Match[str] | None:
    """The string after ``@import``, spaces and comments between them left out."""
    while True:
        at = next((i for i in range(at, len(source)) if source[i] not in " \t\n\r\f"), len(source))
        if not source.startswith("/*", at):
            return _IMPORTED.match(source, at)
        at = source.find("*/", at + 2) + 2
        if at < 2:
            return None


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
    source = _plain_names(text) if "\\" in text else text
    lowered = source.lower()
    if "(" not in lowered and "@" not in lowered:
        return text
    out: list[str] = []
    position = looked = 0
    for at, needle in _places(lowered):
        if at < position:
            continue
        if needle == "image-set(":
            if at < looked:
                continue  # inside another one, whose strings were all looked at
            strings, looked = _strings(source, at)
            group, kind = 0, "image"
        else:
            found = _imported(source, at + len(needle)) if needle == "@import" else _FUNCTION.match(source, at)
            strings, group = [found] if found else [], 1
            kind = "style" if needle == "@import" else _kind(lowered, at)
        for found in strings:
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
