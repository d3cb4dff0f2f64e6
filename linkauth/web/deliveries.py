"""A callback that is delivered twice is answered twice and acted on once.

Browsers repeat requests: a double click, a reload, a restored tab. The engine lets one of any number win, in any
process. Here the others of this process get the winner's page, instead of hearing that the state was used.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from linkauth.web.landing import USED
from linkauth.web.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Deliveries", "key"]

REMEMBERED: Final = 1024
"""Answers. Who comes later hears that the state was used."""


def key(*parts: str) -> bytes:
    """What a delivery is known by; the state itself is not kept."""
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()


class Deliveries:
    """The last callbacks of this process and what they were answered."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, asyncio.Future[Outcome]] = OrderedDict()

    async def earlier(self, which: bytes) -> Outcome | None:
        """The answer to an earlier delivery, once it is there. None: this is the first."""
        answer = self._answers.get(which)
        if answer is None:
            return None
        await asyncio.wait({answer})
        return Outcome(landing=USED) if answer.cancelled() else answer.result()

    @contextmanager
    def first(self, which: bytes) -> Generator[asyncio.Future[Outcome]]:
        """While the first delivery is acted on. Its answer goes into the future, and is kept if it is final."""
        answer = self._answers[which] = asyncio.get_running_loop().create_future()
        while len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        try:
            yield answer
        finally:
            if not answer.done():
                answer.cancel()
            if answer.cancelled() or not answer.result().landing.final:
                self._answers.pop(which, None)
