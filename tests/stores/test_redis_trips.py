"""A round trip as the Redis store makes it, by clients that answer as servers and clusters may: every turn it can take."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from typing import Any

import pytest
from redis.asyncio import RedisCluster
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ConnectionError,  # noqa: A004  redis-py's own
    NoScriptError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import TimeoutError as RedisTimeout

from linkauth.errors import CorruptRecord, StoreUnavailable
from linkauth.store import Committed
from linkauth_stores.redis import RedisStore, scripts
from linkauth_stores.redis.session import Session
from linkauth_stores.redis.store import _uptime
from linkauth_stores.redis.trips import run, run_and_wait
from tests.engine.virtual import monotonic, virtual

KEY = "token/linkxg/0123456789abcdef"
NAMES = ("linkauth:{k}", "linkauth:{k}:lease")
FOUND = [b"committed", b"1800000000", b"0", b"1", b"value", b""]
MOVING = AskError("1 127.0.0.1:7000")


class Encoder:
    decode_responses = False


class Client:
    """Answers with what it was given, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.closed = 0

    def _next(self, what: str) -> Any:
        self.asked.append(what)
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def evalsha(self, *args: Any) -> Any:
        return self._next("EVALSHA")

    async def eval(self, *args: Any) -> Any:
        return self._next("EVAL")

    async def execute_command(self, *args: Any) -> Any:
        return self._next(args[0])

    def pipeline(self, *, transaction: bool) -> Any:
        return Pipeline(self)

    def get_encoder(self) -> Any:
        return Encoder()

    async def aclose(self) -> None:
        self.closed += 1
        raise ConnectionError("redis://user:canary@host")


class Pipeline:
    def __init__(self, client: Any) -> None:
        self.client = client
        self.commands: list[tuple[Any, ...]] = []

    def execute_command(self, *args: Any, **where: Any) -> None:
        self.commands.append(args)
        self.client.where = where

    async def execute(self, **how: Any) -> Any:
        self.client.how = how
        return self.client._next("+".join(str(command[0]) for command in self.commands))


class Pool:
    disconnected = 0

    async def disconnect(self, *, inuse_connections: bool) -> None:
        assert not inuse_connections
        self.disconnected += 1


class Ears:
    closed = 0

    async def aclose(self) -> None:
        self.closed += 1


def session(client: Any, *, places: int = 4) -> Session:
    return Session(client, Ears(), 2.0, asyncio.Semaphore(places))


def failing(*errors: Any) -> Any:
    """Work that fails with each of these, and then answers."""
    left = list(errors)

    async def work(_: Any) -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return work


# -- Asking.


@pytest.mark.parametrize(
    "error", [ConnectionError("lost"), ReadOnlyError("no"), ResponseError("READONLY no")], ids=repr
)
@virtual
async def test_what_may_pass_is_tried_once_more(error):
    """A lost connection and a master that became a replica: the second try answers, a third is not made."""
    client = Client()
    client.connection_pool = Pool()
    asking = session(client)
    assert await asking.ask(failing(error)) == "answer"
    assert asking.answered == monotonic()
    with pytest.raises(StoreUnavailable):
        await asking.ask(failing(error, error))
    assert bool(client.connection_pool.disconnected) == (not isinstance(error, ConnectionError))
    del client.connection_pool  # a cluster's client has none
    assert await asking.ask(failing(error)) == "answer"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AuthenticationError("WRONGPASS canary"), "AuthenticationError"),
        (ResponseError("OOM canary"), "ResponseError (OOM)"),
        (ResponseError("Error running script: -MISCONF canary"), "ResponseError (MISCONF)"),
        (ResponseError("canary"), "ResponseError"),
        (OSError("canary"), "OSError"),
        (ValueError("canary"), "ValueError"),
        (RedisTimeout("canary"), "no answer within 2 s"),
    ],
    ids=repr,
)
@virtual
async def test_what_does_not_pass_is_told_at_once(error, words):
    """The kind of error and the server's code, and nothing else of what a client or a server said."""
    with pytest.raises(StoreUnavailable) as caught:
        await session(Client()).ask(failing(error, AssertionError("asked twice")))
    assert str(caught.value).startswith(f"Redis: {words}")
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@virtual
async def test_a_name_that_holds_something_else_is_a_corrupt_record():
    """The record is named."""
    with pytest.raises(CorruptRecord, match=KEY):
        await session(Client()).ask(failing(ResponseError("WRONGTYPE canary")), KEY)


