"""Lists that come in numbered pages, as one stream of items.

While a page is consumed the next one is fetched, never more than that one. Its request belongs to the stream: it is
cancelled, and waited for, when the consumer stops early or fails.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import attrs

from linkauth.errors import MalformedResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

__all__ = ["Page", "stream"]


class Item(Protocol):
    """What is paged: told from another one by its ``id``."""

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Item)


@attrs.frozen
class Page(Generic[T]):
    """One page, and whether the vendor says that there is another one after it."""

    items: tuple[T, ...]
    more: bool


async def stream(fetch: Callable[[int], Awaitable[Page[T]]], what: str) -> AsyncGenerator[T, None]:
    """Every item of every page, from page 1 on. ``what`` names the list in errors.

    An empty page ends the stream, whatever the vendor says of more. A list that grows at its head while it is read
    moves items to the next page, where they are not given out again. One that shrinks may move items to a page that
    was already read; page numbers cannot tell.

    Raises ``MalformedResponse`` where a page only repeats the one before it, so that a vendor that does not count
    pages ends in an error and not in a loop, and whatever ``fetch`` raises.
    """
    number, before = 1, frozenset[str]()
    ahead = _start(fetch, number)
    try:
        while True:
            page = await ahead
            ids = frozenset(item.id for item in page.items)
            if ids and ids <= before:
                raise MalformedResponse(f"{what}: page {number} repeats page {number - 1}")
            more = page.more and bool(ids)
            if more:
                number += 1
                ahead = _start(fetch, number)
            for item in page.items:
                if item.id not in before:
                    yield item
            if not more:
                return
            before = ids
    finally:
        ahead.cancel()
        await asyncio.wait({ahead})


def _start(fetch: Callable[[int], Awaitable[Page[T]]], number: int) -> asyncio.Task[Page[T]]:
    async def one() -> Page[T]:
        return await fetch(number)

    task = asyncio.create_task(one())
    # A page that nobody came for may have failed: that is nobody's error then.
    task.add_done_callback(lambda done: None if done.cancelled() else done.exception() and None)
    return task
