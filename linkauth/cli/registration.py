"""Which vendor, as which client: from the command line, and its secret from the environment or a prompt.

A secret on a command line stands in the shell's history and in ``ps``, so there is no option for one.
"""

from __future__ import annotations

import argparse
import os
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from linkauth import AuthEngine
from linkauth.cli import vendor_of
from linkauth.cli.making import GROUP, OPTIONS, known, made
from linkauth.errors import ConfigurationError
from linkauth.oauth.token import secret_str
from linkauth.plugins import names
from linkauth.vendors.catalog import close_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from linkauth import Credential
    from linkauth.engine.engine import Engine
    from linkauth.store import Existing
    from linkauth.vendors.vendor import Vendor

__all__ = ["Store", "add_arguments", "add_store", "credential", "engine", "existing", "exists", "opened", "vendor"]

_PASSWORD: Final = re.compile(r"//[^/?#]*:[^/?#]*@|[?&;][^=&]*(password|secret)[^=&]*=", re.IGNORECASE)
"""In a URL: a password before the host, or among the options."""
ENDS: Final = """The client's secret is read from $LINKAUTH_CLIENT_SECRET, or asked for. To share a session with an app,
name the vendor as the app does: client, base URL, scope and account are all part of whose session it is."""


def add_arguments(one: argparse.ArgumentParser) -> None:
    """Add --store, VENDOR and the options that describe a registration."""
    words = "as `linkauth vendors` lists them; default $LINKAUTH_VENDOR, or the only one in the store"
    named = os.environ.get("LINKAUTH_VENDOR")
    one.add_argument("vendor", nargs="?", type=_vendor_name, default=named, metavar="VENDOR", help=words)
    add_store(one)
    for name, meaning in {"account": "whose session (default: default)", **OPTIONS}.items():
        variable = f"LINKAUTH_{name.upper()}"
        option = f"--{name.replace('_', '-')}"
        one.add_argument(option, default=os.environ.get(variable), help=f"{meaning}; default ${variable}")
    many = "oauth2 and the catalogue's: a parameter for its requests, such as audience=…; may be given several times"
    one.add_argument("--extra", action="append", default=[], metavar="NAME=VALUE", help=many)
    own = "a part of the registration that is this vendor's own, such as shop=…; may be given several times"
    one.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=own)
    vendor_of.add_argument(one)
    one.epilog = ENDS


def _vendor_name(text: str) -> str:
    """The type of VENDOR. Case does not matter."""
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
        default=os.environ.get("LINKAUTH_STORE"),
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
        given = str(values)
        if _PASSWORD.search(given):
            parser.error(
                f"{option_string or self.metavar}: a password can be read by everybody on this host, in `ps`; set "
                "$LINKAUTH_STORE instead, or name another variable, as '$NAME' in quotes"
            )
        if given.startswith("$"):
            given = os.environ.get(given[1:], "") or parser.error(f"{given} is not set")
        setattr(namespace, self.dest, secret_str(given))


def engine(chosen: argparse.Namespace) -> AuthEngine:
    """The engine on the store that was named. Raises ``ConfigurationError``."""
    return opened(chosen.store)


def opened(store: str | None) -> AuthEngine:
    """The engine on the store of that URL. Raises ``ConfigurationError``."""
    if not store:
        raise ConfigurationError("which store? Give --store URL or set $LINKAUTH_STORE")
    keys = os.environ.get("LINKAUTH_KEYS")
    several = [key.strip() for key in keys.split(",") if key.strip()] if keys else None
    return AuthEngine(store, keys=several, trust_env=True)


@asynccontextmanager
async def existing(store: str | None) -> AsyncGenerator[AuthEngine]:
    """As ``opened``, for who only reads: a store that nobody has used is not made, but told as the mistake that it is."""
    async with opened(store) as found:
        if not await exists(found):
            raise ConfigurationError("there is no store at that URL, and none is made by looking at it")
        yield found


async def exists(found: Engine[Any]) -> bool:
    """Whether anybody has used the store before, as far as it can tell. Raises ``StoreUnavailable``."""
    store_client = found.context.store_client
    if not hasattr(store_client.store, "exists"):
        return True
    return await store_client.do(cast("Existing", store_client.store).exists())


async def credential(opened: AuthEngine, chosen: argparse.Namespace) -> Credential:
    """The credential that was named. Raises as ``vendor`` does."""
    return opened.credential(await vendor(opened, chosen), chosen.account or "default")


async def vendor(opened: AuthEngine, chosen: argparse.Namespace) -> Vendor:
    """The vendor that was named, or that of a stored session by ``--vendor-of``.

    Raises ``ConfigurationError`` for what is missing, and as ``OAuth2.discover`` does.
    """
    if chosen.vendor_of:
        return await vendor_of.stored_vendor(opened, chosen)
    chosen.vendor = name = chosen.vendor or await _only_one(opened)
    given = {name: value for name in OPTIONS if (value := getattr(chosen, name))}
    return await made(name, given, extra=_pairs("--extra", chosen.extra), own=_pairs("--set", chosen.set))


async def _only_one(opened: AuthEngine) -> str:
    """The vendor that all credentials in the store are of. Raises ``ConfigurationError``."""
    found = {each.vendor async for each in opened.statuses()} if await exists(opened) else set[str]()
    if len(found) == 1 and found <= known():
        return found.pop()
    there = f"the store holds {', '.join(sorted(found))}" if found else "the store holds no credential"
    installed = ", ".join(sorted(names(GROUP)))
    raise ConfigurationError(
        f"which vendor? Name one of {installed}, or of the catalogue (`linkauth vendors`), or set $LINKAUTH_VENDOR; {there}"
    )


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    pairs = {name: value for name, _, value in (text.partition("=") for text in texts)}
    if not all(pairs) or not all(pairs.values()):
        raise ConfigurationError(f"{option}: NAME=VALUE is needed")
    return pairs
