"""The middleware on a real server: who gets the header, and what happens at a 401."""

from __future__ import annotations

import asyncio
import io
import logging
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from yarl import URL

from linkauth import AuthEngine, LinkXG, OAuth2, SageX3
from linkauth.errors import (
    LinkAuthError,
    ReauthorizationRequired,
    StoreUnavailable,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth.oauth.token import Token
from linkauth.protocol.records import TokenRecord
from linkauth_stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BIG = b"x" * 5_000_000


class Site:
    """A vendor's API and token endpoint, and what they saw. Only the newest token is good."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str | None, bytes]] = []
        """Method, path and query, Authorization, body."""
        self.counts: Counter[str] = Counter()
        self.url = ""
        self.refuses = False
        """Every call is a 401."""
        self.big = False
        """A 401 has 5 MB."""
        self.token_status = 200
        self.api_status = 200
        self.gate: asyncio.Event | None = None
        """What the token endpoint waits for."""
        self.late: asyncio.Event | None = None
        """What a 401 waits for, where the query says ``late``."""
        self.hosts: list[str] = []
        self.issued = 0

    @property
    def current(self) -> str:
        return f"Bearer token-{self.issued}"

    def signed(self) -> list[str | None]:
        return [authorization for _, _, authorization, _ in self.seen]

    def revoke(self) -> None:
        """The token that is out there is no longer good."""
        self.issued += 1

    async def token(self, request: web.Request) -> web.Response:
        self.counts["token"] += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.token_status != 200:
            return web.Response(status=self.token_status)
        self.issued += 1
        answer = {"access_token": f"token-{self.issued}", "token_type": "Bearer", "expires_in": 900}
        return web.json_response(answer)

    async def api(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers.get("Authorization")
        self.hosts.append(request.headers["Host"])
        if "early" in request.query:
            self.seen.append((request.method, request.path_qs, authorization, b"unread"))
        else:
            self.seen.append((request.method, request.path_qs, authorization, await request.read()))
        self.counts["api"] += 1
        if "to" in request.query:
            raise _redirect(request)
        if self.api_status != 200:
            return web.Response(status=self.api_status)
        if self.refuses or authorization != self.current:
            if self.late is not None and "late" in request.query:
                await self.late.wait()
            return web.Response(status=401, body=BIG if self.big else b"no")
        if "ws" in request.query:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str("hello")
            await socket.close()
            return socket
        return web.json_response({"ok": True})


def _redirect(request: web.Request) -> web.HTTPException:
    kinds = {"302": web.HTTPFound, "307": web.HTTPTemporaryRedirect, "308": web.HTTPPermanentRedirect}
    return kinds[request.query["status"]](request.query["to"])


@asynccontextmanager
async def serving():
    site = Site()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/oauth/token", site.token)
    app.router.add_route("*", "/{path:.*}", site.api)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()


@pytest.fixture
async def site():
    async with serving() as found:
        yield found


@pytest.fixture
async def other():
    async with serving() as found:
        yield found


@pytest.fixture
async def engine():
    async with AuthEngine(MemoryStore(), timeout=3) as made:
        yield made


@pytest.fixture
def credential(engine, site):
    return engine.credential(LinkXG(client_id="shop", client_secret="s", base_url=f"{site.url}/v1"))


async def get(session: aiohttp.ClientSession, url: Any, **kwargs: Any) -> int:
    async with session.get(url, **kwargs) as answer:
        await answer.read()
        return answer.status


# -- Whose header it is.


async def test_relative_urls_go_to_the_vendor_with_its_token(credential, site):
    """``credential.session()``: base URL and header are the vendor's; one token request for many calls."""
    async with credential.session() as session:
        statuses = await asyncio.gather(*(get(session, "products") for _ in range(20)))
    assert statuses == [200] * 20
    assert site.counts["token"] == 1
    assert {path for _, path, _, _ in site.seen} == {"/v1/products"}


async def test_no_other_origin_gets_the_header(credential, site, other):
    """Another port, and the same port under another name, are other origins."""
    async with aiohttp.ClientSession(middlewares=[credential]) as session:
        await get(session, f"{site.url}/v1/a")
        await get(session, f"{other.url}/v1/a")
        await get(session, site.url.replace("127.0.0.1", "localhost") + "/v1/b")
    assert other.signed() == [None]
    assert site.signed() == ["Bearer token-1", None]


@pytest.mark.parametrize("status", ["302", "307", "308"])
@pytest.mark.parametrize("per_request", [False, True])
async def test_a_redirect_within_the_origin_keeps_the_header(credential, site, status, per_request):
    """Every hop at the vendor's own origin is signed; with ``middlewares=`` per request too."""
    async with aiohttp.ClientSession(middlewares=() if per_request else (credential,)) as session:
        how = {"middlewares": (credential,)} if per_request else {}
        assert await get(session, f"{site.url}/v1/a?status={status}&to=/v1/b", **how) == 200
    assert site.signed() == ["Bearer token-1"] * 2


@pytest.mark.parametrize("status", ["302", "307", "308"])
@pytest.mark.parametrize("per_request", [False, True])
async def test_a_redirect_to_another_origin_loses_the_header(credential, site, other, status, per_request):
    """No hop elsewhere is signed, whatever the redirect; coming back, it is signed again."""
    async with aiohttp.ClientSession(middlewares=() if per_request else (credential,)) as session:
        how = {"middlewares": (credential,)} if per_request else {}
        back = URL(f"{site.url}/v1/c")
        there = URL(f"{other.url}/b").with_query(status=status, to=str(back))
        start = URL(f"{site.url}/v1/a").with_query(status=status, to=str(there))
        async with session.post(start, data=b"body", **how) as answer:
            assert answer.status == 200
    assert other.signed() == [None]
    assert site.signed() == ["Bearer token-1"] * 2


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


async def test_the_callers_own_header_is_left_alone(credential, site):
    """An explicit Authorization, and user:password in the URL, are the caller's will: nothing is set or renewed."""
    async with credential.session() as session:
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


# -- A 401.


async def test_a_401_renews_once_and_repeats_once(credential, site):
    """The token was revoked: one renewal, one repeat, and the caller sees the 200."""
    async with credential.session() as session:
        await get(session, "a")
        site.revoke()
        assert await get(session, "b") == 200
    assert site.counts == {"token": 2, "api": 3}


async def test_a_401_again_is_returned_as_it_is(credential, site):
    """Renewing did not help: the second 401 is the caller's to read."""
    site.refuses = True
    async with credential.session() as session, session.get("a") as answer:
        assert (answer.status, await answer.text()) == (401, "no")
    assert site.counts == {"token": 2, "api": 2}


async def test_raise_for_status_sees_only_the_last_answer(credential, site):
    """``raise_for_status=True`` raises nothing for the 401 that was mended, and raises for the one that was not."""
    async with credential.session(raise_for_status=True) as session:
        await get(session, "a")
        site.revoke()
        assert await get(session, "b") == 200
        site.refuses = True
        with pytest.raises(aiohttp.ClientResponseError):
            await get(session, "c")


async def test_an_api_that_refuses_every_token_costs_no_renewal_for_each_call(credential, site):
    """A fresh token was refused a moment ago: renewing again helps nobody, and the 401 comes back at once."""
    site.refuses = True
    async with credential.session() as session:
        for _ in range(5):
            async with session.get("things") as response:
                assert response.status == 401
    assert site.counts == {"token": 2, "api": 6}


async def test_a_storm_of_401_renews_once(credential, site):
    """A hundred requests are refused with one token: one renewal, a hundred answers."""
    async with credential.session() as session:
        await get(session, "a")
        site.revoke()
        assert await asyncio.gather(*(get(session, f"b{number}") for number in range(100))) == [200] * 100
    assert site.counts["token"] == 2


async def test_a_token_renewed_meanwhile_is_taken_without_asking(credential, site):
    """The refused token is not the current one any more: the repeat takes the current one, nobody is asked."""
    async with credential.session() as session:
        await get(session, "a")
        failed = await credential.token()
        await credential.refresh()
        assert site.counts["token"] == 2
        assert (await credential.replacement(failed)) == await credential.token()
    assert site.counts["token"] == 2


async def test_a_401_that_comes_late_renews_nothing(credential, site):
    """Its token was renewed while the refusal was on its way: the repeat takes the new one, the vendor is not asked."""
    async with credential.session() as session:
        await get(session, "a")
        site.revoke()
        site.late = asyncio.Event()
        slow = asyncio.create_task(get(session, "slow?late=1"))
        assert await get(session, "b") == 200
        site.late.set()
        assert await slow == 200
    assert site.counts["token"] == 2


BODIES = {
    "bytes": lambda path: {"data": b"fifty"},
    "str": lambda path: {"data": "fünfzig"},
    "json": lambda path: {"json": {"a": [1, 2]}},
    "form": lambda path: {"data": {"a": "1"}},
    "BytesIO": lambda path: {"data": io.BytesIO(b"buffered")},
    "file": lambda path: {"data": path.open("rb")},
    "FormData": lambda path: {"data": form(path.open("rb"))},
    "nothing": lambda path: {},
}


def form(file: Any) -> aiohttp.FormData:
    found = aiohttp.FormData()
    found.add_field("file", file, filename="f.txt")
    found.add_field("a", "1")
    return found


@pytest.mark.blocking  # opening the file is the test's own
@pytest.mark.parametrize("kind", BODIES)
async def test_a_body_that_can_be_sent_again_is_sent_again(credential, site, tmp_path, kind):
    """The repeat carries the same body, whole."""
    path = tmp_path / "body"
    path.write_bytes(b"from a file")
    async with credential.session() as session:
        await get(session, "a")
        site.revoke()
        async with session.post("b", **BODIES[kind](path)) as answer:
            assert answer.status == 200
    refused, accepted = site.seen[1:]
    assert refused[3] == accepted[3]
    assert (len(accepted[3]) > 4) == (kind not in {"nothing", "form"})


async def chunks():
    for _ in range(4):
        yield b"chunk"


async def streamed() -> AsyncIterator[bytes]:
    return chunks()


async def received() -> aiohttp.BodyPartReader:
    """A part of a multipart body as it comes in, to be passed on."""
    stream = aiohttp.StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16)
    stream.feed_data(b"--cut\r\n\r\nchunk\r\n--cut--\r\n")
    stream.feed_eof()
    part = await aiohttp.MultipartReader({"Content-Type": "multipart/mixed; boundary=cut"}, stream).next()
    assert isinstance(part, aiohttp.BodyPartReader)
    return part


