"""A vendor whose refresh tokens are good for one use: doubt, refusal, and who may speak for the session."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import attrs
import pytest

from linkauth.engine.codec import Codec
from linkauth.errors import (
    InvalidGrant,
    LinkAuthError,
    MalformedResponse,
    NoAnswer,
    ReauthorizationRequired,
    VendorUnavailable,
)
from linkauth.protocol.intent import Note
from linkauth.protocol.records import TokenRecord
from linkauth.vendors.linkxg_user import LinkXGUser
from linkauth.vendors.vendor import RotationProfile
from tests.engine.fakes import (
    BASE,
    LATER,
    USER,
    Store,
    Vendor,
    Worker,
    answer,
    killed_while_renewing,
    logged_in,
    refusal,
)
from tests.engine.virtual import monotonic, virtual


class Replayable(LinkXGUser):
    """LinkXG as it might be: a spent token may be sent again for 30 s."""

    rotation = RotationProfile(rotates=True, replay_window=30.0)


async def note(store: Store, worker: Worker) -> Note:
    return Note.decode((await store.read(worker.credential(USER).replica.key)).note)


@virtual
async def test_the_note_stands_before_the_request_goes_out():
    """When the vendor sees the refresh token, the store already says that it may be spent; afterwards it does not."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    gate = vendor.holds()
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    assert (await note(store, worker)).doubt
    assert "refresh-" not in (await note(store, worker)).doubt
    gate.set()
    await renewal
    assert await note(store, worker) == Note()


@virtual
async def test_no_claim_no_spending():
    """With the store away at the claim nothing is sent, before the token's end and after it."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    token = await credential.token()
    store.down.add("claim")
    await asyncio.sleep(800)
    assert await credential.token() == token
    await asyncio.sleep(101)
    with pytest.raises(LinkAuthError, match="store"):
        await credential.token()
    assert vendor.counts["/auth/refresh"] == 0
    store.down.clear()
    await asyncio.sleep(1)
    assert (await credential.token()).access_token != token.access_token


@virtual
async def test_in_doubt_waits_while_the_token_is_valid_and_spends_once_after():
    """The holder died before the vendor acted: nobody spends its token while the old one serves, then one does, once."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor))
    await asyncio.sleep(700)
    await killed_while_renewing(Worker(store, vendor), vendor)
    workers = [Worker(store, vendor) for _ in range(4)]
    while monotonic() < 1000 + 839:
        for worker in workers:
            assert (await worker.credential(USER).token()).access_token
        await asyncio.sleep(1)
    assert vendor.counts["/auth/refresh"] == 1  # the lost one
    await asyncio.sleep(70)
    tokens = await asyncio.gather(*(worker.credential(USER).token() for worker in workers))
    assert len({token.access_token for token in tokens}) == 1
    assert vendor.counts["/auth/refresh"] == 2
    assert vendor.counts["reuse"] == 0


@virtual
@pytest.mark.parametrize(("lapses", "exchanges"), [(899, 2), (1001, 1)])
async def test_in_doubt_does_not_wait_past_the_refresh_tokens_own_end(lapses, exchanges):
    """A doubtful refresh token that lapses before the access token is tried at once: waiting would lose it for certain."""
    store, vendor = Store(), Vendor()
    replica = (await logged_in(Worker(store, vendor))).replica
    token = attrs.evolve(replica.current(), refresh_expires_at=replica.current().issued_at + lapses)
    record = TokenRecord(vendor=USER.name, account="default", token=token)
    number = replica.state.version + 1
    await store.commit(replica.key, number, Codec().close(replica.key, number, record))
    await asyncio.sleep(700)
    await killed_while_renewing(Worker(store, vendor), vendor)
    await asyncio.sleep(20)
    other = Worker(store, vendor).credential(USER)
    await other.token()
    with contextlib.suppress(VendorUnavailable):
        await other.refresh()
    assert vendor.counts["/auth/refresh"] == exchanges
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_session_that_is_lost_says_why_and_is_asked_about_once():
    """Killed after the vendor acted: one worker tries once, all others know it from the store, in words."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor))
    await asyncio.sleep(890)
    await killed_while_renewing(Worker(store, vendor), vendor, acts=True)
    await asyncio.sleep(40)
    workers = [Worker(store, vendor) for _ in range(5)]
    for _ in range(20):
        for worker in workers:
            with pytest.raises(ReauthorizationRequired, match="may have been lost") as caught:
                await worker.credential(USER).token()
            assert caught.value.credential is worker.credential(USER)
        await asyncio.sleep(1)
    assert vendor.counts["/auth/refresh"] == 2
    assert vendor.counts["reuse"] == 1


@virtual
async def test_the_holder_that_comes_back_wins():
    """It was only slow: its late answer is stored, and those who waited in doubt adopt it."""
    store, vendor = Store(), Vendor()
    slow = Worker(store, vendor, timeout=60)
    credential = await logged_in(slow)
    await asyncio.sleep(700)
    store.down.add("extend")  # its lease ends while it works
    gate = vendor.holds()
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(50)
    other = Worker(store, vendor).credential(USER)
    old = await other.token()
    await asyncio.sleep(5)
    gate.set()
    fresh = await renewal
    await asyncio.sleep(90)
    assert old != fresh
    await other.token()
    await asyncio.sleep(1)
    assert await other.token() == fresh
    assert vendor.counts["reuse"] == 0


@virtual
async def test_the_holder_has_his_time_again_after_the_store_was_silent():
    """Nobody could come forward while it was: what is in doubt is spent three seconds after it answers again."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor))
    await asyncio.sleep(890)
    await killed_while_renewing(Worker(store, vendor), vendor, acts=False)
    await asyncio.sleep(40)
    begun = monotonic()

    def silent(name: str) -> Any:
        if name == "wait_for_change" and monotonic() > begun + 1:
            store.before = lambda _: None
            return asyncio.sleep(2.5)
        return None

    store.before = silent
    assert (await Worker(store, vendor).credential(USER).token()).access_token
    assert vendor.sent[-1][0] >= begun + 1 + 2.5 + 3


