"""A server that refuses a dead refresh token with an empty 400 (Glewlwyd): in the end the user is sent for."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from linkauth.errors import InvalidRequest, LinkAuthError, ReauthorizationRequired
from linkauth.oauth.token import Token
from linkauth.vendors.vendor import RotationProfile
from tests.engine.fakes import PAGE, Store, Vendor, Worker, answer, remember
from tests.engine.virtual import monotonic, virtual


async def _held(worker, store, lifetime, vendor=PAGE):
    credential = worker.credential(vendor)
    _, time = await worker.context.store_client.ask(store.read(credential.replica.key))
    token = Token(access_token="old", issued_at=time.now, expires_at=time.now + lifetime, refresh_token="dead")
    remember(credential, token, 1, time)
    return credential


async def _asked(credential, seconds):
    """The errors that callers meet who ask every second, and when."""
    met, begun = [], monotonic()
    while monotonic() < begun + seconds:
        try:
            await credential.token()
        except LinkAuthError as error:
            met.append((monotonic() - begun, type(error)))
            if type(error) is ReauthorizationRequired:
                break
        await asyncio.sleep(1)
    return met


@pytest.mark.parametrize("rotates", [True, False])
@virtual
async def test_an_empty_400_again_and_again_sends_for_the_user(rotates):
    """Not at once, for it may be an accident; not while the token is good; and not for ever."""
    store, vendor = Store(), Vendor()
    vendor.fails(answer(400, b""), times=100)
    page = attrs.evolve(PAGE, rotation=RotationProfile(rotates=rotates))
    met = await _asked(await _held(Worker(store, vendor), store, 30, page), 600)
    assert met[-1][1] is ReauthorizationRequired
    assert vendor.sent[-1][0] - vendor.sent[0][0] >= 60
    assert len(vendor.sent) >= 8
    assert {kind for _, kind in met[:-1]} == {InvalidRequest}
    assert met[0][0] >= 20, "the token was served while it was good"


@virtual
async def test_while_the_token_is_good_nobody_is_sent_for():
    """It is served to its end, however often the renewal behind it was refused."""
    store, vendor = Store(), Vendor()
    vendor.fails(answer(400, b""), times=100)
    credential = await _held(Worker(store, vendor), store, 3600)
    for _ in range(20):
        with pytest.raises(InvalidRequest):
            await credential.refresh()
        await asyncio.sleep(61)
    assert credential.peek() is not None


@pytest.mark.parametrize("body", [{"error": "invalid_request"}, {"message": "what?"}])
@virtual
async def test_a_400_with_words_is_the_developers(body):
    """Whoever wrote the request has to act: no user can."""
    store, vendor = Store(), Vendor()
    vendor.fails(answer(400, body), times=400)
    met = await _asked(await _held(Worker(store, vendor), store, 1), 600)
    assert {kind for _, kind in met} == {InvalidRequest}
