"""A flight is nobody's: on every loop that there is, cancelling its callers changes nothing for anybody else."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import random
import sys
import threading
import time
from typing import Any

import pytest
import uvloop

from linkauth import AuthEngine, LinkXG
from linkauth.engine.flight import Flights
from linkauth.errors import InvalidClient, LinkAuthError
from linkauth.sandbox import Sandbox
from tests.engine.fakes import UNSTATED, Vendor, Worker
from tests.engine.virtual import VirtualLoop, virtual


def eager() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


LOOPS = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(uvloop.new_event_loop, id="uvloop"),
    pytest.param(
        eager,
        id="eager",
        marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 has no eager tasks"),
    ),
]


@pytest.fixture(autouse=True)
def _nothing_in_any_log(caplog):
    """No warning and no error in any log, asyncio's included, not even when everything has been collected."""
    caplog.set_level(logging.WARNING)
    yield
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name != "linkauth"] == []


def run(loop, coroutine):
    with asyncio.Runner(loop_factory=loop, debug=False) as runner:
        return runner.run(coroutine)


async def storm(rounds: int, callers: int, chance: random.Random) -> None:
    """Every round: some callers, any subset of them cancelled at any moment; the renewal lands all the same."""
    flights, landed = Flights(), 0

    async def renewal(number: int) -> int:
        nonlocal landed
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        landed += 1
        return number

    for number in range(rounds):
        flight = flights.start(renewal(number), "renewal")
        joining = [asyncio.create_task(flight.join(60)) for _ in range(callers)]
        doomed = chance.sample(joining, chance.randrange(callers + 1))
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        for task in doomed:
            task.cancel()
            if chance.random() < 0.2:
                await asyncio.sleep(0)
        results = await asyncio.gather(*joining, return_exceptions=True)
        await flights.landed()
        for task, result in zip(joining, results, strict=True):
            assert result == number or (task in doomed and isinstance(result, asyncio.CancelledError))
        assert landed == number + 1


@pytest.mark.parametrize("loop", LOOPS)
def test_cancelling_any_subset_of_callers_a_thousand_times(loop):
    """A thousand rounds of random cancellation: the flight always lands, nobody else sees anything."""
    run(loop, storm(1000, 8, random.Random(11)))


@pytest.mark.slow
def test_cancelling_callers_of_a_real_renewal():
    """The same through a credential: claim, exchange and commit go on whoever is cancelled, two hundred times."""
    chance = random.Random(5)

    async def rounds() -> None:
        vendor = Vendor()
        worker = Worker("memory:", vendor)
        credential = worker.credential(UNSTATED)
        for number in range(200):
            vendor.delay = chance.random()
            callers = [asyncio.create_task(credential.refresh()) for _ in range(8)]
            await asyncio.sleep(chance.random() / 2)
            doomed = chance.sample(callers, chance.randrange(1, 9))
            for task in doomed:
                task.cancel()
            results = await asyncio.gather(*callers, return_exceptions=True)
            await worker.context.flights.landed()
            held = await credential.token()
            assert held.access_token == f"access-{number + 1}"
            for task, result in zip(callers, results, strict=True):
                assert task in doomed or result == held
        assert vendor.counts["requests"] == 200

    run(VirtualLoop, rounds())


@pytest.mark.slow
@pytest.mark.parametrize("loop", LOOPS)
def test_ten_thousand_callers_of_one_flight(loop):
    """Ten thousand wait, half of them are cancelled: the rest have the value, for seconds of work at the most."""

    async def crowd() -> None:
        gate = asyncio.Event()

        async def renewal() -> str:
            await gate.wait()
            return "token"

        flight = Flights().start(renewal(), "renewal")
        callers = [asyncio.create_task(flight.join(60)) for _ in range(10_000)]
        await asyncio.sleep(0)
        for task in callers[::2]:
            task.cancel()
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(*callers, return_exceptions=True)
        assert results.count("token") == 5000

    before = time.process_time()  # what it costs, not how busy the machine is
    run(loop, crowd())
    assert time.process_time() - before < 10


@pytest.mark.parametrize("loop", LOOPS)
def test_an_error_reaches_every_waiter_as_its_own_copy(loop):
    """The waiters' errors are equal and not the same; none has a traceback into the flight, none is unretrieved."""

    async def refused() -> None:
        raise InvalidClient("invalid_client", "no", status=401)

    async def crowd() -> list[BaseException]:
        flight = Flights().start(refused(), "renewal")
        return await asyncio.gather(*(flight.join(5) for _ in range(10)), return_exceptions=True)

    errors = run(loop, crowd())
    assert {str(error) for error in errors} == {str(InvalidClient("invalid_client", "no", status=401))}
    assert len({id(error) for error in errors}) == 10


@pytest.mark.parametrize("loop", LOOPS)
def test_an_error_that_nobody_waits_for_is_not_complained_about(loop):
    """All callers were cancelled and the flight fails: asyncio has nothing to say about it."""

    async def alone() -> None:
        async def fails() -> None:
            await asyncio.sleep(0)
            raise InvalidClient

        flights = Flights()
        caller = asyncio.create_task(flights.start(fails(), "renewal").join(5))
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await flights.landed()

    run(loop, alone())


