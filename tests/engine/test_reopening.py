"""An engine that was left may be entered again, and is closed only by the last who leaves."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading

import pytest

from linkauth import AuthEngine
from linkauth.engine.entries import Entries
from linkauth.errors import ConfigurationError
from linkauth_stores.memory import MemoryStore
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, logged_in
from tests.engine.virtual import VirtualLoop, virtual


@virtual
async def test_an_engine_opens_again():
    """What was refused while it was closed is done, in the same loop, with the same objects and what they hold."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    worker.open()
    credential = await logged_in(worker)
    first = await credential.token()
    await worker.leave()
    with pytest.raises(ConfigurationError, match="closed"):
        await credential.refresh()
    worker.open()
    assert await credential.token() is first
    assert await credential.refresh() != first
    await worker.leave()
    with pytest.raises(ConfigurationError, match="closed"):
        await credential.refresh()


def test_an_engine_opens_again_in_another_loop():
    """A store of the engine's own keeps what it has: even one in memory, for it is the same engine."""
    vendor = Vendor()
    worker = Worker("memory:", vendor)

    async def task(number: int) -> str:
        worker.open()
        if number == 0:
            await logged_in(worker)
        token = await worker.credential(USER).refresh()
        await worker.leave()
        return token.access_token

    tokens = []
    for number in range(3):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            tokens.append(runner.run(task(number)))
    assert len(set(tokens)) == 3
    assert vendor.counts["reuse"] == 0


@virtual
async def test_entries_are_counted():
    """An inner block that ends closes nothing for the outer one, nor does one task's for another's."""
    worker = Worker(Store(), Vendor())
    credential = worker.credential(CLIENT)
    worker.open()
    worker.open()
    await worker.leave()
    assert await credential.refresh()
    worker.open()
    await worker.leave()
    assert await credential.refresh()
    await worker.leave()
    with pytest.raises(ConfigurationError, match="closed"):
        await credential.refresh()


@virtual
async def test_the_inner_block_waits_for_nothing():
    """Whoever leaves while others are inside neither waits for a renewal in the air nor calls off who waits."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    worker.open()
    worker.open()
    gate = vendor.holds()
    caller = asyncio.create_task(worker.credential(CLIENT).token())
    await asyncio.sleep(1)
    await worker.leave()
    assert not caller.done()
    gate.set()
    assert (await caller).access_token
    await worker.leave()


@virtual
async def test_closing_closes_for_everybody():
    """``aclose`` is the owner's word; who was inside leaves without harm, and it opens again."""
    worker = Worker(Store(), Vendor())
    worker.open()
    worker.open()
    await worker.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        await worker.credential(CLIENT).token()
    await worker.leave()
    await worker.leave()
    worker.open()
    assert await worker.credential(CLIENT).token()
    await worker.leave()


@virtual
async def test_whoever_enters_while_the_last_one_leaves_is_inside():
    """The leaving waits for the vendor; who comes meanwhile is served, and his store is not closed under him."""
    closed = []

    class Own(Worker):
        pass

    vendor = Vendor()
    worker = Own(Store(), vendor)
    worker._owns_store = True

    async def aclose() -> None:
        closed.append(True)

    worker.context.store_client.store.aclose = aclose
    worker.open()
    gate = vendor.holds()
    caller = asyncio.create_task(worker.credential(CLIENT).token())
    await asyncio.sleep(1)
    leaving = asyncio.create_task(worker.leave())
    await asyncio.sleep(1)
    worker.open()
    gate.set()
    await leaving
    assert (await caller).access_token
    assert await worker.credential(CLIENT).refresh()
    assert closed == []
    await worker.leave()
    assert closed == [True]


@pytest.mark.blocking  # the loop stands still while the other thread comes in, for that is the moment
def test_whoever_enters_in_another_thread_while_the_last_one_leaves_is_inside():
    """At the very moment in which nobody was inside any more: the engine is not closed under him."""
    worker, theirs = Worker("memory:", Vendor()), asyncio.new_event_loop()

    async def enter() -> None:
        worker.open()

    class Meanwhile(Entries):
        def anywhere(self) -> bool:
            found = super().anywhere()
            if not found and left and not entering.ident:
                entering.start()
                entering.join()
            return found

    entering = threading.Thread(target=lambda: theirs.run_until_complete(enter()))
    left: list[bool] = []

    async def leave() -> None:
        worker._entries = Meanwhile()
        worker.open()
        left.append(True)
        await worker.leave()

    async def serve() -> None:
        assert (await worker.credential(CLIENT).token()).access_token
        await worker.leave()
        with pytest.raises(ConfigurationError, match="closed"):
            await worker.credential(CLIENT).refresh()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(leave())
        assert entering.ident
        assert not worker.context.flights.closing
    theirs.run_until_complete(serve())
    theirs.close()


async def test_cleanup_ctx_beside_async_with():
    """The two ways in count together."""
    engine = AuthEngine()
    async with engine:
        context = engine.cleanup_ctx(None)
        await anext(context)
        async for _ in context:
            pass
        assert not engine.context.flights.closing
    assert engine.context.flights.closing


def test_two_threads_come_and_go():
    """Each with its loop, at any moment: an engine is never closed for who is inside."""
    engine = AuthEngine(MemoryStore())
    refused = []

    def visits() -> None:
        async def visit() -> None:
            for _ in range(20):
                async with engine:
                    await asyncio.sleep(0)
                    if engine.context.flights.closing:
                        refused.append(True)

        for _ in range(10):
            asyncio.run(visit())

    threads = [threading.Thread(target=visits) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert refused == []
    assert engine.context.flights.closing


def test_a_loop_that_was_closed_inside_is_inside_no_more():
    """A task that was killed in the middle of its block keeps the engine open for nobody."""
    engine = AuthEngine()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(engine.__aenter__())
    loop.close()

    async def use() -> None:
        async with engine:
            pass

    asyncio.run(use())
    assert engine.context.flights.closing


def _child(engine, said):
    async def use() -> None:
        async with engine:
            await engine.check() if hasattr(engine, "check") else None
            said.put(engine.context.flights.closing)

    asyncio.run(use())
    said.put(engine.context.flights.closing)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork while threads run, from Python 3.12 on
def test_a_process_that_was_forked_inside(tmp_path):
    """It is inside only where it entered itself: its engine opens, serves and closes, whoever is inside its parent's."""
    engine = AuthEngine(f"file:{tmp_path / 'store'}")
    context = multiprocessing.get_context("fork")
    said = context.Queue()

    async def parent() -> None:
        async with engine:
            child = context.Process(target=_child, args=(engine, said))
            child.start()
            await asyncio.to_thread(child.join, 60)
            assert child.exitcode == 0

    asyncio.run(parent())
    assert [said.get(timeout=10), said.get(timeout=10)] == [False, True]


async def test_what_is_refused_is_refused_on_entry():
    """A store that cannot serve this loop says so at the door, and not at the first renewal, minutes later."""

    class Elsewhere(MemoryStore):
        def bind(self) -> None:
            raise ConfigurationError("this store serves another loop")

    with pytest.raises(ConfigurationError, match="another loop"):
        async with AuthEngine(Elsewhere()):
            pass
