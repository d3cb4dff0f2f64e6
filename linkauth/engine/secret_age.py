"""How old a client's secret is, and its replacement in time: "rotate secrets regularly".

A secret that linkauth stored has its time beside it. Of any other nobody knows the age: it counts from when it was first
asked for, which is written down for the fleet.
"""

from __future__ import annotations

import contextlib
import logging
import math
from typing import TYPE_CHECKING

from linkauth.engine.replica import Replica
from linkauth.errors import ConfigurationError, CorruptRecord, StoreError, UnsupportedGrant
from linkauth.protocol.keys import answer_key, first_seen_key
from linkauth.protocol.records import FirstSeenRecord
from linkauth.store import Granted

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.engine.credential import Credential
    from linkauth.vendors.vendor import Vendor

__all__ = ["check", "rotate_if_older"]

log = logging.getLogger("linkauth")


def check(context: EngineContext, older_than: float) -> None:
    """Whether secrets may be rotated by age here. Raises ``ConfigurationError``; a store without keys is warned of."""
    if not 0 < older_than < math.inf:
        raise ConfigurationError("the age at which secrets are rotated: seconds above 0 are needed")
    if getattr(context.store_client.store, "outlives_process", True) is False:
        raise ConfigurationError(
            "secrets are not rotated in a store that ends with this process: nobody would have the new one"
        )
    if not context.codec.seals:
        log.warning("client secrets are rotated, and the store keeps them in clear: give the engine keys")


async def rotate_if_older(credential: Credential, older_than: float) -> bool:
    """Rotate the client's secret if it is older than so many seconds; whether it was, and a new one is stored.

    Of any number of workers that ask at the same moment one rotates. Raises as ``Credential.rotate_secret`` does, and
    ``ConfigurationError`` where an answer to an earlier rotation waits to be read by a human.
    """
    replica = credential.replica
    context, vendor = replica.context, replica.vendor
    if not vendor.rotates_secret:
        raise UnsupportedGrant(f"{vendor.name} does not rotate client secrets")
    if not await _is_older(context, vendor, older_than):
        return False
    reading, _ = await Replica(context, answer_key(vendor)).read()
    if reading.record is not None:
        raise ConfigurationError(
            f"{vendor.name}: the answer to a rotation waits to be read; see `linkauth rotate-secret --recover`"
        )

    async def still() -> bool:  # or somebody else was faster
        return await _is_older(context, vendor, older_than)

    if not await credential.rotate_secret_if(still):
        return False
    with contextlib.suppress(StoreError):
        await Replica(context, first_seen_key(vendor)).take()
    return True


async def _is_older(context: EngineContext, vendor: Vendor, than: float) -> bool:
    secret = context.client_secrets.of(vendor)
    await secret.look()
    now, at = context.clock.store_now(), secret.rotated_at
    if at is None or at > now:  # by a clock that was wrong
        at = await _first_seen(context, vendor)
    return now - at >= than


async def _first_seen(context: EngineContext, vendor: Vendor) -> float:
    """Since when the fleet knows this secret, Unix seconds by the store's clock: now, where nobody has written that down."""
    seen = Replica(context, first_seen_key(vendor))
    reading, _ = await seen.read()
    if reading.record is not None:
        try:
            found = seen.open(reading.record, FirstSeenRecord)
        except CorruptRecord as error:
            log.warning("%s: the age of its secret counts from now: %s", vendor.name, error)
        else:
            return min(found.at, reading.now)
    known = 0 if reading.record is None else reading.record.version
    claim, _ = await seen.claim(newer_than=known)
    if isinstance(claim, Granted):  # else somebody is writing this very thing
        await seen.commit(claim.number, FirstSeenRecord(vendor=vendor.name, at=reading.now))
    return reading.now
