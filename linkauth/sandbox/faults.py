"""Faults: what a vendor's endpoint does instead of, before or after its duty."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Literal, Self

import attrs
from aiohttp import web

from linkauth.sandbox.pages import page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["Dropped", "Fault", "Faults"]

REDIRECTS = range(300, 400)


class Dropped(Exception):
    """The connection was closed without an answer."""


@attrs.define(kw_only=True, eq=False)
class Fault:
    """One fault. Every field is optional; a request meets the first fault whose turn it is, and no other."""

    endpoint: str = "token"
    """The endpoint's name (``token``, ``products``, …), ``api`` for all calls with a bearer token, ``*`` for all."""
    times: int | None = 1
    """Requests that it hits; None: until it is cleared."""
    skip: int = 0
    """Requests that it lets pass first."""
    delay: float = 0.0
    """Seconds to wait."""
    hold: bool = False
    """Wait until ``release()``."""
    when: Literal["before", "after"] = "before"
    """Whether to wait before the vendor acts, or after it has acted and before it answers."""
    act: bool = False
    """Act though the answer is another: a lost answer is ``drop=True, act=True``."""
    drop: bool = False
    """Close the connection instead of answering."""
    status: int | None = None
    """The HTTP status of another answer than the vendor's; None: the vendor's own answer, or 200 (307 with ``location``) where a field below asks for another."""
    retry_after: float | None = None
    """Seconds, for a ``Retry-After`` header; whole ones, as RFC 9110 §10.2.3 has it."""
    headers: dict[str, str] = attrs.field(factory=dict[str, str])
    """Headers laid over those of the answer."""
    body: str | None = None
    """The text of another answer; None: the vendor's own, or a page where another answer is asked for."""
    content_type: str = "text/html"
    """Of ``body``."""
    size: int = 0
    """Bytes of JSON to answer with: 20_000_000 is more than anyone should read."""
    location: str | None = None
    """Where to redirect to (``status``: 307 unless given)."""
    members: dict[str, Any] = attrs.field(factory=dict[str, Any])
    """JSON members laid over those of the true answer."""
    without: list[str] = attrs.field(factory=list[str])
    """JSON members left out of the true answer. ``data.accessToken`` reaches inside, here and in ``members``."""

    hits: int = attrs.field(default=0, init=False)
    """Requests that it has hit."""
    _passed: int = attrs.field(default=0, init=False)
    _bell: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)
    _gate: asyncio.Event = attrs.field(factory=asyncio.Event, init=False, repr=False)

    def release(self) -> None:
        """Let go what is held, and hold nothing more."""
        self.times = 0
        self._gate.set()

    async def arrived(self, count: int = 1) -> None:
        """Wait until the fault has hit ``count`` requests."""
        while self.hits < count:
            self._bell.clear()
            await self._bell.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def takes(self, *names: str) -> bool:
        """Whether it hits this request, to one of the endpoints ``names``; if so, the hit is counted."""
        if self.endpoint not in names or self.times in {0, self.hits}:
            return False
        if self._passed < self.skip:
            self._passed += 1
            return False
        self.hits += 1
        self._bell.set()
        return True

    @property
    def replaces(self) -> bool:
        """Whether the answer is another than the vendor's."""
        other = self.status is not None or self.body is not None or self.location is not None
        return other or self.drop or self.size > 0

    async def pause(self, when: str) -> None:
        """Wait as long as it says, if ``when`` is the moment that it says."""
        if when == self.when:
            if self.delay:
                await asyncio.sleep(self.delay)
            if self.hold:
                await self._gate.wait()

    def answer(self, true: web.Response | None) -> web.Response:
        """What to send, given the vendor's own answer if it acted."""
        if self.drop:
            raise Dropped
        if not self.replaces and true is not None:
            return self._edited(true)
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["Retry-After"] = f"{self.retry_after:g}"
        if self.location is not None:
            headers["Location"] = self.location
        status = self.status or (307 if self.location is not None else 200)
        if self.size:
            text = '{"padding": "' + "x" * self.size + '"}'
            return web.Response(status=status, headers=headers, text=text, content_type="application/json")
        if self.body is not None:
            return web.Response(status=status, headers=headers, text=self.body, content_type=self.content_type)
        answer = page(f"A fault: {status}", "<p>The sandbox was told to answer so.</p>", status=status)
        answer.headers.update(headers)
        answer.content_type = self.content_type
        return answer

    def _edited(self, true: web.Response) -> web.Response:
        true.headers.update(self.headers)
        if (self.members or self.without) and true.content_type == "application/json":
            value = json.loads(true.text or "null")
            for path in self.without:
                within, name = _reach(value, path)
                within.pop(name, None)
            for path, member in self.members.items():
                within, name = _reach(value, path)
                within[name] = member
            true.text = json.dumps(value)
        return true


def _reach(value: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *outer, name = path.split(".")
    for each in outer:
        value = value[each]
    return value, name


class Faults:
    """The faults of one vendor, first come first."""

    def __init__(self) -> None:
        self._all: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Put ``fault`` behind those that there are."""
        self._all.append(fault)
        return fault

    def clear(self, endpoint: str | None = None) -> None:
        """End the faults of ``endpoint`` (None: all) and let go what they hold."""
        for fault in self._all:
            if endpoint in {None, fault.endpoint}:
                fault.release()
        self._all = [fault for fault in self._all if fault.times != 0]

    async def around(self, names: tuple[str, ...], act: Callable[[], Awaitable[web.Response]]) -> web.Response:
        """``act()`` as the fault whose turn it is lets it be. Raises ``Dropped``."""
        fault = next((each for each in self._all if each.takes(*names)), None)
        if fault is None:
            return await act()
        await fault.pause("before")
        true = await act() if fault.act or not fault.replaces else None
        await fault.pause("after")
        return fault.answer(true)

    @staticmethod
    def read(value: Mapping[str, Any]) -> Fault:
        """A fault from JSON. Raises ``ValueError`` for a field that there is not."""
        try:
            return Fault(**value)
        except TypeError as error:
            raise ValueError(str(error)) from None