def multipart(part: Any) -> aiohttp.MultipartWriter:
    found = aiohttp.MultipartWriter()
    found.append("text")
    found.append(part)
    return found


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("make", [streamed, received])
async def test_a_body_that_streamed_away_is_not_sent_again(credential, site, make, depth):
    """It would arrive empty or cut: the 401 goes back to the caller, unread, sent once; the next upload has a new token."""

    async def body() -> Any:
        found: Any = await make()
        for _ in range(depth):
            found = multipart(found)
        return found

    async with credential.session() as session:
        await get(session, "a")
        site.revoke()
        async with session.post("b", data=await body()) as answer:
            assert (answer.status, await answer.text()) == (401, "no")
        assert site.counts == {"token": 2, "api": 2}
        async with session.post("b", data=await body()) as answer:
            assert answer.status == 200
        assert site.counts == {"token": 2, "api": 3}


async def test_a_refused_upload_is_the_callers_though_the_renewal_fails(credential, site):
    """The vendor gives no new token just now: the 401 comes back all the same, and nothing is raised in its place."""
    async with credential.session() as session:
        await get(session, "a")
        site.revoke()
        site.token_status = 503
        async with session.post("b", data=chunks()) as answer:
            assert (answer.status, await answer.text()) == (401, "no")


async def test_an_api_that_refuses_every_upload_costs_no_renewal_for_each(credential, site):
    """The token that took the refused one's place is refused too: renewing again helps nobody."""
    async with credential.session() as session:
        await get(session, "a")
        site.refuses = True
        for _ in range(5):
            async with session.post("b", data=chunks()) as answer:
                assert answer.status == 401
    assert site.counts == {"token": 2, "api": 6}


