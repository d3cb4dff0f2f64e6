"""What a renewal leaves in the store and tells, step by step: where a mutant of ``renewal`` survived the rest."""

from __future__ import annotations

import asyncio
import contextlib

import attrs
import pytest

from linkauth.engine.context import EngineContext
from linkauth.engine.events import EventKind
from linkauth.errors import (
    CorruptRecord,
    LinkAuthError,
    MalformedResponse,
    ReauthorizationRequired,
    VendorUnavailable,
)
from linkauth.oauth.token import Token
from linkauth.protocol import timing
from linkauth.protocol.freshness import StoreTime
from linkauth.protocol.intent import Note, digest
from linkauth.protocol.lineage import Lineage
from linkauth.protocol.records import Session, secret_digest
from linkauth.store import Granted
from linkauth.vendors.vendor import RotationProfile
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import (
    BASE,
    CLIENT,
    LATER,
    LIFETIME,
    PAGE,
    USER,
    Fault,
    Store,
    Vendor,
    Worker,
    answer,
    killed_while_renewing,
    logged_in,
    paired,
    refusal,
)
from tests.engine.test_keys import NEW, OLD, OTHER
from tests.engine.test_lost_store import Keeping, Telling
from tests.engine.virtual import virtual


@virtual
async def test_a_renewal_is_told_with_the_time_that_it_took():
    """One event, of the worker that renewed; whoever finds the token adopts it, once."""
    store, vendor = Store(), Vendor()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    vendor.delay = 3.0
    await worker.credential(CLIENT).token()
    await other.credential(CLIENT).token()
    assert [(event.kind, event.duration) for event in worker.events] == [(EventKind.RENEWED, 3.0)]
    assert other.heard() == ["adopted"]


@virtual
async def test_a_renewal_that_was_stalled_past_its_lease_claims_again():
    """Stopped between the claim and the sending, with the old token still good: ``refresh`` brings another all the same."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    old = await credential.token()
    inner_claim = store.inner.claim

    async def claim_and_stop(*args):
        store.inner.claim = inner_claim
        granted = await inner_claim(*args)
        worker.slept -= 20  # stopped for longer than the lease, which somebody else took and gave back meanwhile
        await store.inner.release(credential.replica.key, granted.number)
        return granted

    store.inner.claim = claim_and_stop
    claims = store.counts["claim"]
    assert (await credential.refresh()).access_token != old.access_token
    assert (store.counts["claim"] - claims, vendor.counts["/auth/refresh"]) == (2, 1)


@virtual
async def test_a_note_about_another_token_is_no_doubt_about_this_one():
    """Somebody set out with a token that is long gone: that this worker found no connection puts nothing in doubt."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    key = credential.replica.key
    granted = await store.inner.claim(key, "somebody", 10, credential._state.version, b"")
    await store.inner.release(key, granted.number, Note(doubt="of another", since=1.0).encode())
    worker.offline = True
    with pytest.raises(VendorUnavailable):
        await credential.refresh()
    note = Note.decode((await store.inner.read(key)).note)
    assert (note.doubt, note.since, note.failures, note.kind) == ("", 0.0, 1, "NotSent")


@virtual
async def test_the_doubt_keeps_its_beginning():
    """Tried without an answer, and again when the token is over: the replay window counts from the first who set out.

    That one has said that it had no answer, so nobody waits for it then.
    """
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    begun = clock.wall()
    for failures in (1, 2):
        vendor.fails(answer(504, b""))
        with pytest.raises(VendorUnavailable):
            await credential.refresh()
        note = Note.decode((await store.inner.read(credential.replica.key)).note)
        assert note.doubt
        assert (note.since, note.failures) == (pytest.approx(begun, abs=0.01), failures)
        await asyncio.sleep(901)
    assert [at for at, path, _ in vendor.sent if path == "/auth/refresh"] == [1000, 1901]


@virtual
async def test_the_note_that_goes_ahead_says_what_is_spent_and_since_when():
    """While the vendor is asked the store knows it; where nothing can be spent it knows nothing."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    user, client = await logged_in(worker), worker.credential(CLIENT)
    for credential, told in ((user, True), (client, False)):
        gate = vendor.holds()
        begun = clock.wall()
        flight = asyncio.create_task(credential.refresh())
        await asyncio.sleep(1)
        note = (await store.inner.read(credential.replica.key)).note
        assert note == (Note(doubt=digest(credential._state.token), since=begun).encode() if told else b"")
        gate.set()
        await flight


@virtual
async def test_a_refresh_token_that_stays_good_is_never_in_doubt():
    """It may be sent as often as one likes, so there is no note, and an emptied store holds nobody up."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await paired(worker, store)
    gate, fresh = asyncio.Event(), {"access_token": "new", "token_type": "Bearer", "expires_in": 900}
    vendor.faults.append(Fault(answer(200, fresh), gate=gate))
    store.inner = MemoryStore(clock=clock.wall)
    flight = asyncio.create_task(credential.refresh())
    await asyncio.sleep(0.1)
    assert vendor.counts["requests"] == 1
    assert (await store.inner.read(credential.replica.key)).note == b""
    gate.set()
    assert (await flight).access_token == "new"


