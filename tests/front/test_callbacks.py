"""What comes back from the user: one state, one exchange, and nothing for a state of anybody else's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from multidict import MultiDict

from linkauth import (
    AccessDenied,
    AuthEngine,
    AuthorizationPending,
    InvalidGrant,
    InvalidRequest,
    RateLimited,
    StateMismatch,
    UntrustedEndpoint,
    VendorUnavailable,
)
from linkauth_stores.memory import MemoryStore
from tests.front.vendors import REDIRECT, Vendors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.front.worker import Worker

WITH_A_PAGE = ["Linkkit", "SageX3", "OAuth2"]


@pytest.mark.parametrize("name", WITH_A_PAGE)
async def test_engine_complete_finds_the_account_by_its_state(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """Two users are asked at once; each callback ends in its own account, in whatever mapping it comes."""
    vendor = vendors.make(name)
    callbacks = {who: await vendors.callback(engine.credential(vendor, who)) for who in ("ada", "bob")}
    bob = await engine.complete(vendor, MultiDict(callbacks["bob"]))
    assert bob is engine.credential(vendor, "bob")
    ada = await engine.complete(vendor, callbacks["ada"])
    assert ada.account == "ada"
    assert (await ada.token()).access_token != (await bob.token()).access_token
    assert vendors.part(name).counts["authorization_code"] == 2


@pytest.mark.parametrize(("url", "name"), [("file", "Linkkit"), ("redis", "SageX3")], indirect=["url"])
async def test_two_processes_with_one_state(
    url: str, vendors: Vendors, process: Callable[..., Awaitable[Worker]], name: str
) -> None:
    """A callback is delivered to two processes at once: one wins, the other hears StateMismatch, one exchange is made."""
    part = vendors.part(name)
    workers = [await process(), await process()]
    async with AuthEngine(url) as engine:
        credential = engine.credential(vendors.make(name))
        params = await vendors.callback(credential)
        order = {"vendor": (name, vendors.arguments[name]), "params": params}
        with part.hold("token", when="before") as held:
            for worker in workers:
                worker.order("complete", **order)
            await held.arrived()
            answers = [asyncio.create_task(worker.answer()) for worker in workers]
            done, late = await asyncio.wait(answers, return_when="FIRST_COMPLETED")
            assert [answer.result()["error"] for answer in done] == ["StateMismatch"]
        assert [await answer for answer in late] == ["default"]
        assert part.counts["authorization_code"] == part.counts["token_requests"] == 1
        assert part.counts["code_reuse"] == 0
        assert (await credential.token()).access_token  # this process has what the winner brought
        assert part.counts["token_requests"] == 1


@pytest.mark.parametrize("name", WITH_A_PAGE)
async def test_a_state_that_is_not_this_ones(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """Another account's, registration's or vendor's state, a forged, missing, doubled or used one: nothing is sent."""
    vendor, part = vendors.make(name), vendors.part(name)
    ada = engine.credential(vendor, "ada")
    good = await vendors.callback(ada)
    other = "SageX3" if name == "Linkkit" else "Linkkit"
    foreign = await vendors.callback(engine.credential(vendors.make(other), "ada"))
    registered_elsewhere = vendors.make(name, client_id="another-app")
    doubled = MultiDict([*good.items(), ("state", good["state"])])
    wrong: list[dict[str, Any]] = [
        {**good, "state": foreign["state"]},
        {**good, "state": "A" * 43},
        {**good, "state": good["state"][:-1]},
        {**good, "state": good["state"] + "A"},
        {**good, "state": ""},
        {**good, "state": 7},
        {key: value for key, value in good.items() if key != "state"},
        {},
    ]
    for params in (*wrong, doubled):
        with pytest.raises(StateMismatch):
            await ada.complete(params)
        with pytest.raises(StateMismatch):
            await engine.complete(vendor, params)
    with pytest.raises(StateMismatch):
        await engine.credential(vendor, "eve").complete(good)
    with pytest.raises(StateMismatch):
        await engine.complete(registered_elsewhere, good)
    assert part.counts["token_requests"] == 0
    await ada.complete(good)  # none of that used the state up
    for again in (ada.complete(good), engine.complete(vendor, good)):
        with pytest.raises(StateMismatch):
            await again
    assert part.counts["token_requests"] == 1


