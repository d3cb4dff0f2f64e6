"""Under which key a credential's record is kept: today's, unless an earlier release's has the session.

A session is never moved, for a worker of the earlier release may be running beside this one: one refresh token under two
keys would be spent twice. So what stands under a former key stays there, logins that follow included, and what is new is
written under today's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.engine.replica import Replica

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext

__all__ = ["RecordKey"]


class RecordKey:
    """The key of one credential's record. Found out at the first look at the store that shows it, and fixed from then on."""

    __slots__ = ("_context", "key", "keys", "sought")

    def __init__(self, keys: tuple[str, ...], context: EngineContext) -> None:
        """``keys``: today's, then former ones."""
        self.keys = keys
        self.key = keys[0]
        self._context = context
        self.sought = len(keys) > 1
        """The record has not shown itself yet, and nothing was asked for."""

    async def find(self) -> None:
        """Look for the record, unless it is known where it is. Raises ``StoreError``."""
        for key in self.keys if self.sought else ():
            reading, _ = await Replica(self._context, key).read()
            if not self.sought:  # found, or claimed, by somebody else meanwhile
                return
            if reading.record is not None:
                self.key, self.sought = key, False
                return

    def fix(self) -> None:
        """Keep to the key as it is: a lease is asked for under it."""
        self.sought = False
