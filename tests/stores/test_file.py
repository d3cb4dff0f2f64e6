"""The file store: the contract, and what holds for a store in files on top of it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import pytest
import uvloop
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linkauth.errors import ConfigurationError, StoreUnavailable
from linkauth.store import Busy, Committed, Granted, Record
from linkauth.testing import StoreContract
from linkauth.testing.worker import add_one
from linkauth_stores import file, folder
from linkauth_stores.file import FileStore, from_url
from linkauth_stores.slot import Slot
from linkauth_stores.threads import Threads

if TYPE_CHECKING:
    from pathlib import Path


class TestFileStore(StoreContract):
    """The contract, on a folder of its own, with a clock that is put forward."""

    moment = 5.0
    sees_dead_holders = True

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "store"
        self.ahead = 0.0

    def clock(self) -> float:
        return time.time() + self.ahead

    async def advance(self, seconds: float) -> None:
        self.ahead += seconds

    async def set_back(self, seconds: float) -> bool:
        self.ahead -= seconds
        return True

    async def make_store(self) -> FileStore:
        return FileStore(self.folder, clock=self.clock)

    async def open_again(self, store: object) -> FileStore:
        return FileStore(self.folder, clock=self.clock)

    def process_url(self) -> str:
        return f"file:{self.folder}"


def test_a_lease_of_an_earlier_linkauth_has_ten_minutes_left_at_the_most() -> None:
    """What it wrote says nothing of a lease's span; it is read, and lasts no longer than that."""
    written = Slot().claim("earlier", 15, 0, b"note", 10_000.0)[0].dump("k")
    slot = Slot.load(written.replace(b', "span": 15', b""), "k", "k")
    assert slot.lease is not None
    assert (slot.lease.until, slot.lease.span) == (10_015, 600)
    claim = slot.claim("later", 15, 0, b"", 1_000.0)[1]
    assert isinstance(claim, Busy)
    assert claim.remaining == 600


class Held:
    """Keeps the lock that guards ``key``, as a process does that was stopped at the worst moment."""

    def __init__(self, place: Path, key: str) -> None:
        self.place, self.key = place, key
        self.locked, self.leave, self.wanted = threading.Event(), threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._hold)
        self.tries = pytest.MonkeyPatch()

    def _hold(self) -> None:
        with folder.opened(self.place) as at, folder.locked(at, file._name(self.key)):
            self.locked.set()
            self.leave.wait(30)

    async def __aenter__(self) -> Self:
        self.thread.start()
        await asyncio.to_thread(self.locked.wait)
        lock = folder._lock

        def told(descriptor: int, until: float) -> None:
            if until:  # a sweep, which waits for no lock, is not meant
                self.wanted.set()
            lock(descriptor, until)

        self.tries.setattr(folder, "_lock", told)
        return self

    async def until_wanted(self) -> None:
        """Until somebody waits for the lock."""
        assert await asyncio.to_thread(self.wanted.wait, 30)

    async def __aexit__(self, *_: object) -> None:
        self.tries.undo()
        self.leave.set()
        await asyncio.to_thread(self.thread.join)


async def test_the_loop_goes_on_while_a_call_waits_for_the_lock(place: Path) -> None:
    """Another process keeps the lock for a while: the loop turns, and the call succeeds afterwards."""
    store = FileStore(place)
    async with Held(place, "k") as held:
        claiming = asyncio.create_task(store.claim("k", "me", 30, 0, b""))
        await held.until_wanted()
        assert not claiming.done()
        assert (await store.read("k")).record is None, "reading needs no lock"
    assert isinstance(await claiming, Granted)
    await store.aclose()


