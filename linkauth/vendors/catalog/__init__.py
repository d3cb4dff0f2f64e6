"""Well-known vendors as data, for ``OAuth2.of``: what their own pages say of their URLs, answers, lifetimes and ways.

Nothing stands here that was not read on the page that the entry names, or on one that a comment beside it names. What a page
leaves open has ``OAuth2``'s default, which is never wrong: a refresh token that nobody says is kept is taken to be good for one use.
"""

from __future__ import annotations

from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from linkauth.errors import ConfigurationError
from linkauth.vendors.catalog.business import BUSINESS
from linkauth.vendors.catalog.entry import Entry
from linkauth.vendors.catalog.identity import IDENTITY
from linkauth.vendors.catalog.people import PEOPLE
from linkauth.vendors.catalog.work import WORK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ENTRIES", "Entry", "close_to", "registration"]

ENTRIES: Final[Mapping[str, Entry]] = MappingProxyType(dict(sorted({**BUSINESS, **IDENTITY, **PEOPLE, **WORK}.items())))
"""By the name that is typed."""


def registration(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """``OAuth2``'s arguments for the entry ``name`` and the arguments ``given``, which go before the entry's.

    Raises ``ConfigurationError`` for a name that is not there, and as ``Entry.registration`` does.
    """
    found = ENTRIES.get(name)
    if found is None:
        raise ConfigurationError(f"OAuth2.of: no vendor {name!r} is in the catalogue{close_to(name, ENTRIES)}")
    return found.registration(name, given)


def close_to(name: str, known: Iterable[str]) -> str:
    """Words on which of ``known`` may have been meant; none where nothing is close."""
    close = get_close_matches(name.lower(), sorted(known))
    return f"; close are: {', '.join(close)}" if close else ""
