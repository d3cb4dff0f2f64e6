"""A client secret that the vendor refuses: whose turn is next, and who waits for whom."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs
import pytest

from linkauth import OAuth2
from linkauth.engine.limiter import limiter
from linkauth.errors import (
    InvalidClient,
)
from linkauth.oauth.token import Token
from linkauth.protocol import timing
from linkauth.protocol.keys import secret_key
from linkauth.protocol.limits import secret_digest
from linkauth.protocol.records import SecretRecord
from tests.engine.fakes import (
    BASE,
    CLIENT,
    UNSTATED,
    Fault,
    Store,
    Vendor,
    Worker,
    answer,
    remember,
)
from tests.engine.virtual import monotonic, virtual, wall

if TYPE_CHECKING:
    from linkauth.engine.credential import Credential


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
async def test_two_refusals_at_once_after_a_rotation_elsewhere_both_find_the_new_secret():
    """Two accounts of one client are refused with the old secret at once: both go on with the one in the store."""
    store, vendor = Store(), Vendor()
    old, rotating = Worker(store, vendor), Worker(store, vendor)
    credentials = [old.credential(CLIENT, account) for account in "abc"]
    await credentials[0].token()  # the old worker has looked for a newer secret, and there was none
    await rotating.credential(CLIENT).rotate_secret()
    vendor.delay = 0.5
    tokens = await asyncio.gather(*(credential.refresh() for credential in credentials))
    assert len({token.access_token for token in tokens}) == 3


@virtual
async def test_a_refused_secret_is_the_constructors_turn():
    """The store's is dead: what an operator has put right by hand is tried, and where it is dead too, that is told."""
    store, vendor = Store(), Vendor()
    await Worker(store, vendor).credential(CLIENT).rotate_secret()
    vendor.secret = "by-hand"
    mended = attrs.evolve(CLIENT, client_secret="by-hand")
    assert (await Worker(store, vendor).credential(mended, "mended").token()).access_token
    with pytest.raises(InvalidClient):
        await Worker(store, vendor).credential(CLIENT, "broken").token()


@virtual
async def test_who_is_refused_while_a_rotation_is_under_way_waits_for_its_secret():
    """The vendor has killed the old secret, and its answer is on its way to the other worker."""
    store, vendor = Store(), Vendor()
    rotating, refused = Worker(store, vendor).credential(CLIENT), Worker(store, vendor, timeout=4.0)
    other = refused.credential(CLIENT)
    await rotating.token()
    await other.token()
    vendor.faults.append(Fault(None, acts=True, delay=4))
    rotation = asyncio.create_task(rotating.rotate_secret())
    await asyncio.sleep(1)
    begun = monotonic()
    assert (await other.refresh()).access_token
    assert monotonic() - begun == pytest.approx(3, abs=0.1)
    assert "store lost" not in refused.heard()  # it waits longer than the store may hang, and knows why
    await rotation


@virtual
async def test_who_is_refused_and_finds_a_newer_secret_waits_for_nobody():
    """One look at the store, one more request."""
    store, vendor = Store(), Vendor()
    rotating, other = Worker(store, vendor).credential(CLIENT), Worker(store, vendor).credential(CLIENT)
    await other.token()
    await rotating.rotate_secret()
    store.counts.clear()
    await other.refresh()
    assert (store.counts["read"], store.counts["wait_for_change"]) == (1, 0)


async def held_back(worker: Worker, store: Store, newest: str) -> Credential:
    """A credential whose client secret the vendor has refused to the fleet a moment ago; ``newest`` is in the store."""
    credential = worker.credential(UNSTATED)
    await credential.token()
    refusal = InvalidClient("invalid_client", "no", status=401)
    its_limiter = limiter(worker.context, UNSTATED)
    await its_limiter.refused(refusal, "another account", secret_digest(UNSTATED), wall())
    key = secret_key(UNSTATED)
    record = SecretRecord(vendor=UNSTATED.name, client_secret=newest)
    await store.commit(key, 99, worker.context.codec.close(key, 99, record))
    return credential


