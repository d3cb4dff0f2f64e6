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
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

import attrs

from linkauth.engine.flight import called_off
from linkauth.errors import ConfigurationError, StoreError, StoreUnavailable
from linkauth.oauth.token import secret_bytes
from linkauth.protocol import timing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Escrow", "FolderEscrow", "Kept", "chosen", "tried"]

log = logging.getLogger("linkauth")

SUFFIX: Final = ".answer"
NAMED: Final = re.compile(r"([!-~]+)@([0-9]{1,16})" + re.escape(SUFFIX))
UNNAMED: Final = re.compile(r"\.[0-9a-f]{16}")
"""What an answer is written to before it has its name."""
LEFT_AFTER: Final = 3600.0
"""Seconds after which such a file has no writer any more."""
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
        async with asyncio.timeout(timing.STORE_CALL):
            return await call
    except StoreError as error:
        fault = str(error)
    except asyncio.CancelledError:
        if called_off():
            raise
        # Whoever cancels all tasks cancels the escrow's own, too: no reason to give up the answer that it was to keep.
        fault = "a task of its own was cancelled"
    except Exception as error:  # noqa: BLE001  # an escrow of somebody else's may raise anything
        fault = type(error).__name__  # the message may hold anything, and the frames hold the answer
    log.error("escrow failed: %s", fault)
    return None


def chosen(
    escrow: str | os.PathLike[str] | Escrow | None, entropy: Callable[[int], bytes], *, sealed: bool
) -> Escrow | None:
    """What an engine was given as ``escrow``: a folder's path is made into one. No I/O.

    ``sealed``: whether the engine has keys. Raises ``ConfigurationError`` for a folder without them, and for what is neither
    a path nor has an escrow's methods: it would fail when the first answer is there, and be lost.
    """
    if isinstance(escrow, str | os.PathLike):
        if not sealed:
            raise ConfigurationError("escrow: answers are kept encrypted, so keys are needed too")
        return FolderEscrow(escrow, entropy)
    if escrow is None or all(callable(getattr(escrow, name, None)) for name in ("put", "drop", "find", "everything")):
        return escrow
    raise ConfigurationError("escrow: a folder's path is needed, or an object with put, drop, find and everything")


class FolderEscrow:
    """An escrow of files, 0600 in a 0700 folder; ``~`` is home.

    Every method raises ``StoreUnavailable``, which names the folder and what the system says, where it cannot be used.
    """

    def __init__(self, folder: str | os.PathLike[str], entropy: Callable[[int], bytes]) -> None:
        """No I/O. Raises ``ConfigurationError`` where ``folder`` names none."""
        path = cast("object", os.fspath(folder))
        if not isinstance(path, str) or not path or "\0" in path:
            raise ConfigurationError("escrow: the path of a folder is needed, as a string or a path")
        try:
            self._folder = Path(path).expanduser()
        except RuntimeError:
            raise ConfigurationError(f"escrow: {path}: there is no such home folder") from None
        self._entropy = entropy

    async def put(self, kept: Kept) -> None:
        """Keep it, durably, before this returns."""
        await self._in_thread(self._put, kept)

    async def drop(self, key: str, number: int) -> None:
        """Forget what was kept for ``key`` up to ``number``."""
        await self._in_thread(self._drop, key, number)

    async def find(self, key: str) -> Kept | None:
        """The newest that is kept for ``key``."""
        return await self._in_thread(self._find, key)

    async def everything(self) -> list[Kept]:
        """The newest that is kept for each key."""
        return await self._in_thread(self._everything)

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
            raise StoreUnavailable(f"the escrow folder is not this user's alone: chown it, chmod 700 {self._folder}")

    def _put(self, kept: Kept) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check()
        temporary = self._folder / f".{self._entropy(8).hex()}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(kept.value)
                file.flush()
                os.fsync(file.fileno())
                written = os.fstat(file.fileno()).st_mtime
            temporary.replace(self._name(kept.key, kept.number))
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        with suppress(OSError):  # the answer is kept: what others left is no fault of its
            self._sweep(written)

    def _sweep(self, now: float) -> None:
        """Remove what killed processes were writing. ``now``: by the clock of the file system, which dated it."""
        with os.scandir(self._folder) as entries:
            unnamed = [entry for entry in entries if UNNAMED.fullmatch(entry.name) and _is_ours(entry)]
        for entry in unnamed:
            if entry.stat(follow_symlinks=False).st_mtime < now - LEFT_AFTER:
                Path(entry).unlink()

    def _drop(self, key: str, number: int) -> None:
        for _, kept, path in self._files(key):
            if kept <= number:
                path.unlink(missing_ok=True)

    def _find(self, key: str) -> Kept | None:
        return next(iter(self._everything(key)), None)

    def _everything(self, key: str | None = None) -> list[Kept]:
        newest = {whose: (number, path) for whose, number, path in self._files(key)}
        return [Kept(whose, number, secret_bytes(path.read_bytes())) for whose, (number, path) in newest.items()]

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        try:
            return await asyncio.to_thread(work, *args)
        except OSError as error:
            fault = f"the escrow folder {self._folder} cannot be used: {os.strerror(error.errno or 0)}"
        raise StoreUnavailable(fault)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """A plain file of a size that an answer can have: no link, and no pipe that would never end."""
    return entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_size <= LARGEST
