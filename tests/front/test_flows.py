"""Every vendor's flow through the front door, from the first token to the logout, over restarts and with other workers."""

from __future__ import annotations

import asyncio
import gc
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import linkauth
from linkauth import AuthEngine, InvalidGrant, RateLimited, ReauthorizationRequired, Secret, Vendor
from linkauth.clients import SageX3Client
from linkauth_stores.memory import MemoryStore
from tests.front.vendors import ALL, Vendors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.front.worker import Worker

OF_A_USER = ["LinkXGUser", "Linkkit", "SageX3", "OAuth2"]


@pytest.mark.parametrize("name", ALL)
async def test_a_restart_goes_on_where_the_last_process_stopped(vendors: Vendors, tmp_path: Any, name: str) -> None:
    """Another process has the same token from the store; what its renewal leaves out is still there after it."""
    url = f"file:{tmp_path / 'store'}"
    vendor, part = vendors.make(name), vendors.part(name)
    async with AuthEngine(url) as engine:
        first = await vendors.connect(engine.credential(vendor))
    asked = part.counts["tokens"]
    async with AuthEngine(url) as engine:
        token = await engine.credential(vendor).token()
        assert token == first
        assert part.counts["tokens"] == asked
        renewed = await engine.credential(vendor).refresh()
    async with AuthEngine(url) as engine:
        found = await engine.credential(vendor).token()
    assert found == renewed
    assert found.access_token != first.access_token
    assert (found.scope, found.endpoint, found.extra) == (first.scope, first.endpoint, first.extra)
    assert (found.refresh_token is None) == (first.refresh_token is None)
    assert part.counts["refresh_reuse"] == 0


async def test_the_user_is_in_every_token(engine: AuthEngine, vendors: Vendors) -> None:
    """LinkXG names the user at the login alone; the token still does after many renewals."""
    credential = engine.credential(vendors.make("LinkXGUser"))
    token = await vendors.connect(credential)
    user = vendors.sandbox.linkxg.users[vendors.sandbox.linkxg.email]
    for _ in range(3):
        assert token.extra["user"] == {"id": user.id, "email": user.email, "role": "ADMIN"}
        token = await credential.refresh()
    assert token.refresh_expires_at is not None
    assert token.refresh_expires_at - token.issued_at == 7 * 86_400


async def test_linkkit_keeps_refresh_token_and_scope(engine: AuthEngine, vendors: Vendors) -> None:
    """A renewal whose answer has neither loses neither; a new refresh token, should one come, replaces the old."""
    credential = engine.credential(vendors.make("Linkkit"))
    first = await vendors.connect(credential)
    second = await credential.refresh()
    assert (second.refresh_token, second.scope, second.token_type) == (first.refresh_token, "links", "Bearer")
    vendors.sandbox.linkkit.settings.rotates = True
    third = await credential.refresh()
    assert third.refresh_token not in {None, first.refresh_token}
    assert (await credential.refresh()).access_token
    assert vendors.sandbox.linkkit.counts["refresh_reuse"] == 0


@pytest.mark.parametrize("url", ["file"], indirect=True)
async def test_a_customers_region(url: str, vendors: Vendors, process: Callable[..., Awaitable[Worker]]) -> None:
    """Sage X3's endpoint is used for the exchange, and in a process started later for folders, GraphQL and renewal."""
    sage = vendors.sandbox.sagex3
    async with AuthEngine(url) as engine:
        token = await vendors.connect(engine.credential(vendors.make("SageX3")))
        assert token.endpoint == sage.region_url != sage.base_url
        assert token.refresh_expires_at is not None
        assert (token.expires_at - token.issued_at, token.refresh_expires_at - token.issued_at) == (300, 2_678_400)
    ours = {"vendor": ("SageX3", vendors.arguments["SageX3"])}
    worker = await process()
    query = "{ xtremX3MasterData { company { query(first: 1) { totalCount } } } }"
    for _ in range(2):
        assert await worker("get", path="folders", **ours) == 200
        answer = await worker("graphql", query=query, **ours)
        assert isinstance(answer, dict)
        assert isinstance(await worker("refresh", **ours), str)
    # The sandbox answers a token of the region at the region alone, and so far everything was answered.
    assert sage.counts["status_401"] == 0
    assert sage.counts["refresh_token"] == 2


async def test_the_first_calls_after_a_restart(vendors: Vendors, tmp_path: Any) -> None:
    """``SageX3Client`` has its folders by the stored endpoint, relative to it, in an engine that never saw the pairing."""
    url = f"file:{tmp_path / 'store'}"
    async with AuthEngine(url) as engine:
        await vendors.connect(engine.credential(vendors.make("SageX3")))
    async with AuthEngine(url) as engine, engine.credential(vendors.make("SageX3")).session() as session:
        (folder,) = await SageX3Client(session).folders()
        assert folder.name == "SEED"


