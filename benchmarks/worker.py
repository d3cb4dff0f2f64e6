"""A process of ``processes``: ``python -m benchmarks.worker TOKEN_URL PLACE``, told by standard input what to do.

Each line is ``[word, subject, account, tasks]``: ``seed`` puts an expired session in the place, ``ready`` opens what is to be open
before the race, ``go`` runs the tasks. It answers each with how many failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import ClientSession

from benchmarks.by_hand import LEEWAY
from benchmarks.ours import LINKAUTH
from linkauth import AuthEngine, OAuth2

if TYPE_CHECKING:
    from linkauth import Credential

FLOCK, FILELOCK = "flock by hand", "filelock by hand"
PUBLISH, LOCK = "SET NX and PUBLISH by hand", "redis-py Lock by hand"
SUBJECTS = {
    "file": [FLOCK, LINKAUTH, *([FILELOCK] if find_spec("filelock") else [])],
    "redis": [PUBLISH, LINKAUTH, LOCK],
}


class Session(Protocol):
    """How one account's session is kept."""

    async def seed(self) -> None:
        """Store an expired one."""
        ...

    async def ready(self) -> None:
        """Open what is to be open before the race."""
        ...

    async def token(self) -> object:
        """A valid token, for any of this process's tasks."""
        ...


class Linkauth:
    def __init__(self, held: Credential) -> None:
        self._held = held
        self.token = held.token

    async def seed(self) -> None:
        await self._held.adopt(access_token="-", refresh_token="refresh-0", expires_at=time.time() - 10, renew=False)

    async def ready(self) -> None: ...


class ByHand:
    """Check, then one task for all of this process, which asks the other processes (``_shared``)."""

    def __init__(self, account: str, place: str, token_url: str, http: ClientSession) -> None:
        self.account, self.place, self.token_url, self.http = account, place, token_url, http
        self._value, self._until = "", 0.0
        self._task: asyncio.Task[None] | None = None

    async def token(self) -> str:
        if time.time() >= self._until:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._shared())
            await asyncio.shield(self._task)
        return self._value

    async def _shared(self) -> None:
        """Take what another process has fetched, or be the one that fetches."""
        raise NotImplementedError

    def _take(self, found: dict[str, Any]) -> bool:
        self._value, self._until = found["access_token"], found["until"] - LEEWAY
        return time.time() < self._until

    async def _fetched(self, found: dict[str, Any]) -> dict[str, Any]:
        begun = time.time()
        form = {"grant_type": "refresh_token", "refresh_token": found["refresh_token"], "client_id": "a"}
        async with self.http.post(self.token_url, data=form) as answer:
            answer.raise_for_status()
            body = dict(await answer.json())
        return body | {"until": begun + body["expires_in"]}

    async def ready(self) -> None: ...


EXPIRED = {"access_token": "-", "refresh_token": "refresh-0", "until": 1.0}


class Flock(ByHand):
    """Lock a file, look, fetch, write beside it, bring to disk, rename."""

    @property
    def path(self) -> Path:
        return Path(self.place.removeprefix("file:")) / f"by-hand-{self.account}"

    async def seed(self) -> None:
        self.write(EXPIRED)

    def write(self, found: dict[str, Any]) -> None:
        beside = self.path.with_suffix(f".{os.getpid()}")
        with beside.open("w") as file:
            file.write(json.dumps(found))
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self.path)

    def read(self) -> dict[str, Any]:
        return dict(json.loads(self.path.read_text()))

    async def _shared(self) -> None:
        with self.path.with_suffix(".lock").open("w") as lock:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            found = await asyncio.to_thread(self.read)
            if not self._take(found):
                found = await self._fetched(found)
                await asyncio.to_thread(self.write, found)
                self._take(found)


class Filelock(Flock):
    """The same with the ``filelock`` package, which looks again and again."""

    async def _shared(self) -> None:
        from filelock import AsyncFileLock

        async with AsyncFileLock(f"{self.path}.filelock"):
            found = await asyncio.to_thread(self.read)
            if not self._take(found):
                found = await self._fetched(found)
                await asyncio.to_thread(self.write, found)
                self._take(found)


class Publish(ByHand):
    """``SET NX`` decides who fetches; the others listen for what it publishes. Nobody takes over from one that dies."""

    def __init__(self, account: str, place: str, token_url: str, http: ClientSession) -> None:
        from redis.asyncio import Redis

        super().__init__(account, place, token_url, http)
        self.redis: Redis = Redis.from_url(place)
        self.key = f"by-hand:{type(self).__name__}:{account}"

    async def seed(self) -> None:
        await self.redis.set(self.key, json.dumps(EXPIRED))

    async def ready(self) -> None:
        self._heard = self.redis.pubsub(ignore_subscribe_messages=True)
        await self._heard.subscribe(self.key)

    async def _shared(self) -> None:
        found = json.loads(await self.redis.get(self.key))
        if self._take(found):
            return
        if await self.redis.set(f"{self.key}:lock", "1", nx=True, ex=30):
            # Another may have been done between the look and the lock.
            found = json.loads(await self.redis.get(self.key))
            if not self._take(found):
                found = await self._fetched(found)
                await self.redis.set(self.key, json.dumps(found))
                await self.redis.publish(self.key, json.dumps(found))
                self._take(found)
            await self.redis.delete(f"{self.key}:lock")
            return
        async for message in self._heard.listen():
            self._take(json.loads(message["data"]))
            return


class Lock(Publish):
    """redis-py's own lock, which looks again ten times a second, and one task for each process."""

    async def ready(self) -> None:
        await self.redis.ping()

    async def _shared(self) -> None:
        async with self.redis.lock(f"{self.key}:lock", timeout=30):
            found = json.loads(await self.redis.get(self.key))
            if not self._take(found):
                found = await self._fetched(found)
                await self.redis.set(self.key, json.dumps(found))
                self._take(found)


KINDS: dict[str, type[ByHand]] = {FLOCK: Flock, FILELOCK: Filelock, PUBLISH: Publish, LOCK: Lock}


async def _ran(session: Session, tasks: int) -> int:
    ended = await asyncio.gather(*(session.token() for _ in range(tasks)), return_exceptions=True)
    for error in {type(end): end for end in ended if isinstance(end, BaseException)}.values():
        print(repr(error), file=sys.stderr)
    return sum(isinstance(end, BaseException) for end in ended)


async def _serve(token_url: str, place: str) -> None:
    vendor = OAuth2(name="bench", client_id="a", token_url=token_url, authorize_url=f"{token_url}/authorize")
    sessions: dict[tuple[str, str], Session] = {}
    async with AuthEngine(place) as engine, ClientSession() as http:
        print(0, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            word, subject, account, tasks = json.loads(line)
            if (subject, account) not in sessions:
                sessions.clear()  # of the race before
                ours = subject == LINKAUTH
                sessions[subject, account] = (
                    Linkauth(engine.credential(vendor, account))
                    if ours
                    else KINDS[subject](account, place, token_url, http)
                )
            session = sessions[subject, account]
            failed = 0
            if word == "go":
                failed = await _ran(session, tasks)
            else:
                await (session.seed() if word == "seed" else session.ready())
            print(failed, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # whoever started it keeps to one core
    asyncio.run(_serve(*sys.argv[1:]))
