"""A client secret that is refused costs a handful of requests, and holds up nobody who has another."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from linkauth.errors import InvalidClient
from linkauth.protocol import timing
from tests.engine.fakes import Unstated
from tests.engine.test_limiter import Endpoint, begin, limiters, through, until_served
from tests.engine.virtual import virtual


class Wrong:
    """Takes one secret only."""

    def __init__(self, takes: float = 0.1) -> None:
        self.takes = takes
        self.asked: Counter[str] = Counter()

    async def ask(self, account: str) -> None:
        await asyncio.sleep(self.takes)
        self.asked[account.partition("/")[0]] += 1
        if account.startswith("wrong"):
            raise InvalidClient("invalid_client", "no", status=401)


@pytest.mark.slow
@virtual
async def test_a_vendor_may_be_slow_to_say_that_a_secret_is_wrong() -> None:
    """Refusals take 3 s: still no more than eight requests a worker; at a vendor that hangs, others go after ``timeout``."""
    fleet, endpoint = limiters(8, Unstated), Wrong(takes=3.0)
    begin(until_served(fleet[number % 8], endpoint, f"wrong/{number}", secret="old") for number in range(800))
    await asyncio.sleep(60)
    assert endpoint.asked["wrong"] <= 8 * timing.WINDOW + 2
    (limiter,), hanging = limiters(1, Unstated), Endpoint(takes=1000.0)
    begin(until_served(limiter, hanging, f"a{number}") for number in range(100))
    await asyncio.sleep(9)
    assert len(hanging.asked) == timing.WINDOW
    await asyncio.sleep(2)
    assert len(hanging.asked) > timing.WINDOW


@pytest.mark.slow
@virtual
async def test_a_wrong_secret_costs_a_handful_and_nothing_to_who_has_the_right_one() -> None:
    """Eight workers with 100 accounts each: eight requests a worker, then one in the fleet now and then."""
    fleet, endpoint = limiters(8, Unstated), Wrong()
    begin(until_served(fleet[number % 8], endpoint, f"wrong/{number}", secret="old") for number in range(800))
    await asyncio.sleep(5)
    await asyncio.gather(*(through(fleet[0], endpoint, f"right/{number}", secret="new") for number in range(50)))
    assert endpoint.asked["right"] == 50
    await asyncio.sleep(55)
    assert endpoint.asked["wrong"] <= 8 * timing.WINDOW + 2
    await asyncio.sleep(600)
    assert endpoint.asked["wrong"] <= 8 * timing.WINDOW + 8


@virtual
async def test_each_of_two_refused_secrets_is_held_back() -> None:
    """What was said of one secret is not forgotten when another is refused; the right one ends what was said of itself alone."""
    (limiter,), endpoint = limiters(1, Unstated), Wrong()
    for secret in ("old", "older"):
        with pytest.raises(InvalidClient):
            await through(limiter, endpoint, "wrong/a", secret=secret)
    for secret in ("old", "older"):
        with pytest.raises(InvalidClient) as told:
            await limiter.acquire("a", secret, 0.0, 1.0)
        assert str(told.value) == str(InvalidClient("invalid_client", "no", status=401))
    await asyncio.sleep(timing.CLIENT_HOLD[0])
    await through(limiter, endpoint, "right/a", secret="old")
    await through(limiter, endpoint, "right/b", secret="old")
    with pytest.raises(InvalidClient):
        await through(limiter, endpoint, "wrong/a", secret="older")
    with pytest.raises(InvalidClient):
        await limiter.acquire("a", "older", 0.0, 10.0)


@virtual
async def test_of_refused_secrets_the_last_few_are_remembered() -> None:
    """A client whose secret is guessed at does not make the record grow."""
    (limiter,), endpoint = limiters(1, Unstated), Wrong()
    for number in range(9):
        with pytest.raises(InvalidClient):
            await through(limiter, endpoint, "wrong/a", secret=f"s{number}")
    await limiter.acquire("a", "s0", 0.0, 1.0)
    with pytest.raises(InvalidClient):
        await limiter.acquire("a", "s8", 0.0, 1.0)