@pytest.mark.parametrize("name", ["SageX3", "LinkXGUser"])
async def test_a_refresh_token_whose_life_is_over(vendors: Vendors, name: str) -> None:
    """ReauthorizationRequired, and the vendor is not asked, by any worker; logging in again mends it."""
    now = [2_000_000_000.0]
    store = MemoryStore(clock=lambda: now[0])
    vendor, part = vendors.make(name), vendors.part(name)
    life = 2_678_400 if name == "SageX3" else 604_800
    async with AuthEngine(store) as engine:
        await vendors.connect(engine.credential(vendor))
    now[0] += life - 1
    async with AuthEngine(store) as engine:  # a second earlier it is still spent
        assert (await engine.credential(vendor).token()).access_token
    now[0] += life + 1
    vendors.sandbox.advance(2 * life)
    part.reset()
    for _ in range(2):
        async with AuthEngine(store) as engine:
            credential = engine.credential(vendor)
            for ask in (credential.token, credential.refresh):
                with pytest.raises(ReauthorizationRequired, match="lapsed") as caught:
                    await ask()
                assert caught.value.credential is credential
    assert part.counts["requests"] == 0
    async with AuthEngine(store) as engine:
        assert (await vendors.connect(engine.credential(vendor))).access_token


@pytest.mark.parametrize("name", OF_A_USER)
async def test_nobody_has_logged_in(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """Without a token: ReauthorizationRequired that names its credential, and nothing is sent."""
    credential = engine.credential(vendors.make(name))
    with pytest.raises(ReauthorizationRequired) as caught:
        await credential.token()
    assert caught.value.credential is credential
    assert vendors.part(name).counts["requests"] == 0


async def test_a_wrong_password(engine: AuthEngine, vendors: Vendors) -> None:
    """InvalidGrant with LinkXG's words; the session that there was lives on, and the password is in no error."""
    credential = engine.credential(vendors.make("LinkXGUser"))
    token = await vendors.connect(credential)
    with pytest.raises(InvalidGrant) as caught:
        await credential.login(email="ada@example.com", password="canary-wrong")
    assert (caught.value.error, caught.value.status) == ("INVALID_CREDENTIALS", 401)
    assert caught.value.description == "Invalid email or password"
    assert "canary" not in f"{caught.value!r} {vars(caught.value)}"
    assert await credential.token() == token
    assert (await credential.refresh()).access_token


# -- Refusals.


async def test_one_scope_for_one_authorization(engine: AuthEngine, vendors: Vendors) -> None:
    """``authorization_url(scope=…)`` asks for this scope this once, and the token says what was granted."""
    credential = engine.credential(vendors.make("OAuth2", scope="read write"))
    url = await credential.authorization_url("http://127.0.0.1:1/callback", scope="write")
    token = await credential.complete(vendors.sandbox.oauth2.consent(url).params)
    assert token.scope == "write"


async def test_credentials_are_kept_apart(url: str, vendors: Vendors) -> None:
    """Two accounts of one vendor, and one account of two registrations, never see each other's tokens."""
    async with AuthEngine(url) as engine:
        linkkit = vendors.make("Linkkit")
        tokens = [await vendors.connect(engine.credential(linkkit, who)) for who in ("ada", "bob")]
        assert tokens[0].access_token != tokens[1].access_token
        other = attrs.evolve(linkkit, scope="links other")
        with pytest.raises(ReauthorizationRequired):
            await engine.credential(other, "ada").token()
        statuses = {(s.vendor, s.account) async for s in engine.statuses()}
        assert statuses == {("linkkit", "ada"), ("linkkit", "bob")}


async def test_nothing_waits_for_a_sleeping_user(vendors: Vendors) -> None:
    """A pairing that nobody answers holds no lease: other calls of the same credential go on at once."""
    async with AuthEngine() as engine:
        credential = engine.credential(vendors.make("SageX3"))
        await vendors.connect(credential)
        await credential.authorization_url("http://127.0.0.1:1/callback")
        async with asyncio.timeout(3):
            assert (await credential.refresh()).access_token


async def test_the_password_is_kept_nowhere(vendors: Vendors) -> None:
    """After a login no Secret in this process and no record of the store holds it."""
    xg, store = vendors.sandbox.linkxg, MemoryStore()
    async with AuthEngine(store) as engine:
        await vendors.connect(engine.credential(vendors.make("LinkXGUser")))
        gc.collect()
        held = [each for each in gc.get_objects() if isinstance(each, Secret) and each.reveal() == xg.password]
        assert held == []
        records = [(await store.read(key)).record async for key in store.keys("")]
        assert [b"refresh_token" in record.value for record in records if record] == [True]
        assert not any(xg.password.encode() in record.value for record in records if record)


async def test_linkxgs_own_limit_of_logins(engine: AuthEngine, vendors: Vendors) -> None:
    """Ten logins a minute and address; the eleventh is told how long to wait."""
    credential = engine.credential(vendors.make("LinkXGUser"))
    for _ in range(10):
        with pytest.raises(InvalidGrant):
            await credential.login(email="ada@example.com", password="wrong")
    with pytest.raises(RateLimited) as caught:
        await credential.login(email="ada@example.com", password="wrong")
    assert 0 < (caught.value.retry_after or 0) <= 60


async def test_the_readme_has_a_row_and_an_example_for_each_vendor() -> None:
    """Every vendor that linkauth exports is in the table, and its row leads to an example (which runs, test_examples)."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    rows = dict(re.findall(r"^\| \[`(\w+)`\]\(#([\w-]+)\) \|", readme, re.MULTILINE))
    kinds = [
        name
        for name in linkauth.__all__
        if isinstance(kind := getattr(linkauth, name), type) and issubclass(kind, Vendor)
    ]
    assert rows.keys() == {*kinds} - {"Vendor"}
    sections = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-"): text
        for title, text in re.findall(r"^### (.+)\n([\s\S]*?)(?=^##)", readme, re.MULTILINE)
    }
    for kind, heading in rows.items():
        assert re.search(rf"```python\n[^`]*\b{kind}\(", sections[heading]), kind
