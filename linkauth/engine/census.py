"""Counting how a store's credentials are doing, vendor by vendor, while somebody reads all of them anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.engine.probe import Census
from linkauth.protocol.records import TokenRecord
from linkauth.protocol.session_end import ended

if TYPE_CHECKING:
    from linkauth.protocol.intent import Note
    from linkauth.protocol.records import StoredRecord

__all__ = ["count", "count_unreadable"]


def count(vendor: str, record: StoredRecord, note: Note, now: float, found: dict[str, Census]) -> None:
    """Count one more credential of ``vendor`` in what was ``found``, with what stands beside it. ``now``: the store's clock."""
    census = found.setdefault(vendor, Census())
    if not isinstance(record, TokenRecord) or ended(record.token, now):
        census.needs_user += 1
        return
    if note.doubt or note.kind:
        census.failing += 1
    else:
        census.well += 1
    ends = (census.lapses_at, record.token.refresh_expires_at, record.token.session_expires_at)
    census.lapses_at = min((end for end in ends if end is not None), default=None)


def count_unreadable(vendor: str, found: dict[str, Census]) -> None:
    """Count one of which nobody can say more than whose it is."""
    found.setdefault(vendor, Census()).failing += 1
