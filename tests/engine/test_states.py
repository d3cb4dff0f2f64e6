"""A state lasts as long as its callback may be tried again: what could not be sent, or was not answered, costs no consent."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import (
    AuthorizationPending,
    InvalidGrant,
    InvalidRequest,
    LinkAuthError,
    NoAnswer,
    NotSent,
    StateMismatch,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.protocol.keys import state_key
from linkauth.protocol.timing import LEASE_MORE
from linkauth.store import Granted
from tests.engine.fakes import LATER, Store, Vendor, Worker, answer
from tests.engine.test_authorization import LINKKIT, SAGE, Tokens, begun
from tests.engine.virtual import virtual


@pytest.mark.parametrize(("vendor_class", "seconds"), [(LINKKIT, 600), (SAGE, 86_400)])
@virtual
async def test_a_state_lasts_as_long_as_its_vendor_says(vendor_class, seconds):
    """Ten minutes, a day for Sage X3; then ``StateMismatch``, nothing sent."""
    vendor = Tokens()
    worker = Worker(Store(), vendor)
    _, early = await begun(worker, vendor_class)
    _, late = await begun(worker, vendor_class)
    await asyncio.sleep(seconds - 1)
    await worker.complete(vendor_class, early)
    await asyncio.sleep(2)
    with pytest.raises(StateMismatch):
        await worker.complete(vendor_class, late)
    assert vendor.counts["requests"] == 1


@virtual
async def test_a_store_that_keeps_too_long_makes_no_state_live_longer():
    """``ttl`` lets a store forget; whether a state has expired is read in the record itself."""
    store, vendor = Store(), Tokens()
    true_commit = store.inner.commit
    store.inner.commit = lambda key, number, value, ttl=None: true_commit(key, number, value)
    credential, params = await begun(Worker(store, vendor))
    await asyncio.sleep(601)
    with pytest.raises(StateMismatch):
        await credential.complete(params)
    assert vendor.counts["requests"] == 0


@virtual
async def test_pending_leaves_the_state_good():
    """The user has not answered yet: the same callback may be tried again, as often as it takes, and works at last."""
    vendor = Tokens()
    credential, params = await begun(Worker(Store(), vendor), SAGE)
    pending = answer(400, {"message": "The pairing request has not been accepted."})
    vendor.fails(pending, times=3)
    for _ in range(3):
        with pytest.raises(AuthorizationPending):
            await credential.complete(params)
        await asyncio.sleep(3600)
    assert (await credential.complete(params)).access_token == "a1"


@virtual
async def test_pending_does_not_make_a_state_live_longer():
    """However often it is tried, the state ends when it would have."""
    vendor = Tokens()
    credential, params = await begun(Worker(Store(), vendor), SAGE)
    vendor.fails(answer(400, {"message": "The pairing request has not been accepted."}), times=50)
    for _ in range(24):
        with pytest.raises(AuthorizationPending):
            await credential.complete(params)
        await asyncio.sleep(3600)
    with pytest.raises(StateMismatch):
        await credential.complete(params)


@pytest.mark.parametrize("fault", [NotSent("no connection"), "store"])
@virtual
async def test_what_kept_the_code_from_being_sent_leaves_the_state_good(fault):
    """No connection, or no lease to be had: the code was not spent, so the user need not start again."""
    store, vendor = Store(), Tokens()
    credential, params = await begun(Worker(store, vendor))
    if fault == "store":
        true_claim, key = store.inner.claim, credential.replica.key

        async def claim(at, *args):
            if at == key:
                raise StoreUnavailable("away")
            return await true_claim(at, *args)

        store.inner.claim = claim
    else:
        vendor.fails(fault, times=100)
    with pytest.raises((NotSent, StoreUnavailable)):
        await credential.complete(params)
    vendor.faults.clear()
    if fault == "store":
        store.inner.claim = true_claim
    assert (await credential.complete(params)).access_token == "a1"


@virtual
async def test_a_state_that_ends_while_its_code_is_kept_back_is_not_put_back():
    """No connection comes about until the state's time is over: it is not written again, for whatever time."""
    store, vendor = Store(), Tokens()
    credential, params = await begun(Worker(store, vendor))
    await asyncio.sleep(599)
    vendor.fails(NotSent("no connection"), times=100)
    before = store.counts["commit"]
    with pytest.raises(NotSent):
        await credential.complete(params)
    assert store.counts["commit"] == before
    with pytest.raises(StateMismatch):
        await credential.complete(params)


