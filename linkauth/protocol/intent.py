"""What a worker leaves beside a record for whoever comes after it.

``doubt``: a digest of the refresh token that is about to be spent. It travels with the claim, so it stands before the
request goes out; the commit clears it. Whoever finds it knows that the token may be spent.

``retry_at``: the vendor failed; nobody asks again before then. So the fleet, not each worker, keeps the distance.

Where there are keys, a failure's text is sealed. All else stays legible: a fleet is upgraded worker by worker, and one
that took a sealed note for none would spend a token that is in doubt, and ask a vendor that is left alone. It gives nothing
away: a digest of a random token, times, a count and a class of linkauth's own.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import attrs

from linkauth import errors
from linkauth.errors import LinkAuthError, MalformedResponse, OAuthError, RateLimited, VendorUnavailable, line
from linkauth.oauth import wire

if TYPE_CHECKING:
    from linkauth.oauth.token import Token

__all__ = ["Note", "digest"]

NOTHING: Final = b""
LONGEST: Final = 400
"""Characters of a failure's text that a note passes on."""


def digest(token: Token | None) -> str:
    """A digest of a refresh token: enough to recognise it, useless to anybody who finds it. Empty: there is none."""
    if token is None or not token.refresh_token:
        return ""
    return sha256(b"linkauth refresh token\0" + token.refresh_token.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@attrs.frozen(kw_only=True)
class Note:
    """Times are Unix seconds by the store's clock."""

    doubt: str = ""
    since: float = 0.0
    """When ``doubt`` was claimed for sending."""
    retry_at: float = 0.0
    failures: int = 0
    """How many flights in a row have failed."""
    kind: str = ""
    """The failure's class, with what is needed to raise it again elsewhere."""
    error: str = ""
    description: str = ""
    status: int = 0
    sealed: str = ""
    """``error`` and ``description`` where there are keys, in base64 (``Codec``)."""

    def encode(self) -> bytes:
        """As the store keeps it."""
        told = {name: value for name, value in wire.unstructure(self).items() if value}
        return wire.dump(told) if told else NOTHING

    @classmethod
    def decode(cls, note: bytes) -> Note:
        """A note as found. One that cannot be read counts as none: it is advice, the record is the truth."""
        if not note:
            return cls()
        try:
            found = wire.structure(wire.members(note, "a note"), cls, "a note")
        except MalformedResponse:
            return cls()
        return found.plain()

    def plain(self) -> Note:
        """This note made fit to show: whoever can write to the store could write what people are shown."""
        kind, status = line(self.kind, LONGEST), self.status if 0 <= self.status < 1000 else 0
        return attrs.evolve(self, kind=kind, status=status).saying(self.error, self.description)

    def saying(self, error: str, description: str) -> Note:
        """This note with a failure's text in clear, made fit to show as well."""
        return attrs.evolve(self, error=line(error, LONGEST), description=line(description, LONGEST))

    def failing(self, error: LinkAuthError, retry_at: float) -> Note:
        """This note after one more failure."""
        told: dict[str, Any] = {"error": "", "description": str(error), "status": 0}
        if isinstance(error, OAuthError):
            told = {"error": error.error, "description": error.description, "status": error.status}
        return attrs.evolve(self, retry_at=retry_at, failures=self.failures + 1, kind=type(error).__name__, **told)

    def failure(self, wait: float) -> LinkAuthError:
        """The failure that the note tells of, to be raised by a worker that did not see it itself."""
        kind = getattr(errors, self.kind, None)
        if isinstance(kind, type) and issubclass(kind, RateLimited):
            return kind(self.error, self.description, status=self.status, retry_after=wait)
        if isinstance(kind, type) and issubclass(kind, OAuthError):
            return kind(self.error, self.description, status=self.status)
        if isinstance(kind, type) and issubclass(kind, MalformedResponse):
            return kind(self.description)
        return VendorUnavailable(self.description or "the vendor could not be reached", retry_after=wait)
