"""The contract's part on processes, real ones, for stores that processes share."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from linkauth.store import Busy, Record
from linkauth.testing.hooks import LONG, Hooks, granted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["Processes"]


class Processes(Hooks):
    """Needs ``process_url``; skipped without it."""

    def _url_or_skip(self) -> str:
        url = self.process_url()
        if url is None:
            import pytest  # noqa: PLC0415 - whoever gets here runs it; to import linkauth.testing needs none

            pytest.skip("no process shares this store")
        return url

    @asynccontextmanager
    async def _worker(self, *arguments: str) -> AsyncGenerator[Process, None]:
        """A process of ``linkauth.testing.worker``, killed in the end."""
        paths = os.pathsep.join(path for path in sys.path if path)
        program = (sys.executable, "-m", "linkauth.testing.worker", self._url_or_skip(), *arguments)
        process = await asyncio.create_subprocess_exec(*program, stdout=PIPE, env={**os.environ, "PYTHONPATH": paths})
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

    async def _said(self, count: int, *task: str) -> list[str]:
        """The lines that ``count`` processes wrote, all working at once and ending well."""
        async with self._worker(str(count), *task) as worker:
            output, _ = await worker.communicate()
            assert worker.returncode == 0
        return output.decode().splitlines()

    async def test_processes_lose_nothing_under_the_lease(self) -> None:
        """Eight processes that each add one, six times, arrive at forty-eight."""
        async with self.opened() as store:
            key = self.fresh()
            await self._said(8, "add", *[key] * 6)
            record = (await store.read(key)).record
            assert record == Record(48, b"48")

    async def test_of_many_processes_one_takes_the_record(self) -> None:
        """Of four processes that want the same ten records each record goes to one."""
        async with self.opened() as store:
            keys = [self.fresh() for _ in range(10)]
            for key in keys:
                await store.commit(key, 1, b"once")
            said = await self._said(4, "take", *keys)
            assert sorted(line for line in said if line.startswith("taken")) == sorted(f"taken {key}" for key in keys)
            assert len(said) == 40

    async def test_a_killed_holder_is_succeeded(self) -> None:
        """Others wait for its lease to end, or know at once that it is dead; then they inherit number and note."""
        ttl = LONG if self.sees_dead_holders else max(2.0, self.moment)
        async with self.opened() as store:
            key = self.fresh()
            async with self._worker("1", "hold", key, str(ttl)) as holder:
                assert holder.stdout
                assert await holder.stdout.readline() == b"held\n"
                assert isinstance(await store.claim(key, "too early", LONG, 0, b""), Busy)
                waiting = asyncio.create_task(store.wait_for_change(key, 0, LONG))
                await asyncio.sleep(0.02)
                holder.kill()
                await holder.wait()
            if self.sees_dead_holders:
                async with asyncio.timeout(5):
                    await waiting
            else:
                waiting.cancel()
                await asyncio.wait([waiting])
                await self.advance(ttl)
            claim = granted(await store.claim(key, "next", LONG, 0, b""))
            assert (claim.number, claim.inherited, claim.note) == (2, True, b"in doubt")