@pytest.mark.parametrize("data", [lambda: b"body", chunks])
async def test_a_request_that_waits_for_100_continue_is_not_repeated(credential, site, data):
    """aiohttp cannot send it again: the 401 is the caller's, whose next try has the new token, on the same connection."""
    async with credential.session(connector=aiohttp.TCPConnector(limit=1)) as session, asyncio.timeout(10):
        await get(session, "a")
        site.revoke()
        async with session.post("b", data=data(), expect100=True) as answer:
            assert (answer.status, await answer.text()) == (401, "no")
        assert site.counts == {"token": 2, "api": 2}
        async with session.post("b", data=data(), expect100=True) as answer:
            assert answer.status == 200
        assert await get(session, "c") == 200
    assert site.counts["token"] == 2


async def test_a_multipart_body_whose_parts_can_be_sent_again_is_sent_again(credential, site):
    """Many parts, one within another: the repeat carries all of them."""
    async with credential.session() as session:
        await get(session, "a")
        site.revoke()
        async with session.post("b", data=multipart(multipart(b"bytes"))) as answer:
            assert answer.status == 200
    refused, accepted = site.seen[1:]
    assert refused[3] == accepted[3]


async def test_the_first_answer_is_given_back_before_renewing(site):
    """One connection in the pool and 5 MB of 401: no deadlock, also where the pool serves the token request."""
    site.big = True
    async with AuthEngine(MemoryStore(), timeout=3) as engine:
        credential = engine.credential(LinkXG(client_id="shop", client_secret="s", base_url=f"{site.url}/v1"))
        async with credential.session(connector=aiohttp.TCPConnector(limit=1)) as session, asyncio.timeout(10):
            await get(session, "a")
            site.revoke()
            assert await asyncio.gather(*(get(session, "b") for _ in range(3))) == [200] * 3
    assert site.counts["token"] == 2


