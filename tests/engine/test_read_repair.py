"""Putting back: the newest first, many at once, and a notice from who needs longer; the others wait for that, and no longer."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.errors import ReauthorizationRequired
from linkauth.protocol import timing
from linkauth.protocol.keys import repair_key
from linkauth.protocol.records import RepairRecord
from tests.engine.announcing import Telling
from tests.engine.fakes import USER, Vendor, Worker, logged_in, refusal
from tests.engine.virtual import monotonic, virtual, wall

if TYPE_CHECKING:
    from linkauth.engine.credential import Credential


MANY = 300


class Slow(Telling):
    """A store that needs ``takes`` seconds for each call of the one who puts back."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = 0.0
        self.most = self.now = 0
        self.committed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)
        if name not in {"read", "commit"}:
            return method

        async def call(key: str, *args: Any, **kwargs: Any) -> Any:
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                if self.takes:
                    await asyncio.sleep(self.takes)
                if name == "commit":
                    self.committed.append(key)
                return await method(key, *args, **kwargs)
            finally:
                self.now -= 1

        return call


class Young(Telling):
    """A store whose server was started ``up`` seconds ago."""

    up = 1.0

    async def uptime(self) -> float:
        return self.up


async def holder_of(store: Telling, vendor: Vendor, count: int) -> list[Credential]:
    """Sessions of one worker, one a second."""
    worker, sessions = Worker(store, vendor), []
    for number in range(count):
        sessions.append(await logged_in(worker, f"user-{number}"))
        await asyncio.sleep(1)
    return sessions


def notice(store: Telling) -> float:
    """Until when somebody says to put back."""
    record = store.inner._slots.get(repair_key())
    return -math.inf if record is None or record.value is None else record.version / 1000


@pytest.mark.slow
@virtual
async def test_what_was_written_last_is_put_back_first():
    """And it is what is asked for next: a renewal, though of an account that was met first, comes before older logins."""
    store, vendor = Slow(), Vendor()
    sessions = await holder_of(store, vendor, MANY)
    await sessions[0].refresh()
    store.empty()
    store.committed.clear()
    store.takes = 0.05
    store.tell(None)
    await asyncio.sleep(5)
    newest_first = [sessions[0], *reversed(sessions[1:])]
    put_back = [key for key in store.committed if key != repair_key()]
    first = {session.replica.key for session in newest_first[: timing.REPAIR_AT_ONCE]}
    assert set(put_back[: timing.REPAIR_AT_ONCE]) == first
    assert len(put_back) == MANY


@pytest.mark.slow
@virtual
async def test_a_hundred_are_put_back_at_once():
    """Three hundred sessions at 0.05 s a call take three times two calls, no longer; and no more are under way at a time."""
    store, vendor = Slow(), Vendor()
    sessions = await holder_of(store, vendor, MANY)
    store.empty()
    store.takes, store.most = 0.05, 0
    store.tell(None)
    await asyncio.sleep(timing.LOSS_SPREAD + 0.3 + 0.01)
    assert [session for session in sessions if not await store.version(session.replica.key)] == []
    assert store.most == timing.REPAIR_AT_ONCE
    assert notice(store) == -math.inf  # done within a second: nobody needs to be told


@pytest.mark.slow
@virtual
async def test_others_wait_for_who_needs_longer():
    """A session that is put back after seven seconds is not sent for, nor is the token spent that an old record brought back."""
    store, vendor = Slow(), Vendor()
    sessions = await holder_of(store, vendor, MANY)
    oldest = sessions[0]
    other = Worker(store, vendor)
    behind = other.credential(USER, "user-0")
    await behind.token()
    await other.credential(USER, "nobody").replica.read()
    snapshot = dict(store.inner._slots)
    renewed = await oldest.refresh()
    for session in sessions[1:]:
        await asyncio.sleep(0.01)
        await session.refresh()
    store.inner._slots = {key: slot for key, slot in snapshot.items() if key == oldest.replica.key}
    store.takes = 1.2  # 300 sessions, a hundred at a time, two calls each: some seven seconds
    lost = monotonic()
    store.tell(None)
    await asyncio.sleep(0)
    spending = asyncio.create_task(behind.refresh())
    missing = asyncio.create_task(other.credential(USER, "user-1").token())
    assert (await missing).access_token == (await sessions[1].token()).access_token
    assert (await spending).access_token == renewed.access_token
    assert monotonic() > lost + 2 * timing.GRACE
    assert vendor.counts["reuse"] == 0
    assert vendor.counts["/auth/refresh"] == MANY


