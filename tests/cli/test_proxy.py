"""The command line behind a proxy: it goes as the environment says."""

from __future__ import annotations

import asyncio
import json
import ssl

import pytest

from tests.cli.conftest import run
from tests.loopback import closed_port, raw, response
from tests.servers import certificates
from tests.transport.tunnel import tunnel

VENDOR = "vendor.example"
ISSUER = f"https://{VENDOR}"
ANSWERS = {
    b"GET": {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"},
    b"POS": {"access_token": "canary-token", "token_type": "Bearer", "expires_in": 900},
}


@pytest.fixture
def outside(tmp_path, store):
    """What stands in the environment of a machine whose way out is a proxy, and the vendor's context."""
    folder = certificates(tmp_path / "certificates", VENDOR)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    told = {"LINKAUTH_STORE": store, "LINKAUTH_CLIENT_SECRET": "canary", "LINKAUTH_CLIENT_ID": "c", "NO_PROXY": ""}
    return {**told, "SSL_CERT_FILE": str(folder / "ca.pem")}, context


async def talk(server, reader, writer):
    while request := await server.request(reader):
        writer.write(response(json.dumps(ANSWERS[request[:3]]).encode(), "200 OK", "Content-Type: application/json"))
        await writer.drain()


async def test_discovery_and_tokens_go_by_the_proxy_of_the_environment(outside):
    """``HTTPS_PROXY`` and ``SSL_CERT_FILE``, as every other command of such a machine reads them."""
    env, context = outside
    async with raw(talk, tls=context) as vendor, raw(tunnel(vendor.port)) as proxy:
        words = ("token", "oauth2", "--issuer", ISSUER)
        ended = await asyncio.to_thread(run, *words, **env, HTTPS_PROXY=proxy.url, https_proxy=proxy.url)
    assert (ended.status, ended.err) == (0, "")
    assert (proxy.connections, len(vendor.heard)) == (2, 2)


async def test_a_proxy_that_refuses_is_named_with_who_has_to_act(outside):
    """407 and a proxy that is none: in a line each, without its password."""
    env, _ = outside
    words = ("token", "linkxg", "--base-url", ISSUER)
    async with raw(tunnel(closed_port(), "Basic other")) as proxy:
        url = proxy.url.replace("://", "://user:canary-password@")
        ended = await asyncio.to_thread(run, *words, **env, HTTPS_PROXY=url, https_proxy=url)
    assert ended.status == 1
    assert f"the proxy 127.0.0.1:{proxy.port}: it refuses the user or password in its URL (HTTP 407)" in ended.err
    assert ended.err.rstrip().endswith("Who has to act: the operator.")
    url = "socks5://user:canary-password@proxy:1080"
    ended = await asyncio.to_thread(run, *words, **env, HTTPS_PROXY=url, https_proxy=url)
    assert ended.status == 1
    assert ended.err.startswith("linkauth: HTTPS_PROXY: an http or https URL is needed")
