"""Client secrets that are rotated when they reach an age: once in the fleet, by the store's clock."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.engine.client_runtime import adopt
from linkauth.engine.secret_age import rotate_if_older
from linkauth.errors import ConfigurationError, MalformedResponse, StoreUnavailable, UnsupportedGrant
from linkauth.oauth.token import Secret
from linkauth.protocol.keys import first_seen_key, secret_key, token_key
from linkauth.protocol.records import FirstSeenRecord, SecretRecord
from linkauth.store import Committed, Granted
from linkauth_stores.memory import MemoryStore
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, answer, logged_in
from tests.engine.test_keys import NEW, OLD
from tests.engine.virtual import monotonic, virtual, wall

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 86400.0
MONTH = 30 * DAY
QUARTER = 3 * MONTH


def rotations(vendor: Vendor) -> int:
    return sum(path.endswith("/rotate") for _, path, _ in vendor.sent)


@virtual
async def test_a_secret_is_rotated_when_it_is_old_and_once_in_the_fleet():
    """Three workers keep it for four months: four rotations, a month apart, and everybody goes on with the newest."""
    store, vendor = Store(), Vendor()
    workers = [Worker(store, vendor, keys=OLD) for _ in range(3)]
    await workers[0].credential(CLIENT, "shop").token()
    keepers = [
        asyncio.create_task(worker.keep_alive(CLIENT, every=DAY, rotate_secrets_after=MONTH)) for worker in workers
    ]
    await asyncio.sleep(29 * DAY)
    assert rotations(vendor) == 0
    await asyncio.sleep(97 * DAY)
    assert rotations(vendor) == 4
    times = [at for at, path, _ in vendor.sent if path.endswith("/rotate")]
    assert all(MONTH <= after - before <= MONTH + 2 * DAY for before, after in itertools.pairwise(times))
    for worker in workers:
        assert (await worker.credential(CLIENT, "shop").token()).access_token
    assert {key async for key in store.keys("token/")} == {token_key(CLIENT, "shop")}  # no token for this alone
    for keeper in keepers:
        keeper.cancel()
    await asyncio.wait(keepers)


@virtual
async def test_one_that_linkauth_never_rotated_counts_from_the_first_round_that_saw_it():
    """Whoever makes the rounds after that, and however often the fleet is restarted."""
    store, vendor = Store(), Vendor()
    for _ in range(30):
        await Worker(store, vendor, keys=OLD).keep_alive(CLIENT, every=0.0, rounds=1, rotate_secrets_after=QUARTER)
        await asyncio.sleep(3 * DAY)
    assert rotations(vendor) == 0
    await Worker(store, vendor, keys=OLD).keep_alive(CLIENT, every=0.0, rounds=1, rotate_secrets_after=QUARTER)
    assert rotations(vendor) == 1
    assert (await store.read(first_seen_key(CLIENT))).record is None
    # An older linkauth rotates, and writes no time: that secret counts from when it is seen, too.
    await asyncio.sleep(DAY)
    key, worker = secret_key(CLIENT), Worker(store, vendor, keys=OLD)
    vendor.secret = "by an older linkauth"
    number = (await store.read(key)).record.version + 1
    record = SecretRecord(vendor="linkxg", client_secret=vendor.secret)
    await store.commit(key, number, worker.context.codec.close(key, number, record))
    for _ in range(30):
        await Worker(store, vendor, keys=OLD).keep_alive(CLIENT, every=0.0, rounds=1, rotate_secrets_after=QUARTER)
        await asyncio.sleep(3 * DAY)
    assert rotations(vendor) == 1
    await Worker(store, vendor, keys=OLD).keep_alive(CLIENT, every=0.0, rounds=1, rotate_secrets_after=QUARTER)
    assert rotations(vendor) == 2


@virtual
async def test_two_that_ask_at_the_same_moment_rotate_once():
    """Even where each makes rounds of its own, over other vendors besides: the second sees that it is young."""
    store, vendor = Store(), Vendor()
    one, other = (Worker(store, vendor, keys=OLD).credential(CLIENT) for _ in range(2))
    assert not await rotate_if_older(one, QUARTER)
    await asyncio.sleep(QUARTER)
    vendor.delay = 1.0
    done = await asyncio.gather(*(rotate_if_older(each, QUARTER) for each in (one, other)))
    assert rotations(vendor) == 1
    assert any(done)
    assert not await rotate_if_older(other, QUARTER)


@pytest.mark.parametrize(
    ("when", "stored"), [(["claim"], True), (["read", "read"], False)], ids=["at the claim", "before it"]
)
@virtual
async def test_who_looked_before_another_rotated_does_not_rotate_again(when, stored):
    """Somebody was faster: what counts is the age under the lease. Whether a new one is stored that was still older then."""
    store, vendor = Store(), Vendor()
    one, other = (Worker(store, vendor, keys=OLD).credential(CLIENT) for _ in range(2))
    await rotate_if_older(one, QUARTER)
    await asyncio.sleep(QUARTER)

    def faster(name: str):
        if name == when[0]:
            when.pop(0)
        if when:
            return None
        store.before = lambda _: None
        return other.rotate_secret()

    await one.token()
    await other.token()
    when, store.before = list(when), faster
    assert await rotate_if_older(one, QUARTER) is stored
    assert rotations(vendor) == 1


@virtual
async def test_statuses_tell_when_a_secret_was_rotated():
    """Of the secret itself, and of the credentials whose client's it is; None as long as linkauth has not rotated it."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=OLD)
    credential = worker.credential(CLIENT)
    await credential.token()
    assert [(each.client_id, each.secret_rotated_at) async for each in worker.statuses()] == [("shop", None)]
    await asyncio.sleep(DAY)
    at = wall()
    await credential.rotate_secret()
    await credential.refresh()
    await Worker(store, vendor, keys=[NEW, OLD]).reseal()
    await asyncio.sleep(DAY)
    told = {each.key.partition("/")[0]: each async for each in Worker(store, vendor, keys=NEW).statuses()}
    assert told["secret"].secret_rotated_at == told["token"].secret_rotated_at == at
    assert (told["secret"].vendor, told["secret"].account, told["secret"].client_id) == ("linkxg", "", "shop")
    assert vendor.secret not in repr(told)


