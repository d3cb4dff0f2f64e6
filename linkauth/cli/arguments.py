"""What commands have in common on the command line: the store, VENDOR and its registration, lengths of time.

This file, ``options`` and ``parser`` import no library and nothing of the engine: a shell that completes, and whoever asks for help,
need not wait for them.
A secret on a command line stands in the shell's history and in ``ps``, so there is no option for one.
"""

from __future__ import annotations

import argparse
import math
import os
import re
from typing import Final

from linkauth.cli.settings import pairs, setting

__all__ = ["PASSWORD", "REGISTRATION", "Store", "add_registration", "add_store", "age", "seconds"]

REGISTRATION: Final = {
    "client_id": "the client's id",
    "scope": "separated by spaces",
    "base_url": "where the vendor is: of sagex3 its region's root, of oauth2 its API; default its own, but for sagex3",
    "customer": "sagex3: the customer's X3 URL",
    "regions": "sagex3: where a pairing may move to, separated by commas, such as us-prod",
    "name": "oauth2: what the app calls it (default: oauth2)",
    "issuer": "oauth2: whose metadata names the endpoints (RFC 8414)",
    "token_url": "oauth2: the token endpoint, without --issuer",
    "authorize_url": "oauth2: the authorization endpoint, without --issuer; none: client credentials",
    "revoke_url": "oauth2: the revocation endpoint, without --issuer",
    "client_auth": "oauth2: post, basic or none; default as the metadata says, else post",
}
"""Parts of a registration that are options, and what each is."""

PASSWORD: Final = re.compile(r"//[^/?#]*:[^/?#]*@|[?&;][^=&]*(password|secret)[^=&]*=", re.IGNORECASE)
"""In a URL: a password before the host, or among the options."""
ENDS: Final = """The client's secret is read from $LINKAUTH_CLIENT_SECRET, or asked for. To share a session with an app,
name the vendor as the app does: client, base URL, scope and account are all part of whose session it is."""


def add_registration(one: argparse.ArgumentParser) -> None:
    """Add --store, VENDOR and the options that describe a registration."""
    words = "as `linkauth vendors` lists them; default $LINKAUTH_VENDOR, or the only one in the store"
    named = setting("LINKAUTH_VENDOR")
    one.add_argument("vendor", nargs="?", type=_vendor_name, default=named, metavar="VENDOR", help=words)
    add_store(one)
    for name, meaning in {"account": "whose session (default: default)", **REGISTRATION}.items():
        variable = f"LINKAUTH_{name.upper()}"
        option = f"--{name.replace('_', '-')}"
        one.add_argument(option, default=setting(variable), help=f"{meaning}; default ${variable}")
    many = "oauth2 and the catalogue's: a parameter for its requests, such as audience=…; may be given several times"
    one.add_argument("--extra", action="append", default=pairs("extra"), metavar="NAME=VALUE", help=many)
    own = "a part of the registration that is this vendor's own, such as shop=…; may be given several times"
    one.add_argument("--set", action="append", default=pairs("set"), metavar="NAME=VALUE", help=own)
    one.add_argument(
        "--vendor-of",
        default=setting("LINKAUTH_VENDOR_OF"),
        metavar="MODULE:FUNCTION",
        help="in place of a registration, where each tenant has a vendor of its own: the app's function from a linkauth.Status to its "
        "vendor, as keep_alive() takes it, in a module that is installed or in this folder; default $LINKAUTH_VENDOR_OF",
    )
    one.epilog = ENDS


def _vendor_name(text: str) -> str:
    """The type of VENDOR. Case does not matter."""
    from linkauth.cli.known import known  # noqa: PLC0415  # whoever names one waits for its engine anyway
    from linkauth.vendors.catalog import close_to  # noqa: PLC0415

    name = text.lower()
    if name not in known():
        raise argparse.ArgumentTypeError(
            f"no vendor {text!r} is known{close_to(name, known())}; `linkauth vendors` lists all"
        )
    return name


def add_store(one: argparse.ArgumentParser) -> None:
    """Add --store."""
    one.add_argument(
        "--store",
        action=Store,
        default=setting("LINKAUTH_STORE"),
        metavar="URL",
        help="such as file:~/.linkauth or redis://localhost/0; default $LINKAUTH_STORE, where a URL with a password "
        "belongs. A store that is encrypted is read with $LINKAUTH_KEYS (newest first, separated by commas)",
    )


class Store(argparse.Action):
    """A store's URL as an argument, or ``$NAME``: the variable that holds it.

    A URL with a password is refused: every user of the host can read arguments.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Take it, or end with what is wrong with it."""
        from linkauth.oauth.token import secret_str  # noqa: PLC0415  # whoever names a store waits for the engine anyway

        given = str(values)
        if PASSWORD.search(given):
            parser.error(
                f"{option_string or self.metavar}: a password can be read by everybody on this host, in `ps`; set "
                "$LINKAUTH_STORE instead, or name another variable, as '$NAME' in quotes"
            )
        if given.startswith("$"):
            given = os.environ.get(given[1:], "") or parser.error(f"{given} is not set")
        setattr(namespace, self.dest, secret_str(given))


_UNITS: Final = {"d": 86400, "h": 3600, "min": 60, "s": 1, "": 1}


def age(text: str) -> float:
    """Seconds that ``90d``, ``12h``, ``30min`` or ``45s`` mean; of a bare number, too. Raises ``ValueError``."""
    found = re.fullmatch(r"([0-9.]+) ?(d|h|min|s|)", text.strip())
    return seconds(float(found[1]) * _UNITS[found[2]] if found else 0.0)


def seconds(text: str | float) -> float:
    """A number of seconds above 0. Raises ``ValueError``."""
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError
    return number


# argparse says them: "invalid length of time value".
age.__name__ = "length of time"
seconds.__name__ = "number of seconds"