@pytest.mark.parametrize("fault", [NoAnswer("cut off"), answer(503, {}), answer(502, {}), NotSent("no connection")])
@pytest.mark.parametrize("vendor_class", [LINKKIT, SAGE])
@virtual
async def test_a_vendor_that_is_away_costs_no_consent(vendor_class, fault):
    """Whatever kept the code's answer from coming, the same callback goes on later, as often as it takes, elsewhere too."""
    store, vendor = Store(), Tokens()
    credential, params = await begun(Worker(store, vendor), vendor_class)
    vendor.fails(fault, times=100)
    for _ in range(3):
        with pytest.raises(VendorUnavailable):
            await credential.complete(params)
        await asyncio.sleep(100)
    vendor.faults.clear()
    assert (await (await Worker(store, vendor).complete(vendor_class, params)).token()).access_token == "a1"
    with pytest.raises(StateMismatch):
        await credential.complete(params)


@virtual
async def test_a_code_that_was_spent_without_an_answer_is_refused_by_the_vendor():
    """The answer was cut off: sent again, the code is refused (RFC 6749 §4.1.2), which the user hears and which ends it."""
    vendor = Tokens()
    credential, params = await begun(Worker(Store(), vendor))
    vendor.fails(NoAnswer("cut off"), acts=True)
    with pytest.raises(NoAnswer):
        await credential.complete(params)
    vendor.fails(answer(400, {"error": "invalid_grant"}))
    with pytest.raises(InvalidGrant, match="invalid_grant"):
        await credential.complete(params)
    with pytest.raises(StateMismatch):
        await credential.complete(params)
    assert vendor.counts["requests"] == 2


@virtual
async def test_a_vendor_that_is_away_makes_no_state_live_longer():
    """A state that is put back ends when it would have."""
    vendor = Tokens()
    credential, params = await begun(Worker(Store(), vendor))
    vendor.fails(NoAnswer("cut off"), times=100)
    for _ in range(5):
        with pytest.raises(NoAnswer):
            await credential.complete(params)
        await asyncio.sleep(120)
    with pytest.raises(StateMismatch):
        await credential.complete(params)


@virtual
async def test_a_store_that_goes_away_with_the_vendor_costs_no_consent():
    """The state could not be put back at once: it is as soon as the store is there, and the vendor's own fault is told."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    credential, params = await begun(worker)
    gate = vendor.holds()
    vendor.faults[0].outcome, vendor.faults[0].acts = NoAnswer("cut off"), False
    completing = asyncio.create_task(credential.complete(params))
    await asyncio.sleep(1)
    store.down.add("*")
    gate.set()
    with pytest.raises(NoAnswer):
        await completing
    await asyncio.sleep(30)
    store.down.clear()
    await asyncio.sleep(2)
    assert (await (await Worker(store, vendor).complete(LINKKIT, params)).token()).access_token == "a1"


@pytest.mark.parametrize("vendor_class", [LINKKIT, SAGE])
@virtual
async def test_a_worker_that_dies_while_the_vendor_is_asked_costs_no_consent(vendor_class):
    """kill -9, or cut off for good, before the vendor acted: as soon as its lease is over the callback goes on elsewhere."""
    store, vendor = Store(), Tokens()
    its_own = Store(store)
    dead, alive = Worker(its_own, vendor), Worker(store, vendor)
    credential, params = await begun(dead, vendor_class)
    vendor.holds()
    vendor.faults[0].acts = False
    completing = asyncio.create_task(credential.complete(params))
    await asyncio.sleep(1)
    its_own.hung.add("*")  # nothing of what it does from here on is seen by anybody
    with pytest.raises(StateMismatch):  # it may live, and the code is sent once
        await alive.complete(vendor_class, params)
    await asyncio.sleep(30)
    assert (await (await alive.complete(vendor_class, params)).token()).access_token
    with pytest.raises(StateMismatch):
        await alive.complete(vendor_class, params)
    completing.cancel()


@virtual
async def test_who_was_stopped_for_longer_than_a_lease_sends_no_code():
    """Another worker may have used the same callback meanwhile: a code that comes twice may end what it brought."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    credential, params = await begun(worker)
    claims = []

    def stops(name: str) -> None:
        claims.append(name)
        if claims.count("claim") == 2:  # the state's is had, and the session's is asked for
            worker.wall_ahead += 100

    store.before = stops
    with pytest.raises(StoreUnavailable, match="another worker may be using the same callback"):
        await credential.complete(params)
    assert vendor.counts["requests"] == 0
    assert (await credential.complete(params)).access_token


