"""What is refused, or cannot be read, stands in no error, and in no frame of its traceback."""

from __future__ import annotations

import json

import pytest

from linkauth import (
    AuthEngine,
    ConfigurationError,
    LinkAuthError,
    Linkkit,
    LinkXG,
    LinkXGUser,
    OAuth2,
    SageX3,
    open_store,
)
from linkauth.oauth.discovery import Metadata
from linkauth.oauth.exchange import Response
from linkauth.oauth.token import Token
from linkauth.testing import play
from linkauth_stores.memory import MemoryStore
from tests.canary.scan import canary as marked
from tests.canary.scan import formatted, found, of_error
from tests.canary.test_pockets import URL, key
from tests.engine.fakes import Store


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (LinkXG, {"client_id": ""}),
        (LinkXG, {"client_id": "c", "base_url": "http://evil.example"}),
        (Linkkit, {"client_id": "c", "scope": "\n"}),
        (SageX3, {"client_id": "c", "base_url": URL, "customer": ""}),
        (OAuth2, {"client_id": "c", "name": "n", "token_url": URL, "client_auth": "none"}),
        (OAuth2, {"client_id": "c", "name": "n", "token_url": "ftp://x"}),
        (OAuth2, {"client_id": "c", "name": "n", "token_url": URL, "unknown": 1}),
    ],
)
def test_a_constructor_that_refuses_shows_no_client_secret(make, arguments):
    """A bad argument beside a client secret: neither the error nor its traceback with locals shows the secret."""
    for secret in (marked(), marked().encode()):
        with pytest.raises((ConfigurationError, TypeError)) as caught:
            make(client_secret=secret, **arguments)
        assert not found(formatted(caught.value))


@pytest.mark.parametrize(
    "arguments",
    [{"timeout": "5"}, {"timeout": 1}, {"timeout": 1, "proxy": "http://h:port"}, {"timeout": 1, "ssl": False}],
)
async def test_a_discovery_that_fails_shows_no_client_secret(arguments):
    """Whether it is refused or nobody answers: what the vendor would have been made of stands in no frame."""
    for secret in (marked(), marked().encode()):
        with pytest.raises(LinkAuthError) as caught:
            await OAuth2.discover("https://127.0.0.1:1", client_id="c", client_secret=secret, **arguments)
        assert not found(formatted(caught.value))


@pytest.mark.parametrize("arguments", [{"client_id": "c"}, {"client_id": "", "client_auth": "post"}])
def test_metadata_that_no_vendor_can_be_made_of_show_no_client_secret(arguments):
    """Nor does a server whose ways linkauth has not, nor another argument that is refused."""
    said = Metadata(issuer=URL, token_endpoint=URL, token_endpoint_auth_methods_supported=["private_key_jwt"])
    with pytest.raises(ConfigurationError) as caught:
        OAuth2.from_metadata(said, name="n", client_secret=marked(), **arguments)
    assert not found(formatted(caught.value))


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: AuthEngine(f"redis://:{marked()}@h", timeout=-1),
        lambda: AuthEngine("memory:", keys=[marked()]),
        lambda: AuthEngine("memory:", keys=key(), refresh_ahead=-1),
        lambda: AuthEngine(f"nosuch://:{marked()}@h"),
        lambda: AuthEngine(f"redis://:{marked()}@[h"),
        lambda: AuthEngine(proxy=f"http://user:{marked()}@h", timeout=-1),
        lambda: AuthEngine(proxy=f"http://user:{marked()}@h:port"),
        lambda: AuthEngine(proxy=f"http://user:{marked()}/@h", ssl=False),
        lambda: AuthEngine(proxy=f"http://user:{marked()}@h", ssl=False),
        lambda: open_store(f"redis://user:{marked()}@h:port/0"),
        lambda: open_store(f"rediss://user:{marked()}@h/0?nosuch=1"),
        lambda: open_store(f"redis+sentinel://h/?sentinel_password={marked()}"),
        lambda: open_store(f"redis+cluster://:{marked()}@h/7"),
        lambda: open_store(f"http://user:{marked()}@h"),
        lambda: open_store(f"//user:{marked()}@[::1"),
    ],
)
def test_a_store_or_key_that_is_refused_is_not_shown(attempt):
    """Passwords in a store's URL, and keys, do not show where something about them, or beside them, is refused."""
    with pytest.raises(ConfigurationError) as caught:
        attempt()
    assert not any(found(text) for where, text in of_error(caught.value) if "local" not in where)


@pytest.mark.parametrize(
    "broken", [{"expires_in": "soon"}, {"token_type": 5}, {"scope": "\n"}, {"refresh_token": 5}, {}]
)
@pytest.mark.parametrize("name", ["linkxg", "user", "oauth2"])
def test_what_a_malformed_answer_brought_is_not_shown(name, broken):
    """A token in an answer that is refused, even one not sent before: no container in any frame has it in clear."""
    good = {
        "access_token": marked(),
        "refresh_token": marked(),
        "id_token": marked(),
        "token_type": "MAC",
        "expires_in": 9,
    }
    inner = {"accessToken": marked() + " ", "refreshToken": marked(), "user": {"secret": marked()}}
    vendor, body = {
        "linkxg": (LinkXG(client_id="c", client_secret=marked()), {**good, **broken}),
        "user": (LinkXGUser(), {"success": True, "data": {**inner, **broken}}),
        "oauth2": (OAuth2(name="n", client_id="c", client_secret=marked(), token_url=URL), {**good, **broken}),
    }[name]
    held = Token(access_token=marked(), refresh_token=marked(), expires_at=1.0)
    with pytest.raises(LinkAuthError) as caught:
        play(vendor.renew(held), Response(status=200, body=json.dumps(body).encode()))
    assert not [(where, text) for where, text in of_error(caught.value) if found(text)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"expires_at": "soon"},
        {"endpoint": "https://evil.example"},
        {"extra": {"note": {1, 2}}},
        {"extra": ["not", "members"]},
        {"access_token": None, "refresh_token": None},
        {"expires_at": 1.0, "refresh_expires_at": 1.0},
        {"access_token": 5},
        {"unknown": 5},
        {},
    ],
    ids=str,
)
async def test_what_a_session_from_elsewhere_brings_is_not_shown(wrong):
    """Refused by its arguments, by what is here already, or by a store that is away: no frame shows a token in clear."""
    store = Store(MemoryStore())
    given = {"access_token": marked(), "refresh_token": marked(), "expires_at": 2e9, "extra": {"id_token": marked()}}
    async with AuthEngine(store, timeout=1.0) as engine:
        credential = engine.credential(LinkXGUser(base_url="https://127.0.0.1:1"))
        if not wrong:
            await credential.adopt(**given)
            store.down.add("*")
        with pytest.raises((LinkAuthError, TypeError)) as caught:
            await credential.adopt(**{**given, **wrong})
        assert not found(formatted(caught.value))
        if "unknown" not in wrong:  # where Python itself shows what it was given, to nobody's function
            assert not [(where, text) for where, text in of_error(caught.value) if found(text)]
        store.down.clear()
