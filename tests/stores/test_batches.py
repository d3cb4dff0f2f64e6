"""Many records at once: one that is broken hides no other, and a thousand cost a handful of round trips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linkauth.errors import CorruptRecord, StoreUnavailable
from linkauth.store import Reading, Record
from linkauth_stores.file import FileStore
from linkauth_stores.memory import MemoryStore
from linkauth_stores.redis import RedisStore, batches
from tests.stores.counting import PATIENCE
from tests.stores.test_redis_errors import Fake

if TYPE_CHECKING:
    from pathlib import Path

KEYS = [f"token/a/{number}" for number in range(4)]


async def filled(store) -> None:
    for key in KEYS:
        await store.commit(key, 1, key.encode())


def told(found) -> list[bytes | None]:
    """The values; None: it cannot be read, which names it and shows nothing of it."""
    for key, each in zip(KEYS, found, strict=True):
        if isinstance(each, CorruptRecord):
            assert key in str(each) or key.replace("/", "+") in str(each)
            assert "s3cret" not in repr(each)
    return [each.record.value if isinstance(each, Reading) else None for each in found]


VALUES = [key.encode() for key in KEYS]


@pytest.mark.parametrize("spoil", ["version", "note", "string", "lease"])
async def test_a_broken_record_in_redis_hides_no_other(server, mine, spoil):
    """What this store did not write under one of four names: the three others are told as they are."""
    await filled(mine)
    client, name = server.client(), f"linkauth:{{{KEYS[2]}}}"
    match spoil:
        case "version":
            client.hset(name, "version", "s3cret")
        case "note":
            client.hset(f"{name}:lease", "note", "x" * (2**16 + 1))
        case "string":
            client.set(name, "s3cret")
        case _:
            client.delete(f"{name}:lease")
            client.set(f"{name}:lease", "s3cret")
    assert told(await mine.read_many(KEYS)) == [*VALUES[:2], None, VALUES[3]]


async def test_a_broken_file_hides_no_other(tmp_path: Path):
    """Nor does one that only its owner may have, and somebody else has."""
    store = FileStore(tmp_path / "store")
    await filled(store)
    (tmp_path / "store" / "token+a+2.record").write_bytes(b"s3cret")
    assert told(await store.read_many(KEYS)) == [*VALUES[:2], None, VALUES[3]]
    await store.aclose()


async def test_a_server_without_the_right_to_it_is_unavailable(server):
    """The error of any key that is no other kind of value is the whole batch's: nothing is told as missing that may be there."""
    server.client().execute_command("ACL", "SETUSER", "poor", "on", ">pw", "~*", "&*", "+time")
    store = RedisStore(f"redis://poor:pw@127.0.0.1:{server.port}/0", timeout=PATIENCE)
    with pytest.raises(StoreUnavailable, match="NoPermission"):
        await store.read_many(KEYS)
    await store.aclose()


@pytest.mark.parametrize(
    "says", [b"+OK\r\n", b"*-1\r\n", b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n"], ids=["a word", "nothing", "a pair"]
)
async def test_an_answer_that_is_none_is_refused(says):
    """A proxy that answers anything: ``StoreUnavailable``, and no record made of it."""
    async with Fake(says).running() as port:
        store = RedisStore(f"redis://127.0.0.1:{port}", timeout=PATIENCE)
        with pytest.raises(StoreUnavailable):
            await store.read_many(KEYS)
        await store.aclose()


async def test_a_thousand_keys_cost_redis_four_round_trips(server, mine, monkeypatch):
    """As many calls to the server as batches, each of plain commands: no script runs."""
    keys = [f"token/a/{number}" for number in range(1000)]
    pipe = server.client().pipeline(transaction=False)
    for key in keys:
        pipe.hset(f"linkauth:{{{key}}}", mapping={"version": 1, "value": b"v"})
    pipe.execute()
    asked = 0
    session = mine._session()
    ask = session.ask

    async def counted(*args, **kwargs):
        nonlocal asked
        asked += 1
        return await ask(*args, **kwargs)

    monkeypatch.setattr(type(session), "ask", lambda self, *args, **kwargs: counted(*args, **kwargs))
    before = server.client().info("commandstats")["cmdstat_evalsha"]["calls"]
    for start in range(0, 1000, 250):
        found = await mine.read_many(keys[start : start + 250])
        assert {each.record for each in found} == {Record(1, b"v")}
    assert asked == 4
    assert server.client().info("commandstats")["cmdstat_evalsha"]["calls"] == before


async def test_whether_a_store_is_there(tmp_path: Path):
    """A folder is there once somebody has written; to ask does not make it. What lies in memory begins empty."""
    store = FileStore(tmp_path / "store")
    assert not await store.exists()
    assert list(tmp_path.iterdir()) == []
    await store.commit("a/b/c", 1, b"")
    assert await store.exists()
    await store.aclose()
    memory = MemoryStore()
    assert not await memory.exists()
    await memory.commit("a/b/c", 1, b"")
    assert await memory.exists()


@pytest.mark.parametrize("answer", [b"OK", [b"1"], [b"1", b"v", b"more"]], ids=["a word", "too few", "too many"])
def test_a_record_is_not_made_of_another_commands_answer(answer):
    """What HMGET cannot have said is no record, and no broken one: something stands in between."""
    with pytest.raises(StoreUnavailable, match="stands in between"):
        batches._reading("token/a/1", answer, [None], 0.0)
