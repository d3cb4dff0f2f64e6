"""Keep-alive: refresh tokens that nobody uses do not lapse, one worker of the fleet sees to it, and it costs little."""

from __future__ import annotations

import asyncio
import gc
import itertools
import tracemalloc
from collections import Counter
from typing import Any

import pytest

from linkauth.errors import ConfigurationError
from linkauth.oauth.token import Token
from linkauth.protocol import timing
from linkauth.protocol.keys import round_key, token_key
from linkauth.protocol.records import RoundRecord, TokenRecord
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import LATER, USER, Store, Vendor, Worker, refusal
from tests.engine.test_suspicion import Deaf
from tests.engine.virtual import monotonic, virtual, wall

DAY = 86400.0

WEEK = 7 * DAY
"""A LinkXG user's refresh token's life."""


async def grown(worker: Worker, count: int) -> list[str]:
    """So many users, logged in."""
    names = [f"account{number}" for number in range(count)]
    for name in names:
        await worker.credential(USER, name).login(email="ada@example.com", password="correct horse")
    return names


def renewals(vendor: Vendor) -> list[float]:
    """When each was sent, seconds."""
    return [at for at, path, _ in vendor.sent if path == "/auth/refresh"]


@pytest.mark.slow
@virtual
async def test_a_month_without_use_is_survived() -> None:
    """Three workers keep twenty users alive for a month: no reuse, no more renewals than needed, by one of them at a time."""
    vendor, store = Vendor(), Store()
    vendor.delay = 5.0
    workers = [Worker(store, vendor) for _ in range(3)]
    names = await grown(workers[0], 20)
    keepers = [asyncio.create_task(worker.keep_alive(USER, every=DAY / 4)) for worker in workers]
    await asyncio.sleep(30 * DAY)
    for keeper in keepers:
        keeper.cancel()
    await asyncio.wait(keepers)
    times = renewals(vendor)
    assert all(later - earlier >= timing.ROUND_PACE for earlier, later in itertools.pairwise(times))
    assert vendor.counts["reuse"] == 0
    # Renewed after 1/2 to 3/4 of a week, and up to a round later.
    assert 20 * 30 / (0.75 * 7 + 0.5) - 20 <= len(times) <= 20 * 30 / (0.5 * 7)
    newcomer = Worker(store, vendor)
    for name in names:
        await newcomer.credential(USER, name).token()


@virtual
async def test_a_keeper_that_was_just_started_renews_at_once() -> None:
    """Its first credential, on a store that announces changes: it does not take what it has just read for a loss."""
    vendor, store = Vendor(), Deaf()
    former, keeper = Worker(store, vendor), Worker(store, vendor)
    await grown(former, 1)
    await former.aclose()
    await asyncio.sleep(0.8 * WEEK)
    begun, commits = clock.monotonic(), store.counts["commit"]
    assert await keeper.keep_alive(USER, rounds=1) == 1
    assert clock.monotonic() - begun < 1.0
    assert store.counts["commit"] == commits + 2  # the token, and when the next round is
    await keeper.aclose()


