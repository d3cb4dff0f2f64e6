"""The sandbox itself: the vendors' endpoints on loopback ports, with a page of counters and a control door."""

from __future__ import annotations

import time
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from linkauth.sandbox import control, elsewhere, linkkit, linkxg, oauth2, sagex3
from linkauth.sandbox.clock import Clock
from linkauth.sandbox.guard import loopback_names_only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from linkauth.sandbox.part import Part

__all__ = ["Sandbox"]

BACKLOG = 4096
"""Connections that may wait to be accepted: tests come by the thousand."""


class Sandbox:
    """The vendors on loopback, as they are documented; an async context manager.

    ``host`` (an IPv4 loopback address, else ``ValueError``) and ``port`` (0: any that is free) are where the vendors listen; ``region_port`` is where Sage X3's
    customer region and ``elsewhere`` do. ``separate``: each vendor on a free port, hence an origin, of its own.
    ``clock``: Unix seconds. The rest are the vendors' settings by name, such as ``linkxg={"token_lifetime": 2}``.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        region_port: int = 0,
        separate: bool = False,
        clock: Callable[[], float] = time.time,
        **settings: Mapping[str, Any],
    ) -> None:
        if not IPv4Address(host).is_loopback:
            raise ValueError("the sandbox listens on loopback alone: its secrets guard nothing")
        self.host, self.port, self.region_port, self.separate = host, port, region_port, separate
        self.clock = Clock(clock)
        self.linkxg = linkxg.LinkXG(self.clock, linkxg.Settings(**settings.pop("linkxg", {})))
        self.linkkit = linkkit.Linkkit(self.clock, linkkit.Settings(**settings.pop("linkkit", {})))
        self.sagex3 = sagex3.SageX3(self.clock, sagex3.Settings(**settings.pop("sagex3", {})))
        self.oauth2 = oauth2.OAuth2(self.clock, oauth2.Settings(**settings.pop("oauth2", {})))
        self.elsewhere = elsewhere.Elsewhere(self.clock, elsewhere.Settings())
        if settings:
            raise ValueError(f"no vendor called {', '.join(settings)}")
        parts: tuple[Part[Any], ...] = (self.linkxg, self.linkkit, self.sagex3, self.oauth2, self.elsewhere)
        self.parts = {part.name: part for part in parts}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where the page of counters is."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[loopback_names_only])
        control.mount(app, self)
        for part in self.parts.values():
            part.mount(app)
        # The handlers go on when a client leaves, as a vendor's server does.
        self._runner = runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await runner.setup()
        try:
            self.port = await self._listen(runner, self.port)
            self.region_port = await self._listen(runner, self.region_port)
            for part in self.parts.values():
                part.origin = f"http://{self.host}:{await self._listen(runner, 0) if self.separate else self.port}"
            self.elsewhere.origin = self.sagex3.region_origin = f"http://{self.host}:{self.region_port}"
        except BaseException:
            await runner.cleanup()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for part in self.parts.values():
            part.faults.clear()  # what is held is let go, or the server could not end
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _listen(self, runner: web.AppRunner, port: int) -> int:
        await web.TCPSite(runner, self.host, port, backlog=BACKLOG).start()
        return int(runner.addresses[-1][1])

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once, for every vendor."""
        self.clock.advance(seconds)

    def reset(self) -> None:
        """Forget all counters, faults and rate limits. Tokens and settings stay."""
        for part in self.parts.values():
            part.reset()

    def counters(self) -> dict[str, dict[str, int]]:
        """What every vendor has seen."""
        return {name: dict(sorted(part.counts.items())) for name, part in self.parts.items()}
