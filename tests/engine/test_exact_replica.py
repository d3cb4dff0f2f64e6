"""What stands in the store and in memory after each step: where a mutant of ``replica`` or ``patience`` survived the rest."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest

from linkauth.engine.escrow import Kept
from linkauth.engine.events import Event, EventKind
from linkauth.errors import ReauthorizationRequired
from linkauth.protocol.intent import digest
from linkauth.protocol.records import DeadRecord
from linkauth.store import Record
from tests.engine.fakes import CLIENT, LATER, USER, Escrow, Store, Vendor, Worker, logged_in
from tests.engine.test_keys import OLD, OTHER
from tests.engine.test_lost_store import Telling
from tests.engine.virtual import EPOCH, virtual


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
async def test_a_login_waits_two_seconds_for_a_renewal_and_does_not_knock_without_end():
    """Another worker has the lease: its change is waited for, and then the user's word goes before what comes later."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    gate = vendor.holds()
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    store.counts.clear()
    login = asyncio.create_task(logged_in(Worker(store, vendor)))
    await asyncio.sleep(1)
    assert store.counts["claim"] == 1
    assert not login.done()
    brought = await (await login).token()
    assert store.counts["claim"] == 2
    gate.set()
    assert await renewal == brought
    assert await credential.token() == brought


@virtual
async def test_a_login_over_a_record_that_nobody_can_read_does_not_knock_without_end():
    """It waits for a change of that record, not of one before it, until whoever holds the lease is done."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    key = worker.credential(USER).replica.key
    await store.inner.commit(key, 7, b"broken")
    other = await store.inner.claim(key, "other", 600, 7, b"")
    login = asyncio.create_task(logged_in(worker))
    await asyncio.sleep(1.5)
    assert store.counts["claim"] == 1
    await store.inner.release(key, other.number)
    assert (await (await login).token()).access_token


@virtual
async def test_a_logout_elsewhere_ends_the_token_here():
    """Whoever hears of it serves the old token no longer, though it would still be good for a while."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    other = Worker(store, vendor).credential(USER)
    await other.token()
    await credential.logout()
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await other.refresh()
    assert (other.peek(), other._state.token, other._state.dead) == (None, None, "logged out")
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await other.token()


@virtual
async def test_an_answer_that_can_be_had_again_is_not_kept():
    """A client's token that the store did not take serves this process, holds nothing up and lies nowhere."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    credential = Worker(store, vendor, escrow=escrow).credential(CLIENT)
    store.down.add("commit")
    tokens = [await credential.token() for _ in range(3)]
    assert tokens[0] == tokens[2]
    assert credential._state.stored is False
    assert (credential.replica.outbox.kept, escrow.kept) == (None, {})
    store.down.clear()
    await asyncio.sleep(20)
    assert (await credential.refresh()).access_token != tokens[0].access_token
    assert credential._state.stored is True
    assert vendor.counts["requests"] == 2


@virtual
async def test_a_kept_answer_is_known_not_to_be_in_the_store():
    """So nobody takes the store for one that lost it."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.down.add("commit")
    await credential.refresh()
    assert credential._state.stored is False
    assert not credential.replica.is_newer_than(0)
    store.down.clear()
    await asyncio.sleep(2)
    assert credential._state.stored is True
    assert credential.replica.is_newer_than(0)


@virtual
async def test_what_was_issued_later_supersedes_whatever_its_number():
    """A store that lost its data gives numbers again: which token was issued later decides, then the number."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    replica, held = credential.replica, credential._state
    sooner, later = (attrs.evolve(held.token, issued_at=held.token.issued_at + step) for step in (-1, 1))
    newer = {
        (name, step): replica.supersedes(Record(number, replica._closed(number, token)))
        for name, token in (("sooner", sooner), ("same", held.token), ("later", later))
        for step in (-1, 0, 1)
        for number in [held.version + step]
    }
    assert [what for what, yes in newer.items() if yes] == [("same", 1), ("later", -1), ("later", 0), ("later", 1)]


@virtual
async def test_the_record_of_a_dead_session_says_which_token_was_refused():
    """By a digest: a late answer to that very token knows by it that it is not meant. The event is told once."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    spent = digest(credential._state.token)
    vendor.refused.add("session-1")
    for _ in range(2):
        with pytest.raises(ReauthorizationRequired):
            await credential.refresh()
    key = credential.replica.key
    dead = worker.context.codec.open(key, (await store.inner.read(key)).record)
    assert isinstance(dead, DeadRecord)
    assert (dead.spent, dead.by_user) == (spent, False)
    assert [event.kind for event in worker.events].count(EventKind.REAUTHORIZATION_REQUIRED) == 1


