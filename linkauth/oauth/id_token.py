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
REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat")
"""Claims that every ID Token has (§2)."""
UNSIGNED: Final = "none"
"""The algorithm of a JWT without a signature: only for a client that asked for it when it registered (§2), and none did here."""
LONGEST_SUB: Final = 255
"""Characters of a user's ``sub`` (§2)."""


def first(token: Token, what: str, *, client_id: str, issuer: str | None, nonce: str | None) -> Token:
    """A login's ``token`` with the ``claims`` of the ID Token beside it, where there is one.

    ``issuer``, ``nonce``: None where unknown. Raises ``MalformedResponse`` that names the claim and shows no value.
    """
    if "id_token" not in token.extra:
        return token
    claims = _claims(token)
    fault = _fault(token, client_id, issuer)
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
    if anew and same and not _fault(token, client_id, issuer):
        return attrs.evolve(token, claims=claims)
    return attrs.evolve(token, claims=keep.claims)


def is_same_user(token: Token, other: Token) -> bool:
    """Whether what was checked of both says so (§5.7: ``sub`` is unique within ``iss``, and never assigned anew)."""
    user, another = token.claims.get("sub"), other.claims.get("sub")
    return isinstance(user, str) and user == another and token.claims.get("iss") == other.claims.get("iss")


def _text(token: Token) -> str:
    text = token.extra.get("id_token")
    return text if isinstance(text, str) else ""


def _claims(token: Token) -> Masked:
    return jwt.claims(_text(token))


def _fault(token: Token, client_id: str, issuer: str | None) -> str:
    """What is wrong with the ID Token beside ``token``, which is to be for ``client_id``; empty: nothing."""
    claims, algorithm = _claims(token), jwt.header(_text(token)).get("alg")
    if not isinstance(algorithm, str) or not algorithm or not claims:
        return "text is no JWT"
    if algorithm.lower() == UNSIGNED:
        return "alg is none: it is not signed"
    if missing := [name for name in REQUIRED if claims.get(name) is None]:
        return f"{' and '.join(missing)} missing"
    return _not_ours(claims, client_id, issuer) or _not_now(claims, token.issued_at)


def _not_ours(claims: Masked, client_id: str, issuer: str | None) -> str:
    """What says that it is not of this issuer, of a user, and for this client (§3.1.3.7, points 2 to 5)."""
    whose, user, audience = claims["iss"], claims["sub"], claims["aud"]
    several = cast("list[object]", audience) if isinstance(audience, list) else [audience]
    if not isinstance(whose, str) or whose != (issuer or whose):
        return "iss is another issuer"
    if not isinstance(user, str) or not 0 < len(user) <= LONGEST_SUB:
        return "sub is nobody's"
    if client_id not in several:
        return "aud is another client"
    party = claims.get("azp", None if len(several) > 1 else client_id)
    return "azp is another client, or missing beside several in aud" if party != client_id else ""


def _not_now(claims: Masked, now: float) -> str:
    """What says that it was not made for now, Unix seconds (points 9 and 10)."""
    expires, issued = jwt.date(claims["exp"]), jwt.date(claims["iat"])
    if expires is None or expires + LATE <= now:
        return "exp is past, or no time"
    return "iat is far from now, or no time" if issued is None or abs(issued - now) > FAR else ""


def _same(value: object, wanted: str) -> bool:
    return isinstance(value, str) and hmac.compare_digest(value.encode("utf-8", "replace"), wanted.encode())
