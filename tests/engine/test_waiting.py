"""Waiting for another worker has an end, and what comes meanwhile is taken."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from linkauth.errors import (
    InvalidGrant,
    MalformedResponse,
    ReauthorizationRequired,
    VendorUnavailable,
)
from linkauth.oauth.token import Token
from linkauth.protocol import timing
from linkauth.protocol.records import TokenRecord, secret_key
from linkauth.store import Granted
from tests.engine.fakes import CLIENT, LATER, USER, Store, Vendor, Worker, answer, logged_in, refusal
from tests.engine.virtual import monotonic, virtual, wall

FOR_EVER = 10_000.0


@virtual
async def test_a_renewal_that_never_ends_elsewhere_is_told():
    """Somebody keeps the lease and brings nothing: after two of its lives that is what callers hear."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await store.inner.claim(credential.replica.key, "stranger", FOR_EVER, 0, b"")
    with pytest.raises(VendorUnavailable, match="no token within"):
        await credential.token()
    await asyncio.sleep(2 * (10.0 + timing.LEASE_CHEAP) - 10.0 - timing.CALLER_MORE + 0.2)
    with pytest.raises(VendorUnavailable, match="for too long"):
        await credential.token()
    assert vendor.counts["requests"] == 0


@virtual
async def test_a_login_does_not_wait_for_ever():
    """Somebody keeps the lease and brings nothing: the user's word needs none, and stands for everybody."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(USER)
    await store.inner.claim(credential.replica.key, "stranger", FOR_EVER, 0, b"")
    begun = monotonic()
    token = await credential.login(email="ada@example.com", password="p")
    assert monotonic() - begun == pytest.approx(timing.USER_WAITS, abs=0.5)
    assert await Worker(store, vendor).credential(USER).token() == token


@virtual
async def test_a_rotation_does_not_wait_for_ever():
    """Neither does it begin without the lease: a secret that is not stored must not be made."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    await store.inner.claim(secret_key(CLIENT), "stranger", FOR_EVER, 0, b"")
    with pytest.raises(VendorUnavailable, match="for too long"):
        await credential.rotate_secret()
    assert not any("rotate" in path for path in vendor.counts)


@virtual
async def test_a_login_goes_over_what_was_written_while_it_looked():
    """A renewal commits between its look and its claim: it looks again, and its own session is the one that holds."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    other = Worker(store, vendor).credential(USER)

    def renewed(name):
        if name == "claim":
            store.before = lambda _: None
            return other.refresh()
        return None

    await other.token()
    store.before = renewed
    token = await credential.login(email="ada@example.com", password="p")
    assert (await Worker(store, vendor).credential(USER).token()).access_token == token.access_token
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_renewal_that_was_stopped_past_its_lease_begins_again():
    """The process stood still between its claim and the sending: nothing is sent under a lease that is another's."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    claim = store.inner.claim

    async def claim_and_stop(*args):
        store.inner.claim = claim
        granted = await claim(*args)
        worker.slept -= 20
        await store.inner.release(credential.replica.key, granted.number)
        return granted

    store.inner.claim = claim_and_stop
    assert (await credential.refresh()).access_token
    assert (vendor.counts["/auth/refresh"], vendor.counts["reuse"]) == (1, 0)


@virtual
async def test_a_client_that_is_refused_with_a_users_error_is_told_that():
    """``invalid_grant`` for client credentials sends for nobody: there is no user, and the next call may succeed."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(CLIENT)
    vendor.fails(answer(400, {"error": "invalid_grant"}))
    with pytest.raises(InvalidGrant):
        await credential.token()
    await asyncio.sleep(2)
    assert (await credential.token()).access_token


@virtual
async def test_a_session_without_a_refresh_token_sends_for_the_user():
    """There is nothing to ask the vendor with."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(USER)
    token = Token(access_token="a", issued_at=wall(), expires_at=wall() + 60)
    await store.inner.commit(credential.replica.key, 1, credential.replica._closed(1, token))
    assert (await credential.token()).access_token == "a"
    await asyncio.sleep(61)
    with pytest.raises(ReauthorizationRequired, match="no refresh token"):
        await credential.token()
    assert vendor.counts["requests"] == 0


