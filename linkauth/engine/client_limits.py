"""This worker's copy of what goes for every account of a client, and how it is kept the fleet's.

It is written by comparing and swapping, without a lease: each writer commits one above the version that he knows, and who was
overtaken begins again from what stands there. So no worker's refusal is lost, and none waits for another.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Final

import attrs

from linkauth.engine.replica import Replica
from linkauth.errors import CorruptRecord, StoreError
from linkauth.protocol import timing
from linkauth.protocol.keys import limit_key
from linkauth.protocol.limits import LimitRecord
from linkauth.store import Superseded

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.context import EngineContext
    from linkauth.store import Record
    from linkauth.vendors.vendor import Vendor

__all__ = ["ClientLimits"]

TRIES: Final = 20
"""Others may be faster so many times; then it is known here alone, and told with what is told next."""


class ClientLimits(Replica):
    """A ``LimitRecord`` in this process. It is advice: with the store away one goes by what one knows oneself.

    What a store lost of it is not put back, but found out anew.
    """

    def __init__(self, context: EngineContext, vendor: Vendor) -> None:
        super().__init__(context, limit_key(vendor))
        self.record = LimitRecord(vendor=vendor.name)
        self.version = 0
        self._looked = -math.inf
        self._heard = False
        """Something was announced since the last look."""

    def announced(self, version: int) -> None:
        """The store has another version."""
        if version > self.version:
            self._heard = True

    def missed(self) -> None:
        """Something may have been announced."""
        self._heard = True

    def stale(self) -> bool:
        """Whether to look before the next request: after an announcement; where there are none, each second of trouble."""
        in_trouble = bool(self.record.rate.failures or self.record.secrets)
        since = self.context.clock.monotonic() - self._looked
        return self._heard or (in_trouble and not self.context.read_repair.announces and since >= timing.LIMIT_LOOK)

    async def look(self) -> None:
        """Read it where it is ``stale``."""
        if not self.stale():
            return
        self._heard = False
        self._looked = self.context.clock.monotonic()
        try:
            reading, _ = await self.read()
        except StoreError:
            return
        self._take(reading.record)

    async def update(self, change: Callable[[LimitRecord], LimitRecord]) -> None:
        """Let ``change`` stand: it is given what stands, and may be called again where somebody else was faster."""
        for _ in range(TRIES):
            changed = change(self.record)
            if changed == self.record:
                return
            changed = attrs.evolve(changed, by=self.context.world.entropy(12).hex())
            outcome = None
            with contextlib.suppress(StoreError):
                outcome, _ = await self.commit(self.version + 1, changed)
            if not isinstance(outcome, Superseded):
                self.record, self.version = changed, self.version + (outcome is not None)
                return
            self._take(outcome.record)
        self.record = change(self.record)

    def _take(self, record: Record | None) -> None:
        if record is None or record.version <= self.version:
            return
        self.version = record.version
        try:
            self.record = self.open(record, LimitRecord)
        except CorruptRecord:  # of another key's, or another environment's: it says nothing here
            self.record = LimitRecord(vendor=self.record.vendor)
