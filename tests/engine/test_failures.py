"""The vendor fails: callers share the failure, the vendor is left alone, and who has a valid token sees nothing."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import (
    CorruptRecord,
    InvalidClient,
    InvalidScope,
    LinkAuthError,
    MalformedResponse,
    NoAnswer,
    NotSent,
    RateLimited,
    ReauthorizationRequired,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.protocol.intent import Note
from linkauth.protocol.keys import secret_key
from tests.engine.fakes import CLIENT, LATER, USER, Fault, Store, Vendor, Worker, answer, logged_in, refusal
from tests.engine.virtual import monotonic, virtual

DOWN = answer(500, b"<h1>oops</h1>")


@virtual
async def test_callers_share_the_failures_of_a_vendor_that_answers_500():
    """A thousand callers over a minute of 500: each fails in time, and the vendor sees a handful of requests."""
    vendor = Vendor()
    vendor.fails(DOWN, times=1000)
    credential = Worker(Store(), vendor).credential(CLIENT)
    errors = []

    async def caller(after: float) -> None:
        await asyncio.sleep(after)
        before = monotonic()
        try:
            await credential.token()
        except VendorUnavailable as error:
            errors.append(error)
        assert monotonic() - before <= 11.1

    await asyncio.gather(*(caller(number * 0.06) for number in range(1000)))
    assert len(errors) == 1000
    assert len({id(error) for error in errors}) == 1000
    assert vendor.counts["requests"] < 45
    gaps = [after[0] - before[0] for before, after in zip(vendor.sent, vendor.sent[1:], strict=False)]
    assert min(gaps) >= 0.12


@virtual
async def test_after_an_outage_the_first_caller_in_time_gets_a_token():
    """When the vendor is back nobody is kept off longer than the gap that was agreed on."""
    vendor = Vendor()
    vendor.fails(DOWN, times=8)
    credential = Worker(Store(), vendor).credential(CLIENT)
    before = monotonic()
    while True:
        try:
            await credential.token()
            break
        except VendorUnavailable as error:
            await asyncio.sleep((error.retry_after or 1000) + 0.01)
    assert monotonic() - before < 40


@virtual
async def test_a_failure_behind_is_kept_off_the_callers():
    """From ``soft`` to ``hard`` the renewal fails and fails: everybody gets the token that is still good, at once."""
    vendor = Vendor()
    worker = Worker(Store(), vendor)
    credential = worker.credential(CLIENT)
    token = await credential.token()
    vendor.fails(DOWN, times=100)
    while monotonic() < 1000 + 839:
        before = monotonic()
        assert await credential.token() == token
        assert monotonic() == before
        await asyncio.sleep(0.5)
    assert 2 < vendor.counts["requests"] < 60
    assert "failed" in worker.heard()


@virtual
async def test_past_its_margin_a_token_serves_while_nothing_better_is_to_be_had():
    """Between ``hard`` and the end callers get the old token when the renewal fails, and an error only after the end."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(CLIENT)
    token = await credential.token()
    await asyncio.sleep(850)
    vendor.fails(DOWN, times=100)
    assert await credential.token() == token
    await asyncio.sleep(51)
    with pytest.raises(VendorUnavailable):
        await credential.token()


