"""Sage X3: pairing, an authorization code grant whose user answers later (Sage's "Make your first API calls").

The answer comes by POST and may name another region's endpoint. From then on everything goes there, the client secret
first, so an endpoint is believed only where it is Sage's own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import attrs

from linkauth import errors
from linkauth.oauth import authorization, grants, wire
from linkauth.oauth.exchange import Request
from linkauth.oauth.url import base_url, endpoint_url, is_loopback, origin
from linkauth.vendors.vendor import ROTATES, Pending, Vendor, client_secret, printable, required

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.oauth.exchange import Flow, Response
    from linkauth.oauth.token import Secret, Token

__all__ = ["SageX3"]

# A decision: api.*-sagex3.com with one label for the *, written exactly as Sage writes it. "--" is left to punycode.
_REGION: Final = re.compile(r"https://api\.(?!..--)[a-z0-9][a-z0-9-]{0,55}-sagex3\.com/v[1-9][0-9]?")
LONGEST: Final = 300
"""Characters of an endpoint."""

_ROOT: Final = re.compile(r"https?://[a-z0-9.:\[\]-]+(/[A-Za-z0-9._~-]+)*")


@attrs.frozen(kw_only=True)
class SageX3(Vendor):
    """Sage X3, for one of its customers. Access tokens live 300 s, refresh tokens 31 days and are good for one use.

    ``base_url``: the region's root, such as ``"https://api.eu-prod-sagex3.com/v1"``. ``customer``: the URL of the
    customer's own X3. ``scope``: an API and the right it is used under; the folders are the user's choice.
    """

    name: str = attrs.field(default="sagex3", init=False)
    client_id: str = attrs.field(validator=required)
    client_secret: Secret = attrs.field(converter=client_secret, validator=required)
    base_url: str = attrs.field(converter=base_url)
    customer: str = attrs.field(validator=required)
    scope: str = attrs.field(default="businessDomain.ALL api.graphQL", validator=printable)

    rotation = ROTATES
    needs_user = True
    posts_callback = True
    roams = True
    pending_lifetime = 86_400.0

    def identity(self) -> tuple[str, ...]:
        return (*self.registration(), self.customer, self.scope)

    def registration(self) -> tuple[str, ...]:
        return (self.base_url, self.client_id)

    def api(self, token: Token | None) -> str:
        return (token.endpoint if token else None) or self.base_url

    def authorization_url(self, pending: Pending, *, state: str, challenge: str | None) -> str:
        fields = {  # there is no response_type
            "client_id": self.client_id,
            "scope": pending.scope or self.scope,
            "customer": self.customer,
            "redirect_uri": pending.redirect_uri,
            "state": state,
        }
        return authorization.url(f"{self.base_url}/token/authorise", fields)

    def exchange(self, params: Mapping[str, Any], pending: Pending) -> Flow[Token]:
        params = authorization.masked(params)
        _raise_if_refused(params)
        root = self._root(params.get("endpoint"))
        fields = {
            "grant_type": "authorization_code",
            "code": authorization.the_code(params, "authorizationCode", "code"),
            "redirect_uri": pending.redirect_uri,
        }
        endpoint = None if root == self.base_url else root
        return (yield from self._grant(root, fields, scope=pending.scope or self.scope, endpoint=endpoint))

    def renew(self, current: Token | None) -> Flow[Token]:
        keep, refresh_token = grants.kept(current, self.name)
        # Looked at again: the secret goes there, and a store may be written by somebody else.
        root = self._root(keep.endpoint)
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return (yield from self._grant(root, fields, keep=keep))

    def _grant(self, root: str, fields: dict[str, str], **how: Any) -> Flow[Token]:
        fields = {**fields, "client_id": self.client_id, "client_secret": self.client_secret.reveal()}
        how = {"encode": Request.json, "refuse": _raise_refusal, **how}
        return (yield from grants.grant(f"{root}/token", fields, vendor=self.name, **how))

    def _root(self, endpoint: object) -> str:
        """``endpoint`` without its last slash, or the configured root where there is none.

        Raises ``UntrustedEndpoint`` unless it is Sage's, the configured root's own host, or, where that is this
        machine, on this machine. It must be written in the plain way: what needs interpreting is refused.
        """
        if endpoint is None or endpoint == "":
            return self.base_url
        root = endpoint.removesuffix("/") if isinstance(endpoint, str) and len(endpoint) <= LONGEST else ""
        if root == self.base_url or _REGION.fullmatch(root) or self._own(root):
            return root
        raise errors.UntrustedEndpoint(f"{self.name}: the callback's endpoint is not Sage's: {wire.words(endpoint)}")

    def _own(self, root: str) -> bool:
        try:
            endpoint_url(root)
        except errors.ConfigurationError:
            return False
        ours = origin(self.base_url)
        here = is_loopback(ours[1]) and is_loopback(origin(root)[1])
        same_path = urlsplit(root).path == urlsplit(self.base_url).path
        return bool(_ROOT.fullmatch(root)) and (here or (origin(root) == ours and same_path))


def _raise_if_refused(params: Mapping[str, Any]) -> None:
    # A decision: how a rejected pairing comes back is not documented. As in RFC 6749 §4.1.2.1, or with Sage's message.
    authorization.raise_if_refused(params)
    message = wire.words(authorization.parameter(params, "message"))
    if message and not authorization.parameter(params, "authorizationCode", "code"):
        kind = _kind(message) or errors.AccessDenied
        raise kind("", message)


def _raise_refusal(response: Response, vendor: str, *secrets: str) -> NoReturn:
    """Raise what a refusing Sage answer means: its bodies are ``{"message"}``."""
    (message,) = grants.said(response.body, ("message",), *secrets)
    if not message:
        grants.raise_refusal(response, vendor, *secrets)
    # A decision: 401 is documented for API calls alone. Here it is read as the client's fault, which ends no pairing:
    # a mistyped secret must not cost every customer's.
    by_status: dict[int, type[errors.OAuthError]] = {401: errors.InvalidClient, 404: errors.InvalidClient}
    # By what Sage said, not by what is left of it: a short code or secret may be part of any word.
    kind = _kind(*grants.said(response.body, ("message",))) if response.status in {400, 403} else None
    if kind is not None:
        by_status[response.status] = kind
    raise grants.refusal(response, vendor, "", message, by_status=by_status)


def _kind(message: str) -> type[errors.OAuthError] | None:
    # A decision, by the words that Sage documents.
    words = message.lower()
    if "not been accepted" in words:
        return errors.AuthorizationPending
    if "expired" in words or "not found" in words:
        return errors.InvalidGrant
    return errors.UnauthorizedClient if "disabled" in words else None
