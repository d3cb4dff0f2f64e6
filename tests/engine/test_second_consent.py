"""A second consent whose answer has no refresh token (Google's): the held one goes on where it is the same user's."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from linkauth import OAuth2
from linkauth.errors import ReauthorizationRequired, StateMismatch
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as virtual_clock
from tests.engine.fakes import Fault, Store, Vendor, Worker, answer
from tests.engine.virtual import EPOCH, virtual
from tests.vendors.vendor_answers import id_token

DAY = 86400.0
ACME = OAuth2(
    name="acme",
    client_id="c",
    client_secret="first-secret",
    token_url="https://vendor.example/api/v1/oauth/token",
    authorize_url="https://vendor.example/api/v1/authorize",
    scope="openid",
    refresh_lifetime=30 * DAY,
    session_lifetime=365 * DAY,
)


async def _begun(credential):
    """State and nonce of an authorization."""
    query = parse_qs(urlsplit(await credential.authorization_url("https://app.example/back")).query)
    return query["state"][0], query.get("nonce", [""])[0]


async def _consented(vendor, credential, number, gate=None, sub="7", **more):
    """The callback after the user's consent: what the vendor answers to it."""
    state, nonce = await _begun(credential)
    said = {"id_token": id_token(virtual_clock.wall(), aud="c", sub=sub, nonce=nonce)} if sub else {}
    body = {"access_token": f"at-{number}", "token_type": "Bearer", "expires_in": 900, **said, **more}
    vendor.faults.append(Fault(answer(200, body), gate=gate))
    return await credential.complete({"code": f"code-{number}", "state": state})


def _renewing(vendor, number, **more):
    vendor.fails(answer(200, {"access_token": f"at-{number}", "token_type": "Bearer", "expires_in": 900, **more}))


@virtual
async def test_the_held_refresh_token_goes_on():
    """The same ``sub``: it stays beside the new access token, in every worker, with the time that it has left."""
    vendor, store = Vendor(), Store()
    credential = Worker(store, vendor).credential(ACME)
    await _consented(vendor, credential, 1, refresh_token="rt-1")
    await asyncio.sleep(DAY)
    token = await _consented(vendor, credential, 2)
    assert (token.access_token, token.refresh_token) == ("at-2", "rt-1")
    assert (token.refresh_expires_at, token.session_expires_at) == (EPOCH + 30 * DAY, EPOCH + 366 * DAY)
    other = Worker(store, vendor).credential(ACME)
    assert await other.token() == token
    _renewing(vendor, 3, refresh_token="rt-2")
    assert (await other.refresh()).refresh_token == "rt-2"
    assert vendor.sent[-1][2] == "first-secret"


@pytest.mark.parametrize(
    ("first", "second"),
    [("7", "8"), ("7", None), (None, "7"), (None, None)],
    ids=["another", "unknown", "before", "none"],
)
@virtual
async def test_what_may_be_somebody_elses_is_not_mixed(first, second):
    """Another ``sub``, or none that was checked: nothing is stored, the session goes on, and the error says what to do."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    credential = worker.credential(ACME)
    before = await _consented(vendor, credential, 1, sub=first, refresh_token="rt-1")
    with pytest.raises(ReauthorizationRequired, match="prompt=consent") as caught:
        await _consented(vendor, credential, 2, sub=second)
    assert caught.value.credential is credential
    assert "at-2" not in str(caught.value)
    for each in (credential, Worker(store, vendor).credential(ACME)):
        assert await each.token() == before
    (status,) = [status async for status in worker.statuses()]
    assert not status.needs_user
    _renewing(vendor, 3)
    assert (await credential.refresh()).refresh_token == "rt-1"


@virtual
async def test_the_state_is_used_up():
    """The code was spent: the same callback comes to nothing."""
    vendor, store = Vendor(), Store()
    credential = Worker(store, vendor).credential(ACME)
    await _consented(vendor, credential, 1, refresh_token="rt-1")
    state, nonce = await _begun(credential)
    vendor.fails(
        answer(
            200,
            {
                "access_token": "at-2",
                "expires_in": 900,
                "id_token": id_token(virtual_clock.wall(), aud="c", sub="8", nonce=nonce),
            },
        )
    )
    with pytest.raises(ReauthorizationRequired):
        await credential.complete({"code": "c", "state": state})
    with pytest.raises(StateMismatch):
        await credential.complete({"code": "c", "state": state})


@virtual
async def test_without_a_held_one_it_is_stored_as_it_is():
    """A first consent, one after a logout, and one after the held refresh token has lapsed: there is nothing to lose."""
    vendor, store = Vendor(), Store()
    credential = Worker(store, vendor).credential(ACME)
    assert (await _consented(vendor, credential, 1)).refresh_token is None
    await credential.logout()
    assert (await _consented(vendor, credential, 2)).refresh_token is None
    assert (await _consented(vendor, credential, 3, refresh_token="rt-1")).refresh_token == "rt-1"
    await asyncio.sleep(31 * DAY)
    assert (await _consented(vendor, credential, 4)).refresh_token is None


@virtual
async def test_one_in_the_answer_takes_its_place():
    """As ever, whoever's it is: the user has logged in anew."""
    vendor, store = Vendor(), Store()
    credential = Worker(store, vendor).credential(ACME)
    await _consented(vendor, credential, 1, refresh_token="rt-1")
    assert (await _consented(vendor, credential, 2, sub="8", refresh_token="rt-2")).refresh_token == "rt-2"


