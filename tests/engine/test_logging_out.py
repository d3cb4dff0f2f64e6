"""A logout says what it leaves open at the vendor: in the vendor's words, in the event, on the command line."""

from __future__ import annotations

import attrs
import pytest

from linkauth import Linkkit, LinkXG, LinkXGUser, OAuth2, SageX3
from linkauth.engine.events import EventKind
from linkauth.errors import ReauthorizationRequired, VendorUnavailable
from linkauth.oauth.token import Token
from linkauth.vendors import Vendor as AnyVendor
from tests.engine.fakes import BASE, USER, Store, Vendor, Worker, answer, logged_in
from tests.engine.virtual import virtual

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
    sage._state.take(Token(access_token="at", expires_at=time.now + 9, refresh_token="rt"), 1, time)
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
    claim = store.inner.claim

    async def claim_and_stop(*args):
        store.inner.claim = claim
        granted = await claim(*args)
        worker.slept -= 20  # stopped for longer than the lease, which somebody else took and gave back meanwhile
        await store.inner.release(user.replica.key, granted.number)
        return granted

    store.inner.claim = claim_and_stop
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
