"""What a store holds, as lines: by vendor and account, and who has to act."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

import attrs

from linkauth.cli.words import UNREAD, left, length

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from linkauth import AuthEngine
    from linkauth.engine.status import Status

__all__ = ["as_json", "find", "table", "who_has_to_act"]

COLUMNS: Final = 3
"""What is aligned: whose it is, the token, the refresh token."""


async def find(opened: AuthEngine, chosen: argparse.Namespace) -> list[Status]:
    """What was asked for, by vendor and account. Raises ``StoreError``."""
    found = [each async for each in opened.statuses(vendor=chosen.vendor, account=chosen.account)]
    if chosen.needs_user:
        found = [each for each in found if each.needs_user or each.session_ends_soon]
    return sorted(
        found, key=lambda each: (each.vendor, each.account, _kind(each), each.client_id, each.scope, each.key)
    )


def as_json(found: Sequence[Status]) -> list[str]:
    """An object for each."""
    return [json.dumps(attrs.asdict(each)) for each in found]


def table(found: Sequence[Status], chosen: argparse.Namespace) -> list[str]:
    """A line for each, and totals."""
    if not found:
        such = "such " if chosen.vendor or chosen.account else ""
        return [f"The store holds no {such}credential{' that needs its user' if chosen.needs_user else ''}."]
    names = _names(found)
    rows = [(name, *_cells(each)) for name, each in zip(names, found, strict=True)]
    widths = [max(len(row[column]) for row in rows) for column in range(COLUMNS)]
    lines = list[str]()
    for row in rows:
        aligned = [cell.ljust(width) for cell, width in zip(row, widths, strict=False) if width]
        lines.append("  ".join([*aligned, *row[COLUMNS:]]).rstrip())
    if any(each.key_id for each in found):
        keys = Counter(each.key_id for each in found)
        told = (f"{name or 'none'} ({keys[name]:,} of {len(found):,})" for name in sorted(keys))
        lines.append(f"Keys in use: {', '.join(told)}")
    if len(found) > 1:
        kinds = Counter(each.vendor for each in found if _kind(each) == "token")
        told = (f"{vendor} {count:,}" for vendor, count in sorted(kinds.items()))
        lines.append(f"In all: {', '.join(told) or 'no credential'}")
    return lines


def _names(found: Sequence[Status]) -> list[str]:
    """Whose each is; with client and scope where two would look alike, and with the key where they still do."""
    names = [_name(each) for each in found]
    for more in (_client_and_scope, _key):
        many = Counter(names)
        names = [f"{name} ({more(each)})" if many[name] > 1 else name for name, each in zip(names, found, strict=True)]
    return names


def _client_and_scope(each: Status) -> str:
    return f"client {each.client_id or 'none'}, scope {each.scope or 'none'}"


def _key(each: Status) -> str:
    return f"key {each.key}"


def _kind(each: Status) -> str:
    return each.key.partition("/")[0]


def _name(each: Status) -> str:
    if _kind(each) == "token":
        return f"{each.vendor}/{each.account or '?'}"
    return f"{each.vendor}: {_kind(each)} of {each.client_id or '?'}"


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


def who_has_to_act(found: Sequence[Status]) -> list[str]:
    """A line for each kind of trouble that somebody has to act on; none: all is well."""
    counts = {
        "the user, for {:,} of {:,}": sum(each.needs_user for each in found),
        "the user, before the session ends, for {:,} of {:,}": sum(each.session_ends_soon for each in found),
        f"the operator, for {{:,}} of {{:,}} that cannot be read: {UNREAD}": sum(
            not each.account and bool(each.error) for each in found
        ),
    }
    return [f"Who has to act: {words.format(count, len(found))}." for words, count in counts.items() if count]
