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
from linkauth import (
    AuthEngine,
    InsufficientScope,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    LinkAuthError,
    OAuthError,
    RateLimited,
    ReauthorizationRequired,
    Secret,
    StoreUnavailable,
    UnauthorizedClient,
    Vendor,
    VendorUnavailable,
)
from linkauth.clients import SageX3Client
from linkauth_stores.memory import MemoryStore
from tests.front.vendors import Vendors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth import Credential, Token
    from tests.front.worker import Worker

ALL = ["LinkXG", "LinkXGUser", "Linkkit", "SageX3", "OAuth2"]
OF_A_USER = ["LinkXGUser", "Linkkit", "SageX3", "OAuth2"]
RENEWS_AT = {"LinkXG": "token", "LinkXGUser": "refresh", "Linkkit": "token", "SageX3": "token", "OAuth2": "token"}


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


async def first_token(engine: AuthEngine, vendors: Vendors, name: str) -> Any:
    """What gets the first token, to be awaited."""
    credential = engine.credential(vendors.make(name))
    if name in {"LinkXG", "LinkXGUser"}:
        return vendors.connect(credential)
    return credential.complete(await vendors.callback(credential))


@pytest.mark.parametrize("name", ALL)
async def test_429_at_the_first_token(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """RateLimited with the vendor's own figure."""
    work = await first_token(engine, vendors, name)
    vendors.part(name).fault("login" if name == "LinkXGUser" else "token", status=429, retry_after=44)
    with pytest.raises(RateLimited) as caught:
        await work
    assert (caught.value.retry_after, caught.value.status) == (44, 429)


@pytest.mark.parametrize("name", ALL)
async def test_429_at_a_renewal(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """RateLimited with the time that is left; the token serves on, and asking at once does not reach the vendor."""
    credential, part = engine.credential(vendors.make(name)), vendors.part(name)
    token = await vendors.connect(credential)
    part.reset()
    part.fault(RENEWS_AT[name], status=429, retry_after=44)
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            await credential.refresh()
        assert 40 < (caught.value.retry_after or 0) <= 44
    assert part.counts["requests"] == 1
    assert await credential.token() == token


@pytest.mark.parametrize("name", ["LinkXGUser", "OAuth2"])
async def test_429_at_a_logout(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """RateLimited after all tries; the token is forgotten here all the same."""
    credential, part = engine.credential(vendors.make(name)), vendors.part(name)
    await vendors.connect(credential)
    part.fault("logout" if name == "LinkXGUser" else "revoke", status=429, retry_after=44, times=None)
    with pytest.raises(RateLimited) as caught:
        await credential.logout()
    assert caught.value.retry_after == 44
    with pytest.raises(ReauthorizationRequired):
        await credential.token()


async def test_a_short_retry_after_is_waited_for(engine: AuthEngine, vendors: Vendors) -> None:
    """Within the time for one exchange the caller does not notice."""
    xg = vendors.sandbox.linkxg
    xg.fault("token", status=429, retry_after=1)
    assert (await engine.credential(vendors.make("LinkXG")).token()).access_token
    assert xg.counts["token_requests"] == 2


def said(**members: str) -> dict[str, Any]:
    import json

    return {"content_type": "application/json", "body": json.dumps(members)}


DOCUMENTED: list[tuple[str, int, dict[str, Any], type[LinkAuthError]]] = [
    ("LinkXG", 400, said(error="invalid_request", error_description="canary words"), InvalidRequest),
    ("LinkXG", 401, said(error="invalid_client", error_description="canary words"), InvalidClient),
    ("LinkXG", 403, said(error="insufficient_scope", error_description="canary words"), InsufficientScope),
    ("Linkkit", 400, said(error="invalid_grant", error_description="canary words"), InvalidGrant),
    ("Linkkit", 400, said(error="unauthorized_client", error_description="canary words"), UnauthorizedClient),
    ("SageX3", 400, said(message="Invalid grant type, canary words"), InvalidRequest),
    ("SageX3", 403, said(message="The application is disabled: canary words"), UnauthorizedClient),
    ("SageX3", 403, said(message="Pairing request not found: canary words"), InvalidGrant),
    ("SageX3", 404, said(message="No application found: canary words"), InvalidClient),
    ("SageX3", 501, said(message="Internal error: canary words"), VendorUnavailable),
]


@pytest.mark.parametrize(("name", "status", "answer", "kind"), DOCUMENTED)
async def test_a_documented_error(
    vendors: Vendors, name: str, status: int, answer: dict[str, Any], kind: type[LinkAuthError]
) -> None:
    """It arrives at the caller as its class, over a real connection, with the vendor's own words."""
    # What may pass is tried until the time is over; a refusal is one at once.
    async with AuthEngine(timeout=2 if kind is VendorUnavailable else 60) as engine:
        work = await first_token(engine, vendors, name)
        vendors.part(name).fault("token", status=status, times=None, **answer)
        with pytest.raises(kind) as caught:
            await work
    assert type(caught.value) is kind
    assert "canary words" in str(caught.value)
    if isinstance(caught.value, OAuthError):
        assert caught.value.status == status


# -- Logout.


@pytest.mark.parametrize("name", ALL)
async def test_logout(url: str, vendors: Vendors, name: str) -> None:
    """Revoked at the vendor where it can be, forgotten in the store, and gone for the other workers too."""
    vendor, part = vendors.make(name), vendors.part(name)
    async with AuthEngine(url) as engine, AuthEngine(url) as other:
        mine, theirs = engine.credential(vendor), other.credential(vendor)
        await vendors.connect(mine)
        before = await theirs.token()
        await mine.logout()
        expected = {"LinkXGUser": ("logouts", 1), "OAuth2": ("revocations", 2)}.get(name)
        if expected is not None:
            assert part.counts[expected[0]] == expected[1]
        if name == "LinkXG":
            assert (await mine.token()).access_token != before.access_token
            return
        for credential in (mine, theirs):
            with pytest.raises(ReauthorizationRequired, match="logged out"):
                await credential.refresh()
            with pytest.raises(ReauthorizationRequired):
                await credential.token()
        assert part.counts["refresh_token"] == 0
        again = await vendors.connect(mine)
        assert await _in_a_moment(theirs) == again


async def test_logout_of_a_machine(engine: AuthEngine, vendors: Vendors) -> None:
    """Client credentials have an access token alone: it is revoked, and the next call fetches another."""
    credential = engine.credential(vendors.make("OAuth2", authorize_url=None))
    before = await credential.token()
    await credential.logout()
    assert vendors.sandbox.oauth2.counts["revocations"] == 1
    assert (await credential.token()).access_token != before.access_token


async def _in_a_moment(credential: Credential) -> Token:
    """Its token, once it looks at the store again, half a second after it last looked in vain."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await credential.token()
            except ReauthorizationRequired:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["LinkXGUser", "OAuth2"])
async def test_another_worker_notices_a_logout_at_its_next_call(url: str, vendors: Vendors, name: str) -> None:
    """Its token was revoked: the 401 leads to the store, not to the vendor, and the store says so."""
    vendor, part = vendors.make(name), vendors.part(name)
    path = "products" if name == "LinkXGUser" else "me"
    async with AuthEngine(url) as engine, AuthEngine(url) as other:
        await vendors.connect(engine.credential(vendor))
        async with other.credential(vendor).session() as session:
            async with session.get(path) as response:
                assert response.status == 200
            await engine.credential(vendor).logout()
            with pytest.raises(ReauthorizationRequired):
                await session.get(path)
    assert part.counts["refresh_requests"] == 0
    assert part.counts["refresh_token"] == 0


async def test_a_logout_after_the_access_token_has_expired(vendors: Vendors) -> None:
    """LinkXG takes only a live token at its logout: the session is renewed once, so that it can be ended for good."""
    xg = vendors.sandbox.linkxg
    async with AuthEngine() as engine:
        credential = engine.credential(vendors.make("LinkXGUser"))
        token = await vendors.connect(credential)
        vendors.sandbox.advance(1000)
        await credential.logout()
    assert xg.counts["logouts"] == 1
    session = xg.tokens.find(token.refresh_token or "")
    assert session is not None
    assert session.revoked


async def test_a_session_that_is_dead_already_is_forgotten(vendors: Vendors) -> None:
    """The vendor knows neither token any more: a logout has reached its end, and raises nothing."""
    async with AuthEngine() as engine:
        credential = engine.credential(vendors.make("LinkXGUser"))
        await vendors.connect(credential)
        vendors.sandbox.advance(8 * 86_400)
        await credential.logout()
        with pytest.raises(ReauthorizationRequired):
            await credential.token()


async def test_a_logout_without_a_store(vendors: Vendors) -> None:
    """With the store away nothing can be forgotten for the others: StoreUnavailable, and the session stays whole."""

    class Away(MemoryStore):
        down = False

        async def read(self, *args: Any, **kwargs: Any) -> Any:
            if self.down:
                raise StoreUnavailable("away")
            return await super().read(*args, **kwargs)

    store = Away()
    async with AuthEngine(store) as engine:
        credential = engine.credential(vendors.make("LinkXGUser"))
        await vendors.connect(credential)
        store.down = True
        with pytest.raises(StoreUnavailable):
            await credential.logout()
        store.down = False
        assert vendors.sandbox.linkxg.counts["logout_requests"] == 0
        await credential.logout()


# -- Any RFC 6749 vendor.


@pytest.mark.parametrize("auth", ["post", "basic", "none"])
@pytest.mark.parametrize("rotates", [True, False], ids=["rotating", "keeping"])
async def test_oauth2_by_each_client_authentication(
    engine: AuthEngine, vendors: Vendors, auth: str, *, rotates: bool
) -> None:
    """Code with PKCE, refresh and revocation, by post, basic and none, with a server that rotates and one that does not."""
    generic = vendors.sandbox.oauth2
    generic.settings.client_auth, generic.settings.rotates = [auth], rotates
    more: dict[str, Any] = {"client_auth": auth}
    if auth == "none":
        more |= {"client_id": generic.settings.public_client_id, "client_secret": None}
    credential = engine.credential(vendors.make("OAuth2", **more))
    first = await vendors.connect(credential)
    second = await credential.refresh()
    assert (second.refresh_token != first.refresh_token) is rotates
    async with credential.session() as session, session.get("me") as response:
        assert response.status == 200
    await credential.logout()
    assert generic.counts["revocations"] == 2
    assert generic.counts["refresh_reuse"] == generic.counts["status_401"] == 0


async def test_oauth2_basic_with_a_secret_that_needs_encoding(vendors: Vendors) -> None:
    """RFC 6749 §2.3.1: id and secret are form-encoded before they are joined."""
    generic = vendors.sandbox.oauth2
    generic.settings.client_id, generic.settings.client_secret = "an app:1", "p%s+s: ö/=&"
    async with AuthEngine() as engine:
        more = {"client_id": "an app:1", "client_secret": "p%s+s: ö/=&", "authorize_url": None}
        for auth in ("basic", "post"):
            generic.settings.client_auth = [auth]
            token = await engine.credential(vendors.make("OAuth2", client_auth=auth, **more), auth).token()
            assert token.scope == "read"


async def test_oauth2_discovered(engine: AuthEngine, vendors: Vendors) -> None:
    """``OAuth2.discover`` makes a vendor that works from the start to the logout, and checks the callback's ``iss``."""
    from linkauth import OAuth2, UntrustedEndpoint

    generic = vendors.sandbox.oauth2
    vendor = await OAuth2.discover(
        generic.issuer,
        client_id=generic.client_id,
        client_secret=generic.client_secret,
        name="acme",
        scope="read",
        api_url=generic.api_url,
    )
    credential = engine.credential(vendor)
    params = await vendors.callback(credential)
    for iss in ("https://evil.example", ""):
        with pytest.raises(UntrustedEndpoint):
            await engine.complete(vendor, {**params, "iss": iss})
    assert generic.counts["token_requests"] == 0
    assert (await credential.complete(params)).access_token
    await credential.logout()
    assert generic.counts["revocations"] == 2


async def test_a_stated_rotation_profile(vendors: Vendors) -> None:
    """A user may say that a vendor takes a spent token again for a while: a lost answer is then asked for at once."""
    from linkauth import RotationProfile

    generic = vendors.sandbox.oauth2
    generic.settings.replay_window = 30.0
    async with AuthEngine(timeout=3) as engine:
        profile = RotationProfile(rotates=True, replay_window=30.0)
        credential = engine.credential(vendors.make("OAuth2", rotation=profile))
        await vendors.connect(credential)
        generic.fault("token", drop=True, act=True)
        assert (await credential.refresh()).access_token
        assert generic.counts["replays"] == 1


async def test_pkce_of_linkkit_is_one_switch(engine: AuthEngine, vendors: Vendors) -> None:
    """Off: no challenge in the URL. On: one, and the verifier fits."""
    for pkce in (False, True):
        credential = engine.credential(vendors.make("Linkkit", pkce=pkce), f"pkce-{pkce}")
        url = await credential.authorization_url("http://127.0.0.1:1/callback")
        assert ("code_challenge=" in url) is pkce
        callback = vendors.sandbox.linkkit.consent(url)
        assert (await credential.complete(callback.params)).access_token


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
