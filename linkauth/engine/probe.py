"""What is measured beside the events: how long things took, and how many shared them.

Events are few: some in a day for each credential. What happens with every request, every caller and every look at the store would
drown them; whoever wants that all the same, such as ``linkauth.telemetry``, takes the place of the probe that measures nothing.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

__all__ = ["Census", "Probe", "Try"]


@attrs.frozen(kw_only=True)
class Try:
    """One request to a vendor's token side, and what came of it. Never a secret."""

    vendor: str
    account: str
    method: str
    host: str
    attempt: int
    """From 1 up: of one exchange, whose tries share one time limit."""
    duration: float
    """Seconds until the answer was read, or did not come."""
    status: int | None
    """The answer's; None: there was none."""
    error: str = ""
    """The class of the error, where there was no answer that can be used."""

    def __str__(self) -> str:
        came = self.error or self.status
        return f"{self.method} to {self.host}: {came}, attempt {self.attempt}, {self.duration:.3f} s"


@attrs.define(kw_only=True)
class Census:
    """What a round of keep-alive found in the store of one vendor's credentials."""

    well: int = 0
    failing: int = 0
    """The last renewal failed, or nobody knows how it ended."""
    needs_user: int = 0
    lapses_at: float | None = None
    """When the first session that lives lapses, unless it is renewed or consented to: Unix seconds by the store's clock; None: none says."""


class Probe:
    """Measures nothing. What one measures takes no time to speak of: it is called in the event loop."""

    def flight(self, vendor: str, account: str) -> AbstractContextManager[None]:
        """Called where a renewal begins, in the context of who began it; what it returns is entered around the work."""
        del vendor, account
        return nullcontext()

    def landed(self, vendor: str, seconds: float, callers: int, error: str) -> None:
        """A renewal has ended for which so many ``callers`` waited. ``error``: its class; empty: it brought a token."""

    def waited(self, vendor: str, seconds: float) -> None:
        """One caller had to wait for a token."""

    def tried(self, one: Try) -> None:
        """A vendor was asked."""

    def asked_store(self, operation: str, seconds: float, error: str) -> None:
        """The store was asked. ``operation``: the method's name; ``error``: the class; empty: it answered."""

    def counted(self, found: Mapping[str, Census], every: float, now: float) -> None:
        """A round of keep-alive saw the whole store: by vendor. The next one comes in ``every`` seconds, from whichever worker.

        ``now``: the store's clock.
        """
