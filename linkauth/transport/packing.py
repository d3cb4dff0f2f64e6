"""Answers that come compressed (RFC 9110 §8.4.1), unpacked here so that a few bytes cannot become too many.

aiohttp unpacks by itself, and how much at once differs from release to release.
"""

from __future__ import annotations

import zlib
from typing import Final

__all__ = ["ACCEPTED", "Unpacker"]

ACCEPTED: Final = "gzip, deflate"
"""``Accept-Encoding`` (RFC 9110 §12.5.3)."""

_GZIP: Final = 31
_ZLIB: Final = 15
_BARE: Final = -15
"""Kinds of stream, as zlib calls them. A ``deflate`` should be within zlib's format, and from some servers it is bare."""


class Unpacker:
    """For one answer. ``coding``: its ``Content-Encoding``. Whatever cannot be unpacked is a ``ValueError``."""

    def __init__(self, coding: str) -> None:
        self._coding = coding.strip().lower()
        self._stream: zlib._Decompress | None = None
        if self._coding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            raise ValueError("packed in a way that was not asked for")

    def __call__(self, data: bytes, most: int) -> bytes:
        """What ``data`` goes on with, ``most`` bytes of it; the rest is lost where there is more."""
        if self._coding in {"", "identity"}:
            return data[:most]
        found = b""
        while data and len(found) < most:
            if self._stream is None:
                self._stream = zlib.decompressobj(self._kind(data))
            try:
                found += self._stream.decompress(data, most - len(found))
            except zlib.error:
                raise ValueError("not packed as it says") from None
            data = self._stream.unused_data
            if self._stream.eof and data[:2] == b"\x1f\x8b":
                self._stream = None  # a gzip may have several parts (RFC 1952 §2.2)
            elif self._stream.eof:
                data = b""
        return found

    def end(self) -> None:
        """Raise ``ValueError`` where more should have come."""
        if self._stream is not None and not self._stream.eof:
            raise ValueError("cut off")

    def _kind(self, data: bytes) -> int:
        if self._coding != "deflate":
            return _GZIP
        return _ZLIB if data[0] & 0x0F == 8 else _BARE  # the method in zlib's first byte (RFC 1950 §2.2)
