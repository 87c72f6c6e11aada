"""Pages as text and back, byte for byte: one character a byte wherever markup is ASCII, and two encodings where it is not.

Browsers support few encodings (Encoding Standard). In all but UTF-16 and ISO-2022-JP a byte below 0x80 that could open or
close a tag is that character, so latin-1 stands for every one of them and what is no markup survives unread.
"""

from __future__ import annotations

import re

LATIN, JIS, WIDE_LITTLE, WIDE_BIG = "latin-1", "iso-2022-jp", "utf-16-le", "utf-16-be"
_LABELS = {"iso-2022-jp": JIS, "csiso2022jp": JIS, "utf-16be": WIDE_BIG, "unicodefffe": WIDE_BIG} | dict.fromkeys(
    ("utf-16", "utf-16le", "csunicode", "iso-10646-ucs-2", "ucs-2", "unicode", "unicodefeff"), WIDE_LITTLE
)
_MARKS = ((b"\xef\xbb\xbf", LATIN), (b"\xff\xfe", WIDE_LITTLE), (b"\xfe\xff", WIDE_BIG))
_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META = re.compile(rb"<meta[\s/]((?:[^>\"']|\"[^\"]*\"|'[^']*')*)", re.IGNORECASE)
_CONTENT = re.compile(rb"(?:\A|[\s/\"'])content\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)
_NAMED = re.compile(rb"(?:\A|[\s/\"';])charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE)
_TYPED = re.compile(rb"http-equiv\s*=\s*[\"']?\s*content-type", re.IGNORECASE)
PRESCAN = 1024
"""Bytes in which a browser looks for a meta element that names the encoding."""


def meta_charset(start: bytes) -> str:
    """The encoding that a page names in its first bytes, as a browser's prescan finds it; empty where it names none."""
    for tag in _META.finditer(_COMMENT.sub(b"", start[:PRESCAN])):
        content = _CONTENT.search(tag[1])
        rest = tag[1].replace(content[0], b" ") if content else tag[1]
        found = _NAMED.search(rest) or (_NAMED.search(content[1]) if content and _TYPED.search(rest) else None)
        if found:
            name = found[1].decode("ascii").lower()
            return "utf-8" if _LABELS.get(name, LATIN).startswith("utf-16") else name  # what can be read is not UTF-16
    return ""


def read(start: bytes, content_type: str) -> tuple[str, int, str]:
    """(codec, length of the byte order mark, encoding to name beside the page or empty): HTML Standard §13.2.3.2."""
    for mark, codec in _MARKS:
        if start.startswith(mark):
            return codec, len(mark), ""
    declared = _HEADER.search(content_type)
    if declared:
        return _LABELS.get(declared[1].lower(), LATIN), 0, ""
    name = meta_charset(start)
    return _LABELS.get(name, LATIN), 0, name


class Text:
    """One page's way to text and back. What ``decode`` gives, unchanged, ``encode`` makes the same bytes."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._kept = b""
        self._moved = False  # in a two-byte or kana part of ISO-2022-JP

    def decode(self, data: bytes, last: bool = False) -> str:
        """The next characters."""
        if self._codec == LATIN:
            return data.decode("latin-1")
        data, self._kept = self._kept + data, b""
        if self._codec == JIS:
            return self._jis(data, last)
        if len(data) % 2 and not last:
            data, self._kept = data[:-1], data[-1:]
        return data[: len(data) // 2 * 2].decode(self._codec, "surrogatepass")

    def _jis(self, data: bytes, last: bool) -> str:
        cut = re.search(rb"\x1b[($]?\Z", data)
        if cut and not last:
            data, self._kept = data[: cut.start()], cut[0]
        out = []
        for part in re.split(rb"(\x1b(?:\([BIJ]|\$[@B]))", data):
            text = part.decode("latin-1")
            if part[:1] == b"\x1b" and len(part) == 3:
                self._moved = part not in (b"\x1b(B", b"\x1b(J")
            elif self._moved:
                text = text.translate(_AWAY)  # "<" here is half of a character
            out.append(text)
        return "".join(out)

    def encode(self, text: str) -> bytes:
        """The bytes for ``text``; a character that has none becomes a reference."""
        if self._codec == JIS:
            return text.translate(_BACK).encode("latin-1", "xmlcharrefreplace")
        if self._codec == LATIN:
            return text.encode("latin-1", "xmlcharrefreplace")
        return text.encode(self._codec, "surrogatepass")


_AWAY = {code: 0xE100 + code for code in range(0x21, 0x7F)}
_BACK = {moved: code for code, moved in _AWAY.items()}
