"""10,000 tasks of one process ask at once and there is no token: counted in requests, not in seconds."""

from __future__ import annotations

import asyncio

from benchmarks.measure import Row
from linkauth import AuthEngine, LinkXG
from linkauth.sandbox import Sandbox

TASKS = 10_000


async def run(rounds: int) -> list[Row]:
    tasks = TASKS if rounds > 1 else 100
    async with Sandbox() as sandbox, AuthEngine("memory:") as engine:
        part = sandbox.linkxg
        vendor = LinkXG(client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url)
        credential = engine.credential(vendor)
        await asyncio.gather(*(credential.token() for _ in range(tasks)))
        requests = part.counts["token_requests"]
    return [Row(f"{tasks:,} tasks without a token", f"{requests} request", "to the token endpoint")]
