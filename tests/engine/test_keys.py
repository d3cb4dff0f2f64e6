"""Changing the key: everything under the newest, at any moment, and nothing that is newer in its way."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

import attrs
import pytest

from linkauth.engine.encryption import PLAIN
from linkauth.engine.outbox import Outbox
from linkauth.errors import (
    ConfigurationError,
    CorruptRecord,
    NoAnswer,
    ReauthorizationRequired,
    StateMismatch,
    StoreUnavailable,
)
from linkauth.protocol.intent import Note
from linkauth.protocol.records import answer_key, secret_key, state_key, token_key
from linkauth.store import Granted
from tests.engine.fakes import CLIENT, PAGE, USER, Escrow, Store, Vendor, Worker, answer, logged_in, refusal
from tests.engine.test_keep_alive import WEEK
from tests.engine.virtual import monotonic, virtual

OLD, NEW, OTHER = (b64encode(bytes([at]) * 32).decode() for at in range(3))


def key_id(value: bytes) -> str:
    return value[3:7].hex() if value.startswith(b"LA1") else ""


async def ids(store: Store) -> dict[str, str]:
    """The key id of every record in the store, by the record's key."""
    every = [key async for key in store.keys("")]
    return {key: key_id((await store.inner.read(key)).record.value) for key in every}


async def lived_in(store: Store, vendor: Vendor, **kwargs: Any) -> Worker:
    """A worker that has written one record of each kind."""
    worker = Worker(store, vendor, **kwargs)
    await logged_in(worker, "ada")
    await (await logged_in(worker, "bob")).logout()
    client = worker.credential(CLIENT)
    await client.token()
    await client.rotate_secret()
    key = answer_key(CLIENT)
    record = worker.context.codec.open(secret_key(CLIENT), (await store.read(secret_key(CLIENT))).record)
    await store.commit(key, 99, worker.context.codec.close(key, 99, record))
    await worker.credential(PAGE, "eve").authorization_url("http://127.0.0.1/callback")
    await worker.keep_alive(USER, rounds=1)
    return worker


@virtual
async def test_everything_is_written_under_the_newest_key():
    """Tokens, marks, client secrets, kept answers, authorizations, rounds: counted, once, and the old key may go."""
    store, vendor = Store(), Vendor()
    await lived_in(store, vendor, keys=OLD)
    before = await ids(store)
    assert {key.partition("/")[0] for key in before} == {"token", "secret", "answer", "state", "begun", "round"}
    worker = Worker(store, vendor, keys=[NEW, OLD])
    assert await worker.reseal() == len(before) - 1  # all but the list of what was begun, which holds no secret
    after = await ids(store)
    assert {name for key, name in after.items() if not key.startswith("begun/")} == {worker.context.codec.newest}
    assert await worker.reseal() == 0
    later = Worker(store, vendor, keys=NEW)
    assert (await later.credential(USER, "ada").token()).access_token
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await later.credential(USER, "bob").token()
    assert (await later.credential(CLIENT, "another").token()).access_token  # by the rotated secret
    assert await later.credential(CLIENT).unread_answer() is not None
    assert vendor.counts["reuse"] == 0


@virtual
async def test_what_is_in_clear_is_encrypted():
    """With ``plain`` among the keys; without it what is in clear is left, and told."""
    store, vendor = Store(), Vendor()
    await lived_in(store, vendor)
    assert await Worker(store, vendor, keys=NEW).reseal() == 0
    worker = Worker(store, vendor, keys=[NEW, PLAIN])
    assert await worker.reseal() == len(await ids(store)) - 1
    assert (await Worker(store, vendor, keys=NEW).credential(USER, "ada").token()).access_token
    with pytest.raises(ConfigurationError, match="no keys"):
        await Worker(store, vendor).reseal()


