"""What came of a callback: the page that says it, and what the app is handed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from linkauth.web.landing import failure

if TYPE_CHECKING:
    from linkauth.errors import LinkAuthError
    from linkauth.vendors.vendor import Vendor
    from linkauth.web.landing import Landing
    from linkauth.web.start import Start

__all__ = ["Outcome", "failed"]


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a callback, or of a start that failed."""

    landing: Landing
    start: Start | None = None
    """What was begun; None: not known."""
    connected: tuple[Vendor, str] | None = None
    """The vendor and the account that is connected to it now; None: nobody is."""
    error: LinkAuthError | None = None
    """Why nobody is, where that is an error."""


def failed(error: LinkAuthError, start: Start) -> Outcome:
    """The outcome that ``error`` is. It is kept for a while: without its traceback."""
    return Outcome(landing=failure(error), start=start, error=error.again())