async def test_an_answer_that_comes_before_the_body_was_read(credential, site):
    """The server refuses without reading a large upload: the repeat carries all of it."""
    async with credential.session() as session:
        await get(session, "a")
        site.revoke()
        async with session.post("b?early=1", data=io.BytesIO(b"y" * 3_000_000)) as answer:
            assert answer.status == 200


async def test_the_headers_of_the_call_and_the_session_stay_clean(credential, site):
    """The token is set on the hop alone: neither the caller's dict nor the session's defaults have it afterwards."""
    mine = {"X-Mine": "1"}
    async with credential.session(headers={"X-All": "1"}) as session:
        await get(session, "a", headers=mine)
        assert mine == {"X-Mine": "1"}
        assert "Authorization" not in session.headers


async def unrenewable(engine: AuthEngine, site: Site) -> Any:
    """A credential of a vendor whose tokens do not expire and have no refresh token, as another process connected it."""
    vendor = OAuth2(
        name="hub",
        client_id="c",
        client_secret="s",
        token_url=f"{site.url}/v1/oauth/token",
        authorize_url=f"{site.url}/authorize",
    )
    credential = engine.credential(vendor)
    store, key = engine.office.shelf.store, credential.ledger.key
    claim = await store.claim(key, "another process", 5, 0, b"")
    token = Token(access_token="token-1", issued_at=claim.now, expires_at=claim.now + 1e8)
    record = TokenRecord(vendor="hub", account="default", token=token)
    await store.commit(key, claim.number, engine.office.envelope.close(key, claim.number, record))
    site.issued = 1
    return credential


async def test_a_401_without_a_way_to_renew_is_the_callers(engine, site):
    """The answer comes back whole, nothing is asked or marked, and the next call goes through with the same token."""
    credential = await unrenewable(engine, site)
    async with credential.session() as session:
        assert await get(session, "a") == 200
        site.refuses = True
        async with session.get("b") as answer:
            assert (answer.status, await answer.text()) == (401, "no")
        async with session.post("b", data=chunks()) as answer:
            assert (answer.status, await answer.text()) == (401, "no")
        site.refuses = False
        assert await get(session, "c") == 200
    assert site.counts == {"api": 4}
    assert set(site.signed()) == {"Bearer token-1"}


async def test_several_401_without_a_way_to_renew_send_for_the_user(engine, site, monkeypatch):
    """Over a minute, by the clock, without a success between: ``ReauthorizationRequired``, and no call after that."""
    credential = await unrenewable(engine, site)
    now = [0.0]
    monkeypatch.setattr(credential._refusals, "_monotonic", lambda: now[0])
    async with credential.session() as session:
        for refuses, step in ((True, 30), (True, 20), (False, 20), (True, 30), (True, 20)):
            site.refuses = refuses
            assert await get(session, "a") == (401 if refuses else 200)
            now[0] += step
        now[0] += 10
        with pytest.raises(ReauthorizationRequired):
            await get(session, "a")
        asked = site.counts["api"]
        with pytest.raises(ReauthorizationRequired):
            await get(session, "a")
    assert site.counts == {"api": asked}


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_answer_that_says_nothing_of_the_token_is_no_success_between(engine, site, monkeypatch, status):
    """A gateway's 503 between two refusals does not make a dead token live: nobody has looked at it."""
    credential = await unrenewable(engine, site)
    now = [0.0]
    monkeypatch.setattr(credential._refusals, "_monotonic", lambda: now[0])
    site.refuses = True
    async with credential.session() as session:
        for _ in range(2):
            assert await get(session, "a") == 401
            now[0] += 30
            site.api_status = status
            assert await get(session, "a") == status
            site.api_status = 200
        with pytest.raises(ReauthorizationRequired):
            await get(session, "a")


