"""Token requests by way of real proxies: what they see, what they ask for, and what is said when they fail."""

from __future__ import annotations

import asyncio
import json
import ssl

import pytest

from linkauth import AuthEngine, LinkXG, OAuth2
from linkauth.errors import NoAnswer, NotSent
from linkauth.oauth.exchange import Request
from linkauth.transport import Proxies, Transport, masked
from tests.loopback import Raw, closed_port, raw, response, says
from tests.transport.conftest import VENDOR
from tests.transport.tunnel import tunnel

SECRET = "canary-secret"
LOGIN = "Basic dXM8ZXI6Y0BuYXJ5"  # us<er:c@nary
TOKEN = response(
    json.dumps({"access_token": "canary-token", "token_type": "Bearer", "expires_in": 900}).encode(),
    "200 OK",
    "Content-Type: application/json",
)


@pytest.fixture
def by(trusting):
    """Makes a transport that goes by a proxy."""

    def make(url: str, tls: ssl.SSLContext = trusting) -> Transport:
        return Transport(Proxies.chosen(masked(url), trust_env=False), tls)

    return make


def ask(url: str = f"https://{VENDOR}/oauth/token") -> Request:
    return Request.form(url, {"client_secret": SECRET})


async def fails(transport: Transport, *, kind: type[Exception] = NotSent, seconds: float = 60.0) -> str:
    with pytest.raises(kind) as caught:
        await transport.send(ask(), seconds)
    assert type(caught.value) is kind
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
    return f"{caught.value} [{caught.value.who}]"


async def test_https_goes_through_by_connect_alone(by, serving):
    """The proxy sees the vendor's name and port; the request, its secret and headers lie inside TLS."""
    async with raw(says(TOKEN), tls=serving) as vendor, raw(tunnel(vendor.port)) as proxy:
        assert (await by(proxy.url).send(ask(), 60)).status == 200
    assert [head.split(b"\r\n")[0] for head in proxy.heard] == [f"CONNECT {VENDOR}:443 HTTP/1.1".encode()]
    assert f"client_secret={SECRET}".encode() in vendor.heard[0]
    assert b"proxy-authorization" not in vendor.heard[0].lower()
    names = {line.split(b":")[0].lower() for line in proxy.heard[0].split(b"\r\n")[1:] if line}
    assert names <= {b"host", b"user-agent", b"accept", b"accept-encoding", b"connection"}
    assert b"user-agent: linkauth/" in proxy.heard[0].lower()


async def test_the_proxys_login_goes_to_the_proxy_alone(by, serving):
    """Percent-decoded, in ``Proxy-Authorization``; the vendor never sees it."""
    async with raw(says(TOKEN), tls=serving) as vendor, raw(tunnel(vendor.port, LOGIN)) as proxy:
        found = await by(proxy.url.replace("://", "://us%3Cer:c%40nary@")).send(ask(), 60)
    assert found.status == 200
    assert LOGIN.encode() not in vendor.heard[0]


async def test_a_proxy_that_is_spoken_to_in_tls(by, serving):
    """``https://`` before the proxy's name: its login is in no wire's clear either."""
    async with raw(says(TOKEN), tls=serving) as vendor, raw(tunnel(vendor.port, LOGIN), tls=serving) as proxy:
        url = f"https://us%3Cer:c%40nary@127.0.0.1:{proxy.port}"
        assert (await by(url).send(ask(), 60)).status == 200
    assert (proxy.connections, len(vendor.heard)) == (1, 1)


async def test_nothing_of_this_machines_goes_through_it(by, serving):
    """In clear or in TLS: a name of loopback at the proxy is the proxy's own loopback."""
    async with raw(says(TOKEN)) as proxy, raw(says(TOKEN)) as clear, raw(says(TOKEN), tls=serving) as vendor:
        transport = by(proxy.url)
        for url in (clear.url, f"https://127.0.0.1:{vendor.port}"):
            assert (await transport.send(ask(url), 60)).status == 200
    assert proxy.connections == 0


async def test_a_proxy_that_wants_a_login(by):
    """407: what is missing is said, and to whom; nothing was sent to the vendor."""
    async with raw(tunnel(closed_port(), LOGIN)) as proxy:
        where = f"{VENDOR}: the proxy 127.0.0.1:{proxy.port}: "
        words = await fails(by(proxy.url))
        assert words.startswith(f"{where}it asks for a user and password in its URL (HTTP 407)")
        words = await fails(by(proxy.url.replace("://", "://user:canary@")))
        assert words.startswith(f"{where}it refuses the user or password in its URL (HTTP 407)")
        assert "canary" not in words
        assert words.endswith("whoever runs this app has to act [the operator]")


@pytest.mark.parametrize(
    "answer",
    [
        "502 Bad Gateway",
        "403 Forbidden",
        "503 Service Unavailable",
        "302 Found",
        "307 Temporary Redirect",
        "204 No Content",
    ],
)
async def test_a_proxy_that_opens_no_way(by, answer):
    """Whatever it answers in place of 200, a redirect too, which is not followed: ``NotSent``."""
    async with raw(says(TOKEN)) as elsewhere:
        refusal = response(b"", answer, f"Location: {elsewhere.url}/", f"X-Echo: {SECRET}")
        async with raw(says(refusal)) as proxy:
            words = await fails(by(proxy.url))
        assert elsewhere.connections == 0
    assert words == (
        f"{VENDOR}: the proxy 127.0.0.1:{proxy.port}: it opens no way there (HTTP {answer[:3]}); whoever runs the "
        "proxy has to act [the operator]"
    )


