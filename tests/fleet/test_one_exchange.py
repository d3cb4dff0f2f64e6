"""Many processes of many tasks with one rotating credential: it is renewed once, and everybody has it."""

from __future__ import annotations

import asyncio

import pytest

pytestmark = pytest.mark.long


@pytest.mark.parametrize(("processes", "tasks"), [(4, 200), (8, 500)])
async def test_an_expired_credential_is_renewed_once_for_all(scene, processes, tasks) -> None:
    """Processes of tasks that all ask at once with an expired token: one exchange, no reuse, everybody is served."""
    workers = await scene.fleet.grow(processes)
    await scene.expired(workers[0])
    found = await asyncio.gather(*(worker.ask("crowd", tasks=tasks) for worker in workers))
    assert [each["errors"] for each in found] == [{}] * processes
    assert [each["served"] for each in found] == [tasks] * processes
    assert len({token for each in found for token in each["tokens"]}) == 1
    assert scene.counts["refresh_token"] == 1
    assert scene.untouched()
