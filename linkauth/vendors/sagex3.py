"""Sage X3: pairing, an authorization code grant whose user answers later (Sage's "Make your first API calls").

The answer comes by POST and may name another region's endpoint. From then on everything goes there, the client secret
first. Anybody can register the domain anything-sagex3.com, and any user of an app can post a callback of his own pairing:
so an endpoint is believed only where the app has listed it, and never by its looks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast
from urllib.parse import urlsplit

import attrs

from linkauth import errors
from linkauth.errors import ConfigurationError
from linkauth.oauth import authorization, grants, roots, wire
from linkauth.oauth.exchange import Request
from linkauth.oauth.url import base_url, is_loopback, origin
from linkauth.vendors.registered import RegisteredClient
from linkauth.vendors.vendor import ROTATES, Pending, printable, required

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from linkauth.oauth.exchange import Flow, Response
    from linkauth.oauth.token import Token

__all__ = ["SageX3"]

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,54}[a-z0-9])?")
"""A region as Sage calls it; the host's label is a little longer, and ends at 63."""

_PATH: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


def _regions(value: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """attrs converter: names of regions as they are, root URLs in their one spelling."""
    given = cast("object", value)
    if not isinstance(given, list | tuple):
        raise ConfigurationError('SageX3: regions is a list of names or of root URLs, such as ["us-prod"]')
    return tuple(_region(one) for one in cast("Sequence[object]", given))


def _region(one: object) -> str:
    if isinstance(one, str) and "://" in one:
        return base_url(one)
    if not isinstance(one, str) or not _NAME.fullmatch(one):
        raise ConfigurationError('SageX3: regions holds what is neither a name such as "us-prod" nor a root URL')
    return one


def _roots(vendor: SageX3) -> frozenset[str]:
    named = (one if "://" in one else f"https://api.{one}-sagex3.com/v1" for one in vendor.regions)
    return frozenset({str(vendor.base_url), *map(str, named)})


@attrs.frozen(kw_only=True, cache_hash=True)
class SageX3(RegisteredClient):
    """Sage X3, for one of its customers. Access tokens live 300 s, refresh tokens 31 days and are good for one use.

    ``base_url``: the region's root, such as ``"https://api.eu-prod-sagex3.com/v1"``. ``customer``: the URL of the
    customer's own X3. ``scope``: an API and the right it is used under; the folders are the user's choice.
    ``regions``: where a pairing may move to besides ``base_url``, each by Sage's name (``"us-prod"`` is
    ``https://api.us-prod-sagex3.com/v1``) or as a whole root URL. A callback or a stored session that names another
    root is an ``UntrustedEndpoint``.

    A logout forgets here alone: the pairing stays open at Sage X3, which documents no request that ends one.
    """

    customer: str = attrs.field(validator=required)
    """The URL of the customer's own X3."""
    scope: str = attrs.field(default="businessDomain.ALL api.graphQL", validator=printable)
    """An API and the right it is used under, separated by spaces."""
    regions: tuple[str, ...] = attrs.field(default=(), converter=_regions)
    """Where a pairing may move to besides ``base_url``: Sage's names, or whole root URLs; empty: nowhere."""
    _believed: frozenset[str] = attrs.field(
        default=attrs.Factory(_roots, takes_self=True), init=False, repr=False, eq=False
    )

    name = "sagex3"
    rotation = ROTATES
    needs_user = True
    lifetime = 300.0
    refresh_lifetime = 31 * 86_400.0
    pending_lifetime = 86_400.0

    @property
    def posts_callback(self) -> bool:
        return True

    @property
    def leaves_open(self) -> str:
        return (
            "the pairing stays open at Sage X3 until its user ends it there, or its refresh token lapses "
            "31 days after it was last used"
        )

    def identity(self) -> tuple[str, ...]:
        return (*self.registration(), self.customer, self.scope)

    def api(self, token: Token | None) -> str:
        # Looked at again, before each use: whoever can write the store does not get the token by it.
        return self.base_url if token is None else self._root(token.endpoint)

    def may_serve(self, where: tuple[str, str, int]) -> bool:
        scheme, host, _ = origin(self.base_url)
        return roots.may_lead_to(where, self._believed) or (is_loopback(host) and where[:2] == (scheme, host))

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
        scope = pending.scope or self.scope
        return (yield from self.grant(f"{root}/token", fields, **HOW, scope=scope, endpoint=endpoint))

    def renew(self, current: Token | None) -> Flow[Token]:
        keep, _ = grants.kept(current, self.name)
        # Looked at again, as ``api`` does.
        return (yield from self.refresh_grant(f"{self._root(keep.endpoint)}/token", keep, **HOW))

    def adopted(self, token: Token) -> Token:
        root = self._root(token.endpoint)
        plain = super().adopted(attrs.evolve(token, endpoint=None))
        return attrs.evolve(plain, endpoint=None if root == self.base_url else root)

    def _root(self, endpoint: object) -> str:
        """``endpoint`` without its last slash, or the configured root where there is none.

        Raises ``UntrustedEndpoint`` unless it is the configured root or one of ``regions``, written in their one
        spelling (what needs interpreting is refused); or, where the configured root is on this machine, of its scheme
        and host name.
        """
        if endpoint is None or endpoint == "":
            return self.base_url
        root = endpoint.removesuffix("/") if isinstance(endpoint, str) and len(endpoint) <= roots.LONGEST else ""
        if root in self._believed or self._beside(root):
            return root
        raise errors.UntrustedEndpoint(
            f"{self.name}: no secret goes to an endpoint that regions= does not list; if it is Sage's, add it: "
            f"{wire.words(endpoint)}"
        )

    def _beside(self, root: str) -> bool:
        """Whether ``root`` is another port of this machine, where the configured root is on it: sandboxes and tests."""
        scheme, host, _ = origin(self.base_url)
        if not is_loopback(host):
            return False
        try:
            plain = base_url(root) == root
        except errors.ConfigurationError:
            return False
        return plain and origin(root)[:2] == (scheme, host) and _PATH.fullmatch(urlsplit(root).path) is not None


def _raise_if_refused(params: Mapping[str, Any]) -> None:
    # A decision: how a rejected pairing comes back is not documented. As in RFC 6749 §4.1.2.1, or with Sage's message.
    authorization.raise_if_refused(params)
    message = authorization.said(params, "message")
    if message and not authorization.parameter(params, "authorizationCode", "code"):
        kind = _kind(message) or errors.AccessDenied
        raise kind("", message)


def _raise_refusal(response: Response, vendor: str) -> NoReturn:
    """Raise what a refusing Sage answer means: its bodies are ``{"message"}``."""
    (message,) = grants.said(response, ("message",))
    if not message:
        grants.raise_refusal(response, vendor)
    # A decision: 401 is documented for API calls alone. Here it is read as the client's fault, which ends no pairing:
    # a mistyped secret must not cost every customer's.
    by_status: dict[int, type[errors.OAuthError]] = {401: errors.InvalidClient, 404: errors.InvalidClient}
    # By what Sage said, not by what is left of it: a short code or secret may be part of any word.
    kind = (
        _kind(*grants.said(attrs.evolve(response, request=None), ("message",)))
        if response.status in {400, 403}
        else None
    )
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


HOW: Final[dict[str, Any]] = {"encode": Request.json, "refuse": _raise_refusal}
"""Sage's token requests are JSON, and so are its refusals."""
