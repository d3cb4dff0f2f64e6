"""What an authorization server says of itself: RFC 8414 metadata, or OpenID Connect Discovery 1.0 where it has that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from linkauth.errors import ConfigurationError, MalformedResponse, UntrustedEndpoint
from linkauth.oauth import grants, wire
from linkauth.oauth.exchange import Request
from linkauth.oauth.url import is_loopback, is_named, origin, plain_url

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Flow, Response

__all__ = ["Metadata", "discovery"]


@attrs.frozen(kw_only=True)
class Metadata:
    """RFC 8414 §2, as far as linkauth uses it. Endpoints are https, or on this machine where the issuer is."""

    issuer: str
    token_endpoint: str
    authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] | None = None
    """None: ``client_secret_basic`` alone."""
    authorization_response_iss_parameter_supported: bool = False
    """The callback always has ``iss`` (RFC 9207 §3)."""


def discovery(issuer: str) -> Flow[Metadata]:
    """Read the metadata of ``issuer`` (an https URL, exactly as the server writes it).

    First RFC 8414 §3's place, then OpenID's. Raises ``ConfigurationError`` for an issuer that is no https URL,
    ``UntrustedEndpoint`` where the metadata names another issuer (§3.3) or an endpoint without https,
    ``MalformedResponse`` where neither place has metadata, ``VendorUnavailable`` at 5xx and ``RateLimited`` at 429.
    """
    places = _places(issuer)
    for place in places:
        response = yield Request(method="GET", url=place, headers={"Accept": "application/json"})
        if response.status == 429 or response.status >= 500:
            raise grants.refusal(response, issuer, "", "")
        if response.status == 200 and wire.as_object(wire.decode(response.body)):
            return _checked(response, issuer)
    raise MalformedResponse(f"{issuer} has no metadata at {' or '.join(places)}")


def _places(issuer: str) -> tuple[str, str]:
    if "?" in plain_url(issuer):
        raise ConfigurationError("an issuer has no query (RFC 8414 §2)")
    scheme, _, rest = issuer.rstrip("/").partition("://")
    host, slash, path = rest.partition("/")
    return (
        f"{scheme}://{host}/.well-known/oauth-authorization-server{slash}{path}",
        f"{scheme}://{host}{slash}{path}/.well-known/openid-configuration",
    )


def _checked(response: Response, issuer: str) -> Metadata:
    metadata = wire.structure(wire.members(response.body, "metadata"), Metadata, f"{issuer}'s metadata")
    if metadata.issuer != issuer:
        raise UntrustedEndpoint(f"{issuer}'s metadata is that of another issuer: {wire.words(metadata.issuer)}")
    for endpoint in (metadata.token_endpoint, metadata.authorization_endpoint, metadata.revocation_endpoint):
        if endpoint is not None and not _trusted(endpoint, issuer):
            raise UntrustedEndpoint(
                f"{issuer}'s metadata has an endpoint that no secret may go to: {wire.words(endpoint)}"
            )
    return metadata


def _trusted(endpoint: str, issuer: str) -> bool:
    try:
        plain_url(endpoint)
    except ConfigurationError:
        return False
    # A server elsewhere does not send secrets to whatever listens on this machine or in its network: beside its own host
    # it may name what has a name, and then TLS sees to it that whoever answers owns that name.
    host, home = origin(endpoint)[1], origin(issuer)[1]
    return host == home or is_loopback(home) or is_named(host)