@virtual
async def test_it_is_told_of_an_account_of_which_nothing_is_stored_yet():
    """The secret is its client's all the same."""
    worker = Worker(Store(), Vendor())
    await worker.credential(CLIENT).rotate_secret()
    status = await worker.credential(CLIENT, "nobody").status()
    assert (status.version, status.secret_rotated_at) == (0, wall())


@virtual
async def test_a_secret_that_a_human_put_in_has_its_time():
    """It was replaced then."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    await adopt(worker.credential(CLIENT).replica, Secret("another"))
    assert [each.secret_rotated_at async for each in worker.statuses()] == [wall()]


@virtual
async def test_a_secret_that_is_put_back_keeps_its_time():
    """A store that lost it is given it again, with its age."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    await worker.credential(CLIENT).rotate_secret()
    at = wall()
    await asyncio.sleep(DAY)
    store.inner = MemoryStore(clock=store.inner._clock)
    await worker.context.client_secrets.of(CLIENT).put_back()
    assert [each.secret_rotated_at async for each in worker.statuses()] == [at]


@virtual
async def test_an_answer_that_nobody_understood_is_not_rotated_over(caplog):
    """The secret in it is the one that lives: a human comes first, and the round goes on for all else."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=OLD)
    credential = worker.credential(CLIENT)
    await credential.token()
    vendor.fails(answer(200, {"success": True, "secret_of_a_kind": "?"}))
    with pytest.raises(MalformedResponse):
        await credential.rotate_secret()
    await rotate_if_older_seen(worker, store, vendor)
    await worker.keep_alive(CLIENT, every=0.0, rounds=1, rotate_secrets_after=QUARTER)
    assert rotations(vendor) == 1
    assert "--recover" in caplog.text
    told = [each.error async for each in worker.statuses() if each.key.startswith("answer/")]
    assert "--recover" in told[0]


async def rotate_if_older_seen(worker: Worker, store: Store, vendor: Vendor) -> None:
    """It is seen, and a quarter passes."""
    await worker.keep_alive(CLIENT, every=0.0, rounds=1, rotate_secrets_after=QUARTER)
    await asyncio.sleep(QUARTER)


@virtual
async def test_a_vendor_that_fails_is_asked_in_the_next_round(caplog):
    """A refusal is told in the log, and ends no rounds."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=OLD)
    await rotate_if_older_seen(worker, store, vendor)
    await worker.credential(CLIENT).token()
    vendor.fails(answer(403, {"success": False, "error": {"code": "NOT_OWNER", "message": "Owners only"}}))
    await worker.keep_alive(CLIENT, every=0.0, rounds=1, rotate_secrets_after=QUARTER)
    assert "Owners only" in caplog.text
    await worker.keep_alive(CLIENT, every=0.0, rounds=1, rotate_secrets_after=QUARTER)
    assert rotations(vendor) == 2
    assert vendor.secret != "first-secret"


