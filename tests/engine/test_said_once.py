"""The log of an outage: one line when it begins, one when it is over with what it held up; at DEBUG each account's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import pytest

from linkauth.errors import LinkAuthError, NotSent
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, answer, logged_in
from tests.engine.virtual import monotonic, virtual

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.credential import Credential

ACCOUNTS = 40


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was said at INFO or above since the last time: level and words."""
    caplog.set_level(logging.INFO, logger="linkauth")

    def since() -> list[str]:
        found = [f"{record.levelname} {record.getMessage()}" for record in caplog.records]
        caplog.clear()
        return found

    return since


async def busy(credentials: list[Credential], seconds: float) -> None:
    """For each of them a caller that wants a token five times a second, whatever it is answered."""
    end = monotonic() + seconds

    async def caller(credential: Credential) -> None:
        while monotonic() < end:
            with contextlib.suppress(LinkAuthError):
                await credential.token()
            await asyncio.sleep(0.2)

    await asyncio.gather(*map(caller, credentials))


async def users(worker: Worker) -> list[Credential]:
    return [await logged_in(worker, f"user {number}") for number in range(ACCOUNTS)]


@pytest.mark.slow
@pytest.mark.parametrize("calls", ["*", "commit"], ids=["away", "takes no answer"])
@virtual
async def test_a_store_that_is_away(calls, said):
    """Tokens run out meanwhile, every account is held up many times, or has an answer that is kept: two lines in all."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credentials = await users(worker)
    await asyncio.sleep(860)
    said()
    store.down.add(calls)
    events = len(worker.events)
    await busy(credentials, 60.0)
    (begun,) = said()
    assert begun == "ERROR store: store lost: the store is away"
    kind = "failed" if calls == "*" else "renewed"
    assert worker.heard()[events:].count(kind) >= ACCOUNTS  # events tell of each, as ever
    store.down.clear()
    await busy(credentials, 20.0)
    (over,) = said()
    assert over.startswith(
        ("INFO store: works again after failing for 59.", "INFO store: works again after failing for 60.")
    )
    assert over.endswith(f", {ACCOUNTS} {'accounts held up' if calls == '*' else 'answers kept'}")


@virtual
async def test_tokens_that_are_fetched_for_this_process_alone(said):
    """They are counted, and not told one by one."""
    store, vendor = Store(), Vendor()
    vendor.lifetime = 5.0
    worker = Worker(store, vendor)
    client = worker.credential(CLIENT)
    await client.token()
    said()
    store.down.add("*")
    await busy([client], 20.0)
    assert len(said()) == 1
    store.down.clear()
    await busy([client], 10.0)
    (over,) = said()
    assert "1 tokens fetched for this process alone" in over


@virtual
async def test_what_a_store_lost(said):
    """It came back empty: what is held is put back, and how much that was is one line."""
    store, vendor = Store(), Vendor()
    credentials = await users(Worker(store, vendor))
    said()
    store.inner._slots.clear()
    for credential in credentials:
        await credential.replica.put_back()
    assert len(said()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [NotSent("vendor.example: no connection came about"), answer(503, {})], ids=["no connection", "503"]
)
@virtual
async def test_a_vendor_that_is_away(fault, said):
    """Its accounts fail again and again, another vendor's do not: one line, and one when the first is served again."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credentials = await users(worker)
    await asyncio.sleep(860)
    said()
    vendor.fails(fault, times=10_000)
    await busy(credentials, 60.0)
    (begun,) = said()
    assert begun.startswith("WARNING linkxg-user/user ")
    vendor.faults.clear()
    await asyncio.sleep(61)
    await busy(credentials, 20.0)
    (over,) = said()
    assert over.startswith("INFO linkxg-user: renews again (unavailable) after failing for ")
    assert over.endswith(f"{ACCOUNTS} accounts had failed")


@virtual
async def test_one_account_that_fails_by_itself_hides_nothing(said):
    """It is told of once; and when all fail, or another does by itself, that is told of as well."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    one, two, three = [await logged_in(worker, name) for name in ("one", "two", "three")]

    async def fails(*those: Credential) -> None:
        for credential in those:
            vendor.fails(answer(503, {}), times=99)
            with pytest.raises(LinkAuthError):
                await credential.refresh()
            vendor.faults.clear()
        await asyncio.sleep(400)

    said()
    await fails(one)
    await two.refresh()
    await fails(one)
    assert [line.split(": ")[0] for line in said()] == ["WARNING linkxg-user/one"]
    await fails(two, three, one)
    assert [line.split(": ")[0] for line in said()] == ["WARNING linkxg-user/two"]
    await one.refresh()
    (over,) = said()
    assert over.endswith("3 accounts had failed")
    await fails(three)
    assert [line.split(": ")[0] for line in said()] == ["WARNING linkxg-user/three"]


@pytest.mark.slow
@virtual
async def test_a_round_of_keep_alive_says_how_many_failed(said):
    """And not which, for that was said of each renewal."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    await users(worker)
    await asyncio.sleep(0.76 * 7 * 86400)
    said()
    vendor.fails(answer(503, {}), times=100_000)
    await worker.keep_alive(USER, rounds=1)
    first, summary = said()
    assert first.startswith("WARNING linkxg-user/user ")
    assert summary == f"WARNING keep-alive: of {ACCOUNTS} that were due {ACCOUNTS} were not renewed"
