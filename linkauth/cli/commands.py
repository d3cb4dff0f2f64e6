"""The commands that are one call each."""

from __future__ import annotations

import json
import secrets
import time
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import attrs

from linkauth.cli.registration import engine, vendor
from linkauth.engine.sealing import KEY_BYTES

if TYPE_CHECKING:
    import argparse

    from linkauth.engine.status import Status

__all__ = ["keep_alive", "logout", "new_key", "rotate_secret", "status", "token"]

DEFAULT_ACCOUNT: Final = "default"


async def status(chosen: argparse.Namespace) -> int:
    """Print a line for each credential in the store; exit status 1 where one needs the user."""
    needed = found = 0
    async with engine(chosen) as opened:
        async for each in opened.statuses():
            found += 1
            needed += each.needs_user
            print(json.dumps(attrs.asdict(each)) if chosen.json else _line(each))
    if not found and not chosen.json:
        print("The store holds no credential.")
    return 1 if needed else 0


async def token(chosen: argparse.Namespace) -> int:
    """Get a token, and say what is to be said of it."""
    async with engine(chosen) as opened:
        found = await opened.credential(await vendor(chosen), _account(chosen)).token()
    if chosen.reveal:
        print(str(found.access_token))
        return 0
    print(f"valid until  {_when(found.expires_at)} ({_for(found.expires_at - time.time())})")
    print(f"scope        {found.scope or '(none named)'}")
    # So that two hosts can be compared without a look at the token itself.
    print(f"fingerprint  {sha256(found.access_token.encode()).hexdigest()[:12]}")
    return 0


async def keep_alive(chosen: argparse.Namespace) -> int:
    """Make rounds until interrupted."""
    async with engine(chosen) as opened:
        renewed = await opened.keep_alive(await vendor(chosen), every=chosen.every, rounds=1 if chosen.once else None)
    print(f"renewed {renewed}")
    return 0


async def rotate_secret(chosen: argparse.Namespace) -> int:
    """Replace the client's secret; it stays in the store."""
    async with engine(chosen) as opened:
        await opened.credential(await vendor(chosen), _account(chosen)).rotate_secret()
    print("The vendor has a new secret; it is in the store, and every worker on this store goes on with it.")
    return 0


async def logout(chosen: argparse.Namespace) -> int:
    """Revoke and forget."""
    async with engine(chosen) as opened:
        await opened.credential(await vendor(chosen), _account(chosen)).logout()
    print("Logged out.")
    return 0


async def new_key(chosen: argparse.Namespace) -> int:
    """Print a new key."""
    del chosen
    print(b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii"))
    return 0


def _account(chosen: argparse.Namespace) -> str:
    return chosen.account or DEFAULT_ACCOUNT


def _line(each: Status) -> str:
    parts = [f"{each.vendor}/{each.account}"]
    if each.expires_at is not None:
        parts.append(f"token {_for(each.expires_at - each.now)}")
    if each.refresh_expires_at is not None:
        parts.append(f"refresh token {_for(each.refresh_expires_at - each.now)}")
    if each.in_doubt:
        parts.append("a renewal is under way, or was cut off")
    if each.needs_user:
        parts.append("THE USER MUST LOG IN OR PAIR AGAIN")
    if each.error:
        parts.append(each.error)
    return "  ".join(parts)


def _for(seconds: float) -> str:
    """A length of time as one reads it."""
    if seconds <= 0:
        return "expired"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"for {seconds / size:.0f} {unit}"
    return f"for {seconds:.0f} s"


def _when(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
