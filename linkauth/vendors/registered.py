"""A vendor that is one registration: an app's id and secret, a scope, and the root below which all of the vendor is.

Whose session it is, is told from these four, and token requests show the client in their body (RFC 6749 §2.3.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from linkauth.oauth import authorization, grants
from linkauth.oauth.token import Secret, Token, secret_str
from linkauth.oauth.url import base_url
from linkauth.vendors.vendor import Vendor, client_secret, printable, required

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.oauth.exchange import Flow
    from linkauth.vendors.vendor import Pending

__all__ = ["CodeGrantClient", "RegisteredClient"]


@attrs.frozen(kw_only=True, cache_hash=True)
class RegisteredClient(Vendor):
    """What a vendor's file begins with. A subclass names itself, and overrides the flows that the vendor has.

    ``scope``: separated by spaces. ``base_url``: the vendor's root, to which a subclass gives a default where there is one.
    """

    client_id: str = attrs.field(validator=required)
    """As the vendor gave it to the app."""
    client_secret: Secret = attrs.field(converter=client_secret, validator=required)
    """A ``str`` or a ``Secret``."""
    scope: str = attrs.field(default="", validator=printable)
    """Separated by spaces; empty: the vendor's own default."""
    base_url: str = attrs.field(converter=base_url)
    """The vendor's root, without a slash at its end."""

    def identity(self) -> tuple[str, ...]:
        return (*self.registration(), self.scope)

    def registration(self) -> tuple[str, ...]:
        return (self.base_url, self.client_id)

    def api(self, token: Token | None) -> str:
        return self.base_url

    def page(self, url: str, pending: Pending, *, state: str, challenge: str | None) -> str:
        """The authorization page at ``url``, as RFC 6749 §4.1.1 asks for it; ``challenge``: with PKCE (RFC 7636 §4.3)."""
        fields = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": pending.redirect_uri,
            "state": state,
            "scope": pending.scope or self.scope,
            "code_challenge": challenge,
            "code_challenge_method": "S256" if challenge else None,
        }
        return authorization.url(url, fields)

    def code_grant(self, url: str, params: Mapping[str, Any], pending: Pending, **how: Any) -> Flow[Token]:
        """The exchange of a callback's code at ``url`` (RFC 6749 §4.1.3). Raises as ``Vendor.exchange`` has it."""
        params = authorization.masked(params)
        authorization.raise_if_refused(params)
        fields = {
            "grant_type": "authorization_code",
            "code": authorization.the_code(params, "code"),
            "redirect_uri": pending.redirect_uri,
            "code_verifier": secret_str(pending.verifier or ""),
        }
        return (yield from self.grant(url, fields, scope=pending.scope or self.scope, **how))

    def refresh_grant(self, url: str, current: Token | None, **how: Any) -> Flow[Token]:
        """A renewal of ``current`` at ``url`` (RFC 6749 §6). What its answer leaves out stays as it was."""
        keep, refresh_token = grants.kept(current, self.name)
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return (yield from self.grant(url, fields, keep=keep, **how))

    def grant(self, url: str, fields: Mapping[str, str], **how: Any) -> Flow[Token]:
        """POST ``fields`` and the client's id and secret to ``url``; ``how``: as ``linkauth.oauth.grants.grant`` has it."""
        whole = {**fields, "client_id": self.client_id, "client_secret": self.client_secret.reveal()}
        return (yield from grants.grant(url, whole, vendor=self.name, **how))


@attrs.frozen(kw_only=True)
class CodeGrantClient(RegisteredClient):
    """One with a page for its users: the authorization code grant of RFC 6749 §4.1, and renewals by §6.

    A subclass says where the two endpoints are, below ``base_url``.
    """

    authorize_path: ClassVar[str]
    """The authorization page's path, below ``base_url``."""
    token_path: ClassVar[str]
    """The token endpoint's path, below ``base_url``."""
    default_type: ClassVar[str | None] = None
    """The token type where an answer has none; None: such an answer is refused."""

    needs_user = True

    def authorization_url(self, pending: Pending, *, state: str, challenge: str | None) -> str:
        return self.page(f"{self.base_url}{self.authorize_path}", pending, state=state, challenge=challenge)

    def exchange(self, params: Mapping[str, Any], pending: Pending) -> Flow[Token]:
        return self.code_grant(f"{self.base_url}{self.token_path}", params, pending, default_type=self.default_type)

    def renew(self, current: Token | None) -> Flow[Token]:
        return self.refresh_grant(f"{self.base_url}{self.token_path}", current, default_type=self.default_type)
