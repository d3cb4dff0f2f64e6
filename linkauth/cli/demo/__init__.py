"""``linkauth demo``: a user's session that many processes share, through a store of linkauth's and through a lock by hand.

The vendor is the sandbox's LinkXG, whose refresh tokens are good for one use: who sends one twice has ended the session, and
a person must log in again. Each side has a LinkXG of its own on loopback, so that what it counts does not mix. The same happens
to both at the same moments (``play``): tokens end, a worker is killed in the middle of a renewal, the store is emptied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


async def run(chosen: argparse.Namespace) -> int:
    """Show it (``show.run``). Raises ``ConfigurationError`` where rich, which draws it, is not installed."""
    try:
        from linkauth.cli.demo import show  # noqa: PLC0415  # it needs rich, which is an extra and no other command's
    except ImportError:
        raise ConfigurationError("the demo draws with rich: pip install 'linkauth[cli]'") from None
    return await show.run(chosen)
