"""Whatever comes in wrong is a typed error that says who has to act, in time, and shows no secret."""

from __future__ import annotations

import json
import math
import traceback
from pathlib import Path
from typing import Any

import pytest

from linkauth import AuthEngine, LinkXG, LinkXGUser, OAuth2, SageX3, open_store
from linkauth.errors import (
    ConfigurationError,
    CorruptRecord,
    LinkAuthError,
    MalformedResponse,
    StoreUnavailable,
)
from linkauth.sandbox import Sandbox
from linkauth_stores.file import FileStore
from linkauth_stores.memory import MemoryStore

CANARY = "canary-5ecret"


def says(error: LinkAuthError, who: str) -> None:
    """The error names who has to act, in words, and neither it nor its formatted traceback shows the canary."""
    assert error.who == who
    assert str(error)
    seen: BaseException | None = error
    while seen is not None:
        assert CANARY not in f"{seen} {seen!r} {seen.args}"
        seen = seen.__cause__ or seen.__context__
    lines = traceback.TracebackException.from_exception(error, capture_locals=False).format()
    assert CANARY not in "".join(line for line in lines if "test_bad_input" not in line)


# -- What the caller gives.


@pytest.mark.parametrize(
    "given", [{"timeout": "5"}, {"timeout": None}, {"timeout": True}, {"refresh_ahead": "60"}, {"refresh_ahead": False}]
)
def test_seconds_that_are_no_number_are_refused(given):
    """As a setting that was read from the environment may be: told when the engine is made, and by which name."""
    with pytest.raises(ConfigurationError, match=f"{next(iter(given))}: seconds"):
        AuthEngine(**given)


@pytest.mark.parametrize("timeout", ["5", None, True, 0, -1.0, math.nan])
async def test_seconds_to_discover_in_that_are_no_number_are_refused(timeout):
    """As the engine's are, and before anything is sent."""
    with pytest.raises(ConfigurationError, match="timeout: seconds"):
        await OAuth2.discover("https://issuer.example", timeout=timeout, client_id="c", client_secret=CANARY)


URLS = [
    "http://api.linkxg.example/api/v1",
    "http://192.0.2.1/v1",
    "ftp://127.0.0.1/v1",
    "api.linkxg.com",
    "",
    "https://",
    f"https://user:{CANARY}@api.linkxg.com/v1",
    "https://api.linkxg.com:99999/v1",
    "https://api.linkxg.com/v1\r\nHost: evil",
    f"https://api.linkxg.com/v1?key={CANARY}",
    "https://api.linkxg.com/v1#x",
    "http://127.0.0.1.evil.example/v1",
    "http://localhost.evil.example/v1",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "make",
    [
        lambda url: LinkXG(client_id="c", client_secret="another secret", base_url=url),
        lambda url: LinkXGUser(base_url=url),
        lambda url: SageX3(client_id="c", client_secret="another secret", base_url=url, customer="https://x3.example"),
    ],
    ids=["LinkXG", "LinkXGUser", "SageX3"],
)
def test_a_url_that_a_secret_must_not_go_to(make, url):
    """http to another host, and what is no plain absolute URL: refused when the vendor is made, as a ``ValueError``."""
    with pytest.raises(ConfigurationError) as caught:
        make(url)
    assert isinstance(caught.value, ValueError)
    says(caught.value, "you")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1", "http://localhost/v1", "http://[::1]:1/v1"])
def test_http_to_this_machine_is_allowed(url):
    """For the sandbox, and for tests."""
    assert LinkXG(client_id="c", client_secret="s", base_url=url).base_url == url


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "\x00", None, 5, b"bytes"])
@pytest.mark.parametrize("name", ["client_id", "client_secret"])
def test_credentials_that_are_none(name, value):
    """Empty, blank, unprintable or no string at all: refused when the vendor is made."""
    with pytest.raises(ConfigurationError) as caught:
        LinkXG(**{"client_id": "c", "client_secret": CANARY, name: value})
    says(caught.value, "you")
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "nothing", "mysql://u:canary-5ecret@host/db", "redis", "://x", "file:", "memory:x", "http://[x"]
)
def test_a_store_url_that_names_no_store(url):
    """An unknown scheme, a store without a place: refused without showing the URL, which may hold a password."""
    with pytest.raises(ConfigurationError) as caught:
        AuthEngine(url)
    says(caught.value, "you")


