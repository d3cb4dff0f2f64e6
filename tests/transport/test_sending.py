"""The token side's sockets: what was sent and what was not, limits, and that a secret goes where it was addressed."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import json
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from linkauth.engine.flight import out_of_sight
from linkauth.errors import LinkAuthError, MalformedResponse, NoAnswer, NotSent
from linkauth.oauth.exchange import Request
from linkauth.transport import LARGEST, Transport
from tests.loopback import closed_port, raw, response, says

SECRET = "canary-secret"
OK = response(b'{"ok": true}', "200 OK", "Content-Type: application/json")


@pytest.fixture
def transport():
    return Transport()


def ask(url: str) -> Request:
    fields = {"client_secret": SECRET}
    return Request.form(f"{url}/oauth/token?key={SECRET}", fields, {"Authorization": f"Basic {SECRET}"})


def shows_nothing(error: BaseException) -> None:
    """No part of the error, nor what it hangs on to, holds the secret or an object of aiohttp's."""
    seen = [error, error.__cause__, error.__context__]
    for each in filter(None, seen):
        assert SECRET not in f"{each!r} {each} {each.args} {vars(each)}"
        assert not type(each).__module__.startswith("aiohttp")
        assert not any(type(value).__module__.startswith("aiohttp") for value in vars(each).values())


async def fails(transport: Transport, url: str, kind: type[LinkAuthError], seconds: float = 5.0) -> str:
    with pytest.raises(LinkAuthError) as caught:
        await transport.send(ask(url), seconds)
    shows_nothing(caught.value)
    assert type(caught.value) is kind
    return str(caught.value)


async def test_an_answer_is_read_to_its_end(transport):
    """Status, headers by lower-case name, body; and the request arrives as it was made."""
    async with raw(says(response(b'{"a": 1}', "201 Created", "X-Thing: yes"))) as server:
        found = await transport.send(ask(server.url), 5)
    assert (found.status, found.body, found.headers["x-thing"]) == (201, b'{"a": 1}', "yes")
    head, _, body = server.heard[0].partition(b"\r\n\r\n")
    assert head.startswith(f"POST /oauth/token?key={SECRET} HTTP/1.1".encode())
    assert body == f"client_secret={SECRET}".encode()


async def test_a_port_where_nobody_listens_saw_nothing(transport):
    """Connection refused: ``NotSent``, and it says so."""
    words = await fails(transport, f"http://127.0.0.1:{closed_port()}", NotSent)
    assert words == "127.0.0.1: no connection came about (Connection refused)"


async def test_a_name_that_does_not_resolve_saw_nothing(transport):
    """No such host: ``NotSent``, and it says that it was the name."""
    words = await fails(transport, "http://nobody.invalid:1", NotSent)
    assert words.startswith("nobody.invalid: its name was not resolved (")


