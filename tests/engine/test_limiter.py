"""What one account of a client hears goes for all of them, and a limit that a vendor states is kept from the start."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from linkauth import LinkXG
from linkauth.engine.limiter import Limiter
from linkauth.errors import InvalidClient, LinkAuthError, RateLimited, VendorUnavailable
from linkauth.protocol import timing
from linkauth.protocol.keys import limit_key
from tests.engine.announcing import Telling
from tests.engine.fakes import BASE, Store, Unstated, Vendor, Worker
from tests.engine.virtual import monotonic, virtual

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable


class Endpoint:
    """A token endpoint that counts in fixed windows of a minute, as LinkXG's page has it."""

    def __init__(self, allowed: float = 60, takes: float = 0.1) -> None:
        self.allowed = allowed
        self.takes = takes
        self.asked: list[float] = []
        self.refused: list[float] = []
        self.order: list[str] = []
        self.most = 0
        self._now = 0
        self._window: Counter[int] = Counter()

    async def ask(self, account: str) -> None:
        self.asked.append(monotonic())
        self.order.append(account)
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(self.takes)
        self._now -= 1
        minute = int((monotonic() - 1000) // 60)
        self._window[minute] += 1
        if self._window[minute] > self.allowed:
            self.refused.append(monotonic())
            raise RateLimited("rate_limit_exceeded", "too many", status=429)

    def first_minute(self) -> int:
        return sum(1 for at in self.asked if at < 1060)


async def through(limiter: Limiter, endpoint: Any, account: str, *, need: float = 0.0, secret: str = "s") -> None:
    """One request, as a renewal makes it."""
    permit = await limiter.acquire(account, secret, need, 10.0)
    answered = False
    try:
        permit.sent()
        await endpoint.ask(account)
        answered = True
    except (RateLimited, InvalidClient) as error:
        await permit.refused(error)
        raise
    finally:
        await permit.release(answered=answered)


async def until_served(limiter: Limiter, endpoint: Any, account: str, **how: Any) -> None:
    """An account whose callers come again as soon as it is worth it."""
    for failures in itertools.count():
        try:
            await through(limiter, endpoint, account, **how)
        except LinkAuthError as error:
            await asyncio.sleep(getattr(error, "retry_after", None) or timing.backoff(failures, 1.0, 0.0))
        else:
            return


def begin(work: Iterable[Coroutine[Any, Any, None]]) -> list[asyncio.Task[None]]:
    """Under way until the test's loop ends."""
    return [asyncio.get_running_loop().create_task(each) for each in work]


def limiters(workers: int, kind: type[LinkXG]) -> list[Limiter]:
    store, vendor = Store(), Vendor()
    return [Limiter(Worker(store, vendor).context, make(kind)) for _ in range(workers)]


def make(kind: type[LinkXG]) -> LinkXG:
    return kind(client_id="shop", client_secret="first-secret", base_url=BASE)


@virtual
async def test_a_limit_that_is_not_stated_is_found_with_few_refusals() -> None:
    """300 accounts at a vendor that allows 60 a minute and does not say so: at most 150 requests in the first minute."""
    (limiter,), endpoint = limiters(1, Unstated), Endpoint()
    tasks = begin(until_served(limiter, endpoint, f"a{number}") for number in range(300))
    await asyncio.sleep(60)
    assert 60 <= endpoint.first_minute() <= 150
    await asyncio.wait(tasks)
    assert len(endpoint.refused) < 150


@virtual
async def test_a_fleet_stops_at_what_one_of_it_hears() -> None:
    """Eight workers share 300 accounts: those who asked in the same moment are refused, and then one asks now and then."""
    fleet, endpoint = limiters(8, Unstated), Endpoint()
    begin(until_served(fleet[number % 8], endpoint, f"a{number}") for number in range(300))
    await asyncio.sleep(60)
    assert endpoint.first_minute() <= 60 + 8 * 2 * timing.WINDOW + 40


@virtual
async def test_a_vendor_without_a_limit_is_soon_asked_by_all_at_once() -> None:
    """1,000 accounts, answers of 0.2 s: all are served within eight answers' time."""
    (limiter,), endpoint = limiters(1, Unstated), Endpoint(allowed=float("inf"), takes=0.2)
    began = monotonic()
    await asyncio.gather(*(through(limiter, endpoint, f"a{number}") for number in range(1000)))
    assert monotonic() - began <= 8 * 0.2
    assert endpoint.refused == []


@virtual
async def test_a_slow_vendor_is_not_taken_for_a_limited_one() -> None:
    """Answers take 8 s: once one has come, all of 1,000 accounts are sent for before the next comes back."""
    (limiter,), endpoint = limiters(1, Unstated), Endpoint(allowed=float("inf"), takes=8.0)
    await through(limiter, endpoint, "first")
    tasks = begin(through(limiter, endpoint, f"a{number}") for number in range(1000))
    await asyncio.sleep(8)
    assert len(endpoint.asked) == 1001
    await asyncio.gather(*tasks)


@virtual
async def test_a_stated_limit_is_kept_from_the_start() -> None:
    """300 accounts of a client in one worker, 60 a minute stated: no refusal, and the first minute's are nearly all used."""
    (limiter,), endpoint = limiters(1, LinkXG), Endpoint()
    begin(until_served(limiter, endpoint, f"a{number}") for number in range(300))
    await asyncio.sleep(59)
    assert 50 <= endpoint.first_minute() <= 60
    await asyncio.sleep(6 * 65)
    assert len(endpoint.asked) == 300
    assert endpoint.refused == []


@virtual
async def test_a_stated_limit_is_the_fleets() -> None:
    """Eight workers, 300 accounts: 60 + workers + 3 requests in the first minute at the most, and no refusal."""
    fleet, endpoint = limiters(8, LinkXG), Endpoint(allowed=60 + 8 + 3)
    begin(until_served(fleet[number % 8], endpoint, f"a{number}") for number in range(300))
    await asyncio.sleep(59)
    assert 50 <= endpoint.first_minute() <= 60 + 8 + 3
    assert endpoint.refused == []


@virtual
async def test_who_needs_a_token_sooner_goes_first() -> None:
    """In a worker the line is in the order of need, whoever came first."""
    (limiter,), endpoint = limiters(1, LinkXG), Endpoint()
    begin(until_served(limiter, endpoint, f"a{need}", need=float(need)) for need in reversed(range(200)))
    await asyncio.sleep(100)
    late = [int(account[1:]) for account in endpoint.order[timing.WINDOW :]]
    assert sum(earlier > later for earlier, later in itertools.pairwise(late)) <= 3


@virtual
async def test_one_accounts_429_is_its_own() -> None:
    """A user who hammers a vendor holds up nobody else; a second account that is refused does."""
    (limiter,) = limiters(1, Unstated)
    busy = Endpoint(allowed=0)
    for _ in range(3):
        with pytest.raises(RateLimited):
            await through(limiter, busy, "ada")
    await through(limiter, Endpoint(), "grace")
    with pytest.raises(RateLimited):
        await through(limiter, busy, "grace")
    assert len(busy.asked) == 4
    with pytest.raises(RateLimited) as held:
        await limiter.acquire("linus", "s", 0.0, 1.0)
    assert 4 < held.value.retry_after <= 5


@virtual
async def test_the_store_away_holds_nobody_up() -> None:
    """What is known of a client is advice: without the store a worker goes by what it knows itself."""
    store, endpoint = Store(), Endpoint()
    limiter = Limiter(Worker(store, Vendor()).context, make(LinkXG))
    store.down.add("*")
    begin(until_served(limiter, endpoint, f"a{number}") for number in range(100))
    await asyncio.sleep(59)
    assert 50 <= endpoint.first_minute() <= 60


@virtual
async def test_a_renewal_now_and_then_costs_the_store_nothing() -> None:
    """Below half of the limit a worker's only request in a window is not counted before it is sent."""
    store = Store()
    limiter, endpoint = Limiter(Worker(store, Vendor()).context, make(LinkXG)), Endpoint()
    await through(limiter, endpoint, "a")
    store.counts.clear()
    for _ in range(5):
        await asyncio.sleep(61)
        await through(limiter, endpoint, "a")
    assert set(store.counts) <= {"read"}


async def refused(limiter: Limiter, *accounts: str) -> None:
    """The vendor says that the client asks too often."""
    for account in accounts:
        with pytest.raises(RateLimited):
            await through(limiter, Endpoint(allowed=0), account)


@virtual
async def test_who_waits_in_vain_for_the_others_is_told_so() -> None:
    """First in line or behind: nothing was sent, and it is worth trying again soon."""
    (limiter,), endpoint = limiters(1, Unstated), Endpoint(takes=30.0)
    begin(through(limiter, endpoint, f"a{number}") for number in range(timing.WINDOW))
    await asyncio.sleep(0)
    first, behind = (asyncio.create_task(limiter.acquire(name, "s", 0.0, 0.5)) for name in ("first", "behind"))
    await asyncio.wait({first, behind})
    for each in (first, behind):
        assert isinstance(each.exception(), VendorUnavailable)
    assert len(endpoint.asked) == timing.WINDOW


@virtual
async def test_who_waits_behind_another_for_a_limit_is_told_of_it() -> None:
    """The vendor's stated limit, or what it said of the client, is the reason for him as well."""
    (limiter,), endpoint = limiters(1, LinkXG), Endpoint()
    begin(until_served(limiter, endpoint, f"a{number}") for number in range(60))
    await asyncio.sleep(50)
    patient = asyncio.create_task(limiter.acquire("patient", "s", 0.0, 100.0))
    await asyncio.sleep(0)
    with pytest.raises(RateLimited) as told:
        await limiter.acquire("hasty", "s", 0.0, 1.0)
    assert (told.value.status, told.value.limit) == (0, 60)
    await (await patient).release(answered=True)
    (held,) = limiters(1, Unstated)
    await refused(held, "a", "b")
    patient = asyncio.create_task(held.acquire("patient", "s", 0.0, 100.0))
    await asyncio.sleep(0)
    with pytest.raises(RateLimited) as told:
        await held.acquire("hasty", "s", 0.0, 1.0)
    assert told.value.retry_after > 3
    await (await patient).release(answered=True)


@virtual
async def test_who_waits_for_the_one_that_goes_first_waits_no_longer_than_he_may() -> None:
    """One asks after a refusal, slowly; another of the fleet is told the refusal when its time is over."""
    one, other = limiters(2, Unstated)
    await asyncio.gather(refused(one, "a", "b"), refused(other, "c", "d"))
    await asyncio.sleep(5)
    begin([through(one, Endpoint(takes=2.0), "first")])
    await asyncio.sleep(0.1)
    begun = monotonic()
    with pytest.raises(RateLimited):
        await other.acquire("a", "s", 0.0, 0.5)
    assert monotonic() - begun <= 0.5


@virtual
async def test_without_a_store_everybody_goes_first() -> None:
    """Nobody can say who does; each worker asks once, as it would alone."""
    store = Store()
    limiter = Limiter(Worker(store, Vendor()).context, make(Unstated))
    await refused(limiter, "a", "b")
    await asyncio.sleep(5)
    store.down.add("claim")
    await through(limiter, Endpoint(), "a")
    store.down.add("*")
    await refused(limiter, "c", "d")


@virtual
async def test_who_is_called_off_in_line_holds_nobody_up() -> None:
    """A flight that is cancelled while it waits is passed over."""
    (limiter,), endpoint = limiters(1, Unstated), Endpoint(takes=0.2)
    begin(through(limiter, endpoint, f"a{number}") for number in range(timing.WINDOW))
    await asyncio.sleep(0)
    first, behind, last = (
        asyncio.create_task(through(limiter, endpoint, name)) for name in ("first", "behind", "last")
    )
    await asyncio.sleep(0)
    behind.cancel()
    await asyncio.gather(first, last)
    assert endpoint.order[-2:] == ["first", "last"]


@virtual
async def test_what_cannot_be_read_of_a_client_says_nothing() -> None:
    """Another environment's record, or a broken one: everybody goes by what he knows, and writes anew."""
    store = Store()
    limiter = Limiter(Worker(store, Vendor()).context, make(Unstated))
    await store.commit(limit_key(make(Unstated)), 7, b"not a record")
    await refused(limiter, "a", "b")
    with pytest.raises(RateLimited):
        await limiter.acquire("c", "s", 0.0, 1.0)


@virtual
async def test_who_is_always_overtaken_goes_by_what_he_knows() -> None:
    """A record that others write without pause is left to them after a while."""
    store = Store()
    limiter = Limiter(Worker(store, Vendor()).context, make(Unstated))
    version = itertools.count(100)
    inner = store.inner.commit

    async def overtaken(key: str, number: int, value: bytes, ttl: float | None = None) -> Any:
        await inner(key, next(version), b"another's", ttl)
        return await inner(key, number, value, ttl)

    store.inner.commit = overtaken
    await refused(limiter, "a", "b")
    with pytest.raises(RateLimited):
        await limiter.acquire("c", "s", 0.0, 1.0)


@virtual
async def test_what_was_told_while_nobody_could_hear_is_read_before_the_next_request() -> None:
    """The announcement of a refusal was missed, and the store says that something was: nobody asks in vain for it."""
    store = Telling()
    mine = Limiter(Worker(store, Vendor()).context, make(Unstated))
    other = Limiter(Worker(Store(store.inner), Vendor()).context, make(Unstated))  # who writes, and nobody hears it
    await through(mine, Endpoint(), "a")
    await refused(other, "b", "c")
    store.tell(None)
    await asyncio.sleep(0.1)
    with pytest.raises(RateLimited):
        await mine.acquire("a", "s", 0.0, 1.0)


@virtual
async def test_what_is_not_sent_keeps_nobody_from_asking() -> None:
    """Ten workers look in each second and send nothing, for the vendor is left alone: the whole limit is there for others."""
    fleet, endpoint = limiters(10, LinkXG), Endpoint()

    async def look_in(limiter: Limiter) -> None:
        for _ in range(50):
            await (await limiter.acquire("idle", "s", 0.0, 10.0)).release(answered=False)
            await asyncio.sleep(1)

    await asyncio.gather(*map(look_in, fleet))
    await asyncio.gather(*(through(fleet[0], endpoint, f"a{number}") for number in range(50)))
    assert endpoint.refused == []
    early, late = limiters(2, LinkXG)
    await (await early.acquire("a", "s", 0.0, 10.0)).release(
        answered=False
    )  # nothing was counted of this worker's first
    await through(late, endpoint, "b")


class Twice(LinkXG):
    """States that it takes two requests in five seconds."""

    token_rate = (2, 5.0)


@virtual
async def test_who_goes_first_in_the_fleet_does_not_wait_for_himself() -> None:
    """It is his turn after a refusal, and the vendor's window has no place yet: he asks as soon as it has one."""
    (limiter,) = limiters(1, Twice)
    await refused(limiter, "a", "b")
    begun = monotonic()
    await (await limiter.acquire("c", "s", 0.0, 100.0)).release(answered=True)
    assert 5.0 < monotonic() - begun < 6.0
