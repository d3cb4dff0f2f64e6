"""One subscription for everybody who waits: what is heard, what is missed, and how it is told apart."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, cast

import pytest
import redis.exceptions

from linkauth.errors import StoreUnavailable
from linkauth.store import Change
from linkauth_stores.redis import RedisStore
from linkauth_stores.redis import ears as module
from linkauth_stores.redis.ears import Ears, cancellations
from linkauth_stores.redis.session import Session
from tests.engine.virtual import monotonic, virtual
from tests.servers import free_port

KEY = "token/linkxg/0123456789abcdef"


class Server:
    """A server's publishing side: ``say`` to whoever has subscribed."""

    def __init__(self) -> None:
        self.pubsubs: list[Pubsub] = []
        self.down = False
        self.tries = 0

    async def subscribe(self) -> Pubsub:
        self.tries += 1
        if self.down:
            raise ConnectionError("redis://user:canary@host")
        self.pubsubs.append(Pubsub())
        return self.pubsubs[-1]

    def say(self, key: str = KEY, version: object = 1, kind: str = "message") -> None:
        self.pubsubs[-1].queue.put_nowait({"type": kind, "data": f"{version} {key}".encode()})

    def cut(self) -> None:
        self.pubsubs[-1].queue.put_nowait(ConnectionError("cut"))

    def ears(self, patience: float = 2.0) -> Ears:
        return Ears(self.subscribe, "linkauth:changes", patience)


class Pubsub:
    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.closed = False
        self.sent = 0
        self.dead = False

    async def subscribe(self, channel: str) -> None:
        self.queue.put_nowait({"type": "subscribe", "data": 1})

    async def get_message(self, timeout: float) -> Any:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                found = await self.queue.get()
                if isinstance(found, Exception):
                    raise found
                return found
        return None

    async def aclose(self) -> None:
        self.closed = True

    @property
    def connection(self) -> Pubsub:
        return self

    @property
    def is_connected(self) -> bool:
        return not self.dead

    async def send_command(self, *command: str) -> None:
        self.sent += 1
        if self.dead:
            raise ConnectionError("cut")
        await self.subscribe(command[1])

    async def disconnect(self, *, nowait: bool) -> None:
        self.queue.put_nowait(ConnectionError("disconnected"))


@virtual
async def test_who_waits_is_woken_by_its_key_alone():
    """Another key's change, a message of another kind, an hour of silence: nothing. Its own: at once."""
    server = Server()
    ears = server.ears()
    since = await ears.open()
    waiting = asyncio.create_task(ears.wait(KEY, since, 100_000))
    server.say("token/x/other")
    server.say(KEY, kind="unsubscribe")
    await asyncio.sleep(3600)
    assert not waiting.done()
    server.say()
    assert await waiting
    assert monotonic() - 1000 == 3600
    await ears.aclose()
    assert server.pubsubs[0].closed


@virtual
async def test_two_changes_in_one_breath_wake_once():
    """The second comes before who was woken by the first could go."""
    server = Server()
    ears = server.ears()
    since = await ears.open()
    waiting = [asyncio.create_task(ears.wait(KEY, since, 60)) for _ in range(2)]
    await asyncio.sleep(0)
    ears._hear({"type": "message", "data": f"1 {KEY}".encode()})
    ears._hear({"type": "message", "data": f"2 {KEY}".encode()})
    assert await asyncio.gather(*waiting) == [True, True]
    assert await ears.wait(KEY, since, 60)  # and whoever counts from before does not wait at all
    assert not await ears.wait(KEY, ears.now(), 1)
    await ears.aclose()


@virtual
async def test_a_lost_subscription_makes_everybody_look_again(caplog):
    """What was said meanwhile is lost: who waits is woken by the new one. Told once, however long it takes."""
    server = Server()
    ears = server.ears()
    since = await ears.open()
    waiting = asyncio.create_task(ears.wait(KEY, since, 60))
    server.down = True
    server.cut()
    await asyncio.sleep(10)
    assert not waiting.done()
    server.down = False
    assert await waiting
    assert server.tries < 25
    assert [record.levelname for record in caplog.records if "no subscription" in record.message] == ["WARNING"]
    assert "canary" not in caplog.text
    assert await ears.wait("token/x/other", since, 60)
    await ears.aclose()


@virtual
async def test_who_asks_while_nobody_listens_is_told_so_in_time():
    """Half of the patience, and no serial to count from: the waiter polls."""
    server = Server()
    server.down = True
    ears = server.ears()
    assert await ears.open() is None
    assert monotonic() - 1000 <= 1
    ears.busy(KEY, None, 9)
    assert ears.since(KEY) is None
    await ears.aclose()


