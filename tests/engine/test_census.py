"""What a round of keep-alive counts on its way: how many live, fail or need their user, and when the first lapses."""

from __future__ import annotations

from linkauth.engine.probe import Census, Probe
from linkauth.errors import VendorUnavailable
from tests.engine.fakes import LATER, USER, Store, Vendor, Worker, answer, logged_in
from tests.engine.virtual import virtual, wall

WEEK = 7 * 86400.0


class Counting(Probe):
    """Keeps the last count."""

    found: dict[str, Census]

    def counted(self, found, every, now) -> None:
        self.found, self.every, self.now = dict(found), every, now


@virtual
async def test_each_credential_is_counted_as_it_was_found() -> None:
    """One that is well, one whose vendor failed, one that was logged out, one that cannot be read: of each vendor, by the store's clock."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    worker.context.event_log.probe = probe = Counting()
    begun = wall()
    await logged_in(worker, "well")
    failing = await logged_in(worker, "failing")
    vendor.fails(answer(503, {}), times=9)
    try:
        await failing.refresh()
    except VendorUnavailable:
        vendor.faults.clear()
    await (await logged_in(worker, "gone")).logout()
    torn = await logged_in(worker, "torn")
    await store.inner.commit(torn.replica.key, LATER, b"torn")
    await worker.keep_alive(USER, every=60.0, rounds=1)
    (census,) = probe.found.values()
    assert (census.well, census.failing, census.needs_user) == (1, 2, 1)
    assert census.lapses_at is not None
    assert abs(census.lapses_at - (begun + WEEK)) < 60
    assert probe.every == 60.0
    assert abs(probe.now - wall()) < 60


@virtual
async def test_a_store_with_nothing_in_it() -> None:
    """Is counted, too: of no vendor."""
    worker = Worker(Store(), Vendor())
    worker.context.event_log.probe = probe = Counting()
    await worker.keep_alive(USER, every=60.0, rounds=1)
    assert probe.found == {}