@pytest.mark.parametrize("store", [Path("/var/lib/app"), None, 42, b"memory:", FileStore])
def test_what_is_neither_a_url_nor_a_store(store):
    """A folder's path without its scheme, or nothing: refused when the engine is made, not when the first login is lost."""
    with pytest.raises(ConfigurationError, match="file:") as caught:
        AuthEngine(store)
    says(caught.value, "you")


def test_an_unknown_scheme_is_told_what_there_is():
    """The message names the scheme and the stores that are installed."""
    with pytest.raises(ConfigurationError, match=r"mysql.*file.*memory.*redis"):
        open_store("mysql://host")


async def failing(store: Any, kind: type[LinkAuthError], words: str = ".") -> None:
    async with AuthEngine(store) as engine:
        vendor = SageX3(client_id="c", client_secret=CANARY, base_url="https://api.x.example/v1", customer="https://x")
        with pytest.raises(kind, match=words) as caught:
            await engine.credential(vendor).token()
    says(caught.value, "the operator")


async def test_a_folder_that_cannot_be_read(tmp_path):
    """The store's folder is a file, a link, or open to others: the operator's, and the path is named."""
    blocked = tmp_path / "file"
    blocked.write_text(CANARY)
    await failing(f"file:{blocked}", StoreUnavailable, "file")
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(target)
    await failing(f"file:{tmp_path / 'link'}", StoreUnavailable, "link")
    await failing(f"file:{blocked}/below", StoreUnavailable)


@pytest.mark.parametrize(
    "content", [b"", b"garbage canary-5ecret", b'{"format": 99}\n', b'{"format": 1}\n', b"\xff" * 100]
)
async def test_a_file_that_is_no_record(tmp_path, content):
    """A user's, broken, cut, or of a newer format: ``CorruptRecord`` that names the file."""
    store = FileStore(tmp_path / "store")
    vendor = LinkXGUser(base_url="http://127.0.0.1:9/v1")
    async with AuthEngine(store) as engine:
        credential = engine.credential(vendor)
        await store.claim(credential.replica.key, "x", 0.001, 0, b"")
        (file,) = (tmp_path / "store").glob("token*.record")
        file.write_bytes(content)
        with pytest.raises(CorruptRecord, match=r"token\+linkxg-user\+.*record") as caught:
            await credential.token()
    says(caught.value, "the operator")
    await store.aclose()


# -- What the vendor answers.


def body(**changes: Any) -> str:
    plain = {"access_token": f"{CANARY}-a", "token_type": "Bearer", "expires_in": 900, "scope": "products:read"}
    return json.dumps({name: value for name, value in {**plain, **changes}.items() if value is not ...})


ANSWERS: dict[str, str] = {
    "expires_in missing": body(expires_in=...),
    "expires_in negative": body(expires_in=-1),
    "expires_in zero": body(expires_in=0),
    "expires_in NaN": body(expires_in=float("nan")),
    "expires_in Infinity": body(expires_in=float("inf")),
    "expires_in text": body(expires_in="soon"),
    "expires_in digits in a string": body(expires_in="3600"),
    "expires_in huge": body(expires_in=1e300),
    "expires_in of 5,000 digits": body().replace("900", "9" * 5000),
    "expires_in true": body(expires_in=True),
    "expires_in a list": body(expires_in=[900]),
    "expires_in null": body(expires_in=None),
    "no token": body(access_token=...),
    "token empty": body(access_token=""),
    "token null": body(access_token=None),
    "token a number": body(access_token=12345),
    "token a list": body(access_token=[CANARY]),
    "token an object": body(access_token={"a": CANARY}),
    "CR in the token": body(access_token=f"{CANARY}\r\nX-Evil: 1"),
    "LF in the token": body(access_token=f"{CANARY}\n"),
    "NUL in the token": body(access_token=f"{CANARY}\0"),
    "space in the token": body(access_token=f"{CANARY} b"),
    "umlaut in the token": body(access_token=f"{CANARY}ü"),
    "half a surrogate in the token": body(access_token=f"{CANARY}\ud800"),
    "type of another kind": body(token_type="mac"),
    "type a number": body(token_type=7),
    "scope a list": body(scope=[CANARY]),
    "HTML": f"<!doctype html><h1>{CANARY}</h1>",
    "nothing": "",
    "not JSON": f'{{"access_token": "{CANARY}',
    "a JSON list": f'["{CANARY}"]',
    "a JSON string": f'"{CANARY}"',
    "a JSON number": "5",
    "null": "null",
    "nested a thousand deep": "[" * 1000 + "]" * 1000,
    "a BOM and nothing": "\ufeff",
}


