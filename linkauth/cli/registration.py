"""Which vendor, as which client: from the command line, and its secret from the environment or a prompt.

A secret on a command line stands in the shell's history and in ``ps``, so there is no option for one.
"""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from linkauth import AuthEngine, Linkkit, LinkXG, LinkXGUser, OAuth2, SageX3
from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from linkauth.vendors.vendor import Vendor

__all__ = ["add_arguments", "ask_secret", "engine", "vendor"]

VENDORS: Final = ("linkxg", "linkxg-user", "linkkit", "sagex3", "oauth2")
OPTIONS: Final = {
    "client_id": "the client's id",
    "scope": "separated by spaces",
    "base_url": "where the vendor is; default its own",
    "customer": "sagex3: the customer's X3 URL",
    "issuer": "oauth2: whose metadata names the endpoints (RFC 8414)",
    "token_url": "oauth2: the token endpoint, without --issuer",
    "authorize_url": "oauth2: the authorization endpoint, without --issuer",
    "account": "whose session (default: default)",
}


def add_arguments(one: argparse.ArgumentParser) -> None:
    """Add VENDOR and the options that describe a registration."""
    one.add_argument("vendor", choices=VENDORS, metavar="VENDOR", help=", ".join(VENDORS))
    for name, words in OPTIONS.items():
        variable = f"LINKAUTH_{name.upper()}"
        option = f"--{name.replace('_', '-')}"
        one.add_argument(option, default=os.environ.get(variable), help=f"{words}; default ${variable}")
    one.epilog = "The client's secret is read from $LINKAUTH_CLIENT_SECRET, or asked for."


def engine(chosen: argparse.Namespace) -> AuthEngine:
    """The engine on the store that was named. Raises ``ConfigurationError``."""
    if not chosen.store:
        raise ConfigurationError("which store? Give --store URL or set $LINKAUTH_STORE")
    keys = os.environ.get("LINKAUTH_KEYS")
    return AuthEngine(chosen.store, keys=[key.strip() for key in keys.split(",") if key.strip()] if keys else None)


async def vendor(chosen: argparse.Namespace) -> Vendor:
    """The vendor that was named. Raises ``ConfigurationError`` for what is missing."""
    given = {name: value for name in OPTIONS if name != "account" and (value := getattr(chosen, name))}
    name = chosen.vendor
    if name == "linkxg-user":
        return LinkXGUser(**_only(given, "base_url"))
    if "client_id" not in given:
        raise ConfigurationError(f"{name}: give --client-id or set $LINKAUTH_CLIENT_ID")
    given["client_secret"] = ask_secret("LINKAUTH_CLIENT_SECRET", "client secret")
    if name == "linkxg":
        return LinkXG(**_only(given, "client_id", "client_secret", "scope", "base_url"))
    if name == "linkkit":
        return Linkkit(**_only(given, "client_id", "client_secret", "scope", "base_url"))
    if name == "sagex3":
        if missing := {"base_url", "customer"} - given.keys():
            raise ConfigurationError(f"sagex3: give --{min(missing).replace('_', '-')}")
        return SageX3(**_only(given, "client_id", "client_secret", "scope", "base_url", "customer"))
    rest = _only(given, "client_id", "client_secret", "scope", "token_url", "authorize_url")
    if "issuer" in given:
        return await OAuth2.discover(given["issuer"], **rest)
    if "token_url" not in given:
        raise ConfigurationError("oauth2: give --issuer or --token-url")
    return OAuth2(name="oauth2", api_url=given.get("base_url"), **rest)


def ask_secret(variable: str, what: str) -> str:
    """A secret from the environment, else asked for without echo. Raises ``ConfigurationError`` where nobody is there."""
    found = os.environ.get(variable)
    if found:
        return found
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{what}: set ${variable}")
    return getpass.getpass(f"{what}: ")


def _only(given: Mapping[str, str], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}
