"""Renews what would otherwise lapse: credentials that nobody uses, whose *refresh* tokens have an end, or which were never used.

One worker of the fleet makes a round at a time, under a lease; should it die in the middle, another begins the round
again, and finds those already renewed not due. Between rounds nobody holds anything and nobody asks anything: the last
round wrote down when the next is. A round reads a batch of records at a time, so a hundred thousand take no memory; and it renews
several at once, at half of what their vendor states, so that who needs a token meanwhile finds room.

What it finds under an older key than the newest it writes under that (``reseal``): nobody else would, where nothing happens
for weeks. And it rotates client secrets that have reached an age, where it is told one (``secret_age``).
"""

from __future__ import annotations

import asyncio
import logging
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import attrs

from linkauth.engine.census import count, count_unreadable
from linkauth.engine.readings import readings
from linkauth.engine.renew_many import Pace, each
from linkauth.engine.replica import Replica
from linkauth.engine.reseal import LASTING, anew, reseal
from linkauth.engine.secret_age import rotate_if_older
from linkauth.engine.status import status_of, statuses
from linkauth.engine.vendor_of import name_of, vendor_of_record
from linkauth.errors import CorruptRecord, LinkAuthError, StoreUnavailable
from linkauth.protocol import timing
from linkauth.protocol.effects import LeaseLost
from linkauth.protocol.keys import round_key, secret_key, token_keys
from linkauth.protocol.records import RoundRecord, TokenRecord
from linkauth.protocol.session_end import ends_soon
from linkauth.protocol.timing import backoff
from linkauth.store import Granted
from linkauth.vendors.vendor import Vendor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from linkauth.engine.context import EngineContext
    from linkauth.engine.credential import Credential
    from linkauth.engine.lease import Lease
    from linkauth.engine.probe import Census
    from linkauth.engine.vendor_of import VendorOf
    from linkauth.oauth.token import Token
    from linkauth.store import Reading, Record

__all__ = ["KeepAlive"]

log = logging.getLogger("linkauth")

EARLIEST: Final = 0.5
LATEST: Final = 0.75
"""Share of a refresh token's life after which it is renewed; each credential has a moment of its own in between, so that
what was begun on one day is not renewed in one hour."""


@attrs.frozen
class _Due:
    """A credential whose refresh token is to be renewed, and the ``record`` that says so."""

    key: str
    vendor: Vendor
    account: str
    record: Record | None


