"""Every answer of the table, played to its flow, and once more through the real transport with aioresponses."""

from __future__ import annotations

from inspect import isfunction
from typing import Any

import attrs
import pytest
from yarl import URL

import linkauth.vendors
from linkauth.aioresponses import aioresponses
from linkauth.errors import LinkAuthError, MalformedResponse, RateLimited, VendorUnavailable
from linkauth.oauth.exchange import Flow
from linkauth.oauth.token import Token
from linkauth.transport import Transport
from linkauth.vendors import Vendor
from tests.vendors.documented import DOCUMENTED
from tests.vendors.vendor_answers import BESIDE, CASES, SENT_AT

NAMES = [case.name for case in (*CASES, *BESIDE)]


def of(name: str) -> list[Any]:
    return [each for each in DOCUMENTED if each.case.name == name]


def equal(one: object, other: object) -> bool:
    """Whether two outcomes are the same result, or the same error in all that it holds."""
    if isinstance(one, LinkAuthError) and isinstance(other, LinkAuthError):
        return (type(one), one.args, vars(one)) == (type(other), other.args, vars(other))
    return one == other


async def sent(transport: Transport, flow: Flow[Any]) -> Any:
    """What comes of ``flow`` when ``transport`` carries its requests."""
    try:
        request = next(flow)
        while True:
            response = await transport.send(request, 5.0)
            request = flow.send(attrs.evolve(response, sent_at=SENT_AT, request=request))
    except StopIteration as done:
        return done.value
    except LinkAuthError as error:
        return error


@pytest.mark.parametrize("name", NAMES)
def test_played(name: str) -> None:
    """Each answer ends in the result, or in the error with the vendor's words, that the table says."""
    for each in of(name):
        outcome = each.case.outcome(each.response)
        assert each.holds(outcome), f"{each.said}: {outcome!r}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
async def test_through_the_transport(name: str) -> None:
    """The request goes out as the flow made it, and the answer ends as it does when it is played."""
    transport = Transport()
    for each in of(name):
        request = next(each.case.flow())
        with aioresponses() as mocked:
            given = {"status": each.response.status, "body": each.response.body, "headers": dict(each.response.headers)}
            mocked.add(request.url, request.method, **given)
            outcome = await sent(transport, each.case.flow())
            ((asked, (call,)),) = mocked.requests.items()
        assert equal(outcome, each.case.outcome(each.response)), f"{each.said}: {outcome!r}"
        assert asked == (request.method, URL(request.url))
        assert (call.kwargs["data"] or b"") == request.body
        assert call.kwargs["headers"].items() >= request.headers.items()


def test_no_vendor_and_no_flow_is_forgotten() -> None:
    """Whoever adds a vendor, or gives one a flow, is asked for its answers: what it grants, how it refuses."""
    flows = [
        name
        for name, made in vars(Vendor).items()
        if isfunction(made) and "Flow[" in str(made.__annotations__.get("return"))
    ]
    assert {"renew", "exchange", "login", "logout", "rotate_secret"} <= set(flows)
    kinds = [kind for kind in vars(linkauth.vendors).values() if isinstance(kind, type) and issubclass(kind, Vendor)]
    kinds = [kind for kind in kinds if hasattr(kind, "name")]  # a base has none, and is no vendor
    theirs = {(kind, name) for kind in kinds for name in flows if getattr(kind, name) is not getattr(Vendor, name)}
    cases = {(type(case.vendor), case.method): case.name for case in (*CASES, *BESIDE)}
    assert theirs == cases.keys()


@pytest.mark.parametrize("name", NAMES)
def test_every_flow_is_granted_and_refused(name: str) -> None:
    """The table has a success, a refusal, a limit and a failure for each of them."""
    kinds = {each.kind for each in of(name)}
    assert {RateLimited, VendorUnavailable} <= kinds
    assert any(not issubclass(kind, LinkAuthError) for kind in kinds)
    if name in {case.name for case in CASES}:
        assert {Token, MalformedResponse} <= kinds
