"""A store in a folder, shared by the processes of one host: one file a key, on a local file system, on POSIX.

- A file is replaced whole and durably (``folder``). A lock is held for one read, change and write, never across an
  await: the lease is data like the rest.
- A lease names its owner's process (``presence``), so that a dead one is known at once, not when its lease ends.
- All of it happens in threads (``threads``). What a cancelled call has begun goes on there; a cancelled ``claim`` gives its
  lease back. Reading needs no lock, and who waits for one holds up only those who need the same.
- NFS and its like are not for this store: their locks lock nothing, or fail.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import unquote

from linkauth.errors import ConfigurationError, CorruptRecord, StoreError, StoreUnavailable
from linkauth.store import Finding, Granted
from linkauth_stores.slot import Slot
from linkauth_stores.threads import Threads

try:
    from linkauth_stores import folder, presence
except ImportError:  # no fcntl
    raise ConfigurationError("the file store needs POSIX (flock); on Windows use redis:// or memory:") from None

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Sequence
    from concurrent.futures import Future

    from linkauth.store import Claim, Commit, Reading

__all__ = ["FileStore", "from_url"]

T = TypeVar("T")

SUFFIX = ".record"
SWEEP_EVERY = 100
"""Changes between two sweeps."""
SWEEP_AT_MOST = 200
"""Records that one sweep looks into, chosen by chance; so there are never more forgotten ones than about as many live."""
SHORTEST, LONGEST = 0.005, 0.1
"""Seconds between two looks at a file that somebody waits for: at first, and after a while."""


def from_url(url: str) -> FileStore:
    """The store for ``file:PATH``, ``file:~/PATH`` or ``file:///PATH`` (there ``%20`` is a space). No I/O.

    Raises ``ConfigurationError`` where there is no path, or a host before it.
    """
    path = url.partition(":")[2]
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host not in {"", "localhost"}:
            raise ConfigurationError("file:// is followed by a third slash; for a path from home write file:~/…")
        path = slash + unquote(rest)
    if not path.strip("/"):
        raise ConfigurationError("file: names no folder; write file:~/.linkauth")
    return FileStore(path)


class FileStore:
    """Records in the folder ``path``, which is made (0700) at the first call; ``~`` is home. No I/O here.

    ``clock``: the store's time in Unix seconds; replace it in tests. May be used by several event loops and threads,
    and by the children of a fork. Raises ``StoreUnavailable`` where folder or files are not this user's alone, are
    symbolic links, or cannot be read or written; ``CorruptRecord`` names the file; ``ConfigurationError``, here, that
    ``path`` names no folder.
    """

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time) -> None:
        named = cast("object", os.fspath(path))
        if not isinstance(named, str) or not named or "\0" in named:
            raise ConfigurationError("FileStore: the path of a folder is needed, as a string or a path")
        self._path = Path(named)
        self._clock = clock
        self._threads = Threads()
        self._locked_at: dict[str, float] = {}
        self._changes = 0

    # What runs in a thread.

    @contextmanager
    def _folder(self) -> Generator[tuple[int, Path]]:
        """The folder's descriptor and path; whatever the system says against it as ``StoreUnavailable``."""
        path = self._path = _absolute(self._path)
        try:
            with folder.opened(path) as descriptor:
                yield descriptor, path
        except folder.Refused as error:
            raise StoreUnavailable(f"{path} {error}") from None
        except BlockingIOError:
            raise StoreUnavailable(f"{path}: another process keeps its lock; it may be stopped") from None
        except OSError as error:
            raise StoreUnavailable(f"{path}: {error.strerror or type(error).__name__}") from None

    def _load(self, at: int, path: Path, key: str) -> Slot:
        name = _name(key)
        raw = folder.read(at, name)
        return Slot() if raw is None else Slot.load(raw, key, str(path / name))

    def _lives(self, at: int, slot: Slot) -> bool:
        return slot.lease is None or presence.is_alive(at, slot.lease.process)

    def _read(self, key: str) -> Reading:
        with self._folder() as (at, path):
            return self._load(at, path, key).read(self._clock())

    def _read_many(self, keys: Sequence[str]) -> list[Reading | CorruptRecord]:
        with self._folder() as (at, path):
            return [self._told(at, path, key) for key in keys]

    def _told(self, at: int, path: Path, key: str) -> Reading | CorruptRecord:
        try:
            return self._load(at, path, key).read(self._clock())
        except CorruptRecord as error:
            return error.again()  # without its traceback, whose frames hold the record

    def _findings(self) -> list[Finding]:
        with self._folder() as (at, path):  # which says whose the folder is, and who may look into it
            names = folder.names(at)
            opened = [name for name in names if folder.is_open_to_others(at, name)]
        found = f"{path} and the {len(names)} files in it are for this user alone"
        if not opened:
            return [Finding(found)]
        return [Finding(f"{len(opened)} files in {path} can be read by others", f"chmod 600 {path}/*")]

    def _exists(self) -> bool:
        self._path = _absolute(self._path)
        return os.path.lexists(self._path)

    def _change(self, asked: float, key: str, step: Callable[[Slot, float, int], tuple[Slot, T]]) -> T:
        name = _name(key)
        lock = folder.lock_of(name)
        # Who has stood behind others of this process waits no longer than they, unless they got on.
        until = max(asked, self._locked_at.get(lock, asked)) + folder.PATIENCE
        with self._folder() as (at, path), folder.locked(at, name, until=until):
            self._locked_at[lock] = time.monotonic()
            before = self._load(at, path, key)
            after, answer = step(before if self._lives(at, before) else before.lapse(), self._clock(), at)
            if after is not before:
                folder.replace(at, name, after.dump(key))
        return answer

    def _undo(self, key: str, answer: Future[Claim]) -> None:
        """Once a claim whose caller was cancelled is through, take it back."""
        with suppress(StoreError):  # then its lease ends by itself
            claimed = answer.result()
            if isinstance(claimed, Granted):
                self._change(time.monotonic(), key, lambda slot, _now, _at: (slot.unclaim(claimed.number), None))

    def _quiet(self, key: str, newer_than: int) -> bool:
        with self._folder() as (at, path):
            name = _name(key)
            line = folder.read(at, name, line=True)
            if line is None:
                return False
            slot = Slot.load_head(line, key, str(path / name))[1]
            return slot.quiet(newer_than, self._clock()) and self._lives(at, slot)

    def _names(self, prefix: str) -> list[str]:
        with self._folder() as (at, _):
            start = _encoded(prefix)
            return [name for name in folder.names(at) if _is_record(name) and (name.startswith(start) or "~" in name)]

    def _keys(self, names: list[str], prefix: str) -> list[str]:
        with self._folder() as (at, path):
            found = [self._key(at, path, name) for name in names]
            return [key for key in found if key is not None and key.startswith(prefix)]

    def _key(self, at: int, path: Path, name: str) -> str | None:
        line = folder.read(at, name, line=True)
        if line is None:
            return None
        try:
            key, slot = Slot.load_head(line, None, str(path / name))
        except CorruptRecord:
            # Whoever reads it is told; who lists keys sees that it is there.
            return None if "~" in name else unquote(name.removesuffix(SUFFIX).replace("+", "/"))
        return key if slot.record(self._clock()) else None

    def _sweep(self) -> None:
        """Remove what killed processes and forgotten records left behind."""
        with self._folder() as (at, path):
            names = folder.names(at)
            records = [name for name in names if _is_record(name)]
            for name in names:
                with suppress(OSError, StoreError):
                    if presence.is_presence(name):
                        presence.sweep(at, name)
                    elif folder.is_temporary(name):
                        folder.sweep(at, name)
            for name in random.sample(records, min(SWEEP_AT_MOST, len(records))):
                with suppress(OSError, StoreError):
                    self._forget(at, path, name)

    def _forget(self, at: int, path: Path, name: str) -> None:
        def forgettable() -> bool:
            line = folder.read(at, name, line=True)
            return line is not None and Slot.load_head(line, None, str(path / name))[1].forgettable(self._clock())

        if forgettable():
            with folder.locked(at, name):
                if forgettable():
                    os.unlink(name, dir_fd=at)

    # What runs in the loop.

    async def _look(self, step: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.wrap_future(self._threads.begin("", step, *arguments))

    def _begin_change(self, key: str, step: Callable[[Slot, float, int], tuple[Slot, T]]) -> Future[T]:
        if self._changes % SWEEP_EVERY == 0:
            self._threads.begin("", self._sweep)
        self._changes += 1
        return self._threads.begin(folder.lock_of(_name(key)), self._change, time.monotonic(), key, step)

    async def _write(self, key: str, step: Callable[[Slot, float, int], tuple[Slot, T]]) -> T:
        return await asyncio.wrap_future(self._begin_change(key, step))

    async def read(self, key: str) -> Reading:
        return await self._look(self._read, key)

    async def read_many(self, keys: Sequence[str]) -> list[Reading | CorruptRecord]:
        """``linkauth.store.Batching``: one turn of a thread for all."""
        return await self._look(self._read_many, keys)

    async def findings(self) -> list[Finding]:
        """``linkauth.store.Advising``: who may look."""
        return await self._look(self._findings)

    async def exists(self) -> bool:
        """``linkauth.store.Existing``: whether there is such a folder."""
        return await self._look(self._exists)

    async def claim(self, key: str, owner: str, ttl: float, newer_than: int, note: bytes) -> Claim:
        def step(slot: Slot, now: float, at: int) -> tuple[Slot, Claim]:
            return slot.claim(owner, ttl, newer_than, note, now, presence.own(at))

        answer = self._begin_change(key, step)
        try:
            return await asyncio.wrap_future(answer)
        except asyncio.CancelledError:
            if not answer.cancelled():
                self._threads.begin(folder.lock_of(_name(key)), self._undo, key, answer)
            raise

    async def commit(self, key: str, number: int, value: bytes, ttl: float | None = None) -> Commit:
        return await self._write(key, lambda slot, now, _: slot.commit(number, value, ttl, now))

    async def extend(self, key: str, number: int, ttl: float) -> bool:
        return await self._write(key, lambda slot, now, _: slot.extend(number, ttl, now))

    async def release(self, key: str, number: int, note: bytes = b"") -> bool:
        return await self._write(key, lambda slot, now, _: slot.release(number, note, now))

    async def wait_for_change(self, key: str, newer_than: int, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + timeout, SHORTEST
        while await self._look(self._quiet, key, newer_than):
            left = end - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.3, LONGEST)

    async def take(self, key: str) -> Reading:
        return await self._write(key, lambda slot, now, _: slot.take(now))

    async def delete(self, key: str, number: int) -> bool:
        return await self._write(key, lambda slot, now, _: slot.delete(number, now))

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        names = await self._look(self._names, prefix)
        for start in range(0, len(names), 100):
            for key in await self._look(self._keys, names[start : start + 100], prefix):
                yield key

    async def aclose(self) -> None:
        """Wait for what runs in the threads, and end them. A later call begins new ones."""
        await self._threads.aclose()


def _absolute(path: Path) -> Path:
    try:
        return path if path.is_absolute() else path.expanduser().absolute()
    except RuntimeError:
        raise StoreUnavailable(f"{path}: there is no such home folder") from None


def _encoded(key: str) -> str:
    """Readable, and never the same for two keys, also where file names have no upper and lower case."""
    return re.sub(r"[^a-z0-9_.=-]", _escaped, key)


def _escaped(found: re.Match[str]) -> str:
    return "+" if found[0] == "/" else "".join(f"%{byte:02x}" for byte in found[0].encode())


@lru_cache(maxsize=1000)
def _name(key: str) -> str:
    """``kind/name/digest`` is ``kind+name+digest.record``; too long a one is cut, and told apart by its hash."""
    name = _encoded(key)
    if name.startswith(".") or not name:
        name = "%2e" + name[1:]
    if len(name) > 200:
        name = f"{name[:120]}~{sha256(key.encode()).hexdigest()}"
    return name + SUFFIX


def _is_record(name: str) -> bool:
    return name.endswith(SUFFIX) and not name.startswith(".")
