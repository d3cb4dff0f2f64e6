"""What the catalogue says of one vendor: ``OAuth2``'s arguments, the page that they are from, and what varies per tenant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast

import attrs

from linkauth.errors import ConfigurationError
from linkauth.oauth.url import base_url
from linkauth.vendors.vendor import RotationProfile

__all__ = ["DAY", "ENDS_ACCESS", "HOST", "LABEL", "MINUTE", "ROOT", "TEXT", "Entry", "Varies", "entry", "varies"]

MINUTE: Final = 60.0
DAY: Final = 86_400.0
ENDS_ACCESS: Final = RotationProfile(rotates=True, ends_access=True)
"""Each use of a refresh token brings a new one, and ends the access token before it at once."""

LABEL: Final = "label"
"""One label of a host, or one segment of a path."""
HOST: Final = "host"
"""The name of a host."""
ROOT: Final = "root"
"""A whole root URL."""
TEXT: Final = "text"
"""Letters, digits, dots and dashes, in a parameter."""

_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_HOST: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}")
_TEXT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*")
_FORMS: Final = {LABEL: _LABEL, HOST: _HOST, TEXT: _TEXT}


@attrs.frozen
class Varies:
    """A keyword of ``OAuth2.of``: a part of the vendor's URLs that is each tenant's own."""

    meaning: str
    """In words for people."""
    kind: str = LABEL
    choices: tuple[str, ...] = ()
    """All that it may be; empty: anything of its kind."""
    default: str | None = None
    """None: it has to be given."""

    def checked(self, where: str, value: object) -> str:
        """``value`` as it stands in a URL. Raises ``ConfigurationError``: nothing else decides where a secret goes."""
        if isinstance(value, str) and self._fits(value):
            return str(base_url(value)) if self.kind == ROOT else value
        allowed = f"one of {', '.join(self.choices)}" if self.choices else f"a {self.kind}"
        raise ConfigurationError(f"{where} is {self.meaning}: {allowed}")

    def _fits(self, value: str) -> bool:
        if self.choices:
            return value in self.choices
        if self.kind == ROOT:
            return True  # ``base_url`` looks at it
        return len(value) <= 253 and _FORMS[self.kind].fullmatch(value) is not None


@attrs.frozen(kw_only=True)
class Entry:
    """One vendor. Braces in ``arguments`` stand for what varies."""

    page: str
    """The vendor's page that says so."""
    read: str
    """The day on which it was read, as year-month-day."""
    arguments: Mapping[str, Any]
    """``OAuth2``'s, by keyword."""
    varies: Mapping[str, Varies]
    former: tuple[Mapping[str, Any], ...] = ()
    """The arguments that earlier releases had otherwise, each release's its own."""
    api_asked_at: str | None = None
    """Where the base of the API has to be asked for with a token; None: ``api_url``, or the token's answer says it."""

    @property
    def needs(self) -> frozenset[str]:
        """The keywords that have to be given."""
        return frozenset(name for name, one in self.varies.items() if one.default is None)

    def registration(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """``OAuth2``'s arguments: this entry's, and those ``given``, which go first.

        Raises ``ConfigurationError`` for a keyword of the tenant's that is missing or cannot be one.
        """
        own = {one: how.checked(f"{name}: {one}=", given.get(one, how.default)) for one, how in self.varies.items()}
        rest = {one: value for one, value in given.items() if one not in self.varies}
        said = {one: _filled(value, own) for one, value in self.arguments.items()}
        # Where the caller says it himself, no release has said it otherwise.
        former = tuple({one: _filled(value, own) for one, value in each.items()} for each in self.former)
        former = tuple(kept for each in former if (kept := {one: each[one] for one in each if one not in rest}))
        return {"name": name, **said, **({"former": former} if former else {}), **rest}


def _filled(value: Any, own: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: own[found[1]], value)
    if isinstance(value, Mapping):
        return {name: _filled(each, own) for name, each in cast("Mapping[str, Any]", value).items()}
    return value


def varies(meaning: str, kind: str = LABEL, *choices: str, default: str | None = None) -> Varies:
    """A keyword of an entry."""
    return Varies(meaning, kind, choices, default)


def entry(
    page: str,
    read: str,
    *,
    per_tenant: Mapping[str, Varies] | None = None,
    former: tuple[Mapping[str, Any], ...] = (),
    api_asked_at: str | None = None,
    **arguments: Any,
) -> Entry:
    """An entry as the catalogue's files write it. ``pkce``: only where the vendor's page has it."""
    return Entry(
        page=page,
        read=read,
        arguments=MappingProxyType({"pkce": False, **arguments}),
        varies=MappingProxyType(dict(per_tenant or {})),
        former=former,
        api_asked_at=api_asked_at,
    )
