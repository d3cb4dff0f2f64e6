"""How far a long command is, on standard error: for people at a terminal alone, a log has the last line."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from linkauth.engine.context import EngineContext

__all__ = ["how_many", "progress"]


def progress(doing: str, total: int) -> AbstractContextManager[Callable[[], None]]:
    """A bar, where there is a terminal and rich (extra ``cli``); what it yields is called when one more is done.

    ``doing``: what is done with each, as in ``stored``; ``total``: how many there are, as far as it is known.
    """
    if not sys.stderr.isatty():
        return nullcontext(_nothing)
    try:
        from linkauth.cli.drawing import bar  # noqa: PLC0415  # it needs rich
    except ImportError:
        return nullcontext(_nothing)
    return bar(doing, total)


def _nothing() -> None:
    """Nobody looks."""


async def how_many(context: EngineContext, kinds: tuple[str, ...]) -> int:
    """How many records there are of ``kinds``, for a bar; 0 where none is shown. Raises ``StoreUnavailable``."""
    if not sys.stderr.isatty():
        return 0
    found = 0
    for kind in kinds:
        async for _ in context.store_client.store.keys(kind):
            found += 1
    return found
