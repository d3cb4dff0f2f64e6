"""What is told of sizes is what was measured and simulated; and what a renewal is to those who only hear of it, counted."""

from __future__ import annotations

import asyncio
import json
import random

import attrs
import pytest

from benchmarks import result, scale, sizing
from benchmarks.fleet import Costs, Fleet, _jobs, most_workers, simulated
from linkauth import AuthEngine, OAuth2
from linkauth_stores.redis import RedisStore
from tests.loopback import raw, response, says

COSTS = Costs(claim=100, commit=100, start=1000, deliver=0.5, hear=50, renew=2000, record=1500)
TOKEN = response(
    json.dumps({"access_token": "canary", "token_type": "Bearer", "expires_in": 900}).encode(),
    "200 OK",
    "Content-Type: application/json",
)


def committed() -> scale.Scaled:
    return scale.read(json.loads(scale.KEPT.read_text()))


def test_the_page_says_what_was_measured():
    """Its tables are those of the committed run, which had a million credentials."""
    found = committed()
    assert sizing.into_page(scale.PAGE.read_text(), found) == scale.PAGE.read_text()
    assert "\n".join(sizing.tables(found)) in scale.PAGE.read_text()
    assert [size.credentials for size in found.sizes] == list(scale.SIZES)


def test_a_claim_costs_the_same_however_much_there_is():
    """In the committed run, in the server's processor time: the page says so."""
    few, *more = committed().sizes
    assert all(size.claim < 1.5 * few.claim for size in more)


def test_the_fleets_are_simulated_from_what_was_measured():
    """The same costs give the same fleets."""
    found = committed()
    for kept, fleet in zip(found.fleets[:2], scale.FLEETS[:2], strict=True):
        again = simulated(fleet, found.costs)
        assert again.busy == pytest.approx(kept.busy, rel=0.001)
        assert again.waits == pytest.approx(kept.waits, rel=0.05, abs=1)
        assert again.gives_out == kept.gives_out


def test_announcements_grow_with_workers_and_commands_do_not():
    """Ten times the workers: ten times the messages, and the core is busier by these alone."""
    few = simulated(Fleet(100, 100_000, 900), COSTS)
    many = simulated(Fleet(1_000, 100_000, 900), COSTS)
    assert (few.renewals, many.messages) == (many.renewals, 10 * few.messages)
    assert many.busy - few.busy == pytest.approx(few.renewals * 900 * 0.5e-6)
    assert many.waits[1] > few.waits[1]


def test_what_gives_out_first():
    """In the order in which bounds are passed; a cluster takes the keys apart, and each node has a part of the listeners."""
    fleet = Fleet(10_000, 1_000_000, 900)
    assert simulated(fleet, COSTS).gives_out == ["the Redis's core", "connections"]
    assert simulated(Fleet(10, 10_000, 3600), COSTS).gives_out == []
    assert simulated(Fleet(10, 10_000_000, 36_000), COSTS).gives_out == ["the Redis's memory"]
    apart = attrs.evolve(fleet, nodes=20)
    assert simulated(apart, COSTS).busy == pytest.approx(simulated(fleet, COSTS).busy / 20)
    assert simulated(apart, COSTS).gives_out == ["connections"]  # each worker's commands go to every node


def test_a_restart_claims_all_that_every_worker_holds():
    """Each worker connects and claims each credential that it uses; the nodes of a cluster share that."""
    fleet = Fleet(100, 1_000, 900, holders=3)
    assert simulated(fleet, COSTS).restart == pytest.approx(100 * 1000e-6 + 3 * 1_000 * 100e-6)
    assert simulated(attrs.evolve(fleet, nodes=4), COSTS).restart == pytest.approx(0.4 / 4)


def test_who_else_uses_a_credential_claims_it_too():
    """Two more holders: two more claims for each renewal, which are in the core's work and among those that wait."""
    one = Fleet(100, 1_000_000, 900)
    three = attrs.evolve(one, holders=3)
    found = simulated(three, COSTS)
    assert found.busy - simulated(one, COSTS).busy == pytest.approx(one.renewals * 2 * 100e-6)
    claims = [is_claim for _, _, is_claim in _jobs(three, COSTS, random.Random(1))]
    assert claims.count(True) == 3 * claims.count(False)


def test_as_many_workers_as_a_redis_bears():
    """At that number its core is busy to the bound, and with one more above it."""
    fleet = Fleet(1, 1_000_000, 900)
    most = most_workers(fleet, COSTS)
    assert "the Redis's core" not in simulated(attrs.evolve(fleet, workers=most), COSTS).gives_out
    assert "the Redis's core" in simulated(attrs.evolve(fleet, workers=most + 1), COSTS).gives_out


@pytest.mark.long
async def test_a_small_run():
    """All that a run does, with a few hundred credentials."""
    found = await scale.scaled((200, 400), chances=40)
    assert [size.credentials for size in found.sizes] == [200, 400]
    assert 500 < found.costs.record < 5_000
    assert scale.read(json.loads(json.dumps(result.written(found)))).sizes[0].credentials == 200
    assert len(found.fleets) == len(scale.FLEETS)


@pytest.mark.long
async def test_who_only_hears_of_a_renewal_asks_nothing(tmp_path):
    """Ten renewals are twenty scripts and ten messages; another worker, which listens, sends no command for any of them."""
    from tests.servers import Server

    server = Server(tmp_path).start()
    try:
        async with raw(says(TOKEN)) as vendor, AuthEngine(server.url) as one, AuthEngine(server.url) as other:
            mine = OAuth2(name="vendor", client_id="c", client_secret="canary", token_url=f"{vendor.url}/token")
            await one.credential(mine, "ada").token()
            await other.credential(mine, "bob").token()
            store = other.context.store_client.store
            assert isinstance(store, RedisStore)
            heard = store.changes()
            assert await anext(heard) is None  # it listens
            client = server.client()
            client.config_resetstat()
            for _ in range(10):
                await one.credential(mine, "ada").refresh()
            async with asyncio.timeout(20):
                for _ in range(10):
                    assert await anext(heard) is not None
            await heard.aclose()
            calls = {name: found["calls"] for name, found in client.info("commandstats").items()}
            client.close()
        assert calls.pop("cmdstat_publish") == 10
        sent = {
            "cmdstat_evalsha",
            "cmdstat_eval",
            "cmdstat_subscribe",
            "cmdstat_client",
            "cmdstat_hello",
            "cmdstat_ping",
        }
        assert {name: calls[name] for name in sent & calls.keys()} == {"cmdstat_evalsha": 20}
    finally:
        server.stop()