@virtual
async def test_connections_that_were_lost_unnoticed_are_gone_through():
    """Each of them fails before anything is sent (a TypeError of CPython's): as many as a pool may hold, and no more."""
    lost = TypeError("a bytes-like object is required")
    assert await session(Client()).ask(failing(*[lost] * 20)) == "answer"
    with pytest.raises(StoreUnavailable, match="TypeError"):
        await session(Client()).ask(failing(*[lost] * 21))


@virtual
async def test_a_server_that_hangs_is_given_up_in_time():
    """Two seconds, and not one more."""
    begun = monotonic()
    with pytest.raises(StoreUnavailable, match="no answer within 2 s"):
        await session(Client()).ask(lambda _: asyncio.Event().wait())
    assert monotonic() - begun == 2


@virtual
async def test_a_cancellation_that_a_client_swallowed_is_honoured():
    """Python 3.11's ``wait_for`` may hand over an answer to a task that was cancelled: it ends all the same."""

    async def swallow(_: Any) -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
        return "answer"

    asking = asyncio.create_task(session(Client()).ask(swallow))
    await asyncio.sleep(0.5)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


@virtual
async def test_a_queue_is_an_outage_only_while_nobody_is_answered():
    """One place, four who take it in turns for a second and a half each: all are answered. It hangs: all are told."""
    asking = session(Client(), places=1)
    turns = [asyncio.create_task(asking.ask(lambda _: asyncio.sleep(1.5, "answer"))) for _ in range(4)]
    assert await asyncio.gather(*turns) == ["answer"] * 4
    turns = [asyncio.create_task(asking.ask(lambda _: asyncio.Event().wait())) for _ in range(4)]
    assert {type(end) for end in await asyncio.gather(*turns, return_exceptions=True)} == {StoreUnavailable}
    assert asking.slots._value == 1


@pytest.mark.parametrize("own", [True, False])
@virtual
async def test_closing_closes_what_is_the_stores_own(own):
    """A client that fails at that is gone all the same; a caller's client is left open."""
    client = Client()
    closing = session(client)
    await closing.aclose(client=own)
    assert (closing.ears.closed, client.closed) == (1, own)


@virtual
async def test_a_call_that_somebody_cancelled_under_it_is_begun_anew():
    """Who cancels all tasks of a loop cancels a client's own: a connection is lost, and nobody's call is cancelled."""
    assert await session(Client()).ask(failing(asyncio.CancelledError())) == "answer"
    with pytest.raises(StoreUnavailable):
        await session(Client()).ask(failing(asyncio.CancelledError(), asyncio.CancelledError()))


@pytest.mark.parametrize("found", [None, b"OK", {}, {"uptime_in_seconds": "5"}, ResponseError("NOPERM")], ids=repr)
async def test_a_server_that_does_not_say_how_long_it_is_up_counts_as_long_up(found):
    """Whatever stands in between: nobody looks again for a restart that was none."""
    assert await _uptime(Client(found), Client()) == math.inf
    assert await _uptime(Client({"uptime_in_seconds": 5}), Client()) == 5


# -- A script's trip.


async def test_a_script_that_the_server_does_not_know_is_sent_whole():
    """Once: from then on its digest is enough."""
    client = Client(NoScriptError(), FOUND)
    assert await run(client, scripts.COMMIT, NAMES, (1, b"value")) == FOUND
    assert client.asked == ["EVALSHA", "EVAL"]


@pytest.mark.parametrize(
    "found",
    [
        None,
        b"OK",
        [],
        [b"committed"],
        [b"granted", *FOUND[1:]],
        [b"committed", b"x", *FOUND[2:]],
        [b"committed", b"1" * 17, *FOUND[2:]],
        [b"committed", b"1", b"0", b"x", b"value", b""],
        [b"committed", b"1", b"0", b"1", None, b""],
        [*FOUND, 5],
    ],
    ids=repr,
)
async def test_an_answer_that_no_script_gives_is_none(found):
    """Whatever stands in between: ``StoreUnavailable`` in words."""
    with pytest.raises(StoreUnavailable, match="stands in between"):
        await run(Client(found), scripts.COMMIT, NAMES, ())


async def test_a_record_that_the_script_cannot_read_is_its_answer():
    """Told from an answer that is none."""
    assert await run(Client([b"corrupt", b"1", b"0"]), scripts.COMMIT, NAMES, ()) == [b"corrupt", b"1", b"0"]


async def waited(*answers: Any, replicas: int = 1) -> tuple[Any, list[str]]:
    client = Client(*answers)
    return await run_and_wait(client, scripts.COMMIT, NAMES, (1, b"value"), replicas, 0.8), client.asked


