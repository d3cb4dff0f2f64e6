"""LinkXG in the name of a user: e-mail and password, rotating refresh token (docs.linkxg.com, "JWT authentication").

Answers are camelCase inside ``{"success", "data"}`` and state no lifetime: it is read from the access token itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from linkauth import errors
from linkauth.oauth import grants, jwt, wire
from linkauth.oauth.exchange import Request
from linkauth.oauth.url import base_url
from linkauth.vendors.linkxg import BASE, CODES, granted, raise_refusal
from linkauth.vendors.vendor import ROTATES, Vendor

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Flow, Response
    from linkauth.oauth.token import Secret, Token

__all__ = ["LinkXGUser"]

ACCESS_LIFETIME: Final = 900.0
"""Seconds, as documented, where the token does not say."""

REFRESH_LIFETIME: Final = 7 * 86400.0
"""Seconds, as documented; no answer says."""

# A decision: when the refresh token itself was sent, these speak of it, and only a login helps.
AT_REFRESH: Final = {
    **CODES,
    "TOKEN_EXPIRED": errors.InvalidGrant,
    "TOKEN_INVALID": errors.InvalidGrant,
    "invalid_token": errors.InvalidGrant,
}

# There is no client whose secret a 401 without a word could mean; and a proxy's 401 must not end the session.
NO_CLIENT: Final = {401: errors.OAuthError}


@attrs.frozen(kw_only=True, cache_hash=True)
class LinkXGUser(Vendor):
    """LinkXG for one of its users. Access tokens live 15 minutes, refresh tokens 7 days and are good for one use.

    The user that LinkXG names (``id``, ``email``, ``role``) is in ``token.extra["user"]``.
    """

    base_url: str = attrs.field(default=BASE, converter=base_url)
    """The root of LinkXG's API."""

    name = "linkxg-user"
    rotation = ROTATES
    needs_user = True
    lifetime = ACCESS_LIFETIME
    refresh_lifetime = REFRESH_LIFETIME

    def identity(self) -> tuple[str, ...]:
        return (self.base_url,)

    def registration(self) -> tuple[str, ...]:
        return (self.base_url,)

    def api(self, token: Token | None) -> str:
        return self.base_url

    def login(self, email: str, password: Secret) -> Flow[Token]:
        fields = {"email": email, "password": password.reveal()}
        response = yield Request.json(f"{self.base_url}/auth/login", fields)
        if not granted(response):
            raise_refusal(response, self.name, by_status=NO_CLIENT)
        return self._token(response, None)

    def renew(self, current: Token | None) -> Flow[Token]:
        keep, spent = grants.kept(current, self.name)
        response = yield Request.json(f"{self.base_url}/auth/refresh", {"refreshToken": spent})
        if not granted(response):
            raise_refusal(response, self.name, by_code=AT_REFRESH, by_status=NO_CLIENT)
        return self._token(response, keep)

    def logout(self, token: Token) -> Flow[None]:
        try:
            return (yield from self._end(token))
        except errors.InvalidToken:
            if not token.refresh_token:
                raise
        # LinkXG takes a live access token there, and this one lives 15 minutes: without one more renewal a session that
        # was left idle would stay open at LinkXG until its refresh token lapses.
        fresh = yield from self.renew(token)
        return (yield from self._end(fresh))

    def _end(self, token: Token) -> Flow[None]:
        headers = {"Accept": "application/json", **grants.bearer(token)}
        response = yield Request(url=f"{self.base_url}/auth/logout", headers=headers)
        if not granted(response):
            raise_refusal(response, self.name, by_status=NO_CLIENT)

    def _token(self, response: Response, keep: Token | None) -> Token:
        answer = _renamed(wire.members(response.body, f"{self.name}'s token answer"))
        lifetime = jwt.lifetime(str(answer.get("access_token")), response.sent_at)
        answer["expires_in"] = lifetime if lifetime and lifetime <= grants.LONGEST_LIFETIME else ACCESS_LIFETIME
        if answer.get("refresh_token"):
            answer["refresh_token_expires_in"] = REFRESH_LIFETIME
        return grants.token_of(answer, response, self.name, default_type="Bearer", keep=keep)


def _renamed(body: wire.Masked) -> wire.Masked:
    """The members inside ``data``, under their names in RFC 6749; a ``user`` that is no object is left out."""
    names = {"accessToken": "access_token", "refreshToken": "refresh_token"}
    answer = wire.Masked({names.get(name, name): value for name, value in wire.as_object(body.get("data")).items()})
    if not isinstance(answer.get("user"), dict):
        answer.pop("user", None)
    return answer
