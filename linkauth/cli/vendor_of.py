"""``--vendor-of``: a function of the app's own that says whose a record is, for vendors of which each tenant has one."""

from __future__ import annotations

import sys
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from linkauth.engine.vendor_of import vendor_of_record
from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from linkauth import AuthEngine
    from linkauth.engine.vendor_of import VendorOf
    from linkauth.vendors.vendor import Vendor

__all__ = ["stored_vendor", "vendor_of"]

TELLING: Final = ("client_id", "scope", "base_url", "customer", "token_url")
"""Options by which sessions of one account are told apart."""


def vendor_of(named: str) -> VendorOf:
    """The function that ``named``, as ``MODULE:FUNCTION``, names. Raises ``ConfigurationError``."""
    module, _, name = named.partition(":")
    fault = "MODULE:FUNCTION is needed"
    here = str(Path.cwd())
    if here not in sys.path:  # a console script does not look there, and that is where apps are
        sys.path.append(here)
    if module and name:
        try:
            found = cast("object", attrgetter(name)(import_module(module)))
        except (ImportError, AttributeError) as error:
            fault = f"{error}"
        else:
            if callable(found):
                return cast("VendorOf", found)
            fault = "it is no function"
    raise ConfigurationError(f"--vendor-of {named}: {fault}")


async def stored_vendor(opened: AuthEngine, chosen: argparse.Namespace) -> Vendor:
    """The vendor of the stored session that ``chosen`` means, by the function that it names: it is asked of each of that account.

    Where the account has several, VENDOR and the options of a registration say which. Raises ``ConfigurationError`` where not
    exactly one is found, and ``StoreError``.
    """
    function, account, found = vendor_of(chosen.vendor_of), chosen.account or "default", list["Vendor"]()
    async for status in opened.statuses(vendor=chosen.name or chosen.vendor, account=account):
        vendor = await vendor_of_record(function, status)
        if vendor is not None and vendor not in found and _is_meant(vendor, chosen):
            found.append(vendor)
    if len(found) == 1:
        return found[0]
    fault = f"it knows the vendor of no such session of account {account} in the store; `linkauth status --account` lists them"
    if found:
        names = ", ".join(vendor.name for vendor in found)
        fault = f"account {account} has several sessions ({names}): name VENDOR, or what else of the registration tells them apart"
    raise ConfigurationError(f"--vendor-of {chosen.vendor_of}: {fault}")


def _is_meant(vendor: Vendor, chosen: argparse.Namespace) -> bool:
    """Whether the options that were given are those of ``vendor``, as far as it has such."""
    given = {name: value for name in TELLING if (value := getattr(chosen, name)) is not None}
    return all(getattr(vendor, name, value) == value for name, value in given.items())
