"""One order of records: by session and generation, whatever their numbers say; older linkauths' records have a place in it."""

from __future__ import annotations

import asyncio
import itertools
import json
from random import Random
from typing import Any

import attrs
import pytest

from linkauth.engine.codec import Codec
from linkauth.oauth.token import Token
from linkauth.protocol.freshness import StoreTime
from linkauth.protocol.intent import digest
from linkauth.protocol.lineage import RESERVED, Entry, Lineage, new_session, supersedes
from linkauth.protocol.records import DeadRecord, SecretRecord, Session, TokenRecord
from linkauth.store import Record, Superseded
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as clock
from tests.engine.announcing import Telling
from tests.engine.fakes import (
    LATER,
    LIFETIME,
    PAGE,
    USER,
    Escrow,
    Fault,
    Store,
    Vendor,
    Worker,
    answer,
    logged_in,
    remember,
    remembered,
)
from tests.engine.virtual import virtual

NAMES: dict[str, Any] = {"vendor": USER.name, "account": "default"}


ONE, TWO = Session(1000, "aa"), Session(1000, "bb")

THREE = Session(2000, "00")


def token(at: float, name: str) -> Token:
    return Token(access_token=name, refresh_token=f"r-{name}", issued_at=at, expires_at=at + LIFETIME)


def entry(session: Session | None, generation: int | None, number: int, at: float = 1.0, name: str = "t") -> Entry:
    return Entry(TokenRecord(**NAMES, token=token(at, name), session=session, generation=generation), number)


def mark(
    session: Session | None, generation: int | None, number: int, *, by_user: bool = False, spent: str = ""
) -> Entry:
    record = DeadRecord(**NAMES, reason="", by_user=by_user, session=session, generation=generation, spent=spent)
    return Entry(record, number)


def secret(at: float | None, number: int) -> Entry:
    return Entry(SecretRecord(vendor=USER.name, client_secret=f"secret-{number}", rotated_at=at), number)


def everything() -> list[Entry]:
    """Records of three sessions with numbers that say the contrary of what they are."""
    chance = Random(5)
    found = []
    for session, generation, at in itertools.product((ONE, TWO, THREE), (0, 1, 2), (1.0, 2.0)):
        found += [entry(session, generation, chance.randrange(9), at, f"{session.id}{generation}{at}{n}") for n in "ab"]
    found += [
        mark(session, generation, chance.randrange(9)) for session in (ONE, TWO, THREE) for generation in (0, 1, 2)
    ]
    return found + [mark(session, None, chance.randrange(9), by_user=True) for session in (ONE, TWO, THREE)]


@pytest.mark.slow
def test_records_have_one_order():
    """Of any two one is later, and never both; of any three the order is no circle."""
    for one, other in itertools.combinations(everything(), 2):
        assert supersedes(one, other) != supersedes(other, one), (one, other)
    for one, two, three in itertools.permutations(everything(), 3):
        assert not (supersedes(one, two) and supersedes(two, three)) or supersedes(one, three), (one, two, three)


@pytest.mark.parametrize(
    ("later", "sooner"),
    [
        (entry(THREE, 0, 1), entry(TWO, 9, 8)),  # a login since, though its store counts anew
        (entry(TWO, 0, 1), entry(ONE, 0, 1)),  # begun in the same millisecond: chance, and everybody sees the same
        (entry(ONE, 3, 1), entry(ONE, 2, 8)),  # a renewal, whatever number a store gave that lost its data
        (mark(ONE, 2, 3), entry(ONE, 2, 8)),  # the refusal of what it names
        (entry(ONE, 3, 1), mark(ONE, 2, 8)),  # … but not of what came of it
        (mark(ONE, None, 1, by_user=True), entry(ONE, 7, 8)),  # a logout ends the session, late answers included
        (entry(TWO, 0, 1), mark(ONE, None, 8, by_user=True)),  # … and not the one after it
        (entry(ONE, 1, 8), entry(ONE, 1, 7)),  # the same record, put back under a higher number
        (secret(20.0, 1), secret(10.0, 9)),  # a rotation since, though its store counts anew
        (secret(10.0, 2), secret(10.0, 1)),  # asked for when the store's clock had been set back
        (secret(None, 2), secret(20.0, 1)),  # an older linkauth does not say when
        (secret(20.0, 2), secret(None, 1)),
    ],
)
def test_what_is_later(later: Entry, sooner: Entry):
    """Each of these, one way and not the other."""
    assert supersedes(later, sooner)
    assert not supersedes(sooner, later)


