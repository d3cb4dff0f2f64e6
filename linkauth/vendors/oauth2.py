"""Any vendor that speaks RFC 6749: client credentials, or the authorization code grant with PKCE."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  # the fields' types are read at run time
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from linkauth.errors import (
    OAuthError,
    ReauthorizationRequired,
    UnsupportedGrant,
    UntrustedEndpoint,
)
from linkauth.oauth import authorization, generous, grants, heard, id_token, roots, wire
from linkauth.oauth.token import Token, secret_str
from linkauth.oauth.url import origin, root_of
from linkauth.vendors import metadata, token_endpoint
from linkauth.vendors.oauth2_registration import OAuth2Registration
from linkauth.vendors.signing import signature
from linkauth.vendors.token_endpoint import authenticated
from linkauth.vendors.vendor import (
    Pending,
    discreet,
)

if TYPE_CHECKING:
    from linkauth.oauth.discovery import Metadata
    from linkauth.oauth.exchange import Flow

__all__ = ["OAuth2"]

UNSUPPORTED: Final = "unsupported_token_type"
"""A server that cannot revoke a kind of token says so (RFC 7009 §2.2.1)."""


@attrs.frozen(kw_only=True, cache_hash=True)
class OAuth2(OAuth2Registration):
    """A vendor as RFC 6749 has it. Client credentials where there is no ``authorize_url``, else authorization code.

    ``client_auth``: how the client shows its secret at the token endpoint (RFC 6749 §2.3.1): in the body (``"post"``),
    by HTTP Basic, or not at all; without a ``client_secret`` it is ``"none"``.
    ``pkce``: RFC 7636, with S256; only a client with a secret may do without.
    ``rotation``: what becomes of a used refresh token. Unless stated it is taken to be good for one use, which is never
    wrong: a vendor that keeps it gets more care than it needs. A new one in an answer always replaces the old.
    ``lifetime``: seconds, for answers that state none; where it is None such an answer is refused. ``math.inf``: for ever.
    ``refresh_lifetime``: seconds that an unused refresh token lives, anew with each renewal, where the answer does not say.
    ``session_lifetime``: from the user's consent, whatever is renewed. ``dialect``: the vendor's own ways.
    ``refresh_ahead``: seconds before expiry at which renewal begins, in the engine's place.
    ``token_rate``: ``(requests, seconds)`` that the vendor allows a client at its token endpoint; the fleet keeps to it.
    ``api_url``: where calls go; None: the token endpoint's origin.
    ``issuer``: checked against the callback's ``iss`` (RFC 9207), which must be there if ``iss_required``.
    ``extra``: parameters for authorization and token requests (``audience``, ``resource``);
    ``authorize_extra``: for authorization requests only (``prompt``). They tell credentials apart: put no secret there.
    ``former``: arguments that were others before, such as ``{"token_url": …}``: sessions stored under those are found.

    Raises ``ConfigurationError`` when made of what cannot work.
    """

    @classmethod
    def of(cls, vendor: str, /, **arguments: Any) -> Self:
        """A vendor of the shipped catalogue (``linkauth.vendors.catalog``), by its name there, such as ``"slack"``.

        ``arguments``: what varies per tenant, such as ``shop=``, and the constructor's, which go before the entry's;
        ``authorize_url=None`` makes it client credentials. Raises ``ConfigurationError`` for a name that is not there.
        """
        arguments = discreet(arguments)
        from linkauth.vendors import catalog  # noqa: PLC0415  # many vendors, of which an app names a few or none

        return cls(**catalog.registration(vendor, arguments))

    @classmethod
    def from_metadata(cls, described: Metadata, **arguments: Any) -> Self:
        """A vendor by its metadata; ``arguments`` are the constructor's, and go before what the metadata says.

        ``authorize_url=None`` makes it client credentials. Raises ``ConfigurationError`` where the server takes none
        of the client authentications that linkauth has.
        """
        arguments = discreet(arguments)
        return cls(**metadata.registration(described, arguments))

    @property
    def posts_callback(self) -> bool:
        return self.dialect.posts_callback

    @property
    def open_params(self) -> tuple[str, ...]:
        return (*self.dialect.api_from, *self.dialect.token_url_from)

    @property
    def header(self) -> str:
        return self.dialect.header

    @property
    def expired_statuses(self) -> tuple[int, ...]:
        return self.dialect.expired_statuses

    def api(self, token: Token | None) -> str:
        if token is not None and token.endpoint is not None:
            return token_endpoint.believed(self, token.endpoint)  # looked at before each use: a store may be written to
        return self.api_url or root_of(self.token_url)

    def may_serve(self, where: tuple[str, str, int]) -> bool:
        listed = self.dialect.api_from.values()
        return where == origin(self.api(None)) or any(roots.may_lead_to(where, ones) for ones in listed)

    def signature(self, token: Token) -> str:
        return signature(token, self.dialect.header, self.dialect.scheme)

    def renew(self, current: Token | None) -> Flow[Token]:
        dialect = self.dialect
        if self.authorize_url is None:
            fields = {"grant_type": dialect.grant_type or "client_credentials", "scope": self._scopes(self.scope)}
            url = token_endpoint.token_url(self, self.token_url, {} if current is None else current.extra)
            return (yield from token_endpoint.grant(self, url, fields, scope=self.scope))
        keep, refresh_token = grants.kept(current, self.name)
        if dialect.renews_by == "access_token" and keep.access_token:
            refresh_token = keep.access_token
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        if dialect.refresh_scope:
            fields["scope"] = self._scopes(keep.scope or self.scope)
        url = token_endpoint.token_url(self, dialect.refresh_url or self.token_url, keep.extra)
        token = yield from token_endpoint.grant(self, url, fields, keep=keep)
        return id_token.later(token, keep, client_id=self.client_id, issuer=self.issuer) if keep.claims else token

    def _scopes(self, scope: str) -> str:
        return scope if self.dialect.scope_separator == " " else self.dialect.scope_separator.join(scope.split())

    def authorization_url(self, pending: Pending, *, state: str, challenge: str | None) -> str:
        if self.authorize_url is None:
            raise UnsupportedGrant(f"{self.name} was given no authorize_url")
        fields = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": pending.redirect_uri,
            "scope": self._scopes(pending.scope or self.scope),
            "state": state,
            "nonce": pending.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256" if challenge else None,
        }
        posted = {"response_mode": "form_post"} if self.posts_callback else {}
        return authorization.url(self.authorize_url, {**self.extra, **posted, **self.authorize_extra, **fields})

    def exchange(self, params: Mapping[str, Any], pending: Pending) -> Flow[Token]:
        dialect = self.dialect
        params = authorization.masked(params, *self.open_params)
        if self.authorize_url is None:
            raise UnsupportedGrant(f"{self.name} was given no authorize_url")
        self._check_issuer(params)
        authorization.raise_if_refused(params)
        fields = {
            "grant_type": "authorization_code",
            "code": authorization.the_code(params, dialect.code_name),
            "redirect_uri": pending.redirect_uri,
            "code_verifier": secret_str(pending.verifier or ""),
        }
        for name in dialect.api_from:
            if named := params.get(name):
                token_endpoint.believed(self, named)
        url = token_endpoint.token_url(self, self.token_url, params)
        kept = (*dialect.keep_params, *self.open_params)
        beside = {name: text for name in kept if (text := str(authorization.parameter(params, name)))}
        scope = pending.scope or self.scope
        token = yield from token_endpoint.grant(self, url, fields, scope=scope, beside=beside)
        if self.uses_nonce(scope):
            what = f"{self.name}'s token answer"
            token = id_token.first(token, what, client_id=self.client_id, issuer=self.issuer, nonce=pending.nonce)
        return token if pending.held is None else self._again(token, pending.held)

    def _again(self, token: Token, held: Token) -> Token:
        """What a second consent brought: some vendors (Google) send a refresh token with the first one alone.

        Then the one that is ``held`` goes on, if the ID Tokens say that it is the same user's.
        """
        if token.refresh_token or not held.refresh_token:
            return token
        if not id_token.is_same_user(token, held):
            raise ReauthorizationRequired(
                "the vendor sent no refresh token, and that of the session that is here cannot be shown to be the same "
                "user's; ask with prompt=consent: OAuth2(authorize_extra={'prompt': 'consent'})"
            )
        stated = held.refresh_expires_at is not None
        kept = attrs.evolve(token, refresh_token=held.refresh_token, refresh_expires_at=held.refresh_expires_at)
        return token_endpoint.lasting(self, kept, anew=True, stated=stated)

    def adopted(self, token: Token) -> Token:
        token_endpoint.token_url(self, self.token_url, token.extra)
        named = token_endpoint.endpoint(self, token.extra, anew=True)
        if token.endpoint is not None:
            named = token_endpoint.believed(self, token.endpoint)
        stated = token.refresh_expires_at is not None
        token = token_endpoint.lasting(self, attrs.evolve(token, endpoint=named), anew=True, stated=stated)
        if stated and token.session_expires_at is not None and self.refresh_lifetime is None:
            # Nothing but the session's end makes such a refresh token lapse; and nobody else knows the day of the consent.
            return attrs.evolve(token, session_expires_at=token.refresh_expires_at)
        return token

    def uses_nonce(self, scope: str) -> bool:
        return "openid" in scope.split()

    @property
    def leaves_open(self) -> str:
        return "" if self.revoke_url else f"{self.name} was given no revoke_url: its tokens stay good until they expire"

    def logout(self, token: Token) -> Flow[None]:
        """Revoke the refresh token, then the access token (RFC 7009 §2.1): also where the first was refused."""
        try:
            if token.refresh_token != token.access_token:
                yield from self._revoke("refresh_token", token.refresh_token or "", token.extra)
        except OAuthError:
            yield from self._revoke("access_token", token.access_token, token.extra)
            raise
        yield from self._revoke("access_token", token.access_token, token.extra)

    def _revoke(self, hint: str, value: str, extra: Mapping[str, Any]) -> Flow[None]:
        if not value or self.revoke_url is None:
            return
        url = token_endpoint.token_url(self, self.revoke_url, extra)
        fields, headers = authenticated(self, {"token": value, "token_type_hint": hint})
        response = yield token_endpoint.written(self, url, fields, headers)
        said = generous.members(response)
        # Where the server cannot revoke such a token, nothing is left to do.
        if not heard.is_done(said, response) and said.get("error") != UNSUPPORTED:
            heard.raise_no(said, response, self.name, needs_user=self.needs_user)

    def _check_issuer(self, params: Mapping[str, Any]) -> None:
        # RFC 9207 §2.4: before anything else, for a mixed-up code is not ours to send.
        issuer = authorization.parameter(params, "iss")
        if self.issuer is not None and (issuer or self.iss_required) and issuer != self.issuer:
            theirs = wire.words(issuer) or "none"
            raise UntrustedEndpoint(f"{self.name}: the callback comes from another issuer: {theirs}")
