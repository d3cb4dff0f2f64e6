"""Child processes that take one order as JSON on their standard input and tell what they do, in lines of JSON.

They end when their standard input does: however the parent goes, none is left behind. They stand in a session of their
own, so that Ctrl-C at the terminal reaches the parent alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any, Final, Self

from linkauth.errors import LinkAuthError

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Iterable, Mapping

__all__ = ["Broken", "Crew", "Member"]

PROGRAM: Final = "linkauth.cli.demo.parts"
GRACE: Final = 10.0
"""Seconds that a child has to end in once it is asked to."""


class Broken(LinkAuthError):
    """A child did not do its part."""


class Member:
    """One child. ``told``: what it told last, empty: nothing yet. ``listening`` ends when it has no more to tell."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.told: dict[str, Any] = {}
        self.killed = False
        """It was meant to end so."""
        self._process = process
        self._spoke = asyncio.Event()
        self._ended = False
        self.listening = asyncio.create_task(self._listen())

    async def order(self, what: Mapping[str, Any]) -> None:
        """Say what to do. Secrets go through the pipe: on a command line every user could read them."""
        assert self._process.stdin is not None  # noqa: S101  # a pipe was asked for
        self._spoke.clear()
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        await self._process.stdin.drain()

    async def first(self) -> dict[str, Any]:
        """The first that it tells since its order; without one, nothing: it is ready. Raises ``Broken`` where it ends instead."""
        await self._spoke.wait()
        if self._ended and not self.told:
            await self._process.wait()
            self.check()
            raise Broken(f"{self.name} ended without a word")
        return self.told

    async def kill(self) -> None:
        """Kill it (SIGKILL), wherever it stands."""
        self.killed = True
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def end(self) -> None:
        """Ask it to end, wait for it, and see to it."""
        assert self._process.stdin is not None  # noqa: S101  # a pipe was asked for
        self._process.stdin.close()
        try:
            async with asyncio.timeout(GRACE):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self.listening

    def check(self) -> None:
        """Raises ``Broken`` where it has ended otherwise than well."""
        status = self._process.returncode
        if status and not self.killed:
            raise Broken(f"{self.name} ended with " + (f"status {status}" if status > 0 else f"signal {-status}"))

    async def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  # a pipe was asked for
        try:
            while (line := await self._process.stdout.readline()).endswith(b"\n"):  # killed: it stops within a line
                self.told = json.loads(line)
                self._spoke.set()
            await self._process.wait()
        finally:
            self._ended = True
            self._spoke.set()


class Crew:
    """Children that end with this context."""

    def __init__(self) -> None:
        self._members: list[Member] = []

    async def start(self, name: str) -> Member:
        """A child, to be given an order. It says at first (``Member.first``) that it is ready for one."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", PROGRAM, stdin=pipe, stdout=pipe, start_new_session=True
        )
        member = Member(name, process)
        self._members.append(member)
        return member

    async def end(self, members: Iterable[Member] | None = None) -> None:
        """Ask these to end, or all, and wait until they have, with their last word."""
        await asyncio.gather(*(member.end() for member in members or self._members))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()
