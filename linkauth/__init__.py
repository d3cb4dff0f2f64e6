"""OAuth2 tokens that are always fresh, fetched once however many tasks, processes and hosts ask."""

import importlib
import typing

from linkauth.version import __version__

if typing.TYPE_CHECKING:  # for checkers and readers; what runs is __getattr__
    from linkauth.engine.events import Event, EventKind
    from linkauth.engine.status import Status
    from linkauth.errors import (
        AccessDenied,
        AlreadyConnected,
        AuthorizationPending,
        ConfigurationError,
        Conflict,
        CorruptRecord,
        Forbidden,
        GraphQLError,
        InsufficientScope,
        InvalidClient,
        InvalidGrant,
        InvalidRequest,
        InvalidScope,
        InvalidToken,
        LinkAuthError,
        MalformedResponse,
        NoAnswer,
        NotFound,
        NotSent,
        OAuthError,
        RateLimited,
        ReauthorizationRequired,
        StateMismatch,
        StoreError,
        StoreUnavailable,
        UnauthorizedClient,
        UnprocessableContent,
        UnsupportedGrant,
        UntrustedEndpoint,
        VendorUnavailable,
    )
    from linkauth.front import AuthEngine, Credential, OAuth2
    from linkauth.oauth.binding import BrowserBinding
    from linkauth.oauth.token import Secret, Token
    from linkauth.store import TokenStore, open_store
    from linkauth.vendors import ApiKey, Dialect, Linkkit, LinkXG, LinkXGUser, RotationProfile, SageX3, Vendor

__all__ = [
    "AccessDenied",
    "AlreadyConnected",
    "ApiKey",
    "AuthEngine",
    "AuthorizationPending",
    "BrowserBinding",
    "ConfigurationError",
    "Conflict",
    "CorruptRecord",
    "Credential",
    "Dialect",
    "Event",
    "EventKind",
    "Forbidden",
    "GraphQLError",
    "InsufficientScope",
    "InvalidClient",
    "InvalidGrant",
    "InvalidRequest",
    "InvalidScope",
    "InvalidToken",
    "LinkAuthError",
    "LinkXG",
    "LinkXGUser",
    "Linkkit",
    "MalformedResponse",
    "NoAnswer",
    "NotFound",
    "NotSent",
    "OAuth2",
    "OAuthError",
    "RateLimited",
    "ReauthorizationRequired",
    "RotationProfile",
    "SageX3",
    "Secret",
    "StateMismatch",
    "Status",
    "StoreError",
    "StoreUnavailable",
    "Token",
    "TokenStore",
    "UnauthorizedClient",
    "UnprocessableContent",
    "UnsupportedGrant",
    "UntrustedEndpoint",
    "Vendor",
    "VendorUnavailable",
    "__version__",
    "open_store",
]

_HOMES: typing.Final = {
    "ApiKey": "vendors",
    "AuthEngine": "front",
    "BrowserBinding": "oauth.binding",
    "Credential": "front",
    "Dialect": "vendors",
    "Event": "engine.events",
    "EventKind": "engine.events",
    "LinkXG": "vendors",
    "LinkXGUser": "vendors",
    "Linkkit": "vendors",
    "OAuth2": "front",
    "RotationProfile": "vendors",
    "SageX3": "vendors",
    "Secret": "oauth.token",
    "Status": "engine.status",
    "Token": "oauth.token",
    "TokenStore": "store",
    "Vendor": "vendors",
    "open_store": "store",
}
"""The module that each name of ``__all__`` is from. Those that are not here are errors."""

_ROOMS: typing.Final = frozenset(
    {"destination", "engine", "errors", "front", "logins", "middleware", "oauth", "plugins", "processes", "protocol"}
    | {"signed", "store", "transport", "vendors"}
)
"""Modules that are there for the asking: ``import linkauth`` is enough for ``linkauth.errors``."""


if not typing.TYPE_CHECKING:  # a checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        """What ``linkauth`` offers is imported when it is first asked for (PEP 562): ``linkauth --help`` needs none of it."""
        if name in _ROOMS:
            return importlib.import_module(f"linkauth.{name}")
        if name not in __all__:
            raise AttributeError(f"module 'linkauth' has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(f"linkauth.{_HOMES.get(name, 'errors')}"), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *_ROOMS})
