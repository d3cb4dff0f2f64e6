"""Keep-alive with real processes: the one that makes the rounds is killed, and no pairing lapses."""

from __future__ import annotations

import asyncio
import time

import attrs
import pytest

from linkauth import AuthEngine, SageX3, Token
from linkauth.protocol.keys import token_key
from linkauth.protocol.records import TokenRecord
from tests.fleet.conftest import SHORT
from tests.fleet.fleet import Fleet

pytestmark = pytest.mark.long

CALLBACK = "http://127.0.0.1:8080/connect/sagex3/callback"
REFRESH_LIFETIME = 12.0


@pytest.mark.parametrize("kind", ["file", "redis"])
async def test_the_round_goes_on_when_its_maker_is_killed(nursery, sandbox, tmp_path, request, kind) -> None:
    """Six pairings that would lapse after 12 s outlive that, though the keeper is killed while the vendor has its second request."""
    store = f"file:{tmp_path / 'store'}" if kind == "file" else request.getfixturevalue("valkey").url
    sage = sandbox.sagex3
    sage.settings.refresh_lifetime = REFRESH_LIFETIME
    vendor = {"class": "SageX3", "client_id": sage.client_id, "client_secret": sage.client_secret}
    vendor |= {"base_url": sage.base_url, "customer": sage.customer}
    order = {"engine": {"timeout": 1.0}, "constants": {**SHORT, "ROUND_PACE": 0.1, "ROUND_LEASE": 1.0}}
    async with Fleet(nursery, store=store, vendor=vendor, **order) as fleet:
        workers = await fleet.grow(3)
        names = [f"account{number}" for number in range(6)]
        for name in names:
            callback = sage.consent(await workers[0].ask("authorize", account=name))
            await workers[0].ask("complete", params=callback.params, account=name)
        lapsed = asyncio.get_running_loop().time() + REFRESH_LIFETIME
        with sage.hold("token", skip=1, times=1, drop=True) as second:
            for worker in workers:
                worker.ask("keep_alive", every=0.3, rounds=1000)
            await second.arrived()
            renewed = [(await worker.ask("state"))["heard"].get("renewed", 0) for worker in workers]
            assert sorted(renewed) == [0, 0, 1]
            workers[renewed.index(1)].kill()
        await asyncio.sleep(lapsed + 0.5 - asyncio.get_running_loop().time())
        newcomer = await fleet.worker()
        for name in names:
            sage.tokens.check((await newcomer.ask("refresh", account=name))["access_token"])
    assert sage.counts["refresh_reuse"] == 0
    assert sage.counts["token_at_once"] == 1


@pytest.mark.timeout(900)
async def test_a_hundred_thousand_in_redis(nursery, sandbox, valkey) -> None:
    """A round over 100,000 records on a real server, a hundred of them due: those are renewed, and none is kept in mind."""
    sage = sandbox.sagex3
    arguments = {"client_id": sage.client_id, "client_secret": sage.client_secret}
    arguments |= {"base_url": sage.base_url, "customer": sage.customer}
    vendor = SageX3(**arguments)
    count, due = 100_000, 100
    async with AuthEngine(valkey.url) as engine:
        for number in range(due):
            credential = engine.credential(vendor, f"due{number}")
            await credential.complete(sage.consent(await credential.authorization_url(CALLBACK)).params)
            token = await credential.token()
            old = attrs.evolve(token, issued_at=token.issued_at - 2e6, refresh_expires_at=token.issued_at + 5e5)
            await write(engine, vendor, f"due{number}", old, await version(engine, vendor, f"due{number}") + 1)
        now = time.time()
        ends = {"expires_at": now + 300, "refresh_expires_at": now + 2e6}
        fresh = Token(access_token="access", refresh_token="refresh", issued_at=now, **ends)

        async def fill(numbers: range) -> None:
            for number in numbers:
                await write(engine, vendor, f"account{number}", fresh, 1)

        await asyncio.gather(*(fill(range(start, count, 50)) for start in range(50)))
    order = {"vendor": {"class": "SageX3", **arguments}, "constants": {"ROUND_PACE": 0.01}}
    async with Fleet(nursery, store=valkey.url, **order) as fleet:
        worker = await fleet.worker()
        await worker.ask("keep_alive", every=0.01, rounds=0)
        before, begun = worker.memory(), time.monotonic()
        renewed = await worker.ask("keep_alive", every=3600.0, rounds=1)
        grown = worker.memory() - before
    print(f"\n{count + due} records, {renewed} renewed in {time.monotonic() - begun:.0f} s, {grown:.1f} MB more")
    assert renewed == due
    assert grown < 30


async def version(engine: AuthEngine, vendor: SageX3, account: str) -> int:
    """Of the record that the store has for ``account``."""
    record = (await engine.context.store_client.store.read(token_key(vendor, account))).record
    assert record is not None
    return record.version


async def write(engine: AuthEngine, vendor: SageX3, account: str, token: Token, version: int) -> None:
    """Have the store hold ``token`` for ``account``."""
    key = token_key(vendor, account)
    record = TokenRecord(vendor=vendor.name, account=account, token=token)
    await engine.context.store_client.store.commit(key, version, engine.context.codec.close(key, version, record))
