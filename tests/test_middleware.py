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
from linkauth.errors import LinkAuthError, StoreUnavailable, UntrustedEndpoint, VendorUnavailable
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
    """It would arrive empty or cut: the 401 goes back to the caller, unread, and the request is sent once."""

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
        assert site.counts["api"] == 2
        async with session.post("b", data=await body()) as answer:
            assert answer.status == 401


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
