"""Requests with a body at a 401: which can be sent again, and what becomes of those that cannot."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol

from linkauth import AuthEngine, LinkXG
from linkauth_stores.memory import MemoryStore
from tests.middleware.site import chunks, get

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


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


async def test_a_body_that_was_made_while_it_was_sent_is_not_sent_again(client, credential, site):
    """By whichever client: the 401 goes back to the caller, whole, sent once; the next upload has a new token."""
    async with client.session(credential) as session:
        await get(session, "a")
        site.revoke()
        async with session.post("b", data=client.chunks()) as answer:
            assert (answer.status, await answer.text()) == (401, "no")
        assert site.counts == {"token": 2, "api": 2}
        async with session.post("b", data=client.chunks()) as answer:
            assert answer.status == 200
    assert site.counts == {"token": 2, "api": 3}


async def test_a_refused_upload_is_the_callers_though_the_renewal_fails(client, credential, site):
    """The vendor gives no new token just now: the 401 comes back all the same, and nothing is raised in its place."""
    async with client.session(credential) as session:
        await get(session, "a")
        site.revoke()
        site.token_status = 503
        async with session.post("b", data=client.chunks()) as answer:
            assert (answer.status, await answer.text()) == (401, "no")


async def test_an_api_that_refuses_every_upload_costs_no_renewal_for_each(client, credential, site):
    """The token that took the refused one's place is refused too: renewing again helps nobody."""
    async with client.session(credential) as session:
        await get(session, "a")
        site.refuses = True
        for _ in range(5):
            async with session.post("b", data=client.chunks()) as answer:
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
    async with AuthEngine(MemoryStore(), timeout=6) as engine:
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
