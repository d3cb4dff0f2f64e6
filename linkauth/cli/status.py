"""``linkauth status``: how all that a store holds is doing, by vendor and account, and who has to act."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

import attrs

from linkauth.cli.registration import existing
from linkauth.cli.words import left, length

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from linkauth.engine.status import Status

__all__ = ["run"]

COLUMNS: Final = 3
"""What is aligned: whose it is, the token, the refresh token."""


async def run(chosen: argparse.Namespace) -> int:
    """Print a line for each; exit status 1 where one needs the user, now or soon, or cannot be read."""
    async with existing(chosen.store) as opened:
        found = [each async for each in opened.statuses(vendor=chosen.vendor, account=chosen.account)]
    if chosen.needs_user:
        found = [each for each in found if each.needs_user or each.session_ends_soon]
    found.sort(key=lambda each: (each.vendor, each.account, each.key.partition("/")[0], each.client_id, each.scope))
    if chosen.json:
        for each in found:
            print(json.dumps(attrs.asdict(each)))
    else:
        _print(found, some=bool(chosen.vendor or chosen.account or chosen.needs_user))
    return _who_has_to_act(found)


def _print(found: Sequence[Status], *, some: bool) -> None:
    if not found:
        print(f"The store holds no {'such ' if some else ''}credential.")
        return
    names = _names(found)
    rows = [(name, *_cells(each)) for name, each in zip(names, found, strict=True)]
    widths = [max(len(row[column]) for row in rows) for column in range(COLUMNS)]
    for row in rows:
        aligned = [cell.ljust(width) for cell, width in zip(row, widths, strict=False) if width]
        print("  ".join([*aligned, *row[COLUMNS:]]).rstrip())
    if any(each.key_id for each in found):
        keys = Counter(each.key_id for each in found)
        print("Keys in use:", ", ".join(f"{name or 'none'} ({keys[name]} of {len(found)})" for name in sorted(keys)))
    if len(found) > 1:
        kinds = Counter(each.vendor for each in found if each.key.startswith("token/"))
        print("In all:", ", ".join(f"{vendor} {count:,}" for vendor, count in sorted(kinds.items())) or "no credential")


def _names(found: Sequence[Status]) -> list[str]:
    """Whose each is; with client and scope where two would look alike."""
    names = [_name(each) for each in found]
    many = Counter(names)
    return [
        f"{name} (client {each.client_id or 'none'}, scope {each.scope or 'none'})" if many[name] > 1 else name
        for name, each in zip(names, found, strict=True)
    ]


def _name(each: Status) -> str:
    kind = each.key.partition("/")[0]
    if kind == "token":
        return f"{each.vendor}/{each.account or '?'}"
    return f"{each.vendor}: {kind} of {each.client_id or '?'}"


def _cells(each: Status) -> list[str]:
    """The token, the refresh token, and what else is to be said."""
    token = "" if each.expires_at is None else f"token {left(each.expires_at - each.now)}"
    refresh = "" if each.refresh_expires_at is None else f"refresh token {left(each.refresh_expires_at - each.now)}"
    more: list[str] = []
    if each.session_expires_at is not None and not each.needs_user:
        more.append(f"session {left(each.session_expires_at - each.now)}")
    if each.session_ends_soon:
        more.append("THE USER MUST CONSENT AGAIN BEFORE THAT")
    if each.secret_rotated_at is not None and each.key.startswith("secret/"):
        more.append(f"rotated {length(each.now - each.secret_rotated_at)} ago")
    if each.in_doubt:
        more.append("a renewal is under way, or was cut off")
    if each.needs_user:
        more.append("THE USER MUST LOG IN OR PAIR AGAIN")
    return [token, refresh, *more, *([each.error] if each.error else [])]


def _who_has_to_act(found: Sequence[Status]) -> int:
    counts = {
        "the user, for {} of {}": sum(each.needs_user for each in found),
        "the user, before the session ends, for {} of {}": sum(each.session_ends_soon for each in found),
        "the operator, for {} of {} that cannot be read": sum(not each.account and bool(each.error) for each in found),
    }
    for words, count in counts.items():
        if count:
            print(f"Who has to act: {words.format(count, len(found))}.", file=sys.stderr)
    return 1 if any(counts.values()) else 0
