"""Waiting for another worker has an end, and what comes meanwhile is taken."""

from __future__ import annotations

import asyncio

import pytest

from linkauth.errors import (
    InvalidGrant,
    MalformedResponse,
    ReauthorizationRequired,
    VendorUnavailable,
)
from linkauth.oauth.token import Token
from linkauth.protocol import timing
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, answer, logged_in
from tests.engine.virtual import virtual, wall

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