@pytest.mark.parametrize(("vendor_class", "dead"), [(USER, "logged out"), (CLIENT, "")])
@virtual
async def test_a_logout_leaves_nothing_in_escrow(vendor_class, dead):
    """What lay there belongs to a session that is over; a client may simply ask again."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    worker = Worker(store, vendor, escrow=escrow)
    credential = worker.credential(vendor_class)
    if vendor_class is USER:
        await logged_in(worker)
    else:
        await credential.token()
    await escrow.put(Kept(credential.replica.key, 1, b"of before"))
    await credential.logout()
    assert (credential.replica.outbox.kept, escrow.kept) == (None, {})
    assert (credential._state.token, credential._state.dead) == (None, dead)


@virtual
async def test_nothing_is_spent_while_an_answer_waits():
    """The store takes it in the end: whoever asked meanwhile gets that token, and the vendor is asked no second time."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.down.add("commit")
    fresh = await credential.refresh()
    asking = asyncio.create_task(credential.refresh())
    await asyncio.sleep(3)
    assert vendor.counts["/auth/refresh"] == 1
    store.down.clear()
    assert (await asking).access_token == fresh.access_token
    assert vendor.counts["/auth/refresh"] == 1


@pytest.mark.parametrize("login", [False, True], ids=["lost", "replaced by a login"])
@virtual
async def test_closing_says_that_an_answer_is_lost(login, caplog):
    """The store never took it, and the process ends; an answer whose place a login has taken is none to speak of."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.down.add("commit")
    await credential.refresh()
    if login:
        store.down.clear()
        await logged_in(worker)
    await worker.aclose()
    assert ("closing, and the store has not taken the last answer" in caplog.text) is not login


@virtual
async def test_a_renewal_and_an_adoption_are_told_whole():
    """Whose, when, and how long the vendor took; the one who only adopts has not waited for it."""
    store, vendor = Store(), Vendor()
    one, other = Worker(store, vendor), Worker(store, vendor)
    vendor.delay = 2.0
    await one.credential(CLIENT, "shop").token()
    await other.credential(CLIENT, "shop").token()
    whose = {"vendor": CLIENT.name, "account": "shop", "at": EPOCH + 2, "outcome": ""}
    assert one.events == [Event(kind=EventKind.RENEWED, duration=2.0, **whose)]
    assert other.events == [Event(kind=EventKind.ADOPTED, duration=0.0, **whose)]


@virtual
async def test_who_has_lost_the_lease_says_what_it_holds_and_no_more():
    """A word is the unchanged record under another number: known here under that, and its place is taken by nothing older."""
    store = Store()
    credential = await logged_in(Worker(store, Vendor()))
    replica, before = credential.replica, (await store.read(credential.replica.key)).record
    number = before.version + 5
    assert await replica.say(number) == number + 1
    assert credential._state.version == number
    assert (await store.read(replica.key)).record.version == number
    assert await replica.say(number - 1) == number + 1  # others' numbers are higher: the next one is above them
    assert credential._state.version == number


@virtual
async def test_who_holds_nothing_has_nothing_to_say():
    """Neither a token nor a mark: nothing is written, and the number is good for the next time."""
    store = Store()
    replica = Worker(store, Vendor()).credential(USER).replica
    assert await replica.say(7) == 7
    assert (await store.read(replica.key)).record is None


@virtual
async def test_a_word_that_is_overtaken_by_a_login_leaves_that_its_number():
    """The store has taken it, and before this worker hears of that the user logs in here: the login keeps its own number."""
    store = Store()
    credential = await logged_in(Worker(store, Vendor()))
    replica, number, commit = credential.replica, credential._state.version + 1, store.inner.commit

    async def committed(*args: Any) -> Any:
        store.inner.commit = commit
        done = await commit(*args)
        await credential.login(email="ada@example.com", password="correct horse")
        return done

    await asyncio.sleep(1)
    store.inner.commit = committed
    assert await replica.say(number) == number + 1
    assert credential._state.version == (await store.read(replica.key)).record.version > number


@virtual
async def test_a_record_that_cannot_be_read_is_not_known_to_be_later():
    """So who has a request in the air goes on saying so. What can be read, and is held, is not later under any number."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor, keys=OLD))
    replica, found = credential.replica, (await store.read(credential.replica.key)).record
    other = Worker(store, vendor, keys=OTHER).context.codec
    unread = other.close(replica.key, LATER, replica.held().record)
    assert not replica.is_later(Record(LATER, unread))
    again = replica.context.codec.close(replica.key, LATER, replica.held().record)
    assert not replica.is_later(Record(LATER, again))
    await (newer := Worker(store, vendor, keys=OLD).credential(USER)).token()
    await newer.refresh()
    assert replica.is_later((await store.read(replica.key)).record)
    assert not newer.replica.is_later(found)


@virtual
async def test_an_answer_that_the_store_took_and_says_so_late_does_not_take_a_logins_place():
    """The renewal is written, and before this worker hears of that the user has logged in here: the login is served."""
    store = Store()
    credential = await logged_in(Worker(store, Vendor()))
    commit, heard = store.inner.commit, asyncio.Event()

    async def committed(*args: Any) -> Any:
        store.inner.commit = commit
        done = await commit(*args)
        await heard.wait()
        return done

    store.inner.commit = committed
    renewing = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    fresh = await credential.login(email="ada@example.com", password="correct horse")
    version = credential._state.version
    heard.set()
    assert await renewing == fresh
    assert (await credential.token(), credential._state.version) == (fresh, version)
    assert (await store.read(credential.replica.key)).record.version == version