@virtual
async def test_a_time_in_the_future_does_not_keep_a_secret_for_ever():
    """A store's clock was wrong for an hour: the secret counts from the first round that sees it, as any other."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=OLD)
    key, record = secret_key(CLIENT), SecretRecord(vendor="linkxg", client_secret="first-secret", rotated_at=wall() * 2)
    await store.commit(key, 1, worker.context.codec.close(key, 1, record))
    await rotate_if_older_seen(worker, store, vendor)
    await worker.keep_alive(CLIENT, every=0.0, rounds=1, rotate_secrets_after=QUARTER)
    assert rotations(vendor) == 1


@virtual
async def test_where_secrets_are_not_rotated_by_age():
    """In memory, which ends with the process and takes the new secret with it; at an age that is none; without a way to."""
    vendor = Vendor()
    memory = Worker(MemoryStore(), vendor, keys=OLD)
    with pytest.raises(ConfigurationError, match="ends with this process"):
        await memory.keep_alive(CLIENT, rounds=1, rotate_secrets_after=QUARTER)
    for age in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match="seconds above 0"):
            await Worker(Store(), vendor, keys=OLD).keep_alive(CLIENT, rounds=1, rotate_secrets_after=age)
    with pytest.raises(UnsupportedGrant):
        await rotate_if_older(Worker(Store(), vendor).credential(USER), QUARTER)
    assert vendor.counts["requests"] == 0


@virtual
async def test_a_store_in_clear_is_warned_of(caplog):
    """Rotated secrets lie there in clear: said once for each call, and not where there are keys."""
    store, vendor = Store(), Vendor()
    await Worker(store, vendor, keys=OLD).keep_alive(CLIENT, every=0.0, rounds=1, rotate_secrets_after=QUARTER)
    assert "in clear" not in caplog.text
    await Worker(Store(), vendor).keep_alive(CLIENT, every=0.0, rounds=2, rotate_secrets_after=QUARTER)
    assert caplog.text.count("in clear") == 1


@virtual
async def test_a_first_look_that_cannot_be_read_is_written_anew(caplog):
    """Sealed under a key that is gone: told, and the secret's age counts from then on, for the whole fleet."""
    store, vendor = Store(), Vendor()
    assert not await rotate_if_older(Worker(store, vendor, keys=OLD).credential(CLIENT), QUARTER)
    await asyncio.sleep(QUARTER - DAY)
    assert not await rotate_if_older(Worker(store, vendor, keys=NEW).credential(CLIENT), QUARTER)
    assert "the age of its secret counts from now" in caplog.text
    caplog.clear()
    await asyncio.sleep(QUARTER - DAY)
    assert not await rotate_if_older(Worker(store, vendor, keys=NEW).credential(CLIENT), QUARTER)
    await asyncio.sleep(DAY)
    assert await rotate_if_older(Worker(store, vendor, keys=NEW).credential(CLIENT), QUARTER)
    assert rotations(vendor) == 1
    assert "counts from now" not in caplog.text


