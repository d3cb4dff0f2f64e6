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

A vendor that does not rotate needs none of the care: a second exchange is only waste. With the store away, such a
credential is fetched for this process alone.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import attrs

from linkauth.engine.events import EventKind
from linkauth.engine.exchange import Exchange, Overtaken, backoff
from linkauth.engine.ledger import GRACE
from linkauth.engine.note import Note, digest
from linkauth.engine.windows import Verdict
from linkauth.engine.world import StoreTime
from linkauth.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidToken,
    LinkAuthError,
    MalformedResponse,
    StoreError,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.store import Busy, Newer

if TYPE_CHECKING:
    from linkauth.engine.lease import Lease
    from linkauth.engine.ledger import Ledger
    from linkauth.oauth.token import Token
    from linkauth.store import Claim, Granted
    from linkauth.vendors.vendor import Vendor

__all__ = ["InDoubt", "Renewal"]

log = logging.getLogger("linkauth")

LOOK_GAP: Final = 0.25
"""Seconds between two looks meanwhile, where the store has nothing to wait for."""
FIRST_GAP: Final = 1.0
"""Seconds after the first failed flight before the next; doubling from there."""
WAIT_GAP: Final = 0.5
"""Seconds before the next claim where the store could not tell of a change."""
LONGEST_ORDER: Final = 300.0
"""Seconds that a vendor's Retry-After may make the fleet wait."""


