"""What the middleware does at a 401, on a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from linkauth import AuthEngine, OAuth2
from linkauth.errors import ReauthorizationRequired
from tests.middleware.site import Site, another_process_stored, get


async def test_a_401_renews_once_and_repeats_once(client, credential, site):
    """The token was revoked: one renewal, one repeat, and the caller sees the 200."""
    async with client.session(credential) as session:
        await get(session, "a")
        site.revoke()
        assert await get(session, "b") == 200
    assert site.counts == {"token": 2, "api": 3}


async def test_a_401_again_is_returned_as_it_is(client, credential, site):
    """Renewing did not help: the second 401 is the caller's to read."""
    site.refuses = True
    async with client.session(credential) as session, session.get("a") as answer:
        assert (answer.status, await answer.text()) == (401, "no")
    assert site.counts == {"token": 2, "api": 2}


async def test_raise_for_status_sees_only_the_last_answer(credential, site):
    """``raise_for_status=True`` raises nothing for the 401 that was mended, and raises for the one that was not."""
    async with credential.session(raise_for_status=True) as session:
        await get(session, "a")
        site.revoke()
        assert await get(session, "b") == 200
        site.refuses = True
        with pytest.raises(aiohttp.ClientResponseError):
            await get(session, "c")


async def test_an_api_that_refuses_every_token_costs_no_renewal_for_each_call(client, credential, site):
    """A fresh token was refused a moment ago: renewing again helps nobody, and the 401 comes back at once."""
    site.refuses = True
    async with client.session(credential) as session:
        for _ in range(5):
            async with session.get("things") as response:
                assert response.status == 401
    assert site.counts == {"token": 2, "api": 6}


async def test_a_storm_of_401_renews_once(client, credential, site):
    """A hundred requests are refused with one token: one renewal, a hundred answers."""
    async with client.session(credential) as session:
        await get(session, "a")
        site.revoke()
        assert await asyncio.gather(*(get(session, f"b{number}") for number in range(100))) == [200] * 100
    assert site.counts["token"] == 2


async def test_a_token_renewed_meanwhile_is_taken_without_asking(client, credential, site):
    """The refused token is not the current one any more: the repeat takes the current one, nobody is asked."""
    async with client.session(credential) as session:
        await get(session, "a")
        failed = await credential.token()
        await credential.refresh()
        assert site.counts["token"] == 2
        assert (await credential.replacement(failed)) == await credential.token()
    assert site.counts["token"] == 2


async def test_a_401_that_comes_late_renews_nothing(client, credential, site):
    """Its token was renewed while the refusal was on its way: the repeat takes the new one, the vendor is not asked."""
    async with client.session(credential) as session:
        await get(session, "a")
        site.revoke()
        site.late = asyncio.Event()
        slow = asyncio.create_task(get(session, "slow?late=1"))
        assert await get(session, "b") == 200
        site.late.set()
        assert await slow == 200
    assert site.counts["token"] == 2


async def unrenewable(engine: AuthEngine, site: Site) -> Any:
    """A credential of a vendor whose tokens do not expire and have no refresh token, as another process connected it."""
    vendor = OAuth2(
        name="hub",
        client_id="c",
        client_secret="s",
        token_url=f"{site.url}/v1/oauth/token",
        authorize_url=f"{site.url}/authorize",
    )
    site.issued = 1
    return await another_process_stored(engine, vendor, 1e8, access_token="token-1")


async def test_a_401_without_a_way_to_renew_is_the_callers(client, engine, site):
    """The answer comes back whole, nothing is asked or marked, and the next call goes through with the same token."""
    credential = await unrenewable(engine, site)
    async with client.session(credential) as session:
        assert await get(session, "a") == 200
        site.refuses = True
        async with session.get("b") as answer:
            assert (answer.status, await answer.text()) == (401, "no")
        async with session.post("b", data=client.chunks()) as answer:
            assert (answer.status, await answer.text()) == (401, "no")
        site.refuses = False
        assert await get(session, "c") == 200
    assert site.counts == {"api": 4}
    assert set(site.signed()) == {"Bearer token-1"}


async def test_several_401_without_a_way_to_renew_send_for_the_user(client, engine, site, monkeypatch):
    """Over a minute, by the clock, without a success between: ``ReauthorizationRequired``, and no call after that."""
    credential = await unrenewable(engine, site)
    now = [0.0]
    monkeypatch.setattr(credential._refusals, "_monotonic", lambda: now[0])
    async with client.session(credential) as session:
        for refuses, step in ((True, 30), (True, 20), (False, 20), (True, 30), (True, 20)):
            site.refuses = refuses
            assert await get(session, "a") == (401 if refuses else 200)
            now[0] += step
        now[0] += 10
        with pytest.raises(ReauthorizationRequired):
            await get(session, "a")
        asked = site.counts["api"]
        with pytest.raises(ReauthorizationRequired):
            await get(session, "a")
    assert site.counts == {"api": asked}


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_answer_that_says_nothing_of_the_token_is_no_success_between(
    client, engine, site, monkeypatch, status
):
    """A gateway's 503 between two refusals does not make a dead token live: nobody has looked at it."""
    credential = await unrenewable(engine, site)
    now = [0.0]
    monkeypatch.setattr(credential._refusals, "_monotonic", lambda: now[0])
    site.refuses = True
    async with client.session(credential) as session:
        for _ in range(2):
            assert await get(session, "a") == 401
            now[0] += 30
            site.api_status = status
            assert await get(session, "a") == status
            site.api_status = 200
        with pytest.raises(ReauthorizationRequired):
            await get(session, "a")
