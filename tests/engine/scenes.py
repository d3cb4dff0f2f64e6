"""What several tests begin with: somebody renews, is stopped or killed, or has what the store has not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from linkauth.errors import StoreUnavailable
from tests.engine.fakes import USER, Fault, Store, Vendor, Worker, logged_in

if TYPE_CHECKING:
    from linkauth.engine.credential import Credential
    from linkauth.oauth.token import Token


async def renewing(credential: Credential, vendor: Vendor) -> tuple[asyncio.Task[Token], asyncio.Event]:
    """A renewal that the vendor has before it since a moment ago, and answers when the event is set."""
    gate = vendor.holds()
    renewal = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    return renewal, gate


async def rotated_unsaved(credential: Credential, store: Store) -> None:
    """The client's secret is rotated while the store takes nothing: this worker has the new one, and nobody else."""
    await credential.token()
    store.down.add("commit")
    with pytest.raises(StoreUnavailable, match="offers it on"):
        await credential.rotate_secret()


def stalls_after_its_claim(worker: Worker, store: Store) -> None:
    """``worker`` is stopped once between a claim and the sending, until its lease has ended, been somebody else's and given back."""
    claim = store.inner.claim

    async def claim_and_stop(key: str, *args: Any) -> Any:
        store.inner.claim = claim
        granted = await claim(key, *args)
        worker.slept -= 20
        await store.inner.release(key, granted.number)
        return granted

    store.inner.claim = claim_and_stop


async def killed_while_renewing(worker: Worker, vendor: Vendor, *, acts: bool = False) -> None:
    """kill -9 while the vendor has its request, which it ``acts`` on or not. No other worker may be at work."""
    fault = Fault(None, acts=acts, gate=None if acts else asyncio.Event(), delay=1e9)
    vendor.faults.append(fault)

    async def call() -> None:
        await worker.credential(USER).token()
        await worker.credential(USER).refresh()

    caller = asyncio.create_task(call())
    await asyncio.sleep(1)
    assert fault not in vendor.faults
    caller.cancel()
    await worker.killed()
    await asyncio.gather(caller, return_exceptions=True)


async def left_in_doubt(store: Store, vendor: Vendor, *, acts: bool = False) -> Credential:
    """A session whose worker was killed while it renewed; lease and token have ended since. -> another worker's, which has not looked."""
    credential = await logged_in(Worker(store, vendor))
    await asyncio.sleep(890)
    await killed_while_renewing(Worker(store, vendor), vendor, acts=acts)
    await asyncio.sleep(40)
    return credential
