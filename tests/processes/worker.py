"""A worker process. Reads orders from standard input, a JSON object a line, and answers each with one.

Tokens are told as digests: enough to see who has the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from hashlib import sha256
from typing import Any

from linkauth import AuthEngine, LinkXG, LinkXGUser
from linkauth.errors import LinkAuthError
from linkauth_stores.file import FileStore


class Stuck(FileStore):
    """A store whose commits are never done."""

    async def commit(self, *args: Any, **kwargs: Any) -> Any:
        say({"stuck": True})
        await asyncio.Event().wait()


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def told(token: Any) -> str:
    return sha256(token.access_token.encode()).hexdigest()[:12]


async def perform(credential: Any, order: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    call, arguments = getattr(credential, order["call"]), order.get("with", {})
    results = await asyncio.gather(*(call(**arguments) for _ in range(order["tasks"])), return_exceptions=True)
    errors = Counter(type(found).__name__ for found in results if isinstance(found, BaseException))
    words = [str(found) for found in results if isinstance(found, LinkAuthError)]
    tokens = {told(found) for found in results if not isinstance(found, BaseException)}
    return {"tokens": sorted(tokens), "errors": errors, "words": words[:1], "seconds": time.monotonic() - began}


async def main() -> None:
    how = json.loads(sys.argv[1])
    store = Stuck(how["path"]) if how.get("stuck") else f"file:{how['path']}"
    kind = {"client": LinkXG, "user": LinkXGUser}[how["kind"]]
    async with AuthEngine(store, **how.get("engine", {})) as engine:
        credential = engine.credential(kind(**how["vendor"]))
        say({"ready": True})
        while line := await asyncio.to_thread(sys.stdin.readline):
            say(await perform(credential, json.loads(line)))


asyncio.run(main())
