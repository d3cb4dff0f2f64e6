"""What an operator reads when there is no Redis: where it should be and why it is not, in one line, and no login."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis.asyncio as aioredis

from linkauth.errors import StoreUnavailable
from linkauth_stores.redis import RedisStore
from tests.loopback import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOGIN = "user:hunter2@"
KEY = "token/linkxg/0123456789abcdef"


@contextlib.asynccontextmanager
async def talker(says: bytes | None) -> AsyncIterator[int]:
    """The port of what is no Redis: it says ``says`` to whatever comes and hangs up, or nothing, ever."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if says is None:
            await done.wait()
        else:
            writer.write(says)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        done.set()


async def told(store: RedisStore) -> str:
    """What is said of a read, a claim and a commit: the same each time, and all of it."""
    said = set()
    for call in (store.read(KEY), store.claim(KEY, "me", 15, 0, b""), store.commit(KEY, 1, b"value")):
        with pytest.raises(StoreUnavailable) as caught:
            await call
        assert caught.value.__cause__ is caught.value.__context__ is None
        said.add(str(caught.value))
    await store.aclose()
    (words,) = said
    assert "hunter2" not in words
    assert "user" not in words
    return words


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_nobody_listens(scheme: str) -> None:
    """Refused: the address, and the system's word."""
    port = closed_port()
    assert (
        await told(RedisStore(f"{scheme}://{LOGIN}127.0.0.1:{port}"))
        == f"Redis at 127.0.0.1:{port}: Connection refused"
    )


async def test_nobody_listens_at_any_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with two addresses, each refused: asyncio makes one error of both, without a number of its own."""
    port = closed_port()
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.1", "127.0.0.2")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    words = await told(RedisStore(f"redis://{LOGIN}two.example:{port}"))
    assert words == f"Redis at two.example:{port}: Connection refused"


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_its_name_leads_nowhere(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS says no."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    words = await told(RedisStore(f"{scheme}://{LOGIN}redis.example"))
    assert words == "Redis at redis.example:6379: its name was not resolved (Name or service not known)"


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_somebody_listens_and_says_nothing(scheme: str) -> None:
    """A time-out, and how long it was."""
    async with talker(None) as port:
        words = await told(RedisStore(f"{scheme}://{LOGIN}127.0.0.1:{port}?timeout=0.2"))
    assert words == f"Redis at 127.0.0.1:{port}: no answer within 0.2 s"


async def test_somebody_hangs_up() -> None:
    """A connection that is closed, or reset, before anything was said."""
    async with talker(b"") as port:
        words = await told(RedisStore(f"redis://{LOGIN}127.0.0.1:{port}"))
    assert words.startswith(f"Redis at 127.0.0.1:{port}: ")
    assert words.endswith(("the connection was closed", "Connection reset by peer"))


async def test_somebody_does_not_speak_tls() -> None:
    """Told apart from a server that is away: the URL is wrong, or the port."""
    async with talker(b"-ERR hunter2\r\n") as port:
        words = await told(RedisStore(f"rediss://{LOGIN}127.0.0.1:{port}"))
    assert re.fullmatch(rf"Redis at 127\.0\.0\.1:{port}: no TLS connection came about \([A-Z_]+\)", words)


async def test_there_is_no_socket(tmp_path: Path) -> None:
    """A Unix socket is told by its path."""
    words = await told(RedisStore(f"unix://{LOGIN}{tmp_path}/redis.sock"))
    assert words == f"Redis at {tmp_path}/redis.sock: No such file or directory"


async def test_no_sentinel_knows_a_master() -> None:
    """The service, and where its Sentinels should be."""
    port = closed_port()
    words = await told(RedisStore(f"redis+sentinel://{LOGIN}[::1]:{port},127.0.0.1:{port}/main"))
    assert words == f"Redis at main, by Sentinels at [::1]:{port}, 127.0.0.1:{port}: MasterNotFoundError"


async def test_a_client_of_ones_own_is_told_by_its_address() -> None:
    """As far as its pool tells where it leads."""
    port = closed_port()
    client = aioredis.Redis.from_url(f"redis://{LOGIN}127.0.0.1:{port}")
    assert await told(RedisStore(client)) == f"Redis at 127.0.0.1:{port}: Connection refused"
    await client.aclose()


def test_the_readmes_first_example_says_it_in_one_line(tmp_path: Path) -> None:
    """Run as it stands, where no Redis is: one line tells of it, and nothing of tasks and sessions left open."""
    port = closed_port()
    page = (Path(__file__).parents[2] / "README.md").read_text()
    (program,) = re.findall(
        r"```python\n(import asyncio\nfrom linkauth import AuthEngine, LinkXG\n.*?)```", page, re.DOTALL
    )
    vendor = 'scope="products:read"'
    assert vendor in program
    assert "redis://localhost:6379/0" in program
    # The vendor is on loopback, and away, too: nothing of this leaves the machine.
    program = program.replace(vendor, f'{vendor}, base_url="http://127.0.0.1:{closed_port()}"').replace(
        "6379", str(port)
    )
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ended.returncode == 1
    told_of_it = [line for line in ended.stderr.splitlines() if re.match(r"\S.*\b(Redis|store)\b", line)]
    assert told_of_it == [f"store: store lost: Redis at localhost:{port}: Connection refused"]
    assert ended.stderr.count("Traceback") == 1
    assert "never retrieved" not in ended.stderr
    assert "Unclosed" not in ended.stderr
