"""What goes out with the user and is kept until the callback, and how much of it one user may leave behind."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from linkauth import OAuth2
from linkauth.errors import (
    StateMismatch,
)
from linkauth.protocol import timing
from linkauth.protocol.keys import pending_list_key, state_key
from linkauth.protocol.records import PendingRecord
from tests.engine.fakes import BASE, Store, Vendor, Worker, answer
from tests.engine.test_authorization import CALLBACK, LINKKIT, SAGE, Tokens, begun
from tests.engine.virtual import virtual


def page(*, pkce: bool) -> OAuth2:
    return OAuth2(
        name="page",
        client_id="shop",
        client_secret="s",
        token_url=f"{BASE}/oauth/token",
        authorize_url=f"{BASE}/authorize",
        scope="read",
        pkce=pkce,
    )


@pytest.mark.parametrize("pkce", [True, False])
@virtual
async def test_a_challenge_goes_out_exactly_where_the_vendor_knows_pkce(pkce):
    """And only then there is a verifier to keep, and to send with the code."""
    store = Store()
    worker = Worker(store, Vendor())
    vendor = page(pkce=pkce)
    asked = parse_qs(urlsplit(await worker.credential(vendor).authorization_url(CALLBACK)).query)
    assert ("code_challenge" in asked) is pkce
    key = state_key("page", asked["state"][0])
    record = worker.context.codec.expect(key, (await store.inner.read(key)).record, PendingRecord)
    assert (record.verifier is not None) is pkce


@pytest.mark.parametrize(("scope", "asked"), [(None, "read"), ("write", "write")])
@virtual
async def test_the_scope_that_was_asked_for_is_the_tokens_where_the_vendor_names_none(scope, asked):
    """The vendor's own unless another is given; kept with the state, for the answer may leave it out (RFC 6749 §5.1)."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(page(pkce=False))
    sent = parse_qs(urlsplit(await credential.authorization_url(CALLBACK, scope=scope)).query)
    assert sent["scope"] == [asked]
    vendor.fails(answer(200, {"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_in": 300}))
    token = await credential.complete({"state": sent["state"][0], "code": "c"})
    assert token.scope == asked


@virtual
async def test_pkce_ties_the_code_to_the_verifier_in_the_store():
    """The challenge that went out is the digest of the verifier that goes with the code; the store keeps it, not the URL."""
    from base64 import urlsafe_b64encode
    from hashlib import sha256

    sent = []

    class Recording(Tokens):
        def _act(self, path, fields):
            sent.append(fields)
            return super()._act(path, fields)

    vendor = attrs.evolve(LINKKIT, pkce=True)
    credential = Worker(Store(), Recording()).credential(vendor)
    url = await credential.authorization_url(CALLBACK)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    await credential.complete({"state": query["state"], "code": "x"})
    verifier = sent[0]["code_verifier"]
    assert query["code_challenge"] == urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert query["code_challenge_method"] == "S256"
    assert sent[0]["redirect_uri"] == CALLBACK


@virtual
async def test_states_are_random_and_not_in_the_stores_keys():
    """256 bits, another each time; whoever lists the store's keys learns none."""
    store = Store()
    worker = Worker(store, Tokens())
    states = {(await begun(worker))[1]["state"] for _ in range(50)}
    assert len(states) == 50
    assert min(map(len, states)) >= 43
    keys = [key async for key in store.keys("state/")]
    assert len(keys) == 50
    assert not any(state in key for key in keys for state in states)


@pytest.mark.slow
@virtual
async def test_one_user_fills_no_store():
    """Of five hundred pairings that one user begins, at one worker or another, the last fifty lie in the store, and are good."""
    store, vendor = Store(), Tokens()
    workers = [Worker(store, vendor) for _ in range(2)]
    ada = [(await begun(workers[n % 2], SAGE, "ada"))[1] for n in range(250)]
    _, bob = await begun(workers[0], SAGE, "bob")
    ada += [(await begun(workers[n % 2], SAGE, "ada"))[1] for n in range(250)]
    assert len([key async for key in store.keys("state/")]) == 51
    assert len([key async for key in store.keys("")]) == 53
    for params in ada[:-50]:
        with pytest.raises(StateMismatch):
            await workers[0].complete(SAGE, params)
    for params in (*ada[-50:], bob):
        await workers[0].complete(SAGE, params)


@pytest.mark.parametrize("count", [2, 20])
@virtual
async def test_one_user_begins_several_times_at_once(count):
    """Each of the workers gets its turn, and each state is good; what was too many has gone all the same."""
    store, vendor = Store(), Tokens()
    store.before = lambda name: asyncio.sleep(0.01)
    workers = [Worker(store, vendor) for _ in range(count)]
    for _ in range(3):
        found = await asyncio.gather(*(begun(worker) for worker in workers))
    assert len([key async for key in store.keys("state/")]) == min(3 * count, 50)
    for worker, (_, params) in zip(workers, found, strict=True):
        await worker.complete(LINKKIT, params)


@virtual
async def test_a_worker_that_died_while_beginning_holds_up_nobody_for_long():
    """It had the list to itself: the next waits until that is over, some seconds, and begins."""
    store = Store()
    worker = Worker(store, Tokens())
    key = pending_list_key(LINKKIT, "default")
    await store.claim(key, "a dead worker", 5.0, 0, b"")
    async with asyncio.timeout(6):
        await begun(worker)


@virtual
async def test_a_store_that_cannot_tell_of_a_change_is_asked_again():
    """Whoever waits for the list hears of no change, and asks again half a second later until the list is free."""
    store = Store()
    worker = Worker(store, Tokens())
    key = pending_list_key(LINKKIT, "default")
    claimed = await store.claim(key, "another", 60.0, 0, b"")
    store.down.add("wait_for_change")
    beginning = asyncio.create_task(begun(worker))
    await asyncio.sleep(1.8)
    await store.release(key, claimed.number)
    async with asyncio.timeout(timing.CLAIM_AGAIN):
        await beginning


@virtual
async def test_a_list_that_cannot_be_read_keeps_nobody_from_connecting():
    """Another key, another format: it is begun anew."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    key = pending_list_key(LINKKIT, "default")
    claim = await store.claim(key, "somebody", 5.0, 0, b"")
    await store.commit(key, claim.number, b"\x00 what is this")
    _, params = await begun(worker)
    await worker.complete(LINKKIT, params)
