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
    from collections.abc import Mapping

    from linkauth.oauth.exchange import Response

__all__ = ["content_type", "folded", "members", "plain", "renamed"]

FORMS: Final = frozenset({"application/x-www-form-urlencoded", "text/plain"})
"""Types of an answer that is a form, where it is one (Stack Exchange, Facebook before its version 2.3)."""
TELLING: Final = frozenset({"access_token", "error"})
"""Fields by one of which an answer is one that has a page's type (QQ)."""
MOST_FIELDS: Final = 200
"""Fields of a form; token answers have a dozen."""

NAMES: Final = ("access_token", "refresh_token", "token_type", "id_token")
"""Members that are no one else's, however their names are spelt."""
SCOPES: Final = ("scope", "scopes", "granted_scopes")
"""Names of the scope: RFC 6749's, Bitbucket's, Facebook's."""
LIFETIMES: Final = (
    "expires_in_sec",  # Zoho, whose ``expires_in`` beside it is in milliseconds
    "expires_in",
    "expires",  # Deezer
    "expires_at",  # GitHub
    "expires_on",  # Microsoft's endpoint for managed identities
    "access_token_expires_in",
    "access_token_expires_at",
    "expiry",  # Go's library
    "expiry_date",  # Google's library
    "expiration",
)
"""Names of a lifetime."""
LAPSES: Final = (
    "refresh_token_expires_in",  # Sage, Google, LinkedIn, GitHub
    "refresh_expires_in",  # Keycloak, TikTok
    "x_refresh_token_expires_in",  # QuickBooks
    *("refresh_token_expires_at", "refresh_token_expires_on", "refresh_expires_at", "refresh_token_expires"),
)
"""Names of the time after which an unused refresh token lapses."""

_PROOF: Final = re.compile(r"(?<![a-z0-9])(h?mac|d?pop|n[_/]a|hotk|hok|proof)(?![a-z])", re.IGNORECASE)
"""Token types that are no Bearer tokens: whoever sends them must prove something (RFC 9449), or it is no access token (RFC 8693)."""
_NUMBER: Final = re.compile(r"\s*(-?[0-9]{1,15}(?:\.[0-9]{1,15})?)\s*s?\s*")
"""A number as a text; with the ``s`` of a Protobuf ``Duration`` it is seconds, too."""
MILLISECONDS: Final = 1e11
"""From here on a moment is not in seconds: they would be of the year 5138."""


def content_type(response: Response) -> str:
    """The answer's media type in lower case, without parameters (RFC 9110 §8.3.1); empty where it names none."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def folded(name: str) -> str:
    """A name or code as it is compared, without case, dashes and underscores: Apigee's ``oauth.v2.InvalidGrant`` is ``invalidgrant``."""
    return name.rpartition(".")[2].lower().replace("_", "").replace("-", "")


def members(response: Response) -> wire.Masked:
    """What the answer says, masked: a JSON object, the one in a list, or a form. Empty where it is none.

    A refusal that is a list or a text is read as ``errors`` or ``error``.
    """
    said: wire.Masked = masked(wire.as_object(_meant(response)))
    return said


def _meant(response: Response) -> object:
    value = _json(response.body)
    several = cast("list[object]", value) if isinstance(value, list) else []
    if value is None:
        return _form(response)
    if len(several) == 1 and isinstance(several[0], dict):
        return cast("object", several[0])
    if response.status >= 400 and not isinstance(value, dict):
        return cast("object", {"errors": several} if several else {"error": value})
    return cast("object", value)


def _json(body: bytes) -> Any:
    """The JSON value in ``body``; also where a name in it is in another charset than JSON's (RFC 8259 §8.1): tokens are ASCII."""
    value = wire.decode(body)
    return wire.decode(body.decode("latin-1").encode()) if value is None and not body.isascii() else value