@virtual
async def test_what_another_has_renewed_meanwhile_is_not_renewed_again() -> None:
    """A credential that somebody uses at the very moment in which the round comes by."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    await grown(worker, 1)
    await asyncio.sleep(0.8 * WEEK)
    reads: list[str] = []

    async def renew() -> None:
        store.before = lambda name: None
        await worker.credential(USER, "account0").refresh()

    def third(name: str) -> Any:
        reads.extend([name] * name.startswith("read"))  # the round's record, a batch, and the credential's again
        return renew() if len(reads) == 3 else None

    store.before = third
    assert await Worker(store, vendor).keep_alive(USER, rounds=1) == 0
    assert vendor.counts["/auth/refresh"] == 1


@pytest.mark.slow
@virtual
async def test_what_began_together_is_renewed_apart() -> None:
    """Users who logged in within one minute are renewed over a quarter of their tokens' life, a few in each round."""
    vendor, store = Vendor(), MemoryStore(clock=clock.wall)
    worker = Worker(store, vendor)
    await grown(worker, 150)
    begun = clock.monotonic()
    keeper = asyncio.create_task(worker.keep_alive(USER, every=7200.0))
    await asyncio.sleep(0.8 * WEEK)
    keeper.cancel()
    await asyncio.wait({keeper})
    times = [at - begun for at in renewals(vendor)]
    assert len(times) == 150
    assert min(times) >= 0.5 * WEEK - 60
    assert max(times) <= 0.75 * WEEK + 2 * 7200
    assert max(Counter(int(at // 7200) for at in times).values()) < 150 / 21 * 3  # 42 hours are a quarter of a week


@virtual
async def test_a_worker_that_dies_in_the_middle_is_taken_over() -> None:
    """The one that makes the round dies: another goes on when its lease ends, and renews only what is left."""
    vendor, store = Vendor(), MemoryStore(clock=clock.wall)
    first, second = Worker(store, vendor), Worker(store, vendor)
    names = await grown(first, 20)
    await asyncio.sleep(0.8 * WEEK)
    others = asyncio.all_tasks()
    dying = asyncio.create_task(first.keep_alive(USER, every=3600.0, rounds=1))
    heir = asyncio.create_task(second.keep_alive(USER, every=3600.0, rounds=1))
    await asyncio.sleep(9.75 * timing.ROUND_PACE)
    assert len(renewals(vendor)) == 10
    for task in asyncio.all_tasks() - others - {heir}:
        task.cancel()  # the heir only waits for a change, by tasks of the store's
    await asyncio.wait({dying})
    died = clock.monotonic()
    assert await heir == 10
    assert clock.monotonic() - died < timing.ROUND_LEASE + 20 * timing.ROUND_PACE + 1
    assert len(renewals(vendor)) == len(names)
    assert vendor.counts["reuse"] == 0


@virtual
async def test_failures_do_not_end_a_round() -> None:
    """A vendor's error, a record that cannot be read and a store that is away hold up nobody else's renewal."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    names = await grown(worker, 6)
    broken = token_key(USER, names[2])
    await store.commit(broken, LATER, b"broken")
    await asyncio.sleep(0.8 * WEEK)
    vendor.fails(refusal(500, "INTERNAL"), times=1)
    store.down = {"*"}
    keeper = asyncio.create_task(worker.keep_alive(USER, every=600.0, rounds=2))
    await asyncio.sleep(30)
    assert not keeper.done()
    store.down = set()
    assert await keeper == 5
    assert vendor.counts["reuse"] == 0


@virtual
async def test_between_rounds_nothing_is_asked() -> None:
    """The last round left word when the next one is: until then no worker asks the store for anything."""
    vendor, store = Vendor(), Store()
    workers = [Worker(store, vendor) for _ in range(2)]
    await grown(workers[0], 3)
    keepers = [asyncio.create_task(worker.keep_alive(USER, every=3600.0)) for worker in workers]
    await asyncio.sleep(60)
    before = store.counts.total()
    await asyncio.sleep(3500)
    assert store.counts.total() == before
    for keeper in keepers:
        keeper.cancel()
    await asyncio.wait(keepers)


@virtual
async def test_no_vendor_is_a_mistake() -> None:
    """Where the engine has no credential yet, the vendors must be named."""
    with pytest.raises(ConfigurationError):
        await Worker(Store(), Vendor()).keep_alive(rounds=1)


@pytest.mark.slow
@pytest.mark.blocking  # to watch thousands of steps takes longer than to make them
@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_many_credentials_take_no_memory(count) -> None:
    """A round over many records, one in a hundred of them due, renews those, and leaves nothing behind in memory."""

    @virtual
    async def rounds() -> None:
        vendor, store = Vendor(), MemoryStore(clock=clock.wall)
        worker = Worker(store, vendor)
        due = 0
        for number in range(count):
            account, old = f"account{number}", number % 100 == 0
            due += old
            vendor._refresh[f"refresh-{account}"] = account
            begun = clock.wall() - (0.8 * WEEK if old else 0.1 * WEEK)
            token = Token(
                access_token="access",
                refresh_token=f"refresh-{account}",
                issued_at=begun,
                expires_at=begun + 900,
                refresh_expires_at=begun + WEEK,
            )
            key = token_key(USER, account)
            record = TokenRecord(vendor=USER.name, account=account, token=token)
            await store.commit(key, 1, worker.context.codec.close(key, 1, record))
        gc.collect()
        tracemalloc.start()
        try:
            assert await worker.keep_alive(USER, every=3600.0, rounds=1) == due
            gc.collect()
            left, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        print(f"\n{count} records, {due} renewed: {peak / 1e6:.1f} MB at most, {left / 1e6:.1f} MB left")
        assert vendor.counts["/auth/refresh"] == due
        # The vendor's and the store's own books grow by what was renewed; a list of the keys is all a round may take.
        assert peak < 500_000 + 100 * count + 10_000 * due

    rounds()


HOUR = 3600.0


@virtual
async def test_a_credential_is_renewed_between_half_and_three_quarters_of_its_refresh_tokens_life():
    """Once, by a worker that never had it, though its access token is good for long; and the rounds are counted."""
    vendor, store = Vendor(), Store()
    vendor.lifetime = 4 * WEEK
    begun = monotonic()
    await grown(Worker(store, vendor), 3)
    keeper = asyncio.create_task(Worker(store, vendor).keep_alive(USER, every=HOUR, rounds=130))
    assert await keeper == 3
    times = [at - begun for at in renewals(vendor)]
    assert len(times) == len(set(times)) == 3
    assert all(0.5 * WEEK <= at <= 0.75 * WEEK + 2 * HOUR for at in times)
    assert 129 * HOUR <= monotonic() - begun <= 129 * HOUR + 130 * 2


@virtual
async def test_what_began_together_is_not_due_together():
    """Half way between the earliest moment and the latest about half of it is."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    await grown(worker, 20)
    await asyncio.sleep(0.625 * WEEK)
    assert 5 <= await worker.keep_alive(USER, every=HOUR, rounds=1) <= 15


@virtual
async def test_a_round_that_another_has_made_a_moment_ago_is_not_made_again():
    """The very first one, written between this worker's look and its claim: the next is an hour away."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    await grown(worker, 1)
    key, begun = round_key([USER]), monotonic()

    def faster(name):
        if name == "claim":
            store.before = lambda _: None
            value = worker.context.codec.close(key, 1, RoundRecord(next_at=wall() + HOUR))
            return store.inner.commit(key, 1, value)
        return None

    store.before = faster
    await worker.keep_alive(USER, every=HOUR, rounds=1)
    assert monotonic() - begun >= HOUR


@virtual
async def test_a_store_whose_clock_was_set_back_holds_up_no_round():
    """The next one is ten hours further off than one is from the next: it is made now, and the one after it in an hour."""
    store, back = Store(), 0.0
    store.inner = MemoryStore(clock=lambda: clock.wall() - back)
    worker = Worker(store, Vendor())
    await worker.keep_alive(USER, every=HOUR, rounds=1)
    back, begun = 10 * HOUR, monotonic()
    await worker.keep_alive(USER, every=HOUR, rounds=1)
    assert monotonic() - begun < 2
    await worker.keep_alive(USER, every=HOUR, rounds=1)
    assert HOUR <= monotonic() - begun < HOUR + 2


@virtual
async def test_another_workers_round_is_waited_for():
    """As long as its lease: that is no fault of the store, and nothing is asked meanwhile."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    await store.inner.claim(round_key([USER]), "other", 60, 0, b"")
    store.counts.clear()
    begun = monotonic()
    assert await worker.keep_alive(USER, every=HOUR, rounds=1) == 0
    assert monotonic() - begun == 60
    assert store.counts["claim"] == 2
    assert worker.heard() == []


@virtual
async def test_a_round_in_which_nothing_is_due_is_a_round():
    """As many as were asked for, an hour apart; nothing was renewed."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    await grown(worker, 1)
    begun = monotonic()
    assert await worker.keep_alive(USER, every=HOUR, rounds=2) == 0
    assert HOUR <= monotonic() - begun <= HOUR + 2


@virtual
async def test_a_store_that_is_away_is_looked_at_less_and_less_often():
    """Two seconds, four, eight …, and from the beginning when it was away anew."""
    vendor, store, looked = Vendor(), Store(), []
    worker = Worker(store, vendor)
    await grown(worker, 1)
    store.before = lambda name: looked.append(monotonic())
    for _ in range(2):
        store.down.add("*")
        looked.clear()
        keeping = asyncio.create_task(worker.keep_alive(USER, every=1.0))
        await asyncio.sleep(40)
        gaps = [after - before for before, after in itertools.pairwise(looked)]
        assert all(2.0**at <= gap <= 2.0 ** (at + 1) for at, gap in enumerate(gaps[:4]))
        store.down.clear()
        await asyncio.sleep(60)
        store.down.add("*")
        looked.clear()
        await asyncio.sleep(10)
        gaps = [after - before for before, after in itertools.pairwise(looked)]
        assert 1.0 <= gaps[0] <= 2.0
        keeping.cancel()
        await asyncio.wait({keeping})
