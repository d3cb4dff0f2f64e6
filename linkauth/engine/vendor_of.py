"""Whose a record is, where each tenant has a vendor of its own: the app knows, by a function."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias, cast

from linkauth.engine.awaited import awaited
from linkauth.engine.status import Status
from linkauth.errors import StoreError
from linkauth.protocol.keys import token_keys
from linkauth.vendors.vendor import Vendor

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["VendorOf", "name_of", "vendor_of_record"]

log = logging.getLogger("linkauth")

Found: TypeAlias = Vendor | Iterable[Vendor] | None
VendorOf: TypeAlias = Callable[[Status], Found | Awaitable[Found]]
"""From a credential's status to its vendor, or to several of which it may be; None: to none."""


async def vendor_of_record(function: VendorOf, status: Status) -> Vendor | None:
    """Whose the record of ``status`` is by ``function``; None: nobody's. What it says counts only where the record is that vendor's.

    Raises ``StoreError``.
    """
    several = await _asked(function, status)
    return next((vendor for vendor in several if status.key in token_keys(vendor, status.account)), None)


async def _asked(function: VendorOf, status: Status) -> Sequence[Vendor]:
    """What ``function`` says of ``status``. One that fails holds up no other credential, and is told in the log.

    By its class alone, for its words may hold a secret. Raises ``StoreError``.
    """
    try:
        found: object = await awaited(function(status))
        several = [found] if isinstance(found, Vendor) else [*cast("Iterable[object]", found or ())]
        fault = "" if all(isinstance(one, Vendor) for one in several) else "gave what is no vendor"
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001  # somebody else's code
        several, fault = [], f"failed: {type(error).__name__}"
    if fault:
        log.error("%s %s for %s/%s", name_of(function), fault, status.vendor, status.account)
        return []
    return cast("list[Vendor]", several)


def name_of(function: VendorOf) -> str:
    """What ``function`` is called in every worker: its module and name, or its class's."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
