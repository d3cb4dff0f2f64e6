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
    ConfigurationError,
    InvalidGrant,
    LinkAuthError,
    StateMismatch,
    UnsupportedGrant,
    UntrustedEndpoint,
)
from linkauth.protocol.keys import state_key
from linkauth.protocol.records import PendingRecord
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, answer
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


@pytest.mark.parametrize(("state", "vendor"), [("another", None), ("\u00e9", None), (None, "another")])
@virtual
async def test_a_record_of_another_state_or_vendor_proves_nothing(state, vendor):
    """Whoever can write to the store cannot make a state of his own pass for one that was sent out with a user."""
    store, tokens = Store(), Tokens()
    worker = Worker(store, tokens)
    credential, params = await begun(worker)
    key = state_key(LINKKIT.name, params["state"])
    found = await store.inner.read(key)
    told = worker.context.codec.expect(key, found.record, PendingRecord)
    forged = PendingRecord(
        vendor=vendor or told.vendor,
        account=told.account,
        token_key=told.token_key,
        state=state or told.state,
        redirect_uri=told.redirect_uri,
        scope=told.scope,
        verifier=told.verifier,
        expires_at=told.expires_at,
    )
    number = found.record.version + 1
    await store.inner.commit(key, number, worker.context.codec.close(key, number, forged))
    with pytest.raises(StateMismatch):
        await credential.complete(params)
    assert tokens.counts["requests"] == 0


@virtual
async def test_what_is_no_state_of_ours_is_not_looked_up():
    """Huge, doubled or not ASCII: the store is not even asked. A vendor without a page has no callbacks at all."""
    store = Store()
    worker = Worker(store, Vendor())
    for state in ("", "x" * 513, "\u00e9", ["a", "b"], None):
        with pytest.raises(StateMismatch, match="no state"):
            await worker.complete(LINKKIT, {"state": state, "code": "c"})
    with pytest.raises(StateMismatch, match=r"no state, and says access_denied$"):  # Slack
        await worker.complete(LINKKIT, {"error": "access_denied", "code": "canary-code"})
    for odd in (["a", "b"], "a\r\nb", "y" * 9000, "", 5):
        with pytest.raises(StateMismatch, match=r"no state$"):
            await worker.complete(LINKKIT, {"error": odd})
    with pytest.raises(UnsupportedGrant):
        await worker.complete(CLIENT, {"state": "x", "code": "c"})
    assert not store.counts
    with pytest.raises(StateMismatch, match="unknown"):
        await worker.complete(LINKKIT, {"state": "x" * 512, "code": "c"})
    assert store.counts["read"] == 1


@virtual
async def test_a_refusal_of_the_users_asks_for_no_lease():
    """Nothing is exchanged, so a renewal that is under way is not held up; and the state is spent."""
    store = Store()
    credential, params = await begun(Worker(store, Vendor()))
    store.counts.clear()
    with pytest.raises(AccessDenied):
        await credential.complete({"state": params["state"], "error": "access_denied"})
    assert (store.counts["claim"], store.counts["take"]) == (0, 1)
