"""The commands that are one call each."""

from __future__ import annotations

import json
import secrets
import sys
import time
from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import attrs

from linkauth import Vendor
from linkauth.cli.registration import credential, engine, existing, exists, vendor
from linkauth.cli.vendor_of import vendor_of
from linkauth.engine.encryption import KEY_BYTES
from linkauth.protocol.keys import token_keys

if TYPE_CHECKING:
    import argparse

    from linkauth import AuthEngine, Token
    from linkauth.engine.status import Status

__all__ = ["keep_alive", "logout", "new_key", "refresh", "reseal", "status", "token"]

DAY: Final = 86400


async def status(chosen: argparse.Namespace) -> int:
    """Print a line for each credential in the store; exit status 1 where one needs the user, now or soon, or cannot be read.

    And one for each client secret, and how much is under which key, where there is any.
    """
    users = soon = unread = found = 0
    keys: Counter[str] = Counter()
    async with existing(chosen.store) as opened:
        async for each in opened.statuses():
            found += 1
            users += each.needs_user
            soon += each.session_ends_soon
            unread += not each.account and bool(each.error)
            keys[each.key_id] += 1
            print(json.dumps(attrs.asdict(each)) if chosen.json else _line(each))
    if not found and not chosen.json:
        print("The store holds no credential.")
    if any(keys) and not chosen.json:
        print("Keys in use:", ", ".join(f"{name or 'none'} ({keys[name]} of {found})" for name in sorted(keys)))
    if users:
        print(f"Who has to act: the user, for {users} of {found}.", file=sys.stderr)
    if soon:
        print(f"Who has to act: the user, before the session ends, for {soon} of {found}.", file=sys.stderr)
    if unread:
        print(f"Who has to act: the operator, for {unread} of {found} that cannot be read.", file=sys.stderr)
    return 1 if users or soon or unread else 0


async def token(chosen: argparse.Namespace) -> int:
    """Get a token, and say what is to be said of it."""
    async with engine(chosen) as opened:
        return _tell(await (await credential(opened, chosen)).token(), chosen)


async def refresh(chosen: argparse.Namespace) -> int:
    """As ``token``, of one that is sent for now."""
    async with engine(chosen) as opened:
        return _tell(await (await credential(opened, chosen)).refresh(), chosen)


def _tell(found: Token, chosen: argparse.Namespace) -> int:
    if chosen.reveal:
        print(str(found.access_token))
        return 0
    print(f"valid until  {_when(found.expires_at)} ({_for(found.expires_at - time.time())})")
    print(f"scope        {found.scope or '(none named)'}")
    # So that two hosts can be compared without a look at the token itself.
    print(f"fingerprint  {sha256(found.access_token.encode()).hexdigest()[:12]}")
    return 0


async def keep_alive(chosen: argparse.Namespace) -> int:
    """Make rounds until stopped."""
    async with engine(chosen) as opened:
        which = vendor_of(chosen.vendor_of) if chosen.vendor_of else await vendor(opened, chosen)
        if isinstance(which, Vendor) and not await _has_any(opened, which):
            print(
                f"linkauth: no credential in the store is of this registration at {which.name}: the client's id, the "
                "base URL and the scope must be those that it was connected with",
                file=sys.stderr,
            )
            return 1
        # Once: the next call may make a round whenever it comes; who goes on makes one for the fleet per interval.
        every, rounds = (0.0, 1) if chosen.once else (chosen.every, None)
        renewed = await opened.keep_alive(
            which, every=every, rounds=rounds, rotate_secrets_after=chosen.rotate_secrets_after
        )
    print(f"renewed {renewed}")
    return 0


async def _has_any(opened: AuthEngine, which: Vendor) -> bool:
    async for each in opened.statuses():
        if each.account and each.key in token_keys(which, each.account):
            return True
    return False


async def reseal(chosen: argparse.Namespace) -> int:
    """Write everything under the newest key; exit status 1 where something is left under another, or in clear."""
    async with existing(chosen.store) as opened:
        print(f"written anew {await opened.reseal()}")
        left = Counter([each.key_id async for each in opened.statuses() if each.key_id != opened.context.codec.newest])
    for name, count in sorted(left.items()):
        where = f"under key {name}" if name else "in clear"
        print(f"linkauth: {count} left {where}: in use, or not to be read with the keys given", file=sys.stderr)
    return 1 if left else 0


async def logout(chosen: argparse.Namespace) -> int:
    """Revoke and forget."""
    async with engine(chosen) as opened:
        found = await credential(opened, chosen)
        if not await exists(opened) or not (await found.status()).version:
            print(
                f"linkauth: {found.vendor.name}/{found.account} of this registration is not in the store",
                file=sys.stderr,
            )
            return 1
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


def _line(each: Status) -> str:
    kind = each.key.partition("/")[0]
    parts = [
        f"{each.vendor}/{each.account or '?'}"
        if kind == "token"
        else f"{each.vendor}: {kind} of {each.client_id or '?'}"
    ]
    if each.expires_at is not None:
        parts.append(f"token {_for(each.expires_at - each.now)}")
    if each.refresh_expires_at is not None:
        parts.append(f"refresh token {_for(each.refresh_expires_at - each.now)}")
    if each.session_expires_at is not None and not each.needs_user:
        parts.append(f"session {_for(each.session_expires_at - each.now)}")
    if each.session_ends_soon:
        parts.append("THE USER MUST CONSENT AGAIN BEFORE THAT")
    if each.secret_rotated_at is not None and kind == "secret":
        parts.append(f"rotated {_long(each.now - each.secret_rotated_at)} ago")
    if each.in_doubt:
        parts.append("a renewal is under way, or was cut off")
    if each.needs_user:
        parts.append("THE USER MUST LOG IN OR PAIR AGAIN")
    if each.error:
        parts.append(each.error)
    return "  ".join(parts)


def _for(seconds: float) -> str:
    """A length of time as one reads it."""
    return f"for {_long(seconds)}" if seconds > 0 else "expired"


def _long(seconds: float) -> str:
    for unit, size in (("d", DAY), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _when(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
