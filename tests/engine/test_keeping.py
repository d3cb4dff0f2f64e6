"""What must not be lost: answers that the store would not take, rotated secrets; and what nobody else may read."""

from __future__ import annotations

import asyncio
import itertools
import sys
from base64 import b64encode

import attrs
import pytest

from linkauth.errors import (
    ConfigurationError,
    CorruptRecord,
    InvalidClient,
    LinkAuthError,
    MalformedResponse,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.protocol import timing
from linkauth.protocol.records import answer_key, secret_key
from linkauth_stores.memory import MemoryStore
from tests.engine import virtual as virtually
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, answer, logged_in
from tests.engine.virtual import monotonic, virtual

KEYS = [b64encode(bytes([number]) * 32).decode() for number in range(3)]


# -- Answers.


@virtual
async def test_an_answer_that_the_store_does_not_take_is_served_kept_and_stored():
    """Commit fails for a minute: everybody here is served, nothing is spent, and then the store has it."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.down.add("commit")
    kept = await credential.refresh()
    for _ in range(60):
        assert await credential.token() == kept
        await asyncio.sleep(1)
    with pytest.raises(StoreUnavailable, match="waits for the store"):
        await credential.refresh()
    store.down.clear()
    await asyncio.sleep(1)
    other = Worker(store, vendor)
    assert (await other.credential(USER).token()).access_token == kept.access_token
    assert (await other.credential(USER).refresh()).access_token
    assert vendor.counts["/auth/refresh"] == 2
    assert vendor.counts["reuse"] == 0


@virtual
@pytest.mark.parametrize("misses", [set(), {"extend"}], ids=["", "and an extension fails"])
async def test_a_kept_answer_keeps_its_lease(misses):
    """The store answers, but takes nothing of one worker for a minute: no other spends the refresh token that was spent for it."""
    store, vendor = Store(), Vendor()
    other = Worker(Store(store.inner), vendor).credential(USER)
    credential = await logged_in(Worker(store, vendor))
    await other.token()
    store.down.add("commit")
    await credential.refresh()
    with pytest.raises(VendorUnavailable):
        await other.refresh()  # goes on behind: whoever has the lease may be waiting for an answer
    store.down |= misses
    await asyncio.sleep(5)
    store.down -= misses
    await asyncio.sleep(45)
    store.down.clear()
    await asyncio.sleep(1)
    assert (await other.token()).access_token == (await credential.token()).access_token
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_a_kept_answer_leaves_a_lease_that_is_lost_to_others():
    """The store has ended it, and somebody else has another: nothing is extended any more."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.down |= {"commit", "extend"}
    await credential.refresh()
    await asyncio.sleep(20)
    store.down.discard("extend")
    await asyncio.sleep(10)
    store.counts.clear()
    await asyncio.sleep(60)
    assert set(store.counts) == {"commit"}
    store.down.clear()
    await asyncio.sleep(1)


@virtual
async def test_a_store_that_hangs_is_offered_the_answer_as_often():
    """An extension that nobody answers does not hold up the next offer, which comes half a second later at the most."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.down.add("commit")
    store.hung.add("extend")
    offered: list[float] = []
    store.before = lambda name: offered.append(monotonic()) if name == "commit" else None
    await credential.refresh()
    await asyncio.sleep(60)
    assert max(after - before for before, after in itertools.pairwise(offered)) <= 2 * timing.OFFER_LONGEST
    store.down.clear()
    await asyncio.sleep(1)


@virtual
async def test_a_store_that_was_emptied_meanwhile_takes_the_answer_too():
    """The store restarts empty while the answer waits: it is committed under its number, and the session lives."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    await credential.refresh()
    store.down.add("commit")
    kept = await credential.refresh()
    store.inner = MemoryStore(clock=virtually.wall)
    store.down.clear()
    await asyncio.sleep(1)
    assert (await Worker(store, vendor).credential(USER).token()).access_token == kept.access_token


@virtual
async def test_a_commit_whose_answer_was_lost_is_no_loss():
    """The store did it and the answer was lost: offered again it is the same commit, and nothing is spent again."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.lost.add("commit")
    kept = await credential.refresh()
    await asyncio.sleep(1)
    store.lost.clear()
    await asyncio.sleep(1)
    assert (await Worker(store, vendor).credential(USER).token()).access_token == kept.access_token
    assert (await credential.refresh()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_claim_whose_answer_was_lost_spends_nothing():
    """Whether the claim happened is not known: nothing is sent, and the lease ends by itself."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.lost.add("claim")
    with pytest.raises(StoreUnavailable):
        await credential.refresh()
    store.lost.clear()
    assert vendor.counts["/auth/refresh"] == 0
    await asyncio.sleep(901)
    assert (await credential.token()).access_token
    assert vendor.counts["reuse"] == 0


@virtual
async def test_a_commit_that_is_being_made_is_no_answer_that_waits():
    """Another thread's loop is committing at this moment: nobody is told that the store is away."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    gate = asyncio.Event()
    store.before = lambda name: gate.wait() if name == "commit" else None
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    assert credential.replica.outbox.kept is not None
    assert not await credential.replica.settle()
    gate.set()
    await renewal


@virtual
async def test_an_answer_that_waits_in_another_loop_is_not_waited_for():
    """Its flight cannot be joined from here, and nothing is spent until it is stored: that is said at once."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    store.down.add("commit")
    await credential.refresh()
    saving = credential.replica._saving
    saving.loop, here = asyncio.SelectorEventLoop(), saving.loop
    before = monotonic()
    with pytest.raises(StoreUnavailable, match="an answer waits"):
        await credential.replica.settle()
    assert monotonic() == before
    saving.loop.close()
    saving.loop = here
    store.down.clear()
    await asyncio.sleep(1)
    assert credential.replica.outbox.kept is None


@virtual
async def test_a_login_takes_the_place_of_an_answer_that_waits():
    """An answer waits for the store, and the user logs in: the login is what is held, stored and served from then on."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    store.down.add("commit")
    await credential.refresh()
    login = await credential.login(email="ada@example.com", password="correct horse")
    await asyncio.sleep(2)
    store.down.clear()
    await asyncio.sleep(2)
    assert await credential.token() == login
    assert (await Worker(store, vendor).credential(USER).token()).access_token == login.access_token
    assert (await credential.refresh()).access_token
    assert vendor.counts["reuse"] == 0


# -- Secrets.


@virtual
async def test_a_rotated_secret_is_stored_before_it_is_used_and_found_by_all():
    """``rotate_secret`` returns when the store has it; a worker that holds the old one finds it, and is refused nothing."""
    store, vendor = Store(), Vendor()
    rotating, other = Worker(store, vendor), Worker(store, vendor)
    await other.credential(CLIENT).token()
    await rotating.credential(CLIENT).rotate_secret()
    assert (await store.read(secret_key(CLIENT))).record is not None
    await other.credential(CLIENT).refresh()
    await Worker(store, vendor).credential(CLIENT).refresh()
    spent = [secret for _, path, secret in vendor.sent if path == "/oauth/token"]
    assert spent[0] == "first-secret"
    assert set(spent[1:]) == {vendor.secret}


@virtual
async def test_an_invalid_client_with_nothing_newer_is_the_callers():
    """The secret is simply wrong: asked once, told at once, without the secret."""
    vendor = Vendor()
    wrong = attrs.evolve(CLIENT, client_secret="canary-wrong")
    with pytest.raises(InvalidClient) as caught:
        await Worker(Store(), vendor).credential(wrong).token()
    assert caught.value.who == "you"
    assert "canary" not in f"{caught.value!r}{vars(caught.value)}"
    assert vendor.counts["requests"] == 1


@virtual
async def test_two_workers_rotate_at_once():
    """One rotates, the other waits and shares its secret; nobody is left with a dead one."""
    store, vendor = Store(), Vendor()
    workers = [Worker(store, vendor) for _ in range(2)]
    for worker in workers:
        await worker.credential(CLIENT).token()
    vendor.delay = 1
    await asyncio.gather(*(worker.credential(CLIENT).rotate_secret() for worker in workers))
    assert vendor.counts["/oauth/clients/shop/rotate"] == 1
    for worker in workers:
        assert (await worker.credential(CLIENT).refresh()).access_token


@virtual
async def test_a_rotated_secret_that_the_store_does_not_take_is_used_and_offered():
    """The store goes away at the worst moment: this is said, this worker goes on with the new one, and it is stored."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    store.down.add("commit")
    with pytest.raises(StoreUnavailable, match="offers it on"):
        await credential.rotate_secret()
    assert (await credential.refresh()).access_token
    store.down.clear()
    await asyncio.sleep(2)
    assert (await Worker(store, vendor).credential(CLIENT).refresh()).access_token


@virtual
async def test_an_answer_without_a_known_secret_is_kept_for_the_operator(caplog):
    """The old secret is dead by now: the answer is in the error, in the store, and in no log."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = worker.credential(CLIENT)
    await credential.token()
    vendor.fails(answer(200, {"success": True, "newSecretValue": "canary-new"}))
    with pytest.raises(MalformedResponse) as caught:
        await credential.rotate_secret()
    assert "canary-new" in caught.value.raw.reveal()
    record = (await store.read(answer_key(CLIENT))).record
    assert "canary-new" in worker.context.codec.open(answer_key(CLIENT), record).client_secret
    assert answer_key(CLIENT) in caplog.text
    assert "canary" not in caplog.text + repr(caught.value) + str(caught.value)


@virtual
async def test_no_rotation_without_the_store():
    """A store that is away keeps a rotation from being begun: a secret that cannot be stored must not be made."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    await credential.token()
    store.down.add("claim")
    with pytest.raises(StoreUnavailable):
        await credential.rotate_secret()
    assert not any("rotate" in path for path in vendor.counts)


# -- Keys.


@virtual
async def test_what_is_stored_is_sealed_and_several_keys_open_it():
    """Nothing of a token is in the store; the newest key writes, older ones read; records are sealed anew as they are renewed."""
    store, vendor = Store(), Vendor()
    old = await logged_in(Worker(store, vendor, keys=KEYS[0]))
    first = (await store.read(old.replica.key)).record
    assert first.value.startswith(b"LA1")
    assert b"refresh" not in first.value
    both = Worker(store, vendor, keys=[KEYS[1], KEYS[0]]).credential(USER)
    assert await both.token() == await old.token()
    await both.refresh()
    new = Worker(store, vendor, keys=KEYS[1]).credential(USER)
    assert await new.token() == await both.token()
    with pytest.raises(CorruptRecord):
        await Worker(store, vendor, keys=KEYS[0]).credential(USER).token()


@pytest.mark.parametrize("keys", [KEYS[2], None], ids=["wrong", "none"])
@virtual
async def test_a_wrong_key_names_record_and_key(keys):
    """The operator learns which record and which key; the vendor is not asked, the record not touched."""
    store, vendor = Store(), Vendor()
    sealed = await logged_in(Worker(store, vendor, keys=KEYS[0]))
    before = (await store.read(sealed.replica.key)).record
    with pytest.raises(CorruptRecord) as caught:
        await Worker(store, vendor, keys=keys).credential(USER).token()
    assert sealed.replica.key in str(caught.value)
    assert ("key " in str(caught.value)) == (keys is not None)
    assert caught.value.who == "the operator"
    assert (await store.read(sealed.replica.key)).record == before
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_a_record_that_was_moved_does_not_open():
    """Put under another account's key, or back under an older version, a sealed record is no good."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor, keys=KEYS[0])
    ada = await logged_in(worker, "ada")
    value = (await store.read(ada.replica.key)).record.value
    mallory = worker.credential(USER, "mallory")
    claim = await store.claim(mallory.replica.key, "x", 1, 0, b"")
    await store.commit(mallory.replica.key, claim.number, value)
    with pytest.raises(CorruptRecord, match="moved"):
        await mallory.token()
    claim = await store.claim(ada.replica.key, "x", 1, 10**13, b"")
    await store.commit(ada.replica.key, claim.number, value)
    with pytest.raises(CorruptRecord, match="moved"):
        await Worker(store, vendor, keys=KEYS[0]).credential(USER, "ada").token()


@virtual
async def test_plain_records_are_read_only_where_that_is_asked_for():
    """A store from before there were keys: refused, unless ``plain`` is among the keys; then renewed records are sealed."""
    store, vendor = Store(), Vendor()
    plain = await logged_in(Worker(store, vendor))
    with pytest.raises(CorruptRecord, match="plain"):
        await Worker(store, vendor, keys=KEYS[0]).credential(USER).token()
    moving = Worker(store, vendor, keys=[KEYS[0], "plain"]).credential(USER)
    assert await moving.token() == await plain.token()
    await moving.refresh()
    assert (await store.read(moving.replica.key)).record.value.startswith(b"LA1")


@pytest.mark.parametrize("keys", ["", "short", "é" * 43, b64encode(b"x" * 31).decode(), [], ["plain"], [KEYS[0], "x"]])
def test_keys_that_are_none(keys):
    """Each is a ``ConfigurationError`` when the engine is made, and shows nothing of the key."""
    with pytest.raises(ConfigurationError) as caught:
        Worker(Store(), Vendor(), keys=keys)
    assert KEYS[0] not in str(caught.value)
    assert "short" not in str(caught.value)


def test_without_the_extra_keys_are_refused_in_words(monkeypatch):
    """``cryptography`` is not there: said when the engine is made, with the cure, and not when something is stored."""
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(ConfigurationError, match=r"linkauth\[crypto\]"):
        Worker(Store(), Vendor(), keys=KEYS[0])


def test_escrow_in_a_folder_needs_keys():
    """Answers lie there encrypted or not at all."""
    with pytest.raises(ConfigurationError, match="keys"):
        Worker(Store(), Vendor(), escrow="/tmp/escrow")


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"refresh_ahead": -1},
        {"refresh_ahead": float("nan")},
    ],
)
def test_settings_that_cannot_work(settings):
    """A time-out of nothing, a lead that is none: a ``ConfigurationError`` when the engine is made."""
    with pytest.raises(ConfigurationError):
        Worker(Store(), Vendor(), **settings)


# -- Records.

BROKEN = {
    "nothing": b"",
    "garbage": b"\xff\x00garbage",
    "not an object": b"[1]",
    "no format": b'{"kind":"token"}',
    "newer": b'{"linkauth":2,"kind":"token"}',
    "another kind": b'{"linkauth":1,"kind":"secret","vendor":"x","client_secret":"canary"}',
    "unknown kind": b'{"linkauth":1,"kind":"dragon"}',
    "wrong types": b'{"linkauth":1,"kind":"token","vendor":1,"account":"a","token":{"access_token":["canary"]}}',
    "unprintable": b'{"linkauth":1,"kind":"reauthorize","vendor":"x","account":"a","reason":"canary\\u001b"}',
    "deep": b'{"linkauth":1,"kind":"token","token":' + b"[" * 5000 + b"]" * 5000 + b"}",
}


@pytest.mark.parametrize("kind", BROKEN)
@virtual
async def test_a_record_that_cannot_be_read(kind):
    """A user's session, broken or of a newer linkauth: ``CorruptRecord`` that names it and shows nothing of it; the vendor is not asked."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(USER)
    key = credential.replica.key
    claim = await store.claim(key, "x", 1, 0, b"")
    await store.commit(key, claim.number, BROKEN[kind])
    with pytest.raises(CorruptRecord) as caught:
        await credential.token()
    assert key in str(caught.value)
    assert "canary" not in f"{caught.value!r} {caught.value} {vars(caught.value)}"
    assert caught.value.who == "the operator"
    assert vendor.counts["requests"] == 0
    if kind == "newer":
        assert "upgrade" in str(caught.value)


@virtual
async def test_a_note_that_cannot_be_read_counts_as_none():
    """A note is advice: garbage in its place holds nobody up."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    claim = await store.claim(credential.replica.key, "x", 1, 0, b"\xffgarbage")
    await store.release(credential.replica.key, claim.number, b"\xffgarbage")
    assert (await credential.token()).access_token


@virtual
async def test_a_store_that_raises_anything_is_a_store_that_is_away():
    """Somebody else's store raises what it likes: ``StoreUnavailable`` with the class alone, for its words may hold a URL."""

    class Odd(Store):
        def __getattr__(self, name):
            async def call(*args, **kwargs):
                raise ZeroDivisionError("redis://user:canary@host")

            return call if name in {"claim", "read"} else super().__getattr__(name)

    with pytest.raises(StoreUnavailable, match="ZeroDivisionError") as caught:
        await Worker(Odd(), Vendor()).credential(USER).token()
    assert "canary" not in str(caught.value)


@virtual
async def test_a_store_that_hangs_is_given_up_in_time():
    """With no token, a rotating vendor and a store that never answers: an error within the time-out."""
    store = Store()
    store.hung.add("*")
    with pytest.raises((StoreUnavailable, VendorUnavailable)):
        await Worker(store, Vendor()).credential(USER).token()
    assert monotonic() - 1000 <= 11
    with pytest.raises(LinkAuthError):
        await Worker(store, Vendor()).credential(USER).login(email="a@example.com", password="p")
