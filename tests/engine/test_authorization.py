"""Callbacks: a state is good once, for one account of one vendor; whatever else comes is refused and sends nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from linkauth import Linkkit, SageX3
from linkauth.errors import (
    AccessDenied,
    AuthorizationPending,
    ConfigurationError,
    InvalidGrant,
    InvalidRequest,
    LinkAuthError,
    NoAnswer,
    NotSent,
    StateMismatch,
    StoreUnavailable,
    UnsupportedGrant,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth.protocol.records import begun_key, state_key
from linkauth.protocol.timing import LEASE_MORE
from linkauth.store import Granted
from tests.engine.fakes import CLIENT, LATER, USER, Store, Vendor, Worker, answer
from tests.engine.virtual import virtual

CALLBACK = "https://app.example.com/connect/callback"
LINKKIT = Linkkit(client_id="c", client_secret="s", scope="links", base_url="https://linkkit.example")
SAGE = SageX3(
    client_id="c",
    client_secret="s",
    base_url="https://api.eu-prod-sagex3.com/v1",
    customer="https://x3.example",
    regions=["us-prod"],
)


class Tokens(Vendor):
    """A token endpoint that takes each code once."""

    def __init__(self) -> None:
        super().__init__()
        self.codes: list[str] = []
        self.hosts: list[str] = []
        self._granted = itertools.count(1)

    async def _answer(self, request):
        self.hosts.append(urlsplit(request.url).netloc)
        return await super()._answer(request)

    def _act(self, path, fields):
        if fields["code"] in self.codes:
            self.counts["exchanged twice"] += 1
        self.codes.append(fields["code"])
        number = next(self._granted)
        token = {"access_token": f"a{number}", "refresh_token": f"r{number}", "token_type": "Bearer", "expires_in": 300}
        return answer(200, {**token, "refresh_token_expires_in": 1000})


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


async def begun(worker: Worker, vendor=LINKKIT, account="default"):
    """A credential whose user was sent off, and the callback that will come."""
    credential = worker.credential(vendor, account)
    state = state_of(await credential.authorization_url(CALLBACK))
    code = "code" if vendor is LINKKIT else "authorizationCode"
    return credential, {"state": state, code: f"code for {state}"}


@virtual
async def test_a_callback_brings_a_token_for_its_account():
    """``engine.complete`` finds the account by the state, on another worker than the one that sent the user off."""
    store, vendor = Store(), Tokens()
    _, params = await begun(Worker(store, vendor), account="ada")
    worker = Worker(store, vendor)
    credential = await worker.complete(LINKKIT, params)
    assert credential is worker.credential(LINKKIT, "ada")
    assert (await credential.token()).access_token == "a1"


@virtual
async def test_states_are_random_and_not_in_the_stores_keys():
    """256 bits, another each time; whoever lists the store's keys learns none."""
    store = Store()
    worker = Worker(store, Tokens())
    states = {(await begun(worker))[1]["state"] for _ in range(50)}
    assert len(states) == 50
    assert min(map(len, states)) >= 43
    keys = [key async for key in store.keys("state/")]
    assert len(keys) == 50
    assert not any(state in key for key in keys for state in states)