@pytest.mark.parametrize(("reached", "warned"), [(1, False), (0, True), (None, True)])
async def test_a_commit_that_too_few_replicas_have_is_told(reached, warned, caplog):
    """It stands, and the operator is warned; an answer to WAIT that is none counts as no replica."""
    found, asked = await waited([NoScriptError(), 0], [FOUND, reached])
    assert found == FOUND
    assert asked == ["EVALSHA+WAIT", "EVAL+WAIT"]
    assert bool([record for record in caplog.records if record.levelno == logging.WARNING]) == warned


async def test_what_was_not_committed_has_nothing_to_wait_for(caplog):
    """Superseded: no warning that too few have it."""
    found, _ = await waited([[b"superseded", *FOUND[1:]], 0])
    assert found[0] == b"superseded"
    assert not caplog.records


@pytest.mark.parametrize("answers", [[ResponseError("OOM"), 0], [FOUND, ResponseError("NOPERM")]], ids=repr)
async def test_a_refusal_of_either_half_is_raised(answers):
    """Of the script, or of WAIT."""
    with pytest.raises(ResponseError):
        await waited(answers)


async def test_a_server_that_keeps_no_scripts_is_none_for_this_store():
    """Neither by digest nor whole."""
    with pytest.raises(StoreUnavailable, match="does not keep scripts"):
        await waited([NoScriptError(), 0], [NoScriptError(), 0])


@pytest.mark.parametrize("error", [MOVING, TryAgainError("moving")], ids=repr)
async def test_a_slot_that_moves_is_followed_and_waited_for_where_it_went(error, caplog):
    """Written by a client that follows, then once more for the WAIT; where it moves still, it is written and warned of."""
    found, asked = await waited([error, 0], FOUND, [FOUND, 1])
    assert (found, asked) == (FOUND, ["EVALSHA+WAIT", "EVALSHA", "EVALSHA+WAIT"])
    assert not caplog.records
    found, asked = await waited([error, 0], FOUND, [error, 0], FOUND)
    assert (found, asked[-1]) == (FOUND, "EVALSHA")
    assert "reached 0 of 1" in caplog.text


class Cluster(RedisCluster):
    """All of a cluster that a trip needs: which node has a key, and which nodes there are."""

    def __init__(self, *answers: Any) -> None:
        self.plain = Client(*answers)
        self.node = self.plain
        self.initialized = 0

    async def initialize(self) -> Any:
        self.initialized += 1
        return self

    def get_node_from_key(self, key: str) -> Any:
        assert key == NAMES[0]
        return "its node"

    def pipeline(self, *, transaction: bool) -> Any:
        return self.plain.pipeline(transaction=transaction)

    def get_primaries(self) -> Any:
        return [self.plain, self.plain]

    def get_encoder(self) -> Any:
        return Encoder()

    def __del__(self) -> None:
        """Nothing was opened."""


async def test_on_a_cluster_script_and_wait_go_to_the_node_that_has_the_key():
    """On one connection, and without following: WAIT counts what its own connection wrote."""
    client = Cluster([FOUND, 1])
    assert await run_and_wait(client, scripts.COMMIT, NAMES, (1, b"value"), 1, 0.8) == FOUND
    assert client.initialized == 1
    assert client.plain.where == {"target_nodes": ["its node"]}
    assert client.plain.how == {"raise_on_error": False, "allow_redirections": False}


# -- The store around them.


@virtual
async def test_every_primary_of_a_cluster_is_looked_through():
    """Each page of each; names that come twice in one page are told once."""
    name = b"linkauth:{%b}"
    pages = [[b"7", [name % b"a/1", name % b"a/1"]], [b"0", []], [0, [name % b"a/2"]]]
    store = RedisStore(Cluster(*pages))
    assert [key async for key in store.keys("a/")] == ["a/1", "a/2"]


@pytest.mark.parametrize("page", [None, [b"0"], [b"0", ["text"]], [None, []]], ids=repr)
@virtual
async def test_a_page_that_scan_does_not_give_is_none(page):
    """Whatever stands in between: ``StoreUnavailable`` in words."""
    store = RedisStore(Client(page))
    with pytest.raises(StoreUnavailable, match="SCAN"):
        _ = [key async for key in store.keys("a/")]


@virtual
async def test_a_commit_waits_for_replicas_where_it_is_told_to():
    """``min_replicas``: script and WAIT in one trip; every other script goes alone."""
    client = Client([FOUND, 1], [b"read", *FOUND[1:5], None, 0])
    store = RedisStore(client, min_replicas=1)
    assert isinstance(await store.commit(KEY, 1, b"value"), Committed)
    assert (await store.read(KEY)).record.value == b"value"
    assert client.asked == ["EVALSHA+WAIT", "EVALSHA"]