@virtual
async def test_what_cannot_be_read_is_left_and_told(caplog):
    """Another environment's: neither changed nor held, and all else is done."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor, keys=OTHER), "hers")
    await logged_in(Worker(store, vendor, keys=OLD), "ours")
    before = (await store.read(token_key(USER, "hers"))).record
    assert await Worker(store, vendor, keys=[NEW, OLD]).reseal() == 1
    assert (await store.read(token_key(USER, "hers"))).record == before
    assert f"left as it is: record {token_key(USER, 'hers')}" in caplog.text
    assert isinstance(await store.inner.claim(token_key(USER, "hers"), "x", 1, before.version, b""), Granted)


@virtual
async def test_a_record_of_a_newer_linkauth_keeps_what_only_that_knows():
    """Sealed anew as it is, whatever is in it."""
    store, vendor = Store(), Vendor()
    old = Worker(store, vendor, keys=OLD).context.codec
    key, value = token_key(USER, "ada"), b'{"linkauth":2,"kind":"wonder"}'
    await store.commit(key, 1, old._sealer.seal(value, f"linkauth record 1 1 {key}".encode()))
    new = Worker(store, vendor, keys=[NEW, OLD])
    assert await new.reseal() == 1
    found = (await store.read(key)).record
    assert new.context.codec._sealer.open(found.value, f"linkauth record 1 2 {key}".encode(), "it") == value


@virtual
async def test_who_holds_the_token_goes_on_with_it_and_refreshes_as_ever():
    """A record that was written anew is the same token: nothing is told as adopted, and ``refresh`` brings another one."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=[OLD, NEW])
    credential = await logged_in(worker)
    token = await credential.token()
    assert await Worker(store, vendor, keys=[NEW, OLD]).reseal() == 1
    assert credential.peek() is token
    worker.events.clear()
    fresh = await credential.refresh()
    assert fresh.access_token != token.access_token
    assert worker.heard() == ["renewed"]
    assert await Worker(store, vendor, keys=[NEW, OLD]).reseal() == 1
    assert (await credential.replacement(fresh)).access_token != fresh.access_token
    assert vendor.counts["/auth/refresh"] == 2


@virtual
async def test_a_doubt_stands_though_the_record_is_written_anew():
    """The note says that a refresh token may be spent: written anew it still does, in words under the newest key."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=OLD)
    credential = await logged_in(worker)
    vendor.fails(NoAnswer("cut off"), acts=True)
    with pytest.raises(NoAnswer):
        await credential.refresh()
    before = (await store.read(credential.replica.key)).note
    assert Note.decode(before).doubt
    newer = Worker(store, vendor, keys=[NEW, OLD])
    assert await newer.reseal() == 1
    after = (await store.read(credential.replica.key)).note
    opened = Worker(store, vendor, keys=NEW).context.codec.open_note(credential.replica.key, after)
    was = worker.context.codec.open_note(credential.replica.key, before)
    assert attrs.evolve(opened, sealed="") == attrs.evolve(was, sealed="")
    assert opened.description == "cut off"


@virtual
async def test_a_renewal_that_is_under_way_is_waited_for():
    """Its answer is what stands; it is the one that is then written anew."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor, keys=[OLD, NEW]))
    gate = vendor.holds()
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    resealing = asyncio.create_task(Worker(store, vendor, keys=[NEW, OLD]).reseal())
    await asyncio.sleep(1)
    assert not resealing.done()
    gate.set()
    fresh = await renewal
    assert await resealing == 1
    assert await Worker(store, vendor, keys=NEW).credential(USER).token() == fresh


@virtual
async def test_who_is_at_work_for_longer_is_left_alone(caplog):
    """A record that is held all the time holds up nothing else for long."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor, keys=OLD))
    version = (await store.read(token_key(USER, "default"))).record.version
    await store.inner.claim(token_key(USER, "default"), "somebody", 3600, version, b"")
    begun = monotonic()
    assert await Worker(store, vendor, keys=[NEW, OLD]).reseal() == 0
    assert monotonic() - begun <= 30
    assert "being worked on all the time" in caplog.text


def lease_ends(store: Store, key: str) -> None:
    """Its holder was stopped for so long."""
    store.inner._slots[key] = store.inner._slots[key].lapse()


async def _during(store: Store, name: str, worker: Worker, then: Any) -> int:
    """What ``reseal`` returns if ``then`` happens right before its first call ``name``."""

    def step_in(called: str) -> Any:
        if called != name:
            return None
        store.before = lambda _: None
        return then()

    store.before = step_in
    return await worker.reseal()


@pytest.mark.parametrize("moment", ["claim", "commit", "release", "after"])
@virtual
async def test_an_answer_that_comes_late_takes_its_place(moment):
    """A worker that was stopped for longer than its lease commits at any moment of it: its answer is the session."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor, keys=[OLD, NEW]))
    await asyncio.sleep(1)
    gate = vendor.holds()
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    lease_ends(store, credential.replica.key)

    async def comes_back() -> None:
        gate.set()
        await asyncio.sleep(0.1)

    resealing = Worker(store, vendor, keys=[NEW, OLD])
    if moment == "after":
        assert await resealing.reseal() == 1
        await comes_back()
    else:
        await _during(store, moment, resealing, comes_back)
    fresh = await renewal
    late = Worker(store, vendor, keys=[NEW, OLD]).credential(USER)
    assert await late.token() == fresh
    assert (await late.refresh()).access_token
    assert vendor.counts["reuse"] == 0


