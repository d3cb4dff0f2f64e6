"""Which vendor, as which client: from the command line, and its secret from the environment or a prompt.

A secret on a command line stands in the shell's history and in ``ps``, so there is no option for one.
"""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Any, Final

from linkauth import AuthEngine, Linkkit, LinkXG, LinkXGUser, OAuth2, SageX3
from linkauth.cli.terminal import ask_secret
from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth import Credential
    from linkauth.vendors.vendor import Vendor

__all__ = ["add_arguments", "add_store", "credential", "engine", "vendor"]

VENDORS: Final = ("linkxg", "linkxg-user", "linkkit", "sagex3", "oauth2")
OPTIONS: Final = {
    "account": "whose session (default: default)",
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
_PASSWORD: Final = re.compile(r"//[^/?#]*:[^/?#]*@|[?&;][^=&]*(password|secret)[^=&]*=", re.IGNORECASE)
"""In a URL: a password before the host, or among the options."""
ENDS: Final = """The client's secret is read from $LINKAUTH_CLIENT_SECRET, or asked for. To share a session with an app,
name the vendor as the app does: client, base URL, scope and account are all part of whose session it is."""


def add_arguments(one: argparse.ArgumentParser) -> None:
    """Add --store, VENDOR and the options that describe a registration."""
    words = f"{', '.join(VENDORS)}; default $LINKAUTH_VENDOR, or the only one in the store"
    named = os.environ.get("LINKAUTH_VENDOR")
    one.add_argument("vendor", nargs="?", choices=VENDORS, default=named, metavar="VENDOR", help=words)
    add_store(one)
    for name, meaning in OPTIONS.items():
        variable = f"LINKAUTH_{name.upper()}"
        option = f"--{name.replace('_', '-')}"
        one.add_argument(option, default=os.environ.get(variable), help=f"{meaning}; default ${variable}")
    many = "oauth2: a parameter for its requests, such as audience=…; may be given several times"
    one.add_argument("--extra", action="append", default=[], metavar="NAME=VALUE", help=many)
    one.epilog = ENDS


def add_store(one: argparse.ArgumentParser) -> None:
    """Add --store."""
    one.add_argument(
        "--store",
        action=_Store,
        default=os.environ.get("LINKAUTH_STORE"),
        metavar="URL",
        help="such as file:~/.linkauth or redis://localhost/0; default $LINKAUTH_STORE, where a URL with a password "
        "belongs. A store that is encrypted is read with $LINKAUTH_KEYS (newest first, separated by commas)",
    )


class _Store(argparse.Action):
    """A store's URL as an argument. One with a password is refused: every user of the host can read arguments."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        if _PASSWORD.search(str(values)):
            parser.error(
                "--store: a password can be read by everybody on this host, in `ps`; set $LINKAUTH_STORE instead"
            )
        setattr(namespace, self.dest, values)


def engine(chosen: argparse.Namespace) -> AuthEngine:
    """The engine on the store that was named. Raises ``ConfigurationError``."""
    if not chosen.store:
        raise ConfigurationError("which store? Give --store URL or set $LINKAUTH_STORE")
    keys = os.environ.get("LINKAUTH_KEYS")
    several = [key.strip() for key in keys.split(",") if key.strip()] if keys else None
    return AuthEngine(chosen.store, keys=several, trust_env=True)


async def credential(opened: AuthEngine, chosen: argparse.Namespace) -> Credential:
    """The credential that was named. Raises as ``vendor`` does."""
    return opened.credential(await vendor(opened, chosen), chosen.account or "default")


async def vendor(opened: AuthEngine, chosen: argparse.Namespace) -> Vendor:
    """The vendor that was named. Raises ``ConfigurationError`` for what is missing, and as ``OAuth2.discover`` does."""
    given = {name: value for name in OPTIONS if name != "account" and (value := getattr(chosen, name))}
    chosen.vendor = name = chosen.vendor or await _only_one(opened)
    if name == "linkxg-user":
        return LinkXGUser(**_some(given, "base_url"))
    if "client_id" not in given:
        raise ConfigurationError(f"{name}: give --client-id or set $LINKAUTH_CLIENT_ID")
    if name == "oauth2":
        return await _oauth2(given, _pairs(chosen.extra))
    if name == "sagex3" and (missing := {"base_url", "customer"} - given.keys()):
        raise ConfigurationError(f"sagex3: give --{min(missing).replace('_', '-')}")
    given["client_secret"] = ask_secret("LINKAUTH_CLIENT_SECRET", "client secret")
    names = ("client_id", "client_secret", "scope", "base_url")
    if name == "linkxg":
        return LinkXG(**_some(given, *names))
    if name == "linkkit":
        return Linkkit(**_some(given, *names))
    regions = [one.strip() for one in given.get("regions", "").split(",") if one.strip()]
    return SageX3(**_some(given, *names, "customer"), regions=regions)


async def _oauth2(given: dict[str, Any], extra: Mapping[str, str]) -> Vendor:
    if not {"issuer", "token_url"} & given.keys():
        raise ConfigurationError("oauth2: give --issuer or --token-url")
    if given.get("client_auth") != "none":
        given["client_secret"] = ask_secret("LINKAUTH_CLIENT_SECRET", "client secret")
    names = ("client_id", "client_secret", "scope", "token_url", "authorize_url", "revoke_url", "client_auth")
    rest: dict[str, Any] = {"name": given.get("name", "oauth2"), "api_url": given.get("base_url"), "extra": extra}
    rest.update(_some(given, *names))
    return await OAuth2.discover(given["issuer"], trust_env=True, **rest) if "issuer" in given else OAuth2(**rest)


async def _only_one(opened: AuthEngine) -> str:
    """The vendor that all credentials in the store are of. Raises ``ConfigurationError``."""
    found = {each.vendor async for each in opened.statuses()}
    if len(found) == 1 and found <= set(VENDORS):
        return found.pop()
    there = f"the store holds {', '.join(sorted(found))}" if found else "the store holds no credential"
    raise ConfigurationError(f"which vendor? Name one of {', '.join(VENDORS)}, or set $LINKAUTH_VENDOR; {there}")


def _some(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {name: value for name, _, value in (text.partition("=") for text in texts)}
    if not all(pairs) or not all(pairs.values()):
        raise ConfigurationError("--extra: NAME=VALUE is needed")
    return pairs
