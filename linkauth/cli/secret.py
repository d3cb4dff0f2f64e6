"""``linkauth rotate-secret``: replace a client's secret; and help where the vendor's answer was not understood.

A vendor that rotates kills the old secret at once. Should its answer not name the new one in any way that linkauth
knows, the answer stays in the store: ``--recover`` finds it, and ``--adopt`` puts the secret that a human read out of it
in its place.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from linkauth.cli.registration import credential, engine, existing
from linkauth.cli.terminal import ask_secret
from linkauth.engine import secret_age
from linkauth.engine.client_runtime import adopt
from linkauth.errors import ConfigurationError, MalformedResponse
from linkauth.oauth.token import Secret

if TYPE_CHECKING:
    import argparse

    from linkauth import AuthEngine, Credential

__all__ = ["run"]


async def run(chosen: argparse.Namespace) -> int:
    """Rotate, recover or adopt. Raises ``ConfigurationError``, as ``Credential.rotate_secret``, and ``StoreError``."""
    if chosen.reveal and (chosen.adopt or chosen.older_than is not None):
        raise ConfigurationError("--reveal goes alone, or with --recover")
    chosen.vendor = chosen.vendor or "linkxg"
    # Whoever wants to look must not rotate instead, nor make a store.
    looks = chosen.reveal or chosen.recover
    async with existing(chosen.store) if looks else engine(chosen) as opened:
        found = await credential(opened, chosen)
        if chosen.recover:
            return await _recover(found, reveal=chosen.reveal)
        if chosen.reveal:
            return await _reveal(found, opened)
        if chosen.adopt:
            await adopt(found.replica, Secret(ask_secret("LINKAUTH_NEW_SECRET", "new client secret")))
            print("The secret is in the store, and every worker on this store goes on with it.")
            return 0
        try:
            if not await _rotated(found, opened, chosen.older_than):
                print("The client's secret is not that old; nothing was done.")
                return 0
        except MalformedResponse as error:
            if error.raw is not None:
                print(
                    "The vendor has rotated and the old secret is dead. `linkauth rotate-secret --recover --reveal` "
                    "prints the answer that the new one must be in; `--adopt` takes it.",
                    file=sys.stderr,
                )
            raise
    print("The vendor has a new secret; it is in the store, and every worker on this store goes on with it.")
    return 0


async def _reveal(found: Credential, opened: AuthEngine) -> int:
    newest = opened.context.client_secrets.of(found.vendor)
    await newest.look()
    if newest.secret is None:
        raise ConfigurationError(
            "the store has no secret of this client: linkauth has rotated none, so the app's own is the one"
        )
    print(newest.secret.reveal())
    return 0


async def _rotated(found: Credential, opened: AuthEngine, older_than: float | None) -> bool:
    if older_than is None:
        await found.rotate_secret()
        return True
    secret_age.check(opened.context, older_than)
    return await secret_age.rotate_if_older(found, older_than)


async def _recover(found: Credential, *, reveal: bool) -> int:
    answer = await found.unread_answer()
    if answer is None:
        raise ConfigurationError(
            "no answer that was not understood is kept for this client: there is nothing to recover"
        )
    if reveal:
        print(answer.reveal())
    else:
        print(f"An answer of {len(answer.reveal())} characters is kept; --reveal prints it, --adopt takes the secret.")
    return 0
