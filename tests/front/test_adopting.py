"""Sessions that another program made come in over real HTTP, on stores that processes share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from linkauth import AlreadyConnected, AuthEngine, ReauthorizationRequired, VendorUnavailable

if TYPE_CHECKING:
    from linkauth import Credential, Token
    from tests.front.vendors import Vendors

KINDS = ["LinkXGUser", "Linkkit", "SageX3", "OAuth2"]


async def elsewhere(vendors: Vendors, kind: str) -> Token:
    """What another program got, with a store of its own."""
    async with AuthEngine() as other:
        return await vendors.connect(other.credential(vendors.make(kind)))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_session_comes_in_whole(url: str, vendors: Vendors, kind: str) -> None:
    """Access token and refresh token: the API takes it, in another worker too, and it is renewed when it is over."""
    session = await elsewhere(vendors, kind)
    asked = vendors.part(kind).counts["token_requests"]
    names = ("access_token", "refresh_token", "expires_at", "refresh_expires_at", "scope", "extra", "endpoint")
    given: dict[str, Any] = {name: getattr(session, name) for name in names}
    async with AuthEngine(url) as engine, AuthEngine(url) as another:
        assert (await engine.credential(vendors.make(kind)).adopt(**given)).access_token == session.access_token
        assert vendors.part(kind).counts["token_requests"] == asked
        credential = another.credential(vendors.make(kind))
        assert (await credential.token()).access_token == session.access_token
        with pytest.raises(AlreadyConnected):
            await credential.adopt(**given)
        fresh = await credential.refresh()
        assert fresh.access_token != session.access_token
        assert {name: fresh.extra.get(name) for name in session.extra} == dict(session.extra)
        await credential.logout()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refresh_token_is_enough(url: str, vendors: Vendors, kind: str) -> None:
    """It is spent once for all workers; where the pairing named an endpoint, that is told with it."""
    session = await elsewhere(vendors, kind)
    async with AuthEngine(url) as engine, AuthEngine(url) as another:
        given = {"refresh_token": session.refresh_token, "endpoint": session.endpoint}
        token = await engine.credential(vendors.make(kind)).adopt(**given)
        assert await another.credential(vendors.make(kind)).token() == token
        (status,) = [each async for each in another.statuses()]
        assert not status.needs_user
        assert status.expires_at == token.expires_at
    assert vendors.part(kind).counts["refresh_reuse"] == 0


async def test_two_processes_with_the_same_export(url: str, vendors: Vendors, process: Any) -> None:
    """Both read it: one brings the session in, the other is told that it is here, and nothing is spent twice."""
    session = await elsewhere(vendors, "LinkXGUser")
    order = {"vendor": ("LinkXGUser", vendors.arguments["LinkXGUser"])}
    workers = [await process(), await process()]
    for worker in workers:
        worker.order("adopt", session={"refresh_token": session.refresh_token}, **order)
    answers = [await worker.answer() for worker in workers]
    assert sorted(type(answer).__name__ for answer in answers) == ["dict", "str"]
    assert [answer["error"] for answer in answers if isinstance(answer, dict)] == ["AlreadyConnected"]
    shared = {await worker("token", **order) for worker in workers}
    assert shared == {answer for answer in answers if isinstance(answer, str)}
    assert vendors.sandbox.linkxg.counts["refresh_reuse"] == 0


async def test_a_process_that_is_killed_while_the_vendor_is_away(url: str, vendors: Vendors, process: Any) -> None:
    """What it had stored is renewed by another, once the vendor is back."""
    session = await elsewhere(vendors, "LinkXGUser")
    order = {"vendor": ("LinkXGUser", vendors.arguments["LinkXGUser"])}
    with vendors.sandbox.linkxg.fault("refresh", status=503, times=None):
        worker = await process(timeout=1.0)
        answer = await worker("adopt", session={"refresh_token": session.refresh_token}, **order)
        assert answer["error"] in {
            "VendorUnavailable",
            "NotSent",
        }  # the second, where no time was left for one more try
        await worker.kill()
    async with AuthEngine(url) as engine:
        token = await when_it_is_back(engine.credential(vendors.make("LinkXGUser")))
    assert token.refresh_token != session.refresh_token
    assert vendors.sandbox.linkxg.counts["refresh_reuse"] == 0


async def when_it_is_back(credential: Credential) -> Token:
    """A token, after the distance that the fleet keeps from a vendor that was away."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await credential.token()
            except VendorUnavailable as error:
                left = error.retry_after
            await asyncio.sleep(left or 0.1)


async def test_a_refused_one_leaves_nothing(url: str, vendors: Vendors) -> None:
    """Spent elsewhere in the meantime: the user has to log in, and nothing is left that says so for ever."""
    async with AuthEngine(url) as engine:
        credential = engine.credential(vendors.make("LinkXGUser"))
        with pytest.raises(ReauthorizationRequired):
            await credential.adopt(refresh_token="long-gone")
        assert [status async for status in engine.statuses()] == []
        assert (await vendors.connect(credential)).access_token
