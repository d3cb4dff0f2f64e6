"""OpenID Connect through the engine: the nonce is kept with the state, and a token of another authorization is not taken."""

from __future__ import annotations

import logging
from urllib.parse import parse_qs, urlsplit

import pytest

from linkauth import OAuth2
from linkauth.errors import MalformedResponse, ReauthorizationRequired
from tests.engine.fakes import Store, Worker, answer
from tests.engine.virtual import virtual, wall
from tests.vendors.vendor_answers import id_token

ACME = OAuth2(
    name="acme",
    client_id="c",
    client_secret="s",
    token_url="https://acme.example/token",
    authorize_url="https://acme.example/authorize",
    scope="openid",
)


class Server:
    """A token endpoint whose ID Token repeats ``nonce``."""

    def __init__(self):
        self.nonce = ""
        self.more = {}

    async def send(self, request, seconds):
        said = id_token(wall(), aud="c", sub="7", nonce=self.nonce)
        return answer(
            200, {"access_token": "a", "token_type": "Bearer", "expires_in": 900, "id_token": said, **self.more}
        )


async def _begun(worker):
    """A credential, and state and nonce of an authorization."""
    credential = worker.credential(ACME)
    query = parse_qs(urlsplit(await credential.authorization_url("https://app.example/back")).query)
    return credential, query["state"][0], query["nonce"][0]


@virtual
async def test_the_nonce_is_that_of_the_authorization():
    """Any worker finishes what another began; each authorization has a nonce of its own."""
    server, store = Server(), Store()
    _, state, server.nonce = await _begun(Worker(store, server))
    _, other, nonce = await _begun(Worker(store, server))
    assert len({state, other, server.nonce, nonce}) == 4
    assert len(nonce) == 43
    token = await Worker(store, server).credential(ACME).complete({"code": "c", "state": state})
    assert token.claims["sub"] == "7"
    assert (await Worker(store, server).credential(ACME).token()).claims == token.claims


@virtual
async def test_a_code_of_another_authorization_connects_nobody():
    """A stolen code in a thief's own callback: the ID Token has the victim's nonce, and nothing is stored."""
    server, store = Server(), Store()
    _, _, server.nonce = await _begun(Worker(store, server))
    thief, state, _ = await _begun(Worker(store, server))
    with pytest.raises(MalformedResponse, match="nonce"):
        await thief.complete({"code": "stolen", "state": state})
    with pytest.raises(ReauthorizationRequired):
        await Worker(store, server).credential(ACME).token()


@virtual
async def test_what_has_no_room_is_named_once(caplog):
    """A vendor that says more than 64 KiB: the token is there, and the log names the member."""
    server, store = Server(), Store()
    server.more = {"novel": "canary" * 20_000}
    credential, state, server.nonce = await _begun(Worker(store, server))
    with caplog.at_level(logging.WARNING, "linkauth"):
        token = await credential.complete({"code": "c", "state": state})
    assert "novel" not in token.extra
    assert [record.getMessage() for record in caplog.records] == ["acme/default: extra has no room for novel"]