@virtual
async def test_a_lost_answer_within_the_replay_window_is_asked_for_again():
    """The answer is cut off; the vendor takes the spent token again for 30 s: one more request, no doubt left."""
    vendor, store = Vendor(replay_window=30), Store()
    worker = Worker(store, vendor)
    credential = worker.credential(Replayable(base_url=BASE))
    await credential.login(email="ada@example.com", password="correct horse")
    vendor.fails(NoAnswer("cut off"), acts=True)
    assert (await credential.refresh()).access_token
    assert vendor.counts["/auth/refresh"] == 2
    assert vendor.counts["reuse"] == 0
    assert await note(store, worker) == Note()


@virtual
async def test_a_lost_answer_without_a_window_is_not_asked_for_again():
    """The answer is cut off and nothing is known of a window: the note stays, the token serves, nobody spends it."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    vendor.fails(NoAnswer("cut off"), acts=True)
    with pytest.raises(VendorUnavailable):
        await credential.refresh()
    assert (await note(store, worker)).doubt
    assert (await credential.token()).access_token
    await asyncio.sleep(800)
    assert (await credential.token()).access_token
    assert vendor.counts["/auth/refresh"] == 1


@pytest.mark.parametrize("fault", [answer(502, b""), answer(504, b""), answer(200, b"<html>"), NoAnswer("cut")])
@virtual
async def test_what_may_have_spent_the_token_leaves_doubt(fault):
    """A gateway that gave up, an answer that nobody can read, no answer: the refresh token may be spent."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    vendor.fails(fault)
    with pytest.raises(LinkAuthError):
        await credential.refresh()
    assert (await note(store, worker)).doubt
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_refusal_is_believed_only_after_another_look_at_the_store():
    """invalid_grant, and meanwhile somebody wrote a newer token: that is adopted, and nobody is sent for the user."""
    store, vendor = Store(), Vendor()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    credential = await logged_in(worker)
    await other.credential(USER).token()
    vendor.fails(refusal(401, "REFRESH_TOKEN_REUSED"))
    inner = store.inner

    async def written_meanwhile() -> None:
        if vendor.counts["/auth/refresh"] == 1:
            store.before = lambda name: None
            record = (await inner.read(credential.replica.key)).record
            codec = worker.context.codec
            value = codec.close(credential.replica.key, LATER, codec.open(credential.replica.key, record))
            await inner.commit(credential.replica.key, LATER, value)

    store.before = lambda name: written_meanwhile() if name == "read" else None
    assert (await credential.refresh()).access_token
    assert credential.replica.state.version == LATER


@virtual
async def test_a_login_elsewhere_is_noticed():
    """The session is over for everybody; somebody logs in on another host: within a second all have a token."""
    store, vendor = Store(), Vendor()
    workers = [Worker(store, vendor) for _ in range(3)]
    credential = await logged_in(workers[0])
    vendor.fails(refusal(401, "TOKEN_INVALID"))
    await asyncio.sleep(901)
    for worker in workers:
        with pytest.raises(ReauthorizationRequired):
            await worker.credential(USER).token()
    fresh = await (await logged_in(Worker(store, vendor))).token()
    await asyncio.sleep(0.6)
    for worker in workers:
        assert await worker.credential(USER).token() == fresh
    assert credential.replica.state.dead == ""


@virtual
async def test_a_login_elsewhere_is_noticed_though_the_store_was_emptied():
    """The store lost its data and begins to count anew: a login that has a lower number than the dead is taken."""
    store, vendor = Store(), Vendor()
    dead = Worker(store, vendor)
    credential = await logged_in(dead)
    for _ in range(5):
        await credential.refresh()
    vendor.fails(refusal(401, "TOKEN_INVALID"))
    with pytest.raises(ReauthorizationRequired):
        await credential.refresh()
    store.inner = Store().inner
    await asyncio.sleep(1)
    fresh = await (await logged_in(Worker(store, vendor))).token()
    await asyncio.sleep(1)
    assert await credential.token() == fresh