async def test_a_failed_handshake_saw_nothing(transport):
    """The other side does not speak TLS: ``NotSent``, for the request never left."""

    async def talk(server, reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 this is not TLS\r\n\r\n")

    async with raw(talk) as server:
        words = await fails(transport, server.url.replace("http:", "https:"), NotSent)
        assert words == "127.0.0.1: no trusted TLS connection came about (wrong version number)"


async def test_a_certificate_nobody_vouches_for_saw_nothing(transport, tmp_path):
    """A self-signed certificate: ``NotSent``, and the server got no byte of the request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    got = []

    async def talk(reader, writer):
        got.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        words = await fails(transport, f"https://127.0.0.1:{port}", NotSent)
        assert words.startswith("127.0.0.1: no trusted TLS connection came about (self")
    assert b"".join(got) == b""


async def test_a_connection_that_never_comes_about_saw_nothing(transport):
    """A backlog that is full, so that no connection is accepted: ``NotSent`` within the time."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        held = [socket.socket() for _ in range(4)]
        for each in held:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        try:
            words = await fails(transport, f"http://127.0.0.1:{port}", NotSent, seconds=0.5)
            assert words == "127.0.0.1: no connection in time"
        finally:
            for each in held:
                each.close()


async def test_cut_off_before_the_request_may_still_have_been_sent(transport):
    """The connection is cut as soon as it stands: the vendor may have acted, for all we know."""

    async def talk(server, reader, writer):
        writer.transport.abort()

    async with raw(talk) as server:
        with pytest.raises(LinkAuthError) as caught:
            await transport.send(ask(server.url), 5)
        shows_nothing(caught.value)
        assert isinstance(caught.value, NoAnswer | NotSent)


async def test_cut_off_after_the_request_is_in_doubt(transport):
    """The request was read and the connection cut: ``NoAnswer``."""

    async def talk(server, reader, writer):
        await server.request(reader)
        writer.transport.abort()

    async with raw(talk) as server:
        words = await fails(transport, server.url, NoAnswer)
        assert words in {
            "127.0.0.1: the connection failed (Connection reset by peer)",
            "127.0.0.1: it ended the connection without an answer",
        }


@pytest.mark.parametrize(
    "part",
    [
        b"HTTP/1.1 200 O",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        response(b"not gzip at all", "200 OK", "Content-Encoding: gzip"),
    ],
    ids=["head", "body", "chunk", "garbage", "header", "encoding"],
)
async def test_an_answer_that_is_no_whole_answer_is_in_doubt(transport, part):
    """Cut in the middle, or nothing that HTTP knows: ``NoAnswer``, for the vendor has read the request."""

    async def talk(server, reader, writer):
        await server.request(reader)
        writer.write(part)
        await writer.drain()

    async with raw(talk) as server:
        await fails(transport, server.url, NoAnswer)


async def test_an_answer_that_came_while_the_process_stood_still_is_read(transport):
    """The limit passed while nothing ran, and the answer lies in the socket's buffer: it may be the only copy."""
    heard, go, said = threading.Event(), threading.Event(), threading.Event()

    def serve(door: socket.socket) -> None:
        with door.accept()[0] as connection:
            connection.recv(65536)
            heard.set()
            go.wait(10)
            connection.sendall(OK)
            said.set()

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=serve, args=(door,), daemon=True).start()
        begun = time.monotonic()
        asking = asyncio.create_task(transport.send(ask(f"http://127.0.0.1:{door.getsockname()[1]}"), 0.5))
        assert await asyncio.to_thread(heard.wait, 10)
        go.set()
        said.wait(10)
        time.sleep(max(begun + 0.6 - time.monotonic(), 0))  # noqa: ASYNC251  # as SIGSTOP would
        assert (await asking).status == 200


async def test_nothing_is_sent_by_who_stood_still_for_the_time_of_an_answer(transport, monkeypatch):
    """Stopped between the connection and the request: what was sent now would be cut off from its answer."""
    loop = asyncio.get_running_loop()
    connect, now = loop.create_connection, loop.time

    async def stopped(*args, **kwargs):
        connected = await connect(*args, **kwargs)
        monkeypatch.setattr(loop, "time", lambda: now() + 0.4)  # as after SIGSTOP and SIGCONT
        return connected

    monkeypatch.setattr(loop, "create_connection", stopped)
    async with raw(says(OK)) as server:
        await fails(transport, server.url, NotSent, seconds=0.5)
        await asyncio.sleep(0.01)
    assert server.heard == []


async def test_the_time_limit_is_over_the_whole_exchange(transport):
    """A vendor that accepts and is silent, and one that drips: ``NoAnswer`` when the time is over."""

    async def silent(server, reader, writer):
        await server.request(reader)
        await asyncio.sleep(30)

    async def drips(server, reader, writer):
        await server.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await asyncio.sleep(0.02)

    for talk in (silent, drips):
        async with raw(talk) as server:
            before = time.monotonic()
            assert await fails(transport, server.url, NoAnswer, seconds=0.3) == "127.0.0.1: no answer in time"
            assert time.monotonic() - before < 2


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent"]
)
async def test_no_redirect_is_followed(transport, status):
    """A redirect is an answer like any other: nothing at all arrives at its target."""
    async with raw(says(OK)) as target, raw(says(response(b"", status, f"Location: {target.url}/steal"))) as server:
        found = await transport.send(ask(server.url), 5)
        assert found.status == int(status[:3])
        assert (target.connections, server.connections) == (0, 1)


