"""A token that cannot be renewed and that the vendor's API refuses: whose the 401 is, and when the user is sent for."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import attrs
import pytest

from linkauth.errors import ReauthorizationRequired
from linkauth.oauth.token import Token
from linkauth.protocol.records import TokenRecord
from linkauth.vendors import OAuth2
from tests.engine.fakes import BASE, Store, Vendor, Worker, logged_in, remember, remembered
from tests.engine.virtual import virtual

GITHUB = OAuth2(
    name="hub",
    client_id="shop",
    client_secret="s",
    token_url=f"{BASE}/oauth/token",
    authorize_url=f"{BASE}/authorize",
)
"""A vendor whose tokens come without a refresh token."""
LONG = 10 * 365 * 86400.0


async def connected(store: Store, worker: Worker, lifetime: float = LONG, **more: Any) -> Any:
    """A credential that some process has connected: only the store knows of it."""
    credential = worker.credential(GITHUB)
    key = credential.replica.key
    record = (await store.read(key)).record
    claim = await store.claim(key, "another process", 5, record.version if record else 0, b"")
    token = Token(access_token=f"t{claim.number}", issued_at=claim.now, expires_at=claim.now + lifetime, **more)
    stored = TokenRecord(vendor="hub", account="default", token=token)
    await store.commit(key, claim.number, worker.context.codec.close(key, claim.number, stored))
    return credential


async def refused(credential: Any, *pauses: float) -> None:
    """A 401 now, and one after each of ``pauses``; each is the caller's."""
    for pause in (0.0, *pauses):
        await asyncio.sleep(pause)
        token = await credential.token()
        assert await credential.replacement(token) is token


@virtual
async def test_one_401_is_the_callers_and_costs_nobody_the_token():
    """The token stays, here and for the fleet; no mark is written and nothing is sent."""
    store, vendor = Store(), Vendor()
    credential = await connected(store, Worker(store, vendor))
    before = (await store.read(credential.replica.key)).record
    await refused(credential)
    assert (await store.read(credential.replica.key)).record == before
    assert await Worker(store, vendor).credential(GITHUB).token() == await credential.token()
    assert vendor.counts["requests"] == 0


@virtual
async def test_what_was_never_refused_is_taken_without_a_note_of_it():
    """Nearly every answer is one: nothing is kept for it."""
    credential = await connected(store := Store(), Worker(store, Vendor()))
    credential.accepted(await credential.token(), yes=True)
    assert credential.refusals is None


@pytest.mark.parametrize("pauses", [(30, 31), (10, 50), (15, 15, 15, 15), (3000, 3000)])
@virtual
async def test_several_over_a_minute_send_for_the_user(pauses):
    """The last of them raises, and from then on every worker does, an earlier token in its memory or not."""
    store, vendor = Store(), Vendor()
    credential = await connected(store, Worker(store, vendor))
    other = Worker(store, vendor).credential(GITHUB)
    held = await other.token()
    await refused(credential, *pauses[:-1])
    await asyncio.sleep(pauses[-1])
    with pytest.raises(ReauthorizationRequired, match=r"refused the token again and again.*the user must") as caught:
        await credential.replacement(await credential.token())
    assert caught.value.credential is credential
    with pytest.raises(ReauthorizationRequired):
        await credential.token()
    with pytest.raises(ReauthorizationRequired):
        await Worker(store, vendor).credential(GITHUB).token()
    assert await other.token() is held  # it has not been refused a token yet
    with pytest.raises(ReauthorizationRequired):
        await other.replacement(held)


@pytest.mark.parametrize("pauses", [(0,) * 100, (1,) * 58, (61,), (0, 0, 61, 0, 0), (4000,) * 5])
@virtual
async def test_what_is_not_several_over_a_minute(pauses):
    """A storm at one moment, however long, is one refusal; two are not several; and an hour between begins anew."""
    store = Store()
    await refused(await connected(store, Worker(store, Vendor())), *pauses)


@virtual
async def test_a_success_between_begins_anew():
    """The API took the token meanwhile: what it refused before that says nothing."""
    store = Store()
    credential = await connected(store, Worker(store, Vendor()))
    for _ in range(5):
        await refused(credential, 30)
        credential.accepted(await credential.token(), yes=True)
        await asyncio.sleep(30)


@virtual
async def test_a_process_that_starts_again_counts_anew():
    """What was counted is the process's own; the sum of two processes' refusals is no proof."""
    store = Store()
    credential = await connected(store, Worker(store, Vendor()))
    await refused(credential, 30)
    await asyncio.sleep(31)
    await refused(Worker(store, Vendor()).credential(GITHUB), 30)


@virtual
async def test_a_401_finds_what_the_user_brought_to_another_worker():
    """He has connected again elsewhere: the old token's 401 is mended by the new one, and no count goes on."""
    store = Store()
    credential = await connected(store, Worker(store, Vendor()))
    old = await credential.token()
    await connected(store, Worker(store, Vendor()))
    fresh = await credential.replacement(old)
    assert fresh.access_token != old.access_token
    assert await credential.token() is fresh


