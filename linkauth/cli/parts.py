"""The processes of the demo (``crew``): an order as JSON on standard input, lines of JSON out, until the input ends."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import attrs

from linkauth import AuthEngine, LinkAuthError, LinkXG

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

PACE: Final = 2.0
"""Seconds between two calls of one task: LinkXG's largest subscription has 2,000 calls a minute, too."""
TELL: Final = 0.2
OK: Final = 200


@attrs.define
class Told:
    """What one worker has done so far."""

    begun: float = attrs.field(factory=time.monotonic)
    now: float = 0.0
    """Seconds of the monotonic clock, which the processes of a machine have in common."""
    requests: int = 0
    waited: int = 0
    errors: int = 0
    error: str = ""

    def fail(self, words: str) -> None:
        """Count an error and keep its words."""
        self.errors += 1
        self.error = words


async def main() -> None:
    """Do as ordered. Without an order, and as soon as standard input ends, there is nothing to do."""
    line = sys.stdin.readline()
    if not line:
        return
    order = json.loads(line)
    # What fails is told and counted; that the vendors have gone while all are being ended is no news.
    logging.getLogger("linkauth").addHandler(logging.NullHandler())
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)  # nothing more is ever written to it, so this is its end
    part = asyncio.create_task(PARTS[order["part"]](order))
    await asyncio.wait({part, asyncio.create_task(ended.wait())}, return_when=asyncio.FIRST_COMPLETED)
    loop.remove_reader(sys.stdin.fileno())
    if not part.done():
        part.cancel()
    with suppress(asyncio.CancelledError):
        await part


async def vendors(order: Mapping[str, Any]) -> None:
    """A sandbox for each side; their places first, then their counts, until standard input ends."""
    from linkauth.sandbox import Sandbox  # noqa: PLC0415  # the workers need no server

    settings = {"token_lifetime": order["lifetime"]}
    async with Sandbox(linkxg=settings) as one, Sandbox(linkxg=settings) as other:
        sides = [one.linkxg, other.linkxg]
        places = [
            {"base_url": side.base_url, "client_id": side.client_id, "client_secret": side.client_secret}
            for side in sides
        ]
        tell(places)
        try:
            while True:
                await asyncio.sleep(TELL)
                tell_counts(sides)
        finally:
            tell_counts(sides)


def tell_counts(sides: Sequence[Any]) -> None:
    """What each side's LinkXG has seen."""
    tell([{"tokens": side.counts["tokens"], "refused": side.counts["status_429"]} for side in sides])


async def shared(order: Mapping[str, Any]) -> None:
    """Tasks that share a token with everybody on the same store."""
    async with AuthEngine(order["store"]) as engine:
        linkxg = LinkXG(**{name: order[name] for name in ("base_url", "client_id", "client_secret")})
        credential = engine.credential(linkxg)
        told = Told()
        async with credential.session() as session:

            async def call() -> None:
                told.waited += credential.peek() is None
                await get(session, "products", {}, told)

            await work(order, told, call)


async def alone(order: Mapping[str, Any]) -> None:
    """Tasks that each fetch a token when theirs has expired, as it is done without a library."""
    told = Told()
    form = {name: order[name] for name in ("client_id", "client_secret")} | {"grant_type": "client_credentials"}
    base = order["base_url"]
    async with aiohttp.ClientSession() as session:

        async def fetch() -> tuple[str, float]:
            told.waited += 1
            async with session.post(f"{base}/oauth/token", data=form) as response:
                answer = await response.json()
                if response.status != OK:
                    raise LinkAuthError(f"{answer['error']} (HTTP {response.status})")
                return answer["access_token"], asyncio.get_running_loop().time() + answer["expires_in"]

        tokens: dict[asyncio.Task[Any] | None, tuple[str, float]] = {}

        async def call() -> None:
            me = asyncio.current_task()
            token, expires = tokens.get(me, ("", 0.0))
            if asyncio.get_running_loop().time() >= expires:
                token, expires = tokens[me] = await fetch()
            await get(session, f"{base}/products", {"Authorization": f"Bearer {token}"}, told)

        await work(order, told, call)


async def get(session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], told: Told) -> None:
    """One call."""
    async with session.get(url, headers=headers) as response:
        await response.read()
        told.requests += 1
        if response.status != OK:
            told.fail(f"HTTP {response.status}")


async def work(order: Mapping[str, Any], told: Told, call: Callable[[], Awaitable[None]]) -> None:
    """Let the tasks call until the time is over, and tell how it goes."""
    loop = asyncio.get_running_loop()
    end = loop.time() + order["seconds"]

    async def task(number: int) -> None:
        del number
        while loop.time() < end:
            try:
                await call()
            except (LinkAuthError, aiohttp.ClientError) as error:
                told.fail(str(error))
            await asyncio.sleep(PACE)

    tasks = {asyncio.create_task(task(number)) for number in range(order["tasks"])}
    try:
        running = tasks
        while running:
            tell_work(told)
            _, running = await asyncio.wait(running, timeout=TELL)
        await asyncio.gather(*tasks)
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tell_work(told)


def tell_work(told: Told) -> None:
    """How a worker is doing."""
    told.now = time.monotonic()
    tell(attrs.asdict(told))


def tell(what: object) -> None:
    """One line of JSON. Where the parent has gone, nobody is left to tell, at exit neither."""
    try:
        print(json.dumps(what), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


PARTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Coroutine[Any, Any, None]]]] = {
    "vendors": vendors,
    "shared": shared,
    "alone": alone,
}

if __name__ == "__main__":
    asyncio.run(main())
