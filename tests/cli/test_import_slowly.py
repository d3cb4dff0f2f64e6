"""``linkauth import`` of more sessions than the vendor renews in an hour: every one of them comes in, and is renewed once."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from linkauth.cli import lines
from linkauth.cli.importing import Import
from tests.engine.fakes import USER, Fault, Store, Vendor, Worker, refusal
from tests.engine.virtual import monotonic, virtual


class Counting(Vendor):
    """Takes 60 requests a minute; refuses more, and says how long to wait."""

    most = 60

    async def _answer(self, request):
        minute = int(monotonic() // 60)
        self.counts[f"minute {minute}"] += 1
        if self.counts[f"minute {minute}"] > self.most:
            self.counts["refused"] += 1
            left = 60 - monotonic() % 60
            self.faults.insert(0, Fault(refusal(429, "RATE_LIMITED", **{"Retry-After": str(int(left) + 1)})))
        return await super()._answer(request)


def elsewhere(vendor: Vendor, count: int) -> list[lines.Line]:
    """As many sessions of another program."""
    tokens = [json.loads(vendor._pair(10**6 + n, f"elsewhere-{n}").body)["data"]["refreshToken"] for n in range(count)]
    texts = [json.dumps({"account": f"user-{n}", "refresh_token": token}) for n, token in enumerate(tokens)]
    return [lines.read(number, text.encode()) for number, text in enumerate(texts, 1)]


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_more_than_the_vendor_takes_in_the_time(count: int) -> None:
    """At 60 requests a minute all are stored at once, and renewed in as many minutes as that takes; none is lost, none spent twice."""

    @virtual
    async def bring_in() -> None:
        vendor, store, counts = Counting(), Store(), Counter[str]()
        worker = Worker(store, vendor)
        own = elsewhere(vendor, count)
        work, begun = Import(worker, USER, counts, replace=False), monotonic()
        await work.store(own)
        assert (counts, vendor.counts["requests"]) == ({"stored": count}, 0)
        assert monotonic() - begun < 5
        await work.renew([line.account for line in own])
        assert counts == {"stored": count, "renewed": count}
        assert monotonic() - begun < (count / 60 + 2) * 60 * 1.5
        assert vendor.counts["reuse"] == 0
        assert vendor.counts["/auth/refresh"] - vendor.counts["refused"] == count
        assert vendor.counts["refused"] < count / 4 + 20

    bring_in()


@virtual
async def test_a_vendor_that_fails_is_left_alone_after_a_while():
    """Five failures in a row of one session: it stays stored, and is left to whoever uses it first; the next goes on."""
    vendor, counts = Vendor(), Counter[str]()
    worker = Worker(Store(), vendor)
    own = elsewhere(vendor, 1)
    work = Import(worker, USER, counts, replace=False)
    await work.store(own)
    vendor.fails(refusal(503, "DOWN"), times=99)
    await work.renew(["user-0"])
    assert counts == {"stored": 1, "left to be renewed at first use": 1}
    vendor.faults.clear()
    await work.renew(["user-0"])
    assert counts["renewed"] == 1
