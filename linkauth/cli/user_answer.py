"""The user's answer, which may come by several ways: whichever comes first counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from linkauth.errors import (
    AuthorizationPending,
    InvalidRequest,
    LinkAuthError,
    RateLimited,
    StateMismatch,
    StoreUnavailable,
    UntrustedEndpoint,
    VendorUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth import Credential

__all__ = ["UserAnswer"]

GO_ON: Final = (
    AuthorizationPending,
    InvalidRequest,
    RateLimited,
    StateMismatch,
    StoreUnavailable,
    UntrustedEndpoint,
    VendorUnavailable,
)
"""After these the state is still good, or was not ours: whoever sends nonsense does not end the waiting."""


class UserAnswer:
    """The one that is waited for. ``done``: it has come, and its outcome."""

    def __init__(self, found: Credential) -> None:
        self.found = found
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def take(self, params: Mapping[str, str]) -> LinkAuthError | None:
        """Complete the credential by a callback's parameters; what was wrong with them. After ``GO_ON`` another may come."""
        try:
            await self.found.complete(params)
        except LinkAuthError as error:
            if not isinstance(error, GO_ON) and not self.done.done():
                self.done.set_exception(error)
            return error
        if not self.done.done():
            self.done.set_result(None)
        return None