def test_what_an_older_linkauth_wrote_is_never_the_oldest():
    """It renews a session and drops the generation: it is compared by when it was sent, in both directions."""
    held = entry(ONE, 3, 4, at=10.0, name="held")
    for session in (ONE, None):
        renewed = entry(session, None, 5, at=20.0, name="renewed")
        assert supersedes(renewed, held)
        assert not supersedes(held, renewed)
    spent = digest(token(1.0, "t"))
    assert supersedes(mark(None, None, 2, spent=spent), entry(ONE, 0, 8))
    assert supersedes(entry(ONE, 1, 1, name="came of it"), mark(None, None, 8, spent=spent))


def test_what_came_of_an_older_linkauths_record_is_later_whatever_the_clock_said():
    """The store's clock was set back an hour before it was renewed: what came of it seems to have been sent for before it."""
    old = entry(None, None, 1, at=5000.0, name="old")
    renewed = Lineage().renewed(old.record.token)
    later = entry(renewed.session, renewed.generation, 2, at=1400.0, name="renewed")
    again = entry(renewed.session, 2, 3, at=1500.0, name="again")
    for each in (later, again):
        assert supersedes(each, old)
        assert not supersedes(old, each)


def test_who_still_holds_what_an_older_linkauth_wrote_believes_the_mark_on_what_came_of_it():
    """The session that its renewal began, or one since, is over; a login by an older linkauth after that is not."""
    old = entry(None, None, 1, at=5.0, name="old")
    session = Lineage().renewed(old.record.token).session
    for dead in (
        mark(session, 1, 1),
        mark(Session(9000, "00"), 0, 1),
        mark(Session(9000, "00"), None, 1, by_user=True),
    ):
        assert supersedes(dead, old)
        assert not supersedes(old, dead)
    assert supersedes(entry(None, None, 1, at=10.0, name="since"), mark(Session(9000, "00"), 0, 8))


def test_a_renewal_of_an_older_record_gives_it_the_same_session_everywhere():
    """The session is made from the record alone; without a refresh token there is nothing to order."""
    old = token(5.0, "old")
    assert Lineage().renewed(old) == Lineage().renewed(old) == Lineage(Session(5000, digest(old)[:16]), 1)
    assert Lineage(ONE, 3).renewed(old) == Lineage(ONE, 4)
    assert Lineage(ONE, None).renewed(old) == Lineage(ONE, None)
    assert Lineage().renewed(attrs.evolve(old, refresh_token=None)) == Lineage()
    assert new_session(1000, None, b"\0" * 8) == Lineage(Session(1000, "00" * 8), 0)
    assert new_session(1000, THREE, b"\0" * 8) == Lineage(Session(2001, "00" * 8), 0)  # a clock that was set back


def test_of_two_logins_that_cross_the_store_and_the_sessions_say_the_same():
    """Whichever sends first: the session is as late as the number under which it is written, so nobody renews what lost."""
    first, second = new_session(5000, None, b"f" * 8), new_session(5001, None, b"0" * 8)
    assert first.session is not None
    assert second.session is not None
    assert first.session < second.session


@virtual
async def test_the_session_stands_where_older_linkauths_pass_it_on():
    """In the record, and in ``extra`` under a name that no user sees; a record that lost the former has the latter."""
    store = Store()
    credential = await logged_in(Worker(store, Vendor()))
    key, lineage = credential.replica.key, remembered(credential).lineage
    assert (await credential.token()).extra == {}
    found = (await store.read(key)).record
    raw = json.loads(found.value)
    assert raw["session"] == {"at": lineage.session.at, "id": lineage.session.id}
    assert raw["generation"] == 0
    assert raw["token"]["extra"][RESERVED] == [lineage.session.at, lineage.session.id]
    del raw["session"], raw["generation"]  # as an older linkauth leaves it
    read = Codec().open(key, Record(found.version, json.dumps(raw).encode()))
    assert (read.session, read.generation, read.token.extra) == (lineage.session, None, {})


async def by_an_older_linkauth(store: Any, vendor: Vendor, number: int) -> None:
    """Renews as a worker of the release before does: it drops what it does not know of the record, and keeps ``extra``."""
    key = Worker(store, vendor).credential(USER).replica.key
    found = (await store.read(key)).record
    raw = json.loads(found.value)
    fresh = json.loads(vendor._redeem(number, raw["token"]["refresh_token"]).body)["data"]
    now = clock.wall()
    raw["token"] |= {
        "access_token": fresh["accessToken"],
        "refresh_token": fresh["refreshToken"],
        "issued_at": now,
        "expires_at": now + LIFETIME,
    }
    raw.pop("session", None), raw.pop("generation", None)
    claim = await store.claim(key, "older", 15.0, found.version, b"")
    await store.commit(key, claim.number, json.dumps(raw).encode())


