"""A renewal from the claim to the commit: what it looks at, what it takes instead, and what it tells."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.engine.context import EngineContext
from linkauth.engine.events import Event, EventKind
from linkauth.engine.limiter import limiter
from linkauth.errors import MalformedResponse
from linkauth.oauth.token import Token
from linkauth.protocol import timing
from linkauth.protocol.limits import secret_digest
from linkauth.protocol.lineage import Lineage
from linkauth.protocol.records import Session
from linkauth.store import Granted
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.fakes import (
    BASE,
    CLIENT,
    LATER,
    LIFETIME,
    USER,
    Keeping,
    Store,
    Vendor,
    Worker,
    answer,
    logged_in,
    remember,
    remembered,
)
from tests.engine.scenes import stalls_after_its_claim
from tests.engine.virtual import EPOCH, virtual


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
async def test_a_renewal_and_an_adoption_are_told_whole():
    """Whose, when, and how long the vendor took; the one who only adopts has not waited for it."""
    store, vendor = Store(), Vendor()
    one, other = Worker(store, vendor), Worker(store, vendor)
    vendor.delay = 2.0
    await one.credential(CLIENT, "shop").token()
    await other.credential(CLIENT, "shop").token()
    whose = {"vendor": CLIENT.name, "account": "shop", "at": EPOCH + 2, "outcome": ""}
    assert one.events == [Event(kind=EventKind.RENEWED, duration=2.0, **whose)]
    assert other.events == [Event(kind=EventKind.ADOPTED, duration=0.0, **whose)]


@virtual
async def test_a_renewal_that_was_stalled_past_its_lease_claims_again():
    """Stopped between the claim and the sending, with the old token still good: ``refresh`` brings another all the same."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    old = await credential.token()
    stalls_after_its_claim(worker, store)
    claims = store.counts["claim"]
    assert (await credential.refresh()).access_token != old.access_token
    assert (store.counts["claim"] - claims, vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (2, 1, 0)


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
    assert await credential.token() == credential.peek()
    store.down.clear()
    await asyncio.sleep(5)
    held = (await Worker(store, vendor).credential(USER).token()), credential.peek()
    for token in held:
        assert (token.access_token, token.refresh_token) == (before.access_token, "refresh-new")
        assert token.refresh_expires_at is None  # nobody said how long the new one lives


@virtual
async def test_a_token_that_another_loop_adopts_before_the_claim_is_not_renewed_again(monkeypatch):
    """Threads share a credential: what comes between the look at its version and the claim is an answer to this caller."""
    store, vendor = Store(), Vendor()
    here = Worker(store, vendor)
    credential = await logged_in(here)
    other = Worker(store, vendor).credential(USER)
    await other.token()
    fresh = await other.refresh()
    owner = EngineContext.owner

    def adopting(context: EngineContext) -> str:
        if context is here.context and remembered(credential).version < remembered(other).version:
            remember(credential, fresh, remembered(other).version, lineage=remembered(other).lineage)
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
async def test_whose_client_waits_in_line_looks_first_whether_somebody_has_renewed():
    """The line before the vendor is full: what another worker has brought is taken at once, and nothing is claimed for it."""
    store, vendor = Store(), Vendor()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    credential = await logged_in(worker)
    await (theirs := other.credential(USER)).token()
    await asyncio.sleep(LIFETIME + 1)
    fresh = await theirs.token()
    its_limiter = limiter(worker.context, USER)
    for number in range(timing.WINDOW):
        await its_limiter.acquire(f"another {number}", secret_digest(USER), 0.0, 1.0)
    claims, begun = store.counts["claim"], clock.monotonic()
    assert await credential.token() == fresh
    assert (store.counts["claim"], clock.monotonic()) == (claims, begun)
    assert worker.heard()[-1] == "adopted"