@pytest.mark.parametrize("chunked", [False, True])
async def test_twenty_megabytes_are_not_read(transport, chunked):
    """An answer beyond the limit is refused as soon as it is, and its connection dropped."""
    written = 0

    async def talk(server, reader, writer):
        nonlocal written
        await server.request(reader)
        head = "Transfer-Encoding: chunked" if chunked else "Content-Length: 20000000"
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
        piece = b"x" * 10_000
        for _ in range(2000):
            writer.write(b"2710\r\n" + piece + b"\r\n" if chunked else piece)
            await writer.drain()
            written += len(piece)

    async with raw(talk) as server:
        assert str(LARGEST) in await fails(transport, server.url, MalformedResponse)
    assert written < 15_000_000


async def test_an_answer_of_the_largest_size_is_read(transport):
    """The limit itself is within the limit."""
    async with raw(says(response(b"x" * LARGEST))) as server:
        assert len((await transport.send(ask(server.url), 5)).body) == LARGEST


async def test_a_gzip_bomb_does_not_go_off(transport):
    """60 MB in 60 KB: refused, and the memory that it took is bounded."""
    bomb = gzip.compress(b"\0" * 60_000_000, compresslevel=9)
    async with raw(says(response(bomb, "200 OK", "Content-Encoding: gzip"))) as server:
        tracemalloc.start()
        try:
            with pytest.raises(LinkAuthError) as caught:
                await transport.send(ask(server.url), 20)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    shows_nothing(caught.value)
    assert peak < 40_000_000


