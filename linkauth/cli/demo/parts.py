"""The processes of the demo (``crew``): an order as JSON on standard input, lines of JSON out, until the input ends."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

from linkauth.cli.demo import work
from linkauth.cli.demo.telling import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from linkauth.sandbox import Sandbox

LIMITS: Final = {"login_limit": None, "refresh_limit": None}
"""What is shown is no storm: a user who logs in again and again is not to be refused for that."""


async def main() -> None:
    """Do as ordered. Without an order, and as soon as standard input ends, there is nothing to do."""
    tell({})  # ready
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
    """A sandbox for each side, until standard input ends; their places are told."""
    from linkauth import sandbox  # noqa: PLC0415  # the workers need no server

    async with AsyncExitStack() as stack:
        settings = {**LIMITS, "user_token_lifetime": order["lifetime"]}
        sandboxes = [await stack.enter_async_context(sandbox.Sandbox(linkxg=settings)) for _ in range(order["sides"])]
        tell({"places": [_place(sandbox) for sandbox in sandboxes]})
        await asyncio.Event().wait()


def _place(sandbox: Sandbox) -> dict[str, str]:
    linkxg = sandbox.linkxg
    return {"url": sandbox.url, "base_url": linkxg.base_url, "email": linkxg.email, "password": linkxg.password}


PARTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Coroutine[Any, Any, None]]]] = {
    "vendors": vendors,
    "through linkauth": work.through_linkauth,
    "by hand": work.by_hand,
}

if __name__ == "__main__":
    asyncio.run(main())
