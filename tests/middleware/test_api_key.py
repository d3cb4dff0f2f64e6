"""A static key through the front door: the same middleware and guard, and nothing that is fetched, renewed or stored."""

from __future__ import annotations

import math

import pytest
from aiohttp import web

from linkauth import ApiKey, AuthEngine
from linkauth.errors import StoreUnavailable, UnsupportedGrant
from linkauth_stores.memory import MemoryStore


class NoStore(MemoryStore):
    """A store that is away: whoever asks it anything finds out."""

    async def read(self, *_args, **_how):
        raise StoreUnavailable("the store was asked")

    claim = commit = delete = release = wait_for_change = read


class Site:
    """An API that takes one key, and what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.tokens = 0
        self.status = 200
        self.seen: list[tuple[str | None, str | None]] = []
        """``Authorization`` and ``X-Api-Key`` of each call."""

    async def token(self, request: web.Request) -> web.Response:
        self.tokens += 1
        return web.Response(status=500)

    async def api(self, request: web.Request) -> web.Response:
        self.seen.append((request.headers.get("Authorization"), request.headers.get("X-Api-Key")))
        if "to" in request.query:
            raise web.HTTPTemporaryRedirect(request.query["to"])
        return web.Response(status=self.status)


@pytest.fixture
def make_site():
    return Site


@pytest.fixture
async def engine():
    async with AuthEngine(NoStore(), timeout=6) as made:
        yield made


def _credential(engine, site, **how):
    return engine.credential(ApiKey(name="acme", key="canary-key", api_url=f"{site.url}/v1", **how))


@pytest.mark.parametrize(
    ("how", "sent"),
    [
        ({}, ("Bearer canary-key", None)),
        ({"scheme": "Token"}, ("Token canary-key", None)),
        ({"scheme": ""}, ("canary-key", None)),
        ({"header": "X-Api-Key"}, (None, "canary-key")),
        ({"header": "X-Api-Key", "scheme": "Key"}, (None, "Key canary-key")),
    ],
    ids=str,
)
async def test_it_is_sent_as_its_api_takes_it(client, engine, site, how, sent):
    """In the header and after the word that were named; relative URLs go below ``api_url``; the store is never asked."""
    credential = _credential(engine, site, **how)
    async with client.session(credential) as session, session.get("things") as answer:
        assert answer.status == 200
        assert answer.url.path == "/v1/things"
    assert site.seen == [sent]
    token = await credential.token()
    assert (token.expires_at, token.refresh_token, credential.peek()) == (math.inf, None, token)


async def test_it_goes_to_its_own_origin_alone(client, engine, site, other):
    """Neither to another host nor after a redirect to one."""
    async with client.session(_credential(engine, site, header="X-Api-Key")) as session:
        async with session.get(f"{other.url}/v1/x") as answer:
            assert answer.status == 200
        async with session.get(f"x?to={other.url}/y") as answer:
            assert answer.status == 200
    assert (site.seen, other.seen) == ([(None, "canary-key")], [(None, None)] * 2)


async def test_a_401_is_the_callers(client, engine, site):
    """There is no other key to try: the request is sent once, however often it is refused, and the store is not asked."""
    site.status = 401
    credential = _credential(engine, site)
    async with client.session(credential) as session:
        for _ in range(5):
            async with session.get("x") as answer:
                assert answer.status == 401
    assert (len(site.seen), site.tokens) == (5, 0)
    token = await credential.token()
    assert await credential.replacement(token) is token


async def test_it_has_no_flow(engine, site):
    """Each is refused in words that name the vendor, before the store is asked."""
    credential = _credential(engine, site)
    for flow in (
        credential.refresh,
        credential.logout,
        credential.rotate_secret,
        lambda: credential.login(email="a@example.com", password="p"),
        lambda: credential.authorization_url("https://app.example.com/cb"),
        lambda: credential.complete({"code": "c", "state": "s"}),
    ):
        with pytest.raises(UnsupportedGrant, match="acme"):
            await flow()


async def test_it_serves_also_when_the_engine_is_closed(client, site):
    """Nothing is left to be done: the key is what it was."""
    async with AuthEngine(NoStore()) as engine:
        credential = _credential(engine, site)
    assert (await credential.token()).access_token == "canary-key"
    async with client.bare(credential) as session, session.get(f"{site.url}/v1") as answer:
        assert answer.status == 200
    with pytest.raises(UnsupportedGrant):
        await credential.refresh()