async def test_a_lock_that_is_never_given_back_makes_the_store_unavailable(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process may hold a lock; who waits is told in words, in bounded time."""
    monkeypatch.setattr(folder, "PATIENCE", 0.05)
    store = FileStore(place)
    async with Held(place, "k"):
        with pytest.raises(StoreUnavailable, match="another process keeps its lock"):
            await store.commit("k", 1, b"value")
    assert isinstance(await store.commit("k", 1, b"value"), Committed)
    await store.aclose()


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 30, 100, 300])
async def test_a_cancelled_claim_leaves_no_lease(place: Path, steps: int) -> None:
    """Cancelled at any moment it gives the lease back, its doubts too: the next claim finds what it would have found."""
    store = FileStore(place)
    lost = await store.claim("k", "lost", 0.02, 0, b"in doubt")
    assert isinstance(lost, Granted)
    await asyncio.sleep(0.03)
    for cancelled in range(5):
        claiming = asyncio.create_task(store.claim("k", f"cancelled {cancelled}", 30, 0, b"mine"))
        for _ in range(steps):
            await asyncio.sleep(0)
        claiming.cancel()
        await asyncio.wait([claiming])
        if not claiming.cancelled():
            number = (await claiming).number
            await store.release("k", number, b"in doubt")
            return
        await store.aclose()
        claim = await store.claim("k", "next", 0.001, 0, b"in doubt")
        assert isinstance(claim, Granted)
        assert (claim.note, claim.inherited) == (b"in doubt", True)
        await asyncio.sleep(0.002)
    await store.aclose()


async def test_a_claim_cancelled_under_way_is_taken_back(place: Path) -> None:
    """The claim is certain to be under way when it is cancelled, and granted after that: it still leaves no lease."""
    store = FileStore(place)
    async with Held(place, "k") as held:
        claiming = asyncio.create_task(store.claim("k", "cancelled", 30, 0, b"mine"))
        await held.until_wanted()
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
    await store.aclose()
    claim = await store.claim("k", "next", 30, 0, b"")
    assert isinstance(claim, Granted)
    assert (claim.number, claim.note, claim.inherited) == (2, b"", False)
    await store.aclose()


async def test_closing_lets_what_was_begun_land(place: Path) -> None:
    """A cancelled commit that was under way is there after ``aclose``, and the store can be used again."""
    store = FileStore(place)
    async with Held(place, "k") as held:
        committing = asyncio.create_task(store.commit("k", 1, b"value"))
        await held.until_wanted()
        committing.cancel()
        await asyncio.wait([committing])
        held.leave.set()
        await store.aclose()
    assert (await store.read("k")).record == Record(1, b"value")
    await store.aclose()


def test_it_works_on_uvloop_and_on_several_loops_at_once(place: Path) -> None:
    """One object, four loops in four threads, two of them uvloop's: nothing is lost under the lease."""
    store = FileStore(place)

    async def add() -> None:
        for _ in range(4):
            await add_one(store, "k")

    def run(factory: object) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(add())

    factories = (uvloop.new_event_loop, asyncio.new_event_loop) * 2
    threads = [threading.Thread(target=run, args=(factory,)) for factory in factories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert asyncio.run(store.read("k")).record == Record(16, b"16")


async def test_a_call_while_another_loop_closes_the_store_goes_through(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the threads in hand when they are ended: it begins new ones."""
    store = FileStore(place)
    await store.read("k")
    submit = ThreadPoolExecutor.submit

    def late(pool: ThreadPoolExecutor, *step: Any) -> Any:
        monkeypatch.undo()
        assert store._threads._pools.popitem()[1] is pool
        pool.shutdown(wait=False)
        return submit(pool, *step)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", late)
    assert (await store.read("k")).record is None
    await store.aclose()


async def test_two_who_close_at_once_end_each_thread_once() -> None:
    """Neither fails of what the other has ended, and what was begun is done when both are back."""
    threads, done = Threads(), []
    for lock in ("one", "other"):
        threads.begin(lock, lambda name: (time.sleep(0.05), done.append(name)), lock)
    pools = list(threads._pools.values())
    await asyncio.gather(threads.aclose(), threads.aclose())
    assert sorted(done) == ["one", "other"]
    assert not threads._pools
    for pool in pools:
        with pytest.raises(RuntimeError):
            pool.submit(int)


def test_a_call_while_the_interpreter_ends_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread can be begun any more: it is told, and not tried for ever."""
    threads = Threads()
    with monkeypatch.context() as ending:
        ending.setattr("concurrent.futures.thread._shutdown", True)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="interpreter shutdown"):
                threads.begin("", int)
    assert threads.begin("", int).result(5) == 0
    asyncio.run(threads.aclose())


async def test_a_stepped_clock_is_the_stores_own(place: Path) -> None:
    """The clock that the store is given decides when a lease ends."""
    now = 1000.0
    store = FileStore(place, clock=lambda: now)
    await store.claim("k", "me", 30, 0, b"")
    claim = await store.claim("k", "you", 30, 0, b"")
    assert isinstance(claim, Busy)
    assert claim.remaining == 30
    now = 1031.0
    assert isinstance(await store.claim("k", "you", 30, 0, b""), Granted)
    await store.aclose()


async def test_making_a_store_touches_nothing(place: Path) -> None:
    """Neither the constructor nor ``from_url`` makes the folder; a read does not need more than to make it."""
    store = from_url(f"file:{place}")
    assert not place.exists()
    assert (await store.read("k")).record is None
    await store.aclose()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:~/.linkauth", "~/.linkauth"),
        ("file:/var/lib/tokens", "/var/lib/tokens"),
        ("file:///var/lib/my%20tokens", "/var/lib/my tokens"),
        ("file://localhost/var/lib/tokens", "/var/lib/tokens"),
        ("file:tokens", "tokens"),
        ("file:/a?b#c%20", "/a?b#c%20"),
    ],
)
def test_a_url_names_a_folder(url: str, path: str) -> None:
    """``file:`` takes a path as it is, ``file://`` an escaped absolute one."""
    assert str(from_url(url)._path) == path