@pytest.mark.parametrize(("name", "lifetime"), [("Linkkit", 600.0), ("SageX3", 86_400.0), ("OAuth2", 600.0)])
async def test_a_state_lives_ten_minutes_and_a_pairings_a_day(vendors: Vendors, name: str, lifetime: float) -> None:
    """Just before its end a state is good, at its end it is not, and nothing is sent for it then."""
    now = [1_000_000.0]
    async with AuthEngine(MemoryStore(clock=lambda: now[0])) as engine:
        credential = engine.credential(vendors.make(name))
        early, late = await vendors.callback(credential), await vendors.callback(credential)
        now[0] += lifetime - 1
        assert (await credential.complete(early)).access_token
        now[0] += 1
        with pytest.raises(StateMismatch):
            await credential.complete(late)
    assert vendors.part(name).counts["token_requests"] == 1


@pytest.mark.parametrize("name", WITH_A_PAGE)
async def test_a_refusal_is_told_once(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """A user who refuses: AccessDenied with the vendor's words, nothing is sent, and the state is used up."""
    credential = engine.credential(vendors.make(name))
    url = await credential.authorization_url(REDIRECT)
    params = vendors.part(name).consent(url, accept=False).params
    with pytest.raises(AccessDenied) as caught:
        await engine.complete(credential.vendor, params)
    assert caught.value.description in {"The user refused", "The pairing was rejected"}
    assert caught.value.status == 0
    with pytest.raises(StateMismatch):
        await credential.complete(params)
    assert vendors.part(name).counts["token_requests"] == 0


@pytest.mark.parametrize("name", WITH_A_PAGE)
async def test_a_parameter_that_comes_twice_is_refused(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """RFC 6749 §3.1: which of two codes is meant nobody can say; nothing is sent, and the state stays good."""
    credential = engine.credential(vendors.make(name))
    good = await vendors.callback(credential)
    code = "authorizationCode" if name == "SageX3" else "code"
    with pytest.raises(InvalidRequest, match=code):
        await credential.complete(MultiDict([*good.items(), (code, "injected")]))
    assert vendors.part(name).counts["token_requests"] == 0
    assert (await credential.complete(good)).access_token


async def test_a_pairing_that_is_still_pending_may_be_completed_later(engine: AuthEngine, vendors: Vendors) -> None:
    """AuthorizationPending leaves the state good; the same callback ends well once the X3 user has accepted."""
    sage = vendors.sandbox.sagex3
    sage.settings.customer_region = False
    credential = engine.credential(vendors.make("SageX3"))
    pairing = sage.visit(await credential.authorization_url(REDIRECT))
    params = {"authorizationCode": pairing.code, "state": pairing.state}
    for _ in range(2):
        with pytest.raises(AuthorizationPending, match="has not been accepted"):
            await engine.complete(credential.vendor, params)
    await sage.accept(pairing.state, ["SEED"])
    completed = await engine.complete(credential.vendor, params)
    assert "folder.SEED" in (await completed.token()).scope


@pytest.mark.parametrize("name", WITH_A_PAGE)
async def test_a_code_that_was_not_spent_may_be_sent_again(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """A vendor that had too much to do has not seen the code: the user need not be asked again."""
    part = vendors.part(name)
    credential = engine.credential(vendors.make(name))
    params = await vendors.callback(credential)
    part.fault("token", status=429, retry_after=77)
    with pytest.raises(RateLimited) as caught:
        await credential.complete(params)
    assert caught.value.retry_after == 77
    assert (await credential.complete(params)).access_token
    assert part.counts["authorization_code"] == 1


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 504}, {"drop": True}], ids=["503", "504", "cut off"])
@pytest.mark.parametrize(
    ("url", "name"), [("file", "Linkkit"), ("redis", "SageX3"), ("file", "OAuth2")], indirect=["url"]
)
async def test_a_vendor_that_was_away_costs_no_consent(
    url: str, vendors: Vendors, name: str, fault: dict[str, Any]
) -> None:
    """VendorUnavailable at the code's exchange, as often as it comes: another worker goes on with the same callback."""
    part = vendors.part(name)
    async with AuthEngine(url, timeout=2) as engine, AuthEngine(url, timeout=2) as other:
        params = await vendors.callback(engine.credential(vendors.make(name)))
        part.fault("token", **fault, times=None)
        for each in (engine, other):
            with pytest.raises(VendorUnavailable):
                await each.complete(vendors.make(name), params)
        part.faults.clear()
        assert await (await other.complete(vendors.make(name), params)).token()
        with pytest.raises(StateMismatch):
            await engine.complete(vendors.make(name), params)
    assert part.counts["authorization_code"] == 1


