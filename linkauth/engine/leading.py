"""What a worker does with the lease on a credential: look, ask the vendor, write down what came of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from linkauth.engine.events import EventKind
from linkauth.engine.exchange import Exchange, Overtaken
from linkauth.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidToken,
    LinkAuthError,
    MalformedResponse,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.protocol import timing
from linkauth.protocol.freshness import Verdict
from linkauth.protocol.intent import Note, digest
from linkauth.protocol.timing import backoff, replayable

if TYPE_CHECKING:
    from linkauth.engine.lease import Lease
    from linkauth.engine.ledger import Ledger
    from linkauth.engine.office import Office
    from linkauth.oauth.token import Token
    from linkauth.protocol.freshness import StoreTime
    from linkauth.store import Granted
    from linkauth.vendors.vendor import Vendor

__all__ = ["InDoubt", "Leading", "renewing"]


class InDoubt(VendorUnavailable):
    """The refresh token may be spent, and there is time to wait for the one who knows. Never leaves the engine."""


def renewing(
    office: Office, vendor: Vendor, token: Token | None, time: StoreTime, lease: Lease | None = None
) -> Exchange[Token]:
    """The exchange that brings ``vendor``'s next token after ``token``."""
    rotation = vendor.rotation
    return Exchange(
        office.world,
        time,
        lambda: vendor.renew(token),
        limit=office.timeout,
        lease=lease,
        profile=rotation,
        single_use=rotation.rotates,
    )


