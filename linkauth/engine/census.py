"""Counting how a store's credentials are doing, vendor by vendor, while somebody reads all of them anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth.engine.probe import Census

if TYPE_CHECKING:
    from linkauth.engine.status import Status

__all__ = ["count"]


def count(status: Status, found: dict[str, Census]) -> None:
    """Count one more in what was ``found`` of its vendor."""
    census = found.setdefault(status.vendor, Census())
    if status.needs_user:
        census.needs_user += 1
        return
    if status.error or status.in_doubt:
        census.failing += 1
    else:
        census.well += 1
    ends = (census.lapses_at, status.refresh_expires_at, status.session_expires_at)
    census.lapses_at = min((end for end in ends if end is not None), default=None)
