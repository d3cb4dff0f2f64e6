"""The commands that are one call each."""

from __future__ import annotations

import json
import secrets
import sys
import time
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

from linkauth import Vendor
from linkauth.cli.progress import how_many, progress
from linkauth.cli.registration import credential, engine, existing, exists, vendor
from linkauth.cli.vendor_of import vendor_of
from linkauth.cli.words import left, moment
from linkauth.engine.encryption import KEY_BYTES
from linkauth.engine.reseal import KINDS, resealed
from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from linkauth import AuthEngine, Token

__all__ = ["keep_alive", "logout", "new_key", "refresh", "reseal", "token"]


async def token(chosen: argparse.Namespace) -> int:
    """Get a token, and say what is to be said of it."""
    async with engine(chosen) as opened:
        return _tell(await (await credential(opened, chosen)).token(), chosen)


async def refresh(chosen: argparse.Namespace) -> int:
    """As ``token``, of one that is sent for now."""
    async with engine(chosen) as opened:
        return _tell(await (await credential(opened, chosen)).refresh(), chosen)


def _tell(found: Token, chosen: argparse.Namespace) -> int:
    # So that two hosts can be compared without a look at the token itself.
    fingerprint = sha256(found.access_token.encode()).hexdigest()[:12]
    if chosen.json:
        told = {"expires_at": found.expires_at, "scope": found.scope, "fingerprint": fingerprint}
        print(json.dumps(told | ({"access_token": str(found.access_token)} if chosen.reveal else {})))
        return 0
    if chosen.reveal:
        print(str(found.access_token))
        return 0
    print(f"valid until  {moment(found.expires_at)} ({left(found.expires_at - time.time())})")
    print(f"scope        {found.scope or '(none named)'}")
    print(f"fingerprint  {fingerprint}")
    return 0


async def keep_alive(chosen: argparse.Namespace) -> int:
    """Make rounds until stopped. Raises ``ConfigurationError`` for a registration that the store does not know."""
    async with engine(chosen) as opened:
        which = vendor_of(chosen.vendor_of) if chosen.vendor_of else await vendor(opened, chosen)
        if isinstance(which, Vendor) and not (await exists(opened) and await _has_any(opened, which)):
            raise ConfigurationError(
                f"no credential in the store is of this registration at {which.name}: the client's id, the base URL and the "
                "scope must be those that it was connected with"
            )
        # Once: the next call may make a round whenever it comes; who goes on makes one for the fleet per interval.
        every, rounds = (0.0, 1) if chosen.once else (chosen.every, None)
        renewed = await opened.keep_alive(
            which, every=every, rounds=rounds, rotate_secrets_after=chosen.rotate_secrets_after
        )
    print(f"renewed {renewed}")
    return 0


async def _has_any(opened: AuthEngine, which: Vendor) -> bool:
    async for each in opened.statuses(vendor=which):
        if each.account:
            return True
    return False


async def reseal(chosen: argparse.Namespace) -> int:
    """Write everything under the newest key; exit status 1 where something is left under another, or in clear."""
    async with existing(chosen.store) as opened:
        written = 0
        with progress("looked at", await how_many(opened.context, KINDS)) as step:
            async for anew in resealed(opened.context):
                written += anew
                step()
        print(f"written anew {written:,}")
        rest = Counter([each.key_id async for each in opened.statuses() if each.key_id != opened.context.codec.newest])
    for name, count in sorted(rest.items()):
        where = f"under key {name}" if name else "in clear"
        print(
            f"linkauth: {count:,} left {where}: in use just now, when another run takes them; or their key is not among "
            "$LINKAUTH_KEYS, where it belongs at the end (`plain`: what is in clear)",
            file=sys.stderr,
        )
    return 1 if rest else 0


async def logout(chosen: argparse.Namespace) -> int:
    """Revoke and forget. Raises ``ConfigurationError`` for what is not in the store."""
    async with engine(chosen) as opened:
        found = await credential(opened, chosen)
        if not await exists(opened) or not (await found.status()).version:
            raise ConfigurationError(
                f"{found.vendor.name}/{found.account} of this registration is not in the store: `linkauth status` lists what is; "
                "client, base URL, scope and account must be those that it was connected with"
            )
        await found.logout()
    print(f"Logged out: {found.vendor.name}/{found.account}")
    if found.vendor.leaves_open:
        print(f"What is left: {found.vendor.leaves_open}.")
    return 0


async def new_key(chosen: argparse.Namespace) -> int:
    """Print a new key."""
    del chosen
    print(b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii"))
    return 0
