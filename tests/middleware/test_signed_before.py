"""What was worked out for a request is used again for the next one to the same origin: what that spares, and where it must not be."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from linkauth import AuthEngine, middleware
from linkauth.oauth.token import Token
from linkauth.signed import UNSIGNED
from tests.asked import answered, asked
from tests.counts import calls_of, sent
from tests.engine.fakes import BASE, CLIENT, LIFETIME, Store, Vendor, Worker, remember
from tests.engine.virtual import virtual
from tests.middleware.site import get


def test_a_signed_request_is_two_calls_more_than_one_with_a_header():
    """Beside itself and the next handler the middleware calls one coroutine, one clock, and the URL for its host."""
    credential = AuthEngine("memory:").credential(CLIENT)
    now = time.time()
    remember(credential, Token(access_token="t", issued_at=now, expires_at=now + LIFETIME), 1)
    first, second = asked(f"{BASE}/a"), asked(f"{BASE}/b?c=d")
    sent(credential(first, answered))
    calls = calls_of(lambda: sent(credential(second, answered)))
    assert second.headers == first.headers == {"Authorization": "Bearer t"}
    theirs = {"Credential.__call__", "answered"}
    assert [call for call in calls if call not in theirs and not call.startswith("URL.")] == [
        "Credential.token",
        "time",
    ]
    assert len(calls) <= 6


def test_a_password_in_a_url_is_kept_nowhere():
    """Should a request come with one, which aiohttp prevents, it is signed; yet nothing of its URL is kept for the next one."""
    credential = AuthEngine("memory:").credential(CLIENT)
    now = time.time()
    remember(credential, Token(access_token="t", issued_at=now, expires_at=now + LIFETIME), 1)
    request = asked(f"{BASE}/a".replace("//", "//user:password@"))
    sent(credential(request, answered))
    assert request.headers == {"Authorization": "Bearer t"}
    assert credential._signed is UNSIGNED


async def test_the_callers_own_header_stays_after_a_signed_request(credential, site):
    """A request that brings its own ``Authorization`` keeps it, whatever was put on the one before."""
    async with aiohttp.ClientSession(middlewares=[credential]) as session:
        await get(session, f"{site.url}/v1/a")
        await get(session, f"{site.url}/v1/b", headers={"Authorization": "mine"})
    assert site.signed() == ["Bearer token-1", "mine"]


async def test_a_renewed_token_is_what_the_next_request_has(credential, site):
    """Between two requests the token was renewed: the second one has the new one, and the third one too."""
    async with aiohttp.ClientSession(middlewares=[credential]) as session:
        await get(session, f"{site.url}/v1/a")
        await credential.refresh()
        await get(session, f"{site.url}/v1/b")
        await get(session, f"{site.url}/v1/c")
    assert site.signed() == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


async def test_another_port_is_another_origin_after_a_signed_request(credential, site, other):
    """Host for host the same, and yet not the vendor's: nothing is put on it, and the vendor's own is signed again after it."""
    async with aiohttp.ClientSession(middlewares=[credential]) as session:
        await get(session, f"{site.url}/v1/a")
        await get(session, f"{other.url}/v1/a")
        await get(session, f"{site.url}/v1/b")
    assert other.signed() == [None]
    assert site.signed() == ["Bearer token-1"] * 2


@virtual
async def test_plain_http_to_the_same_host_is_another_origin_after_a_signed_request():
    """Host and port are spelt alike in both URLs: what is not encrypted is not signed."""
    worker = Worker(Store(), Vendor())
    worker._make = middleware.Credential
    credential = worker.credential(CLIENT)
    await credential(asked(f"{BASE}/a"), answered)
    plain = asked(f"{BASE}/a".replace("https", "http"))
    await credential(plain, answered)
    assert not plain.headers


@virtual
async def test_a_token_that_is_over_is_on_no_request_though_it_was_on_the_one_before():
    """The second request comes when the token of the first is over: it waits for a new one, and has that."""
    worker = Worker(Store(), Vendor())
    worker._make = middleware.Credential
    credential = worker.credential(CLIENT)
    first, second = asked(f"{BASE}/a"), asked(f"{BASE}/b")
    await credential(first, answered)
    await asyncio.sleep(LIFETIME)
    await credential(second, answered)
    assert (first.headers, second.headers) == (
        {"Authorization": "Bearer access-1"},
        {"Authorization": "Bearer access-2"},
    )