@virtual
async def test_a_notice_lapses_and_only_grows():
    """Its writer is dead: six seconds after the last notice of his the others go on; an earlier notice makes it no smaller."""
    store, vendor = Telling(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    other = Worker(store, vendor)
    other.context.read_repair.beware()
    await other.context.read_repair._say_so(monotonic() + 1.5)
    said = notice(store)
    assert said == pytest.approx(wall() + timing.REPAIR_NOTICE, abs=0.01)
    await store.commit(repair_key(), int(said * 1000) - 500, b"sooner", 60)
    assert notice(store) == said
    store.tell(None)
    await asyncio.sleep(0)
    begun = monotonic()
    await credential.refresh()
    assert said - 0.01 <= wall() <= said + 0.5
    assert monotonic() - begun > timing.GRACE
    assert not credential._context.read_repair.suspects


@virtual
async def test_nobody_is_waited_for_longer_than_half_a_minute():
    """Whatever the record says: a clock that was set back, or somebody else, may have written it."""
    store, vendor = Telling(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    await store.commit(repair_key(), int((wall() + 3600) * 1000), b"anything", 60)
    store.tell(None)
    await asyncio.sleep(0)
    begun = monotonic()
    asking = asyncio.create_task(credential.refresh())
    for _ in range(400):
        if vendor.counts["/auth/refresh"]:
            break
        await asyncio.sleep(0.1)
    await asyncio.gather(asking, return_exceptions=True)
    assert timing.REPAIR_LONGEST - 0.5 <= monotonic() - begun <= timing.REPAIR_LONGEST + 0.5


@virtual
async def test_nobody_puts_back_into_a_store_that_is_away_for_longer():
    """Tried again while the store may come back at any moment; afterwards each session brings its record with its next use."""
    store, vendor = Slow(), Vendor()
    (session,) = await holder_of(store, vendor, 1)
    store.empty()
    store.down = {"read", "claim", "commit"}
    store.tell(None)
    await asyncio.sleep(timing.REPAIR_LONGEST + 3)
    store.down = set()
    await asyncio.sleep(timing.REPAIR_LONGEST)
    assert not await store.version(session.replica.key)
    await session.refresh()
    assert await store.version(session.replica.key)


@virtual
async def test_out_of_suspicion_nobody_reads_the_notice():
    """A renewal with no loss in the air costs its claim and its commit, as ever."""
    store, vendor = Telling(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    before = store.counts.copy()
    await credential.refresh()
    assert store.counts - before == {"claim": 1, "commit": 1}


@pytest.mark.parametrize(("up", "waits"), [(1.0, True), (3.0, False), (math.inf, False)])
@virtual
async def test_a_fresh_worker_suspects_a_server_that_was_started_a_moment_ago(up, waits):
    """It hears of no loss, for it was not there: what it reads may be what a snapshot brought back."""
    store, vendor = Young(), Vendor()
    store.up = up
    newest = await logged_in(Worker(store, vendor))
    await asyncio.sleep(10)
    snapshot = dict(store.inner._slots)
    await newest.refresh()
    await asyncio.sleep(10)
    store.inner._slots = snapshot
    fresh = Worker(store, vendor).credential(USER)
    begun = monotonic()
    await fresh.token()
    renewing = asyncio.create_task(fresh.refresh())
    await asyncio.sleep(1)
    await newest.replica.put_back()
    found = (await asyncio.gather(renewing, return_exceptions=True))[0]
    assert (vendor.counts["reuse"] == 0) is waits
    if waits:
        assert found == await newest.token()
    assert monotonic() - begun < 4


@virtual
async def test_one_record_that_is_lost_is_reason_to_look_after_all():
    """FLUSHALL, of which nobody tells: who finds one session gone puts back the others as well."""
    store, vendor = Telling(), Vendor()
    worker = Worker(store, vendor)
    first, second = await logged_in(worker, "first"), await logged_in(worker, "second")
    store.empty()
    await first.refresh()
    assert await store.version(second.replica.key) > 0


@virtual
async def test_a_mark_that_an_old_record_brought_back_sends_for_nobody():
    """A snapshot says that the user has logged out; he has logged in since, and the worker that knows is about to say so."""
    store, vendor = Telling(), Vendor()
    holder, other = Worker(store, vendor), Worker(store, vendor)
    credential = await logged_in(holder)
    await credential.logout()
    snapshot = dict(store.inner._slots)
    await logged_in(holder)
    other.credential(USER)
    store.inner._slots = snapshot
    other.context.read_repair.beware()
    asking = asyncio.create_task(other.credential(USER).token())
    await asyncio.sleep(1)
    await credential.replica.put_back()
    assert await asking == await credential.token()


@virtual
async def test_a_mark_that_the_store_lost_is_put_back():
    """Else an older record of a worker that slept would undo the logout."""
    store, vendor = Telling(), Vendor()
    awake = await logged_in(Worker(store, vendor))
    snapshot = dict(store.inner._slots)
    await awake.logout()
    store.inner._slots = snapshot
    store.tell(None)
    await asyncio.sleep(1)
    with pytest.raises(ReauthorizationRequired):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_a_refusal_after_a_loss_is_not_believed_at_once():
    """The loss is heard of while the vendor is asked: whoever spent the token may be about to put its successor back."""
    store, vendor = Telling(), Vendor()
    behind, newest = (Worker(store, vendor).credential(USER) for _ in range(2))
    await behind.login(email="ada@example.com", password="correct horse")
    await newest.token()
    snapshot = dict(store.inner._slots)
    await newest.refresh()
    store.inner._slots = snapshot
    gate = vendor.holds()
    vendor.faults[-1].outcome, vendor.faults[-1].acts = refusal(401, "TOKEN_INVALID"), False
    renewing = asyncio.create_task(behind.refresh())
    await asyncio.sleep(1)
    behind._context.read_repair.beware()
    gate.set()
    await asyncio.sleep(1)
    await newest.replica.put_back()
    assert await renewing == await newest.token()


def test_the_notice_is_understood_by_whoever_has_other_keys():
    """Its version is the number: nothing need be opened."""
    assert RepairRecord(until=1.5).until == 1.5
    assert repair_key().startswith("repair/")


@virtual
async def test_a_worker_that_only_ever_read_puts_back_too():
    """It never asked for a lease: what it adopted is there again when the store has lost it."""
    store, vendor = Telling(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    await credential.refresh()
    reader = Worker(store, vendor)
    await reader.credential(USER).token()
    version = await store.version(credential.replica.key)
    await credential._context.read_repair.aclose()
    store.empty()
    store.tell(None)
    await asyncio.sleep(1)
    assert await store.version(credential.replica.key) == version
    assert store.counts["claim"] == 2


@virtual
async def test_what_the_store_has_is_not_put_back():
    """Nothing is written, and nobody is made to wait; after a loss both. What is newer is adopted."""
    store, vendor = Telling(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    commits = store.counts["commit"]
    await credential.replica.put_back()
    assert store.counts["commit"] == commits
    assert not credential._context.read_repair.suspects
    store.empty()
    await credential.replica.put_back()
    assert store.counts["commit"] == commits + 1
    assert await credential._context.read_repair.suspicion() == 3
    other = Worker(store, vendor).credential(USER)
    await other.token()
    newer = await other.refresh()
    await credential.replica.put_back()
    assert credential.peek() == newer


@virtual
async def test_those_who_hear_of_a_loss_at_one_moment_do_not_all_write_at_one_moment():
    """Within half a second, each at a time of its own: the first puts it back, the others find it there."""
    store, vendor, wrote = Telling(), Vendor(), []
    first = await logged_in(Worker(store, vendor))
    for _ in range(5):
        await Worker(store, vendor).credential(USER).token()
    store.empty()
    store.before = lambda name: wrote.append((name, monotonic()))
    heard = monotonic()
    store.tell(None)
    await asyncio.sleep(1)
    looks = [at - heard for name, at in wrote if name == "read"]
    assert len(looks) == len(set(looks)) == 6
    assert 0 < min(looks) <= max(looks) < 0.5
    assert [name for name, _ in wrote].count("commit") == 1
    assert first.replica.is_newer_than(0)
