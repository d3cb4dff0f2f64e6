"""What a credential holds, in bytes: there may be a hundred thousand of them."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import pytest

from tests.engine.fakes import UNSTATED, Store, Vendor, Worker, logged_in
from tests.engine.virtual import virtual


def _sizes(credential: Any) -> dict[int, int]:
    """How large is what ``credential`` leads to, by its ``id``; but for its engine's parts, and what is nobody's."""
    context = credential.replica.context
    seen, waiting = {id(each): 0 for each in (context, *gc.get_referents(context), credential.vendor)}, [credential]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, type | ModuleType | FunctionType | BuiltinFunctionType):
            seen[id(each)] = sys.getsizeof(each)
            waiting += gc.get_referents(each)
    return seen


def bytes_held(credential: Any, other: Any) -> int:
    """Of what is ``credential``'s alone, its token included: not what ``other``, of the same engine and vendor, leads to as well."""
    shared = _sizes(other)
    return sum(size for each, size in _sizes(credential).items() if each not in shared)


@virtual
async def test_a_credential_that_nobody_has_asked_yet_is_small():
    """Naming it costs 500 bytes besides the account's name, with what its engine keeps to find it again."""
    worker, names = Worker(Store(), Vendor()), [f"account {number}" for number in range(6000)]
    kept = [worker.credential(UNSTATED, name) for name in names[:1000]]  # what there is once for all
    tracemalloc.start()
    try:
        kept += [worker.credential(UNSTATED, name) for name in names[1000:]]
        traced, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert traced / 5000 <= 500


@virtual
async def test_what_is_known_of_a_credential_without_a_token_is_small():
    """Once it was asked it holds at most 700 bytes of its own, its key included."""
    worker = Worker(Store(), Vendor())
    credential, other = worker.credential(UNSTATED, "ada"), worker.credential(UNSTATED, "ben")
    assert credential.peek() is other.peek() is None
    assert bytes_held(credential, other) <= 700


@pytest.mark.parametrize("user", [False, True], ids=["client", "user"])
@virtual
async def test_a_renewal_leaves_nothing_behind(user):
    """After three renewals and a look as many bytes are held as after the first token: no flight, no lease, no note."""
    worker = Worker(Store(), Vendor())
    credential = await logged_in(worker) if user else worker.credential(UNSTATED)
    other = worker.credential(credential.vendor, "ben")
    await credential.token()
    await asyncio.sleep(1)
    assert await credential.token()
    before = bytes_held(credential, other)
    for _ in range(3):
        await credential.refresh()
        await asyncio.sleep(1)
        await credential.token()
    worker.slept = 10
    await credential.token()
    await asyncio.sleep(1)
    await credential.token()
    assert bytes_held(credential, other) - before < 100  # a longer number, and what was not yet there
