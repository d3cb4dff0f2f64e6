"""An answer that is nearly RFC 6749's, brought to its names and spellings for the strict reader (``grants.token_of``).

What protects stays strict: a token type that needs a proof is handed on as it is, and refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qs

from linkauth.oauth import wire
from linkauth.oauth.grants import LONGEST_LIFETIME
from linkauth.oauth.moments import http_date, iso_date
from linkauth.oauth.token import bare, masked

if TYPE_CHECKING:
    from linkauth.oauth.exchange import Response

__all__ = ["content_type", "members", "plain"]

FORMS: Final = frozenset({"application/x-www-form-urlencoded", "text/plain"})
"""Types of an answer that is a form, where it is one (Stack Exchange, Facebook before its version 2.3)."""
MOST_FIELDS: Final = 200
"""Fields of a form; token answers have a dozen."""

LIFETIMES: Final = ("expires_in_sec", "expires_in", "expires", "expires_at", "expires_on")
"""Names of a lifetime: Zoho's, beside which ``expires_in`` is in milliseconds, RFC 6749's, Deezer's, GitHub's, Microsoft's (of its
endpoint for managed identities)."""
LAPSES: Final = (
    "refresh_token_expires_in",  # Sage, Google, LinkedIn, GitHub
    "refresh_expires_in",  # Keycloak, TikTok
    "x_refresh_token_expires_in",  # QuickBooks
    "refresh_token_expires_at",
    "refresh_expires_at",
    "refresh_token_expires",
)
"""Names of the time after which an unused refresh token lapses."""

_PROOF: Final = re.compile(r"\s*(h?mac|d?pop|n[_/]a)\b", re.IGNORECASE)
"""Token types that are no Bearer tokens: whoever sends them must prove something (RFC 9449), or it is no access token (RFC 8693)."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def content_type(response: Response) -> str:
    """The answer's media type in lower case, without parameters (RFC 9110 §8.3.1); empty where it names none."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def members(response: Response) -> wire.Masked:
    """What the answer says, masked: a JSON object, or a form where its type says so. Empty where it is neither."""
    value = wire.decode(response.body)
    if value is None and content_type(response) in FORMS:
        value = _form(response.body)
    said: wire.Masked = masked(wire.as_object(value))
    return said


def _form(body: bytes) -> wire.Masked:
    """A form's fields; a field that comes twice is a list."""
    try:
        fields = parse_qs(body.decode("utf-8", "replace").strip(), max_num_fields=MOST_FIELDS)
    except ValueError:
        return wire.Masked()
    return wire.Masked((name, texts[0] if len(texts) == 1 else texts) for name, texts in fields.items())


def plain(said: wire.Masked, response: Response, *, lifetime: float | None, separator: str = " ") -> wire.Masked:
    """``said`` with the members of RFC 6749 §5.1 under their names and in their types, as far as they can be told.

    ``lifetime``: seconds that the user states, which stand where the answer states none that makes sense.
    ``separator``: what stands between scopes, beside spaces and commas.
    """
    body: wire.Masked = bare(said)
    kind = body.get("token_type")
    if kind is None or (isinstance(kind, str) and not _PROOF.match(kind)):
        body["token_type"] = "Bearer"
    _scope(body, separator)
    seconds = _first(body, LIFETIMES, response)
    stated = _number(body.get("expires_in"))
    if seconds is not None:
        body["expires_in"] = seconds
    elif body.get("expires_in") == "" or (stated is not None and lifetime is not None):
        del body["expires_in"]
    elif stated is not None:
        body["expires_in"] = stated
    lapse = _first(body, LAPSES, response)
    if lapse is None or lapse < 0:
        body.pop("refresh_token_expires_in", None)  # "0" of Keycloak's: never; and no token is refused for it
    else:
        body["refresh_token_expires_in"] = lapse
    return body


def _scope(body: wire.Masked, separator: str) -> None:
    """One text with spaces between. A list (Twitch), commas (GitHub, Slack); an empty one says nothing (RFC 6749 §3.3)."""
    scope = body.get("scope")
    items = cast("list[object]", scope) if isinstance(scope, list) else [scope]
    if not all(isinstance(item, str) for item in items):
        return
    texts = cast("list[str]", items)
    between = re.compile(f"[ ,]+|{re.escape(separator)}")
    words = [word for text in texts for word in between.split(text) if word]
    if words:
        body["scope"] = " ".join(words)
    else:
        body.pop("scope", None)


def _first(body: wire.Masked, names: tuple[str, ...], response: Response) -> float | None:
    """Seconds from the sending that the first of ``names`` states which makes sense; below 0: what it states is over."""
    for name in names:
        seconds = _seconds(body.get(name), response, moments="_in" not in name)
        if seconds is not None:
            return seconds
    return None


def _seconds(value: Any, response: Response, *, moments: bool) -> float | None:
    """Seconds from the sending, None where ``value`` states none: 0, a negative number, more than ten years.

    A number beyond ten years is a moment, where there may be one. Less the answer's ``Date`` it is a lifetime, for both are
    the vendor's clock; without one, less the time of the sending.
    """
    number = _number(value)
    if number is not None and number <= LONGEST_LIFETIME:
        return number if number > 0 else None
    if not moments:
        return None
    if number is None and isinstance(value, str):
        number = iso_date(value) or http_date(value)
    if number is None:
        return None
    now = http_date(response.headers.get("date", ""))
    left = number - (response.sent_at if now is None else now)
    return min(left, -1.0) if left <= 0 else left if left <= LONGEST_LIFETIME else None


def _number(value: Any) -> float | None:
    """A number, or a text that is one (PayPal, Microsoft's v1.0 endpoint); None for anything else, ``true`` included."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    # No float overflows: what is read has numbers of 300 digits at the most (``wire.decode``).
    return float(value) if isinstance(value, int | float) else None
