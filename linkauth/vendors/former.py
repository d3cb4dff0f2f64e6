"""What a registration was before a URL of it was corrected: sessions that are stored under that are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # help() shows them
from typing import Any, Final, cast

from linkauth.errors import ConfigurationError

__all__ = ["former"]

WHOSE: Final = frozenset({"token_url", "client_id", "authorize_url", "scope", "extra", "authorize_extra"})
"""The arguments that decide whose session it is."""


def former(given: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """attrs converter: a list of mappings from arguments of ``OAuth2`` to what they were, as a tuple."""
    several = cast("list[object]", given) if isinstance(cast("object", given), list | tuple) else [None]
    if not all(isinstance(one, Mapping) and WHOSE.issuperset(cast("Mapping[str, Any]", one)) for one in several):
        raise ConfigurationError(f"OAuth2: former is a list of mappings from {', '.join(sorted(WHOSE))}")
    return tuple(cast("list[Mapping[str, Any]]", several))