@virtual
async def test_what_is_being_spent_is_not_kept():
    """Another worker renews at this very moment, and for long: its answer is the session, so nothing takes its place."""
    vendor, store = Vendor(), Store()
    credential, other = (Worker(store, vendor).credential(ACME) for _ in range(2))
    await _consented(vendor, credential, 1, refresh_token="rt-1")
    gate = asyncio.Event()
    body = {"access_token": "at-2", "token_type": "Bearer", "expires_in": 900, "refresh_token": "rt-2"}
    vendor.faults.append(Fault(answer(200, body), gate=gate))
    renewing = asyncio.create_task(credential.refresh())
    await asyncio.sleep(0.5)
    with pytest.raises(ReauthorizationRequired, match="another worker"):
        await _consented(vendor, other, 3)
    gate.set()
    await renewing
    assert (await Worker(store, vendor).credential(ACME).token()).refresh_token == "rt-2"
    _renewing(vendor, 4)
    assert (await other.refresh()).refresh_token == "rt-2"


@virtual
async def test_who_lost_the_lease_meanwhile_keeps_nothing():
    """By the store's clock it ended while the vendor was asked, and another worker has spent what was held."""
    ahead = 0.0
    vendor, store = Vendor(), Store(MemoryStore(clock=lambda: virtual_clock.wall() + ahead))
    credential = Worker(store, vendor).credential(ACME)
    await _consented(vendor, credential, 1, refresh_token="rt-1")
    gate = asyncio.Event()
    consenting = asyncio.create_task(_consented(vendor, credential, 2, gate=gate))
    await asyncio.sleep(0.5)
    ahead = 100.0
    _renewing(vendor, 3, refresh_token="rt-2")
    assert (await Worker(store, vendor).credential(ACME).refresh()).refresh_token == "rt-2"
    await asyncio.sleep(5)  # the lease is extended in vain
    gate.set()
    with pytest.raises(ReauthorizationRequired, match="another worker"):
        await consenting
    assert (await Worker(store, vendor).credential(ACME).token()).refresh_token == "rt-2"


@virtual
async def test_a_vendor_that_keeps_its_refresh_tokens_is_not_held_up():
    """Nothing is spent by a renewal beside it, so the held one is good all the same."""
    vendor, store = Vendor(), Store()
    keeping = attrs.evolve(ACME, rotation=attrs.evolve(ACME.rotation, rotates=False))
    credential, other = (Worker(store, vendor).credential(keeping) for _ in range(2))
    await _consented(vendor, credential, 1, refresh_token="rt-1")
    gate = asyncio.Event()
    vendor.faults.append(Fault(answer(200, {"access_token": "at-2", "expires_in": 900}), gate=gate))
    renewing = asyncio.create_task(credential.refresh())
    await asyncio.sleep(0.5)
    assert (await _consented(vendor, other, 3)).refresh_token == "rt-1"
    gate.set()
    await renewing
    assert (await Worker(store, vendor).credential(keeping).token()).access_token == "at-3"