@pytest.mark.parametrize(
    "url", ["file:", "file:/", "file://", "file:///", "file://~/tokens", "file://host/tokens", "file:///a%00b"]
)
def test_a_url_without_a_folder_is_refused(url: str) -> None:
    """No path, and hosts, are the caller's mistake."""
    with pytest.raises(ConfigurationError):
        from_url(url)


class BytesPath:
    """A path as ``os.PathLike`` allows it, too."""

    def __fspath__(self) -> bytes:
        return b"/var/lib/app"


@pytest.mark.parametrize("path", ["", "a\0b", BytesPath()])
def test_a_path_that_names_no_folder_is_refused(path: object) -> None:
    """When the store is made, not at its first call; the working directory is nobody's store by mistake."""
    with pytest.raises(ConfigurationError, match="folder"):
        FileStore(path)


KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200)


@settings(max_examples=60, deadline=None)
@given(KEYS, KEYS)
@example("X" * 200, "X" * 199 + "x")
def test_no_two_keys_share_a_file(one: str, other: str) -> None:
    """Also where the file system does not tell upper from lower case; and every name is a plain, visible one."""
    for key in (one, other, one.swapcase(), one + "/", "." + one):
        name = file._name(key)
        assert "/" not in name
        assert not name.startswith(".")
        assert len(name) <= 255
        assert (name.lower() == file._name(one).lower()) == (key == one)


async def test_names_are_readable(place: Path) -> None:
    """An operator sees in the folder whose record is which."""
    store = FileStore(place)
    await store.commit("token/linkxg/0a1b", 1, b"value")
    await store.aclose()
    assert [path.name for path in place.glob("[!.]*")] == ["token+linkxg+0a1b.record"]


async def test_a_home_that_does_not_exist_is_told(tmp_path: Path) -> None:
    """``~nobody`` cannot be expanded: the operator is told which."""
    store = FileStore("~no-such-user/tokens")
    with pytest.raises(StoreUnavailable, match="no-such-user"):
        await store.read("k")
    await store.aclose()


async def test_a_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first call a change of the working directory moves nothing."""
    monkeypatch.chdir(tmp_path)
    store = FileStore("tokens")
    await store.commit("k", 1, b"value")
    monkeypatch.chdir(os.path.sep)
    assert (await store.read("k")).record == Record(1, b"value")
    await store.aclose()


async def test_a_step_takes_memory_for_what_is_there(tmp_path):
    """A record of a few hundred bytes is read and replaced with a few thousand in hand, not with room for the largest one."""
    store = FileStore(tmp_path / "store")
    claim = await store.claim("token/x/1", "me", 10.0, 0, b"")
    assert isinstance(claim, Granted)
    tracemalloc.start()
    try:
        assert isinstance(await store.commit("token/x/1", claim.number, b"x" * 500), Committed)
        assert (await store.read("token/x/1")).record == Record(claim.number, b"x" * 500)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    await store.aclose()
