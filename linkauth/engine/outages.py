"""What does not work is said once when it begins, and once when it is over, with what it held up; in between at DEBUG.

A store that is away for a minute holds up every account at every try, and a vendor that is away does the same to its own.
Events tell of each of them all the same (``EventLog``).
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from linkauth.errors import RateLimited, StoreUnavailable, VendorUnavailable
from linkauth.protocol import timing

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.errors import LinkAuthError
    from linkauth.vendors.vendor import Vendor

__all__ = ["Outage", "Outages"]

log = logging.getLogger("linkauth")


class Outage:
    """One thing that does not work, while it does not."""

    __slots__ = ("_began", "_failed", "_held_up", "_monotonic", "worked_for_others")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._began: float | None = None
        self._failed = -math.inf
        self._held_up: dict[str, set[str]] = {}
        self.worked_for_others = False
        """Since it was said, somebody was served whom it had not held up."""

    def __bool__(self) -> bool:
        """Whether it lasts."""
        return self._began is not None

    def fail(self) -> None:
        """It does not work, from now on or still."""
        self._failed = self._monotonic()
        if self._began is None:
            self._began = self._failed
            self._held_up.clear()

    def is_over(self) -> bool:
        """Whether what has just worked is no exception: some of what is asked of a store may work while the rest does not."""
        return self._began is not None and self._monotonic() > self._failed + timing.OUTAGE_OVER

    def hold_up(self, what: str, whose: str) -> None:
        """Count ``whose`` among those of whom ``what`` is told in the end."""
        if self:
            self._held_up.setdefault(what, set()).add(whose)

    def holds_up(self, whose: str) -> bool:
        """Whether ``whose`` was counted."""
        return any(whose in each for each in self._held_up.values())

    def end(self) -> str:
        """It works again. How long it did not, and what it held up, in words."""
        lasted = 0.0 if self._began is None else self._failed - self._began
        self._began = None
        told = "".join(f", {len(those)} {what}" for what, those in self._held_up.items())
        return f"after failing for {lasted:.1f} s{told}"


class Outages:
    """The store's, and those of each vendor's registration and kind of failure."""

    __slots__ = ("_monotonic", "_record_lost_at", "_vendors", "records_lost", "store")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.store = Outage(monotonic)
        self._vendors: dict[Vendor, dict[str, Outage]] = {}
        self.records_lost = 0
        """How many the store had lost, so far."""
        self._record_lost_at = -math.inf

    def record_lost(self) -> int:
        """The store had lost a record: the level at which that is logged. It may have lost them all."""
        now, before = self._monotonic(), self._record_lost_at
        self.records_lost += 1
        self._record_lost_at = now
        return logging.WARNING if now > before + timing.GRACE else logging.DEBUG

    def failed(self, vendor: Vendor, account: str, error: LinkAuthError) -> int:
        """A renewal of ``account``'s failed: the level at which that is logged."""
        if isinstance(error, StoreUnavailable):  # which was said when it began
            self.store.hold_up("accounts held up", f"{vendor.name}/{account}")
            return logging.DEBUG
        kind = "unavailable" if isinstance(error, VendorUnavailable | RateLimited) else type(error).__name__
        outage = self._vendors.setdefault(vendor, {}).setdefault(kind, Outage(self._monotonic))
        # Of one account that fails by itself, while others are served, it was said; of the next that does it was not.
        new = not outage or (outage.worked_for_others and not outage.holds_up(account))
        outage.fail()
        if new:
            outage.worked_for_others = False
        outage.hold_up("accounts had failed", account)
        return logging.WARNING if new else logging.DEBUG

    def succeeded(self, vendor: Vendor, account: str) -> None:
        """A renewal of ``account``'s did not fail: what it was held up by is over."""
        several = self._vendors.get(vendor, {})
        for kind, outage in tuple(several.items()):
            if outage.holds_up(account):
                log.info("%s: renews again (%s) %s", vendor.name, kind, outage.end())
                del several[kind]
            else:
                outage.worked_for_others = True
        if not several:
            self._vendors.pop(vendor, None)
