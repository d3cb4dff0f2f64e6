"""What can go wrong, drawn first. The question each class answers is: who has to act?

::

    LinkAuthError
    ├── ConfigurationError          you: an argument cannot work (also a ValueError)
    │   └── AlreadyConnected          you: a live session is there; say that it is to be replaced
    ├── UnsupportedGrant            you: this vendor has no such flow
    ├── OAuthError                  the vendor said no: .error .description .status .details
    │   ├── InvalidRequest            you: the vendor could not read the request
    │   ├── InvalidClient             you: wrong client id or client secret
    │   ├── InvalidGrant              the user: the code, password or refresh token is no longer good
    │   ├── UnauthorizedClient        you: the client may not use this grant
    │   ├── InvalidScope              you: a scope is unknown or not allowed
    │   ├── InvalidToken              nobody, as a rule: the access token was refused
    │   ├── InsufficientScope         you: the token lacks a scope
    │   ├── AccessDenied              the user (or the account's owner) refused
    │   │   └── Forbidden               you: what you pay for, or who you are, and no user can lift it
    │   ├── RateLimited               nobody: wait .retry_after seconds; .limit .remaining .reset_at
    │   ├── AuthorizationPending      the user: has not answered yet, ask again later
    │   ├── NotFound                  you: an API has no such thing
    │   ├── Conflict                  you: what an API has stands against it
    │   └── UnprocessableContent      you: a field is wrong; .details says which
    ├── ReauthorizationRequired     the user: must log in or pair again; .credential
    ├── StateMismatch               the user: start again; or somebody forged a callback
    ├── UntrustedEndpoint           you: look who sent this; no secret went there
    ├── MalformedResponse           the vendor: the answer is not what is documented
    ├── VendorUnavailable           nobody: no connection, time-out or 5xx, after retries
    │   ├── NotSent                   … and the vendor certainly saw nothing
    │   └── NoAnswer                  … and the vendor may have acted on it
    ├── StoreError                  the operator
    │   ├── StoreUnavailable          the store cannot be reached or written
    │   └── CorruptRecord             a record cannot be read; it is named
    └── GraphQLError                you: the query; .errors

None derives from ``OSError`` or ``aiohttp.ClientError``: aiohttp repeats a request whose middleware raised one
of those. None holds a client, a response or a request, and none shows a secret in ``str``, ``repr``, ``args`` or a
pickle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AccessDenied",
    "AlreadyConnected",
    "AuthorizationPending",
    "ConfigurationError",
    "Conflict",
    "CorruptRecord",
    "Forbidden",
    "GraphQLError",
    "InsufficientScope",
    "InvalidClient",
    "InvalidGrant",
    "InvalidRequest",
    "InvalidScope",
    "InvalidToken",
    "LinkAuthError",
    "MalformedResponse",
    "NoAnswer",
    "NotFound",
    "NotSent",
    "OAuthError",
    "RateLimited",
    "ReauthorizationRequired",
    "StateMismatch",
    "StoreError",
    "StoreUnavailable",
    "UnauthorizedClient",
    "UnprocessableContent",
    "UnsupportedGrant",
    "UntrustedEndpoint",
    "VendorUnavailable",
]


class LinkAuthError(Exception):
    """The root of everything that linkauth raises on purpose."""

    who: str = "you"
    """Who has to act: ``"you"``, ``"the user"``, ``"the vendor"``, ``"the operator"`` or ``"nobody"``."""

    unpicklable: ClassVar[frozenset[str]] = frozenset()
    """Attributes that stay behind when the error travels to another process: they hold secrets or live objects."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)

    def again(self) -> Self:
        """A fresh equal error, so that a thousand waiters do not share one traceback."""
        return _rebuild(type(self), self.args, dict(vars(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        kept = {name: value for name, value in vars(self).items() if name not in self.unpicklable}
        return _rebuild, (type(self), self.args, kept)


_E = TypeVar("_E", bound=LinkAuthError)


def _rebuild(kind: type[_E], args: tuple[Any, ...], state: Mapping[str, Any]) -> _E:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(state)
    return error


class ConfigurationError(LinkAuthError, ValueError):
    """An argument cannot work. Raised when the object is made, before anything is sent."""


class AlreadyConnected(ConfigurationError):
    """``adopt`` was to bring in a session where a live one is, which stays as it is. ``replace=True`` puts it in its place."""


class UnsupportedGrant(LinkAuthError):
    """The vendor has no such flow."""


class OAuthError(LinkAuthError):
    """The vendor said no (RFC 6749 §4.1.2.1, §5.2; RFC 6750 §3.1).

    ``error`` is the vendor's code, ``description`` its words (shortened, printable), ``status`` the HTTP status, 0
    where the refusal came in a callback. ``details``: what else an API said, such as which field is wrong: a JSON value
    in a shape of the vendor's own, its texts shortened and printable; an empty mapping where it said nothing.
    """

    code: ClassVar[str] = ""
    """The code of this class's errors where the vendor gave none."""
    advice: ClassVar[str] = ""
    """What to do, at the end of the message; empty: nothing that is true of all."""

    unexplained: bool = False
    """The vendor gave neither a code nor words; the class is told by the HTTP status alone."""

    error: str
    """The vendor's code (RFC 6749 §5.2), or ``code``."""
    description: str
    """The vendor's words, shortened and printable; empty: it gave none."""
    status: int
    """The HTTP status; 0: the refusal came in a callback."""
    details: Any
    """What else an API said, as JSON; an empty mapping: nothing."""

    def __init__(self, error: str = "", description: str = "", *, status: int = 0, details: Any = None) -> None:
        self.error = error or self.code
        self.description = description
        self.status = status
        self.details = {} if details is None else details
        words = f"{self.error}: {description}" if description else self.error
        if status:
            words += f" (HTTP {status})"
        super().__init__(f"{words}; {self.advice}" if self.advice else words)


class InvalidRequest(OAuthError):
    """The vendor could not read the request."""

    code = "invalid_request"


class InvalidClient(OAuthError):
    """Wrong client id or client secret."""

    code = "invalid_client"
    advice = "check the client id and the client secret"


class InvalidGrant(OAuthError):
    """The code, the password or the refresh token is not, or no longer, good."""

    who = "the user"
    code = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """The client may not use this grant."""

    code = "unauthorized_client"


class InvalidScope(OAuthError):
    """A scope is unknown, malformed or more than may be granted."""

    code = "invalid_scope"


class InvalidToken(OAuthError):
    """The access token is expired, malformed or revoked."""

    who = "nobody"
    code = "invalid_token"


class InsufficientScope(OAuthError):
    """The access token does not have the scope that the request needs."""

    code = "insufficient_scope"


class AccessDenied(OAuthError):
    """The user, or the account's owner, refused."""

    who = "the user"
    code = "access_denied"


class Forbidden(AccessDenied):
    """Not allowed, and no user can lift it: a subscription's limit, or a caller of another tenant.

    Of LinkXG: ``LIMIT_EXCEEDED``, ``MISSING_CAPABILITY``, ``TENANT_MISMATCH`` (docs.linkxg.com, "Error handling").
    """

    who = "you"
    code = "forbidden"


class RateLimited(OAuthError):
    """Too many requests. Each attribute is None where the vendor did not say it.

    ``retry_after``: seconds to wait (RFC 9110 §10.2.3). ``limit``: requests that are allowed in the vendor's window, and
    ``remaining``: how many of them are left (``X-RateLimit-Limit``, ``-Remaining``). ``reset_at``: when the window ends,
    Unix seconds by the vendor's clock (``X-RateLimit-Reset``).
    """

    who = "nobody"
    code = "rate_limit_exceeded"

    retry_after: float | None
    """Seconds to wait (RFC 9110 §10.2.3); None: the vendor did not say."""
    limit: int | None = None
    """Requests that are allowed in the vendor's window; None: it did not say."""
    remaining: int | None = None
    """Requests that are left in it; None: the vendor did not say."""
    reset_at: float | None = None
    """When the window ends, Unix seconds by the vendor's clock; None: it did not say."""

    def __init__(
        self,
        error: str = "",
        description: str = "",
        *,
        status: int = 429,
        details: Any = None,
        retry_after: float | None = None,
        limit: int | None = None,
        remaining: int | None = None,
        reset_at: float | None = None,
    ) -> None:
        super().__init__(error, description, status=status, details=details)
        self.retry_after = retry_after
        self.limit = limit
        self.remaining = remaining
        self.reset_at = reset_at


class AuthorizationPending(OAuthError):
    """The user has not answered yet; the state stays good, try again later."""

    who = "the user"
    code = "authorization_pending"


class NotFound(OAuthError):
    """An API has no such thing, or not for this caller (HTTP 404)."""

    code = "not_found"


class Conflict(OAuthError):
    """What an API already has stands against the request (HTTP 409), such as a SKU that is taken."""

    code = "conflict"


class UnprocessableContent(OAuthError):
    """An API understood the request and refuses what is in it (HTTP 422); ``details`` says which field."""

    code = "unprocessable_content"


class ReauthorizationRequired(LinkAuthError):
    """There is no token and no way to one without the user. ``credential`` is the one that needs it."""

    who = "the user"
    unpicklable = frozenset({"credential"})

    credential: Any = None
    """The ``Credential`` that needs its user; None: none was at hand, or the error comes from another process."""

    def __init__(self, message: str = "", *, credential: Any = None) -> None:
        super().__init__(message)
        self.credential = credential


class StateMismatch(LinkAuthError):
    """A callback's state is missing, unknown, expired, used, or another vendor's or account's. Nothing was sent."""

    who = "the user"


class UntrustedEndpoint(LinkAuthError):
    """A callback or an answer points somewhere the secret must not go. Nothing was sent there."""


class MalformedResponse(LinkAuthError):
    """The answer is not what the vendor documents.

    ``raw`` is the answer's body as a ``Secret`` where losing it would lose an account, else None.
    ``salvage`` is what could be saved of a token answer; the engine stores it before anybody sees the error.
    """

    who = "the vendor"
    unpicklable = frozenset({"raw", "salvage"})

    raw: Any = None
    """The answer's body as a ``Secret``, where losing it would lose an account; None: nothing is lost."""
    salvage: Any = None
    """What could be saved of a token answer; None: nothing had to be."""

    def __init__(self, message: str = "", *, raw: Any = None, salvage: Any = None) -> None:
        super().__init__(message)
        self.raw = raw
        self.salvage = salvage


class VendorUnavailable(LinkAuthError):
    """No connection, time-out or 5xx, after retries; or a page, a redirect or a 404 where a token endpoint should be.

    ``retry_after``: seconds until linkauth itself asks again.
    """

    who = "nobody"

    retry_after: float | None = None
    """Seconds until it is worth asking again, and linkauth itself does; None: no time is fixed."""

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotSent(VendorUnavailable):
    """No connection came about: the vendor certainly saw nothing of the request, so it may be sent again as it is."""


class NoAnswer(VendorUnavailable):
    """The request, or part of it, was sent and no whole answer came: the vendor may have acted on it.

    Look before you repeat a call that changes something. Of token requests linkauth itself takes care.
    """


class StoreError(LinkAuthError):
    """Something about the store."""

    who = "the operator"


class StoreUnavailable(StoreError):
    """The store cannot be reached or written."""


class CorruptRecord(StoreError):
    """A record cannot be read. The message names it, and never shows what is in it."""


class GraphQLError(LinkAuthError):
    """A GraphQL answer carries errors. ``errors``: as the vendor sent them, each a mapping with ``message``, the token masked."""

    LONGEST: ClassVar[int] = 500
    """Characters of the vendor's words in the message; ``errors`` has them all."""

    errors: Sequence[Mapping[str, Any]]
    """As the vendor sent them, each with ``message``."""

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        self.errors = tuple(errors)
        words = "; ".join(str(error.get("message", "error without a message")) for error in self.errors)
        super().__init__(line(words, self.LONGEST))


def line(text: str, longest: int) -> str:
    """``text`` as one printable line of at most ``longest`` characters and a mark that something was left out.

    For words that come from elsewhere, before they go into a message: they reach headers, logs and terminals.
    """
    shown = "".join(c if c.isprintable() else " " for c in text[: longest + 1])
    return shown if len(shown) <= longest else shown[:longest] + "…"
