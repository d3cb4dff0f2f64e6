"""Which vendor is meant: by the word in the path, and where that stands for a function, by the tenant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

from linkauth.engine.awaited import awaited
from linkauth.errors import ConfigurationError, UnsupportedGrant
from linkauth.vendors.vendor import Pending, Vendor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linkauth.web.start import Start

__all__ = ["OfTenant", "Vendors"]

OfTenant: TypeAlias = Callable[[str], Vendor | Awaitable[Vendor | None] | None]
"""A tenant's vendor; None: there is no such tenant."""


def _by_word(vendors: Iterable[Vendor] | Mapping[str, Vendor | OfTenant]) -> dict[str, Vendor | OfTenant]:
    """``vendors`` by the word in the path: their names, or as the mapping has them. Raises ``ConfigurationError``."""
    found: dict[str, Vendor | OfTenant] = {}
    if isinstance(vendors, Mapping):
        found.update(cast("Mapping[str, Vendor | OfTenant]", vendors))
    else:
        for vendor in vendors:
            if vendor.name in found:
                raise ConfigurationError(
                    f"connect_app: two vendors are called {vendor.name}; mount an app for each, or give a mapping"
                )
            found[vendor.name] = vendor
    for word, one in found.items():
        if not _is_a_word(word):
            raise ConfigurationError("connect_app: the words are texts that can be a segment of a path")
        if not isinstance(one, Vendor) and not callable(one):
            raise ConfigurationError(f"connect_app: {word} is neither a vendor nor a function of the tenant")
    return found


def _is_a_word(word: object) -> bool:
    return isinstance(word, str) and word.strip(".") != "" and word.isprintable() and "/" not in word


class Vendors:
    """An app's vendors. ``redirect_uri``: by the word in the path."""

    def __init__(
        self,
        vendors: Iterable[Vendor] | Mapping[str, Vendor | OfTenant],
        redirect_uri: Callable[[str], str],
    ) -> None:
        self._named = _by_word(vendors)
        for word, one in self._named.items():
            if isinstance(one, Vendor):
                _check(one, redirect_uri(word))

    def __contains__(self, word: str) -> bool:
        return word in self._named

    def one(self, word: str) -> Vendor | None:
        """The vendor that ``word`` stands for; None where the tenant decides."""
        found = self._named[word]
        return found if isinstance(found, Vendor) else None

    async def of(self, start: Start) -> Vendor | None:
        """The vendor that is meant by ``start``; None: there is no such tenant. Raises what the app's function raises."""
        found = self._named[start.word]
        if isinstance(found, Vendor):
            return found
        if not start.names_a_tenant:
            return None
        vendor: object = await awaited(found(start.tenant))
        if vendor is None or isinstance(vendor, Vendor):
            return vendor
        raise ConfigurationError(
            f"connect_app: {start.word} gave {type(vendor).__name__}, where a vendor or None is needed"
        )


def _check(vendor: Vendor, redirect_uri: str) -> None:
    try:
        vendor.authorization_url(Pending(redirect_uri=redirect_uri), state="-", challenge=None)
    except UnsupportedGrant:
        pass
    else:
        return
    raise ConfigurationError(f"connect_app: {vendor.name} has no authorization page to send users to")
