"""A client secret that one worker has replaced is known to the others before each token request that they begin after it."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from linkauth.errors import StoreUnavailable, VendorUnavailable
from linkauth.protocol.keys import limit_key, secret_key
from linkauth.protocol.records import SecretRecord
from linkauth.store import Change
from tests.engine.announcing import Telling
from tests.engine.fakes import UNSTATED, Store, Vendor, Worker
from tests.engine.virtual import monotonic, virtual

KEY = secret_key(UNSTATED)


class Stepwise(Telling):
    """A store whose claims wait to be made, and then to be answered; and that announces a secret when it is told to."""

    def __init__(self, *, announces: bool = True) -> None:
        super().__init__()
        self.steps: dict[str, asyncio.Event] = {}
        if not announces:
            self.changes = None

    def __getattr__(self, name: str) -> Any:
        if name == "commit":
            return Store.__getattr__(self, name)  # which tells nobody by itself
        method = super().__getattr__(name)
        if name != "claim":
            return method

        async def claim(key: str, *args: Any) -> Any:
            if key.startswith("token/") and self.steps:
                await self.steps["claim"].wait()
            found = await method(key, *args)
            if key.startswith("token/") and self.steps:
                await self.steps["send"].wait()
            return found

        return claim


class Silent(Stepwise):
    """Such a one that announces nothing, as files do."""

    changes = property()  # type: ignore[assignment]  # so that nobody finds it


ORDERS = sorted(set(itertools.permutations(["kill", "store", "hear", "claim", "send"])))
ORDERS = [
    order
    for order in ORDERS
    if order.index("kill") < order.index("store") < order.index("hear") and order.index("claim") < order.index("send")
]


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
@pytest.mark.parametrize("kind", [Stepwise, Silent], ids=["announced", "looked for"])
@virtual
async def test_every_order_of_a_rotation_and_a_request(kind, order):
    """Who sends between the vendor's act and the news is refused once, and goes on with the new one; nobody else is.

    Nor is anybody held back for it.
    """
    store, vendor = kind(), Vendor()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    credential = worker.credential(UNSTATED)
    await credential.token()
    await worker.credential(UNSTATED, "another").token()
    lease = await store.inner.claim(KEY, "who rotates", 60, 0, b"")
    value = other.context.codec.close(KEY, lease.number, SecretRecord(vendor=UNSTATED.name, client_secret="new"))
    store.steps = {"claim": asyncio.Event(), "send": asyncio.Event()}
    caller = asyncio.create_task(credential.refresh())
    vendor.sent.clear()
    for step in order:
        await asyncio.sleep(0.01)
        if step == "kill":
            vendor.secret = "new"
        elif step == "store":
            await store.inner.commit(KEY, lease.number, value)
        elif step == "hear":
            store.tell(Change(KEY, lease.number))
        else:
            store.steps[step].set()
    assert (await caller).access_token
    news = "hear" if kind is Stepwise else "store"
    refused = order.index("kill") < order.index("send") < order.index(news)
    shown = [secret for _, _, secret in vendor.sent]
    expected = ["first-secret", "new"] if refused else ["new"]
    if order.index("send") < order.index("kill"):
        expected = ["first-secret"]
    assert shown == expected
    vendor.sent.clear()
    begun = monotonic()
    assert (await worker.credential(UNSTATED, "another").refresh()).access_token
    assert [secret for _, _, secret in vendor.sent] == ["new"]
    assert monotonic() == begun
    assert (await store.inner.read(limit_key(UNSTATED))).record is None


@virtual
async def test_a_second_try_shows_the_newest_secret():
    """The first try of a request failed, and the secret was rotated in the pause before the second: that is not refused."""
    store, vendor = Telling(), Vendor()
    asking, rotating = Worker(store, vendor).credential(UNSTATED), Worker(store, vendor).credential(UNSTATED, "another")
    await asking.token()
    await rotating.token()
    vendor.fails(VendorUnavailable("busy", retry_after=4.0))
    caller = asyncio.create_task(asking.refresh())
    await asyncio.sleep(1)
    await rotating.rotate_secret()
    vendor.sent.clear()
    assert (await caller).access_token
    assert [secret for _, _, secret in vendor.sent] == [vendor.secret]


@virtual
async def test_a_rotation_is_known_to_all_who_ask_at_once():
    """Twenty accounts renew at the moment of the announcement: no one goes on without waiting for the look of another."""
    store, vendor = Telling(), Vendor()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    accounts = [worker.credential(UNSTATED, f"account{number}") for number in range(20)]
    for each in accounts:
        await each.token()
    await other.credential(UNSTATED).rotate_secret()
    read = store.inner.read

    async def reads_slowly(key: str) -> Any:
        await asyncio.sleep(0.5 if key == KEY else 0)
        return await read(key)

    store.inner.read = reads_slowly
    vendor.sent.clear()
    await asyncio.gather(*(each.refresh() for each in accounts))
    assert {secret for _, _, secret in vendor.sent} == {vendor.secret}


@virtual
async def test_what_is_announced_while_the_store_is_read_is_read_again():
    """What was read may be from before it: a second try shows the newest secret."""
    store, vendor = Telling(), Vendor()
    asking, rotating = Worker(store, vendor).credential(UNSTATED), Worker(store, vendor).credential(UNSTATED, "another")
    await asking.token()
    await rotating.token()
    read = store.inner.read

    async def reads_slowly(key: str) -> Any:
        store.inner.read = read
        found = await read(key)
        await asyncio.sleep(1)
        return found

    store.tell(Change(KEY, 1))  # it is not so
    await asyncio.sleep(0.1)
    store.inner.read = reads_slowly
    vendor.sent.clear()
    caller = asyncio.create_task(asking.refresh())
    await asyncio.sleep(0.5)
    await rotating.rotate_secret()
    vendor.fails(VendorUnavailable("busy"))
    assert (await caller).access_token
    assert [secret for _, path, secret in vendor.sent if path == "/oauth/token"] == ["first-secret", vendor.secret]


@virtual
async def test_what_was_announced_while_nobody_could_hear_is_looked_for():
    """The subscription broke, and another worker rotated before it was there again."""
    store, vendor = Telling(), Vendor()
    credential, other = Worker(store, vendor).credential(UNSTATED), Worker(store, vendor).credential(UNSTATED)
    await credential.token()
    await other.token()
    store.tell(ConnectionError("cut off"))
    await asyncio.sleep(0.1)
    await other.rotate_secret()
    vendor.sent.clear()
    await credential.refresh()
    assert [secret for _, _, secret in vendor.sent] == [vendor.secret]


@virtual
async def test_what_may_have_been_missed_is_looked_for_after_the_subscription_is_back():
    """The store says that something may have been missed: it was this client's secret."""
    store, vendor = Telling(), Vendor()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    credential = worker.credential(UNSTATED)
    await credential.token()
    vendor.secret = "new"
    value = other.context.codec.close(KEY, 1, SecretRecord(vendor=UNSTATED.name, client_secret="new"))
    await store.inner.commit(KEY, 1, value)
    store.tell(None)
    await asyncio.sleep(0.1)
    vendor.sent.clear()
    await credential.refresh()
    assert [secret for _, _, secret in vendor.sent] == ["new"]


