"""What may be lost, and when: the whole list.

A session may be lost only together with the vendor's newest answer; and an answer only if, between the moment when its
request was sent and the moment when the store had it,

- ``DIED``: its worker died, or
- ``UNHEARD``: the answer did not arrive, and the vendor does not answer again, or
- ``TAKEN_OVER``: its worker lost its lease, for it was stopped, cut off from the store, or the store ended it, and somebody else
  asked with the same refresh token, or
- ``STORE_LOST``: the store lost its data, and with it a lease under which the vendor was being asked with that refresh token;

or if the store had it and lost it, and nobody who lives and reaches the store held it any more (``NOBODY_HELD``).

A store that is away, a message to it that is lost or comes twice, a vendor that says that it fails, a clock, a worker that dies before it
sends or after the store has the answer: all that excuses nothing.
"""

from __future__ import annotations

from typing import Final

import attrs

__all__ = ["DIED", "NOBODY_HELD", "STORE_LOST", "TAKEN_OVER", "UNHEARD", "Fate", "why_lost"]

DIED: Final = "its worker died before the store had it"
UNHEARD: Final = "the answer did not arrive"
TAKEN_OVER: Final = "its worker lost the lease before the store had it"
STORE_LOST: Final = "the store lost the lease under which it was asked for"
NOBODY_HELD: Final = "the store lost it, and nobody held it"


@attrs.frozen
class Fate:
    """What became of the newest answer of a session."""

    durable: bool = False
    """The store has it."""
    died: bool = False
    unheard: bool = False
    taken_over: bool = False
    store_lost: bool = False
    wiped: bool = False
    """The store had it, and lost it."""
    held: bool = False
    """Somebody who lives and reaches the store has it in memory."""


def why_lost(fate: Fate) -> str:
    """Why the session may be lost; empty: it may not."""
    if fate.store_lost:
        return STORE_LOST
    if fate.durable:
        return ""
    if fate.wiped:
        return "" if fate.held else NOBODY_HELD
    if fate.died:
        return DIED
    if fate.unheard:
        return UNHEARD
    return TAKEN_OVER if fate.taken_over else ""