@pytest.mark.parametrize("moment", ["claim", "commit", "release", "after"])
@virtual
async def test_a_secret_that_comes_late_takes_its_place(moment):
    """The vendor has killed the old secret: whenever the answer comes, the new one is what the fleet goes on with."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor, keys=[OLD, NEW]).credential(CLIENT)
    await credential.token()
    await credential.rotate_secret()
    gate = vendor.holds()
    rotation = asyncio.create_task(credential.rotate_secret())
    await asyncio.sleep(1)
    lease_ends(store, secret_key(CLIENT))

    async def comes_back() -> None:
        gate.set()
        await asyncio.sleep(0.1)

    resealing = Worker(store, vendor, keys=[NEW, OLD])
    await store.inner.delete(credential.replica.key, 99)  # so that the secret is all there is
    if moment == "after":
        assert await resealing.reseal() == 1
        await comes_back()
    else:
        await _during(store, moment, resealing, comes_back)
    await rotation
    later = Worker(store, vendor, keys=[NEW, OLD])
    assert (await later.credential(CLIENT, "another").token()).access_token
    assert later.context.client_secrets._of(CLIENT).secret.reveal() == vendor.secret


@pytest.mark.parametrize("moment", ["claim", "commit", "release"])
@virtual
async def test_a_state_that_is_used_meanwhile_is_used_up(moment):
    """A callback comes while its state is written anew: it waits for that, is taken, once, and does not come back."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=[OLD, NEW])
    credential = worker.credential(PAGE)
    url = await credential.authorization_url("http://127.0.0.1/callback")
    state = url.partition("state=")[2].partition("&")[0]
    params = {"state": state, "code": "one"}

    async def callback() -> None:
        vendor.fails(
            answer(200, {"access_token": "a", "token_type": "Bearer", "refresh_token": "r", "expires_in": 900})
        )
        completing.append(asyncio.create_task(credential.complete(params)))
        await asyncio.sleep(0.1)

    completing: list[asyncio.Task[Any]] = []
    await _during(store, moment, Worker(store, vendor, keys=[NEW, OLD]), callback)
    await completing[0]
    assert (await store.read(state_key("page", state))).record is None
    with pytest.raises(StateMismatch):
        await credential.complete(params)


@virtual
async def test_a_state_lapses_when_it_would_have():
    """Written anew it is good for what was left of its time, and no longer; and it can be used until then."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=[OLD, NEW])
    urls = [await worker.credential(PAGE).authorization_url("http://127.0.0.1/callback") for _ in range(2)]
    states = [url.partition("state=")[2].partition("&")[0] for url in urls]
    await asyncio.sleep(500)
    newer = Worker(store, vendor, keys=[NEW, OLD])
    assert await newer.reseal() == 2
    vendor.fails(refusal(503, "DOWN"), times=9)
    with pytest.raises(Exception, match="503"):
        await newer.credential(PAGE).complete({"state": states[0], "code": "one"})
    vendor.faults.clear()
    assert (await store.read(state_key("page", states[0]))).record is not None  # the consent is not lost
    await asyncio.sleep(101)
    for state in states:
        assert (await store.read(state_key("page", state))).record is None


@virtual
async def test_it_may_be_interrupted_at_any_call_and_run_again():
    """Cancelled before each of its calls in turn: nothing is lost, nobody is held up for long, and the rest is done."""
    for at in range(1, 40):
        store, vendor = Store(), Vendor()
        await logged_in(Worker(store, vendor, keys=OLD), "ada")
        await logged_in(Worker(store, vendor, keys=OLD), "bob")
        calls = 0

        def count(name: str, at: int = at) -> Any:
            nonlocal calls
            calls += 1
            return asyncio.Event().wait() if calls == at else None

        store.before = count
        worker = Worker(store, vendor, keys=[NEW, OLD])
        resealing = asyncio.create_task(worker.reseal())
        await asyncio.sleep(0.1)
        resealing.cancel()
        await asyncio.wait({resealing})
        store.before = lambda _: None
        begun = monotonic()
        await worker.reseal()
        assert monotonic() - begun <= 5
        assert set((await ids(store)).values()) == {worker.context.codec.newest}
        if not resealing.cancelled():
            break
    assert calls < at


@virtual
async def test_keep_alive_writes_what_is_quiet_under_the_newest_key():
    """A token that nobody renews for days, a client's secret, a mark: after one round the old key may go."""
    store, vendor = Store(), Vendor()
    vendor.lifetime = 4 * WEEK
    await lived_in(store, vendor, keys=OLD)
    keeper = Worker(store, vendor, keys=[NEW, OLD])
    requests = vendor.counts["requests"]
    await asyncio.sleep(3601)
    assert await keeper.keep_alive(USER, rounds=1) == 0
    lasting = {name for key, name in (await ids(store)).items() if key.startswith(("token/", "secret/", "answer/"))}
    assert lasting == {keeper.context.codec.newest}
    assert vendor.counts["requests"] == requests
    assert (await Worker(store, vendor, keys=NEW).credential(CLIENT, "another").token()).access_token