@virtual
async def test_an_adapter_that_fails_leaves_the_doubt_behind():
    """Whatever it raised, it may have sent the refresh token: nobody spends that as if nothing had happened."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.fails(ValueError("what the adapter should not raise"))
    with pytest.raises(ValueError, match="should not"):
        await credential.refresh()
    note = Note.decode((await store.inner.read(credential.replica.key)).note)
    assert note.doubt == digest(credential._state.token)
    assert note.description == "the adapter failed: ValueError"


@virtual
async def test_a_refresh_token_saved_from_a_broken_answer_is_kept_until_the_store_has_it():
    """The store is away just then: the old one is spent, so the new one is all that there is."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    before = await credential.token()
    assert before.refresh_expires_at is not None
    vendor.fails(answer(200, {"success": True, "data": {"refreshToken": "refresh-new"}}))
    store.down.add("commit")
    with pytest.raises(MalformedResponse):
        await credential.refresh()
    assert await credential.token() == credential._state.token
    store.down.clear()
    await asyncio.sleep(5)
    held = (await Worker(store, vendor).credential(USER).token()), credential._state.token
    for token in held:
        assert (token.access_token, token.refresh_token) == (before.access_token, "refresh-new")
        assert token.refresh_expires_at is None  # nobody said how long the new one lives


@virtual
async def test_who_was_refused_looks_before_it_believes_it():
    """The holder before it was only slow, and commits under its own, lower number: that is the session, and it lives."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    key, held = credential.replica.key, credential._state.token
    slow = await store.inner.claim(key, "the slow one", 1, credential._state.version, b"")
    await asyncio.sleep(2)
    vendor.faults.append(Fault(refusal(401, "REFRESH_TOKEN_REUSED"), delay=2))
    flight = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    brought = attrs.evolve(held, access_token="brought", refresh_token="brought too")
    await store.inner.commit(key, slow.number, credential.replica._closed(slow.number, brought))
    assert (await flight).access_token == "brought"
    assert (await Worker(store, vendor).credential(USER).token()).access_token == "brought"
    assert isinstance(await store.inner.claim(key, "next", 1, 10**13, b""), Granted)  # and nobody holds the lease


@virtual
async def test_a_wait_for_whoever_comes_back_asks_the_store_a_few_times_a_second():
    """The store lost the lease under it, so that there is nothing to wait for: it looks again, and not without end."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    await asyncio.sleep(890)
    await killed_while_renewing(Worker(store, vendor), vendor)
    await asyncio.sleep(40)
    begun = clock.monotonic()

    def lose(name: str) -> None:
        if name == "wait_for_change":
            store.inner._slots.clear()

    store.before = lose
    store.counts.clear()
    with contextlib.suppress(LinkAuthError):
        await credential.token()
    waited = clock.monotonic() - begun
    assert waited >= 3
    assert store.counts["read"] <= 5 * waited


@virtual
async def test_the_refusal_is_told_in_the_vendors_words():
    """The operator reads why the session ended, here and wherever the record is read."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.refused |= {"session-1"}
    for each in (credential, Worker(store, vendor).credential(USER)):
        with pytest.raises(
            ReauthorizationRequired, match=r"the vendor refused the refresh token \(.*HTTP 401.*\); the user must"
        ):
            await each.refresh()
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_loss_is_told_with_both_of_its_reasons():
    """What the vendor said, and that somebody died while renewing."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor))
    await asyncio.sleep(890)
    await killed_while_renewing(Worker(store, vendor), vendor, acts=True)
    await asyncio.sleep(40)
    words = r"the vendor refused the refresh token \(.*REUSED.*\); the answer to an earlier renewal may have been lost"
    with pytest.raises(ReauthorizationRequired, match=words):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_a_refusal_does_not_bury_a_login_of_the_same_process():
    """The store lost the lease, the user logged in, the lease was taken again; then the old refresh token is refused."""
    store, vendor, gate = Store(), Vendor(), asyncio.Event()
    credential = await logged_in(Worker(store, vendor))
    vendor.faults.append(Fault(refusal(401, "TOKEN_INVALID"), gate=gate))
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    await store.inner.release(credential.replica.key, 2)
    fresh = await credential.login(email="ada@example.com", password="correct horse")
    await asyncio.sleep(credential.replica.ttl / 3)
    gate.set()
    assert await renewal == await credential.token() == fresh


