"""An answer that has arrived is never lost: it is committed, or kept and committed later.

Where the store will not take an answer, it is kept in memory (and in escrow, where there is one), served, and offered
again and again until the store has it, or something that comes after it. Until then nothing of that credential is spent
again: not here, and not elsewhere as long as the store lets the lease be extended under which it came. Where another worker
has written what is older (``lineage``), the answer takes that place, under a lease of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from typing import TYPE_CHECKING

from linkauth.engine.escrow import Kept, tried
from linkauth.engine.replica import Landed, Replica
from linkauth.errors import CorruptRecord, StoreError, StoreUnavailable
from linkauth.protocol import timing
from linkauth.protocol.lineage import supersedes
from linkauth.protocol.timing import backoff
from linkauth.store import Committed, Granted, Record

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.engine.escrow import Escrow
    from linkauth.engine.flight import Flight

__all__ = ["Outbox", "bring_back"]

log = logging.getLogger("linkauth")


class Outbox:
    """Commits values under the key of a record, and keeps what could not be committed."""

    __slots__ = ("_context", "_left", "_replica", "kept", "saving")

    def __init__(self, replica: Replica) -> None:
        self.kept: Kept | None = None
        """What the store has yet to take."""
        self.saving: Flight[None] | None = None
        """The last that offers it while nobody waits for that."""
        self._replica = replica
        self._context = replica.context
        self._left = False
        """Closing, or the end of a loop, came before the store took what is kept."""

    async def commit(self, number: int, value: bytes) -> Landed:
        """Commit ``value``. Raises ``StoreError`` where the store will not take it; then ``kept`` holds it."""
        kept, landed = await self.keep(number, value), None
        while landed is None:
            landed, kept = await self._offer(kept)
        return landed

    async def deliver(self, number: int, value: bytes) -> Landed:
        """Commit ``value``, and go on with what stands then. Raises ``StoreError``: it is gone on with unsaved, and offered on."""
        try:
            landed = await self.commit(number, value)
        except StoreError as error:
            self._replica.unsaved(Record(number, value))
            self.go_on(str(error))
            raise
        self._replica.landed(landed)
        return landed

    async def keep(self, number: int, value: bytes) -> Kept:
        """Hold on to ``value``, in escrow too, until the store has it."""
        kept = Kept(self._replica.key, number, value)
        if self.kept is None or self.kept.number <= number:  # else a later login is kept, and takes its place
            self.kept = kept
        if self._context.escrow is not None:
            await tried(self._context.escrow.put(kept))
        return kept

    async def insist(self) -> Landed | None:
        """Offer what is kept until the store takes it. None: closing, and it did not; or something newer is kept.

        The first offer is made at once.
        """
        tries, extend_at, kept = 0, -math.inf, self.kept
        while kept is not None and self.kept is kept:
            try:
                landed, kept = await self._offer(kept)
            except StoreError:
                if self._context.flights.ending:
                    self._left = True
                    return None
            else:
                if landed is not None:
                    return landed
                continue
            if self._context.clock.monotonic() >= extend_at:
                mine = await self._extend(kept)
                extend_at = (
                    self._context.clock.monotonic() + self._replica.ttl / timing.LEASE_PART if mine else math.inf
                )
            await asyncio.sleep(self._gap(tries))
            tries += 1
        return None

    def go_on(self, fault: str) -> None:
        """Offer what is kept until the store takes it, while nobody waits for that. ``fault``: why it did not."""
        away = self._context.outages.store
        away.hold_up("answers kept", self._replica.key)
        level = logging.DEBUG if away else logging.ERROR  # of a store that is away it would be said of each account
        log.log(level, "%s: an answer is kept until the store takes it: %s", self._replica.name, fault)
        self.saving = self._context.flights.start(
            self._go_on(), f"linkauth saving {self._replica.key}", irreplaceable=True
        )

    def resume(self) -> None:
        """Go on with what was left when the loop ended that it came in."""
        if self._left and self.kept is not None:
            self.go_on("the loop ended that it came in")
        self._left = False

    async def _go_on(self) -> None:
        landed = await self.insist()
        if landed is not None:
            self._replica.landed(landed)
        elif self._left:
            log.error("%s: closing, and the store has not taken the last answer", self._replica.name)

    async def settled(self) -> bool:
        """Wait until the store has taken what it is offered. Whether there was something. Raises ``StoreUnavailable``."""
        self.resume()
        # What is kept without being saved is being committed at this moment, in another loop, under a lease of its own.
        if (saving := self.saving) is None or saving.landed:
            return False
        if saving.loop is asyncio.get_running_loop():
            with contextlib.suppress(TimeoutError):
                await saving.join(self._context.timeout)
        if self.kept is not None:
            raise StoreUnavailable("an answer waits for the store; nothing is spent until it is stored")
        return True

    # -- escrow ----------------------------------------------------------------------------------------------------

    async def from_escrow(self) -> Kept | None:
        """What an earlier process left in escrow for this key."""
        return None if self._context.escrow is None else await tried(self._context.escrow.find(self._replica.key))

    async def bring_back(self, left: Kept) -> Landed | None:
        """Commit what was ``left`` in escrow, however long that takes. None: closing, and the store did not take it.

        Raises ``StoreError`` where it never will.
        """
        tries, landed = 0, None
        while landed is None and not self._context.flights.ending:
            try:
                landed, left = await self._offer(left)
            except StoreUnavailable as error:
                # Said once: it goes on twice a second, so that the store has the answer before anybody spends what is in doubt.
                level = logging.DEBUG if tries else logging.WARNING
                log.log(level, "escrow: what an earlier process left is offered again and again: %s", error)
                with self._context.flights.idle():  # it lies in escrow
                    await asyncio.sleep(self._gap(tries))
                tries += 1
        return landed

    async def drop(self, number: int) -> None:
        """Let go of what was in escrow up to ``number``."""
        if self._context.escrow is not None:
            await tried(self._context.escrow.drop(self._replica.key, number))

    # -- offering --------------------------------------------------------------------------------------------------

    async def _offer(self, kept: Kept) -> tuple[Landed | None, Kept]:
        """Offer ``kept`` once; None, and what is to be offered next, where it comes after what stands there."""
        outcome, time = await self._under(kept).put(kept.number, kept.value)
        mine = isinstance(outcome, Committed)
        record = Record(kept.number, kept.value) if isinstance(outcome, Committed) else outcome.record
        readable = True
        if not mine and record is not None:
            try:
                if self._comes_after(kept, record):
                    return None, await self._raised(kept, record.version)
            except CorruptRecord:
                readable = False
        if self.kept is kept:
            self.kept = None
        if readable:  # else nobody can say which is later: it stays in escrow
            await self.drop(kept.number)
        return Landed(record=record, time=time, mine=mine), kept

    def _under(self, kept: Kept) -> Replica:
        """The record under the key that a value is sealed for."""
        return self._replica if kept.key == self._replica.key else Replica(self._context, kept.key, self._replica.ttl)

    def _comes_after(self, kept: Kept, winner: Record) -> bool:
        """Whether what took the place of ``kept`` is no later than that. Raises ``CorruptRecord``."""
        record = self._under(kept)
        return not supersedes(record.entry(winner), record.entry(Record(kept.number, kept.value)))

    async def _raised(self, kept: Kept, version: int) -> Kept:
        """``kept`` under the number of a new lease, above ``version``; as it was where somebody has written once more."""
        record, codec = self._under(kept), self._context.codec
        claim, _ = await record.acquire(version, idle=False)  # closing does not call it off: here is an answer to lose
        if not isinstance(claim, Granted):
            return kept
        value = codec.close(kept.key, claim.number, codec.open(kept.key, Record(kept.number, kept.value)))
        higher = Kept(kept.key, claim.number, value)
        if self.kept is kept:
            self.kept = higher
        if self._context.escrow is not None:
            await tried(self._context.escrow.put(higher))
        return higher

    def _gap(self, tries: int) -> float:
        """Seconds before the next offer."""
        return min(backoff(tries, timing.OFFER_FIRST, self._context.world.random.random()), timing.OFFER_LONGEST)

    async def _extend(self, kept: Kept) -> bool:
        """Whether the lease under which ``kept`` came may still be this worker's. Not while it is offered, which ends it."""
        store_client = self._context.store_client
        try:
            async with asyncio.timeout(timing.OFFER_LONGEST):  # the next offer is not to wait for a store that hangs
                return await store_client.do(store_client.store.extend(kept.key, kept.number, self._replica.ttl))
        except (StoreError, TimeoutError):
            return True


async def bring_back(context: EngineContext, escrow: Escrow) -> None:
    """Have the store take what an earlier process left in ``escrow``, as soon as the engine is opened.

    A credential looks into escrow by itself before it is first renewed. By then another host may have tried the refresh
    token that this very answer replaced, and ended the session: so nobody waits for the first caller here.
    """
    for left in await tried(escrow.everything()) or []:
        if context.flights.ending:
            return
        record = Replica(context, left.key, context.timeout + timing.LEASE_MORE)
        try:
            context.codec.open(left.key, Record(left.number, left.value))
            landed = await Outbox(record).bring_back(left)
        except StoreError as error:  # of other keys, or damaged: it is not handed to the fleet
            fault = str(error)
        else:
            if landed is not None and landed.mine:
                log.info("escrow: %s, version %d, was left by an earlier process and is stored", left.key, left.number)
            continue
        log.error("escrow: %s", fault)  # not where it was caught: its frames hold the answer
