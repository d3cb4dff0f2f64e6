"""``linkauth forget``: take credentials out of the store, and ask no vendor. No registration is needed, and no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.cli.registration import existing
from linkauth.engine.forgetting import forget
from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


async def run(chosen: argparse.Namespace) -> int:
    """Forget. Raises ``ConfigurationError`` where there is no such credential."""
    if chosen.key is not None and not chosen.key.startswith("token/"):
        raise ConfigurationError("--key: a credential's key begins with token/; `linkauth status --json` tells it")
    forgotten = 0
    async with existing(chosen.store) as opened:
        async for each in opened.statuses(vendor=chosen.vendor, account=chosen.account):
            wanted = each.key.startswith("token/") and chosen.key in {None, each.key}
            if wanted and chosen.client_id in {None, each.client_id} and await forget(opened.context, each.key):
                forgotten += 1
                print(f"Forgotten: {each.vendor}/{each.account or '?'}")
    if not forgotten:
        raise ConfigurationError("the store holds no such credential; `linkauth status` lists what it holds")
    print("The vendor was not asked: a session that is still open there stays open.")
    return 0
