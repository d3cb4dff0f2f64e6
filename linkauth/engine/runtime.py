"""Does what the steps of ``protocol`` want, against a store, a vendor and clocks."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from linkauth.engine.events import EventKind
from linkauth.engine.exchange import Exchange
from linkauth.errors import CorruptRecord, InvalidClient, OAuthError, StoreError, VendorUnavailable
from linkauth.protocol import effects
from linkauth.protocol.effects import Failed, LeaseLost
from linkauth.protocol.freshness import StoreTime
from linkauth.protocol.records import secret_digest
from linkauth.store import Granted

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.admission import Permit
    from linkauth.engine.lease import Lease
    from linkauth.engine.leased import Leased
    from linkauth.engine.replica import Replica
    from linkauth.errors import ReauthorizationRequired
    from linkauth.oauth.exchange import Flow
    from linkauth.oauth.token import Token
    from linkauth.protocol.effects import Effect, Steps, Worker
    from linkauth.protocol.freshness import Verdict
    from linkauth.protocol.intent import Note
    from linkauth.protocol.lineage import Lineage
    from linkauth.store import Claim, Reading, Record
    from linkauth.vendors.vendor import Vendor

__all__ = ["Runtime"]

log = logging.getLogger("linkauth")

P = ParamSpec("P")
T = TypeVar("T")


class Runtime:
    """One run of steps for the credential of ``replica``: what they know (``effects.Worker``), and what is done for them.

    A lease that they are granted is extended until they write under it or give it back, or end.
    """

    def __init__(self, replica: Replica, record: Leased | None = None) -> None:
        """``record``: what is read and claimed, the credential's own where nothing else is named."""
        self.vendor = replica.vendor
        self._record: Leased = record or replica
        self.ttl = self._record.ttl
        self.timeout = replica.context.timeout
        self._replica = replica
        self._context = replica.context
        self._state = replica.state
        self._lease: Lease | None = None
        self._time: StoreTime | None = None
        """The last look at the store's clock while claiming; None: it was away."""
        self._granted: tuple[Granted, StoreTime] | None = None
        """While the lease is extended: until something is written under it, or it is given back."""
        self._permit: Permit | None = None
        self._answered = False
        self._asked = replica.vendor
        """With the client secret that was shown last."""
        self.now = replica.context.world.monotonic
        self.store_now = replica.context.store_client.now
        self.entropy = replica.context.world.entropy
        self.chance = replica.context.world.random.random

    async def run(self, make: Callable[Concatenate[Worker, P], Steps[T]], *args: P.args, **more: P.kwargs) -> T:
        """What the steps return that ``make`` makes. What an effect raises is raised to them, where they stand."""
        steps = make(self, *args, **more)
        try:
            effect = next(steps)
            while True:
                try:
                    done = await self._perform(effect)
                except Exception as error:  # noqa: BLE001  # theirs to judge, whatever it is
                    effect = steps.throw(error)
                else:
                    effect = steps.send(done)
        except StopIteration as end:
            result: T = end.value
            return result
        except asyncio.CancelledError:
            if self._granted is not None and self._context.flights.ending:
                # Called off, which nobody is who has anything to lose: nothing is held up.
                await self._release(effects.Release(self._granted[0].note))
            raise
        finally:
            steps.close()
            await self._stop_extending()
            await self._leave()

    async def _perform(self, effect: Effect) -> Any:
        return await getattr(self, f"_{type(effect).__name__.lower()}")(effect)  # one method each, below

    # -- what the steps know ---------------------------------------------------------------------------------------

    @property
    def token(self) -> Token | None:
        return self._state.token

    @property
    def lineage(self) -> Lineage:
        return self._state.lineage

    @property
    def version(self) -> int:
        return self._state.version

    @property
    def new_until(self) -> float:
        return self._state.new_until

    def verdict(self) -> Verdict:
        return self._state.judge()

    def unexpired(self) -> bool:
        return self._state.unexpired()

    def supersedes(self, record: Record) -> bool:
        return self._replica.supersedes(record)

    def lacks(self, record: Record | None) -> bool:
        return self._replica.is_newer_than(0 if record is None else record.version)

    def suspects(self) -> bool:
        return self._context.read_repair.suspects

    def note(self, found: bytes) -> Note:
        return self._context.codec.open_note(self._replica.key, found)

    def crowded(self) -> bool:
        vendor = self._context.client_secrets.known(self.vendor)
        return not self._context.admission.gate(self._context, self.vendor).open(secret_digest(vendor))

    def current(self) -> Token:
        return self._replica.current()

    def lost(self, otherwise: str) -> ReauthorizationRequired:
        return self._replica.lost(self._state.dead or otherwise)

    def observe(self, record: Record, time: StoreTime) -> None:
        self._replica.know(record, time)

    def granted(self, token: Token, asked: str) -> None:
        self._replica.granted(token, asked)

    def unreadable(self, error: CorruptRecord) -> None:
        self._replica.unreadable(error)

    def tell(self, kind: str, outcome: str = "", duration: float = 0.0) -> None:
        self._replica.tell(EventKind(kind), outcome, duration)

    def report(self, words: str) -> None:
        log.error("%s: %s", self.vendor.name, words)

    # -- the store -------------------------------------------------------------------------------------------------

    async def _settle(self, _: effects.Settle) -> bool:
        waited = await self._replica.settle()
        if waited:
            self._state.new_until = self.now()
        return waited

    async def _read(self, _: effects.Read) -> tuple[Reading, StoreTime]:
        return await self._record.read()

    async def _claim(self, effect: effects.Claim) -> tuple[Claim, StoreTime]:
        owner = self._context.owner()
        self._time = None
        claim, time = await self._record.claim(effect.note, effect.newer_than, owner)
        self._time = time
        if isinstance(claim, Granted):
            self._granted = claim, time
            self._lease = self._record.lease(claim, time, effect.note, owner)
            await self._lease.__aenter__()
        else:
            await self._leave()
        return claim, time

    async def _wait(self, effect: effects.Wait) -> None:
        await self._record.wait(effect.seconds, effect.newer_than)

    async def _sleep(self, effect: effects.Sleep) -> None:
        with self._context.flights.idle():
            await asyncio.sleep(effect.seconds)

    async def _adopt(self, effect: effects.Adopt) -> None:
        self._replica.adopt(effect.record, effect.time)
        if effect.awaited:
            self._state.new_until = self.now()

    async def _repair(self, _: effects.Repair) -> None:
        await self._replica.put_back()

    async def _suspicion(self, effect: effects.Suspicion) -> float:
        return await self._context.read_repair.suspicion(anew=effect.anew)

    async def _confirm(self, _: effects.Confirm) -> bool:
        return self._lease is not None and await self._lease.confirmed()

    async def _held(self, _: effects.Held) -> bool:
        return self._granted is None or self._lease is None or await self._lease.held()

    async def _commit(self, effect: effects.Commit) -> Token:
        number = effect.number or (0 if self._lease is None else self._lease.number)
        assert self._time is not None  # noqa: S101  # no steps commit without having claimed
        await self._stop_extending()
        stored = await self._replica.store(
            effect.token, number, self._time, precious=effect.irreplaceable, lineage=effect.lineage
        )
        self._state.new_until = self.now()
        return stored

    async def _forget(self, effect: effects.Forget) -> bool:
        await self._stop_extending()
        return await self._replica.forget(effect.number, effect.reason, effect.session)

    async def _revoke(self, effect: effects.Revoke) -> Token:
        assert self._lease is not None  # noqa: S101
        await self._stop_extending()
        return await self._replica.bury(self._lease, effect.reason, effect.number)

    async def _release(self, effect: effects.Release) -> None:
        if self._lease is not None:
            await self._stop_extending()
            note = (
                effect.note
                if isinstance(effect.note, bytes)
                else self._context.codec.close_note(self._replica.key, effect.note)
            )
            await self._lease.release(note)
            self._lease = None

    async def _serve(self, effect: effects.Serve) -> None:
        now = self.now()
        time = StoreTime(self._context.world.wall(), now, now)
        self._state.take(effect.token, self._state.version, time, stored=False, lineage=effect.lineage)
        self._state.new_until = now

    async def _stop_extending(self) -> None:
        if self._granted is not None and self._lease is not None:
            self._granted = None
            await self._lease.__aexit__(None, None, None)

    # -- leave to ask -----------------------------------------------------------------------------------------------

    async def _enter(self, _: effects.Enter) -> None:
        if self._permit is None:
            newest = self._context.client_secrets.known(self.vendor)
            try:
                self._permit = await self._let_in(newest)
            except InvalidClient:  # so it was said to whoever sent this secret: is there a newer one?
                newer = await self._context.client_secrets.newer(self.vendor, newest)
                if newer is None:
                    raise
                self._permit = await self._let_in(newer)

    async def _let_in(self, vendor: Vendor) -> Permit:
        gate = self._context.admission.gate(self._context, self.vendor)
        need = self._state.windows.hard if self._state.token is not None else -math.inf
        return await gate.enter(self._replica.account, secret_digest(vendor), need, self.timeout)

    async def _leave(self, _: effects.Leave | None = None) -> None:
        permit, self._permit = self._permit, None
        if permit is not None:
            await permit.leave(answered=self._answered)

    # -- the vendor ------------------------------------------------------------------------------------------------

    async def _ask(self, effect: effects.Ask) -> Any:
        """The vendor's answer to the newest client secret; with another one once more, should it not know that."""
        try:
            outcome = await self._exchange(effect)
            if isinstance(outcome, Failed) and isinstance(outcome.error, InvalidClient):
                return await self._ask_again(effect, outcome.error)
        except StoreError as error:
            return Failed(error.with_traceback(None), in_doubt=False)
        return outcome

    async def _ask_again(self, effect: effects.Ask, refusal: InvalidClient) -> Any:
        """With another client secret, for somebody may have rotated it meanwhile, and the store knows. Raises ``StoreError``.

        If that does not help, the fleet is told of each that was refused.
        """
        outcome: Any = Failed(refusal, in_doubt=False)
        refused, newer, unread = [self._asked], None, ""
        try:
            newer = await self._context.client_secrets.newer(self.vendor, self._asked)
        except CorruptRecord as error:
            unread = str(error)
        if newer is not None:
            refused.append(newer)
            outcome = await self._let_again(newer) or await self._exchange(effect)
        if self._permit is not None and isinstance(outcome, Failed) and isinstance(outcome.error, InvalidClient):
            for vendor in refused:
                self._permit.secret = secret_digest(vendor)
                await self._permit.refused(outcome.error)
        if unread:
            raise CorruptRecord(f"{unread}; and the vendor refused the secret that this program was given ({refusal})")
        return outcome

    async def _let_again(self, vendor: Vendor) -> Failed | None:
        """Wait until another request of this client's may go, with the secret of ``vendor``. Why none may; None: it may."""
        if self._permit is not None:
            self._permit.secret = secret_digest(vendor)
            try:
                await self._permit.again()
            except (OAuthError, VendorUnavailable) as error:
                return Failed(error.with_traceback(None), in_doubt=False)
        return None

    async def _exchange(self, effect: effects.Ask) -> Any:
        now = self.now()
        if self._time is None:
            self._context.outages.store.hold_up("tokens fetched for this process alone", self._replica.key)
            log.debug("%s: the store is away; a token is fetched for this process alone", self.vendor.name)

        async def begin() -> Flow[Any]:
            """Before each try: it may have been rotated since the last."""
            self._asked = await self._context.client_secrets.newest(self.vendor)
            if self._permit is not None:
                self._permit.secret = secret_digest(self._asked)
            return effect.flow(self._asked)

        exchange: Exchange[Any] = Exchange(
            self._context.world,
            self._time or StoreTime(self._context.world.wall(), now, now),
            begin,
            limit=self.timeout,
            answer=effect.answer,
            lease=None if self._granted is None else self._lease,
            profile=self.vendor.rotation,
            single_use=effect.single_use,
            permit=self._permit,
        )
        try:
            found = await exchange.run()
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the steps judge it
            return Failed(error.with_traceback(None), exchange.in_doubt)
        self._answered = True
        return found
