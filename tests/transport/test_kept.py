"""Connections that are kept: where nothing rotates, and never where an answer that is lost would be the session."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import sys
import threading
import warnings
from typing import Self

import attrs
import pytest

from linkauth import AuthEngine, OAuth2
from linkauth.errors import NoAnswer
from linkauth.oauth.exchange import Request
from linkauth.transport import Proxies, Transport, masked, sending
from tests.loopback import Raw, raw, response, says
from tests.transport.conftest import VENDOR
from tests.transport.tunnel import tunnel

TOKEN = response(
    json.dumps(
        {"access_token": "canary", "token_type": "Bearer", "expires_in": 900, "refresh_token": "canary-r"}
    ).encode(),
    "200 OK",
    "Content-Type: application/json",
)


def ask(url: str, *, idempotent: bool = True) -> Request:
    return attrs.evolve(Request.form(f"{url}/token", {"a": "b"}), idempotent=idempotent)


def client(url: str) -> OAuth2:
    return OAuth2(name="client", client_id="c", client_secret="canary", token_url=f"{url}/token")


def user(url: str) -> OAuth2:
    """Whose refresh tokens are taken to be good for one use."""
    return OAuth2(
        name="user",
        client_id="c",
        client_secret="canary",
        authorize_url=f"{url}/authorize",
        token_url=f"{url}/token",
    )


def patient(answers: int):
    """A vendor that answers so many requests of a connection, reads one more, and closes without a word."""

    async def talk(server: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(answers):
            if not await server.request(reader):
                return
            writer.write(TOKEN)
            await writer.drain()
        await server.request(reader)

    return talk


async def test_ten_renewals_take_one_connection():
    """Of a client, whose requests may be repeated."""
    async with raw(says(TOKEN)) as server, AuthEngine() as engine:
        credential = engine.credential(client(server.url))
        for _ in range(10):
            await credential.refresh()
    assert (len(server.heard), server.connections) == (10, 1)


async def test_ten_renewals_of_a_session_that_rotates_take_ten():
    """The vendor may close a kept connection at any moment, and that must never be the one when a refresh token is on its way."""
    async with raw(says(TOKEN)) as server, AuthEngine() as engine:
        credential = engine.credential(user(server.url))
        await credential.adopt(refresh_token="canary-0")
        for _ in range(9):
            await credential.refresh()
    assert (len(server.heard), server.connections) == (10, 10)


async def test_a_secrets_rotation_and_a_login_take_their_own():
    """Nobody said that they may be repeated: what says nothing is sent over a connection of its own, a kept one or not."""
    transport = Transport()
    async with raw(says(TOKEN)) as server:
        for idempotent in (True, False, True, False):
            await transport.send(ask(server.url, idempotent=idempotent), 5)
        assert server.connections == 3
        assert [b"connection: close" in request.lower() for request in server.heard] == [False, True, False, True]
        await transport.aclose()


async def test_a_vendor_that_closes_as_it_is_asked_is_asked_again():
    """At once, and nobody hears of it: not the caller, not those who listen to events, and no try is counted."""
    told = []
    async with raw(patient(1)) as server, AuthEngine(on_event=told.append) as engine:
        credential = engine.credential(client(server.url))
        for _ in range(4):
            assert (await credential.refresh()).access_token == "canary"
    # The first leaves a connection, over which the second goes in vain; the fresh one of its repeat is not kept.
    assert (len(server.heard), server.connections) == (6, 4)
    assert {event.kind.name for event in told} == {"RENEWED"}


async def test_it_is_asked_again_once():
    """And no more: the repeat goes over a fresh connection, and what fails there is told."""
    transport = Transport()

    async def talk(server: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (patient(1) if server.connections == 1 else patient(0))(server, reader, writer)

    async with raw(talk) as server:
        await transport.send(ask(server.url), 5)
        with pytest.raises(NoAnswer, match="ended the connection without an answer"):
            await transport.send(ask(server.url), 5)
        assert (len(server.heard), server.connections) == (3, 2)


async def test_a_vendor_that_is_silent_on_a_kept_connection_is_not_asked_again():
    """Nothing says that it did not hear: the whole time for an answer passes, and no second one is added."""
    transport, silent = Transport(), asyncio.Event()

    async def talk(server: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(TOKEN)
        await server.request(reader)
        await silent.wait()

    async with raw(talk) as server:
        await transport.send(ask(server.url), 5)
        with pytest.raises(NoAnswer, match="no answer in time"):
            await transport.send(ask(server.url), 0.3)
        assert (len(server.heard), server.connections) == (2, 1)
        silent.set()


async def test_a_vendor_that_was_restarted():
    """What was kept leads nowhere; the next exchange has a connection to what listens there now."""
    transport = Transport()
    talking: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(writer)
        with contextlib.closing(writer):
            await says(TOKEN)(Raw(talk), reader, writer)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await transport.send(ask(f"http://127.0.0.1:{port}"), 5)
    server.close()
    for writer in talking:
        writer.transport.abort()
    again = await asyncio.start_server(talk, "127.0.0.1", port)
    assert (await transport.send(ask(f"http://127.0.0.1:{port}"), 5)).status == 200
    assert len(talking) == 2
    await transport.aclose()
    await asyncio.gather(*(writer.wait_closed() for writer in talking), return_exceptions=True)
    again.close()


async def test_an_answer_that_nobody_asked_for_is_nobodys():
    """A vendor answers twice: the second would be taken for the next request's, which may be another credential's."""
    transport, answered, sent = Transport(), asyncio.Event(), asyncio.Event()

    async def talk(server: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await server.request(reader):
            number = len(server.heard)
            writer.write(response(b"%d" % number))
            await writer.drain()
            if number == 1:
                await answered.wait()
                writer.write(response(b"of nobody"))
                await writer.drain()
                sent.set()

    async with raw(talk) as server:
        assert (await transport.send(ask(server.url), 5)).body == b"1"
        answered.set()
        await sent.wait()
        for _ in range(5):  # it lies in the socket, and the loop looks at that at its next turn
            await asyncio.sleep(0)
        assert (await transport.send(ask(server.url), 5)).body == b"2"
        assert server.connections == 2
        await transport.aclose()


async def test_a_tunnel_is_kept(trusting, serving):
    """By a proxy: CONNECT and the handshakes once, for all exchanges."""
    async with raw(says(TOKEN), tls=serving) as vendor, raw(tunnel(vendor.port)) as proxy:
        transport = Transport(Proxies.chosen(masked(proxy.url), trust_env=False), trusting)
        for _ in range(3):
            assert (await transport.send(ask(f"https://{VENDOR}"), 60)).status == 200
        assert (len(proxy.heard), vendor.connections, len(vendor.heard)) == (1, 1, 3)
        await transport.aclose()


async def test_many_at_once_share_what_is_kept():
    """As many connections as are under way at once, and the next ones take those."""
    transport = Transport()
    async with raw(says(TOKEN)) as server:
        for _ in range(3):
            await asyncio.gather(*(transport.send(ask(server.url), 5) for _ in range(8)))
        assert server.connections == 8
        await transport.aclose()


async def test_an_engine_that_was_left_keeps_none():
    """The vendor sees the end of the connection, though the loop goes on."""
    gone = asyncio.Event()

    async def talk(server: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(TOKEN)(server, reader, writer)
        gone.set()

    async with raw(talk) as server:
        async with AuthEngine() as engine:
            await engine.credential(client(server.url)).refresh()
            assert not gone.is_set()
        await asyncio.wait_for(gone.wait(), 20)


async def test_what_nobody_uses_is_closed(monkeypatch):
    """After a while: sooner than a vendor, or what is on the way to it, forgets it."""
    monkeypatch.setattr(sending, "KEPT", 0.05)
    gone = asyncio.Event()

    async def talk(server: Raw, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(TOKEN)(server, reader, writer)
        gone.set()

    async with raw(talk) as server:
        transport = Transport()
        await transport.send(ask(server.url), 5)
        await asyncio.wait_for(gone.wait(), 20)


class Elsewhere:
    """A vendor in a thread of its own, that answers ``TOKEN`` to loops that come and go. ``peers``: who connected."""

    def __enter__(self) -> Self:
        self.peers: list[int] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                one, address = self._socket.accept()
            except OSError:
                return
            self.peers.append(address[1])
            threading.Thread(target=self._talk, args=[one], daemon=True).start()

    def _talk(self, one: socket.socket) -> None:
        with one:
            while one.recv(65536).endswith(b"a=b"):
                one.sendall(TOKEN)


def test_each_loop_keeps_its_own():
    """It is closed as the loop ends, without anybody's doing, and the next loop makes its own."""
    transport = Transport()
    with Elsewhere() as vendor:

        async def twice() -> None:
            for _ in range(2):
                await transport.send(ask(vendor.url), 20)

        for _ in range(2):
            asyncio.run(twice())
            assert not transport._kept._all
        assert len(vendor.peers) == 2


