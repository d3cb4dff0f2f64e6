"""Pages as one stream: one ahead, none twice, an end in any case, and nothing left running."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing

import attrs
import pytest

from linkauth.clients.pager import Page, stream
from linkauth.errors import MalformedResponse, NoAnswer


@attrs.frozen
class Thing:
    id: str


class Shelf:
    """Pages that are given one by one; counts what was fetched and what is being fetched."""

    def __init__(self, *pages: str, endless: bool = False) -> None:
        self.pages = pages
        self.endless = endless
        self.fetched: list[int] = []
        self.flying = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails_at: int | None = None

    async def __call__(self, number: int) -> Page[Thing]:
        self.fetched.append(number)
        self.flying += 1
        try:
            await self.gate.wait()
            letters = self.pages[number - 1] if number <= len(self.pages) else ""
            return Page(tuple(Thing(letter) for letter in letters), more=self.endless or number < len(self.pages))
        finally:
            self.flying -= 1
            if number == self.fails_at:
                raise NoAnswer("gone")


async def settle() -> None:
    """Let every task that can run, run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def everything(shelf: Shelf) -> str:
    return "".join([thing.id async for thing in stream(shelf, "shelf")])


async def test_every_page_is_fetched_once_in_order() -> None:
    """All items come, in order, from one request a page."""
    shelf = Shelf("abc", "def", "g")
    assert await everything(shelf) == "abcdefg"
    assert shelf.fetched == [1, 2, 3]


async def test_next_page_is_fetched_while_this_one_is_consumed_and_no_further() -> None:
    """With the first item of a page in hand the next page is under way, and only that one."""
    shelf = Shelf("ab", "cd", "ef")
    async with aclosing(stream(shelf, "shelf")) as things:
        assert shelf.fetched == []
        assert (await anext(things)).id == "a"
        await settle()
        assert shelf.fetched == [1, 2]
        assert (await anext(things)).id == "b"
        await settle()
        assert shelf.fetched == [1, 2]
        assert (await anext(things)).id == "c"
        await settle()
        assert shelf.fetched == [1, 2, 3]


async def test_stopping_early_ends_the_fetch_ahead() -> None:
    """A consumer that closes the stream leaves no request behind."""
    shelf = Shelf("ab", "cd")
    async with aclosing(stream(shelf, "shelf")) as things:
        await anext(things)
        shelf.gate.clear()
        await settle()
        assert shelf.flying == 1
    assert shelf.flying == 0


async def test_break_without_closing_ends_the_fetch_ahead() -> None:
    """A plain ``break`` is enough: the loop closes the stream that nobody holds."""
    shelf = Shelf("ab", "cd")
    async for _ in stream(shelf, "shelf"):
        shelf.gate.clear()
        break
    gc.collect()
    await settle()
    assert shelf.flying == 0


async def test_failing_consumer_ends_the_fetch_ahead() -> None:
    """An error in the loop's body comes out as it is, with no request left behind."""
    shelf = Shelf("ab", "cd")
    with pytest.raises(ZeroDivisionError):
        async with aclosing(stream(shelf, "shelf")) as things:
            async for _ in things:
                shelf.gate.clear()
                raise ZeroDivisionError
    assert shelf.flying == 0


async def test_cancelled_consumer_ends_the_fetch_it_waits_for() -> None:
    """Cancelling whoever waits for a page cancels the request for it."""
    shelf = Shelf("ab")
    shelf.gate.clear()
    consumer = asyncio.create_task(everything(shelf))
    await settle()
    assert shelf.flying == 1
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert shelf.flying == 0


async def test_failed_page_is_raised_when_its_turn_comes() -> None:
    """What was fetched is given out before the failure of the page after it is."""
    shelf = Shelf("ab", "cd")
    shelf.fails_at = 2
    seen = ""
    with pytest.raises(NoAnswer):
        async for thing in stream(shelf, "shelf"):
            await settle()
            seen += thing.id
    assert seen == "ab"


@pytest.mark.parametrize("late", [False, True], ids=["before the end", "because of the end"])
async def test_failed_page_that_nobody_came_for_is_silent(late: bool) -> None:
    """No "exception was never retrieved": the loop's error handler hears nothing."""
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    shelf = Shelf("ab", "cd")
    shelf.fails_at = 2
    async with aclosing(stream(shelf, "shelf")) as things:
        await anext(things)
        if late:
            shelf.gate.clear()
        await settle()
    gc.collect()
    await settle()
    assert heard == []


async def test_empty_page_ends_the_stream() -> None:
    """A list that shrank under the reader ends, though the vendor says there is more."""
    shelf = Shelf("ab", "", endless=True)
    assert await everything(shelf) == "ab"
    assert shelf.fetched == [1, 2]


async def test_list_that_grows_at_its_head_repeats_no_item() -> None:
    """An item that a newer one pushed to the next page is given once."""
    assert await everything(Shelf("abc", "cde")) == "abcde"


async def test_vendor_that_does_not_count_pages_is_no_endless_loop() -> None:
    """The same page for every number is an error at the second one."""
    shelf = Shelf("ab", "ab", "ab", endless=True)
    with pytest.raises(MalformedResponse, match="page 2 repeats page 1"):
        await everything(shelf)


async def test_nothing_at_all() -> None:
    """An empty list is an empty stream after one request."""
    shelf = Shelf("")
    assert await everything(shelf) == ""
    assert shelf.fetched == [1]
