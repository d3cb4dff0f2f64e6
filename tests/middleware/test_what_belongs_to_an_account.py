"""What belongs to an account, over real HTTP: its API and its token server, for every worker and after every renewal.

An address that nobody listed gets nothing at all: no request, no connection, no look-up of its name.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import attrs
import pytest
from aiohttp import web

from linkauth import AuthEngine, Dialect, OAuth2
from linkauth.errors import UntrustedEndpoint
from linkauth.oauth.token import Token
from linkauth.protocol.records import TokenRecord
from linkauth_stores.memory import MemoryStore
from tests.web.test_endpoints import Wire

BACK = "https://app.example.com/back"
UNLISTED = [
    "https://evil.example",
    "https://evil.deep.api.example.com",
    "https://api.example.com.evil.example",
    "https://api.example.com@evil.example",
    "https://api.example.com:8443",
    "https://169.254.169.254",
    "https://xn--pi-wia.example.com",
]


class Site:
    """A region of a vendor's: token endpoint, revocation and API, each with what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.said: dict[str, str] = {}
        """What every token answer says besides."""
        self.grants: list[str] = []
        self.calls: list[str | None] = []
        self.numbers = 0

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.grants.append(str(form.get("grant_type", "revocation")))
        self.numbers += 1
        answer = {
            "access_token": f"at-{self.url[-5:]}-{self.numbers}",
            "refresh_token": f"rt-{self.numbers}",
            "expires_in": 900,
        }
        return web.json_response({**answer, **self.said})

    async def api(self, request: web.Request) -> web.Response:
        self.calls.append(request.headers.get("Authorization"))
        return web.json_response({"url": self.url})


@pytest.fixture
def make_site():
    return Site


@pytest.fixture
def wire(monkeypatch):
    """Every name that is looked up and every host that is connected to, but this machine's."""
    return Wire(monkeypatch)


@pytest.fixture
def vendor(site, other):
    """At ``site``, and for some accounts at ``other``; its API may be somewhere else, too."""
    roots = [other.url, "https://*.api.example.com"]
    return OAuth2(
        name="v",
        client_id="c",
        client_secret="canary-secret",
        token_url=f"{site.url}/v1/oauth/token",
        authorize_url=f"{site.url}/authorize",
        revoke_url=f"{site.url}/v1/oauth/token",
        dialect=Dialect(
            api_from={"instance_url": roots, "api_domain": [other.url]},
            token_url_from={"accounts-server": [other.url]},
            keep_params=["realmId"],
        ),
    )


async def connected(engine, vendor, **said):
    """The credential, and its token, of a user whose callback says ``said`` besides."""
    url = await engine.credential(vendor, "ada").authorization_url(BACK)
    state = parse_qs(urlsplit(url).query)["state"][0]
    return await engine.complete(vendor, {"state": state, "code": "c", **said})


async def called(credential):
    async with credential.session() as session, session.get("things") as answer:
        return (await answer.json())["url"]


@pytest.mark.parametrize("where", ["callback", "answer", "callback, by another name"])
async def test_the_api_of_an_account(engine, site, other, vendor, where):
    """Named in the callback or in the answer: calls go there, in another worker, and after a renewal that does not name it."""
    named = {"api_domain" if "name" in where else "instance_url": other.url}
    site.said = named if where == "answer" else {}
    credential = await connected(engine, vendor, **({} if where == "answer" else named))
    assert await called(credential) == other.url
    site.said = {}
    async with AuthEngine(engine.context.store_client.store) as another:
        found = another.credential(vendor, "ada")
        assert await called(found) == other.url
        await found.refresh()
        assert await called(found) == other.url
    assert site.calls == []
    assert len(other.calls) == 3
    assert site.grants == ["authorization_code", "refresh_token"]


async def test_the_token_server_of_an_account(engine, site, other, vendor):
    """Named in the callback: code, renewals in every worker and the revocation go there; who names none stays where it was."""
    credential = await connected(engine, vendor, **{"accounts-server": other.url})
    async with AuthEngine(engine.context.store_client.store) as another:
        await another.credential(vendor, "ada").refresh()
        await another.credential(vendor, "ada").logout()
    assert (site.grants, other.grants) == ([], ["authorization_code", "refresh_token", "revocation", "revocation"])
    await connected(engine, vendor)
    assert site.grants == ["authorization_code"]
    assert credential.account == "ada"


