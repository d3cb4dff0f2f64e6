"""Where somebody else's words repeat a secret, in whatever form it was sent, four stars stand in its place.

A vendor that refuses may repeat what it was sent: as it was, percent-encoded as in a form, with JSON's escapes, in base64 as
HTTP Basic has it, or only the beginning. So words are not searched for forms of a secret: they are decoded, twice, for one
encoding may lie within another, and at each step compared, letters' case and base64's two alphabets aside.
"""

from __future__ import annotations

import re
from base64 import b64encode
from html import unescape
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Mask"]

STARS: Final = "****"

PIECE: Final = 12
"""Characters in a row of a long secret that give it away. Fewer tell a human which one it was, and leave it unknown."""
SHORT: Final = 8
"""Characters up to which only the whole secret is looked for: a piece of it would be a part of any word."""

LONGEST_INSIDE: Final = 4096
"""Bytes of a secret that is looked for within other base64: what goes into HTTP Basic is far shorter."""

ROUNDS: Final = 2
"""How often words are decoded."""

# Told apart, for what is an escape to one is a secret's own character to another.
_ESCAPES: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        rb"%(?P<byte>[0-9a-f]{2})",  # RFC 3986 §2.1
        # RFC 8259 §7 (beyond U+FFFF there are two of them), and what programs print of bytes
        rb"(?P<json>(?:\\u[0-9a-f]{4})+)|\\x(?P<byte>[0-9a-f]{2})|\\(?P<char>.)",
        rb"(?P<html>&(?:#0{0,16}[0-9]{1,7}|#x0{0,16}[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});?)",  # HTML §13.5
    )
)

# A form's "+" is a space, and base64url writes "-" and "_" for "+" and "/".
_ALIKE: Final = bytes.maketrans(b" -_", b"++/")


class _Text(NamedTuple):
    """Words as bytes, and for each byte where the characters begin and end that it stands for."""

    data: bytes
    starts: Sequence[int]
    ends: Sequence[int]


class Mask:
    """Puts ``****`` where a text gives one of ``secrets`` away: whole, or 12 characters of it in a row.

    Of a secret below 24 characters half of it, yet 8, gives it away. Takes time in proportion to what it is given.
    """

    __slots__ = ("_grams",)

    def __init__(self, secrets: Iterable[str | None]) -> None:
        self._grams: dict[int, set[bytes]] = {}
        """By length, the stretches of bytes that give a secret away."""
        for form in {form for secret in secrets if secret for form in _forms(secret)}:
            size = len(form) if len(form) <= SHORT else max(SHORT, min(PIECE, len(form) // 2))
            grams = self._grams.setdefault(size, set())
            grams.update(form[at : at + size] for at in range(len(form) - size + 1))

    def __call__(self, text: str) -> str:
        """``text`` as it may be shown."""
        hits: list[tuple[int, int]] = []
        for words in _readings(text) if self._grams else ():
            folded = _folded(words.data)
            for size, grams in self._grams.items():
                hits += [
                    (words.starts[at], words.ends[at + size - 1])
                    for at in range(len(folded) - size + 1)
                    if folded[at : at + size] in grams
                ]
        return _starred(text, hits)


def _starred(text: str, hits: list[tuple[int, int]]) -> str:
    """``text`` with stars for each stretch of ``hits`` that touch."""
    shown, end = "", 0
    for start, stop in sorted(hits):
        if start > end or not shown:
            shown += text[end:start] + STARS
        end = max(end, stop)
    return shown + text[end:]


def _forms(secret: str) -> Iterator[bytes]:
    """``secret`` as it is, and what base64 makes of it wherever in the encoded text it stands (RFC 4648 §4)."""
    plain = _bytes(secret)
    yield _folded(plain)
    if len(plain) > LONGEST_INSIDE:
        return
    written = {plain, *(encode(secret, errors="surrogatepass").encode() for encode in (quote, quote_plus))}
    for inside in written:
        for before in range(3):  # bytes before it in its group of three
            encoded = b64encode(b"\0" * before + inside).rstrip(b"=")
            # Characters at the ends that neighbours have a part in are left out.
            core = encoded[(0, 2, 3)[before] : None if (before + len(inside)) % 3 == 0 else -1]
            if len(core) >= SHORT:
                yield _folded(core)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # half a pair is possible in what came as JSON


def _folded(data: bytes) -> bytes:
    return data.lower().translate(_ALIKE)


def _read(text: str) -> _Text:
    data = _bytes(text)
    if len(data) == len(text):
        return _Text(data, range(len(data)), range(1, len(data) + 1))
    places = [at for at, char in enumerate(text) for _ in _bytes(char)]
    return _Text(data, places, [at + 1 for at in places])


def _readings(text: str) -> Iterator[_Text]:
    """``text`` as it is, and decoded in each way."""
    level = [_read(text)]
    yield from level
    for _ in range(ROUNDS):
        decoded = [_decoded(words, escapes) for words in level for escapes in _ESCAPES]
        level = [words for words in decoded if words is not None]
        yield from level


def _decoded(words: _Text, escapes: re.Pattern[bytes]) -> _Text | None:
    """``words`` with each of ``escapes`` as what it stands for; None: there is none."""
    data, starts, ends = bytearray(), list[int](), list[int]()
    last = 0
    for escape in escapes.finditer(words.data):
        begin, end = escape.span()
        plain = _plain(escape)
        if plain == escape[0]:
            continue  # HTML has no such name
        data += words.data[last:begin] + plain
        starts += [*words.starts[last:begin], *[words.starts[begin]] * len(plain)]
        ends += [*words.ends[last:begin], *[words.ends[end - 1]] * len(plain)]
        last = end
    if not last:
        return None
    return _Text(bytes(data + words.data[last:]), [*starts, *words.starts[last:]], [*ends, *words.ends[last:]])


def _plain(escape: re.Match[bytes]) -> bytes:
    kind = str(escape.lastgroup)
    value = escape[kind]
    match kind:
        case "byte":
            return bytes([int(value, 16)])
        case "json":
            units = b"".join(int(unit, 16).to_bytes(2, "big") for unit in value.lower().split(b"\\u")[1:])
            return _bytes(units.decode("utf-16-be", "surrogatepass"))
        case "html":
            return _bytes(unescape(value.decode("ascii")))
        case _:
            return value
