"""What goes out with the user and what is kept of it: where a mutant of ``authorization`` survived the rest."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from linkauth import OAuth2
from linkauth.errors import AccessDenied, StateMismatch, UnsupportedGrant
from linkauth.protocol.records import PendingRecord, state_key
from tests.engine.fakes import BASE, CLIENT, Store, Vendor, Worker, answer
from tests.engine.test_authorization import CALLBACK, LINKKIT, Tokens, begun
from tests.engine.virtual import virtual


def page(*, pkce: bool) -> OAuth2:
    return OAuth2(
        name="page",
        client_id="shop",
        client_secret="s",
        token_url=f"{BASE}/oauth/token",
        authorize_url=f"{BASE}/authorize",
        scope="read",
        pkce=pkce,
    )


@pytest.mark.parametrize("pkce", [True, False])
@virtual
async def test_a_challenge_goes_out_exactly_where_the_vendor_knows_pkce(pkce):
    """And only then there is a verifier to keep, and to send with the code."""
    store = Store()
    worker = Worker(store, Vendor())
    vendor = page(pkce=pkce)
    asked = parse_qs(urlsplit(await worker.credential(vendor).authorization_url(CALLBACK)).query)
    assert ("code_challenge" in asked) is pkce
    key = state_key("page", asked["state"][0])
    record = worker.context.codec.expect(key, (await store.inner.read(key)).record, PendingRecord)
    assert (record.verifier is not None) is pkce


@pytest.mark.parametrize(("scope", "asked"), [(None, "read"), ("write", "write")])
@virtual
async def test_the_scope_that_was_asked_for_is_the_tokens_where_the_vendor_names_none(scope, asked):
    """The vendor's own unless another is given; kept with the state, for the answer may leave it out (RFC 6749 §5.1)."""
    vendor = Vendor()
    credential = Worker(Store(), vendor).credential(page(pkce=False))
    sent = parse_qs(urlsplit(await credential.authorization_url(CALLBACK, scope=scope)).query)
    assert sent["scope"] == [asked]
    vendor.fails(answer(200, {"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_in": 300}))
    token = await credential.complete({"state": sent["state"][0], "code": "c"})
    assert token.scope == asked


@virtual
async def test_the_store_may_forget_a_state_when_it_ends():
    """Users who never come back leave nothing behind for good."""
    store = Store()
    _, params = await begun(Worker(store, Vendor()))
    key = state_key(LINKKIT.name, params["state"])
    await asyncio.sleep(599)
    assert (await store.inner.read(key)).record is not None
    await asyncio.sleep(2)
    assert (await store.inner.read(key)).record is None


@pytest.mark.parametrize(("state", "vendor"), [("another", None), ("\u00e9", None), (None, "another")])
@virtual
async def test_a_record_of_another_state_or_vendor_proves_nothing(state, vendor):
    """Whoever can write to the store cannot make a state of his own pass for one that was sent out with a user."""
    store, tokens = Store(), Tokens()
    worker = Worker(store, tokens)
    credential, params = await begun(worker)
    key = state_key(LINKKIT.name, params["state"])
    found = await store.inner.read(key)
    told = worker.context.codec.expect(key, found.record, PendingRecord)
    forged = PendingRecord(
        vendor=vendor or told.vendor,
        account=told.account,
        token_key=told.token_key,
        state=state or told.state,
        redirect_uri=told.redirect_uri,
        scope=told.scope,
        verifier=told.verifier,
        expires_at=told.expires_at,
    )
    number = found.record.version + 1
    await store.inner.commit(key, number, worker.context.codec.close(key, number, forged))
    with pytest.raises(StateMismatch):
        await credential.complete(params)
    assert tokens.counts["requests"] == 0


@virtual
async def test_what_is_no_state_of_ours_is_not_looked_up():
    """Huge, doubled or not ASCII: the store is not even asked. A vendor without a page has no callbacks at all."""
    store = Store()
    worker = Worker(store, Vendor())
    for state in ("", "x" * 513, "\u00e9", ["a", "b"], None):
        with pytest.raises(StateMismatch, match="no state"):
            await worker.complete(LINKKIT, {"state": state, "code": "c"})
    with pytest.raises(StateMismatch, match=r"no state, and says access_denied$"):  # Slack
        await worker.complete(LINKKIT, {"error": "access_denied", "code": "canary-code"})
    for odd in (["a", "b"], "a\r\nb", "y" * 9000, "", 5):
        with pytest.raises(StateMismatch, match=r"no state$"):
            await worker.complete(LINKKIT, {"error": odd})
    with pytest.raises(UnsupportedGrant):
        await worker.complete(CLIENT, {"state": "x", "code": "c"})
    assert not store.counts
    with pytest.raises(StateMismatch, match="unknown"):
        await worker.complete(LINKKIT, {"state": "x" * 512, "code": "c"})
    assert store.counts["read"] == 1


@virtual
async def test_a_refusal_of_the_users_asks_for_no_lease():
    """Nothing is exchanged, so a renewal that is under way is not held up; and the state is spent."""
    store = Store()
    credential, params = await begun(Worker(store, Vendor()))
    store.counts.clear()
    with pytest.raises(AccessDenied):
        await credential.complete({"state": params["state"], "error": "access_denied"})
    assert (store.counts["claim"], store.counts["take"]) == (0, 1)
