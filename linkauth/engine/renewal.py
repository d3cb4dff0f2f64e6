"""The renewal of one credential by one worker, among any number of others.

The steps, in the order in which they are taken:

1. **Claim.** A newer record: adopt it, done. Busy: wait for its change or its lease's end, claim again.
2. **Look at what was found.** A vendor that failed is left alone until the time that the fleet agreed on. A note *in
   doubt* says that somebody set out to spend this very refresh token and never came back: while the access token is
   good nobody is hurt by waiting; after that, or should it lapse sooner itself, it is tried once all the same, for without
   it the session is dead anyway.
3. **Exchange.** The claim carried our own note in doubt, so it stands before the request goes out, and it was the
   probe that the store can be written. No claim, no spending.
4. **Commit, then hand out** (``ledger``). What the store will not take is kept (``keeper``).

The first is here, what is done under the lease in ``leading``.

A vendor that does not rotate needs none of the care: a second exchange is only waste. With the store away, such a
credential is fetched for this process alone.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from linkauth.engine.events import EventKind
from linkauth.engine.exchange import Overtaken
from linkauth.engine.leading import Leading, renewing
from linkauth.errors import StoreError, StoreUnavailable, VendorUnavailable
from linkauth.protocol import timing
from linkauth.protocol.freshness import StoreTime, Verdict
from linkauth.protocol.intent import Note, digest
from linkauth.store import Busy, Newer

if TYPE_CHECKING:
    from linkauth.engine.ledger import Ledger
    from linkauth.oauth.token import Token
    from linkauth.store import Claim, Granted, Record

__all__ = ["Renewal"]

log = logging.getLogger("linkauth")


class Renewal:
    """Renews what the ledger's holding holds."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._office = ledger.office
        self._vendor = ledger.vendor
        self._holding = ledger.holding

    async def renew(self, known: int) -> Token:
        """A token of another version than ``known``, the one that was held when it was asked for.

        Raises ``ReauthorizationRequired``, the vendor's refusal, ``VendorUnavailable``, ``MalformedResponse``, or
        ``StoreError`` (``StoreUnavailable`` only where the vendor rotates, or only the store can have a token).
        """
        if await self._ledger.settle() and self._holding.judge() is Verdict.SERVE:
            return self._ledger.current()
        limit, passed = self._office.world.monotonic() + 2 * self._ledger.ttl, 0
        while self._office.world.monotonic() < limit:
            held = self._holding.version  # one look: another thread's loop may bring a token at any moment
            if held != known and self._holding.judge() is not Verdict.WAIT:
                return self._ledger.current()  # adopted, or by a login or another loop's flight
            if self._holding.token is None and self._vendor.needs_user:
                if await self._found():
                    return self._ledger.current()
                continue
            token, owner = self._holding.token, self._office.owner()
            note = self._doubt(token)
            asked = await self._claim(note, owner, max(held, passed))
            if asked is None:
                return await self._alone(held)
            claim, time = asked
            if isinstance(claim, Newer):
                passed = self._adopt(claim.record, time)
            elif isinstance(claim, Busy):
                await self._wait(min(claim.remaining, limit - self._office.world.monotonic()))
            elif (fresh := await self._lead(token, claim, time, note, owner)) is not None:
                return fresh
        raise VendorUnavailable("another worker has been renewing for too long")

    async def _claim(self, note: bytes, owner: str, held: int) -> tuple[Claim, StoreTime] | None:
        """Ask for the lease, holding version ``held``. None: the store is away, and this vendor needs none of it."""
        try:
            return await self._ledger.claim(note, held, owner)
        except StoreUnavailable:
            if self._vendor.rotation.rotates or (self._vendor.needs_user and self._holding.token is None):
                raise
            return None

    def _adopt(self, record: Record, time: StoreTime) -> int:
        """Adopt what is newer; but not what is over where what is held is not: then its version, to be passed by."""
        if self._holding.unexpired() and self._ledger.is_over(record, time):
            return record.version
        self._ledger.adopt(record, time)
        return 0

    async def _lead(
        self, token: Token | None, claim: Granted, time: StoreTime, note: bytes, owner: str
    ) -> Token | None:
        """What leading brings; None: the lease is not ours any more, and there is nothing to go on with."""
        try:
            return await Leading(self._ledger, token, claim, time, note, owner).lead()
        except Overtaken:
            adopted = self._holding.token is not token and self._holding.judge() is not Verdict.WAIT
            return self._ledger.current() if adopted else None

    async def _wait(self, seconds: float) -> None:
        try:
            await self._ledger.wait(seconds)
        except StoreUnavailable:  # the next claim tells what that means for this vendor
            await asyncio.sleep(min(seconds, timing.CLAIM_AGAIN))

    async def look(self) -> None:
        """Read the store again, for the clocks say that time passed unnoticed."""
        try:
            reading, time = await self._ledger.read()
            if reading.record is not None and reading.record.version > self._holding.version:
                self._ledger.adopt(reading.record, time)
            elif self._ledger.is_stored(reading.record):
                self._holding.anchor(time)
            else:  # fetched for this process alone, its times are by this host's clock
                self._holding.believe_wall()
        except StoreError:  # a broken record is the renewal's to tell
            self._holding.believe_wall()

    async def _found(self) -> bool:
        """Without a token, and none to be had but from the user: whether somebody has brought one meanwhile."""
        reading, time = await self._ledger.read()
        record = reading.record
        if self._holding.token is None:  # else a login, or a look, has brought one while this one read
            if record is None and (left := self._ledger.unsettled()):
                with self._office.flights.idle():
                    await asyncio.sleep(min(left, timing.LOOK_AGAIN))  # who holds it is about to put it back
                return False
            if record is None or not self._ledger.is_news(record):
                raise self._ledger.lost(self._holding.dead or "nobody has logged in or paired yet")
            self._ledger.adopt(record, time)
        else:
            self._ledger.know(record, time)
        return self._holding.judge() is not Verdict.WAIT

    async def _alone(self, known: int) -> Token:
        """With the store away, for this process alone: the vendor does not rotate, so this is only waste.

        Unless a login or a look that reached the store has brought another version than ``known`` meanwhile.
        """
        if self._holding.version != known and self._holding.judge() is not Verdict.WAIT:
            return self._ledger.current()
        now = self._office.world.monotonic()
        time = StoreTime(self._office.world.wall(), now, now)
        vendor = await self._office.registrations.newest(self._vendor)
        log.info("%s: the store is away; a token is fetched for this process alone", self._vendor.name)
        known = self._holding.version
        fresh = await renewing(self._office, vendor, self._holding.token, time).run()
        if self._holding.version != known and self._vendor.needs_user:  # the user has logged in or out meanwhile
            return self._ledger.current()
        self._holding.take(fresh, self._holding.version, time, stored=False)
        self._ledger.tell(EventKind.RENEWED, "for this process alone", self._office.world.monotonic() - now)
        return fresh

    def _doubt(self, token: Token | None) -> bytes:
        """The note that goes with a claim: what is about to be spent."""
        spending = digest(token) if self._vendor.rotation.rotates else ""
        return Note(doubt=spending, since=self._office.shelf.now()).encode() if spending else b""
