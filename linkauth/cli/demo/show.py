"""The command: the parts are started, the play is watched, and a sentence says how it went."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
from rich.console import Console
from rich.live import Live

from linkauth.cli.demo.crew import Broken, Crew
from linkauth.cli.demo.play import Play
from linkauth.cli.demo.sides import ByHand, Linkauth, Place
from linkauth.cli.demo.view import picture

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from linkauth.cli.demo.sides import Side

__all__ = ["judge", "run", "show"]

WORKERS: Final = 4
TASKS: Final = 25


async def run(chosen: argparse.Namespace) -> int:
    """Show it. Exit status 0 only if linkauth's side had no error, one login, and no more tokens than it should."""
    console, lifetime = Console(), chosen.lifetime
    console.print(
        f"Two times {WORKERS} processes of {TASKS} tasks call LinkXG's sandbox in a user's name. An access token lives "
        f"{lifetime:g} s,\nits refresh token is good for one use: sent twice it ends the session.\n"
    )
    try:
        play = await show(console, lifetime)
    except Broken as broken:
        console.print(f"\nThe demo broke off: {broken}", markup=False)
        return 1
    return judge(console, play.linkauth, play.by_hand)


async def show(console: Console, lifetime: float) -> Play:
    """Watch it on ``console``; how it ended. Raises ``Broken`` where it did not come to its end."""
    with tempfile.TemporaryDirectory(prefix="linkauth-demo-") as folder:
        sides = (
            Linkauth("linkauth", "through linkauth", Path(folder, "store"), lifetime),
            ByHand("a lock by hand", "by hand", Path(folder, "session.json"), lifetime),
        )
        async with _started(*sides) as crew, aiohttp.ClientSession() as http:
            play = Play(*sides, TASKS, http)
            with Live(console=console, auto_refresh=False) as live:
                await play.run(lambda now: live.update(picture(now), refresh=True))
                await crew.end([worker for side in sides for worker in side.workers])
                await play.look()
                live.update(picture(play), refresh=True)
    return play


@asynccontextmanager
async def _started(*sides: Side) -> AsyncGenerator[Crew]:
    async with Crew() as crew:
        vendors = await crew.start("the vendors")
        for side in sides:
            side.workers = [await crew.start(f"worker {number} of {side.title}") for number in range(1, WORKERS + 1)]
        ready = (vendors, *(worker for side in sides for worker in side.workers))
        await asyncio.gather(*(member.first() for member in ready))
        await vendors.order({"part": "vendors", "lifetime": sides[0].lifetime, "sides": len(sides)})
        for side, place in zip(sides, (await vendors.first())["places"], strict=True):
            side.place = Place(**place)
        yield crew


def judge(console: Console, linkauth: Side, by_hand: Side) -> int:
    """Say in a sentence how it went; the exit status."""
    fetched, failed, logins = linkauth.seen("tokens"), linkauth.total("failed"), linkauth.seen("password")
    twice = linkauth.seen("refresh_reuse")
    console.print(
        f"\nWith linkauth {len(linkauth.workers)} processes shared {fetched} tokens, one after the other "
        f"(at most {linkauth.most} were to be expected), with {failed} calls that failed; the user logged in "
        f"{_times(logins)}.\nBehind a lock by hand {by_hand.total('failed')} calls failed, and the user logged in "
        f"{_times(by_hand.seen('password'))}."
    )
    if linkauth.error:
        console.print(f"An error of linkauth's side: {linkauth.error}", markup=False)
    return 0 if not failed and not twice and logins == 1 and 0 < fetched <= linkauth.most else 1


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