def _form(response: Response) -> wire.Masked:
    """A form's fields, where its type says that it is one, or that of a page hides it; a field that comes twice is a list."""
    kind, text = content_type(response), response.body.decode("utf-8-sig", "replace").strip()
    if kind not in {*FORMS, "text/html"} or text[:1] == "<":
        return wire.Masked()
    try:
        fields = parse_qs(text, max_num_fields=MOST_FIELDS)
    except ValueError:
        return wire.Masked()
    if kind not in FORMS and not TELLING & fields.keys():
        return wire.Masked()
    return wire.Masked((name, texts[0] if len(texts) == 1 else texts) for name, texts in fields.items())


def renamed(said: Mapping[str, Any], names: Mapping[str, str]) -> wire.Masked:
    """``said`` with its members by the names that ``names`` has for them, and with ``NAMES`` as RFC 6749 spells them (``accessToken``).

    One that is spelt right goes before.
    """
    given = {name: names.get(name, name) for name in said}
    spelt = {folded(name): name for name in NAMES if name not in given.values()}
    given = {name: spelt.get(folded(theirs), theirs) for name, theirs in given.items()}
    # What has another name now may be a secret by it.
    anew = masked(wire.as_object({theirs: said[name] for name, theirs in given.items() if theirs != name}))
    return wire.Masked({**{name: said[name] for name, theirs in given.items() if theirs == name}, **anew})


def plain(said: wire.Masked, response: Response, *, lifetime: float | None, separator: str = " ") -> wire.Masked:
    """``said`` with the members of RFC 6749 §5.1 under their names and in their types, as far as they can be told.

    ``lifetime``: seconds that the user states, which stand where the answer states none that makes sense.
    ``separator``: what stands between scopes, beside spaces and commas.
    """
    body: wire.Masked = bare(said)
    kind = body.get("token_type")
    if kind is None or (isinstance(kind, str) and not _PROOF.search(kind)):
        body["token_type"] = "Bearer"
    _scope(body, separator)
    seconds = _first(body, LIFETIMES, response)
    stated = _number(body.get("expires_in"))
    if seconds is not None:
        body["expires_in"] = seconds
    elif stated is None or lifetime is not None:  # it is no number, or none that makes sense, and the user knows better
        body.pop("expires_in", None)
    else:
        body["expires_in"] = stated
    if not body.get("refresh_token"):  # PHP's ``false``, an empty list
        body.pop("refresh_token", None)
    lapse = _first(body, LAPSES, response)
    if lapse is None or lapse < 0:
        body.pop("refresh_token_expires_in", None)  # "0" of Keycloak's: never; and no token is refused for it
    else:
        body["refresh_token_expires_in"] = lapse
    return body


def _scope(body: wire.Masked, separator: str) -> None:
    """One text with spaces between. A list (Twitch), commas (GitHub, Slack); an empty one says nothing (RFC 6749 §3.3)."""
    scope = next((found for name in SCOPES if (found := body.get(name))), None)
    given = cast("list[object]", scope) if isinstance(scope, list) else [scope]
    items = [item for item in given if item is not None]
    if not all(isinstance(item, str) for item in items):
        body["scope"] = scope  # which is refused
        return
    texts = cast("list[str]", items)
    between = re.compile(f"[ ,]+|{re.escape(separator)}")
    words = [word for text in texts for word in between.split(text.strip()) if word]
    if words:
        body["scope"] = " ".join(words)
    else:
        body.pop("scope", None)


def _first(body: wire.Masked, names: tuple[str, ...], response: Response) -> float | None:
    """Seconds from the sending that the first of ``names`` states which makes sense; below 0: what it states is over."""
    spelt = {folded(name): value for name, value in body.items()}
    for name in names:
        value = body.get(name, spelt.get(folded(name)))
        seconds = _seconds(value, response, moments="_in" not in name)
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
    if number is not None and number >= MILLISECONDS:
        number /= 1000
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
        found = _NUMBER.fullmatch(value)
        return float(found[1]) if found else None
    # No float overflows: what is read has numbers of 300 digits at the most (``wire.decode``).
    return float(value) if isinstance(value, int | float) else None
