"""What has landed keeps no token alive: after a logout nothing that the engine or the loop still has leads to one."""

from __future__ import annotations

import asyncio
import gc
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from linkauth import middleware
from linkauth.engine.flight import Flight
from linkauth.errors import LinkAuthError, NoAnswer
from tests.asked import answered, asked
from tests.engine.fakes import BASE, CLIENT, USER, Store, Vendor, Worker, answer, logged_in
from tests.engine.virtual import virtual

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linkauth import Token


def ways(roots: list[object], secrets: set[str], beyond: set[int]) -> Iterator[str]:
    """The ways from ``roots`` to any of ``secrets``, but through what is ``beyond``, modules, classes and globals."""
    waiting, seen = [(root, "") for root in roots], set(beyond)
    while waiting:
        each, path = waiting.pop()
        if isinstance(each, str | bytes):
            text = each if isinstance(each, str) else each.decode("latin-1")
            if any(secret in text for secret in secrets):
                yield path
        elif id(each) not in seen and not isinstance(each, type | ModuleType | CodeType | BuiltinFunctionType):
            seen.add(id(each))
            parts: Any = gc.get_referents(each)
            if isinstance(each, FunctionType):  # not its globals, which lead everywhere
                parts = [each.__closure__, each.__defaults__, each.__kwdefaults__]
            waiting += [(part, f"{path} > {type(each).__name__}") for part in parts]


def known(*tokens: Token) -> set[str]:
    return {str(text) for token in tokens for text in (token.access_token, token.refresh_token) if text}


def held(worker: Worker, vendor: Vendor, store: Store, secrets: set[str]) -> list[str]:
    """The ways to ``secrets`` that a turn of the loop after it is over has left."""
    gc.collect()
    kept = [one for one in gc.get_objects() if isinstance(one, asyncio.Task | asyncio.Future | Flight)]
    frames = [frame for frame in gc.get_objects() if isinstance(frame, FrameType)]
    beyond = {id(one) for one in (vendor, store, vars(vendor), *frames, asyncio.current_task())}
    beyond |= {id(one) for one in kept if isinstance(one, asyncio.Task) and not one.done()}
    return [*ways([worker, *kept], secrets, beyond)]


@virtual
async def test_nothing_holds_a_token_after_logout():
    """Renewed, looked at, logged in twice and out: no flight, task, future, holding or error leads to a token."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    first, second = await credential.token(), await credential.refresh()
    third = await credential.login(email="ada@example.com", password="correct horse")
    secrets = known(first, second, third)
    assert len(secrets) == 6
    assert held(worker, vendor, store, secrets)  # this very look finds what is there
    await credential.logout()
    del first, second, third
    await asyncio.sleep(0)
    assert held(worker, vendor, store, secrets) == []


@virtual
async def test_nothing_holds_what_was_put_on_a_request_after_logout():
    """The header of the last request was kept for the next one: it goes with its token."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    worker._make = middleware.Credential
    credential = await logged_in(worker)
    secrets = known(await credential.token())
    await credential(asked(f"{BASE}/a"), answered)
    assert any("Signed" in way for way in held(worker, vendor, store, secrets))
    await credential.logout()
    await asyncio.sleep(0)
    assert held(worker, vendor, store, secrets) == []


@virtual
async def test_nothing_holds_a_token_that_was_replaced():
    """A renewal that landed leads to the token that holds now, and to none before it."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker)
    before = known(await credential.token())
    await credential.refresh()
    await asyncio.sleep(0)
    assert held(worker, vendor, store, before) == []


@virtual
@pytest.mark.parametrize("vendor_of", [CLIENT, USER], ids=lambda vendor: vendor.name)
async def test_a_failure_that_is_kept_for_others_leads_to_no_token(vendor_of):
    """What was raised and is shared for a while has no frames: none of its traceback, cause or context holds a token."""
    store, vendor = Store(), Vendor()
    worker = Worker(store, vendor)
    credential = await logged_in(worker) if vendor_of is USER else worker.credential(CLIENT)
    secrets = known(await credential.token())
    for fault in (NoAnswer("gone"), answer(500, b"x"), answer(200, b"<html>"), answer(400, {"error": "invalid_scope"})):
        vendor.fails(fault, times=9)
        with pytest.raises(LinkAuthError):
            await credential.refresh()
        vendor.faults.clear()
        await asyncio.sleep(100)
    await credential.logout()
    await asyncio.sleep(0)
    assert held(worker, vendor, store, secrets) == []