@virtual
async def test_keep_alive_does_not_stop_at_a_round_that_it_cannot_read():
    """Another environment's, on the same store: rounds are made all the same, an interval apart."""
    store, vendor = Store(), Vendor()
    await Worker(store, vendor, keys=OTHER).keep_alive(USER, rounds=1)
    worker = Worker(store, vendor, keys=OLD)
    theirs = Worker(store, vendor, keys=OTHER)
    begun = monotonic()
    await asyncio.gather(worker.keep_alive(USER, every=600.0, rounds=3), theirs.keep_alive(USER, every=600.0, rounds=3))
    assert 1200 <= monotonic() - begun <= 1300


# -- Half a fleet that cannot read what the other half writes.


@virtual
async def test_who_needs_no_user_goes_on_without_the_key():
    """Half of the fleet has ``[new, old]``, half ``[old]``: no caller sees an error, and it is told once, in words."""
    store, vendor = Store(), Vendor()
    old, new = Worker(store, vendor, keys=OLD), Worker(store, vendor, keys=[NEW, OLD])
    await old.credential(CLIENT).token()
    await asyncio.sleep(901)
    shared = await new.credential(CLIENT).token()
    for _ in range(4):
        assert (await old.credential(CLIENT).token()).access_token != shared.access_token
        await asyncio.sleep(901)
        shared = await new.credential(CLIENT).token()
    told = [event for event in old.events if event.kind.value == "record unreadable"]
    assert len(told) == 1
    assert f"encrypted with key {new.context.codec.newest}" in told[0].outcome
    assert "record unreadable" not in new.heard()
    assert key_id((await store.read(token_key(CLIENT, "default"))).record.value) == new.context.codec.newest


@virtual
async def test_who_gets_the_key_shares_again_and_is_told_anew_when_it_is_gone():
    """Readable again, the fleet's token is adopted; the next time that it is not is another story."""
    store, vendor = Store(), Vendor()
    old, new = Worker(store, vendor, keys=OLD), Worker(store, vendor, keys=[NEW, OLD])
    for _ in range(2):
        await new.credential(CLIENT).token()
        await old.credential(CLIENT).token()
        await asyncio.sleep(901)
        await new.credential(CLIENT).token()
        key = token_key(CLIENT, "default")
        record = (await store.read(key)).record
        value = old.context.codec.close(key, record.version + 1, new.context.codec.open(key, record))
        await store.commit(key, record.version + 1, value)
        assert await old.credential(CLIENT).token() == await new.credential(CLIENT).token()
        await asyncio.sleep(901)
    assert old.heard().count("record unreadable") == 2


@virtual
async def test_a_store_that_finds_its_record_broken_is_as_one_that_is_away():
    """The store itself cannot read its own record: a client's token is fetched for this process alone."""
    store, vendor = Store(), Vendor()

    def broken(name: str) -> None:
        if name in {"read", "claim"}:
            raise CorruptRecord("the file is broken")

    store.before = broken
    assert (await Worker(store, vendor).credential(CLIENT).token()).access_token