@virtual
async def test_nobody_waits_while_a_token_is_served_and_the_renewal_hangs():
    """A vendor that accepts and never answers holds up nobody before ``hard``."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(CLIENT)
    token = await credential.token()
    await asyncio.sleep(790)
    gate = vendor.holds()
    before = monotonic()
    assert await credential.token() == token
    assert await credential.token() == token
    assert monotonic() == before
    await asyncio.sleep(1)
    gate.set()
    await asyncio.sleep(1)
    assert await credential.token() != token


@virtual
async def test_retry_after_is_honoured():
    """429 with 7 s: the same flight asks again after 7 s, not earlier."""
    vendor = Vendor()
    vendor.fails(answer(429, {"error": "rate_limit_exceeded"}, **{"retry-after": "7"}))
    await Worker(Store(), vendor).credential(CLIENT).token()
    assert vendor.sent[1][0] - vendor.sent[0][0] == pytest.approx(7)


@pytest.mark.parametrize("status", [429, 503])
@virtual
async def test_retry_after_nothing_is_not_taken_as_leave_to_hammer(status):
    """``Retry-After: 0`` again and again: the gaps still grow."""
    vendor = Vendor()
    vendor.fails(answer(status, {"error": "slow_down"}, **{"retry-after": "0"}), times=10_000)
    with pytest.raises(LinkAuthError):
        await Worker(Store(), vendor).credential(CLIENT).token()
    assert vendor.counts["requests"] < 10


@virtual
async def test_a_long_retry_after_fails_now_and_is_capped():
    """429 with a day: callers are told at once, the fleet asks again after five minutes, and not before."""
    store, vendor = Store(), Vendor()
    vendor.fails(answer(429, {"error": "rate_limit_exceeded"}, **{"retry-after": "86400"}))
    workers = [Worker(store, vendor), Worker(store, vendor)]
    with pytest.raises(RateLimited) as caught:
        await workers[0].credential(CLIENT).token()
    assert caught.value.retry_after == 86400
    assert monotonic() == pytest.approx(1000, abs=0.1)
    for worker in workers:
        with pytest.raises(RateLimited) as caught:
            await worker.credential(CLIENT).token()
        assert caught.value.retry_after == pytest.approx(300, abs=1)
    await asyncio.sleep(290)
    for worker in workers:
        with pytest.raises(RateLimited):
            await worker.credential(CLIENT).token()
    assert vendor.counts["requests"] == 1
    await asyncio.sleep(11)
    assert (await workers[0].credential(CLIENT).token()).access_token


@pytest.mark.slow
@virtual
async def test_the_distance_is_the_fleets():
    """Ten workers, one failing vendor: one attempt per interval, and each worker raises what the one was told."""
    store, vendor = Store(), Vendor()
    vendor.fails(answer(400, {"error": "invalid_scope", "error_description": "no such scope"}), times=1000)
    workers = [Worker(store, vendor) for _ in range(10)]

    async def ask(worker: Worker) -> None:
        for _ in range(60):
            with pytest.raises(InvalidScope, match="no such scope"):
                await worker.credential(CLIENT).token()
            await asyncio.sleep(1)

    await asyncio.gather(*map(ask, workers))
    assert vendor.counts["requests"] <= 12
    gaps = [after[0] - before[0] for before, after in zip(vendor.sent, vendor.sent[1:], strict=False)]
    assert min(gaps) >= 0.5
    assert max(gaps) > 10


@virtual
async def test_who_hears_of_the_distance_holds_nobody_up():
    """It gives the lease back and leaves the note where it was: the next one hears of it as soon."""
    store, vendor = Store(), Vendor()
    vendor.fails(answer(400, {"error": "invalid_scope"}))
    begun = monotonic()
    for _ in range(3):
        with pytest.raises(InvalidScope):
            await Worker(store, vendor).credential(CLIENT).token()
    assert (monotonic(), vendor.counts["requests"]) == (begun, 1)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (NotSent("no connection"), NotSent),
        (NoAnswer("cut off"), NoAnswer),
        (DOWN, VendorUnavailable),
        (answer(429, {}), RateLimited),
    ],
)
@virtual
async def test_what_passes_is_tried_again_within_one_flight(fault, kind):
    """A hiccup costs a moment, not an error; an outage is its own class."""
    vendor = Vendor()
    vendor.fails(fault, times=2)
    assert (await Worker(Store(), vendor).credential(CLIENT).token()).access_token
    vendor.fails(fault, times=1000)
    with pytest.raises(kind):
        await Worker(Store(), vendor).credential(CLIENT).token()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (answer(401, {"error": "invalid_client"}), InvalidClient),
        (answer(200, b"<html>"), MalformedResponse),
        (answer(200, {"access_token": "a", "token_type": "Bearer"}), MalformedResponse),
    ],
)
@virtual
async def test_what_asking_again_does_not_mend_is_asked_once(fault, kind):
    """A refusal or an answer that cannot be read is not repeated within the flight."""
    vendor = Vendor()
    vendor.fails(fault, times=1000)
    with pytest.raises(kind):
        await Worker(Store(), vendor).credential(CLIENT).token()
    assert vendor.counts["requests"] == 1


@virtual
async def test_each_waiter_gets_an_error_of_its_own_without_a_history():
    """Waiters do not share a traceback, and none of them carries the frames in which the secrets were."""
    vendor = Vendor()
    vendor.fails(answer(401, {"error": "invalid_client"}))
    credential = Worker(Store(), vendor).credential(CLIENT)
    errors = await asyncio.gather(*(credential.token() for _ in range(10)), return_exceptions=True)
    assert len({id(error) for error in errors}) == 10
    for error in errors:
        assert isinstance(error, InvalidClient)
        assert error.__cause__ is None
        assert error.__context__ is None


@virtual
async def test_an_adapters_mistake_holds_nobody_up():
    """A vendor class that raises what it should not: the error comes out, the lease does not stay taken."""

    class Broken(type(USER)):
        def renew(self, current):
            raise ZeroDivisionError
            yield

    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor))
    broken = Worker(store, vendor).credential(Broken(base_url=USER.base_url))
    await broken.token()
    with pytest.raises(ZeroDivisionError):
        await broken.refresh()
    claim = await store.claim(broken.replica.key, "next", 10, LATER, b"")
    assert type(claim).__name__ == "Granted"


@virtual
async def test_a_broken_secret_record_holds_nobody_up(caplog):
    """A client secret in the store that cannot be read is told at once by each worker, which goes on with the one it was given.

    Should the vendor refuse that one, the error says which record has the one that is needed.
    """
    store, vendor = Store(), Vendor()
    claim = await store.claim(secret_key(CLIENT), "x", 1, 0, b"")
    await store.commit(secret_key(CLIENT), claim.number, b"{broken")
    before = monotonic()
    for account in ("one", "other"):
        credential = Worker(store, vendor).credential(CLIENT, account)
        await credential.token()
    assert caplog.text.count("the one that is known here: record secret/") == 2
    await credential.refresh()
    assert caplog.text.count("the one that is known here: record secret/") == 2  # which looked, and has said it
    assert vendor.counts["requests"] == 3
    vendor.secret = "another"
    with pytest.raises(CorruptRecord, match=r"record secret/.*refused the secret that this program was given"):
        await Worker(store, vendor).credential(CLIENT).token()
    assert vendor.counts["requests"] == 4
    assert monotonic() - before < 1


@virtual
async def test_the_last_try_is_given_time():
    """A vendor that takes a while to say 500: no try is begun that would be cut off, which would be doubt for nothing."""
    store, vendor = Store(), Vendor()
    for delay in (0.1, 0.3, 0.5, 0.7, 0.9):
        vendor.delay = delay
        worker = Worker(store, vendor)
        credential = await logged_in(worker)
        vendor.fails(DOWN, times=50)
        with pytest.raises(VendorUnavailable, match="500"):
            await credential.refresh()
        vendor.faults.clear()
        assert Note.decode((await store.read(credential.replica.key)).note).doubt == ""


@virtual
async def test_a_user_vendor_that_fails_leaves_the_session_alone():
    """500s and time-outs before the vendor acted: the session lives, nothing is spent twice."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    await asyncio.sleep(901)
    vendor.fails(DOWN, refusal(503, "DOWN"), NotSent("no connection"))
    assert (await credential.token()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_no_refresh_token_is_sent_without_the_time_for_an_answer():
    """A vendor that said 503 late and then takes its time: the try that would be cut off is left to the next flight."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.faults += [Fault(refusal(503, "DOWN"), delay=6), Fault(acts=True, delay=4)]
    with pytest.raises(VendorUnavailable, match="503"):
        await credential.refresh()
    await asyncio.sleep(5)
    assert (await credential.refresh()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_no_refresh_token_is_sent_by_who_was_stopped_for_most_of_the_time():
    """Stopped in the pause before another try: what is left would not do for an answer, so nothing is sent."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    vendor.faults += [Fault(refusal(503, "DOWN")), Fault(acts=True, delay=4)]
    renewing = asyncio.create_task(credential.refresh())
    await asyncio.sleep(0.05)  # of the quarter of a second, less its jitter
    worker.slept -= 8
    with pytest.raises(VendorUnavailable, match="503"):  # what the vendor said, and not that there was no time left
        await renewing
    await asyncio.sleep(20)
    assert (await credential.refresh()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_after_an_adapter_failed_it_is_left_alone_for_a_second():
    """What it raised comes out once; whoever asks within the second is told that the renewal failed, and nobody is asked."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    vendor.fails(ValueError("what the adapter should not raise"))
    with pytest.raises(ValueError, match="should not"):
        await credential.token()
    await asyncio.sleep(0.9)
    with pytest.raises(VendorUnavailable, match="the renewal failed: ValueError") as caught:
        await credential.token()
    assert caught.value.retry_after == pytest.approx(0.1)
    assert vendor.counts["requests"] == 1


@pytest.mark.parametrize("away", [True, False], ids=["store away", "nobody logged in"])
@virtual
async def test_a_store_is_looked_at_again_after_half_a_second(away):
    """What may be over at any moment is not kept at a distance that doubles."""
    store = Store()
    credential = Worker(store, Vendor()).credential(USER)
    if away:
        store.down.add("*")
    for _ in range(5):
        began = sum(store.counts.values())
        with pytest.raises(StoreUnavailable if away else ReauthorizationRequired):
            await credential.token()
        calls = sum(store.counts.values())
        assert calls > began
        await asyncio.sleep(0.45)
        with pytest.raises(StoreUnavailable if away else ReauthorizationRequired):
            await credential.token()
        assert sum(store.counts.values()) == calls
        await asyncio.sleep(0.06)