def bare(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(data) + packing.flush()


PLAIN = json.dumps({"access_token": "a", "more": list(range(2000))}).encode()
PACKED = {
    "gzip": ("gzip", gzip.compress(PLAIN)),
    "in capitals": ("GZIP", gzip.compress(PLAIN)),
    "by its old name": ("x-gzip", gzip.compress(PLAIN)),
    "in two parts": ("gzip", gzip.compress(PLAIN[:99]) + gzip.compress(PLAIN[99:])),
    "with something behind it": ("gzip", gzip.compress(PLAIN) + b"\0" * 99),
    "deflate": ("deflate", zlib.compress(PLAIN)),
    "a bare deflate": ("deflate", bare(PLAIN)),
    "not at all": ("identity", PLAIN),
}


@pytest.mark.parametrize(("coding", "body"), PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("step", [1, 1 << 20], ids=["in drops", "at once"])
async def test_an_answer_that_is_packed_is_read(transport, coding, body, step):
    """In whatever way, and cut wherever the network cuts it: what came may be the only copy."""

    async def talk(server, reader, writer):
        await server.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: " + coding.encode() + b"\r\n\r\n")
        for at in range(0, len(body), step):
            writer.write(body[at : at + step])
            await writer.drain()
        writer.close()

    async with raw(talk) as server:
        assert (await transport.send(ask(server.url), 20)).body == PLAIN


@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", gzip.compress(PLAIN)[:-20]), ("deflate", zlib.compress(PLAIN)[:-20]), ("br", PLAIN), ("gzip, br", PLAIN)],
    ids=["half a gzip", "half a deflate", "not asked for", "nor this"],
)
async def test_an_answer_that_cannot_be_unpacked_is_in_doubt(transport, coding, body):
    """``NoAnswer``, for the vendor has read the request."""
    async with raw(says(response(body, "200 OK", f"Content-Encoding: {coding}"))) as server:
        await fails(transport, server.url, NoAnswer)


async def test_no_cookies_are_kept(transport):
    """A cookie that an answer sets is not sent with the next request."""
    async with raw(says(response(b"{}", "200 OK", "Set-Cookie: track=me; Path=/"))) as server:
        for _ in range(2):
            await transport.send(ask(server.url), 5)
        assert all(b"cookie" not in heard.lower() for heard in server.heard)


async def test_proxies_of_the_environment_are_ignored(transport, monkeypatch, tmp_path):
    """``HTTP_PROXY`` and ``.netrc`` are for others: a token request goes to its vendor, as it was made."""
    async with raw(says(OK)) as proxy, raw(says(OK)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login somebody password else\n")
        monkeypatch.setenv("NETRC", str(netrc))
        await transport.send(ask(server.url), 5)
        assert (proxy.connections, server.connections) == (0, 1)
        assert f"Authorization: Basic {SECRET}".encode() in server.heard[0]


async def test_a_connection_is_used_once(transport):
    """A vendor that closes idle connections unannounced does not put the next refresh token in doubt."""

    async def talk(server, reader, writer):
        await server.request(reader)
        writer.write(OK)
        await writer.drain()
        await reader.read(1)  # whatever comes second is answered with a reset
        writer.transport.abort()

    async with raw(talk) as server:
        for _ in range(3):
            assert (await transport.send(ask(server.url), 5)).status == 200


async def test_a_cancelled_send_leaves_nothing_behind(transport):
    """Cancelled in the middle, the transport is as good as before, and its connection is closed."""
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def talk(server, reader, writer):
        if server.connections > 1:
            await says(OK)(server, reader, writer)
            return
        await server.request(reader)
        arrived.set()
        await reader.read()
        gone.set()

    async with raw(talk) as server:
        task = asyncio.create_task(transport.send(ask(server.url), 5))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 5)
        assert (await transport.send(ask(server.url), 5)).status == 200


def test_several_loops_use_one_transport():
    """Each loop has a session of its own, shared by what is under way at once, and nothing is left open when it ends."""
    made = Transport()

    async def one() -> list[int]:
        async with raw(says(OK)) as server:
            asked = [asyncio.create_task(made.send(ask(server.url), 5)) for _ in range(3)]
            await asyncio.sleep(0)
            assert len({id(shared.session) for shared in made._sessions._shared.values()}) == 1
            statuses = [(await task).status for task in asked]
        assert not made._sessions._shared
        return statuses

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    assert [asyncio.run(one()) for _ in range(3)] == [[200, 200, 200]] * 3
    assert descriptors() <= before


def test_a_loop_that_was_closed_under_an_exchange_leaves_nothing_to_say():
    """Closed without a word, not even to its tasks: the next loop's session takes its place, and nobody complains of it."""
    made, loop = Transport(), asyncio.new_event_loop()

    async def hangs() -> None:
        async with made._sessions.one():
            await asyncio.Event().wait()

    task = loop.create_task(hangs())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    async def one() -> int:
        async with raw(says(OK)) as server:
            return (await made.send(ask(server.url), 5)).status

    assert asyncio.run(one()) == 200
    assert not made._sessions._shared
    task._log_destroy_pending = False  # what asyncio says of the task is not ours to keep back


async def test_a_look_up_that_is_cancelled_with_all_tasks_sent_nothing(transport, monkeypatch):
    """aiohttp resolves names in tasks of its own. Whoever cancels all tasks finds them; the request was not sent then."""
    loop = asyncio.get_running_loop()

    async def never(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(loop, "getaddrinfo", never)
    sending = out_of_sight(transport.send(ask("http://vendor.example"), 30), "sending")
    while not (found := asyncio.all_tasks() - {asyncio.current_task()}):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    for task in found:
        task.cancel()
    with pytest.raises(NotSent, match="cancelled"):
        await sending


async def test_a_body_is_written_whoever_cancels_all_tasks(transport):
    """Where aiohttp makes a task to write the body (Python 3.11 always) it is not found, at no turn of the loop."""
    async with raw(says(OK)) as server:
        sending = out_of_sight(transport.send(ask(server.url), 30), "sending")
        while not sending.done():
            for task in asyncio.all_tasks():
                if "write_bytes" in task.get_coro().__qualname__:  # not the test's own, nor its server's
                    task.cancel()
            await asyncio.sleep(0)
        assert (await sending).status == 200


def self_signed(folder):
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "cert.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
