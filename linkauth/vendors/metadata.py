"""``OAuth2``'s arguments by what a server says of itself (RFC 8414 §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.oauth.discovery import Metadata

__all__ = ["registration"]


def registration(described: Metadata, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that the metadata says, and those ``given``, which go first.

    Raises ``ConfigurationError`` where the server takes none of the client authentications that linkauth has.
    """
    found: dict[str, Any] = {
        "token_url": described.token_endpoint,
        "authorize_url": described.authorization_endpoint,
        "revoke_url": described.revocation_endpoint,
        "issuer": described.issuer,
        "iss_required": described.authorization_response_iss_parameter_supported,
    }
    if given.get("client_secret") is not None:
        methods = described.token_endpoint_auth_methods_supported
        known = {"client_secret_basic": "basic", "client_secret_post": "post"}
        usable = [auth for method, auth in known.items() if method in (methods or ["client_secret_basic"])]
        if not usable and "client_auth" not in given:
            raise ConfigurationError("OAuth2: the server takes neither client_secret_basic nor client_secret_post")
        found["client_auth"] = usable[0] if usable else None
    return {**found, **given}
