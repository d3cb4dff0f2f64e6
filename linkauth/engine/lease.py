"""A lease that is kept alive while its holder works."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol, Self

from linkauth.engine.flight import out_of_sight
from linkauth.errors import StoreError
from linkauth.protocol import timing
from linkauth.store import Busy, Granted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from linkauth.engine.store_client import StoreClient
    from linkauth.protocol.freshness import StoreTime
    from linkauth.store import Claim, Record

__all__ = ["Holder", "Lease"]


class Holder(Protocol):
    """What a holder can say who has lost the lease while his request is in the air."""

    def is_later(self, record: Record) -> bool:
        """Whether ``record`` comes after what was spent: there is nothing to be shielded."""
        ...

    async def reassert(self, number: int) -> int:
        """Commit the unchanged record under ``number``. Returns the next number to use."""
        ...


class Lease:
    """A granted lease. As a context manager it is extended every ``every`` seconds, a third of its time where not told.

    ``held()`` is asked right before anything is sent: a worker that was stopped for as long as its lease must not
    spend a token that its successor will be spending. Nor may one whose clocks, or the store's, have jumped since it last
    heard that the lease is its own: it asks once more.
    """

    __slots__ = (
        "_again",
        "_deadline",
        "_epoch",
        "_every",
        "_extending",
        "_gone",
        "_holder",
        "_lost",
        "_over",
        "_sent",
        "_store_client",
        "_timer",
        "_ttl",
        "key",
        "number",
    )

    def __init__(
        self,
        store_client: StoreClient,
        key: str,
        number: int,
        ttl: float,
        granted: StoreTime,
        again: Callable[[], Awaitable[tuple[Claim, StoreTime]]] | None = None,
        *,
        every: float | None = None,
        holder: Holder | None = None,
    ) -> None:
        self.key = key
        self.number = number
        self._store_client = store_client
        self._ttl = ttl
        self._deadline = granted.before + ttl
        self._epoch = granted.epoch
        self._again = again
        """Claims it from a store that lost it; and what is held once more, where it was claimed by a named owner."""
        self._holder = holder
        """Tells others that a request is in the air under this lease, though the store has it no longer."""
        self._every = ttl / timing.LEASE_PART if every is None else every
        self._sent = False
        self._over = False
        """Nothing is left to be shielded."""
        self._lost = False
        self._gone = False
        """The store does not have it, and may have given its number to somebody else since: nothing of his is touched."""
        self._timer: asyncio.TimerHandle | None = None
        """Set while somebody works under it. A timer, for most work is over before there is anything to extend."""
        self._extending: asyncio.Task[None] | None = None

    async def held(self) -> bool:
        """Whether the lease is this worker's, and for long enough; asks the store only where it might not be."""
        if not self._lost and self._is_short():
            await self._extend()
        return not self._lost and not self._is_short()

    def doubtful(self) -> bool:
        """Whether it may have ended, as far as is known without asking: this process was stopped, or the store away."""
        return self._lost or self._is_short()

    async def confirmed(self) -> bool:
        """As ``held``, and the store says so: one that lost its data has lost leases, and may give their numbers again.

        So the store is asked by owner, not by number.
        """
        if self._lost or self._again is None:
            return False
        try:
            claim, time = await self._again()
        except StoreError:
            return False
        if not isinstance(claim, Granted):
            self._lost = True
            self.number = 0  # which may be his as well: nothing of his is given back
            return False
        same, self.number = claim.number == self.number, claim.number
        self._deadline, self._epoch = time.before + self._ttl, time.epoch
        return same

    def sent(self) -> None:
        """Something goes out under this lease: from now on it shields the answer to that."""
        self._sent = True

    async def keep(self) -> None:
        """Extend it, if anybody is working under it, and take it anew where the store has lost it."""
        if self._timer is not None:
            await self._extend()

    async def release(self, note: bytes = b"") -> None:
        """Give it back and leave ``note``. A store that does not answer will end it in time."""
        if not self._gone:
            await self._store_client.quietly(self._store_client.store.release(self.key, self.number, note))

    async def __aenter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(self._every, self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._timer is not None  # noqa: S101  # since it was entered
        self._timer.cancel()
        self._timer = None
        if self._extending is not None:
            self._extending.cancel()
            await asyncio.wait({self._extending})

    def _begin(self) -> None:
        self._extending = out_of_sight(self._keep(), f"linkauth lease {self.key}")

    async def _keep(self) -> None:
        while not self._over:
            await (self._reassert() if self._gone else self._extend())
            await asyncio.sleep(self._every)

    def _is_short(self) -> bool:
        clock = self._store_client.clock
        return self._deadline - clock.monotonic() < self._ttl / timing.LEASE_PART or self._epoch != clock.epoch

    async def _extend(self) -> None:
        if self._gone:
            return
        asked = self._store_client.clock.glance()
        try:
            async with asyncio.timeout(self._ttl / timing.LEASE_PART):  # so that another try comes before its end
                kept = await self._store_client.do(self._store_client.store.extend(self.key, self.number, self._ttl))
        except (StoreError, TimeoutError):
            return  # it may come back before the lease ends
        if kept:
            self._deadline, self._epoch = asked.monotonic + self._ttl, asked.epoch
            return
        if self._gone:
            return  # another call has found that meanwhile, and reasserts
        self._lost = self._gone = True  # nothing is sent under it any more
        self._over = not self._sent
        if self._sent:
            await self._reassert()

    async def _reassert(self) -> None:
        """Shield the answer that is on its way from others who would ask with the same token.

        The lease is asked for again, by owner, for the store may have lost it. Where somebody else has it, the unchanged
        record is committed under a number that grows: whoever sees that before he sends gives the lease back.
        """
        if self._again is None:
            self._over = True
            return
        with contextlib.suppress(StoreError):
            claim, _ = await self._again()
            if self._holder is None:
                self._over = not isinstance(claim, Granted)
            elif claim.record is not None and self._holder.is_later(claim.record):
                self._over = True  # the session is over, or somebody was faster: nothing more is said or taken
                if isinstance(claim, Granted):
                    await self._store_client.quietly(
                        self._store_client.store.release(self.key, claim.number, claim.note)
                    )
            elif not isinstance(claim, Granted):
                # Not under the number of the lease that somebody else has: a commit under that would give his back.
                taken = isinstance(claim, Busy) and claim.number == self.number
                self.number = await self._holder.reassert(self.number + taken)
            if isinstance(claim, Granted) and not self._over:
                self.number, self._gone = claim.number, False
