"""What the 401s of a vendor's API say of a credential's token: to be renewed, in vain to renew, or no good any more.

All of it is what this process has met, and is forgotten with it: another worker, or this one started again, counts for
itself. What it comes to in the end, a record that sends for the user, is everybody's.
"""

from __future__ import annotations

import math
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from linkauth.protocol import timing

if TYPE_CHECKING:
    from linkauth.engine.clock import Clock
    from linkauth.engine.world import Randomness
    from linkauth.oauth.token import Token

__all__ = ["Refusals"]

ENOUGH: Final = 3
"""Refusals after which a token that cannot be renewed is no good any more, should they lie far enough apart."""


class Refusals:
    """The 401s that one credential's tokens were answered with. Of the tokens no more than digests is kept."""

    __slots__ = (
        "_count",
        "_counted",
        "_first",
        "_in_a_row",
        "_last",
        "_monotonic",
        "_random",
        "_replaced",
        "_replaced_at",
        "vain_until",
    )

    def __init__(self, clock: Clock, random: Randomness) -> None:
        self._monotonic = clock.monotonic
        self._random = random
        self._replaced = b""
        """What took a refused token's place, and nobody has said yet whether the API takes it."""
        self._replaced_at = -math.inf
        self._in_a_row = 0
        self.vain_until = -math.inf
        self._counted = b""
        """The token without a way to renew whose refusals are counted."""
        self._count = 0
        self._first = self._last = -math.inf

    def replaced_by(self, fresh: Token) -> None:
        """``fresh`` took the place of a token that was refused."""
        self._replaced, self._replaced_at = _digest(fresh), self._monotonic()

    def accepted(self, token: Token) -> None:
        """The API took ``token``."""
        self._replaced, self._in_a_row = b"", 0
        if _is(self._counted, token):
            self._counted = b""

    def refused_afresh(self) -> None:
        """The API refused the token that took a refused one's place, so that renewing it again would help nobody."""
        self._replaced = b""
        self._in_a_row += 1
        self.vain_until = self._monotonic() + timing.backoff(
            self._in_a_row - 1, timing.REFUSED_FIRST, self._random.random()
        )

    def is_afresh(self, token: Token) -> bool:
        """Whether ``token`` took a refused one's place a moment ago, and was never accepted."""
        return _is(self._replaced, token) and self._monotonic() < self._replaced_at + timing.REFUSED_UNHEARD

    def matter(self, token: Token | None) -> bool:
        """Whether forgetting them would change what the next refusal of ``token`` comes to."""
        counts = token is not None and _is(self._counted, token)
        counts = counts and self._monotonic() <= self._last + timing.REFUSED_LONGEST
        return counts or self.in_vain() or (token is not None and self.is_afresh(token))

    def in_vain(self) -> bool:
        """Whether nothing better than the current token is to be had just now."""
        return self._monotonic() < self.vain_until

    def are_final(self, token: Token) -> bool:
        """Count one more for ``token``, which cannot be renewed. Whether that is enough: it is no good any more."""
        now = self._monotonic()
        if not _is(self._counted, token) or now > self._last + timing.REFUSED_LONGEST:
            self._counted, self._count, self._first, self._last = _digest(token), 0, now, -math.inf
        if now >= self._last + timing.REFUSED_APART:
            self._count += 1
            self._last = now
        return self._count >= ENOUGH and now >= self._first + timing.REFUSED_SPAN


def _is(kept: bytes, token: Token) -> bool:
    return bool(kept) and kept == _digest(token)


def _digest(token: Token) -> bytes:
    return sha256(token.access_token.encode("utf-8", "surrogatepass")).digest()
