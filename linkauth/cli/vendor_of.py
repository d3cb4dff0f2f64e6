"""``--vendor-of``: a function of the app's own that says whose a record is, for vendors of which each tenant has one."""

from __future__ import annotations

import os
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, cast

from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from linkauth.engine.vendor_of import VendorOf

__all__ = ["add_argument", "vendor_of"]


def add_argument(one: argparse.ArgumentParser) -> None:
    """Add the option."""
    one.add_argument(
        "--vendor-of",
        default=os.environ.get("LINKAUTH_VENDOR_OF"),
        metavar="MODULE:FUNCTION",
        help="in place of VENDOR, where each tenant has a vendor of its own: the app's function from a linkauth.Status to its "
        "vendor, as keep_alive() takes it, in a module that Python can import; default $LINKAUTH_VENDOR_OF",
    )


def vendor_of(named: str) -> VendorOf:
    """The function that ``named``, as ``MODULE:FUNCTION``, names. Raises ``ConfigurationError``."""
    module, _, name = named.partition(":")
    fault = "MODULE:FUNCTION is needed"
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