# -- What fails inside.


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_failing_vendor_is_a_linkauth_error_and_asked_no_second_time(credential, site, method):
    """No token to be had: the error is linkauth's own, aiohttp repeats nothing, and the call was never made."""
    site.token_status = 503
    async with credential.session() as session:
        with pytest.raises(VendorUnavailable):
            async with session.request(method, "a"):
                pass
        asked = site.counts["token"]
        with pytest.raises(VendorUnavailable):
            async with session.request(method, "a"):
                pass
    assert site.counts["token"] == asked
    assert site.counts["api"] == 0


async def test_a_failing_renewal_at_a_401_is_a_linkauth_error(credential, site):
    """The 401 cannot be mended because the vendor is down: that is said, and the call is not repeated unsigned."""
    async with credential.session() as session:
        await get(session, "a")
        site.revoke()
        site.token_status = 503
        with pytest.raises(VendorUnavailable):
            await get(session, "b")
    assert site.counts["api"] == 2


async def test_a_failing_store_is_a_linkauth_error_and_aiohttp_repeats_nothing(site):
    """``OSError`` in a store must not become a ``ClientOSError``: aiohttp would make the whole call again."""

    class Gone(MemoryStore):
        calls = 0

        async def read(self, key):
            Gone.calls += 1
            raise OSError("the disk is gone: password=canary")

    vendor = SageX3(client_id="c", client_secret="s", customer="https://x3.example", base_url=f"{site.url}/v1")
    async with AuthEngine(Gone()) as engine, engine.credential(vendor).session() as session:
        with pytest.raises(StoreUnavailable) as caught:
            await get(session, "a")
    assert not isinstance(caught.value, aiohttp.ClientError | OSError)
    assert "canary" not in str(caught.value)
    assert Gone.calls == 1
    assert site.counts["api"] == 0


async def test_a_total_timeout_of_the_call_leaves_the_renewal_alone(credential, site):
    """The caller's own ``ClientTimeout`` ends its call while the token is being fetched: the token is there for the next."""
    site.gate = asyncio.Event()
    async with credential.session() as session:
        with pytest.raises(TimeoutError):
            await get(session, "a", timeout=aiohttp.ClientTimeout(total=0.1))
        site.gate.set()
        assert await get(session, "b") == 200
    assert site.counts["token"] == 1


# -- A vendor that names another endpoint.


async def paired(engine: AuthEngine, site: Site, endpoint: str | None, root: str = "") -> Any:
    """A Sage X3 credential that another process paired: only the store knows of it."""
    root = root or f"{site.url}/v1"
    vendor = SageX3(client_id="c", client_secret="s", customer="https://x3.example", base_url=root)
    credential = engine.credential(vendor)
    store, key = engine.office.shelf.store, credential.ledger.key
    claim = await store.claim(key, "another process", 5, 0, b"")
    now = claim.now
    token = Token(
        access_token="token-7", expires_at=now + 300, issued_at=now, refresh_token="r", endpoint=endpoint, scope="s"
    )
    record = TokenRecord(vendor="sagex3", account="default", token=token)
    await store.commit(key, claim.number, engine.office.envelope.close(key, claim.number, record))
    return credential


async def test_relative_urls_go_to_the_endpoint_that_the_token_names(engine, site, other):
    """A cold process: the first relative call goes to the region, signed, with the region's Host; the root sees nothing."""
    other.issued = 7
    credential = await paired(engine, site, f"{other.url}/eu/v1")
    async with credential.session() as session:
        assert await get(session, "folders?a=%26%20b&c=d") == 200
        assert await get(session, f"{site.url}/v1/folders") == 200
        assert await get(session, f"{other.url}/eu/v1/folders") == 200
    assert [path for _, path, _, _ in other.seen] == ["/eu/v1/folders?a=%26%20b&c=d"] + ["/eu/v1/folders"] * 2
    assert other.signed() == ["Bearer token-7"] * 3
    assert set(other.hosts) == {other.url.removeprefix("http://")}
    assert site.counts["api"] == 0


async def test_the_root_gets_no_token_when_the_endpoint_is_elsewhere(engine, site, other):
    """Beside the configured path, the root's origin is not where the token belongs."""
    other.issued = 7
    credential = await paired(engine, site, f"{other.url}/eu/v1")
    async with credential.session() as session:
        assert await get(session, f"{site.url}/elsewhere") == 401
    assert site.signed() == [None]