@virtual
async def test_a_users_session_says_which_key_is_needed():
    """It is another's to give: the error names the key, and what to do; nothing was sent, nothing is changed."""
    store, vendor = Store(), Vendor()
    new = Worker(store, vendor, keys=NEW)
    await logged_in(new)
    requests = vendor.counts["requests"]
    with pytest.raises(CorruptRecord, match=f"key {new.context.codec.newest}.*add that key.*prefix"):
        await Worker(store, vendor, keys=OLD).credential(USER).token()
    assert vendor.counts["requests"] == requests


@virtual
async def test_statuses_say_which_keys_are_needed_still():
    """Of credentials, and of client secrets and kept answers beside them."""
    store, vendor = Store(), Vendor()
    old = await lived_in(store, vendor, keys=OLD)
    new = Worker(store, vendor, keys=[NEW, OLD])
    await logged_in(new, "new")
    told = {status.key: status async for status in new.statuses()}
    assert {key.partition("/")[0] for key in told} == {"token", "secret", "answer"}
    needed = {key for key, status in told.items() if status.key_id == old.context.codec.newest}
    assert told.keys() - needed == {token_key(USER, "new")}
    await new.reseal()
    assert {status.key_id async for status in new.statuses()} == {new.context.codec.newest}
    assert {status.key_id async for status in Worker(store, vendor).statuses()} == {new.context.codec.newest}
    clear = Store()
    await logged_in(Worker(clear, vendor))
    assert [status.key_id async for status in Worker(clear, vendor).statuses()] == [""]


@virtual
async def test_what_waits_in_escrow_is_not_held_back():
    """An answer that a store would not take is offered though the record was written anew under its very number."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=[OLD, NEW])
    credential = await logged_in(worker)
    await asyncio.sleep(1)
    store.down.add("commit")
    fresh = await credential.refresh()
    assert credential.replica.outbox.kept is not None
    assert isinstance(credential.replica.outbox, Outbox)
    await asyncio.sleep(20)
    store.down.clear()
    await Worker(store, vendor, keys=[NEW, OLD]).reseal()
    await asyncio.sleep(5)
    assert await Worker(store, vendor, keys=[NEW, OLD]).credential(USER).token() == fresh


@virtual
async def test_a_secret_that_waits_in_escrow_is_not_held_back():
    """Killed before the store took it; the one before it, which is dead, was written anew under its very number."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    credential = Worker(store, vendor, keys=[OLD, NEW], escrow=escrow).credential(CLIENT)
    await credential.token()
    await credential.rotate_secret()
    await asyncio.sleep(1)
    store.down.add("commit")
    doomed = Worker(store, vendor, keys=[OLD, NEW], escrow=escrow)
    with pytest.raises(StoreUnavailable):
        await doomed.credential(CLIENT).rotate_secret()
    await doomed.killed()
    store.down.clear()
    lease_ends(store, secret_key(CLIENT))
    await Worker(store, vendor, keys=[NEW, OLD]).reseal()
    later = Worker(store, vendor, keys=[NEW, OLD], escrow=escrow)
    assert (await later.credential(CLIENT, "another").token()).access_token
    assert (await Worker(store, vendor, keys=[NEW, OLD]).credential(CLIENT, "third").token()).access_token


@virtual
async def test_a_store_that_is_away_is_told():
    """``StoreUnavailable``; what was done is done."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor, keys=OLD))
    store.down.add("claim")
    with pytest.raises(StoreUnavailable):
        await Worker(store, vendor, keys=[NEW, OLD]).reseal()
    version = (await store.read(token_key(USER, "default"))).record.version
    assert isinstance(await store.inner.claim(token_key(USER, "default"), "x", 1, version, b""), Granted)


@virtual
async def test_what_is_written_between_the_look_and_the_lease_is_looked_at_again():
    """Somebody wrote a newer record, under the old key as well: it is that one that is written anew, and nothing older."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor, keys=[OLD, NEW]))

    async def renewed() -> None:
        for _ in range(2):  # so that its number is above the one that it was to be written under
            await asyncio.sleep(1)
            await credential.refresh()

    assert await _during(store, "claim", Worker(store, vendor, keys=[NEW, OLD]), renewed) == 1
    found = await Worker(store, vendor, keys=NEW).credential(USER).token()
    assert found == await credential.token()
    assert vendor.counts["/auth/refresh"] == 2
