"""References inside CSS text: which there are, and the same text with some of them withheld.

Not a parser: url(), src(), image-set() and @import are found by their names, with CSS escapes in those names
undone. What this misses the Content-Security-Policy still stops.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})[ \t\n\f]?|([^\n]))")
_REFERENCE = re.compile(
    r"""(?P<comment>/\*.*?(?:\*/|\Z))
      | (?P<open>(?:\burl|\bsrc)\(\s*)(?:"(?P<dq>(?:[^"\\\n]|\\.)*)"?|'(?P<sq>(?:[^'\\\n]|\\.)*)'?|(?P<bare>[^)"'\s][^)]*?))\s*\)?
      | (?P<at>@import\s*)(?:"(?P<adq>(?:[^"\\\n]|\\.)*)"|'(?P<asq>(?:[^'\\\n]|\\.)*)')
      | (?P<set>\b(?:-webkit-)?image-set\()(?P<candidates>[^;{}]*)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_STRING = re.compile(r"""(["'])((?:(?!\1)[^\\\n]|\\.)*)\1""")
_WORD_ESCAPE = re.compile(r"\\0{0,4}(?:55|75|52|72|4c|6c|53|73|43|63)[ \t\n\f]?|\\[urlscURLSC](?![0-9a-fA-F])", re.IGNORECASE)
WITHHELD = "about:invalid#volens"


def unescape(text: str) -> str:
    """CSS escapes undone (CSS Syntax 3 §4.3.7)."""

    def one(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[2]
        code = int(found[1], 16)
        return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "�"

    return _ESCAPE.sub(one, text) if "\\" in text else text


def _plain_names(text: str) -> str:
    """Escaped letters of ``url`` and ``src`` made plain, so that the search finds them; harmless elsewhere in a rule."""
    if "\\" not in text:
        return text
    return re.sub(
        r"(?:\\[0-9a-fA-F]{1,6}[ \t\n\f]?|\\?[a-zA-Z]){3}\(",
        lambda m: n if (n := unescape(m[0])).lower() in ("url(", "src(") else m[0],
        text,
    )


def withhold(text: str, allowed: Callable[[str, str], bool]) -> str:
    """``text`` with every reference for which ``allowed(reference, kind)`` is false pointing nowhere.

    ``kind`` is ``style`` for imports, ``font`` inside @font-face, else ``image``. Unchanged text is returned as it is.
    """
    lowered = text.lower()
    if "url" not in lowered and "src(" not in lowered and "@import" not in lowered and "image-set" not in lowered and "\\" not in text:
        return text
    source = _plain_names(text)

    def one(found: re.Match[str]) -> str:
        whole = found[0]
        if found["comment"] is not None:
            return whole
        if found["set"] is not None:
            return found["set"] + _STRING.sub(
                lambda s: s[0] if allowed(unescape(s[2]), "image") else f'"{WITHHELD}"', _REFERENCE.sub(one, found["candidates"])
            )
        value = next(v for v in (found["dq"], found["sq"], found["bare"], found["adq"], found["asq"], "") if v is not None)
        before = source[max(0, found.start() - 400) : found.start()]
        kind = "image"
        if found["at"] is not None or re.search(r"@import\s*\Z", before, re.IGNORECASE):
            kind = "style"
        elif "@font-face" in before[before.rfind("}") + 1 :].lower():
            kind = "font"
        if not value or allowed(unescape(value), kind):
            return whole
        if found["at"] is not None:
            return f'{found["at"]}"{WITHHELD}"'
        return f'{found["open"]}"{WITHHELD}")'

    result = _REFERENCE.sub(one, source)
    return text if result == source else result