async def test_without_an_endpoint_the_root_is_the_vendor(engine, site):
    """No endpoint was named: calls go to the configured root, signed."""
    site.issued = 7
    credential = await paired(engine, site, None)
    async with credential.session() as session:
        assert await get(session, "folders") == 200
    assert site.signed() == ["Bearer token-7"]


async def test_a_stored_endpoint_that_is_not_believed_gets_nothing(engine, site, other):
    """Somebody has written another host into the store: calls say so, calls elsewhere go on, and nobody sees the token."""
    other.issued = 7
    elsewhere = other.url.replace("127.0.0.1", "localhost")
    credential = await paired(engine, site, f"{elsewhere}/v1")
    async with credential.session() as session:
        for url in ("folders", f"{site.url}/v1/folders", f"{site.url}/elsewhere"):
            with pytest.raises(UntrustedEndpoint):
                await get(session, url)
        for url in (f"{elsewhere}/v1/folders", f"{other.url}/v1/folders"):
            assert await get(session, url) == 401
    assert (site.signed(), other.signed()) == ([], [None, None])


async def test_a_root_spelt_in_another_way_is_the_same_origin(engine, site, other):
    """Upper case in the configured root: calls below it are signed, and go where the pairing moved."""
    other.issued = 7
    credential = await paired(engine, site, f"{other.url}/eu/v1", root=f"{site.url.replace('http', 'HTTP')}/v1/")
    async with credential.session() as session:
        assert await get(session, "folders") == 200
        assert await get(session, f"{site.url}/v1/folders") == 200
    assert other.signed() == ["Bearer token-7"] * 2


async def test_a_redirect_at_the_endpoint_stays_there(engine, site, other):
    """A relative redirect from the region is followed at the region, signed."""
    other.issued = 7
    credential = await paired(engine, site, f"{other.url}/v1")
    async with credential.session() as session:
        assert await get(session, "a?status=302&to=/v1/b") == 200
    assert other.signed() == ["Bearer token-7"] * 2
    assert site.counts["api"] == 0


async def test_a_credential_that_is_not_paired_does_not_stop_other_origins(engine, site, other):
    """Nobody has paired yet: calls to the vendor say so, calls elsewhere in the same session go out unsigned."""
    vendor = SageX3(client_id="c", client_secret="s", customer="https://x3.example", base_url=f"{site.url}/v1")
    async with engine.credential(vendor).session() as session:
        assert await get(session, f"{other.url}/x") == 401
        with pytest.raises(LinkAuthError):
            await get(session, "folders")
    assert other.signed() == [None]


async def test_nothing_of_the_token_is_logged(credential, site, caplog):
    """Through renewal, 401 and repeat no logger shows a token, at DEBUG."""
    caplog.set_level(logging.DEBUG)
    async with credential.session() as session:
        await get(session, "a")
        site.revoke()
        await get(session, "b")
    assert "token-" not in caplog.text


async def test_websockets_go_to_the_endpoint_that_the_token_names(engine, site, other):
    """``ws://`` below the root goes to the region by ``ws://``, signed."""
    other.issued = 7
    credential = await paired(engine, site, f"{other.url}/eu/v1")
    async with credential.session() as session:
        async with session.ws_connect(f"{site.url}/v1/socket?ws=1".replace("http", "ws", 1)) as socket:
            assert await socket.receive_str() == "hello"
    assert other.signed() == ["Bearer token-7"]
    assert site.counts["api"] == 0


@pytest.mark.parametrize("regions", [(), ("us-prod",)])
async def test_an_unpaired_credential_holds_up_nobody_elses_request(site, regions):
    """With the store hung, a request to an origin that cannot be Sage's passes without a look at the store."""

    class Hung(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.hung: list[str] = []
            self.hangs = False

        async def read(self, key: str) -> Any:
            if self.hangs:
                self.hung.append(key)
                await asyncio.Event().wait()
            return await super().read(key)

    store = Hung()
    root = "https://api.eu-prod-sagex3.com/v1"
    sage = SageX3(client_id="c", client_secret="s", customer="https://x3.example", base_url=root, regions=regions)
    linkxg = LinkXG(client_id="shop", client_secret="s", base_url=f"{site.url}/v1")
    async with AuthEngine(store, timeout=4) as engine:
        credentials = engine.credential(sage), engine.credential(linkxg)
        await credentials[1].token()
        store.hangs = True
        async with aiohttp.ClientSession(middlewares=credentials) as session:
            assert await asyncio.gather(*(get(session, f"{site.url}/v1/a") for _ in range(5))) == [200] * 5
    assert store.hung == []
