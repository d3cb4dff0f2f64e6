"""A token that is held: what every request of a worker pays, awaited and (``peek``) where nothing can be waited for."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import by_hand, peers
from benchmarks.measure import Bench, own, processor_time
from benchmarks.ours import LINKAUTH, linkauth, linkauth_peek

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from benchmarks.by_hand import Ask
    from benchmarks.measure import Scene, Turn

CALLS = 20_000
"""Of those that take a microsecond; the dear ones get so many that a turn takes about as long."""


async def _awaited(ask: Ask, calls: int) -> None:
    for _ in range(calls):
        await ask()


async def _at_once(ask: Callable[[], object], calls: int) -> None:
    for _ in range(calls):
        ask()


def _turn(scene: Scene, name: str, work: Callable[[int], Awaitable[None]]) -> Turn:
    return partial(processor_time, scene.some(CALLS // 10 if name in peers.PACKAGES else CALLS), work)


@asynccontextmanager
async def _hit(scene: Scene) -> AsyncIterator[Mapping[str, Turn]]:
    await scene.server.behave()
    turns = {}
    async with AsyncExitStack() as stack:
        for name, holder in {**by_hand.HOLDERS, LINKAUTH: linkauth, **peers.HOLDERS}.items():
            if name == by_hand.SHARED_FUTURE:
                continue  # with a token in hand it is the bare check, to the letter
            ask = await stack.enter_async_context(holder(scene.server))
            await ask()
            turns[name] = _turn(scene, name, partial(own(_awaited), ask))
        yield turns


@asynccontextmanager
async def _peek(scene: Scene) -> AsyncIterator[Mapping[str, Turn]]:
    await scene.server.behave()
    turns = {}
    async with AsyncExitStack() as stack:
        for name, peeker in {by_hand.BARE: by_hand.bare_peek, LINKAUTH: linkauth_peek, **peers.PEEKERS}.items():
            ask = await stack.enter_async_context(peeker(scene.server))
            turns[name] = _turn(scene, name, partial(own(_at_once), ask))
        yield turns


HIT = Bench("hit", "A token that is held, awaited", _hit, by_hand.BARE)
PEEK = Bench("peek", "A token that is held, in code that is not asynchronous", _peek, by_hand.BARE)
