"""Content codings undone and done again, piece by piece, so that no body makes us hold more than a few pieces."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 1 << 16
"""Bytes of decoded body handled at a time, however well a bomb is packed."""


class CodingError(ValueError):
    """A body that isn't in the coding its header names."""


class Decoder:
    """Undoes one coding. ``pieces`` yields the decoded body in pieces of about PIECE bytes."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._made: Any = None
        self._ended = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The decoded form of the next bytes; raises CodingError."""
        try:
            if self._ended:
                return
            if self._coding == "identity":
                for at in range(0, len(data), 1 << 18):
                    yield data[at : at + (1 << 18)]
            elif self._coding in ("gzip", "deflate"):
                yield from self._zlib(data)
            elif self._coding == "br":
                yield from self._brotli(data)
            else:
                yield from self._zstd(data)
        except (zlib.error, brotli.error, zstd.ZstdError, EOFError) as error:
            raise CodingError(f"not {self._coding}: {error}") from error

    def _zlib(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._made is None:
                # deflate is zlib's format by the RFC, raw deflate in the wild
                window = 47 if self._coding == "gzip" else (15 if data[:1] and data[0] & 0x0F == 8 else -15)
                self._made = zlib.decompressobj(window)
            piece = self._made.decompress(data, PIECE)
            if piece:
                yield piece
            if self._made.eof:
                data, self._made = self._made.unused_data.lstrip(b"\0"), None  # members may follow each other
                if self._coding == "deflate" or not (data[:2] == b"\x1f\x8b" or data in (b"", b"\x1f")):
                    self._ended = True  # what follows is no part of the body (RFC 1952 §2.2; browsers ignore it too)
                    return
            else:
                data = self._made.unconsumed_tail
                if not piece and not data:
                    break

    def _brotli(self, data: bytes) -> Iterator[bytes]:
        if self._made is None:
            self._made = brotli.Decompressor()
        piece = self._made.process(data, output_buffer_limit=PIECE)
        while piece or not self._made.can_accept_more_data():
            yield piece
            if self._made.is_finished():
                self._ended = True
                break
            piece = self._made.process(b"", output_buffer_limit=PIECE)

    def _zstd(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._made is None:
                self._made = zstd.ZstdDecompressor()
            piece = self._made.decompress(data, PIECE)
            while True:
                if piece:
                    yield piece
                if self._made.eof or self._made.needs_input:
                    break
                piece = self._made.decompress(b"", PIECE)
            data = b""
            if self._made.eof:
                data, self._made = self._made.unused_data, None


class Encoder:
    """Does one coding, at a level for answers made on the way."""

    def __init__(self, coding: str) -> None:
        self.add: Callable[[bytes], bytes]
        self.end: Callable[[], bytes]
        self._flush: Callable[[], bytes] = lambda: b""
        if coding == "identity":
            self.add, self.end = (lambda data: data), (lambda: b"")
        elif coding in ("gzip", "deflate"):
            packer = zlib.compressobj(4, zlib.DEFLATED, 31 if coding == "gzip" else 15)
            self.add, self.end = packer.compress, packer.flush
            self._flush = lambda: packer.flush(zlib.Z_SYNC_FLUSH)
        elif coding == "br":
            brotli_packer = brotli.Compressor(quality=4)
            self.add, self.end, self._flush = brotli_packer.process, brotli_packer.finish, brotli_packer.flush
        else:
            zstd_packer = zstd.ZstdCompressor(level=3)
            self.add, self.end = zstd_packer.compress, zstd_packer.flush
            self._flush = lambda: zstd_packer.flush(zstd_packer.FLUSH_BLOCK)

    def flush(self) -> bytes:
        """What a reader needs to see all that was added: streamed pages must not wait for a full window."""
        return self._flush()


def decoded(data: bytes, coding: str, limit: int) -> bytes | None:
    """A whole body, or None where it would be longer than ``limit``; raises CodingError."""
    if coding == "identity":
        return data
    out, size = [], 0
    for piece in Decoder(coding).pieces(data):
        size += len(piece)
        if size > limit:
            return None
        out.append(piece)
    return b"".join(out)