@pytest.mark.parametrize("loop", LOOPS)
def test_context_variables_stay_with_their_caller(loop):
    """Neither does the flight see the first caller's context, nor the caller what the flight sets."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nobody's")

    async def look() -> str:
        found = variable.get()
        variable.set("the flight's")
        await asyncio.sleep(0)
        return found

    async def caller() -> tuple[str, str]:
        variable.set("the caller's")
        return await Flights().start(look(), "renewal").join(5), variable.get()

    assert run(loop, caller()) == ("nobody's", "the caller's")


@pytest.mark.parametrize("loop", LOOPS)
def test_waiting_has_an_end(loop):
    """A flight that takes too long is left alone, and lands for the next who asks."""

    async def impatient() -> str:
        gate = asyncio.Event()

        async def slow() -> str:
            await gate.wait()
            return "token"

        flight = Flights().start(slow(), "renewal")
        with pytest.raises(TimeoutError):
            await flight.join(0.01)
        gate.set()
        return await flight.join(5)

    assert run(loop, impatient()) == "token"


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_that_is_shut_down_under_a_flight(loop):
    """Its waiters elsewhere are told, and a later loop begins anew."""
    flights = Flights()

    async def begin():
        async def forever() -> None:
            await asyncio.Event().wait()

        flight = flights.start(forever(), "renewal")
        await asyncio.sleep(0)
        return flight

    flight = run(loop, begin())
    assert flight.landed
    with pytest.raises(LinkAuthError):
        flight.result()
    run(loop, flights.landed())


def test_several_event_loops_on_one_engine():
    """Four threads with a loop each, two hundred tasks each, one engine: few requests, no error, one token at the end."""
    started, ended, address = threading.Event(), threading.Event(), {}

    def vendor() -> None:
        async def serve() -> None:
            async with Sandbox() as sandbox:
                part = sandbox.linkxg
                address.update(client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url)
                started.set()
                await asyncio.to_thread(ended.wait)
                address["requests"] = part.counts["token_requests"]

        asyncio.run(serve())

    serving = threading.Thread(target=vendor)
    serving.start()
    started.wait(10)
    engine = AuthEngine("memory:")
    credential = engine.credential(LinkXG(**address))
    tokens: list[str] = []

    def worker() -> None:
        async def many() -> None:
            found = await asyncio.gather(*(credential.token() for _ in range(200)))
            tokens.extend(token.access_token for token in found)

        asyncio.run(many())

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    ended.set()
    serving.join(10)
    asyncio.run(engine.aclose())
    assert (len(tokens), len(set(tokens))) == (800, 1)
    assert address["requests"] == 1


def test_closing_in_one_loop_calls_nobody_off_in_another():
    """Who waits in another loop belongs to that loop's closing; a task must not be cancelled from elsewhere either."""
    flights, theirs, mine = Flights(), asyncio.new_event_loop(), asyncio.new_event_loop()
    changed: list[asyncio.Event] = []

    async def waits() -> str:
        changed.append(asyncio.Event())
        with flights.idle():
            await changed[0].wait()
        return "changed"

    async def take_off():
        flight = flights.start(waits(), "waits")
        await asyncio.sleep(0)
        return flight

    async def close() -> None:
        flights.come_down()
        await flights.landed()

    flight = theirs.run_until_complete(take_off())
    mine.run_until_complete(close())
    changed[0].set()
    assert theirs.run_until_complete(flight.join()) == "changed"
    mine.close()
    theirs.close()


def test_closing_waits_for_what_cannot_be_had_again_in_another_threads_loop():
    """Its answer would find the store closed; what may be had again there, or only waits, is not waited for."""
    flights, up, gate = Flights(), threading.Event(), threading.Event()
    landed: list[str] = []

    async def asks() -> None:
        while not gate.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        landed.append("irreplaceable")

    async def waits() -> None:
        with flights.idle():
            await asyncio.sleep(60)

    async def elsewhere() -> None:
        flight = flights.start(asks(), "asks", irreplaceable=True)
        others = [flights.start(waits(), "waits", irreplaceable=True), flights.start(asyncio.sleep(60), "cheap")]
        await asyncio.sleep(0)
        up.set()
        await flight.join()
        for other in others:
            other.come_down(at_once=True)

    thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
    thread.start()
    up.wait(10)

    async def close() -> None:
        closing = asyncio.create_task(flights.landed())
        await asyncio.sleep(0.2)
        assert not closing.done()
        gate.set()
        await asyncio.wait_for(closing, 30)
        assert landed == ["irreplaceable"]

    try:
        asyncio.run(close())
    finally:
        gate.set()
        thread.join(30)


@virtual
async def test_a_flight_that_landed_is_let_go():
    """A worker that lives for years makes a flight for each renewal, and keeps none."""
    flights = Flights()
    flight = flights.start(asyncio.sleep(1), "one")
    await flight.join()
    await asyncio.wait({flight.task})
    assert not flights._flights


@virtual
async def test_only_who_still_waits_is_called_off():
    """A flight that waited for another worker and then asked the vendor has an answer to lose: closing waits for it."""
    flights = Flights()

    async def waits_and_works() -> str:
        with flights.idle():
            await asyncio.sleep(1)
        await asyncio.sleep(10)
        return "answered"

    flight = flights.start(waits_and_works(), "one")
    await asyncio.sleep(5)
    flights.come_down()
    await flights.landed()
    assert flight.result() == "answered"


def test_closing_in_one_loop_does_not_wait_for_another():
    """An engine shared by threads: what is in the air elsewhere is that loop's to wait for."""
    flights, other = Flights(), asyncio.new_event_loop()

    async def begin() -> Any:
        return flights.start(asyncio.sleep(3600), "elsewhere")

    try:
        flight = other.run_until_complete(begin())

        async def here() -> None:
            async with asyncio.timeout(5):
                await flights.landed()

        asyncio.run(here())
        assert not flight.landed
        flight.task.cancel()
        other.run_until_complete(asyncio.wait({flight.task}))
    finally:
        other.close()
    assert flight.landed
