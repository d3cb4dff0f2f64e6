"""What has sent something good for one use lands, whatever cancels it; everything else may be called off."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import warnings

import pytest
import uvloop

from linkauth.engine.escrow import Kept
from linkauth.engine.flight import Flights
from linkauth.errors import LinkAuthError
from tests.engine.fakes import CLIENT, USER, Fault, Store, Vendor, Worker, logged_in
from tests.engine.test_flight import LOOPS
from tests.engine.virtual import monotonic, virtual


@pytest.fixture(autouse=True)
def _silence(caplog):
    """Neither asyncio nor the interpreter has anything to say about a loop that ended, not even in the end."""
    caplog.set_level(logging.WARNING, "asyncio")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
        gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def run(loop, coroutine):
    with asyncio.Runner(loop_factory=loop, debug=False) as runner:
        return runner.run(coroutine)


async def until(what) -> None:
    """Turn the loop until ``what()`` is so."""
    while not what():  # noqa: ASYNC110  # nobody tells of it
        await asyncio.sleep(0)


class Answer:
    """Work that has sent something: its answer comes only after it was called off, and is then stored, in many steps."""

    def __init__(self) -> None:
        self.flights = Flights()
        self.stored = ""
        self.cancelled = 0

    async def work(self) -> str:
        try:
            await until(lambda: self.flights.ending)
            for _ in range(50):
                await asyncio.sleep(0)
            try:
                async with asyncio.timeout(0.001):  # cancels its own task, and must go on working
                    await asyncio.Event().wait()
            except TimeoutError:
                self.stored = "answer"
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.stored

    def start(self):
        return self.flights.start(self.work(), "renewal", irreplaceable=True)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("begun", [0, 1, 2])
def test_a_loop_that_ends_waits_for_the_answer(loop, begun):
    """``asyncio.run`` cancels all tasks and waits for them: the answer is stored then, however far the flight had come."""
    answer = Answer()

    async def main() -> None:
        answer.start()
        for _ in range(begun):
            await asyncio.sleep(0)

    run(loop, main())
    # Cancelled before its first step it has done nothing: there was nothing to lose.
    assert (answer.stored, answer.cancelled) in ([("answer", 0)] if begun else [("answer", 0), ("", 0)])


@pytest.mark.parametrize("loop", LOOPS)
def test_cancelling_all_tasks_again_and_again(loop):
    """Every task that can be found is cancelled at each turn of the loop, until nothing is left: the answer is stored."""
    answer = Answer()

    async def main() -> None:
        answer.start()
        await asyncio.sleep(0)
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)

    run(loop, main())
    assert (answer.stored, answer.cancelled) == ("answer", 0)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_usual_recipe_for_stopping(loop):
    """Cancel all tasks, gather them, stop and close the loop: what was gathered has landed by then."""
    answer = Answer()

    async def stop() -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        asyncio.get_running_loop().stop()

    running = loop()

    async def main() -> None:
        answer.start()
        await asyncio.sleep(0)
        running.create_task(stop(), name="stop")

    main_task = running.create_task(main())
    running.run_forever()
    assert main_task.done()
    running.run_until_complete(asyncio.sleep(0))
    running.close()
    assert (answer.stored, answer.cancelled) == ("answer", 0)


@pytest.mark.parametrize("loop", LOOPS)
def test_task_groups_and_timeouts_around_the_callers(loop):
    """A group that fails, a time limit, and a scope that cancels at every turn: the callers go, the flight stays."""
    answer = Answer()

    async def main() -> None:
        flight = answer.start()

        async def fails() -> None:
            await asyncio.sleep(0)
            raise ValueError

        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(flight.join(60))
                group.create_task(fails())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await flight.join(60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flight.join(60), 0.001)
        caller = asyncio.create_task(flight.join(60))
        while not caller.done():
            caller.cancel()
            await asyncio.sleep(0)
        assert not flight.landed

    run(loop, main())
    assert (answer.stored, answer.cancelled) == ("answer", 0)


@pytest.mark.parametrize("loop", LOOPS)
def test_what_the_work_begins_lands_too(loop):
    """An answer that the store does not take is handed to a flight of its own: who waits for the first waits for that."""
    answer = Answer()

    async def first() -> None:
        await until(lambda: answer.flights.ending)
        answer.start()

    async def main() -> None:
        answer.flights.start(first(), "renewal", irreplaceable=True)
        await asyncio.sleep(0)

    run(loop, main())
    assert answer.stored == "answer"


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_not_irreplaceable_is_called_off_at_once_and_ends_well(loop):
    """It is cancelled once: what it does to end well is not cut off by the next cancellation."""
    flights, ended = Flights(), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            ended.append(True)

    async def main() -> None:
        flight = flights.start(work(), "renewal")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        while not flight.landed:
            flight.task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(LinkAuthError, match="called off"):
            flight.result()

    run(loop, main())
    assert ended == [True]


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_irreplaceable_is_called_off_where_it_only_waits(loop):
    """Whoever waits for another worker has sent nothing: a loop that ends does not wait out somebody else's lease."""
    flights, steps = Flights(), []

    async def work() -> None:
        with flights.idle():
            await asyncio.Event().wait()

    async def comes_to_wait() -> None:
        await until(lambda: flights.ending)
        steps.append("told")
        await work()

    async def main() -> None:
        flights.start(work(), "waits", irreplaceable=True)
        flights.start(comes_to_wait(), "comes to wait", irreplaceable=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run(loop, main())
    assert steps == ["told"]


@virtual
async def test_a_flight_that_is_called_off_before_it_has_sent_anything_gives_its_lease_back():
    """The next worker, here the next loop, does not wait for a lease that nobody holds, nor doubt what was not sent."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    vendor.holds()
    caller = asyncio.create_task(worker.credential(CLIENT).token())
    await asyncio.sleep(1)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await worker.context.flights.landed()
    before = monotonic()
    assert (await Worker(store, vendor).credential(CLIENT).token()).access_token
    assert monotonic() - before < 1


@virtual
async def test_a_renewal_lands_whoever_cancels_all_tasks():
    """The vendor has the refresh token, every task is cancelled three times: the answer is stored, nobody logs in again."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    vendor.faults.append(Fault(acts=True, delay=9))
    caller = asyncio.create_task(credential.refresh())
    await asyncio.sleep(6)  # its lease is extended meanwhile
    for _ in range(3):
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(1)
    assert caller.cancelled()
    await worker.context.flights.landed()
    other = Worker(store, vendor).credential(USER)
    assert await other.token() == await credential.token()
    assert (await other.refresh()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_loop_that_ends_while_the_store_is_away_does_not_wait_for_it():
    """The last answer is offered once more; then the loop may end, and the log says what is left behind."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.down.add("commit")
    await credential.refresh()
    await asyncio.sleep(60)
    before = monotonic()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert monotonic() - before < 6


@virtual
async def test_what_a_loop_left_behind_is_offered_by_the_next():
    """The process lives on with the answer: it is stored before anything of that session is spent again."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.down.add("commit")
    kept = await credential.refresh()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    store.down.clear()
    asked = vendor.counts["requests"]
    assert await credential.refresh() == kept
    assert await Worker(store, vendor).credential(USER).token() == kept
    assert vendor.counts["requests"] == asked
    assert await credential.refresh() != kept
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_store_whose_own_task_is_cancelled_with_all_others():
    """The store's call ends as if it had failed: an answer that is being stored then is kept, and stored a moment later."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    commit = store.inner.commit
    children = []

    async def by_a_task_of_its_own(*args, **kwargs):
        children.append(asyncio.create_task(asyncio.sleep(1)))
        await children[-1]
        return await commit(*args, **kwargs)

    store.inner.commit = by_a_task_of_its_own
    caller = asyncio.create_task(credential.refresh())
    await until(lambda: children)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await worker.context.flights.landed()
    assert len(children) == 2
    other = Worker(store, vendor).credential(USER)
    assert await other.token() == await credential.token()
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_flight_that_landed_is_let_go():
    """What has landed keeps no token alive: nothing but its waiters held on to it."""
    credential = await logged_in(Worker(Store(), Vendor()))
    await credential.refresh()
    await asyncio.sleep(1)
    assert not credential.renewals.flights
    assert not credential._context.flights._flights


def test_the_way_to_leave_the_list_is_there():
    """Documented for those who make tasks of their own ("Extending asyncio"), on every Python that is supported."""
    assert callable(asyncio._unregister_task), sys.version
    assert uvloop.__version__


class _Tasks:
    """An escrow of somebody else's, which does its work in tasks of its own."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}

    async def _by_a_task(self) -> None:
        await asyncio.create_task(asyncio.sleep(1))

    async def put(self, kept: Kept) -> None:
        await self._by_a_task()
        self.kept[kept.key] = kept

    async def drop(self, key: str, number: int) -> None:
        del number
        await self._by_a_task()
        self.kept.pop(key, None)

    async def find(self, key: str) -> Kept | None:
        return self.kept.get(key)

    async def everything(self) -> list[Kept]:
        return list(self.kept.values())


@pytest.mark.parametrize("moment", [0.5, 1.5], ids=["put", "drop"])
@virtual
async def test_an_escrow_whose_own_task_is_cancelled_with_all_others(moment):
    """It has failed, and the answer that it was to keep goes to the store all the same: no session ends there."""
    store, vendor, escrow = Store(), Vendor(), _Tasks()
    worker = Worker(store, vendor, escrow=escrow)
    credential = await logged_in(worker)
    caller = asyncio.create_task(credential.refresh())
    await asyncio.sleep(moment)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await worker.context.flights.landed()
    other = Worker(store, vendor).credential(USER)
    assert await other.token() == await credential.token()
    assert (await other.refresh()).access_token
    assert vendor.counts["reuse"] == 0
