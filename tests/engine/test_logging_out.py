"""A logout: what it ends here and elsewhere, who overtakes it, and what it leaves open at the vendor."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from linkauth import Linkkit, LinkXG, LinkXGUser, OAuth2, SageX3
from linkauth.engine.escrow import Kept
from linkauth.engine.events import EventKind
from linkauth.errors import (
    NoAnswer,
    ReauthorizationRequired,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.oauth.token import Token
from linkauth.protocol.records import TokenRecord
from linkauth.store import Granted
from linkauth.vendors import Vendor as AnyVendor
from tests.engine.fakes import (
    BASE,
    CLIENT,
    LATER,
    USER,
    Escrow,
    Store,
    Vendor,
    Worker,
    answer,
    logged_in,
    refusal,
    remember,
    remembered,
)
from tests.engine.scenes import renewing, stalls_after_its_claim
from tests.engine.test_waiting import FOR_EVER
from tests.engine.virtual import monotonic, virtual

APP = {"client_id": "c", "client_secret": "s"}

SAGE = SageX3(**APP, base_url="https://api.eu-prod-sagex3.com/v1", customer="https://x3.example")

URLS = {"token_url": "https://a.example/token", "authorize_url": "https://a.example/authorize"}

OPEN = {
    "LinkXG": (LinkXG(**APP), "tokens stay good until they expire"),
    "LinkXGUser": (LinkXGUser(), ""),
    "Linkkit": (Linkkit(**APP), "tokens stay good until they expire"),
    "SageX3": (SAGE, "the pairing stays open at Sage X3"),
    "OAuth2": (OAuth2(name="a", **APP, **URLS), "no revoke_url"),
    "OAuth2, revoking": (OAuth2(name="a", **APP, **URLS, revoke_url="https://a.example/revoke"), ""),
}


def told(worker: Worker) -> list[str]:
    return [event.outcome for event in worker.events if event.kind is EventKind.LOGGED_OUT]


@pytest.mark.parametrize("name", OPEN)
def test_every_vendor_says_what_stays_open(name):
    """Nothing where a session is ended there, else in a sentence for people."""
    vendor, words = OPEN[name]
    assert words in vendor.leaves_open
    assert bool(vendor.leaves_open) == bool(words)


def test_a_vendor_of_somebody_elses_need_not_say_it():
    """Who overrides ``logout`` ends sessions, who does not, does not."""

    @attrs.frozen(kw_only=True)
    class Silent(AnyVendor):
        name: str = "silent"

    class Ending(Silent):
        def logout(self, token):
            yield from ()

    assert "silent has no way to end a session" in Silent().leaves_open
    assert Ending().leaves_open == ""


@virtual
async def test_the_event_says_it():
    """Sage's names the pairing; LinkXG's user leaves nothing; a vendor that is away has ended nothing, and that is told."""
    worker = Worker(Store(), vendor := Vendor())
    sage = worker.credential(SAGE)
    _, time = await worker.context.store_client.ask(worker.context.store_client.store.read(sage.replica.key))
    remember(sage, Token(access_token="at", expires_at=time.now + 9, refresh_token="rt"), 1, time)
    await sage.logout()
    assert told(worker) == [SAGE.leaves_open]
    await (await logged_in(worker)).logout()
    assert told(worker)[1:] == [""]
    user = await logged_in(worker)
    vendor.fails(answer(503, b""), times=50)
    with pytest.raises(VendorUnavailable):
        await user.logout()
    assert told(worker)[2].startswith("not revoked: ")
    assert user.vendor == USER


@virtual
async def test_a_logout_that_was_stalled_past_its_lease_is_carried_out_under_another():
    """Stopped between the claim and the sending: nothing was sent under the old one, and the session ends all the same, once."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    user = await logged_in(worker)
    stalls_after_its_claim(worker, store)
    claims = store.counts["claim"]
    await user.logout()
    assert (store.counts["claim"] - claims, vendor.counts["/auth/logout"]) == (2, 1)
    assert told(worker) == [""]
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()


