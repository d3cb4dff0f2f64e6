"""What an app keeps with an authorization's state, and how it is found again before the vendor is known."""

from __future__ import annotations

import pytest

from linkauth.errors import ConfigurationError, StateMismatch
from linkauth.protocol.keys import TENANTS, state_key
from linkauth.protocol.records import PendingRecord
from tests.engine.fakes import PAGE, Store, Vendor, Worker
from tests.engine.test_authorization import LINKKIT, Tokens, state_of
from tests.engine.virtual import virtual, wall

BACK = "https://app.example/back"


def called_back(url: str) -> dict[str, str]:
    return {"state": state_of(url)}


@virtual
async def test_a_tenants_state_tells_which_tenant():
    """To any worker, without a vendor, as often as it is asked; the callback that completes it uses it up."""
    store, vendor = Store(), Tokens()
    one, other = Worker(store, vendor), Worker(store, vendor)
    credential = one.credential(PAGE, "ada")
    params = called_back(await credential.authorization_url(BACK, tenant="acme", next_path="/settings"))
    for worker in (one, other, other):
        begun = await worker.pending(None, params)
        assert (begun.vendor, begun.account, begun.tenant, begun.next_path) == ("page", "ada", "acme", "/settings")
    assert "verifier=" not in repr(begun)
    with pytest.raises(StateMismatch):
        await other.pending(LINKKIT, params)
    await (await other.complete(PAGE, {**params, "code": "c"})).token()
    with pytest.raises(StateMismatch):
        await one.pending(None, params)


@virtual
async def test_a_state_without_a_tenant_lies_where_it_ever_lay():
    """Under the vendor's name, without a byte that older workers have not written: they complete it, and it is no tenant's."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    params = called_back(await worker.credential(PAGE).authorization_url(BACK))
    key = state_key("page", params["state"])
    assert key.startswith("state/page/")
    written = (await store.inner.read(key)).record.value
    assert b"tenant" not in written
    assert b"next_path" not in written
    assert (await worker.pending(PAGE, params)).next_path == ""
    with pytest.raises(StateMismatch):
        await worker.pending(None, params)


@virtual
async def test_an_older_workers_state_is_completed():
    """It knows neither member; where the user goes on is then nobody's word."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    credential = worker.credential(PAGE, "ada")
    key = state_key("page", "of-old")
    record = PendingRecord(
        vendor="page",
        account="ada",
        token_key=credential.replica.key,
        state="of-old",
        redirect_uri=BACK,
        scope="",
        verifier="v" * 43,
        expires_at=wall() + 600,
    )
    await store.inner.commit(key, 1, worker.context.codec.close(key, 1, record))
    begun = await worker.pending(PAGE, {"state": "of-old"})
    assert (begun.tenant, begun.next_path) == ("", "")
    assert (await credential.complete({"state": "of-old", "code": "c"})).access_token


@virtual
@pytest.mark.parametrize("state", ["", TENANTS, f"{TENANTS}forged", "forged", f"{TENANTS}\u00e4"])
async def test_a_state_that_nobody_began(state):
    """With a vendor or without: ``StateMismatch``, which is what a forged callback is."""
    worker = Worker(Store(), Vendor())
    for vendor in (None, PAGE):
        with pytest.raises(StateMismatch):
            await worker.pending(vendor, {"state": state})


@virtual
@pytest.mark.parametrize("kept", [{"tenant": "a\nb"}, {"next_path": "/\x00"}])
async def test_what_cannot_be_kept(kept):
    """Unprintable texts could be written and not be read again: they are refused before anything is begun."""
    store = Store()
    with pytest.raises(ConfigurationError):
        await Worker(store, Vendor()).credential(PAGE).authorization_url(BACK, **kept)
    assert not store.counts
