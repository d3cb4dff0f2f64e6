"""A local folder where an answer waits until the store has it.

A vendor that rotates has spent the old refresh token when its answer arrives. Should this process die before the
store took the answer, or the store be away, the answer is still here, encrypted, and a restarted process commits what
it finds. A file is removed when the store has its answer, or a newer one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import attrs

from linkauth.engine.shelf import PATIENCE
from linkauth.errors import StoreError, StoreUnavailable
from linkauth.oauth.token import secret_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Escrow", "FolderEscrow", "Kept", "tried"]

log = logging.getLogger("linkauth")

SUFFIX: Final = ".answer"
NAMED: Final = re.compile(r"([!-~]+)@([0-9]{1,16})" + re.escape(SUFFIX))
LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a file that is read. An answer has some thousand."""

T = TypeVar("T")


@attrs.frozen
class Kept:
    """A sealed value that the store should have: under which key, as which version."""

    key: str
    number: int
    value: bytes = attrs.field(repr=False)


class Escrow(Protocol):
    """Where answers wait for the store."""

    async def put(self, kept: Kept) -> None:
        """Keep it, durably, before this returns."""
        ...

    async def drop(self, key: str, number: int) -> None:
        """Forget what was kept for ``key`` up to ``number``."""
        ...

    async def find(self, key: str) -> Kept | None:
        """The newest that is kept for ``key``."""
        ...

    async def everything(self) -> list[Kept]:
        """The newest that is kept for each key."""
        ...


async def tried(call: Awaitable[T]) -> T | None:
    """What an escrow says, None where it fails: whatever is wrong with it, the store itself may be well."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await call
    except StoreError as error:
        fault = str(error)
    except Exception as error:  # noqa: BLE001  # an escrow of somebody else's may raise anything
        fault = type(error).__name__  # the message may hold anything, and the frames hold the answer
    log.error("escrow failed: %s", fault)
    return None


class FolderEscrow:
    """An escrow of files, 0600 in a 0700 folder. Raises ``StoreUnavailable`` where the folder cannot be used."""

    def __init__(self, folder: str, entropy: Callable[[int], bytes]) -> None:
        self._folder = Path(folder).expanduser()
        self._entropy = entropy

    async def put(self, kept: Kept) -> None:
        """Keep it, durably, before this returns."""
        await _in_thread(self._put, kept)

    async def drop(self, key: str, number: int) -> None:
        """Forget what was kept for ``key`` up to ``number``."""
        await _in_thread(self._drop, key, number)

    async def find(self, key: str) -> Kept | None:
        """The newest that is kept for ``key``."""
        return await _in_thread(self._find, key)

    async def everything(self) -> list[Kept]:
        """The newest that is kept for each key."""
        return await _in_thread(self._everything)

    def _name(self, key: str, number: int) -> Path:
        return self._folder / f"{key.replace('/', '+')}@{number}{SUFFIX}"

    def _files(self, key: str | None = None) -> list[tuple[str, int, Path]]:
        """Key, number and file of all, or all of ``key``, oldest first.

        What is not named or made as here is somebody else's, and left alone.
        """
        if not self._folder.is_dir():
            return []
        self._check()
        with os.scandir(self._folder) as entries:
            named = [(match, entry) for entry in entries if (match := NAMED.fullmatch(entry.name))]
            every = [(match[1].replace("+", "/"), int(match[2]), entry) for match, entry in named]
            mine = [found for found in every if key in {None, found[0]} and _is_ours(found[2])]
        return sorted((whose, number, Path(entry)) for whose, number, entry in mine)

    def _check(self) -> None:
        """Nobody else may put answers here."""
        status = self._folder.stat()
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise StoreUnavailable("the escrow folder is not this user's alone: chown it, chmod 700 it")

    def _put(self, kept: Kept) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check()
        temporary = self._folder / f".{self._entropy(8).hex()}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(kept.value)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._name(kept.key, kept.number))
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _drop(self, key: str, number: int) -> None:
        for _, kept, path in self._files(key):
            if kept <= number:
                path.unlink(missing_ok=True)

    def _find(self, key: str) -> Kept | None:
        return next(iter(self._everything(key)), None)

    def _everything(self, key: str | None = None) -> list[Kept]:
        newest = {whose: (number, path) for whose, number, path in self._files(key)}
        return [Kept(whose, number, secret_bytes(path.read_bytes())) for whose, (number, path) in newest.items()]


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """A plain file of a size that an answer can have: no link, and no pipe that would never end."""
    return entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_size <= LARGEST


async def _in_thread(work: Callable[..., T], *args: object) -> T:
    try:
        return await asyncio.to_thread(work, *args)
    except OSError as error:
        fault = f"the escrow folder cannot be used: {os.strerror(error.errno or 0)}"
    raise StoreUnavailable(fault)
