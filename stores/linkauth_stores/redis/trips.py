"""A script's round trip, alone or with a WAIT for replicas behind it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from redis.asyncio import RedisCluster
from redis.exceptions import AskError, NoScriptError, TryAgainError

from linkauth.errors import StoreUnavailable

if TYPE_CHECKING:
    from linkauth_stores.redis.scripts import Script
    from linkauth_stores.redis.url import Client

__all__ = ["Argument", "is_number", "run", "run_and_wait"]

log = logging.getLogger("linkauth.stores.redis")

Argument: TypeAlias = str | bytes | int


async def run(client: Client, script: Script, names: tuple[str, ...], args: tuple[Argument, ...]) -> list[Any]:
    """The script's answer. Its text is sent where the server does not know it (yet, or any more)."""
    if isinstance(client, RedisCluster):
        # Without its map redis-py 8 sends a script to any node, and each fifth MOVED that comes of it closes every
        # connection and forgets the map: under load that feeds itself.
        await client.initialize()
    try:
        found = await client.evalsha(script.sha, len(names), *names, *args)
    except NoScriptError:
        found = await client.eval(script.text, len(names), *names, *args)
    return _checked(found, script)


async def run_and_wait(
    client: Client, script: Script, names: tuple[str, ...], args: tuple[Argument, ...], replicas: int, patience: float
) -> list[Any]:
    """As ``run``, and wait ``patience`` seconds for ``replicas`` to have what was written. Too few: a warning."""
    found, reached = await _together(client, script, names, args, replicas, patience)
    if isinstance(found, (AskError, TryAgainError)):
        # Its slot went to another node, or is on its way: written there by a client that follows, and then once more,
        # for a WAIT on the connection that wrote.
        await run(client, script, names, args)
        found, reached = await _together(client, script, names, args, replicas, patience)
    if isinstance(found, (AskError, TryAgainError)):
        found, reached = await run(client, script, names, args), 0
    if found[0] == b"committed" and reached < replicas:
        log.warning("Redis: a commit reached %d of %d replicas in time; it stands", reached, replicas)
    return found


async def _together(
    client: Any, script: Script, names: tuple[str, ...], args: tuple[Argument, ...], replicas: int, patience: float
) -> tuple[list[Any] | AskError | TryAgainError, int]:
    """Script and WAIT in one round trip and on one connection: WAIT counts what its own connection wrote."""
    where: dict[str, Any] = {}
    how: dict[str, Any] = {"raise_on_error": False}
    if isinstance(client, RedisCluster):
        await client.initialize()
        where = {"target_nodes": [cast("Any", client).get_node_from_key(names[0])]}
        how["allow_redirections"] = False
    for command, what in (("EVALSHA", script.sha), ("EVAL", script.text)):
        pipeline = client.pipeline(transaction=False)
        pipeline.execute_command(command, what, len(names), *names, *args, **where)
        pipeline.execute_command("WAIT", replicas, max(1, int(patience * 1000)), **where)
        found, reached = await pipeline.execute(**how)
        if isinstance(found, NoScriptError):
            continue
        if isinstance(found, (AskError, TryAgainError)):
            return found, 0
        for answer in (found, reached):
            if isinstance(answer, Exception):
                raise answer
        return _checked(found, script), reached if isinstance(reached, int) else 0
    raise StoreUnavailable("Redis: the server does not keep scripts; look what stands in between")


def _checked(found: list[Any], script: Script) -> list[Any]:
    if not _is_answer(found, script.says):
        raise StoreUnavailable("Redis: the server's answer is none of the script's; look what stands in between")
    return found


def _is_answer(found: Any, says: dict[bytes, list[type]]) -> bool:
    """Whether the script can have said so. A proxy, or a client of somebody's own, may hand over anything."""
    match found:
        case [b"corrupt", *_]:
            return True
        case [bytes() as word, bytes() as seconds, bytes() as micros, version, value, bytes() | None, *more]:
            known = [type(each) for each in more] == says.get(word)
            whole = (version is None and word != b"newer") or (
                isinstance(version, bytes) and is_number(version) and isinstance(value, bytes)
            )
            return known and whole and is_number(seconds) and is_number(micros)
        case _:
            return False


def is_number(text: bytes) -> bool:
    """Whether ``text`` is a number as this store writes it."""
    return text.isdigit() and len(text) <= 16