@virtual
async def test_workers_of_two_releases_renew_one_session_in_turn():
    """Both ways, several times: nothing is sent twice, nobody is sent for, and all serve what is newest."""
    store, vendor = Telling(), Vendor()
    mine, other = (Worker(store, vendor) for _ in range(2))
    credential = await logged_in(mine)
    for turn in range(4):
        await asyncio.sleep(LIFETIME)
        await by_an_older_linkauth(store, vendor, 1000 + turn)
        fresh = await other.credential(USER).token()
        assert await credential.token() == fresh
        await asyncio.sleep(LIFETIME)
        assert await credential.token() == await other.credential(USER).token()
    assert vendor.counts["reuse"] == 0
    assert remembered(credential).lineage.session is not None


@virtual
@pytest.mark.parametrize("way", ["answer", "escrow"])
async def test_a_login_is_never_overwritten_by_an_older_session(way: str):
    """The store came back empty and the user has logged in; then an answer of the session before arrives, or lay in escrow."""
    store, vendor, escrow = Store(), Vendor(), Escrow()
    late = Worker(store, vendor, escrow=escrow)
    credential = await logged_in(late)
    for _ in range(3):
        await credential.refresh()
    await asyncio.sleep(LIFETIME)
    store.down.add("commit")
    old = await credential.token()
    store.inner = MemoryStore(clock=clock.wall)
    user = await logged_in(Worker(store.inner, vendor))
    if way == "escrow":
        await late.killed()
        assert escrow.kept
        late = Worker(store, vendor, escrow=escrow)
        late.open()
    store.down.clear()
    await asyncio.sleep(5)
    assert await late.credential(USER).token() == await user.token() != old
    assert await Worker(store, vendor).credential(USER).token() == await user.token()


@virtual
async def test_the_store_itself_refuses_what_is_late_of_an_earlier_session():
    """In one step: a login takes its number from the clock, above all that were given one by one."""
    store, vendor = Store(), Vendor()
    key = (await logged_in(Worker(store, vendor))).replica.key
    login = (await store.read(key)).record
    assert login.version > clock.wall() * 1000 - 1
    assert isinstance(await store.commit(key, 10**9, b"late"), Superseded)
    assert login.version < 2**53
    assert login.version < LATER


@virtual
async def test_a_refusal_does_not_take_the_place_of_what_came_after_the_look():
    """A late answer lands under its own lower number while the refusal is written down: it stands, and is adopted."""
    store, vendor = Store(), Vendor()
    slow, other = Worker(store, vendor), Worker(store, vendor)
    credential = await logged_in(slow)
    await other.credential(USER).token()
    await asyncio.sleep(LIFETIME)
    held, key = remembered(credential), credential.replica.key
    number = held.version + 1
    answer = attrs.evolve(held.token, access_token="late", refresh_token="late", expires_at=clock.wall() + LIFETIME)
    value = credential.replica._closed(number, answer, held.lineage.renewed(held.token))
    assert (await store.claim(key, "the slow one", 1.0, held.version, b"")).number == number
    await asyncio.sleep(2)
    vendor.refused.add(vendor._refresh[held.token.refresh_token])

    def lands(name: str) -> Any:
        if name != "commit":
            return None
        store.before = lambda _: None
        return store.inner.commit(key, number, value)

    store.before = lands
    assert (await other.credential(USER).token()).access_token == "late"
    assert (await store.read(key)).record.version == number


@virtual
async def test_what_the_user_brought_since_goes_before_what_was_fetched_alone():
    """A token that is over takes the place of one that serves, if a login wrote it meanwhile; a renewal's does not."""
    store = Store()
    worker = Worker(store, Vendor())
    credential = worker.credential(PAGE)
    replica = credential.replica
    _, time = await replica.read()
    own = Session(5, "a")
    alone = Token(access_token="alone", issued_at=time.now, expires_at=time.now + 60, refresh_token="stays")
    remember(credential, alone, 1, time, stored=False, lineage=Lineage(own, 1))

    def stands(session: Session, left: float) -> Record:
        found = attrs.evolve(alone, access_token="stands", expires_at=time.now + left)
        record = TokenRecord(vendor="page", account="default", token=found, session=session, generation=0)
        return Record(9, worker.context.codec.close(replica.key, 9, record))

    assert replica.supersedes(stands(Session(6, "b"), -1.0))
    assert not replica.supersedes(stands(own, -1.0))
    assert replica.supersedes(stands(own, 60.0))


