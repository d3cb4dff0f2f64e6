"""Keep-alive with real processes: the one that makes the rounds is killed, and no pairing lapses."""

from __future__ import annotations

import asyncio

import pytest

from tests.fleet.fleet import Fleet, until

REFRESH_LIFETIME = 8.0


@pytest.mark.long
@pytest.mark.parametrize("kind", ["file", "redis"])
async def test_the_round_goes_on_when_its_maker_is_killed(nursery, sandbox, tmp_path, request, kind) -> None:
    """Pairings with Sage X3 that would lapse after 8 s outlive that, though the first to renew is killed at once."""
    store = f"file:{tmp_path / 'store'}" if kind == "file" else request.getfixturevalue("valkey").url
    sage = sandbox.sagex3
    sage.settings.refresh_lifetime = REFRESH_LIFETIME
    vendor = {"class": "SageX3", "client_id": sage.client_id, "client_secret": sage.client_secret}
    vendor |= {"base_url": sage.base_url, "customer": sage.customer}
    # A file store knows at once that a lease's owner is dead; on Redis it has to end.
    constants = {"keep_alive.PACE": 0.1, **({"keep_alive.LEASE": 1.0} if kind == "redis" else {})}
    async with Fleet(nursery, store=store, vendor=vendor, constants=constants) as fleet:
        workers = await fleet.grow(3)
        names = [f"account{number}" for number in range(6)]
        for name in names:
            callback = sage.consent(await workers[0].ask("authorize", account=name))
            await workers[0].ask("complete", params=callback.params, account=name)
        lapsed = asyncio.get_running_loop().time() + REFRESH_LIFETIME
        for worker in workers:
            worker.ask("keep_alive", every=0.3, rounds=1000)

        heard: list[int] = []

        async def renewed() -> bool:
            heard[:] = [(await worker.ask("state"))["heard"].get("renewed", 0) for worker in workers]
            return any(heard)

        await until(renewed)
        assert sum(map(bool, heard)) == 1
        maker = workers[heard.index(max(heard))]
        maker.kill()
        await asyncio.sleep(lapsed + 0.5 - asyncio.get_running_loop().time())
        newcomer = await fleet.worker()
        for name in names:
            sage.tokens.check((await newcomer.ask("refresh", account=name))["access_token"])
    assert sage.counts["refresh_reuse"] == 0
    assert sage.counts["token_at_once"] == 1