@pytest.mark.parametrize(("ago", "asked"), [(24.9, 1), (25.1, 0)])
@virtual
async def test_within_the_replay_window_nobody_waits_for_a_lost_holder(ago, asked):
    """The vendor takes the token a second time, so there is no doubt; with 5 s left it may act too late, so there is."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    replays = attrs.evolve(PAGE, rotation=RotationProfile(rotates=True, replay_window=30.0))
    credential = worker.credential(replays)
    key, now = credential.replica.key, clock.wall()
    token = Token(access_token="old", issued_at=now, expires_at=now + 900, refresh_token="stays")
    await store.inner.commit(key, 1, credential.replica._closed(1, token))
    assert (await credential.token()).access_token == "old"
    granted = await store.inner.claim(key, "lost", 1, 1, b"")
    await store.inner.release(key, granted.number, Note(doubt=digest(token), since=now - ago).encode())
    fresh = {"access_token": "new", "token_type": "Bearer", "expires_in": 900}
    vendor.fails(answer(200, fresh))
    with contextlib.suppress(VendorUnavailable):
        assert (await credential.refresh()).access_token == "new"
    assert vendor.counts["requests"] == asked


@virtual
async def test_a_token_that_another_loop_adopts_before_the_claim_is_not_renewed_again(monkeypatch):
    """Threads share a credential: what comes between the look at its version and the claim is an answer to this caller."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    other = Worker(store, vendor).credential(USER)
    await other.token()
    fresh = await other.refresh()
    replica, owner = credential.replica, EngineContext.owner

    def adopting(context: EngineContext) -> str:
        if context is replica.context and replica.state.version < other.replica.state.version:
            replica.state.take(
                fresh, other.replica.state.version, StoreTime(clock.wall(), clock.monotonic(), clock.monotonic())
            )
        return owner(context)

    monkeypatch.setattr(EngineContext, "owner", adopting)
    assert await credential.refresh() == fresh
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_later_session_under_a_lower_number_is_adopted_under_the_lease():
    """The store counts anew, and the user has logged in again: the lease brings that, it is handed out, and nobody is asked."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(Keeping(base_url=BASE))
    await credential.login(email="ada@example.com", password="correct horse")
    store.inner = MemoryStore(clock=clock.wall)
    await asyncio.sleep(10)
    now = clock.wall()
    later = Token(access_token="theirs", issued_at=now, expires_at=now + 900, refresh_token="stays")
    session = Lineage(Session(int(now * 1000), "ab"), 0)
    await store.inner.commit(credential.replica.key, 5, credential.replica._closed(5, later, session))
    await asyncio.sleep(1)
    assert await credential.refresh() == later
    assert vendor.counts["/auth/refresh"] == 0
    assert isinstance(
        await store.inner.claim(credential.replica.key, "next", 1, LATER, b""), Granted
    )  # it was given back


@virtual
async def test_a_refusal_that_comes_under_a_lost_lease_is_not_believed():
    """While others may put something back the lease goes to somebody else: he is waited for, and the vendor is asked again."""
    store, vendor = Telling(), Vendor()
    credential = Worker(store, vendor).credential(Keeping(base_url=BASE))
    await credential.login(email="ada@example.com", password="correct horse")
    key = credential.replica.key
    credential._context.read_repair.beware()
    vendor.fails(refusal(401, "TOKEN_INVALID"))
    refreshing = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    store.inner._slots[key] = store.inner._slots[key].lapse()
    assert isinstance(await store.inner.claim(key, "him", 8, LATER, b""), Granted)
    assert (await refreshing).access_token
    assert [path for _, path, _ in vendor.sent] == ["/auth/login", "/auth/refresh", "/auth/refresh"]
    assert vendor.sent[2][0] >= vendor.sent[1][0] + 8


@virtual
async def test_whose_client_waits_in_line_looks_first_whether_somebody_has_renewed():
    """The line before the vendor is full: what another worker has brought is taken at once, and nothing is claimed for it."""
    store, vendor = Store(), Vendor()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    credential = await logged_in(worker)
    await (theirs := other.credential(USER)).token()
    await asyncio.sleep(LIFETIME + 1)
    fresh = await theirs.token()
    gate = worker.context.admission.gate(worker.context, USER)
    for number in range(timing.WINDOW):
        await gate.enter(f"another {number}", secret_digest(USER), 0.0, 1.0)
    claims, begun = store.counts["claim"], clock.monotonic()
    assert await credential.token() == fresh
    assert (store.counts["claim"], clock.monotonic()) == (claims, begun)
    assert worker.heard()[-1] == "adopted"


@virtual
async def test_a_users_record_that_cannot_be_read_is_nobodys_to_replace():
    """Somebody has renewed the session under a key that is not given here: the caller is told, and nothing is spent."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor, keys=[OLD, NEW]))
    await asyncio.sleep(1)
    other = Worker(store, vendor, keys=[OTHER, OLD]).credential(USER)
    await other.token()
    fresh = await other.refresh()
    await asyncio.sleep(1)
    with pytest.raises(CorruptRecord, match="key"):
        await credential.refresh()
    assert vendor.counts["/auth/refresh"] == 1
    assert await other.token() == fresh


@virtual
async def test_who_looks_for_a_session_is_served_the_login_that_came_meanwhile():
    """The user logs in here while the store is looked at, which does not take the answer: it is served all the same."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(USER)
    store.down.add("commit")

    async def user_comes() -> None:
        store.before = lambda _: None
        await credential.login(email="ada@example.com", password="correct horse")

    store.before = lambda name: user_comes() if name == "read" else None
    found = await credential.token()
    assert found == credential.peek()
    assert (await store.inner.read(credential.replica.key)).record is None