async def refused(sandbox: Sandbox, **fault: Any) -> LinkAuthError:
    part = sandbox.linkxg
    vendor = LinkXG(client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url)
    part.fault("token", **{"status": 200, "content_type": "application/json", **fault})
    store = MemoryStore()
    async with AuthEngine(store) as engine:
        with pytest.raises(LinkAuthError) as caught:
            await engine.credential(vendor).token()
        assert (await store.read(engine.credential(vendor).replica.key)).record is None
    assert part.counts["token_requests"] == 1
    assert part.client_secret not in str(caught.value) + repr(caught.value)
    return caught.value


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_that_is_not_what_is_documented(kind):
    """``MalformedResponse``: the vendor has to act; asked once, nothing stored, nothing shown."""
    async with Sandbox() as sandbox:
        error = await refused(sandbox, body=ANSWERS[kind])
    assert type(error) is MalformedResponse
    says(error, "the vendor")


async def test_an_answer_of_twenty_megabytes():
    """Not read to its end, and refused."""
    async with Sandbox() as sandbox:
        error = await refused(sandbox, size=20_000_000)
    assert type(error) is MalformedResponse
    says(error, "the vendor")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_no_answer(status):
    """Not followed with the secret in hand: the place that it points to sees nothing."""
    async with Sandbox() as sandbox:
        error = await refused(sandbox, status=status, location=f"{sandbox.elsewhere.base_url}/token")
        assert sandbox.elsewhere.counts["requests"] == 0
    assert type(error) is MalformedResponse
    says(error, "the vendor")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(3600, 3600), (3600.9, 3600.9), (1, 1)],
)
async def test_what_vendors_do_send_is_understood(given, seconds):
    """Whole seconds and fractions are read as the seconds that they are."""
    async with Sandbox() as sandbox:
        part = sandbox.linkxg
        part.fault("token", status=200, content_type="application/json", body=body(expires_in=given))
        vendor = LinkXG(client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url)
        async with AuthEngine() as engine:
            token = await engine.credential(vendor).token()
    assert token.expires_at - token.issued_at == pytest.approx(seconds)


@pytest.mark.parametrize("refresh", ["", "a\nb", 5, ["x"], None])
async def test_a_bad_refresh_token_at_login(refresh):
    """A login whose refresh token is no token: refused as a whole, or taken without one, and never spent."""
    async with Sandbox() as sandbox:
        part = sandbox.linkxg
        part.fault("login", members={"data.refreshToken": refresh})
        async with AuthEngine() as engine:
            credential = engine.credential(LinkXGUser(base_url=part.base_url))
            try:
                token = await credential.login(email=part.email, password=part.password)
            except MalformedResponse as error:
                says(error, "the vendor")
            else:
                assert not token.refresh_token
        assert part.counts["refresh_requests"] == 0


@pytest.mark.parametrize("account", [42, None, b"ada", "", "a\nb", ("a",)])
def test_an_account_that_is_no_name_is_refused(account):
    """Whatever is given for an account, a wrong one is told as the caller's mistake, by its type alone."""
    engine = AuthEngine("memory:")
    with pytest.raises(ConfigurationError, match=f"account: .* {type(account).__name__}$"):
        engine.credential(LinkXGUser(), account)


@pytest.mark.parametrize("account", ["a/b", "ü" * 500, "../../etc/passwd", "a b", "{x}", "a" * 10_000])
@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_any_printable_account_has_a_place(account, kind, tmp_path):
    """However an account is called, its key is short plain ASCII that says nothing of it, on every store."""
    store = MemoryStore() if kind == "memory" else FileStore(tmp_path / "store")
    async with Sandbox() as sandbox, AuthEngine(store) as engine:
        credential = engine.credential(LinkXGUser(base_url=sandbox.linkxg.base_url), account)
        await credential.login(email=sandbox.linkxg.email, password=sandbox.linkxg.password)
        assert [status.account async for status in engine.statuses()] == [account]
        assert credential.replica.key.isascii()
        assert len(credential.replica.key) < 200
    await store.aclose()