@virtual
async def test_who_asks_after_a_loss_hurries_the_next_try():
    """Somebody is about to act: he does not wait out the gap between two tries."""
    server = Server()
    ears = server.ears()
    await ears.open()
    server.down = True
    server.cut()
    await asyncio.sleep(10.01)
    server.down = False
    begun = monotonic()
    assert await ears.open() is not None
    assert monotonic() == begun
    await ears.aclose()


@virtual
async def test_a_subscription_that_answers_is_left_alone():
    """Another connection broke, this one did not: one question, and nobody has to look again."""
    server = Server()
    ears = server.ears()
    since = await ears.open()
    waiting = asyncio.create_task(ears.wait(KEY, since, 60))
    await ears.check()
    assert not waiting.done()
    assert (len(server.pubsubs), server.pubsubs[0].sent) == (1, 1)
    server.say()
    assert await waiting
    await ears.aclose()


@virtual
async def test_a_subscription_that_broke_unnoticed_is_asked_once_for_all():
    """Ten claims found their connections broken: the first asks, and the others have the new subscription of that."""
    server = Server()
    ears = server.ears()
    since = await ears.open()
    waiting = asyncio.create_task(ears.wait(KEY, since, 60))
    server.pubsubs[0].dead = True
    await asyncio.gather(*(ears.check() for _ in range(10)))
    assert await waiting
    assert (len(server.pubsubs), server.pubsubs[0].sent, server.pubsubs[1].sent) == (2, 1, 0)
    await ears.aclose()


@virtual
async def test_a_subscription_is_told_from_the_next():
    """And from one whose connection is lost, which its reader has yet to notice."""
    server = Server()
    ears = server.ears()
    assert ears.place() is None
    await ears.open()
    first = ears.place()
    assert first
    server.pubsubs[0].dead = True
    assert ears.place() == 0
    server.cut()
    await asyncio.sleep(0.01)
    assert ears.place() == 0
    await ears.open()
    assert ears.place() not in {0, first}
    await ears.aclose()


@pytest.mark.parametrize("found", ["refused", "open"])
@virtual
async def test_who_claims_while_the_subscription_is_lost_waits_for_the_next(found):
    """A server takes the other's place between two tries: it answers the claim before it was heard of."""
    server = Server()
    ears = server.ears()
    heard: list[Change | None] = []

    async def listen() -> None:
        async for change in ears.changes():
            heard[:] = [*heard, change]

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.1)
    heard.clear()
    server.down = True
    server.cut()
    tries = 0

    async def work(_: Any) -> str:
        nonlocal tries
        tries += 1
        if tries == 1 and found == "refused":
            raise redis.exceptions.ConnectionError
        server.down = False
        await asyncio.sleep(0.001)
        return f"granted after {tries}"

    session = Session(cast("Any", None), ears, 2.0, asyncio.Semaphore(1))
    told = await session.ask(work, careful=True)
    assert heard == [None]
    assert told == ("granted after 3" if found == "refused" else "granted after 2")
    assert await session.ask(work, careful=True) == f"granted after {tries}"
    listening.cancel()
    await ears.aclose()


@virtual
async def test_who_may_not_subscribe_claims_once():
    """No subscription was ever to be had: nothing is waited for."""
    server = Server()
    server.down = True
    ears = server.ears()
    assert await ears.open() is None
    tries = 0

    async def work(_: Any) -> int:
        nonlocal tries
        tries += 1
        return tries

    session = Session(cast("Any", None), ears, 2.0, asyncio.Semaphore(1))
    assert await session.ask(work, careful=True) == 1
    await ears.aclose()


@virtual
async def test_every_listener_hears_every_change():
    """None at first and after each new subscription: what was said before is not known. A version that is none counts as 0."""
    server = Server()
    ears = server.ears()
    changes = ears.changes()
    assert await anext(changes) is None
    for version in (7, "x", "9" * 17):
        server.say(version=version)
    assert [await anext(changes) for _ in range(3)] == [Change(KEY, 7), Change(KEY, 0), Change(KEY, 0)]
    server.cut()
    assert await anext(changes) is None
    await changes.aclose()
    assert not ears._listeners
    await ears.aclose()


@virtual
async def test_who_closes_while_a_change_is_handled_ends_the_listening():
    """From within the loop over the changes, as from outside."""
    server = Server()
    ears, heard = server.ears(), 0

    async def listen() -> None:
        async for _ in ears.changes():
            pass

    outside = asyncio.create_task(listen())
    async for _ in ears.changes():
        heard += 1
        if heard == 1:
            await ears.aclose()
    assert heard == 2  # the first, and the word that something may be missed from now on
    await asyncio.wait_for(outside, 1)