@virtual
async def test_a_refusal_that_the_store_could_not_take_is_not_asked_again_here():
    """The store is away when the refusal is to be written: this worker knows all the same, and asks no second time."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.fails(refusal(401, "TOKEN_INVALID"), times=5)
    store.down |= {"commit"}
    with pytest.raises(ReauthorizationRequired):
        await credential.refresh()
    store.down.clear()
    for _ in range(5):
        await asyncio.sleep(1)
        with pytest.raises(ReauthorizationRequired):
            await credential.token()
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_refresh_token_that_has_lapsed_is_not_sent():
    """Past its own end the refresh token is hopeless: the vendor is not asked."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    await asyncio.sleep(7 * 86400 + 1)
    with pytest.raises(ReauthorizationRequired, match="lapsed"):
        await credential.token()
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_nobody_has_logged_in_yet():
    """Without any login there is nothing to renew, nothing is claimed and nothing is sent."""
    store, vendor = Store(), Vendor()
    with pytest.raises(ReauthorizationRequired, match="nobody has logged in"):
        await Worker(store, vendor).credential(USER).token()
    assert (store.counts["claim"], vendor.counts["requests"]) == (0, 0)


@virtual
async def test_a_wrong_password_changes_nothing():
    """A login that fails leaves the session that there was."""
    vendor = Vendor()
    credential = await logged_in(Worker(Store(), vendor))
    token = await credential.token()
    vendor.fails(refusal(401, "INVALID_CREDENTIALS"))
    with pytest.raises(InvalidGrant):
        await credential.login(email="ada@example.com", password="wrong")
    assert await credential.token() == token
    assert (await credential.refresh()).access_token


@virtual
async def test_a_login_that_was_stalled_past_its_lease_is_carried_out():
    """The process was stopped between its claim and the sending: it claims again, and the login succeeds."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(USER)

    inner_claim = store.inner.claim

    async def claim_and_stop(*args):
        store.inner.claim = inner_claim
        granted = await inner_claim(*args)
        worker.slept -= 20  # stopped for longer than the lease, which somebody else took and gave back meanwhile
        await store.inner.release(credential.replica.key, granted.number)
        return granted

    store.inner.claim = claim_and_stop
    token = await credential.login(email="ada@example.com", password="correct horse")
    assert (await Worker(store, vendor).credential(USER).token()).access_token == token.access_token
    assert (store.counts["claim"], vendor.counts["/auth/login"]) == (2, 1)


@virtual
async def test_a_malformed_answer_saves_the_new_refresh_token_and_the_old_access_token():
    """An answer that brings a new refresh token and no access token: nobody is interrupted, nothing is spent twice."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    token = await credential.token()
    spent = token.refresh_token
    true = vendor._pair(77, "session-1")
    vendor.fails(answer(200, true.body.replace(b'"accessToken"', b'"AccessToken"')), acts=True)
    with pytest.raises(MalformedResponse):
        await credential.refresh()
    assert (await credential.token()).access_token == token.access_token
    assert (await Worker(store, vendor).credential(USER).token()).access_token == token.access_token
    await asyncio.sleep(2)
    fresh = await credential.refresh()
    assert [tried for _, path, tried in vendor.sent if path == "/auth/refresh"] == [spent, "refresh-77"]
    assert fresh.access_token != token.access_token


@virtual
async def test_a_renewal_that_waited_for_a_login_takes_what_it_brought():
    """``token()`` during a login of the same process waits for it, and does not renew its fresh token at once."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(USER)
    vendor.delay = 1
    login = asyncio.create_task(credential.login(email="ada@example.com", password="correct horse"))
    await asyncio.sleep(0.5)
    with pytest.raises(ReauthorizationRequired):
        await credential.token()
    token = await login
    vendor.delay = 0
    await asyncio.sleep(901)
    vendor.delay = 1
    login = asyncio.create_task(credential.login(email="ada@example.com", password="correct horse"))
    await asyncio.sleep(0.5)
    fresh = await credential.token()
    assert token != fresh == await login
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_two_workers_refresh_at_once_share_one_exchange():
    """``refresh()`` in two workers at the same moment: one exchange, one token."""
    store, vendor = Store(), Vendor()
    workers = [Worker(store, vendor), Worker(store, vendor)]
    await logged_in(workers[0])
    await workers[1].credential(USER).token()
    vendor.delay = 0.3
    one, two = await asyncio.gather(*(worker.credential(USER).refresh() for worker in workers))
    assert one.access_token == two.access_token
    assert vendor.counts["/auth/refresh"] == 1
