"""The middleware and a vendor's own ways, on real servers: another header or scheme, another status, an API that is named."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from linkauth import AuthEngine, Dialect, OAuth2
from linkauth.errors import UntrustedEndpoint
from linkauth_stores.memory import MemoryStore

HEADER = "X-Shopify-Access-Token"


class Site:
    """A vendor whose newest token alone is good, and what its API was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.issued = 0
        self.instance: str | None = None
        self.expired = 401
        """What the API answers to any other token."""
        self.seen: list[tuple[str | None, str | None]] = []
        """``Authorization`` and Shopify's header of each call."""

    async def token(self, request: web.Request) -> web.Response:
        self.issued += 1
        return web.json_response(
            {"access_token": f"at-{self.issued}", "expires_in": 900, "instance_url": self.instance}
        )

    async def api(self, request: web.Request) -> web.Response:
        sent = request.headers.get("Authorization"), request.headers.get(HEADER)
        self.seen.append(sent)
        if "to" in request.query:
            raise web.HTTPTemporaryRedirect(request.query["to"])
        good = any(value and value.endswith(f"at-{self.issued}") for value in sent)
        return web.Response(status=200 if good else self.expired)


@pytest.fixture
def make_site():
    return Site


def _credential(engine, site, **dialect):
    vendor = OAuth2(
        name="v", client_id="c", client_secret="s", token_url=f"{site.url}/v1/oauth/token", dialect=Dialect(**dialect)
    )
    return engine.credential(vendor)


async def test_another_scheme(client, engine, site):
    """Zoho's: in place of ``Bearer``."""
    async with (
        client.session(_credential(engine, site, scheme="Zoho-oauthtoken")) as session,
        session.get("x") as answer,
    ):
        assert answer.status == 200
    assert site.seen == [("Zoho-oauthtoken at-1", None)]


async def test_another_header(client, engine, site):
    """Shopify's: the token alone in it, and no ``Authorization``."""
    async with client.session(_credential(engine, site, header=HEADER)) as session, session.get("x") as answer:
        assert answer.status == 200
    assert site.seen == [(None, "at-1")]


async def test_the_callers_own_header_is_the_callers_will(client, engine, site):
    """In the header of the vendor's: nothing is fetched, nothing replaced."""
    async with client.session(_credential(engine, site, header=HEADER)) as session:
        async with session.get("x", headers={HEADER: "mine"}) as answer:
            assert answer.status == 401
    assert site.seen == [(None, "mine")]
    assert site.issued == 0


async def test_another_origin_never_gets_the_header(client, engine, site, other):
    """aiohttp takes ``Authorization`` off at a foreign redirect, and no other header: it is not there to be taken off."""
    async with client.session(_credential(engine, site, header=HEADER)) as session:
        async with session.get("x", params={"to": f"{other.url}/y"}) as answer:
            assert answer.status == 401
        async with session.get(f"{other.url}/z"):
            pass
        async with session.get("x", params={"to": f"{site.url}/y"}) as answer:
            assert answer.status == 200
    assert other.seen == [(None, None)] * 2
    assert site.seen == [(None, "at-1")] * 3


@pytest.mark.parametrize("dialect", [{}, {"header": HEADER}])
async def test_a_refused_token_is_renewed_and_the_request_repeated_once(client, engine, site, dialect):
    """In whichever header it was: one renewal, one repeat, and the old token goes out no more."""
    credential = _credential(engine, site, **dialect)
    await credential.token()
    site.issued += 1
    async with client.session(credential) as session, session.get("x") as answer:
        assert answer.status == 200
    assert [one or another for one, another in site.seen] == (
        ["at-1", "at-3"] if dialect else ["Bearer at-1", "Bearer at-3"]
    )


async def test_a_status_that_tells_of_an_expired_token(client, engine, site):
    """Frappe's 403 renews where it is stated; elsewhere it is the caller's."""
    site.expired = 403
    plain = _credential(engine, site)
    await plain.token()
    site.issued += 1
    async with client.session(plain) as session, session.get("x") as answer:
        assert answer.status == 403
    assert len(site.seen) == 1
    async with AuthEngine(MemoryStore()) as another:
        stated = _credential(another, site, expired_statuses=[401, 403])
        await stated.token()
        site.issued += 1
        async with client.session(stated) as session, session.get("x") as answer:
            assert answer.status == 200
    assert len(site.seen) == 3


async def test_an_api_that_the_answer_names(client, engine, site, other):
    """Salesforce's ``instance_url``: calls below the session's base go there, where it is listed."""
    site.instance = other.url
    other.issued = 1
    async with client.session(_credential(engine, site, api_from={"instance_url": [other.url]})) as session:
        async with session.get("x") as answer:
            assert answer.status == 200
        async with session.get(f"{other.url}/y") as answer:
            assert answer.status == 200
    assert other.seen == [("Bearer at-1", None)] * 2
    assert site.seen == []


async def test_an_api_that_nobody_listed_gets_no_request(client, engine, site, other):
    """Nor does the configured one, for the vendor has said that it is not there."""
    site.instance = other.url
    async with client.session(
        _credential(engine, site, api_from={"instance_url": ["https://api.example.com"]})
    ) as session:
        with pytest.raises(UntrustedEndpoint):
            await session.get("x")
        async with aiohttp.ClientSession() as bare, bare.get(f"{other.url}/y"):
            pass
    assert other.seen == [(None, None)]
    assert site.seen == []
