"""A smaller scope than was asked for is told once; what only looks smaller is not told at all."""

from __future__ import annotations

import attrs
import pytest

from linkauth import OAuth2
from linkauth.engine.events import EventKind
from linkauth.oauth.scope import not_granted
from linkauth.oauth.token import Token
from tests.engine.fakes import CLIENT, Store, Vendor, Worker, answer
from tests.engine.virtual import virtual

ASKED = attrs.evolve(CLIENT, scope="products:read connections:read")
PAGE = OAuth2(
    name="page",
    client_id="shop",
    token_url="https://vendor.example/oauth/token",
    authorize_url="https://vendor.example/authorize",
    scope="read write",
)


def granting(scope: str | None, **more: object):
    told = {} if scope is None else {"scope": scope}
    return answer(200, {"access_token": "at", "token_type": "Bearer", "expires_in": 900, **told, **more})


def said(worker: Worker) -> list[str]:
    return [event.outcome for event in worker.events if event.kind is EventKind.SCOPE_REDUCED]


@virtual
async def test_a_smaller_scope_is_told_once_and_once_more_when_it_shrinks_again(caplog):
    """In the log and to the listener: what is missing; five renewals of the same say nothing more."""
    vendor, caplog_at = Vendor(), "linkauth"
    vendor.fails(granting("products:read"), times=5)
    vendor.fails(granting("dpp:read"))
    worker = Worker(Store(), vendor)
    credential = worker.credential(ASKED)
    with caplog.at_level("WARNING", caplog_at):
        for _ in range(5):
            await credential.refresh()
    assert said(worker) == ["without connections:read"]
    assert caplog.text.count("less granted than asked for: without connections:read") == 1
    await credential.refresh()
    assert said(worker)[1:] == ["without connections:read products:read"]


@pytest.mark.parametrize(
    "scope",
    [
        None,
        "products:read connections:read",
        "connections:read products:read",
        "connections:read  connections:read products:read",
        "connections:read,products:read",
        "products:read connections:read dpp:read",
        "",
    ],
)
@virtual
async def test_what_is_not_smaller_is_not_told(scope):
    """Another order, the same twice, commas, more than was asked for, and an answer that does not say."""
    vendor = Vendor()
    vendor.fails(granting(scope))
    worker = Worker(Store(), vendor)
    await worker.credential(ASKED).token()
    assert said(worker) == []


@virtual
async def test_each_credential_tells_for_itself():
    """Two accounts of one vendor, two workers: each says it once."""
    vendor, store = Vendor(), Store()
    vendor.fails(granting("products:read"), times=3)
    workers = [Worker(store, vendor) for _ in range(2)]
    await workers[0].credential(ASKED).token()
    await workers[0].credential(ASKED, "b").token()
    await workers[1].credential(ASKED, "c").token()
    assert [len(said(worker)) for worker in workers] == [2, 1]


@virtual
async def test_a_consent_is_held_against_what_its_user_was_asked_for():
    """The scope of this authorization counts, not the registration's; a renewal that loses some of it tells, too."""
    vendor = Vendor()
    worker = Worker(Store(), vendor)
    credential = worker.credential(PAGE)
    for asked, granted in (("read", "read"), ("read write admin", "read write")):
        vendor.fails(granting(granted, refresh_token="rt"))
        url = await credential.authorization_url("https://app.example/callback", scope=asked)
        state = url.partition("state=")[2].partition("&")[0]
        await credential.complete({"code": "c", "state": state})
    assert said(worker) == ["without admin"]
    vendor.fails(granting("read write"), granting("read"))
    await credential.refresh()
    assert said(worker) == ["without admin"]
    await credential.refresh()
    assert said(worker) == ["without admin", "without write"]


@virtual
async def test_a_token_for_this_process_alone_tells_too():
    """With the store away the scope is looked at all the same."""
    vendor, store = Vendor(), Store()
    vendor.fails(granting("products:read"))
    worker = Worker(store, vendor)
    store.down = {"*"}
    await worker.credential(ASKED).token()
    assert said(worker) == ["without connections:read"]


def test_a_refresh_token_is_what_offline_access_asks_for():
    """Microsoft grants it and does not list it; without a refresh token it was not granted."""
    token = Token(access_token="at", scope="openid", expires_at=1.0, refresh_token="rt")
    assert not_granted("openid offline_access", token) == []
    assert not_granted("openid offline_access", attrs.evolve(token, refresh_token=None)) == ["offline_access"]
