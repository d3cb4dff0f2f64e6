"""What is said of a session that was made elsewhere: what is believed of it, what is made up, and what is refused."""

from __future__ import annotations

import math

import attrs
import pytest

from linkauth.errors import (
    ConfigurationError,
    UnsupportedGrant,
    UntrustedEndpoint,
)
from linkauth.vendors import Dialect
from tests.engine.fakes import BASE, CLIENT, PAGE, USER, Store, Vendor, Worker
from tests.engine.test_adopting import ACME, DAY, _statuses
from tests.engine.virtual import EPOCH, virtual


@virtual
async def test_a_lifetime_that_nobody_states():
    """Of an access token without an expiry it is the vendor's; where that is not known, nothing comes in."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    for account, stated, until in (("a", 50.0, EPOCH + 50), ("b", math.inf, 253_402_300_799.0)):
        token = await worker.credential(attrs.evolve(ACME, lifetime=stated), account).adopt(access_token="at")
        assert token.expires_at == until
    with pytest.raises(ConfigurationError, match="expires_at"):
        await worker.credential(ACME, "c").adopt(access_token="at", refresh_token="rt")


@virtual
async def test_what_is_stated_of_the_vendors_sessions():
    """Its refresh tokens lapse and its sessions end as those of a login do; who knows better says so."""
    vendor, store = Vendor(), Store()
    lasting = attrs.evolve(ACME, refresh_lifetime=30 * DAY, session_lifetime=365 * DAY)
    ending = attrs.evolve(ACME, session_lifetime=365 * DAY)
    itself = attrs.evolve(ACME, dialect=Dialect(renews_by="access_token"))
    given = {"access_token": "at", "expires_at": EPOCH + 600}
    rows = [
        (lasting, {"refresh_token": "rt"}, EPOCH + 30 * DAY, EPOCH + 365 * DAY),
        (lasting, {"refresh_token": "rt", "refresh_expires_at": EPOCH + DAY}, EPOCH + DAY, EPOCH + 365 * DAY),
        (ending, {"refresh_token": "rt", "refresh_expires_at": EPOCH + DAY}, EPOCH + DAY, EPOCH + DAY),
        (ending, {"refresh_token": "rt", "refresh_expires_at": math.inf}, EPOCH + 365 * DAY, EPOCH + 365 * DAY),
        (itself, {}, EPOCH + 600, None),
        (USER, {"refresh_token": "rt"}, EPOCH + 7 * DAY, None),
        (USER, {}, None, None),
    ]
    for number, (made, more, lapses, ends) in enumerate(rows):
        token = await Worker(store, vendor).credential(made, str(number)).adopt(**given, **more)
        assert (token.refresh_expires_at, token.session_expires_at) == (lapses, ends), number
    assert (await Worker(store, vendor).credential(itself, "4").token()).refresh_token == "at"


@virtual
async def test_an_endpoint_is_believed_as_a_callbacks_is():
    """One that is not listed is refused before anything is stored, however it comes; others take the API's place."""
    vendor, store = Vendor(), Store()
    worker = Worker(store, vendor)
    given = {"access_token": "at", "expires_at": EPOCH + 600}
    for made, more in (
        (ACME, {"endpoint": "https://evil.example"}),
        (ACME, {"extra": {"instance_url": "https://evil.example"}}),
        (PAGE, {"endpoint": "https://evil.example"}),
        (USER, {"endpoint": BASE}),
    ):
        with pytest.raises(UntrustedEndpoint):
            await worker.credential(made).adopt(**given, **more)
    assert store.counts["claim"] == 0
    for account, more in (
        ("a", {"endpoint": "https://eu.acme.example/"}),
        ("b", {"extra": {"instance_url": "https://eu.acme.example"}}),
    ):
        token = await worker.credential(ACME, account).adopt(**given, **more)
        assert ACME.api(token) == "https://eu.acme.example"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, "access token or a refresh token"),
        ({"access_token": ""}, "access_token"),
        ({"access_token": "canary\n"}, "access_token"),
        ({"access_token": 5}, "access_token"),
        ({"refresh_token": ""}, "refresh_token"),
        ({"refresh_token": b"canary"}, "refresh_token"),
        ({"access_token": "at", "expires_at": "tomorrow"}, "Unix seconds"),
        ({"access_token": "at", "expires_at": EPOCH * 1000}, "Unix seconds"),
        ({"access_token": "at", "expires_at": math.nan}, "Unix seconds"),
        ({"refresh_token": "rt", "refresh_expires_at": True}, "Unix seconds"),
        ({"refresh_token": "rt", "scope": 5}, "scope"),
        ({"refresh_token": "rt", "endpoint": 5}, "endpoint"),
        ({"refresh_token": "rt", "extra": ["canary"]}, "extra"),
        ({"refresh_token": "rt", "extra": {"canary": {1, 2}}}, "extra"),
        ({"refresh_token": "rt", "extra": {"canary": math.nan}}, "extra"),
        ({"refresh_token": "rt", "extra": {5: "canary"}}, "extra"),
        ({"access_token": "at", "expires_at": EPOCH - 1}, "expired"),
        ({"refresh_token": "rt", "refresh_expires_at": EPOCH - 1}, "lapsed"),
    ],
    ids=str,
)
@virtual
async def test_what_is_no_session(given, word):
    """It is said by name, without its value, and nothing is stored."""
    worker = Worker(Store(), Vendor())
    with pytest.raises(ConfigurationError, match=word) as caught:
        await worker.credential(USER).adopt(**given)
    assert "canary" not in str(caught.value)
    assert await _statuses(worker) == []


@virtual
async def test_who_needs_no_user_has_no_sessions():
    """Client credentials, whose token can be had at any time."""
    with pytest.raises(UnsupportedGrant):
        await Worker(Store(), Vendor()).credential(CLIENT).adopt(access_token="at", expires_at=EPOCH + 600)


@virtual
async def test_deep_extra():
    """As deep as an answer may be it comes back whole; deeper, it would make the record unreadable."""

    def nested(levels):
        return {"x": nested(levels - 1)} if levels else {}

    worker, store = Worker(Store(), Vendor()), Store()
    with pytest.raises(ConfigurationError, match="deep"):
        await worker.credential(PAGE).adopt(access_token="at", expires_at=EPOCH + 9, extra=nested(40))
    token = (
        await Worker(store, Vendor())
        .credential(PAGE)
        .adopt(access_token="at", expires_at=EPOCH + 600, extra=nested(25))
    )
    assert (await Worker(store, Vendor()).credential(PAGE).token()).extra == token.extra == nested(25)