async def test_a_proxy_that_is_not_there(by):
    """Refused, unknown, or without a certificate that is believed: told apart, and the proxy is named."""
    port = closed_port()
    words = await fails(by(f"http://127.0.0.1:{port}"))
    assert f"the proxy 127.0.0.1:{port}: no connection came about (Connection refused)" in words
    assert words.endswith("[the operator]")
    words = await fails(by(f"http://[::1]:{port}"))
    assert f"the proxy [::1]:{port}: no connection came about (" in words
    assert words.endswith("[the operator]")
    words = await fails(by("http://proxy.invalid:3128"))
    assert "the proxy proxy.invalid:3128: its name was not resolved" in words
    assert words.endswith("[the operator]")


async def test_a_proxy_that_nobody_vouches_for(by, serving):
    """Its certificate is looked at as a vendor's is."""
    async with raw(says(TOKEN), tls=serving) as proxy:
        words = await fails(by(f"https://127.0.0.1:{proxy.port}", ssl.create_default_context()))
        assert f"the proxy 127.0.0.1:{proxy.port}: no trusted TLS connection came about" in words
        assert words.endswith("[the operator]")
        assert proxy.heard == []


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\n\r\ngarbage"]
)
async def test_a_proxy_that_talks_nonsense(by, answer):
    """Cut off, a way that ends at once, or no HTTP at all: ``NotSent``, and the proxy is named."""

    async def talk(server, reader, writer):
        await server.request(reader)
        writer.write(answer)
        await writer.drain()

    async with raw(talk) as proxy:
        assert f"127.0.0.1:{proxy.port}" in await fails(by(proxy.url))


async def test_a_proxy_that_is_silent(by):
    """Half of the time is for the way there: then ``NotSent``."""

    async def talk(server, reader, writer):
        await server.request(reader)
        await reader.read()

    async with raw(talk) as proxy:
        words = await fails(by(proxy.url), seconds=0.4)
    assert f"the proxy 127.0.0.1:{proxy.port}: no connection in time" in words


async def test_a_vendor_that_is_not_believed_through_the_proxy(by, serving):
    """The proxy stands between, and cannot pass for the vendor: nothing is sent, and it is the vendor's TLS that failed."""
    async with raw(says(TOKEN), tls=serving) as vendor, raw(tunnel(vendor.port)) as proxy:
        words = await fails(by(proxy.url, ssl.create_default_context()))
        with pytest.raises(NotSent, match=r"vendor\.org, by the proxy"):
            await by(proxy.url).send(ask("https://vendor.org/oauth/token"), 60)
    assert f"{VENDOR}, by the proxy 127.0.0.1:{proxy.port}: no trusted TLS connection came about" in words
    assert vendor.heard == []


async def test_a_way_that_is_cut_after_the_request_is_in_doubt(by, serving):
    """The vendor has read it: ``NoAnswer``, as without a proxy."""

    async def talk(server, reader, writer):
        await server.request(reader)
        writer.transport.abort()

    async with raw(talk, tls=serving) as vendor, raw(tunnel(vendor.port)) as proxy:
        await fails(by(proxy.url), kind=NoAnswer)
    assert len(vendor.heard) == 1


async def test_the_engine_renews_through_the_proxy_of_the_environment(monkeypatch, trusting, serving, tmp_path):
    """``AuthEngine(trust_env=True, ssl=…)``: the half that was cut off, and no netrc is read."""
    async with raw(says(TOKEN), tls=serving) as vendor, raw(tunnel(vendor.port)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("https_proxy", raising=False)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "elsewhere.example")
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine {VENDOR} login somebody password else\nmachine 127.0.0.1 login some password else\n")
        monkeypatch.setenv("NETRC", str(netrc))
        linkxg = LinkXG(client_id="c", client_secret=SECRET, base_url=f"https://{VENDOR}/api/v1")
        async with AuthEngine(ssl=trusting, trust_env=True) as engine:
            assert (await engine.credential(linkxg).token()).access_token == "canary-token"
    assert proxy.connections == 1
    assert b"authorization" not in (proxy.heard[0] + vendor.heard[0]).lower()


async def test_discovery_goes_through_it_too(trusting, serving):
    """``OAuth2.discover(proxy=…, ssl=…)``."""
    issuer = f"https://{VENDOR}"
    metadata = json.dumps({"issuer": issuer, "token_endpoint": f"{issuer}/token"}).encode()
    async with raw(says(response(metadata)), tls=serving) as vendor, raw(tunnel(vendor.port)) as proxy:
        found = await OAuth2.discover(
            issuer, client_id="c", client_secret=SECRET, authorize_url=None, proxy=proxy.url, ssl=trusting
        )
    assert (found.token_url, proxy.connections) == (f"{issuer}/token", 1)


async def test_each_of_many_has_a_way_of_its_own(by, serving):
    """Fifty at once: fifty tunnels, and no answer goes to another."""

    async def talk(server, reader, writer):
        request = await server.request(reader)
        writer.write(response(request.split(b"=")[-1]))
        await writer.drain()

    async with raw(talk, tls=serving) as vendor, raw(tunnel(vendor.port)) as proxy:
        transport = by(proxy.url)
        sent = [Request.form(f"https://{VENDOR}/", {"n": str(n)}) for n in range(50)]
        answers = await asyncio.gather(*(transport.send(each, 60) for each in sent))
    assert [each.body for each in answers] == [str(n).encode() for n in range(50)]
    assert proxy.connections == 50


async def test_a_proxy_of_the_sixth_version(by, serving):
    """``http://[::1]:3128``: its address stands in brackets, and is reached without."""
    async with raw(says(TOKEN), tls=serving) as vendor:
        door = await asyncio.start_server(Raw(tunnel(vendor.port))._accept, "::1", 0)
        async with door:
            assert (await by(f"http://[::1]:{door.sockets[0].getsockname()[1]}").send(ask(), 60)).status == 200
