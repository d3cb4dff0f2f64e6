"""A vendor that is down for five minutes costs nobody the session, and the fleet, not each worker, knocks at its door."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from linkauth.errors import LinkAuthError, NoAnswer, NotSent, VendorUnavailable
from tests.engine.fakes import USER, Fault, Store, Vendor, Worker, answer, logged_in
from tests.engine.virtual import monotonic, virtual

OUTAGE = 300.0
DOWN = {
    "refuses connections": lambda: Fault(NotSent("vendor.example: no connection came about")),
    "answers 503": lambda: Fault(answer(503, {"error": "temporarily_unavailable"})),
    "answers 502": lambda: Fault(answer(502, b"<h1>Bad Gateway</h1>")),
    "cuts connections": lambda: Fault(NoAnswer("vendor.example: the connection was cut")),
    "says nothing": lambda: Fault(NoAnswer("vendor.example: no answer in time"), delay=10.0),
}


class Down(Vendor):
    """Down until ``back`` (virtual monotonic seconds), in one way or another."""

    back = 0.0
    how = ""

    async def _answer(self, request):
        if monotonic() < self.back:
            self.faults = [DOWN[self.how]()]
        return await super()._answer(request)


@pytest.mark.slow
@pytest.mark.parametrize("begins", [100.0, 870.0], ids=["while all hold a valid token", "as the token expires"])
@pytest.mark.parametrize("how", DOWN)
@virtual
async def test_five_minutes(how, begins) -> None:
    """Whoever holds a valid token sees nothing; the others ``VendorUnavailable``, in time; then all is as before."""
    vendor, store = Down(), Store()
    vendor.how = how
    workers = [Worker(store, vendor) for _ in range(4)]
    token = await logged_in(workers[0])
    expires = monotonic() + 900
    for worker in workers:
        await worker.credential(USER).token()
    await asyncio.sleep(begins)
    vendor.back = monotonic() + OUTAGE
    errors: list[tuple[float, LinkAuthError]] = []

    async def caller(worker: Worker) -> None:
        while monotonic() < vendor.back + 75:
            begun = monotonic()
            try:
                await worker.credential(USER).token()
            except LinkAuthError as error:
                errors.append((begun, error))
            assert monotonic() - begun <= 11.1
            await asyncio.sleep(1)

    await asyncio.gather(*(caller(worker) for worker in workers for _ in range(3)))
    assert {type(error) for _, error in errors} <= {VendorUnavailable, NotSent, NoAnswer}
    # A flight of ten seconds may have begun at the last moment, and a minute's distance begins where it ends.
    assert not [at for at, _ in errors if at < expires - 11 or at > vendor.back + 71]
    assert bool(errors) == (begins + OUTAGE > 900)
    times = [at for at, path, _ in vendor.sent if path == "/auth/refresh"]
    assert vendor.counts["reuse"] == 0
    assert len([at for at in times if at >= vendor.back]) == (1 if begins > 800 else 0)
    # One flight at a time in the whole fleet, and growing gaps between them: no more than one worker would knock.
    # A dozen flights over the whole fleet, with gaps that grow to a minute, of six tries at the most.
    flights = 1 + sum(later - earlier > 4.0 for earlier, later in pairwise(times))
    assert flights <= 20
    assert len(times) <= 80
    for worker in workers:
        assert (await worker.credential(USER).token()).refresh_token == (await token.token()).refresh_token
