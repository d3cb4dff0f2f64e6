"""A vendor by the name that is typed: installed by somebody (entry points), or one of the catalogue.

What is installed is a callable that takes the registration by keyword. Its signature says what it is given, and what is missing.
"""

from __future__ import annotations

import re
from functools import partial
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from linkauth import OAuth2
from linkauth.cli.arguments import REGISTRATION
from linkauth.cli.known import GROUP
from linkauth.cli.terminal import ask_secret
from linkauth.errors import ConfigurationError
from linkauth.plugins import load, names
from linkauth.vendors import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from linkauth.vendors.vendor import Vendor

__all__ = ["made"]

_TELLING: Final = re.compile(r"(secret|password|token|key)$", re.IGNORECASE)
"""Names of what stands in the shell's history, and in ``ps``, if it is typed."""


@attrs.frozen
class _Maker:
    """What makes a vendor, and the arguments that it takes."""

    call: Callable[..., Any]
    takes: frozenset[str]
    needs: frozenset[str]
    anything: bool = False
    """It takes arguments of any name."""

    def accepts(self, name: str) -> bool:
        return self.anything or name in self.takes


def _maker(name: str) -> _Maker:
    """Raises ``ConfigurationError`` where what is installed cannot be loaded."""
    if name not in names(GROUP) and name in catalog.ENTRIES:
        entry, general = catalog.ENTRIES[name], frozenset(signature(OAuth2).parameters)
        return _Maker(partial(OAuth2.of, name), general | entry.varies.keys(), entry.needs | {"client_id"})
    call = load(GROUP, name, what="vendor", named="the name")
    parameters = signature(call).parameters.values()
    named = [one for one in parameters if one.kind in {Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD}]
    return _Maker(
        call,
        frozenset(one.name for one in named),
        frozenset(one.name for one in named if one.default is Parameter.empty),
        any(one.kind is Parameter.VAR_KEYWORD for one in parameters),
    )


async def made(name: str, given: Mapping[str, Any], *, extra: Mapping[str, str], own: Mapping[str, str]) -> Vendor:
    """The vendor ``name`` of the registration in ``given``, options as they were typed; ``own``: what only this vendor takes.

    Asks for the client's secret. Raises ``ConfigurationError`` for what is missing, and as ``OAuth2.discover`` does.
    """
    maker = _maker(name)
    whole: dict[str, Any] = {**given, **({"extra": extra} if extra else {})}
    if "regions" in whole:
        whole["regions"] = [one.strip() for one in whole["regions"].split(",") if one.strip()]
    if maker.accepts("api_url") and not maker.accepts("base_url") and "base_url" in whole:
        whole["api_url"] = whole.pop("base_url")
    if "name" in maker.needs:
        whole.setdefault("name", name)
    if secret := [one for one in own if _TELLING.search(one)]:
        raise ConfigurationError(
            f"{name}: --set {min(secret)}=…: no secret belongs on a command line; the client's is $LINKAUTH_CLIENT_SECRET"
        )
    if unknown := [one for one in own if not maker.accepts(one)]:
        raise ConfigurationError(f"{name}: --set {min(unknown)}=… is nothing that it takes")
    whole = {**{one: value for one, value in whole.items() if maker.accepts(one)}, **own}
    call, needs = maker.call, maker.needs
    discover = getattr(call, "discover", None)
    if discover is not None and "issuer" in whole:
        call, needs = partial(discover, whole.pop("issuer"), trust_env=True), needs - {"token_url"}
    _raise_if_missing(name, needs - {"client_secret"} - whole.keys(), or_issuer=discover is not None)
    if maker.accepts("client_secret") and whole.get("client_auth") != "none":
        whole["client_secret"] = ask_secret("LINKAUTH_CLIENT_SECRET", "client secret")
    try:
        vendor = call(**whole)
    except TypeError:  # its words may hold what it was given
        raise ConfigurationError(f"{name}: it cannot be made of {', '.join(sorted(whole))}") from None
    return cast("Vendor", vendor if discover is None or call is maker.call else await vendor)


def _raise_if_missing(name: str, missing: frozenset[str], *, or_issuer: bool) -> None:
    if "client_id" in missing:
        raise ConfigurationError(f"{name}: give --client-id or set $LINKAUTH_CLIENT_ID")
    for one in sorted(missing):
        option = "--issuer or --token-url" if or_issuer and one == "token_url" else f"--{one.replace('_', '-')}"
        raise ConfigurationError(f"{name}: give {option if one in REGISTRATION else f'--set {one}=…'}")