HOST = "api.customerregion-sagex3.com"
BAD_ENDPOINTS = [
    "https://evil.example/v1",
    f"https://{HOST}/v1",  # by its looks Sage's, and anybody's to register
    f"http://{HOST}/v1",
    "https://203.0.113.7/v1",
    "https://[2001:db8::7]/v1",
    f"https://{HOST}@evil.example/v1",
    f"https://user:pw@{HOST}/v1",
    f"https://{HOST}:8443/v1",
    f"https://{HOST}:443/v1",
    f"https://{HOST}:/v1",
    f"https://{HOST}./v1",
    "https://API.CustomerRegion-SageX3.com/v1",
    "https://api.xn--customerregon-sagex3-hfc.com/v1",
    "https://api.customerregіon-sagex3.com/v1",  # a Cyrillic letter  # noqa: RUF001
    "https://api。customerregion-sagex3。com/v1",
    "https://api.customerregion-sagex3.com.evil.example/v1",
    "https://api.evil.customerregion-sagex3.com/v1",
    "https://evil-sagex3.com/v1",
    f"https://{HOST}/v1?x=1",
    f"https://{HOST}/v1#x",
    f"https://{HOST}\\@evil.example/v1",
    f"https:{HOST}/v1",
    f"//{HOST}/v1",
    f" https://{HOST}/v1",
    f"https://{HOST}/v1\n",
    "javascript:alert(1)",
    "x" * 10_000,
]


@pytest.mark.parametrize("root", ["sandbox", "region"])
async def test_an_endpoint_that_is_not_sages(engine: AuthEngine, vendors: Vendors, root: str) -> None:
    """UntrustedEndpoint through the front door, nothing is sent anywhere, and the pairing still completes."""
    sandbox = vendors.sandbox
    real = "https://api.eu-prod-sagex3.com/v1"
    if root == "region":
        credential = engine.credential(vendors.make("SageX3", base_url=real))
        state = (await credential.authorization_url(REDIRECT)).rpartition("state=")[2]
        params = {"authorizationCode": "c", "state": state}
        # Loopback counts only where the configured root is on loopback, too.
        bad = [*BAD_ENDPOINTS, sandbox.elsewhere.base_url, "https://localhost/v1"]
    else:
        credential = engine.credential(vendors.make("SageX3"))
        params = await vendors.callback(credential)
        bad = BAD_ENDPOINTS
    for endpoint in bad:
        with pytest.raises((UntrustedEndpoint, StateMismatch)) as caught:
            await engine.complete(credential.vendor, {**params, "endpoint": endpoint})
        assert type(caught.value) is UntrustedEndpoint, endpoint
    assert sandbox.sagex3.counts["token_requests"] == sandbox.elsewhere.counts["requests"] == 0
    if root == "sandbox":
        token = await credential.complete(params)
        assert token.endpoint == sandbox.sagex3.region_url


async def test_a_forged_callback_never_reaches_the_vendor(engine: AuthEngine, vendors: Vendors) -> None:
    """Without the state an endpoint is not even looked at: StateMismatch, not UntrustedEndpoint."""
    credential = engine.credential(vendors.make("SageX3"))
    params = await vendors.callback(credential)
    with pytest.raises(StateMismatch):
        await credential.complete({**params, "state": "A" * 43, "endpoint": "https://evil.example/v1"})


async def test_a_code_that_has_expired(engine: AuthEngine, vendors: Vendors) -> None:
    """InvalidGrant with the vendor's own words, for each vendor with codes."""
    words = {"Linkkit": "code_invalid_or_expired", "SageX3": "The request has expired.", "OAuth2": "expired"}
    for name, said in words.items():
        credential = engine.credential(vendors.make(name))
        params = await vendors.callback(credential)
        vendors.sandbox.advance(90_000)
        with pytest.raises(InvalidGrant) as caught:
            await credential.complete(params)
        assert said in caught.value.description