def test_a_loop_that_was_closed_without_a_word(caplog):
    """What it kept goes with it, aiohttp says nothing of that, and the next loop makes its own."""
    transport = Transport()
    with Elsewhere() as vendor:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(transport.send(ask(vendor.url), 20))
        loop.close()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            asyncio.run(transport.send(ask(vendor.url), 20))
            gc.collect()
        assert not [each for each in told if "onnector" in str(each.message)]  # asyncio may have a word of its sockets
        assert not caplog.records
        assert len(vendor.peers) == 2


FORKS = """
import asyncio, attrs, os, sys
from linkauth.oauth.exchange import Request
from linkauth.transport import Transport

async def ask():
    request = Request.form(sys.argv[1] + "/token", {"a": "b"})
    answer = await transport.send(attrs.evolve(request, idempotent=True), 20)
    assert answer.status == 200

transport, loop = Transport(), asyncio.new_event_loop()
loop.run_until_complete(ask())
if os.fork() == 0:
    loop.run_until_complete(ask())  # the very same loop
    os._exit(0)
assert os.wait()[1] == 0
loop.run_until_complete(ask())
loop.run_until_complete(loop.shutdown_asyncgens())
loop.close()
"""


async def test_a_forked_child_makes_its_own():
    """Over one connection two processes would read each other's answers; and the parent's is as good as before."""
    async with raw(says(TOKEN)) as server:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", FORKS, server.url)
        assert await asyncio.wait_for(child.wait(), 60) == 0
    assert (len(server.heard), server.connections) == (3, 2)
