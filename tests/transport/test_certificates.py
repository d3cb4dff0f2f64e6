"""TLS: an authority of one's own, a certificate of one's own, and nothing that does not verify."""

from __future__ import annotations

import ssl

import pytest

from linkauth import AuthEngine
from linkauth.errors import ConfigurationError, NotSent, VendorUnavailable
from linkauth.oauth.exchange import Request
from linkauth.transport import Transport
from tests.loopback import raw, response, says

OK = response(b"{}")


async def sent(port: int, context: ssl.SSLContext | None) -> int:
    transport = Transport(tls=context)
    return (await transport.send(Request.form(f"https://127.0.0.1:{port}/", {"a": "b"}), 60)).status


async def test_an_authority_of_ones_own(serving, trusting):
    """A server that a private authority vouches for is believed by who names it, and by nobody else."""
    async with raw(says(OK), tls=serving) as server:
        assert await sent(server.port, trusting) == 200
        with pytest.raises(NotSent, match=r"no trusted TLS connection came about \(unable to get local issuer"):
            await sent(server.port, None)
    assert len(server.heard) == 1


async def test_an_authority_named_in_the_environment(serving, folder, monkeypatch):
    """``SSL_CERT_FILE`` is OpenSSL's own: whatever context is made reads it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    async with raw(says(OK), tls=serving) as server:
        assert await sent(server.port, ssl.create_default_context()) == 200


async def test_a_client_certificate(serving, trusting, folder):
    """Mutual TLS: with one the vendor answers; without one it refuses before it has read anything."""
    serving.verify_mode = ssl.CERT_REQUIRED
    serving.load_verify_locations(folder / "ca.pem")
    async with raw(says(OK), tls=serving) as server:
        # In TLS 1.3 a client hears of it after it has sent: it cannot know that nobody read that.
        with pytest.raises(VendorUnavailable, match=r"127\.0\.0\.1: "):
            await sent(server.port, trusting)
        assert server.heard == []
        trusting.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        assert await sent(server.port, trusting) == 200
    assert len(server.heard) == 1


def _without(**how: object) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for name, value in how.items():
        setattr(context, name, value)
    return context


@pytest.mark.parametrize(
    "context",
    [
        False,
        0,
        "ca.pem",
        ssl._create_unverified_context(),
        _without(check_hostname=False),
        _without(check_hostname=False, verify_mode=ssl.CERT_NONE),
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
    ],
)
def test_nothing_that_does_not_verify(context):
    """When the engine is made: a context that believes anybody, or nobody's name, is refused."""
    with pytest.raises(ConfigurationError, match="ssl: an SSLContext is needed that verifies"):
        AuthEngine(ssl=context)


@pytest.mark.parametrize("context", [None, True, ssl.create_default_context(), _without(verify_mode=ssl.CERT_OPTIONAL)])
def test_what_verifies(context):
    """The default, and a context that does: a client that finds a certificate optional looks at it all the same."""
    AuthEngine(ssl=context)
