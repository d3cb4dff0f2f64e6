"""Which vendor, as which client: from the command line, the environment or a profile, and its secret from there or a prompt."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from linkauth import AuthEngine
from linkauth.cli import vendor_of
from linkauth.cli.arguments import REGISTRATION
from linkauth.cli.known import GROUP, known
from linkauth.cli.making import made
from linkauth.cli.settings import setting
from linkauth.errors import ConfigurationError
from linkauth.plugins import names

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from linkauth import Credential
    from linkauth.engine.engine import Engine
    from linkauth.store import Existing
    from linkauth.vendors.vendor import Vendor

__all__ = ["credential", "engine", "existing", "exists", "opened", "raise_unless_exists", "vendor"]


def engine(chosen: argparse.Namespace) -> AuthEngine:
    """The engine on the store that was named. Raises ``ConfigurationError``."""
    return opened(chosen.store)


def opened(store: str | None) -> AuthEngine:
    """The engine on the store of that URL. Raises ``ConfigurationError``."""
    if not store:
        raise ConfigurationError("which store? Give --store URL or set $LINKAUTH_STORE")
    keys = setting("LINKAUTH_KEYS")
    several = [key.strip() for key in keys.split(",") if key.strip()] if keys else None
    return AuthEngine(store, keys=several, trust_env=True)


@asynccontextmanager
async def existing(store: str | None) -> AsyncGenerator[AuthEngine]:
    """As ``opened``, for who only reads: a store that nobody has used is not made, but told as the mistake that it is."""
    async with opened(store) as found:
        await raise_unless_exists(found)
        yield found


async def raise_unless_exists(found: Engine) -> None:
    """Raises ``ConfigurationError`` for a store that nobody has used, ``StoreUnavailable``."""
    if not await exists(found):
        raise ConfigurationError(
            "there is no store at that URL, and none is made by looking at it: look at --store and $LINKAUTH_STORE; "
            "`linkauth connect` and `import` make one"
        )


async def exists(found: Engine) -> bool:
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
    given = {name: value for name in REGISTRATION if (value := getattr(chosen, name))}
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
