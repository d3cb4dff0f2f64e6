"""What a renewal costs the processor, counted in calls; and what it costs to name a credential."""

from __future__ import annotations

import asyncio

from linkauth import OAuth2
from tests.counts import calls_of
from tests.engine.fakes import BASE, UNSTATED, Store, Vendor, Worker, logged_in
from tests.engine.virtual import VirtualLoop

MOST = 4000
"""Calls of a renewal, those of the test's own store, vendor and clocks among them."""


def test_a_renewal_is_a_few_thousand_calls():
    """From ``refresh()`` to the token, of Python's and of C's functions: a client's, and one with a refresh token."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def begun() -> None:
            await client.token()
            await user.refresh()
            await client.refresh()

        worker = Worker(Store(), Vendor())
        client, user = worker.credential(UNSTATED), runner.run(logged_in(worker))
        runner.run(begun())  # what is made once is there
        calls = {each: len(calls_of(lambda each=each: runner.run(each.refresh()))) for each in (client, user)}
        assert max(calls.values()) <= MOST


def test_naming_a_credential_hashes_no_field_of_its_vendor():
    """An app names it for each request: the vendor's hash, over a dozen fields and the secret, is kept."""
    vendor = OAuth2(name="vendor", client_id="shop", client_secret="s", token_url=f"{BASE}/token")
    worker = Worker(Store(), Vendor())
    credential = worker.credential(vendor, "ada")
    calls = calls_of(lambda: worker.credential(vendor, "ada"))
    assert worker.credential(vendor, "ada") is credential
    assert "Secret.__hash__" not in calls
    assert len(calls) <= 12
