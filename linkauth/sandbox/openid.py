"""What OpenID Connect adds to the authorization server: an ID Token beside the tokens of the scope ``openid``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linkauth.sandbox.tokens import number, signed

if TYPE_CHECKING:
    from linkauth.sandbox.tokens import Session

__all__ = ["SCOPE", "id_token"]

SCOPE: Final = "openid"


def id_token(issuer: str, session: Session, key: str, now: float, lifetime: float, nonce: str | None) -> str:
    """The ID Token for the user of ``session`` (OpenID Connect Core 1.0 §2), signed with the client's secret (§10.1).

    ``now``: Unix seconds; ``lifetime``: seconds. ``nonce``: of the authorization; a renewal's has none (§12.2).
    """
    claims: dict[str, object] = {
        "iss": issuer,
        "sub": session.subject,
        "aud": session.client_id,
        "iat": number(now),
        "exp": number(now + lifetime),
    }
    return signed(claims if nonce is None else {**claims, "nonce": nonce}, key.encode())
