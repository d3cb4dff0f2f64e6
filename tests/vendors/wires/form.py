"""The form in which a vendor's wire is recorded: requests as its page's examples send them, and the answers to these.

``ID``, ``SECRET``, ``CODE``, ``BACK`` and ``STATE`` stand for what a page has in their places; tokens are shortened.
"""

from __future__ import annotations

from typing import Any

import attrs

ID, SECRET, CODE, BACK, STATE = "the-client", "canary-secret", "canary-code", "https://app.example.com/callback", "st-1"
BASIC = "basic"
"""The client shows its id and secret by HTTP Basic, and not in the body."""
BODY = "body"
"""In the body, and not by HTTP Basic."""
BOTH = "both"
"""By HTTP Basic, and the id in the body, too."""
DAY = 86400


@attrs.frozen(kw_only=True)
class Recorded:
    """One vendor's wire."""

    given: dict[str, str] = attrs.field(factory=dict)
    """What the tenant is called in the examples."""
    scope: str = ""
    """The scopes asked for, as a user of linkauth writes them."""
    page: str | None = None
    """The authorization page, without its query."""
    query: dict[str, str] = attrs.field(factory=dict)
    """What its query must have beside the client, the redirect URI, the state and ``response_type``."""
    pkce: bool = False
    """The page's query has a challenge, and the first token request the verifier."""
    token: str
    """The token endpoint."""
    json: bool = False
    """Token requests are JSON, not forms."""
    callback: dict[str, str] = attrs.field(factory=lambda: {"code": CODE})
    """What comes back beside ``state``."""
    kept: dict[str, str] = attrs.field(factory=dict)
    """What of it is in ``token.extra``."""
    client: str = BODY
    form: dict[str, str] = attrs.field(factory=dict)
    """What the first token request must have beside the client, the grant, the code, the redirect URI and the verifier."""
    granted: dict[str, Any]
    lifetime: float = attrs.field(default=attrs.Factory(lambda self: self.granted["expires_in"], takes_self=True))
    """Seconds that the granted token lives, where that is not what its answer says."""
    has: str = ""
    """The scope that is granted; empty: as asked."""
    renewed: dict[str, Any] | None = None
    """The answer to a renewal; None: there is none."""
    renewal_form: dict[str, str] = attrs.field(factory=dict)
    """What a renewal must have beside the client, the grant and the refresh token."""
    renewal: str | None = None
    """Where a renewal goes, if not to ``token``."""
    renewed_lifetime: float | None = None
    """Of the renewed token; None: as the first one's."""
    stays: bool = False
    """The refresh token stays what it was."""
    lapses: float | None = None
    """Seconds that the first refresh token lives."""
    header: tuple[str, str] = ("Authorization", "Bearer at-1")
    """How calls carry the token."""
    api: str | None = None
    """The API's base, where the answer names it."""
    revoke: str | None = None
    page_read: str
    """The page of the second reading, by somebody who had not seen the entry."""
    window: float = 0.0
    """Seconds in which the page lets a spent refresh token be sent again."""
    ends_access: bool = False
    """The page says that a renewal ends the access token before it."""
    consent: float | None = None
    """Seconds from the consent after which the page has the user asked again, whatever is renewed."""
    refused: tuple[tuple[int, dict[str, Any]], ...] = ()
    """Refused renewals by which the refresh token is no longer good: status and answer."""


def bearer(lifetime: float | None, refresh: str | None = None, **more: Any) -> dict[str, Any]:
    body = {"access_token": "at-1", "token_type": "bearer", "expires_in": lifetime, "refresh_token": refresh}
    return {name: value for name, value in {**body, **more}.items() if value is not None}


def renewed(lifetime: float | None, refresh: str | None = None, **more: Any) -> dict[str, Any]:
    return {**bearer(lifetime, refresh, **more), "access_token": "at-2"}
