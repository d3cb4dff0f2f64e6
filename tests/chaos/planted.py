"""Wrong engines and stores for ``--planted NAME``: a campaign that lets one through proves nothing."""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, Any

import attrs

from linkauth.engine.escrow import FolderEscrow
from linkauth.engine.outbox import Outbox
from linkauth.engine.read_repair import ReadRepair
from linkauth.engine.token_replica import TokenReplica
from linkauth.store import Granted

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.engine.escrow import Kept

FAULTS: dict[str, Callable[[], None]] = {}


def planted(plant: Callable[[], None]) -> Callable[[], None]:
    """Add a fault under its function's name."""
    FAULTS[plant.__name__.replace("_", "-")] = plant
    return plant


@planted
def no_lease() -> None:
    """A worker that finds another at work goes ahead all the same."""
    from linkauth_stores.redis import RedisStore

    claim = RedisStore.claim

    async def claiming(store: Any, key: str, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
        found = await claim(store, key, owner, ttl, newer_than, note)
        if type(found).__name__ != "Busy":
            return found
        return Granted(record=found.record, note=b"", now=found.now, number=newer_than + 1, inherited=False)

    RedisStore.claim = claiming  # type: ignore[method-assign]


@planted
def answer_dropped() -> None:
    """An answer that the store does not take at once is not offered again."""

    async def insist(_: Outbox, number: int | None = None) -> None:
        return None

    Outbox.insist = insist  # type: ignore[method-assign]


@planted
def nothing_put_back() -> None:
    """A store that lost what a worker still holds is left as it is."""

    async def put_back(_: Any, __: Any) -> list[Any]:
        return []

    async def nothing(_: Any) -> None:
        return None

    ReadRepair._put_back = put_back  # type: ignore[method-assign]
    TokenReplica.put_back = nothing  # type: ignore[method-assign]


@planted
def no_fence() -> None:
    """Whoever commits last wins, also over who claimed later."""
    from linkauth_stores.redis import scripts

    text = scripts.COMMIT.text.replace("if version > mine or gone >= mine", "if gone >= mine")
    assert text != scripts.COMMIT.text
    sha = sha1(text.encode(), usedforsecurity=False).hexdigest()
    scripts.COMMIT = attrs.evolve(scripts.COMMIT, text=text, sha=sha)  # type: ignore[misc]


@planted
def escrow_forgotten() -> None:
    """What an earlier process left in escrow is not looked for."""

    async def nothing(_: Outbox) -> None:
        return None

    async def left(_: FolderEscrow) -> list[Kept]:
        return []

    Outbox.from_escrow = nothing  # type: ignore[method-assign]
    FolderEscrow.everything = left  # type: ignore[method-assign]