@virtual
async def test_who_does_not_keep_up_is_told_that_something_was_missed(monkeypatch):
    """Its changes are let go of, so that nothing piles up; whoever keeps up hears each of them."""
    monkeypatch.setattr(module, "_REMEMBERED", 8)
    server = Server()
    ears = server.ears()
    slow, fast = ears.changes(), ears.changes()
    assert await anext(slow) is None
    assert await anext(fast) is None
    heard = []
    for version in range(1, 12):
        server.say(version=version)
        heard.append((await anext(fast)).version)
    assert heard == list(range(1, 12))
    assert [await anext(slow) for _ in range(3)] == [None, Change(KEY, 10), Change(KEY, 11)]
    await asyncio.gather(slow.aclose(), fast.aclose(), ears.aclose())


@virtual
async def test_what_is_remembered_has_an_end(monkeypatch):
    """However many keys change and are claimed, the latest are kept."""
    monkeypatch.setattr(module, "_REMEMBERED", 8)
    server = Server()
    ears = server.ears()
    await ears.open()
    for number in range(100):
        server.say(f"token/x/{number}")
        ears.busy(f"token/y/{number}", 1, 9)
    await asyncio.sleep(0.1)
    assert list(ears._recent) == [f"token/x/{number}" for number in range(92, 100)]
    assert ears.since("token/y/99") == (1, 9)
    assert ears.since("token/y/1") is None
    await ears.aclose()


@virtual
async def test_a_cancellation_that_came_to_nothing_is_honoured():
    """Something beneath swallowed it, as Python 3.11's ``wait_for`` may: the task ends all the same."""

    async def swallow() -> str:
        honour = cancellations()
        honour()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        honour()
        return "went on"

    task = asyncio.create_task(swallow())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Client:
    """A client of somebody's own, as far as listening goes."""

    decode_responses = False

    def __init__(self) -> None:
        self.pubsubs: list[Pubsub] = []

    def get_encoder(self) -> Any:
        return self

    def pubsub(self) -> Pubsub:
        self.pubsubs.append(Pubsub())
        return self.pubsubs[-1]


@virtual
async def test_a_stores_changes_end_with_the_store():
    """Told as they are published, by one subscription, which closing ends; a store that never listened closes too."""
    client = Client()
    store, heard = RedisStore(client), []

    async def listen() -> None:
        async for change in store.changes():  # as long as the store is open
            heard.append(change)  # noqa: PERF401  # looked at meanwhile

    listening = [asyncio.create_task(listen()) for _ in range(2)]
    await asyncio.sleep(1)
    (pubsub,) = client.pubsubs
    pubsub.queue.put_nowait({"type": "message", "data": f"7 {KEY}".encode()})
    await asyncio.sleep(1)
    await store.aclose()
    await asyncio.wait_for(asyncio.gather(*listening), 1)
    assert heard[:4] == [None, None, Change(KEY, 7), Change(KEY, 7)]
    assert pubsub.closed
    assert store._session()
    await store.aclose()
    assert len(client.pubsubs) == 1


def test_loops_that_are_gone_are_forgotten():
    """A store that is used by one short-lived loop after another keeps nothing of them."""
    store = RedisStore(f"redis://127.0.0.1:{free_port()}", timeout=5)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            asyncio.run(store.read(KEY))
    assert not store._sessions


def test_a_loop_that_was_closed_without_a_word_is_forgotten():
    """Whoever closes a loop and ends nothing in it first leaves its session to the next loop, which lets go of it."""

    async def bound() -> None:
        store.bind()

    store = RedisStore(f"redis://127.0.0.1:{free_port()}")
    loops = [asyncio.new_event_loop() for _ in range(2)]
    for loop in loops:
        loop.run_until_complete(bound())
        assert list(store._sessions) == [loop]
        loop.close()
    asyncio.run(store.aclose())


@virtual
async def test_whoever_may_publish_makes_nobody_look_all_the_time():
    """A thousand forged announcements in two seconds: who waits again and again is woken ten times a second at the most."""
    server = Server()
    ears = server.ears()
    await ears.open()
    woken = []

    async def wait() -> None:
        while True:
            assert await ears.wait(KEY, ears.now(), 60)
            woken.append(monotonic())

    waiting = asyncio.create_task(wait())
    for _ in range(1000):
        server.say()
        await asyncio.sleep(0.002)
    waiting.cancel()
    assert 15 <= len(woken) <= 21
    assert woken[0] - 1000 < 0.01, "the first at once"
    await ears.aclose()


@virtual
async def test_one_announcement_wakes_all_who_wait_at_once():
    """Fifty on one key: none of them waits for another, nor who comes a moment later and counts from before."""
    server = Server()
    ears = server.ears()
    since = await ears.open()
    waiting = [asyncio.create_task(ears.wait(KEY, since, 60)) for _ in range(50)]
    await asyncio.sleep(1)
    server.say()
    assert await asyncio.gather(*waiting, ears.wait(KEY, since, 60)) == [True] * 51
    assert monotonic() - 1000 == 1
    await ears.aclose()