@virtual
async def test_a_renewal_is_counted_on_from_what_is_further_in_its_own_session():
    """Not from another session, nor from what nobody counted, what says that only the user can help, or what cannot be read."""
    own, time = Lineage(ONE, 2), StoreTime(0.0, 0.0, 0.0)
    credential = Worker(Store(), Vendor()).credential(USER)
    remember(credential, token(0, "a"), 1, time, lineage=own)
    replica = credential.replica

    def over(session: Session | None, generation: int | None) -> Lineage:
        record = TokenRecord(**NAMES, token=token(0, "b"), session=session, generation=generation)
        return replica.lineage_over(Record(9, replica.context.codec.close(replica.key, 9, record)))

    assert [over(ONE, 5), over(ONE, 1), over(TWO, 5), over(ONE, None)] == [Lineage(ONE, 5), own, own, own]
    mark = DeadRecord(**NAMES, reason="no", session=ONE, generation=5)
    assert replica.lineage_over(Record(9, replica.context.codec.close(replica.key, 9, mark))) == own
    assert replica.lineage_over(Record(9, b"rubbish")) == own
    assert replica.lineage_over(None) == own


@virtual
async def test_what_replaces_a_token_fetched_alone_comes_after_what_others_have_renewed_meanwhile():
    """They hold the record that it passed by, which is over: of an earlier generation than that, they would pass it by in turn."""
    store, vendor = Store(), Vendor()
    for name in ("second", "third", "fourth"):
        granted = answer(200, {"access_token": name, "token_type": "Bearer", "expires_in": LIFETIME})
        vendor.faults.append(Fault(acts=False, outcome=granted))
    credential, theirs = (Worker(store, vendor).credential(PAGE) for _ in range(2))
    _, time = await credential.replica.read()
    lineage = Lineage(Session(5, "a"), 1)
    old = Token(access_token="old", issued_at=time.now, expires_at=time.now + 60, refresh_token="stays")
    remember(theirs, old, 1, time, lineage=lineage)
    for _ in range(2):
        await theirs.refresh()
    alone = attrs.evolve(old, access_token="alone", expires_at=time.now + 2 * LIFETIME)
    remember(credential, alone, 1, time, stored=False, lineage=lineage)
    await asyncio.sleep(LIFETIME + 1)
    fresh, sent = await credential.refresh(), vendor.counts["requests"]
    assert (await theirs.token(), vendor.counts["requests"]) == (fresh, sent)


@virtual
async def test_what_was_issued_later_supersedes_whatever_its_number():
    """A store that lost its data gives numbers again: which token was issued later decides, then the number."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    replica, held = credential.replica, remembered(credential)
    sooner, later = (attrs.evolve(held.token, issued_at=held.token.issued_at + step) for step in (-1, 1))
    newer = {
        (name, step): replica.supersedes(Record(number, replica._closed(number, token)))
        for name, token in (("sooner", sooner), ("same", held.token), ("later", later))
        for step in (-1, 0, 1)
        for number in [held.version + step]
    }
    assert [what for what, yes in newer.items() if yes] == [("same", 1), ("later", -1), ("later", 0), ("later", 1)]


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
    version = remembered(credential).version
    heard.set()
    assert await renewing == fresh
    assert (await credential.token(), remembered(credential).version) == (fresh, version)
    assert (await store.read(credential.replica.key)).record.version == version


def test_what_is_fetched_without_the_store_is_no_generation():
    """It is of the session that it came of, also where an older linkauth wrote none, and counts for nothing in it."""
    token = Token(access_token="a", refresh_token="r", issued_at=100.0, expires_at=200.0)
    without = attrs.evolve(token, refresh_token=None)
    begun = Lineage(Session(7, "ab"), 3)
    assert begun.alone(token) == begun
    assert Lineage().alone(without) == Lineage()
    since = Lineage().renewed(token)
    alone = Lineage().alone(token)
    assert (alone.session, alone.generation) == (since.session, 0)
    assert alone.renewed(attrs.evolve(token, access_token="b", issued_at=150.0)) == since
