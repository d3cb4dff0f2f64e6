"""What a JWT says, read without verifying it: for its expiry, and where what brought it is trusted in its place."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Final

from linkauth.oauth import wire

__all__ = ["claims", "date", "header", "lifetime"]

LONGEST: Final = 65_536
"""Characters of a token that is looked into."""


def lifetime(token: str, received_at: float) -> float | None:
    """Seconds that the JWT ``token`` is good for, None where it is no JWT, has no ``exp`` or one that makes no sense.

    With an ``iat`` it is ``exp - iat`` (RFC 7519 §4.1.4, §4.1.6): both are the vendor's clock, so nobody's wrong clock
    does harm. Without one ``exp`` is taken against ``received_at`` (Unix seconds).
    """
    said = claims(token)
    expires, issued = date(said.get("exp")), date(said.get("iat"))
    if expires is None:
        return None
    seconds = expires - (received_at if issued is None else issued)
    return seconds if seconds > 0 else None


def claims(token: str) -> wire.Masked:
    """The claims of the JWT ``token`` (RFC 7519 §4), unverified; empty where it is no JWT."""
    return _part(token, 1)


def header(token: str) -> wire.Masked:
    """What the JWT ``token`` says of its own signature (RFC 7519 §5); empty where it is no JWT."""
    return _part(token, 0)


def _part(token: str, number: int) -> wire.Masked:
    parts = token.split(".") if len(token) <= LONGEST else []
    part = parts[number] if len(parts) == 3 else ""
    try:
        text = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:  # binascii.Error, and a payload that is not ASCII
        return wire.Masked()
    return wire.as_object(wire.decode(text))


def date(value: object) -> float | None:
    """Unix seconds of a NumericDate (RFC 7519 §2), a JSON number; None where ``value`` is none."""
    # True is none. 10^11 is the year 5138.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        return None
    return float(value)
