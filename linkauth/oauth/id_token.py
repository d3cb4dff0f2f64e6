"""An ID Token as the token endpoint hands it out: what it says is checked when it comes (OpenID Connect Core 1.0 §3.1.3.7).

Its signature is not: it comes from the token endpoint itself, whose TLS stands in the signature's place (point 6); what comes by
the callback is never looked at. Its times are taken as a clock allows that is a little wrong: it was made this moment.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, cast

import attrs

from linkauth.errors import MalformedResponse
from linkauth.oauth import jwt

if TYPE_CHECKING:
    from linkauth.oauth.token import Token
    from linkauth.oauth.wire import Masked

__all__ = ["first", "is_same_user", "later"]

LATE: Final = 300.0
"""Seconds after its ``exp`` for which one is taken: as much as clocks are apart (§3.1.3.7, point 9; §2)."""
FAR: Final = 86_400.0
"""Seconds between its ``iat`` and now from which it was made for something else (point 10)."""


def first(token: Token, what: str, *, client_id: str, issuer: str | None, nonce: str | None) -> Token:
    """A login's ``token`` with the ``claims`` of the ID Token beside it, where there is one.

    ``issuer``, ``nonce``: None where unknown. Raises ``MalformedResponse`` that names the claim and shows no value.
    """
    if "id_token" not in token.extra:
        return token
    claims = _claims(token)
    fault = _fault(claims, client_id, issuer, token.issued_at)
    if not fault and nonce is not None and not _same(claims.get("nonce"), nonce):
        fault = "nonce is not that of this authorization"
    if fault:
        raise MalformedResponse(f"{what}: the id_token's {fault}")
    return attrs.evolve(token, claims=claims)


def later(token: Token, keep: Token, *, client_id: str, issuer: str | None) -> Token:
    """A renewed ``token``, with the claims of an ID Token that came with it (§12.2), else with those of ``keep``.

    One that is not of the same user, or not for this client, is not believed; the renewal is good all the same.
    """
    claims = _claims(token)
    anew = token.extra.get("id_token") != keep.extra.get("id_token")
    same = all(claims.get(name) == keep.claims[name] for name in {"sub", "iss"} & keep.claims.keys())
    if anew and same and not _fault(claims, client_id, issuer, token.issued_at):
        return attrs.evolve(token, claims=claims)
    return attrs.evolve(token, claims=keep.claims)


def is_same_user(token: Token, other: Token) -> bool:
    """Whether what was checked of both says so (§5.7: ``sub`` is unique within ``iss``, and never assigned anew)."""
    user, another = token.claims.get("sub"), other.claims.get("sub")
    return isinstance(user, str) and user == another and token.claims.get("iss") == other.claims.get("iss")


def _claims(token: Token) -> Masked:
    text = token.extra.get("id_token")
    return jwt.claims(text if isinstance(text, str) else "")


def _fault(claims: Masked, client_id: str, issuer: str | None, now: float) -> str:
    """What is wrong with the claims of an ID Token that is to be for ``client_id``; empty: nothing. ``now``: Unix seconds."""
    audience = claims.get("aud")
    several = cast("list[object]", audience) if isinstance(audience, list) else [audience]
    party = claims.get("azp", None if len(several) > 1 else client_id)
    if issuer is not None and claims.get("iss") != issuer:
        return "iss is another issuer"
    if client_id not in several:
        return "aud is another client, or it is no JWT"
    if party != client_id:
        return "azp is another client"
    expires, issued = (jwt.date(claims[name]) if name in claims else now for name in ("exp", "iat"))
    if expires is None or expires + LATE <= now:
        return "exp is past, or no time"
    return "iat is far from now, or no time" if issued is None or abs(issued - now) > FAR else ""


def _same(value: object, wanted: str) -> bool:
    return isinstance(value, str) and hmac.compare_digest(value.encode("utf-8", "replace"), wanted.encode())
