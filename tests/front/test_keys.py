"""Keys that are changed under a fleet that works: processes of their own, on a folder and on a real Redis."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from linkauth import AuthEngine
from linkauth.protocol.keys import first_seen_key
from linkauth.protocol.records import FirstSeenRecord

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.front.vendors import Vendors
    from tests.front.worker import Worker

OLD, NEW = (b64encode(bytes([at]) * 32).decode() for at in (1, 2))
DAY = 86400.0


@pytest.mark.long
async def test_a_key_is_changed_in_two_rounds(
    url: str, vendors: Vendors, process: Callable[..., Awaitable[Worker]]
) -> None:
    """Readable everywhere, then written, then all of it, then the old one goes: nobody sees an error, no session is lost."""
    xg = vendors.sandbox.linkxg
    user, client = ({"vendor": (name, vendors.arguments[name])} for name in ("LinkXGUser", "LinkXG"))
    quiet: dict[str, Any] = {**user, "account": "quiet"}
    async with AuthEngine(url, keys=[OLD]) as engine:
        for account in ("default", "quiet"):
            await vendors.connect(engine.credential(vendors.make("LinkXGUser"), account))
        await engine.credential(vendors.make("LinkXG")).rotate_secret()
    before = await process(keys=[OLD])
    readable = await process(keys=[OLD, NEW])
    for worker in (before, readable):
        assert isinstance(await worker("refresh", **user), str)
    written = await process(keys=[NEW, OLD])
    for worker in (written, readable, written):  # each has to read what the other wrote
        assert isinstance(await worker("refresh", **user), str)
        assert isinstance(await worker("refresh", **client), str)
    async with AuthEngine(url, keys=[NEW, OLD]) as engine:
        written.order("refresh", **user)
        readable.order("refresh", **client)
        await engine.reseal()
        assert isinstance(await written.answer(), str)
        assert isinstance(await readable.answer(), str)
        await engine.reseal()  # what the first round's worker wrote meanwhile
        assert len({status.key_id async for status in engine.statuses()}) == 1
    after = await process(keys=[NEW])
    for order in (user, quiet, client, {**client, "account": "another"}):
        assert isinstance(await after("refresh", **order), str)
    assert xg.counts["reuse"] == 0


@pytest.mark.long
async def test_half_a_fleet_without_the_key(
    url: str, vendors: Vendors, process: Callable[..., Awaitable[Worker]]
) -> None:
    """LinkXG's client goes on, each for itself; a user's session says which key is missing, and is untouched."""
    user, client = ({"vendor": (name, vendors.arguments[name])} for name in ("LinkXGUser", "LinkXG"))
    async with AuthEngine(url, keys=[NEW, OLD]) as engine:
        session = engine.credential(vendors.make("LinkXGUser"))
        await vendors.connect(session)
        shared = await engine.credential(vendors.make("LinkXG")).token()
        (key_id,) = {status.key_id async for status in engine.statuses()}
        lacking = [await process(keys=[OLD]) for _ in range(2)]
        tokens = {await worker("token", **client) for worker in lacking}
        assert len(tokens) == 2
        told = await lacking[0]("token", **user)
        assert told["error"] == "CorruptRecord"
        assert f"key {key_id}" in told["words"]
        assert await engine.credential(vendors.make("LinkXG")).token() == shared
        assert (await session.refresh()).access_token
    assert vendors.sandbox.linkxg.counts["reuse"] == 0


@pytest.mark.long
async def test_a_fleet_rotates_an_old_secret_once(
    url: str, vendors: Vendors, process: Callable[..., Awaitable[Worker]]
) -> None:
    """Three processes make rounds at the same time: one rotates, and all go on with the new secret."""
    xg, client = vendors.sandbox.linkxg, {"vendor": ("LinkXG", vendors.arguments["LinkXG"])}
    async with AuthEngine(url, keys=[OLD]) as engine:
        key = first_seen_key(vendors.make("LinkXG"))
        reading = await engine.context.store_client.store.read(key)
        seen = FirstSeenRecord(vendor="linkxg", at=reading.now - 100 * DAY)
        await engine.context.store_client.store.commit(key, 1, engine.context.codec.close(key, 1, seen))
    workers = [await process(keys=[OLD]) for _ in range(3)]
    for worker in workers:
        worker.order("keep", **client, every=0.0, rotate_secrets_after=90 * DAY)
    assert [await worker.answer() for worker in workers] == [0, 0, 0]
    assert xg.counts["rotations"] == 1
    for worker in workers:
        assert isinstance(await worker("refresh", account="another", **client), str)
    async with AuthEngine(url, keys=[OLD]) as engine:
        told = [status async for status in engine.statuses() if status.key.startswith("secret/")]
    assert [reading.now - 60 <= (status.secret_rotated_at or 0) <= status.now for status in told] == [True]


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_environments_with_prefixes_do_not_see_each_other(url: str, vendors: Vendors) -> None:
    """Two keys, two prefixes, one Redis: each has its token, and what each finds it can read."""
    staging = url.replace("prefix=t", "prefix=staging-t")
    async with AuthEngine(url, keys=OLD) as one, AuthEngine(staging, keys=NEW) as other:
        await asyncio.gather(*(each.credential(vendors.make("LinkXG")).token() for each in (one, other)))
        for each in (one, other):
            assert [status.error async for status in each.statuses()] == [""]
            assert await each.reseal() == 0
    assert vendors.sandbox.linkxg.counts["client_credentials"] == 2
