"""Does what the steps of ``protocol`` want, against a store, a vendor and clocks."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from linkauth.engine.dead_marks import forget, mark_dead
from linkauth.engine.driver import drive
from linkauth.engine.events import EventKind
from linkauth.engine.limiter import limiter
from linkauth.engine.token_replica import NOT_BUSY
from linkauth.engine.vendor_access import VendorAccess
from linkauth.protocol import effects
from linkauth.protocol.limits import secret_digest
from linkauth.protocol.records import TokenRecord
from linkauth.store import Busy, Granted

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.lease import Lease
    from linkauth.engine.replica import Replica
    from linkauth.engine.token_replica import TokenReplica
    from linkauth.errors import CorruptRecord, ReauthorizationRequired
    from linkauth.oauth.token import Token
    from linkauth.protocol.effects import Effect, Steps
    from linkauth.protocol.freshness import StoreTime, Verdict
    from linkauth.protocol.intent import Note
    from linkauth.protocol.lineage import Lineage
    from linkauth.protocol.worker import Worker
    from linkauth.store import Claim, Reading, Record

__all__ = ["Runtime"]

log = logging.getLogger("linkauth")

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _method(effect: str) -> str:
    """The name of the method that does what such an effect wants: ``_commit_secret`` for ``CommitSecret``."""
    return re.sub("(?=[A-Z])", "_", effect).lower()


class Runtime:
    """One run of steps for the credential of ``replica``: what they know (``protocol.Worker``), and what is done for them.

    A lease that they are granted is extended until they write under it or give it back, or end.
    """

    def __init__(self, replica: TokenReplica, record: Replica | None = None) -> None:
        """``record``: what is read and claimed, the credential's own where nothing else is named."""
        self.vendor = replica.vendor
        self._record: Replica = record or replica
        self.ttl = self._record.ttl
        self.timeout = replica.context.timeout
        self._replica = replica
        self._context = replica.context
        self._lease: Lease | None = None
        self._time: StoreTime | None = None
        """The last look at the store's clock while claiming; None: it was away."""
        self._granted: tuple[Granted, StoreTime] | None = None
        """While the lease is extended: until something is written under it, or it is given back."""
        self._access = VendorAccess(replica.context, replica.vendor, replica.account)
        self.now = replica.context.clock.monotonic
        self.store_now = replica.context.clock.store_now
        self.entropy = replica.context.world.entropy
        self.chance = replica.context.world.random.random

    async def run(self, make: Callable[Concatenate[Worker, P], Steps[T]], *args: P.args, **more: P.kwargs) -> T:
        """What the steps return that ``make`` makes. What an effect raises is raised to them, where they stand."""
        try:
            return await drive(make(self, *args, **more), self._perform)
        except asyncio.CancelledError:
            if self._granted is not None and self._context.flights.ending:
                # Called off, which nobody is who has anything to lose: nothing is held up.
                await self._release(effects.Release(self._granted[0].note))
            raise
        finally:
            await self._stop_extending()
            self._let_go_of_lease()
            await self._access.release_permit()

    async def _perform(self, effect: Effect) -> Any:
        return await getattr(self, _method(type(effect).__name__))(effect)

    # -- what the steps know ---------------------------------------------------------------------------------------

    @property
    def token(self) -> Token | None:
        return self._replica.state.token

    @property
    def lineage(self) -> Lineage:
        return self._replica.state.lineage

    @property
    def version(self) -> int:
        return self._replica.state.version

    @property
    def new_until(self) -> float:
        return self._replica.state.new_until

    def verdict(self) -> Verdict:
        return self._replica.judge()

    def unexpired(self) -> bool:
        return self._replica.unexpired()

    def supersedes(self, record: Record) -> bool:
        return self._replica.supersedes(record)

    def lineage_over(self, record: Record | None) -> Lineage:
        return self._replica.lineage_over(record)

    def lacks(self, record: Record | None) -> bool:
        return self._replica.is_newer_than(0 if record is None else record.version)

    def suspects(self) -> bool:
        return self._context.read_repair.suspects

    def note(self, found: bytes) -> Note:
        return self._context.codec.open_note(self._replica.key, found)

    def crowded(self) -> bool:
        vendor = self._context.client_secrets.known(self.vendor)
        return not limiter(self._context, self.vendor).open(secret_digest(vendor))

    def current(self) -> Token:
        return self._replica.current()

    def reauthorization(self, otherwise: str) -> ReauthorizationRequired:
        return self._replica.reauthorization(self._replica.state.dead or otherwise)

    def observe(self, record: Record, time: StoreTime) -> None:
        self._replica.know(record, time)

    def check_scope(self, token: Token, asked: str) -> None:
        self._replica.events.check_scope(token, asked)

    def unreadable(self, error: CorruptRecord) -> None:
        self._replica.events.unreadable(error)

    def tell(self, kind: str, outcome: str = "", duration: float = 0.0) -> None:
        self._replica.events.tell(EventKind(kind), outcome, duration)
        record = self._replica.state.record
        if EventKind(kind) is EventKind.RENEWED and isinstance(record, TokenRecord):
            self._context.session_ends.look(self._replica.key, record, self.store_now())

    def report(self, message: str) -> None:
        log.error("%s: %s", self.vendor.name, message)

    # -- the store -------------------------------------------------------------------------------------------------

    async def _settle(self, effect: effects.Settle) -> bool:
        waited = await self._replica.settle(anew=effect.anew)
        if waited:
            self._replica.new_since(self.now())
        return waited

    async def _read(self, _: effects.Read) -> tuple[Reading, StoreTime]:
        return await self._record.read()

    async def _claim(self, effect: effects.Claim) -> tuple[Claim, StoreTime]:
        owner = self._context.owner()
        self._time = None
        claim, time = await self._record.claim(effect.note, effect.newer_than, owner)
        self._time = time
        if self._record is self._replica:
            self._replica.busy_until = self.now() + claim.remaining if isinstance(claim, Busy) else NOT_BUSY
        if isinstance(claim, Granted):
            self._granted = claim, time
            self._lease = self._record.lease(claim, time, effect.note, owner)
            await self._lease.__aenter__()
        else:
            await self._access.release_permit()
        return claim, time

    async def _wait(self, effect: effects.Wait) -> None:
        await self._record.wait(effect.seconds, effect.newer_than, effect.busy)

    async def _sleep(self, effect: effects.Sleep) -> None:
        with self._context.flights.idle():
            await asyncio.sleep(effect.seconds)

    async def _adopt(self, effect: effects.Adopt) -> None:
        self._replica.adopt(effect.record, effect.time)
        if effect.awaited:
            self._replica.new_since(self.now())

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
            effect.token, number, self._time, irreplaceable=effect.irreplaceable, lineage=effect.lineage
        )
        self._replica.new_since(self.now())
        if stored != effect.token and self._lease is not None:
            await self._lease.release(b"")  # overtaken by the user: who waits to renew what came then does so now
        return stored

    async def _forget(self, effect: effects.Forget) -> bool:
        await self._stop_extending()
        return await forget(self._replica, effect.number, effect.reason, effect.session)

    async def _mark_dead(self, effect: effects.MarkDead) -> Token:
        assert self._lease is not None  # noqa: S101
        await self._stop_extending()
        return await mark_dead(self._replica, self._lease, effect.reason, effect.number)

    async def _release(self, effect: effects.Release) -> None:
        if self._lease is not None:
            await self._stop_extending()
            note = (
                effect.note
                if isinstance(effect.note, bytes)
                else self._context.codec.close_note(self._replica.key, effect.note)
            )
            await self._lease.release(note)
            self._let_go_of_lease()
            self._lease = None

    def _let_go_of_lease(self) -> None:
        if self._replica.lease_held is self._lease:
            self._replica.lease_held = None

    async def _serve(self, effect: effects.Serve) -> None:
        self._replica.serve_alone(effect.token, effect.lineage, self._time or self._context.clock.here())

    async def _stop_extending(self) -> None:
        if self._granted is not None and self._lease is not None:
            self._granted = None
            await self._lease.__aexit__(None, None, None)

    # -- the vendor ------------------------------------------------------------------------------------------------

    async def _acquire_permit(self, _: effects.AcquirePermit) -> None:
        await self._access.acquire_permit(
            self._replica.state.windows.hard if self._replica.state.token is not None else -math.inf
        )

    async def _release_permit(self, _: effects.ReleasePermit) -> None:
        await self._access.release_permit()

    async def _exchange(self, effect: effects.Exchange) -> Any:
        time = self._time
        if time is None:
            self._context.outages.store.hold_up("tokens fetched for this process alone", self._replica.key)
            log.debug("%s: the store is away; a token is fetched for this process alone", self.vendor.name)
            time = self._context.clock.here()
        return await self._access.exchange(effect, time, None if self._granted is None else self._lease)
