"""What an earlier process left in escrow, offered to the store as soon as the engine is opened.

A credential looks into escrow by itself before it is first renewed. By then another host may have tried the refresh
token that this very answer replaced, and ended the session: so nobody waits for the first caller here.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from linkauth.engine.escrow import tried
from linkauth.errors import StoreError, StoreUnavailable
from linkauth.protocol import timing
from linkauth.protocol.timing import backoff
from linkauth.store import Committed, Record

if TYPE_CHECKING:
    from linkauth.engine.context import EngineContext
    from linkauth.engine.escrow import Escrow, Kept

__all__ = ["bring_back"]

log = logging.getLogger("linkauth")


async def bring_back(context: EngineContext, escrow: Escrow) -> None:
    """Commit whatever lies in ``escrow``. What the store has something newer for is left to its credential to judge."""
    for kept in await tried(escrow.everything()) or []:
        await _insist(context, escrow, kept)


async def _insist(context: EngineContext, escrow: Escrow, kept: Kept) -> None:
    tries = 0
    while not context.flights.ending:
        try:
            context.codec.open(kept.key, Record(kept.number, kept.value))
            outcome, _ = await context.store_client.ask(
                context.store_client.store.commit(kept.key, kept.number, kept.value)
            )
        except StoreUnavailable as error:
            # Said once: it goes on twice a second, so that the store has the answer before anybody spends what is in doubt.
            level = logging.DEBUG if tries else logging.WARNING
            log.log(level, "escrow: what an earlier process left is offered again and again: %s", error)
        except StoreError as error:  # of other keys, or damaged: it is not handed to the fleet
            log.error("escrow: %s", error)  # noqa: TRY400  # its frames hold the answer
            return
        else:
            if isinstance(outcome, Committed):
                log.info("escrow: %s, version %d, was left by an earlier process and is stored", kept.key, kept.number)
                await tried(escrow.drop(kept.key, kept.number))
            return
        gap = min(backoff(tries, timing.OFFER_FIRST, context.world.random.random()), timing.OFFER_LONGEST)
        with context.flights.idle():
            await asyncio.sleep(gap)
        tries += 1