class InDoubt(VendorUnavailable):
    """The refresh token may be spent, and there is time to wait for the one who knows. Never leaves the engine."""


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
        limit = self._office.world.monotonic() + 2 * self._ledger.ttl
        while self._office.world.monotonic() < limit:
            held = self._holding.version  # one look: another thread's loop may bring a token at any moment
            if held != known and self._holding.judge() is not Verdict.WAIT:
                return self._ledger.current()  # adopted, or by a login or another loop's flight
            if self._holding.token is None and self._vendor.needs_user:
                if await self._found():
                    return self._ledger.current()
                continue
            owner = self._office.owner()
            asked = await self._claim(owner, held)
            if asked is None:
                return await self._alone()
            claim, time = asked
            if isinstance(claim, Newer):
                self._ledger.adopt(claim.record, time)
            elif isinstance(claim, Busy):
                await self._wait(min(claim.remaining, limit - self._office.world.monotonic()))
            elif (fresh := await self._try_to_lead(claim, time, owner)) is not None:
                return fresh
        raise VendorUnavailable("another worker has been renewing for too long")

    async def _claim(self, owner: str, held: int) -> tuple[Claim, StoreTime] | None:
        """Ask for the lease, holding version ``held``. None: the store is away, and this vendor needs none of it."""
        try:
            return await self._ledger.claim(self._doubt(), held, owner)
        except StoreUnavailable:
            if self._vendor.rotation.rotates or (self._vendor.needs_user and self._holding.token is None):
                raise
            return None

    async def _try_to_lead(self, claim: Granted, time: StoreTime, owner: str) -> Token | None:
        """What leading brings; None: the lease is not ours any more, and there is nothing to go on with."""
        before = self._holding.token
        try:
            return await self._lead(claim, time, owner)
        except Overtaken:
            adopted = self._holding.token is not before and self._holding.judge() is not Verdict.WAIT
            return self._ledger.current() if adopted else None

    async def _wait(self, seconds: float) -> None:
        try:
            await self._ledger.wait(seconds)
        except StoreUnavailable:  # the next claim tells what that means for this vendor
            await asyncio.sleep(min(seconds, WAIT_GAP))

    async def look(self) -> None:
        """Read the store again, for the clocks say that time passed unnoticed."""
        try:
            reading, time = await self._ledger.read()
            if reading.record is not None and reading.record.version > self._holding.version:
                self._ledger.adopt(reading.record, time)
            else:
                self._holding.anchor(time)
        except StoreError:  # a broken record is the renewal's to tell
            self._holding.believe_wall()

    async def _found(self) -> bool:
        """Without a token, and none to be had but from the user: whether somebody has brought one meanwhile."""
        reading, time = await self._ledger.read()
        record = reading.record
        if self._holding.token is None:  # else a login, or a look, has brought one while this one read
            # A lower version than the one known is news, too: the store lost its data and counts anew.
            if record is None or record.version == self._holding.version:
                raise self._ledger.lost(self._holding.dead or "nobody has logged in or paired yet")
            self._ledger.adopt(record, time)
        return self._holding.judge() is not Verdict.WAIT

    # -- leading ---------------------------------------------------------------------------------------------------

    async def _lead(self, claim: Granted, time: StoreTime, owner: str) -> Token:
        lease = self._ledger.lease(claim, time, self._doubt(), owner)
        found = Note.decode(claim.note)
        token = self._holding.token
        # Further off than anybody writes: the store's clock was set back, or somebody else wrote it.
        if time.now < found.retry_at <= time.now + 2 * LONGEST_ORDER:
            await lease.release(claim.note)
            raise found.failure(found.retry_at - time.now)
        if claim.record is not None and self._ledger.is_twin(claim.record):
            await lease.release(claim.note)
            self._ledger.adopt(claim.record, time)
            raise Overtaken
        if reason := self._hopeless(token, time):
            return await self._ledger.bury(lease, reason)
        doubtful = bool(found.doubt) and found.doubt == digest(token)
        try:
            async with lease:
                pause = self._pause(claim, found, time)
                if pause:
                    await self._let_come_back(lease, claim, pause)
                begun = self._office.world.monotonic()
                fresh = await self._exchange(token, time, lease, found, doubtful=doubtful)
        except (InDoubt, Overtaken):
            await lease.release(claim.note)
            raise
        except (InvalidGrant, InvalidToken) as error:
            if not self._vendor.needs_user:
                raise
            refused = str(error)
        else:
            stored = await self._ledger.store(fresh, lease.number, time, precious=self._vendor.rotation.rotates)
            self._ledger.tell(EventKind.RENEWED, duration=self._office.world.monotonic() - begun)
            return stored
        return await self._refused(lease, refused, doubtful=doubtful)

    async def _let_come_back(self, lease: Lease, claim: Granted, seconds: float) -> None:
        """Give a possible holder of something newer ``seconds`` to come forward.

        Raises ``Overtaken`` where one did, and what it brought is adopted, or where the lease was lost meanwhile.
        """
        now = self._office.world.monotonic
        end = now() + seconds
        token = self._holding.token
        try:
            if claim.record is None or claim.record.version < self._holding.version:
                await self._ledger.put_back()  # which tells whoever holds something newer that the store lost it
            # Should the store go away and come back meanwhile, the others need their time again.
            while self._holding.token is token and (left := max(end, self._ledger.unsettled_until) - now()) > 0:
                await self._ledger.wait(left)
                if await self._came_back():
                    break
                with self._office.flights.idle():
                    await asyncio.sleep(min(left, LOOK_GAP))  # a wait ends at once where the store has lost the lease
        except asyncio.CancelledError:  # called off by closing: nothing was sent, so nothing is held up
            await lease.release(claim.note)
            raise
        if self._holding.token is not token or not await lease.confirmed():
            raise Overtaken

    async def _exchange(
        self, token: Token | None, time: StoreTime, lease: Lease, found: Note, *, doubtful: bool
    ) -> Token:
        """Ask the vendor. What fails is left word of for the fleet, and raised; a refused refresh token only raised."""
        exchange: Exchange[Token] | None = None
        try:
            vendor = await self._office.registrations.newest(self._vendor)
            exchange = self._asking(vendor, token, time, lease)
            try:
                return await exchange.run()
            except InvalidClient:
                # Somebody may have rotated the client's secret: the store knows.
                newer = await self._office.registrations.newer(self._vendor, vendor)
                if newer is None:
                    raise
            exchange = self._asking(newer, token, time, lease)
            return await exchange.run()
        except Overtaken:
            raise
        except LinkAuthError as error:
            if isinstance(error, InvalidGrant | InvalidToken) and self._vendor.needs_user:
                raise
            if isinstance(error, MalformedResponse) and error.salvage is not None:
                # Unusable, but it brought a new refresh token: the old one is spent.
                salvage, error.salvage = error.salvage, None
                if token is not None and self._holding.unexpired():  # which is no reason to interrupt anybody
                    salvage = attrs.evolve(
                        token, refresh_token=salvage.refresh_token, refresh_expires_at=None, endpoint=salvage.endpoint
                    )
                await self._ledger.store(salvage, lease.number, time, precious=True)
            else:
                in_doubt = doubtful or (exchange is not None and exchange.in_doubt)
                await self._give_up(lease, error, found, time, in_doubt=in_doubt)
            raise
        except Exception as error:  # an adapter's mistake must not hold the fleet up until the lease ends
            fault = VendorUnavailable(f"the adapter failed: {type(error).__name__}")
            await self._give_up(lease, fault, found, time, in_doubt=True)
            raise

    def _asking(self, vendor: Vendor, token: Token | None, time: StoreTime, lease: Lease | None) -> Exchange[Token]:
        rotation = vendor.rotation
        return Exchange(
            self._office.world,
            time,
            lambda: vendor.renew(token),
            limit=self._office.timeout,
            lease=lease,
            profile=rotation,
            single_use=rotation.rotates,
        )

    async def _refused(self, lease: Lease, words: str, *, doubtful: bool) -> Token:
        """The refresh token is refused: believe it only if nobody has written a newer one meanwhile."""
        try:
            if await self._came_back():
                await lease.release()
                raise Overtaken
        except StoreUnavailable:
            pass  # then burying it will not succeed either, and the next worker will look again
        reason = f"the vendor refused the refresh token ({words})"
        if doubtful:
            reason += "; the answer to an earlier renewal may have been lost when a worker died or was cut off"
        return await self._ledger.bury(lease, reason)

    async def _came_back(self) -> bool:
        """Whether somebody has written something newer than what is held; then it is adopted."""
        reading, time = await self._ledger.read()
        if reading.record is None or reading.record.version <= self._holding.version:
            return False
        self._ledger.adopt(reading.record, time)
        return True

    async def _give_up(
        self, lease: Lease, error: LinkAuthError, found: Note, time: StoreTime, *, in_doubt: bool
    ) -> None:
        """Give the lease back, and leave word for the fleet why, and when somebody may try again."""
        now = time.unix(self._office.world.monotonic())
        wait = backoff(found.failures, FIRST_GAP, self._office.world.random.random())
        ordered = getattr(error, "retry_after", None)
        if ordered is not None:
            wait = max(wait, min(float(ordered), LONGEST_ORDER))
        doubt = digest(self._holding.token) if in_doubt else ""
        since = found.since if doubt and found.doubt == doubt else now
        note = Note(doubt=doubt, since=since if doubt else 0.0, failures=found.failures)
        await lease.release(note.failing(error, now + wait).encode())
        if isinstance(error, VendorUnavailable):
            error.retry_after = wait

    async def _alone(self) -> Token:
        """With the store away, for this process alone: the vendor does not rotate, so this is only waste."""
        now = self._office.world.monotonic()
        time = StoreTime(self._office.world.wall(), now, now)
        vendor = await self._office.registrations.newest(self._vendor)
        log.warning("%s: the store is away; a token is fetched for this process alone", self._vendor.name)
        fresh = await self._asking(vendor, self._holding.token, time, None).run()
        self._holding.take(fresh, self._holding.version, time, stored=False)
        self._ledger.tell(EventKind.RENEWED, "for this process alone", self._office.world.monotonic() - now)
        return fresh

    # -- doubt -----------------------------------------------------------------------------------------------------

    def _doubt(self) -> bytes:
        """The note that goes with a claim: what is about to be spent."""
        spending = digest(self._holding.token) if self._vendor.rotation.rotates else ""
        return Note(doubt=spending, since=self._office.shelf.now()).encode() if spending else b""

    def _pause(self, claim: Granted, found: Note, time: StoreTime) -> float:
        """Seconds for which a possible holder of a newer token is waited for.

        Raises ``InDoubt``: as long as the access token is good, unless the refresh token would lapse over it.
        """
        rotation = self._vendor.rotation
        token = self._holding.token
        if not rotation.rotates or token is None:
            return 0.0
        if claim.record is None or claim.record.version < self._holding.version:
            return GRACE  # the store lost what it had: whoever has something newer is about to say so
        if (unsettled := self._ledger.unsettled_until - self._office.world.monotonic()) > 0:
            return unsettled
        if not found.doubt or found.doubt != digest(token) or time.now < found.since + rotation.replay_window:
            return 0.0
        self._ledger.tell(EventKind.IN_DOUBT, "a worker set out to renew and did not come back")
        lapses = token.refresh_expires_at
        if self._holding.judge() is not Verdict.WAIT and (lapses is None or lapses > token.expires_at):
            raise InDoubt("a worker set out to renew and did not come back; it is given time")
        if found.kind:
            return 0.0  # it did come back, and said that it had no answer
        # However long ago it set out: had the store been away, it could not come back before now.
        return GRACE

    def _hopeless(self, token: Token | None, time: StoreTime) -> str:
        """Why asking the vendor is in vain; empty: it is not."""
        if not self._vendor.needs_user:
            return ""
        if token is None or not token.refresh_token:
            return "there is no refresh token"
        lapses = token.refresh_expires_at
        if lapses is not None and lapses <= time.unix(self._office.world.monotonic()):
            return "the refresh token has lapsed"
        return ""