async def test_the_tenant_of_an_account(engine, vendor):
    """A parameter that the vendor's API wants with every call: for every worker, after renewals."""
    await connected(engine, vendor, realmId="4620816365")
    async with AuthEngine(engine.context.store_client.store) as another:
        for _ in range(2):
            token = await another.credential(vendor, "ada").refresh()
            assert token.extra["realmId"] == "4620816365"


@pytest.mark.parametrize("member", ["instance_url", "accounts-server"])
@pytest.mark.parametrize("named", UNLISTED)
async def test_a_callback_that_names_what_nobody_listed(engine, site, other, wire, vendor, member, named):
    """Refused before anything is sent; not even a name is looked up, and the true answer is still good."""
    url = await engine.credential(vendor, "ada").authorization_url(BACK)
    params = {"state": parse_qs(urlsplit(url).query)["state"][0], "code": "c"}
    with pytest.raises(UntrustedEndpoint) as caught:
        await engine.complete(vendor, {**params, member: named})
    assert member.replace("instance_url", "api_from").replace("accounts-server", "token_url_from") in str(caught.value)
    assert (site.grants, other.grants, wire.resolved, wire.connected) == ([], [], [], [])
    await engine.complete(vendor, params)
    assert site.grants == ["authorization_code"]


@pytest.mark.parametrize("member", ["instance_url", "accounts-server"])
@pytest.mark.parametrize("named", UNLISTED)
async def test_an_answer_that_names_what_nobody_listed(engine, site, wire, vendor, member, named):
    """At a login nobody is connected; at a renewal the new refresh token is kept, and no call and no renewal goes there."""
    site.said = {member: named}
    with pytest.raises(UntrustedEndpoint):
        await connected(engine, vendor)
    site.said = {}
    credential = await connected(engine, vendor)
    site.said = {member: named}
    token = await credential.refresh()
    assert token.refresh_token == f"rt-{site.numbers}"
    grants = len(site.grants)
    with pytest.raises(UntrustedEndpoint):
        await (called(credential) if member == "instance_url" else credential.refresh())
    assert (wire.resolved, wire.connected) == ([], [])
    assert (len(site.grants), site.calls) == (grants, [])


async def test_what_somebody_wrote_into_the_store(engine, site, other, wire, vendor):
    """A record that names other servers: looked at before each use, so its token goes nowhere and its refresh token, too."""
    credential = await connected(engine, vendor)
    store, codec = engine.context.store_client.store, engine.context.codec
    reading = await store.read(credential.replica.key)
    record = codec.expect(credential.replica.key, reading.record, TokenRecord)
    forged = attrs.evolve(record.token, endpoint=UNLISTED[0], extra={"accounts-server": UNLISTED[0]})
    number = reading.record.version + 1
    value = codec.close(credential.replica.key, number, attrs.evolve(record, token=forged))
    await store.commit(credential.replica.key, number, value)
    grants = len(site.grants)
    async with AuthEngine(store, timeout=1) as another:
        victim = another.credential(vendor, "ada")
        async with victim.session() as session:
            with pytest.raises(UntrustedEndpoint):
                await session.get("things")
        with pytest.raises(UntrustedEndpoint):
            await victim.refresh()
        with pytest.raises(UntrustedEndpoint):
            await victim.logout()
    assert (wire.resolved, wire.connected, site.calls, other.calls) == ([], [], [], [])
    assert len(site.grants) == grants


async def test_a_list_that_was_shortened(site, other, vendor):
    """A region that the app believes no more: its sessions get no request there, and are as they were when it is listed again."""
    store = MemoryStore()
    async with AuthEngine(store) as engine:
        await connected(engine, vendor, instance_url=other.url)
    fewer = attrs.evolve(vendor, dialect=Dialect(api_from={"instance_url": ["https://api.example.com"]}))
    async with AuthEngine(store) as engine:
        async with engine.credential(fewer, "ada").session() as session:
            with pytest.raises(UntrustedEndpoint):
                await session.get("things")
        assert await called(engine.credential(vendor, "ada")) == other.url
    assert isinstance(await AuthEngine(store).credential(vendor, "ada").token(), Token)