class Mistaken(LinkXGUser):
    """An adapter with a mistake in it."""

    def logout(self, token):
        raise ZeroDivisionError


@virtual
async def test_an_adapters_mistake_is_no_logout():
    """Nothing was asked of the vendor: whoever called hears of it, and the session is there as before."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    user = worker.credential(Mistaken(base_url=BASE))
    token = await user.login(email="ada@example.com", password="correct horse")
    with pytest.raises(ZeroDivisionError):
        await user.logout()
    assert told(worker) == []
    assert await user.token() == token
    assert await Worker(store, vendor).credential(Mistaken(base_url=BASE)).token() == token


@virtual
async def test_a_logout_that_gives_up_knows_what_it_has_seen():
    """Stopped until its time was over, it finds a later login: the token of the session before that is not served on."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    inner_claim = store.inner.claim

    async def stop_and_claim(*args):
        store.inner.claim = inner_claim
        await logged_in(Worker(store, vendor))
        worker.slept -= 100
        return await inner_claim(*args)

    store.inner.claim = stop_and_claim
    with pytest.raises(StoreUnavailable):
        await credential.logout()
    assert remembered(credential).version == (await store.read(credential.replica.key)).record.version


@virtual
async def test_a_logout_where_no_user_is_needed_goes_by_no_answer_of_long_ago():
    """Stopped while it asked for a lease that somebody has: its time is over when it hears so."""
    store = Store()
    worker = Worker(store, Vendor())
    credential = worker.credential(CLIENT)
    await credential.token()
    await store.inner.claim(credential.replica.key, "stranger", FOR_EVER, 99, b"")
    inner_claim = store.inner.claim

    async def claim_and_stop(*args):
        answer = await inner_claim(*args)
        worker.slept -= 100
        return answer

    store.inner.claim = claim_and_stop
    begun = monotonic()
    with pytest.raises(StoreUnavailable, match="for too long"):
        await credential.logout()
    assert monotonic() == begun


@virtual
async def test_a_logout_where_no_user_is_needed_waits_for_its_lease_but_not_for_ever():
    """Whoever has the lease may be storing a token just now, which would stay there; after two leases it is given up."""
    store = Store()
    credential = Worker(store, Vendor()).credential(CLIENT)
    await credential.token()
    await store.inner.claim(credential.replica.key, "stranger", FOR_EVER, 99, b"")
    begun = monotonic()
    with pytest.raises(StoreUnavailable, match="for too long"):
        await credential.logout()
    assert monotonic() - begun == 2 * (credential.replica.ttl + credential.replica.context.timeout)


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
    assert (other.peek(), remembered(other).token, remembered(other).dead) == (None, None, "logged out")
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await other.token()


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
    assert (remembered(credential).token, remembered(credential).dead) == (None, dead)


@virtual
async def test_a_worker_that_holds_nothing_revokes_what_the_store_has():
    """``linkauth logout`` in a fresh process: the session ends at the vendor, too."""
    store, vendor = Store(), Vendor()
    await logged_in(Worker(store, vendor))
    await Worker(store, vendor).credential(USER).logout()
    assert vendor.counts["/auth/logout"] == 1


@virtual
async def test_a_logout_without_an_answer_is_asked_for_again():
    """Logging out twice harms nobody."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    vendor.fails(NoAnswer("cut off"))
    await credential.logout()
    assert vendor.counts["/auth/logout"] == 2
    assert "adopted" not in worker.heard()


@virtual
async def test_logging_out_of_nothing_forgets_it():
    """No token, so nothing to revoke: the record says that only the user can help, and no request is made."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(USER)
    await credential.logout()
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()
    await credential.logout()  # and once more, of a session that is over
    await Worker(store, vendor).credential(USER).logout()
    assert vendor.counts["requests"] == 0