@virtual
async def test_not_every_401_costs_a_look_at_the_store():
    """A thousand refusals in a second: one look, then fewer and fewer; yet a login elsewhere is found within a minute."""
    store = Store()
    credential = await connected(store, Worker(store, Vendor()))
    token = await credential.token()
    before = sum(store.counts.values())
    await refused(credential, *(0.001,) * 1000)
    assert sum(store.counts.values()) - before <= 3
    await connected(store, Worker(store, Vendor()))
    await asyncio.sleep(60)
    assert await credential.replacement(token) is not token


@virtual
async def test_the_store_away_changes_nothing_for_the_caller():
    """Whether the user was elsewhere cannot be seen; the token that is held goes on being served."""
    store = Store()
    credential = await connected(store, Worker(store, Vendor()))
    await credential.token()
    store.down.add("*")
    await refused(credential, 20)


@virtual
async def test_a_dead_token_with_the_store_away_is_served_no_more_and_marked_later():
    """The last refusal comes while the store is away: this process sends for the user, and tells the fleet when it can."""
    store, vendor = Store(), Vendor()
    credential = await connected(store, Worker(store, vendor))
    await refused(credential, 30)
    token = await credential.token()
    store.down.add("*")
    await asyncio.sleep(31)
    with pytest.raises(Exception, match=r"the user must log in|store"):
        await credential.replacement(token)
    assert credential.peek() is None
    store.down.clear()
    await asyncio.sleep(61)
    with pytest.raises(ReauthorizationRequired):
        await credential.token()
    with pytest.raises(ReauthorizationRequired):
        await Worker(store, vendor).credential(GITHUB).token()


@virtual
async def test_a_token_that_cannot_be_renewed_is_served_to_its_end():
    """No renewal begins ahead of time, for it would end in a mark: it is good for all of its hour, then the user is asked."""
    store, vendor = Store(), Vendor()
    credential = await connected(store, Worker(store, vendor), lifetime=3600.0)
    token = await credential.token()
    before = sum(store.counts.values())
    for _ in range(3599):
        await asyncio.sleep(1)
        assert await credential.token() is token
    assert sum(store.counts.values()) == before
    await asyncio.sleep(1)
    with pytest.raises(ReauthorizationRequired, match="there is no refresh token"):
        await credential.token()
    assert vendor.counts["requests"] == 0


@virtual
async def test_asking_for_a_renewal_that_cannot_be_costs_no_token():
    """``refresh()`` says that only the user can help; what is good stays good, here and elsewhere."""
    store, vendor = Store(), Vendor()
    credential = await connected(store, Worker(store, vendor))
    token = await credential.token()
    for _ in range(3):
        with pytest.raises(ReauthorizationRequired):
            await credential.refresh()
        assert await credential.token() is token
        await asyncio.sleep(10)
    assert await Worker(store, vendor).credential(GITHUB).token() == token


@virtual
async def test_a_refresh_token_that_lapsed_is_no_way_to_renew():
    """The access token outlives it: the 401 is the caller's, and no worker asks the store over and over at its end."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    now = (await store.read("x")).now
    credential = await connected(store, worker, 3600.0, refresh_token="r", refresh_expires_at=now + 60)
    token = await credential.token()
    await asyncio.sleep(100)
    await refused(credential)
    before = sum(store.counts.values())
    for _ in range(349):
        await asyncio.sleep(10)
        assert await credential.token() is token
    assert sum(store.counts.values()) - before < 60
    assert vendor.counts["requests"] == 0


@virtual
async def test_a_token_without_end_is_served_from_memory():
    """``expires_at`` is infinite: no clock, no jump and no store is between a caller and it; a 401 is the caller's."""
    store = Store()
    worker = Worker(store, Vendor())
    credential = worker.credential(GITHUB)
    token = Token(access_token="t", issued_at=0.0, expires_at=math.inf)
    _, time = await worker.context.store_client.ask(store.read("x"))
    remember(credential, token, 1, time)
    before = sum(store.counts.values())
    for _ in range(3):
        await asyncio.sleep(1000)
        worker.wall_ahead += 1e6
        assert credential._wall() < remembered(credential).wall_limit
        assert await credential.token() is token
        assert credential.peek() is token
    assert sum(store.counts.values()) == before


@virtual
async def test_a_token_is_known_by_what_it_is():
    """Whoever was handed it may have copied it, or another worker have written it anew: it is the same one all the same."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    fresh = await credential.replacement(await credential.token())
    again = attrs.evolve(fresh)
    assert credential.is_stuck(again)
    credential.accepted(again, yes=False)
    assert credential.in_vain(again)
    assert await credential.replacement(again) == fresh
    assert vendor.counts["/auth/refresh"] == 1