class Leading:
    """One worker's turn at ``token``, granted by ``claim`` at ``time``, which was asked for as ``owner`` with ``note``."""

    def __init__(
        self, ledger: Ledger, token: Token | None, claim: Granted, time: StoreTime, note: bytes, owner: str
    ) -> None:
        self._ledger = ledger
        self._office = ledger.office
        self._vendor = ledger.vendor
        self._holding = ledger.holding
        self._claim = claim
        self._time = time
        self._lease = ledger.lease(claim, time, note, owner)
        self._token = token
        self._found = self._office.envelope.open_note(ledger.key, claim.note)
        self._doubtful = bool(self._found.doubt) and self._found.doubt == digest(self._token)
        """Somebody set out to spend this very refresh token, and it is not known what became of that."""

    async def lead(self) -> Token:
        """The next token. Raises as ``Renewal.renew``; ``InDoubt``; ``Overtaken`` where somebody else was faster."""
        lease, claim, found, time = self._lease, self._claim, self._found, self._time
        if claim.record is not None and self._ledger.is_twin(claim.record):
            self._ledger.adopt(claim.record, time)
        # Another token was adopted while the lease was asked for: it may be fresh, and the note does not name it.
        if self._holding.token is not self._token:
            await lease.release(claim.note)
            raise Overtaken
        # Further off than anybody writes: the store's clock was set back, or somebody else wrote it.
        if time.now < found.retry_at <= time.now + 2 * timing.LONGEST_ORDER:
            await lease.release(claim.note)
            raise found.failure(found.retry_at - time.now)
        if reason := self._ledger.hopeless(self._token):
            return await self._give_in(reason)
        try:
            fresh, begun = await self._under_lease()
        except (InvalidGrant, InvalidToken) as error:
            if not self._vendor.needs_user:
                raise
            refused = str(error)
        else:
            stored = await self._ledger.store(fresh, lease.number, time, precious=self._vendor.rotation.rotates)
            self._ledger.tell(EventKind.RENEWED, duration=self._office.world.monotonic() - begun)
            return stored
        return await self._refused(refused)

    async def _under_lease(self) -> tuple[Token, float]:
        """What the vendor answers, and since when it was asked (monotonic).

        Where nothing was sent the lease is given back, and the note that was found.
        """
        try:
            async with self._lease:
                if pause := self._pause():
                    await self._let_come_back(pause)
                begun = self._office.world.monotonic()
                return await self._exchange(), begun
        except (InDoubt, Overtaken):
            await self._lease.release(self._claim.note)
            raise
        except asyncio.CancelledError:
            if self._office.flights.ending:  # called off, which nobody is who has anything to lose
                await self._lease.release(self._claim.note)
            raise

    async def _give_in(self, reason: str) -> Token:
        """There is no way to another token. The one that is held stays good to its end."""
        if self._holding.unexpired():
            await self._lease.release(self._claim.note)
            raise self._ledger.lost(reason)
        if self._token is not None and self._time.now < self._token.expires_at:
            reason = f"the API refused the token again and again, and {reason}"
        return await self._ledger.bury(self._lease, reason)

    async def _let_come_back(self, seconds: float) -> None:
        """Give a possible holder of something newer ``seconds`` to come forward.

        Raises ``Overtaken`` where one did, and what it brought is adopted, or where the lease was lost meanwhile.
        """
        now = self._office.world.monotonic
        looked = now()
        end = looked + seconds
        if self._store_is_behind():
            await self._ledger.put_back()  # which tells whoever holds something newer that the store lost it
        # Should the store go away and come back meanwhile, the others need their time again.
        while self._holding.token is self._token and (left := max(end - now(), self._ledger.unsettled())) > 0:
            await self._ledger.wait(min(left, timing.LONGEST_LOOK))
            if await self._came_back():
                break
            if now() > looked + 2 * timing.LONGEST_LOOK:
                end = now() + seconds
            looked = now()
            with self._office.flights.idle():
                await asyncio.sleep(
                    min(left, timing.LOOK_AGAIN)
                )  # a wait ends at once where the store has lost the lease
        if self._holding.token is not self._token or not await self._lease.confirmed():
            raise Overtaken

    async def _exchange(self) -> Token:
        """Ask the vendor. What fails is left word of for the fleet, and raised; a refused refresh token only raised.

        ``Overtaken``: it was refused, and somebody had a later login.
        """
        exchange: Exchange[Token] | None = None
        try:
            vendor = await self._office.registrations.newest(self._vendor)
            exchange = self._renewing(vendor)
            try:
                return await exchange.run()
            except InvalidClient:
                # Somebody may have rotated the client's secret: the store knows.
                newer = await self._office.registrations.newer(self._vendor, vendor)
                if newer is None:
                    raise
            exchange = self._renewing(newer)
            return await exchange.run()
        except Overtaken:
            raise
        except LinkAuthError as error:
            if isinstance(error, InvalidGrant | InvalidToken) and self._vendor.needs_user:
                # Asking spent nothing: who may hold a later login is waited for now, and only now.
                if not self._vendor.rotation.rotates and (pause := self._unheard()):
                    await self._let_come_back(pause)
                raise
            if isinstance(error, MalformedResponse) and error.salvage is not None:
                # Unusable, but it brought a new refresh token: the old one is spent.
                salvage, error.salvage = error.salvage, None
                if (token := self._token) is not None and self._holding.unexpired():  # no reason to interrupt anybody
                    salvage = attrs.evolve(
                        token, refresh_token=salvage.refresh_token, refresh_expires_at=None, endpoint=salvage.endpoint
                    )
                await self._ledger.store(salvage, self._lease.number, self._time, precious=True)
            else:
                in_doubt = self._doubtful or (exchange is not None and exchange.in_doubt)
                await self._give_up(error, in_doubt=in_doubt)
            raise
        except Exception as error:  # an adapter's mistake must not hold the fleet up until the lease ends
            fault = VendorUnavailable(f"the adapter failed: {type(error).__name__}")
            await self._give_up(fault, in_doubt=True)
            raise

    def _renewing(self, vendor: Vendor) -> Exchange[Token]:
        return renewing(self._office, vendor, self._token, self._time, self._lease)

    async def _refused(self, words: str) -> Token:
        """The refresh token is refused: believe it only if nobody has written a newer one meanwhile, here or elsewhere."""
        try:
            if await self._came_back() or self._holding.token is not self._token:
                await self._lease.release()
                raise Overtaken
        except StoreUnavailable:
            pass  # then burying it will not succeed either, and the next worker will look again
        reason = f"the vendor refused the refresh token ({words})"
        if self._doubtful:
            reason += "; the answer to an earlier renewal may have been lost when a worker died or was cut off"
        return await self._ledger.bury(self._lease, reason)

    async def _came_back(self) -> bool:
        """Whether somebody has written something newer than what is held; then it is adopted."""
        reading, time = await self._ledger.read()
        if reading.record is None or reading.record.version <= self._holding.version:
            return False
        self._ledger.adopt(reading.record, time)
        return True

    async def _give_up(self, error: LinkAuthError, *, in_doubt: bool) -> None:
        """Give the lease back, and leave word for the fleet why, and when somebody may try again."""
        found, now = self._found, self._time.unix(self._office.world.monotonic())
        wait = backoff(found.failures, timing.RENEW_FIRST, self._office.world.random.random())
        ordered = getattr(error, "retry_after", None)
        if ordered is not None:
            wait = max(wait, min(float(ordered), timing.LONGEST_ORDER))
        doubt = digest(self._token) if in_doubt else ""
        since = found.since if self._doubtful else now
        note = Note(doubt=doubt, since=since if doubt else 0.0, failures=found.failures)
        word = self._office.envelope.close_note(self._ledger.key, note.failing(error, now + wait))
        await self._lease.release(word)
        if isinstance(error, VendorUnavailable):
            error.retry_after = wait

    # -- before anything is sent ------------------------------------------------------------------------------------

    def _pause(self) -> float:
        """Seconds for which a possible holder of a newer token is waited for.

        Raises ``InDoubt``: as long as the access token is good, unless the refresh token would lapse over it.
        """
        rotation, token, found = self._vendor.rotation, self._token, self._found
        if not rotation.rotates or token is None:
            return 0.0
        unheard = self._unheard()
        window = replayable(rotation.replay_window, self._office.timeout)
        if self._store_is_behind() or not self._doubtful or self._time.now < found.since + window:
            return unheard
        self._ledger.tell(EventKind.IN_DOUBT, "a worker set out to renew and did not come back")
        lapses = token.refresh_expires_at
        if self._holding.judge() is not Verdict.WAIT and (lapses is None or lapses > token.expires_at):
            raise InDoubt("a worker set out to renew and did not come back; it is given time")
        if found.kind:
            return unheard  # it did come back, and said that it had no answer
        # However long ago it set out: had the store been away, it could not come back before now.
        return timing.GRACE

    def _unheard(self) -> float:
        """Seconds in which others may put back what the store has lost: whoever has something newer is about to say so."""
        return timing.GRACE if self._store_is_behind() else self._ledger.unsettled()

    def _store_is_behind(self) -> bool:
        return self._claim.record is None or self._claim.record.version < self._holding.version
