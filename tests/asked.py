"""A request as a middleware sees it, and its answer: for what is counted, or looked into, where no socket may be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from multidict import CIMultiDict
from yarl import URL

__all__ = ["answered", "asked"]


def asked(url: str) -> Any:
    """A request for ``url`` without headers of its own."""
    return SimpleNamespace(url=URL(url), headers=CIMultiDict[str]())


async def answered(request: Any) -> Any:
    """The last handler: it has got the request, and answers 200."""
    del request
    return SimpleNamespace(status=200)
