"""The middleware on a real server: who gets the header."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiohttp
import pytest
from yarl import URL

from linkauth import OAuth2
from tests.middleware.site import get


async def test_relative_urls_go_to_the_vendor_with_its_token(client, credential, site):
    """``client.session(credential)``: base URL and header are the vendor's; one token request for many calls."""
    async with client.session(credential) as session:
        statuses = await asyncio.gather(*(get(session, "products") for _ in range(20)))
    assert statuses == [200] * 20
    assert site.counts["token"] == 1
    assert {path for _, path, _, _ in site.seen} == {"/v1/products"}


async def test_no_other_origin_gets_the_header(client, credential, site, other):
    """Another port, and the same port under another name, are other origins."""
    async with client.bare(credential) as session:
        await get(session, f"{site.url}/v1/a")
        await get(session, f"{other.url}/v1/a")
        await get(session, site.url.replace("127.0.0.1", "localhost") + "/v1/b")
    assert other.signed() == [None]
    assert site.signed() == ["Bearer token-1", None]


@pytest.mark.parametrize("status", ["302", "307", "308"])
async def test_a_redirect_within_the_origin_keeps_the_header(client, credential, site, status):
    """Every hop at the vendor's own origin is signed."""
    async with client.bare(credential) as session:
        assert await get(session, f"{site.url}/v1/a?status={status}&to=/v1/b") == 200
    assert site.signed() == ["Bearer token-1"] * 2


@pytest.mark.parametrize("status", ["302", "307", "308"])
async def test_a_redirect_to_another_origin_loses_the_header(client, credential, site, other, status):
    """No hop elsewhere is signed, whatever the redirect; coming back it is, where each hop is looked at."""
    async with client.bare(credential) as session:
        async with session.post(_there_and_back(site, other, status), data=b"body") as answer:
            assert answer.status == (200 if client.each_hop else 401)
    assert other.signed() == [None]
    assert site.signed() == ["Bearer token-1", "Bearer token-1" if client.each_hop else None]
    assert site.counts["token"] == 1


@pytest.mark.parametrize("status", ["302", "307", "308"])
async def test_a_middleware_of_one_request_looks_at_each_hop(credential, site, other, status):
    """``middlewares=`` per request: signed at the vendor's origin, and at no other."""
    async with aiohttp.ClientSession() as session:
        how = {"middlewares": (credential,)}
        assert await get(session, f"{site.url}/v1/a?status={status}&to=/v1/b", **how) == 200
        async with session.post(_there_and_back(site, other, status), data=b"body", **how) as answer:
            assert answer.status == 200
    assert other.signed() == [None]
    assert site.signed() == ["Bearer token-1"] * 4


def _there_and_back(site, other, status) -> URL:
    """A URL at ``site`` that leads to ``other``, and back."""
    there = URL(f"{other.url}/b").with_query(status=status, to=f"{site.url}/v1/c")
    return URL(f"{site.url}/v1/a").with_query(status=status, to=str(there))


async def test_several_credentials_in_one_session_serve_their_own_origins(engine, credential, site, other):
    """Two vendors, one session: each origin gets its own token, in any order, across redirects."""
    second = engine.credential(
        OAuth2(name="o", client_id="c", client_secret="s", token_url=f"{other.url}/v1/oauth/token")
    )
    other.issued = 100
    for pair in ((credential, second), (second, credential)):
        async with aiohttp.ClientSession(middlewares=pair) as session:
            assert await get(session, f"{site.url}/v1/a") == 200
            assert await get(session, f"{other.url}/x") == 200
            assert await get(session, URL(f"{site.url}/v1/a").with_query(status="302", to=f"{other.url}/y")) == 200
    assert set(site.signed()) == {"Bearer token-1"}
    assert set(other.signed()) == {"Bearer token-101"}


async def test_the_callers_own_header_is_left_alone(client, credential, site):
    """An explicit Authorization, and user:password in the URL, are the caller's will: nothing is set or renewed."""
    async with client.session(credential) as session:
        assert await get(session, "a", headers={"Authorization": "Bearer mine"}) == 401
        assert await get(session, URL(site.url).with_user("u").with_password("p") / "v1/a") == 401
    assert site.signed() == ["Bearer mine", "Basic dTpw"]
    assert site.counts["token"] == 0


async def test_a_session_without_middlewares_is_not_signed(credential, site):
    """``middlewares=()`` for one request switches the credential off."""
    async with credential.session() as session:
        assert await get(session, "a", middlewares=()) == 401
    assert site.signed() == [None]


async def test_a_websocket_is_signed_and_renewed(credential, site):
    """``ws_connect`` gets the header, and a new one after a 401."""
    async with credential.session() as session:
        await get(session, "a")
        site.revoke()
        async with session.ws_connect("socket?ws=1") as socket:
            assert await socket.receive_str() == "hello"
    assert site.counts["token"] == 2


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_a_websocket_by_its_own_scheme_is_signed(credential, site, other, scheme):
    """``ws://`` is ``http://`` to the same server (RFC 6455 §3), and no other's."""
    url = f"{site.url}/v1/socket?ws=1".replace("http", scheme, 1)
    async with aiohttp.ClientSession(middlewares=[credential]) as session:
        async with session.ws_connect(url) as socket:
            assert await socket.receive_str() == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"{other.url}/v1/socket?ws=1".replace("http", scheme, 1))
    assert site.signed() == ["Bearer token-1"]
    assert other.signed() == [None]


def in_netrc(monkeypatch: pytest.MonkeyPatch, path: Any, line: str) -> None:
    path.write_text(line)
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))


@pytest.mark.blocking  # aiohttp reads the netrc, and the test writes it
@pytest.mark.parametrize("line", ["machine 127.0.0.1 login u password p", "default account u password p"])
async def test_a_netrc_does_not_go_before_the_token(credential, site, other, monkeypatch, tmp_path, line):
    """aiohttp puts a netrc's login on every request: it is nobody's will, so the vendor's are signed; others keep it."""
    in_netrc(monkeypatch, tmp_path / "netrc", line)
    async with credential.session(trust_env=True) as session:
        assert await get(session, "a") == 200
        site.revoke()
        assert await get(session, "b") == 200
        await get(session, f"{other.url}/c")
    assert site.signed() == ["Bearer token-1", "Bearer token-1", "Bearer token-3"]
    assert other.signed() == ["Basic dTpw"]


@pytest.mark.blocking  # aiohttp reads the netrc, and the test writes it
@pytest.mark.parametrize("line", ["machine 127.0.0.1 login u password p", "machine other login u password p", "broken"])
async def test_the_callers_own_header_goes_before_a_netrc(credential, site, monkeypatch, tmp_path, line):
    """user:password in the URL and, where aiohttp lets it pass, a header are the caller's own as ever."""
    in_netrc(monkeypatch, tmp_path / "netrc", line)
    async with credential.session(trust_env=True) as session:
        assert await get(session, URL(site.url).with_user("me").with_password("mine") / "v1/a") == 401
        if "127.0.0.1" not in line:
            assert await get(session, "a", headers={"Authorization": "Bearer mine"}) == 401
            assert await get(session, "a", headers={"Authorization": "Basic !"}) == 401
    assert site.signed()[0] == "Basic bWU6bWluZQ=="
    assert site.counts["token"] == 0


async def test_nothing_of_the_token_is_logged(client, credential, site, caplog):
    """Through renewal, 401 and repeat no logger shows a token, at DEBUG."""
    caplog.set_level(logging.DEBUG)
    async with client.session(credential) as session:
        await get(session, "a")
        site.revoke()
        await get(session, "b")
    assert "token-" not in caplog.text