class KeepAlive:
    """Makes rounds over ``vendors``' credentials, one every ``every`` seconds in the whole fleet.

    A function among ``vendors`` says whose a record is that is of none of the others.
    """

    def __init__(
        self,
        context: EngineContext,
        vendors: Sequence[Vendor | VendorOf],
        make: Callable[[Vendor, str], Credential],
        *,
        every: float,
        rotate_secrets_after: float | None = None,
    ) -> None:
        self._context = context
        self._vendors = [one for one in vendors if isinstance(one, Vendor)]
        self._functions = [one for one in vendors if not isinstance(one, Vendor)]
        self._make = make
        self._every = every
        self._rotate_after = rotate_secrets_after
        self._schedule = Replica(context, round_key(self._vendors, map(name_of, self._functions)), timing.ROUND_LEASE)

    async def run(self, rounds: int | None = None) -> int:
        """Make ``rounds`` rounds (None: go on until cancelled), or see others make them. How many were renewed here.

        A store that is away is waited for.
        """
        renewed, made, failures = 0, 0, 0
        while rounds is None or made < rounds:
            try:
                done = await self._turn()
            except StoreUnavailable as error:
                log.debug("keep-alive: %s", error)  # which was said when it began
                await asyncio.sleep(backoff(failures, timing.ROUND_AGAIN, self._context.world.random.random()))
                failures += 1
                continue
            failures = 0
            if done is not None:
                renewed += done
                made += 1
        return renewed

    async def _turn(self) -> int | None:
        """Make a round if it is time and nobody else does; else wait. None: nothing was made."""
        reading, _ = await self._schedule.read()
        if reading.record is not None and (left := self._left(reading.record, reading.now)) > 0:
            await asyncio.sleep(left + self._context.world.random.random())
            return None
        claim, time = await self._schedule.acquire(reading.record.version if reading.record else 0)
        if not isinstance(claim, Granted):  # somebody has made the round meanwhile
            return None
        lease = self._schedule.lease(claim, time)
        async with lease:
            renewed = await self._round(lease)
        if renewed is not None:
            record = RoundRecord(next_at=self._context.clock.store_now() + self._every)
            await self._schedule.commit(claim.number, record)
        return renewed

    def _left(self, record: Record, now: float) -> float:
        """Seconds until the next round. What another environment has written says nothing: then it is now.

        Nor does what is further off than one round is from the next: the store's clock was set back, or somebody makes them more
        rarely than is wanted here.
        """
        try:
            left = self._schedule.open(record, RoundRecord).next_at - now
        except CorruptRecord as error:
            log.warning("keep-alive: rounds are made as if nobody else did: %s", error)
            return 0.0
        return left if left <= self._every + timing.LEAST_JUMP else 0.0

    async def _round(self, lease: Lease) -> int | None:
        """Renew what is due, several at a time. None: the lease was lost, and somebody else makes the round."""
        renewed = failed = 0
        census: dict[str, Census] = {}
        pace = Pace(self._context.clock, timing.ROUND_SHARE, timing.ROUND_PACE)

        async def renew(due: _Due) -> None:
            nonlocal renewed, failed
            await pace.turn(due.vendor)
            credential = await self._still(due, lease)
            if credential is None:
                return
            try:
                await credential.refresh()
                renewed += 1
            except StoreUnavailable:
                raise
            except LinkAuthError as error:
                failed += 1
                log.debug("keep-alive: %r: %s", credential, error)  # which was said of its renewal

        try:
            await each(self._all_due(lease, census), renew)
        except LeaseLost:
            return None
        self._context.event_log.probe.counted(census, self._every, self._context.clock.store_now())
        if failed:
            log.warning("keep-alive: of %d that were due %d were not renewed", renewed + failed, failed)
        if self._context.codec.seals:
            await reseal(self._context, LASTING)
        for vendor in self._clients():  # once in the fleet by a lease of its own
            await self._rotate(vendor)
        return renewed

    def _clients(self) -> list[Vendor]:
        """One vendor for each client whose secret is to be rotated in time."""
        rotating = [vendor for vendor in self._vendors if vendor.rotates_secret and self._rotate_after is not None]
        return list({secret_key(vendor): vendor for vendor in rotating}.values())

    async def _rotate(self, vendor: Vendor) -> None:
        assert self._rotate_after is not None  # noqa: S101  # else there are no clients
        try:
            await rotate_if_older(self._make(vendor, await self._account(vendor)), self._rotate_after)
        except StoreUnavailable:
            raise
        except LinkAuthError as error:
            log.error("keep-alive: the client secret of %s is not rotated: %s", vendor.name, error)  # noqa: TRY400  # no frames

    async def _account(self, vendor: Vendor) -> str:
        """One whose token there is, so that none is fetched for this alone."""
        async for status in statuses(self._context, kinds=("token/",)):
            if status.account and status.key in token_keys(vendor, status.account):
                return status.account
        return "default"

    async def _all_due(self, lease: Lease, census: dict[str, Census]) -> AsyncGenerator[_Due]:
        """What should be renewed now, by a look at all that there is. The rest is written anew, where its key is old.

        Each is counted in its vendor's ``census`` as it was found.
        """
        async for key, reading in readings(self._context, "token/"):
            if not await lease.held():
                raise LeaseLost
            if isinstance(reading, CorruptRecord):
                count_unreadable(key.split("/")[1], census)
                log.warning("keep-alive: %s", reading)
            elif reading.record is not None:
                due = await self._look(key, reading, reading.record, census)
                if due is not None:
                    yield due

    async def _look(self, key: str, reading: Reading, record: Record, census: dict[str, Census]) -> _Due | None:
        vendor = key.split("/")[1]
        try:
            found = self._context.codec.open(key, record)
        except CorruptRecord as error:
            count_unreadable(vendor, census)
            log.warning("keep-alive: %s", error)
            return None
        count(vendor, found, self._context.codec.open_note(key, reading.note), reading.now, census)
        due = None
        if isinstance(found, TokenRecord):
            due = await self._due(key, reading, found)
            if ends_soon(found, reading.now) and await self._vendor_of(key, reading, found.account) is not None:
                self._context.session_ends.look(key, found, reading.now)
        if due is None and self._context.codec.is_old(record):
            await anew(self._context, key)
        return due

    async def _due(self, key: str, reading: Reading, found: TokenRecord) -> _Due | None:
        token, now = found.token, reading.now
        may_be = _is_time(key, now, token, None) if token.refresh_expires_at is not None else token.refresh_token
        if not may_be:  # whoever's it is
            return None
        vendor = await self._vendor_of(key, reading, found.account)
        if vendor is None or not _is_time(key, now, token, vendor.refresh_lifetime):
            return None
        return _Due(key, vendor, found.account, reading.record)

    async def _still(self, due: _Due, lease: Lease) -> Credential | None:
        """The credential of what is due, unless its record is another by now, as a credential reads: the watch on the store begins before.

        Raises ``LeaseLost``.
        """
        if not await lease.held():
            raise LeaseLost
        credential = self._make(due.vendor, due.account)
        again, time = await credential.replica.read()
        credential.replica.know(again.record, time)
        same = due.record is not None and credential.replica.state.version == due.record.version
        return credential if same and credential.replica.key == due.key else None

    async def _vendor_of(self, key: str, reading: Reading, account: str) -> Vendor | None:
        """The vendor of the record ``key``."""
        for one in self._vendors:
            if key in token_keys(one, account):
                return one
        for function in self._functions if reading.record is not None else ():
            vendor = await vendor_of_record(function, status_of(self._context, key, reading))
            if vendor is not None:
                return vendor
        return None


def _is_time(key: str, now: float, token: Token, lifetime: float | None) -> bool:
    """Whether the refresh token's life is so far spent that the record ``key`` is renewed.

    ``now``: the store's clock. ``lifetime``: seconds that an unused one lives, where the token does not say; None: unknown.
    """
    if not token.access_token:  # it came in alone, or an answer could not be used, and nobody has renewed it yet
        return True
    lapses = token.refresh_expires_at
    if lapses is None and token.refresh_token and lifetime is not None:  # stored before that was stated
        lapses = token.issued_at + lifetime
    ends = token.session_expires_at
    if lapses is None or (ends is not None and lapses >= ends):  # no renewal puts the session's end off
        return False
    own = int.from_bytes(sha256(key.encode()).digest()[:4], "big") / 2**32
    return now >= token.issued_at + (lapses - token.issued_at) * (EARLIEST + own * (LATEST - EARLIEST))
