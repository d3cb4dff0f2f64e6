"""Looks at what may be lost: one that fails is told, and the next one comes all the same."""

from __future__ import annotations

import asyncio

from linkauth.engine.throttle import GAP, Throttle
from tests.engine.virtual import monotonic, virtual


@virtual
async def test_a_look_that_fails_is_told_by_its_kind_and_ends_no_others(caplog):
    """Asked for twice, made twice: in the log stands what failed, without its words, for they may hold anything."""
    throttle, made = Throttle(), []

    async def look() -> None:
        made.append(monotonic())
        raise ValueError("swordfish")

    throttle.call("token/x/1", look)
    await asyncio.sleep(0)
    throttle.call("token/x/1", look)
    await asyncio.sleep(3 * GAP)
    assert made == [made[0], made[0] + GAP]
    assert caplog.messages == ["record token/x/1 could not be looked at (ValueError)"] * 2
    throttle.call("token/x/1", look)  # and nothing of the key was left behind
    await asyncio.sleep(GAP)
    assert len(made) == 3
    await throttle.aclose()