@virtual
async def test_who_is_held_back_for_an_old_secret_asks_with_a_newer_one():
    """The fleet knows that the secret is refused, and the store has its successor: only that is shown, and at once."""
    store, vendor = Store(), Vendor()
    credential = await held_back(Worker(store, vendor), store, "new")
    vendor.secret = "new"
    vendor.sent.clear()
    begun = monotonic()
    assert (await credential.refresh()).access_token
    assert [secret for _, _, secret in vendor.sent] == ["new"]
    assert monotonic() == begun


@virtual
async def test_who_is_held_back_and_finds_no_newer_secret_is_told_of_the_refusal():
    """The store has the very secret that was refused: nothing is sent."""
    store, vendor = Store(), Vendor()
    credential = await held_back(Worker(store, vendor), store, "first-secret")
    vendor.sent.clear()
    with pytest.raises(InvalidClient):
        await credential.refresh()
    assert vendor.sent == []


@virtual
async def test_two_dead_secrets_are_asked_about_once_each():
    """The store's and the constructor's are both refused: a worker sends each once, and for its other accounts nothing."""
    store, vendor = Store(), Vendor()
    fleet = [Worker(store, vendor) for _ in range(2)]
    record = SecretRecord(vendor=UNSTATED.name, client_secret="stored")
    key = secret_key(UNSTATED)
    await store.commit(key, 99, fleet[0].context.codec.close(key, 99, record))
    vendor.secret = "neither"
    for number in range(20):
        with pytest.raises(InvalidClient):
            await fleet[number % 2].credential(UNSTATED, f"a{number}").token()
    assert [secret for _, _, secret in vendor.sent] == ["stored", "first-secret"] * 2
    await asyncio.sleep(timing.CLIENT_HOLD[0])
    vendor.secret = "first-secret"  # an operator has put it right at the vendor
    for number in range(20):
        assert (await fleet[number % 2].credential(UNSTATED, f"b{number}").token()).access_token
    assert [secret for _, _, secret in vendor.sent[4:]].count("stored") <= 2


@virtual
async def test_a_refused_secret_is_not_tried_for_another_that_is_refused():
    """The fleet knows that the constructor's is refused: the store's is asked with, refused too, and that is all."""
    store, vendor = Store(), Vendor()
    credential = await held_back(Worker(store, vendor), store, "stored")
    vendor.sent.clear()
    vendor.secret = "neither"
    for _ in range(2):
        with pytest.raises(InvalidClient):
            await credential.refresh()
        await asyncio.sleep(1)
    assert [secret for _, _, secret in vendor.sent] == ["stored"]


class Replacing(OAuth2):
    """A vendor of users that takes a client's secret for a logout, and replaces such secrets."""

    rotates_secret = True


@virtual
async def test_a_logout_whose_secret_was_replaced_meanwhile_is_asked_for_with_the_newest():
    """It needs no permit: the vendor refuses the old secret, the store has its successor, and with that the session ends."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    urls = {
        "token_url": f"{BASE}/oauth/token",
        "authorize_url": f"{BASE}/authorize",
        "revoke_url": f"{BASE}/auth/logout",
    }
    app = Replacing(name="page", client_id="shop", client_secret="first-secret", **urls)
    user = worker.credential(app)
    remember(user, Token(access_token="at", issued_at=wall(), expires_at=wall() + 900), 1)
    gate = asyncio.Event()
    vendor.faults.append(Fault(answer(401, {"error": "invalid_client"}), gate=gate))
    logout = asyncio.create_task(user.logout())
    await asyncio.sleep(1)
    record = SecretRecord(vendor=app.name, client_secret="new")
    await store.commit(secret_key(app), 99, worker.context.codec.close(secret_key(app), 99, record))
    gate.set()
    await logout
    assert [secret for _, _, secret in vendor.sent] == ["first-secret", "new"]