@pytest.mark.parametrize("count", [2, 10])
@virtual
async def test_callbacks_with_one_state_at_once(count):
    """Delivered several times at the same moment, to several workers: one wins, the others are told, one exchange."""
    store, vendor = Store(), Tokens()
    _, params = await begun(Worker(store, vendor))
    vendor.delay = 0.5
    store.before = lambda name: asyncio.sleep(0.01)  # so that all have looked before one takes
    workers = [Worker(store, vendor) for _ in range(count)]
    results = await asyncio.gather(*(worker.complete(LINKKIT, params) for worker in workers), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == sorted(
        ["Credential"] + ["StateMismatch"] * (count - 1)
    )
    assert vendor.counts["requests"] == 1


def altered(params, **changes):
    return {name: value for name, value in {**params, **changes}.items() if value is not None}


@pytest.mark.parametrize("state", [None, "", "unknown", "x" * 10_000, "\ud800", "é", "\x00", "a b"])
@virtual
async def test_a_state_that_is_none_of_ours(state):
    """Missing, empty, unknown, huge, or no text that we would make: ``StateMismatch``, nothing sent, the true one stays."""
    vendor = Tokens()
    worker = Worker(Store(), vendor)
    credential, params = await begun(worker)
    for complete in (credential.complete, lambda given: worker.complete(LINKKIT, given)):
        with pytest.raises(StateMismatch):
            await complete(altered(params, state=state))
    assert vendor.counts["requests"] == 0
    assert (await credential.complete(params)).access_token == "a1"


@virtual
async def test_a_state_is_good_once():
    """Reused after its success: ``StateMismatch``, and the token that it brought stays."""
    vendor = Tokens()
    credential, params = await begun(Worker(Store(), vendor))
    token = await credential.complete(params)
    with pytest.raises(StateMismatch):
        await credential.complete(params)
    assert vendor.counts["requests"] == 1
    assert await credential.token() == token


@pytest.mark.parametrize(("vendor_class", "seconds"), [(LINKKIT, 600), (SAGE, 86_400)])
@virtual
async def test_a_state_lasts_as_long_as_its_vendor_says(vendor_class, seconds):
    """Ten minutes, a day for Sage X3; then ``StateMismatch``, nothing sent."""
    vendor = Tokens()
    worker = Worker(Store(), vendor)
    _, early = await begun(worker, vendor_class)
    _, late = await begun(worker, vendor_class)
    await asyncio.sleep(seconds - 1)
    await worker.complete(vendor_class, early)
    await asyncio.sleep(2)
    with pytest.raises(StateMismatch):
        await worker.complete(vendor_class, late)
    assert vendor.counts["requests"] == 1


@virtual
async def test_a_state_of_another_account_vendor_or_registration():
    """Each is refused where it does not belong, with nothing sent, and still good where it does."""
    vendor = Tokens()
    worker = Worker(Store(), vendor)
    credential, params = await begun(worker, account="ada")
    strangers = [
        worker.credential(LINKKIT, "bob"),
        worker.credential(attrs.evolve(LINKKIT, client_id="other"), "ada"),
        worker.credential(attrs.evolve(LINKKIT, scope="more"), "ada"),
        worker.credential(SAGE, "ada"),
    ]
    for stranger in strangers:
        with pytest.raises(StateMismatch):
            await stranger.complete({**params, "authorizationCode": "x"})
    for other in (attrs.evolve(LINKKIT, client_id="other"), SAGE):
        with pytest.raises(StateMismatch):
            await worker.complete(other, {**params, "authorizationCode": "x"})
    assert vendor.counts["requests"] == 0
    assert (await credential.complete(params)).access_token == "a1"


@virtual
async def test_a_store_that_keeps_too_long_makes_no_state_live_longer():
    """``ttl`` lets a store forget; whether a state has expired is read in the record itself."""
    store, vendor = Store(), Tokens()
    true_commit = store.inner.commit
    store.inner.commit = lambda key, number, value, ttl=None: true_commit(key, number, value)
    credential, params = await begun(Worker(store, vendor))
    await asyncio.sleep(601)
    with pytest.raises(StateMismatch):
        await credential.complete(params)
    assert vendor.counts["requests"] == 0


ENDPOINTS = [
    "https://api.evil-sagex3.com/v1",
    "https://evil.example/v1",
    "http://api.eu-prod-sagex3.com/v1",
    "https://203.0.113.7/v1",
    "https://api.eu-prod-sagex3.com@evil.example/v1",
    "https://api.eu-prod-sagex3.com./v1",
    "https://api.eu-prod-sagex3.com:8443/v1",
    "https://API.eu-prod-sagex3.com/v1",
    "https://api.\u0435u-prod-sagex3.com/v1",
]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@virtual
async def test_an_endpoint_elsewhere_is_not_trusted_and_the_state_stays_good(endpoint):
    """A forged endpoint: ``UntrustedEndpoint``, nothing sent to anybody; the true callback completes."""
    vendor = Tokens()
    credential, params = await begun(Worker(Store(), vendor), SAGE)
    with pytest.raises(UntrustedEndpoint):
        await credential.complete({**params, "endpoint": endpoint})
    assert vendor.hosts == []
    await credential.complete({**params, "endpoint": "https://api.us-prod-sagex3.com/v1"})
    assert vendor.hosts == ["api.us-prod-sagex3.com"]


@virtual
async def test_a_forged_endpoint_with_a_wrong_state_is_a_wrong_state():
    """The state is looked at first: who has none learns nothing of endpoints."""
    credential, params = await begun(Worker(Store(), Tokens()), SAGE)
    with pytest.raises(StateMismatch):
        await credential.complete({**params, "state": "x", "endpoint": "https://evil.example/v1"})


@virtual
async def test_pending_leaves_the_state_good():
    """The user has not answered yet: the same callback may be tried again, as often as it takes, and works at last."""
    vendor = Tokens()
    credential, params = await begun(Worker(Store(), vendor), SAGE)
    pending = answer(400, {"message": "The pairing request has not been accepted."})
    vendor.fails(pending, times=3)
    for _ in range(3):
        with pytest.raises(AuthorizationPending):
            await credential.complete(params)
        await asyncio.sleep(3600)
    assert (await credential.complete(params)).access_token == "a1"


@virtual
async def test_pending_does_not_make_a_state_live_longer():
    """However often it is tried, the state ends when it would have."""
    vendor = Tokens()
    credential, params = await begun(Worker(Store(), vendor), SAGE)
    vendor.fails(answer(400, {"message": "The pairing request has not been accepted."}), times=50)
    for _ in range(24):
        with pytest.raises(AuthorizationPending):
            await credential.complete(params)
        await asyncio.sleep(3600)
    with pytest.raises(StateMismatch):
        await credential.complete(params)


@pytest.mark.parametrize("fault", [NotSent("no connection"), "store"])
@virtual
async def test_what_kept_the_code_from_being_sent_leaves_the_state_good(fault):
    """No connection, or no lease to be had: the code was not spent, so the user need not start again."""
    store, vendor = Store(), Tokens()
    credential, params = await begun(Worker(store, vendor))
    if fault == "store":
        true_claim, key = store.inner.claim, credential.replica.key

        async def claim(at, *args):
            if at == key:
                raise StoreUnavailable("away")
            return await true_claim(at, *args)

        store.inner.claim = claim
    else:
        vendor.fails(fault, times=100)
    with pytest.raises((NotSent, StoreUnavailable)):
        await credential.complete(params)
    vendor.faults.clear()
    if fault == "store":
        store.inner.claim = true_claim
    assert (await credential.complete(params)).access_token == "a1"


@virtual
async def test_a_state_that_ends_while_its_code_is_kept_back_is_not_put_back():
    """No connection comes about until the state's time is over: it is not written again, for whatever time."""
    store, vendor = Store(), Tokens()
    credential, params = await begun(Worker(store, vendor))
    await asyncio.sleep(599)
    vendor.fails(NotSent("no connection"), times=100)
    before = store.counts["commit"]
    with pytest.raises(NotSent):
        await credential.complete(params)
    assert store.counts["commit"] == before
    with pytest.raises(StateMismatch):
        await credential.complete(params)


@pytest.mark.parametrize("fault", [NoAnswer("cut off"), answer(503, {}), answer(502, {}), NotSent("no connection")])
@pytest.mark.parametrize("vendor_class", [LINKKIT, SAGE])
@virtual
async def test_a_vendor_that_is_away_costs_no_consent(vendor_class, fault):
    """Whatever kept the code's answer from coming, the same callback goes on later, as often as it takes, elsewhere too."""
    store, vendor = Store(), Tokens()
    credential, params = await begun(Worker(store, vendor), vendor_class)
    vendor.fails(fault, times=100)
    for _ in range(3):
        with pytest.raises(VendorUnavailable):
            await credential.complete(params)
        await asyncio.sleep(100)
    vendor.faults.clear()
    assert (await (await Worker(store, vendor).complete(vendor_class, params)).token()).access_token == "a1"
    with pytest.raises(StateMismatch):
        await credential.complete(params)


@virtual
async def test_a_code_that_was_spent_without_an_answer_is_refused_by_the_vendor():
    """The answer was cut off: sent again, the code is refused (RFC 6749 §4.1.2), which the user hears and which ends it."""
    vendor = Tokens()
    credential, params = await begun(Worker(Store(), vendor))
    vendor.fails(NoAnswer("cut off"), acts=True)
    with pytest.raises(NoAnswer):
        await credential.complete(params)
    vendor.fails(answer(400, {"error": "invalid_grant"}))
    with pytest.raises(InvalidGrant, match="invalid_grant"):
        await credential.complete(params)
    with pytest.raises(StateMismatch):
        await credential.complete(params)
    assert vendor.counts["requests"] == 2


@virtual
async def test_a_vendor_that_is_away_makes_no_state_live_longer():
    """A state that is put back ends when it would have."""
    vendor = Tokens()
    credential, params = await begun(Worker(Store(), vendor))
    vendor.fails(NoAnswer("cut off"), times=100)
    for _ in range(5):
        with pytest.raises(NoAnswer):
            await credential.complete(params)
        await asyncio.sleep(120)
    with pytest.raises(StateMismatch):
        await credential.complete(params)


@virtual
async def test_a_store_that_goes_away_with_the_vendor_costs_no_consent():
    """The state could not be put back at once: it is as soon as the store is there, and the vendor's own fault is told."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    credential, params = await begun(worker)
    gate = vendor.holds()
    vendor.faults[0].outcome, vendor.faults[0].acts = NoAnswer("cut off"), False
    completing = asyncio.create_task(credential.complete(params))
    await asyncio.sleep(1)
    store.down.add("*")
    gate.set()
    with pytest.raises(NoAnswer):
        await completing
    await asyncio.sleep(30)
    store.down.clear()
    await asyncio.sleep(2)
    assert (await (await Worker(store, vendor).complete(LINKKIT, params)).token()).access_token == "a1"


@pytest.mark.parametrize("vendor_class", [LINKKIT, SAGE])
@virtual
async def test_a_worker_that_dies_while_the_vendor_is_asked_costs_no_consent(vendor_class):
    """kill -9, or cut off for good, before the vendor acted: as soon as its lease is over the callback goes on elsewhere."""
    store, vendor = Store(), Tokens()
    its_own = Store(store)
    dead, alive = Worker(its_own, vendor), Worker(store, vendor)
    credential, params = await begun(dead, vendor_class)
    vendor.holds()
    vendor.faults[0].acts = False
    completing = asyncio.create_task(credential.complete(params))
    await asyncio.sleep(1)
    its_own.hung.add("*")  # nothing of what it does from here on is seen by anybody
    with pytest.raises(StateMismatch):  # it may live, and the code is sent once
        await alive.complete(vendor_class, params)
    await asyncio.sleep(30)
    assert (await (await alive.complete(vendor_class, params)).token()).access_token
    with pytest.raises(StateMismatch):
        await alive.complete(vendor_class, params)
    completing.cancel()


@virtual
async def test_who_was_stopped_for_longer_than_a_lease_sends_no_code():
    """Another worker may have used the same callback meanwhile: a code that comes twice may end what it brought."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    credential, params = await begun(worker)
    claims = []

    def stops(name: str) -> None:
        claims.append(name)
        if claims.count("claim") == 2:  # the state's is had, and the session's is asked for
            worker.wall_ahead += 100

    store.before = stops
    with pytest.raises(StoreUnavailable, match="another worker may be using the same callback"):
        await credential.complete(params)
    assert vendor.counts["requests"] == 0
    assert (await credential.complete(params)).access_token


@virtual
async def test_closing_does_not_wait_to_put_a_state_back():
    """With the store away for good an engine closes all the same."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    credential, params = await begun(worker)
    vendor.fails(NotSent("no connection"), times=100)
    store.down.update({"commit", "claim"})
    with pytest.raises(StoreUnavailable):
        await credential.complete(params)
    async with asyncio.timeout(5):
        await worker.aclose()


@virtual
async def test_called_off_while_it_waits_for_its_turn_a_callback_costs_no_consent():
    """Another worker has the lease, and this one's engine closes: no code was sent, so the state is good for the next."""
    store, vendor = Store(), Tokens()
    worker, other = Worker(store, vendor), Worker(store, vendor)
    credential, params = await begun(worker)
    claimed = await store.claim(credential.replica.key, "somebody", 60.0, 0, b"")
    completing = asyncio.create_task(credential.complete(params))
    await asyncio.sleep(1)
    await worker.aclose()
    with pytest.raises(LinkAuthError, match="called off"):
        await completing
    await store.release(credential.replica.key, claimed.number)
    assert (await (await other.complete(LINKKIT, params)).token()).access_token == "a1"


@virtual
async def test_a_refusal_uses_the_state_up():
    """The user said no: that is what the app hears, nothing is sent, and the state is spent."""
    vendor = Tokens()
    credential, params = await begun(Worker(Store(), vendor))
    refused = {"state": params["state"], "error": "access_denied", "error_description": "Ada said no"}
    with pytest.raises(AccessDenied, match="Ada said no"):
        await credential.complete(refused)
    with pytest.raises(StateMismatch):
        await credential.complete(params)
    assert vendor.counts["requests"] == 0


@virtual
async def test_a_refusal_that_is_delivered_twice_is_told_once():
    """The user's no comes to two workers at the same moment: one tells it, the other that the state is used up."""
    store, vendor = Store(), Tokens()
    _, params = await begun(Worker(store, vendor))
    store.before = lambda name: asyncio.sleep(0.01)  # so that both have looked before one takes
    refused = {"state": params["state"], "error": "access_denied"}
    workers = [Worker(store, vendor) for _ in range(2)]
    results = await asyncio.gather(*(each.complete(LINKKIT, refused) for each in workers), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["AccessDenied", "StateMismatch"]
    assert any("used a moment ago" in str(result) for result in results)


@virtual
async def test_a_state_that_is_used_up_between_the_look_and_the_lease():
    """Another worker was faster: nothing is sent, and no lease stays on a state that is no more."""
    store, vendor = Store(), Tokens()
    credential, params = await begun(Worker(store, vendor))
    key = state_key(LINKKIT.name, params["state"])

    def faster(name: str):
        return store.inner.take(key) if name == "claim" else None

    store.before = faster
    with pytest.raises(StateMismatch, match="used a moment ago"):
        await credential.complete(params)
    assert vendor.counts["requests"] == 0
    assert isinstance(await store.inner.claim(key, "the next", 1.0, LATER, b""), Granted)


@virtual
async def test_a_store_that_goes_away_with_the_token_forgets_the_state_when_it_is_back():
    """The user has his token at once; the state is good no more a second after the store can be told so."""
    store, vendor = Store(), Tokens()
    credential, params = await begun(Worker(store, vendor))
    key = state_key(LINKKIT.name, params["state"])
    store.down.add("delete")
    assert (await credential.complete(params)).access_token == "a1"
    await asyncio.sleep(5)
    assert (await store.inner.read(key)).record is not None
    store.down.clear()
    await asyncio.sleep(1.5)
    assert (await store.inner.read(key)).record is None
    deletes = store.counts["delete"]
    await asyncio.sleep(60)
    assert store.counts["delete"] == deletes  # which was enough


@virtual
async def test_a_store_that_stays_away_is_not_told_for_ever_of_a_used_state():
    """As long as the lease would have kept others waiting: then the vendor, who knows the code, refuses it."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    credential, params = await begun(worker)
    store.down.add("delete")
    await credential.complete(params)
    await asyncio.sleep(worker.context.timeout + LEASE_MORE + 2)
    deletes = store.counts["delete"]
    assert deletes > 10
    await asyncio.sleep(60)
    assert store.counts["delete"] == deletes
    assert not worker.context.flights._flights


@virtual
async def test_a_callback_without_a_code_leaves_the_state_good():
    """What this vendor does not send is no answer of the user's."""
    credential, params = await begun(Worker(Store(), Tokens()))
    with pytest.raises(InvalidRequest):
        await credential.complete({"state": params["state"]})
    assert (await credential.complete(params)).access_token == "a1"


@virtual
async def test_a_wrong_code_keeps_the_session_that_there_was():
    """A second pairing that fails does not end the first."""
    worker, vendor = Worker(Store(), Tokens()), None
    vendor = worker._vendor
    credential, params = await begun(worker)
    token = await credential.complete(params)
    _, again = await begun(worker)
    vendor.fails(answer(400, {"error": "invalid_grant"}))
    with pytest.raises(InvalidGrant):
        await credential.complete(again)
    assert await credential.token() == token


@virtual
async def test_cancelled_in_the_middle_the_pairing_completes():
    """The browser went away while the code was exchanged: the token is stored all the same."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    credential, params = await begun(worker)
    vendor.delay = 1
    completing = asyncio.create_task(credential.complete(params))
    await asyncio.sleep(0.5)
    completing.cancel()
    await asyncio.gather(completing, return_exceptions=True)
    await asyncio.sleep(1)
    assert (await Worker(store, vendor).credential(LINKKIT).token()).access_token == "a1"


@virtual
async def test_pkce_ties_the_code_to_the_verifier_in_the_store():
    """The challenge that went out is the digest of the verifier that goes with the code; the store keeps it, not the URL."""
    from base64 import urlsafe_b64encode
    from hashlib import sha256

    sent = []

    class Recording(Tokens):
        def _act(self, path, fields):
            sent.append(fields)
            return super()._act(path, fields)

    vendor = attrs.evolve(LINKKIT, pkce=True)
    credential = Worker(Store(), Recording()).credential(vendor)
    url = await credential.authorization_url(CALLBACK)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    await credential.complete({"state": query["state"], "code": "x"})
    verifier = sent[0]["code_verifier"]
    assert query["code_challenge"] == urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert query["code_challenge_method"] == "S256"
    assert sent[0]["redirect_uri"] == CALLBACK


@virtual
async def test_a_vendor_without_the_flow_says_so():
    """No page, no login, no rotation: ``UnsupportedGrant`` from the method that there is no flow for."""
    worker = Worker(Store(), Vendor())
    calls = [
        worker.credential(CLIENT).authorization_url(CALLBACK),
        worker.credential(CLIENT).login(email="a@example.com", password="p"),
        worker.credential(USER).authorization_url(CALLBACK),
        worker.credential(USER).rotate_secret(),
        worker.credential(LINKKIT).login(email="a@example.com", password="p"),
    ]
    for call in calls:
        with pytest.raises(UnsupportedGrant):
            await call
    with pytest.raises(ConfigurationError):
        await worker.credential(USER).login(email="", password="p")


@virtual
async def test_a_broken_pending_record_is_the_operators():
    """What stands where a pending authorization should be is no such record: typed, named, and nothing sent."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    credential, params = await begun(worker)
    (key,) = [key async for key in store.keys("state/")]
    claim = await store.claim(key, "x", 1, 99, b"")
    await store.commit(key, claim.number, json.dumps({"linkauth": 1, "kind": "pending"}).encode())
    with pytest.raises(LinkAuthError, match=key) as caught:
        await credential.complete(params)
    assert caught.value.who == "the operator"
    assert vendor.counts["requests"] == 0


@virtual
async def test_one_user_fills_no_store():
    """Of five hundred pairings that one user begins, at one worker or another, the last fifty lie in the store, and are good."""
    store, vendor = Store(), Tokens()
    workers = [Worker(store, vendor) for _ in range(2)]
    ada = [(await begun(workers[n % 2], SAGE, "ada"))[1] for n in range(250)]
    _, bob = await begun(workers[0], SAGE, "bob")
    ada += [(await begun(workers[n % 2], SAGE, "ada"))[1] for n in range(250)]
    assert len([key async for key in store.keys("state/")]) == 51
    assert len([key async for key in store.keys("")]) == 53
    for params in ada[:-50]:
        with pytest.raises(StateMismatch):
            await workers[0].complete(SAGE, params)
    for params in (*ada[-50:], bob):
        await workers[0].complete(SAGE, params)


@pytest.mark.parametrize("count", [2, 20])
@virtual
async def test_one_user_begins_several_times_at_once(count):
    """Each of the workers gets its turn, and each state is good; what was too many has gone all the same."""
    store, vendor = Store(), Tokens()
    store.before = lambda name: asyncio.sleep(0.01)
    workers = [Worker(store, vendor) for _ in range(count)]
    for _ in range(3):
        found = await asyncio.gather(*(begun(worker) for worker in workers))
    assert len([key async for key in store.keys("state/")]) == min(3 * count, 50)
    for worker, (_, params) in zip(workers, found, strict=True):
        await worker.complete(LINKKIT, params)


@virtual
async def test_a_worker_that_died_while_beginning_holds_up_nobody_for_long():
    """It had the list to itself: the next waits until that is over, some seconds, and begins."""
    store = Store()
    worker = Worker(store, Tokens())
    key = begun_key(LINKKIT, "default")
    await store.claim(key, "a dead worker", 5.0, 0, b"")
    async with asyncio.timeout(6):
        await begun(worker)


@virtual
async def test_a_list_that_cannot_be_read_keeps_nobody_from_connecting():
    """Another key, another format: it is begun anew."""
    store, vendor = Store(), Tokens()
    worker = Worker(store, vendor)
    key = begun_key(LINKKIT, "default")
    claim = await store.claim(key, "somebody", 5.0, 0, b"")
    await store.commit(key, claim.number, b"\x00 what is this")
    _, params = await begun(worker)
    await worker.complete(LINKKIT, params)