@virtual
async def test_a_token_that_is_over_when_it_comes_is_renewed_at_once():
    """The answer took longer than the token lives: the caller gets the next one, not a dead one."""
    vendor = Vendor()
    vendor.lifetime = 1.0
    vendor.holds().set()
    vendor.faults[0].delay = 2.0
    credential = Worker(Store(), vendor).credential(CLIENT)
    token = await credential.token()
    assert token.expires_at > wall()
    assert vendor.counts["/oauth/token"] == 2


@virtual
async def test_a_malformed_answer_after_the_tokens_end_saves_what_it_brought():
    """There is no access token left to keep: the new refresh token is stored alone, and the next renewal spends it."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    true = vendor._pair(77, "session-1")
    await asyncio.sleep(901)
    vendor.fails(answer(200, true.body.replace(b'"accessToken"', b'"AccessToken"')), acts=True)
    with pytest.raises(MalformedResponse, match="access_token"):
        await credential.token()
    await asyncio.sleep(2)
    assert (await credential.token()).access_token
    assert [spent for _, path, spent in vendor.sent if path == "/auth/refresh"][1:] == ["refresh-77"]


# -- Logging out.


@virtual
async def test_logging_out_of_nothing_forgets_it():
    """No token, so nothing to revoke: the record says that only the user can help, and no request is made."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(USER)
    await credential.logout()
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()
    await credential.logout()  # and once more, of a session that is over
    await Worker(store, vendor).credential(USER).logout()
    assert vendor.counts["requests"] == 0


@virtual
async def test_a_session_that_the_vendor_does_not_know_is_forgotten_without_a_word():
    """It was dead already, which is what was asked for."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.fails(refusal(401, "TOKEN_INVALID"), times=2)  # the access token, and the refresh token too
    await credential.logout()
    with pytest.raises(ReauthorizationRequired):
        await credential.token()


@virtual
async def test_a_logout_that_somebody_overtook_ends_his_session_too():
    """It was stopped past its lease, and a session was written meanwhile: that one is revoked and forgotten as well."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    key, token = credential.replica.key, await credential.token()
    value = credential._context.codec.close(key, LATER, TokenRecord(vendor=USER.name, account="default", token=token))

    def overtaken(name):
        if name == "commit":
            store.before = lambda _: None
            return store.inner.commit(key, LATER, value)
        return None

    store.before = overtaken
    await credential.logout()
    assert vendor.counts["/auth/logout"] == 2
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_a_logout_that_was_stopped_past_its_lease_lets_the_renewal_end_that_began_meanwhile():
    """Else the renewal would be written after it, and bring the session back that the user has ended."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    key, token = credential.replica.key, await credential.token()
    gate = vendor.holds()
    leaving = asyncio.create_task(credential.logout())
    await asyncio.sleep(1)
    assert credential.replica.lease_held is not None
    await store.inner.release(key, credential.replica.lease_held.number)  # as if its lease had ended
    worker.slept -= 20
    renewal = await store.inner.claim(key, "other", 15, credential.replica.state.version, b"")
    assert isinstance(renewal, Granted)
    gate.set()
    await asyncio.sleep(1)
    record = TokenRecord(vendor=USER.name, account="default", token=token)
    await store.inner.commit(key, renewal.number, credential._context.codec.close(key, renewal.number, record))
    await leaving
    assert vendor.counts["/auth/logout"] == 2
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_a_session_that_was_stored_during_a_logout_is_revoked_too():
    """The answer to an earlier login came late, under its own lower number: forgotten unrevoked it would live on."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    key, token = credential.replica.key, await credential.token()
    late = await store.inner.claim(key, "other", 1, credential.replica.state.version, b"")
    assert isinstance(late, Granted)
    await asyncio.sleep(2)
    gate = vendor.holds()
    leaving = asyncio.create_task(credential.logout())
    await asyncio.sleep(1)
    record = TokenRecord(vendor=USER.name, account="default", token=attrs.evolve(token, refresh_token="late"))
    await store.inner.commit(key, late.number, credential._context.codec.close(key, late.number, record))
    gate.set()
    begun = monotonic()
    await leaving
    assert monotonic() - begun < 1  # its own lease is not waited for
    assert vendor.counts["/auth/logout"] == 2
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_a_login_that_comes_while_the_store_is_read_is_believed():
    """The look found nothing, and when it is over there is a token: that is what the caller gets."""
    store = Store()
    credential = Worker(store, Vendor()).credential(USER)

    def log_in(name):
        if name == "read":
            store.before = lambda _: None
            return credential.login(email="ada@example.com", password="correct horse")
        return None

    store.before = log_in
    assert (await credential.token()).access_token
