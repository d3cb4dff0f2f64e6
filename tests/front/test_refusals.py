"""What vendors refuse, by their documented answers, through the front door: the class of each error, and who has to wait."""

from __future__ import annotations

from typing import Any

import pytest

from linkauth import (
    AuthEngine,
    InsufficientScope,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    LinkAuthError,
    OAuthError,
    RateLimited,
    ReauthorizationRequired,
    UnauthorizedClient,
    VendorUnavailable,
)
from tests.front.vendors import ALL, Vendors

RENEWS_AT = {"LinkXG": "token", "LinkXGUser": "refresh", "Linkkit": "token", "SageX3": "token", "OAuth2": "token"}


async def first_token(engine: AuthEngine, vendors: Vendors, name: str) -> Any:
    """What gets the first token, to be awaited."""
    credential = engine.credential(vendors.make(name))
    if name in {"LinkXG", "LinkXGUser"}:
        return vendors.connect(credential)
    return credential.complete(await vendors.callback(credential))


@pytest.mark.parametrize("name", ALL)
async def test_429_at_the_first_token(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """RateLimited with the vendor's own figure."""
    work = await first_token(engine, vendors, name)
    vendors.part(name).fault("login" if name == "LinkXGUser" else "token", status=429, retry_after=44)
    with pytest.raises(RateLimited) as caught:
        await work
    assert (caught.value.retry_after, caught.value.status) == (44, 429)


@pytest.mark.parametrize("name", ALL)
async def test_429_at_a_renewal(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """RateLimited with the time that is left; the token serves on, and asking at once does not reach the vendor."""
    credential, part = engine.credential(vendors.make(name)), vendors.part(name)
    token = await vendors.connect(credential)
    part.reset()
    part.fault(RENEWS_AT[name], status=429, retry_after=44)
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            await credential.refresh()
        assert 40 < (caught.value.retry_after or 0) <= 44
    assert part.counts["requests"] == 1
    assert await credential.token() == token


@pytest.mark.parametrize("name", ["LinkXGUser", "OAuth2"])
async def test_429_at_a_logout(engine: AuthEngine, vendors: Vendors, name: str) -> None:
    """RateLimited after all tries; the token is forgotten here all the same."""
    credential, part = engine.credential(vendors.make(name)), vendors.part(name)
    await vendors.connect(credential)
    part.fault("logout" if name == "LinkXGUser" else "revoke", status=429, retry_after=44, times=None)
    with pytest.raises(RateLimited) as caught:
        await credential.logout()
    assert caught.value.retry_after == 44
    with pytest.raises(ReauthorizationRequired):
        await credential.token()


async def test_a_short_retry_after_is_waited_for(engine: AuthEngine, vendors: Vendors) -> None:
    """Within the time for one exchange the caller does not notice."""
    xg = vendors.sandbox.linkxg
    xg.fault("token", status=429, retry_after=1)
    assert (await engine.credential(vendors.make("LinkXG")).token()).access_token
    assert xg.counts["token_requests"] == 2


def said(**members: str) -> dict[str, Any]:
    import json

    return {"content_type": "application/json", "body": json.dumps(members)}


DOCUMENTED: list[tuple[str, int, dict[str, Any], type[LinkAuthError]]] = [
    ("LinkXG", 400, said(error="invalid_request", error_description="canary words"), InvalidRequest),
    ("LinkXG", 401, said(error="invalid_client", error_description="canary words"), InvalidClient),
    ("LinkXG", 403, said(error="insufficient_scope", error_description="canary words"), InsufficientScope),
    ("Linkkit", 400, said(error="invalid_grant", error_description="canary words"), InvalidGrant),
    ("Linkkit", 400, said(error="unauthorized_client", error_description="canary words"), UnauthorizedClient),
    ("SageX3", 400, said(message="Invalid grant type, canary words"), InvalidRequest),
    ("SageX3", 403, said(message="The application is disabled: canary words"), UnauthorizedClient),
    ("SageX3", 403, said(message="Pairing request not found: canary words"), InvalidGrant),
    ("SageX3", 404, said(message="No application found: canary words"), InvalidClient),
    ("SageX3", 501, said(message="Internal error: canary words"), VendorUnavailable),
]


@pytest.mark.parametrize(("name", "status", "answer", "kind"), DOCUMENTED)
async def test_a_documented_error(
    vendors: Vendors, name: str, status: int, answer: dict[str, Any], kind: type[LinkAuthError]
) -> None:
    """It arrives at the caller as its class, over a real connection, with the vendor's own words."""
    # What may pass is tried until the time is over; a refusal is one at once.
    async with AuthEngine(timeout=2 if kind is VendorUnavailable else 60) as engine:
        work = await first_token(engine, vendors, name)
        vendors.part(name).fault("token", status=status, times=None, **answer)
        with pytest.raises(kind) as caught:
            await work
    assert type(caught.value) is kind
    assert "canary words" in str(caught.value)
    if isinstance(caught.value, OAuthError):
        assert caught.value.status == status


# -- Logout.