@virtual
async def test_nothing_is_looked_for_where_nothing_was_announced():
    """A renewal costs a store that announces its changes two steps: the claim and the commit."""
    store, vendor = Telling(), Vendor()
    credential = Worker(store, vendor).credential(UNSTATED)
    await credential.token()
    store.counts.clear()
    await credential.refresh()
    assert store.counts == {"claim": 1, "commit": 1}


@virtual
async def test_a_look_that_fails_is_made_again():
    """The store was away for the look alone: the request goes with what is known, and the next one looks."""
    store, vendor = Telling(), Vendor()
    credential, other = Worker(store, vendor).credential(UNSTATED), Worker(store, vendor).credential(UNSTATED)
    await credential.token()
    await other.rotate_secret()
    looks = iter([StoreUnavailable("away")])

    async def fails_once(name: str) -> None:
        if name == "read" and (error := next(looks, None)) is not None:
            raise error

    store.before = fails_once
    assert (await credential.refresh()).access_token  # refused once, and looked again
    vendor.sent.clear()
    await credential.refresh()
    assert [secret for _, _, secret in vendor.sent] == [vendor.secret]


@virtual
async def test_a_store_that_hangs_is_not_asked_for_a_secret_as_well():
    """The claim has waited for it in vain: what is left of the caller's time is the vendor's."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(UNSTATED)
    await credential.token()
    store.hung.add("*")
    begun = monotonic()
    assert (await credential.refresh()).access_token
    assert monotonic() - begun == 5
