"""Records written anew under the newest key: what comes meanwhile, at any moment, takes its place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from linkauth.errors import (
    StateMismatch,
)
from linkauth.protocol.keys import secret_key, state_key
from tests.engine.fakes import CLIENT, PAGE, USER, Store, Vendor, Worker, answer, logged_in, refusal
from tests.engine.scenes import renewing
from tests.engine.test_keys import NEW, OLD, ids, lease_ends
from tests.engine.virtual import monotonic, virtual


async def _during(store: Store, name: str, worker: Worker, then: Any) -> int:
    """What ``reseal`` returns if ``then`` happens right before its first call ``name``."""

    def step_in(called: str) -> Any:
        if called != name:
            return None
        store.before = lambda _: None
        return then()

    store.before = step_in
    return await worker.reseal()


@pytest.mark.parametrize("moment", ["claim", "commit", "release", "after"])
@virtual
async def test_an_answer_that_comes_late_takes_its_place(moment):
    """A worker that was stopped for longer than its lease commits at any moment of it: its answer is the session."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor, keys=[OLD, NEW]))
    await asyncio.sleep(1)
    renewal, gate = await renewing(credential, vendor)
    lease_ends(store, credential.replica.key)

    async def comes_back() -> None:
        gate.set()
        await asyncio.sleep(0.1)

    resealing = Worker(store, vendor, keys=[NEW, OLD])
    if moment == "after":
        assert await resealing.reseal() == 1
        await comes_back()
    else:
        await _during(store, moment, resealing, comes_back)
    fresh = await renewal
    late = Worker(store, vendor, keys=[NEW, OLD]).credential(USER)
    assert await late.token() == fresh
    assert (await late.refresh()).access_token
    assert vendor.counts["reuse"] == 0


@pytest.mark.parametrize("moment", ["claim", "commit", "release", "after"])
@virtual
async def test_a_secret_that_comes_late_takes_its_place(moment):
    """The vendor has killed the old secret: whenever the answer comes, the new one is what the fleet goes on with."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor, keys=[OLD, NEW]).credential(CLIENT)
    await credential.token()
    await credential.rotate_secret()
    gate = vendor.holds()
    rotation = asyncio.create_task(credential.rotate_secret())
    await asyncio.sleep(1)
    lease_ends(store, secret_key(CLIENT))

    async def comes_back() -> None:
        gate.set()
        await asyncio.sleep(0.1)

    resealing = Worker(store, vendor, keys=[NEW, OLD])
    await store.inner.delete(credential.replica.key, 99)  # so that the secret is all there is
    if moment == "after":
        assert await resealing.reseal() == 1
        await comes_back()
    else:
        await _during(store, moment, resealing, comes_back)
    await rotation
    later = Worker(store, vendor, keys=[NEW, OLD])
    assert (await later.credential(CLIENT, "another").token()).access_token
    assert later.context.client_secrets.of(CLIENT).secret.reveal() == vendor.secret


@pytest.mark.parametrize("moment", ["claim", "commit", "release"])
@virtual
async def test_a_state_that_is_used_meanwhile_is_used_up(moment):
    """A callback comes while its state is written anew: it waits for that, is taken, once, and does not come back."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=[OLD, NEW])
    credential = worker.credential(PAGE)
    url = await credential.authorization_url("http://127.0.0.1/callback")
    state = url.partition("state=")[2].partition("&")[0]
    params = {"state": state, "code": "one"}

    async def callback() -> None:
        vendor.fails(
            answer(200, {"access_token": "a", "token_type": "Bearer", "refresh_token": "r", "expires_in": 900})
        )
        completing.append(asyncio.create_task(credential.complete(params)))
        await asyncio.sleep(0.1)

    completing: list[asyncio.Task[Any]] = []
    await _during(store, moment, Worker(store, vendor, keys=[NEW, OLD]), callback)
    await completing[0]
    assert (await store.read(state_key("page", state))).record is None
    with pytest.raises(StateMismatch):
        await credential.complete(params)


@virtual
async def test_a_state_lapses_when_it_would_have():
    """Written anew it is good for what was left of its time, and no longer; and it can be used until then."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=[OLD, NEW])
    urls = [await worker.credential(PAGE).authorization_url("http://127.0.0.1/callback") for _ in range(2)]
    states = [url.partition("state=")[2].partition("&")[0] for url in urls]
    await asyncio.sleep(500)
    newer = Worker(store, vendor, keys=[NEW, OLD])
    assert await newer.reseal() == 2
    vendor.fails(refusal(503, "DOWN"), times=9)
    with pytest.raises(Exception, match="503"):
        await newer.credential(PAGE).complete({"state": states[0], "code": "one"})
    vendor.faults.clear()
    assert (await store.read(state_key("page", states[0]))).record is not None  # the consent is not lost
    await asyncio.sleep(101)
    for state in states:
        assert (await store.read(state_key("page", state))).record is None


@virtual
async def test_it_may_be_interrupted_at_any_call_and_run_again():
    """Cancelled before each of its calls in turn: nothing is lost, nobody is held up for long, and the rest is done."""
    for at in range(1, 40):
        store, vendor = Store(), Vendor()
        await logged_in(Worker(store, vendor, keys=OLD), "ada")
        await logged_in(Worker(store, vendor, keys=OLD), "bob")
        calls = 0

        def count(name: str, at: int = at) -> Any:
            nonlocal calls
            calls += 1
            return asyncio.Event().wait() if calls == at else None

        store.before = count
        worker = Worker(store, vendor, keys=[NEW, OLD])
        resealing = asyncio.create_task(worker.reseal())
        await asyncio.sleep(0.1)
        resealing.cancel()
        await asyncio.wait({resealing})
        store.before = lambda _: None
        begun = monotonic()
        await worker.reseal()
        assert monotonic() - begun <= 5
        assert set((await ids(store)).values()) == {worker.context.codec.newest}
        if not resealing.cancelled():
            break
    assert calls < at


@virtual
async def test_what_is_written_between_the_look_and_the_lease_is_looked_at_again():
    """Somebody wrote a newer record, under the old key as well: it is that one that is written anew, and nothing older."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor, keys=[OLD, NEW]))

    async def renewed() -> None:
        for _ in range(2):  # so that its number is above the one that it was to be written under
            await asyncio.sleep(1)
            await credential.refresh()

    assert await _during(store, "claim", Worker(store, vendor, keys=[NEW, OLD]), renewed) == 1
    found = await Worker(store, vendor, keys=NEW).credential(USER).token()
    assert found == await credential.token()
    assert vendor.counts["/auth/refresh"] == 2