@virtual
async def test_two_that_see_a_secret_first_write_it_down_once():
    """Whoever finds the other at it leaves it to him: the age counts from the one record that there is."""
    store, vendor = Store(), Vendor()
    key, credential = first_seen_key(CLIENT), Worker(store, vendor, keys=OLD).credential(CLIENT)
    granted = await store.inner.claim(key, "the other", 60, 0, b"")
    assert isinstance(granted, Granted)
    assert not await rotate_if_older(credential, QUARTER)
    assert (await store.read(key)).record is None
    value = credential.replica.context.codec.close(key, granted.number, FirstSeenRecord(vendor=CLIENT.name, at=wall()))
    assert isinstance(await store.inner.commit(key, granted.number, value), Committed)
    await asyncio.sleep(QUARTER)
    assert await rotate_if_older(credential, QUARTER)


def by_name(store: Store, name: str, then: Callable[[str], None]) -> None:
    """``then`` is told the key before each call ``name`` of the store."""
    inner = getattr(store.inner, name)

    async def call(key: str, *args: Any) -> Any:
        then(key)
        return await inner(key, *args)

    setattr(store.inner, name, call)


async def grown_old(worker: Worker) -> None:
    """A client whose secret is due, and a token of its."""
    await worker.credential(CLIENT, "shop").token()
    await worker.keep_alive(CLIENT, rounds=1, rotate_secrets_after=QUARTER)
    await asyncio.sleep(QUARTER)


@virtual
async def test_a_round_that_was_stopped_past_its_lease_rotates_nothing():
    """Somebody else may be making it: this worker begins a new one when it has the lease again, and rotates in that."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=OLD)
    await grown_old(worker)
    rounds, begun = [], monotonic()

    def stopped(key: str) -> None:
        if key == token_key(CLIENT, "shop") and not rounds:
            rounds.append(key)
            worker.slept -= 100
            store.down.add("extend")

    by_name(store, "read", stopped)
    keeping = asyncio.create_task(worker.keep_alive(CLIENT, rounds=1, rotate_secrets_after=QUARTER))
    await asyncio.sleep(30)
    assert rounds
    assert rotations(vendor) == 0
    store.down.clear()
    await keeping
    assert rotations(vendor) == 1
    assert 60 <= monotonic() - begun < 70


@virtual
async def test_a_store_that_goes_away_before_a_secret_is_rotated_is_waited_for(caplog):
    """That is no fault of the client's, and no round was made: the round begins again when the store is back, and rotates."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=OLD)
    await grown_old(worker)
    away = [True]

    def missing(key: str) -> None:
        if key == secret_key(CLIENT) and away:
            raise StoreUnavailable("away")

    by_name(store, "read", missing)
    keeping = asyncio.create_task(worker.keep_alive(CLIENT, rounds=1, rotate_secrets_after=QUARTER))
    await asyncio.sleep(120)
    assert rotations(vendor) == 0
    assert not keeping.done()
    away.clear()
    await keeping
    assert rotations(vendor) == 1
    assert "is not rotated" not in caplog.text


@pytest.mark.parametrize("first", ["user", "shop"])
@virtual
async def test_the_token_of_an_account_of_the_client_is_what_rotates_its_secret(first):
    """Whatever else lies in the store, before it or after: none is fetched for this alone, and nobody else's is shown."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=OLD)
    await worker.keep_alive(CLIENT, rounds=1, rotate_secrets_after=DAY)
    await asyncio.sleep(DAY)
    for which in sorted(["user", "shop"], reverse=first == "user"):
        await (logged_in(worker) if which == "user" else worker.credential(CLIENT, "shop").token())
    assert await Worker(store, vendor, keys=OLD).keep_alive(CLIENT, rounds=1, rotate_secrets_after=DAY) == 0
    assert rotations(vendor) == 1
    assert vendor.counts["/oauth/token"] == 1
    assert token_key(CLIENT, "default") not in {key async for key in store.keys("token/")}
