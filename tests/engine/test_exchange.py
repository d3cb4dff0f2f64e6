"""One conversation with a vendor, and the one time limit over all of it."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from linkauth.engine.exchange import Exchange
from linkauth.errors import NotSent
from linkauth.oauth.exchange import Request
from linkauth.protocol.freshness import StoreTime
from linkauth.vendors.vendor import KEEPS
from tests.engine.fakes import Store, Vendor, Worker, answer
from tests.engine.virtual import monotonic, virtual, wall


@virtual
async def test_a_flow_of_several_requests_has_one_time_limit():
    """The first answer came at the last moment: the second request is not sent, so nobody has to guess what it did."""
    sent = []

    async def send(request, seconds):
        sent.append(seconds)
        await asyncio.sleep(10)
        return answer(200, {})

    def flow():
        yield Request(method="GET", url="https://vendor.example/1")
        yield Request(method="GET", url="https://vendor.example/2")

    async def begin():
        return flow()

    world = attrs.evolve(Worker(Store(), Vendor()).context.world, send=send)
    time = StoreTime(wall(), monotonic(), monotonic())
    exchange = Exchange(world, time, begin, limit=10, profile=KEEPS, single_use=True)
    with pytest.raises(NotSent, match="time for one exchange"):
        await exchange.run()
    assert sent == [10]
    assert not exchange.in_doubt