@virtual
async def test_closing_does_not_wait_to_put_a_state_back():
    """With the store away for good an engine closes all the same."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    credential, params = await begun(worker)
    vendor.fails(NotSent("no connection"), times=100)
    store.down.update({"commit", "claim"})
    with pytest.raises(StoreUnavailable):
        await credential.complete(params)
    async with asyncio.timeout(5):
        await worker.aclose()


@virtual
async def test_called_off_while_it_waits_for_its_turn_a_callback_costs_no_consent():
    """Another worker has the lease, and this one's engine closes: no code was sent, so the state is good for the next."""
    store, vendor = Store(), Tokens()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    credential, params = await begun(worker)
    claimed = await store.claim(credential.replica.key, "somebody", 60.0, 0, b"")
    completing = asyncio.create_task(credential.complete(params))
    await asyncio.sleep(1)
    await worker.aclose()
    with pytest.raises(LinkAuthError, match="called off"):
        await completing
    await store.release(credential.replica.key, claimed.number)
    assert (await (await other.complete(LINKKIT, params)).token()).access_token == "a1"


@virtual
async def test_the_store_may_forget_a_state_when_it_ends():
    """Users who never come back leave nothing behind for good."""
    store = Store()
    _, params = await begun(Worker(store, Vendor()))
    key = state_key(LINKKIT.name, params["state"])
    await asyncio.sleep(599)
    assert (await store.inner.read(key)).record is not None
    await asyncio.sleep(2)
    assert (await store.inner.read(key)).record is None


@virtual
async def test_a_callback_without_a_code_leaves_the_state_good():
    """What this vendor does not send is no answer of the user's."""
    credential, params = await begun(Worker(Store(), Tokens()))
    with pytest.raises(InvalidRequest):
        await credential.complete({"state": params["state"]})
    assert (await credential.complete(params)).access_token == "a1"


@virtual
async def test_a_state_that_is_used_up_between_the_look_and_the_lease():
    """Another worker was faster: nothing is sent, and no lease stays on a state that is no more."""
    store, vendor = Store(), Tokens()
    credential, params = await begun(Worker(store, vendor))
    key = state_key(LINKKIT.name, params["state"])

    def faster(name: str):
        return store.inner.take(key) if name == "claim" else None

    store.before = faster
    with pytest.raises(StateMismatch, match="used a moment ago"):
        await credential.complete(params)
    assert vendor.counts["requests"] == 0
    assert isinstance(await store.inner.claim(key, "the next", 1.0, LATER, b""), Granted)


@virtual
async def test_a_store_that_goes_away_with_the_token_forgets_the_state_when_it_is_back():
    """The user has his token at once; the state is good no more a second after the store can be told so."""
    store, vendor = Store(), Tokens()
    credential, params = await begun(Worker(store, vendor))
    key = state_key(LINKKIT.name, params["state"])
    store.down.add("delete")
    assert (await credential.complete(params)).access_token == "a1"
    await asyncio.sleep(5)
    assert (await store.inner.read(key)).record is not None
    store.down.clear()
    await asyncio.sleep(1.5)
    assert (await store.inner.read(key)).record is None
    deletes = store.counts["delete"]
    await asyncio.sleep(60)
    assert store.counts["delete"] == deletes  # which was enough


@virtual
async def test_a_store_that_stays_away_is_not_told_for_ever_of_a_used_state():
    """As long as the lease would have kept others waiting: then the vendor, who knows the code, refuses it."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    credential, params = await begun(worker)
    store.down.add("delete")
    await credential.complete(params)
    await asyncio.sleep(worker.context.timeout + LEASE_MORE + 2)
    deletes = store.counts["delete"]
    assert deletes > 10
    await asyncio.sleep(60)
    assert store.counts["delete"] == deletes
    assert not worker.context.flights._flights