@virtual
async def test_a_session_that_the_vendor_does_not_know_is_forgotten_without_a_word():
    """It was dead already, which is what was asked for."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.fails(refusal(401, "TOKEN_INVALID"), times=2)  # the access token, and the refresh token too
    await credential.logout()
    with pytest.raises(ReauthorizationRequired):
        await credential.token()


@virtual
async def test_a_logout_that_somebody_overtook_ends_his_session_too():
    """It was stopped past its lease, and a session was written meanwhile: that one is revoked and forgotten as well."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    key, token = credential.replica.key, await credential.token()
    value = credential._context.codec.close(key, LATER, TokenRecord(vendor=USER.name, account="default", token=token))

    def overtaken(name):
        if name == "commit":
            store.before = lambda _: None
            return store.inner.commit(key, LATER, value)
        return None

    store.before = overtaken
    await credential.logout()
    assert vendor.counts["/auth/logout"] == 2
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_a_logout_that_was_stopped_past_its_lease_lets_the_renewal_end_that_began_meanwhile():
    """Else the renewal would be written after it, and bring the session back that the user has ended."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    key, token = credential.replica.key, await credential.token()
    gate = vendor.holds()
    leaving = asyncio.create_task(credential.logout())
    await asyncio.sleep(1)
    assert credential.replica.lease_held is not None
    await store.inner.release(key, credential.replica.lease_held.number)  # as if its lease had ended
    worker.slept -= 20
    renewal = await store.inner.claim(key, "other", 15, remembered(credential).version, b"")
    assert isinstance(renewal, Granted)
    gate.set()
    await asyncio.sleep(1)
    record = TokenRecord(vendor=USER.name, account="default", token=token)
    await store.inner.commit(key, renewal.number, credential._context.codec.close(key, renewal.number, record))
    await leaving
    assert vendor.counts["/auth/logout"] == 2
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_a_session_that_was_stored_during_a_logout_is_revoked_too():
    """The answer to an earlier login came late, under its own lower number: forgotten unrevoked it would live on."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    key, token = credential.replica.key, await credential.token()
    late = await store.inner.claim(key, "other", 1, remembered(credential).version, b"")
    assert isinstance(late, Granted)
    await asyncio.sleep(2)
    gate = vendor.holds()
    leaving = asyncio.create_task(credential.logout())
    await asyncio.sleep(1)
    record = TokenRecord(vendor=USER.name, account="default", token=attrs.evolve(token, refresh_token="late"))
    await store.inner.commit(key, late.number, credential._context.codec.close(key, late.number, record))
    gate.set()
    begun = monotonic()
    await leaving
    assert monotonic() - begun < 1  # its own lease is not waited for
    assert vendor.counts["/auth/logout"] == 2
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_a_late_answer_does_not_undo_a_logout():
    """The user logs out while a stalled worker's renewal is in the air: its answer brings no session back."""
    store, vendor = Store(), Vendor()
    stalled, other = Worker(store, vendor, timeout=60), Worker(store, vendor)
    credential = await logged_in(stalled)
    store.down.add("extend")
    renewal, gate = await renewing(credential, vendor)
    store.down.clear()
    await store.inner.release(credential.replica.key, remembered(credential).version + 1)  # as if its lease had ended
    await other.credential(USER).logout()
    gate.set()
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await renewal
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()


@virtual
async def test_logout_forgets_though_the_vendor_fails():
    """The vendor cannot revoke just now: that is said, and the session is forgotten all the same."""
    store, vendor = Store(), Vendor()
    credential = await logged_in(Worker(store, vendor))
    vendor.fails(answer(500, b""), times=100)
    with pytest.raises(Exception, match="500"):
        await credential.logout()
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await credential.token()
    with pytest.raises(ReauthorizationRequired, match="logged out"):
        await Worker(store, vendor).credential(USER).token()
    assert vendor.counts["/auth/refresh"] == 0


@virtual
async def test_logout_of_a_client_leaves_nothing_and_the_next_call_fetches_anew():
    """A client's record is deleted, here and for all; asking again is a new token."""
    store, vendor = Store(), Vendor()
    credential = Worker(store, vendor).credential(CLIENT)
    old = await credential.token()
    await credential.logout()
    assert (await store.read(credential.replica.key)).record is None
    assert await credential.token() != old
